# SPDX-License-Identifier: BSD-2-Clause
"""What all sections share: settings, rounds, and how figures are printed.

Each figure is a median over rounds in which the subjects take turns, so that they
share the machine's noise.
"""
import os
import statistics
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "selftests"))
os.environ.setdefault("SCAPY_USE_LIBPCAP", "0")
# the peers' tools
os.environ["PATH"] += ":/usr/sbin:/sbin"

QUICK = os.environ.get("BENCH_QUICK", "0") not in ("", "0")


def setting(name, usual, quick):
    return type(usual)(os.environ.get(f"BENCH_{name}") or (quick if QUICK else usual))


ROUNDS = setting("ROUNDS", 7, 3)
SLOW_ROUNDS = min(ROUNDS, 3)  # of what takes seconds
REPEAT = setting("REPEAT", 500000, 100000)  # of one BPF_PROG_TEST_RUN
SECONDS = setting("SECONDS", 0.2, 0.1)  # of one flood
RULES = setting("RULES", 100000, 10000)  # the largest ruleset
TABLE = setting("TABLE", 1000000, 100000)  # the largest table
STATES = setting("STATES", 1000000, 100000)  # in the table when it is listed
SIZES = [n for n in (1, 10, 100, 1000, 10000, 100000) if n <= RULES]


def title(text):
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def say(text):
    print("  " + text, flush=True)


def row(name, value, note=""):
    print(f"  {name:44} {value:>12}  {note}".rstrip(), flush=True)


def table(head, rows):
    """The first column to the left, all others to the right; None is nothing."""
    text = [["" if c is None else str(c) for c in r] for r in [head, *rows]]
    width = [max(len(r[i]) for r in text) for i in range(len(head))]
    for r in text:
        print(("  " + r[0].ljust(width[0]) + "".join(
            "  " + c.rjust(w) for c, w in zip(r[1:], width[1:]))).rstrip(), flush=True)


def rounds(subjects, n=ROUNDS):
    """{name: function that gives a number} -> {name: median}, taking turns."""
    got = {name: [] for name in subjects}
    for _ in range(n):
        for name, f in subjects.items():
            got[name].append(f())
    return {name: statistics.median(v) for name, v in got.items()}


def ms(f, *args):
    begin = time.monotonic()
    f(*args)
    return (time.monotonic() - begin) * 1000


def median_ms(f, n):
    """Of f(0), f(1), ..."""
    return statistics.median(ms(f, i) for i in range(n))


def number(x):
    """Three digits that count: 0.0123, 1.23, 123, 12345."""
    return f"{x:.3g}" if abs(x) < 100 else f"{x:.0f}"


def ratio(a, b):
    return number(a / b) if b > 0 else "-"
