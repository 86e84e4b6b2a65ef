/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sleeping until a device interrupts.
 *
 * Interrupts are disabled everywhere but in interrupts_sleep(): one that comes between a look at a
 * queue and the sleep waits at the processor and ends the sleep at once, so none is ever missed.
 * For the same reason what is counted here changes in a sleep only.
 *
 * One device at a time has interrupts: by MSI-X, an entry for its configuration and one for each
 * queue; or, of devices without a bus, by the pin that ACPI says.
 */
#ifndef PV_PAYLOAD_INTERRUPTS_H
#define PV_PAYLOAD_INTERRUPTS_H

#include "payload/x86/apic.h"
#include "payload/x86/mmio.h"
#include "payload/x86/pci.h"

/* A sleep that nothing else ends lasts so long at most. */
#define INTERRUPTS_TICK_NS 10000000ull

/* Once, after the clock's begin, in ring 0. False: this machine can only poll. */
bool interrupts_begin(void);

/* From here on the device's interrupts come, until the other call. False: it has none. */
bool interrupts_attach_pci(struct pci_device *device);
bool interrupts_attach_mmio(struct mmio_device *device, const struct apic_pin *pin);
void interrupts_detach(void);
bool interrupts_are_on(void);

/* Until an interrupt of whatever has been taken. */
void interrupts_halt(void);

/*
 * Until an interrupt has been taken; less than a tick is not slept, but interrupts that wait are
 * taken. False: no device has interrupts.
 */
bool interrupts_sleep(uint64_t ns);

/* Of the device, since it was attached: of a queue, of the configuration, of both. */
uint32_t interrupts_of_queue(uint16_t queue);
uint32_t interrupts_of_config(void);
uint32_t interrupts_taken(void);

/* Can they be told apart, of so many queues and the configuration? */
bool interrupts_are_apart(uint16_t queues);

/* Of the clock, and of interrupts_send_self(). */
uint32_t interrupts_of_clock(void);
uint32_t interrupts_of_self(void);
void interrupts_send_self(void);

#endif
