/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of a network device's making: nic.c opens it, nic_keys.c and nic_switches.c read its
 * options.
 */
#ifndef PV_HOSTED_NIC_INTERNAL_H
#define PV_HOSTED_NIC_INTERNAL_H

#include "hosted/control/nic.h"

/* nic_switches.c */
extern const struct pv_option_group pv_nic_switch_group;

#define PV_NIC_FDS_MAX PV_NIC_PAIRS_MAX

/*
 * nic_keys.c: the descriptors of `fds`, which must be open. Returns whether they are, or false with
 * a sentence.
 */
bool pv_nic_fds(const struct pv_nic_options *options, int fd[static PV_NIC_FDS_MAX], uint16_t *fds,
                char sentence[static PV_SENTENCE_BYTES]);

/* nic_rarp.c: what a front-end may ask for; its argument is the struct pv_nic. */
extern const struct pv_vhu_net_ops pv_nic_front_end_ops;

#endif
