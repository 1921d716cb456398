# SPDX-License-Identifier: BSD-2-Clause
"""The newcomer's first command, in a namespace of its own."""
import os
import shutil
import subprocess

from pft import own
from pft.check import absent, contains, eq, matches, timeout
from pft.lab import BUILD, FW_SRC, ROOT, Lab
from pft.netns import talks, wait_for


class Machine:
    """A host with an ssh server and a web server, and somebody who is logged in."""

    def __init__(self, lab):
        self.lab = lab
        self.fw, self.src = lab.fw, lab.src
        self.ssh, self.web = self.fw.listen(22), self.fw.listen(80)
        self.a = self.src.connect(FW_SRC, 80)
        self.b, _ = self.web.accept()
        self.env = dict(os.environ, PF_SOCKET=lab.dir + "/sock", PF_PINDIR=lab.pin,
                        PF_LOG=lab.dir + "/pflog", PF_BUILD=os.environ.get("PF_RELEASE", BUILD),
                        PF_SECONDS="60", PATH="/usr/sbin:/usr/bin:/sbin:/bin")

    def quickstart(self, *args, check=True, **env):
        r = subprocess.run(["nsenter", f"--net={self.fw.path}", f"{ROOT}/quickstart", *args],
                           capture_output=True, text=True, check=False, timeout=100,
                           env=dict(self.env, **env), stdin=subprocess.DEVNULL, cwd="/")
        if check:
            eq(r.returncode, 0, r.stdout + r.stderr)
        return r

    def ctl(self, *args):
        return self.fw.run(os.path.join(self.env["PF_BUILD"], "pfctl-linux"), "-p",
                           self.env["PF_SOCKET"], *args).stdout

    def connection_lives(self):
        return talks(self.a, self.b)

    def reachable(self):
        return [self.src.can_connect(FW_SRC, p, 0.3) for p in (22, 80)]


@timeout(150)
def test_start_confirm_stop():
    with Lab(hosts=2, pfd=False) as lab:
        m = Machine(lab)
        r = m.quickstart()
        contains(r.stdout, "all packages are there")
        contains(r.stdout, "loading examples/host.conf, with ssh on port 22\n")
        contains(r.stderr, "1 connections that existed already were taken in")
        contains(r.stdout, "\n==> rules\nblock drop in log all\npass out all flags S/SA\n"
                           "pass in proto tcp from any to any port = 22 flags S/SA\n")
        matches(r.stdout, r"^Status: Enabled")
        contains(r.stdout, "These rules go away in 60 seconds")
        contains(r.stdout, f"pfctl-linux -p {m.env['PF_SOCKET']} --confirmed")
        eq(m.reachable(), ["yes", "timeout"])
        eq(m.connection_lives(), True, "a connection of before")
        eq(m.src.ping(FW_SRC), True)
        wait_for("IPv6", lambda: m.src.ping("2001:db8:1::2"), 3)
        rules = m.ctl("-sr")
        # again, before it is confirmed, and with the confirmation
        r = m.quickstart()
        contains(r.stdout, "rules are in force already: they stay")
        contains(r.stdout, "These rules go away")
        r = m.quickstart("--yes")
        absent(r.stdout, "go away")
        eq(m.ctl("-sr"), rules)
        absent(m.ctl("-si"), "confirmed")
        eq(m.connection_lives(), True)
        eq(m.reachable(), ["yes", "timeout"])
        # the user's own rules are not touched by another run
        m.ctl("-D", "x=y", "-f", "/dev/null")
        m.ctl("-F", "rules")
        own = os.path.join(lab.dir, "own.conf")
        with open(own, "w", encoding="ascii") as f:
            f.write("pass\n")
        m.ctl("-f", own)
        m.quickstart("--yes")
        eq(m.ctl("-sr"), "pass all flags S/SA\n")
        m.quickstart("stop")
        eq(m.reachable(), ["yes", "yes"])
        eq((os.path.exists(lab.pin), os.path.exists(m.env["PF_SOCKET"])), (False, False))
        m.quickstart("stop")


@timeout(120)
def test_nobody_confirms():
    with Lab(hosts=2, pfd=False) as lab:
        m = Machine(lab)
        m.quickstart(PF_SECONDS="2")
        eq(m.reachable(), ["yes", "timeout"])
        wait_for("the end of the time", lambda: m.ctl("-sr") == "", 5)
        eq(m.reachable(), ["yes", "yes"])
        eq(m.connection_lives(), True)
        # --yes confirms at once, and finds out where ssh listens
        m.quickstart("--yes", SSH_CONNECTION="192.0.2.1 40000 192.0.2.2 2222")
        contains(m.ctl("-sr"), "port = 2222 flags S/SA")
        contains(m.ctl("-sr"), "port = 22 flags S/SA")
        absent(m.ctl("-si"), "confirmed")
        m.quickstart("stop")


def test_usage():
    r = subprocess.run([f"{ROOT}/quickstart", "nonsense"], capture_output=True, text=True,
                       check=False)
    eq(r.returncode, 1)
    contains(r.stderr, "sudo ./quickstart test")
    # a copy: this directory may be closed to others
    with own.directory() as d:
        os.chmod(d, 0o755)
        r = subprocess.run([shutil.copy(f"{ROOT}/quickstart", d)], capture_output=True, text=True,
                           check=False, preexec_fn=lambda: os.setuid(65534))
    eq((r.returncode, r.stderr), (1, "quickstart: must be root: sudo ./quickstart\n"))


@timeout(120)
def test_demo():
    """make demo: it shows what it promises, and leaves nothing behind."""
    name = own.name() + "_demo"
    env = dict(os.environ, PF_BUILD=os.environ.get("PF_RELEASE", BUILD), PF_NAME=name)
    r = subprocess.run([f"{ROOT}/examples/demo"], capture_output=True, text=True, check=False,
                       env=env, cwd=ROOT, timeout=100)
    eq(r.returncode, 0, r.stdout + r.stderr)
    eq(r.stderr, "")
    for part in ("src -> dst port 8080: timed out", "src pings dst: no answer",
                 "src pings dst: it answers", "1/1 addresses added.",
                 "all tcp 198.51.100.1:80 <- 192.0.2.1:", "rule 0/0(match): block in on ext",
                 "wrong.conf:2:12: unknown protocol tpc", "... nobody confirms ...",
                 "Done; everything is cleaned up"):
        contains(r.stdout, part)
    left = [n for d in (own.BPFFS, own.NETNS, own.TMP) for n in os.listdir(d) if name in n]
    eq(left, [])
