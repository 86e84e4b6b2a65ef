/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is behind a network device that is measured: sends each packet back, so many times, until it
 * is ended.  With 0 it takes none at all.
 *
 *   answer tap INTERFACE TIMES   frames of the protocol for experiments
 *   answer udp PORT TIMES        on the loopback interface
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROTOCOL     0x88b5
#define BATCH        64u
#define PACKET_BYTES 2048u
#define BUFFER_BYTES (4 << 20)

static uint8_t data[BATCH][PACKET_BYTES];
static struct iovec iov[BATCH];
static struct sockaddr_in from[BATCH];
static struct mmsghdr message[BATCH];

static int open_tap(const char *interface)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(PROTOCOL) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1;

	address.sll_ifindex = (int)if_nametoindex(interface);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err(1, "interface %s", interface);
	if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0)
		err(1, "PACKET_QDISC_BYPASS");
	return fd;
}

static int open_udp(const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_port = htons((uint16_t)atoi(port)),
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err(1, "port %s", port);
	return fd;
}

static void make_room(unsigned int i, bool is_udp)
{
	iov[i] = (struct iovec){ data[i], PACKET_BYTES };
	message[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	if (is_udp) {
		message[i].msg_hdr.msg_name = &from[i];
		message[i].msg_hdr.msg_namelen = sizeof(from[i]);
	}
}

/* What there is, and at least one. */
static unsigned int receive(int fd, bool is_udp)
{
	int count;

	for (unsigned int i = 0; i < BATCH; i++)
		make_room(i, is_udp);
	count = recvmmsg(fd, message, BATCH, MSG_WAITFORONE, NULL);
	if (count < 0)
		err(1, "receiving");
	for (int i = 0; i < count; i++)
		iov[i].iov_len = message[i].msg_len;
	return (unsigned int)count;
}

/* An interface that nobody has open, or a full one, loses them, as networks do. */
static void answer(int fd, unsigned int packets, unsigned long times)
{
	for (unsigned int i = 0; i < packets; i++) {
		struct mmsghdr copy[BATCH];
		unsigned long left = times;

		for (unsigned int n = 0; n < BATCH; n++)
			copy[n] = message[i];
		while (left > 0) {
			unsigned int now = left < BATCH ? (unsigned int)left : BATCH;

			sendmmsg(fd, copy, now, 0);
			left -= now;
		}
	}
}

/* One to each of many is one call. */
static void answer_once(int fd, unsigned int packets)
{
	unsigned int sent = 0;

	while (sent < packets) {
		int count = sendmmsg(fd, message + sent, packets - sent, 0);

		sent += count > 0 ? (unsigned int)count : 1u;
	}
}

int main(int argc, char **argv)
{
	const int room = BUFFER_BYTES;
	unsigned long times;
	bool is_udp;
	int fd;

	if (argc != 4)
		errx(2, "answer tap|udp INTERFACE|PORT TIMES");
	is_udp = strcmp(argv[1], "udp") == 0;
	times = strtoul(argv[3], NULL, 10);
	fd = is_udp ? open_udp(argv[2]) : open_tap(argv[2]);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	puts("ready");
	fflush(stdout);
	while (times == 0)
		pause();
	for (;;) {
		unsigned int packets = receive(fd, is_udp);

		if (times == 1)
			answer_once(fd, packets);
		else
			answer(fd, packets, times);
	}
}
