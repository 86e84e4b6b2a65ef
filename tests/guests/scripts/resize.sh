# SPDX-License-Identifier: BSD-2-Clause
# The disk changes its size under the guest. SMALL and LARGE are in sectors.
# shellcheck shell=sh
size=$(disk_file size)
same "the disk is small at first" "$(cat "$size")" "$SMALL"
ask resize "$LARGE"
becomes "the guest sees the disk grow" "$size" "$LARGE"
head -c 1048576 /dev/urandom >"$SCRATCH/pattern"
check "the new part can be written" dd if="$SCRATCH/pattern" of="$DISK" bs=1M \
	seek=$((LARGE / 2048 - 1)) oflag=direct
dd if="$DISK" of="$SCRATCH/read" bs=1M skip=$((LARGE / 2048 - 1)) iflag=direct 2>/dev/null
check "the new part reads back" cmp "$SCRATCH/pattern" "$SCRATCH/read"
ask resize "$SMALL"
becomes "the guest sees the disk shrink" "$size" "$SMALL"
check "fio writes and verifies afterwards" \
	verified_fio after --filename="$DISK" --rw=randwrite --bs=4k --iodepth=16 --size=4m
