/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices/transport/pci/function_internal.h"

#include "ring/err.h"

/* ---- registers ---- */

uint16_t pv_pci_get16(const struct pv_pci_function *function, uint32_t offset)
{
	return (uint16_t)pv_access_get(function->config + offset, 2);
}

uint32_t pv_pci_get32(const struct pv_pci_function *function, uint32_t offset)
{
	return (uint32_t)pv_access_get(function->config + offset, 4);
}

static void set(struct pv_pci_function *function, uint32_t offset, uint64_t value,
                unsigned int bytes)
{
	pv_access_put(function->config + offset, value, bytes);
}

static void allow(struct pv_pci_function *function, uint32_t offset, uint64_t mask,
                  unsigned int bytes)
{
	pv_access_put(function->writable + offset, mask, bytes);
}

/* ---- making one ---- */

void pv_pci_init(struct pv_pci_function *function, const struct pv_pci_ops *ops,
                 const struct pv_pci_bus_ops *bus, const struct pv_pci_identity *identity)
{
	*function = (struct pv_pci_function){ .ops = ops,
		                              .bus = bus,
		                              .capability_end = PCI_FIRST_OWN_REGISTER };
	set(function, PCI_VENDOR_ID, identity->vendor, 2);
	set(function, PCI_DEVICE_ID, identity->device, 2);
	set(function, PCI_REVISION_ID, identity->revision, 1);
	set(function, PCI_CLASS_DEVICE, identity->class_code, 2);
	set(function, PCI_SUBSYSTEM_VENDOR, identity->subsystem_vendor, 2);
	set(function, PCI_SUBSYSTEM_ID, identity->subsystem, 2);
	set(function, PCI_INTERRUPT_PIN, identity->has_intx, 1);
	allow(function, PCI_COMMAND,
	      PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE,
	      2);
	allow(function, PCI_CACHE_LINE_SIZE, 0xff, 1);
	allow(function, PCI_INTERRUPT_LINE, 0xff, 1);
}

void pv_pci_add_bar(struct pv_pci_function *function, unsigned int bar, enum pv_pci_bar_kind kind,
                    uint64_t bytes)
{
	static const uint32_t flags[] = {
		[PV_PCI_BAR_IO] = PCI_BAR_IO,
		[PV_PCI_BAR_MEMORY] = 0,
		[PV_PCI_BAR_MEMORY_64] = PCI_BAR_MEMORY_64 | PCI_BAR_PREFETCHABLE,
	};

	pv_bug_on(bar >= PCI_BARS || bytes < 16 || bytes & (bytes - 1));
	function->bar_bytes[bar] = bytes;
	set(function, PCI_BAR(bar), flags[kind], 4);
	allow(function, PCI_BAR(bar), ~(bytes - 1), kind == PV_PCI_BAR_MEMORY_64 ? 8 : 4);
}

uint16_t pv_pci_add_capability(struct pv_pci_function *function, uint8_t id, const void *data,
                               const void *writable, uint8_t bytes)
{
	uint16_t at = function->capability_end;

	pv_bug_on(at + bytes > PCI_CONFIG_BYTES);
	__builtin_memcpy(function->config + at, data, bytes);
	if (writable)
		__builtin_memcpy(function->writable + at, writable, bytes);
	function->config[at] = id;
	function->config[at + 1] = 0;
	if (function->last_capability)
		function->config[function->last_capability + 1] = (uint8_t)at;
	else
		function->config[PCI_CAPABILITIES] = (uint8_t)at;
	function->config[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
	function->last_capability = at;
	function->capability_end = (uint16_t)((at + bytes + 3) & ~3);
	return at;
}

/* ---- BARs ---- */

static bool is_io(const struct pv_pci_function *function, unsigned int bar)
{
	return function->config[PCI_BAR(bar)] & PCI_BAR_IO;
}

static bool is_64(const struct pv_pci_function *function, unsigned int bar)
{
	return !is_io(function, bar) && function->config[PCI_BAR(bar)] & PCI_BAR_MEMORY_64;
}

bool pv_pci_window(const struct pv_pci_function *function, unsigned int bar,
                   struct pv_pci_window *window)
{
	uint16_t command = pv_pci_get16(function, PCI_COMMAND);

	if (bar >= PCI_BARS || !function->bar_bytes[bar])
		return false;
	window->is_io = is_io(function, bar);
	window->bytes = function->bar_bytes[bar];
	window->base =
		pv_access_get(function->config + PCI_BAR(bar), is_64(function, bar) ? 8 : 4) &
		~(window->bytes - 1);
	if (!(command & (window->is_io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
		return false;
	/* An address that was never given, or the answer to "how large are you?". */
	return window->base != 0 && window->base + window->bytes > window->base;
}

void pv_pci_place_bar(struct pv_pci_function *function, unsigned int bar, uint64_t base)
{
	unsigned int bytes = is_64(function, bar) ? 8 : 4;
	uint64_t flags = function->config[PCI_BAR(bar)] &
	                 (is_io(function, bar) ? PCI_BAR_IO_FLAGS : PCI_BAR_MEMORY_FLAGS);

	pv_bug_on(base & (function->bar_bytes[bar] - 1));
	set(function, PCI_BAR(bar), base | flags, bytes);
}

static bool is_in_bar(const struct pv_pci_function *function, unsigned int bar, uint64_t offset,
                      unsigned int bytes)
{
	return bar < PCI_BARS && pv_access_is_good(bytes) && offset < function->bar_bytes[bar] &&
	       bytes <= function->bar_bytes[bar] - offset;
}

uint64_t pv_pci_bar_read(struct pv_pci_function *function, unsigned int bar, uint64_t offset,
                         unsigned int bytes)
{
	if (!is_in_bar(function, bar, offset, bytes))
		return 0;
	return function->ops->bar_read(function, bar, (uint32_t)offset, bytes);
}

void pv_pci_bar_write(struct pv_pci_function *function, unsigned int bar, uint64_t offset,
                      unsigned int bytes, uint64_t value)
{
	if (is_in_bar(function, bar, offset, bytes))
		function->ops->bar_write(function, bar, (uint32_t)offset, bytes, value);
}

/* ---- configuration space ---- */

static bool touches(uint32_t offset, uint32_t bytes, uint32_t from, uint32_t end)
{
	return offset < end && offset + bytes > from;
}

static bool is_in_config(uint32_t offset, unsigned int bytes)
{
	return pv_access_is_good(bytes) && offset < PCI_CONFIG_BYTES &&
	       bytes <= PCI_CONFIG_BYTES - offset;
}

uint64_t pv_pci_config_read(struct pv_pci_function *function, uint32_t offset, unsigned int bytes)
{
	uint64_t value;

	if (!is_in_config(offset, bytes))
		return 0;
	if (function->ops->config_about_to_be_read)
		function->ops->config_about_to_be_read(function, offset, bytes);
	value = pv_access_get(function->config + offset, bytes);
	if (touches(offset, bytes, PCI_STATUS, PCI_STATUS + 1) && function->ops->has_intx &&
	    function->ops->has_intx(function))
		value |= (uint64_t)PCI_STATUS_INTERRUPT << 8 * (PCI_STATUS - offset);
	return value;
}

static void command_written(struct pv_pci_function *function, uint16_t before)
{
	uint16_t changed = before ^ pv_pci_get16(function, PCI_COMMAND);

	if (changed & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY))
		function->bus->windows_changed(function);
	if (changed & PCI_COMMAND_INTX_DISABLE)
		function->bus->intx_raised(function);
}

void pv_pci_config_write(struct pv_pci_function *function, uint32_t offset, unsigned int bytes,
                         uint64_t value)
{
	uint16_t command = pv_pci_get16(function, PCI_COMMAND);

	if (!is_in_config(offset, bytes))
		return;
	for (uint32_t i = offset; i < offset + bytes; i++, value >>= 8)
		function->config[i] = (uint8_t)((function->config[i] & ~function->writable[i]) |
		                                (value & function->writable[i]));
	command_written(function, command);
	if (touches(offset, bytes, PCI_BAR(0), PCI_BAR(PCI_BARS)))
		function->bus->windows_changed(function);
	if (function->msix)
		pv_msix_config_written(function->msix, offset, bytes);
	if (function->ops->config_written)
		function->ops->config_written(function, offset, bytes);
}

bool pv_pci_intx_is_on(const struct pv_pci_function *function)
{
	return !(pv_pci_get16(function, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE) &&
	       !(function->msix && pv_msix_is_enabled(function->msix));
}

/* ---- reset and state ---- */

void pv_pci_msix_switched(struct pv_pci_function *function)
{
	if (function->ops->msix_switched)
		function->ops->msix_switched(function);
	function->bus->intx_raised(function);
}

static void tell_bus(struct pv_pci_function *function)
{
	function->bus->windows_changed(function);
	if (function->msix)
		pv_msix_apply(function->msix);
	pv_pci_msix_switched(function);
}

void pv_pci_reset(struct pv_pci_function *function)
{
	set(function, PCI_COMMAND, 0, 2);
	set(function, PCI_CACHE_LINE_SIZE, 0, 1);
	for (uint32_t i = PCI_FIRST_OWN_REGISTER; i < PCI_CONFIG_BYTES; i++)
		function->config[i] &= (uint8_t)~function->writable[i];
	if (function->msix)
		pv_msix_reset(function->msix);
	tell_bus(function);
}

void pv_pci_save(const struct pv_pci_function *function, struct pv_state_writer *to)
{
	for (uint32_t i = 0; i < PCI_CONFIG_BYTES; i++)
		if (function->writable[i])
			pv_state_put_u8(to, function->config[i] & function->writable[i]);
	if (function->msix)
		pv_msix_save(function->msix, to);
}

void pv_pci_load(struct pv_pci_function *function, struct pv_state_reader *from)
{
	for (uint32_t i = 0; i < PCI_CONFIG_BYTES; i++)
		if (function->writable[i])
			function->config[i] =
				(uint8_t)((function->config[i] & ~function->writable[i]) |
			                  (pv_state_get_u8(from) & function->writable[i]));
	if (function->msix)
		pv_msix_load(function->msix, from);
	tell_bus(function);
}
