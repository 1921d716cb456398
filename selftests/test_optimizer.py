# SPDX-License-Identifier: BSD-2-Clause
"""The optimiser (-o, set ruleset-optimization): what becomes of the rules, by themselves and by
what the rules in force have counted.  pf.conf(5), THE OPTIMISER, says what is right.
"""
import os
import re

from pft.check import absent, cases, eq, lines_eq
from pft.lab import FW_SRC, PFCTL, Lab
from pft.netns import wait_for
from pft.pfctl import NOWHERE, pfctl


# --- the optimiser ---

def printed(text, *args):
    """The rules, the names of the optimiser's tables made T0, T1, ..."""
    r = pfctl("-N", *args, "-vnf", "-", text=text)
    eq(r.returncode, 0, r.stderr)
    for i, name in enumerate(dict.fromkeys(re.findall(r"__automatic_\w+", r.stdout))):
        r.stdout = r.stdout.replace(name, f"T{i}")
    return r.stdout


def optimized(text, want, *args):
    """The rules become these, numbers of lines or whole lines, by default and with -o basic; what
    is printed means the same, so that nothing more is found in it."""
    written = printed(text, "-o", "none").splitlines()
    want = [written[line - 1] if isinstance(line, int) else line for line in want]
    for level in ([], ["-o", "basic"], ["-o", "b"]):
        lines_eq(printed(text, *level, *args), want, text)
    again = pfctl("-N", *args, "-vnf", "-", text=text).stdout
    lines_eq(pfctl("-N", *args, "-vnf", "-", text=again).stdout, again, "once more")


def unchanged(text):
    optimized(text, range(1, len(printed(text, "-o", "none").splitlines()) + 1))


@cases(
    ("the example of pf.conf(5)", "pass in proto tcp to port 22\n"
     "pass in proto tcp from 10/8 to port 22\nblock in quick proto udp to port 1:1023\n"
     "pass in proto tcp\nblock in quick proto udp to port 53\n", [3, 4]),
    ("duplicates", "pass in\npass in\npass in\n", [1]),
    ("quick duplicates", "block in quick\nblock in quick\n", [1]),
    ("duplicates with another between", "pass in proto udp\nblock in proto udp to port 53\n"
     "pass in proto udp\n", [3]),
    ("a duplicate of one that was undone", "pass in\nblock in\npass in\n", [2, 3]),
    # by a quick one before
    ("never reached", "block in quick proto udp\npass in proto udp to port 53\n"
     "pass in quick proto udp from 10/8\n", [1]),
    ("never reached, another effect", "pass in quick flags any\nblock in proto tcp\n", [1]),
    # by a later one
    ("undone", "block in proto udp to port 53\npass in proto udp\n", [2]),
    ("undone by a quick one", "block in proto udp to port 53\npass in quick proto udp\n", [2]),
    ("undone, with a log", "pass in log proto udp to port 53\nblock in proto udp\n", [2]),
    # by one of the same effect
    ("a subset behind", "pass in proto udp\npass in proto udp to port 53\n", [1]),
    ("a quick subset in front", "block in quick proto udp to port 53\nblock in quick proto udp\n",
     [2]),
    ("a subset behind a quick one of another effect", "pass in proto udp\n"
     "block in quick proto udp from 10/8\npass in proto udp to port 53\n", [1, 2]),
    ("subsets of subsets", "pass in proto udp from 10.1.1/24 to port 53\n"
     "pass in proto udp from 10.1/16\npass proto udp from 10/8\npass in proto udp\n", [3, 4]),
    ("a list that holds any", "pass in proto udp from { 10.0.0.1 10.0.0.2 any }\n", [1]),
    ("in braces", "anchor {\n\tpass in\n\tpass in\n}\n",
     ["anchor all {", "  pass in all flags S/SA", "}"]),
    ("through macros and files", 'm = "in proto udp"\npass $m\ninclude "/dev/null"\npass $m\n',
     [1, 2]),
    ("other states", "pass in proto tcp to port 22 modulate state\n"
     "pass in proto tcp modulate state\npass out synproxy state\npass out synproxy state\n",
     [2, 3]),
)
def test_rules_that_go(_name, text, want):
    optimized(text, want)


# Rules that stay, all of them and in their order.
STAY = [
    ("subset of another action", "pass in proto udp\nblock in proto udp to port 53\n"),
    ("subset behind another action", "pass in proto udp\nblock in proto udp from 10/8\n"
     "pass in proto udp to port 53\n"),
    ("quick subset behind another action", "block in quick proto udp to port 53\n"
     "pass in quick from 10.0.0.1\nblock in quick proto udp\n"),
    ("block of TCP", "block in proto tcp\npass in proto tcp\n"),
    ("block of ICMP", "block in inet proto icmp\npass in inet proto icmp\n"),
    ("not quick, in front of quick", "pass in quick proto udp\nblock in proto tcp\n"),
    ("log", "pass in proto udp\npass in log proto udp to port 53\n"),
    ("no log", "pass in log proto udp\npass in proto udp to port 53\n"),
    ("an answer", "block in\nblock return in proto udp\n"
     "block return-icmp(1) in proto udp from 10/8\n"),
    *((f"quick {what}", f"{a} in {log} quick {head} to port 53 {end}\n{b} in quick {head}\n")
      for what, a, log, head, end, b in (
          ("answers", "block", "", "proto udp", "", "block return"),
          ("codes", "block return-icmp(1)", "", "inet proto udp", "", "block return-icmp(2)"),
          ("codes of IPv6", "block return-icmp6(1)", "", "inet6 proto udp", "",
           "block return-icmp6(2)"),
          ("TTL", "block return-rst(ttl 5)", "", "proto tcp", "", "block return-rst(ttl 6)"),
          ("log", "pass", "log", "proto udp", "", "pass"),
          ("no state", "pass", "", "proto udp", "no state", "pass"),
          ("other states", "pass", "", "proto tcp", "modulate state", "pass"),
          ("allow-opts", "pass", "", "proto udp", "allow-opts", "pass"))),
    ("no state", "pass in proto udp\npass in proto udp to port 53 no state\n"),
    ("allow-opts", "pass in proto udp\npass in proto udp to port 53 allow-opts\n"),
    ("labels", 'pass in label "a"\npass in label "a"\npass in label "b"\n'),
    ("a label that is never counted", 'block in quick proto udp\npass in proto udp label "a"\n'),
    ("a label in front", 'pass in proto udp to port 53 label "a"\npass in proto udp\n'),
    ("a label behind", 'pass in proto udp label "a"\npass in proto udp to port 53\n'),
    ("a label between", 'pass in proto udp\npass in from 10/8 label "a"\n'
     "pass in proto udp to port 53\n"),
    ("another state", "pass in proto tcp modulate state\npass in proto tcp to port 22\n"),
    *((f"with {option}", f"pass in proto tcp {option}\npass in proto tcp {option}\n")
      for option in ("user = 0", "group = 0", "tos 0x10", "prio 5", "tagged x", "received-on lo",
                     "probability 50%", "max-pkt-rate 5/5", "max-pkt-size 500", "once", "tag x",
                     "keep state (max 5)", "set prio 5", "rtable 1", "scrub (no-df)",
                     "ridentifier 5", "divert-to 127.0.0.1 port 80")),
    ("with rdr-to", "pass in inet rdr-to 192.0.2.1\npass in inet rdr-to 192.0.2.1\n"),
    ("match", "match in\nmatch in\n"), ("match with a tag", "match in tag x\nmatch in tag x\n"),
    *((f"across match {what}", f"pass in\nmatch {what}\npass in\n")
      for what in ("in", "in tag x", "in tagged x", "out nat-to 192.0.2.1", "in rdr-to 192.0.2.1",
                   "rtable 1", "set prio 5", "scrub (no-df)", "log", "quick proto udp")),
    ("across an anchor", 'pass in\nanchor "x"\npass in\n'),
    ("across braces", "pass in\nanchor {\n\tpass in\n}\npass in\n"),
    ("across what matches once", "pass in\npass out once\npass in\n"),
    ("across a tag", "pass in\npass in proto udp tag x\npass in\n"),
    ("log (matches)", "match log (matches)\npass in\npass in\n"),
    ("log (matches), elsewhere", "pass in\npass in\nanchor {\n\tmatch log (matches)\n}\n"),
    ("translation", "nat on lo inet from 10.0.0.0/8 to any -> 192.0.2.1\n" * 2),
    ("scrub", "scrub in\nscrub in\n"), ("ether", "ether block in\nether block in\n"),
    ("tables", "table <t> { 192.0.2.1 }\ntable <u> { 192.0.2.1 }\npass in from <t>\n"
     "pass in from <u>\npass in from ! <t>\n"),
    ("a table and its content", "table <t> { 192.0.2.0/24 }\npass in from <t>\n"
     "pass in from 192.0.2.1\n"),
    ("interfaces", "pass on lo\npass on em0\npass on ! lo\npass on any\n"),
    ("families", "pass inet\npass inet6\n"),
    ("five addresses", "pass in from { 192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 }\n"),
]


@cases(*STAY)
def test_rules_that_stay(_name, text):
    unchanged(text)


SIX = " ".join(f"192.0.2.{i}" for i in range(1, 7))
OTHER_SIX = " ".join(f"198.51.100.{i}" for i in range(1, 7))
SIX6 = " ".join(f"2001:db8::{i}" for i in range(1, 7))


@cases(
    ("sources", f"pass in proto tcp from {{ {SIX} }} to any port 22\n",
     [f"table <T0> const {{ {SIX} }}",
      "pass in inet proto tcp from <T0> to any port = 22 flags S/SA"]),
    ("destinations", f"block in quick on lo to {{ {SIX} }}\n",
     [f"table <T0> const {{ {SIX} }}", "block drop in quick on lo inet from any to <T0>"]),
    ("rules on their own", "".join(f"block return out log from {a} to 10/8\n" for a in SIX.split()),
     [f"table <T0> const {{ {SIX} }}", "block return out log inet from <T0> to 10.0.0.0/8"]),
    ("IPv6", f"pass in from {{ {SIX6} }}\n",
     [f"table <T0> const {{ {SIX6} }}", "pass in inet6 from <T0> to any flags S/SA"]),
    ("prefixes", "pass from { 10.0/16 10.2/16 10.4/16 10.6.1/24 10.8.1.1 10.9.2.0/31 }\n",
     ["table <T0> const { 10.0.0.0/16 10.2.0.0/16 10.4.0.0/16 10.6.1.0/24 10.8.1.1 10.9.2.0/31 }",
      "pass inet from <T0> to any flags S/SA"]),
    ("sorted, and covered ones gone",
     "pass from { 10.9/16 10.9.1.1 10.1/16 10.5/16 10.3/16 10.7/16 10.5/16 10.2/16 }\n",
     ["table <T0> const { 10.1.0.0/16 10.2.0.0/16 10.3.0.0/16 10.5.0.0/16 10.7.0.0/16 "
      "10.9.0.0/16 }", "pass inet from <T0> to any flags S/SA"]),
    ("sources and destinations", f"pass in from {{ {SIX} }} to {{ {OTHER_SIX} }}\n",
     [f"table <T0> const {{ {SIX} }}", f"table <T1> const {{ {OTHER_SIX} }}",
      "pass in inet from <T0> to <T1> flags S/SA"]),
    ("the same addresses twice", f"block in from {{ {SIX} }}\npass out from {{ {SIX} }}\n",
     [f"table <T0> const {{ {SIX} }}", "block drop in inet from <T0> to any",
      "pass out inet from <T0> to any flags S/SA"]),
    ("other rules that go along", f"pass in from {{ {SIX} }}\npass in proto udp to port 5\n",
     [f"table <T0> const {{ {SIX} }}", "pass in inet from <T0> to any flags S/SA",
      "pass in proto udp from any to any port = 5"]),
    ("both families", f"pass in from {{ {SIX} {SIX6} }}\n",
     [f"table <T0> const {{ {SIX} }}", f"table <T1> const {{ {SIX6} }}",
      "pass in inet from <T0> to any flags S/SA", "pass in inet6 from <T1> to any flags S/SA"]),
    ("in braces", f"anchor {{\n\tpass in from {{ {SIX} }}\n}}\n",
     ["anchor all {", f"  table <T0> const {{ {SIX} }}",
      "  pass in inet from <T0> to any flags S/SA", "}"]),
    ("beside other tables", f"table <t> {{ 10.0.0.0/8 }}\npass in from {{ {SIX} }} to <t>\n",
     ["table <t> { 10.0.0.0/8 }", f"table <T0> const {{ {SIX} }}",
      "pass in inet from <T0> to <t> flags S/SA"]),
    ("room in the limits", "set limit tables 2\nset limit table-entries 12\n"
     f"pass in from {{ {SIX} }}\n",
     ["set limit tables 2", "set limit table-entries 12", f"table <T0> const {{ {SIX} }}",
      "pass in inet from <T0> to any flags S/SA"]),
)
def test_tables_of_rules(_name, text, want):
    optimized(text, want)


@cases(
    ("a negated one", f"pass in from {{ {SIX.replace('192.0.2.6', '! 192.0.2.6')} }}\n"),
    ("two families", "pass in from { 192.0.2.1 192.0.2.2 192.0.2.3 2001:db8::1 2001:db8::2 "
     "2001:db8::3 }\n"),
    ("a table among them", f"table <t> {{ 10.0.0.1 }}\npass from {{ {SIX[10:]} <t> }}\n"),
    ("a range among them", f"pass inet from {{ {SIX[10:]} 10.0.0.1 - 10.0.0.9 }}\n"),
    ("an interface among them", f"pass inet from {{ {SIX[10:]} (lo) }}\n"),
    ("ports that differ as well",
     "".join(f"pass proto tcp from 10.0.0.{i} to any port {i}\n" for i in range(1, 7))),
    ("sources and destinations differ",
     "".join(f"pass from 10.0.0.{i} to 10.1.0.{i}\n" for i in range(1, 7))),
    ("labels", f'pass in from {{ {SIX} }} label "x"\n'), ("match", f"match in from {{ {SIX} }}\n"),
    ("tags", f"pass in from {{ {SIX} }} tag x\n"),
    ("states with options", f"pass in from {{ {SIX} }} keep state (max 5)\n"),
    ("another rule between", "".join(
        f"pass in from 10.0.0.{i}\n{'block in quick from 10.1.0.1' * (i == 3)}\n"
        for i in range(1, 7))),
    ("a match between", "".join(f"pass in from 10.0.0.{i}\n{'match in tag x' * (i == 3)}\n"
                                for i in range(1, 7))),
    ("an anchor between", "".join(f"pass in from 10.0.0.{i}\n{'anchor x' * (i == 3)}\n"
                                  for i in range(1, 7))),
    ("some quick", "".join(f"block in {'quick ' * (i > 3)}from 10.0.0.{i}\n"
                           for i in range(1, 7))),
    ("some logged", "".join(f"block in {'log ' * (i > 3)}from 10.0.0.{i}\n" for i in range(1, 7))),
    ("no room for the table", f"set limit tables 1\npass in from {{ {SIX} }}\n"),
    ("no room beside others", "set limit tables 4\ntable <a> { }\ntable <b> { }\n"
     f"pass in from {{ {SIX} }}\npass from <a>\npass from <b>\n"),
    ("no room for its entries", f"set limit table-entries 11\npass in from {{ {SIX} }}\n"),
    ("somebody has such names", f"pass in from {{ {SIX} }}\npass in from <__automatic_1>\n"),
)
def test_no_tables_of_rules(_name, text):
    unchanged(text)


def test_names_of_tables():
    """By what is in them: the order and the rule play no part, each address does."""
    def name(text):
        found = set(re.findall(r"__automatic_\w+", pfctl("-vnf", "-", text=text).stdout))
        eq(len(found), 1)
        return found.pop()
    first = name(f"pass in from {{ {SIX} }}\n")
    turned = " ".join(reversed(SIX.split()))
    eq(name(f"set limit states 5\nblock out quick proto udp to {{ {turned} }} port 5\n"), first)
    eq(name(f"pass in from {{ {SIX} 192.0.2.7 }}\n") == first, False)
    eq(name(f"pass in from {{ {SIX[:-1]}7 }}\n") == first, False)
    eq(len(first) <= 31, True, first)


@cases(
    ("together", """\
block in quick on em0 proto tcp to port 1
block in quick on em1 proto udp to port 1
block in quick on em0 proto tcp to port 2
block in quick on em1 proto udp to port 2
""", [1, 3, 2, 4]),
    ("not quick", """\
pass in on em0 proto tcp to port 1
pass in on em1 proto udp to port 1
pass in on em0 proto tcp to port 2
pass in on em1 proto udp to port 2
""", [1, 3, 2, 4]),
    ("not across another action", """\
block in quick on em0 proto tcp to port 1
block in quick on em1 proto udp to port 1
pass in quick on em2
block in quick on em0 proto tcp to port 2
block in quick on em1 proto udp to port 2
""", [1, 2, 3, 4, 5]),
    ("not across a tag", """\
block in on em0 proto tcp to port 1
block in on em1 proto udp to port 1
match tag x
block in on em0 proto tcp to port 2
block in on em1 proto udp to port 2
""", [1, 2, 3, 4, 5]),
    ("not across a translation", """\
block in on em0 proto tcp to port 1
block in on em1 proto udp to port 1
match in inet rdr-to 192.0.2.1
block in on em0 proto tcp to port 2
block in on em1 proto udp to port 2
""", [1, 2, 3, 4, 5]),
    ("not across a label", """\
block in on em0 proto tcp to port 1
block in on em1 proto udp to port 1
block in on em2 label "x"
block in on em0 proto tcp to port 2
block in on em1 proto udp to port 2
""", [1, 2, 3, 4, 5]),
    ("not where it does not help", """\
block in quick on em1 proto udp to port 2
block in quick on em1 proto udp to port 1
block in quick on em0 proto tcp to port 2
block in quick on em0 proto tcp to port 1
""", [1, 2, 3, 4]),
)
def test_order(_name, text, want):
    optimized(text, want)


# --- levels ---

TWICE = "pass in\npass in\n"
ONE, TWO = "pass in all flags S/SA\n", "pass in all flags S/SA\n" * 2


@cases(
    ("default", "", [], ONE), ("none", "", ["-o", "none"], TWO),
    ("basic", "", ["-o", "basic"], ONE),
    ("shortened", "", ["-on"], TWO), ("the last -o counts", "", ["-o", "basic", "-o", "none"], TWO),
    ("none in the file", "none", [], TWO), ("basic in the file", "basic", [], ONE),
    ("the command line wins", "none", ["-o", "basic"], ONE),
    ("the command line wins with none", "basic", ["-o", "none"], TWO),
    ("and over profile", "profile", ["-o", "none"], TWO),
)
def test_levels(_name, in_file, args, rules):
    """What -o overrides is not shown either: it would be heeded when this is read again."""
    line = f"set ruleset-optimization {in_file}\n" if in_file else ""
    r = pfctl(*args, "-vnf", "-", text=line + TWICE)
    eq((r.returncode, r.stderr), (0, ""))
    eq(r.stdout, line * (not args) + rules)
    # behind the rules it is as good
    r = pfctl(*args, "-vnf", "-", text=TWICE + line)
    eq(r.stdout, line * (not args) + rules)


def test_last_level_of_the_file_counts():
    for first, last, rules in (("none", "basic", ONE), ("basic", "none", TWO)):
        text = f"set ruleset-optimization {first}\n{TWICE}set ruleset-optimization {last}\n"
        eq(pfctl("-nvf", "-", text=text).stdout.replace(
            f"set ruleset-optimization {first}\nset ruleset-optimization {last}\n", ""), rules)


@cases(("unknown", "x"), ("empty", ""), ("longer", "basics"), ("capitals", "NONE"))
def test_unknown_level(_name, level):
    r = pfctl("-o", level, "-nf", "-", text="pass\n")
    eq((r.returncode, r.stdout, r.stderr), (1, "", f"pfctl-linux: unknown optimization level "
                                            f"'{level}' (none, basic or profile)\n"))


NO_PROFILE = (f"pfctl-linux: pfd does not answer at {NOWHERE} (No such file or directory): "
              "is it running?\n"
              "pfctl-linux: there is no profile: rules are ordered as with -o basic\n")


@cases(("-o profile", TWICE, ["-o", "profile"]), ("-o p", TWICE, ["-op"]),
       ("in the file", "set ruleset-optimization profile\n" + TWICE, []),
       ("over the file", "set ruleset-optimization none\n" + TWICE, ["-o", "profile"]))
def test_no_profile(_name, text, args):
    """Without pfd it is said, and basic is done."""
    r = pfctl(*args, "-vnf", "-", text=text)
    eq((r.returncode, r.stderr), (0, NO_PROFILE))
    eq(r.stdout.replace("set ruleset-optimization profile\n", ""), ONE)
    # rules for another host have no profile here, and pfd is not asked
    r = pfctl(*args, "--offline", "-vnf", "-", text=text)
    eq((r.returncode, r.stderr), (0, ""))
    r = pfctl(*args, "-nf", "-", text=text + "pass nonsense\n")
    absent(r.stderr, "profile")


# --- a profile ---

def send(lab, counts):
    """So many datagrams to each port, and all have been counted."""
    # somebody listens, lest ICMP errors be counted
    listeners = [lab.fw.udp(port) for port in counts]
    with lab.src.udp() as c:
        for port, count in counts.items():
            for _ in range(count):
                c.sendto(b"x", (FW_SRC, port))
    wait_for("the packets", lambda: sum(
        n["packets"] for _, n in lab.pf.rule_numbers()) >= sum(counts.values()))
    for s in listeners:
        s.close()


def ports(text):
    """The ports of rules, in their order."""
    return [int(p) for p in re.findall(r"^(?:pass|block).* port = (\d+)", text, re.M)]


def quick_rules(*of_ports, action="pass in quick", end=" no state"):
    return "".join(f"{action} proto udp to port {p}{end}\n" for p in of_ports)


def test_profile():
    """Quick rules that stand together come in the order of their packets, by the counters of
    the rules in force."""
    text = quick_rules(1001, 1002, 1003, 1004)
    with Lab(hosts=2, v6=False) as lab:
        lab.pf.load(text)
        send(lab, {1001: 1, 1002: 4, 1003: 9, 1004: 4})
        # the same number: as they stand in the file
        want = [1003, 1002, 1004, 1001]
        for args in (["-o", "profile"], ["-op"]):
            r = lab.pf.ctl(*args, "-nvf", "-", input=text)
            eq((r.stderr, ports(r.stdout)), ("", want))
        r = lab.pf.ctl("-o", "basic", "-nvf", "-", input=text)
        eq(ports(r.stdout), [1001, 1002, 1003, 1004])
        # ctl() says -o none unless -o is there
        run = [PFCTL, "-p", lab.pf.socket, "-nvf", "-"]
        in_file = "set ruleset-optimization profile\n"
        eq(ports(lab.fw.run(*run, input=in_file + text).stdout), want)
        eq(ports(lab.fw.run(*run, input=in_file.replace("profile", "basic") + text).stdout),
           [1001, 1002, 1003, 1004])
        # rules that read otherwise have no numbers; new ones come behind
        other = (quick_rules(1005, 1001) + quick_rules(1003, action="pass in quick on ext")
                 + quick_rules(1002))
        eq(ports(lab.pf.ctl("-o", "profile", "-nvf", "-", input=other).stdout),
           [1002, 1001, 1005, 1003])
        # nothing was loaded yet
        eq(ports("\n".join(lab.pf.rules())), [1001, 1002, 1003, 1004])
        lab.pf.load(text, "-o", "profile")
        eq(ports("\n".join(lab.pf.rules())), want)


def test_profile_moves_nothing_else():
    """What does not stand together stays where it is, whatever it has counted."""
    text = (quick_rules(1001, 1002) + "match in tag x\n" + quick_rules(1003, 1004)
            + quick_rules(1005, action="block in quick", end="")
            + quick_rules(1006) + quick_rules(1007, end=' no state label "x"') + quick_rules(1008)
            + quick_rules(1009, 1010, action="block in", end=""))
    with Lab(hosts=2, v6=False) as lab:
        # what is not enforced yet counts nothing: the rest is what is in force
        lab.pf.load(text.replace("match in tag x\n", ""))
        send(lab, {p: p - 1000 for p in range(1001, 1011)})
        r = lab.pf.ctl("-o", "profile", "-nvf", "-", input=text)
        eq(ports(r.stdout), [1002, 1001, 1004, 1003, 1005, 1006, 1007, 1008, 1009, 1010])
        eq([line for line in r.stdout.splitlines() if not ports(line)], ["match in all tag x"])


def test_profile_of_combined_rules():
    """What a rule has counted counts for the one that has taken it in."""
    rest = quick_rules(1002, 1001)
    text = quick_rules(1001, action="pass in quick on ext") + rest
    with Lab(hosts=2, v6=False) as lab:
        lab.pf.load(text)
        send(lab, {1001: 9, 1002: 5})
        for rules, want in ((text, [1001, 1002]), (rest, [1002, 1001])):
            r = lab.pf.ctl("-o", "profile", "-nvf", "-", input=rules)
            absent(r.stdout, "on ext")
            eq(ports(r.stdout), want)


# --- what must not change ---

def test_labels_count_the_same():
    """Packets, bytes and states of labels, and what is logged, are those of the rules as they
    are written."""
    text = ('pass in quick proto udp to port 1001 label "one"\n'
            'pass in quick proto udp to port 1001 label "never"\n'
            + "pass in quick proto udp to port 1002\n" * 3
            + 'pass in proto udp to port 1003 label "undone"\n'
            "block in log proto udp from { 10/8 192.0.2/24 192.0.2.1 } to port 1003\n"
            "block in log proto udp to port 1003\n"
            'pass in proto udp from 192.0.2/24 to port 1004 label "net"\n'
            "pass in proto udp to port 1004\n"
            'pass in proto udp to port { 1004 1005 } label "last $dstport"\n')
    seen = {}
    for level in ("none", "basic", "profile"):
        with Lab(hosts=2, v6=False, rules="pass\n") as lab:
            lab.pf.load(text, "-o", level)
            rules = len(lab.pf.rules())
            send(lab, {1001: 1, 1002: 1, 1003: 3, 1004: 1, 1005: 1})
            # label, evaluations, packets, bytes, in and out of both, states
            labels = [re.sub(r"^(\D*\d{4}|\D+) \d+ ", r"\1 ", line)
                      for line in lab.pf.ctl("-sl").stdout.splitlines()]
            wait_for("the log", lambda: os.path.exists(lab.pf.logfile) and
                     len(lab.pf.log_records()) >= 3)
            seen[level] = labels, len(lab.pf.log_records()), len(lab.pf.states())
        eq(seen[level], seen["none"], level)
        eq(rules < 14, level != "none", f"{rules} rules with -o {level}")
    labels, logged, states = seen["none"]
    eq([line.rsplit(" ", 7)[:2] for line in labels],
       [["one", "1"], ["never", "0"], ["undone", "0"], ["net", "0"], ["last 1004", "1"],
        ["last 1005", "1"]])
    eq((logged, states), (3, 4))


def test_lint_does_not_stop_a_load():
    """Warnings are said, and the rules are in force."""
    text = "block in quick proto udp\npass in proto udp\ntable <t> persist {}\n"
    with Lab(hosts=2, v6=False) as lab:
        for args, want in ((["--lint"], "stdin:2: warning: rule can never match: the quick rule "
                            "at line 1 covers it\nstdin:3: warning: table <t> is never used\n"),
                           ([], "")):
            r = lab.pf.ctl("-q", *args, "-f", "-", input=text)
            eq((r.returncode, r.stdout, r.stderr), (0, "", want))
            eq(len(lab.pf.rules()), 2)
        r = lab.pf.ctl("-q", "-v", "-f", "-", input=text)
        eq((r.returncode, len(r.stderr.splitlines()), len(r.stdout.splitlines())), (0, 2, 3))
