/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A service with several devices, from a file: an object of JSON with the options of the service
 * and a list of devices, each an object with the options that a command line has for one:
 *
 *     { "loops": 2, "qmp": "unix:/run/vm/qmp",
 *       "disks": [ { "name": "vda", "socket-path": "/run/vm/vda", "blk-file": "/srv/vda.img" },
 *                  { "name": "vdb", "socket-path": "/run/vm/vdb", "memory": "1G" } ] }
 */
#ifndef PV_HOSTED_CONFIG_H
#define PV_HOSTED_CONFIG_H

#include "hosted/control/options_json.h"
#include "hosted/control/service.h"

#define PV_CONFIG_DEVICES_MAX 256u

struct pv_config {
	const char *path;
	const char *list_key; /* "disks" */
	struct json_object *file;
	struct json_object *list; /* the file's */
	unsigned int devices;
};

/*
 * Reads `path`, which the option --config gave, and takes in the options of the service; there is
 * at least one device in the list then. Returns false with a sentence; nothing is left then.
 */
bool pv_config_read(struct pv_config *config, const char *path, const char *list_key,
                    struct pv_service_options *service, char sentence[static PV_SENTENCE_BYTES]);

/* Texts that options point to go with it. */
void pv_config_close(struct pv_config *config);

/* Takes in a device's options: pv_json_form. Returns false with a sentence. */
bool pv_config_device(const struct pv_config *config, unsigned int device,
                      const struct pv_option_group *const *groups, void *const *values,
                      char sentence[static PV_SENTENCE_BYTES]);

/* Puts in front of a sentence which device it is about. Returns false. */
bool pv_config_about(const struct pv_config *config, unsigned int device,
                     char sentence[static PV_SENTENCE_BYTES]);

#endif
