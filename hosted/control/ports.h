/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A serial device with its ports, the line of each, and its host, built from command-line options:
 * what `serve serial` puts behind a socket, and a machine on a bus.
 *
 * A port is the value of one option, console|name=NAME,LINE[,KEY=VALUE...]: ports_keys.c has its
 * keys, ports_options.c those of the device.  Ports get their numbers in the order in which they
 * are given; later ones, which control commands add, the lowest that is free.
 *
 * All queues and all lines are on one loop.  A port that comes while the loop runs is opened here,
 * started there, and then shown to the device; one that goes takes these steps in the other order.
 */
#ifndef PV_HOSTED_PORTS_H
#define PV_HOSTED_PORTS_H

#include "devices/serial/serial.h"
#include "hosted/backends/line.h"
#include "hosted/control/options.h"
#include "hosted/control/service.h"

/* vhost-user names a queue in eight bits, and two queues are for control. */
#define PV_PORTS_MAX 127u

#define PV_PORTS_KIND "serial"

#define PV_PORTS_RECONNECT_MS_MAX 3600000u

/* The device. Start with PV_PORTS_DEFAULTS: UML wants queues of 256. */
struct pv_ports_options {
	uint64_t ports_max;
	uint64_t queue_size;
	bool is_in_order;
	bool no_packed;
	bool no_multiport;
	bool may_plug; /* control commands may add ports that open files, terminals and sockets */
};

#define PV_PORTS_DEFAULTS                                                                          \
	{                                                                                          \
		.ports_max = 31, .queue_size = 256                                                 \
	}

extern const struct pv_option_group pv_ports_option_group;

/* What no bound of one option can say. False with a sentence. */
bool pv_ports_options_check(const struct pv_ports_options *options,
                            char sentence[static PV_SENTENCE_BYTES]);

/* A port that is wanted; texts are the caller's. Start with pv_ports_plan_defaults(). */
struct pv_ports_plan {
	const char *option; /* no key: what it is the value of; NULL: of none */

	/* the port */
	bool is_console;
	const char *name;          /* the guest's; NULL: none */
	const char *id;            /* in control commands; NULL: its name, or console0 and so on */
	unsigned int resize_order; /* 1: legacy */
	uint64_t columns, rows;

	/* its line, one of these */
	const char *pty; /* a link to it, or "" */
	bool is_stdio;
	const char *socket;
	int fd;
	const char *tcp; /* "HOST:PORT"; it is written to */
	const char *file;
	const char *pipe;
	const char *ringbuf; /* its size, or "" */
	bool is_null, is_echo;

	/* more about it */
	bool is_server;
	uint64_t reconnect_ms;
	bool is_appending;
	const char *on_closed; /* NULL: a console keeps something, others wait */

	/* No keys: what follows from them, by pv_ports_plan_check(). */
	struct pv_line_options line;
};

struct pv_ports_plan pv_ports_plan_defaults(void);

/* The keys, for --help; ended by NULL. */
extern const struct pv_option_group *const pv_ports_key_groups[];

/* What goes with what, and the line that follows. False with a sentence. */
bool pv_ports_plan_check(struct pv_ports_plan *plan, char sentence[static PV_SENTENCE_BYTES]);

/*
 * Takes in the value of an option, which is changed, and checks it; texts point into it. False with
 * a sentence that names `option`.
 */
bool pv_ports_parse(const char *option, struct pv_ports_plan *plan, char *text,
                    char sentence[static PV_SENTENCE_BYTES]);

/*
 * The same for all of an option's texts, which are those of one device. Returns the plans, the
 * caller's to free; NULL with a sentence.
 */
struct pv_ports_plan *pv_ports_parse_all(const char *option, const struct pv_option_texts *texts,
                                         char sentence[static PV_SENTENCE_BYTES]);

/* Adds what it needs to the extent of a service; `own_loops` are those of its export. */
void pv_ports_extend(struct pv_service_extent *extent, const struct pv_ports_options *options,
                     uint64_t own_loops);

/* Told once, on the control side: NULL when it is done, or a sentence of why it is not. */
struct pv_ports_waiter {
	void (*call)(void *arg, const char *sentence);
	void *arg;
};

enum pv_ports_state {
	PV_PORTS_STARTING, /* its line is being started on the loop */
	PV_PORTS_THERE,
	PV_PORTS_LEAVING, /* the device lets go of it, then its line is stopped on the loop */
};

#define PV_PORTS_ID_BYTES 64u

/* For who tells others when the driver opens and closes a port. */
struct pv_ports_news {
	bool was_open; /* as was told last */
	bool is_due;   /* something may have to be told after a while */
};

struct pv_ports_port {
	struct pv_ports *ports;
	uint16_t number;
	enum pv_ports_state state;
	char id[PV_PORTS_ID_BYTES];
	char name[PV_SERIAL_NAME_MAX + 1]; /* empty: none */
	bool is_console;
	bool has_legacy_resize;
	enum pv_line_kind kind;
	struct pv_line *line;
	struct pv_ports_waiter waiter;
	struct pv_ports_news news;

	/* Between the two sides, who have it by turns. */
	struct pv_loop_message message;
	bool is_started; /* the line */
	int error;
};

struct pv_ports {
	const char *name; /* in control commands */
	struct pv_service *service;
	struct pv_loop *loop, *control;
	struct pv_host *host;
	struct pv_device *device;
	void *storage;               /* the device's */
	struct pv_ports_port **port; /* by number; NULL: there is none */
	uint16_t ports_max;
	bool may_plug;
	struct pv_loop_message escape; /* the user of the terminal wants the end of it */
	bool has_escaped;              /* atomic */

	/* Control side: the driver opened or closed a port. The caller's to set; may be NULL. */
	void (*guest_changed)(void *arg, uint16_t port, bool is_open);
	void *guest_arg;
};

/*
 * Opens the lines and makes the device, an export of the service whose loops do not run yet.
 * `ports` stays where it is until it is closed. Returns false with a sentence that names the key at
 * fault; nothing is left then.
 */
bool pv_ports_open(struct pv_ports *ports, const struct pv_ports_options *options,
                   const struct pv_ports_plan *plan, unsigned int plans,
                   const struct pv_export_options *export, struct pv_service *service,
                   char sentence[static PV_SENTENCE_BYTES]);

/*
 * Its queues are stopped and the loops' threads have ended, but the loops are there, and the
 * service, whose QMP is as well: who waits is told. One that was not opened is all zero, and may be
 * closed.
 */
void pv_ports_close(struct pv_ports *ports);

/* ---- control side, while the service runs ---- */

/* The port of that id; NULL: there is none. */
struct pv_ports_port *pv_ports_find(const struct pv_ports *ports, const char *id);

/*
 * Adds one, by a plan that was checked. Returns it, and `waiter` is told later; or NULL with a
 * sentence, and it is not.
 */
struct pv_ports_port *pv_ports_add(struct pv_ports *ports, const struct pv_ports_plan *plan,
                                   struct pv_ports_waiter waiter,
                                   char sentence[static PV_SENTENCE_BYTES]);

/* Removes one that is there; `waiter` is told, perhaps from within this call. False with a
 * sentence. */
bool pv_ports_remove(struct pv_ports_port *port, struct pv_ports_waiter waiter,
                     char sentence[static PV_SENTENCE_BYTES]);

#endif
