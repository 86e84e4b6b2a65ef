/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of a serial device's making: ports.c makes it, ports_life.c is the life of one port,
 * ports_keys.c reads its options.
 */
#ifndef PV_HOSTED_PORTS_INTERNAL_H
#define PV_HOSTED_PORTS_INTERNAL_H

#include "hosted/control/ports.h"

/* Puts in front of a sentence the option that it is about. Returns false. */
bool pv_ports_blame(const struct pv_ports_plan *plan, char sentence[static PV_SENTENCE_BYTES]);

/*
 * A port with its line open, in the first number that is free; the device does not know of it. NULL
 * with a sentence.
 */
struct pv_ports_port *pv_ports_port_open(struct pv_ports *ports, const struct pv_ports_plan *plan,
                                         char sentence[static PV_SENTENCE_BYTES]);

/* At the beginning, while the loop does not run: all steps at once. False with a sentence. */
bool pv_ports_port_begin(struct pv_ports_port *port, char sentence[static PV_SENTENCE_BYTES]);

/* At the end, when the loop runs no more, whatever the port was about. Frees it. */
void pv_ports_port_end(struct pv_ports_port *port);

#endif
