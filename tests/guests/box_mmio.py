# SPDX-License-Identifier: BSD-2-Clause
"""paravane run with its disks on MMIO, in the box: a stock Debian kernel finds them through ACPI, two of
them, each with a pin of its own, and finds them again when it has rebooted. The entropy device stays on
PCI, and has its vectors there."""

import harness
import machine_cases
from machine_cases import REBOOTS

CASES = {
    "MMIO": ("--cpus 2 --memory 256M", ""),
    "reboots on MMIO": ("--cpus 2 --memory 256M", f"REBOOTS={REBOOTS}"),
}


def body(report, test):
    cases = machine_cases.run(report, test, "mmio", CASES)
    report.equal(sorted(cases), sorted(CASES), "all cases ran")
    machine_cases.compare(report, "MMIO", cases.get("MMIO", {}), "2", "1", "LNRO0005:00",
                          "[1-9][0-9]* 0 2")


harness.main(body, long_rounds=1)
