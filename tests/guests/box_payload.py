# SPDX-License-Identifier: BSD-2-Clause
"""The image of our drivers where there is a KVM, on QEMU's devices and on our own networks: a handful of the
matrix's rows."""

import os
import re

import harness
import in_box
import initramfs

MATRIX = os.path.join(initramfs.HERE, os.pardir, "payload", "matrix.py")
LIMIT_S = 600
STATEMENT = re.compile(r"(not )?ok \d+ - (.*)")


def body(report, test):
    command = ["env", f"PAYLOAD={os.environ['PAYLOAD']}",
               f"PARAVANE={os.environ['PARAVANE']}", "python3", os.path.abspath(MATRIX), "--kvm"]
    planned, stated = None, 0
    for line in in_box.run(test, command, "1536M", LIMIT_S):
        if statement := STATEMENT.match(line):
            stated += 1
            report.ok(not statement[1], f"on KVM: {statement[2]}")
        elif plan := re.match(r"1\.\.(\d+)", line):
            planned = int(plan[1])
        else:
            report.note(line.removeprefix("# "))
    report.ok(stated > 0 and planned == stated, "all rows were there", f"{stated} of {planned}")


harness.main(body, long_rounds=1)
