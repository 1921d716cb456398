# SPDX-License-Identifier: BSD-2-Clause
"""route-to and reply-to: packets by the way that rules say, with two ways to one host."""
import hashlib
import json
import os
import socket
import threading
import time

from pft.check import absent, at_least, cases, contains, eq, matches, timeout
from pft.lab import DST, FW_DST, FW_SRC, FW6_SRC, GHOST, GHOST6, SRC, SRC6, Lab
from pft.netns import wait_for
from pft.ways import ALT, ALT6, BOTH, FAR, FAR6, GATE, GATE6, Ways
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6)
from scapy.packet import Raw

ALL = cases(*((f"{name}, {emitter}", emitter, *rest) for name, *rest in BOTH
              for emitter in ("linear", "tree")))
FAMILIES = cases(*BOTH)


def ip(src, dst, **kw):
    if ":" in src:
        if "ttl" in kw:
            kw["hlim"] = kw.pop("ttl")
        return IPv6(src=src, dst=dst, **kw)
    return IP(src=src, dst=dst, **kw)


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
