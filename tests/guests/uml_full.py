# SPDX-License-Identifier: BSD-2-Clause
"""The host's file system runs full under a guest: the disk stops, the host makes room, `cont`, and the
guest has lost nothing and heard of nothing."""

import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))

# pylint: disable=wrong-import-position
import harness
import uml
from backend import Backend
from report import Skip
from serving import Qmp, SmallDisk


class Keeper(threading.Thread):
    """Who looks after the host: makes room when the disk has stopped for want of it."""

    def __init__(self, qmp_path, disk):
        super().__init__(daemon=True)
        self.monitor = Qmp(qmp_path)
        self.disk = disk
        self.seen = []

    def run(self):
        for size in ("12m", "64m"):
            self.monitor.wait_for("STOP")
            self.seen.append(self.monitor.command("query-block")[0]["io-status"])
            self.disk.resize(size)
            self.monitor.command("cont")


def body(report, test):
    try:
        disk = SmallDisk(os.path.join(test.work, "small"), "6m")
    except PermissionError as refused:
        raise Skip(f"no mount namespace here: {refused}") from refused
    image = os.path.join(disk.folder, "disk.img")
    with open(image, "wb") as file:
        file.truncate(32 << 20)
    try:
        with Backend(report, image, test.log_path("backend")) as backend:
            keeper = Keeper(backend.qmp_path, disk)
            with uml.boot(report, test, backend.path, "full.sh") as guest:
                guest.run(load_begins=keeper.start)
            keeper.join(10)
            report.equal(keeper.seen, ["nospace", "nospace"], "the disk stopped twice, without space")
            report.equal(backend.counters()["errors"], 0, "no request has failed")
    finally:
        disk.end()


harness.main(body)
