# SPDX-License-Identifier: BSD-2-Clause
"""Warnings (-v, --lint), the optimiser (-o, set ruleset-optimization) and --offline, as pfctl-linux
shows them: what is said and what is not, and what becomes of the rules.

pf.conf(5), WARNINGS and THE OPTIMISER, says what is right.
"""
import os
import re
import subprocess
import tempfile

from pft.check import absent, cases, contains, eq, lines_eq
from pft.lab import FW_SRC, PFCTL, Lab
from pft.netns import Netns, wait_for

SECONDS = 30 * float(os.environ.get("PF_TIMEOUT_SCALE", 1))
NOWHERE = "/nonexistent/pfd.sock"


def pfctl(*args, text=None, cwd=None):
    """pfctl-linux that finds no pfd; text is its standard input."""
    r = subprocess.run([PFCTL, "-p", NOWHERE, *args], input=text, cwd=cwd, capture_output=True,
                       text=True, timeout=SECONDS, check=False,
                       stdin=None if text is not None else subprocess.DEVNULL)
    if r.returncode not in (0, 1) or "Sanitizer" in r.stderr or "runtime error" in r.stderr:
        raise AssertionError(f"exit status {r.returncode}\n{r.stderr[-2000:]}")
    return r


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


class Files:
    """A directory with these files, {name: text}."""

    def __init__(self, files):
        self.tmp = tempfile.TemporaryDirectory(prefix=f"pft{os.getpid()}.")
        for name, text in files.items():
            with open(os.path.join(self.tmp.name, name), "w", encoding="utf-8") as f:
                f.write(text)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.tmp.cleanup()

    def pfctl(self, *args):
        return pfctl("-N", *args, cwd=self.tmp.name)


def test_place_in_other_files():
    """Each in the words of its own file."""
    with Files({"pf.conf": "\npass quick proto udp\ninclude one.conf\npass proto tcp to port 22\n"
                           "anchor {\n\tinclude two.conf\n}\n",
                "one.conf": "block quick proto tcp\nqueues = 5\npass proto udp to port 53\n"
                            "pass in proto tcp\ntable <t> { 192.0.2.1 }\n",
                "two.conf": "block quick\npass from <tt>\n"}) as d:
        for option in ("--lint", "-v"):
            r = d.pfctl(option, "-nf", "pf.conf")
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
        r = d.pfctl("--lint", "-nf", "pf.conf")
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
    ns = Netns(f"pft{os.getpid()}.names")
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


# --- --offline ---

def offline(text, out, err="", *args):
    """Accepted with these warnings, printed as this; and that is printed as itself."""
    r = pfctl("-o", "none", "--offline", *args, "-vnf", "-", text=text)
    eq(r.returncode, 0, r.stderr)
    lines_eq(r.stdout, out)
    lines_eq(r.stderr, err)
    again = pfctl("-o", "none", "--offline", *args, "-vnf", "-", text=r.stdout)
    lines_eq(again.stdout, out, "printed again")
    # not only on request: something is missing in what was checked
    r = pfctl("-o", "none", "--offline", *args, "-nf", "-", text=text)
    eq((r.returncode, r.stdout), (0, ""))
    lines_eq(r.stderr, err)


def not_looked_up(line, column, name, source, length=None):
    return (f'stdin:{line}:{column}: warning: "{name}" is not looked up\n    {source}\n'
            f"    {' ' * (column - 1)}^{'~' * ((length or len(name)) - 1)}\n")


@cases(
    ("on", "pass on none0\n", "pass on none0 all flags S/SA\n"),
    ("negated", "block in quick on ! none0\n", "block drop in quick on ! none0 all\n"),
    ("list", "pass on { none0, ! none1 }\n",
     "pass on none0 all flags S/SA\npass on ! none1 all flags S/SA\n"),
    ("in parentheses", "pass from (none0) to ! (none1:network)\n",
     "pass from (none0) to ! (none1:network) flags S/SA\n"),
    ("received-on", "pass out received-on none0\n",
     "pass out all received-on none0 flags S/SA\n"),
    ("set", "set skip on none0\nset loginterface none1\n",
     "set skip on { none0 }\nset loginterface none1\n"),
    ("antispoof", "antispoof quick for none0\n",
     "block drop in quick on ! none0 from none0:network to any\n"
     "block drop in quick from none0 to any\n"),
    ("anchor", "anchor on none0 {\n\tpass on none1\n}\n",
     "anchor on none0 all {\n  pass on none1 all flags S/SA\n}\n"),
    ("queue", "queue q on none0 bandwidth 5M default\n",
     "queue q on none0 bandwidth 5M default\n"),
    ("scope", "pass in from fe80::1%none0\n",
     "pass in on none0 inet6 from fe80::1 to any flags S/SA\n"),
    ("old rules", "nat on none0 inet from 10/8 to any -> (none1)\n",
     "nat on none0 inet from 10.0.0.0/8 to any -> (none1) round-robin\n"),
    ("route", "pass in route-to (none0 192.0.2.1)\n", None),
)
def test_offline_interfaces(_name, text, out):
    """They are taken as there, without a word, with --lint as well."""
    if out is None:
        out = pfctl("-o", "none", "-vnf", "-", text=text).stdout
        contains(out, "none0")
    offline(text, out)
    eq(pfctl("-o", "none", "--offline", "--lint", "-nf", "-", text=text).stderr.replace(
        "table", ""), "")


@cases(
    ("source", "pass from none.example\n", "pass from none.example to any flags S/SA\n",
     [(1, 11, "none.example")]),
    ("negated", "pass to ! none.example\n", "pass from any to ! none.example flags S/SA\n",
     [(1, 11, "none.example")]),
    ("in a list", "block from { 192.0.2.1 none.example }\n",
     "block drop inet from 192.0.2.1 to any\nblock drop from none.example to any\n",
     [(1, 24, "none.example")]),
    ("both sides", "block from a.example to b.example\n",
     "block drop from a.example to b.example\n",
     [(1, 12, "a.example"), (1, 25, "b.example")]),
    ("with a family", "pass inet6 from none.example\n",
     "pass inet6 from none.example to any flags S/SA\n", [(1, 17, "none.example")]),
    ("first address", "pass from none.example:0\n", "pass from none.example:0 to any flags S/SA\n",
     [(1, 11, "none.example:0")]),
    ("localhost, too", "pass from localhost\n", "pass from localhost to any flags S/SA\n",
     [(1, 11, "localhost")]),
    ("an interface that is here", "pass from lo\npass to lo:network\n",
     "pass from lo to any flags S/SA\npass from any to lo:network flags S/SA\n",
     [(1, 11, "lo"), (2, 9, "lo:network")]),
    ("a pool", "pass in rdr-to none.example\n", "pass in all flags S/SA rdr-to none.example\n",
     [(1, 16, "none.example")]),
)
def test_offline_names(_name, text, out, names):
    """They stand for themselves, and each is said."""
    lines = text.splitlines()
    offline(text, out, "".join(not_looked_up(n, c, name, lines[n - 1]) for n, c, name in names))
    # -N is about errors, and this is none
    offline(text, out, "".join(not_looked_up(n, c, name, lines[n - 1]) for n, c, name in names),
            "-N")


def test_offline_name_with_prefix_length():
    text = "pass from none.example/24"
    offline(text + "\n", "pass from none.example/24 to any flags S/SA\n",
            not_looked_up(1, 11, "none.example", text, len("none.example/24")))


def test_offline_name_in_a_table():
    text = "table <t> { 192.0.2.1 none.example !other.example }"
    offline(text + "\npass from <t>\n",
            text + "\npass from <t> to any flags S/SA\n",
            not_looked_up(1, 23, "none.example", text)
            + not_looked_up(1, 37, "other.example", text))


def test_offline_is_no_excuse():
    """What is wrong on every host is an error."""
    for text, message in (("pass from 192.0.2.300", "192.0.2.300 is not an address"),
                          ("pass on $none", "macro 'none' is not defined"),
                          ("pass proto nonsense", "unknown protocol nonsense"),
                          ("pass proto tcp to port nonsense", "unknown port nonsense"),
                          ("pass from lo:nonsense", "lo:nonsense is not an address"),
                          ("pass on interface-too-long", "is too long"),
                          ('include "/"', "cannot include /: Is a directory")):
        r = pfctl("--offline", "-nf", "-", text=text + "\n")
        eq((r.returncode, r.stdout), (1, ""), text)
        contains(r.stderr.splitlines()[0], message)
        eq(r.stderr.splitlines()[-1], "pfctl-linux: 1 error in stdin: rules not loaded")


@cases(
    ("include", "include none.conf\npass\n", "pass all flags S/SA\n", """\
stdin:1:9: warning: there is no none.conf: taken as empty
    include none.conf
            ^~~~~~~~~
"""),
    ("include in a directory", 'include "none/none.conf"\n', "", """\
stdin:1:9: warning: there is no none/none.conf: taken as empty
    include "none/none.conf"
            ^~~~~~~~~~~~~~~~
"""),
    ("out of a macro", 'm = none.conf\ninclude $m\n', 'm = "none.conf"\n', """\
stdin:2:9: warning: there is no none.conf: taken as empty
    include $m
            ^~
    in expansion of $m, defined at stdin:1
"""),
    ("a table's file", 'table <t> file none { 192.0.2.1 }\nblock from <t>\n',
     'table <t> file "none" { 192.0.2.1 }\nblock drop from <t> to any\n', """\
stdin:1:16: warning: cannot read none (No such file or directory): taken as empty
    table <t> file none { 192.0.2.1 }
                   ^~~~
"""),
    ("load anchor", "anchor a\nload anchor a from none\n",
     'load anchor "a" from "none"\nanchor "a" all\n', """\
stdin:2:20: warning: there is no none: taken as empty
    load anchor a from none
                       ^~~~
"""),
    ("fingerprints", 'set fingerprints "none"\n', 'set fingerprints "none"\n', ""),
    ("operating system", 'pass proto tcp from any os "NoSuchOS"\n',
     'pass proto tcp from any os "NoSuchOS" to any flags S/SA\n', ""),
)
def test_offline_files(_name, text, out, err):
    offline(text, out, err)


def test_offline_users():
    r = pfctl("--offline", "-nf", "-", text="pass proto tcp user nobody-here\n"
              "block proto udp group > nobody-here\npass proto tcp user root\n")
    eq(r.returncode, 1)
    r = pfctl("--offline", "-nf", "-", text="pass proto tcp user nobody-here\n"
              "block proto udp group nobody-here\npass proto tcp user root\n")
    lines_eq(r.stderr, """\
stdin:1:21: warning: unknown user nobody-here
    pass proto tcp user nobody-here
                        ^~~~~~~~~~~
stdin:2:23: warning: unknown group nobody-here
    block proto udp group nobody-here
                          ^~~~~~~~~~~
""")
    eq(r.returncode, 0)
    # here they are errors
    r = pfctl("-nf", "-", text="pass proto tcp user nobody-here\n")
    eq((r.returncode, r.stderr.splitlines()[0]), (1, "stdin:1:21: unknown user nobody-here"))


def test_offline_and_included_files():
    """What is missing may be named in a file that is not."""
    with Files({"pf.conf": "include one.conf\npass nonsense\n",
                "one.conf": "include two.conf\npass from none.example\n"}) as d:
        r = d.pfctl("--offline", "-nf", "pf.conf")
        lines_eq(r.stderr, """\
one.conf:1:9: warning: there is no two.conf: taken as empty
    include two.conf
            ^~~~~~~~
    included at pf.conf:1
one.conf:2:11: warning: "none.example" is not looked up
    pass from none.example
              ^~~~~~~~~~~~
    included at pf.conf:1
pf.conf:2:6: syntax error: unexpected "nonsense"
    pass nonsense
         ^~~~~~~~
pfctl-linux: 1 error in pf.conf: rules not loaded
""")
        eq((r.returncode, r.stdout), (1, ""))
        # the file itself must be there
        r = d.pfctl("--offline", "-nf", "none.conf")
        eq((r.returncode, r.stderr), (1, "pfctl-linux: none.conf: No such file or directory\n"))


@cases(("-f", ["-f", "-"]), ("-f and -v", ["-v", "-f", "-"]), ("-e", ["-e"]), ("-s", ["-sr"]),
       ("before -f", ["-o", "none", "-f", "-"]), ("--lint", ["--lint", "-f", "-"]),
       ("--confirm", ["--confirm", "60", "-f", "-"]))
def test_offline_goes_with_n(_name, args):
    """Before anything is read or asked."""
    r = pfctl("--offline", *args, text="pass nonsense\n")
    eq((r.returncode, r.stdout, r.stderr), (1, "", "pfctl-linux: --offline goes with -n\n"))
    r = pfctl(*args, "--offline", text="pass nonsense\n")
    eq((r.returncode, r.stdout, r.stderr), (1, "", "pfctl-linux: --offline goes with -n\n"))
