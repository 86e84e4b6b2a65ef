# SPDX-License-Identifier: BSD-2-Clause
"""paravane run, in the box, with a balloon under a stock kernel: on private memory, on huge pages of the
pool, and where free pages are poisoned."""

import os

import harness
import in_box
import initramfs

# The cloud kernel cannot poison pages.
PACKAGE = "linux-image-amd64"
MODULES = ["ext4", *initramfs.MODULES, "virtio_balloon"]
LIMIT_S = 400
CASES = ["huge", "poisoned", "private"]


def body(report, test):
    kernel, modules = initramfs.kernel(test.guests, "kernel-balloon", PACKAGE, MODULES)
    ramdisk = os.path.join(test.work, "initramfs")
    initramfs.initramfs(ramdisk, modules, "balloon.sh", {"memory_load": os.environ["MEMORY_LOAD"]})
    tools = initramfs.tools_image(test.guests)
    command = ["env", f"PARAVANE={os.environ['PARAVANE']}", "python3",
               os.path.join(initramfs.HERE, "balloon_machine.py"), "--kernel", kernel, "--initrd", ramdisk,
               "--disk", f"path={tools},readonly=on,serial=tools,locking=off,queues=1"]
    cases = in_box.judge(report, in_box.run_boxed(test, command, "2048M", LIMIT_S))
    report.equal(sorted(cases), CASES, "all cases ran")


harness.main(body, long_rounds=1)
