# SPDX-License-Identifier: BSD-2-Clause
"""The state table: its model (bpf/table.pml), and the real one under load on every CPU."""
import os
import random
import struct
import subprocess
import threading
import time

from pft import spin
from pft.check import Skip, at_least, cases, contains, eq, matches, timeout
from pft.lab import BUILD, GHOST, GHOST_DST, MAC, Lab
from pft.table import Table, overflown, places
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import raw

SECONDS = int(os.environ.get("PF_STRESS_SECONDS", 10))
CHURN = os.path.join(BUILD, "stress/churn")
PUBLIC = "203.0.113.7"
# what rests for this many ticks may be used again: 256 ms at HZ=250
GRACE = 4
RULES = ("set limit states {limit}\n"
         "set timeout {{ tcp.first {t}, tcp.opening {t}, tcp.closed {t}, udp.first {t}, "
         "udp.single {t}, udp.multiple {t}, interval 1 }}\n"
         "block\npass in on ext proto {{ tcp udp }}\n"
         f"match out on int inet from 192.0.2.0/24 nat-to {PUBLIC} static-port\n"
         "pass out on int proto {{ tcp udp }}\n")


# --- the model ---

@timeout(300)
@cases(*spin.SEARCHES.items())
def test_model(_name, defines):
    found = spin.search(**defines)
    assert found.whole, found.text
    print(f"note: {found}")


@timeout(300)
@cases(*spin.MUTATIONS.items())
def test_broken_model(name, defines):
    """A property that cannot fail says nothing."""
    found = spin.search(**{**defines, name: 1})
    assert found.error and "assertion violated" in found.error, found.text


# --- where states stand ---

def test_neighbours_stand_apart():
    """Keys that differ in one byte, whichever it is and whatever the secret one."""
    r = random.Random(1)
    for _ in range(40):
        secret = [r.getrandbits(32) for _ in range(12)]
        key = bytearray(r.randbytes(40))
        for at in range(40):
            found = set()
            for byte in range(256):
                found.add(places(secret, key[:at] + bytes([byte]) + key[at + 1:], 75000))
            # two of them, now and then
            at_least(len(found), 255, f"places, if byte {at} differs")


@timeout(180)
def test_neighbours_are_where_they_should_be():
    with Lab(hosts=2, rules="pass in on ext\n") as lab:
        for n in range(256):
            for pkt in (IP(src=f"192.0.2.{n}", dst=GHOST_DST),
                        IPv6(src=f"2001:db8:1::{n:x}", dst="2001:db8:2::99")):
                lab.pf.run("ext", "in", raw(Ether(dst=MAC["ext"]) / pkt / UDP(sport=1, dport=53)))
        table = Table(lab.pf)
        eq((table.faults(), overflown(lab.pf.map("buckets"))), ([], 0))
        at_least(len(table.live), 512, "states")


# --- the real one ---

def settle(lab, limit):
    """Nothing expires any more."""
    lab.pf.load(RULES.format(limit=limit, t=86400))


def check_table(lab, least):
    t = Table(lab.pf)
    eq(t.faults(), [])
    eq(t.queue_faults(lab.pf), [])
    at_least(len(t.live), least, "live states")


class Flusher(threading.Thread):
    """pfctl -F states, again and again: it ends states and wants their slots back at once."""

    def __init__(self, lab):
        super().__init__()
        self.lab, self.stop, self.times, self.ended = lab, False, 0, 0
        self.start()

    def run(self):
        while not self.stop:
            said = self.lab.pf.ctl("-F", "states").stderr
            self.times += 1
            self.ended += int(matches(said, r"^(\d+) states cleared$")[1])
            time.sleep(random.random() / 4)

    def end(self):
        self.stop = True
        self.join()


@timeout(SECONDS + 110)
@cases(("room", 1000), ("at_the_limit", 12))
def test_churn(_name, limit):
    """The same few connections made, found and ended on all CPUs, in two full buckets."""
    if not os.path.exists(CHURN):
        raise Skip(f"{CHURN} is not built (make stress)")
    seed = os.environ.get("PF_SEED") or str(random.randrange(1 << 32))
    print("PF_SEED=" + seed)
    seconds = max(SECONDS // 2, 3)
    with Lab(rules=RULES.format(limit=limit, t=1), v6=False) as lab:
        fds = [lab.pf.program("ext", "in"), lab.pf.program("int", "out")]
        p = lab.fw.popen([CHURN, lab.pf.pin, *fds, "ext", "int", seconds, GRACE, seed],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=fds)
        end = time.monotonic() + seconds
        flusher = Flusher(lab)
        buckets, most = lab.pf.map("buckets"), 0
        while p.poll() is None:
            most = max(most, overflown(buckets))
            if time.monotonic() > end - seconds / 2 and not flusher.stop:
                # some are left to be looked at
                flusher.end()
                settle(lab, limit)
            time.sleep(0.05)
        out, err = p.communicate()
        eq((p.returncode, err), (0, ""), out)
        time.sleep(0.2)  # a sweep that has begun
        info = lab.pf.info()
        print(f"note: {out.strip()}; {info['inserts']} states made, {info['removals']} ended, "
              f"{flusher.times} times flushed; {most} keys overflown at most")
        at_least(info["inserts"], 100 * seconds, "states made")
        at_least(flusher.ended, 1, "states flushed")
        if limit > 100:
            at_least(most, 1, "keys overflown")
        check_table(lab, 5)
        for fd in fds:
            os.close(fd)


@cases(("count", "counted"), ("duplicate", "live with one key"), ("lost", "stands 0 times"),
       ("twice", "stands 2 times"), ("dead", "by no key of it"), ("overflow", "overflown keys"),
       ("queue", "in no place"), ("limbo", "in 2 places"))
def test_fault_is_found(what, said):
    """Each thing that the check of the table looks for."""
    with Lab(hosts=2, v6=False, rules=RULES.replace("match", "# match").replace(
            "pass out", "# pass out").format(limit=1000, t=86400)) as lab:
        for port in (1, 2):
            lab.pf.run("ext", "in", raw(Ether(dst=MAC["ext"]) / IP(src=GHOST, dst=GHOST_DST) /
                                        UDP(sport=port, dport=53)))
        t = Table(lab.pf)
        eq((t.faults(), len(t.live)), ([], 2))
        one, two = t.live
        tag, nr, _ = t.place(t.live[one].keys[0][0])
        buckets, states = lab.pf.map("buckets"), lab.pf.map("states")
        bucket = bytearray(buckets.get(struct.pack("=I", nr)))
        place = struct.unpack_from("=8H", bucket, 16).index(tag)
        if what == "count":
            lab.pf.map("status").set(struct.pack("=I", 0), struct.pack("=I", 3).ljust(
                lab.pf.map("status").value_size, b"\0"))
        elif what == "duplicate":
            states.set(struct.pack("=I", two), states.get(struct.pack("=I", one)))
        elif what == "lost":
            struct.pack_into("=H", bucket, 16 + 2 * place, 0)
        elif what == "twice":
            struct.pack_into("=H", bucket, 16 + 2 * (place + 1), tag)
            struct.pack_into("=I", bucket, 32 + 4 * (place + 1), one)
        elif what == "dead":
            struct.pack_into("=H", bucket, 16 + 2 * (place + 1), tag)
            struct.pack_into("=I", bucket, 32 + 4 * (place + 1), 77)
        elif what == "overflow":
            struct.pack_into("=I", bucket, 8, 1)
        elif what == "queue":
            lab.pf.map("free").pop()
        elif what == "limbo":
            lab.pf.map("limbo").push(struct.pack("=II", one, 1 << 30))  # not yet
        buckets.set(struct.pack("=I", nr), bucket)
        t = Table(lab.pf)
        contains("\n".join(t.faults() + t.queue_faults(lab.pf)), said)
