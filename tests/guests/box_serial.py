# SPDX-License-Identifier: BSD-2-Clause
"""paravane run, in the box, with ports of a serial device under a stock kernel: a console on which somebody logs
in through `paravane attach`, ports with random bytes, ports that come and go, and the driver put to sleep."""

import os

import harness
import in_box
import initramfs

PACKAGE = "linux-image-amd64"
MODULES = ["ext4", *initramfs.MODULES, "virtio_console"]
# A long run has all ports busy for minutes, with rounds of at most so many bytes. The guest keeps those that it
# sends: 64 times a million are a third of what its tmpfs has.
PORTS, BYTES, SECONDS, LIMIT_S = (64, 1_000_000, 300, 2400) if "PV_LONG" in os.environ else (16, 100_000, 0, 600)


def body(report, test):
    kernel, modules = initramfs.kernel(test.guests, "kernel-serial", PACKAGE, MODULES)
    ramdisk = os.path.join(test.work, "initramfs")
    initramfs.initramfs(ramdisk, modules, "serial.sh")
    tools = initramfs.tools_image(test.guests)
    append = (f"console=ttyS0 loglevel=1 panic=-1 LINE=/dev/ttyS0 LEGACY=0 no_console_suspend PORTS={PORTS} "
              f"BYTES={BYTES} AGENT=no FREEZE=yes")
    command = ["env", f"PARAVANE={os.environ['PARAVANE']}", "python3",
               os.path.join(initramfs.HERE, "serial_machine.py"), str(PORTS), str(BYTES), str(SECONDS),
               "--kernel", kernel, "--initrd", ramdisk, "--cpus", "2", "--memory", "512M", "--append", append,
               "--serial-device", f"ports-max={PORTS + 8},hot-plug=on",
               "--disk", f"path={tools},readonly=on,serial=tools,locking=off,queues=1"]
    in_box.judge(report, in_box.run(test, command, "3072M", LIMIT_S))


harness.main(body, long_rounds=1)
