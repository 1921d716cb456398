# SPDX-License-Identifier: BSD-2-Clause
"""What travels with a packet, in tc_index and cb[], and what neighbours may put there.

A neighbour in another namespace (a container) may run a tc program of its own on its
end of a veth pair; what that writes into the packet's context arrives here.
"""
import contextlib
import os
import re
import socket
import struct
import time

from pft import bpf
from pft.check import cases, eq
from pft.devices import need
from pft.lab import DST, FW_SRC, MAC, SRC, Lab
from pft.netns import wait_for
from scapy.layers.inet import IP, TCP

TC_INDEX, CB = 44, 48  # in struct __sk_buff
WORDS = [CB + 4 * i for i in range(4)]


def marks(lab):
    """The secrets of pf_config: the four words of cb[], the one of tc_index."""
    value = bpf.Map(lab.pin + "/maps/pf_config").get(struct.pack("=I", 0))
    *wide, short = struct.unpack_from("=5I", value, 56)
    eq(len(set(wide)), 4, "words that are all the same are no secret")
    return dict(zip(WORDS, wide)), short


class Neighbour:
    """src sends with these words."""

    def __init__(self, lab, words):
        self.lab, self.words = lab, words

    def __enter__(self):
        prog = bpf.setting_program(self.words)
        self.link = bpf.tcx_attach(self.lab.src, "src", prog, bpf.TCX_EGRESS)
        os.close(prog)

    def __exit__(self, *exc):
        os.close(self.link)


def test_marks_are_no_way_in():
    with Lab(rules="pass\n") as lab:
        wide, short = marks(lab)
        eq(lab.src.ping(FW_SRC), True)
        lab.pf.load("block\npass out no state\n")
        lab.pf.ctl("-F", "states")
        guesses = [{TC_INDEX: short}] + [{off: wide[off]} for off in WORDS]
        guesses += [{TC_INDEX: short} | {o: wide[o] for o in WORDS if o != off} for off in WORDS]
        for words in guesses:
            with Neighbour(lab, words):
                eq((lab.src.ping(FW_SRC), lab.src.ping(DST)), (False, False), words)


@cases(("filtered", ""), ("skipped", "set skip on ext\n"))
def test_marks_are_no_way_out(_name, skip):
    with Lab(rules=skip + "pass\n") as lab:
        wide, short = marks(lab)
        for rules, wanted in (("pass\n", True), ("pass\nblock out on int\n", False)):
            lab.pf.load(skip + rules)
            lab.pf.ctl("-F", "states")
            with Neighbour(lab, {TC_INDEX: short} | dict(list(wide.items())[:3])):
                eq(lab.src.ping(DST), wanted, rules)


@cases(("filtered", ""), ("skipped", "set skip on ext\n"))
def test_tags_of_neighbours(_name, skip):
    """The first tag is number 1 or, if that is the mark, 2."""
    only = skip + "pass\nblock out on int\npass out on int tagged FROM_EXT\n"
    with Lab(rules=only) as lab:
        for tag in (1, 2, 3):
            with Neighbour(lab, {TC_INDEX: tag}):
                eq(lab.src.ping(DST), False, tag)
        if not skip:
            lab.pf.load(only + "pass in on ext tag FROM_EXT\n")
            with Neighbour(lab, {TC_INDEX: 77}):
                eq(lab.src.ping(DST), True, "the rule's own tag")


@contextlib.contextmanager
def dropping(lab, off, value):
    """src takes nothing with this word."""
    prog = bpf.dropping_program(off, value)
    link = bpf.tcx_attach(lab.src, "src", prog, bpf.TCX_INGRESS)
    os.close(prog)
    try:
        yield
    finally:
        os.close(link)


def segments_in(sock):
    """tcpi_segs_in of linux/tcp.h."""
    return struct.unpack_from("=I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 140)[0]


def test_challenges_do_not_carry_the_secret():
    """The ACK for a SYN in a connection that lives: nor is it a packet of the connection's."""
    with Lab(v6=False, rules="pass\n") as lab:
        wide, _ = marks(lab)
        server = lab.dst.listen(80)
        sock = lab.src.connect(DST, 80)
        wire = lab.wire("src")
        syn = IP(src=SRC, dst=DST) / TCP(sport=sock.getsockname()[1], dport=80, flags="S", seq=77)
        before = lab.pf.ctl("-vss").stdout
        for off, value in wide.items():
            with dropping(lab, off, value):
                was = segments_in(sock)
                wire.send(syn)
                wait_for(f"the ACK without those of cb[{off - CB}]",
                         lambda: segments_in(sock) > was, 3)
        with dropping(lab, CB, 0):
            was = segments_in(sock)
            wire.send(syn)
            time.sleep(0.3)
            eq(segments_in(sock), was, "the check itself: the word is 0")
        packets = [re.findall(r"(\d+:\d+) pkts", s) for s in (before, lab.pf.ctl("-vss").stdout)]
        eq(packets[0], packets[1], "SYNs and answers are none of the state's")
        sock.close()
        server.close()


def test_macvlan_of_a_neighbour():
    """What it sends goes out by our interface, and has come in by none."""
    need("macvlan", "link", "v0")
    with Lab(v6=False, rules="block\n") as lab:
        wide, short = marks(lab)
        lab.fw.ip("link", "add", "mv0", "link", "ext", "type", "macvlan", "mode", "bridge")
        other = lab._ns("other")
        lab.fw.ip("link", "set", "mv0", "netns", other.name)
        other.batch(["link set mv0 up", "addr add 192.0.2.77/24 dev mv0",
                     f"neigh replace {SRC} lladdr {MAC['src']} dev mv0"])
        got = lab.src.udp(9)
        got.settimeout(0.3)

        def arrives():
            with other.sock(kind=socket.SOCK_DGRAM) as s:
                s.sendto(b"x", (SRC, 9))
            try:
                return got.recv(1) == b"x"
            except TimeoutError:
                return False

        for words in ({}, {TC_INDEX: short}, {TC_INDEX: short, CB: wide[CB]}):
            prog = bpf.setting_program(words)
            link = bpf.tcx_attach(other, "mv0", prog, bpf.TCX_EGRESS)
            os.close(prog)
            eq(arrives(), False, words)
            lab.pf.load("pass\n")
            eq(arrives(), True, "the check itself")
            lab.pf.load("block\n")
            lab.pf.ctl("-F", "states")
            os.close(link)
        got.close()


@cases(("of what comes in", "block return in on ext\n"),
       ("of what goes out", "pass\nblock return out on int\n"))
def test_answers_do_not_carry_the_secret(_name, rules):
    with Lab(rules=rules) as lab:
        wide, _ = marks(lab)
        for off, value in wide.items():
            with dropping(lab, off, value):
                eq(lab.src.can_connect(DST, 80), "refused", f"without those of cb[{off - CB}]")
        with dropping(lab, CB, 0):
            eq(lab.src.can_connect(DST, 80, 0.3), "timeout", "the check itself: the word is 0")
