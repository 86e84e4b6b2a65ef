/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/bench_command.h"

#include <stdio.h>
#include <stdlib.h>

#include "abi/virtio_features.h"
#include "hosted/cli/command.h"
#include "hosted/control/sentence.h"
#include "ring/err.h"

int pv_bench_command(const struct pv_bench_command *command, void *options, int argc, char **argv)
{
	void *const values[] = { options, options, options };
	char sentence[PV_SENTENCE_BYTES];
	const char *wrong;
	int status;

	if (!pv_cli_take(command->line, values, argc, argv, &status))
		return status;
	wrong = command->check(options);
	if (wrong)
		return pv_cli_fail(command->line, wrong);
	return command->measure(options, sentence) ? EXIT_SUCCESS
	                                           : pv_cli_fail(command->line, sentence);
}

bool pv_bench_connect(struct pv_bench_run *run, const struct pv_vhu_bus_options *wish,
                      char sentence[static PV_SENTENCE_BYTES])
{
	char error[256];

	run->are_ticks_cheap = pv_ticks_are_cheap();
	return pv_vhu_bus_create(&run->bus, wish, error, sizeof(error)) == 0 ||
	       pv_sentence_wrong(sentence, "--socket-path %s", error);
}

bool pv_bench_outcome(const struct pv_bench_run *run, char sentence[static PV_SENTENCE_BYTES])
{
	return !pv_bench_is_aborted(run) || pv_sentence_wrong(sentence, "%s", run->failure);
}

static const char *missing(uint64_t features, const struct pv_bench_need *need)
{
	if (features & VIRTIO_F_RING_PACKED)
		return "packed rings; leave out --packed";
	if (features & VIRTIO_F_IN_ORDER)
		return "IN_ORDER; leave out --in-order";
	return need && features & need->features ? need->text : "virtio 1";
}

void pv_bench_driver_failed(struct pv_bench_run *run, uint64_t required,
                            const struct pv_bench_need *need, int error)
{
	uint64_t offered = pv_vhu_frontend_features(pv_vhu_bus_frontend(run->bus));

	if (error == -PV_EFEATURES)
		pv_bench_fail(run, "the back-end does not offer %s",
		              missing(required & ~offered, need));
	else if (error == -PV_EBROKEN)
		pv_bench_fail(run, "the back-end's configuration makes no sense");
	else if (error == -PV_ENOMEM)
		pv_bench_fail(run, "no memory for the rings; a smaller --depth needs less");
	else
		pv_bench_fail(run, "the device does not start: %s", pv_vhu_bus_error(run->bus));
}
