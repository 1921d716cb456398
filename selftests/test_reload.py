# SPDX-License-Identifier: BSD-2-Clause
"""Rules replaced by others: what packets see of it, what stays, what is left behind; and rules
with an error, which never replace those in force."""
import json
import os
import re
import subprocess
import time

from pft import proto
from pft.check import absent, cases, contains, eq, timeout
from pft.lab import DST, FW_SRC, MAC, PFCTL, Lab
from pft.flood import Flood
from pft.netns import wait_for
from pft.pfctl import MEGA, Files, write
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import raw

SWAPS = 1000
FILL = 53  # an odd number of rules, by which the test knows its own maps


def frame(pkt):
    return raw(Ether(dst=MAC["ext"], src="02:00:00:00:00:99") / pkt)


def udp(dport=53):
    return IP(src="192.0.2.1", dst="198.51.100.1") / UDP(sport=1024, dport=dport)


def tcp():
    return IP(src="192.0.2.1", dst="198.51.100.1") / TCP(sport=1024, dport=80, flags="S")


def shown(what):
    return json.loads(subprocess.run(["bpftool", "-j", what, "show"], capture_output=True,
                                     text=True, check=True).stdout)


def left(ninfos):
    """
    How many generations' maps and programs the kernel holds, of all that have so many rules:
    other tests run at the same time.
    """
    infos = {m["id"] for m in shown("map")
             if m.get("name") == "pf_infos" and m["max_entries"] == ninfos}
    progs = [p for p in shown("prog") if infos & set(p.get("map_ids", []))]
    return len(infos), len(progs)


@timeout(400)
@cases(("linear", "linear"), ("tree", "tree"))
def test_swaps_under_load(_name, emitter):
    """
    Each ruleset passes only what it has tagged itself: a packet that was judged by two of them,
    or by none, does not arrive.
    """
    def rules(k):
        return (f"match tag G{k}\nblock log\nanchor a\npass tagged G{k} no state\n" +
                f"block proto udp to port {k + 1} tagged G{1 - k}\n" * FILL)

    swaps = SWAPS if emitter == "linear" else SWAPS // 5
    with Lab(v6=False, pfd_args=("--emitter", emitter)) as lab:
        models = [proto.model(lab.pf, rules(k)) for k in (0, 1)]
        with proto.Control(lab.pf) as c:
            c.load(models[0])
            flood = Flood(lab)
            for i in range(swaps):
                c.load(models[i & 1])
            flood.end()
        eq(flood.received, flood.sent, "every packet arrived")
        eq(flood.sent > swaps, True, f"{flood.sent} packets over {swaps} swaps")
        # rules, the default one and failure; with the linear emitter also the anchor's end
        ninfos = 4 + FILL + 2 + (emitter == "linear")
        wait_for("what was replaced to go", lambda: left(ninfos) == (1, 1), 10)
        eq(len(os.listdir(lab.pin + "/gen")), 1)


RULES = """
set keepcounters
pass in proto udp label u
anchor a {
    match proto udp
}
block in proto tcp
block in proto tcp
"""


def counted(lab, *path):
    out = []
    for line in lab.pf.ctl(*path, "-vsr").stdout.splitlines():
        m = re.match(r"\s*\[ Evaluations: (\d+) +Packets: (\d+) +Bytes: \d+ +States: (\d+) *\]", line)
        if m:
            out.append(tuple(int(x) for x in m.groups()))
    return out


@cases(("linear", "linear"), ("tree", "tree"))
def test_keepcounters(_name, emitter):
    with Lab(hosts=2, v6=False, rules=RULES, pfd_args=("--emitter", emitter)) as lab:
        for _ in range(3):
            lab.pf.run("ext", "in", frame(udp()))
        lab.pf.run("ext", "in", frame(tcp()))
        was = counted(lab)
        eq([(p, s) for _, p, s in was], [(3, 1), (0, 0), (0, 0), (1, 0)])
        lab.pf.load(RULES)
        eq(counted(lab), was)
        eq(counted(lab, "-a", "a")[0][1:], (3, 1))
        # others come and go; the state counts on for its rules
        lab.pf.load(RULES.replace("pass in", "block in proto icmp\npass in").replace(
            "block in proto tcp\nblock in proto tcp\n", "block in proto tcp\n"))
        lab.pf.run("ext", "in", frame(udp()))
        eq([(p, s) for _, p, s in counted(lab)], [(0, 0), (4, 1), (0, 0), (0, 0)])
        lab.pf.ctl("-F", "states")
        eq([(p, s) for _, p, s in counted(lab)], [(0, 0), (4, 0), (0, 0), (0, 0)])
        # also when they were cleared in between
        lab.pf.ctl("-z")
        lab.pf.load(RULES)
        eq([(p, s) for _, p, s in counted(lab)], [(0, 0), (0, 0), (0, 0), (0, 0)])
        lab.pf.run("ext", "in", frame(tcp()))
        lab.pf.load(RULES.replace("set keepcounters\n", ""))
        eq({(p, s) for _, p, s in counted(lab)}, {(0, 0)})


def test_counters_are_not_kept_unasked():
    with Lab(hosts=2, v6=False, rules="pass no state\n") as lab:
        lab.pf.run("ext", "in", frame(udp()))
        eq(counted(lab), [(1, 1, 0)])
        lab.pf.load("pass no state\n")
        eq(counted(lab), [(0, 0, 0)])


# --- rules with an error ---

GOOD = """\
set timeout udp.first 33
table <t> persist { 192.0.2.77 }
block in quick proto udp to port 1001
pass label "good"
"""
# What would show at once, and lets everything pass.
OTHER = """\
set timeout udp.first 44
set skip on ext
table <t> persist { 192.0.2.99 }
table <u> persist
pass label "other"
"""
BROKEN = [
    ("the last line", "{}pass nonsense", "pf.conf:6:6"),
    ("the first line", "pass nonsense\n{}", "pf.conf:1:6"),
    ("an included file", "{}include bad.conf\n", "bad.conf:2:7"),
    ("a missing file", "{}include none.conf\n", "cannot include none.conf"),
    ("a file in itself", "{}include pf.conf\n", "includes itself"),
    ("a table's file", "{}table <v> persist file bad.conf\n", "bad.conf:1:"),
    ("a table's missing file", "{}table <v> persist file none\n", 'cannot load "none"'),
    ("in an anchor", "{}anchor {{\npass nonsense\n}}\n", "unexpected \"nonsense\""),
    ("what is not enforced", "{}pass user root\n", "user: not enforced yet"),
    ("a NUL byte", "{}\0", "NUL byte"), ("a string without an end", "{}pass label 'x\n", "no end"),
    ("a list without an end", "{}pass from {{ 192.0.2.1\n", "list has no end"),
    ("a macro without an end", '{}m = "$m"\npass on $m\n', "without an end"),
    ("a label too long by its number", "{}" + "".join(
        f'pass in proto tcp to port {i} label "{"x" * 62}$nr"\n' for i in range(1, 12)),
     "too long by the number"),
    ("too many rules", "{}" + "pass proto tcp from port {0} to port {0}\n".format(
        "{{ " + " ".join(map(str, range(1, 1002))) + " }}"), "more than 1000000 rules"),
    ("too many tables", "set limit tables 1\n{}", "limit of 1 tables"),
    ("too many addresses", "set limit table-entries 1\n{}table <v> persist {{ 10/8 11/8 }}\n",
     "limit of 1 (set limit table-entries)"),
]


def in_force(lab):
    """All that a load may change."""
    show = [lab.pf.ctl(*args).stdout for args in (
        ["-sr"], ["-sT"], ["-t", "t", "-T", "show"], ["-st"], ["-sm"])]
    with lab.fw.udp(1001) as blocked, lab.fw.udp(1002) as open_, lab.src.udp() as c:
        c.sendto(b"x", (FW_SRC, 1001))
        c.sendto(b"y", (FW_SRC, 1002))
        open_.settimeout(5)
        passes = open_.recv(10)
        # that one came behind the other
        blocked.setblocking(False)
        try:
            return show, passes, blocked.recv(10)
        except BlockingIOError:
            return show, passes, None


@timeout(180)
def test_broken_rules_replace_nothing():
    with Lab(hosts=2, v6=False, rules=GOOD) as lab, Files({
            "bad.conf": "pass\nblock nonsense\n", "other.conf": OTHER}) as d:
        good = in_force(lab)
        eq(good[0][0].splitlines()[1:], ['pass all flags S/SA label "good"'])
        eq(good[0][1:3], ["t\n", "   192.0.2.77\n"])
        eq(good[1:], (b"y", None))

        def load(name, *args):
            r = lab.fw.run("env", "-C", d.dir, PFCTL, "-p", lab.pf.socket, "-o", "none", "-N",
                           *args, "-f", name, check=False)
            eq("Sanitizer" in r.stderr, False, r.stderr)
            return r

        for name, text, why in BROKEN:
            write(d.dir, {"pf.conf": text.format(OTHER)})
            for args in ([], ["--confirm", "60"]):
                r = load("pf.conf", *args)
                eq((name, r.returncode, r.stdout), (name, 1, ""), r.stderr)
                contains(r.stderr, why, name)
                eq(r.stderr.splitlines()[-1].split(";")[0].endswith("rules not loaded"), True,
                   r.stderr)
            eq(in_force(lab), good, name)
        with open(os.path.join(d.dir, "large"), "wb") as f:
            f.truncate(100 * MEGA)
        for name, why in ((".", "Is a directory"), ("none", "No such file or directory"),
                          ("large", "larger than 64 MB")):
            r = load(name)
            eq((r.returncode, r.stderr), (1, f"pfctl-linux: {name}: {why}\n"))
            eq(in_force(lab), good, name)
        r = load("other.conf", "-n")
        eq((r.returncode, in_force(lab)), (0, good), "-n")
        absent(lab.pf.ctl("-si").stdout, "confirm")
        # and what is right is loaded
        eq(load("other.conf").returncode, 0)
        now = in_force(lab)
        eq(now[0][0], 'pass all flags S/SA label "other"\n')
        eq(now[1:], (b"y", b"x"))


def test_reader_that_is_killed_replaces_nothing():
    """Rules that never end to come are not loaded, nor are those that came."""
    with Lab(hosts=2, v6=False, rules=GOOD) as lab:
        good = in_force(lab)
        with lab.fw.popen([PFCTL, "-p", lab.pf.socket, "-f", "-"], stdin=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as p:
            p.stdin.write(OTHER.encode())
            p.stdin.flush()
            time.sleep(0.3)
            eq((p.poll(), in_force(lab)), (None, good))
            p.kill()
        eq(in_force(lab), good)
