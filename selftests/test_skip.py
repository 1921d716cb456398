# SPDX-License-Identifier: BSD-2-Clause
"""`set skip on egress' and `on "all"': pf.conf(5).

The interfaces of egress are those that a default route of the main table leads to.  They are
seen from outside: what is not skipped answers no ping.
"""
import time

from pft.check import at_least, between, cases, contains, eq, timeout
from pft.devices import is_attached
from pft.lab import DST, DST6, FW_DST, FW_SRC, GHOST, SRC, SRC6, Lab
from pft.netns import wait_for

RULES = "set skip on egress\nblock\n"


def skipped(lab):
    """Those of ext and int that answer."""
    return " ".join(dev for dev, host, addr in (("ext", lab.src, FW_SRC), ("int", lab.dst, FW_DST))
                    if host.ping(addr, 0.1))


def becomes(lab, want, why):
    try:
        wait_for(why, lambda: skipped(lab) == want)
    except AssertionError as e:
        raise AssertionError(f"{why}: {skipped(lab)!r} skipped, not {want!r}") from e


def stays(lab, want, why):
    """Longer than a change takes."""
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        eq(skipped(lab), want, why)


def route(lab, *commands):
    lab.fw.batch([f"route {c}" for c in commands])


# what is done to the routes, and what is skipped then
IPV4 = [
    (f"add default via {SRC}", "ext"),
    (f"replace default via {DST}", "int"),
    (f"add default via {SRC} metric 50", "ext int"),
    (f"del default via {DST}", "ext"),
    (f"add default via {SRC} metric 5", "ext"),
    ("del default metric 50", "ext"),
    (f"append default via {DST} metric 5", "ext int"),
    (f"del default via {SRC} metric 5", "int"),
    ("del default", ""),
    (f"add default nexthop via {SRC} nexthop via {DST}", "ext int"),
    (f"replace default nexthop via {DST} nexthop via 198.51.100.9", "int"),
    ("replace default dev ext scope link", "ext"),
    ("replace default dev lo", ""),
    (f"replace default via {DST}", "int"),
    ("replace unreachable default", ""),
    ("del unreachable default", ""),
]
IPV6 = [
    (f"add ::/0 via {DST6}", "int"),
    (f"add ::/0 via {SRC6} metric 5", "ext int"),
    (f"del ::/0 via {DST6}", "ext"),
    (f"replace ::/0 via {DST6} metric 5", "int"),
    ("del ::/0", ""),
    (f"add ::/0 nexthop via {SRC6} nexthop via {DST6}", "ext int"),
    (f"del ::/0 nexthop via {SRC6}", "int"),
    ("del ::/0", ""),
    ("add blackhole ::/0", ""),
    (f"replace ::/0 via {SRC6}", "ext"),
    (f"add default via {DST}", "ext int"),
    ("del ::/0", "int"),
]


@timeout(60)
@cases(("IPv4", IPV4), ("IPv6", IPV6))
def test_default_routes(_name, steps):
    """One that comes, goes, moves, has several hops or a metric: no event of an interface."""
    with Lab(rules=RULES) as lab:
        eq(skipped(lab), "")
        was = ""
        for command, want in steps:
            route(lab, command)
            becomes(lab, want, command)
            if want == was:
                stays(lab, want, command)
            was = want


def test_other_routes():
    """Of another table or shorter than all, they do not count."""
    with Lab(rules=RULES) as lab:
        route(lab, f"add default via {SRC} table 100", f"add ::/0 via {SRC6} table 300",
              f"add 0.0.0.0/1 via {SRC}", f"add 128.0.0.0/1 via {SRC}", f"add ::/1 via {SRC6}")
        stays(lab, "", "other routes come")
        route(lab, f"add default via {DST}")
        becomes(lab, "int", "one that counts")
        route(lab, "del default table 100", "del ::/0 table 300", "del 0.0.0.0/1")
        stays(lab, "int", "other routes go")


@cases(("told with the routes", 1), ("told by themselves", 0))
def test_objects(_name, compat):
    """ip-nexthop(8): a default route leads to where its object does, which may change."""
    with Lab(rules=RULES) as lab:
        lab.fw.sysctl("net/ipv4/nexthop_compat_mode", compat)
        for command, want in (
                (f"nexthop add id 1 via {SRC} dev ext", ""), ("route add default nhid 1", "ext"),
                (f"nexthop replace id 1 via {DST} dev int", "int"),
                (f"nexthop add id 2 via {SRC} dev ext", "int"),
                ("nexthop add id 3 group 1/2", "int"),
                ("route replace default nhid 3", "ext int"), ("nexthop del id 2", "int"),
                ("nexthop del id 1", ""),
                (f"nexthop add id 6 via {DST6} dev int", ""), ("route add ::/0 nhid 6", "int"),
                ("nexthop del id 6", "")):
            lab.fw.batch([command])
            becomes(lab, want, command)


@timeout(60)
def test_routes_that_change_without_a_word():
    """The kernel does not tell of IPv4's that go with an interface or an address, or come
    back."""
    with Lab(rules=RULES) as lab:
        def attached(**want):
            for dev, there in want.items():
                wait_for(f"{dev} to be {'filtered' if there else 'skipped'}",
                         lambda dev=dev, there=there: is_attached(lab, dev) == there)
        route(lab, f"add default nexthop via {SRC} nexthop via {DST}")
        attached(ext=False, int=False)
        for _ in range(3):
            lab.fw.ip("link", "set", "ext", "down")
            attached(ext=True, int=False)
            lab.fw.ip("link", "set", "ext", "up")
            attached(ext=False, int=False)
        route(lab, f"replace default via {SRC}")
        attached(ext=False, int=True)
        lab.fw.ip("link", "set", "ext", "down")
        attached(ext=True)
        lab.fw.ip("link", "set", "ext", "up")
        time.sleep(0.2)
        attached(ext=True)
        # the route goes with the address that packets are to have, of another interface
        route(lab, f"add default via {DST} src {FW_SRC}")
        attached(int=False)
        lab.fw.ip("addr", "del", f"{FW_SRC}/24", "dev", "ext")
        attached(int=True)
        # with the last address, all of an interface
        route(lab, f"add default via {DST}")
        attached(int=False)
        lab.fw.ip("addr", "del", f"{FW_DST}/24", "dev", "int")
        attached(int=True)


@timeout(60)
def test_interfaces_come_and_go():
    """One that is new, has another name, or is gone."""
    with Lab(rules=RULES) as lab:
        def filtered(dev, want):
            wait_for(f"{dev}: {want}", lambda: is_attached(lab, dev) == want)
        for name in ("up0", "up1"):
            lab.fw.batch([f"link add {name} type veth peer name peer.{name}",
                          f"link set {name} up", f"route add default dev {name}"])
            filtered(name, False)
            lab.fw.ip("link", "set", name, "name", "other")
            filtered("other", False)
            route(lab, "del default")
            filtered("other", True)
            route(lab, "add default dev other")
            filtered("other", False)
            lab.fw.ip("link", "del", "other")
        route(lab, f"add default via {SRC}")
        becomes(lab, "ext", "the route")
        # one that is called so is meant alone
        lab.fw.ip("link", "add", "egress", "type", "veth", "peer", "name", "x")
        becomes(lab, "", "an interface has the name")
        filtered("egress", False)
        lab.fw.ip("link", "del", "egress")
        becomes(lab, "ext", "the group has the name back")


@timeout(60)
def test_rules_come_and_go():
    with Lab(rules="block\n") as lab:
        route(lab, f"add default via {SRC}")
        eq(skipped(lab), "")
        lab.pf.load("set skip on { lo egress }\nblock\n")
        eq((skipped(lab), is_attached(lab, "lo")), ("ext", False))
        # an anchor's rules are no reason to forget it
        lab.pf.ctl("-a", "a", "-f", "-", input="block\n")
        route(lab, f"replace default via {DST}")
        becomes(lab, "int", "after an anchor's load")
        # while nobody looks
        lab.pf.stop()
        eq(skipped(lab), "int", "without pfd")
        route(lab, f"replace default via {SRC}")
        stays(lab, "int", "without pfd")
        lab.pf.start()
        becomes(lab, "ext", "another pfd")
        route(lab, f"replace default via {DST}")
        becomes(lab, "int", "it follows")
        # to be confirmed, and back
        lab.pf.load("block\n", "--confirm", "1")
        eq(skipped(lab), "")
        route(lab, f"replace default via {SRC}")
        becomes(lab, "ext", "the rules of before, the routes of now")
        # what does not load changes nothing
        lab.pf.ctl("-f", "-", input="set skip on nothing\npass prio 5\n", check=False)
        eq(skipped(lab), "ext")
        lab.pf.ctl("-d")
        lab.pf.ctl("-e")
        eq(skipped(lab), "ext")
        lab.pf.ctl("-F", "Reset")
        eq(skipped(lab), "", "the rules stay, what is skipped does not")
        route(lab, f"replace default via {DST}")
        stays(lab, "", "no rules ask")
        lab.pf.load(RULES)
        eq(skipped(lab), "int")


def test_all():
    """Every interface, loopback and those that come later, too."""
    with Lab(rules="block\n") as lab:
        eq(lab.fw.ping("127.0.0.1", 0.1), False)
        lab.pf.load("set skip on \"all\"\nblock\n")
        eq((skipped(lab), lab.fw.ping("127.0.0.1"), lab.pf.info()["attached interfaces"]),
           ("ext int", True, 0))
        lab.fw.ip("link", "add", "new0", "type", "veth", "peer", "name", "new1")
        time.sleep(0.3)
        eq(lab.pf.info()["attached interfaces"], 0)
        lab.pf.restart()
        eq(skipped(lab), "ext int")
        lab.pf.load("block\n")
        eq((skipped(lab), lab.pf.info()["attached interfaces"]), ("", 5))


def ticks(pid):
    """Of a process's time, in hundredths of a second."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return sum(map(int, f.read().rpartition(")")[2].split()[11:13]))


@timeout(120)
def test_many_routes():
    """A large table comes, is there, and goes: it is looked at when a default route changes,
    and only then."""
    n = 40000
    lines = [f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}/32 via {GHOST}" for i in range(n)]
    with Lab(rules=RULES) as lab:
        route(lab, f"add default via {SRC}")
        becomes(lab, "ext", "the route")
        before = ticks(lab.pf.proc.pid)
        route(lab, *(f"add {line}" for line in lines))
        spent = ticks(lab.pf.proc.pid) - before
        between(spent, 0, 10, "hundredths of a second, for other routes")
        at_least(lab.fw.ip("route", "show").count("via"), n)
        route(lab, f"replace default via {DST}")
        becomes(lab, "int", "amid many")
        # many changes of what counts: read now and then, and at last
        before = ticks(lab.pf.proc.pid)
        for _ in range(200):
            route(lab, *[f"replace default via {SRC}", f"replace default via {DST}"] * 5)
        route(lab, f"replace default via {SRC}")
        becomes(lab, "ext", "after many changes")
        route(lab, *(f"del {line}" for line in lines))
        stays(lab, "ext", "only the default route is left")


def test_refused():
    with Lab(rules=RULES, hosts=2) as lab:
        for name, text in (("egress", "egress"), ("all", '"all"')):
            r = lab.pf.ctl("-f", "-", input=f"set skip on ! {text}\n", check=False)
            eq(r.returncode, 1)
            contains(r.stderr, f"stdin:1:15: set skip on ! {name} is not supported")
