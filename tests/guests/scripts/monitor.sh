# SPDX-License-Identifier: BSD-2-Clause
# A machine of our own monitor: what it has, and a verified load on its disk. With REBOOTS=n it
# reboots until the disk says that it has done so n times.
# shellcheck shell=sh
if [ -n "${REBOOTS-}" ]; then
	turn=$(dd if="$DISK" bs=512 count=1 2>"$SCRATCH/out" | tr -d '\0')
	turn=$((${turn:-0} + 1))
	echo "$turn" >"$SCRATCH/turn"
	dd if="$SCRATCH/turn" of="$DISK" bs=512 conv=sync,fsync 2>"$SCRATCH/out"
	[ "$turn" -gt "$REBOOTS" ] || busybox reboot -n -f
	same "the machine has rebooted $REBOOTS times" "$turn" "$((REBOOTS + 1))"
	entropy on
	return 0
fi
if [ -n "${SLEEPS-}" ]; then
	entropy "${RNG:-on}"
	ok "the guest runs"
	sleep 1000
fi
value features "$(cat "$(disk_file device/features)")"
value cpus "$(nproc)"
value clock "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
value place "$(basename "$(dirname "$(readlink -f "$(disk_file device)")")")"
lines() { grep -c "$1.*virtio" /proc/interrupts; }
value interrupts "$(lines PCI-MSI) $(lines fasteoi) $(lines "IO-APIC.*-edge")"
check "fio writes and verifies: $WHAT" \
	verified_fio bare --filename="$DISK" --rw=randwrite --bsrange=4k-64k --iodepth=16 --size=4m
check "discard works: $WHAT" blkdiscard "$DISK"
entropy "${RNG:-on}"
# TCG does not tell the KVM inside it of XSETBV: in the box QEMU's guests find that inconsistent too.
same "the kernel has nothing to complain about: $WHAT" \
	"$(dmesg | grep -E 'BUG:|WARNING: CPU|lockup|I/O error|ACPI Error' | grep -v 'fpu/xstate.c')" ""
