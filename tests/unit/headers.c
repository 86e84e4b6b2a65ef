/* SPDX-License-Identifier: BSD-2-Clause */
/* The layouts of abi/ are proved where they stand; this proves that all of it compiles. */
#include "abi/vhost_user.h"
#include "abi/virtio_blk.h"
#include "abi/virtio_ids.h"
#include "devices/blk/blk.h"
#include "devices/core/device.h"
#include "drivers/core/bus.h"
#include "drivers/port/port.h"
#include "ring/barrier.h"
#include "ring/drv_ring.h"
#include "ring/notify.h"

int main(void)
{
	return 0;
}
