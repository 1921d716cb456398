# SPDX-License-Identifier: BSD-2-Clause
"""Three hosts in a row, src - fw - dst, with pfd on the middle one.

    src 192.0.2.1 --- 192.0.2.2 (ext) fw (int) 198.51.100.2 --- 198.51.100.1 dst
    src 2001:db8:1::1 --- ...:1::2    fw       2001:db8:2::2 --- ...:2::1    dst

All neighbours are static.  Scripted packets use addresses ending in .100 or ::100,
which no stack answers: fw takes them for behind src or dst.  With hosts=2 there
is no dst and fw is an end; v6=False switches IPv6 off, whose listener reports would
be counted now and then.
"""
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

from . import bpf, own
from .check import lines_eq
from .netns import Netns, delete_all, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("PF_BUILD") or os.path.join(ROOT, "build"))
PFD = os.path.join(BUILD, "pfd")
PFCTL = os.path.join(BUILD, "pfctl-linux")

SRC, FW_SRC, FW_DST, DST = "192.0.2.1", "192.0.2.2", "198.51.100.2", "198.51.100.1"
SRC6, FW6_SRC, FW6_DST, DST6 = ("2001:db8:1::1", "2001:db8:1::2", "2001:db8:2::2",
                                "2001:db8:2::1")
GHOST, GHOST_DST = "192.0.2.100", "198.51.100.100"
GHOST6, GHOST6_DST = "2001:db8:1::100", "2001:db8:2::100"
MAC = {"src": "02:00:00:00:01:01", "ext": "02:00:00:00:01:02",
       "int": "02:00:00:00:02:02", "dst": "02:00:00:00:02:01"}

REASONS = ["match", "bad-offset", "fragment", "short", "normalize", "memory", "bad-timestamp",
           "congestion", "ip-option", "proto-cksum", "state-mismatch", "state-insert",
           "state-limit", "src-limit", "synproxy", "translate", "no-route"]

_serial = 0


class Lab:
    """`with Lab() as lab:` or the runner's t.lab(); everything goes when it is closed."""

    def __init__(self, hosts=3, rules=None, pfd=True, pfd_args=(), v6=True,
                 fresh=False):
        global _serial
        _serial += 1
        # the runner sweeps up what begins with this, should we die
        self.id = f"{own.name()}.{_serial}"
        self.dir = tempfile.mkdtemp(prefix=self.id + ".", dir=own.TMP)
        self.pin = f"{own.BPFFS}/{self.id.replace('.', '_')}"
        self.namespaces = []
        self.pf = None
        self.v6 = v6
        self.sniffers = []
        self.fresh = None
        try:
            self.src = self._ns("src")
            self.fw = self._ns("fw")
            self.dst = self._ns("dst") if hosts == 3 else None
            self._wire()
            if pfd:
                self.pf = Pfd(self.fw, self.dir, self.pin, pfd_args)
                self.pf.start()
                self.fresh = self.pf.all() if fresh else None
                if rules is not None:
                    self.pf.load(rules)
        except BaseException:
            self.close()
            raise

    def _ns(self, what):
        ns = Netns(f"{self.id}.{what}")
        self.namespaces.append(ns)
        for path, value in (("net/ipv6/conf/default/addr_gen_mode", 1),
                            ("net/ipv6/conf/default/router_solicitations", 0),
                            ("net/ipv6/conf/default/accept_dad", 0),
                            ("net/ipv6/conf/default/accept_ra", 0),
                            # MLD's repeated reports come at once, not amid a test
                            ("net/ipv6/conf/default/mldv2_unsolicited_report_interval", 1),
                            ("net/ipv4/ping_group_range", "0 2147483647")):
            ns.sysctl(path, value)
        if not self.v6:
            ns.sysctl("net/ipv6/conf/default/disable_ipv6", 1)
        return ns

    def _side(self, host, dev, own, fw_dev, gates, ghosts):
        """A host, its wire to fw, and what each knows of the other."""
        host.batch([f"link add {dev} address {MAC[dev]} type veth peer name {fw_dev} "
                    f"address {MAC[fw_dev]} netns {self.fw.name}"])
        for ns, at, addrs, others, mac in ((host, dev, own, gates, MAC[fw_dev]),
                                           (self.fw, fw_dev, gates, own + ghosts, MAC[dev])):
            lines = ["link set lo up", f"link set {at} up", f"addr add {addrs[0]}/24 dev {at}",
                     f"addr add {addrs[1]}/64 dev {at} nodad"]
            lines += [f"neigh add {a} lladdr {mac} dev {at} nud permanent" for a in others]
            if ns is host:
                lines += [f"route add default via {a}" for a in gates]
            ns.batch([line for line in lines if self.v6 or "2001:db8:" not in line])

    def _wire(self):
        self._side(self.src, "src", (SRC, SRC6), "ext", (FW_SRC, FW6_SRC), (GHOST, GHOST6))
        if not self.dst:
            return
        self._side(self.dst, "dst", (DST, DST6), "int", (FW_DST, FW6_DST),
                   (GHOST_DST, GHOST6_DST))
        self.fw.sysctl("net/ipv4/ip_forward", 1)
        self.fw.sysctl("net/ipv6/conf/all/forwarding", 1)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close(failed=exc[0] is not None)

    def clean(self):
        """
        Of a lab that was made with fresh=True: for another test its firewall is as it was.
        Anchors that were loaded are not flushed, but found.
        """
        for s in self.sniffers:
            s.close()
        self.sniffers = []
        self.pf.ctl("-F", "all")
        tables = self.pf.ctl("-a", "*", "-s", "Tables").stdout.split()
        for anchor in {t.partition("@")[2] for t in tables}:
            self.pf.ctl("-a", anchor, "-F", "Tables")
        lines_eq(self.pf.all(), self.fresh, "a firewall without rules, states and tables")

    def close(self, failed=False):
        try:
            if self.pf:
                self.pf.close(failed)
        finally:
            for s in self.sniffers:
                s.close()
            delete_all(self.namespaces)
            self.namespaces = []
            shutil.rmtree(self.dir, ignore_errors=True)

    # scripted packets

    def wire(self, end):
        """A raw socket at src's or dst's end of the wire; "ext", "int" are fw's."""
        ns = {"src": self.src, "dst": self.dst, "ext": self.fw, "int": self.fw}[end]
        w = Wire(ns, end)
        self.sniffers.append(w)
        return w


class Wire:
    """Sends and receives frames at one interface."""

    def __init__(self, ns, dev):
        self.dev = dev
        self.sock = ns.sock(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.sock.bind((dev, 3))
        peer = {"src": "ext", "ext": "src", "dst": "int", "int": "dst"}[dev]
        self.eth = bytes.fromhex((MAC[peer] + MAC[dev]).replace(":", ""))

    def close(self):
        self.sock.close()

    def frame(self, pkt):
        from scapy.packet import raw
        data = raw(pkt)
        return self.eth + (b"\x86\xdd" if data[0] >> 4 == 6 else b"\x08\x00") + data

    def send(self, pkt):
        """An IP packet of scapy's, or its bytes."""
        self.sock.send(pkt if isinstance(pkt, bytes) else self.frame(pkt))

    def drain(self):
        self.sock.setblocking(False)
        try:
            while True:
                self.sock.recv(65536)
        except BlockingIOError:
            pass

    def receive(self, want, timeout=1.0):
        """The first packet that comes in, and that `want` takes; None after the timeout.

        want(ip) gets the packet as scapy's IP or IPv6.
        """
        from scapy.layers.inet import IP
        from scapy.layers.inet6 import IPv6
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.sock.settimeout(left)
            try:
                data, addr = self.sock.recvfrom(65536)
            except (TimeoutError, socket.timeout):
                return None
            if addr[2] == 4:  # PACKET_OUTGOING
                continue
            kind = data[12:14]
            if kind == b"\x08\x00":
                p = IP(data[14:])
            elif kind == b"\x86\xdd":
                p = IPv6(data[14:])
            else:
                continue
            if want(p):
                return p


class Pfd:
    """pfd in a namespace, and pfctl-linux that talks to it."""

    def __init__(self, ns, where, pin, args=()):
        self.ns, self.dir, self.pin, self.args = ns, where, pin, list(args)
        self.socket = os.path.join(where, "sock")
        self.logfile = os.path.join(where, "pflog")
        self.errfile = os.path.join(where, "pfd.err")
        self.proc = None

    def argv(self, *more):
        # PF_EMITTER=tree: every test of rules on the other emitter
        emitter = os.environ.get("PF_EMITTER")
        return [PFD, "-p", self.socket, "-P", self.pin, "-l", self.logfile,
                *(["--emitter", emitter] if emitter else []), *self.args, *more]

    def start(self, *more, wait=True):
        with open(self.errfile, "ab") as err:
            self.proc = self.ns.popen(self.argv("-d", *more), stdout=err, stderr=err,
                                      stdin=subprocess.DEVNULL)
        if wait:
            wait_for("pfd", self.answers, 30)
        return self

    def answers(self):
        if self.proc.poll() is not None:
            raise AssertionError(f"pfd ended with {self.proc.returncode}\n{self.said()}")
        return os.path.exists(self.socket) and self.ctl("-si", check=False).returncode == 0

    def said(self):
        with open(self.errfile, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self, sig=signal.SIGTERM):
        """Ends pfd; the firewall goes on.  Returns its exit status."""
        if self.proc is None:
            return None
        if self.proc.poll() is None:
            self._end(sig)
        status = self.proc.wait()
        self.proc = None
        return status

    def _end(self, sig):
        """Popen.wait() with a limit would sleep between looks."""
        ended = os.pidfd_open(self.proc.pid)
        try:
            self.proc.send_signal(sig)
            if not select.select([ended], [], [], 20)[0]:
                self.proc.kill()
                self.proc.wait()
                raise AssertionError(f"pfd did not end\n{self.said()}")
        finally:
            os.close(ended)

    def restart(self):
        self.stop()
        return self.start()

    def close(self, failed=False):
        status = self.stop() if self.proc and self.proc.poll() is None else (
            self.proc.returncode if self.proc else None)
        self.proc = None
        gone = self.ns.run(*self.argv("-X"), check=False)
        said = self.said() if os.path.exists(self.errfile) else ""
        if failed:
            if said:
                print("--- pfd said:\n" + said)
            return
        assert status in (None, 0), f"pfd ended with {status}\n{said}"
        assert "Sanitizer" not in said and "runtime error" not in said, said
        assert gone.returncode == 0, gone.stderr

    # the command line

    def all(self):
        """All that it shows but for the time; some packets of IPv6 are always under way."""
        return [re.sub(r"^(searches|match) .*| for \d+ days [\d:]+| [\d.]+/s$", r"\1",
                       " ".join(line.split()))
                for args in (("-s", "all"), ("-a", "*", "-s", "rules"), ("-a", "*", "-s", "Tables"))
                for line in self.ctl(*args).stdout.splitlines()]

    def ctl(self, *args, check=True, input=None, timeout=30):
        # most tests count what single rules do: they are loaded as they are written
        if "-f" in args and "-T" not in args and "-o" not in args:
            args = ("-o", "none", *args)
        return self.ns.run(PFCTL, "-p", self.socket, *args, check=check, input=input,
                           timeout=timeout)

    def load(self, rules, *args):
        return self.ctl(*args, "-f", "-", input=rules)

    def rules(self):
        return self.ctl("-sr").stdout.splitlines()

    def rule_numbers(self):
        """[(text, {"evaluations", "packets", "bytes", "states", "creations"})] of -sr -vv."""
        out = []
        for line in self.ctl("-sr", "-vv").stdout.splitlines():
            m = re.match(r"@(\d+) (.*)", line)
            if m:
                out.append((m[2], {}))
            m = re.match(r"\s+\[ Evaluations: (\d+)\s+Packets: (\d+)\s+Bytes: (\d+)\s+"
                         r"States: (\d+)\s+\]", line)
            if m:
                out[-1][1].update(zip(("evaluations", "packets", "bytes", "states"),
                                      map(int, m.groups())))
            m = re.search(r"State Creations: (\d+)", line)
            if m:
                out[-1][1]["creations"] = int(m[1])
        return out

    def states(self, *args):
        return self.ctl("-ss", *args).stdout.splitlines()

    def state(self, pattern):
        """The only state line that matches."""
        found = [s for s in self.states() if re.search(pattern, s)]
        assert len(found) == 1, f"{len(found)} states match {pattern}:\n" + "\n".join(
            self.states())
        return found[0]

    def info(self):
        """{name: number} of -si."""
        out = {}
        for line in self.ctl("-si").stdout.splitlines():
            m = re.match(r"\s+([a-z][-a-z :]*?)\s{2,}(\d+)", line)
            if m:
                out[m[1]] = int(m[2])
        return out

    def log_lines(self, *args):
        """What tcpdump makes of the log."""
        r = subprocess.run(["tcpdump", "-n", "-e", "-ttt", *args, "-r", self.logfile],
                           capture_output=True, text=True, check=False)
        assert r.returncode == 0, r.stderr
        return r.stdout.splitlines()

    def log_records(self):
        """The log's records, read without libpcap."""
        with open(self.logfile, "rb") as f:
            data = f.read()
        magic, _, _, _, _, _, link = struct.unpack_from("=IHHIIII", data)
        assert (magic, link) == (0xA1B2C3D4, 117), data[:24]
        out, at = [], 24
        while at < len(data):
            _sec, _usec, caplen, length = struct.unpack_from("=IIII", data, at)
            rec = data[at + 16:at + 16 + caplen]
            assert len(rec) == caplen, "the file ends inside a record"
            at += 16 + caplen
            out.append({"action": ("pass", "block")[rec[2]], "reason": REASONS[rec[3]],
                        "dev": rec[4:20].rstrip(b"\0").decode(),
                        "rule": struct.unpack_from("!i", rec, 36)[0],
                        "dir": {1: "in", 2: "out"}[rec[60]], "len": length - rec[0],
                        "packet": rec[rec[0]:]})
        return out

    # maps and programs

    def map(self, name):
        return bpf.Map(f"{self.pin}/maps/pf_{name}")

    def program(self, dev, direction):
        """Descriptor of the program at an interface: "in" or "out"."""
        link = f"{self.pin}/links/{self.ns.ifindex(dev)}-{direction}"
        if os.path.exists(link):
            return bpf.link_prog_fd(link)
        # a kernel without tcx: ask tc(8)
        filters = json.loads(self.ns.run(
            "tc", "-j", "filter", "show", "dev", dev,
            {"in": "ingress", "out": "egress"}[direction]).stdout)
        ids = [f["options"]["prog"]["id"] for f in filters if "prog" in f.get("options", {})]
        assert len(ids) == 1, filters
        return bpf.prog_by_id(ids[0])

    def run(self, dev, direction, frame, repeat=1):
        """TEST_RUN of the program at dev: (verdict, frame, ns); verdict -1 pass, 2 drop."""
        fd = self.program(dev, direction)
        try:
            with self.ns:
                return bpf.test_run(fd, frame, self.ns.ifindex(dev), repeat)
        finally:
            os.close(fd)


class Stopped:
    """pfd does nothing meanwhile."""

    def __init__(self, pfd):
        self.proc = pfd.proc

    def __enter__(self):
        self.proc.send_signal(signal.SIGSTOP)
        # not before it stands still
        wait_for("pfd to stop", lambda: self.status() == "T", 5)

    def status(self):
        with open(f"/proc/{self.proc.pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0]

    def __exit__(self, *exc):
        self.proc.send_signal(signal.SIGCONT)
