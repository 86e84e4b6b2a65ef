/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the transports' common part have of each other: transport.c. */
#ifndef PV_DEVICES_TRANSPORT_INTERNAL_H
#define PV_DEVICES_TRANSPORT_INTERNAL_H

#include "devices/transport/transport.h"

void pv_transport_status_set(struct pv_transport *transport, uint8_t status);
void pv_transport_queue_start(struct pv_transport *transport, uint16_t queue);

/*
 * Of modern transports: kicks may carry where the driver's next buffers will be (section 2.9). The
 * device has no use for it, but takes it. Before the driver has seen anything.
 */
void pv_transport_offer_notification_data(struct pv_transport *transport);

#endif
