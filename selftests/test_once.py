# SPDX-License-Identifier: BSD-2-Clause
"""Rules that remember the packets that they have met: `once' and `max-pkt-rate'."""
import json
import os
import signal
import time

from pft import bpf
from pft.check import cases, contains, eq, timeout
from pft.inject import at_once, go, ip
from pft.lab import DST, FW_SRC, GHOST, GHOST6, GHOST6_DST, GHOST_DST, MAC, Lab
from scapy.layers.inet import ICMP, IP, UDP, IPOption_RR
from scapy.layers.l2 import Ether
from scapy.packet import raw

DROP = 2
EMITTERS = cases(("linear", "linear"), ("tree", "tree"))


class Sent:
    """Packets into the program at the outer interface, without the kernel around it."""

    def __init__(self, lab):
        self.lab = lab
        self.program = lab.pf.program("ext", "in")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        os.close(self.program)

    def passes(self, dport, sport=1000):
        frame = raw(Ether(dst=MAC["ext"], src="02:00:00:00:00:99") / IP(src=GHOST, dst=GHOST_DST) /
                    UDP(sport=sport, dport=dport))
        with self.lab.fw:
            return bpf.test_run(self.program, frame, self.lab.fw.ifindex("ext"))[0] != DROP


def emitted(emitter, rules, **kw):
    return Lab(hosts=2, v6=False, pfd_args=("--emitter", emitter), rules=rules, **kw)


# --- once ---

@EMITTERS
def test_connection_goes_on(_name, emitter):
    """The first packet uses the rule up; the connection goes on by its state."""
    with Lab(pfd_args=("--emitter", emitter),
             rules="block\npass out\npass in proto tcp to port 80 once\n") as lab:
        with lab.dst.listen(80):
            eq([lab.src.can_connect(DST, 80, 0.4) for _ in range(3)], ["yes", "timeout", "timeout"])
            lab.pf.ctl("-F", "states")
            eq(lab.src.can_connect(DST, 80, 0.4), "timeout")
            lab.pf.load("block\npass out\npass in proto tcp to port 80 once\n")
            eq(lab.src.can_connect(DST, 80), "yes")


@EMITTERS
def test_expired_is_not_there(_name, emitter):
    """It is not evaluated, nor does its tag stick; what it hides comes to light."""
    rules = ("block\n"
             "pass in proto udp to port 7 tag A no state once\n"
             "pass in proto udp to port 8 no state once\n"
             "block in quick proto udp to port 9 once\n"
             "pass in proto udp to port { 9 10 } no state\n"
             "block in proto udp to port 10 tagged A\n")
    with emitted(emitter, rules) as lab, Sent(lab) as s:
        eq([s.passes(7) for _ in range(3)], [True, False, False])
        eq([s.passes(9) for _ in range(3)], [False, True, True])
        eq([s.passes(8), s.passes(10), s.passes(8)], [True, True, False])
        numbers = {t: n for t, n in lab.pf.rule_numbers()}
        seven = next(n for t, n in numbers.items() if "port = 7" in t)
        eq((seven["packets"], seven["evaluations"] <= 1 + 8), (1, True))
        if emitter == "linear":
            eq(seven["evaluations"], 1)


@EMITTERS
def test_overruled(_name, emitter):
    """As pf, it expires when it matches, whatever decides in the end."""
    with emitted(emitter, "block\npass in proto udp to port 7 no state once\n"
                 "block in proto udp from any port 1\n") as lab, Sent(lab) as s:
        eq([s.passes(7, 1), s.passes(7, 2)], [False, False])


@timeout(120)
@EMITTERS
def test_shown_and_kept(_name, emitter):
    """-sr hides it, -vv does not; another pfd knows; a load brings it back, but not of another
    ruleset."""
    main = "block\nanchor \"a\"\npass in proto udp to port 7 no state once\n"
    inner = "pass in proto udp to port 8 no state once\n"
    with emitted(emitter, main) as lab, Sent(lab) as s:
        lab.pf.load(inner, "-a", "a")
        text = "pass in proto udp from any to any port = 7 no state once"
        eq(lab.pf.rules(), ["block drop all", 'anchor "a" all', text])
        eq([s.passes(p) for p in (7, 8)], [True, True])

        def check():
            eq([s.passes(p) for p in (7, 8)], [False, False])
            eq(lab.pf.rules(), ["block drop all", 'anchor "a" all'])
            eq(lab.pf.ctl("-v", "-sr").stdout.count("Evaluations"), 2)
            eq(lab.pf.ctl("-a", "a", "-sr").stdout, "")
            contains(lab.pf.ctl("-vv", "-sr").stdout, text)
            eq([r["expired"] for r in json.loads(lab.pf.ctl("--json", "-sr").stdout)["rules"]],
               [False, False, True])
        check()
        lab.pf.stop(signal.SIGKILL)
        lab.pf.start()
        check()
        # the main ruleset alone
        for head in ("", "set keepcounters\n"):
            lab.pf.load(head + main)
            eq([s.passes(p) for p in (7, 8, 7)], [True, False, False])
        lab.pf.load(inner, "-a", "a")
        eq([s.passes(p) for p in (7, 8, 8)], [False, True, False])


@timeout(180)
@EMITTERS
def test_one_wins(_name, emitter):
    """On several CPUs at once, each rule matches one packet."""
    n = 40
    rules = "block\n" + "pass in quick proto udp to port 7 no state once\n" * n
    with emitted(emitter, rules) as lab, Sent(lab) as s:
        won = at_once(4, lambda _: sum(s.passes(7) for _ in range(n)))
        eq(sum(won), n, won)
        eq([x["packets"] for t, x in lab.pf.rule_numbers() if "once" in t], [1] * n)


# --- max-pkt-rate ---

@timeout(120)
@EMITTERS
def test_rate(_name, emitter):
    """So many, then none, until what was counted has faded."""
    with emitted(emitter, "block\npass in proto udp to port 7 no state max-pkt-rate 3/1000\n"
                 "pass in proto udp to port 8 no state max-pkt-rate 2/1\n"
                 "pass in proto udp from any port 5 to port 9 no state max-pkt-rate 1/1000\n"
                 ) as lab, Sent(lab) as s:
        # what does not come as far is not counted
        eq([s.passes(9, 6) for _ in range(3)] + [s.passes(9, 5), s.passes(9, 5)],
           [False] * 3 + [True, False])
        eq([s.passes(7) for _ in range(6)], [True] * 3 + [False] * 3)
        eq([s.passes(8) for _ in range(4)], [True, True, False, False])
        time.sleep(1.3)
        eq([s.passes(8), s.passes(7)], [True, False])
        # another pfd goes on with it; a load begins anew
        lab.pf.stop(signal.SIGKILL)
        lab.pf.start()
        eq(s.passes(7), False)
        lab.pf.load("block\npass in proto udp to port 7 no state max-pkt-rate 3/1000\n")
        eq([s.passes(7) for _ in range(4)], [True] * 3 + [False])


@EMITTERS
def test_rate_of_pings(_name, emitter):
    with emitted(emitter, "block\npass out\npass in proto icmp no state max-pkt-rate 4/1000\n"
                 "pass out proto icmp no state\n") as lab:
        eq([lab.src.ping(FW_SRC, 0.2) for _ in range(6)], [True] * 4 + [False] * 2)


def flow(lab, sport, way="in", v6=False):
    """Does a packet of that connection pass?"""
    a, b = (GHOST6, GHOST6_DST) if v6 else (GHOST, GHOST_DST)
    if way == "in":
        return go(lab, ip(a, b) / UDP(sport=sport, dport=7) / b"q")
    return go(lab, ip(b, a) / UDP(sport=7, dport=sport) / b"a", way="out")


RATED = "block\npass in proto udp to port 7 max-pkt-rate 8/1000\n"


@cases(("linear, inet", "linear", False), ("linear, inet6", "linear", True),
       ("tree, inet", "tree", False), ("tree, inet6", "tree", True))
def test_rate_of_states(_name, emitter, v6):
    """Packets of the rule's states count in their first direction, on each path; beyond the rate
    the rules judge them, of which that one does not match."""
    with Lab(hosts=2, v6=v6, pfd_args=("--emitter", emitter), rules=RATED) as lab:
        eq([flow(lab, 1, v6=v6)] + [flow(lab, 1, "out", v6) for _ in range(20)], [True] * 21)
        # established now: what would take the fast path
        eq([flow(lab, 1, v6=v6) for _ in range(4)], [True] * 4)
        eq([flow(lab, n, v6=v6) for n in range(2, 7)], [True] * 3 + [False] * 2)
        eq([flow(lab, n, v6=v6) for n in (1, 2, 1)], [False] * 3, "they have states")
        eq([flow(lab, n, "out", v6) for n in (1, 2, 1)], [True] * 3, "replies are not counted")
        eq(flow(lab, 9, v6=v6), False)
        # what comes from the other side is a rule's again
        eq(flow(lab, 10, "out", v6), False)


@EMITTERS
def test_rate_and_other_rules(_name, emitter):
    """What is too much for the state's rule may be let pass by another one, but it has its state."""
    rules = ("block\npass in proto udp to port 7 {}\n"
             "pass in quick proto udp to port 7 max-pkt-rate 2/1000\n")
    with emitted(emitter, rules.format("no state")) as lab:
        eq([flow(lab, 1) for _ in range(4)], [True] * 4)
        eq([n["packets"] for _, n in lab.pf.rule_numbers()], [0, 2, 2])
        before = lab.pf.info()["state-insert"]
        lab.pf.load(rules.format("keep state"))
        eq([flow(lab, 2) for _ in range(4)], [True] * 2 + [False] * 2)
        eq(lab.pf.info()["state-insert"] - before, 2)
        eq(flow(lab, 3), True, "by the other rule")
        eq(flow(lab, 3), True, "which has no rate")


@EMITTERS
def test_rate_of_errors_and_bad_ones(_name, emitter):
    """So do errors about answers, and what the state does not let pass."""
    with emitted(emitter, "block\npass in proto udp to port 7 max-pkt-rate 4/1000\n") as lab:
        error = IP(src=GHOST, dst=GHOST_DST) / ICMP(type=3, code=3)
        quoted = IP(src=GHOST_DST, dst=GHOST) / UDP(sport=7, dport=1) / b"aaaaaaaa"
        bad = IP(src=GHOST, dst=GHOST_DST, options=[IPOption_RR(routers=["0.0.0.0"])])
        eq([flow(lab, 1), go(lab, error / quoted), go(lab, bad / UDP(sport=1, dport=7))],
           [True, True, False])
        eq([flow(lab, n) for n in (2, 3)], [True, False])


@timeout(120)
@EMITTERS
def test_rate_and_reload(_name, emitter):
    """States of a rule that is gone count for none, those of one that goes on do; also for
    another pfd and in a larger table."""
    with emitted(emitter, RATED) as lab:
        eq([flow(lab, 1) for _ in range(3)], [True] * 3)
        lab.pf.stop(signal.SIGKILL)
        lab.pf.start()
        eq(flow(lab, 1), True)
        lab.pf.load("set keepcounters\nset limit states 150000\n" + RATED)
        eq(flow(lab, 1), True)
        eq([flow(lab, n) for n in range(2, 7)], [True] * 3 + [False] * 2, "three were left")
        lab.pf.load(RATED)
        eq([flow(lab, n % 4 + 1) for n in range(12)], [True] * 12, "of the rule of before")
        eq([flow(lab, n) for n in range(11, 21)], [True] * 8 + [False] * 2)
        lab.pf.load(RATED.replace(" max-pkt-rate 8/1000", ""))
        eq([flow(lab, n % 10 + 11) for n in range(20)], [True] * 20)


@timeout(180)
@EMITTERS
def test_rate_of_states_at_once(_name, emitter):
    """Exact on several CPUs: none is counted twice or lost."""
    rules = "block\npass in proto udp to port 7 max-pkt-rate 100/100000\n"
    with emitted(emitter, rules) as lab:
        eq([flow(lab, n) for n in (1, 2)], [True] * 2)
        eq(sum(at_once(2, lambda k: sum(flow(lab, k + 1) for _ in range(40)))), 80)
        eq([flow(lab, n) for n in range(10, 30)], [True] * 18 + [False] * 2)


@EMITTERS
def test_rate_of_a_connection(_name, emitter):
    """TCP through the kernel: connections beyond the rate do not come about."""
    with Lab(pfd_args=("--emitter", emitter),
             rules="block\npass out\npass in proto tcp to port 80 max-pkt-rate 9/1000\n") as lab:
        with lab.dst.listen(80):
            tries = [lab.src.can_connect(DST, 80, 0.4) for _ in range(5)]
            eq((tries[0], tries[-1]), ("yes", "timeout"))


def test_refused():
    with Lab(hosts=2, v6=False, rules="block\n") as lab:
        r = lab.pf.ctl("-f", "-", input="match max-pkt-rate 4294968/1\n", check=False)
        eq(r.returncode, 1)
        contains(r.stderr, "stdin:1:7: max-pkt-rate counts 4294967 packets at the most")
