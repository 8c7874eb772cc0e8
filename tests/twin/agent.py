"""The agent's socket for epoch marks, with nobody to meter."""

from __future__ import annotations

import json
import socket

from carbonsched.node.epoch_book import parse_mark


class Listener:
    """Takes the marks that arrive at ``path``."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(path))

    def received(self):
        """The marks since the last call; each is one that the agent can read."""
        marks = []
        while True:
            try:
                text = self.socket.recv(4096)
            except BlockingIOError:
                return marks
            assert parse_mark(text)
            marks.append(json.loads(text))

    def told(self):
        """What they say in short."""
        return [(mark["event"], mark["epoch"], mark["epochs"]) for mark in self.received()]
