# SPDX-License-Identifier: BSD-2-Clause
# The disk changes its size again and again under a verified load. SMALL and LARGE are in sectors;
# the load stays within what is always there.
# shellcheck shell=sh
size=$(disk_file size)
same "the disk is small at first" "$(cat "$size")" "$SMALL"
verified_fio load --filename="$DISK" --rw=randwrite --bs=4k --iodepth=16 --size=24m \
	>"$SCRATCH/fio" 2>&1 &
fio=$!
busy=0
for round in 1 2 3 4 5; do
	ask resize "$LARGE"
	becomes "the guest sees the disk grow ($round)" "$size" "$LARGE"
	kill -0 $fio 2>/dev/null && busy=$((busy + 1))
	ask resize "$SMALL"
	becomes "the guest sees the disk shrink ($round)" "$size" "$SMALL"
done
value rounds "$busy"
check "fio writes and verifies while the disk changes" wait $fio
