# SPDX-License-Identifier: BSD-2-Clause
"""The first rules over connections that netfilter forwards, and perhaps translates."""
import os
import shutil
import socket

from pft.check import Skip, absent, contains, eq, lines_eq
from pft.lab import DST, DST6, FW_DST, FW_SRC, SRC, SRC6, Lab, Pfd
from pft.netns import talks

COUNT = "/proc/sys/net/netfilter/nf_conntrack_count"
TRACK = """table inet t {
	chain f { type filter hook forward priority 0; ct state established accept; }
	chain i { type filter hook input priority 0; ct state established accept; }
}
"""
NAT = """table ip n {
	chain post { type nat hook postrouting priority srcnat; oifname "int" masquerade; }
	chain pre { type nat hook prerouting priority dstnat;
		iifname "ext" tcp dport 8080 dnat to %s:80;
		iifname "ext" tcp dport 2222 redirect to :22; }
}
""" % DST


def nft(lab, text):
    if not shutil.which("nft"):
        raise Skip("no nft to ask for connection tracking")
    r = lab.fw.run("nft", "-f", "-", input=text, check=False)
    assert "syntax error" not in r.stderr, r.stderr
    if r.returncode:
        raise Skip(f"nft: {r.stderr.strip()}")
    if not os.path.exists(COUNT):
        raise Skip("this kernel has no connection tracking")


def start(lab):
    lab.pf = Pfd(lab.fw, lab.dir, lab.pin)
    lab.pf.start()
    return lab.pf


def tcp(client, server, addr, port, listen=None):
    listener = server.listen(listen or port, family=socket.AF_INET6 if ":" in addr
                             else socket.AF_INET)
    a = client.connect(addr, port)
    b, _ = listener.accept()
    listener.close()
    return a, b


def carries(a, b, n=300000):
    for s, r in ((a, b), (b, a)):
        s.sendall(b"x" * n)
        r.settimeout(3)
        got = 0
        while got < n:
            got += len(r.recv(65536))


def udp_pair(client, server, addr, port, near):
    family = socket.AF_INET6 if ":" in addr else socket.AF_INET
    u, v = client.udp(0, near, family), server.udp(port, addr, family)
    u.connect((addr, port))
    u.send(b"there")
    _, back = v.recvfrom(10)
    v.connect(back)
    v.send(b"back")
    eq(u.recv(10), b"back")
    return u, v


def echo(s, n=1):
    """One more on a ping socket: does it come back?"""
    v6 = s.family == socket.AF_INET6
    s.send(bytes([128 if v6 else 8, 0, 0, 0, 0, 0, 0, n]) + bytes(56))
    try:
        return s.recv(1000)[0] == (129 if v6 else 0)
    except OSError:
        return False


def ping_socket(ns, addr):
    v6 = ":" in addr
    s = ns.sock(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM, 58 if v6 else 1)
    s.settimeout(0.5)
    s.connect((addr, 0))
    eq(echo(s), True)
    return s


def test_forwarded_connections():
    """TCP, UDP and echoes of both families go on under `block', with all that they send."""
    with Lab(pfd=False) as lab:
        nft(lab, TRACK)
        pairs = [tcp(lab.src, lab.dst, DST, 80), tcp(lab.src, lab.dst, DST6, 81),
                 tcp(lab.dst, lab.src, SRC, 82), tcp(lab.src, lab.fw, FW_SRC, 83)]
        for a, b in pairs:
            carries(a, b)
        u, v = udp_pair(lab.src, lab.dst, DST, 53, SRC)
        u6, v6 = udp_pair(lab.src, lab.dst, DST6, 53, SRC6)
        pings = [ping_socket(lab.src, DST), ping_socket(lab.src, DST6)]
        pf = start(lab)
        r = pf.load("block\n", "-v")
        # one is of this host: its socket comes first, and it counts once
        contains(r.stderr, "8 connections that existed already were taken in\n")
        absent(r.stderr, "netfilter")
        states = pf.states()
        # neighbour discovery makes none under block
        eq(len(states), 2 * 7 + 1, "\n".join(states))
        port = pairs[0][0].getsockname()[1]
        lines_eq(sorted(s for s in states if f":{port}" in s),
                 [f"all tcp {SRC}:{port} -> {DST}:80       ESTABLISHED:ESTABLISHED",
                  f"all tcp {DST}:80 <- {SRC}:{port}       ESTABLISHED:ESTABLISHED"])
        for a, b in pairs:
            carries(a, b)
        absent(pf.ctl("-ss", "-v").stdout, "loose", "their windows are known now")
        for x, y in ((u, v), (v, u), (u6, v6), (v6, u6)):
            x.send(b"on")
            eq(y.recv(10), b"on")
        eq([echo(s, 2) for s in pings], [True, True])
        eq(lab.src.can_connect(DST, 80, 0.3), "timeout", "a new one")
        eq(lab.src.ping(DST), False)
        eq(pf.info()["state-mismatch"], 0)
        # only once: what the rules end stays ended
        pf.ctl("-F", "states")
        pf.load("block\n")
        eq(pf.states(), [])


def test_translated_connections():
    """netfilter goes on translating between our hooks: each sees what is on its side."""
    with Lab(pfd=False, v6=False) as lab:
        nft(lab, TRACK + NAT)
        pairs = {"masqueraded": tcp(lab.src, lab.dst, DST, 80),
                 "masqueraded and redirected": tcp(lab.src, lab.dst, FW_SRC, 8080, 80),
                 "redirected to the host": tcp(lab.src, lab.fw, FW_SRC, 2222, 22)}
        eq(pairs["masqueraded"][1].getpeername()[0], FW_DST)
        pf = start(lab)
        pf.load("block\n")
        near = pairs["masqueraded and redirected"][0].getsockname()[1]
        far = pairs["masqueraded and redirected"][1].getpeername()[1]
        lines_eq(sorted(s for s in pf.states() if f":{near} " in s or f":{far} " in s),
                 [f"all tcp {FW_SRC}:8080 <- {SRC}:{near}       ESTABLISHED:ESTABLISHED",
                  f"all tcp {FW_DST}:{far} -> {DST}:80       ESTABLISHED:ESTABLISHED"])
        for what, (a, b) in pairs.items():
            eq(talks(a, b), True, what)
            carries(a, b)
        eq(lab.src.can_connect(FW_SRC, 8080, 0.3), "timeout", "a new one")
        eq(pf.info()["state-mismatch"], 0)


def test_half_closed():
    with Lab(pfd=False, v6=False) as lab:
        nft(lab, TRACK)
        a, b = tcp(lab.src, lab.dst, DST, 80)
        a.shutdown(socket.SHUT_WR)
        b.settimeout(2)
        eq(b.recv(10), b"")
        pf = start(lab)
        pf.load("block\n")
        contains(pf.state("<-"), "ESTABLISHED:CLOSING")
        contains(pf.state("->"), "CLOSING:ESTABLISHED")
        b.sendall(b"y" * 200000)
        a.settimeout(3)
        got = 0
        while got < 200000:
            got += len(a.recv(65536))
        b.close()
        eq(a.recv(10), b"")
        eq(pf.info()["state-mismatch"], 0)


def test_picked_up_in_the_middle():
    """netfilter has not seen its SYNs, nor their scales: nothing may be held against it."""
    with Lab(pfd=False, v6=False) as lab:
        a, b = tcp(lab.src, lab.dst, DST, 80)
        carries(a, b)
        nft(lab, TRACK)
        carries(a, b, 1000)
        pf = start(lab)
        pf.load("block\n")
        carries(a, b, 2000000)
        eq(pf.info()["state-mismatch"], 0)


def test_what_is_not_taken_in():
    with Lab(pfd=False, v6=False) as lab:
        nft(lab, TRACK + "table inet z { chain p { type filter hook prerouting priority raw; "
                         "tcp dport 81 ct zone set 7; tcp sport 81 ct zone set 7; }\n}\n")
        a, b = tcp(lab.src, lab.dst, DST, 80)
        c, d = tcp(lab.src, lab.dst, DST, 81)
        r = start(lab).load("block\n", "-v")
        contains(r.stderr, "1 connections that existed already were taken in\n"
                           "1 connections of netfilter's could not be taken in\n")
        eq(talks(a, b), True)
        eq(talks(c, d, 0.3), False, "of another zone")


def test_no_tracking():
    """Where it is not in use nothing is asked, and nothing said."""
    with Lab(v6=False) as lab:
        r = lab.pf.load("block\n", "-v")
        absent(r.stderr, "netfilter")
        absent(lab.pf.said(), "netfilter")
