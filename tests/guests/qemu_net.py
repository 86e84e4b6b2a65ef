# SPDX-License-Identifier: BSD-2-Clause
"""A network for a QEMU guest, by `-netdev vhost-user`: QEMU keeps the control queue, the address and the link for
itself, and hands over two pairs of queues, which it stops while the link is down."""

import os

import files
import harness
import qemu
from backend import Backend, Network, Qmp

MAC = "52:54:00:65:43:21"


def set_link(qmp, state):
    qmp.command("set_link", name="net", up=state == "on")


def body(report, test):
    options = "user,queues=2,hostname=guest,domain=example"
    with files.served() as file, \
            Backend(report, test.image(64), test.log_path("backend")) as disk, \
            Network(report, test.log_path("network"), options) as network:
        monitor = os.path.join(network.directory, "monitor")
        with qemu.boot(report, test, disk.path, "net.sh", cpus=2, limit_s=150, monitor=monitor,
                       net_path=network.path, net_mac=MAC, MAC=MAC, FIRST_IF="eth0",
                       **file) as guest:
            qmp = Qmp(monitor)
            values = guest.run(link=lambda state: set_link(qmp, state))
            qmp.close()
            counters = network.counters()
        report.ok(counters["packets"] >= int(values["sent"]) + int(values["received"]),
                  "the frames were ours", f"{counters['packets']}, {values}")
        report.equal(counters["malformed"], 0, "each frame of the driver was good")


harness.main(body)
