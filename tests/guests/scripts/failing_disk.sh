# SPDX-License-Identifier: BSD-2-Clause
# The disk fails at what the host says: the request, and no more. In the end the file system on it
# fails, and the guest lives. The host made the file system; it ends at AREA, in bytes.
# shellcheck shell=sh
size=1048576
block=65536

# A piece of the disk behind the file system, past the page cache. `check` passes the arguments.
# shellcheck disable=SC2120
write_all() {
	dd if="$SCRATCH/data" of="$DISK" bs=$block seek=$((AREA / block)) oflag=direct "$@"
}

read_all() {
	dd if="$DISK" of="$SCRATCH/read" bs=$block skip=$((AREA / block)) \
		count=$((size / block)) iflag=direct
}

head -c $size /dev/urandom >"$SCRATCH/data"
check "a healthy disk is written" write_all
ask fault fail write begin=$((AREA + 2 * block)) end=$((AREA + 3 * block)) times=1
refuses "a write that fails is an error" write_all
check "it was the one" write_all

ask fault short read begin=$((AREA + block)) end=$((AREA + 2 * block))
refuses "a read that ends half way is an error" read_all
ask clear
check "the next goes well" read_all
check "and reads what was written" cmp "$SCRATCH/data" "$SCRATCH/read"

ask fault fail write error=enospc
refuses "a full disk is an error" write_all
ask clear
ask fault fail flush times=1
refuses "a flush that fails is an error" write_all conv=fsync
check "the next goes well" write_all conv=fsync
ask fault fail discard times=1
refuses "a discard that fails is an error" blkdiscard -o "$AREA" -l $size "$DISK"
ask fault fail write-zeroes times=1
# Linux writes the zeroes itself then.
check "zeroes that cannot be made are written" blkdiscard -z -o "$AREA" -l $size "$DISK"
check "they are zeroes" cmp -n $size -i "$AREA:0" "$DISK" /dev/zero
ask clear

ask fault slow any ticks=20
check "a disk that is slow and out of order loses nothing" verified_fio slow --filename="$DISK" \
	--offset="$AREA" --rw=randwrite --bsrange=4k-64k --iodepth=16 --size=8m
ask clear

check "the file system mounts" mount -o errors=remount-ro "$DISK" "$MNT"
echo before >"$MNT/before"
sync
ask fault fail write "end=$AREA"
echo after >"$MNT/after"
sync
refuses "nothing can be written any more" touch "$MNT/more"
check "the kernel says why" sh -c 'dmesg | grep -E "EXT4-fs error|Remounting filesystem read-only"'
same "what was there can be read" "$(cat "$MNT/before")" before
ask clear
check "the guest lives on" umount "$MNT"
write_all >"$SCRATCH/out" 2>&1
check "and so does its disk" write_all
