/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that serves devices: what all `paravane serve DEVICE` have in common.
 *
 * It owns the control loop, which is the main thread's, and the data loops, each a thread, which
 * all devices share; the QMP server; SIGTERM, SIGINT and the guard against shrinking memory.  Each
 * device is an *export*: a name, its place on the loops, a socket and the vhost-user back-end
 * behind it.  A command builds it in this order, and nothing can be seen from outside before the
 * sockets are there:
 *
 *     pv_service_create()   loops and signals
 *     for each device:
 *         pv_service_export()    its name, its loops
 *         ... the device, on pv_export_host()
 *         pv_export_attach()
 *     pv_service_open()     sockets, QMP: all of them or none
 *     pv_service_run()      sandbox, then serving until a signal, `quit`, or the end of --fd
 *     ... end of the devices
 *     pv_service_destroy()
 *
 * Front-ends of different exports have nothing to do with each other: one that breaks the protocol,
 * or takes back memory, loses its own connection.
 */
#ifndef PV_HOSTED_SERVICE_H
#define PV_HOSTED_SERVICE_H

#include "devices/core/device.h"
#include "hosted/control/options.h"
#include "hosted/control/qmp.h"
#include "hosted/control/stats_commands.h"
#include "hosted/loop/host.h"
#include "hosted/vhost_user/backend.h"

/*
 * What the options write: those of the whole program, and those of each device. Texts must last as
 * long as the service. Start with the DEFAULTS.
 */
struct pv_service_options {
	const char *qmp;
	const char *pidfile;
	uint64_t poll_max_us;
	unsigned int engine; /* enum pv_loop_engine */
	uint64_t loops;      /* PV_OPTION_UNSET: as many as there are processors and queues for */
};

struct pv_export_options {
	const char *name; /* NULL: its kind and a number, such as blk0 */
	/* Whose key 'id' the name is: "net"; NULL: it is what --name says. */
	const char *id_option;
	const char *socket_path;
	int fd;
	struct pv_option_list queue_loops;
	uint64_t own_loops; /* 0: it shares those of the service */
	bool no_inband;
};

#define PV_SERVICE_DEFAULTS                                                                        \
	{                                                                                          \
		.poll_max_us = 50, .loops = PV_OPTION_UNSET                                        \
	}
#define PV_EXPORT_DEFAULTS                                                                         \
	{                                                                                          \
		.fd = PV_OPTION_UNSET_FD                                                           \
	}

extern const struct pv_option_group pv_service_option_group;
extern const struct pv_option_group pv_export_option_group;

/* What the program will serve. */
struct pv_service_extent {
	bool is_for_guest;         /* exports have no sockets: pv_service_set_guest() */
	struct pv_loop_lock *lock; /* of the control side, for the guest's other threads; or NULL */
	const char *kind;          /* of most of it: "blk"; whose log lines about all are */
	unsigned int devices;
	unsigned int queues;                         /* of all devices together, ... */
	unsigned int queues_on_own_loops, own_loops; /* ... of those that share none, ... */
	unsigned int queues_with_others; /* ... and that are to run where another one does */
	unsigned int descriptors;        /* that are open beside all this */
};

struct pv_service;
struct pv_export;

/*
 * Whoever uses the devices when no sockets do: a machine in the same process. Control side.
 */
struct pv_service_guest_ops {
	/* All is made and privileges are given up: it may begin. */
	void (*begin)(void *arg);
	/* Somebody would like it to end, in its own time; who asks once more has it end at once. */
	void (*asked_to_end)(void *arg);
	/*
	 * It is to end, with the queues of all devices stopped; pv_service_guest_ended() is to be
	 * called when that is reached, perhaps from within this call.
	 */
	void (*end)(void *arg, const char *reason);
};

/* Returns false with a sentence; nothing is left then. */
bool pv_service_create(struct pv_service **service, const struct pv_service_options *options,
                       const struct pv_service_extent *extent,
                       char sentence[static PV_SENTENCE_BYTES]);
void pv_service_destroy(struct pv_service *service);

/*
 * The next of the devices, of a kind ("blk", for as long as the service lives): its name, its
 * descriptor if it was passed one, and the loops of its queues. Returns it, the service's, or NULL
 * with a sentence.
 */
struct pv_export *pv_service_export(struct pv_service *service, const char *kind,
                                    const struct pv_export_options *options,
                                    char sentence[static PV_SENTENCE_BYTES]);

/* Where to make its device: name and loops; the number of queues is the caller's to add. */
struct pv_host_options pv_export_host(const struct pv_export *export);

/*
 * The device has been made, and outlives pv_service_run(); `what` says in a few words what it is,
 * for the log. Returns 0 or -ENOMEM.
 */
int pv_export_attach(struct pv_export *export, struct pv_host *host, struct pv_device *device,
                     const char *what);

/* It is a network: what its front-end may ask of it. Before the service is opened. */
void pv_export_set_net(struct pv_export *export, const struct pv_vhu_net_ops *ops, void *arg);

/* Who is told that a front-end has brought memory, or other memory than before. The same. */
void pv_export_set_memory_listener(struct pv_export *export, void (*changed)(void *arg), void *arg);

/* What it stands on counts too. The same. */
void pv_export_set_ground(struct pv_export *export, const struct pv_stats_ground *ground);

/* To register commands with; NULL without --qmp. */
struct pv_qmp *pv_service_qmp(const struct pv_service *service);

/* Who knows what query-status says while the service runs; without anybody it is "running". */
void pv_service_set_status(struct pv_service *service, const char *(*of_devices)(void *arg),
                           void *arg);

/* Processors whose counters query-stats tells; the list lives as long as the service. */
void pv_service_set_cpus(struct pv_service *service, const struct pv_stats_cpu *cpu,
                         unsigned int cpus);

void pv_service_set_guest(struct pv_service *service, const struct pv_service_guest_ops *ops,
                          void *arg);
void pv_service_guest_ended(struct pv_service *service);

/* For the guest: the control loop, and the end of the program, for a reason that QMP has. */
struct pv_loop *pv_service_control(const struct pv_service *service);
void pv_service_end(struct pv_service *service, const char *reason);

/*
 * Opens the sockets of all exports and of QMP. Returns false with a sentence; nothing is left of it
 * then.
 */
bool pv_service_open(struct pv_service *service, char sentence[static PV_SENTENCE_BYTES]);

/*
 * Gives up privileges, says on stderr what it serves where, and does so until it is told to end.
 * Then the devices' queues are stopped, the threads have ended, and the sockets are gone. Returns
 * false with a sentence if it could not begin.
 */
bool pv_service_run(struct pv_service *service, char sentence[static PV_SENTENCE_BYTES]);

#endif
