# SPDX-License-Identifier: BSD-2-Clause
# Memory is used, given away by the balloon or by reports, and used again. The host is asked what it sees.
# Set: LOAD (the program that uses memory), FULL (MiB that there are to use), LITTLE (those when the balloon
# is large), DOES (what happens, with commas between: reports of free memory, or those of a driver that is
# poisoned and wants to find that there; balloon: it is inflated and deflated; oom: memory is taken back when
# there is none left; leaves: the driver is unloaded while the balloon is large).
# shellcheck shell=sh disable=SC2154
does() { case ",$DOES," in *",$1,"*) true ;; *) false ;; esac }
meminfo() { sed -n "s/^$1: *\([0-9]*\) kB$/\1/p" /proc/meminfo; }
kills() { sed -n "s/^oom_kill //p" /proc/vmstat; }
uses() { check "$1" "$LOAD" "$2"; }

uses "the guest uses its memory" "$FULL"
ask is_full
if does reports; then
	ask are_reported
	uses "what was reported can be used" "$FULL"
	ask is_full_again
fi
if does poisoned; then
	ask are_kept
	uses "what was reported can be used" "$FULL"
fi
if does balloon; then
	ask inflates
	uses "the guest goes on with what is left" "$LITTLE"
	ask has_stats
	value total "$(meminfo MemTotal)"
	value free "$(meminfo MemFree)"
	value available "$(meminfo MemAvailable)"
	value caches "$(($(meminfo Cached) + $(meminfo Buffers) + $(meminfo SwapCached)))"
	ask deflates
	uses "what was given away can be used" "$FULL"
	ask is_full_again
fi
if does oom; then
	ask inflates
	uses "a guest without memory takes it back" "$FULL"
	ask was_taken_back
fi
same "nothing was killed" "$(kills)" "0"
if does leaves; then
	ask inflates
	check "the driver is unloaded" rmmod "$MODULE"
	ask has_no_driver
	uses "the guest has all its memory without it" "$FULL"
fi
refuses "the kernel finds nothing wrong with its memory" sh -c \
	'dmesg | grep -iE "memory corruption|bad page|out of memory|BUG:"'
