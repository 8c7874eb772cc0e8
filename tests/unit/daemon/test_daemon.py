"""The daemon as an administrator meets it, with a Slurm that does not answer."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import closing

import pytest

from carbonsched.errors import DaemonError, ForbiddenError
from carbonsched.transport.client import Client
from carbonsched.transport.munge import Munge


def test_it_serves_degraded_logs_one_line_a_failure_and_stops_when_asked(lab, running):
    status, health = lab.ask("/v1/health")
    assert (status, health["status"]) == (200, "degraded")
    well = {name for name, tick in health["ticks"].items() if tick["ok"]}
    assert well == {"intensity", "settle", "quota", "housekeeping"}
    assert str(lab.base) not in str(health)
    lab.wait_for(lambda: lab.log().count("tick adopt") > 2, "the tick is not tried again")

    assert (lab.base / "quota").read_text("ascii").endswith("\nend\n")
    began = time.monotonic()
    running.send_signal(signal.SIGTERM)
    assert running.wait(15) == 0, lab.log()
    assert time.monotonic() - began < 10
    lines = lab.log().splitlines()
    assert "Traceback" not in lab.log()
    failures = [line for line in lines if " WARNING " in line]
    assert failures
    for line in failures:
        assert line[:4].isdigit(), line
        assert "carbonsched.services.ticks: tick " in line
        assert "bin" in line
    assert lines[-1].endswith("stopped")
    assert not (lab.base / "state" / "ledger.db-wal").exists(), "the ledger was closed"


def test_a_tick_that_outlasts_its_period_is_told_in_our_words(lab):
    """Slurm's commands take longer here than the ticks' periods."""
    commands = lab.base / "bin"
    commands.mkdir(exist_ok=True)
    for name in ("squeue", "sacct", "sinfo", "scontrol"):
        (commands / name).write_text("#!/bin/sh\nsleep 1\nexit 1\n")
        (commands / name).chmod(0o755)
    process = lab.start()
    try:
        lab.wait_for(lambda: "takes longer than its period" in lab.log(), "no turn is left out")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert "apscheduler" not in lab.log()


def test_interrupted_at_a_terminal_it_stops_as_well(lab, running):
    running.send_signal(signal.SIGINT)
    assert running.wait(15) in (0, 130)
    assert "Traceback" not in lab.log()
    assert lab.log().rstrip().endswith("stopped")


def test_it_answers_commands_and_can_be_killed_at_any_moment(lab, running):
    client = Client(f"http://127.0.0.1:{lab.port}", Munge(munge_socket_of(lab)))
    if os.getuid() == 0:
        answer = client.post("/v1/quota/grants", {"subject": "user:root", "mg": 7, "reason": "x"})
        assert answer["balance"]["granted_mg"] == 7
    else:
        with pytest.raises(ForbiddenError):
            client.post("/v1/quota/grants", {"subject": "user:root", "mg": 7, "reason": "x"})
    running.kill()
    running.wait(10)
    again = lab.start()
    try:
        balances = lab.wait_for(lambda: client_quota(client), "does not come back")
        assert balances[0]["granted_mg"] == (7 if os.getuid() == 0 else 0)
    finally:
        again.send_signal(signal.SIGTERM)
        assert again.wait(15) == 0


def munge_socket_of(lab):
    text = lab.config.read_text("utf-8")
    return text.partition("munge_socket: ")[2].splitlines()[0]


def client_quota(client):
    try:
        return client.get("/v1/quota")["balances"]
    except DaemonError:
        return None


def test_a_port_that_is_taken_is_one_line(lab):
    with closing(socket.create_server(("127.0.0.1", lab.port))):
        process = lab.start()
        assert process.wait(20) == 78
    (line,) = lab.log().splitlines()
    assert f"127.0.0.1:{lab.port}" in line
    assert line.endswith("is another daemon running?")
    assert not (lab.base / "state").exists()


@pytest.mark.parametrize("tick", ["intensity", "quota"])
def test_a_tick_by_hand_says_what_it_did(lab, carbonsched, tick):
    done = carbonsched("tick", tick, "--config", lab.config)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{tick}: ")
    assert done.stdout.count("\n") == 1


def test_a_pue_that_the_building_writes_is_fetched(lab, carbonsched):
    path = lab.base / "pue.csv"
    text = lab.config.read_text(encoding="utf-8")
    lab.config.write_text(
        text.replace("pue: 1.2", f"pue: {{file: {path}, fallback: 1.3}}"), encoding="utf-8"
    )
    gone = carbonsched("tick", "pue", "--config", lab.config)
    assert gone.returncode == 69
    assert gone.stderr.splitlines() == [
        f"carbonsched tick: PUE of cluster hpc: file {path}: No such file or directory"
    ]
    now = int(time.time())
    path.write_text(f"start,end,pue\n{now - 600},{now - 300},1.2\n{now - 300},{now},0.2\n")
    bad = carbonsched("tick", "pue", "--config", lab.config)
    assert "line 3: '0.2' is not a PUE from 1 to 3: left out" in bad.stderr
    path.write_text(f"start,end,pue\n{now - 600},{now - 300},1.2\n{now - 300},{now},1.25\n")
    done = carbonsched("tick", "pue", "--config", lab.config)
    assert (done.returncode, done.stdout) == (0, "pue: 1 new values\n")


def test_a_site_with_a_constant_pue_has_nothing_to_fetch(lab, carbonsched):
    done = carbonsched("tick", "pue", "--config", lab.config)
    assert done.returncode == 64
    assert "tick 'pue' has nothing to do on this site" in done.stderr


@pytest.mark.parametrize("tick", ["adopt", "plan"])
def test_a_tick_that_needs_slurm_says_that_it_is_away(lab, carbonsched, tick):
    done = carbonsched("tick", tick, "--config", lab.config)
    assert done.returncode == 69
    assert done.stderr.startswith("carbonsched tick: ")
    assert done.stderr.count("\n") == 1
    assert str(lab.base / "bin") in done.stderr


def test_a_tick_by_hand_works_beside_the_daemon(lab, running, carbonsched):
    done = carbonsched("tick", "settle", CARBONSCHED_CONFIG=str(lab.config))
    assert (done.returncode, done.stdout) == (0, "settle: 0 jobs settled, 0 of them final\n")


def test_a_tick_the_site_has_no_use_for_is_said_to_be(lab, carbonsched):
    text = lab.config.read_text("utf-8")
    lab.config.write_text(text.replace(f"  quota_file: {lab.base}/quota\n", ""), "utf-8")
    done = carbonsched("tick", "quota", "--config", lab.config)
    assert done.returncode == 64
    assert done.stderr.count("\n") == 1
    assert "'quota' has nothing to do on this site" in done.stderr


def test_a_state_directory_that_cannot_be_is_one_line(lab, carbonsched):
    (lab.base / "state").write_text("a file", "utf-8")
    done = carbonsched("tick", "settle", "--config", lab.config)
    assert done.returncode == 78
    assert done.stderr.count("\n") == 1
    assert "site.state_dir" in done.stderr


def test_a_ledger_that_is_none_is_one_line(lab, carbonsched):
    (lab.base / "state").mkdir()
    (lab.base / "state" / "ledger.db").write_text("not a database" * 1000, "utf-8")
    done = carbonsched("tick", "settle", "--config", lab.config)
    assert done.returncode == 74
    assert done.stderr.count("\n") == 1
    assert "ledger.db: file is not a database" in done.stderr
