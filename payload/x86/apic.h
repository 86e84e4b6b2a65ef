/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interrupt controllers: the processor's own (local APIC, by its registers in memory), the
 * pins of those that devices share (IOAPIC, ACPI's MADT says where), and the old pair, which is
 * kept quiet.  Ring 0 only.
 */
#ifndef PV_PAYLOAD_APIC_H
#define PV_PAYLOAD_APIC_H

#include <stdbool.h>
#include <stdint.h>

#define APIC_ID          0x20u
#define APIC_TPR         0x80u
#define APIC_EOI         0xb0u
#define APIC_SVR         0xf0u
#define APIC_ICR         0x300u
#define APIC_ICR_TO      0x310u
#define APIC_LVT_TIMER   0x320u
#define APIC_LVT_LINT0   0x350u
#define APIC_TIMER_BEGIN 0x380u
#define APIC_TIMER_NOW   0x390u
#define APIC_TIMER_SHIFT 0x3e0u

#define SVR_ENABLED     0x1ffu
#define VECTOR_SPURIOUS (SVR_ENABLED & 0xffu)

/* Vectors below are exceptions': messages that have one are not let in. */
#define TPR_NO_EXCEPTIONS 0x10u

/* Masks the old pair of controllers, and moves it away from the vectors of exceptions. */
void pics_quiet(void);

/*
 * Lets this processor take interrupts, and has `timer_vector` come every `period_ns`; interrupts
 * stay disabled. False: it has no local APIC, or its timer does not count.
 */
bool apic_begin(uint8_t timer_vector, uint64_t period_ns);

/* Where a message (MSI) goes that is for this processor. */
uint32_t apic_message_address(void);

/* An interrupt of this processor to itself. */
void apic_send_self(uint8_t vector);

/* How a pin tells of an interrupt, as ACPI has it (6.4.3.6). */
struct apic_pin {
	uint32_t gsi; /* the pin's number, of all pins of the machine */
	bool is_edge, is_low;
};

/* Sends a pin's interrupts to this processor. False: no such pin. */
bool apic_pin_on(const struct apic_pin *pin, uint8_t vector);
void apic_pin_off(const struct apic_pin *pin);

#endif
