#!/bin/busybox sh
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The first process of a QEMU guest, from the initramfs. The disk with the serial number "tools"
# becomes the root; the other one is the disk under test.
# Comes with the kernel's command line: the script's own values.
# The line on which the script and the host speak; the console is the kernel's.
line=${LINE:-/dev/ttyS1}
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do
	case $module in
	*virtio_pci.ko) insmod "$module" force_legacy="${LEGACY:-0}" ;;
	*) insmod "$module" ;;
	esac
done

turns=100
tools=
while [ $turns -gt 0 ] && [ -z "$tools" ]; do
	for disk in /sys/block/vd*; do
		[ -e "$disk" ] || continue
		case $(cat "$disk/serial") in
		tools) tools=/dev/${disk##*/} ;;
		*) DISK=/dev/${disk##*/} ;;
		esac
	done
	turns=$((turns - 1))
	[ -n "$tools" ] || sleep 0.1
done
mount -t ext4 -o ro "$tools" /tools
for folder in proc sys dev; do
	mount --bind "/$folder" "/tools/$folder"
done
mount -t tmpfs tmpfs /tools/run
mkdir /tools/run/scratch /tools/run/mnt
cp -r /script/* /modules /tools/run
stty -F $line -echo -onlcr
export DISK MNT=/run/mnt SCRATCH=/run/scratch LC_ALL=C
chroot /tools /usr/bin/env PATH=/usr/sbin:/usr/bin:/sbin:/bin /bin/sh -c \
	'exec 3<&0 </dev/null; . /run/lib; . /run/main' <$line >$line
echo "@@rc $?" >$line
# Without the sync of -f alone: a disk whose back-end is dead would hold it up for ever.
poweroff -n -f
