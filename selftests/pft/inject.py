# SPDX-License-Identifier: BSD-2-Clause
"""Packets into the programs at an interface by TEST_RUN, from one CPU or from several at once."""
import os
import traceback

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import raw

from .check import eq
from .lab import MAC

PASS = -1


def by(emitter):
    """What compiles the rules of the labs that come."""
    os.environ["PF_EMITTER"] = emitter


def ip(src, dst, **kw):
    """The header of the addresses' family; IPv4's name of the TTL is good for both."""
    if ":" in src:
        if "ttl" in kw:
            kw["hlim"] = kw.pop("ttl")
        return IPv6(src=src, dst=dst, **kw)
    return IP(src=src, dst=dst, **kw)


def go(lab, pkt, dev="ext", way="in", mac=None):
    """Does it pass there?"""
    frame = raw(Ether(dst=mac or MAC[dev], src="02:00:00:00:00:99") / pkt)
    return lab.pf.run(dev, way, frame)[0] == PASS


def _child(fn, k, begin, out):
    status = 1
    try:
        cpus = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cpus[k % len(cpus)]})
        os.read(begin, 1)
        os.write(out, b"%d" % fn(k))
        status = 0
    except BaseException:  # a process of its own: nobody else would tell of it
        traceback.print_exc()
    finally:
        os._exit(status)


def at_once(n, fn):
    """[fn(0), ...], all numbers, of n processes on all CPUs that begin at one moment."""
    begin_r, begin_w = os.pipe()
    children = []
    for k in range(n):
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(begin_w)
            _child(fn, k, begin_r, w)
        os.close(w)
        children.append((pid, r))
    os.close(begin_r)
    os.close(begin_w)
    out = []
    for pid, r in children:
        with os.fdopen(r) as f:
            out.append(f.read())
        eq(os.waitpid(pid, 0)[1], 0, "the process ended well")
    return [int(x) for x in out]
