#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Checks who may include whom: the tables of rooms in ARCHITECTURE.md.

includes.py [FOLDER]: looks at every .c and .h of the tree (this one, or that in FOLDER), prints a
line for each include that the tables forbid, and ends with status 1 when there are any.
"""

import pathlib
import re
import sys

# Freestanding C has these without a C library.
FREESTANDING_HEADERS = {"stdint.h", "stddef.h", "stdbool.h"}

# The rooms that need no operating system, and what each may include beside itself. A device and a
# driver see what is common to their half, never another device.
FREESTANDING = {
    "abi": [],
    "ring": ["abi"],
    "devices/core": ["abi", "ring", "devices/port"],
    "devices/port": ["abi", "ring", "devices/core"],
    "devices/transport": ["abi", "ring", "devices/core", "devices/port"],
    "devices/library": ["abi", "ring", "devices"],
    "devices/*": ["abi", "ring", "devices/core", "devices/port"],
    "drivers/core": ["abi", "ring", "drivers/port", "drivers/bus"],
    "drivers/port": ["abi", "ring", "drivers/core"],
    "drivers/bus": ["abi", "ring", "drivers/core", "drivers/port"],
    "drivers/*": ["abi", "ring", "drivers/core", "drivers/port", "drivers/bus"],
    "payload": ["abi", "ring", "drivers"],
}

# The rooms in hosted/, and what each may include of hosted/ beside itself.
BELOW_CONTROL = ["hosted/loop", "hosted/vhost_user", "hosted/remote", "hosted/driver_bus",
                 "hosted/backends"]
HOSTED = {
    "hosted/loop": [],
    "hosted/vhost_user": ["hosted/loop"],
    "hosted/remote": ["hosted/loop", "hosted/vhost_user"],
    "hosted/driver_bus": ["hosted/loop", "hosted/vhost_user"],
    "hosted/backends": ["hosted/loop"],
    "hosted/control": BELOW_CONTROL,
    "hosted/vmm": BELOW_CONTROL + ["hosted/control"],
    "hosted/cli": BELOW_CONTROL + ["hosted/control", "hosted/vmm"],
}

# Anything may be included there, but other rooms include nothing of it.
OUTSIDE = ["tests", "bench", "docs/howto"]

# What is there is copied to where it is used: it includes what is beside it.
COPIED = "docs/howto"

# Made while building, in the build folder: which room has it.
GENERATED = {"syscalls_serve.h": "hosted/control", "dsdt.h": "hosted/vmm",
             "paravane_guest.h": "docs/howto"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
ANY_INCLUDE = re.compile(r"^\s*#\s*include\b")


def is_in(path, room):
    return path.startswith(room + "/")


def room_of(path):
    """The name of the room in the tables, and the folder that is the room; None if there is none."""
    parts = path.split("/")[:-1]
    if not parts:
        return None, None
    two = "/".join(parts[:2])
    for name in (two, parts[0], f"{parts[0]}/*" if len(parts) > 1 else None):
        if name in FREESTANDING or name in HOSTED or name in OUTSIDE:
            return name, (two if name.endswith("/*") else name)
    return None, None


def complaint_about_system(room, header):
    if room in FREESTANDING and header not in FREESTANDING_HEADERS:
        return "a freestanding room has no header of the C library but " + \
            ", ".join(f"<{h}>" for h in sorted(FREESTANDING_HEADERS))
    return None


def complaint_about_own(root, path, room, folder, header):
    """What is wrong with #include "header" in `path`; None: nothing."""
    if header in GENERATED:
        return None if room == GENERATED[header] else f"only {GENERATED[header]} includes it"
    if room == COPIED and (root / path).with_name(header).is_file():
        return None
    if not (root / header).is_file():
        return "no such file; includes are written from the root of the tree"
    if room in OUTSIDE or is_in(header, folder):
        return None
    if room in FREESTANDING:
        allowed = FREESTANDING[room]
    elif is_in(header, "hosted"):
        allowed = HOSTED[room]
    else:
        allowed = [r for r in ("abi", "ring", "devices", "drivers", "payload")]
    if any(is_in(header, r) for r in allowed):
        return None
    return f"{folder} may include only {', '.join([folder, *allowed])}"


def complaints_about(root, path):
    room, folder = room_of(path)
    if not room:
        yield f"{path}: in no room of the plan"
        return
    text = (root / path).read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            if ANY_INCLUDE.match(line):
                yield f"{path}:{number}: an include that cannot be read: {line.strip()}"
            continue
        kind, header = match.groups()
        if kind == "<":
            complaint = complaint_about_system(room, header)
        else:
            complaint = complaint_about_own(root, path, room, folder, header)
        if complaint:
            yield f"{path}:{number}: {line.strip()}: {complaint}"


def sources(root):
    for path in sorted(root.rglob("*.[ch]")):
        name = path.relative_to(root).as_posix()
        if not name.startswith(("build/", "build-", ".")):
            yield name


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else \
        pathlib.Path(__file__).resolve().parent.parent
    files = list(sources(root))
    if not files:
        sys.exit(f"includes.py: no C files in {root}")
    complaints = [c for path in files for c in complaints_about(root, path)]
    for complaint in complaints:
        print(complaint)
    print(f"{len(files)} files, {len(complaints)} forbidden includes")
    sys.exit(1 if complaints else 0)


main()
