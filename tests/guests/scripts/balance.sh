# SPDX-License-Identifier: BSD-2-Clause
# One of several guests that need memory by turns.
# Set: LOAD (the program that uses memory), MUCH (MiB of it), EVERY (so many guests there are), MINE (whose
# turn is this guest's, from 0 on), TURNS, LASTS (seconds of a turn).
# shellcheck shell=sh disable=SC2154
turn=0
while [ "$turn" -lt "$TURNS" ]; do
	ask turn_begins "$turn"
	if [ $((turn % EVERY)) -eq "$MINE" ]; then
		check "in its turn the guest has the memory that it needs" "$LOAD" "$MUCH" "$LASTS"
	else
		sleep "$LASTS"
	fi
	ask turn_ends "$turn"
	turn=$((turn + 1))
done
same "nothing was killed" "$(sed -n "s/^oom_kill //p" /proc/vmstat)" "0"
