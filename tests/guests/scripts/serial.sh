# SPDX-License-Identifier: BSD-2-Clause
# The ports of a serial device: a console on which somebody logs in, an agent, many ports with random bytes
# both ways, ports that come and go while others work.
# Set: PORTS (how many that exchange bytes: p0, p1 ...), BYTES (each way of each), AGENT (yes: there is one),
# FREEZE (yes: the driver can be put to sleep and woken up).
# shellcheck shell=sh disable=SC2154
CLASS=/sys/class/virtio-ports

# Without a process for each: there are many. A port without a name has no such file.
port_of() {
	for file in "$CLASS"/*/name; do
		{ read -r name <"$file"; } 2>/dev/null
		if [ "$name" = "$1" ]; then
			file=${file%/name}
			echo "/dev/${file##*/}"
			return
		fi
	done
	return 1
}

# waits_for COMMAND...: until it succeeds, for ten seconds.
waits_for() {
	tries=100
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.1
	done
}
is_gone() { ! port_of "$1"; }

# swap NAME SEND RECEIVE: on descriptor 4, both ways at once; the digests are in $sent and $received.
swap() {
	head -c "$2" /dev/urandom >"$SCRATCH/$1" || bad "$1: there is no room for $2 bytes"
	cat "$SCRATCH/$1" >&4 &
	received=$(head -c "$3" <&4 | sha256sum | cut -d' ' -f1)
	wait
	sent=$(sha256sum <"$SCRATCH/$1" | cut -d' ' -f1)
	rm -f "$SCRATCH/$1"
}

# exchange PORT SEND [RECEIVE]: once, as many bytes both ways where nothing else is said.
exchange() {
	(
		exec 4<>"$(port_of "$1")"
		swap "$1" "$2" "${3:-$2}"
		value "$1.sent $sent"
		value "$1.received $received"
	)
}

# rounds PORT: again and again, as many bytes as the host says, until it has had enough. It waits for the digests:
# head reads more than it is asked for.
rounds() {
	(
		exec 4<>"$(port_of "$1")"
		while read -r receive send <&4 && [ "$receive" != end ]; do
			swap "$1" "$send" "$receive"
			echo "$received $sent" >&4
		done
	)
}

check "the console is there" waits_for test -c /dev/hvc0
check "so is the last port" waits_for port_of "p$((PORTS - 1))"
same "there are as many ports as we were given" "$(cat "$CLASS"/*/name 2>/dev/null | grep -c '^p[0-9]')" "$PORTS"

# Who logs in.
cat >"$SCRATCH/enter" <<'END'
#!/bin/sh
for name; do :; done
echo "welcome $name"
PS1='guest# ' exec sh -i
END
chmod +x "$SCRATCH/enter"
(exec setsid busybox getty -L -l "$SCRATCH/enter" 0 hvc0 vt100 </dev/null >/dev/null 2>&1) &
getty=$!
ask visit
kill $getty 2>/dev/null

if [ "$AGENT" = yes ]; then
	mkdir -p "$SCRATCH/agent"
	qemu-ga -m virtio-serial -p "$(port_of org.qemu.guest_agent.0)" -t "$SCRATCH/agent" \
		-f "$SCRATCH/agent/pid" >"$SCRATCH/agent.log" 2>&1 &
	agent=$!
	ask agent
	kill $agent
fi

# All of them at once, and one that comes and goes meanwhile.
ask exchange
case $reply in
rounds) way=rounds ;;
*) way=exchange ;;
esac
i=0 jobs=
while [ $i -lt "$PORTS" ]; do
	$way "p$i" "$BYTES" &
	jobs="$jobs $!"
	i=$((i + 1))
done
turn=0 reply=yes
while [ "$reply" = yes ]; do
	turn=$((turn + 1))
	ask plug
	check "a new port comes under traffic, time $turn" waits_for port_of extra
	exchange extra 100000
	ask unplug
	check "and goes again, time $turn" waits_for is_gone extra
	ask more
done
# shellcheck disable=SC2086
wait $jobs

# The driver sleeps and wakes up, with a port open on which bytes are under way: out of it, for what has come
# in and was not read the driver throws away then.
if [ "$FREEZE" = yes ]; then
	echo devices >/sys/power/pm_test
	ask listen p0
	exchange p0 "$BYTES" 0 &
	check "the driver goes to sleep and wakes up" sh -c 'echo freeze >/sys/power/state'
	wait $!
	ask exchange p1
	exchange p1 "$BYTES"
	check "the console is there still" test -c /dev/hvc0
fi

# A port without anybody at the other end: whoever writes waits, and the processor does not.
quiet=$(port_of quiet)
timeout 2 dd if=/dev/zero of="$quiet" bs=1k count=1 >/dev/null 2>&1
case $? in
# Which of the two depends on whose timeout it is.
124 | 143) ok "who writes to a port that nobody reads waits" ;;
*) bad "who writes to a port that nobody reads does not wait" ;;
esac

same "the kernel has nothing to complain about" \
	"$(dmesg | grep -E 'BUG:|WARNING: CPU|lockup|virtio_console.*(rror|bad)|virtio-ports' | grep -v 'fpu/xstate.c')" ""
