# SPDX-License-Identifier: BSD-2-Clause
# One of several guests in turn on one socket: finds what the one before it left, leaves its own.
# TURN counts from 1; with DIES=yes the guest is killed from outside in the middle of its writes.
# shellcheck shell=sh
if [ "$TURN" = 1 ]; then
	check "guest 1 makes a file system" mkfs.ext4 -q -F "$DISK"
	check "guest 1 mounts it" mount "$DISK" "$MNT"
else
	check "guest $TURN mounts what is there" mount "$DISK" "$MNT"
	same "guest $TURN reads the file of the guest before it" \
		"$(sha256sum <"$MNT/letter" | cut -d ' ' -f 1)" "$SUM"
fi
head -c 1000000 /dev/urandom >"$MNT/letter"
sync
value sum "$(sha256sum <"$MNT/letter" | cut -d ' ' -f 1)"
if [ "${DIES-no}" = yes ]; then
	fio --name=load --thread --ioengine=io_uring --direct=1 --directory="$MNT" --rw=randwrite \
		--bs=4k --iodepth=16 --size=16m --time_based --runtime=60 >/dev/null 2>&1 &
	sleep 1
	ask kill_guest
fi
check "guest $TURN unmounts" umount "$MNT"
