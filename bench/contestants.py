# SPDX-License-Identifier: BSD-2-Clause
"""Who is measured: how each is started on a file, and what a run of it gives."""

import json
import os
import shutil
import subprocess
import tempfile
import time

from seats import Seats

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PARAVANE = os.path.abspath(os.environ.get("PARAVANE", os.path.join(ROOT, "build/paravane")))
SPIN = os.path.join(os.path.dirname(PARAVANE), "bench/spin")
QSD = "qemu-storage-daemon"
START_S = 20
RUN_MARGIN_S = 60
CHUNK_BYTES = 1 << 20

# Of a listening socket, in the column of flags of /proc/net/unix.
ACCEPTS = 0x10000

SEATS = Seats()


class Failed(Exception):
    """A run that could not be made; its text says why, for the row."""


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def output_of(command, seconds):
    """What a measuring program prints."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              timeout=seconds + RUN_MARGIN_S)
    except subprocess.TimeoutExpired as expired:
        raise Failed(f"{os.path.basename(command[0])} does not end") from expired
    if done.returncode != 0:
        raise Failed(last_line(done.stderr))
    return done.stdout


def settle(workload, place):
    """Nobody pays for another's writes, and what is to be in the page cache is there."""
    if not place.path:
        return
    with open(place.path, "rb", buffering=0) as file:
        os.fsync(file.fileno())
        while workload.storage == "cached" and file.read(CHUNK_BYTES):
            pass


class BackEnd:
    """A vhost-user back-end, driven by `paravane bench blk`."""

    name = ""

    def can_do(self, _workload):
        return True

    def command(self, workload, place, path):
        raise NotImplementedError

    def run(self, workload, place, seconds):
        if place.problem:
            raise Failed(place.problem)
        settle(workload, place)
        with tempfile.TemporaryDirectory(prefix="pv-", dir="/tmp") as folder:
            return self.run_in(folder, workload, place, seconds)

    def run_in(self, folder, workload, place, seconds):
        """`folder` is new each time: a socket outlives the process that listened there a little."""
        path = os.path.join(folder, "socket")
        with open(os.path.join(folder, "log"), "w+", encoding="utf-8", errors="replace") as log:
            with subprocess.Popen(SEATS.of_back_end(self.command(workload, place, path)),
                                  stdout=log, stderr=log) as process:
                try:
                    self.wait_until_it_listens(process, path, log)
                    return self.drive(workload, path, seconds)
                finally:
                    process.kill()
                    process.wait()

    def wait_until_it_listens(self, process, path, log):
        deadline = time.monotonic() + START_S
        while not is_listening(path):
            if process.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                raise Failed(f"{self.name} does not start: {last_line(log.read())}")
            time.sleep(0.01)

    def drive(self, workload, path, seconds):
        command = [PARAVANE, "bench", "blk", "--socket-path", path, "--json",
                   "--block-size", str(workload.block_bytes), "--depth", str(workload.depth),
                   "--mix", "0" if workload.is_write else "100",
                   "--pattern", "random" if workload.is_random else "sequential",
                   "--seconds", str(seconds)]
        if workload.is_blocking:
            command.append("--blocking")
        figures = json.loads(output_of(SEATS.of_client(command), seconds))
        return {
            "iops": figures["iops"],
            "mb_per_s": figures["mb_per_s"],
            "p50_us": figures["latency_us"]["p50"],
            "p99_us": figures["latency_us"]["p99"],
            "cpu_us": figures["backend_cpu_us_per_request"],
            "client_cpu_us": figures["client_cpu_us_per_request"],
            "kicks": figures["kicks_per_request"],
            "interrupts": figures["interrupts_per_request"],
        }


def is_listening(path):
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as table:
        for line in table:
            fields = line.split()
            if fields[-1] == path and int(fields[3], 16) & ACCEPTS:
                return True
    return False


class Paravane(BackEnd):
    """Ours, as it comes."""

    name = "paravane"

    def command(self, workload, place, path):
        if place.path is None:
            store = ["--null", str(place.bytes)]
        else:
            store = ["--blk-file", place.path]
        if workload.storage == "direct":
            store.append("--direct")
        return [PARAVANE, "serve", "blk", "--socket-path", path, "--num-queues", "1", *store]


class StorageDaemon(BackEnd):
    """qemu-storage-daemon as it is fastest: an iothread, which polls, and io_uring."""

    name = "qsd"

    def __init__(self):
        self.aio = None

    def command(self, workload, place, path):
        if not shutil.which(QSD):
            raise Failed(f"no {QSD} (package qemu-system-common)")
        if place.path is None:
            node = f"driver=null-co,node-name=disk,size={place.bytes},read-zeroes=off"
        else:
            is_direct = "on" if workload.storage == "direct" else "off"
            node = (f"driver=file,node-name=disk,filename={place.path},aio={self.find_aio(place)},"
                    f"cache.direct={is_direct}")
        return [QSD, "--object", "iothread,id=thread", "--blockdev", node, "--export",
                "type=vhost-user-blk,id=export,node-name=disk,iothread=thread,writable=on,"
                f"num-queues=1,addr.type=unix,addr.path={path}"]

    def find_aio(self, place):
        """io_uring where this daemon and this kernel have it, otherwise threads."""
        if self.aio is None:
            probe = f"driver=file,node-name=disk,filename={place.path},aio=io_uring"
            self.aio = "io_uring" if stays([QSD, "--blockdev", probe]) else "threads"
        return self.aio


def stays(command):
    """Does it start, and is it still there after a moment?"""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(0.5)
            return False
        except subprocess.TimeoutExpired:
            process.kill()
            return True


class Fio:
    """fio on the file itself: system calls where memory answers, io_uring where a disk does. It has no
    client; the machine is as busy as if there were one."""

    name = "fio"

    def can_do(self, workload):
        return workload.storage != "null" and not workload.is_blocking

    def engine(self, workload):
        return "io_uring" if workload.storage == "direct" else "psync"

    def run(self, workload, place, seconds):
        if not shutil.which("fio"):
            raise Failed("no fio (package fio)")
        if not os.access(SPIN, os.X_OK):
            raise Failed(f"no {SPIN}; build it first (make)")
        if place.problem:
            raise Failed(place.problem)
        settle(workload, place)
        kind = ("rand" if workload.is_random else "") + ("write" if workload.is_write else "read")
        command = SEATS.of_back_end(
            ["fio", "--name=bench", f"--filename={place.path}", f"--rw={kind}",
             f"--bs={workload.block_bytes}", f"--size={place.bytes}",
             f"--ioengine={self.engine(workload)}", f"--iodepth={workload.depth}",
             f"--direct={int(workload.storage == 'direct')}", "--time_based",
             f"--runtime={seconds}", "--invalidate=0", "--norandommap", "--randrepeat=0",
             "--fallocate=none", "--thread", "--output-format=json"])
        with SEATS.as_if_polled(SPIN):
            output = output_of(command, seconds)
        return self.figures(json.loads(output[output.index("{"):]), workload)

    @staticmethod
    def figures(report, workload):
        job = report["jobs"][0]
        side = job["write" if workload.is_write else "read"]
        seconds = side["runtime"] / 1000
        percentiles = side["clat_ns"].get("percentile", {})
        busy = (job["usr_cpu"] + job["sys_cpu"]) / 100
        return {
            "iops": side["iops"],
            "mb_per_s": side["bw_bytes"] / 1e6,
            "p50_us": percentiles.get("50.000000", 0) / 1000,
            "p99_us": percentiles.get("99.000000", 0) / 1000,
            "cpu_us": busy * seconds * 1e6 / max(1, side["total_ios"]),
        }


CONTESTANTS = [Paravane(), StorageDaemon(), Fio()]
