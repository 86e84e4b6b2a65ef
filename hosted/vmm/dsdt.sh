#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# dsdt.sh IASL SOURCE HEADER: compiles a table and writes its bytes as C. Any word of the compiler's that is
# more than silence about the result is an error.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$1" -we -p "$work/dsdt" "$2" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
{
	echo "static const unsigned char dsdt_aml_code[] = {"
	od -An -v -tx1 "$work/dsdt.aml" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
	echo "};"
} >"$3"
