# SPDX-License-Identifier: BSD-2-Clause
"""pfctl-linux --dump-program: what it says of a ruleset is what the kernel has and pf does."""
import os
import re
import struct

from pft import bpf
from pft.check import absent, at_least, between, cases, contains, eq, lines_eq, matches
from pft.lab import Lab

EMITTERS = [("linear", "linear"), ("tree", "tree")]


def lab_of(emitter, rules, **more):
    return Lab(hosts=2, v6=False, rules=rules, pfd_args=("--emitter", emitter), **more)


def dump(lab, *args):
    return lab.pf.ctl(*args, "--dump-program").stdout


def numbers(text, pattern):
    return [int(n) for n in matches(text, pattern).groups()]


def kernel_map(lab, name):
    """(bytes of a value, values) of a map of the generation in force."""
    newest = max(map(int, os.listdir(f"{lab.pin}/gen")))
    fd = bpf.obj_get(f"{lab.pin}/gen/{newest}/{name}")
    try:
        _type, _id, _key, value, most = struct.unpack_from("=5I", bpf.info(fd))
    finally:
        os.close(fd)
    return value, most


def rulesets(text):
    """{name: its lines} of emitter B's rulesets."""
    parts = re.split(r"\n\n(?=main ruleset: |anchor )", text)[1:]
    return {p.split(":")[0]: p.splitlines()[1:] for p in parts}


def leaves(lines):
    """[{rule: is it certain?}] of each leaf of an outline."""
    return [{int(n): bool(sure) for n, sure in re.findall(r"@(\d+)( certain)?", line)}
            for line in lines if re.fullmatch(r" {4,}(none|@\d+( certain)?(, @\d+( certain)?)*)",
                                              line)]


def many(n):
    """Rules that emitter B finds by destination, by source and by neither."""
    kinds = ("pass in proto tcp from any to 10.{hi}.{lo}.1 port {port}",
             "pass in inet6 from 2001:db8:{port:x}::/48 to any",
             "block in on ext proto udp from any to any port {port}")
    return "".join(kinds[i % 3].format(hi=i // 256, lo=i % 256, port=i + 1) + "\n"
                   for i in range(n))


# --- emitter A ---

SKIPPED = """
    block
    pass in on ext proto tcp from 10.0.0.0/8 to any port 80
    pass in on ext proto tcp from 10.0.0.0/8 to any port 81
    pass in on ext proto udp from 10.0.0.0/8 to any port 53
    pass out on int inet6 proto udp from any to 2001:db8::/32
    pass out on int inet6 proto udp from any to 2001:db8::/48
    pass out on int inet6 proto udp from any port 99 to 2001:db8::/48
"""
NAMES = {"interface": "i", "direction": "d", "family": "f", "protocol": "p", "source": "sa",
         "destination": "da", "source port": "sp", "destination port": "dp"}


def pfctl_skips(lab):
    """{rule: {criterion: where to}} of -vvsr."""
    text = lab.pf.ctl("-vvsr").stdout
    lines = [line for line in text.splitlines() if "Skip steps" in line]
    return [dict(re.findall(r"(\w+)=(\w+)", line)) for line in lines]


def dump_skips(text):
    """{rule: {criterion: where to}} of the steps."""
    out, nr = {}, None
    for line in text.splitlines():
        m = re.match(r" +(\d+)  @(\d+) ", line)
        if m:
            eq(m[1], m[2], "without anchors each rule is a step")
            nr = int(m[2])
        elif "no match by " in line:
            parts = [p.split(": ") for p in line.split("no match by ")[1].split(", ")]
            out[nr] = {NAMES[name]: to.lstrip("@") for name, to in parts}
    return out


def test_skips_agree_with_pfctl():
    """Where a packet goes on is what -vvsr says, of all that a rule asks."""
    with lab_of("linear", SKIPPED) as lab:
        shown, said = dump_skips(dump(lab, "-v")), pfctl_skips(lab)
        for nr, skips in shown.items():
            eq(skips, {k: v for k, v in said[nr].items() if k in skips}, f"rule {nr}")
        eq(shown[1], {"i": "4", "d": "4", "f": "4", "p": "3", "sa": "4"})
        eq(shown[3], {"p": "end"}, "what stands next to it")
        eq(shown[4], {"i": "end", "d": "end", "f": "end", "p": "end"})
        eq(shown[5], {"i": "end", "d": "end", "f": "end", "p": "end", "da": "end"})


ANCHORED = """
    block in
    anchor in quick on ext {
        pass in proto udp to port 53
        anchor "sub/*"
        pass in proto udp to port 54
    }
    anchor named {
        pass in proto tcp to port 1 tag X
    }
    anchor named
    pass quick
    block
"""

STEPS = """\
    0  @0 block drop in all
    1  @1 anchor in quick on ext all {
          no match by direction: @4
         rules of anchor _1
    2    @0 pass in proto udp from any to any port = 53
    3    @1 anchor "sub/*" all {
    4    }
    5    @2 pass in proto udp from any to any port = 54
    6  } a rule in here that has won ends the walk
    7  @2 anchor "named" all {
         rules of anchor named
    8    @0 pass in proto tcp from any to any port = 1 flags S/SA tag X
    9  }
   10  @3 anchor "named" all {
         rules of anchor named
   11    @0 pass in proto tcp from any to any port = 1 flags S/SA tag X
   12  }
   13  @4 pass quick all flags S/SA
   14  @5 block drop all
"""


def test_steps_of_anchors():
    """Each anchor is written out where it is called, down to its end."""
    with lab_of("linear", ANCHORED) as lab:
        text = dump(lab, "-v")
        lines_eq(re.sub(r" +no match by .*\n", "", text.split("end the end of that\n")[1]),
                 re.sub(r" +no match by .*\n", "", STEPS))
        eq(numbers(text, r"^rules: (\d+) in (\d+) rulesets$"), [10, 3])


def test_sizes_of_code():
    with lab_of("linear", ANCHORED) as lab:
        insns, steps, jumps = numbers(dump(lab), r"^code: (\d+) instructions for (\d+) steps, "
                                                 r"(\d+) counted jumps?$")
        eq(steps, 15)
        at_least(insns, steps * 3)
        eq(kernel_map(lab, "infos")[1], steps + 2)
        eq(kernel_map(lab, "evals"), ((jumps + 1) * 8, 1))
        absent(dump(lab), "@")


def test_steps_that_nothing_comes_to():
    """A quick rule that all packets match is the last one."""
    with lab_of("linear", "block quick\nblock in\nblock out\n") as lab:
        text = dump(lab, "-v")
        contains(text, "never reached: 2 rules\n  main ruleset: @1-@2\n")
        eq(text.count("    never reached\n"), 2)


# --- emitter B ---

def test_trees_hold_every_rule():
    with lab_of("tree", many(300)) as lab:
        text = dump(lab, "-v")
        found = leaves(rulesets(text)["main ruleset"])
        eq(set().union(*found), set(range(300)))
        eq(all(list(leaf) == sorted(leaf) for leaf in found), True)
        absent(text, "never reached")


def test_sizes_of_trees():
    """What is said of each tree adds up to what the kernel has."""
    with lab_of("tree", many(300)) as lab:
        text = dump(lab)
        nodes, nleaves, depth = numbers(text, r"^trees: (\d+) nodes, (\d+) of them leaves, "
                                              r"at most (\d+) deep$")
        entries, longest = numbers(text, r"^leaves: (\d+) entries, the longest leaf has (\d+);")
        eq(kernel_map(lab, "nodes")[1], nodes)
        eq(kernel_map(lab, "entries")[1], (entries + 1) // 2)
        eq(kernel_map(lab, "tree_rules")[1], 300)
        trees = [[int(x) for x in m] for m in re.findall(
            r"^  inet6?, [a-z ]+: (\d+) rules?, (\d+) nodes?, (\d+) lea\w+, (\d+) deep, "
            r"longest leaf (\d+),", text, re.M)]
        eq([t[0] for t in trees], [100, 100, 100, 100])
        eq((sum(t[1] for t in trees), sum(t[2] for t in trees)), (nodes, nleaves))
        eq((max(t[3] for t in trees), max(t[4] for t in trees)), (depth, longest))
        found = leaves(rulesets(dump(lab, "-v"))["main ruleset"])
        eq((len(found), sum(map(len, found)), max(map(len, found))), (nleaves, entries, longest))


def walk(lines, answer):
    """Follows an outline: answer(question) is true or false; the leaf's line."""
    at, margin = 0, 4
    while True:
        line = lines[at][margin:]
        if line == "none" or line.startswith("@"):
            return line
        other = next(i for i in range(at + 1, len(lines)) if lines[i] == " " * margin + "else")
        at = at + 1 if answer(line) else other + 1
        margin += 2


def test_outline_leads_to_the_rules():
    """Who follows the questions with a packet in hand finds the rule that matches it."""
    with lab_of("tree", many(300)) as lab:
        lines = rulesets(dump(lab, "-v"))["main ruleset"]
        begin = next(i for i, line in enumerate(lines) if line.startswith("  inet, by dest"))
        for i in range(0, 300, 3):
            packet = {"destination port": i + 1, "protocol": 6}

            def answer(question, i=i, packet=packet):
                what, _, value = question.partition(" <= ")
                if what == "destination":
                    return ([10, i // 256, i % 256, 1] <= [int(b) for b in value.split(".")])
                if what == "direction in":
                    return True
                return packet[what] <= int(value.split()[0])
            contains(f"{walk(lines[begin + 1:], answer)},", f"@{i},")


def test_certain_and_never_reached():
    """A rule that asks no more than its leaf is certain; behind a quick one nothing is."""
    with lab_of("tree", "block\npass in quick proto udp to port 53\nblock quick\npass\n") as lab:
        text = dump(lab, "-v")
        for leaf in leaves(rulesets(text)["main ruleset"]):
            eq(leaf.get(0), True)
            eq(leaf.get(3), None)
        contains(text, "never reached: 1 rule\n  main ruleset: @3\n")


def test_trees_of_anchors():
    with lab_of("tree", ANCHORED) as lab:
        lab.pf.ctl("-a", "named/below", "-f", "-", input="pass\n" * 3)
        text = dump(lab, "-v")
        found = rulesets(text)
        eq(list(found), ["main ruleset", "anchor _1", "anchor named", "anchor named/below"])
        eq([line for line in found["main ruleset"] if "leads" in line],
           ["  @1 leads to anchor _1", "  @2 leads to anchor named",
            "  @3 leads to anchor named"])
        contains(found["anchor _1"], "  @1 leads to no rules")
        contains(text, "anchor named/below: 3 rules\n")
        eq(set().union(*leaves(found["anchor named"])), {0})
        contains(text, "  anchor named/below: all of it, for nothing leads there\n")


# --- both ---

@cases(*EMITTERS)
def test_summary(_name, emitter):
    rules = f"""
        table <t> {{ 10.0.0.0/8, 192.0.2.9 }}
        pass in on ext from <t>
        pass out on int from <unknown>
        pass in from any to {{ {", ".join(f"10.1.{i * 3}.7" for i in range(12))} }}
    """
    with lab_of(emitter, None) as lab:
        lab.pf.load(rules, "-o", "basic")
        text = dump(lab)
        matches(text, rf"\Aemitter: {emitter}, .*\nwhy: pfd was started with --emitter {emitter}$")
        contains(text, "\ninterfaces: 1 ext, 2 int\n")
        contains(text, "\ntables: 3 named by rules, 1 of them made by the optimiser\n")
        matches(text, r"^  <__automatic_\w+> 12 addresses, made by the optimiser$")
        contains(text, "\n  <t> 2 addresses\n  <unknown> 0 addresses\n")
        lab.pf.ctl("-t", "t", "-T", "add", "192.0.2.10")
        contains(dump(lab), "\n  <t> 3 addresses\n")
        before = dump(lab, "-v")
        lab.pf.restart()  # which tables are the optimiser's is kept with the rules
        lines_eq(dump(lab, "-v"), before)


@cases(*EMITTERS)
def test_translations(_name, emitter):
    nat = "pass out on ext inet nat-to 203.0.113.1\n"
    match = "match in on ext inet from any to 203.0.113.1 rdr-to 192.0.2.9\n"
    for rules, want in (("pass\n", None), (nat, "1"), (
            nat + match, "2, 1 by match: rules behind see what the packet has become")):
        with lab_of(emitter, rules) as lab:
            eq(re.findall("^translations: (.*)$", dump(lab), re.M), [want] if want else [])


@cases(*EMITTERS)
def test_memory(_name, emitter):
    """The parts are the pins of the generation, and add up."""
    with lab_of(emitter, many(200)) as lab:
        text = dump(lab)
        total, ratio = numbers(text, r"^memory: (\d+) bytes in the kernel, (\d+) a rule, ")
        parts = dict(re.findall(r"(\w+) (\d+)", matches(text, r"^memory.*\n(.*)")[1]))
        newest = max(map(int, os.listdir(f"{lab.pin}/gen")))
        eq(sorted(parts), sorted(os.listdir(f"{lab.pin}/gen/{newest}")))
        eq(sum(map(int, parts.values())), total)
        eq(ratio, total // 200)
        between(int(parts["infos"]), 200 * 8, 200 * 1000)


def test_why():
    """What pfd was asked, what is faster, and what straight code does not hold."""
    pairs = "".join(f"block from 192.0.2.{i} to 198.51.100.{j}\n"
                    for i in range(20) for j in range(24))
    hosts = "".join(f"block to 10.0.{i // 256}.{i % 256}\n" for i in range(480))
    with Lab(hosts=2, v6=False, rules="pass\n") as lab:
        if not os.environ.get("PF_EMITTER"):
            contains(dump(lab), "emitter: linear, straight code in the order of the rules\n"
                                "why: so few rules are faster as code\n")
            for rules, emitter in ((pairs, "linear"), (hosts, "tree")):
                lab.pf.load(rules)
                why = matches(dump(lab), rf"^emitter: {emitter}, .*\nwhy: of packets made of the "
                              r"rules one costs about \d+ ns as code, and \d+ ns by trees\n")[0]
                lab.pf.restart()
                contains(dump(lab), why + "rules: ")
            lab.pf.load(many(600))
            contains(dump(lab), "emitter: tree, rules as data, found through decision trees\n"
                                "why: straight code does not hold the rules: the ruleset has 600 "
                                "rules after expansion; at most 512 fit: 88 too many\n")
    with lab_of("tree", "pass\n") as lab:
        if os.environ.get("PF_EMITTER"):
            return
        for emitter, why in (("linear", "an earlier pfd chose it, and this one took the rules "
                              "over\n"),
                             ("auto", "so few rules are faster as code\n     but the kernel "
                              "refused straight code, or an earlier pfd chose trees\n")):
            lab.pf.args = ["--emitter", emitter]
            lab.pf.restart()
            contains(dump(lab), "emitter: tree, rules as data, found through decision trees\n"
                                "why: " + why)
    with lab_of("linear", hosts) as lab:
        lab.pf.args = ["--emitter", "auto"]
        lab.pf.restart()
        matches(dump(lab), r"^emitter: linear, .*\nwhy: of packets .* by trees\n"
                           r"     but an earlier pfd chose straight code\nrules: ")


@cases(*EMITTERS)
def test_no_rules(_name, emitter):
    with lab_of(emitter, None) as lab:
        eq([line.split(":")[0] for line in dump(lab, "-v").splitlines()
            if not line.startswith(" ")][:4],
           ["emitter", "why", "rules", "code" if emitter == "linear" else "trees"])


def test_large():
    """20,000 rules in many anchors: a page without -v, everything with it."""
    rules = "".join(f"anchor a{i} {{\n{many(40)}}}\n" for i in range(100)) + many(16000)
    with lab_of("tree", rules) as lab:
        short, long = dump(lab), dump(lab, "-v")
        between(len(short.splitlines()), 20, 200)
        contains(short, "\nand 80 more anchors\n")
        found = rulesets(long)
        eq(len(found), 101)
        eq(set().union(*leaves(found["main ruleset"])), set(range(16100)))
        eq(set().union(*leaves(found["anchor a99"])), set(range(40)))


def test_record_of_a_named_anchor_in_one_without_a_name():
    """Its rules stand behind those of the main ruleset when pfd is started anew."""
    rules = "anchor {\npass in\nanchor x {\npass out\nanchor {\nblock\n}\n}\n}\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        before = lab.pf.ctl("-a", "*", "-sr").stdout
        contains(before, "block drop all")
        lab.pf.restart()
        lines_eq(lab.pf.ctl("-a", "*", "-sr").stdout, before)
