"""The agent's socket for epoch marks, with nobody to meter."""

from __future__ import annotations

import socket
import time

from carbonsched.node.mark_format import MAX_MARK_BYTES, parse_marks


class Listener:
    """Takes the marks that arrive at ``path``."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(path))

    def received(self):
        """The marks since the last call; each datagram is one that the agent can read."""
        marks = []
        while True:
            try:
                data = self.socket.recv(MAX_MARK_BYTES)
            except BlockingIOError:
                return marks
            marks += parse_marks(data, time.time_ns())

    def told(self):
        """What they say in short."""
        return self.in_short(self.received())

    @staticmethod
    def in_short(marks):
        """Event, epoch and epochs of each."""
        return [("start" if one.start else "end", one.epoch, one.epochs) for one in marks]
