# SPDX-License-Identifier: BSD-2-Clause
# The guest's side of ./demo.
# shellcheck shell=sh
value kernel "$(uname -sr)"
value disk "$(cat "$(disk_file size)") $(cat "$(disk_file serial)")"
value features "$(cat "$(disk_file device/features)")"
ask booted

load() {
	job=$1
	shift
	if line=$(verified_fio "$job" --directory="$MNT" --output-format=terse "$@" 2>"$SCRATCH/fio"); then
		value "$job" "$line"
	else
		bad "fio $job: $(tail -n 2 "$SCRATCH/fio" | tr '\n' ' ')"
	fi
	ask ran "$job"
}

check "ext4 made on $DISK" mkfs.ext4 -q -F "$DISK"
check "mounted" mount "$DISK" "$MNT"
ask note made
load small --rw=randwrite --bs=4k --iodepth=32 --size=64m
load large --rw=write --bs=1m --iodepth=4 --size=128m
head -c 8388608 /dev/urandom >"$MNT/kept"
sync
value sum "$(sha256sum <"$MNT/kept" | cut -d ' ' -f 1)"
ask note full
rm "$MNT"/small* "$MNT"/large*
sync
check "files removed, free space trimmed" fstrim "$MNT"
ask note trimmed
check "unmounted" umount "$MNT"
