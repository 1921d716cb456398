# SPDX-License-Identifier: BSD-2-Clause
"""Warnings (-v, --lint), as pfctl-linux shows them: what is said and what is not.

pf.conf(5), WARNINGS, says what is right.
"""
import re

from pft import own
from pft.check import absent, cases, eq, lines_eq
from pft.lab import PFCTL
from pft.netns import Netns
from pft.pfctl import NOWHERE, Files, pfctl


def said(text, *args):
    """What is said of rules that must be accepted, but for interfaces that are not here."""
    r = pfctl("-N", *args, "-nf", "-", text=text)
    eq(r.returncode, 0, r.stderr)
    return re.sub(r"^.*: warning: there is no interface '.*\n    .*\n    .*\n", "", r.stderr,
                  flags=re.M)


def warns(text, *want):
    """These warnings and no others, [(line, message)]: with --lint and with -v alone, whatever
    the optimiser does, and never on standard output; nothing without them."""
    want = "".join(f"stdin:{line}: warning: {message}\n" for line, message in want)
    for args in (["--lint", "-o", "none"], ["--lint"], ["-v", "-o", "none"], ["-vv"],
                 ["-q", "--lint"]):
        lines_eq(said(text, *args), want, f"{args} of\n{text}")
    eq(said(text), "")
    eq(pfctl("-N", "--lint", "-nf", "-", text=text).stdout, "")
    absent(pfctl("-N", "-vnf", "-", text=text).stdout, "warning")


def never(line, by, part=""):
    return line, f"{part}rule can never match: the quick rule at line {by} covers it"


def covered(line, by, part=""):
    return line, f"{part}rule has no effect: the rule at line {by} covers it"


def undone(line, by, part=""):
    return line, f"{part}rule has no effect: the block rule at line {by} undoes it"


PART = "part of the "


# --- rules that can never match ---

# What a quick rule of the first kind covers, and never the other way round: direction, rest.
WIDER = [
    ("direction", "", "", "in", ""), ("interface", "in", "", "in", "on lo"),
    ("all but an interface", "", "", "", "on ! lo"), ("any interface", "", "", "", "on any"),
    ("family", "", "", "", "inet6"), ("protocol", "out", "", "out", "proto udp"),
    ("family and protocol", "", "inet", "", "inet proto udp"),
    ("an address", "", "", "", "from 192.0.2.1"), ("family of an address", "", "inet", "",
                                                   "from 192.0.2.1"),
    ("all addresses of a family", "", "to 0/0", "", "to 10/8"),
    ("prefix", "", "from 10/8", "", "from 10.1/16"),
    ("one bit", "", "from 10.0.0.0/15", "", "from 10.1.0.0/16"),
    ("address in a prefix", "", "to 192.0.2.0/25", "", "to 192.0.2.127"),
    ("prefix of IPv6", "", "from 2001:db8::/32", "", "from 2001:db8:7::/48"),
    ("address of IPv6", "", "to 2001:db8::/127", "", "to 2001:db8::1"),
    ("source and destination", "", "from 10/8", "", "from 10/8 to 192.0.2.1"),
    ("table", "", "", "", "from <t>"), ("not a table", "", "", "", "from ! <t>"),
    ("not an address", "", "inet", "", "from ! 192.0.2.1"),
    ("range", "", "inet", "", "from 192.0.2.1 - 192.0.2.9"),
    ("no route", "", "", "", "from no-route"), ("its addresses", "", "", "", "from (lo)"),
    ("port", "", "proto tcp", "", "proto tcp to port 22"),
    ("range of ports", "", "proto tcp to port 1:1023", "", "proto tcp to port 22"),
    ("ports in ports", "", "proto tcp to port 1:100", "", "proto tcp to port 5:99"),
    ("all but one port", "", "proto udp to port != 53", "", "proto udp to port 54"),
    ("all but one port, range", "", "proto udp to port != 53", "", "proto udp to port 54:99"),
    ("ports below", "", "proto udp to port < 1024", "", "proto udp to port <= 1022"),
    ("ports above", "", "proto udp to port >= 1024", "", "proto udp to port > 1024"),
    ("ports between", "", "proto udp to port 1 >< 9", "", "proto udp to port 3:8"),
    ("ports outside", "", "proto udp to port 10 <> 20", "", "proto udp to port > 30"),
    ("source port", "", "proto udp from port 1:9", "", "proto udp from port 5 to port 7"),
    ("flags", "", "proto tcp flags S/S", "", "proto tcp flags SA/SA"),
    ("flags that are not set", "", "proto tcp flags /R", "", "proto tcp flags S/SR"),
    ("icmp-type", "", "inet proto icmp", "", "inet proto icmp icmp-type 8"),
    ("code", "", "inet proto icmp icmp-type 3", "", "inet proto icmp icmp-type 3 code 4"),
    ("icmp6-type", "", "inet6 proto icmp6", "", "inet6 proto icmp6 icmp6-type 128"),
    ("fragment", "", "", "", "fragment"), ("fragment of a protocol", "", "proto udp", "",
                                           "proto udp fragment"),
    ("user", "", "proto tcp", "", "proto tcp user root"), ("tos", "", "", "", "tos 5"),
    ("prio", "", "", "", "prio 5"), ("tagged", "", "", "", "tagged x"),
    ("received-on", "out", "", "out", "received-on lo"), ("once", "", "", "", "once"),
    ("probability", "", "", "", "probability 50%"), ("rdomain", "", "", "", "on rdomain 5"),
    ("max-pkt-rate", "", "", "", "max-pkt-rate 5/5"), ("os", "", "proto tcp", "",
                                                       "proto tcp from any os Linux"),
    ("max-pkt-size", "", "", "", "max-pkt-size 500"),
]


@cases(*WIDER)
def test_covered_by_a_quick_rule(_name, direction, wide, other, narrow):
    table = "table <t> { 192.0.2.1 }\n" if "<t>" in narrow else ""
    here = table.count("\n") + 1
    warns(f"{table}block {direction} quick {wide}\nblock {other} {narrow}\n",
          never(here + 1, here))
    warns(f"{table}block {other} quick {narrow}\nblock {direction} {wide}\n")


def test_covered_whatever_it_does():
    """It is not there for the packets, whatever it would do with them."""
    head = "block quick proto udp\n"
    for rule in ("block proto udp", "pass proto udp", "pass quick proto udp no state",
                 "pass log proto udp", 'pass proto udp label "x"', "pass proto udp tag x",
                 "match proto udp tag x", "match log (matches) proto udp",
                 "pass proto udp keep state (max 5)", "block return log quick proto udp to port 53",
                 "pass proto udp allow-opts", "match out proto udp nat-to 192.0.2.1",
                 "pass in proto udp rdr-to 192.0.2.2"):
        warns(head + rule + "\n", never(2, 1))
    # and so do those that decide with more than a pass or block
    for rule in ("pass in quick inet proto udp rdr-to 192.0.2.2", "block in log quick proto udp",
                 "pass in quick proto udp tag x", 'pass in quick proto udp label "x"',
                 "pass in quick proto udp keep state (max 5)", "pass in quick",
                 "pass in quick proto udp set prio 5"):
        warns(rule + "\npass in inet proto udp to port 53\n", never(2, 1))


def test_same_words_cover_each_other():
    for rest in ("", "on lo", "on ! lo", "on any", "on tun", "from <t>", "from ! <t>",
                 "from ! 192.0.2.1", "to (lo)", "from no-route", "from 192.0.2.1 - 192.0.2.9",
                 "from 192.0.2.77/24", "proto tcp flags FUP/FUP", "proto tcp to port != 5"):
        table = "table <t> { 192.0.2.1 }\n"
        unused = [] if "<t>" in rest else [(1, "table <t> is never used")]
        text = f"{table}block quick {rest}\npass {rest} flags any\n"
        if "flags F" in rest:
            text = text.replace(" flags any", "")
        want = "".join(f"stdin:{line}: warning: {message}\n"
                       for line, message in [*unused, never(3, 2)])
        lines_eq(said(text, "-v"), want, text)
    # ports that are the same in other words
    for a, b in (("< 1024", "<= 1023"), ("> 1023", ">= 1024"), ("1 >< 9", "2:8"), ("= 5", "5:5")):
        for first, second in ((a, b), (b, a)):
            warns(f"block quick proto tcp to port {first}\npass proto tcp to port {second}\n",
                  never(2, 1))


# Texts without a warning: what looks as if it were covered.
INNOCENT = [
    ("the other direction", "block in quick\npass out\n"),
    ("another interface", "block quick on lo\npass on em0\n"),
    ("not that interface", "block quick on lo\npass on ! lo\n"),
    ("that interface, not the others", "block quick on ! lo\npass on lo\n"),
    ("other interfaces, negated", "block quick on ! lo\npass on ! em0\n"),
    ("any interface and one", "block quick on any\npass on em0\n"),
    ("a group and one of it", "block quick on tun\npass on tun0\n"),
    ("the other family", "block quick inet\npass inet6\n"),
    ("a family and none", "block quick inet\nblock quick inet6\npass\n"),
    ("another protocol", "block quick proto tcp\npass proto udp\n"),
    ("prefixes beside each other", "block quick from 10.0/16\npass from 10.1/16\n"),
    ("prefix around", "block quick from 10.1/16\npass from 10/8\n"),
    ("halves of a prefix",
     "block quick from 10.0/9\nblock quick from 10.128/9\npass from 10/8\n"),
    ("source, not destination", "block quick from 10/8\npass to 10/8\n"),
    ("overlapping ports", "block quick proto tcp to port 1:9\npass proto tcp to port 9:10\n"),
    ("destination, not source port",
     "block quick proto tcp to port 22\npass proto tcp from port 22\n"),
    ("no port in a later fragment", "block quick proto udp to port 0:65535\nblock proto udp\n"),
    ("a table and its content",
     "table <t> { 192.0.2.1 }\nblock quick from <t>\npass from 192.0.2.1\n"),
    ("an address and a table of it",
     "table <t> { 192.0.2.1 }\nblock quick from 192.0.2.1\npass from <t>\n"),
    ("another table", "table <t> { 192.0.2.1 }\ntable <u> { 192.0.2.1 }\n"
     "block quick from <t>\npass from <u>\n"),
    ("a table and not it", "table <t> { 192.0.2.1 }\nblock quick from ! <t>\npass from <t>\n"),
    ("an address and not it", "block quick from ! 192.0.2.1\npass from 192.0.2.1\n"),
    ("a range and an address", "block quick from 192.0.2.1 - 192.0.2.9\npass from 192.0.2.5\n"),
    ("pass and its flags", "pass quick\nblock\n"),
    ("pass of TCP and its flags", "pass quick proto tcp\nblock proto tcp\n"),
    ("flags the other way", "block quick proto tcp flags S/SA\npass proto tcp flags any\n"),
    ("flags that ask for more", "block quick proto tcp flags S/SA\npass proto tcp flags S/S\n"),
    ("other flags", "block quick proto tcp flags S/SA\npass proto tcp flags A/SA\n"),
    # rules that keep state do not match replies
    ("pass of ICMP and its state", "pass quick inet proto icmp\nblock inet proto icmp\n"),
    ("pass without flags and its state", "pass quick flags any\nblock\n"),
    ("another icmp-type", "block quick inet proto icmp icmp-type 8\n"
     "pass inet proto icmp icmp-type 0\n"),
    ("fragments alone", "block quick fragment\npass proto udp\n"),
    ("not quick", "block proto udp to port 53\nblock proto udp\npass out proto tcp\n"),
    ("nothing decided", "match quick proto udp\nblock proto tcp\n"),
    ("an anchor between", 'block quick proto udp\nanchor "x"\npass proto udp\n'),
    ("braces between", "block quick proto udp\nanchor { pass proto tcp\n }\npass proto udp\n"),
    ("in braces", "block quick proto udp\nanchor {\n pass proto udp\n}\n"),
    ("from braces", "anchor {\n block quick proto udp\n}\npass proto udp\n"),
    ("nat-to between", "block quick proto udp\nmatch out nat-to 192.0.2.1\npass proto udp\n"),
    ("rdr-to between", "block quick proto udp\nmatch in rdr-to 192.0.2.1\npass proto udp\n"),
    ("rtable between", "block quick proto udp\nmatch rtable 1\npass proto udp\n"),
    ("another kind of rule", "nat on lo from 10/8 to any -> 192.0.2.1\n"
     "nat on lo from 10.1/16 to any -> 192.0.2.1\nscrub in\nscrub in proto udp\n"),
    ("ether rules", "ether block quick\nether pass\n"),
    ("rules of one list", "block quick proto tcp to port { 1:9, 5 }\n"),
    ("the usual", "block log\nblock in quick on ! lo from 127/8\npass out\n"
     "pass in proto tcp to port 22\npass in inet proto icmp icmp-type echoreq\n"),
    # what asks for more than is compared
    *((f"quick with {option}", f"block quick proto tcp {option}\nblock proto tcp to port 80\n")
      for option in ("user root", "group root", "tos 5", "prio 5", "tagged x", "! tagged x",
                     "received-on lo", "probability 50%", "max-pkt-rate 5/5", "max-pkt-size 500",
                     "once", "from any os Linux")),
    ("quick on rdomain", "block quick on rdomain 5\nblock proto tcp to port 80\n"),
    ("quick with a limiter", 'state limiter "l" id 1 limit 5\n'
     'pass quick proto udp state limiter "l"\nblock proto udp to port 80\n'),
    ("quick with a source limiter", 'source limiter "l" id 1 entries 5 limit 5\n'
     'pass quick proto udp source limiter "l"\nblock proto udp to port 80\n'),
]


@cases(*INNOCENT)
def test_no_warning(_name, text):
    warns(text)


# --- rules without an effect ---

@cases(
    ("the same rule", "pass in no state\nblock in\n", [undone(1, 2)]),
    ("the same words", "pass in on lo proto udp to port 53 no state\n"
     "block drop in on lo proto udp to port 53\n", [undone(1, 2)]),
    ("quick", "pass in no state\nblock return in quick\n", [undone(1, 2)]),
    ("with a label and a log", 'pass log no state label "x"\nblock log label "y"\n',
     [undone(1, 2)]),
    ("with allow-opts", "pass no state allow-opts\nblock\n", [undone(1, 2)]),
    ("far apart", "pass out no state\n" + "pass in proto udp to port 53\n" * 1 +
     "block in proto udp to port 54\n" + "block out\n", [undone(1, 4)]),
    ("by a wider one", "pass in\nblock in\n", [covered(1, 2)]),
    ("pass by a wider block", "pass in proto tcp to port 22\nblock\n", [covered(1, 2)]),
    ("block by a wider pass", "block in proto udp from 10/8\npass\n", [covered(1, 2)]),
    ("block by a pass", "block in proto udp\npass in proto udp\n", [covered(1, 2)]),
    ("block by a pass that does more",
     "block in proto udp\npass in proto udp tag x set prio 5\n", [covered(1, 2)]),
    ("by the last of several", "pass in no state\nblock out\nblock in\n", [undone(1, 3)]),
    ("part of a list", "pass proto { tcp udp } no state\nblock proto tcp\n",
     [undone(1, 2, PART)]),
    ("all of a list", "pass proto { tcp udp } no state\nblock\n", [covered(1, 2)]),
    ("a list by a list", "pass proto { tcp udp } no state\nblock proto { udp tcp }\n",
     [undone(1, 2)]),
    ("members by different rules",
     "pass proto { tcp udp } no state\nblock proto tcp\nblock proto udp\n",
     [undone(1, 2, PART), undone(1, 3, PART)]),
    ("in braces", "anchor {\n\tpass in no state\n\tblock in\n}\n", [undone(2, 3)]),
    # what never matches undoes nothing, and is not said to be undone
    ("never", "block quick proto udp\npass proto udp\nblock proto udp\n",
     [never(2, 1), never(3, 1)]),
    ("antispoof", "block in quick\nantispoof for lo\n", [never(2, 1)]),
)
def test_without_effect(_name, text, want):
    warns(text, *want)


@cases(
    ("the same action", "pass in\npass in\nblock out\nblock out\n"),
    ("the usual order", "block\npass\n"),
    ("block of TCP", "block in proto tcp\npass in proto tcp\n"),
    ("block of ICMP", "block inet proto icmp\npass inet proto icmp\n"),
    ("a quick one of TCP", "pass in quick\nblock in\n"),
    ("a narrower one", "pass in no state\nblock in proto tcp\n"),
    ("two halves", "pass no state\nblock in\nblock out\n"),
    ("another table", "table <t> {}\ntable <u> {}\npass from <t> no state\nblock from <u>\n"),
    ("an anchor between", 'pass no state\nanchor "x"\nblock\n'),
    ("translation between", "pass no state\nmatch out nat-to 192.0.2.1\nblock\n"),
    ("match", "match in\nblock in\n"), ("by match", "pass in no state\nmatch in\n"),
    ("with a tag", "pass tag x no state\nblock\n"),
    ("by chance", "pass no state\nblock probability 50%\n"),
    ("by a user's", "pass proto tcp no state\nblock proto tcp user root\n"),
    ("by one that goes", "pass no state\nblock once\n"),
    ("quick match", "pass no state\nmatch quick proto udp\nblock\n"),
    ("outside of the braces", "anchor {\n\tpass in no state\n}\nblock in\n"),
)
def test_with_effect(_name, text):
    warns(text)


# --- lists, files, macros: where a warning stands ---

@cases(
    ("all of it", "block quick proto { tcp udp }\npass proto { udp tcp }\n",
     [never(2, 1)]),
    ("part of it", "block quick proto { tcp udp }\npass proto { icmp udp }\n", [never(2, 1, PART)]),
    ("parts by different rules", "block quick proto tcp\nblock quick proto udp\n"
     "pass proto { tcp udp }\npass proto { tcp udp icmp }\n",
     [never(3, 1, PART), never(3, 2, PART), never(4, 1, PART), never(4, 2, PART)]),
    ("over lines", "block quick \\\n\tproto {\n\t\ttcp\n\t\tudp }\npass \\\n  proto tcp\n",
     [never(5, 1)]),
    ("out of macros", 'p = "{ tcp udp }"\nq = "quick proto $p"\nblock $q\npass proto $p\n',
     [never(4, 3)]),
    ("in braces",
     "block quick proto udp\nanchor {\n\tblock quick proto tcp\n\n\tpass proto tcp\n}\n",
     [never(5, 3)]),
    ("in braces of braces", "anchor {\n anchor {\n  block quick\n  pass\n }\n pass\n}\n",
     [never(4, 3)]),
    ("in order", "block quick proto udp\npass in proto udp\nblock quick proto tcp\n"
     "pass in proto tcp\npass out proto udp\n", [never(2, 1), never(4, 3), never(5, 1)]),
)
def test_place(_name, text, want):
    warns(text, *want)


def test_place_in_other_files():
    """Each in the words of its own file."""
    with Files({"pf.conf": "\npass quick proto udp\ninclude one.conf\npass proto tcp to port 22\n"
                           "anchor {\n\tinclude two.conf\n}\n",
                "one.conf": "block quick proto tcp\nqueues = 5\npass proto udp to port 53\n"
                            "pass in proto tcp\ntable <t> { 192.0.2.1 }\n",
                "two.conf": "block quick\npass from <tt>\n"}) as d:
        for option in ("--lint", "-v"):
            r = pfctl("-N", option, "-nf", "pf.conf", cwd=d.dir)
            eq(r.returncode, 0)
            lines_eq(re.sub("^    .*\n", "", r.stderr, flags=re.M), """\
one.conf:2:1: warning: macro 'queues' is never used
pf.conf:4: warning: rule can never match: the quick rule at line 1 of one.conf covers it
one.conf:3: warning: rule can never match: the quick rule at line 2 of pf.conf covers it
one.conf:4: warning: rule can never match: the quick rule at line 1 covers it
one.conf:5: warning: table <t> is never used
two.conf:2: warning: rule can never match: the quick rule at line 1 covers it
two.conf:2: warning: table <tt> is not defined
""")


def test_loaded_anchor_is_not_judged():
    """It is a ruleset of its own, and what it has may be used by others."""
    with Files({"pf.conf": 'anchor "a"\nload anchor "a" from "a.conf"\ntable <open> {}\n',
                "a.conf": "m = 5\nblock quick\npass\ntable <t> {}\npass from <u>\n"}) as d:
        r = pfctl("-N", "--lint", "-nf", "pf.conf", cwd=d.dir)
    eq((r.returncode, r.stderr), (0, ""))


def test_file_for_an_anchor():
    """The main ruleset may have the tables that it names."""
    text = "table <t> {}\npass from <nobody>\n"
    unused = "stdin:1: warning: table <t> is never used\n"
    unknown = "stdin:2: warning: table <nobody> is not defined\n"
    eq(pfctl("--lint", "-nf", "-", text=text).stderr, unused + unknown)
    eq(pfctl("-a", "foo", "--lint", "-nf", "-", text=text).stderr, unused)


def test_errors_come_alone():
    """Of a text that is refused, rules and tables are not judged."""
    text = "m = 5\ntable <t> {}\nblock quick\npass\npass nonsense\n"
    for option in ("--lint", "-v"):
        r = pfctl("-N", option, "-nf", "-", text=text)
        eq((r.returncode, r.stdout), (1, ""))
        lines_eq(r.stderr, 'stdin:5:6: syntax error: unexpected "nonsense"\n    pass nonsense\n'
                 "         ^~~~~~~~\npfctl-linux: 1 error in stdin: rules not loaded\n")


# --- macros ---

# what a label or tag has, what is said of it
NOTHING = "$%s in a %s stands for nothing"
MEANT = NOTHING + "; did you mean $%s?"


@cases(
    ("letter left out", "$srcadr", [MEANT % ("srcadr", "label", "srcaddr")]),
    ("letters changed", "a $dstprot", [MEANT % ("dstprot", "label", "dstport")]),
    ("two", "$nr $prot $srcpotr", [MEANT % ("prot", "label", "proto"),
                                   MEANT % ("srcpotr", "label", "srcport")]),
    ("something else", "$user", [NOTHING % ("user", "label")]),
    ("large letters", "$NR", [NOTHING % ("NR", "label")]),
    ("underscore", "$src_port", [MEANT % ("src_port", "label", "srcport")]),
    ("all that there are", "$if $nr $proto $srcaddr $srcport $dstaddr $dstport", []),
    ("and letters behind", "$nrx $iface", []), ("no names", "$ 5$ $5 $$ $-", []),
)
def test_label_macros(_name, text, want):
    """What looks like a macro and is none stays as it is; also in tags."""
    for rule, what in ((f'pass label "{text}"', "label"), (f'pass tag "{text}"', "tag"),
                       (f'pass tagged "{text}"', "tag"),
                       (f'pass label "x" label "{text}"', "label"),
                       (f'antispoof for (lo) label "{text}"', "label")):
        said_so = [w.replace("in a label", f"in a {what}") for w in want]
        for option in ("--lint", "-v"):
            eq(re.findall(r"^stdin:1:\d+: warning: (\$.*)$", said(rule + "\n", option), re.M),
               said_so, f"{option} {rule}")
        eq(said(rule + "\n"), "")


def unused(line, column, name):
    return f"stdin:{line}:{column}: warning: macro '{name}' is never used\n"


@cases(
    ("used", "a = lo\npass on $a\n", ""), ("not used", "a = lo\npass\n", unused(1, 1, "a")),
    ("indented", "pass\n\t a = lo\n", unused(2, 3, "a")),
    ("used in another one", "a = lo\nb = $a\npass on $b\n", ""),
    ("used in one that is not used", "a = lo\nb = $a\npass\n", unused(2, 1, "b")),
    ("named in another one", 'a = lo\nb = "on $a"\npass $b\n', ""),
    ("named in one that is not used", 'b = "on $a"\npass\n', unused(1, 1, "b")),
    ("in a comment", "a = lo\npass # $a\n", unused(1, 1, "a")),
    ("in a string", "a = lo\npass label '$a'\n",
     'stdin:2:12: warning: $a in a label: macros are not replaced in strings\n'
     "    pass label '$a'\n               ^~~~\n" + unused(1, 1, "a")),
    ("used before it is defined again", "a = lo\npass on $a\na = em0\n", ""),
    ("defined twice", "a = lo\na = em0\npass\n", unused(2, 1, "a")),
    ("in braces", "anchor {\n\ta = lo\n\tpass\n}\n", unused(2, 2, "a")),
    ("used in braces", "a = lo\nanchor {\n\tpass on $a\n}\n", ""),
    ("used behind braces", "anchor {\n\ta = lo\n}\npass on $a\n", ""),
    ("used as a part", "a = lo\npass from $a:network\n", ""),
)
def test_unused_macros(_name, text, want):
    for option in ("--lint", "-v"):
        lines_eq(said(text, option), want, option)
    eq(said(text), "")


def test_defines_are_not_judged():
    """-D is for many files, and what it overrides is used by it."""
    text = "a = lo\npass\n"
    eq(said(text, "--lint", "-D", "b=5"), unused(1, 1, "a"))
    eq(said(text, "--lint", "-D", "a=5"), "")


# --- tables ---

def not_defined(line, name, meant=None):
    return line, f"table <{name}> is not defined" + (f"; did you mean <{meant}>?" if meant else "")


def table_unused(line, name):
    return line, f"table <{name}> is never used"


@cases(
    ("used", "table <t> { 192.0.2.1 }\npass from <t>\n"),
    ("used before", "pass to ! <t>\ntable <t> persist\n"),
    ("not used", "table <t> { 192.0.2.1 }\ntable <u> persist\ntable <v> const file '/dev/null'\n"
     "pass from <u>\n", table_unused(1, "t"), table_unused(3, "v")),
    ("persist", "table <t> persist\n", table_unused(1, "t")),
    ("not defined", "pass from <t>\n", not_defined(1, "t")),
    ("in a list", "table <t> {}\npass from {\n<t>\n! <u> }\n", not_defined(2, "u")),
    ("twice in a line", "pass from <t> to <t>\npass to <t>\n", not_defined(1, "t"),
     not_defined(2, "t")),
    ("misspelt", "table <abusers> {}\npass from <abuser>\n", table_unused(1, "abusers"),
     not_defined(2, "abuser", "abusers")),
    ("misspelt once", "table <abusers> {}\npass from <abusers>\npass from <abuesrs>\n",
     not_defined(3, "abuesrs", "abusers")),
    ("the nearest", "table <web12> {}\ntable <web1> {}\npass from <web12> to <web1>\n"
     "pass from <web>\n", not_defined(4, "web", "web1")),
    ("three letters off", "table <abusers> {}\npass from <abusers>\npass from <abus>\n",
     not_defined(3, "abus")),
    ("nothing left of it", "table <a> {}\npass from <a>\npass from <b>\n", not_defined(3, "b")),
    ("overload", "table <t> persist\npass keep state (max-src-conn 5, overload <t>)\n"
     "pass keep state (max-src-conn 5, overload <u>)\n", not_defined(3, "u")),
    ("pools", "table <a> {}\ntable <b> {}\ntable <c> {}\ntable <d> {}\npass in rdr-to <a>\n"
     "match out nat-to <b>\npass in route-to <c>\nnat on lo -> <d>\n"),
    ("old rules", "table <a> {}\ntable <b> {}\nscrub in from <a>\nno rdr on lo from <b>\n"
     "no nat from <c>\n", not_defined(5, "c")),
    ("ether rules", "table <a> {}\nether block l3 from <a> to <b>\n", not_defined(2, "b")),
    ("limiters", "table <t> persist\n"
     'source limiter "a" id 1 entries 5 limit 5 table <t> above 5\n'),
    ("head of an anchor", "table <a> {}\nanchor from <a> {\n\tpass\n}\n"),
    ("in braces", "table <a> {}\ntable <b> {}\nanchor {\n\ttable <a> { 192.0.2.1 }\n"
     "\ttable <c> {}\n\tpass from <a> to <b>\n\tpass from <d>\n}\n", table_unused(1, "a"),
     table_unused(5, "c"), not_defined(7, "d")),
    ("of braces, outside", "anchor {\n\ttable <a> {}\n\tpass from <a>\n}\npass from <a>\n",
     not_defined(5, "a")),
    ("of braces, not meant outside", "anchor {\n\ttable <abusers> {}\n\tpass from <abusers>\n}\n"
     "pass from <abuser>\n", not_defined(5, "abuser")),
    # its rules may use what the main ruleset has
    ("an anchor of others", 'table <a> {}\nanchor "x"\npass from <b>\n', not_defined(3, "b")),
    ("an anchor of others, braces", 'anchor "x" {\n\ttable <a> {}\n\tanchor "y"\n}\n',
     table_unused(2, "a")),
)
def test_tables(_name, text, *want):
    warns(text, *want)


# --- queues ---

@cases(
    ("no default", "queue r on lo bandwidth 5M\nqueue a parent r bandwidth 1M\n", """\
stdin:1:12: warning: no queue on lo is the default one
    queue r on lo bandwidth 5M
               ^~
"""),
    ("a default", "queue r on lo bandwidth 5M\nqueue a parent r bandwidth 1M default\n", ""),
    ("the root is it", "queue r on lo bandwidth 5M default\n", ""),
    ("two", "queue r on lo bandwidth 5M\nqueue a parent r bandwidth 1M default\n"
     "queue b parent r bandwidth 1M default\n", """\
stdin:1:12: warning: 2 queues on lo are the default one
    queue r on lo bandwidth 5M
               ^~
"""),
    ("each interface", "queue r on lo bandwidth 5M default\n\tqueue s on em0 bandwidth 5M\n", """\
stdin:2:13: warning: no queue on em0 is the default one
    \tqueue s on em0 bandwidth 5M
    \t           ^~~
"""),
    ("ALTQ, none", "altq on lo cbq bandwidth 1Mb queue { a }\nqueue a cbq\n", """\
stdin:1:9: warning: no queue on lo is the default one
    altq on lo cbq bandwidth 1Mb queue { a }
            ^~
"""),
    ("ALTQ, one", "altq on lo cbq bandwidth 1Mb queue { a }\nqueue a cbq(default)\n", ""),
)
def test_queues(_name, text, want):
    for option in ("--lint", "-v"):
        lines_eq(said(text, option), want, option)
    eq(said(text), "")


# --- interfaces ---

# {} is where the name of an interface stands.
NAMED = ["pass on {}", "pass on { lo {} }", "block on ! {}", "pass out received-on {}",
         "set skip on {}", "set skip on { lo {} }", "anchor on {} { pass }", "scrub in on {}",
         "nat on {} -> 192.0.2.1", "no rdr on {}", "ether block on {}",
         "ether pass on lo bridge-to {}", "antispoof for ({})",
         "queue q on {} bandwidth 5M default",
         "altq on {} priq bandwidth 1Mb queue { q }"]


@cases(*[(text, text) for text in NAMED])
def test_interfaces(_name, text):
    """With --lint alone: the place of the name, and which one is near."""
    rest = "queue q priq(default)\n" if "altq" in text else ""
    if text.startswith("anchor"):
        text = text.replace("{ pass", "{\npass")
    ns = Netns(f"{own.name()}.names")
    try:
        ns.batch(["link add uplink0 type veth peer name peer0"])
        for name, meant in (("uplink0", None), ("nothing5", ""), ("uplnik0", "uplink0")):
            line = text.replace("{}", name)
            first = line.split("\n", maxsplit=1)[0]
            for args in (["--lint"], ["-v", "--lint"], ["-v"], [], ["--offline", "--lint"]):
                r = ns.run(PFCTL, "-p", NOWHERE, "-N", *args, "-nf", "-",
                           input=line + "\n" + rest)
                want = ""
                if meant is not None and "--lint" in args and "--offline" not in args:
                    column = first.index(name)
                    want = (f"stdin:1:{column + 1}: warning: there is no interface '{name}'"
                            + (f"; did you mean '{meant}'?" if meant else "")
                            + f"\n    {first}\n    {' ' * column}^{'~' * (len(name) - 1)}\n")
                lines_eq(r.stderr, want, f"{name} {args}")
    finally:
        ns.delete()


def test_interfaces_that_are_there():
    """Under all their names."""
    r = pfctl("-N", "--lint", "-nf", "-", text="pass on lo\npass on lo0\npass on any\n"
              "set skip on lo0\nset loginterface none\npass from (lo0)\nantispoof for lo0\n"
              "antispoof for (lo0)\npass on ! any\n")
    eq((r.returncode, r.stderr), (0, ""))
