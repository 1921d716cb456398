# SPDX-License-Identifier: BSD-2-Clause
"""A device without Ethernet headers, whose other end is the test."""
import fcntl
import os
import select
import socket
import struct
import time

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.packet import raw

from .check import Skip
from .devices import wait_attached
from .netns import wait_for

TUNSETIFF, TUNSETIFINDEX, TUNSETLINK = 0x400454CA, 0x400454DA, 0x400454CD
IFF_TUN, IFF_TAP, IFF_NO_PI = 1, 2, 0x1000
TUN, TUN6, TUN_PEER, TUN_PEER6 = "203.0.113.1", "2001:db8:3::1", "203.0.113.9", "2001:db8:3::9"


class Tun:
    """A tun or tap device in fw; its other end is this process."""

    def __init__(self, lab, name="tun0", flags=IFF_TUN, index=0, link=None, up=True):
        self.lab, self.name = lab, name
        # the device belongs to the namespace that the file was opened in
        with lab.fw:
            try:
                self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
            except OSError as e:
                raise Skip(f"/dev/net/tun: {e.strerror}") from None
            if index:
                fcntl.ioctl(self.fd, TUNSETIFINDEX, struct.pack("=i", index))
            fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", name.encode(),
                                                        flags | IFF_NO_PI))
        if link is not None:
            fcntl.ioctl(self.fd, TUNSETLINK, link)
        self.index = lab.fw.ifindex(name)
        if up:
            lab.fw.batch([f"addr add {TUN}/24 dev {name}"] +
                         [f"addr add {TUN6}/64 dev {name} nodad"] * lab.v6 +
                         [f"link set {name} up"])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        os.close(self.fd)

    def attached(self):
        """Waits until pfd has seen the device, and its addresses."""
        wait_attached(self.lab, self.name)

        def addresses():
            value = self.lab.pf.map("ifaces").get(struct.pack("=I", self.index))
            want = socket.inet_aton(TUN)
            if self.lab.v6:
                want += socket.inet_pton(socket.AF_INET6, TUN6)
            return value[4:4 + len(want)] == want
        wait_for("addresses", addresses)
        return self

    def send(self, pkt):
        os.write(self.fd, raw(pkt))

    def receive(self, want, timeout=1.0):
        """The first packet that comes out of it and that `want` takes; None after the timeout."""
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                return None
            data = os.read(self.fd, 65536)
            if data[0] >> 4 in (4, 6):
                p = (IPv6 if data[0] >> 4 == 6 else IP)(data)
                if want(p):
                    return p


TUN_ENDS = ((TUN_PEER, TUN), (TUN_PEER6, TUN6))


def ip(src, dst):
    return IPv6(src=src, dst=dst) if ":" in src else IP(src=src, dst=dst)
