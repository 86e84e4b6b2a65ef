# SPDX-License-Identifier: BSD-2-Clause
# A short verified load on the bare disk, under whatever features were left to the driver.
# shellcheck shell=sh
value features "$(cat "$(disk_file device/features)")"
check "fio writes and verifies: $WHAT" \
	verified_fio bare --filename="$DISK" --rw=randwrite --bsrange=4k-128k --iodepth=16 --size=8m
check "discard works: $WHAT" blkdiscard "$DISK"
