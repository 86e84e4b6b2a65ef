#!/bin/busybox sh
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The first process of a guest whose boot is measured: it is done when its disk has been read. Then it
# leaves on the disk what the kernel logged, and switches off.
/bin/busybox mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do
	/bin/busybox insmod "$module"
done
while ! [ -b /dev/vda ]; do
	/bin/busybox usleep 1000
done
/bin/busybox dd if=/dev/vda of=/dev/null bs=4k count=1 2>/dev/null
echo "@@booted"
/bin/busybox dmesg >/log
/bin/busybox dd if=/log of=/dev/vda bs=64k conv=fsync 2>/dev/null
/bin/busybox poweroff -n -f
