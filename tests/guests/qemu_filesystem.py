# SPDX-License-Identifier: BSD-2-Clause
"""ext4 from mkfs to umount in a QEMU guest with two CPUs and two queues, judged from the host."""

import harness
import qemu
from backend import Backend
from guest_checks import filesystem_life


def body(report, test):
    with Backend(report, test.image(256), test.log_path("backend"),
                 ["--num-queues", "2"]) as backend:
        values = filesystem_life(report, test, backend, qemu.boot(
            report, test, backend.path, "filesystem.sh", cpus=2, device=",num-queues=2",
            FIO_BS="4k", FIO_SIZE="8m"))
        report.equal(values["queues"], "2", "the driver uses two queues")


harness.main(body)
