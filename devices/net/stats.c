/* SPDX-License-Identifier: BSD-2-Clause */
/* The statistics commands of the control queue (virtio 1.3, section 5.1.6.5.8). */
#include "devices/net/internal.h"

#define MEMBERS_MAX 6u

/* A kind of statistics: of which queues, from when on, and where its members are kept. */
struct kind {
	uint8_t reply;
	enum pv_net_role role;
	uint64_t feature; /* any of them; 0: always */
	uint8_t members;
	struct member {
		enum { OF_QUEUE, OF_DEVICE, WITH_THIS_ONE, NOTHING } of;
		size_t offset;
	} member[MEMBERS_MAX];
};

#define CORE(field)                                                                                \
	{                                                                                          \
		OF_QUEUE, offsetof(struct pv_queue_counters, field)                                \
	}
#define OWN(field)                                                                                 \
	{                                                                                          \
		OF_DEVICE, offsetof(struct pv_net_counters, field)                                 \
	}
/* A command that succeeds counts itself. */
#define OWN_AND_THIS(field)                                                                        \
	{                                                                                          \
		WITH_THIS_ONE, offsetof(struct pv_net_counters, field)                             \
	}
#define NONE                                                                                       \
	{                                                                                          \
		NOTHING, 0                                                                         \
	} /* what does not happen here */
#define REPLY(kind) VIRTIO_NET_STATS_TYPE_REPLY_##kind

#define GUEST_TSO (VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6)
#define HOST_GSO  (VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_HOST_USO)

static const struct kind kinds[] = {
	{ REPLY(CVQ), PV_NET_CONTROLS, 0, 2, { OWN(commands), OWN_AND_THIS(commands_ok) } },
	{ REPLY(RX_BASIC),
	  PV_NET_RECEIVES,
	  0,
	  6,
	  { CORE(kicks), OWN(packets), OWN(bytes), CORE(interrupts), OWN(drops), OWN(overruns) } },
	{ REPLY(TX_BASIC),
	  PV_NET_SENDS,
	  0,
	  6,
	  { CORE(kicks), OWN(packets), OWN(bytes), CORE(interrupts), OWN(drops), OWN(malformed) } },
	{ REPLY(RX_CSUM),
	  PV_NET_RECEIVES,
	  VIRTIO_NET_F_GUEST_CSUM,
	  4,
	  { OWN(csum_valid), OWN(needs_csum), OWN(csum_none), NONE } },
	{ REPLY(TX_CSUM), PV_NET_SENDS, VIRTIO_NET_F_CSUM, 2, { OWN(csum_none), OWN(needs_csum) } },
	{ REPLY(RX_GSO),
	  PV_NET_RECEIVES,
	  GUEST_TSO,
	  4,
	  { OWN(gso_packets), OWN(gso_bytes), NONE, NONE } },
	{ REPLY(TX_GSO),
	  PV_NET_SENDS,
	  HOST_GSO,
	  6,
	  { OWN(gso_packets), OWN(gso_bytes), OWN(segments), OWN(segments_bytes), OWN(gso_whole),
	    OWN(gso_whole_bytes) } },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static bool is_on(const struct pv_net *net, const struct kind *kind)
{
	return kind->feature == 0 || pv_net_has(&net->device, kind->feature);
}

uint32_t pv_net_stats_query(const struct pv_net *net, struct pv_cursor *result)
{
	struct virtio_net_stats_capabilities answer;
	uint64_t types = 0;

	/* One that was not negotiated would be refused. */
	for (size_t i = 0; i < KINDS; i++)
		if (is_on(net, &kinds[i]))
			types |= VIRTIO_NET_STATS_TYPE(kinds[i].reply);
	answer.supported_stats_types[0] = pv_le64_of(types);
	return (uint32_t)pv_cursor_write(result, &answer, sizeof(answer));
}

static uint64_t value_of(const struct pv_net *net, uint16_t queue, const struct member *member)
{
	const void *counters = member->of == OF_QUEUE ? (const void *)&net->queue[queue].counters
	                                              : (const void *)&net->counters[queue];
	uint64_t value;

	if (member->of == NOTHING)
		return 0;
	value = pv_count_read((const pv_counter *)((const char *)counters + member->offset));
	return member->of == WITH_THIS_ONE ? value + 1 : value;
}

static uint32_t reply(const struct pv_net *net, uint16_t queue, const struct kind *kind,
                      struct pv_cursor *result)
{
	struct {
		struct virtio_net_stats_reply_hdr hdr;
		struct pv_le64 value[MEMBERS_MAX];
	} answer;
	size_t bytes = sizeof(answer.hdr) + sizeof(answer.value[0]) * kind->members;

	answer.hdr = (struct virtio_net_stats_reply_hdr){
		.type = kind->reply,
		.vq_index = pv_le16_of(queue),
		.size = pv_le16_of((uint16_t)bytes),
	};
	for (uint8_t i = 0; i < kind->members; i++)
		answer.value[i] = pv_le64_of(value_of(net, queue, &kind->member[i]));
	return (uint32_t)pv_cursor_write(result, &answer, bytes);
}

/* All that is asked of one queue is there for it. */
static bool is_good(const struct pv_net *net, uint16_t queue, uint64_t types)
{
	if (queue >= net->device.queues)
		return false;
	for (size_t i = 0; i < KINDS; i++)
		if (kinds[i].role == pv_net_role(&net->device, queue) && is_on(net, &kinds[i]))
			types &= ~VIRTIO_NET_STATS_TYPE(kinds[i].reply);
	return types == 0;
}

/* Is all of the question good? It is read once more for the answers, and each part of it checked
 * again then. */
static bool is_all_good(const struct pv_net *net, struct pv_cursor data, uint64_t entries)
{
	struct virtio_net_ctrl_queue_stats asked;

	for (; entries > 0; entries--) {
		pv_cursor_read(&data, &asked, sizeof(asked));
		if (!is_good(net, pv_le16_get(asked.vq_index), pv_le64_get(asked.types_bitmap[0])))
			return false;
	}
	return true;
}

bool pv_net_stats_get(struct pv_queue *queue, struct pv_cursor *data, uint64_t data_bytes,
                      struct pv_cursor *result, uint32_t *result_bytes)
{
	const struct pv_net *net = pv_net_of(queue->device);
	struct virtio_net_ctrl_queue_stats asked;

	/* For every queue each kind once: more is not meant. */
	if (data_bytes == 0 || data_bytes % sizeof(asked) ||
	    data_bytes / sizeof(asked) > net->device.queues * KINDS ||
	    !is_all_good(net, *data, data_bytes / sizeof(asked)))
		return false;
	for (; data_bytes > 0; data_bytes -= sizeof(asked)) {
		uint16_t index;

		pv_cursor_read(data, &asked, sizeof(asked));
		index = pv_le16_get(asked.vq_index);
		for (size_t i = 0; i < KINDS && is_good(net, index, 0); i++)
			if (pv_le64_get(asked.types_bitmap[0]) &
			    VIRTIO_NET_STATS_TYPE(kinds[i].reply))
				*result_bytes += reply(net, index, &kinds[i], result);
	}
	return true;
}
