# SPDX-License-Identifier: BSD-2-Clause
"""Datagrams as fast as there can be, to see whether one is missing."""
import socket
import threading
import time

from pft.lab import DST

SO_RCVBUFFORCE = 33


class Flood:
    """Datagrams from src through fw to dst, as many as there can be, each with its number."""

    def __init__(self, lab):
        self.out = lab.src.udp()
        self.inn = lab.dst.udp(9000)
        self.inn.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.inn.settimeout(2)
        self.sent = self.received = 0
        self.stop = False
        self.threads = [threading.Thread(target=t) for t in (self._send, self._receive)]
        for t in self.threads:
            t.start()

    def _send(self):
        while not self.stop:
            self.out.sendto(b"x", (DST, 9000))
            self.sent += 1
            if not self.sent % 64:
                time.sleep(0.002)  # the receiver is on the same two CPUs

    def _receive(self):
        try:
            while True:
                self.inn.recv(16)
                self.received += 1
        except TimeoutError:
            pass

    def end(self):
        self.stop = True
        for t in self.threads:
            t.join()
