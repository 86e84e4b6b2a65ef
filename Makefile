# SPDX-License-Identifier: BSD-2-Clause
# A thin front for those who type make; the work is done by meson, ninja and the scripts.
.POSIX:
.PHONY: build demo check check-long bench fuzz format clean

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
	@bench/run.sh

fuzz:
	@tests/fuzz/run.sh

format:
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf build build-san build-clang
