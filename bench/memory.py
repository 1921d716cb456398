# SPDX-License-Identifier: BSD-2-Clause
"""Kernel memory: of rules, beside the peers', and of states."""
import os
import statistics
import time

import policy
from common import RULES, SIZES, SLOW_ROUNDS, row, title
from peers import Pf
from pft import bpf
from pft.lab import Lab

RULE_MOST = 500


def pinned_bytes(path):
    """What the kernel keeps for a pinned map or program, or for all below a directory."""
    if os.path.isdir(path):
        return sum(pinned_bytes(os.path.join(path, name)) for name in os.listdir(path))
    fd = bpf.obj_get(path)
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("memlock:"))
    finally:
        os.close(fd)


def _rule_bytes(lab):
    return sum(pinned_bytes(os.path.join(lab.pin, d)) for d in ("gen", "stats", "tables"))


def _kernel_bytes():
    """All that the kernel has allocated; what other processes do is in it."""
    with open("/proc/meminfo", encoding="ascii") as f:
        got = {line.split(":")[0]: int(line.split()[1]) for line in f}
    return 1024 * (got["Slab"] + got["VmallocUsed"] + got["Percpu"])


def _settled():
    """The same, once what was freed is gone: the kernel frees later."""
    last = _kernel_bytes()
    for _ in range(20):
        time.sleep(0.2)
        now = _kernel_bytes()
        if abs(now - last) < 100000:
            break
        last = now
    return now


def _resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:")) * 1024


def _peer_bytes(peer, n):
    with Lab(v6=False, pfd=False) as lab:
        peer.load(lab, peer.text(policy.mixed(1)))
        before = _settled()
        peer.load(lab, peer.text(policy.mixed(n)))
        return _settled() - before


def memory_section(peers):
    """kernel memory of rules and of states"""
    title("Kernel memory a rule")
    for n in SIZES:
        if n < 1000:
            continue
        for kind, make in policy.KINDS.items():
            with Lab(v6=False, rules="pass\n") as lab:
                before = _rule_bytes(lab)
                Pf().load(lab, policy.pf(make(n)))
                row(f"pf, {n} rules, {kind}", f"{(_rule_bytes(lab) - before) / n:.0f} B",
                    f"target {RULE_MOST}; pfd itself {_resident(lab.pf.proc.pid) / 1e6:.0f} MB")
    for name, peer in peers.items():
        some = [_peer_bytes(peer, RULES) for _ in range(SLOW_ROUNDS)]
        row(f"{name}, {RULES} rules, mixed", f"{statistics.median(some) / RULES:.0f} B",
            "by /proc/meminfo")
    title("Kernel memory for 100,000 states")
    with Lab(v6=False, rules="set limit states 100000\npass\n") as lab:
        maps = os.path.join(lab.pin, "maps")
        for name in ("pf_states", "pf_buckets", "pf_free", "pf_limbo"):
            row(name, f"{pinned_bytes(os.path.join(maps, name)) / 1e6:.1f} MB")
        row("all maps", f"{pinned_bytes(maps) / 1e6:.1f} MB", "target 40")
