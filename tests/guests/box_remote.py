# SPDX-License-Identifier: BSD-2-Clause
"""paravane run with devices that other processes, or the box's kernel, serve."""

import os

import harness
import in_box
import initramfs

LIMIT_S = 600
PASSED_ON = ["PARAVANE", "PAYLOAD", "NET_KERNEL", "NET_RAMDISK", "PYTHONDONTWRITEBYTECODE"]


def make_guest(test):
    """A Linux that has a network and little else."""
    os.environ["NET_KERNEL"], modules = initramfs.kernel(test.guests, "net-kernel",
                                                         modules=["virtio_pci", "virtio_net"])
    archive = initramfs.Cpio()
    for folder in ("bin", "dev", "proc", "sys", "modules"):
        archive.add_folder(folder)
    archive.add_file("bin/busybox", initramfs.BUSYBOX)
    archive.add_file("init", os.path.join(initramfs.HERE, "scripts", "remote_net.sh"))
    for module in modules:
        archive.add_file("modules/" + os.path.basename(module), module)
    os.environ["NET_RAMDISK"] = os.path.join(test.work, "net-initramfs")
    with open(os.environ["NET_RAMDISK"], "wb") as file:
        file.write(archive.finish())


def body(report, test):
    make_guest(test)
    command = ["env", *[f"{name}={os.environ[name]}" for name in PASSED_ON if name in os.environ],
               "python3", os.path.join(initramfs.HERE, "remote_jobs.py")]
    cases = in_box.judge(report, in_box.run(test, command, "3072M", LIMIT_S))
    report.equal(list(cases), ["all"], "all jobs were done")


harness.main(body, long_rounds=1)
