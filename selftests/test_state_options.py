# SPDX-License-Identifier: BSD-2-Clause
"""keep state (...): timeouts and limits of a rule, sloppy tracking, if-bound states."""
import json
import os
import re
import time

from pft.check import absent, between, cases, contains, eq, lines_eq, matches, timeout
from pft.inject import at_once, by, go, ip
from pft.lab import FW_SRC, GHOST, GHOST6, GHOST6_DST, GHOST_DST, Lab
from pft.netns import wait_for
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.packet import Raw, raw

EMITTERS = cases(("linear",), ("tree",))


def udp(lab, sport, dport=53, dev="ext", way="in", a=GHOST, b=GHOST_DST):
    return go(lab, ip(a, b) / UDP(sport=sport, dport=dport) / b"q", dev, way)


def seg(lab, flags, seq, ack=0, back=False, dev="ext", a=GHOST, b=GHOST_DST, sport=1000):
    if back:
        return go(lab, ip(b, a) / TCP(sport=80, dport=sport, flags=flags, seq=seq, ack=ack), dev,
                  "out")
    return go(lab, ip(a, b) / TCP(sport=sport, dport=80, flags=flags, seq=seq, ack=ack), dev)


def expires(lab):
    """Seconds that the states have left, by source port."""
    out, port = {}, None
    for line in lab.pf.ctl("-ss", "-v").stdout.splitlines():
        m = re.search(r"<- \S+?[:\[](\d+)", line)
        port = int(m[1]) if m else port
        m = re.search(r"expires in (\d+):(\d+):(\d+)", line)
        if m:
            out[port] = int(m[1]) * 3600 + int(m[2]) * 60 + int(m[3])
    return out


def limit_counter(lab, name="max states per rule"):
    return int(matches(lab.pf.ctl("-si", "-v").stdout, rf"^  {name} +(\d+) ")[1])


# --- timeouts ---

@EMITTERS
def test_timeouts(emitter):
    """A rule's own ones, and the global ones for the rest; they are told and they end states."""
    by(emitter)
    rules = ("set timeout { interval 1, udp.first 900, udp.single 800 }\nblock\n"
             "pass in proto udp to port 53 keep state (udp.first 3, udp.multiple 77)\n"
             "pass in proto udp to port 54\n")
    with Lab(hosts=2, rules=rules) as lab:
        for sport, dport in ((1, 53), (2, 53), (3, 54)):
            eq(udp(lab, sport, dport), True)
        eq(udp(lab, 2), True, "udp.single has no value of the rule's")
        left = expires(lab)
        between(left[1], 0, 3, "the rule's")
        between(left[2], 790, 800, "the global one of another phase")
        between(left[3], 890, 900, "another rule's")
        wait_for("its end", lambda: 1 not in expires(lab), 10)
        eq(sorted(expires(lab)), [2, 3])
        eq(go(lab, ip(GHOST_DST, GHOST) / UDP(sport=53, dport=1), "ext", "out"), False)


def raw200(a, b):
    p = ip(a, b)
    p.setfieldval("nh" if ":" in a else "proto", 200)
    return p / Raw(b"x")


def echo(a, b, answer):
    if ":" in a:
        return ip(a, b) / (ICMPv6EchoReply if answer else ICMPv6EchoRequest)(id=7)
    return ip(a, b) / ICMP(type=0 if answer else 8, id=7)


def segment(a, b, back, flags, seq, ack):
    ports = (80, 1000) if back else (1000, 80)
    return ip(a, b) / TCP(sport=ports[0], dport=ports[1], flags=flags, seq=seq, ack=ack)


# packets of one connection after the other, "<" those that go back, and the timeout that each
# leaves behind; what makes the packet from its ends, its way and the rest
LIVES = (
    (segment, (("> S 100 0", "tcp.first"), ("< SA 500 101", "tcp.opening"),
               ("> A 101 501", "tcp.established"), ("> FA 101 501", "tcp.closing"),
               ("< A 501 102", "tcp.closing"), ("< FA 501 102", "tcp.finwait"),
               ("> A 102 502", "tcp.closed"))),
    (lambda a, b, back: ip(a, b) / UDP(sport=53 if back else 9, dport=9 if back else 53),
     ((">", "udp.first"), (">", "udp.single"), ("<", "udp.single"), (">", "udp.multiple"))),
    (echo, ((">", "icmp.first"), ("<", "icmp.error"), (">", "icmp.error"))),
    (lambda a, b, _back: raw200(a, b),
     ((">", "other.first"), (">", "other.single"), ("<", "other.single"), (">", "other.multiple"))))
NAMES = sorted({name for _, life in LIVES for _, name in life})


def only_state(lab, src):
    """Timeout that is left of the only state that src has begun."""
    found = [s["expires"] for s in json.loads(lab.pf.ctl("--json", "-ss").stdout)["states"]
             if s["source"] == src]
    eq(len(found), 1)
    return found[0]


@cases(*((f"{emitter}, {where}, {name}", emitter, where, a, b) for emitter in ("linear", "tree")
         for where in ("global", "rule")
         for name, a, b in (("inet", GHOST, GHOST_DST), ("inet6", GHOST6, GHOST6_DST))))
def test_every_timeout(_name, emitter, where, a, b):
    """What runs behind each packet of a connection; a load changes it for states that are there."""
    by(emitter)

    def rules(base):
        values = ", ".join(f"{name} {base + 1000 * i}" for i, name in enumerate(NAMES))
        own = f"keep state ({values})" if where == "rule" else ""
        return f"block\n{f'set timeout {{ {values} }}' if not own else ''}\npass in on ext {own}\n"
    with Lab(hosts=2, rules=rules(100000)) as lab:
        for make, life in LIVES:
            for what, name in life:
                way, *rest = (int(x) if x.isdigit() else x for x in what.split())
                back = way == "<"
                ends = (b, a) if back else (a, b)
                eq(go(lab, make(*ends, back, *rest), "ext", "out" if back else "in"), True, what)
                want = 100000 + 1000 * NAMES.index(name)
                between(only_state(lab, a), want - 5, want, f"{what}: {name}")
            lab.pf.load(rules(200000))
            # a rule's own are those that it was made with
            base = 100000 if where == "rule" else 200000
            want = base + 1000 * NAMES.index(life[-1][1])
            between(only_state(lab, a), want - 10, want, "after a load")
            lab.pf.load(rules(100000))
            lab.pf.ctl("-F", "states")
        go(lab, LIVES[1][0](a, b, False))
        lab.pf.load("set timeout { interval 1, udp.first 1 }\nblock\n")
        if where == "global":
            wait_for("its end", lambda: a not in lab.pf.ctl("-ss").stdout, 10)
        else:
            time.sleep(3)
            between(only_state(lab, a), 90000, 200000)


def test_timeouts_outlive_their_rule():
    """Rules and pfd go, and others with options of their own come."""
    one = "pass in proto udp\npass in proto udp to port 53 keep state (udp.first 5000)\n"
    with Lab(hosts=2, rules=one) as lab:
        udp(lab, 1)
        udp(lab, 2, 54)
        lab.pf.load("set timeout udp.first 333\nblock\n")
        lab.pf.restart()
        lab.pf.load("set timeout udp.first 333\n" + "".join(
            f"pass in proto udp to port {n} keep state (udp.first {n}, max {n})\n"
            for n in range(100, 140)))
        udp(lab, 3, 120)
        lab.pf.restart()
        left = expires(lab)
        between(left[1], 4900, 5000, "that of its rule")
        between(left[2], 280, 333, "the global one of now")
        between(left[3], 70, 120)


def test_numbers_of_options_are_used_again():
    """More different ones than there are numbers, in turn; a state's own stays."""
    with Lab(hosts=2, rules="pass in proto udp keep state (udp.first 7777)\n") as lab:
        udp(lab, 1)
        for n in range(3):
            lab.pf.load("".join(f"pass in proto udp to port {k} keep state (udp.first "
                                f"{n * 2000 + k})\n" for k in range(1, 1801)))
        udp(lab, 2, 1500)
        left = expires(lab)
        between(left[1], 7600, 7777)
        between(left[2], 5300, 5500)


@EMITTERS
def test_adaptive(emitter):
    """By the number of the rule's own states, not of all: pf.conf(5), adaptive.start."""
    by(emitter)
    rules = ("set timeout { interval 1000, adaptive.start 0, adaptive.end 0 }\n"
             "pass in proto udp keep state (udp.first 600)\n"
             "pass in proto udp to port 53 keep state (max 100, udp.first 600)\n"
             "pass in proto udp to port 54 keep state (udp.first 600, adaptive.start 5, "
             "adaptive.end 15)\n")
    with Lab(hosts=2, rules=rules) as lab:
        for n in range(1, 31):
            udp(lab, n, 55)
        for n in range(101, 161):
            udp(lab, n, 53)
        for n in range(201, 206):
            udp(lab, n, 54)
        left = expires(lab)
        between(left[30], 560, 600, "no limits of its own")
        between(left[101], 560, 600, "at 60 % of max")
        between(left[201], 560, 600, "at the start")
        for n in range(161, 191):
            udp(lab, n, 53)
        for n in range(206, 211):
            udp(lab, n, 54)
        left = expires(lab)
        between(left[101], 260, 300, "90 of 60 to 120")
        between(left[201], 260, 300, "10 of 5 to 15")
        between(left[30], 560, 600)
        for n in range(211, 216):
            udp(lab, n, 54)
        eq(expires(lab)[201], 0, "at the end")


# --- max ---

@EMITTERS
def test_max(emitter):
    by(emitter)
    rules = ("match in proto tcp\n"
             "pass in log proto tcp keep state (max 2) label limited\npass in proto udp\n")
    with Lab(hosts=2, rules=rules) as lab:
        eq([seg(lab, "S", 100, sport=n) for n in (1, 2, 3, 4)], [True, True, False, False])
        eq(udp(lab, 1), True, "another rule")
        eq(limit_counter(lab), 2)
        eq((lab.pf.info()["state-limit"], lab.pf.info()["memory"]), (2, 0))
        match, limited, _ = (n for _, n in lab.pf.rule_numbers())
        eq((limited["packets"], limited["states"], limited["creations"]), (2, 2, 2))
        eq((match["packets"], match["states"]), (2, 2), "nor does `match` count what is refused")
        wait_for("the log", lambda: len(lab.pf.log_records()) == 4)
        refused = [r for r in lab.pf.log_records() if r["reason"] == "state-limit"]
        eq([(r["action"], r["rule"]) for r in refused], [("block", 1)] * 2)
        eq(seg(lab, "SA", 500, 101, back=True, sport=2), True, "a state is a state")
        # one ends, one may come
        lab.pf.ctl("-k", GHOST, "-k", GHOST_DST)
        eq([seg(lab, "S", 100, sport=n) for n in (5, 6, 7)], [True, True, False])
        eq(lab.pf.info()["current entries"], 2)


def test_max_and_reload():
    """Without `set keepcounters` the rule is a new one; with it, it goes on."""
    rule = "pass in proto udp to port 53 keep state (max 2, udp.first 3000)\n"
    with Lab(hosts=2, rules=rule) as lab:
        eq([udp(lab, n) for n in (1, 2, 3)], [True, True, False])
        lab.pf.load(rule)
        eq([udp(lab, n) for n in (4, 5, 6)], [True, True, False], "it begins anew")
        lab.pf.load("set keepcounters\npass in proto tcp\n" + rule)
        eq(udp(lab, 7), False, "the same one")
        lab.pf.restart()
        eq(udp(lab, 8), False, "to another pfd, too")
        lab.pf.load("set keepcounters\nset limit states 150000\npass in proto tcp\n" + rule)
        eq(udp(lab, 9), False, "in a larger table")
        eq(lab.pf.info()["current entries"], 4)
        lab.pf.ctl("-Fs")
        eq([udp(lab, n) for n in (1, 2, 3)], [True, True, False], "none is left over")
        lab.pf.load("set keepcounters\n" + rule.replace("max 2", "max 3"))
        eq([udp(lab, n) for n in (11, 12, 13, 14)], [True, True, True, False], "another rule")


@timeout(120)
def test_max_is_exact():
    """Several CPUs at once: as many as there may be, then none."""
    with Lab(hosts=2, rules="pass in proto udp keep state (max 300)\n") as lab:
        eq(sum(at_once(3, lambda k: sum(udp(lab, 1 + k * 1000 + n) for n in range(250)))), 300)
        eq(lab.pf.info()["current entries"], 300)
        eq(limit_counter(lab), 450)
        eq(lab.pf.rule_numbers()[0][1]["states"], 300)


def test_anchors_and_defaults():
    """Options in anchors, one replaced in place; set state-defaults where nothing is said."""
    main = ("set state-defaults max 1, no-sync\nanchor a\npass in proto udp to port 1:9\n"
            "pass in proto udp to port 10 keep state\n")
    with Lab(hosts=2, rules=main) as lab:
        lines_eq(lab.pf.rules()[1:], [
            "pass in proto udp from any to any port 1:9 keep state (max 1, no-sync)",
            "pass in proto udp from any to any port = 10"])
        for limit in (2, 3):
            lab.pf.ctl("-a", "a", "-f", "-", input=f"pass in quick proto udp to port 99 "
                       f"keep state (max {limit})\n")
            eq([udp(lab, limit * 10 + n, 99) for n in range(4)],
               [n < limit for n in range(4)])
        eq([udp(lab, n, 9) for n in (1, 2)], [True, False])
        eq([udp(lab, n, 10) for n in (1, 2)], [True, True])


# --- sloppy ---

BOTH = cases(("ipv4", GHOST, GHOST_DST), ("ipv6", GHOST6, GHOST6_DST))


@BOTH
def test_sloppy(_name, a, b):
    """One side's segments alone, whatever their numbers are: facts, state-tracking, Sloppy."""
    with Lab(hosts=2, rules="block\npass in proto tcp keep state (sloppy)\n") as lab:
        def at(text):
            contains(lab.pf.state("tcp"), text)

        eq(seg(lab, "S", 100, a=a, b=b), True)
        at("CLOSED:SYN_SENT")
        eq(seg(lab, "A", 70000000, 99, a=a, b=b), True, "far from the window")
        at("ESTABLISHED:ESTABLISHED")
        eq(seg(lab, "PA", 5, 3000000000, a=a, b=b), True)
        contains(lab.pf.ctl("-ss", "-v").stdout, ", sloppy")
        tcp = TCP(sport=80, dport=1000, flags="A", seq=4000000000)
        # what a packet that left is answered with: its number does not matter either
        if ":" in a:
            error = IPv6(src=GHOST6, dst=b) / ICMPv6DestUnreach() / raw(ip(b, a) / tcp)
        else:
            error = IP(src=GHOST, dst=b) / ICMP(type=3, code=1) / Raw(raw(ip(b, a) / tcp))
        eq(go(lab, error), True, "an error")
        eq(seg(lab, "FA", 9, 9, a=a, b=b), True)
        at("CLOSING:CLOSING")
        eq(seg(lab, "A", 10, 10, a=a, b=b), True)
        at("FIN_WAIT_2:CLOSING")
        eq(seg(lab, "S", 1, a=a, b=b), False, "not over yet: as in any state")
        eq(seg(lab, "R", 1, a=a, b=b), True)
        at("TIME_WAIT:TIME_WAIT")
        eq(seg(lab, "S", 777, a=a, b=b), True, "the same ports again")
        at("CLOSED:SYN_SENT")
        eq(lab.pf.info()["state-mismatch"], 1)


def test_sloppy_established():
    """A SYN into a living connection is answered as in any state; others are not sloppy."""
    rules = "pass in proto tcp to port 80 keep state (sloppy)\npass in proto tcp from port 7\n"
    with Lab(hosts=2, rules=rules) as lab:
        eq(seg(lab, "S", 100), True)
        eq(seg(lab, "SA", 5, 5, back=True), True)
        eq(seg(lab, "A", 1, 1), True)
        contains(lab.pf.state("tcp"), "ESTABLISHED:ESTABLISHED")
        for n in range(3):
            eq(seg(lab, "A", 1000000 * n, n), True)
        eq(seg(lab, "S", 5), False, "a challenge")
        eq(lab.pf.info()["answers"], 1)
        eq(seg(lab, "S", 100, sport=7), True)
        eq(seg(lab, "FA", 70000000, 99, sport=7), False, "of the strict rule")


@BOTH
def test_sloppy_icmp(_name, a, b):
    """The replies alone are seen, or before the query; so are errors about either."""
    with Lab(hosts=2, rules="block\npass in keep state (sloppy)\n") as lab:
        if ":" in a:
            query = IPv6(src=b, dst=a) / ICMPv6EchoRequest(id=5)
            reply = IPv6(src=a, dst=b) / ICMPv6EchoReply(id=5)
            about = lambda p: IPv6(src=b, dst=a) / ICMPv6DestUnreach() / p  # noqa: E731
        else:
            query, reply = (IP(src=x, dst=y) / ICMP(type=t, id=5)
                            for x, y, t in ((b, a, 8), (a, b, 0)))
            about = lambda p: IP(src=b, dst=a) / ICMP(type=3, code=1) / p  # noqa: E731
        eq([go(lab, reply) for _ in range(3)], [True] * 3)
        eq(go(lab, query, way="out"), True)
        eq(go(lab, about(reply), way="out"), True)
        eq([go(lab, reply), len(lab.pf.states())], [True, 1])
        eq(lab.pf.info()["state-mismatch"], 0)
        lab.pf.ctl("-F", "states")
        lab.pf.load("block\npass in\n")
        eq(go(lab, reply), False, "another rule's")


# --- if-bound ---

@EMITTERS
def test_if_bound(emitter):
    by(emitter)
    rules = ("set state-policy if-bound\nblock\npass in on ext proto udp to port 53\n"
             "pass in on ext proto udp to port 54 keep state (floating)\n")
    with Lab(hosts=3, rules=rules) as lab:
        def back(dev, dport, sport=1):
            return go(lab, ip(GHOST_DST, GHOST) / UDP(sport=dport, dport=sport), dev, "out")

        eq((udp(lab, 1), udp(lab, 1, 54)), (True, True))
        lines_eq(sorted(lab.pf.states()), [
            f"all udp {GHOST_DST}:54 <- {GHOST}:1       NO_TRAFFIC:SINGLE",
            f"ext udp {GHOST_DST}:53 <- {GHOST}:1       NO_TRAFFIC:SINGLE"])
        eq((back("int", 53), back("int", 54)), (False, True), "elsewhere")
        eq((udp(lab, 1, dev="int"), udp(lab, 1, 54, dev="int")), (False, True), "in elsewhere")
        eq((back("ext", 53), back("ext", 54)), (True, True))
        eq((udp(lab, 1), back("ext", 53), back("int", 53)), (True, True, False), "established")
        quoted = raw(ip(GHOST, GHOST_DST) / UDP(sport=1, dport=53))
        error = ip(FW_SRC, GHOST) / ICMP(type=3, code=3) / Raw(quoted)
        eq((go(lab, error, "ext", "out"), go(lab, error, "int", "out")), (True, False), "errors")
        with open(f"{lab.pin}/states", encoding="ascii") as f:
            contains(f.read(), f"if{lab.fw.ifindex('ext')} udp {GHOST_DST}:53 <- ")


@EMITTERS
def test_one_key_on_several_interfaces(emitter):
    """Each has its own state; on its own interface a bound one comes before a floating one."""
    by(emitter)
    rules = ("pass in on ext proto udp keep state (if-bound)\n"
             "pass in on int proto udp keep state (if-bound)\n"
             "pass in on third proto udp\n")
    with Lab(hosts=3) as lab:
        lab.fw.batch(["link add third address 02:00:00:00:03:02 type veth peer name third-p",
                      "link set third up", "link set third-p up"])
        wait_for("third", lambda: os.path.exists(f"{lab.pin}/links/{lab.fw.ifindex('third')}-in")
                 or not os.path.isdir(f"{lab.pin}/links"))
        lab.pf.load(rules)

        def states():
            text = lab.pf.ctl("-ss", "-v").stdout
            return dict(re.findall(r"^(\S+) udp .*\n.*, (\d+:\d+) pkts", text, re.M))

        for dev, mac in (("ext", None), ("int", None), ("third", "02:00:00:00:03:02")):
            eq(udp_at(lab, dev, mac), True, dev)
        eq(states(), {"ext": "1:0", "int": "1:0", "all": "1:0"})
        for dev, n in (("ext", 2), ("int", 3), ("third", 4)):
            mac = "02:00:00:00:03:02" if dev == "third" else None
            for _ in range(n):
                eq(udp_at(lab, dev, mac), True)
                eq(go(lab, ip(GHOST_DST, GHOST) / UDP(sport=53, dport=1), dev, "out", mac), True)
        eq(states(), {"ext": "3:2", "int": "4:3", "all": "5:4"})
        # they are found in a table of another size, too
        lab.pf.load("set limit states 150000\n" + rules)
        for dev in ("ext", "int"):
            eq(udp_at(lab, dev), True)
        eq(states(), {"ext": "4:2", "int": "5:3", "all": "5:4"})


def udp_at(lab, dev, mac=None):
    return go(lab, ip(GHOST, GHOST_DST) / UDP(sport=1, dport=53) / b"q", dev, mac=mac)


@EMITTERS
def test_reuse_before_a_floating_one(emitter):
    """The bound state ends for the SYN, but the floating one behind it has the key."""
    by(emitter)
    rules = "pass flags any\npass keep state (sloppy, if-bound)\n"
    with Lab(hosts=3, rules=rules, v6=False) as lab:
        def tcp(dev, flags):
            return go(lab, ip(GHOST, GHOST_DST) / TCP(sport=1, dport=2, flags=flags), dev)

        eq((tcp("ext", "S"), tcp("ext", "R"), tcp("int", "RA")), (True, True, True))
        eq(sorted(s.split()[0] for s in lab.pf.states()), ["all", "ext"])
        answer = ip(GHOST_DST, GHOST) / TCP(sport=2, dport=1, flags="S")
        eq((go(lab, answer, "ext", "out"), lab.pf.info()["state-insert"]), (False, 1))
        eq([s.split()[0] for s in lab.pf.states()], ["all"])


@EMITTERS
def test_reuse_before_a_translating_one(emitter):
    """The same, if both translate: the floating one is not a state that was made just now."""
    by(emitter)
    rules = ("match out nat-to 203.0.113.7 port 80:1024\n"
             "pass flags any keep state (sloppy)\npass keep state (if-bound)\n")
    with Lab(hosts=3, rules=rules, v6=False) as lab:
        def tcp(dev, flags, seq):
            return go(lab, ip(GHOST, GHOST_DST) / TCP(sport=1, dport=80, flags=flags, seq=seq), dev,
                      "out")

        eq([tcp("ext", "S", 1000), tcp("ext", "R", 1001), tcp("int", "SA", 5000)], [True] * 3)
        eq(sorted(s.split()[0] for s in lab.pf.states()), ["all", "ext"])
        eq((tcp("ext", "S", 9000), lab.pf.info()["state-insert"]), (False, 1))
        eq([s.split()[0] for s in lab.pf.states()], ["all"])


def test_if_bound_forwarded():
    """Real connections, with a state on either interface; translated ones as well."""
    rules = ("set state-policy if-bound\nblock\npass in on ext proto { tcp icmp }\n"
             "pass out on int proto tcp\npass out on int inet proto icmp nat-to 198.51.100.2\n")
    with Lab(hosts=3, rules=rules) as lab:
        with lab.dst.listen(80):
            with lab.src.connect("198.51.100.1", 80) as c:
                c.sendall(b"x")
                devs = sorted(s.split()[0] for s in lab.pf.states())
                eq(devs, ["ext", "int"])
        eq(lab.src.ping("198.51.100.1", 2), True)
        eq(sorted(s.split()[0] for s in lab.pf.states() if "icmp" in s), ["ext", "int"])


def test_interface_that_comes_back():
    """States are bound to a name: the next one of that name has them, others do not."""
    mac = "02:00:00:00:03:02"
    with Lab(hosts=2, rules="block\npass in on { third fourth } proto udp keep state (if-bound)\n"
             ) as lab:
        def make(name, index):
            lab.fw.batch([f"link add {name} index {index} address {mac} type veth peer name "
                          f"{name}-p", f"link set {name} up"])
            wait_for(name, lambda: f" {name} " in lab.pf.ctl("-sr").stdout and attached(name))

        def attached(name):
            try:
                return udp_out(name) is not None
            except (OSError, AssertionError):
                return False

        def udp_out(dev):
            return go(lab, ip(GHOST_DST, GHOST) / UDP(sport=53, dport=1), dev, "out", mac)

        make("third", 70)
        eq(udp_at(lab, "third", mac), True)
        eq(udp_out("third"), True)
        lab.fw.ip("link", "del", "third")
        wait_for("its end", lambda: any(s.startswith("third ") for s in lab.pf.states()))
        make("fourth", 70)
        eq(udp_out("fourth"), False, "its number, not its name")
        make("third", 80)
        wait_for("its states", lambda: udp_out("third"))
        contains(lab.pf.state("udp"), "third ")
        lab.pf.restart()
        eq(udp_out("third"), True)


# --- what is not built ---

def test_refused():
    with Lab(hosts=2, rules="pass\n") as lab:
        for text, where in (("pass keep state (max 3, pflow)", "1:25: pflow"),
                            ("set state-defaults max 3, pflow", "1:27: pflow")):
            r = lab.pf.ctl("-f", "-", input=text + "\n", check=False)
            eq(r.returncode, 1)
            contains(r.stderr, f"{where}: not enforced yet")
            r = lab.pf.ctl("-n", "-f", "-", input=text + "\n", check=False)
            eq((r.returncode, r.stderr), (0, ""))
        absent("\n".join(lab.pf.rules()), "max")
