# SPDX-License-Identifier: BSD-2-Clause
"""The program alone, by BPF_PROG_TEST_RUN: what rules and states cost."""
import os
import random
from contextlib import ExitStack

import frames
import policy
from common import REPEAT, ROUNDS, RULES, SIZES, rounds, row, say, table, title
from pft import bpf
from pft.lab import Lab
from replay import FRAMES, Replay

# ns more than with one rule
TARGETS = {10: 20, 100: 40, 1000: 130, 10000: 250, 100000: 900}
RANDOM_TARGETS = {10000: 250}
EMITTERS = ("auto", "linear", "tree")


class Loaded:
    """A pfd for each emitter and one with a single rule, each with its program at ext."""

    def __init__(self, stack):
        self.labs = {e: stack.enter_context(Lab(hosts=2, v6=False, pfd_args=("--emitter", e)))
                     for e in EMITTERS}
        self.one = stack.enter_context(Lab(hosts=2, v6=False, rules=_text(policy.mixed(1))))
        self.empty = bpf.verdict_program(-1)
        stack.callback(os.close, self.empty)

    def load(self, rules):
        """{name: (lab, its program)}; without linear, if that refuses the rules."""
        out = {"empty": (self.one, self.empty), "one": (self.one, self.one.pf.program("ext", "in"))}
        for name, lab in self.labs.items():
            if not lab.pf.ctl("-f", "-", input=_text(rules), check=name != "linear",
                              timeout=300).returncode:
                out[name] = (lab, lab.pf.program("ext", "in"))
        return out

    def close(self, programs):
        for _, fd in programs.values():
            if fd != self.empty:
                os.close(fd)

    def chosen(self):
        """The emitter that pfd chose: the first line says `emitter: NAME, ...'."""
        said = self.labs["auto"].pf.ctl("--dump-program").stdout
        return said.split("\n", 1)[0].split(",")[0].removeprefix("emitter: ")


def _text(rules):
    return "".join(policy.pf_rule(r, how="") for r in rules)


def _one_frame(lab, fd):
    with lab.fw:
        return bpf.test_run(fd, frames.LAST_FRAME, lab.fw.ifindex("ext"), REPEAT)[2]


def _ns(x):
    return None if x is None else f"{x:.0f} ns"


def _sizes_of(kind, loaded, measure, targets):
    """A line of the table for each size: measure(programs) -> {name: ns}."""
    for n in SIZES:
        rules = policy.KINDS[kind](n)
        programs = loaded.load(rules)
        try:
            got, more = measure(rules, programs)
        finally:
            loaded.close(programs)
        net = {k: v - got["one"] for k, v in got.items()}
        yield [f"{kind}, {n}", _ns(got["auto"] - got["empty"]), _ns(net["auto"]), targets.get(n),
               loaded.chosen(), *(_ns(net.get(e)) for e in ("linear", "tree")), *more]


HEAD = ["rules", "all in all", "more than 1 rule", "target", "emitter", "forced linear",
        "forced tree"]


def rules_section():
    """the last of N rules matches, one packet again and again"""
    title("The last of N rules, one packet again and again (BPF_PROG_TEST_RUN)")
    say("all in all: net of an empty program; with parser, a miss in the states, and verdict")
    say("more than 1 rule: what only the other rules cost; forced: the same, by pfd --emitter")

    def measure(_, programs):
        return rounds({k: lambda v=v: _one_frame(*v) for k, v in programs.items()}), ()

    with ExitStack() as stack:
        loaded = Loaded(stack)
        table(HEAD, [line for kind in policy.KINDS
                     for line in _sizes_of(kind, loaded, measure, TARGETS)])


def random_section():
    """packets at random, all different"""
    title(f"Packets at random, {FRAMES} different ones in turn (BPF_PROG_TEST_RUN)")
    say("70 % made for some rule, 20 % with fields of several, 10 % that none names")
    say("as above, but net of an empty program that is given the same packets")
    say("in caches: more than 1 rule, when there are only 256 different packets")
    few = 256

    def measure(rules, programs):
        def turn():
            return rounds({k: lambda v=v: again.run(*v, REPEAT) for k, v in programs.items()})
        again.fill(policy.packets(rules, few))
        warm = turn()
        again.fill(policy.packets(rules, FRAMES))
        return turn(), (_ns(warm["auto"] - warm["one"]),)

    with ExitStack() as stack:
        loaded = Loaded(stack)
        again = stack.enter_context(Replay())
        table([*HEAD, "in caches"], [line for kind in policy.KINDS
                                     for line in _sizes_of(kind, loaded, measure, RANDOM_TARGETS)])


# --- states ---

def _established(lab, empty, n):
    """A TCP connection through the first of n rules: {name: ns} of its next packet."""
    web = policy.Flow(policy.TCP, policy.GHOST, policy.GHOST_DST, 80)
    back = policy.Flow(policy.TCP, policy.GHOST_DST, policy.GHOST, 1234)
    lab.pf.ctl("-Fa")
    lab.pf.ctl("-f", "-", input="pass quick inet proto tcp to any port 80\n" +
               _text(policy.mixed(n)) if n > 1 else "pass quick inet proto tcp to any port 80\n",
               timeout=300)
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


def _many_states(lab, empty):
    """(net of an empty program, how many states there are)"""
    flows = [policy.Flow(policy.UDP, policy.GHOST, 0xc6120000 + i, 9999) for i in range(FRAMES)]
    random.Random(1).shuffle(flows)
    lab.pf.ctl("-Fa")
    lab.pf.load("set limit states 200000\npass\n")
    prog = lab.pf.program("ext", "in")
    try:
        with Replay() as again:
            again.fill(flows)
            again.run(lab, prog, FRAMES)
            got = rounds({"empty": lambda: again.run(lab, empty, REPEAT),
                          "state": lambda: again.run(lab, prog, REPEAT)})
        return got["state"] - got["empty"], lab.pf.info()["current entries"]
    finally:
        os.close(prog)


def states_section():
    """a packet of a connection that has a state, with few and with many rules"""
    title("A packet that has a state (BPF_PROG_TEST_RUN, net of an empty program)")
    empty = bpf.verdict_program(-1)
    try:
        with Lab(hosts=2, v6=False) as lab:
            for n in (1, 100, RULES):
                got = _established(lab, empty, n)
                row(f"established TCP, {n} rule{'s' if n > 1 else ''}",
                    f"{got['state'] - got['empty']:.0f} ns", "target 25" if n > 1 else "")
            ns, many = _many_states(lab, empty)
            row(f"UDP, another one of {many} states each time", f"{ns:.0f} ns")
    finally:
        os.close(empty)
