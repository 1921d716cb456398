# SPDX-License-Identifier: BSD-2-Clause
"""The fuzzers, for some seconds each; `make fuzz` takes more time."""
import os
import subprocess

from pft.check import Skip, cases, timeout
from pft.lab import BUILD, ROOT

SECONDS = int(os.environ.get("PF_FUZZ_SECONDS", 10))


@timeout(SECONDS + 90)
@cases(("parse",), ("model",), ("client",), ("saved",))
def test_fuzz(name):
    programs = os.path.join(BUILD, "fuzz")
    if not os.path.exists(os.path.join(programs, f"fuzz_{name}")):
        raise Skip(f"{programs}/fuzz_{name} is not built (make fuzzers)")
    r = subprocess.run([os.path.join(ROOT, "selftests", "fuzz", "run"), "-t", str(SECONDS),
                        programs, name], capture_output=True, text=True, check=False)
    print(r.stdout + r.stderr)
    assert r.returncode == 0, f"fuzz_{name} has found something"
