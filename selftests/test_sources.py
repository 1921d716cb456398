# SPDX-License-Identifier: BSD-2-Clause
"""keep state (...): sources that are tracked, their limits, offenders."""
import re
import time

from pft.check import cases, contains, eq, matches, timeout
from pft.inject import at_once, by, go, ip
from pft.lab import DST, GHOST, GHOST6, GHOST6_DST, GHOST_DST, SRC, Lab
from pft.netns import wait_for
from scapy.layers.inet import TCP, UDP

EMITTERS = cases(("linear",), ("tree",))
OTHER = "192.0.2.101"


def udp(lab, sport, a=GHOST, dport=53):
    return go(lab, ip(a, GHOST6_DST if ":" in a else GHOST_DST) /
              UDP(sport=sport, dport=dport) / b"q")


def syn(lab, sport, a=GHOST, dport=80):
    b = GHOST6_DST if ":" in a else GHOST_DST
    return go(lab, ip(a, b) / TCP(sport=sport, dport=dport, flags="S", seq=100))


def answer(lab, sport, a=GHOST, dport=80):
    b = GHOST6_DST if ":" in a else GHOST_DST
    return go(lab, ip(b, a) / TCP(sport=dport, dport=sport, flags="SA", seq=500, ack=101),
              way="out")


def ack(lab, sport, a=GHOST, dport=80):
    b = GHOST6_DST if ":" in a else GHOST_DST
    return go(lab, ip(a, b) / TCP(sport=sport, dport=dport, flags="A", seq=101, ack=501))


def connect(lab, sport, a=GHOST, dport=80):
    """The handshake, as far as it goes: how many of its three segments passed."""
    n = 0
    for step in (syn, answer, ack):
        if not step(lab, sport, a, dport):
            break
        n += 1
    return n


def sources(lab, *args):
    return lab.pf.ctl("-sS", *args).stdout.splitlines()


def counts(lab):
    """[(address, states, connections)]."""
    out = []
    for line in sources(lab):
        m = matches(line, r"^(\S+) \( states (\d+), connections (\d+), rate [\d.]+/\d+s \)$")
        out.append((m[1], int(m[2]), int(m[3])))
    return sorted(out)


def limit(lab, name):
    return int(matches(lab.pf.ctl("-si", "-v").stdout, rf"^  {name} +(\d+) ")[1])


def table(lab, name):
    return lab.pf.ctl("-t", name, "-T", "show").stdout.split()


# --- nodes ---

@EMITTERS
def test_states_by_rule(emitter):
    """Scenario max_src_states_rule: nodes are of a rule and a source."""
    by(emitter)
    rules = ("block\nmatch in\n"
             "pass in proto tcp from port 4210:4219 keep state (max-src-states 3, source-track rule)"
             "\npass in proto tcp from port 4220:4229 keep state (max-src-states 3, "
             "source-track rule)\n")
    with Lab(hosts=2, rules=rules) as lab:
        a, b = GHOST6, "2001:db8:1::101"
        for base, src in ((4210, a), (4220, a), (4220, b)):
            eq([syn(lab, base + n, src) for n in range(4)], [True, True, True, False])
        eq(counts(lab), [(a, 3, 0), (a, 3, 0), (b, 3, 0)])
        eq(limit(lab, "max-src-states"), 3)
        eq(lab.pf.info()["src-limit"], 3)
        for _, n in lab.pf.rule_numbers()[2:]:
            eq(n["packets"], n["states"])
        eq(lab.pf.rule_numbers()[1][1]["packets"], 9, "nor does match count what is refused")
        eq(syn(lab, 4210, a), True, "a state is a state")
        lab.pf.ctl("-k", a)
        eq(counts(lab), [(b, 3, 0)])
        eq(syn(lab, 4219, a), True)


@EMITTERS
def test_states_of_all_rules(emitter):
    by(emitter)
    rules = ("pass in proto udp to port 53 keep state (max-src-states 3, source-track global)\n"
             "pass in proto udp to port 54 keep state (max-src-states 5, source-track global)\n"
             "pass in proto udp to port 55 keep state (source-track)\n")
    with Lab(hosts=2, rules=rules) as lab:
        eq([udp(lab, n, dport=54) for n in range(1, 4)], [True] * 3)
        eq(udp(lab, 10), False, "three there are")
        eq([udp(lab, n, dport=54) for n in range(4, 7)], [True, True, False])
        eq(udp(lab, 20, dport=55), True, "no limit")
        eq(udp(lab, 20, OTHER), True)
        eq(counts(lab), [(GHOST, 6, 0), (OTHER, 1, 0)])
        lines = sources(lab, "-v")
        eq(len([x for x in lines if "filter rule" in x]), 0, "they are no rule's")


def test_shown():
    rules = ("pass in proto tcp keep state (max-src-conn-rate 100/1000, source-track rule)\n")
    with Lab(hosts=2, rules="block in proto udp\n" + rules) as lab:
        eq(connect(lab, 1), 3)
        eq(connect(lab, 2), 3)
        eq(syn(lab, 3), True)
        lines = sources(lab, "-v")
        eq(len(lines), 2)
        eq([line.endswith(", rule 1, source-track")
            for line in lab.pf.ctl("-ss", "-v").stdout.splitlines() if "age" in line], [True] * 3)
        matches(lines[0], rf"^{re.escape(GHOST)} \( states 3, connections 2, rate [12]\.\d/1000s \)$")
        matches(lines[1], r"^   age 00:00:\d\d, 7 pkts, 280 bytes, filter rule 1$")
        lab.pf.ctl("-k", GHOST)
        lines = sources(lab, "-v")
        matches(lines[0], r"states 0, connections 0, rate")
        eq(lab.pf.ctl("-ss").stdout, "")
        matches(lines[1], r"expires in 00:1\d:\d\d, 7 pkts, 280 bytes, filter rule 1$")
        out = lab.pf.ctl("-sa").stdout
        contains(out, "SOURCE TRACKING NODES:\n" + GHOST)
        out = lab.pf.ctl("-si", "-v").stdout
        matches(out, r"Source Tracking Table\n  current entries +1 +\n  searches +3 .*\n"
                     r"  inserts +1 .*\n  removals +0 ")


def test_kill():
    """Scenario kill; states go on without a node, and count for no new one."""
    with Lab(hosts=2, rules="pass in proto udp keep state (source-track rule)\n") as lab:
        for n in (1, 2):
            udp(lab, n)
            udp(lab, n, OTHER)
        r = lab.pf.ctl("-K", GHOST)
        eq(r.stderr.strip(), "killed 1 src nodes from 1 sources and 0 destinations")
        eq(counts(lab), [(OTHER, 2, 0)])
        eq(lab.pf.info()["current entries"], 4)
        udp(lab, 3)
        eq(counts(lab), [(GHOST, 1, 0), (OTHER, 2, 0)])
        lab.pf.ctl("-k", GHOST, "-k", GHOST_DST)
        eq(counts(lab), [(OTHER, 2, 0)], "the new one's has ended")
        eq(lab.pf.ctl("-K", "0.0.0.0/0", "-K", GHOST_DST).stderr.strip(),
           "killed 0 src nodes from 1 sources and 1 destinations", "it is mapped to nothing")
        eq(lab.pf.ctl("-K", GHOST, "-K", "::1").stderr.strip(),
           "killed 0 src nodes from 1 sources and 0 destinations", "another family meets none")
        eq(lab.pf.ctl("-F", "Sources").stderr.strip(), "source tracking entries cleared")
        eq(counts(lab), [])
        eq(lab.pf.info()["current entries"], 2)
        lab.pf.ctl("-Fs")
        eq(counts(lab), [])
        udp(lab, 9)
        eq(counts(lab), [(GHOST, 1, 0)])
        eq("twice" in lab.pf.ctl("-K", "1.1.1.1", "-K", "1.1.1.1", "-K", "1.1.1.1",
                                 check=False).stderr, True)


@EMITTERS
def test_max_nodes(emitter):
    by(emitter)
    rules = ("pass in proto udp to port 53 keep state (max-src-nodes 2)\n"
             "pass in proto udp to port 54 keep state (max-src-nodes 2)\n")
    with Lab(hosts=2, rules=rules) as lab:
        eq([udp(lab, 1, f"192.0.2.{n}") for n in (11, 12, 13)], [True, True, False])
        eq(udp(lab, 2, "192.0.2.11"), True, "one that is there")
        eq([udp(lab, 1, f"192.0.2.{n}", 54) for n in (11, 12, 13)], [True, True, False])
        eq(limit(lab, "max-src-nodes"), 2)
        eq(lab.pf.info()["src-limit"], 2)
        lab.pf.ctl("-k", "192.0.2.11")
        eq([udp(lab, 1, f"192.0.2.{n}") for n in (13, 14)], [True, False])
        lab.pf.ctl("-K", "192.0.2.12")
        eq([udp(lab, 1, f"192.0.2.{n}") for n in (14, 15)], [True, False])


def test_limit_of_nodes():
    rules = "set limit src-nodes 3\npass in proto udp keep state (source-track)\n"
    with Lab(hosts=2, rules=rules) as lab:
        eq([udp(lab, 1, f"192.0.2.{n}") for n in range(10, 14)], [True] * 3 + [False])
        eq((limit(lab, "max-src-nodes"), lab.pf.info()["src-limit"]), (0, 1))
        lab.pf.load("set limit src-nodes 4\npass in proto udp keep state (source-track)\n")
        eq([udp(lab, 1, f"192.0.2.{n}") for n in range(13, 15)], [True, False])
        contains(lab.pf.ctl("-sm").stdout, "src-nodes     hard limit        4")


def test_life():
    """src.track, global and a rule's own; as long as there are states it does not begin."""
    third = "192.0.2.102"
    rules = ("set timeout { interval 1, src.track 600, udp.first 1 }\n"
             "pass in proto udp to port 53 keep state (source-track)\n"
             "pass in proto udp to port 54 keep state (source-track rule, src.track 1)\n"
             "pass in proto udp to port 55 keep state (source-track rule, src.track 1, "
             "udp.first 600)\n")
    with Lab(hosts=2, rules=rules) as lab:
        udp(lab, 1)
        udp(lab, 1, OTHER, 54)
        udp(lab, 1, third, 55)
        wait_for("states end", lambda: lab.pf.info()["current entries"] == 1, 10)
        wait_for("the second to go",
                 lambda: [s for s, _, _ in counts(lab)] == [GHOST, third], 10)
        time.sleep(1.5)
        eq(counts(lab), [(GHOST, 0, 0), (third, 1, 0)])
        left = next(after for line, after in zip(sources(lab, "-v"), sources(lab, "-v")[1:])
                    if line.startswith(GHOST))
        matches(left, r"expires in 00:0[89]:")
        eq(udp(lab, 2), True)
        eq(counts(lab), [(GHOST, 1, 0), (third, 1, 0)])
        source_table = lab.pf.ctl("-si", "-v").stdout.split("Source Tracking Table")[1]
        eq(matches(source_table, r"  inserts +(\d+) .*\n  removals +(\d+) ").groups(), ("3", "1"))


def test_reload_and_restart():
    """Rules that go on keep their nodes, with keepcounters; another pfd finds them."""
    rule = "pass in proto udp to port 53 keep state (max-src-states 2, source-track rule)\n"
    with Lab(hosts=2, rules=rule) as lab:
        eq([udp(lab, n) for n in (1, 2, 3)], [True, True, False])
        lab.pf.load(rule)
        eq([udp(lab, n) for n in (4, 5, 6)], [True, True, False], "a new rule")
        lab.pf.load("set keepcounters\npass in proto tcp\n" + rule)
        eq(udp(lab, 7), False)
        lab.pf.restart()
        eq(udp(lab, 7), False)
        eq(counts(lab), [(GHOST, 2, 0)] * 2)
        lab.pf.load("set keepcounters\nset limit states 150000\npass in proto tcp\n" + rule)
        eq(udp(lab, 7), False, "in a larger table")
        eq(counts(lab), [(GHOST, 2, 0)] * 2)
        lab.pf.ctl("-Fs")
        eq(counts(lab), [])
        eq([udp(lab, n) for n in (1, 2, 3)], [True, True, False])


def test_ids_of_rules_with_nodes():
    """A rule that is gone keeps its id while it has nodes: no new rule finds them."""
    rule = "pass in proto udp keep state (max-src-nodes 1, src.track 600)\n"
    with Lab(hosts=2, rules=rule) as lab:
        udp(lab, 1)
        lab.pf.ctl("-Fs")
        # all ids in turn, and more
        for n in range(3):
            lab.pf.load("".join(f"pass in proto udp to port {k} keep state (max-src-nodes 1)\n"
                                for k in range(1, 1601)))
            eq([udp(lab, 1, f"192.0.2.{a}", 700 + n) for a in (50, 51)], [True, False])
            lab.pf.ctl("-Fs")
        eq(counts(lab), [(GHOST, 0, 0)])


@timeout(120)
def test_exact():
    """Several CPUs at once: as many states as there may be, and none left over."""
    rules = ("set timeout udp.first 3000\n"
             "pass in proto udp to port 53 keep state (max-src-states 100, source-track)\n"
             "pass in proto udp to port 54 keep state (max-src-nodes 30)\n")
    with Lab(hosts=2, rules=rules) as lab:
        for dport in (53, 54):
            def send(k):
                return sum(udp(lab, 1000 * k + n + 1, GHOST if dport == 53 else
                               f"192.0.2.{k * 60 + n // 2 + 1}", dport) for n in range(120))
            eq(sum(at_once(3, send)), {53: 100, 54: 60}[dport])
        by_source = {}
        for src, states, _ in counts(lab):
            by_source.setdefault(src, []).append(states)
        eq(max(by_source[GHOST]), 100)
        eq(len(counts(lab)), 31)
        lab.pf.ctl("-Fs")
        eq(counts(lab), [])


# --- connections ---

@EMITTERS
def test_connections(emitter):
    """The handshake that is one too many is done on the wire, but for the last ACK."""
    by(emitter)
    rules = "block\npass in proto tcp to port 80 keep state (max-src-conn 2)\n"
    with Lab(hosts=2, rules=rules) as lab:
        eq([syn(lab, n) for n in range(1, 6)], [True] * 5, "half-open ones do not count")
        eq([connect(lab, n) for n in (11, 12, 13)], [3, 3, 2])
        eq((limit(lab, "max-src-conn"), lab.pf.info()["src-limit"]), (1, 1))
        eq(lab.pf.info()["current entries"], 7, "its state is gone")
        eq(go(lab, ip(GHOST_DST, GHOST) / TCP(sport=80, dport=13, flags="A", seq=501, ack=101),
              way="out"), False)
        eq(counts(lab), [(GHOST, 7, 2)])
        eq(connect(lab, 11, OTHER), 3, "another source")
        lab.pf.ctl("-k", OTHER)
        eq(go(lab, ip(GHOST, GHOST_DST) / TCP(sport=11, dport=80, flags="R", seq=101)), True)
        eq(connect(lab, 14), 2, "a connection counts until its state ends")


@EMITTERS
def test_sloppy_connections(emitter):
    by(emitter)
    rules = "pass in proto tcp keep state (max-src-conn 1, sloppy)\n"
    with Lab(hosts=2, rules=rules) as lab:
        eq(connect(lab, 1), 3)
        eq(syn(lab, 2), True)
        eq(ack(lab, 2), False, "seen from one side alone")
        eq(counts(lab), [(GHOST, 1, 1)])


@EMITTERS
def test_rate(emitter):
    by(emitter)
    rules = ("pass in proto tcp to port 80 keep state (max-src-conn-rate 3/4, "
             "overload <bad>)\n")
    with Lab(hosts=2, rules="table <bad> persist\n" + rules) as lab:
        eq([connect(lab, n) for n in range(1, 5)], [3, 3, 3, 2])
        eq(limit(lab, "max-src-conn-rate"), 1)
        eq(limit(lab, "overload table insertion"), 1)
        eq(table(lab, "bad"), [GHOST])
        time.sleep(4.3)
        eq(connect(lab, 10), 3, "they have faded")
        matches(sources(lab)[0], r"states 4, connections 4, rate (1\.0|0\.9)/4s")


# --- offenders ---

@EMITTERS
def test_overload(emitter):
    """The table is there though nobody defines it, and the next packet is judged by it."""
    by(emitter)
    rules = ("block in quick from <bad>\n"
             "pass in proto tcp to port 80 keep state (max-src-conn 1, overload <bad>)\n"
             "pass in proto udp\n")
    with Lab(hosts=2, rules=rules) as lab:
        eq(table(lab, "bad"), [])
        for a in (GHOST, GHOST6):
            eq(udp(lab, 1, a), True)
            eq([connect(lab, n, a) for n in (1, 2)], [3, 2])
            eq([syn(lab, 3, a), udp(lab, 2, a)], [False, False])
            eq(udp(lab, 1, a), True, "states go on")
        eq(sorted(table(lab, "bad")), sorted([GHOST, GHOST6]))
        eq(connect(lab, 1, OTHER), 3)
        eq((limit(lab, "overload table insertion"), limit(lab, "overload flush states")), (2, 0))
        lab.pf.ctl("-t", "bad", "-T", "delete", GHOST)
        eq(syn(lab, 3), True)


@cases(("",), ("flush",), ("flush global",))
def test_flush(flush):
    rules = ("table <bad> persist\nblock in quick from <bad>\n"
             f"pass in proto tcp to port 80 keep state (max-src-conn 3, overload <bad> {flush})\n"
             "pass in proto udp\n")
    with Lab(hosts=2, rules=rules) as lab:
        for a in (GHOST, OTHER):
            eq([udp(lab, n, a) for n in (1, 2)], [True, True])
            eq([connect(lab, n, a) for n in (1, 2)], [3, 3])
        eq([connect(lab, n) for n in (3, 4)], [3, 2])
        want = {"": 5 + 4, "flush": 2 + 4, "flush global": 4}[flush]
        wait_for("the flush", lambda: lab.pf.info()["current entries"] == want, 3)
        time.sleep(0.3)
        eq(lab.pf.info()["current entries"], want)
        eq(limit(lab, "overload flush states"), 1 if flush else 0)
        eq(len([s for s in lab.pf.states() if OTHER in s]), 4, "nobody else's")


def test_flush_without_pfd():
    """pfd is dead: the table, the flush and the life of nodes go on."""
    rules = ("set timeout { interval 1, udp.first 1 }\ntable <bad> persist\n"
             "block in quick from <bad>\n"
             "pass in proto tcp to port 80 keep state (max-src-conn 1, overload <bad> flush "
             "global)\npass in proto udp keep state (source-track, src.track 1)\n")
    with Lab(hosts=2, rules=rules) as lab:
        eq(udp(lab, 1, OTHER), True)
        eq([connect(lab, n) for n in (1, )], [3])
        lab.pf.stop(9)
        eq(connect(lab, 2), 2)
        eq(udp(lab, 5), False)
        time.sleep(0.2)
        eq(ack(lab, 1), False, "its other connection is over")
        time.sleep(4)
        lab.pf.start()
        eq(counts(lab), [])
        eq(table(lab, "bad"), [GHOST])
        eq(lab.pf.info()["current entries"], 0)


def test_table_of_before():
    """States outlive their rule: its table goes, another one comes into its place."""
    first = ("table <bad> persist\n"
             "pass in proto tcp to port 80 keep state (max-src-conn 1, overload <bad> flush)\n")
    with Lab(hosts=2, rules=first) as lab:
        eq(connect(lab, 1), 3)
        for n in (2, 3):
            eq([syn(lab, n), answer(lab, n)], [True, True])
        lab.pf.load("table <bad> persist { 10.0.0.1 }\n" + first.split("\n", 1)[1])
        eq(ack(lab, 2), False, "a state of before has its limit")
        lab.pf.load("pass in proto tcp from <other> keep state (max-src-conn 1, "
                    "overload <other>)\n")
        lab.pf.ctl("-t", "bad", "-T", "kill", check=False)
        eq(ack(lab, 3), False)
        eq(table(lab, "other"), [])


def test_anchor():
    """An anchor's rule means its own table, or the main ruleset's."""
    with Lab(hosts=2, rules="table <bad> persist\nanchor a\nanchor b\n") as lab:
        rule = "pass in proto tcp to port {} keep state (max-src-conn 1, overload <bad>)\n"
        lab.pf.load(rule.format(81), "-a", "a")
        lab.pf.load("table <bad> persist\n" + rule.format(82), "-a", "b")
        eq([connect(lab, n, dport=81) for n in (1, 2)], [3, 2])
        eq([connect(lab, n, OTHER, 82) for n in (1, 2)], [3, 2])
        eq(table(lab, "bad"), [GHOST])
        eq(lab.pf.ctl("-a", "b", "-t", "bad", "-T", "show").stdout.split(), [OTHER])
        lab.pf.load(rule.format(81) + rule.format(83), "-a", "a")
        lab.pf.ctl("-t", "bad", "-T", "flush")
        eq([connect(lab, n, OTHER, 83) for n in (1, 2)], [3, 2])
        eq(table(lab, "bad"), [OTHER])


@timeout(90)
@EMITTERS
def test_real_connections(emitter):
    """Stacks at both ends: not one connection more, and none of the old ones is left."""
    by(emitter)
    rules = ("set skip on lo\nblock in quick on ext from <bad>\n"
             "pass in on ext proto tcp to port 7777 keep state (max-src-conn 4, overload <bad> "
             "flush global)\npass out\n")
    import socket
    with Lab(hosts=3, rules=rules) as lab:
        server = lab.dst.sock(socket.AF_INET, socket.SOCK_STREAM)
        server.bind((DST, 7777))
        server.listen(20)
        clients = []
        for n in range(4):
            c = lab.src.sock(socket.AF_INET, socket.SOCK_STREAM)
            c.settimeout(5)
            c.connect((DST, 7777))
            s, _ = server.accept()
            c.send(b"x")
            eq(s.recv(1), b"x")
            clients.append((c, s))
        eq(counts(lab), [(SRC, 4, 4)])
        c = lab.src.sock(socket.AF_INET, socket.SOCK_STREAM)
        c.settimeout(5)
        c.connect((DST, 7777))
        wait_for("the table", lambda: table(lab, "bad") == [SRC], 5)
        wait_for("the flush", lambda: not [s for s in lab.pf.states() if "<-" in s], 5)
        late = lab.src.sock(socket.AF_INET, socket.SOCK_STREAM)
        late.settimeout(1.5)
        try:
            late.connect((DST, 7777))
            raise AssertionError("a connection more")
        except (TimeoutError, socket.timeout):
            pass
        clients[0][1].settimeout(1)
        clients[0][0].send(b"y")
        try:
            eq(clients[0][1].recv(1), None, "an old connection lives")
        except (TimeoutError, socket.timeout):
            pass
        for pair in clients:
            for x in pair:
                x.close()
        for x in (c, late, server):
            x.close()
