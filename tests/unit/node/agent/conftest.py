"""A node with its agent, and the daemon that it delivers to."""

from __future__ import annotations

import pytest

from .driving import Daemon, Node


@pytest.fixture
def daemon():
    made = Daemon()
    yield made
    made.close()


@pytest.fixture
def node(tree, daemon):
    made = Node(tree, daemon)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()
