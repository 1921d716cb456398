# SPDX-License-Identifier: BSD-2-Clause
"""The firewalls that are compared: each takes a policy and loads it into lab.fw.

A load takes the place of what was loaded before, in one step of the firewall's own.
"""
import os
import shutil
import subprocess

import policy
from common import say
from pft.netns import Netns


class Pf:
    name = "pf"
    text = staticmethod(policy.pf)

    def load(self, lab, text):
        # as it is written: -o none
        lab.pf.ctl("-f", "-", input=text, timeout=300)

    def change(self, lab, rule):
        """Makes this the only rule of the anchor."""
        lab.pf.load(policy.pf_rule(rule), "-a", "web")

    def start(self, lab):
        lab.pf.ctl("-e", check=False)

    def stop(self, lab):
        lab.pf.ctl("-F", "states")
        lab.pf.ctl("-d", check=False)


class Optimized(Pf):
    """The same, as the optimiser makes it: what pfctl-linux does when nothing is said."""
    name = "pf-basic"

    def load(self, lab, text):
        lab.pf.ctl("-o", "basic", "-f", "-", input=text, timeout=300)


class Nft:
    name = "nft"
    table = "bench"
    command = ("nft", "-f", "-")
    text = staticmethod(policy.nft)

    def load(self, lab, text):
        lab.fw.run(*self.command, input=text, timeout=300)

    def change(self, lab, rule):
        self.load(lab, f"flush chain ip {self.table} web\n"
                       f"add rule ip {self.table} web {policy.nft_rule(rule)}\n")

    def start(self, lab):
        pass

    def stop(self, lab):
        lab.fw.run("nft", "flush", "ruleset")


class NftSet(Nft):
    name = "nft-set"
    table = "bench_set"
    text = staticmethod(policy.nft_set)


class Iptables:
    name = "iptables"
    text = staticmethod(policy.iptables)

    def __init__(self, program):
        self.command = (program + "-restore",)

    def load(self, lab, text):
        lab.fw.run(*self.command, input=text, timeout=300)

    def change(self, lab, rule):
        lab.fw.run(*self.command, "--noflush", timeout=300, input="\n".join(
            ("*filter", ":web - [0:0]", policy.iptables_rule(rule, "web"), "COMMIT", "")))

    def start(self, lab):
        pass

    def stop(self, lab):
        self.load(lab, "*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n")


def _works(*argv):
    """In a namespace that is thrown away: old iptables leaves hooks in it for ever."""
    if not shutil.which(argv[0]):
        return f"{argv[0]} is not installed: make deps"
    ns = Netns(f"pfbench{os.getpid()}.probe")
    try:
        r = ns.run(*argv, check=False)
        return "" if r.returncode == 0 else f"{argv[0]} does not work here: {r.stderr.strip()}"
    finally:
        ns.delete()


def _version(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def find():
    """{name: peer} of those that work here; says which, and which not and why."""
    found, why = {}, _works("nft", "list", "tables")
    if not why:
        say("nft: " + _version("nft", "--version"))
        found = {"nft": Nft(), "nft-set": NftSet()}
    else:
        say(f"nft: left out, {why}")
    # iptables proper, which is quicker than what brings its language to nftables
    for program in ("iptables-legacy", "iptables"):
        why = _works(program, "-S")
        if not why:
            say(f"iptables: {program}, {_version(program, '--version')}")
            found["iptables"] = Iptables(program)
            break
        say(f"iptables: {why}")
    return found
