/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that serves one device: what all `paravane serve DEVICE` have in common.
 *
 * It owns the control loop, which is the main thread's, and the data loops, each a thread; the
 * sockets, the vhost-user back-end on them and the QMP server; SIGTERM, SIGINT and the guard
 * against shrinking memory.  A command builds it in this order, and nothing can be seen from
 * outside before the third step:
 *
 *     pv_service_create()   loops and signals
 *     ... the device, on pv_service_host()
 *     pv_service_open()     sockets, QMP, back-end
 *     pv_service_run()      sandbox, then serving until a signal, `quit`, or the end of --fd
 *     ... end of the device
 *     pv_service_destroy()
 */
#ifndef PV_HOSTED_SERVICE_H
#define PV_HOSTED_SERVICE_H

#include "devices/core/device.h"
#include "hosted/control/options.h"
#include "hosted/control/qmp.h"
#include "hosted/loop/host.h"

/* What the options write. Start with PV_SERVICE_DEFAULTS. */
struct pv_service_options {
	const char *socket_path;
	int fd;
	const char *qmp;
	uint64_t poll_max_us;
	unsigned int engine; /* enum pv_loop_engine */
	bool no_inband;
	bool must_print_capabilities;
};

#define PV_SERVICE_DEFAULTS                                                                        \
	{                                                                                          \
		.fd = PV_OPTION_UNSET_FD, .poll_max_us = 50                                        \
	}

extern const struct pv_option_group pv_service_option_group;

struct pv_service;

/* Returns false with a sentence; nothing is left then. `name` is the device's in logs. */
bool pv_service_create(struct pv_service **service, const char *name,
                       const struct pv_service_options *options,
                       char sentence[static PV_SENTENCE_BYTES]);
void pv_service_destroy(struct pv_service *service);

/* Where to make the device: its name and loops; the number of queues is the caller's to add. */
struct pv_host_options pv_service_host(struct pv_service *service);

/* To register commands with; NULL without --qmp. */
struct pv_qmp *pv_service_qmp(const struct pv_service *service);

/* Who knows what query-status says while the service runs; without anybody it is "running". */
void pv_service_set_status(struct pv_service *service, const char *(*of_devices)(void *arg),
                           void *arg);

/*
 * Opens what the options name, for this device on this host. Returns false with a sentence; nothing
 * is left of it then.
 */
bool pv_service_open(struct pv_service *service, struct pv_host *host, struct pv_device *device,
                     char sentence[static PV_SENTENCE_BYTES]);

/*
 * Gives up privileges, says on stderr that it serves `what`, and does so until it is told to end.
 * Then the device's queues are stopped, the threads have ended, and the sockets are gone. Returns
 * false with a sentence if privileges could not be given up.
 */
bool pv_service_run(struct pv_service *service, const char *what,
                    char sentence[static PV_SENTENCE_BYTES]);

#endif
