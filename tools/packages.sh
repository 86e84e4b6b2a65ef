#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# packages.sh build|bench|demo|check|cross: installs those Debian packages that are missing, each set with
# what it needs of the others. Says and does nothing when all are there.
# packages.sh update: refreshes apt's lists.
set -eu

build="gcc libc6-dev make meson ninja-build pkg-config python3
	liburing-dev libjson-c-dev libseccomp-dev libslirp-dev libcmocka-dev acpica-tools"
bench="fio qemu-system-common qemu-system-x86 gnuplot-nox kmod busybox-static
	dpdk-dev"
demo="user-mode-linux fio e2fsprogs util-linux kmod busybox-static
	qemu-system-x86 qemu-system-common iproute2 ethtool iperf3"
check="clang libclang-rt-dev llvm clang-format g++ qemu-utils
	iproute2 passt python3-scapy tcpdump tshark qemu-guest-agent"
cross="gcc-i686-linux-gnu libc6-dev-i386-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross
	qemu-user-static"

case ${1-} in
build) wanted=$build ;;
bench) wanted="$build $bench" ;;
demo) wanted="$build $demo" ;;
check) wanted="$build $demo $check" ;;
cross) wanted="$build $cross" ;;
update) wanted= ;;
*)
	echo "usage: tools/packages.sh build|bench|demo|check|cross|update" >&2
	exit 2
	;;
esac

fail() {
	echo "packages.sh: $*" >&2
	exit 1
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
	fail "this system has no apt-get; the packages are named in tools/packages.sh"
fi

missing=
for package in $wanted; do
	case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
	*" installed") ;;
	*) missing="$missing $package" ;;
	esac
done
if [ "$1" != update ] && [ -z "$missing" ]; then
	exit 0
fi

command="apt-get install --no-install-recommends$missing"
[ "$1" != update ] || command="apt-get update"
as_root=
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null ||
		fail "not root and no sudo here; as root: $0 $1, which does: $command"
	as_root=sudo
	[ -t 0 ] || as_root="sudo -n"
	$as_root true || fail "sudo refused; as root: $0 $1, which does: $command"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

# Waits for another apt rather than failing beside it.
apt() {
	# shellcheck disable=SC2086 # $as_root is a command with its option
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
		"$@" </dev/null >"$log" 2>&1
}

show_and_fail() {
	tail -n 15 "$log" >&2
	fail "$*"
}

if [ "$1" = update ]; then
	apt update || show_and_fail "apt-get update failed"
	exit 0
fi

# A recommended package is never needed: each one that is stands in the list above. And nothing of the
# user's goes for ours: a cross compiler and gcc-multilib, for one, cannot be together.
echo "installing packages:$missing"
# shellcheck disable=SC2086 # a list of words
apt install --no-install-recommends --no-remove $missing || {
	apt update || show_and_fail "apt-get update failed"
	apt install --no-install-recommends --no-remove $missing || show_and_fail "apt-get install failed"
}
