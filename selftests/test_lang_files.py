# SPDX-License-Identifier: BSD-2-Clause
"""Files that other files are read from: where errors in them are said to be, what is no file,
and files that hold themselves.  pfctl-linux(8), DIAGNOSTICS, says what is right.
"""
import os
import subprocess

from pft.check import cases, eq, lines_eq, matches
from pft.lab import PFCTL
from pft.pfctl import (BAD, ERROR, OK, Files, accepted, call, check, golden, golden_names, refused,
                       summary, write)


# --- errors in other files ---

INCLUDED = [
    ("an included file", {
        "pf.conf": 'pass in\ninclude "one.conf"\nblock nonsense\n',
        "one.conf": "pass out\n\tblock from { 192.0.2.300 }\npass nonsense\n"}, """\
one.conf:2:15: 192.0.2.300 is not an address
    \tblock from { 192.0.2.300 }
    \t             ^~~~~~~~~~~
    included at pf.conf:2
one.conf:3:6: syntax error: unexpected "nonsense"
    pass nonsense
         ^~~~~~~~
    included at pf.conf:2
pf.conf:3:7: syntax error: unexpected "nonsense"
    block nonsense
          ^~~~~~~~
"""),
    ("the included file has none", {
        "pf.conf": 'include "one.conf"\n\n  pass nonsense\n', "one.conf": "pass\n" * 7}, """\
pf.conf:3:8: syntax error: unexpected "nonsense"
      pass nonsense
           ^~~~~~~~
"""),
    # names are relative to where pfctl-linux runs, not to the file
    ("files in files", {
        "pf.conf": "include one.conf\npass nonsense1\n",
        "one.conf": '# one\ninclude "d/two.conf"\npass nonsense2\n',
        "d/two.conf": 'include "d/three.conf"\npass nonsense3\n',
        "d/three.conf": "pass from $undefined\n"}, """\
d/three.conf:1:11: macro 'undefined' is not defined
    pass from $undefined
              ^~~~~~~~~~
    included at d/two.conf:1
    included at one.conf:2
    included at pf.conf:1
d/two.conf:2:6: syntax error: unexpected "nonsense3"
    pass nonsense3
         ^~~~~~~~~
    included at one.conf:2
    included at pf.conf:1
one.conf:3:6: syntax error: unexpected "nonsense2"
    pass nonsense2
         ^~~~~~~~~
    included at pf.conf:1
pf.conf:2:6: syntax error: unexpected "nonsense1"
    pass nonsense1
         ^~~~~~~~~
"""),
    ("one file twice", {
        "pf.conf": "include one.conf\npass\ninclude one.conf\n", "one.conf": "block nonsense"},
     """\
one.conf:1:7: syntax error: unexpected "nonsense"
    block nonsense
          ^~~~~~~~
    included at pf.conf:1
one.conf:1:7: syntax error: unexpected "nonsense"
    block nonsense
          ^~~~~~~~
    included at pf.conf:3
"""),
    # the text of an included file ends with a line, whether it says so or not
    ("the last line of a file", {
        "pf.conf": "include one.conf\nin\n", "one.conf": "pass to"}, """\
one.conf:1:8: syntax error: unexpected end of line, expected an address
    pass to
           ^
    included at pf.conf:1
pf.conf:2:1: syntax error: unexpected "in"
    in
    ^~
"""),
    ("a string without an end", {
        "pf.conf": 'include one.conf\npass label "fine"\npass nonsense\n',
        "one.conf": 'pass label "begins\npass\n'}, """\
one.conf:1:12: string has no end
    pass label "begins
               ^
    included at pf.conf:1
pf.conf:3:6: syntax error: unexpected "nonsense"
    pass nonsense
         ^~~~~~~~
"""),
    ("macros of both", {
        "pf.conf": 'bad = 192.0.2.300\ninclude one.conf\npass to $worse\n',
        "one.conf": "# one\nworse = $bad\npass from $bad\n"}, """\
one.conf:3:11: 192.0.2.300 is not an address
    pass from $bad
              ^~~~
    in expansion of $bad, defined at pf.conf:1
    included at pf.conf:2
pf.conf:3:9: 192.0.2.300 is not an address
    pass to $worse
            ^~~~~~
    in expansion of $worse, defined at one.conf:2
"""),
    ("an include that fails", {
        "pf.conf": 'name = "none.conf"\ninclude $name\ninclude "one.conf"\n',
        "one.conf": "include none.conf\n"}, """\
pf.conf:2:9: cannot include none.conf: No such file or directory
    include $name
            ^~~~~
    in expansion of $name, defined at pf.conf:1
one.conf:1:9: cannot include none.conf: No such file or directory
    include none.conf
            ^~~~~~~~~
    included at pf.conf:3
"""),
    ("words behind include", {
        "pf.conf": 'include\ninclude "a" b\ninclude { a }\ninclude 5\n'}, """\
pf.conf:1:8: syntax error: unexpected end of line, expected a file's name
    include
           ^
pf.conf:2:13: syntax error: unexpected "b", expected end of line
    include "a" b
                ^
pf.conf:3:9: syntax error: unexpected "{", expected a file's name
    include { a }
            ^
pf.conf:4:9: syntax error: unexpected "5", expected a file's name
    include 5
            ^
"""),
    ("a table's file", {
        "pf.conf": 'table <t> file "list"\npass from <t>\npass nonsense\n',
        "list": "192.0.2.1 !192.0.2.2/33 # not this: 192.0.2.301\n\n\t192.0.2.300 ; nor 10.1\n"},
     """\
list:1:11: prefix length 33 is out of range (0 to 32)
    192.0.2.1 !192.0.2.2/33 # not this: 192.0.2.301
              ^~~~~~~~~~~~~
    included at pf.conf:1
list:3:2: 192.0.2.300 is not an address
    \t192.0.2.300 ; nor 10.1
    \t^~~~~~~~~~~
    included at pf.conf:1
pf.conf:3:6: syntax error: unexpected "nonsense"
    pass nonsense
         ^~~~~~~~
"""),
    ("a table's file of an included file", {
        "pf.conf": "include one.conf\n",
        "one.conf": 'table <t> {\n\t192.0.2.1 } \\\n\tfile "list"\n', "list": "name.example\n"},
     """\
list:1:1: could not resolve "name.example": names are not looked up
    name.example
    ^~~~~~~~~~~~
    included at one.conf:3
    included at pf.conf:1
"""),
    # one of its own: other macros, and its names are not the others'
    ("a loaded anchor", {
        "pf.conf": 'm = lo\nanchor "a"\nload anchor "a" from "a.conf"\npass on $n\n',
        "a.conf": "n = lo\npass on $m\npass on $n nonsense\ninclude one.conf\n",
        "one.conf": "block nonsense\n"}, """\
a.conf:2:9: macro 'm' is not defined
    pass on $m
            ^~
    included at pf.conf:3
a.conf:3:12: syntax error: unexpected "nonsense"
    pass on $n nonsense
               ^~~~~~~~
    included at pf.conf:3
one.conf:1:7: syntax error: unexpected "nonsense"
    block nonsense
          ^~~~~~~~
    included at a.conf:4
    included at pf.conf:3
pf.conf:4:9: macro 'n' is not defined
    pass on $n
            ^~
"""),
    ("a loaded anchor's loaded anchor", {
        "pf.conf": "include one.conf\n", "one.conf": '\nload anchor a from "a.conf"\n',
        "a.conf": 'load anchor "a/b" from "b.conf"\nanchor "b" {\n\tpass nonsense\n}\n',
        "b.conf": "pass in in\n"}, """\
b.conf:1:9: syntax error: unexpected "in"
    pass in in
            ^~
    included at a.conf:1
    included at one.conf:2
    included at pf.conf:1
a.conf:3:7: syntax error: unexpected "nonsense"
    \tpass nonsense
    \t     ^~~~~~~~
    included at one.conf:2
    included at pf.conf:1
"""),
]


@cases(*INCLUDED)
def test_other_files(_name, files, want):
    refused(files, want)


def with_origin(said, name, line):
    """What is said of a file, when it is read from that line of pf.conf."""
    out = []
    for text in said.splitlines()[:-1]:
        if text.startswith(f"{name}:") and out:
            out.append(f"    included at pf.conf:{line}")
        out.append(text)
    if out[-1].endswith(": too many errors"):
        out[-2:] = [f"    included at pf.conf:{line}", "pf.conf: too many errors"]
    else:
        out.append(f"    included at pf.conf:{line}")
    return "\n".join(out) + "\n"


def refused_from(name, text, line):
    """It has the errors that it has by itself, and where it is read from, that line of text."""
    files = {"pf.conf": text, f"{name}.conf": golden(BAD, name + ".conf")}
    want = with_origin(golden(BAD, name + ".err"), name + ".conf", line)
    with Files(files) as d:
        # without -N, as the golden files are
        r = call([PFCTL, "-o", "none", "-nf", "pf.conf"], cwd=d.dir)
    lines_eq(r.stderr, want + summary(want, "pf.conf"))
    eq((r.returncode, r.stdout), (1, ""))


@cases(*golden_names(BAD))
def test_golden_errors_included(name):
    refused_from(name, f"pass\n\ninclude {name}.conf\n", 3)


@cases(*[n for n in golden_names(BAD) if n != ("too_many",)])
def test_golden_errors_loaded(name):
    refused_from(name, f'load anchor "a" from {name}.conf\n', 1)


@cases(*golden_names(OK))
def test_golden_files_included(name):
    """And one without errors means what it means by itself."""
    r = check({"pf.conf": f'include "{name}.conf"\n', f"{name}.conf": golden(OK, name + ".conf")})
    eq((r.returncode, ERROR.findall(r.stderr)), (0, []))
    lines_eq(r.stdout, golden(OK, name + ".out"))


def test_included_text_stands_in_its_place():
    """As if it stood there: a list may go on behind the file that it began in."""
    accepted({"pf.conf": "include one.conf\n192.0.2.2 }\nblock $dir\n",
              "one.conf": 'dir = "out"\npass from { 192.0.2.1\n'},
             'dir = "out"\npass inet from 192.0.2.1 to any flags S/SA\n'
             "pass inet from 192.0.2.2 to any flags S/SA\nblock drop out all\n")
    accepted({"pf.conf": 'anchor "a" {\n\tinclude one.conf\n}\ninclude "/dev/null"\npass out\n',
              "one.conf": "block in\nblock out"},
             'anchor "a" all {\n  block drop in all\n  block drop out all\n}\n'
             "pass out all flags S/SA\n")


def test_define_is_for_loaded_anchors_too():
    refused({"pf.conf": 'load anchor "a" from "a.conf"\n', "a.conf": "pass from $m\n"}, """\
a.conf:1:11: 192.0.2.300 is not an address
    pass from $m
              ^~
    in expansion of $m, defined on the command line
    included at pf.conf:1
""", "-D", "m=192.0.2.300")


# --- files that hold themselves ---

@cases(
    ("directly", "pf.conf", {"pf.conf": "pass\ninclude pf.conf\n"}, """\
pf.conf:2:9: pf.conf includes itself
    include pf.conf
            ^~~~~~~
"""),
    ("through another one", "pf.conf", {
        "pf.conf": "include one.conf\n", "one.conf": "include two.conf\npass nonsense\n",
        "two.conf": 'pass\n  include "./one.conf"\n'}, """\
two.conf:2:11: ./one.conf includes itself
      include "./one.conf"
              ^~~~~~~~~~~~
    included at one.conf:1
    included at pf.conf:1
one.conf:2:6: syntax error: unexpected "nonsense"
    pass nonsense
         ^~~~~~~~
    included at pf.conf:1
"""),
    ("through a symbolic link", "pf.conf", {"pf.conf": "include link.conf\n"}, """\
pf.conf:1:9: link.conf includes itself
    include link.conf
            ^~~~~~~~~
"""),
    ("opened as a symbolic link", "link.conf", {"pf.conf": "include pf.conf\n"}, """\
link.conf:1:9: pf.conf includes itself
    include pf.conf
            ^~~~~~~
"""),
    ("from inside of an anchor", "pf.conf", {
        "pf.conf": 'anchor "a" {\n\tinclude pf.conf\n\tpass nonsense\n}\n'}, """\
pf.conf:2:10: pf.conf includes itself
    \tinclude pf.conf
    \t        ^~~~~~~
pf.conf:3:7: syntax error: unexpected "nonsense"
    \tpass nonsense
    \t     ^~~~~~~~
"""),
)
def test_includes_itself(_name, first, files, want):
    with Files(files) as d:
        os.symlink("pf.conf", os.path.join(d.dir, "link.conf"))
        r = d.pfctl("-vnf", first)
    lines_eq(r.stderr, want + summary(want, first))
    eq((r.returncode, r.stdout), (1, ""))


def test_hard_link_includes_itself():
    with Files({"pf.conf": "include hard.conf\n"}) as d:
        os.link(os.path.join(d.dir, "pf.conf"), os.path.join(d.dir, "hard.conf"))
        r = d.pfctl("-nf", "pf.conf")
    eq(ERROR.findall(r.stderr), [("pf.conf", "1", "9", "hard.conf includes itself")])


@cases(("one file", {"pf.conf": 'pass\nload anchor "a" from "pf.conf"\n'}, "pf.conf", 2),
       ("two files", {"pf.conf": 'load anchor "a" from "a.conf"\n',
                      "a.conf": '\nload anchor "a" from "pf.conf"\n'}, "pf.conf", 1))
def test_loads_itself(_name, files, where, line):
    """Such a file is not known for what it is, but it ends; and it is said once."""
    r = check(files)
    eq((r.returncode, r.stdout), (1, ""))
    eq(ERROR.findall(r.stderr), [(where, str(line), "22", "anchors load files too deeply")])
    eq(r.stderr.count("\n    included at "), 16)


@cases(("deep enough", 16, 0), ("too deep", 17, 1))
def test_depth_of_includes(_name, depth, status):
    """pf.conf(5), INCLUDE: 16 deep, and the place of the seventeenth is named."""
    files = {"pf.conf": "include f1\n"}
    files.update({f"f{i}": f"include f{i + 1}\n" for i in range(1, depth)})
    files[f"f{depth}"] = "pass\n"
    r = check(files)
    eq((r.returncode, r.stdout), (status, "" if status else "pass all flags S/SA\n"))
    eq(ERROR.findall(r.stderr),
       [("f16", "1", "9", "files are included too deeply")] * status)
    eq(r.stderr.count("    included at "), 16 * status)


# --- files that are none ---

# How a file can be asked for, the place of its name, and what is said in front of why.
ASKED = [("include", 'include "{}"', "1:9", "cannot include {}"),
         ("load anchor", 'load anchor "a" from "{}"', "1:22", "cannot load {}"),
         ("a table's file", 'table <t> file "{}"', "1:16", 'cannot load "{}"')]
NO_FILES = [("missing", "none", "No such file or directory"),
            ("a directory", "d", "Is a directory"),
            ("in a file", "pf.conf/x", "Not a directory"),
            ("in a missing directory", "none/x", "No such file or directory"),
            ("a socket", "sock", "No such device or address"),
            ("a link to itself", "loop", "Too many levels of symbolic links"),
            ("without an end", "/dev/zero", "File too large"),
            ("with an error", "/proc/self/mem", "Input/output error"),
            ("unreadable", "secret", "Permission denied"),
            ("no name", "", "No such file or directory"),
            ("a long name", "x" * 5000, "File name too long")]


def odd_files(d):
    """What NO_FILES names, in the directory of d."""
    os.mkdir(os.path.join(d.dir, "d"))
    os.symlink("loop", os.path.join(d.dir, "loop"))
    write(d.dir, {"secret": "pass\n"})
    os.chmod(os.path.join(d.dir, "secret"), 0)
    r = subprocess.run(["python3", "-c", "import socket\n"
                        "socket.socket(socket.AF_UNIX).bind('sock')"], cwd=d.dir, check=False)
    eq(r.returncode, 0)


# Root reads everything, unless it gives that up.
AS_ANYBODY = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


@cases(*[(f"{how}: {what}", statement, place, said, name, why)
         for how, statement, place, said in ASKED for what, name, why in NO_FILES])
def test_no_file(_name, statement, place, said, name, why):
    with Files({"pf.conf": statement.format(name) + "\npass nonsense\n"}) as d:
        odd_files(d)
        r = d.pfctl("-nf", "pf.conf", before=AS_ANYBODY)
    lines = r.stderr.splitlines()
    eq((r.returncode, lines[0]), (1, f"pf.conf:{place}: {said.format(name)}: {why}"))
    eq(lines[-4:], ['pf.conf:2:6: syntax error: unexpected "nonsense"', "    pass nonsense",
                    "         ^~~~~~~~", "pfctl-linux: 2 errors in pf.conf: rules not loaded"])


@cases(*[n for n in NO_FILES if n[0] != "without an end"],
       ("without an end", "/dev/zero", "larger than 64 MB"))
def test_no_rules_file(_name, name, why):
    with Files({"pf.conf": "pass\n"}) as d:
        odd_files(d)
        r = d.pfctl("-nf", name, before=AS_ANYBODY)
    eq((r.returncode, r.stdout, r.stderr), (1, "", f"pfctl-linux: {name}: {why}\n"))


@cases(("include", "include pipe", "pass in\n", "pass in all flags S/SA\n"),
       ("a table's file", "table <t> file pipe\npass from <t>", "192.0.2.1\n",
        'table <t> file "pipe"\npass from <t> to any flags S/SA\n'),
       ("load anchor", "load anchor a from pipe", "pass in\n", 'load anchor "a" from "pipe"\n'))
def test_pipe(_name, statement, content, want):
    """What somebody writes is read to its end, if it takes its time; and its errors are named."""
    for text, status in ((content, 0), (content + "pass from 192.0.2.300\n", 1)):
        with Files({"pf.conf": statement + "\n"}) as d:
            os.mkfifo(os.path.join(d.dir, "pipe"))
            with subprocess.Popen(["sh", "-c", "exec >pipe; sleep 0.1; printf '%s' \"$1\"", "sh",
                                   text], cwd=d.dir) as p:
                r = d.pfctl("-vnf", "pf.conf")
                eq(p.wait(), 0)
        if status:
            eq((r.returncode, r.stdout), (1, ""))
            matches(r.stderr, r"^pipe:2:\d+: ")
        else:
            eq((r.returncode, r.stderr, r.stdout), (0, "", want))


def test_files_that_are_empty():
    with Files({"empty": "", "pf.conf": """\
include "/dev/null"
include empty
table <t> file "/dev/null" file empty { }
load anchor "a" from "/dev/null"
load anchor "b" from empty
pass from <t>
"""}) as d:
        for name, want in (("empty", ""), ("/dev/null", ""), ("pf.conf", """\
table <t> file "/dev/null" file "empty" { }
load anchor "a" from "/dev/null"
load anchor "b" from "empty"
pass from <t> to any flags S/SA
""")):
            r = d.pfctl("-vnf", name)
            eq((r.returncode, r.stderr), (0, ""))
            lines_eq(r.stdout, want, name)
