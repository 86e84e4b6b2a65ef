/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control commands over network devices, in the shapes that QEMU gives them: set_link,
 * query-rx-filter, announce-self.  That a driver has changed what it wants to receive is told as
 * the event NIC_RX_FILTER_CHANGED, once for each device until query-rx-filter asks for it.
 */
#ifndef PV_HOSTED_NET_COMMANDS_H
#define PV_HOSTED_NET_COMMANDS_H

#include "hosted/backends/wait.h"
#include "hosted/control/nic.h"
#include "hosted/control/qmp.h"
#include "hosted/control/remote_device.h"

/* Announcements under way, of all devices or of some. */
struct pv_net_announcing {
	struct pv_timer timer;
	struct json_object *names; /* NULL: of all devices */
	uint32_t initial_ms, max_ms, step_ms;
	uint32_t rounds, round; /* in all, and how many there were */
};

/* In the caller's storage, for as long as the server lives. */
struct pv_net_commands {
	struct pv_nic *nic;
	unsigned int nics;
	const struct pv_remote_device *remote; /* of those that are networks the link can be set */
	unsigned int remotes;
	struct pv_qmp *qmp;
	struct pv_net_announcing announcing;
};

/*
 * Registers the commands, and has the server tell of changes; NULL `qmp`: it does nothing. Returns
 * false with a sentence.
 */
bool pv_net_commands_init(struct pv_net_commands *commands, struct pv_qmp *qmp,
                          struct pv_loop *control, struct pv_nic *nic, unsigned int nics,
                          char sentence[static PV_SENTENCE_BYTES]);

/* Devices that others serve, networks among them, have links too: for as long as the server lives.
 */
void pv_net_commands_add_remotes(struct pv_net_commands *commands,
                                 const struct pv_remote_device *remote, unsigned int remotes);

/* No command comes any more, and the control loop does not run. */
void pv_net_commands_fini(struct pv_net_commands *commands);

#endif
