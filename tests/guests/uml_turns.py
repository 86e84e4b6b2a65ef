# SPDX-License-Identifier: BSD-2-Clause
"""Several guests in turn on one socket, one of them killed in the middle of its writes."""

import os
import signal

import harness
import uml
from backend import Backend


def one_guest(report, test, backend, turn, digest, dies):
    guest = uml.boot(report, test, backend.path, "turn.sh", TURN=turn, SUM=digest,
                     DIES="yes" if dies else "no")
    with guest:
        def kill_guest():
            os.killpg(guest.process.pid, signal.SIGKILL)
            guest.status = 0  # it was us: an end without @@rc is right

        return guest.run(kill_guest=kill_guest)["sum"]


def body(report, test):
    with Backend(report, test.image(64), test.log_path("backend")) as backend:
        digest = ""
        for turn, dies in enumerate([False, True, False, False], 1):
            digest = one_guest(report, test, backend, turn, digest, dies)
            report.ok(backend.is_alive(), f"the back-end outlives guest {turn}")
    harness.e2fsck(report, backend.image)


harness.main(body)
