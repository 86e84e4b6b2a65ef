/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A 16550 (National Semiconductor PC16550D) for early consoles: registers, two FIFOs, and the
 * host's end of the line.
 *
 * What the guest sends is kept until the host takes it; when there is no more room the transmitter
 * is not empty, so that the guest waits, and nothing is lost, unless the console would rather drop
 * what nobody reads.  What comes from the host is taken as fast as the guest reads it.
 */
#ifndef PV_HOSTED_VMM_UART_H
#define PV_HOSTED_VMM_UART_H

#include "hosted/loop/loop.h"
#include "hosted/vmm/console.h"
#include "hosted/vmm/io.h"

#define PV_SERIAL_PORTS   8u
#define PV_SERIAL_OUT_MAX 4096u
#define PV_SERIAL_IN_MAX  16u

struct pv_uart {
	/* Pulls the interrupt's line. */
	void (*set_line)(void *arg, bool is_high);
	void *arg;
	const struct pv_console *console;
	bool is_in_waiting; /* more than fits is there to be read */

	uint8_t enabled, line_control, modem_control, scratch, fifo_control;
	uint16_t divisor;
	bool is_transmitter_told; /* "empty" was said by an interrupt, or was not asked for */
	bool is_line_high;

	uint8_t in[PV_SERIAL_IN_MAX];
	unsigned int ins;
	uint8_t out[PV_SERIAL_OUT_MAX];
	unsigned int out_begin, outs;
};

extern const struct pv_io_ops pv_uart_io_ops;

/*
 * Control side. The console stays the caller's, and is watched as long as there is the loop.
 * Returns 0 or -ENOMEM.
 */
int pv_uart_init(struct pv_uart *serial, struct pv_loop *loop, const struct pv_console *console);

/* As when the power came on; what was sent already is still written. */
void pv_uart_reset(struct pv_uart *serial);

/* Writes what is left, as far as that can be done without waiting long. */
void pv_uart_flush(struct pv_uart *serial);

#endif
