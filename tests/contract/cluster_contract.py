"""What every backend of :class:`carbonsched.ports.Cluster` must do, on a real cluster.

A test module derives from :class:`ClusterContract` and gives the fixtures ``cluster`` (the backend
under test) and ``bench`` (a :class:`Bench`: submits and waits, independent of the backend).
"""

from __future__ import annotations

import time
from typing import Protocol

import pytest

from carbonsched.errors import ClusterRefusedError

PATIENT = "trap true USR1; sleep 60 & wait"
AWKWARD = 'a "b" | c,d ü\ne\x1ff'


class Bench(Protocol):
    """Hands on a real cluster."""

    def submit(self, *words: str) -> int:
        """sbatch as an ordinary user; the job's id."""

    def wait(self, job_id: int, *states: str) -> None:
        """Until the job is in one of the states."""

    def requeue(self, job_id: int) -> None:
        """scontrol requeue."""

    def cancel(self, job_id: int) -> None:
        """scancel."""

    def admin_comment(self, job_id: int) -> str:
        """What scontrol shows."""

    def reserve(self, name: str, node: str, start_at: int, minutes: int) -> None:
        """scontrol create reservation, for maintenance of one node."""

    def release(self, name: str) -> None:
        """scontrol delete reservation."""


def only(jobs, job_id):
    (job,) = [job for job in jobs if job.key.job_id == job_id]
    return job


def wait_for(what, found, timeout_s=30):
    """Poll until ``found()`` gives something; the accounting lags by some seconds."""
    ends_at = time.monotonic() + timeout_s
    while time.monotonic() < ends_at:
        if (value := found()) is not None:
            return value
        time.sleep(0.3)
    raise AssertionError(f"no {what} within {timeout_s} s")


class ClusterContract:
    """The tests themselves."""

    def test_a_pending_job_as_its_owner_described_it(self, cluster, bench):
        job_id = bench.submit(
            "--begin=now+1hour", "-n3", "-t7", f"--job-name={AWKWARD}", f"--comment={AWKWARD}",
            "--wrap", "true",
        )  # fmt: skip
        job = cluster.job(job_id)
        assert (job.name, job.comment) == (AWKWARD, AWKWARD)
        assert (job.cpus, job.time_limit_s, job.tasks) == (3, 420, 1)
        assert job.pending
        assert (job.started_at, job.ended_at, job.deadline_at) == (None, None, None)
        assert abs(job.eligible_at - job.key.submitted_at - 3600) <= 2
        assert job.key.cluster == cluster.name
        assert job.user == bench.user
        assert job in cluster.jobs()
        bench.cancel(job_id)

    def test_a_job_runs_and_ends(self, cluster, bench):
        job_id = bench.submit("-N2", "-t5", "--wrap", "sleep 6")
        bench.wait(job_id, "RUNNING")
        running = only(cluster.jobs(), job_id)
        assert running.active
        assert (running.node_count, len(running.nodes)) == (2, 2)
        assert running.started_at is not None
        bench.wait(job_id, "COMPLETED")
        assert job_id not in {job.key.job_id for job in cluster.jobs()}
        ended = self._ended(cluster, job_id)
        assert ended.key == running.key
        assert ended.state == "COMPLETED"
        assert ended.started_at == running.started_at
        assert ended.ended_at > ended.started_at
        assert ended.slurm_energy_j is None  # 0 from a cluster that collects no energy

    def test_a_pending_array_is_one_row(self, cluster, bench):
        job_id = bench.submit("--begin=now+1hour", "--array=1-10%2,12", "--wrap", "true")
        job = only(cluster.jobs(), job_id)
        assert (job.tasks, job.array_job_id) == (11, job_id)
        bench.cancel(job_id)

    def test_a_start_is_moved_and_noted(self, cluster, bench):
        job_id = bench.submit("--begin=now+1hour", "--wrap", "true")
        start_at = int(time.time()) + 1000
        cluster.set_start(job_id, start_at, 'carbonsched: it\'s "noted" | ü = x')
        assert abs(cluster.job(job_id).eligible_at - start_at) <= 2
        assert bench.admin_comment(job_id) == 'carbonsched: it\'s "noted" | ü = x'
        cluster.set_start(job_id, 0, "carbonsched: now")
        bench.wait(job_id, "RUNNING", "COMPLETED")

    def test_what_no_longer_waits_is_not_moved(self, cluster, bench):
        job_id = bench.submit("--wrap", "sleep 60")
        bench.wait(job_id, "RUNNING")
        with pytest.raises(ClusterRefusedError, match=str(job_id)):
            cluster.set_start(job_id, int(time.time()) + 100, "late")
        bench.cancel(job_id)
        with pytest.raises(ClusterRefusedError):
            cluster.set_start(99_999_999, int(time.time()) + 100, "never was")

    def test_pending_tasks_of_an_array_move_while_others_run(self, cluster, bench):
        job_id = bench.submit("--array=1-3%1", "--wrap", "sleep 60")
        wait_for("running task", lambda: self._running_task(cluster, job_id))
        start_at = int(time.time()) + 1000
        cluster.set_start(job_id, start_at, "the rest")
        waiting = next(job for job in cluster.jobs() if job.array_job_id == job_id and job.pending)
        assert waiting.tasks == 2
        assert abs(waiting.eligible_at - start_at) <= 2
        bench.cancel(job_id)

    def test_all_parts_of_a_heterogeneous_job_move(self, cluster, bench):
        job_id = bench.submit("--begin=now+1hour", "-n1", ":", "-n2", "--wrap", "true")
        start_at = int(time.time()) + 1000
        cluster.set_start(job_id, start_at, "both")
        parts = [job for job in cluster.jobs() if job.het_job_id == job_id]
        assert len(parts) == 2
        assert all(abs(part.eligible_at - start_at) <= 2 for part in parts)
        bench.cancel(job_id)

    def test_a_requeued_job_is_two_runs(self, cluster, bench):
        job_id = bench.submit("-t5", "--wrap", "sleep 60")
        bench.wait(job_id, "RUNNING")
        first = cluster.job(job_id)
        time.sleep(1.1)  # a second of its own, for Slurm's times are whole seconds
        bench.requeue(job_id)
        bench.wait(job_id, "PENDING")
        second = cluster.job(job_id)
        assert (first.key.restarts, second.key.restarts) == (0, 1)
        cluster.set_start(job_id, 0, "again")
        bench.wait(job_id, "RUNNING")
        assert cluster.job(job_id).key == second.key
        bench.cancel(job_id)
        runs = wait_for("two runs", lambda: self._runs(cluster, job_id, 2))
        assert [run.key for run in runs] == [first.key, second.key]
        assert all(run.ended and run.ended_at >= run.started_at for run in runs)

    def test_a_job_is_signalled_and_requeued_while_it_runs(self, cluster, bench):
        job_id = bench.submit("--requeue", "-t5", f"--job-name={AWKWARD}", "--wrap", PATIENT)
        bench.wait(job_id, "RUNNING")
        first = cluster.job(job_id)
        standing = cluster.standing(job_id)
        assert (standing.state, standing.ended_at, standing.requeueable) == ("RUNNING", None, True)
        assert (standing.submitted_at, standing.restarts) == (first.key.submitted_at, 0)
        time.sleep(1.1)  # until the shell has its trap; and a second of its own for the requeue
        cluster.signal(job_id, "USR1")
        cluster.requeue(job_id, ended=False)
        bench.wait(job_id, "PENDING")
        standing = cluster.standing(job_id)
        assert (standing.state, standing.restarts, standing.ended_at) == ("PENDING", 1, None)
        waiting = cluster.job(job_id)
        assert waiting.eligible_at - waiting.key.submitted_at > 60  # Slurm's own delay
        assert waiting.comment == first.comment
        with pytest.raises(ClusterRefusedError, match=str(job_id)):
            cluster.requeue(job_id, ended=True)
        bench.cancel(job_id)

    def test_how_a_job_ended_is_told_and_one_that_ended_is_requeued_if_that_is_asked(
        self, cluster, bench
    ):
        job_id = bench.submit("--requeue", "-t5", "--wrap", f"{PATIENT}; exit 75")
        bench.wait(job_id, "RUNNING")
        time.sleep(1.1)
        cluster.signal(job_id, "USR1")
        bench.wait(job_id, "FAILED")
        standing = cluster.standing(job_id)
        assert (standing.state, standing.exit_status, standing.exit_signal) == ("FAILED", 75, 0)
        assert abs(standing.ended_at - time.time()) < 10
        cluster.requeue(job_id, ended=False)  # left alone, and nothing said
        assert cluster.standing(job_id).state == "FAILED"
        cluster.requeue(job_id, ended=True)
        bench.wait(job_id, "PENDING")
        assert cluster.job(job_id).key.restarts == 1
        bench.cancel(job_id)

    def test_a_job_that_a_signal_kills(self, cluster, bench):
        job_id = bench.submit("-t5", "--wrap", "sleep 60")
        bench.wait(job_id, "RUNNING")
        time.sleep(0.5)
        cluster.signal(job_id, "USR1")
        bench.wait(job_id, "FAILED")
        assert cluster.standing(job_id).exit_signal == 10

    def test_what_may_not_be_requeued_says_so(self, cluster, bench):
        job_id = bench.submit("--no-requeue", "--wrap", "sleep 60")
        bench.wait(job_id, "RUNNING")
        assert not cluster.standing(job_id).requeueable
        with pytest.raises(ClusterRefusedError, match=str(job_id)):
            cluster.requeue(job_id, ended=False)
        bench.cancel(job_id)

    def test_a_job_that_nobody_knows(self, cluster):
        assert cluster.job(99_999_999) is None
        assert cluster.standing(99_999_999) is None
        for call in (
            lambda: cluster.signal(99_999_999, "USR1"),
            lambda: cluster.requeue(99_999_999, ended=False),
        ):
            with pytest.raises(ClusterRefusedError, match="99999999"):
                call()

    def test_nodes(self, cluster, bench):
        nodes = cluster.nodes()
        assert tuple(node.name for node in nodes) == tuple(bench.nodes)
        assert all(node.available and node.cpus == 8 and node.partitions for node in nodes)

    def test_partitions(self, cluster):
        (one,) = cluster.partitions()
        assert (one.name, one.state, one.max_time_s, one.max_nodes) == ("main", "UP", None, None)
        assert {name for node in cluster.nodes() for name in node.partitions} == {"main"}

    def test_reservations(self, cluster, bench):
        assert list(cluster.reservations()) == []
        begins, node = int(time.time()) + 7200, bench.nodes[0]
        bench.reserve("service", node, begins, 90)
        try:
            (one,) = cluster.reservations()
        finally:
            bench.release("service")
        assert (one.start_at, one.end_at - one.start_at) == (begins, 5400)
        assert (one.nodes, one.cpus, one.every_s) == ((node,), 8, None)
        assert list(cluster.reservations()) == []

    @staticmethod
    def _running_task(cluster, job_id):
        tasks = [job for job in cluster.jobs() if job.array_job_id == job_id and job.active]
        return tasks[0] if tasks else None

    @staticmethod
    def _ended(cluster, job_id):
        def found():
            now = int(time.time())
            rows = [job for job in cluster.history(now - 600, now + 1) if job.key.job_id == job_id]
            return next((job for job in rows if job.ended), None)

        return wait_for("ended job in the accounting", found)

    @staticmethod
    def _runs(cluster, job_id, count):
        now = int(time.time())
        runs = [job for job in cluster.history(now - 600, now + 1) if job.key.job_id == job_id]
        runs.sort(key=lambda run: run.key)
        return runs if len(runs) == count and all(run.ended for run in runs) else None
