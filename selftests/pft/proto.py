# SPDX-License-Identifier: BSD-2-Clause
"""pfd's control protocol, spoken by hand: lib/proto.h."""
import socket
import struct

MAGIC = 0x70664C39
OK, ERROR, DATA = 1, 2, 3
(LOAD_BEGIN, LOAD_DATA, LOAD_COMMIT, CONFIRM, ENABLE, DISABLE, RULES, CLEAR_RULES, STATES,
 STATUS) = range(100, 110)
TABLE, TABLE_DATA = 113, 114
STATES_SAVE, STATES_DATA, STATES_LOAD, MONITOR = range(122, 126)
FRAME_MOST = 1 << 20
MAIN = struct.pack("=I", 0)  # the path of the main ruleset
FOR_GOOD = struct.pack("=I", 0) + MAIN  # what LOAD_COMMIT takes: nobody has to confirm


def string(text):
    return struct.pack("=I", len(text)) + text.encode()


def frame(kind, payload=b"", seq=1, magic=MAGIC, length=None):
    return struct.pack("=IHHII", magic, kind, 0, len(payload) if length is None else length,
                       seq) + payload


class Control:
    def __init__(self, pf):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.s.settimeout(20)
        self.s.connect(pf.socket)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.s.close()

    def send(self, data):
        self.s.sendall(data)

    def _exactly(self, n):
        out = b""
        while len(out) < n:
            d = self.s.recv(n - len(out))
            if not d:
                raise EOFError(f"{len(out)} of {n} bytes")
            out += d
        return out

    def answer(self):
        """(type, payload) of the next frame."""
        magic, kind, _, length, _seq = struct.unpack("=IHHII", self._exactly(16))
        assert magic == MAGIC, hex(magic)
        return kind, self._exactly(length)

    def ask(self, kind, payload=b""):
        """The payload of OK; AssertionError with the message of ERROR."""
        self.send(frame(kind, payload))
        data = b""
        while True:
            k, p = self.answer()
            if k == OK:
                return p
            if k == ERROR:
                raise Refused(*error(p))
            data += p

    def load(self, model, path=""):
        """All the steps of a load, on one ticket."""
        ticket = self.ask(LOAD_BEGIN)
        self.ask(LOAD_DATA, ticket + model)
        self.ask(LOAD_COMMIT, ticket + FOR_GOOD[:4] + string(path))


def model(pf, text, path=""):
    """The bytes of a ruleset, as pfctl-linux would send them."""
    # what RULES gives is a model: load, fetch, and go back
    anchor = ("-a", path) if path else ()
    before = pf.ctl(*anchor, "-sr").stdout
    pf.ctl(*anchor, "-f", "-", input=text)
    with Control(pf) as c:
        c.send(frame(RULES, string(path)))
        data = b""
        kind, p = c.answer()
        while kind == DATA and p:
            data += p
            kind, p = c.answer()
        # the numbers of the rules follow
        while kind == DATA:
            kind, p = c.answer()
        if kind != OK:
            raise Refused(*error(p))
    pf.ctl(*anchor, "-f", "-", input=before)
    return data


class Refused(Exception):
    def __init__(self, errno, text):
        super().__init__(text)
        self.errno, self.text = errno, text


def error(payload):
    errno, length = struct.unpack_from("=II", payload)
    return errno, payload[8:8 + length].decode().rstrip("\0")
