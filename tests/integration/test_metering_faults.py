"""What a fault of agent, disk or hooks costs: joules lost or counted twice, and their marks.

Each test has a node of a power plant to itself, the real hooks and a real agent process. Where the
machine draws nothing while nobody computes, everything that it ever drew must be in the segments.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from plant.physics import Profile
from plant.script import GpuScript
from scene import COLD, ROOT, UJ, exact, job_true_j, say, settle, told

from carbonsched.model.energy import PartKind

RANGE_UJ = 2_000 * UJ
OLD = "409f2f8"
COLD_GPUS = tuple(
    GpuScript(
        uuid=f"GPU-{number:08x}-2222-4333-8444-555555555555",
        idle_w=0.0,
        profile=Profile("sine", 240.0, period_s=1.7),
    )
    for number in range(2)
)


class TestKilled:
    def test_at_any_moment_under_load(self, scene):
        """kill -9 forty times, while jobs come and go and the counters wrap."""
        one = scene(**COLD, range_uj=RANGE_UJ, busy_w=60.0, gpus=COLD_GPUS)
        one.write_site(sample_s=0.03)
        one.start()
        long = one.begin(1, cpus=4, load=2.5, gpus=(0,))
        chance, kills, others = random.Random(7), 40, []
        for number in range(kills):
            if number % 5 == 0:
                others.append(one.begin(100 + number, cpus=1, load=1.0))
            time.sleep(chance.uniform(0.0, 0.12))
            one.kill()
            if number % 5 == 3:
                one.end(others[-1])
            one.start(wait=chance.random() < 0.8)
        one.end(long)
        settle(one)
        exact(one, f"{kills} kills", resolution_j=0.01)  # NVML counts millijoules
        told(one, long, f"{kills} kills", within=0.05)

    def test_and_not_started_for_a_while(self, scene):
        """The counters and the control groups run on; the gap is recovered and marked."""
        one = scene(**COLD, busy_w=60.0)
        one.start()
        steady = one.begin(1, cpus=4, load=2.0)
        one.samples(3)
        one.kill()
        whole = one.begin(2, cpus=2, load=1.0)
        time.sleep(2)
        one.end(whole)
        time.sleep(0.5)
        one.start()
        one.samples(3)
        one.end(steady)
        settle(one)
        exact(one, "agent away for 2.5 s")
        told(one, steady, "there all the time", within=0.05)
        told(one, whole, "began and ended without an agent", within=0.05)
        assert one.qualities(2) == {"partial"}

    def test_upgraded_in_mid_job(self, scene, tmp_path):
        """The agent of the last release, then this one, on one spool."""
        old = tmp_path / "old"
        old.mkdir()
        archive = f"git -C {ROOT} archive {OLD} carbonsched | tar -x -C {old}"
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", archive], capture_output=True, timeout=60, check=False
        )
        if done.returncode:
            pytest.skip(f"this checkout's history has no commit {OLD}: {done.stderr.decode()}")
        program = (
            "import sys; sys.path.insert(0, sys.argv.pop(1)); from carbonsched.cli import agent;"
            " print(agent.__file__, file=sys.stderr); sys.exit(agent.main(sys.argv[1:]))"
        )
        one = scene(**COLD, busy_w=60.0)
        one.start(program=(sys.executable, "-P", "-c", program, str(old)))
        first = one.begin(1, cpus=8, load=2.0)  # all static power, whatever is taken for it
        time.sleep(1.5)
        one.kill(signal.SIGTERM)
        assert str(old) in one.said
        one.start()
        one.samples(4)
        one.kill()
        one.start()
        second = one.begin(2, cpus=2, load=1.0)
        time.sleep(1.5)
        one.end(first)
        one.end(second)
        settle(one)
        exact(one, "upgrade in mid-job")
        told(one, first, "upgrade in mid-job", within=0.05)
        told(one, second, "begun after it", within=0.05)


class TestDisk:
    def test_full(self, scene, tmp_path):
        """State and closed segments wait in memory, and are written when there is room."""
        one = scene(**COLD, busy_w=60.0)
        small = one.spool.parent
        shutil.rmtree(small)
        small.mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "none", small], check=True, timeout=10
        )
        try:
            (one.spool / "events").mkdir(parents=True)
            one.start()
            first = one.begin(1, cpus=4, load=2.0)
            one.samples(3)
            _fill(small / "filler")
            time.sleep(2.5)
            assert "cannot write" in one.said
            one.kill()  # what was only in memory is recovered from the older state and the counters
            one.start(wait=False)
            time.sleep(1.0)
            (small / "filler").unlink()
            one.samples(4)
            second = one.begin(2, cpus=2, load=1.0)
            time.sleep(1.2)
            one.end(first)
            one.end(second)
            settle(one)
            exact(one, "full disk, and killed in that condition")
            told(one, first, "full disk", within=0.05)
            told(one, second, "after it", within=0.05)
        finally:
            one.close()
            shutil.copytree(small, tmp_path / "kept")
            subprocess.run(["umount", small], check=True, timeout=10)


class TestHooks:
    def test_the_prolog_said_nothing(self, scene):
        """The job is found by its control group and gets what it computed."""
        one = scene(**COLD, busy_w=60.0)
        one.start()
        hand = one.begin(1, cpus=4, load=2.0, prolog=False)
        time.sleep(1.5)
        one.end(hand)
        settle(one)
        exact(one, "no prolog")
        told(one, hand, "no prolog", within=0.05)
        assert one.qualities(1) == {"partial"}

    def test_two_seconds_between_two_samples(self, scene):
        """A job shorter than a sample: its control group was never seen."""
        one = scene(**COLD, busy_w=60.0)
        one.write_site(sample_s=3.0, segment_s=3)
        one.start()
        long = one.begin(2, cpus=2, load=1.0)
        one.samples(1)
        hand = one.begin(1, cpus=4, load=3.0)
        time.sleep(2)
        one.end(hand)
        one.samples(1)
        one.end(long)
        one.samples(2)
        one.stop()
        exact(one, "two seconds within a sample of three")
        told(one, hand, "two seconds", within=0.05)
        told(one, long, "beside it", within=0.05)

    def test_a_requeued_job_has_two_runs(self, scene):
        one = scene(**COLD, busy_w=60.0)
        one.start()
        first = one.begin(1, cpus=4, load=2.0)
        time.sleep(1)
        one.end(first)
        one.samples(2)
        second = one.begin(1, cpus=4, load=1.0, prolog=False, group=False)
        second.restarts = 1
        second.begin_ns = one.hook("prolog", second)
        one.plant.tell("n1", "begin", job=1, cpus=1.0)
        time.sleep(1)
        one.end(second)
        settle(one)
        exact(one, "requeued")
        for hand in (first, second):
            true_j, told_j = job_true_j(one, hand), one.job_j(1, hand.restarts)
            say(f"run {hand.restarts}: truth {true_j:.1f} J, billed {told_j} J")
            assert told_j == pytest.approx(true_j, rel=0.05, abs=2)

    @pytest.mark.parametrize(
        ("version", "directory"), [(1, "job_{job}"), (2, "job_{job}")], ids=["v1", "v2"]
    )
    def test_suspended_jobs_and_system_daemons(self, scene, version, directory):
        """The other job has all dynamic energy meanwhile, but for what daemons use."""
        one = scene(
            **COLD, busy_w=60.0, cgroup_version=version, job_directory=directory, system_cpus=0.2
        )
        one.start()
        stopped = one.begin(1, cpus=4, load=2.0)
        other = one.begin(2, cpus=4, load=1.0)
        time.sleep(1)
        one.plant.tell("n1", "load", job=1, cpus=0.0)
        one.plant.tell("n1", "freeze", job=1, frozen=True)
        time.sleep(1.5)
        one.plant.tell("n1", "freeze", job=1, frozen=False)
        one.plant.tell("n1", "load", job=1, cpus=2.0)
        time.sleep(1)
        one.end(stopped)
        one.end(other)
        settle(one)
        told(one, stopped, f"suspended, cgroup v{version}", within=0.06)
        told(one, other, "beside it", within=0.06)
        system_j = one.kind_j(PartKind.SYSTEM)
        true_j = one.truth().cpu_ns("other", 0, time.time_ns()) / 1e9 * (60 + 2)
        say(f"system: truth {true_j:.1f} J, told {system_j} J")


def _fill(path: Path) -> None:
    """Until the disk is full."""
    with path.open("wb", buffering=0) as file:
        for size in (65_536, 4096, 64, 1):
            try:
                while True:
                    os.write(file.fileno(), b"x" * size)
            except OSError:
                continue
