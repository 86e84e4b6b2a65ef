# SPDX-License-Identifier: BSD-2-Clause
"""Machines in which the image of our drivers measures a device: how they are started, what they say."""

import contextlib
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import box_turn
import exits

sys.path[:0] = [os.path.join(box_turn.ROOT, "tests", "guests"),
                os.path.join(box_turn.ROOT, "tests", "box")]

PARAVANE = os.path.abspath(os.environ.get("PARAVANE",
                                          os.path.join(box_turn.ROOT, "build/paravane")))
IMAGE = os.path.join(os.path.dirname(PARAVANE), "payload.elf")
QEMU = "qemu-system-x86_64"
LIMIT_S = 60
# Of threads that are a guest's processor, the names; and how often others are looked at.
VCPU = re.compile(r"cpu\d|CPU \d+/KVM")
LOOK_S = 0.01


def paravane(words, *device, memory="64M"):
    return [PARAVANE, "run", "--memory", memory, "--rng", "off", "--kernel", IMAGE, "--append", words,
            *device]


def qemu(machine, words, *device, memory="64M"):
    return [QEMU, "-M", machine, "-accel", "kvm", "-cpu", "host,-arch-capabilities", "-m", memory, "-display",
            "none", "-nodefaults", "-no-user-config", "-no-reboot", "-name",
            "image,debug-threads=on", "-serial", "stdio", "-kernel", IMAGE,
            "-append", words, *device]


def say_wrong(command, text):
    sys.exit(f"{os.path.basename(sys.argv[0])}: {' '.join(command)}\nsays: {text[-500:]}")


def figures_of(command, text, names):
    figures = {key: int(value) for name, key in names.items() for value in re.findall(rf"{name} (\d+)", text)}
    if "not ok" in text or next(iter(names.values())) not in figures:
        say_wrong(command, text)
    return figures


def run(command, names):
    """What one machine says of the figures that have these names; the first of them it must say."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired as late:
        say_wrong(command, f"nothing more after {LIMIT_S} s: {(late.stdout or b'').decode()}")
    return figures_of(command, done.stdout + done.stderr, names)


def run_timed(command, names):
    """And the CPU time in seconds, the monitor's and its guest's."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = run(command, names)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return figures, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def threads_cpu(pid):
    """CPU seconds so far of each thread, and whether it is a guest's processor."""
    found = {}
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/comm", encoding="ascii") as comm, \
                    open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as stat:
                found[thread] = bool(VCPU.match(comm.read())), int(stat.read().split()[0]) / 1e9
    return found


def run_beside(command, names):
    """And the CPU time in seconds, of all and of the monitor beside its guest's processors, until LOOK_S before
    the end."""
    seen = {}
    with tempfile.TemporaryFile("w+") as output:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, text=True) as process:
            deadline = time.monotonic() + LIMIT_S
            while process.poll() is None:
                seen.update(threads_cpu(process.pid))
                if time.monotonic() > deadline:
                    process.kill()
                time.sleep(LOOK_S)
        output.seek(0)
        figures = figures_of(command, output.read(), names)
    return (figures, sum(seconds for _, seconds in seen.values()),
            sum(seconds for is_vcpu, seconds in seen.values() if not is_vcpu))


def exits_of_each(short, long):
    """What the longer of two runs has more of, for each thing that it did more. Both are run by a function
    that returns how many it did."""
    counts, things = [], []
    for run_one in short, long:
        with exits.Exits() as counted:
            things.append(run_one())
        counts.append(counted.result)
    return {name: (counts[1][name] - counts[0][name]) / max(things[1] - things[0], 1) for name in counts[0]}


def median(found, figure, **row):
    values = [run[figure] for run in found
              if figure in run and all(run[key] == value for key, value in row.items())]
    return statistics.median(values) if values else float("nan")


def turn_direct(command):
    """A turn on this machine; returns its figures."""
    lines = box_turn.Lines()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            lines.write(process.communicate()[0])
        except BaseException:
            process.terminate()  # not killed: it has things of its own to end
            raise
    if process.returncode:
        sys.exit(f"{os.path.basename(sys.argv[0])}: a turn did not come through")
    return lines.figures
