# SPDX-License-Identifier: BSD-2-Clause
"""TCP tracking against a plain model of it: random segments, each verdict and
each field of the state compared.

The model is written from Guido van Rooij's paper and OpenBSD's behaviour, not
from bpf/tcp.h, and knows nothing of its fast path.
"""
import os
import random
import struct

from pft.check import cases, eq, timeout
from pft.lab import MAC, Lab
from pft.state import Slots
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import raw

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
(CLOSED, SYN_SENT, ESTABLISHED, CLOSING, FIN_WAIT_2, TIME_WAIT) = range(6)
NAMES = ["CLOSED", "SYN_SENT", "ESTABLISHED", "CLOSING", "FIN_WAIT_2", "TIME_WAIT"]
MAXACKWINDOW = 65535 + 1500
M = 1 << 32


def diff(a, b):
    """a - b as signed 32 bits."""
    return (a - b + M // 2) % M - M // 2


class Peer:
    def __init__(self):
        self.seqlo, self.seqhi, self.max_win, self.wscale, self.state = 0, 1, 1, 0, CLOSED


class Model:
    """One connection, as the side that made it sees it: peer 0 is that side."""

    def __init__(self, seg):
        a = Peer()
        self.peers = [a, Peer()]
        a.seqlo = seg.seq
        a.seqhi = seg.seq + seg.len + 1
        if seg.flags & SYN:
            a.seqhi += 1
            a.wscale = seg.wscale
        if seg.flags & FIN:
            a.seqhi += 1
        a.seqhi %= M
        a.max_win = max(seg.win, 1)
        scale = a.wscale & 15
        if scale:
            a.max_win = (a.max_win + (1 << scale) - 1) >> scale
        a.state = SYN_SENT
        self.timeout = "tcp.first"

    def segment(self, frm, seg):
        """'pass', 'drop', 'challenge' or 'reuse'."""
        src, dst = self.peers[frm], self.peers[1 - frm]
        if seg.flags & SYN and not seg.flags & ACK:
            if src.state >= FIN_WAIT_2 and dst.state >= FIN_WAIT_2:
                return "reuse"
            if src.state >= ESTABLISHED and dst.state >= ESTABLISHED:
                return "challenge"
        sws = dws = 0
        if src.wscale and dst.wscale and not seg.flags & SYN:
            sws, dws = src.wscale & 15, dst.wscale & 15
        seq, win, ack = seg.seq, seg.win, seg.ack
        end = seq + seg.len
        if seg.flags & SYN:
            end += 1
        data_end = end
        if seg.flags & FIN:
            end += 1
        if src.seqlo == 0:
            if seg.flags & SYN and dst.wscale & 0x80:
                src.wscale = seg.wscale
                if src.wscale & 0x80:
                    sws, dws = src.wscale & 15, dst.wscale & 15
                    win = (win + (1 << sws) - 1) >> sws
                else:
                    dst.max_win = min(65535, dst.max_win << (dst.wscale & 15))
                    dst.wscale = 0
            src.seqlo = seq
            src.state = max(src.state, SYN_SENT)
            room = max(1, dst.max_win << dws)
            if src.seqhi == 1 or diff(end + room, src.seqhi) >= 0:
                src.seqhi = (end + room) % M
            src.max_win = max(src.max_win, win)
        if not seg.flags & ACK or (ack == 0 and seg.flags & RST) or dst.state < SYN_SENT:
            ack = dst.seqlo
        if seq == end:
            seq = data_end = end = src.seqlo
        skew = diff(dst.seqlo, ack)
        low = src.seqlo - (dst.max_win << dws)
        inside = (diff(src.seqhi, data_end) >= 0 and diff(seq, low) >= 0 and
                  -MAXACKWINDOW <= skew <= MAXACKWINDOW << sws)
        if inside and seg.flags & RST:
            inside = (diff(seg.seq, src.seqlo) in (-1, 0, 1) or
                      (bool(seg.flags & ACK) and seg.ack != 0 and skew == 0 and diff(seg.seq, low) >= 0 and
                       diff(seg.seq, src.seqlo + 1) <= 0))
        if inside:
            self.slide(src, dst, end, ack, win, sws)
            if seg.flags & SYN:
                src.state = max(src.state, SYN_SENT)
            if seg.flags & FIN:
                src.state = max(src.state, CLOSING)
            if seg.flags & ACK:
                if dst.state == SYN_SENT:
                    dst.state = ESTABLISHED
                elif dst.state == CLOSING:
                    dst.state = FIN_WAIT_2
            if seg.flags & RST:
                src.state = dst.state = TIME_WAIT
            self.timeout = self.next_timeout()
            return "pass"
        if ((dst.state < SYN_SENT or dst.state >= FIN_WAIT_2 or src.state >= FIN_WAIT_2) and
                diff(src.seqhi + MAXACKWINDOW, data_end) >= 0 and
                diff(seq, src.seqlo - MAXACKWINDOW) >= 0):
            self.slide(src, dst, end, ack, win, sws)
            if seg.flags & FIN:
                src.state = max(src.state, CLOSING)
            if seg.flags & RST:
                src.state = dst.state = TIME_WAIT
            return "pass"
        if src.state == SYN_SENT and dst.state == SYN_SENT:
            src.seqlo, src.seqhi, src.max_win = 0, 1, 1
        return "drop"

    @staticmethod
    def slide(src, dst, end, ack, win, sws):
        src.max_win = max(src.max_win, win)
        if diff(end, src.seqlo) > 0:
            src.seqlo = end % M
        if dst.seqlo and diff(ack + (win << sws), dst.seqhi) >= 0:
            dst.seqhi = (ack + max(win << sws, 1)) % M

    def next_timeout(self):
        a, b = (p.state for p in self.peers)
        if a >= FIN_WAIT_2 and b >= FIN_WAIT_2:
            return "tcp.closed"
        if a >= CLOSING and b >= CLOSING:
            return "tcp.finwait"
        if a < ESTABLISHED or b < ESTABLISHED:
            return "tcp.opening"
        if a >= CLOSING or b >= CLOSING:
            return "tcp.closing"
        return "tcp.established"

    def dump(self):
        return {"state": [NAMES[p.state] for p in self.peers],
                "wscale": [p.wscale for p in self.peers], "timeout": self.timeout,
                "seqlo": [p.seqlo for p in self.peers], "seqhi": [p.seqhi for p in self.peers],
                "max_win": [p.max_win for p in self.peers]}


class Segment:
    def __init__(self, seq, ack, flags, length, win, wscale):
        self.seq, self.ack, self.flags = seq % M, ack % M, flags
        self.len, self.win, self.wscale = length, win, wscale

    def __repr__(self):
        f = "".join(c for c, b in zip("FSRPA", (FIN, SYN, RST, PSH, ACK)) if self.flags & b)
        return (f"{f} seq {self.seq} ack {self.ack} len {self.len} win {self.win} "
                f"wscale {self.wscale:#x}")

    def packet(self, src, dst, sport, dport):
        opts = [("WScale", self.wscale & 15)] if self.wscale else []
        ip = IPv6(src=src, dst=dst) if ":" in src else IP(src=src, dst=dst)
        return raw(Ether(dst=MAC["ext"]) / ip /
                   TCP(sport=sport, dport=dport, seq=self.seq, ack=self.ack, window=self.win,
                       flags=self.flags, options=opts) / (b"x" * self.len))


def random_segment(rnd, m, frm):
    """Around what the state expects, and now and then far away."""
    src, dst = m.peers[frm], m.peers[1 - frm]
    flags = rnd.choice([ACK] * 12 + [ACK | PSH] * 4 + [ACK | FIN] * 2 +
                       [SYN | ACK, SYN, RST, RST | ACK])
    if src.state == CLOSED or src.seqlo == 0:
        flags = rnd.choice([SYN | ACK] * 6 + [RST | ACK, ACK, SYN])
    spread = rnd.choice([0, 0, 0, 0, 0, 1, 2, 1000, 70000, 200000, M // 2])
    base = rnd.choice([src.seqlo] * 6 + [src.seqhi, src.seqlo - (dst.max_win << (dst.wscale & 15))])
    seq = base + rnd.randint(-spread, spread)
    if not src.seqlo:
        seq = rnd.choice([rnd.getrandbits(32), M - 2, 5])
    ack = dst.seqlo + rnd.choice([0] * 6 + [1, -1, 500, -MAXACKWINDOW, MAXACKWINDOW,
                                           MAXACKWINDOW + 1, -MAXACKWINDOW - 1, 0x7FFFFFFF])
    if rnd.random() < 0.03:
        ack = 0
    length = 0 if flags & (SYN | RST) else rnd.choice([0, 0, 1, 100, 1448, 3000])
    if rnd.random() < 0.05:
        # up to the edge of the window, give or take one
        length = max(0, min(3000, diff(src.seqhi, seq) + rnd.choice([-1, 0, 1])))
    wscale = 0
    if flags & SYN and rnd.random() < 0.8:
        wscale = 0x80 | rnd.choice([0, 1, 7, 14])
    return Segment(seq, ack, flags, length, rnd.choice([0, 1, 500, 8000, 65535]), wscale)


def agree(slot, model, history):
    got, want = slot.dump(), model.dump()
    for name, value in want.items():
        eq(got[name], value, name + " after\n" + "\n".join(history) + "\n")


@timeout(120)
@cases(("ipv4", "192.0.2.100", "198.51.100.1"), ("ipv6", "2001:db8:1::100", "2001:db8:2::1"))
def test_random_segments(_name, a, b):
    seed = int(os.environ.get("PF_SEED", 0)) or random.SystemRandom().getrandbits(31)
    print(f"PF_SEED={seed}")
    rnd = random.Random(seed)
    rules = "pass in on ext proto tcp flags any\nblock out on ext\n"
    counts = {"pass": 0, "drop": 0, "challenge": 0, "reuse": 0, "loose": 0}
    with Lab(hosts=2, rules=rules) as lab:
        slots = Slots(lab.pf)
        fds = [lab.pf.program("ext", d) for d in ("in", "out")]
        for conn in range(150):
            port = 1024 + conn
            first = Segment(rnd.choice([rnd.getrandbits(32), M - 1, M - 1000]), rnd.getrandbits(32),
                            rnd.choice([SYN, SYN, SYN, ACK, ACK | FIN]), 0,
                            rnd.choice([0, 1000, 65535]), 0)
            if first.flags & SYN and rnd.random() < 0.8:
                first.wscale = 0x80 | rnd.choice([0, 3, 14])
            if first.seq == 0:
                first.seq = 1
            history = [f"> {first}"]
            verdict = run(lab, fds[0], first.packet(a, b, port, 80))
            eq(verdict, -1, "the first segment")
            model = Model(first)
            slot = slots.find(a, b, port, 80, 6)
            agree(slot, model, history)
            for _ in range(rnd.choice([3, 10, 40])):
                frm = rnd.choice([0, 1])
                seg = random_segment(rnd, model, frm)
                before = model.timeout, model.dump()["state"]
                want = model.segment(frm, seg)
                data = (seg.packet(a, b, port, 80) if frm == 0 else seg.packet(b, a, 80, port))
                got = run(lab, fds[frm], data)
                history.append(f"{'><'[frm]} {seg}: {want}")
                counts[want] += 1
                text = "\n".join(history)
                eq(got == -1, want == "pass" or (want == "reuse" and frm == 0), text)
                if want == "reuse":
                    if frm == 1:  # its rules block it: no state is left
                        eq(slots.find(a, b, port, 80, 6), None, text)
                        break
                    model = Model(seg)
                    slot = slots.find(a, b, port, 80, 6)
                agree(slot, model, history)
                del before
        print(counts)
        for kind in ("pass", "drop", "challenge", "reuse"):
            assert counts[kind] > 10, counts
        for fd in fds:
            os.close(fd)


def run(lab, fd, data):
    from pft import bpf
    with lab.fw:
        return bpf.test_run(fd, data, lab.fw.ifindex("ext"), out_size=65536)[0]


def test_sequence_wraps():
    """A transfer across 2^32, in both directions, on the fast path."""
    a, b = "192.0.2.100", "198.51.100.1"
    rules = "pass in on ext proto tcp\nblock out on ext\n"
    with Lab(hosts=2, rules=rules) as lab:
        slots = Slots(lab.pf)
        fds = [lab.pf.program("ext", d) for d in ("in", "out")]
        seqs = [M - 5000, M - 9000]
        segs = [(0, Segment(seqs[0], 0, SYN, 0, 65535, 0x87)),
                (1, Segment(seqs[1], seqs[0] + 1, SYN | ACK, 0, 65535, 0x87)),
                (0, Segment(seqs[0] + 1, seqs[1] + 1, ACK, 0, 500, 0))]
        model = None
        for i in range(40):
            frm = i % 2
            segs.append((frm, Segment(seqs[frm] + 1 + (i // 2) * 1000, seqs[1 - frm] + 1 +
                                      ((i + 1) // 2) * 1000, ACK, 1000, 500, 0)))
        for frm, seg in segs:
            data = seg.packet(a, b, 9, 80) if frm == 0 else seg.packet(b, a, 80, 9)
            eq(run(lab, fds[frm], data), -1, repr(seg))
            if model is None:
                model = Model(seg)
            else:
                eq(model.segment(frm, seg), "pass")
            agree(slots.find(a, b, 9, 80, 6), model, [repr(seg)])
        eq(struct.unpack("=I", struct.pack("=I", model.peers[0].seqlo))[0] < 20000, True, "wrapped")
        for fd in fds:
            os.close(fd)
