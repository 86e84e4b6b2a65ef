#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""test-summary.py FOLDER: adds up meson's test logs (for each suite FOLDER/SUITE.json, and the exit
status of meson in FOLDER/SUITE.status) and the steps that failed (FOLDER/failed-steps, one a line).

Shows the ends of each failing test's output, what went wrong between, and what each skipped test lacked; the last line is
`N passed, N failed`, with `, N skipped` when there are some. Exit status 1 when any failed.
"""

import glob
import json
import os
import re
import sys

HEAD_LINES, TAIL_LINES = 15, 25
# Of what is between them, the lines that say what went wrong.
WRONG = re.compile(r"^not ok|ERROR|FAILED|SKIPPED|error:|assert|Traceback", re.IGNORECASE)
WRONG_LINES = 15
PASSED = ("OK", "EXPECTEDFAIL")
AGAIN = "# second try:"


def output_of(test):
    return "\n".join(test.get(stream) or "" for stream in ("stdout", "stderr")).strip()


def skip_reason(test):
    """What a test that was skipped says is missing: TAP's reason, or its last line."""
    output = output_of(test)
    tap = re.search(r"# SKIP\s+(.*)", output, re.IGNORECASE)
    if tap:
        return tap.group(1)
    return output.splitlines()[-1] if output else "the test gives no reason"


def show_failure(suite, test):
    """Both ends of a test's output and what went wrong between, without what TAP says of the things that went well."""
    print(f"\nFAILED  {suite}: {test['name']} ({test['result']}, {test['duration']:.1f} s)")
    lines = [line for line in output_of(test).splitlines() if line and not line.startswith("ok ")]
    if len(lines) > HEAD_LINES + TAIL_LINES:
        between = [line for line in lines[HEAD_LINES:-TAIL_LINES] if WRONG.search(line)]
        lines[HEAD_LINES:-TAIL_LINES] = ["...", *between[:WRONG_LINES], "..."]
    for line in lines:
        print(f"    {line}")


def lines_of(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


class Count:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []
        self.steps = []
        self.repeated = 0

    def add(self, suite, test):
        self.repeated += AGAIN in output_of(test)
        if test["result"] in PASSED:
            self.passed += 1
        elif test["result"] == "SKIP":
            self.skipped.append((suite, test))
        else:
            self.failed.append((suite, test))

    def add_suite(self, suite, tests, status):
        failed_before = len(self.failed)
        for test in tests:
            self.add(suite, test)
        if not tests:
            self.steps.append(f"test {suite}: no results")
        elif status != "0" and len(self.failed) == failed_before:
            self.steps.append(f"test {suite}: meson ended with status {status}")

    def show(self):
        for suite, test in self.failed:
            show_failure(suite, test)
        for step in self.steps:
            print(f"\nFAILED  {step}")
        if self.skipped:
            print()
        for suite, test in self.skipped:
            print(f"skipped  {suite}: {test['name']}: {skip_reason(test)}")
        if self.repeated:
            print(f"repeated after a panic in the idle loop of UML's kernel: {self.repeated}")
        print(f"\n{self.passed} passed, {len(self.failed) + len(self.steps)} failed"
              + (f", {len(self.skipped)} skipped" if self.skipped else ""))


def main(folder):
    count = Count()
    for path in sorted(glob.glob(os.path.join(folder, "*.status"))):
        stem = os.path.splitext(path)[0]
        tests = [json.loads(line) for line in lines_of(stem + ".json") if line.strip()]
        count.add_suite(os.path.basename(stem), tests, "".join(lines_of(path)))
    count.steps += lines_of(os.path.join(folder, "failed-steps"))
    count.show()
    return 1 if count.failed or count.steps or not count.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
