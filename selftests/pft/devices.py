# SPDX-License-Identifier: BSD-2-Clause
"""Traffic over a device, and what is attached to it."""
import os
import re
import socket
import threading

from . import bpf, own
from .check import Skip, eq
from .lab import DST, REASONS, SRC
from .netns import Netns, wait_for

AMOUNT = 3_000_000


def need(kind, *args):
    """Skips the test where the kernel has no such devices."""
    ns = Netns(f"{own.name()}.probe")
    try:
        ns.batch(["link add v0 type veth peer name v1"])
        ns.ip("link", "add", "probe0", *args, "type", kind,
              *{"vlan": ["id", "5"], "vxlan": ["id", "5", "dstport", "4789", "local", SRC],
                "ipip": ["remote", SRC, "local", DST], "sit": ["remote", SRC, "local", DST],
                "gre": ["remote", SRC, "local", DST], "macvlan": ["mode", "bridge"]}.get(kind, []))
    except RuntimeError as e:
        if "Unknown device type" not in str(e) and "not supported" not in str(e):
            raise
        raise Skip(f"this kernel has no {kind} devices") from None
    finally:
        ns.delete()


def bulk(server, client, addr, amount=AMOUNT, port=8000):
    """That many bytes each way over one connection: what came there, and back."""
    came = {}
    listener = server.listen(port, family=socket.AF_INET6)
    data = os.urandom(1 << 16)

    def count(s, n):
        got = bytearray()
        while len(got) < n:
            d = s.recv(1 << 20)
            if not d:
                break
            got += d
        whole = data * (n // len(data) + 1)
        return len(got) if got == whole[:n] else "damaged"

    def serve():
        s, _ = listener.accept()
        with s:
            s.settimeout(15)
            came["there"] = count(s, amount)
            s.sendall((data * (amount // len(data) + 1))[:amount])

    t = threading.Thread(target=serve, daemon=True)
    t.start()
    with client.connect(addr, port, 5) as c:
        c.settimeout(15)
        c.sendall((data * (amount // len(data) + 1))[:amount])
        came["back"] = count(c, amount)
    t.join(5)
    listener.close()
    return came


def nothing_odd(lab, what=""):
    """No packet was dropped but by a rule: lost ones are sent again, and would not be missed."""
    info = lab.pf.info()
    eq({n: info[n] for n in REASONS if info[n] and n != "match"}, {}, f"{what}: drops by reason")


def check_bulk(lab, server, client, addr, amount=AMOUNT):
    eq(bulk(server, client, addr, amount), {"there": amount, "back": amount}, addr)
    nothing_odd(lab, addr)


def filters(lab, dev="ext"):
    """Names of the clsact filters: (ingress, egress)."""
    out = []
    for way in ("ingress", "egress"):
        text = lab.fw.run("tc", "filter", "show", "dev", dev, way, check=False).stdout
        out.append(re.findall(r"handle \S+ (\S+) direct-action", text))
    return tuple(out)


def is_attached(lab, dev):
    """Programs come in first, then out; by links, or on older kernels by filters."""
    if os.path.exists(f"{lab.pin}/links/{lab.fw.ifindex(dev)}-out"):
        return True
    return bool(filters(lab, dev)[1])


def wait_attached(lab, dev):
    wait_for(f"programs on {dev}", lambda: is_attached(lab, dev))


def program_name(lab, dev):
    fd = lab.pf.program(dev, "in")
    try:
        return bpf.info(fd)[64:80].rstrip(b"\0").decode()
    finally:
        os.close(fd)


def need_tcx(lab):
    if "attached by tcx" not in lab.pf.said():
        raise Skip("this kernel has no tcx")


def udp_passes(server, client, addr, port, timeout=0.15):
    """Does a datagram arrive, and its answer?  'no', 'there' or 'both'."""
    family = socket.AF_INET6 if ":" in addr else socket.AF_INET
    with server.udp(port, family=family) as s, client.udp(family=family) as c:
        s.settimeout(timeout)
        c.settimeout(timeout)
        try:
            c.sendto(b"question", (addr, port))
            data, who = s.recvfrom(100)
        except (socket.timeout, ConnectionRefusedError, PermissionError):
            return "no"
        try:
            s.sendto(data, who)
            c.recv(100)
        except (socket.timeout, ConnectionRefusedError):
            return "there"
    return "both"
