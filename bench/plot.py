# SPDX-License-Identifier: BSD-2-Clause
"""The rows as pictures, drawn by gnuplot: requests a second, and latencies."""

import os
import shutil
import subprocess

from table import FIO, OURS, QSD, median

TITLE = {OURS: "paravane", QSD: "qemu-storage-daemon", FIO: "fio on the file itself"}
COLOUR = {OURS: "#1b6ca8", QSD: "#d98e04", FIO: "#9aa5b1"}
LIGHT = {OURS: "#9cc7e6", QSD: "#f3d08b"}

SETTINGS = """\
set terminal svg size {width},560 font "sans,12" background "white"
set output "{output}"
set datafile missing "-"
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.95 noborder
set boxwidth 0.92
set logscale y
set yrange [{least}:*]
set grid ytics linecolor "#dddddd"
set xtics rotate by -40 scale 0 nomirror
set bmargin 11
set rmargin 14
set ytics nomirror
set border 3 linecolor "#666666"
set key above
set title "{title}"
set ylabel "{axis}"
"""


class Chart:
    """Clusters of bars: a cluster for each row, a bar for each of `series`, which are pairs of a
    title with a colour and a function from a row to its value or None."""

    def __init__(self, title, axis, least, series):
        self.title = title
        self.axis = axis
        self.least = least
        self.series = series

    def draw(self, rows, path):
        data = path.removesuffix(".svg") + ".dat"
        series = [entry for entry in self.series if any(entry[2](row) for row in rows)]
        with open(data, "w", encoding="utf-8") as file:
            for row in rows:
                values = [value_of(row) for _, _, value_of in series]
                cells = ["-" if value is None else f"{value:.4g}" for value in values]
                file.write("\t".join([f'"{row.workload.title}"', *cells]) + "\n")
        bars = ", ".join(
            f'"{data}" using {column}:xtic(1) title "{title}" linecolor "{colour}"'
            for column, (title, colour, _) in enumerate(series, 2))
        script = SETTINGS.format(width=200 + 48 * len(rows), output=path, least=self.least,
                                 title=self.title, axis=self.axis) + f"plot {bars}\n"
        subprocess.run(["gnuplot"], input=script, text=True, check=True,
                       stderr=subprocess.DEVNULL)


def figure(name, what, scale=1):
    def value_of(row):
        value = median(row, name, what)
        return None if value is None else value * scale
    return value_of


IOPS = Chart("Block requests: more is better", "thousand requests a second", 1, [
    (TITLE[name], COLOUR[name], figure(name, "iops", 0.001)) for name in (OURS, QSD, FIO)])

LATENCY = Chart("Latency of block requests: less is better", "microseconds", 0.1, [
    entry for name in (OURS, QSD) for entry in (
        (f"{TITLE[name]}, median", COLOUR[name], figure(name, "p50_us")),
        (f"{TITLE[name]}, 99 of 100", LIGHT[name], figure(name, "p99_us")))])


def draw_all(rows, folder):
    """Returns the paths of what was drawn; without rows or gnuplot, nothing is."""
    if not rows or not shutil.which("gnuplot"):
        return []
    paths = []
    for name, chart in (("blk.svg", IOPS), ("blk-latency.svg", LATENCY)):
        path = os.path.join(folder, name)
        chart.draw(rows, path)
        paths.append(path)
    return paths
