# SPDX-License-Identifier: BSD-2-Clause
# Two disks at the same time: each its own serial number, load and file system.
# shellcheck shell=sh
SECOND=${DISK%a}b
same "the first disk is the first" "$(cat "$(disk_file serial)")" first
same "the second disk is the second" "$(DISK=$SECOND; cat "$(disk_file serial)")" second
(verified_fio second --filename="$SECOND" --rw=randwrite --bs=4k --iodepth=16 --size=4m \
	>"$SCRATCH/second" 2>&1 || touch "$SCRATCH/failed") &
check "fio writes and verifies the first disk, as the second's is under way" \
	verified_fio first --filename="$DISK" --rw=randwrite --bs=16k --iodepth=16 --size=4m
wait
check "fio wrote and verified the second disk" test ! -e "$SCRATCH/failed"
for disk in "$DISK" "$SECOND"; do
	check "mkfs.ext4 makes a file system on $disk" mkfs.ext4 -q -F "$disk"
done
check "the first mounts" mount "$DISK" "$MNT"
head -c 3000000 /dev/urandom >"$MNT/kept"
sync
cp "$MNT/kept" "$SCRATCH/kept"
value kept "$(sha256sum <"$MNT/kept" | cut -d ' ' -f 1)"
check "the first unmounts" umount "$MNT"
check "the second mounts" mount "$SECOND" "$MNT"
refuses "the second has no file of the first" test -e "$MNT/kept"
check "a copy goes to the second" cp "$SCRATCH/kept" "$MNT/copy"
check "the second unmounts" umount "$MNT"
