# SPDX-License-Identifier: BSD-2-Clause
"""A contest of machines in which the image of our drivers measures a device: its rows, its turns, on this
machine or in the box, the file of all figures and the tables of their medians."""

import csv
import os
import sys

import box_turn
import image_machines
import program
from image_machines import IMAGE, LIMIT_S, PARAVANE, median

# Who takes part: ours, which is compared with the others, first.
MONITORS = ("paravane", "microvm", "q35")
RESULTS = os.path.abspath(os.environ.get("BENCH_RESULTS", os.path.join(box_turn.ROOT, "build/bench")))
NAME = program.NAME


def choose(words, names):
    """The rows that these words choose of those that have names; none: all."""
    for word in words:
        if word not in names:
            sys.exit(f"{NAME}: no row of the name '{word}'; there are: {', '.join(names)}")
    return words or list(names)


def turn(number, rows, direct, here, *, before=(), limit_s=2 * LIMIT_S, **options):
    """The figures of one turn of all in these rows: this program with --here and the words `here`, on this
    machine behind the command `before`, or in a box that has `options`."""
    command = ["env", f"PARAVANE={PARAVANE}", "python3", os.path.abspath(sys.argv[0]), "--here", *here]
    if direct:
        return image_machines.turn_direct([*before, *command])
    return box_turn.run(f"{NAME}: turn {number}", command, limit_s * len(rows) * len(MONITORS), **options)


def show_table(found, keys, rows, title, figure, form, *, scale=1, width=26, places=2, has_ratio=True):
    """A line for each row in which it was measured; ours in parts of the others'. `keys` name what the words of
    a row are."""
    print(f"\n{title:{width}}" + "".join(f"{name:>11}" for name in MONITORS)
          + (f"{'/microvm':>10}{'/q35':>{places + 5}}" if has_ratio else ""))
    for row in rows:
        values = [median(found, figure, who=who, **dict(zip(keys, row))) * scale for who in MONITORS]
        if values[0] == values[0]:  # was measured
            ratios = (f"{values[0] / values[1]:10.{places}f}{values[0] / values[2]:{places + 5}.{places}f}"
                      if has_ratio else "")
            print(f"{', '.join(row):{width}}" + "".join(f"{value:11{form}}" for value in values) + ratios)


# pylint: disable=too-many-arguments
def run(columns, *, chosen, take_turn, take_turn_here, show, needed=(IMAGE,)):
    """The whole program. The words of its command line choose rows; each turn's figures, of these columns, are
    `take_turn(number, rows, direct)`; of --here it is `take_turn_here(word...)`."""
    program.begin(takes_words=True)
    if sys.argv[1:2] == ["--here"]:
        take_turn_here(*sys.argv[2:])
        return
    runs, direct = box_turn.number_of_runs(NAME), box_turn.is_direct(NAME)
    rows = chosen(sys.argv[1:])
    for path in needed:
        if not os.access(path, os.R_OK):
            sys.exit(f"{NAME}: {path} is not there; build it first (make)")
    os.makedirs(RESULTS, exist_ok=True)
    found = [figures for number in range(1, runs + 1) for figures in take_turn(number, rows, direct)]
    with open(os.path.join(RESULTS, f"{os.path.basename(NAME)}.csv"), "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(found)
    show(found, rows, f"{'this machine' if direct else 'the box'}'s KVM, medians of {runs}")
