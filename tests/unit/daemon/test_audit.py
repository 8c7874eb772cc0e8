"""Readings delivered as an agent does, audited by the command, through a running daemon."""

from __future__ import annotations

import json
import os
import time

import pytest

from carbonsched.transport.client import Client
from carbonsched.transport.munge import Munge


@pytest.mark.skipif(os.getuid() != 0, reason="agents and operators are root here")
def test_what_an_agent_sends_is_audited(lab, running, carbonsched):
    socket = lab.config.read_text("utf-8").partition("munge_socket: ")[2].splitlines()[0]
    start_at = int(time.time()) // 60 * 60 - 600
    nobody = {"restarts": None, "uid": None, "cpu_ms": 0, "present_ms": 0, "job_id": None}
    part = {
        "kind": "job", "energy_j": 900, "job_id": 7, "restarts": 0, "uid": 1, "cpu_ms": 5,
        "present_ms": 300_000, "node_ms": 150_000, "quality": "sampled", "uncertainty_j": 0,
        "domains": {"cpu": 400, "gpu": 500},
    }  # fmt: skip
    segment = {
        "cluster": "hpc", "node": "n1", "start_at": start_at, "end_at": start_at + 300,
        "total_j": 1000, "quality": "sampled", "meter": "rapl",
        "parts": [part, {**nobody, "kind": "idle", "energy_j": 100}],
    }  # fmt: skip
    node = {"cluster": "hpc", "name": "n1", "jobs": [[7, 0]]}
    document = {"segments": [segment], "epochs": [], "node": node}
    client = Client(f"http://127.0.0.1:{lab.port}", Munge(socket))
    assert client.post("/v1/readings", document) == {
        "accepted": 1, "duplicates": 0, "refused": [], "ended": [],
    }  # fmt: skip
    site = lab.base / "site.json"
    compiled = carbonsched("config", "compile", lab.config, "-o", site)
    assert compiled.returncode == 0, compiled.stderr
    done = carbonsched("audit", "-S", "now-2hours", "--json", CARBONSCHED_SITE=str(site))
    assert (done.returncode, done.stderr) == (0, "")
    (found,) = json.loads(done.stdout)["clusters"]
    assert (found["measured_j"], found["idle_j"], found["jobs_j"]) == (1000, 100, 0)
    assert (found["unclaimed_j"], found["unknown_j"]) == (900, 900), "Slurm is away here"
    shown = carbonsched("audit", "-S", "now-2hours", CARBONSCHED_SITE=str(site)).stdout
    assert "It adds up" in shown
