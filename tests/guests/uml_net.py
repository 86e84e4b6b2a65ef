# SPDX-License-Identifier: BSD-2-Clause
"""A network for a User Mode Linux guest: its driver on `paravane serve net` with a network of its own, by
which it gets its address and a file of the host."""

import files
import harness
import uml
from backend import Network

MAC = "52:54:00:12:34:56"


def body(report, test):
    uml.need()
    options = f"user,mac={MAC},hostname=guest,domain=example"
    with files.served() as file, Network(report, test.log_path("network"), options) as network:
        with uml.boot(report, test, network.path, "net.sh", device_id=uml.NET_ID,
                      MODULE="virtio_net", MAC=MAC, FIRST_IF="eth0", **file) as guest:
            values = guest.run(link=network.set_link)
            counters = network.counters()
        report.ok(counters["packets"] >= int(values["sent"]) + int(values["received"]),
                  "the frames were ours", f"{counters['packets']}, {values}")
        report.equal(counters["malformed"], 0, "each frame of the driver was good")
        report.equal(counters["bad_chains"], 0, "each of its buffers was good")


harness.main(body)
