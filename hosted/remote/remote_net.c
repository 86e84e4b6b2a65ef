/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is a network device's own, whoever moves its frames: its address, its cable, and how many of
 * its pairs of queues are in use.
 *
 * With several pairs there is a control queue, which is served here, on the control loop, and knows
 * one command: so many pairs, which the far side is told by enabling their queues.
 */
#include <string.h>

#include "hosted/remote/remote_internal.h"
#include "ring/chain.h"

uint64_t pv_remote_net_features(const struct pv_remote *remote)
{
	const struct pv_remote_net_options *options = &remote->options.net;

	return VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | (options->mtu ? VIRTIO_NET_F_MTU : 0) |
	       (options->pairs > 1 ? VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_MQ : 0);
}

void pv_remote_net_config(const struct pv_remote *remote, struct virtio_net_config *config)
{
	const struct pv_remote_net_options *options = &remote->options.net;
	bool is_up = remote->is_link_up && !remote->is_lost;

	memset(config, 0, sizeof(*config));
	memcpy(config->mac, options->mac, sizeof(config->mac));
	config->status = pv_le16_of(is_up ? VIRTIO_NET_S_LINK_UP : 0);
	config->max_virtqueue_pairs = pv_le16_of(options->pairs);
	config->mtu = pv_le16_of(options->mtu);
}

void pv_remote_set_link(struct pv_remote *remote, bool is_up)
{
	if (remote->options.type != PV_REMOTE_NET || remote->is_link_up == is_up)
		return;
	remote->is_link_up = is_up;
	pv_device_config_changed(&remote->device);
}

/* ---- the control queue ---- */

bool pv_remote_net_is_on(const struct pv_remote *remote, uint16_t index)
{
	return remote->options.type != PV_REMOTE_NET || index / 2 < remote->pairs_on;
}

static bool turn(struct pv_remote *remote, uint16_t index, bool is_on)
{
	const struct pv_remote_queue *own = &remote->queue[index];

	if (!own->is_told || remote->is_lost)
		return true;
	if (!remote->far->ops->queue_enable(remote->far, index, is_on))
		return true;
	pv_remote_complain(remote, "no change of the pairs in use");
	pv_remote_look(remote);
	return false;
}

static bool set_pairs(struct pv_remote *remote, uint16_t pairs)
{
	bool is_good = true;

	if (pairs < 1 || pairs > remote->options.net.pairs)
		return false;
	remote->pairs_on = pairs;
	for (uint16_t i = 0; is_good && i < remote->queues; i++)
		is_good = turn(remote, i, pv_remote_net_is_on(remote, i));
	return is_good;
}

static bool carry_out(struct pv_remote *remote, const struct pv_chain *chain)
{
	struct {
		struct virtio_net_ctrl head;
		struct pv_le16 pairs;
	} command;

	struct pv_cursor from = pv_chain_reader(chain);

	_Static_assert(sizeof(command) == 4, "no gap");
	if (chain->readable_bytes != sizeof(command))
		return false;
	pv_cursor_read(&from, &command, sizeof(command));
	return command.head.command_class == VIRTIO_NET_CTRL_MQ &&
	       command.head.command == VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET &&
	       set_pairs(remote, pv_le16_get(command.pairs));
}

#define PIECES_MAX 16u

static bool run_one(struct pv_queue *queue)
{
	struct pv_remote *remote = pv_remote_of(queue->device);
	struct pv_iov iov[PIECES_MAX];
	struct pv_chain chain = { .iov = iov, .capacity = PIECES_MAX };
	uint32_t written = 0;

	if (!pv_queue_take(queue, &chain))
		return false;
	if (!chain.is_incomplete && chain.last_writable) {
		*chain.last_writable =
			(uint8_t)(carry_out(remote, &chain) ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
		written = 1;
	}
	pv_queue_return(queue, &chain, written);
	return true;
}

bool pv_remote_net_control_run(struct pv_queue *queue)
{
	bool has_worked = false;

	while (run_one(queue))
		has_worked = true;
	return has_worked;
}
