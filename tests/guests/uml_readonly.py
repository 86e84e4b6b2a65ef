# SPDX-License-Identifier: BSD-2-Clause
"""--read-only: the guest reads all and changes nothing."""

import hashlib
import os

import harness
import uml
from backend import Backend


def body(report, test):
    content = os.urandom(1 << 20) * 8
    image = test.image(8)
    with open(image, "wb") as file:
        file.write(content)
    os.chmod(image, 0o444)
    with Backend(report, image, test.log_path("backend"), ["--read-only"]) as backend:
        with uml.boot(report, test, backend.path, "readonly.sh") as guest:
            values = guest.run()
    report.equal(values["sum"], hashlib.sha256(content).hexdigest(), "the guest reads the image")
    with open(image, "rb") as file:
        report.ok(file.read() == content, "the image is as it was")


harness.main(body)
