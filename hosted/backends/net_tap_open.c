/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wire to a tap interface: how it is opened, which queues of it are in use, and what of the
 * work on frames the kernel leaves to the guest.
 *
 * #syscalls ioctl close
 */
#define _GNU_SOURCE
#include "hosted/backends/busy.h"
#include "hosted/backends/net_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Newer than the headers may be. */
#define USO (0x20u | 0x40u)

/* ---- what the kernel leaves to do ---- */

#define GUEST_USO (VIRTIO_NET_F_GUEST_USO4 | VIRTIO_NET_F_GUEST_USO6)

/* Whatever is to be cut has a partial checksum too; and the two kinds of USO are one to the kernel.
 */
static unsigned int offloads_of(uint64_t guest)
{
	unsigned int offloads = TUN_F_CSUM;

	if (!(guest & VIRTIO_NET_F_GUEST_CSUM))
		return 0;
	if (guest & VIRTIO_NET_F_GUEST_TSO4)
		offloads |= TUN_F_TSO4;
	if (guest & VIRTIO_NET_F_GUEST_TSO6)
		offloads |= TUN_F_TSO6;
	if (guest & VIRTIO_NET_F_GUEST_ECN && offloads != TUN_F_CSUM)
		offloads |= TUN_F_TSO_ECN;
	if (guest & VIRTIO_NET_F_GUEST_UFO)
		offloads |= TUN_F_UFO;
	if ((guest & GUEST_USO) == GUEST_USO)
		offloads |= USO;
	return offloads;
}

/* Of an interface that is gone there is nothing to be set. */
void pv_tap_set_offloads(struct pv_net_wire *net, uint64_t guest_offloads)
{
	const struct pv_tap *tap = (const struct pv_tap *)net;

	if (net->knows_headers)
		ioctl(tap->queue[0].fd, TUNSETOFFLOAD,
		      offloads_of(guest_offloads & tap->can_offload));
}

static void learn_offloads(struct pv_tap *tap)
{
	int fd = tap->queue[0].fd;

	tap->can_offload = ~0ull;
	tap->wire.net.can_segment = VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 |
	                            VIRTIO_NET_F_HOST_ECN | VIRTIO_NET_F_HOST_UFO;
	if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | USO) == 0)
		tap->wire.net.can_segment |= VIRTIO_NET_F_HOST_USO;
	else
		tap->can_offload &= ~GUEST_USO;
	pv_tap_set_offloads(&tap->wire.net, 0);
}

/* ---- which queues are in use ---- */

static bool attach(struct pv_tap_queue *queue, bool is_attached)
{
	struct ifreq request = { .ifr_flags = is_attached ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	if (queue->is_attached != is_attached && ioctl(queue->fd, TUNSETQUEUE, &request) < 0)
		return false;
	queue->is_attached = is_attached;
	return true;
}

bool pv_tap_set_pairs(struct pv_net_wire *net, uint16_t pairs)
{
	struct pv_tap *tap = (struct pv_tap *)net;
	bool is_done = true;

	for (uint16_t i = 1; i < tap->queues; i++)
		is_done &= attach(&tap->queue[i], i < pairs);
	return is_done;
}

bool pv_tap_set_spread(struct pv_net_wire *net, const struct pv_net_spread *spread)
{
	struct pv_tap *tap = (struct pv_tap *)net;

	return pv_tap_spread_set(&tap->spread, tap->queue[0].fd, spread);
}

/* Who may not give the kernel programs does without. */
static void learn_spreading(struct pv_tap *tap)
{
	struct pv_net_wire *net = &tap->wire.net;

	if (tap->queues == 1 || pv_tap_spread_init(&tap->spread))
		return;
	net->can_spread = pv_tap_set_spread(net, NULL);
	net->spread_types = PV_TAP_SPREAD_TYPES;
}

/* ---- opening ---- */

static int refuse_device(struct pv_wire_opening *opening, int err)
{
	const char *name = opening->options->ifname ? opening->options->ifname : "tap";

	if (err == -EPERM || err == -EACCES)
		return pv_wire_refuse(
			opening, err,
			"ifname=%s: this needs the capability CAP_NET_ADMIN, or an interface that "
			"is yours (as root: ip tuntap add dev NAME mode tap user %u); the network "
			"`user` needs neither",
			name, (unsigned int)getuid());
	if (err == -EBUSY)
		return pv_wire_refuse(opening, err,
		                      "ifname=%s: somebody else uses it; end who does or choose "
		                      "another interface",
		                      name);
	if (err == -EINVAL)
		return pv_wire_refuse(opening, err,
		                      "ifname=%s: is no tap interface, or was made without "
		                      "multi_queue; choose another one, or give one queue",
		                      name);
	return pv_wire_refuse(opening, err, "ifname=%s: cannot be opened: %s", name,
	                      strerror(-err));
}

/* Returns the descriptor of a queue of it, or -errno. The name is filled in where it was empty. */
static int open_queue(char name[static IFNAMSIZ], int flags)
{
	struct ifreq request = { .ifr_flags = (short)flags };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	unsigned int tries = 0;
	int err;

	if (fd < 0)
		return -errno;
	memcpy(request.ifr_name, name, IFNAMSIZ);
	do
		err = ioctl(fd, TUNSETIFF, &request) < 0 ? -errno : 0;
	while (pv_busy_try_again(err, &tries));
	if (err) {
		close(fd);
		return err;
	}
	memcpy(name, request.ifr_name, IFNAMSIZ);
	return fd;
}

/* One queue of an interface that may have several is one as well. */
static int open_queues(struct pv_tap *tap, bool has_header)
{
	int flags = IFF_TAP | IFF_NO_PI | (has_header ? IFF_VNET_HDR : 0);
	int fd = open_queue(tap->name, tap->queues > 1 ? flags | IFF_MULTI_QUEUE : flags);

	if (fd == -EINVAL && tap->queues == 1)
		fd = open_queue(tap->name, flags | IFF_MULTI_QUEUE);
	for (uint16_t i = 0; fd >= 0; fd = open_queue(tap->name, flags | IFF_MULTI_QUEUE)) {
		tap->queue[i].fd = fd;
		tap->queue[i].is_attached = true;
		if (++i == tap->queues)
			return 0;
	}
	return fd;
}

/* A short talk with the kernel about the interface. Returns 0 or -errno. */
static int ask(const char *name, unsigned long what, struct ifreq *request)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	snprintf(request->ifr_name, IFNAMSIZ, "%s", name);
	if (ioctl(fd, what, request) < 0)
		err = -errno;
	close(fd);
	return err;
}

static void bring_up(const char *name)
{
	struct ifreq request = { 0 };

	if (ask(name, SIOCGIFFLAGS, &request))
		return;
	request.ifr_flags |= IFF_UP;
	ask(name, SIOCSIFFLAGS, &request);
}

static uint32_t speed_of(const char *name)
{
	struct ethtool_cmd command = { .cmd = ETHTOOL_GSET };
	struct ifreq request = { .ifr_data = (char *)&command };
	uint32_t speed;

	if (ask(name, SIOCETHTOOL, &request))
		return 0;
	speed = ethtool_cmd_speed(&command);
	return speed == (uint32_t)SPEED_UNKNOWN ? 0 : speed;
}

/* What is made here is brought up as well; what was there is its maker's to bring up. */
static int open_named(struct pv_tap *tap, struct pv_wire_opening *opening)
{
	const struct pv_net_wire_options *options = opening->options;
	const char *name = options->ifname ? options->ifname : "";
	bool is_new = !*name || if_nametoindex(name) == 0;
	int err;

	if (strlen(name) >= IFNAMSIZ)
		return pv_wire_refuse(
			opening, -EINVAL,
			"ifname=%s: a name has at most %d bytes; choose a shorter one", name,
			IFNAMSIZ - 1);
	strcpy(tap->name, name);
	tap->has_header = !options->has_no_headers;
	err = open_queues(tap, tap->has_header);
	if (err < 0)
		return refuse_device(opening, err);
	if (is_new)
		bring_up(tap->name);
	return 0;
}

/*
 * Learns of a passed descriptor what it is. Returns NULL, or what is wrong with it. That it was
 * opened with IFF_NO_PI, as it must be, the kernel does not tell.
 */
static const char *check_passed(struct pv_tap *tap, int fd)
{
	struct ifreq request = { 0 };
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return "is not open";
	if (ioctl(fd, TUNGETIFF, &request) < 0 || !(request.ifr_flags & IFF_TAP))
		return "is no tap interface's";
	if (tap->name[0] && strcmp(tap->name, request.ifr_name) != 0)
		return "is another interface's than the first";
	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	memcpy(tap->name, request.ifr_name, IFNAMSIZ);
	tap->has_header = request.ifr_flags & IFF_VNET_HDR;
	return NULL;
}

static int open_passed(struct pv_tap *tap, struct pv_wire_opening *opening)
{
	const struct pv_net_wire_options *options = opening->options;

	if (options->fds != tap->queues)
		return pv_wire_refuse(opening, -EINVAL,
		                      "fd: %u descriptors for %u queues; give one for each",
		                      options->fds, tap->queues);
	for (uint16_t i = 0; i < tap->queues; i++) {
		const char *fault = check_passed(tap, options->fd[i]);

		if (fault)
			return pv_wire_refuse(opening, -EINVAL, "fd=%d: %s", options->fd[i], fault);
	}
	for (uint16_t i = 0; i < tap->queues; i++) {
		tap->queue[i].fd = options->fd[i];
		tap->queue[i].is_attached = true;
	}
	return 0;
}

/* Of the header in little-endian, without a place for the number of buffers. Returns 0 or -errno.
 */
static int set_header(const struct pv_tap *tap)
{
	int bytes = (int)sizeof(struct virtio_net_hdr);
	int on = 1;

	for (uint16_t i = 0; tap->has_header && i < tap->queues; i++)
		if (ioctl(tap->queue[i].fd, TUNSETVNETHDRSZ, &bytes) < 0 ||
		    ioctl(tap->queue[i].fd, TUNSETVNETLE, &on) < 0)
			return -errno;
	return 0;
}

/* ---- closing, and the whole ---- */

static void close_tap(struct pv_wire *wire)
{
	struct pv_tap *tap = (struct pv_tap *)wire;

	pv_wire_gates_destroy(tap->gate, tap->pairs);
	pv_tap_spread_fini(&tap->spread);
	for (uint16_t i = 0; tap->ring && i < tap->pairs; i++)
		pv_tap_ring_fini(&tap->ring[i]);
	free(tap->ring);
	for (uint16_t i = 0; i < tap->queues; i++) {
		if (tap->queue[i].watch)
			pv_loop_unwatch(tap->queue[i].loop, tap->queue[i].watch);
		if (tap->queue[i].fd >= 0)
			close(tap->queue[i].fd);
		free(tap->queue[i].ahead.memory);
	}
	free(tap);
}

static struct pv_tap *create(const struct pv_net_wire_options *options)
{
	uint16_t queues = options->has_one_source ? 1 : options->pairs;
	struct pv_tap *tap = calloc(1, sizeof(*tap) + queues * sizeof(tap->queue[0]));

	if (!tap)
		return NULL;
	tap->wire.net = (struct pv_net_wire){ .ops = &pv_tap_ops, .sources = queues };
	tap->wire.close = close_tap;
	tap->pairs = options->pairs;
	tap->queues = queues;
	tap->spread = (struct pv_tap_spread){ .program = -1, .map = -1 };
	for (uint16_t i = 0; i < queues; i++)
		tap->queue[i] = (struct pv_tap_queue){ .tap = tap,
			                               .fd = -1,
			                               .loop = pv_wire_loop(options, i) };
	tap->gate = pv_wire_gates_create(options, NULL, NULL);
	tap->ring = calloc(options->pairs, sizeof(*tap->ring));
	if (tap->gate && tap->ring)
		return tap;
	close_tap(&tap->wire);
	return NULL;
}

static bool start_watching(struct pv_tap *tap)
{
	for (uint16_t i = 0; i < tap->pairs; i++)
		pv_tap_ring_init(&tap->ring[i], tap->queue[i % tap->queues].fd);
	for (uint16_t i = 0; i < tap->queues; i++) {
		struct pv_tap_queue *queue = &tap->queue[i];

		queue->watch = pv_loop_watch(queue->loop, queue->fd, POLLIN, pv_tap_see, queue);
		if (!queue->watch)
			return false;
		pv_tap_read_ahead(tap, queue);
	}
	return true;
}

static int set_up(struct pv_tap *tap, struct pv_wire_opening *opening)
{
	int err = set_header(tap);

	if (err)
		return refuse_device(opening, err);
	if (!start_watching(tap))
		return pv_wire_refuse(opening, -ENOMEM, "no memory for the network");
	tap->wire.net.knows_headers = tap->has_header && !opening->options->has_no_headers;
	if (tap->wire.net.knows_headers)
		learn_offloads(tap);
	learn_spreading(tap);
	tap->wire.net.speed_mbit = speed_of(tap->name);
	snprintf(tap->wire.text, sizeof(tap->wire.text), "tap %s", tap->name);
	/* A device begins with one pair. */
	pv_tap_set_pairs(&tap->wire.net, 1);
	return 0;
}

/* Descriptors that were passed are not ours where it fails. */
static void give_up(struct pv_tap *tap, const struct pv_net_wire_options *options)
{
	for (uint16_t i = 0; options->fds && i < tap->queues; i++)
		tap->queue[i].fd = -1;
	close_tap(&tap->wire);
}

int pv_wire_tap_open(struct pv_wire_opening *opening)
{
	const struct pv_net_wire_options *options = opening->options;
	struct pv_tap *tap = create(options);
	int err;

	if (!tap)
		return pv_wire_refuse(opening, -ENOMEM, "no memory for the network");
	err = options->fds ? open_passed(tap, opening) : open_named(tap, opening);
	if (!err)
		err = set_up(tap, opening);
	if (err)
		give_up(tap, options);
	else
		opening->wire = &tap->wire;
	return err;
}
