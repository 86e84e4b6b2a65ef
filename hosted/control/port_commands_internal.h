/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of the commands over ports: port_commands.c has those of ports that are there, and the
 * event, port_plug.c chardev-add and chardev-remove, port_ring.c those of ring buffers.
 */
#ifndef PV_HOSTED_PORT_COMMANDS_INTERNAL_H
#define PV_HOSTED_PORT_COMMANDS_INTERNAL_H

#include "hosted/control/port_commands.h"

/* The port that an argument names; NULL, and the request has failed. */
struct pv_ports_port *pv_port_of(struct pv_qmp_request *request,
                                 const struct pv_port_commands *commands,
                                 struct json_object *arguments, const char *argument);

/* port_plug.c */
void pv_port_chardev_add(struct pv_qmp_request *request, void *arg, struct json_object *arguments);
void pv_port_chardev_remove(struct pv_qmp_request *request, void *arg,
                            struct json_object *arguments);

/* port_ring.c */
void pv_port_ring_read(struct pv_qmp_request *request, void *arg, struct json_object *arguments);
void pv_port_ring_write(struct pv_qmp_request *request, void *arg, struct json_object *arguments);

#endif
