# SPDX-License-Identifier: BSD-2-Clause
"""Translated states: pfctl-linux -ss shows both of their addresses, -k goes by the first ones."""
import re
import socket

from pft.check import cases, eq, lines_eq, matches
from pft.lab import DST, DST6, FW6_DST, FW_DST, FW_SRC, FW6_SRC, SRC, SRC6, Lab


def states(lab, pattern):
    return [line for line in lab.pf.states() if re.search(pattern, line)]


def ask(lab, family, to, port, reply=True):
    """A question of src to dst's port over UDP: dst's view of who asks."""
    with lab.src.udp(family=family) as a, lab.dst.udp(port, family=family) as b:
        a.settimeout(5)
        b.settimeout(5)
        a.sendto(b"q", (to, port))
        got, peer = b.recvfrom(100)
        eq(got, b"q")
        if reply:
            b.sendto(b"a", peer[:2])
            eq(a.recv(100), b"a")
        return a.getsockname()[1], peer[0], peer[1]


@cases(("ipv4", socket.AF_INET, SRC, FW_DST, DST, r"{}:{}"),
       ("ipv6", socket.AF_INET6, SRC6, FW6_DST, DST6, r"{}\[{}\]"))
def test_outgoing(_name, family, src, ours, dst, end):
    """Both states of a forwarded connection: as it came in, and as it left."""
    with Lab(rules=f"match out on int from {src} nat-to {ours}\npass\n") as lab:
        port, address, new = ask(lab, family, dst, 53)
        eq(address, ours)
        eq(50001 <= new <= 65535, True, str(new))
        far = end.format(dst, 53)
        matches("\n".join(states(lab, " -> ")),
                rf"^all udp {end.format(ours, new)} \({end.format(src, port)}\) -> {far}"
                r"       \w+:\w+$")
        matches("\n".join(states(lab, " <- .*" + re.escape(src))),
                rf"^all udp {far} <- {end.format(src, port)}       \w+:\w+$")


@cases(("ipv4", socket.AF_INET, SRC, FW_SRC, DST, r"{}:{}"),
       ("ipv6", socket.AF_INET6, SRC6, FW6_SRC, DST6, r"{}\[{}\]"))
def test_incoming(_name, family, src, ours, dst, end):
    rules = f"match in on ext proto udp to {ours} port 53 rdr-to {dst} port 5353\npass\n"
    with Lab(rules=rules) as lab:
        with lab.src.udp(family=family) as a, lab.dst.udp(5353, family=family) as b:
            a.settimeout(5)
            b.settimeout(5)
            a.sendto(b"q", (ours, 53))
            _, peer = b.recvfrom(100)
            eq(peer[0], src)
            b.sendto(b"a", peer[:2])
            got, sender = a.recvfrom(100)
            eq((got, sender[:2]), (b"a", (ours, 53)))
            port = a.getsockname()[1]
        inner, outer = end.format(dst, 5353), end.format(ours, 53)
        matches("\n".join(states(lab, " <- ")),
                rf"^all udp {inner} \({outer}\) <- {end.format(src, port)}       \w+:\w+$")
        matches("\n".join(states(lab, " -> ")),
                rf"^all udp {end.format(src, port)} -> {inner}       \w+:\w+$")


def test_only_what_differs_is_in_parentheses():
    """static-port keeps the port, the address is shown all the same; without translation none."""
    rules = f"match out on int inet from {SRC} nat-to {FW_DST} static-port\npass\n"
    with Lab(v6=False, rules=rules) as lab:
        port, _, new = ask(lab, socket.AF_INET, DST, 53)
        eq(new, port)
        matches("\n".join(states(lab, " -> ")),
                rf"^all udp {FW_DST}:{port} \({SRC}:{port}\) -> {DST}:53       \w+:\w+$")
        eq(len(states(lab, r"\(")), 1)


def test_echo():
    with Lab(v6=False, rules=f"match out on int inet from {SRC} nat-to {FW_DST}\npass\n") as lab:
        eq(lab.src.ping(DST), True)
        matches("\n".join(states(lab, " icmp .* -> ")),
                rf"^all icmp {FW_DST}:\d+ \({SRC}:\d+\) -> {DST}:8       0:0$")


def test_names_of_ports():
    rules = f"match in on ext inet proto udp to {FW_SRC} port 53 rdr-to {DST} port 123\npass\n"
    with Lab(v6=False, rules=rules) as lab:
        with lab.src.udp() as a, lab.dst.udp(123) as b:
            b.settimeout(5)
            a.sendto(b"q", (FW_SRC, 53))
            eq(b.recv(100), b"q")
            matches("\n".join(lab.pf.ctl("-ss", "-P").stdout.splitlines()),
                    rf"(?m)^all udp {DST}:ntp \({FW_SRC}:domain\) <- {SRC}:\d+ ")


# What -k takes, and which of the two states (the one that came in, the one that went out) end.
@cases(("who made it", ["-k", SRC], {"in", "out"}),
       ("the address it got", ["-k", FW_DST], set()),
       ("its network", ["-k", "192.0.2.0/24"], {"in", "out"}),
       ("where it went", ["-k", DST], set()),
       ("from and to", ["-k", SRC, "-k", DST], {"in", "out"}),
       ("from the new one", ["-k", FW_DST, "-k", DST], set()),
       ("to the new one", ["-k", "0.0.0.0/0", "-k", FW_DST], set()))
def test_kill_outgoing(_name, args, want):
    with Lab(v6=False, rules=f"match out on int inet from {SRC} nat-to {FW_DST}\npass\n") as lab:
        eq(ask(lab, socket.AF_INET, DST, 53)[1], FW_DST)
        before = lab.pf.states()
        r = lab.pf.ctl(*args)
        eq(int(matches(r.stderr, r"killed (\d+) states")[1]), len(want))
        gone = {"in" if " <- " in line else "out" for line in set(before) - set(lab.pf.states())}
        eq(gone, want)
        # what is left does not stand in the way of another
        eq(ask(lab, socket.AF_INET, DST, 53)[1], FW_DST)


@cases(("who made it", ["-k", SRC], {"in", "out"}),
       ("where it was to go", ["-k", SRC, "-k", FW_SRC], {"in"}),
       ("where it went", ["-k", SRC, "-k", DST], {"out"}),
       ("the inner host", ["-k", DST], set()))
def test_kill_incoming(_name, args, want):
    rules = f"match in on ext inet proto udp to {FW_SRC} port 53 rdr-to {DST} port 5353\npass\n"
    with Lab(v6=False, rules=rules) as lab:
        with lab.src.udp() as a, lab.dst.udp(5353) as b:
            b.settimeout(5)
            a.sendto(b"q", (FW_SRC, 53))
            eq(b.recv(100), b"q")
            before = lab.pf.states()
            r = lab.pf.ctl(*args)
            eq(int(matches(r.stderr, r"killed (\d+) states")[1]), len(want))
            gone = {"in" if " <- " in line else "out"
                    for line in set(before) - set(lab.pf.states())}
            eq(gone, want)
            a.sendto(b"r", (FW_SRC, 53))
            eq(b.recv(100), b"r")


def test_rules_are_shown():
    """What was loaded comes back in -sr, binat-to as the two rules that it is."""
    rules = (f"match out on int inet from {SRC} nat-to {FW_DST} port 1024:2048\n"
             f"match in on ext inet proto tcp to {FW_SRC} port 80 rdr-to {DST} port 8080:8090\n"
             "match out on int inet from 10.0.0.0/24 nat-to 203.0.113.0/24 bitmask\n"
             f"pass on int from 10.1.0.1 binat-to {FW_DST}\n")
    with Lab(v6=False, rules=rules) as lab:
        lines_eq(lab.pf.rules(), [
            f"match out on int inet from {SRC} to any nat-to {FW_DST} port 1024:2048",
            f"match in on ext inet proto tcp from any to {FW_SRC} port = 80 rdr-to {DST} "
            "port 8080:8090",
            "match out on int inet from 10.0.0.0/24 to any nat-to 203.0.113.0/24 bitmask",
            f"pass out on int inet from 10.1.0.1 to any flags S/SA nat-to {FW_DST} static-port",
            f"pass in on int inet from any to {FW_DST} flags S/SA rdr-to 10.1.0.1"])
