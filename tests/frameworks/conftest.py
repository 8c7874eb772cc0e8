"""Real trainings with the real libraries, on the CPU: tests/frameworks/run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

if (_TESTS := str(Path(__file__).parents[1])) not in sys.path:
    sys.path.append(_TESTS)
from twin.agent import Listener  # found through the line above

os.environ |= {
    "KERAS_BACKEND": "torch",
    "CUDA_VISIBLE_DEVICES": "",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "WANDB_DISABLED": "true",
}


@pytest.fixture
def agent(tmp_path, monkeypatch):
    for name in ("LOCAL_RANK", "SLURM_LOCALID"):
        monkeypatch.delenv(name, raising=False)
    made = Listener(tmp_path / "agent.sock")
    monkeypatch.setenv("CARBONSCHED_AGENT_SOCKET", str(made.path))
    yield made
    made.socket.close()


@pytest.fixture
def marked():
    """What a training of ``epochs`` says from epoch ``first`` to ``last``, counted from 1."""

    def expected(first, last, epochs):
        numbers = range(first, last + 1)
        return [(event, number, epochs) for number in numbers for event in ("start", "end")]

    return expected
