# SPDX-License-Identifier: BSD-2-Clause
"""The same life of a file system as in uml_filesystem, on a back-end that goes without io_uring."""

import harness
import uml
from backend import Backend
from guest_checks import filesystem_life


def body(report, test):
    with Backend(report, test.image(256), test.log_path("backend"),
                 ["--engine", "epoll"]) as backend:
        filesystem_life(report, test, backend, uml.boot(
            report, test, backend.path, "filesystem.sh", FIO_BS="4k", FIO_SIZE="16m"))


harness.main(body)
