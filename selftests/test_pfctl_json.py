# SPDX-License-Identifier: BSD-2-Clause
"""pfctl-linux --json: the same as the text says, as one document."""
import hashlib
import json
import re
import time

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6

from pft import proto
from pft.check import between, eq
from pft.lab import FW_DST, FW_SRC, GHOST, GHOST6, GHOST6_DST, GHOST_DST, REASONS, SRC, Lab
from pft.netns import wait_for
from pft.pfctl import LIMITS, TIMEOUTS, before, pfctl
from test_pfctl_show import wire_state


def document(lab, *args):
    """What is shown, which must be one document and nothing said beside it."""
    r = lab.pf.ctl("--json", *args)
    eq((r.stderr, r.stdout[-1:]), ("", "\n"))
    # a name that comes twice is no name
    return json.loads(r.stdout, object_pairs_hook=lambda pairs: dict(pairs)
                      if len(dict(pairs)) == len(pairs) else pairs)


def states(lab, *args):
    return document(lab, "-ss", *args)["states"]


def still(state):
    """Without what is different each time."""
    state = dict(state)
    assert re.match(r"[0-9a-f]{16}$", state.pop("id")), state
    between(state.pop("age"), 0, 20)
    return state


def test_states():
    rules = (f"match out on int inet proto udp nat-to {FW_DST} port 5000\n"
             f"match in on ext inet proto udp to 203.0.113.9 rdr-to {GHOST_DST} port 54\n"
             "block\npass in on ext\npass out on int\n")
    with Lab(rules=rules) as lab:
        wire = lab.wire("src")
        eq(document(lab, "-ss"), {"states": []})
        # 20 + 8 + 3 bytes
        wire.send(IP(src=GHOST, dst="203.0.113.9") / UDP(sport=1, dport=53) / b"123")
        got = {}
        for _ in range(50):
            got = {s["direction"]: s for s in states(lab)}
            if len(got) == 2:
                break
        common = {"creatorid": "00000000", "interface": "all", "protocol": "udp",
                  "windows": None, "expires": 60, "packets": [1, 0], "bytes": [31, 0],
                  "states": ["SINGLE", "NO_TRAFFIC"], "anchor": None, "gateway": None, "tag": None,
                  "loose": False, "sloppy": False, "source-track": False,
                  "source": GHOST, "source-port": 1}
        for s in got.values():
            between(s.pop("expires"), 50, 60)
            s["expires"] = 60
        eq(still(got["in"]), {
            **common, "direction": "in", "origif": "ext", "rule": 3,
            "destination": "203.0.113.9", "destination-port": 53,
            "translated-source": GHOST, "translated-source-port": 1,
            "translated-destination": GHOST_DST, "translated-destination-port": 54})
        eq(still(got["out"]), {
            **common, "direction": "out", "origif": "int", "rule": 4,
            "destination": GHOST_DST, "destination-port": 54,
            "translated-source": FW_DST, "translated-source-port": 5000,
            "translated-destination": GHOST_DST, "translated-destination-port": 54})
        eq([s["origif"] for s in states(lab, "-i", "ext")], ["ext"])
        eq([s["rule"] for s in states(lab, "-R", "4")], [4])
        # the id is that of the text
        text = lab.pf.ctl("-ss", "-vv", "-i", "ext").stdout
        eq(re.search(r"id: (\w+) creatorid: (\w+)", text).groups(),
           (got["in"]["id"], got["in"]["creatorid"]))


def test_tags():
    """What a state has tagged, in the text with -vv; and that it is sloppy."""
    rules = ('block\npass in on ext proto udp to port 53 tag "two words"\n'
             "pass in on ext proto udp to port 54 tag T keep state (sloppy)\n"
             "pass in on ext proto udp to port 55\nmatch in proto udp to port 56 tag M\n"
             "pass in proto udp to port 56\npass out on int tagged T tag T2\npass out on int\n")
    want = {(53, "in"): "two words", (54, "in"): "T", (55, "in"): None, (56, "in"): "M",
            (54, "out"): "T2"}
    with Lab(rules=rules) as lab:
        wire = lab.wire("src")
        for src, dst in ((GHOST, GHOST_DST), (GHOST6, GHOST6_DST)):
            kind = IPv6 if ":" in src else IP
            for port in range(53, 57):
                wire.send(kind(src=src, dst=dst) / UDP(sport=1, dport=port))
            wait_for("states", lambda: len([s for s in lab.pf.states() if f"{dst}" in s]) == 8)
            found = [s for s in states(lab) if s["destination"] == dst]
            eq({(s["destination-port"], s["direction"]): s["tag"] for s in found
                if s["direction"] == "in" or s["tag"] == "T2"}, want)
            eq([s["destination-port"] for s in found if s["sloppy"]], [54])
        # a tag is kept by name, whatever the rules are now, and who tells it
        lab.pf.load("block\n")
        lab.pf.restart()
        eq(sorted(s["tag"] or "" for s in states(lab) if s["direction"] == "in"),
           ["", "", "M", "M", "T", "T", "two words", "two words"])
        eq(len(re.findall(r"^   tag: two words$", lab.pf.ctl("-vvss").stdout, re.M)), 4,
           "it goes on with the packet")
        eq(len(re.findall("tag", lab.pf.ctl("-vss").stdout)), 0)


def test_states_of_other_protocols():
    with Lab(rules="block\npass in on ext\n", hosts=2) as lab:
        wire = lab.wire("src")
        wire.send(IP(src=GHOST, dst=FW_SRC) / TCP(sport=1000, dport=80, flags="S", seq=100,
                                                  window=500, options=[("WScale", 3)]))
        wire.send(IP(src=GHOST, dst=FW_SRC) / ICMP(type=8, id=77))
        wire.send(IP(src=GHOST, dst=FW_SRC, proto=200) / b"1")
        wire.send(IPv6(src=GHOST6, dst=GHOST6_DST) / UDP(sport=1, dport=2))
        by_proto = {}
        for _ in range(50):
            by_proto = {s["protocol"]: s for s in states(lab)}
            if {"tcp", "icmp", "200", "udp"} <= set(by_proto):
                break
        tcp = by_proto["tcp"]
        # the host has refused it: window and state of who answered are its own
        eq((tcp["source"], tcp["source-port"], tcp["destination-port"], len(tcp["windows"])),
           (GHOST, 1000, 80, 2))
        eq(set(tcp["windows"][0]), {"sequence", "size", "difference", "scale"})
        eq([w["scale"] for w in tcp["windows"]], [None, None], "not both have one")
        eq((by_proto["icmp"]["source-port"], by_proto["icmp"]["destination-port"],
            by_proto["icmp"]["states"]), (77, 8, ["0", "0"]))
        eq((by_proto["200"]["source-port"], by_proto["200"]["windows"]), (0, None))
        eq((by_proto["udp"]["source"], by_proto["udp"]["destination"]), (GHOST6, GHOST6_DST))


BIG = 2 ** 63


def test_states_beyond_what_json_can_hold():
    """Numbers above 63 bits are strings, and names of interfaces may be of any bytes."""
    state = bytearray(wire_state(17, 4, 1, [(GHOST, 1), (FW_SRC, 53)],
                                 [(GHOST, 1), (FW_SRC, 53)]))
    at = 8 + 64 + 8 + 8 + 24
    numbers = [BIG - 1, BIG, 0, 2 ** 64 - 1]
    state[at:at + 32] = b"".join(n.to_bytes(8, "little") for n in numbers)
    name = 'a"\\\x01\xe9'.encode("latin-1").ljust(16, b"\0")
    state[-20:-4] = name
    _, status, out, err = before(proto.frame(proto.DATA, bytes(state)) + proto.frame(proto.OK),
                                 "--json", "-ss")
    eq((status, err), (0, ""))
    s, = json.loads(out.decode("utf-8"))["states"]
    eq((s["packets"], s["bytes"], s["origif"]),
       ([BIG - 1, str(BIG)], [0, str(2 ** 64 - 1)], 'a"\\\x01\xe9'))


def test_failure_leaves_no_document():
    r = pfctl("--json", "-ss")
    eq((r.returncode, r.stdout), (1, ""))
    _, status, out, err = before(b"", "--json", "-ss")
    eq((status, err), (1, "pfctl-linux: pfd has closed the connection\n"))
    try:
        json.loads(out)
    except ValueError:
        return
    raise AssertionError(f"{out!r} is a document")


def test_info():
    with Lab(hosts=2, v6=False, rules="block\npass in on ext proto udp\n") as lab:
        eq(lab.src.ping(FW_SRC), False)
        with lab.src.udp() as a, lab.fw.udp(53) as b:
            a.sendto(b"123", (FW_SRC, 53))
            b.recvfrom(100)
        info = document(lab, "-si")["info"]
        between(info.pop("seconds"), 0, 60)
        checksum = hashlib.md5(lab.pf.ctl("-sr").stdout.encode()).hexdigest()
        tracking = {"current entries": 0, "searches": 0, "inserts": 0, "removals": 0}
        # loopback and ext
        eq(info.pop("linux")["attached interfaces"], 2)
        eq(info, {"enabled": True, "debug": "err", "confirm-seconds": 0, "hostid": "00000000",
                  "checksum": checksum, "rules": 2, "tables": 0,
                  "states": {"current entries": 1, "half-open tcp": 0, "searches": 2,
                             "inserts": 1, "removals": 0},
                  "source-tracking": tracking, "fragments": tracking,
                  "counters": {**dict.fromkeys(REASONS, 0), "match": 2},
                  "limit-counters": dict.fromkeys(LIMIT_COUNTERS, 0),
                  "log": {"records": 0, "lost records": 0}})
        lab.pf.load("block\n", "--confirm", "100")
        between(document(lab, "-si")["info"]["confirm-seconds"], 50, 100)


LIMIT_COUNTERS = ["max states per rule", "max-src-states", "max-src-nodes", "max-src-conn",
                  "max-src-conn-rate", "overload table insertion", "overload flush states",
                  "synfloods detected", "syncookies sent", "syncookies validated"]


def test_verbose_info():
    """OpenBSD's additional lines, in their places; what is not built has not happened."""
    with Lab(hosts=2, v6=False, rules="pass in\n") as lab:
        lab.src.ping(FW_SRC)
        plain = lab.pf.ctl("-si").stdout
        eq("Checksum" in plain or "Limit" in plain or "Source" in plain, False)
        lines = lab.pf.ctl("-si", "-v").stdout.splitlines()
        checksum = hashlib.md5(lab.pf.ctl("-sr").stdout.encode()).hexdigest()
        eq(lines[1:5], ["", "Hostid:   0x00000000", f"Checksum: 0x{checksum}", ""])
        titles = [line for line in lines[6:] if not line.startswith(" ")]
        eq(titles, ["Source Tracking Table", "Fragments", "Counters", "Limit Counters", "Log",
                    "Linux"])

        def below(title, n):
            at = lines.index(title)
            found = [re.match(r"  (\S.{24}) {14}(\d) ", line) for line in lines[at + 1:at + 1 + n]]
            return [(m[1].rstrip(), int(m[2])) for m in found]
        eq(below("Limit Counters", 10), [(name, 0) for name in LIMIT_COUNTERS])
        for title in ("Source Tracking Table", "Fragments"):
            eq(below(title, 4), [(name, 0) for name in
                                 ("current entries", "searches", "inserts", "removals")])


def test_timeouts_and_memory():
    with Lab(hosts=2, v6=False, rules="set timeout udp.first 7\nset limit frags 50\n") as lab:
        timeouts = document(lab, "-st")
        eq(timeouts, {"timeouts": {**dict(TIMEOUTS), "udp.first": 7}})
        eq(list(timeouts["timeouts"]), [name for name, _ in TIMEOUTS])
        eq(document(lab, "-sm"), {"memory": {**dict(LIMITS), "frags": 50}})


def counters(evaluations=0, pin=(0, 0), out=(0, 0), made=0):
    return {"evaluations": evaluations, "packets-in": pin[0], "bytes-in": pin[1],
            "packets-out": out[0], "bytes-out": out[1], "state-creations": made}


def test_rules_and_labels():
    rules = ('block label "a\\b ü"\npass in on ext proto udp to port 53 label dns\n'
             "anchor named {\n pass out on ext label dns\n}\nanchor {\n block in proto gre\n}\n")
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        with lab.src.udp() as a, lab.fw.udp(53) as b:
            a.sendto(b"123", (FW_SRC, 53))
            b.sendto(b"12345", b.recvfrom(100)[1])
            a.recv(100)
        shown = lab.pf.ctl("-sr", "-v").stdout
        pid = int(re.search(r"pid (\d+)", shown)[1])
        origin = {"inserted-uid": 0, "inserted-pid": pid}

        def rule(anchor, number, text, label, states=0, **counted):
            return {**counters(**counted), **origin, "anchor": anchor, "number": number,
                    "rule": text, "label": label, "labels": [label] if label else [],
                    "states": states, "expired": False}
        label = lab.pf.rules()[0].split('label "')[1][:-1]
        unnamed = [rule("_1", 0, "block drop in proto gre all", None, evaluations=1, pin=(0, 0))]
        want = [rule("", 0, f'block drop all label "{label}"', label, evaluations=1),
                rule("", 1, 'pass in on ext proto udp from any to any port = 53 label "dns"',
                     "dns", states=1, evaluations=1, pin=(1, 31), out=(1, 33), made=1),
                rule("", 2, 'anchor "named" all', None, evaluations=1),
                rule("named", 0, 'pass out on ext all flags S/SA label "dns"', "dns",
                     evaluations=1),
                rule("", 3, "anchor all", None, evaluations=1), *unnamed]
        got = document(lab, "-sr")["rules"]
        eq([(r["anchor"], r["number"], r["rule"], r["label"]) for r in got],
           [(r["anchor"], r["number"], r["rule"], r["label"]) for r in want
            if r["anchor"] != "named"])
        everything = document(lab, "-a", "*", "-sr")["rules"]
        eq([(r["anchor"], r["number"], r["rule"], r["label"]) for r in everything],
           [(r["anchor"], r["number"], r["rule"], r["label"]) for r in want])
        eq(got[1], want[1])
        eq(document(lab, "-sr", "-R", "1"), {"rules": [want[1]]})
        eq(document(lab, "-sr", "-P", "-R", "1")["rules"][0]["rule"],
           'pass in on ext proto udp from any to any port = domain label "dns"')
        labels = document(lab, "-sl")["labels"]
        eq([x["label"] for x in labels], [label, "dns"])
        eq(labels[1], {**counters(evaluations=1, pin=(1, 31), out=(1, 33), made=1),
                       "label": "dns"})
        eq(document(lab, "-sA"), {"anchors": ["named"]})
        eq(document(lab, "-sA", "-v"), {"anchors": ["_1", "named"]})
        # -z: after they have been shown
        eq(document(lab, "-sl", "-z")["labels"], labels)
        eq(document(lab, "-sl")["labels"][1], {**counters(), "label": "dns"})


def test_tables():
    rules = ("table <t> const { 192.0.2.0/24 !192.0.2.9 2001:db8::/32 }\n"
             "table <p> persist\nblock from <t>\n")
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        lab.pf.ctl("-a", "x", "-t", "own", "-T", "add", SRC)

        def table(name, n, anchor="", **flags):
            return {"name": name, "anchor": anchor, "addresses": n,
                    **dict.fromkeys(("const", "persist", "referenced", "anchored"), False),
                    "active": True, **flags}
        main = [table("p", 0, persist=True), table("t", 3, const=True, referenced=True)]
        eq(document(lab, "-sT"), {"tables": main})
        eq(document(lab, "-a", "*", "-sT"),
           {"tables": [*main, table("own", 1, "x", persist=True)]})
        shown = document(lab, "-t", "t", "-T", "show")
        for entry in shown["addresses"]:
            between(time.time() - entry.pop("cleared"), 0, 60)
        eq(shown, {"addresses": [
            {"address": a, "not": n} for a, n in
            (("192.0.2.0/24", False), ("192.0.2.9", True), ("2001:db8::/32", False))]})
        eq(document(lab, "-t", "p", "-T", "show"), {"addresses": []})


def test_all():
    """All that -s all shows; what is empty is there, too."""
    with Lab(hosts=2, v6=False, rules="pass label x\n") as lab:
        parts = ["rules", "states", "sources", "limiters", "info", "labels",
                 "timeouts", "memory", "tables"]
        got = document(lab, "-sa")
        eq(list(got), parts)
        eq((got["states"], got["sources"], got["tables"]), ([], [], []))
        eq((len(got["rules"]), len(got["labels"])), (1, 1))
        for part, what in (("rules", "-sr"), ("labels", "-sl"), ("timeouts", "-st"),
                           ("memory", "-sm")):
            eq({part: got[part]}, document(lab, what))
