#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# fetch-kernel.sh FOLDER PACKAGE MODULE...: a kernel of Debian's and some of its modules.
# The package is fetched and unpacked, never installed: that would remake the user's own
# initramfs and boot menu.  Leaves FOLDER/vmlinuz, FOLDER/modules/NN-NAME.ko in loading order.
set -eu

folder=$1
meta=$2
shift 2
modules=$*
tools=$(cd "$(dirname "$0")/../../tools" && pwd)
PATH=$PATH:/usr/sbin:/sbin

fail() {
	echo "fetch-kernel.sh: $*" >&2
	exit 1
}

download() {
	package=$(apt-cache depends "$meta" 2>/dev/null |
		awk '/Depends: linux-image-[0-9]/ { print $2; exit }')
	[ -n "$package" ] && apt-get download -q "$package" >download.log 2>&1
}

mkdir -p "$folder"
cd "$folder"
rm -rf tree modules vmlinuz recipe-* ./*.deb
: >download.log
# Lists that are absent or old name a package that cannot be had.
download || { "$tools/packages.sh" update && download; } ||
	fail "$meta cannot be downloaded (log: $PWD/download.log)"
dpkg -x ./*.deb tree || fail "$meta cannot be unpacked"
version=$(ls tree/lib/modules)
depmod -b tree "$version"

mkdir modules
for module in $modules; do
	modprobe -d tree -S "$version" --show-depends "$module"
done | sed -n 's/^insmod \([^ ]*\.ko[.a-z]*\).*/\1/p' | awk '!seen[$0]++' >order
number=10
while read -r file; do
	to=modules/$number-$(basename "$file")
	cp "$file" "$to"
	case $to in *.xz) xz -d "$to" ;; esac
	number=$((number + 1))
done <order
cp tree/boot/vmlinuz-* vmlinuz.new
rm -rf tree order ./*.deb
mv vmlinuz.new vmlinuz
