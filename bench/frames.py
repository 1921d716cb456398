# SPDX-License-Identifier: BSD-2-Clause
"""Frames of 60 bytes, made fast: benchmarks want ten thousands of them."""
import struct

import common  # noqa: F401  (selftests/ is where pft is)
from policy import LAST, TCP
from pft.lab import MAC

SIZE = 60
SPORT = 1234
_ETH = bytes.fromhex((MAC["ext"] + MAC["src"]).replace(":", "")) + b"\x08\x00"


def frame(flow, sport=SPORT, flags=0x02, seq=1000, ack=0):
    """From src to fw: UDP without a checksum, or TCP with `flags` (and one that is not right)."""
    total = SIZE - 14
    if flow.proto == TCP:
        up = struct.pack("!HHIIBBHHH", sport, flow.port, seq, ack, 0x50, flags, 64000, 0, 0)
        total = 40
    else:
        up = struct.pack("!HHHH", sport, flow.port, total - 20, 0)
    words = (0x4500 + total + 0x4000 + 0x4000 + flow.proto + (flow.src >> 16) +
             (flow.src & 0xffff) + (flow.dst >> 16) + (flow.dst & 0xffff))
    words = (words & 0xffff) + (words >> 16)
    words = (words & 0xffff) + (words >> 16)
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, total, 0, 0x4000, 64, flow.proto, words ^ 0xffff,
                     flow.src, flow.dst)
    return (_ETH + ip + up).ljust(SIZE, b"\0")


def answer(flow):
    """To a frame of that flow; its source is its port."""
    return frame(flow._replace(src=flow.dst, dst=flow.src, port=SPORT), flow.port)


LAST_FRAME = frame(LAST)
