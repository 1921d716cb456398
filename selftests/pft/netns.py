# SPDX-License-Identifier: BSD-2-Clause
"""Network namespaces, and sockets in them.

A socket belongs for ever to the namespace that it was opened in, so one process
plays all the hosts of a test: `with ns: s = socket.socket(...)`.
"""
import ctypes
import os
import signal
import socket
import subprocess
import threading
import time

from .check import Skip

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def setns(fd):
    if _libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def die_with_parent(parent):
    """This process is killed when the one that forked it ends."""
    _libc.prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


class Netns:
    """A named namespace, /run/netns/NAME, gone when delete() is called."""

    def __init__(self, name):
        self.name = name
        self.path = f"/run/netns/{name}"
        self._outer = threading.local()
        ip("netns", "add", name)
        self.fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    def delete(self):
        delete_all([self])

    def __enter__(self):
        stack = getattr(self._outer, "stack", None)
        if stack is None:
            stack = self._outer.stack = []
        stack.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        setns(self.fd)
        return self

    def __exit__(self, *exc):
        fd = self._outer.stack.pop()
        setns(fd)
        os.close(fd)

    def popen(self, argv, **kw):
        """A process in this namespace; it dies with the test."""
        test = os.getpid()

        def enter():
            setns(self.fd)
            die_with_parent(test)
        return subprocess.Popen([str(a) for a in argv], preexec_fn=enter, **kw)

    def run(self, *argv, check=True, timeout=30, input=None):
        # not popen(): without a preexec_fn Python forks without a copy of its memory; should
        # this test be killed, the runner ends what carries its mark
        with self:
            p = subprocess.Popen([str(a) for a in argv], text=True, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, stdin=subprocess.PIPE
                                 if input is not None else subprocess.DEVNULL)
        try:
            out, err = p.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            p.communicate()
            raise
        if check and p.returncode:
            raise AssertionError(f"{' '.join(map(str, argv))}: exit {p.returncode}\n{out}{err}")
        return subprocess.CompletedProcess(argv, p.returncode, out, err)

    def sysctl(self, path, value):
        with self, open("/proc/sys/" + path, "w", encoding="ascii") as f:
            f.write(str(value))

    def ifindex(self, dev):
        with self:
            return socket.if_nametoindex(dev)

    def ip(self, *args):
        return self._ip(args)

    def batch(self, lines):
        return self._ip(("-batch", "-"), "\n".join(lines) + "\n")

    def _ip(self, args, text=""):
        """Not `ip -n': that wants to change mounts, which it cannot in a chroot."""
        r = self.run("ip", *args, check=False, input=text)
        if r.returncode:
            raise RuntimeError(f"ip {' '.join(map(str, args))}: {r.stderr.strip()}\n{text}")
        return r.stdout

    # sockets

    def sock(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, proto=0):
        with self:
            return socket.socket(family, kind, proto)

    def listen(self, port, addr="", family=socket.AF_INET, backlog=64):
        s = self.sock(family)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((addr, port))
        s.listen(backlog)
        return s

    def udp(self, port=0, addr="", family=socket.AF_INET):
        s = self.sock(family, socket.SOCK_DGRAM)
        s.bind((addr, port))
        s.settimeout(2)
        return s

    def connect(self, addr, port, timeout=2.0, source=None):
        family = socket.AF_INET6 if ":" in addr else socket.AF_INET
        s = self.sock(family)
        try:
            s.settimeout(timeout)
            if source:
                s.bind(source)
            s.connect((addr, port))
        except BaseException:
            s.close()
            raise
        return s

    def can_connect(self, addr, port, timeout=1.0):
        """'yes', 'refused' or 'timeout'."""
        try:
            self.connect(addr, port, timeout).close()
        except ConnectionRefusedError:
            return "refused"
        except (TimeoutError, socket.timeout):
            return "timeout"
        except OSError as e:
            return os.strerror(e.errno)
        return "yes"

    def can_ask(self, addr, port, data=b"question", options=()):
        """The same of a datagram and its answer, within two seconds."""
        with self.sock(socket.AF_INET6 if ":" in addr else socket.AF_INET,
                       socket.SOCK_DGRAM) as s:
            for option in options:
                s.setsockopt(*option)
            s.settimeout(2)
            s.connect((addr, port))
            s.send(data)
            try:
                s.recv(100)
            except ConnectionRefusedError:
                return "refused"
            except (TimeoutError, socket.timeout):
                return "timeout"
        return "yes"

    def ping(self, addr, timeout=0.4, size=56):
        """Does an echo request come back?  (The kernel chooses the id.)"""
        v6 = ":" in addr
        with self.sock(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM,
                       58 if v6 else 1) as s:
            s.settimeout(timeout)
            try:
                s.sendto(bytes([128 if v6 else 8, 0, 0, 0, 0, 0, 0, 1]) + bytes(size), (addr, 0))
                return s.recv(65536)[0] == (129 if v6 else 0)
            except OSError:  # no answer, or refused on the spot
                return False


def ip(*args, input=None):
    r = subprocess.run(["ip", *map(str, args)], check=False, capture_output=True, text=True,
                       input=input)
    if r.returncode:
        raise RuntimeError(f"ip {' '.join(map(str, args))}: {r.stderr.strip()}\n{input or ''}")
    return r.stdout


def _kill_inside(inodes):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}/ns/net").st_ino in inodes:
                os.kill(int(pid), signal.SIGKILL)
        except OSError:  # it has ended
            pass


def _unmount(path):
    _libc.umount2(path.encode(), 2)  # MNT_DETACH
    try:
        os.unlink(path)
    except OSError:
        pass


def delete_all(namespaces):
    """With the processes in them: daemons have left their parents.

    As `ip netns del', but at once: each waits for an RCU grace period.
    """
    _kill_inside({os.fstat(ns.fd).st_ino for ns in namespaces})
    threads = [threading.Thread(target=_unmount, args=(ns.path,)) for ns in namespaces]
    for ns, thread in zip(namespaces, threads):
        os.close(ns.fd)
        thread.start()
    for thread in threads:
        thread.join()


def talks(a, b, limit=1.0):
    """Does each of two connected sockets get what the other one sends?"""
    for s, r in ((a, b), (b, a)):
        s.sendall(b"are you there")
        r.settimeout(limit)
        try:
            if r.recv(100) != b"are you there":
                return False
        except (TimeoutError, socket.timeout):
            return False
    return True


def hears_nothing(s, what):
    """Nothing comes to a socket before its timeout."""
    try:
        s.recv(100)
    except (TimeoutError, socket.timeout):
        return
    raise AssertionError(what)


def needs_own_mounts():
    """For tests that hide or replace files: skips where / is no mount point, as in a chroot."""
    r = subprocess.run(["unshare", "-m", "true"], capture_output=True, text=True, check=False)
    if r.returncode:
        raise Skip(f"no mounts of one's own here: {r.stderr.strip()}")


def own_names(directory, hosts):
    """What to put in front of a command: it has this /etc/hosts, and asks no DNS server."""
    needs_own_mounts()
    for name, text in (("hosts", hosts), ("resolv.conf", "")):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as f:
            f.write(text)
    mounts = "".join(f"mount --bind {directory}/{name} /etc/{name} && "
                     for name in ("hosts", "resolv.conf"))
    return ["unshare", "-m", "sh", "-c", mounts + 'exec "$@"', "sh"]


def wait_for(what, cond, timeout=5.0, every=0.02):
    """Waits until cond() is true, and returns what it gave."""
    end = time.monotonic() + timeout
    while True:
        v = cond()
        if v:
            return v
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s for {what}")
        time.sleep(every)
