#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The guest half as two files: paravane_guest.h and paravane_guest.c, for who wants no more than that.

    single_file.py FOLDER [--depfile FILE] FILE...

Writes the two into FOLDER: a header of the headers among the files, and all that those include, and a
source of the rest. Names that are a file's own get that file's name before them, since they are one
file's now; macros of a file end with it.
"""

import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^#include "([^"]+)"\n', re.M)
# A static function or object, and a type, at the beginning of a line.
STATIC = re.compile(r"^static (?:[\w*]+\s+\**)*?\**(\w+)(?:\[[^\]]*\])*\s*(?:\(|=|;)", re.M)
TYPE = re.compile(r"^(struct|enum|union) (\w+) \{", re.M)
# Those that all files know are not renamed; nor are members, which this macro names too.
SHARED = "pv_"
MEMBER_MACRO = "COMMON"
MACRO = re.compile(r"^#define (\w+)", re.M)
LICENSE = "/* SPDX-License-Identifier: BSD-2-Clause */\n"

HEAD_H = LICENSE + """/*
 * Paravane's drivers of virtio devices, in two files: this one, and paravane_guest.c. They need a
 * freestanding compiler, memcpy(), memset(), memmove() and memcmp(), and the port that struct pv_os_ops
 * describes. Made by `make guest-single-file`: change the files that it was made of.
 */
#ifndef PARAVANE_GUEST_H
#define PARAVANE_GUEST_H

#ifdef __cplusplus
extern "C" {
#endif
"""
TAIL_H = """
#ifdef __cplusplus
}
#endif

#endif
"""
HEAD_C = LICENSE + """/* Made by `make guest-single-file`: see paravane_guest.h. */
#include "paravane_guest.h"

/* Of the barriers some are for devices. */
#pragma GCC diagnostic ignored "-Wunused-function"
"""


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8").replace(LICENSE, "", 1)


class Emitted:
    """Files that are there already are left out."""

    def __init__(self):
        self.paths = set()

    def expand(self, path):
        """The header, and before it all that it includes, as one text."""
        if path in self.paths:
            return ""
        self.paths.add(path)
        text = text_of(path)
        before = "".join(self.expand(header) for header in INCLUDE.findall(text))
        return f"{before}\n/* ---- {path} ---- */\n\n{INCLUDE.sub('', text).strip()}\n"


def own(path, text):
    """The text of a source, with what is its own under names that are nobody else's."""
    stem = "pv_" + re.sub(r"\W", "_", path.removesuffix(".c")).split("_", 1)[1]
    for name in sorted(set(STATIC.findall(text))):
        text = re.sub(rf"(?<![\w.])(?<!->)(?<!{MEMBER_MACRO}\(){name}\b", f"{stem}_{name}", text)
    for kind, name in sorted(set(TYPE.findall(text))):
        if not name.startswith(SHARED):
            text = re.sub(rf"\b{kind} {name}\b", f"{kind} {stem}_{name}", text)
    ends = "".join(f"#undef {name}\n" for name in sorted(set(MACRO.findall(text))))
    return text.strip() + "\n" + (f"\n{ends}" if ends else "")


def header(headers, emitted):
    return HEAD_H + "".join(emitted.expand(path) for path in headers) + TAIL_H


def source(sources, emitted):
    parts = [HEAD_C]
    for path in sources:
        text = text_of(path)
        parts += [emitted.expand(name) for name in INCLUDE.findall(text)]
        parts.append(f"\n/* ---- {path} ---- */\n\n{own(path, INCLUDE.sub('', text))}")
    return "".join(parts)


def main():
    parser = argparse.ArgumentParser(prog="single_file.py")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--depfile", type=pathlib.Path)
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    files = [path.resolve().relative_to(ROOT).as_posix() for path in options.files]
    emitted = Emitted()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
            ("paravane_guest.h", header([path for path in files if path.endswith(".h")], emitted)),
            ("paravane_guest.c", source([path for path in files if path.endswith(".c")], emitted))):
        (options.folder / name).write_text(text, encoding="utf-8")
    if options.depfile:
        read = " ".join(str(ROOT / path) for path in sorted(emitted.paths))
        options.depfile.write_text(f"paravane_guest.h paravane_guest.c: {read}\n", encoding="utf-8")
    return 0


sys.exit(main())
