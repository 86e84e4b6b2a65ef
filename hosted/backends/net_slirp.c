/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/backends/net_slirp.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>

static struct pv_slirp slirp;

/* A pointer to a function is kept where dlsym() puts its pointer to data. */
static bool find(void *library, const char *name, void *function)
{
	void *found = dlsym(library, name);

	*(void **)function = found;
	return found;
}

static bool find_all(void *library)
{
	return find(library, "slirp_new", &slirp.new) &&
	       find(library, "slirp_cleanup", &slirp.cleanup) &&
	       find(library, "slirp_pollfds_fill", &slirp.pollfds_fill) &&
	       find(library, "slirp_pollfds_poll", &slirp.pollfds_poll) &&
	       find(library, "slirp_input", &slirp.input) &&
	       find(library, "slirp_add_hostfwd", &slirp.add_hostfwd);
}

const struct pv_slirp *pv_slirp_load(void)
{
	void *library = dlopen("libslirp.so.0", RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return NULL;
	if (find_all(library))
		return &slirp;
	dlclose(library);
	return NULL;
}
