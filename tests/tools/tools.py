#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The checks in tools/ find what they are there to find."""

import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
COMPILER = shlex.split(os.environ.get("CC", "cc"))


def run(*command):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="pv-tools-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def compile(self, source, *options):
        output = source.with_suffix(".o" if "-c" in options else "")
        done = run(*COMPILER, source, *options, "-o", output)
        self.assertEqual(done.returncode, 0, done.stderr)
        return output


class Includes(Case):
    def setUp(self):
        super().setUp()
        for header in ("abi/a.h", "ring/r.h", "devices/core/c.h", "devices/blk/b.h",
                       "devices/net/n.h", "drivers/core/d.h", "hosted/loop/l.h",
                       "hosted/control/k.h", "tests/support/t.h"):
            self.write(header, "#include <stdint.h>\n")

    def check(self, path, line):
        """Status and output when the file at `path` has `line` in it."""
        file = self.write(path, line + "\n")
        done = run(sys.executable, TOOLS / "includes.py", self.root)
        file.unlink()
        return done.returncode, done.stdout

    def assert_allowed(self, path, line):
        status, output = self.check(path, line)
        self.assertEqual(status, 0, output)

    def assert_forbidden(self, path, line):
        status, output = self.check(path, line)
        self.assertEqual(status, 1, f"{path}: {line}")
        self.assertIn(f"{path}:1: ", output)

    def test_rooms_may_include_what_the_plan_says(self):
        for path, header in (("abi/x.h", "abi/a.h"), ("ring/x.c", "abi/a.h"),
                             ("devices/blk/x.c", "devices/core/c.h"),
                             ("devices/blk/x.c", "devices/blk/b.h"),
                             ("drivers/blk/x.c", "ring/r.h"),
                             ("hosted/loop/x.c", "devices/core/c.h"),
                             ("hosted/control/x.c", "hosted/loop/l.h"),
                             ("tests/pair/x.c", "hosted/loop/l.h")):
            self.assert_allowed(path, f'#include "{header}"')
        self.assert_allowed("hosted/loop/x.c", "#include <unistd.h>")

    def test_the_library_shows_devices_and_nothing_of_their_guests(self):
        self.assert_allowed("devices/library/x.h", '#include "devices/blk/b.h"')
        self.assert_forbidden("devices/library/x.h", '#include "drivers/core/d.h"')

    def test_an_example_includes_what_is_beside_it(self):
        self.write("docs/howto/x/y.h", "")
        self.assert_allowed("docs/howto/x/x.c", '#include "y.h"')
        self.assert_forbidden("docs/howto/x/x.c", '#include "z.h"')

    def test_rooms_may_not_include_anything_else(self):
        for path, header in (("abi/x.h", "ring/r.h"), ("ring/x.c", "devices/core/c.h"),
                             ("devices/blk/x.c", "devices/net/n.h"),
                             ("devices/blk/x.c", "drivers/core/d.h"),
                             ("devices/core/x.c", "devices/blk/b.h"),
                             ("drivers/blk/x.c", "devices/core/c.h"),
                             ("ring/x.c", "hosted/loop/l.h"),
                             ("hosted/loop/x.c", "hosted/control/k.h"),
                             ("hosted/loop/x.c", "tests/support/t.h"),
                             ("hosted/control/x.c", "k.h"),
                             ("ring/x.c", "syscalls_serve.h")):
            self.assert_forbidden(path, f'#include "{header}"')

    def test_freestanding_rooms_have_no_c_library(self):
        for room in ("abi", "ring", "devices/blk", "drivers/core"):
            self.assert_forbidden(f"{room}/x.h", "#include <string.h>")

    def test_a_folder_outside_the_plan_is_found(self):
        status, output = self.check("util/x.c", "")
        self.assertEqual(status, 1)
        self.assertIn("util/x.c: in no room of the plan", output)


class Freestanding(Case):
    def archive(self, name, text):
        """What an archive needs is in its symbols: no call is left to the compiler to invent."""
        made = self.compile(self.write(f"{name}.c", text), "-c", "-ffreestanding", "-O1")
        archive = self.root / f"lib{name}.a"
        self.assertEqual(run("ar", "crs", archive, made).returncode, 0)
        return archive

    def test_mem_functions_and_each_other_are_allowed(self):
        one = self.archive("one", "void *memcpy(void *, const void *, unsigned long);\n"
                                  "void pv_one(void *a, void *b, unsigned long n);\n"
                                  "void pv_one(void *a, void *b, unsigned long n)"
                                  " { memcpy(a, b, n); }\n")
        two = self.archive("two", "void pv_one(void *, void *, unsigned long);\n"
                                  "void pv_two(void *a);\nvoid pv_two(void *a)"
                                  " { pv_one(a, a, 1); }\n")
        self.assertEqual(run(TOOLS / "freestanding.sh", one).returncode, 0)
        self.assertEqual(run(TOOLS / "freestanding.sh", one, two).returncode, 0)
        alone = run(TOOLS / "freestanding.sh", two)
        self.assertEqual(alone.returncode, 1)
        self.assertIn("pv_one", alone.stdout)

    def test_the_c_library_is_found(self):
        archive = self.archive("libc", "int puts(const char *);\nvoid pv_it(void);\n"
                                       "void pv_it(void) { puts(\"\"); }\n")
        done = run(TOOLS / "freestanding.sh", archive)
        self.assertEqual(done.returncode, 1)
        self.assertIn("puts", done.stdout)

    def test_a_missing_archive_fails(self):
        self.assertNotEqual(run(TOOLS / "freestanding.sh", self.root / "none.a").returncode, 0)


class Links(Case):
    def test_a_library_that_is_not_allowed_is_found(self):
        source = self.write("p.c", "#include <math.h>\nint main(int argc, char **argv)"
                                   " { (void)argv; return (int)cos(argc); }\n")
        program = self.compile(source, "-Wl,--no-as-needed", "-lm")
        done = run(TOOLS / "links.sh", program)
        self.assertEqual(done.returncode, 1)
        self.assertIn("libm.so", done.stdout)

    def test_the_c_library_is_allowed(self):
        program = self.compile(self.write("p.c", "int main(void) { return 0; }\n"))
        done = run(TOOLS / "links.sh", program)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Syscalls(Case):
    """Names that the code says it needs come to be in the list, or it is said that they do not."""

    def collect(self, comment):
        self.write("room/x.c", f"/*\n{comment}\n */\n")
        header = self.root / "list.h"
        done = run(sys.executable, TOOLS / "syscalls.py", "--output", header, "--depfile",
                   self.root / "list.d", "--macro", "NEEDED", "--parts", "sometimes", "--",
                   self.root / "room")
        return done.returncode, done.stderr, header.read_text() if header.exists() else ""

    def test_names_are_collected(self):
        status, _, text = self.collect(" * #syscalls read write\n * #syscalls [sometimes] close")
        self.assertEqual(status, 0)
        for name in ("each(read)", "each(write)", "NEEDED_SOMETIMES(each)", "each(close)"):
            self.assertIn(name, text)

    def test_names_that_would_be_lost_are_found(self):
        for comment in (" * Reads. #syscalls read", " * #syscall read", " *#syscalls read",
                        " * #syscalls [never] read"):
            self.assertEqual(self.collect(comment)[0], 1, comment)


unittest.main(verbosity=2)
