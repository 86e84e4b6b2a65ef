# SPDX-License-Identifier: BSD-2-Clause
"""The same life of a file system on packed rings."""

import harness
import qemu
from backend import Backend
from guest_checks import filesystem_life


def body(report, test):
    with Backend(report, test.image(256), test.log_path("backend"),
                 ["--num-queues", "2"]) as backend:
        values = filesystem_life(report, test, backend, qemu.boot(
            report, test, backend.path, "filesystem.sh", cpus=2,
            device=",packed=on,num-queues=2", FIO_BS="4k", FIO_SIZE="8m"))
        report.equal(values["features"][34], "1", "the driver runs packed rings")


harness.main(body)
