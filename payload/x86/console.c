/* SPDX-License-Identifier: BSD-2-Clause */
#include "payload/x86/machine.h"

#define COM1         0x3f8u
#define LINE_STATUS  (COM1 + 5)
#define STATUS_DATA  0x01u
#define STATUS_EMPTY 0x20u
#define LINE_8N1     0x03u
#define FIFO_CLEAR   0x07u

static unsigned int statements, failures;

/* Whatever state somebody left it in. */
void serial_begin(void)
{
	out8(COM1 + 3, LINE_8N1);
	out8(COM1 + 1, 0);
	out8(COM1 + 2, FIFO_CLEAR);
	out8(COM1 + 4, 0);
}

static void say_byte(uint8_t byte)
{
	while (!(in8(LINE_STATUS) & STATUS_EMPTY))
		;
	out8(COM1, byte);
}

void say(const char *text)
{
	while (*text)
		say_byte((uint8_t)*text++);
}

static void say_in_base(uint64_t number, unsigned int base)
{
	char digits[24], *at = digits + sizeof(digits);

	*--at = '\0';
	do {
		*--at = "0123456789abcdef"[number % base];
		number /= base;
	} while (number > 0);
	say(at);
}

void say_number(uint64_t number)
{
	say_in_base(number, 10);
}

void say_hex(uint64_t number)
{
	say_in_base(number, 16);
}

bool has_heard(void)
{
	return in8(LINE_STATUS) & STATUS_DATA;
}

uint8_t hear(void)
{
	while (!has_heard())
		__asm__ volatile("pause");
	return in8(COM1);
}

bool ok(bool is_true, const char *text)
{
	failures += !is_true;
	say(is_true ? "ok " : "not ok ");
	say_number(++statements);
	say(" - ");
	say(text);
	say("\n");
	return is_true;
}

bool equal(uint64_t got, uint64_t wanted, const char *text)
{
	if (ok(got == wanted, text))
		return true;
	say("# got 0x");
	say_hex(got);
	say(", wanted 0x");
	say_hex(wanted);
	say("\n");
	return false;
}

void skip(const char *text, const char *why)
{
	say("ok ");
	say_number(++statements);
	say(" - ");
	say(text);
	say(" # SKIP ");
	say(why);
	say("\n");
}

void finish(void)
{
	say("1..");
	say_number(statements);
	say("\n");
	acpi_power_off();
	wait_for_ever();
}

void bail_out(const char *why)
{
	serial_begin();
	say("\nBail out! ");
	say(why);
	say("\n");
	acpi_power_off();
	wait_for_ever();
}
