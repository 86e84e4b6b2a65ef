/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls clock_gettime
 */
#include "hosted/vmm/platform.h"

#include <string.h>
#include <time.h>

#include "hosted/loop/clock.h"
#include "ring/err.h"

/* ---- power management: events ---- */

#define PM_TIMER_HZ         3579545u
#define PM_TIMER_MASK       0xffffffu
#define PM_STATUS_BUTTON    0x0100u
#define PM_CONTROL_SCI      0x0001u
#define PM_CONTROL_TYPE(c)  ((c) >> 10 & 7u)
#define PM_CONTROL_SLEEP    0x2000u
#define PM_CONTROL_WRITABLE 0x1c03u

static void update_sci(struct pv_platform *platform)
{
	bool is_high = platform->pm_status & platform->pm_enable;

	if (is_high == platform->is_sci_high)
		return;
	platform->is_sci_high = is_high;
	platform->ops->set_sci(platform->arg, is_high);
}

static uint64_t event_read(void *arg, uint64_t offset, unsigned int bytes)
{
	const struct pv_platform *platform = arg;
	uint32_t both = platform->pm_status | (uint32_t)platform->pm_enable << 16;

	(void)bytes;
	return both >> 8 * offset;
}

/* A status bit is cleared by writing it. */
static void event_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	struct pv_platform *platform = arg;

	for (unsigned int i = 0; i < bytes; i++, offset++, value >>= 8) {
		unsigned int shift = 8 * (offset % 2);
		uint16_t byte = (uint16_t)((value & 0xff) << shift);

		if (offset < 2)
			platform->pm_status &= (uint16_t)~byte;
		else
			platform->pm_enable =
				(uint16_t)((platform->pm_enable & ~(0xff << shift)) | byte);
	}
	update_sci(platform);
}

static const struct pv_io_ops event_ops = { event_read, event_write };

/* ---- power management: control ---- */

static uint64_t control_read(void *arg, uint64_t offset, unsigned int bytes)
{
	const struct pv_platform *platform = arg;

	(void)bytes;
	return platform->pm_control >> 8 * offset;
}

static void control_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	struct pv_platform *platform = arg;

	if (offset != 0 || bytes < 2)
		return;
	platform->pm_control = (uint16_t)(value & PM_CONTROL_WRITABLE) | PM_CONTROL_SCI;
	if (value & PM_CONTROL_SLEEP && PM_CONTROL_TYPE(value) == PV_SLEEP_TYPE_OFF)
		platform->ops->power_off(platform->arg);
}

static const struct pv_io_ops control_ops = { control_read, control_write };

/* ---- the timer ---- */

static uint64_t timer_read(void *arg, uint64_t offset, unsigned int bytes)
{
	uint64_t now_ns = pv_clock_ns(CLOCK_MONOTONIC);
	/* In two steps: the product would be too large after an hour. */
	uint64_t ticks = now_ns / 1000000000u * PM_TIMER_HZ +
	                 now_ns % 1000000000u * PM_TIMER_HZ / 1000000000u;

	(void)arg;
	(void)bytes;
	return (ticks & PM_TIMER_MASK) >> 8 * offset;
}

static void ignore_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	(void)arg;
	(void)offset;
	(void)bytes;
	(void)value;
}

static const struct pv_io_ops timer_ops = { timer_read, ignore_write };

/* ---- the real-time clock, MC146818 ---- */

#define CMOS_SECONDS  0x00u
#define CMOS_MINUTES  0x02u
#define CMOS_HOURS    0x04u
#define CMOS_WEEKDAY  0x06u
#define CMOS_DAY      0x07u
#define CMOS_MONTH    0x08u
#define CMOS_YEAR     0x09u
#define CMOS_STATUS_A 0x0au
#define CMOS_STATUS_B 0x0bu
#define CMOS_STATUS_D 0x0du
#define CMOS_CENTURY  0x32u

#define STATUS_A_RATE     0x26u /* 32768 Hz, divided to 1024 */
#define STATUS_B_24_HOURS 0x02u
#define STATUS_D_VALID    0x80u

static uint8_t bcd(int value)
{
	return (uint8_t)(value / 10 << 4 | value % 10);
}

/* Universal time, whatever the guest wrote: it is the host's clock. */
static uint8_t clock_register(uint8_t index, uint8_t stored)
{
	time_t now = time(NULL);
	struct tm tm;

	if (!gmtime_r(&now, &tm))
		return stored;
	switch (index) {
	case CMOS_SECONDS:
		return bcd(tm.tm_sec);
	case CMOS_MINUTES:
		return bcd(tm.tm_min);
	case CMOS_HOURS:
		return bcd(tm.tm_hour);
	case CMOS_WEEKDAY:
		return bcd(tm.tm_wday + 1);
	case CMOS_DAY:
		return bcd(tm.tm_mday);
	case CMOS_MONTH:
		return bcd(tm.tm_mon + 1);
	case CMOS_YEAR:
		return bcd(tm.tm_year % 100);
	case CMOS_CENTURY:
		return bcd(19 + tm.tm_year / 100);
	case CMOS_STATUS_A:
		return STATUS_A_RATE;
	case CMOS_STATUS_B:
		return STATUS_B_24_HOURS;
	case CMOS_STATUS_D:
		return STATUS_D_VALID;
	default:
		return stored;
	}
}

static uint64_t cmos_read(void *arg, uint64_t offset, unsigned int bytes)
{
	const struct pv_platform *platform = arg;

	if (bytes != 1)
		return UINT64_MAX;
	if (offset == 0)
		return platform->cmos_index;
	return clock_register(platform->cmos_index, platform->cmos[platform->cmos_index]);
}

static void cmos_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	struct pv_platform *platform = arg;

	if (bytes != 1)
		return;
	if (offset == 0)
		platform->cmos_index = value & 0x7f;
	else
		platform->cmos[platform->cmos_index] = (uint8_t)value;
}

static const struct pv_io_ops cmos_ops = { cmos_read, cmos_write };

/* ---- resets ---- */

#define KEYBOARD_STATUS_PORT 0x64u
#define KEYBOARD_PULSE_RESET 0xfeu
#define RESET_NOW            0x04u

static uint64_t read_zero(void *arg, uint64_t offset, unsigned int bytes)
{
	(void)arg;
	(void)offset;
	(void)bytes;
	return 0;
}

/* There is no keyboard behind it: all it can do is pull the processor's reset. */
static void keyboard_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	const struct pv_platform *platform = arg;

	(void)offset;
	(void)bytes;
	if ((value & 0xff) == KEYBOARD_PULSE_RESET)
		platform->ops->reset(platform->arg);
}

static const struct pv_io_ops keyboard_ops = { read_zero, keyboard_write };

static void reset_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	const struct pv_platform *platform = arg;

	(void)offset;
	(void)bytes;
	if (value & RESET_NOW)
		platform->ops->reset(platform->arg);
}

static const struct pv_io_ops reset_ops = { read_zero, reset_write };

/* ---- a panic (QEMU's docs/specs/pvpanic) ---- */

#define PANIC_PANICKED     0x01u
#define PANIC_CRASH_LOADED 0x02u

static uint64_t panic_read(void *arg, uint64_t offset, unsigned int bytes)
{
	(void)arg;
	(void)offset;
	(void)bytes;
	return PANIC_PANICKED | PANIC_CRASH_LOADED;
}

static void panic_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	const struct pv_platform *platform = arg;

	(void)offset;
	(void)bytes;
	if (value & PANIC_PANICKED)
		platform->ops->panicked(platform->arg, false);
	else if (value & PANIC_CRASH_LOADED)
		platform->ops->panicked(platform->arg, true);
}

static const struct pv_io_ops panic_ops = { panic_read, panic_write };

/* ---- all of it ---- */

void pv_platform_init(struct pv_platform *platform, struct pv_io_space *ports,
                      const struct pv_platform_ops *ops, void *arg)
{
	const struct pv_io_range ranges[] = {
		{ PV_PM_EVENT_PORT, 4, &event_ops, platform },
		{ PV_PM_CONTROL_PORT, 2, &control_ops, platform },
		{ PV_PM_TIMER_PORT, 4, &timer_ops, platform },
		{ 0x70, 2, &cmos_ops, platform },
		{ KEYBOARD_STATUS_PORT, 1, &keyboard_ops, platform },
		{ PV_RESET_PORT, 1, &reset_ops, platform },
		{ PV_PANIC_PORT, 1, &panic_ops, platform },
	};

	platform->ops = ops;
	platform->arg = arg;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		pv_bug_on(!pv_io_add(ports, &ranges[i]));
	pv_platform_reset(platform);
}

void pv_platform_reset(struct pv_platform *platform)
{
	platform->pm_status = platform->pm_enable = 0;
	platform->pm_control = PM_CONTROL_SCI;
	platform->cmos_index = 0;
	memset(platform->cmos, 0, sizeof(platform->cmos));
	update_sci(platform);
}

void pv_platform_press_button(struct pv_platform *platform)
{
	platform->pm_status |= PM_STATUS_BUTTON;
	update_sci(platform);
}
