# SPDX-License-Identifier: BSD-2-Clause
"""States: how they are made, found, shown, ended; ICMP errors; the limit."""
import re
import socket
import time

from pft.check import absent, at_least, between, cases, contains, eq, lines_eq, matches
from pft.inject import by
from pft.lab import (DST, DST6, FW6_SRC, FW_SRC, GHOST, GHOST6, GHOST6_DST, GHOST_DST, MAC, SRC,
                     SRC6, Lab)
from pft.netns import wait_for
from pft.state import Slots
from pft.table import Table, is_empty, rest_for_long
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest,
                                ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6PacketTooBig, ICMPv6TimeExceeded,
                                IPv6, IPv6ExtHdrFragment)
from scapy.layers.l2 import Ether
from scapy.packet import Raw, raw

PASS, DROP = -1, 2


def frame(pkt, dev="ext"):
    return raw(Ether(dst=MAC[dev], src="02:00:00:00:00:99") / pkt)


class Gate:
    """The programs at one interface: packets go in and out by TEST_RUN."""

    def __init__(self, lab, dev="ext"):
        self.lab, self.dev = lab, dev

    def into(self, pkt):
        return self.lab.pf.run(self.dev, "in", frame(pkt, self.dev))[0] == PASS

    def out(self, pkt):
        return self.lab.pf.run(self.dev, "out", frame(pkt, self.dev))[0] == PASS


def ip(src, dst):
    return IPv6(src=src, dst=dst) if ":" in src else IP(src=src, dst=dst)


def handshake(g, a, b, sport=1000, dport=80, seqs=(100, 500)):
    """Three segments, in by way of g; both windows 8192."""
    x, y = seqs
    eq(g.into(ip(a, b) / TCP(sport=sport, dport=dport, flags="S", seq=x)), True, "SYN")
    eq(g.out(ip(b, a) / TCP(sport=dport, dport=sport, flags="SA", seq=y, ack=x + 1)), True,
       "SYN-ACK")
    eq(g.into(ip(a, b) / TCP(sport=sport, dport=dport, flags="A", seq=x + 1, ack=y + 1)), True,
       "ACK")


BOTH = cases(("ipv4", GHOST, GHOST_DST), ("ipv6", GHOST6, GHOST6_DST))


@BOTH
def test_udp(_name, a, b):
    rules = "block\npass in on ext proto udp\n"
    with Lab(hosts=2, rules=rules) as lab:
        g = Gate(lab)
        there = ip(a, b) / UDP(sport=1000, dport=53) / b"q"
        back = ip(b, a) / UDP(sport=53, dport=1000) / b"a"
        eq(g.out(back), False, "an answer to nothing")
        eq(g.into(there), True)
        contains(lab.pf.state("udp"), "NO_TRAFFIC:SINGLE")
        eq(g.into(there), True)
        contains(lab.pf.state("udp"), "NO_TRAFFIC:SINGLE")
        eq(g.out(back), True)
        contains(lab.pf.state("udp"), "SINGLE:MULTIPLE")
        eq(g.into(there), True)
        contains(lab.pf.state("udp"), "MULTIPLE:MULTIPLE")
        eq(g.out(ip(b, a) / UDP(sport=53, dport=1001)), False, "another port")
        eq(g.out(ip(b, a) / UDP(sport=54, dport=1000)), False, "from another port")
        eq(g.out(ip(b, a) / TCP(sport=53, dport=1000)), False, "another protocol")
        (_, n), (_, m) = lab.pf.rule_numbers()
        eq((m["packets"], m["states"], m["creations"]), (4, 1, 1))
        eq(n["packets"], 4, "blocked")


def test_udp_text():
    with Lab(hosts=2, rules="pass\n") as lab:
        g = Gate(lab)
        g.into(ip(GHOST, GHOST_DST) / UDP(sport=1000, dport=53) / b"12345678")
        g.out(ip("192.0.2.9", "192.0.2.8") / UDP(sport=7, dport=8))
        g.into(ip(GHOST6, GHOST6_DST) / UDP(sport=1000, dport=53) / b"12345678")
        lines_eq(sorted(lab.pf.states()), [
            f"all udp {GHOST6_DST}[53] <- {GHOST6}[1000]       NO_TRAFFIC:SINGLE",
            "all udp 192.0.2.9:7 -> 192.0.2.8:8       SINGLE:NO_TRAFFIC",
            f"all udp {GHOST_DST}:53 <- {GHOST}:1000       NO_TRAFFIC:SINGLE"][1:] + [
            f"all udp {GHOST6_DST}[53] <- {GHOST6}[1000]       NO_TRAFFIC:SINGLE"])
        text = lab.pf.ctl("-ss", "-v").stdout
        matches(text, r"^   age 00:00:0\d, expires in 00:0[01]:\d\d, 1:0 pkts, 36:0 bytes, rule 0$")
        text = lab.pf.ctl("-ss", "-vv").stdout
        matches(text, r"^   id: [0-9a-f]{16} creatorid: [0-9a-f]{8}$")


@BOTH
def test_tcp_phases(_name, a, b):
    """What -ss shows, and which timeout runs, through the life of a connection."""
    names = ["first", "opening", "established", "closing", "finwait", "closed"]
    sets = "".join(f"set timeout tcp.{n} {1000 * (i + 1)}\n" for i, n in enumerate(names))
    with Lab(hosts=2, rules=sets + "block\npass in on ext proto tcp\n") as lab:
        g = Gate(lab)

        def seg(way, flags, seq, ack=0, data=b""):
            if way == ">":
                return g.into(ip(a, b) / TCP(sport=1000, dport=80, flags=flags, seq=seq, ack=ack) /
                              data)
            return g.out(ip(b, a) / TCP(sport=80, dport=1000, flags=flags, seq=seq, ack=ack) / data)

        def at(text, expires):
            contains(lab.pf.state("tcp"), text)
            left = matches(lab.pf.ctl("-ss", "-v").stdout, r"expires in (\d+):(\d+):(\d+)")
            h, m, s = (int(x) for x in left.groups())
            between(h * 3600 + m * 60 + s, expires - 10, expires, "expires")

        eq(seg(">", "A", 101, 501), False, "nobody picks up a connection in the middle")
        eq(seg(">", "S", 100), True)
        at("CLOSED:SYN_SENT", 1000)
        eq(seg("<", "SA", 500, 101), True)
        at("SYN_SENT:ESTABLISHED", 2000)
        eq(seg(">", "A", 101, 501), True)
        at("ESTABLISHED:ESTABLISHED", 3000)
        eq(seg(">", "PA", 101, 501, b"x" * 10), True)
        eq(seg("<", "A", 501, 111, b"y" * 20), True)
        eq(seg(">", "FA", 111, 521), True)
        at("ESTABLISHED:CLOSING", 4000)
        eq(seg("<", "A", 521, 112), True)
        at("ESTABLISHED:FIN_WAIT_2", 4000)
        eq(seg("<", "FA", 521, 112), True)
        at("CLOSING:FIN_WAIT_2", 5000)
        eq(seg(">", "A", 112, 522), True)
        at("FIN_WAIT_2:FIN_WAIT_2", 6000)
        eq(seg(">", "S", 9000), True, "the same ports again")
        at("CLOSED:SYN_SENT", 1000)
        eq(seg("<", "RA", 0, 9001), True, "refused")
        at("TIME_WAIT:TIME_WAIT", 6000)
        info = lab.pf.info()
        eq((info["inserts"], info["removals"]), (2, 1))


def test_half_open_is_counted():
    with Lab(hosts=2, rules="pass in on ext proto tcp\n") as lab:
        g = Gate(lab)
        for port in (1, 2, 3):
            g.into(ip(GHOST, GHOST_DST) / TCP(sport=port, dport=80, flags="S"))
        handshake(g, GHOST, GHOST_DST)
        info = lab.pf.info()
        eq((info["current entries"], info["half-open tcp"]), (4, 3))


@BOTH
def test_blind_attacks(_name, a, b):
    """A reset or data from beside the window is dropped; a SYN gets a challenge ACK."""
    with Lab(hosts=2, rules="block\npass in on ext proto tcp\n") as lab:
        g = Gate(lab)
        handshake(g, a, b)
        back = {"sport": 80, "dport": 1000}
        for what, pkt in (
                ("RST beside the window", TCP(flags="R", seq=900000, **back)),
                ("RST inside, not at its edge", TCP(flags="R", seq=505, **back)),
                ("data far ahead", TCP(flags="A", seq=900000, ack=101, **back) / b"x"),
                ("data far behind", TCP(flags="A", seq=501 - 100000 + 2**32, ack=101, **back) / b"x"),
                ("ack far ahead", TCP(flags="A", seq=501, ack=101 + 100000, **back) / b"x"),
                ("SYN", TCP(flags="S", seq=501, **back))):
            eq(g.out(ip(b, a) / pkt), False, what)
            contains(lab.pf.state("tcp"), "ESTABLISHED:ESTABLISHED", what)
        eq(lab.pf.info()["state-mismatch"], 6)
        eq(g.out(ip(b, a) / TCP(flags="R", seq=501, **back)), True, "RST at the edge")
        contains(lab.pf.state("tcp"), "TIME_WAIT:TIME_WAIT")


@BOTH
def test_reset_behind_the_edge_needs_an_acknowledgment(_name, a, b):
    """An acknowledgment of zero is none: a guess of the window would do to end a connection."""
    with Lab(hosts=2, rules="block\npass in on ext proto tcp\n") as lab:
        g = Gate(lab)
        handshake(g, a, b)
        back = {"sport": 80, "dport": 1000}
        eq(g.into(ip(a, b) / TCP(flags="PA", sport=1000, dport=80, seq=101, ack=501) / b"abc"),
           True)
        eq(g.out(ip(b, a) / TCP(flags="PA", seq=501, ack=104, **back) / (b"x" * 1000)), True)
        for what, pkt in (("no acknowledgment", TCP(flags="R", seq=501, **back)),
                          ("zero", TCP(flags="RA", seq=501, ack=0, **back)),
                          ("not the newest", TCP(flags="RA", seq=501, ack=101, **back))):
            eq(g.out(ip(b, a) / pkt), False, what)
            contains(lab.pf.state("tcp"), "ESTABLISHED:ESTABLISHED", what)
        eq(g.out(ip(b, a) / TCP(flags="RA", seq=501, ack=104, **back)), True, "the newest")
        contains(lab.pf.state("tcp"), "TIME_WAIT:TIME_WAIT")


@BOTH
def test_challenge_ack(_name, a, b):
    """RFC 5961: exactly one ACK to the sender of a SYN into a living connection."""
    with Lab(rules="pass\n") as lab:
        src, dst = lab.wire("src"), lab.wire("dst")
        there, back = {"sport": 1234, "dport": 80}, {"sport": 80, "dport": 1234}
        src.send(ip(a, b) / TCP(flags="S", seq=100, **there))
        assert dst.receive(lambda p: TCP in p and p[TCP].flags == "S"), "the SYN arrives"
        dst.send(ip(b, a) / TCP(flags="SA", seq=500, ack=101, **back))
        assert src.receive(lambda p: TCP in p and p[TCP].flags == "SA")
        src.send(ip(a, b) / TCP(flags="A", seq=101, ack=501, **there))
        src.send(ip(a, b) / TCP(flags="PA", seq=101, ack=501, **there) / b"0123456789")
        assert dst.receive(lambda p: TCP in p and p[TCP].flags == "PA")
        dst.drain()
        src.send(ip(a, b) / TCP(flags="S", seq=77777777, **there))
        got = src.receive(lambda p: TCP in p and p[TCP].dport == 1234)
        assert got, "no challenge"
        t = got[TCP]
        eq((str(t.flags), t.seq, t.ack, t.sport), ("A", 501, 111, 80))
        sums = t.chksum, got.getlayer(0).chksum if a.count(".") else None
        del t.chksum
        again = ip(got.src, got.dst).__class__(raw(got))
        eq(again[TCP].chksum, sums[0], "checksum")
        eq(src.receive(lambda p: TCP in p, 0.2), None, "only one")
        eq(dst.receive(lambda p: TCP in p, 0.2), None, "the SYN goes nowhere")


def test_syn_retransmitted_with_another_sequence():
    """Both sides still at SYN_SENT and out of the window: a RST frees the sender."""
    with Lab(rules="pass in on ext proto tcp\npass out on int proto tcp\n") as lab:
        src, dst = lab.wire("src"), lab.wire("dst")
        src.send(ip(GHOST, GHOST_DST) / TCP(flags="S", seq=100, sport=5, dport=80))
        assert dst.receive(lambda p: TCP in p)
        dst.send(ip(GHOST_DST, GHOST) / TCP(flags="S", seq=900, sport=80, dport=5))
        assert src.receive(lambda p: TCP in p), "simultaneous open"
        src.send(ip(GHOST, GHOST_DST) / TCP(flags="SA", seq=900000, ack=70000000, sport=5,
                                            dport=80))
        got = src.receive(lambda p: TCP in p)
        assert got, "no RST"
        eq((str(got[TCP].flags), got[TCP].seq), ("R", 70000000))


@cases(("low", 1000), ("below_the_middle", 2**31 - 1000), ("middle", 2**31 + 100),
       ("above_the_middle", 2**31 + 70000), ("high", 2**32 - 100000))
def test_syn_retransmitted_then_answered(_name, isn):
    """Two SYNs before an answer, whatever the answer's sequence: its window is known."""
    with Lab(hosts=2, rules="block\npass in on ext proto tcp\n") as lab:
        g = Gate(lab)

        def back(flags, seq, data=b""):
            return g.out(ip(GHOST_DST, GHOST) / TCP(sport=80, dport=1000, flags=flags, ack=101,
                                                    seq=seq % 2**32) / data)

        for _ in range(2):
            eq(g.into(ip(GHOST, GHOST_DST) / TCP(sport=1000, dport=80, flags="S", seq=100,
                                                 window=60000)), True)
        eq(back("SA", isn), True)
        eq(g.into(ip(GHOST, GHOST_DST) / TCP(sport=1000, dport=80, flags="A", seq=101,
                                             ack=isn + 1, window=60000)), True)
        eq(back("A", isn + 1, b"x" * 100), True)
        eq(back("A", isn + 70000, b"x"), False, "beyond the window")
        eq(back("A", isn + 101 - 70000, b"x"), False, "before it")
        eq(back("A", isn + 101, b"x" * 100), True)
        eq(lab.pf.info()["state-mismatch"], 2)


def test_other_protocols():
    with Lab(hosts=2, rules="block\npass in on ext inet proto gre\n") as lab:
        g = Gate(lab)
        gre = IP(src=GHOST, dst=GHOST_DST, proto=47) / Raw(b"12345678")
        back = IP(src=GHOST_DST, dst=GHOST, proto=47) / Raw(b"12345678")
        eq(g.out(back), False)
        eq(g.into(gre), True)
        eq(g.out(back), True)
        lines_eq(lab.pf.states(), [f"all gre {GHOST_DST} <- {GHOST}       SINGLE:MULTIPLE"])
        eq(g.into(gre), True)
        lines_eq(lab.pf.states(), [f"all gre {GHOST_DST} <- {GHOST}       MULTIPLE:MULTIPLE"])


def test_icmp_by_id():
    with Lab(hosts=2, rules="block\npass in on ext inet proto icmp icmp-type echoreq\n") as lab:
        g = Gate(lab)

        def echo(way, number, kind, seq=1):
            a, b = (GHOST, GHOST_DST) if way == ">" else (GHOST_DST, GHOST)
            p = IP(src=a, dst=b) / ICMP(type=kind, id=number, seq=seq) / b"data"
            return g.into(p) if way == ">" else g.out(p)

        eq(echo("<", 7, 0), False, "an answer to nothing")
        eq(echo(">", 7, 0), False, "an answer that comes in")
        eq(echo(">", 7, 8), True)
        eq(echo("<", 8, 0), False, "another id")
        eq(echo("<", 7, 8), False, "a request in the wrong direction")
        eq(echo(">", 7, 0), False, "an answer from who asked")
        eq(echo("<", 7, 0), True)
        eq(echo("<", 7, 0, 2), True)
        eq(echo(">", 9, 8), True)
        eq(len(lab.pf.states()), 2)
        contains(lab.pf.state(":7 "), f"all icmp {GHOST_DST}:8 <- {GHOST}:7       0:0")


def test_icmp6_by_id():
    rules = "block\npass in on ext inet6 proto icmp6 icmp6-type echoreq\n"
    with Lab(hosts=2, rules=rules) as lab:
        g = Gate(lab)
        ask = IPv6(src=GHOST6, dst=GHOST6_DST) / ICMPv6EchoRequest(id=7)
        reply = IPv6(src=GHOST6_DST, dst=GHOST6) / ICMPv6EchoReply(id=7)
        eq(g.out(reply), False)
        eq(g.into(ask), True)
        eq(g.out(reply), True)
        eq(g.out(IPv6(src=GHOST6_DST, dst=GHOST6) / ICMPv6EchoReply(id=8)), False)
        contains(lab.pf.state("icmp"), f"all ipv6-icmp {GHOST6_DST}[128] <- {GHOST6}[7]       0:0")


def test_neighbour_discovery_through_the_multicast_group():
    """A solicitation goes to the group, the advertisement comes from the host: one state."""
    rules = "block\npass out on ext inet6 proto icmp6 icmp6-type neighbrsol\n"
    with Lab(hosts=2, rules=rules) as lab:
        g = Gate(lab)
        target = GHOST6
        group = "ff02::1:ff00:100"
        ns = IPv6(src=FW6_SRC, dst=group, hlim=255) / ICMPv6ND_NS(tgt=target)
        na = IPv6(src=target, dst=FW6_SRC, hlim=255) / ICMPv6ND_NA(tgt=target, S=1)
        other = IPv6(src="2001:db8:1::101", dst=FW6_SRC, hlim=255) / ICMPv6ND_NA(
            tgt="2001:db8:1::101", S=1)
        eq(g.into(na), False, "before it was asked for")
        eq(g.out(ns), True)
        eq(g.into(na), True)
        eq(g.into(other), False, "for another group")


@cases(("linear",), ("tree",))
def test_neighbours_speak_first(emitter):
    """Unasked, to all nodes or to one, and more than once: it passes by the rules, without a state
    that what comes after it would flow the wrong way for."""
    by(emitter)
    for rules in ("block\npass inet6 proto icmp6 icmp6-type { neighbrsol neighbradv }\n",
                  "block\npass inet6 keep state (sloppy)\n"):
        with Lab(hosts=2, rules=rules) as lab:
            g = Gate(lab)
            for to in ("ff02::1", FW6_SRC):
                na = IPv6(src=GHOST6, dst=to, hlim=255) / ICMPv6ND_NA(tgt=GHOST6, O=1)
                eq([g.into(na) for _ in range(3)], [True] * 3, to)
            absent(lab.pf.ctl("-ss").stdout, GHOST6)
            for to in ("ff02::1:ff00:100", GHOST6):
                ns = IPv6(src=FW6_SRC, dst=to, hlim=255) / ICMPv6ND_NS(tgt=GHOST6)
                eq([g.out(ns), g.into(na), g.out(ns), g.into(na)], [True] * 4, to)
            eq(lab.pf.info()["state-mismatch"], 0)


def test_answers_to_all_nodes():
    """An echo request to ff02::1 is answered by each host from its own address; only with its id."""
    rules = "block\npass out on ext inet6 proto icmp6 icmp6-type echoreq\n"
    with Lab(hosts=2, rules=rules) as lab:
        g = Gate(lab)

        def reply(src, number):
            return g.into(IPv6(src=src, dst=FW6_SRC) / ICMPv6EchoReply(id=number))

        eq(reply(GHOST6, 7), False, "before it was asked for")
        eq(g.out(IPv6(src=FW6_SRC, dst="ff02::1") / ICMPv6EchoRequest(id=7)), True)
        for src in (GHOST6, SRC6, "fe80::1"):
            eq(reply(src, 7), True, src)
            eq(reply(src, 8), False, "another id")
        eq(g.into(IPv6(src=GHOST6, dst=FW6_SRC) / ICMPv6EchoRequest(id=7)), False, "a question")
        eq(len(lab.pf.states()), 1)


def test_real_neighbour_discovery_under_block():
    """Neighbour discovery is judged by rules, as pf does."""
    with Lab(hosts=2) as lab:
        lab.src.ip("neigh", "del", FW6_SRC, "dev", "src")
        lab.fw.ip("neigh", "del", SRC6, "dev", "ext")
        lab.pf.load("block\npass inet6 proto icmp6 icmp6-type echoreq\n")
        eq(lab.src.ping(FW6_SRC), False)
        lab.pf.load("block\npass inet6 proto icmp6 icmp6-type { echoreq neighbrsol "
                    "neighbradv }\n")
        lab.src.ip("neigh", "flush", "dev", "src")
        wait_for("an answer", lambda: lab.src.ping(FW6_SRC), 5)


# --- ICMP errors ---

def unreach(outer_src, outer_dst, quoted, code=3):
    if ":" in outer_src:
        return IPv6(src=outer_src, dst=outer_dst) / ICMPv6DestUnreach(code=4) / quoted
    return IP(src=outer_src, dst=outer_dst) / ICMP(type=3, code=code) / quoted


@BOTH
def test_icmp_errors_of_udp(_name, a, b):
    router = "2001:db8:2::77" if ":" in a else "198.51.100.77"
    elsewhere = "2001:db8:1::55" if ":" in a else "192.0.2.55"
    with Lab(hosts=2, rules="block\npass in on ext proto udp to port 53\n") as lab:
        g = Gate(lab)
        q = ip(a, b) / UDP(sport=1000, dport=53) / b"question"
        eq(g.out(unreach(b, a, q)), False, "there is no state yet")
        eq(g.into(q), True)
        eq(g.out(unreach(b, a, q)), True, "from the host")
        eq(g.out(unreach(router, a, q)), True, "from a router on the way")
        eq(g.out(unreach(router, elsewhere, q)), False, "to somebody else")
        eq(g.out(unreach(b, a, ip(a, b) / UDP(sport=1000, dport=54) / b"question")), False,
           "about another port")
        eq(g.out(unreach(b, a, ip(b, a) / UDP(sport=53, dport=1000) / b"question")), False,
           "about a packet of its own")
        eq(g.into(unreach(a, b, q)), False, "in the direction of the packet")
        back = ip(b, a) / UDP(sport=53, dport=1000) / b"answer"
        eq(g.out(back), True)
        eq(g.into(unreach(a, b, back)), True, "about the answer")
        # CVE-2019-5598
        inner = ip(*(("2001:db8:9::1", "2001:db8:9::2") if ":" in a else
                     ("203.0.113.1", "203.0.113.2"))) / UDP(sport=1000, dport=53) / b"12345678"
        eq(g.out(unreach(b, a, inner)), False, "addresses that are not the state's")


@BOTH
def test_icmp_errors_of_tcp(_name, a, b):
    """The quoted sequence number must lie in the window of who sent it."""
    with Lab(hosts=2, rules="block\npass in on ext proto tcp\n") as lab:
        g = Gate(lab)
        handshake(g, a, b)
        v6 = ":" in a
        for what, seq, want in (("next", 101, True), ("far ahead", 101 + 100000, False),
                                ("last of the window", 500 + 8193 - 400, True),
                                ("a window back", 101 - 8192, True),
                                ("far behind", 101 - 100000, False)):
            q = ip(a, b) / TCP(sport=1000, dport=80, seq=seq % 2**32, flags="A")
            whole = raw(q)
            short = whole[:(40 if v6 else 20) + 8]  # what RFC 792 promises
            for text, quoted in (("whole", whole), ("8 bytes", short)):
                if v6:
                    p = IPv6(src=b, dst=a) / ICMPv6PacketTooBig(mtu=1280) / Raw(quoted)
                else:
                    p = IP(src=b, dst=a) / ICMP(type=3, code=4, nexthopmtu=1280) / Raw(quoted)
                eq(g.out(p), want, f"{what}, {text}")
        contains(lab.pf.state("tcp"), "ESTABLISHED:ESTABLISHED")


def test_icmp_errors_of_icmp():
    with Lab(hosts=2, rules="block\npass in on ext inet proto icmp icmp-type echoreq\n"
                            "pass in on ext inet6 proto icmp6 icmp6-type echoreq\n") as lab:
        g = Gate(lab)
        q = IP(src=GHOST, dst=GHOST_DST) / ICMP(type=8, id=7) / b"12345678"
        eq(g.into(q), True)
        err = IP(src="198.51.100.77", dst=GHOST) / ICMP(type=11, code=0)
        eq(g.out(err / q), True, "time exceeded")
        eq(g.out(err / IP(src=GHOST, dst=GHOST_DST) / ICMP(type=8, id=8) / b"12345678"), False)
        eq(g.out(err / IP(src=GHOST, dst=GHOST_DST) / ICMP(type=0, id=7) / b"12345678"), False,
           "an answer of who asked")
        q6 = IPv6(src=GHOST6, dst=GHOST6_DST) / ICMPv6EchoRequest(id=7)
        eq(g.into(q6), True)
        err6 = IPv6(src="2001:db8:2::77", dst=GHOST6) / ICMPv6TimeExceeded()
        eq(g.out(err6 / q6), True)
        eq(g.out(err6 / IPv6(src=GHOST6, dst=GHOST6_DST) / ICMPv6EchoRequest(id=9)), False)


def test_icmp_error_quotes_rubbish():
    with Lab(hosts=2, rules="block\npass in on ext proto udp\n") as lab:
        g = Gate(lab)
        q = raw(ip(GHOST, GHOST_DST) / UDP(sport=1000, dport=53) / b"question")
        eq(g.into(IP(q)), True)
        err = IP(src=GHOST_DST, dst=GHOST) / ICMP(type=3, code=3)
        before = lab.pf.info()
        for n in range(0, 28):
            eq(g.out(err / Raw(q[:n])), False, f"{n} bytes quoted")
        eq(g.out(err / Raw(q[:28])), True, "28 bytes quoted")
        later = IP(q)
        later.frag = 5
        eq(g.out(err / later), False, "a later fragment")
        after = lab.pf.info()
        eq(after["short"] - before["short"], 28)
        eq(after["fragment"] - before["fragment"], 1)


@BOTH
def test_icmp_error_quotes_a_first_fragment(_name, a, b):
    """It has the ports that the state is found by; a later one has not."""
    with Lab(hosts=2, rules="block\npass in on ext proto udp\n") as lab:
        g = Gate(lab)
        v6 = ":" in a
        eq(g.into(ip(a, b) / UDP(sport=1000, dport=53) / b"question"), True)
        for offset, want in ((0, True), (1, False)):
            datagram = raw(UDP(sport=1000, dport=53, len=2000, chksum=1) / (b"x" * 40))
            if v6:
                quote = IPv6(src=a, dst=b) / IPv6ExtHdrFragment(offset=offset, m=1, nh=17)
                err = IPv6(src=b, dst=a) / ICMPv6DestUnreach(code=4)
            else:
                quote = IP(src=a, dst=b, flags="MF", frag=offset, proto=17)
                err = IP(src=b, dst=a) / ICMP(type=3, code=3)
            eq(g.out(err / quote / Raw(datagram)), want, f"offset {offset}")
        eq(lab.pf.info()["fragment"], 1)


def test_port_unreachable_of_real_stacks():
    rules = "block\npass in on ext proto udp\npass out on int proto udp\n"
    with Lab(rules=rules) as lab:
        for addr in (DST, DST6):
            eq(lab.src.can_ask(addr, 9), "refused", addr)


def test_path_mtu_discovery():
    """Too big for the far link: the firewall's own error passes by the state."""
    from test_basic import transfer
    rules = "block\npass in on ext proto tcp\npass out on int proto tcp\n"
    with Lab(rules=rules) as lab:
        lab.fw.ip("link", "set", "int", "mtu", "1280")
        for addr in (DST, DST6):
            eq(transfer(lab, addr, 300000), {"there": 300000, "back": 300000})
        contains(lab.src.ip("route", "get", DST), "mtu 1280")


def test_traceroute():
    """Time exceeded for hop 1 is the firewall's own; from beyond it comes by the state."""
    rules = "block\npass in on ext proto udp\npass out on int proto udp\n"
    with Lab(rules=rules) as lab:
        with lab.src.sock(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
            s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
            s.settimeout(2)
            s.connect((DST, 33434))
            s.send(b"x")
            wait_for("an error", lambda: s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 2)


# --- scope, limit, timeouts, ends ---

def test_states_are_floating():
    """A state is found on every interface; direction counts."""
    rules = "block\npass in on ext proto udp\n"
    with Lab(rules=rules) as lab:
        ext, inner = Gate(lab, "ext"), Gate(lab, "int")
        q = ip(GHOST, GHOST_DST) / UDP(sport=1000, dport=53)
        a = ip(GHOST_DST, GHOST) / UDP(sport=53, dport=1000)
        eq(ext.into(q), True)
        eq(inner.out(a), True, "the answer leaves elsewhere")
        eq(inner.into(q), True, "the question comes elsewhere")
        eq(inner.out(q), False, "that is another state: out")
        eq(inner.into(a), False)
        eq(len(lab.pf.states()), 1)


def test_limit_is_exact():
    rules = "set limit states 10\nblock\npass in on ext proto udp\npass out on int\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        g = Gate(lab)
        passed = [p for p in range(1, 26)
                  if g.into(ip(GHOST, GHOST_DST) / UDP(sport=p, dport=53))]
        eq(passed, list(range(1, 11)))
        info = lab.pf.info()
        eq((info["current entries"], info["inserts"], info["memory"], info["state-limit"]),
           (10, 10, 15, 15))
        eq(g.into(ip(GHOST, GHOST_DST) / UDP(sport=3, dport=53)), True, "an existing one")
        eq([n["packets"] for _, n in lab.pf.rule_numbers()], [0, 11, 0], "refused: nobody's")
        lab.pf.ctl("-F", "states")
        eq(g.into(ip(GHOST, GHOST_DST) / UDP(sport=25, dport=53)), True, "room again")
        # a limit below what there is: nothing is lost, nothing new comes
        for p in range(30, 35):
            g.into(ip(GHOST, GHOST_DST) / UDP(sport=p, dport=53))
        lab.pf.load("set limit states 3\npass in on ext proto udp\n")
        eq(len(lab.pf.states()), 6)
        eq(g.into(ip(GHOST, GHOST_DST) / UDP(sport=31, dport=53)), True)
        eq(g.into(ip(GHOST, GHOST_DST) / UDP(sport=41, dport=53)), False)


def test_small_limits():
    """Adaptive timeouts that nobody asked for leave the states of a small table some time."""
    for n, start, end in ((1, 0, 2), (4, 2, 5), (9, 5, 10), (19, 11, 22), (54321, 32592, 65185)):
        rules = f"set limit states {n}\nset timeout {{ interval 1, udp.first 600 }}\npass in on ext\n"
        with Lab(hosts=2, v6=False, rules=rules) as lab:
            g = Gate(lab)
            text = lab.pf.ctl("-st").stdout
            matches(text, rf"^adaptive.start +{start} states$")
            matches(text, rf"^adaptive.end +{end} states$")
            if n > 9:
                continue
            eq([g.into(ip(GHOST, GHOST_DST) / UDP(sport=p, dport=53)) for p in range(1, n + 2)],
               [True] * n + [False])
            time.sleep(2.5)
            eq(len(lab.pf.states()), n)


def test_refused_state_is_logged():
    rules = "set limit states 1\npass in log on ext proto udp\n"
    with Lab(hosts=2, rules=rules) as lab:
        g = Gate(lab)
        eq(g.into(ip(GHOST, GHOST_DST) / UDP(sport=1, dport=53)), True)
        eq(g.into(ip(GHOST, GHOST_DST) / UDP(sport=2, dport=53)), False)
        wait_for("two records", lambda: len(lab.pf.log_records()) == 2)
        eq([(r["action"], r["reason"], r["rule"]) for r in lab.pf.log_records()],
           [("pass", "match", 0), ("block", "state-limit", 0)])


def test_states_expire():
    rules = ("set timeout { udp.first 1, udp.single 2, udp.multiple 60, icmp.first 1, "
             "tcp.first 1, tcp.closed 1, interval 1 }\npass in on ext\n")
    with Lab(hosts=2, rules=rules) as lab:
        g = Gate(lab)
        g.into(ip(GHOST, GHOST_DST) / UDP(sport=1, dport=53))
        g.into(ip(GHOST, GHOST_DST) / TCP(sport=1, dport=53, flags="S"))
        g.into(ip(GHOST, GHOST_DST) / ICMP(id=1))
        for way in range(3):
            g.into(ip(GHOST, GHOST_DST) / UDP(sport=2, dport=53))
            g.out(ip(GHOST_DST, GHOST) / UDP(sport=53, dport=2))
        handshake(g, GHOST, GHOST_DST)
        eq(len(lab.pf.states()), 5)
        began = time.monotonic()
        wait_for("three to end", lambda: len(lab.pf.states()) == 2, 8)
        at_least(time.monotonic() - began, 0.9)
        contains(lab.pf.state("udp"), "MULTIPLE:MULTIPLE")
        eq(lab.pf.info()["removals"], 3)
        g.out(ip(GHOST_DST, GHOST) / TCP(sport=80, dport=1000, flags="R", seq=501))
        wait_for("the reset one", lambda: len(lab.pf.states()) == 1, 8)


def test_expired_states_are_not_used():
    """Between its end and the sweep a state may still be found, but not for long."""
    rules = "set timeout { udp.first 1, interval 1 }\nblock\npass in on ext proto udp to port 53\n"
    with Lab(hosts=2, rules=rules) as lab:
        g = Gate(lab)
        g.into(ip(GHOST, GHOST_DST) / UDP(sport=1, dport=53))
        time.sleep(4)
        eq(g.out(ip(GHOST_DST, GHOST) / UDP(sport=53, dport=1)), False)


def test_kill():
    with Lab(hosts=2, v6=False, rules="pass in on ext\npass out on ext\n") as lab:
        g = Gate(lab)
        a, b, c = "192.0.2.100", "198.51.100.100", "203.0.113.5"

        def fill():
            lab.pf.ctl("-F", "states")
            for s, d in ((a, b), (a, c), (c, b), (GHOST6, GHOST6_DST)):
                g.into(ip(s, d) / UDP(sport=1, dport=2))
            g.out(ip(b, "198.51.100.7") / UDP(sport=1, dport=2))

        def left(*args):
            r = lab.pf.ctl(*args)
            killed = matches(r.stderr, r"killed (\d+) states")
            eq(int(killed[1]) + len(lab.pf.states()), 5)
            out = []
            for s in lab.pf.states():
                m = re.match(r"all udp (\S+?)(?:\[\d+\]|:\d+) (<-|->) (\S+?)(?:\[\d+\]|:\d+) ", s)
                out.append((m[3], m[1]) if m[2] == "<-" else (m[1], m[3]))
            return sorted(out)

        out_one = (b, "198.51.100.7")
        everything = sorted([(a, b), (a, c), (c, b), (GHOST6, GHOST6_DST), out_one])
        for args, gone in (
                (["-k", a], [(a, b), (a, c)]), (["-k", c], [(c, b)]),
                (["-k", b], [out_one]), (["-k", "203.0.113.77"], []),
                (["-k", "192.0.2.0/24"], [(a, b), (a, c)]),
                (["-k", "0.0.0.0/0", "-k", b], [(a, b), (c, b)]),
                (["-k", a, "-k", b], [(a, b)]), (["-k", a, "-k", GHOST6_DST], []),
                (["-k", GHOST6], [(GHOST6, GHOST6_DST)]),
                (["-k", "::/0"], [(GHOST6, GHOST6_DST)])):
            fill()
            eq(left(*args), [e for e in everything if e not in gone], " ".join(args))
        fill()
        r = lab.pf.ctl("-F", "states")
        eq((r.stderr, lab.pf.states()), ("5 states cleared\n", []))


def test_slots_of_killed_states_do_not_rest():
    with Lab(hosts=2, v6=False, rules="pass in on ext\n") as lab:
        g = Gate(lab)
        limbo = lab.pf.map("limbo")
        rest_for_long(lab.pf)
        try:
            for args, n, said in (
                    (("-F", "states"), 20, "20 states cleared\n"),
                    (("-k", "192.0.2.100"), 1,
                     "killed 1 states from 1 sources and 0 destinations\n")):
                for port in range(n):
                    g.into(ip("192.0.2.100", "198.51.100.100") / UDP(sport=port, dport=2))
                eq(lab.pf.ctl(*args).stderr, said)
                wait_for("the slots to be free again", lambda: is_empty(limbo), 20)
        finally:
            limbo.close()
        table = Table(lab.pf)
        eq((table.faults(), table.queue_faults(lab.pf)), ([], []))


def test_no_state():
    with Lab(hosts=2, rules="block\npass in on ext proto udp no state\n") as lab:
        g = Gate(lab)
        eq(g.into(ip(GHOST, GHOST_DST) / UDP(sport=1, dport=2)), True)
        eq(g.out(ip(GHOST_DST, GHOST) / UDP(sport=2, dport=1)), False)
        eq(lab.pf.states(), [])


def test_default_rule_keeps_no_state():
    with Lab(hosts=2, rules="block in on nosuch0\n") as lab:
        g = Gate(lab)
        eq(g.into(ip(GHOST, GHOST_DST) / UDP(sport=1, dport=2)), True)
        eq(lab.pf.states(), [])


def test_fast_path_counts():
    """Established packets count in their state, and so for their rule."""
    with Lab(hosts=2, v6=False, rules="block\npass in on ext proto { tcp udp }\n") as lab:
        g = Gate(lab)
        handshake(g, GHOST, GHOST_DST)
        for i in range(50):
            eq(g.into(ip(GHOST, GHOST_DST) / TCP(sport=1000, dport=80, flags="A", seq=101 + i,
                                                ack=501) / b"x"), True)
        slot = Slots(lab.pf).find(GHOST, GHOST_DST, 1000, 80, 6)
        eq(slot.dump()["packets"], [52, 1])
        numbers = [n for _, n in lab.pf.rule_numbers()]
        eq((numbers[1]["packets"], numbers[1]["bytes"]), (53, 3 * 40 + 50 * 41))
        eq(lab.pf.info()["searches"], 53)
        lab.pf.ctl("-k", GHOST)
        numbers = [n for _, n in lab.pf.rule_numbers()]
        eq((numbers[1]["packets"], numbers[1]["bytes"]), (53, 3 * 40 + 50 * 41), "after its end")
        eq(lab.pf.info()["searches"], 53)


def test_pfd_own_address():
    """States of the firewall itself, both ways."""
    with Lab(hosts=2, rules="block\npass out on ext\npass in on ext proto tcp to port 22\n") as lab:
        eq(lab.fw.ping(SRC), True)
        with lab.src.listen(80):
            eq(lab.fw.can_connect(SRC, 80), "yes")
        with lab.fw.listen(22):
            eq(lab.src.can_connect(FW_SRC, 22), "yes")
        eq(lab.src.ping(FW_SRC), False)
