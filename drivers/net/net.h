/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver of the virtio network device (virtio 1.3, section 5.1).
 *
 * A pair of queues sends and receives.  A user fills in packets and submits them to a sending
 * queue, gives buffers to a receiving one, publishes (once for many), and polls:
 *
 *     pv_netdrv_send(tx, &packet)      any number of times
 *     pv_netdrv_publish(tx)            the device sees them, and is kicked if it wants to be
 *     pv_netdrv_poll(tx, 0)            calls packet.done, or sets packet.is_done
 *
 *     pv_netdrv_post(rx, &buffer)      any number of times
 *     pv_netdrv_publish(rx)
 *     pv_netdrv_poll(rx, 0)            calls options.received with the buffers of each packet
 *
 * Or the driver has receive buffers of its own (options.own_buffer_bytes): then nothing is to be
 * posted, and a packet is the user's until `received` returns.
 *
 * What goes through one descriptor is cheapest: a packet whose first buffer has room before it for
 * the header (has_headroom), and receive buffers, which begin with it.
 *
 * The device is hostile.  Its configuration is copied and checked before it is believed, and so is
 * the header of a received packet: one that makes no sense, a length, or a count of buffers that
 * cannot be, is counted (`malformed`), and its buffers are posted again.  A used entry it makes up
 * breaks the queue.  A broken queue, a device that asks for a reset, or one that never answers:
 * pv_netdrv_tend(), called now and then, resets it, tells it again what it was told by commands,
 * and goes on with what is in flight; pv_netdrv_fail() ends it.
 *
 * Control functions are for one thread; each queue is for one thread at a time.
 */
#ifndef PV_DRIVERS_NET_H
#define PV_DRIVERS_NET_H

#include "abi/virtio_net.h"
#include "drivers/core/driver.h"

/* All feature bits that this driver can make use of. */
#define PV_NETDRV_FEATURES                                                                         \
	(PV_DRIVER_FEATURES | VIRTIO_F_ANY_LAYOUT | VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM |  \
	 VIRTIO_NET_F_CTRL_GUEST_OFFLOADS | VIRTIO_NET_F_MTU | VIRTIO_NET_F_MAC |                  \
	 VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_GUEST_ECN |              \
	 VIRTIO_NET_F_GUEST_UFO | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 |                \
	 VIRTIO_NET_F_HOST_ECN | VIRTIO_NET_F_HOST_UFO | VIRTIO_NET_F_MRG_RXBUF |                  \
	 VIRTIO_NET_F_STATUS | VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_CTRL_RX |                       \
	 VIRTIO_NET_F_CTRL_VLAN | VIRTIO_NET_F_CTRL_RX_EXTRA | VIRTIO_NET_F_GUEST_ANNOUNCE |       \
	 VIRTIO_NET_F_MQ | VIRTIO_NET_F_CTRL_MAC_ADDR | VIRTIO_NET_F_DEVICE_STATS |                \
	 VIRTIO_NET_F_VQ_NOTF_COAL | VIRTIO_NET_F_NOTF_COAL | VIRTIO_NET_F_GUEST_USO4 |            \
	 VIRTIO_NET_F_GUEST_USO6 | VIRTIO_NET_F_HOST_USO | VIRTIO_NET_F_HASH_REPORT |              \
	 VIRTIO_NET_F_GUEST_HDRLEN | VIRTIO_NET_F_RSS | VIRTIO_NET_F_SPEED_DUPLEX)

/* Bytes of a frame, from the destination's address on, without its check sequence. */
#define PV_NETDRV_FRAME_MIN 14u
#define PV_NETDRV_FRAME_MAX 65589u /* an IPv6 packet that is the longest */

/* Room before a packet, for the longest header. */
#define PV_NETDRV_HEADROOM 20u

struct pv_netdrv;
struct pv_netdrv_queue;
struct pv_netdrv_buffer;
struct pv_netdrv_received;

struct pv_netdrv_options {
	uint64_t required;     /* features without which it is of no use; 0: none but VERSION_1 */
	uint64_t wanted;       /* features to accept when offered; 0: PV_NETDRV_FEATURES */
	uint16_t pairs;        /* at most; 0: one. More than one needs MQ or RSS */
	uint16_t queue_size;   /* of each, at most; 0: as the device likes */
	uint16_t segments_max; /* pieces that a packet or a buffer is in, at most; 0: 18 */
	uint64_t timeout_ns;   /* for the confirmation of a reset; 0: PV_DRIVER_TIMEOUT_NS */
	uint64_t send_timeout_ns;    /* of each packet, until it was sent; 0: it waits for ever */
	uint64_t command_timeout_ns; /* of each command; 0: PV_DRIVER_TIMEOUT_NS */
	uint32_t command_bytes;      /* the longest data, and the longest answer; 0: 4096 */
	/*
	 * What becomes of packets on their way out when the device has to be reset: they end with
	 * -PV_EBROKEN, or (false) the device is given them once more.
	 */
	bool fails_on_reset;
	/*
	 * Each receiving queue has as many buffers of the driver's own as it has places, of so many
	 * bytes (info.buffer_bytes_min at least, or it is that). 0: the user posts buffers.
	 */
	uint32_t own_buffer_bytes;

	/*
	 * Called by the poll that finds a packet. Buffers of the user's are his again; he may post
	 * them and send, but must not poll. May be NULL where nothing is received.
	 */
	void (*received)(struct pv_netdrv_queue *rx, const struct pv_netdrv_received *packet,
	                 void *arg);
	/*
	 * A posted buffer comes back with nothing in it, since it is over: -PV_EBROKEN (see
	 * pv_netdrv_fail), -PV_EIO (pv_netdrv_queue_reset). May be NULL.
	 */
	void (*returned)(struct pv_netdrv_queue *rx, struct pv_netdrv_buffer *buffer, int error,
	                 void *arg);
	void *arg;
};

/* What the device is, checked. Fixed from the start on. */
struct pv_netdrv_info {
	uint64_t features; /* negotiated */
	bool has_mac;      /* else the user has to choose one */
	bool has_control;  /* commands */
	uint8_t mac[VIRTIO_NET_MAC_BYTES];
	uint16_t pairs;            /* that were set up */
	uint16_t pairs_max;        /* that the device has */
	uint16_t mtu;              /* of frames not to be cut; 0: it does not say */
	uint16_t header_bytes;     /* that stand before each packet */
	uint32_t buffer_bytes_min; /* of a receive buffer, header and all */
	/* RSS and hashes: most bytes of a key, most entries of a table, and kinds. */
	uint16_t rss_key_bytes_max;
	uint16_t rss_table_max;
	uint32_t hash_types;
};

struct pv_netdrv_link {
	bool is_up;
	bool must_announce; /* tell the network where we are, then pv_netdrv_announced() */
	bool is_full_duplex;
	uint32_t speed_mbit; /* 0: not known */
};

/* ---- control ---- */

/*
 * Brings the device up, with pair 0 in use. Returns 0; -PV_EBROKEN for a configuration that makes
 * no sense; or an error of pv_driver_init() or pv_driver_queue_init(). `bus` and `os` must outlive
 * the driver.
 */
int pv_netdrv_create(struct pv_netdrv **net, struct pv_bus *bus, struct pv_os *os,
                     const struct pv_netdrv_options *options);

/*
 * Resets the device and frees the driver, once no thread uses it; what is still in flight ends as
 * by pv_netdrv_fail().
 */
void pv_netdrv_destroy(struct pv_netdrv *net);

const struct pv_netdrv_info *pv_netdrv_info(const struct pv_netdrv *net);

/* The queues of a pair, from 0 to info.pairs - 1; NULL beyond. */
struct pv_netdrv_queue *pv_netdrv_rx(struct pv_netdrv *net, uint16_t pair);
struct pv_netdrv_queue *pv_netdrv_tx(struct pv_netdrv *net, uint16_t pair);

/* The link, as last read. Without VIRTIO_NET_F_STATUS it is up. */
struct pv_netdrv_link pv_netdrv_link(const struct pv_netdrv *net);

/*
 * The bus said that the configuration changed: reads the link anew. Returns 0; -PV_EBROKEN when the
 * device asks for a reset; or an error of the bus.
 */
int pv_netdrv_config_changed(struct pv_netdrv *net);

/*
 * Is it over with this device: a queue is broken, NEEDS_RESET, or the bus is gone? To be asked now
 * and then; it reads the status over the bus.
 */
bool pv_netdrv_is_broken(struct pv_netdrv *net);

/*
 * Looks after the device, to be called now and then (pv_netdrv_deadline_ns says when at the
 * latest): one that asks for a reset, has broken a queue, or has a packet or a command for longer
 * than that may take is reset and brought up again, see pv_netdrv_recover(). Control, while no
 * other thread uses a queue; it polls. Returns 0 when all is well; 1 when the device was brought up
 * again; or an error, and everything has ended.
 */
int pv_netdrv_tend(struct pv_netdrv *net);

/* When the first of what is in flight will have taken too long; UINT64_MAX: never. */
uint64_t pv_netdrv_deadline_ns(const struct pv_netdrv *net);

/*
 * Resets the device, negotiates what was negotiated before, repeats the commands whose effect is
 * lost, posts the receive buffers again, and hands it once more all packets that were on their way
 * out; some may be sent twice, and in another order. Packets whose time is over end with
 * -PV_ETIMEDOUT instead, and all with -PV_EBROKEN if that was asked for (fails_on_reset). Lists of
 * buffers must still be there, unlike otherwise. Control, while no other thread uses a queue;
 * interrupts are off and vectors are the bus's to set again afterwards. Returns 0; or an error, and
 * everything has ended as by pv_netdrv_fail(): -PV_EFEATURES, -PV_EBROKEN when it is not the same
 * device any more or refuses a command, -PV_ETIMEDOUT, or an error of the bus.
 */
int pv_netdrv_recover(struct pv_netdrv *net);

/*
 * Ends it: resets the device, then ends every packet with -PV_EBROKEN, and returns every buffer.
 * Control, while no other thread uses a queue. What is left to do then is pv_netdrv_destroy(), or
 * pv_netdrv_recover(). Returns 0; -PV_ETIMEDOUT or an error of the bus when the device did not
 * confirm: it may then still write to those buffers.
 */
int pv_netdrv_fail(struct pv_netdrv *net);

/* Where the device sees a packet or a buffer: in one piece, or in several by a slot. The driver's.
 */
struct pv_netdrv_place {
	struct pv_sg piece;
	uint16_t pieces;
	uint16_t slot;
};

/* ---- sending ---- */

/*
 * One packet, in the caller's storage, which must stay until it is done; zero what is not used. The
 * list of buffers is needed at submission, and by pv_netdrv_recover(); the buffers are the device's
 * until it is done.
 */
struct pv_netdrv_packet {
	struct pv_driver_request base; /* the driver's */

	const struct pv_buffer *buffer; /* the frame */
	uint16_t buffers;
	/*
	 * The PV_NETDRV_HEADROOM bytes before the first buffer are the driver's until it is done.
	 * The port maps them with the buffer; the driver writes to them.
	 */
	bool has_headroom;

	/* Work left to the device, by the features VIRTIO_NET_F_CSUM and _HOST_*; zero: none. */
	bool needs_checksum; /* from csum_start to the end, put at csum_start + csum_offset */
	uint8_t gso_type;    /* VIRTIO_NET_HDR_GSO_*, with GSO_ECN where CWR is set */
	uint16_t hdr_len;    /* to be cut: of the headers that each piece gets, exactly */
	uint16_t gso_size;   /* to be cut: bytes of each piece behind them */
	uint16_t csum_start;
	uint16_t csum_offset;

	bool is_done;
	/* The result: 0: the device took it; -PV_ETIMEDOUT; -PV_EIO; -PV_EBROKEN. */
	int error;

	/* Called by the poll that finds it done; may send, must not poll. NULL: see is_done. */
	void (*done)(struct pv_netdrv_packet *packet);
	void *arg;           /* the caller's */
	uint64_t timeout_ns; /* until it is overdue, see pv_netdrv_tend(); 0: as the options say */

	struct pv_netdrv_place place; /* the driver's */
};

/*
 * Adds a packet to a sending queue. Returns 0, and it will be done once; or, and it never will:
 * -PV_ENOSPC while the queue is full; -PV_EINVAL for a frame that is too short, longer than the MTU
 * allows and not to be cut, in too many pieces, or whose offsets point beyond its end; -PV_ENOTSUP
 * for work that the device does not do; -PV_ENOMEM while the port cannot map it; -PV_EBROKEN.
 */
int pv_netdrv_send(struct pv_netdrv_queue *tx, struct pv_netdrv_packet *packet);

/* ---- receiving ---- */

/*
 * A receive buffer, in the caller's storage, which must stay until it comes back. Its memory begins
 * with room for a header, which the driver reads there (after the port's unmap, where there is
 * one), so the pointer must be good for that.
 */
struct pv_netdrv_buffer {
	struct pv_driver_request base; /* the driver's */
	struct pv_buffer memory;       /* info.buffer_bytes_min at least */
	void *arg;                     /* the caller's */

	/* What came: a piece of a frame, and the buffer that has the next one. */
	uint32_t at; /* from memory's begin on */
	uint32_t bytes;
	struct pv_netdrv_buffer *next;

	/* The driver's. */
	struct pv_netdrv_place place;
	bool is_own;
	bool is_posted; /* of its own ones */
};

enum pv_netdrv_checksum {
	PV_NETDRV_CHECKSUM_UNKNOWN, /* whoever wants to know has to look */
	PV_NETDRV_CHECKSUM_VALID,   /* the device has looked */
	/* It never went over a wire: only the pseudo header is in it. To be trusted, and finished
	 * from csum_start to the end, at csum_start + csum_offset, before it goes on. */
	PV_NETDRV_CHECKSUM_PARTIAL,
};

/* A packet that came, checked: offsets lie within it. */
struct pv_netdrv_received {
	struct pv_netdrv_buffer *buffer; /* the first */
	uint16_t buffers;
	uint32_t bytes; /* of the frame, PV_NETDRV_FRAME_MIN to PV_NETDRV_FRAME_MAX */
	enum pv_netdrv_checksum checksum;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint8_t gso_type; /* of several in one: VIRTIO_NET_HDR_GSO_*, as negotiated */
	uint16_t gso_size;
	uint16_t hdr_len;    /* a hint, at most `bytes` */
	uint8_t hash_report; /* VIRTIO_NET_HASH_REPORT_* */
	uint32_t hash_value;
};

/*
 * Gives a buffer to a receiving queue. Returns 0; -PV_ENOSPC while the queue is full; -PV_EINVAL
 * for one that is too small or in too many pieces; -PV_ENOMEM while the port cannot map it;
 * -PV_EBROKEN.
 */
int pv_netdrv_post(struct pv_netdrv_queue *rx, struct pv_netdrv_buffer *buffer);

/* ---- both ---- */

/* Shows the device what was added, and kicks it if it wants to be. */
void pv_netdrv_publish(struct pv_netdrv_queue *queue);

/*
 * Ends the packets that the device has sent; or hands on those that it has received, and publishes
 * what of buffers is posted again by itself. At most `packets_max` of them; 0: as many as the queue
 * has places. Returns how many. On a broken queue 0, for good.
 */
uint32_t pv_netdrv_poll(struct pv_netdrv_queue *queue, uint32_t packets_max);

bool pv_netdrv_queue_is_broken(const struct pv_netdrv_queue *queue);

/*
 * Asks for one interrupt, to be called before each sleep: true if there is something to poll for
 * already that no interrupt will announce, on a broken queue never. Interrupts are off at the
 * start.
 */
bool pv_netdrv_interrupts_on(struct pv_netdrv_queue *queue);
void pv_netdrv_interrupts_off(struct pv_netdrv_queue *queue);

/*
 * Polls and sleeps (port: wait) until `*is_done`, which a callback sets, or is a packet's. Returns
 * 0; -PV_ETIMEDOUT after `timeout_ns`; -PV_EBROKEN when the queue broke.
 */
int pv_netdrv_wait(struct pv_netdrv_queue *queue, const bool *is_done, uint64_t timeout_ns);

/*
 * Control, while no thread uses the queue. Takes the queue back from the device and gives it back,
 * the driver's own buffers posted again; all else ends with -PV_EIO, and what callbacks add is
 * refused. Returns 0; -PV_ENOTSUP without VIRTIO_F_RING_RESET; or an error of the bus.
 */
int pv_netdrv_queue_reset(struct pv_netdrv_queue *queue);

/* Written by the queue's thread. */
struct pv_netdrv_counters {
	uint64_t packets;   /* sent, or received */
	uint64_t bytes;     /* of frames submitted, or received */
	uint64_t errors;    /* not sent: ended with an error */
	uint64_t malformed; /* received ones that made no sense */
	uint64_t kicks;     /* sent */
	uint64_t lies;      /* used lengths beyond what could have been written */
	uint64_t repeats;   /* packets and buffers handed to the device once more */
	uint64_t overdue;   /* ended since they took too long */
};

struct pv_netdrv_counters pv_netdrv_queue_counters(const struct pv_netdrv_queue *queue);

/* Places in the queue's ring. */
uint16_t pv_netdrv_queue_size(const struct pv_netdrv_queue *queue);

/* ---- commands ---- */

/*
 * One of the control queue (section 5.1.6.5), for what has no function below. It is not repeated
 * after a reset.
 */
struct pv_netdrv_command {
	uint8_t command_class; /* VIRTIO_NET_CTRL_* */
	uint8_t command;       /* VIRTIO_NET_CTRL_*_* */
	const void *data;
	uint32_t bytes;       /* at most options.command_bytes */
	uint32_t first_bytes; /* of them, in a buffer of their own; 0: they are in one */
	void *answer;
	uint32_t answer_bytes;   /* the same */
	uint32_t answered_bytes; /* that the device says it wrote; never more than were asked for */
};

/*
 * Sends a command and waits for it (port: wait), at most options.command_timeout_ns. Control.
 * Returns 0; -PV_EIO when the device refuses it; -PV_ENOTSUP without a control queue; -PV_EINVAL
 * for more bytes than there is room for; -PV_ETIMEDOUT, and it is in flight still; -PV_EBUSY while
 * such a one is; -PV_EBROKEN.
 *
 * The functions below return the same, -PV_ENOTSUP where the feature for it was not negotiated.
 */
int pv_netdrv_command(struct pv_netdrv *net, struct pv_netdrv_command *command);

/* What is received: VIRTIO_NET_CTRL_RX_*, on or off. */
int pv_netdrv_set_rx_mode(struct pv_netdrv *net, uint8_t mode, bool is_on);

/* Addresses to receive beside the device's own, in place of those before, 6 bytes each. */
int pv_netdrv_set_macs(struct pv_netdrv *net, const uint8_t *unicast, uint32_t unicasts,
                       const uint8_t *multicast, uint32_t multicasts);

/* The device's own address; a legacy device may have it written to its configuration. */
int pv_netdrv_set_mac(struct pv_netdrv *net, const uint8_t mac[VIRTIO_NET_MAC_BYTES]);

/* Receives frames of a VLAN (0 to 4095), or does not any more. */
int pv_netdrv_set_vlan(struct pv_netdrv *net, uint16_t vlan, bool is_in);

/* The network was told where we are (link.must_announce). */
int pv_netdrv_announced(struct pv_netdrv *net);

/* The first `pairs` are in use from here on; 1 to info.pairs, else -PV_EINVAL. */
int pv_netdrv_set_pairs(struct pv_netdrv *net, uint16_t pairs);

/* Where a packet is received, by its hash. */
struct pv_netdrv_rss {
	uint32_t hash_types;
	uint16_t pairs;        /* in use: 1 to info.pairs */
	uint16_t unclassified; /* pair of what has no hash */
	const uint16_t *table; /* of pairs */
	uint16_t table_length; /* a power of two, at most info.rss_table_max */
	const uint8_t *key;
	uint16_t key_bytes; /* at most info.rss_key_bytes_max */
};
int pv_netdrv_set_rss(struct pv_netdrv *net, const struct pv_netdrv_rss *rss);

/* The hashes that received packets come with. */
int pv_netdrv_set_hash(struct pv_netdrv *net, uint32_t hash_types, const uint8_t *key,
                       uint16_t key_bytes);

/* What may come unfinished: of the negotiated features VIRTIO_NET_F_GUEST_*. */
int pv_netdrv_set_guest_offloads(struct pv_netdrv *net, uint64_t offloads);

/* An interrupt comes after so many packets, or so long after the first. */
struct pv_netdrv_coalescing {
	uint32_t max_packets;
	uint32_t max_usecs;
};
/* Of all queues of a kind; of one; and what one has. */
int pv_netdrv_set_rx_coalescing(struct pv_netdrv *net, struct pv_netdrv_coalescing coalescing);
int pv_netdrv_set_tx_coalescing(struct pv_netdrv *net, struct pv_netdrv_coalescing coalescing);
int pv_netdrv_set_queue_coalescing(struct pv_netdrv_queue *queue,
                                   struct pv_netdrv_coalescing coalescing);
int pv_netdrv_queue_coalescing(struct pv_netdrv_queue *queue,
                               struct pv_netdrv_coalescing *coalescing);

/* The kinds of statistics that the device has: VIRTIO_NET_STATS_TYPE(). */
int pv_netdrv_stats_types(struct pv_netdrv *net, uint64_t *types);

/*
 * Statistics of one queue, as the specification numbers it, or of the control queue
 * (pv_netdrv_control_index): replies of the given kinds, one after the other, into `to`. Each is
 * the device's word: what does not begin with a struct virtio_net_stats_reply_hdr of a kind that
 * was asked for and of this queue, and fit, is cut off. `*bytes`: in: room; out: of whole replies.
 */
int pv_netdrv_stats(struct pv_netdrv *net, uint16_t index, uint64_t types, void *to,
                    uint32_t *bytes);

/* The index of the control queue, and of any other. */
uint16_t pv_netdrv_control_index(const struct pv_netdrv *net);
uint16_t pv_netdrv_queue_index(const struct pv_netdrv_queue *queue);

#endif
