# SPDX-License-Identifier: BSD-2-Clause
"""From command to effect: whole rulesets, and one anchor beside many rules."""
import frames
import policy
from common import (RULES, SIZES, SLOW_ROUNDS, median_ms, ms, number, ratio, rounds, say, table,
                    title)
from peers import Optimized, Pf
from pft.lab import Lab

TARGETS = {1000: 150, 10000: 400, 100000: 2500}
ANCHOR_MOST = 50
PASS = -1


def passes(lab, flow):
    return lab.pf.run("ext", "in", frames.frame(flow))[0] == PASS


# --- time ---

def _reload(lab, peer, text):
    return lambda: ms(peer.load, lab, text)


def load_section(peers):
    """a ruleset, from command to effect, beside the peers"""
    title("Loading rules in place of as many others, from command to effect (mixed, ms)")
    firewalls = [Optimized(), Pf(), *peers.values()]
    lines = []
    for n in SIZES:
        if n < 100:
            continue
        rules = policy.mixed(n)
        with Lab(v6=False) as lab:
            subjects = {}
            for f in firewalls:
                text = f.text(rules)
                f.load(lab, text)
                if isinstance(f, Pf):
                    assert passes(lab, policy.LAST) and not passes(lab, policy.NONE), n
                subjects[f.name] = _reload(lab, f, text)
            got = rounds(subjects, SLOW_ROUNDS)
            for f in firewalls:
                f.stop(lab)
        lines.append([n, number(got["pf-basic"]), TARGETS.get(n)] +
                     [number(got[f.name]) for f in firewalls[1:]] +
                     [ratio(got["pf-basic"], got[p]) for p in peers])
    say("pf: as usual, with the optimiser; pf -o none: the rules as they are written")
    table(["rules", "pf", "target", "pf -o none", *peers, *(f"pf / {p}" for p in peers)], lines)


# --- one anchor ---

WEB = policy.Flow(policy.TCP, policy.GHOST, policy.GHOST_DST, 80)


def _changes(lab, peer):
    def change(i):
        peer.change(lab, policy.Rule(("pass", "block")[i % 2], "tcp", port=80))
    change(1)
    if isinstance(peer, Pf):
        for i in (0, 1):
            change(i)
            assert passes(lab, WEB) == (i == 0), "the anchor's rule is not in force"
    return lambda: median_ms(change, 4)


def anchor_section(peers):
    """one rule of an anchor or chain, beside many other rules"""
    title("Another rule in an anchor or chain of its own, from command to effect (ms)")
    firewalls = [Pf(), *peers.values()]
    lines = []
    for n in sorted({1000, RULES}):
        rules = policy.mixed(n)
        with Lab(v6=False) as lab:
            subjects = {}
            for f in firewalls:
                f.load(lab, f.text(rules, anchor=True))
                subjects[f.name] = _changes(lab, f)
            got = rounds(subjects, SLOW_ROUNDS)
        lines.append([n, number(got["pf"]), ANCHOR_MOST] + [number(got[p]) for p in peers] +
                     [ratio(got["pf"], got[p]) for p in peers])
    table(["beside rules", "pf", "target", *peers, *(f"pf / {p}" for p in peers)], lines)
