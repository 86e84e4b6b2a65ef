# SPDX-License-Identifier: BSD-2-Clause
# The guest is moved to another QEMU, with another back-end, while it reads and writes.
# What the device read into the page cache on the way must be there after it: each page of it is in
# memory only because the device wrote it, so one that was left behind shows as another checksum.
# shellcheck shell=sh
sum() { sha256sum <"$1" | cut -d ' ' -f 1; }
# What a program computes lies where the processor wrote, and QEMU may lose that: a load that was under way
# when the guest was moved is not judged. The loop ends with it.
list_of_wrongs() {
	if [ -e "$SCRATCH/moved" ]; then echo "$SCRATCH/lost"; else echo "$SCRATCH/wrong"; fi
}

check "mkfs.ext4 makes a file system" mkfs.ext4 -q -F "$DISK"
check "the file system mounts" mount "$DISK" "$MNT"
head -c 12000000 /dev/urandom >"$MNT/kept"
sync
kept=$(sum "$MNT/kept")
value kept "$kept"

(
	while [ ! -e "$SCRATCH/moved" ]; do
		verified_fio load --directory="$MNT" --rw=randwrite --bsrange=4k-64k --iodepth=8 \
			--size=2m >"$SCRATCH/fio" 2>&1 || echo "fio ended with $?" >>"$(list_of_wrongs)"
		echo >>"$SCRATCH/loads"
	done
) &
(
	read -r reply <&3
	echo "$reply" >"$SCRATCH/moved"
) &
echo "@@do move"
rounds=0
while [ ! -e "$SCRATCH/moved" ]; do
	echo 1 >/proc/sys/vm/drop_caches
	# What the device wrote is still in memory to be summed again, where only a sum was lost on the way.
	if [ "$(sum "$MNT/kept")" != "$kept" ]; then
		[ "$(sum "$MNT/kept")" = "$kept" ] || echo "what was read in round $rounds" >>"$SCRATCH/wrong"
		echo "the sum of round $rounds" >>"$(list_of_wrongs)"
	fi
	rounds=$((rounds + 1))
done
same "what was read on the way is whole in memory" "$(sum "$MNT/kept")" "$kept"
wait
touch "$SCRATCH/wrong" "$SCRATCH/lost"
same "every file read and every fio load on the way was right" "$(cat "$SCRATCH/wrong")" ""
value rounds "$rounds"
value lost "$(tr '\n' ',' <"$SCRATCH/lost")"
value loads "$(wc -l <"$SCRATCH/loads")"
echo 3 >/proc/sys/vm/drop_caches
same "what is on the disk is whole" "$(sum "$MNT/kept")" "$kept"
check "fio writes and verifies at the destination" \
	verified_fio after --directory="$MNT" --rw=randwrite --bs=4k --iodepth=16 --size=2m
check "the file system unmounts" umount "$MNT"
