# SPDX-License-Identifier: BSD-2-Clause
"""pfctl-linux -k, -F states and -ss with -i, -M and -R: which states are meant."""
import json
import re

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6

from pft import bpf
from pft.check import cases, eq
from pft.lab import DST, FW_DST, FW_SRC, GHOST, GHOST6, GHOST6_DST, GHOST_DST, SRC, Lab
from pft.pfctl import run


def udp(src, dst, sport, dport):
    return (IPv6 if ":" in src else IP)(src=src, dst=dst) / UDP(sport=sport, dport=dport)


class Through:
    """Datagrams from src, which fw forwards to dst: two states each, where nothing translates."""

    def __init__(self, lab):
        self.lab, self.wire, self.far = lab, lab.wire("src"), lab.wire("dst")

    def send(self, *flow):
        self.wire.send(udp(*flow))
        got = self.far.receive(lambda p: p.haslayer("UDP") and p["UDP"].dport == flow[3])
        assert got, f"{flow} did not come through"
        return got


def states(lab, *args):
    """[(arrow, the whole text)], sorted; IPv6's own traffic left out."""
    lines = [s for s in lab.pf.states(*args) if " udp " in s]
    return sorted(re.match(r"all udp (.*?)  ", s)[1] for s in lines)


BOTH = [f"{GHOST_DST}:53 <- {GHOST}:1", f"{GHOST}:1 -> {GHOST_DST}:53"]
OTHER = [f"{GHOST_DST}:53 <- {GHOST}:2", f"{GHOST}:2 -> {GHOST_DST}:53"]
SIX = [f"{GHOST6_DST}[53] <- {GHOST6}[1]", f"{GHOST6}[1] -> {GHOST6_DST}[53]"]
INS, OUTS = [BOTH[0], OTHER[0], SIX[0]], [BOTH[1], OTHER[1], SIX[1]]
ALL = sorted(BOTH + OTHER + SIX)

FORWARDED = [
    # arguments, which of them end
    (["-k", "key", "-k", f"udp {BOTH[0]}"], BOTH),
    (["-k", "key", "-k", f"udp {BOTH[1]}"], BOTH),
    (["-k", "key", "-k", f" 17\t {BOTH[1]} "], BOTH),
    (["-k", "key", "-k", f"udp {SIX[0]}"], SIX),
    (["-k", "key", "-k", f"tcp {BOTH[0]}"], []),
    (["-k", "key", "-k", f"udp {GHOST}:1 <- {GHOST_DST}:53"], []),
    (["-k", "key", "-k", f"udp {GHOST}:3 -> {GHOST_DST}:53"], []),
    (["-k", "key", "-k", f"udp {GHOST}:1 -> {GHOST_DST}:54"], []),
    (["-k", "key", "-k", f"udp {GHOST} -> {GHOST_DST}"], []),
    (["-k", "key", "-k", f"udp {BOTH[0]}", "-i", "ext"], [BOTH[0]]),
    (["-k", "key", "-k", f"udp {BOTH[0]}", "-i", "int"], [BOTH[1]]),
    (["-k", GHOST, "-i", "ext"], [BOTH[0], OTHER[0]]),
    (["-k", GHOST, "-i", "int"], [BOTH[1], OTHER[1]]),
    (["-k", GHOST, "-i", "all"], BOTH + OTHER),
    (["-k", GHOST, "-i", "lo"], []),
    (["-k", GHOST, "-i", "nosuch0"], []),
    (["-k", GHOST, "-k", "::/0"], []),
    (["-k", "0/0", "-k", GHOST_DST], BOTH + OTHER),
    (["-k", "0/0"], BOTH + OTHER),
    (["-k", "nat", "-k", GHOST], BOTH + OTHER),
    (["-k", "nat", "-k", GHOST_DST], []),
    (["-M", "-k", GHOST, "-i", "ext"], BOTH + OTHER),
    (["-M", "-k", GHOST, "-i", "int"], BOTH + OTHER),
    (["-M", "-k", GHOST6, "-i", "int"], SIX),
    (["-M", "-k", "key", "-k", f"udp {BOTH[0]}", "-i", "int"], BOTH),
    (["-M", "-k", GHOST, "-i", "lo"], []),
    # none has a gateway: theirs is 0.0.0.0 or ::
    (["-k", "gateway", "-k", GHOST], []),
    (["-k", "gateway", "-k", "192.0.2.0/24"], []),
    (["-k", "gateway", "-k", "::1"], []),
    (["-k", "gateway", "-k", "0.0.0.0"], BOTH + OTHER),
    (["-k", "gateway", "-k", "::"], SIX),
    (["-k", "label", "-k", "in"], INS[:2]),
    (["-k", "label", "-k", "rest"], SIX + OUTS[:2]),
    (["-k", "label", "-k", "rest", "-i", "ext"], SIX[:1]),
    (["-k", "label", "-k", "i"], []),
    (["-k", "label", "-k", "in", "-i", "int"], []),
    (["-M", "-k", "label", "-k", "in"], BOTH + OTHER),
    (["-M", "-k", "label", "-k", "rest"], ALL),
    (["-k", "label", "-k", "unused"], []),
]


def message(args, n):
    """What is said of n states."""
    hosts = [b for a, b in zip(args, args[1:]) if a == "-k" and b != "nat"]
    if hosts[0] in ("key", "label", "gateway", "id"):
        return f"killed {n} states\n"
    # what is of another family than all sources meets none
    met = len(hosts) > 1 and (":" in hosts[0]) == (":" in hosts[1])
    return f"killed {n} states from 1 sources and {int(met)} destinations\n"


def test_kill_forwarded():
    """All forms of -k, on connections that have a state at each of two interfaces."""
    rules = ('block\npass in on ext inet proto udp label "in"\n'
             'pass in on ext inet6 proto udp label "rest"\n'
             'pass out on int proto udp label "rest"\npass proto icmp label unused\n')
    with Lab(rules=rules) as lab:
        through = Through(lab)
        for args, gone in FORWARDED:
            lab.pf.ctl("-F", "states")
            through.send(GHOST, GHOST_DST, 1, 53)
            through.send(GHOST, GHOST_DST, 2, 53)
            through.send(GHOST6, GHOST6_DST, 1, 53)
            eq(states(lab), ALL)
            run(lab, *args, err=message(args, len(gone)))
            eq(states(lab), [s for s in ALL if s not in gone], " ".join(args))


def test_kill_by_id():
    """The id that -vv shows; all are ours, whose creator is 0."""
    with Lab(rules="pass\n", v6=False) as lab:
        through = Through(lab)
        through.send(GHOST, GHOST_DST, 1, 53)
        through.send(GHOST, GHOST_DST, 2, 53)
        ids = {}
        for line in lab.pf.states("-vv"):
            m = re.match(r"all udp (.*?)  ", line)
            shown = m[1] if m else shown
            m = re.match(r"   id: (\w{16}) creatorid: 00000000$", line)
            if m:
                ids[shown] = m[1]
        eq(sorted(ids), sorted(BOTH + OTHER))
        eq(len(set(ids.values())), 4)
        none = "killed 0 states\n"
        run(lab, "-k", "id", "-k", "ffffffffffffffff", err=none)
        run(lab, "-k", "id", "-k", ids[BOTH[0]] + "/2", err=none)
        eq(len(states(lab)), 4)
        run(lab, "-k", "id", "-k", ids[BOTH[0]], err="killed 1 states\n")
        eq(states(lab), sorted(OTHER + BOTH[1:]))
        run(lab, "-k", "id", "-k", ids[BOTH[0]], err=none)
        run(lab, "-k", "id", "-k", ids[OTHER[0]].upper().lstrip("0") + "/0", "-M",
            err="killed 2 states\n")
        eq(states(lab), BOTH[1:])
        run(lab, "-nk", "id", "-k", ids[BOTH[1]])
        eq(states(lab), BOTH[1:])


def test_flush_by_interface():
    with Lab(rules="pass\n") as lab:
        through = Through(lab)
        for args, left in ((["-i", "ext"], OUTS), (["-i", "int"], INS), (["-i", "all"], []),
                           (["-i", "lo"], ALL), (["-M", "-i", "ext"], [])):
            lab.pf.ctl("-F", "states")
            through.send(GHOST, GHOST_DST, 1, 53)
            through.send(GHOST, GHOST_DST, 2, 53)
            through.send(GHOST6, GHOST6_DST, 1, 53)
            run(lab, "-F", "states", *args, err=f"{6 - len(left)} states cleared\n")
            eq(states(lab), sorted(left), " ".join(args))


NAT = f"match out on int proto udp to port {{ 53 54 }} nat-to {FW_DST} port 5000\n"
RDR = f"match in on ext proto udp to port 53 rdr-to {GHOST_DST} port 54\n"


# What is asked for, and the two states that it makes: what -ss shows, and what -k key takes.
@cases(("nat-to", NAT, GHOST_DST,
        (f"{GHOST_DST}:53 <- {GHOST}:1", f"{GHOST_DST}:53 <- {GHOST}:1"),
        (f"{FW_DST}:5000 ({GHOST}:1) -> {GHOST_DST}:53", f"{GHOST}:1 -> {GHOST_DST}:53")),
       ("rdr-to", RDR, "203.0.113.9",
        (f"{GHOST_DST}:54 (203.0.113.9:53) <- {GHOST}:1", f"203.0.113.9:53 <- {GHOST}:1"),
        (f"{GHOST}:1 -> {GHOST_DST}:54", f"{GHOST}:1 -> {GHOST_DST}:54")),
       ("both", RDR + NAT, "203.0.113.9",
        (f"{GHOST_DST}:54 (203.0.113.9:53) <- {GHOST}:1", f"203.0.113.9:53 <- {GHOST}:1"),
        (f"{FW_DST}:5000 ({GHOST}:1) -> {GHOST_DST}:54", f"{GHOST}:1 -> {GHOST_DST}:54")))
def test_matching_of_translated(name, rules, dst, came, went):
    """-M finds the other state of a connection that is translated, from either of them."""
    with Lab(rules=rules + "pass\n", v6=False) as lab:
        through = Through(lab)
        bystanders = sorted([f"{GHOST_DST}:99 <- {GHOST}:1", f"{GHOST}:1 -> {GHOST_DST}:99"])
        # with nat-to alone both states were made by a packet with the same addresses
        same = name == "nat-to"

        def fill():
            lab.pf.ctl("-F", "states")
            through.wire.send(udp(GHOST, dst, 1, 53))
            assert through.far.receive(lambda p: p.haslayer("UDP")), "it did not come through"
            through.send(GHOST, GHOST_DST, 1, 99)
            eq(states(lab), sorted([*bystanders, came[0], went[0]]))

        for key, left in ((came[1], [went[0]]), (went[1], [came[0]])):
            fill()
            run(lab, "-k", "key", "-k", f"udp {key}", err=f"killed {1 + same} states\n")
            eq(states(lab), sorted(bystanders + ([] if same else left)))
            fill()
            run(lab, "-M", "-k", "key", "-k", f"udp {key}", err="killed 2 states\n")
            eq(states(lab), bystanders)
        for dev in ("ext", "int"):
            fill()
            run(lab, "-M", "-k", GHOST, "-i", dev,
                err="killed 4 states from 1 sources and 0 destinations\n")
            eq(states(lab), [])


def test_labels_of_rules_that_are_gone():
    """A state keeps the labels of the rule that made it, over loads and a restart."""
    old = ('pass in on ext proto udp to port 53 label "old"\n'
           'pass in on ext proto udp to port 54 label "other"\npass out\n')
    with Lab(rules=old, v6=False) as lab:
        through = Through(lab)
        through.send(GHOST, GHOST_DST, 1, 53)
        through.send(GHOST, GHOST_DST, 1, 54)
        lab.pf.load('pass in on ext proto udp to port 53 label "new"\npass out\n')
        through.send(GHOST, GHOST_DST, 2, 53)
        everything = sorted(f"{GHOST_DST}:{d} <- {GHOST}:{s}" for s, d in
                            ((1, 53), (1, 54), (2, 53)))

        def came():
            return [s for s in states(lab) if "<-" in s]
        eq(came(), everything)
        lab.pf.restart()
        for _ in range(3):
            lab.pf.load('pass in on ext proto udp to port 53 label "new"\npass out\n')
        run(lab, "-k", "label", "-k", "none", err="killed 0 states\n")
        eq(kept(lab), ["new", "old", "other"])
        run(lab, "-k", "label", "-k", "old", err="killed 1 states\n")
        eq(came(), everything[1:])
        run(lab, "-k", "label", "-k", "old", err="killed 0 states\n")
        run(lab, "-k", "label", "-k", "new", err="killed 1 states\n")
        run(lab, "-k", "label", "-k", "other", err="killed 1 states\n")
        eq(came(), [])
        # what has no states any more is forgotten with the next load
        lab.pf.load("pass\n")
        labels = lab.pf.ctl("-k", "label", "-k", "old")
        eq(labels.stderr, "killed 0 states\n")
        eq(kept(lab), [])


def kept(lab):
    """Labels that pfd has kept of rules that are gone."""
    labels = bpf.Map(f"{lab.pf.pin}/maps/pf_labels")
    return sorted(name.decode() for key in labels.keys()
                  for name in labels.get(key).split(b"\0") if name)


def test_several_labels():
    """Each of them means the rule, while it is in force and after; by each it is counted."""
    two = 'pass in on ext proto udp to port 53 label "one" label "two" label "one"\n'
    rules = two + 'pass in on ext proto udp to port 54 label "two"\npass out\n'
    with Lab(rules=rules, v6=False) as lab:
        through = Through(lab)

        def came():
            return sorted(s.split()[0] for s in states(lab) if "<-" in s)

        def fill():
            through.send(GHOST, GHOST_DST, 1, 53)
            through.send(GHOST, GHOST_DST, 1, 54)
            eq(came(), [f"{GHOST_DST}:53", f"{GHOST_DST}:54"])

        fill()
        eq(lab.pf.ctl("-sr").stdout.splitlines()[0].split(" label ")[1:],
           ['"one"', '"two"', '"one"'])
        lines = [line.split() for line in lab.pf.ctl("-sl").stdout.splitlines()]
        eq([(line[0], line[2], line[8]) for line in lines], [("one", "1", "1"), ("two", "2", "2")])
        rule = json.loads(lab.pf.ctl("--json", "-sr").stdout)["rules"][0]
        eq((rule["label"], rule["labels"]), ("one", ["one", "two", "one"]))
        run(lab, "-k", "label", "-k", "three", err="killed 0 states\n")
        run(lab, "-k", "label", "-k", "one", err="killed 1 states\n")
        eq(came(), [f"{GHOST_DST}:54"])
        fill()
        run(lab, "-k", "label", "-k", "two", err="killed 2 states\n")
        fill()
        lab.pf.load("pass\n")
        eq(kept(lab), ["one", "one", "two", "two"])
        lab.pf.restart()
        run(lab, "-k", "label", "-k", "one", err="killed 1 states\n")
        eq(came(), [f"{GHOST_DST}:54"])
        run(lab, "-k", "label", "-k", "two", err="killed 1 states\n")
        # macros that stand for nothing: the label after is one all the same
        lab.pf.load('pass in on ext proto udp label "$dstport" label "last"\n'
                    'pass in on ext proto udp from any to any label "$dstport" label "last"\n')
        eq(len(lab.pf.rule_numbers()), 2, "not one for the optimizer")
        through.send(GHOST, GHOST_DST, 1, 55)
        run(lab, "-k", "label", "-k", "last", err="killed 1 states\n")


def test_labels_while_rules_wait_to_be_confirmed():
    """Those of before, and those that wait; and when they are given back."""
    old, new = ('pass in on ext proto udp to port 53 label "old"\npass out\n',
                'pass in on ext proto udp to port 54 label "new"\npass out\n')
    with Lab(rules=old, v6=False) as lab:
        through = Through(lab)

        def fill():
            lab.pf.load(old)
            through.send(GHOST, GHOST_DST, 1, 53)
            lab.pf.load(new, "--confirm", "100")
            through.send(GHOST, GHOST_DST, 1, 54)
        for after in (lambda: None, lambda: lab.pf.ctl("--confirmed"),
                      lambda: lab.pf.ctl("-F", "rules"), lab.pf.restart):
            for label in ("old", "new"):
                fill()
                after()
                run(lab, "-M", "-k", "label", "-k", label, err="killed 2 states\n")
                run(lab, "-F", "states", err="2 states cleared\n")


def test_labels_of_anchors_that_are_gone():
    """The same of the rules of an anchor that is loaded anew, patched or not."""
    filler = "".join(f"block proto udp to port {1000 + i}\n" for i in range(600))
    with Lab(rules=filler + 'anchor "a"\npass out\n', v6=False) as lab:
        through = Through(lab)
        for text in ('pass in on ext proto udp to port 53 label "one"\n',
                     'pass in on ext proto udp to port 53 label "two"\n',
                     "block\n"):
            lab.pf.load(text, "-a", "a")
            if "pass" in text:
                through.send(GHOST, GHOST_DST, 1 + ("two" in text), 53)
        run(lab, "-k", "label", "-k", "one", err="killed 1 states\n")
        run(lab, "-k", "label", "-k", "one", err="killed 0 states\n")
        run(lab, "-k", "label", "-k", "two", "-M", err="killed 2 states\n")


def test_show_by_interface_and_rule():
    rules = ("block\npass in on ext proto udp\nanchor {\n pass out on int proto udp to port 53\n"
             " pass out on int proto udp to port 54\n}\n")
    with Lab(rules=rules, v6=False) as lab:
        through = Through(lab)
        through.send(GHOST, GHOST_DST, 1, 53)
        through.send(GHOST, GHOST_DST, 1, 54)
        ins = [f"{GHOST_DST}:{port} <- {GHOST}:1" for port in (53, 54)]
        outs = [f"{GHOST}:1 -> {GHOST_DST}:{port}" for port in (53, 54)]
        for args, want in ((["-i", "ext"], ins), (["-i", "int"], outs), (["-i", "all"], ins + outs),
                           (["-i", "lo"], []), (["-i", "nosuch0"], []),
                           # as their own rulesets number them
                           (["-R", "1"], [*ins, outs[1]]), (["-R", "0"], [outs[0]]),
                           (["-R", "2"], []), (["-R", "1", "-i", "int"], [outs[1]])):
            eq(states(lab, *args), sorted(want), " ".join(args))
        run(lab, "-sr", "-R", "1", out="pass in on ext proto udp all\n")
        run(lab, "-sr", "-R", "7")
        eq(lab.pf.ctl("-sr", "-vv", "-R", "2").stdout.count("\n@"), 0)
        eq(re.findall(r"^ *@.*", lab.pf.ctl("-sr", "-vv", "-R", "2").stdout, re.M),
           ['@2 anchor all {', "  @0 pass out on int proto udp from any to any port = 53",
            "  @1 pass out on int proto udp from any to any port = 54"])


def test_names():
    """Resolved as pfctl does, and not with -N."""
    with Lab(rules="pass\n", v6=False) as lab:
        eq(lab.src.ping(FW_SRC), True)
        run(lab, "-k", "localhost", "-k", FW_SRC, "-q")
        r = lab.pf.ctl("-N", "-k", "localhost", check=False)
        eq((r.returncode, r.stderr), (1, "pfctl-linux: localhost: Name or service not known\n"))
        run(lab, "-N", "-k", SRC, err="killed 1 states from 1 sources and 0 destinations\n")
        run(lab, "-k", SRC, "-k", DST, err="killed 0 states from 1 sources and 1 destinations\n")
