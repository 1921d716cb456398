# SPDX-License-Identifier: BSD-2-Clause
"""Names that tell which process made a thing, and removal of what dead ones have left.

pft<pid>-<start>, where start is the process's start in ticks since boot: with it a
process that got the number of a dead one is not taken for it.
"""
import os
import re
import shutil
import signal
import subprocess
import tempfile

NETNS, BPFFS, TMP = "/run/netns", "/sys/fs/bpf", "/tmp"
# tells which test a process was started by, whatever group or session it is in now
MARK = "PF_TEST"


def _stat(pid):
    """Its state, and when it began; (None, None) if there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
    except OSError:
        return None, None
    return fields[0], int(fields[19])


def lives(pid, start=None):
    """The process of that number, if one that began then is asked for; the unreaped are dead."""
    state, began = _stat(pid)
    return state not in (None, "Z", "X") and start in (None, began)


def name(pid=None):
    """What the names of all that a process (this one) makes begin with."""
    pid = pid or os.getpid()
    return f"pft{pid}-{_stat(pid)[1]}"


def directory():
    return tempfile.TemporaryDirectory(prefix=name() + ".", dir=TMP)


def _entries(base):
    try:
        return os.listdir(base)
    except FileNotFoundError:
        return []


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _processes(owner):
    """Those that carry the mark of a test."""
    mark = f"{MARK}={owner}".encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                if mark in f.read().split(b"\0"):
                    yield int(pid)
        except OSError:
            pass


def remove(owner):
    """What a test has left: its processes, namespaces with all that runs in them, pins, files."""
    def mine(base):
        return [os.path.join(base, n) for n in _entries(base)
                if re.match(re.escape(owner) + r"[._]", n)]

    for pid in _processes(owner):
        _kill(pid)
    for ns in map(os.path.basename, mine(NETNS)):
        pids = subprocess.run(["ip", "netns", "pids", ns], capture_output=True, text=True,
                              check=False).stdout.split()
        for pid in pids:
            _kill(int(pid))
        subprocess.run(["ip", "netns", "del", ns], check=False, capture_output=True)
    for path in mine(BPFFS) + mine(TMP):
        shutil.rmtree(path, ignore_errors=True)


def remove_abandoned():
    """The same of every process that no longer lives; returns their names."""
    owners = {}
    for base in (NETNS, BPFFS, TMP):
        for n in _entries(base):
            m = re.match(r"(pft(\d+)-(\d+))[._]", n)
            if m:
                owners[m[1]] = lives(m[2], int(m[3]))
    dead = sorted(owner for owner, lives in owners.items() if not lives)
    for owner in dead:
        remove(owner)
    return dead
