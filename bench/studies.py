# SPDX-License-Identifier: BSD-2-Clause
"""What no row of the table shows: queues on several loops, memory, many disks in one process."""

import csv
import json
import os
import statistics
import subprocess
import tempfile
import time

from contestants import PARAVANE, Failed, StorageDaemon, is_listening, output_of
from workloads import BLOCK_4K, BLOCK_128K, Workload

START_S = 20
IDLE_S = 2
DISKS = 64


class Figure:
    """One number: `study` and `label` say of what."""

    def __init__(self, study, label, value, unit):
        self.study = study
        self.label = label
        self.value = value
        self.unit = unit


class Process:
    """A back-end that listens on `paths`, for as long as the block lasts."""

    def __init__(self, command, paths):
        self.command = command
        self.paths = paths
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_S
        while not all(map(is_listening, self.paths)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise Failed(f"{os.path.basename(self.command[0])} does not start")
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def own_kib(self):
        """Its resident memory, without what it shares: a guest's memory is that."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            rows = dict(line.split(":", 1) for line in status)
        return sum(int(rows[name].split()[0]) for name in ("RssAnon", "RssFile"))

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bench(path, seconds, *options):
    return json.loads(output_of([PARAVANE, "bench", "blk", "--socket-path", path, "--json",
                                 "--seconds", str(seconds), *map(str, options)], seconds))


def median_of(runs, run):
    return statistics.median(run() for _ in range(runs))


# ---- two queues on two loops ----

SCALING = ("--queues", 2, "--blocking", "--block-size", BLOCK_128K, "--depth", 8, "--pattern",
           "sequential")


def scaling(places, runs, seconds):
    """The client sleeps, and the copying of 128 KiB leaves the processors to the back-end."""
    place = places.place["tmpfs"]
    if place.problem:
        raise Failed(place.problem)
    for loops in (1, 2):
        with tempfile.TemporaryDirectory(prefix="pv-", dir="/tmp") as folder:
            path = os.path.join(folder, "socket")
            command = [PARAVANE, "serve", "blk", "--socket-path", path, "--blk-file", place.path,
                       "--num-queues", "2", "--loops", str(loops)]
            with Process(command, [path]):
                rate = median_of(runs, lambda: bench(path, seconds, *SCALING)["mb_per_s"])
        yield Figure("two queues, 128 KiB from tmpfs, a client that sleeps",
                     f"{loops} loop{'s' if loops > 1 else ''}", rate / 1000, "GB/s")


# ---- memory ----

def memory(places, _runs, seconds):
    """After a load, of one disk with a front-end that has one queue."""
    place = places.place["tmpfs"]
    if place.problem:
        raise Failed(place.problem)
    workload = Workload("tmpfs", BLOCK_4K, 32)
    contestants = (("paravane, 16 queues offered",
                    lambda path: [PARAVANE, "serve", "blk", "--socket-path", path, "--blk-file",
                                  place.path]),
                   ("qemu-storage-daemon",
                    lambda path: StorageDaemon().command(workload, place, path)))
    for name, command in contestants:
        # A new one each time: a socket outlives the process that listened there a little.
        with tempfile.TemporaryDirectory(prefix="pv-", dir="/tmp") as folder:
            path = os.path.join(folder, "socket")
            with Process(command(path), [path]) as process:
                bench(path, seconds)
                kib = process.own_kib()
            yield Figure("resident memory beside the guest's", name, kib / 1024, "MiB")


# ---- many disks ----

def many_disks(_places, runs, seconds):
    with tempfile.TemporaryDirectory(prefix="pv-", dir="/tmp") as folder:
        paths = [os.path.join(folder, f"s{i}") for i in range(DISKS)]
        config = os.path.join(folder, "config")
        disks = [{"name": f"disk{i}", "socket-path": path, "null": "1G"}
                 for i, path in enumerate(paths)]
        for count in (1, DISKS):
            with open(config, "w", encoding="utf-8") as file:
                json.dump({"disks": disks[:count]}, file)
            what = f"{count} disk{'s' if count > 1 else ''} in one process"
            with Process([PARAVANE, "serve", "blk", "--config", config], paths[:count]) as process:
                before = process.cpu_seconds()
                time.sleep(IDLE_S)
                idle = 100 * (process.cpu_seconds() - before) / IDLE_S
                rate = median_of(runs, lambda: bench(paths[0], seconds, "--depth", 32)["iops"])
                kib = process.own_kib()
            yield Figure(what, "CPU when idle", idle, "%")
            yield Figure(what, "one of them, 4 KiB reads, depth 32, no storage", rate / 1000, "k/s")
            yield Figure(what, "resident memory", kib / 1024, "MiB")


STUDIES = [("scaling", scaling), ("memory", memory), ("disks", many_disks)]


def run_all(chosen, places, runs, seconds, progress):
    """The figures of the studies that were chosen, and what could not be done."""
    figures, missing = [], []
    for name, study in chosen:
        progress.show(name)
        try:
            figures += study(places, runs, seconds)
        except Failed as reason:
            missing.append(f"{name}: {reason}")
        progress.step()
    return figures, missing


def show(figures, missing):
    study = None
    for figure in figures:
        if figure.study != study:
            study = figure.study
            print(f"\n{study}")
        print(f"  {figure.label:<52} {figure.value:10.2f} {figure.unit}")
    for reason in missing:
        print(f"\nnot measured: {reason}")


def write_csv(figures, path):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["study", "label", "value", "unit"])
        for figure in figures:
            writer.writerow([figure.study, figure.label, f"{figure.value:.4g}", figure.unit])
