# SPDX-License-Identifier: BSD-2-Clause
"""Live states read from the pinned map: struct pf_state of bpf/abi.h."""
import mmap
import socket
import struct

SLOT = 256
LIVE = 2
TCPS = ["CLOSED", "LISTEN", "SYN_SENT", "SYN_RCVD", "ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT_1",
        "CLOSING", "LAST_ACK", "FIN_WAIT_2", "TIME_WAIT"]
TIMEOUTS = ["tcp.first", "tcp.opening", "tcp.established", "tcp.closing", "tcp.finwait",
            "tcp.closed", "udp.first", "udp.single", "udp.multiple", "icmp.first", "icmp.error",
            "other.first", "other.single", "other.multiple", "frag", "interval",
            "adaptive.start", "adaptive.end", "src.track", "tcp.tsdiff", "sctp.first",
            "sctp.opening", "sctp.established", "sctp.closing", "sctp.closed"]


class Slots:
    """The array of states, mapped."""

    def __init__(self, pf):
        self.map = pf.map("states")
        size = self.map.max_entries * SLOT
        page = mmap.PAGESIZE
        self.mem = mmap.mmap(self.map.fd, (size + page - 1) // page * page, mmap.MAP_SHARED,
                             mmap.PROT_READ)
        self.size = size

    def find(self, outside, inside, oport, iport, proto):
        """The live state of that key (side outside of the interface, side inside)."""
        v6 = ":" in outside
        af = socket.AF_INET6 if v6 else socket.AF_INET
        key = b"".join(socket.inet_pton(af, a).ljust(16, b"\0") for a in (outside, inside))
        key += struct.pack("!HH", oport, iport) + bytes([proto, 6 if v6 else 4, 0, 0])
        at = self.mem.find(key)
        while at >= 0:
            if at % SLOT == 0:
                status, = struct.unpack_from("=I", self.mem, at + 40)
                if status == LIVE:
                    return Slot(self.mem, at)
            at = self.mem.find(key, at + 1)
        return None


class Slot:
    def __init__(self, mem, at):
        self.mem, self.at = mem, at

    def _get(self, fmt, off):
        return struct.unpack_from("=" + fmt, self.mem, self.at + off)

    def live(self):
        return self._get("I", 40)[0] == LIVE

    def dump(self):
        """What a model can be compared with; index 0 is the side that made it."""
        ps, ws = self._get("BB", 48), self._get("BB", 50)
        peers = [self._get("IIIII", 64 + 64 * i + 16) for i in (0, 1)]
        return {"state": [TCPS[s] for s in ps], "wscale": list(ws),
                "timeout": TIMEOUTS[self._get("B", 52)[0]],
                "packets": [self._get("Q", 64)[0], self._get("Q", 128)[0]],
                "seqlo": [p[0] for p in peers],
                # a side's seqhi stands with the other
                "seqhi": [peers[1][1], peers[0][1]],
                "max_win": [p[2] for p in peers],
                "last": [p[4] for p in peers]}
