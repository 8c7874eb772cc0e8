from __future__ import annotations

import pytest
from twin.agent import Listener


@pytest.fixture
def agent(tmp_path, monkeypatch):
    made = Listener(tmp_path / "agent.sock")
    monkeypatch.setenv("CARBONSCHED_AGENT_SOCKET", str(made.path))
    yield made
    made.socket.close()
