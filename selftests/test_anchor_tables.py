# SPDX-License-Identifier: BSD-2-Clause
"""Tables of anchors, and rulesets that files bring into anchors: what packets see of them on
both emitters, and how they come, change and go."""
import os
import random
import re
import signal
import subprocess
import time

from pft.check import cases, contains, eq, lines_eq, one_lab, timeout
from pft.lab import FW_SRC, MAC, PFCTL, SRC, Lab
from pft.netns import wait_for
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import raw

PASS, DROP = -1, 2
EMITTERS = ("linear", "tree")


def frame(src):
    dst = "2001:db8:ffff::9" if ":" in src else "198.18.0.9"
    ip = IPv6 if ":" in src else IP
    return raw(Ether(dst=MAC["ext"], src="02:00:00:00:00:99") / ip(src=src, dst=dst) /
               UDP(sport=1, dport=9))


def passes(lab, src):
    return lab.pf.run("ext", "in", frame(src))[0] == PASS


def who_passes(lab, *sources):
    return [src for src in sources if passes(lab, src)]


def shown(lab, *args):
    """What -T show says of -t and perhaps -a."""
    return sorted(lab.pf.ctl(*args, "-T", "show").stdout.split())


def tables(lab, *args):
    return lab.pf.ctl(*args, "-sT").stdout.split()


ONE, TWO, THREE, SIX = "192.0.2.101", "192.0.2.102", "192.0.2.103", "2001:db8:1::106"
ALL = (ONE, TWO, THREE, SIX)

# name, rules, who passes; "pass" is "pass quick no state"
WALKS = [
    ("a table of its own hides the main one", f"""
        table <t> {{ {ONE} }}
        block
        anchor a {{
            table <t> {{ {TWO} {SIX} }}
            pass from <t>
        }}
     """, [TWO, SIX]),
    ("behind an anchor that asks for the other one", f"""
        table <t> {{ {ONE} {TWO} }}
        block
        anchor a from <t> {{
            table <t> {{ {TWO} {THREE} }}
            pass from <t>
        }}
     """, [TWO]),
    ("in front of rules that ask for the other one", f"""
        table <t> {{ {ONE} }}
        block
        anchor a {{
            table <t> {{ {TWO} }}
            anchor from <t> {{
                pass from ! <t>
            }}
            anchor from ! <t> {{
                pass from ! <t> to 10/8
            }}
        }}
        pass from <t>
     """, [ONE, TWO]),
    ("without one of its own the main one", f"""
        table <t> {{ {ONE} }}
        block
        anchor a {{
            anchor b {{
                pass from <t>
            }}
        }}
     """, [ONE]),
    ("never that of the anchor around it", f"""
        table <t> {{ {ONE} }}
        block
        anchor a {{
            table <t> {{ {TWO} }}
            table <u> {{ {TWO} }}
            pass from <u>
            anchor b {{
                pass from <t>
                pass from <u>
            }}
        }}
     """, [ONE, TWO]),
    ("what is nowhere holds nothing", """
        block
        anchor a {
            pass from <nobody>
            anchor b inet6 {
                pass from ! <nobody>
            }
        }
     """, [SIX]),
    ("an empty one hides too", f"""
        table <t> {{ {ONE} }}
        block
        anchor a {{
            table <t> {{ }}
            pass from <t>
        }}
        anchor b {{
            table <t>
            pass from <t>
        }}
     """, []),
    ("the same name in several", f"""
        block
        anchor a {{
            table <t> {{ {ONE} }}
            pass from <t>
            anchor b {{
                table <t> {{ {TWO} }}
                pass from <t>
            }}
            anchor {{
                table <t> {{ {THREE} }}
                pass from <t>
            }}
        }}
     """, [ONE, TWO, THREE]),
    ("negated ones", f"""
        block
        anchor a {{
            table <t> const persist {{ 192.0.2.0/24 !{TWO} 2001:db8::/32 }}
            pass from <t>
            anchor {{
                table <t> {{ ::/0 !{SIX} }}
                block from ! <t> to 10/8
                pass inet6 from ! <t>
            }}
        }}
     """, [ONE, THREE, SIX]),
    ("wherever it is called from", f"""
        table <t> {{ {ONE} }}
        block
        anchor b on nosuch0 {{
            anchor z {{
                table <t> {{ {THREE} }}
                pass from <t>
            }}
        }}
        anchor c {{
            table <t> {{ {SIX} }}
            anchor "../b/*"
        }}
     """, [THREE]),
]


@timeout(120)
@one_lab(lambda e: Lab(hosts=2, v6=False, fresh=True, pfd_args=("--emitter", e)), by=1)
@cases(*[(f"{e} {name}", e, rules, want) for e in EMITTERS for name, rules, want in WALKS])
def test_walk(lab, _name, _emitter, rules, want):
    lab.pf.load(re.sub(r"\bpass\b(.*)", r"pass quick\1 no state", rules))
    eq(who_passes(lab, *ALL), want)
    # and so for a pfd that takes over
    lab.pf.stop(signal.SIGKILL)
    lab.pf.start()
    eq(who_passes(lab, *ALL), want)


def test_forwarded_packets():
    """The whole way, at both interfaces."""
    with Lab(rules=f"table <t> {{ {SRC} }}\nblock\nanchor a {{\ntable <t> {{ 10/8 }}\n"
                   "pass from <t>\n}\nanchor b {\npass from <t>\n}\n") as lab:
        eq(lab.src.ping(FW_SRC), True)
        lab.pf.ctl("-a", "b", "-t", "t", "-T", "add", "10.0.0.0/8")
        lab.pf.ctl("-F", "states")
        eq(lab.src.ping(FW_SRC), False, "b has its own now")
        lab.pf.ctl("-a", "a", "-t", "t", "-T", "add", SRC)
        eq(lab.src.ping(FW_SRC), True)


# --- loading ---

IN_A = f"table <t> persist {{ {TWO} }}\npass from <t> no state\n"


@cases(*[(e, e) for e in EMITTERS])
def test_loads(_name, emitter):
    """Of one ruleset nothing happens to the tables of another."""
    main = f"table <t> persist {{ {ONE} }}\nblock\npass from <t> no state\nanchor a\nanchor b\n"
    with Lab(hosts=2, v6=False, rules=main, pfd_args=("--emitter", emitter)) as lab:
        ctl = lab.pf.ctl
        eq(who_passes(lab, *ALL), [ONE])
        ctl("-a", "a", "-f", "-", input=IN_A)
        eq(who_passes(lab, *ALL), [ONE, TWO])
        ctl("-a", "b", "-f", "-", input=f"table <t> {{ {SIX} }}\npass from <t> no state\n")
        eq(who_passes(lab, *ALL), [ONE, TWO, SIX])
        ctl("-t", "t", "-T", "add", "192.0.2.111")
        ctl("-a", "a", "-t", "t", "-T", "add", "192.0.2.112")
        ctl("-a", "b", "-t", "t", "-T", "add", "192.0.2.113")
        contents = [shown(lab, "-t", "t"), shown(lab, "-a", "a", "-t", "t"),
                    shown(lab, "-a", "b", "-t", "t")]
        eq(contents, [[ONE, "192.0.2.111"], [TWO, "192.0.2.112"], ["192.0.2.113", SIX]])

        def now():
            return [shown(lab, "-t", "t"), shown(lab, "-a", "a", "-t", "t"),
                    shown(lab, "-a", "b", "-t", "t")]

        # a third one, and one that cannot be
        ctl("-a", "c", "-f", "-", input="table <t> persist { 10/8 }\npass\n")
        eq(now(), contents)
        r = ctl("-a", "a", "-f", "-", check=False,
                input="set limit tables 3\ntable <t> { 10/8 }\npass from <t>\npass nonsense\n")
        eq(r.returncode, 1)
        contains(r.stderr, "stdin:4:6: syntax error")
        eq((now(), who_passes(lab, *ALL)), (contents, [ONE, TWO, SIX]))
        # the main one: its file gives a list
        lab.pf.load(main)
        contents[0] = [ONE]
        eq((now(), who_passes(lab, *ALL)), (contents, [ONE, TWO, SIX]))
        # one of them: it gives none, and then one
        ctl("-a", "a", "-f", "-", input="table <t> persist\npass from <t> no state\n")
        eq((now(), who_passes(lab, *ALL)), (contents, [ONE, TWO, SIX]))
        ctl("-a", "a", "-f", "-", input="pass from <t> no state\n")
        eq((now(), who_passes(lab, *ALL)), (contents, [ONE, TWO, SIX]))
        ctl("-a", "a", "-f", "-", input=f"table <t> {{ {THREE} }}\npass from <t> no state\n")
        contents[1] = [THREE]
        eq((now(), who_passes(lab, *ALL)), (contents, [ONE, THREE, SIX]))


def test_those_that_nobody_names():
    """Not persistent, they go with the last rule that names them; and the main one is next."""
    with Lab(hosts=2, v6=False, rules=f"table <t> persist {{ {ONE} }}\nblock\nanchor a\n") as lab:
        ctl = lab.pf.ctl
        ctl("-a", "a", "-f", "-", input=f"table <t> {{ {TWO} }}\ntable <gone> {{ {TWO} }}\n"
            f"table <stays> persist {{ {TWO} }}\npass from <t> no state\n")
        eq(tables(lab, "-a", "a"), ["stays@a", "t@a"])
        eq(who_passes(lab, *ALL), [TWO])
        ctl("-a", "a", "-f", "-", input="pass from <u> no state\n")
        eq(tables(lab, "-a", "a"), ["stays@a"])
        ctl("-a", "a", "-f", "-", input="pass from <t> no state\n")
        eq(who_passes(lab, *ALL), [ONE])
        ctl("-a", "a", "-F", "rules")
        eq(tables(lab, "-a", "a"), ["stays@a"])
        eq(tables(lab), ["t"])
        lab.pf.load("block\n")
        eq(tables(lab, "-a", "*"), ["t", "stays@a"])
        # the main ruleset's stay for anchors that name them, or have one of the name
        lab.pf.load(f"table <x> {{ {ONE} }}\ntable <y> {{ {ONE} }}\ntable <z> {{ {ONE} }}\n"
                    "block\nanchor b {\npass from <x>\ntable <y> persist\n}\n")
        eq(tables(lab), ["t", "x", "y"])
        ctl("-a", "b", "-f", "-", input="pass\n")
        eq(tables(lab), ["t", "y"])
        ctl("-a", "b", "-F", "Tables")
        lab.pf.load("block\nanchor b\n")
        eq(tables(lab, "-a", "*"), ["t", "stays@a"])


def test_files_of_tables():
    with Lab(hosts=2, v6=False) as lab:
        path = os.path.join(lab.dir, "list")
        with open(path, "w", encoding="ascii") as f:
            f.write(f"{ONE}\n! {TWO} # not\n{SIX}\n")
        lab.pf.load(f'block\nanchor a {{\ntable <t> file "{path}" {{ {THREE} }}\n'
                    "pass from <t> no state\n}\n")
        eq(who_passes(lab, *ALL), [ONE, THREE, SIX])
        eq(sorted(lab.pf.ctl("-a", "a", "-t", "t", "-T", "show").stdout.split()),
           sorted(["!" + TWO, ONE, THREE, SIX]))


def test_tables_of_the_optimiser():
    """In an anchor's rules, too; those of equal content are each anchor's own."""
    rules = "block\n" + "".join(f"pass from 192.0.2.{n} no state\n" for n in range(100, 110))
    with Lab(hosts=2, v6=False) as lab:
        lab.pf.load(f"block\nanchor a {{\n{rules}}}\nanchor b\n", "-o", "basic")
        lab.pf.ctl("-o", "basic", "-a", "b", "-f", "-", input=rules)
        eq(who_passes(lab, *ALL), [ONE, TWO, THREE])
        a, = tables(lab, "-a", "a")
        b, = tables(lab, "-a", "b")
        eq((a.split("@"), b.split("@")), ([a[:-2], "a"], [a[:-2], "b"]))
        contains(lab.pf.ctl("--dump-program").stdout,
                 "\ntables: 2 named by rules, 2 of them made by the optimiser\n"
                 f"  <{a[:-2]}>@a 10 addresses, made by the optimiser\n")
        lab.pf.ctl("-a", "a", "-F", "rules")
        eq(tables(lab, "-a", "*"), [b])


LIMITED = """\
set limit tables 3
block
anchor a {
    table <one> persist
    table <two> persist
}
"""


def test_limits():
    with Lab(hosts=2, v6=False, rules=LIMITED) as lab:
        r = lab.pf.ctl("-a", "b/c", "-f", "-", check=False,
                       input="table <three> persist\ntable <four> persist\n")
        eq(r.returncode, 1)
        contains(r.stderr, "table <four>@b/c would be more than the limit of 3 tables "
                           "(set limit tables)")
        eq(tables(lab, "-a", "*"), ["one@a", "two@a"])
        lab.pf.ctl("-a", "new", "-t", "three", "-T", "add", ONE)
        r = lab.pf.ctl("-a", "new", "-t", "four", "-T", "add", ONE, check=False)
        eq((r.returncode, r.stderr), (1, "pfctl-linux: the limit of 3 tables is reached "
                                         "(set limit tables)\n"))


# --- the command line ---

def test_commands():
    rules = (f"table <t> {{ {ONE} }}\nblock\nanchor a {{\ntable <t> persist {{ {TWO} }}\n"
             f"table <c> const persist {{ {TWO} }}\npass from <t> no state\n}}\n")
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        def do(*args, status=0, where="a"):
            r = lab.pf.ctl("-a", where, "-t", *args, check=False)
            eq(r.returncode, status, r.stderr)
            return r.stdout + r.stderr

        eq(do("t", "-T", "add", THREE, TWO, SIX), "2/3 addresses added.\n")
        eq(who_passes(lab, *ALL), [TWO, THREE, SIX])
        eq(do("t", "-vT", "delete", TWO, ONE), f"D  {TWO}\n1/2 addresses deleted.\n")
        eq(who_passes(lab, *ALL), [THREE, SIX])
        eq(do("t", "-T", "test", THREE, ONE, status=2), "1/2 addresses match.\n")
        eq(do("t", "-nT", "replace", ONE),
           "1 addresses added (dummy).\n2 addresses deleted (dummy).\n")
        eq(do("t", "-T", "replace", ONE), "1 addresses added.\n2 addresses deleted.\n")
        eq(who_passes(lab, *ALL), [ONE])
        eq(do("t", "-T", "flush"), "1 addresses deleted.\n")
        eq(who_passes(lab, *ALL), [], "it is empty, and hides the main one")
        eq(do("c", "-T", "add", ONE, status=1),
           "pfctl-linux: the table is const: only a load can change it\n")
        eq(do("c", "-T", "show"), f"   {TWO}\n")
        for name, where in (("nope", "a"), ("t", "nope"), ("c", "a/b"), ("t", "_1")):
            for command in ("show", "delete", "test", "flush"):
                args = [ONE] if command in ("delete", "test") else []
                eq(do(name, "-T", command, *args, status=1, where=where),
                   "pfctl-linux: Table does not exist\n")
        eq(shown(lab, "-t", "t"), [ONE], "the main one is as it was")
        # what is not there is made, the anchor as well
        eq(do("u", "-nT", "add", ONE, where="x/y"), "1 table created (dummy).\n")
        eq(tables(lab, "-a", "*"), ["t", "c@a", "t@a"])
        eq(do("u", "-T", "add", ONE, where="x/y"), "1 table created.\n1/1 addresses added.\n")
        eq(tables(lab, "-a", "x/y"), ["u@x/y"])
        eq(lab.pf.ctl("-vsA").stdout, "  a\n  x\n  x/y\n")
        for path in ("x", "x/y"):
            eq(lab.pf.ctl("-a", path, "-sr").stdout, "")
        lab.pf.ctl("-a", "x/*", "-F", "rules")
        eq(do("u", "-nT", "kill", where="x/y"), "1 table deleted (dummy).\n")
        eq(do("u", "-T", "kill", where="x/y"), "1 table deleted.\n")
        eq(do("u", "-T", "kill", where="x/y"), "0 table deleted.\n")
        eq(lab.pf.ctl("-vsA").stdout, "  a\n")
        r = lab.pf.ctl("-a", "*", "-t", "t", "-T", "show", check=False)
        eq((r.returncode, r.stderr),
           (1, "pfctl-linux: -T works on one anchor's table: not with -a and '*'\n"))


def test_kill_of_the_main_ruleset():
    with Lab(hosts=2, v6=False, rules=f"table <t> {{ {ONE} }}\ntable <p> persist\n"
                                      "block\npass from <t> no state\n") as lab:
        for name, left in (("p", ["t"]), ("t", [])):
            eq(lab.pf.ctl("-t", name, "-T", "kill").stderr, "1 table deleted.\n")
            eq(tables(lab), left)
        eq(who_passes(lab, *ALL), [], "for the rules it is there, and empty")
        lab.pf.ctl("-t", "t", "-T", "add", TWO)
        eq(who_passes(lab, *ALL), [TWO])
        eq(lab.pf.ctl("-v", "-sT").stdout, "-pa-r--\tt\n")


SHOWN = """\
table <main> persist
table <both> { 10.0.0.1 10.0.0.2 }
table <hidden> persist
block from <both>
anchor foo {
    table <both> const { 10.0.0.3 }
    pass from <both> to <main>
    anchor {
        table <inner> persist
        pass from <inner> to <nobody>
    }
    anchor bar {
        table <hidden> persist
        pass from <both>
    }
}
"""


def test_showing():
    with Lab(hosts=2, v6=False, rules=SHOWN) as lab:
        ctl = lab.pf.ctl
        eq(ctl("-sT").stdout, "both\nhidden\nmain\n")
        eq(ctl("-v", "-sT").stdout, "--a-rh-\tboth\n-pa--h-\thidden\n-pa--h-\tmain\n")
        eq(ctl("-a", "foo", "-sT").stdout, "both@foo\n")
        eq(ctl("-a", "foo", "-v", "-sT").stdout, "c-a-r--\tboth@foo\n")
        eq(ctl("-a", "foo/*", "-v", "-sT").stdout,
           "c-a-r--\tboth@foo\n-pa-r--\tinner@foo/_1\n-pa----\thidden@foo/bar\n")
        eq(ctl("-a", "*", "-sT").stdout,
           "both\nhidden\nmain\nboth@foo\ninner@foo/_1\nhidden@foo/bar\n")
        eq(ctl("-a", "foo/_1", "-sT").stdout, "inner@foo/_1\n")
        eq(ctl("-a", "foo/_1", "-t", "inner", "-T", "add", ONE).stderr, "1/1 addresses added.\n")
        r = ctl("-a", "nope", "-sT", check=False)
        eq((r.returncode, r.stdout, r.stderr), (1, "", "pfctl-linux: Anchor does not exist.\n"))
        # tables are not shown among the rules; behind their names is what the rules find
        eq(ctl("-a", "foo", "-sr").stdout,
           "pass from <both> to <main> flags S/SA\nanchor all {\n"
           '  pass from <inner> to <nobody> flags S/SA\n}\nanchor "bar" all\n')
        rules = [line for line in ctl("-a", "*", "-vvsr").stdout.splitlines()
                 if line.lstrip().startswith("@") and "<" in line]
        eq([re.findall(r"<(.*?)>", line) for line in rules],
           [["both:2"], ["both:1", "main:0"], ["inner:1", "nobody:*"], ["both:2"]])


def test_flushing():
    rules = SHOWN + 'anchor "foo2" {\ntable <t> persist\npass from <t>\n}\n'
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        ctl = lab.pf.ctl
        eq(ctl("-a", "foo", "-F", "Tables").stderr, "1 tables deleted.\n")
        eq(tables(lab, "-a", "*"),
           ["both", "hidden", "main", "inner@foo/_1", "hidden@foo/bar", "t@foo2"])
        eq(ctl("-a", "foo/*", "-F", "Tables").stderr, "2 tables deleted.\n")
        eq(tables(lab, "-a", "*"), ["both", "hidden", "main", "t@foo2"])
        eq(ctl("-a", "*", "-F", "Tables").stderr, "4 tables deleted.\n")
        eq(tables(lab, "-a", "*"), [])
        r = ctl("-a", "nope", "-F", "Tables", check=False)
        eq((r.returncode, r.stderr), (1, "pfctl-linux: Anchor does not exist.\n"))
        # -F all of an anchor leaves all else alone
        lab.pf.load(rules)
        passes(lab, "10.0.0.9")
        states = len(lab.pf.states())
        eq(ctl("-a", "foo", "-F", "all").stderr, "1 tables deleted.\nrules cleared\n")
        eq(ctl("-a", "foo", "-sr").stdout, "")
        eq(len(lab.pf.states()), states)
        eq(tables(lab), ["both", "hidden", "main"])


# --- which one rules mean, while they are in force ---

MEANT = f"""\
table <t> persist {{ {ONE} }}
block
anchor a {{
    pass from <t> no state label "count"
}}
pass from 192.0.2.110 no state
"""


@cases(*[(e, e) for e in EMITTERS])
def test_made_and_killed_under_rules(_name, emitter):
    with Lab(hosts=2, v6=False, rules=MEANT, pfd_args=("--emitter", emitter)) as lab:
        ctl = lab.pf.ctl

        def label():
            return ctl("-a", "a", "-sl").stdout.split()[1:4]

        eq(who_passes(lab, *ALL), [ONE])
        counted = label()
        eq(counted[1:], ["1", str(len(frame(ONE)) - 14)])
        eq(ctl("-v", "-sT").stdout, "-pa--h-\tt\n")
        eq(ctl("-a", "a", "-t", "t", "-T", "add", TWO).stderr,
           "1 table created.\n1/1 addresses added.\n")
        eq(label(), counted, "rules go on counting")
        eq(who_passes(lab, *ALL), [TWO])
        eq(ctl("-a", "a", "-v", "-sT").stdout, "-pa-r--\tt@a\n")
        eq(label()[1], "2")
        lab.pf.restart()
        eq((who_passes(lab, *ALL), label()[1]), ([TWO], "3"))
        # a change of the main one is not seen
        ctl("-t", "t", "-T", "replace", THREE)
        eq(who_passes(lab, *ALL), [TWO])
        eq(ctl("-a", "a", "-t", "t", "-T", "kill").stderr, "1 table deleted.\n")
        eq((who_passes(lab, *ALL), label()[1]), ([THREE], "5"))
        ctl("-a", "a", "-t", "t", "-T", "replace", SIX)
        eq(who_passes(lab, *ALL), [SIX])
        ctl("-a", "a", "-F", "Tables")
        eq(who_passes(lab, *ALL), [THREE])
        lab.pf.restart()
        eq(who_passes(lab, *ALL), [THREE])


@cases(*[(e, e) for e in EMITTERS])
def test_made_while_rules_wait_to_be_confirmed(_name, emitter):
    with Lab(hosts=2, v6=False, rules=MEANT, pfd_args=("--emitter", emitter)) as lab:
        lab.pf.load(MEANT.replace(ONE, SIX), "--confirm", "10")
        lab.pf.ctl("-a", "a", "-t", "t", "-T", "add", TWO)
        eq(who_passes(lab, *ALL), [TWO])
        wait_for("the rules before", lambda: "those of before are back" in lab.pf.said(), 25)
        eq((who_passes(lab, *ALL), tables(lab, "-a", "*")), ([ONE], ["t"]))


def test_an_anchor_goes_back():
    """What a load of an anchor has replaced comes back with its content."""
    main = f"block\nanchor a {{\ntable <t> persist {{ {ONE} }}\npass from <t> no state\n}}\n"
    with Lab(hosts=2, v6=False, rules=main) as lab:
        lab.pf.ctl("-a", "a", "-t", "t", "-T", "add", TWO)
        lab.pf.ctl("-a", "a", "-f", "-", "--confirm", "8",
                   input=f"table <t> {{ {THREE} }}\ntable <new> persist\npass from <t> no state\n")
        eq(who_passes(lab, *ALL), [THREE])
        wait_for("the rules before", lambda: "those of before are back" in lab.pf.said(), 25)
        eq(who_passes(lab, *ALL), [ONE, TWO])
        eq(tables(lab, "-a", "*"), ["t@a"])


# --- pfd comes and goes ---

LONGEST = "/".join(["x" * 63] * 15 + ["y" * 63])


def test_names_outlive_pfd():
    eq(len(LONGEST), 1023)
    with Lab(hosts=2, v6=False, rules=f"block\ntable <t> persist {{ {ONE} }}\nanchor a\n") as lab:
        for path, addr in ((LONGEST, TWO), ("a", THREE), ("a/b", SIX)):
            lab.pf.ctl("-a", path, "-f", "-",
                       input=f"table <t> const persist {{ {addr} }}\npass from <t> no state\n")
        lab.pf.ctl("-a", "only/tables", "-t", "t", "-T", "add", "10.0.0.1")
        listing = lab.pf.ctl("-a", "*", "-v", "-sT").stdout
        contains(listing, f"cpa-r--\tt@{LONGEST}\n")
        eq(len(listing.splitlines()), 5)
        for sig in (signal.SIGTERM, signal.SIGKILL):
            lab.pf.stop(sig)
            lab.pf.start()
            eq(lab.pf.ctl("-a", "*", "-v", "-sT").stdout, listing)
            eq(shown(lab, "-a", LONGEST, "-t", "t"), [TWO])
            eq(shown(lab, "-a", "only/tables", "-t", "t"), ["10.0.0.1"])
            eq(who_passes(lab, *ALL), [THREE])
        lab.pf.ctl("-a", "*", "-F", "all")
        eq(os.listdir(lab.pin + "/tables"), [])


@timeout(240)
def test_killed_while_it_makes_and_unmakes():
    """What -s Tables says after a restart is what packets see."""
    rnd = random.Random(5)
    outcomes = set()
    with Lab(hosts=2, v6=False, rules=MEANT) as lab:
        began = time.monotonic()
        lab.pf.ctl("-a", "a", "-t", "t", "-T", "replace", TWO)
        took = time.monotonic() - began
        for i in range(10):
            there = i % 2 == 0
            argv = [PFCTL, "-p", lab.pf.socket, "-a", "a", "-t", "t", "-T",
                    *(["kill"] if there else ["replace", TWO])]
            with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as p:
                time.sleep(rnd.uniform(0.05, 1) * took)
                lab.pf.stop(signal.SIGKILL)
                p.wait()
            lab.pf.start()
            have = tables(lab, "-a", "*")
            eq(have in (["t"], ["t", "t@a"]), True, str(have))
            outcomes.add((len(have) == 2) == there)
            eq(len(os.listdir(lab.pin + "/tables")), len(have))
            # made by one step, filled by the next
            own = shown(lab, "-a", "a", "-t", "t") if len(have) == 2 else [ONE]
            eq(own in ([], [ONE], [TWO]), True, str(own))
            eq(who_passes(lab, *ALL), own)
            lab.pf.ctl("-a", "a", "-t", "t", "-T", *(["kill"] if there else ["replace", TWO]))
    print(f"note: {'before and after' if len(outcomes) == 2 else outcomes} seen")


@timeout(120)
def test_many_anchors():
    n = 100  # as many as the linear emitter takes
    main = ("set limit tables 1000\ntable <t> persist { 10.255.0.0/16 }\nblock\n" +
            "".join(f"anchor a{i} {{\ntable <t> persist {{ 10.0.{i}.0/24 }}\n"
                    "pass from <t> no state\nanchor in {\nblock from <t>\n}\n}\n"
                    for i in range(n)))
    with Lab(hosts=2, v6=False) as lab:
        lab.pf.ctl("-f", "-", input=main, timeout=60)
        eq(len(tables(lab, "-a", "*")), n + 1)
        for i in (0, 1, n // 2, n - 1):
            eq(passes(lab, f"10.0.{i}.9"), True)
        eq(passes(lab, f"10.0.{n}.9"), False)
        began = time.monotonic()
        lab.pf.ctl("-a", "a7", "-f", "-", input="table <t> { 10.1.0.0/16 }\n"
                                               "pass from <t> no state\n")
        print(f"note: one of {n} anchors in {time.monotonic() - began:.2f} s")
        eq((passes(lab, "10.1.2.3"), passes(lab, "10.0.7.9"), passes(lab, "10.0.8.9")),
           (True, False, True))
        lab.pf.stop(signal.SIGKILL)
        lab.pf.start()
        eq((passes(lab, "10.1.2.3"), passes(lab, "10.0.7.9"), passes(lab, "10.0.8.9")),
           (True, False, True))


# --- load anchor ---

class Files:
    """pf.conf and what it loads, in the lab's directory, where pfctl-linux runs."""

    def __init__(self, lab, **files):
        self.lab = lab
        self.write(**files)

    def write(self, **files):
        for name, text in files.items():
            with open(os.path.join(self.lab.dir, name), "w", encoding="ascii") as f:
                f.write(text)

    def load(self, *args, check=True, name="main"):
        return self.lab.fw.run("sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", self.lab.dir,
                               PFCTL, "-p", self.lab.pf.socket, "-o", "none", *args, "-f", name,
                               check=check)


@cases(*[(e, e) for e in EMITTERS])
def test_load_anchor(_name, emitter):
    with Lab(hosts=2, v6=False, pfd_args=("--emitter", emitter)) as lab:
        f = Files(lab, main=f"""\
            m = {ONE}
            table <t> {{ $m }}
            block
            anchor "a/*"
            anchor b {{
                block quick
            }}
            load anchor "a/x" from "one"
            load anchor b from "two"
            """, one=f"""\
            m = {TWO}
            pass from $m no state
            pass from <t> no state
            """, two=f"""\
            table <t> {{ {SIX} }}
            pass from <t> no state
            """)
        f.load()
        eq(who_passes(lab, *ALL), [ONE, TWO, SIX])
        eq(lab.pf.ctl("-a", "a/x", "-sr").stdout, f"pass inet from {TWO} to any no state\n"
           "pass from <t> to any no state\n")
        eq(lab.pf.ctl("-a", "b", "-sr").stdout, "pass from <t> to any no state\n",
           "the file's in the place of those in braces")
        eq(lab.pf.rules(), ["block drop all", 'anchor "a/*" all', 'anchor "b" all'])
        eq(tables(lab, "-a", "*"), ["t", "t@b"])
        lab.pf.stop(signal.SIGKILL)
        lab.pf.start()
        eq(who_passes(lab, *ALL), [ONE, TWO, SIX])
        # all of it, or nothing
        f.write(one=f"pass from {THREE} no state\n", two="pass\n\tpass nonsense\n")
        r = f.load(check=False)
        eq(r.returncode, 1)
        lines_eq(r.stderr, """\
two:2:7: syntax error: unexpected "nonsense"
    \tpass nonsense
    \t     ^~~~~~~~
    included at main:9
pfctl-linux: 1 error in main: rules not loaded; the first in another file: \
two:2: syntax error: unexpected "nonsense"
""")
        eq(who_passes(lab, *ALL), [ONE, TWO, SIX])
        r = f.load("-n", check=False)
        eq(r.returncode, 1)
        contains(r.stderr, "two:2:7: ")
        # what cannot be enforced is an error of the file as well, but not with -n
        f.write(two="pass\npass proto tcp user root\n")
        r = f.load(check=False)
        contains(r.stderr, "two:2:16: user: not enforced yet")
        eq((r.returncode, f.load("-n").returncode), (1, 0))
        f.write(two="")
        f.load()
        eq(who_passes(lab, *ALL), [THREE])
        eq(lab.pf.ctl("-a", "b", "-sr").stdout, "")


def test_load_anchor_where():
    """From the ruleset that the file is for, unless the path begins with a bar."""
    with Lab(hosts=2, v6=False) as lab:
        f = Files(lab, main="load anchor a from one\npass\n",
                  one="pass label one\nload anchor b from two\nload anchor \"/c/d\" from two\n"
                      "load anchor \"../e\" from two\n",
                  two='pass label two\nload anchor "f" from three\n', three="pass label three\n")
        f.load()
        eq(lab.pf.ctl("-vsA").stdout,
           "  a\n  a/b\n  a/b/f\n  c\n  c/d\n  c/d/f\n  e\n  e/f\n")
        contains(lab.pf.ctl("-a", "c/d/f", "-sr").stdout, 'label "three"')
        f.load("-a", "x/y", name="one")
        for path, label in (("x/y", "one"), ("x/y/b/f", "three"), ("x/e", "two"), ("c/d", "two")):
            contains(lab.pf.ctl("-a", path, "-sr").stdout, f'label "{label}"')
        f.write(main='load anchor ".." from two\n')
        contains(f.load(check=False).stderr, "main:1:13: this is the main ruleset, not an anchor")
        f.write(main=f'load anchor "{LONGEST}" from four\n', four="load anchor a from three\n")
        contains(f.load(check=False).stderr, "four:1:13: the anchor's name is too long")
        # the later one counts, and what a file loads comes behind all beside it
        f.write(main='load anchor a from one\nload anchor "a/b" from three\n',
                one="load anchor b from two\n", two="pass label two\n")
        f.load()
        contains(lab.pf.ctl("-a", "a/b", "-sr").stdout, 'label "two"')
        f.write(main="load anchor a from two\nload anchor a from three\n")
        f.load()
        contains(lab.pf.ctl("-a", "a", "-sr").stdout, 'label "three"')


def test_load_anchor_confirm_and_options():
    """Options are the main file's; it goes back as a whole."""
    with Lab(hosts=2, v6=False, rules="set limit tables 77\nblock\nanchor a\n") as lab:
        lab.pf.ctl("-a", "a", "-f", "-", input=IN_A)
        f = Files(lab, main="set limit tables 88\nblock\nanchor a\nload anchor a from one\n",
                  one=f"set limit tables 99\nset skip on ext\ntable <t> {{ {THREE} }}\n"
                      "pass from <t> no state\n")
        f.load("--confirm", "8")
        eq(who_passes(lab, *ALL), [THREE])
        contains(lab.pf.ctl("-sm").stdout, "tables        hard limit       88\n")
        wait_for("the rules before", lambda: "those of before are back" in lab.pf.said(), 25)
        eq(who_passes(lab, *ALL), [TWO])
        contains(lab.pf.ctl("-sm").stdout, "tables        hard limit       77\n")


def test_load_anchor_is_optimised():
    many = "".join(f"pass from 192.0.2.{n} label \"$nr\"\n" if n == 90 else
                   f"pass from 192.0.2.{n} no state\n" for n in range(90, 110))
    with Lab(hosts=2, v6=False) as lab:
        f = Files(lab, main="block\nanchor a\nload anchor a from one\n", one=many)
        f.load("-o", "basic")
        eq([r.split("label")[-1].strip() for r in
            lab.pf.ctl("-a", "a", "-sr").stdout.splitlines()][0], '"0"')
        eq(len(lab.pf.ctl("-a", "a", "-sr").stdout.splitlines()), 2)
        eq(who_passes(lab, *ALL), [ONE, TWO, THREE])
        f.write(one="set ruleset-optimization none\n" + many)
        f.load("-o", "basic")
        eq(len(lab.pf.ctl("-a", "a", "-sr").stdout.splitlines()), 2, "-o wins")
        out = f.load("-v", "-n").stdout
        eq(out, 'load anchor "a" from "one"\nblock drop all\nanchor "a" all\n')
