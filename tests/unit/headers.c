/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The layouts of abi/ are proved where they stand; this proves that all of it compiles, and all
 * that the freestanding rooms say to each other and to their hosts; and the byte order of fields.
 */
#include <string.h>

#include "abi/linkage.h"
#include "abi/pci.h"
#include "abi/types.h"
#include "abi/vhost_inflight.h"
#include "abi/vhost_user.h"
#include "abi/virtio_balloon.h"
#include "abi/virtio_blk.h"
#include "abi/virtio_console.h"
#include "abi/virtio_net.h"
#include "abi/virtio_features.h"
#include "abi/virtio_ids.h"
#include "abi/virtio_mmio.h"
#include "abi/virtio_pci.h"
#include "abi/virtio_ring.h"
#include "abi/virtio_rng.h"
#include "devices/balloon/balloon.h"
#include "devices/blk/blk.h"
#include "devices/blk/store.h"
#include "devices/core/counters.h"
#include "devices/core/device.h"
#include "devices/core/lifecycle.h"
#include "devices/core/queue.h"
#include "devices/core/state.h"
#include "devices/library/paravane.h"
#include "devices/net/checksum.h"
#include "devices/net/hash.h"
#include "devices/net/headers.h"
#include "devices/net/segment.h"
#include "devices/port/port.h"
#include "devices/transport/access.h"
#include "devices/transport/mmio/virtio.h"
#include "devices/rng/rng.h"
#include "devices/rng/source.h"
#include "devices/serial/line.h"
#include "devices/serial/serial.h"
#include "devices/transport/pci/function.h"
#include "devices/transport/pci/msix.h"
#include "devices/transport/pci/virtio.h"
#include "devices/transport/transport.h"
#include "drivers/balloon/balloon.h"
#include "drivers/blk/blk.h"
#include "drivers/bus/config.h"
#include "drivers/bus/mmio.h"
#include "drivers/bus/pci.h"
#include "drivers/core/bus.h"
#include "drivers/core/driver.h"
#include "drivers/port/port.h"
#include "drivers/rng/rng.h"
#include "ring/barrier.h"
#include "ring/chain.h"
#include "ring/dev_log.h"
#include "ring/dev_ring.h"
#include "ring/dev_walk.h"
#include "ring/dirty_log.h"
#include "ring/drv_chain.h"
#include "ring/drv_ring.h"
#include "ring/err.h"
#include "ring/inflight.h"
#include "ring/mem.h"
#include "ring/notify.h"

/* As bytes, for two halves that are wrong in the same way understand each other. */
static int is_little_endian(void)
{
	static const uint8_t bytes[] = { 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11 };
	struct pv_le16 le16 = pv_le16_of(0x7788);
	struct pv_le32 le32 = pv_le32_of(0x55667788);
	struct pv_le64 le64 = pv_le64_of(0x1122334455667788);

	return memcmp(&le16, bytes, sizeof(le16)) == 0 && memcmp(&le32, bytes, sizeof(le32)) == 0 &&
	       memcmp(&le64, bytes, sizeof(le64)) == 0;
}

int main(void)
{
	return !is_little_endian();
}
