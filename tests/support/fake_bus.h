/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device for drivers' tests, played by hand: a bus whose every answer the test decides, on an
 * operating system with virtual time and counted memory.  Split rings can be served one chain at a
 * time.
 */
#ifndef PV_TESTS_FAKE_BUS_H
#define PV_TESTS_FAKE_BUS_H

#include "abi/virtio_ring.h"
#include "drivers/core/bus.h"
#include "drivers/port/port.h"

#define PV_FAKE_QUEUES       8u
#define PV_FAKE_STATUSES     32u
#define PV_FAKE_CONFIG_BYTES 80u

/* What a device address is away from the address in the process. */
#define PV_FAKE_GPA_OFFSET 0x100000000000ull

enum pv_fake_trouble {
	PV_FAKE_NEEDS_RESET, /* the device asks for it */
	PV_FAKE_FORGETS,     /* it has reset itself */
	PV_FAKE_FAILS,       /* the bus answers with an error, this time */
	PV_FAKE_TROUBLES,
};

struct pv_fake_bus {
	struct pv_bus bus;
	struct pv_os os;

	/* How the device behaves. */
	uint64_t offered;
	bool refuses_features;
	bool is_gone;         /* every answer is an error */
	uint32_t reset_looks; /* until the status reads zero; UINT32_MAX: never */
	uint32_t torn_reads;  /* configuration reads under which the generation changes */
	uint16_t size_max[PV_FAKE_QUEUES];
	uint8_t config[PV_FAKE_CONFIG_BYTES] __attribute__((aligned(8)));
	uint32_t config_bytes;
	void (*on_wait)(struct pv_fake_bus *fake);
	void (*on_kick)(struct pv_fake_bus *fake, uint16_t index);
	/* At which of the driver's steps something happens, and what; 0: nothing. */
	uint32_t trouble_at;
	enum pv_fake_trouble trouble;

	/* What the driver did. */
	uint32_t steps;
	uint64_t accepted;
	uint8_t status;
	uint8_t statuses[PV_FAKE_STATUSES]; /* all that were set, in order */
	uint32_t status_count;
	uint32_t resets_left;
	bool has_late_features; /* set after FEATURES_OK */
	uint32_t generation;
	struct pv_bus_queue queue[PV_FAKE_QUEUES];
	bool is_enabled[PV_FAKE_QUEUES];
	uint32_t kicks;
	uint16_t kick_next; /* what the last one said of the next buffers */

	/* The operating system. */
	uint64_t now_ns;
	uint32_t waits;
	uint32_t allocs;     /* in all */
	uint32_t shared_out; /* not freed */
	uint32_t private_out;
	uint32_t fail_alloc;    /* the how-manieth fails; 0: none */
	size_t shared_max;      /* no piece is longer; 0: as the host has it */
	uint32_t maps;          /* in all */
	uint32_t mapped_out;    /* not unmapped */
	uint32_t map_max;       /* bytes in a piece; 0: all */
	uint32_t fail_map;      /* the how-manieth fails; 0: none */
	bool is_mapped_written; /* the last one */

	/* The split rings, as the device has read them. */
	uint16_t avail[PV_FAKE_QUEUES];
};

/* A well-behaved device with these features, queues of 16. */
void pv_fake_bus_open(struct pv_fake_bus *fake, uint64_t offered);

/* The process's address of a device address. */
void *pv_fake_at(struct pv_gpa gpa);

/* The device address of memory of the test's own. */
struct pv_gpa pv_fake_gpa(const void *memory);

/*
 * The next chain that the driver made available, without indirect tables: its buffers into `desc`,
 * of which there is room for `max`. Returns their number; 0 if there is none. `*head` is its id.
 */
uint16_t pv_fake_take(struct pv_fake_bus *fake, uint16_t queue, struct virtq_desc *desc,
                      uint16_t max, uint16_t *head);

/* Gives a chain back. */
void pv_fake_return(struct pv_fake_bus *fake, uint16_t queue, uint16_t head, uint32_t bytes);

/*
 * Takes the next chain, writes `status` to its last byte and gives it back. False: there is none.
 */
bool pv_fake_serve(struct pv_fake_bus *fake, uint16_t queue, uint8_t status);

#endif
