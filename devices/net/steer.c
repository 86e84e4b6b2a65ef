/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which receiving queue a frame goes to, where it is for the device to choose (virtio 1.3,
 * sections 5.1.6.5.5 and 5.1.6.5.6): by the hash where the driver has said how; otherwise to the
 * pair that the driver last sent on for the same flow.  Flows are told apart by a sum that is the
 * same in both directions, and share places in a table; who shares one is in the same queue, that
 * is all.
 */
#include "devices/net/headers.h"
#include "devices/net/internal.h"

#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_IPV6 0x86ddu
#define ETHERTYPE_VLAN 0x8100u

#define PROTOCOL_TCP 6u
#define PROTOCOL_UDP 17u

/* The sum of both ports. */
static uint32_t ports(const uint8_t *head, size_t bytes, size_t at, uint8_t protocol)
{
	if ((protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP) || at + 4 > bytes)
		return 0;
	return (uint32_t)pv_net_get16(head + at) + pv_net_get16(head + at + 2);
}

static uint32_t flow_ipv4(const uint8_t *head, size_t bytes, size_t at)
{
	size_t ihl;

	if (at + 20 > bytes)
		return 0;
	ihl = 4u * (head[at] & 15u);
	/* Fragments but the first have no ports. */
	if (pv_net_get16(head + at + 6) & 0x3fff)
		return pv_net_get32(head + at + 12) + pv_net_get32(head + at + 16);
	return pv_net_get32(head + at + 12) + pv_net_get32(head + at + 16) +
	       ports(head, bytes, at + ihl, head[at + 9]);
}

static uint32_t flow_ipv6(const uint8_t *head, size_t bytes, size_t at)
{
	uint32_t sum = 0;

	if (at + 40 > bytes)
		return 0;
	for (size_t i = 8; i < 40; i += 4)
		sum += pv_net_get32(head + at + i);
	return sum + ports(head, bytes, at + 40, head[at + 6]);
}

/* 0: no flow. */
static uint32_t flow_of(const uint8_t *head, size_t bytes)
{
	uint16_t type = pv_net_get16(head + 12);
	size_t at = 14;

	if (type == ETHERTYPE_VLAN && bytes >= 18) {
		type = pv_net_get16(head + 16);
		at = 18;
	}
	if (type == ETHERTYPE_IPV4)
		return flow_ipv4(head, bytes, at);
	if (type == ETHERTYPE_IPV6)
		return flow_ipv6(head, bytes, at);
	return 0;
}

static uint32_t place_of(uint32_t flow)
{
	return flow * 2654435761u >> (32 - PV_NET_FLOWS_SHIFT);
}

void pv_net_steer_sent(struct pv_net *net, const struct pv_net_frame *frame, uint16_t pair)
{
	struct pv_cursor reader = { frame->iov, frame->pieces, 0 };
	uint8_t head[PV_NET_FLOW_LOOKS_AT];
	size_t bytes = pv_cursor_read(&reader, head, sizeof(head));
	uint32_t flow = bytes >= PV_NET_FRAME_MIN ? flow_of(head, bytes) : 0;

	/* A pair more: 0 is nobody's. */
	if (flow)
		__atomic_store_n(&net->flow[place_of(flow)], (uint16_t)(pair + 1u),
		                 __ATOMIC_RELAXED);
}

static uint16_t by_flow(struct pv_net *net, uint16_t pairs, const uint8_t *head, size_t bytes)
{
	uint32_t flow = flow_of(head, bytes);
	uint16_t sent_on = 0;

	if (flow)
		sent_on = __atomic_load_n(&net->flow[place_of(flow)], __ATOMIC_RELAXED);
	if (sent_on > 0 && sent_on <= pairs)
		return (uint16_t)(sent_on - 1);
	return flow ? (uint16_t)(place_of(flow) % pairs) : 0;
}

static uint16_t by_hash(const struct pv_net_steering *steering,
                        const struct pv_net_arrival *arrival)
{
	if (arrival->hash_report == VIRTIO_NET_HASH_REPORT_NONE)
		return steering->unclassified;
	return steering->table[arrival->hash_value & steering->mask & (PV_NET_RSS_TABLE_MAX - 1)];
}

uint16_t pv_net_steer(struct pv_net *net, const struct pv_net_receiver *receiver,
                      const struct pv_net_arrival *arrival, const uint8_t *head, size_t bytes)
{
	const struct pv_net_rules *rules = &receiver->rules;

	if (rules->steering.is_on)
		return by_hash(&rules->steering, arrival);
	return by_flow(net, rules->pairs, head, bytes);
}
