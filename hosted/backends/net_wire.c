/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/backends/net_wire_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "ring/err.h"

struct pv_gate *pv_wire_gates_create(const struct pv_net_wire_options *options,
                                     void (*opened)(void *arg, uint16_t pair), void *arg)
{
	struct pv_gate *gate = calloc(options->pairs, sizeof(*gate));

	for (uint16_t i = 0; gate && i < options->pairs; i++)
		gate[i] = (struct pv_gate){
			.loop = pv_wire_loop(options, i), .number = i, .opened = opened, .arg = arg
		};
	return gate;
}

void pv_wire_gates_destroy(struct pv_gate *gate, uint16_t pairs)
{
	for (uint16_t i = 0; gate && i < pairs; i++)
		pv_gate_fini(&gate[i]);
	free(gate);
}

static int open_kind(struct pv_wire_opening *opening)
{
	switch (opening->options->kind) {
	case PV_NET_WIRE_USER:
		return pv_wire_user_open(opening);
	case PV_NET_WIRE_TAP:
		return pv_wire_tap_open(opening);
	case PV_NET_WIRE_STREAM:
		return pv_wire_stream_open(opening);
	case PV_NET_WIRE_DGRAM:
		return pv_wire_dgram_open(opening);
	case PV_NET_WIRE_NULL:
		return pv_wire_null_open(opening);
	case PV_NET_WIRE_ECHO:
		return pv_wire_echo_open(opening);
	}
	return pv_wire_refuse(opening, -EINVAL, "no such kind of wire");
}

/* What can fail is behind us when a wire takes descriptors that were passed. */
static int open_traced(struct pv_wire_opening *opening)
{
	struct pv_wire *pcap;
	int err = pv_wire_pcap_open(opening);

	if (err)
		return err;
	pcap = opening->wire;
	err = open_kind(opening);
	if (err) {
		pcap->close(pcap);
		return err;
	}
	pv_wire_pcap_put_around(pcap, opening->wire);
	opening->wire = pcap;
	return 0;
}

int pv_net_wire_open(struct pv_net_wire **wire, const struct pv_net_wire_options *options,
                     char *error, size_t error_bytes)
{
	struct pv_wire_opening opening = { .options = options, .refusal = { error, error_bytes } };
	int err;

	pv_bug_on(options->pairs == 0 || options->loops == 0);
	err = options->pcap ? open_traced(&opening) : open_kind(&opening);
	if (err)
		return err;
	*wire = &opening.wire->net;
	return 0;
}

void pv_net_wire_close(struct pv_net_wire *net)
{
	struct pv_wire *wire = pv_wire_of(net);

	wire->close(wire);
}

/* Who knows what there is to know of a wire: the innermost. */
static const struct pv_wire *innermost(const struct pv_net_wire *net)
{
	const struct pv_wire *wire = (const struct pv_wire *)net;

	while (wire->inner)
		wire = wire->inner;
	return wire;
}

unsigned int pv_net_wire_needs(const struct pv_net_wire *net)
{
	return innermost(net)->needs;
}

const char *pv_net_wire_text(const struct pv_net_wire *net)
{
	return innermost(net)->text;
}

struct pv_net_wire_counters pv_net_wire_counters(const struct pv_net_wire *net)
{
	const struct pv_net_wire_counters *counters = &innermost(net)->counters;

	return (struct pv_net_wire_counters){
		.lost = __atomic_load_n(&counters->lost, __ATOMIC_RELAXED),
		.bad = __atomic_load_n(&counters->bad, __ATOMIC_RELAXED),
		.reconnects = __atomic_load_n(&counters->reconnects, __ATOMIC_RELAXED),
	};
}
