# SPDX-License-Identifier: BSD-2-Clause
"""Real packets from src through fw to dst, and what each firewall adds to their way."""
import os
import statistics

import frames
import policy
from common import ROUNDS, SECONDS, SIZES, SLOW_ROUNDS, ratio, say, table, title
from peers import Pf
from pft import bpf
from pft.lab import BUILD, DST, MAC, Lab
from pft.netns import wait_for
from replay import FRAMES

FLOOD = os.path.join(BUILD, "bench", "flood")
DROP = 2


def _napi_threads():
    """{name: pid} of the kernel's threads that receive for a device."""
    out = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="ascii") as f:
                out[f.read().strip()] = int(pid)
        except (OSError, UnicodeDecodeError):
            pass  # it has ended
    return {name: pid for name, pid in out.items() if name.startswith("napi/ext-")}


class Road:
    """From src to dst, any packet at all: fw forwards them, a program at dst drops them.

    What fw receives at ext is the work of a kernel thread on the last CPU: reception,
    filter, routing, transmission, up to the program at dst.  The thread's time is what
    is measured, so that it does not matter what else these CPUs do.
    """

    def __init__(self, lab):
        self.lab = lab
        lab.fw.batch([f"route add default via {DST}"])
        for dev in ("all", "ext", "int"):
            lab.fw.sysctl(f"net/ipv4/conf/{dev}/rp_filter", 0)
        lab.fw.sysctl("net/ipv4/conf/all/send_redirects", 0)
        self.thread = self._make_thread()
        self.sink = bpf.verdict_program(DROP)
        self.link = bpf.tcx_attach(lab.dst, "dst", self.sink, bpf.TCX_INGRESS)

    def _make_thread(self):
        """veth has NAPI with GRO on, and uses it if the other end has no TSO."""
        fw = self.lab.fw
        self.lab.src.run("ethtool", "-K", "src", "tso", "off")
        fw.run("ethtool", "-K", "ext", "gro", "on")
        before = _napi_threads()
        fw.run("unshare", "-m", "sh", "-c", "mount -t sysfs sysfs /sys && "
               "echo 1 >/sys/class/net/ext/threaded")
        pids = wait_for("the thread", lambda: [
            pid for name, pid in _napi_threads().items() if name not in before])
        for pid in pids:
            os.sched_setaffinity(pid, {os.cpu_count() - 1})
            os.setpriority(os.PRIO_PROCESS, pid, -20)
        assert len(pids) == 1, pids
        return pids[0]

    def close(self):
        for fd in (self.link, self.sink):
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

    def _arrived(self):
        with self.lab.dst, open("/proc/thread-self/net/dev", encoding="ascii") as f:
            return next(int(line.split(":")[1].split()[1]) for line in f
                        if line.split(":")[0].strip() == "dst")

    def _time(self):
        with open(f"/proc/{self.thread}/schedstat", encoding="ascii") as f:
            return int(f.read().split()[0])

    def flood(self, file, seconds=SECONDS, ports=0):
        """(nanoseconds a packet, the part of them that arrived); `ports' see flood.c"""
        arrived, time = self._arrived(), self._time()
        more = ("-f", str(ports)) if ports else ()
        sent = int(self.lab.src.run(FLOOD, *more, "src", file, str(seconds), "0").stdout)
        return (self._time() - time) / sent, (self._arrived() - arrived) / sent

    def answers(self, flows, seconds, ports):
        """To all of these, from dst, so that conntrack has them established; see flood()."""
        eth = bytes.fromhex((MAC["int"] + MAC["dst"]).replace(":", ""))
        path = os.path.join(self.lab.dir, "answers")
        with open(path, "wb") as f:
            f.write(b"".join(eth + frames.answer(flow)[12:] for flow in flows))
        self.lab.dst.run(FLOOD, "-F", str(ports), "dst", path, str(seconds), "0")

    def answer(self):
        """To the last packet, from dst: for conntrack a flow is established then."""
        from scapy.layers.inet import IP, UDP
        src, dst = policy.dotted(policy.LAST.src), policy.dotted(policy.LAST.dst)
        wire = self.lab.wire("dst")
        wire.send(IP(src=dst, dst=src) / UDP(sport=policy.LAST.port, dport=frames.SPORT))

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
        self.peer, self.n, self.state, self.flows = peer, len(rules), state, flows
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
    if cell.state:
        road.flood(flows, 0.001)
        road.answer()
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
    say("CPU time of the thread that receives for fw: with filter, routing and transmission")
    firewalls = [Pf(), *peers.values()]
    least = Group("", [EmptyTc()], [])
    groups = [Group(f"last of {n}", firewalls, policy.mixed(n)) for n in SIZES]
    many = min(10000, SIZES[-1])
    hosts = policy.hosts(many)
    groups.append(Group(f"any of {many} hosts", firewalls, hosts,
                        flows=policy.packets(hosts, FRAMES, hits=1.0)))
    for n in sorted({100, SIZES[-1]}):
        groups.append(Group(f"a state, {n} rules", firewalls, policy.mixed(n), state=True))
    bases = []
    for r in range(ROUNDS):
        some = [g for g in groups if r < SLOW_ROUNDS or g.n < 100000]
        _round([least, *some], bases)
    say(f"no filter: {statistics.median(bases):.0f} ns; with four empty tc programs "
        f"{statistics.median(least.cells[0].more):.0f} more; hosts: all packets differ, all pass")
    names = [f.name for f in firewalls]
    table(["rules", *names, *(f"pf / {p}" for p in peers)],
          [_line(g, names) for g in groups])
