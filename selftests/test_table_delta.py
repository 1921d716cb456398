# SPDX-License-Identifier: BSD-2-Clause
"""Addresses that the datapath adds to a table by itself, by bpf/delta.h: a program of the
tests calls it on the maps of a firewall that runs, as `overload' will."""
import ipaddress
import os
import signal
import struct
import subprocess
import time

from pft import bpf
from pft.check import cases, contains, eq, timeout
from pft.lab import BUILD, GHOST, GHOST6, GHOST6_DST, GHOST_DST, MAC, Lab, Stopped
from pft.netns import wait_for
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import raw

ADDED, THERE, LOST = 0, 1, 2
SHUT, OPEN, FULL = 0, 1, 2
NONE = 0
MOST = 32768
DROP = 2
EMITTERS = cases(("linear", "linear"), ("tree", "tree"))
BOTH = cases(*[(f"{e} {v}", e, v) for e in ("linear", "tree") for v in (4, 6)])
RULES = "table <t> persist\nblock drop from <t>\npass from ! <t> no state\n"
NET = {4: "10.77.0.0", 6: "2001:db8:77::"}


def nth(version, i):
    return str(ipaddress.ip_address(NET[version]) + i)


class Written:
    """A table that the datapath writes.  No rule asks for that yet: a program does what pfd
    will, while there is none, and the next one goes by what it finds."""

    def __init__(self, lab, name="t"):
        self.lab, self.name = lab, name
        self.slot = slot_of(lab, name)
        lab.pf.stop(signal.SIGKILL)
        self.mark("on")
        lab.pf.start()
        obj = os.path.join(BUILD, "selftests", "table_add.bpf.o")
        pin = f"{lab.pin}/table_add_{name}"
        shared = [w for m in ("pf_tables", "pf_table_delta", "pf_table_nots", "pf_counters")
                  for w in ("map", "name", m, "pinned", f"{lab.pin}/maps/{m}")]
        subprocess.run(["bpftool", "prog", "load", obj, pin, "type", "tc", *shared], check=True)
        self.adder = bpf.obj_get(pin)
        self.program = lab.pf.program("ext", "in")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        os.close(self.adder)
        os.close(self.program)

    def mark(self, how):
        """pfd must be gone."""
        self.lab.fw.run(os.path.join(BUILD, "selftests", "written"), self.lab.pin, self.name, how)

    def roots(self):
        """IPv4's word, IPv6's, the delta's state, whether the datapath may write."""
        return struct.unpack_from("=4I", with_map(self.lab, "tables",
                                                  lambda m: m.get(struct.pack("=I", self.slot))))

    def add(self, addr, slot=None):
        a = ipaddress.ip_address(addr)
        host = struct.pack("=IBBH16s", self.slot if slot is None else slot, a.version,
                           a.max_prefixlen, 0, a.packed)
        return bpf.test_run(self.adder, bytes(14) + host)[0]

    def drops(self, src, repeat=1):
        ip, dst = (IPv6, "2001:db8:ffff::9") if ":" in src else (IP, "198.18.0.9")
        frame = raw(Ether(dst=MAC["ext"], src="02:00:00:00:00:99") / ip(src=src, dst=dst) /
                    UDP(sport=1, dport=9))
        with self.lab.fw:
            return bpf.test_run(self.program, frame, self.lab.fw.ifindex("ext"),
                                repeat)[0] == DROP

    def hosts(self, name="table_delta"):
        """What stands in the map: {(slot, address or prefix)}."""
        return with_map(self.lab, name, hosts_of)

    def t(self, *args, check=True):
        return self.lab.pf.ctl("-t", self.name, "-T", *args, check=check)

    def shown(self):
        return self.t("show").stdout.split()

    def settle(self):
        """Until pfd has put all into the ranges, and look-ups pass the delta by again."""
        wait_for("the delta to be empty", lambda: self.roots()[2] == NONE, 10)
        eq(self.hosts(), set())

    def restart(self):
        self.lab.pf.stop(signal.SIGKILL)
        self.lab.pf.start()


def with_map(lab, name, fn):
    m = lab.pf.map(name)
    try:
        return fn(m)
    finally:
        m.close()


def slot_of(lab, name):
    def find(m):
        return next(i for i in range(1, 4096)
                    if m.get(struct.pack("=I", i))[:32].rstrip(b"\0") == name.encode())
    return with_map(lab, "table_names", find)


def hosts_of(m):
    out = set()
    for key in m.keys():
        slot, af, bits, addr = struct.unpack("=IBBxx16s", key[-24:])
        a = ipaddress.ip_address(addr[:4] if af == 4 else addr)
        if len(key) > 24:  # of the trie of what is denied
            bits = struct.unpack_from("=I", key)[0] - 64
        out.add((slot, str(a) if bits == a.max_prefixlen else f"{a}/{bits}"))
    return out


# --- packets ---

@timeout(120)
@BOTH
def test_at_once(_name, emitter, version):
    """A forwarded packet passes, the next one after the addition does not."""
    src, dst, ip = ((GHOST, GHOST_DST, IP), (GHOST6, GHOST6_DST, IPv6))[version == 6]
    with Lab(pfd_args=("--emitter", emitter), rules=RULES) as lab, Written(lab) as w:
        out, inn = lab.wire("src"), lab.wire("dst")

        def passes(number):
            out.send(ip(src=src, dst=dst) / UDP(sport=number, dport=9))
            return inn.receive(lambda p: UDP in p and p[UDP].sport == number, 0.4) is not None

        eq(passes(1001), True)
        with Stopped(lab.pf):
            eq((w.add(src), w.add(src)), (ADDED, THERE))
            eq(w.hosts(), {(w.slot, src)})
            eq((passes(1002), w.drops(src), w.drops(nth(version, 1))), (False, True, False))
        w.settle()
        eq((passes(1003), w.shown()), (False, [src]))
        # the other family's word of the same address is another address
        eq(w.drops(nth(10 - version, 1)), False)
        eq(w.t("delete", src).stderr.strip(), "1/1 addresses deleted.")
        eq(passes(1004), True)


@timeout(120)
@EMITTERS
def test_never_out_while_folded(_name, emitter):
    """From its addition on each packet of the address is blocked, also while pfd folds it."""
    with Lab(hosts=2, v6=False, pfd_args=("--emitter", emitter), rules=RULES) as lab, \
            Written(lab) as w:
        ran = 0
        for i, others in enumerate((0, 1, 30, 3000, 0, 5, 1000, 2)):
            for version in (4, 6):
                a = nth(version, 0xffff - i)
                for k in range(others):
                    eq(w.add(nth(version, i << 12 | k)), ADDED)
                eq(w.add(a), ADDED)
                end = time.monotonic() + 0.4
                while time.monotonic() < end:
                    w.drops(a, repeat=20000)
                    ran += 20000
        (_, blocked), (_, passed) = lab.pf.rule_numbers()
        eq((blocked["packets"], passed["packets"]), (ran, 0))
        w.settle()
        eq(len(w.shown()), 2 * (8 + 0 + 1 + 30 + 3000 + 0 + 5 + 1000 + 2))


@timeout(120)
def test_others_are_not_written():
    """A table that is not marked takes nothing, nor one that there is not."""
    with Lab(hosts=2, v6=False, rules=RULES.replace("<t>", "<u>") + RULES) as lab, \
            Written(lab) as w:
        other = slot_of(lab, "u")
        for slot in (0, other, 4095, 4096, 1 << 31):
            eq(w.add("10.0.0.1", slot), LOST)
        eq((w.add("10.0.0.1"), w.add("10.0.0.1", other)), (ADDED, LOST))
        w.settle()
        eq((w.shown(), lab.pf.ctl("-t", "u", "-T", "show").stdout), (["10.0.0.1"], ""))
        eq(lab.pf.info()["tables: no room"], 6)


# --- what can be done to it ---

@timeout(120)
@EMITTERS
def test_requests_see_it(_name, emitter):
    """Whatever is asked first after the addition, the address was there before."""
    with Lab(hosts=2, v6=False, pfd_args=("--emitter", emitter), rules=RULES) as lab, \
            Written(lab) as w:
        for i in range(6):
            for version in (4, 6):
                a, b = nth(version, i), nth(version, 100)

                def added():
                    eq((w.add(a), w.drops(a)), (ADDED, True))

                def gone():
                    eq((w.drops(a), w.shown()), (False, []))

                added()
                eq(w.shown(), [a])
                eq(w.t("delete", a).stderr.strip(), "1/1 addresses deleted.")
                gone()
                added()
                eq(w.t("delete", a).stderr.strip(), "1/1 addresses deleted.")
                gone()
                added()
                eq(w.t("test", a).stderr.strip(), "1/1 addresses match.")
                added_again = w.add(a)
                eq(added_again in (ADDED, THERE), True)
                eq(w.t("add", a).stderr.strip(), "0/1 addresses added.")
                contains(w.t("flush").stderr, "1 addresses deleted.")
                gone()
                added()
                contains(w.t("flush").stderr, "1 addresses deleted.")
                gone()
                added()
                eq(w.t("replace", b).stderr.strip(), "1 addresses added.\n1 addresses deleted.")
                eq((w.drops(a), w.drops(b), w.shown()), (False, True, [b]))
                w.t("flush")
        w.settle()
        time.sleep(0.3)  # pfd has looked again
        eq(w.shown(), [])


NOTS = """
    table <t> persist { 10.0.0.0/8 !10.1.1.1 !10.1.2.0/24 !10.3.3.3 !192.0.2.7
                        2001:db8::/32 !2001:db8::1 !2001:db8:5::/48 }
    block drop from <t>
    pass from ! <t> no state
"""


@timeout(120)
@EMITTERS
def test_negated_entries(_name, emitter):
    """`!host' stays, as in pf; a host inside of `!net' is added."""
    nets = {"10.1.2.0/24", "2001:db8:5::/48"}
    with Lab(hosts=2, v6=False, pfd_args=("--emitter", emitter), rules=NOTS) as lab, \
            Written(lab) as w:
        def check(addr, result, dropped):
            eq(w.add(addr), result, addr)
            for _ in range(2):
                eq(w.drops(addr), dropped, addr)
                w.settle()

        def nots():
            return {a for _, a in w.hosts("table_nots")}

        first = {"10.1.1.1", "10.3.3.3", "192.0.2.7", "2001:db8::1"}
        eq(nots(), first | nets)
        for a in sorted(first):
            check(a, THERE, False)
        check("10.1.2.5", ADDED, True)
        check("2001:db8:5::5", ADDED, True)
        # inside of another entry it is one of its own
        check("10.2.2.2", ADDED, True)
        eq({"10.1.2.5", "2001:db8:5::5", "10.2.2.2"} <= set(w.shown()), True)
        # what becomes an entry, and what is none any more
        w.t("add", "!10.9.9.9")
        check("10.9.9.9", THERE, False)
        w.t("delete", "!10.1.1.1", "!192.0.2.7")
        check("192.0.2.7", ADDED, True)
        eq(nots(), {"10.3.3.3", "2001:db8::1", "10.9.9.9"} | nets)
        # once more by a pfd that takes over
        w.restart()
        eq(nots(), {"10.3.3.3", "2001:db8::1", "10.9.9.9"} | nets)
        check("10.9.9.9", THERE, False)
        w.t("replace", "!10.9.9.9", "!10.8.8.8", "!2001:db8::/64", "10.7.7.7")
        eq(nots(), {"10.9.9.9", "10.8.8.8", "2001:db8::/64"})
        check("10.8.8.8", THERE, False)
        check("10.3.3.3", ADDED, True)
        # too many to do one by one
        many = [f"!10.20.{i // 256}.{i % 256}" for i in range(600)]
        w.t("add", *many)
        eq(nots(), {"10.9.9.9", "10.8.8.8", "2001:db8::/64", *(a[1:] for a in many)})
        check("10.20.1.1", THERE, False)
        w.t("flush")
        eq(nots(), set())
        check("10.9.9.9", ADDED, True)


# --- life ---

@timeout(240)
@BOTH
def test_killed(_name, emitter, version):
    """What was added while no pfd ran is in force, and the next one takes it in."""
    a, b = nth(version, 1), nth(version, 2)
    with Lab(hosts=2, v6=False, pfd_args=("--emitter", emitter), rules=RULES) as lab, \
            Written(lab) as w:
        lab.pf.stop(signal.SIGKILL)
        eq((w.add(a), w.drops(a), w.drops(b)), (ADDED, True, False))
        time.sleep(0.3)
        eq((w.drops(a), len(w.hosts())), (True, 1))
        lab.pf.start()
        eq((w.drops(a), w.shown()), (True, [a]))
        w.settle()
        eq((w.add(b), w.drops(b)), (ADDED, True))
        # an orderly end, too
        lab.pf.stop()
        c = nth(version, 3)
        eq((w.add(c), w.drops(c)), (ADDED, True))
        lab.pf.start()
        w.settle()
        eq(([w.drops(x) for x in (a, b, c)], w.shown()), ([True] * 3, [a, b, c]))


@timeout(120)
def test_expires():
    """-T expire: what the datapath adds has its age from that moment on."""
    a, b, c = (nth(4, i) for i in range(3))
    with Lab(hosts=2, v6=False, rules=RULES) as lab, Written(lab) as w:
        w.t("add", c)
        lab.pf.stop(signal.SIGKILL)
        eq(w.add(a), ADDED)
        time.sleep(10.1)
        eq((w.add(a), w.add(b)), (THERE, ADDED))
        lab.pf.start()
        w.t("expire", "9")
        eq((w.shown(), w.drops(a), w.drops(b), w.drops(c)), ([b], False, True, False))
        w.settle()
        time.sleep(2.1)
        # one that is there is not made younger
        eq(w.add(b), ADDED)
        w.t("expire", "1")
        eq((w.shown(), w.drops(b)), ([], False))
        eq((w.add(b), w.drops(b)), (ADDED, True))


@timeout(240)
def test_killed_while_it_folds():
    """Killed at any time, pfd loses nothing, and says of nothing that it is there twice."""
    with Lab(hosts=2, v6=False, rules=RULES) as lab, Written(lab) as w:
        have = []
        for i in range(12):
            for k in range((3, 700)[i % 2]):
                have.append(nth((4, 6)[k % 2], i << 12 | k))
                eq(w.add(have[-1]), ADDED)
            time.sleep(i * 0.012)
            w.restart()
            for a in have[-3:]:
                eq(w.drops(a), True, a)
            eq(sorted(w.shown()), sorted(have))
        w.settle()


@timeout(120)
def test_table_that_goes():
    """With a table goes what the datapath has added to it; its slot begins anew."""
    other = "block drop from 192.0.2.3\n"
    with Lab(hosts=2, v6=False, rules=NOTS) as lab, Written(lab) as w:
        with Stopped(lab.pf):
            eq([w.add(nth(v, 1)) for v in (4, 6)], [ADDED] * 2)
            load = subprocess.Popen(["ip", "netns", "exec", lab.fw.name,
                                     os.path.join(BUILD, "pfctl-linux"), "-p", lab.pf.socket,
                                     "-f", "-"], stdin=subprocess.PIPE, text=True)
            load.stdin.write(other)
            load.stdin.close()
        eq(load.wait(20), 0)
        lab.pf.ctl("-FTables")
        eq((w.hosts(), w.hosts("table_nots"), w.roots()), (set(), set(), (0, 0, 0, 0)))
        eq(w.add(nth(4, 2)), LOST)
        # killed before it could say so: nothing of it comes back
        lab.pf.stop(signal.SIGKILL)
        with_map(lab, "table_delta", lambda m: m.set(
            struct.pack("=IBBH16s", w.slot, 4, 32, 0, bytes((10, 0, 0, 1))), bytes(4)))
        with_map(lab, "table_nots", lambda m: m.set(
            struct.pack("=III16s", 64 + 32, w.slot, 4, bytes((10, 0, 0, 1))), bytes(4)))
        lab.pf.start()
        eq((w.hosts(), w.hosts("table_nots")), (set(), set()))


@timeout(240)
@EMITTERS
def test_not_written_any_more(_name, emitter):
    """What was added until then is in the table; nothing is added, nor told apart, from then on."""
    with Lab(hosts=2, v6=False, pfd_args=("--emitter", emitter), rules=NOTS) as lab, \
            Written(lab) as w:
        lab.pf.stop(signal.SIGKILL)
        eq([w.add(a) for a in ("192.0.2.8", "2001:db8:5::5", "192.0.2.7")], [ADDED, ADDED, THERE])
        w.mark("off")
        eq((w.roots()[2:], w.hosts(), w.hosts("table_nots")), ((NONE, SHUT), set(), set()))
        eq([w.drops(a) for a in ("192.0.2.8", "2001:db8:5::5", "192.0.2.7")], [True, True, False])
        eq(w.add("192.0.2.9"), LOST)
        lab.pf.start()
        eq({"192.0.2.8", "2001:db8:5::5", "!192.0.2.7"} <= set(w.shown()), True)
        eq((w.roots()[2:], w.add("192.0.2.9"), w.drops("192.0.2.9")), ((NONE, SHUT), LOST, False))
        # and written again
        lab.pf.stop(signal.SIGKILL)
        w.mark("on")
        eq((w.roots()[2:], len(w.hosts("table_nots"))), ((NONE, OPEN), 6))
        eq((w.add("192.0.2.9"), w.drops("192.0.2.9")), (ADDED, True))
        lab.pf.start()
        eq("192.0.2.9" in w.shown(), True)


# --- limits ---

@timeout(240)
def test_full_delta():
    """The delta takes so many and tells of the next ones; folded, it takes as many again."""
    rules = "set limit table-entries 100000\n" + RULES
    with Lab(hosts=2, v6=False, rules=rules) as lab, Written(lab) as w:
        with Stopped(lab.pf):
            for i in range(MOST):
                eq(w.add(nth((4, 6)[i % 2], i)), ADDED)
            # the kernel keeps one more for each CPU
            got = [w.add(nth(4, MOST + 2 * i)) for i in range(50)]
            eq((got[-1], ADDED in got[got.index(LOST):]), (LOST, False))
            lost = got.count(LOST)
            eq(w.drops(nth(4, MOST + 98)), False)
        w.settle()
        eq(len(w.shown()), MOST + 50 - lost)
        eq(lab.pf.info()["tables: no room"], lost)
        for i in range(0, MOST, 997):
            eq(w.drops(nth((4, 6)[i % 2], i)), True)
        eq((w.add(nth(4, MOST + 98)), w.drops(nth(4, MOST + 98))), (ADDED, True))


@timeout(120)
def test_limit_of_entries():
    """At the limit what was let in stays, and the datapath is told to let in no more."""
    rules = "set limit table-entries 1000\n" + RULES
    with Lab(hosts=2, v6=False, rules=rules) as lab, Written(lab) as w:
        with Stopped(lab.pf):
            for i in range(1500):
                eq(w.add(nth((4, 6)[i % 2], i)), ADDED)
        w.settle()
        eq((len(w.shown()), w.roots()[3]), (1500, FULL))
        contains(lab.pf.said(), "table <t>: the datapath can add no more addresses: the limit of "
                 "1000 for all tables (set limit table-entries) is reached")
        eq((w.add(nth(4, 5000)), w.drops(nth(4, 5000))), (LOST, False))
        eq(w.add(nth(4, 0)), LOST)
        contains(w.t("add", nth(4, 5000), check=False).stderr, "limit of 1000")
        # a pfd that takes over says it again, and there is room again
        w.restart()
        eq((len(w.shown()), w.roots()[3]), (1500, FULL))
        for i in range(0, 1500, 77):
            eq(w.drops(nth((4, 6)[i % 2], i)), True)
        w.t("flush")
        wait_for("the table to be open", lambda: w.roots()[3] == OPEN, 5)
        contains(lab.pf.said(), "table <t>: the datapath can add addresses again")
        eq((w.add(nth(4, 5000)), w.drops(nth(4, 5000)), w.shown()), (ADDED, True, [nth(4, 5000)]))
        eq(lab.pf.said().count("can add no more"), 1)
