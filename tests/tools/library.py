#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What management programs find installed, and libparavane as somebody finds it who has installed it: its headers, its symbols, and the example of
docs/howto/embed.md, built and run by the commands that are written there.

    library.py MESON BUILDDIR VERSION GUEST_FILE...
"""

import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NEEDED = {"memcpy", "memset", "memmove", "memcmp"}
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
# Each compiler, what it is to take the headers for, and whether each of them alone.
DIALECTS = [("gcc", ["-xc", "-std=c11", "-Wpedantic"], True), ("gcc", ["-xc", "-std=c17", "-Wpedantic"], False),
            ("clang", ["-xc", "-std=c11", "-Wpedantic"], False),
            ("clang", ["-xc", "-std=c17", "-Wpedantic"], False),
            ("g++", ["-xc++", "-std=c++17"], True), ("g++", ["-xc++", "-std=c++20"], False),
            ("clang++", ["-xc++", "-std=c++17"], False)]
# For a program in C++: C's names are those of the library.
PROBE = """#include <paravane/paravane.h>
int main() { return pv_blk_bytes(1) > 0 && pv_rng_bytes() > 0 ? 0 : 1; }
"""
LIMIT_S = 120


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S, **options)


def tool(*command):
    """What a command says that has no reason to fail."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout


class Installed:
    """A tree that `meson install` has made."""

    def __init__(self, meson, build, folder):
        tool(meson, "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", folder)
        self.folder = folder
        self.pc = self.find(folder, "paravane.pc")
        self.shared = self.find(folder, "libparavane.so")
        self.static = self.find(folder, "libparavane.a")
        self.include = os.path.dirname(os.path.dirname(self.find(folder, "paravane/paravane.h")))
        self.environment = {
            **os.environ,
            "PKG_CONFIG_SYSROOT_DIR": folder,
            "PKG_CONFIG_LIBDIR": os.path.dirname(self.pc),
            # Should somebody build for a prefix where a compiler looks anyway.
            "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1",
            "PKG_CONFIG_ALLOW_SYSTEM_LIBS": "1",
            "LD_LIBRARY_PATH": os.path.dirname(self.shared),
        }

    @staticmethod
    def find(folder, name):
        found = glob.glob(os.path.join(folder, "**", name), recursive=True)
        assert len(found) == 1, f"{name}: {found}"
        return found[0]

    def pkg_config(self, *options):
        return shlex.split(subprocess.run(
            ["pkg-config", *options, "paravane"], env=self.environment, capture_output=True, text=True,
            check=True).stdout)

    def headers(self):
        folder = os.path.join(self.include, "paravane")
        return sorted(os.path.relpath(path, folder)
                      for path in glob.glob(os.path.join(folder, "**", "*.h"), recursive=True))

    def remove_shared(self):
        for path in glob.glob(self.shared + "*"):
            os.remove(path)


# ---- what management programs find ----

def manifest_tests(installed):
    """Each names a program that takes the options of QEMU's back-ends, without a command before them."""
    for device in ("blk", "net"):
        with open(installed.find(installed.folder, f"qemu/vhost-user/50-paravane-{device}.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        done = run(installed.folder + manifest["binary"], "--print-capabilities")
        told = json.loads(done.stdout) if done.returncode == 0 else {}
        yield (f"the program of {device}'s manifest says the same as that",
               (told.get("type"), told.get("features", [])) == (manifest["type"], manifest.get("features", [])),
               f"{manifest} {done.stdout} {done.stderr}")


# ---- the headers ----

def compiles(installed, compiler, options, headers):
    """Each of the headers alone, and twice."""
    with tempfile.TemporaryDirectory() as folder:
        probes = [os.path.join(folder, header.replace("/", "-")) for header in headers]
        for probe, header in zip(probes, headers):
            with open(probe, "w", encoding="ascii") as file:
                file.write(f"#include <paravane/{header}>\n" * 2 + "extern int of_something;\n")
        done = run(compiler, *options, *WARNINGS, *installed.pkg_config("--cflags"), "-fsyntax-only", *probes)
    return done.returncode == 0, done.stderr


def header_tests(installed):
    headers = installed.headers()
    text = "".join(open(os.path.join(installed.include, "paravane", header), encoding="utf-8").read()
                   for header in headers)
    yield ("headers include each other by <paravane/...>", not re.search(r'#\s*include\s*"', text), "")
    for compiler, options, is_each in DIALECTS:
        if shutil.which(compiler):
            name = f"{'each header alone' if is_each else 'all headers'}, {compiler} {options[1][5:]}"
            yield (name, *compiles(installed, compiler, options, headers if is_each else ["paravane.h"]))
    if shutil.which("g++"):
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "probe")
            done = run("g++", *WARNINGS, "-xc++", "-", "-o", program, input=PROBE,
                       *installed.pkg_config("--cflags", "--libs"))
            if done.returncode == 0:
                done = run(program, env=installed.environment)
            yield ("a program in C++", done.returncode == 0, done.stderr)


# ---- the symbols ----

def declared(compiler, cflags):
    """Functions and objects that the public headers declare, and do not define."""
    text = subprocess.run([*compiler, "-E", "-P", "-xc", *cflags, "-"], input="#include <paravane/paravane.h>\n",
                          capture_output=True, text=True, check=True).stdout
    text = re.sub(r"^#.*$", "", text, flags=re.M)
    while re.search(r"\{[^{}]*\}", text):
        text = re.sub(r"\{[^{}]*\}", ";", text)
    names = set()
    for statement in text.split(";"):
        if re.match(r"\s*(static|typedef|_Static_assert|__attribute__)\b", statement):
            continue
        match = re.search(r"\b(\w+)\s*\(", statement) or \
            re.search(r"\bextern\b.*?(\w+)\s*(?:\[\])?\s*$", statement, re.S)
        if match:
            names.add(match[1])
    return names


def symbols(path, *options):
    """Name and section of each symbol of a library, the name without its version."""
    for line in tool("nm", "--format=sysv", *options, path).splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 7:
            yield re.sub(r"@.*", "", fields[0]), fields[6]


def is_writable(section):
    """Tables of functions are written to by the loader, and by nobody after it (RELRO)."""
    return re.match(r"\.(t?data|t?bss)\b(?!\.rel\.ro)|\*?COM", section) is not None


def symbol_tests(installed, version):
    compiler = shlex.split(os.environ["CC"])
    public = declared(compiler, installed.pkg_config("--cflags"))
    shown = {name for name, section in symbols(installed.shared, "-D", "--defined-only")
             if section != "*ABS*"}
    yield ("the library shows what its headers declare", len(public) > 100 and public == shown,
           " ".join(sorted(public ^ shown)))
    needed = {name for name, _ in symbols(installed.shared, "-D", "--undefined-only")}
    yield "it needs mem*, and nothing else", needed and not needed - NEEDED, " ".join(sorted(needed))
    done = run(os.path.join(ROOT, "tools/freestanding.sh"), installed.static)
    yield "so does the archive", done.returncode == 0, done.stdout + done.stderr
    for path in (installed.shared, installed.static):
        defined = list(symbols(path, "--defined-only"))
        written = sorted(name for name, section in defined if is_writable(section))
        yield (f"{os.path.basename(path)} has no variables", len(defined) > 100 and not written,
               " ".join(written))
    sections = tool("readelf", "--sections", "--segments", "--wide", installed.shared)
    sizes = re.findall(r" \.(t?data|t?bss) +\w+ +\w+ +\w+ (\w+)", sections)
    yield ("nor room for any, and its tables cannot be written",
           "GNU_RELRO" in sections and all(int(size, 16) == 0 for _, size in sizes), sections)
    foreign = sorted(name for name, _ in symbols(installed.static, "-g", "--defined-only")
                     if not name.startswith("pv_"))
    yield "the archive's names all begin with pv_", not foreign, " ".join(foreign)
    node = "PARAVANE_" + ".".join(version.split(".")[:2])
    nodes = {name for name, section in symbols(installed.shared, "-D", "--defined-only", "--with-symbol-versions")
             if section == "*ABS*"}
    yield f"they are of version {node}", nodes == {node}, " ".join(nodes)


# ---- the example ----

def commands():
    with open(os.path.join(ROOT, "docs/howto/embed.md"), encoding="utf-8") as file:
        return re.search(r"```sh\n(.*?)```", file.read(), re.S)[1]


def example(installed, guest_files, compiler=""):
    """Built and run as the text says; `compiler` is what is called instead of cc."""
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(installed.environment)
        for path in [*guest_files, *glob.glob(os.path.join(ROOT, "docs/howto/embed/*"))]:
            shutil.copy(path, folder)
        if compiler:
            wrapper = os.path.join(folder, "bin", "cc")
            os.mkdir(os.path.dirname(wrapper))
            with open(wrapper, "w", encoding="ascii") as file:
                file.write(f'#!/bin/sh\nexec {compiler} "$@"\n')
            os.chmod(wrapper, 0o755)
            environment["PATH"] = os.path.dirname(wrapper) + os.pathsep + environment["PATH"]
        done = run("sh", "-ec", commands(), cwd=folder, stdin=subprocess.DEVNULL, env=environment)
        program = os.path.join(folder, "emulator")
        needs = tool("readelf", "--dynamic", program) if os.path.exists(program) else ""
    said = done.stdout.splitlines()
    is_good = done.returncode == 0 and said == [
        "what is to be kept?", "the disk says: Hello from the console", "Hello from the console"]
    return is_good, done.stdout + done.stderr, "[libparavane.so.0]" in needs


def hostile_guest(installed, guest_files):
    """The same machine with a guest that means harm; after it the honest one must get what it wants."""
    embed = os.path.join(ROOT, "docs/howto/embed")
    strict = ["-std=gnu17", "-g", *WARNINGS, "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
              "-I" + ROOT, "-I" + os.path.dirname(guest_files[0])]
    with tempfile.TemporaryDirectory() as folder:
        program, honest, disk = (os.path.join(folder, name) for name in ("emulator", "honest.o", "disk.img"))
        done = run("gcc", *strict, "-Dguest_run=honest_run", "-c", os.path.join(embed, "guest.c"), "-o", honest)
        if done.returncode == 0:
            sources = [os.path.join(embed, name + ".c") for name in ("emulator", "slot", "disk", "console")]
            done = run("gcc", *strict, *sources, os.path.join(ROOT, "tests/tools/hostile_guest.c"), honest,
                       guest_files[1], *installed.pkg_config("--cflags", "--libs"), "-o", program)
        if done.returncode:
            return False, done.stderr
        with open(disk, "wb") as file:
            file.truncate(1 << 20)
        # The console's input has no end.
        done = subprocess.run(["sh", "-c", 'yes "" | "$0" "$1" | tail -n 1', program, disk], capture_output=True,
                              check=False, timeout=LIMIT_S, env=installed.environment)
    return done.stdout == b"the disk says: \n", done.stderr.decode(errors="replace") + repr(done.stdout)


def example_tests(installed, guest_files):
    is_good, output, is_shared = example(installed, guest_files)
    yield "the example runs on the shared library", is_good and is_shared, output
    # Whoever reads it may build it with more warnings than we asked for.
    is_good, output, _ = example(installed, guest_files,
                                 "gcc -std=gnu17 -Wall -Wextra -Wshadow -Wconversion -Werror "
                                 "-fsanitize=address,undefined -fno-sanitize-recover=all")
    yield "it has no warning, and nothing that a sanitizer finds", is_good, output
    yield ("a guest that means harm does none", *hostile_guest(installed, guest_files))
    installed.remove_shared()
    is_good, output, is_shared = example(installed, guest_files)
    yield "the example runs on the archive", is_good and not is_shared, output


def main():
    meson, build, version, *guest_files = sys.argv[1:]
    guest_files = [os.path.abspath(path) for path in guest_files]
    number = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        installed = Installed(meson, build, folder)
        for tests in (manifest_tests(installed), header_tests(installed), symbol_tests(installed, version),
                      example_tests(installed, guest_files)):
            for name, is_good, output in tests:
                number += 1
                failed += not is_good
                print(f"{'ok' if is_good else 'not ok'} {number} - {name}", flush=True)
                if not is_good:
                    print("\n".join("# " + line for line in output.splitlines()[:20]))
    print(f"1..{number}")
    return failed > 0


sys.exit(main())
