# SPDX-License-Identifier: BSD-2-Clause
"""A peer that polls, of another making: DPDK's driver on `paravane serve net`, and its device under
`paravane bench net`."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

# pylint: disable=wrong-import-position
from serving import PARAVANE, Qmp, Server, short_folder

TESTPMD = "dpdk-testpmd"
LIMIT_S = 60
FRAME_BYTES = 64
ON_ITS_WAY = 32  # what testpmd sends first, and then sends again as it comes back
LOSSES = ("lost", "doubled", "reordered", "altered", "foreign")
SHAPES = list(itertools.product((False, True), (False, True)))  # packed, mergeable


def testpmd(device, *words):
    """Its command line: one port, whose frames go back out of it, and memory that can be shared."""
    cpus = ",".join(str(cpu) for cpu in sorted(os.sched_getaffinity(0)))
    return [TESTPMD, "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "-m", "128",
            "--lcores", f"(0,1)@({cpus})", "--vdev", device, "--", "--no-mlockall",
            "--total-num-mbufs=2048", "--port-topology=loop", *words]


class Driver:
    """testpmd on somebody's device."""

    def __init__(self, folder, path, is_packed, is_mergeable):
        self.log = os.path.join(folder, "driver.log")
        device = (f"net_virtio_user0,path={path},queue_size=256,packed_vq={int(is_packed)},"
                  f"mrg_rxbuf={int(is_mergeable)}")
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(testpmd(device, "-i"), stdin=subprocess.PIPE, stdout=log,
                                            stderr=log, text=True)

    def text(self):
        with open(self.log, encoding="utf-8") as log:
            return log.read()

    def say(self, *commands):
        for command in commands:
            self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def run(self, *commands, until):
        """Does as it is told until that is true; what it says it has received and sent."""
        try:
            self.say(*commands)
            deadline = time.monotonic() + LIMIT_S
            while not until() and time.monotonic() < deadline and self.process.poll() is None:
                time.sleep(0.05)
            self.say("stop", "quit")
            self.process.wait(LIMIT_S)
        finally:
            self.process.kill()
            self.process.communicate()
        found = re.search(r"RX-packets: (\d+).*\n *TX-packets: (\d+)", self.text())
        if not found:
            raise AssertionError(self.text())
        return int(found[1]), int(found[2])


@unittest.skipUnless(shutil.which(TESTPMD), f"no {TESTPMD} (package dpdk-dev)")
class Dpdk(unittest.TestCase):
    def setUp(self):
        self.folder = short_folder()
        self.addCleanup(shutil.rmtree, self.folder)

    # ---- its driver on our device ----

    def serve(self, backend):
        qmp = os.path.join(self.folder, "qmp")
        server = Server(self.folder, lambda path: [
            PARAVANE, "serve", "net", "--socket-path", path, "--backend", backend, "--qmp",
            f"unix:{qmp}"])
        self.addCleanup(server.end)
        monitor = Qmp(qmp)
        self.addCleanup(monitor.close)
        return server, monitor

    @staticmethod
    def counters(monitor, queue):
        for entry in monitor.command("query-stats"):
            if entry["qom-path"] == f"/net0/queue{queue}":
                return {stat["name"]: stat["value"] for stat in entry["stats"]}
        return {"packets": 0}

    def expect_sent(self, monitor, before, packets):
        """All that the driver says it has sent has come to us, as long as it was."""
        counters = self.counters(monitor, 1)
        self.assertEqual(counters["packets"] - before["packets"], packets)
        self.assertEqual(counters["bytes"] - before.get("bytes", 0), FRAME_BYTES * packets)
        self.assertEqual((counters["bad_chains"], counters["ring_faults"], counters["drops"]),
                         (0, 0, 0))

    def test_its_driver_gets_back_what_it_sends(self):
        server, monitor = self.serve("echo")
        for is_packed, is_mergeable in SHAPES:
            with self.subTest(is_packed=is_packed, is_mergeable=is_mergeable):
                before = self.counters(monitor, 1)
                received, sent = Driver(self.folder, server.path, is_packed, is_mergeable).run(
                    "start tx_first", until=lambda then=before["packets"]:
                    self.counters(monitor, 0)["packets"] > then + 10 * ON_ITS_WAY)
                self.assertGreater(received, 9 * ON_ITS_WAY)
                self.assertLessEqual(sent - received, ON_ITS_WAY)
                self.expect_sent(monitor, before, sent)

    def test_its_driver_sends_without_an_end(self):
        server, monitor = self.serve("null")
        received, sent = Driver(self.folder, server.path, False, True).run(
            "set fwd txonly", "start", until=lambda:
            self.counters(monitor, 1)["packets"] > 10000)
        self.assertEqual(received, 0)
        counters = self.counters(monitor, 1)
        # The last ones were on the ring when it left.
        self.assertGreater(counters["packets"], sent - 256 - ON_ITS_WAY)
        self.assertEqual(counters["bytes"], FRAME_BYTES * counters["packets"])

    # ---- our driver on its device ----

    def test_our_driver_gets_back_what_it_sends(self):
        # Without a period of its reports it would go by its input, and end with that.
        device = Server(self.folder, lambda path: testpmd(f"net_vhost0,iface={path}",
                                                          "--stats-period=600"))
        self.addCleanup(device.end)
        for is_packed, is_mergeable in SHAPES:
            for size in ("64", "1514") if is_mergeable else ("64",):
                options = ["--packed"] * is_packed + ["--no-mergeable"] * (not is_mergeable)
                with self.subTest(options=options, size=size):
                    self.check(device, "--size", size, *options)

    def check(self, device, *options):
        done = subprocess.run(
            [PARAVANE, "bench", "net", "--socket-path", device.path, "--check", "--json",
             "--seconds", "1", *options],
            capture_output=True, text=True, timeout=LIMIT_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertGreater(result["checked"], 0)
        self.assertEqual([result[loss] for loss in LOSSES], [0] * len(LOSSES))
        self.assertEqual((result["ring"] == "packed", result["is_mergeable"]),
                         ("--packed" in options, "--no-mergeable" not in options))


if __name__ == "__main__":
    unittest.main(verbosity=2)
