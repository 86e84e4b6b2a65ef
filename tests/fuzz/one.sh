#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Runs one fuzz target: one.sh PROGRAM NAME SECONDS. It begins with the inputs in corpus/NAME; what it
# comes upon is kept beside the program, and is where a longer run goes on.
set -eu
program=$1 name=$2 seconds=$3
corpus=$(dirname "$0")/corpus/$name
found=$(dirname "$program")/found/$name
mkdir -p "$found"
# A short run is to be the same work each time: it does not go on from longer ones.
if [ "$seconds" -le 60 ]; then
	found=$(mktemp -d)
	trap 'rm -rf "$found"' EXIT
fi
# The back-end's log lines go nowhere; the fuzzer keeps a descriptor of its own for what it finds.
quiet=
[ "$name" != backend ] || quiet=-close_fd_mask=2
# A bzImage has a page before it begins.
length=4096
[ "$name" != boot ] || length=8192
"$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len="$length" \
	-print_final_stats=1 -artifact_prefix="$(dirname "$program")/crash-$name-" $quiet \
	"$found" "$corpus"
