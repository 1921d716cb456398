# SPDX-License-Identifier: BSD-2-Clause
"""What an administrator without pfd has: pins, readable by bpftool and cat."""
import ipaddress
import json
import os
import re
import socket
import struct
import subprocess

from pft import bpf
from pft.check import Skip, at_least, between, contains, eq
from pft.lab import (DST, DST6, FW6_SRC, FW_SRC, GHOST, GHOST6, GHOST6_DST, GHOST_DST, MAC, SRC,
                     Lab)
from pft.netns import wait_for
from pft.state import LIVE, TCPS, Slots
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw, raw

BPFTOOL = next((p for p in ("/usr/sbin/bpftool", "/usr/bin/bpftool", "/sbin/bpftool")
                if os.path.exists(p)), None)


def need_bpftool():
    if not BPFTOOL:
        raise Skip("there is no bpftool")


def bpftool(*args):
    """What `bpftool -j ...` says."""
    need_bpftool()
    r = subprocess.run([BPFTOOL, "-j", *map(str, args)], capture_output=True, text=True,
                       check=False)
    if r.returncode:
        raise AssertionError(f"bpftool {args}: {r.stdout}{r.stderr}")
    return json.loads(r.stdout)


def dump(path):
    """{key: value} of a map, as BTF formats them; a structure as a key becomes a string."""
    out = {}
    for e in bpftool("map", "dump", "pinned", path):
        e = e["formatted"]
        key = e["key"] if isinstance(e["key"], int) else json.dumps(e["key"])
        out[key] = e["value"] if "value" in e else [v["value"] for v in e["values"]]
    return out


def lookup(path, index):
    key = [str(b) for b in struct.pack("=I", index)]
    e = bpftool("map", "lookup", "pinned", path, "key", *key)["formatted"]
    return e["value"] if "value" in e else [v["value"] for v in e["values"]]


def kind_of(path):
    """'map', 'prog' or 'link', and what bpftool shows of it."""
    for kind in ("map", "prog", "link"):
        r = subprocess.run([BPFTOOL, "-j", kind, "show", "pinned", path], capture_output=True,
                           text=True, check=False)
        # bpftool 7.5 fails behind what it shows of an iterator
        if r.returncode == 0 or r.stdout.startswith('{"id":'):
            return kind, json.loads(r.stdout)
    raise AssertionError(f"{path}: {r.stdout}{r.stderr}")


def pins(lab):
    """{path below the pin directory: (kind, what bpftool shows)}"""
    need_bpftool()
    out = {}
    for top, _, names in os.walk(lab.pin):
        for n in names:
            path = os.path.join(top, n)
            out[os.path.relpath(path, lab.pin)] = kind_of(path)
    return out


OURS = ("lo", "ext", "int")  # loaded modules may add tunnels to each new namespace


def numbers(lab):
    return {lab.fw.ifindex(d): d for d in OURS}


def need_tcx(lab):
    if "attached by tcx" not in lab.pf.said():
        raise Skip("this kernel has no tcx")


def frame(pkt, dev="ext"):
    return raw(Ether(dst=MAC[dev], src="02:00:00:00:00:99") / pkt)


def send(lab, pkt, way="in", dev="ext"):
    return lab.pf.run(dev, way, frame(pkt, dev))[0]


def ip(src, dst):
    return IPv6(src=src, dst=dst) if ":" in src else IP(src=src, dst=dst)


def address(words, af):
    """An address out of struct pf_addr as BTF shows it."""
    data = struct.pack("=4I", *words["w"])
    return str(ipaddress.ip_address(data if af == 6 else data[:4]))


def port(n):
    return socket.ntohs(n)


RULES = """
    table <friends> { 192.0.2.0/25, ! 192.0.2.66, 2001:db8:1::/48 }
    set limit states 54321
    set timeout { tcp.established 7200, udp.multiple 33 }
    block in on ext from ! <friends>
    pass in on ext proto { tcp udp icmp icmp6 gre } from <friends>
    pass out on ext no state
"""


def test_types_of_every_map():
    """Every map tells its types, but for those kinds of maps that cannot have any."""
    with Lab(rules=RULES) as lab:
        lab.pf.load(RULES + "pass in on nosuch0\n", "--confirm", "60")  # two generations
        maps = {p: m for p, (kind, m) in pins(lab).items() if kind == "map"}
        without = {p for p, m in maps.items() if "btf_id" not in m}
        eq({maps[p]["type"] for p in without}, {"queue", "perf_event_array", "array_of_maps"},
           "kinds of maps without types")
        eq({p: m["type"] for p, m in maps.items()
            if m["type"] in ("queue", "perf_event_array", "array_of_maps") and p not in without},
           {})
        eq(sorted(without), ["maps/pf_events", "maps/pf_free", "maps/pf_limbo", "maps/pf_log",
                             "maps/pf_rule_stats", "maps/pf_table_nodes"])
        # all that there should be
        generations = sorted({p.split("/")[1] for p in maps if p.startswith("gen/")})
        eq(len(generations), 2)
        for g in generations:
            eq({p.split("/")[2] for p in maps if p.startswith(f"gen/{g}/")},
               {"evals", "ifaces", "ifaces_far", "infos", "jump", "model", "nats",
                "tables"})
        # the older rules may come back, and with them the contents of their table
        eq({p for p in maps if p.startswith("tables/")}, {"tables/1", "tables/2"})


def test_states_by_name():
    """Fields of a state have names; its addresses, ports, peers and rule are the packets'."""
    with Lab(hosts=2, v6=False, rules=RULES) as lab:
        cases = []
        for a, b, af in ((GHOST, GHOST_DST, 4), (GHOST6, GHOST6_DST, 6)):
            cases.append((af, 17, a, b, 1000, 53, ip(a, b) / UDP(sport=1000, dport=53) / b"abcd"))
            cases.append((af, 6, a, b, 1001, 80, ip(a, b) / TCP(sport=1001, dport=80, flags="S",
                                                               seq=77, window=1000)))
        cases.append((4, 1, GHOST, GHOST_DST, 9, 8, ip(GHOST, GHOST_DST) / ICMP(type=8, id=9)))
        slots = Slots(lab.pf)
        for af, proto, a, b, sport, dport, pkt in cases:
            eq(send(lab, pkt), -1)
            at = slots.find(a, b, sport, dport, proto).at // 256
            s = lookup(f"{lab.pin}/maps/pf_states", at)
            k = s["key"]
            eq((k["af"], k["proto"], address(k["addr"][0], af), address(k["addr"][1], af),
                port(k["port"][0]), port(k["port"][1])), (af, proto, a, b, sport, dport))
            eq((s["status"], s["dir"], s["ifindex"], s["index"]),
               (LIVE, 1, lab.fw.ifindex("ext"), at))
            eq((s["peer"][0]["packets"], s["peer"][0]["bytes"], s["peer"][1]["packets"]),
               (1, len(raw(pkt)), 0))
            if proto == 6:
                eq((TCPS[s["peer_state"][0]], s["peer"][0]["seqlo"], s["peer"][0]["max_win"]),
                   ("SYN_SENT", 77, 1000))
            # its rule's number stands in the generation's list
            infos = dump(f"{lab.pin}/gen/{os.listdir(lab.pin + '/gen')[0]}/infos")
            nr, = [i["nr"] for i in infos.values() if i["id"] == s["rule"]]
            contains(lab.pf.rules()[nr], {1: "proto icmp ", 6: "proto tcp ",
                                          17: "proto udp "}[proto])
        # and as text, from the start of the table
        p = subprocess.Popen([BPFTOOL, "map", "dump", "pinned", f"{lab.pin}/maps/pf_states"],
                             stdout=subprocess.PIPE, text=True)
        text = p.stdout.read(40000)
        p.kill()
        p.communicate()
        eq(len(re.findall(r'"status": 2,', text)), len(cases))
        contains(text, '"peer_state": [')


def test_rules_and_counters_by_name():
    """Statistics of rules add up over the CPUs to what -sr shows; counters to -si's."""
    rules = "block\npass in on ext proto udp to port 53 no state\npass out on ext proto udp\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        for n, pkt, way in ((5, ip(GHOST, GHOST_DST) / UDP(dport=53) / b"abc", "in"),
                            (3, ip(GHOST, GHOST_DST) / UDP(dport=54), "in"),
                            (1, ip(GHOST_DST, GHOST) / UDP(sport=5, dport=6) / b"x", "out")):
            for _ in range(n):
                send(lab, pkt, way)
        gen, = os.listdir(lab.pin + "/gen")
        infos = dump(f"{lab.pin}/gen/{gen}/infos")
        # behind them the default rule, and what stands for a walk that failed
        eq([i["nr"] for i in infos.values()], [0, 1, 2, 0xFFFFFFFF, 0xFFFFFFFF])

        def stats(nr):
            rule, = [i["id"] for i in infos.values() if i["nr"] == nr]
            per_cpu = lookup(f"{lab.pin}/stats/0", rule)
            out = [[sum(c[f][d] for c in per_cpu) for d in (0, 1)] for f in ("packets", "bytes")]
            return out + [sum(c["states"] for c in per_cpu), sum(c["states_gone"] for c in per_cpu)]
        eq(stats(0), [[3, 0], [84, 0], 0, 0])
        eq(stats(1), [[5, 0], [155, 0], 0, 0])
        # a live state's packets stand in the state until it ends
        eq(stats(2), [[0, 0], [0, 0], 1, 0])
        lab.pf.ctl("-F", "states")
        eq(stats(2), [[0, 1], [0, 29], 1, 1])
        eq([(n["packets"], n["bytes"]) for _, n in lab.pf.rule_numbers()],
           [(3, 84), (5, 155), (1, 29)])
        counters = {k: sum(v) for k, v in dump(f"{lab.pin}/maps/pf_counters").items()}
        info = lab.pf.info()
        eq((counters[0], info["match"]), (9, 9))
        names = ["inserts", "removals", "records", "lost records", "answers",
                 "answers not possible"]
        eq([counters[19 + i] for i in range(len(names))], [info[n] for n in names])
        eq([info["inserts"], info["removals"]], [1, 1])
        # whatever they count, evaluations are there, too, as numbers
        evals = dump(f"{lab.pin}/gen/{gen}/evals")
        eq({type(n) for cpu in evals[0] for n in cpu}, {int})


def test_config_and_tables_by_name():
    with Lab(rules=RULES) as lab:
        config = dump(f"{lab.pin}/maps/pf_config")[0]
        eq((config["state_limit"], config["enabled"], config["confirm_at"]), (54321, 1, 0))
        tick = 16 / config["hz"]
        for index, seconds in ((2, 7200), (8, 33), (0, 120)):  # PFTM_*
            between(config["timeout"][index] * tick, seconds, seconds + tick, "a timeout")
        eq(config["timeout"][16:18], [54321 * 6 // 10, 54321 * 12 // 10], "adaptive.start, .end")
        eq(config["netns"] > 0, True)
        status = dump(f"{lab.pin}/maps/pf_status")[0]
        eq(status["states"], len(lab.pf.states()))
        # tables: their names by slot, their entries below tables/
        names = dump(f"{lab.pin}/maps/pf_table_names")
        slot, = [n for n, v in names.items() if v["name"] == "friends"]
        entries = {}
        for e in dump(f"{lab.pin}/tables/{slot}").values():
            if e["af"]:
                entries[f"{address(e['addr'], e['af'])}/{e['bits']}"] = e["flags"]
        eq(entries, {"192.0.2.0/25": 0, "192.0.2.66/32": 1, "2001:db8:1::/48": 0})
        # ... and whose they are
        lab.pf.ctl("-a", "foo/bar", "-t", "friends", "-T", "add", "192.0.2.1")
        other, = [n for n, v in dump(f"{lab.pin}/maps/pf_table_names").items()
                  if v["name"] == "friends" and n != slot]
        eq(dump(f"{lab.pin}/maps/pf_table_anchors"), {other: {"path": "foo/bar"}})
        # interfaces, with the addresses that answers come from
        ifaces = dump(f"{lab.pin}/maps/pf_ifaces")
        eq(set(ifaces) >= set(numbers(lab)), True)
        ext = ifaces[lab.fw.ifindex("ext")]
        eq((address({"w": [ext["addr4"], 0, 0, 0]}, 4), address(ext["addr6"], 6)),
           (FW_SRC, FW6_SRC))


# --- cat PINDIR/states ---

def parse_state(line):
    """(proto, (address, port), direction, (address, port), levels); ports 0 if none."""
    m = re.fullmatch(r"all (\S+) (\S+) (<-|->) (\S+)       (\S+)", line)
    if not m:
        raise AssertionError(f"no state: {line!r}")
    names = {"tcp": 6, "udp": 17, "icmp": 1, "ipv6-icmp": 58, "gre": 47}
    proto = names.get(m[1]) or int(m[1])

    def host(text):
        h = re.fullmatch(r"(.*?)(?:\[(\d+)\])?", text) if text.count(":") > 1 else re.fullmatch(
            r"(.*?)(?::(\d+))?", text)
        return str(ipaddress.ip_address(h[1])), int(h[2] or 0)
    return proto, host(m[2]), m[3], host(m[4]), m[5]


def both_views(lab):
    """The states by cat and by -ss, which must be the same."""
    with open(f"{lab.pin}/states", encoding="ascii") as f:
        by_cat = sorted(parse_state(line) for line in f.read().splitlines())
    by_ctl = sorted(parse_state(line) for line in lab.pf.states())
    eq(by_cat, by_ctl, "cat, and -ss")
    return by_cat


def test_cat_states():
    """Live states as -ss has them, of all protocols, families and both directions."""
    rules = "block\npass in on ext\npass out on ext\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        eq(both_views(lab), [])
        want = []
        for a, b in ((GHOST, GHOST_DST), (GHOST6, GHOST6_DST)):
            send(lab, ip(a, b) / UDP(sport=1000, dport=53))
            want.append((17, (b, 53), "<-", (a, 1000), "NO_TRAFFIC:SINGLE"))
            send(lab, ip(b, a) / UDP(sport=7, dport=8), "out")
            want.append((17, (b, 7), "->", (a, 8), "SINGLE:NO_TRAFFIC"))
            send(lab, ip(a, b) / TCP(sport=1001, dport=80, flags="S", seq=1))
            want.append((6, (b, 80), "<-", (a, 1001), "CLOSED:SYN_SENT"))
            send(lab, ip(b, a) / TCP(sport=1002, dport=80, flags="S", seq=1), "out")
            send(lab, ip(a, b) / TCP(sport=80, dport=1002, flags="SA", seq=9, ack=2))
            send(lab, ip(b, a) / TCP(sport=1002, dport=80, flags="A", seq=2, ack=10), "out")
            want.append((6, (b, 1002), "->", (a, 80), "ESTABLISHED:ESTABLISHED"))
            send(lab, ip(a, b) / TCP(sport=1003, dport=80, flags="S", seq=1))
            send(lab, ip(b, a) / TCP(sport=80, dport=1003, flags="RA", seq=0, ack=2), "out")
            want.append((6, (b, 80), "<-", (a, 1003), "TIME_WAIT:TIME_WAIT"))
        send(lab, ip(GHOST, GHOST_DST) / ICMP(type=8, id=9))
        want.append((1, (GHOST_DST, 8), "<-", (GHOST, 9), "0:0"))
        send(lab, ip(GHOST6, GHOST6_DST) / ICMPv6EchoRequest(id=9))
        want.append((58, (GHOST6_DST, 128), "<-", (GHOST6, 9), "0:0"))
        send(lab, IP(src=GHOST, dst=GHOST_DST, proto=47) / Raw(b"12345678"))
        want.append((47, (GHOST_DST, 0), "<-", (GHOST, 0), "NO_TRAFFIC:SINGLE"))
        eq(both_views(lab), sorted(want))
        # the rest of TCP's life
        g = {"sport": 1002, "dport": 80}
        send(lab, ip(GHOST_DST, GHOST) / TCP(flags="FA", seq=2, ack=10, **g), "out")
        eq([s[4] for s in both_views(lab) if s[1] == (GHOST_DST, 1002)], ["CLOSING:ESTABLISHED"])
        send(lab, ip(GHOST, GHOST_DST) / TCP(flags="A", sport=80, dport=1002, seq=10, ack=3))
        eq([s[4] for s in both_views(lab) if s[1] == (GHOST_DST, 1002)],
           ["FIN_WAIT_2:ESTABLISHED"])
        # those that have ended are not shown, with pfd or without
        lab.pf.ctl("-k", GHOST)
        left = both_views(lab)
        eq([s for s in left if s[3][0] == GHOST and s[2] == "<-"], [])
        lab.pf.stop()
        with open(f"{lab.pin}/states", encoding="ascii") as f:
            eq(sorted(parse_state(line) for line in f.read().splitlines()), left)
        lab.pf.start()
        eq(both_views(lab), left)


def test_cat_many_states():
    """More than a page of text, each line whole and once; also of a table that grew."""
    with Lab(hosts=2, v6=False, rules="pass in on ext\n") as lab:
        fd = lab.pf.program("ext", "in")  # once, for it may cost a process
        with lab.fw:
            for i in range(500):
                pkt = frame(ip(GHOST, GHOST_DST) / UDP(sport=1000 + i, dport=53))
                eq(bpf.test_run(fd, pkt, lab.fw.ifindex("ext"))[0], -1)
        os.close(fd)
        eq(sorted(s[3][1] for s in both_views(lab)), list(range(1000, 1500)))
        before = lab.pf.map("states").max_entries
        lab.pf.load("set limit states 200000\npass in on ext\n")
        eq(lab.pf.map("states").max_entries > before, True)
        send(lab, ip(GHOST, GHOST_DST) / UDP(sport=2000, dport=53))
        eq(sorted(s[3][1] for s in both_views(lab)), list(range(1000, 1500)) + [2000])


# --- programs and where they are attached ---

def test_programs():
    """Each has its name, its types and a licence that lets it use all helpers."""
    with Lab(rules=RULES) as lab:
        gen, = os.listdir(lab.pin + "/gen")
        by_place = {}
        for path in (f"{lab.pin}/maps/pf_progs", f"{lab.pin}/maps/pf_top",
                     f"{lab.pin}/gen/{gen}/jump"):
            for key, number in dump(path).items():
                by_place[f"{os.path.basename(path)} {key}"] = number
        for p, (kind, shown) in pins(lab).items():
            if kind == "link":
                by_place[p] = shown["prog_id"]
            elif kind == "prog":
                by_place[p] = shown["id"]
        shown = {n: bpftool("prog", "show", "id", n) for n in set(by_place.values())}
        names = {place: shown[n]["name"] for place, n in by_place.items()}
        want = {"pf_progs 0": "pf_slow", "pf_progs 1": "pf_track", "pf_progs 2": "pf_icmp",
                "pf_progs 3": "pf_icmp_error", "pf_progs 4": "pf_answer", "pf_progs 5": "pf_nat",
                "pf_progs 6": "pf_nat_error", "pf_progs 7": "pf_route", "pf_top 0": "pf_rules",
                "jump 0": "pf_apply", f"gen/{gen}/rules": "pf_rules", "states": "pf_states_text"}
        if os.listdir(lab.pin + "/links"):
            for n in numbers(lab):
                want.update({f"links/{n}-in": "pf_in", f"links/{n}-out": "pf_out"})
        eq({k: v for k, v in names.items() if k in want or not k.startswith("links/")}, want)
        for p in shown.values():
            eq((p["gpl_compatible"], p["type"]),
               (True, "tracing" if p["name"] == "pf_states_text" else "sched_cls"), p["name"])
        eq({p["name"] for p in shown.values() if "btf_id" not in p}, set(), "programs without types")
        # the daemon's own are there as long as it is, and under the same licence
        own = set()
        for fd in os.listdir(f"/proc/{lab.pf.proc.pid}/fdinfo"):
            with open(f"/proc/{lab.pf.proc.pid}/fdinfo/{fd}", encoding="ascii") as f:
                m = re.search(r"^prog_id:\s*(\d+)", f.read(), re.M)
            if m:
                own.add(int(m[1]))
        shown = [bpftool("prog", "show", "id", n) for n in own]
        all_names = {p["name"]: p["gpl_compatible"] for p in shown}
        eq(all_names, dict.fromkeys(
            ["pf_in", "pf_out", "pf_in_l3", "pf_out_l3", "pf_unknown", "pf_slow", "pf_track",
             "pf_icmp", "pf_icmp_error", "pf_answer", "pf_nat", "pf_nat_error", "pf_route",
             "pf_apply", "pf_rules", "pf_insert", "pf_purge", "pf_fill", "pf_drain", "pf_sweep",
             "pf_start", "pf_clock", "pf_forget_source", "pf_forget_limited", "pf_left",
             "pf_abandon"], True))
        # two objects of clang's and what pfd loads itself say which
        with open(f"/proc/{lab.pf.proc.pid}/exe", "rb") as f:
            at_least(f.read().count(b"\0Dual BSD/GPL\0"), 3, "licences")


def test_links_tell_where_they_are():
    """Each pinned link is a tcx one, of the interface and direction that its name says."""
    with Lab(rules="block\n") as lab:
        need_tcx(lab)
        found = {}
        for name in os.listdir(lab.pin + "/links"):
            if int(name.split("-")[0]) not in numbers(lab):
                continue
            fd = bpf.obj_get(f"{lab.pin}/links/{name}")
            info = bpf.info(fd)
            os.close(fd)
            kind, _, prog = struct.unpack_from("=III", info)
            index, hook = struct.unpack_from("=II", info, 16)
            found[name] = (kind, index, hook)
            contains(bpftool("prog", "show", "id", prog)["name"],
                     "pf_in" if name.endswith("-in") else "pf_out")
        want = {}
        for n in numbers(lab):
            want[f"{n}-in"], want[f"{n}-out"] = (11, n, 46), (11, n, 47)
        eq(found, want)
        # `set skip` takes them off, and the pins with them
        lab.pf.load("set skip on int\nblock\n")
        n = lab.fw.ifindex("int")
        eq(set(os.listdir(lab.pin + "/links")) & set(want), set(want) - {f"{n}-in", f"{n}-out"})


def test_net_shows_filters():
    """Attached in the old way, `bpftool net` and `tc` show names of both directions."""
    with Lab(rules="block\n", pfd_args=("-a", "clsact")) as lab:
        need_bpftool()
        r = lab.fw.run(BPFTOOL, "-j", "net")
        found = sorted((e["devname"], e["kind"], e["name"]) for e in json.loads(r.stdout)[0]["tc"]
                       if e["devname"] in OURS)
        eq([(d, k, n.split(":")[0]) for d, k, n in found],
           sorted((d, f"clsact/{k}", n) for d in ("ext", "int", "lo")
                  for k, n in (("ingress", "pf_in"), ("egress", "pf_out"))))
        out = lab.fw.run("tc", "filter", "show", "dev", "ext", "ingress").stdout
        contains(out, "direct-action")
        contains(out, "pf_in")
        eq(os.listdir(lab.pin + "/links"), [])


def test_real_states_in_both_views():
    """Of real stacks, too."""
    with Lab(rules="block\npass in on ext\npass out\n") as lab:
        server = lab.dst.listen(8000, family=socket.AF_INET6)
        talks = []
        for addr in (DST, DST6):
            talks.append(lab.src.connect(addr, 8000))
        eq(lab.src.ping(DST), True)
        eq(lab.src.ping(DST6), True)

        def settled():
            states = both_views(lab)
            tcp = [s for s in states if s[0] == 6]
            return len(tcp) == 4 and all(s[4] == "ESTABLISHED:ESTABLISHED" for s in tcp) and states
        states = wait_for("four connections", settled)
        eq(sorted({s[0] for s in states} - {58}), [1, 6])
        eq(len([s for s in states if s[3][0] == SRC or s[1][0] == SRC]), 4)
        for s in talks + [server]:
            s.close()
