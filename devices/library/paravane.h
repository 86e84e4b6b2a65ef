/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libparavane: virtio devices for emulators and monitors, without threads, globals or I/O of its
 * own.  docs/howto/embed.md says how to host them.
 *
 * This is all of its public interface.  Each of these can also be included alone.
 */
#ifndef PARAVANE_H
#define PARAVANE_H

/* A device, its queues, and what it asks of its host. */
#include "devices/core/device.h"
#include "devices/port/port.h"
#include "ring/err.h"
#include "ring/mem.h"

/* How a driver reaches it. */
#include "devices/transport/mmio/virtio.h"
#include "devices/transport/pci/virtio.h"

/* The devices. */
#include "abi/virtio_ids.h"
#include "abi/virtio_blk.h"
#include "devices/blk/blk.h"
#include "abi/virtio_net.h"
#include "devices/net/net.h"
#include "abi/virtio_rng.h"
#include "devices/rng/rng.h"
#include "abi/virtio_console.h"
#include "devices/serial/serial.h"
#include "abi/virtio_balloon.h"
#include "devices/balloon/balloon.h"

#endif
