# SPDX-License-Identifier: GPL-2.0-or-later
"""bench_common.py - what all groups of the bench share: runs, figures, tables.
"""

import os
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMM = f"bench-{os.getpid()}"  # another load is not taken for this one


class Trouble(Exception):
    """What stops a run; its text is for the user."""


class Bench:
    """What a run may use, and when the time is up."""

    def __init__(self, options, directory):
        self.options = options
        self.directory = directory
        self.seconds = options.seconds
        self.short = min(2, options.seconds)
        self.end = time.monotonic() + options.limit
        self.troubles = []
        self.load = None  # the load generator, of the group that uses it

    def attempt(self, what, run, *arguments):
        """A cell; None when it failed, or the time is up: the rest goes on."""
        if time.monotonic() > self.end:
            return self.trouble(f"no time left for: {what}")
        print(f"bench: {what}", file=sys.stderr, flush=True)
        try:
            return run(self, *arguments)
        except Trouble as trouble:
            return self.trouble(f"{what}: {trouble}".strip())

    def trouble(self, text):
        print(f"bench: {text}", file=sys.stderr, flush=True)
        self.troubles.append(text)

    def repeat(self, cells):
        """All cells once, then all again: what drifts, drifts for all."""
        results = {name: [] for name, *_ in cells}
        for turn in range(1, self.options.runs + 1):
            for name, run, *arguments in cells:
                cell = self.attempt(f"run {turn}: {name.strip()}", run,
                                    *arguments)
                if cell is not None:
                    results[name].append(cell)
        return results


# ---- figures ----

def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def medians(cells):
    """The median of each figure, and its least and greatest value."""
    figures = {}
    for key in (key for key in cells[0] if is_number(cells[0][key])):
        values = [cell[key] for cell in cells]
        figures[key] = {"median": statistics.median(values),
                        "min": min(values), "max": max(values)}
    return figures


def summed_up(results):
    return {name: {"figures": medians(cells), "runs": cells}
            for name, cells in results.items() if cells}


def broken_accounts(rows):
    """The names of the rows of which a run's account does not close."""
    return [name.strip() for name, row in rows.items()
            if not all(cell.get("account_closes", True)
                       for cell in row["runs"])]


# ---- tables ----

def render(head, lines):
    """A table with the first column to the left, all others to the right."""
    table = [head, *lines]
    widths = [max(len(line[i]) for line in table) for i in range(len(head))]
    return "\n".join("  ".join(
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(line, widths))).rstrip()
        for line in table)


def show(figures, key, form="{:,.0f}"):
    """The median of a figure; a dash where the row has no such figure."""
    return form.format(figures[key]["median"]) if key in figures else "-"


def spread(figures, key, form="{:,.0f}"):
    if key not in figures:
        return "-"
    return "-".join(form.format(figures[key][end]) for end in ("min", "max"))


def broken_line(rows):
    """The warning, in a list; an empty one when all accounts close."""
    broken = broken_accounts(rows)
    return ["THE ACCOUNT DOES NOT CLOSE (seen != delivered + lost): " +
            ", ".join(broken)] if broken else []
