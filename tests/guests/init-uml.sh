#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The first process of a User Mode Linux guest. Its root is the host's, read-only, so the fresh
# folders it needs lie on tmpfs; none is mounted over the folder that holds the test's files.
# Comes with the kernel's command line: SCRIPT, LIB, MNT, DISK, MODULE and the script's own values.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for folder in /dev/shm /run /tmp; do
	mkdir -p "$folder" 2>/dev/null
	case $MNT/$SCRIPT in
	"$folder"/*) ;;
	*) mount -t tmpfs tmpfs "$folder" ;;
	esac
done
export SCRATCH=/dev/shm
export TMPDIR=$SCRATCH
# modprobe looks below ROOT/lib/modules, and the host need not have that folder to bind on.
mkdir -p "$SCRATCH/root/lib"
ln -s /usr/lib/uml/modules "$SCRATCH/root/lib/modules"
export MODULE_ROOT="$SCRATCH/root"
# The line on which the script and the host speak; the console is the kernel's.
line=/dev/tty1
stty -F $line -echo -onlcr
modprobe -d "$MODULE_ROOT" "$MODULE"
# shellcheck disable=SC1090 # the host names them
(exec 3<&0 </dev/null; . "$LIB"; . "$SCRIPT") <$line >$line
echo "@@rc $?" >$line
# Without the sync of -f alone: a disk whose back-end is dead would hold it up for ever.
exec busybox poweroff -n -f
