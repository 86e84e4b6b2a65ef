/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/control/nic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "hosted/control/device_storage.h"
#include "hosted/control/nic_internal.h"
#include "hosted/control/sandbox.h"

/* The first byte of an address: of one station, and not given out by anybody. */
#define MAC_IS_LOCAL 0x02u
#define MAC_IS_GROUP 0x01u

/* ---- the address ---- */

/* FNV-1a: the same name gives the same address, two names hardly ever. */
static uint64_t hash_of(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
	return hash;
}

/* Returns false if the kernel has no random bytes. */
static bool choose_mac(const struct pv_nic_options *options, const char *name,
                       uint8_t mac[static VIRTIO_NET_MAC_BYTES])
{
	uint64_t bits;

	if (options->mac)
		return pv_nic_mac_parse(options->mac, mac);
	if (!options->identity) {
		if (getrandom(&bits, sizeof(bits), 0) != sizeof(bits))
			return false;
	} else {
		bits = hash_of(options->identity) * 31 + hash_of(name);
	}
	for (unsigned int i = 0; i < VIRTIO_NET_MAC_BYTES; i++)
		mac[i] = (uint8_t)(bits >> 8 * i);
	mac[0] = (uint8_t)((mac[0] & ~MAC_IS_GROUP) | MAC_IS_LOCAL);
	return true;
}

/* ---- loops ---- */

static bool has_one_source(const struct pv_nic_options *options)
{
	switch (options->kind) {
	case PV_NET_WIRE_USER:
	case PV_NET_WIRE_STREAM:
	case PV_NET_WIRE_DGRAM:
		return true;
	case PV_NET_WIRE_TAP:
		return options->steering != 0;
	default:
		return false;
	}
}

void pv_nic_extend(struct pv_service_extent *extent, const struct pv_nic_options *options,
                   uint64_t own_loops)
{
	unsigned int queues = pv_net_queues((uint16_t)options->pairs);

	extent->devices++;
	extent->queues += queues;
	extent->own_loops += (unsigned int)own_loops;
	if (own_loops > 0)
		extent->queues_on_own_loops += queues;
	else
		extent->queues_with_others +=
			queues - (has_one_source(options) ? 1 : (unsigned int)options->pairs);
}

/* Each loop twice: for both queues of a pair. */
static bool place(struct pv_nic *nic, const struct pv_nic_options *options,
                  struct pv_host_options *host)
{
	uint16_t loops = has_one_source(options) ? 1 : host->loops;

	nic->loop = calloc(2u * loops, sizeof(struct pv_loop *));
	if (!nic->loop)
		return false;
	for (uint16_t i = 0; i < loops; i++)
		nic->loop[2 * i] = nic->loop[2 * i + 1] = host->loop[i];
	host->loop = nic->loop;
	host->loops = (uint16_t)(2 * loops);
	return true;
}

/* ---- the wire ---- */

static const char *const *texts_of(const struct pv_option_texts *texts)
{
	return (const char *const *)texts->text;
}

static bool open_wire(struct pv_nic *nic, const struct pv_nic_options *o,
                      const struct pv_host_options *host, char sentence[static PV_SENTENCE_BYTES])
{
	int fd[PV_NIC_FDS_MAX];
	struct pv_net_wire_options options = {
		.kind = (enum pv_net_wire_kind)o->kind,
		.pairs = (uint16_t)o->pairs,
		.loop = host->loop,
		.loops = has_one_source(o) ? 1 : host->loops,
		.pcap = o->pcap,
		.ifname = o->ifname,
		.fd = fd,
		.has_no_headers = !o->has_headers,
		.has_one_source = has_one_source(o),
		.path = o->path,
		.local_path = o->local_path,
		.is_server = o->is_server,
		.reconnect_ms = (uint32_t)o->reconnect_ms,
		.net = o->net,
		.net6 = o->net6,
		.hostname = o->hostname,
		.dns = o->dns,
		.domain = o->domain,
		.tftp = o->tftp,
		.bootfile = o->bootfile,
		.hostfwd = texts_of(&o->hostfwd),
		.hostfwds = o->hostfwd.count,
		.has_no_ipv4 = !o->has_ipv4,
		.has_no_ipv6 = !o->has_ipv6,
		.is_restricted = o->is_restricted,
		.has_mtu = o->mtu != PV_OPTION_UNSET,
	};

	if (options.has_mtu)
		options.mtu = (uint16_t)o->mtu;
	return pv_nic_fds(o, fd, &options.fds, sentence) &&
	       pv_net_wire_open(&nic->wire, &options, sentence, PV_SENTENCE_BYTES) == 0;
}

/* What a wire of this kind asks of the kernel while it runs. */
static void allow_calls(const struct pv_nic_options *o)
{
	if (o->kind == PV_NET_WIRE_USER)
		pv_sandbox_allow(PV_SANDBOX_INTERNET);
	if (o->kind == PV_NET_WIRE_STREAM || o->kind == PV_NET_WIRE_DGRAM)
		pv_sandbox_allow(PV_SANDBOX_DIAL);
}

static void read_counters(void *arg, uint64_t *counters)
{
	struct pv_net_wire_counters of_wire = pv_net_wire_counters(arg);

	_Static_assert(sizeof(of_wire) <= PV_STATS_GROUND_MAX * sizeof(uint64_t), "room for all");
	memcpy(counters, &of_wire, sizeof(of_wire));
}

static void show_counters(const struct pv_nic *nic, struct pv_export *export)
{
	static const struct pv_counter_name names[] = {
		{ "lost", offsetof(struct pv_net_wire_counters, lost) },
		{ "bad", offsetof(struct pv_net_wire_counters, bad) },
		{ "reconnects", offsetof(struct pv_net_wire_counters, reconnects) },
		{ 0 },
	};
	const struct pv_stats_ground ground = { .names = names,
		                                .read = read_counters,
		                                .arg = nic->wire };

	pv_export_set_ground(export, &ground);
}

static bool blame(const struct pv_nic_options *o, char sentence[static PV_SENTENCE_BYTES])
{
	char option[64];

	snprintf(option, sizeof(option), "option '--%s'", o->option);
	return pv_sentence_about(sentence, option);
}

/* ---- the device ---- */

static uint64_t number_or(uint64_t number, uint64_t unset)
{
	return number == PV_OPTION_UNSET ? unset : number;
}

static void rx_filter_changed(void *arg)
{
	const struct pv_nic *nic = arg;

	if (nic->rx_filter_changed)
		nic->rx_filter_changed(nic->rx_filter_arg, nic);
}

static struct pv_net_options device_options(struct pv_nic *nic, const struct pv_nic_options *o)
{
	return (struct pv_net_options){
		.pairs = (uint16_t)o->pairs,
		.mtu = (uint16_t)number_or(o->mtu, 0),
		.queue_size_max = (uint16_t)o->queue_size,
		.without = pv_nic_without(o),
		.rate_in = { number_or(o->rate_in_packets, 0), number_or(o->rate_in, 0) },
		.rate_out = { number_or(o->rate_out_packets, 0), number_or(o->rate_out, 0) },
		.is_link_down = !o->is_link_up,
		.is_in_order = o->is_in_order,
		.no_packed = !o->is_packed,
		.rx_filter_changed = rx_filter_changed,
		.arg = nic,
	};
}

/* Returns 0 or -errno. */
static int make_device(struct pv_nic *nic, const struct pv_nic_options *o,
                       const struct pv_net_options *options, struct pv_host_options *host)
{
	int error;

	host->queues = pv_net_queues(options->pairs);
	host->has_timers = true;
	if (!place(nic, o, host))
		return -ENOMEM;
	error = pv_host_create(&nic->host, host);
	if (error)
		return error;
	nic->storage = pv_device_storage(pv_net_bytes(options->pairs));
	if (!nic->storage)
		return -ENOMEM;
	if (o->speed_mbit != PV_OPTION_UNSET)
		nic->wire->speed_mbit = (uint32_t)o->speed_mbit;
	nic->device = pv_net_init(nic->storage, pv_host_port(nic->host), nic->wire, options);
	return 0;
}

/* "user-mode network 10.0.2.0/24 (02:9b:e1:70:43:0c)" */
static int attach(struct pv_nic *nic, const uint8_t mac[static VIRTIO_NET_MAC_BYTES],
                  struct pv_export *export)
{
	char what[512], address[PV_NIC_MAC_TEXT_BYTES];

	snprintf(what, sizeof(what), "%s (%s)", pv_net_wire_text(nic->wire),
	         pv_nic_mac_text(mac, address));
	return pv_export_attach(export, nic->host, nic->device, what);
}

static bool open_on(struct pv_nic *nic, const struct pv_nic_options *o, struct pv_export *export,
                    char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_host_options host = pv_export_host(export);
	struct pv_net_options options = device_options(nic, o);
	int error = 0;

	allow_calls(o);
	nic->name = host.name;
	nic->mtu = options.mtu;
	pv_export_set_net(export, &pv_nic_front_end_ops, nic);
	if (!open_wire(nic, o, &host, sentence))
		return blame(o, sentence);
	show_counters(nic, export);
	if (!choose_mac(o, host.name, options.mac))
		error = -EAGAIN;
	if (!error)
		error = make_device(nic, o, &options, &host);
	if (!error)
		error = attach(nic, options.mac, export);
	return !error ||
	       pv_sentence_wrong(sentence, "cannot make the network device: %s", strerror(-error));
}

bool pv_nic_open(struct pv_nic *nic, const struct pv_nic_options *options,
                 const struct pv_export_options *export_options, struct pv_service *service,
                 char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_export *export;

	*nic = (struct pv_nic){ 0 };
	export = pv_service_export(service, PV_NIC_KIND, export_options, sentence);
	if (export && open_on(nic, options, export, sentence))
		return true;
	pv_nic_close(nic);
	return false;
}

void pv_nic_close(struct pv_nic *nic)
{
	if (nic->host)
		pv_host_destroy(nic->host);
	free(nic->storage);
	if (nic->wire)
		pv_net_wire_close(nic->wire);
	free(nic->loop);
	*nic = (struct pv_nic){ 0 };
}
