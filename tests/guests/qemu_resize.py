# SPDX-License-Identifier: BSD-2-Clause
"""block_resize reaches a QEMU guest as a config change, once and under load."""

import harness
import qemu
from backend import Backend
from guest_checks import resize, resize_under_load


def body(report, test):
    with Backend(report, test.image(32), test.log_path("backend")) as backend:
        resize(report, backend, lambda **values: qemu.boot(
            report, test, backend.path, "resize.sh", **values))
        resize_under_load(report, backend, lambda **values: qemu.boot(
            report, test, backend.path, "resize_load.sh", **values))


harness.main(body)
