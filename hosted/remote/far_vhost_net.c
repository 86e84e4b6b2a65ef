/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The far side is the kernel: vhost, with a tap device behind it.
 *
 * Each pair of queues has a vhost device of its own, with one end of the tap, and a thread in the
 * kernel. The kernel is no peer to be wary of, and is never gone.
 *
 * #syscalls ioctl close
 */
#include <errno.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "abi/vhost_kernel.h"
#include "abi/virtio_features.h"
#include "abi/virtio_net.h"
#include "hosted/remote/far.h"

#define PAIRS_MAX 32u

struct pair {
	int tap_fd, vhost_fd;
	bool is_running[2]; /* its two queues */
};

struct far {
	struct pv_far far;
	char sentence[PV_FAR_SENTENCE_BYTES];
	uint64_t kernel_features;
	uint16_t pairs;
	struct pair pair[];
};

static struct far *of(struct pv_far *far)
{
	return (struct far *)far;
}

/* ---- asking the kernel ---- */

static int ask(struct far *far, uint16_t index, unsigned long request, const void *what,
               const char *name)
{
	int code;

	if (ioctl(far->pair[index / 2].vhost_fd, request, what) == 0)
		return 0;
	code = -errno;
	snprintf(far->sentence, sizeof(far->sentence), "vhost: %s: %s", name, strerror(-code));
	return code;
}

#define ASK(far, index, request, what) ask(far, index, request, what, #request)

static int ask_all(struct far *far, unsigned long request, const void *what, const char *name)
{
	int code = 0;

	for (uint16_t i = 0; !code && i < far->pairs; i++)
		code = ask(far, (uint16_t)(2 * i), request, what, name);
	return code;
}

/* ---- the device ---- */

static int tell_memory(struct far *far, const struct pv_mem *table)
{
	struct vhost_memory *memory =
		calloc(1, sizeof(*memory) + table->count * sizeof(memory->region[0]));
	int code;

	if (!memory)
		return -ENOMEM;
	memory->count = table->count;
	for (uint32_t i = 0; i < table->count; i++) {
		const struct pv_region *region = &table->region[i];

		memory->region[i] = (struct vhost_memory_region){
			.guest_addr = region->gpa.v,
			.bytes = region->bytes,
			.user_addr = (uintptr_t)region->host,
		};
	}
	code = ask_all(far, VHOST_SET_MEM_TABLE, memory, "VHOST_SET_MEM_TABLE");
	free(memory);
	return code;
}

/*
 * What the tap does, and vhost passes on as it is: it takes frames that the driver has left
 * unfinished, and may leave frames so for a driver that can do with that.
 */
#define TAP_FEATURES                                                                               \
	(VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 |                     \
	 VIRTIO_NET_F_HOST_ECN | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 |               \
	 VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_GUEST_ECN)

static int set_offloads(struct far *far, uint64_t features)
{
	unsigned long offloads = (features & VIRTIO_NET_F_GUEST_CSUM ? TUN_F_CSUM : 0) |
	                         (features & VIRTIO_NET_F_GUEST_TSO4 ? TUN_F_TSO4 : 0) |
	                         (features & VIRTIO_NET_F_GUEST_TSO6 ? TUN_F_TSO6 : 0) |
	                         (features & VIRTIO_NET_F_GUEST_ECN ? TUN_F_TSO_ECN : 0);

	for (uint16_t i = 0; i < far->pairs; i++) {
		int code = ioctl(far->pair[i].tap_fd, TUNSETOFFLOAD, offloads) < 0 ? -errno : 0;

		if (!code)
			continue;
		snprintf(far->sentence, sizeof(far->sentence), "tap: TUNSETOFFLOAD: %s",
		         strerror(-code));
		return code;
	}
	return 0;
}

static int begin(struct pv_far *far, uint64_t features, const struct pv_far_memory *memory,
                 bool is_again)
{
	struct far *own = of(far);
	const uint64_t kept = features & own->kernel_features;
	int code = ask_all(own, VHOST_SET_FEATURES, &kept, "VHOST_SET_FEATURES");

	(void)is_again;
	if (!code)
		code = set_offloads(own, features);
	return code ? code : tell_memory(own, memory->table);
}

static int reset(struct pv_far *far)
{
	(void)far;
	return 0;
}

/* ---- queues ---- */

/* What makes it run, or not: the tap. */
static int set_tap(struct far *far, uint16_t index, int fd)
{
	const struct vhost_vring_file file = { .index = index % 2, .fd = fd };
	int code = ASK(far, index, VHOST_NET_SET_BACKEND, &file);

	if (!code)
		far->pair[index / 2].is_running[index % 2] = fd >= 0;
	return code;
}

static int set_file(struct far *far, uint16_t index, unsigned long request, int fd,
                    const char *name)
{
	const struct vhost_vring_file file = { .index = index % 2, .fd = fd };

	return ask(far, index, request, &file, name);
}

static int set_place(struct far *far, uint16_t index, const struct pv_vhu_vring *vring)
{
	const struct vhost_user_vring_state size = { .index = index % 2, .num = vring->size };
	const struct vhost_user_vring_state base = { .index = index % 2, .num = vring->base };
	const struct vhost_user_vring_addr addr = {
		.index = index % 2,
		.desc = vring->desc,
		.used = vring->used,
		.avail = vring->avail,
	};
	int code = ASK(far, index, VHOST_SET_VRING_NUM, &size);

	if (!code)
		code = ASK(far, index, VHOST_SET_VRING_BASE, &base);
	return code ? code : ASK(far, index, VHOST_SET_VRING_ADDR, &addr);
}

static int queue_start(struct pv_far *far, uint16_t index, const struct pv_vhu_vring *vring)
{
	struct far *own = of(far);
	int code = set_place(own, index, vring);

	if (!code)
		code = set_file(own, index, VHOST_SET_VRING_KICK, vring->kick_fd,
		                "VHOST_SET_VRING_KICK");
	if (!code)
		code = set_file(own, index, VHOST_SET_VRING_CALL, vring->call_fd,
		                "VHOST_SET_VRING_CALL");
	if (!code)
		code = set_file(own, index, VHOST_SET_VRING_ERR, vring->err_fd,
		                "VHOST_SET_VRING_ERR");
	return code ? code : set_tap(own, index, own->pair[index / 2].tap_fd);
}

static int queue_stop(struct pv_far *far, uint16_t index, uint32_t *base)
{
	struct far *own = of(far);
	struct vhost_user_vring_state state = { .index = index % 2 };
	int code = set_tap(own, index, -1);

	if (!code)
		code = ASK(own, index, VHOST_GET_VRING_BASE, &state);
	*base = state.num;
	return code;
}

static int queue_call(struct pv_far *far, uint16_t index, int fd)
{
	return set_file(of(far), index, VHOST_SET_VRING_CALL, fd, "VHOST_SET_VRING_CALL");
}

static int queue_enable(struct pv_far *far, uint16_t index, bool is_enabled)
{
	struct far *own = of(far);

	if (own->pair[index / 2].is_running[index % 2] == is_enabled)
		return 0;
	return set_tap(own, index, is_enabled ? own->pair[index / 2].tap_fd : -1);
}

/* ---- the rest ---- */

static bool is_gone(struct pv_far *far)
{
	(void)far;
	return false;
}

static uint32_t config_changes(const struct pv_far *far)
{
	(void)far;
	return 0;
}

static void descriptors(const struct pv_far *far, int fd[2])
{
	(void)far;
	fd[0] = fd[1] = -1;
}

static int reconnect(struct pv_far *far)
{
	(void)far;
	return -ENOTSUP;
}

static bool has_account(const struct pv_far *far)
{
	(void)far;
	return false;
}

static const char *error(const struct pv_far *far)
{
	return ((const struct far *)far)->sentence;
}

static void destroy(struct pv_far *far)
{
	struct far *own = of(far);

	for (uint16_t i = 0; i < own->pairs; i++) {
		close(own->pair[i].vhost_fd);
		close(own->pair[i].tap_fd);
	}
	free(own);
}

static const struct pv_far_ops ops = {
	.destroy = destroy,
	.begin = begin,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.queue_call = queue_call,
	.queue_enable = queue_enable,
	.reset = reset,
	.is_gone = is_gone,
	.config_changes = config_changes,
	.descriptors = descriptors,
	.reconnect = reconnect,
	.has_account = has_account,
	.error = error,
};

/* ---- birth ---- */

static int open_all(struct far *far)
{
	int code = ask_all(far, VHOST_SET_OWNER, NULL, "VHOST_SET_OWNER");

	if (!code)
		code = ASK(far, 0, VHOST_GET_FEATURES, &far->kernel_features);
	/* The header is the tap's, and there is nobody to log for. */
	far->kernel_features &= ~(VHOST_NET_F_VIRTIO_NET_HDR | VHOST_F_LOG_ALL);
	far->far.features = far->kernel_features | TAP_FEATURES;
	return code;
}

static int refuse(char sentence[static PV_FAR_SENTENCE_BYTES], int code, const char *why)
{
	snprintf(sentence, PV_FAR_SENTENCE_BYTES, "%s", why);
	return code;
}

int pv_far_vhost_net_create(struct pv_far **created, const struct pv_far_vhost_net_options *options,
                            char sentence[static PV_FAR_SENTENCE_BYTES])
{
	struct far *far;
	int code;

	if (options->pairs < 1 || options->pairs > PAIRS_MAX)
		return refuse(sentence, -EINVAL, "vhost: at most 32 pairs of queues");
	far = calloc(1, sizeof(*far) + options->pairs * sizeof(far->pair[0]));
	if (!far)
		return refuse(sentence, -ENOMEM, strerror(ENOMEM));
	far->far.ops = &ops;
	far->far.queues = far->pairs = options->pairs;
	for (uint16_t i = 0; i < far->pairs; i++)
		far->pair[i] = (struct pair){ .tap_fd = options->tap_fd[i],
			                      .vhost_fd = options->vhost_fd[i] };
	code = open_all(far);
	if (code) {
		refuse(sentence, code, far->sentence);
		free(far);
		return code;
	}
	*created = &far->far;
	return 0;
}
