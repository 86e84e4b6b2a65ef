# SPDX-License-Identifier: BSD-2-Clause
"""A back-end whose disk fails when a test says so: tests/support/faulty_serve.c."""

import os
import random
import shutil
import subprocess

from backend import Backend
from report import Failure


class FaultyBackend(Backend):
    """One faulty_serve process on `image`. With `has_power` its power can be cut: the image is then
    the disk with its cache, and `platter` a second file, the disk without."""

    def __init__(self, report, image, log_path, options=(), has_power=False):
        super().__init__(report, image, log_path, options)
        self.platter = image + ".platter" if has_power else None

    def launch(self, log):
        argv = [os.environ["FAULTY_SERVE"], "--socket-path", self.path, "--blk-file", self.image,
                *self.options]
        if self.platter:
            shutil.copyfile(self.image, self.platter)
            argv += ["--platter", self.platter]
        return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                text=True)

    def tell(self, line):
        """One command of faulty_serve. Returns its answer."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if answer in ("", "what?"):
            raise Failure(f"faulty_serve does not take '{line}': {self.last_words()}")
        return answer

    def cut(self, seed):
        """Cuts the power: the image becomes what the next start finds. Returns what became of the
        cache: how many writes were kept, lost and torn."""
        words = self.tell(f"cut {seed}").split()
        self.process.wait()
        self.kill()
        os.replace(self.platter, self.image)
        return dict(zip(words[::2], map(int, words[1::2])))

    def kill(self):
        if self.process:
            self.process.stdin.close()
            self.process.stdout.close()
        super().kill()

    def stop(self):
        """It knows no SIGTERM, but must have lived as long."""
        self.report.ok(self.is_alive(), "the back-end lived to the end", self.obituary())
        self.kill()


def seed():
    """The test's seed: PV_SEED, or a new one."""
    return int(os.environ.get("PV_SEED", "0"), 0) or random.SystemRandom().getrandbits(32)
