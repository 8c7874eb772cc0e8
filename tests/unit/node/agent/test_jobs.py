"""Jobs from prolog to delivered segments and epochs, on trees shaped like those of a node."""

from __future__ import annotations

import os
import signal
import time

from carbonsched.epochs import EpochTracker
from carbonsched.model.energy import PartKind

from .driving import hook


def test_a_job_from_prolog_to_delivered_segments_and_epochs(node, daemon, monkeypatch):
    node.cgroup.joinpath("cpuacct.usage").unlink()
    node.cgroup.rmdir()
    node.start()
    spool = node.tree.spool.parent
    job = {
        "SLURM_JOB_UID": str(os.getuid()),
        "SLURM_NODELIST": "n[1-2]",
        "SLURM_JOB_RESTART_COUNT": "1",
        "SLURM_JOB_CPUS_PER_NODE": "4(x2)",
    }
    hook("prolog.sh", spool, **job)
    node.cgroup = node.tree.cpu_v1(7, 0, uid=os.getuid())
    node.tree.process(os.getpid(), 7)
    monkeypatch.setenv("CARBONSCHED_AGENT_SOCKET", str(node.tree.socket))
    used = []
    for _ in EpochTracker(epochs=2):
        before = node.cpu_ns
        node.work(0.3)
        used.append(node.cpu_ns - before)
    hook("epilog.sh", spool, SLURM_JOB_EXIT_CODE="0", **job)
    node.until(lambda: not any((node.tree.spool / "events").iterdir()))
    node.until(lambda: daemon.segments)
    node.stop()
    node.check_sums()
    parts = [part for one in daemon.segments.values() for part in one.parts]
    assert {(one.job_id, one.restarts, one.uid) for one in parts if one.kind is PartKind.JOB} == {
        (7, 1, os.getuid())
    }
    assert sorted(daemon.epochs) == [1, 2]
    for number, cpu_ns in enumerate(used, start=1):
        record = daemon.epochs[number]
        assert record.epochs == 2
        assert abs(record.energy_millij - cpu_ns / 1e4) < 5_000
        assert 290 <= record.duration_ms < 2000
    assert not node.tree.socket.exists()


def test_many_ranks_make_one_epoch_each_and_nobody_marks_anothers_job(node, daemon, monkeypatch):
    node.start()
    spool = node.tree.spool.parent
    for job_id, uid in ((7, os.getuid()), (8, os.getuid() + 1)):
        variables = {"SLURM_JOB_UID": str(uid), "SLURM_NODELIST": "n1", "SLURM_JOB_ID": str(job_id)}
        hook("prolog.sh", spool, **variables, SLURM_JOB_CPUS_PER_NODE="4")
    node.cgroup = node.tree.cpu_v1(7, 0, uid=os.getuid())
    monkeypatch.setenv("CARBONSCHED_AGENT_SOCKET", str(node.tree.socket))
    node.tree.process(os.getpid(), 8, uid=os.getuid() + 1)
    EpochTracker(epochs=3).epoch_start()  # in a job that is another user's
    node.work(0.2)
    node.tree.process(os.getpid(), 7, uid=os.getuid())
    ranks = [EpochTracker(epochs=3) for _ in range(64)]
    for _ in range(3):  # more marks at once than the node would meter in six seconds
        for rank in ranks:
            rank.epoch_start()
            time.sleep(0.001)
        node.work(0.2)
        for rank in ranks:
            rank.step()
            rank.epoch_end()
            time.sleep(0.001)
    node.until(lambda: len(daemon.epochs) == 3)
    node.stop()
    assert {(one.job_id, one.epochs, one.steps) for one in daemon.epochs.values()} == {(7, 3, 1)}
    for record in daemon.epochs.values():
        assert [one.duration_ms for one in record.parts] == [record.duration_ms]
    assert "marks ignored" in node.log.read_text()
    assert "1 marks ignored" in node.log.read_text()


def test_a_job_over_by_slurms_record_is_closed_although_no_epilog_came(node, daemon):
    node.start()
    spool = node.tree.spool.parent
    hook("prolog.sh", spool, SLURM_JOB_UID="1000", SLURM_NODELIST="n1",
         SLURM_JOB_CPUS_PER_NODE="4")  # fmt: skip
    node.until(lambda: [7, 0] in daemon.told_present())
    (node.cgroup / "cpuacct.usage").unlink()
    node.cgroup.rmdir()
    daemon.ended = [[7, 0, int(time.time())]]
    node.until(lambda: daemon.told_present() == [])
    node.until(lambda: "has ended by Slurm's record" in node.log.read_text())
    node.stop()


def test_an_epoch_starts_when_it_was_marked_however_late_the_agent_comes_to_it(
    node, daemon, monkeypatch
):
    node.start()
    uid = str(os.getuid())
    variables = {"SLURM_JOB_UID": uid, "SLURM_NODELIST": "n1", "SLURM_JOB_CPUS_PER_NODE": "4"}
    hook("prolog.sh", node.tree.spool.parent, **variables)
    node.cgroup = node.tree.cpu_v1(7, 0, uid=os.getuid())
    node.tree.process(os.getpid(), 7)
    monkeypatch.setenv("CARBONSCHED_AGENT_SOCKET", str(node.tree.socket))
    tracker = EpochTracker(epochs=2)
    tracker.epoch_start()
    node.work(0.2)
    node.process.send_signal(signal.SIGSTOP)
    tracker.epoch_end()
    before_ms = time.time_ns() // 10**6
    tracker.epoch_start()
    after_ms = time.time_ns() // 10**6
    node.work(0.1)
    node.process.send_signal(signal.SIGCONT)
    for _ in range(2):
        node.work(0.1)
        tracker.step()
    tracker.epoch_end()
    node.until(lambda: sorted(daemon.epochs) == [1, 2])
    node.stop()
    assert before_ms <= daemon.epochs[2].started_ms <= after_ms
    assert len(daemon.epochs[2].parts) == 2
