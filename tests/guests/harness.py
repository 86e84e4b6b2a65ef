# SPDX-License-Identifier: BSD-2-Clause
"""The frame of a guest test: a work folder, a report, one more try after UML's idle panic."""

import glob
import os
import shutil
import signal
import subprocess
import sys
import traceback

from console import IdlePanic
from report import Failure, Report, Skip, print_skip

AGAIN = "PV_GUEST_AGAIN"
LONG_ROUNDS = 20


class Test:
    """Where one test keeps its files: not in /tmp, which a UML guest covers with a tmpfs."""

    def __init__(self, name):
        self.guests = os.path.abspath(os.environ["PV_GUESTS_DIR"])
        self.work = os.path.join(self.guests, name)
        shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.work)

    def log_path(self, name):
        return os.path.join(self.work, name + ".log")

    def image(self, size_mib, name="disk.img"):
        path = os.path.join(self.work, name)
        with open(path, "wb") as image:
            image.truncate(size_mib << 20)
        return path

    def remove_images(self):
        """What a test leaves when all went well is its logs; a killed UML leaves a folder too."""
        for path in glob.glob(os.path.join(self.work, "*.img")):
            os.unlink(path)
        shutil.rmtree(os.path.join(self.work, ".uml"), ignore_errors=True)


def e2fsck(report, image):
    """Judges the image from outside, changing nothing."""
    run = subprocess.run(["/sbin/e2fsck", "-fn", image], capture_output=True, text=True,
                         check=False)
    return report.ok(run.returncode == 0, "e2fsck on the host finds the file system clean",
                     run.stdout + run.stderr)


def replay_and_check(report, image):
    """After a crash: the journal is replayed, then nothing may be left to mend."""
    run = subprocess.run(["/sbin/e2fsck", "-fy", image], capture_output=True, text=True,
                         check=False)
    report.ok(run.returncode in (0, 1), "e2fsck replays the journal", run.stdout + run.stderr)
    e2fsck(report, image)


def file_in_image(image, path):
    """A file out of an ext4 image, without mounting it."""
    return subprocess.run(["/sbin/debugfs", "-R", f"cat {path}", image], check=True,
                          capture_output=True).stdout


def synced_file_in_image(image, path, copy):
    """The same while the file system is mounted, and stands still: what was synced may be in its journal
    only, so that is replayed first, in a copy."""
    subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    subprocess.run(["/sbin/e2fsck", "-fy", copy], check=False, capture_output=True)
    try:
        return file_in_image(copy, path)
    finally:
        os.unlink(copy)


def terminated(*_):
    raise Failure("ended from outside, most likely by meson's time limit")


def main(body, long_rounds=LONG_ROUNDS):
    """Runs body(report, test) and exits as meson expects of a TAP test. In a long check it is run so many
    times; once is enough of a body that is longer then by itself."""
    signal.signal(signal.SIGTERM, terminated)
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    if not os.access(os.environ["PARAVANE"], os.X_OK):
        sys.exit(f"{name}: no program at {os.environ['PARAVANE']}: build it first")
    report = Report()
    test = Test(name)
    if AGAIN in os.environ:
        report.note("second try: the UML kernel of the first one panicked in its idle loop")
    try:
        for _ in range(long_rounds if "PV_LONG" in os.environ else 1):
            body(report, test)
    except Skip as reason:
        print_skip(reason)
    except Failure as failure:
        report.ok(False, f"{failure} (logs: {test.work})")
    except IdlePanic:
        if AGAIN not in os.environ:
            os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, AGAIN: "1"})
        report.ok(False, "the UML kernel panicked in its idle loop twice running")
    except Exception:  # anything at all: the report must come out
        report.ok(False, "the test itself works", traceback.format_exc())
    status = report.finish()
    if status == 0:
        test.remove_images()
    sys.exit(status)
