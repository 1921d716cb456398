# SPDX-License-Identifier: BSD-2-Clause
"""What is written for people: it is well formed, and its examples work."""
import glob
import os
import re
import subprocess

from pft.check import cases, eq, lines_eq
from pft.lab import BUILD, PFCTL, ROOT, Lab, Pfd
from pft.netns import needs_own_mounts


def pages():
    return sorted(glob.glob(f"{ROOT}/man/*.[58]"))


def parses(text, where):
    r = subprocess.run([PFCTL, "-nf", "-"], input=text, capture_output=True, text=True, check=False)
    eq((r.returncode, r.stderr), (0, ""), f"{where}\n{text}\n{r.stderr}")


def test_manuals_are_well_formed():
    eq([os.path.basename(p) for p in pages()], ["pf.conf.5", "pfctl-linux.8", "pfd.8"])
    r = subprocess.run(["mandoc", "-T", "lint", *pages()], capture_output=True, text=True,
                       check=False)
    eq((r.returncode, r.stdout + r.stderr), (0, ""))


def test_examples_of_the_manual_parse():
    with open(f"{ROOT}/man/pf.conf.5", encoding="ascii") as f:
        text = f.read().split(".Sh GRAMMAR")[0]
    blocks = re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed", text, re.M | re.S)
    assert len(blocks) >= 15, len(blocks)
    for block in blocks:
        plain = block.replace("\\e", "\\").replace("\\&", "").replace("\\(dq", '"')
        if plain.lstrip().startswith("$ "):
            continue  # a command
        parses(plain, "pf.conf.5")


def test_example_of_the_readme_parses():
    with open(f"{ROOT}/README.md", encoding="utf-8") as f:
        text = f.read()
    block = re.search(r"^    # pf.conf\n((?:    .*\n)+)", text, re.M)
    rules = re.sub(r"^    ", "", block[0], flags=re.M)
    eq(len(rules.splitlines()), 10)
    parses(rules, "README.md")


def test_examples_parse():
    files = sorted(glob.glob(f"{ROOT}/examples/*.conf"))
    assert files
    for path in files:
        with open(path, encoding="utf-8") as f:
            parses(f.read(), path)


def test_examples_load():
    """They use only what is enforced."""
    with Lab(hosts=2, v6=False) as lab:
        for path in sorted(glob.glob(f"{ROOT}/examples/*.conf")):
            lab.pf.ctl("-f", path)


@cases(("pfd", "pfd"), ("pfctl", "pfctl-linux"))
def test_options_are_documented(_name, program):
    """Each option of the usage line stands in the manual, and in both or neither."""
    r = subprocess.run([os.path.join(BUILD, program), "-h"], capture_output=True, text=True,
                       check=False)
    flags = set(re.search(r"\[-([A-Za-z]+)\]", r.stdout)[1]) | set(
        re.findall(r"\[-([A-Za-z])[ \]]", r.stdout)) - {"h"}
    with open(f"{ROOT}/man/{program}.8", encoding="ascii") as f:
        text = f.read()
    listed = set(re.findall(r"^\.It Fl (\w)\b", text, re.M))
    lines_eq(sorted(flags | {"h"}), sorted(listed | {"h"}))


def test_install():
    """make install: what it puts there runs, and nothing of this directory is needed."""
    with Lab(hosts=2, pfd=False) as lab:
        release = os.path.abspath(os.environ.get("PF_RELEASE", BUILD))
        # -o all: made anew, with other flags perhaps, it would be missing in other tests
        r = subprocess.run(["make", "-C", ROOT, "-o", "all", "install",
                            f"DESTDIR={lab.dir}/root", "PREFIX=/usr", f"BUILD={release}"],
                           capture_output=True, text=True, check=False)
        eq(r.returncode, 0, r.stdout + r.stderr)
        top = f"{lab.dir}/root/usr"
        have = sorted(os.path.relpath(os.path.join(d, f), top)
                      for d, _, files in os.walk(top) for f in files)
        lines_eq(have, ["sbin/pfctl-linux", "sbin/pfd", "share/examples/pf-linux/gateway.conf",
                        "share/examples/pf-linux/host.conf",
                        "share/examples/pf-linux/server.conf", "share/man/man5/pf.conf.5",
                        "share/man/man8/pfctl-linux.8", "share/man/man8/pfd.8"])
        needs_own_mounts()
        # without this directory, compilers and kernel headers
        script = f"""
            mount -t tmpfs none {ROOT}
            mount --bind /dev/null /usr/bin/clang 2>/dev/null || :
            mount -t tmpfs none /usr/include
            {top}/sbin/pfd -p {lab.dir}/s -P {lab.pin} -l {lab.dir}/l
            echo 'block log' | {top}/sbin/pfctl-linux -p {lab.dir}/s -f -
            {top}/sbin/pfctl-linux -p {lab.dir}/s -sr
            kill $(cat {lab.dir}/s.lock)
        """
        r = lab.fw.run("unshare", "-m", "--propagation", "private", "sh", "-ec", script)
        eq(r.stdout, "block drop log all\n")
        pf = Pfd(lab.fw, lab.dir, lab.pin)
        eq(lab.src.ping("192.0.2.2"), False)
        pf.close()
