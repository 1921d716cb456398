# SPDX-License-Identifier: BSD-2-Clause
"""What rules take from the host: interfaces, their addresses and groups, by `pfctl-linux -nvf`
in a namespace with interfaces of its own.

pf.conf(5), ADDRESSES, and OpenBSD's pfctl say what is right.
"""
import os
import re

from pft.check import Skip, cases, eq, lines_eq
from pft.host import (EM0, EM0_NETWORKS, EM1, LO0, LO0_NETWORKS, NO_COMBINATION, TWO_MODES, VIO0,
                      VIO0_NETWORK, VIO1, VIO1_NETWORK, Host, block_rules)


# --- addresses at the time of the load ---

ADDRESSES = [
    ("an interface", {
        "em0": EM0, "em1": EM1, "vio0": VIO0, "vio1": VIO1, '"em0"': EM0}),
    ("network", {
        "em0:network": EM0_NETWORKS, "vio0:network": VIO0_NETWORK, "vio1:network": VIO1_NETWORK,
        '"vio0:network"': VIO0_NETWORK}),
    ("broadcast", {
        "em0:broadcast": "192.0.2.255 198.51.100.127", "vio0:broadcast": "203.0.113.15"}),
    ("no aliases", {
        "em0:0": "192.0.2.1 2001:db8:1::1", "vio0:0": VIO0, "vio1:0": VIO1, "em1:0": EM1,
        "em0:0:0": "192.0.2.1 2001:db8:1::1"}),
    ("several modifiers", {
        "em0:network:0": "192.0.2.0/24 2001:db8:1::/64",
        "em0:0:network": "192.0.2.0/24 2001:db8:1::/64", "em0:broadcast:0": "192.0.2.255",
        "vio0:0:broadcast": "203.0.113.15", "em0:network:network": EM0_NETWORKS}),
    ("prefix length", {
        "em0/16": "192.0.0.0/16 198.51.0.0/16 2001::/16 fe80::/16%em0",
        "em0:0/24": "192.0.2.0/24 2001:d00::/24", "vio0/32": VIO0, "vio1/128": VIO1,
        "vio1/65": "2001:db8:3::/65", "vio0/25": "203.0.113.0/25"}),
    # ifconfig(8), "group": all that are called so, with a number behind
    ("group", {
        "vio": f"{VIO0} {VIO1}", "em": f"{EM0} {EM1}",
        "vio:network": f"{VIO0_NETWORK} {VIO1_NETWORK}", "vio:0": f"{VIO0} {VIO1}",
        "em:0": f"192.0.2.1 2001:db8:1::1 {EM1}", "em:broadcast": "192.0.2.255 198.51.100.127"}),
    ("self", {
        "self": f"{LO0} {EM0} {VIO0} {EM1} {VIO1}",
        "self:network": f"{LO0_NETWORKS} {EM0_NETWORKS} {VIO0_NETWORK} {VIO1_NETWORK}",
        "self:0": f"{LO0} 192.0.2.1 2001:db8:1::1 {VIO0} {EM1} {VIO1}",
        "self:broadcast": "192.0.2.255 198.51.100.127 203.0.113.15"}),
    ("loopback", {
        "lo": LO0, "lo0": LO0, "lo0:0": LO0, "lo:network": LO0_NETWORKS,
        "lo0:network": LO0_NETWORKS, "lo0:network:0": LO0_NETWORKS}),
]


@cases(*ADDRESSES)
def test_addresses(_name, addresses):
    """A rule for each, of its family; a family in the rule picks those of it.

    pf.conf(5), LISTS: the same with `!', though one of these rules matches in any case.
    """
    with Host() as host:
        for text, want in addresses.items():
            host.prints(f"block from {text}", block_rules(want))
            host.prints(f"block to {text}", block_rules(want, to=True))
            host.prints(f"block from ! {text}", block_rules(want, neg="! "))
            for family in ("inet", "inet6"):
                some = block_rules(want, family=family)
                if some:
                    host.prints(f"block {family} from {text}", some)
                else:
                    name = text.strip('"').partition("/")[0]
                    host.refuses(f"block {family} from {text}", 1, f"{NO_COMBINATION}{name} has "
                                 f"no {'IPv4' if family == 'inet' else 'IPv6'} address")


def test_addresses_among_others():
    """In lists, with ports, in macros; families that differ are left out."""
    rules = ["block drop inet proto udp from 203.0.113.5 port = 5 to 192.0.2.1 port = 7",
             "block drop inet proto udp from 203.0.113.5 port = 5 to 198.51.100.1 port = 7"]
    with Host() as host:
        host.prints("block from { vio0, vio1 }", block_rules(f"{VIO0} {VIO1}"))
        host.prints("block from { vio0 192.0.2.9 em1 }", block_rules(f"{VIO0} 192.0.2.9 {EM1}"))
        host.prints("block from { vio0, ! vio1 }",
                    block_rules(VIO0) + block_rules(VIO1, neg="! "))
        host.prints("block from { vio0 any }", "block drop all")
        host.prints("block from vio0/0", "block drop inet all")
        host.prints("block proto udp from vio0 port 5 to em0 port 7", rules)
        host.prints("block from vio1 to em0",
                    ["block drop inet6 from 2001:db8:3::1 to 2001:db8:1::1",
                     "block drop on em0 inet6 from 2001:db8:3::1 to fe80::1"])
        lines_eq(host.parse("if = vio0\nblock on $if from { $if $if:network }"),
                 ['if = "vio0"'] + block_rules(f"{VIO0} {VIO0_NETWORK}", on="vio0"))


def test_first_address_is_no_alias():
    """An alias is another address in the same network, or one of its own."""
    with Host("addr add 192.0.2.77/24 brd + dev em0", "addr add 192.0.2.78/32 dev em0") as host:
        host.prints("block inet from em0:0", block_rules("192.0.2.1"))
        host.prints("block inet from em0:0:network", block_rules("192.0.2.0/24"))
        eq(sorted(host.parse("block inet from em0").splitlines()),
           sorted(block_rules("192.0.2.1 198.51.100.1 192.0.2.77 192.0.2.78")))
        eq(set(host.parse("block inet from em0:network").splitlines()),
           set(block_rules("192.0.2.0/24 198.51.100.0/25 192.0.2.78")))


def test_first_address_is_the_oldest():
    """Linux lists IPv6 addresses newest first, a link-local one last."""
    first, networks = "2001:db8:7::9", "2001:db8:7::/64 2001:db8:6::/64"
    with Host("addr add fe80::9/64 dev vio0 nodad", f"addr add {first}/64 dev vio0 nodad",
              "addr add 2001:db8:7::5/64 dev vio0 nodad", "addr add 2001:db8:6::1/64 dev vio0 nodad",
              "addr add fe80::1/64 dev vio0 nodad", "addr add fd00::1/64 dev vio0 nodad",
              "addr add fe80::7/64 dev vio1 nodad", "addr add fe80::3/64 dev vio1 nodad",
              "addr add 2001:db8:53::1/128 dev lo nodad",
              interfaces={"vio0": (), "vio1": ()}) as host:
        host.prints("block from vio0:0", block_rules(first))
        host.prints("block from vio0:network:0", block_rules("2001:db8:7::/64"))
        host.prints("block from vio0", block_rules(
            f"{first} 2001:db8:7::5 2001:db8:6::1 fd00::1 fe80::9%vio0 fe80::1%vio0"))
        eq(sorted(set(host.parse("block from vio0:network").splitlines())),
           sorted(block_rules(f"{networks} fd00::/64")))
        host.prints("block from vio1:0", block_rules("fe80::7%vio1"))
        host.prints("block from lo:0", block_rules(LO0))
        host.prints("block from lo", block_rules(f"{LO0} 2001:db8:53::1"))
        host.prints("pass out inet6 nat-to vio0:0", f"pass out inet6 all flags S/SA nat-to {first}")
        host.ns.ip("addr", "del", f"{first}/64", "dev", "vio0")
        host.ns.ip("addr", "add", f"{first}/64", "dev", "vio0", "nodad")
        host.prints("block from vio0:0", block_rules("2001:db8:7::5"))


def test_addresses_are_those_of_the_load():
    with Host() as host:
        host.refuses("block from wan", 12, "interface wan has no such address")
        host.ns.ip("addr", "add", "192.0.2.200/25", "dev", "wan")
        host.prints("block from wan", block_rules("192.0.2.200"))
        host.prints("block from wan:network", block_rules("192.0.2.128/25"))
        host.ns.ip("link", "set", "wan", "name", "wan0")
        host.prints("block from { wan wan0 }", block_rules("192.0.2.200 192.0.2.200"))
        host.ns.ip("link", "del", "wan0")
        host.refuses("block from wan", 12, 'could not resolve "wan": names are not looked up')


@cases(("a dot and digits", "em0.5", "em0.5"), ("hyphen", "br-lan", "br-lan"),
       ("a digit in front", "6to4", "6to4"), ("a number", "77", '"77"'),
       ("a keyword", "in", '"in"'), ("as long as can be", "a-very-long-nam", "a-very-long-nam"),
       ("other letters", "tür0", '"tür0"'))
def test_interface_name(_name, name, written):
    quote = '"' * (written[0] == '"')
    with Host(interfaces={name: ("192.0.2.1/24 brd +",)}) as host:
        host.prints(f"block on {written} from {written}", block_rules("192.0.2.1", on=written))
        host.prints(f"block from {quote}{name}:network:0{quote}", block_rules("192.0.2.0/24"))
        host.prints(f"antispoof for {written}",
                    block_rules("192.0.2.0/24", on=f"! {written}", head="block drop in") +
                    block_rules("192.0.2.1", head="block drop in"))


def test_interface_hides_group():
    """A name means the interface that has it; but self is all of the host."""
    with Host(interfaces={"vio": ("192.0.2.1/24",), "vio0": ("192.0.2.9/24",),
                          "egress": ("192.0.2.17/24",), "self": ("192.0.2.33/24",)}) as host:
        host.prints("block from vio", block_rules("192.0.2.1"))
        host.prints("block from egress", block_rules("192.0.2.17"))
        eq(sorted(host.parse("block inet from self").splitlines()), sorted(
            block_rules("127.0.0.1 192.0.2.1 192.0.2.9 192.0.2.17 192.0.2.33")))


def test_peer():
    """The other end of a point-to-point link."""
    if not os.path.exists("/dev/net/tun"):
        raise Skip("no /dev/net/tun")
    tun0, tun1 = "192.0.2.34 192.0.2.36 2001:db8:7::2", "192.0.2.38"
    with Host("tuntap add tun0 mode tun", "tuntap add tun1 mode tun",
              "addr add 192.0.2.33 peer 192.0.2.34/32 dev tun0",
              "addr add 192.0.2.35 peer 192.0.2.36/32 dev tun0",
              "addr add 2001:db8:7::1 peer 2001:db8:7::2/128 dev tun0 nodad",
              "addr add 192.0.2.37 peer 192.0.2.38/32 dev tun1") as host:
        host.prints("block from tun0", block_rules("192.0.2.33 192.0.2.35 2001:db8:7::1"))
        host.prints("block from tun0:peer", block_rules(tun0))
        host.prints("block to ! tun0:peer", block_rules(tun0, to=True, neg="! "))
        host.prints("block from tun0:peer:0", block_rules("192.0.2.34 2001:db8:7::2"))
        host.prints("block inet from { tun:peer }", block_rules(f"{tun0} {tun1}", family="inet"))
        host.prints("block inet6 from self:0:peer", block_rules("2001:db8:7::2"))
        host.prints("block from tun1:peer/27", block_rules("192.0.2.32/27"))
        host.prints("pass in inet route-to tun1:peer@tun1",
                    "pass in inet all flags S/SA route-to (tun1 192.0.2.38)")
        host.prints("antispoof for tun1",
                    ["block drop in on ! tun1 inet from 192.0.2.38 to any",
                     "block drop in inet from 192.0.2.37 to any"])
        host.refuses("block from tun0:broadcast", 12,
                     "interface tun0:broadcast has no such address")


# --- addresses at the time of a packet: as they were written ---

DYNAMIC = [
    ("from (em0)", "from (em0) to any"), ("to (em0)", "from any to (em0)"),
    ("inet from (em0)", "inet from (em0) to any"), ("from ! (em0)", "from ! (em0) to any"),
    ('from ("em0")', "from (em0) to any"), ("from ( em0 )", "from (em0) to any"),
    ("from (em0:network)", "from (em0:network) to any"),
    ("from (em0:broadcast)", "from (em0:broadcast) to any"),
    ("from (em0:peer)", "from (em0:peer) to any"), ("from (em0:0)", "from (em0:0) to any"),
    ("from (em0:0:network)", "from (em0:network:0) to any"),
    ("from (em0:0:peer)", "from (em0:peer:0) to any"),
    ("from (em0)/24", "from (em0)/24 to any"), ("from (em0)/0", "from (em0)/0 to any"),
    ("from ! (em0:network:0)/28", "from ! (em0:network:0)/28 to any"),
    ("inet from (em0)/24", "inet from (em0)/24 to any"),
    ("inet from (em0)/32", "inet from (em0) to any"),
    ("inet6 from (em0)/32", "inet6 from (em0)/32 to any"),
    ("inet6 from (em0)/128", "inet6 from (em0) to any"),
    ("from (em0)/128", "from (em0) to any"), ("from (self)", "from (self) to any"),
    ("from (egress:0)", "from (egress:0) to any"), ("from (vio)", "from (vio) to any"),
    ("from (lo0)", "from (lo0) to any"), ("from (nosuch0)", "from (nosuch0) to any"),
    ("from (wan)", "from (wan) to any"), ('from ("tür0:0")', 'from ("tür0:0") to any'),
    ("from (vio0) to 192.0.2.9", "inet from (vio0) to 192.0.2.9"),
    ("from (vio0) to 2001:db8::9", "inet6 from (vio0) to 2001:db8::9"),
    ("from (vio0) to (em0)/8", "from (vio0) to (em0)/8"),
]


def test_dynamic():
    """In parentheses nothing is looked up, and the interface need not be there."""
    with Host() as host:
        for text, want in DYNAMIC:
            host.prints("block " + text, "block drop " + want)
        host.prints("block from { (em0) (vio0:network) vio1 }",
                    ["block drop from (em0) to any", "block drop from (vio0:network) to any"] +
                    block_rules(VIO1))
        lines_eq(host.parse("if = em0\nblock from ($if:network)/24"),
                 ['if = "em0"', "block drop from (em0:network)/24 to any"])


# --- addresses of one interface only ---

SCOPED = [
    ("from fe80::9%em0", ["on em0 inet6 from fe80::9 to any"]),
    ("to ! fe80::9%em0", ["on em0 inet6 from any to ! fe80::9"]),
    ("from fe80::%em0/10", ["on em0 inet6 from fe80::/10 to any"]),
    ("in on em0 from fe80::9%em0", ["in on em0 inet6 from fe80::9 to any"]),
    ("on { em0 em1 } from fe80::9%em0", ["on em0 inet6 from fe80::9 to any"]),
    ("on any from fe80::9%em0", ["on em0 inet6 from fe80::9 to any"]),
    ("on ! em1 from fe80::9%em0", ["on em0 inet6 from fe80::9 to any"]),
    ("from fe80::9%em0 to fe80::8%em0", ["on em0 inet6 from fe80::9 to fe80::8"]),
    ("from fe80::9%em0 to 2001:db8::9", ["on em0 inet6 from fe80::9 to 2001:db8::9"]),
    ("from lo0 to fe80::9%em0", ["on em0 inet6 from ::1 to fe80::9"]),
    ("from { fe80::9%em0 fe80::9%em1 192.0.2.9 }",
     ["on em0 inet6 from fe80::9 to any", "on em1 inet6 from fe80::9 to any",
      "inet from 192.0.2.9 to any"]),
    ("inet6 from em0 to em1", ["on em1 inet6 from 2001:db8:1::1 to fe80::2"]),
    ("from fe80::9", ["inet6 from fe80::9 to any"]),
]


def test_link_local():
    """The rule is for the interface then, and one for another interface is left out."""
    with Host() as host:
        for text, want in SCOPED:
            host.prints("block " + text, ["block drop " + line for line in want])
        others = EM0.removesuffix(" fe80::1%em0")
        host.prints("block on em0 from em0", block_rules(EM0, on="em0"))
        host.prints("block on em1 from em0", block_rules(others, on="em1"))
        host.prints("block on ! em0 from em0", block_rules(others, on="! em0"))
        host.prints("block on ! em1 from em0", block_rules(others, on="! em1") +
                    block_rules("fe80::1%em0"))
        for text in ("on em1 from fe80::9%em0", "from fe80::9%em0 to fe80::9%em1",
                     "on ! em0 from fe80::9%em0"):
            host.refuses("block " + text, 1, NO_COMBINATION + "fe80::9%em0 is an address at em0 only")
        host.refuses("block on vio0 from em1", 1, NO_COMBINATION + "em1 is an address at em1 only")
        host.refuses("block inet from fe80::9%em0", 1,
                     NO_COMBINATION + "fe80::9%em0 is no IPv4 address")
        for text in ("192.0.2.1%em0", "fe80::1%", "fe80::9%0123456789abcdef"):
            host.refuses(f"block from {text}", 12, f"{text} is not an address")


def test_label_is_no_interface():
    """An address with a label is still one of its interface: ip-address(8)."""
    with Host("addr add 203.0.113.1/28 dev vio0 label vio0:1", interfaces={"vio0": ()}) as host:
        host.prints("block from vio0", block_rules("203.0.113.1"))
        host.prints("antispoof for vio0",
                    ["block drop in on ! vio0 inet from 203.0.113.0/28 to any",
                     "block drop in inet from 203.0.113.1 to any"])
        host.refuses("antispoof for vio0:1", 15,
                     "'vio0:1' is no interface name")


def test_broadcast_that_nobody_gave():
    with Host("addr add 192.0.2.1/24 dev vio0", "addr add 192.0.2.129/31 dev vio1",
              interfaces={"vio0": (), "vio1": ()}) as host:
        host.prints("block from vio0:broadcast", block_rules("192.0.2.255"))
        host.refuses("block from vio1:broadcast", 12,
                     "interface vio1:broadcast has no such address")


def test_peer_on_ethernet():
    """The prefix is the peer's, and that is no broadcast address."""
    with Host("addr add 198.51.100.1 peer 198.51.100.2/32 dev vio0",
              interfaces={"vio0": ()}) as host:
        host.prints("block from vio0", block_rules("198.51.100.1"))
        host.prints("block from vio0:peer", block_rules("198.51.100.2"))
        host.prints("block from vio0:network", block_rules("198.51.100.2"))
        host.refuses("block from vio0:broadcast", 12,
                     "interface vio0:broadcast has no such address")


def test_egress_by_many_hops():
    """Every hop of a default route is one; routes of other tables are none."""
    with Host("addr add 192.0.2.1/24 dev vio0", "addr add 203.0.113.1/24 dev vio1",
              "addr add 198.51.100.1/24 dev vio2",
              "route add default nexthop via 192.0.2.9 dev vio0 nexthop via 203.0.113.9 dev vio1",
              "route add default via 198.51.100.9 dev vio2 table 100",
              interfaces={"vio0": (), "vio1": (), "vio2": ()}) as host:
        host.prints("block from egress", block_rules("192.0.2.1 203.0.113.1"))


@cases(("told with the routes", 1), ("told by themselves", 0))
def test_egress_by_objects(_name, compat):
    """ip-nexthop(8): of one object, and of a group of them."""
    with Host("addr add 192.0.2.1/24 dev vio0", "addr add 203.0.113.1/24 dev vio1",
              "addr add 2001:db8:2::1/64 dev vio2 nodad",
              "nexthop add id 1 via 192.0.2.9 dev vio0",
              "nexthop add id 2 via 203.0.113.9 dev vio1",
              "nexthop add id 3 group 1/2", "nexthop add id 4 via 2001:db8:2::9 dev vio2",
              "nexthop add id 5 blackhole",
              interfaces={"vio0": (), "vio1": (), "vio2": ()}) as host:
        host.ns.sysctl("net/ipv4/nexthop_compat_mode", compat)
        for route, addresses in (
                ("default nhid 2", "203.0.113.1"), ("default nhid 3", "192.0.2.1 203.0.113.1"),
                ("::/0 nhid 4", "203.0.113.1 192.0.2.1 2001:db8:2::1"),
                ("default nhid 5", "2001:db8:2::1")):
            host.ns.ip("route", "replace", *route.split())
            eq(sorted(host.parse("block from egress").splitlines()),
               sorted(block_rules(addresses)), route)


@cases(("group", "fe80::1%egress", "an address is one of an interface, not of a group"),
       ("any", "fe80::1%any", "an address is one of an interface, not of a group"),
       ("global", "2001:db8::1%vio0", "only link-local addresses have an interface"))
def test_scope_is_one_interface(_name, text, message):
    """Else a rule would be for more, or for other, packets than it says."""
    with Host(interfaces={"vio0": ()}) as host:
        host.refuses(f"block from {text}", 12, f"{text}: {message}")


def test_prefix_for_one_family_of_two():
    with Host(interfaces={"vio0": ("192.0.2.1/24", "2001:db8:7::1/64")}) as host:
        host.prints("block inet6 from vio0:0/64", ["block drop inet6 from 2001:db8:7::/64 to any"])
        host.prints("block from vio0/24", ["block drop inet from 192.0.2.0/24 to any",
                                           "block drop inet6 from 2001:d00::/24 to any"])


def test_lo_and_lo0_are_one():
    with Host(interfaces={}) as host:
        for on, scope in (("lo", "lo0"), ("lo0", "lo"), ("lo0", "lo0")):
            host.prints(f"block on {on} from fe80::1%{scope}",
                        [f"block drop on {on} inet6 from fe80::1 to any"])


def test_link_local_of_loopback():
    """OpenBSD has fe80::1%lo0; here it may be given to lo."""
    with Host("addr add fe80::1/64 dev lo nodad", interfaces={}) as host:
        for name in ("lo", "lo0"):
            host.prints(f"block from {name}", block_rules(f"{LO0} fe80::1%{name}"))
            host.prints(f"block on {name} from {name}", block_rules(f"{LO0} fe80::1", on=name))
            host.prints(f"block from {name}:0", block_rules(LO0))
            host.prints(f"block from {name}:network", block_rules(LO0_NETWORKS))
            host.prints(f"antispoof for {name}",
                        block_rules(LO0_NETWORKS, on=f"! {name}", head="block drop in"))


# --- egress ---

# name, routes, addresses
EGRESS = [
    ("IPv4", ["route add default via 192.0.2.9"], EM0),
    ("IPv6", ["route add ::/0 via 2001:db8:3::9"], VIO1),
    ("both", ["route add default via 203.0.113.9", "route add ::/0 via 2001:db8:1::9"],
     f"{EM0} {VIO0}"),
    ("without a gateway", ["route add default dev vio0 scope link"], VIO0),
    ("of different metrics", ["route add default via 192.0.2.9 metric 5",
                              "route add default via 203.0.113.9 metric 7"], f"{EM0} {VIO0}"),
    ("IPv6, several next hops", ["route add ::/0 nexthop via 2001:db8:1::9 "
                                 "nexthop via 2001:db8:3::9"], f"{EM0} {VIO1}"),
    ("an interface without addresses", ["route add default dev wan"], ""),
    ("halves", ["route add 0.0.0.0/1 via 192.0.2.9", "route add 128.0.0.0/1 via 192.0.2.9",
                "route add ::/1 via 2001:db8:1::9", "route add 8000::/1 via 2001:db8:1::9"], ""),
    ("blackhole", ["route add blackhole default", "route add unreachable ::/0"], ""),
    ("another table", ["route add default via 192.0.2.9 table 100"], ""),
    ("none", [], ""),
]


@cases(*EGRESS)
def test_egress(_name, routes, addresses):
    """The interfaces with a default route, as it is when the file is read."""
    with Host(*routes) as host:
        if addresses:
            host.prints("block from egress", block_rules(addresses))
            host.prints("block to ! egress", block_rules(addresses, to=True, neg="! "))
            host.prints("table <t> { egress }\nblock from <t>",
                        [f"table <t> {{ {addresses.replace('%em0', '')} }}",
                         "block drop from <t> to any"])
        else:
            for name in ("egress", "egress:network", "egress:0"):
                host.refuses(f"block from {name}", 12, f"interface {name} has no such address")
            host.prints("antispoof for egress", "")
        # as an interface, and in parentheses, it stays a name
        host.prints("block on egress from (egress:0)",
                    "block drop on egress from (egress:0) to any")
        host.prints("block on ! egress", "block drop on ! egress all")


def test_egress_modifiers():
    with Host("route add default via 192.0.2.9") as host:
        host.prints("block from egress:0", block_rules("192.0.2.1 2001:db8:1::1"))
        host.prints("block from egress:broadcast", block_rules("192.0.2.255 198.51.100.127"))
        host.prints("block on egress from egress:network", block_rules(EM0_NETWORKS, on="egress"))
        host.prints("antispoof for egress inet6",
                    block_rules(EM0_NETWORKS, on="! egress", family="inet6",
                                head="block drop in") +
                    block_rules(EM0, family="inet6", head="block drop in"))
        host.prints("match out on egress inet nat-to egress:0",
                    "match out on egress inet all nat-to 192.0.2.1")
        host.prints("match out on egress inet nat-to (egress)",
                    "match out on egress inet all nat-to (egress) round-robin")
        host.ns.ip("link", "set", "em0", "down")
        host.refuses("block from egress", 12, "interface egress has no such address")


# --- what is refused ---

REFUSED = [
    ("from wan", 12, "interface wan has no such address"),
    ("from em1:network", 12, "interface em1:network has no such address"),
    ("to lo:broadcast", 10, "interface lo:broadcast has no such address"),
    ("to vio1:broadcast", 10, "interface vio1:broadcast has no such address"),
    ("to em0:peer", 10, "interface em0:peer has no such address"),
    ("to self:peer", 10, "interface self:peer has no such address"),
    ("to { em0, wan }", 17, "interface wan has no such address"),
    ("from vio0 to vio1", 1, NO_COMBINATION + "vio1 has no IPv4 address"),
    ("inet6 from { vio0 203.0.113.9 }", 1, NO_COMBINATION + "vio0 has no IPv6 address"),
    ("inet6 from { em0 vio1 } to { 192.0.2.9 vio0 }", 1,
     NO_COMBINATION + "192.0.2.9 is no IPv6 address"),
    ("from 192.0.2.9/25 to vio1:network", 1,
     NO_COMBINATION + "vio1:network has no IPv4 address"),
    ("from em0:network:broadcast", 12, TWO_MODES), ("from em0:peer:0:network", 12, TWO_MODES),
    ("from (em0:network:broadcast)", 12, TWO_MODES), ("from self:peer:network", 12, TWO_MODES),
    ("from em0:nonsense", 12, "em0:nonsense is not an address"),
    ("from em0:nonsense:0", 12, "em0:nonsense:0 is not an address"),
    ("from em0:1", 12, "em0:1 is not an address"), ("from em0:", 12, "em0: is not an address"),
    ("from em0:Network", 12, "em0:Network is not an address"),
    ("from :network", 12, ":network is not an address"),
    ("from (em0:nonsense)", 12, "interface em0:nonsense has a bad modifier"),
    ("from (:network)", 12, "invalid interface name ':network'"),
    ("from (0em)", 12, "invalid interface name '0em'"),
    ("from em0:network/24", 12, "em0:network has its prefix length from the interface"),
    ("from em0:broadcast/32", 12, "em0:broadcast has its prefix length from the interface"),
    ("from vio0/33", 12, "prefix length 33 is more than the addresses of vio0 have"),
    ("from (vio0)/129", 19, "prefix length 129 is out of range (0 to 128)"),
    ("from ()", 13, 'syntax error: unexpected ")", expected an interface'),
    ("from (em0", 16, 'syntax error: unexpected end of line, expected ")"'),
    ("from (em0 vio0)", 17, 'syntax error: unexpected "vio0", expected ")"'),
    ("on (em0)", 10, 'syntax error: unexpected "(", expected an interface'),
    ("from (a-very-long-name)", 12, "'a-very-long-name' is no interface name, or too long"),
    ("from em0 - em1", 12, "invalid address range: em0 - em1"),
    ("from 192.0.2.9@em0", 12, "192.0.2.9@em0 is not an address"),
]


def test_refused():
    with Host() as host:
        for text, column, message in REFUSED:
            host.refuses("block " + text, column, message)
        host.refuses("set skip on ! em0", 15, "set skip on ! em0 is not supported")
        host.refuses('set loginterface ""', 18, "'' is no interface name")
        host.refuses('block from ("any")', 12, "'any' is no interface name, or too long")
        host.refuses("set skip on any", 13,
                     "set skip on any would skip all: pfctl-linux -d disables pf")


# --- interfaces that are not there ---

NOT_THERE = [
    "block drop on nosuch0 all", "block drop on ! nosuch0 inet from 203.0.113.5 to any",
    "pass out all received-on nosuch0 flags S/SA", "set skip on { nosuch0 lo0 }",
    "block drop from (nosuch0:network)/24 to any",
    "pass out inet all flags S/SA nat-to (nosuch0:0)",
    "pass in inet all flags S/SA route-to (nosuch0 192.0.2.9)",
    "block drop in on ! nosuch0 from (nosuch0:network) to any",
]


def test_interface_that_is_not_there():
    """A rule may be on it; its addresses are not known."""
    why = 'could not resolve "nosuch0": names are not looked up'
    with Host() as host:
        for text in NOT_THERE:
            host.prints(text, text)
        host.prints("antispoof for (nosuch0)",
                    "block drop in on ! nosuch0 from (nosuch0:network) to any\n"
                    "block drop in from (nosuch0) to any\n")
        for text, column in (("block from nosuch0", 12), ("block to { em0 ! nosuch0 }", 18),
                             ("table <t> { nosuch0 }", 13), ("pass from nosuch0/24", 11),
                             ("nat on em0 from nosuch0 to any -> 192.0.2.1", 17)):
            host.refuses(text, column, why)
        host.refuses("antispoof for nosuch0", 15, "there is no interface 'nosuch0' now (its "
                     "addresses can be followed: antispoof for (nosuch0))")


# what was written, what is meant
MISSPELT = [("emm0", "em0"), ("em00", "em0"), ("wna", "wan"), ("wan1", "wan"), ("egres", "egress"),
            ("vio01", "vio0"), ("nosuch0", None), ("router", None)]


def test_misspelt():
    """By an error where there must be addresses, by a warning of --lint's elsewhere."""
    with Host() as host:
        for name, meant in MISSPELT:
            hint = f"; did you mean the interface {meant}?" if meant else ""
            host.refuses(f"pass\nblock to {name}", 10,
                         f'could not resolve "{name}": names are not looked up{hint}', line=2)
            hint = f"; did you mean '{meant}'?" if meant else ""
            host.refuses(f"antispoof for {name} inet", 15, f"there is no interface '{name}' now"
                         f"{hint} (its addresses can be followed: antispoof for ({name}))")
            hint = f"; did you mean the interface {meant}?" if meant else ""
            host.refuses(f"block from {name}:network", 12,
                         f"{name}:network is not an address{hint}")
            hint = f"; did you mean '{meant}'?" if meant else ""
            r = host.run(f"block on {name}", "--lint")
            eq((r.returncode, r.stdout), (0, f"block drop on {name} all\n"))
            lines_eq(r.stderr, [f"stdin:1:10: warning: there is no interface '{name}'{hint}",
                                f"    block on {name}", " " * 13 + "^" + "~" * (len(name) - 1)])


# text, columns of nosuch0 and nosuch1
LINT = [
    ("block on nosuch0", [10]), ("block on ! nosuch0", [12]),
    ("block on { em0 nosuch0 vio0 nosuch1 }", [16, 29]), ("pass out received-on nosuch0", [22]),
    ("set skip on nosuch0", [13]), ("set skip on { lo nosuch0 lo0 }", [18]),
    ("antispoof for (nosuch0)", [16]), ("queue q on nosuch0 bandwidth 1M default", [12]),
    ('anchor "a" on nosuch0', [15]), ("nat on nosuch0 inet from any to any -> 192.0.2.1", [8]),
    ("block on { em0 vio0 lo lo0 any wan vio em egress }", []), ("antispoof for em0", []),
    ("block from (nosuch0)", [13]), ("block from ! (nosuch0:network)/24", [15]),
    ("block from { (em0) (nosuch0:0) } to (nosuch1)", [21, 38]),
    ("block from fe80::1%nosuch0", [12]), ("block from { fe80::1%em0 fe80::1%nosuch0 }", [26]),
    ("set loginterface nosuch0", [18]), ("set loginterface none", []),
    ("pass out inet nat-to (nosuch0)", [23]), ("pass in proto udp rdr-to (nosuch0:0)", [27]),
    ("pass in route-to 192.0.2.9@nosuch0", [18]), ("pass in route-to (nosuch0 192.0.2.9)", [19]),
    ("pass in route-to nosuch0 inet", [18]), ("pass in route-to { (nosuch0 fe80::9) "
                                              "fe80::9@nosuch1 }", [21, 38]),
    ("nat on em0 inet from any to any -> (nosuch0)", [37]),
    ("ether pass on em0 bridge-to nosuch0", [29]),
    ("pass out inet nat-to (em0)\nset loginterface egress\nblock from { (lo0) (vio) }", []),
]


def test_lint():
    """--lint warns of interfaces that are not there; -v alone does not, nor for another host."""
    with Host() as host:
        def warned(text, *args):
            r = host.run(text, *args)
            eq((r.returncode, bool(r.stdout)), (0, True), f"{text} {args}")
            return [(int(c), n) for c, n in re.findall(
                r"^stdin:1:(\d+): warning: there is no interface '(\w+)'", r.stderr, re.M)]

        for text, columns in LINT:
            eq(warned(text, "--lint"), [(c, f"nosuch{i}") for i, c in enumerate(columns)], text)
            eq((warned(text), warned(text, "--lint", "--offline")), ([], []), text)
        host.ns.ip("link", "add", "nosuch0", "type", "veth", "peer", "name", "nosuch1")
        for text, _ in LINT:
            eq(warned(text, "--lint"), [], text)
