# SPDX-License-Identifier: BSD-2-Clause
"""A User Mode Linux guest with a balloon, `paravane serve balloon`: its memory is a file, which gets holes."""

import os

import harness
import uml
from backend import Balloon
from balloon_host import MIB, Host

TARGET, FULL, LITTLE = 64 * MIB, 96 * MIB, 12 * MIB
# What the script does, and how the balloon is served for that.
CASES = {
    "balloon,oom,leaves": ["--free-page-reporting", "off"],
    "reports": ["--deflate-on-oom", "off", "--in-order"],
}


def one_guest(report, test, does, options):
    with Balloon(report, test.log_path("backend"), options) as balloon:
        with uml.boot(report, test, balloon.path, "balloon.sh", device_id=uml.BALLOON_ID,
                      MODULE="virtio_balloon", LOAD=os.environ["MEMORY_LOAD"], FULL=FULL // MIB,
                      LITTLE=LITTLE // MIB, DOES=does, ORDER=10) as guest:
            host = Host(report.ok, balloon.qmp, lambda: os.stat(uml.memory_file(guest)).st_blocks * 512, TARGET, FULL)
            host.judge(guest.run(**host.actions()))
        counters = balloon.counters()
        for name in ("bad_chains", "bad_pages", "repeated_pages", "bad_stats", "ring_faults", "poisoned_bytes"):
            report.equal(counters[name], 0, f"the driver has done nothing wrong: {name}")
        report.ok(counters["pages"] >= 16 * counters["ranges"] > 0, "pages are joined to ranges",
                  f"{counters['pages']} to {counters['ranges']}")


def body(report, test):
    for does, options in CASES.items():
        one_guest(report, test, does, options)


harness.main(body)
