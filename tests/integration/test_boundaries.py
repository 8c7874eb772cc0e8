"""Who was on a node, from when to when: what the kernel and Slurm really do, on a real cluster."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from carbonsched.node.clock import SystemClock
from carbonsched.node.journal import Journal
from carbonsched.node.presence.cgroups import JobCgroups
from carbonsched.node.presence.events import Inbox
from carbonsched.node.presence.jobs import JobTable

pytestmark = pytest.mark.cluster

ADA, BEN = "carbon-ada", "carbon-ben"
BUSY = "while :; do :; done"
NS = 1_000_000_000


def submit(lab, *options, user=ADA, script="true"):
    command = ["sbatch", "--parsable", "--output=/dev/null", *options, "--wrap", script]
    return int(lab.run_as(user, command).stdout)


class Node:
    """A node's jobs as its agent would see them, at the instants that a test chooses."""

    def __init__(self, lab, name):
        journal = Journal("test")
        self.lab = lab
        self.name = name
        self.clock = SystemClock(Path("/proc"))
        self.groups = JobCgroups(Path("/sys/fs/cgroup"), Path("/proc"), name)
        self.inbox = Inbox(lab.spool / name, name, journal, self.clock)
        self.table = JobTable(journal)
        self.handled = {path.name for path in (lab.spool / name / "events").iterdir()}
        self.at_ns = self.clock.wall_ns()

    def sample(self):
        """Seconds present and of CPU time by job since the last sample, and nobody's CPU time."""
        sample = self.groups.read(self.table.sluids())
        begin_ns, self.at_ns = self.at_ns, self.clock.wall_ns()
        events = self.inbox.read(self.at_ns, self.handled)
        self.handled |= {event.name for event in events}
        steady_ns = self.clock.steady_ns()
        advance = self.table.advance(begin_ns, self.at_ns, steady_ns, events, sample)
        stays = {
            job.job_id: ((stay.end_ns - stay.begin_ns) / NS, stay.cpu_ns / NS)
            for job, stay in advance.stays
        }
        return stays, advance.other_ns / NS

    def reading(self, job):
        return next((one for one in self.groups.read().readings if one.job_id == job), None)

    def wait_group(self, job):
        self.lab.wait_until(lambda: self.reading(job), f"the control group of job {job}", 20)

    def wait_end(self, job):
        """Until its epilog has written, which is after its control group has gone."""
        ended = self.lab.spool / self.name / "events"
        self.lab.wait_until(lambda: any(ended.glob(f"end.{job}.*")), f"the end of job {job}", 30)
        assert self.reading(job) is None


def cpu_s_by_slurm(lab, job):
    """User and system time of a job's processes by Slurm's record, from getrusage(2)."""

    def told():
        columns = ["sacct", "-j", str(job), "-n", "-P", "-o", "JobID,TotalCPU,End"]
        rows = [row.split("|") for row in lab.slurm(*columns).split()]
        return [row[1] for row in rows if row[0] == f"{job}.batch" and row[2] != "Unknown"]

    lab.wait_until(told, f"Slurm's record of job {job}", 20)
    minutes, _, seconds = told()[0].rpartition(":")
    return 60 * int(minutes) + float(seconds)


@pytest.fixture
def neighbour(lab):
    """Another user's busy job on the first node."""
    job = submit(lab, f"--nodelist={lab.nodes[0]}", user=BEN, script=BUSY)
    Node(lab, lab.nodes[0]).wait_group(job)
    yield job
    lab.slurm("scancel", str(job))
    lab.wait_job_state(job, "CANCELLED")


def test_cpu_time_of_a_job_between_two_samples_is_recovered(lab, neighbour):
    """The node is sampled before and after two seconds of work, and never meanwhile."""
    node = Node(lab, lab.nodes[0])
    node.sample()
    script = "timeout 2 sh -c 'while :; do :; done'; true"
    job = submit(lab, f"--nodelist={node.name}", script=script)
    node.wait_end(job)
    stays, other_s = node.sample()
    present_s, cpu_s = stays[job]
    by_slurm_s = cpu_s_by_slurm(lab, job)
    assert cpu_s == pytest.approx(by_slurm_s, abs=0.05)
    assert cpu_s > 0.5  # two processors are shared with the neighbour and all else that runs
    assert present_s == pytest.approx(2, abs=1.5)
    assert other_s == 0
    assert stays[neighbour][1] > 0.5


def test_the_end_of_a_job_that_was_seen_is_recovered(lab, neighbour):
    """It is sampled once while it runs; what it used after that is not lost with its group."""
    node = Node(lab, lab.nodes[0])
    node.sample()
    script = "timeout 3 sh -c 'while :; do :; done'; true"
    job = submit(lab, f"--nodelist={node.name}", script=script)
    node.wait_group(job)
    time.sleep(0.5)  # so that there is something to see
    first, _ = node.sample()
    node.wait_end(job)
    rest, other_s = node.sample()
    assert first[job][1] < cpu_s_by_slurm(lab, job)
    assert first[job][1] + rest[job][1] == pytest.approx(cpu_s_by_slurm(lab, job), abs=0.05)
    assert other_s == 0


def test_a_suspended_job_is_seen_as_one(lab):
    node = Node(lab, lab.nodes[1])
    job = submit(lab, f"--nodelist={node.name}", script=f"srun sleep 60 & {BUSY}")
    node.wait_group(job)
    lab.wait_job_state(job, "RUNNING")
    assert not node.reading(job).suspended
    lab.slurm("scontrol", "suspend", str(job))
    lab.wait_until(lambda: node.reading(job).suspended, "the job to be seen suspended", 10)
    lab.slurm("scontrol", "resume", str(job))
    lab.wait_until(lambda: not node.reading(job).suspended, "the job to be seen resumed", 10)
    lab.slurm("scancel", str(job))
    node.wait_end(job)


@pytest.fixture
def frozen(lab, tmp_path):
    """The last node's spool is on a disk that hangs."""
    events = lab.spool / lab.nodes[3] / "events"
    image = tmp_path / "disk"
    image.write_bytes(b"")
    os.truncate(image, 8 << 20)
    for command in (
        ["mkfs.ext4", "-q", image],
        ["mount", "-o", "loop", image, events],
        ["fsfreeze", "--freeze", events],
    ):
        done = subprocess.run(command, capture_output=True, timeout=10, check=False)
        if done.returncode:
            subprocess.run(["umount", events], capture_output=True, timeout=10, check=False)
            pytest.skip(f"no disk to freeze here: {done.stderr.decode().strip()}")
    thaw = ["fsfreeze", "--unfreeze", str(events)]
    yield lambda: subprocess.run(thaw, check=True, timeout=10)
    subprocess.run(thaw, capture_output=True, timeout=10, check=False)  # it may be thawed already

    def unmounted():  # a writer that was stuck may still be closing its file
        command = ["umount", str(events)]
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0

    lab.wait_until(unmounted, "the spool's disk to be free", 10)


def test_a_spool_that_hangs_neither_holds_up_jobs_nor_drains_the_node(lab, frozen):
    name = lab.nodes[3]
    job = submit(lab, f"--nodelist={name}")
    assert lab.wait_job_state(job, "COMPLETED", "FAILED", timeout_s=20) == "COMPLETED"

    def state():
        return lab.slurm("sinfo", "--noheader", "--Node", "--format=%T", f"--nodes={name}").strip()

    lab.wait_until(lambda: state() == "idle", f"node {name} to be idle", 10)
    frozen()
