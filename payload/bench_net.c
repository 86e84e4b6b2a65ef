/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast a network device is: so many packets of a size in flight, sent, and where the other side
 * answers ("net-echo"), received; then, if each has one answer, one at a time of 64 bytes, there
 * and back.  Where each has many answers it is receiving that is measured.
 */
#include "drivers/net/net.h"
#include "payload/payload.h"
#include "payload/stopwatch.h"
#include "payload/udp.h"
#include "payload/x86/interrupts.h"
#include "payload/x86/os.h"

#define TIMEOUT_NS  STOPWATCH_LIMIT_NS
#define DEPTH_MAX   256u
#define FRAME_MAX   1514u
#define FRAME_MIN   60u
#define ROUND_BYTES 64u
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
	uint32_t answers; /* to each packet */
	uint32_t away;    /* answers that are expected */
	uint64_t sent, received, errors;
	struct stopwatch watch;
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

static uint8_t *frame_of(uint8_t *memory, uint32_t i)
{
	return memory + 64 * (size_t)i * (FRAME_MAX / 64 + 2) + PV_NETDRV_HEADROOM;
}

/* To ourselves where somebody sends it back; of a protocol that is for experiments. */
static void write_frame(uint8_t *frame, uint32_t bytes)
{
	const uint8_t *mac = pv_netdrv_info(bench.net)->mac;

	__builtin_memset(frame, bench.answers ? 0 : 0xff, bytes);
	if (bench.answers)
		__builtin_memcpy(frame, mac, VIRTIO_NET_MAC_BYTES);
	__builtin_memcpy(frame + 6, mac, VIRTIO_NET_MAC_BYTES);
	frame[12] = 0x88;
	frame[13] = 0xb5;
}

static void make_ready(uint32_t i, uint8_t *frame, uint32_t bytes)
{
	flights[i].data = (struct pv_buffer){ frame, bytes };
	flights[i].packet = (struct pv_netdrv_packet){
		.buffer = &flights[i].data, .buffers = 1, .has_headroom = true, .done = sent
	};
	idle[bench.idles++] = (uint16_t)i;
}

static void prepare(uint32_t depth, uint32_t bytes, uint8_t *memory, uint16_t udp_port)
{
	bench.idles = 0;
	for (uint32_t i = 0; i < depth; i++) {
		uint8_t *frame = frame_of(memory, i);

		write_frame(frame, bytes);
		if (udp_port)
			udp_head(frame, pv_netdrv_info(bench.net)->mac, (uint16_t)bytes, udp_port);
		make_ready(i, frame, bytes);
	}
}

/* Until nothing is idle, or as many are away as there may be. */
static void send_more(uint32_t depth)
{
	bool has_sent = false;

	while (bench.idles > 0 && (bench.away == 0 || bench.away + bench.answers <= depth)) {
		if (pv_netdrv_send(bench.tx, &flights[idle[bench.idles - 1]].packet))
			break;
		bench.idles--;
		bench.away += bench.answers;
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
	stopwatch_look(&bench.watch);
}

static bool look(void)
{
	const bool came = pv_netdrv_poll(bench.tx, 0) + pv_netdrv_poll(bench.rx, 0) > 0;

	if (!came)
		sleep(bench.answers ? bench.rx : bench.tx);
	return stopwatch_turn(&bench.watch, came);
}

/* Until the time is over and all is back, or nothing comes back any more. */
static bool run(uint32_t depth, uint64_t ms)
{
	bool is_alive = true;

	bench.sent = bench.received = bench.errors = bench.away = 0;
	stopwatch_start(&bench.watch, ms);
	while (is_alive && !stopwatch_is_over(&bench.watch)) {
		send_more(depth);
		is_alive = look();
	}
	while (is_alive && (bench.idles < depth || bench.away > 0))
		is_alive = look();
	return is_alive && bench.errors == 0;
}

/* The host is asked for its address, and knows ours when it answers. */
static bool is_known(uint8_t *memory)
{
	bench.received = 0;
	stopwatch_start(&bench.watch, 0);
	udp_arp(frame_of(memory, 0), pv_netdrv_info(bench.net)->mac);
	make_ready(0, frame_of(memory, 0), ARP_BYTES);
	if (pv_netdrv_send(bench.tx, &flights[0].packet))
		return false;
	bench.idles = 0;
	pv_netdrv_publish(bench.tx);
	while (bench.idles == 0 || bench.received == 0)
		if (!look())
			return false;
	return true;
}

/* ---- what it comes to ---- */

static const char *figure_name(void)
{
	if (bench.answers == 0)
		return "packets sent a second";
	return bench.answers == 1 ? "packets there and back a second" : "packets received a second";
}

static void report(uint32_t depth, uint32_t bytes, uint64_t took_ns)
{
	const uint64_t packets = bench.answers ? bench.received : bench.sent;

	payload_note("depth", depth);
	payload_note("bytes", bytes);
	payload_note(figure_name(), packets * SECOND / took_ns);
	payload_note("KB a second", packets * bytes / 1000 * SECOND / took_ns);
	payload_note("kicks in 1000 packets", pv_netdrv_queue_counters(bench.tx).kicks * 1000 /
	                                              (bench.sent ? bench.sent : 1));
	payload_note("interrupts in 1000 packets",
	             interrupts_taken() * 1000ull / (bench.sent ? bench.sent : 1));
}

static void bench_round_trip(uint8_t *memory, const struct payload_options *options)
{
	const uint64_t begin = clock_ns();

	prepare(1, ROUND_BYTES, memory, options->udp_port);
	payload_ok(run(1, options->ms), "single packets come back to the end");
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
	if (options->udp_port && !payload_ok(is_known(memory), "the host answers"))
		return;
	prepare(depth, frame_bytes(options), memory, options->udp_port);
	begin = clock_ns();
	payload_ok(run(depth, options->ms), "it goes on to the end");
	report(depth, frame_bytes(options), clock_ns() - begin);
	if (bench.answers == 1)
		bench_round_trip(memory, options);
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
	bench = (struct bench){ .answers = options->has_echo ? options->answers : 0 };
	if (!payload_ok(pv_netdrv_create(&bench.net, bus, &bare_os, &wanted) == 0, "it comes up"))
		return;
	bench.rx = pv_netdrv_rx(bench.net, 0);
	bench.tx = pv_netdrv_tx(bench.net, 0);
	bench_packets(options);
	pv_netdrv_destroy(bench.net);
}
