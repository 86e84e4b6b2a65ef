# SPDX-License-Identifier: BSD-2-Clause
# The back-end is killed and comes back again and again, under a load that verifies what it reads.
# shellcheck shell=sh
value features "$(cat "$(disk_file device/features)")"
verified_fio load --filename="$DISK" --rw=randwrite --bsrange=4k-64k --iodepth=16 --size=16m \
	--verify_backlog=64 --time_based --runtime="$SECONDS_OF_LOAD" >"$SCRATCH/fio" 2>&1 &
fio=$!
# Flushes are slow: with one of them in flight the others end before it, out of order.
fio --name=flush --thread --ioengine=psync --filename="$DISK" --offset=24m --size=4m --rw=randwrite \
	--bs=4k --fsync=1 --time_based --runtime="$SECONDS_OF_LOAD" >"$SCRATCH/flush" 2>&1 &
flush=$!
while kill -0 $fio 2>"$SCRATCH/out"; do
	ask replace_backend
done
wait $fio
status=$?
wait $flush
same "the flushes end: $WHAT" $? 0
same "fio writes and verifies while its disk dies: $WHAT" \
	"$status $(grep -c 'verify: bad\|error=' "$SCRATCH/fio")" "0 0"
check "the disk works afterwards: $WHAT" \
	verified_fio after --filename="$DISK" --rw=randwrite --bs=4k --iodepth=16 --size=2m
