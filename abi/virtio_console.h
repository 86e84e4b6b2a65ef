/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console device (virtio 1.3, section 5.3): features, configuration, queues and the messages of
 * the control queues. Legacy drivers have all fields in the byte order of the guest.
 */
#ifndef PV_ABI_VIRTIO_CONSOLE_H
#define PV_ABI_VIRTIO_CONSOLE_H

#include "abi/types.h"
#include "abi/virtio_features.h"

#define VIRTIO_CONSOLE_F_SIZE        VIRTIO_F_BIT(0) /* cols and rows are valid */
#define VIRTIO_CONSOLE_F_MULTIPORT   VIRTIO_F_BIT(1) /* max_nr_ports is, and there is control */
#define VIRTIO_CONSOLE_F_EMERG_WRITE VIRTIO_F_BIT(2) /* emerg_wr is */

struct virtio_console_config {
	struct pv_le16 cols; /* of port 0 */
	struct pv_le16 rows;
	struct pv_le32 max_nr_ports;
	struct pv_le32 emerg_wr; /* for the driver to write: a character, in its lowest byte */
};
PV_SIZE(struct virtio_console_config, 12);
PV_AT(struct virtio_console_config, cols, 0);
PV_AT(struct virtio_console_config, rows, 2);
PV_AT(struct virtio_console_config, max_nr_ports, 4);
PV_AT(struct virtio_console_config, emerg_wr, 8);

/* Linux knows no more; the queues of these are 1024. */
#define VIRTIO_CONSOLE_PORTS_MAX 511u

/* Queues: the control queues are third and fourth, and are there with MULTIPORT only. */
#define VIRTIO_CONSOLE_CONTROL_RECEIVEQ  2u
#define VIRTIO_CONSOLE_CONTROL_TRANSMITQ 3u

static inline uint16_t virtio_console_receiveq(uint32_t port)
{
	return (uint16_t)(port == 0 ? 0 : 2 * port + 2);
}

static inline uint16_t virtio_console_transmitq(uint32_t port)
{
	return (uint16_t)(virtio_console_receiveq(port) + 1);
}

/* Queues of a device with MULTIPORT. */
static inline uint16_t virtio_console_queues(uint32_t ports)
{
	return (uint16_t)(2 * ports + 2);
}

struct virtio_console_control {
	struct pv_le32 id;
	struct pv_le16 event; /* VIRTIO_CONSOLE_* */
	struct pv_le16 value;
};
PV_SIZE(struct virtio_console_control, 8);
PV_AT(struct virtio_console_control, id, 0);
PV_AT(struct virtio_console_control, event, 4);
PV_AT(struct virtio_console_control, value, 6);

/* By the driver: 1: it is ready to receive messages, 0: it failed. */
#define VIRTIO_CONSOLE_DEVICE_READY 0u
/* By the device. */
#define VIRTIO_CONSOLE_DEVICE_ADD    1u
#define VIRTIO_CONSOLE_DEVICE_REMOVE 2u
/* By the driver, about a port that was added: 1: it can be used, 0: it cannot. */
#define VIRTIO_CONSOLE_PORT_READY 3u
/* By the device: the port is a console. */
#define VIRTIO_CONSOLE_CONSOLE_PORT 4u
/* By the device: a struct virtio_console_resize follows. */
#define VIRTIO_CONSOLE_RESIZE 5u
/* By both: 1: somebody has opened it at the sender's end, 0: has closed it. */
#define VIRTIO_CONSOLE_PORT_OPEN 6u
/* By the device: its name follows, UTF-8, without an end. */
#define VIRTIO_CONSOLE_PORT_NAME 7u

struct virtio_console_resize {
	struct pv_le16 cols;
	struct pv_le16 rows;
};
PV_SIZE(struct virtio_console_resize, 4);
PV_AT(struct virtio_console_resize, cols, 0);
PV_AT(struct virtio_console_resize, rows, 2);

#endif
