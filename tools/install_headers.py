#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Installs the public headers of libparavane.

    install_headers.py HEADER INCLUDEDIR

Copies this header of the tree, and all that it includes, to INCLUDEDIR/paravane below
$MESON_INSTALL_DESTDIR_PREFIX: itself to the top, the others to where they are in the tree. What they
include of each other is <paravane/...> there, so that no header of anybody else can come between.
"""

import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^#include "([^"]+)"', re.M)


def closure(path, found):
    """Adds the header at `path` and all below it: their texts by their paths."""
    if path not in found:
        found[path] = (ROOT / path).read_text(encoding="utf-8")
        for header in INCLUDE.findall(found[path]):
            closure(header, found)
    return found


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: tools/install_headers.py HEADER INCLUDEDIR")
    top = pathlib.Path(sys.argv[1]).resolve().relative_to(ROOT).as_posix()
    folder = pathlib.Path(os.environ["MESON_INSTALL_DESTDIR_PREFIX"]) / sys.argv[2] / "paravane"
    for path, text in closure(top, {}).items():
        target = folder / (pathlib.Path(top).name if path == top else path)
        if not os.environ.get("MESON_INSTALL_QUIET"):
            print(f"Installing {path} to {target.parent}")
        if os.environ.get("MESON_INSTALL_DRY_RUN"):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(INCLUDE.sub(r"#include <paravane/\1>", text), encoding="utf-8")


main()
