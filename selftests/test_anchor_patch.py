# SPDX-License-Identifier: BSD-2-Clause
"""An anchor's rules replaced in place, where the others are rules as data."""
import os
import re
import signal

from pft import proto
from pft.check import at_least, cases, contains, eq, timeout
from pft.lab import MAC, Lab
from pft.flood import Flood
from pft.netns import wait_for
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import raw

TREE = ("--emitter", "tree")
ROOM = 128  # rules, in a small ruleset


def frame(pkt):
    return raw(Ether(dst=MAC["ext"], src="02:00:00:00:00:99") / pkt)


def udp(dport=53):
    return IP(src="192.0.2.1", dst="198.51.100.1") / UDP(sport=1024, dport=dport)


def tcp(dport=80):
    return IP(src="192.0.2.1", dst="198.51.100.1") / TCP(sport=1024, dport=dport, flags="S")


def lab_of(rules):
    return Lab(hosts=2, v6=False, rules=rules, pfd_args=TREE)


def load(lab, path, rules):
    lab.pf.ctl("-a", path, "-f", "-", input=rules)


def replaced(lab):
    """Rules that were replaced in place since all was compiled."""
    m = re.search(r"^anchors: (\d+) rules? ha", lab.pf.ctl("--dump-program").stdout, re.M)
    return int(m.group(1)) if m else None


def passes(lab, pkt):
    return lab.pf.run("ext", "in", frame(pkt))[0] != 2


def numbers(lab, *args):
    """[(evaluations, packets)] of the rules."""
    out = lab.pf.ctl(*args, "-vsr").stdout
    return [(int(e), int(p)) for e, p in re.findall(r"Evaluations: (\d+) +Packets: (\d+)", out)]


MAIN = """
block
anchor "a"
anchor "b/*"
anchor "n" in on ext {
    anchor "deep"
}
pass in proto tcp to port 80 no state label main
"""


def test_in_place():
    with lab_of(MAIN) as lab:
        load(lab, "a", "pass in proto udp to port 1 no state\n")
        eq(replaced(lab), 0, "an anchor that is new is compiled with all the rest")
        for port in (2, 3, 4):
            load(lab, "a", f"pass in proto udp to port {port} no state\n")
            eq([n for n in range(1, 6) if passes(lab, udp(n))], [port])
            eq(lab.pf.ctl("-a", "a", "-sr").stdout,
               f"pass in proto udp from any to any port = {port} no state\n")
        eq(replaced(lab), 3)
        # of several rules, of none, and again of some
        load(lab, "a", "pass in proto udp to port { 5 6 7 } no state\nblock in proto udp to port 6\n")
        eq([n for n in range(1, 9) if passes(lab, udp(n))], [5, 7])
        lab.pf.ctl("-a", "a", "-Fr")
        eq(passes(lab, udp(5)), False)
        load(lab, "a", "pass in quick proto udp no state\n")
        eq(passes(lab, udp(5)), True)
        eq(replaced(lab), 3 + 1 + 4)
        contains(lab.pf.ctl("--dump-program").stdout, f"rules: {6 + 1} in 3 rulesets")


def test_each_where_it_stands():
    """Called by name, by a wildcard, and from another anchor."""
    with lab_of(MAIN) as lab:
        for path in ("b/x", "b/y", "n/deep"):
            load(lab, path, "pass in proto udp to port 9 no state\n")
        load(lab, "b/x", "pass in proto udp to port 1 no state\n")
        load(lab, "b/y", "pass in proto udp to port 2 no state\n")
        load(lab, "n/deep", "pass in proto udp to port 3 no state\n")
        eq([n for n in range(10) if passes(lab, udp(n))], [1, 2, 3])
        eq(replaced(lab), 3)


@cases(("twice", 'anchor "a"\nanchor "a"\n'),
       ("within one that is called twice", 'anchor "o"\nanchor "o"\n'))
def test_not_where_a_packet_comes_twice(_name, main):
    """It would meet the old rules there and then the new ones: all is made anew."""
    path = "a" if '"a"' in main else "o/a"
    with lab_of("block\n" + main) as lab:
        if path == "o/a":
            load(lab, "o", 'anchor "a"\n')
        for port in (1, 2, 3):
            load(lab, path, f"pass in proto udp to port {port} no state\n")
            eq([n for n in range(5) if passes(lab, udp(n))], [port])
        eq(replaced(lab), 0)


@cases(("an anchor", 'anchor "inner"\n'), ("an interface", "pass in on nosuch0\n"),
       ("a chance", "pass in proto udp to port 7 probability 99%\n"), ("a receiver", "pass in proto udp to port 7 received-on ext\n"),
       ("a table", "pass in from <t>\n"), ("a table of its own", "table <o> { 192.0.2.7 }\npass from <o>\n"),
       ("a file", 'load anchor "more" from "/dev/null"\n'))
def test_what_needs_more(_name, rule):
    """What the program was not made for makes it anew, and back."""
    with lab_of(MAIN) as lab:
        load(lab, "a", "pass in proto udp to port 1 no state\n")
        load(lab, "a", rule + "pass in proto udp to port 2 no state\n")
        eq((replaced(lab), passes(lab, udp(1)), passes(lab, udp(2))), (0, False, True))
        load(lab, "a", "pass in proto udp to port 3 no state\n")
        eq((passes(lab, udp(2)), passes(lab, udp(3))), (False, True))


def test_tables():
    rules = "table <t> persist { 192.0.2.1 }\nblock\nanchor a\n"
    with lab_of(rules) as lab:
        load(lab, "a", "pass in proto udp from <t> to port 1 no state\n")
        load(lab, "a", "pass in proto udp from <t> to port 2 no state\n")
        eq((replaced(lab), passes(lab, udp(1)), passes(lab, udp(2))), (1, False, True))
        lab.pf.ctl("-t", "t", "-T", "delete", "192.0.2.1")
        eq(passes(lab, udp(2)), False)
        # which table the rules mean is known further on
        load(lab, "a", "pass in proto udp from ! <t> to port 3 no state\n")
        eq((replaced(lab), passes(lab, udp(3))), (2, True))
        lab.pf.ctl("-a", "a", "-t", "t", "-T", "add", "192.0.2.1")
        eq((replaced(lab), passes(lab, udp(3))), (0, False), "the anchor's own, for which all is made anew")
        load(lab, "a", "pass in proto udp from <t> to port 4 no state\n")
        eq((replaced(lab), passes(lab, udp(4))), (1, True))
        lab.pf.ctl("-a", "a", "-F", "Tables")
        eq(passes(lab, udp(4)), False)


def test_a_mistake_leaves_all_as_it_was():
    with lab_of(MAIN) as lab:
        load(lab, "a", "pass in proto udp to port 1 no state\n")
        for bad in ("pass in proto udp to port 2 no state\nnonsense\n",
                    "pass in proto udp to port 2 user root no state\n"):
            eq(lab.pf.ctl("-a", "a", "-f", "-", check=False, input=bad).returncode, 1)
        eq((passes(lab, udp(1)), passes(lab, udp(2)), replaced(lab)), (True, False, 0))


def test_counters():
    """Others' go on; its own begin at nothing; so it is when all is made anew."""
    with lab_of(MAIN) as lab:
        load(lab, "a", "pass in proto udp to port 1 no state\n")
        lab.pf.run("ext", "in", frame(tcp()))
        lab.pf.run("ext", "in", frame(udp(1)))
        was = numbers(lab)
        eq([p for _, p in was], [0, 1, 0, 0, 1])
        for rules in ("pass in proto udp to port 2 no state\n", 'anchor "x"\npass proto udp no state\n'):
            load(lab, "a", rules)
            eq(numbers(lab), was, rules)
            eq(set(numbers(lab, "-a", "a")), {(0, 0)}, rules)
        contains(lab.pf.ctl("-sl").stdout, "main")


def test_keepcounters():
    keep = "set keepcounters\n" + MAIN
    one, two = "pass in proto udp to port 1 no state\n", "pass in proto udp to port 2 no state\n"
    with lab_of(keep) as lab:
        load(lab, "a", one)
        for _ in range(3):
            lab.pf.run("ext", "in", frame(udp(1)))
        eq(numbers(lab, "-a", "a"), [(3, 3)])
        load(lab, "a", two + one)
        eq(numbers(lab, "-a", "a"), [(0, 0), (3, 3)])
        lab.pf.run("ext", "in", frame(udp(1)))
        load(lab, "a", one)
        eq(numbers(lab, "-a", "a"), [(4, 4)])
        lab.pf.ctl("-z")
        load(lab, "a", one + two)
        eq(numbers(lab, "-a", "a"), [(0, 0), (0, 0)])
        eq(replaced(lab), 4)


def test_states_and_logs():
    """A state goes on for its rule, which is gone; records name the anchor that they are of."""
    with Lab(hosts=2, v6=False, rules=MAIN, pfd_args=TREE) as lab:
        load(lab, "a", "pass in log proto udp to port 1\n")
        lab.pf.run("ext", "in", frame(udp(1)))
        load(lab, "a", "block in log proto udp\npass in log proto udp to port 2\n")
        for port in (1, 2, 3):
            lab.pf.run("ext", "in", frame(udp(port)))
        eq(len(lab.pf.states()), 2)
        lab.pf.ctl("-F", "states")
        eq(passes(lab, udp(1)), False)
        lab.pf.stop()
        with open(lab.pf.logfile, "rb") as f:
            data = f.read()
        # ruleset's name and rule: see if_pflog.h
        eq(re.findall(rb"pf\0+(a|)\0+", data.replace(b"ext\0", b"pf\0")) != [], True)
        eq(data.count(b"a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), 4)


@cases(("stopped", signal.SIGTERM), ("killed", signal.SIGKILL))
def test_taken_over(_name, sig):
    """The next pfd has the rules, counters and states, and replaces further."""
    with lab_of(MAIN) as lab:
        load(lab, "a", "pass in proto udp to port 1\n")
        load(lab, "b/x", "pass in proto udp to port 2 no state\n")
        load(lab, "a", "pass in proto udp to port 3 label a\n")
        load(lab, "b/x", "pass in proto udp to port 4 no state\npass in proto udp to port 5 no state\n")
        load(lab, "b/x", "pass in proto udp to port 5 no state\n")
        for port in (3, 5, 5):
            lab.pf.run("ext", "in", frame(udp(port)))
        was = lab.pf.ctl("-a", "*", "-sr").stdout
        packets = [[p for _, p in numbers(lab, *a)] for a in ((), ("-a", "a"), ("-a", "b/x"))]
        eq(packets[1:], [[1], [2]])
        eq(len([f for f in os.listdir(lab.pin + "/gen/" + os.listdir(lab.pin + "/gen")[0])
                if f.startswith("patch_")]), 2, "one for each anchor")
        lab.pf.stop(sig)
        eq([n for n in range(1, 7) if passes(lab, udp(n))], [3, 5], "while there is none")
        lab.pf.start()
        eq(lab.pf.ctl("-a", "*", "-sr").stdout, was)
        eq([n for n in range(1, 7) if passes(lab, udp(n))], [3, 5])
        packets[1][0] += 2
        packets[2][0] += 2
        packets[0] = [[p for _, p in numbers(lab, *a)] for a in ((), ("-a", "a"), ("-a", "b/x"))][0]
        eq([[p for _, p in numbers(lab, *a)] for a in ((), ("-a", "a"), ("-a", "b/x"))], packets)
        eq((replaced(lab), len(lab.pf.states()), len(os.listdir(lab.pin + "/gen"))), (0, 1, 1))
        load(lab, "a", "pass in proto udp to port 6 no state\n")
        eq((passes(lab, udp(6)), replaced(lab)), (True, 1))


@timeout(240)
def runs_since(lab, at):
    """Has pfd said so behind that place of what it says?"""
    with open(lab.pf.errfile, "rb") as f:
        f.seek(at)
        return b" runs at " in f.read()


@timeout(120)
def test_taken_over_without_means():
    """A pfd that cannot take over, wherever it fails, leaves rules and tables as they are."""
    rules = ("table <t> { 192.0.2.1 }\ntable <u> persist { 192.0.2.9 }\nblock\nanchor a\n"
             "pass in proto udp from <t> to port 1 no state\n")
    with lab_of(rules) as lab:
        load(lab, "a", "block in quick from { <t> <u> }\n")
        load(lab, "a", "pass in proto udp from <t> to port 2 no state\nblock in quick from <u>\n")
        eq(replaced(lab), 2)
        lab.pf.stop()
        failed = 0
        started = False
        for files in range(20, 140, 4):
            said = os.path.getsize(lab.pf.errfile)
            with open(lab.pf.errfile, "ab") as err:
                proc = lab.fw.popen(["prlimit", f"--nofile={files}", *lab.pf.argv("-d")], stdout=err,
                                    stderr=err)
            wait_for("it runs, or has failed",
                     lambda n=said, p=proc: p.poll() is not None or runs_since(lab, n), 40)
            if proc.poll() is None:
                proc.terminate()
                proc.wait(20)
                started = True  # it has what it needs
            else:
                failed += proc.returncode != 0
            eq([n for n in range(4) if passes(lab, udp(n))], [1, 2], f"with {files} files")
            if started:
                break
        eq(started, True)
        at_least(failed, 10, "of the attempts fail")
        lab.pf.start()
        eq([n for n in range(4) if passes(lab, udp(n))], [1, 2])
        eq((lab.pf.ctl("-t", "t", "-T", "show").stdout.split(),
            lab.pf.ctl("-t", "u", "-T", "show").stdout.split()), (["192.0.2.1"], ["192.0.2.9"]))


def test_when_the_room_is_used_up():
    with lab_of(MAIN) as lab:
        load(lab, "a", "pass in proto udp to port 1 no state\n")
        seen = []
        for i in range(6):
            ports = " ".join(str(1000 * (i + 1) + k) for k in range(ROOM // 2 - 10))
            load(lab, "a", f"pass in proto udp to port {{ {ports} }} no state\n")
            eq([n for n in range(1, 8) if passes(lab, udp(1000 * n + 7))], [i + 1])
            seen.append(replaced(lab))
        eq(seen, [1, 55, 0, 54, 108, 0])


def test_waiting_to_be_confirmed():
    """The rules that may come back are not touched, and come back as they were."""
    with lab_of(MAIN) as lab:
        load(lab, "a", "pass in proto udp to port 1 no state\n")
        load(lab, "a", "pass in proto udp to port 2 no state\n")
        lab.pf.ctl("-a", "a", "-f", "-", "--confirm", "60", input="pass in proto udp to port 3 no state\n")
        eq([n for n in range(1, 6) if passes(lab, udp(n))], [3])
        # that they were replaced in place is known to the next one as well
        lab.pf.restart()
        eq([n for n in range(1, 6) if passes(lab, udp(n))], [3])
        lab.pf.ctl("--confirmed")
        eq([n for n in range(1, 6) if passes(lab, udp(n))], [3])
        lab.pf.ctl("-a", "a", "-f", "-", "--confirm", "3", input="pass in proto udp to port 4 no state\n")
        lab.pf.restart()
        wait_for("the rules to come back", lambda: passes(lab, udp(3)), 10)
        eq([n for n in range(1, 6) if passes(lab, udp(n))], [3])


@timeout(400)
def test_swaps_under_load():
    """
    Each of the anchor's rulesets passes only what it has tagged itself: a packet that met
    rules of both, or none, does not arrive.
    """
    fill = 9

    def rules(k):
        return (f"match tag G{k}\npass tagged G{k} no state\n" +
                f"block proto udp to port {k + 1} tagged G{1 - k}\n" * fill)

    with Lab(v6=False, rules="block log\nanchor a\n", pfd_args=TREE) as lab:
        load(lab, "a", "")
        models = [proto.model(lab.pf, rules(k), "a") for k in (0, 1)]
        in_place = 0
        with proto.Control(lab.pf) as c:
            c.load(models[0], "a")
            flood = Flood(lab)
            for i in range(1000):
                c.load(models[i & 1], "a")
                if i % 100 == 50:
                    in_place += replaced(lab) > 0
            flood.end()
        eq(flood.received, flood.sent, "every packet arrived")
        eq(flood.sent > 1000, True, f"{flood.sent} packets")
        eq(in_place > 5, True, "most of them in place")
        eq(len(os.listdir(lab.pin + "/gen")), 1)
