# SPDX-License-Identifier: BSD-2-Clause
"""paravane run, in the box, controlled from outside: stopped and told to go on under a verified load,
reset, resized, switched off by its button; and killed, with a file system that is whole after it."""

import os

import harness
import in_box
import initramfs

ROUNDS = 100 if "PV_LONG" in os.environ else 15
LIMIT_S = 1200 if "PV_LONG" in os.environ else 600


def body(report, test):
    kernel, modules = initramfs.kernel(test.guests)
    ramdisk = os.path.join(test.work, "initramfs")
    initramfs.initramfs(ramdisk, modules, "control.sh")
    tools = initramfs.tools_image(test.guests)
    command = ["python3", os.path.join(initramfs.HERE, "machine_control.py"),
               os.environ["PARAVANE"], str(ROUNDS), "--kernel", kernel, "--initrd", ramdisk,
               "--cpus", "2", "--memory", "512M",
               "--disk", f"path={tools},readonly=on,serial=tools,locking=off,queues=1"]
    cases = in_box.judge(report, in_box.run(test, command, "3072M", LIMIT_S))
    report.equal(sorted(cases), ["controlled", "full", "killed", "mmio", "panicked"], "all cases ran")
    values = cases.get("controlled", {})
    report.equal(values.get("size"), str(96 << 11), "the guest knows its disk's new size")
    for name in ("controlled", "full", "mmio"):
        report.equal(cases.get(name, {}).get("complaints"), "",
                     f"its kernel has nothing to complain about: {name}")


harness.main(body, long_rounds=1)
