#!/bin/busybox sh
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The first process of a guest that writes to its port "sink" and reads from its port "source", says when, and
# switches off.
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t proc proc /proc
for module in /modules/*.ko; do
	/bin/busybox insmod "$module"
done

# port_of NAME
port_of() {
	for file in /sys/class/virtio-ports/*/name; do
		[ "$(/bin/busybox cat "$file" 2>/dev/null)" = "$1" ] || continue
		file=${file%/name}
		echo "/dev/${file##*/}"
		return
	done
}
until [ -c "$(port_of sink)" ] && [ -c "$(port_of source)" ]; do
	/bin/busybox usleep 10000
done
now() { read -r seconds _ </proc/uptime && echo "$seconds"; }
begin=$(now)
/bin/busybox dd if=/dev/zero "of=$(port_of sink)" bs=64k count=2048 2>/dev/null
echo "@@out 134217728 $begin $(now)"
begin=$(now)
/bin/busybox dd "if=$(port_of source)" of=/dev/null bs=64k count=1024 iflag=fullblock 2>/dev/null
echo "@@in 67108864 $begin $(now)"
/bin/busybox poweroff -n -f
