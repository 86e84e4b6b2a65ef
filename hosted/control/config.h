/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several devices, or whatever else a command has several of, from a file: an object of JSON with
 * the options of the whole and a list, each of which is an object with the options that a command
 * line has for one:
 *
 *     { "loops": 2, "qmp": "unix:/run/vm/qmp",
 *       "disks": [ { "name": "vda", "socket-path": "/run/vm/vda", "blk-file": "/srv/vda.img" },
 *                  { "name": "vdb", "socket-path": "/run/vm/vdb", "memory": "1G" } ] }
 */
#ifndef PV_HOSTED_CONFIG_H
#define PV_HOSTED_CONFIG_H

#include "hosted/control/options_json.h"

#define PV_CONFIG_DEVICES_MAX 256u

struct pv_config {
	const char *path;
	const char *list_key; /* "disks" */
	struct json_object *file;
	struct json_object *list; /* the file's */
	unsigned int devices;
};

/*
 * Reads `path`, which `option` gave, and takes in the options of the whole, by a form whose other
 * key is the list's; there is at least one in it then. Returns false with a sentence; nothing is
 * left then.
 */
bool pv_config_read(struct pv_config *config, const char *option, const char *path,
                    const struct pv_json_form *form, char sentence[static PV_SENTENCE_BYTES]);

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
