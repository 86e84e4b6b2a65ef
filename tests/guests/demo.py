# SPDX-License-Identifier: BSD-2-Clause
"""./demo after the build: a Linux guest lives through a file system on our disk, and a report; then
another runs on a machine of ours."""

import hashlib
import os
import signal
import sys
import time

import demo_machine
import harness
import uml
from backend import Backend
from console import IdlePanic
from report import Failure, Report, Skip

IMAGE_MIB = 512
LOADS = {"small": "random 4 KiB, depth 32, 64 MiB", "large": "sequential 1 MiB, depth 4, 128 MiB"}
FEATURES = {34: "packed ring", 28: "indirect", 29: "event index", 9: "flush", 13: "discard",
            14: "write zeroes", 12: "multi-queue"}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
COLOURS = {"bold": "\033[1m", "green": "\033[32m", "red": "\033[31m", "dim": "\033[2m"}


def painted(colour, text):
    return f"{COLOURS[colour]}{text}\033[0m" if sys.stdout.isatty() else text


def line(label, text):
    print(f"  {painted('dim', f'{label:9}')} {text}", flush=True)


def mib(blocks):
    """Blocks of 512 bytes as a number of MiB."""
    return f"{blocks / 2048:.1f} MiB"


def speed(iops, kib_s):
    return f"{int(iops):,} IOPS, {int(kib_s) / 1024:,.0f} MiB/s"


class Show(Report):
    """Says each step as it is done; the first that fails ends the demo."""

    def ok(self, is_true, text, detail=""):
        if not is_true:
            raise Failure(f"{text}{': ' if detail else ''}{detail}")
        self.passed += 1
        line("ok", text)
        return True


class Demo:
    def __init__(self, test):
        self.test = test
        self.report = Show()
        self.image = test.image(IMAGE_MIB)
        self.blocks = {}
        self.counters = {}
        self.begin = 0.0
        self.guest = None
        self.backend = None

    def booted(self):
        values = self.guest.values
        sectors, _, serial = values["disk"].partition(" ")
        names = [name for bit, name in FEATURES.items() if values["features"][bit] == "1"]
        line("guest", f"{values['kernel']}, User Mode Linux, up in "
             f"{time.monotonic() - self.begin:.1f} s")
        line("disk", f"virtio_blk finds {int(sectors) // 2048} MiB, serial number \"{serial}\"")
        line("", ", ".join(names))

    def ran(self, job):
        if job in self.guest.values:
            line("fio", f"{LOADS[job]}: written, read back, verified")

    def note(self, when):
        self.blocks[when] = self.backend.blocks()
        self.counters = self.backend.counters()

    def run(self):
        options = ["--serial", "paravane-demo"]
        with Backend(self.report, self.image, self.test.log_path("backend"),
                     options) as self.backend:
            line("back-end", f"paravane serve blk --blk-file {os.path.relpath(self.image)}")
            self.begin = time.monotonic()
            with uml.boot(self.report, self.test, self.backend.path, "demo.sh") as self.guest:
                self.guest.run(booted=self.booted, ran=self.ran, note=self.note)
            cpu_s = self.backend.cpu_seconds()
        harness.e2fsck(self.report, self.image)
        self.show(cpu_s)

    def show(self, cpu_s):
        values = self.guest.values
        digest = hashlib.sha256(harness.file_in_image(self.image, "/kept")).hexdigest()
        if digest != values["sum"]:
            raise Failure(f"the file has sha256 {values['sum']} in the guest, {digest} on the host")
        print(f"\n  {painted('bold', 'Report')}\n")
        print(f"  {'fio in the guest':38}{'written':24}read back and verified")
        for job, name in LOADS.items():
            field = values[job].split(";")
            # The terse format, version 3: reads' KiB/s and IOPS at 7 and 8, writes' at 48, 49.
            print(f"  {name:38}{speed(field[48], field[47]):24}{speed(field[7], field[6])}")
        print(f"\n  an 8 MiB file    sha256 {digest[:16]}... in the guest, the same on the host")
        print(f"  the image        {mib(self.blocks['made'])} on the host's disk after mkfs, "
              f"{mib(self.blocks['full'])} full, {mib(self.blocks['trimmed'])} after the trim")
        print("  the file system  e2fsck on the host finds it clean")
        print(f"  the back-end     {self.counters['requests']:,} requests with "
              f"{self.counters['kicks']:,} kicks and {self.counters['interrupts']:,} interrupts, "
              f"{cpu_s:.2f} s of CPU time")
        print("\n  " + painted("green", f"All {self.report.passed} steps went well.")
              + " Speed in a User Mode guest says little about the device: see make bench.")


def play(test):
    """One try of the demo, one more if the UML kernel panics on its own."""
    try:
        Demo(test).run()
    except IdlePanic:
        line("again", "the UML kernel fell over a race in its own idle loop; a second try")
        Demo(test).run()


def interrupted(number, _):
    """The first signal ends the demo, what comes after it must not disturb the cleaning up."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    if number == signal.SIGHUP:
        # The terminal is gone.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
    raise KeyboardInterrupt


def main():
    keep = "--keep" in sys.argv[1:]
    for each in SIGNALS:
        # nohup and the like have theirs ignored.
        if signal.getsignal(each) != signal.SIG_IGN:
            signal.signal(each, interrupted)
    test = harness.Test("demo")
    status = 1
    try:
        play(test)
        print(f"\n  {painted('bold', 'A machine of our own')}\n")
        demo_machine.run(Show(), test, line)
        print()
        status = 0
    except (Failure, Skip) as failure:
        print(f"\n  {painted('red', 'The demo failed:')} {failure} "
              f"(logs: {os.path.relpath(test.work)})")
    except KeyboardInterrupt:
        print("\n  interrupted")
        status = 130
    if not keep:
        test.remove_images()
    elif status == 0:
        print(f"  The image: {os.path.relpath(test.work)}/disk.img")
    sys.exit(status)


main()
