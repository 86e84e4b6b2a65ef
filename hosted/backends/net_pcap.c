/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A wire around a wire, which writes down what passes in a file that tcpdump and Wireshark read:
 * classic pcap, nanoseconds, Ethernet, both directions.
 *
 * Records are gathered and written in large pieces, a while after the first of them at the latest.
 * Each write ends where a record ends, so that the file can be read at any time, whatever becomes
 * of this process.  Writing goes to the page cache, and waits for no disk as long as that has room.
 * When the file can take no more, the rest is not written down; what passes passes.
 *
 * A frame is written down as it passes, with a checksum that is still to be done, and uncut.
 *
 * #syscalls pwrite64 ftruncate close
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hosted/backends/net_wire_internal.h"
#include "hosted/loop/clock.h"
#include "hosted/loop/log.h"

#define BUFFER_BYTES 0x40000u
#define FLUSH_NS     100000000u

/* The file's header, and a record's, in the byte order of who writes. */
struct file_header {
	uint32_t magic;
	uint16_t major, minor;
	int32_t zone;
	uint32_t accuracy;
	uint32_t longest;
	uint32_t link;
};

struct record {
	uint32_t seconds, nanoseconds;
	uint32_t kept, bytes;
};

#define MAGIC_NS      0xa1b23c4du
#define LINK_ETHERNET 1u

struct pcap {
	struct pv_wire wire;
	char *path;
	struct pv_timer timer;

	pthread_mutex_t lock;
	int fd;          /* -1: it is written no more */
	uint64_t offset; /* where the next write goes */
	uint32_t used;
	uint8_t buffer[BUFFER_BYTES];
};

static struct pv_net_wire *inner_of(struct pv_net_wire *net)
{
	return &pv_wire_of(net)->inner->net;
}

/* ---- writing ---- */

/* What was written of a record that did not fit is taken back. */
static void end_tracing(struct pcap *pcap, int err)
{
	char line[256];

	if (ftruncate(pcap->fd, (off_t)pcap->offset) < 0)
		err = errno;
	snprintf(line, sizeof(line), "pcap=%s: cannot be written any more: %s", pcap->path,
	         strerror(err));
	pv_log("net", PV_LOG_ERROR, line);
	close(pcap->fd);
	pcap->fd = -1;
}

static void flush(struct pcap *pcap)
{
	uint32_t done = 0;

	while (pcap->fd >= 0 && done < pcap->used) {
		ssize_t wrote = pwrite(pcap->fd, pcap->buffer + done, pcap->used - done,
		                       (off_t)(pcap->offset + done));

		if (wrote > 0)
			done += (uint32_t)wrote;
		else if (wrote == 0 || errno != EINTR)
			end_tracing(pcap, wrote == 0 ? ENOSPC : errno);
	}
	pcap->offset += done;
	pcap->used = 0;
}

static void flush_later(void *arg)
{
	struct pcap *pcap = arg;

	pthread_mutex_lock(&pcap->lock);
	flush(pcap);
	pthread_mutex_unlock(&pcap->lock);
}

/* Under the lock, so that times go forward in the file. */
static void write_down(struct pcap *pcap, const struct pv_net_frame *frame)
{
	struct record record = { .kept = frame->bytes, .bytes = frame->bytes };
	uint64_t now_ns = pv_clock_ns(CLOCK_REALTIME);

	if (pcap->fd < 0)
		return;
	if (pcap->used == 0)
		pv_timer_set(&pcap->timer, FLUSH_NS);
	if (BUFFER_BYTES - pcap->used < sizeof(record) + frame->bytes)
		flush(pcap);
	record.seconds = (uint32_t)(now_ns / 1000000000u);
	record.nanoseconds = (uint32_t)(now_ns % 1000000000u);
	memcpy(pcap->buffer + pcap->used, &record, sizeof(record));
	pv_wire_gather(pcap->buffer + pcap->used + sizeof(record), frame);
	pcap->used += (uint32_t)sizeof(record) + frame->bytes;
}

/* ---- the wire ---- */

static uint16_t send_frames(struct pv_net_wire *net, uint16_t pair,
                            const struct pv_net_frame *frame, uint16_t frames)
{
	struct pcap *pcap = (struct pcap *)net;
	uint16_t sent = inner_of(net)->ops->send(inner_of(net), pair, frame, frames);

	if (sent == 0)
		return 0;
	pthread_mutex_lock(&pcap->lock);
	for (uint16_t i = 0; i < sent; i++)
		write_down(pcap, &frame[i]);
	pthread_mutex_unlock(&pcap->lock);
	return sent;
}

static uint32_t receive(struct pv_net_wire *net, uint16_t pair, const struct pv_iov *iov,
                        uint16_t pieces, struct virtio_net_hdr *hdr)
{
	struct pcap *pcap = (struct pcap *)net;
	uint32_t bytes = inner_of(net)->ops->receive(inner_of(net), pair, iov, pieces, hdr);
	const struct pv_net_frame frame = { .iov = iov, .pieces = pieces, .bytes = bytes };

	if (bytes == 0)
		return 0;
	pthread_mutex_lock(&pcap->lock);
	write_down(pcap, &frame);
	pthread_mutex_unlock(&pcap->lock);
	return bytes;
}

static void set_offloads(struct pv_net_wire *net, uint64_t guest_offloads)
{
	if (inner_of(net)->ops->set_offloads)
		inner_of(net)->ops->set_offloads(inner_of(net), guest_offloads);
}

static bool set_pairs(struct pv_net_wire *net, uint16_t pairs)
{
	if (!inner_of(net)->ops->set_pairs)
		return true;
	return inner_of(net)->ops->set_pairs(inner_of(net), pairs);
}

static const struct pv_net_wire_ops ops = {
	.send = send_frames,
	.receive = receive,
	.set_offloads = set_offloads,
	.set_pairs = set_pairs,
};

/* A device asks a wire without this function for nothing. */
static const struct pv_net_wire_ops ops_of_finished_frames = {
	.send = send_frames,
	.receive = receive,
	.set_pairs = set_pairs,
};

/* ---- opening and closing ---- */

static void close_pcap(struct pv_wire *wire)
{
	struct pcap *pcap = (struct pcap *)wire;

	pv_timer_fini(&pcap->timer);
	flush(pcap);
	if (pcap->fd >= 0)
		close(pcap->fd);
	pthread_mutex_destroy(&pcap->lock);
	if (wire->inner)
		wire->inner->close(wire->inner);
	free(pcap->path);
	free(pcap);
}

/* Only of a file can what was half written be taken back. */
static int open_file(struct pcap *pcap, struct pv_wire_opening *opening)
{
	struct stat made;

	pcap->fd = open(pcap->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0600);
	if (pcap->fd < 0)
		return pv_wire_refuse(opening, -errno, "pcap=%s: cannot be made: %s", pcap->path,
		                      pv_why_not_made(-errno));
	if (fstat(pcap->fd, &made) < 0 || !S_ISREG(made.st_mode))
		return pv_wire_refuse(opening, -EINVAL, "pcap=%s: is no file; choose another path",
		                      pcap->path);
	return 0;
}

static void put_header(struct pcap *pcap)
{
	const struct file_header header = {
		.magic = MAGIC_NS,
		.major = 2,
		.minor = 4,
		.longest = PV_NET_FRAME_MAX,
		.link = LINK_ETHERNET,
	};

	memcpy(pcap->buffer, &header, sizeof(header));
	pcap->used = sizeof(header);
	flush(pcap);
}

static struct pcap *create(const struct pv_net_wire_options *options)
{
	struct pcap *pcap = calloc(1, sizeof(*pcap));

	if (!pcap)
		return NULL;
	pcap->wire.close = close_pcap;
	pcap->fd = -1;
	pthread_mutex_init(&pcap->lock, NULL);
	pcap->path = strdup(options->pcap);
	if (pcap->path &&
	    pv_timer_init(&pcap->timer, pv_wire_loop(options, 0), flush_later, pcap) == 0)
		return pcap;
	close_pcap(&pcap->wire);
	return NULL;
}

int pv_wire_pcap_open(struct pv_wire_opening *opening)
{
	struct pcap *pcap = create(opening->options);
	int err;

	if (!pcap)
		return pv_wire_refuse(opening, -ENOMEM, "no memory for the network");
	err = open_file(pcap, opening);
	if (err) {
		close_pcap(&pcap->wire);
		return err;
	}
	put_header(pcap);
	opening->wire = &pcap->wire;
	return 0;
}

void pv_wire_pcap_put_around(struct pv_wire *pcap, struct pv_wire *inner)
{
	pcap->inner = inner;
	pcap->net = inner->net;
	pcap->net.ops = inner->net.ops->set_offloads ? &ops : &ops_of_finished_frames;
}
