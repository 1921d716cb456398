# SPDX-License-Identifier: BSD-2-Clause
"""Real packets from src through fw to dst, and what each firewall adds to their way."""
import os
import statistics

import frames
import policy
from common import ROUNDS, SECONDS, SIZES, SLOW_ROUNDS, ratio, say, table, title
from peers import Pf
from pft import bpf
from pft.lab import BUILD, DST, Lab
from replay import FRAMES

FLOOD = os.path.join(BUILD, "bench", "flood")
DROP = 2


class Road:
    """From src to dst, any packet at all: fw forwards them, a program at dst drops them."""

    def __init__(self, lab):
        self.lab = lab
        lab.fw.batch([f"route add default via {DST}"])
        for dev in ("all", "ext", "int"):
            lab.fw.sysctl(f"net/ipv4/conf/{dev}/rp_filter", 0)
        lab.fw.sysctl("net/ipv4/conf/all/send_redirects", 0)
        self.sink = bpf.verdict_program(DROP)
        self.links = [bpf.tcx_attach(lab.dst, "dst", self.sink, bpf.TCX_INGRESS)]

    def close(self):
        for fd in (*self.links, self.sink):
            os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def file(self, name, flows):
        path = os.path.join(self.lab.dir, name)
        with open(path, "wb") as f:
            f.write(b"".join(map(frames.frame, flows)))
        return path

    def arrived(self):
        with self.lab.dst, open("/proc/thread-self/net/dev", encoding="ascii") as f:
            return next(int(line.split(":")[1].split()[1]) for line in f
                        if line.split(":")[0].strip() == "dst")

    def flood(self, file, seconds=SECONDS):
        """(nanoseconds a packet, the part of them that arrived)"""
        before = self.arrived()
        sent, ns = self.lab.src.run(FLOOD, "src", file, str(seconds), "0").stdout.split()
        return float(ns), (self.arrived() - before) / int(sent)

    def check(self, name, passing, blocked):
        """What should arrive does, and nothing else."""
        for file, want in ((passing, True), (blocked, False)):
            _, part = self.flood(file, 0.01)
            if (part < 0.99) if want else part:
                raise AssertionError(f"{name}: {part:.0%} of the packets arrived that it should "
                                     f"{'pass' if want else 'block'}")


class EmptyTc:
    """No firewall, but its hooks: what any filter there costs at least."""
    name = "empty tc"

    def __init__(self):
        self.prog = bpf.verdict_program(-1)
        self.links = []

    def text(self, *_):
        return None

    def load(self, lab, _):
        self.links = [bpf.tcx_attach(lab.fw, dev, self.prog, hook)
                      for dev in ("ext", "int") for hook in (bpf.TCX_INGRESS, bpf.TCX_EGRESS)]

    def start(self, lab):
        pass

    def stop(self, lab):
        for fd in self.links:
            os.close(fd)


class Cell:
    """One figure of a round: a firewall with a policy, and the packets that it gets."""

    def __init__(self, peer, rules, state, flows):
        self.peer, self.n, self.flows = peer, len(rules), flows
        self.text = peer.text(rules, state)
        self.more = []  # ns more than with no filter, one a round


class Group:
    """Cells with the same rules and packets."""

    def __init__(self, what, peers, rules, state=False, flows=(policy.LAST,)):
        self.what, self.n, self.flows = what, len(rules), flows
        self.cells = [Cell(p, rules, state, flows) for p in peers]


def _flood(road, cell):
    flows = road.file("flows", cell.flows)
    cell.peer.load(road.lab, cell.text)
    if not cell.more and cell.text:
        road.check(f"{cell.peer.name}, {cell.n} rules", flows, road.file("none", [policy.NONE]))
    ns, part = road.flood(flows)
    if part < 0.99:
        say(f"{cell.peer.name}, {cell.n} rules: only {part:.0%} of the packets arrived")
    return ns


def _no_filter(road, cell):
    return road.flood(road.file("flows", cell.flows))[0]


def _round(groups, bases):
    """The firewalls in turn, and after each the same packets with no filter."""
    with Lab(v6=False, rules="pass\n") as lab, Road(lab) as road:
        Pf().stop(lab)
        for cell in (c for g in groups for c in g.cells if c.peer.name != "iptables"):
            cell.peer.start(lab)
            ns = _flood(road, cell)
            cell.peer.stop(lab)
            bases.append(_no_filter(road, cell))
            cell.more.append(ns - bases[-1])
    # in namespaces that have not seen it: the hooks of its empty tables stay
    for cell in (c for g in groups for c in g.cells if c.peer.name == "iptables"):
        with Lab(v6=False, pfd=False) as lab, Road(lab) as road:
            bases.append(_no_filter(road, cell))
            cell.more.append(_flood(road, cell) - bases[-1])


def _line(group, names):
    got = {c.peer.name: statistics.median(c.more) for c in group.cells}
    return [group.what] + [f"{got[n]:.0f}" if n in got else None for n in names] + [
        ratio(got["pf"], got[n]) for n in names if n != "pf"]


def path_section(peers):
    """a flood of real packets through fw, beside the peers"""
    title("Real packets from src through fw to dst: ns a packet more than with no filter")
    firewalls = [Pf(), *peers.values()]
    least = Group("", [EmptyTc()], [])
    groups = [Group(f"last of {n}", firewalls, policy.mixed(n)) for n in SIZES]
    many = min(10000, SIZES[-1])
    hosts = policy.hosts(many)
    groups.append(Group(f"any of {many} hosts", firewalls, hosts,
                        flows=policy.packets(hosts, FRAMES, hits=1.0)))
    for n in (100, SIZES[-1]):
        groups.append(Group(f"a state, {n} rules", firewalls, policy.mixed(n), state=True))
    bases = []
    for r in range(ROUNDS):
        some = [g for g in groups if r < SLOW_ROUNDS or g.n < 100000]
        _round([least, *some], bases)
    say(f"no filter: {statistics.median(bases):.0f} ns; with four empty tc programs "
        f"{statistics.median(least.cells[0].more):.0f} more; hosts: all packets pass, all differ")
    names = [f.name for f in firewalls]
    table(["rules (without states)", *names, *(f"pf / {p}" for p in peers)],
          [_line(g, names) for g in groups])
