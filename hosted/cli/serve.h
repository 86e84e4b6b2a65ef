/* SPDX-License-Identifier: BSD-2-Clause */
/* What all `paravane serve DEVICE` do in the same way. */
#ifndef PV_HOSTED_CLI_SERVE_H
#define PV_HOSTED_CLI_SERVE_H

#include "hosted/control/options.h"
#include "hosted/control/service.h"

struct pv_serve_command {
	const struct pv_command_line *line;
	/*
	 * For --print-capabilities, as QEMU's vhost-user.json has it: what a management program
	 * asks before it starts a back-end. NULL: there is no such option.
	 */
	const char *capabilities;
	/* Serves until it is told to end. `wishes` are what the options wrote to. */
	bool (*serve)(void *wishes, char sentence[static PV_SENTENCE_BYTES]);
};

/* Of a command with --print-capabilities. */
#define PV_SERVE_CAPABILITIES_OPTION(type, field)                                                  \
	{                                                                                          \
		"print-capabilities", NULL, "print what this back-end can do, as JSON, and end",   \
			PV_OPTION_FLAG_AT(type, field)                                             \
	}

/*
 * Takes in the command line, `values` being what its groups go to, and serves, or says why not.
 * `must_print_capabilities` is where that option writes, or NULL. Returns the exit status.
 */
int pv_serve(const struct pv_serve_command *command, void *wishes, void *const *values,
             const bool *must_print_capabilities, int argc, char **argv);

/* The devices of a service: what is done with them, in this order. */
struct pv_serve_devices {
	/* Makes them, and registers their commands. False with a sentence. */
	bool (*open)(void *arg, struct pv_service *service,
	             char sentence[static PV_SENTENCE_BYTES]);
	/* It has been served; NULL: that was all. False with a sentence. */
	bool (*settle)(void *arg, char sentence[static PV_SENTENCE_BYTES]);
	/* Whatever there is of them goes: always called, also when they were not opened. */
	void (*close)(void *arg);
};

/* A service's whole life. False with a sentence. */
bool pv_serve_service(const struct pv_serve_devices *devices, void *arg,
                      const struct pv_service_options *options,
                      const struct pv_service_extent *extent,
                      char sentence[static PV_SENTENCE_BYTES]);

#endif
