/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/control/ballast.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hosted/control/device_storage.h"
#include "hosted/control/sandbox.h"

#define QUEUE_SIZE_MAX 32768u
#define TARGET_MAX     (1ull << 46)
#define NS_PER_S       1000000000ull
#define MIB            (1ull << 20)

static const char *const switches[] = { "off", "on", NULL };

#define BALLAST struct pv_ballast_options
static const struct pv_option ballast_options[] = {
	{ "target", "SIZE", "memory that the guest is to have (default: all that there is)",
	  PV_OPTION_SIZE_AT(BALLAST, target, 1, TARGET_MAX) },
	{ "deflate-on-oom", "on|off",
	  "let the guest take memory back when it has none left (default on)",
	  PV_OPTION_CHOICE_AT(BALLAST, deflate_on_oom, switches) },
	{ "free-page-reporting", "on|off",
	  "take what the guest has free, until it uses it (default on)",
	  PV_OPTION_CHOICE_AT(BALLAST, reporting, switches) },
	{ "stats-interval", "SECONDS",
	  "ask the guest so often how it uses its memory (default 0: never)",
	  PV_OPTION_NUMBER_AT(BALLAST, stats_interval_s, 0, PV_BALLAST_STATS_INTERVAL_MAX_S) },
	{ "queue-size", "N", "largest size of a queue (default 256)",
	  PV_OPTION_NUMBER_AT(BALLAST, queue_size, 2, QUEUE_SIZE_MAX) },
	{ "in-order", NULL, "offer IN_ORDER", PV_OPTION_FLAG_AT(BALLAST, is_in_order) },
	{ "no-packed", NULL, "do not offer packed queues", PV_OPTION_FLAG_AT(BALLAST, no_packed) },
	{ 0 },
};

const struct pv_option_group pv_ballast_option_group = { "Balloon", ballast_options };

/* All queues are on one loop. */
void pv_ballast_extend(struct pv_service_extent *extent, uint64_t own_loops)
{
	extent->devices++;
	extent->queues += VIRTIO_BALLOON_QUEUES;
	extent->own_loops += (unsigned int)own_loops;
	if (own_loops > 0)
		extent->queues_on_own_loops += VIRTIO_BALLOON_QUEUES;
	else
		extent->queues_with_others += VIRTIO_BALLOON_QUEUES - 1;
}

/* ---- how much ---- */

uint64_t pv_ballast_memory(const struct pv_ballast *ballast)
{
	const struct pv_mem *mem = ballast->device->mem;
	uint64_t bytes = 0;

	for (uint32_t i = 0; mem && i < mem->count; i++)
		bytes += mem->region[i].bytes;
	return bytes;
}

uint64_t pv_ballast_floor(uint64_t memory)
{
	uint64_t bytes = memory / 32 + 32 * MIB;

	return bytes < memory / 2 ? bytes : memory / 2;
}

static bool is_good(uint64_t bytes, uint64_t memory, char sentence[static PV_SENTENCE_BYTES])
{
	uint64_t least = pv_ballast_floor(memory);

	if (bytes > memory)
		return pv_sentence_wrong(sentence,
		                         "%llu bytes are more than the guest's memory of %llu",
		                         (unsigned long long)bytes, (unsigned long long)memory);
	return bytes >= least ||
	       pv_sentence_wrong(sentence,
	                         "%llu bytes are too few for the guest to live on: of a memory of "
	                         "%llu it is left %llu at least",
	                         (unsigned long long)bytes, (unsigned long long)memory,
	                         (unsigned long long)least);
}

/* What the driver is told goes by pages, rounded so that the guest has as much as was said. */
static void inflate_to(struct pv_ballast *ballast, uint64_t bytes)
{
	uint64_t balloon = pv_ballast_memory(ballast) - bytes;

	/* More than 32 bits of pages: of a machine that large the rest stays with its guest. */
	if (pv_balloon_target_set(ballast->device, balloon))
		pv_balloon_target_set(ballast->device,
		                      (uint64_t)UINT32_MAX << VIRTIO_BALLOON_PAGE_SHIFT);
}

bool pv_ballast_set_target(struct pv_ballast *ballast, uint64_t bytes,
                           char sentence[static PV_SENTENCE_BYTES])
{
	uint64_t memory = pv_ballast_memory(ballast);

	if (memory == 0)
		return pv_sentence_wrong(sentence,
		                         "there is no front-end whose memory it could be");
	if (!is_good(bytes, memory, sentence))
		return false;
	ballast->target = bytes;
	inflate_to(ballast, bytes);
	return true;
}

uint64_t pv_ballast_target(const struct pv_ballast *ballast)
{
	uint64_t memory = pv_ballast_memory(ballast), balloon = pv_balloon_target(ballast->device);

	return balloon < memory ? memory - balloon : 0;
}

/* A driver may say anything. */
uint64_t pv_ballast_actual(const struct pv_ballast *ballast)
{
	uint64_t memory = pv_ballast_memory(ballast), balloon = pv_balloon_actual(ballast->device);

	return balloon < memory ? memory - balloon : 0;
}

static void warn(const struct pv_ballast *ballast, const char *why)
{
	char line[PV_SENTENCE_BYTES + 64];

	snprintf(line, sizeof(line), "the target is not what was wished for: %s", why);
	pv_host_log(ballast->host, PV_LOG_WARNING, line);
}

/* Another front-end, or other memory of the same: the nearest that can be to what was wished for.
 */
static void memory_changed(void *arg)
{
	struct pv_ballast *ballast = arg;
	uint64_t memory = pv_ballast_memory(ballast), bytes = ballast->target;
	char why[PV_SENTENCE_BYTES];

	if (bytes == PV_OPTION_UNSET)
		bytes = memory;
	if (!is_good(bytes, memory, why)) {
		bytes = bytes > memory ? memory : pv_ballast_floor(memory);
		warn(ballast, why);
	}
	inflate_to(ballast, bytes);
}

/* ---- birth and death ---- */

static void actual_changed(void *arg)
{
	const struct pv_ballast *ballast = arg;

	if (ballast->actual_changed)
		ballast->actual_changed(ballast->arg);
}

/* Returns 0 or -errno. */
static int make_device(struct pv_ballast *ballast, const BALLAST *wanted, struct pv_export *export)
{
	const struct pv_balloon_options options = {
		.queue_size_max = (uint16_t)wanted->queue_size,
		.is_in_order = wanted->is_in_order,
		.no_packed = wanted->no_packed,
		.deflate_on_oom = wanted->deflate_on_oom,
		.reporting = wanted->reporting,
		.owner = { .actual_changed = actual_changed, .arg = ballast },
	};
	struct pv_host_options host = pv_export_host(export);
	int error;

	host.queues = VIRTIO_BALLOON_QUEUES;
	host.loops = 1;
	host.has_timers = true;
	error = pv_host_create(&ballast->host, &host);
	if (error)
		return error;
	ballast->storage = pv_device_storage(pv_balloon_bytes());
	if (!ballast->storage)
		return -ENOMEM;
	ballast->device = pv_balloon_init(ballast->storage, pv_host_port(ballast->host), &options);
	pv_balloon_stats_period_set(ballast->device, wanted->stats_interval_s * NS_PER_S);
	ballast->name = host.name;
	return pv_export_attach(export, ballast->host, ballast->device, "a memory balloon");
}

bool pv_ballast_open(struct pv_ballast *ballast, const struct pv_ballast_options *options,
                     const struct pv_export_options *export_options, struct pv_service *service,
                     char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_export *export =
		pv_service_export(service, PV_BALLAST_KIND, export_options, sentence);
	int error;

	*ballast = (struct pv_ballast){ .target = options->target };
	if (!export)
		return false;
	error = make_device(ballast, options, export);
	if (error) {
		pv_ballast_close(ballast);
		return pv_sentence_wrong(sentence, "cannot make the balloon: %s", strerror(-error));
	}
	pv_export_set_memory_listener(export, memory_changed, ballast);
	pv_sandbox_allow(PV_SANDBOX_BALLOON);
	return true;
}

void pv_ballast_close(struct pv_ballast *ballast)
{
	if (ballast->host)
		pv_host_destroy(ballast->host);
	free(ballast->storage);
	*ballast = (struct pv_ballast){ 0 };
}
