/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast a network device is: so many packets of a size in flight, sent, and where the other side
 * sends them back ("net-echo"), received; then one at a time of 64 bytes, there and back.
 */
#include "drivers/net/net.h"
#include "payload/payload.h"
#include "payload/x86/interrupts.h"
#include "payload/x86/os.h"

#define TIMEOUT_NS  10000000000ull
#define DEPTH_MAX   256u
#define FRAME_MAX   1514u
#define FRAME_MIN   60u
#define ROUND_BYTES 64u
#define MS          1000000ull
#define SECOND      1000000000ull

struct flight {
	struct pv_netdrv_packet packet;
	struct pv_buffer data;
};

static struct flight flights[DEPTH_MAX];
static uint16_t idle[DEPTH_MAX];

static struct bench {
	struct pv_netdrv *net;
	struct pv_netdrv_queue *rx, *tx;
	uint32_t idles;
	uint32_t away; /* echoes that are expected */
	uint64_t sent, received, errors;
	uint64_t last_ns; /* when something came of it */
} bench;

static void sent(struct pv_netdrv_packet *packet)
{
	bench.sent++;
	bench.errors += packet->error != 0;
	idle[bench.idles++] = (uint16_t)((struct flight *)packet - flights);
}

static void received(struct pv_netdrv_queue *rx, const struct pv_netdrv_received *packet, void *arg)
{
	(void)rx;
	(void)packet;
	(void)arg;
	bench.received++;
	if (bench.away > 0)
		bench.away--;
}

/* ---- frames ---- */

static void prepare(uint32_t depth, uint32_t bytes, uint8_t *memory, bool has_echo)
{
	const uint8_t *mac = pv_netdrv_info(bench.net)->mac;

	bench.idles = 0;
	for (uint32_t i = 0; i < depth; i++) {
		uint8_t *frame =
			memory + 64 * (size_t)i * (FRAME_MAX / 64 + 2) + PV_NETDRV_HEADROOM;

		__builtin_memset(frame, has_echo ? 0 : 0xff, bytes);
		if (has_echo)
			__builtin_memcpy(frame, mac, VIRTIO_NET_MAC_BYTES);
		__builtin_memcpy(frame + 6, mac, VIRTIO_NET_MAC_BYTES);
		frame[12] = 0x88;
		frame[13] = 0xb5;
		flights[i].data = (struct pv_buffer){ frame, bytes };
		flights[i].packet = (struct pv_netdrv_packet){
			.buffer = &flights[i].data, .buffers = 1, .has_headroom = true, .done = sent
		};
		idle[bench.idles++] = (uint16_t)i;
	}
}

/* Until nothing is idle, or as many are away as there may be. */
static void send_more(uint32_t depth, bool has_echo)
{
	bool has_sent = false;

	while (bench.idles > 0 && (!has_echo || bench.away < depth)) {
		if (pv_netdrv_send(bench.tx, &flights[idle[bench.idles - 1]].packet))
			break;
		bench.idles--;
		bench.away += has_echo;
		has_sent = true;
	}
	if (has_sent)
		pv_netdrv_publish(bench.tx);
}

/* Where interrupts are to be waited for, by the queue that the next thing comes by. */
static void sleep(struct pv_netdrv_queue *queue)
{
	if (!interrupts_are_on())
		return;
	if (!pv_netdrv_interrupts_on(queue))
		interrupts_sleep(TIMEOUT_NS);
	pv_netdrv_interrupts_off(queue);
}

static bool look(bool has_echo)
{
	const uint32_t done = pv_netdrv_poll(bench.tx, 0) + pv_netdrv_poll(bench.rx, 0);

	if (done > 0)
		bench.last_ns = clock_ns();
	else
		sleep(has_echo ? bench.rx : bench.tx);
	return clock_ns() - bench.last_ns < TIMEOUT_NS;
}

/* Until the time is over and all is back, or nothing comes back any more. */
static bool run(uint32_t depth, uint64_t ms, bool has_echo)
{
	const uint64_t end_ns = clock_ns() + ms * MS;
	bool is_alive = true;

	bench.sent = bench.received = bench.errors = bench.away = 0;
	bench.last_ns = clock_ns();
	while (is_alive && clock_ns() < end_ns) {
		send_more(depth, has_echo);
		is_alive = look(has_echo);
	}
	while (is_alive && (bench.idles < depth || bench.away > 0))
		is_alive = look(has_echo);
	return is_alive && bench.errors == 0;
}

/* ---- what it comes to ---- */

static void report(uint32_t depth, uint32_t bytes, uint64_t took_ns, bool has_echo)
{
	const uint64_t packets = has_echo ? bench.received : bench.sent;

	payload_note("depth", depth);
	payload_note("bytes", bytes);
	payload_note(has_echo ? "packets there and back a second" : "packets sent a second",
	             packets * SECOND / took_ns);
	payload_note("KB a second", packets * bytes / 1000 * SECOND / took_ns);
	payload_note("kicks in 1000 packets", pv_netdrv_queue_counters(bench.tx).kicks * 1000 /
	                                              (bench.sent ? bench.sent : 1));
	payload_note("interrupts in 1000 packets",
	             interrupts_taken() * 1000ull / (bench.sent ? bench.sent : 1));
}

static void bench_round_trip(uint8_t *memory, uint64_t ms)
{
	const uint64_t begin = clock_ns();

	prepare(1, ROUND_BYTES, memory, true);
	payload_ok(run(1, ms, true), "single packets come back to the end");
	payload_note("a round trip of 64 bytes, ns",
	             (clock_ns() - begin) / (bench.received ? bench.received : 1));
}

static uint32_t frame_bytes(const struct payload_options *options)
{
	if (options->bytes < FRAME_MIN)
		return FRAME_MIN;
	return options->bytes < FRAME_MAX ? options->bytes : FRAME_MAX;
}

static void bench_packets(const struct payload_options *options)
{
	const uint32_t depth = options->depth < DEPTH_MAX ? options->depth : DEPTH_MAX;
	uint8_t *memory = bare_alloc(64 * (size_t)DEPTH_MAX * (FRAME_MAX / 64 + 2), 64);
	uint64_t begin;

	if (!payload_ok(memory && depth > 0, "there is memory for it, and a depth"))
		return;
	prepare(depth, frame_bytes(options), memory, options->has_echo);
	begin = clock_ns();
	payload_ok(run(depth, options->ms, options->has_echo), "it goes on to the end");
	report(depth, frame_bytes(options), clock_ns() - begin, options->has_echo);
	if (options->has_echo)
		bench_round_trip(memory, options->ms);
}

void payload_bench_net(struct pv_bus *bus, const struct payload_options *options)
{
	/* As a kernel's driver that wants packets as they are. */
	const struct pv_netdrv_options wanted = {
		.wanted = PV_DRIVER_FEATURES | VIRTIO_F_ANY_LAYOUT | VIRTIO_NET_F_MAC |
		          VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MRG_RXBUF,
		.queue_size = 256,
		.own_buffer_bytes = 2048,
		.timeout_ns = TIMEOUT_NS,
		.received = received,
	};

	bare_forget();
	bench = (struct bench){ 0 };
	if (!payload_ok(pv_netdrv_create(&bench.net, bus, &bare_os, &wanted) == 0, "it comes up"))
		return;
	bench.rx = pv_netdrv_rx(bench.net, 0);
	bench.tx = pv_netdrv_tx(bench.net, 0);
	bench_packets(options);
	pv_netdrv_destroy(bench.net);
}
