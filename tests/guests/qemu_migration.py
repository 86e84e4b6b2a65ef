# SPDX-License-Identifier: BSD-2-Clause
"""A QEMU guest moves to another QEMU, and from one back-end to another on the same image, while it
reads and writes: QEMU copies its memory by the dirty log that the back-end keeps.

QEMU without hardware virtualization loses what a guest's processor wrote when the host is busy, with
any disk: its thread looks whether a page is to be marked, is preempted, and writes when the page has
been copied.  So both memories are compared before the guest goes on, where the device wrote: pages
of a file that it reads.  A guest that falls over its own memory afterwards is noted, and no failure.
"""

import contextlib
import hashlib
import mmap
import os
import time

import harness
import qemu
from backend import Backend, Qmp
from report import Failure

LIMIT_S = 180
PAGE = 4096
MIGRATION_LIMIT_S = 60
# Slow enough for the guest to use its memory again and again while it is copied.
BANDWIDTH = 64 << 20
DOWNTIME_MS = 1500


class Moved(Exception):
    """The guest is not where its console was read any more."""


def wait_migrated(monitor):
    """Until the guest is at the destination. Returns what QEMU says about it."""
    deadline = time.monotonic() + MIGRATION_LIMIT_S
    while time.monotonic() < deadline:
        state = monitor.command("query-migrate")
        if state.get("status") == "completed":
            return state
        if state.get("status") in ("failed", "cancelled"):
            raise Failure(f"QEMU's migration {state['status']}: {state.get('error-desc')}")
        time.sleep(0.05)
    raise Failure(f"the guest was not moved within {MIGRATION_LIMIT_S} s: {state}")


@contextlib.contextmanager
def memory_of(guest):
    """The memory of a QEMU guest, as its process has it."""
    folder = f"/proc/{guest.process.pid}/fd"
    names = [os.path.join(folder, name) for name in os.listdir(folder)]
    memfd = next(name for name in names if "memory-backend-memfd" in os.readlink(name))
    with open(memfd, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
        yield memory


def compare(report, before, after, kept):
    """What the device read of the file is in both memories, at the same addresses."""
    wanted = {kept[at:at + PAGE] for at in range(0, len(kept) - PAGE, PAGE)}
    found = lost = 0
    with memory_of(before) as source, memory_of(after) as target:
        for at in range(0, len(source), PAGE):
            page = source[at:at + PAGE]
            if page in wanted:
                found += 1
                lost += page != target[at:at + PAGE]
    report.ok(found > len(wanted) // 2, "the device was reading the file", f"{found} pages of it")
    report.equal(lost, 0, f"what the device wrote is at the destination ({found} pages)")


def move(report, backend, target):
    """Sends the guest from one QEMU to the other's socket."""
    monitor = Qmp(os.path.join(backend.directory, "qemu"))
    monitor.command("migrate-set-parameters",
                    **{"max-bandwidth": BANDWIDTH, "downtime-limit": DOWNTIME_MS})
    blockers = monitor.command("query-migrate").get("blocked-reasons")
    if not report.ok(not blockers, "QEMU finds nothing that keeps the guest from moving",
                     str(blockers)):
        raise Failure("the guest cannot be moved")
    monitor.command("migrate", uri="unix:" + target)
    state = wait_migrated(monitor)
    report.ok(state["ram"]["dirty-sync-count"] > 1,
              "memory was copied while the guest ran", str(state))
    report.note(f"{state['total-time']} ms, {state['downtime']} ms of them standing still, "
                f"{state['ram']['dirty-sync-count']} rounds")
    monitor.close()
    raise Moved


def go_on(report, after, destination):
    """The guest at the destination, to its end. None where QEMU lost its kernel on the way."""
    monitor = Qmp(os.path.join(destination.directory, "qemu"))
    monitor.command("cont")
    monitor.close()
    after.answer("moved")
    try:
        return after.run()
    except Failure as failure:
        if "kernel went down" not in str(failure) and "before its script" not in str(failure):
            raise
        report.note("QEMU has lost writes of the guest's processor: the host is too busy for it")
        return None


def judge(report, source, destination, values, done_before):
    """After the guest's good end."""
    report.equal(source.counters()["requests"], done_before,
                 "the source's back-end did nothing after the move")
    report.ok(destination.counters()["requests"] > 100,
              "the destination's back-end served the guest")
    report.note(f"{values['rounds']} rounds of reading, {values['loads']} loads")
    if values.get("lost"):
        report.note(f"QEMU has lost what a program had computed: {values['lost']}")
    harness.e2fsck(report, source.image)


def body(report, test):
    image = test.image(96)
    options = ["--num-queues", "2"]
    guest = {"script": "migrate.sh", "cpus": 2, "device": ",num-queues=2", "limit_s": LIMIT_S,
             "oops": "panic", "init_on_alloc": "0"}  # zeroed pages would be the processor's
    with Backend(report, image, test.log_path("source"), options) as source, \
            Backend(report, image, test.log_path("destination"), options) as destination:
        target = os.path.join(destination.directory, "guest")
        with qemu.boot(report, test, source.path,
                       monitor=os.path.join(source.directory, "qemu"), **guest) as before, \
                qemu.boot(report, test, destination.path, console="console-after",
                          monitor=os.path.join(destination.directory, "qemu"),
                          incoming=target, **guest) as after:
            try:
                before.run(move=lambda: move(report, source, target))
                raise Failure("the guest ended before it was moved")
            except Moved:
                report.equal(source.counters()["errors"], 0, "no request failed at the source")
            kept = harness.synced_file_in_image(image, "/kept", image + ".copy")
            report.equal(hashlib.sha256(kept).hexdigest(), before.values["kept"],
                         "the host reads the file the guest wrote")
            compare(report, before, after, kept)
            done_before = source.counters()["requests"]
            values = go_on(report, after, destination)
        if values:
            judge(report, source, destination, values, done_before)


harness.main(body)
