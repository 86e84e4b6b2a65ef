# SPDX-License-Identifier: BSD-2-Clause
"""paravane run with devices that other processes, or the box's kernel, serve."""

import os

import harness
import in_box
import initramfs

LIMIT_S = 600
PASSED_ON = ["PARAVANE", "PAYLOAD", "PYTHONDONTWRITEBYTECODE"]


def body(report, test):
    command = ["env", *[f"{name}={os.environ[name]}" for name in PASSED_ON if name in os.environ],
               "python3", os.path.join(initramfs.HERE, "remote_jobs.py")]
    cases = in_box.judge(report, in_box.run(test, command, "3072M", LIMIT_S))
    report.equal(list(cases), ["all"], "all jobs were done")


harness.main(body, long_rounds=1)
