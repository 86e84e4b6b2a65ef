# SPDX-License-Identifier: BSD-2-Clause
"""The host's part in a test of a balloon: what a guest that runs scripts/balloon.sh asks for, and what is
seen of its memory from outside."""

import time

MIB = 1 << 20
PAGE = 4096
WAIT_S = 60
# What a guest does while it is looked at.
SLACK = 12 * MIB


class Host:
    """`ok` is told what holds, `qmp` gives commands, `resident` says how many bytes of the host's the guest's
    memory takes. The guest is made to have `target` bytes at times; it can use `full`. A machine `can_pause`:
    it knows stop and cont."""

    def __init__(self, ok, qmp, resident, target, full, can_pause=False):
        self.ok, self.qmp, self.resident, self.can_pause = ok, qmp, resident, can_pause
        self.target, self.full = target, full
        self.stats, self.before = {}, 0

    def actions(self):
        return {name: getattr(self, name)
                for name in ("is_full", "are_reported", "are_kept", "is_full_again", "inflates", "has_stats",
                             "deflates", "was_taken_back", "has_no_driver")}

    def becomes(self, statement, condition, told):
        """Waits for it."""
        deadline = time.monotonic() + WAIT_S
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.ok(condition(), statement, told())

    def sizes(self):
        return f"{self.resident() // MIB} MiB are resident, {self.before // MIB} were"

    def is_full(self):
        self.before = self.resident()
        self.ok(self.before >= self.full, "what the guest uses is there", self.sizes())

    def is_full_again(self):
        self.ok(self.resident() >= self.full, "what it uses again is there again", self.sizes())

    def are_reported(self):
        self.becomes("what the guest reports as free goes back to the host",
                     lambda: self.before - self.resident() >= self.full * 9 // 10, self.sizes)

    def counter(self, name):
        return sum(stat["value"] for entry in self.qmp("query-stats") for stat in entry["stats"]
                   if stat["name"] == name)

    def are_kept(self):
        self.becomes("what is reported and poisoned is counted",
                     lambda: self.counter("poisoned_bytes") >= self.full * 9 // 10,
                     lambda: self.counter("poisoned_bytes"))
        self.ok(self.resident() >= self.full, "and stays", self.sizes())

    def balloon(self):
        return self.qmp("query-balloon")

    def goes_to(self, target):
        before = self.balloon()["actual"]
        if self.can_pause:
            self.qmp("stop")
        self.qmp("balloon", value=target)
        self.ok(self.balloon()["target"] == target, "the target is what was wished for", self.balloon())
        if self.can_pause:
            self.ok(self.balloon()["actual"] == before, "a paused guest has what it had", self.balloon())
            self.qmp("cont")
        self.becomes("the guest comes to have that", lambda: self.balloon()["actual"] == target, self.balloon)

    def inflates(self):
        before, balloon = self.resident(), self.balloon()
        self.goes_to(self.target)
        given = balloon["actual"] - self.target
        # What was free and never used was not there either.
        untouched = max(0, balloon["actual"] - before)
        self.becomes("what it gives away goes back to the host",
                     lambda: before - self.resident() >= given - untouched - SLACK,
                     lambda: f"{self.sizes()}, of {given // MIB} MiB that were given")
        self.ok(self.resident() <= self.target + SLACK, "no more than its target is there", self.sizes())

    def deflates(self):
        self.goes_to(self.balloon()["memory"])

    def has_stats(self):
        """Those that were asked for from here on, and all are there: the guest rests meanwhile."""
        self.qmp("balloon-stats-interval", seconds=1)
        updates = self.qmp("query-balloon-stats")["updates"]
        self.becomes("statistics come", lambda: self.qmp("query-balloon-stats")["updates"] >= updates + 2,
                     lambda: self.qmp("query-balloon-stats"))
        self.stats = self.qmp("query-balloon-stats")
        self.qmp("balloon-stats-interval", seconds=0)

    def was_taken_back(self):
        balloon = self.balloon()
        self.ok(balloon["actual"] > balloon["target"], "the guest has more than its target", balloon)
        self.deflates()

    def has_no_driver(self):
        self.ok(self.balloon()["actual"] == self.balloon()["memory"], "the balloon has gone with its driver",
                self.balloon())

    def judge(self, values):
        """What the guest has said of itself, in KiB."""
        if not self.stats:
            return
        for name, value, slack in (("total-memory", "total", 0), ("free-memory", "free", SLACK),
                                   ("available-memory", "available", SLACK), ("disk-caches", "caches", SLACK)):
            of_guest = int(values.get(value, 0)) * 1024
            self.ok(of_guest and abs(self.stats[name] - of_guest) <= slack,
                    f"the guest's own {name} is that of its statistics", f"{self.stats[name]}, {of_guest}")
        self.ok(self.stats["supported"] and self.stats["age"] is not None and self.stats["major-faults"] > 0,
                "the guest has statistics", self.stats)
