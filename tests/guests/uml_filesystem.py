# SPDX-License-Identifier: BSD-2-Clause
"""ext4 from mkfs to umount in a User Mode Linux guest, judged from the host."""

import harness
import uml
from backend import Backend
from guest_checks import filesystem_life


def body(report, test):
    with Backend(report, test.image(256), test.log_path("backend")) as backend:
        filesystem_life(report, test, backend, uml.boot(
            report, test, backend.path, "filesystem.sh", FIO_BS="4k", FIO_SIZE="16m"))


harness.main(body)
