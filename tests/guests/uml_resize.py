# SPDX-License-Identifier: BSD-2-Clause
"""block_resize reaches the guest as a config change, in both ways of notification, and under load."""

import os

import harness
import uml
from backend import Backend
from guest_checks import resize, resize_under_load
from wire_filter import INBAND_NOTIFICATIONS, WireFilter


def body(report, test):
    with Backend(report, test.image(32), test.log_path("backend")) as backend:
        resize(report, backend, lambda **values: uml.boot(
            report, test, backend.path, "resize.sh", **values))
        path = os.path.join(backend.directory, "filter")
        wire = WireFilter(path, backend.path, hidden_protocol=INBAND_NOTIFICATIONS)
        resize(report, backend, lambda **values: uml.boot(
            report, test, path, "resize.sh", **values))
        wire.close()
        resize_under_load(report, backend, lambda **values: uml.boot(
            report, test, backend.path, "resize_load.sh", **values))


harness.main(body)
