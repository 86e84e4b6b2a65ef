/* SPDX-License-Identifier: BSD-2-Clause */
/* Within hosted/backends: libslirp, which is loaded when the first user-mode network is opened. */
#ifndef PV_HOSTED_NET_SLIRP_H
#define PV_HOSTED_NET_SLIRP_H

#include <slirp/libslirp.h>

/* Its functions that we call, as its header declares them. */
struct pv_slirp {
	__typeof__(slirp_new) *new;
	__typeof__(slirp_cleanup) *cleanup;
	__typeof__(slirp_pollfds_fill) *pollfds_fill;
	__typeof__(slirp_pollfds_poll) *pollfds_poll;
	__typeof__(slirp_input) *input;
	__typeof__(slirp_add_hostfwd) *add_hostfwd;
};

/* Before the sandbox is entered. Returns NULL where it is not installed. It is never unloaded. */
const struct pv_slirp *pv_slirp_load(void);

#endif
