#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# freestanding.sh ARCHIVE...: proves that these static libraries together need nothing from anybody
# else but mem*, which every freestanding C compiler asks for, and the table that a linker makes.
set -eu
export LC_ALL=C
if [ $# -eq 0 ]; then
	echo "usage: tools/freestanding.sh ARCHIVE..." >&2
	exit 2
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# The name is the last word of nm's lines.
nm -g --defined-only "$@" >"$folder/nm-defined"
nm -g --undefined-only "$@" >"$folder/nm-needed"
sed -n 's/^[0-9a-f]* [A-Z] //p' "$folder/nm-defined" | sort -u >"$folder/defined"
sed -n 's/^ *[Uvw] //p' "$folder/nm-needed" | sort -u >"$folder/needed"
printf '%s\n' memcmp memcpy memmove memset >"$folder/allowed"
# The linker's own, by which code that may lie anywhere finds its data.
echo _GLOBAL_OFFSET_TABLE_ >"$folder/linker"

if ! [ -s "$folder/defined" ]; then
	echo "freestanding.sh: nothing is defined in $*" >&2
	exit 1
fi
sort -u "$folder/defined" "$folder/allowed" "$folder/linker" >"$folder/known"
comm -13 "$folder/known" "$folder/needed" >"$folder/foreign"
if [ -s "$folder/foreign" ]; then
	echo "not freestanding, for it needs:"
	sed 's/^/  /' "$folder/foreign"
	exit 1
fi
echo "$(wc -l <"$folder/defined") functions and tables, needing only: $(comm -12 \
	"$folder/allowed" "$folder/needed" | tr '\n' ' ')"
