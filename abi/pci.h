/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers of a PCI function's configuration space that we have to do with (PCI Local Bus 3.0,
 * chapter 6), and of MSI-X (section 6.8.2).  Multi-byte registers are little-endian.
 */
#ifndef PV_ABI_PCI_H
#define PV_ABI_PCI_H

#include "abi/types.h"

#define PCI_CONFIG_BYTES     256u
#define PCI_CONFIG_BYTES_EXT 4096u /* with PCI Express: ECAM shows this many of each function */

/* Header, type 0. */
#define PCI_VENDOR_ID          0x00u
#define PCI_DEVICE_ID          0x02u
#define PCI_COMMAND            0x04u
#define PCI_STATUS             0x06u
#define PCI_REVISION_ID        0x08u
#define PCI_CLASS_PROG         0x09u
#define PCI_CLASS_DEVICE       0x0au
#define PCI_CACHE_LINE_SIZE    0x0cu
#define PCI_LATENCY_TIMER      0x0du
#define PCI_HEADER_TYPE        0x0eu
#define PCI_BAR(n)             (0x10u + 4u * (n))
#define PCI_SUBSYSTEM_VENDOR   0x2cu
#define PCI_SUBSYSTEM_ID       0x2eu
#define PCI_CAPABILITIES       0x34u
#define PCI_INTERRUPT_LINE     0x3cu
#define PCI_INTERRUPT_PIN      0x3du
#define PCI_FIRST_OWN_REGISTER 0x40u

#define PCI_BARS 6u

#define PCI_COMMAND_IO           0x0001u
#define PCI_COMMAND_MEMORY       0x0002u
#define PCI_COMMAND_MASTER       0x0004u
#define PCI_COMMAND_INTX_DISABLE 0x0400u

#define PCI_STATUS_INTERRUPT    0x0008u
#define PCI_STATUS_CAPABILITIES 0x0010u

#define PCI_BAR_IO           0x1u
#define PCI_BAR_MEMORY_64    0x4u
#define PCI_BAR_PREFETCHABLE 0x8u
#define PCI_BAR_IO_FLAGS     0x3u
#define PCI_BAR_MEMORY_FLAGS 0xfu

#define PCI_CLASS_STORAGE_SCSI     0x0100u
#define PCI_CLASS_NETWORK_ETHERNET 0x0200u
#define PCI_CLASS_BRIDGE_HOST      0x0600u
#define PCI_CLASS_COMMUNICATION    0x0780u /* that is neither serial nor a modem */
#define PCI_CLASS_OTHERS           0x00ffu

/* Capabilities: an id, the offset of the next, and what is the capability's own. */
#define PCI_CAP_ID_VENDOR 0x09u
#define PCI_CAP_ID_MSIX   0x11u

/* The MSI-X capability: control, then where table and pending bits are (BAR in the low 3 bits). */
#define PCI_MSIX_CONTROL 2u
#define PCI_MSIX_TABLE   4u
#define PCI_MSIX_PBA     8u
#define PCI_MSIX_BYTES   12u

#define PCI_MSIX_SIZE_MASK     0x07ffu
#define PCI_MSIX_FUNCTION_MASK 0x4000u
#define PCI_MSIX_ENABLE        0x8000u

/* An entry of the MSI-X table. */
#define PCI_MSIX_VECTOR_MASKED 1u

struct pci_msix_entry {
	struct pv_le32 address_low;
	struct pv_le32 address_high;
	struct pv_le32 data;
	struct pv_le32 control;
};
PV_SIZE(struct pci_msix_entry, 16);
PV_AT(struct pci_msix_entry, data, 8);
PV_AT(struct pci_msix_entry, control, 12);

/* Mechanism #1: the address goes to one port, data comes and goes at the other (section 3.2.2.3.2).
 */
#define PCI_PORT_ADDRESS 0xcf8u
#define PCI_PORT_DATA    0xcfcu

#define PCI_ADDRESS_ENABLE 0x80000000u

#endif
