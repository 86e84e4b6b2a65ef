# SPDX-License-Identifier: BSD-2-Clause
"""A User Mode Linux guest with all that a serial device can have: its driver on `paravane serve serial`."""

import os
import shutil

import harness
import serial_ends
import uml
from backend import Serial
from report import Skip

BYTES = 300_000
# UML has room for 64 queues: 31 ports, one of which comes and goes.
PORTS = 27


def body(report, test):
    uml.need()
    if not shutil.which("qemu-ga", path="/usr/sbin:/usr/bin"):
        raise Skip("no qemu-ga (package qemu-guest-agent)")
    names = ["org.qemu.guest_agent.0", "quiet", *(f"p{index}" for index in range(PORTS))]
    with Serial(report, test.log_path("ports"), names, ["--hot-plug"]) as ports:
        host = serial_ends.Host(report.ok, ports.port, ports.qmp,
                                [os.environ["PARAVANE"], "attach", ports.qmp_path, "console"], PORTS, BYTES)
        with uml.boot(report, test, ports.path, "serial.sh", device_id=uml.SERIAL_ID, MODULE="virtio_console",
                      PORTS=PORTS, BYTES=BYTES, AGENT="yes", FREEZE="no") as guest:
            values = guest.run(**host.actions())
        host.judge(values)
        report.equal(ports.counters()["bad_chains"], 0, "each buffer of the driver was good")


harness.main(body)
