#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The image of our drivers on QEMU's devices: each driver, each device, in all variants, on its machines;
and the image's self tests in a host process, on devices that are served at a vhost-user socket.

    matrix.py [WORD...]    those rows that have all the words
    matrix.py --kvm        a handful of them, on KVM

Each row is a machine of its own, emulated unless it is said, with one device to test or several, or a process
that serves one. It passes when the self tests say so of every device, down to the last line. The table at
the end says it for each.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

QEMU = "qemu-system-x86_64"
DAEMON = "qemu-storage-daemon"
PAYLOAD = os.environ["PAYLOAD"]
# What serves devices, and what is on them then; without the two there are no such rows.
PARAVANE = os.environ.get("PARAVANE")
HOSTED = os.environ.get("HOSTED_PAYLOAD")
SERVERS = [DAEMON, "paravane serve"]
# Our own machine, which needs a KVM.
RUN = "paravane run"
DISK_MIB = 8
# A KVM may be emulated itself.
LIMITS_S = {"TCG": 60, "KVM": 120}
SERVED_LIMIT_S = 30
# Features by their bits, as the image says them.
FEATURES = {"VERSION_1": 32, "ACCESS_PLATFORM": 33, "PACKED": 34, "RING_RESET": 40, "INDIRECT": 28,
            "EVENT_IDX": 29, "MQ": 12, "IN_ORDER": 35, "MRG_RXBUF": 15, "CTRL_VQ": 17, "MULTIPORT": 1,
            "EMERG_WRITE": 2, "STATS": 1, "OOM": 2, "POISON": 4, "REPORTING": 5}

MACHINES = {
    "q35": ["-M", "q35"],
    "pc": ["-M", "pc"],
    "q35 with an IOMMU": ["-M", "q35,kernel-irqchip=split", "-device", "intel-iommu"],
    "microvm": ["-M", "microvm"],
    "microvm, modern": ["-M", "microvm", "-global", "virtio-mmio.force-legacy=false"],
}

# Driver, machine, options of the device, features that there must be and must not be.
ROWS = [
    ("blk", "q35", "", "VERSION_1 INDIRECT EVENT_IDX", "PACKED"),
    ("blk", "pc", "", "VERSION_1", ""),
    ("blk", "pc", "disable-legacy=on", "VERSION_1", ""),
    ("blk", "q35", "disable-legacy=off", "VERSION_1", ""),
    ("blk", "q35", "packed=on", "PACKED", ""),
    ("blk", "q35", "packed=on,event_idx=off", "PACKED", "EVENT_IDX"),
    ("blk", "q35", "packed=on,indirect_desc=off", "PACKED", "INDIRECT"),
    ("blk", "q35", "event_idx=off", "", "EVENT_IDX"),
    ("blk", "q35", "indirect_desc=off", "", "INDIRECT"),
    ("blk", "q35", "event_idx=off,indirect_desc=off", "", "EVENT_IDX INDIRECT"),
    ("blk", "q35", "queue-size=8", "", ""),
    ("blk", "q35", "queue-size=8,packed=on,indirect_desc=off", "PACKED", "INDIRECT"),
    ("blk", "q35", "queue-size=1024", "", ""),
    ("blk", "q35", "num-queues=4", "MQ", ""),
    ("blk", "q35", "num-queues=4,packed=on", "MQ PACKED", ""),
    ("blk", "q35", "queue_reset=off", "", "RING_RESET"),
    ("blk", "q35", "disable-legacy=on,iommu_platform=on", "ACCESS_PLATFORM", ""),
    ("blk", "q35 with an IOMMU", "disable-legacy=on,iommu_platform=on", "ACCESS_PLATFORM", ""),
    ("blk", "q35", "page-per-vq=on", "", ""),
    ("blk", "q35", "modern-pio-notify=on", "", ""),
    ("blk", "q35", "vectors=0", "", ""),
    ("blk", "q35", "discard=off,write-zeroes=off", "", ""),
    ("blk", "q35", "config-wce=off", "", ""),
    ("blk", "q35", "seg-max-adjust=off,queue-size=16", "", ""),
    ("blk", "q35", "logical_block_size=4096,physical_block_size=4096", "", ""),
    ("blk", "q35", "disable-legacy=off,disable-modern=on", "", "VERSION_1"),
    ("blk", "pc", "disable-modern=on,num-queues=4", "MQ", "VERSION_1"),
    ("blk", "pc", "disable-modern=on,queue-size=1024,event_idx=off,indirect_desc=off", "",
     "VERSION_1 EVENT_IDX INDIRECT"),
    ("blk", "pc", "disable-modern=on,vectors=0", "", "VERSION_1"),
    ("blk", "microvm, modern", "", "VERSION_1", ""),
    ("blk", "microvm, modern", "packed=on", "PACKED", ""),
    ("blk", "microvm, modern", "num-queues=4,event_idx=off", "MQ", "EVENT_IDX"),
    ("blk", "microvm", "", "", "VERSION_1"),
    ("blk", "microvm", "indirect_desc=off,event_idx=off", "", "VERSION_1 INDIRECT EVENT_IDX"),
    ("rng", "q35", "", "", ""),
    ("rng", "pc", "disable-legacy=on", "", ""),
    ("rng", "q35", "packed=on", "", ""),
    ("rng", "q35", "event_idx=off,indirect_desc=off", "", ""),
    ("rng", "q35", "max-bytes=16,period=10", "", ""),
    ("rng", "q35", "disable-legacy=on,iommu_platform=on", "", ""),
    ("rng", "pc", "disable-modern=on", "", ""),
    ("rng", "microvm, modern", "", "", ""),
    ("rng", "microvm", "", "", ""),
    ("net", "q35", "", "VERSION_1 MRG_RXBUF CTRL_VQ", "PACKED"),
    ("net", "q35", "packed=on", "PACKED", ""),
    ("net", "q35", "mrg_rxbuf=off,event_idx=off", "", "MRG_RXBUF EVENT_IDX"),
    ("net", "q35", "indirect_desc=off,ctrl_vq=off", "", "INDIRECT CTRL_VQ"),
    ("net", "q35", "disable-legacy=on,iommu_platform=on", "", ""),
    ("net", "pc", "disable-modern=on", "", "VERSION_1"),
    ("net", "pc", "disable-modern=on,any_layout=off,mrg_rxbuf=off", "", "VERSION_1 MRG_RXBUF"),
    ("net", "microvm", "", "", "VERSION_1"),
    ("net", "microvm, modern", "", "VERSION_1", ""),
    ("net echo", "q35", "", "", ""),
    ("net echo", "q35", "packed=on,mrg_rxbuf=off", "PACKED", "MRG_RXBUF"),
    ("net", RUN, "tap user tap,bus=mmio user,bus=mmio", "VERSION_1 PACKED MRG_RXBUF CTRL_VQ", ""),
    ("net echo", RUN, "echo echo,bus=mmio", "VERSION_1 PACKED MRG_RXBUF CTRL_VQ", ""),
    ("net echo", RUN, "echo,packed=off echo,bus=mmio,packed=off", "VERSION_1", "PACKED"),
    ("bench net", "q35", "", "", ""),
    ("serial", "q35", "", "VERSION_1 MULTIPORT EMERG_WRITE RING_RESET EVENT_IDX", "PACKED"),
    ("serial", "q35", "packed=on", "PACKED MULTIPORT", ""),
    ("serial", "q35", "packed=on,event_idx=off,indirect_desc=off", "PACKED", "EVENT_IDX"),
    ("serial", "q35", "queue_reset=off,emergency-write=off,event_idx=off", "MULTIPORT",
     "RING_RESET EMERG_WRITE EVENT_IDX"),
    ("serial", "q35", "vectors=0", "", ""),
    ("serial", "q35 with an IOMMU", "disable-legacy=on,iommu_platform=on", "ACCESS_PLATFORM", ""),
    ("serial", "pc", "disable-modern=on", "MULTIPORT", "VERSION_1"),
    ("serial", "microvm, modern", "", "VERSION_1 MULTIPORT", ""),
    ("serial", "microvm", "", "MULTIPORT", "VERSION_1"),
    ("serial console", "q35", "max_ports=1", "VERSION_1", "MULTIPORT"),
    ("bench serial", "q35", "", "MULTIPORT", ""),
    ("balloon", "q35", "", "VERSION_1 STATS RING_RESET EVENT_IDX", "PACKED REPORTING OOM"),
    ("balloon", "q35", "packed=on,free-page-reporting=on", "PACKED REPORTING", "POISON"),
    ("balloon", "q35", "packed=on,event_idx=off,indirect_desc=off,free-page-reporting=on", "PACKED REPORTING",
     "EVENT_IDX INDIRECT"),
    ("balloon", "q35", "deflate-on-oom=on,queue_reset=off,event_idx=off", "OOM", "RING_RESET EVENT_IDX"),
    ("balloon", "q35", "free-page-hint=on,iothread=thread,free-page-reporting=on", "REPORTING", ""),
    ("balloon", "q35 with an IOMMU", "disable-legacy=on,iommu_platform=on,free-page-reporting=on",
     "ACCESS_PLATFORM REPORTING", ""),
    ("balloon", "pc", "disable-modern=on,free-page-reporting=on", "STATS REPORTING", "VERSION_1"),
    ("balloon", "microvm, modern", "", "VERSION_1 STATS", ""),
    ("balloon", "microvm", "free-page-reporting=on", "STATS REPORTING", "VERSION_1"),
    ("bench balloon", "q35", "", "VERSION_1", ""),
    ("balloon", RUN, "on", "VERSION_1 PACKED INDIRECT EVENT_IDX STATS OOM REPORTING", "POISON"),
    ("balloon", RUN, "on,bus=mmio,free-page-reporting=off,deflate-on-oom=off", "VERSION_1 PACKED STATS",
     "REPORTING OOM"),
    ("balloon", RUN, "on,no-packed=on", "VERSION_1 STATS REPORTING", "PACKED"),
    ("several", "q35", "", "", ""),
    ("several", "microvm", "", "", ""),
    ("read-only", "q35", "", "", ""),
    ("bench", "q35", "", "", ""),
    ("bench", "microvm", "", "", ""),
    ("bench by interrupts", "q35", "", "", ""),
    ("bench by interrupts", "microvm", "", "", ""),
    ("several in ring 3", "q35", "", "", ""),
    ("several in ring 3", "pc", "", "", ""),
    ("several in ring 3", "pc", "disable-modern=on", "", "VERSION_1"),
    ("several in ring 3", "microvm", "", "", ""),
    ("blk", "q35", "num-queues=4,vectors=2", "MQ", ""),
    ("bench in ring 3", "q35", "", "", ""),
    ("blk", DAEMON, "", "VERSION_1 INDIRECT EVENT_IDX", "PACKED"),
    ("blk", DAEMON, "num-queues=4", "MQ", ""),
    ("blk", DAEMON, "num-queues=4,without=28,without=29", "MQ", "INDIRECT EVENT_IDX"),
    ("blk", DAEMON, "logical-block-size=4096", "", ""),
    ("read-only", DAEMON, "", "", ""),
    ("blk", "paravane serve", "--in-order", "PACKED INDIRECT EVENT_IDX IN_ORDER", ""),
    ("blk", "paravane serve", "--in-order,without=34", "IN_ORDER", "PACKED"),
    ("blk", "paravane serve", "--num-queues=4", "PACKED MQ", ""),
    ("blk", "paravane serve", "--num-queues=4,without=34", "MQ", "PACKED"),
    ("blk", "paravane serve", "without=28,without=29", "PACKED", "INDIRECT EVENT_IDX"),
    ("blk", "paravane serve", "without=34,without=35,without=28", "EVENT_IDX", "PACKED IN_ORDER INDIRECT"),
    ("read-only", "paravane serve", "", "", ""),
    ("rng", "paravane serve", "", "", ""),
    ("rng", "paravane serve", "without=34", "", ""),
    ("net", "paravane serve", "", "PACKED MRG_RXBUF", ""),
    ("net", "paravane serve", "without=34,without=15", "", "PACKED MRG_RXBUF"),
    ("net", "paravane serve", "without=28,without=29,without=57", "PACKED", "INDIRECT EVENT_IDX"),
    ("balloon", "paravane serve", "", "VERSION_1 PACKED INDIRECT EVENT_IDX STATS OOM REPORTING", "POISON IN_ORDER"),
    ("balloon", "paravane serve", "--in-order", "PACKED IN_ORDER REPORTING", ""),
    ("balloon", "paravane serve", "--in-order,without=34", "IN_ORDER REPORTING", "PACKED"),
    ("balloon", "paravane serve", "--no-packed,--free-page-reporting=off,--deflate-on-oom=off", "STATS",
     "PACKED REPORTING OOM"),
    ("balloon", "paravane serve", "without=1,without=28,without=29", "PACKED REPORTING", "STATS INDIRECT EVENT_IDX"),
]
# One of each way to registers and to interrupts, and of what only KVM does in a way of its own.
ROWS_ON_KVM = ["blk, pc, disable-modern=on,num-queues=4", "blk, q35, num-queues=4,packed=on",
               "blk, q35 with an IOMMU, disable-legacy=on,iommu_platform=on",
               "blk, microvm, modern, num-queues=4,event_idx=off", "several, q35",
               "several in ring 3, microvm", "net, paravane run, tap user tap,bus=mmio user,bus=mmio",
               "net echo, paravane run, echo echo,bus=mmio",
               "net echo, paravane run, echo,packed=off echo,bus=mmio,packed=off",
               "balloon, paravane run, on",
               "balloon, paravane run, on,bus=mmio,free-page-reporting=off,deflate-on-oom=off",
               "balloon, paravane run, on,no-packed=on"]
ACCELERATORS = {"TCG": ["-accel", "tcg", "-cpu", "max"], "KVM": ["-accel", "kvm", "-cpu", "host"]}
# What the image is told to do.
BENCH = "bench ms=200 depth=8"
WORDS = {"net": "", "serial": "", "serial console": "", "bench serial": BENCH, "balloon": "", "bench balloon": f"{BENCH} balloon=16", "net echo": "net-echo", "bench net": f"{BENCH} bytes=64 net-echo", "bench": BENCH, "bench by interrupts": f"{BENCH} interrupts", "bench in ring 3": f"{BENCH} ring=3",
         "several in ring 3": "scratch ring=3"}

BUS_SUFFIX = {"microvm": "device", "microvm, modern": "device"}


def name_of(words):
    return ", ".join(filter(None, words[:3]))


class Row:
    def __init__(self, words, folder, accelerator):
        self.accelerator = accelerator
        self.driver, self.machine, self.options, wanted, unwanted = words
        self.wanted, self.unwanted = wanted.split(), unwanted.split()
        self.folder = folder
        self.disks = 0

    def image(self):
        path = os.path.join(self.folder, f"disk{self.disks}")
        with open(path, "wb") as file:
            file.truncate(DISK_MIB << 20)
        self.disks += 1
        return path

    def disk(self, readonly=False):
        path = self.image()
        node = f"disk{self.disks}"
        return ["-blockdev", f"driver=file,node-name={node},filename={path},discard=unmap"
                             f",read-only={'on' if readonly else 'off'}",
                "-device", self.device("virtio-blk", f"drive={node}")]

    def device(self, model, options=""):
        suffix = BUS_SUFFIX.get(self.machine, "pci")
        return ",".join(filter(None, [f"{model}-{suffix}", options, self.options]))

    def network(self, backend, options=""):
        return ["-netdev", f"{backend},id=net{options}", "-device", self.device("virtio-net", "netdev=net")]

    def echo(self):
        """Somebody who sends back what he gets, and QEMU's options to reach him."""
        ours, theirs = (os.path.join(self.folder, name) for name in ("echo", "qemu"))
        there = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        there.bind(ours)

        def work():
            while True:
                frame = there.recv(1 << 16)
                try:
                    there.sendto(frame, theirs)
                except OSError:
                    return
        threading.Thread(target=work, daemon=True).start()
        return f",local.type=unix,local.path={theirs},remote.type=unix,remote.path={ours}"

    def serial(self):
        """A device with a console, which goes to a file, and with ports: to somebody who sends back what he gets,
        who sends without an end, who only listens."""
        words = ["-device", self.device("virtio-serial"),
                 "-chardev", f"file,id=console,path={os.path.join(self.folder, 'console')}",
                 "-device", "virtconsole,chardev=console"]
        if self.driver == "serial console":
            return words
        for name in ("echo", "source", "sink") if self.driver == "bench serial" else ("echo",):
            path = os.path.join(self.folder, name)
            there = socket.socket(socket.AF_UNIX)
            there.bind(path)
            there.listen()
            threading.Thread(target=self.other_end, args=(name, there), daemon=True).start()
            words += ["-chardev", f"socket,id={name},path={path}", "-device",
                      f"virtserialport,chardev={name},name={name}"]
        return words

    @staticmethod
    def other_end(name, there):
        peer, _ = there.accept()
        try:
            if name == "source":
                while True:
                    peer.sendall(bytes(1 << 16))
            while data := peer.recv(1 << 16):
                if name == "echo":
                    peer.sendall(data)
        except OSError:
            pass

    def devices(self):
        """What QEMU is given, and how many that is."""
        if self.driver == "blk":
            return self.disk(), 1
        if self.driver == "rng":
            return ["-device", self.device("virtio-rng")], 1
        if self.driver == "net":
            return self.network("user"), 1
        if "serial" in self.driver:
            return self.serial(), 1
        if "balloon" in self.driver:
            return ["-object", "iothread,id=thread", "-device", self.device("virtio-balloon")], 1
        if self.driver in ("net echo", "bench net"):
            return self.network("dgram", self.echo()), 1
        if self.driver.startswith("bench"):
            return self.disk() + ["-device", self.device("virtio-rng")], 2
        if self.driver == "read-only":
            return self.disk(readonly=True), 1
        return self.disk() + self.disk() + 2 * ["-device", self.device("virtio-rng")], 4

    def machine_command(self):
        """What to start, and how many devices it has."""
        devices, count = self.devices()
        return [QEMU, *ACCELERATORS[self.accelerator], "-m", "64M", "-display", "none", "-nodefaults",
                "-no-user-config", "-no-reboot", "-serial", "stdio", "-kernel", PAYLOAD,
                "-append", WORDS.get(self.driver, "scratch"), *MACHINES[self.machine], *devices], count

    def verdict(self):
        """Empty: it has passed; otherwise why not. And what it said."""
        command, count = self.machine_command()
        limit_s = LIMITS_S[self.accelerator]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=limit_s, check=False)
        except subprocess.TimeoutExpired as late:
            return f"no end within {limit_s} s", (late.stdout or b"").decode(errors="replace")
        said = done.stdout.decode(errors="replace").replace("\r", "")
        return self.complaint(said, count), said

    def complaint(self, said, count):
        statements = re.findall(r"^(not ok|ok) (\d+) - (.*)$", said, re.M)
        failed = [text for kind, _, text in statements if kind != "ok"]
        if failed:
            return failed[0]
        if "Bail out!" in said:
            return said[said.index("Bail out!"):].splitlines()[0]
        if not statements or f"\n1..{len(statements)}\n" not in said:
            return "it does not come to its end"
        if f"# devices: {count}\n" not in said:
            return f"it does not find {count}"
        if self.driver.startswith("bench") and not re.search(r"(reads|back|written|read|inflated) a second [1-9]", said):
            return "it measures nothing"
        return (self.complaint_about_waiting(said, count) or self.complaint_about_features(said)
                or self.complaint_about_console())

    def complaint_about_console(self):
        """What is said about a serial device is said on its console, too."""
        if self.driver not in ("serial", "serial console"):
            return ""
        with open(os.path.join(self.folder, "console"), encoding="utf-8") as file:
            told = file.read()
        if "not ok" in told or not re.search(r"^ok 1 - it has a port$", told, re.M):
            return "its console does not say so"
        plans = re.findall(r"^1\.\.\d+$", told, re.M)
        ways = 1 if "vectors=0" in self.options else 2
        return "" if len(plans) == ways else f"its console says {len(plans)} plans"

    def complaint_about_waiting(self, said, count):
        """Both rings are as fast here: the image is in ring 0, where it sleeps, if it is not told otherwise."""
        told_ring_3 = "ring 3" in self.driver
        if not re.search(r"^# ring 3: so it was told$" if told_ring_3 else r"^# ring 0: a loop", said, re.M):
            return "it is in the wrong ring"
        if self.driver in ("bench", "bench in ring 3", "bench net", "bench serial", "bench balloon"):
            return "it sleeps" if "by interrupts" in said else ""
        # QEMU's balloon has none on PCI.
        has_no_vectors = "vectors=0" in self.options or (self.driver == "balloon" and "microvm" not in self.machine
                                                                and self.machine != RUN)
        why_not = "ring 3 polls" if told_ring_3 else "no MSI-X" if has_no_vectors else ""
        skipped = re.findall(r"# SKIP (.*)$", said, re.M)
        if skipped != (count * [why_not] if why_not else []):
            return f"it does not sleep: {skipped[0]}" if skipped else "it sleeps"
        taken = re.findall(r"^# \S+ \S+ interrupts(?: in 1000 \S+)? [1-9]", said, re.M)
        return "" if why_not or len(taken) == count else "a device does not interrupt"

    def complaint_about_features(self, said):
        for features in map(int, re.findall(r"features (\d+)", said)):
            missing = [name for name in self.wanted if not features >> FEATURES[name] & 1]
            if missing:
                return f"without {' '.join(missing)}"
            extra = [name for name in self.unwanted if features >> FEATURES[name] & 1]
            if extra:
                return f"with {' '.join(extra)}"
        return ""


class RunRow(Row):
    """Networks of ours, each a word, or a balloon, in a machine of ours."""

    def machine_command(self):
        option = "--balloon" if self.driver == "balloon" else "--net"
        devices = [word for device in self.options.split() for word in (option, device)]
        return [PARAVANE, "run", "--memory", "64M", "--rng", "off", "--kernel", PAYLOAD, "--append",
                WORDS[self.driver] or "scratch", *devices], len(self.options.split())


class ServedRow(Row):
    """A device that a process serves, and the self tests in another."""

    def server(self, path):
        options = [word for word in self.options.split(",") if word and not word.startswith("without=")]
        if self.machine == DAEMON:
            writable = "off" if self.driver == "read-only" else "on"
            return [DAEMON, "--blockdev", f"driver=file,node-name=disk,filename={self.image()},discard=unmap",
                    "--export", ",".join(["type=vhost-user-blk,id=disk,node-name=disk,addr.type=unix",
                                          f"addr.path={path},writable={writable}", *options])]
        if self.driver in ("rng", "balloon"):
            return [PARAVANE, "serve", self.driver, "--socket-path", path, *options]
        if self.driver == "net":
            return [PARAVANE, "serve", "net", "--socket-path", path, "--backend", "echo", *options]
        return [PARAVANE, "serve", "blk", "--socket-path", path, "--blk-file", self.image(),
                *(["--read-only"] if self.driver == "read-only" else []), *options]

    def verdict(self):
        path = os.path.join(self.folder, "socket")
        words = [word for word in self.options.split(",") if word.startswith("without=")]
        with subprocess.Popen(self.server(path), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                deadline = time.monotonic() + SERVED_LIMIT_S
                while not os.path.exists(path):
                    if server.poll() is not None or time.monotonic() > deadline:
                        return f"{self.machine} does not serve", ""
                    time.sleep(0.01)
                done = subprocess.run([HOSTED, "blk" if self.driver == "read-only" else self.driver, path, "scratch",
                                       "net-echo", *words],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, timeout=SERVED_LIMIT_S, check=False)
            except subprocess.TimeoutExpired as late:
                return f"no end within {SERVED_LIMIT_S} s", (late.stdout or b"").decode(errors="replace")
            finally:
                server.kill()
        return self.complaint(done.stdout, 1), done.stdout

    def complaint_about_waiting(self, said, count):
        return "" if re.search(r"interrupts [1-9]", said) else "a device does not interrupt"


def class_of(machine):
    return ServedRow if machine in SERVERS else RunRow if machine == RUN else Row


def can_be_had(machine):
    if machine == RUN:
        return PARAVANE and sys.argv[1:] == ["--kvm"]
    if machine not in SERVERS:
        return True
    return HOSTED and PARAVANE and (machine != DAEMON or shutil.which(DAEMON))


def main():
    if not shutil.which(QEMU):
        print(f"1..0 # SKIP no {QEMU} (package qemu-system-x86)")
        return 0
    rows = [row for row in ROWS if can_be_had(row[1])]
    table, failures = [], 0
    if sys.argv[1:] == ["--kvm"]:
        accelerator, chosen = "KVM", [row for row in rows if name_of(row) in ROWS_ON_KVM]
        assert len(chosen) == len(ROWS_ON_KVM)
    else:
        accelerator, chosen = "TCG", [row for row in rows if all(word in " ".join(row) for word in sys.argv[1:])]
    for number, words in enumerate(chosen, 1):
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="pv-payload-") as folder:
            row = class_of(words[1])(words, folder, accelerator)
            complaint, said = row.verdict()
        failures += bool(complaint)
        print(f"{'not ok' if complaint else 'ok'} {number} - {name_of(words)}", flush=True)
        if complaint:
            print("\n".join("#   " + line for line in said.splitlines()[-30:]), flush=True)
        remarks = re.findall(r"^# .* (but .*)$", said, re.M)
        table.append((row.driver, row.machine, row.options or "as it comes",
                      ", ".join([complaint or "passed", *dict.fromkeys(remarks)]), time.monotonic() - begin))
    print(f"1..{len(chosen)}")
    for driver, machine, options, verdict, seconds in table:
        where = "process" if machine in SERVERS else accelerator
        print(f"# {where:7} | {driver:19} | {machine:19} | {options:50} | {verdict} ({seconds:.1f} s)")
    return failures > 0


sys.exit(main())
