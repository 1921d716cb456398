# SPDX-License-Identifier: BSD-2-Clause
"""Kernel memory: of rules, beside the peers', and of states."""
import os
import time

import policy
from common import RULES, SIZES, row, say, title
from peers import Pf
from pft import bpf
from pft.lab import Lab

RULE_MOST = 500
STATE_MAPS = ("pf_states", "pf_buckets", "pf_free", "pf_limbo")
STATE_MOST = 340


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


def state_bytes(lab, limit):
    """A state's part of the maps that grow with their limit."""
    return sum(pinned_bytes(os.path.join(lab.pin, "maps", name)) for name in STATE_MAPS) / limit


def _rule_bytes(lab):
    return sum(pinned_bytes(os.path.join(lab.pin, d)) for d in ("gen", "stats", "tables"))


class Account:
    """A memory cgroup: what the kernel has allocated for the processes in it."""

    def __init__(self):
        self.dir = os.path.join(self._root(), f"pfbench{os.getpid()}")
        os.mkdir(self.dir)

    @staticmethod
    def _root():
        with open("/proc/mounts", encoding="utf-8") as f:
            for _, where, kind, options, *_ in map(str.split, f):
                if kind == "cgroup" and "memory" in options.split(","):
                    return where
                if kind == "cgroup2":
                    with open(where + "/cgroup.subtree_control", encoding="ascii") as c:
                        if "memory" in c.read().split():
                            return where
        raise OSError("no cgroup counts memory here")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        os.rmdir(self.dir)

    def run(self, ns, *argv, **kw):
        ns.run("sh", "-c", f'echo $$ >{self.dir}/cgroup.procs && exec "$@"', "-", *argv, **kw)

    def bytes(self):
        try:
            with open(self.dir + "/memory.kmem.usage_in_bytes", encoding="ascii") as f:
                return int(f.read())
        except FileNotFoundError:
            with open(self.dir + "/memory.stat", encoding="ascii") as f:
                return next(int(line.split()[1]) for line in f if line.startswith("kernel "))


def _resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:")) * 1024


def _peer_bytes(account, peer, n):
    with Lab(v6=False, pfd=False) as lab:
        before = account.bytes()
        account.run(lab.fw, *peer.command, input=peer.text(policy.mixed(n)), timeout=300)
        time.sleep(0.5)  # what the command itself had is freed later
        return account.bytes() - before


def _peers(peers):
    try:
        with Account() as account:
            for name, peer in peers.items():
                row(f"{name}, {RULES} rules, mixed",
                    f"{_peer_bytes(account, peer, RULES) / RULES:.0f} B", "by its memory cgroup")
                time.sleep(1)  # until the rules are gone
    except OSError as e:
        say(f"peers left out: {e}")


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
    _peers(peers)
    title("Kernel memory for 100,000 states")
    with Lab(v6=False, rules="set limit states 100000\npass\n") as lab:
        maps = os.path.join(lab.pin, "maps")
        for name in STATE_MAPS:
            row(name, f"{pinned_bytes(os.path.join(maps, name)) / 1e6:.1f} MB")
        row("all maps", f"{pinned_bytes(maps) / 1e6:.1f} MB", "target 40")
        row("those four, a state", f"{state_bytes(lab, 100000):.0f} B", f"target {STATE_MOST}")
