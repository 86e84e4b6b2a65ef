# SPDX-License-Identifier: BSD-2-Clause
# A disk that must not change.
# shellcheck shell=sh
same "the driver knows that the disk is read-only" "$(cat "$(disk_file ro)")" 1
refuses "writing is refused" dd if=/dev/zero of="$DISK" bs=4k count=1 oflag=direct conv=notrunc
refuses "mkfs.ext4 is refused" mkfs.ext4 -q -F "$DISK"
refuses "discard is refused" blkdiscard "$DISK"
value sum "$(sha256sum <"$DISK" | cut -d ' ' -f 1)"
