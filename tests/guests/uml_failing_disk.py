# SPDX-License-Identifier: BSD-2-Clause
"""A disk that fails under a Linux guest: each error reaches who asked, ext4 gives up writing, the
guest and the back-end live, and what had been synced is there."""

import subprocess

import harness
import uml
from faulty_backend import FaultyBackend

SIZE_MIB = 96
FILE_SYSTEM_MIB = 64
LIMIT_S = 120


def body(report, test):
    image = test.image(SIZE_MIB)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", image, f"{FILE_SYSTEM_MIB}m"], check=True)
    with FaultyBackend(report, image, test.log_path("backend")) as backend:
        with uml.boot(report, test, backend.path, "failing_disk.sh", LIMIT_S,
                      AREA=FILE_SYSTEM_MIB << 20) as guest:
            guest.run(fault=lambda *words: backend.tell(" ".join(words)),
                      clear=lambda: backend.tell("clear"))
        report.ok(int(backend.tell("strikes")) > 10, "the disk did fail")
    harness.replay_and_check(report, image)
    report.equal(harness.file_in_image(image, "/before"), b"before\n",
                 "what was synced before the disk failed is there")


harness.main(body)
