# SPDX-License-Identifier: BSD-2-Clause
"""block return: which packets are answered, by whom, with what, to the last byte."""
import errno
import socket
import struct
import time

from pft.check import at_least, between, cases, contains, eq
from pft.inject import ip
from pft.lab import (DST, DST6, FW6_SRC, FW_SRC, GHOST, GHOST6, GHOST6_DST, GHOST_DST, MAC, SRC,
                     SRC6, Lab)
from pft.netns import wait_for
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_Timestamp
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest,
                                ICMPv6ND_NS, ICMPv6ND_Redirect, ICMPv6PacketTooBig,
                                ICMPv6ParamProblem, ICMPv6TimeExceeded, ICMPv6Unknown, IPv6,
                                IPv6ExtHdrDestOpt, IPv6ExtHdrFragment)
from scapy.layers.l2 import Ether
from scapy.packet import Raw, raw

BOTH = cases(("ipv4", GHOST, GHOST_DST), ("ipv6", GHOST6, GHOST6_DST))


class Counters:
    """The datapath's counters, read from their map: -si would cost a process each time."""

    def __init__(self, lab):
        self.map = lab.pf.map("counters")

    def get(self):
        """Packets that rules have judged, answers, answers not possible."""
        return tuple(self.map.u64_sum(i) for i in (0, 23, 24))

    def since(self, before):
        return tuple(n - b for n, b in zip(self.get(), before))


def is_answer(p):
    """A reset, or a destination unreachable."""
    if TCP in p and p[TCP].flags & 4:
        return not (ICMP in p or ICMPv6DestUnreach in p)
    return (ICMP in p and p[ICMP].type == 3) or ICMPv6DestUnreach in p


def rst_for(pkt, got, ttl=64):
    """The reset that a TCP packet must get.  Type of service and id are pf-linux's choice."""
    v6 = IPv6 in pkt
    t = pkt[TCP]
    length = len(raw(pkt)) - (40 if v6 else raw(pkt)[0] % 16 * 4) - (raw(t)[12] >> 4) * 4
    ack = t.seq + length + ("S" in t.flags) + ("F" in t.flags)
    out = TCP(sport=t.dport, dport=t.sport, seq=t.ack, ack=ack % 2**32, flags="RA", window=0)
    if v6:
        return raw(IPv6(src=pkt.dst, dst=pkt.src, hlim=ttl, tc=got.tc) / out)
    return raw(IP(src=pkt.dst, dst=pkt.src, ttl=ttl, flags="DF", id=got.id, tos=got.tos) / out)


def icmp_for(data, got, source, code):
    """The ICMP error about a packet's bytes, which quotes as many of them as `got` does."""
    if data[0] >> 4 == 6:
        quote = data[:len(raw(got)) - 48]
        dst = socket.inet_ntop(socket.AF_INET6, data[8:24])
        return raw(IPv6(src=source, dst=dst, hlim=64, tc=got.tc) / ICMPv6DestUnreach(code=code) /
                   Raw(quote))
    quote = data[:len(raw(got)) - 28]
    dst = socket.inet_ntoa(data[12:16])
    return raw(IP(src=source, dst=dst, ttl=64, flags=got.flags, id=got.id, tos=got.tos) /
               ICMP(type=3, code=code) / Raw(quote))


def check_icmp(got, data, source, code, what=""):
    """Every byte, and that the quote is neither too short nor too long."""
    eq(bool(got), True, f"{what}: an answer")
    v6 = data[0] >> 4 == 6
    least = min(len(data), (40 if v6 else data[0] % 16 * 4) + 8)
    between(len(raw(got)), (48 if v6 else 28) + least, 1280 if v6 else 576, f"{what}: length")
    eq(raw(got).hex(), icmp_for(data, got, source, code).hex(), f"{what}: bytes")


def send_and_get(lab, near, pkt):
    """Sends a packet at one end; the first answer that comes back there."""
    near.send(pkt)
    return near.receive(is_answer)


# --- real stacks ---

@cases(("in", "block return in on ext\n", "src", (FW_SRC, FW6_SRC)),
       ("in_before_forwarding", "block return in on ext\n", "src", (DST, DST6)),
       ("out_after_forwarding", "block return out on int\n", "src", (DST, DST6)),
       ("out_own", "block return out on ext\n", "fw", (SRC, SRC6)),
       ("lo", "block return on lo\n", "fw", ("127.0.0.1", "::1")),
       ("policy", "set block-policy return\nblock in on ext\n", "src", (FW_SRC, FW6_SRC)))
def test_real_stacks(_name, rules, who, addrs):
    """Sockets hear of it at once, though all the ports are open behind the firewall."""
    with Lab(rules=rules) as lab:
        asker = {"src": lab.src, "fw": lab.fw}[who]
        open_ports = [ns.listen(80, family=socket.AF_INET6) for ns in (lab.src, lab.fw, lab.dst)]
        open_ports += [ns.udp(9, family=socket.AF_INET6) for ns in (lab.src, lab.fw, lab.dst)]
        began = time.monotonic()
        for addr in addrs:
            eq(asker.can_connect(addr, 80, 5), "refused", addr)
            eq(asker.can_ask(addr, 9), "refused", addr)
        eq(time.monotonic() - began < 1, True, "quickly")
        info = lab.pf.info()
        eq((info["answers"], info["answers not possible"]), (4, 0))
        eq(lab.pf.states(), [], "answers make no states")
        # nor are they judged: the rule counts what it has blocked
        eq([n["packets"] for _, n in lab.pf.rule_numbers()], [4])
        lab.pf.load("pass\n")
        for addr in addrs:
            eq(asker.can_connect(addr, 80), "yes", "without the rule")
        for s in open_ports:
            s.close()


@cases(("in", "in on ext"), ("out", "out on int"))
def test_reset_in_the_middle_of_a_transfer(_name, where):
    """Large segments that the stack has not cut up yet are answered as one."""
    with Lab(rules="pass no state flags any\n") as lab:
        server = lab.dst.listen(80, family=socket.AF_INET6)
        for addr in (DST, DST6):
            lab.pf.load("pass no state flags any\n")
            s = lab.src.connect(addr, 80)
            peer, _ = server.accept()
            s.sendall(b"x" * 100000)
            left = 100000
            while left:
                left -= len(peer.recv(65536))
            lab.pf.load(f"pass no state flags any\nblock return {where} proto tcp\n")
            s.settimeout(3)
            try:
                for _ in range(100):
                    s.sendall(b"x" * 100000)
                raise AssertionError("ten megabytes went nowhere")
            except (ConnectionResetError, BrokenPipeError):
                pass
            peer.close()
            s.close()
        at_least(lab.pf.info()["answers"], 2)
        server.close()


@cases(("tcp", "tcp"), ("udp", "udp"))
def test_checksums_left_to_the_device(_name, proto):
    """A packet whose checksum its sender left open: the answer's is right on the wire."""
    rules = {"in": "block return in on ext\n", "out": "block return out on int\n"}
    with Lab() as lab:
        # without the offload, what leaves by ext is as it would be on a real wire
        lab.fw.run("ethtool", "-K", "ext", "tx", "off")
        wire = lab.wire("src")
        for where, text in rules.items():
            lab.pf.load(text)
            for near, addr in ((SRC, DST), (SRC6, DST6)):
                v6 = ":" in addr
                with lab.src.sock(socket.AF_INET6 if v6 else socket.AF_INET,
                                  socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM) as s:
                    s.bind((near, 5555))
                    s.setblocking(False)
                    s.connect_ex((addr, 80))
                    if proto == "udp":
                        s.send(b"question")
                    got = wire.receive(is_answer)
                assert got, f"no answer to {where} {addr}"
                again = type(got)(raw(got))
                if proto == "tcp":
                    eq((got.src, got[TCP].sport, got[TCP].dport), (addr, 80, 5555))
                    del again[TCP].chksum
                elif v6:
                    eq(got.src, FW6_SRC)
                    del again[ICMPv6DestUnreach].cksum
                else:
                    eq(got.src, FW_SRC)
                    del again[ICMP].chksum
                if not v6:
                    del again.chksum
                eq(raw(again).hex(), raw(got).hex(), f"{where} {addr}")


def test_not_possible():
    """IP options before a TCP header whose checksum is left open: counted, and dropped."""
    with Lab(hosts=2, v6=False, rules="block return out on ext\n") as lab:
        with lab.fw.sock() as s:
            s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\1\1\1\0")
            s.setblocking(False)
            s.connect_ex((SRC, 80))
            wait_for("its SYN", lambda: lab.pf.rule_numbers()[0][1]["packets"])
        info = lab.pf.info()
        eq((info["answers"], info["answers not possible"]), (0, 1))


@cases(("in", "block return in on ext\n"), ("out", "block return out on int\n"))
def test_super_datagrams(_name, rules):
    """UDP_SEGMENT: one skb of many datagrams gets one answer, which its sender believes."""
    with Lab(rules=rules) as lab:
        for addr in (DST, DST6):
            segments = (socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT
            eq(lab.src.can_ask(addr, 9, bytes(20000), [segments]), "refused", addr)
        eq((lab.pf.info()["answers"], lab.pf.info()["answers not possible"]), (2, 0))


# --- scripted packets, to the last byte ---

@BOTH
def test_resets(_name, a, b):
    """seq is the packet's ack, ack counts its data, SYN and FIN; options are none."""
    with Lab(hosts=2, v6=False, rules="block return\n") as lab:
        lab.fw.sysctl("net/ipv4/ip_forward", 1)
        src = lab.wire("src")
        opts = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (5, 0)), ("NOP", None), ("WScale", 7)]
        packets = [
            TCP(sport=1000, dport=80, flags="S", seq=100),
            TCP(sport=1000, dport=80, flags="S", seq=2**32 - 1, options=opts),
            TCP(sport=1000, dport=80, flags="S", seq=7) / b"early data",
            TCP(sport=1000, dport=80, flags="SA", seq=9, ack=10),
            TCP(sport=1, dport=65535, flags="A", seq=2**31, ack=2**31 + 5),
            TCP(sport=65535, dport=1, flags="PA", seq=2**32 - 4, ack=1) / b"0123456789a",
            TCP(sport=1000, dport=80, flags="FA", seq=5, ack=6, options=opts) / b"odd",
            TCP(sport=1000, dport=80, flags="FPUA", seq=2**32 - 1, ack=6, urgptr=3) / (b"x" * 1400),
            TCP(sport=1000, dport=80, flags="SEC", seq=1),
        ]
        for i, t in enumerate(packets):
            pkt = ip(a, b, ttl=i + 1) / t
            pkt = type(pkt)(raw(pkt))
            got = send_and_get(lab, src, pkt)
            assert got, f"no answer to {i}: {pkt.summary()}"
            eq(raw(got).hex(), rst_for(pkt, got).hex(), f"{i}: {pkt.summary()}")
        eq(lab.pf.info()["answers"], len(packets))
        eq(lab.pf.states(), [])


@BOTH
def test_unreachables(_name, a, b):
    """UDP and all other protocols; what is quoted is the packet, options included."""
    v6 = ":" in a
    own = FW6_SRC if v6 else FW_SRC
    with Lab(hosts=2, rules="block return\n") as lab:
        src = lab.wire("src")
        base = ip(a, b, ttl=9)
        packets = [base / UDP(sport=1000, dport=53) / Raw(bytes(range(n)))
                   for n in (0, 1, 7, 8, 63, 200)]
        packets += [base / UDP(sport=1000, dport=53) / Raw(bytes(1400)),
                    base / UDP(sport=1000, dport=53, chksum=0) / b"no checksum"]
        if v6:
            packets += [base / ICMPv6EchoRequest(id=5, seq=6) / b"ping",
                        base / ICMPv6EchoReply(id=5, seq=6) / b"pong",
                        IPv6(src=a, dst=b, nh=47) / Raw(b"a tunnel"),
                        IPv6(src=a, dst=b, nh=50) / Raw(b"sealed data"),
                        IPv6(src=a, dst=b, nh=253) / Raw(b"odd"),
                        base / IPv6ExtHdrDestOpt() / UDP(sport=1, dport=2) / b"behind options"]
        else:
            packets += [base / ICMP(type=8, id=5) / b"ping", base / ICMP(type=13, id=5),
                        base / ICMP(type=0, id=5) / b"pong",
                        IP(src=a, dst=b, proto=47) / Raw(b"a tunnel"),
                        IP(src=a, dst=b, proto=50) / Raw(b"sealed data"),
                        IP(src=a, dst=b, proto=253) / Raw(b"odd"), IP(src=a, dst=b, proto=253),
                        IP(src=a, dst=b, options=[IPOption_Timestamp()]) / UDP(sport=1, dport=2) /
                        b"behind options"]
        for pkt in packets:
            got = send_and_get(lab, src, pkt)
            check_icmp(got, raw(pkt), own, 4 if v6 else 3, pkt.summary())
        eq(lab.pf.info()["answers"], len(packets))
        eq(lab.pf.states(), [])


@BOTH
def test_out_after_forwarding(_name, a, b):
    """Blocked on its way out: a reset as if from the destination, which is forwarded back;
    an ICMP error from the firewall itself, by the interface where the packet came in."""
    v6 = ":" in a
    with Lab(rules="block return out on int\n") as lab:
        src, dst = lab.wire("src"), lab.wire("dst")
        pkt = ip(a, b, ttl=9) / TCP(sport=1000, dport=80, flags="S", seq=5)
        pkt = type(pkt)(raw(pkt))
        got = send_and_get(lab, src, pkt)
        assert got, "no reset"
        eq(raw(got).hex(), rst_for(pkt, got, ttl=63).hex())
        data = b"question"
        src.send(ip(a, b, ttl=9) / UDP(sport=1000, dport=53) / data)
        # the quote is the packet as it would have gone out
        check_icmp(src.receive(is_answer), raw(ip(a, b, ttl=8) / UDP(sport=1000, dport=53) / data),
                   FW6_SRC if v6 else FW_SRC, 4 if v6 else 3)
        eq(dst.receive(lambda p: p.src == a, 0.05), None, "nothing goes on")
        eq(lab.pf.info()["answers"], 2)


@BOTH
def test_the_way_back_is_another(_name, a, b):
    """Its sender is routed elsewhere: the ICMP error goes there, in the destination's name."""
    v6 = ":" in a
    asker = "2001:db8:7::7" if v6 else "203.0.113.77"
    with Lab(rules="block return out on int inet proto udp to 198.51.100.100\n"
                   "block return out on int inet6 proto udp to 2001:db8:2::100\n") as lab:
        lab.fw.ip("route", "add", f"{asker}/{128 if v6 else 32}", "via", DST6 if v6 else DST)
        src, dst = lab.wire("src"), lab.wire("dst")
        src.send(ip(asker, b, ttl=9) / UDP(sport=1000, dport=53) / b"question")
        got = dst.receive(is_answer)
        assert got, "no answer"
        eq((got.src, got.dst), (b, asker))
        eq(lab.pf.info()["answers"], 1)


@BOTH
def test_out_of_the_firewall(_name, a, b):
    """What the firewall itself sends: the answer comes in by the interface, MACs swapped."""
    v6 = ":" in a
    with Lab(hosts=2, rules="block return out on ext\n") as lab:
        wire = lab.wire("ext")
        pkt = ip(b, a, ttl=9) / TCP(sport=1000, dport=80, flags="SA", seq=5, ack=6)
        pkt = type(pkt)(raw(pkt))
        got = send_and_get(lab, wire, pkt)
        assert got, "no reset"
        eq(raw(got).hex(), rst_for(pkt, got).hex())
        pkt = ip(b, a, ttl=9) / UDP(sport=1000, dport=53) / b"question"
        wire.send(pkt)
        wire.sock.settimeout(1)
        while True:
            data, addr = wire.sock.recvfrom(65536)
            if addr[2] != 4:
                break
        eq(data[:12], bytes.fromhex((MAC["ext"] + MAC["src"]).replace(":", "")))
        check_icmp((IPv6 if v6 else IP)(data[14:]), raw(pkt), a, 4 if v6 else 3)


@BOTH
def test_padding_is_no_data(_name, a, b):
    """What follows the packet in its frame is not acknowledged, summed up, nor quoted."""
    v6 = ":" in a
    with Lab(hosts=2, v6=False, rules="block return in on ext\n") as lab:
        src = lab.wire("src")
        for pkt in (ip(a, b) / TCP(sport=1000, dport=80, flags="S", seq=7),
                    ip(a, b) / TCP(sport=1000, dport=80, flags="A", seq=7, ack=1) / b"odd"):
            pkt = type(pkt)(raw(pkt))
            got = send_and_get(lab, src, src.frame(pkt) + b"\xee" * 20)
            assert got, f"no answer to {pkt.summary()}"
            eq(raw(got).hex(), rst_for(pkt, got).hex(), pkt.summary())
        for pkt in (ip(a, b) / UDP(sport=1000, dport=53),
                    ip(a, b) / UDP(sport=1000, dport=53) / b"x"):
            got = send_and_get(lab, src, src.frame(pkt) + b"\xee" * 20)
            check_icmp(got, raw(pkt), b if v6 else FW_SRC, 4 if v6 else 3, pkt.summary())


KINDS = [
    # the rule, then answers to TCP and UDP: "rst", an ICMP code, or None
    ("block return", ("rst", 3), ("rst", 4)),
    ("block drop", (None, None), (None, None)),
    ("block", (None, None), (None, None)),
    ("set block-policy return\nblock", ("rst", 3), ("rst", 4)),
    ("set block-policy return\nblock drop", (None, None), (None, None)),
    ("set block-policy drop\nblock return", ("rst", 3), ("rst", 4)),
    ("block return-rst proto tcp", ("rst", "pass"), ("rst", "pass")),
    ("block return-icmp", (3, 3), (4, 4)),
    ("block return-icmp(host-prohib)", (10, 10), (4, 4)),
    ("block return-icmp(13)", (13, 13), (4, 4)),
    ("block return-icmp(0, 3)", (0, 0), (3, 3)),
    ("block return-icmp(filter-prohib, admin-unr)", (13, 13), (1, 1)),
    ("block return-icmp6", (3, 3), (4, 4)),
    ("block return-icmp6(admin-unr)", (3, 3), (1, 1)),
    ("block return-icmp6(0)", (3, 3), (0, 0)),
]


def test_kinds():
    """Each kind of block, as pf.conf(5) has it, for TCP and UDP of both families."""
    with Lab(hosts=2, v6=False) as lab:
        src, counters = lab.wire("src"), Counters(lab)
        for n, (rule, v4, v6) in enumerate(KINDS):
            lab.pf.load(rule + "\n")
            for a, b, own, want in ((GHOST, GHOST_DST, FW_SRC, v4),
                                    (GHOST6, GHOST6_DST, None, v6)):
                for pkt, w in zip((TCP(sport=n + 1, dport=80, flags="S", seq=n),
                                   UDP(sport=n + 1, dport=53) / b"12345678"), want):
                    pkt = ip(a, b, ttl=1) / pkt
                    pkt = type(pkt)(raw(pkt))
                    what = f"{rule}: {pkt.summary()}"
                    src.drain()
                    before = counters.get()
                    src.send(pkt)
                    eq(counters.since(before), (1, int(w not in (None, "pass")), 0), what)
                    if w in (None, "pass"):
                        continue
                    got = src.receive(is_answer)
                    assert got, what
                    if w == "rst":
                        eq(raw(got).hex(), rst_for(pkt, got).hex(), what)
                    else:
                        check_icmp(got, raw(pkt), own or b, w, what)


def test_ttl():
    """return-rst(ttl N) is for those who count hops; 64 is usual."""
    with Lab(hosts=2, v6=False, rules="block return-rst (ttl 7) proto tcp to port 80\n"
                                      "block return-rst proto tcp to port 81\n"
                                      "block return-rst (ttl 255) proto tcp to port 82\n") as lab:
        src = lab.wire("src")
        for a, b in ((GHOST, GHOST_DST), (GHOST6, GHOST6_DST)):
            for port, ttl in ((80, 7), (81, 64), (82, 255)):
                pkt = ip(a, b) / TCP(sport=1000, dport=port, flags="S", seq=5)
                pkt = type(pkt)(raw(pkt))
                got = send_and_get(lab, src, pkt)
                assert got, f"no answer from port {port}"
                eq(raw(got).hex(), rst_for(pkt, got, ttl=ttl).hex(), f"port {port}")


# --- who gets no answer ---

V4, V6 = IP(src=GHOST, dst=GHOST_DST), IPv6(src=GHOST6, dst=GHOST6_DST)
UDP4 = V4 / UDP(sport=5, dport=6) / b"12345678"
UDP6 = V6 / UDP(sport=5, dport=6) / b"12345678"
BROADCAST = "ff:ff:ff:ff:ff:ff"

# what an error from GHOST to GHOST_DST may be about
BACK4 = IP(src=GHOST_DST, dst=GHOST) / UDP(sport=5, dport=6) / b"12345678"
BACK6 = IPv6(src=GHOST6_DST, dst=GHOST6) / UDP(sport=5, dport=6) / b"12345678"

SILENT = [
    ("a reset", V4 / TCP(flags="R")), ("a reset with ACK", V4 / TCP(flags="RA")),
    ("a reset, IPv6", V6 / TCP(flags="R")),
    ("a wrong TCP checksum", V4 / TCP(flags="S", chksum=0x1234)),
    ("a wrong TCP checksum, IPv6", V6 / TCP(flags="S", chksum=0x1234)),
    ("a wrong TCP checksum, data", V4 / TCP(flags="A", chksum=0x1234) / (b"x" * 1400)),
    ("unreachable", V4 / ICMP(type=3, code=1) / Raw(raw(BACK4))),
    ("quench", V4 / ICMP(type=4) / Raw(raw(BACK4))),
    ("redirect", V4 / ICMP(type=5) / Raw(raw(BACK4))),
    ("time exceeded", V4 / ICMP(type=11) / Raw(raw(BACK4))),
    ("parameter problem", V4 / ICMP(type=12) / Raw(raw(BACK4))),
    ("unreachable, IPv6", V6 / ICMPv6DestUnreach() / Raw(raw(BACK6))),
    ("too big", V6 / ICMPv6PacketTooBig() / Raw(raw(BACK6))),
    ("time exceeded, IPv6", V6 / ICMPv6TimeExceeded() / Raw(raw(BACK6))),
    ("parameter problem, IPv6", V6 / ICMPv6ParamProblem() / Raw(raw(BACK6))),
    ("an unknown error, IPv6", V6 / ICMPv6Unknown(type=100) / Raw(raw(BACK6))),
    ("redirect, IPv6", IPv6(src=GHOST6, dst=GHOST6_DST, hlim=255) /
     ICMPv6ND_Redirect(tgt=GHOST6, dst=GHOST6)),
    ("a first fragment", IP(src=GHOST, dst=GHOST_DST, flags="MF") / UDP(sport=5, dport=6, len=99) /
     (b"x" * 16)),
    ("a first fragment of TCP", IP(src=GHOST, dst=GHOST_DST, flags="MF") / TCP(flags="S") /
     (b"x" * 4)),
    ("a later fragment", IP(src=GHOST, dst=GHOST_DST, frag=4, proto=17) / Raw(b"x" * 16)),
    ("a first fragment, IPv6", V6 / IPv6ExtHdrFragment(m=1, id=1) / UDP(sport=5, dport=6, len=99) /
     (b"x" * 16)),
    ("a later fragment, IPv6", V6 / IPv6ExtHdrFragment(offset=8, id=1, nh=17) / Raw(b"x" * 16)),
    ("to a multicast group", IP(src=GHOST, dst="224.0.0.251") / UDP(sport=5, dport=6)),
    ("TCP to a multicast group", IP(src=GHOST, dst="239.1.2.3") / TCP(flags="S")),
    ("to a multicast group, IPv6", IPv6(src=GHOST6, dst="ff02::fb") / UDP(sport=5, dport=6)),
    ("to all", IP(src=GHOST, dst="255.255.255.255") / UDP(sport=5, dport=6)),
    ("from a multicast group", IP(src="224.0.0.1", dst=GHOST_DST) / UDP(sport=5, dport=6)),
    ("from all", IP(src="255.255.255.255", dst=GHOST_DST) / UDP(sport=5, dport=6)),
    ("from nowhere", IP(src="0.0.0.0", dst=GHOST_DST) / UDP(sport=5, dport=6)),
    ("from a multicast group, IPv6", IPv6(src="ff02::1", dst=GHOST6_DST) / UDP(sport=5, dport=6)),
    ("from nowhere, IPv6", IPv6(src="::", dst=GHOST6_DST) / UDP(sport=5, dport=6)),
    ("duplicate address detection", IPv6(src="::", dst="ff02::1:ff00:1", hlim=255) /
     ICMPv6ND_NS(tgt="fe80::1")),
    ("to the subnet's broadcast", (BROADCAST, IP(src=GHOST, dst="192.0.2.255") /
                                   UDP(sport=5, dport=6))),
    ("a broadcast frame", (BROADCAST, UDP4)), ("a broadcast frame of TCP",
                                               (BROADCAST, V4 / TCP(flags="S"))),
    ("a multicast frame", ("01:00:5e:00:00:01", UDP4)), ("a broadcast frame, IPv6",
                                                         (BROADCAST, UDP6)),
]


def silent_packets():
    for what, pkt in SILENT:
        mac, pkt = pkt if isinstance(pkt, tuple) else (MAC["ext"], pkt)
        yield what, raw(Ether(dst=mac, src=MAC["src"],
                              type=0x86DD if IPv6 in pkt else 0x0800) / pkt)


def check_silent(lab, wire, frames):
    """None of the frames is answered, though the rule has blocked each."""
    counters = Counters(lab)
    for i, (what, data) in enumerate(frames, 1):
        try:
            wire.send(data)
        except OSError as e:  # a local sender is told that it was dropped
            eq((e.errno, wire.dev), (errno.ENOBUFS, "ext"), what)
        eq(counters.get(), (i, 0, 0), f"{what}: judged, answered, not to be answered")
    info = lab.pf.info()
    eq((info["match"], info["answers"], info["answers not possible"]), (i, 0, 0))


def test_no_answer():
    """RFC 1122 3.2.2, RFC 4443 2.4: not to errors, fragments, groups, nor to resets."""
    with Lab(hosts=2, v6=False, rules="block return\n") as lab:
        src = lab.wire("src")
        check_silent(lab, src, silent_packets())
        got = send_and_get(lab, src, V4 / TCP(sport=77, dport=78, flags="S"))
        eq(got and got[TCP].dport, 77, "the first answer of all")
        eq(lab.pf.info()["proto-cksum"], 3)


def test_no_answer_with_return_icmp():
    """The same under return-icmp, where TCP, too, would get an ICMP error."""
    with Lab(hosts=2, v6=False, rules="block return-icmp\n") as lab:
        src = lab.wire("src")
        check_silent(lab, src, [(w, d) for w, d in silent_packets() if not (
            w.startswith("a reset") or "checksum" in w)])
        got = send_and_get(lab, src, V4 / UDP(sport=77, dport=78))
        eq(got and raw(got)[28 + 20:28 + 22], b"\0\x4d", "the first answer of all")


def test_no_answer_on_the_way_out():
    """Broadcasts and groups that the firewall itself sends are not answered to it."""
    with Lab(hosts=2, v6=False, rules="block return out on ext\n") as lab:
        wire = lab.wire("ext")
        frames = []
        for what, mac, pkt in (
                ("to all", BROADCAST, IP(src=FW_SRC, dst="255.255.255.255") / UDP(dport=9)),
                ("to a group", "01:00:5e:00:00:fb",
                 IP(src=FW_SRC, dst="224.0.0.251") / UDP(dport=9)),
                ("to a group, IPv6", "33:33:00:00:00:fb",
                 IPv6(src=FW6_SRC, dst="ff02::fb") / UDP(dport=9)),
                ("a fragment", MAC["src"],
                 IP(src=FW_SRC, dst=SRC, frag=9, proto=17) / Raw(bytes(8))),
                ("an error", MAC["src"], IP(src=FW_SRC, dst=SRC) / ICMP(type=3) /
                 Raw(raw(IP(src=SRC, dst=FW_SRC) / UDP(dport=7)))),
                ("a reset", MAC["src"], IP(src=FW_SRC, dst=SRC) / TCP(flags="R"))):
            frames.append((what, raw(Ether(dst=mac, src=MAC["ext"],
                                           type=0x86DD if IPv6 in pkt else 0x0800) / pkt)))
        check_silent(lab, wire, frames)


def test_no_answer_to_own_broadcast():
    """What goes to the subnet's broadcast address is seen by its Ethernet address."""
    with Lab(hosts=2, v6=False, rules="block return out on ext\n") as lab:
        with lab.fw.udp() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            s.sendto(b"anybody", ("192.0.2.255", 9))
        wait_for("the packet", lambda: lab.pf.rule_numbers()[0][1]["packets"] == 1)
        info = lab.pf.info()
        eq((info["answers"], info["answers not possible"]), (0, 0))


def test_unassigned_icmp_types():
    """pf answers to informational ICMP messages that it knows, and to no others."""
    with Lab(hosts=2, v6=False, rules="block return\n") as lab:
        src, counters = lab.wire("src"), Counters(lab)
        known = {0, 8, 9, 10, 13, 14, 15, 16, 17, 18}
        answered = set()
        for kind in [*range(45), 255]:
            before = counters.get()
            src.send(V4 / ICMP(type=kind) / Raw(raw(BACK4)))
            if counters.since(before) == (1, 1, 0):
                answered.add(kind)
        eq(answered, known)


# --- VLAN tags ---

PACKET_AUXDATA, VLAN_VALID, TPID_VALID = 8, 0x10, 0x40


def tagged(wire, want, timeout=1.0):
    """(tags, bytes of IP) of the first frame whose IP packet `want` takes.

    The kernel takes the outer tag off before it shows a frame, and tells it apart.
    """
    wire.sock.setsockopt(263, PACKET_AUXDATA, 1)
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        wire.sock.settimeout(max(0.01, end - time.monotonic()))
        try:
            data, anc, _, addr = wire.sock.recvmsg(65536, 256)
        except socket.timeout:
            return None
        tags = []
        for level, kind, cmsg in anc:
            if (level, kind) == (263, PACKET_AUXDATA):
                status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", cmsg[:20])
                if status & VLAN_VALID:
                    tags.append((tpid if status & TPID_VALID else 0x8100, tci))
        at = 12
        while data[at:at + 2] in (b"\x81\0", b"\x88\xa8"):
            tags.append(struct.unpack("!HH", data[at:at + 4]))
            at += 4
        pkt = data[at + 2:]
        if addr[2] != 4 and data[at:at + 2] in (b"\x08\0", b"\x86\xdd") and want(
                (IPv6 if pkt[0] >> 4 == 6 else IP)(pkt)):
            return tags, pkt, data[:12]
    return None


TAGS = [
    ("one", [(0x8100, 5)]), ("with priority", [(0x8100, 0xE005)]), ("priority alone",
                                                                    [(0x8100, 0xA000)]),
    ("two", [(0x88A8, 7), (0x8100, 5)]), ("two of a kind", [(0x8100, 7), (0x8100, 5)]),
]


@cases(("in", "src", "ext"), ("out", "ext", "src"))
def test_vlan_tags(way, near, far):
    """The answer to a tagged frame carries the same tags, and is right otherwise."""
    with Lab(hosts=2, v6=False, rules=f"block return {way} on ext\n") as lab:
        wire = lab.wire(near)
        ends = (GHOST, GHOST_DST, GHOST6, GHOST6_DST)
        a, b, a6, b6 = ends if way == "in" else (ends[1], ends[0], ends[3], ends[2])
        for what, tags in TAGS:
            for src, dst in ((a, b), (a6, b6)):
                v6 = ":" in src
                for pkt in (ip(src, dst) / TCP(sport=1000, dport=80, flags="S", seq=8),
                            ip(src, dst) / UDP(sport=1000, dport=53) / (b"question" * 30)):
                    pkt = type(pkt)(raw(pkt))
                    head = bytes.fromhex((MAC[far] + MAC[near]).replace(":", ""))
                    head += b"".join(struct.pack("!HH", *t) for t in tags)
                    wire.drain()
                    wire.send(head + (b"\x86\xdd" if v6 else b"\x08\0") + raw(pkt))
                    text = f"{what}: {pkt.summary()}"
                    got = tagged(wire, is_answer)
                    assert got, f"no answer to {text}"
                    eq(got[0], tags, text)
                    eq(got[2], bytes.fromhex((MAC[near] + MAC[far]).replace(":", "")), text)
                    answer = type(pkt)(got[1])
                    if TCP in pkt:
                        eq(got[1].hex(), rst_for(pkt, answer).hex(), text)
                    else:
                        own = dst if way == "out" or v6 else FW_SRC
                        check_icmp(answer, raw(pkt), own, 4 if v6 else 3, text)
        eq(lab.pf.info()["answers"], len(TAGS) * 4)


# --- the answer's source ---

def test_link_local():
    """Who asks by a link-local address is answered by one."""
    with Lab(hosts=2, rules="block return in on ext inet6 proto udp\n") as lab:
        src = lab.wire("src")
        lab.fw.ip("addr", "add", "fe80::2/64", "dev", "ext", "nodad")
        for dst in ("2001:db8:9::9", "fe80::2"):
            pkt = IPv6(src="fe80::1", dst=dst) / UDP(sport=1000, dport=53) / b"question"

            def answered(p=pkt):
                got = send_and_get(lab, src, p)
                return got and got.src == "fe80::2" and got
            check_icmp(wait_for("the address to be known", answered), raw(pkt), "fe80::2", 4)


def test_source_follows_the_address():
    """The interface's own address, as it is now; without any, the packet's destination."""
    with Lab(hosts=2, v6=False, rules="block return in on ext proto udp\n") as lab:
        src = lab.wire("src")
        pkt = V4 / UDP(sport=1000, dport=53) / b"question"
        check_icmp(send_and_get(lab, src, pkt), raw(pkt), FW_SRC, 3)
        for change, want in ((["del", f"{FW_SRC}/24"], GHOST_DST),
                             (["add", "203.0.113.9/24"], "203.0.113.9")):
            lab.fw.ip("addr", *change, "dev", "ext")

            def from_there(w=want):
                got = send_and_get(lab, src, pkt)
                return got and got.src == w and got
            check_icmp(wait_for(want, from_there), raw(pkt), want, 3)


def test_several_rules():
    """Only the rule that wins answers; a rule that passes later takes the answer away."""
    rules = """
        block return in on ext proto udp to port 1:100
        block drop in on ext proto udp to port 10:100
        pass in on ext proto udp to port 20:100 no state
        block return-icmp(13) in quick on ext proto udp to port 30:100
        block return in on ext proto udp to port 31
    """
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        src, counters = lab.wire("src"), Counters(lab)
        for port, code in ((1, 3), (10, None), (20, None), (30, 13), (31, 13)):
            before = counters.get()
            pkt = V4 / UDP(sport=port, dport=port) / b"question"
            src.send(pkt)
            eq(counters.since(before), (1, int(code is not None), 0), f"port {port}")
            if code is not None:
                check_icmp(src.receive(is_answer), raw(pkt), FW_SRC, code, f"port {port}")


def test_not_by_states():
    """What a state refuses is dropped, whatever the rules say of it."""
    rules = "block return\npass in on ext proto tcp to port 80\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        src = lab.wire("src")
        src.send(V4 / TCP(sport=1000, dport=80, flags="S", seq=100))
        wait_for("the state", lambda: len(lab.pf.states()) == 1)
        contains(lab.pf.state("tcp"), "CLOSED:SYN_SENT")
        src.send(V4 / TCP(sport=1000, dport=80, flags="A", seq=10**6, ack=5) / b"astray")
        info = lab.pf.info()
        eq((info["state-mismatch"], info["answers"]), (1, 0))
