# SPDX-License-Identifier: BSD-2-Clause
"""State limiters and source limiters: see pf.conf(5), LIMITERS."""
import json
import signal
import time

from pft.check import cases, contains, eq, matches, timeout
from pft.inject import at_once, by, go, ip
from pft.lab import GHOST, GHOST6_DST, GHOST_DST, Lab, Stopped
from pft.netns import wait_for
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6

EMITTERS = cases(("linear",), ("tree",))
OTHER = "192.0.2.101"


def udp(lab, sport, a=GHOST, dport=53, b=GHOST_DST):
    return go(lab, IP(src=a, dst=b) / UDP(sport=sport, dport=dport) / b"q")


def load(lab, rules, *args):
    """That may fail."""
    return lab.pf.ctl(*args, "-f", "-", input=rules, check=False)


def limiters(lab):
    """{(kind, id): the rest}, from JSON."""
    out = json.loads(lab.pf.ctl("-sL", "--json").stdout)["limiters"]
    return {(x["kind"], x["id"]): x for x in out}


def counts(lab, number=1, kind="state"):
    """States, and what was admitted, hard-limited and rate-limited."""
    x = limiters(lab)[(kind, number)]
    return x["states"], x["admitted"], x["hardlimited"], x["ratelimited"]


@EMITTERS
def test_no_match(emitter):
    """One that is full: the rule does not match, and those behind it are asked."""
    by(emitter)
    rules = ('state limiter "dns" id 7 limit 2\nblock in\n'
             'pass in proto udp to port 53 state limiter dns\n'
             'pass in proto udp from ' + OTHER + ' tag T\n')
    with Lab(hosts=2, rules=rules) as lab:
        eq([udp(lab, n) for n in range(1, 5)], [True, True, False, False])
        eq(counts(lab, 7), (2, 2, 2, 0))
        eq(udp(lab, 1), True, "a state is a state")
        eq(udp(lab, 1, OTHER), True, "by the rule behind it")
        eq(counts(lab, 7), (2, 2, 3, 0))
        eq([n["states"] for _, n in lab.pf.rule_numbers()], [0, 2, 1])
        contains(lab.pf.ctl("-sr").stdout, "port = 53 state limiter id 7\n")
        lab.pf.ctl("-k", GHOST)
        eq(counts(lab, 7), (0, 2, 3, 0))
        eq([udp(lab, n, OTHER) for n in range(2, 4)], [True, True])
        eq(counts(lab, 7), (0, 2, 3, 0), "the last rule that matches has the state")


@EMITTERS
def test_block(emitter):
    """(block) ends the walk: no rule behind it is asked; logged if the rule logs."""
    by(emitter)
    rules = ('state limiter a id 1 limit 1\n'
             'pass in log proto udp state limiter a (block)\npass in quick\n')
    with Lab(hosts=2, rules=rules) as lab:
        eq(udp(lab, 1), True, "the last one has it")
        eq(counts(lab), (0, 0, 0, 0), "whose states are no limiter's")
        lab.pf.load('state limiter a id 1 limit 1\nblock return\n'
                    'pass in log proto udp to port 53 state limiter a (block)\n'
                    'pass in proto udp to port 53 probability 0.000001%\n')
        eq([udp(lab, n) for n in (11, 12)], [True, False])
        eq(counts(lab), (1, 1, 1, 0))
        eq(lab.pf.info()["state-limit"], 1)
        eq([n["packets"] for _, n in lab.pf.rule_numbers()], [0, 1, 0], "credited to no rule")
        eq([n["evaluations"] for _, n in lab.pf.rule_numbers()], [2, 2, 1])
        contains(lab.pf.ctl("-sr").stdout, "state limiter id 1 (block)\n")


@EMITTERS
def test_rate(emitter):
    """Scenario state_rate: a bucket of time."""
    by(emitter)
    rules = ('state limiter a id 1 limit 1000 rate 2/4\nblock in\n'
             'pass in proto udp to port 53 state limiter a\n')
    with Lab(hosts=2, rules=rules) as lab:
        eq([udp(lab, n) for n in range(1, 5)], [True, True, False, False])
        eq(counts(lab), (2, 2, 0, 2))
        time.sleep(2.2)
        eq([udp(lab, n) for n in range(5, 7)], [True, False], "one has gathered")
        lab.pf.load(rules)
        eq(udp(lab, 8), False, "the same rate goes on")
        lab.pf.load(rules.replace("2/4", "3/4"))
        eq([udp(lab, n) for n in range(10, 15)], [True, True, True, False, False])


@EMITTERS
def test_shared(emitter):
    """By rules of the main ruleset and of anchors; ids without a definition have no room."""
    by(emitter)
    rules = ('state limiter a id 1 limit 3\nblock in\nanchor x\n'
             'pass in proto udp to port 53 state limiter a\n'
             'anchor in {\n pass in proto udp to port 54 state limiter a\n}\n')
    with Lab(hosts=2, rules=rules) as lab:
        lab.pf.load("pass in proto udp to port 55 state limiter id 1\n"
                    "pass in proto udp to port 56 state limiter id 2\n", "-a", "x")
        eq([udp(lab, 1, dport=d) for d in (53, 54, 55, 56)], [True, True, True, False])
        eq([udp(lab, 2, dport=d) for d in (53, 54, 55, 56)], [False] * 4)
        eq(counts(lab), (3, 3, 3, 0))
        r = load(lab, "state limiter b id 2 limit 2\n", "-a", "x")
        contains(r.stderr, ":1:1: limiters are defined in the main ruleset")
        r = load(lab, "pass state limiter a\n", "-a", "x")
        contains(r.stderr, ':1:20: limiter "a" is not defined here: name it by its id')


def test_wrong():
    with Lab(hosts=2, rules="pass\n") as lab:
        for text in ("match state limiter a", "block state limiter a",
                     "pass no state state limiter a", "anchor x state limiter a"):
            r = load(lab, "state limiter a id 1 limit 1\n" + text + "\n")
            matches(r.stderr, r":2:\d+: limiters are for pass rules that keep state")


@EMITTERS
def test_reload(emitter):
    """States keep their limiter while one of its id is there; another pfd finds it."""
    by(emitter)
    rules = ('state limiter {} id 1 limit {}\nstate limiter z id 2 limit 9\nblock in\n'
             'pass in proto udp to port 53 state limiter id 1\n'
             'pass in proto udp to port 54 state limiter id 2\n')
    with Lab(hosts=2, rules=rules.format("a", 2)) as lab:
        eq([udp(lab, n) for n in (1, 2, 3)], [True, True, False])
        eq(udp(lab, 1, dport=54), True)
        lab.pf.load(rules.format("b", 3))
        eq([udp(lab, n) for n in (3, 4)], [True, False])
        eq((counts(lab), counts(lab, 2)), ((3, 3, 2, 0), (1, 1, 0, 0)))
        lab.pf.restart()
        eq(udp(lab, 4), False)
        eq(counts(lab), (3, 3, 3, 0))
        lab.pf.load("set limit states 150000\n" + rules.format("b", 4))
        eq((counts(lab), counts(lab, 2)), ((3, 3, 3, 0), (1, 1, 0, 0)), "in a larger table")
        eq([udp(lab, n) for n in (4, 5)], [True, False])
        lab.pf.load("pass\n")
        eq(limiters(lab), {})
        lab.pf.load(rules.format("c", 1))
        eq([udp(lab, n) for n in (11, 12)], [True, False], "those of before are none's")
        lab.pf.ctl("-Fs")
        eq(counts(lab), (0, 1, 1, 0))


@EMITTERS
def test_confirm(emitter):
    """Rules that come back find their limiters as they were."""
    by(emitter)
    rules = ('state limiter a id 1 limit 2\nblock in\npass in proto udp state limiter a\n')
    with Lab(hosts=2, rules=rules) as lab:
        eq([udp(lab, n) for n in (1, 2, 3)], [True, True, False])
        lab.pf.load("pass\n", "--confirm", "1")
        wait_for("the roll-back", lambda: "limiter" in lab.pf.ctl("-sr").stdout, 5)
        eq(udp(lab, 3), False)
        eq(counts(lab), (2, 2, 2, 0))
        lab.pf.load("pass\n", "--confirm", "60")
        lab.pf.ctl("--confirmed")
        lab.pf.load(rules)
        eq([udp(lab, n) for n in (11, 12, 13)], [True, True, False])


@EMITTERS
def test_translated(emitter):
    """A connection that is translated has the limiter of the rule that passes it."""
    by(emitter)
    rules = ('state limiter a id 1 limit 2\nblock out\n'
             'match out inet proto udp nat-to 198.51.100.77 port 2000:2001\n'
             'pass out inet proto udp to port 53 state limiter a (block)\n')
    with Lab(hosts=2, rules=rules) as lab:
        eq([go(lab, IP(src=GHOST, dst=GHOST_DST) / UDP(sport=n, dport=53), "ext", "out")
            for n in (1, 2, 3)], [True, True, False])
        eq(counts(lab), (2, 2, 1, 0))
        eq(lab.pf.info()["translate"], 0, "not for want of a port")


def test_refused_states():
    """What no state comes of is given back."""
    rules = ('set limit states 1000\nstate limiter a id 1 limit 5\nstate limiter b id 2 limit 5 '
             'rate 3/1000\nblock in\n'
             'pass in proto udp to port 53 keep state (max 1) state limiter a\n'
             'pass in proto udp to port 54 keep state (max-src-states 1) state limiter b\n')
    with Lab(hosts=2, rules=rules) as lab:
        eq([udp(lab, n) for n in (1, 2)], [True, False])
        eq(counts(lab), (1, 1, 0, 0))
        eq([udp(lab, n, dport=54) for n in (1, 2, 3, 4)], [True, False, False, False])
        eq([udp(lab, 1, f"192.0.2.{n}", 54) for n in (11, 12, 13)], [True, True, False])
        eq(counts(lab, 2), (3, 3, 0, 1))


def test_what_keeps_no_state():
    """Errors of ICMP and later fragments that the rule passes take nothing."""
    rules = "state limiter a id 1 limit 1\nblock\npass in state limiter a\n"
    with Lab(hosts=2, rules="set reassemble no\n" + rules) as lab:
        frag = IP(src=GHOST, dst=GHOST_DST, frag=10, proto=17) / b"12345678"
        for _ in range(3):
            eq(go(lab, frag), True)
        eq(counts(lab), (0, 0, 0, 0))
        eq(go(lab, IP(src=GHOST, dst=GHOST_DST) / ICMP(id=1)), True)
        eq(go(lab, frag), False, "nor does it match when there is no room")
        eq(counts(lab), (1, 1, 1, 0))


def test_shown():
    rules = ('state limiter "a b" id 3 limit 10 rate 5/60\nstate limiter x id 1 limit 4\n'
             'pass in proto udp state limiter "a b"\n')
    with Lab(hosts=2, rules=rules) as lab:
        udp(lab, 1)
        eq(lab.pf.ctl("-s", "Limiters").stdout,
           'state limiter id 3 "a b" ( states 1, limit 10, rate 5/60 )\n'
           'state limiter id 1 "x" ( states 0, limit 4 )\n')
        eq(lab.pf.ctl("-sL", "-v").stdout.splitlines()[1],
           "   admitted 1, hardlimited 0, ratelimited 0")
        contains(lab.pf.ctl("-sa").stdout, "\nLIMITERS:\nstate limiter id 3")
        eq(limiters(lab)[("state", 3)],
           {"kind": "state", "id": 3, "name": "a b", "states": 1, "limit": 10, "rate": 5,
            "seconds": 60, "admitted": 1, "hardlimited": 0, "ratelimited": 0})
        eq(limiters(lab)[("state", 1)]["rate"], None)


@timeout(120)
@EMITTERS
def test_exact(emitter):
    """Several CPUs at once: as many states as there may be; those beyond go by the next rule."""
    by(emitter)
    rules = ("set timeout udp.first 3000\nstate limiter a id 1 limit 100\n"
             "state limiter b id 2 limit 1000 rate 50/10000\nblock in\n"
             "pass in proto udp to port 54 state limiter b\n"
             "pass in quick proto udp to port 53 state limiter a\npass in proto udp to port 53\n")
    with Lab(hosts=2, rules=rules) as lab:
        for dport in (53, 54):
            def send(k):
                return sum(udp(lab, 1000 * k + n + 1, dport=dport) for n in range(120))
            eq(sum(at_once(3, send)), {53: 360, 54: 50}[dport])
        eq([n["states"] for _, n in lab.pf.rule_numbers()], [0, 50, 100, 260])
        eq((counts(lab)[:2], counts(lab, 2)[:2]), ((100, 100), (50, 50)))
        lab.pf.ctl("-Fs")
        eq((counts(lab)[0], counts(lab, 2)[0]), (0, 0))


@EMITTERS
def test_reused(emitter):
    """A SYN over a dead connection: the state that ends gives its place to the new one."""
    by(emitter)
    rules = "state limiter a id 1 limit 1\nblock\npass in proto tcp state limiter a\n"
    with Lab(hosts=2, rules=rules) as lab:
        def seg(flags, seq, ack=0):
            return go(lab, IP(src=GHOST, dst=GHOST_DST) /
                      TCP(sport=7, dport=80, flags=flags, seq=seq, ack=ack))

        def back(flags, seq, ack=0):
            return go(lab, IP(src=GHOST_DST, dst=GHOST) /
                      TCP(sport=80, dport=7, flags=flags, seq=seq, ack=ack), way="out")
        eq([seg("S", 100), back("SA", 500, 101), seg("A", 101, 501)], [True] * 3)
        eq([seg("FA", 101, 501), back("FA", 501, 102), seg("A", 102, 502)], [True] * 3)
        eq(seg("S", 9000), True)
        eq(counts(lab)[:2], (1, 2))


# --- source limiters ---

A, B, C = GHOST, OTHER, "192.0.2.200"


def sources(lab, number=1):
    """{address: (states, admitted, hard-limited, rate-limited)}."""
    return {x["address"]: (x["states"], x["admitted"], x["hardlimited"], x["ratelimited"])
            for x in limiters(lab)[("source", number)]["sources"]}


@EMITTERS
def test_sources(emitter):
    """Scenario source_basic: each has its own number; one that is killed begins anew."""
    by(emitter)
    rules = ('source limiter "web" id 1 entries 128 limit 1\nblock in\n'
             'pass in proto udp source limiter web\n')
    with Lab(hosts=2, rules=rules) as lab:
        eq([udp(lab, n) for n in (1, 2, 3)], [True, False, False])
        eq(udp(lab, 1, B), True)
        eq(sources(lab), {A: (1, 1, 2, 0), B: (1, 1, 0, 0)})
        eq(counts(lab, kind="source"), (2, 2, 2, 0))
        eq(udp(lab, 1), True, "a state is a state")
        eq(lab.pf.ctl("-K", A).stderr.strip(),
           "killed 1 src nodes from 1 sources and 0 destinations")
        eq(sources(lab), {B: (1, 1, 0, 0)})
        eq(counts(lab, kind="source"), (1, 2, 2, 0))
        eq([udp(lab, n) for n in (4, 5)], [True, False])
        lab.pf.ctl("-k", A)
        eq(sources(lab)[A], (0, 1, 1, 0), "the state of before was none's")
        eq(counts(lab, kind="source")[0], 1)
        contains(lab.pf.ctl("-sr").stdout, "source limiter id 1\n")
        lab.pf.ctl("-FSources")
        eq((sources(lab), counts(lab, kind="source")[0]), ({}, 0))


@EMITTERS
def test_entries(emitter):
    by(emitter)
    rules = ('source limiter a id 1 entries 2 limit 5\nblock in\n'
             'pass in proto udp to port 53 source limiter a (block)\n')
    with Lab(hosts=2, rules=rules) as lab:
        eq([udp(lab, 1, s) for s in (A, B, C, C, A)], [True, True, False, False, True])
        eq(limiters(lab)[("source", 1)]["addrlimited"], 2)
        eq(lab.pf.info()["src-limit"], 2)
        lab.pf.ctl("-k", B)
        wait_for("its place", lambda: udp(lab, 1, C), 5)
        eq(sorted(sources(lab)), sorted([A, C]))


@EMITTERS
def test_masks(emitter):
    """A network counts as one, and is killed by any of its hosts."""
    by(emitter)
    rules = ('source limiter a id 9 entries 9 limit 2 inet mask 24 inet6 mask 64\nblock in\n'
             'pass in proto udp source limiter a\n')
    with Lab(hosts=2, rules=rules) as lab:
        eq([udp(lab, 1, s) for s in (A, B, C, "198.18.0.1")], [True, True, False, True])
        def udp6(src):
            return go(lab, IPv6(src=src, dst=GHOST6_DST) / UDP(sport=1, dport=53))
        eq([udp6("2001:db8:1::" + x) for x in ("21", "22", "23")], [True, True, False])
        eq(sources(lab, 9), {"192.0.2.0/24": (2, 2, 1, 0), "198.18.0.0/24": (1, 1, 0, 0),
                             "2001:db8:1::/64": (2, 2, 1, 0)})
        out = lab.pf.ctl("-sL", "-v").stdout.splitlines()
        eq(out[0], 'source limiter id 9 "a" ( states 5, sources 3, entries 9, limit 2, '
                   'inet mask 24, inet6 mask 64 )')
        eq(out[1], "   admitted 5, hardlimited 2, ratelimited 0, addrlimited 0")
        eq(out[2], "   192.0.2.0/24 ( states 2, admitted 2, hardlimited 1, ratelimited 0 )")
        r = load(lab, rules.replace("mask 24", "mask 16"))
        contains(r.stderr, 'source limiter "a" (id 9) has sources: its masks cannot change')
        lab.pf.ctl("-K", "192.0.2.77")
        lab.pf.ctl("-K", "198.18.0.0/16")
        eq(list(sources(lab, 9)), ["2001:db8:1::/64"])
        lab.pf.ctl("-FS")
        lab.pf.load(rules.replace("mask 24", "mask 16"))
        eq(udp(lab, 9, A), True)
        eq(list(sources(lab, 9)), ["192.0.0.0/16"])


@EMITTERS
def test_source_rate(emitter):
    by(emitter)
    rules = ('source limiter a id 1 entries 9 limit 100 rate 2/4\nblock in\n'
             'pass in proto udp to port 53 source limiter a\n')
    with Lab(hosts=2, rules=rules) as lab:
        eq([udp(lab, n) for n in (1, 2, 3)], [True, True, False])
        eq([udp(lab, n, B) for n in (1, 2, 3)], [True, True, False])
        eq(sources(lab), {A: (2, 2, 0, 1), B: (2, 2, 0, 1)})
        lab.pf.ctl("-Fs")
        eq(udp(lab, 4), False, "one without states is remembered")
        time.sleep(2.2)
        eq([udp(lab, n) for n in (5, 6)], [True, False])
        lab.pf.ctl("-Fs")
        wait_for("both to go", lambda: not sources(lab), 10)


@EMITTERS
def test_both(emitter):
    """Both on one rule: what one refuses the other does not count; both give back."""
    by(emitter)
    rules = ('state limiter s id 1 limit 3\nsource limiter a id 1 entries 9 limit 2\nblock in\n'
             'pass in proto udp to port 53 state limiter s source limiter a (block)\n'
             'pass in proto udp from 192.0.2.200 to port 53\n')
    with Lab(hosts=2, rules=rules) as lab:
        eq([udp(lab, n) for n in (1, 2, 3)], [True, True, False])
        eq([udp(lab, n, B) for n in (1, 2)], [True, False])
        eq(counts(lab), (3, 3, 1, 0))
        eq(sources(lab), {A: (2, 2, 1, 0), B: (1, 1, 0, 0)})
        eq(udp(lab, 1, C), True, "that is full does not match, and the rule behind does")
        lab.pf.ctl("-k", A)
        eq((counts(lab)[0], sources(lab)[A][0]), (1, 0))
        eq([udp(lab, n) for n in (4, 5)], [True, True])
        contains(lab.pf.ctl("-sr").stdout, "state limiter id 1 source limiter id 1 (block)")


@EMITTERS
def test_source_reload(emitter):
    by(emitter)
    rules = ('source limiter a id 1 entries 9 limit {}\nblock in\n'
             'pass in proto udp source limiter a\n')
    with Lab(hosts=2, rules=rules.format(2)) as lab:
        eq([udp(lab, n) for n in (1, 2, 3)], [True, True, False])
        lab.pf.load(rules.format(3))
        eq([udp(lab, n) for n in (3, 4)], [True, False])
        lab.pf.restart()
        eq((udp(lab, 4), sources(lab)), (False, {A: (3, 3, 3, 0)}))
        lab.pf.load("set limit states 150000\n" + rules.format(4))
        eq((sources(lab), counts(lab, kind="source")), ({A: (3, 3, 3, 0)}, (3, 3, 3, 0)))
        eq([udp(lab, n) for n in (4, 5)], [True, False])
        lab.pf.load("pass\n")
        lab.pf.load(rules.format(1))
        eq(sources(lab), {})
        eq([udp(lab, n) for n in (11, 12)], [True, False])
        lab.pf.ctl("-Fs")
        eq((sources(lab)[A][0], counts(lab, kind="source")[0]), (0, 0))


@EMITTERS
def test_source_translated(emitter):
    """It is who sent the packet, whatever rules have made of that by then."""
    by(emitter)
    rules = ('source limiter a id 1 entries 9 limit 1\nblock out\n'
             'match out inet proto udp nat-to 198.51.100.77\n'
             'pass out inet proto udp to port 53 source limiter a\n')
    with Lab(hosts=2, rules=rules) as lab:
        def out(src, n):
            return go(lab, IP(src=src, dst=GHOST_DST) / UDP(sport=n, dport=53), "ext", "out")
        eq([out(A, 1), out(A, 2), out(B, 3), out(B, 4)], [True, False, True, False])
        eq(sources(lab), {A: (1, 1, 1, 0), B: (1, 1, 1, 0)})
        lab.pf.ctl("-Fs")
        eq(sources(lab), {A: (0, 1, 1, 0), B: (0, 1, 1, 0)})


@timeout(120)
@EMITTERS
def test_source_exact(emitter):
    by(emitter)
    rules = ("set timeout udp.first 3000\nsource limiter a id 1 entries 20 limit 50\n"
             "pass in quick proto udp to port 53 source limiter a\npass in proto udp\n")
    with Lab(hosts=2, rules=rules) as lab:
        eq(at_once(3, lambda k: sum(
            udp(lab, 1000 * k + n + 1, f"192.0.2.{10 + (n % 40 if n % 2 else 0)}")
            for n in range(120))), [120] * 3)
        found = sources(lab)
        eq((len(found), max(s[0] for s in found.values())), (20, 50))
        eq(found["192.0.2.10"][:2], (50, 50))
        made = [n["states"] for _, n in lab.pf.rule_numbers()]
        eq((sum(made), made[0]), (360, sum(s[0] for s in found.values())))
        lab.pf.ctl("-Fs")
        eq(counts(lab, kind="source")[0], 0)
        wait_for("all to go", lambda: not sources(lab), 10)


# --- tables of source limiters ---

TABLE = ('table <busy> persist\n'
         'source limiter a id 1 entries 100 limit 9 table <busy> above 2 below 2\n'
         'block in\npass in proto udp to port 53 source limiter a\n'
         'pass in proto udp to port 54 no state\nblock in quick proto udp from <busy> to port 54\n')
BOTH = cases(("linear, inet", "linear", A), ("linear, inet6", "linear", "2001:db8:1::77"),
             ("tree, inet", "tree", A), ("tree, inet6", "tree", "2001:db8:1::77"))


class Source:
    def __init__(self, lab, addr):
        self.lab, self.addr = lab, addr

    def dst(self, n):
        return ("2001:db8:2::" if ":" in self.addr else "198.51.100.") + str(n)

    def sends(self, *to, dport=53):
        """A state each, to other hosts."""
        for n in to:
            eq(go(self.lab, ip(self.addr, self.dst(n)) / UDP(sport=1, dport=dport) / b"q"), True)

    def ends(self, *to):
        for n in to:
            self.lab.pf.ctl("-k", self.addr, "-k", self.dst(n))

    def held(self):
        """Do packets find it in the table?"""
        return not go(self.lab, ip(self.addr, self.dst(1)) / UDP(sport=1, dport=54) / b"q")

    def shown(self):
        return self.addr in self.lab.pf.ctl("-t", "busy", "-Ts").stdout.split()


@timeout(120)
@BOTH
def test_table(_name, emitter, addr):
    """In with the packet that makes one state more than above, out when there are fewer than
    below."""
    by(emitter)
    with Lab(hosts=2, rules=TABLE) as lab:
        s, other = Source(lab, addr), Source(lab, B)
        other.sends(1, 2)
        contains(lab.pf.ctl("-s", "Limiters").stdout,
                 ", limit 9, table <busy> above 2 below 2 )\n")
        got = json.loads(lab.pf.ctl("--json", "-s", "Limiters").stdout)["limiters"][0]
        eq((got["table"], got["above"], got["below"]), ("busy", 2, 2))
        with Stopped(lab.pf):
            s.sends(1, 2)
            eq(s.held(), False)
            s.sends(3)
            eq((s.held(), other.held()), (True, False), "at once, without pfd")
        wait_for("it to be shown", s.shown, 5)
        s.ends(1)
        time.sleep(0.5)
        eq((s.held(), s.shown()), (True, True), "two are not fewer than two")
        s.ends(2)
        wait_for("it to leave", lambda: not s.held(), 5)
        eq(s.shown(), False)
        s.sends(4)
        eq(s.held(), False, "two are not more than two")
        s.sends(5)
        eq(s.held(), True, "again")
        # another pfd goes on with it, and takes out what left while there was none
        lab.pf.stop(signal.SIGKILL)
        eq(s.held(), True)
        lab.pf.start()
        eq((s.held(), s.shown()), (True, True))
        s.ends(3, 4, 5)
        wait_for("it to leave", lambda: not s.held(), 5)
        eq((s.shown(), other.held()), (False, False))


@EMITTERS
def test_table_by_hand(emitter):
    """As in pf: who is taken out by hand stays out until it has left and risen again; without
    below it stays, even if its source is gone."""
    by(emitter)
    with Lab(hosts=2, rules=TABLE) as lab:
        s = Source(lab, A)
        s.sends(1, 2, 3)
        lab.pf.ctl("-t", "busy", "-Tdelete", A)
        s.sends(4)
        eq((s.held(), s.shown()), (False, False))
        s.ends(1, 2, 3)
        time.sleep(0.5)
        s.sends(5, 6)
        eq(s.held(), True)
        lab.pf.load(TABLE.replace(" below 2", ""))
        s.ends(4, 5, 6)
        time.sleep(0.5)
        eq((s.held(), s.shown()), (True, True))
        lab.pf.ctl("-FSources")
        eq((s.held(), sources(lab)), (True, {}))
        # a ruleset without it
        lab.pf.load("pass\n")
        lab.pf.load(TABLE)
        eq(s.held(), True, "persist")
        s.sends(7, 8)
        lab.pf.ctl("-t", "busy", "-Tflush")
        s.sends(9)
        eq(s.held(), True, "a new source")


def test_table_not_made():
    """States that are not made put nobody in."""
    with Lab(hosts=2, rules=TABLE.replace("limit 9", "limit 9 rate 2/1000")) as lab:
        s = Source(lab, A)
        s.sends(1, 2)
        for n in range(3, 9):
            eq(go(lab, ip(A, s.dst(n)) / UDP(sport=1, dport=53) / b"q"), False)
        eq(s.held(), False)


@timeout(180)
@EMITTERS
def test_table_at_once(emitter):
    """Many rise and fall on several CPUs while pfd looks: in the end the table is right."""
    by(emitter)
    with Lab(hosts=2, rules=TABLE) as lab:
        every = [Source(lab, f"192.0.2.{n}") for n in range(100, 106)]

        def churn(k):
            for turn in range(8):
                for s in every[k::3]:
                    s.sends(*range(10 * k + 1, 10 * k + 5))
                    eq(s.held(), True)
                    s.ends(*range(10 * k + 1, 10 * k + 5))
                    if turn % 2:
                        time.sleep(0.05)
            return 1
        eq(sum(at_once(3, churn)), 3)
        wait_for("all to leave", lambda: not any(s.held() for s in every), 5)
        eq(lab.pf.ctl("-t", "busy", "-Ts").stdout, "")
        for s in every[:3]:
            s.sends(1, 2, 3)
        eq([s.held() for s in every], [True] * 3 + [False] * 3)


# --- networks in tables ---

V4 = {"net": "192.0.2.0/24", "hosts": ("192.0.2.1", "192.0.2.77", "192.0.2.127"),
      "out": ("192.0.2.128", "192.0.2.255"), "in": "192.0.2.200",
      "far": ("192.0.1.255", "192.0.3.0", "198.18.0.1"), "dst": "198.51.100.",
      "own": "!192.0.0.0/16 !192.0.2.128/25 192.0.2.200", "half": "192.0.2.0/25"}
V6 = {"net": "2001:db8:1::/56", "hosts": ("2001:db8:1::1", "2001:db8:1:77::2", "2001:db8:1:7f::"),
      "out": ("2001:db8:1:80::", "2001:db8:1:ff:ffff::"), "in": "2001:db8:1:80::200",
      "far": ("2001:db8:0:ffff::", "2001:db8:1:100::", "2001:db9::1"), "dst": "2001:db8:2::",
      "own": "!2001:db8::/32 !2001:db8:1:80::/57 2001:db8:1:80::200", "half": "2001:db8:1::/57"}
NETS = TABLE.replace("limit 9", "limit 9 inet mask 24 inet6 mask 56")
NET = cases(*[(f"{e}, {v}", e, x) for e in ("linear", "tree")
              for v, x in (("inet", V4), ("inet6", V6))])


class Net:
    """A network of sources; the table's own entries deny half of it, but for one host."""

    def __init__(self, lab, x):
        self.lab, self.x = lab, x

    def sends(self, *to, src=None):
        """A state each, of one host after the other."""
        for i, n in enumerate(to):
            src_ip = src or self.x["hosts"][i % 2]
            eq(go(self.lab, ip(src_ip, self.x["dst"] + str(n)) / UDP(sport=1, dport=53) / b"q"),
               True)

    def ends(self):
        self.lab.pf.ctl("-k", self.x["net"])

    def held(self, addr=None):
        """Do packets find it in the table?"""
        return not go(self.lab, ip(addr or self.x["hosts"][2], self.x["dst"] + "1") /
                      UDP(sport=1, dport=54) / b"q")

    def all_held(self, held, denied=False):
        x = self.x
        eq([self.held(a) for a in x["hosts"]], [held] * 3)
        eq([self.held(a) for a in x["out"]], [held and not denied] * 2)
        eq([self.held(a) for a in x["far"]], [False] * 3)

    def shown(self):
        return self.x["net"] in self.table("show").stdout.split()

    def table(self, *args):
        return self.lab.pf.ctl("-t", "busy", "-T", *args)


@timeout(120)
@NET
def test_table_net(_name, emitter, x):
    """A network goes in and leaves as a host does; the longest prefix decides throughout."""
    by(emitter)
    with Lab(hosts=2, rules=NETS.replace("persist", f"persist {{ {x['own']} }}")) as lab:
        n = Net(lab, x)
        n.sends(1, 2)
        with Stopped(lab.pf):
            n.all_held(False)
            eq(n.held(x["in"]), True)
            n.sends(3)
            n.all_held(True, denied=True)
            eq(n.held(x["in"]), True)
        wait_for("it to be shown", n.shown, 5)
        n.all_held(True, denied=True)
        eq("1/1" in n.table("test", x["hosts"][2]).stderr, True)
        n.ends()
        wait_for("it to leave", lambda: not n.held(), 5)
        eq((n.shown(), n.held(x["in"])), (False, True))
        # without its own entries; another pfd goes on with it
        n.table("replace", x["far"][2])
        n.table("flush")
        n.sends(4, 5, 6)
        n.all_held(True)
        lab.pf.stop(signal.SIGKILL)
        n.all_held(True)
        lab.pf.start()
        n.all_held(True)
        eq(n.shown(), True)
        lab.pf.stop(signal.SIGKILL)
        n.sends(7, src=x["out"][0])
        lab.pf.start()
        n.ends()
        wait_for("it to leave", lambda: not n.held(), 5)
        # killed before it has seen it
        with Stopped(lab.pf):
            n.sends(1, 2, 3)
            n.all_held(True)
        lab.pf.stop(signal.SIGKILL)
        n.all_held(True)
        lab.pf.start()
        eq(n.shown(), True)


@timeout(120)
@NET
def test_table_net_by_hand(_name, emitter, x):
    """Its prefix is an entry as any: with `!' it keeps the network out, or it goes by hand."""
    by(emitter)
    with Lab(hosts=2, rules=NETS) as lab:
        n = Net(lab, x)
        n.table("add", "!" + x["net"])
        n.sends(1, 2, 3)
        n.all_held(False)
        n.ends()
        time.sleep(0.5)
        eq(n.table("show").stdout.split(), ["!" + x["net"]], "it was not put in")
        n.table("replace", x["far"][2])
        n.table("flush")
        n.sends(1, 2, 3)
        with Stopped(lab.pf):
            n.all_held(True)
        # what is asked first after it was added sees it
        for how in (("delete", x["net"]), ("replace", x["hosts"][0]), ("flush",),
                    ("expire", "1")):
            n.ends()
            time.sleep(0.5)
            n.table("flush")
            n.sends(1, 2, 3)
            eq(n.held(), True)
            if how[0] == "expire":
                time.sleep(2.5)
            n.table(*how)
            eq((how, n.held(), n.shown()), (how, False, False))
            n.sends(4)
            eq(n.held(), False)
        n.table("flush")
        n.ends()
        time.sleep(0.5)
        # a half that is denied while the whole waits to be taken in
        n.sends(1, 2, 3)
        n.table("add", "!" + x["half"])
        eq([n.held(x["hosts"][2]), n.held(x["out"][0])], [False, True])
        n.sends(4)
        n.table("delete", "!" + x["half"])
        n.all_held(True)
        # a source that is killed is left there
        lab.pf.ctl("-K", x["hosts"][0])
        eq((n.held(), sources(lab)), (True, {}))


@timeout(120)
@NET
def test_table_nets(_name, emitter, x):
    """Limiters with several masks, and hosts, put sources into one table."""
    by(emitter)
    host = "32" if x is V4 else "128"
    bits = int(x["half"].split("/")[1])
    family = "inet" if x is V4 else "inet6"
    rules = ("table <busy> persist\n" + "".join(
        f"source limiter l{i} id {i + 1} entries 9 limit 9 {family} mask {m} table <busy> "
        f"above 1 below 1\n" for i, m in enumerate((host, bits, bits - 1, 9))) +
        "block in\n" + "".join(f"pass in proto udp to port {101 + i} source limiter l{i}\n"
                               for i in range(4)) +
        "pass in proto udp to port 54 no state\n"
        "block in quick proto udp from <busy> to port 54\n")
    with Lab(hosts=2, rules=rules) as lab:
        n = Net(lab, x)

        def sends(limiter, src):
            for d in (1, 2):
                eq(go(lab, ip(src, x["dst"] + str(d)) / UDP(sport=1, dport=101 + limiter)), True)

        probes = (x["hosts"][0], x["hosts"][1], x["out"][0], x["far"][1])
        want = [False] * 4
        with Stopped(lab.pf):
            for limiter in range(4):
                sends(limiter, x["hosts"][0])
                want[limiter] = True
                eq([n.held(a) for a in probes], want, limiter)
        wait_for("all to be shown", lambda: len(n.table("show").stdout.split()) == 4, 5)
        lab.pf.ctl("-k", x["net"])
        wait_for("all to leave", lambda: not n.table("show").stdout, 5)
        # other masks at once, over again: lengths that are gone make room
        lab.pf.ctl("-FSources")
        for less in range(2, 6):
            other = rules
            for i, m in enumerate((bits, bits - 1, 9)):
                other = other.replace(f"mask {m} table", f"mask {m - less} table")
            lab.pf.load(other)
            with Stopped(lab.pf):
                sends(1, x["hosts"][0])
                eq((n.held(x["out"][0]), n.held(x["far"][2])), (True, False))
            lab.pf.ctl("-k", x["net"])
            wait_for("all to leave", lambda: not n.table("show").stdout, 5)
            lab.pf.ctl("-FSources")
        # the rules in force stay in force
        r = load(lab, "".join(
            f"source limiter l{m} id {m} entries 9 limit 9 inet mask {m}\n"
            f"source limiter k{m} id {m + 20} entries 9 limit 9 inet mask {m} "
            "table <busy> above 1\n" for m in range(1, 6)) + "pass\n")
        contains(r.stderr, "10:55: a table of source limiters with more than 4 different masks")
        sends(1, x["hosts"][0])
        eq(n.held(x["out"][0]), True)


@timeout(180)
@EMITTERS
def test_table_net_at_once(emitter):
    """Networks rise and fall on several CPUs while pfd looks: in the end the table is right."""
    by(emitter)
    with Lab(hosts=2, rules=NETS.replace("limit 9", "limit 99")) as lab:
        def held(k, host):
            return not go(lab, ip(f"10.7.{k}.{host}", "198.51.100.1") / UDP(sport=1, dport=54))

        def churn(k):
            for turn in range(8):
                for host in range(1, 5):
                    eq(go(lab, ip(f"10.7.{k}.{host}", "198.51.100.9") /
                          UDP(sport=1, dport=53)), True)
                eq((held(k, 200), held(k + 100, 200)), (True, False))
                lab.pf.ctl("-k", f"10.7.{k}.0/24")
                if turn % 2:
                    time.sleep(0.05)
            return 1
        eq(sum(at_once(3, churn)), 3)
        wait_for("all to leave", lambda: not any(held(k, 1) for k in range(3)), 5)
        eq(lab.pf.ctl("-t", "busy", "-Ts").stdout, "")
