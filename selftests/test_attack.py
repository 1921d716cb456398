# SPDX-License-Identifier: BSD-2-Clause
"""Under attack: floods of new connections, and offenders with very many states."""
import os
import socket
import struct
import subprocess
import threading
import time

from pft.check import at_least, cases, contains, eq, matches, timeout
from pft import bpf
from pft.lab import BUILD, DST, GHOST, GHOST_DST, MAC, Lab
from pft.netns import wait_for
from pft.table import Table
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import raw

FLOOD = os.path.join(BUILD, "bench/flood")
LIMIT = 50000


class SynFlood:
    """First segments from all hosts beyond src, each of another connection."""

    def __init__(self, lab):
        self.lab, self.file = lab, os.path.join(lab.dir, "syns")
        with open(self.file, "wb") as f:
            for host in range(3, 251):
                p = IP(src=f"192.0.2.{host}", dst=GHOST_DST) / TCP(sport=1, dport=80, flags="S")
                f.write(raw(Ether(dst=MAC["ext"], src=MAC["src"]) / p).ljust(60, b"\0"))
        self.proc = None

    def start(self, seconds, rate=0):
        self.proc = self.lab.src.popen([FLOOD, "-f", 60000, "-n", *(["-r", rate] if rate else []), "src",
                                        self.file, seconds, 0], stdout=subprocess.PIPE)

    def wait(self):
        out, _ = self.proc.communicate(timeout=30)
        eq(self.proc.returncode, 0)
        return int(out)


class Bulk:
    """One connection that is sent through as much as there can be; nothing of it may be lost."""

    def __init__(self, lab):
        self.server = lab.dst.listen(9000)
        self.out = lab.src.connect(DST, 9000, 5)
        self.inn, _ = self.server.accept()
        self.out.settimeout(20)
        self.inn.settimeout(20)
        self.sent = self.received = 0
        self.stop = False
        self.threads = [threading.Thread(target=t) for t in (self._send, self._receive)]
        for t in self.threads:
            t.start()

    def _send(self):
        block = bytes(65536)
        while not self.stop:
            self.out.sendall(block)
            self.sent += len(block)
        self.out.shutdown(socket.SHUT_WR)

    def _receive(self):
        while True:
            got = len(self.inn.recv(1 << 20))
            if not got:
                break
            self.received += got

    def goes_on(self):
        was = self.received
        wait_for("the transfer to go on", lambda: self.received > was + 100000, 10)

    def end(self):
        self.stop = True
        for t in self.threads:
            t.join()
        for s in (self.out, self.inn, self.server):
            s.close()
        eq(self.received, self.sent)


class Watch(threading.Thread):
    """The most states there have been at any time, as they are counted."""

    def __init__(self, lab):
        super().__init__()
        self.status, self.most, self.stop = lab.pf.map("status"), 0, False
        self.start()

    def run(self):
        while not self.stop:
            now, = struct.unpack_from("=I", self.status.get(bytes(4)))
            self.most = max(self.most, now)
            time.sleep(0.001)

    def end(self):
        self.stop = True
        self.join()
        return self.most


def connects(lab, seconds):
    """Does a new connection come about, the kernel's own attempts counted?"""
    return lab.src.can_connect(DST, 9001, seconds)


@timeout(120)
@cases(("adaptive", "adaptive.start 5000, adaptive.end 51000"),
       ("fixed", "adaptive.start 0, adaptive.end 0"))
def test_syn_flood(name, adaptive):
    """More than there is room for: who is connected goes on; adaptive timeouts make room."""
    rules = (f"set limit states {LIMIT}\nset timeout {{ interval 1, {adaptive} }}\n"
             "set skip on int\nblock\npass in on ext proto tcp\n")
    with Lab(rules=rules, v6=False) as lab, lab.dst.listen(9001):
        flood, bulk, watch = SynFlood(lab), Bulk(lab), Watch(lab)
        try:
            bulk.goes_on()
            eq(connects(lab, 2), "yes", "before")
            flood.start(4)
            wait_for("a full table", lambda: lab.pf.info()["state-limit"], 10)
            bulk.goes_on()
            sent = flood.wait()
            at_least(sent, LIMIT + 10000, "segments")
            wait_for("a word of it", lambda: "the limit" in lab.pf.said())
            if name == "fixed":
                # 120 seconds from now on
                eq(connects(lab, 2), "timeout")
                eq(lab.pf.info()["current entries"], LIMIT)
                bulk.goes_on()
                lab.pf.ctl("-k", "192.0.2.128/25")
            else:
                flood.start(14, 2500)
                for n in range(5):
                    eq(connects(lab, 12), "yes", f"amid the flood, {n}")
                bulk.goes_on()
                at_least(flood.wait(), 10000, "segments")
            eq(connects(lab, 2), "yes", "afterwards")
            contains(lab.pf.ctl("-ss").stdout, "ESTABLISHED:ESTABLISHED")
            eq(lab.pf.said().count("the limit"), 1)
        finally:
            most = watch.end()
            bulk.end()
        eq(most <= LIMIT, True, f"{most} states")
        at_least(most, LIMIT - 1, "states")
        print(f"note: {sent / 4:.0f} segments a second, {bulk.received / 1e6:.0f} MB meanwhile")
        lab.pf.load(rules.replace(adaptive, "tcp.first 9000, adaptive.start 0, adaptive.end 0"))
        lab.pf.ctl("-d")
        time.sleep(0.3)
        t = Table(lab.pf)
        eq(t.faults(), [])


# --- an offender ---

MANY = 200000
OTHERS = 5000
ROOM = MANY + 2 * OTHERS + 1000
ENDED = 5  # PF_SLOT_ENDED
FLUSH_ON_AT = 256  # in struct pf_status
GROWS = 60000
SWEEP_NS_AT = 200  # in struct pf_config


def fill(lab, src, n):
    """States of datagrams to as many ports, each judged on its own."""
    frame = bytearray(raw(Ether(dst=MAC["ext"]) / IP(src=src, dst=GHOST_DST) /
                          UDP(sport=1, dport=1, chksum=0) / b"x"))
    prog = lab.pf.program("ext", "in")
    with lab.fw:
        ifindex = lab.fw.ifindex("ext")
        for i in range(n):
            struct.pack_into("!HH", frame, 34, 1 + i % 60000, 53 + i // 60000)
            bpf.test_run(prog, frame, ifindex, out_size=64)
    os.close(prog)


class Offender:
    """Two connections to port 80 are one too many."""

    def __init__(self, lab, src):
        self.lab, self.src = lab, src

    def _segment(self, way, sport, flags, **numbers):
        ends, ports = (self.src, GHOST_DST), (sport, 80)
        if way == "out":
            ends, ports = ends[::-1], ports[::-1]
        p = IP(src=ends[0], dst=ends[1]) / TCP(sport=ports[0], dport=ports[1], flags=flags, **numbers)
        return self.lab.pf.run("ext", way, raw(Ether(dst=MAC["ext"]) / p))[0] == -1

    def connect(self, sport):
        """Whether the last segment of it passed."""
        eq(self._segment("in", sport, "S", seq=100), True)
        eq(self._segment("out", sport, "SA", seq=500, ack=101), True)
        return self._segment("in", sport, "A", seq=101, ack=501)


FLUSH = (f"set limit states {ROOM}\n"
         "set timeout { udp.first 3000, adaptive.start 0, adaptive.end 0 }\n"
         "table <bad> persist\nblock in quick from <bad>\npass in proto tcp to port 80 "
         "keep state (max-src-conn 1, overload <bad> flush global)\npass in proto udp\n")


def wait_for_flush(lab, left):
    """Until so many states are left, and what has ended is out of the table."""
    status = lab.pf.map("status")
    wait_for("the flush", lambda: struct.unpack_from("=I", status.get(bytes(4)))[0] == left, 2,
             0.0005)
    took = time.monotonic()
    wait_for("what has ended to be taken out", lambda: ENDED not in Table(lab.pf).status, 5)
    t = Table(lab.pf)
    eq((len(t.live), t.faults(), t.queue_faults(lab.pf)), (left, [], []))
    eq(lab.pf.info()["current entries"], left)
    return took


@timeout(120)
def test_flush_of_many():
    """All states of who offends end within a moment, and nobody else's."""
    other = "192.0.2.101"
    with Lab(hosts=2, v6=False, rules=FLUSH) as lab:
        offender = Offender(lab, GHOST)
        fill(lab, GHOST, MANY)
        fill(lab, other, OTHERS)
        eq(offender.connect(7), True)
        began = time.monotonic()
        eq(offender.connect(8), False)
        took = wait_for_flush(lab, OTHERS) - began
        print(f"note: {MANY} states ended within {took * 1000:.0f} ms")
        contains(lab.pf.ctl("-k", other).stderr, f"killed {OTHERS} states")


@timeout(120)
def test_flushes_of_many():
    """Who offends while the states of another one are taken out does not wait for that."""
    second, other = "192.0.2.101", "192.0.2.102"
    with Lab(hosts=2, v6=False, rules=FLUSH) as lab:
        status = lab.pf.map("status")
        offenders = Offender(lab, GHOST), Offender(lab, second)
        fill(lab, GHOST, MANY)
        fill(lab, second, OTHERS)
        fill(lab, other, OTHERS)
        for o in offenders:
            eq(o.connect(7), True)
        eq(offenders[0].connect(8), False)
        while struct.unpack_from("=I", status.get(bytes(4)))[0] > 2 * OTHERS + 1:
            pass
        eq(offenders[1].connect(8), False)
        taking_out = struct.unpack_from("=I", status.get(bytes(4)), FLUSH_ON_AT)[0]
        wait_for_flush(lab, OTHERS)
        print(f"note: the pass was {('over', 'begun anew', 'the second one')[taking_out]}")
        contains(lab.pf.ctl("-k", other).stderr, f"killed {OTHERS} states")


def mappings(lab):
    """How many maps pfd has in its memory: those of two state tables while one takes over."""
    with open(f"/proc/{lab.pf.proc.pid}/maps", encoding="ascii") as f:
        return f.read().count("bpf-map")


@timeout(120)
def test_flush_while_the_table_grows():
    """States are copied then, while packets still go by the originals."""
    rules = FLUSH.replace("\n", "\nset keepcounters\n", 1)
    during = 0
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        offender = Offender(lab, GHOST)
        for n, delay in enumerate((0, 0.05, 0.1, 0.2)):
            fill(lab, GHOST, GROWS)
            eq(offender.connect(100 * n + 1), True)
            maps = mappings(lab)
            larger = rules.replace(str(ROOM), str(ROOM * (n + 2)), 1)
            load = threading.Thread(target=lab.pf.load, args=(larger,))
            load.start()
            while mappings(lab) <= maps and load.is_alive():
                time.sleep(0.001)
            time.sleep(delay)
            eq(offender.connect(100 * n + 2), False)
            during += load.is_alive()
            load.join()
            wait_for("the flush", lambda: not lab.pf.info()["current entries"], 5)
            t = Table(lab.pf)
            eq((len(t.live), t.faults(), t.limit), (0, [], ROOM * (n + 2)))
            eq([r["states"] for _, r in lab.pf.rule_numbers()], [0, 0, 0])
            lab.pf.ctl("-t", "bad", "-T", "flush")
    at_least(during, 1, "flushes while the table grew")


def test_what_has_ended_does_not_grow():
    """A larger table does not have it, and its rule has it no more."""
    rules = "set limit states {}\nset keepcounters\npass in proto udp\n"
    with Lab(hosts=2, v6=False, rules=rules.format(5000)) as lab:
        fill(lab, GHOST, 1000)
        config, status, states = (lab.pf.map(m) for m in ("config", "status", "states"))
        c = bytearray(config.get(bytes(4)))
        struct.pack_into("=I", c, SWEEP_NS_AT, 4000000000)
        config.set(bytes(4), c)
        time.sleep(0.1)
        # as the first pass of a flush leaves them
        for index in list(Table(lab.pf).live)[:600]:
            at = struct.pack("=I", index)
            slot = bytearray(states.get(at))
            struct.pack_into("=I", slot, 40, ENDED)
            states.set(at, slot)
        now = bytearray(status.get(bytes(4)))
        struct.pack_into("=I", now, 0, 400)
        status.set(bytes(4), now)
        matches(lab.pf.ctl("-vsr").stdout, "States: 1000 ", "they count until they are out")
        lab.pf.load(rules.format(200000))
        matches(lab.pf.ctl("-vsr").stdout, "States: 400 ")
        t = Table(lab.pf)
        eq((len(t.live), t.faults(), t.limit), (400, [], 200000))
        contains(lab.pf.ctl("-F", "states").stderr, "400 states cleared")
        matches(lab.pf.ctl("-vsr").stdout, "States: 0 ")
