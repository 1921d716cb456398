# SPDX-License-Identifier: BSD-2-Clause
"""--offline: files that are checked for another host.  pfctl-linux(8) says what is right."""
import re

from pft import own
from pft.check import cases, contains, eq, lines_eq
from pft.host import NO_COMBINATION, NO_NAME, TWO_MODES, Host
from pft.lab import Lab
from pft.pfctl import Files, pfctl


# --- warnings ---

def offline(text, out, err="", *args):
    """Accepted with these warnings, printed as this; and that is printed as itself."""
    r = pfctl("-o", "none", "--offline", *args, "-vnf", "-", text=text)
    eq(r.returncode, 0, r.stderr)
    lines_eq(r.stdout, out)
    lines_eq(r.stderr, err)
    again = pfctl("-o", "none", "--offline", *args, "-vnf", "-", text=r.stdout)
    lines_eq(again.stdout, out, "printed again")
    # not only on request: something is missing in what was checked
    r = pfctl("-o", "none", "--offline", *args, "-nf", "-", text=text)
    eq((r.returncode, r.stdout), (0, ""))
    lines_eq(r.stderr, err)


def not_looked_up(line, column, name, source, length=None):
    return (f'stdin:{line}:{column}: warning: "{name}" is not looked up\n    {source}\n'
            f"    {' ' * (column - 1)}^{'~' * ((length or len(name)) - 1)}\n")


@cases(
    ("on", "pass on none0\n", "pass on none0 all flags S/SA\n"),
    ("negated", "block in quick on ! none0\n", "block drop in quick on ! none0 all\n"),
    ("list", "pass on { none0, ! none1 }\n",
     "pass on none0 all flags S/SA\npass on ! none1 all flags S/SA\n"),
    ("in parentheses", "pass from (none0) to ! (none1:network)\n",
     "pass from (none0) to ! (none1:network) flags S/SA\n"),
    ("received-on", "pass out received-on none0\n",
     "pass out all received-on none0 flags S/SA\n"),
    ("set", "set skip on none0\nset loginterface none1\n",
     "set skip on { none0 }\nset loginterface none1\n"),
    ("antispoof", "antispoof quick for none0\n",
     "block drop in quick on ! none0 from none0:network to any\n"
     "block drop in quick from none0 to any\n"),
    ("anchor", "anchor on none0 {\n\tpass on none1\n}\n",
     "anchor on none0 all {\n  pass on none1 all flags S/SA\n}\n"),
    ("queue", "queue q on none0 bandwidth 5M default\n",
     "queue q on none0 bandwidth 5M default\n"),
    ("scope", "pass in from fe80::1%none0\n",
     "pass in on none0 inet6 from fe80::1 to any flags S/SA\n"),
    ("old rules", "nat on none0 inet from 10/8 to any -> (none1)\n",
     "nat on none0 inet from 10.0.0.0/8 to any -> (none1) round-robin\n"),
    ("route", "pass in route-to (none0 192.0.2.1)\n", None),
)
def test_offline_interfaces(_name, text, out):
    """They are taken as there, without a word, with --lint as well."""
    if out is None:
        out = pfctl("-o", "none", "-vnf", "-", text=text).stdout
        contains(out, "none0")
    offline(text, out)
    eq(pfctl("-o", "none", "--offline", "--lint", "-nf", "-", text=text).stderr.replace(
        "table", ""), "")


@cases(
    ("source", "pass from none.example\n", "pass from none.example to any flags S/SA\n",
     [(1, 11, "none.example")]),
    ("negated", "pass to ! none.example\n", "pass from any to ! none.example flags S/SA\n",
     [(1, 11, "none.example")]),
    ("in a list", "block from { 192.0.2.1 none.example }\n",
     "block drop inet from 192.0.2.1 to any\nblock drop from none.example to any\n",
     [(1, 24, "none.example")]),
    ("both sides", "block from a.example to b.example\n",
     "block drop from a.example to b.example\n",
     [(1, 12, "a.example"), (1, 25, "b.example")]),
    ("with a family", "pass inet6 from none.example\n",
     "pass inet6 from none.example to any flags S/SA\n", [(1, 17, "none.example")]),
    ("first address", "pass from none.example:0\n", "pass from none.example:0 to any flags S/SA\n",
     [(1, 11, "none.example:0")]),
    ("localhost, too", "pass from localhost\n", "pass from localhost to any flags S/SA\n",
     [(1, 11, "localhost")]),
    ("an interface that is here", "pass from lo\npass to lo:network\n",
     "pass from lo to any flags S/SA\npass from any to lo:network flags S/SA\n",
     [(1, 11, "lo"), (2, 9, "lo:network")]),
    ("a pool", "pass in rdr-to none.example\n", "pass in all flags S/SA rdr-to none.example\n",
     [(1, 16, "none.example")]),
)
def test_offline_names(_name, text, out, names):
    """They stand for themselves, and each is said."""
    lines = text.splitlines()
    offline(text, out, "".join(not_looked_up(n, c, name, lines[n - 1]) for n, c, name in names))
    # -N is about errors, and this is none
    offline(text, out, "".join(not_looked_up(n, c, name, lines[n - 1]) for n, c, name in names),
            "-N")


def test_offline_name_with_prefix_length():
    text = "pass from none.example/24"
    offline(text + "\n", "pass from none.example/24 to any flags S/SA\n",
            not_looked_up(1, 11, "none.example", text, len("none.example/24")))


def test_offline_name_in_a_table():
    text = "table <t> { 192.0.2.1 none.example !other.example }"
    offline(text + "\npass from <t>\n",
            text + "\npass from <t> to any flags S/SA\n",
            not_looked_up(1, 23, "none.example", text)
            + not_looked_up(1, 37, "other.example", text))


def test_offline_is_no_excuse():
    """What is wrong on every host is an error."""
    for text, message in (("pass from 192.0.2.300", "192.0.2.300 is not an address"),
                          ("pass on $none", "macro 'none' is not defined"),
                          ("pass proto nonsense", "unknown protocol nonsense"),
                          ("pass proto tcp to port nonsense", "unknown port nonsense"),
                          ("pass from lo:nonsense", "lo:nonsense is not an address"),
                          ("pass on interface-too-long", "is too long"),
                          ('include "/"', "cannot include /: Is a directory")):
        r = pfctl("--offline", "-nf", "-", text=text + "\n")
        eq((r.returncode, r.stdout), (1, ""), text)
        contains(r.stderr.splitlines()[0], message)
        eq(r.stderr.splitlines()[-1], "pfctl-linux: 1 error in stdin: rules not loaded")


@cases(
    ("include", "include none.conf\npass\n", "pass all flags S/SA\n", """\
stdin:1:9: warning: there is no none.conf: taken as empty
    include none.conf
            ^~~~~~~~~
"""),
    ("include in a directory", 'include "none/none.conf"\n', "", """\
stdin:1:9: warning: there is no none/none.conf: taken as empty
    include "none/none.conf"
            ^~~~~~~~~~~~~~~~
"""),
    ("out of a macro", 'm = none.conf\ninclude $m\n', 'm = "none.conf"\n', """\
stdin:2:9: warning: there is no none.conf: taken as empty
    include $m
            ^~
    in expansion of $m, defined at stdin:1
"""),
    ("a table's file", 'table <t> file none { 192.0.2.1 }\nblock from <t>\n',
     'table <t> file "none" { 192.0.2.1 }\nblock drop from <t> to any\n', """\
stdin:1:16: warning: cannot read none (No such file or directory): taken as empty
    table <t> file none { 192.0.2.1 }
                   ^~~~
"""),
    ("load anchor", "anchor a\nload anchor a from none\n",
     'load anchor "a" from "none"\nanchor "a" all\n', """\
stdin:2:20: warning: there is no none: taken as empty
    load anchor a from none
                       ^~~~
"""),
    ("fingerprints", 'set fingerprints "none"\n', 'set fingerprints "none"\n', ""),
    ("operating system", 'pass proto tcp from any os "NoSuchOS"\n',
     'pass proto tcp from any os "NoSuchOS" to any flags S/SA\n', ""),
)
def test_offline_files(_name, text, out, err):
    offline(text, out, err)


def test_offline_users():
    r = pfctl("--offline", "-nf", "-", text="pass proto tcp user nobody-here\n"
              "block proto udp group > nobody-here\npass proto tcp user root\n")
    eq(r.returncode, 1)
    r = pfctl("--offline", "-nf", "-", text="pass proto tcp user nobody-here\n"
              "block proto udp group nobody-here\npass proto tcp user root\n")
    lines_eq(r.stderr, """\
stdin:1:21: warning: unknown user nobody-here
    pass proto tcp user nobody-here
                        ^~~~~~~~~~~
stdin:2:23: warning: unknown group nobody-here
    block proto udp group nobody-here
                          ^~~~~~~~~~~
""")
    eq(r.returncode, 0)
    # here they are errors
    r = pfctl("-nf", "-", text="pass proto tcp user nobody-here\n")
    eq((r.returncode, r.stderr.splitlines()[0]), (1, "stdin:1:21: unknown user nobody-here"))


def test_offline_and_included_files():
    """What is missing may be named in a file that is not."""
    with Files({"pf.conf": "include one.conf\npass nonsense\n",
                "one.conf": "include two.conf\npass from none.example\n"}) as d:
        r = pfctl("-N", "--offline", "-nf", "pf.conf", cwd=d.dir)
        lines_eq(r.stderr, """\
one.conf:1:9: warning: there is no two.conf: taken as empty
    include two.conf
            ^~~~~~~~
    included at pf.conf:1
one.conf:2:11: warning: "none.example" is not looked up
    pass from none.example
              ^~~~~~~~~~~~
    included at pf.conf:1
pf.conf:2:6: syntax error: unexpected "nonsense"
    pass nonsense
         ^~~~~~~~
pfctl-linux: 1 error in pf.conf: rules not loaded
""")
        eq((r.returncode, r.stdout), (1, ""))
        # the file itself must be there
        r = pfctl("-N", "--offline", "-nf", "none.conf", cwd=d.dir)
        eq((r.returncode, r.stderr), (1, "pfctl-linux: none.conf: No such file or directory\n"))


@cases(("-f", ["-f", "-"]), ("-f and -v", ["-v", "-f", "-"]), ("-e", ["-e"]), ("-s", ["-sr"]),
       ("before -f", ["-o", "none", "-f", "-"]), ("--lint", ["--lint", "-f", "-"]),
       ("--confirm", ["--confirm", "60", "-f", "-"]))
def test_offline_goes_with_n(_name, args):
    """Before anything is read or asked."""
    r = pfctl("--offline", *args, text="pass nonsense\n")
    eq((r.returncode, r.stdout, r.stderr), (1, "", "pfctl-linux: --offline goes with -n\n"))
    r = pfctl(*args, "--offline", text="pass nonsense\n")
    eq((r.returncode, r.stdout, r.stderr), (1, "", "pfctl-linux: --offline goes with -n\n"))


# --- the interfaces of this host do not matter ---

# text, what is printed, columns and names of the warnings
OFFLINE = [
    ("block from nosuch0", "block drop from nosuch0 to any", [(12, "nosuch0")]),
    ("block inet to ! nosuch0", "block drop inet from any to ! nosuch0", [(17, "nosuch0")]),
    ("block from em0", "block drop from em0 to any", [(12, "em0")]),
    ("block from lo0:network", "block drop from lo0:network to any", [(12, "lo0:network")]),
    ("block from nosuch0:0", "block drop from nosuch0:0 to any", [(12, "nosuch0:0")]),
    ("block from nosuch0/24", "block drop from nosuch0/24 to any", [(12, "nosuch0")]),
    ("block from egress", "block drop from egress to any", [(12, "egress")]),
    ("block from www.example", "block drop from www.example to any", [(12, "www.example")]),
    ("block from w.example:0/24", "block drop from w.example:0/24 to any", [(12, "w.example:0")]),
    ("block from nosuch0 to 2001:db8::1", "block drop inet6 from nosuch0 to 2001:db8::1",
     [(12, "nosuch0")]),
    ("block inet6 from { nosuch0 192.0.2.1 2001:db8::1 }",
     "block drop inet6 from nosuch0 to any\nblock drop inet6 from 2001:db8::1 to any",
     [(20, "nosuch0")]),
    ("table <t> { nosuch0 !www.example }\nblock from <t>",
     "table <t> { nosuch0 !www.example }\nblock drop from <t> to any",
     [(13, "nosuch0"), (22, "www.example")]),
    ("pass out on nosuch0 inet nat-to nosuch0",
     "pass out on nosuch0 inet all flags S/SA nat-to nosuch0", [(33, "nosuch0")]),
    ("pass in inet proto tcp rdr-to www.example port 80",
     "pass in inet proto tcp all flags S/SA rdr-to www.example port 80", [(31, "www.example")]),
    ("pass in inet route-to gw.example@nosuch0",
     "pass in inet all flags S/SA route-to (nosuch0 gw.example)", [(23, "gw.example")]),
    ("antispoof quick for nosuch0", "block drop in quick on ! nosuch0 from nosuch0:network to any\n"
     "block drop in quick from nosuch0 to any", []),
    ("antispoof for { em0 lo0 } inet", "block drop in on ! em0 inet from em0:network to any\n"
     "block drop in inet from em0 to any\nblock drop in on ! lo0 inet from lo0:network to any", []),
    ("block on nosuch0 from (nosuch0)", "block drop on nosuch0 from (nosuch0) to any", []),
    ("block from 192.0.2.1", "block drop inet from 192.0.2.1 to any", []),
]
OFFLINE_REFUSED = [
    ("block from 1.2", 12, "1.2 is not an address"),
    ("block from 192.0.2.300", 12, "192.0.2.300 is not an address"),
    ("block from nosuch0:nonsense", 12, "nosuch0:nonsense is not an address"),
    ("block from (nosuch0:nonsense)", 12, "interface nosuch0:nonsense has a bad modifier"),
    ("block from 192.0.2.1 to 2001:db8::1", 1, NO_COMBINATION + "2001:db8::1 is no IPv4 address"),
    ("block from nosuch0:network/24", 12, "nosuch0:network has its prefix length from the interface"),
    ("block from em0:broadcast/32", 12, "em0:broadcast has its prefix length from the interface"),
    ("block from self:network/8", 12, "self:network has its prefix length from the interface"),
    ("table <t> { nosuch0:network/24 }", 13,
     "nosuch0:network has its prefix length from the interface"),
    ("block from nosuch0:network:peer", 12, TWO_MODES),
    ("block from a-very-long-name0:network", 12, "a-very-long-name0:network is not an address"),
    ("antispoof for any", 15, NO_NAME),
]


@cases(("with these interfaces", None), ("without them", {}))
def test_offline(_name, interfaces):
    """Names stand for themselves, whatever the host that the file is checked on."""
    with Host(interfaces=interfaces) as host:
        for text, want, warnings in OFFLINE:
            r = host.run(text, "--offline")
            eq(r.returncode, 0, r.stderr)
            lines_eq(r.stdout, want, text)
            eq([(int(c), n) for c, n in re.findall(
                r'^stdin:\d+:(\d+): warning: "(.*)" is not looked up$', r.stderr, re.M)], warnings,
               text)
            eq(r.stderr.count("warning:"), len(warnings), r.stderr)
            lines_eq(host.run(r.stdout, "--offline").stdout, r.stdout, f"{text}, printed again")
        for text, column, message in OFFLINE_REFUSED:
            host.refuses(text, column, message, how="--offline")


def test_offline_files_on_a_host():
    """A file that is not here is empty, with a warning; one that is, is read."""
    used = "block drop from <t> to any"
    with Host(interfaces={}) as host, own.directory() as d:
        for text, want, at, what in [
                (f'table <t> file "{d}/f"\n{used}', None, "1:16", f"cannot read {d}/f "),
                (f'block out\ninclude "{d}/f"\nblock in',
                 "block drop out all\nblock drop in all", "2:9", f"there is no {d}/f:"),
                (f'load anchor "a" from "{d}/f"', None, "1:22", f"there is no {d}/f:")]:
            r = host.run(text, "--offline")
            eq(r.returncode, 0, r.stderr)
            lines_eq(r.stdout, want or text, text)
            contains(r.stderr, f"stdin:{at}: warning: {what}", text)
            contains(r.stderr.splitlines()[0], "taken as empty", text)
            eq(host.run(text).returncode, 1, text)
        with open(f"{d}/f", "w", encoding="utf-8") as f:
            f.write("nonsense nonsense\n")
        for text in (f'include "{d}/f"', f'load anchor "a" from "{d}/f"'):
            r = host.run(text, "--offline")
            eq((r.returncode, r.stdout), (1, ""), text)
            contains(r.stderr, f"{d}/f:1:1: syntax error")


def test_offline_does_not_come_into_force():
    """What is for another host cannot come into force here."""
    with Lab(hosts=2, rules="block out\n") as lab:
        for args in (("-f", "-"), ("-e", "-f", "-"), ("-Fa",), ("-sr",)):
            r = lab.pf.ctl("--offline", *args, input="pass from nosuch0\n", check=False)
            eq((r.returncode, r.stdout, r.stderr), (1, "", "pfctl-linux: --offline goes with -n\n"))
        r = lab.pf.ctl("-n", "--offline", "-f", "-", input="pass from nosuch0\n")
        eq((r.stdout, r.stderr.startswith("stdin:1:11: warning:")), ("", True))
        eq(lab.pf.rules(), ["block drop out all"])
