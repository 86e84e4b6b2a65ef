/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a PC has beside its processors and buses: the ACPI power management registers (ACPI 6.4,
 * section 4.8), the real-time clock, and the ways to ask for a reset.
 */
#ifndef PV_HOSTED_VMM_PLATFORM_H
#define PV_HOSTED_VMM_PLATFORM_H

#include "hosted/vmm/io.h"

#define PV_PM_EVENT_PORT   0x600u
#define PV_PM_CONTROL_PORT 0x604u
#define PV_PM_TIMER_PORT   0x608u
#define PV_RESET_PORT      0xcf9u
#define PV_PANIC_PORT      0x505u
#define PV_RESET_VALUE     0x06u
#define PV_SCI_IRQ         9u

/* The value of SLP_TYPx that means "soft off", as the DSDT says too. */
#define PV_SLEEP_TYPE_OFF 5u

struct pv_platform_ops {
	void (*power_off)(void *arg);
	void (*reset)(void *arg);
	void (*set_sci)(void *arg, bool is_high);
	/* With a crash kernel the guest goes on there. */
	void (*panicked)(void *arg, bool has_crash_kernel);
};

struct pv_platform {
	const struct pv_platform_ops *ops;
	void *arg;
	uint16_t pm_status, pm_enable, pm_control;
	bool is_sci_high;
	uint8_t cmos_index;
	uint8_t cmos[128];
};

/* Puts its ranges into the space of ports. */
void pv_platform_init(struct pv_platform *platform, struct pv_io_space *ports,
                      const struct pv_platform_ops *ops, void *arg);

/* As when the power came on. */
void pv_platform_reset(struct pv_platform *platform);

/* The power button is pressed. */
void pv_platform_press_button(struct pv_platform *platform);

#endif
