# SPDX-License-Identifier: BSD-2-Clause
"""A host whose interfaces and addresses a pf.conf is checked against."""
import re

from . import own
from .check import eq, lines_eq
from .lab import PFCTL
from .netns import Netns
from .pfctl import sound

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
TWO_MODES = "illegal combination of interface modifiers"
NO_NAME = "antispoof is for interfaces by their names"


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
