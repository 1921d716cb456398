# SPDX-License-Identifier: BSD-2-Clause
"""Packets that are not as they should be: dropped with a counted reason, or repaired."""
import struct

from pft.check import cases, contains, eq
from pft.lab import MAC, Lab
from pft.netns import wait_for
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_Router_Alert, IPOption_Timestamp
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6MLReport, ICMPv6ND_NA, ICMPv6ND_NS,
                                IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
                                IPv6ExtHdrRouting, Jumbo, PadN, RouterAlert)
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw, raw

PASS, DROP = -1, 2
A, B = "192.0.2.1", "198.51.100.1"
A6, B6 = "2001:db8:1::1", "2001:db8:2::1"
V4 = IP(src=A, dst=B)
V6 = IPv6(src=A6, dst=B6)


def ether(payload, kind):
    return raw(Ether(dst=MAC["ext"], src="02:00:00:00:00:99", type=kind)) + payload


def frame(pkt):
    data = pkt if isinstance(pkt, bytes) else raw(pkt)
    return ether(data, 0x86DD if data[0] >> 4 == 6 else 0x0800)


def cut(pkt, n):
    """The first n bytes of a packet whose lengths claim more."""
    return raw(pkt)[:n]


def tcp(flags, base=V4, **kw):
    return base / TCP(sport=1024, dport=80, flags=flags, **kw)


def patched(pkt, offset, *values):
    data = bytearray(raw(pkt))
    data[offset:offset + len(values)] = bytes(values)
    return bytes(data)


UDP4 = V4 / UDP(sport=1, dport=2) / b"12345678"
UDP6 = V6 / UDP(sport=1, dport=2) / b"12345678"

# what, packet, the reason's counter (None: it passes)
PACKETS = [
    ("a good one", UDP4, None),
    ("a good IPv6 one", UDP6, None),
    ("trailing bytes after IP", raw(UDP4) + b"\0" * 18, None),
    ("IPv4 header cut", cut(UDP4, 19), "short"),
    ("IPv4 shorter than it says", cut(UDP4, 30), "short"),
    ("IPv4 header length 4", patched(UDP4, 0, 0x44), "short"),
    ("IPv4 header longer than the packet", patched(V4, 0, 0x4f), "short"),
    ("IPv4 total length below the header", patched(UDP4, 2, 0, 19), "short"),
    ("IPv4 total length 0", patched(UDP4, 2, 0, 0), "short"),
    ("UDP header cut", V4.copy().__class__(src=A, dst=B, proto=17) / Raw(b"1234567"), "short"),
    ("UDP length below 8", V4 / UDP(sport=1, dport=2, len=7) / b"12345678", "short"),
    ("UDP length beyond the packet", V4 / UDP(sport=1, dport=2, len=17) / b"12345678", "short"),
    ("UDP to port 0", V4 / UDP(sport=1, dport=0), "short"),
    ("UDP from port 0", V4 / UDP(sport=0, dport=1), None),
    ("TCP header cut", cut(IP(src=A, dst=B, len=39) / TCP(dport=80), 39), "short"),
    ("TCP data offset 4", tcp("S", dataofs=4), "short"),
    ("TCP options beyond the packet", tcp("S", dataofs=6), "short"),
    ("TCP to port 0", V4 / TCP(dport=0), "short"),
    ("TCP without flags", tcp(""), "normalize"),
    ("TCP SYN and RST", tcp("SR"), "normalize"),
    ("TCP FIN alone", tcp("F"), "normalize"),
    ("TCP christmas tree", tcp("FPU"), "normalize"),
    ("TCP PSH alone", tcp("P"), "normalize"),
    ("TCP URG alone", tcp("U"), "normalize"),
    ("TCP SYN and PSH", tcp("SP"), "normalize"),
    ("TCP SYN and URG", tcp("SU", urgptr=1), "normalize"),
    ("TCP RST and FIN", tcp("RF"), "normalize"),
    ("TCP RST", tcp("R"), None),
    ("TCP ACK", tcp("A"), None),
    ("TCP all options padded", tcp("S", options=[("NOP", None)] * 40), None),
    ("TCP option of length 0", patched(tcp("S", options=[("NOP", None)] * 4), 40, 9, 0), None),
    ("ICMP header cut", IP(src=A, dst=B, proto=1) / Raw(b"\x08\0\0\0\0\0\0"), "short"),
    ("ICMP in IPv6", IPv6(src=A6, dst=B6, nh=1) / Raw(b"\x08" + bytes(7)), "normalize"),
    ("ICMPv6 in IPv4", IP(src=A, dst=B, proto=58) / Raw(b"\x80" + bytes(7)), "normalize"),
    ("IPv4 ethertype, version 6", ether(raw(UDP6), 0x0800), "normalize"),
    ("IPv6 ethertype, version 4", ether(raw(UDP4) + bytes(40), 0x86DD), "normalize"),
    # IP options
    ("an IPv4 option", IP(src=A, dst=B, options=[IPOption_Timestamp()]) / UDP(dport=2),
     "ip-option"),
    ("router alert", IP(src=A, dst=B, options=[IPOption_Router_Alert()]) / UDP(dport=2),
     "ip-option"),
    ("padding instead of options", IP(src=A, dst=B, options=b"\1\1\1\0") / UDP(dport=2),
     "ip-option"),
    ("an option that runs out", IP(src=A, dst=B, options=b"\x44\x09\0\0") / UDP(dport=2),
     "ip-option"),
    ("an option of length 1", IP(src=A, dst=B, options=b"\x44\x01\0\0") / UDP(dport=2),
     "ip-option"),
    ("IGMP query with router alert",
     IP(src=A, dst="224.0.0.1", proto=2, ttl=1, options=[IPOption_Router_Alert()]) /
     Raw(b"\x11\0\xee\xff\0\0\0\0"), None),
    ("IGMP query with TTL 2", IP(src=A, dst="224.0.0.1", proto=2, ttl=2) /
     Raw(b"\x11\0\xee\xff\0\0\0\0"), "ip-option"),
    # fragments
    ("a later fragment", IP(src=A, dst=B, frag=8, proto=17) / Raw(bytes(64)), None),
    ("a fragment that must not be one", IP(src=A, dst=B, frag=8, flags="DF", proto=17) /
     Raw(bytes(64)), "fragment"),
    ("a first fragment", IP(src=A, dst=B, flags="MF", proto=17) /
     UDP(sport=1, dport=2, len=500) / Raw(bytes(64)), None),
    ("a first fragment without its UDP header", IP(src=A, dst=B, flags="MF", proto=17) /
     Raw(bytes(4)), "short"),
    # IPv6
    ("IPv6 header cut", cut(UDP6, 39), "short"),
    ("IPv6 shorter than it says", cut(UDP6, 50), "short"),
    ("UDP header cut in IPv6", IPv6(src=A6, dst=B6, nh=17) / Raw(b"1234567"), "short"),
    ("hop-by-hop options", V6 / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0\0")]) /
     UDP(dport=2), "ip-option"),
    ("destination options", V6 / IPv6ExtHdrDestOpt() / UDP(dport=2), "ip-option"),
    ("hop-by-hop not first", V6 / IPv6ExtHdrDestOpt() / IPv6ExtHdrHopByHop() / UDP(dport=2),
     "ip-option"),
    ("hop-by-hop cut", cut(IPv6(src=A6, dst=B6, plen=8, nh=0) / Raw(b"\x11\x02\x01\x14" + bytes(4)), 48),
     "short"),
    ("an option beyond its header",
     IPv6(src=A6, dst=B6, nh=0) / Raw(b"\x11\0\x3e\x05" + bytes(4)) / UDP(dport=2), "ip-option"),
    ("routing header 0", V6 / IPv6ExtHdrRouting(type=0, addresses=[A6]) / UDP(dport=2),
     "ip-option"),
    ("21 extension headers",
     IPv6(src=A6, dst=B6, nh=60) / Raw((b"\x3c" + bytes(7)) * 21 + b"\x11" + bytes(7)) /
     Raw(raw(UDP(dport=2))), "ip-option"),
    ("an extension header that runs out", IPv6(src=A6, dst=B6, nh=60) / Raw(b"\x11\x09" + bytes(6)),
     "short"),
    ("two routing headers", V6 / IPv6ExtHdrRouting(type=2, addresses=[A6]) /
     IPv6ExtHdrRouting(type=2, addresses=[A6]) / UDP(dport=2), "ip-option"),
    ("two jumbo options", IPv6(src=A6, dst=B6, plen=0) /
     IPv6ExtHdrHopByHop(options=[Jumbo(jumboplen=70000), Jumbo(jumboplen=70000)]) /
     UDP(dport=2), "ip-option"),
    ("a jumbogram", IPv6(src=A6, dst=B6, plen=0) /
     IPv6ExtHdrHopByHop(options=[Jumbo(jumboplen=70000)]) / UDP(dport=2), "normalize"),
    ("an atomic fragment", V6 / IPv6ExtHdrFragment(offset=0, m=0) / UDP(dport=2), None),
    ("a later IPv6 fragment", V6 / IPv6ExtHdrFragment(offset=8, m=0, nh=17) / Raw(bytes(16)), None),
    ("two fragment headers", V6 / IPv6ExtHdrFragment(offset=0, m=0) /
     IPv6ExtHdrFragment(offset=0, m=1) / UDP(dport=2), "fragment"),
    ("a first IPv6 fragment without its TCP header",
     IPv6(src=A6, dst=B6) / IPv6ExtHdrFragment(offset=0, m=1, nh=6) / Raw(bytes(8)), None),
    ("neighbour solicitation", IPv6(src=A6, dst=B6, hlim=255) / ICMPv6ND_NS(tgt=B6), None),
    ("neighbour solicitation from afar", IPv6(src=A6, dst=B6, hlim=254) / ICMPv6ND_NS(tgt=B6),
     "normalize"),
    ("neighbour advertisement cut", IPv6(src=A6, dst=B6, hlim=255, nh=58, plen=20) /
     Raw(raw(ICMPv6ND_NA(tgt=B6))[:20]), "short"),
    ("multicast listener report", IPv6(src="fe80::1", dst="ff02::16", hlim=1) /
     IPv6ExtHdrHopByHop(options=[RouterAlert(), PadN(optdata=b"")]) /
     ICMPv6MLReport(mladdr="ff02::1:2"), None),
    ("multicast listener report from afar", IPv6(src=A6, dst="ff02::16", hlim=1) /
     ICMPv6MLReport(mladdr="ff02::1:2"), "ip-option"),
    ("multicast listener report, hop limit 2", IPv6(src="fe80::1", dst="ff02::16", hlim=2) /
     ICMPv6MLReport(mladdr="ff02::1:2"), "ip-option"),
    ("echo request", V6 / ICMPv6EchoRequest(id=1), None),
    # link layer
    ("a VLAN tag", raw(Ether(dst=MAC["ext"]) / Dot1Q(vlan=5) / UDP4), None),
    ("two VLAN tags", raw(Ether(dst=MAC["ext"], type=0x88A8) / Dot1Q(vlan=5) / Dot1Q(vlan=6) /
                          UDP4), None),
    ("three VLAN tags", raw(Ether(dst=MAC["ext"]) / Dot1Q() / Dot1Q() / Dot1Q() / UDP4),
     "dropped: vlan depth"),
    ("ARP", ether(bytes(28), 0x0806), None),
    ("an unknown ethertype", ether(bytes(46), 0x88B5), None),
]


def as_frame(pkt):
    """Table entries are packets, their bytes, or whole frames."""
    data = pkt if isinstance(pkt, bytes) else raw(pkt)
    if data[:6] == bytes.fromhex(MAC["ext"].replace(":", "")):
        return data
    return frame(data)


def counters(lab):
    info = lab.pf.info()
    names = {p[2] for p in PACKETS if p[2]} | {"dropped: no rules", "dropped: link type"}
    return {n: info[n] for n in names}


def test_counted_drops():
    with Lab(hosts=2, rules="pass no state\n") as lab:
        before = counters(lab)
        wire = lab.wire("src")
        for what, pkt, reason in PACKETS:
            data = as_frame(pkt)
            try:
                got = lab.pf.run("ext", "in", data)[0]
            except OSError:  # the kernel tests no frame whose IP header is not whole
                wire.send(data)
                got = DROP
            after = counters(lab)
            moved = {n for n in after if after[n] != before[n]}
            eq(moved, {reason} if reason else set(), f"{what}: counters")
            eq(got, DROP if reason else PASS, what)
            before = after


def test_each_prefix_of_a_packet():
    """However a packet is cut, it is dropped or passes: never something else."""
    whole = [UDP4, UDP6, tcp("S", options=[("WScale", 7), ("MSS", 1460)]),
             V6 / IPv6ExtHdrDestOpt() / IPv6ExtHdrFragment(offset=0, m=1) / UDP(dport=2),
             V4 / ICMP(type=3, code=3) / IP(src=B, dst=A) / UDP(sport=2, dport=1)]
    with Lab(hosts=2, rules="pass\n") as lab:
        wire, sent = lab.wire("src"), 0
        for pkt in whole:
            data = frame(pkt)
            for n in range(14, len(data)):
                wire.send(data[:n])
                sent += 1
        info = lab.pf.info()
        eq(info["short"], sent)
        eq(info["match"], 0)
        eq(lab.pf.states(), [])


def checksum_ok(data):
    """Is the TCP checksum of an IPv4 packet right?"""
    seg = data[20:]
    pseudo = data[12:20] + struct.pack("!HH", 6, len(seg))
    total = sum(struct.unpack(f"!{(len(pseudo) + len(seg) + 1) // 2}H",
                              pseudo + seg + b"\0" * (len(seg) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


def test_tcp_repairs():
    """FIN goes from a SYN, reserved bits and a stray urgent pointer are zeroed."""
    with Lab(hosts=2, rules="pass no state\n") as lab:
        for what, pkt, want in (
                ("FIN on SYN", tcp("SF"), {"flags": 0x02}),
                ("urgent pointer", tcp("A", urgptr=77), {"flags": 0x10, "urg": 0}),
                ("urgent pointer with URG", tcp("AU", urgptr=77), {"flags": 0x30, "urg": 77}),
                ("reserved bits", tcp("A", reserved=5), {"flags": 0x10, "off": 0x50}),
                ("ECN's bits", tcp("SEC"), {"flags": 0xC2})):
            ret, out, _ = lab.pf.run("ext", "in", frame(pkt))
            eq(ret, PASS, what)
            data = out[14:]
            got = {"flags": data[33], "off": data[32], "urg": struct.unpack("!H", data[38:40])[0]}
            eq({k: got[k] for k in want}, want, what)
            eq(checksum_ok(data), True, what + ": checksum")


def test_options_by_rule():
    """allow-opts lets options pass, with and without a state."""
    opt = IP(src=A, dst=B, options=[IPOption_Timestamp()]) / UDP(sport=5, dport=6)
    rules = "pass allow-opts\n"
    with Lab(hosts=2, rules=rules) as lab:
        eq(lab.pf.run("ext", "in", frame(opt))[0], PASS)
        eq(len(lab.pf.states()), 1)
        eq(lab.pf.run("ext", "in", frame(opt))[0], PASS, "by its state")
        lab.pf.load("pass\n")
        eq(lab.pf.run("ext", "in", frame(opt))[0], PASS, "the state remembers")
        lab.pf.ctl("-F", "states")
        eq(lab.pf.run("ext", "in", frame(opt))[0], DROP)
        eq(lab.pf.run("ext", "in", frame(V4 / UDP(sport=5, dport=6)))[0], PASS)
        eq(lab.pf.run("ext", "in", frame(opt))[0], DROP, "a state without it")
        eq(lab.pf.info()["ip-option"], 2)


def test_malformed_are_logged():
    """Without a rule's log, and without a rule."""
    with Lab(hosts=2, rules="pass no state\n") as lab:
        lab.wire("src").send(tcp("SR"))
        r, = wait_for("a record", lab.pf.log_records)
        eq((r["action"], r["reason"], r["rule"], r["dir"], r["dev"]),
           ("block", "normalize", -1, "in", "ext"))
        eq(r["packet"][:40], raw(tcp("SR")))
        contains(lab.pf.log_lines()[0], "block in on ext: 192.0.2.1.1024 > 198.51.100.1.80: "
                 "Flags [SR]")


@cases(("in",), ("out",))
def test_vlan_tag_in_metadata(way):
    """A tag that a NIC has taken off, or will put in, hides nothing: judged as without."""
    with Lab(hosts=2, rules="block\npass proto udp to port 2 no state\n") as lab:
        for dport, want in ((2, PASS), (3, DROP)):
            data = raw(Ether(dst=MAC["ext"]) / V4 / UDP(sport=1, dport=dport))
            eq(lab.pf.run("ext", way, data)[0], want)
            data = raw(Ether(dst=MAC["ext"]) / Dot1Q(vlan=7) / V4 / UDP(sport=1, dport=dport))
            eq(lab.pf.run("ext", way, data)[0], want, "tag in the packet")
