# SPDX-License-Identifier: BSD-2-Clause
"""The program alone, by BPF_PROG_TEST_RUN: what rules and states cost."""
import os
import statistics
from contextlib import closing

import frames
import policy
from common import REPEAT, RULES, SIZES, SLOW_ROUNDS, rounds, row, say, table, title
from pft import bpf
from pft.lab import Lab
from replay import FRAMES, Replay

# ns more than with one rule
TARGETS = {10: 20, 100: 40, 1000: 130, 10000: 250, 100000: 900}
RANDOM_TARGETS = {10000: 250}
EMITTERS = ("auto", "linear", "tree")


def _text(rules):
    return "".join(policy.pf_rule(r, how="") for r in rules)


class Sweep:
    """Rulesets of all kinds and sizes in one pfd, by each emitter.

    One pfd, because the place that a program gets in memory is worth some nanoseconds:
    what is compared has the same datapath.
    """

    def __init__(self, lab, timed, sizes, fill=lambda rules: None):
        self.lab, self.timed, self.sizes, self.fill = lab, timed, sizes, fill
        self.empty = bpf.verdict_program(-1)
        self.net = {}  # (emitter, kind, n): ns net of an empty program; None: refused
        self.one = {}  # (kind, n): the same, with a single rule and the packets of these
        self.chosen = {}

    def close(self):
        os.close(self.empty)

    def _net(self):
        prog = self.lab.pf.program("ext", "in")
        try:
            got = rounds({"empty": lambda: self.timed(self.lab, self.empty),
                          "rules": lambda: self.timed(self.lab, prog)}, SLOW_ROUNDS)
        finally:
            os.close(prog)
        return got["rules"] - got["empty"]

    def _cost(self, rules, check=True):
        """Over some loads, as where the maps come to be decides how caches hold them.  None:
        the rules were refused."""
        got = []
        for _ in range(SLOW_ROUNDS):
            if self.lab.pf.ctl("-f", "-", input=_text(rules), check=check, timeout=300).returncode:
                return None
            got.append(self._net())
        return statistics.median(got)

    def run(self, emitter):
        self.lab.pf.args = ["--emitter", emitter]
        self.lab.pf.restart()
        for kind, make in policy.KINDS.items():
            for n in self.sizes:
                rules = make(n)
                self.fill(rules)
                if emitter == "auto":
                    self.one[kind, n] = self._cost(make(1))
                # linear refuses many rules
                self.net[emitter, kind, n] = self._cost(rules, check=emitter != "linear")
                if emitter == "auto":
                    # `emitter: NAME, ...'
                    said = self.lab.pf.ctl("--dump-program").stdout
                    self.chosen[kind, n] = said.split(",")[0].removeprefix("emitter: ")

    def more(self, emitter, kind, n):
        net = self.net[emitter, kind, n]
        return None if net is None else f"{net - self.one[kind, n]:.0f} ns"

    def line(self, kind, n, target):
        return [f"{kind}, {n}", f"{self.net['auto', kind, n]:.0f} ns",
                self.more("auto", kind, n), target, self.chosen[kind, n],
                self.more("linear", kind, n), self.more("tree", kind, n)]


HEAD = ["rules", "all in all", "more than 1 rule", "target", "emitter", "forced linear",
        "forced tree"]


def _one_frame(lab, prog):
    with lab.fw:
        return bpf.test_run(prog, frames.LAST_FRAME, lab.fw.ifindex("ext"), REPEAT)[2]


def rules_section():
    """the last of N rules matches, one packet again and again"""
    title("The last of N rules, one packet again and again (BPF_PROG_TEST_RUN)")
    say("all in all: net of an empty program; with parser, a miss in the states, and verdict")
    say("more than 1 rule: what only the other rules cost; forced: the same, by pfd --emitter")
    with Lab(hosts=2, v6=False) as lab, closing(Sweep(lab, _one_frame, SIZES)) as sweep:
        for emitter in EMITTERS:
            sweep.run(emitter)
        table(HEAD, [sweep.line(kind, n, TARGETS.get(n)) for kind in policy.KINDS for n in SIZES])


def random_section():
    """packets at random, all different"""
    few, sizes = 256, SIZES[1:]
    title(f"Packets at random, {FRAMES} different ones in turn (BPF_PROG_TEST_RUN)")
    say("70 % made for some rule, 20 % with fields of several, 10 % that none names")
    say("as above, but net of an empty program that is given the same packets")
    say(f"in caches: more than 1 rule, when there are only {few} different packets")
    with Lab(hosts=2, v6=False) as lab, Replay() as again:
        def timed(lab, prog):
            return again.run(lab, prog, REPEAT)

        def filled(n):
            return lambda rules: again.fill(policy.packets(rules, n))

        with closing(Sweep(lab, timed, sizes, filled(FRAMES))) as sweep:
            for emitter in EMITTERS:
                sweep.run(emitter)
        with closing(Sweep(lab, timed, sizes, filled(few))) as warm:
            warm.run("auto")
    table([*HEAD, "in caches"],
          [[*sweep.line(kind, n, RANDOM_TARGETS.get(n)), warm.more("auto", kind, n)]
           for kind in policy.KINDS for n in sizes])


# --- states ---

def _established(lab, empty, n):
    """A TCP connection through the first of n rules: {name: ns} of its next packet."""
    web = policy.Flow(policy.TCP, policy.GHOST, policy.GHOST_DST, 80)
    back = policy.Flow(policy.TCP, policy.GHOST_DST, policy.GHOST, 1234)
    lab.pf.ctl("-Fa")
    lab.pf.ctl("-f", "-", timeout=300, input="pass quick inet proto tcp to any port 80\n" +
               _text(policy.mixed(n)[1:]))
    lab.pf.run("ext", "in", frames.frame(web))
    lab.pf.run("ext", "out", frames.frame(back, sport=80, flags=0x12, seq=5000, ack=1001))
    ack = frames.frame(web, flags=0x10, seq=1001, ack=5001)
    lab.pf.run("ext", "in", ack)
    lab.pf.state("ESTABLISHED:ESTABLISHED")
    prog = lab.pf.program("ext", "in")
    try:
        with lab.fw:
            index = lab.fw.ifindex("ext")
            return rounds({"empty": lambda: bpf.test_run(empty, ack, index, REPEAT)[2],
                           "state": lambda: bpf.test_run(prog, ack, index, REPEAT)[2]})
    finally:
        os.close(prog)


def states_section():
    """a packet of a connection that has a state, with few and with many rules"""
    title("A packet that has a state (BPF_PROG_TEST_RUN, net of an empty program)")
    empty = bpf.verdict_program(-1)
    try:
        with Lab(hosts=2, v6=False) as lab:
            for n in sorted({1, 100, RULES}):
                got = _established(lab, empty, n)
                row(f"established TCP, {n} rule{'s' if n > 1 else ''}",
                    f"{got['state'] - got['empty']:.0f} ns", "target 25" if n > 1 else "")
    finally:
        os.close(empty)
