# SPDX-License-Identifier: BSD-2-Clause
"""Measuring on a KVM: this machine's, or the box's (tests/box), where a program says its figures in lines."""

import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KERNELS = os.path.join(ROOT, "build/tests/guests")
# What a line of figures begins with.
FIGURES = "@@figures "
TRIES = 2


def say(figures):
    print(FIGURES + json.dumps(figures), flush=True)


class Lines:
    """Takes what the box prints, as a file that is written to; keeps the figures, from the line `again` on, if
    there is one."""

    def __init__(self, again=None):
        self.again = again
        self.figures = []
        self.rest = b""

    def write(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").strip()
            if text == self.again:
                self.figures = []
            elif text.startswith(FIGURES):
                self.figures.append(json.loads(text.removeprefix(FIGURES)))
                print(".", end="", file=sys.stderr)
            elif text:
                print(text, file=sys.stderr)

    def flush(self):
        sys.stderr.flush()


def run(name, command, seconds, **options):
    """Runs the command in a box; returns the figures that it said. A box that hangs is tried once more."""
    import box  # pylint: disable=import-outside-toplevel,import-error
    for _ in range(TRIES):
        lines = Lines(box.AGAIN)
        status = box.run(box.default_options(kernels=KERNELS, seconds=seconds, npt=True, **options), command,
                         lines)
        if status == 0:
            return lines.figures
        print(f"{name} in the box ended with {status}", file=sys.stderr)
    sys.exit(f"{name}: the box does not come through")


def is_direct(name):
    where = os.environ.get("BENCH_KVM", "auto")
    if where not in ("auto", "direct", "box"):
        sys.exit(f"{name}: BENCH_KVM is '{where}'; give auto, direct or box")
    return where == "direct" or (where == "auto" and os.access("/dev/kvm", os.R_OK | os.W_OK))


def number_of_runs(name):
    text = os.environ.get("BENCH_RUNS", "5")
    if not text.isdigit() or int(text) < 1:
        sys.exit(f"{name}: BENCH_RUNS is '{text}'; give a whole number from 1")
    return int(text)
