/* SPDX-License-Identifier: BSD-2-Clause */
/* The self test of a network device, as far as one can be tested that nobody answers. */
#include "drivers/net/net.h"
#include "payload/payload.h"
#include "payload/x86/interrupts.h"
#include "payload/x86/os.h"
#include "ring/err.h"

#define FRAMES     32u
#define FRAME_MAX  1514u
#define FRAME_HEAD 16u /* two addresses, a protocol, a number */
#define BURST      8u  /* of FRAMES a part */
#define RX         0u
#define TX         1u
#define TIMEOUT_NS 5000000000ull

static const uint8_t everybody[VIRTIO_NET_MAC_BYTES] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static struct scene {
	struct pv_netdrv *net;
	struct pv_netdrv_queue *rx, *tx;
	uint8_t mac[VIRTIO_NET_MAC_BYTES];
	struct pv_netdrv_packet packet[FRAMES];
	struct pv_buffer data[FRAMES];
	/* Where they are sent back: how many of ours came, of how many, all in order and intact. */
	uint32_t came, expected;
	bool is_complete;
	bool are_sound;
} scene;

/* ---- frames ---- */

static uint32_t bytes_of(uint32_t number)
{
	return number % 2 ? 60 + number : FRAME_MAX - number;
}

static uint8_t byte_of(uint32_t number, uint32_t at)
{
	return (uint8_t)(number * 31 + at * 7);
}

/* To ourselves where somebody sends it back; of a protocol that is for experiments. */
static void write_frame(uint8_t *frame, uint32_t number, const uint8_t *to)
{
	__builtin_memcpy(frame, to, VIRTIO_NET_MAC_BYTES);
	__builtin_memcpy(frame + 6, scene.mac, VIRTIO_NET_MAC_BYTES);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	frame[14] = (uint8_t)number;
	frame[15] = 0;
	for (uint32_t at = FRAME_HEAD; at < bytes_of(number); at++)
		frame[at] = byte_of(number, at);
}

static bool is_ours(const uint8_t *frame)
{
	for (uint32_t i = 0; i < VIRTIO_NET_MAC_BYTES; i++)
		if (frame[6 + i] != scene.mac[i])
			return false;
	return frame[12] == 0x88 && frame[13] == 0xb5;
}

static bool is_frame(const uint8_t *frame, uint32_t bytes, uint32_t number)
{
	if (bytes != bytes_of(number) || frame[14] != number)
		return false;
	for (uint32_t at = FRAME_HEAD; at < bytes; at++)
		if (frame[at] != byte_of(number, at))
			return false;
	return true;
}

/* What else is on a network is let by. */
static void received(struct pv_netdrv_queue *rx, const struct pv_netdrv_received *packet, void *arg)
{
	const struct pv_netdrv_buffer *buffer = packet->buffer;
	const uint8_t *frame = (const uint8_t *)buffer->memory.memory + buffer->at;

	(void)rx;
	(void)arg;
	if (packet->buffers != 1 || packet->bytes < FRAME_HEAD || !is_ours(frame))
		return;
	scene.are_sound &= scene.came < scene.expected &&
	                   is_frame(frame, packet->bytes, scene.came);
	scene.came++;
	scene.is_complete = scene.came == scene.expected;
}

/* ---- statements ---- */

static void test_commands(const struct pv_netdrv_info *info)
{
	struct pv_netdrv_command nonsense = { .command_class = 0x7f };
	uint64_t types;

	if (!info->has_control)
		return;
	payload_ok(pv_netdrv_command(scene.net, &nonsense) == -PV_EIO,
	           "a command that does not exist is refused");
	if (info->features & VIRTIO_NET_F_CTRL_RX)
		payload_ok(pv_netdrv_set_rx_mode(scene.net, VIRTIO_NET_CTRL_RX_PROMISC, true) ==
		                           0 &&
		                   pv_netdrv_set_macs(scene.net, scene.mac, 1, everybody, 1) == 0,
		           "it takes what is to be received");
	if (info->features & VIRTIO_NET_F_CTRL_VLAN)
		payload_ok(pv_netdrv_set_vlan(scene.net, 7, true) == 0 &&
		                   pv_netdrv_set_vlan(scene.net, 7, false) == 0,
		           "it takes a VLAN");
	if (info->features & VIRTIO_NET_F_CTRL_MAC_ADDR)
		payload_ok(pv_netdrv_set_mac(scene.net, scene.mac) == 0, "it takes an address");
	if (info->features & VIRTIO_NET_F_DEVICE_STATS)
		payload_ok(pv_netdrv_stats_types(scene.net, &types) == 0, "it has statistics");
}

static void prepare(uint8_t *memory, const uint8_t *to)
{
	for (uint32_t i = 0; i < FRAMES; i++) {
		uint8_t *frame =
			memory + (FRAME_MAX + PV_NETDRV_HEADROOM) * (size_t)i + PV_NETDRV_HEADROOM;

		write_frame(frame, i, to);
		scene.data[i] = (struct pv_buffer){ frame, bytes_of(i) };
		scene.packet[i] = (struct pv_netdrv_packet){ .buffer = &scene.data[i],
			                                     .buffers = 1,
			                                     .has_headroom = i % 3 > 0 };
	}
}

/* So many frames of ours are to come back, the first of them included. */
static void expect(uint32_t frames)
{
	scene.expected = frames;
	scene.is_complete = scene.came == frames;
}

static bool are_back(const struct payload_options *options)
{
	return !options->has_echo || pv_netdrv_wait(scene.rx, &scene.is_complete, TIMEOUT_NS) == 0;
}

/* Some at once; of echoes there are never more on their way than a socket takes. */
static bool are_sent(uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++)
		if (pv_netdrv_send(scene.tx, &scene.packet[i]))
			return false;
	pv_netdrv_publish(scene.tx);
	for (uint32_t i = first; i < end; i++)
		if (pv_netdrv_wait(scene.tx, &scene.packet[i].is_done, TIMEOUT_NS) ||
		    scene.packet[i].error)
			return false;
	return true;
}

static void test_frames(const struct payload_options *options)
{
	bool have_gone = true, have_come = true;

	scene.came = 0;
	for (uint32_t i = 0; i < FRAMES && have_gone && have_come; i += BURST) {
		expect(i + BURST);
		have_gone = are_sent(i, i + BURST);
		have_come = are_back(options);
	}
	payload_ok(have_gone, "frames are sent");
	if (options->has_echo)
		payload_ok(have_come && scene.are_sound, "they come back, in order and intact");
}

/* One after the other; nobody looks at the ring but when an interrupt has come. */
static bool are_announced(void)
{
	bool is_good = true;

	for (uint32_t i = 0; i < BURST && is_good; i++) {
		const uint32_t before = interrupts_of_queue(TX);

		is_good = !pv_netdrv_interrupts_on(scene.tx) &&
		          pv_netdrv_send(scene.tx, &scene.packet[i]) == 0;
		if (!is_good)
			break;
		pv_netdrv_publish(scene.tx);
		is_good = payload_sleep(TX, before, TIMEOUT_NS) &&
		          pv_netdrv_poll(scene.tx, 0) == 1 && scene.packet[i].error == 0;
	}
	pv_netdrv_interrupts_off(scene.tx);
	return is_good;
}

static void test_traffic(const struct payload_options *options)
{
	const struct pv_netdrv_info *info = pv_netdrv_info(scene.net);
	uint8_t *memory = bare_alloc((FRAME_MAX + PV_NETDRV_HEADROOM) * (size_t)FRAMES, 64);

	if (!payload_ok(memory, "there is memory for it"))
		return;
	prepare(memory, options->has_echo ? scene.mac : everybody);
	if (interrupts_are_on() && interrupts_are_apart((uint16_t)(2 * info->pairs))) {
		expect(BURST);
		payload_ok(are_announced() && are_back(options),
		           "what was sent is announced by interrupts");
	}
	test_frames(options);
	if (interrupts_are_on())
		payload_note("interrupts", interrupts_taken());
	payload_note("packets received", pv_netdrv_queue_counters(scene.rx).packets);
	payload_ok(pv_netdrv_queue_counters(scene.tx).errors == 0 &&
	                   pv_netdrv_queue_counters(scene.rx).malformed == 0,
	           "nothing of it was nonsense");
}

static void take_mac(const struct pv_netdrv_info *info)
{
	static const uint8_t chosen[VIRTIO_NET_MAC_BYTES] = { 2, 0, 0, 0, 0, 1 };

	__builtin_memcpy(scene.mac, info->has_mac ? info->mac : chosen, sizeof(scene.mac));
}

static void test_device(const struct payload_options *options)
{
	const struct pv_netdrv_info *info = pv_netdrv_info(scene.net);

	take_mac(info);
	payload_note("features", info->features);
	payload_note("pairs at most", info->pairs_max);
	payload_note("MTU", info->mtu);
	payload_note("link is up", pv_netdrv_link(scene.net).is_up);
	payload_note("link, Mbit/s", pv_netdrv_link(scene.net).speed_mbit);
	test_commands(info);
	if (pv_netdrv_link(scene.net).is_up)
		test_traffic(options);
	payload_ok(!pv_netdrv_is_broken(scene.net), "it is sound in the end");
}

void payload_test_net(struct pv_bus *bus, const struct payload_options *options)
{
	const struct pv_netdrv_options wanted = {
		.queue_size = 256,
		.own_buffer_bytes = 2048,
		.timeout_ns = TIMEOUT_NS,
		.command_timeout_ns = TIMEOUT_NS,
		.received = received,
		/* Frames come one by one: their numbers are looked for in a buffer. */
		.wanted = PV_NETDRV_FEATURES & ~(VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 |
		                                 VIRTIO_NET_F_GUEST_UFO | VIRTIO_NET_F_GUEST_USO4 |
		                                 VIRTIO_NET_F_GUEST_USO6),
	};
	int error;

	bare_forget();
	scene = (struct scene){ .are_sound = true };
	error = pv_netdrv_create(&scene.net, bus, &bare_os, &wanted);
	if (!payload_ok(error == 0, "it comes up")) {
		payload_note("error", (uint64_t)-error);
		return;
	}
	scene.rx = pv_netdrv_rx(scene.net, 0);
	scene.tx = pv_netdrv_tx(scene.net, 0);
	test_device(options);
	pv_netdrv_destroy(scene.net);
}
