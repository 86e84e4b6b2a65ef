#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What lines do later, from inside the sandbox: line_sandbox.py BRIDGE."""

import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "support"))
# pylint: disable=wrong-import-position
from terminal import PATIENCE_S, Bridge, reads

BRIDGE = os.path.abspath(sys.argv.pop(1))


class Sandbox(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "port"

    def bridge(self, *words, **more):
        bridge = Bridge(BRIDGE, *words, **more)
        self.addCleanup(bridge.close)
        return bridge

    def talk(self, connection):
        """Is it answered?"""
        connection.settimeout(PATIENCE_S)
        connection.sendall(b"hello")
        self.assertEqual(reads(connection.fileno(), lambda data: len(data) >= 5), b"hello")

    def quit(self, bridge, connection):
        connection.sendall(b"Q")
        self.assertEqual(bridge.process.wait(PATIENCE_S), 0)

    def test_servers_take_clients_and_remove_their_sockets(self):
        bridge = self.bridge("socket", "server", f"path={self.path}")
        for turn in range(3):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(self.path))
                bridge.awaits("open 1 0")
                self.talk(client)
                if turn == 2:
                    self.quit(bridge, client)
            if turn < 2:
                bridge.awaits("open 0 0")
        self.assertFalse(self.path.exists())

    def comes_again(self, listener, *words):
        with listener:
            listener.settimeout(PATIENCE_S)
            listener.listen()
            bridge = self.bridge(*words, "reconnect=1")
            for turn in range(3):
                client, _ = listener.accept()
                with client:
                    self.talk(client)
                    if turn == 2:
                        self.quit(bridge, client)

    def test_clients_connect_again(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        self.comes_again(listener, "socket", f"path={self.path}")

    def test_clients_connect_again_over_tcp(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.comes_again(listener, "tcp", f"port={listener.getsockname()[1]}")

    def test_terminals_come_and_go_and_the_link_is_removed(self):
        bridge = self.bridge("pty", f"path={self.path}")
        for turn in range(3):
            terminal = os.open(self.path, os.O_RDWR | os.O_NOCTTY)
            bridge.awaits("open 1 0")
            os.write(terminal, b"hello")
            self.assertEqual(reads(terminal, lambda data: len(data) >= 5), b"hello")
            if turn == 2:
                os.write(terminal, b"Q")
                self.assertEqual(bridge.process.wait(PATIENCE_S), 0)
            os.close(terminal)
            if turn < 2:
                bridge.awaits("open 0 0")
        self.assertFalse(os.path.lexists(self.path))

    def test_pipes_and_files_are_carried(self):
        for end in (".in", ".out"):
            os.mkfifo(f"{self.path}{end}")
        bridge = self.bridge("pipe", f"path={self.path}")
        with open(f"{self.path}.in", "wb", buffering=0) as to:
            to.write(b"hello")
            with open(f"{self.path}.out", "rb", buffering=0) as from_it:
                self.assertEqual(reads(from_it.fileno(), lambda data: len(data) >= 5), b"hello")
            to.write(b"Q")
        self.assertEqual(bridge.process.wait(PATIENCE_S), 0)

    def test_stdio_ends_in_order(self):
        bridge = self.bridge("stdio", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        bridge.process.stdin.write(b"hello")
        bridge.process.stdin.flush()
        reads(bridge.process.stdout.fileno(), lambda data: data == b"hello")
        bridge.process.stdin.write(b"Q")
        bridge.process.stdin.flush()
        self.assertEqual(bridge.process.wait(PATIENCE_S), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
