/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a front-end asks of a network for a guest that has come here and whose driver cannot do it:
 * a frame in the guest's name, from which switches learn where its address is now.
 */
#include <string.h>

#include "hosted/control/nic_internal.h"

/* A reverse ARP request (RFC 903), padded to the length of Ethernet's shortest frame. */
#define RARP_BYTES 60u

/* Both queues of pair 0 are there. */
#define SENDING_LOOP 1u

struct rarp_frame {
	uint8_t to[VIRTIO_NET_MAC_BYTES], from[VIRTIO_NET_MAC_BYTES];
	uint8_t rest_of_head[10]; /* EtherType, kinds of addresses, their lengths, operation */
	uint8_t sender[VIRTIO_NET_MAC_BYTES], sender_ip[4];
	uint8_t target[VIRTIO_NET_MAC_BYTES], target_ip[4];
	uint8_t padding[RARP_BYTES - 42];
};

_Static_assert(sizeof(struct rarp_frame) == RARP_BYTES, "bytes alone, without gaps");

static struct rarp_frame frame_of(const uint8_t mac[static VIRTIO_NET_MAC_BYTES])
{
	static const uint8_t head[] = { 0x80, 0x35, 0, 1, 0x08, 0x00, 6, 4, 0, 3 };
	struct rarp_frame frame = { 0 };

	memset(frame.to, 0xff, sizeof(frame.to));
	memcpy(frame.from, mac, sizeof(frame.from));
	memcpy(frame.rest_of_head, head, sizeof(head));
	memcpy(frame.sender, mac, sizeof(frame.sender));
	memcpy(frame.target, mac, sizeof(frame.target));
	return frame;
}

/* The lane of pair 0. A wire that is full loses it: front-ends ask several times. */
static void send(struct pv_loop_message *message)
{
	struct pv_nic *nic =
		(struct pv_nic *)((char *)message - offsetof(struct pv_nic, rarp.message));
	struct rarp_frame frame = frame_of(nic->rarp.mac);
	const struct pv_iov iov = { (uint8_t *)&frame, sizeof(frame) };
	const struct pv_net_frame packet = { .iov = &iov, .pieces = 1, .bytes = sizeof(frame) };

	nic->wire->ops->send(nic->wire, 0, &packet, 1);
	__atomic_store_n(&nic->rarp.is_out, false, __ATOMIC_RELEASE);
}

static void send_rarp(void *arg, const uint8_t *mac)
{
	struct pv_nic *nic = arg;

	if (__atomic_load_n(&nic->rarp.is_out, __ATOMIC_ACQUIRE) || !pv_net_has_link(nic->device))
		return;
	__atomic_store_n(&nic->rarp.is_out, true, __ATOMIC_RELAXED);
	memcpy(nic->rarp.mac, mac, sizeof(nic->rarp.mac));
	nic->rarp.message.run = send;
	pv_loop_post(nic->loop[SENDING_LOOP], &nic->rarp.message);
}

static bool set_mtu(void *arg, uint16_t mtu)
{
	const struct pv_nic *nic = arg;

	return mtu >= VIRTIO_NET_MTU_MIN && mtu <= nic->mtu;
}

const struct pv_vhu_net_ops pv_nic_front_end_ops = { set_mtu, send_rarp };
