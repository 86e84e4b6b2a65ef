/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the memory of a host is distributed among its machines by their balloons: a turn's targets
 * from what is known of them and of the host.  No I/O and no clock.
 *
 * What a guest uses is what it has, less what it calls available: its own total is no measure,
 * since Linux counts the balloon in it or not, by whether it may deflate on OOM.  Beside that it is
 * to have head-room, a tenth of the machine's memory.  A guest with less than that available is
 * short, and so is one with less than twice that which swaps; it grows at once, to half more than
 * the head-room, if the host can spare it: that is a step as well, since what a guest uses shows
 * only as far as it has it.  What a guest has beyond twice its head-room is unused, and is taken
 * when the host is short, or another guest is and the host cannot help: first from who has most for
 * its weight, in steps, from guests that have been calm for some turns.  So between the two nothing
 * happens, and neither does when the change would be small.
 *
 * The host is short when it has less than its reserve, or its tasks wait for memory.  It then wants
 * an eighth more than the reserve, and gives only what is beyond that.
 *
 * A guest's statistics count only if they are younger than the last movement of its balloon: else
 * what just went into the balloon would look unused a second time.
 */
#ifndef PV_HOSTED_BALANCE_POLICY_H
#define PV_HOSTED_BALANCE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#define PV_BALANCE_DEFAULT      UINT64_MAX
#define PV_BALANCE_WEIGHT       100u
#define PV_BALANCE_WEIGHT_MAX   10000u
#define PV_BALANCE_FLOOR_MIN    (128ull << 20)
#define PV_BALANCE_BYTES_MAX    (1ull << 46)
#define PV_BALANCE_MACHINES_MAX 128u
#define PV_BALANCE_CALM_TURNS   3u
#define PV_BALANCE_REASON_BYTES 160u
/* Hundredths of a percent, as the kernel has them. */
#define PV_BALANCE_PRESSURE      1000u
#define PV_BALANCE_PRESSURE_NONE 10001u

/* What the policy remembers of a machine from turn to turn: all zero for one that is new. */
struct pv_balance_past {
	bool is_known, has_grown; /* when it moved last */
	uint64_t actual;
	uint64_t swap_in, major_faults;
	uint64_t updates_at_move; /* statistics with this count are too old */
	uint32_t calm_turns;
	uint32_t stuck_turns; /* with a target that the balloon did not come nearer to */
};

/* What a guest said last. */
struct pv_balance_stats {
	bool is_fresh; /* there are some, and young enough */
	bool has_available;
	uint64_t updates;               /* how often it has said */
	uint64_t available;             /* bytes */
	uint64_t swap_in, major_faults; /* since it was started; 0 where it does not say */
};

struct pv_balance_machine {
	/* In: bytes. What it has and is to have, each of its memory. */
	uint64_t memory, actual, target;
	uint64_t floor, ceiling; /* PV_BALANCE_DEFAULT: a quarter, but PV_BALANCE_FLOOR_MIN; all */
	uint32_t weight;         /* 1 to PV_BALANCE_WEIGHT_MAX */
	struct pv_balance_stats stats;

	/* In and out. */
	struct pv_balance_past past;

	/* Out. */
	uint64_t wanted; /* the target from now on: `target` if nothing is to change */
	char reason[PV_BALANCE_REASON_BYTES];
};

struct pv_balance_host {
	uint64_t available, reserve; /* bytes */
	uint32_t some, full;         /* of the last 10 s, in which tasks waited for memory */
	uint32_t pressure;           /* from so much of `some`, or half of `full`, it is short */
	uint32_t calm_turns;         /* before a machine shrinks: PV_BALANCE_CALM_TURNS */
};

/*
 * One turn for up to PV_BALANCE_MACHINES_MAX machines. Each gets `wanted`, which is within its
 * bounds unless it is left alone, and one sentence of why.
 */
void pv_balance(const struct pv_balance_host *host, struct pv_balance_machine *machine,
                unsigned int machines);

/* The bounds that hold for a machine: the floor is never above the ceiling, nor that above memory.
 */
uint64_t pv_balance_floor(const struct pv_balance_machine *machine);
uint64_t pv_balance_ceiling(const struct pv_balance_machine *machine);

/* What the host wants to have available: its reserve, and what keeps it from being short soon. */
uint64_t pv_balance_comfort(const struct pv_balance_host *host);

/* What a guest is to have available. */
uint64_t pv_balance_headroom(const struct pv_balance_machine *machine);

#endif
