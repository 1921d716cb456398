# SPDX-License-Identifier: BSD-2-Clause
"""Where errors of a pf.conf are said to be, through macros, lists and anchors, and what is meant
instead.  pfctl-linux(8), DIAGNOSTICS, says what is right.  Names are not looked up (-N).
"""
import re

from pft import own
from pft.check import absent, cases, contains, eq, matches
from pft.lab import PFCTL
from pft.netns import Netns
from pft.pfctl import ERROR, accepted, check, errors, refused, said_of, summary


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
