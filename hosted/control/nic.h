/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network device with its wire and its host, built from command-line options: what `serve net`
 * puts behind a socket, and a machine on a bus.
 *
 * The options are the keys of one value, KIND[,KEY=VALUE...]: nic_keys.c has those of the device
 * and of each kind of wire, nic_switches.c the features that can be switched off by the names that
 * QEMU gives them.
 *
 * Both queues of a pair are on one loop, where the wire of that pair is watched.  Where a wire has
 * one source for all pairs the whole device is on one loop.
 */
#ifndef PV_HOSTED_NIC_H
#define PV_HOSTED_NIC_H

#include "devices/net/net.h"
#include "hosted/backends/net_wire.h"
#include "hosted/control/options.h"
#include "hosted/control/service.h"

/* Features that can be switched off. */
#define PV_NIC_SWITCHES_MAX 32u

/* vhost-user names a queue in eight bits, and the control queue is one of them. */
#define PV_NIC_PAIRS_MAX 127u

/* What the keys write. Start with pv_nic_defaults(). */
struct pv_nic_options {
	const char *option; /* no key: the name of the option that they are the value of */
	unsigned int kind;  /* enum pv_net_wire_kind */

	/* the device */
	const char *mac;      /* NULL: see `identity` */
	const char *identity; /* no key: what a MAC address is derived from; NULL: it is random */
	uint64_t mtu;         /* PV_OPTION_UNSET: not told */
	uint64_t pairs;
	uint64_t queue_size;
	uint64_t speed_mbit; /* PV_OPTION_UNSET: the wire's own */
	uint64_t rate_in, rate_out;
	uint64_t rate_in_packets, rate_out_packets; /* PV_OPTION_UNSET, all: no limit */
	bool is_link_up;
	bool is_in_order;
	bool is_packed;
	bool has[PV_NIC_SWITCHES_MAX];
	const char *pcap;

	/* tap, stream, dgram */
	const char *fds; /* "3:4" */
	const char *ifname;
	bool has_headers;
	unsigned int steering; /* 0: the kernel, 1: the device */
	const char *path, *local_path;
	bool is_server;
	uint64_t reconnect_ms;

	/* user */
	const char *net, *net6, *hostname, *dns, *domain, *tftp, *bootfile;
	struct pv_option_texts hostfwd;
	bool has_ipv4, has_ipv6, is_restricted;
};

struct pv_nic_options pv_nic_defaults(void);

/* The keys, for --help; ended by NULL. */
extern const struct pv_option_group *const pv_nic_key_groups[];

/*
 * Takes in the value of an option, KIND[,KEY=VALUE...]. `more` are keys beyond those of a network
 * device, or NULL; their offsets count from `options`, which is then the beginning of a larger
 * structure. `text` is changed, and texts point into it; `option` must last as they do. False with
 * a sentence that names `option`.
 */
bool pv_nic_parse(const char *option, const struct pv_option *more, struct pv_nic_options *options,
                  char *text, char sentence[static PV_SENTENCE_BYTES]);

/* Bits of VIRTIO_NET_F_* that are switched off, with those that need one of them. */
uint64_t pv_nic_without(const struct pv_nic_options *options);

/* "52:54:00:12:34:56", an address of one station. Returns whether it is one. */
bool pv_nic_mac_parse(const char *text, uint8_t mac[static VIRTIO_NET_MAC_BYTES]);
#define PV_NIC_MAC_TEXT_BYTES 18
const char *pv_nic_mac_text(const uint8_t mac[static VIRTIO_NET_MAC_BYTES],
                            char text[static PV_NIC_MAC_TEXT_BYTES]);

#define PV_NIC_KIND "net"

/* Adds what it needs to the extent of a service; `own_loops` are those of its export. */
void pv_nic_extend(struct pv_service_extent *extent, const struct pv_nic_options *options,
                   uint64_t own_loops);

/* A frame of ours that its lane is to send. */
struct pv_nic_rarp {
	struct pv_loop_message message;
	bool is_out; /* atomic: it has not been sent yet */
	uint8_t mac[VIRTIO_NET_MAC_BYTES];
};

struct pv_nic {
	const char *name; /* in control commands */
	struct pv_net_wire *wire;
	struct pv_host *host;
	struct pv_device *device;
	void *storage;         /* the device's */
	struct pv_loop **loop; /* of its queues */
	uint16_t mtu;          /* that a driver may be told; 0: none */
	struct pv_nic_rarp rarp;

	/*
	 * Control side: the driver changed what it wants to receive, for the first time since the
	 * filter was asked for. For the caller to set; may be NULL.
	 */
	void (*rx_filter_changed)(void *arg, const struct pv_nic *nic);
	void *rx_filter_arg;
};

/*
 * Opens the wire and makes the device, an export of the service. `nic` stays where it is until it
 * is closed. Returns false with a sentence that names the key at fault; nothing is left then.
 */
bool pv_nic_open(struct pv_nic *nic, const struct pv_nic_options *options,
                 const struct pv_export_options *export, struct pv_service *service,
                 char sentence[static PV_SENTENCE_BYTES]);

/*
 * Its queues are stopped and the loops' threads have ended, but the loops are there, and the
 * service. One that was not opened is all zero, and may be closed.
 */
void pv_nic_close(struct pv_nic *nic);

#endif
