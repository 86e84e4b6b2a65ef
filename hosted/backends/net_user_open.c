/* SPDX-License-Identifier: BSD-2-Clause */
/* The user-mode network: what it is made from. */
#define _GNU_SOURCE
#include "hosted/backends/busy.h"
#include "hosted/backends/net_user.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>

/* The first addresses of a network that mean something in it, as in QEMU's. */
#define HOST_NUMBER 2u
#define DNS_NUMBER  3u
#define DHCP_NUMBER 15u

#define NET_DEFAULT  "10.0.2.0/24"
#define NET6_DEFAULT "fec0::/64"

/* What leaves room for those numbers, and for a few guests. */
#define NET_BITS_MIN 8u
#define NET_BITS_MAX 27u
#define NET6_BITS    64u

/* As libslirp has it. */
#define MTU_MIN 68u
#define MTU_MAX 65521u

/* ---- text ---- */

/* A number of digits only, up to `max`. */
static bool parse_number(const char *text, unsigned int max, unsigned int *number)
{
	char *end;
	unsigned long value;

	if (*text < '0' || *text > '9')
		return false;
	value = strtoul(text, &end, 10);
	*number = (unsigned int)value;
	return *end == '\0' && value <= max;
}

/* "ADDRESS/BITS", of an address family. */
static bool parse_net(const char *text, int family, void *address, unsigned int *bits)
{
	char copy[64];
	char *slash;

	if (strlen(text) >= sizeof(copy))
		return false;
	strcpy(copy, text);
	slash = strchr(copy, '/');
	if (!slash)
		return false;
	*slash = '\0';
	return inet_pton(family, copy, address) == 1 && parse_number(slash + 1, 128, bits);
}

/* ---- networks ---- */

static struct in_addr number_in(struct in_addr net, uint32_t number)
{
	return (struct in_addr){ net.s_addr | htonl(number) };
}

static int set_net(SlirpConfig *config, struct pv_wire_opening *opening)
{
	const char *text = opening->options->net ? opening->options->net : NET_DEFAULT;
	struct in_addr net;
	unsigned int bits;

	if (!parse_net(text, AF_INET, &net, &bits) || bits < NET_BITS_MIN || bits > NET_BITS_MAX)
		return pv_wire_refuse(opening, -EINVAL,
		                      "net=%s: is no IPv4 network such as " NET_DEFAULT
		                      ", of %u to %u bits",
		                      text, NET_BITS_MIN, NET_BITS_MAX);
	config->vnetmask.s_addr = htonl(~0u << (32 - bits));
	net.s_addr &= config->vnetmask.s_addr;
	config->in_enabled = !opening->options->has_no_ipv4;
	config->vnetwork = net;
	config->vhost = number_in(net, HOST_NUMBER);
	config->vnameserver = number_in(net, DNS_NUMBER);
	config->vdhcp_start = number_in(net, DHCP_NUMBER);
	return 0;
}

static int set_net6(SlirpConfig *config, struct pv_wire_opening *opening)
{
	const char *text = opening->options->net6 ? opening->options->net6 : NET6_DEFAULT;
	struct in6_addr net;
	unsigned int bits;

	if (!parse_net(text, AF_INET6, &net, &bits) || bits != NET6_BITS)
		return pv_wire_refuse(
			opening, -EINVAL,
			"ip6net=%s: is no IPv6 prefix of %u bits such as " NET6_DEFAULT, text,
			NET6_BITS);
	memset(net.s6_addr + NET6_BITS / 8, 0, sizeof(net.s6_addr) - NET6_BITS / 8);
	config->in6_enabled = !opening->options->has_no_ipv6;
	config->vprefix_addr6 = config->vhost6 = config->vnameserver6 = net;
	config->vprefix_len = NET6_BITS;
	config->vhost6.s6_addr[15] = HOST_NUMBER;
	config->vnameserver6.s6_addr[15] = DNS_NUMBER;
	return 0;
}

/* One of the network's own asks the host's; any other is asked by the guest itself. */
static int set_dns(SlirpConfig *config, struct pv_wire_opening *opening)
{
	const char *text = opening->options->dns;

	if (text && inet_pton(AF_INET, text, &config->vnameserver) != 1)
		return pv_wire_refuse(opening, -EINVAL, "dns=%s: is no IPv4 address", text);
	if (config->vnameserver.s_addr == config->vhost.s_addr)
		return pv_wire_refuse(opening, -EINVAL, "dns=%s: is the address of the host", text);
	return 0;
}

static int set_mtu(SlirpConfig *config, struct pv_wire_opening *opening)
{
	const struct pv_net_wire_options *options = opening->options;

	if (!options->has_mtu)
		return 0;
	if (options->mtu < MTU_MIN || options->mtu > MTU_MAX)
		return pv_wire_refuse(opening, -EINVAL, "mtu=%u: the user network takes %u to %u",
		                      options->mtu, MTU_MIN, MTU_MAX);
	config->if_mtu = config->if_mru = options->mtu;
	return 0;
}

static int set_all(SlirpConfig *config, struct pv_wire_opening *opening)
{
	const struct pv_net_wire_options *options = opening->options;
	int err;

	if (options->has_no_ipv4 && options->has_no_ipv6)
		return pv_wire_refuse(opening, -EINVAL,
		                      "ipv4, ipv6: one of the two must remain on");
	*config = (SlirpConfig){
		.version = 1,
		.restricted = options->is_restricted,
		.vhostname = options->hostname,
		.vdomainname = options->domain,
		.tftp_path = options->tftp,
		.bootfile = options->bootfile,
	};
	err = set_net(config, opening);
	if (!err)
		err = set_net6(config, opening);
	if (!err)
		err = set_dns(config, opening);
	return err ? err : set_mtu(config, opening);
}

/* ---- what the host's ports lead to ---- */

struct forward {
	bool is_udp;
	struct in_addr host, guest;
	unsigned int host_port, guest_port;
};

/* "ADDRESS:PORT" up to `end`; without an address it is what it was. */
static bool parse_end(const char *text, const char *end, struct in_addr *address,
                      unsigned int *port)
{
	char copy[64];
	char *colon;

	if ((size_t)(end - text) >= sizeof(copy))
		return false;
	memcpy(copy, text, (size_t)(end - text));
	copy[end - text] = '\0';
	colon = strchr(copy, ':');
	if (!colon)
		return false;
	*colon = '\0';
	return (!*copy || inet_pton(AF_INET, copy, address) == 1) &&
	       parse_number(colon + 1, 65535, port);
}

static bool parse_forward(const char *text, struct forward *forward)
{
	const char *minus = strchr(text, '-');

	forward->is_udp = strncmp(text, "udp:", 4) == 0;
	if ((!forward->is_udp && strncmp(text, "tcp:", 4) != 0) || !minus)
		return false;
	return parse_end(text + 4, minus, &forward->host, &forward->host_port) &&
	       parse_end(minus + 1, text + strlen(text), &forward->guest, &forward->guest_port) &&
	       forward->guest_port > 0;
}

static int add_forward(const struct pv_user *user, struct pv_wire_opening *opening,
                       const SlirpConfig *config, const char *text)
{
	struct forward forward = { .guest = config->vdhcp_start };
	unsigned int tries = 0;

	if (!parse_forward(text, &forward))
		return pv_wire_refuse(opening, -EINVAL,
		                      "hostfwd=%s: is not of the form "
		                      "tcp|udp:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT",
		                      text);
	do {
		errno = EINVAL;
		if (user->api->add_hostfwd(user->slirp, forward.is_udp, forward.host,
		                           (int)forward.host_port, forward.guest,
		                           (int)forward.guest_port) == 0)
			return 0;
	} while (pv_busy_try_again(-errno, &tries));
	return pv_wire_refuse(opening, -errno, "hostfwd=%s: the host's port cannot be had: %s",
	                      text, strerror(errno));
}

static int add_forwards(const struct pv_user *user, struct pv_wire_opening *opening,
                        const SlirpConfig *config)
{
	int err = 0;

	for (uint16_t i = 0; !err && i < opening->options->hostfwds; i++)
		err = add_forward(user, opening, config, opening->options->hostfwd[i]);
	return err;
}

/* ---- opening and closing ---- */

static void close_user(struct pv_wire *wire)
{
	struct pv_user *user = (struct pv_user *)wire;

	if (user->slirp)
		user->api->cleanup(user->slirp);
	pv_user_forget(user);
	pv_timer_fini(&user->timer);
	pv_bell_fini(&user->bell);
	pv_wire_fifo_fini(&user->fifo);
	pthread_mutex_destroy(&user->lock);
	free(user->loop_of);
	free(user->poll);
	free(user);
}

static struct pv_user *create(const struct pv_net_wire_options *options)
{
	struct pv_user *user = aligned_alloc(64, sizeof(*user));

	if (!user)
		return NULL;
	memset(user, 0, sizeof(*user));
	user->wire.net = (struct pv_net_wire){ .ops = &pv_user_ops, .sources = 1 };
	user->wire.close = close_user;
	user->wire.needs = PV_NET_WIRE_NEEDS_INTERNET;
	user->loop = pv_wire_loop(options, 0);
	pthread_mutex_init(&user->lock, NULL);
	user->loop_of = calloc(options->pairs, sizeof(struct pv_loop *));
	if (!user->loop_of || !pv_wire_fifo_init(&user->fifo) ||
	    pv_bell_init(&user->bell, user->loop, pv_user_run, user) ||
	    pv_timer_init(&user->timer, user->loop, pv_user_run, user)) {
		close_user(&user->wire);
		return NULL;
	}
	for (uint16_t i = 0; i < options->pairs; i++)
		user->loop_of[i] = pv_wire_loop(options, i);
	return user;
}

static int start(struct pv_user *user, struct pv_wire_opening *opening)
{
	SlirpConfig config;
	int err = set_all(&config, opening);

	if (err)
		return err;
	user->slirp = user->api->new (&config, &pv_user_callbacks, user);
	if (!user->slirp)
		return pv_wire_refuse(opening, -EINVAL,
		                      "user: libslirp refuses this combination of options");
	err = add_forwards(user, opening, &config);
	if (err)
		return err;
	snprintf(user->wire.text, sizeof(user->wire.text), "user-mode network %s",
	         !config.in_enabled
	                 ? (opening->options->net6 ? opening->options->net6 : NET6_DEFAULT)
	         : opening->options->net ? opening->options->net
	                                 : NET_DEFAULT);
	pv_user_run(user);
	return 0;
}

int pv_wire_user_open(struct pv_wire_opening *opening)
{
	const struct pv_slirp *api = pv_slirp_load();
	struct pv_user *user;
	int err;

	if (!api)
		return pv_wire_refuse(opening, -ENOENT,
		                      "user: the user network needs libslirp.so.0; install the "
		                      "package libslirp0");
	user = create(opening->options);
	if (!user)
		return pv_wire_refuse(opening, -ENOMEM, "no memory for the network");
	user->api = api;
	err = start(user, opening);
	if (err)
		close_user(&user->wire);
	else
		opening->wire = &user->wire;
	return err;
}
