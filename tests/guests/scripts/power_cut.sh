# SPDX-License-Identifier: BSD-2-Clause
# A life of files until the power is cut. The host made the file system.
# shellcheck shell=sh
value features "$(cat "$(disk_file device/features)")"
value cache "$(cat "$(queue_file write_cache)")"
check "the file system mounts" mount -o data=ordered,barrier=1,discard "$DISK" "$MNT"
python3 "$(dirname "$SCRIPT")/power_cut.py" "$MNT" "$SEED"
