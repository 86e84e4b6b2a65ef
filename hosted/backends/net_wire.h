/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wires for network devices (devices/net/wire.h): a user-mode network, a tap interface, Unix
 * sockets, and two for measuring.
 *
 * A wire watches its descriptors on the loops of the lanes that use it, from its opening on.  It
 * has no threads, and what it does never waits.
 */
#ifndef PV_HOSTED_NET_WIRE_H
#define PV_HOSTED_NET_WIRE_H

#include "devices/net/wire.h"
#include "hosted/loop/loop.h"

enum pv_net_wire_kind {
	PV_NET_WIRE_USER,   /* NAT by libslirp, in this process, without privileges */
	PV_NET_WIRE_TAP,    /* an interface of the host */
	PV_NET_WIRE_STREAM, /* a Unix stream socket, frames behind 32 bits of length: QEMU, passt */
	PV_NET_WIRE_DGRAM,  /* a Unix datagram socket, a frame a message */
	PV_NET_WIRE_NULL,   /* takes everything, gives nothing */
	PV_NET_WIRE_ECHO,   /* gives back what it takes */
};

struct pv_net_wire_options {
	enum pv_net_wire_kind kind;
	uint16_t pairs; /* of the device */

	/* Where the lanes of pair i are: on loop[i % loops]. */
	struct pv_loop **loop;
	uint16_t loops;

	const char *pcap; /* a file to trace to, or NULL */

	/* tap */
	const char *ifname; /* NULL: any that is free */
	const int *fd;      /* instead: opened before, one for each pair */
	uint16_t fds;
	bool has_no_headers; /* do not use the vnet header */
	bool has_one_source; /* one queue for receiving, so that the device can choose */

	/* stream, dgram; the passed descriptor is fd[0] */
	const char *path;       /* of the other end, or of ours where we are the server */
	const char *local_path; /* dgram: ours */
	bool is_server;
	uint32_t reconnect_ms; /* stream clients: try again after so long at first; 0: never */

	/* user */
	const char *net;      /* IPv4 network "10.0.2.0/24"; NULL: this */
	const char *net6;     /* IPv6 prefix "fec0::/64"; NULL: this */
	const char *hostname; /* of the guest, for DHCP */
	const char *dns;      /* NULL: the host's */
	const char *domain;
	const char *tftp, *bootfile;
	const char *const *hostfwd; /* "tcp:HOSTADDR:HOSTPORT-GUESTADDR:GUESTPORT" */
	uint16_t hostfwds;
	bool has_no_ipv4, has_no_ipv6;
	bool is_restricted; /* nothing gets out but what is forwarded */
	bool has_mtu;
	uint16_t mtu; /* if so */
};

/*
 * Returns 0 and the wire, or -errno with a sentence in `error` (of `error_bytes`) that names the
 * key at fault as the command line spells it, and the remedy. Descriptors that were passed belong
 * to the wire if it succeeds.
 */
int pv_net_wire_open(struct pv_net_wire **wire, const struct pv_net_wire_options *options,
                     char *error, size_t error_bytes);

/* No queue runs, and the loops do not either. */
void pv_net_wire_close(struct pv_net_wire *wire);

/*
 * What it does later that not every device does, for who closes the doors
 * (hosted/control/sandbox.h): these, or-ed.
 */
enum pv_net_wire_need {
	PV_NET_WIRE_NEEDS_DIAL = 1,     /* connect to Unix sockets */
	PV_NET_WIRE_NEEDS_INTERNET = 2, /* sockets of the Internet, and files to read */
};
unsigned int pv_net_wire_needs(const struct pv_net_wire *wire);

/* What it is, in a few words: "tap tap0", "user-mode network 10.0.2.0/24". The wire's. */
const char *pv_net_wire_text(const struct pv_net_wire *wire);

/* Any thread. What became of frames that no counter of the device knows of. */
struct pv_net_wire_counters {
	uint64_t lost;       /* taken, but nobody was there to take them */
	uint64_t bad;        /* came in too short, too long or broken */
	uint64_t reconnects; /* of the other end */
};
struct pv_net_wire_counters pv_net_wire_counters(const struct pv_net_wire *wire);

#endif
