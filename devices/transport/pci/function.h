/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PCI function: its configuration space, its BARs, its capabilities and its MSI-X table.
 *
 * A function knows nothing of the bus that it is on.  The bus (our monitor, an emulator, a test)
 * brings it the guest's accesses: to its configuration space, and to its BARs by number and offset;
 * where BARs are in the guest's address space the bus asks with pv_pci_window() whenever it is told
 * that windows may have moved.  What is behind the BARs is the function's own (struct pv_pci_ops).
 *
 * Configuration space is an array of bytes with a mask that says which bits the guest may write: a
 * BAR tells its size by bits that cannot be written, and capabilities are read-only but for what
 * they say.  Every access of any width at any offset is answered: 1, 2, 4 or 8 bytes; beyond the
 * end reads give zeroes and writes nothing.
 *
 * All of it is for the control side, except where stated.
 */
#ifndef PV_DEVICES_PCI_FUNCTION_H
#define PV_DEVICES_PCI_FUNCTION_H

#include <stdbool.h>

#include "abi/linkage.h"
#include "abi/pci.h"
#include "devices/core/state.h"
#include "devices/transport/access.h"

PV_PUBLIC_BEGIN

struct pv_pci_function;
struct pv_msix;

/* Where an MSI-X vector's message goes. */
struct pv_msi_message {
	uint64_t address;
	uint32_t data;
};

/* What a function asks of its bus. */
struct pv_pci_bus_ops {
	/* Command register or BARs were written: windows may be others now. */
	void (*windows_changed)(struct pv_pci_function *function);

	/*
	 * A vector may be sent from here on, as this message; NULL: it may not (masked, or MSI-X is
	 * off), and what is to be sent meanwhile stays pending.
	 */
	void (*vector_set)(struct pv_pci_function *function, uint16_t vector,
	                   const struct pv_msi_message *message);

	/* Is there something that waits for the vector to be unmasked? */
	bool (*vector_is_pending)(struct pv_pci_function *function, uint16_t vector);

	/*
	 * Any thread. The function has raised the interrupt behind INTx, or what masks it has gone:
	 * the bus asks pv_pci_ops.has_intx() whenever the guest's interrupt controller may listen
	 * again.
	 */
	void (*intx_raised)(struct pv_pci_function *function);
};

/* What a kind of function does. */
struct pv_pci_ops {
	/* An access to a BAR; the range is inside, `bytes` is 1, 2, 4 or 8. */
	uint64_t (*bar_read)(struct pv_pci_function *function, unsigned int bar, uint32_t offset,
	                     unsigned int bytes);
	void (*bar_write)(struct pv_pci_function *function, unsigned int bar, uint32_t offset,
	                  unsigned int bytes, uint64_t value);

	/* Any thread. Is INTx to be asserted? NULL: never. */
	bool (*has_intx)(const struct pv_pci_function *function);

	/* MSI-X was switched on or off: the way interrupts go is another. NULL: no matter. */
	void (*msix_switched)(struct pv_pci_function *function);

	/* Configuration space was written at [offset, offset + bytes), or is about to be read.
	 * NULL: no matter. */
	void (*config_written)(struct pv_pci_function *function, uint32_t offset, uint32_t bytes);
	void (*config_about_to_be_read)(struct pv_pci_function *function, uint32_t offset,
	                                uint32_t bytes);
};

struct pv_pci_function {
	const struct pv_pci_ops *ops;
	const struct pv_pci_bus_ops *bus;
	uint8_t config[PCI_CONFIG_BYTES];
	uint8_t writable[PCI_CONFIG_BYTES]; /* bits that the guest may write */
	uint64_t bar_bytes[PCI_BARS];       /* 0: no such BAR */
	uint16_t capability_end;            /* where the next capability would be */
	uint16_t last_capability;           /* 0: none yet */
	struct pv_msix *msix;               /* may be NULL */
};

/* What a function is: the fixed part of its header. */
struct pv_pci_identity {
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem;
	uint16_t class_code; /* class and subclass */
	uint8_t revision;
	bool has_intx; /* pin A */
};

void pv_pci_init(struct pv_pci_function *function, const struct pv_pci_ops *ops,
                 const struct pv_pci_bus_ops *bus, const struct pv_pci_identity *identity);

enum pv_pci_bar_kind { PV_PCI_BAR_IO, PV_PCI_BAR_MEMORY, PV_PCI_BAR_MEMORY_64 };

/* `bytes` is a power of two, at least 16; a 64-bit BAR takes the place of the next as well. */
void pv_pci_add_bar(struct pv_pci_function *function, unsigned int bar, enum pv_pci_bar_kind kind,
                    uint64_t bytes);

/*
 * A capability of `bytes` bytes, id and next included; only the bits of `writable` (NULL: none) can
 * be written. Returns its offset.
 */
uint16_t pv_pci_add_capability(struct pv_pci_function *function, uint8_t id, const void *data,
                               const void *writable, uint8_t bytes);

/* ---- for the bus ---- */

uint64_t pv_pci_config_read(struct pv_pci_function *function, uint32_t offset, unsigned int bytes);
void pv_pci_config_write(struct pv_pci_function *function, uint32_t offset, unsigned int bytes,
                         uint64_t value);

struct pv_pci_window {
	bool is_io;
	uint64_t base;
	uint64_t bytes;
};

/* Where a BAR is seen; false if it is not, or there is none. */
bool pv_pci_window(const struct pv_pci_function *function, unsigned int bar,
                   struct pv_pci_window *window);

/* Gives a BAR its place, as a firmware would. */
void pv_pci_place_bar(struct pv_pci_function *function, unsigned int bar, uint64_t base);

/* An access to a BAR, `offset` and `bytes` as they came. */
uint64_t pv_pci_bar_read(struct pv_pci_function *function, unsigned int bar, uint64_t offset,
                         unsigned int bytes);
void pv_pci_bar_write(struct pv_pci_function *function, unsigned int bar, uint64_t offset,
                      unsigned int bytes, uint64_t value);

/* Any thread. May the function pull INTx: it is not switched off, and MSI-X is not on? */
bool pv_pci_intx_is_on(const struct pv_pci_function *function);

/* Back to the beginning, but for BARs: a reset of the bus keeps what a firmware would set again. */
void pv_pci_reset(struct pv_pci_function *function);

/* The writable bits; loading tells the bus of windows and vectors. */
void pv_pci_save(const struct pv_pci_function *function, struct pv_state_writer *to);
void pv_pci_load(struct pv_pci_function *function, struct pv_state_reader *from);

/* ---- registers, for kinds of functions ---- */

uint16_t pv_pci_get16(const struct pv_pci_function *function, uint32_t offset);
uint32_t pv_pci_get32(const struct pv_pci_function *function, uint32_t offset);

PV_PUBLIC_END

#endif
