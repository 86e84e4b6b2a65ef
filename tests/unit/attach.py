#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`paravane attach` in a terminal and between pipes: attach.py PROGRAM BRIDGE."""

import fcntl
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "support"))
# pylint: disable=wrong-import-position
from fake_qmp import FakeQmp
from terminal import PATIENCE_S, Bridge, Terminal, reads

PROGRAM, BRIDGE = map(os.path.abspath, sys.argv[1:])
LEAVE = b"\x1d"


def waiting(descriptor):
    """Bytes that can be read there."""
    return struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))[0]


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.path = self.folder / "port"

    def bridge(self, *words):
        bridge = Bridge(BRIDGE, *words)
        self.addCleanup(bridge.close)
        return bridge

    def server(self, *words):
        return self.bridge("socket", "server", f"path={self.path}", *words)

    def attach(self, *words, raw=True):
        terminal = Terminal(PROGRAM, "attach", *map(str, words))
        self.addCleanup(terminal.close)
        if raw:
            terminal.wait_until(terminal.is_raw)
        return terminal

    def leaves(self, terminal, key=LEAVE, status=0):
        terminal.types(key)
        self.assertEqual(terminal.ends(), status)
        self.assertTrue(terminal.is_as_before())

    def piped(self, *words, data=b"", status=0):
        run = subprocess.run([PROGRAM, "attach", *map(str, words)], input=data,
                             capture_output=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(run.returncode, status, run)
        return run

    def refused(self, sentence, *words):
        run = self.piped(*words, status=1)
        self.assertRegex(run.stderr.decode(), r"\Aparavane attach: [^\n]*\n\Z")
        self.assertIn(sentence, run.stderr.decode())


class InATerminal(Case):
    def test_keys_go_there_and_come_back(self):
        self.server()
        terminal = self.attach(self.path)
        terminal.shows(b"ends it")
        keys = bytes(set(range(256)) - set(b"QEASTZ\x1d"))
        terminal.types(keys)
        terminal.shows(keys)
        self.leaves(terminal)

    def test_who_leaves_is_followed_by_the_next(self):
        bridge = self.server()
        for _ in range(3):
            terminal = self.attach(self.path)
            bridge.awaits("open 1 0")
            terminal.types(b"hello")
            terminal.shows(b"hello")
            self.leaves(terminal)
            bridge.awaits("open 0 0")

    def test_a_pseudo_terminal_and_its_link_are_ports_too(self):
        bridge = self.bridge("pty", f"path={self.path}")
        for place in (bridge.place, bridge.place.removeprefix("pty:"), self.path):
            terminal = self.attach(place)
            bridge.awaits("open 1 0")
            terminal.types(b"hello" + bytes(range(1, 8)))
            terminal.shows(b"hello" + bytes(range(1, 8)))
            bridge.awaits("size 80 24")
            self.leaves(terminal)
            bridge.awaits("open 0 0")

    def test_tcp_is_a_port_too(self):
        bridge = self.bridge("tcp", "server")
        terminal = self.attach(bridge.place)
        terminal.types(b"hello")
        terminal.shows(b"hello")
        self.leaves(terminal)

    def test_another_key_ends_it(self):
        self.server()
        terminal = self.attach(self.path, "--escape", "^a")
        terminal.types(LEAVE + b"hello")
        terminal.shows(LEAVE + b"hello")
        self.leaves(terminal, b"\x01")
        self.leaves(self.attach(self.path, "--escape", "q"), b"q")

    def test_no_key_ends_it(self):
        bridge = self.server()
        terminal = self.attach(self.path, "--escape", "none")
        terminal.types(LEAVE + b"hello")
        terminal.shows(LEAVE + b"hello")
        bridge.process.kill()
        self.assertEqual(terminal.ends(), 0)
        self.assertTrue(terminal.is_as_before())

    def test_the_key_is_heard_when_the_port_takes_nothing(self):
        with socket.socket(socket.AF_UNIX) as port:
            port.bind(str(self.path))
            port.listen()
            terminal = self.attach(self.path)
            with port.accept()[0] as deaf:
                typed = 0
                # What it has read and cannot hand on is more than it reads at a time, and less than it
                # reads ahead.
                while typed - waiting(deaf) < 5 * 4000:
                    terminal.types(b"x" * 4000)
                    typed += 4000
                    terminal.wait_until(lambda: waiting(terminal.slave) == 0)
                self.leaves(terminal)

    def test_the_terminal_is_as_before_after_signals(self):
        self.server()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            terminal = self.attach(self.path)
            terminal.process.send_signal(number)
            self.assertEqual(terminal.ends(), -number)
            self.assertTrue(terminal.is_as_before())

    def test_the_terminal_stays_as_it_is_if_that_is_wanted(self):
        self.server()
        terminal = self.attach(self.path, "--no-raw", raw=False)
        terminal.types(b"hello\n")
        # The terminal shows it, and then the guest.
        terminal.shows(b"hello\r\n", times=2)
        self.assertFalse(terminal.is_raw())
        self.leaves(terminal, LEAVE + b"\n")

    def test_the_other_end_hangs_up(self):
        bridge = self.server()
        terminal = self.attach(self.path)
        terminal.types(b"hello")
        terminal.shows(b"hello")
        bridge.process.terminate()
        self.assertEqual(terminal.ends(), 0)
        self.assertTrue(terminal.is_as_before())

    def test_another_program_may_make_the_terminal_wait(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
            listener.listen()
            terminal = self.attach(self.path)
            with listener.accept()[0] as port:
                terminal.make_wait()
                for words in (b"one", b"two", b"three"):
                    port.sendall(words)
                    terminal.shows(words)
                self.leaves(terminal)

    def test_two_in_one_terminal_do_not_disturb_each_other(self):
        gate = self.folder / "gate"
        os.mkfifo(gate)
        paths = [self.folder / name for name in ("first", "second")]
        listeners = [socket.socket(socket.AF_UNIX) for _ in paths]
        for listener, path in zip(listeners, paths):
            self.addCleanup(listener.close)
            listener.bind(str(path))
            listener.listen()
        terminal = Terminal("sh", "-c", 'exec 3<&0; "$0" attach "$1" <&3 & cat "$2"; '
                            'exec "$0" attach "$3"', PROGRAM, paths[0], gate, paths[1])
        self.addCleanup(terminal.close)
        first, _ = listeners[0].accept()
        self.addCleanup(first.close)
        first.sendall(b"I am the first")
        terminal.shows(b"I am the first")
        gate.write_bytes(b"")
        second, _ = listeners[1].accept()
        self.addCleanup(second.close)
        second.sendall(b"I am the second")
        terminal.shows(b"I am the second")
        first.close()
        terminal.wait_until(lambda: not terminal.is_raw())
        for words in (b"one", b"two", b"three"):
            second.sendall(words)
            terminal.shows(words)

    def test_others_see_nothing_of_its_not_waiting(self):
        self.server()
        terminal = self.attach(self.path)
        self.assertFalse(terminal.flags() & os.O_NONBLOCK)
        self.leaves(terminal)

    def test_a_second_one_is_told_that_there_is_a_first(self):
        bridge = self.server()
        terminal = self.attach(self.path)
        bridge.awaits("open 1 0")
        self.refused("hung up at once; is somebody else attached?", self.path)
        terminal.types(b"hello")
        terminal.shows(b"hello")
        self.leaves(terminal)


class BetweenPipes(Case):
    def starts(self, stdin, stdout, *words):
        # pylint: disable=consider-using-with
        program = subprocess.Popen([PROGRAM, "attach", self.path, *words], stdin=stdin,
                                   stdout=stdout)
        self.addCleanup(lambda: program.stdout and program.stdout.close())
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        return program

    def test_all_comes_back(self):
        self.server()
        data = os.urandom(3 << 19).hex().encode()
        run = self.piped(self.path, "--linger", "1", data=data)
        self.assertEqual(run.stdout, data)
        self.assertEqual(run.stderr, b"")

    def test_it_may_not_wait_for_an_answer(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
            listener.listen()
            self.assertEqual(self.piped(self.path, "--linger", "0", data=b"hello").stdout, b"")
            client, _ = listener.accept()
            with client:
                self.assertEqual(client.recv(100), b"hello")

    def test_it_ends_when_the_other_end_does(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
            listener.listen()

            def answer():
                client, _ = listener.accept()
                with client:
                    client.sendall(client.recv(5).upper())
            thread = threading.Thread(target=answer)
            thread.start()
            self.assertEqual(self.piped(self.path, data=b"hello").stdout, b"HELLO")
            thread.join()

    def test_input_that_was_not_taken_is_a_failure(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
            listener.listen()

            def hang_up():
                client, _ = listener.accept()
                client.recv(5)
                client.close()
            thread = threading.Thread(target=hang_up)
            thread.start()
            run = self.piped(self.path, data=b"x" * (4 << 20), status=1)
            self.assertIn(b"hung up before it had all of the input", run.stderr)
            thread.join()

    def test_a_named_pipe_whose_writer_has_gone_has_an_end(self):
        self.server()
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        pipe.write_bytes(b"hello")
        run = subprocess.run([PROGRAM, "attach", self.path, "--linger", "1"], stdin=reader,
                             capture_output=True, timeout=PATIENCE_S, check=False)
        self.assertEqual((run.returncode, run.stdout), (0, b"hello"))

    def test_another_program_may_make_an_input_wait_that_cannot_be_opened_again(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
            listener.listen()
            ours, theirs = socket.socketpair()
            self.addCleanup(ours.close)
            self.addCleanup(theirs.close)
            program = self.starts(theirs, subprocess.PIPE)
            with listener.accept()[0] as port:
                for words in (b"one", b"two", b"three"):
                    port.sendall(words)
                    self.assertEqual(reads(program.stdout.fileno(), words.__eq__), words)
                    os.set_blocking(theirs.fileno(), True)
            self.assertEqual(program.wait(PATIENCE_S), 0)

    def test_the_master_of_a_terminal_is_an_input_too(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
            listener.listen()
            master, slave = os.openpty()
            self.addCleanup(os.close, master)
            self.addCleanup(os.close, slave)
            program = self.starts(master, subprocess.DEVNULL, "--no-raw")
            with listener.accept()[0] as port:
                port.settimeout(PATIENCE_S)
                os.write(slave, b"hello")
                self.assertEqual(port.recv(100), b"hello")
            self.assertEqual(program.wait(PATIENCE_S), 0)

    def test_the_escape_key_is_a_byte_like_others(self):
        self.server()
        data = b"one" + LEAVE + b"two"
        self.assertEqual(self.piped(self.path, "--linger", "1", data=data).stdout, data)


class ByName(Case):
    """The port is asked for at the control socket."""

    def qmp(self, ports, commands=10):
        """Clients one after another."""
        def play(server):
            for turn in range(commands):
                server.be_greeted()
                while command := server.hear():
                    if command["execute"] == "query-chardev":
                        server.send({"return": ports, "id": command["id"]})
                    else:
                        server.send({"return": {}, "id": command["id"]})
                server.stream.close()
                server.client.close()
                if turn + 1 < commands:
                    server.client, _ = server.listener.accept()
                    server.client.settimeout(PATIENCE_S)
                    server.stream = server.client.makefile("rb")
        return FakeQmp(self.folder, play)

    def sizes(self, server):
        return [(c["arguments"]["id"], c["arguments"]["cols"], c["arguments"]["rows"])
                for c in server.commands if c["execute"] == "chardev-window-size-changed"]

    def visits(self, place):
        server = self.qmp([{"label": "other", "filename": "null"},
                           {"label": "shell", "filename": place, "frontend-open": True}], 3)
        self.addCleanup(server.close)
        terminal = self.attach(server.path, "shell")
        terminal.types(b"hello")
        terminal.shows(b"hello")
        self.assertEqual(self.sizes(server), [("shell", 80, 24)])
        terminal.set_size(132, 50)
        terminal.wait_until(lambda: len(self.sizes(server)) == 2)
        self.assertEqual(self.sizes(server)[1], ("shell", 132, 50))
        terminal.types(b"bye")
        terminal.shows(b"bye")
        self.leaves(terminal)

    def test_a_socket_is_found_as_we_and_as_qemu_write_it(self):
        bridge = self.server()
        self.visits(bridge.place)

    def test_a_socket_of_qemu_is_found(self):
        self.server()
        self.visits(f"disconnected:unix:{self.path},server=on")

    def test_a_path_may_say_server_itself(self):
        folder = self.folder / "a,server"
        folder.mkdir()
        self.path = folder / "port,server"
        self.server()
        terminal = self.attach(self.path)
        terminal.types(b"hello")
        terminal.shows(b"hello")
        self.leaves(terminal)
        self.visits(f"disconnected:unix:{self.path},server=on")

    def test_people_may_write_it_as_query_chardev_does(self):
        self.server()
        self.leaves(self.attach(f"unix:{self.path},server=on"))
        self.leaves(self.attach(f"unix:{self.path},server"))

    def test_a_pseudo_terminal_is_found_and_has_its_size_itself(self):
        bridge = self.bridge("pty")
        self.visits(bridge.place)
        bridge.awaits("size 80 24")
        bridge.awaits("size 132 50")

    def test_tcp_is_found(self):
        self.visits(self.bridge("tcp", "server").place)

    def refused_by(self, sentence, ports, port):
        server = self.qmp(ports, 1)
        try:
            self.refused(sentence, server.path, port)
        finally:
            server.close()

    def test_what_is_not_there_has_a_remedy(self):
        ports = [{"label": "shell", "filename": "ringbuf"}]
        self.refused_by("there is no port 'shel'; did you mean 'shell'?", ports, "shel")
        self.refused_by("query-chardev' lists those that there are", ports, "agent")
        self.refused_by("port 'shell' is 'ringbuf', to which nobody can be attached; give it a "
                        "pty or a socket", ports, "shell")

    def test_a_server_may_say_anything(self):
        for ports in (5, None, [1, {}, {"label": 5}, {"label": "shell"}], {},
                      [{"label": "shell", "filename": "tcp:"}],
                      [{"label": "shell", "filename": "tcp:]:1"}],
                      [{"label": "shell", "filename": "unix:" + "x" * 10000}],
                      [{"label": "shell", "filename": "pty:/nowhere"}]):
            server = self.qmp(ports, 1)
            try:
                self.piped(server.path, "shell", status=1)
            finally:
                server.close()


class Refusals(Case):
    def test_what_is_wrong_is_a_sentence_with_a_remedy(self):
        self.refused("no socket given: paravane attach SOCKET [PORT]")
        self.refused("too many words", "a", "b", "c")
        self.refused(f"there is no {self.path}: is the machine running?", self.path)
        self.refused("there is no socket", self.path, "shell")
        self.refused("there is no /dev/pts/99999: is the machine running?", "/dev/pts/99999")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
        self.refused(f"nobody listens on {self.path}: is the machine running?", self.path)
        self.refused("nobody listens on 127.0.0.1:1", "tcp:127.0.0.1:1")
        self.refused("is neither a socket nor a terminal", self.folder)
        self.refused("option '--escape' takes ^X for Ctrl-X", self.path, "--escape", "^^^")
        self.refused("option '--linger'", self.path, "--linger", "soon")
        self.refused("did you mean '--no-raw'?", self.path, "--noraw")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
