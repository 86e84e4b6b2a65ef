# SPDX-License-Identifier: BSD-2-Clause
"""User Mode Linux guests: a real Linux kernel as a process, with the host's files as its root."""

import os
import shutil

from console import Guest
from report import Skip

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = "/usr/lib/uml/modules"
MEMORY_MIB = 256


def need():
    if not shutil.which("linux.uml") or not os.path.isdir(MODULES):
        raise Skip("no linux.uml (package user-mode-linux)")


def memory_directory(work):
    """The guest's memory is an unlinked file that gets executed: in /dev/shm where that is allowed
    and has the room (containers give it 64 MiB), in the work folder otherwise."""
    if os.access("/dev/shm", os.W_OK | os.X_OK):
        room = os.statvfs("/dev/shm")
        if room.f_bavail * room.f_frsize > 3 * MEMORY_MIB << 20 and not room.f_flag & os.ST_NOEXEC:
            return "/dev/shm"
    return work


def memory_file(guest):
    """The guest's memory, a file that has no name any more; told by its size. None: not there yet, or not any
    more."""
    folder = f"/proc/{guest.process.pid}/fd"
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if "(deleted)" in os.readlink(path) and os.stat(path).st_size >= MEMORY_MIB << 20:
            return path
    return None


def quoted(name, value):
    """One argument of the kernel's command line."""
    return f'{name}="{value}"' if " " in value else f"{name}={value}"


BLK_ID, NET_ID, SERIAL_ID, BALLOON_ID = 2, 1, 3, 5


def boot(report, test, socket_path, script, limit_s=150, second_path=None, device_id=BLK_ID,
         **values):
    """A guest with one disk behind `socket_path`, or another device, and perhaps a second one, that
    runs scripts/`script`; `values` become variables of the script."""
    need()
    mount_point = os.path.join(test.work, "mnt")
    os.makedirs(mount_point, exist_ok=True)
    values = {"SCRIPT": os.path.join(HERE, "scripts", script),
              "LIB": os.path.join(HERE, "guest.sh"), "MNT": mount_point,
              "DISK": "/dev/vda", "MODULE": "virtio_blk",
              **{name: str(value) for name, value in values.items()}}
    argv = ["linux.uml", f"mem={MEMORY_MIB}M", "root=/dev/root", "rootfstype=hostfs",
            "rootflags=/", "ro", quoted("init", os.path.join(HERE, "init-uml.sh")),
            "con=null", "con0=fd:0,fd:1", "quiet", "noreboot", "panic=-1", "ubd0=/dev/null",
            *(f"virtio_uml.device={path}:{device_id}" for path in (socket_path, second_path) if path),
            *(quoted(name, value) for name, value in values.items())]
    # UML keeps a folder .uml in HOME, and panics when there is no HOME.
    return Guest(lambda line: [*argv, f"con1=fd:{line},fd:{line}"], test.log_path("console"),
                 limit_s, report,
                 {"TMPDIR": memory_directory(test.work), "HOME": test.work})
