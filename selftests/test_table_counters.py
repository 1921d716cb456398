# SPDX-License-Identifier: BSD-2-Clause
"""Counters of tables: what each entry and each table has counted, and for how long."""
import json
import os
import signal

from pft.check import absent, at_least, cases, contains, eq, matches, timeout
from pft.inject import by, go, ip
from pft.lab import GHOST, GHOST6, GHOST6_DST, GHOST_DST, Lab
from scapy.layers.inet import ICMP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach
from scapy.packet import Raw

# name, emitter, a source behind src, a host behind dst, their networks
ALL = cases(*((f"{emitter}, {name}", emitter, *hosts) for emitter in ("linear", "tree")
              for name, *hosts in (("inet", GHOST, GHOST_DST, "192.0.2.0/24", "198.51.100.0/24"),
                                   ("inet6", GHOST6, GHOST6_DST, "2001:db8:1::/64",
                                    "2001:db8:2::/64"))))

def udp(src, dst, sport=1000, dport=53, data=b"q" * 10):
    return ip(src, dst) / UDP(sport=sport, dport=dport) / data


class Counters:
    """What a table says of itself, or of its entries: {op: (packets, bytes)} without zeroes."""

    def __init__(self, lab, *args):
        self.lab, self.args = lab, args

    def _json(self, *args):
        return json.loads(self.lab.pf.ctl("--json", *self.args, *args).stdout)

    @staticmethod
    def _some(c):
        return {f"{way}/{op}": (v["packets"], v["bytes"]) for way in ("in", "out")
                for op, v in c[way].items() if v["packets"] or v["bytes"]}

    def of(self, table):
        t, = (t for t in self._json("-sT")["tables"] if t["name"] == table)
        return self._some(t["counters"])

    def entries(self, table):
        return {("!" if e["not"] else "") + e["address"]: self._some(e["counters"])
                for e in self._json("-t", table, "-Ts")["addresses"]}


def exchange(lab, src, dst, **kw):
    """One packet in and its answer, as of a connection through fw that ends here."""
    eq(go(lab, udp(src, dst, **kw)), True)
    back = udp(dst, src, sport=kw.get("dport", 53), dport=kw.get("sport", 1000))
    eq(go(lab, back, "ext", "out"), True)


def both(n, src):
    """n packets of udp(), and their bytes."""
    return n, n * (48 + 10 if ":" in src else 28 + 10)


@ALL
def test_states(_name, emitter, src, dst, net, far):
    """Each packet of a state, both ways, for each time that a rule names the table."""
    by(emitter)
    rules = (f"table <a> counters {{ {net} }}\ntable <b> counters {{ {far} }}\n"
             f"table <plain> {{ {net} }}\n"
             "block\nmatch in from <a>\npass in proto udp from <a> to <b>\n"
             "match from <plain>\n")
    with Lab(hosts=2, rules=rules) as lab:
        c = Counters(lab)
        for _ in range(3):
            exchange(lab, src, dst)
        three = both(3, src)
        eq(c.entries("b"), {far: {"in/pass": three, "out/pass": three}})
        eq(c.of("b"), {"in/pass": three, "out/pass": three})
        eq(c.entries("a"), {net: {"in/pass": three, "in/match": three,
                                  "out/pass": three, "out/match": three}})
        # another connection counts for the same
        exchange(lab, src, dst, sport=1001)
        four = both(4, src)
        eq(c.of("b"), {"in/pass": four, "out/pass": four})
        # and their end changes nothing
        lab.pf.ctl("-Fs")
        eq(c.of("b"), {"in/pass": four, "out/pass": four})
        out = lab.pf.ctl("-vvsT").stdout
        matches(out, r"(?m)^--a-r-C\ta\n\tAddresses: {3}1\n\tIn/Block: +\[ Packets: 0 +Bytes: 0 +\]\n"
                r"\tIn/Match: +\[ Packets: 4 +Bytes: \d+ +\]$")
        matches(out, r"(?m)^--a-r--\tplain\n\tAddresses: {3}1\n?$")
        absent(out.split("plain")[1], "Packets")


@ALL
def test_without_state(_name, emitter, src, dst, net, far):
    """By the way that the packet goes; what is blocked has its own."""
    by(emitter)
    rules = (f"table <a> counters {{ {net} }}\ntable <b> counters {{ {far} }}\n"
             "block in from <a>\npass in proto udp from <a> to any port 53 no state\n"
             "pass out proto udp from <b> to <a> no state\n")
    with Lab(hosts=2, rules=rules) as lab:
        c = Counters(lab)
        exchange(lab, src, dst)
        eq(go(lab, udp(src, dst, dport=54)), False)
        one = both(1, src)
        eq(c.entries("a")[net], {"in/block": one, "in/pass": one, "out/pass": one})
        eq(c.entries("b")[far], {"out/pass": one})


@ALL
def test_longest_prefix(_name, emitter, src, dst, net, _far):
    """The entry that an address falls to, with the rule's and the entries' negations."""
    by(emitter)
    other = src[:-1] + ("8" if src[-1] != "8" else "9")
    rules = (f"table <a> counters {{ {net}, ! {src} }}\nblock\n"
             "pass in from <a> no state\npass in proto udp from ! <a> to port 54 no state\n")
    with Lab(hosts=2, rules=rules) as lab:
        c = Counters(lab)
        one = both(1, src)
        eq(go(lab, udp(other, dst)), True)
        eq(go(lab, udp(src, dst)), False)  # the block rule names no table
        eq(c.entries("a"), {net: {"in/pass": one}, "!" + src: {}})
        eq(go(lab, udp(src, dst, dport=54)), True)
        eq(c.entries("a"), {net: {"in/pass": one}, "!" + src: {"in/pass": one}})
        # and what is in none of them counts for the table alone
        far = "2001:db8:77::1" if ":" in src else "203.0.113.9"
        eq(go(lab, udp(far, dst, dport=54)), True)
        eq(c.of("a"), {"in/pass": both(3, src)})
        eq(c.entries("a"), {net: {"in/pass": one}, "!" + src: {"in/pass": one}})


@ALL
def test_refused(_name, emitter, src, dst, net, _far):
    """What a limit of states refuses counts for nothing."""
    by(emitter)
    rules = (f"table <a> counters {{ {net} }}\nmatch in from <a>\n"
             "pass in proto udp from <a> keep state (max 1)\n")
    with Lab(hosts=2, rules=rules) as lab:
        c = Counters(lab)
        eq(go(lab, udp(src, dst)), True)
        eq(go(lab, udp(src, dst, sport=1001)), False)
        one = both(1, src)
        eq(c.of("a"), {"in/match": one, "in/pass": one})


@ALL
def test_many_matches(_name, emitter, src, dst, net, _far):
    """More rules than a state has room for itself."""
    by(emitter)
    rules = f"table <a> counters {{ {net} }}\n" + "".join(
        f"match in proto udp from <a> to port {53 if i % 2 else '50:60'}\n" for i in range(20)) + "pass\n"
    with Lab(hosts=2, rules=rules) as lab:
        c = Counters(lab)
        exchange(lab, src, dst)
        exchange(lab, src, dst)
        eq(c.of("a"), {"in/match": both(40, src), "out/match": both(40, src)})


def translating(src, net):
    """The address that `net' leaves as, and rules that say so, with a table of each."""
    af, to = ("inet6", "2001:db8:2::99") if ":" in src else ("inet", "198.51.100.99")
    return to, (f"table <real> counters {{ {net} }}\ntable <as> counters {{ {to} }}\n"
                f"match out on ext {af} from <real> nat-to {to}\n")


@ALL
def test_translation(_name, emitter, src, dst, net, far):
    """Tables of what rules see before translation, and of what they see behind it."""
    by(emitter)
    to, rules = translating(src, net)
    rules += (f"table <far> counters {{ {far} }}\n"
              "pass out on ext proto udp from <as> to <far>\n")
    with Lab(hosts=2, rules=rules) as lab:
        c = Counters(lab)
        eq(go(lab, udp(src, dst), "ext", "out"), True)
        line, = (s for s in lab.pf.states() if to in s)
        port = int(matches(line, r"%s[\[:](\d+)" % to.replace(".", r"\."))[1])
        for _ in range(2):
            eq(go(lab, udp(dst, to, sport=53, dport=port)), True)
        one, two = both(1, src), both(2, src)
        eq(c.entries("real"), {net: {"out/match": one, "in/match": two}})
        eq(c.entries("as"), {to: {"out/pass": one, "in/pass": two}})
        eq(c.of("far"), {"out/pass": one, "in/pass": two})


@ALL
def test_translation_that_comes_to_nothing(_name, emitter, src, dst, net, _far):
    """What is blocked, or keeps no state, leaves as it came; rules have seen it translated."""
    by(emitter)
    to, rules = translating(src, net)
    rules += ("block out on ext proto udp from <as> to port 53\n"
              "pass out on ext proto udp from <as> to port 54 no state\n")
    with Lab(hosts=2, rules=rules) as lab:
        c = Counters(lab)
        eq(go(lab, udp(src, dst), "ext", "out"), False)
        eq(go(lab, udp(src, dst, dport=54), "ext", "out"), True)
        one, two = both(1, src), both(2, src)
        eq((c.entries("real"), c.of("real")), ({net: {"out/match": two}}, {"out/match": two}))
        eq((c.entries("as"), c.of("as")), ({to: {"out/block": one, "out/pass": one}},
                                           {"out/block": one, "out/pass": one}))


@ALL
def test_changed_meanwhile(_name, emitter, src, dst, net, far):
    """A state's packets count for what its address falls to now: XPass, if it is out."""
    by(emitter)
    rules = f"table <a> counters {{ {net} }}\npass in proto udp from <a>\n"
    with Lab(hosts=2, rules=rules) as lab:
        c = Counters(lab)
        exchange(lab, src, dst)
        lab.pf.ctl("-t", "a", "-Tadd", src)
        exchange(lab, src, dst)
        one = both(1, src)
        eq(c.entries("a"), {net: {"in/pass": one, "out/pass": one},
                            src: {"in/pass": one, "out/pass": one}})
        lab.pf.ctl("-t", "a", "-Treplace", far)
        exchange(lab, src, dst)
        eq(c.entries("a"), {far: {}})
        two = both(2, src)
        eq(c.of("a"), {"in/pass": two, "out/pass": two, "in/xpass": one, "out/xpass": one})
        lab.pf.ctl("-t", "a", "-Treplace", "!" + net, src)
        exchange(lab, src, dst)
        eq(c.entries("a"), {"!" + net: {}, src: {"in/pass": one, "out/pass": one}})


@ALL
def test_errors(_name, emitter, src, dst, net, _far):
    """An ICMP error about a connection is a packet of it."""
    by(emitter)
    with Lab(hosts=2, rules=f"table <a> counters {{ {net} }}\nblock\n"
             "pass in proto udp from <a>\n") as lab:
        c = Counters(lab)
        pkt = udp(src, dst)
        eq(go(lab, pkt), True)
        error = ip(dst, src) / (ICMPv6DestUnreach(code=4) if ":" in src else
                                ICMP(type=3, code=3)) / Raw(bytes(pkt))
        eq(go(lab, error, "ext", "out"), True)
        eq(c.of("a"), {"in/pass": both(1, src), "out/pass": (1, len(bytes(error)))})


@cases(("linear", "linear"), ("tree", "tree"))
def test_life(_name, emitter):
    """They survive loads that have the table, restarts of pfd, and go with the option."""
    by(emitter)
    rules = "table <a> counters { %s }\npass in proto udp from <a>\n"
    net = "192.0.2.0/24"
    with Lab(hosts=2, rules=rules % net, v6=False) as lab:
        c = Counters(lab)
        exchange(lab, GHOST, GHOST_DST)
        one, two, three = both(1, GHOST), both(2, GHOST), both(3, GHOST)
        is_one = {net: {"in/pass": one, "out/pass": one}}
        eq(c.entries("a"), is_one)
        lab.pf.load(rules % net)
        eq(c.entries("a"), is_one)
        # the same address in another list, and the state of the rules of before
        lab.pf.load(rules % f"{net}, 203.0.113.1")
        eq(c.entries("a"), {**is_one, "203.0.113.1": {}})
        exchange(lab, GHOST, GHOST_DST)
        eq(c.entries("a")[net], {"in/pass": two, "out/pass": two})
        for sig in (signal.SIGTERM, signal.SIGKILL):
            lab.pf.stop(sig)
            lab.pf.start()
            eq(c.entries("a")[net], {"in/pass": two, "out/pass": two})
        exchange(lab, GHOST, GHOST_DST)
        eq(c.entries("a")[net], {"in/pass": three, "out/pass": three})
        # one that fails takes nothing away
        eq(lab.pf.ctl("-f", "-", input="table <a> { 10/8 }\npass from <a> bad\n",
                      check=False).returncode, 1)
        eq(c.entries("a")[net], {"in/pass": three, "out/pass": three})
        # nor one that pfd refuses, when the rules of before count no more in it
        p = lab.pf.ctl("-f", "-", check=False, input="table <a> { %s }\n"
                       "pass in proto udp from <a>\n" % net +
                       "".join(f"pass on nosuch{i}\n" for i in range(600)))
        eq(p.returncode, 1)
        contains(p.stderr, "interface")
        lab.pf.ctl("-Fs")
        exchange(lab, GHOST, GHOST_DST)
        four = both(4, GHOST)
        eq(c.entries("a")[net], {"in/pass": four, "out/pass": four})
        lab.pf.load("table <a> { %s }\npass in proto udp from <a>\n" % net)
        eq("counters" in json.loads(lab.pf.ctl("--json", "-sT").stdout)["tables"][0], False)
        absent(lab.pf.ctl("-t", "a", "-v", "-Ts").stdout, "Packets")
        exchange(lab, GHOST, GHOST_DST)
        lab.pf.load(rules % net)
        eq(c.entries("a"), {net: {}})
        exchange(lab, GHOST, GHOST_DST)
        lab.pf.ctl("-Fs")
        exchange(lab, GHOST, GHOST_DST)
        at_least(c.entries("a")[net]["in/pass"][0], 1)


def test_zero():
    """-T zero of some, or of all."""
    a, b = "192.0.2.10", "192.0.2.11"
    with Lab(hosts=2, rules=f"table <a> counters {{ {a}, {b} }}\npass in proto udp from <a>\n",
             v6=False) as lab:
        c = Counters(lab)
        for who in (a, b):
            exchange(lab, who, GHOST_DST)
        one, two = both(1, a), both(2, a)
        lab.pf.ctl("-n", "-t", "a", "-Tzero", a)
        eq(c.entries("a")[a], {"in/pass": one, "out/pass": one})
        eq(lab.pf.ctl("-t", "a", "-Tzero", a, "192.0.2.12").stderr.strip(), "1/2 addresses cleared.")
        eq(c.entries("a"), {a: {}, b: {"in/pass": one, "out/pass": one}})
        eq(c.of("a"), {"in/pass": two, "out/pass": two})
        exchange(lab, a, GHOST_DST)
        eq(c.entries("a")[a], {"in/pass": one, "out/pass": one})
        lab.pf.ctl("-t", "a", "-Tzero")
        eq((c.entries("a"), c.of("a")), ({a: {}, b: {}}, {}))
        exchange(lab, b, GHOST_DST)
        eq(c.of("a"), {"in/pass": one, "out/pass": one})
        # what has gone and comes back begins anew
        lab.pf.ctl("-t", "a", "-Tdelete", b)
        lab.pf.ctl("-t", "a", "-Tadd", b)
        eq(c.entries("a"), {a: {}, b: {}})


@cases(("linear", "linear"), ("tree", "tree"))
def test_anchors(_name, emitter):
    """An anchor's own table, and the main ruleset's that it means."""
    by(emitter)
    net = "192.0.2.0/24"
    with Lab(hosts=2, rules=f"table <m> persist counters {{ {net} }}\nanchor x\n", v6=False) as lab:
        lab.pf.ctl("-a", "x", "-f", "-", input=f"table <own> counters {{ {net} }}\nblock\n"
                   "pass in proto udp from <own>\nmatch from <m>\n")
        exchange(lab, GHOST, GHOST_DST)
        one = both(1, GHOST)
        eq(Counters(lab).of("m"), {"in/match": one, "out/match": one})
        eq(Counters(lab, "-a", "x").of("own"), {"in/pass": one, "out/pass": one})
        contains(lab.pf.ctl("-v", "-sT", "-a", "x").stdout, "--a-r-C\town")
        # replaced alone
        lab.pf.ctl("-a", "x", "-f", "-", input="pass in proto udp from <m>\n")
        lab.pf.ctl("-Fs")
        exchange(lab, GHOST, GHOST_DST)
        eq(Counters(lab).of("m"), {"in/match": one, "out/match": one, "in/pass": one,
                                   "out/pass": one})


def test_large_anchor():
    """One of a large ruleset, whose rules are changed in place."""
    net = "192.0.2.0/24"
    many = "".join(f"pass in proto tcp to port {i}\n" for i in range(1, 3001))
    with Lab(hosts=2, rules=f"table <m> persist counters {{ {net} }}\nblock\nanchor x\n" + many,
             v6=False, pfd_args=("--emitter", "tree")) as lab:
        c = Counters(lab)
        for n in (1, 2, 3):
            lab.pf.ctl("-a", "x", "-f", "-", input=f"pass in quick proto udp from <m> label l{n}\n")
            exchange(lab, GHOST, GHOST_DST, sport=n)
            eq(c.of("m"), {"in/pass": both(n, GHOST), "out/pass": both(n, GHOST)})


def test_real_connection():
    """Every segment, those that would take the fast path, too."""
    net = "192.0.2.0/24"
    with Lab(rules=f"table <a> counters {{ {net} }}\npass\npass in on ext proto tcp from <a>\n",
             v6=False) as lab:
        listener = lab.dst.listen(80)
        with lab.src.connect("198.51.100.1", 80) as s:
            peer, _ = listener.accept()
            with peer:
                for _ in range(100):
                    s.sendall(bytes(10000))
                    got = 0
                    while got < 10000:
                        got += len(peer.recv(1 << 16))
        lab.pf.ctl("-Fs")
        c = Counters(lab).of("a")
        at_least(c["in/pass"][1], 1000000)
        rule = lab.pf.rule_numbers()[1][1]
        eq((c["in/pass"][0] + c["out/pass"][0], c["in/pass"][1] + c["out/pass"][1]),
           (rule["packets"], rule["bytes"]))


@timeout(180)
def test_limit():
    """Its message names it, and what was in force stays so."""
    most = 1 << 20
    with Lab(hosts=2, rules="table <a> counters { 192.0.2.0/24 }\npass in proto udp from <a>\n",
             v6=False) as lab:
        exchange(lab, GHOST, GHOST_DST)
        name = os.path.join(lab.dir, "list")
        with open(name, "w", encoding="ascii") as f:
            f.writelines(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}\n" for i in range(most))
        p = lab.pf.ctl("-f", "-", check=False, timeout=150, input=(
            "set limit table-entries 2000000\n"
            f'table <b> persist counters file "{name}"\npass from <b>\n'))
        eq((p.returncode, p.stderr.splitlines()[0]),
           (1, f"pfctl-linux: table <b>: all tables with counters would have more than {most} "
            "entries"))
        one = both(1, GHOST)
        eq(Counters(lab).entries("a"), {"192.0.2.0/24": {"in/pass": one, "out/pass": one}})
