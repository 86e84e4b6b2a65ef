#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The code on docs/howto/port.md and port-xv6.md compiles without a warning, for the machine of the kernel that
it is for, against the two files of the guest half; and the one page names every function of the port."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLAGS = ["--target=riscv64-none-elf", "-mcmodel=medany", "-std=gnu17", "-ffreestanding", "-O", "-Wall", "-Werror"]

# What the port to xv6 uses of that kernel, which has it in these headers.
XV6_HEADERS = "types param memlayout riscv spinlock sleeplock fs buf defs".split()
XV6 = """
#define PGSIZE 4096
#define BSIZE 1024
#define VIRTIO0 0x10001000
typedef unsigned char uint8;
typedef unsigned short uint16;
typedef unsigned int uint32;
typedef unsigned long uint64;
struct spinlock { int is_held; };
struct buf { unsigned int blockno; unsigned char data[BSIZE]; };
void initlock(struct spinlock *lock, char *name);
void acquire(struct spinlock *lock);
void release(struct spinlock *lock);
void sleep(void *channel, struct spinlock *lock);
void wakeup(void *channel);
void panic(char *text) __attribute__((noreturn));
uint64 r_time(void);
void virtio_disk_init(void);
void virtio_disk_rw(struct buf *buf, int is_write);
void virtio_disk_intr(void);
void virtio_disk_tick(void);
"""

# What the examples of port.md leave to their reader.
PORT = """
#include "paravane_guest.h"
#pragma GCC diagnostic ignored "-Wunused-function"
#define memcpy __builtin_memcpy
uint64_t physical_address(const void *memory);
struct slot { void *memory; struct pv_gpa addr; uint8_t bytes[4096]; };
struct slot *slot_take(struct pv_os *os);
struct slot *slot_at(struct pv_os *os, struct pv_gpa addr);
void slot_give(struct pv_os *os, struct slot *slot);
"""
# Each must be what the port asks for.
PORT_END = """
extern const struct pv_os_ops pages, copies;
const struct pv_os_ops pages = { .map = map_pages };
const struct pv_os_ops copies = { .map = map_copy, .unmap = unmap_copy };
"""


def text_of(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def code_of(page):
    return "".join(re.findall(r"^```c\n(.*?)^```", text_of(page), re.S | re.M))


def compiled(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    done = subprocess.run(["clang", *FLAGS, "-c", path, "-o", path + ".o"], capture_output=True, text=True,
                          check=False)
    return done.returncode == 0, done.stderr


def is_xv6_compiled(folder):
    for name in XV6_HEADERS:
        with open(os.path.join(folder, name + ".h"), "w", encoding="utf-8") as file:
            file.write(XV6 if name == "types" else "")
    return compiled(folder, "virtio_disk.c", code_of("docs/howto/port-xv6.md"))


def is_counted():
    """The page says how many lines the port has."""
    said = re.search(r"^\| lines to keep \|.*\| (\d+) \|$", text_of("docs/howto/port-xv6.md"), re.M)
    lines = code_of("docs/howto/port-xv6.md").count("\n")
    return said is not None and int(said[1]) == lines, f"{lines} lines"


def is_complete():
    """Every function of the port has a line in the table."""
    port = re.search(r"struct pv_os_ops \{(.*?)^\};", text_of("drivers/port/port.h"), re.S | re.M)[1]
    functions = re.findall(r"\(\*(\w+)\)\(struct pv_os \*os", port)
    named = re.findall(r"`(\w+)\(os", "".join(re.findall(r"^\|(.*?)\|", text_of("docs/howto/port.md"), re.M)))
    missing = set(functions) ^ set(named)
    return len(functions) >= 8 and not missing, " ".join(sorted(missing))


def main():
    if not shutil.which("clang"):
        print("1..0 # SKIP no clang (package clang)")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        for path in sys.argv[1:]:
            shutil.copy(path, folder)
        results = [
            ("the port to xv6", *is_xv6_compiled(folder)),
            ("its lines are counted", *is_counted()),
            ("the examples of a port",
             *compiled(folder, "port.c", PORT + code_of("docs/howto/port.md") + PORT_END)),
            ("the page names every function", *is_complete()),
        ]
    for number, (name, is_good, output) in enumerate(results, 1):
        print(f"{'ok' if is_good else 'not ok'} {number} - {name}")
        if not is_good:
            print("\n".join("# " + line for line in output.splitlines()[:20]))
    print(f"1..{len(results)}")
    return not all(is_good for _, is_good, _ in results)


sys.exit(main())
