# SPDX-License-Identifier: BSD-2-Clause
"""A table of many prefixes: loading it, changing it, looking into it."""
import os
import random
import statistics
import struct

import policy
from common import REPEAT, SLOW_ROUNDS, TABLE, median_ms, ratio, row, rounds, title
from memory import pinned_bytes
from path import Road
from pft import bpf, proto
from pft.lab import Lab
from replay import FRAMES, Replay

FEW = 10  # a small table
HOT = 16  # addresses that are looked up again and again


def prefixes(n):
    """Distinct networks of 24 bits in no order, among them none of the lab's."""
    rnd = random.Random(1)
    out = set()
    while len(out) < n:
        a = rnd.getrandbits(24)
        if 1 <= a >> 16 < 224 and a >> 16 != 127 and a >> 8 not in (0xc000, 0xc633):
            out.add(a)
    return [a << 8 for a in out]


def addresses(n, nets, inside):
    """Of all parts of the space; in none of the networks, or anywhere."""
    rnd, nets, out = random.Random(2), set(nets), []
    while len(out) < n:
        a = rnd.getrandbits(32)
        if 1 <= a >> 24 < 224 and a >> 24 not in (127, 192, 198) and (
                inside or a & 0xffffff00 not in nets):
            out.append(a)
    return out


def flows(sources):
    return [policy.LAST._replace(src=a) for a in sources]


def table_request(op, address):
    """One of PF_REQ_TABLE, see lib/proto.h: <bench>, an IPv4 address."""
    return (struct.pack("=BBI5sI", op, 0, 5, b"bench", 1) +
            struct.pack("=BBBB4s12x", 4, 32, 0, 0, address))


HEAD = f"set limit table-entries {TABLE + 1000}\ntable <few> persist\ntable <bench> persist\n"


def _pf_names(lab, name):
    """The rules name this table, or none."""
    lab.pf.load(HEAD + (f"block in from <{name}>\n" if name else "") + "pass no state\n")


class Costs:
    """Of the program at ext, net of an empty one: with few addresses, and with very many."""

    def __init__(self, lab, again):
        self.lab, self.again = lab, again

    def _get(self):
        prog, empty = self.lab.pf.program("ext", "in"), bpf.verdict_program(-1)
        out = []
        try:
            for n in (HOT, FRAMES):
                self.again.fill(flows(addresses(n, (), True)))
                got = rounds({p: lambda p=p: self.again.run(self.lab, p, REPEAT)
                              for p in (prog, empty)}, SLOW_ROUNDS)
                out.append(got[prog] - got[empty])
        finally:
            os.close(prog)
            os.close(empty)
        return out

    def get(self, name):
        """With rules that name the table; over some loads, as for rulesets."""
        got = []
        for _ in range(SLOW_ROUNDS):
            _pf_names(self.lab, name)
            got.append(self._get())
        return [statistics.median(v) for v in zip(*got)]


def _file(lab, nets):
    path = os.path.join(lab.dir, f"prefixes.{len(nets)}")
    with open(path, "w", encoding="ascii") as f:
        f.writelines(f"{policy.dotted(a)}/24\n" for a in nets)
    return path


def _nft_add(name, nets):
    return (f"add element ip bench {name} {{ " +
            ",\n".join(policy.dotted(a) + "/24" for a in nets) + " }\n")


def _nft_names(lab, name):
    lab.fw.run("nft", "-f", "-", timeout=300, input="flush chain ip bench c\n"
               f"add rule ip bench c ip saddr @{name} drop\n")


def _on_the_way(lab, nets, nft):
    """What a look-up among many adds to a packet's way, more than one among few: {name: ns}."""
    with Road(lab) as road:
        file = road.file("flows", flows(addresses(FRAMES, nets, False)))

        def flood(names, name):
            names(lab, name)
            ns, part = road.flood(file)
            assert part > 0.99, f"{part:.0%} of the packets arrived, though the table has none"
            return ns

        lab.pf.ctl("-e", check=False)
        got = rounds({n: lambda n=n: flood(_pf_names, n) for n in ("few", "bench")})
        out = {"pf": got["bench"] - got["few"]}
        if nft:
            lab.pf.ctl("-d", check=False)
            got = rounds({n: lambda n=n: flood(_nft_names, n) for n in ("few", "bench")})
            out["nft"] = got["bench"] - got["few"]
    return out


def _load_nft(lab, nets):
    """(ms for all, ms for one more)"""
    lab.fw.run("nft", "-f", "-", input="table ip bench {\n"
               "set few { type ipv4_addr; flags interval; }\n"
               "set bench { type ipv4_addr; flags interval; }\n"
               "chain c { type filter hook forward priority 0; }\n}\n" +
               _nft_add("few", nets[:FEW]))
    load = median_ms(lambda _: lab.fw.run("nft", "-f", "-", input=_nft_add("bench", nets),
                                          timeout=600), 1)
    # once: of a million, that is more than half a minute
    add = median_ms(lambda _: lab.fw.run("nft", "add", "element", "ip", "bench", "bench",
                                         "{ 240.0.1.0/24 }", timeout=600), 1)
    return load, add


def tables_section(peers):
    """a table of many prefixes, beside an nft set of intervals"""
    nets = prefixes(TABLE)
    with Lab(v6=False) as lab, Replay() as again:
        costs = Costs(lab, again)
        without = costs.get(None)
        load, look_up = {}, {}
        for name, some in (("few", nets[:FEW]), ("bench", nets)):
            file = _file(lab, some)
            _pf_names(lab, name)
            load[name] = median_ms(lambda _: lab.pf.ctl("-t", name, "-T", "replace", "-f", file,
                                                        timeout=120), 3)
            look_up[name] = [a - b for a, b in zip(costs.get(name), without)]
        with proto.Control(lab.pf) as c:
            add = median_ms(lambda i: c.ask(proto.TABLE, table_request(1, bytes([240, 0, i, i]))),
                            100)
        command = median_ms(lambda i: lab.pf.ctl("-t", "bench", "-T", "add", f"240.1.{i}.1"), 20)
        tables = os.path.join(lab.pin, "tables")
        size = max(pinned_bytes(os.path.join(tables, n)) for n in os.listdir(tables))
        nft = _load_nft(lab, nets) if "nft" in peers else None
        way = _on_the_way(lab, nets, nft)
    title(f"A table of {TABLE} prefixes")
    row("loading it, from command to effect", f"{load['bench']:.0f} ms", "target 1500")
    row("one more, in pfd", f"{add:.2f} ms", "target 1")
    row("one more, by pfctl-linux -T add", f"{command:.1f} ms")
    for name, n in (("few", FEW), ("bench", TABLE)):
        row(f"a look-up among {n}, {HOT} addresses", f"{look_up[name][0]:.0f} ns",
            "target 40" if name == "bench" else "")
        row(f"a look-up among {n}, {FRAMES} addresses", f"{look_up[name][1]:.0f} ns")
    row("its list of entries", f"{size / 1e6:.1f} MB")
    row(f"a packet's way, longer than with {FEW}", f"{way['pf']:.0f} ns",
        f"{FRAMES} addresses that are not in it")
    if nft:
        row("nft, an interval set: loading it", f"{nft[0]:.0f} ms",
            f"pf / nft = {ratio(load['bench'], nft[0])}")
        row("nft: one more, by nft add element", f"{nft[1]:.1f} ms",
            f"pf / nft = {ratio(command, nft[1])}")
        row(f"nft: a packet's way, longer than with {FEW}", f"{way['nft']:.0f} ns",
            f"pf / nft = {ratio(way['pf'], way['nft'])}")
