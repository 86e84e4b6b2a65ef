/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A remote device behind our PCI or MMIO transport, as a monitor has it but without a processor:
 * the driver is ours, in this process, on memory that the far side is given.  Include after cmocka.
 *
 * The test is the control side.  Its loop runs while the driver waits, or by remote_rig_turn().
 */
#ifndef PV_TESTS_REMOTE_RIG_H
#define PV_TESTS_REMOTE_RIG_H

#include "devices/transport/pci/virtio.h"
#include "drivers/bus/pci.h"
#include "hosted/remote/remote.h"
#include "tests/support/arena_os.h"
#include "tests/support/mmio_front.h"

#define REMOTE_QUEUES_MAX 8u

enum remote_bus { REMOTE_ON_PCI, REMOTE_ON_PCI_WITHOUT_VECTORS, REMOTE_ON_MMIO, REMOTE_BUSES };

struct remote_rig {
	/* For the test to set before remote_rig_open(). */
	enum remote_bus kind;
	struct pv_remote_options options;
	const char *path; /* or a connected socket: */
	int fd;
	uint32_t timeout_ms;

	struct pv_loop *control;
	struct pv_loop_message end;
	struct pv_host *host;
	struct pv_remote *remote;
	struct pv_device *device;
	struct arena_os guest;
	struct mmio_front mmio;
	struct pv_bus *bus; /* the driver's */
	/* On PCI. */
	struct pv_virtio_pci pci;
	struct pv_pci_port pci_port;
	struct pv_pci_bus pci_bus;
	void *storage;
	int kick[REMOTE_QUEUES_MAX];
	int vector[REMOTE_QUEUES_MAX + 1]; /* the first is the configuration's */
	uint32_t calls;                    /* for remote_rig_calls() */
	char sentence[PV_FAR_SENTENCE_BYTES];
};

/* One queue at most, of 64 places, and 5 s for an answer. */
void remote_rig_init(struct remote_rig *rig, enum pv_remote_type type, enum remote_bus kind);

/* Connects and makes the device. Returns 0, or -errno with `rig->sentence`, and nothing is left. */
int remote_rig_open(struct remote_rig *rig);
void remote_rig_close(struct remote_rig *rig);

/* After the driver has set its queues up: a vector for each, where the bus has any. */
void remote_rig_set_vectors(struct remote_rig *rig);

/* How often a function, not a vector, has interrupted. */
uint32_t remote_rig_calls(const struct remote_rig *rig);

/* One iteration of the control loop. */
void remote_rig_turn(struct remote_rig *rig);
/* So many that `is_true(arg)`; within a minute, or the test has failed. */
void remote_rig_turn_until(struct remote_rig *rig, bool (*is_true)(void *arg), void *arg);

/*
 * Waits for an interrupt of the queue, or by this number of the configuration, and does not let the
 * control loop run meanwhile.
 */
#define REMOTE_CONFIGURATION UINT16_MAX
bool remote_rig_is_interrupted(struct remote_rig *rig, uint16_t queue, int ms);

#endif
