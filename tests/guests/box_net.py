# SPDX-License-Identifier: BSD-2-Clause
"""paravane run, in the box, with network devices and a Linux that drives all of their features that any Linux
does: DHCP and HTTP through the user-mode network, iperf3 through a tap with offloads on and off, VLAN,
MTU 9000, two pairs of queues, hashes, fewer interrupts, the device's own counters, and the link."""

import os

import harness
import in_box
import initramfs

PACKAGE = "linux-image-6.12-cloud-amd64"
MODULES = [*initramfs.MODULES, "virtio_net", "8021q"]
LIMIT_S = 600


def body(report, test):
    kernel, modules = initramfs.kernel(test.guests, "kernel-net", PACKAGE, MODULES)
    ramdisk = os.path.join(test.work, "initramfs")
    initramfs.initramfs(ramdisk, modules, "net_box.sh")
    tools = initramfs.tools_image(test.guests)
    append = "console=null quiet panic=-1 LINE=/dev/ttyS0 LEGACY=0 net.ifnames=0"
    command = ["python3", os.path.join(initramfs.HERE, "net_machine.py"), os.environ["PARAVANE"],
               "--kernel", kernel, "--initrd", ramdisk, "--cpus", "2", "--memory", "512M",
               "--append", append,
               "--disk", f"path={tools},readonly=on,serial=tools,locking=off,queues=1"]
    cases = in_box.judge(report, in_box.run(test, command, "3072M", LIMIT_S))
    values = cases.get("net", {})
    report.equal(values.get("sha256"), values.get("wanted", "?"), "the file came as it was")
    report.ok("hw" in values.get("stats", ""), "the device's own counters are there",
              values.get("stats"))


harness.main(body, long_rounds=1)
