# SPDX-License-Identifier: BSD-2-Clause
"""A host that is as small as it is said to be, to a program that looks at /proc/meminfo: it has that file in a mount
namespace of its own, which needs root."""

import os

MEMINFO = "MemTotal: {:12d} kB\nMemFree: {:13d} kB\nMemAvailable: {:8d} kB\n"


class SmallHost:
    def __init__(self, path, mib):
        self.path, self.mib = path, mib
        self.tell(0)

    def tell(self, taken_mib):
        """So much of it is taken now."""
        left = max(0, int((self.mib - taken_mib) * 1024))
        # In place, and always of the same length: it is mounted, and read at any time.
        with open(self.path, "r+" if os.path.exists(self.path) else "w", encoding="ascii") as file:
            file.write(MEMINFO.format(self.mib << 10, left, left))

    def command(self, *words):
        """What to start to run a program on it."""
        return ["unshare", "--mount", "sh", "-c", 'mount --bind "$1" /proc/meminfo && shift && exec "$@"', "sh",
                self.path, *words]
