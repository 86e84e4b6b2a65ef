/* SPDX-License-Identifier: BSD-2-Clause */
#include "abi/virtio_ids.h"
#include "payload/payload.h"
#include "payload/x86/interrupts.h"

#define MMIO_MAX    32u
#define CLOCK_READS 1000u

static struct payload_options options;
static uint64_t rsdp;
static unsigned int devices;
/* What statements are about: where it is, and what. */
static char place[32];
static const char *kind;
static bool is_by_interrupts;
/* Of all devices; NULL: they may have some. */
static const char *why_no_interrupts;

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

/* It begins with what it is about. */
static const char *whole(const char *text)
{
	static char line[160];
	char *at = put(line, place);

	at = put(put(put(at, " "), kind), is_by_interrupts ? ", by interrupts: " : ": ");
	for (unsigned int i = 0; text[i] && at < line + sizeof(line) - 1; i++)
		*at++ = text[i];
	*at = '\0';
	return line;
}

bool payload_ok(bool is_true, const char *text)
{
	return ok(is_true, whole(text));
}

void payload_skip(const char *text, const char *why)
{
	skip(whole(text), why);
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
	{ VIRTIO_ID_NET, "network", payload_test_net, payload_bench_net },
	{ VIRTIO_ID_CONSOLE, "serial", payload_test_serial, payload_bench_serial },
	{ VIRTIO_ID_BALLOON, "balloon", payload_test_balloon, payload_bench_balloon },
};

#define DRIVERS (sizeof(drivers) / sizeof(drivers[0]))

typedef void job(struct pv_bus *bus, const struct payload_options *options);

/* `attach` has the device's interrupts come; NULL, or why they do not. */
static void by_interrupts(struct pv_bus *bus, job *work, const char *(*attach)(void))
{
	const char *why = why_no_interrupts ? why_no_interrupts : attach();

	if (why) {
		payload_skip("it is waited for by interrupts", why);
		return;
	}
	is_by_interrupts = true;
	if (!options.is_bench)
		payload_test_config_interrupt(bus);
	work(bus, &options);
	interrupts_detach();
	is_by_interrupts = false;
}

static void test(struct pv_bus *bus, const char *(*attach)(void))
{
	for (unsigned int i = 0; i < DRIVERS; i++) {
		job *work = options.is_bench ? drivers[i].bench : drivers[i].test;

		if (drivers[i].id != bus->device_id)
			continue;
		if (options.is_guest && bus->device_id == VIRTIO_ID_BALLOON)
			work = payload_live_with_balloon;
		kind = drivers[i].kind;
		devices++;
		if (options.may_poll)
			work(bus, &options);
		if (options.may_interrupt)
			by_interrupts(bus, work, attach);
		return;
	}
	payload_note("has no driver here: device", bus->device_id);
}

static struct pci_device pci;

static const char *attach_pci(void)
{
	return interrupts_attach_pci(&pci) ? NULL : "no MSI-X";
}

static void test_pci(struct pci_address address)
{
	struct pv_bus *bus;

	name_pci(address);
	bus = options.is_legacy ? pci_open_legacy(&pci, address) : pci_open(&pci, address);
	if (bus)
		test(bus, attach_pci);
	else
		payload_note("has no registers that a driver here knows: ids", pci_ids(address));
}

static struct mmio_device mmio;
static struct acpi_mmio mmio_place;

static const char *attach_mmio(void)
{
	return mmio_place.has_pin && interrupts_attach_mmio(&mmio, &mmio_place.pin) ? NULL
	                                                                            : "no pin";
}

static void test_mmio(void)
{
	struct pv_bus *bus;

	name_mmio(mmio_place.address);
	bus = mmio_open(&mmio, mmio_place.address);
	if (bus)
		test(bus, attach_mmio);
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
		options.is_guest |= is_same(words->word[i], "guest");
		options.is_paged |= is_same(words->word[i], "paged");
		options.has_echo |= is_same(words->word[i], "net-echo");
		options.may_poll |= is_same(words->word[i], "poll");
		options.may_interrupt |= is_same(words->word[i], "interrupts");
	}
	if (!options.may_poll && !options.may_interrupt) {
		options.may_poll = true;
		options.may_interrupt = !options.is_bench;
	}
	if (option_of(words, "ring", 1) == 0)
		options.ring = RING_0;
	else if (option_of(words, "ring", 1) == 3)
		options.ring = RING_3;
	options.depth = (uint32_t)option_of(words, "depth", 32);
	options.bytes = (uint32_t)option_of(words, "bytes", 4096);
	options.serial_bytes = (uint32_t)option_of(words, "bytes", 65536);
	options.ms = option_of(words, "ms", 1000);
	options.answers = (uint32_t)option_of(words, "answers", 1);
	options.balloon_mib = (uint32_t)option_of(words, "balloon", 0);
	options.balloon_step = (uint32_t)option_of(words, "step", 0);
	options.udp_port = (uint16_t)option_of(words, "udp", 0);
}

static void begin_interrupts(void)
{
	if (ring_now() != 0)
		why_no_interrupts = "ring 3 polls";
	else if (!interrupts_begin())
		why_no_interrupts = "no local APIC";
	else if (!options.is_bench)
		payload_test_interrupts();
}

static void work(void)
{
	if (!acpi_begin(rsdp))
		say("# no ACPI tables\n");
	clock_begin();
	if (options.may_interrupt)
		begin_interrupts();
	if (options.is_bench)
		bench_clock();
	pci_for_each_virtio(test_pci);
	for (unsigned int i = 0; i < MMIO_MAX && acpi_virtio_mmio(i, &mmio_place); i++)
		test_mmio();
	say("# devices: ");
	say_number(devices);
	say("\n");
	finish();
}

/* What follows the choice of the ring may be slow, or be impossible, in the other one. */
void guest_main(const struct start_info *info)
{
	struct words words;

	serial_begin();
	traps_begin();
	if (info->magic != START_MAGIC)
		bail_out("the start info is not what it should be");
	rsdp = info->rsdp;
	memory_begin(info);
	words_of(&words, info);
	take_options(&words);
	ring_run(options.ring, work);
}
