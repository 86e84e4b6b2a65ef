#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The guest half as two files: a copy of them, and nothing else of the tree, compiles without a warning as
freestanding C, and the header as C++; it needs no function but those that it says."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile

# The last is the linker's own.
NEEDED = {"memcpy", "memset", "memmove", "memcmp", ".TOC."}
# Of both byte orders, and of 32 bits.
TARGETS = ["aarch64", "riscv64", "i686", "powerpc64", "s390x", "mips"]
WARNINGS = ["-Wall", "-Wextra", "-Werror"]


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def needs_no_other(reader, made):
    is_read, symbols = run(reader, "--undefined-only", "--format=posix", made)
    extra = {line.split()[0] for line in symbols.splitlines()} - NEEDED
    return is_read and not extra, symbols


def main():
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for path in sys.argv[1:]:
            shutil.copy(path, folder)
        source, made = os.path.join(folder, "paravane_guest.c"), os.path.join(folder, "guest.o")
        compiler = shlex.split(os.environ["CC"])
        for name, options in (("-O2", ["-O2"]), ("-Os", ["-Os"]), ("-O0", ["-O0"])):
            results.append((f"freestanding C, {name}", *run(
                *compiler, "-std=gnu17", "-ffreestanding", *WARNINGS, *options, "-c", source, "-o", made)))
        results.append(("no other function is needed", *needs_no_other("nm", made)))
        if shutil.which("clang") and shutil.which("llvm-nm"):
            for target in TARGETS:
                results.append((f"freestanding C for {target}", *run(
                    "clang", f"--target={target}-none-elf", "-std=gnu17", "-ffreestanding", *WARNINGS,
                    "-O2", "-c", source, "-o", made)))
                results.append((f"no other function is needed on {target}", *needs_no_other("llvm-nm", made)))
        if shutil.which("c++"):
            probe = os.path.join(folder, "probe.cc")
            with open(probe, "w", encoding="ascii") as file:
                file.write('#include "paravane_guest.h"\nint probe() { return sizeof(pv_blkdrv_request) > 0; }\n')
            results.append(("the header in C++", *run("c++", *WARNINGS, "-c", probe, "-o", made)))
    for number, (name, is_good, output) in enumerate(results, 1):
        print(f"{'ok' if is_good else 'not ok'} {number} - {name}")
        if not is_good:
            print("\n".join("# " + line for line in output.splitlines()[:20]))
    print(f"1..{len(results)}")
    return not all(is_good for _, is_good, _ in results)


sys.exit(main())
