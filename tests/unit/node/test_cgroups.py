from __future__ import annotations

from carbonsched.node.cgroups import JobCgroups, NodeCpu


def groups(tree, node="n1"):
    return JobCgroups(tree.cgroupfs, tree.procfs, node)


def test_version_1_reads_only_this_nodes_jobs(tree):
    inode = tree.cpu_v1(7, 1500, uid=1001).stat().st_ino
    tree.cpu_v1(8, 99)
    tree.cpu_v1(9, 5, root="slurm_n2")
    tree.cpu_v1(10, 5, root="slurm")
    (tree.cgroupfs / "cpuacct/slurm_n1/uid_x/job_1").mkdir(parents=True)
    readings = {one.job_id: one for one in groups(tree).read()}
    assert sorted(readings) == [7, 8]
    assert (readings[7].uid, readings[7].cpu_ns, readings[7].inode) == (1001, 1500, inode)
    assert [one.job_id for one in groups(tree, "n2").read()] == [9]
    assert [one.job_id for one in groups(tree, "n3").read()] == [10]


def test_a_job_without_a_counter_is_left_out(tree):
    (tree.cpu_v1(7, 1) / "cpuacct.usage").unlink()
    tree.cpu_v1(8, "torn")
    tree.cpu_v1(9, 4)
    assert [one.job_id for one in groups(tree).read()] == [9]


def test_version_2_in_microseconds_and_by_node(tree):
    for scope, job in (("slurmstepd.scope", 7), ("n1_slurmstepd.scope", 8)):
        folder = tree.cgroupfs / "system.slice" / scope / f"job_{job}"
        folder.mkdir(parents=True)
        (folder / "cpu.stat").write_text("usage_usec 25\nuser_usec 20\nsystem_usec 5\n")
        (folder.parent / "system").mkdir()
    assert [(one.job_id, one.cpu_ns, one.uid) for one in groups(tree).read()] == [(8, 25_000, None)]
    assert [one.job_id for one in groups(tree, "n2").read()] == [7]


def test_without_slurm_there_are_no_jobs(tree):
    assert groups(tree).read() == []


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
