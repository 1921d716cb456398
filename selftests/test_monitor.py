# SPDX-License-Identifier: BSD-2-Clause
"""pfctl-linux --monitor: states that are made, change and end, told to who listens."""
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import time

from pft import proto
from pft.check import at_least, between, eq, matches
from pft.lab import DST, GHOST, GHOST_DST, PFCTL, Lab, Stopped
from pft.netns import wait_for
from scapy.layers.inet import IP, UDP

EVENTS_AT = 252  # in struct pf_config
WIRE_EVENT = 312
LINE = re.compile(r"^\d\d:\d\d:\d\d\.\d{6} (insert|update|delete) all (.*?)\s{2,}(\S+)$")


def listening(pf):
    """Does the datapath tell?"""
    return struct.unpack_from("=I", pf.map("config").get(b"\0\0\0\0"), EVENTS_AT)[0]


class Monitor:
    def __init__(self, pf, *args):
        self.proc = pf.ns.popen([PFCTL, "-p", pf.socket, *args, "--monitor"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.text = b""
        wait_for("a listener", lambda: listening(pf))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.end()

    def end(self):
        self.proc.kill()
        self.proc.communicate()

    def read(self, seconds):
        if select.select([self.proc.stdout], [], [], seconds)[0]:
            self.text += os.read(self.proc.stdout.fileno(), 1 << 20)

    def lines(self, n, seconds=5):
        """Waits for that many, and takes them."""
        end = time.monotonic() + seconds
        while self.text.count(b"\n") < n:
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"no {n} lines in {seconds} s:\n{self.text.decode()}")
            self.read(left)
        whole, _, self.text = self.text.rpartition(b"\n")
        return whole.decode().splitlines()

    def events(self, n, seconds=5):
        """[(kind, state, how far both ends are)]"""
        out = []
        for line in self.lines(n, seconds):
            m = LINE.match(line)
            assert m, line
            out.append(m.groups())
        eq(len(out), n, out)
        return out

    def drop(self):
        """All that comes until it is silent."""
        while self.text:
            self.text = b""
            self.read(0.3)

    def silent(self, seconds=0.3):
        self.read(seconds)
        eq(self.text, b"")


def udp(port, sport=1000):
    return IP(src=GHOST, dst=GHOST_DST) / UDP(sport=sport, dport=port)


def hears(monitor, w):
    """That somebody listens does not tell of the second one that he does: something to hear."""
    port = 10000
    while not monitor.text:
        port += 1
        w.send(udp(port))
        monitor.read(0.2)


def test_a_connection():
    """Every step of real stacks, on both states that a forwarded connection has, in order."""
    rules = "set timeout { tcp.closed 1, tcp.finwait 1, interval 1 }\npass\n"
    with Lab(rules=rules, v6=False) as lab:
        eq(listening(lab.pf), 0)
        listener = lab.dst.listen(80)
        with Monitor(lab.pf) as m:
            a = lab.src.connect(DST, 80)
            b, _ = listener.accept()
            events = m.events(6)
            name = f"tcp {DST}:80 <- 192.0.2.1:{a.getsockname()[1]}"
            # the inside is shown first: for what comes in, the far end
            eq([(k, levels) for k, s, levels in events if s == name],
               [("insert", "CLOSED:SYN_SENT"), ("update", "SYN_SENT:ESTABLISHED"),
                ("update", "ESTABLISHED:ESTABLISHED")])
            eq([(k, levels) for k, s, levels in events if s != name],
               [("insert", "SYN_SENT:CLOSED"), ("update", "ESTABLISHED:SYN_SENT"),
                ("update", "ESTABLISHED:ESTABLISHED")])
            for _ in range(100):  # packets tell nothing
                a.sendall(b"x" * 1000)
                b.recv(1000)
            m.silent()
            a.close()
            wait_for("the close", lambda: b.recv(100) == b"")
            b.close()
            kinds = [k for k, s, _ in m.events(8, 10) if s == name]
            eq(kinds, ["update", "update", "update", "delete"])
        wait_for("quiet", lambda: not listening(lab.pf))
        listener.close()


def test_json():
    """One document a line, of the same states as -ss shows."""
    with Lab(hosts=2, rules="pass\n", v6=False) as lab:
        w = lab.wire("src")
        with Monitor(lab.pf, "--json") as m:
            before = time.time()
            w.send(udp(53))
            first, = map(json.loads, m.lines(1))
            shown, = json.loads(lab.pf.ctl("--json", "-ss").stdout)["states"]
            between(first["time"], before - 0.1, time.time())
            eq((set(first), first["event"]), ({"time", "event", "state"}, "insert"))
            for state in (first["state"], shown):  # what goes on
                del state["age"], state["expires"]
            eq(first["state"], shown)
            lab.pf.ctl("-k", GHOST)
            last, = map(json.loads, m.lines(1))
            eq((last["event"], last["state"]["id"]), ("delete", shown["id"]))
            at_least(last["time"], first["time"])
            # and how many were lost
            lose(lab, w)
            events = [json.loads(line) for line in m.lines(1)]
            eq(set(events[0]), {"lost"})
            lost = events.pop(0)["lost"]
            while len(events) + lost < 20000:
                events += map(json.loads, m.lines(1))
            eq((len(events) + lost, {e["event"] for e in events}), (20000, {"insert"}))
            at_least(lost, 1)


def test_listeners():
    """Each is told of all; -v shows what -ss -v shows; the last one to go ends it."""
    with Lab(hosts=2, rules="pass\n", v6=False) as lab:
        w = lab.wire("src")
        with Monitor(lab.pf) as m, Monitor(lab.pf, "-v") as n:
            hears(n, w)
            m.read(0.3)
            lab.pf.ctl("-F", "states")
            for x in (m, n):
                x.read(1)
                x.drop()
            w.send(udp(53))
            text = f"udp {GHOST_DST}:53 <- {GHOST}:1000"
            eq(m.events(1), [("insert", text, "NO_TRAFFIC:SINGLE")])
            first, second = n.lines(2)
            eq(LINE.match(first).groups(), ("insert", text, "NO_TRAFFIC:SINGLE"))
            matches(second, r"^   age 00:00:00, expires in 00:0[01]:\d\d, 1:0 pkts, 28:0 bytes, "
                            r"rule 0$")
            w.send(udp(53))
            wait_for("a packet", lambda: "2:0 pkts" in lab.pf.ctl("-ss", "-v").stdout)
            n.end()
            lab.pf.ctl("-k", GHOST)
            eq(m.events(1), [("delete", text, "NO_TRAFFIC:SINGLE")])
            eq(listening(lab.pf), 1, "one of two has gone")
            # what comes from a file, and more states than there was room for before
            w.send(udp(54))
            m.lines(1)
            path = os.path.join(lab.dir, "states")
            lab.pf.ctl("-S", path)
            lab.pf.ctl("-F", "states")
            m.lines(1)
            lab.pf.load("set limit states 300000\npass\n")
            lab.pf.ctl("-L", path)
            eq([k for k, _, _ in m.events(1)], ["insert"])
            w.send(udp(55))
            eq([k for k, _, _ in m.events(1)], ["insert"], "after the table has grown")
            m.silent()
        wait_for("quiet", lambda: not listening(lab.pf))
        w.send(udp(56))
        with Monitor(lab.pf) as m:
            m.silent()


def test_death_of_the_daemon():
    with Lab(hosts=2, rules="pass\n", v6=False) as lab:
        for sig, left in ((signal.SIGTERM, 0), (signal.SIGKILL, 1)):
            with Monitor(lab.pf) as m:
                lab.pf.stop(sig)
                _, err = m.proc.communicate(timeout=5)
                eq((m.proc.returncode, err), (1, b"pfctl-linux: pfd has closed the connection\n"))
            eq(listening(lab.pf), left, sig)
            lab.wire("src").send(udp(53, sig))  # who does not listen is in nobody's way
            lab.pf.start()
            eq(listening(lab.pf), 0, "after the start")
            wait_for("the state", lambda p=sig: any(f":{p} " in s + " " for s in lab.pf.states()))
            with Monitor(lab.pf) as m:
                m.silent()
                lab.wire("src").send(udp(54, sig))
                eq([k for k, _, _ in m.events(1)], ["insert"])


def flood(w, n, base=1):
    """New states, one a packet."""
    frames = bytearray(w.frame(udp(0)))
    for i in range(n):
        struct.pack_into("!HH", frames, 34, base + i // 60000, 1 + i % 60000)
        struct.pack_into("!H", frames, 40, 0)
        w.send(bytes(frames))


def lose(lab, w):
    """20,000 events, more than the rings hold, while nobody empties them."""
    with Stopped(lab.pf):
        flood(w, 20000)
        time.sleep(0.2)


def test_losses_are_counted():
    """More than the rings hold while nobody empties them."""
    with Lab(hosts=2, rules="set timeout udp.first 1000\npass\n", v6=False) as lab:
        w = lab.wire("src")
        with Monitor(lab.pf) as m:
            lose(lab, w)
            lines = m.lines(1)
            lost = int(matches(lines[0], r"^(\d+) events were lost$")[1])
            while len(lines) - 1 + lost < 20000:
                lines += m.lines(1)
            eq(len(lines) - 1 + lost, 20000)
            at_least(lost, 1)
            at_least(len(lines), 1000)
            times = [line[:15] for line in lines[1:]]
            eq(times, sorted(times), "in order")


def test_a_larger_table():
    """The one that takes the place of the first tells as well."""
    with Lab(hosts=2, rules="pass\n", v6=False) as lab:
        w = lab.wire("src")
        with Monitor(lab.pf) as m:
            w.send(udp(53, 1))
            eq(m.events(1)[0][0], "insert")
            lab.pf.load("set limit states 200000\npass\n")
            w.send(udp(53, 2))
            eq([(k, s) for k, s, _ in m.events(1)], [("insert", f"udp {GHOST_DST}:53 <- {GHOST}:2")])
            lab.pf.ctl("-F", "states")
            eq(sorted(k for k, *_ in m.events(2)), ["delete", "delete"])


def test_slow_listener_hinders_nobody():
    with Lab(hosts=2, rules="set timeout udp.first 1000\npass\n", v6=False) as lab:
        w = lab.wire("src")
        with proto.Control(lab.pf) as c:
            c.send(proto.frame(proto.MONITOR))
            kind, first = c.answer()
            eq((kind, first), (proto.DATA, bytes(8)))
            n, step = 60000, 1500
            for i in range(0, n, step):  # slowly enough for the rings
                flood(w, step, 1000 + i)
                time.sleep(0.05)
            wait_for("states", lambda: lab.pf.info()["current entries"] == n, 10)
            # it reads now, and one event more to tell it of those that it has missed
            got = lost = 0
            flood(w, 1, 999)
            c.s.settimeout(1)
            try:
                while True:
                    kind, data = c.answer()
                    eq(kind, proto.DATA)
                    lost += struct.unpack_from("=Q", data)[0]
                    eq((len(data) - 8) % WIRE_EVENT, 0)
                    got += (len(data) - 8) // WIRE_EVENT
                    if got + lost >= n:
                        flood(w, 1, 998)
                        break
            except (TimeoutError, socket.timeout):
                flood(w, 1, 998)
                c.s.settimeout(5)
                kind, data = c.answer()
                lost += struct.unpack_from("=Q", data)[0]
                got += (len(data) - 8) // WIRE_EVENT
            at_least(lost, 1, "lost")
            at_least(got, 1000, "told")
            assert n <= got + lost <= n + 2, (got, lost)


def test_a_listener_asks_for_nothing_else():
    with Lab(hosts=2, rules="pass\n", v6=False) as lab:
        for more in (proto.frame(proto.STATUS), proto.frame(proto.MONITOR), b"x"):
            with proto.Control(lab.pf) as c:
                c.send(proto.frame(proto.MONITOR) + more)
                eq(c.answer(), (proto.DATA, bytes(8)))
                try:
                    c.answer()
                    raise AssertionError("the connection goes on")
                except EOFError:
                    pass
            wait_for("quiet", lambda: not listening(lab.pf))
