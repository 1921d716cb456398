# SPDX-License-Identifier: BSD-2-Clause
"""Ways to attach to interfaces: tcx, clsact, and beside the programs of others."""
import ctypes
import errno
import os
import socket
import struct

from pft import bpf
from pft.check import cases, contains, eq, Skip
from pft.devices import check_bulk, filters, need_tcx, program_name
from pft.lab import DST, DST6, FW_SRC, Lab, Pfd, PFD, SRC, SRC6
from pft.netns import wait_for
from pft.tun import ip, TUN, Tun, TUN_PEER
from scapy.layers.inet import UDP

OBJ_PIN, PROG_QUERY = 6, 16
INGRESS, EGRESS = bpf.TCX_INGRESS, bpf.TCX_EGRESS


def attached(ns, dev, hook):
    """Ids of the tcx programs of an interface, in their order."""
    ids = (ctypes.c_uint32 * 16)()
    with ns:
        attr = bytearray(struct.pack("=IIIIQI", socket.if_nametoindex(dev), hook, 0, 0,
                                     ctypes.addressof(ids), 16))
        try:
            bpf.bpf(PROG_QUERY, attr, 64)
        except OSError as e:
            eq(e.errno, errno.EINVAL)  # a kernel without tcx
            return []
    return list(ids)[:struct.unpack_from("=I", attr, 24)[0]]


def prog_id(fd):
    return struct.unpack_from("=I", bpf.info(fd), 4)[0]


def once_only(lab):
    """A packet passes each program once: rules without states count it once."""
    lab.pf.load("pass in on ext proto icmp no state\npass out on ext proto icmp no state\n")
    eq(lab.src.ping(FW_SRC), True)
    eq([n["packets"] for _, n in lab.pf.rule_numbers()], [1, 1])


def test_clsact():
    """The way of older kernels: rules, states, answers, log, and all of it goes with -X."""
    rules = "block return log\npass in on ext proto tcp to port 8000\npass out on int proto tcp\n"
    with Lab(rules=rules, pfd_args=("-a", "clsact")) as lab:
        contains(lab.pf.said(), "attached by clsact")
        eq(os.listdir(lab.pin + "/links"), [])
        eq([[n.split(":")[0] for n in way] for way in filters(lab)], [["pf_in"], ["pf_out"]])
        eq((attached(lab.fw, "ext", INGRESS), attached(lab.fw, "ext", EGRESS)), ([], []))
        for addr in (DST, DST6):
            check_bulk(lab, lab.dst, lab.src, addr)
            eq(lab.src.can_connect(addr, 8001, 3), "refused", addr)
        eq(lab.src.ping(DST, 0.1), False)
        wait_for("a record", lambda: any(r["dev"] == "ext" for r in lab.pf.log_records()))
        lab.pf.load("block return out on ext\n")
        for addr in (SRC, SRC6):
            eq(lab.fw.can_connect(addr, 80, 3), "refused", addr)
        # without pfd
        lab.pf.load("block\npass in on ext proto icmp\n")
        lab.pf.ctl("-F", "states")
        lab.pf.stop()
        eq((lab.src.ping(FW_SRC), lab.src.can_connect(FW_SRC, 80, 0.1)), (True, "timeout"))
        lab.pf.start()
        once_only(lab)
        lab.pf.load("set skip on ext\nblock\n")
        eq(filters(lab), ([], []), "skipped")
        lab.pf.load("block\n")
        eq(lab.src.ping(FW_SRC, 0.1), False)
        lab.pf.ctl("-d")
        eq(filters(lab), ([], []), "disabled")
        lab.pf.ctl("-e")
        lab.pf.stop()
        eq(lab.src.ping(FW_SRC, 0.1), False)
        lab.fw.run(*lab.pf.argv("-X"))
        eq(filters(lab), ([], []), "removed")
        eq(lab.src.ping(FW_SRC), True)


def test_clsact_and_new_interfaces():
    """One that comes later, of either kind, is filtered that way, too."""
    with Lab(hosts=2, v6=False, rules="block\n", pfd_args=("-a", "clsact")) as lab:
        lab.fw.batch(["link add late0 type veth peer name x netns " + lab.src.name,
                      "addr add 203.0.113.65/26 dev late0", "link set late0 up"])
        lab.src.batch(["addr add 203.0.113.66/26 dev x", "link set x up"])
        wait_for("filters", lambda: filters(lab, "late0")[1])
        eq(lab.src.ping("203.0.113.65", 0.1), False)
        with Tun(lab) as tun:
            wait_for("filters", lambda: filters(lab, "tun0")[1])
            eq([[n.split(":")[0] for n in way] for way in filters(lab, "tun0")],
               [["pf_in_l3"], ["pf_out_l3"]])
            lab.pf.load("block\npass in on tun0 proto udp to port 53\n")
            with lab.fw.udp(53) as s:
                tun.send(ip(TUN_PEER, TUN) / UDP(sport=1000, dport=53) / b"question")
                eq(s.recv(100), b"question")


@cases(("clsact_to_tcx", "clsact", "tcx"), ("tcx_to_clsact", "tcx", "clsact"))
def test_way_changes_with_a_restart(_name, before, after):
    """Nothing of the other way is left, and no packet is judged twice."""
    with Lab(hosts=2, v6=False, rules="block\npass in on ext proto icmp\n",
             pfd_args=("-a", "auto")) as lab:
        need_tcx(lab)
        if before != "tcx":
            lab.pf.args = ["-a", before]
            lab.pf.restart()
        eq(lab.src.ping(FW_SRC), True)
        states = lab.pf.states()
        lab.pf.args = ["-a", after]
        lab.pf.restart()
        eq(lab.pf.states(), states)
        for dev in ("ext", "lo"):
            n = lab.fw.ifindex(dev)
            links = [w for w in ("in", "out") if os.path.exists(f"{lab.pin}/links/{n}-{w}")]
            tcx = [len(attached(lab.fw, dev, hook)) for hook in (INGRESS, EGRESS)]
            old = [len(way) for way in filters(lab, dev)]
            if after == "tcx":
                eq((links, tcx, old), (["in", "out"], [1, 1], [0, 0]), dev)
            else:
                eq((links, tcx, old), ([], [0, 0], [1, 1]), dev)
        eq((lab.src.ping(FW_SRC), lab.src.can_connect(FW_SRC, 80, 0.1)), (True, "timeout"))
        once_only(lab)


def test_other_programs():
    """pf is first on the way in, last on the way out, and lets those of others run."""
    with Lab(hosts=2, v6=False, pfd=False) as lab:
        ok, shot = bpf.verdict_program(0), bpf.verdict_program(2)
        try:
            links = [bpf.tcx_attach(lab.fw, "ext", ok, hook) for hook in (INGRESS, EGRESS)]
        except OSError as e:
            raise Skip(f"this kernel has no tcx: {e}") from None
        lab.pf = Pfd(lab.fw, lab.dir, lab.pin)
        lab.pf.start()
        lab.pf.load("block\n")
        inward, outward = (attached(lab.fw, "ext", hook) for hook in (INGRESS, EGRESS))
        eq((len(inward), inward[1:]), (2, [prog_id(ok)]))
        eq((len(outward), outward[:1]), (2, [prog_id(ok)]))
        eq(lab.src.ping(FW_SRC, 0.1), False, "an OK behind us means nothing")
        for fd in links:
            os.close(fd)
        lab.pf.load("pass\n")
        eq(lab.src.ping(FW_SRC), True)
        fd = bpf.tcx_attach(lab.fw, "ext", shot, INGRESS)
        eq(lab.src.ping(FW_SRC, 0.1), False, "what we let pass, another may drop")
        os.close(fd)
        eq(lab.src.ping(FW_SRC), True)
        # filters of clsact come after us, and still come
        path = pinned(lab, "shot", shot)
        try:
            lab.fw.run("tc", "qdisc", "add", "dev", "ext", "clsact")
            lab.fw.run("tc", "filter", "add", "dev", "ext", "ingress", "bpf", "direct-action",
                       "object-pinned", path)
        finally:
            os.unlink(path)
        eq(lab.src.ping(FW_SRC, 0.1), False, "dropped by a filter")
        lab.pf.restart()
        eq([len(attached(lab.fw, "ext", hook)) for hook in (INGRESS, EGRESS)], [1, 1])
        eq(len(filters(lab)[0]), 1, "the filter is still there")
        lab.fw.run("tc", "filter", "del", "dev", "ext", "ingress")
        eq(lab.src.ping(FW_SRC), True)
        for prog in (ok, shot):
            os.close(prog)


def pinned(lab, name, prog):
    """A path that tc(8) can take the program from; the runner sweeps it up."""
    path = f"{lab.pin}_{name}"
    text = ctypes.create_string_buffer(path.encode())
    bpf.bpf(OBJ_PIN, bytearray(struct.pack("=QII", ctypes.addressof(text), prog, 0)))
    return path


@cases(("in", "ingress"), ("out", "egress"))
def test_clsact_beside_a_filter(direction, way):
    """One of another's that says OK, at the first priority: nothing gets by us for it."""
    with Lab(hosts=2, v6=False, pfd=False) as lab:
        ok = bpf.verdict_program(0)
        path = pinned(lab, "ok", ok)
        try:
            lab.fw.run("tc", "qdisc", "add", "dev", "ext", "clsact")
            lab.fw.run("tc", "filter", "add", "dev", "ext", way, "prio", "1", "handle", "1", "bpf",
                       "direct-action", "object-pinned", path)
        finally:
            os.unlink(path)
            os.close(ok)
        lab.pf = Pfd(lab.fw, lab.dir, lab.pin, ["-a", "clsact"])
        lab.pf.start()
        lab.pf.load(f"block {direction} on ext\n")
        eq(lab.src.ping(FW_SRC, 0.1), False)
        lab.pf.stop()
        lab.fw.run(*lab.pf.argv("-X"))
        eq(len(filters(lab)[way == "egress"]), 1, "the other's stays")


def test_clsact_beside_another_classifier():
    """A filter in front of pf could pass what pf blocks: pfd says so, and does not start."""
    with Lab(hosts=2, v6=False, pfd=False) as lab:
        lab.fw.run("tc", "qdisc", "add", "dev", "ext", "clsact")
        r = lab.fw.run("tc", "filter", "add", "dev", "ext", "ingress", "prio", "1", "u32", "match",
                       "u32", "0", "0", "flowid", "1:1", check=False)
        if r.returncode:
            raise Skip(f"no u32 classifier: {r.stderr.strip()}")
        r = lab.fw.run(PFD, "-d", "-a", "clsact", "-p", f"{lab.dir}/s", "-P", lab.pin, "-l",
                       f"{lab.dir}/l", check=False)
        eq(r.returncode, 1)
        contains(r.stderr, "cannot attach to ext: another tc filter has priority 1 there")
        lab.fw.run(PFD, "-X", "-P", lab.pin)


def test_many_interfaces():
    """Fifty come at once, and fifty go."""
    with Lab(hosts=2, v6=False, rules="block\n") as lab:
        before = lab.pf.info()["attached interfaces"]
        pins = len(os.listdir(lab.pin + "/links"))
        lab.fw.batch([f"link add m{i} type veth peer name n{i}" for i in range(25)])
        wait_for("them", lambda: lab.pf.info()["attached interfaces"] == before + 50, 10)
        for dev in ("m0", "n0", "m24", "n24"):
            eq(program_name(lab, dev), "pf_in", dev)
        lab.fw.batch([f"link del m{i}" for i in range(25)])
        wait_for("their end", lambda: lab.pf.info()["attached interfaces"] == before, 10)
        wait_for("that of their pins", lambda: len(os.listdir(lab.pin + "/links")) == pins)
        eq(lab.src.ping(FW_SRC, 0.1), False)
