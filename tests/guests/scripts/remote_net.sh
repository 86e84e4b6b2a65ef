#!/bin/busybox sh
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The first process of a guest that has a network and little else: it says what it finds, fetches what there
# is and sends it back.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do
	insmod "$module"
done
host=192.0.2.1
card=/sys/class/net/eth0
ip address add 192.0.2.2/24 dev eth0
ip link set eth0 up
echo "queues $(ls -d $card/queues/rx-* | grep -c rx)"
# The other end gets its address meanwhile.
turns=100
until ping -c 1 -W 1 $host >/dev/null || [ $turns -eq 0 ]; do
	turns=$((turns - 1))
	sleep 0.1
done
echo "carrier $(cat $card/carrier)"
ping -c 3 $host
nc $host 9000 </dev/null >/data
md5sum /data
nc $host 9000 </data
for wanted in 0 1; do
	turns=200
	until [ "$(cat $card/carrier)" = $wanted ] || [ $turns -eq 0 ]; do
		turns=$((turns - 1))
		sleep 0.1
	done
	echo "cable $(cat $card/carrier)"
done
poweroff -f
