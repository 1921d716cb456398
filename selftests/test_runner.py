# SPDX-License-Identifier: BSD-2-Clause
"""The runner of these tests, when it or one of them is killed."""
import os
import re
import signal
import subprocess

from pft import own
from pft.check import cases, contains, eq, timeout
from pft.lab import ROOT
from pft.netns import wait_for

# A firewall, a daemon in its namespace, and a program outside of it, each in a
# session of its own; it tells their numbers, and waits for ever.
WAITS = '''
import os
import subprocess
import time
from pft.check import Skip, cases, one_lab, timeout
from pft.lab import Lab
from pft.netns import setns


@timeout(100)
def test_waits():
    with Lab(rules="pass") as lab:
        inside = subprocess.Popen(["sleep", "300"], start_new_session=True,
                                  preexec_fn=lambda: setns(lab.fw.fd))
        outside = subprocess.Popen(["sleep", "300"], start_new_session=True)
        with open({ready!r} + ".part", "w", encoding="ascii") as f:
            f.write(f"{{os.getpid()}} {{lab.pf.proc.pid}} {{inside.pid}} {{outside.pid}} "
                    f"{{lab.id}}")
        os.rename({ready!r} + ".part", {ready!r})
        time.sleep(300)


@timeout(0.1)
def test_short():
    time.sleep({short})


def test_nothing():
    pass


class Place:
    """In the place of a lab."""

    def __init__(self, which):
        self.which, self.seen = which, ""
        print("opened", which)

    def __enter__(self):
        return self

    def __exit__(self, kind, *exc):
        print("closed", self.which, kind and kind.__name__)
        assert self.which != "leaky"

    def clean(self):
        assert self.seen != "dirt", "not clean"


@timeout(0.5)
@one_lab(Place, by=1)
@cases(("1", "one", "a"), ("2", "two", "b"), ("3", "one", "dirt"), ("4", "one", "crash"),
       ("5", "one", "late"), ("6", "one", "c"), ("7", "two", "skip"), ("8", "leaky", "d"),
       ("9", "two", "e"), ("10", "two", "f"), ("11", "leaky", "g"))
def test_cases(place, name, which, what):
    print(f"{{name}} after {{place.seen!r}} at {{place.which}}")
    place.seen = what
    assert place.which == which
    if what == "skip":
        raise Skip("not here")
    if what == "crash":
        os._exit(0)
    if what == "late":
        time.sleep(30)
'''

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Run:
    """A runner of those."""

    def __init__(self, where, only="waits", short=0, args=()):
        self.dir = where
        os.mkdir(where)
        ready = os.path.join(where, "ready")
        test = os.path.join(where, "test_of_the_runner.py")
        with open(test, "w", encoding="ascii") as f:
            f.write(WAITS.format(ready=ready, short=short))
        # it ignores what it was told to ignore, as all in the background of a script are
        self.proc = subprocess.Popen([f"{ROOT}/selftests/run", "-k", only, *args, test], text=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                     preexec_fn=lambda: [signal.signal(s, signal.SIG_DFL)
                                                         for s in SIGNALS])
        self.pids, self.id = [], None
        if only == "waits":
            wait_for("the test", lambda: os.path.exists(ready) or
                     self.proc.poll() is not None, 30)
            if not os.path.exists(ready):
                raise AssertionError(self.ends())
            with open(ready, encoding="ascii") as f:
                *pids, self.id = f.read().split()
            self.pids = [int(p) for p in pids]

    def ends(self):
        """Its exit status, and what it said."""
        said, _ = self.proc.communicate(timeout=30)
        return self.proc.returncode, said

    def left(self):
        names = [n for base in (own.NETNS, own.BPFFS, own.TMP) for n in os.listdir(base)
                 if n.startswith((self.id + ".", self.id.replace(".", "_")))]
        return sorted(names), sorted(p for p in self.pids if own.lives(p))


@timeout(120)
def test_killed():
    """What it leaves goes with the next one, and nothing of one that still runs."""
    with own.directory() as d:
        killed, other = Run(d + "/killed"), Run(d + "/other")
        there = other.left()
        eq((len(there[0]), len(there[1])), (5, 4), "directory, pin, namespaces; processes")
        killed.proc.kill()
        killed.ends()
        wait_for("its test", lambda: not own.lives(killed.pids[0]))
        # a dead one of a number that has been given away: this process has it
        reused = f"pft{os.getpid()}-1.1.reused"
        os.mkdir(os.path.join(own.TMP, reused))
        status, said = Run(d + "/third", "nothing").ends()
        eq((status, killed.left()), (0, ([], [])), said)
        eq(os.path.exists(os.path.join(own.TMP, reused)), False, reused)
        eq(os.path.isdir(d), True, "this test's own")
        eq(other.left(), there, "the other one's")
        other.proc.terminate()
        other.ends()


@timeout(120)
@cases(*((s.name, s) for s in SIGNALS))
def test_ended(_name, number):
    """It ends its tests, and leaves nothing."""
    with own.directory() as d:
        run = Run(d + "/ended")
        for _ in range(3):
            run.proc.send_signal(number)
        status, said = run.ends()
        eq((status, run.left()), (128 + number, ([], [])), said)
        eq(said.count("ended by"), 1, said)
        contains(said, f"ended by {number.name}\n")


def test_late():
    with own.directory() as d:
        status, said = Run(d + "/late", "short", 30).ends()
        eq(status, 1)
        contains(said, "took more than 0 s")
        contains(said, "\n0 passed, 1 failed")


def test_no_such_name():
    """What would have run no test at all has not passed."""
    with own.directory() as d:
        eq(Run(d + "/none", "nobody").ends(),
           (1, "selftests: there is no test of that name: nobody\n"))


def test_cases_that_share_a_lab():
    """Each is told of and counted; one that fails, ends or is late spoils no other."""
    with own.directory() as d:
        status, said = Run(d + "/cases", "cases", args=("-v", "-j1")).ends()
    eq(status, 1)
    said = re.sub(r" \([\d.]+ s\)", "", said)
    eq(re.findall(r"^(\w+) +of_the_runner.cases\[(\d+)\]", said, re.M),
       [("ok", "1"), ("FAIL", "3"), ("FAIL", "4"), ("FAIL", "5"), ("ok", "6"), ("ok", "2"),
        ("skip", "7"), ("ok", "9"), ("ok", "10"), ("ok", "8"), ("FAIL", "11")])
    for part in ("ok   of_the_runner.cases[1]\n     opened one\n     1 after '' at one\n",
                 "FAIL of_the_runner.cases[3]\n     3 after 'a' at one\n"
                 "     closed one AssertionError\n", "AssertionError: not clean",
                 "FAIL of_the_runner.cases[4]\n     opened one\n     4 after '' at one\n"
                 "     ended with 0\n",
                 "     5 after '' at one\n     took more than 0 s\n",
                 "     6 after '' at one\n     closed one None\n",
                 "     7 after 'b' at two\n     closed two Skip\n     not here\n",
                 "     opened two\n     9 after '' at two\n", "     10 after 'e' at two\n",
                 "FAIL of_the_runner.cases[11]\n     11 after 'd' at leaky\n"
                 "     closed leaky None\n", "\n1 skipped\n6 passed, 4 failed"):
        contains(said, part)
