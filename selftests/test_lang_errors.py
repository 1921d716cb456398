# SPDX-License-Identifier: BSD-2-Clause
"""Where errors of a pf.conf are said to be, through files, macros, lists and anchors; that no
input takes more than its share of time and memory; and that rules with an error never replace
those in force.

pfctl-linux(8), DIAGNOSTICS, says what is right.  Names are not looked up (-N).
"""
import os
import re
import resource
import subprocess
import time

from pft import own
from pft.check import absent, at_least, cases, contains, eq, lines_eq, matches, timeout
from pft.lab import FW_SRC, PFCTL, Lab
from pft.netns import Netns
from pft.pfctl import (BAD, ERROR, MEGA, OK, Files, accepted, call, check, errors, golden,
                       golden_names, refused, said_of, sanitized, summary, write)

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


# --- macros, lists, lines ---

EXPANDED = [
    # the example of pfctl-linux(8)
    ("one macro", 'web = "{ http htttp }"\npass proto tcp to port $web\n', """\
pf.conf:2:24: unknown port htttp
    pass proto tcp to port $web
                           ^~~~
    in expansion of $web, defined at pf.conf:1
"""),
    ("a macro in a macro in a list", """\
bad = "192.0.2.300"
hosts = "192.0.2.1, $bad"
# a line between
them = "{ $hosts 192.0.2.301 }"
pass in quick from { 192.0.2.9 $them }
""", """\
pf.conf:5:32: 192.0.2.300 is not an address
    pass in quick from { 192.0.2.9 $them }
                                   ^~~~~
    in expansion of $bad, defined at pf.conf:1
    in expansion of $hosts, defined at pf.conf:2
    in expansion of $them, defined at pf.conf:4
pf.conf:5:32: 192.0.2.301 is not an address
    pass in quick from { 192.0.2.9 $them }
                                   ^~~~~
    in expansion of $them, defined at pf.conf:4
"""),
    ("what is expanded when it is defined", "bad = 192.0.2.300\nworse = $bad\npass from $worse\n",
     """\
pf.conf:3:11: 192.0.2.300 is not an address
    pass from $worse
              ^~~~~~
    in expansion of $worse, defined at pf.conf:2
"""),
    ("a word that goes on behind a macro",
     "net = 192.0.2\npass from { 192.0.2.1\t$net.300 } to $net.301\n", """\
pf.conf:2:23: 192.0.2.300 is not an address
    pass from { 192.0.2.1\t$net.300 } to $net.301
                         \t^~~~~~~~
    in expansion of $net, defined at pf.conf:1
pf.conf:2:37: 192.0.2.301 is not an address
    pass from { 192.0.2.1\t$net.300 } to $net.301
                         \t              ^~~~~~~~
    in expansion of $net, defined at pf.conf:1
"""),
    ("a macro defined again", """\
m = 192.0.2.1
m = 192.0.2.300
pass from $m
m = 192.0.2.301
pass from $m
m = 192.0.2.1
pass from $m
""", """\
pf.conf:3:11: 192.0.2.300 is not an address
    pass from $m
              ^~
    in expansion of $m, defined at pf.conf:2
pf.conf:5:11: 192.0.2.301 is not an address
    pass from $m
              ^~
    in expansion of $m, defined at pf.conf:4
"""),
    ("a syntax error in macros", 'a = "in nonsense"\nb = "$a quick"\npass $b\npass $b on\n', """\
pf.conf:3:6: syntax error: unexpected "nonsense" (in $a)
    pass $b
         ^~
    in expansion of $a, defined at pf.conf:1
    in expansion of $b, defined at pf.conf:2
pf.conf:4:6: syntax error: unexpected "nonsense" (in $a)
    pass $b on
         ^~
    in expansion of $a, defined at pf.conf:1
    in expansion of $b, defined at pf.conf:2
"""),
    ("undefined in a macro", 'a = "$none"\nb = "from $a"\npass $b\n', """\
pf.conf:3:6: macro 'none' is not defined
    pass $b
         ^~
    in expansion of $a, defined at pf.conf:1
    in expansion of $b, defined at pf.conf:2
"""),
    ("a list that ends in a macro", 'end = "192.0.2.300 }"\npass from { 192.0.2.1\n\t$end quick\n',
     """\
pf.conf:3:2: 192.0.2.300 is not an address
    \t$end quick
    \t^~~~
    in expansion of $end, defined at pf.conf:1
pf.conf:3:7: syntax error: unexpected "quick"
    \t$end quick
    \t     ^~~~~
"""),
    ("a string without an end in a macro", "m = 'in label \"x'\npass $m\npass nonsense\n", """\
pf.conf:2:6: string has no end
    pass $m
         ^~
    in expansion of $m, defined at pf.conf:1
pf.conf:3:6: syntax error: unexpected "nonsense"
    pass nonsense
         ^~~~~~~~
"""),
    ("a list over lines with backslashes", """\
pass proto tcp from { \\
\t192.0.2.1, \\
  192.0.2.300 \\
\t192.0.2.2 } \\
\tto port { 22 \\
\t\t70000 }
pass nonsense
""", """\
pf.conf:3:3: 192.0.2.300 is not an address
      192.0.2.300 \\
      ^~~~~~~~~~~
pf.conf:6:3: port 70000 is out of range (0 to 65535)
    \t\t70000 }
    \t\t^~~~~
pf.conf:7:6: syntax error: unexpected "nonsense"
    pass nonsense
         ^~~~~~~~
"""),
    ("a comment that goes on", "pass # \\\nnonsense\npass nonsense # \\\n# \\\n\nblock nonsense\n",
     """\
pf.conf:3:6: syntax error: unexpected "nonsense"
    pass nonsense # \\
         ^~~~~~~~
pf.conf:6:7: syntax error: unexpected "nonsense"
    block nonsense
          ^~~~~~~~
"""),
    ("behind a string of several lines", 'pass label "a \\\n b\nc" nonsense\n\tpass nonsense\n',
     """\
pf.conf:3:4: syntax error: unexpected "nonsense"
    c" nonsense
       ^~~~~~~~
pf.conf:4:7: syntax error: unexpected "nonsense"
    \tpass nonsense
    \t     ^~~~~~~~
"""),
    ("other letters on the lines before",
     "# grüße, 東京\npass on \"tür0\" # ü\n  pass nonsense # ü\n", """\
pf.conf:3:8: syntax error: unexpected "nonsense"
      pass nonsense # ü
           ^~~~~~~~
"""),
    ("carriage returns and form feeds", "pass\r\n\r\n\fpass\tin nonsense\r\nblock\rnonsense\r\n",
     """\
pf.conf:3:10: syntax error: unexpected "nonsense"
    ?pass\tin nonsense
         \t   ^~~~~~~~
pf.conf:4:7: syntax error: unexpected "nonsense"
    block?nonsense
          ^~~~~~~~
"""),
]


@cases(*EXPANDED)
def test_place(_name, text, want):
    refused({"pf.conf": text}, want)


# --- anchors ---

ANCHORS = [
    ("in the braces", """\
anchor "a" on lo {
\tpass in
\tblock nonsense
\tanchor {
\t\tpass from { 192.0.2.1
\t\t\t$none }
\t}
\tpass to 192.0.2.300 }
block nonsense
""", """\
pf.conf:3:8: syntax error: unexpected "nonsense"
    \tblock nonsense
    \t      ^~~~~~~~
pf.conf:6:4: macro 'none' is not defined
    \t\t\t$none }
    \t\t\t^~~~~
pf.conf:8:10: 192.0.2.300 is not an address
    \tpass to 192.0.2.300 }
    \t        ^~~~~~~~~~~
pf.conf:9:7: syntax error: unexpected "nonsense"
    block nonsense
          ^~~~~~~~
"""),
    ("macros reach into the braces, and out of them", """\
outer = 192.0.2.300
anchor "a" {
\tinner = 192.0.2.301
\tpass from $outer
}
pass from $inner
""", """\
pf.conf:4:12: 192.0.2.300 is not an address
    \tpass from $outer
    \t          ^~~~~~
    in expansion of $outer, defined at pf.conf:1
pf.conf:6:11: 192.0.2.301 is not an address
    pass from $inner
              ^~~~~~
    in expansion of $inner, defined at pf.conf:3
"""),
    ("not closed", 'pass\nanchor "a" {\n\tanchor "b" {\n\t\tpass\n\t}\npass nonsense\n', """\
pf.conf:6:6: syntax error: unexpected "nonsense"
    pass nonsense
         ^~~~~~~~
pf.conf:2:1: the anchor's braces are not closed
    anchor "a" {
    ^~~~~~
"""),
    ("closed twice", 'anchor "a" {\n\tpass\n}}\nanchor "b" { pass }\n}\nblock nonsense\n', """\
pf.conf:3:2: syntax error: unexpected "}", expected end of line
    }}
     ^
pf.conf:5:1: syntax error: unexpected "}"
    }
    ^
pf.conf:6:7: syntax error: unexpected "nonsense"
    block nonsense
          ^~~~~~~~
"""),
    ("words behind the brace", 'anchor "a" { pass } nonsense\nanchor "b" { } { }\n', """\
pf.conf:1:21: syntax error: unexpected "nonsense", expected end of line
    anchor "a" { pass } nonsense
                        ^~~~~~~~
pf.conf:2:16: syntax error: unexpected "{", expected end of line
    anchor "b" { } { }
                   ^
"""),
    # what is said of a macro outlives the braces that it ends
    ("closed by a macro", 'm = "} nonsense"\nanchor {\n\tanchor {\n\t\tpass\n\t$m\n$m\npass $n\n',
     """\
pf.conf:5:2: syntax error: unexpected "nonsense" (in $m), expected end of line
    \t$m
    \t^~
    in expansion of $m, defined at pf.conf:1
pf.conf:6:1: syntax error: unexpected "nonsense" (in $m), expected end of line
    $m
    ^~
    in expansion of $m, defined at pf.conf:1
pf.conf:7:6: macro 'n' is not defined
    pass $n
         ^~
"""),
    ("opened by a macro", 'm = "{ pass"\nanchor $m in }\nanchor $m nonsense\n}\nanchor $m\n', """\
pf.conf:3:11: syntax error: unexpected "nonsense"
    anchor $m nonsense
              ^~~~~~~~
pf.conf:5:1: the anchor's braces are not closed
    anchor $m
    ^~~~~~
"""),
    ("what only stands outside", """\
anchor "a" {
\tset skip on lo
\tload anchor "x" from "none"
\tqueue a on lo bandwidth 5M
\taltq on lo cbq
\tether pass
\tstate limiter "a" id 1 limit 1
\tsource limiter "a" id 1 entries 1 limit 1
\tpass nonsense
}
""", "".join(f"""\
pf.conf:{i}:2: "{line.split()[0]}" cannot stand in an anchor's braces
    \t{line}
    \t^{'~' * (len(line.split()[0]) - 1)}
""" for i, line in enumerate(
        ("set skip on lo", 'load anchor "x" from "none"', "queue a on lo bandwidth 5M",
         "altq on lo cbq", "ether pass", 'state limiter "a" id 1 limit 1',
         'source limiter "a" id 1 entries 1 limit 1'), 2)) + """\
pf.conf:9:7: syntax error: unexpected "nonsense"
    \tpass nonsense
    \t     ^~~~~~~~
"""),
    ("only ether rules in an ether anchor", 'ether anchor "a" {\n\tpass in\n\tether pass\n}\n', """\
pf.conf:2:2: syntax error: unexpected "pass", expected "ether"
    \tpass in
    \t^~~~
"""),
]


@cases(*ANCHORS)
def test_anchor(_name, text, want):
    refused({"pf.conf": text}, want)


# --- -D ---

@cases(
    ("a bad address", "m = 192.0.2.1\n\tpass from $m\n", ["m=192.0.2.300"], """\
pf.conf:2:12: 192.0.2.300 is not an address
    \tpass from $m
    \t          ^~
    in expansion of $m, defined on the command line
"""),
    ("through a macro of the file", 'all_ = "{ 192.0.2.1 $m }"\npass to $all_\n',
     ["m=192.0.2.300"], """\
pf.conf:2:9: 192.0.2.300 is not an address
    pass to $all_
            ^~~~~
    in expansion of $m, defined on the command line
    in expansion of $all_, defined at pf.conf:1
"""),
    ("through one another", "pass on $a nonsense\n", ["a=$b", "b=lo # not this"], """\
pf.conf:1:12: syntax error: unexpected "nonsense"
    pass on $a nonsense
               ^~~~~~~~
"""),
    ("not closed", "pass label $a\npass from $b\npass nonsense\n", ['a="x', "b={ 192.0.2.1"], """\
pf.conf:1:12: string has no end
    pass label $a
               ^~
    in expansion of $a, defined on the command line
pf.conf:3:1: syntax error: unexpected "pass", expected an address
    pass nonsense
    ^~~~
pf.conf:3:6: syntax error: unexpected "nonsense"
    pass nonsense
         ^~~~~~~~
"""),
    ("closed by nobody", "pass from $b\n", ["b={ 192.0.2.1"], """\
pf.conf:1:11: list has no end
    pass from $b
              ^~
    in expansion of $b, defined on the command line
"""),
    ("a byte that is nothing", "pass $a\n", ["a=in @"], """\
pf.conf:1:6: unexpected character '@'
    pass $a
         ^~
    in expansion of $a, defined on the command line
"""),
    ("several lines", "pass $a nonsense\npass $a\n", ["a=in\non lo\npass out"], """\
pf.conf:1:6: syntax error: unexpected "on" (in $a)
    pass $a nonsense
         ^~
    in expansion of $a, defined on the command line
pf.conf:1:9: syntax error: unexpected "nonsense"
    pass $a nonsense
            ^~~~~~~~
pf.conf:2:6: syntax error: unexpected "on" (in $a)
    pass $a
         ^~
    in expansion of $a, defined on the command line
"""),
    ("the name is near", "pass on $extt\n", ["ext=lo"], """\
pf.conf:1:9: macro 'extt' is not defined; did you mean 'ext'?
    pass on $extt
            ^~~~~
"""),
)
def test_define(_name, text, defines, want):
    refused({"pf.conf": text}, want, *(x for d in defines for x in ("-D", d)))


def test_define_is_not_redefined():
    """It stays, whatever the file says, and in the files that this includes."""
    files = {"pf.conf": "m = lo\ninclude one.conf\nm = 192.0.2.300\npass on $m\n",
             "one.conf": "m = 192.0.2.301\nblock on $m\n"}
    r = check(files, "-D", "m=em5")
    eq(r.returncode, 0)
    eq([line for line in r.stdout.splitlines() if " = " not in line],
       ["block drop on em5 all", "pass on em5 all flags S/SA"])


def test_define_twice():
    """The last one counts."""
    accepted({"pf.conf": "pass on $m\n"}, "pass on lo all flags S/SA\n", "-D", "m=192.0.2.300",
             "-D", "m=lo")


# --- suggestions ---

MEANT = [
    ("pas in", 1, "pass"), ("blokc", 1, "block"), ("mtach", 1, "match"), ("tabel <t>", 1, "table"),
    ("incldue x", 1, "include"), ("achor a", 1, "anchor"), ("antispof for lo", 1, "antispoof"),
    ("scurb in", 1, "scrub"), ("nta on lo", 1, "nat"), ("queu a on lo", 1, "queue"),
    ("pass inn", 6, "in"), ("pass in qiuck", 9, "quick"), ("pass onn lo", 6, "on"),
    ("pass ient6", 6, "inet6"), ("pass in form any", 9, "from"),
    ("pass falgs S/SA", 6, "flags"),
    ("pass lable x", 6, "label"), ("pass kepe state", 6, "keep"),
    ("pass keep sate", 11, "state"), ("pass in rdr-too 192.0.2.1", 9, "rdr-to"),
    ("pass icmp-typ 8", 6, "icmp-type"), ("pass alow-opts", 6, "allow-opts"),
    ("pass fragmnt", 6, "fragment"), ("match scrub (max-ms 5)", 14, "max-mss"),
    ("pass keep state (max-src-con 4)", 18, "max-src-conn"), ("pass set prioo 5", 10, "prio"),
    ("set skipp on lo", 5, "skip"), ("set bock-policy drop", 5, "block-policy"),
    ("set block-policy retrun", 18, "return"), ("set state-policy floatin", 18, "floating"),
    ("set debug wraning", 11, "warning"), ("set optimization agressive", 18, "aggressive"),
    ("set ruleset-optimization basicc", 26, "basic"), ("set limit stats 5", 11, "states"),
    ("set timeout tcp.frist 5", 13, "tcp.first"), ("table <t> persit", 11, "persist"),
    ("load anhcor a from b", 6, "anchor"), ("no natt", 4, "nat"), ("ether blok", 7, "block"),
    ("queue a bandwith 5M", 9, "bandwidth"), ("queue a on lo bandwidth 5M defualt", 28, "default"),
    ("state limter a id 1 limit 1", 7, "limiter"), ("pass proto tpc", 12, "tcp"),
]


@cases(*[(f"{word} in {text}", text, column, word) for text, column, word in MEANT])
def test_keyword_is_suggested(_name, text, column, word):
    found = errors(text + "\n")
    eq([e[:2] for e in found], [(1, column)], text)
    matches(found[0][2], rf'; did you mean "?{re.escape(word)}"?\?$')


@cases(("nothing is near", "pass nonsense\n"), ("too short", "pass om lo\n"),
       ("too far", "pass form_m any\n"), ("a word in the wrong place", "pass from\n"),
       ("a word of the language", "pass block\n"),
       ("capital letters", "PASS in\n"), ("a string", 'pass "form" any\n'),
       ("a number", "pass 5\n"), ("a long word", "pass " + "from" * 20 + " any\n"))
def test_nothing_is_suggested(_name, text):
    found = errors(text)
    eq(len(found), 1)
    absent(found[0][2], "did you mean")


@cases(
    ("a letter too many", "ext = lo\npass on $extt\n", "ext"),
    ("letters swapped", "services = 5\npass on $servcies\n", "services"),
    ("two letters of many", "services = 5\npass on $srvces\n", "services"),
    ("the nearest", "web1 = lo\nwebs12 = lo\nwebs1 = lo\npass on $webs2\n", "webs1"),
    ("in a list", "hosts = 192.0.2.1\npass from { 192.0.2.2\n$host }\n", "hosts"),
    ("defined later", "pass on $extt\next = lo\n", None),
    ("in another case", "EXT = lo\npass on $ext\n", None),
    ("too short", "a = lo\nab = lo\npass on $b\n", None),
    ("two letters of few", "exxt = lo\npass on $et\n", None),
)
def test_macro_is_suggested(_name, text, name):
    (_, _, message), = errors(text)
    matches(message, rf"^macro '\w+' is not defined; did you mean '{name}'\?$" if name else
            r"^macro '\w+' is not defined$")


def test_interface_is_suggested():
    """Those that are there when the file is read."""
    ns = Netns(f"{own.name()}.names")
    try:
        ns.batch(["link add em0 type veth peer name uplink"])
        for text, want in (("pass from eme0", "the interface em0?"),
                           ("pass to { 192.0.2.1 uplnik }", "the interface uplink?"),
                           ("antispoof for uplink0", "'uplink'?"), ("pass from nothing", None),
                           ("pass from up", None)):
            r = ns.run(PFCTL, "-N", "-nf", "-", input=text + "\n", check=False)
            (_, line, _, message), = ERROR.findall(r.stderr)
            eq((r.returncode, line), (1, "1"), r.stderr)
            if want:
                contains(message, "did you mean " + want)
            else:
                absent(message, "did you mean")
    finally:
        ns.delete()


# --- how many ---

@cases(("one", 1, 1, ""), ("nineteen", 19, 19, ""), ("all that are said", 20, 20, None),
       ("one more", 21, 20, "pf.conf: too many errors\n"),
       ("many", 10000, 20, "pf.conf: too many errors\n"))
def test_number_of_errors(_name, wrong, shown, end):
    said = said_of("pass\n" + "".join(f"pass nonsense{i}\n" for i in range(wrong)) + "block\n")
    eq([(int(line), message) for _, line, _, message in ERROR.findall(said)],
       [(i + 2, f'syntax error: unexpected "nonsense{i}"') for i in range(shown)])
    if end is not None:
        eq(said.splitlines(keepends=True)[3 * shown:], [end] * bool(end))


@cases(("an included file", "include bad.conf"),
       ("an anchor's file", "load anchor a from bad.conf"),
       ("a table's file", 'table <t> file "bad.list"'))
def test_other_files_share_the_number(_name, statement):
    """Twenty in all, wherever they are, and the others are not read to their ends."""
    before = "".join(f"pass nonsense{i}\n" for i in range(17))
    files = {"pf.conf": before + statement + "\npass nonsense\n",
             "bad.conf": "block nonsense\n" * 30, "bad.list": "192.0.2.300\n" * 30}
    r = check(files)
    eq((r.returncode, r.stdout), (1, ""))
    found = ERROR.findall(r.stderr)
    eq([f for f, *_ in found[:17]], ["pf.conf"] * 17)
    eq([f[:4] for f, *_ in found[17:]], ["bad."] * 3)
    eq(r.stderr.splitlines(keepends=True)[-1], summary(r.stderr, "pf.conf"))


# --- order ---

def test_statements_come_in_any_order():
    """Both dialects in one file, options and tables behind the rules; what is named must have
    been defined, and each kind is shown by itself."""
    accepted({"pf.conf": """\
pass in tagged late
nat on lo inet from 10/8 to any -> 192.0.2.1
match out on lo nat-to 192.0.2.2
block in from <late>
set block-policy return
scrub in on lo
block out
rdr on lo inet proto tcp to port 80 -> 192.0.2.3
set skip on lo
table <late> persist
no nat on lo
set limit states 5
ether block in
m = "in"
block $m
"""}, """\
set block-policy return
set skip on { lo }
table <late> persist
set limit states 5
m = "in"
scrub in on lo all fragment reassemble
ether block in l3 all
nat on lo inet from 10.0.0.0/8 to any -> 192.0.2.1
no nat on lo all
rdr on lo inet proto tcp from any to any port = 80 -> 192.0.2.3
pass in all flags S/SA tagged late
match out on lo inet all nat-to 192.0.2.2
block drop in from <late> to any
block return out all
block return in all
""")


@cases(
    ("a macro", "pass on $m\nm = lo\n", [(1, 9, "macro 'm' is not defined")]),
    ("a queue", "pass set queue q\nqueue q on lo bandwidth 5M default\n",
     [(1, 16, "queue q is not defined")]),
    ("a queue's parent", "queue q parent r bandwidth 5M\nqueue r on lo bandwidth 5M default\n",
     [(1, 16, "parent queue 'r' is not defined")]),
    ("a state limiter", 'pass state limiter "l"\nstate limiter "l" id 1 limit 1\n',
     [(1, 20, 'limiter "l" is not defined')]),
    ("a source limiter", 'state limiter "l" id 1 limit 1\npass source limiter "l"\n',
     [(2, 21, 'limiter "l" is not defined')]),
)
def test_used_before_it_is_defined(_name, text, want):
    eq(errors(text), want)


@cases(
    ("nat in a pass rule", "pass in nat on lo -> 192.0.2.1\n", 9, 'unexpected "nat"'),
    ("nat-to in a nat rule", "nat on lo from 10/8 to any nat-to 192.0.2.1\n", 28,
     'unexpected "nat-to", expected "->"'),
    ("an arrow in a pass rule", "pass out on lo from any to any -> 192.0.2.1\n", 32,
     'unexpected "->"'),
    ("an arrow in a match rule", "match out on lo -> 192.0.2.1\n", 17, 'unexpected "->"'),
    ("quick in a nat rule", "nat quick on lo -> 192.0.2.1\n", 5, 'unexpected "quick"'),
    ("keep state in a scrub rule", "scrub in keep state\n", 10, 'unexpected "keep"'),
    ("quick in a scrub rule", "scrub in quick\n", 10, "scrub rules do not support 'quick'"),
    ("scrub options in a pass rule", "pass in all fragment reassemble\n", 22,
     'unexpected "reassemble"'),
    ("a direction in a rdr rule", "rdr in on lo -> 192.0.2.1\n", 5, 'unexpected "in"'),
)
def test_dialects_do_not_mix_in_a_rule(_name, text, column, message):
    (line, at, said), = errors(text)
    eq((line, at), (1, column))
    contains(said, message)


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


# --- bytes ---

RICH = b"""\
m = "lo"  # a macro
set skip on { $m }
table <t> const { 10/8, !10.1.2.3 }
anchor "a" on $m {
\tblock return log quick inet proto { tcp udp } from { <t>, ! 10.0.0.0/8 } \\
\t\tport 1 >< 9 to 192.0.2.1 - 192.0.2.9 label "x $nr"
}
pass in on lo inet6 proto icmp6 icmp6-type 128 code 0 keep state (max 5) tag 'a b'
"""


def test_rich_text_is_right():
    """Or the next tests would show nothing."""
    eq(check({"pf.conf": RICH}).returncode, 0)


def test_nul_byte_anywhere():
    """Nothing hides it but a comment: the first error is in its line, and at it or at the word
    that it has cut."""
    comment = range(RICH.index(b"#") + 1, RICH.index(b"\n") + 1)
    with Files({}) as d:
        for at in range(len(RICH) + 1):
            r = d.pfctl("-nf", "-", text=RICH[:at] + b"\0" + RICH[at:])
            if at in comment:
                eq((at, r.returncode), (at, 0))
                continue
            begin = RICH.rfind(b"\n", 0, at) + 1
            word = re.search(rb"[$\\<>!\w.-]*\Z", RICH[:at])
            _, line, column, message = ERROR.findall(r.stderr)[0]
            eq((at, int(line)), (at, RICH.count(b"\n", 0, at) + 1), r.stderr)
            if "NUL" in message:
                eq((at, int(column)), (at, at - begin + 1), r.stderr)
            else:
                eq((at, int(column)), (at, word.start() - begin + 1), r.stderr)


@cases(("in an included file", "include bad\n", b"pass\n in\0\n", "bad:2:4: NUL byte"),
       ("in a loaded anchor", "load anchor a from bad\n", b"pass label 'x\0'\n",
        "bad:1:14: NUL byte in a string"),
       ("in a table's file", "table <t> file bad\n", b"10.0.0.1\n10.0.0.2\x00x\n",
        "bad:2:1: NUL byte in a table's file"))
def test_nul_byte_in_a_file(_name, text, content, want):
    r = check({"pf.conf": text, "bad": content})
    eq((r.returncode, r.stderr.splitlines()[0]), (1, want))
    contains(r.stderr, "\n    included at pf.conf:1\n")


@cases(
    ("byte order mark", b"\xef\xbb\xbfpass\nblock nonsense\n",
     [(1, 1, "unexpected byte 0xef"), (2, 7, 'syntax error: unexpected "nonsense"')]),
    ("UTF-16", "pass\n".encode("utf-16"), [(1, 1, "unexpected byte 0xff"), (2, 1, "NUL byte")]),
    ("no-break space", b"pass\xc2\xa0in\npass nonsense", [
        (1, 5, "unexpected byte 0xc2"), (2, 6, 'syntax error: unexpected "nonsense"')]),
    ("DEL", b"pass \x7f\n", [(1, 6, "unexpected byte 0x7f")]),
    ("vertical tab", b"pass\x0bin\n", [(1, 5, "unexpected byte 0x0b")]),
    ("backslash at the end", b"pass\nblock \\", [(2, 7, "unexpected character '\\'")]),
    ("backslash and blank at the end", b"pass\nblock \\ ", [(2, 7, "unexpected character '\\'")]),
    ("string at the end", b"pass\nblock label 'x", [(2, 13, "string has no end")]),
    ("string that ends with another quote", b"block label 'x\"\n", [(1, 13, "string has no end")]),
    ("backslash before the quote", b'block label "x\\"', [(1, 13, "string has no end")]),
    ("backslash in a string at the end", b'block label "x\\', [(1, 13, "string has no end")]),
    ("dollar at the end", b"pass $", [(1, 6, "'$' without a macro's name")]),
    ("angle at the end", b"pass from <", [
        (1, 12, "syntax error: unexpected end of line, expected a table's name")]),
    ("minus at the end", b"pass from 192.0.2.1 -", [
        (1, 22, "syntax error: unexpected end of line, expected an address")]),
    ("brace at the end", b"\npass from {", [(2, 11, "list has no end")]),
    ("anchor at the end", b"\nanchor {", [(2, 1, "the anchor's braces are not closed")]),
)
def test_bytes(_name, text, want):
    eq(errors(text), want)


@cases(("newline", RICH), ("carriage return and newline", RICH.replace(b"\n", b"\r\n")),
       ("no last newline", RICH[:-1]), ("a blank at the end", RICH[:-1] + b" "),
       ("blank lines", b"\n\n" + RICH.replace(b"}\n", b"}\n\n \n\t\n")),
       ("tabs", RICH.replace(b" ", b"\t").replace(b"x\t$nr", b"x $nr").replace(b"a\tb", b"a b")
        .replace(b"-\t192", b"- 192")),
       ("form feeds", RICH.replace(b" =", b"\f=\f")))
def test_blanks(_name, text):
    """However its lines end and its words are kept apart, a text means the same."""
    lines_eq(check({"pf.conf": text}).stdout, check({"pf.conf": RICH}).stdout)


@timeout(120)
def test_cut_anywhere():
    """A file that ends too early is refused, with its place in the file, or is right without
    its rest."""
    ends = {m.end() for m in re.finditer(rb"^(m|set|table|}).*\n", RICH, re.M)}
    eq(len(ends), 4)
    with Files({}) as d:
        for at in range(len(RICH)):
            text = RICH[:at]
            r = d.pfctl("-nf", "-", text=text)
            eq(bool(r.stderr), bool(r.returncode), f"cut at {at}")
            if at in ends:
                eq((at, r.returncode), (at, 0))
            for _, line, column, _ in ERROR.findall(r.stderr):
                lines = text.split(b"\n")
                eq(1 <= int(line) <= len(lines), True, r.stderr)
                eq(1 <= int(column) <= len(lines[int(line) - 1]) + 1, True, r.stderr)


def test_words_doubled():
    """Each word of a text once more behind itself: an error there or later, or harmless."""
    words = [(m.start(), m.end()) for m in re.finditer(rb"\S+", RICH)]
    refusals = 0
    with Files({}) as d:
        for start, end in words:
            r = d.pfctl("-nf", "-", text=RICH[:end] + b" " + RICH[start:end] + RICH[end:])
            eq(bool(r.stderr), bool(r.returncode), RICH[start:end])
            if r.returncode:
                refusals += 1
                # braces that are open are shown where they begin
                eq(int(ERROR.findall(r.stderr)[0][1]) > RICH.count(b"\n", 0, start)
                   or "braces are not closed" in r.stderr, True, r.stderr)
    at_least(refusals, len(words) // 2)


# --- sizes ---

def bounded(megabytes):
    """For subprocess: no more memory than that; a build with sanitizers cannot be held to it."""
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (megabytes * MEGA, megabytes * MEGA))
    return {} if sanitized() else {"preexec_fn": limit}


@cases(("rules", "{}", 1, "pfctl-linux: large: larger than 64 MB"),
       ("include", "include large\n", 9, "cannot include large: File too large"),
       ("load anchor", "load anchor a from large\n", 20, "cannot load large: File too large"),
       ("a table", "table <t> file large\n", 16, 'cannot load "large": File too large'))
def test_100_megabytes(_name, text, column, why):
    """Much less than that is read."""
    with Files({"pf.conf": text}) as d:
        for size in (100 * MEGA, 1 << 36):
            with open(os.path.join(d.dir, "large"), "wb") as f:
                f.truncate(size)
            name = "large" if text == "{}" else "pf.conf"
            r = d.pfctl("-nf", name, **bounded(256))
            eq((r.returncode, r.stdout), (1, ""))
            if name == "large":
                eq(r.stderr, why + "\n")
            else:
                eq(ERROR.findall(r.stderr), [("pf.conf", "1", str(column), why)])


def test_100_megabytes_come_through_a_pipe():
    with Files({}) as d:
        r = call(["sh", "-c", 'yes "pass in on lo" | head -c 100000000 | "$@"', "sh", PFCTL,
                  "-nf", "-"], cwd=d.dir, **bounded(256))
    eq((r.returncode, r.stdout, r.stderr), (1, "", "pfctl-linux: stdin: larger than 64 MB\n"))


@cases(("64", 64 * MEGA, 0), ("64 and a byte", 64 * MEGA + 1, 1))
def test_64_megabytes(_name, size, status):
    """The last line is read."""
    with Files({}) as d:
        with open(os.path.join(d.dir, "pf.conf"), "wb") as f:
            f.write(b"#" * (size - 6) + b"\npass\n")
        r = d.pfctl("-nvf", "pf.conf", **bounded(512))
    eq((r.returncode, r.stdout), (status, "" if status else "pass all flags S/SA\n"))


@cases(("two that are included", 0, 2), ("the first file counts", 40 * MEGA, 1))
def test_64_megabytes_of_all_files(_name, size, refused_line):
    """Each is less, together they are more: the first that is too much is named."""
    text = b'include a\ninclude a\ninclude "/dev/null"\npass nonsense\n#' + b"x" * size
    with Files({"pf.conf": text, "a": b"#" * (40 * MEGA)}) as d:
        r = d.pfctl("-nf", "pf.conf", **bounded(512))
    eq(ERROR.findall(r.stderr),
       [*(("pf.conf", str(line), "9", "cannot include a: File too large")
          for line in (1, 2) if line >= refused_line),
        ("pf.conf", "4", "6", 'syntax error: unexpected "nonsense"')])


# Repeated until it is large: what stands in front, what is repeated, and the exit status.
LARGE = [
    ("rules", "", "block in quick on lo proto tcp from 192.0.2.1 to 192.0.2.2 port 80\n", 0),
    ("short rules", "", "pass\n", 1), ("macros", "", "m = a\n", 0),
    ("a macro", "m = ", "a ", 1), ("a macro's string", 'm = "', "a", 1),
    ("undefined macros", "", "$m ", 1), ("a list", "pass from { ", "192.0.2.1 ", 1),
    ("a list of ports", "pass proto tcp to port { ", "80,", 1),
    ("a table", "table <t> { ", "192.0.2.1 ", 1), ("open braces", "pass from ", "{ ", 1),
    ("anchors", "", "anchor { }\n", 1), ("anchors in anchors", "", "anchor { ", 1),
    ("strings", "", "'\"'", 1), ("closing braces", "", "}", 1), ("slashes", "pass from 10", "/", 1),
    ("words", "", "pass ", 1), ("options", "set limit { ", "states 5 ", 1),
    ("timeouts", "", "set timeout udp.first 5\n", 0), ("labels", "pass ", "label a ", 1),
    ("continued lines", "pass ", "\\\n", 0), ("comments", "", "# pass\n", 0),
    ("ether rules", "", "ether block\n", 1), ("old rules", "", "no nat\n", 1),
    ("exclamation marks", "pass from ", "!", 1), ("a word", "pass from ", "x", 1),
    ("a number", "pass proto ", "1", 1), ("NUL bytes", "", "\0", 1),
]


@cases(*LARGE)
def test_large(name, begin, unit, status):
    """Twenty megabytes of it: refused or not, in bounded memory, and with one line at the end."""
    size = 4 * MEGA if sanitized() else 20 * MEGA
    if name in ("short rules", "ether rules", "anchors", "old rules"):
        # a million rules are too many for one ruleset, and these are as many
        size = 1000001 * len(unit)
    text = begin.encode() + unit.encode() * (size // len(unit))
    with Files({}) as d:
        began = time.monotonic()
        r = d.pfctl("-nf", "-", text=text, **bounded(1024))
        print(f"{time.monotonic() - began:.1f} s")
    eq((r.returncode, r.stdout), (status, ""))
    if status:
        eq(r.stderr.splitlines(keepends=True)[-1], summary(r.stderr, "stdin"))
        at_least(len(ERROR.findall(r.stderr)), 1)
        eq(len(r.stderr) < 20000, True, f"{len(r.stderr)} bytes of errors")
    else:
        eq(r.stderr, "")


# --- depth ---

N = 10000


@cases(
    ("braces", "pass from " + "{ " * N + "192.0.2.1" + " }" * N, "lists are nested too deeply"),
    ("braces of a table", "table <t> " + "{" * N + "192.0.2.1" + "}" * N,
     "lists are nested too deeply"),
    ("braces of interfaces", "set skip on " + "{" * N + "lo" + "}" * N,
     "lists are nested too deeply"),
    ("braces of limits", "set limit " + "{" * N + "states 5" + "}" * N,
     "lists are nested too deeply"),
    ("braces of a pool", "pass in rdr-to " + "{" * N + "192.0.2.1" + "}" * N,
     "lists are nested too deeply"),
    ("parentheses of an address", "pass from " + "(" * N + "lo" + ")" * N, 'unexpected "("'),
    ("parentheses of a state", "pass keep state " + "(" * N + "max 5" + ")" * N, 'unexpected "("'),
    ("parentheses of set", "pass set " + "(" * N + "prio 5" + ")" * N, 'unexpected "("'),
    ("parentheses of scrub", "match scrub " + "(" * N + "no-df" + ")" * N, 'unexpected "("'),
    ("exclamation marks", "pass from " + "! " * N + "192.0.2.1", 'unexpected "!"'),
    ("exclamation marks of an interface", "pass on " + "!" * N + "lo", 'unexpected "!"'),
    ("angles", "pass from " + "<" * N + "t" + ">" * N, 'unexpected "<"'),
    ("anchors on a line", "anchor { " * N + "pass" + " }" * N,
     "anchors are nested too deeply (at most 64)"),
    ("ether anchors on a line", "ether anchor { " * N + "ether pass" + " }" * N,
     "anchors are nested too deeply (at most 64)"),
    ("closing braces", "pass " + "}" * N, 'unexpected "}"'),
)
def test_depth(_name, line, message):
    """One error for all of it, and the next line is read."""
    found = errors(line + "\nblock nonsense\n")
    eq([e[0] for e in found], [1, 2])
    contains(found[0][2], message)
    eq(found[1], (2, 7, 'syntax error: unexpected "nonsense"'))


@cases(("anchor", "anchor {\n", "pass\n"), ("nat-anchor", 'nat-anchor "a" {\n', "no nat\n"),
       ("ether anchor", "ether anchor {\n", "ether pass\n"))
def test_depth_of_anchors(_name, begin, rule):
    """pf.conf(5), ANCHORS: 64 deep, and the 65th is named."""
    for depth in (64, 65, N):
        r = check({"pf.conf": begin * depth + rule + "}\n" * depth})
        eq((depth, r.returncode), (depth, int(depth > 64)))
        if depth > 64:
            eq(ERROR.findall(r.stderr)[0], ("pf.conf", "65", "1",
                                            "anchors are nested too deeply (at most 64)"))


def macros_in_macros(depth):
    return "m1 = lo\n" + "".join(f'm{i} = "$m{i - 1}"\n' for i in range(2, depth + 1))


def test_depth_of_macros():
    """pf.conf(5), MACROS: 32 deep; all that led there is shown."""
    text = macros_in_macros(32) + "pass on $m32\n"
    eq(check({"pf.conf": text}).returncode, 0)
    for depth in (33, N):
        said = said_of(macros_in_macros(depth) + f"pass on $m{depth}\nblock nonsense\n")
        eq(ERROR.findall(said),
           [("pf.conf", str(depth + 1), "9", f"macro 'm{depth - 32}' expands without an end"),
            ("pf.conf", str(depth + 2), "7", 'syntax error: unexpected "nonsense"')])
        lines_eq(said.splitlines()[3:35],
                 [f"    in expansion of $m{i}, defined at pf.conf:{i}"
                  for i in range(depth - 31, depth + 1)])


def test_macros_defined_through_one_another():
    """What is read when it is defined is no depth."""
    text = "m1 = lo\n" + "".join(f"m{i} = $m{i - 1}\n" for i in range(2, N)) + f"pass on $m{N - 1}"
    r = check({"pf.conf": text})
    eq((r.returncode, r.stdout.splitlines()[-1]), (0, "pass on lo all flags S/SA"))


@cases(("lists of a rule", "pass from " + "{ " * 64 + "192.0.2.1" + " }" * 64 + "\n"),
       ("lists of macros", "".join(f'm{i} = "{{ {f"$m{i - 1}" if i else "192.0.2.1"} }}"\n'
                                   for i in range(32)) + "pass from { { { $m31 } } }\n"))
def test_lists_in_lists(_name, text):
    """pf.conf(5), LISTS: up to 64 deep."""
    r = check({"pf.conf": text})
    eq((r.returncode, r.stdout.splitlines()[-1]),
       (0, "pass inet from 192.0.2.1 to any flags S/SA"))


# --- rules in force ---

GOOD = """\
set timeout udp.first 33
table <t> persist { 192.0.2.77 }
block in quick proto udp to port 1001
pass label "good"
"""
# What would show at once, and lets everything pass.
OTHER = """\
set timeout udp.first 44
set skip on ext
table <t> persist { 192.0.2.99 }
table <u> persist
pass label "other"
"""
BROKEN = [
    ("the last line", "{}pass nonsense", "pf.conf:6:6"),
    ("the first line", "pass nonsense\n{}", "pf.conf:1:6"),
    ("an included file", "{}include bad.conf\n", "bad.conf:2:7"),
    ("a missing file", "{}include none.conf\n", "cannot include none.conf"),
    ("a file in itself", "{}include pf.conf\n", "includes itself"),
    ("a table's file", "{}table <v> persist file bad.conf\n", "bad.conf:1:"),
    ("a table's missing file", "{}table <v> persist file none\n", 'cannot load "none"'),
    ("in an anchor", "{}anchor {{\npass nonsense\n}}\n", "unexpected \"nonsense\""),
    ("what is not enforced", "{}pass once\n", "once: not enforced yet"),
    ("a NUL byte", "{}\0", "NUL byte"), ("a string without an end", "{}pass label 'x\n", "no end"),
    ("a list without an end", "{}pass from {{ 192.0.2.1\n", "list has no end"),
    ("a macro without an end", '{}m = "$m"\npass on $m\n', "without an end"),
    ("a label too long by its number", "{}" + "".join(
        f'pass in proto tcp to port {i} label "{"x" * 62}$nr"\n' for i in range(1, 12)),
     "too long by the number"),
    ("too many rules", "{}" + "pass proto tcp from port {0} to port {0}\n".format(
        "{{ " + " ".join(map(str, range(1, 1002))) + " }}"), "more than 1000000 rules"),
    ("too many tables", "set limit tables 1\n{}", "limit of 1 tables"),
    ("too many addresses", "set limit table-entries 1\n{}table <v> persist {{ 10/8 11/8 }}\n",
     "limit of 1 (set limit table-entries)"),
]


def in_force(lab):
    """All that a load may change."""
    show = [lab.pf.ctl(*args).stdout for args in (
        ["-sr"], ["-sT"], ["-t", "t", "-T", "show"], ["-st"], ["-sm"])]
    with lab.fw.udp(1001) as blocked, lab.fw.udp(1002) as open_, lab.src.udp() as c:
        c.sendto(b"x", (FW_SRC, 1001))
        c.sendto(b"y", (FW_SRC, 1002))
        open_.settimeout(5)
        passes = open_.recv(10)
        # that one came behind the other
        blocked.setblocking(False)
        try:
            return show, passes, blocked.recv(10)
        except BlockingIOError:
            return show, passes, None


@timeout(180)
def test_broken_rules_replace_nothing():
    with Lab(hosts=2, v6=False, rules=GOOD) as lab, Files({
            "bad.conf": "pass\nblock nonsense\n", "other.conf": OTHER}) as d:
        good = in_force(lab)
        eq(good[0][0].splitlines()[1:], ['pass all flags S/SA label "good"'])
        eq(good[0][1:3], ["t\n", "   192.0.2.77\n"])
        eq(good[1:], (b"y", None))

        def load(name, *args):
            r = lab.fw.run("env", "-C", d.dir, PFCTL, "-p", lab.pf.socket, "-o", "none", "-N",
                           *args, "-f", name, check=False)
            eq("Sanitizer" in r.stderr, False, r.stderr)
            return r

        for name, text, why in BROKEN:
            write(d.dir, {"pf.conf": text.format(OTHER)})
            for args in ([], ["--confirm", "60"]):
                r = load("pf.conf", *args)
                eq((name, r.returncode, r.stdout), (name, 1, ""), r.stderr)
                contains(r.stderr, why, name)
                eq(r.stderr.splitlines()[-1].split(";")[0].endswith("rules not loaded"), True,
                   r.stderr)
            eq(in_force(lab), good, name)
        with open(os.path.join(d.dir, "large"), "wb") as f:
            f.truncate(100 * MEGA)
        for name, why in ((".", "Is a directory"), ("none", "No such file or directory"),
                          ("large", "larger than 64 MB")):
            r = load(name)
            eq((r.returncode, r.stderr), (1, f"pfctl-linux: {name}: {why}\n"))
            eq(in_force(lab), good, name)
        r = load("other.conf", "-n")
        eq((r.returncode, in_force(lab)), (0, good), "-n")
        absent(lab.pf.ctl("-si").stdout, "confirm")
        # and what is right is loaded
        eq(load("other.conf").returncode, 0)
        now = in_force(lab)
        eq(now[0][0], 'pass all flags S/SA label "other"\n')
        eq(now[1:], (b"y", b"x"))


def test_reader_that_is_killed_replaces_nothing():
    """Rules that never end to come are not loaded, nor are those that came."""
    with Lab(hosts=2, v6=False, rules=GOOD) as lab:
        good = in_force(lab)
        with lab.fw.popen([PFCTL, "-p", lab.pf.socket, "-f", "-"], stdin=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as p:
            p.stdin.write(OTHER.encode())
            p.stdin.flush()
            time.sleep(0.3)
            eq((p.poll(), in_force(lab)), (None, good))
            p.kill()
        eq(in_force(lab), good)
