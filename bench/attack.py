# SPDX-License-Identifier: BSD-2-Clause
"""A bulk transfer through fw while it is flooded with first segments of connections."""
import os
import struct
import subprocess
import time

import frames
import policy
from common import QUICK, SLOW_ROUNDS, ratio, rounds, say, table, title
from path import FLOOD
from pft.lab import DST, Lab

STATES = 50000 if QUICK else 200000
FLOODS = (0, 500000)  # segments a second that are asked for
SECONDS = {0: 1.5, FLOODS[1]: 4 if QUICK else 9}  # with and without one
LEAST = 0.9
HOSTS = 250
RULES = (f"set limit states {STATES}\nset timeout {{ interval 1, adaptive.start {STATES // 10}, "
         f"adaptive.end {STATES * 51 // 50} }}\nblock\npass in on ext proto tcp\npass out on int\n")
NFT = ("table ip bench {\nchain forward { type filter hook forward priority 0; policy drop;\n"
       "ct state established,related accept\nip protocol tcp iifname ext accept\n}\n}\n")


class Bulk:
    """One connection from src to dst, that two processes keep full."""

    def __init__(self, lab):
        with lab.dst.listen(9000) as server:
            self.out = lab.src.connect(DST, 9000, 5)
            self.inn, _ = server.accept()
        self.got = os.memfd_create("got")
        os.write(self.got, bytes(8))
        self.pids = [self._child(self._send), self._child(self._receive)]

    def _child(self, work):
        pid = os.fork()
        if pid == 0:
            try:
                work()
            finally:
                os._exit(0)
        return pid

    def _send(self):
        block = bytes(1 << 17)
        self.out.settimeout(None)
        while True:
            self.out.sendall(block)

    def _receive(self):
        n, room = 0, bytearray(1 << 20)
        self.inn.settimeout(None)
        while True:
            n += self.inn.recv_into(room)
            os.pwrite(self.got, struct.pack("=Q", n), 0)

    def bytes(self):
        return struct.unpack("=Q", os.pread(self.got, 8, 0))[0]

    def close(self):
        for pid in self.pids:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        self.out.close()
        self.inn.close()
        os.close(self.got)


class Flood:
    def __init__(self, lab):
        self.lab, self.file = lab, os.path.join(lab.dir, "syns")
        self.dropped = 0
        self.dropped = self.lost()
        with open(self.file, "wb") as f:
            f.write(b"".join(frames.frame(policy.Flow(policy.TCP, 0xc0000203 + i,
                                                      policy.GHOST_DST, 80))
                             for i in range(HOSTS)))

    def start(self, rate, seconds):
        return self.lab.src.popen([FLOOD, "-f", 60000, "-r", rate, "src", self.file, seconds, 0],
                                  stdout=subprocess.PIPE)

    def lost(self):
        """On the wire: fw had no time for them."""
        with self.lab.src, open("/proc/thread-self/net/dev", encoding="ascii") as f:
            now = next(int(line.split(":")[1].split()[11]) for line in f
                       if line.split(":")[0].strip() == "src")
        return now - self.dropped


def _connects(lab):
    """(new connections that came about, tried)"""
    n, tries = 0, 4
    for _ in range(tries):
        n += lab.src.can_connect(DST, 9001, 0.1) == "yes"
    return n, tries


class Subject:
    """One firewall, or none, with its figures."""

    def __init__(self, name):
        self.name = name
        self.floods = {}  # rate: segments a second that came to fw
        self.new = {}  # rate: [of new connections, tried]

    def start(self, lab):
        if self.name == "pf":
            lab.pf.ctl("-e", check=False)
            lab.pf.load(RULES)
        elif self.name == "nft":
            lab.fw.run("nft", "-f", "-", input=NFT)

    def stop(self, lab):
        if self.name == "pf":
            lab.pf.ctl("-F", "states")
            lab.pf.ctl("-d")
        elif self.name == "nft":
            lab.fw.run("nft", "flush", "ruleset")

    def run(self, lab, rate):
        """Megabytes a second of the bulk transfer, in the second half."""
        self.start(lab)
        bulk, flood, half = Bulk(lab), Flood(lab), SECONDS[rate] / 2
        try:
            time.sleep(0.3)
            p = flood.start(rate, 2 * half + 1) if rate else None
            time.sleep(half)
            was, began = bulk.bytes(), time.monotonic()
            time.sleep(half)
            took = time.monotonic() - began
            got = (bulk.bytes() - was) / took / 1e6
            new = self.new.setdefault(rate, [0, 0])
            for i, n in enumerate(_connects(lab)):
                new[i] += n
            if p:
                self.floods[rate] = (int(p.communicate()[0]) - flood.lost()) / (2 * half + 1)
        finally:
            bulk.close()
            self.stop(lab)
        return got


def attack_section(peers):
    """a bulk transfer amid a flood of SYNs"""
    title(f"A TCP transfer amid a flood of SYNs, {STATES} states")
    say("the flood, transfer and firewall share the CPUs: compare with no filter; new: first")
    say("attempts of real connections that came about within 0.1 s")
    subjects = [Subject(n) for n in ("none", "pf", *(p for p in ("nft",) if p in peers))]
    with Lab(v6=False) as lab, lab.dst.listen(9001, backlog=1024):
        lab.pf.ctl("-d")
        got = rounds({(s, r): lambda s=s, r=r: s.run(lab, r) for r in FLOODS for s in subjects},
                     SLOW_ROUNDS)
    lines = []
    for r in FLOODS:
        for s in subjects:
            none = got[subjects[0], r]
            lines.append([f"{s.name}, " + (f"flood of {s.floods[r]:.0f}/s" if r else "no flood"),
                          f"{got[s, r]:.0f}", ratio(got[s, r], none) if s.name != "none" else None,
                          ratio(got[s, r], got[s, 0]) if r else None,
                          "{}/{}".format(*s.new[r])])
    table(["", "MB/s", "/ no filter", "/ no flood", "new"], lines)
    none, pf = ([got[s, r] for r in FLOODS] for s in subjects[:2])
    say("pf with flood / without, beside the same of no filter: "
        f"{ratio(pf[1] / pf[0], none[1] / none[0])}, target {LEAST}")
