# SPDX-License-Identifier: BSD-2-Clause
"""A guest with two disks from one process, each on a loop of its own, under load at once."""

import hashlib

import harness
import uml
from backend import TwoDisks


def loops_at_work(backend):
    return [entry["qom-path"] for entry in backend.qmp("query-stats")
            if entry["qom-path"].startswith("/loop/data")
            and any(stat["name"] == "sleeps" and stat["value"] > 10 for stat in entry["stats"])]


def requests_of(backend, name):
    return sum(stat["value"] for entry in backend.qmp("query-stats")
               if entry["qom-path"].startswith(f"/{name}/") for stat in entry["stats"]
               if stat["name"] == "requests")


def body(report, test):
    images = [test.image(64), test.image(64, "second.img")]
    with TwoDisks(report, *images, test.log_path("backend")) as backend:
        with uml.boot(report, test, backend.path, "two_disks.sh", limit_s=120,
                      second_path=backend.second_path) as guest:
            values = guest.run()
        report.equal(loops_at_work(backend), ["/loop/data0", "/loop/data1"],
                     "both loops have worked")
        for name in ("first", "second"):
            report.ok(requests_of(backend, name) > 500, f"the {name} disk had requests")
    for image, path in zip(images, ("/kept", "/copy")):
        harness.e2fsck(report, image)
        digest = hashlib.sha256(harness.file_in_image(image, path)).hexdigest()
        report.equal(digest, values["kept"], f"the host reads {path}")


harness.main(body)
