#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The bare guest's jobs, each in a machine of its own. In the box, or wherever there is a KVM."""

import os
import sys
import tempfile
import time

from bare_machine import Machine, say

INITRD_BYTES = 70001


def initrd(folder):
    path = os.path.join(folder, "initrd")
    with open(path, "wb") as file:
        file.write(bytes((i ^ i >> 8) & 0xff for i in range(INITRD_BYTES)))
    return path


def disks(folder):
    """Options of a disk that may be written to, and of one that may not and has a pattern."""
    for name in ("disk", "pattern"):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(bytes((0xa5 ^ i ^ i >> 8) & 0xff for i in range(512)) if name == "pattern"
                       else b"")
            file.truncate(1 << 20)
    return ["--disk", f"path={folder}/disk", "--disk", f"path={folder}/pattern,readonly=on"]


def hello(folder):
    """A PVH guest finds what it was promised, with an initrd and without, and above 4 GiB."""
    for name, memory, size, options in (
            ("hello", 64, INITRD_BYTES, ("--initrd", initrd(folder))),
            ("hello, no initrd", 32, 0, ()),
            ("hello, 5 GiB", 5120, INITRD_BYTES, ("--initrd", initrd(folder)))):
        with Machine(name, f"hello {size} {memory}", *options, memory=f"{memory}M") as machine:
            machine.finish()


def first_out(_folder):
    with Machine("first out", "quiet", kernel="BARE_FIRST_OUT") as machine:
        say(machine.wait() == 0, "first out: it ends", machine.obituary())
        say(machine.console == b"R", "first out: its first instructions wrote to the console",
            machine.obituary())


def disk(folder):
    """Our own driver, in ring 0, on a disk that may be written to and on one that may not."""
    with Machine("disk", "disk 2", *disks(folder)) as machine:
        machine.finish()


def cpus(_folder):
    """Processors start by INIT and SIPI, as the MADT lists them."""
    for count in (1, 2, 4, 64, 255):
        with Machine(f"{count} processors", f"cpus {count}", "--cpus", str(count)) as machine:
            machine.finish()


def triple(_folder):
    """A triple fault is a reset, and what becomes of that is an option."""
    with Machine("triple fault", "triple", "--on-reboot", "reset") as machine:
        say(machine.wait_for("about to fault", times=3), "a triple fault resets, again and again",
            machine.obituary())
        say(machine.is_alive(), "and the program lives", machine.obituary())
    with Machine("triple fault", "triple", "--on-reboot", "exit") as machine:
        say(machine.wait() == 0, "a triple fault ends the program where that is asked for",
            machine.obituary())
        say(machine.console.count(b"about to fault") == 1, "after the first", machine.obituary())


def internal(_folder):
    """An instruction that would have to come from a register is more than KVM can do."""
    with Machine("internal error", "internal") as machine:
        say(machine.wait() == 3, "internal error: the program has a status of its own for it",
            f"status {machine.process.poll()}\n{machine.obituary()}")
        say("cpu0: KVM cannot go on: internal error" in machine.errors_text() and
            "cpu0: rip e0000000 " in machine.errors_text(), "internal error: registers are printed",
            machine.obituary())


JOBS = {job.__name__: job for job in (hello, first_out, disk, cpus, triple, internal)}


def main():
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or JOBS:
            begin = time.monotonic()
            JOBS[name](folder)
            print(f"# {name} took {time.monotonic() - begin:.1f} s", flush=True)


main()
