# SPDX-License-Identifier: BSD-2-Clause
"""What is measured, and the files it is measured on."""

import os
import shutil
import tempfile

BLOCK_4K = 4096
BLOCK_128K = 128 << 10


class Workload:
    """One row. `storage` is where the disk lies; a blocking client sleeps instead of polling."""

    def __init__(self, storage, block_bytes, depth, *, is_write=False, is_random=True,
                 is_blocking=False):
        self.storage = storage
        self.block_bytes = block_bytes
        self.depth = depth
        self.is_write = is_write
        self.is_random = is_random
        self.is_blocking = is_blocking

    @property
    def kind(self):
        order = "rand" if self.is_random else "seq"
        size = f"{self.block_bytes >> 10}k"
        return f"{size} {order}{'write' if self.is_write else 'read'} QD{self.depth}"

    @property
    def client(self):
        return "block" if self.is_blocking else "poll"

    @property
    def title(self):
        return f"{self.storage} {self.kind} {self.client}"


WORKLOADS = [
    Workload("tmpfs", BLOCK_4K, 1),
    Workload("tmpfs", BLOCK_4K, 32),
    Workload("tmpfs", BLOCK_4K, 32, is_write=True),
    Workload("tmpfs", BLOCK_128K, 8, is_random=False),
    Workload("tmpfs", BLOCK_4K, 1, is_blocking=True),
    Workload("tmpfs", BLOCK_4K, 32, is_blocking=True),
    Workload("cached", BLOCK_4K, 1),
    Workload("cached", BLOCK_4K, 32),
    Workload("cached", BLOCK_4K, 32, is_write=True),
    Workload("cached", BLOCK_128K, 8, is_random=False),
    Workload("direct", BLOCK_4K, 1),
    Workload("direct", BLOCK_4K, 32),
    Workload("direct", BLOCK_4K, 128),
    Workload("direct", BLOCK_4K, 32, is_write=True),
    Workload("direct", BLOCK_128K, 8, is_random=False),
    Workload("direct", BLOCK_4K, 32, is_blocking=True),
    Workload("null", BLOCK_4K, 1),
    Workload("null", BLOCK_4K, 32),
    Workload("null", BLOCK_4K, 128),
    Workload("null", BLOCK_4K, 1, is_blocking=True),
    Workload("null", BLOCK_4K, 32, is_blocking=True),
]


class Place:
    """A file, or none where the disk is no file; `problem` says why it cannot be used."""

    def __init__(self, path, file_bytes, problem=None):
        self.path = path
        self.bytes = file_bytes
        self.problem = problem


def filesystem_of(folder):
    """The type of the file system that holds `folder`: that of the longest mount point above."""
    folder = os.path.realpath(folder)
    best, kind = "", "unknown"
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, point, this_kind, *_ = line.split()
            point = point.encode().decode("unicode_escape")
            if os.path.commonpath([folder, point]) == point and len(point) >= len(best):
                best, kind = point, this_kind
    return kind


def has_direct(path):
    try:
        os.close(os.open(path, os.O_RDWR | os.O_DIRECT))
    except OSError:
        return False
    return True


class Places:
    """A file on tmpfs, and one on the file system of the build folder, both full of noise."""

    def __init__(self, folder, file_bytes):
        self.folder = folder
        self.file_bytes = file_bytes
        self.place = {"null": Place(None, file_bytes)}
        self.files = []
        self.copies = {}

    def make(self, storages):
        if "tmpfs" in storages:
            self.place["tmpfs"] = self.make_on_tmpfs("/dev/shm")
        if storages & {"cached", "direct"}:
            self.make_on_disk()

    def of(self, workload, who=None):
        """The place; of a contestant its own copy, made when it is first asked for: images are locked."""
        place = self.place[workload.storage]
        if not who or not place.path:
            return place
        if (place.path, who) not in self.copies:
            self.copies[place.path, who] = self.copy(place, who)
        return self.copies[place.path, who]

    def copy(self, place, who):
        path = f"{place.path}-{who}"
        self.files.append(path)
        try:
            shutil.copyfile(place.path, path)
        except OSError as reason:
            return Place(None, 0, f"no copy for {who}: {reason.strerror}")
        return Place(path, place.bytes)

    def on_disk(self):
        """A file of a disk, if there is one."""
        place = self.place.get("direct")
        return place.path if place and not place.problem else None

    def remove(self):
        for path in filter(os.path.exists, self.files):
            os.unlink(path)
        self.files = []

    def make_on_tmpfs(self, folder):
        if not os.path.isdir(folder) or filesystem_of(folder) != "tmpfs":
            return Place(None, 0, f"no tmpfs at {folder}")
        return self.make_file(folder)

    def make_on_disk(self):
        kind = filesystem_of(self.folder)
        if kind in ("tmpfs", "ramfs"):
            problem = f"{self.folder} is on {kind}, not on a disk"
            self.place["cached"] = self.place["direct"] = Place(None, 0, problem)
            return
        place = self.make_file(self.folder)
        self.place["cached"] = self.place["direct"] = place
        if not place.problem and not has_direct(place.path):
            self.place["direct"] = Place(None, 0, f"{kind} has no O_DIRECT")

    def make_file(self, folder):
        space = os.statvfs(folder)
        if space.f_bavail * space.f_frsize < self.file_bytes + (64 << 20):
            return Place(None, 0, f"no room for {self.file_bytes >> 20} MiB in {folder}")
        descriptor, path = tempfile.mkstemp(prefix="pv-bench-", dir=folder)
        self.files.append(path)
        noise = os.urandom(1 << 20)
        with open(descriptor, "wb") as file:
            for _ in range(self.file_bytes // len(noise)):
                file.write(noise)
            file.flush()
            os.fsync(file.fileno())
        return Place(path, self.file_bytes)
