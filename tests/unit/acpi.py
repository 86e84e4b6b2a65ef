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
DEVICES_MAX = 8


class Tables:
    def __init__(self, cpus, devices=0):
        self.memory = subprocess.run([DUMP, str(cpus), str(devices)], check=True,
                                     capture_output=True).stdout
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
        for cpus, devices in ((1, 0), (2, 1), (255, DEVICES_MAX)):
            tables = Tables(cpus, devices)
            self.assertEqual(tables.rsdp[:8], b"RSD PTR ")
            self.assertEqual(sum(tables.rsdp[:20]) % 256, 0)
            self.assertEqual(sum(tables.rsdp) % 256, 0)
            self.assertEqual(sorted(tables.table), ["APIC", "DSDT", "FACP", "MCFG", *["SSDT"][:devices], "XSDT"])
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

    def disassemble(self, name, data):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, name)
            with open(path + ".aml", "wb") as file:
                file.write(data)
            run = subprocess.run([IASL, "-d", path + ".aml"], capture_output=True, text=True,
                                 check=False)
            said = run.stdout + run.stderr
            self.assertEqual(run.returncode, 0, said)
            self.assertIsNone(re.search(r"(?i)warning|error|invalid|incorrect", said), said)
            with open(path + ".dsl", encoding="utf-8", errors="replace") as file:
                source = file.read()
            self.assertNotRegex(source, r"(?i)warning|error|incorrect checksum")
            return source

    def test_the_disassembler_has_nothing_to_say(self):
        for name, data in Tables(255).table.items():
            if name != "XSDT":
                self.disassemble(name, data)

    def test_devices_on_mmio_are_described_one_by_one(self):
        for devices in (1, 2, DEVICES_MAX):
            source = self.disassemble("SSDT", Tables(1, devices).table["SSDT"])
            self.assertEqual(source.count("Scope (\\_SB)"), 1)
            self.assertEqual(source.count('Name (_HID, "LNRO0005")'), devices)
            self.assertEqual(re.findall(r"Device \(VIO(.)\)", source),
                             [str(i) for i in range(devices)])
            uids = [int(uid, 16) for uid in re.findall(r"_UID, (0x[0-9A-F]+)", source)]
            self.assertEqual(uids, list(range(devices)))
            ranges = re.findall(r"Memory32Fixed \(ReadWrite,\s+0x([0-9A-F]+),[^\n]*\n"
                                r"\s+0x([0-9A-F]+),", source)
            self.assertEqual([(int(at, 16), int(size, 16)) for at, size in ranges],
                             [(0xe0100000 + 0x1000 * i, 0x1000) for i in range(devices)])
            pins = re.findall(r"Interrupt \(ResourceConsumer, Edge, ActiveHigh, Exclusive, ,, \)\s+"
                              r"{\s+0x([0-9A-F]+),", source)
            self.assertEqual(len(set(pins)), devices)
            # Neither the timer's, the console's, the clock's and ACPI's, nor PCI's.
            self.assertFalse({int(pin, 16) for pin in pins} & {0, 2, 4, 8, 9, 16, 17, 18, 19})


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
