# SPDX-License-Identifier: BSD-2-Clause
# A guest that reads from its entropy device, and loads the driver anew in between.
# shellcheck shell=sh
WHAT=vhost-user
entropy on
busybox rmmod virtio_rng
same "without its driver it is gone" "$(rngs)" ""
busybox insmod "$(echo /run/modules/*virtio-rng.ko)"
entropy on
value read "$((2 * ENTROPY_BYTES))"
