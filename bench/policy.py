# SPDX-License-Identifier: BSD-2-Clause
"""Rules that stand for themselves, and what they are for pf, nft and iptables.

A policy is a list of rules for packets that are forwarded; the first that matches
decides, and what none matches is blocked.  Only its last rule matches the packet
that LAST describes.
"""
import random
from typing import NamedTuple, Optional

GHOST = 0xc0000264  # 192.0.2.100, as in the lab
GHOST_DST = 0xc6336464  # 198.51.100.100
TCP, UDP = 6, 17


class Rule(NamedTuple):
    verdict: str  # as pf calls it
    proto: str
    net: Optional[int] = None  # source, 24 bits of it
    host: Optional[int] = None  # destination
    port: Optional[int] = None


class Flow(NamedTuple):
    """A packet, as far as rules look at it."""
    proto: int
    src: int
    dst: int
    port: int


LAST = Flow(UDP, GHOST, GHOST_DST, 9999)
NONE = Flow(UDP, GHOST, GHOST_DST, 10)  # no rule matches it


def dotted(a):
    return f"{a >> 24}.{a >> 16 & 255}.{a >> 8 & 255}.{a & 255}"


def mixed(n):
    """n - 1 rules that fail in turn at the network, protocol, host and port."""
    def miss(i):
        k = i // 4
        return (Rule("block", "udp", net=0x0a000000 + (k << 8), port=53),
                Rule("block", "tcp", port=10000 + k),
                Rule("block", "udp", host=0xc6120000 + k),
                Rule("block", "udp", port=10000 + k))[i % 4]
    return [miss(i) for i in range(n - 1)] + [Rule("pass", "udp", port=LAST.port)]


def hosts(n):
    """Each rule lets one service of one host through."""
    ports = (22, 53, 80, 443, 8080)
    return [Rule("pass", ("tcp", "udp")[i % 2], host=0xc6120000 + i, port=ports[i // 2 % 5])
            for i in range(n - 1)] + [Rule("pass", "udp", host=LAST.dst, port=LAST.port)]


KINDS = {"mixed": mixed, "hosts": hosts}


# --- in words ---

def pf_rule(r, keep="no state", how="quick "):
    return (f"{r.verdict} in {how}inet proto {r.proto}" +
            f" from {'any' if r.net is None else dotted(r.net) + '/24'}" +
            f" to {'any' if r.host is None else dotted(r.host)}" +
            ("" if r.port is None else f" port {r.port}") +
            (f" {keep}" if r.verdict == "pass" else "") + "\n")


def pf(rules, state=False, anchor=False):
    """The whole policy.  What was let in may go out.  All that have `anchor' begin with
    a ruleset or chain `web', which is empty."""
    keep = "keep state" if state else "no state"
    return (f"block all\npass out quick on int inet all {keep}\n" +
            ('anchor "web"\n' if anchor else "") + "".join(pf_rule(r, keep) for r in rules))


def _nft_verdict(r):
    return {"pass": "accept", "block": "drop"}[r.verdict]


def nft_rule(r):
    words = [] if r.net is None else [f"ip saddr {dotted(r.net)}/24"]
    if r.port is None:
        words.append(f"ip protocol {r.proto}")
    if r.host is not None:
        words.append(f"ip daddr {dotted(r.host)}")
    if r.port is not None:
        words.append(f"{r.proto} dport {r.port}")
    return " ".join([*words, _nft_verdict(r)])


def _nft_table(name, body, sets, state, anchor):
    """Takes the place of a table of that name, if there is one."""
    return (f"table ip {name}\ndelete table ip {name}\ntable ip {name} {{\n" + "".join(sets) +
            ("chain web { }\n" if anchor else "") +
            "chain forward { type filter hook forward priority 0; policy drop;\n" +
            ("ct state established,related accept\n" if state else "") +
            ("jump web\n" if anchor else "") + "\n".join(body) + "\n}\n}\n")


def nft(rules, state=False, anchor=False):
    return _nft_table("bench", map(nft_rule, rules), (), state, anchor)


def nft_set(rules, state=False, anchor=False):
    """As an nft expert writes them: rules of one shape become a set or a map.

    Which rule comes first is lost between shapes, and does not matter for the policies
    above: there the rules that block look at the source or the host, or are looked at
    before the only rule that passes.
    """
    nets, by_port, by_host, services = {}, {}, {}, []
    for r in rules:
        verdict = _nft_verdict(r)
        if r.net is not None:
            nets.setdefault((r.proto, r.port, verdict), []).append(dotted(r.net) + "/24")
        elif r.host is None:
            by_port.setdefault(r.proto, []).append(f"{r.port} : {verdict}")
        elif r.port is None:
            by_host.setdefault(r.proto, []).append(f"{dotted(r.host)} : {verdict}")
        else:
            services.append(f"{dotted(r.host)} . {r.proto} . {r.port} : {verdict}")
    sets, body = [], []

    def add(kind, name, what, elements, rule):
        sets.append(f"{kind} {name} {{ {what} elements = {{ " + ",\n".join(elements) + " } }\n")
        body.append(rule)

    for i, ((proto, port, verdict), e) in enumerate(nets.items()):
        add("set", f"nets{i}", "type ipv4_addr; flags interval;", e,
            f"{proto} dport {port} ip saddr @nets{i} {verdict}")
    for proto, e in by_host.items():
        add("map", f"hosts_{proto}", "type ipv4_addr : verdict;", e,
            f"ip protocol {proto} ip daddr vmap @hosts_{proto}")
    if services:
        add("map", "services", "type ipv4_addr . inet_proto . inet_service : verdict;", services,
            "ip daddr . meta l4proto . th dport vmap @services")
    for proto, e in by_port.items():
        add("map", f"ports_{proto}", "type inet_service : verdict;", e,
            f"{proto} dport vmap @ports_{proto}")
    return _nft_table("bench_set", body, sets, state, anchor)


def iptables_rule(r, chain="FORWARD"):
    return (f"-A {chain} -p {r.proto}" + ("" if r.net is None else f" -s {dotted(r.net)}/24") +
            ("" if r.host is None else f" -d {dotted(r.host)}") +
            ("" if r.port is None else f" --dport {r.port}") +
            f" -j {'ACCEPT' if r.verdict == 'pass' else 'DROP'}")


def iptables(rules, state=False, anchor=False):
    lines = ["*filter", ":FORWARD DROP [0:0]"]
    if anchor:
        lines += [":web - [0:0]", "-A FORWARD -j web"]
    if state:
        lines.append("-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT")
    return "\n".join([*lines, *map(iptables_rule, rules), "COMMIT", ""])


# --- packets for them ---

def _draw(rnd, r, other):
    """A packet that `r` matches; where it says nothing, as another rule has it."""
    port = r.port or other.port or rnd.randrange(1024, 10000)
    host = other.host if r.host is None else r.host
    net = other.net if r.net is None else r.net
    return Flow(TCP if r.proto == "tcp" else UDP,
                GHOST if net is None else net + rnd.randrange(1, 255),
                GHOST_DST if host is None else host, port)


def packets(rules, n, hits=0.7, seed=1):
    """n packets in no order: that part of them is made for one rule, drawn at random; the
    others have each field from another rule, or a source and host that no rule names."""
    rnd = random.Random(seed)
    out = []
    for _ in range(n):
        r = rnd.choice(rules)
        f = _draw(rnd, r, rnd.choice(rules))
        at = rnd.random()
        if at >= hits:
            other = _draw(rnd, rnd.choice(rules), rnd.choice(rules))
            f = f._replace(dst=other.dst, port=other.port)
        if at >= hits + (1 - hits) * 2 / 3:
            f = f._replace(src=0xac100000 + rnd.getrandbits(20),
                           dst=0xc6130000 + rnd.getrandbits(16))
        out.append(f)
    return out
