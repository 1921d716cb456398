# SPDX-License-Identifier: BSD-2-Clause
"""pfctl-linux by itself: files that it checks, and what it says of them."""
import os
import re
import socket
import struct
import subprocess
import tempfile

from . import own
from .check import eq, lines_eq
from .lab import PFCTL, ROOT

# For what hangs.  The largest input takes a release some seconds, sanitizers ten times as long.
SECONDS = 50 * float(os.environ.get("PF_TIMEOUT_SCALE", 1))
NOWHERE = "/nonexistent/pfd.sock"
MEGA = 1 << 20

ERROR = re.compile(r"^([^\s:]+):(\d+):(\d+): (?!warning: )(.*)$", re.M)

# Golden files: NAME.conf with what is printed for it (.out), or said of it (.err).
LANG = os.path.join(ROOT, "selftests", "lang")
OK, BAD = os.path.join(LANG, "ok"), os.path.join(LANG, "bad")


def sanitized():
    with open(PFCTL, "rb") as f:
        return b"__asan_init" in f.read()


def sound(r, statuses=(0, 1)):
    """A process that did not crash, and of which no sanitizer has said anything."""
    if r.returncode not in statuses or "Sanitizer" in r.stderr or "runtime error" in r.stderr:
        raise AssertionError(f"exit status {r.returncode}\n{r.stderr[-2000:]}")
    return r


def call(argv, text=None, statuses=(0, 1), **kw):
    """A command with pfctl-linux in it; text, str or bytes, is its standard input."""
    if isinstance(text, str):
        text = text.encode()
    stdin = {} if text is not None or "stdin" in kw else {"stdin": subprocess.DEVNULL}
    r = subprocess.run(argv, input=text, capture_output=True, check=False,
                       **{"timeout": SECONDS, **stdin, **kw})
    out, err = (b.decode(errors="surrogateescape") for b in (r.stdout, r.stderr))
    return sound(subprocess.CompletedProcess(argv, r.returncode, out, err), statuses)


def pfctl(*args, **kw):
    """pfctl-linux that finds no pfd."""
    return call([PFCTL, "-p", NOWHERE, *args], **kw)


def run(lab, *args, out="", err="", status=0, input=None):
    """pfctl-linux with these arguments says exactly this."""
    r = lab.pf.ctl(*args, check=False, input=input)
    eq((r.stdout, r.stderr, r.returncode), (out, err, status), " ".join(args))


def before(answer, *args):
    """pfctl-linux before a pfd that gives this answer: (what it asked for, status, out, err)."""
    with tempfile.TemporaryDirectory(dir=own.TMP) as where, \
            socket.socket(socket.AF_UNIX) as listener:
        path = os.path.join(where, "pfd.sock")
        listener.bind(path)
        listener.listen()
        listener.settimeout(20)
        with subprocess.Popen([PFCTL, "-p", path, *args], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as p:
            client, _ = listener.accept()
            with client:
                kind, = struct.unpack_from("=H", client.recv(16, socket.MSG_WAITALL), 4)
                client.sendall(answer)
                client.shutdown(socket.SHUT_WR)
                out, err = p.communicate(timeout=30)
        return kind, p.returncode, out, err.decode()


def golden_names(directory):
    return [(f[:-5],) for f in sorted(os.listdir(directory)) if f.endswith(".conf")]


def golden(directory, name):
    # newline="": what ends a line is a part of the test
    with open(os.path.join(directory, name), encoding="utf-8", newline="") as f:
        return f.read()


# --- files ---

def write(directory, files):
    """{name: text}, str or bytes; names may be paths."""
    for name, text in files.items():
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(text.encode() if isinstance(text, str) else text)


class Files:
    """A directory with these files, where pfctl-linux runs."""

    def __init__(self, files):
        self.tmp = own.directory()
        self.dir = self.tmp.name
        write(self.dir, files)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.tmp.cleanup()

    def pfctl(self, *args, before=(), **kw):
        return call([*before, PFCTL, "-o", "none", "-N", *args], cwd=self.dir, **kw)


def check(files, *args):
    """pfctl-linux -n of the first of these files.  Names are not looked up."""
    with Files(files) as d:
        return d.pfctl(*args, "-vnf", next(iter(files)))


def summary(said, name):
    """The line that must come behind these errors."""
    found = ERROR.findall(said)
    text = f"pfctl-linux: {len(found)} error{'s' * (len(found) != 1)} in {name}: rules not loaded"
    for file, line, _column, message in found:
        if file != name:
            return f"{text}; the first in another file: {file}:{line}: {message}\n"
    return text + "\n"


def said_of(text, *args):
    """What is said of a pf.conf that must be refused, without its summary, which must be right."""
    r = check({"pf.conf": text}, *args)
    eq((r.returncode, r.stdout), (1, ""))
    lines = r.stderr.splitlines(keepends=True)
    eq(lines[-1], summary(r.stderr, "pf.conf"))
    return "".join(lines[:-1])


def errors(text, *args):
    """[(line, column, message)] of a pf.conf that must be refused."""
    return [(int(line), int(column), message)
            for _, line, column, message in ERROR.findall(said_of(text, *args))]


def refused(files, want, *args):
    """The first of these files must be refused with exactly these words, and their summary."""
    r = check(files, *args)
    lines_eq(r.stderr, want + summary(want, next(iter(files))))
    eq((r.returncode, r.stdout), (1, ""))


def accepted(files, want, *args):
    """And printed as this, without a word."""
    r = check(files, *args)
    eq((r.returncode, r.stderr), (0, ""))
    lines_eq(r.stdout, want)


# --- what -s timeouts and -s memory show ---

TIMEOUTS = [("tcp.first", 120), ("tcp.opening", 30), ("tcp.established", 86400),
            ("tcp.closing", 900), ("tcp.finwait", 45), ("tcp.closed", 90), ("tcp.tsdiff", 30),
            ("sctp.first", 120), ("sctp.opening", 30), ("sctp.established", 86400),
            ("sctp.closing", 900), ("sctp.closed", 90),
            ("udp.first", 60), ("udp.single", 30), ("udp.multiple", 60), ("icmp.first", 20),
            ("icmp.error", 10), ("other.first", 60), ("other.single", 30), ("other.multiple", 60),
            ("frag", 60), ("interval", 10), ("adaptive.start", 60000), ("adaptive.end", 120000),
            ("src.track", 0)]
LIMITS = [("states", 100000), ("src-nodes", 10000), ("frags", 65536), ("tables", 1000),
          ("table-entries", 200000)]


def timeouts_text(**changes):
    changed = {k.replace("_", "."): v for k, v in changes.items()}
    return "".join(f"{name:<20} {changed.get(name, n):>10}"
                   f"{' states' if name.startswith('adaptive') else 's'}\n"
                   for name, n in TIMEOUTS)


def limits_text(**changes):
    changed = {k.replace("_", "-"): v for k, v in changes.items()}
    return "".join(f"{name:<13} hard limit {changed.get(name, n):>8}\n" for name, n in LIMITS)
