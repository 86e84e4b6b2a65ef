/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "tests/support/engine.h"
#include "tests/support/wire_rig.h"

#define SECONDS_AT_MOST 20u
#define BURST_MAX       64u
#define PIECES_MAX      4u

/* ---- frames ---- */

uint32_t wire_rig_frame(uint32_t number, uint32_t max, uint8_t *frame)
{
	struct pv_random random = pv_random_start(12345, number);
	uint32_t bytes = PV_NET_FRAME_MIN + pv_random_below(&random, max - PV_NET_FRAME_MIN + 1);

	for (uint32_t i = 0; i < bytes; i += 4) {
		uint32_t word = pv_random_below(&random, UINT32_MAX);

		memcpy(frame + i, &word, bytes - i < 4 ? bytes - i : 4);
	}
	/* Of one that nobody listens to, to nobody, by a protocol for experiments. */
	memcpy(frame, "\x02\xff\xff\xff\xff\x01\x02\xff\xff\xff\xff\x02\x88\xb5", 14);
	if (bytes >= 18)
		memcpy(frame + 14, &number, 4);
	return bytes;
}

/* Cuts it into pieces, and returns how many. */
static uint16_t cut(struct pv_random *random, uint8_t *frame, uint32_t bytes, struct pv_iov *iov)
{
	uint16_t pieces = 0;

	while (bytes > 0) {
		uint32_t piece = pieces == PIECES_MAX - 1 || pv_random_chance(random, 50)
		                         ? bytes
		                         : 1 + pv_random_below(random, bytes);

		iov[pieces++] = (struct pv_iov){ frame, piece };
		frame += piece;
		bytes -= piece;
	}
	return pieces;
}

/* ---- the device ---- */

static uint8_t frame_memory[BURST_MAX][PV_NET_FRAME_MAX + 8];

static bool send_burst(struct wire_rig *rig)
{
	static struct pv_iov iov[BURST_MAX][PIECES_MAX];
	struct pv_net_frame frame[BURST_MAX] = { 0 };
	uint32_t frames = 1 + pv_random_below(&rig->random, rig->burst_max);
	uint16_t sent;

	if (frames > rig->to_send - rig->sent)
		frames = rig->to_send - rig->sent;
	for (uint32_t i = 0; i < frames; i++) {
		frame[i].bytes = wire_rig_frame(rig->sent + i, rig->frame_max, frame_memory[i]);
		frame[i].iov = iov[i];
		frame[i].pieces = cut(&rig->random, frame_memory[i], frame[i].bytes, iov[i]);
	}
	sent = rig->wire->ops->send(rig->wire, rig->pair, frame, (uint16_t)frames);
	assert_true(sent <= frames);
	rig->sent += sent;
	return sent > 0;
}

bool wire_rig_send(struct wire_rig *rig, const struct virtio_net_hdr *hdr, const void *bytes,
                   uint32_t count)
{
	const struct pv_iov iov = { (void *)(uintptr_t)bytes, count };
	const struct pv_net_frame frame = {
		.hdr = hdr ? *hdr : (struct virtio_net_hdr){ 0 },
		.iov = &iov,
		.pieces = 1,
		.bytes = count,
	};

	return rig->wire->ops->send(rig->wire, rig->pair, &frame, 1) == 1;
}

/* The pieces are of a length that no frame's has anything to do with. */
uint32_t wire_rig_receive(struct wire_rig *rig, struct virtio_net_hdr *hdr, void *frame)
{
	struct pv_iov iov[8];
	uint32_t bytes, at = 0, cut_at = 1 + pv_random_below(&rig->random, 200);
	uint16_t pieces = 0;
	struct virtio_net_hdr ignored;

	for (; pieces < 7; at += cut_at)
		iov[pieces++] = (struct pv_iov){ (uint8_t *)frame + at, cut_at };
	iov[pieces++] = (struct pv_iov){ (uint8_t *)frame + at, PV_NET_FRAME_MAX - at };
	hdr = hdr ? hdr : &ignored;
	memset(hdr, 0, sizeof(*hdr));
	bytes = rig->wire->ops->receive(rig->wire, rig->pair, iov, pieces, hdr);
	assert_true(bytes == 0 || (bytes >= PV_NET_FRAME_MIN && bytes <= PV_NET_FRAME_MAX));
	return bytes;
}

static void expect(struct wire_rig *rig, const uint8_t *frame, uint32_t bytes)
{
	static uint8_t expected[PV_NET_FRAME_MAX + 8];
	uint32_t number = rig->next;

	if (rig->may_skip)
		memcpy(&number, frame + 14, 4);
	assert_true(number >= rig->next);
	assert_int_equal(wire_rig_frame(number, rig->frame_max, expected), bytes);
	assert_memory_equal(frame, expected, bytes);
	rig->next = number + 1;
}

static bool receive_some(struct wire_rig *rig)
{
	static uint8_t frame[PV_NET_FRAME_MAX];
	uint32_t before = rig->received;

	while (rig->received < rig->receive_max) {
		uint32_t bytes = wire_rig_receive(rig, NULL, frame);

		if (bytes == 0)
			break;
		expect(rig, frame, bytes);
		rig->received++;
	}
	return rig->received != before;
}

static bool poll_device(struct pv_poller *poller)
{
	struct wire_rig *rig =
		(struct wire_rig *)((char *)poller - offsetof(struct wire_rig, poller));
	bool has_worked = rig->also && rig->also(rig);

	if (rig->to_receive)
		has_worked |= receive_some(rig);
	if (rig->sent < rig->to_send)
		has_worked |= send_burst(rig);
	if (rig->sent >= rig->to_send && rig->received >= rig->to_receive)
		pv_loop_stop(rig->loop);
	return has_worked;
}

static bool arm(struct pv_poller *poller)
{
	(void)poller;
	return false;
}

static void disarm(struct pv_poller *poller)
{
	(void)poller;
}

/* ---- its life ---- */

static void bark(void *arg, int events)
{
	struct wire_rig *rig = arg;

	(void)events;
	rig->is_late = true;
	pv_loop_stop(rig->loop);
}

static void set_watchdog(struct wire_rig *rig, uint32_t ms)
{
	const struct itimerspec when = { .it_value = { ms / 1000, (long)(ms % 1000) * 1000000 } };

	rig->is_late = false;
	timerfd_settime(rig->watchdog_fd, 0, &when, NULL);
}

void wire_rig_open(struct wire_rig *rig, struct pv_net_wire_options options)
{
	const struct pv_loop_options loop_options = { .name = "test", .engine = test_engine() };
	char error[256] = "";

	*rig = (struct wire_rig){
		.poller = { .poll = poll_device, .arm = arm, .disarm = disarm },
		.random = pv_random_start(pv_random_seed(), 1),
		.frame_max = 1514,
		.burst_max = BURST_MAX,
		.receive_max = UINT32_MAX,
	};
	assert_int_equal(pv_loop_create(&rig->loop, &loop_options), 0);
	options.loop = &rig->loop;
	options.loops = 1;
	if (options.pairs == 0)
		options.pairs = 1;
	if (pv_net_wire_open(&rig->wire, &options, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	rig->watchdog_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	rig->watchdog = pv_loop_watch(rig->loop, rig->watchdog_fd, POLLIN, bark, rig);
	pv_loop_poller_add(rig->loop, &rig->poller);
}

void wire_rig_close(struct wire_rig *rig)
{
	pv_net_wire_close(rig->wire);
	/* The loop lets go of the files that it watched. */
	pv_loop_poller_remove(rig->loop, &rig->poller);
	for (int i = 0; i < 2; i++) {
		pv_loop_stop(rig->loop);
		pv_loop_run(rig->loop);
	}
	pv_loop_destroy(rig->loop);
	close(rig->watchdog_fd);
}

void wire_rig_run(struct wire_rig *rig)
{
	set_watchdog(rig, SECONDS_AT_MOST * 1000);
	pv_loop_run(rig->loop);
	if (rig->is_late)
		fail_msg("sent %u of %u, received %u of %u", rig->sent, rig->to_send, rig->received,
		         rig->to_receive);
}

void wire_rig_run_ms(struct wire_rig *rig, uint32_t ms)
{
	uint32_t to_receive = rig->to_receive;

	rig->to_receive = UINT32_MAX;
	set_watchdog(rig, ms);
	pv_loop_run(rig->loop);
	rig->to_receive = to_receive;
}
