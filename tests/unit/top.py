#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`paravane top`: what it shows of machines that answer, do not, or lie."""

import os
import pty
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "support"))
# pylint: disable=wrong-import-position
from fake_qmp import FakeQmp
from serve_case import PATIENCE_S, PROGRAM, Case, Driver

MIB = 1 << 20
HEADS = ["NAME", "STATUS", "MEMORY", "HAS", "TARGET", "BALLOON", "USED", "RESIDENT"]


class Guest(Driver):
    SIZE = 64 * MIB


class Top(Case):
    DEVICE = "balloon"

    def once(self, *words, status=0):
        """Its lines below the heads, in words."""
        run = subprocess.run([PROGRAM, "top", "--once", *map(str, words)], capture_output=True, text=True,
                             stdin=subprocess.DEVNULL, timeout=PATIENCE_S, check=False)
        self.assertEqual(run.returncode, status, run)
        self.assertEqual(run.stderr, "")
        self.assertTrue(run.stdout.replace("\n", "").isprintable(), run.stdout)
        heads, *lines = [line.split() for line in run.stdout.splitlines()]
        self.assertEqual(heads, HEADS)
        return lines

    def fake(self, *answers):
        def play(server):
            server.be_greeted()
            for answer in answers:
                server.answer(**answer)
            server.wait_until_left()
        server = FakeQmp(self.path, play)
        self.addCleanup(server.close)
        return server.path

    def serve(self):
        self.start("--socket-path", self.socket, "--qmp", f"unix:{self.qmp}", "--target", "48M")
        guest = Guest(self.socket)
        self.addCleanup(guest.close)
        guest.set_config(4, (1024).to_bytes(4, "little"))
        self.assertTrue(guest.is_served())

    def test_a_socket_is_needed(self):
        sentence = self.refuse("top")
        self.assertEqual(sentence, "paravane top: no socket given: paravane top SOCKET...")

    def test_what_a_balloon_says_is_shown(self):
        self.serve()
        for path in (self.qmp, f"unix:{self.qmp}"):
            (line,) = self.once(path)
            self.assertEqual(line[:7], ["q", "running", "64", "60", "48", "4", "-"])
            self.assertGreater(int(line[7]), 0)

    def test_who_does_not_answer_has_a_line_too(self):
        self.serve()
        (gone, here) = self.once(self.path / "gone", self.qmp, status=1)
        self.assertEqual(gone[:5], ["gone", "there", "is", "no", "socket"])
        self.assertEqual(here[0], "q")
        (silent,) = self.once(self.fake({"return": {"status": "running"}}), "--timeout", "1", status=1)
        self.assertIn("not", silent)

    def test_what_others_say_is_looked_at(self):
        """That is QEMU, which knows less, and whoever else listens there."""
        unknown = {"error": {"class": "CommandNotFound", "desc": "no"}}
        qemu = self.fake({"return": {"status": "paused"}}, {"return": {"name": "an old one"}},
                         {"return": {"actual": 5 * MIB}}, unknown)
        (line,) = self.once(qemu)
        self.assertEqual(line[:7], ["an_old_one", "paused", "-", "5", "-", "-", "-"])

    def test_what_a_guest_uses_is_what_it_has_and_could_not_do_without(self):
        """Its total is the same whatever the balloon has, where that may be deflated."""
        path = self.fake({"return": {"status": "running"}}, {"return": {"name": "vm"}},
                         {"return": {"actual": 40 * MIB, "memory": 64 * MIB, "target": 32 * MIB}},
                         {"return": {"total-memory": 60 * MIB, "available-memory": 10 * MIB}})
        (line,) = self.once(path)
        self.assertEqual(line[2:7], ["64", "40", "32", "24", "30"])

    def test_lies_steer_nothing(self):
        path = self.fake({"return": {"status": "\033[2J" + "x" * 100}}, {"return": {"name": 7}},
                         {"return": {"actual": 9 * MIB, "memory": 8 * MIB, "target": -1}},
                         {"return": {"total-memory": MIB, "available-memory": "all"}})
        (line,) = self.once(path)
        self.assertEqual(line[0], "fake")
        self.assertEqual(line[1], "_[2J" + "x" * 27)
        self.assertEqual(line[2:7], ["8", "9", "-", "-", "-"])

    def test_lines_follow_each_other_and_a_terminal_is_drawn_anew(self):
        self.serve()
        words = [PROGRAM, "top", str(self.qmp), "--interval", "0.1"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            lines = [process.stdout.readline().split() for _ in range(4)]
            process.terminate()
        self.assertEqual([line[0] for line in lines], ["NAME", "q", "q", "q"])
        ours, theirs = pty.openpty()
        with subprocess.Popen(words, stdin=theirs, stdout=theirs) as process:
            seen = b""
            while seen.count(b"\033[H\033[J") < 3:
                seen += os.read(ours, 4096)
            process.terminate()
        self.assertEqual(seen.count(b"NAME"), seen.count(b"\033[J"))
        os.close(ours)
        os.close(theirs)


if __name__ == "__main__":
    unittest.main(verbosity=2)
