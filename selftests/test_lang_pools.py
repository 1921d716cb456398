# SPDX-License-Identifier: BSD-2-Clause
"""Interfaces and their addresses in tables, pools and antispoof, by `pfctl-linux -nvf` in a
namespace with interfaces of its own.

pf.conf(5), TRANSLATION and ANTISPOOF, and OpenBSD's pfctl say what is right.
"""
from pft.host import (EM0, EM0_NETWORKS, EM1, LO0, LO0_NETWORKS, NO_NAME, TWO_MODES, VIO0,
                      VIO0_NETWORK, VIO1, VIO1_NETWORK, Host, block_rules)


# --- tables ---

TABLES = [
    ("em0", "192.0.2.1 198.51.100.1 2001:db8:1::1 fe80::1"), ("em0:network", EM0_NETWORKS),
    ("em0:0, ! vio0", f"192.0.2.1 2001:db8:1::1 !{VIO0}"),
    ("vio:network !vio", f"{VIO0_NETWORK} {VIO1_NETWORK} !{VIO0} !{VIO1}"),
    ("lo0 vio0", f"{LO0} {VIO0}"), ("self:0", f"{LO0} 192.0.2.1 2001:db8:1::1 {VIO0} fe80::2 {VIO1}"),
    ("! self", "!127.0.0.1 !::1 !192.0.2.1 !198.51.100.1 !2001:db8:1::1 !fe80::1 !203.0.113.5 "
     "!fe80::2 !2001:db8:3::1"),
    ("vio0/24 10/8 vio0:broadcast", "203.0.113.0/24 10.0.0.0/8 203.0.113.15"),
]
TABLES_REFUSED = [
    ("wan", 13, "interface wan has no such address"),
    ("em0 wan", 17, "interface wan has no such address"),
    ("em1:0:network", 13, "interface em1:0:network has no such address"),
    ("em0:network:peer", 13, TWO_MODES),
    ("(em0)", 13, "a table cannot hold an interface in parentheses"),
    ("fe80::1%em0", 13, "a table cannot hold an address of one interface only (%)"),
    ("192.0.2.1 - 192.0.2.9", 13, "a table cannot hold an address range"),
]


def test_tables():
    """Printed with the addresses of the load; link-local ones lose their interface."""
    with Host() as host:
        for entries, want in TABLES:
            host.prints(f"table <t> const {{ {entries} }}\nblock from <t>",
                        [f"table <t> const {{ {want} }}", "block drop from <t> to any"])
        for entries, column, message in TABLES_REFUSED:
            host.refuses(f"table <t> {{ {entries} }}", column, message)


# --- pools ---

# "pass ..." is printed as "pass ...", but for what stands behind it
POOLS = [
    ("out on em0 inet nat-to em0", "out on em0 inet all flags S/SA "
     "nat-to { 192.0.2.1, 198.51.100.1 } round-robin"),
    ("out on em0 inet nat-to em0:0", "out on em0 inet all flags S/SA nat-to 192.0.2.1"),
    ("out inet6 nat-to em0:0", "out inet6 all flags S/SA nat-to 2001:db8:1::1"),
    ("out nat-to vio0", "out inet all flags S/SA nat-to 203.0.113.5"),
    ("out nat-to vio1", "out inet6 all flags S/SA nat-to 2001:db8:3::1"),
    ("out from vio0:0 nat-to em0:0",
     "out inet from 203.0.113.5 to any flags S/SA nat-to 192.0.2.1"),
    ("out on em0 nat-to (em0)", "out on em0 all flags S/SA nat-to (em0) round-robin"),
    ("out inet nat-to (em0:0)", "out inet all flags S/SA nat-to (em0:0)"),
    ("out inet nat-to (em0)/24", "out inet all flags S/SA nat-to (em0)/24 round-robin"),
    ("out inet nat-to (nosuch0)", "out inet all flags S/SA nat-to (nosuch0) round-robin"),
    ("out inet nat-to { (vio0:0) vio0 }",
     "out inet all flags S/SA nat-to { (vio0:0), 203.0.113.5 } round-robin"),
    ("out inet nat-to vio0:network bitmask",
     "out inet all flags S/SA nat-to 203.0.113.0/28 bitmask"),
    ("in inet proto tcp to em0:0 port 80 rdr-to vio0 port 8080", "in inet proto tcp from any "
     "to 192.0.2.1 port = 80 flags S/SA rdr-to 203.0.113.5 port 8080"),
    ("in inet proto udp rdr-to lo0", "in inet proto udp all rdr-to 127.0.0.1"),
    ("in inet6 proto udp rdr-to lo0", "in inet6 proto udp all rdr-to ::1"),
    ("in proto udp rdr-to (vio0)", "in proto udp all rdr-to (vio0) round-robin"),
    ("in inet proto udp divert-to lo0 port 80",
     "in inet proto udp all divert-to 127.0.0.1 port 80"),
    ("in inet route-to 203.0.113.9@vio0", "in inet all flags S/SA route-to (vio0 203.0.113.9)"),
    ("in inet route-to (vio0 203.0.113.9)", "in inet all flags S/SA route-to (vio0 203.0.113.9)"),
    ("in inet route-to { 203.0.113.9@vio0, (em0 192.0.2.9) 192.0.2.8 }", "in inet all flags S/SA "
     "route-to { (vio0 203.0.113.9), (em0 192.0.2.9), 192.0.2.8 } round-robin"),
    ("in inet route-to vio0@em0", "in inet all flags S/SA route-to (em0 203.0.113.5)"),
    ("in inet6 route-to fe80::9%em0", "in inet6 all flags S/SA route-to (em0 fe80::9)"),
    ("in inet6 reply-to fe80::9@em0", "in inet6 all flags S/SA reply-to (em0 fe80::9)"),
    # a new address is one of any interface, a hop may be of one
    ("out inet6 nat-to em0", "out inet6 all flags S/SA nat-to 2001:db8:1::1"),
    ("out inet6 nat-to em", "out inet6 all flags S/SA nat-to 2001:db8:1::1"),
    ("in inet6 proto udp rdr-to em0", "in inet6 proto udp all rdr-to 2001:db8:1::1"),
    ("in inet6 proto udp divert-to em0 port 80",
     "in inet6 proto udp all divert-to 2001:db8:1::1 port 80"),
    ("in inet6 route-to em1", "in inet6 all flags S/SA route-to (em1 fe80::2)"),
    ("in inet6 route-to em0", "in inet6 all flags S/SA "
     "route-to { 2001:db8:1::1, (em0 fe80::1) } round-robin"),
    ("in inet6 route-to em0@vio1", "in inet6 all flags S/SA route-to (vio1 2001:db8:1::1)"),
    ("in inet6 route-to (em0 fe80::9%em0)", "in inet6 all flags S/SA route-to (em0 fe80::9)"),
    ("in inet dup-to (vio0:peer)", "in inet all flags S/SA dup-to (vio0:peer) round-robin"),
]
BOTH_FAMILIES = "translation spec contains addresses with different address families"
OTHER_FAMILY = "af mismatch in translation spec: it has no address of the rule's family"
ONLY_LINK_LOCAL = "has link-local addresses only, which cannot be used here"
POOLS_REFUSED = [
    ("out inet6 nat-to em1", 23, f"em1 {ONLY_LINK_LOCAL}"),
    ("out inet6 nat-to { em0 em1:0 }", 29, f"em1:0 {ONLY_LINK_LOCAL}"),
    ("in inet6 proto udp rdr-to em1", 32, f"em1 {ONLY_LINK_LOCAL}"),
    ("in inet6 proto udp divert-to em1 port 80", 35, f"em1 {ONLY_LINK_LOCAL}"),
    ('in inet route-to ("" 192.0.2.9)', 24, "'' is no interface name"),
    ('in inet route-to ("a b" 192.0.2.9)', 24, "'a b' is no interface name"),
    ("in inet route-to 192.0.2.9@any", 23, "an interface cannot be called 'any'"),
    ("in inet route-to (em0123456789abcd 192.0.2.9)", 24,
     "interface name 'em0123456789abcd' is too long (at most 15 characters)"),
    ('out inet nat-to ("any")', 23, "an interface cannot be called 'any'"),
    ("out inet6 nat-to fe80::9%em0", 23, "an interface with the address is for routing only"),
    ("in inet6 route-to (em0 fe80::9%em1)", 29, "fe80::9%em1 is not an address at em0"),
    # one error is enough
    ("out nat-to wan", 17, "interface wan has no such address"),
    ("out inet from vio0 nat-to { 192.0.2.9 wan }", 44, "interface wan has no such address"),
    ("in proto udp rdr-to wan", 26, "interface wan has no such address"),
    ("in inet route-to wan", 23, "interface wan has no such address"),
    ("in proto udp divert-to wan port 80", 29, "interface wan has no such address"),
    ("on em0 inet from vio0 binat-to wan", 37, "interface wan has no such address"),
    ("inet from vio1 to wan", 24, "interface wan has no such address"),
    ("out inet6 from wan nat-to vio0", 21, "interface wan has no such address"),
    ("out nat-to em0", 17, BOTH_FAMILIES), ("out nat-to em0:0", 17, BOTH_FAMILIES),
    ("out nat-to self", 17, BOTH_FAMILIES), ("out inet nat-to vio1", 22, OTHER_FAMILY),
    ("out from vio0 nat-to vio1", 27, OTHER_FAMILY),
    ("in inet6 proto udp rdr-to vio0", 32, OTHER_FAMILY),
    ("out inet nat-to ! em0", 22, "an address that is negated cannot be in a pool"),
    ("out inet nat-to 192.0.2.9@em0", 22, "an interface with the address is for routing only"),
    ("out inet nat-to (em0) bitmask", 28, "interface (em0) is not supported by pool type"),
    ("out inet nat-to em0 bitmask", 26,
     "pool type is not valid for multiple translation or routing addresses"),
    ("on em0 inet from vio0 binat-to (em0)", 28,
     "dynamic interfaces must be used with :0 in a binat-to rule"),
]


def test_pools():
    """A pool takes the addresses of the rule's family; one without a family must have one."""
    with Host() as host:
        for text, want in POOLS:
            host.prints("pass " + text, "pass " + want)
        host.refuses("binat on em0 from wan to any -> 192.0.2.1", 19,
                     "interface wan has no such address")
        host.refuses("nat on em0 from em0 to any -> wan", 31, "interface wan has no such address")
        for text, column, message in POOLS_REFUSED:
            host.refuses("pass " + text, column, message)
        host.prints("pass on em0 inet from vio0 binat-to em0:0",
                    ["pass out on em0 inet from 203.0.113.5 to any flags S/SA "
                     "nat-to 192.0.2.1 static-port",
                     "pass in on em0 inet from any to 192.0.2.1 flags S/SA rdr-to 203.0.113.5"])
        host.prints("pass on em0 inet from vio0 binat-to (em0:0)",
                    ["pass out on em0 inet from 203.0.113.5 to any flags S/SA "
                     "nat-to (em0:0) static-port",
                     "pass in on em0 inet from any to (em0:0) flags S/SA rdr-to 203.0.113.5"])
        host.prints("nat on em0 inet from vio0:network to any -> em0:0",
                    "nat on em0 inet from 203.0.113.0/28 to any -> 192.0.2.1")
        host.prints("rdr on em0 inet proto tcp from any to em0:0 port 80 -> vio0 port 8080",
                    "rdr on em0 inet proto tcp from any to 192.0.2.1 port = 80 "
                    "-> 203.0.113.5 port 8080")


# --- antispoof ---

def spoofed(name, networks, addresses, family="", words="", end=""):
    """From the networks, but not on the interface; and from the addresses on any."""
    head = f"block drop in{words}"
    return [line + end for line in block_rules(networks, on=f"! {name}", family=family, head=head) +
            block_rules(addresses, family=family, head=head)]


def of_em0(**kw):
    return spoofed("em0", EM0_NETWORKS, EM0, **kw)


def of_vio0(**kw):
    return spoofed("vio0", VIO0_NETWORK, VIO0, **kw)


OF_VIO1, OF_LO0 = spoofed("vio1", VIO1_NETWORK, VIO1), spoofed("lo0", LO0_NETWORKS, "")
ANTISPOOF = [
    # as pf.conf(5) has it; OpenBSD's page has the same with other names
    ("quick for vio0 inet", ["block drop in quick on ! vio0 inet from 203.0.113.0/28 to any",
                             "block drop in quick inet from 203.0.113.5 to any"]),
    ("for vio0", of_vio0()), ("for vio1", OF_VIO1), ('for "vio0"', of_vio0()),
    # those from networks come first; link-local addresses have none
    ("for em0", of_em0()), ("for em0 inet", of_em0(family="inet")),
    ("for em0 inet6", of_em0(family="inet6")), ("for em1", spoofed("em1", "", EM1)),
    ("log for vio0", of_vio0(words=" log")), ("log quick for vio0", of_vio0(words=" log quick")),
    ("quick log for vio0", of_vio0(words=" log quick")),
    ("log (all, to pflog2) for vio0", of_vio0(words=" log (all, to pflog2)")),
    ("log quick for em0 inet label here",
     of_em0(family="inet", words=" log quick", end=' label "here"')),
    ('for vio0 label "two words"', of_vio0(end=' label "two words"')),
    ("for vio0 rtable 5", of_vio0(end=" rtable 5")),
    ("for vio0 ridentifier 7 label a", of_vio0(end=' label "a" ridentifier 7')),
    ('for vio0 label "$srcaddr $dstaddr $nr"',
     [line + f' label "{label}"' for line, label in zip(
         of_vio0(), ("203.0.113.0/28 any 0", "203.0.113.5 any 1"))]),
    ("for { vio0 vio1 }", of_vio0() + OF_VIO1), ("for { vio0, em0 }", of_vio0() + of_em0()),
    ("for { vio0 vio0 }", of_vio0() * 2), ("for { { vio0 } vio1 }", of_vio0() + OF_VIO1),
    ("for vio", spoofed("vio", f"{VIO0_NETWORK} {VIO1_NETWORK}", f"{VIO0} {VIO1}")),
    # the loopback interface's own addresses are left alone
    ("for lo0", OF_LO0), ("for lo", [line.replace("lo0", "lo") for line in OF_LO0]),
    ("for lo0 inet", OF_LO0[:1]), ("for { lo0 vio0 }", OF_LO0 + of_vio0()),
    ("for (lo0)", ["block drop in on ! lo0 from (lo0:network) to any"]),
    ("for (em0)", ["block drop in on ! em0 from (em0:network) to any",
                   "block drop in from (em0) to any"]),
    ("log quick for { (em0), vio0 } inet label x",
     ['block drop in log quick on ! em0 inet from (em0:network) to any label "x"',
      'block drop in log quick inet from (em0) to any label "x"'] +
     of_vio0(words=" log quick", end=' label "x"')),
    # nothing to say, and no error: OpenBSD's pfctl makes no rules either
    ("for wan", []), ("for vio0 inet6", []), ("for { wan vio0 }", of_vio0()),
]
ANTISPOOF_REFUSED = [
    ("for ! em0", 15, NO_NAME), ("for { em0 ! vio0 }", 21, NO_NAME), ("for any", 15, NO_NAME),
    ("for rdomain 1", 15, NO_NAME),
    ("em0", 11, 'syntax error: unexpected "em0", expected "for"'),
    ("in for em0", 11, 'syntax error: unexpected "in", expected "for"'),
    ("for", 14, "syntax error: unexpected end of line, expected an interface"),
    ("for { }", 17, 'syntax error: unexpected "}", expected an interface'),
    ("for em0, vio0", 18, 'syntax error: unexpected ","'),
    ("for em0 quick", 19, 'syntax error: unexpected "quick"'),
    ("for em0 inet inet6", 24, 'syntax error: unexpected "inet6"'),
    ("for em0 proto tcp", 19, 'syntax error: unexpected "proto"'),
    ("for 192.0.2.1", 15, "there is no interface '192.0.2.1' now (its addresses can be followed: "
     "antispoof for (192.0.2.1))"),
]


def test_antispoof():
    with Host() as host:
        for text, want in ANTISPOOF:
            host.prints("antispoof " + text, want)
        for text, column, message in ANTISPOOF_REFUSED:
            host.refuses("antispoof " + text, column, message)


def test_antispoof_among_others():
    """It blocks without an answer, whatever the policy; in an anchor, too."""
    with Host() as host:
        host.prints("set block-policy return\nantispoof for vio0\nblock out",
                    ["set block-policy return"] + of_vio0() + ["block return out all"])
        host.prints('anchor "a" {\n  antispoof for vio0\n}',
                    ['anchor "a" all {'] + ["  " + line for line in of_vio0()] + ["}"])
        host.prints("antispoof for vio0\npass\nantispoof quick for lo0 inet",
                    of_vio0() + ["pass all flags S/SA",
                                 "block drop in quick on ! lo0 inet from 127.0.0.0/8 to any"])
