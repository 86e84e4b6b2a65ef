/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/remote/remote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/virtio_blk.h"
#include "abi/virtio_ids.h"
#include "hosted/remote/remote_internal.h"
#include "ring/err.h"

/* Those of the ring that the far side can bring in; a queue's reset is our own doing. */
#define RING_FEATURES                                                                              \
	(VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED | \
	 VIRTIO_F_IN_ORDER)

#define BLK_FEATURES                                                                               \
	(VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_GEOMETRY | VIRTIO_BLK_F_RO |  \
	 VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_TOPOLOGY |                      \
	 VIRTIO_BLK_F_CONFIG_WCE | VIRTIO_BLK_F_MQ | VIRTIO_BLK_F_DISCARD |                        \
	 VIRTIO_BLK_F_WRITE_ZEROES | VIRTIO_BLK_F_LIFETIME | VIRTIO_BLK_F_SECURE_ERASE)

/* What needs no word of the driver's on the control queue of the far side, which it does not have.
 */
#define NET_FEATURES                                                                               \
	(VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 |                   \
	 VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_GUEST_ECN | VIRTIO_NET_F_GUEST_UFO |               \
	 VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_HOST_ECN |                 \
	 VIRTIO_NET_F_HOST_UFO | VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_GUEST_USO4 |                \
	 VIRTIO_NET_F_GUEST_USO6 | VIRTIO_NET_F_HOST_USO | VIRTIO_NET_F_GUEST_HDRLEN)

static const struct pv_remote_kind kinds[] = {
	[PV_REMOTE_RNG] = { .id = VIRTIO_ID_ENTROPY, .is_in_order = true, .is_stateless = true },
	[PV_REMOTE_BLK] = { .id = VIRTIO_ID_BLOCK,
	                    .config_bytes = sizeof(struct virtio_blk_config),
	                    .features = BLK_FEATURES,
	                    .min_config_bytes = sizeof(struct pv_le64) },
	[PV_REMOTE_NET] = { .id = VIRTIO_ID_NET,
	                    .config_bytes = sizeof(struct virtio_net_config),
	                    .features = NET_FEATURES,
	                    .own_features = VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS |
	                                    VIRTIO_NET_F_CTRL_VQ,
	                    .is_in_order = true,
	                    .is_stateless = true },
};

void pv_remote_complain(const struct pv_remote *remote, const char *what)
{
	char line[PV_FAR_SENTENCE_BYTES + 64];

	snprintf(line, sizeof(line), "%s: %s", what, remote->far->ops->error(remote->far));
	pv_host_log(remote->host, PV_LOG_WARNING, line);
}

/* ---- features ---- */

static uint64_t features(const struct pv_device *device)
{
	const struct pv_remote *remote = pv_remote_of(device);
	uint64_t offered = remote->far->features & remote->kind->features;

	if (remote->options.type == PV_REMOTE_NET)
		offered |= pv_remote_net_features(remote);
	return offered;
}

/* ---- configuration ---- */

static bool has_far_config(const struct pv_remote *remote)
{
	return remote->kind->min_config_bytes > 0;
}

/* There are fewer queues here than the far side may have. */
static void limit_queues(struct pv_remote *remote)
{
	const size_t at = offsetof(struct virtio_blk_config, num_queues);

	if (remote->options.type != PV_REMOTE_BLK)
		return;
	remote->config[at] = (uint8_t)remote->queues;
	remote->config[at + 1] = (uint8_t)(remote->queues >> 8);
}

/* A far side that is older has less of it, and says no to more. */
int pv_remote_config_fetch(struct pv_remote *remote)
{
	uint32_t bytes = remote->kind->config_bytes;
	uint8_t config[VHOST_USER_CONFIG_BYTES] = { 0 };
	int error;

	if (!has_far_config(remote))
		return 0;
	do {
		error = remote->far->ops->config_get(remote->far, config, bytes);
		bytes -= 4;
	} while (error == -EREMOTEIO && bytes >= remote->kind->min_config_bytes);
	if (error)
		return error;
	memcpy(remote->config, config, sizeof(config));
	limit_queues(remote);
	return 0;
}

static void config_read(const struct pv_device *device, uint16_t offset, void *to, uint16_t bytes)
{
	const struct pv_remote *remote = pv_remote_of(device);
	struct virtio_net_config net;

	if (has_far_config(remote)) {
		memcpy(to, remote->config + offset, bytes);
		return;
	}
	pv_remote_net_config(remote, &net);
	memcpy(to, (const uint8_t *)&net + offset, bytes);
}

static int config_write(struct pv_device *device, uint16_t offset, const void *from, uint16_t bytes)
{
	struct pv_remote *remote = pv_remote_of(device);
	int error;

	if (!has_far_config(remote))
		return -PV_ENOTSUP;
	error = remote->far->ops->config_set(remote->far, offset, from, bytes);
	if (error) {
		pv_remote_look(remote);
		return -PV_ENOTSUP;
	}
	memcpy(remote->config + offset, from, bytes);
	return 0;
}

/* ---- queues ---- */

static int queue_start(struct pv_queue *queue)
{
	return queue->is_elsewhere ? pv_remote_queue_check(queue) : 0;
}

static void queue_stop(struct pv_queue *queue)
{
	(void)queue;
}

/* ---- the whole ---- */

static void reset(struct pv_device *device)
{
	struct pv_remote *remote = pv_remote_of(device);

	if (remote->is_begun && !remote->is_lost && remote->far->ops->reset(remote->far)) {
		pv_remote_complain(remote, "no reset");
		pv_remote_look(remote);
	}
	remote->is_begun = remote->is_going_on = false;
	remote->pairs_on = 1;
}

static void save(const struct pv_device *device, struct pv_state_writer *to)
{
	pv_state_put_u16(to, pv_remote_of(device)->pairs_on);
}

static int load(struct pv_device *device, struct pv_state_reader *from, uint16_t version)
{
	struct pv_remote *remote = pv_remote_of(device);

	(void)version;
	remote->pairs_on = pv_state_get_u16(from);
	return pv_state_check(from, remote->pairs_on >= 1 &&
	                                    remote->pairs_on <= remote->options.net.pairs)
	               ? 0
	               : -PV_ESTATE;
}

bool pv_remote_can_be_saved(const struct pv_remote *remote,
                            char sentence[static PV_FAR_SENTENCE_BYTES])
{
	if (remote->kind->is_stateless)
		return true;
	snprintf(sentence, PV_FAR_SENTENCE_BYTES,
	         "what the back-end of the device keeps to itself cannot be moved from here");
	return false;
}

static const struct pv_virtio_ops virtio_ops = {
	.features = features,
	.config_read = config_read,
	.config_write = config_write,
	.queue_start = queue_start,
	.queue_run = pv_remote_net_control_run,
	.queue_stop = queue_stop,
};

/* What its queues do is counted where they are. */
static const struct pv_counter_name no_counters[] = { { 0 } };

static const struct pv_device_ops device_ops = {
	.name = "remote",
	.reset = reset,
	.state_version = 1,
	.save = save,
	.load = load,
	.counter_names = no_counters,
};

/* ---- birth and death ---- */

static bool has_control_queue(const struct pv_remote_options *options)
{
	return options->type == PV_REMOTE_NET && options->net.pairs > 1;
}

uint16_t pv_remote_queues_wanted(const struct pv_remote_options *options)
{
	return options->type == PV_REMOTE_NET ? (uint16_t)(2 * options->net.pairs)
	                                      : options->queues;
}

/* A far side that knows of one queue of a network device means a pair: that was looked at. */
static uint16_t queues_elsewhere(const struct pv_remote_options *options, const struct pv_far *far)
{
	uint16_t wanted = pv_remote_queues_wanted(options);

	return options->type == PV_REMOTE_NET || wanted < far->queues ? wanted : far->queues;
}

uint16_t pv_remote_queues(const struct pv_remote_options *options, const struct pv_far *far)
{
	return (uint16_t)(queues_elsewhere(options, far) + has_control_queue(options));
}

static const char *what_is_wrong(const struct pv_remote_options *options, const struct pv_far *far)
{
	if (!(far->features & VIRTIO_F_VERSION_1))
		return "the back-end is of before virtio 1.0";
	if (options->type == PV_REMOTE_NET && options->net.pairs > far->queues)
		return "the back-end has not so many pairs of queues";
	return NULL;
}

static void init_device(struct pv_remote *remote)
{
	const uint64_t ring_features = (remote->far->features & RING_FEATURES) |
	                               VIRTIO_F_RING_RESET;
	uint16_t queues = pv_remote_queues(&remote->options, remote->far);

	remote->ops = device_ops;
	remote->virtio = virtio_ops;
	remote->virtio.id = remote->kind->id;
	remote->virtio.config_bytes = remote->kind->config_bytes;
	remote->ops.virtio = &remote->virtio;
	pv_device_init(&remote->device, &remote->ops, pv_host_port(remote->host), ring_features,
	               remote->device_queue, queues, remote->options.queue_size_max);
	for (uint16_t i = 0; i < remote->queues; i++)
		remote->device_queue[i].is_elsewhere = true;
}

static bool allocate(struct pv_remote *remote)
{
	size_t queues = pv_remote_queues(&remote->options, remote->far);

	remote->queue = calloc(remote->queues, sizeof(*remote->queue));
	remote->device_queue =
		aligned_alloc(_Alignof(struct pv_queue), queues * sizeof(struct pv_queue));
	if (!remote->queue || !remote->device_queue)
		return false;
	memset(remote->device_queue, 0, queues * sizeof(struct pv_queue));
	for (uint16_t i = 0; i < remote->queues; i++)
		remote->queue[i] = (struct pv_remote_queue){ remote, -1, -1, -1, NULL, false };
	return true;
}

static int open_all(struct pv_remote *remote)
{
	int error = pv_remote_config_fetch(remote);

	if (!error)
		error = pv_remote_queues_open(remote);
	return error ? error : pv_remote_link_open(remote);
}

static int make(struct pv_remote *remote, char sentence[static PV_FAR_SENTENCE_BYTES])
{
	const char *wrong = what_is_wrong(&remote->options, remote->far);
	int error;

	if (wrong) {
		snprintf(sentence, PV_FAR_SENTENCE_BYTES, "%s", wrong);
		return -ENOTSUP;
	}
	if (!allocate(remote)) {
		snprintf(sentence, PV_FAR_SENTENCE_BYTES, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	init_device(remote);
	error = open_all(remote);
	if (error)
		snprintf(sentence, PV_FAR_SENTENCE_BYTES, "%s",
		         remote->far->ops->error(remote->far)[0]
		                 ? remote->far->ops->error(remote->far)
		                 : strerror(-error));
	return error;
}

int pv_remote_create(struct pv_remote **created, const struct pv_remote_options *options,
                     struct pv_far *far, struct pv_host *host, struct pv_loop *control,
                     char sentence[static PV_FAR_SENTENCE_BYTES])
{
	struct pv_remote *remote = calloc(1, sizeof(*remote));
	int error;

	if (!remote) {
		snprintf(sentence, PV_FAR_SENTENCE_BYTES, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	remote->options = *options;
	remote->kind = &kinds[options->type];
	remote->host = host;
	remote->control = control;
	remote->far = far;
	remote->memory.fd = remote->error_fd = remote->timer_fd = -1;
	remote->queues = queues_elsewhere(options, far);
	remote->is_link_up = true;
	remote->pairs_on = 1;
	error = make(remote, sentence);
	if (error) {
		remote->far = NULL;
		pv_remote_destroy(remote);
		return error;
	}
	*created = remote;
	return 0;
}

void pv_remote_destroy(struct pv_remote *remote)
{
	pv_remote_link_close(remote);
	if (remote->queue)
		pv_remote_queues_close(remote);
	if (remote->far)
		remote->far->ops->destroy(remote->far);
	free(remote->queue);
	free(remote->device_queue);
	free(remote);
}

struct pv_device *pv_remote_device(struct pv_remote *remote)
{
	return &remote->device;
}

void pv_remote_set_memory(struct pv_remote *remote, int fd, const uint8_t *base)
{
	remote->memory.fd = fd;
	remote->memory.base = base;
}

bool pv_remote_is_connected(const struct pv_remote *remote)
{
	return !remote->is_lost;
}
