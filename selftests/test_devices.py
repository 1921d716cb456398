# SPDX-License-Identifier: BSD-2-Clause
"""Kinds of interfaces, and shapes that packets have there."""
import fcntl
import json
import os
import re
import select
import socket
import struct

from pft.check import at_least, cases, eq, Skip
from pft.devices import (AMOUNT, check_bulk, is_attached, need, nothing_odd, program_name,
                         udp_passes, wait_attached)
from pft.lab import (DST, DST6, FW6_SRC, FW_DST, FW_SRC, GHOST, GHOST6, GHOST6_DST, GHOST_DST, Lab,
                     MAC, SRC, SRC6)
from pft.netns import Netns, hears_nothing, wait_for
from pft.tun import IFF_TAP, ip, TUN, Tun, TUN6, TUN_ENDS, TUN_PEER, TUN_PEER6, TUNSETLINK
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw, raw

# --- tun: no Ethernet header ---

def test_tun_rules_and_states():
    """Both directions of a device whose packets begin with IP."""
    rules = """
        block log
        pass in on tun0 proto udp to port 53
        pass out on tun0 proto udp to port 99
        pass in on ! tun0 proto udp to port 54
    """
    with Lab(hosts=2, v6=True, rules=rules) as lab, Tun(lab) as tun:
        tun.attached()
        eq(program_name(lab, "tun0"), "pf_in_l3")
        for peer, own in TUN_ENDS:
            family = socket.AF_INET6 if ":" in own else socket.AF_INET
            with lab.fw.udp(53, family=family) as s, lab.fw.udp(54, family=family) as t:
                t.settimeout(0.05)
                for port in (54, 53):
                    tun.send(ip(peer, own) / UDP(sport=1000, dport=port) / b"question")
                data, who = s.recvfrom(100)
                eq((data, who[:2]), (b"question", (peer, 1000)))
                s.sendto(b"answer", who)
                got = tun.receive(lambda p: UDP in p)
                eq(got and bytes(got[UDP].payload), b"answer", "by the state")
                hears_nothing(t, "blocked, and yet here")
                # out
                s.sendto(b"no", (peer, 98))
                s.sendto(b"out", (peer, 99))
                got = tun.receive(lambda p: UDP in p)
                eq(got and (got[UDP].dport, bytes(got[UDP].payload)), (99, b"out"))
                tun.send(ip(peer, own) / UDP(sport=99, dport=53) / b"back")
                eq(s.recv(100), b"back")
        states = [s for s in lab.pf.states() if "udp" in s]
        eq(len(states), 4)
        blocked = ip(*TUN_ENDS[0]) / UDP(sport=1000, dport=54) / b"question"

        def logged():
            return [r for r in lab.pf.log_records() if r["packet"] == raw(blocked)]
        r, = wait_for("a record", logged)
        eq((r["dev"], r["dir"], r["rule"], r["len"]), ("tun0", "in", 0, len(raw(blocked))))


def test_tun_malformed():
    """Also there the parser says why."""
    with Lab(hosts=2, v6=False, rules="pass no state\n") as lab, Tun(lab) as tun:
        tun.attached()
        whole = raw(ip(TUN_PEER, TUN) / UDP(sport=1, dport=9) / b"12345678")
        for data, reason in ((whole[:27], "short"), (whole[:20], "short"),
                             (raw(ip(TUN_PEER, TUN) / TCP(flags="SR")), "normalize"),
                             (raw(IP(src=TUN_PEER, dst=TUN, options=b"\1\1\1\0") /
                                  UDP(dport=9)), "ip-option")):
            before = lab.pf.info()
            os.write(tun.fd, data)
            eq(lab.pf.info()[reason] - before[reason], 1, reason)


def test_tun_fragments():
    """IPv4 fragments are fragments there, too: the first is judged by ports, all by `fragment'."""
    def pieces(**kw):
        data = raw(ip(TUN_PEER, TUN) / UDP(sport=1000, dport=53) / bytes(range(56)))[20:]
        return [IP(src=TUN_PEER, dst=TUN, proto=17, flags="MF", id=7, **kw) / Raw(data[:32]),
                IP(src=TUN_PEER, dst=TUN, proto=17, frag=4, id=7, **kw) / Raw(data[32:])]
    with Lab(hosts=2, v6=False, rules="pass no state\n") as lab, Tun(lab) as tun:
        tun.attached()
        pass_in, block_in = "pass in on tun0 no state\n", "block in on tun0\n"
        for rules, want in ((pass_in, [2]), (pass_in + "block in on tun0 fragment\n", [0, 2]),
                            (block_in + "pass in on tun0 proto udp to port 53 no state\n",
                             [1, 1])):
            lab.pf.load(rules)
            for p in pieces():
                tun.send(p)
            eq([n["packets"] for _, n in lab.pf.rule_numbers()], want, rules)
        eq([lab.pf.info()[n] for n in ("short", "fragment")], [0, 0])
        p = pieces()[1]
        p.flags = "DF"
        tun.send(p)
        eq(lab.pf.info()["fragment"], 1, "one that must not be one")
        # and for real: two that the stack puts together, and two that it sends
        lab.pf.load("pass no state\n")
        with lab.fw.udp(53) as s:
            for p in pieces():
                tun.send(p)
            data, who = s.recvfrom(100)
            eq(data, bytes(range(56)))
            s.sendto(bytes(2000), who)
            got = [tun.receive(lambda p: p.version == 4 and p.proto == 17) for _ in range(2)]
            eq([bool(p) and p.frag for p in got], [0, 185])


def test_tun_return():
    """Answers have no Ethernet header either: in, out, and from a real stack."""
    with Lab(hosts=2, v6=True, rules="block return in on tun0\n") as lab, Tun(lab) as tun:
        tun.attached()
        for peer, own in TUN_ENDS:
            v6 = ":" in own
            syn = ip(peer, own) / TCP(sport=1000, dport=80, flags="S", seq=100)
            tun.send(syn)
            got = tun.receive(lambda p: TCP in p)
            assert got, "no reset"
            want = ip(own, peer) / TCP(sport=80, dport=1000, flags="RA", seq=0, ack=101, window=0)
            if not v6:
                want.id, want.flags, want.tos = got.id, "DF", got.tos
            eq(raw(got).hex(), raw(want).hex())
            ask = ip(peer, own) / UDP(sport=1000, dport=53) / b"question"
            tun.send(ask)
            got = tun.receive(lambda p: ICMP in p or ICMPv6DestUnreach in p)
            assert got, "no unreachable"
            quote = raw(got)[48 if v6 else 28:]
            eq(quote, raw(ask)[:len(quote)])
            want = ip(own, peer) / (ICMPv6DestUnreach(code=4) if v6 else ICMP(type=3, code=3))
            want /= Raw(quote)
            if not v6:
                want.id, want.flags, want.tos = got.id, got.flags, got.tos
            eq(raw(got).hex(), raw(want).hex())
        # what the firewall sends
        lab.pf.load("block return out on tun0\n")
        for peer, own in TUN_ENDS:
            eq(lab.fw.can_connect(peer, 80, 3), "refused", peer)
            eq(lab.fw.can_ask(peer, 53), "refused", peer)
        eq((lab.pf.info()["answers"], lab.pf.info()["answers not possible"]), (8, 0))


def test_tun_forwarding():
    """From Ethernet to tun and back: two states, and an answer that crosses over."""
    rules = "block\npass in on ext proto udp\npass out on tun0 proto udp to port 53\n"
    with Lab(hosts=2, v6=True, rules=rules) as lab, Tun(lab) as tun:
        lab.fw.sysctl("net/ipv4/ip_forward", 1)
        lab.fw.sysctl("net/ipv6/conf/all/forwarding", 1)
        tun.attached()
        for own, peer in ((SRC, TUN_PEER), (SRC6, TUN_PEER6)):
            with lab.src.udp(family=socket.AF_INET6 if ":" in own else socket.AF_INET) as s:
                s.sendto(b"question", (peer, 53))
                got = tun.receive(lambda p: UDP in p and p[UDP].dport == 53)
                assert got, "nothing on the tun"
                eq((got.src, bytes(got[UDP].payload)), (own, b"question"))
                tun.send(ip(peer, own) / UDP(sport=53, dport=got[UDP].sport) / b"answer")
                eq(s.recv(100), b"answer")
        eq(len([s for s in lab.pf.states() if "udp" in s]), 4)
        lab.pf.load("pass in on ext no state\npass out on ext no state\nblock return out on tun0\n")
        lab.pf.ctl("-F", "states")
        for peer in (TUN_PEER, TUN_PEER6):
            eq(lab.src.can_connect(peer, 80, 3), "refused", "blocked on its way out of the tun")


def test_tun_to_ethernet():
    """Blocked on its way out of an Ethernet device, it is answered through the tun."""
    with Lab(rules="block return out on int\n") as lab, Tun(lab) as tun:
        tun.attached()
        for peer, own, far in ((TUN_PEER, TUN, DST), (TUN_PEER6, TUN6, DST6)):
            tun.send(ip(peer, far) / TCP(sport=1000, dport=80, flags="S", seq=7))
            got = tun.receive(lambda p: TCP in p)
            eq(got and (got.src, str(got[TCP].flags), got[TCP].ack), (far, "RA", 8))
            ask = ip(peer, far) / UDP(sport=1000, dport=53) / b"question"
            tun.send(ask)
            got = tun.receive(lambda p: ICMP in p or ICMPv6DestUnreach in p)
            assert got, "no unreachable"
            eq(got.src in (own, far), True, f"source {got.src}")
            again = type(got)(raw(got))
            if ":" in own:
                del again[ICMPv6DestUnreach].cksum
            else:
                del again[ICMP].chksum, again.chksum
            eq(raw(again).hex(), raw(got).hex(), "checksums")
        eq((lab.pf.info()["answers"], lab.pf.info()["answers not possible"]), (4, 0))


def test_tap():
    """The other kind of it has an Ethernet header."""
    rules = "block\npass in on tap0 proto udp to port 53\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab, Tun(lab, "tap0", IFF_TAP, up=False) as tap:
        lab.fw.batch([f"addr add {TUN}/24 dev tap0", "link set tap0 address 02:00:00:00:00:77",
                      "link set tap0 up",
                      f"neigh add {TUN_PEER} lladdr 02:00:00:00:00:78 dev tap0 nud permanent"])
        wait_attached(lab, "tap0")
        with lab.fw.udp(53) as s, lab.fw.udp(54) as t:
            t.settimeout(0.05)
            head = Ether(dst="02:00:00:00:00:77", src="02:00:00:00:00:78")
            for port in (54, 53):
                tap.send(head / ip(TUN_PEER, TUN) / UDP(sport=1000, dport=port) / b"question")
            data, who = s.recvfrom(100)
            eq(data, b"question")
            s.sendto(b"answer", who)
            hears_nothing(t, "blocked, and yet here")
        frames = []

        def answer():
            while select.select([tap.fd], [], [], 0)[0]:
                frames.append(os.read(tap.fd, 65536))
            return [f for f in frames if f[12:14] == b"\x08\0" and f.endswith(b"answer")]
        f, = wait_for("the answer", answer)
        eq(f[:12].hex(), "020000000078020000000077")


def test_unknown_link_type():
    """Where IP cannot be found it is dropped, with a warning; `set skip' lets it pass."""
    with Lab(hosts=2, v6=False, rules="pass no state\n") as lab:
        with Tun(lab, "odd0", link=801) as tun:  # ARPHRD_IEEE80211
            wait_for("the warning", lambda: "odd0: link type 801 is not known" in lab.pf.said())
            wait_attached(lab, "odd0")
            with lab.fw.udp(53) as s:
                s.settimeout(0.05)
                before = lab.pf.info()["dropped: link type"]
                tun.send(ip(TUN_PEER, TUN) / UDP(sport=1000, dport=53) / b"question")
                eq(lab.pf.info()["dropped: link type"] - before, 1, "in")
                s.sendto(b"x", (TUN_PEER, 9))
                eq(lab.pf.info()["dropped: link type"] - before, 2, "out")
                hears_nothing(s, "it came through")
                lab.pf.load("set skip on odd0\npass no state\n")
                s.settimeout(2)
                tun.send(ip(TUN_PEER, TUN) / UDP(sport=1000, dport=53) / b"question")
                eq(s.recv(100), b"question", "skipped")


def test_link_types():
    """Which program a device gets by its ARPHRD_ number: none has a header that we guess at."""
    want = {65534: "pf_in_l3", 512: "pf_in_l3", 768: "pf_in_l3", 769: "pf_in_l3", 776: "pf_in_l3",
            778: "pf_in_l3", 519: "pf_in_l3", 823: "pf_in_l3", 1: "pf_in", 24: "pf_unknown",
            32: "pf_unknown", 801: "pf_unknown", 65535: "pf_unknown"}
    with Lab(hosts=2, v6=False, rules="block\n") as lab, Tun(lab, up=False) as tun:
        wait_attached(lab, "tun0")
        for kind, name in want.items():
            fcntl.ioctl(tun.fd, TUNSETLINK, kind)
            wait_for(f"{name} for {kind}", lambda: program_name(lab, "tun0") == name)


def test_index_given_to_another_kind():
    """The number of an Ethernet device comes back as a tun's: the program fits it, too."""
    with Lab(hosts=2, v6=False, rules="block\npass in on again0 proto udp to port 53\n") as lab:
        for index in (777, 777, 70000):
            lab.fw.batch([f"link add again0 index {index} type veth peer name x netns "
                          f"{lab.src.name}", "addr add 203.0.113.65/26 dev again0",
                          "link set again0 up"])
            lab.src.batch(["addr add 203.0.113.66/26 dev x", "link set x up"])
            wait_attached(lab, "again0")
            # the new link may need a moment before it carries anything
            wait_for("an answer", lambda: udp_passes(lab.fw, lab.src, "203.0.113.65", 53) == "both")
            eq(udp_passes(lab.fw, lab.src, "203.0.113.65", 54), "no", "veth")
            lab.fw.ip("link", "del", "again0")
            with Tun(lab, "again0", index=index) as tun:
                tun.attached()
                with lab.fw.udp(53) as s, lab.fw.udp(54) as t:
                    s.settimeout(2)
                    t.settimeout(0.05)
                    for port in (54, 53):
                        tun.send(ip(TUN_PEER, TUN) / UDP(sport=1000, dport=port) / b"x")
                    eq(s.recv(100), b"x", "tun")
                    hears_nothing(t, "blocked, and yet here")
            wait_for("its end", lambda: not os.path.exists(f"{lab.pin}/links/{index}-in"))


# --- VLANs ---

def test_vlan_device():
    """Rules name the VLAN's device; the parent sees tagged frames, too."""
    need("vlan", "link", "v0")
    with Lab(hosts=2, v6=False, rules="set skip on ext\nblock\n") as lab:
        for ns, dev, addr in ((lab.src, "src", "203.0.113.2"), (lab.fw, "ext", "203.0.113.1")):
            ns.batch([f"link add link {dev} name {dev}.5 type vlan id 5",
                      f"addr add {addr}/24 dev {dev}.5", f"link set {dev}.5 up"])
        wait_attached(lab, "ext.5")
        eq(lab.src.ping("203.0.113.1"), False)
        lab.pf.load("set skip on ext\nblock\npass in on ext.5 proto udp to port 53\n")
        eq(udp_passes(lab.fw, lab.src, "203.0.113.1", 53), "both")
        eq(udp_passes(lab.fw, lab.src, "203.0.113.1", 54), "no")
        lab.pf.load("block return in on ext.5\npass out\n")
        eq(lab.src.can_connect("203.0.113.1", 80), "refused")
        lab.pf.load("pass on ext\nblock return out on ext.5\n")
        eq(lab.fw.can_connect("203.0.113.2", 80), "refused")
        lab.pf.load("pass\nblock in on ext\n")
        eq(lab.src.ping("203.0.113.1"), False, "on the parent")


@cases(("in", "src", "ext"), ("out", "ext", "src"))
def test_vlan_tags_on_the_parent(way, near, far):
    """Tags in the packet hide nothing: each frame is judged once by what it carries."""
    rules = f"""
        block
        block {way} on ext proto udp to port 1
        block {way} on ext proto tcp to port 80
        block {way} on ext inet6 proto udp
    """
    def tags(*values):
        return b"".join(struct.pack("!HH", *v) for v in values)
    q, s = (0x8100, 5), (0x88A8, 7)
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        wire = lab.wire(near)
        head = bytes.fromhex((MAC[far] + MAC[near]).replace(":", ""))
        rounds = [("none", tags()), ("one", tags(q)), ("priority", tags((0x8100, 0xE000))),
                  ("two of a kind", tags(q, q)), ("QinQ", tags(s, q)), ("service", tags(s)),
                  ("the other way round", tags(q, s))]
        for i, (what, t) in enumerate(rounds, 1):
            for pkt in (IP(src=GHOST, dst=GHOST_DST) / UDP(dport=1),
                        IP(src=GHOST, dst=GHOST_DST) / TCP(dport=80, flags="S"),
                        IPv6(src=GHOST6, dst=GHOST6_DST) / UDP(dport=2)):
                kind = b"\x86\xdd" if IPv6 in pkt else b"\x08\0"
                try:
                    wire.send(head + t + kind + raw(pkt))
                except OSError:  # a local sender is told that it was dropped
                    eq(way, "out")
            eq([n["packets"] for _, n in lab.pf.rule_numbers()], [0, i, i, i], what)
        eq(lab.pf.info()["dropped: vlan depth"], 0)
        # three and more: dropped, or judged after the kernel has taken one off; never more
        udp = b"\x08\0" + raw(IP(src=GHOST, dst=GHOST_DST) / UDP(dport=1))
        for n in (3, 4, 5):
            before = lab.pf.info()
            try:
                wire.send(head + tags(*[q] * n) + udp)
            except OSError:
                eq(way, "out")
            after = lab.pf.info()
            moved = [after[k] - before[k] for k in ("match", "dropped: vlan depth")]
            eq(sum(moved), 1, f"{n} tags: {moved}")
            if n > 3:
                eq(moved, [0, 1], f"{n} tags")


# --- loopback ---

def test_loopback():
    """States, resets and super-packets of more than 64 KB on lo."""
    rules = "block\npass on lo proto tcp to port 8000\n"
    with Lab(hosts=2, v6=True, rules=rules) as lab:
        for addr in ("127.0.0.1", "::1"):
            check_bulk(lab, lab.fw, lab.fw, addr, 8_000_000)
            eq(lab.fw.can_connect(addr, 8001, 0.1), "timeout")
        # own addresses go by lo, too
        check_bulk(lab, lab.fw, lab.fw, FW_SRC)


# --- bridges ---

BRIDGE, ON_SRC, ON_DST = "203.0.113.1", "203.0.113.2", "203.0.113.3"
BRIDGE6, ON_SRC6, ON_DST6 = "2001:db8:3::1", "2001:db8:3::2", "2001:db8:3::3"


def bridge(lab, own=True):
    """ext and int become ports of br0; src and dst are neighbours then."""
    lab.fw.batch(["addr flush dev ext", "addr flush dev int",
                  "link add br0 type bridge forward_delay 0", "link set ext master br0",
                  "link set int master br0", "link set br0 up"])
    if own:
        lab.fw.batch([f"addr add {BRIDGE}/24 dev br0", f"addr add {BRIDGE6}/64 dev br0 nodad"])
    for ns, dev, addr, addr6 in ((lab.src, "src", ON_SRC, ON_SRC6),
                                 (lab.dst, "dst", ON_DST, ON_DST6)):
        ns.batch([f"addr add {addr}/24 dev {dev}", f"addr add {addr6}/64 dev {dev} nodad"])
    # neighbour discovery is not what is tested
    br = json.loads(lab.fw.ip("-j", "link", "show", "br0"))[0]["address"]
    on_src, on_dst, on_br = ([(a, mac) for a in pair] for pair, mac in (
        ((ON_SRC, ON_SRC6), MAC["src"]), ((ON_DST, ON_DST6), MAC["dst"]),
        ((BRIDGE, BRIDGE6) if own else (), br)))
    for ns, dev, known in ((lab.src, "src", on_dst + on_br), (lab.dst, "dst", on_src + on_br),
                           (lab.fw, "br0", on_src + on_dst if own else [])):
        ns.batch([f"neigh replace {a} lladdr {m} dev {dev} nud permanent" for a, m in known])
    wait_attached(lab, "br0")

    def told():
        """Both are ports that we filter, and have no address."""
        values = [lab.pf.map("ifaces").get(struct.pack("=I", lab.fw.ifindex(d)))
                  for d in ("ext", "int")]
        return all(v == struct.pack("=I", 3) + bytes(36) for v in values)
    wait_for("the ports to be known as such", told)


def test_bridged_traffic():
    """Between two ports: in on one, out on the other, with states; no address is needed."""
    need("bridge")
    rules = "block\npass in on ext proto { tcp udp } to port 8000\n" \
            "pass out on int proto { tcp udp }\n"
    with Lab(rules="pass\n") as lab:
        bridge(lab, own=False)
        eq(lab.src.ping(ON_DST), True)
        eq(lab.src.ping(ON_DST6), True)
        lab.pf.load(rules)
        lab.pf.ctl("-F", "states")
        for addr in (ON_DST, ON_DST6):
            eq(udp_passes(lab.dst, lab.src, addr, 8000), "both")
            eq(udp_passes(lab.dst, lab.src, addr, 8001), "no")
            eq(lab.src.ping(addr, 0.1), False)
            check_bulk(lab, lab.dst, lab.src, addr)
        for addr in (ON_SRC, ON_SRC6):
            eq(udp_passes(lab.src, lab.dst, addr, 8000), "no", "the other direction")
        eq(len([s for s in lab.pf.states() if " tcp " in s]), 4, "in on ext, out on int, each")
        # the bridge itself has nothing to do with it
        lab.pf.load("block on br0\npass on { ext int }\n")
        eq(lab.src.ping(ON_DST), True)
        lab.pf.load("block out on int\n")
        lab.pf.ctl("-F", "states")
        eq(lab.src.ping(ON_DST, 0.1), False, "out on int")
        lab.pf.load("block in on ext\n")
        eq(lab.src.ping(ON_DST, 0.1), False, "in on ext")
        lab.pf.load("set skip on { ext int }\nblock\n")
        eq(lab.src.ping(ON_DST), True, "skipped")


def test_bridge_answers():
    """A port without an address answers all the same, in the name of the destination."""
    need("bridge")
    with Lab(rules="pass\n") as lab:
        bridge(lab, own=False)
        wire = lab.wire("src")
        for rules in ("block return in on ext\n", "block return out on int\n"):
            lab.pf.load(rules)
            for addr in (ON_DST, ON_DST6):
                eq(lab.src.can_connect(addr, 80, 3), "refused", f"{rules} {addr}")
                wire.drain()
                eq(lab.src.can_ask(addr, 53), "refused", f"{rules} {addr}")
                got = wire.receive(lambda p: ICMP in p or ICMPv6DestUnreach in p)
                eq(got and got.src, addr, rules)
        eq(lab.pf.info()["answers not possible"], 0)


def test_traffic_of_the_bridge():
    """To the bridge's own address: in on the port, in on the bridge; one state for both."""
    need("bridge")
    with Lab(rules="pass\n") as lab:
        bridge(lab)
        lab.pf.load("pass no state\nblock in on br0 proto tcp\n")
        lab.pf.ctl("-F", "states")
        for addr in (BRIDGE, BRIDGE6):
            with lab.fw.listen(80, family=socket.AF_INET6):
                eq(lab.src.can_connect(addr, 80, 0.1), "timeout", "on br0")
        with lab.dst.listen(80):
            eq(lab.src.can_connect(ON_DST, 80), "yes", "bridged, not on br0")
        for rules in ("block\npass in on { ext br0 } proto tcp\n",
                      "block\npass in on ext proto tcp\n",
                      "set skip on { ext int }\nblock\npass in on br0 proto tcp\n",
                      "set skip on br0\nblock\npass in on ext proto tcp\n"):
            lab.pf.ctl("-F", "states")
            lab.pf.load(rules)
            for addr in (BRIDGE, BRIDGE6):
                check_bulk(lab, lab.fw, lab.src, addr, 1_000_000)
            eq(lab.fw.ping(ON_SRC, 0.1), False, rules)
            eq(len(lab.pf.states()), 2, rules)
        lab.pf.ctl("-F", "states")
        lab.pf.load("block\npass out on { ext br0 } proto tcp\n")
        for addr in (ON_SRC, ON_SRC6):
            check_bulk(lab, lab.src, lab.fw, addr, 1_000_000)
        lab.pf.load("block return on br0\npass on { ext int }\n")
        lab.pf.ctl("-F", "states")
        eq(lab.fw.can_connect(ON_SRC, 80, 3), "refused", "out on br0")
        eq(lab.src.can_connect(BRIDGE, 80, 3), "refused", "in on br0")


def test_port_that_leaves_its_bridge():
    """It is an interface like any other again: what is not for it is not judged."""
    need("bridge")
    with Lab(v6=False, rules=f"pass no state\nblock in on ext from {GHOST}\n") as lab:
        lab.fw.batch(["link add br0 type bridge", "link set int master br0", "link set br0 up"])
        src = lab.wire("src")
        other = raw(Ether(dst="02:00:00:00:00:55", src=MAC["src"]) / IP(src=GHOST, dst=DST) /
                    UDP(sport=1, dport=2))

        def judged():
            before = lab.pf.rule_numbers()[1][1]["packets"]
            src.send(other)
            return lab.pf.rule_numbers()[1][1]["packets"] - before
        lab.fw.ip("link", "set", "ext", "promisc", "on")
        eq(judged(), 0, "for another station")
        lab.fw.ip("link", "set", "ext", "master", "br0")
        wait_for("ext to be a port", judged)
        lab.fw.ip("link", "set", "ext", "nomaster")
        wait_for("ext to be none", lambda: not judged())


# --- devices on top of others ---

def test_macvlan():
    """Judged on itself; below it, in, its frames are another station's, out, they are seen."""
    need("macvlan", "link", "v0")
    with Lab(hosts=2, rules="block\npass on mv0 proto tcp to port 8000\n"
                            "pass out on ext proto tcp\n") as lab:
        lab.fw.batch(["link add mv0 link ext address 02:00:00:00:00:66 type macvlan mode bridge",
                      "addr add 203.0.113.1/24 dev mv0", "addr add 2001:db8:3::1/64 dev mv0 nodad",
                      "link set mv0 up",
                      f"neigh add 203.0.113.2 lladdr {MAC['src']} dev mv0 nud permanent",
                      f"neigh add 2001:db8:3::2 lladdr {MAC['src']} dev mv0 nud permanent"])
        lab.src.batch(["addr add 203.0.113.2/24 dev src",
                       "addr add 2001:db8:3::2/64 dev src nodad"] +
                      [f"neigh add {a} lladdr 02:00:00:00:00:66 dev src nud permanent"
                       for a in ("203.0.113.1", "2001:db8:3::1")])
        wait_attached(lab, "mv0")
        for own, far in (("203.0.113.1", "203.0.113.2"), ("2001:db8:3::1", "2001:db8:3::2")):
            check_bulk(lab, lab.fw, lab.src, own)
            eq(lab.src.can_connect(own, 8001, 0.1), "timeout")
            check_bulk(lab, lab.src, lab.fw, far, 1_000_000)
            eq(lab.fw.can_connect(far, 8001, 0.1), "timeout")
        lab.pf.load("block return in on mv0\nblock return out on mv0\npass on ext\n")
        for own, far in (("203.0.113.1", "203.0.113.2"), ("2001:db8:3::1", "2001:db8:3::2")):
            eq(lab.src.can_connect(own, 80, 3), "refused")
            eq(lab.fw.can_connect(far, 80, 3), "refused")


def tunnel(lab, kind, *args):
    """t0 in src and fw, between their addresses; inner addresses 203.0.113.2 and .1."""
    for ns, local, remote, inner in ((lab.src, SRC, FW_SRC, "203.0.113.2"),
                                     (lab.fw, FW_SRC, SRC, "203.0.113.1")):
        ns.batch([f"link add t0 type {kind} local {local} remote {remote} {' '.join(args)}"])
        if kind == "sit":
            ns.batch([f"addr add {inner.replace('203.0.113.', '2001:db8:3::')}/64 dev t0 nodad"])
        else:
            ns.batch([f"addr add {inner}/24 dev t0"])
        ns.batch(["link set t0 up"])
    wait_attached(lab, "t0")


@cases(("vxlan", "udp to port 4789", ("id", "5", "dstport", "4789")), ("ipip", "ipencap", ()),
       ("gre", "gre", ()), ("sit", "ipv6", ()))
def test_tunnels(kind, outer, args):
    """The outside is judged on ext, the inside on the tunnel; bulk data passes both."""
    need(kind)
    proto = outer if kind in ("gre", "vxlan") else {"ipip": "4", "sit": "41"}[kind]
    rules = f"""
        block
        pass in on ext inet proto {proto}
        pass out on ext inet proto {proto}
        pass in on t0 proto tcp to port 8000
        pass on t0 inet6 proto icmp6
    """
    with Lab(hosts=2, v6=kind == "sit", rules=rules) as lab:
        tunnel(lab, kind, *args)
        addr = "2001:db8:3::1" if kind == "sit" else "203.0.113.1"
        check_bulk(lab, lab.fw, lab.src, addr)
        eq(lab.src.can_connect(addr, 8001, 0.1), "timeout", "inside")
        lab.pf.load(rules + "block return in on t0 proto tcp\n")
        eq(lab.src.can_connect(addr, 8002, 3), "refused", "inside")
        lab.pf.load("block\npass on t0\n")
        lab.pf.ctl("-F", "states")
        eq(lab.src.can_connect(addr, 8001, 0.1), "timeout", "outside")


def test_bond():
    """Its ports carry its packets: they are judged once, on the bond."""
    need("bond")
    with Lab(hosts=2, v6=False, rules="block\npass in on bond0 proto icmp no state\n"
                                      "pass out on bond0 no state\n") as lab:
        lab.fw.batch(["link add bond0 type bond mode active-backup miimon 50",
                      "addr flush dev ext", "link set ext down", "link set ext master bond0",
                      "link set bond0 up", f"addr add {FW_SRC}/24 dev bond0",
                      f"neigh add {SRC} lladdr {MAC['src']} dev bond0 nud permanent"])
        wait_attached(lab, "bond0")
        wait_for("the port's to go", lambda: not is_attached(lab, "ext"))
        wait_for("an answer", lambda: lab.src.ping(FW_SRC))
        before = [r["packets"] for _, r in lab.pf.rule_numbers()]
        eq(lab.src.ping(FW_SRC), True)
        eq([r["packets"] for _, r in lab.pf.rule_numbers()],
           [before[0], before[1] + 1, before[2] + 1])


# --- names ---

def test_names_are_exchanged():
    """Rules go by the name an interface has now; so does the log."""
    rules = "block log\npass in on ext proto icmp no state\npass out no state\n"
    with Lab(v6=False, rules=rules) as lab:
        eq((lab.src.ping(FW_SRC), lab.dst.ping(FW_DST, 0.1)), (True, False))
        before = lab.pf.info()["attached interfaces"]
        lab.fw.batch(["link set ext down", "link set int down", "link set ext name tmp0",
                      "link set int name ext", "link set tmp0 name int", "link set ext up",
                      "link set int up",
                      f"neigh replace {SRC} lladdr {MAC['src']} dev int nud permanent",
                      f"neigh replace {DST} lladdr {MAC['dst']} dev ext nud permanent"])
        wait_for("the rules to follow", lambda: lab.dst.ping(FW_DST, 0.1))
        eq(lab.src.ping(FW_SRC, 0.1), False)

        def blocked():
            return {(r["dev"], socket.inet_ntoa(r["packet"][12:16])) for r in
                    lab.pf.log_records()} >= {("int", DST), ("int", SRC)}
        wait_for("records of both", blocked)
        eq(lab.pf.info()["attached interfaces"], before, "interfaces")


def test_moved_to_another_namespace_and_back():
    """It is gone, and when it comes again it is filtered again, before it is up."""
    with Lab(hosts=2, v6=False, rules="block\n") as lab:
        interfaces = lab.pf.info()["attached interfaces"]
        other = Netns(f"{lab.id}.other")
        try:
            lab.fw.ip("link", "set", "ext", "netns", other.name)
            wait_for("its end", lambda: lab.pf.info()["attached interfaces"] == interfaces - 1)
            other.batch([f"addr add {FW_SRC}/24 dev ext", "link set ext up",
                         f"neigh replace {SRC} lladdr {MAC['src']} dev ext nud permanent"])
            eq(lab.src.ping(FW_SRC), True, "elsewhere nobody filters it")
            other.ip("link", "set", "ext", "netns", lab.fw.name)
        finally:
            other.delete()
        wait_attached(lab, "ext")
        lab.fw.batch([f"addr add {FW_SRC}/24 dev ext", "link set ext up",
                      f"neigh replace {SRC} lladdr {MAC['src']} dev ext nud permanent"])
        eq(lab.src.ping(FW_SRC, 0.1), False)
        lab.pf.load("pass in on ext\n")
        eq(lab.src.ping(FW_SRC), True)


# --- shapes of packets ---

def passes_both(lab, amount=AMOUNT):
    """Stateful bulk data of both families through the firewall."""
    for addr in (DST, DST6):
        check_bulk(lab, lab.dst, lab.src, addr, amount)


STATEFUL = "block\npass in on ext proto tcp to port 8000\npass out on int proto tcp\n"


def offload(ns, dev, *features):
    ns.run("ethtool", "-K", dev, *features)


@cases(("all_on", (), ()), ("none", ("tso", "off", "gso", "off", "tx", "off", "sg", "off"),
                            ("gro", "off")),
       ("checksums_only", ("tso", "off", "gso", "off"), ()),
       ("gro_in_the_firewall", ("tso", "off", "gso", "off"), ("gro", "on")))
def test_offloads(_name, ends, middle):
    """Segments, super-segments, checksums left open or not, and put together on the way."""
    with Lab(rules=STATEFUL) as lab:
        for ns, dev in ((lab.src, "src"), (lab.dst, "dst")):
            if ends:
                offload(ns, dev, *ends)
        for dev in ("ext", "int"):
            if middle:
                offload(lab.fw, dev, *middle)
        passes_both(lab)


def test_super_packets_of_more_than_64k():
    """BIG TCP: no length fits into the header, and IPv6 gets a jumbo option.

    Not forwarded: there the kernel itself loses those of IPv6.
    """
    with Lab(hosts=2, rules=STATEFUL) as lab:
        for ns, dev in ((lab.src, "src"), (lab.fw, "ext")):
            try:
                ns.ip("link", "set", dev, "gso_max_size", "150000", "gro_max_size", "150000")
            except RuntimeError as e:
                raise Skip(f"no BIG TCP: {str(e).splitlines()[0]}") from None
            big_ipv4(ns, dev, 150000)
        for addr in (FW_SRC, FW6_SRC):
            check_bulk(lab, lab.fw, lab.src, addr, 12_000_000)
        text = lab.pf.ctl("-ss", "-v").stdout
        # were they cut up before us, each packet would hold 1500 bytes at the most
        sizes = [int(b) / int(p) for p, b in re.findall(r"(\d+):\d+ pkts, (\d+):\d+ bytes", text)]
        at_least(max(sizes), 3000, "bytes a packet")


def big_ipv4(ns, dev, size):
    """IFLA_GSO_IPV4_MAX_SIZE and IFLA_GRO_IPV4_MAX_SIZE, which ip(8) of 6.1 does not know."""
    with ns.sock(socket.AF_NETLINK, socket.SOCK_RAW, 0) as s:
        attrs = b"".join(struct.pack("=HHI", 8, kind, size) for kind in (63, 64))
        body = struct.pack("=BxHiII", 0, 0, ns.ifindex(dev), 0, 0) + attrs
        s.send(struct.pack("=IHHII", 16 + len(body), 16, 5, 1, 0) + body)
        error, = struct.unpack_from("=i", s.recv(4096), 16)
        if error:
            raise Skip(f"no BIG TCP for IPv4: {os.strerror(-error)}")


def test_jumbo_frames():
    """9000 bytes, from stacks and from scripts: headers may lie in another page."""
    rules = "block\npass in on ext proto { tcp udp } to port 8000\npass out on int\n"
    with Lab(rules=rules) as lab:
        for ns, dev in ((lab.src, "src"), (lab.fw, "ext"), (lab.fw, "int"), (lab.dst, "dst")):
            ns.ip("link", "set", dev, "mtu", "9000")
        offload(lab.src, "src", "tso", "off", "gso", "off")
        passes_both(lab)
        src, dst = lab.wire("src"), lab.wire("dst")
        for a, b in ((GHOST, GHOST_DST), (GHOST6, GHOST6_DST)):
            data = os.urandom(8900)
            for port in (8001, 8000, 8000):
                src.send(ip(a, b) / UDP(sport=1000, dport=port) / data)
            for _ in range(2):
                got = dst.receive(lambda p: UDP in p)
                eq(got and (got[UDP].dport, bytes(got[UDP].payload)), (8000, data))
            dst.send(ip(b, a) / UDP(sport=8000, dport=1000) / data)
            got = src.receive(lambda p: UDP in p)
            eq(got and bytes(got[UDP].payload), data, "by the state")
        lab.pf.load("block return\n")
        for a, b in ((GHOST, GHOST_DST), (GHOST6, GHOST6_DST)):
            src.send(ip(a, b) / TCP(sport=1000, dport=80, flags="A", seq=5, ack=6) / bytes(8900))
            got = src.receive(lambda p: TCP in p)
            eq(got and (str(got[TCP].flags), got[TCP].seq, got[TCP].ack), ("RA", 6, 8905))
            src.send(ip(a, b) / UDP(sport=1000, dport=81) / bytes(8900))
            got = src.receive(lambda p: ICMP in p or ICMPv6DestUnreach in p)
            eq(bool(got), True, "an unreachable")
        nothing_odd(lab)


def test_udp_super_packets():
    """UDP_SEGMENT: one skb of many datagrams is judged once, and all of them arrive."""
    rules = "block\npass in on ext proto udp to port 53\npass out on int proto udp\n"
    with Lab(rules=rules) as lab:
        for addr, family in ((DST, socket.AF_INET), (DST6, socket.AF_INET6)):
            with lab.dst.udp(53, family=family) as s, lab.src.udp(family=family) as c:
                c.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT
                data = [bytes([i]) * 1000 for i in range(20)] + [b"the rest"]
                for _ in range(2):
                    c.sendto(b"".join(data), (addr, 53))
                    eq([s.recv(65536) for _ in data], data)
                c.settimeout(0.05)
                c.sendto(b"".join(data), (addr, 54))
        nothing_odd(lab)
        eq(len([s for s in lab.pf.states() if " udp " in s]), 4)
