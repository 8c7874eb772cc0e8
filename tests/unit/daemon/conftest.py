"""A daemon as a process of its own, on a site whose Slurm is away."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

CONFIG = """\
site: {{name: Lab, time_zone: Europe/Berlin, state_dir: {base}/state}}
daemon:
  url: "http://127.0.0.1:{port}"
  listen_host: 127.0.0.1
  listen_port: {port}
  munge_socket: {munge}
  quota_file: {base}/quota
  ticks: {{intensity: 1h, adopt: 300ms, plan: 400ms, settle: 400ms, quota: 1h, housekeeping: 1h}}
clusters:
  - name: hpc
    zone: DE
    pue: 1.2
    nodes: [{{nodes: "n[1-2]", cpus: 8, idle: 80 W, max: 240 W}}]
    slurm: {{bin_dir: {base}/bin}}
zones:
  - name: DE
    providers:
      - {{kind: static, g_per_kwh: 380, source: a report, year: 2024}}
quotas:
  - {{user: root, monthly: 1 kg}}
planning: {{settle_lag: 1h}}
"""


def command(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "carbonsched.cli.main", *map(str, arguments)],
        check=False, timeout=60, capture_output=True, text=True, env=os.environ | environment,
    )  # fmt: skip


@dataclass
class LabSite:
    config: Path
    base: Path
    port: int

    def ask(self, path):
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def start(self, *options):
        log = (self.base / "log").open("w")
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", "carbonsched.cli.main", "daemon", "--config", self.config,
                 *options],
                stdout=log, stderr=log,
            )  # fmt: skip

    def log(self) -> str:
        return (self.base / "log").read_text(encoding="utf-8")

    def wait_for(self, condition, what, timeout_s=20):
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                if found := condition():
                    return found
            except ConnectionError:
                pass
            assert time.monotonic() < deadline, f"{what}; log:\n{self.log()}"
            time.sleep(0.05)


@pytest.fixture
def carbonsched():
    """The administrator's command as a shell runs it."""
    return command


@pytest.fixture
def lab(tmp_path, munge_socket) -> LabSite:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    (tmp_path / "bin").mkdir()
    config = tmp_path / "carbonsched.yaml"
    config.write_text(CONFIG.format(base=tmp_path, port=port, munge=munge_socket), "utf-8")
    return LabSite(config=config, base=tmp_path, port=port)


@pytest.fixture
def running(lab):
    """The daemon once it has failed to reach Slurm; killed in the end if it still runs."""
    process = lab.start()
    try:
        lab.wait_for(lambda: len(lab.ask("/v1/health")[1]["ticks"]) == 6, "not all ticks ran")
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait(10)
