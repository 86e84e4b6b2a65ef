# SPDX-License-Identifier: BSD-2-Clause
"""`paravane bench blk` on our own device and on qemu-storage-daemon's, as a user runs it."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

# pylint: disable=wrong-import-position
from serving import PARAVANE, Server, short_folder

QSD = shutil.which("qemu-storage-daemon")
LIMIT_S = 60
IMAGE_BYTES = 16 << 20


class Bench(unittest.TestCase):
    def setUp(self):
        self.folder = short_folder()
        self.addCleanup(shutil.rmtree, self.folder)
        self.image = os.path.join(self.folder, "image")

    def start(self, command):
        server = Server(self.folder, command)
        self.addCleanup(server.end)
        return server

    def serve(self, *store):
        return self.start(lambda path: [PARAVANE, "serve", "blk", "--socket-path", path, *store])

    def serve_image(self, *options):
        with open(self.image, "wb") as image:
            image.write(os.urandom(1 << 20))
            image.truncate(IMAGE_BYTES)
        return self.serve("--blk-file", self.image, *options)

    def serve_foreign(self):
        if not QSD:
            self.skipTest("qemu-storage-daemon is not installed")
        with open(self.image, "wb") as image:
            image.truncate(IMAGE_BYTES)
        return self.start(lambda path: [
            QSD, "--blockdev", f"driver=file,node-name=f,filename={self.image}",
            "--export", f"type=vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path={path},"
            "writable=on,num-queues=2"])

    def image_digest(self):
        with open(self.image, "rb") as image:
            return hashlib.sha256(image.read()).hexdigest()

    def bench(self, server, *options, path=None):
        return subprocess.run(
            [PARAVANE, "bench", "blk", "--socket-path", path or server.path, "--seconds", "1",
             *options], capture_output=True, text=True, timeout=LIMIT_S, check=False)

    def verify(self, server, *options):
        """A run with patterns that ends well, and has read some of them back."""
        done = self.bench(server, "--verify", "--json", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertGreater(result["verified_blocks"], 0)
        return result

    def refused(self, done, sentence):
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr, f"paravane bench blk: {sentence}\n")

    # ---- data ----

    def test_patterns_come_back_from_our_device(self):
        server = self.serve("--memory", "64M", "--num-queues", "2")
        for ring in ([], ["--packed"]):
            for mode in ([], ["--blocking"]):
                with self.subTest(ring=ring, mode=mode):
                    result = self.verify(server, "--queues", "2", *ring, *mode)
                    self.assertEqual(result["ring"], "packed" if ring else "split")
                    self.assertEqual(result["mode"], "blocking" if mode else "polling")

    def test_patterns_come_back_from_an_image(self):
        server = self.serve_image()
        self.verify(server, "--block-size", "64k", "--depth", "8")
        self.verify(server, "--pattern", "sequential", "--mix", "10")
        self.verify(server, "--block-size", "512", "--size-limit", "128k", "--depth", "64")

    def test_patterns_come_back_from_a_foreign_device(self):
        server = self.serve_foreign()
        self.verify(server, "--queues", "2", "--blocking")
        self.verify(server, "--block-size", "1M", "--depth", "4")

    def test_a_device_that_forgets_is_found_out(self):
        done = self.bench(self.serve("--null", "64M"), "--verify")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "^paravane bench blk: verification failed: at byte [0-9]+ ")

    def test_patterns_come_back_from_back_ends_that_die(self):
        for ring in ([], ["--packed"]):
            with self.subTest(ring=ring):
                server = self.serve_image("--num-queues", "2")
                with subprocess.Popen(
                        [PARAVANE, "bench", "blk", "--socket-path", server.path, "--seconds", "4",
                         "--verify", "--json", "--reconnect", "--queues", "2", *ring],
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as bench:
                    # Four times, or as often as a busy machine finds the time for.
                    deaths = 0
                    while deaths < 4 and server.has_front_end_while(bench):
                        server.end()
                        deaths += 1
                        server = self.serve("--blk-file", self.image, "--num-queues", "2")
                    output, errors = bench.communicate(timeout=LIMIT_S)
                self.assertEqual(bench.returncode, 0, errors)
                result = json.loads(output)
                # The last death may have come when all was done.
                self.assertIn(result["reconnects"], (deaths, deaths - 1))
                self.assertGreater(result["reconnects"], 0)
                self.assertGreater(result["verified_blocks"], 0)
                server.end()

    def test_a_back_end_that_keeps_no_account_cannot_be_replaced(self):
        server = self.serve_foreign()
        with subprocess.Popen(
                [PARAVANE, "bench", "blk", "--socket-path", server.path, "--seconds", "20",
                 "--reconnect"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as bench:
            time.sleep(0.5)
            server.end()
            os.unlink(server.path)
            self.serve_foreign()
            _, errors = bench.communicate(timeout=LIMIT_S)
        self.assertEqual(bench.returncode, 1)
        self.assertEqual(errors, "paravane bench blk: the back-end has kept no account of what "
                                 "is in flight\n")

    def test_without_mix_and_verify_nothing_is_written(self):
        server = self.serve_image()
        before = self.image_digest()
        self.assertEqual(self.bench(server).returncode, 0)
        self.assertEqual(self.image_digest(), before)

    # ---- the report ----

    def test_the_figures_agree_with_each_other(self):
        done = self.bench(self.serve("--null", "1G"), "--json", "--mix", "70", "--depth", "4")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("\n"), 1)
        result = json.loads(done.stdout)
        requests = result["reads"] + result["writes"]
        self.assertAlmostEqual(result["reads"] / requests, 0.7, delta=0.02)
        self.assertAlmostEqual(result["iops"] * result["seconds"] / requests, 1, delta=0.01)
        self.assertAlmostEqual(result["mb_per_s"] / (result["iops"] * 4096e-6), 1, delta=0.01)
        latency = result["latency_us"]
        self.assertLessEqual(latency["p50"], latency["p99"])
        self.assertLessEqual(latency["p99"], latency["p99.9"])
        self.assertLessEqual(latency["p99.9"], latency["max"])
        # Little's law: what is in flight is the rate times the mean time.
        self.assertAlmostEqual(result["iops"] * latency["mean"] * 1e-6, 4, delta=0.8)
        self.assertGreater(result["client_cpu_us_per_request"], 0)
        self.assertGreater(result["backend_cpu_us_per_request"], 0)

    def test_a_person_gets_a_few_lines(self):
        done = self.bench(self.serve("--null", "1G"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        self.assertRegex(done.stdout, "throughput +[0-9]+ IOPS, [0-9.]+ MB/s")

    # ---- what goes wrong ----

    def test_wrong_options_are_one_sentence(self):
        server = self.serve("--null", "1M", "--num-queues", "2")
        for options, sentence in (
                (["--verify", "--mix", "100"],
                 "--verify writes to the disk; leave out --mix 100"),
                (["--block-size", "1000"], "--block-size is no multiple of 512 bytes"),
                (["--queues", "3"], "--queues 3 is more than the disk's 2"),
                (["--block-size", "2M"],
                 "the disk, or --size-limit, has room for 0 blocks; at least 1 are needed"),
        ):
            with self.subTest(options=options):
                self.refused(self.bench(server, *options), sentence)

    def test_a_read_only_disk_is_not_written_to(self):
        self.refused(self.bench(self.serve_image("--read-only"), "--mix", "50"),
                     "the disk is read-only; leave out --mix and --verify")

    def test_packed_rings_that_are_not_offered_are_refused(self):
        self.refused(self.bench(self.serve_foreign(), "--packed"),
                     "the back-end does not offer packed rings; leave out --packed")

    def test_nobody_at_the_socket_is_one_sentence(self):
        path = os.path.join(self.folder, "none")
        self.refused(self.bench(None, path=path),
                     f"--socket-path {path}: there is no such socket; start the back-end first")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
        self.refused(self.bench(None, path=path),
                     f"--socket-path {path}: no back-end listens there; start it first")

    def test_a_back_end_that_is_killed_ends_the_run_at_once(self):
        for mode in ([], ["--blocking"]):
            with self.subTest(mode=mode):
                server = self.serve("--null", "1G")
                bench = subprocess.Popen(
                    [PARAVANE, "bench", "blk", "--socket-path", server.path, "--seconds", "30",
                     *mode], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                server.wait_for_front_end()
                server.end()
                killed = time.monotonic()
                output, errors = bench.communicate(timeout=LIMIT_S)
                self.assertLess(time.monotonic() - killed, 5)
                self.assertEqual(bench.returncode, 1)
                self.assertEqual(output, "")
                self.assertRegex(errors, "^paravane bench blk: .*the back-end has closed the "
                                         "connection\n$")
                os.unlink(server.path)


if __name__ == "__main__":
    unittest.main(verbosity=2)
