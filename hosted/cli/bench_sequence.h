/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `paravane bench serial --check` sends: an endless row of bytes, each of which follows from
 * its place, so that whoever reads it finds the first one that was lost, doubled or altered.  It is
 * made of words of eight bytes, in this processor's order, multiples of an odd number: none is like
 * another.
 */
#ifndef PV_CLI_BENCH_SEQUENCE_H
#define PV_CLI_BENCH_SEQUENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes the bytes from place `at` on. */
void pv_sequence_fill(uint64_t at, void *to, size_t bytes);

/*
 * How many of these bytes, from the first on, are those from place `at` on: all of them when the
 * row is sound.
 */
size_t pv_sequence_check(uint64_t at, const void *from, size_t bytes);

#endif
