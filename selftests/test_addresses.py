# SPDX-License-Identifier: BSD-2-Clause
"""What packets pass by the addresses of interfaces: those of the load and those of the moment."""
import os

from pft.check import contains, eq, lines_eq
from pft.devices import udp_passes
from pft.host import LO0, LO0_NETWORKS
from pft.lab import (DST, DST6, FW6_DST, FW6_SRC, FW_DST, FW_SRC, GHOST, GHOST6, GHOST6_DST,
                     GHOST_DST, MAC, SRC, SRC6, Lab)
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import raw

PASS, DROP = -1, 2
OTHER, OTHER6 = "203.0.113.9", "2001:db8:9::9"


def udp(src, dst):
    return (IPv6 if ":" in src else IP)(src=src, dst=dst) / UDP(sport=1024, dport=53) / b"data"


def verdicts(lab, packets):
    """[(device, direction, source, destination, verdict)], by BPF_PROG_TEST_RUN."""
    for dev, way, src, dst, want in packets:
        pkt = Ether(dst=MAC.get(dev, "00:00:00:00:00:00"), src="02:00:00:00:00:99") / udp(src, dst)
        eq(lab.pf.run(dev, way, raw(pkt))[0], want, f"{way} on {dev} from {src} to {dst}")


def reached(lab, addresses):
    """Which of fw's addresses a datagram from src reaches."""
    lab.pf.ctl("-F", "states")
    return [a for a in addresses if udp_passes(lab.fw, lab.src, a, 53, 0.3) != "no"]


def pings_itself(lab, rules, want):
    """fw, by these rules: {address: does it answer?}"""
    lab.pf.load(rules)
    lab.pf.ctl("-F", "states")
    eq({a: lab.fw.ping(a, 1 if w else 0.15) for a, w in want.items()}, want, rules)


def test_antispoof_packets():
    """What comes from where it cannot come from is blocked, of either family; nothing else is."""
    with Lab() as lab:
        lab.fw.ip("addr", "add", "fe80::1/64", "dev", "ext", "nodad")
        lab.pf.load("antispoof quick for { ext int lo0 }\npass no state\n")
        verdicts(lab, [
            ("ext", "in", SRC, DST, PASS), ("ext", "in", GHOST, DST, PASS),
            ("int", "in", SRC, DST, DROP), ("int", "in", "192.0.2.255", DST, DROP),
            ("int", "in", "192.0.3.1", DST, PASS), ("int", "out", SRC, DST, PASS),
            ("ext", "in", DST, SRC, DROP), ("ext", "out", DST, SRC, PASS),
            ("int", "in", DST, SRC, PASS), ("int", "in", FW_SRC, DST, DROP),
            ("ext", "in", FW_SRC, DST, DROP), ("int", "in", FW_DST, SRC, DROP),
            ("ext", "out", FW_SRC, SRC, PASS),
            ("ext", "in", OTHER, FW_SRC, PASS), ("int", "in", OTHER, FW_SRC, PASS),
            ("ext", "in", "127.0.0.1", DST, DROP), ("int", "in", "127.9.9.9", DST, DROP),
            ("ext", "in", "126.255.255.255", DST, PASS),
            ("lo", "in", "127.0.0.1", "127.9.9.9", PASS), ("lo", "in", "::1", "::1", PASS),
            ("lo", "in", FW_SRC, FW_SRC, DROP), ("lo", "in", SRC, FW_SRC, DROP),
            ("ext", "in", SRC6, DST6, PASS), ("ext", "in", GHOST6, DST6, PASS),
            ("int", "in", SRC6, DST6, DROP), ("int", "in", "2001:db8:1:1::1", DST6, PASS),
            ("ext", "in", FW6_SRC, DST6, DROP), ("ext", "in", GHOST6_DST, SRC6, DROP),
            ("ext", "in", "::1", DST6, DROP), ("ext", "in", OTHER6, DST6, PASS),
            ("ext", "in", "fe80::1", FW6_SRC, DROP), ("ext", "in", "fe80::2", FW6_SRC, PASS),
            ("int", "in", "fe80::1", FW6_DST, PASS)])


def test_antispoof_on_the_wire():
    """Forwarded packets, a spoofed one among others."""
    with Lab(rules="pass no state\n") as lab:
        for name in ("all", "default", "ext", "int"):
            lab.fw.sysctl(f"net/ipv4/conf/{name}/rp_filter", 0)
        near, far = lab.wire("src"), lab.wire("dst")

        def came(*sources):
            seen = []
            for source in sources:
                near.send(udp(source, DST6 if ":" in source else DST))
            # the last one comes in any case
            far.receive(lambda p: UDP in p and not seen.append(p.src) and p.src == sources[-1])
            return seen

        for spoof, honest, last in ((GHOST_DST, GHOST, OTHER), (GHOST6_DST, GHOST6, OTHER6)):
            eq(came(spoof, honest, last), [spoof, honest, last], "without antispoof")
        lab.pf.load("antispoof quick for int\npass no state\n")
        for spoof, honest, last in ((GHOST_DST, GHOST, OTHER), (GHOST6_DST, GHOST6, OTHER6)):
            eq(came(spoof, honest, last), [honest, last])
        eq((lab.src.ping(DST), lab.src.ping(DST6)), (True, True))


def test_antispoof_and_loopback():
    """OpenBSD's pf.conf(5): it interferes with packets to own addresses, which take loopback."""
    with Lab(hosts=2) as lab:
        for rules, want in (("", True), ("antispoof for ext\n", False),
                            ("set skip on lo\nantispoof for ext\n", True),
                            ("set skip on lo0\nantispoof for ext\n", True),
                            ("antispoof for ext\npass on lo0\n", True),
                            ("antispoof quick for lo0\n", True)):
            pings_itself(lab, rules, {FW_SRC: want, FW6_SRC: want, "127.0.0.1": True, "::1": True})
            eq((lab.src.ping(FW_SRC, 1), lab.src.ping(FW6_SRC, 1)), (True, True), rules)


LOOPBACK = [
    ("block\n", False), ("set skip on lo\nblock\n", True), ("set skip on lo0\nblock\n", True),
    ("set skip on { ext lo1 }\nblock\n", False), ("block\npass on lo0\n", True),
    ("block\npass on lo\n", True), ("block on ! lo0\n", True), ("block\npass on ! lo0\n", False),
    ("block\npass from lo0 to lo0:network\n", True), ("block\npass from ext to ext\n", False),
    ("pass\nblock out on lo from lo0:0\n", False), ("pass\nblock in on lo0 to self\n", False),
]


def test_loopback():
    """lo0 is Linux's lo."""
    with Lab(hosts=2) as lab:
        for rules, want in LOOPBACK:
            pings_itself(lab, rules, {"127.0.0.1": want, "::1": want})


def test_self_packets():
    with Lab(rules="block\npass in proto udp to self no state\n") as lab:
        verdicts(lab, [("ext", "in", SRC, a, PASS) for a in (FW_SRC, FW_DST, "127.0.0.1")] +
                 [("ext", "in", SRC6, a, PASS) for a in (FW6_SRC, FW6_DST, "::1")] +
                 [("int", "in", DST, FW_SRC, PASS), ("ext", "out", SRC, FW_SRC, DROP)] +
                 [("ext", "in", SRC, a, DROP) for a in (DST, SRC, "192.0.2.255", "127.0.0.2")] +
                 [("ext", "in", SRC6, a, DROP) for a in (DST6, "2001:db8:1::3", "ff02::1")])
        lab.pf.load("block\npass in proto udp to self\npass out proto udp from self\n")
        own = [FW_SRC, FW_DST, FW6_SRC, FW6_DST]
        eq(reached(lab, own), own)
        eq(udp_passes(lab.dst, lab.fw, DST, 53), "both", "what it sends itself")
        eq([udp_passes(lab.dst, lab.src, a, 53) for a in (DST, DST6)], ["no"] * 2, "through it")
        # pf.conf(5), LISTS: of these rules one matches in any case; a table is what was meant
        lab.pf.load("pass no state\nblock in proto udp to ! self\n")
        verdicts(lab, [("ext", "in", SRC, a, DROP) for a in (DST, FW_SRC, FW_DST)])
        lab.pf.load("table <me> const { self }\npass no state\nblock in proto udp to ! <me>\n")
        verdicts(lab, [("ext", "in", SRC, FW_SRC, PASS), ("ext", "in", SRC, FW_DST, PASS),
                       ("ext", "in", SRC6, FW6_DST, PASS), ("ext", "in", SRC, DST, DROP),
                       ("ext", "in", SRC6, DST6, DROP)])


def test_interface_packets():
    """Its addresses at the time of the load, not those that it gets later."""
    rules, later = "block\npass in proto udp to ext\npass out proto udp\n", "192.0.2.3"
    with Lab(rules=rules) as lab:
        lab.fw.ip("addr", "add", later + "/24", "dev", "ext")
        addresses = [FW_SRC, FW6_SRC, later, FW_DST, FW6_DST]
        eq(reached(lab, addresses), [FW_SRC, FW6_SRC])
        lab.pf.load(rules)
        eq(reached(lab, addresses), [FW_SRC, FW6_SRC, later])
        lab.pf.load(rules.replace("to ext", "to ext:0"))
        eq(reached(lab, addresses), [FW_SRC, FW6_SRC])
        # one without addresses cannot be meant, and the rules in force stay
        before = lab.pf.rules()
        lab.fw.ip("addr", "flush", "dev", "int")
        r = lab.pf.ctl("-f", "-", input="pass\nblock from int\n", check=False)
        eq((r.returncode, r.stdout), (1, ""))
        contains(r.stderr, "stdin:2:12: interface int has no such address\n")
        lines_eq(lab.pf.rules(), before)


def test_network_packets():
    rules = "block\npass in proto udp from ext:network to int:network no state\n"
    with Lab(rules=rules) as lab:
        verdicts(lab, [
            ("ext", "in", SRC, DST, PASS), ("ext", "in", "192.0.2.255", "198.51.100.0", PASS),
            ("ext", "in", "192.0.3.0", DST, DROP), ("ext", "in", SRC, "198.51.101.0", DROP),
            ("ext", "in", DST, SRC, DROP), ("ext", "in", SRC, FW_SRC, DROP),
            ("ext", "in", SRC6, DST6, PASS), ("ext", "in", GHOST6, GHOST6_DST, PASS),
            ("ext", "in", "2001:db8:1:1::1", DST6, DROP), ("ext", "in", SRC6, FW6_SRC, DROP),
            ("ext", "in", "fe80::1", DST6, DROP)])
        lab.fw.batch([f"addr del {FW_SRC}/24 dev ext", f"addr add {FW_SRC}/24 brd + dev ext"])
        lab.pf.load("pass no state\nblock in to ext:broadcast\n")
        verdicts(lab, [("ext", "in", SRC, "192.0.2.255", DROP), ("ext", "in", SRC, FW_SRC, PASS),
                       ("ext", "in", SRC, "192.0.2.254", PASS),
                       ("ext", "in", SRC, "192.0.2.0", PASS)])


def test_egress_packets():
    """As an address it can be in force: that of the default route when the rules were loaded."""
    rules = "block\npass in proto udp to egress\npass out proto udp\n"
    addresses = [FW_SRC, FW6_SRC, FW_DST, FW6_DST]
    with Lab() as lab:
        r = lab.pf.ctl("-f", "-", input=rules, check=False)
        eq((r.returncode, lab.pf.rules()), (1, []), "there is none")
        contains(r.stderr, "stdin:2:22: interface egress has no such address\n")
        lab.fw.ip("route", "add", "default", "via", SRC)
        lab.pf.load(rules)
        eq(reached(lab, addresses), [FW_SRC, FW6_SRC])
        lab.fw.ip("route", "replace", "default", "via", DST)
        eq(reached(lab, addresses), [FW_SRC, FW6_SRC], "as it was")
        lab.pf.load(rules)
        eq(reached(lab, addresses), [FW_DST, FW6_DST])


def test_link_local_packets():
    """A link-local address is one at its interface only."""
    with Lab() as lab:
        lab.fw.ip("addr", "add", "fe80::1/64", "dev", "ext", "nodad")
        lab.pf.load("block\npass in inet6 proto udp to ext no state\n"
                    "pass in inet6 proto udp from fe80::9%int no state\n")
        verdicts(lab, [("ext", "in", SRC6, "fe80::1", PASS), ("int", "in", SRC6, "fe80::1", DROP),
                       ("int", "in", SRC6, FW6_SRC, PASS), ("ext", "in", SRC6, "fe80::2", DROP),
                       ("int", "in", "fe80::9", DST6, PASS), ("ext", "in", "fe80::9", DST6, DROP)])


def test_table_packets():
    """Interfaces in tables, and in their files; the longest prefix decides."""
    with Lab() as lab:
        name = os.path.join(lab.dir, "entries")
        with open(name, "w", encoding="utf-8") as f:
            f.write("ext:network # its neighbours\n!ext ; but not itself\n203.0.113/24\n")
        lab.pf.load(f'table <t> {{ int:0 ! int:network }} file "{name}"\n'
                    "block\npass in from <t> no state\n")
        eq(sorted(line.strip() for line in lab.pf.ctl("-t", "t", "-T", "show").stdout.splitlines()),
           sorted(["192.0.2.0/24", "2001:db8:1::/64", "!192.0.2.2", "!2001:db8:1::2",
                   "203.0.113.0/24", "198.51.100.2", "2001:db8:2::2", "!198.51.100.0/24",
                   "!2001:db8:2::/64"]))
        verdicts(lab, [("ext", "in", SRC, DST, PASS), ("ext", "in", FW_SRC, DST, DROP),
                       ("ext", "in", SRC6, DST6, PASS), ("ext", "in", FW6_SRC, DST6, DROP),
                       ("ext", "in", OTHER, DST, PASS), ("ext", "in", "203.0.114.1", DST, DROP),
                       ("int", "in", DST, SRC, DROP), ("int", "in", FW_DST, SRC, PASS),
                       ("int", "in", FW6_DST, SRC6, PASS), ("int", "in", DST6, SRC6, DROP)])


# What test_lang.py has no case of.
NOT_ENFORCED = [
    ("antispoof for { ext (int) }", "1:21", "an interface in parentheses"),
    ("pass to ! (self)", "1:11", "an interface in parentheses as an address"),
]


# pfctl(8), -T: what a table's list has, for one that is in force
T_ADDED = [
    ("ext", [FW_SRC, FW6_SRC]), ("ext:network", ["192.0.2.0/24", "2001:db8:1::/64"]),
    ("ext/16", ["192.0.0.0/16", "2001::/16"]), ("ext/64", ["2001:db8:1::/64"]),
    ("!ext:0", ["!" + FW_SRC, "!" + FW6_SRC]), ("lo0", LO0.split()), ("lo", LO0.split()),
    ("lo:network", LO0_NETWORKS.split()), ("ext:broadcast", ["192.0.2.255"]),
    ("self", LO0.split() + [FW_SRC, FW6_SRC, FW_DST, FW6_DST]),
]
T_REFUSED = [
    ("ext:network/24", "ext:network has its prefix length from the interface"),
    ("ext:network:peer", "ext:network:peer: illegal combination of interface modifiers"),
    ("ext:peer", "interface ext:peer has no such address"),
    ("lo/129", "lo/129 is not an address"), ("nosuch0/24", "nosuch0/24 is not an address"),
]


def test_addresses_of_a_table_in_force():
    with Lab(rules="table <t> persist\nblock from <t>\n") as lab:
        lab.fw.batch(["addr flush dev ext scope link", "addr flush dev int scope link",
                      f"addr replace {FW_SRC}/24 brd + dev ext"])
        with open(os.path.join(lab.dir, "t.txt"), "w", encoding="ascii") as f:
            for text, want in T_ADDED:
                f.seek(0)
                f.truncate()
                f.write(f"# all of these\n{text}\n")
                f.flush()
                for args in ([text], ["-f", f.name]):
                    lab.pf.ctl("-t", "t", "-T", "replace", *args)
                    shown = lab.pf.ctl("-t", "t", "-T", "show").stdout.split()
                    eq(sorted(shown), sorted(want), text)
                lab.pf.ctl("-t", "t", "-T", "delete", text)
                eq(lab.pf.ctl("-t", "t", "-T", "show").stdout, "", text)
        for text, message in T_REFUSED:
            r = lab.pf.ctl("-t", "t", "-T", "add", text, check=False)
            eq((r.returncode, r.stderr), (1, f"pfctl-linux: {message}\n"), text)
        # a host that states are killed of is no interface
        eq(lab.pf.ctl("-k", "self", check=False).returncode, 1)


def test_not_enforced():
    """Refused by name and place, and the rules in force stay; a group's addresses are enforced."""
    with Lab(hosts=2, rules="block out\n") as lab:
        lab.fw.batch(["link add en0 type veth peer name en1", "addr add 203.0.113.1/28 dev en0",
                      f"route add default via {SRC}"])
        for text, at, what in NOT_ENFORCED:
            r = lab.pf.ctl("-f", "-", input=text + "\n", check=False)
            eq((r.returncode, r.stdout), (1, ""), text)
            eq(r.stderr.splitlines()[0], f"stdin:{at}: {what}: not enforced yet, so these rules "
               "cannot be loaded (-n accepts them)")
            eq(lab.pf.ctl("-nf", "-", input=text + "\n").returncode, 0)
            eq(lab.pf.rules(), ["block drop out all"], text)
        lab.pf.load("block from en\nblock to en:network\n")
        lines_eq(lab.pf.rules(), ["block drop inet from 203.0.113.1 to any",
                                  "block drop inet from any to 203.0.113.0/28"])
