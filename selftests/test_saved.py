# SPDX-License-Identifier: BSD-2-Clause
"""pfctl-linux -S and -L: states in a file, and back after what is a reboot to the firewall."""
import hashlib
import json
import os
import re
import signal
import stat
import struct
import time

from pft import proto
from pft.check import between, cases, contains, eq, lines_eq, matches
from pft.inject import by, go, ip
from pft.lab import DST, DST6, GHOST, GHOST6, GHOST6_DST, GHOST_DST, MAC, PFCTL, SRC, SRC6, Lab
from pft.netns import hears_nothing, talks, wait_for
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.layers.sctp import SCTP, SCTPChunkInit
from scapy.packet import raw

RULES = "block\npass in on ext proto tcp to port 8000 flags S/SA\npass out proto tcp flags S/SA\n"
VERSION, BLOCK, END, SUM = 2, 1, 2, 32
PASS = -1


def reboot(pf, rules=None):
    """Nothing is left of it, as when the machine starts anew."""
    pf.stop(signal.SIGKILL)
    eq(pf.ns.run(*pf.argv("-X"), check=False).returncode, 0)
    eq(os.path.exists(pf.pin + "/maps"), False)
    pf.start()
    eq(pf.states(), [])
    if rules:
        pf.load(rules)


def saved(lab, name="states"):
    path = os.path.join(lab.dir, name)
    lab.pf.ctl("-q", "-S", path)
    return path


def shown(pf):
    """The states with all that -v shows of them but their times."""
    text = pf.ctl("-ss", "-v").stdout
    return sorted(re.sub(r"age [\d:]+, expires in [\d:]+", "", s)
                  for s in re.split(r"^(?=all )", text, flags=re.M))


def summed(data):
    """A file with a checksum that is right."""
    return data[:-SUM] + hashlib.sha256(data[:-SUM]).digest()


@cases(("ipv4", SRC, DST), ("ipv6", SRC6, DST6))
def test_connections_outlive_a_reboot(_name, near, far):
    with Lab(rules=RULES) as lab:
        listener = lab.dst.listen(8000, family=10 if ":" in far else 2)
        a = lab.src.connect(far, 8000)
        b, _ = listener.accept()
        for x, y in ((a, b), (b, a)):
            x.sendall(b"x" * 300000)
            n = 0
            while n < 300000:
                n += len(y.recv(65536))
        before = shown(lab.pf)
        eq(len(before), 3, "two states, and nothing before them")
        path = saved(lab)
        reboot(lab.pf, RULES)
        r = lab.pf.ctl("-L", path)
        eq(r.stderr, "2 states loaded\n")
        lines_eq(shown(lab.pf), before)
        eq(talks(a, b), True, "the connection goes on")
        eq(lab.src.can_connect(far, 8000), "yes", "a new one")
        # its windows are enforced: a reset from beside them ends nothing
        kind = IPv6 if ":" in far else IP
        mismatch = lab.pf.info()["state-mismatch"]
        lab.wire("dst").send(kind(src=far, dst=near) / TCP(
            sport=8000, dport=a.getsockname()[1], flags="R", seq=1))
        wait_for("the drop", lambda: lab.pf.info()["state-mismatch"] == mismatch + 1)
        eq(talks(a, b), True, "after a blind reset")
        numbers = lab.pf.rule_numbers()
        eq([n["states"] for _, n in numbers], [0, 2, 2])
        lab.pf.ctl("-F", "states")
        eq([n["states"] for _, n in lab.pf.rule_numbers()], [0, 0, 0], "all are counted out")
        eq(talks(a, b, 0.3), False, "without its states")
        for s in (a, b, listener):
            s.close()


def test_blocked_without_its_states():
    with Lab(rules=RULES) as lab:
        listener = lab.dst.listen(8000)
        a = lab.src.connect(DST, 8000)
        b, _ = listener.accept()
        path = saved(lab)
        reboot(lab.pf, RULES)
        a.sendall(b"in vain")
        b.settimeout(0.5)
        hears_nothing(b, "rules alone")
        lab.pf.ctl("-L", path)
        b.settimeout(5)
        eq(b.recv(100), b"in vain", "sent again")
        eq(talks(a, b, 3), True)
        for s in (a, b, listener):
            s.close()


MANY = "".join(f"match in on ext tag t{i}\n" for i in range(12))
RICH = (MANY + "block\nanchor \"a\" {\n  pass in on ext proto udp tag THERE\n}\n"
        "pass out on int proto udp tagged THERE nat-to 198.51.100.2\n"
        "pass in on ext proto tcp to port 80\n")


def test_all_of_a_state_comes_back():
    """Translation, tag, anchor, match rules; rules by what they say, though their numbers change."""
    with Lab(rules=RICH, v6=False) as lab:
        src, dst = lab.wire("src"), lab.wire("dst")
        there = IP(src=GHOST, dst=GHOST_DST) / UDP(sport=1000, dport=53) / b"question"
        src.send(there)
        got = dst.receive(lambda p: UDP in p)
        eq((got[IP].src, got[UDP].dport), ("198.51.100.2", 53))
        port = got[UDP].sport
        src.send(IP(src=GHOST, dst=GHOST_DST) / TCP(sport=7, dport=80, flags="S"))
        wait_for("three states", lambda: len(lab.pf.states()) == 3)
        before = shown(lab.pf)
        path = saved(lab)
        # another rule in front moves the numbers, and rule ids with them
        reboot(lab.pf, "pass on em9\n" + RICH)
        eq(lab.pf.ctl("-v", "-L", path).stderr, "3 states loaded\n")
        want = [re.sub(r"(\d+)$", lambda m: str(int(m[1]) + 1), s.rstrip(), flags=re.M)
                if "anchor" not in s else
                re.sub(r"anchor (\d+)", lambda m: f"anchor {int(m[1]) + 1}", s.rstrip())
                for s in before]
        lines_eq([s.rstrip() for s in shown(lab.pf)], want)
        matched = lab.pf.rule_numbers()[1:13]
        eq([n["states"] for _, n in matched], [2] * 12, "match rules")
        dst.send(IP(src=GHOST_DST, dst="198.51.100.2") / UDP(sport=53, dport=port) / b"answer")
        back = src.receive(lambda p: UDP in p)
        eq((back[IP].dst, back[UDP].dport, bytes(back[UDP].payload)), (GHOST, 1000, b"answer"))
        dst.drain()
        src.send(there)  # the tag of the state that came in lets it out
        assert dst.receive(lambda p: UDP in p), "the tag"
        counted = [n["packets"] for _, n in lab.pf.rule_numbers()]
        lab.pf.ctl("-F", "states")
        eq([n["packets"] for _, n in lab.pf.rule_numbers()], counted, "nothing is counted twice")
        eq([n["states"] for _, n in lab.pf.rule_numbers()[1:13]], [0] * 12)


# Whatever stands in a tag, its state is no other one's misfortune.
TAGS = ["a b", "<x>", "\u00fc!", "x" * 63]


def test_tags_of_all_kinds():
    rules = "".join(f'pass in proto udp to port {n} tag "{tag}"\n' for n, tag in enumerate(TAGS, 1))
    rules += "".join(f'pass out proto udp tagged "{tag}"\n' for tag in TAGS)
    rules = "block\n" + rules
    with Lab(rules=rules, v6=False) as lab:
        src, dst = lab.wire("src"), lab.wire("dst")

        def through(n):
            src.send(IP(src=GHOST, dst=GHOST_DST) / UDP(sport=1000, dport=n))
            return dst.receive(lambda p: UDP in p and p[UDP].dport == n)
        for n in range(1, len(TAGS) + 1):
            assert through(n), TAGS[n - 1]
        before = shown(lab.pf)
        path = saved(lab)
        reboot(lab.pf, rules)
        eq(lab.pf.ctl("-L", path).stderr, f"{2 * len(TAGS)} states loaded\n")
        lines_eq(shown(lab.pf), before)
        # those that have gone out are asked for their tags anew
        for n in range(1, len(TAGS) + 1):
            lab.pf.ctl("-k", "key", "-k", f"udp {GHOST}:1000 -> {GHOST_DST}:{n}", "-i", "int")
            assert through(n), TAGS[n - 1]


OPTIONS = ("pass in proto udp from any to any port 1:9 keep state (max 3, if-bound, udp.first 3000)\n"
           "pass in on int proto udp to port 20 keep state (if-bound)\n"
           "pass in on ext proto udp to port 20 keep state (floating)\n"
           "pass in proto sctp keep state (sctp.first 4000)\n"
           "pass in proto tcp keep state (sloppy)\n")


def test_options_of_states():
    """They hold as before: where a state is bound to, which comes first, its timeout, the limit."""
    with Lab(hosts=3, rules=OPTIONS, v6=False) as lab:
        def go(dev, proto, port, way="in"):
            ends = (GHOST, GHOST_DST) if way == "in" else (GHOST_DST, GHOST)
            ports = (1000, port) if way == "in" else (port, 1000)
            pkt = IP(src=ends[0], dst=ends[1]) / proto(sport=ports[0], dport=ports[1])
            if proto is SCTP:
                pkt /= SCTPChunkInit(init_tag=7, a_rwnd=65536, n_out_streams=1, n_in_streams=1)
            return lab.pf.run(dev, way, raw(Ether(dst=MAC[dev], src=MAC["src"]) / pkt))[0] == PASS

        made = [("ext", UDP, 1), ("int", UDP, 2), ("int", UDP, 20), ("ext", UDP, 20),
                ("ext", SCTP, 5), ("ext", TCP, 7)]
        eq([go(*a) for a in made], [True] * len(made))
        before = sorted(lab.pf.states())
        eq([s.split()[0] for s in before].count("int"), 2, before)
        path = saved(lab)
        reboot(lab.pf, OPTIONS)
        eq(lab.pf.ctl("-L", path).stderr, "6 states loaded\n")
        lines_eq(sorted(lab.pf.states()), before)
        text = lab.pf.ctl("-ss", "-v").stdout
        eq(len(re.findall(r"expires in 00:(?:50:00|49:5\d),.* rule 0", text)), 2, text)
        matches(text, r"expires in 01:06:[34]\d,.* rule 3")
        lab.pf.load("set keepcounters\nblock\n" + OPTIONS)
        eq((go("ext", UDP, 3), go("ext", UDP, 4)), (True, False), "the third of three, and a fourth")
        lab.pf.load("block\n")
        eq([[go(dev, UDP, n, "out") for dev in ("ext", "int")] for n in (1, 2, 20)],
           [[True, False], [False, True], [True, True]])
        # the one that is bound there comes first
        answered = [s for s in lab.pf.states() if ":20 " in s]
        lines_eq(sorted(answered), [
            f"all udp {GHOST_DST}:20 <- {GHOST}:1000       SINGLE:MULTIPLE",
            f"int udp {GHOST_DST}:20 <- {GHOST}:1000       SINGLE:MULTIPLE"])
        # in the same order once more, over those that are there
        eq(lab.pf.ctl("-L", path).stderr, "0 states loaded\n6 states were there already\n")


def test_bound_to_what_is_not_there():
    """A state waits for its interface, which may come later than the file is loaded."""
    mac = "02:00:00:00:03:02"
    rules = "block\npass in on { ext late } proto udp keep state (if-bound)\n"
    with Lab(hosts=2, rules=rules) as lab:
        def make(index):
            lab.fw.batch([f"link add late index {index} address {mac} type veth peer name late-p",
                          "link set late up"])
            wait_for("late", lambda: answers("late", FLOWS[0], mac) is not None)

        def answers(dev, flow, mac=None):
            try:
                return go(lab, ip(*flow[::-1]) / UDP(sport=53, dport=1), dev, "out", mac)
            except (OSError, AssertionError):
                return None
        make(70)
        for flow in FLOWS:
            eq(go(lab, ip(*flow) / UDP(sport=1, dport=53), "late", "in", mac), True)
            eq(go(lab, ip(*flow) / UDP(sport=2, dport=53), "ext"), True)
        path = saved(lab)
        lab.fw.ip("link", "del", "late")
        # what has gone is saved by its name, too
        wait_for("its end", lambda: answers("late", FLOWS[0], mac) is None)
        eq(bound(lab), ["ext", "ext", "late", "late"])
        again = saved(lab, "again")
        for file in (path, again):
            reboot(lab.pf, rules)
            eq(lab.pf.ctl("-L", file).stderr, "4 states loaded\n")
            eq(bound(lab), ["ext", "ext", "late", "late"])
            eq(lab.pf.ctl("-L", file).stderr, "0 states loaded\n4 states were there already\n")
            eq(answers("ext", FLOWS[0]), False, "not at another one")
            make(80)
            for flow in FLOWS:
                wait_for("its states", lambda f=flow: answers("late", f, mac))
            eq([s["origif"] for s in json.loads(lab.pf.ctl("--json", "-ss").stdout)["states"]
                if s["interface"] == "late"], ["late"] * 2)
            lab.fw.ip("link", "del", "late")


def test_counters_of_more_than_32_bits():
    """Scenario rules_counter:4G: of a state, its rule and label, over a load that keeps them."""
    rules = "set keepcounters\npass in proto udp label big\n"
    packets, size = 2 ** 33 + 7, 2 ** 43 + 9
    with Lab(hosts=2, rules=rules, v6=False) as lab:
        eq(go(lab, ip(GHOST, GHOST_DST) / UDP(sport=1, dport=53)), True)
        path = saved(lab)
        lab.pf.ctl("-F", "states")
        with open(path, "rb") as f:
            data = bytearray(f.read())
        # behind a header, the names of a block, and both keys
        struct.pack_into("=QQ", data, 8 + 24 + 32 + 64 + 80, packets, size)
        with open(path, "wb") as f:
            f.write(summed(bytes(data)))
        eq(lab.pf.ctl("-L", path).stderr, "1 states loaded\n")
        contains(lab.pf.ctl("-ss", "-v").stdout, f"{packets}:0 pkts, {size}:0 bytes")
        # with the packet of the first one
        packets, size = packets + 1, size + 28
        for end in (lab.pf.restart, lambda: lab.pf.ctl("-F", "states"),
                    lambda: lab.pf.load(rules), lab.pf.restart):
            contains(lab.pf.ctl("-sr", "-v").stdout, f"Packets: {packets}  Bytes: {size} ")
            eq(lab.pf.ctl("-sl").stdout.split()[2:6], [str(packets), str(size)] * 2)
            rule, = json.loads(lab.pf.ctl("--json", "-sr").stdout)["rules"]
            eq((rule["packets-in"], rule["bytes-in"]), (packets, size))
            end()


FLOWS = ((GHOST, GHOST_DST), (GHOST6, GHOST6_DST))


def bound(lab):
    return sorted(s.split()[0] for s in lab.pf.states() if " udp " in s)


@cases(*((f"{emitter}, {name}", emitter, flow, net) for emitter in ("linear", "tree")
         for name, flow, net in (("inet", FLOWS[0], "192.0.2.0/24"),
                                 ("inet6", FLOWS[1], "2001:db8:1::/64"))))
def test_counted_by_their_rules(_name, emitter, flow, net):
    """By the tables that their rules name, and for max-pkt-rate, as before."""
    by(emitter)
    rules = (f"table <m> counters {{ {net} }}\ntable <p> counters {{ {net} }}\nblock\n"
             + "".join(f"match in proto udp to port {53 + n % 2} tag t{n}\n" for n in range(24))
             + "match in from <m>\npass in proto udp to port 53\n"
             "pass in proto udp from <p> to port 54\npass in proto udp to port 55 "
             "max-pkt-rate 4/1000\n")
    with Lab(hosts=2, rules=rules) as lab:
        def send(port):
            return go(lab, ip(*flow) / UDP(sport=1, dport=port))

        def counted():
            tables = json.loads(lab.pf.ctl("--json", "-sT").stdout)["tables"]
            return {t["name"]: sum(op["packets"] for op in t["counters"]["in"].values())
                    for t in tables}
        eq([send(port) for port in (53, 54, 55)], [True] * 3)
        eq(counted(), {"m": 3, "p": 1})
        path = saved(lab)
        reboot(lab.pf, rules)
        eq(lab.pf.ctl("-L", path).stderr, "3 states loaded\n")
        eq([send(port) for port in (53, 54)], [True] * 2)
        eq(counted(), {"m": 2, "p": 1})
        eq([send(55) for _ in range(6)], [True] * 4 + [False] * 2)


def test_rules_that_have_gone():
    with Lab(hosts=2, rules="block\npass in on ext proto udp tag OLD\n", v6=False) as lab:
        lab.wire("src").send(IP(src=GHOST, dst=GHOST_DST) / UDP(sport=1000, dport=53))
        wait_for("a state", lambda: len(lab.pf.states()) == 1)
        path = saved(lab)
        reboot(lab.pf, "block\n")
        r = lab.pf.ctl("-v", "-L", path)
        eq(r.stderr, "1 states loaded\n1 states are of rules that are not in force\n")
        text = lab.pf.ctl("-ss", "-v").stdout
        contains(text, f"all udp {GHOST_DST}:53 <- {GHOST}:1000       NO_TRAFFIC:SINGLE")
        eq("rule" in text, False, text)
        eq(lab.pf.ctl("-L", path).stderr, "0 states loaded\n1 states were there already\n")
        eq(len(lab.pf.states()), 1)


def test_the_limit_holds():
    with Lab(hosts=2, rules="pass\n", v6=False) as lab:
        w = lab.wire("src")
        for port in range(1, 11):
            w.send(IP(src=GHOST, dst=GHOST_DST) / UDP(sport=port, dport=53))
        wait_for("states", lambda: len(lab.pf.states()) == 10)
        path = saved(lab)
        reboot(lab.pf, "set limit states 4\npass\n")
        r = lab.pf.ctl("-L", path)
        eq(r.stderr, "4 states loaded\npfctl-linux: warning: no room for 6 states\n")
        eq(len(lab.pf.states()), 4)


def expires(pf):
    h, m, s = matches(pf.ctl("-ss", "-v").stdout, r"expires in (\d+):(\d+):(\d+)").groups()
    return int(h) * 3600 + int(m) * 60 + int(s)


def test_the_time_that_is_left():
    """Of the timeout as it is then, what was used up stays used up; the time between does not count."""
    with Lab(hosts=2, rules="set timeout udp.first 100\npass\n", v6=False) as lab:
        lab.wire("src").send(IP(src=GHOST, dst=GHOST_DST) / UDP(sport=1000, dport=53))
        wait_for("a state", lambda: len(lab.pf.states()) == 1)
        time.sleep(3)
        path = saved(lab)
        reboot(lab.pf, "set timeout udp.first 50\npass\n")
        lab.pf.ctl("-L", path)
        between(expires(lab.pf), 44, 47)
        age = matches(lab.pf.ctl("-ss", "-v").stdout, r"age 00:00:(\d\d)")[1]
        between(int(age), 3, 6, "age")


def test_the_file():
    with Lab(hosts=2, rules="pass\n", v6=False) as lab:
        lab.wire("src").send(IP(src=GHOST, dst=GHOST_DST) / UDP(sport=1000, dport=53))
        wait_for("a state", lambda: len(lab.pf.states()) == 1)
        path = os.path.join(lab.dir, "states")
        with open(path, "w", encoding="ascii") as f:
            f.write("what was there before")
        os.chmod(path, 0o644)
        eq(lab.pf.ctl("-S", path).stderr, "")
        eq(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path, "rb") as f:
            data = f.read()
        eq([f for f in os.listdir(lab.dir) if f.startswith("states.")], [], "left behind")
        # - is standard output, and standard input
        r = lab.pf.ns.popen([PFCTL, "-p", lab.pf.socket, "-S", "-"], stdout=-1)
        out = r.communicate()[0]
        eq((r.returncode, len(out)), (0, len(data)))
        lab.pf.ctl("-F", "states")
        r = lab.pf.ns.popen([PFCTL, "-p", lab.pf.socket, "-L", "-"], stdin=-1)
        r.communicate(out)
        eq((r.returncode, len(lab.pf.states())), (0, 1))
        # an empty table is a file, too
        lab.pf.ctl("-F", "states")
        lab.pf.ctl("-S", path)
        eq(lab.pf.ctl("-L", path).stderr, "0 states loaded\n")
        # -n checks, and does no more
        with open(path, "wb") as f:
            f.write(data)
        eq(lab.pf.ctl("-nv", "-L", path, "-S", path + "2").stderr, "1 states\n")
        eq((lab.pf.states(), os.path.exists(path + "2")), ([], False))
        # what cannot be written
        r = lab.pf.ctl("-S", lab.dir, check=False)
        eq((r.returncode, r.stderr), (1, f"pfctl-linux: {lab.dir}: not a regular file\n"))
        r = lab.pf.ctl("-S", "/nonexistent/x", check=False)
        eq((r.returncode, r.stderr),
           (1, "pfctl-linux: /nonexistent/x: No such file or directory\n"))
        r = lab.pf.ctl("-L", "/nonexistent/x", check=False)
        eq((r.returncode, r.stderr),
           (1, "pfctl-linux: /nonexistent/x: No such file or directory\n"))
        # without a pfd the old file stays as it was
        lab.pf.stop()
        r = lab.pf.ctl("-S", path, check=False)
        eq(r.returncode, 1)
        matches(r.stderr, r"\Apfctl-linux: pfd does not answer at .*: is it running\?\n\Z")
        with open(path, "rb") as f:
            eq(f.read(), data)
        eq([f for f in os.listdir(lab.dir) if f.startswith("states.")], [], "left behind")
        lab.pf.start()


def test_broken_files_change_nothing():
    with Lab(hosts=2, rules="pass tag T\n", v6=False) as lab:
        w = lab.wire("src")
        w.send(IP(src=GHOST, dst=GHOST_DST) / UDP(sport=1000, dport=53))
        w.send(IP(src=GHOST, dst=GHOST_DST) / TCP(sport=1000, dport=80, flags="S"))
        wait_for("states", lambda: len(lab.pf.states()) == 2)
        with open(saved(lab), "rb") as f:
            good = f.read()
        lab.pf.ctl("-F", "states")
        path = os.path.join(lab.dir, "bad")

        def refused(data, why):
            with open(path, "wb") as f:
                f.write(data)
            r = lab.pf.ctl("-L", path, check=False)
            eq((r.returncode, r.stderr),
               (1, f"pfctl-linux: {path}: {why}: no states loaded\n"))
            # nor does pfd believe a client that has not looked
            with proto.Control(lab.pf) as c:
                c.ask(proto.STATES_DATA, data)
                try:
                    c.ask(proto.STATES_LOAD)
                except proto.Refused as e:
                    eq(e.text, why)
                else:
                    raise AssertionError("pfd has taken it")
            eq(lab.pf.states(), [], why)

        other, sums = "no states saved by pfctl-linux -S of such a machine", (
            "damaged: the checksum is wrong")
        odd = "damaged: it holds what is no state"
        refused(b"", other)
        refused(b"\0" * 100, other)
        refused(good[:7], other)
        refused(good[:8], sums)
        refused(good[:-1], sums)
        refused(good + b"\0", sums)
        for at in range(8, len(good), 37):
            refused(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:], sums)
        refused(good[:4] + struct.pack("=I", VERSION + 1) + good[8:],
                f"states in version {VERSION + 1} of the format: this is version {VERSION}")
        # with a checksum that is right
        _kind, length, rules, tags, ifs, states = struct.unpack_from("=IIIIII", good, 8)
        eq((rules, tags, ifs, states), (1, 1, 1, 2))
        first = 8 + 24 + 32 + 64 + 64
        size = (length - 16 - 32 - 128) // 2
        for what, off, value in (
                ("a family", 37, 5), ("another family in one key", 40 + 37, 6),
                ("an IPv4 address of more", 4, 1), ("a second key, but no translation", 40, 77),
                ("a peer's state", 80 + 16 + 16 + 6, 99), ("a wscale", 80 + 16 + 16 + 7, 0x8f),
                ("a timeout", size - 29, 14), ("a flag", size - 28, 0x88),
                ("a direction", size - 27, 3), ("a gateway", size - 26, 3), ("more rules", size - 25, 200),
                ("a rule that is not there", size - 16, 2), ("no tag", size - 8, 0),
                ("a tag that is not there", size - 8, 2),
                ("an interface that is not there", size - 4, 2)):
            for state in (0, 1):
                data = bytearray(good)
                at = first + state * size + off
                assert data[at] != value, what
                data[at] = value
                refused(summed(bytes(data)), odd)
        for at, value in ((8, 3), (12, length + 1), (12, length - 1), (16, 2), (20, 0xffffffff),
                          (28, 1), (28, 3), (28, 0xffffffff), (len(good) - SUM - 8, 2)):
            data = bytearray(good)
            struct.pack_into("=I", data, at, value)
            refused(summed(bytes(data)), odd)
        tag = bytearray(good)
        tag[8 + 24 + 32 + 63] = 65  # behind the end of the name
        refused(summed(bytes(tag)), odd)
        # the good one still is
        with open(path, "wb") as f:
            f.write(good)
        eq(lab.pf.ctl("-L", path).stderr, "2 states loaded\n")


def test_many_states():
    """More than one block; and each comes back once."""
    with Lab(hosts=2, rules="set timeout udp.first 1000\npass\n", v6=False) as lab:
        w = lab.wire("src")
        for port in range(1, 3001):
            w.send(IP(src=GHOST, dst=GHOST_DST) / UDP(sport=port, dport=53))
        wait_for("states", lambda: len(lab.pf.states()) == 3000)
        before = sorted(lab.pf.states())
        path = saved(lab)
        with open(path, "rb") as f:
            data = f.read()
        eq(struct.unpack_from("=Q", data, len(data) - SUM - 8)[0] > 3, True, "blocks")
        reboot(lab.pf, "set timeout udp.first 1000\npass\n")
        eq(lab.pf.ctl("-L", path).stderr, "3000 states loaded\n")
        lines_eq(sorted(lab.pf.states()), before)
        info = lab.pf.info()
        eq((info["current entries"], info["inserts"]), (3000, 3000))
