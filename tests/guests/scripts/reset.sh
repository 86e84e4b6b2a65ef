# SPDX-License-Identifier: BSD-2-Clause
# Three boots of one machine: reset from outside under load, rebooted by itself, ended by itself.
# The first sector of the disk says which boot this is.
# shellcheck shell=sh
mark() { echo "$1" | dd of="$DISK" bs=512 count=1 conv=sync,notrunc,fsync 2>/dev/null; }

boot=$(dd if="$DISK" bs=512 count=1 iflag=direct 2>/dev/null | head -c 6)
case $boot in
second | third*) ;;
*) boot=first ;;
esac
ok "this is the $boot boot"
case $boot in
first)
	mark second
	fio --name=load --thread --ioengine=io_uring --direct=1 --filename="$DISK" --offset=1m \
		--rw=randwrite --bs=4k --iodepth=32 --size=16m --time_based --runtime=60 >/dev/null 2>&1 &
	sleep 1.5
	ask reset
	sleep 60
	;;
second)
	mark third
	check "fio writes and verifies after a reset under load" \
		verified_fio reset --filename="$DISK" --offset=1m --rw=randwrite --bs=4k --iodepth=16 --size=4m
	busybox reboot -f
	;;
third*)
	check "fio writes and verifies after a reboot" \
		verified_fio reboot --filename="$DISK" --offset=1m --rw=randwrite --bs=4k --iodepth=16 --size=4m
	mark finish
	;;
esac
