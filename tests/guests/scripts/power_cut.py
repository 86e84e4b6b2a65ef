# SPDX-License-Identifier: BSD-2-Clause
"""Writes files in FOLDER until the power is cut, and says which of them are synced.

    @@do keep NAME SHA256   the file has this content for good: fsync has returned

A file that was named so is not touched again. Between them others are written and not synced,
deleted, written over in place and renamed, by several threads, so that there is always something on
its way to the disk; one writes past the page cache, so that there is always something in the disk's.
"""

import hashlib
import mmap
import os
import random
import sys
import threading

SIZES = (100, 4096, 5000, 40000, 150000)
THREADS = 3
BLOCK = 4096
DIRECT_BLOCKS = 256


def sync_folder(folder):
    fd = os.open(folder, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def write(path, data, is_synced):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(fd, data)
    if is_synced:
        os.fsync(fd)
    os.close(fd)


def report(name, data):
    os.write(1, f"@@do keep {name} {hashlib.sha256(data).hexdigest()}\n".encode())


def kept_file(folder, name, dice):
    """A new file, synced with its folder."""
    data = dice.randbytes(dice.choice(SIZES))
    write(os.path.join(folder, name), data, True)
    sync_folder(folder)
    report(name, data)


def replaced_file(folder, name, dice):
    """As an editor saves: beside it, sync, rename over the old one."""
    path = os.path.join(folder, name)
    write(path, dice.randbytes(dice.choice(SIZES)), True)
    data = dice.randbytes(dice.choice(SIZES))
    write(path + ".new", data, True)
    os.rename(path + ".new", path)
    sync_folder(folder)
    report(name, data)


def overwritten_file(folder, name, dice):
    """In place, where only a flush stands between old and new content."""
    path = os.path.join(folder, name)
    old = dice.randbytes(dice.choice(SIZES))
    write(path, old, True)
    data = dice.randbytes(len(old))
    fd = os.open(path, os.O_WRONLY)
    os.pwrite(fd, data, 0)
    os.fdatasync(fd)
    os.close(fd)
    sync_folder(folder)
    report(name, data)


def noise(folder, name, dice):
    """Files that nobody is promised; some go, with their blocks."""
    path = os.path.join(folder, f"noise{name[0]}{dice.randrange(10)}")
    if os.path.exists(path) and dice.random() < 0.5:
        os.unlink(path)
    else:
        write(path, dice.randbytes(dice.choice(SIZES)), dice.random() < 0.2)


def live(folder, letter, dice):
    number = 0
    while True:
        step = dice.choice((kept_file, replaced_file, overwritten_file, noise, noise))
        step(folder, f"{letter}{number:04}", dice)
        number += 1


def write_past_the_cache(folder, dice):
    block = mmap.mmap(-1, BLOCK)
    fd = os.open(os.path.join(folder, "direct"), os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
    os.posix_fallocate(fd, 0, DIRECT_BLOCKS * BLOCK)
    while True:
        block[:] = dice.randbytes(BLOCK)
        os.pwritev(fd, [block], dice.randrange(DIRECT_BLOCKS) * BLOCK)


def main(folder, seed):
    for letter in "abc"[:THREADS]:
        threading.Thread(target=live, args=(folder, letter, random.Random(seed + letter))).start()
    write_past_the_cache(folder, random.Random(seed))


main(sys.argv[1], sys.argv[2])
