# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# A network of its own by a virtio device: DHCP, pings, a file from the host, a link that goes down
# and comes up again, offloads that are switched off while it is up.
# Set: MAC (the device's address), URL (of the file), SUM (its digest), FIRST_IF (its interface).
# shellcheck disable=SC2154

net_file() { echo "/sys/class/net/$FIRST_IF/$1"; }

# What udhcpc calls with what it was given.
lease() {
	cat >"$SCRATCH/lease.sh" <<-'END'
		#!/bin/sh
		[ "$1" = bound ] || exit 0
		ip addr add "$ip/$mask" dev "$interface"
		ip route add default via "$router"
		echo "ip=$ip router=$router dns=$dns hostname=$hostname domain=$domain"
	END
	chmod +x "$SCRATCH/lease.sh"
	busybox udhcpc -i "$FIRST_IF" -s "$SCRATCH/lease.sh" -n -q -f -t 10 -T 1 2>/dev/null |
		grep '^ip='
}

fetched() { busybox wget -q -O - "$URL" | sha256sum | cut -d' ' -f1; }

same "the device has its address" "$(cat "$(net_file address)")" "$MAC"
check "the interface comes up" ip link set "$FIRST_IF" up
becomes "the link is up" "$(net_file carrier)" 1
same "DHCP gives it a place" "$(lease)" \
	"ip=10.0.2.15 router=10.0.2.2 dns=10.0.2.3 hostname=guest domain=example"
check "the host answers" busybox ping -c 3 -W 2 10.0.2.2
check "a long frame is answered" busybox ping -c 3 -W 2 -s 1400 10.0.2.2
same "a file of the host comes as it is" "$(fetched)" "$SUM"

if command -v ethtool >/dev/null; then
	for feature in rx tx tso gso gro; do
		ethtool -K "$FIRST_IF" "$feature" off 2>/dev/null
	done
	same "it comes without offloads too" "$(fetched)" "$SUM"
	for feature in tx rx tso gso gro; do
		ethtool -K "$FIRST_IF" "$feature" on 2>/dev/null
	done
	same "and with them once more" "$(fetched)" "$SUM"
fi

ask link off
becomes "the link goes down" "$(net_file carrier)" 0
refuses "nothing is answered then" busybox ping -c 1 -W 1 10.0.2.2
ask link on
becomes "the link comes up" "$(net_file carrier)" 1
check "the host answers again" busybox ping -c 3 -W 2 10.0.2.2
value sent "$(cat "$(net_file statistics/tx_packets)")"
value received "$(cat "$(net_file statistics/rx_packets)")"
