# SPDX-License-Identifier: BSD-2-Clause
"""The real programs against the reference model (selftests/model), for a short while."""
import os
import subprocess

from pft import own
from pft.check import Skip, matches, timeout
from pft.lab import BUILD

SECONDS = 20


@timeout(180)
def test_random_rules_as_the_model():
    """A fresh seed each time; "make diff-test" goes on."""
    diff = os.path.join(BUILD, "model/diff")
    if not os.path.exists(diff):
        raise Skip(f"{diff} is not built (make diff-test)")
    args = [diff, "-t", str(SECONDS), "-P", f"{own.BPFFS}/{own.name()}_model"]
    if os.environ.get("PF_SEED"):
        args += ["-s", os.environ["PF_SEED"], "-n", "1"]
    r = subprocess.run(args, capture_output=True, text=True, check=False)
    print(r.stdout, r.stderr)
    last = r.stdout.strip().splitlines()[-1] if r.stdout.strip() else ""
    matches(last, r"^\d+ packets over [1-9]\d* rulesets, 0 disagreements$")
    if r.returncode:
        raise AssertionError(f"exit status {r.returncode}")
    print("note: " + last)
