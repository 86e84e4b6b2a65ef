# SPDX-License-Identifier: BSD-2-Clause
"""What is booted: Debian's cloud kernel with the least of an initramfs, and a raw disk."""

import os
import re
import stat
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "tests", "guests"), os.path.join(ROOT, "tests", "box")]

# pylint: disable=wrong-import-position
import initramfs
from report import Skip

MARK = b"@@booted"
APPEND = "console=ttyS0 quiet panic=-1"
DISK_BYTES = 64 << 20
LOG_BYTES = 1 << 20
MEMORY_MIB = 256
STAMP = re.compile(r"\[ *(\d+\.\d+)\] (.*)")


def prepare(kernels):
    """Makes the initramfs, where the box sees it too; returns the paths of kernel and initramfs."""
    vmlinuz, modules = initramfs.kernel(kernels, "boot-kernel",
                                        modules=["virtio_pci", "virtio_mmio", "virtio_blk"])
    archive = initramfs.Cpio()
    for name in ("bin", "dev", "modules"):
        archive.add_folder(name)
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add_file("bin/busybox", initramfs.BUSYBOX)
    archive.add_file("init", os.path.join(ROOT, "bench", "boot-init.sh"))
    for module in modules:
        archive.add_file("modules/" + os.path.basename(module), module)
    path = os.path.join(kernels, "boot-initramfs")
    with open(path, "wb") as file:
        file.write(archive.finish())
    return os.path.abspath(vmlinuz), os.path.abspath(path)


class Disk:
    """A sparse image, on which the guest leaves its kernel's log."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "disk.img")

    def __enter__(self):
        with open(self.path, "wb") as file:
            file.truncate(DISK_BYTES)
        return self

    def __exit__(self, *_):
        os.unlink(self.path)

    def log(self):
        """Pairs of seconds and text."""
        with open(self.path, "rb") as file:
            text = file.read(LOG_BYTES).rstrip(b"\0").decode(errors="replace")
        stamps = (STAMP.match(line) for line in text.splitlines())
        return [(float(stamp.group(1)), stamp.group(2)) for stamp in stamps if stamp]


def kernel_seconds(log):
    """The kernel's own time until it runs the first process."""
    return next((at for at, text in log if text.startswith("Run /init")), None)
