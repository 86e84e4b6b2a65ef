/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the transports' common part have of each other: transport.c. */
#ifndef PV_DEVICES_TRANSPORT_INTERNAL_H
#define PV_DEVICES_TRANSPORT_INTERNAL_H

#include "devices/transport/transport.h"

void pv_transport_status_set(struct pv_transport *transport, uint8_t status);
void pv_transport_queue_start(struct pv_transport *transport, uint16_t queue);

#endif
