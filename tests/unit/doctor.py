#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`paravane doctor` where this is tested, and both it and `paravane run` with all that can lie at /dev/kvm
and is none. What it says of a KVM is tried in the box (tests/guests/box_ctl.py)."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest

PARAVANE = os.path.abspath(sys.argv[1])
NAMES = ["kvm", "io_uring", "open-files", "locked-memory", "huge-pages", "shared-huge-pages",
         "huge-page-pool", "tap", "vhost-net", "pty", "slirp", "spice",
         "user-mode-linux"]
LIMIT_S = 30
# /dev of our own, with what a program needs in it, and a /dev/kvm that a test makes.
BARE = """
set -e
mount --make-rprivate /
mkdir "$1/dev"
mount --bind /dev "$1/dev"
mount -t tmpfs dev /dev
touch /dev/null
mount --bind "$1/dev/null" /dev/null
{}
shift
exec "$@"
"""
# A bzImage, as far as it is looked at before KVM is.
LOOKS_LIKE_A_KERNEL = bytes(0x1fe) + b"\x55\xaa\0\0HdrS" + bytes(8192)
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


class Doctor(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    @staticmethod
    def call(*words, **more):
        return subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_S,
                              stdin=subprocess.DEVNULL, check=False, **more)

    def report(self, run):
        self.assertEqual(run.stderr, "")
        self.assertEqual(len(run.stdout.splitlines()), 1)
        report = json.loads(run.stdout)
        findings = {finding["name"]: finding for finding in report["findings"]}
        self.assertEqual(len(findings), len(report["findings"]))
        self.assertEqual(run.returncode, 0 if report["can-run"] else 1)
        for finding in report["findings"]:
            self.assertIn(finding["state"], ("good", "weak", "no"))
            self.assertTrue(finding["text"])
            # What is lacking has a remedy, and what is not needs none.
            self.assertEqual("remedy" in finding, finding["state"] != "good", finding)
        return report["can-run"], findings

    def test_everything_is_looked_at(self):
        begin = time.monotonic()
        _, findings = self.report(self.call(PARAVANE, "doctor", "--json"))
        self.assertLess(time.monotonic() - begin, 10)
        self.assertEqual([name for name in findings if name != "kvm-speed"], NAMES)

    def test_the_table_says_the_same_within_80_columns(self):
        table = self.call(PARAVANE, "doctor")
        _, findings = self.report(self.call(PARAVANE, "doctor", "--json"))
        lines = table.stdout.splitlines()
        self.assertLessEqual(max(map(len, lines)), 80)
        first = [line.split()[:2] for line in lines if line[:2] == "  " and line[2] != " "]
        self.assertEqual([name for name, _ in first], list(findings))
        for name, state in first:
            if name != "kvm-speed":
                self.assertEqual(state, findings[name]["state"])
        words = " ".join(table.stdout.split())
        for finding in findings.values():
            if finding["name"] != "kvm-speed":
                self.assertIn(finding["text"], words)
                self.assertIn(finding.get("remedy", ""), words)

    def test_limits_are_those_of_the_process(self):
        def tight(words):
            return self.report(self.call("sh", "-c", f"{words}; exec {PARAVANE} doctor --json"))[1]
        self.assertEqual(tight("ulimit -n 100")["open-files"]["state"], "weak")
        self.assertEqual(tight("ulimit -l 64")["locked-memory"]["state"], "weak")
        self.assertIn("64 KiB", tight("ulimit -l 64")["locked-memory"]["text"])
        self.assertEqual(tight("PATH=/nowhere")["user-mode-linux"]["state"], "no")

    def test_wrong_words_are_refused(self):
        run = self.call(PARAVANE, "doctor", "--jsn")
        self.assertEqual(run.returncode, 1)
        self.assertEqual(run.stderr, "paravane doctor: unknown option '--jsn'; did you mean "
                                     "'--json'?\n")

    # ---- what may lie at /dev/kvm ----

    def with_kvm(self, make, words, user=()):
        """Both commands in a /dev where `make` made a /dev/kvm: they say these words, and no more."""
        kernel = os.path.join(self.folder.name, "kernel")
        with open(kernel, "wb") as file:
            file.write(LOOKS_LIKE_A_KERNEL)
        os.chmod(kernel, 0o644)
        os.chmod(self.folder.name, 0o755)
        begin = ["unshare", "-m", "sh", "-c", BARE.format(make), "sh", self.folder.name, *user]
        run = self.call(*begin, PARAVANE, "doctor", "--json")
        if re.match("(unshare|mount|sh): ", run.stderr):
            self.skipTest(f"no mounts of one's own here: {run.stderr.strip()}")
        can_run, findings = self.report(run)
        self.assertFalse(can_run)
        self.assertEqual(findings["kvm"]["state"], "no")
        self.assertIn(words, findings["kvm"]["text"])
        os.rmdir(os.path.join(self.folder.name, "dev"))
        run = self.call(*begin, PARAVANE, "run", "--kernel", kernel)
        self.assertEqual(run.returncode, 1)
        self.assertEqual(run.stdout, "")
        self.assertEqual(run.stderr, f"paravane run: {findings['kvm']['text']}: "
                                     f"{findings['kvm']['remedy']}; 'paravane doctor' tells more\n")
        os.rmdir(os.path.join(self.folder.name, "dev"))
        return findings["kvm"]["remedy"]

    def test_nothing(self):
        self.with_kvm("", "there is no /dev/kvm")

    def test_other_things_are_no_kvm(self):
        for make in ("touch /dev/kvm", "mkfifo /dev/kvm",
                     'touch /dev/kvm; mount --bind "$1/dev/null" /dev/kvm'):
            self.with_kvm(make, "/dev/kvm is no KVM")
        self.with_kvm("mkdir /dev/kvm", "/dev/kvm cannot be opened")

    def test_a_node_of_another_user_names_the_group(self):
        remedy = self.with_kvm("touch /dev/kvm; chmod 660 /dev/kvm; chown 0:1 /dev/kvm",
                               "/dev/kvm may not be opened by this user", AS_NOBODY)
        self.assertEqual(remedy, "add the user to the group 'daemon' and log in again")
        for make in ("chmod 600 /dev/kvm; chown 0:1 /dev/kvm", "chmod 660 /dev/kvm"):
            remedy = self.with_kvm(f"touch /dev/kvm; {make}", "/dev/kvm may not be opened",
                                   AS_NOBODY)
            self.assertIn("chgrp kvm /dev/kvm; chmod 660 /dev/kvm", remedy)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
