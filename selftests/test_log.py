# SPDX-License-Identifier: BSD-2-Clause
"""The log: records as OpenBSD's pflog has them, in a pcap file that nothing destroys."""
import os
import signal
import socket
import stat
import struct
import time

from pft.check import at_least, between, cases, contains, eq, lines_eq
from pft.lab import DST, DST6, GHOST, GHOST6, GHOST6_DST, GHOST_DST, MAC, Lab, Pfd, Stopped
from pft.netns import needs_own_mounts, wait_for
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_Timestamp
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw, raw

PASS, DROP = -1, 2
HEADER = 100  # struct pfloghdr
SNAP = 256    # of the frame
FILE_HEADER = struct.pack("=IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 117)
UNSET = 0xFFFFFFFF


def ip(src, dst):
    return IPv6(src=src, dst=dst) if ":" in src else IP(src=src, dst=dst)


def udp(sport=1000, dport=53, src=GHOST, dst=GHOST_DST, data=b""):
    return ip(src, dst) / UDP(sport=sport, dport=dport) / Raw(data)


def frame(pkt, dev="ext"):
    return raw(Ether(dst=MAC[dev], src="02:00:00:00:00:99") / pkt)


def one_cpu():
    """Each CPU has a ring of its own: TEST_RUN on one keeps the records in order."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def send(lab, pkt, way="in", dev="ext"):
    return lab.pf.run(dev, way, frame(pkt, dev))[0]


def records(lab, n):
    """The log's records as soon as there are n: more is as wrong as fewer."""
    def enough():
        return os.path.exists(lab.pf.logfile) and len(lab.pf.log_records()) >= n
    wait_for(f"{n} records", enough)
    found = lab.pf.log_records()
    eq(len(found), n, "records")
    return found


def read_pcap(path):
    """[(seconds, caplen, len, bytes)], strictly: a whole header, whole records, no more."""
    with open(path, "rb") as f:
        data = f.read()
    eq(data[:24], FILE_HEADER, "the file's header")
    out, at = [], 24
    while at < len(data):
        sec, usec, caplen, length = struct.unpack_from("=IIII", data, at)
        eq(usec < 1000000, True, "microseconds")
        eq(at + 16 + caplen <= len(data), True, "a whole record")
        out.append((sec + usec / 1e6, caplen, length, data[at + 16:at + 16 + caplen]))
        at += 16 + caplen
    return out


def pfloghdr(af, action, reason, dev, rule, direction, src, dst, sport=0, dport=0):
    """struct pfloghdr of OpenBSD's net/if_pflog.h; af is OpenBSD's, numbers big-endian."""
    family = socket.AF_INET if af == 2 else socket.AF_INET6
    return struct.pack("!BBBB16s16sIIIIIIBBBB16s16sHH", HEADER, af, action, reason, dev.encode(),
                       b"", rule, UNSET, UNSET, UNSET, UNSET, UNSET, direction, 0, af, 0,
                       socket.inet_pton(family, src), socket.inet_pton(family, dst), sport, dport)


def test_tcpdump_reads_it():
    """Rule number, action, direction and interface of each kind, as tcpdump prints them."""
    rules = """
        block
        block in log on ext inet proto tcp label "web"
        pass in log on ext proto udp to port 53
        pass out log on int inet6 proto udp label "names"
        block out log on ext proto udp
        pass in log on ext inet proto icmp icmp-type echoreq
    """
    syn = ip(GHOST, GHOST_DST) / TCP(sport=1000, dport=80, flags="S", seq=7, window=100)
    syn6 = ip(GHOST6, GHOST6_DST) / TCP(sport=1000, dport=80, flags="S")
    with Lab(v6=False, rules=rules) as lab:
        one_cpu()
        for pkt, way, dev, want in (
                (syn, "in", "ext", DROP), (syn6, "in", "ext", DROP), (syn, "in", "int", DROP),
                (udp(dport=53, data=b"x" * 12), "in", "ext", PASS),
                (udp(dport=54), "in", "ext", DROP),
                (udp(5, 6, GHOST6, GHOST6_DST, b"y"), "out", "int", PASS),
                (udp(5, 6, GHOST6_DST, GHOST6, b"y"), "out", "ext", DROP),
                (udp(7, 8, GHOST_DST, GHOST, b"z"), "out", "ext", DROP),
                (ip(GHOST, GHOST_DST) / ICMP(type=8, id=9, seq=1) / b"12345678", "in", "ext",
                 PASS)):
            eq(send(lab, pkt, way, dev), want, pkt.summary())
        records(lab, 6)
        got = [line.split(" ", 2)[2] for line in lab.pf.log_lines("-q")]
        lines_eq(got, [
            "rule 1/0(match): block in on ext: 192.0.2.100.1000 > 198.51.100.100.80: tcp 0",
            "rule 2/0(match): pass in on ext: 192.0.2.100.1000 > 198.51.100.100.53: UDP, "
            "length 12",
            "rule 3/0(match): pass out on int: 2001:db8:1::100.5 > 2001:db8:2::100.6: UDP, "
            "length 1",
            "rule 4/0(match): block out on ext: 2001:db8:2::100.5 > 2001:db8:1::100.6: UDP, "
            "length 1",
            "rule 4/0(match): block out on ext: 198.51.100.100.7 > 192.0.2.100.8: UDP, length 1",
            "rule 5/0(match): pass in on ext: 192.0.2.100 > 198.51.100.100: ICMP echo request, "
            "id 9, seq 1, length 16"])
        # a number is the one that -sr gives: there the label stands
        shown = lab.pf.rules()
        contains(shown[1], 'label "web"')
        contains(shown[3], 'label "names"')
        # libpcap's own words for these records
        for words, n in (("rulenum 4", 2), ("action block", 3), ("ifname int", 1),
                         ("reason match", 6), ("inbound", 3), ("rulenum 3 and outbound", 1),
                         ("rulenum 0", 0)):
            eq(len(lab.pf.log_lines(*words.split())), n, words)


@cases(("ipv4", 2, GHOST, GHOST_DST), ("ipv6", 24, GHOST6, GHOST6_DST))
def test_every_byte(_name, af, src, dst):
    """Header and packet, and the time of day, as a reader without libpcap sees them."""
    rules = """
        block
        block in log on ext proto udp to port 256:300
        pass out log on int proto 253
    """
    with Lab(v6=False, rules=rules) as lab:
        one_cpu()
        began = time.time()
        blocked = udp(1000, 258, src, dst, b"content")
        if af == 2:
            other = IP(src=src, dst=dst, proto=253) / Raw(b"abc")
        else:
            other = IPv6(src=src, dst=dst, nh=253) / Raw(b"abc")
        eq(send(lab, blocked), DROP)
        eq(send(lab, other, "out", "int"), PASS)
        records(lab, 2)
        first, second = read_pcap(lab.pf.logfile)
        for (when, caplen, length, _), pkt in ((first, blocked), (second, other)):
            eq((caplen, length), (HEADER + len(raw(pkt)),) * 2)
            between(when, began - 0.1, time.time() + 0.1, "its time")
        eq(first[3][:HEADER], pfloghdr(af, 1, 0, "ext", 1, 1, src, dst, 1000, 258))
        eq(first[3][HEADER:], raw(blocked))
        eq(second[3][:HEADER], pfloghdr(af, 0, 0, "int", 2, 2, src, dst))
        eq(second[3][HEADER:], raw(other))
        eq(stat.S_IMODE(os.stat(lab.pf.logfile).st_mode), 0o600, "nobody else reads it")
        # scapy's reader, for one
        from scapy.utils import RawPcapReader
        r = RawPcapReader(lab.pf.logfile)
        eq((r.linktype, [d for d, _ in r]), (117, [first[3], second[3]]))
        r.close()


def test_only_the_packet_that_makes_the_state():
    """As pf without `log (all)`; without a state each packet is logged."""
    rules = """
        block
        pass in log on ext proto udp to port 53
        pass in log on ext proto udp to port 54 no state
        pass in log on ext proto tcp to port 80
    """
    seg = {"sport": 1000, "dport": 80}
    back = {"sport": 80, "dport": 1000}
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        one_cpu()
        for pkt, way in ((udp(dport=53), "in"), (udp(53, 1000, GHOST_DST, GHOST), "out"),
                         (udp(dport=53), "in"), (udp(dport=54), "in"), (udp(dport=54), "in"),
                         (ip(GHOST, GHOST_DST) / TCP(flags="S", seq=1, **seg), "in"),
                         (ip(GHOST_DST, GHOST) / TCP(flags="SA", seq=5, ack=2, **back), "out"),
                         (ip(GHOST, GHOST_DST) / TCP(flags="A", seq=2, ack=6, **seg), "in")):
            eq(send(lab, pkt, way), PASS, pkt.summary())
        # what the state refuses is no business of the rule that made it
        eq(send(lab, ip(GHOST_DST, GHOST) / TCP(flags="A", seq=10**6, ack=2, **back) / b"x", "out"),
           DROP)
        eq(send(lab, ip(GHOST, GHOST_DST) / TCP(flags="FA", seq=2, ack=6, **seg), "in"), PASS)
        got = [(r["rule"], r["action"], r["packet"][20:24].hex()) for r in records(lab, 4)]
        eq(got, [(1, "pass", "03e80035"), (2, "pass", "03e80036"), (2, "pass", "03e80036"),
                 (3, "pass", "03e80050")])
        eq(lab.pf.info()["records"], 4)


def test_snap_length():
    """The frame's first 256 bytes; the length is the packet's; padding is no packet."""
    with Lab(hosts=2, v6=False, rules="block log\n") as lab:
        one_cpu()
        text = bytes(range(256)) * 6
        sizes = [0, 18, SNAP - 14 - 28 - 1, SNAP - 14 - 28, SNAP - 14 - 28 + 1, 1472]
        for n in sizes:
            eq(send(lab, udp(data=text[:n])), DROP)
        records(lab, len(sizes))
        for (_, caplen, length, data), n in zip(read_pcap(lab.pf.logfile), sizes):
            whole = raw(udp(data=text[:n]))
            eq(length, HEADER + 28 + n, f"{n} bytes: length")
            eq(caplen, HEADER + min(28 + n, SNAP - 14), f"{n} bytes: caplen")
            eq(data[HEADER:], whole[:SNAP - 14], f"{n} bytes: packet")


def test_link_headers_are_cut_off():
    """Ethernet, one or two VLAN tags, the padding of short frames: the record begins with IP."""
    with Lab(hosts=2, v6=False, rules="block log\n") as lab:
        one_cpu()
        pkt = udp(data=b"x")
        eth = Ether(dst=MAC["ext"], src="02:00:00:00:00:99")
        for head in (eth, eth / Dot1Q(vlan=5), Ether(dst=MAC["ext"], type=0x88A8) / Dot1Q(vlan=5) /
                     Dot1Q(vlan=6)):
            data = raw(head / pkt) + b"\xee" * 20
            eq(lab.pf.run("ext", "in", data)[0], DROP)
        for r in records(lab, 3):
            eq((r["packet"], r["len"]), (raw(pkt), len(raw(pkt))))


def test_always_logged():
    """Malformed packets and IP options need no `log`; tcpdump misnames reasons 3 and 4."""
    opt = IP(src=GHOST, dst=GHOST_DST, options=[IPOption_Timestamp()]) / UDP(sport=1, dport=2)
    with Lab(hosts=2, v6=False, rules="block\nblock\npass in proto udp\n") as lab:
        one_cpu()
        for pkt in (IP(src=GHOST, dst=GHOST_DST) / UDP(sport=1, dport=2, len=7),
                    IP(src=GHOST, dst=GHOST_DST) / TCP(flags="SR"),
                    IP(src=GHOST, dst=GHOST_DST, frag=8, flags="DF", proto=17) / Raw(bytes(8)),
                    opt):
            eq(send(lab, pkt), DROP)
        eq(send(lab, udp(dport=2)), PASS)
        # the state does not allow them either
        eq(send(lab, udp(1, 2)), PASS)
        eq(send(lab, opt), DROP)
        got = [(r["action"], r["reason"], r["rule"]) for r in records(lab, 5)]
        # the first option was seen by a rule, and is logged with its number
        eq(got, [("block", "short", -1), ("block", "normalize", -1), ("block", "fragment", -1),
                 ("block", "ip-option", 2), ("block", "ip-option", -1)])
        text = [line.split(" ", 2)[2].split(":")[0] for line in lab.pf.log_lines()]
        # tcpdump before 4.99.4 has a name too few
        old = text[:1] == ["rule 4294967295/unkn(3)"]
        eq(text, (["rule 4294967295/unkn(3)", "rule 4294967295/3(short)"] if old else
                  ["rule 4294967295/3(short)", "rule 4294967295/4(normalize)"]) +
           ["rule 4294967295/2(fragment)", "rule 2/8(ip-option)", "rule 4294967295/8(ip-option)"])


def test_answers_are_not_logged():
    """`block return log` is one record, though the answer itself meets rules with log."""
    rules = "block return log\nblock out log quick\n"
    with Lab(hosts=2, v6=False, rules=rules) as lab:
        src = lab.wire("src")
        src.send(ip(GHOST, GHOST_DST) / TCP(sport=1000, dport=80, flags="S", seq=7))
        got = src.receive(lambda p: TCP in p)
        eq(got and str(got[TCP].flags), "RA")
        r, = records(lab, 1)
        eq((r["rule"], r["action"], r["dir"]), (0, "block", "in"))


def test_interfaces_by_name():
    """Each record names its interface, loopback and a renamed one, too."""
    with Lab(v6=False, rules="block log\n") as lab:
        one_cpu()
        for dev in ("ext", "int"):
            eq(send(lab, udp(), "in", dev), DROP)
        eq(lab.fw.ping("127.0.0.1", 0.05), False)
        eq([r["dev"] for r in sorted(records(lab, 3), key=lambda r: r["packet"][12:20])],
           ["lo", "ext", "int"])
        lab.fw.batch(["link set ext down", "link set ext name outer-with-15-c",
                      "link set outer-with-15-c up"])

        def renamed():
            eq(lab.pf.run("outer-with-15-c", "in", frame(udp(9, 9)))[0], DROP)
            return any(r["dev"] == "outer-with-15-c" for r in lab.pf.log_records())
        wait_for("the new name", renamed)


@cases(("term", signal.SIGTERM), ("kill", signal.SIGKILL))
def test_appended_over_restarts(_name, sig):
    """One file header, whole records, times that rise; what nobody read is counted as lost."""
    with Lab(hosts=2, v6=False, rules="block log\n") as lab:
        one_cpu()
        for i in (1, 2):
            eq(send(lab, udp(dport=i)), DROP)
        records(lab, 2)
        lab.pf.stop(sig)
        before = read_pcap(lab.pf.logfile)
        eq(send(lab, udp(dport=3)), DROP, "without pfd")
        lab.pf.start()
        eq(send(lab, udp(dport=4)), DROP)
        records(lab, 3)
        after = read_pcap(lab.pf.logfile)
        eq(after[:2], before, "what was there")
        eq([r["packet"][22:24] for r in lab.pf.log_records()], [b"\0\1", b"\0\2", b"\0\4"])
        eq(sorted(after), after, "times")
        eq(len(lab.pf.log_lines()), 3)
        info = lab.pf.info()
        eq((info["records"], info["lost records"]), (4, 1))


def test_no_log_is_destroyed():
    """A file that is none of ours stays as it is; it is said, and filtering goes on."""
    def pcap(magic, link, order="="):
        return struct.pack(order + "IHHIIII", magic, 2, 4, 0, 0, 65535, link)
    swapped = ">" if struct.pack("=H", 1) == b"\1\0" else "<"
    with Lab(hosts=2, pfd=False) as lab:
        foreign = {"garbage": os.urandom(4096), "Ethernet": pcap(0xA1B2C3D4, 1) + bytes(64),
                   "cut": FILE_HEADER[:20], "one byte": b"x",
                   "nanoseconds": pcap(0xA1B23C4D, 117),
                   "the other byte order": pcap(0xA1B2C3D4, 117, swapped)}
        lab.pf = Pfd(lab.fw, lab.dir, lab.pin)
        with open(lab.pf.logfile, "wb") as f:
            f.write(foreign["garbage"])
        lab.pf.start()
        lab.pf.load("block log\n")
        for n, (what, data) in enumerate(foreign.items(), 1):
            with open(lab.pf.logfile, "wb") as f:
                f.write(data)
            if n > 1:
                lab.pf.proc.send_signal(signal.SIGHUP)
            wait_for("the error", lambda: lab.pf.said().count("no log is written: ") == n)
            eq(send(lab, udp()), DROP)
            wait_for("the record", lambda: lab.pf.info()["records"] >= n)
            time.sleep(0.12)  # longer than pfd waits before it writes
            with open(lab.pf.logfile, "rb") as f:
                eq(f.read() == data, True, f"{what} is untouched")
        os.rename(lab.pf.logfile, lab.pf.logfile + ".old")
        lab.pf.proc.send_signal(signal.SIGHUP)
        wait_for("the new file", lambda: os.path.exists(lab.pf.logfile))
        eq(send(lab, udp(dport=77)), DROP)
        r, = records(lab, 1)
        eq(r["packet"][22:24], b"\0\x4d")


def test_rotation():
    """After the file was moved away, SIGHUP opens a new one; nothing is lost in between."""
    with Lab(hosts=2, v6=False, rules="block log\n") as lab:
        one_cpu()
        old = lab.pf.logfile + ".0"
        eq(send(lab, udp(dport=1)), DROP)
        records(lab, 1)
        os.rename(lab.pf.logfile, old)
        eq(send(lab, udp(dport=2)), DROP)
        wait_for("the second record", lambda: len(read_pcap(old)) == 2)
        lab.pf.proc.send_signal(signal.SIGHUP)
        wait_for("the new file", lambda: os.path.exists(lab.pf.logfile))
        eq(send(lab, udp(dport=3)), DROP)
        r, = records(lab, 1)
        eq(r["packet"][22:24], b"\0\3")
        eq(len(read_pcap(old)), 2)
        # an existing file of ours is appended to
        lab.pf.proc.send_signal(signal.SIGHUP)
        eq(send(lab, udp(dport=4)), DROP)
        eq([r["packet"][22:24] for r in records(lab, 2)], [b"\0\3", b"\0\4"])
        # an empty file becomes a log
        with open(lab.pf.logfile, "wb"):
            pass
        lab.pf.proc.send_signal(signal.SIGHUP)
        eq(send(lab, udp(dport=5)), DROP)
        wait_for("the log in it", lambda: os.path.getsize(lab.pf.logfile) > 24)
        r, = records(lab, 1)
        eq(r["packet"][22:24], b"\0\5")
        eq(lab.pf.info()["lost records"], 0)


def test_losses_are_counted():
    """With pfd stopped the ring fills up: records written and lost are all that were made."""
    with Lab(hosts=2, v6=False, rules="block log\n") as lab:
        one_cpu()
        with Stopped(lab.pf):
            made = 5000
            lab.pf.run("ext", "in", frame(udp(data=bytes(300))), repeat=made)
        wait_for("the rest to be written", lambda: lab.pf.info()["lost records"] > 0)
        eq(send(lab, udp(dport=77)), DROP, "one more, behind those that were lost")
        wait_for("it", lambda: lab.pf.log_records()[-1:][0]["packet"][22:24] == b"\0\x4d")
        info, written = lab.pf.info(), len(lab.pf.log_records())
        eq(info["records"], made + 1)
        at_least(written, 100, "written")
        eq(info["lost records"], made + 1 - written)
        # they are gone from the status when that is cleared
        lab.pf.ctl("-F", "info")
        eq((lab.pf.info()["records"], lab.pf.info()["lost records"]), (0, 0))


def test_none_is_lost():
    """What the ring can hold arrives whole, although pfd is woken for many at once only."""
    with Lab(hosts=2, v6=False, rules="block log\n") as lab:
        one_cpu()
        for n in (1, 63, 64, 65, 500):
            lab.pf.run("ext", "in", frame(udp(dport=n)), repeat=n)
        got = records(lab, 693)
        eq([struct.unpack("!H", r["packet"][22:24])[0] for r in got],
           [1] + [63] * 63 + [64] * 64 + [65] * 65 + [500] * 500)
        info = lab.pf.info()
        eq((info["records"], info["lost records"]), (693, 0))


def test_real_traffic():
    """Two directions of two families through real stacks: who asks is logged, once each way."""
    rules = "block log\npass in log on ext proto udp to port 53\npass out log on int proto udp\n"
    with Lab(v6=True, rules=rules) as lab:
        for addr, family in ((DST, socket.AF_INET), (DST6, socket.AF_INET6)):
            with lab.dst.udp(53, family=family) as s, lab.src.udp(family=family) as c:
                c.sendto(b"question", (addr, 53))
                data, who = s.recvfrom(100)
                s.sendto(b"answer" + data, who)
                eq(c.recv(100), b"answerquestion")

        def ours():
            return [line for line in lab.pf.log_lines("-q") if "UDP, length" in line]
        wait_for("four records", lambda: len(ours()) >= 4)
        got = sorted(line.split(": ")[1] + " " + line.split(" > ")[1] for line in ours())
        eq(got, ["pass in on ext 198.51.100.1.53: UDP, length 8",
                 "pass in on ext 2001:db8:2::1.53: UDP, length 8",
                 "pass out on int 198.51.100.1.53: UDP, length 8",
                 "pass out on int 2001:db8:2::1.53: UDP, length 8"])


class SmallDisk(Pfd):
    """pfd whose log lies in a file system of 16 KB that only it sees."""

    def argv(self, *more):
        disk = self.dir + "/disk"
        return ["unshare", "-m", "--propagation", "private", "sh", "-ec",
                f"mkdir -p {disk}; mount -t tmpfs -o size=16k none {disk}; exec \"$@\"", "sh",
                *super().argv("-l", disk + "/log", *more)]

    def seen(self, name):
        return f"/proc/{self.proc.pid}/root{self.dir}/disk/{name}"


def test_full_disk():
    """As pflogd: it is said; with room again, the file is a log still, and gets new records."""
    needs_own_mounts()
    with Lab(hosts=2, v6=False, pfd=False) as lab:
        one_cpu()
        pf = lab.pf = SmallDisk(lab.fw, lab.dir, lab.pin)
        pf.start()
        pf.load("block log\n")
        pf.logfile = pf.seen("log")
        with open(pf.seen("ballast"), "wb") as f:
            f.write(bytes(8192))
        pf.run("ext", "in", frame(udp(dport=1, data=bytes(300))), repeat=64)
        wait_for("the message", lambda: "No space left on device" in pf.said(), 3)
        eq(send(lab, udp(dport=2)), DROP, "filtering goes on")
        time.sleep(0.12)  # pfd writes that as well as it can
        os.unlink(pf.seen("ballast"))
        eq(send(lab, udp(dport=3)), DROP)
        end = raw(udp(dport=3))

        def written():
            with open(pf.logfile, "rb") as f:
                return f.read().endswith(end)
        wait_for("the last record", written)
        at_least(len(read_pcap(pf.logfile)), 2, "records that can be read")
        eq(pf.log_lines()[-1].count("192.0.2.100.1000 > 198.51.100.100.3:"), 1)
