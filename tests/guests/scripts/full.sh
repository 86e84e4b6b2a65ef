# SPDX-License-Identifier: BSD-2-Clause
# The host's disk runs full under a verified load: the guest waits, and never hears of it.
# shellcheck shell=sh
ask load_begins
check "fio writes and verifies across a full disk" \
	verified_fio full --filename="$DISK" --rw=write --bs=64k --iodepth=16 --size=24m
check "the kernel saw no I/O error" sh -c '! dmesg | grep "I/O error"'
