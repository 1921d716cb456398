# SPDX-License-Identifier: BSD-2-Clause
"""What pf.conf takes from the host: interfaces, their addresses, groups and names of hosts, by
`pfctl-linux -nvf` in a namespace with interfaces of its own; and what packets then pass.

pf.conf(5), ADDRESSES and ANTISPOOF, and OpenBSD's pfctl say what is right.
"""
import os
import re

from pft import own
from pft.check import Skip, cases, contains, eq, lines_eq
from pft.devices import udp_passes
from pft.lab import (DST, DST6, FW6_DST, FW6_SRC, FW_DST, FW_SRC, GHOST, GHOST6, GHOST6_DST,
                     GHOST_DST, MAC, PFCTL, SRC, SRC6, Lab)
from pft.netns import Netns, own_names
from pft.pfctl import sound
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import raw

PASS, DROP = -1, 2
# Those without IPv4 stand last, as the kernel has them last.
INTERFACES = {
    "em0": ("192.0.2.1/24 brd +", "198.51.100.1/25 brd +", "2001:db8:1::1/64 nodad",
            "fe80::1/64 nodad"),
    "vio0": ("203.0.113.5/28 brd +",),
    "em1": ("fe80::2/64 nodad",),
    "vio1": ("2001:db8:3::1/64 nodad",),
    "wan": (),
}
# Their addresses, in the words of block_rules().
LO0, LO0_NETWORKS = "127.0.0.1 ::1", "127.0.0.0/8 ::1"
EM0 = "192.0.2.1 198.51.100.1 2001:db8:1::1 fe80::1%em0"
EM0_NETWORKS = "192.0.2.0/24 198.51.100.0/25 2001:db8:1::/64"
EM1, VIO0, VIO1 = "fe80::2%em1", "203.0.113.5", "2001:db8:3::1"
VIO0_NETWORK, VIO1_NETWORK = "203.0.113.0/28", "2001:db8:3::/64"
NO_COMBINATION = "rule expands to no valid combination: "


class Host:
    """A namespace with interfaces, and pfctl-linux in it.  No daemon, no network, no DNS."""

    def __init__(self, *lines, interfaces=None):
        if interfaces is None:
            interfaces = INTERFACES
        self.ns = Netns(f"{own.name()}.host")
        try:
            for name in ("addr_gen_mode", "accept_dad", "router_solicitations"):
                self.ns.sysctl(f"net/ipv6/conf/default/{name}", int(name == "addr_gen_mode"))
            batch = ["link set lo up"]
            for i, (name, addresses) in enumerate(interfaces.items()):
                # the other ends have no addresses, and are in no group
                batch += [f"link add {name} type veth peer name other{i}x",
                          f"link set other{i}x up", f"link set {name} up"]
                batch += [f"addr add {a} dev {name}" for a in addresses]
            self.ns.batch(batch + list(lines))
        except BaseException:
            self.ns.delete()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.ns.delete()

    def run(self, text, *args):
        return sound(self.ns.run(PFCTL, "-o", "none", *args, "-nvf", "-", input=text + "\n",
                                 check=False))

    def parse(self, text):
        """What is printed for a text that must be accepted without a word."""
        r = self.run(text, "-N")
        if r.returncode or r.stderr:
            raise AssertionError(f"{text}: exit status {r.returncode}\n{r.stderr}")
        return r.stdout

    def prints(self, text, want):
        """It must be printed so, and that as itself."""
        got = self.parse(text)
        lines_eq(got, want, text)
        lines_eq(self.parse(got), got, f"{text}, printed again")

    def refuses(self, text, column, message, line=1, how="-N"):
        """It must be refused with this error alone, at this place."""
        r = self.run(text, how)
        eq((r.returncode, r.stdout), (1, ""), text)
        eq(re.findall(r"^stdin:(\d+):(\d+): (.*)$", r.stderr, re.M),
           [(str(line), str(column), message)], text)


def block_rules(addresses, to=False, on="", neg="", family="", head="block drop"):
    """The rules for them; "fe80::1%em0" is an address on em0 only."""
    out = []
    for address in addresses.split():
        address, _, scope = address.partition("%")
        of = "inet6" if ":" in address else "inet"
        if family in ("", of):
            where = f" on {scope or on}" if scope or on else ""
            ends = f"from any to {neg}{address}" if to else f"from {neg}{address} to any"
            out.append(f"{head}{where} {of} {ends}")
    return out


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

TWO_MODES = "illegal combination of interface modifiers"
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
NO_NAME = "antispoof is for interfaces by their names"
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


# --- addresses that need no host ---

RANGES = [
    ("from 192.0.2.1 - 192.0.2.9", "inet from 192.0.2.1 - 192.0.2.9 to any"),
    ("to ! 192.0.2.1 - 192.0.2.9", "inet from any to ! 192.0.2.1 - 192.0.2.9"),
    ("from 192.0.2.1 - 192.0.2.1", "inet from 192.0.2.1 - 192.0.2.1 to any"),
    ("from 0.0.0.0 - 255.255.255.255", "inet from 0.0.0.0 - 255.255.255.255 to any"),
    ("from 2001:DB8::1 - 2001:db8:0::f", "inet6 from 2001:db8::1 - 2001:db8::f to any"),
    ("from { vio0 192.0.2.1 - 192.0.2.9 } to vio0",
     "inet from 203.0.113.5 to 203.0.113.5\n"
     "block drop inet from 192.0.2.1 - 192.0.2.9 to 203.0.113.5"),
]
RANGES_REFUSED = [
    ("from 192.0.2.9 - 192.0.2.1", 12, "address range 192.0.2.9 - 192.0.2.1 ends before it begins"),
    ("from 2001:db8::2 - 2001:db8::1", 12,
     "address range 2001:db8::2 - 2001:db8::1 ends before it begins"),
    ("from 192.0.2.1 - 2001:db8::1", 12, "invalid address range: 192.0.2.1 - 2001:db8::1"),
    ("from 192.0.2.1 - nonsense", 12, "invalid address range: 192.0.2.1 - nonsense"),
    ("from lo0 - 192.0.2.9", 12, "invalid address range: lo0 - 192.0.2.9"),
    ("from 192.0.2.1 - 192.0.2.9 to vio1", 1, NO_COMBINATION + "vio1 has no IPv4 address"),
    ("from vio1 to 192.0.2.1 - 192.0.2.9", 1, NO_COMBINATION + "192.0.2.1 - 192.0.2.9 is no IPv6 address"),
    ("from 192.0.2.1/24 - 192.0.2.9", 25, 'syntax error: unexpected "-"'),
    ("from 192.0.2.1 - 192.0.2.9/24", 33, 'syntax error: unexpected "/"'),
    ("from 192.0.2.1 - 192.0.2.4 - 192.0.2.9", 34, 'syntax error: unexpected "-"'),
]


def test_ranges():
    with Host() as host:
        for text, want in RANGES:
            host.prints("block " + text, "block drop " + want)
        for text, column, message in RANGES_REFUSED:
            host.refuses("block " + text, column, message)


def test_prefixes():
    """Host bits are cut off; only a prefix may leave bytes out."""
    with Host(interfaces={}) as host:
        for text, want in [("192.0.2.77/24", "192.0.2.0/24"), ("192.0.2.77/31", "192.0.2.76/31"),
                           ("192.0.2.77/32", "192.0.2.77"), ("2001:db8::77/32", "2001:db8::/32"),
                           ("2001:db8::77/127", "2001:db8::76/127"), ("10/8", "10.0.0.0/8"),
                           ("10.77/8", "10.0.0.0/8"), ("172.16.5/12", "172.16.0.0/12"),
                           ("192.0.2/24", "192.0.2.0/24"), ("10/32", "10.0.0.0")]:
            host.prints(f"block from {text}", block_rules(want))
            host.prints(f"block to ! {text}", block_rules(want, to=True, neg="! "))
        for text in ("192.0.2", "192.0.2.", "192.0.2.256", "192.0.2.1.1", "fe80:::1"):
            host.refuses(f"block from {text}", 12, f"{text} is not an address")
        for text in ("256", "192.0.2.", "192.0.2.1.1", "1.2.3.4.5"):
            host.refuses(f"block from {text}/8", 12, f"{text} is not an address")


# --- names of hosts ---

HOSTS = """192.0.2.10 both.example Both-2.example 7.example
2001:db8::10 both.example
192.0.2.11 four.example em0 vio9 self lo0 in
192.0.2.12 many.example
192.0.2.13 many.example
2001:db8::12 many.example
2001:db8::13 many.example
"""
BOTH, FOUR, MANY = ("192.0.2.10 2001:db8::10", "192.0.2.11",
                    "192.0.2.12 192.0.2.13 2001:db8::12 2001:db8::13")


class NamedHost(Host):
    """With an /etc/hosts of its own, and no DNS."""

    def __init__(self):
        self.dir = own.directory()
        self.names = own_names(self.dir.name, HOSTS)
        super().__init__()

    def __exit__(self, *exc):
        super().__exit__(*exc)
        self.dir.cleanup()

    def run(self, text, *args):
        return sound(self.ns.run(*self.names, PFCTL, "-o", "none", *args, "-nvf", "-",
                                 input=text + "\n", check=False))


NAMED = [
    ("from both.example", block_rules(BOTH)), ("to both.example", block_rules(BOTH, to=True)),
    ("inet6 from both.example", block_rules(BOTH, family="inet6")),
    ("from ! both.example", block_rules(BOTH, neg="! ")),
    ("from BOTH-2.Example", block_rules("192.0.2.10")), ('from "in"', block_rules(FOUR)),
    ("from 7.example", block_rules("192.0.2.10")), ("from many.example", block_rules(MANY)),
    ("from four.example/24", block_rules("192.0.2.0/24")),
    ("from both.example/32", block_rules("192.0.2.10 2001:db8::/32")),
    ("from { four.example, ! both.example }", block_rules(FOUR) + block_rules(BOTH, neg="! ")),
    ("from both.example to { both.example four.example }",
     ["block drop inet from 192.0.2.10 to 192.0.2.10",
      "block drop inet from 192.0.2.10 to 192.0.2.11",
      "block drop inet6 from 2001:db8::10 to 2001:db8::10"]),
    ("from vio0 to four.example", ["block drop inet from 203.0.113.5 to 192.0.2.11"]),
    # what is an interface's name is not asked for; vio9 is none
    ("from em0", block_rules(EM0)), ("from lo0", block_rules(LO0)),
    ("from vio9", block_rules(FOUR)), ("inet from self", block_rules(
        f"127.0.0.1 192.0.2.1 198.51.100.1 {VIO0}")),
]
NAMED_REFUSED = [
    ("from nothing.example", 12, 'could not resolve "nothing.example": '),
    ("from both.example:network", 12, "both.example:network is not an address"),
    ("from four.example/33", 12, "prefix length 33 is out of range (0 to 32)"),
    ("from four.example - 192.0.2.99", 12, "invalid address range: four.example - 192.0.2.99"),
    ("inet6 from four.example", 1, NO_COMBINATION + "four.example has no IPv6 address"),
    ("from both.example/129", 12, "prefix length 129 is out of range (0 to 32)"), ("from in", 12, "syntax error: "),
]


def test_host_names():
    """All addresses of a name, of both families; interfaces come first."""
    with NamedHost() as host:
        for text, want in NAMED:
            r = host.run("block " + text)
            eq((r.returncode, r.stderr), (0, ""), text)
            # the resolver may give them in any order
            lines_eq(sorted(r.stdout.splitlines()), sorted(want), text)
        r = host.run("block from many.example:0")
        eq([re.sub(r"\d+ to any", "# to any", line) for line in sorted(r.stdout.splitlines())],
           block_rules("192.0.2.# 2001:db8::#"), "one of each family")
        r = host.run("table <t> { four.example/25 !7.example }\nblock from <t>\n"
                     "pass out inet nat-to both.example\npass in inet route-to four.example@em0")
        lines_eq(r.stdout, ["table <t> { 192.0.2.0/25 !192.0.2.10 }", "block drop from <t> to any",
                            "pass out inet all flags S/SA nat-to 192.0.2.10",
                            "pass in inet all flags S/SA route-to (em0 192.0.2.11)"])


def test_host_names_refused():
    with NamedHost() as host:
        for text, column, message in NAMED_REFUSED:
            r = host.run("block " + text)
            eq((r.returncode, r.stdout), (1, ""), text)
            eq(r.stderr.startswith(f"stdin:1:{column}: {message}"), True, r.stderr)
        # -N: not even /etc/hosts is asked
        for text, at in (("from four.example", 12), ("from both.example:0/24", 12),
                         ("to { vio9 }", 12)):
            r = host.run("block " + text, "-N")
            eq((r.returncode, r.stdout), (1, ""), text)
            contains(r.stderr, f"stdin:1:{at}: could not resolve ", text)
            contains(r.stderr.splitlines()[0], ": names are not looked up", text)
        lines_eq(host.run("block from { em0 192.0.2.9 }", "-N").stdout,
                 block_rules(f"{EM0} 192.0.2.9"))


# --- for another host ---

# text, what is printed, columns and names of the warnings
OFFLINE = [
    ("block from nosuch0", "block drop from nosuch0 to any", [(12, "nosuch0")]),
    ("block inet to ! nosuch0", "block drop inet from any to ! nosuch0", [(17, "nosuch0")]),
    ("block from em0", "block drop from em0 to any", [(12, "em0")]),
    ("block from lo0:network", "block drop from lo0:network to any", [(12, "lo0:network")]),
    ("block from nosuch0:0", "block drop from nosuch0:0 to any", [(12, "nosuch0:0")]),
    ("block from nosuch0/24", "block drop from nosuch0/24 to any", [(12, "nosuch0")]),
    ("block from egress", "block drop from egress to any", [(12, "egress")]),
    ("block from www.example", "block drop from www.example to any", [(12, "www.example")]),
    ("block from w.example:0/24", "block drop from w.example:0/24 to any", [(12, "w.example:0")]),
    ("block from nosuch0 to 2001:db8::1", "block drop inet6 from nosuch0 to 2001:db8::1",
     [(12, "nosuch0")]),
    ("block inet6 from { nosuch0 192.0.2.1 2001:db8::1 }",
     "block drop inet6 from nosuch0 to any\nblock drop inet6 from 2001:db8::1 to any",
     [(20, "nosuch0")]),
    ("table <t> { nosuch0 !www.example }\nblock from <t>",
     "table <t> { nosuch0 !www.example }\nblock drop from <t> to any",
     [(13, "nosuch0"), (22, "www.example")]),
    ("pass out on nosuch0 inet nat-to nosuch0",
     "pass out on nosuch0 inet all flags S/SA nat-to nosuch0", [(33, "nosuch0")]),
    ("pass in inet proto tcp rdr-to www.example port 80",
     "pass in inet proto tcp all flags S/SA rdr-to www.example port 80", [(31, "www.example")]),
    ("pass in inet route-to gw.example@nosuch0",
     "pass in inet all flags S/SA route-to (nosuch0 gw.example)", [(23, "gw.example")]),
    ("antispoof quick for nosuch0", "block drop in quick on ! nosuch0 from nosuch0:network to any\n"
     "block drop in quick from nosuch0 to any", []),
    ("antispoof for { em0 lo0 } inet", "block drop in on ! em0 inet from em0:network to any\n"
     "block drop in inet from em0 to any\nblock drop in on ! lo0 inet from lo0:network to any", []),
    ("block on nosuch0 from (nosuch0)", "block drop on nosuch0 from (nosuch0) to any", []),
    ("block from 192.0.2.1", "block drop inet from 192.0.2.1 to any", []),
]
OFFLINE_REFUSED = [
    ("block from 1.2", 12, "1.2 is not an address"),
    ("block from 192.0.2.300", 12, "192.0.2.300 is not an address"),
    ("block from nosuch0:nonsense", 12, "nosuch0:nonsense is not an address"),
    ("block from (nosuch0:nonsense)", 12, "interface nosuch0:nonsense has a bad modifier"),
    ("block from 192.0.2.1 to 2001:db8::1", 1, NO_COMBINATION + "2001:db8::1 is no IPv4 address"),
    ("block from nosuch0:network/24", 12, "nosuch0:network has its prefix length from the interface"),
    ("block from em0:broadcast/32", 12, "em0:broadcast has its prefix length from the interface"),
    ("block from self:network/8", 12, "self:network has its prefix length from the interface"),
    ("table <t> { nosuch0:network/24 }", 13,
     "nosuch0:network has its prefix length from the interface"),
    ("block from nosuch0:network:peer", 12, TWO_MODES),
    ("block from a-very-long-name0:network", 12, "a-very-long-name0:network is not an address"),
    ("antispoof for any", 15, NO_NAME),
]


@cases(("with these interfaces", None), ("without them", {}))
def test_offline(_name, interfaces):
    """Names stand for themselves, whatever the host that the file is checked on."""
    with Host(interfaces=interfaces) as host:
        for text, want, warnings in OFFLINE:
            r = host.run(text, "--offline")
            eq(r.returncode, 0, r.stderr)
            lines_eq(r.stdout, want, text)
            eq([(int(c), n) for c, n in re.findall(
                r'^stdin:\d+:(\d+): warning: "(.*)" is not looked up$', r.stderr, re.M)], warnings,
               text)
            eq(r.stderr.count("warning:"), len(warnings), r.stderr)
            lines_eq(host.run(r.stdout, "--offline").stdout, r.stdout, f"{text}, printed again")
        for text, column, message in OFFLINE_REFUSED:
            host.refuses(text, column, message, how="--offline")


def test_offline_files():
    """A file that is not here is empty, with a warning; one that is, is read."""
    used = "block drop from <t> to any"
    with Host(interfaces={}) as host, own.directory() as d:
        for text, want, at, what in [
                (f'table <t> file "{d}/f"\n{used}', None, "1:16", f"cannot read {d}/f "),
                (f'block out\ninclude "{d}/f"\nblock in',
                 "block drop out all\nblock drop in all", "2:9", f"there is no {d}/f:"),
                (f'load anchor "a" from "{d}/f"', None, "1:22", f"there is no {d}/f:")]:
            r = host.run(text, "--offline")
            eq(r.returncode, 0, r.stderr)
            lines_eq(r.stdout, want or text, text)
            contains(r.stderr, f"stdin:{at}: warning: {what}", text)
            contains(r.stderr.splitlines()[0], "taken as empty", text)
            eq(host.run(text).returncode, 1, text)
        with open(f"{d}/f", "w", encoding="utf-8") as f:
            f.write("nonsense nonsense\n")
        for text in (f'include "{d}/f"', f'load anchor "a" from "{d}/f"'):
            r = host.run(text, "--offline")
            eq((r.returncode, r.stdout), (1, ""), text)
            contains(r.stderr, f"{d}/f:1:1: syntax error")


def test_offline_goes_with_n():
    """What is for another host cannot come into force here."""
    with Lab(hosts=2, rules="block out\n") as lab:
        for args in (("-f", "-"), ("-e", "-f", "-"), ("-Fa",), ("-sr",)):
            r = lab.pf.ctl("--offline", *args, input="pass from nosuch0\n", check=False)
            eq((r.returncode, r.stdout, r.stderr), (1, "", "pfctl-linux: --offline goes with -n\n"))
        r = lab.pf.ctl("-n", "--offline", "-f", "-", input="pass from nosuch0\n")
        eq((r.stdout, r.stderr.startswith("stdin:1:11: warning:")), ("", True))
        eq(lab.pf.rules(), ["block drop out all"])


# --- packets ---

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
    ("pass on ! en", "1:11", "a group of interfaces"),
    ("set skip on { lo en }", "1:18", "set skip on a group of interfaces"),
    ("set skip on egress", "1:13", "set skip on a group of interfaces"),
    ("antispoof for en", "1:15", "a group of interfaces"),
    ("antispoof for egress", "1:15", "a group of interfaces"),
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
