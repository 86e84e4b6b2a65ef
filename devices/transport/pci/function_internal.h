/* SPDX-License-Identifier: BSD-2-Clause */
/* What a function and its MSI-X have of each other. */
#ifndef PV_DEVICES_PCI_FUNCTION_INTERNAL_H
#define PV_DEVICES_PCI_FUNCTION_INTERNAL_H

#include "devices/transport/pci/msix.h"

/* function.c */
void pv_pci_msix_switched(struct pv_pci_function *function);

/* msix.c */
void pv_msix_config_written(struct pv_msix *msix, uint32_t offset, uint32_t bytes);
void pv_msix_apply(struct pv_msix *msix);
void pv_msix_reset(struct pv_msix *msix);
void pv_msix_save(const struct pv_msix *msix, struct pv_state_writer *to);
void pv_msix_load(struct pv_msix *msix, struct pv_state_reader *from);

#endif
