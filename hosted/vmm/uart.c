/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls read write poll
 */
#include "hosted/vmm/uart.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

/* Registers; the first two are the divisor while DLAB is set. */
#define DATA          0u
#define INTERRUPTS    1u
#define IDENTIFY      2u /* read */
#define FIFO_CONTROL  2u /* write */
#define LINE_CONTROL  3u
#define MODEM_CONTROL 4u
#define LINE_STATUS   5u
#define MODEM_STATUS  6u
#define SCRATCH       7u

#define ENABLE_RECEIVED    0x01u
#define ENABLE_TRANSMITTER 0x02u
#define ENABLE_MASK        0x0fu

#define IDENTIFY_NONE        0x01u
#define IDENTIFY_TRANSMITTER 0x02u
#define IDENTIFY_RECEIVED    0x04u
#define IDENTIFY_FIFOS       0xc0u

#define FIFO_ENABLE      0x01u
#define FIFO_CLEAR_INPUT 0x02u

#define LINE_DLAB 0x80u

#define MODEM_OUT2 0x08u /* lets the interrupt out */
#define MODEM_LOOP 0x10u

#define STATUS_DATA              0x01u
#define STATUS_TRANSMITTER_EMPTY 0x60u /* holding register, and all behind it */

/* Carrier, data set ready, clear to send. */
#define MODEM_CONNECTED 0xb0u

#define FLUSH_TRIES 100
#define FLUSH_MS    10

static bool has_room(const struct pv_uart *serial)
{
	/* As much as a driver sends at once when it is told that there is room. */
	return PV_SERIAL_OUT_MAX - serial->outs >= PV_SERIAL_IN_MAX;
}

static uint8_t identify(const struct pv_uart *serial)
{
	if (serial->enabled & ENABLE_RECEIVED && serial->ins > 0)
		return IDENTIFY_RECEIVED;
	if (serial->enabled & ENABLE_TRANSMITTER && !serial->is_transmitter_told &&
	    has_room(serial))
		return IDENTIFY_TRANSMITTER;
	return IDENTIFY_NONE;
}

static void update_line(struct pv_uart *serial)
{
	bool is_high = identify(serial) != IDENTIFY_NONE && serial->modem_control & MODEM_OUT2;

	if (is_high == serial->is_line_high)
		return;
	serial->is_line_high = is_high;
	serial->set_line(serial->arg, is_high);
}

/* ---- the host's end ---- */

static void write_out(struct pv_uart *serial)
{
	bool has_dropped = false;

	while (serial->outs > 0) {
		unsigned int run = PV_SERIAL_OUT_MAX - serial->out_begin;
		ssize_t done = write(serial->console->out_fd, serial->out + serial->out_begin,
		                     serial->outs < run ? serial->outs : run);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 && errno == EAGAIN && !has_dropped) {
			has_dropped = pv_console_make_room(serial->console);
			if (has_dropped)
				continue;
		}
		if (done < 0 && errno == EAGAIN)
			return;
		/* Nobody listens any more. */
		if (done < 0)
			done = (ssize_t)serial->outs;
		serial->outs -= (unsigned int)done;
		serial->out_begin = (serial->out_begin + (unsigned int)done) % PV_SERIAL_OUT_MAX;
	}
}

static void writable(void *arg, int events)
{
	struct pv_uart *serial = arg;

	(void)events;
	write_out(serial);
	update_line(serial);
}

static void read_in(struct pv_uart *serial)
{
	ssize_t got = 0;

	while (serial->ins < PV_SERIAL_IN_MAX && got >= 0) {
		got = read(serial->console->in_fd, serial->in + serial->ins,
		           PV_SERIAL_IN_MAX - serial->ins);
		if (got == 0 || (got < 0 && errno != EINTR))
			break;
		if (got > 0)
			serial->ins += (unsigned int)got;
	}
	serial->is_in_waiting = serial->ins == PV_SERIAL_IN_MAX;
	update_line(serial);
}

static void readable(void *arg, int events)
{
	if (events >= 0)
		read_in(arg);
}

/* ---- the guest's end ---- */

static uint8_t take_in(struct pv_uart *serial)
{
	uint8_t byte;

	if (serial->ins == 0)
		return 0;
	byte = serial->in[0];
	serial->ins--;
	for (unsigned int i = 0; i < serial->ins; i++)
		serial->in[i] = serial->in[i + 1];
	if (serial->ins == 0 && serial->is_in_waiting)
		read_in(serial);
	return byte;
}

static void put_in(struct pv_uart *serial, uint8_t byte)
{
	if (serial->ins < PV_SERIAL_IN_MAX)
		serial->in[serial->ins++] = byte;
}

static void send(struct pv_uart *serial, uint8_t byte)
{
	serial->is_transmitter_told = false;
	if (serial->modem_control & MODEM_LOOP) {
		put_in(serial, byte);
		return;
	}
	if (serial->console->out_fd < 0)
		return;
	/* A driver that does not ask whether there is room loses what does not fit, as on a line.
	 */
	if (serial->outs == PV_SERIAL_OUT_MAX)
		return;
	serial->out[(serial->out_begin + serial->outs++) % PV_SERIAL_OUT_MAX] = byte;
	write_out(serial);
}

static uint8_t read_identify(struct pv_uart *serial)
{
	uint8_t what = identify(serial);

	if (what == IDENTIFY_TRANSMITTER)
		serial->is_transmitter_told = true;
	return what | (serial->fifo_control & FIFO_ENABLE ? IDENTIFY_FIFOS : 0);
}

/* In loop mode the modem's inputs are its outputs (section 8.6.7 of the data sheet). */
static uint8_t modem_status(const struct pv_uart *serial)
{
	uint8_t control = serial->modem_control;

	if (!(control & MODEM_LOOP))
		return MODEM_CONNECTED;
	return (uint8_t)((control & 0x0c) << 4 | (control & 0x02) << 3 | (control & 0x01) << 5);
}

static uint8_t read_register(struct pv_uart *serial, uint64_t offset)
{
	bool is_divisor = serial->line_control & LINE_DLAB;

	switch (offset) {
	case DATA:
		return is_divisor ? (uint8_t)serial->divisor : take_in(serial);
	case INTERRUPTS:
		return is_divisor ? (uint8_t)(serial->divisor >> 8) : serial->enabled;
	case IDENTIFY:
		return read_identify(serial);
	case LINE_CONTROL:
		return serial->line_control;
	case MODEM_CONTROL:
		return serial->modem_control;
	case LINE_STATUS:
		if (!has_room(serial))
			write_out(serial);
		return (serial->ins > 0 ? STATUS_DATA : 0) |
		       (has_room(serial) ? STATUS_TRANSMITTER_EMPTY : 0);
	case MODEM_STATUS:
		return modem_status(serial);
	default:
		return serial->scratch;
	}
}

static void set_divisor(struct pv_uart *serial, unsigned int shift, uint8_t value)
{
	serial->divisor =
		(uint16_t)((serial->divisor & ~(0xffu << shift)) | (unsigned)value << shift);
}

static void write_register(struct pv_uart *serial, uint64_t offset, uint8_t value)
{
	bool is_divisor = serial->line_control & LINE_DLAB;

	switch (offset) {
	case DATA:
		if (is_divisor)
			set_divisor(serial, 0, value);
		else
			send(serial, value);
		break;
	case INTERRUPTS:
		if (is_divisor) {
			set_divisor(serial, 8, value);
			break;
		}
		/* Who asks to be told is told at once. */
		if (value & ~serial->enabled & ENABLE_TRANSMITTER)
			serial->is_transmitter_told = false;
		serial->enabled = value & ENABLE_MASK;
		break;
	case FIFO_CONTROL:
		serial->fifo_control = value;
		if (value & FIFO_CLEAR_INPUT)
			serial->ins = 0;
		break;
	case LINE_CONTROL:
		serial->line_control = value;
		break;
	case MODEM_CONTROL:
		serial->modem_control = value & 0x1f;
		break;
	case SCRATCH:
		serial->scratch = value;
		break;
	default:
		break;
	}
}

static uint64_t io_read(void *arg, uint64_t offset, unsigned int bytes)
{
	struct pv_uart *serial = arg;
	uint64_t value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value |= (uint64_t)read_register(serial, offset + i) << 8 * i;
	update_line(serial);
	return value;
}

static void io_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	struct pv_uart *serial = arg;

	for (unsigned int i = 0; i < bytes; i++)
		write_register(serial, offset + i, (uint8_t)(value >> 8 * i));
	update_line(serial);
}

const struct pv_io_ops pv_uart_io_ops = { io_read, io_write };

/* ---- its life ---- */

int pv_uart_init(struct pv_uart *serial, struct pv_loop *loop, const struct pv_console *console)
{
	int in_fd = console->in_fd, out_fd = console->out_fd;

	serial->console = console;
	pv_uart_reset(serial);
	if (in_fd >= 0 && !pv_loop_watch(loop, in_fd, POLLIN, readable, serial))
		return -ENOMEM;
	if (out_fd >= 0 && !pv_loop_watch(loop, out_fd, POLLOUT, writable, serial))
		return -ENOMEM;
	return 0;
}

void pv_uart_reset(struct pv_uart *serial)
{
	serial->enabled = serial->line_control = serial->modem_control = 0;
	serial->scratch = serial->fifo_control = 0;
	serial->divisor = 12; /* 9600 baud */
	serial->ins = 0;
	serial->is_transmitter_told = false;
	update_line(serial);
}

void pv_uart_flush(struct pv_uart *serial)
{
	struct pollfd room = { .fd = serial->console->out_fd, .events = POLLOUT };

	for (int i = 0; serial->outs > 0 && i < FLUSH_TRIES; i++) {
		write_out(serial);
		if (serial->outs > 0)
			poll(&room, 1, FLUSH_MS);
	}
}
