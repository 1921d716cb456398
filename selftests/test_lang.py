# SPDX-License-Identifier: BSD-2-Clause
"""The language of pf.conf, by `pfctl-linux -nvf`: golden files, what is printed means what
was read, and nothing that is read brings the parser down.  No daemon.

lang/ok/NAME.conf must be accepted, and be printed as NAME.out; lang/bad/NAME.conf must be
refused with NAME.err.  These files say what is right (pf.conf(5), OpenBSD's pfctl), not
what some version printed.
"""
import hashlib
import os
import random
import re
import resource
import subprocess

from pft import own
from pft.check import Skip, absent, cases, contains, eq, lines_eq, matches, timeout
from pft.lab import PFCTL, ROOT
from pft.netns import own_names
from pft.pfctl import BAD, OK, SECONDS, Files, call, golden, golden_names

# What of the corpus passes now: raise it with the language.
CORPUS_PASSES = 52
REAL_PASSES = 35


def pfctl(*args, **kw):
    """pfctl-linux, without its warnings, which are put aside."""
    r = call([PFCTL, *args], statuses=(0, 1, 2), **kw)
    # -v asks for warnings, too: they have tests of their own
    warning = re.compile(r"^([^:\n]+:\d+(?::\d+)?: warning: .*)\n(?:    .*\n)*", re.M)
    r.warnings = warning.findall(r.stderr)
    r.stderr = warning.sub("", r.stderr)
    return r


def parse(text, *args):
    """What is printed for a text that must be accepted without a word."""
    r = pfctl("-o", "none", *args, "-nvf", "-", text=text)
    if r.returncode or r.stderr:
        raise AssertionError(f"exit status {r.returncode}\n{r.stderr}")
    return r.stdout


def refuse(text, *args):
    """The errors, [(line, column, message)], for a text that must be refused."""
    r = pfctl("-o", "none", *args, "-nvf", "-", text=text)
    if r.returncode != 1 or r.stdout:
        raise AssertionError(f"exit status {r.returncode}, printed:\n{r.stdout}{r.stderr}")
    found = re.findall(r"^stdin:(\d+):(\d+): (.*)$", r.stderr, re.M)
    n = len(found)
    eq(r.stderr.splitlines()[-1],
       f"pfctl-linux: {n} error{'' if n == 1 else 's'} in stdin: rules not loaded")
    return [(int(line), int(column), message) for line, column, message in found]


# --- golden files ---

@cases(*golden_names(OK))
def test_ok(name):
    r = pfctl("-o", "none", "-nvf", name + ".conf", cwd=OK)
    eq((r.returncode, r.stderr), (0, ""))
    lines_eq(r.stdout, golden(OK, name + ".out"))


@cases(*golden_names(BAD))
def test_bad(name):
    r = pfctl("-o", "none", "-nvf", name + ".conf", cwd=BAD)
    lines_eq(r.stderr, golden(BAD, name + ".err"))
    eq((r.returncode, r.stdout), (1, ""))


def test_golden_files_are_pairs():
    for directory, kind in ((OK, ".out"), (BAD, ".err")):
        names = os.listdir(directory)
        eq(sorted(n[:-5] for n in names if n.endswith(".conf")),
           sorted(n[:-4] for n in names if n.endswith(kind)), directory)
        eq([n for n in names if not n.endswith((".conf", kind))], [], directory)


# --- what is printed means what was read ---

@cases(*golden_names(OK))
def test_identity(name):
    once = pfctl("-o", "none", "-nvf", name + ".conf", cwd=OK).stdout
    lines_eq(parse(once), once)


# Texts that can only be printed with some care.
ODD = [
    ("a type whose name is a keyword", "pass inet proto icmp icmp-type 39\n"),
    ("not any of a family", "pass from ! 0.0.0.0/0\n"),
    ("interface with a comment sign", 'pass on "a#b"\n'),
    ("interface named as a keyword", 'pass on "in"\n'),
    ("interface with other letters", 'pass on "tür0"\n'),
    ("skipped interface with a comment sign", 'set skip on "a#b"\n'),
    ("table with a comment sign", 'table <"a#b"> persist\nblock from <"a#b">\n'),
    ("table named as a keyword", 'table <"in"> persist\nblock from <"in">\n'),
    ("label with a backslash before a blank", 'pass label "a\\\\ b"\n'),
    ("macro with a backslash before a blank", 'm = "a\\\\ b"\n'),
    ("macro with a backslash before a quote", "m = 'a\\\"b'\n"),
]


@cases(*ODD)
def test_odd_identity(_name, text):
    once = parse(text)
    lines_eq(parse(once), once)


# pf.conf(5), POOLS: a key is 128 bits in hexadecimal, or a string that MD5 makes so many of
KEYS = [
    ("0x0123456789abcdef0123456789ABCDEF", "0123456789abcdef0123456789abcdef"),
    ('"0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"', "f" * 32),
    ("abc", hashlib.md5(b"abc").hexdigest()), ('"a key"', hashlib.md5(b"a key").hexdigest()),
    ('""', "d41d8cd98f00b204e9800998ecf8427e"),
    ('"message digest"', "f96b697d7cb7938d525a2f31aaf161d0"),
    ('"sticky-address"', hashlib.md5(b"sticky-address").hexdigest()),
    ('"0X00112233445566778899aabbccddeeff"',
     hashlib.md5(b"0X00112233445566778899aabbccddeeff").hexdigest()),
    (f'"{"k" * 1000}"', hashlib.md5(b"k" * 1000).hexdigest()),
]
BAD_KEYS = ["0x", "0x0123456789abcdef", '"0xno"', "0x0123456789abcdef0123456789abcdeg",
            "0x0123456789abcdef0123456789abcdef0"]


def test_source_hash_keys():
    rule = "match out on em0 inet all nat-to 192.0.2.0/24 source-hash"
    for key, want in KEYS:
        for end in ("", " sticky-address"):
            once = parse(f"{rule} {key}{end}\n")
            eq(once, f"{rule} 0x{want}{end}\n", key)
            eq(parse(once), once, key)
    for key in BAD_KEYS:
        eq(refuse(f"{rule} {key}\n"), [(1, len(rule) + 2,
                                        "hex key must be 128 bits (32 hex digits) long")], key)
    eq(parse(rule + "\n"), rule + "\n", "a random one is made when it is loaded")


def hosts_sets(rnd):
    """Lists of hosts: (source text, [(canonical text, family)])."""
    pool = [("192.0.2.1", "192.0.2.1", 4), ("192.0.2.77/24", "192.0.2.0/24", 4),
            ("10/8", "10.0.0.0/8", 4), ("172.16/12", "172.16.0.0/12", 4),
            ("198.51.100.1/32", "198.51.100.1", 4), ("2001:db8::1", "2001:db8::1", 6),
            ("2001:db8:1::1/48", "2001:db8:1::/48", 6), ("fe80::/10", "fe80::/10", 6),
            ("2001:DB8::AB/128", "2001:db8::ab", 6), ("<t>", "<t>", 0), ("<other>", "<other>", 0)]
    picked = rnd.sample(pool, rnd.choice((1, 1, 1, 2, 3)))
    out = []
    for text, canonical, af in picked:
        neg = rnd.random() < 0.2
        out.append((rnd.choice(("!", "! ")) * neg + text, "! " * neg + canonical, af))
    return out


PORTS = [("22", "= 22"), ("ssh", "= 22"), ("= 80", "= 80"), ("!= 53", "!= 53"),
         ("< 1024", "< 1024"), ("<= 1023", "<= 1023"), ("> 1023", "> 1023"),
         (">= 1024", ">= 1024"), ("8000:8080", "8000:8080"), ("1:65535", "1:65535"),
         ("0 >< 1024", "0 >< 1024"), ("1000 <> 2000", "1000 <> 2000"), ("http", "= 80"),
         ("domain:123", "53:123"), ("0", "= 0"), ("65535", "= 65535")]
PROTOS = [("tcp", "tcp"), ("6", "tcp"), ("udp", "udp"), ("17", "udp"), ("gre", "gre"),
          ("47", "gre"), ("esp", "esp"), ("200", "200"), ("icmp", "icmp"), ("58", "ipv6-icmp")]
ICMP = {4: [("echoreq", "echoreq"), ("0", "echorep"), ("3 code 4", "unreach code needfrag"),
            ("unreach code 16", "unreach code 16"), ("timex code transit", "timex code transit"),
            ("255", "255")],
        6: [("128", "echoreq"), ("neighbrsol", "neighbrsol"), ("unreach code 4",
            "unreach code port-unr"), ("143 code 9", "listenrepv2 code 9"), ("toobig", "toobig")]}
BLOCKS = [("", "drop"), ("drop", "drop"), ("return", "return")]
RETURN_ICMP = [("return-icmp", "port-unr", "port-unr"), ("return-icmp6", "port-unr", "port-unr"),
               ("return-icmp(1)", "host-unr", "port-unr"),
               ("return-icmp(net-unr, admin-unr)", "net-unr", "admin-unr"),
               ("return-icmp6(77)", "port-unr", "77")]


class Statement:
    """A random rule: its source text, and the lines that are printed for it."""

    def __init__(self, rnd, number):
        self.rnd = rnd
        self.macros = []
        while True:
            self.draw()
            self.lines = self.expand(number)
            if self.lines:
                return

    def maybe(self, p=0.5):
        return self.rnd.random() < p

    def draw(self):
        rnd = self.rnd
        self.macros = []
        self.block = self.maybe(0.4)
        self.dir = rnd.choice(("", "in", "out"))
        self.log, self.quick = self.maybe(0.2), self.maybe(0.3)
        self.ifs = rnd.sample(("em0", "em1", "br-lan", "eth0.5"), rnd.choice((0, 0, 1, 1, 2)))
        self.ifs = [(self.maybe(0.2), i) for i in self.ifs]
        self.af = rnd.choice((0, 0, 4, 6))
        self.protos = rnd.sample(PROTOS, rnd.choice((0, 1, 1, 1, 2)))
        self.src = hosts_sets(rnd) if self.maybe() else []
        self.dst = hosts_sets(rnd) if self.maybe() else []
        self.sport, self.dport, self.icmp = [], [], []
        names = {c for _, c in self.protos}
        if names and names <= {"tcp", "udp"}:
            self.sport = rnd.sample(PORTS, rnd.choice((0, 0, 0, 1, 2)))
            self.dport = rnd.sample(PORTS, rnd.choice((0, 1, 1, 2, 3)))
            if len(self.sport) > 1:
                self.dst = self.dst[:1]
        elif names in ({"icmp"}, {"ipv6-icmp"}) and self.maybe(0.7):
            self.icmp_af = 4 if names == {"icmp"} else 6
            self.af = self.icmp_af
            self.icmp = rnd.sample(ICMP[self.icmp_af], rnd.choice((1, 1, 2)))
        self.kind = rnd.choice(BLOCKS)
        self.codes = None
        if self.block and self.maybe(0.3):
            self.codes = rnd.choice(RETURN_ICMP)
        self.rst = self.block and names == {"tcp"} and self.maybe(0.3)
        # None: nothing written
        self.flags = rnd.choice((None, None, "S/SA", "any", "/SFRA", "FSRPAUEW/FSRPAUEW"))
        if names and "tcp" not in names:
            self.flags = None
        self.state = rnd.choice((None, None, "no") if self.block else (None, None, "keep", "no"))
        self.fragment = not (self.sport or self.dport or self.icmp) and self.maybe(0.1)
        if self.fragment:
            self.flags = None
        self.opts = not self.block and self.maybe(0.1)
        self.label = rnd.choice((None, None, "plain", "two words", "it's: # {a}, <b>", "$nr",
                                 "$nr $if $dstaddr", "a\\b"))
        if self.label and "$if" in self.label and any(neg for neg, _ in self.ifs):
            self.label = "$nr"

    # the model: what the rule stands for

    def expand(self, number):
        out = []
        for neg, dev in self.ifs or [(False, "")]:
            for _, proto in self.protos or [("", "")]:
                for _, icmp in self.icmp or [("", "")]:
                    for _, src, saf in self.src or [("", "any", 0)]:
                        for _, sport in self.sport or [("", "")]:
                            for _, dst, daf in self.dst or [("", "any", 0)]:
                                for _, dport in self.dport or [("", "")]:
                                    families = {f for f in (self.af, saf, daf) if f}
                                    if len(families) > 1:
                                        continue
                                    af = families.pop() if families else 0
                                    if (proto, af) in (("icmp", 6), ("ipv6-icmp", 4)):
                                        return []  # refused: draw another one
                                    out.append(self.canonical(
                                        number + len(out), neg, dev, af, proto, icmp, src, sport,
                                        dst, dport))
        return out

    def canonical(self, nr, neg, dev, af, proto, icmp, src, sport, dst, dport):
        s = "pass"
        if self.block:
            s = f"block {self.kind[1]}"
            if self.rst:
                s = "block return-rst"
            elif self.codes:
                _, four, six = self.codes
                s = {0: f"block return-icmp({four}, {six})", 4: f"block return-icmp({four})",
                     6: f"block return-icmp6({six})"}[af]
        s += f" {self.dir}" * bool(self.dir) + " log" * self.log + " quick" * self.quick
        s += f" on {'! ' * neg}{dev}" * bool(dev) + {0: "", 4: " inet", 6: " inet6"}[af]
        s += f" proto {proto}" * bool(proto)
        if (src, dst, sport, dport) == ("any", "any", "", ""):
            s += " all"
        else:
            s += f" from {src}" + f" port {sport}" * bool(sport)
            s += f" to {dst}" + f" port {dport}" * bool(dport)
        s += self.canonical_flags(proto)
        if icmp:
            s += f" icmp{'6' * (af == 6)}-type {icmp}"
        s += " no state" * (self.state == "no" and not self.block)
        s += " fragment" * self.fragment + " allow-opts" * self.opts
        if self.label:
            label = self.label.replace("$nr", str(nr)).replace("$if", dev or "any")
            s += f' label "{label.replace("$dstaddr", dst)}"'
        return s

    def canonical_flags(self, proto):
        if proto not in ("", "tcp"):
            return ""
        keeps = not self.block and self.state != "no"
        if self.flags == "any" or (self.flags is None and not (keeps and not self.fragment)):
            return " flags any" if self.flags == "any" and keeps else ""
        flags = self.flags or "S/SA"
        part = ["".join(c for c in "FSRPAUEW" if c in p) for p in flags.split("/")]
        return f" flags {part[0]}/{part[1]}"

    # the source, in one of the many ways to write it

    def blank(self):
        return self.rnd.choice((" ", " ", " ", "  ", "\t", " \\\n\t"))

    def one_or_list(self, items):
        if len(items) == 1 and self.maybe(0.8):
            return items[0]
        text = items[0]
        for i in items[1:]:
            text += self.rnd.choice((", ", " ", ",", "\n\t", ", # a comment\n ")) + i
        if "#" not in text and "\n" not in text and self.maybe(0.3):
            name = f"m{self.rnd.randrange(10**9)}"
            self.macros.append((name, text))
            return "{ $" + name + " }"
        return "{ " + text + self.rnd.choice((" }", "}", "\n}"))

    def peer(self, hosts, ports):
        text = ""
        if hosts:
            text = self.one_or_list([h[0] for h in hosts])
        elif not ports or self.maybe():
            text = "any"
        if ports:
            text += f" port {self.one_or_list([p[0] for p in ports])}"
        return text

    def source(self):
        rnd, parts = self.rnd, []
        if self.block:
            parts.append("block")
            if self.rst:
                parts.append("return-rst")
            elif self.codes:
                parts.append(self.codes[0])
            elif self.kind[0]:
                parts.append(self.kind[0])
        else:
            parts.append("pass")
        parts += [self.dir] * bool(self.dir)
        both = ["log"] * self.log + ["quick"] * self.quick
        rnd.shuffle(both)
        parts += both
        if self.ifs:
            parts += ["on", self.one_or_list(["! " * neg + i for neg, i in self.ifs])]
        if self.af:
            parts.append({4: "inet", 6: "inet6"}[self.af])
        if self.protos:
            parts += ["proto", self.one_or_list([p[0] for p in self.protos])]
        if self.src or self.sport:
            parts += ["from", self.peer(self.src, self.sport)]
        if self.dst or self.dport:
            parts += ["to", self.peer(self.dst, self.dport)]
        if not (self.src or self.sport or self.dst or self.dport) and self.maybe():
            parts.append(rnd.choice(("all", "from any", "to any", "from any to any")))
        options = []
        if self.flags:
            options.append(f"flags {self.flags}")
        if self.icmp:
            six = "6" * (self.icmp_af == 6)
            options.append(f"icmp{six}-type {self.one_or_list([i[0] for i in self.icmp])}")
        if self.state:
            options.append(f"{self.state} state")
        options += ["fragment"] * self.fragment + ["allow-opts"] * self.opts
        if self.label:
            options.append(f'label "{self.label}"')
        rnd.shuffle(options)
        if options:
            parts.append(rnd.choice((" ", ", ")).join(options))
        text = parts[0]
        for p in parts[1:]:
            text += self.blank() + p
        return text + rnd.choice(("", "", " ", " # end"))


@timeout(120)
def test_random_rules():
    """Each rule is printed as the model says; and that is printed as itself."""
    seed = int(os.environ.get("PF_SEED", 0)) or random.SystemRandom().getrandbits(31)
    print(f"PF_SEED={seed}")  # shown when the test fails
    rnd = random.Random(seed)
    for _ in range(60):
        text, macros, want, number = "", [], [], 0
        for _ in range(25):
            s = Statement(rnd, number)
            source = s.source()
            for name, value in s.macros:
                text += f'{name} = "{value}"\n'
                macros.append(f'{name} = "{value}"')
            text += source + "\n"
            want += s.lines
            number += len(s.lines)
        try:
            out = parse(text)
            lines_eq(out, macros + want)
            lines_eq(parse(out), out, "printed again")
        except AssertionError:
            print(text)
            raise


# --- the command line's part in it ---

def test_defines():
    file = 'ext = "em0"\npass on $ext\n'
    eq(parse(file), 'ext = "em0"\npass on em0 all flags S/SA\n')
    eq(parse(file, "-D", "ext=em1"), 'ext = "em0"\npass on em1 all flags S/SA\n',
       "-D wins over the file")
    eq(parse("pass on $a proto $b\n", "-D", "a=em0", "-Db=udp"), "pass on em0 proto udp all\n")
    eq(parse("pass on $a\n", "-D", 'a={ em0 "em1" }'),
       "pass on em0 all flags S/SA\npass on em1 all flags S/SA\n", "text of the language")
    eq(parse('pass label "$a"\n', "-D", "a=b"), 'pass all flags S/SA label "$a"\n')
    eq(parse("pass proto tcp to port $p\n", "-D", "p= = 5"),
       "pass proto tcp from any to any port = 5 flags S/SA\n", "the first = divides")
    eq(refuse("pass on $ext\n", "-D", "extra=em0"), [(1, 9, "macro 'ext' is not defined")])
    for bad in ("noequals", "=value"):
        r = pfctl("-D", bad, "-nf", "/dev/null")
        eq((r.returncode, r.stderr),
           (1, f"pfctl-linux: could not parse macro definition {bad}\n"))


def test_numbers_and_names():
    text = "pass proto tcp to port { 22, 1:5 }\nblock proto udp to port != domain\n"
    eq(pfctl("-nvvf", "-", text=text).stdout,
       "@0 pass proto tcp from any to any port = 22 flags S/SA\n"
       "@1 pass proto tcp from any to any port 1:5 flags S/SA\n"
       "@2 block drop proto udp from any to any port != 53\n")
    eq(parse(text, "-P"), "pass proto tcp from any to any port = ssh flags S/SA\n"
       "pass proto tcp from any to any port 1:5 flags S/SA\n"
       "block drop proto udp from any to any port != domain\n")
    eq(parse("pass proto tcp to port { 4 > 22 53 }\n", "-P").splitlines(),
       ["pass proto tcp from any to any port = 4 flags S/SA",
        "pass proto tcp from any to any port > 22 flags S/SA",
        "pass proto tcp from any to any port = domain flags S/SA"], "only = and != have names")
    eq(pfctl("-nf", "-", text=text).stdout, "", "without -v nothing is printed")


def in_a_world_of_names(text):
    """pfctl-linux -nvf with an /etc/hosts of its own, and no network for DNS."""
    with Files({"x.conf": text}) as d:
        names = own_names(d.dir, "192.0.2.10 both.example\n2001:db8::10 both.example\n"
                          "192.0.2.11 four.example\n2001:db8::12 six.example\n")
        return call(["unshare", "-n", *names, PFCTL, "-o", "none", "-nvf", "x.conf"], cwd=d.dir)


def test_host_names():
    """All addresses of a name, of both families."""
    r = in_a_world_of_names("pass from four.example\npass to ! six.example\n"
                            "pass inet from both.example\n"
                            "table <t> { !four.example six.example }\n")
    eq((r.returncode, r.stderr), (0, "x.conf:4: warning: table <t> is never used\n"))
    lines_eq(r.stdout, "table <t> { !192.0.2.11 2001:db8::12 }\n"
             "pass inet from 192.0.2.11 to any flags S/SA\n"
             "pass inet6 from any to ! 2001:db8::12 flags S/SA\n"
             "pass inet from 192.0.2.10 to any flags S/SA\n")
    r = in_a_world_of_names("block from both.example to { both.example four.example }\n")
    lines_eq(sorted(r.stdout.splitlines()), [
        "block drop inet from 192.0.2.10 to 192.0.2.10",
        "block drop inet from 192.0.2.10 to 192.0.2.11",
        "block drop inet6 from 2001:db8::10 to 2001:db8::10"])


def test_host_name_with_prefix_length():
    """pf.conf(5): address [ "/" mask-bits ], and a host name is an address."""
    r = in_a_world_of_names("pass from four.example/24\n")
    eq((r.returncode, r.stderr), (0, ""))
    eq(r.stdout, "pass inet from 192.0.2.0/24 to any flags S/SA\n")


def test_odd_numbers_are_no_addresses():
    """What only the resolver takes for an address, in parts that are missing, or hex."""
    for odd in ("1.2", "0x7f000001", "0x7f.1"):
        r = in_a_world_of_names(f"pass from {odd}\n")
        eq((odd, r.returncode, r.stdout), (odd, 1, ""))


def test_unknown_host_name():
    r = in_a_world_of_names("pass\npass from nothing.example\nblock from four.example\n")
    eq((r.returncode, r.stdout), (1, ""))
    lines = r.stderr.splitlines()
    matches(lines[0], r'^x\.conf:2:11: could not resolve "nothing\.example": .')
    eq(lines[1:], ["    pass from nothing.example", "              ^~~~~~~~~~~~~~~",
                   "pfctl-linux: 1 error in x.conf: rules not loaded"])


# --- refused, wherever the caret may be ---

# What pf refuses because the rule would not do what it says.
REFUSED = [
    ("protocol 0", "pass proto 0\n", "proto"),
    ("protocol 0 in a list", "block proto { tcp 0 }\n", "proto"),
    ("flags of udp", "pass proto udp flags S/SA\n", "flags only apply to tcp"),
    ("flags of a list without tcp", "pass proto { udp icmp } flags S/SA\n",
     "flags only apply to tcp"),
    ("allow-opts on block", "block in quick allow-opts\n",
     "allow-opts can only be specified for pass rules"),
    ("nothing between the ports", "pass proto tcp to port 80 >< 80\n", "port range"),
    ("negative prefix length", "pass from 192.0.2.1/-1\n", "prefix length -1 is out of range"),
    ("negative prefix length in a table", "table <t> { 2001:db8::1/-1 }\n",
     "prefix length -1 is out of range"),
    ("unknown ruleset-optimization", "set ruleset-optimization nonsense\n", "unknown"),
]


@cases(*REFUSED)
def test_refused(_name, text, message):
    found = refuse(text)
    eq([line for line, _, _ in found], [1])
    contains(found[0][2], message)


# What the datapath cannot enforce: -n accepts it, -f says so by name.  In front of each what
# must be there for it; {} is an interface that is there.
NOT_ENFORCED = [
    ("", "pass set prio 5", "set in a rule"),
    ("", "pass set (prio 5, tos lowdelay)", "set in a rule"),
    ("queue a on {} bandwidth 5M default", "pass set queue a", "set in a rule"),
    ("", "pass prio 5", "prio"),
    ("", "pass proto tcp user root", "user"), ("", "pass proto tcp group > 5", "group"),
    ("", "pass rtable 5", "rtable"), ("", "pass in route-to 192.0.2.1@egress", "a group of interfaces as a way"),
    ("", "pass max-pkt-size 100", "max-pkt-size"),
    ("", "pass scrub (no-df max-mss 1440)", "scrub"),
    ("", "pass ridentifier 5", "ridentifier"), ("", "pass dnpipe 5", "dnpipe"),
    ("", "pass dnqueue (1, 2)", "dnqueue"),
    ("", "pass in rdr-to 127.0.0.1", "rdr-to a loopback address"),
    ("", "pass in nat-to 192.0.2.1", "nat-to on rules for incoming packets"),
    ("", "pass out rdr-to 192.0.2.1", "rdr-to on rules for outgoing packets"),
    ("", "match out nat-to (em0)", "an interface in parentheses as a pool"),
    ("", "match out nat-to { 192.0.2.1 192.0.2.2 }", "a pool of several addresses"),
    ("", "pass from 10.0.0.1 binat-to 192.0.2.2 sticky-address", "sticky-address"),
    ("", "pass in inet af-to inet6 from 2001:db8::1", "af-to"),
    ("", "pass in route-to { 192.0.2.1 192.0.2.2 }", "a pool of several addresses"),
    ("", "pass in route-to <a>", "a table as a pool"),
    ("", "pass in route-to 192.0.2.0/24", "a prefix as a pool, without bitmask"),
    ("", "pass in route-to 192.0.2.0/24 bitmask", "a prefix as a pool of next hops"),
    ("", "pass in route-to 192.0.2.1 sticky-address", "sticky-address"),
    ("", "pass in route-to em0 inet", "an interface alone as a pool"),
    ("", "pass in inet reply-to (em0)", "an interface in parentheses as a pool"),
    ("", "pass in inet route-to 2001:db8::1@em0 prefer-ipv6-nexthop", "this kind of pool"),
    ("", "pass dup-to 192.0.2.1", "dup-to"), ("", "pass in divert-to 127.0.0.1 port 80", "divert"),
    ("", "pass out divert-reply", "divert"), ("", "pass divert-packet port 700", "divert"),
    ("", "pass from no-route", "no-route"), ("", "block in from urpf-failed", "urpf-failed"),
    ("", 'pass from route "label"', "a route label"),
    ("", "pass from (em0)", "an interface in parentheses"),
    ("", "pass proto tcp from any os Linux", "os"), ("", "pass on rdomain 5", "rdomain"),
    ("", "pass log (all)", "log with options"), ("", "pass log (to pflog1)", "log with options"),
    ("", "pass modulate state", "modulate state"), ("", "pass synproxy state", "synproxy state"),
    ("", "pass keep state (pflow)", "pflow"),
    ("", "set state-defaults pflow", "pflow"),
    ("", "set reassemble yes", "set reassemble yes"),
    ("", "set loginterface em0", "set loginterface"), ("", "set syncookies always", "syncookies"),
    ("", 'nat-anchor "a"', "an anchor of the old dialect"),
    ("", "antispoof for (em0)", "an interface in parentheses"),
    ("", "nat on em0 from any to any -> 192.0.2.1", "translation of the old dialect"),
    ("", "no nat on em0", "translation"), ("", "no rdr on em0", "translation"),
    ("", "no binat on em0", "translation"), ("", "scrub in", "scrub"), ("", "no scrub", "scrub"),
    ("", "queue a on {} bandwidth 5M default", "queue"),
    ("altq on em0 priq bandwidth 1Mb queue { a }", "queue a priq(default)", "queue"),
    ("", "altq on em0 codel bandwidth 1Mb", "altq"),
    ("", "ether block", "ether"),
    ("", "table <t> timeout 5", "a table's timeout"),
    ("", "table <t> { 192.0.2.1 weight 5 }", "a weight"),
    ("", "\n".join(f'source limiter "a{n}" id {n} entries 1 limit 1 table <t> above 5 inet6 mask '
                   f"{n}" for n in (32, 48, 56, 64, 60)),
     "a table of source limiters with more than 4 different masks"),
]


@cases(*[(text, before, what) for before, text, what in NOT_ENFORCED])
def test_not_enforced_is_named(text, before, what):
    whole = f"{before}\n{text}\n".replace("{}", "lo")
    once = parse(whole)
    lines_eq(parse(once), once)
    r = pfctl("-f", "-", text=whole)
    eq((r.returncode, r.stdout), (1, ""))
    found = re.findall(r"^stdin:(\d+):\d+: (.*): not enforced yet, so these rules cannot be loaded",
                       r.stderr, re.M)
    eq([what in said for line, said in found if before == "" or line == "2" or "defaults" in said],
       [True], r.stderr)
    eq(r.stderr.splitlines()[-1].endswith("rules not loaded"), True, r.stderr)


def test_anchor_block_is_read_to_its_end():
    """What in it is not enforced is said once for each rule, and what follows is read again."""
    text = 'pass\nanchor "a" {\n\tpass in prio 3\n\tblock out prio 3\n}\nblock nonsense\n'
    eq(refuse(text), [(6, 7, 'syntax error: unexpected "nonsense"')])
    r = pfctl("-f", "-", text=text)
    eq(re.findall(r"^stdin:(\d+:\d+): ([\w ]+):", r.stderr, re.M),
       [("3:10", "prio"), ("4:12", "prio"), ("6:7", "syntax error")])


# A string that cannot be had does not take the lines behind it with it.
@cases(("too long", b'pass label "' + b"x" * 9000 + b'"\n'),
       ("NUL byte", b'pass label "a\0b"\n'))
def test_bad_string_ends_with_its_line(_name, line):
    found = refuse(line + b'block nonsense\npass label "fine"\npass nonsense\n')
    eq([(n, m) for n, _, m in found[1:]],
       [(2, 'syntax error: unexpected "nonsense"'), (4, 'syntax error: unexpected "nonsense"')])
    eq(found[0][0], 1)


# --- robustness ---

def survives(text, *args):
    """Either accepted or refused with a message; returns the exit status."""
    r = pfctl(*args, "-nf", "-", text=text)
    eq(r.returncode in (0, 1), True, f"exit status {r.returncode}")
    eq(bool(r.stderr), r.returncode == 1, f"a message with exit status {r.returncode}")
    return r.returncode


@cases(("empty", b"", 0), ("newline", b"\n", 0), ("no newline", b"pass", 0),
       ("blank", b" ", 0), ("comment", b"# x", 0), ("comments", b"#\n#\n\n # x\n" * 1000, 0),
       ("CR alone", b"\r", 0), ("NUL", b"\0", 1), ("NULs", b"\0" * 100000, 1),
       ("NUL in a comment", b"# a\0b\npass\n", 0), ("NUL in a line", b"pass\0in\n", 1),
       ("BOM", b"\xef\xbb\xbfpass\n", 1), ("backslash", b"\\", 1),
       ("backslashes", b"\\\n" * 10000, 0), ("quote", b'"', 1), ("dollar", b"$", 1))
def test_small_texts(_name, text, want):
    eq(survives(text), want)


M = 1000000


@cases(("word", b"pass from " + b"x" * M + b"\n", 1),
       ("digits", b"pass proto " + b"1" * M + b"\n", 1),
       ("string", b'pass label "' + b"x" * M + b'"\n', 1),
       ("macro name", b"x" * M + b" = 1\n", 1), ("macro use", b"pass on $" + b"x" * M, 1),
       ("comment", b"# " + b"x" * M + b"\npass\n", 0), ("blanks", b" " * M + b"pass\n", 0),
       ("newlines", b"\n" * M + b"pass\n", 0),
       ("list", b"pass from { " + b"192.0.2.1 " * (M // 10) + b"}\n", 0),
       ("table", b"table <t> { " + b"192.0.2.1 " * (M // 10) + b"}\n", 0),
       ("options", b"pass " + b"allow-opts " * (M // 11) + b"\n", 1),
       ("exclamation marks", b"pass from " + b"! " * (M // 2) + b"192.0.2.1\n", 1),
       ("open braces", b"pass from " + b"{ " * (M // 2), 1),
       ("deep list", b"pass from " + b"{ " * 100000 + b"192.0.2.1" + b" }" * 100000 + b"\n", 1),
       ("nested list", b"pass from " + b"{ " * 100 + b"192.0.2.1" + b" }" * 100 + b"\n", 0),
       ("braces after an error", b"nonsense " + b"{" * M + b"\n", 1),
       ("parentheses", b"pass keep state " + b"(" * M + b"\n", 1),
       ("errors", b"nonsense nonsense\n" * (M // 18), 1))
def test_long_lines(_name, text, want):
    eq(survives(text), want)


def test_shown_line_is_cut():
    """An error in a line of a million characters does not print a million."""
    for text in ("pass from " + "x" * M + "\n", " " * M + "nonsense here\n",
                 "pass " + "in " * (M // 3) + "\n"):
        r = pfctl("-nf", "-", text=text)
        eq(r.returncode, 1)
        eq(len(r.stderr) < 2000, True, f"{len(r.stderr)} bytes")


@cases(("itself", 'a = "$a"\npass on $a\n'),
       ("each other", 'a = "$b"\nb = "$a"\npass on $a\n'),
       ("many times", 'a0 = "em0 em0"\n' + "".join(
           f'a{i} = "$a{i - 1} $a{i - 1}"\n' for i in range(1, 40)) + "pass on { $a39 }\n"))
def test_macros_without_end(_name, text):
    """They end nevertheless: pf does not expand in a macro's text at all."""
    eq(survives(text), 1)


def test_macro_used_often():
    """How often the macros of a file may be used has no limit."""
    text = 'a = "em0' + " " * 8000 + '"\n' + "pass on $a\n" * 8500
    eq(survives(text), 0)


def test_memory_of_macro_of_many_words():
    """In proportion to the text, not to its square."""
    eq(survives("a = " + "em0 " * 10000 + "\n"), 0)
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    eq(used < 100, True, f"{used} MB for 10000 words")


def test_noise():
    seed = int(os.environ.get("PF_SEED", 0)) or random.SystemRandom().getrandbits(31)
    print(f"PF_SEED={seed}")
    rnd = random.Random(seed)
    for _ in range(50):
        survives(rnd.randbytes(rnd.choice((10, 100, 1000, 20000))))


def test_mutations():
    """The golden files with bytes changed, cut, doubled."""
    seed = int(os.environ.get("PF_SEED", 0)) or random.SystemRandom().getrandbits(31)
    print(f"PF_SEED={seed}")
    rnd = random.Random(seed)
    texts = [golden(OK, n + ".conf").encode() for (n,) in golden_names(OK)]
    for _ in range(100):
        t = bytearray(rnd.choice(texts) + rnd.choice(texts))
        for _ in range(rnd.randrange(1, 8)):
            at = rnd.randrange(len(t)) if t else 0
            kind = rnd.randrange(4)
            if kind == 0:
                t[at:at + 1] = rnd.choice(b"{}<>()\"'!$=,/#\\\n\0").to_bytes(1, "big")
            elif kind == 1:
                del t[at:at + rnd.randrange(30)]
            elif kind == 2:
                t[at:at] = t[at:at + rnd.randrange(60)]
            else:
                t[at:at] = rnd.randbytes(1)
        # a word that was cut must not be looked up in DNS
        r = subprocess.run(["unshare", "-n", PFCTL, "-nf", "-"], input=bytes(t), timeout=30,
                           capture_output=True, check=False)
        eq((r.returncode in (0, 1), bool(r.stderr), b"Sanitizer" in r.stderr),
           (True, r.returncode == 1, False), repr(bytes(t)))


def test_files():
    with own.directory() as d:
        for name, why in ((d, "Is a directory"), (d + "/none", "No such file or directory"),
                          ("", "No such file or directory"),
                          (d + "/none/none", "No such file or directory"),
                          ("x" * 5000, "File name too long")):
            r = pfctl("-nf", name)
            eq((r.returncode, r.stdout, r.stderr), (1, "", f"pfctl-linux: {name}: {why}\n"))
        os.mkfifo(d + "/pipe")
        with subprocess.Popen(["sh", "-c", "echo 'pass in' > pipe"], cwd=d) as p:
            eq(pfctl("-nvf", d + "/pipe").stdout, "pass in all flags S/SA\n")
            eq(p.wait(), 0)
        eq(pfctl("-nvf", "-", text="pass\n").stdout, "pass all flags S/SA\n")
        r = pfctl("-nvf", "-", text="nonsense\n")
        eq(r.stderr.splitlines()[0],
           'stdin:1:1: syntax error: unexpected "nonsense"')
        eq((pfctl("-nvf", "/dev/null").stdout, pfctl("-nvf", "/dev/null").returncode), ("", 0))


def test_standard_output_full():
    """What could not be written is an error."""
    with open("/dev/full", "wb") as full:
        r = subprocess.run([PFCTL, "-nvf", "-"], input=b"pass\n", stdout=full,
                           stderr=subprocess.PIPE, timeout=SECONDS, check=False)
    eq((r.returncode, r.stderr), (1, b"pfctl-linux: standard output: No space left on device\n"))


# --- the corpus: reference data, when there is some ---

def corpus():
    d = os.environ.get("PF_CORPUS") or os.path.join(ROOT, "..", "shared", "corpus")
    if not os.path.isfile(os.path.join(d, "run-corpus")):
        raise Skip(f"no corpus at {d}")
    return os.path.abspath(d)


@timeout(120)
def test_corpus():
    d = corpus()
    r = subprocess.run([f"{d}/in-namespace", "/usr/bin/python3", f"{d}/run-corpus", PFCTL],
                       capture_output=True, text=True, timeout=100, check=False)
    m = matches(r.stdout, r"^(\d+) passed, (\d+) failed, (\d+) skipped$")
    print("note: the corpus:", m[0])
    absent(r.stdout, "killed by signal")
    absent(r.stdout, "no answer")
    eq(int(m[1]) >= CORPUS_PASSES, True, f"{m[0]}; at least {CORPUS_PASSES} did once")


@timeout(120)
def test_real_files():
    """Rulesets of the world: accepted or refused, and what is accepted is printed as itself."""
    d = os.path.join(corpus(), "real")
    passed, names = 0, sorted(os.listdir(d))
    for name in names:
        r = pfctl("-o", "none", "-nv", "--offline", "-f", name, cwd=d)
        if r.returncode == 0:
            passed += 1
            again = pfctl("-o", "none", "-nv", "--offline", "-f", "-", text=r.stdout)
            eq((again.returncode, again.stderr), (0, ""), name)
            lines_eq(again.stdout, r.stdout, name)
    print(f"note: real files: {passed} of {len(names)} accepted")
    eq(passed >= REAL_PASSES, True, f"{passed} accepted; at least {REAL_PASSES} were once")
