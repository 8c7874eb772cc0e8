from __future__ import annotations

import json
import socket

import pytest

from carbonsched.node.epoch_book import parse_mark


class Listener:
    """A socket as the agent's, and what arrived on it."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(path))

    def received(self):
        marks = []
        while True:
            try:
                text = self.socket.recv(4096)
            except BlockingIOError:
                return marks
            assert parse_mark(text)
            marks.append(json.loads(text))

    def told(self):
        return [(mark["event"], mark["epoch"], mark["epochs"]) for mark in self.received()]


@pytest.fixture
def agent(tmp_path, monkeypatch):
    made = Listener(tmp_path / "agent.sock")
    monkeypatch.setenv("CARBONSCHED_AGENT_SOCKET", str(made.path))
    yield made
    made.socket.close()
