# SPDX-License-Identifier: BSD-2-Clause
"""The first segment of a connection: what its state costs, and what refusing it costs."""
import os

import policy
from common import QUICK, SLOW_ROUNDS, row, rounds, say, title
from pft import bpf
from pft.lab import Lab
from replay import FRAMES, Replay

RULES = 100
NEW = FRAMES if QUICK else 3 * FRAMES  # states made in one run
SOURCES = 1024
PORT = 9999
MADE_MOST, REFUSED_MOST = 400, 150
FEW = 1000

# what is said: (limit of states, options of the rule, target)
MADE = {
    "keep state": (4 * NEW, "keep state"),
    "max": (4 * NEW, f"keep state (max {2 * NEW})"),
    "max, max-src-states": (4 * NEW, f"keep state (max {2 * NEW}, max-src-states {NEW}, "
                            "source-track rule)"),
}
REFUSED = {
    "set limit states": (FEW, "keep state"),
    "max": (4 * NEW, f"keep state (max {FEW})"),
    "max-src-states": (4 * NEW, "keep state (max-src-states 2, source-track rule)"),
}


def _flows():
    return [policy.Flow(policy.TCP, 0x0a800000 + i % SOURCES, 0xc6130000 + i, PORT)
            for i in range(FRAMES)]


def _load(lab, limit, keep):
    last = policy.Rule("pass", "tcp", port=PORT)
    lab.pf.ctl("-f", "-", input=f"set limit {{ states {limit}, src-nodes 100000 }}\n"
               "set timeout { adaptive.start 0, adaptive.end 0 }\n" +
               "".join(policy.pf_rule(r, keep, "") for r in [*policy.mixed(RULES)[:-1], last]))


class Costs:
    """Of the next packet, net of an empty program, by what the rules say."""

    def __init__(self, lab, again):
        self.lab, self.again = lab, again
        self.empty = bpf.verdict_program(-1)

    def _net(self, n, before=lambda: None):
        prog = self.lab.pf.program("ext", "in")

        def timed():
            before()
            return self.again.run(self.lab, prog, n)

        try:
            got = rounds({"empty": lambda: self.again.run(self.lab, self.empty, n),
                          "pf": timed}, SLOW_ROUNDS)
        finally:
            os.close(prog)
        return got["pf"] - got["empty"]

    def rules(self):
        """Of all but the state."""
        _load(self.lab, FEW, "no state")
        return self._net(NEW)

    def made(self, limit, keep):
        _load(self.lab, limit, keep)
        ns = self._net(NEW, lambda: self.lab.pf.ctl("-F", "states"))
        info = self.lab.pf.info()
        assert info["current entries"] == NEW and not info["state-limit"], info
        return ns

    def refused(self, limit, keep):
        _load(self.lab, limit, keep)
        self.lab.pf.ctl("-F", "info")
        self.again.run(self.lab, self.lab.pf.program("ext", "in"), NEW)
        before = self.lab.pf.info()
        ns = self._net(NEW)
        info = self.lab.pf.info()
        refused = sum(info[c] - before[c] for c in ("state-limit", "src-limit"))
        assert refused == SLOW_ROUNDS * NEW, (before, info)
        return ns


def create_section():
    """a state on the first segment, with limits, and its refusal"""
    title(f"The first segment of a connection, the last of {RULES} rules matches it")
    say("BPF_PROG_TEST_RUN, net of an empty program that is given the same packets:")
    say(f"{NEW} connections of {SOURCES} sources into an empty table, or one that is full")
    with Lab(hosts=2, v6=False) as lab, Replay() as again:
        again.fill(_flows(), 60000)
        costs = Costs(lab, again)
        row("no state: parser, look-up, rules, verdict", f"{costs.rules():.0f} ns")
        for name, how in MADE.items():
            row(f"made: {name}", f"{costs.made(*how):.0f} ns", f"target {MADE_MOST}")
        lab.pf.ctl("-F", "states")
        for name, how in REFUSED.items():
            row(f"refused: {name}", f"{costs.refused(*how):.0f} ns", f"target {REFUSED_MOST}")
            lab.pf.ctl("-F", "states")
        os.close(costs.empty)
