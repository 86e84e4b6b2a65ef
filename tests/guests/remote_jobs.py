#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Machines whose devices are served elsewhere. In the box, or wherever there is a KVM."""

import hashlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

from bare_machine import Machine, say

PATIENCE_S = 60


class Server:
    """`paravane serve KIND`, which can be killed and started again."""

    def __init__(self, folder, kind, *options):
        self.path = os.path.join(folder, kind)
        self.argv = [os.environ["PARAVANE"], "serve", kind, "--socket-path", self.path, *options]
        self.start()

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_S
        while not os.path.exists(self.path) and time.monotonic() < deadline:
            time.sleep(0.02)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def disk_server(folder):
    path = os.path.join(folder, "image")
    with open(path, "wb") as image:
        image.truncate(1 << 20)
    return Server(folder, "blk", "--blk-file", path, "--num-queues", "2", "--locking", "off")


def devices(rng, blk, bus):
    return ["--rng", "off", "--device", f"vhost-user,type=rng,path={rng.path},bus={bus}",
            "--device", f"vhost-user,type=blk,path={blk.path},queues=2,bus={bus}"]


def served(folder):
    """The image of all our drivers finds a disk and an entropy device of other processes."""
    with Server(folder, "rng") as rng, disk_server(folder) as blk:
        for bus in ("pci", "mmio"):
            name = f"served, {bus}"
            with Machine(name, "scratch", *devices(rng, blk, bus), kernel="PAYLOAD") as machine:
                machine.finish()
                say("# devices: 2" in machine.lines(), f"{name}: it finds both", machine.obituary())


def killed(folder):
    """A back-end that is killed under load, and comes back: the guest's requests end well."""
    with Server(folder, "rng") as rng, disk_server(folder) as blk:
        with Machine("killed", "bench interrupts ms=8000", *devices(rng, blk, "pci"),
                     kernel="PAYLOAD") as machine:
            machine.wait_for("there is memory for it")
            for times in (1, 2, 3):
                time.sleep(0.2)
                blk.kill()
                blk.start()
                while machine.errors_text().count("connected again") < times and machine.is_alive():
                    time.sleep(0.02)
            machine.finish()
            say(machine.errors_text().count("connected again") == 3, "killed: it was found again each time",
                machine.errors_text())


def refused(folder):
    """What cannot be had is one sentence."""
    for value, words in ((f"vhost-user,type=rng,path={folder}/nobody", "no such socket; start the back-end first"),
                         (f"vhost-user,type=blk,path={folder}/rng", "no protocol feature CONFIG")):
        with Server(folder, "rng"), \
                Machine("refused", "scratch", "--device", value, kernel="PAYLOAD") as machine:
            say(machine.wait() == 1 and machine.errors_text().count("\n") == 1 and
                words in machine.errors_text(), f"refused: one sentence says {words}", machine.obituary())


INTERFACE, ADDRESS = "pvremote", "192.0.2.1"
DATA = bytes(i * 7 & 0xff for i in range(4 << 20))


def give_and_take(listener, taken):
    """One connection is given DATA, and from the next one it is taken."""
    with listener.accept()[0] as giving:
        giving.sendall(DATA)
    with listener.accept()[0] as taking:
        while data := taking.recv(1 << 16):
            taken.extend(data)


def ctl(qmp, *words):
    subprocess.run([os.environ["PARAVANE"], "ctl", qmp, *words], check=False, stdout=subprocess.DEVNULL)


def kernel(_folder):
    """A Linux guest on a tap that the kernel's vhost serves, with two pairs of queues."""
    if not os.path.exists("/dev/vhost-net"):
        print("# there is no /dev/vhost-net: nothing is tried", flush=True)
        return
    taken = bytearray()
    with Machine("kernel", "console=ttyS0 quiet panic=-1", "--initrd", os.environ["NET_RAMDISK"], "--cpus", "2",
                 "--net", f"vhost-kernel,ifname={INTERFACE},queues=2", kernel="NET_KERNEL",
                 memory="256M") as machine, socket.socket() as listener:
        while not os.path.exists(f"/sys/class/net/{INTERFACE}") and machine.is_alive():
            time.sleep(0.05)
        subprocess.run(["ip", "address", "add", ADDRESS + "/24", "dev", INTERFACE], check=True)
        subprocess.run(["ip", "link", "set", INTERFACE, "up"], check=True)
        listener.bind((ADDRESS, 9000))
        listener.listen()
        server = threading.Thread(target=give_and_take, args=(listener, taken), daemon=True)
        server.start()
        server.join(60)
        for is_up, seen in ("false", "cable 0"), ("true", "cable 1"):
            ctl(machine.qmp_path, "set_link", "name=net0", "up=" + is_up)
            deadline = time.monotonic() + 30
            while seen not in "\n".join(machine.lines()) and time.monotonic() < deadline:
                time.sleep(0.1)
            say(seen in "\n".join(machine.lines()), f"kernel: the cable is told: {seen}")
        say(machine.wait() == 0, "kernel: the guest comes to its end", machine.obituary())
        text = "\n".join(machine.lines())
        say("queues 2" in text, "kernel: the driver uses both pairs", text)
        say("carrier 1" in text, "kernel: the cable is in", text)
        say(" 3 packets received" in text, "kernel: packets go to and fro", text)
        say(hashlib.md5(DATA).hexdigest() in text, "kernel: the guest receives what was sent", text)
        say(bytes(taken) == DATA, "kernel: and sends it back", f"{len(taken)} bytes")


JOBS = {job.__name__: job for job in (served, killed, refused, kernel)}


def main():
    for name in sys.argv[1:] or JOBS:
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            JOBS[name](folder)
        print(f"# {name} took {time.monotonic() - begin:.1f} s", flush=True)
    print("@@case all 0", flush=True)


main()
