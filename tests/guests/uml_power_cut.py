# SPDX-License-Identifier: BSD-2-Clause
"""The power of the disk is cut while a Linux guest writes files: the journal mends the file system,
and every file whose fsync had returned is whole. With a write cache and flushes, and for a driver
that knows no flush."""

import hashlib
import os
import random
import signal
import subprocess
import threading

import harness
import uml
from faulty_backend import FaultyBackend, seed
from wire_filter import CONFIG_WCE, FLUSH, WireFilter

SIZE_MIB = 64
FILES_MAX = 40
LIMIT_S = 120
# (name, features taken away, options of the back-end, the cache as Linux sees it)
CASES = [
    ("write cache and flushes", 0, [], "write back"),
    ("write cache and flushes, O_DIRECT", 0, ["--direct"], "write back"),
    ("a driver without flush", FLUSH | CONFIG_WCE, [], "write through"),
    ("the cache off", 0, ["--write-cache", "off"], "write through"),
]


class Life:
    """A guest from its start to the power cut, which comes a moment after so many files."""

    def __init__(self, report, test, backend, hidden, dice):
        self.files = {}
        self.cache = None  # what became of the disk's, at the cut
        self.backend = backend
        self.files_max = dice.randrange(1, FILES_MAX)
        self.cut_seed = dice.getrandbits(32)
        self.timer = threading.Timer(0.1 * dice.random(), self.cut)
        self.wire = WireFilter(os.path.join(backend.directory, "filter"), backend.path, hidden)
        self.guest = uml.boot(report, test, self.wire.path, "power_cut.sh",
                              LIMIT_S, SEED=dice.getrandbits(32))

    def run(self):
        try:
            with self.guest:
                return self.guest.run(keep=self.keep)
        finally:
            self.timer.cancel()
            self.wire.close()

    def keep(self, name, digest):
        self.files[name] = digest
        if len(self.files) == self.files_max:
            self.timer.start()

    def cut(self):
        self.cache = self.backend.cut(self.cut_seed)
        self.guest.status = 0  # it was us: an end without @@rc is right
        os.killpg(self.guest.process.pid, signal.SIGKILL)


def judge(report, image, files, name):
    """The host finds the file system mended and each of these files whole."""
    harness.replay_and_check(report, image)
    wrong = [file for file, digest in files.items()
             if hashlib.sha256(harness.file_in_image(image, file)).hexdigest() != digest]
    report.ok(not wrong, f"each of {len(files)} synced files is whole: {name}", wrong)


def one_cut(report, test, case, dice):
    """Returns how many writes the cut decided on."""
    name, hidden, options, cache = case
    image = test.image(SIZE_MIB)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", image], check=True)
    with FaultyBackend(report, image, test.log_path("backend"), options, True) as backend:
        # Requests overtake each other, and there is always one in flight.
        backend.tell("slow write,flush,discard ticks=20")
        life = Life(report, test, backend, hidden, dice)
        values = life.run()
        report.equal(values["cache"], cache, f"the guest sees the cache as it is: {name}")
        if not report.ok(life.cache, f"the power was cut: {name}"):
            return 0
        report.note(f"{name}: {life.cache}")
        judge(report, image, life.files, name)
        backend.start()
    return sum(life.cache.values())


def body(report, test):
    number = seed()
    report.note(f"PV_SEED={number}")
    dice = random.Random(number)
    decided = sum(one_cut(report, test, case, dice) for case in CASES)
    for case in CASES:
        if not decided:  # the disk happened to be idle at each of the cuts
            decided = one_cut(report, test, case, dice)
    report.ok(decided, "there was something to lose")


harness.main(body)
