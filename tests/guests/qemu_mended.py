# SPDX-License-Identifier: BSD-2-Clause
"""The QEMU that makes the box is one that it can mend (tests/box/mend.py), and nothing else is touched."""

import contextlib
import os
import subprocess
import sys

import harness
import initramfs
import qemu
from report import Skip

sys.path.insert(0, os.path.join(initramfs.HERE, os.pardir, "box"))
import mend  # pylint: disable=wrong-import-position

# The one whose guests were seen to fall over, Debian 12's.
VERSION = "version 7.2."


@contextlib.contextmanager
def running(*words):
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def code(pid, place):
    """The instruction there, as the process has it."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(mend.address_of(pid, place[0]))
        return memory.read(place[1])


def body(report, _test):
    qemu.need()
    if VERSION not in subprocess.run([qemu.PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout:
        raise Skip(f"no QEMU {VERSION}")
    with running(qemu.PROGRAM, "-nodefaults", "-M", "none", "-display", "none", "-monitor", "stdio") as process:
        with open(f"/proc/{process.pid}/exe", "rb") as program:
            place = mend.place_of_note(program.read())
        if not report.ok(place, "the note is found, once"):
            return
        report.equal(code(process.pid, place)[:2], b"\x89\xb3", "it is what we take it for")
        report.ok(mend.mend(process.pid), "QEMU is mended")
        report.equal(code(process.pid, place), mend.NOP * place[1], "nothing is noted any more")
        report.ok(not mend.mend(os.getpid()), "who is no QEMU is not")
        said, _ = process.communicate(b"info status\nquit\n")
        report.ok(process.returncode == 0 and b"VM status" in said, "it runs to its end then", said)


harness.main(body, long_rounds=1)
