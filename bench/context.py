# SPDX-License-Identifier: BSD-2-Clause
"""What the figures were measured on."""

import json
import os
import platform
import shutil
import subprocess
import time

from contestants import PARAVANE, QSD
from workloads import filesystem_of


def first_line(*command):
    if not shutil.which(command[0]):
        return "not installed"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    return lines[0] if lines else "unknown"


def field_of(path, name):
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() == name:
                    return value.strip()
    except OSError:
        pass
    return "unknown"


def memory_text():
    kilobytes = field_of("/proc/meminfo", "MemTotal").split()[0]
    return f"{int(kilobytes) / (1 << 20):.0f} GiB" if kilobytes.isdigit() else "unknown"


def build_type(results):
    """Of the build folder that the program is in, as meson knows it."""
    folder = os.path.dirname(os.path.abspath(PARAVANE))
    done = subprocess.run(["meson", "introspect", folder, "--buildoptions"], capture_output=True,
                          text=True, check=False) if shutil.which("meson") else None
    if not done or done.returncode != 0:
        return "unknown"
    options = {option["name"]: option["value"] for option in json.loads(done.stdout)}
    return options.get("buildtype", "unknown")


def collect(results, runs, seconds):
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": field_of("/proc/cpuinfo", "model name"),
        "cpus": str(len(os.sched_getaffinity(0))),
        "memory": memory_text(),
        "file system": filesystem_of(results),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "paravane": f"{first_line(PARAVANE, '--version')} ({build_type(results)})",
        "qsd": first_line(QSD, "--version"),
        "fio": first_line("fio", "--version"),
        "runs": f"{runs} of {seconds} s",
    }


def write(facts, path):
    with open(path, "w", encoding="utf-8") as file:
        for name, value in facts.items():
            file.write(f"{name}: {value}\n")
