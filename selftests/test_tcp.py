# SPDX-License-Identifier: BSD-2-Clause
"""TCP connections as they occur: what a window check must let pass, and what it must not."""
from pft.check import cases, contains, eq
from pft.lab import GHOST, GHOST6, GHOST6_DST, GHOST_DST, Lab
from scapy.layers.inet import TCP
from test_states import BOTH, Gate, handshake, ip

RULES = "block\npass in on ext proto tcp\n"
WIN = 8192
M = 1 << 32


class Talk:
    """A connection from a, which comes in, to b; isn 100 and 500 after handshake()."""

    def __init__(self, lab, a=GHOST, b=GHOST_DST):
        self.lab, self.g, self.a, self.b = lab, Gate(lab), a, b

    def open(self):
        handshake(self.g, self.a, self.b)
        return self

    def there(self, flags, seq, ack=0, data=b"", win=WIN, **more):
        return self.g.into(ip(self.a, self.b) / TCP(sport=1000, dport=80, flags=flags, seq=seq % M,
                                                    ack=ack % M, window=win, **more) / data)

    def back(self, flags, seq, ack=0, data=b"", win=WIN, **more):
        return self.g.out(ip(self.b, self.a) / TCP(sport=80, dport=1000, flags=flags, seq=seq % M,
                                                   ack=ack % M, window=win, **more) / data)

    def at(self, text):
        contains(self.lab.pf.state("tcp"), text)


@BOTH
def test_keepalive(_name, a, b):
    """RFC 9293 section 3.8.4: one behind what was acknowledged, with a byte or none."""
    with Lab(hosts=2, rules=RULES) as lab:
        t = Talk(lab, a, b).open()
        eq(t.there("PA", 101, 501, b"x" * 10), True)
        eq(t.back("A", 501, 111), True)
        for data in (b"", b"\0"):
            eq(t.there("A", 110, 501, data), True)
            eq(t.back("A", 501, 111), True)
            eq(t.back("A", 500, 111, data), True)
            eq(t.there("A", 111, 501), True)
        t.at("ESTABLISHED:ESTABLISHED")


def test_zero_window_and_probe():
    """Nothing beyond a closed window but the byte that probes it; all of it when it opens."""
    with Lab(hosts=2, rules=RULES) as lab:
        t = Talk(lab).open()
        # the windows of the handshake are filled, both may have promised so much
        for i in range(8):
            eq(t.there("A", 101 + i * 1024, 501, b"x" * 1024), True, str(i))
        eq(t.back("A", 501, 101 + WIN, win=0), True, "no room")
        eq(t.there("A", 101 + WIN, 501, b"p"), True, "a probe")
        eq(t.back("A", 501, 101 + WIN, win=0), True)
        eq(t.there("A", 101 + WIN, 501, b"x" * 100), False, "more than a probe")
        eq(t.back("A", 501, 101 + WIN, win=100), True, "room for a hundred")
        eq(t.there("A", 101 + WIN, 501, b"x" * 101), False)
        eq(t.there("A", 101 + WIN, 501, b"x" * 100), True)


def test_window_is_not_taken_back():
    """RFC 9293 section 3.8.6: what was promised once may be on its way still."""
    with Lab(hosts=2, rules=RULES) as lab:
        t = Talk(lab).open()
        eq(t.back("A", 501, 101, win=100), True, "less room than before")
        eq(t.there("A", 101, 501, b"x" * 1000), True)


@BOTH
def test_loss_and_reordering(_name, a, b):
    """Behind a hole, in it, twice; acknowledgments again and again, old ones, SACK's."""
    with Lab(hosts=2, rules=RULES) as lab:
        t = Talk(lab, a, b).open()
        eq(t.there("A", 1101, 501, b"x" * 1000), True, "the second one first")
        for _ in range(3):
            eq(t.back("A", 501, 101, options=[("SAck", (1101, 2101))]), True, "duplicates")
        eq(t.there("A", 101, 501, b"x" * 1000), True, "the hole")
        eq(t.there("A", 101, 501, b"x" * 1000), True, "once more")
        eq(t.back("A", 501, 2101), True)
        eq(t.back("A", 501, 101), True, "an old acknowledgment, late")
        eq(t.back("A", 501, 101 - 66000), False, "of long ago")


def test_lost_on_the_way_to_us():
    """The other side acknowledges what we have not seen: it took another way."""
    with Lab(hosts=2, rules=RULES) as lab:
        t = Talk(lab).open()
        eq(t.back("A", 501, 5000), True)
        eq(t.there("A", 5000, 501, b"x" * 100), True)
        eq(t.back("A", 501, 5100 + 67036), False)


@BOTH
def test_half_closed(_name, a, b):
    """After a FIN the other side may go on for as long as it likes."""
    with Lab(hosts=2, rules=RULES) as lab:
        t = Talk(lab, a, b).open()
        eq(t.there("FA", 101, 501), True)
        eq(t.back("A", 501, 102), True)
        t.at("ESTABLISHED:FIN_WAIT_2")
        for i in range(20):
            eq(t.back("A", 501 + i * 1000, 102, b"y" * 1000), True)
            eq(t.there("A", 102, 501 + (i + 1) * 1000), True)
        eq(t.back("FA", 20501, 102), True)
        eq(t.there("A", 102, 20502), True)
        t.at("FIN_WAIT_2:FIN_WAIT_2")
        eq(t.back("FA", 20501, 102), True, "the last acknowledgment was lost")


def test_fin_fills_the_window():
    """It may stand one behind a window that is full of data."""
    with Lab(hosts=2, rules=RULES) as lab:
        t = Talk(lab).open()
        for i in range(7):
            eq(t.there("A", 101 + i * 1024, 501, b"x" * 1024), True)
        eq(t.there("FPA", 101 + 7 * 1024, 501, b"x" * 1024), True)
        t.at("ESTABLISHED:CLOSING")


@BOTH
def test_simultaneous_open(_name, a, b):
    """RFC 9293 section 3.5, figure 8."""
    with Lab(hosts=2, rules=RULES) as lab:
        t = Talk(lab, a, b)
        eq(t.there("S", 100), True)
        eq(t.back("S", 500), True)
        t.at("SYN_SENT:SYN_SENT")
        eq(t.there("SA", 100, 501), True)
        eq(t.back("SA", 500, 101), True)
        t.at("ESTABLISHED:ESTABLISHED")
        eq(t.there("A", 101, 501, b"x" * 100), True)
        eq(t.back("A", 501, 201, b"y" * 100), True)


def test_simultaneous_close():
    with Lab(hosts=2, rules=RULES) as lab:
        t = Talk(lab).open()
        eq(t.there("FA", 101, 501), True)
        eq(t.back("FA", 501, 101), True, "it has not seen the other one")
        t.at("CLOSING:FIN_WAIT_2")
        eq(t.there("A", 102, 502), True)
        eq(t.back("A", 502, 102), True)
        t.at("FIN_WAIT_2:FIN_WAIT_2")


@cases(("fin_wait_2", False), ("time_wait", True))
def test_reuse(_name, reset):
    """A SYN over a dead connection makes another, whatever its number; one over half a close not."""
    with Lab(hosts=2, rules=RULES) as lab:
        t = Talk(lab).open()
        if reset:
            eq(t.back("R", 501), True)
        else:
            eq(t.there("FA", 101, 501), True)
            eq(t.back("A", 501, 102), True)
            eq(t.there("S", 70000), False, "one side is still open")
            eq(t.back("FA", 501, 102), True)
            eq(t.there("A", 102, 502), True)
        eq(t.back("S", 9), False, "the other way it is for the rules")
        eq(lab.pf.states(), [])
        eq(t.there("S", 3), True)
        t.at("CLOSED:SYN_SENT")
        eq(t.back("SA", 700000, 4), True)
        eq(t.there("A", 4, 700001), True)
        t.at("ESTABLISHED:ESTABLISHED")


@BOTH
def test_picked_up_in_mid_stream(_name, a, b):
    """flags any: no scale is known, so windows are taken as they stand; both sides are checked."""
    with Lab(hosts=2, rules="block\npass in on ext proto tcp flags any\n") as lab:
        t = Talk(lab, a, b)
        eq(t.there("PA", 5000, 9000, b"x" * 100), True)
        eq(t.back("A", 9000, 5100), True)
        eq(t.there("A", 5100, 9000), True)
        t.at("ESTABLISHED:ESTABLISHED")
        eq(t.back("A", 9000, 5100, b"y" * 1000), True)
        eq(t.back("A", 9000 + 100000, 5100, b"y"), False)
        eq(t.there("A", 5100 + 100000, 9000, b"x"), False)


def scaled(lab, mine, theirs):
    t = Talk(lab)
    opt = [[("WScale", k) for k in (n if isinstance(n, tuple) else [n]) if k is not None]
           for n in (mine, theirs)]
    eq(t.there("S", 100, options=opt[0], win=1000), True)
    eq(t.back("SA", 500, 101, options=opt[1], win=1000), True)
    eq(t.there("A", 101, 501, win=1000), True)
    return t


@cases(("ipv4", GHOST, GHOST_DST, 150000), ("ipv6", GHOST6, GHOST6_DST, 150000))
def test_larger_table(_name, a, b, limit):
    """Its states know the sequence numbers: nobody's segment is taken for the connection's first."""
    with Lab(hosts=2, rules=RULES) as lab:
        t = Talk(lab, a, b)
        eq(t.there("S", 100, options=[("WScale", 3)]), True)
        eq(t.back("SA", 500, 101, options=[("WScale", 4)]), True)
        eq(t.there("A", 101, 501), True)
        eq(t.there("PA", 101, 501, b"x" * 10), True)
        eq(t.back("A", 501, 111), True)
        lab.pf.load(f"set limit states {limit}\n" + RULES)
        eq(t.back("R", 3000000000), False)
        eq(t.there("PA", 3000000000, 5, b"x"), False)
        eq(t.back("A", 501 + (WIN << 3), 111, b"y"), False, "beyond the window")
        t.at("ESTABLISHED:ESTABLISHED")
        eq(t.there("PA", 111, 501, b"x" * 1000), True)
        eq(t.back("A", 501, 1111, b"y" * 1000), True)
        eq(t.back("A", 500 + (WIN << 3), 1111, b"y"), True)
        eq(lab.pf.info()["state-mismatch"], 3)


@cases(("both", 3, 4, 8000), ("only_the_first", 3, None, 1000), ("only_the_second", None, 4, 1000),
       ("zero", 0, 0, 1000), ("most", 14, 14, 1000 << 14), ("too_much", 15, 2, 1000 << 14),
       ("the_last_counts", (0, 14, 3), 4, 8000))
def test_window_scale(_name, mine, theirs, room):
    """RFC 7323 section 2: only if both SYNs have it, never on a SYN itself, no more than 14."""
    with Lab(hosts=2, rules=RULES) as lab:
        t = scaled(lab, mine, theirs)
        eq(t.back("A", 501 + room - 1, 101, b"y" * 2), False, "beyond")
        eq(t.back("A", 501 + room - 1, 101, b"y"), True, "up to the end")


@BOTH
def test_reset_before_a_hole(_name, a, b):
    """It is at what was acknowledged last, though what came behind the hole was seen."""
    with Lab(hosts=2, rules=RULES) as lab:
        t = Talk(lab, a, b).open()
        eq(t.there("PA", 101, 501, b"q" * 10), True)
        eq(t.back("A", 1501, 111, b"y" * 1000), True, "behind a hole")
        eq(t.back("R", 1501), False, "inside, and without an acknowledgment")
        eq(t.back("RA", 501, 0), False, "an acknowledgment of zero is none")
        eq(t.back("RA", 501, 5), False, "not of what is there")
        eq(t.back("RA", 501, 111), True, "before the hole, and all is acknowledged")
        t.at("TIME_WAIT:TIME_WAIT")


@cases(("ipv4", GHOST, GHOST_DST), ("ipv6", GHOST6, GHOST6_DST))
def test_refused(_name, a, b):
    """A reset in answer to a SYN needs no sequence number of its own; a forged one fails."""
    with Lab(hosts=2, rules=RULES) as lab:
        t = Talk(lab, a, b)
        eq(t.there("S", 100), True)
        eq(t.back("RA", 0, 101 + 70000), False)
        t.at("SYN_SENT:SYN_SENT")
        eq(t.back("RA", 0, 101), True)
        t.at("TIME_WAIT:TIME_WAIT")


def test_late_segments_do_not_keep_it_alive():
    """After the close what is nearly inside passes, and expiry is not put off."""
    from pft.state import Slots
    import time
    with Lab(hosts=2, rules=RULES) as lab:
        t = Talk(lab).open()
        eq(t.back("R", 501), True)
        slot = Slots(lab.pf).find(GHOST, GHOST_DST, 1000, 80, 6)
        before = slot.dump()["last"]
        time.sleep(0.3)
        eq(t.there("A", 101 + 9000, 501, b"x" * 100), True, "beyond the window, but near")
        eq(slot.dump()["last"], before)
        eq(t.there("A", 101 + 9000 + 80000, 501, b"x" * 100), False, "not near")
