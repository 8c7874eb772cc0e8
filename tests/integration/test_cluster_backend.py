"""The command-line backend against a real Slurm, with JSON and without."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from carbonsched.cluster.command_line import CommandLineCluster
from carbonsched.errors import ClusterUnavailableError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contract"))

from cluster_contract import ClusterContract  # found through the line above

pytestmark = pytest.mark.cluster

OLD_SQUEUE = """#!/bin/sh
case "$1" in --json) echo "squeue: unrecognized option '--json'" >&2; exit 1 ;; esac
exec {squeue} "$@"
"""


class LabBench:
    """Hands on the lab, by Slurm's own commands."""

    user = "carbon-ada"

    def __init__(self, lab):
        self._lab = lab
        self.nodes = lab.nodes

    def submit(self, *words):
        done = self._lab.run_as(self.user, ["sbatch", "--parsable", "-o", "/dev/null", *words])
        return int(done.stdout)

    def wait(self, job_id, *states):
        self._lab.wait_job_state(job_id, *states)

    def requeue(self, job_id):
        self._lab.slurm("scontrol", "requeue", str(job_id))

    def cancel(self, job_id):
        self._lab.slurm("scancel", str(job_id))

    def admin_comment(self, job_id):
        shown = self._lab.slurm("scontrol", "show", "job", str(job_id))
        (line,) = [one for one in shown.splitlines() if "AdminComment=" in one]
        return line.strip().removeprefix("AdminComment=")

    def reserve(self, name, node, start_at, minutes):
        self._lab.slurm(
            "scontrol", "create", "reservation", f"ReservationName={name}", f"Nodes={node}",
            f"StartTime=uts{start_at}", f"Duration={minutes}", "Users=root", "Flags=MAINT",
        )  # fmt: skip

    def release(self, name):
        self._lab.slurm("scontrol", "delete", f"ReservationName={name}")


@pytest.fixture(scope="module")
def bench(lab):
    return LabBench(lab)


@pytest.fixture(scope="module")
def old_commands(lab_folder):
    """Slurm's commands with a squeue that knows no ``--json``."""
    folder = lab_folder / "old-commands"
    folder.mkdir()
    for name in ("sacct", "scancel", "scontrol", "sinfo"):
        (folder / name).symlink_to(shutil.which(name))
    (folder / "squeue").write_text(OLD_SQUEUE.format(squeue=shutil.which("squeue")))
    (folder / "squeue").chmod(0o755)
    return folder


class TestWithJson(ClusterContract):
    @pytest.fixture
    def cluster(self, lab, monkeypatch):
        monkeypatch.setenv("SQUEUE_FORMAT", "%i")  # must not matter
        return CommandLineCluster(lab.config.cluster, None, lab.slurm_conf, 20, 50)

    def test_the_note_is_seen(self, cluster, bench):
        job_id = bench.submit("--begin=now+1hour", "--wrap", "true")
        cluster.set_start(job_id, 2_000_000_000, "carbonsched: seen")
        assert cluster.job(job_id).admin_comment == "carbonsched: seen"
        bench.cancel(job_id)

    def test_a_node_in_maintenance_is_known_to_come_back(self, cluster, bench, lab):
        def node():
            return next(one for one in cluster.nodes() if one.name == lab.nodes[0])

        bench.reserve("maintenance", lab.nodes[0], int(time.time()), 5)
        try:
            lab.wait_until(lambda: node().maintained, "the maintenance")
            assert not node().available
        finally:
            bench.release("maintenance")
        lab.wait_until(lambda: node().available, "the node's return")
        assert not node().maintained


class TestWithoutJson(ClusterContract):
    @pytest.fixture
    def cluster(self, lab, old_commands):
        return CommandLineCluster(lab.config.cluster, old_commands, lab.slurm_conf, 20, 50)


def test_a_controller_that_is_away_is_unavailable_and_comes_back(lab):
    cluster = CommandLineCluster(lab.config.cluster, None, lab.slurm_conf, 5, 50)
    slurmctld = lab.processes.get("slurmctld").pid
    os.kill(slurmctld, 19)  # SIGSTOP: it accepts connections and answers nobody
    try:
        with pytest.raises(ClusterUnavailableError, match=r"^[^\n]+$"):
            cluster.jobs()
    finally:
        os.kill(slurmctld, 18)
    assert isinstance(list(cluster.jobs()), list)
