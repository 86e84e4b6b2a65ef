#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# format.sh: lays out all C of the tree with clang-format. With --check it changes nothing and fails
# where that would; status 77 says that this machine cannot tell.
set -eu
cd "$(dirname "$0")/.."

# Other versions break some lines elsewhere; this is Debian 12's.
version=14

formatter=
for candidate in "clang-format-$version" clang-format; do
	if "$candidate" --version 2>/dev/null | grep -q "version $version\."; then
		formatter=$candidate
		break
	fi
done
if [ -z "$formatter" ]; then
	echo "clang-format $version is not installed"
	[ "${1-}" != --check ] || exit 77
	exit 1
fi

case ${1-} in
--check) options="--dry-run -Werror" ;;
'') options=-i ;;
*)
	echo "usage: tools/format.sh [--check]" >&2
	exit 2
	;;
esac
# shellcheck disable=SC2086 # a list of words
find . \( -name '.?*' -o -path './build' -o -path './build-*' \) -prune -o -name '*.[ch]' -print0 |
	xargs -0 "$formatter" $options
