# SPDX-License-Identifier: BSD-2-Clause
"""What travels with a packet, in tc_index and cb[], and what neighbours may put there.

A neighbour in another namespace (a container) may run a tc program of its own on its
end of a veth pair; what that writes into the packet's context arrives here.
"""
import contextlib
import os
import struct

from pft import bpf
from pft.check import cases, eq
from pft.lab import DST, FW_SRC, Lab

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
