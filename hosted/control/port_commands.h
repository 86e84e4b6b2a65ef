/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control commands over the ports of a serial device, in the shapes that QEMU gives them:
 * query-chardev, chardev-add and chardev-remove, ringbuf-read and ringbuf-write, and
 * chardev-window-size-changed.  A port and its line are one here, and have one id; chardev-add
 * takes, beside QEMU's `id` and `backend`, what the port is: `console`, `name`, `on-closed`,
 * `resize-order`.  That a driver has opened or closed a port is told as the event VSERPORT_CHANGE,
 * once a second for each at most: the newest state is always told.
 */
#ifndef PV_HOSTED_PORT_COMMANDS_H
#define PV_HOSTED_PORT_COMMANDS_H

#include "hosted/backends/wait.h"
#include "hosted/control/ports.h"
#include "hosted/control/qmp.h"

/* In the caller's storage, for as long as the server lives. */
struct pv_port_commands {
	struct pv_ports *ports;
	struct pv_qmp *qmp; /* NULL: nothing of this is in use */
	struct pv_timer timer;
	bool is_timing;
};

/*
 * Registers the commands, and has the server tell of ports that are opened and closed; NULL `qmp`:
 * it does nothing. Returns false with a sentence.
 */
bool pv_port_commands_init(struct pv_port_commands *commands, struct pv_qmp *qmp,
                           struct pv_loop *control, struct pv_ports *ports,
                           char sentence[static PV_SENTENCE_BYTES]);

/* No command comes any more, and the control loop does not run. */
void pv_port_commands_fini(struct pv_port_commands *commands);

#endif
