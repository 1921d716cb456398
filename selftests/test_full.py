# SPDX-License-Identifier: BSD-2-Clause
"""What runs full: what it refuses is dropped and counted, nothing leaks, and it ends by itself."""
import errno
import struct
import time

from pft.check import absent, at_least, cases, contains, eq, matches, timeout
from pft.inject import go
from pft.lab import GHOST, GHOST_DST, Lab, Stopped
from pft.netns import wait_for
from pft.state import SLOT, Slots
from pft.table import Table, drain, is_empty, rest_for_long
from scapy.layers.inet import IP, TCP, UDP

DEAD, LOST = 3, 4  # PF_SLOT_*
SWEEPS_AT = 136  # in struct pf_status
KEPT = "set timeout { udp.first 3000 }\n"


def udp(lab, sport, dport=53, src=GHOST):
    return go(lab, IP(src=src, dst=GHOST_DST) / UDP(sport=sport, dport=dport) / b"q")


def connect(lab, sport, src=GHOST):
    """How many segments of a handshake passed."""
    there, back = {"sport": sport, "dport": 80}, {"sport": 80, "dport": sport}
    steps = ((IP(src=src, dst=GHOST_DST) / TCP(flags="S", seq=100, **there), "in"),
             (IP(src=GHOST_DST, dst=src) / TCP(flags="SA", seq=500, ack=101, **back), "out"),
             (IP(src=src, dst=GHOST_DST) / TCP(flags="A", seq=101, ack=501, **there), "in"))
    n = 0
    while n < 3 and go(lab, steps[n][0], way=steps[n][1]):
        n += 1
    return n


def u32(n):
    return struct.pack("=I", n)


def counted(lab):
    info = lab.pf.info()
    return info["current entries"], info["inserts"], info["memory"]


def whole(lab):
    """Nothing is lost of the table; it makes no states after that."""
    t = Table(lab.pf)
    eq(t.faults(), [])
    eq(t.queue_faults(lab.pf), [])


# --- many that end ---

def test_slots_rest_no_longer_than_they_must():
    """Where so many end that spare slots run out, pfd gives them back."""
    rules = "set timeout { interval 1, udp.first 1 }\npass in on ext proto udp\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        rest_for_long(lab.pf)
        limbo = lab.pf.map("limbo")
        for n in range(50):
            udp(lab, n)
        wait_for("states that have ended", lambda: counted(lab)[0] == 0, 20)
        wait_for("their slots", lambda: is_empty(limbo), 20)
        limbo.close()
        whole(lab)


def sweeps(lab):
    """How many slices there were in a second."""
    def now():
        m = lab.pf.map("status")
        n, = struct.unpack_from("=Q", m.get(u32(0)), SWEEPS_AT)
        m.close()
        return n
    before, begin = now(), time.monotonic()
    time.sleep(2)
    return (now() - before) / (time.monotonic() - begin)


def test_sweep_hurries_when_states_have_little_time():
    """Adaptive timeouts help no sooner than somebody looks."""
    rules = (KEPT + "set timeout { adaptive.start 10, adaptive.end 110 }\n"
             "pass in on ext proto udp\n")
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        usual = sweeps(lab)
        for n in range(60):
            udp(lab, n)
        eq(sweeps(lab) < 2 * usual, True, "half the time is left")
        for n in range(60, 70):
            udp(lab, n)
        eq(sweeps(lab) > 3 * usual, True, "less than half of it")


# --- set limit states ---

@timeout(90)
def test_states():
    """Told once, however many there are; who has a state notices nothing; it ends by itself."""
    rules = ("set limit states 10\nset timeout { interval 1, udp.first 3, udp.single 3, "
             "udp.multiple 3000 }\nset timeout { adaptive.start 0, adaptive.end 0 }\n"
             "block\npass in on ext proto udp\n")
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        for _ in range(3):  # talks both ways, and so lives on
            udp(lab, 1)
            go(lab, IP(src=GHOST_DST, dst=GHOST) / UDP(sport=53, dport=1), way="out")
        eq([udp(lab, n) for n in range(2, 16)], [True] * 9 + [False] * 5)
        for n in range(100, 400):
            eq((udp(lab, n), udp(lab, 1)), (False, True))
        wait_for("a word of it", lambda: "the limit" in lab.pf.said())
        said = matches(lab.pf.said(), r"^pfd: the limit of 10 states \(set limit states\) is "
                       r"reached: (\d+) packets of new connections were dropped$")
        eq(0 < int(said[1]) <= 305, True, said[0])
        info = lab.pf.info()
        eq((info["current entries"], info["state-limit"], info["memory"]), (10, 305, 305))
        wait_for("the others' end", lambda: lab.pf.info()["current entries"] == 1, 15)
        eq([udp(lab, n) for n in range(2, 13)], [True] * 9 + [False] * 2)
        eq(udp(lab, 1), True)
        time.sleep(2)
        eq(lab.pf.said().count("the limit"), 1, "once a minute")
        absent(lab.pf.said(), "no room")
        # none ends while the table is looked at
        wait_for("their end", lambda: lab.pf.info()["current entries"] == 1, 15)
        whole(lab)


def test_max_of_a_rule_is_no_shortage():
    """It is what the rule says, as a limiter that blocks is, and max-src-nodes."""
    with Lab(hosts=2, v6=False, rules="pass in proto udp keep state (max 2)\n") as lab:
        eq([udp(lab, n) for n in range(1, 6)], [True, True, False, False, False])
        for kind in ("state limiter a id 1 limit 2\n",
                     "source limiter a id 1 entries 9 limit 2\n"):
            lab.pf.load(kind + "block\npass in proto udp to port 54 " + kind[:kind.index(" a ")] +
                        " a (block)\n")
            eq([udp(lab, n, dport=54) for n in range(1, 6)], [True, True, False, False, False])
            lab.pf.ctl("-F", "states")
        lab.pf.load("block\npass in proto udp to port 54 keep state (max-src-nodes 1)\n")
        eq([udp(lab, 1, 54, a) for a in (GHOST, "192.0.2.101")], [True, False])
        time.sleep(2)
        absent(lab.pf.said(), "dropped")


# --- set limit src-nodes ---

def test_sources():
    """Told once; who is tracked already goes on."""
    rules = ("set limit src-nodes 2\nblock\n"
             "pass in on ext proto udp to port 53 keep state (max-src-states 100)\n")
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        with Stopped(lab.pf):
            eq([udp(lab, 1, src=f"192.0.2.{n}") for n in range(100, 105)],
               [True] * 2 + [False] * 3)
        eq([udp(lab, n) for n in range(1, 5)], [True] * 4)
        wait_for("a word of it", lambda: "the limit" in lab.pf.said())
        contains(lab.pf.said(), "pfd: the limit of 2 tracked sources (set limit src-nodes) is "
                 "reached: 3 packets of new connections were dropped\n")
        eq((lab.pf.info()["src-limit"], lab.pf.info()["state-limit"]), (3, 0))
        eq(udp(lab, 1, src="192.0.2.105"), False)
        time.sleep(2)
        eq(lab.pf.said().count("the limit"), 1, "once a minute")
        absent(lab.pf.said(), "no room")


# --- the queues of slots ---

def test_no_slot():
    """More states rest or are lost than there are slots to spare."""
    with Lab(hosts=2, v6=False, rules=KEPT + "pass in on ext\n") as lab:
        eq([udp(lab, n) for n in (1, 2)], [True, True])
        taken = drain(lab.pf.map("free"))
        at_least(len(taken), 100000)
        with Stopped(lab.pf):
            eq([udp(lab, n) for n in (3, 4, 5)], [False] * 3)
        eq(udp(lab, 1), True, "one that has a state")
        eq(counted(lab), (2, 2, 3))
        eq(lab.pf.info()["state-limit"], 0)
        wait_for("a word of it", lambda: "no room" in lab.pf.said())
        contains(lab.pf.said(), "no room for a state or what belongs to it: 3 packets were dropped")
        absent(lab.pf.said(), "the limit")
        # one that has rested is taken at once, by the packet itself
        free = lab.pf.map("free")
        lab.pf.map("limbo").push(taken.pop() + bytes(4))
        eq((udp(lab, 3), udp(lab, 4)), (True, False))
        for index in taken:
            free.push(index)
        eq(udp(lab, 4), True)
        whole(lab)


def stuff(queue, value):
    """Until no more goes in: what leads to no slot is passed over."""
    n = 0
    try:
        while True:
            queue.push(value)
            n += 1
    except OSError as e:
        eq(e.errno, errno.E2BIG)
    return n


class Statuses:
    """How many slots have one of these."""

    def __init__(self, lab):
        slots = Slots(lab.pf)
        self.words = memoryview(slots.mem)[:slots.size].cast("I")[10::SLOT // 4]

    def count(self, *wanted):
        return sum(s in wanted for s in self.words.tolist())


@timeout(90)
@cases(("resting",), ("free",))
def test_queue_is_full(which):
    """A slot that no queue takes is lost for a while only."""
    with Lab(hosts=2, v6=False, rules=KEPT + "set timeout interval 1\npass in on ext\n") as lab:
        eq([udp(lab, n) for n in range(1, 21)], [True] * 20)
        name, value = (("limbo", struct.pack("=II", 1 << 31, 0x7fffffff)) if which == "resting"
                       else ("free", u32(1 << 31)))
        queue = lab.pf.map(name)
        # the free queue has room for just what belongs there
        if which == "resting":
            held = []
            at_least(stuff(queue, value), 1)
        else:
            held = [queue.pop() for _ in range(50)]
            at_least(stuff(queue, value), 50)
        eq(lab.pf.ctl("-k", GHOST).stderr.split()[1], "20")
        slots = Statuses(lab)
        wait_for("slots to be lost", lambda: slots.count(LOST), 10)
        eq(counted(lab)[0], 0)
        # the sweep offers them, in vain
        time.sleep(2.5)
        eq(slots.count(DEAD, LOST), 20)
        held += [v for v in drain(queue) if v != value]
        queue = lab.pf.map(name)
        for v in held:
            queue.push(v)
        wait_for("the sweep to offer them", lambda: not slots.count(DEAD, LOST), 10)
        whole(lab)


# --- maps that belong to states ---

def many_matches():
    return "".join(f"match in proto udp to port 53 label l{n}\n" for n in range(12))


LIMITED = "pass in proto udp keep state (max 100, max-src-states 50, source-track rule)\n"


def nothing_left(lab):
    """No state, and nothing that one had."""
    eq(lab.pf.map("match_more").keys(), [])
    eq([n["states"] for _, n in lab.pf.rule_numbers()], [0] * len(lab.pf.rule_numbers()))
    for key in lab.pf.map("rule_states").keys():
        eq(struct.unpack("=I", lab.pf.map("rule_states").get(key)[:4])[0], 0)
    for line in lab.pf.ctl("-sS").stdout.splitlines():
        contains(line, "states 0, connections 0")


def test_matches_find_no_room():
    """Rules that a state counts for, of which it has no room for so many itself."""
    with Lab(hosts=2, v6=False, rules=KEPT + many_matches() + LIMITED) as lab:
        more = lab.pf.map("match_more")
        keys = [struct.pack("=Q", n) for n in range(1, more.max_entries + 1)]
        more.fill([(k, bytes(more.value_size)) for k in keys])
        eq([udp(lab, n) for n in (1, 2, 3)], [False] * 3)
        eq(counted(lab), (0, 0, 3))
        eq(udp(lab, 1, 54), True, "few rules match this one")
        lab.pf.ctl("-F", "states")
        for k in keys:
            more.delete(k)
        nothing_left(lab)
        eq([udp(lab, n) for n in (1, 2, 3)], [True] * 3)
        eq(len(more.keys()), 3)
        lab.pf.ctl("-F", "states")
        nothing_left(lab)
        whole(lab)


@cases(("plain", ""),
       ("translated", "match out on ext inet from any nat-to 192.0.2.2 static-port\n"))
def test_buckets_are_full(_name, nat):
    """Both places where a key may stand are others'."""
    way = "out" if nat else "in"
    rules = (KEPT + many_matches().replace("in", way) + nat + LIMITED.replace("in", way))
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        def query():
            return go(lab, IP(src=GHOST_DST, dst=GHOST) / UDP(sport=7, dport=53), way="out") \
                if nat else udp(lab, 7)

        eq(query(), True)
        t = Table(lab.pf)
        (state,) = t.live.values()
        places = {b for key, _ in state.keys for b in t.place(key)[1:]}
        buckets = lab.pf.map("buckets")
        lab.pf.ctl("-F", "states")
        nothing_left(lab)
        was = {b: buckets.get(u32(b)) for b in places}
        for b, value in was.items():
            full = bytearray(value)
            full[16:32] = b"\x01\x00" * 8  # of nobody's key
            buckets.set(u32(b), full)
        eq([query() for _ in range(3)], [False] * 3)
        eq(counted(lab), (0, 1, 3))
        nothing_left(lab)
        for b, value in was.items():
            got = buckets.get(u32(b))
            eq(got[8:12], value[8:12], "keys that are told to be elsewhere")
            buckets.set(u32(b), got[:16] + bytes(16) + value[32:])
        eq(query(), True)
        whole(lab)


@timeout(120)
def test_sources_find_no_room():
    rules = KEPT + "set limit src-nodes 1000\n" + LIMITED + "pass in proto icmp\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        nodes = lab.pf.map("sources")
        # rule 0xffffff: nobody's.  It has states, so that it is left alone.
        keys = [struct.pack("=IIIIII", n, 0, 0, 0, 0xffffff, 4) for n in range(nodes.max_entries)]
        node = struct.pack("=Q", 1).ljust(nodes.value_size, b"\0")
        for at in range(0, len(keys), 65536):
            nodes.fill([(k, node) for k in keys[at:at + 65536]])
        eq([udp(lab, n) for n in (1, 2, 3)], [False] * 3)
        eq(counted(lab), (0, 0, 3))
        status = lab.pf.map("status").get(u32(0))
        eq(struct.unpack_from("=I", status, 64 * 3)[0], 0, "nodes")
        for k in keys:
            nodes.delete(k)
        eq([udp(lab, n) for n in (1, 2)], [True] * 2)
        eq(counted(lab), (2, 2, 3))
        eq(struct.unpack_from("=I", lab.pf.map("status").get(u32(0)), 64 * 3)[0], 1, "nodes")
        lab.pf.ctl("-F", "states")
        nothing_left(lab)
        whole(lab)


def test_count_of_a_rule_is_gone():
    """A limit that cannot be looked up lets nothing through."""
    with Lab(hosts=2, v6=False, rules=KEPT + LIMITED) as lab:
        eq(udp(lab, 1), True)
        counts = lab.pf.map("rule_states")
        (key,) = counts.keys()
        was = counts.get(key)
        counts.delete(key)
        eq((udp(lab, 2), udp(lab, 1)), (False, True))
        eq(counted(lab), (1, 1, 1))
        counts.set(key, was)
        eq(udp(lab, 2), True)
        lab.pf.ctl("-F", "states")
        nothing_left(lab)


# --- offenders ---

OFFENCE = ("table <bad> persist\nblock in quick from <bad>\npass in proto tcp to port 80 "
           "keep state (max-src-conn 1, overload <bad> flush global)\npass in proto udp\n")


def test_offender_finds_no_room_in_the_table():
    """Its connection ends all the same, and its states; the next one brings it in."""
    with Lab(hosts=2, v6=False, rules="set limit table-entries 1\n" + KEPT + OFFENCE) as lab:
        for src in ("192.0.2.101", "192.0.2.102"):
            eq([connect(lab, n, src) for n in (1, 2)], [3, 2])
        wait_for("a full table", lambda: "can add no more" in lab.pf.said())
        eq(udp(lab, 1), True)
        eq([connect(lab, n) for n in (1, 2)], [3, 2])
        wait_for("the flush", lambda: lab.pf.info()["current entries"] == 0, 3)
        info = lab.pf.info()
        eq((info["tables: no room"], info["src-limit"]), (1, 3))
        lab.pf.ctl("-t", "bad", "-T", "flush")
        wait_for("room", lambda: "can add addresses again" in lab.pf.said())
        eq([connect(lab, n) for n in (3, 4, 5)], [3, 2, 0])
        eq(lab.pf.ctl("-t", "bad", "-T", "show").stdout.split(), [GHOST])


def test_too_many_offenders():
    """The states of the one too many stay until it offends again; the list empties itself."""
    rules = KEPT + OFFENCE.replace("block in quick from <bad>\n", "")
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        flushes = lab.pf.map("flushes")
        keys = [struct.pack("=IIIIII", n, 0, 0, 0, 0, 4) for n in range(flushes.max_entries)]
        eq(udp(lab, 1), True)
        eq(connect(lab, 1), 3)
        # until a pass begins they stand there: none has been asked for
        flushes.fill([(k, bytes(flushes.value_size)) for k in keys])
        eq(connect(lab, 2), 2, "not a connection more")
        wait_for("an empty list", lambda: not flushes.keys(), 3)
        eq(lab.pf.info()["current entries"], 2)
        wait_for("a word of it", lambda: "offenders" in lab.pf.said())
        contains(lab.pf.said(), "too many offenders at once: the states of 1 were not flushed")
        eq(connect(lab, 3), 2)
        wait_for("the flush", lambda: lab.pf.info()["current entries"] == 0, 3)
