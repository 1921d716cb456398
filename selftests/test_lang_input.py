# SPDX-License-Identifier: BSD-2-Clause
"""No input takes more than its share of time and memory, and each is answered in a few lines:
odd bytes, large files, deep nesting.
"""
import os
import re
import resource
import time

from pft.check import at_least, cases, contains, eq, lines_eq, timeout
from pft.lab import PFCTL
from pft.pfctl import ERROR, MEGA, Files, call, check, errors, said_of, sanitized, summary


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
