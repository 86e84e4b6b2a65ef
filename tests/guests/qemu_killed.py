# SPDX-License-Identifier: BSD-2-Clause
"""kill -9 of the back-end under a QEMU guest: idle, it is replaced and nothing is lost; under load,
guest and QEMU live and the image is whole but for the writes that were under way."""

import hashlib
import os
import time

import harness
import qemu
from backend import Backend, Qmp
from report import Failure

RECONNECT_LIMIT_S = 15


def wait_connected(monitor):
    """Until QEMU has found the new back-end."""
    deadline = time.monotonic() + RECONNECT_LIMIT_S
    while time.monotonic() < deadline:
        for chardev in monitor.command("query-chardev"):
            if chardev["label"] == "disk" and "disconnected" not in chardev["filename"]:
                return
        time.sleep(0.1)
    raise Failure(f"QEMU did not reconnect within {RECONNECT_LIMIT_S} s")


def run_guest(report, test, backend):
    path = os.path.join(backend.directory, "qemu")

    def replace_backend():
        monitor = Qmp(path)
        backend.kill()
        backend.start()
        wait_connected(monitor)
        monitor.close()

    def kill_backend():
        backend.kill()
        monitor = Qmp(path)
        report.equal(monitor.command("query-status")["status"], "running",
                     "QEMU runs on without its back-end")
        monitor.close()

    with qemu.boot(report, test, backend.path, "reconnect.sh", chardev=",reconnect=1",
                   monitor=path) as guest:
        return guest.run(until_rc=True, replace_backend=replace_backend,
                         kill_backend=kill_backend)


def body(report, test):
    with Backend(report, test.image(64), test.log_path("backend")) as backend:
        values = run_guest(report, test, backend)
        harness.replay_and_check(report, backend.image)
        digest = hashlib.sha256(harness.file_in_image(backend.image, "/kept")).hexdigest()
        report.equal(digest, values["kept"], "the file synced before the kills is whole")
        backend.start()


if __name__ == "__main__":
    harness.main(body)
