# SPDX-License-Identifier: BSD-2-Clause
"""Error policies of the program on disks that are really full or cut short, under our own driver's
load: what the driver sees, what QMP tells, and how it goes on."""

import json
import os
import shutil
import subprocess
import sys
import time
import unittest

for folder in ("../support", "../hostile"):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), folder))

# pylint: disable=wrong-import-position
from front_end import GET_VRING_BASE, STATUS_BYTE, FrontEnd, state
from serving import PARAVANE, Qmp, Server, SmallDisk, short_folder

LIMIT_S = 60
DISK_BYTES = 16 << 20
READ, IO_ERROR = 0, 1


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = short_folder()
        self.addCleanup(shutil.rmtree, self.folder)
        self.image = os.path.join(self.folder, "image")
        self.server = None
        self.disk = None

    def make_image(self, disk_size=None):
        """An empty image; on a file system of `disk_size` if that is given."""
        if disk_size:
            place = os.path.join(self.folder, "small")
            try:
                self.disk = SmallDisk(place, disk_size)
            except PermissionError as refused:
                self.skipTest(f"no mount namespace here: {refused}")
            self.addCleanup(self.disk.end)
            self.image = os.path.join(place, "image")
        with open(self.image, "wb") as image:
            image.truncate(DISK_BYTES)

    def serve(self, *options):
        qmp = os.path.join(self.folder, "qmp")
        self.server = Server(self.folder, lambda path: [
            PARAVANE, "serve", "blk", "--socket-path", path, "--blk-file", self.image,
            "--qmp", f"unix:{qmp}", *options])
        self.addCleanup(self.server.end)
        # The sockets of one that was killed before are there a little longer than it was.
        self.server.wait_for_text("serving")
        monitor = Qmp(qmp)
        self.addCleanup(monitor.close)
        return monitor

    def start_bench(self, *options):
        bench = subprocess.Popen(
            [PARAVANE, "bench", "blk", "--socket-path", self.server.path, "--json", "--seconds",
             "2", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(bench.communicate)
        self.addCleanup(bench.kill)
        return bench

    def end_well(self, bench):
        out, err = bench.communicate(timeout=LIMIT_S)
        self.assertEqual(bench.returncode, 0, err)
        return json.loads(out)

    def expect_stopped(self, monitor, operation, is_no_space):
        data = monitor.wait_for("BLOCK_IO_ERROR")
        self.assertEqual((data["device"], data["operation"], data["action"], data["nospace"]),
                         ("blk0", operation, "stop", is_no_space))
        monitor.wait_for("STOP")
        self.assertEqual(monitor.command("query-status"),
                         {"status": "io-error", "running": False, "singlestep": False})
        self.assertEqual(monitor.command("query-block")[0]["io-status"],
                         "nospace" if is_no_space else "failed")

    def go_on(self, monitor):
        self.assertEqual(monitor.command("cont"), {})
        monitor.wait_for("RESUME")
        self.assertEqual(monitor.command("query-status")["status"], "running")
        self.assertEqual(monitor.command("query-block")[0]["io-status"], "ok")

    def expect_logged(self, deed, why, then, at_most):
        line = f"blk0: error: {deed} has failed ({why}): {then}"
        self.server.wait_for_text(line)
        self.assertLessEqual(self.server.text().count(line), at_most)

    def cpu_ticks(self):
        with open(f"/proc/{self.server.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])


class FullDisk(Case):
    def test_the_disk_waits_until_there_is_room_and_loses_nothing(self):
        self.make_image("4m")
        monitor = self.serve()
        bench = self.start_bench("--verify", "--mix", "30")
        self.expect_stopped(monitor, "write", True)
        before = self.cpu_ticks()
        time.sleep(0.5)
        self.assertLessEqual(self.cpu_ticks() - before, 1, "a stopped disk uses the CPU")
        self.assertIsNone(bench.poll())
        # Still full: it stops again.
        self.assertEqual(monitor.command("cont"), {})
        monitor.events.clear()
        self.expect_stopped(monitor, "write", True)
        self.expect_logged("writing", "No space left on device", "the disk has stopped", at_most=3)
        self.disk.resize("64m")
        self.go_on(monitor)
        self.assertGreater(self.end_well(bench)["verified_blocks"], 0)
        self.assertGreater(monitor.counters()["kept"], 0)
        self.assertEqual(monitor.counters()["errors"], 0)

    def test_what_a_stopped_disk_kept_is_done_by_the_next_process(self):
        self.make_image("4m")
        monitor = self.serve()
        bench = self.start_bench("--verify", "--mix", "30", "--reconnect")
        self.expect_stopped(monitor, "write", True)
        kept = monitor.counters()["kept"]
        self.server.process.kill()
        self.server.process.wait()
        self.disk.resize("64m")
        os.unlink(self.server.path)
        monitor = self.serve()
        self.assertGreater(self.end_well(bench)["verified_blocks"], 0)
        self.assertGreater(kept, 0)
        self.assertEqual(monitor.counters()["errors"], 0)

    def test_reporting_is_an_error_for_the_driver_and_an_event(self):
        self.make_image("4m")
        monitor = self.serve("--werror", "report")
        bench = self.start_bench("--mix", "0")
        data = monitor.wait_for("BLOCK_IO_ERROR")
        self.assertEqual((data["operation"], data["action"], data["nospace"], data["reason"]),
                         ("write", "report", True, os.strerror(28)))
        _, err = bench.communicate(timeout=LIMIT_S)
        self.assertEqual(bench.returncode, 1)
        self.assertIn("paravane bench blk: ", err)
        self.assertGreater(monitor.counters()["errors"], 0)
        self.assertEqual(monitor.command("query-status")["status"], "running")
        self.expect_logged("writing", "No space left on device", "the driver is told", at_most=3)

    def test_ignoring_hides_it_from_the_driver(self):
        self.make_image("4m")
        monitor = self.serve("--werror", "ignore")
        self.end_well(self.start_bench("--mix", "0"))
        self.assertEqual(monitor.wait_for("BLOCK_IO_ERROR")["action"], "ignore")
        counters = monitor.counters()
        self.assertGreater(counters["ignored"], 0)
        self.assertEqual(counters["errors"], 0)
        # In two seconds, of which each may have one.
        self.expect_logged("writing", "No space left on device",
                           "the driver is told that it went well", at_most=3)


class FailingDisk(Case):
    def stop_by_cutting_short(self):
        self.make_image()
        monitor = self.serve("--rerror", "stop", "--werror", "stop")
        os.truncate(self.image, 0)
        bench = self.start_bench()
        self.expect_stopped(monitor, "read", False)
        return monitor, bench

    def test_reads_that_fail_are_done_again(self):
        monitor, bench = self.stop_by_cutting_short()
        os.truncate(self.image, DISK_BYTES)
        self.go_on(monitor)
        self.end_well(bench)

    def test_an_image_in_memory_is_cut_short_under_load(self):
        self.make_image("64m")
        with open(self.image, "r+b") as image:
            image.write(os.urandom(DISK_BYTES))
        monitor = self.serve("--rerror", "stop")
        bench = self.start_bench("--mix", "100")
        while monitor.counters()["requests"] == 0:
            time.sleep(0.01)
        os.truncate(self.image, 0)
        self.expect_stopped(monitor, "read", False)
        os.truncate(self.image, DISK_BYTES)
        self.go_on(monitor)
        self.end_well(bench)

    def test_a_front_end_that_leaves_a_stopped_disk_frees_it(self):
        monitor, bench = self.stop_by_cutting_short()
        bench.kill()
        monitor.wait_for("RESUME")
        self.server.wait_for_text("has left")
        os.truncate(self.image, DISK_BYTES)
        self.end_well(self.start_bench())
        self.assertEqual(monitor.command("query-status")["status"], "running")

    def test_a_front_end_may_stop_the_queues_of_a_stopped_disk(self):
        self.make_image()
        monitor = self.serve("--rerror", "stop")
        os.truncate(self.image, 0)
        with FrontEnd(self.server) as front_end:
            front_end.set_up().offer_request(READ)
            self.expect_stopped(monitor, "read", False)
            self.assertEqual(front_end.used(), 0)
            front_end.send(GET_VRING_BASE, state(0, 0))
            # What was kept has failed with that, and the queue stands behind it.
            self.assertEqual(front_end.reply(), (GET_VRING_BASE, state(0, 1)))
            self.assertEqual((front_end.used(), front_end.memory[STATUS_BYTE]), (1, IO_ERROR))

    def test_a_stopped_disk_ends_when_it_is_told_to(self):
        self.stop_by_cutting_short()
        self.server.process.terminate()
        self.assertEqual(self.server.process.wait(timeout=LIMIT_S), 0, self.server.text())


unittest.main(verbosity=2)
