# SPDX-License-Identifier: BSD-2-Clause
"""paravane run, in the box, with other kernels than the one that all tests use: Debian's generic one of
the same age, as a bzImage and as the ELF image inside it, which is entered as PVH has it; and a newer
cloud kernel."""

import lzma
import os
import struct

import harness
import initramfs
import machine_cases

PLACE = "0000:00:01.0"
# Packages, and modules that others have built in.
KERNELS = {"generic": ("linux-image-amd64", ["ext4"]),
           "6.12": ("linux-image-6.12-cloud-amd64", [])}

# Fields of the setup header of a bzImage (Linux: Documentation/arch/x86/boot.rst).
SETUP_SECTORS = 0x1f1
PAYLOAD = 0x248  # its offset from the end of the setup code, and its length


def unpack(path, to):
    """Writes the ELF image that a bzImage has inside, compressed by xz."""
    with open(path, "rb") as file:
        image = file.read()
    offset, length = struct.unpack_from("<II", image, PAYLOAD)
    begin = (image[SETUP_SECTORS] + 1) * 512 + offset
    with open(to, "wb") as file:
        file.write(lzma.LZMADecompressor().decompress(image[begin:begin + length]))
    return to


def boots(report, test, name, kernel):
    cases = machine_cases.run(report, test, "pci", {name: ("--cpus 2 --memory 512M", "LEGACY=0")},
                              kernel=kernel)
    machine_cases.compare(report, name, cases.get(name, {}), "2", "1", PLACE, "[1-9][0-9]* 0 [0-9]+")


def body(report, test):
    for name, (package, more) in KERNELS.items():
        kernel = initramfs.kernel(test.guests, f"kernel-{name}", package,
                                  [*initramfs.MODULES, *more])
        boots(report, test, name, kernel)
        if name == "generic":
            elf = unpack(kernel[0], os.path.join(test.work, "vmlinux"))
            boots(report, test, "PVH", (elf, kernel[1]))


harness.main(body, long_rounds=1)
