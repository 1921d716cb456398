# SPDX-License-Identifier: BSD-2-Clause
"""The daemon: its life and death, loads that fail, clients that misbehave, interfaces
that come and go, rules that wait to be confirmed."""
import os
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import time

from pft import proto
from pft.check import absent, cases, contains, eq, lines_eq, matches, timeout
from pft.devices import is_attached
from pft.lab import DST, FW_SRC, PFCTL, PFD, SRC, SRC6, Lab, Pfd
from pft.netns import Netns, hears_nothing, needs_own_mounts, talks, wait_for

OPEN = "block\npass in on ext proto tcp to port 8000\npass out\n"


class Conversation:
    """A TCP connection from src to dst that can be asked whether it still works."""

    def __init__(self, lab, port=8000, addr=DST):
        self.listener = lab.dst.listen(port)
        self.a = lab.src.connect(addr, port)
        self.b, _ = self.listener.accept()

    def works(self, limit=1.0):
        return talks(self.a, self.b, limit)

    def close(self):
        for s in (self.a, self.b, self.listener):
            s.close()


def test_socket_is_roots():
    with Lab(hosts=2) as lab:
        st = os.stat(lab.pf.socket)
        eq((stat.S_IMODE(st.st_mode), st.st_uid), (0o600, 0))

        def nobody():
            os.setgid(65534)
            os.setuid(65534)
        # a copy: the build directory may be closed to others
        os.chmod(lab.dir, 0o755)
        pfctl = shutil.copy(PFCTL, lab.dir)
        r = subprocess.run([pfctl, "-p", lab.pf.socket, "-si"], capture_output=True, text=True,
                           check=False, preexec_fn=nobody)
        eq(r.returncode, 1)
        eq(r.stderr, f"pfctl-linux: {lab.pf.socket}: Permission denied: only root may talk "
                     "to pfd\n")
        # were the mode changed, pfd itself would refuse
        os.chmod(lab.pf.socket, 0o666)
        r = subprocess.run([pfctl, "-p", lab.pf.socket, "-sr"], capture_output=True, text=True,
                           check=False, preexec_fn=nobody)
        eq((r.returncode, r.stdout), (1, ""))


def test_no_daemon():
    with Lab(hosts=2, pfd=False) as lab:
        for args in (["-sr"], ["-f", "/dev/null"], ["-e"], ["-ss"]):
            r = lab.fw.run(PFCTL, "-p", f"{lab.dir}/none", *args, check=False)
            eq((r.returncode, r.stdout), (1, ""))
            eq(r.stderr.splitlines()[0], f"pfctl-linux: pfd does not answer at {lab.dir}/none "
                                         "(No such file or directory): is it running?")
        # what needs no daemon works without
        r = lab.fw.run(PFCTL, "-p", f"{lab.dir}/none", "-nf", "/dev/null")
        eq((r.stdout, r.stderr), ("", ""))


def test_second_daemon():
    with Lab(hosts=2, rules="block\n") as lab:
        r = lab.fw.run(PFD, "-d", "-p", lab.pf.socket, "-P", lab.pin + "x", check=False)
        eq(r.returncode, 1)
        contains(r.stderr, f"another pfd runs at {lab.pf.socket}")
        r = lab.fw.run(PFD, "-d", "-p", lab.dir + "/other", "-P", lab.pin, check=False)
        eq(r.returncode, 1)
        contains(r.stderr, f"another pfd works with {lab.pin}")
        r = lab.fw.run(PFD, "-X", "-P", lab.pin, check=False)
        eq(r.returncode, 1)
        contains(r.stderr, f"another pfd works with {lab.pin}")
        eq(lab.pf.rules(), ["block drop all"])
        eq(lab.src.ping(FW_SRC), False)


def test_pins_of_another_namespace():
    with Lab(hosts=2, rules="block\n") as lab:
        lab.pf.stop()
        r = lab.src.run(PFD, "-d", "-p", lab.pf.socket, "-P", lab.pin, check=False)
        eq(r.returncode, 1)
        contains(r.stderr, "belongs to the firewall of another network namespace")
        eq(lab.src.ping(FW_SRC), False)
        # nor does anybody there take it out
        r = lab.src.run(PFD, "-X", "-P", lab.pin, check=False)
        eq(r.returncode, 1)
        contains(r.stderr, "belongs to the firewall of another network namespace: remove it there")
        eq(lab.src.ping(FW_SRC), False)
        # of one that is gone they are no obstacle
        gone = Netns(f"{lab.id}.gone")
        pin = lab.pin + "_gone"
        with open(lab.dir + "/gone.err", "w", encoding="ascii") as err:
            p = gone.popen([PFD, "-d", "-p", lab.dir + "/gone", "-P", pin, "-l",
                            lab.dir + "/gone.log"], stderr=err)
        wait_for("pfd", lambda: os.path.exists(f"{pin}/maps/pf_config"), 20)
        wait_for("pfd", lambda: subprocess.run([PFCTL, "-p", lab.dir + "/gone", "-si"],
                                               capture_output=True, check=False).returncode == 0)
        p.kill()
        p.wait()
        gone.delete()
        other = Pfd(lab.fw, lab.dir, pin)
        wait_for("the namespace to go", lambda: still_alive(pin), 10)
        other.start()
        contains(other.said(), "is of a network namespace that is gone")
        other.close()
        lab.pf.start()


def still_alive(pin):
    """False until all links below the pin directory have lost their interfaces."""
    from pft import bpf
    for name in os.listdir(pin + "/links"):
        fd = bpf.obj_get(f"{pin}/links/{name}")
        info = bpf.info(fd)
        os.close(fd)
        if struct.unpack_from("=I", info, 16)[0]:
            return False
    return True


@cases(("kill", signal.SIGKILL), ("term", signal.SIGTERM))
def test_death_changes_no_verdict(_name, sig):
    rules = "table <t> { 192.0.2.77 }\nset limit states 5000\n" + OPEN + "block in log from <t>\n"
    with Lab(rules=rules) as lab:
        talk = Conversation(lab)
        lab.pf.ctl("-t", "t", "-T", "add", "192.0.2.78")
        states, shown = sorted(lab.pf.states()), lab.pf.rules()
        numbers = lab.pf.rule_numbers()
        lab.pf.stop(sig)
        eq(talk.works(), True, "an established connection, without pfd")
        eq(lab.src.can_connect(DST, 8000), "yes", "a new one")
        eq(lab.src.can_connect(DST, 8001, 0.3), "timeout", "one that is blocked")
        eq(lab.src.ping(DST), False)
        lab.pf.start()
        eq(lab.pf.rules(), shown)
        eq(set(states) <= set(lab.pf.states()), True, "states")
        after = lab.pf.rule_numbers()
        for (text, old), (_, new) in zip(numbers, after):
            for what in ("packets", "evaluations", "creations"):
                eq(new[what] >= old[what], True, f"{what} of {text}")
        eq(after[1][1]["creations"], 2)
        eq(talk.works(), True, "after the restart")
        eq(lab.pf.ctl("-t", "t", "-T", "show").stdout, "   192.0.2.77\n   192.0.2.78\n")
        contains(lab.pf.ctl("-sa").stdout, "states        hard limit     5000")
        talk.close()


def test_remove_everything():
    with Lab(rules="block\n") as lab:
        eq(lab.src.ping(DST), False)
        lab.pf.stop()
        eq(lab.src.ping(DST), False)
        lab.fw.run(PFD, "-X", "-P", lab.pin)
        eq(lab.src.ping(DST), True)
        eq(os.path.exists(lab.pin), False)
        lab.fw.run(PFD, "-X", "-P", lab.pin)  # a second time is harmless
        lab.pf.start()
        eq(lab.pf.rules(), [])


def test_failed_loads_change_nothing():
    with Lab(rules=OPEN, v6=False, pfd_args=("--emitter", "linear")) as lab:
        talk = Conversation(lab)
        shown = lab.pf.ctl("-sa").stdout.split("INFO:")[0]
        many = "".join(f"block from 10.{i // 200}.{i % 200}.1\n" for i in range(2000))
        for what, text in (("syntax", "pass\nblok\n"), ("unknown table", "block from <nosuch\n"),
                           ("not built", "pass in dup-to 192.0.2.1\n"), ("too many", many),
                           ("macro", "block from $nosuch\n"),
                           ("limit", "table <t> { 10/8 }\nset limit table-entries 0\nblock in\n")):
            r = lab.pf.ctl("-f", "-", input=text, check=False)
            eq(r.returncode, 1, what)
            assert r.stderr, what
            eq(lab.pf.ctl("-sa").stdout.split("INFO:")[0], shown, what)
            eq(talk.works(), True, what)
        r = lab.pf.ctl("-f", "/nonexistent/pf.conf", check=False)
        eq((r.returncode, r.stderr),
           (1, "pfctl-linux: /nonexistent/pf.conf: No such file or directory\n"))
        r = lab.pf.ctl("-f", lab.dir, check=False)
        eq((r.returncode, r.stderr), (1, f"pfctl-linux: {lab.dir}: Is a directory\n"))
        talk.close()


# --- clients that misbehave ---

def test_transactions_have_tickets():
    with Lab(hosts=2, rules="pass\n") as lab:
        block, none = proto.model(lab.pf, "block\n"), proto.FOR_GOOD
        with proto.Control(lab.pf) as a, proto.Control(lab.pf) as b:
            ta = a.ask(proto.LOAD_BEGIN)
            a.ask(proto.LOAD_DATA, ta + block)
            # b comes in between
            tb = b.ask(proto.LOAD_BEGIN)
            for req, rest in ((proto.LOAD_DATA, block), (proto.LOAD_COMMIT, none)):
                try:
                    a.ask(req, ta + rest)
                    raise AssertionError("the first one's ticket still holds")
                except proto.Refused as e:
                    eq(e.errno, 16)
                    contains(e.text, "another load has begun in the meantime")
            eq(lab.pf.rules(), ["pass all flags S/SA"])
            b.ask(proto.LOAD_DATA, tb + block)
            eq(lab.pf.rules(), ["pass all flags S/SA"], "before the commit")
            b.ask(proto.LOAD_COMMIT, tb + none)
            eq(lab.pf.rules(), ["block drop all"])
            try:
                b.ask(proto.LOAD_COMMIT, tb + none)
                raise AssertionError("a ticket holds twice")
            except proto.Refused:
                pass
            for bad in (b"", b"\0" * 8, b"\1" * 8):
                try:
                    b.ask(proto.LOAD_COMMIT, bad + none)
                    raise AssertionError("a ticket that was never given")
                except proto.Refused:
                    pass
        # the owner of an unfinished load goes away: nothing is in force
        with proto.Control(lab.pf) as a:
            t = a.ask(proto.LOAD_BEGIN)
            a.ask(proto.LOAD_DATA, t + block[:10])
        eq(lab.pf.rules(), ["block drop all"])


def test_broken_messages():
    with Lab(hosts=2, rules="block\n") as lab:
        good = proto.frame(proto.STATUS)
        for what, data in (("half a header", good[:9]), ("half a payload",
                                                         proto.frame(102, b"x", length=100))):
            with proto.Control(lab.pf) as c:
                c.send(data)
                c.s.shutdown(socket.SHUT_WR)
                eq(c.s.recv(100), b"", what)
            wait_for("the warning", lambda: "was cut short" in lab.pf.said())
        for what, data in (("wrong magic", proto.frame(proto.STATUS, magic=0x12345678)),
                           ("too long", proto.frame(proto.STATUS, length=(1 << 20) + 1)),
                           ("noise", os.urandom(4096))):
            with proto.Control(lab.pf) as c:
                c.send(data)
                kind, p = c.answer()
                eq(kind, proto.ERROR, what)
                contains(proto.error(p)[1], "malformed message")
                try:
                    eq(c.s.recv(1), b"", what)
                except ConnectionResetError:
                    pass
        with proto.Control(lab.pf) as c:
            for kind in (0, 1, 99, 10000, 65535):
                try:
                    c.ask(kind)
                    raise AssertionError(f"request {kind}")
                except proto.Refused as e:
                    contains(e.text, "request")
            try:
                c.ask(proto.STATUS, b"too much")
                raise AssertionError("a payload that does not belong")
            except proto.Refused:
                pass
            c.ask(proto.STATUS)
        # one byte at a time, and many requests at once
        with proto.Control(lab.pf) as c:
            for byte in good:
                c.send(bytes([byte]))
                time.sleep(0.002)
            eq(c.answer()[0], proto.OK)
            c.send(good * 200)
            for _ in range(200):
                eq(c.answer()[0], proto.OK)
        eq(lab.pf.rules(), ["block drop all"])
        eq(lab.src.ping(FW_SRC), False)


def test_garbage_models():
    """Every byte of a model changed: refused, or a ruleset that can be shown."""
    with Lab(hosts=2, rules="pass\n") as lab:
        good = proto.model(
            lab.pf, 'block in log quick on ext inet proto tcp from 192.0.2.0/24 to <t> '
            'port 1:5 label "x"\ntable <t> { 192.0.2.1 }\npass proto icmp\n'
            'anchor a {\nmatch from 192.0.2.1 - 192.0.2.9 ! tagged A tag B\n'
            'anchor {\npass received-on ext probability 5% tos 4\n}\n}\n')
        refused = 0
        for i in range(len(good)):
            bad = bytearray(good)
            bad[i] ^= 0xFF
            with proto.Control(lab.pf) as c:
                try:
                    c.load(bytes(bad))
                except proto.Refused:
                    refused += 1
        assert refused > len(good) // 4, f"{refused} of {len(good)}"
        for n in (0, 1, len(good) // 2, len(good) - 1):
            with proto.Control(lab.pf) as c:
                try:
                    c.load(good[:n])
                    raise AssertionError(f"{n} bytes of {len(good)}")
                except proto.Refused:
                    pass
        lab.pf.load("block\n")
        eq(lab.pf.rules(), ["block drop all"])


def test_silent_client_hinders_nobody():
    with Lab(hosts=2, rules="block\n") as lab:
        idle = [proto.Control(lab.pf) for _ in range(20)]
        for c in idle:
            c.send(proto.frame(102, b"", length=1000)[:12])
        eq(lab.pf.rules(), ["block drop all"])
        # one that asks and never reads
        deaf = proto.Control(lab.pf)
        deaf.s.settimeout(1)
        try:
            for _ in range(3000):
                deaf.send(proto.frame(proto.RULES) * 10)
        except (socket.timeout, BlockingIOError):
            pass
        eq(lab.pf.rules(), ["block drop all"])
        for c in idle + [deaf]:
            c.s.close()


def test_large_tables_are_replaced_in_one_step():
    """More addresses than a message holds: added, and replaced, all or nothing."""
    def addresses(net, n):
        return "".join(f"{net}.{i >> 16}.{i >> 8 & 255}.{i & 255}\n" for i in range(n))

    with Lab(hosts=2, rules="table <t> persist\nset limit table-entries 300000\nblock from <t>\n"
             ) as lab:
        path = os.path.join(lab.dir, "addresses")
        for cmd, net, n, said in (
                ("add", 10, 60000, "60000/60000 addresses added.\n"),
                ("replace", 11, 150000, "150000 addresses added.\n60000 addresses deleted.\n"),
                ("replace", 11, 150001, "1 addresses added.\n")):
            with open(path, "w", encoding="ascii") as f:
                f.write(addresses(net, n))
            eq(lab.pf.ctl("-t", "t", "-T", cmd, "-f", path).stderr, said)
        lines_eq(lab.pf.ctl("-t", "t", "-T", "show").stdout.split(),
                 sorted(addresses(11, 150001).split(), key=lambda a: [int(x) for x in a.split(".")]))
        # beyond the limit nothing is added, not even a part
        many = addresses(12, 160000)
        with open(path, "w", encoding="ascii") as f:
            f.write(many)
        r = lab.pf.ctl("-t", "t", "-T", "add", "-f", path, check=False)
        eq(r.returncode, 1)
        contains(r.stderr, "more than the limit of 300000")
        eq(len(lab.pf.ctl("-t", "t", "-T", "show").stdout.split()), 150001)
        # what was staged and never asked for is nobody else's
        with proto.Control(lab.pf) as c:
            c.ask(proto.TABLE_DATA,
                  struct.pack("=BBBB16sI", 4, 32, 0, 0, bytes([1, 2, 3, 4]), 0))
        lab.pf.ctl("-t", "t", "-T", "replace", "192.0.2.9")
        eq(lab.pf.ctl("-t", "t", "-T", "show").stdout, "   192.0.2.9\n")


# --- interfaces ---

def test_interface_that_comes_later():
    with Lab(rules="block\npass in on late0\n") as lab:
        lab.fw.batch(["link add late0 type veth peer name x netns " + lab.src.name,
                      "addr add 203.0.113.1/24 dev late0", "link set late0 up"])
        lab.src.batch(["addr add 203.0.113.2/24 dev x", "link set x up"])
        wait_for("the rules to know it", lambda: lab.src.ping("203.0.113.1"), 3)
        lab.pf.load("block\n")
        eq(lab.src.ping("203.0.113.1"), False)
        lab.pf.ctl("-F", "states")
        # a new name: the rules go by it
        lab.pf.load("block\npass in on other0\n")
        eq(lab.src.ping("203.0.113.1"), False)
        lab.fw.batch(["link set late0 down", "link set late0 name other0", "link set other0 up"])
        wait_for("the new name", lambda: lab.src.ping("203.0.113.1"), 3)
        lab.fw.ip("link", "del", "other0")
        wait_for("its pins to go", lambda: len(os.listdir(lab.pin + "/links")) == 6)
        eq(lab.pf.info()["attached interfaces"], 3)


def test_interface_number_given_again():
    with Lab(hosts=2, rules="block\n") as lab:
        for _ in range(3):
            lab.fw.batch(["link add again0 index 77 type veth peer name x netns " + lab.src.name,
                          "addr add 203.0.113.1/24 dev again0", "link set again0 up"])
            lab.src.batch(["addr add 203.0.113.2/24 dev x", "link set x up"])
            wait_for("links", lambda: os.path.exists(lab.pin + "/links/77-in"))
            eq(lab.src.ping("203.0.113.1"), False)
            lab.fw.ip("link", "del", "again0")
        eq(lab.src.ping(FW_SRC), False)


def test_skip():
    with Lab(rules="set skip on ext\nblock\n") as lab:
        eq(lab.src.ping(FW_SRC), True, "the skipped one")
        eq(lab.src.ping(DST), False, "the other one")
        lab.pf.load("block\n")
        eq(lab.src.ping(FW_SRC), False)
        lab.pf.load("set skip on { ext, int, lo }\nblock\n")
        eq(lab.src.ping(DST), True)
        lab.pf.restart()
        eq(lab.src.ping(DST), True)
        eq(lab.pf.info()["attached interfaces"], 0)


@timeout(120)
def test_skip_group():
    """pf.conf(5), set skip on: a name without a number means all that have one behind it, as
    they come and go; but an interface that is called so alone."""
    with Lab(hosts=2, rules="set skip on { lo grp }\nblock\n") as lab:
        def link(*args):
            lab.fw.ip("link", *args)

        def add(dev):
            link("add", dev, "type", "veth", "peer", "name", f"end.{dev}")

        def attached(**want):
            for dev, there in want.items():
                wait_for(f"{dev} to be {'filtered' if there else 'skipped'}",
                         lambda dev=dev, there=there: is_attached(lab, dev) == there)
        for dev in ("grp0", "grp10", "grpx", "agrp0"):
            add(dev)
        attached(grpx=True, agrp0=True, grp0=False, grp10=False, ext=True)
        # into it, and out of it
        link("set", "grpx", "name", "grp7")
        attached(grp7=False)
        link("set", "grp0", "name", "other")
        attached(other=True)
        # one comes that has the name itself, and goes
        add("grp")
        attached(grp=False, grp7=True, grp10=True, other=True)
        link("set", "grp", "name", "grop")
        attached(grop=True, grp7=False, grp10=False)
        link("set", "grop", "name", "grp")
        attached(grp=False, grp7=True)
        link("del", "grp")
        attached(grp7=False, grp10=False)
        # packets; then another pfd, and rules that skip nothing
        link("set", "ext", "down")
        link("set", "ext", "name", "grp3")
        link("set", "grp3", "up")
        attached(grp3=False)
        eq(lab.src.ping(FW_SRC), True)
        lab.pf.restart()
        attached(grp3=False, grp7=False, other=True)
        eq(lab.src.ping(FW_SRC), True)
        lab.pf.load("block\n")
        attached(grp3=True, grp7=True)
        eq(lab.src.ping(FW_SRC), False)
        # a group that has nobody when it is named
        lab.pf.load("set skip on late\nblock\n")
        add("late0")
        add("lat")
        attached(lat=True, late0=False)


def test_loopback_is_filtered():
    with Lab(hosts=2, rules="block\n") as lab:
        eq(lab.fw.ping("127.0.0.1"), False)
        lab.pf.load("set skip on lo\nblock\n")
        eq(lab.fw.ping("127.0.0.1"), True)
        lab.pf.load("block\npass on lo\n")
        eq(lab.fw.ping("127.0.0.1"), True)
        # any interface but loopback, and the other way round
        lab.pf.load("block\npass on any\n")
        eq((lab.fw.ping("127.0.0.1"), lab.fw.ping(SRC)), (False, True))
        lab.pf.ctl("-F", "states")
        lab.pf.load("block\npass on ! any\n")
        eq((lab.fw.ping("127.0.0.1"), lab.fw.ping(SRC)), (True, False))
        lab.pf.load("block\npass on lo\n")
        with lab.fw.listen(80):
            eq(lab.fw.can_connect(SRC, 80, 0.3), "timeout")
            eq(lab.fw.can_connect("127.0.0.1", 80), "yes")


# --- rules that wait to be confirmed ---

def test_rollback():
    with Lab(rules="pass\n") as lab:
        lab.pf.load("block\n", "--confirm", "6")
        eq(lab.pf.rules(), ["block drop all"])
        matches(lab.pf.ctl("-si").stdout, r"Rules wait to be confirmed: \d+ seconds? left")
        eq(lab.src.ping(DST), False)
        wait_for("the old rules", lambda: lab.pf.rules() == ["pass all flags S/SA"], 15)
        eq(lab.src.ping(DST), True)
        contains(lab.pf.said(), "the rules were not confirmed: those of before are back")
        lab.pf.load("block\n", "--confirm", "4")
        lab.pf.ctl("-n", "--confirmed")
        contains(lab.pf.ctl("-si").stdout, "wait to be confirmed")
        lab.pf.ctl("--confirmed")
        time.sleep(4.5)
        eq(lab.pf.rules(), ["block drop all"])
        r = lab.pf.ctl("--confirmed", check=False)
        eq((r.returncode, r.stderr), (1, "pfctl-linux: there is nothing to confirm\n"))


def test_rules_wait_until_the_last_moment():
    # the clock that counts the seconds left has whole ones: the status must not
    # say that nothing waits while something does
    with Lab(hosts=2, rules="pass\n") as lab:
        lab.pf.load("block\n", "--confirm", "2")
        while "wait to be confirmed" in lab.pf.ctl("-si").stdout:
            pass
        eq(lab.pf.rules(), ["pass all flags S/SA"])
        contains(lab.pf.said(), "those of before are back")


def test_rollback_goes_to_what_was_confirmed():
    with Lab(hosts=2, rules="pass\n") as lab:
        lab.pf.load("block in\n", "--confirm", "2")
        lab.pf.load("block out\n", "--confirm", "1")
        wait_for("the old rules", lambda: lab.pf.rules() == ["pass all flags S/SA"], 5)
        # a load without --confirm says enough
        lab.pf.load("block in\n", "--confirm", "1")
        lab.pf.load("block out\n")
        time.sleep(1.5)
        eq(lab.pf.rules(), ["block drop out all"])


@cases(("term", signal.SIGTERM), ("kill", signal.SIGKILL))
def test_rollback_over_a_restart(_name, sig):
    with Lab(hosts=2, rules="table <t> { 192.0.2.77 }\npass\nblock from <t>\n") as lab:
        lab.pf.load("block\n", "--confirm", "10")
        lab.pf.stop(sig)
        lab.pf.start()
        eq(lab.pf.rules(), ["block drop all"])
        wait_for("the old rules", lambda: lab.pf.rules() ==
                 ["pass all flags S/SA", "block drop from <t> to any"], 20)
        eq(lab.pf.ctl("-t", "t", "-T", "show").stdout, "   192.0.2.77\n")
        # its time runs out while there is no pfd
        lab.pf.load("block\n", "--confirm", "1")
        lab.pf.stop(sig)
        time.sleep(1.5)
        eq(lab.src.ping(FW_SRC), False, "without pfd nobody rolls back")
        lab.pf.start()
        wait_for("the old rules", lambda: len(lab.pf.rules()) == 2, 3)


# --- connections that exist already ---

def test_connections_are_adopted():
    """Sockets of the host, of both families and directions, when the first rules come."""
    with Lab(hosts=2, pfd=False) as lab:
        pairs = []
        for addr, near, family, ssh, web in (
                (FW_SRC, SRC, socket.AF_INET, 22, 80),
                ("2001:db8:1::2", SRC6, socket.AF_INET6, 23, 81)):
            fw, src = lab.fw.listen(ssh, family=family), lab.src.listen(web, family=family)
            a = lab.src.connect(addr, ssh)
            pairs.append((a, fw.accept()[0]))
            b = lab.fw.connect(near, web)
            pairs.append((b, src.accept()[0]))
        u, v = lab.fw.udp(5353), lab.src.udp(5354)
        u.connect((SRC, 5354))
        v.connect((FW_SRC, 5353))
        # something is on the wire already: windows and scales are the sockets' own
        for x, y in pairs:
            x.sendall(b"x" * 100000)
            n = 0
            while n < 100000:
                n += len(y.recv(65536))
        pf = lab.pf = Pfd(lab.fw, lab.dir, lab.pin)
        pf.start()
        eq(pf.states(), [], "an empty ruleset adopts nothing")
        r = pf.load("block\n", "-v")
        contains(r.stderr, "connections that existed already were taken in")
        eq(len(pf.states()), 5)
        for x, y in pairs:
            for s, t in ((x, y), (y, x)):
                s.sendall(b"y" * 300000)
                t.settimeout(3)
                n = 0
                while n < 300000:
                    n += len(t.recv(65536))
        u.send(b"there")
        eq(v.recv(10), b"there")
        v.send(b"back")
        eq(u.recv(10), b"back")
        eq(lab.src.can_connect(FW_SRC, 22, 0.3), "timeout", "a new one")
        eq(pf.info()["state-mismatch"], 0)
        # only once: what the rules end stays ended
        pf.ctl("-F", "states")
        pf.load("block\n")
        eq(pf.states(), [])


def test_connections_of_the_time_without_rules_are_adopted():
    """After a roll-back to no rules, or a flush, the next rules are the first ones again."""
    with Lab(hosts=2) as lab:
        fw = lab.fw.listen(22)

        def login():
            a = lab.src.connect(FW_SRC, 22)
            return a, fw.accept()[0]

        def talks(pair):
            for s, t in (pair, pair[::-1]):
                s.sendall(b"x" * 1000)
                t.settimeout(1)
                n = 0
                while n < 1000:
                    n += len(t.recv(1000))
        first = login()
        lab.pf.load("block\n", "--confirm", "1")
        talks(first)
        wait_for("no rules", lambda: lab.pf.rules() == [], 5)
        second = login()
        # a load that fails is none
        many = "".join(f"block on em{i}\n" for i in range(600))
        eq(lab.pf.ctl("-f", "-", input=many, check=False).returncode, 1)
        eq(len(lab.pf.states()), 1)
        lab.pf.load("block\n")
        talks(first)
        talks(second)
        lab.pf.ctl("-F", "rules")
        third = login()
        lab.pf.load("block\n")
        for pair in (first, second, third):
            talks(pair)
        eq(lab.src.can_connect(FW_SRC, 22, 0.3), "timeout", "a new one")
        eq(lab.pf.info()["state-mismatch"], 0)


# --- growing ---

def test_growing_the_state_table():
    with Lab(rules=OPEN, v6=False) as lab:
        talk = Conversation(lab)
        states = sorted(lab.pf.states())
        cap = lab.pf.map("states").max_entries
        lab.pf.load(f"set limit states {cap * 3}\n" + OPEN)
        eq(lab.pf.map("states").max_entries >= cap * 3, True)
        eq(sorted(lab.pf.states()), states)
        eq(talk.works(), True)
        eq(lab.src.can_connect(DST, 8000), "yes")
        lab.pf.restart()
        eq(talk.works(), True)
        eq(lab.src.can_connect(DST, 8001, 0.3), "timeout")
        eq(lab.pf.info()["state-mismatch"], 0)
        talk.close()


# --- starting ---

def test_daemonises():
    with Lab(hosts=2, pfd=False) as lab:
        pf = lab.pf = Pfd(lab.fw, lab.dir, lab.pin)
        r = lab.fw.run(*pf.argv())
        eq((r.returncode, r.stdout), (0, ""))
        eq(pf.rules(), [], "it answers as soon as the command is back")
        pids = subprocess.run(["ip", "netns", "pids", lab.fw.name], capture_output=True, text=True,
                              check=True).stdout.split()
        eq(len(pids), 1)
        pid = int(pids[0])
        eq(os.readlink(f"/proc/{pid}/cwd"), "/")
        for fd in (0, 1, 2):
            eq(os.readlink(f"/proc/{pid}/fd/{fd}"), "/dev/null")
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            session = int(f.read().rpartition(")")[2].split()[3])
        eq(session, pid, "a session of its own")
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            caps = int(re.search(r"CapPrm:\s*(\w+)", f.read())[1], 16)
        eq(caps, 1 << 12 | 1 << 38 | 1 << 39, "net_admin, perfmon, bpf and no more")
        # a second one says why in the foreground
        r = lab.fw.run(*pf.argv(), check=False)
        eq(r.returncode, 1)
        contains(r.stderr, "another pfd runs at")
        os.kill(pid, signal.SIGTERM)
        wait_for("its end", lambda: not os.path.exists(f"/proc/{pid}"))
        eq(os.path.exists(pf.socket), False)


def private(lab, script, check=False):
    """A shell script in the namespace, with mounts of its own."""
    needs_own_mounts()
    return lab.fw.run("unshare", "-m", "--propagation", "private", "sh", "-ec", script,
                      check=check)


def test_says_what_is_missing():
    with Lab(hosts=2, pfd=False) as lab:
        argv = f"{PFD} -d -p {lab.dir}/s -P {lab.pin} -l {lab.dir}/l"
        r = private(lab, f"setpriv --bounding-set -net_admin --inh-caps -net_admin {argv}")
        eq(r.returncode, 1)
        contains(r.stderr, "pfd: lacks the capability CAP_NET_ADMIN: run it as root")
        r = private(lab, f"setpriv --bounding-set -bpf,-perfmon {argv}")
        contains(r.stderr, "pfd: lacks the capability CAP_BPF, CAP_PERFMON: run it as root")
        r = private(lab, f"mount -t tmpfs none /sys/kernel/btf; {argv}")
        eq(r.returncode, 1)
        contains(r.stderr, "/sys/kernel/btf/vmlinux: No such file or directory: the kernel must "
                           "be built with CONFIG_DEBUG_INFO_BTF")
        r = lab.fw.run(PFD, "-d", "-p", f"{lab.dir}/s", "-P", f"{lab.dir}/pins", check=False)
        eq(r.returncode, 1)
        contains(r.stderr, f"{lab.dir}/pins is not in a BPF file system")
        r = private(lab, "mount -t tmpfs none /sys/fs/bpf; mount -o remount,ro /sys/fs/bpf; "
                         f"setpriv --bounding-set -sys_admin {argv}")
        eq(r.returncode, 1)
        contains(r.stderr, "the BPF file system is not mounted at /sys/fs/bpf and cannot be")


def test_mounts_bpffs():
    with Lab(hosts=2, pfd=False) as lab:
        r = private(lab, f"""
            umount -l /sys/fs/bpf || mount -t tmpfs none /sys/fs/bpf
            {PFD} -p {lab.dir}/s -P {lab.pin} -l {lab.dir}/l
            {PFCTL} -p {lab.dir}/s -sr
            test -e {lab.pin}/maps/pf_states
        """, check=True)
        eq(r.stdout, "")


def test_usage():
    with Lab(hosts=2, pfd=False) as lab:
        for args in (["-Z"], ["-d", "x"], ["-a", "nosuch"], ["-p"]):
            r = lab.fw.run(PFD, *args, check=False)
            eq(r.returncode, 1, args)
            contains(r.stderr, "usage: pfd")
        r = lab.fw.run(PFD, "-h")
        contains(r.stdout, "usage: pfd")
        absent(r.stdout + r.stderr, "invalid")


def test_log_that_cannot_be_written():
    """It is said, and filtering goes on."""
    with Lab(hosts=2, pfd=False) as lab:
        pf = lab.pf = Pfd(lab.fw, lab.dir, lab.pin)
        pf.logfile = "/nonexistent/pflog"
        pf.start()
        contains(pf.said(), "no log is written: /nonexistent/pflog: No such file or directory")
        pf.load("block log\n")
        eq(lab.src.ping(FW_SRC), False)
        wait_for("records are counted", lambda: pf.info()["records"] >= 1)


def test_loads_under_traffic():
    """While rulesets come and go, no packet of a passing flow is lost, none leaks."""
    a = OPEN + "".join(f"block in from 10.0.0.{i}\n" for i in range(100))
    b = OPEN + "pass in on ext proto udp to port 9\n"
    with Lab(rules=a) as lab:
        talk = Conversation(lab)
        leak, got = lab.dst.udp(7000), lab.src.udp()
        for i in range(30):
            lab.pf.load(b if i % 2 else a)
            got.sendto(b"x", (DST, 7000))
            eq(talk.works(), True, f"load {i}")
        leak.settimeout(0.2)
        hears_nothing(leak, "a blocked packet came through")
        eq(lab.pf.info()["dropped: no rules"], 0)
        talk.close()
