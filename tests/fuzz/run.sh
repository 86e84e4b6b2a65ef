#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Runs every fuzz target for FUZZ_SECONDS (600) each, one after the other, or those that are named:
# run.sh [NAME]... A finding is left beside the programs in build-fuzz/tests/fuzz.
set -eu
cd "$(dirname "$0")/../.."
command -v clang >/dev/null || { echo "the fuzzers need clang: apt install clang" >&2; exit 1; }
CC=clang tools/build.sh build-fuzz -Db_sanitize=address,undefined -Db_lundef=false \
	-Doptimization=1 -Dc_args=-fno-sanitize-recover=undefined
[ $# -gt 0 ] || set -- walk_split walk_packed inflight_split inflight_packed used blk rng net_segment \
	net_device serial_device balloon_device mmio decoder backend state boot driver_blk driver_rng driver_net \
	driver_serial driver_balloon
failed=
for name; do
	echo "== $name, ${FUZZ_SECONDS:-600} seconds"
	tests/fuzz/one.sh "build-fuzz/tests/fuzz/fuzz_$name" "$name" "${FUZZ_SECONDS:-600}" ||
		failed="$failed $name"
done
[ -z "$failed" ] || { echo "findings in:$failed" >&2; exit 1; }
