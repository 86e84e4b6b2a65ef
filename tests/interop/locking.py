# SPDX-License-Identifier: BSD-2-Clause
"""An image has one writer: QEMU's tools keep away from one in use here, and we from one in use
there, in both directions and among ourselves; locks come with the first queue and go with the last."""

import glob
import os
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

# pylint: disable=wrong-import-position
from serving import PARAVANE, Qmp, Server, short_folder

LIMIT_S = 60
LOCKED = "its disk is locked, somebody else uses the image"


class Locking(unittest.TestCase):
    def setUp(self):
        for tool in ("qemu-img", "qemu-io"):
            if not shutil.which(tool):
                self.skipTest(f"no {tool} (package qemu-utils)")
        self.folder = short_folder()
        self.addCleanup(shutil.rmtree, self.folder)
        self.image = os.path.join(self.folder, "image")
        self.servers = 0
        with open(self.image, "wb") as image:
            image.truncate(16 << 20)

    def serve(self, *options):
        self.servers += 1
        server = Server(self.folder, lambda path: [
            PARAVANE, "serve", "blk", "--socket-path", path, "--blk-file", self.image, *options],
            f"s{self.servers}")
        self.addCleanup(server.end)
        return server

    def start_guest(self, server):
        """Our driver, which uses the disk until it is ended, or is refused and ends by itself."""
        guest = subprocess.Popen(
            [PARAVANE, "bench", "blk", "--socket-path", server.path, "--seconds", "60",
             "--depth", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(guest.wait)
        self.addCleanup(guest.kill)
        deadline = time.monotonic() + LIMIT_S
        while self.locks(server) == 0 and guest.poll() is None:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        return guest

    def bytes_locked_by(self, process):
        """The locks that it holds on the image, in the kernel's words: kind, first and last byte."""
        inode = f":{os.stat(self.image).st_ino}"
        found = set()
        for path in glob.glob(f"/proc/{process.pid}/fdinfo/*"):
            try:
                with open(path, encoding="ascii") as info:
                    rows = [line.split() for line in info if line.startswith("lock:")]
            except FileNotFoundError:
                continue
            found |= {(*row[2:5], *row[-2:]) for row in rows if row[-3].endswith(inode)}
        return found

    def locks(self, server):
        return len(self.bytes_locked_by(server.process))

    def end_guest(self, server, guest):
        guest.kill()
        guest.wait()
        server.wait_for_text("has left")
        deadline = time.monotonic() + LIMIT_S
        while self.locks(server) > 0:
            self.assertLess(time.monotonic(), deadline, "locks outlive the queues")
            time.sleep(0.02)

    def run_tool(self, *command):
        return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S,
                              check=False)

    def qemu_may(self, *command):
        done = self.run_tool(*command)
        self.assertEqual(done.returncode, 0, done.stderr)

    def qemu_may_not(self, *command):
        done = self.run_tool(*command)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("lock", done.stderr)

    def overlay(self):
        """An image on top of ours: what is committed goes into ours."""
        path = os.path.join(self.folder, "overlay")
        self.qemu_may("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", self.image, path)
        return path

    def writes(self):
        return "qemu-io", "-f", "raw", "-c", "write 0 4k", self.image

    def reads(self):
        return "qemu-io", "-r", "-f", "raw", "-c", "read 0 4k", self.image

    def test_qemu_keeps_away_from_an_image_while_a_guest_uses_it(self):
        server = self.serve()
        self.qemu_may(*self.writes())
        guest = self.start_guest(server)
        self.qemu_may_not(*self.writes())
        self.qemu_may_not("qemu-img", "resize", "-f", "raw", self.image, "32M")
        self.qemu_may_not("qemu-img", "commit", "-f", "qcow2", self.overlay())
        self.qemu_may("qemu-img", "info", self.image)
        self.end_guest(server, guest)
        self.qemu_may(*self.writes())
        self.qemu_may(*self.reads())

    def locks_of_qemu(self, *options):
        """Those of a disk of QEMU's own on the same image."""
        path = os.path.join(self.folder, "machine")
        machine = subprocess.Popen(
            ["qemu-system-x86_64", "-S", "-display", "none", "-nodefaults", "-accel", "tcg", "-drive",
             ",".join([f"file={self.image},if=none,id=d,format=raw", *options]), "-device",
             "virtio-blk-pci,drive=d", "-qmp", f"unix:{path},server=on,wait=off"],
            stderr=subprocess.DEVNULL)
        self.addCleanup(machine.wait)
        self.addCleanup(machine.kill)
        deadline = time.monotonic() + LIMIT_S
        while not os.path.exists(path):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        # It answers when its devices are there.
        monitor = Qmp(path)
        monitor.command("query-status")
        locked = self.bytes_locked_by(machine)
        monitor.close()
        os.unlink(path)
        machine.kill()
        machine.wait()
        return locked

    @unittest.skipUnless(shutil.which("qemu-system-x86_64"), "no qemu-system-x86_64")
    def test_the_locks_are_those_of_a_disk_of_qemus_own(self):
        for of_ours, of_qemu in (([], []), (["--read-only"], ["readonly=on"])):
            wanted = self.locks_of_qemu(*of_qemu)
            server = self.serve(*of_ours)
            guest = self.start_guest(server)
            self.assertEqual(self.bytes_locked_by(server.process), wanted)
            self.end_guest(server, guest)

    def test_many_may_read_what_nobody_writes(self):
        server = self.serve("--read-only")
        self.start_guest(server)
        other = self.serve("--read-only")
        guest = self.start_guest(other)
        self.assertIsNone(guest.poll())
        self.qemu_may(*self.reads())
        self.qemu_may("qemu-img", "info", self.image)
        self.qemu_may_not(*self.writes())

    def hold_with_qemu(self):
        holder = subprocess.Popen(["qemu-io", "-f", "raw", self.image], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        self.addCleanup(holder.stdin.close)
        self.addCleanup(holder.stdout.close)
        # It answers when it has the image.
        holder.stdin.write("read 0 512\n")
        holder.stdin.flush()
        while "read 512/512" not in (line := holder.stdout.readline()):
            self.assertTrue(line)
        return holder

    def test_a_queue_does_not_start_on_an_image_that_qemu_has(self):
        holder = self.hold_with_qemu()
        server = self.serve()
        guest = self.start_guest(server)
        self.assertEqual(guest.wait(timeout=LIMIT_S), 1)
        self.assertIn(LOCKED, server.text())
        self.assertEqual(self.locks(server), 0)
        # The process goes on, and the next one finds the image free.
        holder.kill()
        holder.wait()
        guest = self.start_guest(server)
        self.assertGreater(self.locks(server), 0)
        self.assertIsNone(guest.poll())

    def bench(self, server, seconds):
        guest = subprocess.Popen(
            [PARAVANE, "bench", "blk", "--socket-path", server.path, "--seconds", str(seconds)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(guest.wait)
        self.addCleanup(guest.kill)
        return guest

    def test_a_lock_that_goes_soon_is_waited_for(self):
        holder = self.hold_with_qemu()
        server = self.serve()
        guest = self.bench(server, 1)
        server.wait_for_text("has connected")
        time.sleep(0.3)
        self.assertEqual(self.locks(server), 0)
        holder.kill()
        holder.wait()
        self.assertEqual(guest.wait(timeout=LIMIT_S), 0)
        self.assertNotIn(LOCKED, server.text())

    def test_nothing_hangs_on_a_wait_for_a_lock(self):
        self.hold_with_qemu()
        server = self.serve()
        guest = self.bench(server, 1)
        server.wait_for_text("has connected")
        time.sleep(0.2)
        guest.kill()
        guest.wait()
        server.wait_for_text("is dropped")
        # Another one waits when the program is told to end.
        self.bench(server, 1)
        time.sleep(0.2)
        server.process.terminate()
        self.assertEqual(server.process.wait(timeout=LIMIT_S), 0, server.text())

    def test_a_reader_keeps_a_writer_away(self):
        reader, writer = self.serve("--read-only"), self.serve()
        guest = self.start_guest(reader)
        self.assertEqual(self.start_guest(writer).wait(timeout=LIMIT_S), 1)
        self.assertIn(LOCKED, writer.text())
        self.end_guest(reader, guest)
        self.assertIsNone(self.start_guest(writer).poll())

    def test_two_of_ours_do_not_write_one_image(self):
        first, second = self.serve(), self.serve()
        guest = self.start_guest(first)
        self.assertEqual(self.start_guest(second).wait(timeout=LIMIT_S), 1)
        self.assertIn(LOCKED, second.text())
        self.assertIsNone(guest.poll(), "the first one is not disturbed")
        self.end_guest(first, guest)
        self.assertIsNone(self.start_guest(second).poll())

    def test_who_turns_locking_off_is_on_their_own(self):
        server = self.serve("--locking", "off")
        guest = self.start_guest_unlocked(server)
        self.qemu_may(*self.writes())
        self.assertIsNone(guest.poll())

    def start_guest_unlocked(self, server):
        guest = subprocess.Popen(
            [PARAVANE, "bench", "blk", "--socket-path", server.path, "--seconds", "60",
             "--depth", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(guest.wait)
        self.addCleanup(guest.kill)
        server.wait_for_front_end()
        return guest

    def test_an_idle_disk_is_not_resized_under_somebody_else(self):
        path = os.path.join(self.folder, "qmp")
        self.serve("--qmp", f"unix:{path}")
        monitor = Qmp(path)
        self.addCleanup(monitor.close)
        holder = self.hold_with_qemu()
        refused = monitor.command("block_resize", device="blk0", size=32 << 20)
        self.assertIn("somebody else", refused["error"]["desc"])
        self.assertEqual(os.stat(self.image).st_size, 16 << 20)
        holder.kill()
        holder.wait()
        self.assertEqual(monitor.command("block_resize", device="blk0", size=32 << 20), {})
        self.assertEqual(os.stat(self.image).st_size, 32 << 20)
        self.qemu_may(*self.writes())


unittest.main(verbosity=2)
