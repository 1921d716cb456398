# SPDX-License-Identifier: BSD-2-Clause
"""route-to and reply-to: packets by the way that rules say, with two ways to one host."""
import hashlib
import json
import os
import signal
import socket
import struct
import threading
import time

from pft.check import absent, at_least, cases, contains, eq, matches, timeout
from pft.inject import ip
from pft.lab import DST, DST6, FW_DST, FW_SRC, FW6_SRC, GHOST, GHOST6, SRC, SRC6, Lab
from pft.netns import wait_for
from pft.ways import ALT, ALT6, BOTH, FAR, FAR6, GATE, GATE6, Ways
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6)
from scapy.packet import Raw

ALL = cases(*((f"{name}, {emitter}", emitter, *rest) for name, *rest in BOTH
              for emitter in ("linear", "tree")))
FAMILIES = cases(*BOTH)


def af(addr):
    return "inet6" if ":" in addr else "inet"


def answers(ns, addr, port=7):
    """Echoes datagrams, and streams, at addr."""
    family = socket.AF_INET6 if ":" in addr else socket.AF_INET
    udp = ns.udp(port, addr, family)
    udp.settimeout(None)
    tcp = ns.listen(port, addr, family)

    def datagrams():
        while True:
            data, who = udp.recvfrom(65536)
            udp.sendto(data, who)

    def stream(s):
        with s:
            while True:
                data = s.recv(1 << 16)
                if not data:
                    return
                s.sendall(data)

    def streams():
        while True:
            s, _ = tcp.accept()
            threading.Thread(target=stream, args=(s,), daemon=True).start()
    for f in (datagrams, streams):
        threading.Thread(target=f, daemon=True).start()


def bulk(s, n=8 << 20):
    """So many bytes there and back through a connected socket."""
    data, back = os.urandom(n), hashlib.sha256()
    s.settimeout(20)
    sender = threading.Thread(target=s.sendall, args=(data,))
    sender.start()
    got = 0
    while got < n:
        piece = s.recv(1 << 18)
        assert piece, f"{got} bytes of {n}"
        back.update(piece)
        got += len(piece)
    sender.join()
    eq(back.digest(), hashlib.sha256(data).digest(), "what came back")


def only(pkts, addr):
    return [p for p in pkts if addr in (p.src, p.dst)]


@timeout(120)
@ALL
def test_route_to_in(_name, emitter, far, gate, _alt, _dst, src):
    """Forwarded packets leave by the gateway; what comes back finds its way by routes."""
    rules = f"block\npass in on ext {af(far)} route-to {gate}@alt\npass out on alt\n" \
        "pass on { alt, int } inet6 proto ipv6-icmp icmp6-type { neighbrsol, neighbradv }\n" \
        "pass on ext inet6 proto ipv6-icmp icmp6-type { neighbrsol, neighbradv }\n" \
        f"pass in on int from {far}\n"
    with Ways(rules=rules, pfd_args=("--emitter", emitter)) as lab:
        answers(lab.dst, far)
        alt, other = lab.watch("far"), lab.watch("dst")
        eq(lab.src.can_ask(far, 7), "yes")
        with lab.src.connect(far, 7) as s:
            bulk(s)
        at_least(len(only(alt.packets(), far)), 3, "by the gateway")
        eq(only([p for p in other.drain()], far), [], "where routes lead")
        shown = lab.pf.ctl("-ss", "-vv").stdout
        contains(shown, f"gateway: {gate}@alt")
        # the out rules of alt have made a state of each connection
        eq(sum(" -> " in s and far in s for s in lab.pf.states()), 2)
        contains(lab.pf.rules()[1], f"route-to (alt {gate})")


@timeout(120)
@ALL
def test_route_to_out(_name, emitter, far, gate, alt, _dst, _src):
    """What fw itself sends; of the way there it knows no neighbour."""
    rules = f"pass\npass out on int {af(far)} to {far} route-to {gate}@alt\n"
    with Ways(rules=rules, pfd_args=("--emitter", emitter)) as lab:
        answers(lab.dst, far)
        there, other = lab.watch("far"), lab.watch("dst")
        eq(lab.fw.can_ask(far, 7), "yes")
        with lab.fw.connect(far, 7) as s:
            bulk(s)
        at_least(len(only(there.packets(), far)), 3)
        eq(only(other.drain(), far), [])
        for s in lab.pf.states():
            if far in s:
                contains(s, "-> ")
        # once for each connection, and each packet once
        eq(sum(far in s for s in lab.pf.states()), 2)
        udp = lab.pf.ctl("-ss", "-v").stdout.split("\n")
        at = [i for i, line in enumerate(udp) if " udp " in line and far in line][0]
        contains(udp[at + 1], "1:1 pkts")
        eq(lab.pf.info()["state-mismatch"], 0)


@cases(("linear", "linear"), ("tree", "tree"))
def test_waits_for_the_neighbour(_name, emitter):
    """What is sent when the neighbour has answered, behind packets of the other family."""
    rules = f"pass\npass out on int inet to {FAR} route-to {GATE}@alt\n"
    with Ways(rules=rules, pfd_args=("--emitter", emitter)) as lab:
        answers(lab.dst, FAR)
        eq(lab.fw.ping(DST), True)
        lab.dst.ip("link", "set", "far", "arp", "off")
        with lab.fw.udp() as s, lab.fw.udp(0, "", socket.AF_INET6) as other:
            s.sendto(b"1", (FAR, 7))
            for cpu in sorted(os.sched_getaffinity(0)):
                os.sched_setaffinity(0, {cpu})
                for port in range(9):
                    other.sendto(b"2", (DST6, 1000 * cpu + port + 1))
            lab.dst.ip("link", "set", "far", "arp", "on")
            s.settimeout(5)
            eq(s.recv(10), b"1")
        eq(lab.pf.info()["no-route"], 0)


@timeout(120)
@ALL
def test_reply_to(_name, emitter, far, gate, alt, _dst, _src):
    """Two upstreams: who comes by the one that routes do not lead to is answered by it."""
    rules = f"pass\npass in on alt {af(far)} reply-to {gate}@alt\n"
    with Ways(rules=rules, pfd_args=("--emitter", emitter)) as lab:
        answers(lab.fw, alt)
        there, other = lab.watch("far"), lab.watch("dst")
        with lab.dst.connect(alt, 7, source=(far, 0)) as s:
            bulk(s)
        with lab.dst.udp(0, far, socket.AF_INET6 if ":" in far else socket.AF_INET) as s:
            for _ in range(3):
                s.sendto(b"x", (alt, 7))
                eq(s.recv(10), b"x")
        at_least(len(only(there.packets(), far)), 3)
        eq(only(other.drain(), far), [])
        eq(sum(far in s for s in lab.pf.states()), 2)
        # without it, the answers leave by the other one
        lab.pf.load("pass\n")
        lab.pf.ctl("-Fs")
        with lab.dst.udp(0, far, socket.AF_INET6 if ":" in far else socket.AF_INET) as s:
            s.sendto(b"x", (alt, 7))
            eq(s.recv(10), b"x")
        at_least(len(only(other.packets(), far)), 1)


# --- what the kernel's forwarding would do ---

@FAMILIES
def test_ttl(_name, far, gate, _alt, _dst, src):
    """It is lowered; what has come to its end is answered, as by a router."""
    six = ":" in far
    with Ways(rules=f"pass\npass in on ext {af(far)} route-to {gate}@alt\n") as lab:
        there, w = lab.watch("far"), lab.wire("src")
        w.send(ip(src, far, ttl=9) / UDP(sport=1000, dport=9))
        p = only(there.packets(), far)[0]
        eq(p.hlim if six else p.ttl, 8)
        eq((p[UDP].sport, p.src), (1000, src))
        w.send(ip(src, far, ttl=1) / UDP(sport=1001, dport=9))
        got = w.receive(lambda p: p.haslayer(ICMPv6TimeExceeded) if six else
                        p.haslayer(ICMP) and p[ICMP].type != 3, 3)
        assert got, "no answer"
        if not six:
            eq((got[ICMP].type, got[ICMP].code), (11, 0))
        eq((got.src, got.dst), (FW6_SRC if six else FW_SRC, src))
        contains(bytes(got.lastlayer()) + bytes(got), (1001).to_bytes(2, "big"))
        eq(only(there.drain(), far), [])
        eq(lab.pf.info()["no-route"], 1)


@FAMILIES
def test_too_big(_name, far, gate, alt, _dst, src):
    """Of what does not fit the sender hears, as do fw's own sockets."""
    six = ":" in far
    rules = f"pass\npass in on ext {af(far)} route-to {gate}@alt\n" \
        f"pass out on int {af(far)} to {far} route-to {gate}@alt\n"
    with Ways(rules=rules) as lab:
        lab.fw.ip("link", "set", "alt", "mtu", "1300")
        lab.dst.ip("link", "set", "far", "mtu", "1300")
        answers(lab.dst, far)
        w, there = lab.wire("src"), lab.watch("far")
        flags = {} if six else {"flags": "DF"}
        w.send(ip(src, far, **flags) / UDP(sport=1000, dport=9) / Raw(bytes(1350)))
        got = w.receive(lambda p: p.haslayer(ICMPv6PacketTooBig if six else ICMP), 3)
        assert got, "no answer"
        if six:
            eq(got[ICMPv6PacketTooBig].mtu, 1300)
        else:
            eq((got[ICMP].type, got[ICMP].code, got[ICMP].nexthopmtu), (3, 4, 1300))
        if not six:  # who lets it be cut must know a router that cuts it
            w.send(ip(src, far) / UDP(sport=1000, dport=9) / Raw(bytes(1350)))
            eq(w.receive(lambda p: p.haslayer(ICMP), 0.3), None)
        eq(only(there.drain(), far), [])
        eq(lab.pf.info()["no-route"], 1 if six else 2)
        # streams: what the sockets cut comes to fit
        for ns in (lab.src, lab.fw):
            with ns.connect(far, 7) as s:
                bulk(s, 1 << 20)
        eq(max(len(p) for p in there.packets()) > 1300, True, "segments are cut behind us")


@FAMILIES
def test_group_addresses(_name, far, gate, _alt, _dst, _src):
    """Broadcasts and multicasts go, too."""
    if ":" in far:
        rules, to = f"pass\npass in on ext inet6 proto udp to ff0e::7 route-to {gate}@alt\n", "ff0e::7"
    else:
        rules = f"pass\npass in on ext inet proto udp to 255.255.255.255 route-to {gate}@alt\n"
        to = "255.255.255.255"
    with Ways(rules=rules) as lab:
        w, there = lab.wire("src"), lab.watch("far")
        frame = w.frame(ip(SRC6 if ":" in far else SRC, to, ttl=9) / UDP(sport=1, dport=9))
        w.send((bytes.fromhex("333300000007") if ":" in far else b"\xff" * 6) + frame[6:])
        eq(there.packets()[0].dst, to)


# --- interfaces ---

@ALL
def test_bound_out(_name, emitter, far, gate, alt, _dst, _src):
    """A bound state is the gateway's interface's, where what comes back comes in."""
    rules = f"set state-policy if-bound\npass\nblock in on {{ int alt }} {af(far)} from {far}\n" \
        f"pass out on int {af(far)} to {far} route-to {gate}@alt\n"
    with Ways(rules=rules, pfd_args=("--emitter", emitter)) as lab:
        answers(lab.dst, far)
        family = socket.AF_INET6 if ":" in far else socket.AF_INET
        with lab.fw.udp(0, alt, family) as s:
            for n in range(4):
                s.sendto(b"%d" % n, (far, 7))
                eq(s.recv(10), b"%d" % n)
        with lab.fw.connect(far, 7, source=(alt, 0)) as s:
            bulk(s, 1 << 20)
        found = [s for s in lab.pf.states() if far in s]
        eq([s.split()[0] for s in found], ["alt"] * 2, found)
        # but not another one's
        eq(lab.fw.can_ask(far, 7), "timeout")


@ALL
def test_bound_reply(_name, emitter, far, gate, alt, _dst, _src):
    """Answers that routes lead out elsewhere are the state's all the same."""
    rules = f"set state-policy if-bound\nblock {af(far)} from {far}\nblock {af(far)} to {far}\n" \
        f"pass in on alt {af(far)} reply-to {gate}@alt\n"
    with Ways(rules=rules, pfd_args=("--emitter", emitter)) as lab:
        answers(lab.fw, alt)
        other = lab.watch("dst")
        family = socket.AF_INET6 if ":" in far else socket.AF_INET
        with lab.dst.udp(0, far, family) as s:
            for n in range(4):
                s.sendto(b"%d" % n, (alt, 7))
                eq(s.recv(10), b"%d" % n)
        with lab.dst.connect(alt, 7, source=(far, 0)) as s:
            bulk(s, 1 << 20)
        eq(only(other.drain(), far), [])
        eq([s.split()[0] for s in lab.pf.states() if far in s], ["alt"] * 2)


@FAMILIES
def test_unknown_interface(_name, far, gate, _alt, _dst, _src):
    """Nothing goes another way; when the interface comes, states and rules use it."""
    rules = f"pass\npass in on ext {af(far)} route-to {gate}@later\n"
    with Ways(rules=rules) as lab:
        answers(lab.dst, far)
        other = lab.watch("dst")
        eq(lab.src.can_ask(far, 7), "timeout")
        at_least(lab.pf.info()["no-route"], 1)
        eq((only(other.drain(), far), [s for s in lab.pf.states() if far in s]), ([], []))
        for name in ("later", "alt", "later"):
            lab.fw.batch(["link set alt down" if name == "later" else "link set later down",
                          f"link set {'alt' if name == 'later' else 'later'} name {name}",
                          f"link set {name} up"] +
                         ([f"addr replace {_alt}/64 dev {name} nodad",
                           f"addr replace fe80::3:2/64 dev {name} nodad"] if ":" in far else []))
            wait_for(name, lambda: lab.src.can_ask(far, 7) == ("yes" if name == "later" else
                                                               "timeout"), 10)
        eq(only(other.drain(), far), [])


@FAMILIES
def test_gateway_without_interface(_name, far, gate, alt, dst, _src):
    """The way to it is that of the routes, and follows them."""
    rules = f"pass\npass in on ext {af(far)} route-to {gate}\n"
    with Ways(rules=rules) as lab:
        eq(lab.pf.rules()[1].split("route-to ")[1], gate)
        answers(lab.dst, far)
        there, other = lab.watch("far"), lab.watch("dst")
        eq(lab.src.can_ask(far, 7), "yes")
        at_least(len(only(there.packets(), far)), 1)
        eq(only(other.drain(), far), [])
        with lab.src.udp(0, "", socket.AF_INET6 if ":" in far else socket.AF_INET) as s:
            s.sendto(b"1", (far, 7))
            eq(s.recv(10), b"1")
            there.drain()
            # by way of a router, whose neighbour it is not
            lab.fw.ip("route", "add", f"{gate}/{128 if ':' in far else 32}", "via", dst)

            def by_other():
                s.sendto(b"2", (far, 7))
                eq(s.recv(10), b"2")
                return only(other.packets(0), far)
            wait_for("the new way", by_other)
            lab.fw.ip("route", "replace", "unreachable",
                      f"{gate}/{128 if ':' in far else 32}")
            s.settimeout(0.3)

            def nowhere():
                s.sendto(b"3", (far, 7))
                try:
                    s.recv(10)
                except TimeoutError:
                    return True
                return False
            wait_for("no way", nowhere)


@FAMILIES
def test_half_a_change(_name, far, gate, _alt, _dst, _src):
    """No packet takes a way that pfd is changing; a pfd that was killed meanwhile is no harm."""
    rules = f"pass\npass in on ext {af(far)} route-to {gate}@alt\n"
    with Ways(rules=rules) as lab:
        answers(lab.dst, far)
        eq(lab.src.can_ask(far, 7), "yes")
        sets, key = lab.pf.map("opt_sets"), struct.pack("=I", 1)
        value = bytearray(sets.get(key))
        # struct pf_opt_set ends with hop_moves, hop.addr, .ifname, .af, .ifindex, .via
        moves, name, family, index = struct.unpack_from("=I16x16sII", value, len(value) - 60)
        eq((name.rstrip(b"\0"), family, index), (b"alt", 6 if ":" in far else 4, lab.fw.ifindex("alt")))
        eq(moves % 2, 0)
        struct.pack_into("=I", value, len(value) - 60, moves + 1)
        before = lab.pf.info()["no-route"]
        sets.set(key, value)
        eq(lab.src.can_ask(far, 7), "timeout")
        at_least(lab.pf.info()["no-route"], before + 1)
        lab.pf.stop(signal.SIGKILL)
        eq(lab.src.can_ask(far, 7), "timeout")
        lab.pf.start()
        eq(lab.src.can_ask(far, 7), "yes")
        eq(struct.unpack_from("=I", sets.get(key), len(value) - 60)[0] % 2, 0)


# --- states ---

@FAMILIES
def test_reload(_name, far, gate, _alt, _dst, _src):
    """A state keeps its gateway, whatever the rules say now; and over an end of pfd."""
    rules = f"pass\npass in on ext {af(far)} route-to {gate}@alt\n"
    with Ways(rules=rules) as lab:
        answers(lab.dst, far)
        other = lab.watch("dst")
        with lab.src.connect(far, 7) as s:
            bulk(s, 1 << 16)
            lab.pf.load("block\n")
            for i in range(3):
                lab.pf.load(f"block\npass proto tcp keep state (max {i + 1})\n")
            bulk(s, 1 << 16)
            contains(lab.pf.ctl("-ss", "-vv").stdout, f"gateway: {gate}@alt")
            lab.pf.stop()
            bulk(s, 1 << 16)
            lab.pf.start()
            bulk(s, 1 << 16)
            eq(only(other.drain(), far), [])
            state = [x for x in json.loads(lab.pf.ctl("--json", "-ss").stdout)["states"] if x["gateway"]]
            eq([x["gateway"] for x in state],
               [{"address": gate, "interface": "alt", "kind": "route-to"}])
            # only those that have it
            eq(lab.pf.ctl("-k", "gateway", "-k", GATE6 if ":" not in far else GATE).stderr,
               "killed 0 states\n")
            eq(lab.pf.ctl("-k", "gateway", "-k", gate).stderr, "killed 1 states\n")
            absent(lab.pf.ctl("-ss", "-vv").stdout, "gateway")


@FAMILIES
def test_saved(_name, far, gate, _alt, _dst, _src):
    rules = f"pass\npass in on ext {af(far)} route-to {gate}@alt\n"
    with Ways(rules=rules) as lab:
        answers(lab.dst, far)
        there = lab.watch("dst")
        file = os.path.join(lab.dir, "states")
        with lab.src.connect(far, 7) as s:
            bulk(s, 1 << 16)
            lab.pf.ctl("-S", file)
            for text in (rules, "pass\n"):  # their rule is there, and is not
                lab.pf.load(text)
                lab.pf.ctl("-Fs")
                lab.pf.ctl("-L", file)
                bulk(s, 1 << 16)
                contains(lab.pf.ctl("-ss", "-vv").stdout, f"gateway: {gate}@alt")
        eq(only(there.drain(), far), [])


@ALL
def test_with_translation(_name, emitter, far, gate, alt, _dst, src):
    """In one rule, of match rules, and both ways."""
    family = af(far)
    public = "2001:db8:77::7" if ":" in far else "203.0.113.77"
    rules = (f"pass\nmatch in on ext {family} proto tcp to {public} port 70 rdr-to {far} port 7\n"
             f"pass in on ext {family} proto tcp to {far} route-to {gate}@alt\n"
             f"pass in on ext {family} proto udp to {public} port 70 rdr-to {far} port 7 "
             f"route-to {gate}@alt\n"
             f"pass out on int {family} to {far} nat-to {alt} route-to {gate}@alt\n"
             f"match out on alt {family} from {src} nat-to {alt}\n")
    with Ways(rules=rules, pfd_args=("--emitter", emitter)) as lab:
        answers(lab.dst, far)
        there, other = lab.watch("far"), lab.watch("dst")
        with lab.src.connect(public, 70) as s:
            bulk(s, 1 << 20)
        eq(lab.src.can_ask(public, 70), "yes")
        eq(lab.fw.can_ask(far, 7), "yes")
        with lab.fw.connect(far, 7) as s:
            bulk(s, 1 << 20)
        found = only(there.packets(), far)
        eq({p.src for p in found}, {alt})
        eq(only(other.drain(), far), [])
        eq(lab.pf.info()["state-mismatch"], 0)


@FAMILIES
def test_errors_about_it(_name, far, gate, alt, _dst, _src):
    """ICMP about packets of such states comes to who sent them."""
    rules = f"block\npass out on int {af(far)} to {far} route-to {gate}@alt\n" \
        f"pass in on ext {af(far)} to {far} route-to {gate}@alt\n" \
        f"pass out on alt\npass in on alt {af(far)} proto udp to {alt} reply-to {gate}@alt\n" \
        "pass inet6 proto ipv6-icmp icmp6-type { neighbrsol neighbradv }\n"
    with Ways(rules=rules) as lab:
        other = lab.watch("dst")
        eq(lab.src.can_ask(far, 99), "refused")
        eq(lab.fw.can_ask(far, 99), "refused")
        # of a port where nobody is: the answer goes where replies go
        with lab.dst.sock(socket.AF_INET6 if ":" in far else socket.AF_INET,
                          socket.SOCK_DGRAM) as s:
            s.settimeout(2)
            s.bind((far, 0))
            s.connect((alt, 98))
            s.send(b"x")
            try:
                s.recv(10)
                raise AssertionError("an answer")
            except ConnectionRefusedError:
                pass
        eq(only(other.drain(), far), [])
