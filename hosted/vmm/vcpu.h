/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual processor: a thread that runs the guest until something has to be done for it.
 *
 * What leaves the guest is answered on its thread, under the machine's lock.  All processors can be
 * made to come out and wait (pv_vcpus_pause), which is how a machine stops and is reset.
 */
#ifndef PV_HOSTED_VMM_VCPU_H
#define PV_HOSTED_VMM_VCPU_H

#include <pthread.h>

#include "hosted/control/stats_commands.h"
#include "hosted/vmm/boot.h"
#include "hosted/vmm/io.h"
#include "hosted/vmm/kvm.h"
#include "hosted/vmm/vcpu_counters.h"

struct pv_vcpus;

enum pv_vcpu_end {
	PV_VCPU_SHUTDOWN, /* a triple fault */
	PV_VCPU_FAILED,   /* KVM cannot go on; registers were printed */
};

struct pv_vcpu_state;

struct pv_vcpu {
	struct pv_vcpus *all;
	unsigned int index;
	int fd;
	struct kvm_run *run;
	struct pv_vcpu_state *initial; /* as KVM made it */
	pthread_t thread;
	int thread_id;
	char name[16]; /* of the thread */
	struct pv_vcpu_counters counters;
	bool is_started;
	bool has_run; /* ever */
};

struct pv_vcpus {
	struct pv_kvm *kvm;
	struct pv_io_space *ports, *memory;
	pthread_mutex_t *lock;
	pthread_cond_t changed; /* a processor has come out, or may go on */

	/* The guest has ended in one of these ways; under the lock, on a processor's thread. */
	void (*ended)(void *arg, enum pv_vcpu_end end);
	void *arg;

	struct pv_vcpu *vcpu;
	struct pv_stats_cpu *stats; /* one for each */
	unsigned int vcpus;
	unsigned int running; /* not waiting */
	bool is_paused, is_ending;
};

/* Makes `count` processors. False with a sentence; pv_vcpus_fini() is to be called all the same. */
bool pv_vcpus_init(struct pv_vcpus *vcpus, unsigned int count,
                   char sentence[static PV_SENTENCE_BYTES]);
void pv_vcpus_fini(struct pv_vcpus *vcpus);

/* Puts all to their beginning: the first to `entry`, the others wait to be started by it. 0 or
 * -errno. */
int pv_vcpus_reset(struct pv_vcpus *vcpus, const struct pv_boot_entry *entry);

/* Starts the threads, which wait until pv_vcpus_resume(). Returns 0 or -errno. */
int pv_vcpus_start(struct pv_vcpus *vcpus);

/* With the lock, on the control side. Returns when all wait; the lock is left meanwhile. */
void pv_vcpus_pause(struct pv_vcpus *vcpus);
void pv_vcpus_resume(struct pv_vcpus *vcpus);

/* With the lock, all waiting. The guest's watchdogs will know that it was stopped from outside. */
void pv_vcpus_mark_stopped(struct pv_vcpus *vcpus);

/* With the lock, all waiting. Ends the threads. */
void pv_vcpus_end(struct pv_vcpus *vcpus);

#endif
