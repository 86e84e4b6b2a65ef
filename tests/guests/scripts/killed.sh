# SPDX-License-Identifier: BSD-2-Clause
# The back-end dies under load (SIGKILL); the guest sees errors and goes on living.
# A request that was with the back-end when it died never comes back, and Linux 6.1 has no time
# limit on a virtio disk: nothing here waits for a process that may hold such a request.
# shellcheck shell=sh
check "mkfs.ext4 makes a file system" mkfs.ext4 -q -F "$DISK"
check "the file system mounts" mount "$DISK" "$MNT"
head -c 3000000 /dev/urandom >"$MNT/kept"
sync
value kept "$(sha256sum <"$MNT/kept" | cut -d ' ' -f 1)"
fio --name=load --thread --ioengine=io_uring --direct=1 --directory="$MNT" --rw=randwrite --bs=4k \
	--iodepth=16 --size=16m --fsync=64 --time_based --runtime=60 >/dev/null 2>&1 &
sleep 1.5
ask kill_backend

(
	dd if="$DISK" of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null
	echo $? >"$SCRATCH/read"
) &
turns=100
while [ ! -s "$SCRATCH/read" ] && [ $turns -gt 0 ]; do
	sleep 0.1
	turns=$((turns - 1))
done
same "a read of the disk fails, soon" "$(cat "$SCRATCH/read")" 1
check "the kernel reports I/O errors" sh -c 'dmesg | grep "I/O error, dev vd"'
check "the guest lives on" sh -c "ls /proc/self && sleep 0.1"
