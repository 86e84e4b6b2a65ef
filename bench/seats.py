# SPDX-License-Identifier: BSD-2-Clause
"""Which processors the contestants sit on, so that chance does not choose them.

Where a disk's interrupts come to a processor that a client polls on, each request takes half as long
again; left alone, the scheduler seats one contestant so and the next one otherwise. So the client has
a processor of its own, never the one with the interrupts, and back-ends, and fio, have the others.
"""

import contextlib
import os
import subprocess

LOOK_S = 0.3
SIDE_BY_SIDE_MIN = 2


def interrupts():
    """How many each processor has taken, of all devices."""
    with open("/proc/interrupts", encoding="utf-8") as table:
        cpus = [int(name[3:]) for name in table.readline().split()]
        totals = dict.fromkeys(cpus, 0)
        for line in table:
            name, _, rest = line.partition(":")
            if name.strip().isdigit():
                for cpu, count in zip(cpus, rest.split()):
                    totals[cpu] += int(count)
    return totals


def read_directly(path, seconds):
    """Past the page cache, one block after the other."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(["dd", f"if={path}", "of=/dev/null", "bs=4k", "iflag=direct"], check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=seconds)


class Seats:
    """Without a processor for each side everybody sits anywhere."""

    def __init__(self):
        self.back_end = self.client = None

    def choose(self, path):
        """`path`: a file on the disk, or None where no row is about one."""
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < SIDE_BY_SIDE_MIN:
            return
        before = interrupts()
        if path:
            read_directly(path, LOOK_S)
        after = interrupts()
        self.client = min(cpus, key=lambda cpu: after.get(cpu, 0) - before.get(cpu, 0))
        self.back_end = [cpu for cpu in cpus if cpu != self.client]

    @staticmethod
    def on(cpus, command):
        return command if cpus is None else ["taskset", "-c", ",".join(map(str, cpus)), *command]

    def of_back_end(self, command):
        return self.on(self.back_end, command)

    def of_client(self, command):
        return self.on(None if self.client is None else [self.client], command)

    @contextlib.contextmanager
    def as_if_polled(self, spin):
        """The client's processor is as busy as if it polled: what has no client pays for that too."""
        if self.client is None:
            yield
            return
        with subprocess.Popen(self.of_client([spin])) as process:
            try:
                yield
            finally:
                process.kill()

    def text(self):
        if self.client is None:
            return "anywhere"
        return f"client {self.client}, back-ends and fio {','.join(map(str, self.back_end))}"
