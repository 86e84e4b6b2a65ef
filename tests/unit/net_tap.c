/* SPDX-License-Identifier: BSD-2-Clause */
/* The wire to a tap interface, in a network of the test's own; the other side is the kernel. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/net/hash.h"
#include "tests/support/descriptors.h"
#include "tests/support/netns.h"
#include "tests/support/wire_rig.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static const struct pv_net_wire_options tap0 = { .kind = PV_NET_WIRE_TAP, .ifname = "tap0" };

#define HEADERS (VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_USO4 | VIRTIO_NET_F_GUEST_USO6)

/* ---- frames of a protocol that the kernel does not know ---- */

static void wake(void *arg, int events)
{
	(void)arg;
	(void)events;
}

static int open_packet_socket(void)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
		                  .sll_protocol = htons(0x88b5),
		                  .sll_ifindex = (int)if_nametoindex("tap0") };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int bytes = 8 << 20;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* A frame that came from the wire goes back to it; what we sent ourselves is seen here too. */
static bool send_back(struct wire_rig *rig)
{
	static uint8_t frame[PV_NET_FRAME_MAX];
	const int *fd = rig->arg;
	struct sockaddr_ll from;
	socklen_t from_bytes = sizeof(from);
	ssize_t got = recvfrom(*fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &from_bytes);

	if (got <= 0)
		return false;
	if (from.sll_pkttype != PACKET_OUTGOING)
		assert_int_equal(send(*fd, frame, (size_t)got, 0), got);
	return true;
}

static void go_both_ways(struct pv_net_wire_options options)
{
	struct wire_rig rig;
	int fd, before = descriptors_open();

	wire_rig_open(&rig, options);
	fd = open_packet_socket();
	rig.arg = &fd;
	rig.also = send_back;
	pv_loop_watch(rig.loop, fd, POLLIN, wake, NULL);
	rig.burst_max = 8;
	rig.to_send = rig.to_receive = 10000;
	wire_rig_run(&rig);
	assert_int_equal(pv_net_wire_counters(rig.wire).lost, 0);
	assert_int_equal(pv_net_wire_counters(rig.wire).bad, 0);
	wire_rig_close(&rig);
	close(fd);
	assert_int_equal(descriptors_open(), before - options.fds);
}

static void frames_go_both_ways_in_order_and_intact(void **state)
{
	(void)state;
	go_both_ways(tap0);
}

static void frames_go_both_ways_without_headers(void **state)
{
	struct pv_net_wire_options options = tap0;

	(void)state;
	options.has_no_headers = true;
	go_both_ways(options);
}

/* ---- UDP to and from the kernel ---- */

/* The driver is 10.9.0.2, the host 10.9.0.1. */
#define GUEST_MAC "02:00:00:00:00:02"

static void open_with_address(struct wire_rig *rig, struct pv_net_wire_options options)
{
	wire_rig_open(rig, options);
	netns_ip("addr add 10.9.0.1/24 dev tap0");
	netns_ip("link set tap0 address 02:00:00:00:00:01 up");
	netns_ip("neigh replace 10.9.0.2 lladdr " GUEST_MAC " dev tap0");
	/* So that what has come is known to be there. */
	rig->receive_max = 0;
	wire_rig_run_ms(rig, 5);
}

static uint16_t sum(const uint8_t *bytes, uint32_t count, uint32_t start)
{
	for (uint32_t i = 0; i < count; i++)
		start += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (start >> 16)
		start = (start & 0xffff) + (start >> 16);
	return (uint16_t)start;
}

/* Of the addresses, the protocol and the length. */
static uint32_t pseudo_sum(const uint8_t *frame, uint32_t udp_bytes)
{
	return sum(frame + 26, 8, 17 + udp_bytes);
}

#define UDP_AT     34u
#define PAYLOAD_AT 42u

/* A datagram from port 7 of the driver's to 10.9.0.1:`port`, its checksum 0. Returns its bytes. */
static uint32_t make_datagram(uint8_t *frame, uint16_t port, uint32_t payload)
{
	static const uint8_t start[PAYLOAD_AT] = {
		2,    0, 0, 0, 0,  1, 2, 0, 0,  0,  0, 2, 8, 0, /* Ethernet */
		0x45, 0, 0, 0, 0,  0, 0, 0, 64, 17, 0, 0,       /* IPv4 */
		10,   9, 0, 2, 10, 9, 0, 1,                     /* from, to */
		0,    7, 0, 0, 0,  0, 0, 0,                     /* UDP */
	};
	uint16_t ip_bytes = htons((uint16_t)(28 + payload));
	uint16_t udp_bytes = htons((uint16_t)(8 + payload));
	uint16_t check;

	memcpy(frame, start, sizeof(start));
	memcpy(frame + 16, &ip_bytes, 2);
	check = htons((uint16_t)~sum(frame + 14, 20, 0));
	memcpy(frame + 24, &check, 2);
	port = htons(port);
	memcpy(frame + 36, &port, 2);
	memcpy(frame + 38, &udp_bytes, 2);
	for (uint32_t i = 0; i < payload; i++)
		frame[PAYLOAD_AT + i] = (uint8_t)(i * 7);
	return PAYLOAD_AT + payload;
}

static int open_udp(uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		                  .sin_port = htons(port),
		                  .sin_addr.s_addr = htonl(0x0a090001) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static const struct sockaddr_in to_guest = { .sin_family = AF_INET,
	                                     .sin_port = 0x0700,
	                                     .sin_addr.s_addr = 0x0200090a };

static const struct virtio_net_hdr partial = {
	.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	.csum_start = { PV_LE16(UDP_AT) },
	.csum_offset = { PV_LE16(6) },
};

/* Only with the header does the kernel take a checksum that is not done. */
static void the_kernel_does_a_checksum_that_was_left_to_it(void **state)
{
	uint8_t frame[200], got[200];
	struct wire_rig rig;
	uint32_t bytes;
	uint16_t check;
	int fd;

	(void)state;
	open_with_address(&rig, tap0);
	fd = open_udp(5000);
	bytes = make_datagram(frame, 5000, 100);
	check = htons(sum(NULL, 0, pseudo_sum(frame, 108)));
	memcpy(frame + UDP_AT + 6, &check, 2);
	assert_true(wire_rig_send(&rig, NULL, frame, bytes));
	assert_int_equal(recv(fd, got, sizeof(got), 0), -1);
	assert_true(wire_rig_send(&rig, &partial, frame, bytes));
	assert_int_equal(recv(fd, got, sizeof(got), 0), 100);
	assert_memory_equal(got, frame + PAYLOAD_AT, 100);
	close(fd);
	wire_rig_close(&rig);
}

static void the_kernel_cuts_what_was_left_to_it(void **state)
{
	struct virtio_net_hdr hdr = partial;
	uint8_t frame[4000], got[4000];
	struct wire_rig rig;
	uint32_t bytes;
	uint16_t check;
	int fd;

	(void)state;
	open_with_address(&rig, tap0);
	fd = open_udp(5000);
	bytes = make_datagram(frame, 5000, 2500);
	check = htons(sum(NULL, 0, pseudo_sum(frame, 2508)));
	memcpy(frame + UDP_AT + 6, &check, 2);
	hdr.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
	hdr.hdr_len = pv_le16_of(PAYLOAD_AT);
	hdr.gso_size = pv_le16_of(1000);
	if (rig.wire->can_segment & VIRTIO_NET_F_HOST_USO) {
		assert_true(wire_rig_send(&rig, &hdr, frame, bytes));
		assert_int_equal(recv(fd, got, sizeof(got), 0), 1000);
		assert_memory_equal(got, frame + PAYLOAD_AT, 1000);
		assert_int_equal(recv(fd, got, sizeof(got), 0), 1000);
		assert_int_equal(recv(fd, got, sizeof(got), 0), 500);
		assert_memory_equal(got, frame + PAYLOAD_AT + 2000, 500);
	} else {
		print_message("skipped: this kernel's tap interfaces know no USO\n");
	}
	close(fd);
	wire_rig_close(&rig);
}

/* Waits for the next frame that is UDP over IPv4. */
static uint32_t next_datagram(struct wire_rig *rig, struct virtio_net_hdr *hdr, uint8_t *frame)
{
	for (int i = 0; i < 20; i++) {
		uint32_t bytes = wire_rig_receive(rig, hdr, frame);

		if (bytes > PAYLOAD_AT && frame[12] == 8 && frame[13] == 0 && frame[23] == 17)
			return bytes;
		if (bytes == 0)
			wire_rig_run_ms(rig, 5);
	}
	return 0;
}

static void assert_sum_is_right(const uint8_t *frame, uint32_t bytes)
{
	uint32_t udp_bytes = bytes - UDP_AT;

	assert_int_equal(sum(frame + UDP_AT, udp_bytes, pseudo_sum(frame, udp_bytes)), 0xffff);
}

static void the_kernel_leaves_what_the_driver_takes_and_nothing_else(void **state)
{
	static uint8_t payload[2500], frame[PV_NET_FRAME_MAX];
	struct virtio_net_hdr hdr;
	struct wire_rig rig;
	int fd, cut = 1000;
	uint32_t bytes;

	(void)state;
	open_with_address(&rig, tap0);
	fd = open_udp(5000);
	assert_int_equal(connect(fd, (const struct sockaddr *)&to_guest, sizeof(to_guest)), 0);

	assert_int_equal(send(fd, payload, 100, 0), 100);
	bytes = next_datagram(&rig, &hdr, frame);
	assert_int_equal(bytes, PAYLOAD_AT + 100);
	assert_int_equal(hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
	assert_sum_is_right(frame, bytes);

	rig.wire->ops->set_offloads(rig.wire, HEADERS);
	assert_int_equal(send(fd, payload, 100, 0), 100);
	assert_int_equal(next_datagram(&rig, &hdr, frame), PAYLOAD_AT + 100);
	assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(pv_le16_get(hdr.csum_start), UDP_AT);
	assert_int_equal(pv_le16_get(hdr.csum_offset), 6);

	setsockopt(fd, SOL_UDP, UDP_SEGMENT, &cut, sizeof(cut));
	if (rig.wire->can_segment & VIRTIO_NET_F_HOST_USO) {
		assert_int_equal(send(fd, payload, 2500, 0), 2500);
		assert_int_equal(next_datagram(&rig, &hdr, frame), PAYLOAD_AT + 2500);
		assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_UDP_L4);
		assert_int_equal(pv_le16_get(hdr.gso_size), 1000);
	}
	rig.wire->ops->set_offloads(rig.wire, VIRTIO_NET_F_GUEST_CSUM);
	assert_int_equal(send(fd, payload, 2500, 0), 2500);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(next_datagram(&rig, &hdr, frame),
		                 PAYLOAD_AT + (i < 2 ? 1000 : 500));
		assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	}
	close(fd);
	wire_rig_close(&rig);
}

static void without_headers_all_that_comes_is_finished(void **state)
{
	static uint8_t payload[100], frame[PV_NET_FRAME_MAX];
	struct pv_net_wire_options options = tap0;
	struct wire_rig rig;
	int fd;

	(void)state;
	options.has_no_headers = true;
	open_with_address(&rig, options);
	assert_false(rig.wire->knows_headers);
	fd = open_udp(5000);
	rig.wire->ops->set_offloads(rig.wire, HEADERS);
	assert_int_equal(sendto(fd, payload, 100, 0, (const struct sockaddr *)&to_guest,
	                        sizeof(to_guest)),
	                 100);
	assert_int_equal(next_datagram(&rig, NULL, frame), PAYLOAD_AT + 100);
	assert_sum_is_right(frame, PAYLOAD_AT + 100);
	close(fd);
	wire_rig_close(&rig);
}

/* ---- several queues ---- */

/* Sends a datagram from each of many ports. Counts those that came by each queue. */
static void count_flows(struct wire_rig *rig, uint32_t count[4])
{
	static uint8_t frame[PV_NET_FRAME_MAX];

	memset(count, 0, 4 * sizeof(count[0]));
	for (uint16_t port = 6000; port < 6100; port++) {
		int fd = open_udp(port);

		sendto(fd, "x", 1, 0, (const struct sockaddr *)&to_guest, sizeof(to_guest));
		close(fd);
	}
	wire_rig_run_ms(rig, 20);
	for (rig->pair = 0; rig->pair < 4; rig->pair++)
		for (uint32_t bytes; (bytes = wire_rig_receive(rig, NULL, frame));)
			count[rig->pair] += bytes == PAYLOAD_AT + 1;
	rig->pair = 0;
}

static void flows_come_by_those_queues_that_are_in_use(void **state)
{
	struct pv_net_wire_options options = tap0;
	struct wire_rig rig;
	uint32_t count[4];

	(void)state;
	options.pairs = 4;
	open_with_address(&rig, options);
	assert_int_equal(rig.wire->sources, 4);
	count_flows(&rig, count);
	assert_int_equal(count[0], 100);
	assert_true(rig.wire->ops->set_pairs(rig.wire, 4));
	count_flows(&rig, count);
	assert_int_equal(count[0] + count[1] + count[2] + count[3], 100);
	assert_true(count[0] > 0 && count[1] > 0 && count[2] > 0 && count[3] > 0);
	assert_true(rig.wire->ops->set_pairs(rig.wire, 2));
	count_flows(&rig, count);
	assert_int_equal(count[0] + count[1], 100);
	assert_true(count[0] > 0 && count[1] > 0);
	wire_rig_close(&rig);
}

/* Frames from many ports, each by the queue that its hash says. Returns how many of them had one.
 */
static uint32_t follow_hashes(struct wire_rig *rig, const struct pv_net_spread *spread)
{
	static uint8_t frame[PV_NET_FRAME_MAX];
	static struct pv_net_hasher hasher;
	uint32_t hashed = 0, came = 0;

	pv_net_hasher_set(&hasher, spread->types, spread->key, spread->key_bytes);
	for (uint16_t port = 6000; port < 6100; port++) {
		int fd = open_udp(port);

		sendto(fd, "x", 1, 0, (const struct sockaddr *)&to_guest, sizeof(to_guest));
		close(fd);
	}
	wire_rig_run_ms(rig, 20);
	for (rig->pair = 0; rig->pair < 4; rig->pair++)
		for (uint32_t bytes; (bytes = wire_rig_receive(rig, NULL, frame)); came++) {
			uint8_t report;
			uint32_t hash = pv_net_hash(&hasher, frame, bytes, &report);

			assert_int_equal(rig->pair, report ? spread->table[hash & spread->mask]
			                                   : spread->unclassified);
			hashed += report != VIRTIO_NET_HASH_REPORT_NONE;
		}
	rig->pair = 0;
	assert_true(came >= 100);
	return hashed;
}

static void a_driver_that_wants_it_gets_frames_by_their_hash(void **state)
{
	struct pv_net_wire_options options = tap0;
	struct pv_net_spread spread = { .key_bytes = PV_NET_RSS_KEY_BYTES, .mask = 63 };
	struct wire_rig rig;
	uint32_t count[4];

	(void)state;
	options.pairs = 4;
	open_with_address(&rig, options);
	if (!rig.wire->can_spread) {
		wire_rig_close(&rig);
		print_message("skipped: this kernel or user has no programs for frames (bpf)\n");
		skip();
	}
	rig.wire->ops->set_pairs(rig.wire, 4);
	for (uint32_t i = 0; i < sizeof(spread.key); i++)
		spread.key[i] = (uint8_t)pv_random_below(&rig.random, 256);
	for (uint32_t i = 0; i <= spread.mask; i++)
		spread.table[i] = (uint16_t)pv_random_below(&rig.random, 4);
	spread.unclassified = 3;
	spread.types = VIRTIO_NET_HASH_TYPE_UDPv4;
	assert_true(rig.wire->ops->set_spread(rig.wire, &spread));
	assert_int_equal(follow_hashes(&rig, &spread), 100);
	/* All of them have the same addresses. */
	spread.types = VIRTIO_NET_HASH_TYPE_IPv4 | VIRTIO_NET_HASH_TYPE_TCPv4;
	assert_true(rig.wire->ops->set_spread(rig.wire, &spread));
	assert_true(follow_hashes(&rig, &spread) >= 100);
	spread.types = VIRTIO_NET_HASH_TYPE_IPv6;
	assert_true(rig.wire->ops->set_spread(rig.wire, &spread));
	assert_int_equal(follow_hashes(&rig, &spread), 0);
	assert_true(rig.wire->ops->set_spread(rig.wire, NULL));
	count_flows(&rig, count);
	assert_true(count[0] > 0 && count[1] > 0 && count[2] > 0 && count[3] > 0);
	wire_rig_close(&rig);
}

static void a_device_that_chooses_gets_all_by_one_queue(void **state)
{
	struct pv_net_wire_options options = tap0;
	struct wire_rig rig;

	(void)state;
	options.pairs = 4;
	options.has_one_source = true;
	wire_rig_open(&rig, options);
	assert_int_equal(rig.wire->sources, 1);
	rig.pair = 3;
	rig.to_send = 10;
	wire_rig_run(&rig);
	assert_int_equal(pv_net_wire_counters(rig.wire).lost, 0);
	wire_rig_close(&rig);
}

/* ---- what goes wrong ---- */

static void what_is_sent_while_it_is_down_is_lost_and_counted(void **state)
{
	struct wire_rig rig;

	(void)state;
	wire_rig_open(&rig, tap0);
	netns_ip("link set tap0 down");
	rig.to_send = 10;
	wire_rig_run(&rig);
	assert_int_equal(pv_net_wire_counters(rig.wire).lost, 10);
	netns_ip("link set tap0 up");
	rig.to_send = 20;
	wire_rig_run(&rig);
	assert_int_equal(pv_net_wire_counters(rig.wire).lost, 10);
	wire_rig_close(&rig);
}

/* The loop goes on sleeping. */
static void an_interface_that_vanishes_costs_frames_and_nothing_else(void **state)
{
	struct pv_loop_counters before, after;
	struct wire_rig rig;

	(void)state;
	wire_rig_open(&rig, tap0);
	netns_ip("link del tap0");
	wire_rig_run_ms(&rig, 20);
	rig.to_send = 10;
	wire_rig_run(&rig);
	assert_int_equal(pv_net_wire_counters(rig.wire).lost, 10);
	before = pv_loop_counters(rig.loop);
	wire_rig_run_ms(&rig, 50);
	after = pv_loop_counters(rig.loop);
	assert_in_range(after.iterations - before.iterations, 1, 40);
	rig.wire->ops->set_offloads(rig.wire, HEADERS);
	wire_rig_close(&rig);
}

static void refused(struct pv_net_wire_options options, int err, const char *sentence)
{
	struct pv_net_wire *wire;
	struct wire_rig rig;
	char error[300] = "";

	wire_rig_open(&rig, (struct pv_net_wire_options){ .kind = PV_NET_WIRE_NULL });
	options.loop = &rig.loop;
	options.loops = 1;
	options.pairs = options.pairs ? options.pairs : 1;
	assert_int_equal(pv_net_wire_open(&wire, &options, error, sizeof(error)), err);
	assert_non_null(strstr(error, sentence));
	wire_rig_close(&rig);
}

static void one_interface_is_not_opened_twice_nor_wider_than_it_was_made(void **state)
{
	struct pv_net_wire_options options = tap0;
	struct wire_rig rig;

	(void)state;
	wire_rig_open(&rig, tap0);
	refused(tap0, -EBUSY, "ifname=tap0: somebody else uses it");
	wire_rig_close(&rig);
	netns_ip("tuntap add dev tap0 mode tap");
	options.pairs = 2;
	refused(options, -EINVAL, "was made without multi_queue");
	netns_ip("tuntap del dev tap0 mode tap");
	netns_ip("tuntap add dev tap0 mode tap multi_queue");
	wire_rig_open(&rig, tap0);
	wire_rig_close(&rig);
	wire_rig_open(&rig, options);
	wire_rig_close(&rig);
	/* It stays, as it was found. */
	assert_true(if_nametoindex("tap0") > 0);
	netns_ip("tuntap del dev tap0 mode tap multi_queue");
	refused((struct pv_net_wire_options){ .kind = PV_NET_WIRE_TAP, .ifname = "lo" }, -EINVAL,
	        "ifname=lo: is no tap interface");
	refused((struct pv_net_wire_options){ .kind = PV_NET_WIRE_TAP,
	                                      .ifname = "sixteenletters16" },
	        -EINVAL, "a name has at most 15 bytes");
}

static void give_up_capabilities(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { 0 };

	assert_int_equal(syscall(SYS_capset, &header, none), 0);
}

static void without_the_capability_it_is_named_and_what_needs_none(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		give_up_capabilities();
		refused(tap0, -EPERM,
		        "ifname=tap0: this needs the capability CAP_NET_ADMIN, or an interface "
		        "that is yours (as root: ip tuntap add dev NAME mode tap user ");
		refused(tap0, -EPERM, "; the network `user` needs neither");
		_exit(0);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

/* ---- descriptors that were passed ---- */

static int open_tap(int flags)
{
	struct ifreq request = { .ifr_name = "tap0", .ifr_flags = (short)flags };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
	return fd;
}

static void passed_descriptors_are_used_as_they_are(void **state)
{
	struct pv_net_wire_options options = { .kind = PV_NET_WIRE_TAP, .fds = 1 };
	int flags[] = { IFF_TAP | IFF_NO_PI, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	struct wire_rig rig;

	(void)state;
	for (int i = 0; i < 2; i++) {
		int fd = open_tap(flags[i]);

		netns_ip("link set tap0 up");
		options.fd = &fd;
		wire_rig_open(&rig, options);
		assert_string_equal(pv_net_wire_text(rig.wire), "tap tap0");
		assert_int_equal(rig.wire->knows_headers, i);
		wire_rig_close(&rig);
		go_both_ways((fd = open_tap(flags[i]), netns_ip("link set tap0 up"), options));
	}
}

static void descriptors_that_are_no_taps_are_refused_and_not_taken(void **state)
{
	struct pv_net_wire_options options = { .kind = PV_NET_WIRE_TAP, .fds = 1 };
	int fd = open("/dev/null", O_RDWR);

	(void)state;
	options.fd = &fd;
	refused(options, -EINVAL, "is no tap interface's");
	close(fd);
	fd = 1000;
	refused(options, -EINVAL, "fd=1000: is not open");
	options.pairs = 2;
	refused(options, -EINVAL, "fd: 1 descriptors for 2 queues");
}

static void it_is_called_by_its_name_and_has_its_speed(void **state)
{
	struct wire_rig rig;

	(void)state;
	wire_rig_open(&rig, (struct pv_net_wire_options){ .kind = PV_NET_WIRE_TAP });
	assert_true(strncmp(pv_net_wire_text(rig.wire), "tap tap", 7) == 0);
	assert_true(if_nametoindex(pv_net_wire_text(rig.wire) + 4) > 0);
	assert_true(rig.wire->speed_mbit == 10 || rig.wire->speed_mbit == 10000);
	wire_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_go_both_ways_in_order_and_intact),
		cmocka_unit_test(frames_go_both_ways_without_headers),
		cmocka_unit_test(the_kernel_does_a_checksum_that_was_left_to_it),
		cmocka_unit_test(the_kernel_cuts_what_was_left_to_it),
		cmocka_unit_test(the_kernel_leaves_what_the_driver_takes_and_nothing_else),
		cmocka_unit_test(without_headers_all_that_comes_is_finished),
		cmocka_unit_test(flows_come_by_those_queues_that_are_in_use),
		cmocka_unit_test(a_driver_that_wants_it_gets_frames_by_their_hash),
		cmocka_unit_test(a_device_that_chooses_gets_all_by_one_queue),
		cmocka_unit_test(what_is_sent_while_it_is_down_is_lost_and_counted),
		cmocka_unit_test(an_interface_that_vanishes_costs_frames_and_nothing_else),
		cmocka_unit_test(one_interface_is_not_opened_twice_nor_wider_than_it_was_made),
		cmocka_unit_test(without_the_capability_it_is_named_and_what_needs_none),
		cmocka_unit_test(passed_descriptors_are_used_as_they_are),
		cmocka_unit_test(descriptors_that_are_no_taps_are_refused_and_not_taken),
		cmocka_unit_test(it_is_called_by_its_name_and_has_its_speed),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
