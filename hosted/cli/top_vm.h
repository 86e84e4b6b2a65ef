/* SPDX-License-Identifier: BSD-2-Clause */
/* What `paravane top` knows of a virtual machine: what its control socket and the kernel say. */
#ifndef PV_HOSTED_CLI_TOP_VM_H
#define PV_HOSTED_CLI_TOP_VM_H

#include <stdint.h>

#include "hosted/control/sentence.h"

/* A number that nobody says. */
#define PV_TOP_UNKNOWN UINT64_MAX

#define PV_TOP_NAME_BYTES 32u

struct pv_top_vm {
	char name[PV_TOP_NAME_BYTES];   /* its own, or the socket's */
	char status[PV_TOP_NAME_BYTES]; /* query-status */
	/* Bytes, or PV_TOP_UNKNOWN. */
	uint64_t memory;   /* that there are */
	uint64_t actual;   /* of those, that the guest has, ... */
	uint64_t target;   /* ... is to have, ... */
	uint64_t used;     /* ... and could not do without, by its statistics */
	uint64_t resident; /* of the process that has the socket */
};

/* Asks; waits for as many seconds at most. False with a sentence: only the name is known then. */
bool pv_top_ask(struct pv_top_vm *vm, const char *path, unsigned int timeout_s,
                char sentence[static PV_SENTENCE_BYTES]);

#endif
