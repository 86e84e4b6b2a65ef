# SPDX-License-Identifier: BSD-2-Clause
"""QEMU guests without hardware virtualization: vhost-user-blk-pci under TCG."""

import os
import shutil

import initramfs
from console import Guest
from report import Skip

PROGRAM = "qemu-system-x86_64"
MEMORY = "256M"


def need():
    for program, package in ((PROGRAM, "qemu-system-x86"), ("mkfs.ext4", "e2fsprogs"),
                             ("busybox", "busybox-static"), ("modprobe", "kmod")):
        if not shutil.which(program, path=os.environ["PATH"] + ":" + initramfs.PATH):
            raise Skip(f"no {program} (package {package})")


def boot(report, test, socket_path, script, limit_s=90, cpus=1, device="", chardev="",
         monitor=None, may_reboot=False, incoming=None, console="console", rng_path=None,
         net_path=None, net_mac=None, **values):
    """A guest with one disk behind `socket_path` that runs scripts/`script`. `device` and
    `chardev` are further options of those; behind `rng_path` is an entropy device,
    behind `net_path` a network with two pairs of queues and the address `net_mac`; `monitor` is the path of a QMP socket to open,
    `incoming` that of one where a guest comes from elsewhere, to go on by `cont`; `console` names
    the log."""
    need()
    vmlinuz, modules = initramfs.kernel(test.guests)
    tools = initramfs.tools_image(test.guests)
    ramdisk = os.path.join(test.work, "initramfs")
    initramfs.initramfs(ramdisk, modules, script)
    words = [f"{name}={value}" for name, value in values.items()]
    argv = [PROGRAM, "-nodefaults", "-no-user-config", "-nographic", "-M", "q35", "-cpu", "max",
            "-accel", "tcg", "-smp", str(cpus), "-m", MEMORY,
            "-object", f"memory-backend-memfd,id=mem,size={MEMORY},share=on",
            "-numa", "node,memdev=mem",
            "-chardev", f"socket,id=disk,path={socket_path}{chardev}",
            "-device", f"vhost-user-blk-pci,id=disk,chardev=disk{device}",
            "-drive", f"if=none,id=tools,file={tools},format=raw,readonly=on",
            "-device", "virtio-blk-pci,drive=tools,serial=tools",
            "-kernel", vmlinuz, "-initrd", ramdisk,
            "-append", " ".join(["console=ttyS0 quiet panic=-1 tsc=reliable", *words]),
            "-serial", "stdio", "-serial", "chardev:script"]
    if rng_path:
        argv += ["-chardev", f"socket,id=rng,path={rng_path}",
                 "-device", "vhost-user-rng-pci,chardev=rng"]
    if net_path:
        # Without MSI-X: QEMU 7.2 crashes with it where there is no KVM.
        argv += ["-chardev", f"socket,id=net,path={net_path}",
                 "-netdev", "vhost-user,id=net,chardev=net,queues=2",
                 "-device", f"virtio-net-pci,netdev=net,mq=on,vectors=0,romfile=,mac={net_mac}"]
    if not may_reboot:
        argv.append("-no-reboot")
    if monitor:
        argv += ["-qmp", f"unix:{monitor},server=on,wait=off"]
    if incoming:
        argv += ["-S", "-incoming", "unix:" + incoming]
    return Guest(lambda line: [*argv, "-chardev", f"socket,id=script,fd={line}"],
                 test.log_path(console), limit_s, report)
