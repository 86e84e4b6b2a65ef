# SPDX-License-Identifier: BSD-2-Clause
"""The guest sees the device's options; its driver is reloaded; an idle device costs nothing."""

import harness
import uml
from backend import Backend

SIZE_MIB = 64
# (logical block, physical block)
BLOCK_SIZES = [(512, 4096), (4096, 4096)]
IDLE_CPU_LIMIT_S = 0.01


def one_guest(report, test, block, physical):
    options = ["--serial", f"pv-{block}", "--logical-block-size", str(block),
               "--physical-block-size", str(physical), "--num-queues", "4",
               "--secure-erase", "overwrite", "--geometry", "100,16,63"]
    cpu = []
    with Backend(report, test.image(SIZE_MIB), test.log_path("backend"), options) as backend:
        with uml.boot(report, test, backend.path, "device.sh", SERIAL=f"pv-{block}", BLOCK=block,
                      PHYSICAL=physical, SECTORS=SIZE_MIB * 2048) as guest:
            guest.run(idle_begins=lambda: cpu.append(backend.cpu_seconds()),
                      idle_ends=lambda: cpu.append(backend.cpu_seconds()))
        report.ok(backend.counters()["secure_erases"] > 0, "the disk was erased for good")
    report.ok(cpu[1] - cpu[0] < IDLE_CPU_LIMIT_S, "an idle second costs no CPU time",
              f"{(cpu[1] - cpu[0]) * 1000:.1f} ms")


def body(report, test):
    for block, physical in BLOCK_SIZES:
        one_guest(report, test, block, physical)


harness.main(body)
