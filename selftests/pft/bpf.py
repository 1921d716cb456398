# SPDX-License-Identifier: BSD-2-Clause
"""bpf(2), as far as the tests need it: pinned objects, maps, BPF_PROG_TEST_RUN."""
import ctypes
import os
import platform
import signal
import struct

_NR = {"x86_64": 321, "aarch64": 280}.get(platform.machine(), 280)
_libc = ctypes.CDLL(None, use_errno=True)

MAP_LOOKUP_ELEM, MAP_UPDATE_ELEM, MAP_GET_NEXT_KEY = 1, 2, 4
PROG_LOAD, OBJ_GET, PROG_TEST_RUN, PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD = 5, 7, 10, 13, 15
MAP_LOOKUP_AND_DELETE_ELEM, MAP_LOOKUP_BATCH, MAP_UPDATE_BATCH = 21, 24, 26
MAP_DELETE_ELEM = 3
LINK_CREATE = 28
SCHED_CLS = 3
TCX_INGRESS, TCX_EGRESS = 46, 47


def bpf(cmd, attr, size=None):
    """attr: a bytearray, written back to by the kernel."""
    if len(attr) < (size or 0):
        attr.extend(bytes(size - len(attr)))
    buf = (ctypes.c_char * len(attr)).from_buffer(attr)
    r = _libc.syscall(_NR, cmd, ctypes.byref(buf), len(attr))
    if r < 0:
        e = ctypes.get_errno()
        raise OSError(e, f"bpf({cmd}): {os.strerror(e)}")
    return r


def _ptr(buf):
    return ctypes.addressof(buf)


def obj_get(path):
    name = ctypes.create_string_buffer(os.fsencode(path))
    return bpf(OBJ_GET, bytearray(struct.pack("=QII", _ptr(name), 0, 0)))


def info(fd, size=256):
    buf = ctypes.create_string_buffer(size)
    bpf(OBJ_GET_INFO_BY_FD, bytearray(struct.pack("=IIQ", fd, size, _ptr(buf))))
    return buf.raw


def link_prog_fd(path):
    """The program of a pinned link."""
    fd = obj_get(path)
    try:
        _kind, _id, prog = struct.unpack_from("=III", info(fd))
    finally:
        os.close(fd)
    return prog_by_id(prog)


def prog_by_id(prog):
    return bpf(PROG_GET_FD_BY_ID, bytearray(struct.pack("=III", prog, 0, 0)))


def _program(*insns):
    text = b"".join(struct.pack("=BBhi", op, dst | src << 4, off, imm)
                    for op, dst, src, off, imm in insns)
    code, licence = ctypes.create_string_buffer(text), ctypes.create_string_buffer(b"GPL")
    return bpf(PROG_LOAD, bytearray(struct.pack("=IIQQ", SCHED_CLS, len(insns), _ptr(code),
                                                _ptr(licence))), 144)


def _word(n):
    return n - (1 << 32) if n >= 1 << 31 else n


def verdict_program(verdict):
    """A tc program that only gives a verdict; -1 goes on with the next one."""
    return _program((0xB7, 0, 0, 0, verdict), (0x95, 0, 0, 0, 0))


def setting_program(words):
    """A tc program that sets words of the context, {offset in struct __sk_buff: value}."""
    insns = []
    for off, value in words.items():
        insns += [(0xB7, 2, 0, 0, _word(value)), (0x63, 1, 2, off, 0)]
    return _program(*insns, (0xB7, 0, 0, 0, -1), (0x95, 0, 0, 0, 0))


def dropping_program(off, value):
    """A tc program that drops what has this word in its context."""
    return _program((0x61, 2, 1, off, 0), (0xB7, 0, 0, 0, 2), (0x16, 2, 0, 1, _word(value)),
                    (0xB7, 0, 0, 0, -1), (0x95, 0, 0, 0, 0))


def tcx_attach(ns, dev, prog, hook, flags=0):
    """The link's descriptor: it holds as long as that is open."""
    with ns:
        return bpf(LINK_CREATE, bytearray(struct.pack("=IIIII", prog, ns.ifindex(dev), hook,
                                                      flags, 0)), 64)


class Map:
    def __init__(self, path):
        self.fd = obj_get(path)
        (self.type, self.id, self.key_size, self.value_size, self.max_entries,
         self.flags) = struct.unpack_from("=IIIIII", info(self.fd))
        self.percpu = self.type in (5, 6, 10)
        self.ncpu = _possible_cpus()

    def close(self):
        os.close(self.fd)

    def get(self, key):
        """The value's bytes; of a per-CPU map, a list of them."""
        k = ctypes.create_string_buffer(bytes(key), self.key_size)
        one = (self.value_size + 7) & ~7 if self.percpu else self.value_size
        v = ctypes.create_string_buffer(one * (self.ncpu if self.percpu else 1))
        bpf(MAP_LOOKUP_ELEM, bytearray(struct.pack("=IIQQQ", self.fd, 0, _ptr(k), _ptr(v), 0)))
        if not self.percpu:
            return v.raw
        return [v.raw[i * one:i * one + self.value_size] for i in range(self.ncpu)]

    def all(self):
        """The values of an array, one after the other."""
        v = ctypes.create_string_buffer(self.value_size * self.max_entries)
        keys = ctypes.create_string_buffer(self.key_size * self.max_entries)
        end = ctypes.create_string_buffer(self.key_size)
        bpf(MAP_LOOKUP_BATCH, bytearray(struct.pack("=QQQQIIQQ", 0, _ptr(end), _ptr(keys), _ptr(v),
                                                    self.max_entries, self.fd, 0, 0)))
        return v.raw

    def set(self, key, value):
        k = ctypes.create_string_buffer(bytes(key), self.key_size)
        v = ctypes.create_string_buffer(bytes(value), self.value_size)
        bpf(MAP_UPDATE_ELEM, bytearray(struct.pack("=IIQQQ", self.fd, 0, _ptr(k), _ptr(v), 0)))

    def fill(self, pairs):
        """Many at once, [(key, value)]; OSError says that not all found room."""
        keys, values = (ctypes.create_string_buffer(b"".join(part)) for part in zip(*pairs))
        bpf(MAP_UPDATE_BATCH, bytearray(struct.pack("=QQQQIIQQ", 0, 0, _ptr(keys), _ptr(values),
                                                    len(pairs), self.fd, 0, 0)))

    def delete(self, key):
        k = ctypes.create_string_buffer(bytes(key), self.key_size)
        bpf(MAP_DELETE_ELEM, bytearray(struct.pack("=IIQQQ", self.fd, 0, _ptr(k), 0, 0)))

    def keys(self):
        """All of them; those of a hash that changes meanwhile may be told twice."""
        out, last = [], None
        while True:
            k = None if last is None else ctypes.create_string_buffer(last, self.key_size)
            found = ctypes.create_string_buffer(self.key_size)
            try:
                bpf(MAP_GET_NEXT_KEY, bytearray(struct.pack("=IIQQQ", self.fd, 0, _ptr(k) if k
                                                            else 0, _ptr(found), 0)))
            except FileNotFoundError:
                return out
            last = found.raw
            out.append(last)

    def _first(self, cmd):
        v = ctypes.create_string_buffer(self.value_size)
        bpf(cmd, bytearray(struct.pack("=IIQQQ", self.fd, 0, 0, _ptr(v), 0)))
        return v.raw

    def peek(self):
        """The first value of a queue, which stays; ENOENT when there is none."""
        return self._first(MAP_LOOKUP_ELEM)

    def pop(self):
        """Takes the first value out of a queue; ENOENT when there is none."""
        return self._first(MAP_LOOKUP_AND_DELETE_ELEM)

    def push(self, value):
        """Into a queue."""
        v = ctypes.create_string_buffer(bytes(value), self.value_size)
        bpf(MAP_UPDATE_ELEM, bytearray(struct.pack("=IIQQQ", self.fd, 0, 0, _ptr(v), 0)))

    def u64_sum(self, index):
        """A counter of a per-CPU array of u64."""
        return sum(struct.unpack("=Q", v)[0] for v in self.get(struct.pack("=I", index)))


def _possible_cpus():
    n = 0
    with open("/sys/devices/system/cpu/possible", encoding="ascii") as f:
        for part in f.read().strip().split(","):
            lo, _, hi = part.partition("-")
            n += int(hi or lo) - int(lo) + 1
    return n


def test_run(prog_fd, data, ifindex=0, repeat=1, mark=0, out_size=4096):
    """BPF_PROG_TEST_RUN on a frame: (return value, frame afterwards, ns per run).

    ifindex is looked up in the namespace of the caller.  The kernel gives the
    frame a device, and takes off and puts on the Ethernet header by itself.
    """
    din = ctypes.create_string_buffer(bytes(data), len(data))
    dout = ctypes.create_string_buffer(out_size)
    # struct __sk_buff: len pkt_type mark queue_mapping protocol ... ifindex at 40
    ctx = ctypes.create_string_buffer(192)
    struct.pack_into("=I", ctx, 8, mark)
    struct.pack_into("=I", ctx, 40, ifindex)
    attr = bytearray(struct.pack("=IIIIQQIIIIQQIIII", prog_fd, 0, len(data), out_size, _ptr(din),
                                 _ptr(dout), repeat, 0, 192, 0, _ptr(ctx), 0, 0, 0, 0, 0))
    # while another thread makes a child by vfork it blocks all signals, and the end of one
    # before would interrupt this one in the midst of its packets
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD}) if repeat > 1 else None
    try:
        bpf(PROG_TEST_RUN, attr)
    finally:
        if masked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
    retval, _size_in, size_out = struct.unpack_from("=III", attr, 4)
    duration, = struct.unpack_from("=I", attr, 36)
    return ctypes.c_int32(retval).value, dout.raw[:size_out], duration
