# SPDX-License-Identifier: BSD-2-Clause
"""The oldest kernel that is supported: its verifier takes all programs, and they work there."""
import os
import shutil
import subprocess

from pft.check import Skip, eq, matches, timeout
from pft.lab import BUILD, ROOT

VMTEST = os.environ.get("PF_VMTEST") or os.path.join(ROOT, "..", "shared", "vm", "vmtest.sh")
RELEASE = os.path.abspath(os.environ.get("PF_RELEASE", BUILD))
# what goes deepest in the datapath, by both emitters: its stack is what 6.1 is strict about
TESTS = ("selftests/test_limiters.py", "-k", "table_by_hand")
N_TESTS = 2


def kernel(package, where):
    """Debian's, unpacked; kept beside what was built.  `make deps' has what starts it."""
    if not os.path.isfile(VMTEST):
        raise Skip(f"no {VMTEST} to start another kernel with")
    d = os.environ.get("PF_KERNEL") or os.path.join(RELEASE, "kernels", where)
    if not os.path.isdir(d):
        r = subprocess.run([VMTEST, "--fetch", package, d + ".new"], capture_output=True,
                           text=True, check=False)
        if r.returncode:
            shutil.rmtree(d + ".new", ignore_errors=True)
        eq(r.returncode, 0, r.stderr)
        os.rename(d + ".new", d)
    return d


@timeout(400)
def test_oldest():
    d = kernel("linux-image-amd64", "debian")
    r = subprocess.run([VMTEST, "-c", "1", "-t", "360", "-W", d, "sh", "-c",
                        'uname -r; cd "$0" && PF_BUILD=$1 && export PF_BUILD && shift && '
                        'exec selftests/run -j1 "$@"', ROOT, RELEASE, *TESTS],
                       capture_output=True, text=True, check=False)
    print("note: on", r.stdout.split("\n", 1)[0])
    assert r.returncode == 0, (r.returncode, r.stdout[-3000:], r.stderr[-3000:])
    matches(r.stdout, f"^{N_TESTS} passed, 0 failed$")
