# SPDX-License-Identifier: BSD-2-Clause
"""paravane run, in the box, with other kernels than the one that all tests use: Debian's generic one of
the same age, and a newer cloud kernel."""

import harness
import initramfs
import machine_cases

PLACE = "0000:00:01.0"
# Packages, and modules that others have built in.
KERNELS = {"generic": ("linux-image-amd64", ["ext4"]),
           "6.12": ("linux-image-6.12-cloud-amd64", [])}


def body(report, test):
    for name, (package, more) in KERNELS.items():
        kernel = initramfs.kernel(test.guests, f"kernel-{name}", package,
                                  [*initramfs.MODULES, *more])
        cases = machine_cases.run(report, test, "pci", {name: ("--cpus 2 --memory 512M", "LEGACY=0")},
                                  kernel=kernel)
        machine_cases.compare(report, name, cases.get(name, {}), "2", "1", PLACE,
                              "[1-9][0-9]* 0 [0-9]+")


harness.main(body)
