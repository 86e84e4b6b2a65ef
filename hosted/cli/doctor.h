/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a host can do for the program, found out without changing anything: each look at something
 * leaves a finding or several, with a remedy where something is lacking.
 */
#ifndef PV_HOSTED_DOCTOR_H
#define PV_HOSTED_DOCTOR_H

#include <stdbool.h>

#define PV_DOCTOR_FINDINGS_MAX 24u

enum pv_doctor_state {
	PV_DOCTOR_GOOD,
	PV_DOCTOR_WEAK, /* it works, and less well than it could */
	PV_DOCTOR_NO,   /* what needs it does not work */
};

struct pv_doctor_finding {
	const char *name;
	enum pv_doctor_state state;
	char text[256];
	char remedy[256]; /* empty: there is nothing to mend */
};

struct pv_doctor {
	unsigned int findings;
	struct pv_doctor_finding finding[PV_DOCTOR_FINDINGS_MAX];
};

/* Adds a finding. */
__attribute__((format(printf, 4, 5))) void pv_doctor_note(struct pv_doctor *doctor,
                                                          const char *name,
                                                          enum pv_doctor_state state,
                                                          const char *format, ...);

/* Adds the remedy to the last one. */
__attribute__((format(printf, 2, 3))) void pv_doctor_advise(struct pv_doctor *doctor,
                                                            const char *format, ...);

/* Returns whether a machine can run. Before anything that starts threads. */
bool pv_doctor_look_at_kvm(struct pv_doctor *doctor);
void pv_doctor_look_at_memory(struct pv_doctor *doctor);
void pv_doctor_look_at_process(struct pv_doctor *doctor);
void pv_doctor_look_at_devices(struct pv_doctor *doctor);

#endif
