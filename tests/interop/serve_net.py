# SPDX-License-Identifier: BSD-2-Clause
"""`paravane serve net` as a user starts it, driven by `paravane bench net`: every frame comes back, or over to
another process, as it was sent."""

import concurrent.futures
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

# pylint: disable=wrong-import-position
from serving import PARAVANE, Qmp, Server, is_listening, short_folder

NOT_BACK = ("no frame has come back; the network must return them, as --backend echo does, or "
            "measure by --mode send")
NOT_COME = ("no frame of paravane bench net has come; have one send to the same network meanwhile, by "
            "--mode send")
LIMIT_S = 60
STARVED_MAX = 5
ONLY_LOST = re.compile(r"check failed: (\d+) lost, 0 doubled, 0 reordered, 0 altered of")
LOSSES = ("lost", "doubled", "reordered", "altered", "foreign")


class Mirror(threading.Thread):
    """The other end of a stream, which sends back what comes, and does `harm` to every 50th frame."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.harm = None
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.start()

    def run(self):
        peer, _ = self.listener.accept()
        with peer, peer.makefile("rb") as stream:
            held = b""
            for number in itertools.count():
                head = stream.read(4)
                if len(head) < 4:
                    return
                frame = head + stream.read(int.from_bytes(head, "big"))
                harm = self.harm if number % 50 == 0 else None
                if harm == "reordered":
                    held = frame
                    continue
                if harm == "altered":
                    frame = frame[:-1] + bytes([frame[-1] ^ 1])
                peer.sendall(frame * {"lost": 0, "doubled": 2}.get(harm, 1) + held)
                held = b""


class ServeNet(unittest.TestCase):
    def setUp(self):
        self.folder = short_folder()
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def serve(self, backend, *options, name="s"):
        server = Server(self.folder, lambda path: [
            PARAVANE, "serve", "net", "--socket-path", path, "--backend", backend, *options], name)
        self.addCleanup(server.end)
        return server

    @staticmethod
    def bench_words(server, *options, seconds=0.3):
        return [PARAVANE, "bench", "net", "--socket-path", server.path, "--seconds", str(seconds),
                *options]

    def bench(self, server, *options, seconds=0.3):
        return subprocess.run(self.bench_words(server, *options, seconds=seconds),
                              capture_output=True, text=True, timeout=LIMIT_S, check=False)

    def check(self, server, *options):
        """A run that ends well, and in which all came back as it was sent."""
        done = self.bench(server, "--check", "--json", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertGreater(result["checked"], 0)
        self.assertEqual([result[loss] for loss in LOSSES], [0] * len(LOSSES))
        return result

    @staticmethod
    def at_once(work, cases):
        """Of all cases together: each measures for its time, whatever it is."""
        with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
            return list(pool.map(work, range(len(cases)), cases))

    def refused(self, done, sentence):
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, f"paravane bench net: {sentence}\n")

    # ---- echoes ----

    def check_at_once(self, backend, cases):
        """A run of each, by a server of its own."""
        servers = [self.serve(backend, name=f"s{number}") for number in range(len(cases))]
        return self.at_once(lambda number, options: self.check(servers[number], *options), cases)

    def test_all_frames_come_back_whatever_the_ring(self):
        cases = ([], ["--packed"], ["--in-order"], ["--packed", "--in-order"], ["--no-indirect"],
                 ["--no-mergeable"], ["--blocking"], ["--packed", "--blocking"])
        results = self.check_at_once("echo,in-order=on", cases)
        for options, result in zip(cases, results):
            with self.subTest(options=options):
                self.assertEqual(result["ring"], "packed" if "--packed" in options else "split")
                self.assertEqual(result["is_mergeable"], "--no-mergeable" not in options)
                self.assertEqual(result["waiting"],
                                 "blocking" if "--blocking" in options else "polling")

    def test_all_frames_come_back_whatever_their_length(self):
        sizes = (("60", "--depth", "256", "--burst", "256"), ("1514",), ("1515", "--no-mergeable"),
                 ("9014",), ("65535", "--depth", "4"), ("61", "--depth", "1"))
        self.check_at_once("echo", [["--size", *size] for size in sizes])

    def test_all_frames_come_back_by_several_pairs(self):
        server = self.serve("echo,queues=4", "--loops", "2")
        for pairs in ("2", "4"):
            self.assertEqual(self.check(server, "--pairs", pairs, "--blocking")["pairs"], int(pairs))
        self.refused(self.bench(server, "--pairs", "5"), "--pairs 5 is more than the device's 4")

    def test_what_was_never_received_is_not_taken_for_ours_later(self):
        server = self.serve("echo")
        with subprocess.Popen(self.bench_words(server, "--mode", "send"), text=True,
                              stderr=subprocess.DEVNULL) as sender:
            server.wait_for_front_end()
            sender.kill()
        done = self.bench(server, "--check", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_what_is_not_offered_is_named(self):
        server = self.serve("echo,packed=off,mq=off,mrg_rxbuf=off")
        self.refused(self.bench(server, "--packed"),
                     "the back-end does not offer packed rings; leave out --packed")
        self.refused(self.bench(server, "--in-order"),
                     "the back-end does not offer IN_ORDER; leave out --in-order")
        self.refused(self.bench(server, "--pairs", "2"),
                     "the back-end does not offer several pairs; leave out --pairs")
        self.assertFalse(self.check(server)["is_mergeable"])

    def tell_apart(self, number, harm):
        """A peer does nothing, then this, then nothing again."""
        wire = self.path(f"wire{number}")
        mirror = Mirror(wire)
        self.addCleanup(mirror.listener.close)
        server = self.serve(f"stream,path={wire}", name=f"s{number}")
        self.check(server, "--depth", "8")
        mirror.harm = harm
        done = self.bench(server, "--depth", "8", "--check", "--json")
        result = json.loads(done.stdout)
        self.assertEqual(done.returncode, 1)
        self.assertIn("check failed: ", done.stderr)
        self.assertGreater(result[harm], 0)
        for other in {*LOSSES, "foreign"} - {harm}:
            # What is altered is not known to be itself, and so is lost as well.
            if (harm, other) != ("altered", "lost"):
                self.assertEqual(result[other], 0, (harm, other))
        mirror.harm = None
        self.check(server, "--depth", "8")

    def test_what_happens_to_frames_is_told_apart(self):
        self.at_once(self.tell_apart, ("lost", "doubled", "reordered", "altered"))

    def test_a_network_that_gives_nothing_back_is_found_out(self):
        server = self.serve("null")
        for options in ((), ("--json",), ("--check", "--json"), ("--blocking",), ("--mode", "receive")):
            with self.subTest(options=options):
                done = self.bench(server, *options)
                self.refused(done, NOT_COME if "receive" in options else NOT_BACK)
                self.assertEqual(done.stdout, "")
        self.assertEqual(self.bench(server, "--mode", "send").returncode, 0)

    # ---- from one process to another ----

    def serve_end(self, backend, name):
        """One end of a wire, which counts."""
        return self.serve(backend, "--qmp", f"unix:{self.path('q' + name)}", name=name)

    def overruns(self, server):
        """Frames for which its driver had no buffers for a tenth of a second."""
        qmp = Qmp(self.path("q" + os.path.basename(server.path)))
        try:
            return qmp.counters()["overruns"]
        finally:
            qmp.close()

    def pass_on_once(self, sender, receiver, options, more):
        with subprocess.Popen(self.bench_words(receiver, "--mode", "receive", "--check", "--json",
                                               *options, *more, seconds=3),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as bench:
            receiver.wait_for_front_end()
            sent = self.bench(sender, "--mode", "send", "--check", "--json", *options)
            output, errors = bench.communicate(timeout=LIMIT_S)
        self.assertEqual(sent.returncode, 0, sent.stderr)
        return sent.stdout, bench.returncode, output, errors

    def pass_on(self, sender, receiver, *options, more=()):
        """
        A run of both, with more options of the receiver's. Returns the results of both. A driver that is
        given no processor for a tenth of a second may lose frames: no more than the device counts, and
        nothing else may be wrong with them; then once more.
        """
        for _ in range(STARVED_MAX):
            before = self.overruns(receiver)
            sent, code, output, errors = self.pass_on_once(sender, receiver, options, more)
            lost = ONLY_LOST.search(errors)
            if code == 0 or not lost or int(lost[1]) > self.overruns(receiver) - before:
                break
        self.assertEqual(code, 0, errors)
        return json.loads(sent), json.loads(output)

    def test_a_stream_loses_nothing_between_two_processes(self):
        wire = self.path("wire")
        first = self.serve_end(f"stream,path={wire},server=on", "a")
        second = self.serve_end(f"stream,path={wire},reconnect-ms=50", "b")
        sent, received = self.pass_on(second, first, "--size", "1514")
        self.assertGreater(received["checked"], 0)
        # What was on its way at the end of the one comes before the end of the other.
        self.assertGreaterEqual(received["received"], sent["sent"])
        _, received = self.pass_on(first, second, "--packed")
        self.assertGreater(received["checked"], 0)

    def test_nor_does_a_device_that_finds_a_queue_for_each_frame(self):
        wire = self.path("wire")
        first = self.serve_end(f"stream,path={wire},server=on,queues=2", "a")
        second = self.serve_end(f"stream,path={wire},reconnect-ms=50", "b")
        sent, received = self.pass_on(second, first, "--size", "1514", more=("--pairs", "2"))
        self.assertGreater(received["checked"], 0)
        self.assertGreaterEqual(received["received"], sent["sent"])

    def test_a_stream_whose_other_end_dies_comes_back(self):
        wire = self.path("wire")
        client = self.serve(f"stream,path={wire},reconnect-ms=20", "--qmp",
                            f"unix:{self.path('q')}", name="b")
        for _ in range(3):
            server = self.serve(f"stream,path={wire},server=on", name="a")
            deadline = time.monotonic() + LIMIT_S
            while True:
                done = self.run_both(client, server)
                if done.returncode == 0 or time.monotonic() > deadline:
                    break
            self.assertEqual(done.returncode, 0, done.stderr)
            server.end()
            if os.path.exists(wire):
                os.unlink(wire)
        qmp = Qmp(self.path("q"))
        self.addCleanup(qmp.close)
        self.assertGreaterEqual(qmp.counters()["reconnects"], 2)
        self.assertEqual(qmp.counters()["bad"], 0)

    def run_both(self, sender, receiver):
        with subprocess.Popen(self.bench_words(receiver, "--mode", "receive", "--check", "--json"),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as bench:
            self.bench(sender, "--mode", "send", "--check")
            output, errors = bench.communicate(timeout=LIMIT_S)
        return subprocess.CompletedProcess([], bench.returncode, output, errors)

    def test_datagrams_keep_their_order(self):
        first = self.serve_end(f"dgram,path={self.path('wb')},local-path={self.path('wa')}", "a")
        second = self.serve_end(f"dgram,path={self.path('wa')},local-path={self.path('wb')}", "b")
        _, received = self.pass_on(first, second, "--size", "1514")
        self.assertGreater(received["checked"], 0)

    # ---- limits, links, and what control commands say ----

    def test_a_limit_of_packets_is_kept(self):
        server = self.serve("null,rate-out-packets=2000")
        done = self.bench(server, "--mode", "send", "--json", seconds=2)
        self.assertEqual(done.returncode, 0, done.stderr)
        sent = json.loads(done.stdout)["sent"]
        # As much again at once, and what is in the ring.
        self.assertLess(sent, 3 * 2000 + 300)
        self.assertGreater(sent, 2000)

    def test_while_the_link_is_down_nothing_passes(self):
        server = self.serve("echo", "--qmp", f"unix:{self.path('q')}")
        qmp = Qmp(self.path("q"))
        self.addCleanup(qmp.close)
        self.check(server)
        self.assertEqual(qmp.command("set_link", name="net0", up=False), {})
        self.refused(self.bench(server, "--mode", "receive", "--check"), NOT_COME)
        before = qmp.counters()["packets"]
        self.bench(server, "--json")
        self.assertEqual(qmp.counters()["packets"], before)
        self.assertEqual(qmp.command("set_link", name="net0", up=True), {})
        self.check(server)

    def test_counters_are_those_of_the_frames(self):
        server = self.serve("echo,queues=2", "--qmp", f"unix:{self.path('q')}")
        qmp = Qmp(self.path("q"))
        self.addCleanup(qmp.close)
        result = self.check(server, "--size", "100")
        queues = {entry["qom-path"]: {stat["name"]: stat["value"] for stat in entry["stats"]}
                  for entry in qmp.command("query-stats")}
        self.assertEqual(queues["/net0/queue1"]["packets"], result["checked"])
        self.assertEqual(queues["/net0/queue0"]["packets"], result["checked"])
        self.assertEqual(queues["/net0/queue1"]["bytes"], 100 * result["checked"])
        self.assertEqual(queues["/net0/queue3"]["packets"], 0)

    # ---- the process ----

    def test_it_ends_by_sigterm_under_load_and_leaves_nothing(self):
        wire = self.path("wire")
        server = self.serve(f"stream,path={wire},server=on", "--pidfile", self.path("pid"))
        with subprocess.Popen(self.bench_words(server, "--mode", "send", seconds=20),
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True) as bench:
            server.wait_for_front_end()
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(LIMIT_S), 0, server.text())
            bench.communicate(timeout=LIMIT_S)
        self.assertEqual(bench.returncode, 1)
        self.assertEqual(sorted(os.listdir(self.folder)), ["s.log"])

    def test_it_serves_inside_its_sandbox(self):
        server = self.serve("echo")
        # Its socket is there before its sandbox is; who is served is served inside.
        self.check(server)
        status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text(encoding="utf-8")
        if "runs without its sandbox" in server.text():
            self.skipTest("a build with sanitizers")
        self.assertRegex(status, r"(?m)^Seccomp:\t2$")
        self.assertRegex(status, r"(?m)^NoNewPrivs:\t1$")

    def test_it_uses_no_cpu_while_nothing_passes(self):
        for backend in ("echo", f"stream,path={self.path('wire')},server=on"):
            server = self.serve(backend)
            with subprocess.Popen(self.bench_words(server, "--mode", "receive", "--blocking",
                                                   seconds=20),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as bench:
                server.wait_for_front_end()
                before = self.switches(server.process)
                time.sleep(1)
                self.assertLessEqual(self.switches(server.process) - before, 3)
                bench.kill()
            server.end()

    @staticmethod
    def switches(process):
        """How often its threads have gone to sleep so far."""
        return sum(int(line.split()[1])
                   for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir()
                   for line in (task / "status").read_text(encoding="utf-8").splitlines()
                   if line.startswith("voluntary_ctxt_switches"))

    def test_a_socket_that_is_there_is_not_taken(self):
        server = self.serve("null")
        again = subprocess.run([PARAVANE, "serve", "net", "--socket-path", server.path,
                                "--backend", "null"], capture_output=True, text=True,
                               timeout=LIMIT_S, check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn("--socket-path", again.stderr)
        self.assertTrue(is_listening(server.path))


if __name__ == "__main__":
    unittest.main(verbosity=2)
