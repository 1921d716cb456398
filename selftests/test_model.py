# SPDX-License-Identifier: BSD-2-Clause
"""The real programs against the reference model (selftests/model), for a short while."""
import os
import re
import subprocess

from pft import own
from pft.check import Skip, eq, matches, timeout
from pft.lab import BUILD

SECONDS = 20


def diff(*args):
    """Its exit status, what it prints and what it complains of."""
    program = os.path.join(BUILD, "model/diff")
    if not os.path.exists(program):
        raise Skip(f"{program} is not built (make diff-test)")
    r = subprocess.run([program, "-P", f"{own.BPFFS}/{own.name()}_model", *args],
                       capture_output=True, text=True, check=False)
    print(r.stdout, r.stderr)
    return r.returncode, r.stdout, r.stderr


@timeout(180)
def test_random_rules_as_the_model():
    """A fresh seed each time; "make diff-test" goes on."""
    seed = os.environ.get("PF_SEED")
    status, said, _ = diff("-t", str(SECONDS), *(["-s", seed, "-n", "1"] if seed else []))
    last = said.strip().splitlines()[-1]
    matches(last, r"^\d+ packets over [1-9]\d* rulesets, 0 disagreements$")
    eq(status, 0)
    print("note: " + last)


@timeout(180)
def test_wrong_model_is_found_out():
    """
    -w: it is wrong about some packets, by their verdict or by where they go; that about one
    of them is left when it is small.
    """
    left = r"(  model: leaves .*\n  real:  leaves .*\n  byte \d+ of \d+: model .*, real .*\n)?"
    kinds = set()
    for seed in range(3, 11):
        status, said, _ = diff("-w", "-s", str(seed), "-n", "1")
        eq(status, 1)
        found = re.search(rf"^--- disagreement, -s {seed} -n 1 -p 500, emitter .*\n"
                          rf"\* (?:in|out) .*\n  model: .*\n  real:  .*\n{left}---\n"
                          r"in .*\n\d+ packets over 1 rulesets, 1 disagreements$", said, re.M)
        eq(bool(found), True)
        kinds.add(bool(found.group(1)))
        if len(kinds) == 2:
            return
    raise AssertionError("all were wrong in the same way")


def test_pins_of_others_are_left_alone():
    d = f"{own.BPFFS}/{own.name()}_others"
    os.mkdir(d)
    eq(diff("-P", d, "-n", "1"), (1, "", f"diff: {d} is there already\n"))
    eq(os.path.isdir(d), True)
    os.rmdir(d)
