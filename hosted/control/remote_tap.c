/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "hosted/control/remote_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "abi/virtio_net.h"

#define TAP   "/dev/net/tun"
#define VHOST "/dev/vhost-net"

static bool cannot_open(const char *path, int error, char sentence[static PV_SENTENCE_BYTES])
{
	if (error == EACCES || error == EPERM)
		return pv_sentence_wrong(sentence,
		                         "%s may not be opened by this user; add the user to the "
		                         "group that it belongs to, or use the network device "
		                         "'user', which needs no privilege",
		                         path);
	if (error == ENOENT || error == ENODEV || error == ENXIO)
		return pv_sentence_wrong(
			sentence, "there is no %s here; load its module (%s)", path,
			strcmp(path, TAP) == 0 ? "modprobe tun" : "modprobe vhost_net");
	return pv_sentence_wrong(sentence, "%s: %s", path, strerror(error));
}

static int open_path(const char *path, char sentence[static PV_SENTENCE_BYTES])
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		cannot_open(path, errno, sentence);
	return fd;
}

static bool is_named_wrong(const char *ifname)
{
	return ifname && (!*ifname || strlen(ifname) >= IFNAMSIZ || strchr(ifname, '/'));
}

/* The kernel has the header before each frame that the driver has, in the same byte order. */
static int set_up(int fd, struct ifreq *interface)
{
	int header_bytes = sizeof(struct virtio_net_hdr_mrg);

	if (ioctl(fd, TUNSETIFF, interface) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &header_bytes) < 0)
		return -errno;
	return 0;
}

/* The name of the first end is that of the others. */
static int open_end(struct ifreq *interface, char sentence[static PV_SENTENCE_BYTES])
{
	int fd = open_path(TAP, sentence);
	int error = fd < 0 ? 0 : set_up(fd, interface);

	if (!error)
		return fd;
	close(fd);
	if (error == -EPERM || error == -EACCES)
		pv_sentence_wrong(sentence,
		                  "a tap interface takes the capability CAP_NET_ADMIN, or one that "
		                  "was made for this user (ip tuntap add mode tap user NAME); the "
		                  "network device 'user' needs neither");
	else
		pv_sentence_wrong(sentence, "tap interface '%.15s': %s", interface->ifr_name,
		                  strerror(-error));
	return -1;
}

struct ends {
	int tap_fd[UINT8_MAX], vhost_fd[UINT8_MAX];
	uint16_t taps, vhosts;
};

static void close_ends(const struct ends *ends)
{
	for (uint16_t i = 0; i < ends->taps; i++)
		close(ends->tap_fd[i]);
	for (uint16_t i = 0; i < ends->vhosts; i++)
		close(ends->vhost_fd[i]);
}

static bool open_ends(struct ends *ends, const char *ifname, uint16_t pairs,
                      char sentence[static PV_SENTENCE_BYTES])
{
	struct ifreq interface = { 0 };

	if (ifname)
		memcpy(interface.ifr_name, ifname, strlen(ifname) + 1);
	interface.ifr_flags =
		(short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (pairs > 1 ? IFF_MULTI_QUEUE : 0));
	for (uint16_t i = 0; i < pairs; i++) {
		ends->tap_fd[i] = open_end(&interface, sentence);
		if (ends->tap_fd[i] < 0)
			return false;
		ends->taps++;
		ends->vhost_fd[i] = open_path(VHOST, sentence);
		if (ends->vhost_fd[i] < 0)
			return false;
		ends->vhosts++;
	}
	return true;
}

bool pv_remote_tap_open(struct pv_far **far, const char *ifname, uint16_t pairs,
                        char sentence[static PV_SENTENCE_BYTES])
{
	struct ends ends = { .taps = 0 };
	const struct pv_far_vhost_net_options options = { ends.tap_fd, ends.vhost_fd, pairs };
	char why[PV_FAR_SENTENCE_BYTES];
	bool is_good;

	if (is_named_wrong(ifname))
		return pv_sentence_wrong(
			sentence, "'ifname' is a name of 1 to 15 characters, not '%.32s'", ifname);
	is_good = open_ends(&ends, ifname, pairs, sentence);
	if (is_good && pv_far_vhost_net_create(far, &options, why))
		is_good = pv_sentence_wrong(sentence, "%s", why);
	if (!is_good)
		close_ends(&ends);
	return is_good;
}
