# SPDX-License-Identifier: BSD-2-Clause
# What the guest sees of the device's options, and a second round of the driver on one connection.
# shellcheck shell=sh
same "the serial number is the option's" "$(cat "$(disk_file serial)")" "$SERIAL"
same "the logical block size is the option's" "$(cat "$(queue_file logical_block_size)")" "$BLOCK"
same "the physical block size is the option's" \
	"$(cat "$(queue_file physical_block_size)")" "$PHYSICAL"
same "the size is the image's" "$(cat "$(disk_file size)")" "$SECTORS"
cache=$(disk_file cache_type)
same "the write cache is on at first" "$(cat "$cache")" "write back"
check "the driver turns the write cache off" sh -c "echo 'write through' >$cache"
same "the write cache is off" "$(cat "$cache")" "write through"
check "fio writes and verifies without a write cache" \
	verified_fio through --filename="$DISK" --rw=randwrite --bs="$BLOCK" --iodepth=8 --size=2m
check "the driver turns the write cache on again" sh -c "echo 'write back' >$cache"
same "the write cache is on again" "$(cat "$cache")" "write back"

head -c 4194304 /dev/urandom >"$SCRATCH/pattern"
check "a pattern is written" dd if="$SCRATCH/pattern" of="$DISK" bs=64k oflag=direct
for round in 1 2; do
	check "the driver is unloaded ($round)" rmmod "$MODULE"
	check "the driver is loaded again ($round)" modprobe -d "$MODULE_ROOT" "$MODULE"
	dd if="$DISK" of="$SCRATCH/read" bs=64k count=64 iflag=direct 2>/dev/null
	check "the pattern is still there ($round)" cmp "$SCRATCH/pattern" "$SCRATCH/read"
done
check "fio writes and verifies after the reload" \
	verified_fio reloaded --filename="$DISK" --rw=randwrite --bs="$BLOCK" --iodepth=16 --size=4m
check "the disk is erased for good" blkdiscard --secure "$DISK"
check "nothing of it is left" cmp -n 4194304 "$DISK" /dev/zero
ask idle_begins
sleep 1
ask idle_ends
