# SPDX-License-Identifier: BSD-2-Clause
"""pfctl-linux -t and -T: tables from the command line, held against OpenBSD's pfctl(8)."""
import re
import signal
import time

from pft.check import between, contains, eq, lines_eq, matches, timeout
from pft.lab import FW_SRC, SRC, Lab
from pft.pfctl import run


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


def ages(lab, *args):
    """-vT show: {address: seconds}."""
    lines = lab.pf.ctl(*args, "-v", "-T", "show").stdout.splitlines()
    eq([line[:14] for line in lines[1::2]], ["\tCleared:     "] * (len(lines) // 2))
    now = time.time()
    return {a.strip(): now - time.mktime(time.strptime(line[14:]))
            for a, line in zip(lines[::2], lines[1::2])}


@timeout(120)
def test_table_expire():
    """pfctl(8): what was last cleared more than so many seconds ago."""
    rules = "table <t> { 192.0.2.1 !192.0.2.2 2001:db8::/32 }\nblock from <t>\n"
    old = {"192.0.2.1", "!192.0.2.2", "2001:db8::/32"}
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        def table(*args, **kw):
            run(lab, *args[:1], "-t", "t", "-T", *args[1:], **kw)
        eq(set(ages(lab, "-t", "t")), old)
        time.sleep(4.1)
        # what they are in stays, and what comes anew begins now: another pfd, another load
        lab.pf.stop(signal.SIGKILL)
        lab.pf.start()
        lab.pf.load(rules.replace("}", "192.0.2.3 }"))
        table("-v", "add", "192.0.2.1", "192.0.2.4", out="A  192.0.2.4\n",
              err="1/2 addresses added.\n")
        many = [f"10.{i // 250}.{i % 250}.1" for i in range(600)]
        table("-q", "add", "-f", "-", input="\n".join(many))
        table("-q", "replace", "-f", "-", input="\n".join(many + [*old, "192.0.2.3", "192.0.2.4"]))
        table("-q", "delete", "-f", "-", input="\n".join(many))
        shown = ages(lab, "-t", "t")
        eq(set(shown), old | {"192.0.2.3", "192.0.2.4"})
        for a, age in shown.items():
            between(age, *((4, 60) if a in old else (0, 3.9)), a)
        table("-v", "expire", "1000", err="0/0 addresses expired.\n")
        # one is cleared, and another one's sign changes: they are as new
        table("-vv", "zero", "2001:db8::/32", "192.0.2.77", err="1/2 addresses cleared.\n",
              out="Z  2001:db8::/32\n   192.0.2.77\n")
        table("-q", "replace", "192.0.2.1", "192.0.2.2", "2001:db8::/32", "192.0.2.3",
              "192.0.2.4")
        for dry, dummy in (("-nv", " (dummy)"), ("-v", "")):
            table(dry, "expire", "3", err=f"1/1 addresses expired{dummy}.\n",
                  out="D  192.0.2.1\n")
        run(lab, "-t", "t", "-T", "test", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4",
            err="3/4 addresses match.\n", status=2)
        # all; but not of that second
        time.sleep(2.1)
        run(lab, "-n", "-t", "t", "-T", "zero", err="1 table/stats cleared (dummy).\n")
        run(lab, "-n", "-t", "t", "-T", "expire", "1", err="4/4 addresses expired (dummy).\n")
        run(lab, "-t", "t", "-T", "zero", err="1 table/stats cleared.\n")
        run(lab, "-t", "t", "-T", "expire", "1", err="0/0 addresses expired.\n")
        time.sleep(1.1)
        run(lab, "-t", "t", "-T", "expire", "0", err="4/4 addresses expired.\n")
        run(lab, "-t", "t", "-T", "show")


@timeout(120)
def test_expire_many():
    """In one step; and what is younger stays."""
    with Lab(hosts=2, v6=False, rules="table <t> persist\nblock from <t>\n") as lab:
        many = "".join(f"10.{i // 250}.{i % 250}.1\n" for i in range(600))
        run(lab, "-q", "-t", "t", "-T", "add", "-f", "-", input=many)
        time.sleep(2.1)
        run(lab, "-q", "-t", "t", "-T", "add", SRC)
        run(lab, "-q", "-t", "t", "-T", "zero", "10.0.7.1")
        run(lab, "-t", "t", "-T", "expire", "1", err="599/599 addresses expired.\n")
        run(lab, "-t", "t", "-T", "show", out=f"   10.0.7.1\n   {SRC}\n")
        for command in ("expire", "zero"):
            r = lab.pf.ctl("-t", "none", "-T", command, *["1"] * (command == "expire"), check=False)
            eq((r.returncode, r.stdout), (1, ""))
            matches(r.stderr, r"\Apfctl-linux: Table does not exist\.?\n\Z")


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
                        ["replace", "192.0.2.2"], ["expire", "0"]):
            run(lab, "-t", "c", "-T", *command, status=1,
                err="pfctl-linux: the table is const: only a load can change it\n")
        run(lab, "-t", "c", "-T", "zero", err="1 table/stats cleared.\n")
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
