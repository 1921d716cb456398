# SPDX-License-Identifier: BSD-2-Clause
"""Address tables as packets see them: by BPF_PROG_TEST_RUN on both emitters, against a
search for the longest prefix; while they change, and after pfd was killed."""
import ipaddress
import os
import random
import signal
import struct
import subprocess
import threading
import time

from pft import bpf
from pft.check import between, cases, contains, eq, timeout
from pft.lab import MAC, PFCTL, Lab
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import raw

PASS, DROP = -1, 2
EMITTERS = cases(("linear", "linear"), ("tree", "tree"))
MILLION = "set limit table-entries 3000000\n"


def frame(src, dst):
    ip = IPv6 if ":" in src else IP
    return raw(Ether(dst=MAC["ext"], src="02:00:00:00:00:99") / ip(src=src, dst=dst) /
               UDP(sport=1, dport=9))


def other(addr):
    return "2001:db8:ffff::9" if ":" in addr else "198.18.0.9"


class Program:
    """The program at ext, open for many packets."""

    def __init__(self, lab):
        self.lab = lab
        self.index = lab.fw.ifindex("ext")

    def __enter__(self):
        self.fd = self.lab.pf.program("ext", "in")
        return self

    def __exit__(self, *exc):
        os.close(self.fd)

    def drops(self, src, dst=None, repeat=1):
        with self.lab.fw:
            return bpf.test_run(self.fd, frame(src, dst or other(src)), self.index,
                                repeat)[0] == DROP


def seeded():
    seed = int(os.environ.get("PF_SEED", 0)) or random.SystemRandom().getrandbits(31)
    print(f"PF_SEED={seed}")  # shown when the test fails
    return random.Random(seed)


# --- random tables ---

def address(version, number):
    return str((ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address)(number))


class Model:
    """{(version, first address, length): negated}"""

    def __init__(self):
        self.entries = {}

    def holds(self, version, addr):
        width = 32 if version == 4 else 128
        for bits in range(width, -1, -1):
            net = (version, addr >> (width - bits) << (width - bits), bits)
            if net in self.entries:
                return not self.entries[net]
        return False

    @staticmethod
    def text(net, neg=False):
        version, first, bits = net
        return f"{'!' if neg else ''}{address(version, first)}/{bits}"

    def lines(self):
        return [self.text(n, neg) for n, neg in self.entries.items()]


BASES = {4: int(ipaddress.ip_address("10.77.0.0")), 6: int(ipaddress.ip_address("2001:db8::"))}


def random_net(rnd, model):
    version = rnd.choice((4, 6))
    width = 32 if version == 4 else 128
    bits = rnd.choice((rnd.randint(1, width), rnd.randint(width // 2, width), width))
    kind = rnd.random()
    if model.entries and kind < 0.5:  # beside or inside another
        v, first, b = rnd.choice(list(model.entries))
        version, width = v, 32 if v == 4 else 128
        addr = first + rnd.choice((0, 1, 1 << (width - b))) - rnd.choice((0, 0, 1))
        bits = min(width, max(1, b + rnd.randint(-2, 9)))
    elif kind < 0.9:
        addr = BASES[version] + rnd.getrandbits(16 if version == 4 else rnd.choice((16, 80)))
    else:
        addr = rnd.getrandbits(width)
    addr %= 1 << width
    return version, addr >> (width - bits) << (width - bits), bits


def boundaries(rnd, model, n):
    """Ends of entries and those beside them, and a few others."""
    nets = list(model.entries)
    for version, first, bits in rnd.sample(nets, min(n, len(nets))):
        width = 32 if version == 4 else 128
        last = first + (1 << (width - bits)) - 1
        for a in (first - 1, first, last, last + 1):
            if 0 <= a < 1 << width:
                yield version, a
    for version in (4, 6):
        for _ in range(5):
            yield version, rnd.getrandbits(32 if version == 4 else 128)


DIFFER = """
    table <t> persist
    pass no state
    block drop from <t> to ! <t>
    block drop from ! <t> to <t>
"""


def check_packets(rnd, program, model, n):
    for version, a in boundaries(rnd, model, n):
        src = address(version, a)
        if src.startswith("::ffff:") or a >> (28 if version == 4 else 120) >= (
                14 if version == 4 else 255) or not a:
            continue  # no address of a packet
        # the rules block those of which one is in the table
        want = (model.holds(version, a) !=
                model.holds(version, int(ipaddress.ip_address(other(src)))))
        if program.drops(src) != want or program.drops(other(src), src) != want:
            raise AssertionError(f"{src} should{'' if want else ' not'} be blocked\n"
                                 + "\n".join(model.lines()))


@timeout(400)
@cases(*[(f"{e} {i}", e, i) for e in ("linear", "tree") for i in range(2)])
def test_random(_name, emitter, which):
    rnd = seeded()
    rnd.seed(rnd.getrandbits(32) + which)
    model = Model()
    with Lab(hosts=2, v6=False, pfd_args=("--emitter", emitter)) as lab:
        path = os.path.join(lab.dir, "addresses")

        def change(command, nets):
            with open(path, "w", encoding="ascii") as f:
                f.write("\n".join(nets) + "\n")
            return lab.pf.ctl("-t", "t", "-T", command, "-f", path).stderr

        lab.pf.load("set limit table-entries 100000\n" + DIFFER)
        with Program(lab) as program:
            for size in (1, 5, 40, 300, 3000):
                model.entries = {}
                while len(model.entries) < size:
                    model.entries.setdefault(random_net(rnd, model), rnd.random() < 0.35)
                change("replace", model.lines())
                check_packets(rnd, program, model, 60)
                # one by one, and many at once
                for n in (1, 7, 1 + size // 3):
                    new = {}
                    while len(new) < n:
                        net = random_net(rnd, model)
                        if net not in model.entries:
                            new[net] = rnd.random() < 0.35
                    contains(change("add", [Model.text(*x) for x in new.items()]), f"{n}/{n} ")
                    model.entries.update(new)
                    check_packets(rnd, program, model, 15)
                    gone = rnd.sample(list(model.entries), n)
                    contains(change("delete", [Model.text(x, model.entries[x]) for x in gone]),
                             f"{n}/{n} ")
                    for x in gone:
                        del model.entries[x]
                    check_packets(rnd, program, model, 15)
                shown = {x.strip() for x in lab.pf.ctl("-t", "t", "-T", "show").stdout.split("\n")}
                eq(len(shown) - 1, len(model.entries))
            # a pfd that takes over makes the same of it
            lab.pf.stop(signal.SIGKILL)
            lab.pf.start()
            check_packets(rnd, program, model, 100)
            for x in list(model.entries)[:100]:
                lab.pf.ctl("-t", "t", "-T", "delete", Model.text(x, model.entries.pop(x)))
            check_packets(rnd, program, model, 100)


@timeout(240)
@EMITTERS
def test_every_length(_name, emitter):
    """Each length inside the one before, with the sign changing."""
    model = Model()
    with Lab(hosts=2, v6=False, pfd_args=("--emitter", emitter),
             rules=DIFFER) as lab:
        for version, addr in ((4, 0x0a4d3c01), (6, 0x20010db8000100020003000400050006)):
            width = 32 if version == 4 else 128
            for bits in range(1, width + 1):
                model.entries[(version, addr >> (width - bits) << (width - bits), bits)] = bits % 2
        lab.pf.ctl("-t", "t", "-T", "add", *model.lines())
        with Program(lab) as program:
            check_packets(random.Random(1), program, model, 200)


# --- changes while packets flow ---

@timeout(120)
@EMITTERS
def test_changes_under_traffic(_name, emitter):
    """An address that is in the table, before and after each change, is never seen out of it."""
    always, never = "10.1.1.1", "10.1.2.1"
    contents = [
        ["10.1.1.0/24"], ["10.1.1.1"], ["10.0.0.0/8", "!10.1.2.0/24"],
        ["0.0.0.0/0", "!10.1.0.0/16", "10.1.1.0/24"] + [f"10.1.3.{i}" for i in range(0, 256, 2)],
        ["10.1.1.1"] + [f"10.{i % 200 + 2}.{i // 200}.{i % 251}" for i in range(5000)],
        ["10.1.1.0/25"] + [f"10.1.1.{i}" for i in range(0, 256, 2)] + ["10.1.1.1"]]
    with Lab(hosts=2, v6=False, pfd_args=("--emitter", emitter),
             rules="table <t> persist { 10.1.1.1 }\nblock drop from <t>\n"
                   "pass from ! <t> no state\n") as lab:
        stop = threading.Event()
        ran = {always: 0, never: 0}

        def flood(program, src):
            while not stop.is_set():
                program.drops(src, repeat=100000)
                ran[src] += 100000

        with Program(lab) as program:
            threads = [threading.Thread(target=flood, args=(program, a)) for a in ran]
            for t in threads:
                t.start()
            end = time.monotonic() + 8
            rounds = 0
            while time.monotonic() < end:
                for c in contents:
                    lab.pf.ctl("-t", "t", "-T", "replace", "-f", "-", input="\n".join(c) + "\n")
                    # around it, wide and narrow
                    for net in ("10.1.0.0/23", "10.1.1.0/26", "10.1.1.0/31", "8.0.0.0/7"):
                        lab.pf.ctl("-t", "t", "-T", "add", net)
                        lab.pf.ctl("-t", "t", "-T", "delete", net)
                    rounds += 1
            stop.set()
            for t in threads:
                t.join()
        (_, blocked), (_, passed) = lab.pf.rule_numbers()
        eq((blocked["packets"], passed["packets"]), (ran[always], ran[never]), f"{rounds} rounds")
        print(f"note: {rounds} contents, {sum(ran.values()) / 1e6:.1f} million packets")


# --- life ---

def shown(lab, name="t"):
    return lab.pf.ctl("-t", name, "-T", "show").stdout.split()


@timeout(240)
def test_killed_while_it_changes():
    """What -T show says after a restart is what packets see: the old content, or the new."""
    old = [f"10.0.{i >> 8}.{i & 255}" for i in range(0, 20000, 2)]
    new = [f"10.0.{i >> 8}.{i & 255}" for i in range(1, 30000, 2)]
    rnd = random.Random(7)
    outcomes = set()
    with Lab(hosts=2, v6=False, rules="table <t> persist\nblock drop from <t>\n") as lab:
        path = os.path.join(lab.dir, "new")
        with open(path, "w", encoding="ascii") as f:
            f.write("\n".join(new) + "\n")
        began = time.monotonic()
        lab.pf.ctl("-t", "t", "-T", "replace", "-f", path)
        took = time.monotonic() - began
        for _ in range(8):
            lab.pf.ctl("-t", "t", "-T", "replace", "-f", "-", input="\n".join(old) + "\n")
            argv = [PFCTL, "-p", lab.pf.socket, "-t", "t", "-T", "replace", "-f", path]
            with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as p:
                time.sleep(rnd.uniform(0.3, 1.1) * took)
                lab.pf.stop(signal.SIGKILL)
                p.wait()
            lab.pf.start()
            have = shown(lab)
            outcomes.add(len(have))
            eq(len(have) in (len(old), len(new)), True, f"{len(have)} entries")
            content = set(have)
            eq(content in (set(old), set(new)), True)
            with Program(lab) as program:
                for a in rnd.sample(old, 30) + rnd.sample(new, 30):
                    eq(program.drops(a), a in content, a)
        # single ones, one request after the other
        lab.pf.ctl("-t", "t", "-T", "flush")
        for i in range(6):
            argv = ["sh", "-c", "for i in $(seq 200); do " +
                    f"{PFCTL} -qp {lab.pf.socket} -t t -T add 10.9.{i}.$i || exit; done"]
            with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as p:
                time.sleep(rnd.uniform(0.05, 0.3))
                lab.pf.stop(signal.SIGKILL)
                p.wait()
            lab.pf.start()
            content = set(shown(lab))
            have = sorted(int(a.split(".")[3]) for a in content if a.startswith(f"10.9.{i}."))
            eq(have, list(range(1, len(have) + 1)))
            with Program(lab) as program:
                for k in range(1, len(have) + 3):
                    eq(program.drops(f"10.9.{i}.{k}"), k <= len(have), str(k))
    print(f"note: {'both contents' if len(outcomes) == 2 else 'one content'} seen")


@timeout(240)
def test_killed_while_it_loads():
    """Of tables that were made for rules that never came into force nothing is left."""
    rnd = random.Random(11)
    rules = "".join(f"table <t{i}> {{ 10.0.{i // 256}.{i % 256} }}\nblock from <t{i}>\n"
                    for i in range(400))
    outcomes = set()
    with Lab(hosts=2, v6=False, rules="table <t> { 192.0.2.77 }\nblock from <t>\n") as lab:
        began = time.monotonic()
        lab.pf.ctl("-o", "none", "-f", "-", input=rules)
        took = time.monotonic() - began
        for i in range(6):
            before = ["t"] if i % 2 else sorted(f"t{k}" for k in range(400))
            after = sorted(f"t{k}" for k in range(400)) if i % 2 else ["t"]
            lab.pf.load("table <t> { 192.0.2.77 }\nblock from <t>\n" if i % 2 else rules,
                        "-o", "none")
            text = rules if i % 2 else "table <t> { 192.0.2.77 }\nblock from <t>\n"
            argv = [PFCTL, "-p", lab.pf.socket, "-o", "none", "-f", "-"]
            with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  text=True) as p:
                p.stdin.write(text)
                p.stdin.close()
                time.sleep(rnd.uniform(0.05, 1) * took)
                lab.pf.stop(signal.SIGKILL)
                p.wait()
            lab.pf.start()
            have = sorted(lab.pf.ctl("-sT").stdout.split())
            eq(have in (before, after), True, f"{len(have)} tables")
            outcomes.add(have == after)
            eq(len(os.listdir(lab.pin + "/tables")), len(have))
            with Program(lab) as program:
                eq((program.drops("192.0.2.77"), program.drops("10.0.1.1")),
                   ("t" in have, "t" not in have))
    print(f"note: {'before and after' if len(outcomes) == 2 else outcomes} seen")


@timeout(300)
def test_a_million():
    rnd = random.Random(3)
    hosts = {rnd.getrandbits(32) for _ in range(1000000)}
    hosts = [a for a in hosts if 1 << 24 <= a < 224 << 24 and a >> 24 != 127]
    with Lab(hosts=2, v6=False, rules=MILLION + "table <t> persist\nblock drop from <t>\n") as lab:
        path = os.path.join(lab.dir, "hosts")
        with open(path, "w", encoding="ascii") as f:
            f.write("".join(f"{a >> 24}.{a >> 16 & 255}.{a >> 8 & 255}.{a & 255}\n" for a in hosts))
        began = time.monotonic()
        lab.pf.ctl("-t", "t", "-T", "replace", "-f", path)
        took = time.monotonic() - began
        content = set(hosts)

        def check():
            with Program(lab) as program:
                others = [rnd.getrandbits(31) | 1 << 24 for _ in range(50)]
                for a in rnd.sample(hosts, 300) + others:
                    for x in (a, a + 1):
                        if x >> 24 == 127:
                            continue
                        eq(program.drops(str(ipaddress.ip_address(x))), x in content, hex(x))

        check()
        for _ in range(20):
            a = rnd.getrandbits(31) | 1 << 24
            lab.pf.ctl("-t", "t", "-T", "add", str(ipaddress.ip_address(a)))
            content.add(a)
            hosts.append(a)
        check()
        lab.pf.stop(signal.SIGKILL)
        lab.pf.start()
        eq(len(shown(lab)), len(content))
        check()
        lab.pf.ctl("-t", "t", "-T", "flush")
        content = set()
        check()
    print(f"note: {len(hosts)} addresses in {took:.2f} s")


def map_bytes(path):
    fd = bpf.obj_get(path)
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("memlock:"))
    finally:
        os.close(fd)


@timeout(120)
def test_thousands_of_tables():
    n = 3000
    rules = f"set limit {{ tables {n + 10} table-entries 300000 }}\n"
    for i in range(n):
        net = f"10.{i >> 8}.{i & 255}"
        rules += (f"table <t{i}> {{ {net}.0/24 !{net}.77 2001:db8:{i:x}::/48 }}\n"
                  f"block drop in from <t{i}>\n")
    with Lab(hosts=2, v6=False) as lab:
        lab.pf.ctl("-o", "none", "-f", "-", input=rules, timeout=60)
        eq(len(lab.pf.ctl("-sT").stdout.split()), n)
        with Program(lab) as program:
            for i in list(range(0, n, 97)) + [n - 1]:
                for src, want in ((f"10.{i >> 8}.{i & 255}.1", True),
                                  (f"10.{i >> 8}.{i & 255}.77", False),
                                  (f"2001:db8:{i:x}::1", True)):
                    eq(program.drops(src), want, src)
            eq(program.drops(f"10.{n >> 8}.{n & 255}.1"), False)
        lists = os.listdir(lab.pin + "/tables")
        eq(len(lists), n)
        between(map_bytes(f"{lab.pin}/tables/{lists[0]}"), 1, 16384)
        lab.pf.stop(signal.SIGKILL)
        lab.pf.start()
        eq(shown(lab, "t77"), ["10.0.77.0/24", "!10.0.77.77", "2001:db8:4d::/48"])
        # and they go
        lab.pf.load("block drop\n")
        eq(os.listdir(lab.pin + "/tables"), [])
        eq(set(bpf.Map(f"{lab.pin}/maps/pf_tables").get(struct.pack("=I", 5))), {0})
