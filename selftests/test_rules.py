# SPDX-License-Identifier: BSD-2-Clause
"""Rule evaluation, by BPF_PROG_TEST_RUN: tables of packets, and random rulesets
against a plain reading of pf.conf(5)."""
import ipaddress
import os
import random
import re

from pft.check import at_least, between, cases, contains, eq, matches, one_lab, timeout
from pft.lab import MAC, Lab
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6ND_NS, IPv6, IPv6ExtHdrFragment,
                                IPv6ExtHdrHopByHop, IPv6ExtHdrDestOpt)
from scapy.layers.l2 import Ether
from scapy.packet import Raw, raw

PASS, DROP = -1, 2
A, B, C = "192.0.2.1", "198.51.100.1", "203.0.113.9"
A6, B6 = "2001:db8:1::1", "2001:db8:2::1"


def frame(pkt, dev="ext"):
    return raw(Ether(dst=MAC[dev], src="02:00:00:00:00:99") / pkt)


def tcp(sport=1024, dport=80, flags="S", src=A, dst=B):
    ip = IPv6 if ":" in src else IP
    return ip(src=src, dst=dst) / TCP(sport=sport, dport=dport, flags=flags)


LINEAR = ("--emitter", "linear")


def udp(sport=1024, dport=53, src=A, dst=B):
    ip = IPv6 if ":" in src else IP
    return ip(src=src, dst=dst) / UDP(sport=sport, dport=dport) / b"payload"


def echo(src=A, dst=B):
    if ":" in src:
        return IPv6(src=src, dst=dst) / ICMPv6EchoRequest(id=5)
    return IP(src=src, dst=dst) / ICMP(type=8, id=5)


# name, rules, [(packet, direction, verdict)]
TABLES = [
    ("addresses", """
        block
        pass from 192.0.2.0/24 to 198.51.100.1 no state
        block from 192.0.2.64/26
        pass from ! 192.0.2.0/25 to 203.0.113.9 no state
        pass inet6 from 2001:db8:1::/48 to 2001:db8:2::1 no state
        pass from 2001:db8:ffff:ffff:8000::/65 no state
     """, [
         (udp(), "in", PASS), (udp(), "out", PASS),
         (udp(src="192.0.2.63"), "in", PASS), (udp(src="192.0.2.64"), "in", DROP),
         (udp(src="192.0.2.127"), "in", DROP), (udp(src="192.0.2.128"), "in", PASS),
         (udp(src="192.0.3.1"), "in", DROP), (udp(dst="198.51.100.2"), "in", DROP),
         (udp(src=A, dst=C), "in", DROP), (udp(src="192.0.2.200", dst=C), "in", PASS),
         (udp(src=B, dst=C), "in", PASS),
         (udp(src=A6, dst=B6), "in", PASS), (udp(src="2001:db8:2::1", dst=B6), "in", DROP),
         (udp(src="2001:db8:1:ffff::1", dst=B6), "out", PASS),
         (udp(src=A6, dst="2001:db8:2::2"), "in", DROP),
         (udp(src="2001:db8:ffff:ffff:8000::1", dst=A6), "in", PASS),
         (udp(src="2001:db8:ffff:ffff:7fff:ffff:ffff:ffff", dst=A6), "in", DROP),
         (udp(src="2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", dst=A6), "in", PASS),
     ]),
    ("ports", """
        block
        pass proto udp to port 53 no state
        pass proto udp to port { 100:200 300 } no state
        pass proto udp to port 399 >< 403 no state
        pass proto udp from port 1 <> 65000 to port 500 no state
        pass proto udp to port > 64999 no state
        pass proto udp to port < 10 no state
        pass proto udp from port != 7 to port 600 no state
        pass proto tcp from any port <= 1023 to any port >= 60000 no state flags any
     """, [
         (udp(dport=53), "in", PASS), (udp(dport=54), "in", DROP),
         (udp(dport=99), "in", DROP), (udp(dport=100), "in", PASS),
         (udp(dport=200), "in", PASS), (udp(dport=201), "in", DROP),
         (udp(dport=300), "in", PASS),
         (udp(dport=399), "in", DROP), (udp(dport=400), "in", PASS),
         (udp(dport=402), "in", PASS), (udp(dport=403), "in", DROP),
         (udp(1, 500), "in", DROP), (udp(65000, 500), "in", DROP),
         (udp(0, 500), "in", PASS), (udp(65001, 500), "in", PASS), (udp(2, 500), "in", DROP),
         (udp(dport=64999), "in", DROP), (udp(dport=65000), "in", PASS),
         (udp(dport=65535), "in", PASS), (udp(dport=9), "in", PASS), (udp(dport=10), "in", DROP),
         (udp(dport=1), "in", PASS), (udp(dport=0), "in", DROP), (udp(7, 600), "in", DROP), (udp(8, 600), "in", PASS),
         (tcp(1023, 60000), "in", PASS), (tcp(1024, 60000), "in", DROP),
         (tcp(1023, 59999), "in", DROP), (tcp(1, 53), "in", DROP),
     ]),
    ("protocols", """
        block
        pass proto tcp no state
        pass inet proto 47 no state
        pass inet6 proto icmp6 no state
        pass inet proto icmp all icmp-type 8 code 0 no state
        pass inet proto icmp all icmp-type 13 no state
     """, [
         (tcp(), "in", PASS), (tcp(src=A6, dst=B6), "in", PASS), (udp(), "in", DROP),
         (IP(src=A, dst=B, proto=47) / b"abcdefgh", "in", PASS),
         (IP(src=A, dst=B, proto=48) / b"abcdefgh", "in", DROP),
         (IPv6(src=A6, dst=B6, nh=47) / b"abcdefgh", "in", DROP),
         (echo(), "in", PASS), (echo(A6, B6), "in", PASS),
         (IP(src=A, dst=B) / ICMP(type=8, code=1), "in", DROP),
         (IP(src=A, dst=B) / ICMP(type=13), "in", PASS),
         (IP(src=A, dst=B) / ICMP(type=15), "in", DROP),
         (IPv6(src=A6, dst=B6, hlim=255) / ICMPv6ND_NS(tgt=B6), "in", PASS),
     ]),
    ("tcp flags", """
        block
        pass proto tcp to port 1 flags S/SA no state
        pass proto tcp to port 2 flags any no state
        pass proto tcp to port 3 flags SA/SA no state
        pass proto tcp to port 4 flags /R no state
        pass proto tcp to port 5 flags S/SAFR no state
        pass proto tcp to port 6 flags /FSRA no state
     """, [
         (tcp(dport=1, flags="S"), "in", PASS), (tcp(dport=1, flags="SA"), "in", DROP),
         (tcp(dport=1, flags="A"), "in", DROP), (tcp(dport=1, flags="SEC"), "in", PASS),
         (tcp(dport=2, flags="A"), "in", PASS), (tcp(dport=2, flags="R"), "in", PASS),
         (tcp(dport=3, flags="SA"), "in", PASS), (tcp(dport=3, flags="A"), "in", DROP),
         (tcp(dport=4, flags="A"), "in", PASS), (tcp(dport=4, flags="RA"), "in", DROP),
         (tcp(dport=5, flags="S"), "in", PASS), (tcp(dport=5, flags="SA"), "in", DROP),
         (tcp(dport=6, flags="A"), "in", DROP),
     ]),
    ("tables", """
        table <t> { 192.0.2.0/24, ! 192.0.2.128/25, 192.0.2.200, 2001:db8:1::/48,
            !2001:db8:1:5::/64 }
        table <none>
        pass
        block from <t>
        block to ! <t> port 7
        block from <none>
     """.replace("block to ! <t> port 7", "block proto udp to ! <t> port 7"), [
         (udp(src="192.0.2.1"), "in", DROP), (udp(src="192.0.2.127"), "in", DROP),
         (udp(src="192.0.2.128"), "in", PASS), (udp(src="192.0.2.200"), "in", DROP),
         (udp(src="192.0.2.201"), "in", PASS), (udp(src="192.0.1.1"), "in", PASS),
         (udp(src=A6, dst=B6), "in", DROP), (udp(src="2001:db8:1:5::1", dst=B6), "in", PASS),
         (udp(src=B6, dst=A6, dport=7), "in", PASS), (udp(src=B6, dst=B6, dport=7), "in", DROP),
         (udp(src=C, dst="192.0.2.129", dport=7), "in", DROP),
         (udp(src=C, dst="192.0.2.1", dport=7), "in", PASS),
     ]),
    ("direction", """
        block in
        block out proto udp
        pass in proto udp no state
     """, [
         (udp(), "in", PASS), (udp(), "out", DROP), (tcp(), "in", DROP), (tcp(), "out", PASS),
     ]),
    ("fragments", """
        pass no state
        block proto udp to port 53
        block fragment
        pass inet proto udp from 203.0.113.9 fragment no state
     """, [
         (udp(), "in", DROP), (udp(dport=54), "in", PASS),
         (IP(src=A, dst=B, flags="MF", proto=17, len=28) / UDP(dport=54, len=100), "in", DROP),
         (IP(src=A, dst=B, frag=10, proto=17) / b"12345678", "in", DROP),
         (IP(src=C, dst=B, frag=10, proto=17) / b"12345678", "in", PASS),
         (IPv6(src=A6, dst=B6) / IPv6ExtHdrFragment(offset=8, m=0, nh=17) / b"12345678", "in",
          DROP),
         (IPv6(src=A6, dst=B6) / IPv6ExtHdrHopByHop() / UDP(dport=53), "in", DROP),
     ]),
    ("fragments do not match ports", """
        block
        pass proto udp to port 53 no state
        pass proto tcp flags S/SA no state
        pass inet proto icmp icmp-type 8 no state
     """, [
         (udp(), "in", PASS),
         (IP(src=A, dst=B, frag=10, proto=17) / (b"\x00\x35" * 8), "in", DROP),
         (IP(src=A, dst=B, frag=10, proto=6) / bytes(20), "in", DROP),
         (IP(src=A, dst=B, frag=10, proto=1) / b"\x08\x00345678", "in", DROP),
     ]),
    ("extension headers", """
        block
        pass inet6 proto udp to port 53 no state allow-opts
     """, [
         (IPv6(src=A6, dst=B6) / IPv6ExtHdrDestOpt() / UDP(dport=53), "in", PASS),
         (IPv6(src=A6, dst=B6) / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / UDP(dport=53),
          "in", PASS),
         (IPv6(src=A6, dst=B6) / IPv6ExtHdrDestOpt() / UDP(dport=54), "in", DROP),
     ]),
]


@one_lab(lambda: Lab(hosts=2, fresh=True))
@cases(*TABLES)
def test_table(lab, name, rules, packets):
    lab.pf.load(rules)
    for i, (pkt, way, want) in enumerate(packets):
        got = lab.pf.run("ext", way, frame(pkt))[0]
        eq(got, want, f"{name}: packet {i}, {way}, {pkt.summary()}")


def test_interfaces():
    rules = """
        block
        pass in on ext proto udp no state
        pass in on ! ext proto tcp no state
        pass in on { int lo } proto icmp no state
        pass out on nosuch0 no state
    """
    with Lab(rules=rules) as lab:
        for dev, pkt, want in (("ext", udp(), PASS), ("ext", tcp(), DROP), ("ext", echo(), DROP),
                               ("int", udp(), DROP), ("int", tcp(), PASS), ("int", echo(), PASS)):
            eq(lab.pf.run(dev, "in", frame(pkt, dev))[0], want, f"{dev} {pkt.summary()}")
            eq(lab.pf.run(dev, "out", frame(pkt, dev))[0], DROP, f"{dev} out")


def test_128_rules():
    """At least that many, each one the last to match for its own packet."""
    rules = "block\n" + "".join(
        f"pass in inet proto udp from 10.{i}.0.0/16 to any port {i + 1} no state\n"
        for i in range(127))
    with Lab(hosts=2, rules=rules) as lab:
        for i in range(127):
            p = udp(src=f"10.{i}.1.1", dport=i + 1)
            eq(lab.pf.run("ext", "in", frame(p))[0], PASS, str(i))
            p = udp(src=f"10.{i}.1.1", dport=i + 2)
            eq(lab.pf.run("ext", "in", frame(p))[0], DROP, str(i))
        numbers = lab.pf.rule_numbers()
        eq(len(numbers), 128)
        eq([n["packets"] for _, n in numbers], [127] + [1] * 127)


def test_too_many_rules():
    """For the linear emitter; what fits is told, and what was in force stays."""
    many = "".join(f"block from 10.{i // 200}.{i % 200}.1\n" for i in range(600))
    with Lab(hosts=2, rules="block\n", pfd_args=LINEAR) as lab:
        r = lab.pf.ctl("-f", "-", input=many, check=False)
        eq(r.returncode, 1)
        m = re.search(r"600 rules after expansion; at most (\d+) fit: (\d+) too many", r.stderr)
        assert m, r.stderr
        eq(int(m[1]) + int(m[2]), 600)
        eq(lab.pf.rules(), ["block drop all"], "what was in force")


def hosts(n, what="block"):
    return "".join(f"{what} in inet proto udp from any to 10.{i >> 16}.{i >> 8 & 255}.{i & 255} "
                   f"port {i % 60000 + 1}\n" for i in range(n))


@timeout(120)
@cases(("1000", 1000), ("30000", 30000))
def test_many_rules(_name, n):
    """Each of them is found, first, last and between, and counts."""
    with Lab(hosts=2, rules="pass\n") as lab:
        lab.pf.load("pass\n" + hosts(n))
        picked = [0, 1, n // 3, n // 2, n - 2, n - 1]
        for i in picked:
            dst = f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}"
            for port, want in ((i % 60000 + 1, DROP), (i % 60000 + 2, PASS)):
                p = udp(dst=dst, dport=port)
                eq(lab.pf.run("ext", "in", frame(p))[0], want, f"{dst} port {port}")
        numbers = lab.pf.rule_numbers()
        eq(len(numbers), n + 1)
        eq([i - 1 for i, (_, k) in enumerate(numbers) if i and k["packets"]], picked)
        # what another ruleset had counted is not this one's
        lab.pf.load("block\n" + hosts(n, "pass"))
        eq(sum(k["packets"] for _, k in lab.pf.rule_numbers()), 0)
        eq(lab.pf.run("ext", "in", frame(udp(dst="10.0.0.5", dport=6)))[0], PASS)
        eq(lab.pf.run("ext", "in", frame(udp(dst="10.0.0.5", dport=7)))[0], DROP)


def test_many_rules_outlive_pfd():
    """A pfd that takes over knows rules, counters and states of a tree."""
    with Lab(hosts=2, rules="pass\n") as lab:
        lab.pf.load("block\n" + hosts(1000, "pass"))
        for i in (5, 999):
            p = udp(dst=f"10.0.{i >> 8}.{i & 255}", dport=i + 1)
            for _ in range(2):
                eq(lab.pf.run("ext", "in", frame(p))[0], PASS)
        before = lab.pf.rule_numbers()
        lab.pf.stop()
        eq(lab.pf.run("ext", "in", frame(udp(dst="10.0.0.7", dport=8)))[0], PASS)
        lab.pf.start()
        after = lab.pf.rule_numbers()
        eq([i for i, (b, a) in enumerate(zip(before, after))
            if b[1]["packets"] != a[1]["packets"]], [8])
        eq(len(lab.pf.states()), 3)
        lab.pf.load("block\n")
        eq(lab.pf.run("ext", "in", frame(udp(dst="10.0.0.9", dport=10)))[0], DROP)
        # states hold on to nothing but their ids
        eq(lab.pf.run("ext", "in", frame(udp(dst="10.0.0.7", dport=8)))[0], PASS)


# --- random rulesets against a plain reading ---

ADDRS = ["192.0.2.1", "192.0.2.77", "198.51.100.1", "203.0.113.9", "10.0.0.1"]
ADDRS6 = ["2001:db8:1::1", "2001:db8:1:5::7", "2001:db8:2::1", "fe80::1"]
NETS = ["192.0.2.0/24", "192.0.2.64/26", "198.51.100.1/32", "203.0.113.0/28", "10.0.0.0/8"]
NETS6 = ["2001:db8:1::/48", "2001:db8:1:5::/64", "2001:db8:2::1/128", "fe80::/10",
         "2001:db8::/32"]
PORTS = [1, 22, 53, 80, 443, 1024, 65535]
TABLE = {"ta": ["192.0.2.0/24", "!192.0.2.64/26", "2001:db8:1::/48", "!2001:db8:1:5::/64"],
         "tb": ["10.0.0.1", "2001:db8:2::1"], "tc": []}


class Rule:
    """One rule that needs no expansion."""

    def __init__(self, rnd):
        self.block = rnd.random() < 0.5
        self.quick = rnd.random() < 0.12
        self.dir = rnd.choice([None, None, "in", "out"])
        self.iface = rnd.choice([None, None, None, "ext", "!ext", "nosuch0"])
        self.af = rnd.choice([None, 4, 6])
        self.proto = rnd.choice([None, "tcp", "udp", "tcp", "udp", "icmp", 47])
        if self.proto == "icmp":
            self.af = 4
        self.src = self.host(rnd)
        self.dst = self.host(rnd)
        self.sport = self.dport = self.flags = self.type = self.code = None
        if self.proto in ("tcp", "udp"):
            if rnd.random() < 0.25:
                self.sport = self.port(rnd)
            if rnd.random() < 0.5:
                self.dport = self.port(rnd)
        if self.proto == "tcp" and rnd.random() < 0.4:
            self.flags = rnd.choice(["S/SA", "SA/SA", "/R", "A/AFR"])
        if self.proto == "icmp" and rnd.random() < 0.6:
            self.type = rnd.choice([0, 3, 8])
            if rnd.random() < 0.3:
                self.code = rnd.choice([0, 1])
        self.fragment = (self.sport is None and self.dport is None and self.flags is None and
                         self.type is None and rnd.random() < 0.05)

    def host(self, rnd):
        """(negated, address, prefix or <table>) or None for any."""
        x = rnd.random()
        if x < 0.45:
            return None
        neg = rnd.random() < 0.25
        if x < 0.6:
            return neg, "<" + rnd.choice(list(TABLE)) + ">"
        af = self.af
        if af is None:
            af = self.af = rnd.choice([4, 6])
        return neg, rnd.choice(NETS if af == 4 else NETS6)

    @staticmethod
    def port(rnd):
        op = rnd.choice(["=", "!=", "<", "<=", ">", ">=", ":", "><", "<>"])
        lo, hi = sorted(rnd.sample(PORTS, 2))
        # two rules agree in a port whatever the one that is not asked for would be
        return op, lo, hi if op in (":", "><", "<>") else 0

    def text(self):
        w = ["block" if self.block else "pass"]
        if self.dir:
            w.append(self.dir)
        if self.quick:
            w.append("quick")
        if self.iface:
            w.append("on " + self.iface.replace("!", "! "))
        if self.af:
            w.append({4: "inet", 6: "inet6"}[self.af])
        if self.proto:
            w.append(f"proto {self.proto}")
        for word, host, port in (("from", self.src, self.sport), ("to", self.dst, self.dport)):
            w.append(word)
            w.append("any" if host is None else ("! " if host[0] else "") + host[1])
            if port:
                op, lo, hi = port
                w.append(f"port {lo}:{hi}" if op == ":" else
                         f"port {lo} {op} {hi}" if op in ("><", "<>") else f"port {op} {lo}")
        if self.flags:
            w.append("flags " + self.flags)
        elif self.proto in ("tcp", None) and not self.block:
            w.append("flags any")
        if self.type is not None:
            w.append(f"icmp-type {self.type}")
            if self.code is not None:
                w.append(f"code {self.code}")
        if self.fragment:
            w.append("fragment")
        if not self.block:
            w.append("no state")
        return " ".join(w)

    # the criteria with skip steps, in pf's order, then the others

    def iface_misses(self, p):
        if not self.iface:
            return False
        return (p["dev"] == self.iface.lstrip("!")) == self.iface.startswith("!")

    @staticmethod
    def host_misses(host, addr):
        if host is None:
            return False
        neg, what = host
        if what.startswith("<"):
            hit = in_table(TABLE[what[1:-1]], addr)
        else:
            net = ipaddress.ip_network(what)
            hit = addr.version == net.version and addr in net
        return hit == neg

    @staticmethod
    def port_misses(port, value, later):
        if port is None:
            return False
        if later:
            return True
        op, lo, hi = port
        return not {"=": value == lo, "!=": value != lo, "<": value < lo, "<=": value <= lo,
                    ">": value > lo, ">=": value >= lo, ":": lo <= value <= hi,
                    "><": lo < value < hi, "<>": value < lo or value > hi}[op]

    def misses(self, p):
        """The first criterion that the packet does not meet: its skip step or "next"."""
        later = p["frag"] == "later"
        if self.iface_misses(p):
            return "iface"
        if self.dir and self.dir != p["dir"]:
            return "dir"
        if self.af and self.af != p["src"].version:
            return "af"
        if self.proto and self.proto != p["proto"]:
            return "proto"
        if self.host_misses(self.src, p["src"]):
            return "src"
        if self.host_misses(self.dst, p["dst"]):
            return "dst"
        if later and (self.sport or self.dport or self.flags or self.type is not None):
            return "next"
        if self.flags:
            want, mask = self.flags.split("/")
            if {f for f in p["flags"] if f in mask} != set(want):
                return "next"
        if self.port_misses(self.sport, p["sport"], later):
            return "sport"
        if self.port_misses(self.dport, p["dport"], later):
            return "dport"
        if self.type is not None and (self.type != p["type"] or
                                      (self.code is not None and self.code != p["code"])):
            return "next"
        if self.fragment and not p["frag"]:
            return "next"
        return None

    def key(self, what):
        """What two neighbours must share to be skipped together."""
        return {"iface": self.iface, "dir": self.dir, "af": self.af, "proto": self.proto,
                "src": self.src, "dst": self.dst, "sport": self.sport, "dport": self.dport}[what]


def in_table(entries, addr):
    best = None
    for e in entries:
        net = ipaddress.ip_network(e.lstrip("!"))
        if addr.version == net.version and addr in net and (
                best is None or net.prefixlen > best[0]):
            best = (net.prefixlen, not e.startswith("!"))
    return best is not None and best[1]


def evaluate(rules, p, evaluations):
    """pf_match_rule(): number of the last rule that matches, or None."""
    i, won = 0, None
    while i < len(rules):
        r = rules[i]
        evaluations[i] += 1
        why = r.misses(p)
        if why is None:
            won = i
            if r.quick:
                break
            i += 1
        elif why == "next":
            i += 1
        else:
            key = r.key(why)
            while i < len(rules) and rules[i].key(why) == key:
                i += 1
    return won


def random_packet(rnd):
    v6 = rnd.random() < 0.4
    src, dst = rnd.sample(ADDRS6 if v6 else ADDRS, 2)
    proto = rnd.choice(["tcp", "tcp", "udp", "udp", 47] + ([] if v6 else ["icmp"]))
    p = {"dir": rnd.choice(["in", "out"]), "dev": rnd.choice(["ext", "int"]),
         "src": ipaddress.ip_address(src), "dst": ipaddress.ip_address(dst), "proto": proto,
         "sport": rnd.choice(PORTS + [30000]), "dport": rnd.choice(PORTS + [30000]),
         "flags": rnd.choice(["S", "SA", "A", "R", "FA", "RA"]), "type": rnd.choice([0, 3, 8]),
         "code": rnd.choice([0, 1]), "frag": None}
    ip = IPv6(src=src, dst=dst) if v6 else IP(src=src, dst=dst)
    if rnd.random() < 0.1:
        p["frag"] = "later"
        number = {"tcp": 6, "udp": 17, "icmp": 1, 47: 47}[proto]
        if v6:
            return p, ip / IPv6ExtHdrFragment(offset=100, m=0, nh=number) / Raw(b"x" * 64)
        ip.frag, ip.proto = 100, number
        return p, ip / Raw(b"x" * 64)
    if proto == "tcp":
        return p, ip / TCP(sport=p["sport"], dport=p["dport"], flags=p["flags"])
    if proto == "udp":
        return p, ip / UDP(sport=p["sport"], dport=p["dport"])
    if proto == "icmp":
        inner = bytes(IP(src=dst, dst=src) / UDP()) if p["type"] == 3 else b"12345678"
        return p, ip / ICMP(type=p["type"], code=p["code"]) / Raw(inner)
    if v6:
        ip.nh = 47
    else:
        ip.proto = 47
    return p, ip / Raw(b"12345678")


@timeout(120)
@cases(*[(f"{e} {i}", e, i) for e in ("linear", "tree") for i in range(4)])
def test_random(_name, emitter, which):
    seed = int(os.environ.get("PF_SEED", 0)) or random.SystemRandom().getrandbits(31)
    print(f"PF_SEED={seed}")  # shown when the test fails
    rnd = random.Random(seed * 4 + which)
    with Lab(pfd_args=("--emitter", emitter)) as lab:
        for _ in range(4):
            rules = [Rule(rnd) for _ in range(rnd.choice([1, 5, 25, 80]))]
            text = "".join(f"table <{n}> persist {{ {' '.join(e)} }}\n" if e else
                           f"table <{n}> persist\n" for n, e in TABLE.items())
            text += "\n".join(r.text() for r in rules) + "\n"
            lab.pf.load(text)
            evaluations = [0] * len(rules)
            packets = [0] * len(rules)
            for _ in range(150):
                p, pkt = random_packet(rnd)
                won = evaluate(rules, p, evaluations)
                want = DROP if won is not None and rules[won].block else PASS
                got = lab.pf.run(p["dev"], p["dir"], frame(pkt, p["dev"]))[0]
                if got != want:
                    raise AssertionError(
                        f"{p}\n{pkt.summary()}: got {got}, want {want} by rule {won}: "
                        f"{rules[won].text() if won is not None else 'default'}\n{text}")
                if won is not None:
                    packets[won] += 1
            numbers = [n for _, n in lab.pf.rule_numbers()]
            eq([n["packets"] for n in numbers], packets, "packets\n" + text)
            if emitter == "linear":
                eq([n["evaluations"] for n in numbers], evaluations, "evaluations\n" + text)
            else:  # the tree leaves more out than skip steps do
                for n in numbers:
                    between(n["evaluations"], n["packets"], 150)
            for level in ("basic", "profile"):
                lab.pf.load(text, "-o", level)
                for _ in range(100):
                    p, pkt = random_packet(rnd)
                    won = evaluate(rules, p, evaluations)
                    eq(lab.pf.run(p["dev"], p["dir"], frame(pkt, p["dev"]))[0],
                       DROP if won is not None and rules[won].block else PASS,
                       f"-o {level}: {p}\n{pkt.summary()}\n{text}")


def heavy(n):
    """n rules whose every part is another than that of the rule before."""
    def host(i, net):
        return f"<{'abc'[i // 8 % 3]}>" if i % 8 == 0 else f"2001:db8:{net}::{i + 1:x}"
    return "".join(f"table <{t}> {{ 192.0.2.{i} }}\n" for i, t in enumerate("abc")) + "".join(
        f"pass in on ! {'ext' if i % 2 else 'int'} proto tcp from {host(i, 1)} port "
        f"{i + 1}:{i + 1000} to {host(i, 2)} port {i + 7} >< {i + 90} flags "
        f"{'S/SA' if i % 2 else 'A/AFR'}\n" for i in range(n))


def test_limits_are_ours():
    """What fits is loaded; what does not is refused by us, before the kernel has to."""
    with Lab(rules="pass\n", pfd_args=LINEAR) as lab:
        lab.pf.load(heavy(128))
        most, step = 128, 128
        while step:
            r = lab.pf.ctl("-f", "-", input=heavy(most + step), check=False)
            if r.returncode == 0:
                most += step
            else:
                matches(r.stderr, r"the ruleset has \d+ (instructions|rules) after expansion; "
                                  r"at most \d+ fit: \d+ too many")
                step //= 2
        eq(len(lab.pf.rules()), most)
        at_least(most, 256)
        r = lab.pf.ctl("-f", "-", input="pass\n" * 600, check=False)
        contains(r.stderr, "the ruleset has 600 rules after expansion; at most 512 fit: 88 too many")
        eq(len(lab.pf.rules()), most)
