# SPDX-License-Identifier: BSD-2-Clause
"""The command line of pfctl-linux: options, messages and exit statuses, held against OpenBSD's
pfctl(8).
"""
import re
import socket
import subprocess

from pft.check import absent, between, cases, contains, eq, lines_eq, matches
from pft.lab import FW6_SRC, FW_SRC, PFCTL, SRC, SRC6, Lab
from pft.netns import wait_for
from pft.pfctl import limits_text, pfctl, run, timeouts_text

USAGE = r"^usage: pfctl-linux \[-\w+\] .*\n(\t.*\n)+\Z"


# --- without a daemon ---

@cases(("unknown", ["-Z"], "invalid option -- 'Z'"),
       ("unknown among others", ["-qZv"], "invalid option -- 'Z'"),
       ("unknown long", ["--nonsense"], "unrecognized option '--nonsense'"),
       *((f"argument of -{c}", [f"-{c}"], f"option requires an argument -- '{c}'")
         for c in "DFfikopRstTx"),
       ("argument of --confirm", ["-f", "-", "--confirm"],
        "option '--confirm' requires an argument"),
       ("argument of --confirmed", ["--confirmed=5"],
        "option '--confirmed' doesn't allow an argument"))
def test_bad_option(_name, args, why):
    r = pfctl(*args)
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
    r = pfctl("-sr", "first", "second")
    eq(r.stderr.splitlines()[0], "pfctl-linux: unknown command line argument: first ...")


def test_usage_names_what_there_is():
    """Each letter of the usage is an option, and each option is there."""
    usage = pfctl("-h").stdout
    letters = set(re.search(r"\[-(\w+)\]", usage)[1])
    letters |= set(re.findall(r"\[-(\w) ", usage)) | set(re.findall(r" -(\w) ", usage))
    for letter in sorted(letters):
        r = pfctl(f"-{letter}")
        eq("invalid option" in r.stderr, False, f"-{letter}")
    for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ":
        if letter not in letters:
            eq("invalid option" in pfctl(f"-{letter}").stderr, True, f"-{letter}")


def test_help_and_version():
    for args in (["-h"], ["--help"], ["-h", "-Z"]):
        r = pfctl(*args)
        eq((r.returncode, r.stderr), (0, ""))
        matches(r.stdout, USAGE)
    r = pfctl("--version")
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
         for m in ("queue", "Interfaces", "osfp")),
       *((f"-F {m}", ["-F", m], f"-F {m} is not supported yet")
         for m in ("osfp",)),
       *((f"-k {m} {what}", ["-k", m, *more], f"no {m} specified")
         for m in ("label", "id", "key", "gateway", "nat")
         for what, more in (("alone", []), ("empty", ["-k", ""]))),
       *((f"-k id {text}", ["-k", "id", "-k", text], "wrong id format specified")
         for text in ("x", "-1", "0x1", "1 2", "1/", "/1", "1/x", "1/2/3", "1/100000000",
                      "10000000000000000")),
       ("-k id 0", ["-k", "id", "-k", "0/1"], "cannot kill id 0"),
       *((f"-k key {text}", ["-k", "key", "-k", text],
          'key must be "protocol host1:port1 direction host2:port2" format')
         for text in ("x", "tcp", "tcp 192.0.2.1:1 ->", "tcp 192.0.2.1:1 -> 192.0.2.2:2 x",
                      "tcp 192.0.2.1:1->192.0.2.2:2")),
       ("-k key protocol", ["-k", "key", "-k", "none 192.0.2.1:1 -> 192.0.2.2:2"],
        "invalid protocol: none"),
       ("-k key protocol 256", ["-k", "key", "-k", "256 192.0.2.1:1 -> 192.0.2.2:2"],
        "invalid protocol: 256"),
       ("-k key direction", ["-k", "key", "-k", "tcp 192.0.2.1:1 to 192.0.2.2:2"],
        "invalid direction: to"),
       *((f"-k key host {text}", ["-k", "key", "-k", f"tcp 192.0.2.1:1 <- {text}"],
          f"invalid host: {text}")
         for text in ("host:1", "192.0.2.2:", "192.0.2.2:x", "192.0.2.2:65536", "192.0.2.2[1]",
                      "192.0.2.2:-1", "192.0.2.2:1]", "2001:db8::1[1", "2001:db8::1]")),
       ("-k key families", ["-k", "key", "-k", "tcp 192.0.2.1:1 -> 2001:db8::1[1]"],
        "invalid host: 2001:db8::1[1]"),
       ("-k label too long", ["-k", "label", "-k", 64 * "x"], "label too long, max 63 characters"),
       ("-i too long", ["-ss", "-i", 16 * "x"], f"invalid interface: {16 * 'x'}"),
       ("-i empty", ["-ss", "-i", ""], "invalid interface: "),
       ("-i of rules", ["-sr", "-i", "ext"], "-i goes with -s states, -F states and -k"),
       ("-i of -F", ["-F", "rules", "-i", "ext"], "-i goes with -s states, -F states and -k"),
       ("-M of -s", ["-ss", "-M"], "-M goes with -k and -F states"),
       ("-R of -s", ["-si", "-R", "0"], "-R goes with -s states and -s rules"),
       *((f"-R {text}", ["-ss", "-R", text], f"-R takes the number of a rule, not '{text}'")
         for text in ("", "x", "-1", "1x", "4294967295")),
       ("--json of -f", ["--json", "-f", "-"], "--json goes with -s, -T show and --monitor"),
       ("--json of --dump-program --monitor", ["--json", "--monitor", "--dump-program"],
        "--json goes with -s, -T show and --monitor"),
       ("--json of -s --monitor", ["--json", "-sr", "--monitor"],
        "--json shows one thing at a time"),
       ("--json of -T --monitor", ["--json", "--monitor", "-t", "t", "-T", "show"],
        "--json shows one thing at a time"),
       ("--json of -T", ["--json", "-t", "t", "-T", "test", SRC],
        "--json goes with -s, -T show and --monitor"),
       ("--json of --dump-program", ["--json", "-sr", "--dump-program"],
        "--json goes with -s, -T show and --monitor"),
       ("--json of two", ["--json", "-sr", "-t", "t", "-T", "show"],
        "--json shows one thing at a time"),
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
       *((f"-T expire {n}", ["-t", "t", "-T", "expire", *n], "-T expire takes a number of seconds")
         for n in ([], ["1", "2"], ["x"], ["1x"], [""], ["1.5"], ["4294967296"], ["-f", "-"],
                   ["1", "-f", "-"])),
       ("-T add of file", ["-t", "t", "-T", "add", "-f", "/nonexistent/file"],
        "/nonexistent/file: No such file or directory"),
       ("-f of file", ["-f", "/nonexistent/file"],
        "/nonexistent/file: No such file or directory"),
       ("-nf of file", ["-nf", "/nonexistent/file"],
        "/nonexistent/file: No such file or directory"))
def test_refused(_name, args, why):
    """Seen before pfd is asked for anything: the message is not that it does not answer."""
    r = pfctl(*args)
    eq((r.returncode, r.stdout), (1, ""))
    first, _, rest = r.stderr.partition("\n")
    eq(first, f"pfctl-linux: {why}")
    if rest:  # OpenBSD's pfctl has its usage there, at times
        matches(rest, USAGE)


def test_last_of_two_counts():
    eq(pfctl("-n", "-f", "/nonexistent/file", "-f", "-", text="pass\n").returncode, 0)
    r = pfctl("-s", "rules", "-s", "queue")
    eq(r.stderr, "pfctl-linux: -s queue is not supported yet\n")
    # but each is checked as it is read
    r = pfctl("-s", "nonsense", "-s", "rules")
    eq(r.stderr, "pfctl-linux: unknown show modifier 'nonsense'\n")


def test_nothing_to_do():
    """Options that only say how are no error, and nobody is asked."""
    for args in (["-q"], ["-v"], ["-vv"], ["-n"], ["-P"], ["-o", "none"], ["-D", "a=b"]):
        r = pfctl(*args)
        eq((r.returncode, r.stdout, r.stderr), (0, "", ""), " ".join(args))


@cases(("enable", ["-e"]), ("disable", ["-d"]), ("debug", ["-x", "debug"]),
       ("flush", ["-F", "all"]), ("zero", ["-z"]), ("all", ["-d", "-e", "-F", "rules", "-z"]))
def test_dry_run_says_nothing(_name, args):
    """-n switches them off: nothing was enabled or cleared, and so nothing is claimed."""
    r = pfctl("-n", *args)
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
        lab.pf.load("pass\n", "-e")
        eq(lab.src.ping(FW_SRC), True)
        for args in (["-k", "192.0.2.0/33"], ["-k", SRC, "-k", "nonsense/8"], ["-k", ""],
                     ["-k", "gateway", "-k", "::/129"], ["-k", "nat", "-k", "1.2"],
                     ["-K", "192.0.2.0/x"], ["-K", SRC, "-K", "::/"], ["-k", "id", "-k", "x"],
                     ["-t", "t", "-T", "add", SRC, "192.0.2.0/33"]):
            r = lab.pf.ctl("-N", "-F", "states", *args, check=False)
            eq((r.returncode, len(lab.pf.states())), (1, 1), " ".join(args))
            absent(r.stderr, "cleared")


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
                         "source tracking entries cleared", "pf: statistics cleared",
                         "pf: interface flags reset"]))
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
                                                  "source tracking entries cleared",
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
