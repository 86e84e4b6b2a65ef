/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The image's self tests, in a host process: the same statements by the same drivers, on a device
 * that somebody serves at a vhost-user socket. What the bare machine is to them there, this is
 * here.
 *
 *   hosted blk|rng|net|serial|balloon SOCKET [WORD]...
 *
 * "scratch": the disk may be written to; "net-echo": frames are sent back; "without=N": feature N
 * is not seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi/virtio_ids.h"
#include "hosted/driver_bus/vhu_bus.h"
#include "hosted/loop/clock.h"
#include "payload/payload.h"
#include "payload/x86/interrupts.h"
#include "payload/x86/os.h"

#define MEMORY_BYTES  (64u << 20)
#define QUEUES_MAX    8u
#define SIZE_MAX_TOLD 64u /* places of queues that vhost-user does not tell */

static struct pv_vhu_bus *vhu;
static const char *kind;
static unsigned int statements;
static bool has_failed;

/* ---- the port ---- */

static struct pv_os *below(void)
{
	return pv_vhu_bus_os(vhu);
}

static void *shared_alloc(struct pv_os *os, size_t bytes, size_t align, struct pv_gpa *addr)
{
	(void)os;
	return below()->ops->shared_alloc(below(), bytes, align, addr);
}

static void shared_free(struct pv_os *os, void *memory, size_t bytes)
{
	(void)os;
	below()->ops->shared_free(below(), memory, bytes);
}

static uint32_t map(struct pv_os *os, void *memory, uint32_t bytes, bool is_written,
                    struct pv_gpa *addr)
{
	(void)os;
	return below()->ops->map(below(), memory, bytes, is_written, addr);
}

static void *own_alloc(struct pv_os *os, size_t bytes)
{
	(void)os;
	return below()->ops->alloc(below(), bytes);
}

static void own_free(struct pv_os *os, void *memory, size_t bytes)
{
	(void)os;
	below()->ops->free(below(), memory, bytes);
}

static uint64_t now_ns(struct pv_os *os)
{
	(void)os;
	return below()->ops->now_ns(below());
}

static void wait_for_interrupt(struct pv_os *os, uint64_t ns)
{
	(void)os;
	below()->ops->wait(below(), ns);
}

static const struct pv_os_ops os_ops = {
	.shared_alloc = shared_alloc,
	.shared_free = shared_free,
	.map = map,
	.alloc = own_alloc,
	.free = own_free,
	.now_ns = now_ns,
	.wait = wait_for_interrupt,
};

struct pv_os bare_os = { &os_ops };

void *bare_alloc(size_t bytes, size_t align)
{
	struct pv_gpa addr;

	return shared_alloc(&bare_os, bytes, align, &addr);
}

/* One device has all of the memory. */
void bare_forget(void)
{
}

/* ---- interrupts ---- */

bool interrupts_are_on(void)
{
	return true;
}

bool interrupts_are_apart(uint16_t queues)
{
	(void)queues;
	return true;
}

/* Those that wait to be taken are taken. */
uint32_t interrupts_of_queue(uint16_t queue)
{
	pv_vhu_bus_wait(vhu, queue, 0);
	return (uint32_t)pv_vhu_bus_counters(vhu, queue).interrupts;
}

/* They are messages of another channel. */
uint32_t interrupts_of_config(void)
{
	return 0;
}

uint32_t interrupts_taken(void)
{
	uint32_t all = 0;

	for (uint16_t i = 0; i < QUEUES_MAX; i++)
		all += interrupts_of_queue(i);
	return all;
}

bool payload_sleep(uint16_t queue, uint32_t before, uint64_t timeout_ns)
{
	const uint64_t end_ns = pv_clock_ns(CLOCK_MONOTONIC) + timeout_ns;

	while (interrupts_of_queue(queue) == before) {
		if (pv_clock_ns(CLOCK_MONOTONIC) > end_ns)
			return false;
		pv_vhu_bus_wait(vhu, queue, timeout_ns);
	}
	return true;
}

/* ---- statements ---- */

bool payload_ok(bool is_true, const char *text)
{
	printf("%sok %u - hosted %s: %s\n", is_true ? "" : "not ", ++statements, kind, text);
	has_failed |= !is_true;
	return is_true;
}

void payload_note(const char *name, uint64_t number)
{
	printf("# hosted %s %s %llu\n", kind, name, (unsigned long long)number);
}

/* ---- features that are not to be seen ---- */

static uint64_t unseen;
static const struct pv_bus_ops *bus_ops;

static int some_features(struct pv_bus *bus, uint64_t *features)
{
	int error = bus_ops->features_get(bus, features);

	*features &= ~unseen;
	return error;
}

/* ---- the program ---- */

static void take_word(struct payload_options *options, const char *word)
{
	options->may_write |= strcmp(word, "scratch") == 0;
	options->has_echo |= strcmp(word, "net-echo") == 0;
}

static void take_words(struct payload_options *options, char **words)
{
	for (; *words; words++)
		if (strncmp(*words, "without=", 8) == 0)
			unseen |= VIRTIO_F_BIT(strtoul(*words + 8, NULL, 10));
		else
			take_word(options, *words);
}

static const struct device {
	const char *kind;
	uint16_t id;
	uint16_t size_max; /* 0: it tells */
	void (*test)(struct pv_bus *bus, const struct payload_options *options);
} devices[] = {
	{ "blk", VIRTIO_ID_BLOCK, 0, payload_test_blk },
	{ "rng", VIRTIO_ID_ENTROPY, SIZE_MAX_TOLD, payload_test_rng },
	{ "net", VIRTIO_ID_NET, SIZE_MAX_TOLD, payload_test_net },
	{ "serial", VIRTIO_ID_CONSOLE, SIZE_MAX_TOLD, payload_test_serial },
	{ "balloon", VIRTIO_ID_BALLOON, SIZE_MAX_TOLD, payload_test_balloon },
};

static const struct device *find(const char *name)
{
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
		if (strcmp(devices[i].kind, name) == 0)
			return &devices[i];
	return NULL;
}

static bool connect_bus(const char *path, const struct device *device)
{
	const struct pv_vhu_bus_options options = {
		.path = path,
		.device_id = device->id,
		.queue_size_max = device->size_max,
		.memory_bytes = MEMORY_BYTES,
	};
	char sentence[256];

	if (pv_vhu_bus_create(&vhu, &options, sentence, sizeof(sentence)) == 0)
		return true;
	printf("Bail out! %s\n", sentence);
	return false;
}

int main(int argc, char **argv)
{
	struct payload_options options = { .may_poll = true, .may_interrupt = true };
	const struct device *device;
	struct pv_bus_ops ops;
	struct pv_bus *bus;

	setvbuf(stdout, NULL, _IOLBF, 0);
	device = argc < 3 ? NULL : find(argv[1]);
	if (!device)
		return 2;
	kind = argv[1];
	take_words(&options, argv + 3);
	if (!connect_bus(argv[2], device))
		return 1;
	bus = pv_vhu_bus_bus(vhu);
	bus_ops = bus->ops;
	ops = *bus_ops;
	ops.features_get = some_features;
	bus->ops = &ops;
	device->test(bus, &options);
	bus->ops = bus_ops;
	pv_vhu_bus_destroy(vhu);
	printf("# devices: 1\n1..%u\n", statements);
	return has_failed;
}
