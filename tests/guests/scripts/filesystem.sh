# SPDX-License-Identifier: BSD-2-Clause
# A file system's whole life on the disk: made, written and verified, trimmed, left clean.
# shellcheck shell=sh
value features "$(cat "$(disk_file device/features)")"
value queues "$(find "$(disk_file mq)" -mindepth 1 -maxdepth 1 | wc -l)"
check "fio writes and verifies the bare disk, $FIO_BS at depth 16" \
	verified_fio bare --filename="$DISK" --rw=randwrite --bs="$FIO_BS" --iodepth=16 \
	--size="$FIO_SIZE"
check "mkfs.ext4 makes a file system" mkfs.ext4 -q -F "$DISK"
check "the file system mounts" mount "$DISK" "$MNT"
check "fio writes and verifies a file in mixed sizes" \
	verified_fio mixed --directory="$MNT" --rw=randwrite --bsrange=4k-256k --iodepth=8 \
	--size="$FIO_SIZE"
head -c 3000000 /dev/urandom >"$MNT/kept"
sync
value kept "$(sha256sum <"$MNT/kept" | cut -d ' ' -f 1)"
ask blocks_before_trim
rm "$MNT"/mixed*
sync
check "fstrim works" fstrim "$MNT"
ask blocks_after_trim
check "the file system unmounts" umount "$MNT"
