# SPDX-License-Identifier: BSD-2-Clause
"""The command line of pfctl-linux: options, messages, layouts and exit statuses, held
against OpenBSD's pfctl(8)."""
import re
import socket
import subprocess
import time

from pft.check import between, cases, contains, eq, lines_eq, matches
from pft.lab import FW6_SRC, FW_SRC, PFCTL, SRC, SRC6, Lab
from pft.netns import wait_for

USAGE = r"^usage: pfctl-linux \[-\w+\] .*\n(\t.*\n)+\Z"


def run(lab, *args, out="", err="", status=0, input=None):
    """pfctl-linux with these arguments says exactly this."""
    r = lab.pf.ctl(*args, check=False, input=input)
    eq((r.stdout, r.stderr, r.returncode), (out, err, status), " ".join(args))


def alone(*args, input=None):
    """pfctl-linux without a daemon to talk to."""
    return subprocess.run([PFCTL, "-p", "/nonexistent/pfd.sock", *args], capture_output=True,
                          text=True, check=False, input=input, timeout=30,
                          stdin=None if input is not None else subprocess.DEVNULL)


# --- without a daemon ---

@cases(("unknown", ["-Z"], "invalid option -- 'Z'"),
       ("unknown among others", ["-qZv"], "invalid option -- 'Z'"),
       ("unknown long", ["--nonsense"], "unrecognized option '--nonsense'"),
       *((f"argument of -{c}", [f"-{c}"], f"option requires an argument -- '{c}'")
         for c in "DFfkopstTx"),
       ("argument of --confirm", ["-f", "-", "--confirm"],
        "option '--confirm' requires an argument"),
       ("argument of --confirmed", ["--confirmed=5"],
        "option '--confirmed' doesn't allow an argument"))
def test_bad_option(_name, args, why):
    r = alone(*args)
    eq((r.returncode, r.stdout), (1, ""))
    first, rest = r.stderr.split("\n", 1)
    eq(first.split(": ", 1)[1], why)
    eq(matches(rest, USAGE)[0], rest)


@cases(("none", []), ("operand", ["-q", "operand"]), ("operand of -s", ["-sr", "operand"]),
       ("operand of -f", ["-nf", "/dev/null", "operand"]), ("-t alone", ["-t", "table"]),
       ("-T alone", ["-T", "show"]))
def test_usage(_name, args):
    argv = [PFCTL, *args]
    r = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30,
                       stdin=subprocess.DEVNULL)
    eq((r.returncode, r.stdout), (1, ""))
    matches(r.stderr, USAGE)


def test_operand_is_named():
    r = alone("-sr", "first", "second")
    eq(r.stderr.splitlines()[0], "pfctl-linux: unknown command line argument: first ...")


def test_usage_names_what_there_is():
    """Each letter of the usage is an option, and each option is there."""
    usage = alone("-h").stdout
    letters = set(re.search(r"\[-(\w+)\]", usage)[1])
    letters |= set(re.findall(r"\[-(\w) ", usage)) | set(re.findall(r" -(\w) ", usage))
    for letter in sorted(letters):
        r = alone(f"-{letter}")
        eq("invalid option" in r.stderr, False, f"-{letter}")
    for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ":
        if letter not in letters:
            eq("invalid option" in alone(f"-{letter}").stderr, True, f"-{letter}")


def test_help_and_version():
    for args in (["-h"], ["--help"], ["-h", "-Z"]):
        r = alone(*args)
        eq((r.returncode, r.stderr), (0, ""))
        matches(r.stdout, USAGE)
    r = alone("--version")
    eq((r.returncode, r.stderr), (0, ""))
    matches(r.stdout, r"\Apfctl-linux \d+\.\d+\.\d+\n\Z")


CONFIRM = "--confirm takes a number of seconds (1 to 86400), not "


@cases(("-o nonsense", ["-o", "nonsense"],
        "unknown optimization level 'nonsense' (none, basic or profile)"),
       ("--offline without -n", ["--offline", "-f", "-"], "--offline goes with -n"),
       ("-k three times", ["-k", SRC, "-k", SRC, "-k", SRC], "can only specify -k twice"),
       ("-D without =", ["-D", "name"], "could not parse macro definition name"),
       ("-D without name", ["-D", "=value"], "could not parse macro definition =value"),
       ("--confirm without -f", ["--confirm", "5"], "--confirm goes with -f"),
       ("--confirm 0", ["--confirm", "0", "-f", "-"], CONFIRM + "'0'"),
       ("--confirm -1", ["--confirm=-1", "-f", "-"], CONFIRM + "'-1'"),
       ("--confirm 86401", ["--confirm", "86401", "-f", "-"], CONFIRM + "'86401'"),
       ("--confirm 5s", ["--confirm", "5s", "-f", "-"], CONFIRM + "'5s'"),
       ("--confirm nothing", ["--confirm=", "-f", "-"], CONFIRM + "''"),
       ("-s", ["-s", "nonsense"], "unknown show modifier 'nonsense'"),
       ("-s case", ["-s", "Rules"], "unknown show modifier 'Rules'"),
       ("-s longer", ["-s", "rulesx"], "unknown show modifier 'rulesx'"),
       ("-s empty", ["-s", ""], "unknown show modifier ''"),
       ("-F", ["-F", "nonsense"], "unknown flush modifier 'nonsense'"),
       ("-F old", ["-F", "nat"], "unknown flush modifier 'nat'"),
       ("-F empty", ["-F", ""], "unknown flush modifier ''"),
       ("-T", ["-t", "t", "-T", "nonsense"], "unknown table command 'nonsense'"),
       ("-T empty", ["-t", "t", "-T", ""], "unknown table command ''"),
       ("-x", ["-x", "nonsense"], "unknown debug level 'nonsense'"),
       ("-x empty", ["-x", ""], "unknown debug level ''"),
       *((f"-s {m}", ["-s", m], f"-s {m} is not supported yet")
         for m in ("queue", "Sources", "Interfaces", "osfp")),
       *((f"-F {m}", ["-F", m], f"-F {m} is not supported yet")
         for m in ("Sources", "osfp")),
       *((f"-T {m}", ["-t", "t", "-T", m], f"-T {m} is not supported yet")
         for m in ("expire", "zero")),
       *((f"-k {m}", ["-k", m, "-k", "x"], f"-k {m} is not supported yet")
         for m in ("label", "id", "key")),
       ("-k length", ["-k", "192.0.2.0/33"], "192.0.2.0/33: the prefix length is more than 32"),
       ("-k length of v6", ["-k", "::/129"], "::/129: the prefix length is more than 128"),
       ("-k length is none", ["-k", "192.0.2.0/x"],
        "192.0.2.0/x: the prefix length is no number"),
       ("-k second", ["-k", "192.0.2.0/24", "-k", "192.0.2.0/"],
        "192.0.2.0/: the prefix length is no number"),
       ("-T show of address", ["-t", "t", "-T", "show", SRC], "-T show takes no addresses"),
       ("-T flush of address", ["-t", "t", "-T", "flush", SRC], "-T flush takes no addresses"),
       ("-T kill of address", ["-t", "t", "-T", "kill", SRC], "-T kill takes no addresses"),
       ("-T show of file", ["-t", "t", "-T", "show", "-f", "-"], "-T show takes no addresses"),
       ("-T add of file", ["-t", "t", "-T", "add", "-f", "/nonexistent/file"],
        "/nonexistent/file: No such file or directory"),
       ("-f of file", ["-f", "/nonexistent/file"],
        "/nonexistent/file: No such file or directory"),
       ("-nf of file", ["-nf", "/nonexistent/file"],
        "/nonexistent/file: No such file or directory"))
def test_refused(_name, args, why):
    """Seen before pfd is asked for anything: the message is not that it does not answer."""
    r = alone(*args)
    eq((r.returncode, r.stdout), (1, ""))
    first, _, rest = r.stderr.partition("\n")
    eq(first, f"pfctl-linux: {why}")
    if rest:  # OpenBSD's pfctl has its usage there, at times
        matches(rest, USAGE)


def test_last_of_two_counts():
    eq(alone("-n", "-f", "/nonexistent/file", "-f", "-", input="pass\n").returncode, 0)
    r = alone("-s", "rules", "-s", "queue")
    eq(r.stderr, "pfctl-linux: -s queue is not supported yet\n")
    # but each is checked as it is read
    r = alone("-s", "nonsense", "-s", "rules")
    eq(r.stderr, "pfctl-linux: unknown show modifier 'nonsense'\n")


def test_nothing_to_do():
    """Options that only say how are no error, and nobody is asked."""
    for args in (["-q"], ["-v"], ["-vv"], ["-n"], ["-P"], ["-o", "none"], ["-D", "a=b"]):
        r = alone(*args)
        eq((r.returncode, r.stdout, r.stderr), (0, "", ""), " ".join(args))


@cases(("enable", ["-e"]), ("disable", ["-d"]), ("debug", ["-x", "debug"]),
       ("flush", ["-F", "all"]), ("zero", ["-z"]), ("all", ["-d", "-e", "-F", "rules", "-z"]))
def test_dry_run_says_nothing(_name, args):
    """-n switches them off: nothing was enabled or cleared, and so nothing is claimed."""
    r = alone("-n", *args)
    eq((r.returncode, r.stdout, r.stderr), (0, "", ""))


def test_socket_paths():
    def why(path):
        r = subprocess.run([PFCTL, "-p", path, "-sr"], capture_output=True, text=True,
                           check=False, timeout=30)
        eq((r.returncode, r.stdout), (1, ""))
        return r.stderr
    eq(why("/nonexistent/x"), "pfctl-linux: pfd does not answer at /nonexistent/x "
       "(No such file or directory): is it running?\n")
    eq(why("/dev/null"), "pfctl-linux: pfd does not answer at /dev/null "
       "(Connection refused): is it running?\n")
    long = "/x" * 60
    eq(why(long), f"pfctl-linux: {long}: the path is too long\n")


# --- on and off ---

def test_enable_and_disable():
    with Lab(hosts=2, v6=False, rules="block\n") as lab:
        eq(lab.src.ping(FW_SRC), False)
        run(lab, "-e", err="pfctl-linux: pf already enabled\n", status=1)
        run(lab, "-d", err="pf disabled\n")
        eq(lab.src.ping(FW_SRC), True)
        matches(lab.pf.ctl("-si").stdout, r"\AStatus: Disabled")
        eq(lab.pf.rules(), ["block drop all"])
        run(lab, "-d", err="pfctl-linux: pf not enabled\n", status=1)
        run(lab, "-e", err="pf enabled\n")
        eq(lab.src.ping(FW_SRC), False)
        matches(lab.pf.ctl("-si").stdout, r"\AStatus: Enabled")
        # -d comes first, wherever it stands
        run(lab, "-e", "-d", err="pf disabled\npf enabled\n")
        run(lab, "-q", "-d")
        run(lab, "-q", "-d", err="pfctl-linux: pf not enabled\n", status=1)
        # loading does not enable
        run(lab, "-f", "-", input="block in\n")
        eq(lab.src.ping(FW_SRC), True)
        run(lab, "-e", "-f", "-", err="pf enabled\n", input="block out\n")
        eq((lab.pf.rules(), lab.src.ping(FW_SRC)), (["block drop out all"], False))


def test_mistake_prevents_all():
    """What is wrong in the command line or in the file is found before pf is switched."""
    with Lab(hosts=2, v6=False, rules="block\n") as lab:
        wrong = []
        for args in (["-d", "-s", "nonsense"], ["-d", "-F", "nonsense"], ["-d", "-x", "nonsense"],
                     ["-d", "-t", "t", "-T", "nonsense"]):
            eq(lab.pf.ctl(*args, check=False).returncode, 1, " ".join(args))
            if lab.pf.ctl("-si").stdout.startswith("Status: Disabled"):
                wrong.append(" ".join(args))
                lab.pf.ctl("-e")
        lab.pf.ctl("-d")
        r = lab.pf.ctl("-e", "-f", "-", check=False, input="nonsense in\n")
        eq(r.returncode, 1)
        contains(r.stderr, "pfctl-linux: 1 error in stdin: rules not loaded\n")
        if lab.pf.ctl("-si").stdout.startswith("Status: Enabled"):
            wrong.append("-e -f")
        eq(wrong, [], "it did what it should not")


# --- loading ---

def test_load():
    with Lab(hosts=2, v6=False, rules="pass\n") as lab:
        path = lab.dir + "/pf.conf"
        with open(path, "w", encoding="ascii") as f:
            f.write('a = "ext"\nset limit states 5000\ntable <t> { 192.0.2.77 }\n'
                    "block in on $a from <t>\npass proto udp to port 53\n")
        run(lab, "-f", path)
        eq(lab.pf.rules(), ["block drop in on ext from <t> to any",
                            "pass proto udp from any to any port = 53"])
        contains(lab.pf.ctl("-sm").stdout, "states        hard limit     5000\n")
        printed = ('a = "ext"\nset limit states 5000\ntable <t> {{ 192.0.2.77 }}\n'
                   "{0}block drop in on {2} from <t> to any\n"
                   "{1}pass proto udp from any to any port = {3}\n")
        run(lab, "-vf", path, out=printed.format("", "", "ext", 53))
        run(lab, "-vv", "-f", path, out=printed.format("@0 ", "@1 ", "ext", 53))
        run(lab, "-vPf", path, out=printed.format("", "", "ext", "domain"))
        run(lab, "-qvf", path, out=printed.format("", "", "ext", 53))
        run(lab, "-v", "-D", "a=lo", "-f", path, out=printed.format("", "", "lo", 53))
        eq(lab.pf.rules()[0], "block drop in on lo from <t> to any")
        # what is the file's alone goes when the next one does not say it
        run(lab, "-f", "-", input="block out\n")
        eq(lab.pf.rules(), ["block drop out all"])
        contains(lab.pf.ctl("-sm").stdout, "states        hard limit   100000\n")
        run(lab, "-f", "/dev/null")
        eq(lab.pf.rules(), [])
        # paths are relative to where it is called
        p = lab.fw.popen([PFCTL, "-p", "sock", "-f", "pf.conf"], cwd=lab.dir)
        eq((p.wait(30), len(lab.pf.rules())), (0, 2))


def test_load_refused():
    with Lab(hosts=2, v6=False, rules="block\n") as lab:
        text = "pass in\npass nonsense\nblock nonsense\n"
        error = ('{0}:2:6: syntax error: unexpected "nonsense"\n    pass nonsense\n'
                 '         ^~~~~~~~\n{0}:3:7: syntax error: unexpected "nonsense"\n'
                 "    block nonsense\n          ^~~~~~~~\n"
                 "pfctl-linux: 2 errors in {0}: rules not loaded\n")
        run(lab, "-f", "-", err=error.format("stdin"), status=1, input=text)
        path = lab.dir + "/pf.conf"
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        run(lab, "-vf", path, err=error.format(path), status=1)
        run(lab, "-qf", path, err=error.format(path), status=1)
        # what the daemon finds
        r = lab.pf.ctl("-f", "-", check=False, input="set limit table-entries 1\n"
                       "table <t> persist { 192.0.2.1 192.0.2.2 }\nblock from <t>\n")
        eq((r.returncode, r.stdout), (1, ""))
        lines = r.stderr.splitlines()
        contains(lines[0], "table entries would be more than the limit of 1")
        eq(lines[1:], ["pfctl-linux: stdin: rules not loaded"])
        eq(lab.pf.rules(), ["block drop all"])


def test_dry_run_changes_nothing():
    with Lab(hosts=2, v6=False, rules="table <t> persist { 192.0.2.77 }\nblock from <t>\n"
                                      "pass in on ext proto udp\n") as lab:
        with lab.src.udp() as s:
            s.sendto(b"x", (FW_SRC, 9))
        wait_for("the answer", lambda: lab.pf.states())
        before = [lab.pf.ctl(*a).stdout for a in
                  (["-sr", "-v"], ["-ss"], ["-sm"], ["-st"], ["-vsT"], ["-t", "t", "-T", "show"])]
        run(lab, "-nf", "-", input="set limit states 5\npass\n")
        run(lab, "-nvf", "-", out="pass all flags S/SA\n", input="pass\n")
        for args in (["-d"], ["-F", "all"], ["-F", "states"], ["-F", "Tables"], ["-z"],
                     ["-x", "debug"], ["-t", "t", "-T", "add", "192.0.2.78"],
                     ["-t", "t", "-T", "flush"], ["-t", "t", "-T", "replace", "192.0.2.79"],
                     ["-t", "t", "-T", "delete", "192.0.2.77"], ["-k", SRC]):
            lab.pf.ctl("-n", *args, check=False)
            after = [lab.pf.ctl(*a).stdout for a in
                     (["-sr", "-v"], ["-ss"], ["-sm"], ["-st"], ["-vsT"],
                      ["-t", "t", "-T", "show"])]
            eq(after, before, " ".join(args))
        matches(lab.pf.ctl("-si").stdout, r"\AStatus: Enabled.*Debug: err\n")


def test_order():
    """-d, then -s, -F, -k, -T or -f, -e, -x, in whatever order they are written."""
    with Lab(hosts=2, v6=False, rules="block\n") as lab:
        run(lab, "-f", "-", "-sr", out="block drop all\n", input="pass\n")
        run(lab, "-sr", out="pass all flags S/SA\n")
        run(lab, "-x", "info", "-e", "-f", "-", "-F", "rules", "-sr", "-d",
            out="pass all flags S/SA\n", input="block in\n",
            err="pf disabled\nrules cleared\npf enabled\ndebug level set to 'info'\n")
        eq(lab.pf.rules(), ["block drop in all"])
        # -f is -T's file, and no rules
        run(lab, "-t", "t", "-T", "add", "-f", "-", "-sr", input="192.0.2.1\n",
            out="block drop in all\n", err="1 table created.\n1/1 addresses added.\n")
        eq(lab.pf.rules(), ["block drop in all"])
        # -F and -f
        r = lab.pf.ctl("-Fa", "-f", "-", input="pass in\n")
        lines_eq(sorted(r.stderr.splitlines()),
                 sorted(["1 tables deleted.", "rules cleared", "0 states cleared",
                         "pf: statistics cleared", "pf: interface flags reset"]))
        eq(lab.pf.rules(), ["pass in all flags S/SA"])
        # the flush comes first, as pfctl does it: a file that is wrong does not undo it
        r = lab.pf.ctl("-F", "rules", "-f", "-", check=False, input="nonsense in\n")
        eq((r.returncode, r.stderr.splitlines()[0], r.stderr.splitlines()[-1]),
           (1, "rules cleared", "pfctl-linux: 1 error in stdin: rules not loaded"))
        eq(lab.pf.rules(), [])
        # what fails ends it, but for what is only shown, and tables
        run(lab, "-e", "-x", "debug", err="pfctl-linux: pf already enabled\n", status=1)
        run(lab, "-t", "none", "-T", "show", "-x", "info", status=1,
            err="pfctl-linux: Table does not exist\ndebug level set to 'info'\n")
        run(lab, "-d", err="pf disabled\n")
        run(lab, "-d", "-F", "rules", err="pfctl-linux: pf not enabled\n", status=1)


# --- -x ---

def level(lab):
    return matches(lab.pf.ctl("-si").stdout, r"\AStatus: .* Debug: (\w+)\n\n")[1]


def test_debug_level():
    with Lab(hosts=2, v6=False) as lab:
        eq(level(lab), "err")
        for name in ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"):
            run(lab, "-x", name, err=f"debug level set to '{name}'\n")
            eq(level(lab), name)
        run(lab, "-q", "-x", "crit")
        eq(level(lab), "crit")
        run(lab, "-x", "nonsense", err="pfctl-linux: unknown debug level 'nonsense'\n", status=1)
        eq(level(lab), "crit")
        # pfctl(8): they may be abbreviated; "e" may be err or emerg
        got = {}
        for short in ("d", "i", "no", "warn", "er", "a", "em", "c", "e"):
            lab.pf.ctl("-x", short, check=False)
            got[short] = level(lab)
        eq(got, {"d": "debug", "i": "info", "no": "notice", "warn": "warning", "er": "err",
                 "a": "alert", "em": "emerg", "c": "crit", "e": "crit"}, "abbreviations")
        run(lab, "-x", "e", err="pfctl-linux: debug level 'e' is ambiguous\n", status=1)
        for name, means in (("error", "err"), ("n", "notice"), ("none", "emerg"),
                            ("urgent", "err"), ("misc", "notice"), ("loud", "debug")):
            run(lab, "-x", name, err=f"debug level set to '{means}'\n")


# --- -s ---

def test_show_rules():
    """Layout and numbers, with -v and -vv."""
    text = ('block log label "b"\npass in on ext proto udp to port 53 label "dns"\n'
            "pass in on ext from <t>\npass out\n")
    with Lab(hosts=2, v6=False) as lab:
        p = lab.fw.popen([PFCTL, "-p", lab.pf.socket, "-f", "-"], stdin=subprocess.PIPE,
                         text=True)
        p.communicate(text, 30)
        eq(p.returncode, 0)
        eq(lab.src.ping(FW_SRC), False)  # 84 bytes
        with lab.src.udp() as a, lab.fw.udp(53) as b:
            a.sendto(b"123", (FW_SRC, 53))
            b.sendto(b"12345", b.recvfrom(100)[1])
            eq(a.recv(100), b"12345")
        rules = ['block drop log all label "b"',
                 'pass in on ext proto udp from any to any port = {} label "dns"',
                 "pass in on ext from <t> to any flags S/SA", "pass out all flags S/SA"]
        skips = ["r=end f=end sa=2 da=end sp=end ", "i=3 d=3 r=end f=end da=end sp=end ",
                 "r=end f=end p=end da=end sp=end dp=end ",
                 "i=end d=end r=end f=end p=end sa=end da=end sp=end dp=end "]
        numbers = [(2, 1, 84, 0, 0), (2, 2, 64, 1, 1), (2, 0, 0, 0, 0), (2, 0, 0, 0, 0)]
        run(lab, "-sr", out="".join(r.format("53") + "\n" for r in rules))
        run(lab, "-sr", "-P", out="".join(r.format("domain") + "\n" for r in rules))

        def counters(evaluations, packets, size, states, made):
            return (f"  [ Evaluations: {evaluations:<8}  Packets: {packets:<8}  "
                    f"Bytes: {size:<10}  States: {states:<6}]\n"
                    f"  [ Inserted: uid 0 pid {p.pid} State Creations: {made:<6}]\n")
        run(lab, "-sr", "-v", out="".join(
            r.format("53") + "\n" + counters(*n) for r, n in zip(rules, numbers)))
        got = lab.pf.ctl("-sr", "-vv").stdout.replace("<t:*>", "<t>")  # has a test of its own
        lines_eq(got, "".join(
            f"@{i} {r.format('53')}\n  [ Skip steps: {s}]\n" + counters(*n)
            for i, (r, s, n) in enumerate(zip(rules, skips, numbers))))
        # -z: after they have been shown
        lab.pf.ctl("-sr", "-v", "-z")
        got = lab.pf.rule_numbers()
        eq([(n["evaluations"], n["packets"], n["bytes"], n["states"]) for _, n in got],
           [(0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 0, 0), (0, 0, 0, 0)])


def test_labels_and_zero():
    """name evaluations packets bytes packets-in bytes-in packets-out bytes-out states"""
    text = 'block\npass in on ext proto udp label "in"\npass out label "two words"\npass label z\n'
    with Lab(hosts=2, v6=False, rules=text) as lab:
        with lab.src.udp() as a, lab.fw.udp(53) as b:
            for _ in range(2):
                a.sendto(b"123", (FW_SRC, 53))
                b.sendto(b"12345", b.recvfrom(100)[1])
                a.recv(100)
        run(lab, "-sl", out="in 1 0 0 0 0 0 0 0\ntwo words 1 0 0 0 0 0 0 0\n"
                            "z 1 4 128 2 62 2 66 1\n")
        lab.pf.ctl("-F", "all")
        lab.pf.load("block label x\n")
        eq(lab.src.ping(FW_SRC), False)
        run(lab, "-sl", out="x 1 1 84 1 84 0 0 0\n")
        run(lab, "-z", err="pf: rule counters cleared\n")
        run(lab, "-sl", out="x 0 0 0 0 0 0 0 0\n")
        eq(lab.src.ping(FW_SRC), False)
        run(lab, "-sl", "-z", out="x 1 1 84 1 84 0 0 0\n")
        run(lab, "-sl", out="x 0 0 0 0 0 0 0 0\n")
        eq(lab.pf.info()["match"], 2, "-z is for rules")


def test_show_states():
    """One line each, the inside first; details with -v, the id with -vv."""
    rules = "pass in on ext\npass out on ext proto udp\n"
    with Lab(hosts=2, rules=rules) as lab:
        def shown(pattern, *args):
            lines = lab.pf.ctl("-ss", *args).stdout.splitlines()
            at = [i for i, line in enumerate(lines) if pattern in line]
            eq(len(at), 1, f"states with {pattern}")
            details = [line for line in lines[at[0] + 1:]]
            for i, line in enumerate(details):
                if not line.startswith("   "):
                    return lines[at[0]], details[:i]
            return lines[at[0]], details

        with lab.src.udp() as a, lab.fw.udp(53) as b, lab.src.udp(family=socket.AF_INET6) as a6, \
                lab.fw.listen(22) as listener, lab.fw.udp() as out:
            port, port6 = 0, 0
            a.sendto(b"123", (FW_SRC, 53))
            got, (_, port) = b.recvfrom(100)
            one = f"all udp {FW_SRC}:53 <- {SRC}:{port}       "
            eq(shown(f":{port} "), (one + "NO_TRAFFIC:SINGLE", []))
            b.sendto(b"12345", (SRC, port))
            eq(a.recv(100), b"12345")
            eq(shown(f":{port} "), (one + "SINGLE:MULTIPLE", []))
            line, details = shown(f":{port} ", "-v")
            eq(line, one + "SINGLE:MULTIPLE")
            eq(len(details), 1)
            matches(details[0], r"^   age 00:00:\d\d, expires in 00:00:[23]\d, 1:1 pkts, "
                                r"31:33 bytes, rule 0$")
            line, details = shown(f":{port} ", "-vv")
            eq(len(details), 2)
            matches(details[1], r"^   id: [0-9a-f]{16} creatorid: [0-9a-f]{8}$")
            eq(shown(f":{port} ", "-P")[0],
               f"all udp {FW_SRC}:domain <- {SRC}:{port}       SINGLE:MULTIPLE")

            a6.sendto(b"123", (FW6_SRC, 53))
            port6 = a6.getsockname()[1]
            matches(shown(f"[{port6}]")[0],
                    rf"^all udp {FW6_SRC}\[53\] <- {SRC6}\[{port6}\]       NO_TRAFFIC:SINGLE$")

            out.sendto(b"123", (SRC, 9))
            matches(shown(" -> ")[0], rf"^all udp {FW_SRC}:{out.getsockname()[1]} -> {SRC}:9"
                                      "       SINGLE:NO_TRAFFIC$")

            eq(lab.src.ping(FW_SRC), True)
            matches(shown(" icmp ")[0], rf"^all icmp {FW_SRC}:8 <- {SRC}:\d+       0:0$")

            with lab.src.connect(FW_SRC, 22) as c, listener.accept()[0]:
                tcp = f"all tcp {FW_SRC}:22 <- {SRC}:{c.getsockname()[1]}       "
                eq(shown(" tcp ")[0], tcp + "ESTABLISHED:ESTABLISHED")
                line, details = shown(" tcp ", "-v")
                eq(len(details), 2)
                matches(details[0], r"^   \[\d+ \+ \d+\] wscale \d+  \[\d+ \+ \d+\] wscale \d+$")
                matches(details[1], r"^   age 00:00:\d\d, expires in 2[34]:\d\d:\d\d, 2:1 pkts, "
                                    r"112:60 bytes, rule 0$")

            with lab.src.sock(socket.AF_INET, socket.SOCK_RAW, 200) as raw:
                raw.sendto(b"123", (FW_SRC, 0))
            matches(shown(" 200 ")[0], rf"^all 200 {FW_SRC} <- {SRC}       NO_TRAFFIC:SINGLE$")
            # the rules change: a number that is none of theirs is not shown
            lab.pf.load("pass\n")
            matches(shown(f":{port} ", "-v")[1][0], r"33 bytes$")


COUNTERS = ["match", "bad-offset", "fragment", "short", "normalize", "memory", "bad-timestamp",
            "congestion", "ip-option", "proto-cksum", "state-mismatch", "state-insert",
            "state-limit", "src-limit", "synproxy", "translate", "no-route"]


def test_show_info():
    with Lab(hosts=2, v6=False, rules="block\npass in on ext proto udp\n") as lab:
        eq(lab.src.ping(FW_SRC), False)
        with lab.src.udp() as a, lab.fw.udp(53) as b:
            a.sendto(b"123", (FW_SRC, 53))
            b.recvfrom(100)

        def parts():
            """The status line, and {name: (number, rate)} of each part."""
            lines = lab.pf.ctl("-si").stdout.splitlines()
            title, out = None, {None: {}}
            for line in lines[3:]:
                if line.startswith("  "):
                    # name, number, rate: 25, 14 and 16 columns
                    m = matches(line, r"^  (\S.{24}) ( *\d+) ( {14}| *\d+\.\d/s)$")
                    eq((len(m[2]), len(m[3]) in (14, 16)), (14, True), line)
                    out[title][m[1].rstrip()] = int(m[2])
                else:
                    title = line
                    out[title] = {}
            eq(lines[1], "")
            eq(lines[2], f"{'State Table':27} {'Total':>14} {'Rate':>16}")
            return lines[0], out

        status, out = parts()
        matches(status, r"^Status: Enabled( for 0 days 00:00:\d\d)? +Debug: err$")
        eq(len(status), 59)
        first = {"current entries": 1, "half-open tcp": 0, "searches": 2, "inserts": 1,
                 "removals": 0}
        eq(out.pop(None), first)
        eq(list(out["Counters"]), COUNTERS)
        eq({k: v for k, v in out["Counters"].items() if v}, {"match": 2})
        time.sleep(1.1)
        status, out = parts()
        matches(status, r"^Status: Enabled for 0 days 00:00:\d\d +Debug: err$")
        matches(lab.pf.ctl("-si").stdout, r"^  inserts +1 +\d\.\d/s$")
        # -F info: all but what there is
        run(lab, "-F", "info", err="pf: statistics cleared\n")
        status, out = parts()
        eq(out.pop(None), {"current entries": 1, "half-open tcp": 0, "searches": 0, "inserts": 0,
                           "removals": 0})
        eq({k: v for k, v in out["Counters"].items() if v}, {})


TIMEOUTS = [("tcp.first", 120), ("tcp.opening", 30), ("tcp.established", 86400),
            ("tcp.closing", 900), ("tcp.finwait", 45), ("tcp.closed", 90), ("tcp.tsdiff", 30),
            ("udp.first", 60), ("udp.single", 30), ("udp.multiple", 60), ("icmp.first", 20),
            ("icmp.error", 10), ("other.first", 60), ("other.single", 30), ("other.multiple", 60),
            ("frag", 60), ("interval", 10), ("adaptive.start", 60000), ("adaptive.end", 120000),
            ("src.track", 0)]
LIMITS = [("states", 100000), ("src-nodes", 10000), ("frags", 65536), ("tables", 1000),
          ("table-entries", 200000)]


def timeouts_text(**changes):
    changed = {k.replace("_", "."): v for k, v in changes.items()}
    return "".join(f"{name:<20} {changed.get(name, n):>10}"
                   f"{' states' if name.startswith('adaptive') else 's'}\n"
                   for name, n in TIMEOUTS)


def limits_text(**changes):
    changed = {k.replace("_", "-"): v for k, v in changes.items()}
    return "".join(f"{name:<13} hard limit {changed.get(name, n):>8}\n" for name, n in LIMITS)


def test_show_timeouts_and_limits():
    with Lab(hosts=2, v6=False, rules="pass\n") as lab:
        run(lab, "-st", out=timeouts_text())
        run(lab, "-sm", out=limits_text())
        lab.pf.load("set limit { states 1000, src-nodes 20 frags 30 tables 40 table-entries 50 }\n"
                    "set timeout { udp.first 1 interval 2 src.track 3 }\n")
        run(lab, "-st", out=timeouts_text(udp_first=1, interval=2, src_track=3,
                                          adaptive_start=600, adaptive_end=1200))
        run(lab, "-sm", out=limits_text(states=1000, src_nodes=20, frags=30, tables=40,
                                        table_entries=50))
        lab.pf.load("set limit states 1000\nset timeout { adaptive.start 7 adaptive.end 8 }\n")
        run(lab, "-st", out=timeouts_text(adaptive_start=7, adaptive_end=8))


OPTIMIZATIONS = {"normal": (120, 30, 86400, 900, 45, 90, 30),
                 "satellite": (180, 35, 86400, 905, 50, 95, 60),
                 "high-latency": (180, 35, 86400, 905, 50, 95, 60),
                 "conservative": (3600, 900, 432000, 3600, 600, 180, 60),
                 "aggressive": (30, 5, 18000, 60, 30, 30, 10)}


def optimized(lab, name, before=""):
    lab.pf.load(f"{before}set optimization {name}\npass\n")
    lines = lab.pf.ctl("-st").stdout.splitlines()
    return tuple(int(re.search(r"(\d+)s$", line)[1]) for line in lines[:7])


def test_optimizations():
    """All of TCP's timeouts, that of time stamps too."""
    with Lab(hosts=2, v6=False) as lab:
        eq(optimized(lab, "aggressive", "set timeout tcp.first 7\n")[0], 30, "the later counts")
        eq({name: optimized(lab, name) for name in OPTIMIZATIONS}, OPTIMIZATIONS)


def test_show_tables():
    rules = ("table <persistent> persist\ntable <used> { 192.0.2.1 }\n"
             "table <constant> const { 192.0.2.1 }\ntable <every> const persist { 192.0.2.1 }\n"
             "table <unused> { 192.0.2.1 }\nblock from { <used> <constant> <every> <implied> }\n")
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        # by name; one that no rule uses, and that is not persistent, is none
        run(lab, "-sT", out="constant\nevery\npersistent\nused\n")
        run(lab, "-vsT", out="c-a-r--\tconstant\ncpa-r--\tevery\n"
                             "-pa----\tpersistent\n--a-r--\tused\n")
        # one that rules name and nobody has defined: not there until something is put in
        run(lab, "-t", "implied", "-T", "show", status=1,
            err="pfctl-linux: Table does not exist\n")
        lab.pf.restart()
        run(lab, "-t", "implied", "-T", "add", "192.0.2.1",
            err="1 table created.\n1/1 addresses added.\n")
        eq(lab.src.ping(FW_SRC), False)
        run(lab, "-sT", out="constant\nevery\nimplied\npersistent\nused\n")
        run(lab, "-t", "implied", "-T", "flush", err="1 addresses deleted.\n")
        lab.pf.ctl("-F", "Tables")
        # a persistent one stays without a rule, and without its definition
        lab.pf.load(rules)
        lab.pf.load("pass\n")
        run(lab, "-vsT", out="cpa----\tevery\n-pa----\tpersistent\n")


def test_show_all():
    """All the parts with their titles, each as it is shown alone."""
    rules = 'block label "x"\ntable <t> persist\npass in on ext proto udp\n'
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        with lab.src.udp() as a, lab.fw.udp(53) as b:
            a.sendto(b"123", (FW_SRC, 53))
            b.recvfrom(100)
        want = [(title, lab.pf.ctl("-s", what).stdout) for title, what in
                (("FILTER RULES:", "rules"), ("STATES:", "states"), ("INFO:", "info"),
                 ("LABEL COUNTERS:", "labels"), ("TIMEOUTS:", "timeouts"), ("LIMITS:", "memory"),
                 ("TABLES:", "Tables"))]

        def still(text):
            """Without what changes with the time."""
            text = re.sub(r" for 0 days 00:00:\d\d", lambda m: " " * len(m[0]), text)
            return re.sub(r" {14}$|[ \d]{12}\.\d/s$", "", text, flags=re.M)
        for name in ("all", "a"):
            got = lab.pf.ctl("-s", name).stdout
            lines_eq(still(got), still("\n".join(f"{t}\n{text}" for t, text in want)))
        # what is empty has no title, but rules
        lab.pf.load("pass\n")
        lab.pf.ctl("-F", "all")
        eq(re.findall(r"^([A-Z ]+):$", lab.pf.ctl("-sa").stdout, re.M),
           ["FILTER RULES", "INFO", "TIMEOUTS", "LIMITS"])
        # any beginning of a modifier's name will do
        lab.pf.load(rules)
        for name in ("rules", "states", "labels", "timeouts", "memory", "Tables"):
            want = lab.pf.ctl("-s", name).stdout
            for n in range(1, len(name)):
                run(lab, f"-s{name[:n]}", out=want)
        eq([lab.pf.ctl("-s", "info"[:n]).stdout[:15] for n in range(1, 5)],
           ["Status: Enabled"] * 4)


# --- -F ---

def udp_state(lab, port=53):
    """A state of the firewall, for a conversation of one packet."""
    with lab.src.udp() as a, lab.fw.udp(port) as b:
        a.sendto(b"123", (FW_SRC, port))
        b.recvfrom(100)
        return a.getsockname()[1]


def test_flush():
    rules = "set limit states 5000\ntable <t> persist\nblock\npass in on ext proto udp\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        udp_state(lab, 53)
        udp_state(lab, 54)
        run(lab, "-F", "states", err="2 states cleared\n")
        eq((lab.pf.states(), len(lab.pf.rules())), ([], 2))
        run(lab, "-Fs", err="0 states cleared\n")
        run(lab, "-q", "-Fs")
        # states outlive the rules
        udp_state(lab)
        eq(lab.src.ping(FW_SRC), False)
        run(lab, "-F", "rules", err="rules cleared\n")
        eq((lab.pf.rules(), len(lab.pf.states())), ([], 1))
        eq(lab.src.ping(FW_SRC), True)
        # a modifier may be abbreviated
        for name, err in (("rules", "rules cleared\n"), ("info", "pf: statistics cleared\n"),
                          ("Tables", "{} tables deleted.\n")):
            for n in range(1, len(name) + 1):
                lab.pf.load("table <t> persist\npass\n")
                run(lab, f"-F{name[:n]}", err=err.format(1))
        run(lab, "-FT", err="0 tables deleted.\n")


def test_flush_all():
    rules = ("table <t> persist { 192.0.2.77 }\ntable <u> persist\nblock from <t>\n"
             "pass in on ext proto udp\n")
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        udp_state(lab)
        r = lab.pf.ctl("-F", "all")
        eq(sorted(r.stderr.splitlines()), sorted(["rules cleared", "2 tables deleted.",
                                                  "1 states cleared", "pf: statistics cleared",
                                                  "pf: interface flags reset"]))
        eq([lab.pf.ctl(a).stdout for a in ("-sr", "-ss", "-sT")], ["", "", ""])
        eq((lab.pf.info()["match"], lab.pf.info()["inserts"]), (0, 0))
        run(lab, "-q", "-Fa")


def test_flush_all_resets_options():
    """pfctl(8): -F all is all of the modifiers, and so -F Reset: the options are the defaults."""
    rules = ("set skip on ext\nset limit { states 5000 tables 5 }\nset timeout udp.first 5\n"
             "pass\n")
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        lab.pf.ctl("-x", "debug")
        lab.pf.ctl("-F", "all")
        run(lab, "-st", out=timeouts_text())
        run(lab, "-sm", out=limits_text())
        eq(level(lab), "err")


def test_reset():
    """The options alone: rules, their counters, states and tables stay."""
    rules = ("set skip on ext\nset limit { states 1 tables 5 }\nset timeout udp.first 5\n"
             "table <t> { 192.0.2.77 }\nblock from <t>\npass in on ext proto udp\n")
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        lab.pf.ctl("-x", "debug")
        lab.pf.ctl("-t", "t", "-T", "add", SRC)
        eq(lab.src.ping(FW_SRC), True)
        before = lab.pf.ctl("-sr", "-v").stdout
        run(lab, "-F", "Reset", err="pf: interface flags reset\n")
        run(lab, "-q", "-FR")
        eq((lab.pf.ctl("-sr", "-v").stdout, lab.src.ping(FW_SRC)), (before, False))
        for restarted in False, True:
            if restarted:
                lab.pf.restart()
            run(lab, "-st", out=timeouts_text())
            run(lab, "-sm", out=limits_text())
            run(lab, "-t", "t", "-T", "show", out=f"   {SRC}\n   192.0.2.77\n")
            eq((level(lab), lab.src.ping(FW_SRC), len(lab.pf.rules())), ("err", False, 2))
        # the limit of states is the default's: more than one
        lab.pf.load("pass\n")
        lab.pf.load("set limit states 1\npass in on ext proto udp\n")
        udp_state(lab, 53)
        lab.pf.ctl("-F", "Reset")
        udp_state(lab, 54)
        eq(len(lab.pf.states()), 2)


def test_flush_tables():
    """All are deleted, const ones too, and though rules name them: none is listed, none matches."""
    rules = ("table <t> { 192.0.2.0/24 }\ntable <c> const { 192.0.2.77 }\nblock\n"
             "pass from { <t> <c> }\n")
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        eq(lab.src.ping(FW_SRC), True)
        lab.pf.ctl("-F", "states")
        r = lab.pf.ctl("-F", "Tables")
        eq(lab.src.ping(FW_SRC), False)
        eq((r.stderr, lab.pf.ctl("-sT").stdout), ("2 tables deleted.\n", ""))
        # inactive: there for the rules only, over a restart and a load too
        for change in (lambda: None, lab.pf.restart, lambda: lab.pf.load("pass from <t>\n")):
            change()
            run(lab, "-vvsT")
            for command in (["show"], ["flush"], ["delete", SRC], ["test", SRC]):
                run(lab, "-t", "t", "-T", *command, status=1,
                    err="pfctl-linux: Table does not exist\n")
            contains(lab.pf.ctl("-sr", "-vv").stdout, "<t:*>")
        run(lab, "-F", "Tables", err="0 tables deleted.\n")
        run(lab, "-n", "-t", "t", "-T", "add", SRC, err="1 table created (dummy).\n")
        run(lab, "-t", "t", "-T", "add", SRC,
            err="1 table created.\n1/1 addresses added.\n")
        run(lab, "-vsT", out="-pa-r--\tt\n")
        contains(lab.pf.ctl("-sr", "-vv").stdout, "<t:1>")
        # a definition makes it active again
        lab.pf.ctl("-F", "Tables")
        lab.pf.load("table <t> persist\npass from <t>\n")
        run(lab, "-vsT", out="-pa-r--\tt\n")
        run(lab, "-t", "t", "-T", "show")


# --- -k ---

def test_kill():
    """Messages; which states it takes is another test's."""
    with Lab(hosts=2, rules="pass in on ext\n") as lab:
        def fill():
            lab.pf.ctl("-F", "states")
            udp_state(lab, 53)
            udp_state(lab, 54)
            with lab.src.udp(family=socket.AF_INET6) as a, \
                    lab.fw.udp(53, family=socket.AF_INET6) as b:
                a.sendto(b"123", (FW6_SRC, 53))
                b.recvfrom(100)
        for args, killed, sources, destinations in (
                (["-k", SRC], 2, 1, 0), (["-k", FW_SRC], 0, 1, 0),
                (["-k", "192.0.2.0/24"], 2, 1, 0), (["-k", "192.0.2/24"], 2, 1, 0),
                (["-k", "0.0.0.0/0", "-k", FW_SRC], 2, 1, 1),
                (["-k", SRC, "-k", SRC], 0, 1, 1), (["-k", SRC6], 1, 1, 0),
                (["-k", "::/0", "-k", "2001:db8::/32"], 1, 1, 1)):
            fill()
            run(lab, *args, err=f"killed {killed} states from {sources} sources and "
                                f"{destinations} destinations\n")
            eq(len(lab.pf.states()), 3 - killed, " ".join(args))
        fill()
        run(lab, "-q", "-k", SRC)
        eq(len(lab.pf.states()), 1)


# --- -t, -T ---

def test_table_commands():
    with Lab(hosts=2, v6=False, rules="table <t> persist\nblock from <t>\n") as lab:
        def table(*args, **kw):
            run(lab, "-t", "t", "-T", *args, **kw)
        table("show")
        table("add", "192.0.2.2", "192.0.2.1", "192.0.2.1", err="2/3 addresses added.\n")
        table("add", "192.0.2.2", "192.0.2.3", "2001:db8::1",
              err="2/3 addresses added.\n")
        table("add", "198.51.100.77/24", "10/8", "2001:db8:1::5/48", "172.16.5/24",
              err="4/4 addresses added.\n")
        table("show", out="   10.0.0.0/8\n   172.16.5.0/24\n   192.0.2.1\n   192.0.2.2\n"
              "   192.0.2.3\n   198.51.100.0/24\n   2001:db8::1\n   2001:db8:1::/48\n")
        table("test", "192.0.2.1", err="1/1 addresses match.\n")
        table("test", "192.0.2.1", "10.1.2.3", "192.0.2.9", "2001:db8:1::99",
              err="3/4 addresses match.\n", status=2)
        table("test", "192.0.2.9", err="0/1 addresses match.\n", status=2)
        table("delete", "192.0.2.1", "192.0.2.9", "10.0.0.0/8", "172.16.5.0/25",
              err="2/4 addresses deleted.\n")
        table("replace", "192.0.2.2", "192.0.2.10", "192.0.2.11",
              err="2 addresses added.\n5 addresses deleted.\n")
        table("replace", "192.0.2.10", "192.0.2.11", "192.0.2.2", err="no changes.\n")
        table("replace", "!192.0.2.10", "192.0.2.11", "192.0.2.2",
              err="1 addresses changed.\n")
        table("replace", "192.0.2.2", err="2 addresses deleted.\n")
        table("show", out="   192.0.2.2\n")
        table("flush", err="1 addresses deleted.\n")
        table("flush", err="0 addresses deleted.\n")
        table("show")
        # a command may be abbreviated
        for short, err in (("a", "1/1 addresses added.\n"), ("de", "1/1 addresses deleted.\n"),
                           ("rep", "1 addresses added.\n"), ("t", "1/1 addresses match.\n")):
            table(short, "192.0.2.1", err=err)
        table("sh", out="   192.0.2.1\n")
        table("fl", err="1 addresses deleted.\n")
        # -q
        run(lab, "-q", "-t", "t", "-T", "add", "192.0.2.1")
        run(lab, "-q", "-t", "t", "-T", "test", "192.0.2.1")
        run(lab, "-q", "-t", "t", "-T", "test", "192.0.2.2", status=2)
        # -n
        run(lab, "-n", "-t", "t", "-T", "add", "192.0.2.1", "192.0.2.2",
            err="1/2 addresses added (dummy).\n")
        run(lab, "-n", "-t", "t", "-T", "flush", err="1 addresses deleted (dummy).\n")
        table("show", out="   192.0.2.1\n")
        # the most special entry decides, and a negated one does not match
        table("flush", err="1 addresses deleted.\n")
        table("add", "192.0.2.0/24", "!192.0.2.64/26", "192.0.2.77", "! 192.0.2.5",
              err="4/4 addresses added.\n")
        table("test", "192.0.2.1", "192.0.2.65", "192.0.2.77", "192.0.2.5", "192.0.2.6",
              err="3/5 addresses match.\n", status=2)
        # one that is there with the other sign is neither added nor deleted
        table("add", "!192.0.2.77", "192.0.2.5", err="0/2 addresses added.\n")
        table("delete", "192.0.2.64/26", "!192.0.2.77", err="0/2 addresses deleted.\n")
        table("delete", "!192.0.2.64/26", err="1/1 addresses deleted.\n")


def test_table_feedback():
    """-v: what was done to which address; -vv: those too to which nothing was."""
    with Lab(hosts=2, v6=False, rules="table <t> { 192.0.2.1 192.0.2.2 }\nblock from <t>\n") as lab:
        def table(*args, **kw):
            run(lab, *args[:1], "-t", "t", "-T", *args[1:], **kw)
        table("-v", "add", "192.0.2.1", "192.0.2.3", "10/8", out="A  192.0.2.3\nA  10.0.0.0/8\n",
              err="2/3 addresses added.\n")
        table("-vv", "add", "192.0.2.1", "192.0.2.4", out="   192.0.2.1\nA  192.0.2.4\n",
              err="1/2 addresses added.\n")
        table("-v", "delete", "192.0.2.4", "192.0.2.9", out="D  192.0.2.4\n",
              err="1/2 addresses deleted.\n")
        table("-vv", "delete", "192.0.2.3", "192.0.2.9", out="D  192.0.2.3\n   192.0.2.9\n",
              err="1/2 addresses deleted.\n")
        table("-v", "test", "192.0.2.1", "192.0.2.9", "10.1.1.1",
              out="M  192.0.2.1\nM  10.1.1.1\n", err="2/3 addresses match.\n", status=2)
        table("-v", "replace", "192.0.2.1", "192.0.2.2", "10/8", "192.0.2.5",
              out="A  192.0.2.5\n", err="1 addresses added.\n")
        run(lab, "-q", "-v", "-t", "t", "-T", "add", "192.0.2.6", out="A  192.0.2.6\n")
        # what comes twice, and signs that do not fit; without doing it first
        for args in ("-vn", "-v"):
            dummy = " (dummy)" if "n" in args else ""
            table(args, "delete", "192.0.2.6", "192.0.2.6", "!192.0.2.6", "192.0.2.9",
                  out="D  192.0.2.6\nX  192.0.2.6\nY !192.0.2.6\n",
                  err=f"1/4 addresses deleted{dummy}.\n")
            table(args, "add", "192.0.2.1", "192.0.2.1", "192.0.2.7", "!192.0.2.7", "!192.0.2.1",
                  out="A  192.0.2.7\nX !192.0.2.7\nY !192.0.2.1\n",
                  err=f"1/5 addresses added{dummy}.\n")
            table(args, "replace", "192.0.2.1", "!192.0.2.1", "!192.0.2.2", "192.0.2.11",
                  out="X !192.0.2.1\nC !192.0.2.2\nA  192.0.2.11\nD  10.0.0.0/8\n"
                  "D  192.0.2.5\n" + ("D  192.0.2.6\n" if dummy else "D  192.0.2.7\n"),
                  err=f"1 addresses added{dummy}.\n3 addresses deleted{dummy}.\n"
                  f"1 addresses changed{dummy}.\n")
        table("-vv", "test", "192.0.2.2", "192.0.2.11", status=2, err="1/2 addresses match.\n",
              out="   192.0.2.2\t!192.0.2.2\nM  192.0.2.11\t 192.0.2.11\n")


def test_table_output():
    """What pfctl(8) says of it; the sign of an address has a column of its own."""
    rules = "table <t> { 10/8 !10.9/16 192.0.2.1 !192.0.2.2 }\nblock from <t>\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        def table(*args):
            r = lab.pf.ctl("-t", "t", *args, check=False)
            return sorted(r.stdout.splitlines())
        got = {
            "show": table("-T", "show"),
            # the entry that decided stands behind the address
            "test": table("-vv", "-T", "test", "10.1.2.3", "198.51.100.1"),
            # X is a duplicate, Y a conflict of signs
            "add": table("-v", "-T", "add", "!192.0.2.1", "192.0.2.3", "192.0.2.3", "!192.0.2.4"),
            "replace": table("-v", "-T", "replace", "10/8", "!192.0.2.2", "192.0.2.5"),
            # <name:addresses>
            "-sr -vv": re.findall("^@.*", lab.pf.ctl("-sr", "-vv").stdout, re.M)}
        want = {
            "show": sorted(["   10.0.0.0/8", "  !10.9.0.0/16", "   192.0.2.1", "  !192.0.2.2"]),
            "test": sorted(["M  10.1.2.3\t 10.0.0.0/8", "   198.51.100.1\t nomatch"]),
            "add": sorted(["Y !192.0.2.1", "A  192.0.2.3", "X  192.0.2.3", "A !192.0.2.4"]),
            "replace": sorted(["A  192.0.2.5", "D !10.9.0.0/16", "D  192.0.2.1", "D  192.0.2.3",
                               "D !192.0.2.4"]),
            "-sr -vv": ["@0 block drop from <t:3> to any"]}
        lines_eq([f"{k}: {line}" for k, v in got.items() for line in v],
                 [f"{k}: {line}" for k, v in want.items() for line in v])


def test_table_made():
    with Lab(hosts=2, v6=False, rules="pass\n") as lab:
        for command in "add", "replace":
            run(lab, "-nv", "-t", "new", "-T", command, "192.0.2.1",
                err="1 table created (dummy).\n")
        run(lab, "-sT")
        run(lab, "-t", "new", "-T", "add", "192.0.2.1",
            err="1 table created.\n1/1 addresses added.\n")
        run(lab, "-t", "other", "-T", "replace", "192.0.2.1",
            err="1 table created.\n1 addresses added.\n")
        run(lab, "-t", "empty", "-T", "add", err="1 table created.\n0/0 addresses added.\n")
        run(lab, "-t", "x" * 31, "-T", "add", "192.0.2.1",
            err="1 table created.\n1/1 addresses added.\n")
        run(lab, "-vsT", out=f"-pa----\tempty\n-pa----\tnew\n-pa----\tother\n-pa----\t{'x' * 31}\n")
        # it outlives the rules, and a rule can use it
        lab.pf.load("block\npass from <new>\n")
        eq(lab.src.ping(FW_SRC), True)
        run(lab, "-t", "new", "-T", "show", out="   192.0.2.1\n")
        for command in (["show"], ["flush"], ["delete", SRC], ["test", SRC]):
            r = lab.pf.ctl("-t", "none", "-T", *command, check=False)
            eq((r.returncode, r.stdout), (1, ""))
            matches(r.stderr, r"\Apfctl-linux: Table does not exist\.?\n\Z")


def test_const_table():
    rules = "table <c> const { 192.0.2.1 }\nblock from <c>\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        for command in (["add", "192.0.2.2"], ["delete", "192.0.2.1"], ["flush"],
                        ["replace", "192.0.2.2"]):
            run(lab, "-t", "c", "-T", *command, status=1,
                err="pfctl-linux: the table is const: only a load can change it\n")
        run(lab, "-t", "c", "-T", "show", out="   192.0.2.1\n")
        run(lab, "-t", "c", "-T", "test", "192.0.2.1", err="1/1 addresses match.\n")
        lab.pf.load(rules.replace("192.0.2.1", "192.0.2.2"))
        run(lab, "-t", "c", "-T", "show", out="   192.0.2.2\n")


def test_table_files():
    with Lab(hosts=2, v6=False, rules="table <t> persist\nblock from <t>\n") as lab:
        path = lab.dir + "/addresses"
        with open(path, "w", encoding="ascii") as f:
            f.write("# a comment\n\n192.0.2.1\n  192.0.2.2 192.0.2.3\t# more\r\n"
                    "198.51.100.0/24\n2001:db8::1\n203.0.113.1")
        shown = ("   192.0.2.1\n   192.0.2.2\n   192.0.2.3\n   198.51.100.0/24\n"
                 "   203.0.113.1\n   2001:db8::1\n")
        run(lab, "-t", "t", "-T", "add", "-f", path, err="6/6 addresses added.\n")
        run(lab, "-t", "t", "-T", "show", out=shown)
        run(lab, "-t", "t", "-T", "test", "-f", path, status=1, err="pfctl-linux: illegal test "
            "address 198.51.100.0/24: only single ones can be tested\n")
        run(lab, "-t", "t", "-T", "replace", "-f", path, err="no changes.\n")
        # and those of the command line
        run(lab, "-t", "t", "-T", "delete", "-f", path, "192.0.2.9",
            err="6/7 addresses deleted.\n")
        run(lab, "-t", "t", "-T", "add", "-f", "-", input="192.0.2.5\n! 192.0.2.6\n!192.0.2.7\n",
            err="3/3 addresses added.\n")
        run(lab, "-t", "t", "-T", "test", "-f", "-", input="192.0.2.5\n192.0.2.6\n192.0.2.7\n",
            err="1/3 addresses match.\n", status=2)
        run(lab, "-t", "t", "-T", "replace", "-f", "/dev/null", err="3 addresses deleted.\n")
        run(lab, "-t", "t", "-T", "add", "-f", lab.dir, status=1,
            err=f"pfctl-linux: {lab.dir}: Is a directory\n")
        # one bad line, and none of them is taken
        r = lab.pf.ctl("-t", "t", "-T", "add", "-f", "-", check=False,
                       input="192.0.2.1\n192.0.2.0/33\n192.0.2.2\n")
        eq((r.returncode, r.stdout), (1, ""))
        contains(r.stderr, "192.0.2.0/33")
        run(lab, "-t", "t", "-T", "show")


BAD_ADDRESSES = [("192.0.2.300",), ("192.0.2.1/33",), ("192.0.2.1/-1",), ("192.0.2.1/",),
                 ("192.0.2.1/24/24",), ("192.0.2.1/x",), ("2001:db8::/129",), ("2001:db8:::1",),
                 ("",), ("!",), ("!!192.0.2.1",), ("192.0.2.1 192.0.2.2",), ("<t>",), ("any",),
                 ("192.0.2.1-192.0.2.9",), ("no such host",)]

# What the resolver takes for addresses, and pf.conf does not.
ODD_ADDRESSES = [("10",), ("10.1",), ("0x7f000001",), ("010.0.0.1",), ("fe80::1%ext",)]


def test_arguments_of_tables():
    """What means nothing is refused, and nothing is done."""
    with Lab(hosts=2, v6=False, rules="table <t> { 10/8 }\nblock from <t>\n") as lab:
        taken = []

        def refused(*args):
            r = lab.pf.ctl(*args, check=False)
            if (r.returncode, r.stdout) != (1, "") or not r.stderr.startswith("pfctl-linux: "):
                taken.append(args)
            return r.stderr
        for (address,) in BAD_ADDRESSES:
            refused("-t", "t", "-T", "add", "192.0.2.50", address)
        run(lab, "-t", "t", "-T", "show", out="   10.0.0.0/8\n")
        eq(taken, [])
        for (address,) in ODD_ADDRESSES:
            refused("-t", "t", "-T", "add", address)
        # a network or a negated address has no answer
        for address in ("10.0.0.0/8", "10.1.0.0/16", "!10.0.0.1", "!192.0.2.1"):
            contains(refused("-t", "t", "-T", "test", "10.0.0.2", address),
                     f"illegal test address {address}: ")
        eq(taken, [])
        eq(refused("-t", "x" * 32, "-T", "add", SRC),
           "pfctl-linux: table name too long, max 31 characters\n")
        eq(refused("-t", "<t>", "-T", "add", SRC),
           "pfctl-linux: '<t>' cannot be the name of a table\n")
        run(lab, "-t", "t", "-T", "show", out="   10.0.0.0/8\n")
        # with a length they are networks
        run(lab, "-t", "t", "-T", "add", "11/8", "10.1/16", "10.0.0.1/32",
            err="3/3 addresses added.\n")


def test_big_table():
    """More addresses than fit in one message."""
    with Lab(hosts=2, v6=False, rules="table <t> persist\nblock from <t>\n") as lab:
        n = 40000
        text = "".join(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}\n" for i in range(n))
        run(lab, "-t", "t", "-T", "add", "-f", "-", input=text, err=f"{n}/{n} addresses added.\n")
        run(lab, "-t", "t", "-T", "show", out="".join(f"   {a}\n" for a in text.splitlines()))
        run(lab, "-t", "t", "-T", "test", "-f", "-", input=text,
            err=f"{n}/{n} addresses match.\n")
        run(lab, "-t", "t", "-T", "replace", "-f", "-", input=text + "10.255.0.1\n",
            err="1 addresses added.\n")
        # with what was done to each
        r = lab.pf.ctl("-vv", "-t", "t", "-T", "test", "-f", "-", input=text)
        eq(r.stdout, "".join(f"M  {a}\t {a}\n" for a in text.splitlines()))
        r = lab.pf.ctl("-v", "-n", "-t", "t", "-T", "add", "-f", "-", input=2 * "192.0.2.1\n" + text
                       + "192.0.2.1\n")
        eq((r.stdout, r.stderr), ("A  192.0.2.1\nX  192.0.2.1\nX  192.0.2.1\n",
                                  f"1/{n + 3} addresses added (dummy).\n"))
        r = lab.pf.ctl("-v", "-n", "-t", "t", "-T", "replace", "10.255.0.1")
        eq(r.stdout, "".join(f"D  {a}\n" for a in text.splitlines()))
        run(lab, "-t", "t", "-T", "flush", err=f"{n + 1} addresses deleted.\n")


# --- --confirm ---

def test_confirm():
    with Lab(hosts=2, v6=False, rules="pass in\n") as lab:
        nothing = "pfctl-linux: there is nothing to confirm\n"
        run(lab, "--confirmed", err=nothing, status=1)
        said = "these rules go away in {} seconds, unless you say: pfctl-linux --confirmed\n"
        run(lab, "--confirm", "60", "-f", "-", input="block\n", err=said.format(60))
        eq(lab.pf.rules(), ["block drop all"])
        lab.pf.ctl("-n", "--confirmed", check=False)  # changes nothing
        m = matches(lab.pf.ctl("-si").stdout, r"^Rules wait to be confirmed: (\d+) seconds left "
                                              r"\(pfctl-linux --confirmed\)\n\nState Table")
        between(int(m[1]), 30, 60)
        run(lab, "--confirmed", err="rules confirmed\n")
        eq("confirmed" in lab.pf.ctl("-si").stdout, False)
        run(lab, "--confirmed", err=nothing, status=1)
        # not confirmed: those of before
        run(lab, "--confirm=1", "-qf", "-", input="pass out\n")
        eq(lab.pf.rules(), ["pass out all flags S/SA"])
        wait_for("the rules of before", lambda: lab.pf.rules() == ["block drop all"], 10)
        run(lab, "--confirmed", err=nothing, status=1)
        # confirmed first, then loaded: the new ones wait for nobody
        run(lab, "--confirm", "60", "-f", "-", input="pass out\n", err=said.format(60))
        run(lab, "-f", "-", "--confirmed", input="pass in\n", err="rules confirmed\n")
        run(lab, "--confirmed", err=nothing, status=1)
        # a file that is wrong, and a dry run
        lab.pf.ctl("--confirm", "60", "-f", "-", input="nonsense in\n", check=False)
        run(lab, "--confirmed", err=nothing, status=1)
        run(lab, "-n", "--confirm", "60", "-f", "-", input="block\n")
        run(lab, "--confirmed", err=nothing, status=1)
        eq(lab.pf.rules(), ["pass in all flags S/SA"])


# --- output ---

def test_output_that_nobody_reads():
    """`pfctl -sr | head -1` ends, and pfd lives; a full disk is an error."""
    with Lab(hosts=2, v6=False, rules="".join(
            f"block from 10.0.{i // 250}.{i % 250}\n" for i in range(400))) as lab:
        r = lab.fw.run("sh", "-c", f"{PFCTL} -p {lab.pf.socket} -sr -vv | head -1")
        eq(r.stdout, "@0 block drop inet from 10.0.0.0 to any\n")
        with open("/dev/full", "wb") as full:
            p = lab.fw.popen([PFCTL, "-p", lab.pf.socket, "-sr"], stdout=full,
                             stderr=subprocess.PIPE, text=True)
            _, err = p.communicate(timeout=30)
        eq((p.returncode, err),
           (1, "pfctl-linux: standard output: No space left on device\n"))
        eq(len(lab.pf.rules()), 400)
