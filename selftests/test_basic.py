# SPDX-License-Identifier: BSD-2-Clause
"""The main job: pfctl-linux -f filters what real stacks send."""
import socket
import threading

from pft.check import contains, eq, lines_eq, matches
from pft.lab import DST, DST6, FW6_SRC, FW_SRC, SRC, Lab


def test_empty_ruleset_passes():
    with Lab() as lab:
        eq(lab.src.ping(DST), True, "IPv4 through the firewall")
        eq(lab.src.ping(DST6), True, "IPv6 through the firewall")
        eq(lab.src.ping(FW_SRC), True, "IPv4 to it")
        eq(lab.src.ping(FW6_SRC), True, "IPv6 to it")
        eq(lab.pf.rules(), [])
        eq(lab.pf.states(), [])
        contains(lab.pf.ctl("-si").stdout, "Status: Enabled")


def test_block_all():
    with Lab(rules="block all\n") as lab:
        eq(lab.src.ping(DST), False)
        eq(lab.src.ping(DST6), False)
        eq(lab.src.ping(FW_SRC), False)
        eq(lab.fw.ping(DST), False)
        eq(lab.dst.ping(FW_SRC), False)
        eq(lab.pf.states(), [])
        eq(lab.pf.info()["inserts"], 0)


def test_disable_and_enable():
    with Lab(rules="block all\n") as lab:
        eq(lab.src.ping(DST), False)
        r = lab.pf.ctl("-d")
        eq(r.stderr, "pf disabled\n")
        eq(lab.src.ping(DST), True, "disabled")
        contains(lab.pf.ctl("-si").stdout, "Status: Disabled")
        r = lab.pf.ctl("-d", check=False)
        eq((r.returncode, r.stderr), (1, "pfctl-linux: pf not enabled\n"))
        r = lab.pf.ctl("-e")
        eq(r.stderr, "pf enabled\n")
        eq(lab.src.ping(DST), False, "enabled again")
        r = lab.pf.ctl("-e", check=False)
        eq((r.returncode, r.stderr), (1, "pfctl-linux: pf already enabled\n"))


def transfer(lab, addr, amount=3_000_000):
    """amount bytes each way over one connection; what came, in both directions."""
    server = lab.dst.listen(8000, family=socket.AF_INET6)
    came = {}

    def serve():
        c, _ = server.accept()
        with c:
            got = 0
            while got < amount:
                d = c.recv(65536)
                if not d:
                    break
                got += len(d)
            came["there"] = got
            c.sendall(b"y" * amount)

    t = threading.Thread(target=serve, daemon=True)
    t.start()
    with lab.src.connect(addr, 8000, 5) as c:
        c.settimeout(20)
        c.sendall(b"x" * amount)
        got = 0
        while True:
            d = c.recv(65536)
            if not d:
                break
            got += len(d)
        came["back"] = got
    t.join(5)
    server.close()
    return came


def test_stateful_transfer():
    rules = """
        block all
        pass in on ext proto tcp to port 8000
        pass out on int proto tcp
    """
    with Lab(rules=rules) as lab:
        for addr in (DST, DST6):
            came = transfer(lab, addr)
            eq(came, {"there": 3_000_000, "back": 3_000_000})
        info = lab.pf.info()
        eq(info["inserts"], 4, "one state in, one out, for each connection")
        eq(info["state-mismatch"], 0)
        eq(lab.src.can_connect(DST, 8001, 0.3), "timeout")


def test_first_ruleset_of_the_readme():
    rules = """
        # what a host wants
        set skip on lo
        trusted = "{ 192.0.2.0/24, 2001:db8:1::/48 }"
        table <bad> { 192.0.2.66 }
        block return
        block drop in quick from <bad>
        pass out
        pass in proto icmp6
        pass in proto { tcp udp } from $trusted to port { 22 \\
            8080 }   # continued
    """
    with Lab(hosts=2, rules=rules) as lab:
        with lab.fw.listen(22), lab.fw.listen(23):
            eq(lab.src.can_connect(FW_SRC, 22), "yes")
            eq(lab.src.can_connect(FW_SRC, 23), "refused")
            eq(lab.src.can_connect(FW_SRC, 8080), "refused", "by the host, for nobody listens")
            eq(lab.src.ping(FW_SRC), False)
            eq(lab.src.ping(FW6_SRC), True)
        lab.pf.ctl("-t", "bad", "-T", "add", SRC)
        with lab.fw.listen(22):
            eq(lab.src.can_connect(FW_SRC, 22, 0.3), "timeout")
        lines_eq(lab.pf.rules(), """\
block return all
block drop in quick from <bad> to any
pass out all flags S/SA
pass in proto ipv6-icmp all
pass in inet proto tcp from 192.0.2.0/24 to any port = 22 flags S/SA
pass in inet proto tcp from 192.0.2.0/24 to any port = 8080 flags S/SA
pass in inet6 proto tcp from 2001:db8:1::/48 to any port = 22 flags S/SA
pass in inet6 proto tcp from 2001:db8:1::/48 to any port = 8080 flags S/SA
pass in inet proto udp from 192.0.2.0/24 to any port = 22
pass in inet proto udp from 192.0.2.0/24 to any port = 8080
pass in inet6 proto udp from 2001:db8:1::/48 to any port = 22
pass in inet6 proto udp from 2001:db8:1::/48 to any port = 8080""")


def test_last_match_and_quick():
    rules = """
        block in on ext proto udp
        pass in quick on ext proto udp to port 1000
        pass in on ext proto udp to port 2000:3000
        block in on ext proto udp to port 2500
        block in on ext proto udp to port 1000
    """
    with Lab(hosts=2, rules=rules) as lab:
        def passes(port):
            with lab.fw.udp(port) as s, lab.src.udp() as c:
                s.settimeout(0.15)
                c.sendto(b"x", (FW_SRC, port))
                try:
                    s.recv(10)
                    return True
                except socket.timeout:
                    return False
        for port, want in ((1000, True), (999, False), (2000, True), (2499, True),
                           (2500, False), (3000, True), (3001, False)):
            eq(passes(port), want, f"port {port}")


def test_reload_keeps_connections():
    with Lab(rules="block all\npass in on ext proto tcp to port 8000\npass out\n") as lab:
        server = lab.dst.listen(8000)
        with lab.src.connect(DST, 8000) as c:
            s, _ = server.accept()
            c.sendall(b"before")
            eq(s.recv(100), b"before")
            lab.pf.load("block all\n")
            c.sendall(b"after")
            s.settimeout(2)
            eq(s.recv(100), b"after")
            s.sendall(b"back")
            eq(c.recv(100), b"back")
            eq(lab.src.can_connect(DST, 8000, 0.3), "timeout")
            matches("\n".join(lab.pf.states()), r"ESTABLISHED:ESTABLISHED")
            s.close()
        server.close()
