/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's random bytes.
 *
 * They go by memory of our own: should the guest's shrink under us it is our store that finds out,
 * as everywhere else (hosted/control/guard.h), and not the kernel, which would only give less.
 *
 * #syscalls getrandom
 */
#define _GNU_SOURCE
#include "hosted/backends/kernel_entropy.h"

#include <string.h>
#include <sys/random.h>

#include "ring/err.h"

/* As much as the kernel gives without being interrupted. */
#define CHUNK_BYTES 256u

static size_t fill(struct pv_rng_source *source, void *to, size_t bytes)
{
	unsigned char chunk[CHUNK_BYTES];
	size_t done = 0;

	(void)source;
	while (done < bytes) {
		size_t left = bytes - done;
		ssize_t got =
			getrandom(chunk, left < CHUNK_BYTES ? left : CHUNK_BYTES, GRND_NONBLOCK);

		if (got <= 0)
			break;
		pv_bug_on((size_t)got > left);
		memcpy((char *)to + done, chunk, (size_t)got);
		done += (size_t)got;
	}
	explicit_bzero(chunk, sizeof(chunk));
	return done;
}

struct pv_rng_source *pv_kernel_entropy(void)
{
	static const struct pv_rng_source_ops ops = { .fill = fill };
	static struct pv_rng_source source = { .ops = &ops };

	return &source;
}
