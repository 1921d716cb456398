# SPDX-License-Identifier: BSD-2-Clause
"""set debug, -x: what pfd tells of packets that states refuse, in pf's notation."""
import re

from pft.check import contains, eq, matches
from pft.lab import GHOST, GHOST6, GHOST6_DST, GHOST_DST, Lab
from pft.netns import wait_for
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from test_states import Gate, handshake, ip

THERE, BACK = {"sport": 1000, "dport": 80}, {"sport": 80, "dport": 1000}
RULES = "block\npass in on ext proto tcp\npass in on ext inet6 proto icmp6\n"
STATE = (f"TCP in wire: (0) {GHOST}:1000 {GHOST_DST}:80 stack: (0) - "
         "[lo=100 high=8293 win=8192 modulator=0] [lo=501 high=8693 win=8192 modulator=0]")


def notes(lab):
    return [line.removeprefix("pfd: ") for line in lab.pf.said().splitlines()
            if line.startswith("pfd: pf: ")]


def told(lab, n):
    wait_for(f"{n} notes", lambda: len(notes(lab)) >= n, 5)
    eq(len(notes(lab)), n, "\n".join(notes(lab)))
    return notes(lab)


def test_silent_unless_asked():
    """At the default level nothing is told, from `notice` on it is."""
    with Lab(hosts=2, rules=RULES) as lab:
        g = Gate(lab)
        handshake(g, GHOST, GHOST_DST)
        bad = ip(GHOST, GHOST_DST) / TCP(flags="A", seq=900000, ack=501, **THERE) / b"x"
        eq(g.into(bad), False)
        lab.pf.ctl("-x", "notice")
        eq(g.into(bad), False)
        told(lab, 2)
        lab.pf.ctl("-x", "warning")
        eq(g.into(bad), False)
        lab.pf.load("set debug debug\n" + RULES)
        eq(g.into(bad), False)
        told(lab, 4)
        eq(lab.pf.info()["state-mismatch"], 4)


def test_bad_state():
    """Which windows, and which condition failed; each drop has its pair of lines."""
    with Lab(hosts=2, rules="set debug debug\n" + RULES) as lab:
        g = Gate(lab)
        handshake(g, GHOST, GHOST_DST)
        cases = (
            (g.into, TCP(flags="PA", seq=90000, ack=501, **THERE) / b"xy", "1       | 5  ",
             " PA seq=90000 (90000) ack=501 len=2 ackskew=0 pkts=2:1 dir=in,fwd"),
            (g.into, TCP(flags="A", seq=8293, ack=501, **THERE) / b"x", "1       |    ",
             " A seq=8293 (8293) ack=501 len=1 ackskew=0 pkts=2:1 dir=in,fwd"),
            (g.into, TCP(flags="A", seq=100 - 8193 + 2**32, ack=501, **THERE) / b"x",
             "  2     |    ",
             " A seq=4294959203 (4294959203) ack=501 len=1 ackskew=0 pkts=2:1 dir=in,fwd"),
            (g.out, TCP(flags="A", seq=501, ack=67136, **BACK), "    3   |    ",
             " A seq=501 (501) ack=67136 len=0 ackskew=-67036 pkts=2:1 dir=out,rev"),
            (g.out, TCP(flags="A", seq=501, ack=2**32 + 100 - 67036, **BACK), "      4 |    ",
             " A seq=501 (501) ack=4294900360 len=0 ackskew=67036 pkts=2:1 dir=out,rev"))
        for i, (way, pkt, failed, text) in enumerate(cases):
            a, b = (GHOST, GHOST_DST) if way == g.into else (GHOST_DST, GHOST)
            eq(way(ip(a, b) / pkt), False, text)
            said = told(lab, 2 * i + 2)[-2:]
            eq(said[1], "pf: State failure on: " + failed)
            eq(said[0], f"pf: BAD state: {STATE} 4:4 @1{text}")


def test_no_state_for_a_reset_from_beside():
    """A reset of the right window, but not at its edge, fails no condition that has a number."""
    with Lab(hosts=2, rules="set debug debug\n" + RULES) as lab:
        g = Gate(lab)
        handshake(g, GHOST, GHOST_DST)
        eq(g.out(ip(GHOST_DST, GHOST) / TCP(flags="R", seq=505, **BACK)), False)
        said = told(lab, 2)
        eq(said[1], "pf: State failure on:         |    ")
        matches(said[0], r" 4:4 @1 R seq=501 \(505\) ack=100 len=0 ackskew=0 .* dir=out,rev$")


def test_loose_reuse_and_challenge():
    with Lab(hosts=2, rules="set debug debug\n" + RULES) as lab:
        g = Gate(lab)
        syn = ip(GHOST, GHOST_DST) / TCP(flags="S", seq=100, **THERE)
        eq(g.into(syn), True)
        # beyond what one SYN is allowed: a burst before any answer
        eq(g.into(ip(GHOST, GHOST_DST) / TCP(flags="S", seq=300, **THERE)), True)
        said = told(lab, 1)
        contains(said[0], f"pf: loose state match: TCP in wire: (0) {GHOST}:1000 {GHOST_DST}:80 "
                          "stack: (0) - [lo=100 high=102 win=8192 modulator=0] "
                          "[lo=0 high=1 win=1 modulator=0] 2:0 @1 S seq=300 (300) ack=0 len=0 "
                          "ackskew=0 pkts=2:0 dir=in,fwd")
        lab.pf.ctl("-F", "states")
        handshake(g, GHOST, GHOST_DST)
        eq(g.into(syn), False)
        said = told(lab, 2)
        eq(said[1], f"pf: SYN in established state: TCP in wire: (0) {GHOST}:1000 "
                    f"{GHOST_DST}:80 stack: (0) - 4:4 @1 S seq=100")
        eq(g.into(ip(GHOST, GHOST_DST) / TCP(flags="R", seq=101, **THERE)), True)
        eq(g.into(syn), True)
        said = told(lab, 3)
        eq(said[2], f"pf: state reuse TCP in wire: (0) {GHOST}:1000 {GHOST_DST}:80 "
                    "stack: (0) - 10:10 @1 S")


def test_icmp():
    """Errors about what was never let pass, or for somebody else; answers from who asked."""
    with Lab(hosts=2, rules="set debug debug\n" + RULES) as lab:
        g = Gate(lab)
        handshake(g, GHOST, GHOST_DST)
        err = ICMP(type=3, code=4, nexthopmtu=1280)
        quote = ip(GHOST, GHOST_DST) / TCP(flags="A", seq=900000, **THERE)
        eq(g.out(IP(src="203.0.113.9", dst=GHOST) / err / quote), False)
        eq(g.out(IP(src="203.0.113.9", dst="192.0.2.77") / err / quote), False)
        ask = IPv6(src=GHOST6, dst=GHOST6_DST) / ICMPv6EchoRequest(id=7)
        eq(g.into(ask), True)
        eq(g.out(IPv6(src=GHOST6_DST, dst=GHOST6) / ICMPv6EchoReply(id=7)), True)
        eq(g.into(IPv6(src=GHOST6_DST, dst=GHOST6) / ICMPv6EchoRequest(id=7)), True, "another")
        said = told(lab, 2)
        eq(said[0], f"pf: BAD ICMP 3:4 203.0.113.9 -> {GHOST} state: TCP in wire: (0) "
                    f"{GHOST}:1000 {GHOST_DST}:80 stack: (0) - 4:4 @1 seq=900000")
        eq(said[1], "pf: BAD ICMP 3:4 outer dst: 203.0.113.9 -> 192.0.2.77 inner src: "
                    f"{GHOST} -> {GHOST_DST}")


def test_translated():
    """Both keys of the state; and the numbers of rules in an anchor are its own."""
    rules = ("set debug debug\nblock\nanchor web {\n pass out on ext\n"
             " pass out on ext proto tcp nat-to 192.0.2.50 port 2000\n}\n")
    with Lab(hosts=2, rules=rules) as lab:
        g = Gate(lab)
        eq(g.out(ip(GHOST_DST, GHOST) / TCP(flags="S", seq=100, sport=1000, dport=80)), True)
        eq(g.into(ip(GHOST, "192.0.2.50") / TCP(flags="SA", seq=5, ack=900000, sport=80,
                                                dport=2000)), False)
        said = told(lab, 2)
        contains(said[0], f"pf: BAD state: TCP out wire: (0) {GHOST}:80 192.0.2.50:2000 "
                          f"stack: (0) {GHOST}:80 {GHOST_DST}:1000 [")
        matches(said[0], r" 2:2 @1 SA seq=5 \(5\) ack=900000 ")


def test_flood_is_cut():
    """No more than a hundred a second: the log is not what an attacker fills."""
    with Lab(hosts=2, rules="set debug debug\n" + RULES) as lab:
        g = Gate(lab)
        handshake(g, GHOST, GHOST_DST)
        eq(g.into(ip(GHOST, GHOST_DST) / TCP(flags="R", seq=101, **THERE)), True)
        bad = ip(GHOST, GHOST_DST) / TCP(flags="A", seq=900000, ack=501, **THERE) / b"x"
        from test_states import frame
        lab.pf.run("ext", "in", frame(bad), repeat=5000)

        def cut():
            lab.pf.run("ext", "in", frame(bad))
            return any(re.search(r"pf: \d+ more notes were left out", n) for n in notes(lab))
        wait_for("what was left out", cut, 5)
        eq(len(notes(lab)) < 1000, True, f"{len(notes(lab))} lines")
