# SPDX-License-Identifier: BSD-2-Clause
# A machine that is controlled from outside: a verified load on its disk, until its power button is
# pressed. With CRASHES it has a file system under load until somebody kills it;
# with PANICS its kernel does that itself.
# shellcheck shell=sh
if [ -n "${CRASHES-}" ]; then
	check "mkfs.ext4 makes a file system" mkfs.ext4 -q -F "$DISK"
	check "the file system mounts" mount "$DISK" "$MNT"
	head -c 3000000 /dev/urandom >"$MNT/kept"
	sync
	value kept "$(sha256sum <"$MNT/kept" | cut -d ' ' -f 1)"
	ok "the guest runs"
	fio --name=load --thread --ioengine=io_uring --directory="$MNT" --rw=randwrite --bs=4k \
		--iodepth=16 --size=16m --fsync=16 --time_based --runtime=600 >"$SCRATCH/out" 2>&1
fi

if [ -n "${PANICS-}" ]; then
	ok "the guest runs"
	echo c >/proc/sysrq-trigger
fi

# What lies in a folder of this name is what acpid does about the button.
mkdir -p "$SCRATCH/acpi/PWRF"
printf '#!/bin/sh\ntouch %s\n' "$SCRATCH/pressed" >"$SCRATCH/acpi/PWRF/00000080"
chmod +x "$SCRATCH/acpi/PWRF/00000080"
busybox acpid -f -c "$SCRATCH/acpi" -p "$SCRATCH/acpid.pid" -l "$SCRATCH/acpid.log" &

# Locked up is who does nothing for twice as long.
echo 10 >/proc/sys/kernel/watchdog_thresh
ok "the guest runs"
passes=0
while [ ! -e "$SCRATCH/pressed" ]; do
	verified_fio load --filename="$DISK" --rw=randwrite --bsrange=4k-64k --iodepth=16 --size=1m \
		>"$SCRATCH/out" 2>&1 || bad "fio verifies what it wrote: $(tail -n 2 "$SCRATCH/out")"
	passes=$((passes + 1))
done
ok "the power button is heard, after $passes passes of fio"
value size "$(cat "$(disk_file size)")"
value complaints "$(dmesg | grep -E 'BUG:|WARNING: CPU|lockup|I/O error|stall|ACPI Error' |
	grep -v 'fpu/xstate.c' | tr '\n' ' ')"
