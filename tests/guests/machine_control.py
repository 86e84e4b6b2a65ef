#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Inside the box: machines that are controlled over QMP while their guests work, and one that is
killed. Prints what it finds in the lines that guests speak too.

    machine_control.py PARAVANE ROUNDS OPTION...    the options of every machine
"""

import contextlib
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, os.pardir, "support"))
os.environ["PARAVANE"] = sys.argv[1]

import serving  # pylint: disable=wrong-import-position

ROUNDS = int(sys.argv[2])
FOLDER = tempfile.mkdtemp()
DISK = os.path.join(FOLDER, "disk.img")
SOCKET = os.path.join(FOLDER, "qmp")
BEFORE_MIB, AFTER_MIB = 64, 96
START_S = 150
# A guest that is busy hears its button late.
ANSWER_S = 100
# Longer than what a guest calls locked up.
LONG_STOP_S = 22


def say(kind, *words):
    print(f"@@{kind}", *words, flush=True)


def ok(is_true, text):
    say("ok" if is_true else "bad", text)


def same(text, got, wanted):
    ok(got == wanted, text if got == wanted else f"{text} (got {got!r}, wanted {wanted!r})")


class Machine:
    """A machine of ours; what its guest says is passed on, and remembered."""

    def __init__(self, words, *options, disk=DISK, keys=""):
        with open(disk, "wb") as image:
            image.truncate(BEFORE_MIB << 20)
        append = f"console=null quiet panic=-1 LINE=/dev/ttyS0 LEGACY=0 {words}"
        self.process = subprocess.Popen(
            [sys.argv[1], "run", *sys.argv[3:], "--append", append, "--qmp", "unix:" + SOCKET,
             "--disk", f"path={disk},id=disk{keys}", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.heard = []
        self.listener = threading.Thread(target=self.listen)
        self.listener.start()
        self.qmp = serving.Qmp(SOCKET)
        self.qmp.socket.settimeout(ANSWER_S)

    def listen(self):
        for line in self.process.stdout:
            self.heard.append(line)
            if "the guest runs" not in line:
                print(line, end="", flush=True)

    def wait_until_guest_runs(self, times=1):
        deadline = time.monotonic() + START_S
        while sum("the guest runs" in line for line in self.heard) < times:
            if time.monotonic() > deadline or self.process.poll() is not None:
                say("bad", "the guest runs")
                self.process.kill()
                sys.exit(1)
            time.sleep(0.05)

    def status(self):
        return self.qmp.command("query-status")["status"]

    def end(self):
        status = self.process.wait()
        self.listener.join()
        self.qmp.close()
        return status


def requests(counters):
    return {name: value for name, value in counters.items() if "requests" in name}


def nothing_moves(machine):
    before = requests(machine.qmp.counters()), os.stat(DISK).st_mtime_ns
    time.sleep(0.3)
    same("a stopped machine's disk is at rest",
         (requests(machine.qmp.counters()), os.stat(DISK).st_mtime_ns), before)


def stop_and_cont(machine):
    qmp, odd = machine.qmp, 0
    for _ in range(ROUNDS):
        time.sleep(random.uniform(0, 0.05))
        qmp.command("stop")
        odd += machine.status() != "paused"
        qmp.wait_for("STOP")
        time.sleep(random.uniform(0, 0.01))
        qmp.command("cont")
        odd += machine.status() != "running"
        qmp.wait_for("RESUME")
    same(f"stop and cont, {ROUNDS} times, and query-status says so", odd, 0)
    qmp.command("stop")
    qmp.command("stop")
    nothing_moves(machine)
    time.sleep(LONG_STOP_S)
    qmp.command("cont")
    qmp.command("cont")
    qmp.wait_for("STOP")
    qmp.wait_for("RESUME")
    same("who is stopped is not stopped again",
         [event["event"] for event in qmp.events if event["event"] in ("STOP", "RESUME")], [])


def reset_while_stopped(machine):
    machine.qmp.command("stop")
    machine.qmp.command("system_reset")
    machine.qmp.wait_for("RESET")
    same("a reset leaves a stopped machine stopped", machine.status(), "paused")
    machine.qmp.command("cont")
    machine.wait_until_guest_runs(2)
    ok(True, "after cont it comes up again")


def questions(machine):
    cpus = machine.qmp.command("query-cpus-fast")
    tasks = os.listdir(f"/proc/{machine.process.pid}/task")
    ok(len(cpus) == 2 and all(str(cpu["thread-id"]) in tasks for cpu in cpus),
       "query-cpus-fast names its processors' threads")
    same("query-kvm", machine.qmp.command("query-kvm"), {"enabled": True, "present": True})
    processors = machine.qmp.command("query-stats", target="vcpu")
    same("query-stats has an entry for each processor",
         [entry["qom-path"] for entry in processors], ["/cpu0", "/cpu1"])
    exits = {stat["name"]: stat["value"] for stat in processors[0]["stats"]}
    ok(exits["port-writes"] > 0 and
       exits["exits"] == sum(value for name, value in exits.items() if name != "exits"),
       f"a processor's exits are those of all kinds: {exits}")
    other = machine.qmp.command("query-stats", target="vcpu", vcpus=["/cpu1"])
    same("one processor can be asked for", [entry["qom-path"] for entry in other], ["/cpu1"])


def summed(machine, target, name, path):
    """A counter, added up over all that have a path which begins so."""
    return sum(stat["value"]
               for entry in machine.qmp.command("query-stats", target=target)
               if entry["qom-path"].startswith(path)
               for stat in entry["stats"] if stat["name"] == name)


def doorbells(machine, acknowledges_interrupts):
    """Kicks do not bring a processor to the monitor: what comes there under load is far less."""
    def look():
        return [summed(machine, "vm", "kicks", "/disk/"), summed(machine, "vcpu", "mmio-writes", "/cpu"),
                summed(machine, "vcpu", "mmio-reads", "/cpu")]

    before = look()
    deadline = time.monotonic() + ANSWER_S
    while look()[0] < before[0] + 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    kicks, writes, reads = [after - then for after, then in zip(look(), before)]
    # One that acknowledges an interrupt reads a register before it writes another.
    left = writes - reads if acknowledges_interrupts else writes + reads
    ok(kicks >= 200 and left <= kicks / 10,
       f"doorbells are answered in the kernel: {kicks} kicks, {writes} writes, {reads} reads")


NONSENSE = [b"", b"\xff" * 5000, b'{"execute":', b'"' + b"x" * 2000000, b"[" * 100000, b"\0\n" * 1000,
            b'{"execute": "stop", "arguments": {"what": 1}}\n',
            b'{"execute": "qmp_capabilities"}\n{"execute": "system_reset_now"}\n' * 500]


def wait_for_room():
    """A client that comes while those before are still being shown out is shown out with them."""
    deadline = time.monotonic() + ANSWER_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, RuntimeError):
            serving.Qmp(SOCKET).close()
            return True
        time.sleep(0.1)
    return False


def nonsense(machine):
    """Fifty clients at a time who talk nonsense, listen or do not, and leave."""
    clients = []
    for i in range(50):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(0.2)
        clients.append(client)
        # Those that are too many are shown the door, and who is not listened to may not go on for ever.
        with contextlib.suppress(OSError):
            client.connect(SOCKET)
            client.sendall(NONSENSE[i % len(NONSENSE)])
            if i % 2:
                client.recv(65536)
    same("fifty clients talk nonsense, and the machine runs", machine.status(), "running")
    for client in clients:
        client.close()
    ok(wait_for_room(), "and there is room again")


def on_mmio():
    machine = Machine("", keys=",bus=mmio,queues=1")
    machine.wait_until_guest_runs()
    doorbells(machine, True)
    machine.qmp.command("system_powerdown")
    say("case", "mmio", machine.end())


def controlled():
    machine = Machine("")
    machine.wait_until_guest_runs()
    questions(machine)
    nonsense(machine)
    doorbells(machine, False)
    stop_and_cont(machine)
    reset_while_stopped(machine)
    same("block_resize under load",
         machine.qmp.command("block_resize", device="disk", size=AFTER_MIB << 20), {})
    time.sleep(1)
    machine.qmp.command("system_powerdown")
    machine.qmp.wait_for("POWERDOWN")
    data = machine.qmp.wait_for("SHUTDOWN")
    same("SHUTDOWN says that it was the guest", data,
         {"guest": True, "reason": "guest-shutdown"})
    say("case", "controlled", machine.end())


def killed():
    machine = Machine("CRASHES=1")
    machine.wait_until_guest_runs()
    time.sleep(3)
    machine.process.send_signal(signal.SIGKILL)
    machine.end()
    fsck = subprocess.run(["/sbin/e2fsck", "-fy", DISK], capture_output=True, check=False)
    ok(fsck.returncode in (0, 1), "after kill -9 e2fsck replays the journal")
    fsck = subprocess.run(["/sbin/e2fsck", "-fn", DISK], capture_output=True, check=False)
    same("and then finds it clean", fsck.returncode, 0)
    kept = subprocess.run(["/sbin/debugfs", "-R", "cat /kept", DISK], capture_output=True,
                          check=True).stdout
    digest = hashlib.sha256(kept).hexdigest()
    ok(any(line.strip() == f"@@is kept {digest}" for line in machine.heard),
       "what was synced is whole")
    say("case", "killed", 0)


def full():
    """A disk that is full stops the whole machine, which goes on where it was when there is room."""
    small = serving.SmallDisk(os.path.join(FOLDER, "small"), "512k")
    machine = Machine("", disk=os.path.join(small.folder, "disk.img"), keys=",werror=stop")
    failure = machine.qmp.wait_for("BLOCK_IO_ERROR")
    same("a full disk is told", [failure["device"], failure["action"], failure["nospace"]],
         ["disk", "stop", True])
    machine.qmp.wait_for("STOP")
    same("and has stopped the machine", machine.status(), "io-error")
    small.resize("64m")
    machine.qmp.command("cont")
    machine.qmp.wait_for("RESUME")
    same("with room it goes on", machine.status(), "running")
    machine.qmp.command("system_powerdown")
    say("case", "full", machine.end())
    small.end()


def panicked():
    machine = Machine("PANICS=1", "--on-panic", "pause")
    for times in (1, 2):
        machine.wait_until_guest_runs(times)
        same(f"a panic is told, time {times}", machine.qmp.wait_for("GUEST_PANICKED"),
             {"action": "pause"})
        machine.qmp.wait_for("STOP")
        same("the guest waits where it panicked", machine.status(), "guest-panicked")
        machine.qmp.command("system_reset")
        machine.qmp.wait_for("RESET")
        same("a reset puts an end to that", machine.status(), "paused")
        machine.qmp.command("cont")
    machine.qmp.command("quit")
    say("case", "panicked", machine.end())
    same("a panic ends the program with a status of its own", Machine("PANICS=1").end(), 4)


try:
    controlled()
    on_mmio()
    full()
    panicked()
    killed()
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
