# SPDX-License-Identifier: BSD-2-Clause
"""Where the time of a boot goes, as KVM's trace points tell: exits by kind and by port, and how long the
guest waited for the monitor's answers. Needs root; the histograms are made in the kernel."""

import os
import re
import subprocess

TRACEFS = "/sys/kernel/tracing"
FIRST = os.path.join(TRACEFS, "instances", "first_entry")

# In this order: a histogram that others refer to comes first.
HISTOGRAMS = [
    ("kvm/kvm_userspace_exit", "hist:keys=common_pid:left=common_timestamp"),
    ("kvm/kvm_entry", "hist:keys=common_pid:answer=common_timestamp-$left:"
     "onmatch(kvm.kvm_userspace_exit).trace(pv_answer,$answer)"),
    ("kvm/kvm_exit", "hist:keys=exit_reason"),
    ("kvm/kvm_userspace_exit", "hist:keys=reason"),
    ("kvm/kvm_pio", "hist:keys=port"),
    ("synthetic/pv_answer", "hist:keys=common_pid:vals=ns"),
]
SYNTHETIC = "pv_answer u64 ns"

ENTRY = re.compile(r"\{ ([^:]*): *([^}]*)\} hitcount: *(\d+)(?: +ns: *(\d+))?")

# Exits by what they are for, as AMD's and Intel's processors number them.
KINDS = {
    "svm": {0x60: "interrupts", 0x64: "interrupts", 0x7b: "ports", 0x7c: "registers",
            0x72: "cpuid", 0x78: "halts", 0x400: "memory"},
    "vmx": {1: "interrupts", 7: "interrupts", 30: "ports", 31: "registers", 32: "registers",
            10: "cpuid", 12: "halts", 48: "memory", 49: "memory", 52: "interrupts"},
}
USER_IO, USER_MMIO = 2, 6


def write(path, text):
    """Adds to what is there: opened as a file is, a list would begin anew, or refuse to be sought in."""
    file = os.open(os.path.join(TRACEFS, path), os.O_WRONLY)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


def can_trace():
    if os.geteuid() == 0 and not os.path.exists(os.path.join(TRACEFS, "events")):
        subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACEFS], check=False,
                       stderr=subprocess.DEVNULL)
    # Not every kernel makes histograms.
    return os.access(os.path.join(TRACEFS, "events/kvm/kvm_exit/hist"), os.R_OK)


def virtualization():
    with open("/proc/cpuinfo", encoding="ascii") as file:
        return "svm" if " svm " in file.read() else "vmx"


class Trace:
    """Histograms for as long as the block lasts; `result` is there after it."""

    def __init__(self):
        self.result = {}
        self.made = []

    def __enter__(self):
        write("synthetic_events", SYNTHETIC)
        try:
            for event, trigger in HISTOGRAMS:
                write(f"events/{event}/trigger", trigger)
                self.made.append((event, trigger))
            os.makedirs(FIRST, exist_ok=True)
            write(FIRST + "/trace_clock", "mono")
            write(FIRST + "/tracing_on", "1")
            write(FIRST + "/events/kvm/kvm_entry/trigger", "traceoff:1")
            write(FIRST + "/events/kvm/kvm_entry/enable", "1")
        except OSError:
            self.remove()
            raise
        return self

    def __exit__(self, *_):
        self.collect()
        self.remove()

    def remove(self):
        for event, trigger in reversed(self.made):
            write(f"events/{event}/trigger", "!" + trigger)
        if os.path.exists(FIRST):
            os.rmdir(FIRST)
        write("synthetic_events", "!" + SYNTHETIC)

    @staticmethod
    def entries(event, key):
        """(key, hits, sum of ns) of one histogram."""
        with open(f"{TRACEFS}/events/{event}/hist", encoding="ascii") as file:
            found = ENTRY.findall(file.read())
        return [(value.strip(), int(hits), int(ns or 0)) for name, value, hits, ns in found
                if name == key]

    @staticmethod
    def first_entry():
        """When the guest was first entered, in seconds of the monotonic clock."""
        with open(FIRST + "/trace", encoding="ascii") as file:
            found = re.search(r" (\d+\.\d+): kvm_entry", file.read())
        return float(found.group(1)) if found else None

    def collect(self):
        kinds = KINDS[virtualization()]
        exits, user = {}, {"ports": 0, "memory": 0, "other": 0}
        for reason, hits, _ in self.entries("kvm/kvm_exit", "exit_reason"):
            kind = kinds.get(int(reason), "other")
            exits[kind] = exits.get(kind, 0) + hits
        for reason, hits, _ in self.entries("kvm/kvm_userspace_exit", "reason"):
            kind = {USER_IO: "ports", USER_MMIO: "memory"}.get(int(reason), "other")
            user[kind] += hits
        answers = self.entries("synthetic/pv_answer", "common_pid")
        self.result = {
            "exits": exits,
            "user_exits": user,
            "ports": {int(port): hits for port, hits, _ in self.entries("kvm/kvm_pio", "port")},
            "answers": sum(hits for _, hits, _ in answers),
            "answer_s": sum(ns for _, _, ns in answers) / 1e9,
            "first_entry": self.first_entry(),
        }
