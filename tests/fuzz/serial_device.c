/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole console device under a driver by script: chains of any pieces in its queues, control
 * messages that are nearly right, lines that take and give by parts, and a user who adds and
 * removes ports and moves the device.  Lines are given memory of the guest's, and not too much; a
 * queue that has run holds nothing; a port that was removed is let go; and what was saved loads.
 */
#include <stdlib.h>
#include <string.h>

#include "devices/serial/serial.h"
#include "ring/err.h"
#include "tests/fuzz/device.h"

#define PORTS      2u
#define CALL_BYTES (1u << 20) /* that a line is given in one call */
#define MESSAGE_AT 0x300u

struct fuzz_line {
	struct pv_line line;
	size_t room, input;
	bool is_port;  /* the user wants it to be, or it is on its way out */
	bool is_going; /* ... the latter */
};

static struct fuzz_serial {
	struct fuzz_device base;
	struct fuzz_line line[PORTS];
	struct pv_serial_options options;
	bool has_others; /* the device that it moves to: other ports */
} serial;

static struct pv_device *current(void)
{
	return fuzz_device_host(&serial.base)->device;
}

/* ---- lines ---- */

static void check_pieces(const struct pv_iov *iov, uint16_t pieces)
{
	pv_bug_on(pieces == 0 || pv_iov_bytes(iov, pieces) > CALL_BYTES);
	for (uint16_t i = 0; i < pieces; i++)
		pv_bug_on(!fuzz_memory_has(&serial.base.memory, iov[i].base, iov[i].bytes));
}

static size_t line_write(struct pv_line *of, const struct pv_iov *iov, uint16_t pieces)
{
	struct fuzz_line *line = (struct fuzz_line *)of;
	size_t bytes = (size_t)pv_iov_bytes(iov, pieces);

	check_pieces(iov, pieces);
	pv_bug_on(!line->is_port || !of->has_room);
	of->has_room = bytes <= line->room;
	if (bytes > line->room)
		bytes = line->room;
	line->room -= bytes;
	return bytes;
}

static size_t line_read(struct pv_line *of, const struct pv_iov *iov, uint16_t pieces)
{
	struct fuzz_line *line = (struct fuzz_line *)of;
	size_t done = 0;

	check_pieces(iov, pieces);
	pv_bug_on(!line->is_port || !of->has_input);
	for (uint16_t i = 0; i < pieces && done < line->input; i++) {
		size_t left = line->input - done;
		size_t bytes = iov[i].bytes < left ? iov[i].bytes : left;

		memset(iov[i].base, 0x5a, bytes);
		done += bytes;
	}
	line->input -= done;
	of->has_input = line->input > 0;
	return done;
}

static void line_emergency(struct pv_line *of, uint8_t byte)
{
	(void)byte;
	pv_bug_on(!((struct fuzz_line *)of)->is_port);
}

static const struct pv_line_ops line_ops = { line_write, line_read, line_emergency };

/* Something happens at its other end. */
static void change_line(struct fuzz_input *input)
{
	const uint8_t what = fuzz_u8(input);
	struct fuzz_line *line = &serial.line[what % PORTS];

	switch (what / PORTS % 4) {
	case 0:
		line->room = fuzz_u16(input);
		line->line.has_room = true;
		return;
	case 1:
		line->input += fuzz_u16(input);
		pv_line_set_input(&line->line, line->input > 0);
		return;
	case 2:
		line->line.is_open = !line->line.is_open;
		break;
	default:
		line->line.columns = fuzz_u8(input);
		line->line.rows = fuzz_u8(input);
		break;
	}
	pv_line_tell_changed(&line->line);
}

/* ---- ports ---- */

static void was_removed(void *arg)
{
	struct fuzz_line *line = arg;

	pv_bug_on(!line->is_going || line->line.user);
	line->is_port = line->is_going = false;
}

static void add_port(uint16_t index, bool is_console)
{
	struct fuzz_line *line = &serial.line[index];
	const struct pv_serial_port port = { .line = &line->line,
		                             .name = is_console ? NULL : "fuzz",
		                             .is_console = is_console };
	int err = pv_serial_add_port(current(), index, &port);

	pv_bug_on(err != (line->is_port ? -PV_EBUSY : 0));
	line->is_port = true;
}

static void remove_port(uint16_t index)
{
	struct fuzz_line *line = &serial.line[index];
	bool was_port = line->is_port, was_going = line->is_going;
	int err;

	if (was_port)
		line->is_going = true;
	err = pv_serial_remove_port(current(), index, (struct pv_waiter){ was_removed, line });
	pv_bug_on(err != (!was_port ? -PV_EINVAL : was_going ? -PV_EBUSY : 0));
}

/* ---- birth and death ---- */

static void make(struct fuzz_host *made)
{
	*made = fuzz_host_of(fuzz_storage(pv_serial_bytes(&serial.options)));
	made->device = pv_serial_init(made->storage, &made->port, &serial.options);
	pv_device_mem_set(made->device, serial.base.memory.mem);
}

/* Which way the pieces go that a driver of good will puts there. */
static bool is_for_writing(uint16_t queue, uint16_t piece, uint16_t pieces)
{
	(void)piece;
	(void)pieces;
	return queue % 2 == 0;
}

static const struct fuzz_device_kind kind = {
	.make = make,
	.is_for_writing = is_for_writing,
	.places = { FUZZ_LOW_GPA, FUZZ_LOW_GPA, FUZZ_HIGH_GPA + 0x600, FUZZ_TOP_GPA, FUZZ_RING_GPA,
	            FUZZ_TINY_GPA, FUZZ_HIGH_GPA, 0x7000000000000000u },
	.step = 4u,
};

static void add_first_port(void)
{
	add_port(0, true);
}

static void open_serial(struct fuzz_input *input)
{
	const uint8_t bits = fuzz_u8(input);

	memset(&serial, 0, sizeof(serial));
	serial.base.kind = &kind;
	fuzz_memory_open(&serial.base.memory);
	for (uint32_t i = 0; i < PORTS; i++)
		serial.line[i].line.ops = &line_ops;
	serial.options = (struct pv_serial_options){ .ports_max = PORTS,
		                                     .queue_size_max = FUZZ_SIZE,
		                                     .is_in_order = bits & 1 };
	if (bits & 2) {
		serial.options.is_single = true;
		serial.options.ports_max = 1;
	}
	serial.base.refused = bits & 4 ? VIRTIO_F_RING_PACKED : 0;
	serial.base.refused |= bits & 8 ? VIRTIO_CONSOLE_F_MULTIPORT : 0;
	serial.base.refused |= bits & 16 ? VIRTIO_F_EVENT_IDX : 0;
	fuzz_device_open(&serial.base, add_first_port);
}

static void close_serial(void)
{
	fuzz_host_close(fuzz_device_host(&serial.base));
	fuzz_memory_close(&serial.base.memory);
}

/* ---- the driver ---- */

/* Buffers and bytes as a driver of good will has them. */
static void put_something(struct fuzz_input *input)
{
	const uint8_t what = fuzz_u8(input);
	const uint16_t queue = what % current()->queues;
	const struct fuzz_piece piece = { FUZZ_TOP_GPA, 1 + fuzz_u16(input) % FUZZ_TOP_BYTES,
		                          queue % 2 == 0 };

	fuzz_device_put(&serial.base, queue, &piece, 1);
}

static void say_message(struct fuzz_input *input)
{
	const uint8_t what = fuzz_u8(input), which = fuzz_u8(input);
	const struct virtio_console_control message = { pv_le32_of(which % (PORTS + 1)),
		                                        pv_le16_of(what % 8),
		                                        pv_le16_of(what / 8 % 3) };
	const struct fuzz_piece piece = { FUZZ_LOW_GPA + MESSAGE_AT,
		                          which & 0x80 ? which % 16u : (uint32_t)sizeof(message),
		                          false };

	memcpy(serial.base.memory.host[1] + MESSAGE_AT, &message, sizeof(message));
	if (VIRTIO_CONSOLE_CONTROL_TRANSMITQ < current()->queues)
		fuzz_device_put(&serial.base, VIRTIO_CONSOLE_CONTROL_TRANSMITQ, &piece, 1);
}

static void run(void)
{
	fuzz_host_run(fuzz_device_host(&serial.base));
	fuzz_device_expect_rest(&serial.base);
	for (uint32_t i = 0; i < PORTS; i++)
		pv_bug_on(serial.line[i].is_going);
}

/* ---- the user ---- */

/* The ports that are there go along, or the other ones. */
static void add_ports_again(void)
{
	for (uint16_t i = 0; i < serial.options.ports_max; i++) {
		struct fuzz_line *line = &serial.line[i];
		bool is_wanted = line->is_port != serial.has_others;

		line->line.user = NULL;
		line->is_port = false;
		if (is_wanted)
			add_port(i, i == 0);
	}
}

static void interfere(struct fuzz_input *input)
{
	const uint8_t what = fuzz_u8(input);
	const struct pv_le32 value = pv_le32_of(what);
	const uint16_t index = (what / 8) % serial.options.ports_max;

	switch (what % 8) {
	case 0:
	case 1:
		if (!serial.line[index].is_going)
			add_port(index, what & 64);
		break;
	case 2:
	case 3:
		remove_port(index);
		break;
	case 4:
		fuzz_device_restart(&serial.base);
		break;
	case 5:
	case 6:
		serial.has_others = what & 128;
		fuzz_device_move(&serial.base, what & 1 ? input : NULL, add_ports_again);
		break;
	default:
		pv_device_config_write(current(), 8, &value, sizeof(value));
		break;
	}
}

static void step(struct fuzz_input *input)
{
	switch (fuzz_u8(input) % 8) {
	case 0:
		fuzz_device_put_any(&serial.base, input);
		break;
	case 1:
		put_something(input);
		break;
	case 2:
		say_message(input);
		break;
	case 3:
		change_line(input);
		break;
	case 4:
		interfere(input);
		break;
	case 5:
		fuzz_memory_scribble(&serial.base.memory, input);
		break;
	default:
		run();
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = { data, bytes };

	open_serial(&input);
	while (input.bytes > 0)
		step(&input);
	close_serial();
	return 0;
}
