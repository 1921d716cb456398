# SPDX-License-Identifier: BSD-2-Clause
"""Fragments: a first one that holds the whole transport header is judged as any packet,
the others by what they show: addresses, protocol, interface, and that they are fragments."""
import socket
import struct

from pft.check import cases, contains, eq, lines_eq
from pft.lab import (DST, DST6, FW6_SRC, FW_SRC, GHOST, GHOST6, GHOST6_DST, GHOST_DST, MAC,
                     REASONS, SRC, SRC6, Lab)
from pft.netns import wait_for
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6ND_NS, IPv6, IPv6ExtHdrDestOpt,
                                IPv6ExtHdrFragment, IPv6ExtHdrHopByHop)
from scapy.layers.l2 import Ether
from scapy.packet import Raw, raw

PASS, DROP = -1, 2
BOTH = cases(("ipv4", GHOST, GHOST_DST), ("ipv6", GHOST6, GHOST6_DST))
PROTO = {TCP: 6, UDP: 17, ICMP: 1, ICMPv6EchoRequest: 58, ICMPv6ND_NS: 58}


def send(lab, pkt, way="in", dev="ext"):
    """The verdict on a packet of scapy's, or on its bytes."""
    data = pkt if isinstance(pkt, bytes) else raw(pkt)
    kind = 0x86DD if data[0] >> 4 == 6 else 0x0800
    return lab.pf.run(dev, way, raw(Ether(dst=MAC[dev], src="02:00:00:00:00:99", type=kind)) +
                      data)[0]


def payload(src, dst, *layers):
    """The bytes behind the IP header, checksums and all, and the protocol."""
    whole = (IPv6 if ":" in src else IP)(src=src, dst=dst) / layers[0]
    for part in layers[1:]:
        whole /= part
    return raw(whole)[40 if ":" in src else 20:], PROTO[type(layers[0])]


def piece(src, dst, data, proto, offset, more, ident=1, **kw):
    """One fragment: data is what it carries, offset in bytes."""
    if ":" in src:
        return IPv6(src=src, dst=dst, **kw) / IPv6ExtHdrFragment(
            nh=proto, offset=offset // 8, m=int(more), id=ident) / Raw(data)
    return IP(src=src, dst=dst, id=ident, proto=proto, frag=offset // 8,
              flags="MF" if more else 0, **kw) / Raw(data)


def cut_up(src, dst, cuts, *layers, ident=1, **kw):
    """A packet's fragments, cut at these offsets."""
    data, proto = payload(src, dst, *layers)
    ends = list(cuts) + [len(data)]
    return [piece(src, dst, data[at:end], proto, at, end < len(data), ident, **kw)
            for at, end in zip([0] + list(cuts), ends)]


def three(src, dst, *layers, **kw):
    """A first, a middle and a last one."""
    return cut_up(src, dst, (32, 64), *layers, **kw)


class Reasons:
    """The counters by reason, read from their map: -si would cost a process each time."""

    def __init__(self, lab):
        self.map = lab.pf.map("counters")
        self.last = self.get()

    def get(self):
        return {n: self.map.u64_sum(i) for i, n in enumerate(REASONS)}

    def moved(self):
        """What has changed since the last time."""
        before, self.last = self.last, self.get()
        return {n: v - before[n] for n, v in self.last.items() if v != before[n]}


# name, rules, verdicts of the first, the middle and the last fragment of UDP 1000 -> 53
RULES = [
    ("all", "pass no state", (PASS, PASS, PASS)),
    ("port", "block\npass proto udp to port 53 no state", (PASS, DROP, DROP)),
    ("source_port", "block\npass proto udp from port 1000 no state", (PASS, DROP, DROP)),
    ("other_port", "block\npass proto udp to port 54 no state", (DROP, DROP, DROP)),
    ("not_port", "block\npass proto udp to port != 54 no state", (PASS, DROP, DROP)),
    ("block_port", "pass no state\nblock proto udp to port 53", (DROP, PASS, PASS)),
    ("protocol", "block\npass proto udp no state", (PASS, PASS, PASS)),
    ("other_protocol", "pass no state\nblock proto tcp", (PASS, PASS, PASS)),
    ("address", "block\npass from { 192.0.2.100 2001:db8:1::100 } no state", (PASS, PASS, PASS)),
    ("not_address", "pass no state\nblock inet from ! 192.0.2.7\nblock inet6 from ! ::7",
     (DROP, DROP, DROP)),
    ("table", "table <t> { 198.51.100.0/24 2001:db8:2::/48 }\nblock\npass to <t> no state",
     (PASS, PASS, PASS)),
    ("fragment", "pass no state\nblock fragment", (DROP, DROP, DROP)),
    ("no_fragment", "block fragment\npass no state", (PASS, PASS, PASS)),
    ("port_and_fragment", "block\npass proto udp to port 53 no state\npass fragment no state",
     (PASS, PASS, PASS)),
    ("fragment_of", "block\npass proto udp fragment no state", (PASS, PASS, PASS)),
    ("fragment_of_other", "block\npass proto tcp fragment no state", (DROP, DROP, DROP)),
    ("quick", "block in quick proto udp to port 53\npass quick fragment no state\nblock",
     (DROP, PASS, PASS)),
    ("interface", "block\npass in on int no state", (DROP, DROP, DROP)),
    ("direction", "pass no state\nblock out", (PASS, PASS, PASS)),
    # the last one, for it leaves states
    ("with_state", "block\npass", (PASS, PASS, PASS)),
]


def test_rules():
    """What rules can see of each fragment, for both families."""
    with Lab(hosts=2, v6=False) as lab:
        for name, rules, want in RULES:
            lab.pf.load(rules + "\n")
            for a, b in ((GHOST, GHOST_DST), (GHOST6, GHOST6_DST)):
                udp = three(a, b, UDP(sport=1000, dport=53), bytes(range(88)))
                got = tuple(send(lab, p) for p in udp)
                eq(got, want, f"{name}, {a}")


@BOTH
def test_order_does_not_matter(_name, a, b):
    """No fragment changes what becomes of another: nothing is remembered of them."""
    rules = "block\npass proto udp to port 53\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        first, middle, last = three(a, b, UDP(sport=1000, dport=53), bytes(88))
        for p, want in ((last, DROP), (middle, DROP), (first, PASS), (middle, DROP),
                        (first, PASS), (last, DROP)):
            eq(send(lab, p), want)
        eq(len(lab.pf.states()), 1)
        eq(Reasons(lab).last["match"], 5)
        eq(sum(Reasons(lab).last.values()), 5)


@BOTH
def test_states(_name, a, b):
    """The first fragment makes a state and goes by it; the others are judged by rules."""
    with Lab(hosts=2, v6=False, rules="block\npass in proto udp\n") as lab:
        first, middle, last = three(a, b, UDP(sport=1000, dport=53), bytes(88))
        eq(send(lab, middle), PASS, "by the rule, which needs no ports")
        eq(lab.pf.states(), [], "it makes no state")
        eq(send(lab, first), PASS)
        contains(lab.pf.state("udp"), "NO_TRAFFIC:SINGLE")
        eq([send(lab, p) for p in (middle, last)], [PASS, PASS])
        # the answer's first fragment goes by the state, its others find no rule
        there = three(b, a, UDP(sport=53, dport=1000), bytes(88))
        eq([send(lab, p, "out") for p in there], [PASS, DROP, DROP])
        contains(lab.pf.state("udp"), "SINGLE:MULTIPLE")
        eq(send(lab, first), PASS)
        contains(lab.pf.state("udp"), "MULTIPLE:MULTIPLE")
        # the state counts its own, the rule its own: together the 3 + 4 that passed by it
        size = [len(raw(p)) for p in (first, middle, last)]
        text = lab.pf.ctl("-ss", "-v").stdout
        contains(text, f"2:1 pkts, {2 * size[0]}:{size[0]} bytes, rule 1")
        numbers = [n for _, n in lab.pf.rule_numbers()]
        eq((numbers[1]["packets"], numbers[1]["bytes"], numbers[1]["states"]),
           (6, 3 * size[0] + 2 * size[1] + size[2], 1))
        eq(numbers[0]["packets"], 2)
        # without the rule, only those with a header still have a state to go by
        lab.pf.load("block\n")
        eq([send(lab, p) for p in (first, middle, last)], [PASS, DROP, DROP])
        eq([send(lab, p, "out") for p in there], [PASS, DROP, DROP])


@BOTH
def test_tcp_states(_name, a, b):
    """A segment in fragments: its first one moves the window by the length that it has."""
    rules = "block\npass in proto tcp\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        seg, back = {"sport": 1000, "dport": 80}, {"sport": 80, "dport": 1000}

        def whole(src, dst, t, way):
            return send(lab, (IPv6 if ":" in a else IP)(src=src, dst=dst) / t, way)
        eq(whole(a, b, TCP(flags="S", seq=100, **seg), "in"), PASS)
        eq(whole(b, a, TCP(flags="SA", seq=500, ack=101, **back), "out"), PASS)
        eq(whole(a, b, TCP(flags="A", seq=101, ack=501, **seg), "in"), PASS)
        data = three(a, b, TCP(flags="PA", seq=101, ack=501, **seg), bytes(76))
        eq([send(lab, p) for p in data], [PASS, DROP, DROP], "the rule asks for flags")
        lab.pf.load(rules + "pass in proto tcp fragment\n")
        eq([send(lab, p) for p in data], [PASS, PASS, PASS])
        contains(lab.pf.state("tcp"), "ESTABLISHED:ESTABLISHED")
        # far beside the window: dropped as a whole segment would be
        first, middle, _ = three(a, b, TCP(flags="PA", seq=10**6, ack=501, **seg), bytes(76))
        eq((send(lab, first), send(lab, middle)), (DROP, PASS))
        eq(lab.pf.info()["state-mismatch"], 1)
        eq(whole(b, a, TCP(flags="A", seq=501, ack=177, **back), "out"), PASS)


# --- first fragments that hide something ---

def test_tiny_first_fragments():
    """IPv4: without a whole transport header there is nothing to judge: short."""
    tcp, _ = payload(GHOST, GHOST_DST, TCP(sport=1000, dport=80, flags="S",
                                           options=[("NOP", None)] * 12), b"x" * 40)
    udp, _ = payload(GHOST, GHOST_DST, UDP(sport=1000, dport=53), b"x" * 40)
    icmp, _ = payload(GHOST, GHOST_DST, ICMP(type=8, id=5), b"x" * 40)
    with Lab(hosts=2, v6=False, rules="pass no state flags any\npass fragment no state\n") as lab:
        reasons = Reasons(lab)
        for what, data, proto, n, reason in (
                ("TCP, no byte", tcp, 6, 0, "short"), ("TCP, ports", tcp, 6, 8, "short"),
                ("TCP, up to the flags", tcp, 6, 16, "short"),
                ("TCP, options cut", tcp, 6, 24, "short"), ("TCP, options", tcp, 6, 32, None),
                ("UDP, no byte", udp, 17, 0, "short"), ("UDP, its header", udp, 17, 8, None),
                ("ICMP, no byte", icmp, 1, 0, "short"), ("ICMP, its header", icmp, 1, 8, None)):
            got = send(lab, piece(GHOST, GHOST_DST, data[:n], proto, 0, True))
            eq(reasons.moved(), {reason: 1} if reason else {"match": 1}, what)
            eq(got, DROP if reason else PASS, what)


def test_tiny_first_fragments_ipv6():
    """As pf: no protocol is seen in them, so no rule with one matches."""
    rules = "block\npass inet6 proto { tcp udp icmp6 } no state\n"
    tcp, _ = payload(GHOST6, GHOST6_DST, TCP(sport=1000, dport=80, flags="S"), b"x" * 40)
    udp, _ = payload(GHOST6, GHOST6_DST, UDP(sport=1000, dport=53), b"x" * 40)
    icmp, _ = payload(GHOST6, GHOST6_DST, ICMPv6EchoRequest(id=5), b"x" * 40)
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        def verdicts():
            return [send(lab, piece(GHOST6, GHOST6_DST, data[:n], proto, 0, True))
                    for data, proto, n in ((tcp, 6, 0), (tcp, 6, 8), (tcp, 6, 16), (udp, 17, 0),
                                           (icmp, 58, 0), (tcp, 6, 24), (udp, 17, 8),
                                           (icmp, 58, 8))]
        eq(verdicts(), [DROP] * 5 + [PASS] * 3)
        eq(lab.pf.info()["match"], 8)
        lab.pf.load("block\npass fragment no state\n")
        eq(verdicts(), [PASS] * 8)
        eq(lab.pf.info()["short"], 0)


def test_overwriting_fragments():
    """RFC 1858: a fragment at offset 8 would put other flags into a segment that passed."""
    with Lab(hosts=2, v6=False, rules="block\npass proto tcp to port 80 flags A/SA no state\n"
                                      "pass proto tcp from port 25 flags any no state\n") as lab:
        for a, b in ((GHOST, GHOST_DST), (GHOST6, GHOST6_DST)):
            ack, proto = payload(a, b, TCP(sport=1000, dport=80, flags="A"), b"x" * 20)
            syn, _ = payload(a, b, TCP(sport=1000, dport=80, flags="S"), b"x" * 20)
            eq(send(lab, piece(a, b, ack[:24], proto, 0, True)), PASS)
            eq(send(lab, piece(a, b, syn[8:], proto, 8, False)), DROP)
            eq(send(lab, piece(a, b, b"\0\x19" * 20, proto, 8, False)), DROP)


@BOTH
def test_beyond_the_longest_packet(_name, a, b):
    """A fragment that would end beyond 65535 bytes belongs to no packet: reason fragment."""
    with Lab(hosts=2, v6=False, rules="pass no state\n") as lab:
        reasons = Reasons(lab)
        # an IPv4 packet's length includes its header
        longest = 65535 if ":" in a else 65515
        for what, offset, end, want in (
                ("the last byte", 65496, longest, PASS), ("beyond it", 65496, 65536, DROP),
                ("at the highest offset", 65528, 65536, DROP),
                ("far beyond", 65528, 65528 + 1400, DROP)):
            got = send(lab, piece(a, b, bytes(end - offset), 17, offset, False))
            eq(reasons.moved(), {"match" if want == PASS else "fragment": 1}, what)
            eq(got, want, what)


def test_fragment_header_that_is_not_there():
    """The padding behind a packet is not its fragment header."""
    with Lab(hosts=2, v6=False, rules="pass no state\n") as lab:
        reasons = Reasons(lab)
        header = struct.pack("!BBHI", 17, 0, 64 << 3, 1)
        for n in (0, 4, 7):
            data = raw(IPv6(src=GHOST6, dst=GHOST6_DST, nh=44, plen=n)) + header + bytes(32)
            eq(send(lab, data), DROP, f"{n} of 8 bytes")
            eq(reasons.moved(), {"short": 1}, f"{n} of 8 bytes")
        eq(send(lab, raw(IPv6(src=GHOST6, dst=GHOST6_DST, nh=44, plen=8)) + header + bytes(32)),
           PASS)


# --- extension headers ---

def test_atomic_fragments():
    """RFC 6946: alone, with offset 0 and no more to come: a whole packet, not a fragment."""
    def atomic(src, dst, l4):
        return IPv6(src=src, dst=dst) / IPv6ExtHdrFragment(offset=0, m=0, id=7) / l4
    a, b = GHOST6, GHOST6_DST
    rules = "pass\nblock fragment\nblock proto udp to port 54\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        eq(send(lab, atomic(a, b, UDP(sport=1000, dport=54))), DROP, "ports are seen")
        eq(send(lab, atomic(a, b, UDP(sport=1000, dport=53))), PASS, "it is no fragment")
        lines_eq(lab.pf.states(), [f"all udp {b}[53] <- {a}[1000]       NO_TRAFFIC:SINGLE"])
        eq(send(lab, IPv6(src=b, dst=a) / UDP(sport=53, dport=1000), "out"), PASS)
        contains(lab.pf.state("udp"), "SINGLE:MULTIPLE", "of the same state")
        eq(send(lab, atomic(b, a, UDP(sport=53, dport=1000)), "out"), PASS)
        eq(send(lab, atomic(a, b, TCP(sport=1000, dport=80, flags="S", seq=100))), PASS)
        eq(send(lab, atomic(b, a, TCP(sport=80, dport=1000, flags="SA", seq=1, ack=101)), "out"),
           PASS)
        contains(lab.pf.state("tcp"), "SYN_SENT:ESTABLISHED")
        eq(send(lab, atomic(a, b, ICMPv6EchoRequest(id=5))), PASS)
        eq(len(lab.pf.states()), 3)
        # a whole packet's header must be there
        reasons = Reasons(lab)
        eq(send(lab, IPv6(src=a, dst=b) / IPv6ExtHdrFragment(nh=17) / Raw(b"1234567")), DROP)
        eq(reasons.moved(), {"short": 1})


def test_fragments_behind_options():
    """Options count in every fragment; those inside the fragmented part only in the first."""
    a, b = GHOST6, GHOST6_DST

    def parts(before, offset):
        p = IPv6(src=a, dst=b)
        if before is not None:
            p /= before
        return p / IPv6ExtHdrFragment(offset=offset, m=1 - (offset > 0), nh=17)
    udp, _ = payload(a, b, UDP(sport=1000, dport=53), bytes(24))
    rules = "pass no state\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        reasons = Reasons(lab)
        for what, pkt, want in (
                ("none, first", parts(None, 0) / Raw(udp[:16]), PASS),
                ("none, last", parts(None, 2) / Raw(udp[16:]), PASS),
                ("before, first", parts(IPv6ExtHdrHopByHop(), 0) / Raw(udp[:16]), DROP),
                ("before, last", parts(IPv6ExtHdrHopByHop(), 2) / Raw(udp[16:]), DROP),
                ("inside, first", IPv6(src=a, dst=b) / IPv6ExtHdrFragment(m=1) /
                 IPv6ExtHdrDestOpt() / UDP(dport=53, len=99) / Raw(bytes(8)), DROP),
                ("inside, last", IPv6(src=a, dst=b) / IPv6ExtHdrFragment(offset=3, nh=60) /
                 Raw(bytes(16)), PASS)):
            got = send(lab, pkt)
            eq(reasons.moved(), {"match": 1} if want == PASS else {"match": 1, "ip-option": 1},
               what)
            eq(got, want, what)
        lab.pf.load("pass no state allow-opts\n")
        eq(send(lab, parts(IPv6ExtHdrHopByHop(), 0) / Raw(udp[:16])), PASS)
        eq(send(lab, parts(IPv6ExtHdrHopByHop(), 2) / Raw(udp[16:])), PASS)


def test_fragmented_neighbour_discovery():
    """A first fragment must be right as the whole would; a later one shows no type."""
    a, b = SRC6, FW6_SRC
    solicit, proto = payload(a, b, ICMPv6ND_NS(tgt=b), bytes(40))
    rules = "block\npass inet6 proto icmp6 icmp6-type neighbrsol no state\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        reasons = Reasons(lab)

        def verdict(data, offset, more, hlim):
            got = send(lab, piece(a, b, data, proto, offset, more, hlim=hlim))
            return got, reasons.moved()
        eq(verdict(solicit[:32], 0, True, 255), (PASS, {"match": 1}), "whole in its first")
        eq(verdict(solicit[:32], 0, True, 254), (DROP, {"normalize": 1}), "from afar")
        eq(verdict(solicit[:16], 0, True, 255), (DROP, {"short": 1}), "its target cut")
        eq(verdict(solicit[32:], 32, False, 255), (DROP, {"match": 1}), "the rest")
        eq(verdict(solicit[32:], 32, False, 64), (DROP, {"match": 1}), "the rest, from afar")
        lab.pf.load("block\npass inet6 proto icmp6 no state\n")
        eq(verdict(solicit[32:], 32, False, 255), (PASS, {"match": 1}), "by protocol")


# --- the log ---

def test_logged():
    """Without ports where there are none, and whole; drops of the parser name their reason."""
    rules = "block log fragment\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        first, _, last = three(GHOST, GHOST_DST, UDP(sport=1000, dport=53), bytes(range(88)))
        _, middle6, _ = three(GHOST6, GHOST6_DST, UDP(sport=1000, dport=53), bytes(range(88)))
        tiny = piece(GHOST, GHOST_DST, b"12345678", 6, 0, True)
        want = []
        for p, reason, rule, ports in ((first, 0, 0, (1000, 53)), (last, 0, 0, (0, 0)),
                                       (middle6, 0, 0, (0, 0)), (tiny, 3, -1, (0, 0))):
            eq(send(lab, p), DROP)
            want.append((reason, rule, ports, raw(p)))

        def records():
            with open(lab.pf.logfile, "rb") as f:
                data = f.read()[24:]
            out, at = [], 0
            while at < len(data):
                size, = struct.unpack_from("=I", data, at + 8)
                rec = data[at + 16:at + 16 + size]
                out.append((rec[3], struct.unpack_from("!i", rec, 36)[0],
                            struct.unpack_from("!HH", rec, 96), rec[100:]))
                at += 16 + size
            return out
        wait_for("the records", lambda: len(records()) >= len(want))
        eq(sorted(records()), sorted(want))


# --- real stacks ---

def echo_once(server, client, addr, size):
    """Sends a datagram and gets it back; what came at each end, None if nothing did."""
    client.settimeout(0.15)
    server.settimeout(0.15)
    data = bytes(i % 251 for i in range(size))
    client.sendto(data, addr)
    there = back = None
    try:
        got, who = server.recvfrom(65536)
        there = len(got) if got == data else "damaged"
        server.sendto(got, who)
        got = client.recv(65536)
        back = len(got) if got == data else "damaged"
    except socket.timeout:
        pass
    return there, back


@cases(("ipv4", socket.AF_INET, DST), ("ipv6", socket.AF_INET6, DST6))
def test_large_datagrams_through(_name, family, addr):
    """Rules with ports let the first fragment pass only; `fragment` rules the others."""
    ports = "block\npass in on ext proto udp to port 53\npass out on int proto udp to port 53\n"
    there = "pass in on ext fragment\npass out on int fragment\n"
    back = "pass in on int proto udp fragment\npass out on ext proto udp fragment\n"
    with Lab() as lab:
        with lab.dst.udp(53, family=family) as server, lab.src.udp(family=family) as client:
            for what, rules, size, want in (
                    ("small", ports, 1000, (1000, 1000)), ("large", ports, 8000, (None, None)),
                    ("large, one way", ports + there, 8000, (8000, None)),
                    ("large, both ways", ports + there + back, 8000, (8000, 8000)),
                    ("the largest", ports + there + back, 65000, (65000, 65000)),
                    ("without ports", "block\npass in on ext proto udp\npass out on int proto udp"
                     "\n", 8000, (8000, None))):
                lab.pf.load(rules)
                eq(echo_once(server, client, (addr, 53), size), want, what)
        # those that passed are whole: states count first fragments alone
        eq(len(lab.pf.states()), 2)
        eq(lab.pf.info()["short"], 0)


@cases(("ipv4", socket.AF_INET, SRC, FW_SRC), ("ipv6", socket.AF_INET6, SRC6, FW6_SRC))
def test_large_datagrams_of_the_firewall(_name, family, far, near):
    """The firewall's own come to the rules in fragments, in both directions."""
    with Lab(hosts=2) as lab:
        with lab.src.udp(53, family=family) as server, lab.fw.udp(family=family) as client, \
                lab.fw.udp(54, family=family) as own, lab.src.udp(family=family) as other:
            out = "block\npass out on ext proto udp to port 53\n"
            both = out + "pass on ext proto udp fragment\npass in on ext proto udp to port 54\n"
            for what, rules, size, want in (
                    ("out, small", out, 1000, (1000, 1000)), ("out, large", out, 8000, (None,) * 2),
                    ("out, fragments too", both, 8000, (8000, 8000))):
                lab.pf.load(rules)
                eq(echo_once(server, client, (far, 53), size), want, what)
            eq(echo_once(own, other, (near, 54), 8000), (8000, 8000), "in, fragments too")
            lab.pf.load("block\npass in on ext proto udp to port 54\n")
            eq(echo_once(own, other, (near, 54), 8000), (None, None), "in, large")
            eq(echo_once(own, other, (near, 54), 1000), (1000, 1000), "in, small")


def test_large_pings():
    """`icmp-type' is in the first fragment alone."""
    typed = "block\npass in on ext inet proto icmp icmp-type echoreq\n" \
            "pass in on ext inet6 proto icmp6 icmp6-type echoreq\n"
    with Lab(hosts=2) as lab:
        lab.pf.load(typed)
        for addr in (FW_SRC, FW6_SRC):
            eq(lab.src.ping(addr), True, "small")
            eq(lab.src.ping(addr, 0.15, size=3000), False, "large")
        lab.pf.load(typed + "pass on ext proto { icmp icmp6 } fragment\n")
        for addr in (FW_SRC, FW6_SRC):
            eq(lab.src.ping(addr, 0.5, size=3000), True, "large, with its fragments")
