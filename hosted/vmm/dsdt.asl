/* SPDX-License-Identifier: BSD-2-Clause */
/* What the machine has that cannot be found by itself. The numbers are those of memory.h and platform.h. */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "PARAVN", "PARAVANE", 0x00000001)
{
    Name (\_S5, Package () { 0x05, 0x05, 0x00, 0x00 })

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A08"))
            Name (_CID, EisaId ("PNP0A03"))
            Name (_UID, Zero)
            Name (_SEG, Zero)
            Name (_BBN, Zero)

            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                    0x0000, 0x0000, 0x0000, 0x0000, 0x0001)
                IO (Decode16, 0x0CF8, 0x0CF8, 0x01, 0x08)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0x0000, 0xC000, 0xFFFF, 0x0000, 0x4000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable,
                    ReadWrite, 0x00000000, 0xC0000000, 0xDFFFFFFF, 0x00000000, 0x20000000)
            })

            /* Pin A of slot n is on interrupt 16 + n % 4. */
            Name (_PRT, Package ()
            {
                Package () { 0x0000FFFF, 0, 0, 16 }, Package () { 0x0001FFFF, 0, 0, 17 },
                Package () { 0x0002FFFF, 0, 0, 18 }, Package () { 0x0003FFFF, 0, 0, 19 },
                Package () { 0x0004FFFF, 0, 0, 16 }, Package () { 0x0005FFFF, 0, 0, 17 },
                Package () { 0x0006FFFF, 0, 0, 18 }, Package () { 0x0007FFFF, 0, 0, 19 },
                Package () { 0x0008FFFF, 0, 0, 16 }, Package () { 0x0009FFFF, 0, 0, 17 },
                Package () { 0x000AFFFF, 0, 0, 18 }, Package () { 0x000BFFFF, 0, 0, 19 },
                Package () { 0x000CFFFF, 0, 0, 16 }, Package () { 0x000DFFFF, 0, 0, 17 },
                Package () { 0x000EFFFF, 0, 0, 18 }, Package () { 0x000FFFFF, 0, 0, 19 },
                Package () { 0x0010FFFF, 0, 0, 16 }, Package () { 0x0011FFFF, 0, 0, 17 },
                Package () { 0x0012FFFF, 0, 0, 18 }, Package () { 0x0013FFFF, 0, 0, 19 },
                Package () { 0x0014FFFF, 0, 0, 16 }, Package () { 0x0015FFFF, 0, 0, 17 },
                Package () { 0x0016FFFF, 0, 0, 18 }, Package () { 0x0017FFFF, 0, 0, 19 },
                Package () { 0x0018FFFF, 0, 0, 16 }, Package () { 0x0019FFFF, 0, 0, 17 },
                Package () { 0x001AFFFF, 0, 0, 18 }, Package () { 0x001BFFFF, 0, 0, 19 },
                Package () { 0x001CFFFF, 0, 0, 16 }, Package () { 0x001DFFFF, 0, 0, 17 },
                Package () { 0x001EFFFF, 0, 0, 18 }, Package () { 0x001FFFFF, 0, 0, 19 }
            })
        }

        /* Configuration space in memory is nobody's to give away. */
        Device (MRES)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadOnly, 0xE0000000, 0x00100000)
                IO (Decode16, 0x0600, 0x0600, 0x01, 0x0C)
            })
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, One)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x03F8, 0x03F8, 0x00, 0x08)
                IRQNoFlags () { 4 }
            })
        }

        /* Where a kernel says that it has panicked: QEMU's pvpanic. */
        Device (PEVT)
        {
            Name (_HID, "QEMU0001")
            Name (_STA, 0x0F)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0505, 0x0505, 0x01, 0x01)
            })
        }

        Device (RTC0)
        {
            Name (_HID, EisaId ("PNP0B00"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0070, 0x0070, 0x01, 0x02)
                IRQNoFlags () { 8 }
            })
        }
    }
}
