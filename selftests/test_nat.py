# SPDX-License-Identifier: BSD-2-Clause
"""Translation: nat-to and rdr-to, as rules see it and as packets leave; both ways, and the
ICMP errors about it."""
import os
import socket
import threading

from pft import bpf
from pft.check import at_least, between, cases, contains, eq, matches, timeout
from pft.lab import (DST, DST6, FW_DST, FW6_DST, GHOST, GHOST6, GHOST6_DST, GHOST_DST, MAC, SRC,
                     SRC6, Lab)
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest,
                                ICMPv6ND_NS, ICMPv6TimeExceeded, IPv6)
from scapy.layers.l2 import Ether
from scapy.packet import Raw, raw

PASS = -1
EMITTERS = cases(("linear", "linear"), ("tree", "tree"))
PUBLIC, PUBLIC6 = "203.0.113.7", "2001:db8:77::7"
# who is inside, whom they talk to, what they are translated to
BOTH = cases(("ipv4", GHOST, GHOST_DST, PUBLIC), ("ipv6", GHOST6, GHOST6_DST, PUBLIC6))


def ip(src, dst):
    return IPv6(src=src, dst=dst) if ":" in src else IP(src=src, dst=dst)


class Gate:
    """The programs at one interface: packets as they leave, None if they do not."""

    def __init__(self, lab, dev="int"):
        self.lab, self.dev = lab, dev

    def run(self, direction, pkt):
        frame = raw(Ether(dst=MAC[self.dev], src="02:00:00:00:00:99") / pkt)
        verdict, data, _ = self.lab.pf.run(self.dev, direction, frame)
        if verdict != PASS:
            return None
        got = Ether(data).payload
        right_sums(got)
        return got

    def out(self, pkt):
        return self.run("out", pkt)

    def into(self, pkt):
        return self.run("in", pkt)


def right_sums(pkt):
    """Every checksum is what scapy makes of it, those of a quote too."""
    again = pkt.copy()
    layer = again
    while layer:
        for field in ("chksum", "cksum"):
            # UDP may go without; what is quoted of TCP need not be whole
            if field in layer.fields and not (isinstance(layer, UDP) and not layer.chksum) and \
                    not type(layer).__name__ == "TCPerror":
                delattr(layer, field)
        layer = layer.payload
    eq(raw(again).hex(), raw(pkt).hex(), "the checksums are right")


def ends(pkt):
    """((source, port), (destination, port))"""
    l4 = pkt.payload
    return (pkt.src, getattr(l4, "sport", None)), (pkt.dst, getattr(l4, "dport", None))


def nat_rules(public, ports="port 5000", proto="{ tcp udp }"):
    family = "inet6" if ":" in public else "inet"
    return f"block\nmatch out on int {family} nat-to {public} {ports}\npass out on int proto {proto}\n"


@BOTH
def test_nat_to(_name, inside, outside, public):
    with Lab(rules=nat_rules(public)) as lab:
        g = Gate(lab)
        for l4 in (UDP, TCP):
            syn = {"flags": "S", "seq": 100} if l4 is TCP else {}
            data = () if l4 is TCP else Raw(b"odd")
            q = ip(inside, outside) / l4(sport=1000, dport=53, **syn)
            got = g.out(q / data if data else q)
            eq(ends(got), ((public, 5000), (outside, 53)))
            back = {"flags": "SA", "seq": 500, "ack": 101} if l4 is TCP else {}
            got = g.into(ip(outside, public) / l4(sport=53, dport=5000, **back))
            eq(ends(got), ((outside, 53), (inside, 1000)), "the answer")
            more = {"flags": "A", "seq": 101, "ack": 501} if l4 is TCP else {}
            for _ in range(3):  # the last ones by the fast path
                got = g.out(ip(inside, outside) / l4(sport=1000, dport=53, **more) / Raw(b"four"))
                eq(ends(got), ((public, 5000), (outside, 53)))
                if l4 is TCP:
                    more["seq"] += 4
            back = {"flags": "A", "seq": 501, "ack": 105} if l4 is TCP else {}
            got = g.into(ip(outside, public) / l4(sport=53, dport=5000, **back) / Raw(b"xyz"))
            eq(ends(got), ((outside, 53), (inside, 1000)))
        eq(g.into(ip(outside, inside) / UDP(sport=53, dport=1000)), None,
           "who is inside is not seen from outside")
        eq(len(lab.pf.states()), 2)


@BOTH
def test_echo_ids(_name, inside, outside, public):
    """Two hosts may choose the same id."""
    six = ":" in inside
    ask, answer = (ICMPv6EchoRequest, ICMPv6EchoReply) if six else (
        lambda **kw: ICMP(type=8, **kw), lambda **kw: ICMP(type=0, **kw))
    other = inside[:-3] + ("1ff" if six else "77")
    proto = "ipv6-icmp" if six else "icmp"
    with Lab(rules=nat_rules(public, "static-port", proto)) as lab:
        g = Gate(lab)
        ids = {}
        for who in (inside, other):
            got = g.out(ip(who, outside) / ask(id=42, seq=1) / Raw(b"ping"))
            eq((got.src, got.dst), (public, outside))
            ids[who] = got.payload.id
        at_least(min(ids.values()), 1)
        eq(len(set(ids.values())), 2, "ids")
        for who, number in ids.items():
            got = g.into(ip(outside, public) / answer(id=number, seq=1) / Raw(b"ping"))
            eq((got.src, got.dst, got.payload.id), (outside, who, 42))


@BOTH
def test_other_protocols(_name, inside, outside, public):
    """Only addresses: one connection of them between two hosts."""
    with Lab(rules=nat_rules(public, "", "gre")) as lab:
        g = Gate(lab)

        def gre(a, b):
            p = ip(a, b)
            setattr(p, "nh" if ":" in a else "proto", 47)
            return p / Raw(bytes(8))
        got = g.out(gre(inside, outside))
        eq((got.src, got.dst), (public, outside))
        got = g.into(gre(outside, public))
        eq((got.src, got.dst), (outside, inside))
        eq(g.out(gre(inside[:-1] + "1", outside)), None, "the address is taken")
        eq(lab.pf.info()["translate"], 1)


@BOTH
def test_rdr_to(_name, inside, outside, public):
    """From outside to a public address, to who is inside."""
    family = "inet6" if ":" in public else "inet"
    rules = (f"block\nmatch in on ext {family} proto {{ tcp udp }} to {public} port 80 "
             f"rdr-to {outside} port 8080\n"
             f"pass in on ext proto {{ tcp udp }} to {outside} port 8080\n")
    with Lab(rules=rules) as lab:
        g = Gate(lab, "ext")
        got = g.into(ip(inside, public) / UDP(sport=1000, dport=80))
        eq(ends(got), ((inside, 1000), (outside, 8080)))
        got = g.out(ip(outside, inside) / UDP(sport=8080, dport=1000))
        eq(ends(got), ((public, 80), (inside, 1000)))
        eq(g.out(ip(outside, inside) / UDP(sport=8080, dport=1001)), None, "of another one")
        got = g.into(ip(inside, public) / TCP(sport=1000, dport=80, flags="S", seq=1))
        eq(ends(got), ((inside, 1000), (outside, 8080)))
        eq(g.into(ip(inside, outside) / TCP(sport=1000, dport=8080, flags="S", seq=1)), None,
           "the same ends by another way: what comes back could not be told apart")
        eq(lab.pf.info()["state-insert"], 1)


@EMITTERS
def test_rdr_ports(_name, emitter):
    rules = ("block\npass in on ext inet proto udp to port 100:199 rdr-to 198.51.100.9 "
             "port 1000:1009\npass in on ext inet proto udp to port 300 rdr-to 198.51.100.9\n")
    with Lab(rules=rules, pfd_args=("--emitter", emitter)) as lab:
        g = Gate(lab, "ext")
        for port, want in ((100, 1000), (103, 1003), (110, 1000), (199, 1009), (300, 300)):
            got = g.into(ip(GHOST, PUBLIC) / UDP(sport=port, dport=port))
            eq(ends(got), ((GHOST, port), ("198.51.100.9", want)))


def test_udp_without_checksum():
    with Lab(rules=nat_rules(PUBLIC)) as lab:
        g = Gate(lab)
        got = g.out(ip(GHOST, GHOST_DST) / UDP(sport=1, dport=2, chksum=0))
        eq((ends(got), got[UDP].chksum), (((PUBLIC, 5000), (GHOST_DST, 2)), 0))


@EMITTERS
def test_prefixes(_name, emitter):
    """binat: two networks, host by host, both ways, ports as they are."""
    rules = ("block\npass on int from 192.0.2.0/24 to any binat-to 203.0.113.0/24\n")
    with Lab(rules=rules, pfd_args=("--emitter", emitter)) as lab:
        g = Gate(lab)
        contains("\n".join(lab.pf.rules()), "bitmask")
        got = g.out(ip("192.0.2.33", GHOST_DST) / UDP(sport=7, dport=8))
        eq(ends(got), (("203.0.113.33", 7), (GHOST_DST, 8)))
        got = g.into(ip(GHOST_DST, "203.0.113.99") / UDP(sport=9, dport=10))
        eq(ends(got), ((GHOST_DST, 9), ("192.0.2.99", 10)))
        got = g.out(ip("192.0.2.99", GHOST_DST) / UDP(sport=10, dport=9))
        eq(ends(got), (("203.0.113.99", 10), (GHOST_DST, 9)))


# --- rules ---

@EMITTERS
def test_later_rules_see_it(_name, emitter):
    """From the match rule on, in anchors and behind them; and all is undone for who is blocked."""
    rules = (f"match out on int inet from {GHOST} nat-to {PUBLIC} port 5000\n"
             "block return out on int\n"
             "anchor a {\nmatch from " + PUBLIC + " tag seen\n"
             f"match out inet proto udp from {PUBLIC} port 5000 to port 9 nat-to 203.0.113.8 "
             "port 6000\n}\n"
             f"pass out on int proto udp from {PUBLIC} port 5000 to port != 99 tagged seen\n"
             "pass out on int proto udp from 203.0.113.8 port 6000 tagged seen\n"
             f"pass out on int proto udp from {GHOST} to port 99\n")
    with Lab(rules=rules, pfd_args=("--emitter", emitter)) as lab:
        g = Gate(lab)
        eq(ends(g.out(ip(GHOST, GHOST_DST) / UDP(sport=1, dport=2)))[0], (PUBLIC, 5000))
        eq(ends(g.out(ip(GHOST, GHOST_DST) / UDP(sport=1, dport=9)))[0], ("203.0.113.8", 6000))
        eq(g.out(ip(GHOST, GHOST_DST) / UDP(sport=1, dport=99)), None, "no rule sees what it was")
        eq(g.out(ip("192.0.2.77", GHOST_DST) / UDP(sport=1, dport=2)), None, "another one")


@EMITTERS
def test_rule_behind_a_quick_one(_name, emitter):
    """A packet becomes one that a rule in front would have stopped."""
    rules = (f"block out quick on int from {PUBLIC}\n"
             f"match out on int inet from {GHOST} nat-to {PUBLIC} port 5000\n"
             "block out on int\n"
             f"pass out on int proto udp from {PUBLIC}\n" +
             "".join(f"pass out on int proto udp from 198.51.100.{i}\n" for i in range(40)))
    with Lab(rules=rules, pfd_args=("--emitter", emitter)) as lab:
        g = Gate(lab)
        eq(ends(g.out(ip(GHOST, GHOST_DST) / UDP(sport=1, dport=2)))[0], (PUBLIC, 5000))
        eq(g.out(ip(PUBLIC, GHOST_DST) / UDP(sport=1, dport=2)), None)


@EMITTERS
def test_pass_rule_translates(_name, emitter):
    """The rules in front of it, and itself, see the packet as it came; no other rule translates."""
    rules = (f"block\npass out on int inet proto udp from {GHOST} nat-to {PUBLIC} port 5000\n"
             "pass out on int inet proto udp from any to port 7 nat-to 203.0.113.8 port 6000\n")
    with Lab(rules=rules, pfd_args=("--emitter", emitter)) as lab:
        g = Gate(lab)
        eq(ends(g.out(ip(GHOST, GHOST_DST) / UDP(sport=1, dport=2)))[0], (PUBLIC, 5000))
        eq(ends(g.out(ip(GHOST, GHOST_DST) / UDP(sport=1, dport=7)))[0], ("203.0.113.8", 6000))
        # on top of what match rules did
        lab.pf.ctl("-Fs")
        lab.pf.load(f"block\nmatch out on int inet nat-to {PUBLIC} port 5000\n"
                    f"pass out on int inet proto udp from {PUBLIC} nat-to 203.0.113.8 static-port\n")
        eq(ends(g.out(ip(GHOST, GHOST_DST) / UDP(sport=1, dport=2)))[0], ("203.0.113.8", 5000))


@EMITTERS
def test_stateless_rules_do_not_translate(_name, emitter):
    rules = (f"match out on int inet nat-to {PUBLIC} port 5000\n"
             f"block\npass out on int proto udp from {PUBLIC} no state\n")
    with Lab(rules=rules, pfd_args=("--emitter", emitter)) as lab:
        got = Gate(lab).out(ip(GHOST, GHOST_DST) / UDP(sport=1, dport=2))
        eq(ends(got), ((GHOST, 1), (GHOST_DST, 2)))


def test_answers_go_to_who_sent_it():
    rules = f"match out on int inet nat-to {PUBLIC}\nblock return out on int\n"
    with Lab(rules=rules) as lab:
        eq(lab.src.can_connect(DST, 80), "refused")
        eq(lab.src.can_ask(DST, 80), "refused")


def test_neighbours_are_never_translated():
    rules = f"match out on int inet6 nat-to {PUBLIC6}\npass\n"
    with Lab(rules=rules) as lab:
        g = Gate(lab)
        p = IPv6(src=FW6_DST, dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt=DST6)
        eq(g.out(p).src, FW6_DST)


def test_fragments():
    """What follows the first one could not be translated: none of it leaves."""
    with Lab(rules=nat_rules(PUBLIC)) as lab:
        g = Gate(lab)
        whole = IP(src=GHOST, dst=GHOST_DST, id=7) / UDP(sport=1000, dport=53) / Raw(bytes(2000))
        first, later, last = fragment(whole, 1000)
        eq(g.out(first), None)
        eq((lab.pf.info()["fragment"], lab.pf.states()), (1, []))
        eq(ends(g.out(ip(GHOST, GHOST_DST) / UDP(sport=1000, dport=53)))[0], (PUBLIC, 5000))
        eq(g.out(first), None)
        eq(lab.pf.info()["fragment"], 2)
        # a rule that asks for no ports lets these through, for what they cannot become
        lab.pf.load(f"block\nmatch out on int inet nat-to {PUBLIC}\n"
                    f"pass out on int inet from {PUBLIC}\n")
        eq((g.out(later), g.out(last), lab.pf.info()["fragment"]), (None, None, 4))
        lab.pf.load("pass out on int inet\n")
        eq((g.out(later).src, g.out(last).src), (GHOST, GHOST))


# --- ports ---

def test_port_range():
    with Lab(rules=nat_rules(PUBLIC, "port 4000:4009")) as lab:
        g = Gate(lab)
        ports = [ends(g.out(ip(GHOST, GHOST_DST) / UDP(sport=n, dport=53)))[0][1]
                 for n in range(1, 11)]
        eq(sorted(ports), list(range(4000, 4010)), "each of them once")
        eq(g.out(ip(GHOST, GHOST_DST) / UDP(sport=99, dport=53)), None, "no port is left")
        eq(lab.pf.info()["translate"], 1)
        got = g.out(ip(GHOST, GHOST_DST) / UDP(sport=99, dport=54))
        between(ends(got)[0][1], 4000, 4009, "for another end")
        for n, port in zip(range(1, 11), ports):
            got = g.into(ip(GHOST_DST, PUBLIC) / UDP(sport=53, dport=port))
            eq(ends(got)[1], (GHOST, n))


def test_the_only_free_port_is_its_own():
    """What becomes itself again is not translated: its fragments pass, for one."""
    with Lab(rules=nat_rules(PUBLIC, "port 4000:4001")) as lab:
        g = Gate(lab)
        for port in range(1, 21):
            taken = ends(g.out(ip(GHOST, GHOST_DST) / UDP(sport=9, dport=port)))[0][1]
            own = 8001 - taken
            got = g.out(ip(PUBLIC, GHOST_DST) / UDP(sport=own, dport=port))
            eq(ends(got), ((PUBLIC, own), (GHOST_DST, port)))
            answer = IP(src=GHOST_DST, dst=PUBLIC, flags="MF") / UDP(sport=port, dport=own)
            eq(g.into(answer / bytes(16)) is None, False, f"port {port}")
        eq(sum(s.startswith(f"all udp {PUBLIC}:{own} -> {GHOST_DST}:20 ")
               for s in lab.pf.states()), 1, lab.pf.states())


def test_default_ports():
    with Lab(rules=nat_rules(PUBLIC, "")) as lab:
        g = Gate(lab)
        ports = {ends(g.out(ip(GHOST, GHOST_DST) / UDP(sport=n, dport=53)))[0][1]
                 for n in range(1, 40)}
        eq(len(ports), 39)
        between(min(ports), 50001, 65535)


def test_static_port():
    with Lab(rules=nat_rules(PUBLIC, "static-port")) as lab:
        g = Gate(lab)
        eq(ends(g.out(ip(GHOST, GHOST_DST) / UDP(sport=1, dport=53)))[0], (PUBLIC, 1))
        eq(g.out(ip("192.0.2.77", GHOST_DST) / UDP(sport=1, dport=53)), None, "it is taken")
        eq(lab.pf.info()["translate"], 1)


@EMITTERS
def test_rules_that_ask_for_the_port(_name, emitter):
    """They see the port that the connection gets, not one that was found taken."""
    rules = ("block\nmatch out on int inet nat-to " + PUBLIC + " port 4000:4003\n"
             "pass out on int proto udp\n" +
             "".join(f"pass out on int proto udp from port {p} tag p{p}\n"
                     for p in range(4000, 4004)))
    with Lab(rules=rules, pfd_args=("--emitter", emitter)) as lab:
        g = Gate(lab)
        for n in range(1, 5):
            port = ends(g.out(ip(GHOST, GHOST_DST) / UDP(sport=n, dport=53)))[0][1]
            numbers = lab.pf.rule_numbers()
            eq(numbers[port - 4000 + 3][1]["states"], 1, f"port {port}, {numbers}")
        eq(numbers[2][1]["states"], 0)


@timeout(120)
def test_ports_are_not_given_out_twice():
    """Two CPUs make connections at once, from the same ports to the same end."""
    hosts, ports = 4, range(20000, 20600)
    # all of them, and one for each CPU: it may hold one for a connection that another makes
    rules = nat_rules(PUBLIC, "port 30000:32401", "udp")
    # on a slow machine the first ones are old when the last one is made
    with Lab(rules="set limit states 20000\nset timeout { udp.first 600, udp.single 600 }\n" +
             rules) as lab:
        fd = lab.pf.program("int", "out")
        index = lab.fw.ifindex("int")
        left = [[] for _ in range(2)]

        def make(cpu):
            os.sched_setaffinity(threading.get_native_id(), {cpu})
            with lab.fw:
                for port in ports:
                    for host in range(hosts):
                        # each flow on both CPUs: one of them finds the other's state
                        pkt = IP(src=f"192.0.2.{host + 10}", dst=GHOST_DST) / UDP(sport=port,
                                                                                  dport=53)
                        frame = raw(Ether(dst=MAC["int"], src="02:00:00:00:00:99") / pkt)
                        verdict, data, _ = bpf.test_run(fd, frame, index)
                        if verdict == PASS:
                            left[cpu].append((host, port, data[34] << 8 | data[35]))
        threads = [threading.Thread(target=make, args=(cpu,)) for cpu in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        os.close(fd)
        flows = len(ports) * hosts
        eq([len(x) for x in left], [flows, flows], "each finds a port")
        eq(set(left[0]), set(left[1]), "both see one translation")
        eq(len({port for _, _, port in left[0]}), flows, "each port once")
        eq(len(lab.pf.states()), flows)
        eq(lab.pf.info()["current entries"], flows)


# --- ICMP errors ---

@BOTH
def test_errors(_name, inside, outside, public):
    """From outside about what was sent, from inside about what came; in UDP, TCP and echoes."""
    six = ":" in inside
    proto = "ipv6-icmp" if six else "icmp"
    router = "2001:db8:9::9" if six else "198.51.100.200"
    ask = ICMPv6EchoRequest if six else lambda **kw: ICMP(type=8, **kw)
    echo = "port 5000"
    with Lab(rules=nat_rules(public, echo, f"{{ tcp udp {proto} }}")) as lab:
        g = Gate(lab)
        for l4 in (UDP(sport=1000, dport=53) / Raw(b"data"),
                   TCP(sport=1000, dport=53, flags="S", seq=7), ask(id=9) / Raw(b"data")):
            sent = ip(inside, outside) / l4
            left = g.out(sent)
            for who in (outside, router):
                code = ICMPv6TimeExceeded() if six else ICMP(type=11)
                error = ip(who, public) / code / left
                got = g.into(error)
                eq((got.src, got.dst), (who, inside))
                quote = raw(got.payload.payload)
                # as it was sent, but for TCP's checksum
                want = bytearray(raw(sent))
                if TCP in sent:
                    at = (40 if six else 20) + 16
                    want[at:at + 2] = raw(left)[at:at + 2]
                eq(quote.hex(), bytes(want).hex(), f"quote of {l4.name} from {who}")
        # about an answer, from inside: nobody sees who that was
        answer = ip(outside, public) / UDP(sport=53, dport=5000) / Raw(b"answer")
        came = g.into(answer)
        eq(came.dst, inside)
        for who in (inside, inside[:-1] + "7"):
            code = ICMPv6DestUnreach(code=4) if six else ICMP(type=3, code=3)
            got = g.out(ip(who, outside) / code / came)
            eq((got.src, got.dst), (public, outside))
            eq(raw(got.payload.payload).hex(), raw(answer).hex())


def test_error_for_another():
    """What is quoted must have been sent by whom the error is for."""
    with Lab(rules=nat_rules(PUBLIC, proto="{ udp icmp }")) as lab:
        g = Gate(lab)
        left = g.out(ip(GHOST, GHOST_DST) / UDP(sport=1000, dport=53))
        eq(g.into(ip(GHOST_DST, GHOST) / ICMP(type=3, code=3) / left), None)
        wrong = ip(GHOST, GHOST_DST) / UDP(sport=1000, dport=53)
        eq(g.into(ip(GHOST_DST, GHOST) / ICMP(type=3, code=3) / wrong), None,
           "the tuple behind the translation means nothing outside")


# --- real stacks ---

def masquerade(rules="", host=FW_DST, host6=FW6_DST):
    """src behind the firewall's own addresses."""
    return (f"block\nmatch out on int inet from {SRC} nat-to {host}\n"
            f"match out on int inet6 from {SRC6} nat-to {host6}\n{rules}"
            "pass in on ext\npass out on int\n")


@cases(("ipv4", DST, FW_DST), ("ipv6", DST6, FW6_DST))
def test_real_connections(_name, there, public):
    from test_basic import transfer
    with Lab(rules=masquerade()) as lab:
        for route in ("via", "blackhole"):
            # there is no way back to who is inside
            if route == "blackhole":
                lab.dst.ip("route", "add", "blackhole", SRC + "/32")
                lab.dst.ip("-6", "route", "add", "blackhole", SRC6 + "/128")
            eq(transfer(lab, there, 300000), {"there": 300000, "back": 300000})
            eq(lab.src.ping(there, 2), True)
            eq(lab.src.ping(there, 2, size=1400), True)
            eq(lab.src.can_ask(there, 9), "refused", "port unreachable, through the translation")
            eq(lab.src.can_connect(there, 9), "refused")
        family = socket.AF_INET6 if ":" in there else socket.AF_INET
        with lab.dst.udp(7, family=family) as s, lab.src.sock(family, socket.SOCK_DGRAM) as c:
            c.settimeout(2)
            c.connect((there, 7))
            c.send(b"who am I")
            data, peer = s.recvfrom(100)
            eq((data, peer[0]), (b"who am I", public))
            s.sendto(b"you", peer)
            eq(c.recv(100), b"you")


def test_path_mtu():
    """Too big behind the far link: the error comes back through the translation."""
    from test_basic import transfer
    with Lab(rules=masquerade()) as lab:
        lab.fw.ip("link", "set", "int", "mtu", "1280")
        for addr in (DST, DST6):
            eq(transfer(lab, addr, 300000), {"there": 300000, "back": 300000})
        contains(lab.src.ip("route", "get", DST), "mtu 1280")


@cases(("ipv4", DST, "192.0.2.2"), ("ipv6", DST6, "2001:db8:1::2"))
def test_real_redirection(_name, server, public):
    """A service of dst at the firewall's own address."""
    rules = (f"block\npass in on ext proto tcp to {public} port 80 rdr-to {server} port 8080\n"
             "pass out on int\n")
    with Lab(rules=rules) as lab:
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        with lab.dst.listen(8080, family=family) as s, lab.src.connect(public, 80) as c:
            peer, who = s.accept()
            with peer:
                c.sendall(b"hello" * 1000)
                got = b""
                while len(got) < 5000:
                    got += peer.recv(8192)
                eq(got, b"hello" * 1000)
                peer.sendall(b"bye")
                eq(c.recv(10), b"bye")
                eq(who[0], SRC if family == socket.AF_INET else SRC6)


def test_both_at_once():
    """In to another port, out from another address: two states."""
    rules = (f"block\npass in on ext inet proto tcp to 192.0.2.2 port 80 rdr-to {DST} port 8080\n"
             f"pass out on int inet proto tcp to {DST} port 8080 nat-to {FW_DST}\n")
    with Lab(rules=rules) as lab:
        with lab.dst.listen(8080) as s, lab.src.connect("192.0.2.2", 80) as c:
            peer, who = s.accept()
            with peer:
                eq(who[0], FW_DST)
                peer.sendall(b"bye")
                eq(c.recv(10), b"bye")
        shown = sorted(" ".join(line.split()) for line in lab.pf.states())
        eq(len(shown), 2)
        contains(shown[0], "all tcp 198.51.100.1:8080 (192.0.2.2:80) <- 192.0.2.1:")
        matches(shown[1], r"all tcp 198.51.100.2:\d+ \(192.0.2.1:\d+\) -> 198.51.100.1:8080 ")
        with open(f"{lab.pin}/states", encoding="ascii") as f:
            eq(sorted(" ".join(line.split()) for line in f), shown, "cat of the pin")


# --- life ---

def test_states_outlive_rules_and_pfd():
    with Lab(rules=nat_rules(PUBLIC)) as lab:
        g = Gate(lab)
        q = ip(GHOST, GHOST_DST) / UDP(sport=1000, dport=53)
        a = ip(GHOST_DST, PUBLIC) / UDP(sport=53, dport=5000)
        for step in (lambda: g.out(q), lambda: lab.pf.load("block\n"), lab.pf.restart,
                     lambda: lab.pf.load("set limit states 50000\nblock\n")):
            step()
            eq(ends(g.into(a)), ((GHOST_DST, 53), (GHOST, 1000)))
            eq(ends(g.out(q)), ((PUBLIC, 5000), (GHOST_DST, 53)))
        lab.pf.ctl("-Fs")
        eq((g.into(a), g.out(q), lab.pf.states()), (None, None, []))
        lab.pf.load(nat_rules(PUBLIC))
        eq(ends(g.out(q))[0], (PUBLIC, 5000), "the port is free again")


def test_log_shows_both():
    """A match rule logs what came, the rule that wins what leaves."""
    rules = (f"match out log on int inet from {GHOST} nat-to {PUBLIC} port 5000\n"
             "pass out log on int\n")
    with Lab(rules=rules) as lab:
        g = Gate(lab)
        g.out(ip(GHOST, GHOST_DST) / UDP(sport=1000, dport=53))
        lab.pf.stop()
        lines = lab.pf.log_lines()
        lab.pf.start()
        eq(len(lines), 2)
        contains(lines[0], f"{GHOST}.1000 > {GHOST_DST}.53")
        contains(lines[1], f"{PUBLIC}.5000 > {GHOST_DST}.53")
        matches(lines[0], r"rule 0.*unkn\(12\) out")  # tcpdump does not know match
        matches(lines[1], "rule 1.*pass out")
