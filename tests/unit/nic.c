/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of a network device: what they mean, and what is said about those that cannot be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hosted/control/nic_internal.h"

static char text[512];
static char sentence[PV_SENTENCE_BYTES];

/* Texts point into `text`: one at a time. */
static bool parse(struct pv_nic_options *options, const char *value)
{
	snprintf(text, sizeof(text), "%s", value);
	sentence[0] = '\0';
	*options = pv_nic_defaults();
	return pv_nic_parse("net", NULL, options, text, sentence);
}

static void parse_good(struct pv_nic_options *options, const char *value)
{
	bool is_good = parse(options, value);

	assert_string_equal(sentence, "");
	assert_true(is_good);
}

static void refuse(const char *value, const char *words)
{
	struct pv_nic_options options;

	assert_false(parse(&options, value));
	if (!strstr(sentence, words))
		fail_msg("'%s': \"%s\" does not say \"%s\"", value, sentence, words);
	assert_ptr_equal(strstr(sentence, "option '--net'"), sentence);
}

static void kinds_are_told_by_their_names(void **state)
{
	static const char *const names[] = { "user", "tap", "stream", "dgram", "null", "echo" };
	static const enum pv_net_wire_kind kinds[] = { PV_NET_WIRE_USER,   PV_NET_WIRE_TAP,
		                                       PV_NET_WIRE_STREAM, PV_NET_WIRE_DGRAM,
		                                       PV_NET_WIRE_NULL,   PV_NET_WIRE_ECHO };
	struct pv_nic_options options;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		parse_good(&options, names[i]);
		assert_int_equal(options.kind, kinds[i]);
	}
	refuse("", "begins with user, tap, stream, dgram, null or echo, not ''");
	refuse("bridge", "not 'bridge'");
	refuse("mac=52:54:00:12:34:56", "not 'mac=52:54:00:12:34:56'");
	refuse("users,queues=2", "not 'users'");
}

static void keys_of_the_device_are_taken(void **state)
{
	struct pv_nic_options options;

	(void)state;
	parse_good(&options, "null,mac=52:54:00:12:34:56,mtu=9000,queues=4,queue-size=128,"
	                     "speed=10000,link=off,in-order=on,packed=off,rate-in=1M,rate-out=2M,"
	                     "rate-in-packets=10,rate-out-packets=20,pcap=/tmp/x");
	assert_string_equal(options.mac, "52:54:00:12:34:56");
	assert_int_equal(options.mtu, 9000);
	assert_int_equal(options.pairs, 4);
	assert_int_equal(options.queue_size, 128);
	assert_int_equal(options.speed_mbit, 10000);
	assert_false(options.is_link_up);
	assert_true(options.is_in_order);
	assert_false(options.is_packed);
	assert_int_equal(options.rate_in, 1 << 20);
	assert_int_equal(options.rate_out, 2 << 20);
	assert_int_equal(options.rate_in_packets, 10);
	assert_int_equal(options.rate_out_packets, 20);
	assert_string_equal(options.pcap, "/tmp/x");
}

static void bounds_are_kept(void **state)
{
	(void)state;
	refuse("null,mtu=67", "'mtu'");
	refuse("null,mtu=65536", "'mtu'");
	refuse("null,queues=0", "'queues'");
	refuse("null,queues=128", "'queues'");
	refuse("null,queue-size=100", "'queue-size' takes a power of two, not 100");
	refuse("null,queue-size=65536", "'queue-size'");
	refuse("null,rate-in=0", "'rate-in'");
	refuse("null,link=down", "'link' is on or off, not 'down'");
	refuse("null,mtu=1500,mtu=1500", "'mtu' is given twice");
	refuse("null,mtu", "'mtu' needs a value");
	refuse("null,mtv=1500", "unknown key 'mtv'; did you mean 'mtu'?");
	refuse("stream,path=x,reconnect-ms=never", "'reconnect-ms'");
}

static void addresses_are_those_of_one_station(void **state)
{
	static const char *const bad[] = { "52:54:00:12:34",    "52:54:00:12:34:56:78",
		                           "525400123456",      "52:54:00:12:34:5",
		                           "52:54:00:12:34:5g", "01:00:5e:00:00:01",
		                           "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00",
		                           "5:254:00:12:34:56", "52-54-00-12-34-56" };
	const uint8_t wanted[] = { 0x52, 0x54, 0x00, 0xab, 0xCD, 0xef };
	uint8_t mac[VIRTIO_NET_MAC_BYTES];
	char value[64], back[PV_NIC_MAC_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(value, sizeof(value), "null,mac=%s", bad[i]);
		refuse(value, "'mac' takes the address of one station");
	}
	assert_true(pv_nic_mac_parse("52:54:00:ab:CD:ef", mac));
	assert_memory_equal(mac, wanted, sizeof(wanted));
	assert_string_equal(pv_nic_mac_text(mac, back), "52:54:00:ab:cd:ef");
}

static void keys_go_with_their_kind(void **state)
{
	struct pv_nic_options options;

	(void)state;
	refuse("user,ifname=tap0", "'ifname' goes with tap, not with user; leave it out");
	refuse("user,server=on", "'server' goes with stream, not with user");
	refuse("tap,hostfwd=tcp::1-:2", "'hostfwd' goes with user, not with tap");
	refuse("tap,restrict=on", "'restrict' goes with user, not with tap");
	refuse("null,path=x", "'path' goes with stream, not with null");
	refuse("stream,path=x,server=on,reconnect-ms=10",
	       "'reconnect-ms' goes with server=off; leave it out");
	refuse("stream,path=x,local-path=y", "'local-path' goes with dgram, not with stream");
	refuse("dgram,path=x,local-path=y,reconnect-ms=5", "'reconnect-ms' goes with stream");
	refuse("echo,steer=device", "'steer' goes with tap, not with echo");
	parse_good(&options, "tap,ifname=tap0,vnet-header=off,steer=device,fd=0");
	assert_false(options.has_headers);
	assert_int_equal(options.steering, 1);
	parse_good(&options, "stream,path=/run/x,server=on");
	assert_true(options.is_server);
	parse_good(&options, "dgram,path=/run/x,local-path=/run/y");
	assert_string_equal(options.local_path, "/run/y");
}

static void ports_may_be_forwarded_by_numbers(void **state)
{
	struct pv_nic_options options;

	(void)state;
	parse_good(&options, "user,hostfwd=tcp:127.0.0.1:2222-:22,net=192.168.7.0/24,"
	                     "hostfwd=udp::5353-10.0.2.15:53,ipv6=off,hostname=a,,b");
	assert_int_equal(options.hostfwd.count, 2);
	assert_string_equal(options.hostfwd.text[0], "tcp:127.0.0.1:2222-:22");
	assert_string_equal(options.hostfwd.text[1], "udp::5353-10.0.2.15:53");
	assert_string_equal(options.hostname, "a,b");
	assert_false(options.has_ipv6);
	refuse("user,ipv4=off,ipv6=off", "ipv4=off and ipv6=off leave nothing");
}

static void a_feature_that_is_off_takes_those_with_it_that_need_it(void **state)
{
	struct pv_nic_options options;

	(void)state;
	parse_good(&options, "null");
	assert_int_equal(pv_nic_without(&options), 0);
	parse_good(&options, "null,mrg_rxbuf=off,host_ufo=off");
	assert_int_equal(pv_nic_without(&options), VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_HOST_UFO);
	parse_good(&options, "null,csum=off");
	assert_int_equal(pv_nic_without(&options),
	                 VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 |
	                         VIRTIO_NET_F_HOST_ECN | VIRTIO_NET_F_HOST_UFO |
	                         VIRTIO_NET_F_HOST_USO);
	/* One of the two is enough for ECN. */
	parse_good(&options, "null,guest_tso4=off");
	assert_int_equal(pv_nic_without(&options), VIRTIO_NET_F_GUEST_TSO4);
	parse_good(&options, "null,guest_tso4=off,guest_tso6=off");
	assert_int_equal(pv_nic_without(&options), VIRTIO_NET_F_GUEST_TSO4 |
	                                                   VIRTIO_NET_F_GUEST_TSO6 |
	                                                   VIRTIO_NET_F_GUEST_ECN);
	parse_good(&options, "null,ctrl_vq=off");
	assert_true(pv_nic_without(&options) & VIRTIO_NET_F_MQ);
	assert_true(pv_nic_without(&options) & VIRTIO_NET_F_RSS);
	assert_true(pv_nic_without(&options) & VIRTIO_NET_F_GUEST_ANNOUNCE);
	assert_false(pv_nic_without(&options) & VIRTIO_NET_F_CSUM);
}

static void descriptors_are_open(void **state)
{
	struct pv_nic_options options;
	int fd[PV_NIC_FDS_MAX];
	char value[64];
	uint16_t fds;
	int other = dup(0);

	(void)state;
	snprintf(value, sizeof(value), "tap,fd=0:%d", other);
	parse_good(&options, value);
	assert_true(pv_nic_fds(&options, fd, &fds, sentence));
	assert_int_equal(fds, 2);
	assert_int_equal(fd[1], other);
	close(other);
	assert_false(pv_nic_fds(&options, fd, &fds, sentence));
	assert_non_null(strstr(sentence, "is not open"));
	for (const char *const *bad =
	             (const char *const[]){ "0:", ":0", "-1", "0,,1", "0x1", "99999999999", NULL };
	     *bad; bad++) {
		snprintf(value, sizeof(value), "tap,fd=%s", *bad);
		parse_good(&options, value);
		assert_false(pv_nic_fds(&options, fd, &fds, sentence));
		assert_non_null(strstr(sentence, "'fd' takes the numbers of open descriptors"));
	}
	parse_good(&options, "tap");
	assert_true(pv_nic_fds(&options, fd, &fds, sentence));
	assert_int_equal(fds, 0);
}

static unsigned int queues_left(const char *value, uint64_t own_loops)
{
	struct pv_service_extent extent = { 0 };
	struct pv_nic_options options;

	parse_good(&options, value);
	pv_nic_extend(&extent, &options, own_loops);
	assert_int_equal(extent.devices, 1);
	assert_int_equal(extent.own_loops, own_loops);
	return extent.queues - extent.queues_on_own_loops - extent.queues_with_others;
}

/* The number of loops that the program starts for it, if there are processors. */
static void a_pair_asks_for_a_loop_and_one_source_for_no_more(void **state)
{
	(void)state;
	assert_int_equal(queues_left("echo", 0), 1);
	assert_int_equal(queues_left("echo,queues=4", 0), 4);
	assert_int_equal(queues_left("tap,queues=4", 0), 4);
	assert_int_equal(queues_left("tap,queues=4,steer=device", 0), 1);
	assert_int_equal(queues_left("user,queues=4", 0), 1);
	assert_int_equal(queues_left("stream,path=x,queues=4", 0), 1);
	assert_int_equal(queues_left("echo,queues=4", 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_are_told_by_their_names),
		cmocka_unit_test(keys_of_the_device_are_taken),
		cmocka_unit_test(bounds_are_kept),
		cmocka_unit_test(addresses_are_those_of_one_station),
		cmocka_unit_test(keys_go_with_their_kind),
		cmocka_unit_test(ports_may_be_forwarded_by_numbers),
		cmocka_unit_test(a_feature_that_is_off_takes_those_with_it_that_need_it),
		cmocka_unit_test(descriptors_are_open),
		cmocka_unit_test(a_pair_asks_for_a_loop_and_one_source_for_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
