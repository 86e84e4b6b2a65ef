# SPDX-License-Identifier: BSD-2-Clause
"""A QEMU guest moves to another QEMU, and from one back-end to another on the same image, while it
reads and writes: QEMU copies its memory by the dirty log that the back-end keeps."""

import hashlib
import os
import time

import harness
import qemu
from backend import Backend, Qmp
from report import Failure

MIGRATION_LIMIT_S = 40
# Slow enough for the guest to use its memory again and again while it is copied.
BANDWIDTH = 64 << 20
DOWNTIME_MS = 1500


class Moved(Exception):
    """The guest is not where its console was read any more."""


def wait_migrated(monitor):
    """Until the guest is at the destination. Returns what QEMU says about it."""
    deadline = time.monotonic() + MIGRATION_LIMIT_S
    while time.monotonic() < deadline:
        state = monitor.command("query-migrate")
        if state.get("status") == "completed":
            return state
        if state.get("status") in ("failed", "cancelled"):
            raise Failure(f"QEMU's migration {state['status']}: {state.get('error-desc')}")
        time.sleep(0.05)
    raise Failure(f"the guest was not moved within {MIGRATION_LIMIT_S} s: {state}")


def move(report, backend, target):
    """Sends the guest from one QEMU to the other's socket."""
    monitor = Qmp(os.path.join(backend.directory, "qemu"))
    monitor.command("migrate-set-parameters",
                    **{"max-bandwidth": BANDWIDTH, "downtime-limit": DOWNTIME_MS})
    blockers = monitor.command("query-migrate").get("blocked-reasons")
    if not report.ok(not blockers, "QEMU finds nothing that keeps the guest from moving",
                     str(blockers)):
        raise Failure("the guest cannot be moved")
    monitor.command("migrate", uri="unix:" + target)
    state = wait_migrated(monitor)
    report.ok(state["ram"]["dirty-sync-count"] > 1,
              "memory was copied while the guest ran", str(state))
    report.note(f"{state['total-time']} ms, {state['downtime']} ms of them standing still, "
                f"{state['ram']['dirty-sync-count']} rounds")
    monitor.close()
    raise Moved


def body(report, test):
    image = test.image(96)
    options = ["--num-queues", "2"]
    with Backend(report, image, test.log_path("source"), options) as source, \
            Backend(report, image, test.log_path("destination"), options) as destination:
        target = os.path.join(destination.directory, "guest")
        with qemu.boot(report, test, source.path, "migrate.sh", cpus=2, device=",num-queues=2",
                       monitor=os.path.join(source.directory, "qemu")) as before, \
                qemu.boot(report, test, destination.path, "migrate.sh", cpus=2,
                          device=",num-queues=2", console="console-after",
                          incoming=target) as after:
            try:
                before.run(move=lambda: move(report, source, target))
                raise Failure("the guest ended before it was moved")
            except Moved:
                report.equal(source.counters()["errors"], 0, "no request failed at the source")
            done_before = source.counters()["requests"]
            after.answer("moved")
            values = {**before.values, **after.run()}
        report.equal(source.counters()["requests"], done_before,
                     "the source's back-end did nothing after the move")
        report.ok(destination.counters()["requests"] > 100,
                  "the destination's back-end served the guest")
        report.note(f"{values['rounds']} rounds of reading, {values['loads']} loads")
        harness.e2fsck(report, image)
        digest = hashlib.sha256(harness.file_in_image(image, "/kept")).hexdigest()
        report.equal(digest, values["kept"], "the host reads the file the guest wrote")


harness.main(body)
