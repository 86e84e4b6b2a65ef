#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The line of the program's own terminal, in a terminal that is watched: line_stdio.py BRIDGE."""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "support"))
# pylint: disable=wrong-import-position
from terminal import PATIENCE_S, Bridge, reads, wait_until

BRIDGE = os.path.abspath(sys.argv.pop(1))
ESCAPE = b"\x01"


class Stdio(unittest.TestCase):
    def bridge(self, *words):
        bridge = Bridge(BRIDGE, "stdio", *words, terminal=True)
        self.addCleanup(bridge.close)
        self.assertEqual(bridge.place, "stdio")
        self.assertEqual(bridge.says(), "size 80 24")
        self.assertTrue(bridge.terminal.is_raw())
        return bridge

    def test_all_keys_are_the_guests(self):
        bridge = self.bridge()
        keys = bytes(set(range(256)) - set(b"QEASTZ"))
        bridge.terminal.types(keys)
        self.assertEqual(reads(bridge.terminal.master, lambda data: len(data) >= len(keys)), keys)

    def test_the_escape_key_is_ours(self):
        bridge = self.bridge("escape")
        bridge.terminal.types(b"one" + ESCAPE + b"xtwo" + ESCAPE + ESCAPE + b"three" + ESCAPE)
        self.assertEqual(bridge.terminal.shows(b"three"), b"onetwo" + ESCAPE + b"three")
        self.assertEqual(bridge.says(), f"escape {ord('x')} 0")
        bridge.terminal.types(b"y")
        self.assertEqual(bridge.says(), f"escape {ord('y')} 0")

    def test_it_is_heard_when_the_guest_does_not_read(self):
        bridge = self.bridge("escape", "deaf")
        bridge.terminal.types(b"words" * 100 + ESCAPE + b"x")
        self.assertEqual(bridge.says(), f"escape {ord('x')} 0")

    def test_the_size_is_told_when_it_changes(self):
        bridge = self.bridge()
        bridge.terminal.set_size(132, 50)
        self.assertEqual(bridge.says(), "size 132 50")

    def goes_on(self, bridge, columns=132):
        """Its loop is in no call that waits."""
        bridge.terminal.set_size(columns, 50)
        self.assertEqual(bridge.says(), f"size {columns} 50")

    def test_others_may_make_the_keyboard_wait(self):
        for words in ((), ("escape",)):
            bridge = self.bridge(*words)
            bridge.terminal.make_wait()
            bridge.terminal.types(b"hello")
            bridge.terminal.shows(b"hello")
            self.goes_on(bridge)

    def test_others_may_make_the_screen_wait(self):
        for words in ((), ("escape",)):
            bridge = self.bridge(*words)
            bridge.terminal.make_wait()
            os.set_blocking(bridge.terminal.master, False)
            refused = 0
            # Then both ways are full, as nobody looks at what is shown.
            for columns in range(100, 1000):
                try:
                    bridge.terminal.types(b"x" * 4000)
                    refused = 0
                except BlockingIOError:
                    refused += 1
                self.goes_on(bridge, columns)
                if refused == 3:
                    break
            self.assertEqual(refused, 3)

    def test_others_are_not_kept_from_waiting(self):
        bridge = self.bridge()
        self.assertFalse(bridge.terminal.flags() & os.O_NONBLOCK)

    def test_a_file_is_written_where_it_was(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"before ")
            file.flush()
            bridge = Bridge(BRIDGE, "stdio", stdin=subprocess.PIPE, stdout=file)
            self.addCleanup(bridge.close)
            bridge.process.stdin.write(b"after")
            bridge.process.stdin.flush()
            wait_until(lambda: os.fstat(file.fileno()).st_size >= 12)
            bridge.process.stdin.write(b"Q")
            bridge.process.stdin.flush()
            self.assertEqual(bridge.process.wait(PATIENCE_S), 0)
            self.assertFalse(fcntl.fcntl(file, fcntl.F_GETFL) & os.O_NONBLOCK)
            file.seek(0)
            self.assertEqual(file.read(), b"before after")

    def ends(self, key, *status):
        for words in ((), ("escape",)):
            bridge = self.bridge(*words)
            bridge.terminal.types(key)
            self.assertIn(bridge.terminal.ends(), status)
            self.assertTrue(bridge.terminal.is_as_before())

    def test_the_terminal_is_as_before_after_an_end_in_order(self):
        self.ends(b"Q", 0)

    def test_the_terminal_is_as_before_after_exit(self):
        self.ends(b"E", 0)

    def test_the_terminal_is_as_before_after_abort(self):
        self.ends(b"A", -signal.SIGABRT)

    def test_the_terminal_is_as_before_after_a_fault(self):
        # A sanitizer has a handler of its own.
        if "sanitized" not in sys.argv:
            self.ends(b"S", -signal.SIGSEGV)

    def test_the_terminal_is_as_before_after_a_signal_of_its_own(self):
        self.ends(b"T", -signal.SIGTERM)

    def test_the_terminal_is_as_before_after_signals_of_others(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT,
                       signal.SIGUSR1, signal.SIGALRM):
            bridge = self.bridge()
            bridge.process.send_signal(number)
            self.assertEqual(bridge.terminal.ends(), -number)
            self.assertTrue(bridge.terminal.is_as_before())

    def stopped(self, bridge):
        _, status = os.waitpid(bridge.process.pid, os.WUNTRACED)
        self.assertTrue(os.WIFSTOPPED(status))
        self.assertTrue(bridge.terminal.is_as_before())

    def test_the_terminal_is_as_before_while_it_is_stopped_and_raw_again_after(self):
        bridge = self.bridge()
        for _ in range(3):
            bridge.process.send_signal(signal.SIGTSTP)
            self.stopped(bridge)
            bridge.process.send_signal(signal.SIGCONT)
            bridge.terminal.wait_until(bridge.terminal.is_raw)
            bridge.terminal.types(b"hello")
            bridge.terminal.shows(b"hello")
        bridge.terminal.types(b"Z")
        self.stopped(bridge)
        bridge.process.send_signal(signal.SIGCONT)
        bridge.terminal.wait_until(bridge.terminal.is_raw)

    def test_pipes_in_its_place_are_carried_whole(self):
        data = os.urandom(3 << 19).hex().encode()
        bridge = Bridge(BRIDGE, "stdio", "escape", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(bridge.close)
        writer = threading.Thread(target=bridge.process.stdin.write, args=(data,))
        writer.start()
        got = reads(bridge.process.stdout.fileno(), lambda some: len(some) >= len(data))
        writer.join()
        self.assertEqual(got, data)

    def test_who_gives_no_more_is_still_written_to(self):
        bridge = Bridge(BRIDGE, "stdio", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(bridge.close)
        bridge.process.stdin.write(b"the last words")
        bridge.process.stdin.close()
        bridge.process.stdin = None
        reads(bridge.process.stdout.fileno(), lambda some: some == b"the last words")
        self.assertIsNone(bridge.process.poll())


if __name__ == "__main__":
    unittest.main(argv=[arg for arg in sys.argv if arg not in ("sanitized", "plain")], verbosity=2)
