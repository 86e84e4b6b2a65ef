# SPDX-License-Identifier: BSD-2-Clause
"""The boots as a table for people, one for programs, and a picture."""

import csv
import os
import shutil
import statistics
import subprocess

from boot_monitors import MONITORS, OURS

# Of the runs that take turns: (name, what it is, factor, unit).
TIMES = [
    ("first_s", "from the start to the first OUT", 1e3, "ms"),
    ("first_cpu_s", "CPU time of it", 1e3, "ms"),
    ("booted_s", "from the start to a disk that was read", 1e3, "ms"),
    ("end_s", "... to the end of the process", 1e3, "ms"),
    ("cpu_s", "CPU time of all of it, the guest's among it", 1e3, "ms"),
    ("kernel_s", "the kernel's own clock at its first process", 1e3, "ms"),
]
# Of the traced run.
TRACED = [
    ("start_s", "from the start to the guest's first instruction", 1e3, "ms"),
    ("answer_s", "waiting for the monitor's answers", 1e3, "ms"),
    ("monitor_s", "both: the time that the monitor causes", 1e3, "ms"),
    ("answers", "exits to the monitor", 1, ""),
    ("exits_all", "exits to KVM, those among them", 1, ""),
    ("own_kib", "resident memory beside the guest's", 1 / 1024, "MiB"),
]
KINDS = ["ports", "memory", "registers", "cpuid", "halts", "interrupts", "other"]

# Ports by who answers there.
PORTS = [
    ("PCI configuration", 0xcf8, 0xcff),
    ("COM1", 0x3f8, 0x3ff),
    ("COM2 to COM4, to see if they are there", 0x2e8, 0x3ef),
    ("real-time clock", 0x70, 0x71),
    ("timer", 0x40, 0x43),
    ("keyboard controller", 0x60, 0x64),
    ("interrupt controllers", 0x20, 0xa1),
    ("firmware's own", 0x510, 0x51b),
    ("power management", 0x400, 0x6ff),
]


def complete(figures):
    """Adds what follows from the others."""
    if "exits" in figures:
        figures["monitor_s"] = figures["start_s"] + figures["answer_s"]
        figures["exits_all"] = sum(figures["exits"].values())
    return figures


def runs_of(found, name, is_traced):
    return [complete(run) for run in found if run["who"] == name and (run["run"] == 0) == is_traced]


def median(found, name, figure, is_traced):
    values = [run[figure] for run in runs_of(found, name, is_traced)
              if run.get(figure) is not None]
    return statistics.median(values) if values else None


def text_of(value, form):
    return f"{'-':>{int(form.split('.')[0])}}" if value is None else f"{value:{form}}"


def line_of(found, figure, title, factor, unit, is_traced):
    values = {name: median(found, name, figure, is_traced) for name in MONITORS}
    ours = values[OURS]
    cells = [text_of(value and value * factor, "10.1f") for value in values.values()]
    ratios = [text_of(ours / values[name] if ours and values[name] else None, "9.3f")
              for name in MONITORS if name != OURS]
    return f"  {title:<50} {unit:>3} {' '.join(cells)} {' '.join(ratios)}"


def device_of(port):
    return next((name for name, first, last in PORTS if first <= port <= last), "other ports")


def exits_by(found, name):
    """Pairs of what for and how many, of a traced run: KVM's kinds, then ports by device."""
    traced = runs_of(found, name, True)
    if not traced or "exits" not in traced[0]:
        return [], {}
    devices = {}
    for port, hits in traced[0]["ports"].items():
        device = device_of(int(port))
        devices[device] = devices.get(device, 0) + hits
    return [(kind, traced[0]["exits"].get(kind, 0)) for kind in KINDS], devices


def show_exits(found):
    tables = {name: exits_by(found, name) for name in MONITORS}
    if not any(kinds for kinds, _ in tables.values()):
        print("\n  exits by kind are not known: they need root and the kernel's trace points")
        return
    print("\n  exits by kind")
    for kind in KINDS:
        counts = [dict(tables[name][0]).get(kind, 0) for name in MONITORS]
        print(f"    {kind:<52} {' '.join(f'{count:>10}' for count in counts)}")
    print("  accesses to ports, by whom they ask")
    for device in [*(name for name, _, _ in PORTS), "other ports"]:
        counts = [tables[name][1].get(device, 0) for name in MONITORS]
        if any(counts):
            print(f"    {device:<52} {' '.join(f'{count:>10}' for count in counts)}")


def show(found, runs, is_direct):
    where = "this machine's KVM" if is_direct else "KVM in the box, whose clock counts instructions"
    print(f"a boot of Debian's cloud kernel, {where}, medians of {runs}, and one traced run\n")
    names = " ".join(f"{name:>10}" for name in MONITORS)
    ratios = " ".join(f"{'/' + name:>9}" for name in MONITORS if name != OURS)
    print(f"  {'':<50} {'':>3} {names} {ratios}")
    for line in TIMES:
        print(line_of(found, *line, False))
    print()
    for line in TRACED:
        print(line_of(found, *line, True))
    show_exits(found)


def write_csv(found, folder):
    with open(os.path.join(folder, "boot.csv"), "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        figures = [name for name, *_ in TIMES + TRACED]
        writer.writerow(["monitor", "run", *figures])
        for run in map(complete, found):
            writer.writerow([run["who"], run["run"] or "traced",
                             *(run.get(figure, "") for figure in figures)])
    with open(os.path.join(folder, "boot-exits.csv"), "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["monitor", "of", "kind", "count"])
        for name in MONITORS:
            kinds, devices = exits_by(found, name)
            writer.writerows([name, "exits", kind, count] for kind, count in kinds)
            writer.writerows([name, "ports", kind, count] for kind, count in devices.items())


SCRIPT = """\
set terminal svg size 760,420 font "sans,12" background "white"
set output "{output}"
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.95 noborder
set boxwidth 0.92
set logscale y
set yrange [1:*]
set grid ytics linecolor "#dddddd"
set xtics scale 0 nomirror
set ytics nomirror
set border 3 linecolor "#666666"
set key above
set title "A boot: less is better"
set ylabel "milliseconds"
plot "{data}" using 2:xtic(1) title "paravane" linecolor "#1b6ca8", \
 "{data}" using 3 title "QEMU microvm" linecolor "#d98e04", \
 "{data}" using 4 title "QEMU q35" linecolor "#9aa5b1", \
 "{data}" using 5 title "QEMU q35 as it comes" linecolor "#5f6b78"
"""

BARS = [("first_s", "first OUT", False), ("start_s", "start, with a kernel", True),
        ("answer_s", "answers to the guest", True), ("booted_s", "until the disk is read", False)]


def draw(found, folder):
    """Without gnuplot nothing is drawn."""
    if not shutil.which("gnuplot"):
        return
    data, output = (os.path.join(folder, name) for name in ("boot.dat", "boot.svg"))
    with open(data, "w", encoding="utf-8") as file:
        for figure, title, is_traced in BARS:
            values = [median(found, name, figure, is_traced) for name in MONITORS]
            cells = ["-" if value is None else f"{value * 1e3:.4g}" for value in values]
            file.write("\t".join([f'"{title}"', *cells]) + "\n")
    subprocess.run(["gnuplot"], input=SCRIPT.format(output=output, data=data), text=True,
                   check=True, stderr=subprocess.DEVNULL)
