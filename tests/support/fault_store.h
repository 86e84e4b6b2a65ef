/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk that fails when it is told to, on top of any store.
 *
 * Faults are rules: which I/Os they are for, which of those they strike, and what happens then.
 * The first rule that strikes an I/O decides; what none strikes goes through untouched.
 */
#ifndef PV_TESTS_FAULT_STORE_H
#define PV_TESTS_FAULT_STORE_H

#include "tests/support/random.h"
#include "tests/support/store_layer.h"

enum pv_fault_kind {
	PV_FAULT_FAIL,  /* an error, and nothing is done */
	PV_FAULT_SHORT, /* the first half is done, then an error */
	PV_FAULT_SLOW,  /* it is done, and ends some ticks later, after others that came after it */
};

#define PV_FAULT_OP(op) (1u << (op))
#define PV_FAULT_OP_ANY UINT32_MAX

struct pv_fault {
	enum pv_fault_kind kind;
	uint32_t ops;     /* of PV_FAULT_OP(enum pv_blk_op) */
	uint64_t begin;   /* I/Os that touch these bytes of the disk; a flush touches all */
	uint64_t end;     /* 0: no end */
	uint32_t skip;    /* so many go by before it strikes first */
	uint32_t times;   /* so often it strikes; 0: until pv_fault_store_clear() */
	uint32_t percent; /* of those it could strike; 0: all */
	int error;        /* fail, short: a negative enum pv_err; 0: -PV_EIO */
	uint32_t ticks;   /* slow: 1 to so many */
	uint32_t strikes; /* so far */
};

#define PV_FAULTS_MAX 16u

struct pv_fault_store {
	struct pv_layer layer; /* first */
	struct pv_random *random;
	struct pv_fault fault[PV_FAULTS_MAX];
	uint32_t faults;
	uint64_t strikes; /* of all rules since the start */
	uint64_t now;     /* ticks */
	struct pv_layer_io *slow;
};

void pv_fault_store_open(struct pv_fault_store *store, struct pv_blk_store *below,
                         struct pv_random *random);

/* When nothing is in flight. */
void pv_fault_store_close(struct pv_fault_store *store);

void pv_fault_store_add(struct pv_fault_store *store, const struct pv_fault *fault);

/* No rules any more. What is slow stays so. */
void pv_fault_store_clear(struct pv_fault_store *store);

/* Time goes on. Returns how many I/Os ended. */
uint32_t pv_fault_store_tick(struct pv_fault_store *store);

#endif
