#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The ACPI tables: found from the RSDP by their addresses, with sound checksums, and taken apart by
ACPICA's own disassembler without a word of complaint."""

import os
import re
import struct
import subprocess
import sys
import tempfile
import unittest

DUMP, IASL = sys.argv[1:3]
BASE = 0xe0000


class Tables:
    def __init__(self, cpus):
        self.memory = subprocess.run([DUMP, str(cpus)], check=True, capture_output=True).stdout
        rsdp = self.memory[:36]
        self.rsdp = rsdp
        xsdt = self.at(struct.unpack_from("<Q", rsdp, 24)[0])
        self.table = {"XSDT": xsdt}
        for (address,) in struct.iter_unpack("<Q", xsdt[36:]):
            self.add(address)
        fadt = self.table["FACP"]
        self.dsdt_address = struct.unpack_from("<I", fadt, 40)[0]
        self.facs_address = struct.unpack_from("<I", fadt, 36)[0]
        self.add(self.dsdt_address)

    def at(self, address):
        offset = address - BASE
        (length,) = struct.unpack_from("<I", self.memory, offset + 4)
        return self.memory[offset:offset + length]

    def add(self, address):
        table = self.at(address)
        self.table[table[:4].decode()] = table


class Acpi(unittest.TestCase):
    def test_every_checksum_is_sound(self):
        for cpus in (1, 2, 255):
            tables = Tables(cpus)
            self.assertEqual(tables.rsdp[:8], b"RSD PTR ")
            self.assertEqual(sum(tables.rsdp[:20]) % 256, 0)
            self.assertEqual(sum(tables.rsdp) % 256, 0)
            self.assertEqual(sorted(tables.table), ["APIC", "DSDT", "FACP", "MCFG", "XSDT"])
            for name, table in tables.table.items():
                self.assertEqual(sum(table) % 256, 0, name)

    def test_facs_is_aligned_and_the_two_addresses_of_dsdt_agree(self):
        tables = Tables(1)
        self.assertEqual(tables.facs_address % 64, 0)
        self.assertEqual(tables.at(tables.facs_address)[:4], b"FACS")
        self.assertEqual(struct.unpack_from("<Q", tables.table["FACP"], 140)[0],
                         tables.dsdt_address)

    def test_each_processor_is_listed_once(self):
        for cpus in (1, 4, 255):
            madt, ids = Tables(cpus).table["APIC"], []
            at = 44
            while at < len(madt):
                if madt[at] == 0:
                    ids.append(madt[at + 3])
                at += madt[at + 1]
            self.assertEqual(ids, list(range(cpus)))

    def test_the_disassembler_has_nothing_to_say(self):
        tables = Tables(255).table
        with tempfile.TemporaryDirectory() as folder:
            for name, data in tables.items():
                if name == "XSDT":
                    continue
                path = os.path.join(folder, name)
                with open(path + ".aml", "wb") as file:
                    file.write(data)
                run = subprocess.run([IASL, "-d", path + ".aml"], capture_output=True, text=True,
                                     check=False)
                said = run.stdout + run.stderr
                self.assertEqual(run.returncode, 0, said)
                self.assertIsNone(re.search(r"(?i)warning|error|invalid|incorrect", said), said)
                with open(path + ".dsl", encoding="utf-8", errors="replace") as file:
                    self.assertNotRegex(file.read(), r"(?i)warning|error|incorrect checksum")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
