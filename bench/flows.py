# SPDX-License-Identifier: BSD-2-Clause
"""Packets of very many connections in turn: what a look-up costs when no cache holds them."""
import os
import random

import frames
import policy
from common import SLOW_ROUNDS, STATES, ratio, rounds, row, say, title
from path import Road
from peers import Nft, Pf
from pft import bpf
from pft.lab import Lab
from replay import FRAMES, Replay

RULES = 100
MOST = 0.6  # of what nft adds
EACH = 5e-6  # seconds that a packet on the road takes at the most
LIVE = ("set timeout { udp.first 3600, udp.single 3600, udp.multiple 3600, interval 10, "
        "adaptive.start 0, adaptive.end 0 }\n")


def _flows():
    out = [policy.LAST._replace(dst=0xc6130000 + i) for i in range(FRAMES)]
    random.Random(1).shuffle(out)
    return out


def _ports():
    """Source ports of each flow: of about 100,000 connections, and of STATES."""
    return sorted({2, max(2, STATES // FRAMES)})


def _alone(lab, empty, ports):
    """(ns net of an empty program that is given the same packets, how many states there are)"""
    n = FRAMES * ports
    lab.pf.ctl("-Fa")
    lab.pf.load(f"set limit states {n + 1000}\n{LIVE}pass\n")
    progs = [lab.pf.program("ext", way) for way in ("in", "out")]
    flows = _flows()
    try:
        with Replay() as again:
            again.fill(flows, ports)
            again.run(lab, progs[0], n)
            again.fill(map(frames.answer, flows), ports, True)
            again.run(lab, progs[1], n)
            # from here on they are established, as pf sees it
            again.fill(flows, ports)
            again.run(lab, progs[0], n)
            got = rounds({"empty": lambda: again.run(lab, empty, n),
                          "state": lambda: again.run(lab, progs[0], n)}, SLOW_ROUNDS)
        info = lab.pf.info()
        assert info["current entries"] == info["inserts"] == n, info
        return got["state"] - got["empty"], n
    finally:
        for fd in progs:
            os.close(fd)


def _conntrack_most():
    try:
        with open("/proc/sys/net/netfilter/nf_conntrack_max", encoding="ascii") as f:
            return int(f.read())
    except OSError:
        return 0


def _on_the_road(peers, ports):
    """{name: ns a packet more than with no filter}, packets of FRAMES * ports connections."""
    n = FRAMES * ports
    rules = policy.mixed(RULES)
    with Lab(v6=False, rules="pass\n") as lab, Road(lab) as road:
        lab.fw.sysctl("net/netfilter/nf_conntrack_udp_timeout", 600)
        flows = _flows()
        file = road.file("flows", flows)

        def flood(peer):
            if peer:
                peer.load(lab, peer.text(rules, True) if peer.name != "pf" else
                          f"set limit states {2 * n + 1000}\n{LIVE}{peer.text(rules, True)}")
                peer.start(lab)
            # all of them have a state, and were answered
            road.flood(file, n * EACH, ports)
            if peer:
                road.answers(flows, n * EACH, ports)
                road.flood(file, n * EACH, ports)
            ns, part = road.flood(file, n * EACH / 2, ports)
            if peer:
                peer.stop(lab)
            if part < 0.99:
                say(f"{peer.name if peer else 'no filter'}: only {part:.0%} of the packets arrived")
            return ns

        lab.pf.ctl("-d")
        got = rounds({p.name if p else "none": lambda p=p: flood(p) for p in (None, *peers)},
                     SLOW_ROUNDS)
    return {name: ns - got["none"] for name, ns in got.items() if name != "none"}


def flows_section(peers):
    """packets of 100,000 and of a million connections, beside the peers"""
    title("Packets of very many connections in turn")
    say("alone: BPF_PROG_TEST_RUN, net of an empty program that is given the same packets;")
    say(f"on the road: real packets through {RULES} rules, ns more than with no filter, for which")
    say("pf finds two states, one coming in and one going out, and conntrack one entry")
    empty = bpf.verdict_program(-1)
    with Lab(hosts=2, v6=False) as lab:
        for ports in _ports():
            ns, many = _alone(lab, empty, ports)
            row(f"alone, {many} states", f"{ns:.0f} ns")
    os.close(empty)
    for ports in _ports():
        n = FRAMES * ports
        beside = [p for p in peers.values() if isinstance(p, Nft) and p.name == "nft"]
        if beside and _conntrack_most() < n + 1000:
            say(f"nft left out of {n}: net.netfilter.nf_conntrack_max is {_conntrack_most()} here")
            beside = []
        got = _on_the_road([Pf(), *beside], ports)
        row(f"on the road, {n} connections: pf", f"{got['pf']:.0f} ns")
        if beside:
            row(f"on the road, {n} connections: nft", f"{got['nft']:.0f} ns",
                f"pf / nft = {ratio(got['pf'], got['nft'])}, target {MOST}")
