/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The load of `paravane bench net`: a thread for each pair of queues.
 *
 * One that sends keeps `depth` frames in the sending queue; one that expects an echo has so many on
 * their way that have not come back.  Frames may come back by another pair than they went: then the
 * sender is told by its counter `strayed`.
 */
#ifndef PV_CLI_BENCH_NET_LOAD_H
#define PV_CLI_BENCH_NET_LOAD_H

#include "drivers/net/net.h"
#include "hosted/cli/bench_frame.h"
#include "hosted/cli/bench_run.h"
#include "hosted/cli/histogram.h"

enum pv_bench_net_mode { PV_BENCH_NET_ECHO, PV_BENCH_NET_SEND, PV_BENCH_NET_RECEIVE };

/* What to do: from the options. */
struct pv_bench_net_plan {
	enum pv_bench_net_mode mode;
	uint32_t run; /* a number that no other run has, by all likelihood */
	uint32_t frame_bytes;
	uint16_t depth;
	uint16_t burst; /* frames that are published at a time, at most */
	uint16_t pairs;
	bool is_blocking;
	bool is_checking;
	uint8_t from[VIRTIO_NET_MAC_BYTES], to[VIRTIO_NET_MAC_BYTES];
};

struct pv_bench_net_load;

/* What all threads share. */
struct pv_bench_net {
	struct pv_bench_run run;
	struct pv_bench_net_plan plan;
	struct pv_netdrv *net;
	struct pv_bench_net_load **load; /* by pair */
	uint16_t loads;
	uint32_t busy; /* atomic: threads whose frames are on their way; begins as `loads` */
};

/* What one thread has measured until its first look at PV_BENCH_STOP. */
struct pv_bench_net_result {
	uint64_t sent, received; /* frames */
	uint64_t cpu_ns, ns;
	uint64_t kicks, interrupts;
	struct pv_histogram latency; /* of echoes, in ticks */

	/* With is_checking, to the end. */
	uint64_t checked;
	uint64_t lost, doubled, reordered;
	uint64_t altered; /* not as they were sent */
	uint64_t foreign; /* not sent by this program */
};

/*
 * A thread for a pair, not started; NULL after pv_bench_fail(). Frames come from the bus:
 * pv_bench_net_load_memory() says how much.
 */
struct pv_bench_net_load *pv_bench_net_load_create(struct pv_bench_net *bench, uint16_t pair);
size_t pv_bench_net_load_memory(const struct pv_bench_net_plan *plan);

struct pv_bench_worker *pv_bench_net_load_worker(struct pv_bench_net_load *load);

/* When all threads have ended. */
const struct pv_bench_net_result *pv_bench_net_load_result(struct pv_bench_net_load *load);

/* The device must be done with the frames. */
void pv_bench_net_load_destroy(struct pv_bench_net_load *load);

/* For the driver's options: a packet has come; `arg` is the struct pv_bench_net. */
void pv_bench_net_received(struct pv_netdrv_queue *rx, const struct pv_netdrv_received *packet,
                           void *arg);

#endif
