# SPDX-License-Identifier: BSD-2-Clause
# What a guest's script has at hand (see console.py for the lines it prints).
# Variables: DISK (/dev/vda), MNT (a folder to mount it on), SCRATCH (a tmpfs), LIMIT of waits.
# shellcheck shell=sh disable=SC2034

ok() { echo "@@ok $*"; }
bad() { echo "@@bad $*"; }
value() { echo "@@is $*"; }

# Asks the host; its answer is in $reply.
ask() {
	echo "@@do $*"
	read -r reply <&3
}

# check TEXT COMMAND...: the command succeeds.
check() {
	text=$1
	shift
	if "$@" >"$SCRATCH/out" 2>&1; then
		ok "$text"
	else
		bad "$text ($1 ended with $?: $(tail -n 2 "$SCRATCH/out" | tr '\n' ' '))"
	fi
}

# refuses TEXT COMMAND...: the command fails.
refuses() {
	text=$1
	shift
	if "$@" >"$SCRATCH/out" 2>&1; then bad "$text ($1 went through)"; else ok "$text"; fi
}

# same TEXT GOT WANTED
same() {
	if [ "$2" = "$3" ]; then ok "$1"; else bad "$1 (got '$2', wanted '$3')"; fi
}

# becomes TEXT FILE WANTED: the file's content, within ten seconds.
becomes() {
	turns=100
	while [ "$(cat "$2")" != "$3" ] && [ $turns -gt 0 ]; do
		sleep 0.1
		turns=$((turns - 1))
	done
	same "$1" "$(cat "$2")" "$3"
}

disk_name() { basename "$DISK"; }
queue_file() { echo "/sys/block/$(disk_name)/queue/$1"; }
disk_file() { echo "/sys/block/$(disk_name)/$1"; }

# fio with the settings all tests share; the first argument is the job's name.
verified_fio() {
	job=$1
	shift
	fio --name="$job" --thread --ioengine=io_uring --direct=1 --verify=crc32c \
		--verify_fatal=1 --verify_state_save=0 --end_fsync=1 --randrepeat=1 "$@"
}

# The devices that the kernel has random bytes from; newer ones list "none" too.
rngs() { sed 's/none//' /sys/class/misc/hw_random/rng_available | tr -d ' \n'; }

# entropy on|off: /dev/hwrng has bytes, not the same twice, if there is a device.
ENTROPY_BYTES=16384
entropy() {
	if [ "$1" = off ]; then
		same "there is no entropy device: $WHAT" "$(rngs)" ""
		return
	fi
	same "the entropy device is there: $WHAT" "$(rngs | sed 's/[0-9]*$//')" "virtio_rng."
	for which in first second; do
		check "/dev/hwrng has bytes: $WHAT" \
			dd if=/dev/hwrng of="$SCRATCH/$which" bs=4k count=$((ENTROPY_BYTES / 8192)) iflag=fullblock
	done
	same "so many as were asked for: $WHAT" "$(cat "$SCRATCH/first" "$SCRATCH/second" | wc -c)" \
		"$ENTROPY_BYTES"
	refuses "they are not the same twice: $WHAT" cmp -s "$SCRATCH/first" "$SCRATCH/second"
	# Random bytes cannot be made smaller.
	check "they are random: $WHAT" \
		test "$(gzip <"$SCRATCH/first" | wc -c)" -ge "$((ENTROPY_BYTES / 2))"
}
