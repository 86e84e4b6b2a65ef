# SPDX-License-Identifier: BSD-2-Clause
# The guest's side of the second half of ./demo: a machine of our own.
# shellcheck shell=sh
value kernel "$(uname -sr)"
value up "$(cut -d ' ' -f 1 /proc/uptime)"
value cpus "$(nproc)"
value clock "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
value random "$(od -An -N 8 -t x1 /dev/hwrng | tr -d ' \n')"
check "ext4 made on its disk and mounted" sh -c "mkfs.ext4 -q -F $DISK && mount $DISK $MNT"
check "fio writes, reads back and verifies" \
	verified_fio load --directory="$MNT" --rw=randwrite --bs=4k --iodepth=16 --size=4m
check "unmounted, and switched off" umount "$MNT"
