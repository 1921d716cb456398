# SPDX-License-Identifier: BSD-2-Clause
"""A full state table: how long it takes to list it, and to end a part of it."""
import os
import statistics
import subprocess
import time

from common import SLOW_ROUNDS, STATES, row, title
from frames import frame
from pft import bpf
from pft.lab import PFCTL, Lab
from pft.netns import wait_for
from policy import GHOST_DST, UDP, Flow

PARTS = 10  # networks that the states' sources are in, in turn


def _flow(i):
    k = i // PARTS
    return Flow(UDP, 0x0a000000 + (i % PARTS << 16) + k % 65536, GHOST_DST, 53), 1024 + k // 65536


def _fill(lab, n):
    """Datagrams from n hosts and ports, judged by the program at ext."""
    fd = lab.pf.program("ext", "in")
    with lab.fw:
        index = lab.fw.ifindex("ext")
        for i in range(n):
            flow, sport = _flow(i)
            bpf.test_run(fd, frame(flow, sport), index, out_size=64)
    os.close(fd)
    assert lab.pf.info()["current entries"] >= n, lab.pf.ctl("-si").stdout


def _run(lab, *args):
    """(seconds, largest resident bytes) of pfctl-linux."""
    began = time.monotonic()
    p = lab.fw.popen([PFCTL, "-p", lab.pf.socket, *args], stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(p.pid, 0)
    took = time.monotonic() - began
    p.returncode = os.waitstatus_to_exitcode(status)
    assert p.returncode == 0, f"{args}: {p.returncode}"
    return took, usage.ru_maxrss * 1024


def _kill(lab, part):
    killed = lab.pf.ctl("-k", f"10.{part}.0.0/16").stderr.split()[1]
    assert int(killed) == STATES // PARTS, killed


def listing_section():
    """listing a full state table, and ending a tenth of it"""
    title(f"{STATES} states")
    rules = (f"set limit states {STATES + 1000}\nset timeout {{ udp.first 3600 adaptive.start 0 "
             "adaptive.end 0 }\npass in on ext proto udp\n")
    with Lab(v6=False, rules=rules) as lab:
        began = time.monotonic()
        _fill(lab, STATES)
        row("made by BPF_PROG_TEST_RUN", f"{time.monotonic() - began:.1f} s")
        for name, args in (("-ss", ["-ss"]), ("-ss -v", ["-ss", "-v"]),
                           ("-ss --json", ["-ss", "--json"]), ("-si", ["-si"])):
            got = [_run(lab, *args) for _ in range(SLOW_ROUNDS)]
            row(name, f"{sorted(t for t, _ in got)[len(got) // 2]:.2f} s",
                f"{max(m for _, m in got) / 1e6:.0f} MB resident")
        times = []
        for part in range(SLOW_ROUNDS):
            began = time.monotonic()
            _kill(lab, part)
            times.append(time.monotonic() - began)
        left = STATES - SLOW_ROUNDS * (STATES // PARTS)
        wait_for("states to end", lambda: lab.pf.info()["current entries"] == left, 10)
        row(f"-k of {STATES // PARTS}", f"{statistics.median(times) * 1000:.0f} ms", "target 100")
