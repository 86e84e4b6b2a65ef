# SPDX-License-Identifier: BSD-2-Clause
# A thin front for those who type make; the work is done by meson, ninja and the scripts.
.POSIX:
.PHONY: build demo check check-long bench fuzz format guest-single-file clean

build:
	@tools/packages.sh build
	@tools/build.sh build

demo:
	@./demo

check:
	@./check

check-long:
	@./check --long

bench: build
	@tools/packages.sh bench || :
	@bench/sizes
	@bench/run
	@bench/boot
	@bench/image
	@bench/net
	@bench/image_net
	@bench/image_serial
	@bench/linux_serial
	@bench/image_balloon
	@bench/balance
	@bench/reported
	@bench/serial

fuzz:
	@tools/packages.sh check || :
	@tests/fuzz/run.sh

guest-single-file: build
	@ls -l build/paravane_guest.h build/paravane_guest.c

format:
	@tools/format.sh

clean:
	rm -rf build build-san build-clang build-fuzz build-i686 build-s390x
