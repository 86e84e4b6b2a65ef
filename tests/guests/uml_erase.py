# SPDX-License-Identifier: BSD-2-Clause
"""The guest's disk is a block device that erases for good: served once more, in the guest, it is
erased by that command and no other. The back-end outside sees it come."""

import os

import harness
import uml
from backend import Backend

# As erase_guest.c has them.
ERASES = 3
PART = 64 << 10
PATTERN = b"\x5a" * PART


def body(report, test):
    with Backend(report, test.image(64), test.log_path("backend"),
                 ["--secure-erase", "overwrite"]) as backend:
        with uml.boot(report, test, backend.path, "erase.sh", PARAVANE=os.environ["PARAVANE"],
                      ERASE_GUEST=os.environ["ERASE_GUEST"]) as guest:
            guest.run()
        report.equal(backend.counters()["secure_erases"], ERASES,
                     "each erase in the guest was one outside")
        report.equal(backend.counters()["write_zeroes"], 0, "nothing was zeroed in its place")
        with open(backend.image, "rb") as image:
            report.ok(image.read(3 * PART) == PATTERN + bytes(PART) + PATTERN,
                      "the image outside has zeros there and nowhere else")


harness.main(body)
