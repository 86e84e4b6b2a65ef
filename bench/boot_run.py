# SPDX-License-Identifier: BSD-2-Clause
"""One boot, or one first output, of one monitor: times, CPU time, memory."""

import os
import re
import select
import subprocess
import time

import boot_guest
from boot_monitors import MONITORS
from boot_trace import Trace, can_trace

LIMIT_S = 300
# clock_gettime(2) of another process: its CPU time, of all threads, in ns.
CPU_CLOCK_OF_PROCESS = 2
HEAD = re.compile(r"[0-9a-f]+-[0-9a-f]+ ")


class Failed(Exception):
    """A run that could not be made; its text says why."""


def cpu_seconds(pid):
    return time.clock_gettime((~pid << 3) | CPU_CLOCK_OF_PROCESS)


def own_kib(pid):
    """What is resident beside guest memory, which is the one map of that size."""
    total = resident = size = 0
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as file:
        for line in file:
            if HEAD.match(line):
                size = resident = 0
            elif line.startswith("Size:"):
                size = int(line.split()[1])
            elif line.startswith("Rss:"):
                resident = int(line.split()[1])
                total += 0 if size >= boot_guest.MEMORY_MIB << 10 else resident
    return total


class Process:
    """A monitor, whose console is read."""

    def __init__(self, command):
        self.begin = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.pid = self.process.pid
        self.output = b""
        self.usage = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.usage is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def read_until(self, mark):
        """Returns the seconds since the start; without a mark, until the end of the output."""
        while mark is None or mark not in self.output:
            left = self.begin + LIMIT_S - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Failed(f"no sign within {LIMIT_S} s; it said {self.output[-200:]}")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data and mark is not None:
                raise Failed(f"it ended too soon: {self.process.stderr.read().decode()} "
                             f"{self.output.decode(errors='replace')}")
            if not data:
                break
            self.output += data
        return time.monotonic() - self.begin

    def wait(self):
        """Returns the CPU seconds that it took, the guest's among them."""
        _, status, self.usage = os.wait4(self.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode:
            raise Failed(f"it ended with {self.process.returncode}")
        return self.usage.ru_utime + self.usage.ru_stime


def first_output(name, image):
    """From the start to the first OUT of a guest that does nothing else."""
    with Process(MONITORS[name](image)) as process:
        wall = process.read_until(b"!")
        return {"first_s": wall, "first_cpu_s": cpu_seconds(process.pid)}


def boot(name, kernel, initrd, folder):
    with boot_guest.Disk(folder) as disk:
        with Process(MONITORS[name](kernel, initrd, disk.path)) as process:
            figures = {"booted_s": process.read_until(boot_guest.MARK)}
            figures["end_s"] = process.read_until(None)
            figures["cpu_s"] = process.wait()
        figures["kernel_s"] = boot_guest.kernel_seconds(disk.log())
        return figures


def traced_boot(name, kernel, initrd, folder):
    """Where the time goes; the times themselves are longer by the tracing."""
    figures = {}
    with boot_guest.Disk(folder) as disk:
        trace = Trace() if can_trace() else None
        command = MONITORS[name](kernel, initrd, disk.path)
        if trace:
            with trace, Process(command) as process:
                figures = watch(process)
            figures.update(trace.result)
            figures["start_s"] = figures.pop("first_entry") - process.begin
        else:
            with Process(command) as process:
                figures = watch(process)
    return figures


def watch(process):
    process.read_until(boot_guest.MARK)
    own = own_kib(process.pid)
    traced_s = process.read_until(None)
    process.wait()
    return {"own_kib": own, "traced_s": traced_s}
