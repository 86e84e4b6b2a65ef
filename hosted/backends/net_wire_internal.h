/* SPDX-License-Identifier: BSD-2-Clause */
/* Within hosted/backends: the kinds of wires. */
#ifndef PV_HOSTED_NET_WIRE_INTERNAL_H
#define PV_HOSTED_NET_WIRE_INTERNAL_H

#include <stddef.h>
#include <string.h>

#include "hosted/backends/net_wire.h"
#include "hosted/backends/refuse.h"
#include "hosted/backends/socket.h"
#include "hosted/backends/wait.h"

/* What all kinds have in common, and begin with. */
struct pv_wire {
	struct pv_net_wire net;
	void (*close)(struct pv_wire *wire);
	struct pv_wire *inner;                /* around which it is, or NULL */
	struct pv_net_wire_counters counters; /* relaxed atomics */
	unsigned int needs;                   /* PV_NET_WIRE_NEEDS_* */
	char text[128];
};

/*
 * What a kind's opening works with. It allocates its wire, fills in `net`, `close` and `text`, and
 * returns it in `wire`; or returns -errno and puts a sentence into `refusal`.
 */
struct pv_wire_opening {
	const struct pv_net_wire_options *options;
	struct pv_wire *wire;
	struct pv_refusal refusal;
};

/* The wire that traces; then, which cannot fail, around another one, which it will close. */
int pv_wire_pcap_open(struct pv_wire_opening *opening);
void pv_wire_pcap_put_around(struct pv_wire *pcap, struct pv_wire *inner);

int pv_wire_user_open(struct pv_wire_opening *opening);
int pv_wire_tap_open(struct pv_wire_opening *opening);
int pv_wire_stream_open(struct pv_wire_opening *opening);
int pv_wire_dgram_open(struct pv_wire_opening *opening);
int pv_wire_null_open(struct pv_wire_opening *opening);
int pv_wire_echo_open(struct pv_wire_opening *opening);

/* Writes the sentence. Returns `err`. */
#define pv_wire_refuse(opening, ...) pv_refuse(&(opening)->refusal, __VA_ARGS__)

/* The loop of a pair's lanes. */
static inline struct pv_loop *pv_wire_loop(const struct pv_net_wire_options *options, uint16_t pair)
{
	return options->loop[pair % options->loops];
}

static inline struct pv_wire *pv_wire_of(struct pv_net_wire *net)
{
	return (struct pv_wire *)net;
}

/* Any thread. */
static inline void pv_wire_count(uint64_t *counter, uint64_t more)
{
	__atomic_fetch_add(counter, more, __ATOMIC_RELAXED);
}

/* An array of gates, one for each pair, open. NULL without memory. */
struct pv_gate *pv_wire_gates_create(const struct pv_net_wire_options *options,
                                     void (*opened)(void *arg, uint16_t pair), void *arg);
void pv_wire_gates_destroy(struct pv_gate *gate, uint16_t pairs);

/* ---- frames ---- */

/* More pieces than any device cuts a frame into. */
#define PV_WIRE_PIECES_MAX 256u

/* Copies a frame together. `to` has room for its bytes. */
static inline void pv_wire_gather(void *to, const struct pv_net_frame *frame)
{
	struct pv_cursor from = { frame->iov, frame->pieces, 0 };

	if (__builtin_expect(frame->iov[0].bytes >= frame->bytes, 1))
		memcpy(to, frame->iov[0].base, frame->bytes);
	else
		pv_cursor_read(&from, to, frame->bytes);
}

/* Copies a frame to the pieces, which have room for it. */
static inline void pv_wire_scatter(const struct pv_iov *iov, uint16_t pieces, const void *from,
                                   uint32_t bytes)
{
	struct pv_cursor to = { iov, pieces, 0 };

	if (__builtin_expect(iov[0].bytes >= bytes, 1))
		memcpy(iov[0].base, from, bytes);
	else
		pv_cursor_write(&to, from, bytes);
}

#endif
