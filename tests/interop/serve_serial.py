# SPDX-License-Identifier: BSD-2-Clause
"""`paravane serve serial` as a user starts it, driven by `paravane bench serial`: every byte arrives as it was
sent, whatever comes and goes meanwhile."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tty
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

# pylint: disable=wrong-import-position
from serving import PARAVANE, Qmp, Server, short_folder

LIMIT_S = 60


def send_back(fd, ending):
    """The other end of a terminal, which sends back what comes."""
    while not ending.is_set():
        try:
            data = os.read(fd, 65536)
        except OSError:
            return
        while data:
            data = data[os.write(fd, data):]


class Serial(unittest.TestCase):
    def setUp(self):
        self.folder = short_folder()
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def serve(self, *ports, more=(), name="s"):
        words = [word for port in ports for word in ("--port", port)]
        server = Server(self.folder, lambda path: [
            PARAVANE, "serve", "serial", "--socket-path", path, "--qmp", f"unix:{path}.q", *words,
            *more], name)
        self.addCleanup(server.end)
        return server

    def qmp(self, server):
        qmp = Qmp(f"{server.path}.q")
        self.addCleanup(qmp.close)
        return qmp

    @staticmethod
    def words(server, *options, seconds=0.3):
        return [PARAVANE, "bench", "serial", "--socket-path", server.path, "--seconds",
                str(seconds), *map(str, options)]

    def bench(self, server, *options, seconds=0.3):
        return subprocess.run(self.words(server, *options, seconds=seconds), capture_output=True,
                              text=True, timeout=LIMIT_S, check=False)

    def result_of(self, server, *options, seconds=0.3):
        done = self.bench(server, "--json", *options, seconds=seconds)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def check(self, server, *options, seconds=0.3):
        """A run that ends well, and in which all came as it was sent."""
        result = self.result_of(server, "--check", *options, seconds=seconds)
        self.assertGreater(result["checked_bytes"], 0)
        return result

    def refused(self, done, sentence):
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"paravane bench serial: {sentence}", done.stderr)

    @staticmethod
    def counters_of(qmp, path):
        (stats,) = [entry["stats"] for entry in qmp.command("query-stats")
                    if entry["qom-path"] == path]
        return {stat["name"]: stat["value"] for stat in stats}

    # ---- every byte ----

    def at_once(self, work, cases):
        with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
            return list(pool.map(work, range(len(cases)), cases))

    def test_all_bytes_come_back_whatever_the_ring_and_the_size(self):
        cases = ([], ["--packed"], ["--in-order"], ["--no-indirect"], ["--blocking"],
                 ["--packed", "--blocking"], ["--size", 1], ["--size", 4097, "--depth", 64],
                 ["--size", "1M", "--depth", 2], ["--ports", 3])
        servers = [self.serve("name=a,echo", "name=b,echo", "name=c,echo", more=["--in-order"],
                              name=f"s{number}") for number in range(len(cases))]
        results = self.at_once(lambda number, options: self.check(
            servers[number], "--mode", "echo", *options), cases)
        for options, result in zip(cases, results):
            self.assertEqual(result["ring"], "packed" if "--packed" in options else "split")

    def test_no_byte_is_lost_over_a_socket_either_way(self):
        server = self.serve("name=nothing,null", f"name=a,socket={self.path('a')}")
        for mode in ("out", "in", "echo"):
            for options in (("--size", "64k"), ("--size", 1000, "--blocking"), ("--packed",)):
                with self.subTest(mode=mode, options=options):
                    self.check(server, "--port", 1, "--mode", mode, "--peer", self.path("a"), *options)

    def test_no_byte_is_lost_over_a_terminal(self):
        server = self.serve(f"console,pty={self.path('tty')}")
        fd = os.open(self.path("tty"), os.O_RDWR | os.O_NOCTTY)
        tty.setraw(fd)
        ending = threading.Event()
        thread = threading.Thread(target=send_back, args=(fd, ending), daemon=True)
        thread.start()
        # A terminal that is full both ways is at a standstill: less than it holds is on its way.
        self.check(server, "--mode", "echo", "--size", 1000, "--depth", 2)
        ending.set()
        server.end()
        thread.join(LIMIT_S)
        self.assertFalse(thread.is_alive())
        os.close(fd)

    def test_bytes_that_are_altered_or_lost_are_found_out(self):
        def harm(listener, change):
            peer, _ = listener.accept()
            with peer, contextlib.suppress(ConnectionResetError, BrokenPipeError):
                while data := peer.recv(65536):
                    peer.sendall(change(data))

        for number, (change, words) in enumerate((
                (lambda data: bytes([data[0] ^ 1]) + data[1:], "check failed: port 0: byte 0 is not"),
                (lambda data: data[1:], "check failed: port 0: byte 0 is not"),
                (lambda data: b"", "check failed: "))):
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(self.path(f"l{number}"))
                listener.listen()
                threading.Thread(target=harm, args=(listener, change), daemon=True).start()
                server = self.serve(f"name=a,socket={self.path(f'l{number}')},server=off",
                                    name=f"s{number}")
                self.refused(self.bench(server, "--mode", "echo", "--check"), words)

    def test_what_is_not_there_is_named(self):
        server = self.serve("name=a,echo", more=["--no-packed", "--ports-max", "2"])
        self.refused(self.bench(server, "--packed"),
                     "the back-end does not offer packed rings; leave out --packed")
        self.refused(self.bench(server, "--in-order"), "the back-end does not offer IN_ORDER")
        self.refused(self.bench(server, "--port", 2), "the device has no port 2")
        self.refused(self.bench(server, "--peer", self.path("x")), f"--peer {self.path('x')}: ")
        self.refused(self.bench(server, "--depth", 65), "--depth is more than --queue-size")

    def test_a_port_that_takes_nothing_is_named(self):
        server = self.serve("name=a,null", f"name=b,socket={self.path('b')}")
        done = self.bench(server, "--port", 1)
        self.refused(done, "port 1: it has not taken all writes for 3 seconds; let somebody read at its other end")
        self.assertNotIn("check failed", done.stderr)

    def test_a_port_by_which_nothing_comes_is_not_measured(self):
        server = self.serve("name=a,null")
        for options in ((), ("--json",), ("--blocking",), ("--check",)):
            with self.subTest(options=options):
                done = self.bench(server, "--mode", "in", *options)
                self.refused(done, "no byte has come; have somebody write at the port's other end, as --peer does")
                self.assertEqual(done.stdout, "")
        self.assertEqual(self.bench(server, "--mode", "out").returncode, 0)

    def test_less_than_a_write_has_no_costs_of_one(self):
        server = self.serve(f"name=a,socket={self.path('a')}")
        for options, words in ((("--json",), '"kicks_per_write": null'), ((), "throughput")):
            with socket.socket(socket.AF_UNIX) as writer:
                writer.connect(self.path("a"))
                writer.sendall(b"hello")
                done = self.bench(server, "--mode", "in", *options)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(words, done.stdout)
            self.assertNotIn("per write", done.stdout)

    # ---- coming and going ----

    def test_ports_come_and_go_under_traffic(self):
        server = self.serve("name=a,echo", f"name=b,socket={self.path('b')}", more=["--hot-plug"])
        qmp = self.qmp(server)
        backends = [{"type": "null"}, {"type": "echo"}, {"type": "pty"}, {"type": "socket", "data": {
            "addr": {"type": "unix", "data": {"path": self.path("x")}}}}]
        with subprocess.Popen(self.words(server, "--check", "--mode", "echo", "--port", 1, "--json",
                                         "--peer", self.path("b"), seconds=1.5),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as bench:
            turns = 0
            while bench.poll() is None:
                for number, backend in enumerate(backends):
                    self.assertNotIn("error", qmp.command("chardev-add", id=f"p{number}",
                                                          backend=backend))
                for number in range(len(backends)):
                    self.assertEqual(qmp.command("chardev-remove", id=f"p{number}"), {})
                turns += 1
            output, errors = bench.communicate(timeout=LIMIT_S)
        self.assertEqual(bench.returncode, 0, errors)
        self.assertGreater(json.loads(output)["checked_bytes"], 0)
        self.assertGreater(turns, 3)
        self.assertEqual([entry["label"] for entry in qmp.command("query-chardev")], ["a", "b"])

    def wait_until_open(self, qmp, label):
        deadline = time.monotonic() + LIMIT_S
        while not any(entry["label"] == label and entry["frontend-open"]
                      for entry in qmp.command("query-chardev")):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def test_a_port_that_is_in_use_can_be_removed(self):
        server = self.serve("name=a,echo", "name=b,echo")
        qmp = self.qmp(server)
        for _ in range(3):
            with subprocess.Popen(self.words(server, "--mode", "echo", "--port", 1, seconds=20),
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True) as bench:
                self.wait_until_open(qmp, "b")
                self.assertEqual(qmp.command("chardev-remove", id="b"), {})
                _, errors = bench.communicate(timeout=LIMIT_S)
            self.assertEqual(bench.returncode, 1)
            self.assertIn("port 1: ", errors)
            self.check(server, "--mode", "echo")
            self.assertEqual(qmp.command("chardev-add", id="b", backend={"type": "echo"}), {})
            self.check(server, "--mode", "echo", "--port", 1)

    def test_what_the_driver_opens_and_closes_is_told(self):
        server = self.serve("name=a,null", "name=b,null")
        qmp = self.qmp(server)
        with subprocess.Popen(self.words(server, "--port", 1, seconds=20),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as bench:
            self.assertEqual(qmp.wait_for("VSERPORT_CHANGE"), {"id": "b", "open": True})
            self.assertEqual([entry["frontend-open"] for entry in qmp.command("query-chardev")],
                             [False, True])
            bench.kill()
        self.assertEqual(qmp.wait_for("VSERPORT_CHANGE"), {"id": "b", "open": False})
        self.assertEqual([entry["frontend-open"] for entry in qmp.command("query-chardev")],
                         [False, False])

    # ---- nobody at the other end ----

    def test_bytes_wait_are_dropped_or_kept_while_nobody_is_there(self):
        server = self.serve(f"name=w,socket={self.path('w')}",
                            f"name=d,socket={self.path('d')},on-closed=drop",
                            f"name=k,socket={self.path('k')},on-closed=buffer=64k")
        qmp = self.qmp(server)
        dropped = self.result_of(server, "--port", 1)
        counters = self.counters_of(qmp, "/serial0/port1")
        self.assertGreaterEqual(counters["dropped"], dropped["bytes_out"])
        self.assertGreater(dropped["bytes_out"], 0)
        self.result_of(server, "--port", 2)
        self.assertEqual(self.counters_of(qmp, "/serial0/port2")["kept"], 65536)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(LIMIT_S)
            client.connect(self.path("k"))
            self.assertEqual(len(client.recv(65536, socket.MSG_WAITALL)), 65536)
        with subprocess.Popen(self.words(server, "--port", 0, seconds=30),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as bench:
            while qmp.wait_for("VSERPORT_CHANGE") != {"id": "w", "open": True}:
                pass
            time.sleep(0.2)
            self.assertEqual(self.counters_of(qmp, "/serial0/queue1")["bytes"], 0)
            bench.kill()

    def test_it_uses_no_cpu_while_nobody_reads(self):
        server = self.serve(f"name=a,socket={self.path('a')}")
        with socket.socket(socket.AF_UNIX) as client, subprocess.Popen(
                self.words(server, "--blocking", seconds=20), stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL) as bench:
            client.connect(self.path("a"))
            server.wait_for_front_end()
            time.sleep(0.3)
            before = self.switches(server.process)
            time.sleep(1)
            self.assertLessEqual(self.switches(server.process) - before, 3)
            bench.kill()

    @staticmethod
    def switches(process):
        """How often its threads have gone to sleep so far."""
        return sum(int(line.split()[1])
                   for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir()
                   for line in (task / "status").read_text(encoding="utf-8").splitlines()
                   if line.startswith("voluntary_ctxt_switches"))

    # ---- the process ----

    def test_counters_are_those_of_the_bytes(self):
        server = self.serve("name=a,echo", "name=b,echo")
        qmp = self.qmp(server)
        result = self.check(server, "--mode", "echo", "--port", 1)
        # Port 1 has the queues 4 and 5: what goes in, and what comes out.
        for queue in (4, 5):
            counters = self.counters_of(qmp, f"/serial0/queue{queue}")
            self.assertEqual(counters["bytes"], result["checked_bytes"])
        self.assertEqual(self.counters_of(qmp, "/serial0/queue1")["bytes"], 0)

    def test_it_ends_by_sigterm_under_load_and_leaves_nothing(self):
        server = self.serve(f"console,pty={self.path('tty')}", f"name=a,socket={self.path('a')}",
                            "name=b,echo", more=["--pidfile", self.path("pid")])
        with subprocess.Popen(self.words(server, "--mode", "echo", "--port", 2, seconds=20),
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True) as bench:
            server.wait_for_front_end()
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(LIMIT_S), 0, server.text())
            bench.communicate(timeout=LIMIT_S)
        self.assertEqual(bench.returncode, 1)
        self.assertEqual(sorted(os.listdir(self.folder)), ["s.log"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
