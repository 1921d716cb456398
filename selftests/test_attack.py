# SPDX-License-Identifier: BSD-2-Clause
"""Under attack: floods of new connections, and offenders with very many states."""
import os
import socket
import struct
import subprocess
import threading
import time

from pft.check import at_least, cases, contains, eq, timeout
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


@timeout(120)
def test_flush_of_many():
    """All states of who offends end within a moment, and nobody else's."""
    rules = (f"set limit states {MANY + OTHERS + 1000}\n"
             "set timeout { udp.first 3000, adaptive.start 0, adaptive.end 0 }\n"
             "table <bad> persist\nblock in quick from <bad>\npass in proto tcp to port 80 "
             "keep state (max-src-conn 1, overload <bad> flush global)\npass in proto udp\n")
    other = "192.0.2.101"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        there, back = {"sport": 7, "dport": 80}, {"sport": 80, "dport": 7}

        def segment(way, flags, ports, n, **numbers):
            ends = (GHOST, GHOST_DST) if way == "in" else (GHOST_DST, GHOST)
            moved = {k: v + n if v == 7 else v for k, v in ports.items()}
            p = IP(src=ends[0], dst=ends[1]) / TCP(flags=flags, **moved, **numbers)
            return lab.pf.run("ext", way, raw(Ether(dst=MAC["ext"]) / p))[0] == -1

        fill(lab, GHOST, MANY)
        fill(lab, other, OTHERS)
        for n in (0, 1):
            eq(segment("in", "S", there, n, seq=100), True)
            eq(segment("out", "SA", back, n, seq=500, ack=101), True)
            if n:
                began = time.monotonic()
            eq(segment("in", "A", there, n, seq=101, ack=501), not n)
        status = lab.pf.map("status")
        wait_for("the flush", lambda: struct.unpack_from("=I", status.get(bytes(4)))[0] == OTHERS,
                 2, 0.0005)
        print(f"note: {MANY} states ended within {(time.monotonic() - began) * 1000:.0f} ms")
        time.sleep(0.2)
        t = Table(lab.pf)
        eq((len(t.live), t.faults(), t.queue_faults(lab.pf)), (OTHERS, [], []))
        eq(lab.pf.info()["current entries"], OTHERS)
        contains(lab.pf.ctl("-k", other).stderr, f"killed {OTHERS} states")
