# SPDX-License-Identifier: BSD-2-Clause
"""kill -9 of the back-end under load: the guest lives, what was synced is in the image."""

import hashlib

import harness
import uml
from backend import Backend


def body(report, test):
    with Backend(report, test.image(128), test.log_path("backend")) as backend:
        with uml.boot(report, test, backend.path, "killed.sh") as guest:
            values = guest.run(until_rc=True, kill_backend=backend.kill)
        harness.replay_and_check(report, backend.image)
        digest = hashlib.sha256(harness.file_in_image(backend.image, "/kept")).hexdigest()
        report.equal(digest, values["kept"], "the file synced before the kill is whole")
        backend.start()
        report.ok(backend.is_alive(), "a new back-end starts over the dead one's socket")


harness.main(body)
