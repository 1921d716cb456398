# SPDX-License-Identifier: BSD-2-Clause
"""The state table as it stands in its maps: is it whole?  See bpf/table.h and bpf/abi.h."""
import errno
import struct
from collections import Counter

from .check import eq
from .state import LIVE, SLOT, Slots

BUCKET = 64
NAT = 0x10
IN, OUT = "in", "out"
M32 = (1 << 32) - 1
M64 = (1 << 64) - 1


class Bucket:
    """struct pf_bucket"""

    def __init__(self, data, at):
        *_, self.overflow, _ = struct.unpack_from("=IIII", data, at)
        tags = struct.unpack_from("=8H", data, at + 16)
        slots = struct.unpack_from("=8I", data, at + 32)
        self.entries = [(t, s) for t, s in zip(tags, slots) if t]


def places(hash_key, key, nbuckets):
    """A key's tag and both its buckets."""
    w = [(w + k) & M32 for w, k in zip(struct.unpack("=10I", key), hash_key)]
    h = sum(w[i] * w[i + 1] for i in range(0, 10, 2)) * 0x9e3779b97f4a7c15 & M64
    h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9 & M64
    h ^= h >> 32
    return h >> 48 | 1, (h & M32) * nbuckets >> 32, (h >> 20 & M32) * nbuckets >> 32


class State:
    """A live one: its keys, each with the directions of the packets that it is found by."""

    def __init__(self, data):
        wire, stack = data[:40], data[192:232]
        if data[53] & NAT:
            self.keys = [(wire, (IN,)), (stack, (OUT,))]
        else:
            self.keys = [(wire, (IN, OUT))]


class Table:
    """Read at a quiet moment: no packets, nothing that expires."""

    def __init__(self, pf):
        c = pf.map("config").get(struct.pack("=I", 0))
        self.hash_key = struct.unpack_from("=12I", c, 8)
        self.limit, self.slots, nbuckets = struct.unpack_from("=I4xII", c, 76)
        self.count, = struct.unpack_from("=I", pf.map("status").get(struct.pack("=I", 0)))
        self.mem = Slots(pf).mem
        self.status = memoryview(self.mem)[:self.slots * SLOT].cast("I")[10::SLOT // 4].tolist()
        self.live = {i: State(self.mem[i * SLOT:(i + 1) * SLOT])
                     for i, s in enumerate(self.status) if s == LIVE}
        buckets = pf.map("buckets")
        data = buckets.all()
        eq(len(data), nbuckets * BUCKET)
        self.buckets = [Bucket(data, at) for at in range(0, len(data), BUCKET)]
        buckets.close()

    def place(self, key):
        """Its tag and both buckets."""
        return places(self.hash_key, key, len(self.buckets))

    def faults(self):
        """What is wrong, in words."""
        out = []
        seen = {}
        overflow = [0] * len(self.buckets)
        wanted = set()
        for i, s in self.live.items():
            for key, directions in s.keys:
                for d in directions:
                    if (key, d) in seen:
                        out.append(f"slots {seen[key, d]} and {i} are live with one key, {d}")
                    seen[key, d] = i
                tag, first, second = self.place(key)
                # both may be one: of 50,000 keys and 37,500 buckets one or two
                at = [b for b in dict.fromkeys((first, second))
                      if (tag, i) in self.buckets[b].entries]
                times = sum(self.buckets[b].entries.count((tag, i)) for b in at)
                if times != 1:
                    out.append(f"slot {i} stands {times} times where its key leads")
                elif at == [second] and first != second:
                    overflow[first] += 1
                wanted.update((b, tag, i) for b in at)
        for nr, b in enumerate(self.buckets):
            for tag, i in b.entries:
                if (nr, tag, i) not in wanted:
                    status = self.status[i] if i < self.slots else "none"
                    out.append(f"bucket {nr} leads to slot {i}, status {status}, by no key of it")
            if b.overflow != overflow[nr]:
                out.append(f"bucket {nr} counts {b.overflow} overflown keys of {overflow[nr]}")
        if self.count != len(self.live):
            out.append(f"{self.count} states are counted, {len(self.live)} live")
        if len(self.live) > self.limit:
            out.append(f"{len(self.live)} states live, the limit is {self.limit}")
        return out

    def queue_faults(self, pf):
        """Empties the queues to see what was in them: the firewall makes no states any more."""
        out = []
        # in this order: the sweep takes from the first and puts into the second
        limbo = [struct.unpack("=II", v)[0] for v in drain(pf.map("limbo"))]
        free = [struct.unpack("=I", v)[0] for v in drain(pf.map("free"))]
        places = Counter(limbo + free + list(self.live))
        out += [f"slot {i} is in {n} places" for i, n in places.items() if n > 1]
        missing = set(range(self.slots)) - set(places)
        if missing:
            out.append(f"slots {sorted(missing)[:5]}... ({len(missing)}) are in no place, "
                       f"status {sorted({self.status[i] for i in missing})}")
        return out


def overflown(buckets):
    """How many keys stand in their second bucket, by the buckets' own counts."""
    return sum(memoryview(buckets.all()).cast("I")[2::BUCKET // 4].tolist())


GRACE_AT = 204  # in struct pf_config


def rest_for_long(pf):
    """What dies rests for ever, but for what pfd does about it."""
    config = pf.map("config")
    c = bytearray(config.get(bytes(4)))
    struct.pack_into("=I", c, GRACE_AT, 1 << 20)
    config.set(bytes(4), c)
    config.close()


def is_empty(queue):
    try:
        queue.peek()
    except FileNotFoundError:
        return True
    return False


def drain(queue):
    out = []
    try:
        while True:
            out.append(queue.pop())
    except OSError as e:
        if e.errno != errno.ENOENT:
            raise
    finally:
        queue.close()
    return out
