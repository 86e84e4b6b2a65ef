# SPDX-License-Identifier: BSD-2-Clause
# Three network interfaces of a machine of our monitor: eth0 on a user-mode network, eth1 on a tap with two
# queues, eth2 on one where the device chooses the queue. The host's ends are .1.
# shellcheck shell=sh
TAP=192.168.77 VLAN=192.168.78 HASHED=192.168.79
export TMPDIR=$SCRATCH

# What DHCP has to say, in the least of words.
cat >"$SCRATCH/dhcp" <<'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
ip route add default via "$router"
END
chmod +x "$SCRATCH/dhcp"

received() { cat "/sys/class/net/$1/statistics/rx_packets"; }
feature() { ethtool -k "$1" | sed -n "s/^$2: \([a-z]*\).*/\1/p"; }
# The packets of a receiving queue, as the device has counted them.
queue_packets() { ethtool -S "$1" | sed -n "s/^ *rx$2_hw_packets: //p"; }

# Between two tests its server does not listen for a moment.
client() {
	for turn in 1 2 3 4; do
		timeout 20 iperf3 -c "$@" -t 1 && return
		sleep 0.$turn
	done
	return 1
}
iperf() {
	check "iperf3 $*" client "$TAP.1" "$@"
}
transfers() {
	iperf
	iperf -R
	iperf -u -b 50M -l 4000
	check "ping goes through: $1" ping -c 2 -W 5 "$TAP.1"
}

check "eth0 is there" test -e /sys/class/net/eth0
check "eth2 is there" test -e /sys/class/net/eth2
same "the driver is the usual one" "$(basename "$(readlink /sys/class/net/eth1/device/driver)")" virtio_net
for name in eth0 eth1 eth2; do ip link set $name up; done

# The user-mode network.
check "DHCP" udhcpc -q -n -t 8 -i eth0 -s "$SCRATCH/dhcp"
check "ping to the user-mode network's host" ping -c 2 -W 5 10.0.2.2
check "a file by HTTP from the host" wget -q -O "$SCRATCH/file" http://10.0.2.2:8000/file
value sha256 "$(sha256sum <"$SCRATCH/file" | cut -d ' ' -f 1)"

# The tap, with all that is offered.
ip addr add $TAP.2/24 dev eth1
for what in tx-checksumming rx-checksumming tcp-segmentation-offload generic-receive-offload; do
	same "$what is on" "$(feature eth1 $what)" on
done
same "pairs that there are" "$(ethtool -l eth1 | sed -n 's/^Combined:[ \t]*//p' | tr '\n' ' ')" "2 2 "
transfers "everything on"
check "everything off" ethtool -K eth1 tx off rx off tso off gso off gro off
same "tx-checksumming is off" "$(feature eth1 tx-checksumming)" off
transfers "everything off"
check "everything on again" ethtool -K eth1 tx on rx on tso on gso on gro on
check "one pair" ethtool -L eth1 combined 1
iperf -P 2
check "two pairs again" ethtool -L eth1 combined 2
iperf -P 2

# A large MTU, and a VLAN.
check "MTU 9000" ip link set eth1 mtu 9000
check "a ping of 8000 bytes" ping -c 2 -W 5 -s 8000 "$TAP.1"
check "a VLAN" ip link add link eth1 name eth1.5 type vlan id 5
ip addr add $VLAN.2/24 dev eth1.5
ip link set eth1.5 up
check "ping in the VLAN" ping -c 2 -W 5 $VLAN.1
check "iperf3 in the VLAN" client $VLAN.1 -R

# Fewer interrupts, and what the device counts.
check "interrupts are put off" ethtool -C eth1 rx-usecs 100 rx-frames 16 tx-usecs 100 tx-frames 16
same "the driver knows" "$(ethtool -c eth1 | sed -n 's/^rx-usecs:[ \t]*//p')" 100
check "of one queue" ethtool -Q eth1 queue_mask 1 --coalesce rx-usecs 20 rx-frames 4
transfers "with fewer interrupts"
value stats "$(ethtool -S eth1 | tr -d ' ' | tr '\n' ' ')"

# A hash chooses the queue: the device's own, and one that the kernel computes for the tap.
ip addr add $HASHED.2/24 dev eth2
for name in eth2 eth1; do
	address=$HASHED.1
	[ $name = eth2 ] || address=$TAP.1
	check "the hash is told: $name" ethtool -K $name rxhash on
	check "all to the second queue: $name" ethtool -X $name weight 0 1
	first=$(queue_packets $name 0) second=$(queue_packets $name 1)
	check "iperf3 to the second queue: $name" client $address -R
	second=$(($(queue_packets $name 1) - second)) first=$(($(queue_packets $name 0) - first))
	check "frames come by the second queue, and not by the first: $second, $first" \
		test $second -gt $((100 + 10 * first))
	check "evenly: $name" ethtool -X $name equal 2
	check "iperf3 to both: $name" client $address -R -P 4
done

# The link goes and comes back.
ask link net1 off
becomes "the link is down" /sys/class/net/eth1/operstate down
ask link net1 on
becomes "the link is up" /sys/class/net/eth1/operstate up
check "ping after that" ping -c 3 -W 5 "$TAP.1"
ip link set eth1 promisc on
ask filter net1
same "the host knows that it is promiscuous" "$reply" true

same "the kernel has nothing to complain about" \
	"$(dmesg | grep -E 'BUG:|WARNING: CPU|lockup|virtio_net.*(error|bad|short)' | grep -v 'fpu/xstate.c')" ""
