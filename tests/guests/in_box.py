# SPDX-License-Identifier: BSD-2-Clause
"""Running a part of a test on a KVM, be it in the box, and judging what it and its guests have said."""

import functools
import json
import os
import re
import subprocess
import sys

import initramfs
import qemu
from report import Failure

sys.path.insert(0, os.path.join(initramfs.HERE, os.pardir, "box"))
import box  # pylint: disable=wrong-import-position

HUGE_PAGES = 128
SPOKEN = re.compile(r"@@(ok|bad|is|rc|case) ?(.*)")


@functools.cache
def kvm():
    """Is this machine's own KVM there, ours to use, and fast? And if not, why not, in a few words."""
    doctor = subprocess.run([os.environ["PARAVANE"], "doctor", "--json"], capture_output=True,
                            text=True, stdin=subprocess.DEVNULL, check=False)
    findings = {finding["name"]: finding for finding in json.loads(doctor.stdout)["findings"]}
    for name in ("kvm", "kvm-speed"):
        if name in findings and findings[name]["state"] != "good":
            return False, findings[name]["text"]
    return True, ""


def run(test, command, memory, seconds, is_told=True):
    """Runs the command where there is a KVM: on this machine if its own is good, else in the box, and
    says so. Returns the lines that it printed. What it writes it puts into a folder of its own making."""
    is_usable, why = kvm()
    if not is_usable:
        if is_told:
            print(f"# {why}: in the box", file=sys.stderr)
        return run_boxed(test, command, memory, seconds)
    with open(test.log_path("box"), "wb") as log:
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                           timeout=seconds, check=False)
        except subprocess.TimeoutExpired as late:
            raise Failure(f"it did not end within {seconds} s") from late
    return lines_of(test)


def run_boxed(test, command, memory, seconds):
    """The same in the box whatever there is here, for what wants a machine of its own to play with."""
    qemu.need()
    options = box.default_options(memory=memory, seconds=seconds, kernels=test.guests)
    with open(test.log_path("box"), "wb") as log:
        status = box.run(options, command, log)
    if status == box.BOX_FAILED:
        print("# what had been printed in the box:", *lines_of(test)[-30:], sep="\n# ", file=sys.stderr)
        raise Failure("the box itself failed")
    return lines_of(test)


def huge_pages():
    """What to say for 256 MiB of them: the box makes its own, another machine has them or has not."""
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        free = next(int(line.split()[1]) for line in meminfo if line.startswith("HugePages_Free"))
    return ",hugepages=on" if not kvm()[0] or free >= HUGE_PAGES else ""


def lines_of(test):
    """What was printed, by the last run."""
    with open(test.log_path("box"), encoding="utf-8", errors="replace") as log:
        return log.read().rpartition(box.AGAIN + "\n")[2].splitlines()


def values_of(lines):
    """All values that were said."""
    spoken = [match.group(2).partition(" ") for match in map(SPOKEN.match, lines)
              if match and match.group(1) == "is"]
    return {name: value.rstrip("\r") for name, _, value in spoken}


def judge(report, lines):
    """Takes in what was said; returns the values of each case."""
    cases, values = {}, {}
    for line in lines:
        spoken = SPOKEN.match(line.rstrip("\r"))
        if not spoken:
            if line.strip():
                report.note(line)
            continue
        kind, text = spoken.groups()
        if kind in ("ok", "bad"):
            report.ok(kind == "ok", text)
        elif kind == "is":
            name, _, values[name] = text.partition(" ")
        elif kind == "case":
            name, _, status = text.rpartition(" ")
            report.equal(status, "0", f"paravane run ends well: {name}")
            cases[name], values = values, {}
    return cases
