#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Inside the box: machines with balloons, on memory of several kinds. Prints the lines that guests speak.

    balloon_machine.py OPTION...    the options of every machine
"""

import os
import re
import subprocess
import sys

import asking_machine
from balloon_host import MIB, Host

MEMORY, TARGET, FULL, LITTLE = 256 * MIB, 144 * MIB, 96 * MIB, 12 * MIB
HUGE_PAGE = 2 * MIB


def number(path, name):
    with open(path, encoding="ascii") as file:
        return int(re.search(rf"^{name}: *(\d+)", file.read(), re.MULTILINE).group(1))


def of_process(machine):
    return number(f"/proc/{machine.process.pid}/smaps_rollup", "Rss") * 1024


def of_file(machine):
    folder = f"/proc/{machine.process.pid}/fd"
    path = next(os.path.join(folder, name) for name in os.listdir(folder)
                if "memfd:guest-memory" in os.readlink(os.path.join(folder, name)))
    return os.stat(path).st_blocks * 512


def of_pool(_):
    """Pages that are reserved are nobody else's either."""
    pages = [number("/proc/meminfo", f"HugePages_{name}") for name in ("Total", "Free", "Rsvd")]
    return (pages[0] - pages[1] + pages[2]) * HUGE_PAGE


# The kind of memory, keys of the balloon, how much is resident, and words for the kernel and its script.
CASES = {
    "private": ("", "stats-interval=9", of_process, "init_on_free=1 DOES=reports,balloon,oom,leaves"),
    "huge": (",hugepages=on", "free-page-reporting=off,deflate-on-oom=off", of_pool, "DOES=balloon"),
    "poisoned": (",shared=on", "bus=mmio", of_file, "page_poison=1 DOES=poisoned"),
}


def run(name, memory, keys, resident, words):
    append = (f"console=null quiet panic=-1 LINE=/dev/ttyS0 LEGACY=0 MODULE=virtio_balloon FULL={FULL // MIB} "
              f"LITTLE={LITTLE // MIB} LOAD=/run/memory_load {words}")
    machine = asking_machine.Machine(*sys.argv[1:], "--memory", f"{MEMORY // MIB}M{memory}", "--balloon",
                                     f"on,id=ballast,{keys}", "--append", append)
    host = Host(asking_machine.say, machine.qmp, lambda: resident(machine), TARGET, FULL, can_pause=True)
    host.judge(machine.run(name, host.actions()))


def main():
    if "BOX" in os.environ:
        subprocess.run(["sysctl", "-q", f"vm.nr_hugepages={MEMORY // HUGE_PAGE}"], check=True)
    for name, case in CASES.items():
        run(name, *case)


main()
