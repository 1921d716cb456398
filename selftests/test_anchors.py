# SPDX-License-Identifier: BSD-2-Clause
"""match rules, tags and anchors: by BPF_PROG_TEST_RUN on both emitters, and with packets."""
import re
import struct

from pft.check import absent, cases, contains, eq, lines_eq, matches, one_lab
from pft.lab import DST, FW_SRC, MAC, Lab
from pft.netns import wait_for
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import raw

PASS, DROP = -1, 2
EMITTERS = ("linear", "tree")
BOTH = [(e, e) for e in EMITTERS]


def frame(pkt, dev="ext"):
    return raw(Ether(dst=MAC[dev], src="02:00:00:00:00:99") / pkt)


def udp(dport=53, src="192.0.2.1", dst="198.51.100.1", tos=0, sport=1024):
    if ":" in src:
        return IPv6(src=src, dst=dst, tc=tos) / UDP(sport=sport, dport=dport)
    return IP(src=src, dst=dst, tos=tos) / UDP(sport=sport, dport=dport)


def tcp(dport=80):
    return IP(src="192.0.2.1", dst="198.51.100.1") / TCP(sport=1024, dport=dport, flags="S")


# name, rules, [(packet, verdict)]; on their way in at ext
WALKS = [
    ("match changes no verdict", """
        block
        match in
        match quick proto tcp to port 80
        pass no state
     """, [(udp(), PASS), (tcp(80), DROP), (tcp(81), PASS)]),
    ("match quick keeps what has won", """
        pass no state
        match in quick proto udp to port 53
        block
     """, [(udp(53), PASS), (udp(54), DROP)]),
    ("tags hold at once", """
        block
        match in proto udp tag ONE
        match in to 198.51.100.1 tagged ONE tag TWO
        pass in tagged TWO no state
        block in to 203.0.113.9 ! tagged ONE
     """, [(udp(), PASS), (udp(dst="203.0.113.9"), DROP), (tcp(), DROP)]),
    ("a tag of a rule that is overruled stays", """
        pass in proto udp tag A no state
        block in
        pass in quick tagged A no state
     """, [(udp(), PASS), (tcp(), DROP)]),
    ("the last tag counts", """
        block
        match in tag A
        match in tag B
        pass in tagged A no state
        block in tagged B
        pass in proto tcp ! tagged A no state flags any
     """, [(udp(), DROP), (tcp(), PASS)]),
    ("tos", """
        block
        pass in tos 0x10 no state
        pass in tos lowdelay no state
        pass in inet6 tos 0x20 no state
     """, [(udp(), DROP), (udp(tos=0x10), PASS), (udp(tos=0x11), PASS), (udp(tos=0x14), DROP),
           (udp(src="2001:db8:1::1", dst="2001:db8:2::1", tos=0x20), PASS),
           (udp(src="2001:db8:1::1", dst="2001:db8:2::1", tos=0x24), DROP)]),
    ("ranges", """
        block
        pass in from 192.0.2.10 - 192.0.2.20 no state
        pass in from any to ! 198.51.100.0 - 203.0.113.255 no state
        pass in from 2001:db8:1::ff00 - 2001:db8:1:1::3 no state
     """, [(udp(src="192.0.2.9"), DROP), (udp(src="192.0.2.10"), PASS),
           (udp(src="192.0.2.20"), PASS), (udp(src="192.0.2.21"), DROP),
           (udp(src="192.0.3.15"), DROP), (udp(dst="198.51.99.255"), PASS),
           (udp(dst="203.0.114.0"), PASS), (udp(dst="203.0.113.255"), DROP),
           (udp(src="2001:db8:1::feff", dst="2001:db8:2::1"), DROP),
           (udp(src="2001:db8:1::ff00", dst="2001:db8:2::1"), PASS),
           (udp(src="2001:db8:1:0:ffff::", dst="2001:db8:2::1"), PASS),
           (udp(src="2001:db8:1:1::3", dst="2001:db8:2::1"), PASS),
           (udp(src="2001:db8:1:1::4", dst="2001:db8:2::1"), DROP)]),
    ("probability of all and of hardly any", """
        block
        pass in proto udp probability 100% no state
        pass in proto tcp probability 0.00000001% no state flags any
     """, [(udp(), PASS), (tcp(), DROP)]),
    ("an anchor's head is a rule", """
        block
        anchor in on ext proto udp to port 53 {
            pass no state
        }
        anchor out {
            pass no state
        }
     """, [(udp(53), PASS), (udp(54), DROP), (tcp(53), DROP)]),
    ("an anchor's last match wins, and so does what follows it", """
        block
        anchor a {
            pass proto udp no state
            block proto udp to port 99
        }
        pass proto udp to port 98 no state
     """, [(udp(53), PASS), (udp(99), DROP), (udp(98), PASS), (tcp(97), DROP)]),
    ("quick in an anchor ends all", """
        block
        anchor a {
            anchor b {
                pass quick proto udp no state
            }
            block quick
        }
        pass no state
     """, [(udp(), PASS), (tcp(), DROP)]),
    ("a quick anchor ends with what has won in it", """
        anchor quick {
            pass proto udp no state
        }
        block
     """, [(udp(), PASS), (tcp(), DROP)]),
    ("an anchor in it that does not match undoes nothing", """
        anchor quick {
            pass proto udp no state
            anchor {
                block proto tcp to port 80
            }
        }
        block
     """, [(udp(), PASS), (tcp(80), DROP), (tcp(81), DROP)]),
    ("what has won in an anchor within it counts", """
        anchor quick {
            anchor {
                pass proto udp no state
            }
        }
        block
     """, [(udp(), PASS), (tcp(), DROP)]),
    ("what had won before, and match rules, do not end it", """
        pass no state
        anchor quick {
            match proto udp
        }
        block proto udp
     """, [(udp(), DROP), (tcp(), PASS)]),
    ("an anchor's tag", """
        block
        anchor x in proto udp tag UDP
        pass in tagged UDP no state
     """, [(udp(), PASS), (tcp(), DROP)]),
    ("by name, twice, and from inside", """
        block
        anchor outer {
            anchor inner {
                pass proto udp no state
            }
            block proto udp to port 53
            anchor "inner" in proto udp to port 53
        }
        anchor "outer/inner" proto udp to port 54
        block proto udp to port 55
        anchor "/outer/inner" proto udp to port 55
        block proto udp to port 56
        anchor other {
            anchor "../outer/inner" proto udp to port 56
        }
        block proto udp to port 57
     """, [(udp(53), PASS), (udp(54), PASS), (udp(55), PASS), (udp(56), PASS), (udp(57), DROP),
           (tcp(53), DROP)]),
    ("stars call in alphabetical order", """
        block
        anchor x in proto udp to port 1 {
            anchor z {
                block
            }
            anchor a {
                pass no state
                anchor b {
                    block
                }
            }
            anchor m {
                pass no state
            }
        }
        anchor s {
            anchor z {
                pass no state
            }
            anchor a {
                block
                anchor b {
                    pass no state
                }
            }
        }
        block
        anchor "s/*" proto udp to port 53
        anchor "s/a/*" proto udp to port 54
        anchor "s/a/b/*" proto udp to port 55
        anchor "nothing/*"
     """, [(udp(53), PASS), (udp(54), PASS), (udp(55), DROP)]),
    ("anchors that call each other for ever drop", """
        pass no state
        anchor a {
            anchor "/b" proto udp
        }
        anchor b {
            anchor "/a" proto udp to port 53
        }
     """, [(udp(53), DROP), (udp(54), PASS), (tcp(53), PASS)]),
    ("64 anchors deep", "block\n" + "".join(
        f"anchor a{i} {{\n" for i in range(64)) + "pass no state\n" + "}\n" * 64,
     [(udp(), PASS)]),
]


# calls without an end are more than the linear emitter writes out
@one_lab(lambda e: Lab(hosts=2, fresh=True, pfd_args=("--emitter", e)), by=1)
@cases(*[(f"{e} {name}", "auto" if "for ever" in name and e == "linear" else e, rules, packets)
         for e in EMITTERS for name, rules, packets in WALKS])
def test_walk(lab, _name, _emitter, rules, packets):
    lab.pf.load(rules)
    for i, (pkt, want) in enumerate(packets):
        eq(lab.pf.run("ext", "in", frame(pkt))[0], want, f"packet {i}, {pkt.summary()}")


def counted(lab, *path):
    """[(rule, evaluations, packets, bytes, states now, states made)]"""
    out, rule = [], None
    for line in lab.pf.ctl(*path, "-vsr").stdout.splitlines():
        m = re.match(r"\s*\[ Evaluations: (\d+) +Packets: (\d+) +Bytes: (\d+) +States: (\d+) *\]",
                     line)
        n = re.match(r"\s*\[ Inserted: uid \d+ pid \d+ State Creations: (\d+) *\]", line)
        if m:
            numbers = [int(x) for x in m.groups()]
        elif n:
            out.append((rule, *numbers, int(n.group(1))))
        else:
            rule = line.strip()
    return [r for r in out if r[0]]


COUNTED = """
    match in proto udp
    anchor a in proto udp {
        match proto udp to port 53
        pass keep state
    }
    match out proto udp
    block in proto tcp
"""


@cases(*BOTH)
def test_counters(_name, emitter):
    with Lab(hosts=2, rules=COUNTED, pfd_args=("--emitter", emitter), v6=False) as lab:
        size = len(raw(udp()))
        for _ in range(3):
            eq(lab.pf.run("ext", "in", frame(udp()))[0], PASS)
        eq(lab.pf.run("ext", "in", frame(tcp()))[0], DROP)
        # the first packet made the state, and all three count for every rule that it met
        eq([r[2:] for r in counted(lab)], [(3, 3 * size, 1, 1), (3, 3 * size, 1, 1), (0, 0, 0, 0),
                                           (1, 40, 0, 0)])
        if emitter == "linear":
            eq([r[1] for r in counted(lab)], [2, 1, 1, 2], "as pf's skip steps count")
        eq([r[2:] for r in counted(lab, "-a", "a")], [(3, 3 * size, 1, 1)] * 2)
        eq(lab.pf.ctl("-F", "states").returncode, 0)
        # ... also when it is gone
        eq([r[2:] for r in counted(lab)], [(3, 3 * size, 0, 1), (3, 3 * size, 0, 1),
                                           (0, 0, 0, 0), (1, 40, 0, 0)])
        eq([r[2:] for r in counted(lab, "-a", "a")], [(3, 3 * size, 0, 1)] * 2)


@cases(*BOTH)
def test_many_match_rules(_name, emitter):
    """More than a state has room for, and more than a packet may meet."""
    with Lab(hosts=2, v6=False, pfd_args=("--emitter", emitter)) as lab:
        lab.pf.load("match in\n" * 128 + "pass\n")
        for _ in range(2):
            eq(lab.pf.run("ext", "in", frame(udp()))[0], PASS)
        eq({r[2:4] for r in counted(lab)}, {(2, 2 * len(raw(udp())))})
        lab.pf.ctl("-F", "states")
        eq({r[2:] for r in counted(lab)}, {(2, 2 * len(raw(udp())), 0, 1)})
        lab.pf.load("match in\n" * 129 + "pass\n")
        eq(lab.pf.run("ext", "in", frame(udp()))[0], DROP)
        eq(lab.pf.info()["memory"], 1)


def test_match_rules_of_states_outlive_pfd():
    with Lab(hosts=2, v6=False, rules="match in\n" * 20 + "anchor a {\npass\n}\n") as lab:
        lab.pf.run("ext", "in", frame(udp()))
        lab.pf.stop()
        lab.pf.start()
        eq([r[2:] for r in counted(lab)], [(1, len(raw(udp())), 1, 1)] * 21)
        lab.pf.ctl("-F", "states")
        eq([r[2:] for r in counted(lab)], [(1, len(raw(udp())), 0, 1)] * 21)
        eq(lab.pf.rules(), ["match in all"] * 20 + ['anchor "a" all'])


def test_tags_travel():
    """From the way in to the way out; also for packets of a state."""
    with Lab(rules="block\npass in on ext tag OK\npass out on int tagged OK no state\n"
                   "pass in on int proto tcp no state flags any\n"
                   "pass out on ext proto tcp no state flags any\n") as lab:
        eq(lab.src.ping(DST), False, "the answer comes in without a state")
        with lab.dst.listen(80):
            eq(lab.src.can_connect(DST, 80), "yes", "each packet of the state has its tag")
        lab.pf.load("block\npass in on ext tag NO\npass out on int tagged OK no state\n")
        lab.pf.ctl("-F", "states")
        with lab.dst.listen(81):
            eq(lab.src.can_connect(DST, 81, 0.3), "timeout")


def test_received_on():
    with Lab(rules="pass\nblock out on int proto icmp received-on ext\n") as lab:
        eq(lab.src.ping(DST), False)
        eq(lab.fw.ping(DST), True, "made here: received nowhere")
        lab.pf.load("pass\nblock out on int proto icmp ! received-on ext\n")
        lab.pf.ctl("-F", "states")
        eq(lab.src.ping(DST), True)
        eq(lab.fw.ping(DST), False)


@cases(*BOTH)
def test_probability(_name, emitter):
    with Lab(hosts=2, v6=False, rules="block\npass in probability 30% no state\n",
             pfd_args=("--emitter", emitter)) as lab:
        n = sum(lab.pf.run("ext", "in", frame(udp()))[0] == PASS for _ in range(2000))
        # 600, with a standard deviation of 20
        eq(450 < n < 750, True, f"{n} of 2000")


# --- loading and showing ---

def test_anchors_are_loaded_alone():
    with Lab(rules='block\nanchor "foo/*"\nanchor bar\n') as lab:
        eq(lab.src.ping(DST), False)
        lab.pf.ctl("-a", "foo/baz", "-f", "-", input="pass\n")
        eq(lab.src.ping(DST), True)
        eq(lab.pf.rules(), ["block drop all", 'anchor "foo/*" all', 'anchor "bar" all'])
        eq(lab.pf.ctl("-a", "foo/baz", "-sr").stdout, "pass all flags S/SA\n")
        # it stays when the main ruleset is loaded anew
        lab.pf.ctl("-F", "states")
        lab.pf.load('block\nanchor "foo/*"\nanchor bar\n')
        eq(lab.src.ping(DST), True)
        lab.pf.stop()
        lab.pf.start()
        eq(lab.pf.ctl("-a", "foo/baz", "-sr").stdout, "pass all flags S/SA\n")
        lab.pf.ctl("-a", "foo/baz", "-F", "rules")
        lab.pf.ctl("-F", "states")
        eq(lab.src.ping(DST), False)
        r = lab.pf.ctl("-a", "nope", "-sr", check=False)
        eq((r.returncode, r.stderr), (1, "pfctl-linux: Anchor does not exist.\n"))


def test_braces_are_loaded_and_replaced():
    with Lab(rules="block\nanchor foo {\npass\n}\n") as lab:
        eq(lab.src.ping(DST), True)
        # without braces what was in them stays
        lab.pf.load("block\nanchor foo\n")
        lab.pf.ctl("-F", "states")
        eq(lab.src.ping(DST), True)
        lab.pf.ctl("-a", "*", "-F", "rules")
        lab.pf.ctl("-F", "states")
        eq(lab.pf.rules(), [])
        lab.pf.load("block\nanchor foo\n")
        eq(lab.src.ping(DST), False)
        lab.pf.ctl("-a", "foo", "-f", "-", input="anchor {\npass\n}\n")
        eq(lab.src.ping(DST), True)
        lab.pf.ctl("-F", "states")
        lab.pf.ctl("-a", "foo", "-f", "-", input="anchor {\nblock\n}\n")
        eq(lab.src.ping(DST), False)


SHOWN = """
pass in label main
anchor "foo" all {
  block in label foo
  anchor "bar" all {
    pass in label bar
    pass in proto udp label bar
  }
  anchor all {
    match in
  }
}
anchor all {
  anchor "zed" all {
    pass out
  }
}
"""


def test_showing():
    with Lab(hosts=2, rules=SHOWN) as lab:
        ctl = lab.pf.ctl
        eq(ctl("-sr").stdout, 'pass in all flags S/SA label "main"\nanchor "foo" all\n'
           'anchor all {\n  anchor "zed" all\n}\n')
        eq(ctl("-a", "foo", "-sr").stdout, 'block drop in all label "foo"\nanchor "bar" all\n'
           "anchor all {\n  match in all\n}\n")
        eq(ctl("-a", "*", "-sr").stdout,
           'pass in all flags S/SA label "main"\n'
           'anchor "foo" all {\n'
           '  block drop in all label "foo"\n'
           '  anchor "bar" all {\n'
           '    pass in all flags S/SA label "bar"\n'
           '    pass in proto udp all label "bar"\n'
           "  }\n"
           "  anchor all {\n"
           "    match in all\n"
           "  }\n"
           "}\n"
           "anchor all {\n"
           '  anchor "zed" all {\n'
           "    pass out all flags S/SA\n"
           "  }\n"
           "}\n")
        eq(ctl("-sA").stdout, "  foo\n")
        eq(ctl("-v", "-sA").stdout, "  _1\n  _1/zed\n  foo\n  foo/_1\n  foo/bar\n")
        eq(ctl("-a", "foo", "-sA").stdout, "  foo/bar\n")
        lab.pf.run("ext", "in", frame(udp(dst=FW_SRC)))
        n = len(raw(udp()))
        matches(ctl("-sl").stdout, r"\Amain \d+( 0){7}\n\Z")
        lines = ctl("-a", "*", "-sl").stdout.splitlines()
        eq([line.split()[0] for line in lines], ["main", "foo", "bar"])
        eq(lines[2].split()[2:], ["1", str(n), "1", str(n), "0", "0", "1"],
           "rules of one label together")


def test_numbers_are_the_rulesets_own():
    with Lab(hosts=2, v6=False, rules="block\nanchor foo {\nblock\npass in proto udp\n}\n") as lab:
        lab.pf.run("ext", "in", frame(udp()))
        contains(lab.pf.ctl("-vvss").stdout, "anchor 1, rule 1")
        contains(lab.pf.ctl("-a", "foo", "-vvsr").stdout, "@1 pass in proto udp all")


def test_anchors_do_not_log():
    """pf.conf(5) has no log there: the rules inside log."""
    with Lab(hosts=2, v6=False) as lab:
        for head in ("in log", "log quick", "log (all)"):
            r = lab.pf.ctl("-f", "-", check=False, input=f'pass\nanchor "a" {head} {{ block }}\n')
            eq(r.returncode, 1)
            contains(r.stderr, "stdin:2:1")
            contains(r.stderr, "syntax error")


def test_options_are_the_main_rulesets():
    with Lab(hosts=2, v6=False, rules="set debug warning\nanchor a\n") as lab:
        lab.pf.ctl("-a", "a", "-f", "-", input="set debug debug\nset limit states 77\npass\n")
        contains(lab.pf.ctl("-si").stdout, "Debug: warning")
        absent(lab.pf.ctl("-sm").stdout, " 77")
        contains(lab.pf.ctl("-a", "a", "-sr").stdout, "pass all")


def test_logged_with_their_anchor():
    rules = "match in log\nanchor foo {\npass in log proto udp no state\n}\nblock log proto tcp\n"
    with Lab(hosts=2, rules=rules, v6=False) as lab:
        lab.pf.run("ext", "in", frame(udp()))
        lab.pf.run("ext", "in", frame(tcp()))
        lab.pf.stop()
        with open(lab.pf.logfile, "rb") as f:
            data = f.read()
        got, at = [], 24
        while at < len(data):
            caplen = struct.unpack_from("=I", data, at + 8)[0]
            h = data[at + 16:at + 16 + caplen]
            at += 16 + caplen
            rule, sub = struct.unpack_from(">II", h, 36)
            got.append((h[2], h[20:36].rstrip(b"\0").decode(), rule, sub))
        none = 0xffffffff
        eq(got, [(12, "", 0, none), (0, "foo", 1, 0), (12, "", 0, none), (1, "", 2, none)])


def test_what_cannot_be_loaded():
    with Lab(hosts=2, rules="pass\n") as lab:
        r = lab.pf.ctl("-f", "-", input="nat-anchor a\n", check=False)
        eq(r.returncode, 1)
        contains(r.stderr, "stdin:1:1: an anchor of the old")
        for path in ("a//b", "_1", "a/*", "*"):
            r = lab.pf.ctl("-a", path, "-f", "-", input="pass\n", check=False)
            eq(r.returncode, 1, path)
        eq(lab.pf.rules(), ["pass all flags S/SA"])
        absent(lab.pf.ctl("-v", "-sA").stdout, "a")


def test_confirm_an_anchor():
    with Lab(hosts=2, rules="block\nanchor a\n") as lab:
        lab.pf.ctl("-a", "a", "-f", "-", "--confirm", "8", input="pass\n")
        lines_eq(lab.pf.ctl("-a", "a", "-sr").stdout, ["pass all flags S/SA"])
        wait_for("the rules before", lambda: "those of before are back" in lab.pf.said(), 20)
        r = lab.pf.ctl("-a", "a", "-sr", check=False)
        eq((r.returncode, r.stderr), (1, "pfctl-linux: Anchor does not exist.\n"))
        eq(lab.src.ping(FW_SRC), False)

