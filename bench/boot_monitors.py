# SPDX-License-Identifier: BSD-2-Clause
"""Who boots: Paravane, and two machines of QEMU's, each without what a guest does not need."""

import os

from boot_guest import APPEND, MEMORY_MIB, ROOT

PARAVANE = os.path.abspath(os.environ.get("PARAVANE", os.path.join(ROOT, "build/paravane")))
QEMU = "qemu-system-x86_64"
OURS, MICROVM, Q35, STOCK = "paravane", "microvm", "q35", "q35-stock"


def paravane(kernel, initrd=None, disk=None):
    command = [PARAVANE, "run", "--rng", "off", "--memory", f"{MEMORY_MIB}M", "--kernel", kernel]
    if initrd:
        command += ["--initrd", initrd, "--append", APPEND, "--disk", f"path={disk}"]
    return command


LEAN = ["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"]


def qemu(machine, device, how):
    def command(kernel, initrd=None, disk=None):
        words = [QEMU, "-M", machine, "-accel", "kvm", "-cpu", "host", *how, "-no-reboot",
                 "-m", f"{MEMORY_MIB}M", "-kernel", kernel]
        if initrd:
            words += ["-initrd", initrd, "-append", APPEND,
                      "-drive", f"if=none,id=disk,file={disk},format=raw",
                      "-device", f"{device},drive=disk"]
        return words
    return command


# All have the same devices: the random numbers that are ours by default are left out.
# Of microvm the quickest that this kernel boots on: disks on its own bus, found by ACPI; the real-time
# clock, which it lacks by default and the kernel then waits for, with 40000 exits; none of what the
# kernel does without, and no second IOAPIC, which QEMU would answer for itself.
# Of q35 the leanest too, and the one that everybody gets who does not say what is to be left out.
MONITORS = {
    OURS: paravane,
    MICROVM: qemu("microvm,acpi=on,ioapic2=off,rtc=on,pit=off,pic=off", "virtio-blk-device", LEAN),
    Q35: qemu("q35", "virtio-blk-pci", LEAN),
    STOCK: qemu("q35", "virtio-blk-pci", ["-nographic"]),
}
