#!/bin/busybox sh
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The first process of the box: its root is the host's, read-only, with a few folders of its own over
# it. Comes with the kernel's command line: BOX_FOLDER, the one folder of the host's that is written to,
# where the command to run is a script, WORK, a folder to be seen through what covers it, SECONDS_LIMIT, when
# to tell on the console what runs, since the command ought to have ended, and BOX_COUNTS.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do
	insmod "$module"
done
options=trans=virtio,version=9p2000.L,msize=524288
mount -t 9p -o "$options,cache=loose,ro" host /host
mkdir /scratch
mount -t tmpfs tmpfs /scratch
mkdir /scratch/work /scratch/box
mount --bind "/host$WORK" /scratch/work
mount -t 9p -o "$options" box /scratch/box
for folder in tmp run; do
	mount -t tmpfs tmpfs "/host/$folder"
done
for folder in proc sys dev; do
	mount --bind "/$folder" "/host/$folder"
done
mkdir -p /dev/shm /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /host/dev/pts
# Where the folders lie under one that was covered they are put back.
mkdir -p "/host$WORK" "/host$BOX_FOLDER" 2>/scratch/log
mount --bind /scratch/work "/host$WORK"
mount --bind /scratch/box "/host$BOX_FOLDER"
ip link set lo up
stty -F /dev/ttyS1 raw -echo
# A kernel that is interrupted while it measures its clock against another may have one that runs several
# times too fast. The host's, which this one was set by, tells; where instructions are counted it is nothing
# to go by.
now=$(date +%s)
if [ -z "$BOX_COUNTS" ] && [ $((now - $(cat /sys/class/rtc/rtc0/since_epoch))) -gt 3 ]; then
	echo "box: a wrong clock"
	poweroff -n -f
fi
echo "box: up"
# A box that is alive says so, whatever runs in it, by each of its processors: one that has lost its timer
# takes along who sleeps there.
for cpu in $(seq 0 $(($(nproc) - 1))); do
	while sleep 5; do echo "box: beats $cpu"; done &
	taskset -p "$(printf %x $((1 << cpu)))" $! >/scratch/log
done
# What every program waits for, or has computed (utime and stime in ticks, the 14th and 15th of stat).
tell_threads() {
	for task in /proc/[0-9]*/task/*; do
		# Threads of the kernel have no command line.
		[ -n "$(tr -d '\0' <"${task%/task/*}/cmdline")" ] || continue
		echo "box: $(cat "$task/comm") $(cut -d ' ' -f 1,3,14,15 "$task/stat") $(cat "$task/wchan")"
		grep -v exit_to_user "$task/stack" | head -n 4
	done
}
{
	sleep "$SECONDS_LIMIT"
	tell_threads
	echo "box: ten seconds later"
	sleep 10
	tell_threads
	mount -t debugfs debugfs /sys/kernel/debug
	grep -r . /sys/kernel/debug/kvm
} 2>/dev/null &
chroot /host /usr/bin/python3 -I -S "$WORK/tests/box/hold_kvm.py" </dev/null >/dev/console 2>&1
chroot /host /usr/bin/env -i BOX=yes HOME=/tmp TERM=dumb LC_ALL=C.UTF-8 \
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	/bin/sh "$BOX_FOLDER/command" </dev/null >/dev/ttyS1 2>&1
echo $? >/scratch/box/status
poweroff -n -f
