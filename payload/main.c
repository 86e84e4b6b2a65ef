/* SPDX-License-Identifier: BSD-2-Clause */
#include "abi/virtio_ids.h"
#include "payload/payload.h"
#include "payload/x86/mmio.h"
#include "payload/x86/pci.h"

#define MMIO_MAX    32u
#define CLOCK_READS 1000u

static struct payload_options options;
static unsigned int devices;
/* What statements are about: where it is, and what. */
static char place[32];
static const char *kind;

/* ---- the device's name ---- */

static char *put_hex(char *at, unsigned int number, unsigned int digits)
{
	while (digits-- > 0)
		*at++ = "0123456789abcdef"[number >> 4 * digits & 15];
	return at;
}

static char *put(char *at, const char *text)
{
	while (*text)
		*at++ = *text++;
	return at;
}

static void name_pci(struct pci_address address)
{
	char *at = put_hex(put(place, "pci "), address.bus, 2);

	at = put_hex(put(at, ":"), address.device, 2);
	*put_hex(put(at, "."), address.function, 1) = '\0';
}

static void name_mmio(uint64_t address)
{
	*put_hex(put(place, "mmio "), (unsigned int)address, 8) = '\0';
}

/* ---- statements ---- */

bool payload_ok(bool is_true, const char *text)
{
	char line[160], *at = put(line, place);

	at = put(put(put(at, " "), kind), ": ");
	for (unsigned int i = 0; text[i] && at < line + sizeof(line) - 1; i++)
		*at++ = text[i];
	*at = '\0';
	return ok(is_true, line);
}

void payload_note(const char *name, uint64_t number)
{
	say("# ");
	say(place);
	say(" ");
	say(name);
	say(" ");
	say_number(number);
	say("\n");
}

/* ---- devices ---- */

static const struct {
	uint16_t id;
	const char *kind;
	void (*test)(struct pv_bus *bus, const struct payload_options *options);
	void (*bench)(struct pv_bus *bus, const struct payload_options *options);
} drivers[] = {
	{ VIRTIO_ID_BLOCK, "block", payload_test_blk, payload_bench_blk },
	{ VIRTIO_ID_ENTROPY, "entropy", payload_test_rng, payload_bench_rng },
};

#define DRIVERS (sizeof(drivers) / sizeof(drivers[0]))

static void test(struct pv_bus *bus)
{
	for (unsigned int i = 0; i < DRIVERS; i++) {
		if (drivers[i].id != bus->device_id)
			continue;
		kind = drivers[i].kind;
		devices++;
		(options.is_bench ? drivers[i].bench : drivers[i].test)(bus, &options);
		return;
	}
	payload_note("has no driver here: device", bus->device_id);
}

static void test_pci(struct pci_address address)
{
	static struct pci_device device;
	struct pv_bus *bus;

	name_pci(address);
	bus = options.is_legacy ? pci_open_legacy(&device, address) : pci_open(&device, address);
	if (bus)
		test(bus);
	else
		payload_note("has no registers that a driver here knows: ids", pci_ids(address));
}

static void test_mmio(uint64_t address)
{
	static struct mmio_device device;
	struct pv_bus *bus;

	name_mmio(address);
	bus = mmio_open(&device, address);
	if (bus)
		test(bus);
}

/* How long it takes to ask for the time. */
static void bench_clock(void)
{
	const uint64_t begin = clock_ns();

	for (unsigned int i = 1; i < CLOCK_READS; i++)
		clock_ns();
	say("# a look at the clock, ns: ");
	say_number((clock_ns() - begin) / CLOCK_READS);
	say("\n");
}

static void take_options(const struct words *words)
{
	for (unsigned int i = 0; i < words->words; i++) {
		options.may_write |= is_same(words->word[i], "scratch");
		options.is_legacy |= is_same(words->word[i], "legacy");
		options.is_bench |= is_same(words->word[i], "bench");
	}
	options.depth = (uint32_t)option_of(words, "depth", 32);
	options.bytes = (uint32_t)option_of(words, "bytes", 4096);
	options.ms = option_of(words, "ms", 1000);
}

void guest_main(const struct start_info *info)
{
	struct words words;

	serial_begin();
	traps_begin();
	if (info->magic != START_MAGIC)
		bail_out("the start info is not what it should be");
	if (!acpi_begin(info->rsdp))
		say("# no ACPI tables\n");
	clock_begin();
	words_of(&words, info);
	take_options(&words);
	if (options.is_bench)
		bench_clock();
	pci_for_each_virtio(test_pci);
	for (unsigned int i = 0; i < MMIO_MAX && acpi_virtio_mmio(i); i++)
		test_mmio(acpi_virtio_mmio(i));
	say("# devices: ");
	say_number(devices);
	say("\n");
	finish();
}
