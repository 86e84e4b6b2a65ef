/* SPDX-License-Identifier: BSD-2-Clause */
/* The statistics that a device keeps (section 5.1.6.5.10), as far as they make sense. */
#include "drivers/net/internal.h"
#include "ring/err.h"

int pv_netdrv_stats_types(struct pv_netdrv *net, uint64_t *types)
{
	struct virtio_net_stats_capabilities answer;
	struct pv_netdrv_command command = { .command_class = VIRTIO_NET_CTRL_STATS,
		                             .command = VIRTIO_NET_CTRL_STATS_QUERY,
		                             .answer = &answer,
		                             .answer_bytes = sizeof(answer) };
	int error;

	if (!(net->info.features & VIRTIO_NET_F_DEVICE_STATS))
		return -PV_ENOTSUP;
	error = pv_netdrv_command(net, &command);
	if (error)
		return error;
	if (command.answered_bytes < sizeof(answer))
		return -PV_EIO;
	*types = pv_le64_get(answer.supported_stats_types[0]);
	return 0;
}

/* The bytes of a reply, of which at most `bytes` are there; 0 for one that was not asked for. */
static uint32_t reply_bytes(const uint8_t *reply, uint32_t bytes, uint16_t index, uint64_t types)
{
	struct virtio_net_stats_reply_hdr header;
	uint32_t size;

	if (bytes < sizeof(header))
		return 0;
	__builtin_memcpy(&header, reply, sizeof(header));
	size = pv_le16_get(header.size);
	if (size < sizeof(header) || size > bytes || pv_le16_get(header.vq_index) != index)
		return 0;
	return header.type < 64 && types & VIRTIO_NET_STATS_TYPE(header.type) ? size : 0;
}

int pv_netdrv_stats(struct pv_netdrv *net, uint16_t index, uint64_t types, void *to,
                    uint32_t *bytes)
{
	const struct virtio_net_ctrl_queue_stats data = {
		.vq_index = pv_le16_of(index),
		.types_bitmap = { pv_le64_of(types) },
	};
	struct pv_netdrv_command command = { .command_class = VIRTIO_NET_CTRL_STATS,
		                             .command = VIRTIO_NET_CTRL_STATS_GET,
		                             .data = &data,
		                             .bytes = sizeof(data),
		                             .answer = to,
		                             .answer_bytes = *bytes };
	uint32_t at = 0, size;
	int error;

	*bytes = 0;
	if (!(net->info.features & VIRTIO_NET_F_DEVICE_STATS))
		return -PV_ENOTSUP;
	error = pv_netdrv_command(net, &command);
	if (error)
		return error;
	while ((size = reply_bytes((const uint8_t *)to + at, command.answered_bytes - at, index,
	                           types)) > 0)
		at += size;
	*bytes = at;
	return 0;
}
