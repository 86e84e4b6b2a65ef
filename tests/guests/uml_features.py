# SPDX-License-Identifier: BSD-2-Clause
"""One guest per set of features that the driver may find: notifications on the socket or by
descriptor, split and packed rings, with and without indirect tables and event indexes."""

import os

import harness
import uml
from backend import Backend
from wire_filter import EVENT_IDX, INBAND_NOTIFICATIONS, INDIRECT_DESC, RING_PACKED, WireFilter

# (name, ring features taken away, protocol features taken away)
CASES = [
    ("all that is offered", 0, 0),
    ("notifications by descriptor", 0, INBAND_NOTIFICATIONS),
    ("split ring, notifications on the socket", RING_PACKED, 0),
    ("split ring, notifications by descriptor", RING_PACKED, INBAND_NOTIFICATIONS),
    ("split ring, no event index", RING_PACKED | EVENT_IDX, INBAND_NOTIFICATIONS),
    ("split ring, no indirect tables", RING_PACKED | INDIRECT_DESC, INBAND_NOTIFICATIONS),
    ("packed ring, bare", EVENT_IDX | INDIRECT_DESC, INBAND_NOTIFICATIONS),
]


def one_case(report, test, backend, case):
    name, features, protocol = case
    path = os.path.join(backend.directory, "filter")
    wire = WireFilter(path, backend.path, features, protocol)
    try:
        with uml.boot(report, test, path, "verify.sh", WHAT=name) as guest:
            values = guest.run()
    finally:
        wire.close()
    packed = values["features"][34] == "1"
    report.equal(packed, not features & RING_PACKED, f"the ring's format is as wanted: {name}")


def body(report, test):
    with Backend(report, test.image(64), test.log_path("backend")) as backend:
        for case in CASES:
            one_case(report, test, backend, case)


harness.main(body)
