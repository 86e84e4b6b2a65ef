#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The bare guest's jobs, each in a machine of its own. In the box, or wherever there is a KVM."""

import os
import re
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
    """Options of a disk that may be written to, of one that may not and has a pattern, and of one on MMIO,
    to whose registers nonsense comes as to a hole."""
    for name in ("disk", "pattern", "third"):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(bytes((0xa5 ^ i ^ i >> 8) & 0xff for i in range(512)) if name == "pattern"
                       else b"")
            file.truncate(1 << 20)
    return ["--disk", f"path={folder}/disk", "--disk", f"path={folder}/pattern,readonly=on",
            "--disk", f"path={folder}/third,bus=mmio"]


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
    """Our own driver, in ring 0, on disks that may be written to, on both buses, and one that may not."""
    with Machine("disk", "disk 3", *disks(folder)) as machine:
        machine.finish()


def payload(folder):
    """The image of all our drivers, on all our devices, by modern registers and by legacy ones; by polling
    and by interrupts, and where it must not sleep."""
    for words, announced, skipped in (("scratch", 4, 0), ("scratch legacy", 4, 0), ("scratch ring=3", 0, 4),
                                      ("bench interrupts ms=200", 4, 0), ("bench poll ring=3 ms=200", 0, 0)):
        name = f"payload, {words}"
        with Machine(name, words, *disks(folder), kernel="PAYLOAD") as machine:
            machine.finish()
            lines = "\n".join(machine.lines())
            say("# devices: 4" in lines, f"{name}: it finds every device", machine.obituary())
            say(len(re.findall(r"^# \S+ \S+ interrupts(?: in 1000 \S+)? [1-9]", lines, re.M)) == announced,
                f"{name}: as many as should have interrupted", lines)
            say(lines.count("# SKIP ring 3 polls") == lines.count("# SKIP") == skipped,
                f"{name}: only ring 3 does not sleep", lines)
            say(("# ring 3: so it was told" if "ring=3" in words else "# ring 0: a loop") in lines,
                f"{name}: it is in the ring where it should be", lines)


def cpus(_folder):
    """Processors start by INIT and SIPI, as the MADT lists them."""
    for count in (2, 64, 255):
        with Machine(f"{count} processors", f"cpus {count}", "--cpus", str(count)) as machine:
            machine.finish()


def too_many(_folder):
    """More processors than this KVM gives, and as many as it does."""
    few = {"LD_PRELOAD": os.environ["FEW_VCPUS"]}
    with Machine("3 processors of 2", "cpus 3", "--cpus", "3", environment=few) as machine:
        say(machine.wait() == 1 and machine.errors_text() ==
            "paravane run: option '--cpus': 3 are more than the 2 that KVM gives a machine here\n",
            "more processors than KVM gives are one sentence", machine.obituary())
    with Machine("2 processors of 2", "cpus 2", "--cpus", "2", environment=few) as machine:
        machine.finish()


def synced(folder):
    """However it ends: what was written on its disks is stable then. Two of the three can be written to."""
    telling = {"LD_PRELOAD": os.environ["TOLD_SYNCS"]}
    with Machine("switched off", "disk 3", *disks(folder), environment=telling) as machine:
        machine.finish()
        say(machine.errors_text().count("fdatasync\n") == 2, "a guest that switches off leaves its disks stable",
            machine.obituary())
    with Machine("ended", "hostile 1 1", *disks(folder), environment=telling) as machine:
        machine.wait_for("ready")
        machine.process.terminate()
        time.sleep(0.5)
        say(machine.is_alive(), "a guest that does not hear its power button goes on", machine.obituary())
        machine.process.terminate()
        say(machine.wait() == 0, "who asks twice has it ended", machine.obituary())
        say(machine.errors_text().count("fdatasync\n") == 2, "and the disks are stable", machine.obituary())


def triple(_folder):
    """A triple fault is a reset, and what becomes of that is an option."""
    with Machine("triple fault", "triple 3", "--on-reboot", "reset") as machine:
        machine.finish()
        say(machine.console.count(b"about to fault") == 3,
            "a triple fault resets, again and again, and the program lives", machine.obituary())
    with Machine("triple fault", "triple 3", "--on-reboot", "exit") as machine:
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


def all_events(qmp):
    """Of a program that has ended."""
    try:
        while qmp.next():
            pass
    except RuntimeError:
        return qmp.events


def reset(folder):
    """A reset puts everything back, whoever asks for it and whenever it comes."""
    resets = 12
    with Machine("reset", f"reset {resets}", *disks(folder)) as machine:
        qmp = machine.qmp()
        for i in range(1, resets + 1, 2):
            if not say(machine.wait_for(f"boot {i}\n"), f"reset: the guest began for time {i}",
                       machine.obituary()):
                return
            time.sleep(0.2)
            qmp.command("system_reset")
        machine.finish()
        by_guest = [event["data"]["guest"] for event in all_events(qmp) if event["event"] == "RESET"]
        say(by_guest == [False, True] * (resets // 2), "reset: there were as many as were asked for",
            by_guest)


SEED = int(os.environ.get("PV_SEED", "1"))
TURNS = 50 if "PV_LONG" in os.environ else 2
STORMS = 20 if "PV_LONG" in os.environ else 4
# Of answers on the control socket while all processors write to registers.
ANSWER_S = 5
LOG_MAX = 16 << 10
GROWTH_KIB_MAX = 4 << 10
IDLE_S = 2


def ask_while(machine, goes_on):
    """Asks as often as the guest lets it; returns the slowest answer's time."""
    qmp, slowest, asked = machine.qmp(), 0, 0
    while goes_on() and machine.is_alive():
        for command in ("query-status", "query-cpus-fast", "query-stats"):
            begin = time.monotonic()
            qmp.command(command, **({"target": "vm"} if command == "query-stats" else {}))
            slowest = max(slowest, time.monotonic() - begin)
            asked += 1
        time.sleep(0.2)
    print(f"# {machine.name}: {asked} answers, the slowest after {slowest:.2f} s", flush=True)
    return slowest


def hostile(folder):
    """Nonsense in every register: the monitor goes on, and forgets all of it at a reset."""
    name = f"hostile, seed {SEED}"
    with Machine(name, f"hostile {SEED} {TURNS}", *disks(folder)) as machine:
        machine.wait_for("ready")
        before_kib = machine.status_kib("VmRSS")
        machine.type("\n")
        slowest = ask_while(machine, lambda: b"now idle" not in machine.console)
        say(machine.wait_for("now idle"), f"{name}: the guest comes through", machine.obituary())
        say(slowest < ANSWER_S, f"{name}: control commands are answered meanwhile", slowest)
        growth_kib = machine.status_kib("VmRSS") - before_kib
        say(growth_kib < GROWTH_KIB_MAX, f"{name}: the monitor needs no more memory", growth_kib)
        ticks = machine.cpu_ticks()
        time.sleep(IDLE_S)
        ticks = machine.cpu_ticks() - ticks
        say(ticks <= 1, f"{name}: a processor that halts takes no time", f"{ticks} ticks")
        log = machine.errors_text()
        print(f"# {name}: {growth_kib} KiB more, {len(log)} bytes of log", flush=True)
        say(len(log) < LOG_MAX, f"{name}: the log stays short", log[-2000:])
        machine.qmp().command("system_reset")
        machine.finish()


def storm(folder):
    """All processors at once, reset in the middle of it, again and again."""
    name = f"storm, seed {SEED}"
    with Machine(name, f"storm {SEED} {STORMS}", *disks(folder),
                 "--cpus", "2") as machine:
        qmp = machine.qmp()
        for i in range(STORMS):
            if not say(machine.wait_for(f"storm {i + 1}\n"), f"{name}: the guest began for time {i + 1}",
                       machine.obituary()):
                return
            time.sleep(0.5 + 0.37 * i % 1)
            qmp.command("system_reset")
        machine.finish()


JOBS = {job.__name__: job for job in (hello, first_out, disk, payload, cpus, too_many, synced, triple, internal, reset, hostile, storm)}


def do(name, folder):
    """A monitor that dies while it is asked is one statement, and the next job's is another."""
    try:
        JOBS[name](folder)
    except (OSError, RuntimeError) as died:
        say(False, f"{name}: the program answers", died)


def main():
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or JOBS:
            begin = time.monotonic()
            do(name, folder)
            print(f"# {name} took {time.monotonic() - begin:.1f} s", flush=True)
    print("@@case all 0", flush=True)


main()
