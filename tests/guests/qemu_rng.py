# SPDX-License-Identifier: BSD-2-Clause
"""Random bytes for a QEMU guest: its kernel's driver on `paravane serve rng`."""

import harness
import qemu
from backend import Backend, Entropy


def body(report, test):
    with Backend(report, test.image(64), test.log_path("backend")) as disk, \
            Entropy(report, test.log_path("entropy")) as entropy:
        with qemu.boot(report, test, disk.path, "rng.sh", rng_path=entropy.path) as guest:
            values = guest.run()
        counters = entropy.counters()
        report.ok(counters["bytes"] >= int(values["read"]), "the bytes were ours",
                  f"{counters['bytes']} served, {values['read']} read")
        report.equal(counters["bad_chains"], 0, "each buffer of the driver was good")


harness.main(body)
