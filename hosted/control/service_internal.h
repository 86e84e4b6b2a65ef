/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of a service: service.c is its life from the loops to the end, service_export.c one
 * device behind its socket, service_loops.c how many loops there are and which queue runs where,
 * service_wake.c what comes from outside: signals, and memory that shrinks.
 */
#ifndef PV_HOSTED_SERVICE_INTERNAL_H
#define PV_HOSTED_SERVICE_INTERNAL_H

#include "hosted/control/listener.h"
#include "hosted/control/pidfile.h"
#include "hosted/control/service.h"
#include "hosted/control/stats_commands.h"
#include "hosted/vhost_user/backend.h"

#define PV_SERVICE_LOOPS_MAX 256u

struct pv_export {
	struct pv_service *service;
	const char *kind;
	char *name;
	struct pv_export_options options;
	struct pv_loop **loop; /* queue i runs on loop[i % loops] */
	uint16_t loops;

	bool is_fd_listening; /* the one of --fd */
	struct pv_listener listener;
	struct pv_host *host;
	struct pv_device *device;
	char *what;
	struct pv_stats_ground ground;
	const struct pv_vhu_net_ops *net; /* NULL: it is none */
	void *net_arg;
	void (*memory_changed)(void *arg);
	void *memory_arg;
	struct pv_vhu_backend *backend;
	bool has_finished; /* the front-end of a connected --fd has left */
};

/* A data loop's thread is called data0, data1 and so on. */
#define PV_LOOP_NAME_BYTES 16

struct pv_data_loop {
	struct pv_loop *loop;
	char name[PV_LOOP_NAME_BYTES];
};

struct pv_service {
	struct pv_service_options options;
	struct pv_service_extent extent;

	struct pv_loop *control;
	struct pv_data_loop *data;
	unsigned int loops;   /* those that devices share, and then those that they do not; */
	unsigned int shared;  /* the former, ... */
	unsigned int given;   /* ... and how many of the latter have a device already */
	unsigned int threads; /* of the data loops, running */

	struct pv_export *export;
	unsigned int exports;

	int signal_fd;
	struct pv_watch *signal_watch;
	int guard_fd;
	struct pv_watch *guard_watch;

	struct pv_listener qmp_listener;
	char qmp_path[PV_LISTENER_PATH_BYTES];
	struct pv_pidfile pidfile;
	struct pv_qmp *qmp;
	struct pv_stats_device *stats_device;
	struct pv_stats_loop *stats_loop;
	struct pv_stats_commands stats;

	const char *(*status)(void *arg); /* the devices'; may be NULL */
	void *status_arg;

	const struct pv_service_guest_ops *guest; /* may be NULL */
	void *guest_arg;
	bool has_asked_guest; /* to end */

	bool is_ending;
	unsigned int running; /* what the end waits for */
};

/* service.c */
void pv_service_stopped(void *service);

/* service_export.c; is there no export's socket at this path already? */
bool pv_service_is_path_free(const struct pv_service *service, const char *option, const char *path,
                             char sentence[static PV_SENTENCE_BYTES]);
bool pv_export_open(struct pv_export *export, char sentence[static PV_SENTENCE_BYTES]);
int pv_export_start(struct pv_export *export);
/* When all are started: says what is served, and takes up a front-end that is there already. */
void pv_export_begin(struct pv_export *export);
/* The front-end's connection is left; pv_service_stopped() is called when it is. */
void pv_export_stop(struct pv_export *export);
/* Sockets, and what pv_export_start() made. */
void pv_export_close(struct pv_export *export);
void pv_export_fini(struct pv_export *export);

/* service_loops.c */
int pv_service_loops_create(struct pv_service *service);
void pv_service_loops_destroy(struct pv_service *service);
bool pv_service_loops_start(struct pv_service *service, char sentence[static PV_SENTENCE_BYTES]);
void pv_service_loops_join(struct pv_service *service);
/* Fills in `loop` and `loops` of an export. */
bool pv_export_place(struct pv_export *export, char sentence[static PV_SENTENCE_BYTES]);

/* service_wake.c: each 0 or -errno. The first before there are threads. */
int pv_service_catch_signals(struct pv_service *service);
int pv_service_guard_memory(struct pv_service *service);
void pv_service_wake_fini(struct pv_service *service);

#endif
