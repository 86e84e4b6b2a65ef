# SPDX-License-Identifier: BSD-2-Clause
"""paravane run with guests that have no operating system: how they are entered, and what becomes of the
monitor when they do what no driver would do."""

import os

import harness
import in_box
import initramfs

LIMIT_S = 1200 if "PV_LONG" in os.environ else 600
PASSED_ON = ["PARAVANE", "BARE_GUEST", "BARE_FIRST_OUT", "FEW_VCPUS", "TOLD_SYNCS", "PAYLOAD", "PV_SEED", "PV_LONG",
             "PYTHONDONTWRITEBYTECODE"]


def body(report, test):
    command = ["env", *[f"{name}={os.environ[name]}" for name in PASSED_ON if name in os.environ],
               "python3", os.path.join(initramfs.HERE, "bare_jobs.py")]
    cases = in_box.judge(report, in_box.run(test, command, "6144M", LIMIT_S))
    report.equal(list(cases), ["all"], "all jobs were done")


harness.main(body, long_rounds=1)
