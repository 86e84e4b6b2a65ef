# SPDX-License-Identifier: BSD-2-Clause
# The back-end is killed and comes back, first between requests, then under load.
# shellcheck shell=sh
check "mkfs.ext4 makes a file system" mkfs.ext4 -q -F "$DISK"
check "the file system mounts" mount "$DISK" "$MNT"
head -c 3000000 /dev/urandom >"$MNT/kept"
sync
value kept "$(sha256sum <"$MNT/kept" | cut -d ' ' -f 1)"
ask replace_backend
check "fio writes and verifies through the new back-end" \
	verified_fio new --directory="$MNT" --rw=randwrite --bs=4k --iodepth=16 --size=4m
sync
fio --name=load --thread --ioengine=io_uring --direct=1 --directory="$MNT" --rw=randwrite --bs=4k \
	--iodepth=16 --size=8m --time_based --runtime=60 >/dev/null 2>&1 &
sleep 1.5
ask kill_backend
sleep 0.5
check "the guest lives on" sh -c "ls /proc/self && sleep 0.1"
