#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`paravane balance` and two machines of ours, on a host that has too little memory for both: what one needs comes from
the one that is idle, and goes back when it is that one's turn.

Their guests are the image of our drivers, which uses as much memory as it is told to, gives its balloon what it wants
as far as it can, and looks whether what it uses stays as it was. It goes by what the machines take of the host,
and by what the balloons say; when, is up to the host."""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "support"))
# pylint: disable=wrong-import-position
import serving
from small_host import SmallHost

PARAVANE, PAYLOAD = os.environ["PARAVANE"], os.environ["PAYLOAD"]
MIB = 1 << 20
MEMORY, OF_GUEST, FLOOR, UNIT = 512, 480, 144, 16
MUCH, LITTLE = 320, 16
# Enough for one that needs much, beside one that is idle; and what the command keeps back for the host.
HOST, RESERVE = 640, 48
# What is not worth taking.
STEP_MIN = 8
PATIENCE_S, LOOK_S, OWN_MIB = 100, 0.05, 24


class Machine:
    """One, and its guest."""

    def __init__(self, folder, name):
        self.name, self.qmp_path = name, os.path.join(folder, name)
        self.said, self.lines = threading.Condition(), []
        self.process = subprocess.Popen(
            [PARAVANE, "run", "--memory", f"{MEMORY}M", "--rng", "off", "--kernel", PAYLOAD, "--append",
             f"guest poll ring=3 balloon={OF_GUEST}", "--balloon", "on", "--qmp", f"unix:{self.qmp_path}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        threading.Thread(target=self.listen, daemon=True).start()
        self.expect("MiB in use: 0")
        self.qmp, self.asking = serving.Qmp(self.qmp_path), threading.Lock()

    def listen(self):
        for line in self.process.stdout:
            with self.said:
                self.lines.append(line.strip())
                self.said.notify_all()

    def expect(self, words):
        """A line that says so, behind those that were expected before."""
        def is_there():
            return any(words in line for line in self.lines)
        with self.said:
            if not self.said.wait_for(is_there, PATIENCE_S):
                raise RuntimeError(f"{self.name} never said '{words}': {self.lines[-5:]}")
            while words not in self.lines.pop(0):
                pass

    def tell(self, byte):
        self.process.stdin.write(byte)
        self.process.stdin.flush()

    def use(self, mib):
        self.tell(chr(ord("a") + mib // UNIT))

    def uses(self, mib):
        self.expect(f"MiB in use: {mib}")

    def actual_mib(self):
        with self.asking:
            return self.qmp.command("query-balloon")["actual"] // MIB

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            found = re.search(r"^VmRSS:\s+(\d+) kB", status.read(), re.M)
        return int(found[1]) // 1024 if found else 0

    def end(self):
        """What it says of itself in the end: what failed, and whether it came to its end."""
        self.tell("Q")
        status = self.process.wait(PATIENCE_S)
        with self.said:
            self.said.wait_for(lambda: any(line.startswith("1..") for line in self.lines), PATIENCE_S)
            return status, [line for line in self.lines if line.startswith("not ok")], self.lines[-1]

    def kill(self):
        self.process.kill()
        self.process.wait()


class Watch:
    """Tells the command how much the host has left, and remembers the least that each machine had."""

    def __init__(self, host, machines):
        self.host, self.machines = host, machines
        self.is_over = threading.Event()
        self.least = {machine.name: MEMORY for machine in machines}
        self.most = 0
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def taken_mib(self):
        return sum(max(0, machine.resident_mib() - OWN_MIB) for machine in self.machines)

    def look(self):
        while not self.is_over.wait(LOOK_S):
            taken = self.taken_mib()
            self.host.tell(taken)
            self.most = max(self.most, taken)
            for machine in self.machines:
                self.least[machine.name] = min(self.least[machine.name], machine.actual_mib())

    def end(self):
        self.is_over.set()
        self.thread.join()


class Statements:
    def __init__(self):
        self.count = self.failed = 0

    def ok(self, is_true, text, detail=""):
        self.count += 1
        self.failed += not is_true
        print(f"{'ok' if is_true else 'not ok'} {self.count} - {text}", flush=True)
        if detail and not is_true:
            print(f"# {detail}", flush=True)


def becomes(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    return condition()


def balance(folder, host, machines):
    config, log = os.path.join(folder, "config"), os.path.join(folder, "log")
    with open(config, "w", encoding="ascii") as file:
        json.dump({"machines": [{"socket": machine.qmp_path, "name": machine.name, "floor": f"{FLOOR}M"}
                                for machine in machines]}, file)
    return subprocess.Popen(host.command(PARAVANE, "balance", config, "--interval", "0.2", "--reserve", f"{RESERVE}M",
                                         "--pressure", "100", "--log", log)), log


def in_turn(say, watch, busy, idle):
    """One comes to need much, while the other does not."""
    before = idle.actual_mib()
    watch.most = 0
    busy.use(MUCH)
    busy.uses(MUCH)
    has, other = busy.actual_mib(), idle.actual_mib()
    say.ok(has >= MUCH + MEMORY - OF_GUEST, f"{busy.name} has what it needs", f"{has} MiB")
    say.ok(FLOOR <= other < before, f"{idle.name} has less than before, and its floor", f"{before} MiB, then {other}")
    say.ok(watch.thread.is_alive() and watch.most <= HOST, "the host has enough all the while",
           f"{watch.most} of {HOST} MiB were taken")
    busy.use(LITTLE)
    busy.uses(LITTLE)


def squeeze(say, host, machines):
    """Somebody else takes all that the host has."""
    for machine in machines:
        machine.use(0)
        machine.uses(0)
    host.mib = RESERVE
    say.ok(becomes(lambda: all(FLOOR <= machine.actual_mib() <= FLOOR + STEP_MIN for machine in machines)),
           "on a host that has nothing left both go to their floors", [machine.actual_mib() for machine in machines])


def play(say, folder, machines):
    host = SmallHost(os.path.join(folder, "meminfo"), HOST)
    watch = Watch(host, machines)
    host.tell(watch.taken_mib())
    command, log = balance(folder, host, machines)
    try:
        say.ok(becomes(lambda: watch.taken_mib() <= HOST - RESERVE), "two idle machines make room for the host",
               f"{watch.taken_mib()} MiB are taken")
        for turn in range(4):
            in_turn(say, watch, machines[turn % 2], machines[1 - turn % 2])
        squeeze(say, host, machines)
        say.ok(command.poll() is None, "the command goes on all the while")
    finally:
        command.terminate()
        command.wait()
        watch.end()
        with open(log, encoding="utf-8") as file:
            print("".join("# " + line for line in file), end="")
    for machine in machines:
        say.ok(watch.least[machine.name] >= FLOOR, f"{machine.name} had never less than its floor",
               f"{watch.least[machine.name]} MiB")


def main():
    if os.geteuid() != 0:
        print("1..0 # SKIP a mount namespace needs root")
        return 0
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("1..0 # SKIP no /dev/kvm")
        return 0
    say, machines = Statements(), []
    with tempfile.TemporaryDirectory(prefix="pv-balance-", dir="/tmp") as folder:
        try:
            for name in ("one", "two"):
                machines.append(Machine(folder, name))
            play(say, folder, machines)
            for machine in machines:
                status, failed, last = machine.end()
                say.ok(status == 0 and not failed and last.startswith("1.."),
                       f"the guest of {machine.name} finds what it used as it was", f"{status} {failed} {last}")
        finally:
            for machine in machines:
                machine.kill()
    print(f"1..{say.count}")
    return say.failed > 0


sys.exit(main())
