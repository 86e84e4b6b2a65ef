/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys of a network device's options, a table for the device and one for each kind of wire that
 * has some.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "hosted/control/nic_internal.h"

#define QUEUE_SIZE_DEFAULT 1024u
#define QUEUE_SIZE_MAX     32768u
#define SPEED_MAX          0x7fffffffu
#define RATE_MAX           (UINT64_C(1) << 40)
#define RECONNECT_MAX_MS   3600000u

/* As enum pv_net_wire_kind has them. */
static const char *const kinds[] = {
	[PV_NET_WIRE_USER] = "user",   [PV_NET_WIRE_TAP] = "tap",   [PV_NET_WIRE_STREAM] = "stream",
	[PV_NET_WIRE_DGRAM] = "dgram", [PV_NET_WIRE_NULL] = "null", [PV_NET_WIRE_ECHO] = "echo",
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const char *const steerings[] = { "kernel", "device", NULL };

#define NIC struct pv_nic_options
static const struct pv_option device_keys[] = {
	{ "mac", "ADDRESS",
	  "its address, like 52:54:00:12:34:56 (default: one that stays the same for the name of "
	  "the machine or the path of the socket, otherwise a random one)",
	  PV_OPTION_TEXT_AT(NIC, mac) },
	{ "mtu", "BYTES", "tell the driver the largest packet (default: it is not told)",
	  PV_OPTION_NUMBER_AT(NIC, mtu, VIRTIO_NET_MTU_MIN, VIRTIO_NET_MTU_MAX) },
	{ "queues", "N", "pairs of queues (default 1)",
	  PV_OPTION_NUMBER_AT(NIC, pairs, 1, PV_NIC_PAIRS_MAX) },
	{ "queue-size", "N", "largest size of a queue (default 1024, in a machine 256)",
	  PV_OPTION_NUMBER_AT(NIC, queue_size, 2, QUEUE_SIZE_MAX) },
	{ "speed", "MBIT", "what the driver is told about it, in Mbit/s (default: the wire's own)",
	  PV_OPTION_NUMBER_AT(NIC, speed_mbit, 1, SPEED_MAX) },
	{ "link", NULL, "whether the link is up at the beginning (default on)",
	  PV_OPTION_FLAG_AT(NIC, is_link_up) },
	{ "in-order", NULL, "offer IN_ORDER (default off)", PV_OPTION_FLAG_AT(NIC, is_in_order) },
	{ "packed", NULL, "offer packed queues (default on)", PV_OPTION_FLAG_AT(NIC, is_packed) },
	{ "rate-in", "SIZE", "bytes a second that the driver receives (default: no limit)",
	  PV_OPTION_SIZE_AT(NIC, rate_in, 1, RATE_MAX) },
	{ "rate-out", "SIZE", "bytes a second that it sends (default: no limit)",
	  PV_OPTION_SIZE_AT(NIC, rate_out, 1, RATE_MAX) },
	{ "rate-in-packets", "N", "packets a second that it receives (default: no limit)",
	  PV_OPTION_NUMBER_AT(NIC, rate_in_packets, 1, RATE_MAX) },
	{ "rate-out-packets", "N", "packets a second that it sends (default: no limit)",
	  PV_OPTION_NUMBER_AT(NIC, rate_out_packets, 1, RATE_MAX) },
	{ "pcap", "FILE", "write what passes to this file, for tcpdump",
	  PV_OPTION_TEXT_AT(NIC, pcap) },
	{ 0 },
};

#define FD_HELP "use what is open already as this descriptor"
static const struct pv_option tap_keys[] = {
	{ "ifname", "NAME", "the interface, made if it is not there (default: a new one)",
	  PV_OPTION_TEXT_AT(NIC, ifname) },
	{ "fd", "N[:N...]", FD_HELP ", one for each pair", PV_OPTION_TEXT_AT(NIC, fds) },
	{ "vnet-header", NULL, "let the kernel do checksums and segmentation (default on)",
	  PV_OPTION_FLAG_AT(NIC, has_headers) },
	{ "steer", "kernel|device",
	  "who chooses a pair for a received frame; with device all queues are on one loop, and "
	  "the driver may have frames spread by their hash (default kernel)",
	  PV_OPTION_CHOICE_AT(NIC, steering, steerings) },
	{ 0 },
};

static const struct pv_option stream_keys[] = {
	{ "path", "PATH", "the socket to connect to, or with server=on to listen on",
	  PV_OPTION_TEXT_AT(NIC, path) },
	{ "fd", "N", FD_HELP, PV_OPTION_TEXT_AT(NIC, fds) },
	{ "server", NULL, "listen for the other end, one at a time (default off)",
	  PV_OPTION_FLAG_AT(NIC, is_server) },
	{ "reconnect-ms", "N",
	  "connect again after so many milliseconds, doubled each time (default 0: never)",
	  PV_OPTION_NUMBER_AT(NIC, reconnect_ms, 0, RECONNECT_MAX_MS) },
	{ 0 },
};

static const struct pv_option dgram_keys[] = {
	{ "path", "PATH", "the other end's socket", PV_OPTION_TEXT_AT(NIC, path) },
	{ "local-path", "PATH", "ours", PV_OPTION_TEXT_AT(NIC, local_path) },
	{ "fd", "N", FD_HELP, PV_OPTION_TEXT_AT(NIC, fds) },
	{ 0 },
};

static const struct pv_option user_keys[] = {
	{ "net", "ADDRESS/BITS", "the IPv4 network (default 10.0.2.0/24)",
	  PV_OPTION_TEXT_AT(NIC, net) },
	{ "ip6net", "ADDRESS/BITS", "the IPv6 network (default fec0::/64)",
	  PV_OPTION_TEXT_AT(NIC, net6) },
	{ "ipv4", NULL, "have IPv4 (default on)", PV_OPTION_FLAG_AT(NIC, has_ipv4) },
	{ "ipv6", NULL, "have IPv6 (default on)", PV_OPTION_FLAG_AT(NIC, has_ipv6) },
	{ "hostname", "NAME", "what DHCP calls the guest", PV_OPTION_TEXT_AT(NIC, hostname) },
	{ "dns", "ADDRESS", "where the guest finds DNS (default: in its network)",
	  PV_OPTION_TEXT_AT(NIC, dns) },
	{ "domain", "NAME", "the domain that DHCP tells", PV_OPTION_TEXT_AT(NIC, domain) },
	{ "tftp", "FOLDER", "serve its files by TFTP", PV_OPTION_TEXT_AT(NIC, tftp) },
	{ "bootfile", "NAME", "of these, the one that DHCP tells",
	  PV_OPTION_TEXT_AT(NIC, bootfile) },
	{ "hostfwd", "tcp|udp:[HOST]:PORT-[GUEST]:PORT",
	  "forward a port of the host to the guest; may be given more than once",
	  PV_OPTION_TEXTS_AT(NIC, hostfwd) },
	{ "restrict", NULL, "let nothing out but what is forwarded (default off)",
	  PV_OPTION_FLAG_AT(NIC, is_restricted) },
	{ 0 },
};

static const struct pv_option_group device_group = { "Keys of every network device", device_keys };
static const struct pv_option_group tap_group = { "Keys of tap", tap_keys };
static const struct pv_option_group stream_group = { "Keys of stream", stream_keys };
static const struct pv_option_group dgram_group = { "Keys of dgram", dgram_keys };
static const struct pv_option_group user_group = { "Keys of user", user_keys };

const struct pv_option_group *const pv_nic_key_groups[] = {
	&device_group, &user_group,          &tap_group, &stream_group,
	&dgram_group,  &pv_nic_switch_group, NULL,
};

/* By kind; those without have none of their own. */
static const struct pv_option *const own_keys[KINDS] = {
	[PV_NET_WIRE_USER] = user_keys,
	[PV_NET_WIRE_TAP] = tap_keys,
	[PV_NET_WIRE_STREAM] = stream_keys,
	[PV_NET_WIRE_DGRAM] = dgram_keys,
};

struct pv_nic_options pv_nic_defaults(void)
{
	struct pv_nic_options options = {
		.mtu = PV_OPTION_UNSET,
		.pairs = 1,
		.queue_size = QUEUE_SIZE_DEFAULT,
		.speed_mbit = PV_OPTION_UNSET,
		.rate_in = PV_OPTION_UNSET,
		.rate_out = PV_OPTION_UNSET,
		.rate_in_packets = PV_OPTION_UNSET,
		.rate_out_packets = PV_OPTION_UNSET,
		.is_link_up = true,
		.is_packed = true,
		.has_headers = true,
		.has_ipv4 = true,
		.has_ipv6 = true,
	};

	for (size_t i = 0; i < PV_NIC_SWITCHES_MAX; i++)
		options.has[i] = true;
	return options;
}

/* ---- addresses and descriptors ---- */

bool pv_nic_mac_parse(const char *text, uint8_t mac[static VIRTIO_NET_MAC_BYTES])
{
	static const uint8_t none[VIRTIO_NET_MAC_BYTES];
	int end = 0;

	if (strlen(text) != PV_NIC_MAC_TEXT_BYTES - 1 ||
	    strspn(text, "0123456789abcdefABCDEF:") != PV_NIC_MAC_TEXT_BYTES - 1 ||
	    sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
	           &mac[3], &mac[4], &mac[5], &end) != VIRTIO_NET_MAC_BYTES ||
	    end != PV_NIC_MAC_TEXT_BYTES - 1)
		return false;
	return !(mac[0] & 1) && memcmp(mac, none, sizeof(none)) != 0;
}

const char *pv_nic_mac_text(const uint8_t mac[static VIRTIO_NET_MAC_BYTES],
                            char text[static PV_NIC_MAC_TEXT_BYTES])
{
	snprintf(text, PV_NIC_MAC_TEXT_BYTES, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
	         mac[2], mac[3], mac[4], mac[5]);
	return text;
}

/* The next number of a list, with the colon behind it if there is one; NULL if it is none. */
static const char *next_fd(const char *text, int *fd)
{
	unsigned long number;
	char *end;

	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || number > INT32_MAX || (*end && (*end != ':' || !end[1])))
		return NULL;
	*fd = (int)number;
	return end + (*end == ':');
}

bool pv_nic_fds(const struct pv_nic_options *options, int fd[static PV_NIC_FDS_MAX], uint16_t *fds,
                char sentence[static PV_SENTENCE_BYTES])
{
	const char *at = options->fds;

	*fds = 0;
	while (at && *at) {
		at = *fds < PV_NIC_FDS_MAX ? next_fd(at, &fd[*fds]) : NULL;
		if (!at)
			return pv_sentence_wrong(sentence,
			                         "'fd' takes the numbers of open descriptors, like "
			                         "3 or 3:4, not '%.64s'",
			                         options->fds);
		if (fcntl(fd[*fds], F_GETFD) < 0)
			return pv_sentence_wrong(sentence,
			                         "'fd': descriptor %d is not open; whoever starts "
			                         "this program must pass it",
			                         fd[*fds]);
		(*fds)++;
	}
	return true;
}

/* ---- what goes with what ---- */

static bool has_key(const struct pv_option *keys, const char *name)
{
	while (keys && keys->name && strcmp(keys->name, name) != 0)
		keys++;
	return keys && keys->name;
}

static size_t value_bytes(const struct pv_option *option)
{
	switch (option->type) {
	case PV_OPTION_FLAG:
		return sizeof(bool);
	case PV_OPTION_CHOICE:
		return sizeof(unsigned int);
	case PV_OPTION_TEXTS:
		return sizeof(uint16_t); /* their count */
	default:
		return sizeof(uint64_t);
	}
}

/* Is it another value than it was at the beginning? */
static bool is_changed(const struct pv_nic_options *options, const struct pv_option *option)
{
	const struct pv_nic_options defaults = pv_nic_defaults();

	return memcmp((const char *)options + option->offset,
	              (const char *)&defaults + option->offset, value_bytes(option)) != 0;
}

static bool are_keys_its_own(const char *option, const struct pv_nic_options *options,
                             char sentence[static PV_SENTENCE_BYTES])
{
	for (size_t kind = 0; kind < KINDS; kind++)
		for (const struct pv_option *o = own_keys[kind]; o && o->name; o++)
			if (!has_key(own_keys[options->kind], o->name) && is_changed(options, o))
				return pv_sentence_wrong(
					sentence,
					"option '--%s': '%s' goes with %s, not with %s; leave it "
					"out",
					option, o->name, kinds[kind], kinds[options->kind]);
	return true;
}

static bool are_good(const char *option, const struct pv_nic_options *o,
                     char sentence[static PV_SENTENCE_BYTES])
{
	uint8_t mac[VIRTIO_NET_MAC_BYTES];

	if (o->mac && !pv_nic_mac_parse(o->mac, mac))
		return pv_sentence_wrong(sentence,
		                         "option '--%s': 'mac' takes the address of one station, "
		                         "like 52:54:00:12:34:56, not '%.64s'",
		                         option, o->mac);
	if (o->queue_size & (o->queue_size - 1))
		return pv_sentence_wrong(sentence,
		                         "option '--%s': 'queue-size' takes a power of two, not "
		                         "%llu",
		                         option, (unsigned long long)o->queue_size);
	if (o->kind == PV_NET_WIRE_USER && !o->has_ipv4 && !o->has_ipv6)
		return pv_sentence_wrong(sentence,
		                         "option '--%s': ipv4=off and ipv6=off leave nothing; "
		                         "leave one of them on",
		                         option);
	if (o->kind == PV_NET_WIRE_STREAM && o->is_server && o->reconnect_ms)
		return pv_sentence_wrong(sentence,
		                         "option '--%s': 'reconnect-ms' goes with server=off; "
		                         "leave it out",
		                         option);
	return are_keys_its_own(option, o, sentence);
}

/* ---- reading ---- */

/* Its own before those of other kinds: who is given twice is the first. */
static void list_keys(struct pv_option table[static PV_OPTION_KEYS_MAX], unsigned int kind,
                      const struct pv_option *more)
{
	unsigned int count = 0;

	pv_options_add_keys(table, &count, more);
	pv_options_add_keys(table, &count, device_keys);
	pv_options_add_keys(table, &count, own_keys[kind]);
	for (size_t other = 0; other < KINDS; other++)
		if (other != kind)
			pv_options_add_keys(table, &count, own_keys[other]);
	pv_options_add_keys(table, &count, pv_nic_switch_group.options);
}

/* Who brings `more` keys is a machine, and takes the two by whose devices others work by itself. */
static bool find_kind(const char *option, const struct pv_option *more, const char *text,
                      unsigned int *kind, char sentence[static PV_SENTENCE_BYTES])
{
	for (unsigned int i = 0; i < KINDS; i++)
		if (strcmp(kinds[i], text) == 0) {
			*kind = i;
			return true;
		}
	return pv_sentence_wrong(
		sentence,
		"option '--%s' begins with user, tap, stream, dgram, null%s echo%s, "
		"not '%.64s'",
		option, more ? "," : " or", more ? ", vhost-user or vhost-kernel" : "", text);
}

bool pv_nic_parse(const char *option, const struct pv_option *more, struct pv_nic_options *options,
                  char *text, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_option table[PV_OPTION_KEYS_MAX];
	char *keys = strchr(text, ',');

	options->option = option;
	if (keys)
		*keys++ = '\0';
	if (!find_kind(option, more, text, &options->kind, sentence))
		return false;
	list_keys(table, options->kind, more);
	return (!keys || pv_options_parse_keys(option, table, options, keys, sentence)) &&
	       are_good(option, options, sentence);
}
