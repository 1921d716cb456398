# SPDX-License-Identifier: BSD-2-Clause
"""Groups of interfaces in rules: `on egress', `received-on tun', `antispoof for egress' and kin.

Who is in a group is known at run time: a default route that moves, an interface that comes,
goes or has another name, need no reload.
"""
import itertools
import time

from pft.check import absent, at_least, cases, contains, eq, timeout
from pft.devices import is_attached, udp_passes
from pft.lab import (DST, DST6, FW6_DST, FW6_SRC, FW_DST, FW_SRC, GHOST, GHOST6, GHOST_DST, MAC,
                     SRC, SRC6, Lab)
from pft.flood import Flood
from pft.netns import wait_for
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import raw

EMITTERS = [("linear", "linear"), ("tree", "tree")]
PASS, DROP = -1, 2
NEW = "02:00:00:00:09:01"  # of interfaces that are made here


def lab_of(emitter, rules=None, **more):
    return Lab(rules=rules, pfd_args=("--emitter", emitter), **more)


def route(lab, *commands):
    lab.fw.batch([f"route {c}" for c in commands])


def verdict(lab, dev, way="in", v6=False, port=53):
    ip = IPv6(src=GHOST6, dst=DST6) if v6 else IP(src=GHOST, dst=GHOST_DST)
    pkt = Ether(dst=MAC.get(dev, NEW if dev != "lo" else "00:00:00:00:00:00"), src="02:00:00:00:00:99")
    return lab.pf.run(dev, way, raw(pkt / ip / UDP(sport=9, dport=port)))[0]


def passing(lab, devs="ext int", way="in"):
    """Those of the interfaces where a datagram passes; of both, if families differ."""
    four, six = (" ".join(d for d in devs.split() if verdict(lab, d, way, v6) != DROP)
                 for v6 in (False, True))
    return four if four == six else (four, six)


def becomes(lab, want, why="", devs="ext int", way="in"):
    try:
        wait_for(why, lambda: passing(lab, devs, way) == want)
    except AssertionError as e:
        raise AssertionError(f"{why}: passing on {passing(lab, devs, way)!r}, "
                             f"not on {want!r}") from e


def stays(lab, want, why):
    """Longer than a change takes."""
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        eq(passing(lab), want, why)


def answering(lab):
    """fw's interfaces that answer a ping by their first address, of IPv4 and of IPv6."""
    hosts = ((lab.src, "ext", FW_SRC, FW6_SRC), (lab.dst, "int", FW_DST, FW6_DST))
    return " ".join(dev + v for host, dev, four, six in hosts
                    for v, addr in (("4", four), ("6", six)) if host.ping(addr, 0.5))


# --- egress ---

# what is done to the default routes, and who is in egress then
STEPS = [
    (f"add default via {SRC}", "ext"),
    (f"replace default via {DST}", "int"),
    (f"add ::/0 via {SRC6}", "ext int"),
    ("del default", "ext"),
    ("del ::/0", ""),
    (f"add default nexthop via {SRC} nexthop via {DST}", "ext int"),
    (f"replace default via {SRC}", "ext"),
    ("replace unreachable default", ""),
    ("del unreachable default", ""),
    ("add default dev lo", ""),
    (f"replace default via {SRC}", "ext"),
]


@timeout(120)
@cases(*EMITTERS)
def test_default_route_moves(_name, emitter):
    others = {"": "ext int", "ext": "int", "int": "ext", "ext int": ""}
    for negation in ("", "! "):
        with lab_of(emitter, f"block\npass in on {negation}egress no state\n") as lab:
            eq(passing(lab), others[""] if negation else "", "a group without members")
            for command, want in STEPS:
                route(lab, command)
                want = others[want] if negation else want
                becomes(lab, want, f"{command}, {negation}egress")
            # loopback is in no egress
            eq(verdict(lab, "lo") == PASS, negation != "")


@timeout(60)
@cases(*EMITTERS)
def test_packets_on_the_wire(_name, emitter):
    rules = "block\npass in on egress\npass out on ! egress\n"
    with lab_of(emitter) as lab:
        route(lab, f"add default via {SRC}")
        lab.pf.load(rules)
        eq(lab.pf.rules(), ["block drop all", "pass in on egress all flags S/SA",
                            "pass out on ! egress all flags S/SA"])
        eq(answering(lab), "ext4 ext6")
        # in at one, out at the other
        eq([lab.src.ping(DST), lab.src.ping(DST6), lab.dst.ping(SRC, 0.15),
            lab.dst.ping(SRC6, 0.15)], [True, True, False, False])
        route(lab, f"replace default via {DST}")

        def moved():
            """Of what asked too early there is a state."""
            lab.pf.ctl("-F", "states")
            return passing(lab) == "int"
        wait_for("it to move", moved)
        lab.pf.ctl("-F", "states")
        eq(answering(lab), "int4 int6")
        eq([lab.src.ping(DST, 0.15), lab.src.ping(DST6, 0.15), lab.dst.ping(SRC),
            lab.dst.ping(SRC6)], [False, False, True, True])


@cases(*EMITTERS)
def test_received_on(_name, emitter):
    with lab_of(emitter, "pass no state\nblock out quick on int ! received-on egress\n"
                "block out quick on ext received-on egress\n") as lab:
        def forwarded():
            """From src, and from dst: requests alone, for no rule looks at what comes back."""
            return [udp_passes(b, a, addr, 53, 0.5) != "no"
                    for a, b, addr in ((lab.src, lab.dst, DST), (lab.src, lab.dst, DST6),
                                       (lab.dst, lab.src, SRC), (lab.dst, lab.src, SRC6))]
        eq(forwarded(), [False, False, True, True], "nobody is in it")
        route(lab, f"add default via {SRC}")
        wait_for("ext in egress", lambda: forwarded()[:2] == [True, True])
        eq(forwarded()[2:], [True, True], "what comes in at int goes out at ext")
        route(lab, f"replace default via {DST}")
        wait_for("int in egress", lambda: not any(forwarded()))
        # of this host itself nothing was received
        eq(lab.fw.ping(DST, 0.15), False)
        lab.pf.load("pass no state\nblock out on int received-on egress\n")
        eq(lab.fw.ping(DST), True)


@cases(*EMITTERS)
def test_states_stay(_name, emitter):
    """A state that was made goes on; one that is bound is for its interface, not for the group."""
    with lab_of(emitter) as lab:
        route(lab, f"add default via {SRC}")
        for option in ("", "keep state (if-bound)"):
            route(lab, f"replace default via {SRC}")
            lab.pf.load(f"block\npass in on egress {option}\n")
            lab.pf.ctl("-F", "states")
            # pfd need not have heard of the route when the rules come
            wait_for("a state", lambda: verdict(lab, "ext", port=7) == PASS)
            if option:
                contains(lab.pf.state(r":7\b"), "ext ")
            route(lab, f"replace default via {DST}")
            new = itertools.count(100)
            wait_for("no new state", lambda n=new: verdict(lab, "ext", port=next(n)) == DROP)
            eq((verdict(lab, "ext", port=7), verdict(lab, "int", port=9)), (PASS, PASS))


@timeout(60)
@cases(*EMITTERS)
def test_rules_come_and_go(_name, emitter):
    with lab_of(emitter, "block\n") as lab:
        route(lab, f"add default via {SRC}")
        rules = "block\npass in on egress no state\n"
        lab.pf.load(rules)
        eq(passing(lab), "ext", "as it is when the rules come")
        lab.pf.load(rules)
        eq(passing(lab), "ext", "again")
        # while nobody looks
        lab.pf.stop()
        eq(passing(lab), "ext", "without pfd")
        route(lab, f"replace default via {DST}")
        stays(lab, "ext", "without pfd")
        lab.pf.start()
        eq(passing(lab), "int", "another pfd")
        route(lab, f"replace default via {SRC}")
        becomes(lab, "ext", "it follows")
        # to be confirmed, and back: without a group meanwhile
        lab.pf.load("pass in on int no state\nblock out\n", "--confirm", "1")
        route(lab, f"replace default via {DST}")
        becomes(lab, "int", "the rules of before, the routes of now")
        eq(lab.pf.rules()[0], "block drop all")
        lab.pf.load("block\n", "--confirm", "30")
        lab.pf.restart()
        route(lab, f"replace default via {SRC}")
        lab.pf.load("block\n")
        eq(passing(lab), "")
        lab.pf.load(rules)
        becomes(lab, "ext", "the rules are back")
        # what does not load changes nothing
        eq(lab.pf.ctl("-f", "-", input="pass on egress\nnonsense\n", check=False).returncode, 1)
        eq(passing(lab), "ext")
        # options go, rules stay
        lab.pf.ctl("-F", "Reset")
        route(lab, f"replace default via {DST}")
        becomes(lab, "int", "after a reset")
        lab.pf.ctl("-F", "rules")
        eq(passing(lab), "ext int")


@timeout(90)
@cases(*EMITTERS)
def test_restart_loses_nobody(_name, emitter):
    """A pfd that takes over knows who is in a group before it says so to the rules."""
    with lab_of(emitter, v6=False) as lab:
        route(lab, f"add default via {SRC}")
        lab.pf.load("block\npass in on egress no state\npass out received-on egress no state\n")
        flood = Flood(lab)
        for _ in range(4):
            lab.pf.restart()
        flood.end()
        eq(flood.received, flood.sent, "every packet arrived")
        at_least(flood.sent, 1000)


@cases(*EMITTERS)
def test_skipped_too(_name, emitter):
    """`set skip on' and rules that name the same group, or one after the other."""
    with lab_of(emitter) as lab:
        route(lab, f"add default via {SRC}")
        lab.pf.load("set skip on egress\nblock\npass on ! egress inet no state\n")
        eq((is_attached(lab, "ext"), verdict(lab, "int")), (False, PASS))
        route(lab, f"replace default via {DST}")
        wait_for("the other one", lambda: is_attached(lab, "ext") and not is_attached(lab, "int"))
        eq(verdict(lab, "ext"), PASS)
        lab.pf.load("set skip on ext\nblock\npass on egress no state\n")
        eq((is_attached(lab, "ext"), passing(lab, "int")), (False, "int"))
        lab.pf.load("set skip on egress\nblock\n")
        eq((is_attached(lab, "int"), passing(lab, "ext")), (False, ""))


# --- names without a number ---

@timeout(90)
@cases(*EMITTERS)
def test_interfaces_come_and_go(_name, emitter):
    """Rules are there before the interfaces; some have numbers beyond the array's."""
    rules = """block
pass in on tun inet no state
pass in on ! tun inet6 no state
block in quick on tun1 inet6
"""
    with lab_of(emitter, rules) as lab:
        def add(name, index=None):
            number = ["index", str(index)] if index else []
            lab.fw.ip("link", "add", name, *number, "address", NEW, "type", "veth", "peer", "name",
                      f"p{abs(hash(name)) % 10**8}")
            lab.fw.ip("link", "set", name, "up")

        def sees(**want):
            """{interface: families that pass there}"""
            def now():
                return {d: "".join(f for f, v6 in (("4", 0), ("6", 1))
                                   if verdict(lab, d, v6=v6) != DROP) for d in want}
            for dev in want:
                wait_for(dev, lambda d=dev: is_attached(lab, d))
            try:
                wait_for("verdicts", lambda: now() == want)
            except AssertionError as e:
                raise AssertionError(f"got {now()}, want {want}") from e
        sees(ext="6", int="6")
        add("tun0", 70000)
        add("tun1")
        add("tunnel0")
        sees(ext="6", tun0="4", tun1="4", tunnel0="6")
        # another name
        lab.fw.ip("link", "set", "tunnel0", "name", "tun27")
        lab.fw.ip("link", "set", "tun1", "name", "foo1")
        sees(tun27="4", tun0="4", foo1="6")
        lab.fw.ip("link", "set", "foo1", "name", "tun1")
        sees(tun1="4")
        # one that is called so is meant alone
        add("tun")
        sees(tun="4", tun0="6", tun27="6", tun1="", ext="6")
        lab.pf.restart()
        sees(tun="4", tun0="6", tun27="6", tun1="", ext="6")
        lab.fw.ip("link", "set", "tun", "name", "other")
        sees(other="6", tun0="4", tun27="4", tun1="4")
        lab.fw.ip("link", "set", "tun0", "name", "tun")
        sees(tun="4", tun27="6", tun1="")
        lab.fw.ip("link", "del", "tun")
        sees(tun27="4", tun1="4", ext="6")
        add("egress")
        lab.pf.load("block\npass in on egress no state\n")
        route(lab, f"add default via {SRC}")
        sees(ext="", egress="46")
        lab.fw.ip("link", "set", "egress", "name", "up0")
        sees(ext="46", up0="")


@cases(*EMITTERS)
def test_all(_name, emitter):
    with lab_of(emitter, 'block\npass in on "all" no state\npass out on any no state\n') as lab:
        eq(lab.pf.rules()[1], 'pass in on "all" all no state')
        eq((passing(lab, "ext int lo"), passing(lab, "ext int lo", "out")),
           ("ext int lo", "ext int"))
        lab.pf.load('pass no state\nblock in on ! "all"\n')
        eq(passing(lab, "ext int lo"), "ext int lo")


@cases(*EMITTERS)
def test_names_that_overlap(_name, emitter):
    """An interface that rules know by its name, by two groups and by both negated."""
    n = 40  # enough to make a tree of
    rules = "block\n" + "".join(
        f"pass in on ext proto udp to port {1000 + i} no state\n"
        f"pass in on egress proto udp to port {2000 + i} no state\n"
        f"pass in on far proto udp to port {3000 + i} no state\n"
        f"pass in on far0 proto udp to port {4000 + i} no state\n"
        f"pass in on ! far proto udp to port {5000 + i} no state\n"
        f"pass in on wan proto udp to port {6000 + i} no state\n" for i in range(n))
    with lab_of(emitter) as lab:
        for i, name in enumerate(("far0", "far1", "wan3")):
            lab.fw.ip("link", "add", name, "address", NEW, "type", "veth", "peer", "name", f"peer{i}")
        route(lab, f"add default via {SRC}")
        lab.pf.load(rules)
        want = {"ext": [1000, 2000, 5000], "int": [5000], "far0": [3000, 4000], "far1": [3000],
                "wan3": [5000, 6000]}
        for dev, ports in want.items():
            for at in (0, n - 1):
                for v6 in (False, True):
                    eq([p for p in range(1000, 7000, 1000)
                        if verdict(lab, dev, v6=v6, port=p + at) != DROP], ports, dev)


# --- anchors ---

@cases(*EMITTERS)
def test_anchors(_name, emitter):
    """On the anchor's rule, in its rules, and in those that replace them alone."""
    main = 'block\nanchor "a"\nanchor "b" on egress {\n pass in inet no state\n}\n' \
           "pass in on egress proto tcp\n"
    with lab_of(emitter, main) as lab:
        def load(rules):
            lab.pf.ctl("-a", "a", "-f", "-", input=rules)
        route(lab, f"add default via {SRC}")
        wait_for("b", lambda: verdict(lab, "ext") == PASS)
        eq((verdict(lab, "ext", v6=True), verdict(lab, "int")), (DROP, DROP))
        for rule in ("pass in on egress inet6 no state\n",
                     "pass in quick on egress no state\npass in on nosuch0\n",
                     "pass in on egress proto udp to port 53 no state\n"):
            load(rule)
            eq(passing(lab), "ext", rule)
            route(lab, f"replace default via {DST}")
            becomes(lab, "int", rule)
            route(lab, f"replace default via {SRC}")
            becomes(lab, "ext", rule)
        if emitter == "tree":
            contains(lab.pf.ctl("--dump-program").stdout, "anchors: 2 rules ha",
                     "replaced in place")
        # a group that no rule has named until now
        load("pass in on \"in\" no state\npass in on ! ext inet no state\n")
        eq((verdict(lab, "int"), verdict(lab, "int", v6=True)), (PASS, DROP))
        lab.pf.restart()
        eq((verdict(lab, "int"), verdict(lab, "int", v6=True)), (PASS, DROP))
        # only an anchor asks for egress
        lab.pf.load('block\nanchor "a"\n')
        load("pass in on egress no state\n")
        eq(passing(lab), "ext")
        route(lab, f"replace default via {DST}")
        becomes(lab, "int", "of an anchor alone")


# --- shown, and refused ---

@cases(*EMITTERS)
def test_shown(_name, emitter):
    rules = ("block in on ! egress all\n"
             "pass in on tun all flags S/SA\n"
             "pass out on tun0 all received-on egress flags S/SA\n"
             "pass out on wan all !received-on \"all\" flags S/SA\n")
    with lab_of(emitter, 'block in on ! egress\npass in on tun\n'
                'pass out on tun0 received-on egress\npass out on wan ! received-on "all"\n') as lab:
        eq(lab.pf.ctl("-sr").stdout, rules.replace("block in", "block drop in"))
        eq([text for text, _ in lab.pf.rule_numbers()],
           rules.replace("block in", "block drop in").splitlines())
        contains(lab.pf.ctl("--dump-program").stdout,
                 "interfaces: 1 group egress, 2 group tun, 3 tun0, 4 wan, 5 group all\n")
        # loaded again, they are the same
        lab.pf.load(lab.pf.ctl("-sr").stdout)
        eq(lab.pf.ctl("-sr").stdout, rules.replace("block in", "block drop in"))


def test_optimized():
    """Rules for a group and for one of it are not one rule."""
    with Lab() as lab:
        route(lab, f"add default via {SRC}")
        lab.pf.ctl("-o", "basic", "-f", "-", input="block\npass in on egress inet no state\n"
                   "pass in on ext inet no state\npass in on egress inet no state\n"
                   "pass in on ! egress inet6 no state\n")
        eq(len(lab.pf.rules()), 4)
        route(lab, f"replace default via {DST}")
        wait_for("int", lambda: verdict(lab, "int") == PASS)
        eq([verdict(lab, *a) for a in (("ext",), ("ext", "in", True), ("int", "in", True))],
           [PASS, PASS, DROP])


def test_antispoof():
    """The networks are those of the load, the interfaces those of now."""
    with lab_of("linear") as lab:
        lab.fw.batch(["addr flush dev ext scope link", "addr flush dev int scope link"])
        route(lab, f"add default via {SRC}")
        lab.pf.load("antispoof quick for egress\npass no state\n")
        eq(lab.pf.rules(),
           [f"block drop in quick {on}{family} from {what} to any"
            for on, family, what in (("on ! egress ", "inet", "192.0.2.0/24"),
                                     ("on ! egress ", "inet6", "2001:db8:1::/64"),
                                     ("", "inet", FW_SRC), ("", "inet6", FW6_SRC))] +
           ["pass all no state"])
        eq(passing(lab), "ext")
        route(lab, f"replace default via {DST}")
        becomes(lab, "int", "its networks are not known anew")


def test_link_local_addresses():
    """A rule has one interface: what is for ext alone and for a group cannot be said."""
    with Lab() as lab:
        lab.fw.ip("addr", "add", "fe80::1/64", "dev", "ext", "nodad")
        route(lab, f"add default via {SRC}")
        lab.pf.load("block\npass in on egress inet6 to egress no state\n")
        eq(lab.pf.rules()[1:], [f"pass in on egress inet6 from any to {FW6_SRC} no state"])
        for rules, at in (("pass on egress from fe80::1%ext", 21),
                          ("pass on ! egress to fe80::1%ext", 21),
                          ("pass on ex from { fe80::1%ex0 }", 19),
                          ('pass on "all" to fe80::1%ext', 18)):
            r = lab.pf.ctl("-f", "-", input=rules + "\n", check=False)
            eq(r.returncode, 1, rules)
            contains(r.stderr, f"stdin:1:{at}: an address at one interface in a rule for a group")
        lab.pf.load("pass on ! int from fe80::1%ext\npass on ext from fe80::1%ext\n")
        eq(len(set(lab.pf.rules())), 1)
        r = lab.pf.ctl("-f", "-", input=f"pass in route-to {SRC}@egress\n", check=False)
        eq(r.returncode, 1)
        contains(r.stderr, "stdin:1:18: a group of interfaces as a way: not enforced yet")
        absent(r.stderr, "internal")
