# SPDX-License-Identifier: BSD-2-Clause
"""The runs as a table for people, and as one for programs."""

import csv
import statistics

OURS, QSD, FIO = "paravane", "qsd", "fio"

# Kernel threads and the like are always there.
OTHERS_PERCENT_MAX = 5

FIGURES = ["iops", "mb_per_s", "p50_us", "p99_us", "cpu_us", "client_cpu_us", "kicks",
           "interrupts"]

STORAGE_TEXT = {
    "tmpfs": "a file on tmpfs",
    "cached": "a file in the page cache of {file system}",
    "direct": "a file on {file system}, with O_DIRECT",
    "null": "no storage at all (null, null-co)",
}

HEAD = f"""\
{'':26} {'kIOPS':^23}  {'ours':^12}  {'CPU us/request':^20}  {'p50 us':^13}  {'p99 us':^13}  \
{'kicks/request':^13}  {'irqs/request':^13}
{'':26} {'ours':>7} {'qsd':>7} {'fio':>7}  {'/qsd':>6}{'/fio':>6}  \
{'ours':>6} {'qsd':>6} {'fio':>6}  {'ours':>6} {'qsd':>6}  {'ours':>6} {'qsd':>6}  \
{'ours':>6} {'qsd':>6}  {'ours':>6} {'qsd':>6}"""


def median(row, name, figure):
    """None where there is no such figure."""
    values = [run[figure] for run in row.runs.get(name, []) if run.get(figure) is not None]
    return statistics.median(values) if values else None


def ratio(row, name):
    ours, theirs = median(row, OURS, "iops"), median(row, name, "iops")
    return ours / theirs if ours and theirs else None


def text_of(value, form):
    width = int(form.split(".")[0])
    return f"{'-':>{width}}" if value is None else f"{value:{form}}"


def kiops(row, name):
    value = median(row, name, "iops")
    return None if value is None else value / 1000


def line_of(row):
    workload = row.workload
    cells = [f"  {workload.kind + ' ' + workload.client:<24}"]
    cells += [text_of(kiops(row, name), "7.1f") for name in (OURS, QSD, FIO)]
    cells.append(" " + text_of(ratio(row, QSD), "6.2f") + text_of(ratio(row, FIO), "6.2f") + " ")
    cells += [text_of(median(row, name, "cpu_us"), "6.2f") for name in (OURS, QSD, FIO)]
    cells += [("" if name != OURS else " ") + text_of(median(row, name, figure), form)
              for figure, form in (("p50_us", "6.1f"), ("p99_us", "6.1f"), ("kicks", "6.3f"),
                                   ("interrupts", "6.3f"))
              for name in (OURS, QSD)]
    return " ".join(cells)


def show_facts(facts):
    print(f"paravane beside qemu-storage-daemon (qsd) and fio, medians of {facts['runs']}")
    print(f"  {facts['kernel']}, {facts['cpus']} CPUs ({facts['cpu']}), {facts['memory']}, "
          f"{facts['date']}")
    print(f"  {facts['paravane']}; {facts['qsd']}; {facts['fio']}")
    print("  qsd has an iothread and io_uring; fio uses psync, with O_DIRECT io_uring; the client "
          "of both\n  back-ends is paravane bench blk, which polls or blocks; CPU is the "
          "back-end's, or fio's own")
    print(f"  processors: {facts['seats']}, beside which a program polls as the client does\n")


def show_verdict(rows):
    compared = [row for row in rows if ratio(row, QSD)]
    behind = [row.workload.title for row in compared if ratio(row, QSD) < 1]
    if not compared:
        return
    print(f"\nours is ahead of qsd in {len(compared) - len(behind)} of {len(compared)} rows"
          + (f"; not in: {', '.join(behind)}" if behind else ""))


def show(rows, facts):
    show_facts(facts)
    if rows:
        print(HEAD)
    storage = None
    for row in rows:
        if row.workload.storage != storage:
            storage = row.workload.storage
            print(STORAGE_TEXT[storage].format_map(facts))
        print(line_of(row))
        for reason in dict.fromkeys(row.missing.values()):
            print(f"      not measured: {reason}")
    show_verdict(rows)
    if int(facts["other programs"].split()[0]) > OTHERS_PERCENT_MAX:
        print(f"other programs took {facts['other programs']} meanwhile: take these figures with "
              "care")


def write_csv(rows, path):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["storage", "workload", "client", "contestant", "run", *FIGURES])
        for row in rows:
            for name, runs in row.runs.items():
                for number, run in enumerate(runs, 1):
                    writer.writerow([row.workload.storage, row.workload.kind, row.workload.client,
                                     name, number, *(run.get(figure, "") for figure in FIGURES)])
