/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial driver and the serial device as a couple, on lines in memory.  Each port carries one
 * stream of bytes out and one in, of which each byte is known by its place: one that is lost, comes
 * twice, or comes from elsewhere is found.  Include after cmocka.
 */
#ifndef PV_TESTS_SERIAL_PAIR_H
#define PV_TESTS_SERIAL_PAIR_H

#include "devices/serial/serial.h"
#include "drivers/serial/serial.h"
#include "tests/support/couple.h"
#include "tests/support/memory_line.h"
#include "tests/support/ring_kinds.h"

#define SERIAL_PAIR_PORTS      3u
#define SERIAL_PAIR_DATA       6u /* writes, and reads, of a port */
#define SERIAL_PAIR_DATA_BYTES 3000u

struct serial_pair_options {
	uint64_t ring_features;
	uint64_t without; /* features that the driver does not want */
	uint64_t number;  /* of the random sequence */
	bool has_own_buffers;
};

struct serial_pair_data {
	struct pv_serdrv_data data;
	struct pv_gpa memory; /* scattered */
	bool is_out;
	bool is_read;
};

/* A stream: how far it was begun, and how far it has come. */
struct serial_pair_stream {
	uint32_t key; /* of this port, this way, and this time that the port is there */
	size_t begun, come;
};

struct serial_pair_port {
	struct serial_pair *pair;
	struct pv_memory_line line;
	bool is_added; /* at the device */
	struct serial_pair_stream out, in;
	struct serial_pair_data write[SERIAL_PAIR_DATA], read[SERIAL_PAIR_DATA];
};

struct serial_pair {
	struct pv_couple couple;
	struct pv_random random;
	struct pv_serial_options options;
	void *storage[2];
	unsigned int current;
	struct pv_serdrv *driver;
	struct serial_pair_port port[SERIAL_PAIR_PORTS];
	uint32_t keys;
	uint32_t writes_out; /* in flight */
	uint32_t errors;     /* writes and reads that ended with one */
	uint32_t moves;
	bool may_fail;   /* ports go, or it is over */
	bool may_double; /* what was in flight when the device was reset */
};

/* Both, and all ports added and open. */
void serial_pair_open(struct serial_pair *pair, const struct serial_pair_options *options);
void serial_pair_close(struct serial_pair *pair);

/* Something out, if there is a place for it. False: there is none. */
bool serial_pair_write(struct serial_pair *pair, uint32_t port);

/* Something for the driver to read. */
void serial_pair_put(struct serial_pair *pair, uint32_t port);

/* The driver polls, and lines are looked at. */
void serial_pair_look(struct serial_pair *pair);

/* Until everything that was begun has come. */
void serial_pair_settle(struct serial_pair *pair);

/* The device is saved, and loaded into another one. */
void serial_pair_move(struct serial_pair *pair);

/* A port goes, and its streams end where they are; or comes, with new ones. */
void serial_pair_remove(struct serial_pair *pair, uint32_t port);
void serial_pair_add(struct serial_pair *pair, uint32_t port);

#endif
