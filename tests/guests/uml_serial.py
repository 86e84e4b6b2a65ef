# SPDX-License-Identifier: BSD-2-Clause
"""A User Mode Linux guest with all that a serial device can have: its driver on `paravane serve serial`."""

import os
import shutil

import harness
import serial_ends
import serial_rounds
import uml
from backend import Serial
from report import Skip

BYTES = 300_000
# UML has room for 64 queues: 31 ports, one of which comes and goes.
PORTS = 27
# A long run has all ports busy for so long.
SECONDS = 300 if "PV_LONG" in os.environ else 0


def host_of(report, ports, guests):
    """`guests`: the guest, once there is one."""
    words = [os.environ["PARAVANE"], "attach", ports.qmp_path, "console"]
    ends = (report.ok, ports.port, ports.qmp, words, PORTS, BYTES)
    if SECONDS == 0:
        return serial_ends.Host(*ends)
    return serial_rounds.Host(*ends, seconds=SECONDS, monitor=ports.qmp_path,
                              give_up=lambda: guests[0].process.kill())


def body(report, test):
    uml.need()
    if not shutil.which("qemu-ga", path="/usr/sbin:/usr/bin"):
        raise Skip("no qemu-ga (package qemu-guest-agent)")
    names = ["org.qemu.guest_agent.0", "quiet", *(f"p{index}" for index in range(PORTS))]
    with Serial(report, test.log_path("ports"), names, ["--hot-plug"]) as ports:
        guests = []
        host = host_of(report, ports, guests)
        with uml.boot(report, test, ports.path, "serial.sh", limit_s=150 + 3 * SECONDS, device_id=uml.SERIAL_ID,
                      MODULE="virtio_console", PORTS=PORTS, BYTES=BYTES, AGENT="yes", FREEZE="no") as guest:
            guests.append(guest)
            values = guest.run(**host.actions())
        host.judge(values)
        report.equal(ports.counters()["bad_chains"], 0, "each buffer of the driver was good")


harness.main(body, long_rounds=1)
