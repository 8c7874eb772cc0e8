from __future__ import annotations

import pytest

from carbonsched.node.presence.cgroups import JobCgroups, NodeCpu

OLD = "s5K1KKYAYG5D00"


def groups(tree, node="n1"):
    return JobCgroups(tree.cgroupfs, tree.procfs, node)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def scope(tree, name="slurmstepd.scope", usec=None):
    folder = tree.cgroupfs / "system.slice" / name
    folder.mkdir(parents=True, exist_ok=True)
    if usec is not None:
        usage(folder, usec)
    return folder


def usage(folder, usec):
    write(folder / "cpu.stat", f"usage_usec {usec}\nuser_usec 1\nsystem_usec 5\n")
    return folder


def test_version_1_reads_only_this_nodes_jobs(tree):
    inode = tree.cpu_v1(7, 1500, uid=1001).stat().st_ino
    tree.cpu_v1(8, 99)
    tree.cpu_v1(9, 5, root="slurm_n2")
    tree.cpu_v1(10, 5, root="slurm")
    (tree.cgroupfs / "cpuacct/slurm_n1/uid_x/job_1").mkdir(parents=True)
    readings = {one.job_id: one for one in groups(tree).read().readings}
    assert sorted(readings) == [7, 8]
    assert (readings[7].uid, readings[7].cpu_ns, readings[7].inode) == (1001, 1500, inode)
    assert [one.job_id for one in groups(tree, "n2").read().readings] == [9]
    assert [one.job_id for one in groups(tree, "n3").read().readings] == [10]


def test_a_job_without_a_counter_is_left_out(tree):
    (tree.cpu_v1(7, 1) / "cpuacct.usage").unlink()
    tree.cpu_v1(8, "torn")
    tree.cpu_v1(9, 4)
    assert [one.job_id for one in groups(tree).read().readings] == [9]


def test_version_2_in_microseconds_and_by_node(tree):
    for name, job in (("slurmstepd.scope", 7), ("n1_slurmstepd.scope", 8)):
        usage(scope(tree, name) / f"job_{job}", 25)
        (scope(tree, name) / "system").mkdir()
    (one,) = groups(tree).read().readings
    assert (one.job_id, one.cpu_ns, one.uid) == (8, 25_000, None)
    assert [one.job_id for one in groups(tree, "n2").read().readings] == [7]


def test_without_slurm_there_are_no_jobs(tree):
    sample = groups(tree).read()
    assert (sample.readings, sample.all_ns) == ((), None)


def test_the_whole_hierarchy_keeps_what_is_gone(tree):
    job = tree.cpu_v1(7, 1500)
    write(job.parents[1] / "cpuacct.usage", "9000\n")
    sample = groups(tree).read()
    assert (sample.all_ns, sample.hierarchy) == (9000, job.parents[1].stat().st_ino)


def test_slurms_own_processes_are_no_jobs(tree):
    top = scope(tree, usec=50)
    usage(top / "system", 8)
    assert groups(tree).read().all_ns == 42_000


def test_version_1_limits_are_the_allocation(tree):
    job = tree.cpu_v1(7, 5, uid=1001).relative_to(tree.cgroupfs / "cpuacct")
    write(tree.cgroupfs / "memory" / job / "memory.limit_in_bytes", f"{500 << 20}\n")
    write(tree.cgroupfs / "cpuset" / job / "cpuset.cpus", "0-2,5\n")
    write(tree.cgroupfs / "cpuset/slurm_n1/cpuset.cpus", "0-7\n")
    (one,) = groups(tree).read().readings
    assert (one.memory_mb, one.cpus) == (500, 4)


def test_version_2_limits_are_the_allocation(tree):
    top = scope(tree, usec=5)
    job = usage(top / "job_7", 5)
    write(job / "memory.max", f"{500 << 20}\n")
    write(job / "cpuset.cpus", "1,3\n")
    write(top / "cpuset.cpus.effective", "0-7\n")
    (one,) = groups(tree).read().readings
    assert (one.memory_mb, one.cpus) == (500, 2)


@pytest.mark.parametrize(
    ("memory", "cpus"),
    [("9223372036854771712\n", "0-7\n"), ("x", "x"), ("", "\n"), (None, None)],
)
def test_no_limit_is_no_allocation(tree, memory, cpus):
    job = tree.cpu_v1(7, 5).relative_to(tree.cgroupfs / "cpuacct")
    if memory is not None:
        write(tree.cgroupfs / "memory" / job / "memory.limit_in_bytes", memory)
        write(tree.cgroupfs / "cpuset" / job / "cpuset.cpus", cpus)
        write(tree.cgroupfs / "cpuset/slurm_n1/cpuset.cpus", "0-7\n")
    (one,) = groups(tree).read().readings
    assert (one.memory_mb, one.cpus) == (None, None)


def test_limits_that_come_late_or_change_are_seen_after_a_while(tree):
    job = tree.cpu_v1(7, 5).relative_to(tree.cgroupfs / "cpuacct")
    limit = tree.cgroupfs / "memory" / job / "memory.limit_in_bytes"
    found = groups(tree)
    seen = []
    for megabytes in (None, 500, 600):
        if megabytes is not None:
            write(limit, f"{megabytes << 20}\n")
        seen += [found.read().readings[0].memory_mb for _ in range(100)]
    assert (seen[0], seen[99], seen[199], seen[299]) == (None, None, 500, 600)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({"step_batch": "FROZEN\n", "step_0": "FROZEN\n"}, True),
        ({"step_batch": "FROZEN\n", "step_0": "THAWED\n"}, False),
        ({}, False),
    ],
)
def test_a_job_is_suspended_when_all_its_steps_are_frozen(tree, states, expected):
    job = tree.cpu_v1(7, 5).relative_to(tree.cgroupfs / "cpuacct")
    write(tree.cgroupfs / "freezer" / job / "freezer.state", "THAWED\n")
    for step, state in states.items():
        write(tree.cgroupfs / "freezer" / job / step / "freezer.state", state)
    assert groups(tree).read().readings[0].suspended is expected


def test_version_2_freezes_the_users_part_of_a_step(tree):
    job = usage(scope(tree) / "job_7", 5)
    freeze = write(job / "step_0/user/cgroup.freeze", "1\n")
    found = groups(tree)
    assert found.read().readings[0].suspended
    freeze.write_text("0\n")
    assert not found.read().readings[0].suspended


def test_a_job_that_runs_is_not_suspended(tree):
    job = usage(scope(tree) / "job_7", 0)
    write(job / "step_0/user/cgroup.freeze", "1\n")
    found = groups(tree)
    assert found.read().readings[0].suspended
    usage(job, 500_000)
    assert not found.read().readings[0].suspended


# Groups that are left over

SAMPLES = 40
"""More than enough for a look at the processes of a group that stands still."""


def test_version_2_a_group_without_a_process_is_no_job(tree):
    top = scope(tree, usec=70)
    ghost, other = usage(top / "job_7", 30), usage(top / "job_8", 40)
    events = write(ghost / "cgroup.events", "populated 0\nfrozen 0\n")
    write(other / "cgroup.events", "populated 1\nfrozen 0\n")
    found = groups(tree)
    for _ in range(SAMPLES):
        sample = found.read()
        assert [one.job_id for one in sample.readings] == [8]
        assert (sample.left, sample.all_ns) == ({ghost.stat().st_ino: 30_000}, 70_000)
    events.write_text("populated 1\nfrozen 0\n")
    usage(ghost, 31)
    sample = found.read()
    assert ([one.job_id for one in sample.readings], sample.left) == ([7, 8], {})


def test_a_job_that_ends_leaves_an_empty_group_that_is_seen_within_some_samples(tree):
    job = usage(scope(tree) / "job_7", 0)
    events = write(job / "cgroup.events", "populated 1\n")
    found = groups(tree)
    found.read()
    events.write_text("populated 0\n")
    for sample in range(SAMPLES):
        usage(job, 10 * (sample + 1))
        assert found.read().readings, "it is not looked for processes while CPU time is used"
    assert found.read().readings == ()


@pytest.mark.parametrize(
    ("processes", "present"),
    [
        ({"cpuacct": {"": "", "step_0": "", "step_0/task_0": ""}}, False),
        ({"cpuacct": {"": "", "step_0": "", "step_0/task_0": "41\n"}}, True),
        ({"cpuacct": {"": ""}, "freezer": {"": "", "step_0": "41\n"}}, True),
        ({"cpuacct": {"": ""}, "freezer": {"": "", "step_0": ""}}, False),
        ({"cpuacct": {"step_0": ""}}, True),  # the job's own cannot be read
    ],
)
def test_version_1_looks_for_processes_in_all_steps(tree, processes, present):
    job = tree.cpu_v1(7, 5_000).relative_to(tree.cgroupfs / "cpuacct")
    for controller, folders in processes.items():
        for name, text in folders.items():
            write(tree.cgroupfs / controller / job / name / "cgroup.procs", text)
    found = groups(tree)
    for _ in range(SAMPLES):
        assert bool(found.read().readings) is present
    tree.cpu_v1(7, 6_000)
    assert found.read().readings, "what uses CPU time is there"


def test_a_left_over_group_that_nobody_can_name_is_in_the_whole(tree):
    top = scope(tree, usec=70)
    write(usage(top / OLD, 25) / "cgroup.events", "populated 0\n")
    assert groups(tree).read().all_ns == 70_000


# Slurm 26.05


def test_a_sluid_that_the_prolog_told(tree):
    top = scope(tree, usec=70)
    usage(top / OLD, 25)
    usage(top / "s5K1KKYAYG5DI0", 25)  # no I in this base 32
    (one,) = groups(tree).read({OLD: 7}).readings
    assert (one.job_id, one.cpu_ns, one.sluid) == (7, 25_000, OLD)


@pytest.mark.parametrize(
    ("title", "job"),
    [
        (b"slurmstepd: [7.batch]\0d\0", 7),
        (b"slurmstepd: [7.bat\0d\0", 7),
        (b"slurmstepd: [123456\0d\0", None),  # cut short: perhaps not the whole number
        (b"slurmstepd\0infinity\0", None),
    ],
)
def test_a_sluid_whose_slurmstepd_tells(tree, title, job):
    top = scope(tree, usec=70)
    write(usage(top / OLD, 25) / "step_batch/slurm/cgroup.procs", "40\n41\n")
    (tree.procfs / "41").mkdir()
    (tree.procfs / "41/cmdline").write_bytes(title)
    sample = groups(tree).read()
    assert [one.job_id for one in sample.readings] == ([] if job is None else [job])
    # The time of a group that cannot be named is kept until it can, or is gone.
    assert sample.all_ns == (45_000 if job is None else 70_000)


def test_a_sluid_that_a_process_has_in_its_environment(tree):
    top = scope(tree)
    write(usage(top / OLD, 25) / "step_0/user/task_0/cgroup.procs", "40\n41\n")
    for pid, text in (
        (40, b"SLURM_JOB_ID=5\0SLURM_JOB_SLUID=s5K1KKYAYG5D01\0"),
        (41, b"A=1\0SLURM_JOB_ID=7\0SLURM_JOB_SLUID=" + OLD.encode() + b"\0"),
    ):
        (tree.procfs / str(pid)).mkdir()
        (tree.procfs / str(pid) / "environ").write_bytes(text)
    found = groups(tree)
    assert [one.job_id for one in found.read().readings] == [7]
    (tree.procfs / "41/environ").unlink()
    assert [one.job_id for one in found.read().readings] == [7]
    write(tree.procfs / "42/cgroup", f"0::/system.slice/slurmstepd.scope/{OLD}/step_0/user\n")
    assert found.job_of_process(42) == 7


def test_the_job_of_a_process_is_one_of_this_node(tree):
    for pid, line in (
        (1, "4:cpuacct:/slurm_n1/uid_1000/job_7/step_0/task_0"),
        (2, "0::/system.slice/n1_slurmstepd.scope/job_8/step_0/user/task_0"),
        (3, "0::/system.slice/slurmstepd.scope/job_9/step_0/user/task_0"),
        (4, "4:cpuacct:/slurm_n2/uid_1000/job_7/step_0/task_0"),
        (5, "0::/user.slice/user-1000.slice"),
        (6, "4:cpuacct:/slurm/uid_1000/job_12"),
    ):
        (tree.procfs / str(pid)).mkdir()
        (tree.procfs / str(pid) / "cgroup").write_text(f"12:devices:/\n{line}\n")
    found = groups(tree)
    assert [found.job_of_process(pid) for pid in range(1, 8)] == [7, 8, 9, None, None, 12, None]
    write(tree.procfs / "8/cgroup", f"0::/system.slice/n1_slurmstepd.scope/{OLD}/step_0/user\n")
    assert found.job_of_process(8) is None
    found.read({OLD: 13})
    assert found.job_of_process(8) == 13
    assert found.process_exists(1)
    assert not found.process_exists(7)


def test_the_nodes_own_cpu_time(tree):
    (tree.procfs / "stat").write_text("cpu  10 20 30 400 500 1 2 77 5 5\ncpu0 1\ncpu1 1\nintr 5\n")
    cpu = NodeCpu(tree.procfs)
    assert cpu.busy_ns() == 63 * 10_000_000
    assert cpu.count() == 2
    (tree.procfs / "stat").write_text("cpu  10 x\n")
    assert cpu.busy_ns() is None
    (tree.procfs / "stat").unlink()
    assert cpu.busy_ns() is None
    assert cpu.count() == 0
