# SPDX-License-Identifier: BSD-2-Clause
"""Anchors whose rules translate, replaced in place: see test_anchor_patch.py."""
import os
import re
import signal
import socket
import threading

from pft import bpf, proto
from pft.check import at_least, between, cases, eq, timeout
from pft.lab import DST, FW_DST, GHOST, GHOST_DST, GHOST6, GHOST6_DST, MAC, SRC, Lab
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import raw
from test_anchor_patch import ROOM, TREE, load, replaced
from test_nat import Gate, ends, ip

PUBLIC, OTHER = "203.0.113.7", "203.0.113.8"
INSIDE = "192.0.2.99"
# translates for rules behind it, from a host that is nowhere else in these tests
SOME = "match out on int inet from 192.0.2.200 nat-to 203.0.113.200\n"


def lab_of(rules):
    return Lab(rules=rules, pfd_args=TREE)


def udp(src=GHOST, dst=GHOST_DST, sport=1000, dport=53):
    return ip(src, dst) / UDP(sport=sport, dport=dport)


def translations(lab):
    """How many, and how many of them by match rules, as --dump-program tells."""
    m = re.search(r"^translations: (\d+)(?:, (\d+) by match)?", lab.pf.ctl("--dump-program").stdout,
                  re.M)
    return tuple(int(n or 0) for n in m.groups()) if m else (0, 0)


def source(g, **what):
    """Of a new connection, as it leaves; None if it does not."""
    g.lab.pf.ctl("-Fs")
    got = g.out(udp(**what))
    return ends(got)[0] if got else None


def target(g, **what):
    g.lab.pf.ctl("-Fs")
    got = g.into(udp(**what))
    return ends(got)[1] if got else None


# --- in place ---

@cases(("by match", "match out on int inet {} nat-to {} port {}\npass out on int proto udp\n"),
       ("by pass", "pass out on int inet proto udp {} nat-to {} port {}\n"),
       ("of many", "match out on int inet from 192.0.2.201 nat-to 203.0.113.9\n"
        "pass out on int inet proto udp {} nat-to {} port {}\n"
        "match out on int inet from 192.0.2.202 nat-to 203.0.113.9 static-port\n"))
def test_nat_to(_name, rules):
    with lab_of("block\n" + SOME + 'anchor "a"\n') as lab:
        g = Gate(lab)
        load(lab, "a", rules.format("", PUBLIC, 5000))
        n = translations(lab)[0]
        eq((source(g), replaced(lab)), ((PUBLIC, 5000), 0), "an anchor that is new")
        for i in range(1, 6):
            load(lab, "a", rules.format(f"from {GHOST}", f"203.0.113.{10 + i}", 5000 + i))
            eq((source(g), source(g, src=INSIDE) in (None, (INSIDE, 1000))),
               ((f"203.0.113.{10 + i}", 5000 + i), True))
            eq(translations(lab)[0], n, "what was replaced is not counted")
        eq(replaced(lab), 5 * len(rules.splitlines()))
        # without one, and again with one
        load(lab, "a", "pass out on int inet proto udp\n")
        eq((source(g), translations(lab)), ((GHOST, 1000), (1, 1)))
        load(lab, "a", rules.format("", OTHER, 7))
        eq((source(g), translations(lab)[0]), ((OTHER, 7), n))
        eq(replaced(lab), 6 * len(rules.splitlines()) + 1)


@cases(("by match", "match in on int inet proto udp to {} rdr-to {} port {}\npass in on int proto udp\n"),
       ("by pass", "pass in on int inet proto udp to {} rdr-to {} port {}\n"))
def test_rdr_to(_name, rules):
    with lab_of("block\n" + SOME + 'anchor "a"\n') as lab:
        g = Gate(lab)
        load(lab, "a", rules.format(PUBLIC, GHOST, 80))
        for i in range(1, 5):
            load(lab, "a", rules.format(PUBLIC, f"192.0.2.{10 + i}", 80 + i))
            eq(target(g, src=GHOST_DST, dst=PUBLIC), (f"192.0.2.{10 + i}", 80 + i))
            eq(replaced(lab), i * len(rules.splitlines()))


def test_binat_to():
    """Both of its halves."""
    with lab_of("block\n" + SOME + 'anchor "a"\n') as lab:
        g = Gate(lab)
        rule = "pass on int inet proto udp from {} to any binat-to {}\n"
        load(lab, "a", rule.format(GHOST, PUBLIC))
        for inside, public in ((GHOST, OTHER), (INSIDE, PUBLIC), (GHOST, PUBLIC)):
            load(lab, "a", rule.format(inside, public))
            eq(source(g, src=inside), (public, 1000))
            eq(target(g, src=GHOST_DST, dst=public), (inside, 53))
        eq((replaced(lab), translations(lab)[0]), (3 * 2, 3))


def test_both_families():
    with lab_of("block\n" + SOME + 'anchor "a"\n') as lab:
        g = Gate(lab)
        load(lab, "a", "")
        for i in (1, 2):
            load(lab, "a", f"pass out on int inet nat-to 203.0.113.{i} port 5\n"
                 f"pass out on int inet6 nat-to 2001:db8:77::{i} port 6\n")
            eq(source(g), (f"203.0.113.{i}", 5))
            eq(source(g, src=GHOST6, dst=GHOST6_DST), (f"2001:db8:77::{i}", 6))
        eq((replaced(lab), translations(lab)), (2, (3, 1)))


def test_rules_behind_see_it():
    """In the anchor and behind it, wherever a quick rule stands that the packet does not meet."""
    rules = (f"block out quick on int from {PUBLIC}\n" + SOME + 'block\nanchor "a"\n'
             f"pass out on int proto udp from {PUBLIC} tagged a\n"
             f"pass out on int proto udp from {OTHER} tagged a\n" +
             "".join(f"pass out on int proto udp from 198.51.100.{i}\n" for i in range(40)))
    with lab_of(rules) as lab:
        g = Gate(lab)
        load(lab, "a", "")
        for i, to in enumerate((PUBLIC, OTHER, PUBLIC)):
            load(lab, "a", f"match out on int inet from {GHOST} nat-to {to} port 5000\n"
                 f"match from {to} tag a\n")
            eq((source(g), source(g, src=PUBLIC), replaced(lab)), ((to, 5000), None, 2 * i))


def test_ports_that_rules_ask_for():
    """A translation that has come later tells, too, which port was free."""
    rules = ("block\n" + SOME + 'anchor "a"\npass out on int proto udp\n' +
             "".join(f"pass out on int proto udp from port {p} tag p{p}\n"
                     for p in range(4000, 4004)))
    with lab_of(rules) as lab:
        g = Gate(lab)
        load(lab, "a", "")
        load(lab, "a", f"match out on int inet from {GHOST} nat-to {OTHER} port 4000\n")
        load(lab, "a", f"match out on int inet from {GHOST} nat-to {PUBLIC} port 4000:4003\n")
        eq(replaced(lab), 1)
        for n in range(1, 5):
            port = ends(g.out(udp(sport=n)))[0][1]
            numbers = lab.pf.rule_numbers()
            eq([r[1]["states"] for r in numbers[-4:]][port - 4000], 1, f"port {port}, {numbers}")


# --- what needs more ---

NAT = f"pass out on int inet proto udp nat-to {PUBLIC} port 5000:5009\n"
RDR = f"match in on int inet proto udp to {PUBLIC} rdr-to {GHOST} port 80\npass in on int proto udp\n"
ASKS = "pass out on int inet proto udp from any port 1000 to any\n"


@cases(("nat-to draws numbers", "", NAT, False),
       ("and may where others do", "pass out on ext inet probability 50%\n", NAT, True),
       ("a match rule changes packets", "", RDR, False),
       ("and may where others do", SOME, RDR, True),
       ("a pass rule does for none behind", "", RDR.splitlines(True)[0].replace("match", "pass"),
        True),
       ("the port that was chosen", SOME, ASKS, False),
       ("and may where others ask", SOME + "block in proto udp from any port 9\n", ASKS, True),
       ("or where none is chosen", "", ASKS, True))
def test_what_the_program_was_not_made_for(_name, main, rules, in_place):
    """All is made anew, and from then on the anchor is replaced in place."""
    with lab_of("block\n" + main + 'anchor "a"\n') as lab:
        g = Gate(lab)

        def there():
            got = [source(g), target(g, src=GHOST_DST, dst=PUBLIC)]
            return got[0] and got[0][0], got[1]

        load(lab, "a", "pass out on int inet proto udp to port 99\n")
        eq(there(), (None, None))
        for i in range(3):
            load(lab, "a", rules)
            eq(there(), {NAT: (PUBLIC, None), ASKS: (GHOST, None)}.get(rules, (None, (GHOST, 80))))
            eq(replaced(lab) > 0, in_place or i > 0)


def test_trees_that_know_of_no_change():
    """Behind a quick rule nothing was kept; a packet that has become another needs it."""
    rules = (f"block out quick on int from {PUBLIC}\n" 'block\nanchor "a"\n'
             f"pass out on int proto udp from {PUBLIC}\n" +
             "".join(f"pass out on int proto udp from 198.51.100.{i} probability 99%\n"
                     for i in range(40)))
    with lab_of(rules) as lab:
        g = Gate(lab)
        load(lab, "a", "pass in proto udp no state\n")
        load(lab, "a", "")
        eq(replaced(lab), 1)
        load(lab, "a", f"match out on int inet from {GHOST} nat-to {PUBLIC} port 5000\n")
        eq((source(g), replaced(lab)), ((PUBLIC, 5000), 0), "made anew")


def test_when_the_room_is_used_up():
    with lab_of("block\n" + SOME + 'anchor "a"\n') as lab:
        g = Gate(lab)
        load(lab, "a", "")
        seen = []
        n = ROOM // 2 - 10
        for i in range(6):
            load(lab, "a", "".join(
                f"pass out on int inet proto udp to port {k} nat-to 203.0.113.{k} port {6000 + i}\n"
                for k in range(1, n + 1)))
            eq([source(g, dport=k) for k in (1, 7, n)],
               [(f"203.0.113.{k}", 6000 + i) for k in (1, 7, n)])
            seen.append(replaced(lab))
            eq(translations(lab)[0], n + 1)
        eq(seen, [0, n, 0, n, 2 * n, 0])


# --- life ---

def test_states_go_on():
    """As they were translated when they began."""
    with lab_of("block\n" + SOME + 'anchor "a"\n') as lab:
        g = Gate(lab)
        rule = "pass out on int inet proto udp nat-to {} port 5000\n"
        load(lab, "a", rule.format(PUBLIC))
        load(lab, "a", rule.format(OTHER))
        eq(ends(g.out(udp()))[0], (OTHER, 5000))
        for rules in (rule.format(PUBLIC), "", rule.format(PUBLIC)):
            load(lab, "a", rules)
            eq(ends(g.out(udp()))[0], (OTHER, 5000))
            eq(ends(g.into(udp(GHOST_DST, OTHER, 53, 5000)))[1], (GHOST, 1000))
        eq((ends(g.out(udp(sport=2)))[0], replaced(lab)), ((PUBLIC, 5000), 3))


@cases(("stopped", signal.SIGTERM), ("killed", signal.SIGKILL))
def test_taken_over(_name, sig):
    """The next pfd has the translations that came in place, and replaces further."""
    with lab_of("block\n" + SOME + 'anchor "a"\nanchor "b"\n') as lab:
        g = Gate(lab)
        rule = "pass out on int inet proto udp to port {} nat-to {} port {}\n"
        load(lab, "a", "")
        load(lab, "b", "")
        load(lab, "b", rule.format(54, OTHER, 7000))
        load(lab, "a", rule.format(53, OTHER, 5000) + rule.format(55, OTHER, 5001))
        load(lab, "a", rule.format(53, PUBLIC, 5002))
        was = (lab.pf.ctl("-a", "*", "-sr").stdout, translations(lab), (PUBLIC, 5002), (OTHER, 7000), None)

        def now():
            return (lab.pf.ctl("-a", "*", "-sr").stdout, translations(lab), source(g),
                    source(g, dport=54), source(g, dport=55))

        eq((now(), replaced(lab)), (was, 2))
        eq(ends(g.out(udp()))[0], (PUBLIC, 5002))
        lab.pf.stop(sig)
        eq(ends(g.out(udp(dport=54)))[0], (OTHER, 7000), "while there is none")
        lab.pf.start()
        eq(ends(g.into(udp(GHOST_DST, PUBLIC, 53, 5002)))[1], (GHOST, 1000), "its state is there")
        eq((now(), replaced(lab)), (was, 0))
        load(lab, "a", rule.format(55, OTHER, 5003))
        eq((source(g), source(g, dport=55), replaced(lab)), (None, (OTHER, 5003), 1))


def test_keepcounters():
    """A rule that is as it was, translation and all, has counted what it did."""
    one, two = (f"pass out on int inet proto udp nat-to {to} port 5000\n" for to in (PUBLIC, OTHER))
    with lab_of("set keepcounters\nblock\n" + SOME + 'anchor "a"\n') as lab:
        g = Gate(lab)

        def packets():
            out = lab.pf.ctl("-a", "a", "-vsr").stdout
            return [int(n) for n in re.findall(r"Packets: (\d+)", out)]

        load(lab, "a", one)
        source(g)
        eq(packets(), [1])
        load(lab, "a", two)
        eq(packets(), [0])
        load(lab, "a", one + two)
        source(g)
        eq(packets(), [0, 1])
        load(lab, "a", two)
        eq((packets(), replaced(lab)), ([1], 4))


def test_real_connections():
    """One goes on by what is gone, the next one has what there is."""
    rule = "pass out on int inet proto tcp from " + SRC + " nat-to " + FW_DST + " port {}:{}\n"
    with lab_of("block\n" + SOME + "pass in on ext\nanchor a\n") as lab, lab.dst.listen(80) as s:
        load(lab, "a", "")
        kept = []
        for first in (6000, 7000, 8000):
            load(lab, "a", rule.format(first, first + 99))
            kept.append((lab.src.connect(DST, 80), *s.accept()))
            eq(kept[-1][2][0], FW_DST)
            between(kept[-1][2][1], first, first + 99)
            for c, peer, _ in kept:
                c.sendall(b"x" * 3000)
                eq(len(peer.recv(3000, socket.MSG_WAITALL)), 3000)
                peer.sendall(b"y")
                eq(c.recv(1), b"y")
        eq(replaced(lab), 2)
        for c, peer, _ in kept:
            c.close()
            peer.close()


@timeout(240)
def test_swaps_while_connections_come():
    """
    Each of the anchor's rulesets passes only what it has translated itself: what met rules of
    both would not leave.
    """
    def rules(k):
        return (f"match out on int inet proto udp nat-to 203.0.113.{k} port {5000 + k}\n"
                f"pass out on int inet proto udp from 203.0.113.{k} port {5000 + k}\n")

    with lab_of("set limit states 200000\nblock\n" + SOME +
                "block in proto udp from any port 9\nanchor a\n") as lab:
        load(lab, "a", "")
        models = [proto.model(lab.pf, rules(k), "a") for k in range(2)]
        fd = lab.pf.program("int", "out")
        index = lab.fw.ifindex("int")
        seen, lost, end = [0, 0], [], threading.Event()

        def connect():
            with lab.fw:
                for n in range(1, 150000):
                    if end.is_set() or lost:
                        return
                    pkt = IP(src=GHOST, dst=f"198.51.{n >> 15}.1") / UDP(sport=7, dport=n & 32767)
                    verdict, data, _ = bpf.test_run(
                        fd, raw(Ether(dst=MAC["int"], src="02:00:00:00:00:99") / pkt), index)
                    source = (socket.inet_ntoa(data[26:30]), data[34] << 8 | data[35])
                    if verdict == -1 and source[0][:-1] == "203.0.113.":
                        seen[int(source[0][-1])] += source[1] == 5000 + int(source[0][-1])
                    else:
                        lost.append((n, verdict, source))

        thread = threading.Thread(target=connect)
        with proto.Control(lab.pf) as c:
            c.load(models[0], "a")
            thread.start()
            in_place = 0
            try:
                for i in range(1, 401):
                    c.load(models[i & 1], "a")
                    in_place += i % 40 == 20 and replaced(lab) > 0
            finally:
                end.set()
                thread.join()
        os.close(fd)
        eq((lost, sum(seen) > 1000, min(seen) > 100), ([], True, True), f"{seen}")
        at_least(in_place, 5)
