/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices/transport/pci/function_internal.h"

#include "ring/err.h"

#define ENTRY_BYTES   ((uint32_t)sizeof(struct pci_msix_entry))
#define BAR_BYTES_MIN 4096u

static uint32_t table_bytes(uint16_t vectors)
{
	return ENTRY_BYTES * vectors;
}

/* One bit a vector, in words of 64. */
static uint32_t pba_bytes(uint16_t vectors)
{
	return (vectors + 63u) / 64 * 8;
}

size_t pv_msix_storage_bytes(uint16_t vectors)
{
	return table_bytes(vectors) + sizeof(bool) * vectors;
}

uint64_t pv_msix_bar_bytes(uint16_t vectors)
{
	uint64_t bytes = BAR_BYTES_MIN;

	while (bytes < table_bytes(vectors) + pba_bytes(vectors))
		bytes *= 2;
	return bytes;
}

void pv_msix_init(struct pv_msix *msix, struct pv_pci_function *function, unsigned int bar,
                  uint16_t vectors, void *storage)
{
	uint8_t capability[PCI_MSIX_BYTES] = { 0 }, writable[PCI_MSIX_BYTES] = { 0 };

	pv_bug_on(vectors == 0 || vectors > PV_MSIX_VECTORS_MAX);
	*msix = (struct pv_msix){ .function = function,
		                  .vectors = vectors,
		                  .pba_offset = table_bytes(vectors),
		                  .table = storage,
		                  .is_active = (bool *)storage + table_bytes(vectors) };
	pv_access_put(capability + PCI_MSIX_CONTROL, vectors - 1u, 2);
	pv_access_put(writable + PCI_MSIX_CONTROL, PCI_MSIX_ENABLE | PCI_MSIX_FUNCTION_MASK, 2);
	pv_access_put(capability + PCI_MSIX_TABLE, bar, 4);
	pv_access_put(capability + PCI_MSIX_PBA, msix->pba_offset | bar, 4);
	msix->capability = pv_pci_add_capability(function, PCI_CAP_ID_MSIX, capability, writable,
	                                         PCI_MSIX_BYTES);
	pv_pci_add_bar(function, bar, PV_PCI_BAR_MEMORY, pv_msix_bar_bytes(vectors));
	for (uint16_t i = 0; i < vectors; i++)
		msix->table[i].control = pv_le32_of(PCI_MSIX_VECTOR_MASKED);
	function->msix = msix;
}

/* ---- what the bus is told ---- */

static uint16_t control(const struct pv_msix *msix)
{
	return pv_pci_get16(msix->function, msix->capability + PCI_MSIX_CONTROL);
}

static bool may_be_sent(const struct pv_msix *msix, const struct pci_msix_entry *entry)
{
	return (control(msix) & (PCI_MSIX_ENABLE | PCI_MSIX_FUNCTION_MASK)) == PCI_MSIX_ENABLE &&
	       !(pv_le32_get(entry->control) & PCI_MSIX_VECTOR_MASKED);
}

static void apply_vector(struct pv_msix *msix, uint16_t vector)
{
	const struct pci_msix_entry *entry = &msix->table[vector];
	struct pv_pci_function *function = msix->function;
	const struct pv_msi_message message = {
		.address = (uint64_t)pv_le32_get(entry->address_high) << 32 |
		           pv_le32_get(entry->address_low),
		.data = pv_le32_get(entry->data),
	};
	bool was_active = msix->is_active[vector];
	bool is_active = may_be_sent(msix, entry);

	msix->is_active[vector] = is_active;
	if (is_active)
		function->bus->vector_set(function, vector, &message);
	else if (was_active)
		function->bus->vector_set(function, vector, NULL);
}

void pv_msix_apply(struct pv_msix *msix)
{
	__atomic_store_n(&msix->is_enabled, control(msix) & PCI_MSIX_ENABLE, __ATOMIC_RELEASE);
	for (uint16_t i = 0; i < msix->vectors; i++)
		apply_vector(msix, i);
}

void pv_msix_config_written(struct pv_msix *msix, uint32_t offset, uint32_t bytes)
{
	uint32_t at = msix->capability + PCI_MSIX_CONTROL;
	bool was_enabled = msix->is_enabled;

	if (offset >= at + 2 || offset + bytes <= at)
		return;
	pv_msix_apply(msix);
	if (was_enabled != msix->is_enabled)
		pv_pci_msix_switched(msix->function);
}

/* ---- the BAR ---- */

static uint8_t pending_byte(const struct pv_msix *msix, uint32_t index)
{
	struct pv_pci_function *function = msix->function;
	uint8_t byte = 0;

	for (uint32_t bit = 0; bit < 8 && 8 * index + bit < msix->vectors; bit++)
		if (function->bus->vector_is_pending(function, (uint16_t)(8 * index + bit)))
			byte |= (uint8_t)(1u << bit);
	return byte;
}

static uint8_t read_byte(const struct pv_msix *msix, uint32_t offset)
{
	if (offset < msix->pba_offset)
		return ((const uint8_t *)msix->table)[offset];
	if (offset < msix->pba_offset + pba_bytes(msix->vectors))
		return pending_byte(msix, offset - msix->pba_offset);
	return 0;
}

uint64_t pv_msix_read(const struct pv_msix *msix, uint32_t offset, unsigned int bytes)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value |= (uint64_t)read_byte(msix, offset + i) << 8 * i;
	return value;
}

/* Entries are written by whole words or two at a time; what else comes is undefined, and does
 * nothing. */
void pv_msix_write(struct pv_msix *msix, uint32_t offset, unsigned int bytes, uint64_t value)
{
	uint16_t vector = (uint16_t)(offset / ENTRY_BYTES);

	if ((bytes != 4 && bytes != 8) || offset % bytes || offset >= msix->pba_offset)
		return;
	pv_access_put((uint8_t *)msix->table + offset, value, bytes);
	msix->table[vector].control =
		pv_le32_of(pv_le32_get(msix->table[vector].control) & PCI_MSIX_VECTOR_MASKED);
	apply_vector(msix, vector);
}

/* ---- reset and state ---- */

void pv_msix_reset(struct pv_msix *msix)
{
	for (uint16_t i = 0; i < msix->vectors; i++)
		msix->table[i] =
			(struct pci_msix_entry){ .control = pv_le32_of(PCI_MSIX_VECTOR_MASKED) };
}

void pv_msix_save(const struct pv_msix *msix, struct pv_state_writer *to)
{
	const uint8_t *table = (const uint8_t *)msix->table;

	for (uint32_t i = 0; i < table_bytes(msix->vectors); i++)
		pv_state_put_u8(to, table[i]);
}

void pv_msix_load(struct pv_msix *msix, struct pv_state_reader *from)
{
	uint8_t *table = (uint8_t *)msix->table;

	for (uint32_t i = 0; i < table_bytes(msix->vectors); i++)
		table[i] = pv_state_get_u8(from);
	for (uint16_t i = 0; i < msix->vectors; i++)
		pv_state_check(from,
		               !(pv_le32_get(msix->table[i].control) & ~PCI_MSIX_VECTOR_MASKED));
}
