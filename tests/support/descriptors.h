/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PV_TESTS_DESCRIPTORS_H
#define PV_TESTS_DESCRIPTORS_H

/* A number to compare with a later one: it grows by 1 with each descriptor this process opens. */
int descriptors_open(void);

#endif
