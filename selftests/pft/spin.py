#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Spin's searches through bpf/table.pml, the model of the state table.

    selftests/pft/spin.py [--deep] [-j JOBS] [NAME]...

Each is exhaustive for its few CPUs, slots and connections: pan looks at every state,
and says so.  One that does not end in its memory or its steps has failed.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bpf", "table.pml")
# What the searches of the gate may take, and the deep ones.
MEGABYTES, DEEP_MEGABYTES = 1900, 9000
STEPS, DEEP_STEPS = 5_000_000, 25_000_000

# Sets of connections, as bits: 2 is number 1.
A, B, NAT_C, NAT_D, RDR, TAG = 2, 4, 8, 16, 32, 64

SAME = {"FLOWS0": A, "NS": 2, "REMOVERS": 2, "OTHERS": 1, "PL1": 1}
NAT = {"FLOWS0": NAT_C, "FLOWS1": NAT_D, "NS": 2, "REMOVERS": 2}
CLOCK = {"FLOWS0": A, "NS": 2, "CLOCK": 1, "PL0": 1, "PL1": 1, "REMOVERS": 2}
FULL = {"FLOWS0": A, "FLOWS1": B, "NS": 2, "REMOVERS": 2, "PL0": 0, "PL1": 1}
# the first CPU is pfd's, one reads, one makes and ends
PURGE = dict(CLOCK, PURGE=1, CPUS=3, FLOWS0=0, FLOWS1=A, LIMIT=1, READERS=2, REMOVERS=4, PL1=0)
LIMIT = {"FLOWS0": A, "FLOWS1": B, "NS": 2, "LIMIT": 1}

ENDED = {"FLOWS0": A, "NS": 2, "REMOVERS": 2, "PL1": 1, "ENDS": 1}

# What the gate takes; some seconds each.
SEARCHES = {
    "same": SAME,
    "overflow": {"FLOWS0": A, "NS": 2, "PL0": 0},
    "full": FULL,
    "nat": NAT,
    "nat_same": {"FLOWS0": NAT_C, "NS": 2, "REMOVERS": 2},
    "plain_and_nat": {"FLOWS0": A, "FLOWS1": NAT_C, "NS": 2, "REMOVERS": 2},
    "rdr_and_nat": {"FLOWS0": RDR, "FLOWS1": NAT_C, "NS": 2, "REMOVERS": 2},
    "equal_tags": {"FLOWS0": TAG, "NS": 2, "ONETAG": 1, "REMOVERS": 2},
    "clock": CLOCK,
    "purge": dict(PURGE, NO_RELEASE=1),
    "lost": {"FLOWS0": A, "NS": 2, "REMOVERS": 2, "PL1": 1, "LOSE": 1},
    "weak": {"FLOWS0": A, "NS": 2, "REMOVERS": 2, "WEAK": 1},
    "limit": LIMIT,
    "ended": ENDED,
}

# Minutes each, for `make spin-deep'.
DEEP = {
    "two_flows": {"FLOWS0": A, "FLOWS1": A | B, "NS": 3, "LIMIT": 3, "REMOVERS": 2},
    "three_cpus": {"FLOWS0": A, "NS": 2, "LIMIT": 2, "CPUS": 3, "REMOVERS": 4},
    "purge_and_release": PURGE,
    "reuse": dict(SAME, REUSE=1, TRIES=4),
    "same_wide": dict(SAME, PL1=2, REMOVERS=255),
    "lost_wide": dict(SAME, PL1=2, LOSE=1),
    "ended_full": dict(FULL, ENDS=1),
    "ended_nat": dict(NAT, ENDS=1),
    "ended_clock": dict(CLOCK, ENDS=1),
}

# What is broken, and the search that must find it.
MUTATIONS = {
    "M_NO_VERSION": SAME,
    "M_NO_CONSENT": SAME,
    "M_CONSENT_STILL": SAME,
    "M_TAG_FIRST": SAME,
    "M_COUNT_LATE": SAME,
    "M_FULL_COUNTS": FULL,
    "M_REMOVE_COUNTS": SAME,
    "M_MAKERS_BLIND": SAME,
    "M_REMOVE_PLAIN": dict(SAME, REMOVERS=255),
    "M_REST_EARLY": SAME,
    "M_OFFER_EARLY": SAME,
    "M_FIRST_STAYS": NAT,
    "M_NOT_OWN": SEARCHES["equal_tags"],
    "M_VER_PLAIN": SEARCHES["weak"],
    "M_LIMIT_READ": LIMIT,
    "M_END_COUNTS": ENDED,
    "M_END_PLAIN": dict(ENDED, REMOVERS=255),
    "M_GRACE": CLOCK,
    "M_CLOCK_UNSIGNED": CLOCK,
    "M_NO_SECOND_LOOK": CLOCK,
    "M_DRAIN_ALL": SEARCHES["purge"],
}


class Found:
    """What a search has come to."""

    def __init__(self, text):
        self.text = text
        self.error = None
        m = re.search(r"^pan:\d+: (.*?)(?: \(at depth \d+\))?$", text, re.M)
        if m:
            self.error = m[1][:60]
        m = re.search(r"^\s*(\d+) states, stored", text, re.M)
        self.states = int(m[1]) if m else 0
        m = re.search(r"depth reached (\d+), errors: (\d+)", text)
        # each of these would leave something unseen
        self.whole = bool(m) and m[2] == "0" and not re.search(
            r"search not completed|max search depth too small|out of memory|VECTORSZ", text, re.I)
        m = re.search(r"elapsed time ([\d.]+)", text)
        self.seconds = float(m[1]) if m else 0.0
        m = re.search(r"([\d.]+)\s+total actual memory usage", text)
        self.megabytes = float(m[1]) if m else 0.0

    def __str__(self):
        what = "all" if self.whole else "error: " + self.error if self.error else "not completed"
        return (f"{what}: {self.states} states, {self.seconds:.1f} s, "
                f"{self.megabytes:.0f} MB")


def search(deep=False, **defines):
    """Makes the verifier of the model with these macros, and runs it.

    Compiling takes longer than what optimizing saves, but in the deep ones.
    """
    optimize, megabytes, steps = (("-O2", DEEP_MEGABYTES, DEEP_STEPS) if deep else
                                  ("-O0", MEGABYTES, STEPS))
    where = tempfile.mkdtemp(prefix="pft-spin.")
    try:
        def run(*argv):
            return subprocess.run(argv, cwd=where, stdout=subprocess.PIPE, text=True,
                                  stderr=subprocess.STDOUT, check=False)

        r = run("spin", "-a", *(f"-D{k}={v}" for k, v in defines.items()),
                os.path.abspath(MODEL))
        if r.returncode or not os.path.exists(os.path.join(where, "pan.c")):
            raise AssertionError("spin: " + r.stdout)
        r = run("gcc", optimize, "-w", "-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={megabytes}",
                "-o", "pan", "pan.c")
        if r.returncode:
            raise AssertionError("gcc: " + r.stdout)
        return Found(run("./pan", f"-m{steps}").stdout)
    finally:
        shutil.rmtree(where)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--deep", action="store_true", help="those that take minutes, too")
    ap.add_argument("-j", type=int, default=2)
    ap.add_argument("names", nargs="*")
    a = ap.parse_args()
    jobs = {n: (d, False) for n, d in SEARCHES.items()}
    if a.deep:
        jobs.update((n, (d, False)) for n, d in DEEP.items())
    jobs.update((n, (dict(d, **{n: 1}), True)) for n, d in MUTATIONS.items())
    if a.names:
        known = {**jobs, **{n: (d, False) for n, d in DEEP.items()}}
        jobs = {n: known[n] for n in a.names}
    failed = 0

    def one(item):
        name, (defines, broken) = item
        return name, broken, search(name in DEEP, **defines)

    with ThreadPoolExecutor(a.j) as pool:
        for name, broken, found in pool.map(one, jobs.items()):
            good = bool(found.error) if broken else found.whole
            failed += not good
            print(f"{'ok' if good else 'FAIL':4} {name}: {found}", flush=True)
            if not good:
                print(re.sub(r"^Depth=.*\n", "", found.text, flags=re.M))
    print(f"{len(jobs) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
