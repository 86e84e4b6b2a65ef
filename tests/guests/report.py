# SPDX-License-Identifier: BSD-2-Clause
"""What a guest test tells meson: one line of TAP per statement that was proved or not."""

import sys


class Skip(Exception):
    """The machine lacks something; the text names it."""


class Failure(Exception):
    """The test cannot go on; the text says why in one sentence."""


class Report:
    """Collects the lines, so that a test that is run again starts from a clean sheet."""

    def __init__(self):
        self.lines = []
        self.passed = 0
        self.failed = 0

    def ok(self, is_true, text, detail=""):
        """One statement; `detail` is shown when it does not hold. Returns is_true."""
        if is_true:
            self.passed += 1
        else:
            self.failed += 1
        number = self.passed + self.failed
        self.lines.append(f"{'ok' if is_true else 'not ok'} {number} - {text}")
        if detail and not is_true:
            self.note(detail)
        return is_true

    def equal(self, got, wanted, text):
        return self.ok(got == wanted, text, f"got {got!r}, wanted {wanted!r}")

    def refused(self, action, text):
        """action() must end in a Failure."""
        try:
            action()
        except Failure:
            return self.ok(True, text)
        return self.ok(False, text, "it went through")

    def note(self, text):
        self.lines += ["# " + line for line in str(text).splitlines()]

    def finish(self):
        """Prints everything; returns the exit status."""
        self.lines.append(f"1..{self.passed + self.failed}")
        print("\n".join(self.lines), flush=True)
        return 1 if self.failed or not self.passed else 0


def print_skip(reason):
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)
