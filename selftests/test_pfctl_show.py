# SPDX-License-Identifier: BSD-2-Clause
"""pfctl-linux -s: what is shown, held against OpenBSD's pfctl(8)."""
import os
import re
import socket
import struct
import subprocess
import time

from pft import proto
from pft.check import at_least, between, eq, lines_eq, matches
from pft.lab import FW6_SRC, FW_SRC, GHOST, PFCTL, SRC, SRC6, Lab
from pft.netns import wait_for
from pft.pfctl import before, limits_text, run, timeouts_text
from scapy.layers.inet import IP, UDP

IN, OUT = 1, 2  # enum pf_rule_dir
AGE = 144  # in struct pf_wire_state


def test_show_rules():
    """Layout and numbers, with -v and -vv."""
    text = ('block log label "b"\npass in on ext proto udp to port 53 label "dns"\n'
            "pass in on ext from <t>\npass out\n")
    with Lab(hosts=2, v6=False) as lab:
        p = lab.fw.popen([PFCTL, "-p", lab.pf.socket, "-f", "-"], stdin=subprocess.PIPE,
                         text=True)
        p.communicate(text, 30)
        eq(p.returncode, 0)
        eq(lab.src.ping(FW_SRC), False)  # 84 bytes
        with lab.src.udp() as a, lab.fw.udp(53) as b:
            a.sendto(b"123", (FW_SRC, 53))
            b.sendto(b"12345", b.recvfrom(100)[1])
            eq(a.recv(100), b"12345")
        rules = ['block drop log all label "b"',
                 'pass in on ext proto udp from any to any port = {} label "dns"',
                 "pass in on ext from <t> to any flags S/SA", "pass out all flags S/SA"]
        skips = ["r=end f=end sa=2 da=end sp=end ", "i=3 d=3 r=end f=end da=end sp=end ",
                 "r=end f=end p=end da=end sp=end dp=end ",
                 "i=end d=end r=end f=end p=end sa=end da=end sp=end dp=end "]
        numbers = [(2, 1, 84, 0, 0), (2, 2, 64, 1, 1), (2, 0, 0, 0, 0), (2, 0, 0, 0, 0)]
        run(lab, "-sr", out="".join(r.format("53") + "\n" for r in rules))
        run(lab, "-sr", "-P", out="".join(r.format("domain") + "\n" for r in rules))

        def counters(evaluations, packets, size, states, made):
            return (f"  [ Evaluations: {evaluations:<8}  Packets: {packets:<8}  "
                    f"Bytes: {size:<10}  States: {states:<6}]\n"
                    f"  [ Inserted: uid 0 pid {p.pid} State Creations: {made:<6}]\n")
        run(lab, "-sr", "-v", out="".join(
            r.format("53") + "\n" + counters(*n) for r, n in zip(rules, numbers)))
        got = lab.pf.ctl("-sr", "-vv").stdout.replace("<t:*>", "<t>")  # has a test of its own
        lines_eq(got, "".join(
            f"@{i} {r.format('53')}\n  [ Skip steps: {s}]\n" + counters(*n)
            for i, (r, s, n) in enumerate(zip(rules, skips, numbers))))
        # -z: after they have been shown
        lab.pf.ctl("-sr", "-v", "-z")
        got = lab.pf.rule_numbers()
        eq([(n["evaluations"], n["packets"], n["bytes"], n["states"]) for _, n in got],
           [(0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 0, 0), (0, 0, 0, 0)])


def test_labels_and_zero():
    """name evaluations packets bytes packets-in bytes-in packets-out bytes-out states"""
    text = 'block\npass in on ext proto udp label "in"\npass out label "two words"\npass label z\n'
    with Lab(hosts=2, v6=False, rules=text) as lab:
        with lab.src.udp() as a, lab.fw.udp(53) as b:
            for _ in range(2):
                a.sendto(b"123", (FW_SRC, 53))
                b.sendto(b"12345", b.recvfrom(100)[1])
                a.recv(100)
        run(lab, "-sl", out="in 1 0 0 0 0 0 0 0\ntwo words 1 0 0 0 0 0 0 0\n"
                            "z 1 4 128 2 62 2 66 1\n")
        lab.pf.ctl("-F", "all")
        lab.pf.load("block label x\n")
        eq(lab.src.ping(FW_SRC), False)
        run(lab, "-sl", out="x 1 1 84 1 84 0 0 0\n")
        run(lab, "-z", err="pf: rule counters cleared\n")
        run(lab, "-sl", out="x 0 0 0 0 0 0 0 0\n")
        eq(lab.src.ping(FW_SRC), False)
        run(lab, "-sl", "-z", out="x 1 1 84 1 84 0 0 0\n")
        run(lab, "-sl", out="x 0 0 0 0 0 0 0 0\n")
        eq(lab.pf.info()["match"], 2, "-z is for rules")


def test_show_states():
    """One line each, the inside first; details with -v, the id with -vv."""
    rules = "pass in on ext\npass out on ext proto udp\n"
    with Lab(hosts=2, rules=rules) as lab:
        def shown(pattern, *args):
            lines = lab.pf.ctl("-ss", *args).stdout.splitlines()
            at = [i for i, line in enumerate(lines) if pattern in line]
            eq(len(at), 1, f"states with {pattern}")
            details = [line for line in lines[at[0] + 1:]]
            for i, line in enumerate(details):
                if not line.startswith("   "):
                    return lines[at[0]], details[:i]
            return lines[at[0]], details

        with lab.src.udp() as a, lab.fw.udp(53) as b, lab.src.udp(family=socket.AF_INET6) as a6, \
                lab.fw.listen(22) as listener, lab.fw.udp() as out:
            port, port6 = 0, 0
            a.sendto(b"123", (FW_SRC, 53))
            got, (_, port) = b.recvfrom(100)
            one = f"all udp {FW_SRC}:53 <- {SRC}:{port}       "
            eq(shown(f":{port} "), (one + "NO_TRAFFIC:SINGLE", []))
            b.sendto(b"12345", (SRC, port))
            eq(a.recv(100), b"12345")
            eq(shown(f":{port} "), (one + "SINGLE:MULTIPLE", []))
            line, details = shown(f":{port} ", "-v")
            eq(line, one + "SINGLE:MULTIPLE")
            eq(len(details), 1)
            matches(details[0], r"^   age 00:00:\d\d, expires in 00:00:[23]\d, 1:1 pkts, "
                                r"31:33 bytes, rule 0$")
            line, details = shown(f":{port} ", "-vv")
            eq((len(details), details[2]), (3, "   origif: ext"))
            matches(details[1], r"^   id: [0-9a-f]{16} creatorid: [0-9a-f]{8}$")
            eq(shown(f":{port} ", "-P")[0],
               f"all udp {FW_SRC}:domain <- {SRC}:{port}       SINGLE:MULTIPLE")

            a6.sendto(b"123", (FW6_SRC, 53))
            port6 = a6.getsockname()[1]
            matches(shown(f"[{port6}]")[0],
                    rf"^all udp {FW6_SRC}\[53\] <- {SRC6}\[{port6}\]       NO_TRAFFIC:SINGLE$")

            out.sendto(b"123", (SRC, 9))
            matches(shown(" -> ")[0], rf"^all udp {FW_SRC}:{out.getsockname()[1]} -> {SRC}:9"
                                      "       SINGLE:NO_TRAFFIC$")

            eq(lab.src.ping(FW_SRC), True)
            matches(shown(" icmp ")[0], rf"^all icmp {FW_SRC}:8 <- {SRC}:\d+       0:0$")

            with lab.src.connect(FW_SRC, 22) as c, listener.accept()[0]:
                tcp = f"all tcp {FW_SRC}:22 <- {SRC}:{c.getsockname()[1]}       "
                eq(shown(" tcp ")[0], tcp + "ESTABLISHED:ESTABLISHED")
                line, details = shown(" tcp ", "-v")
                eq(len(details), 2)
                matches(details[0], r"^   \[\d+ \+ \d+\] wscale \d+  \[\d+ \+ \d+\] wscale \d+$")
                matches(details[1], r"^   age 00:00:\d\d, expires in 2[34]:\d\d:\d\d, 2:1 pkts, "
                                    r"112:60 bytes, rule 0$")

            with lab.src.sock(socket.AF_INET, socket.SOCK_RAW, 200) as raw:
                raw.sendto(b"123", (FW_SRC, 0))
            matches(shown(" 200 ")[0], rf"^all 200 {FW_SRC} <- {SRC}       NO_TRAFFIC:SINGLE$")
            # the rules change: a number that is none of theirs is not shown
            lab.pf.load("pass\n")
            matches(shown(f":{port} ", "-v")[1][0], r"33 bytes$")


def test_states_made_meanwhile():
    """A list that is read slowly has states that are younger than it: their age is nothing."""
    rules = "set timeout udp.first 1000\npass in on ext proto udp\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        wire = lab.wire("src")

        def more(first, last):
            for port in range(first, last + 1):
                wire.send(IP(src=GHOST, dst=FW_SRC) / UDP(sport=port, dport=53))
            wait_for("states", lambda: lab.pf.info()["current entries"] == last, 30)
        more(1, 3000)
        with proto.Control(lab.pf) as c:
            c.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            c.send(proto.frame(proto.STATES, proto.string("") + b"\xff" * 4))
            kind, data = c.answer()
            # more than a clock's tick later
            time.sleep(0.3)
            more(3001, 3100)
            while kind == proto.DATA:
                kind, some = c.answer()
                data += some
        eq(kind, proto.OK)
        size = len(wire_state(17, 4, IN, *[[(GHOST, 1), (FW_SRC, 53)]] * 2))
        at_least(len(data) // size, 3001, "some of the new ones are told")
        for at in range(0, len(data), size):
            age, expires = struct.unpack_from("=II", data, at + AGE)
            between(age, 0, 60)
            between(expires, 900, 1000)


def test_expiry_is_adaptive():
    """What is left shrinks as the table fills, from all of it to nothing: pf.conf(5)."""
    rules = ("set timeout {{ udp.first 1000 adaptive.start {} adaptive.end {} }}\n"
             "pass in on ext proto udp\n")
    with Lab(hosts=2, v6=False, rules=rules.format(4, 14)) as lab:
        socks = []

        def expires(n):
            while len(socks) < n:
                socks.append(lab.src.udp())
                socks[-1].sendto(b"1", (FW_SRC, 53))
            wait_for("states", lambda: len(lab.pf.states()) == n)
            found = re.findall(r"expires in (\d\d):(\d\d):(\d\d)", lab.pf.ctl("-ss", "-v").stdout)
            eq(len(found), n)
            return [int(h) * 3600 + int(m) * 60 + int(s) for h, m, s in found]
        began = time.monotonic()
        for n, left in ((4, 1000), (5, 900), (9, 500)):
            for e in expires(n):
                between(e, left - 2 - (time.monotonic() - began), left)
        lab.pf.load(rules.format(9, 10))
        for e in expires(9):
            between(e, 998 - (time.monotonic() - began), 1000)
        for s in socks:
            s.close()


# Protocol, family, direction; the wire's two ends, the outer one first, and the stack's if they
# are others; what is shown of it.
TRANSLATED = [
    (6, 4, OUT, [("198.51.100.2", 1234), ("203.0.113.1", 50123)],
     [("198.51.100.2", 1234), ("192.0.2.2", 4321)],
     "tcp 203.0.113.1:50123 (192.0.2.2:4321) -> 198.51.100.2:1234       ESTABLISHED:SYN_SENT"),
    (6, 4, IN, [("198.51.100.2", 4321), ("203.0.113.1", 80)],
     [("198.51.100.2", 4321), ("192.0.2.5", 8080)],
     "tcp 192.0.2.5:8080 (203.0.113.1:80) <- 198.51.100.2:4321       SYN_SENT:ESTABLISHED"),
    (17, 4, OUT, [("198.51.100.2", 53), ("203.0.113.1", 50123)],
     [("198.51.100.2", 53), ("203.0.113.1", 4321)],
     "udp 203.0.113.1:50123 (203.0.113.1:4321) -> 198.51.100.2:53       MULTIPLE:SINGLE"),
    (17, 6, OUT, [("2001:db8::2", 53), ("2001:db8:1::1", 50123)],
     [("2001:db8::2", 53), ("2001:db8:2::1", 4321)],
     "udp 2001:db8:1::1[50123] (2001:db8:2::1[4321]) -> 2001:db8::2[53]       MULTIPLE:SINGLE"),
    (1, 4, OUT, [("198.51.100.2", 8), ("203.0.113.1", 77)],
     [("198.51.100.2", 8), ("192.0.2.2", 5)],
     "icmp 203.0.113.1:77 (192.0.2.2:5) -> 198.51.100.2:8       2:1"),
    (47, 4, IN, [("198.51.100.2", 0), ("203.0.113.1", 0)],
     [("198.51.100.2", 0), ("192.0.2.5", 0)],
     "gre 192.0.2.5 (203.0.113.1) <- 198.51.100.2       SINGLE:MULTIPLE"),
    # the far end as well
    (17, 4, OUT, [("198.51.100.2", 53), ("203.0.113.1", 50123)],
     [("198.51.100.9", 54), ("192.0.2.2", 4321)],
     "udp 203.0.113.1:50123 (192.0.2.2:4321) -> 198.51.100.2:53 (198.51.100.9:54)       "
     "MULTIPLE:SINGLE"),
    (17, 4, IN, [("198.51.100.2", 53), ("203.0.113.1", 80)],
     [("198.51.100.2", 53), ("203.0.113.1", 80)],
     "udp 203.0.113.1:80 <- 198.51.100.2:53       SINGLE:MULTIPLE"),
]


def wire_state(number, af, way, *keys):
    """struct pf_wire_state of lib/proto.h."""
    family = socket.AF_INET if af == 4 else socket.AF_INET6
    out = struct.pack("=Q", 1)
    for key in keys:
        for address, _ in key:
            out += socket.inet_pton(family, address).ljust(16, b"\0")
    for key in keys:
        out += struct.pack("!HH", *(port for _, port in key))
    out += struct.pack("=8B", number, af, way, 0, *((4, 2) if number == 6 else (2, 1)), 0, 0)
    out += struct.pack("=6I4Q4I100x16s16s4x", *[0] * 10, 1, 2, 0, 0xffffffff, b"all", b"ext")
    return out


def test_show_translated_states():
    """The inside first; each end as it is on the wire, or for who came in behind it."""
    answer = proto.frame(proto.DATA, b"".join(wire_state(*state) for *state, _ in TRANSLATED))
    kind, status, out, err = before(answer + proto.frame(proto.OK), "-ss")
    eq((kind, status, err), (proto.STATES, 0, ""))
    lines_eq(out.decode().splitlines(), [f"all {line}" for *_, line in TRANSLATED])


COUNTERS = ["match", "bad-offset", "fragment", "short", "normalize", "memory", "bad-timestamp",
            "congestion", "ip-option", "proto-cksum", "state-mismatch", "state-insert",
            "state-limit", "src-limit", "synproxy", "translate", "no-route"]


def test_show_info():
    with Lab(hosts=2, v6=False, rules="block\npass in on ext proto udp\n") as lab:
        eq(lab.src.ping(FW_SRC), False)
        with lab.src.udp() as a, lab.fw.udp(53) as b:
            a.sendto(b"123", (FW_SRC, 53))
            b.recvfrom(100)

        def parts():
            """The status line, and {name: (number, rate)} of each part."""
            lines = lab.pf.ctl("-si").stdout.splitlines()
            title, out = None, {None: {}}
            for line in lines[3:]:
                if line.startswith("  "):
                    # name, number, rate: 25, 14 and 16 columns
                    m = matches(line, r"^  (\S.{24}) ( *\d+) ( {14}| *\d+\.\d/s)$")
                    eq((len(m[2]), len(m[3]) in (14, 16)), (14, True), line)
                    out[title][m[1].rstrip()] = int(m[2])
                else:
                    title = line
                    out[title] = {}
            eq(lines[1], "")
            eq(lines[2], f"{'State Table':27} {'Total':>14} {'Rate':>16}")
            return lines[0], out

        status, out = parts()
        matches(status, r"^Status: Enabled( for 0 days 00:00:\d\d)? +Debug: err$")
        eq(len(status), 59)
        first = {"current entries": 1, "half-open tcp": 0, "searches": 2, "inserts": 1,
                 "removals": 0}
        eq(out.pop(None), first)
        eq(list(out["Counters"]), COUNTERS)
        eq({k: v for k, v in out["Counters"].items() if v}, {"match": 2})
        time.sleep(1.1)
        status, out = parts()
        matches(status, r"^Status: Enabled for 0 days 00:00:\d\d +Debug: err$")
        matches(lab.pf.ctl("-si").stdout, r"^  inserts +1 +\d\.\d/s$")
        # -F info: all but what there is; to another pfd as well, and to a larger table
        run(lab, "-F", "info", err="pf: statistics cleared\n")
        for after in (lambda: None, lab.pf.restart,
                      lambda: lab.pf.load("set limit states 150000\nblock\n")):
            after()
            status, out = parts()
            eq(out.pop(None), {"current entries": 1, "half-open tcp": 0, "searches": 0,
                               "inserts": 0, "removals": 0})
            eq({k: v for k, v in out["Counters"].items() if v}, {})


def test_show_timeouts_and_limits():
    with Lab(hosts=2, v6=False, rules="pass\n") as lab:
        run(lab, "-st", out=timeouts_text())
        run(lab, "-sm", out=limits_text())
        lab.pf.load("set limit { states 1000, src-nodes 20 frags 30 tables 40 table-entries 50 }\n"
                    "set timeout { udp.first 1 interval 2 src.track 3 }\n")
        run(lab, "-st", out=timeouts_text(udp_first=1, interval=2, src_track=3,
                                          adaptive_start=600, adaptive_end=1200))
        run(lab, "-sm", out=limits_text(states=1000, src_nodes=20, frags=30, tables=40,
                                        table_entries=50))
        lab.pf.load("set limit states 1000\nset timeout { adaptive.start 7 adaptive.end 8 }\n")
        run(lab, "-st", out=timeouts_text(adaptive_start=7, adaptive_end=8))


OPTIMIZATIONS = {"normal": (120, 30, 86400, 900, 45, 90, 30),
                 "satellite": (180, 35, 86400, 905, 50, 95, 60),
                 "high-latency": (180, 35, 86400, 905, 50, 95, 60),
                 "conservative": (3600, 900, 432000, 3600, 600, 180, 60),
                 "aggressive": (30, 5, 18000, 60, 30, 30, 10)}


def optimized(lab, name, before=""):
    lab.pf.load(f"{before}set optimization {name}\npass\n")
    lines = lab.pf.ctl("-st").stdout.splitlines()
    return tuple(int(re.search(r"(\d+)s$", line)[1]) for line in lines[:7])


def test_optimizations():
    """All of TCP's timeouts, that of time stamps too."""
    with Lab(hosts=2, v6=False) as lab:
        eq(optimized(lab, "aggressive", "set timeout tcp.first 7\n")[0], 30, "the later counts")
        eq({name: optimized(lab, name) for name in OPTIMIZATIONS}, OPTIMIZATIONS)


def test_show_tables():
    rules = ("table <persistent> persist\ntable <used> { 192.0.2.1 }\n"
             "table <constant> const { 192.0.2.1 }\ntable <every> const persist { 192.0.2.1 }\n"
             "table <unused> { 192.0.2.1 }\nblock from { <used> <constant> <every> <implied> }\n")
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        # by name; one that no rule uses, and that is not persistent, is none
        run(lab, "-sT", out="constant\nevery\npersistent\nused\n")
        run(lab, "-vsT", out="c-a-r--\tconstant\ncpa-r--\tevery\n"
                             "-pa----\tpersistent\n--a-r--\tused\n")
        # one that rules name and nobody has defined: not there until something is put in
        run(lab, "-t", "implied", "-T", "show", status=1,
            err="pfctl-linux: Table does not exist\n")
        lab.pf.restart()
        run(lab, "-t", "implied", "-T", "add", "192.0.2.1",
            err="1 table created.\n1/1 addresses added.\n")
        eq(lab.src.ping(FW_SRC), False)
        run(lab, "-sT", out="constant\nevery\nimplied\npersistent\nused\n")
        run(lab, "-t", "implied", "-T", "flush", err="1 addresses deleted.\n")
        lab.pf.ctl("-F", "Tables")
        # a persistent one stays without a rule, and without its definition
        lab.pf.load(rules)
        lab.pf.load("pass\n")
        run(lab, "-vsT", out="cpa----\tevery\n-pa----\tpersistent\n")


def test_show_all():
    """All the parts with their titles, each as it is shown alone."""
    rules = 'block label "x"\ntable <t> persist\npass in on ext proto udp\n'
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        with lab.src.udp() as a, lab.fw.udp(53) as b:
            a.sendto(b"123", (FW_SRC, 53))
            b.recvfrom(100)
        want = [(title, lab.pf.ctl("-s", what).stdout) for title, what in
                (("FILTER RULES:", "rules"), ("STATES:", "states"), ("INFO:", "info"),
                 ("LABEL COUNTERS:", "labels"), ("TIMEOUTS:", "timeouts"), ("LIMITS:", "memory"),
                 ("TABLES:", "Tables"))]

        def still(text):
            """Without what changes with the time."""
            text = re.sub(r" for 0 days 00:00:\d\d", lambda m: " " * len(m[0]), text)
            return re.sub(r" {14}$|[ \d]{12}\.\d/s$", "", text, flags=re.M)
        for name in ("all", "a"):
            got = lab.pf.ctl("-s", name).stdout
            lines_eq(still(got), still("\n".join(f"{t}\n{text}" for t, text in want)))
        # what is empty has no title, but rules
        lab.pf.load("pass\n")
        lab.pf.ctl("-F", "all")
        eq(re.findall(r"^([A-Z ]+):$", lab.pf.ctl("-sa").stdout, re.M),
           ["FILTER RULES", "INFO", "TIMEOUTS", "LIMITS"])
        # any beginning of a modifier's name will do
        lab.pf.load(rules)
        for name in ("rules", "states", "labels", "timeouts", "memory", "Tables"):
            want = lab.pf.ctl("-s", name).stdout
            for n in range(1, len(name)):
                run(lab, f"-s{name[:n]}", out=want)
        eq([lab.pf.ctl("-s", "info"[:n]).stdout[:15] for n in range(1, 5)],
           ["Status: Enabled"] * 4)
