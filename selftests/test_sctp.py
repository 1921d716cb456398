# SPDX-License-Identifier: BSD-2-Clause
"""SCTP: associations by their chunks and verification tags, as FreeBSD's pf follows them."""
import struct

from pft.check import between, cases, contains, eq, lines_eq, matches, one_lab
from pft.lab import GHOST, GHOST6, GHOST6_DST, GHOST_DST, Lab
from pft.netns import wait_for
from pft.state import Slots
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.layers.sctp import (SCTP, SCTPChunkAbort, SCTPChunkCookieAck, SCTPChunkCookieEcho,
                               SCTPChunkData, SCTPChunkHeartbeatAck, SCTPChunkHeartbeatReq,
                               SCTPChunkInit, SCTPChunkInitAck, SCTPChunkShutdown,
                               SCTPChunkShutdownAck, SCTPChunkShutdownComplete, crc32c)
from scapy.packet import Raw, raw
from test_states import BOTH, Gate, ip

A, B = 0x1111, 0x2222  # what the one who begins wants to see, and the other
PROTO = 132
RULES = "block\npass in on ext proto sctp to port 80\n"


def init(tag=A, **more):
    return SCTPChunkInit(**{"init_tag": tag, "a_rwnd": 65536, "n_out_streams": 1,
                            "n_in_streams": 1, "init_tsn": 5, **more})


def init_ack(tag=B):
    return SCTPChunkInitAck(init_tag=tag, a_rwnd=65536, n_out_streams=1, n_in_streams=1,
                            init_tsn=9)


def data(n=4):
    return SCTPChunkData(data=b"x" * n, tsn=5, beginning=1, ending=1)


class Peers:
    """Two ends that talk through a gate: `there` comes in, `back` goes out."""

    def __init__(self, lab, a=GHOST, b=GHOST_DST, sport=1000, dport=80):
        self.g, self.a, self.b, self.sport, self.dport = Gate(lab), a, b, sport, dport

    def packet(self, chunk, tag, back=False):
        if back:
            return ip(self.b, self.a) / SCTP(sport=self.dport, dport=self.sport, tag=tag) / chunk
        return ip(self.a, self.b) / SCTP(sport=self.sport, dport=self.dport, tag=tag) / chunk

    def there(self, chunk, tag=B):
        return self.g.into(self.packet(chunk, tag))

    def back(self, chunk, tag=A):
        return self.g.out(self.packet(chunk, tag, back=True))

    def associate(self, a=A, b=B):
        eq(self.there(init(a), 0), True, "INIT")
        eq(self.back(init_ack(b), a), True, "INIT ACK")
        eq(self.there(SCTPChunkCookieEcho(cookie=b"1234"), b), True, "COOKIE ECHO")
        eq(self.back(SCTPChunkCookieAck(), a), True, "COOKIE ACK")


def expires(lab):
    h, m, s = matches(lab.pf.ctl("-ss", "-v").stdout, r"expires in (\d+):(\d+):(\d+)").groups()
    return int(h) * 3600 + int(m) * 60 + int(s)


@BOTH
def test_life_of_an_association(_name, a, b):
    """What -ss shows and which timeout runs, from the INIT to the next one."""
    names = ["first", "opening", "established", "closing", "closed"]
    sets = "".join(f"set timeout sctp.{n} {1000 * (i + 1)}\n" for i, n in enumerate(names))
    with Lab(hosts=2, rules=sets + RULES) as lab:
        p = Peers(lab, a, b)

        def at(text, seconds):
            contains(lab.pf.state("sctp"), text)
            between(expires(lab), seconds - 10, seconds, text)

        eq(p.back(init_ack()), False, "an answer to nothing")
        eq(p.there(init(), 0), True)
        at("CLOSED:COOKIE_WAIT", 1000)
        eq(p.there(init(), 0), True, "once more")
        at("CLOSED:COOKIE_WAIT", 2000)
        eq(p.back(init_ack()), True)
        at("CLOSED:COOKIE_WAIT", 2000)
        eq(p.there(SCTPChunkCookieEcho(cookie=b"1234") / data()), True)
        at("CLOSED:ESTABLISHED", 3000)
        eq(p.back(SCTPChunkCookieAck()), True)
        at("ESTABLISHED:ESTABLISHED", 3000)
        for _ in range(3):
            eq(p.there(data(100)), True)
            eq(p.back(data(100)), True)
        eq(p.there(SCTPChunkShutdown()), True)
        at("ESTABLISHED:SHUTDOWN_PENDING", 4000)
        eq(p.there(init(A + 1), 0), False, "an INIT amid a close")
        eq(p.back(SCTPChunkShutdownAck()), True)
        at("SHUTDOWN_PENDING:SHUTDOWN_PENDING", 4000)
        eq(p.there(SCTPChunkShutdownComplete()), True)
        at("SHUTDOWN_PENDING:CLOSED", 5000)
        eq(p.there(init(A + 2), 0), True, "the same ports again")
        at("CLOSED:COOKIE_WAIT", 1000)
        info = lab.pf.info()
        eq((info["inserts"], info["removals"], info["state-mismatch"]), (2, 1, 1))
        p.back(init_ack(B + 2), A + 2)
        eq(p.back(data(), A), False, "with the tag of the one before")


def test_texts():
    """-ss and the pinned states name protocol, ports and states; -P knows the ports' names."""
    with Lab(hosts=2, rules="pass proto sctp\n") as lab:
        Peers(lab).associate()
        Peers(lab, GHOST6, GHOST6_DST).there(init(), 0)
        Gate(lab).out(Peers(lab, "192.0.2.9", "192.0.2.8", 7, 8).packet(init(), 0))
        want = [f"all sctp {GHOST_DST}:80 <- {GHOST}:1000       ESTABLISHED:ESTABLISHED",
                f"all sctp {GHOST6_DST}[80] <- {GHOST6}[1000]       CLOSED:COOKIE_WAIT",
                "all sctp 192.0.2.9:7 -> 192.0.2.8:8       COOKIE_WAIT:CLOSED"]
        lines_eq(sorted(lab.pf.states()), sorted(want))
        with open(f"{lab.pf.pin}/states", encoding="ascii") as f:
            text = f.read()
        contains(text, want[0])
        contains(text, "[1000]       CLOSED:COOKIE_WAIT\n")


@BOTH
def test_verification_tags(_name, a, b):
    """A packet is the association's only with the tag that its sender was given."""
    with Lab(hosts=2, rules="set debug debug\n" + RULES) as lab:
        p = Peers(lab, a, b)
        eq(p.there(init(), 0), True)
        eq(p.back(init_ack(), A + 1), False, "INIT ACK with another tag")
        eq(p.back(init_ack(), 0), False, "INIT ACK without a tag")
        eq(p.back(init_ack()), True)
        eq(p.there(SCTPChunkCookieEcho(cookie=b"1234"), B + 1), False)
        eq(p.there(SCTPChunkCookieEcho(cookie=b"1234")), True)
        eq(p.back(SCTPChunkCookieAck()), True)
        for chunk in (data(), SCTPChunkAbort(), SCTPChunkShutdown(), SCTPChunkHeartbeatReq()):
            eq(p.there(chunk, A), False, "its own")
            eq(p.there(chunk, 0), False, "none")
            eq(p.back(chunk, B), False, "its own")
        contains(lab.pf.state("sctp"), "ESTABLISHED:ESTABLISHED")
        eq(lab.pf.info()["state-mismatch"], 15)
        wait_for("the notes", lambda: lab.pf.said().count("pf: bad verification tag: 132 in wire")
                 == 15, 5)
        matches(lab.pf.said(), r"stack: \(0\) - 2:2 @1 tag=8738\n")


@BOTH
def test_abort_ends_it_for_both(_name, a, b):
    """Also one whose tag is sent back (T bit), from who knows of no association."""
    with Lab(hosts=2, rules=RULES) as lab:
        p = Peers(lab, a, b)
        for chunk, tag in ((SCTPChunkAbort(), A), (SCTPChunkAbort(TCB=1), B)):
            p.associate()
            eq(p.back(SCTPChunkAbort(TCB=1), A), False, "sent back, but not its tag")
            eq(p.back(chunk, tag), True)
            contains(lab.pf.state("sctp"), "CLOSED:CLOSED")
            eq(p.there(SCTPChunkHeartbeatAck()), True, "still of the state")
            contains(lab.pf.state("sctp"), "CLOSED:CLOSED")
        # refused at once: the next try is not held against the first one's tags
        p.associate(A + 4, B + 4)
        eq(p.there(SCTPChunkAbort(), B + 4), True)
        eq(p.there(init(A + 5), 0), True)
        eq(p.back(SCTPChunkAbort(), A + 5), True, "connection refused")
        eq(p.there(init(A + 6), 0), True)
        eq(p.back(init_ack(B + 6), A + 6), True)


def test_shutdown_complete_sent_back():
    """RFC 9260 section 8.5.1: who has forgotten the association reflects the tag."""
    with Lab(hosts=2, rules=RULES) as lab:
        p = Peers(lab)
        p.associate()
        eq(p.there(SCTPChunkShutdown()), True)
        eq(p.back(SCTPChunkShutdownAck()), True)
        eq(p.there(SCTPChunkShutdownComplete(TCB=1), B), False, "that is the other's")
        eq(p.there(SCTPChunkShutdownComplete(TCB=1), A), True)
        contains(lab.pf.state("sctp"), "SHUTDOWN_PENDING:CLOSED")


def test_handshake_repeated():
    """RFC 9260 section 5.2: who answers keeps no state, so each INIT ACK may have another tag."""
    with Lab(hosts=2, rules=RULES) as lab:
        p = Peers(lab)
        eq(p.there(init(), 0), True)
        eq(p.back(init_ack(B)), True)
        eq(p.there(init(), 0), True, "the answer was lost behind us")
        eq(p.back(init_ack(B + 1)), True)
        eq(p.there(SCTPChunkCookieEcho(cookie=b"1234"), B + 1), True)
        eq(p.there(SCTPChunkCookieEcho(cookie=b"1234"), B), False, "one of them, not both")
        eq(p.back(SCTPChunkCookieAck()), True)
        eq(p.back(init_ack(B + 2)), False, "no more when both are there")
        eq(p.there(init(A + 1), 0), False)
        eq(p.there(init(A), 0), True, "a copy of the first says nothing new")
        eq(p.there(data(), B + 1), True)
        eq(p.back(data(), A), True)


def test_both_begin_at_once():
    """RFC 9260 section 5.2.1: INITs that cross."""
    with Lab(hosts=2, rules=RULES) as lab:
        p = Peers(lab)
        eq(p.there(init(A), 0), True)
        eq(p.back(init(B), 0), True)
        contains(lab.pf.state("sctp"), "COOKIE_WAIT:COOKIE_WAIT")
        eq(p.back(init_ack(B), A), True)
        eq(p.there(init_ack(A), B), True)
        eq(p.there(SCTPChunkCookieEcho(cookie=b"1234"), B), True)
        eq(p.back(SCTPChunkCookieAck(), A), True)
        contains(lab.pf.state("sctp"), "ESTABLISHED:ESTABLISHED")


def test_met_in_the_middle():
    """Tags are learned from the first packets; heartbeats show that it is established."""
    with Lab(hosts=2, rules=RULES) as lab:
        p = Peers(lab)
        eq(p.there(data()), True)
        contains(lab.pf.state("sctp"), "CLOSED:COOKIE_WAIT")
        eq(p.there(data(), B + 1), False)
        eq(p.back(SCTPChunkHeartbeatReq()), True)
        eq(p.back(data(), A + 1), False)
        eq(p.there(SCTPChunkHeartbeatAck()), True)
        contains(lab.pf.state("sctp"), "CLOSED:ESTABLISHED")
        eq(p.back(SCTPChunkHeartbeatAck()), True)
        contains(lab.pf.state("sctp"), "ESTABLISHED:ESTABLISHED")
        eq(Slots(lab.pf).find(GHOST, GHOST_DST, 1000, 80, PROTO).dump()["seqlo"], [B, A], "tags")


def test_unanswered_does_not_live_long():
    """A COOKIE ECHO that nobody has answered an INIT for: no day for a forger."""
    rules = "set timeout { sctp.opening 50, sctp.established 5000 }\n" + RULES
    with Lab(hosts=2, rules=rules) as lab:
        p = Peers(lab)
        eq(p.there(init(), 0), True)
        eq(p.there(SCTPChunkCookieEcho(cookie=b"1234")), True)
        between(expires(lab), 40, 50)


def test_ports_of_rules():
    """Ranges, negations, source ports, in lists with other protocols."""
    rules = """
        block
        pass in on ext proto { tcp sctp } from any port 1000:1999 to any port { 80 5060 }
        pass in on ext proto sctp from port <= 1000 to port 65000 >< 65002
        pass in on ext inet6 proto sctp from any port > 50000
    """
    with Lab(hosts=2, rules=rules) as lab:
        for sport, dport, want, want6 in (
                (1000, 80, True, True), (1999, 5060, True, True), (999, 80, False, False),
                (2000, 80, False, False), (1500, 81, False, False), (9, 65001, True, True),
                (9, 65000, False, False), (50001, 7, False, True), (50000, 7, False, False)):
            eq(Peers(lab, sport=sport, dport=dport).there(init(), 0), want, (sport, dport))
            eq(Peers(lab, GHOST6, GHOST6_DST, sport, dport).there(init(), 0), want6,
               (sport, dport, "IPv6"))
        # a port is part of the key
        p = Peers(lab, sport=1000, dport=80)
        eq(p.back(init_ack()), True)
        p.dport = 81
        eq(p.back(init_ack()), False)


@one_lab(lambda: Lab(hosts=2, fresh=True))
@cases(("short_header", lambda c: c[:11]), ("chunk_of_3", lambda c: c[:12] + b"\0\0\0\3"),
       ("no_length", lambda c: c[:12] + bytes(4)),
       ("no_source_port", lambda c: bytes(2) + c[2:]),
       ("no_destination_port", lambda c: c[:2] + bytes(2) + c[4:]),
       ("beyond_the_end", lambda c: c + b"\0\0\0\x09abcd"),
       ("crumbs", lambda c: c + b"\x09"), ("more_crumbs", lambda c: c + b"\0\0\0"),
       ("two_inits", lambda c: c + c[12:]),
       ("init_and_data", lambda c: c + raw(data())),
       ("data_and_init", lambda c: c[:12] + raw(data()) + c[12:]),
       ("init_with_a_tag", lambda c: c[:4] + b"\0\0\0\1" + c[8:]),
       ("init_cut", lambda c: c[:14] + b"\0\x0c" + c[16:24]),
       ("init_without_tag", lambda c: c[:16] + bytes(4) + c[20:]),
       ("init_of_a_small_window", lambda c: c[:20] + struct.pack("!I", 1499) + c[24:]),
       ("init_without_out_streams", lambda c: c[:24] + bytes(2) + c[26:]),
       ("init_without_in_streams", lambda c: c[:26] + bytes(2) + c[28:]),
       ("init_ack_and_data", lambda c: c[:4] + b"\0\0\0\1" + c[8:12] + raw(init_ack()) +
        raw(data())),
       ("complete_and_data", lambda c: c[:4] + b"\0\0\0\1" + c[8:12] +
        raw(SCTPChunkShutdownComplete()) + raw(data())),
       ("abort_and_data", lambda c: c[:4] + b"\0\0\0\1" + c[8:12] + raw(data()) +
        raw(SCTPChunkAbort())))
def test_malformed(lab, _name, change):
    """What no receiver takes is dropped whatever the rules say, as short."""
    lab.pf.load("pass in on ext proto sctp\n")
    g = Gate(lab)
    whole = raw(SCTP(sport=1000, dport=80, tag=0) / init())
    for a, b in ((GHOST, GHOST_DST), (GHOST6, GHOST6_DST)):
        before = lab.pf.info()["short"]
        p = ip(a, b) / Raw(change(whole))
        p[0].setfieldval("proto" if "." in a else "nh", PROTO)
        eq(g.into(p), False)
        eq(lab.pf.info()["short"], before + 1)
        eq(lab.pf.states(), [])
    p = IP(src=GHOST, dst=GHOST_DST, proto=PROTO) / Raw(whole)
    eq(g.into(p), True, "what it was made of")


def test_edges_of_what_is_well_formed():
    with Lab(hosts=2, rules="pass in on ext proto sctp\n") as lab:
        p = Peers(lab)
        eq(p.there(init(a_rwnd=1500), 0), True)
        eq(p.there(Raw(b"")), True, "no chunks")
        eq(p.there(SCTPChunkAbort() / SCTPChunkHeartbeatReq()), True)
        many = Raw(b"\xc0\0\0\4" * 300 + raw(data(1)))
        eq(p.there(many), True, "many chunks, the last padded")


def test_fragments():
    """Of the first fragment the chunks that are there count; the rest have no ports."""
    rules = "block\npass in on ext proto sctp to port 80\n"
    with Lab(hosts=2, rules=rules) as lab:
        g = Gate(lab)
        whole = raw(SCTP(sport=1000, dport=80, tag=B) / data(200))
        first = IP(src=GHOST, dst=GHOST_DST, proto=PROTO, flags="MF") / Raw(whole[:48])
        later = IP(src=GHOST, dst=GHOST_DST, proto=PROTO, frag=6) / Raw(whole[48:])
        eq(g.into(first), True)
        eq(g.into(later), False)
        contains(lab.pf.state("sctp"), "CLOSED:COOKIE_WAIT")


@BOTH
def test_icmp_errors(_name, a, b):
    """By the quoted ports and tag; there are eight bytes to look at."""
    with Lab(hosts=2, rules="block\npass in on ext proto sctp\n") as lab:
        p = Peers(lab, a, b)
        p.associate()

        def error(tag, sport=1000, dport=80, chunk=None):
            quote = raw(ip(a, b) / SCTP(sport=sport, dport=dport, tag=tag) / (chunk or data()))
            quote = quote[:(40 if ":" in a else 20) + 8]
            if ":" in a:
                return p.g.out(IPv6(src=b, dst=a) / ICMPv6DestUnreach(code=4) / Raw(quote))
            return p.g.out(IP(src=b, dst=a) / ICMP(type=3, code=2) / Raw(quote))

        eq(error(B), True)
        eq(error(0, chunk=init()), True, "about the INIT")
        eq(error(A), False, "the other's tag")
        eq(error(B, dport=81), False)
        eq(error(B, sport=1001), False)
        contains(lab.pf.state("sctp"), "ESTABLISHED:ESTABLISHED")


def test_translation_leaves_ports_alone():
    """nat-to and rdr-to change addresses; what they say of ports is not for SCTP."""
    rules = ("block\npass out on ext proto sctp nat-to 192.0.2.50 port 2000:3000\n"
             "pass in on ext proto sctp to 192.0.2.60 port 4321 rdr-to 198.51.100.7 port 1234\n")
    with Lab(hosts=2, rules=rules) as lab:
        def run(way, pkt):
            from test_states import frame
            verdict, out = lab.pf.run("ext", way, frame(pkt))[:2]
            eq(verdict, -1, pkt.summary())
            p = IP(out[14:])
            want = p[SCTP].chksum
            del p[SCTP].chksum, p.chksum
            again = IP(raw(p))
            eq((again[SCTP].chksum, again.chksum), (want, IP(out[14:]).chksum), "checksums")
            return p.src, p.dst, p[SCTP].sport, p[SCTP].dport

        inside, far = GHOST_DST, GHOST
        eq(run("out", IP(src=inside, dst=far) / SCTP(sport=1000, dport=80, tag=0) / init()),
           ("192.0.2.50", far, 1000, 80))
        eq(run("in", IP(src=far, dst="192.0.2.50") / SCTP(sport=80, dport=1000, tag=A) /
               init_ack()), (far, inside, 80, 1000))
        contains(lab.pf.state("sctp"),
                 f"all sctp 192.0.2.50:1000 ({inside}:1000) -> {far}:80       COOKIE_WAIT:CLOSED")
        eq(run("in", IP(src=far, dst="192.0.2.60") / SCTP(sport=9, dport=4321, tag=0) / init()),
           (far, "198.51.100.7", 9, 4321))
        # another inside host with the same ports: there is no other port to give
        g = Gate(lab)
        eq(g.out(IP(src="198.51.100.101", dst=far) / SCTP(sport=1000, dport=80, tag=0) / init()),
           False)
        eq(lab.pf.info()["translate"], 1)
        # errors about it find their way back
        err = ICMP(type=3, code=2) / IP(src="192.0.2.50", dst=far, proto=PROTO) / Raw(
            raw(SCTP(sport=1000, dport=80, tag=B))[:8])
        from test_states import frame
        verdict, out = lab.pf.run("ext", "in", frame(IP(src=far, dst="192.0.2.50") / err))[:2]
        eq(verdict, -1)
        back = IP(out[14:])
        eq((back.dst, IP(raw(back[ICMP].payload)).src), (inside, inside))


@BOTH
def test_block_return(_name, a, b):
    """An ABORT from the address that was asked for, with the tag that is expected there."""
    with Lab(hosts=2, rules="block return\nblock return-icmp proto sctp to port 81\n"
                            "block drop proto sctp to port 82\n") as lab:
        wire = lab.wire("src")

        def ask(dport, chunk, tag=0):
            p = ip(a, b) / SCTP(sport=1000, dport=dport, tag=tag) / chunk
            wire.send(p)
            return wire.receive(lambda x: x.dst == a, 0.5)

        for chunk, tag, want in ((init(), 0, (A, 0)), (data(), B, (B, 1)),
                                 (SCTPChunkCookieEcho(cookie=b"1234"), B, (B, 1))):
            got = ask(80, chunk, tag)
            assert got, chunk.summary()
            s = got[SCTP]
            eq((got.src, s.sport, s.dport, s.tag, s[SCTPChunkAbort].TCB), (b, 80, 1000, *want))
            eq(s[SCTPChunkAbort].len, 4)
            bare = raw(s)[:16]
            eq(s.chksum, crc32c(bare[:8] + bytes(4) + bare[12:]), "checksum")
            eq(len(bare), 16)
        for chunk in (SCTPChunkAbort(), SCTPChunkShutdownComplete()):
            eq(ask(80, chunk, B), None, chunk.summary())
        got = ask(81, init())
        eq(got is not None and (ICMP in got or ICMPv6DestUnreach in got), True, "return-icmp")
        eq(ask(82, init()), None)


def test_timeouts_are_listed():
    """FreeBSD's place and defaults; what is not set stays."""
    with Lab(hosts=2, rules="set timeout { sctp.first 13, sctp.opening 14 }\npass\n") as lab:
        lines = lab.pf.ctl("-st").stdout.splitlines()
        at = lines.index(f"{'tcp.tsdiff':20} {30:10}s")
        lines_eq(lines[at + 1:at + 7], [
            f"{name:20} {n:10}s" for name, n in (
                ("sctp.first", 13), ("sctp.opening", 14), ("sctp.established", 86400),
                ("sctp.closing", 900), ("sctp.closed", 90), ("udp.first", 60))])


def test_timeouts_end_states():
    rules = "set timeout { sctp.first 1, sctp.closed 1, interval 1 }\n" + RULES
    with Lab(hosts=2, rules=rules) as lab:
        Peers(lab, sport=1).there(init(), 0)
        p = Peers(lab, sport=2)
        p.associate()
        q = Peers(lab, sport=3)
        q.associate()
        q.there(SCTPChunkAbort())
        eq(len(lab.pf.states()), 3)
        wait_for("two to end", lambda: len(lab.pf.states()) == 1, 8)
        contains(lab.pf.state("sctp"), "ESTABLISHED:ESTABLISHED")


def test_timeouts_of_a_rule():
    rules = "block\npass in on ext proto sctp keep state (sctp.first 500, sctp.established 7000)\n"
    with Lab(hosts=2, rules=rules) as lab:
        p = Peers(lab)
        p.there(init(), 0)
        between(expires(lab), 490, 500, "first")
        p.associate()
        between(expires(lab), 6990, 7000, "established")


def test_log_has_the_ports():
    with Lab(hosts=2, rules="block log\n") as lab:
        Peers(lab).there(init(), 0)
        wait_for("a record", lambda: len(lab.pf.log_records()) == 1)
        with open(lab.pf.logfile, "rb") as f:
            record = f.read()[24 + 16:]
        eq(struct.unpack_from("!HH", record, 96), (1000, 80))


def test_same_ports_of_another_protocol():
    """An association is no UDP and no TCP of the same ports."""
    from scapy.layers.inet import TCP, UDP
    with Lab(hosts=2, rules=RULES) as lab:
        p = Peers(lab)
        p.associate()
        eq(p.g.out(ip(GHOST_DST, GHOST) / UDP(sport=80, dport=1000)), False)
        eq(p.g.out(ip(GHOST_DST, GHOST) / TCP(sport=80, dport=1000, flags="A")), False)
