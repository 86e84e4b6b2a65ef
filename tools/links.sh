#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# links.sh PROGRAM: proves that the program links nothing directly but what each of its starts is
# meant to pay for. A back-end that needs a heavy library loads it when it is used.
set -eu
export LC_ALL=C
if [ $# -ne 1 ]; then
	echo "usage: tools/links.sh PROGRAM" >&2
	exit 2
fi

links=$(readelf -dW "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p')
if [ -z "$links" ]; then
	echo "links.sh: $1 names no library" >&2
	exit 1
fi
foreign=
for library in $links; do
	case $library in
	libc.so.* | ld-linux*.so.* | libgcc_s.so.*) ;;
	libjson-c.so.* | libseccomp.so.* | liburing.so.*) ;;
	*) foreign="$foreign $library" ;;
	esac
done
if [ -n "$foreign" ]; then
	echo "$1 links what it should not:$foreign"
	exit 1
fi
echo "$1 links:"
echo "$links"
