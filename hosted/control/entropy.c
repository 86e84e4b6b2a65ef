/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/rng/rng.h"
#include "hosted/backends/kernel_entropy.h"
#include "hosted/control/device_storage.h"
#include "hosted/control/entropy.h"

/* Small: a driver has one request out, or a few. */
#define QUEUE_SIZE 64u

#define MAX_BYTES_MAX     (1ull << 40)
#define NS_PER_MS         1000000ull
#define PERIOD_DEFAULT_MS 65536ull

#define ENTROPY struct pv_entropy_options
static const struct pv_option entropy_options[] = {
	{ "max-bytes", "SIZE", "random bytes that a guest gets in a period (default: no limit)",
	  PV_OPTION_SIZE_AT(ENTROPY, max_bytes, 1, MAX_BYTES_MAX) },
	{ "period", "MILLISECONDS", "how long that is (default 65536)",
	  PV_OPTION_NUMBER_AT(ENTROPY, period_ms, 1, UINT32_MAX) },
	{ 0 },
};

const struct pv_option_group pv_entropy_option_group = { "Entropy", entropy_options };

bool pv_entropy_parse(const char *option, struct pv_entropy_options *options, bool *is_on,
                      char *text, char sentence[static PV_SENTENCE_BYTES])
{
	return pv_options_parse_switch_and_keys(option, entropy_options, options, is_on, text,
	                                        sentence);
}

static bool is_good(const struct pv_entropy_options *options,
                    char sentence[static PV_SENTENCE_BYTES])
{
	return options->period_ms == PV_OPTION_UNSET || options->max_bytes != PV_OPTION_UNSET ||
	       pv_sentence_wrong(sentence, "a 'period' limits nothing by itself; give 'max-bytes' "
	                                   "too");
}

static struct pv_rng_options limits_of(const struct pv_entropy_options *options)
{
	struct pv_rng_options limits = { .queue_size_max = QUEUE_SIZE };

	if (options->max_bytes == PV_OPTION_UNSET)
		return limits;
	limits.max_bytes = options->max_bytes;
	limits.period_ns = NS_PER_MS * (options->period_ms == PV_OPTION_UNSET ? PERIOD_DEFAULT_MS
	                                                                      : options->period_ms);
	return limits;
}

/* In a few words, for the log. */
static void describe(const struct pv_rng_options *limits, char *text, size_t bytes)
{
	char size[PV_SIZE_TEXT_BYTES];

	if (limits->max_bytes == 0)
		snprintf(text, bytes, "random bytes");
	else
		snprintf(text, bytes, "random bytes (%s in %llu ms)",
		         pv_size_text(limits->max_bytes, size),
		         (unsigned long long)(limits->period_ns / NS_PER_MS));
}

/* Returns 0 or -errno. */
static int make_device(struct pv_entropy *entropy, const struct pv_rng_options *limits,
                       struct pv_export *export)
{
	struct pv_host_options host = pv_export_host(export);
	char what[128];
	int error;

	host.queues = PV_ENTROPY_QUEUES;
	host.has_timers = true;
	error = pv_host_create(&entropy->host, &host);
	if (error)
		return error;
	entropy->storage = pv_device_storage(pv_rng_bytes());
	if (!entropy->storage)
		return -ENOMEM;
	entropy->device = pv_rng_init(entropy->storage, pv_host_port(entropy->host),
	                              pv_kernel_entropy(), limits);
	describe(limits, what, sizeof(what));
	return pv_export_attach(export, entropy->host, entropy->device, what);
}

bool pv_entropy_open(struct pv_entropy *entropy, const struct pv_entropy_options *options,
                     const struct pv_export_options *export_options, struct pv_service *service,
                     char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_rng_options limits = limits_of(options);
	struct pv_export *export;
	int error;

	*entropy = (struct pv_entropy){ 0 };
	if (!is_good(options, sentence))
		return false;
	export = pv_service_export(service, PV_ENTROPY_KIND, export_options, sentence);
	if (!export)
		return false;
	error = make_device(entropy, &limits, export);
	if (!error)
		return true;
	pv_entropy_close(entropy);
	return pv_sentence_wrong(sentence, "cannot make the entropy device: %s", strerror(-error));
}

void pv_entropy_close(struct pv_entropy *entropy)
{
	if (entropy->host)
		pv_host_destroy(entropy->host);
	free(entropy->storage);
	*entropy = (struct pv_entropy){ 0 };
}
