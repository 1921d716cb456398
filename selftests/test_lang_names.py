# SPDX-License-Identifier: BSD-2-Clause
"""Addresses that no interface gives: ranges, prefixes and names of hosts, by `pfctl-linux -nvf`.

pf.conf(5), ADDRESSES, says what is right.
"""
import re

from pft import own
from pft.check import contains, eq, lines_eq
from pft.host import EM0, LO0, NO_COMBINATION, VIO0, Host, block_rules
from pft.lab import PFCTL
from pft.netns import own_names
from pft.pfctl import sound


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
