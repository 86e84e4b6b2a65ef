/* SPDX-License-Identifier: BSD-2-Clause */
/* What paravane run puts into its machine, a file for each kind of device. */
#ifndef PV_HOSTED_CLI_RUN_H
#define PV_HOSTED_CLI_RUN_H

#include "hosted/control/ballast.h"
#include "hosted/control/disk_set.h"
#include "hosted/control/entropy.h"
#include "hosted/control/nic.h"
#include "hosted/control/options.h"
#include "hosted/control/ports.h"
#include "hosted/control/remote_device.h"
#include "hosted/vmm/machine.h"

/* Where a device may be, as enum pv_disk_bus has them: a choice of the keys of each kind. */
extern const char *const pv_run_buses[];

/* What the texts, one of each --disk, say; they are written to. False with a sentence. */
bool pv_run_plan_disks(struct pv_disk_set *set, const struct pv_option_texts *texts, uint64_t cpus,
                       char sentence[static PV_SENTENCE_BYTES]);

/* Those that are open, onto the buses of their plans. False with a sentence. */
bool pv_run_add_disks(struct pv_machine *machine, const struct pv_disk_set *set,
                      char sentence[static PV_SENTENCE_BYTES]);

struct pv_run_rng {
	bool is_on;
	struct pv_entropy_options options;
	struct pv_entropy entropy;
};

/* What --rng says, which is written to; NULL: it was not given. False with a sentence. */
bool pv_run_plan_rng(struct pv_run_rng *rng, const char *option,
                     char sentence[static PV_SENTENCE_BYTES]);

/* It asks for its part of the service. */
void pv_run_extend_by_rng(struct pv_service_extent *extent, const struct pv_run_rng *rng);

/* Opened, and onto the PCI bus, if it is to be there. False with a sentence. */
bool pv_run_add_rng(struct pv_machine *machine, struct pv_run_rng *rng, struct pv_service *service,
                    char sentence[static PV_SENTENCE_BYTES]);

struct pv_run_balloon {
	struct pv_ballast_options options; /* first */
	struct pv_export_options export;
	unsigned int bus; /* enum pv_disk_bus */
	bool is_on;
	struct pv_ballast ballast; /* all zero until it is open */
};

/* What --balloon says, which is written to; NULL: there is none. False with a sentence. */
bool pv_run_plan_balloon(struct pv_run_balloon *balloon, const char *option,
                         char sentence[static PV_SENTENCE_BYTES]);

/* Does no page of such memory go back to the host, unless it is in a file? */
bool pv_run_balloon_wants_file(const struct pv_run_balloon *balloon,
                               const struct pv_machine_memory_options *memory);

/* As of the entropy device. */
void pv_run_extend_by_balloon(struct pv_service_extent *extent,
                              const struct pv_run_balloon *balloon);
bool pv_run_add_balloon(struct pv_machine *machine, struct pv_run_balloon *balloon,
                        struct pv_service *service, char sentence[static PV_SENTENCE_BYTES]);

/* A network device that was asked for, with its keys. */
struct pv_run_nic_plan {
	struct pv_nic_options nic; /* first: pv_nic_parse() */
	struct pv_export_options export;
	unsigned int bus; /* enum pv_disk_bus */
};

struct pv_run_nics {
	unsigned int count;
	struct pv_run_nic_plan *plan;
	struct pv_nic *nic; /* all zero until they are open */
};

/*
 * What the texts, one of each --net, say; they are written to. `machine` is its name, or NULL.
 * False with a sentence; nothing is left then.
 */
bool pv_run_plan_nics(struct pv_run_nics *nics, const struct pv_option_texts *texts,
                      const char *machine, char sentence[static PV_SENTENCE_BYTES]);

/* As of the entropy device. */
void pv_run_extend_by_nics(struct pv_service_extent *extent, const struct pv_run_nics *nics);
bool pv_run_add_nics(struct pv_machine *machine, struct pv_run_nics *nics,
                     struct pv_service *service, char sentence[static PV_SENTENCE_BYTES]);

/* The service's loops may have gone no further than their threads. */
void pv_run_close_nics(struct pv_run_nics *nics);

struct pv_run_serial {
	bool is_on;
	struct pv_ports_options options;
	struct pv_export_options export;
	unsigned int bus; /* enum pv_disk_bus */
	struct pv_ports_plan *plan;
	unsigned int plans;
	struct pv_ports ports; /* all zero until it is open */
};

/*
 * What the texts, one of each --serial, say, and that of --serial-device, which may be NULL; they
 * are written to. False with a sentence; nothing is left then.
 */
bool pv_run_plan_serial(struct pv_run_serial *serial, const struct pv_option_texts *texts,
                        const char *device, char sentence[static PV_SENTENCE_BYTES]);

/* Does one of its ports have the program's terminal? */
bool pv_run_serial_has_stdio(const struct pv_run_serial *serial);

/* As of the entropy device. */
void pv_run_extend_by_serial(struct pv_service_extent *extent, const struct pv_run_serial *serial);
bool pv_run_add_serial(struct pv_machine *machine, struct pv_run_serial *serial,
                       struct pv_service *service, char sentence[static PV_SENTENCE_BYTES]);
void pv_run_close_serial(struct pv_run_serial *serial);

/* A device that somebody else works on. */
struct pv_run_remote_plan {
	struct pv_remote_device_options remote; /* first */
	struct pv_export_options export;
	unsigned int bus; /* enum pv_disk_bus */
};

struct pv_run_remotes {
	struct pv_run_remote_plan *plan;
	struct pv_remote_device *device;
	unsigned int count;
};

/*
 * What the texts, one of each --device, say, and those of --net that mean one; they are written to.
 * False with a sentence; nothing is left then.
 */
bool pv_run_plan_remotes(struct pv_run_remotes *remotes, const struct pv_option_texts *devices,
                         const struct pv_option_texts *nets,
                         char sentence[static PV_SENTENCE_BYTES]);

/* They ask for their part of the service, and for memory that others can be given. */
void pv_run_extend_by_remotes(struct pv_service_extent *extent,
                              const struct pv_run_remotes *remotes);
bool pv_run_remotes_share_memory(const struct pv_run_remotes *remotes);

/* Connected, and onto their buses. False with a sentence. */
bool pv_run_add_remotes(struct pv_machine *machine, struct pv_run_remotes *remotes,
                        struct pv_service *service, char sentence[static PV_SENTENCE_BYTES]);
void pv_run_close_remotes(struct pv_run_remotes *remotes);

#endif
