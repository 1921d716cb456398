# SPDX-License-Identifier: BSD-2-Clause
"""One program, many frames: see replay.bpf.c."""
import mmap
import os
import shutil
import struct
import subprocess
import tempfile

import common  # noqa: F401  (selftests/ is where pft is)
import frames
from pft import bpf
from pft.lab import BUILD

FRAMES, ROOM = 65536, 64


class Replay:
    def __init__(self):
        self.pin = tempfile.mkdtemp(prefix="pfbench_", dir="/sys/fs/bpf")
        try:
            r = subprocess.run(["bpftool", "prog", "load",
                                os.path.join(BUILD, "bench", "replay.bpf.o"),
                                self.pin + "/prog", "pinmaps", self.pin],
                               capture_output=True, text=True, check=False)
            if r.returncode:
                raise RuntimeError(f"bpftool prog load: {r.stdout}{r.stderr}")
            self.prog = bpf.obj_get(self.pin + "/prog")
            self.to = bpf.Map(self.pin + "/to")
            self.ports = bpf.Map(self.pin + "/ports")
            fd = bpf.obj_get(self.pin + "/frames")
            self.frames = mmap.mmap(fd, FRAMES * ROOM)
            os.close(fd)
        except BaseException:
            shutil.rmtree(self.pin)
            raise
        self.first = None

    def close(self):
        self.frames.close()
        self.to.close()
        self.ports.close()
        os.close(self.prog)
        shutil.rmtree(self.pin)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def fill(self, flows, ports=0, of_destination=False):
        """As many as there is room for, again and again; `ports' see replay.bpf.c."""
        some = [(f if isinstance(f, bytes) else frames.frame(f)).ljust(ROOM, b"\0") for f in flows]
        self.frames[:] = b"".join(some[i % len(some)] for i in range(FRAMES))
        self.first = some[0]
        self.ports.set(struct.pack("=I", 0), struct.pack("=II", ports, of_destination))

    def run(self, lab, prog, repeat):
        """Nanoseconds a frame, with what it costs to change the frame."""
        self.to.set(struct.pack("=I", 0), struct.pack("=I", prog))
        with lab.fw:
            return bpf.test_run(self.prog, self.first[:frames.SIZE], lab.fw.ifindex("ext"),
                                repeat)[2]
