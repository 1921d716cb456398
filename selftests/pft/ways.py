# SPDX-License-Identifier: BSD-2-Clause
"""A lab with two ways from fw to dst: by "int", where the routes lead, and by "alt".

    src --- (ext) fw (int) 198.51.100.2 --- 198.51.100.1 dst
                     (alt) 203.0.113.2  --- 203.0.113.1 (far)
                     (alt) 2001:db8:3::2 --- 2001:db8:3::1

FAR is an address of dst behind both; the neighbours at alt are not known beforehand.
"""
import socket

from .lab import DST, DST6, Lab, SRC, SRC6
from .netns import wait_for

ALT, GATE = "203.0.113.2", "203.0.113.1"
ALT6, GATE6 = "2001:db8:3::2", "2001:db8:3::1"
FAR, FAR6 = "203.0.113.200", "2001:db8:9::9"
# family, its far address, the gateway, fw's address at alt, dst's gateway that routes say, src
BOTH = (("ipv4", FAR, GATE, ALT, DST, SRC), ("ipv6", FAR6, GATE6, ALT6, DST6, SRC6))


class Ways(Lab):
    def _wire(self):
        super()._wire()
        self.dst.batch([
            "link add far address 02:00:00:00:03:01 type veth peer name alt "
            f"address 02:00:00:00:03:02 netns {self.fw.name}",
            "link set lo up", "link set far up", f"addr add {GATE}/30 dev far",
            f"addr add {GATE6}/64 dev far nodad", f"addr add {FAR}/32 dev lo",
            f"addr add {FAR6}/128 dev lo nodad", "addr add fe80::3:1/64 dev far nodad"])
        self.fw.batch(["link set alt up", f"addr add {ALT}/30 dev alt",
                       f"addr add {ALT6}/64 dev alt nodad", "addr add fe80::3:2/64 dev alt nodad",
                       f"route add default via {DST}", f"route add default via {DST6}"])
        for ns, dev in ((self.fw, "alt"), (self.fw, "int"), (self.fw, "all"), (self.dst, "all"),
                        (self.dst, "far"), (self.dst, "dst")):
            ns.sysctl(f"net/ipv4/conf/{dev}/rp_filter", 0)

    def watch(self, dev):
        w = Watch(self.dst, dev)
        self.sniffers.append(w)
        return w


class Watch:
    """What comes to an interface of dst: IP packets that neighbours do not send each other."""

    def __init__(self, ns, dev):
        self.sock = ns.sock(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self.sock.bind((dev, 3))

    def close(self):
        self.sock.close()

    def drain(self):
        self.sock.setblocking(False)
        out = []
        while True:
            try:
                data, addr = self.sock.recvfrom(131072)
            except BlockingIOError:
                return out
            v6 = data[12:14] == b"\x86\xdd"
            if addr[2] == 4 or not (v6 or data[12:14] == b"\x08\x00"):
                continue
            if v6 and (data[20] == 0 or (data[20] == 58 and data[54] in range(130, 138))):
                continue
            out.append(data[14:])

    def packets(self, n=1):
        """At least so many, as scapy has them."""
        from scapy.layers.inet import IP
        from scapy.layers.inet6 import IPv6
        found = []
        wait_for("packets", lambda: found.extend(self.drain()) or len(found) >= n)
        return [IPv6(p) if p[0] >> 4 == 6 else IP(p) for p in found]
