# SPDX-License-Identifier: BSD-2-Clause
"""A full state table: how long it takes to list it, to sweep it, and to end a part of it."""
import json
import os
import statistics
import struct
import subprocess
import time

from common import SLOW_ROUNDS, STATES, row, say, title
from frames import frame
from memory import STATE_MOST, state_bytes
from pft import bpf
from pft.lab import PFCTL, Lab
from pft.netns import wait_for
from policy import GHOST_DST, TCP, UDP, Flow

PARTS = 10  # networks that the states' sources are in, in turn
OFFENDER, FEW = 0xc0000263, 1000
RULES = (f"set limit states {STATES + 10000}\nset timeout {{ udp.first 3600 adaptive.start 0 "
         "adaptive.end 0 }\ntable <bad> persist\nblock in quick on ext from <bad>\n"
         "pass in on ext proto udp\n"
         "pass in on ext proto tcp keep state (max-src-conn 1, overload <bad> flush global)\n")


def _spread(i):
    """Sources in PARTS networks."""
    k = i // PARTS
    return Flow(UDP, 0x0a000000 + (i % PARTS << 16) + k % 65536, GHOST_DST, 53), 1024 + k // 65536


def _of_one(i):
    return Flow(UDP, OFFENDER, GHOST_DST + 1 + i // 60000, 53), 1024 + i % 60000


def _fill(lab, n, flow):
    """Datagrams judged by the program at ext: a state each."""
    fd, before = lab.pf.program("ext", "in"), lab.pf.info()["current entries"]
    with lab.fw:
        index = lab.fw.ifindex("ext")
        for i in range(n):
            bpf.test_run(fd, frame(*flow(i)), index, out_size=64)
    os.close(fd)
    assert lab.pf.info()["current entries"] == before + n, lab.pf.ctl("-si").stdout


def _run(lab, *args):
    """(seconds, largest resident bytes) of pfctl-linux."""
    began = time.monotonic()
    p = lab.fw.popen([PFCTL, "-p", lab.pf.socket, *args], stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(p.pid, 0)
    took = time.monotonic() - began
    p.returncode = os.waitstatus_to_exitcode(status)
    assert p.returncode == 0, f"{args}: {p.returncode}"
    return took, usage.ru_maxrss * 1024


def _kill(lab, part):
    killed = lab.pf.ctl("-k", f"10.{part}.0.0/16").stderr.split()[1]
    assert int(killed) == STATES // PARTS, killed


def _count(lab):
    status = lab.pf.map("status")
    try:
        return struct.unpack_from("=I", status.get(bytes(4)))[0]
    finally:
        status.close()


# --- the sweep ---

def _sweep_program(lab):
    """Descriptor of pf_sweep, one slice of a sweep: of this firewall's programs."""
    states = lab.pf.map("states")
    progs = json.loads(subprocess.run(["bpftool", "-j", "prog", "show"], check=True,
                                      capture_output=True, text=True).stdout)
    ids = [p["id"] for p in progs
           if p.get("name") == "pf_sweep" and states.id in p.get("map_ids", ())]
    states.close()
    assert len(ids) == 1, ids
    return bpf.prog_by_id(ids[0])


def _sweep(lab):
    """What one round over all slots in each interval takes of a CPU, by running its slices."""
    config = lab.pf.map("config").get(bytes(4))
    slots, = struct.unpack_from("=I", config, 84)
    slice_slots, ns = struct.unpack_from("=II", config, 196)
    fd = _sweep_program(lab)
    times = [bpf.test_run(fd, bytes(64), 0, -(-slots // slice_slots))[2]
             for _ in range(SLOW_ROUNDS)]
    os.close(fd)
    return statistics.median(times) / ns


# --- an offender ---

def _segment(lab, way, sport, flags, seq, ack=0):
    ends = ((OFFENDER, GHOST_DST, 80), (GHOST_DST, OFFENDER, sport))[way == "out"]
    return lab.pf.run("ext", way, frame(Flow(TCP, *ends), 80 if way == "out" else sport, flags,
                                        seq, ack))[0]


def _offend(lab, left):
    """Seconds from the packet that offends until all of its source's states have ended."""
    for sport in (1, 2):
        _segment(lab, "in", sport, 0x02, 100)
        _segment(lab, "out", sport, 0x12, 500, 101)
        began = time.monotonic()
        _segment(lab, "in", sport, 0x10, 101, 501)
    wait_for("the flush", lambda: _count(lab) == left, 10, 0.0005)
    took = time.monotonic() - began
    lab.pf.ctl("-t", "bad", "-T", "flush")
    return took


def _ends(lab):
    """What ends many states at once; all that there are, at last."""
    times = []
    for part in range(SLOW_ROUNDS):
        began = time.monotonic()
        _kill(lab, part)
        times.append(time.monotonic() - began)
    left = STATES - SLOW_ROUNDS * (STATES // PARTS)
    wait_for("states to end", lambda: _count(lab) == left, 10)
    row(f"-k of {STATES // PARTS}", f"{statistics.median(times) * 1000:.0f} ms", "target 100")
    time.sleep(3)  # the slots have rested
    _fill(lab, STATES - left, _of_one)
    row(f"flush global: {STATES - left} of {STATES}", f"{_offend(lab, left) * 1000:.0f} ms")
    times = []
    for _ in range(SLOW_ROUNDS):
        _fill(lab, FEW, _of_one)
        times.append(_offend(lab, left))
    row(f"flush global: {FEW} beside {left}", f"{statistics.median(times) * 1000:.0f} ms",
        "target 50")
    lab.pf.ctl("-F", "states")
    time.sleep(3)
    _fill(lab, STATES, _of_one)
    row(f"flush global: all of {STATES}", f"{_offend(lab, 0) * 1000:.0f} ms", "target 50")


def listing_section():
    """a full state table: listing it, sweeping it, ending a part of it"""
    title(f"{STATES} states")
    with Lab(hosts=2, v6=False, rules=RULES) as lab:
        row("kernel memory a state", f"{state_bytes(lab, STATES + 10000):.0f} B",
            f"target {STATE_MOST}, translated or not")
        began = time.monotonic()
        _fill(lab, STATES, _spread)
        row("made by BPF_PROG_TEST_RUN", f"{time.monotonic() - began:.1f} s")
        for name, args in (("-ss", ["-ss"]), ("-ss -v", ["-ss", "-v"]),
                           ("-ss --json", ["-ss", "--json"]), ("-si", ["-si"])):
            got = [_run(lab, *args) for _ in range(SLOW_ROUNDS)]
            row(name, f"{sorted(t for t, _ in got)[len(got) // 2]:.2f} s",
                f"{max(m for _, m in got) / 1e6:.0f} MB resident")
        row("the sweep, of one CPU", f"{_sweep(lab) * 100:.2f} %", "target 0.3")
        say("flush global: from the offending packet until the last of its states has ended")
        _ends(lab)
