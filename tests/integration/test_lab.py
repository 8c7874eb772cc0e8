"""The harness itself: it is a real cluster, several fit on a host, and nothing stays behind."""

from __future__ import annotations

import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lab import Lab, LabConfig, LabError, LabUser, cgroups, host, proc

pytestmark = pytest.mark.cluster


def submit(lab, *options, user="carbon-ada", script="true"):
    command = ["sbatch", "--parsable", *options, "--wrap", script]
    return lab.run_as(user, command).stdout.strip()


def small(folder, name, user="carbon-cyd", **more):
    users = (LabUser(name=user, account="physics"),)
    return LabConfig(directory=folder / name, nodes=1, users=users, **more)


def test_a_job_runs_on_its_nodes_as_its_user(lab):
    job = submit(lab, "--nodes=2", script="id -un; srun sh -c 'echo on $SLURMD_NODENAME'")
    assert lab.wait_job_state(job, "COMPLETED", "FAILED") == "COMPLETED"
    lines = (lab.home("carbon-ada") / f"slurm-{job}.out").read_text().splitlines()
    assert lines[0] == "carbon-ada"
    assert len(set(lines[1:])) == 2
    assert set(lines[1:]) <= {f"on {node}" for node in lab.nodes}


def test_a_running_job_lies_in_a_control_group_of_its_node(lab):
    job = submit(lab, script="sleep 60")
    lab.wait_job_state(job, "RUNNING")
    uid = pwd.getpwnam("carbon-ada").pw_uid

    def in_group():
        found = cgroups.named(cgroups.of_nodes(lab.nodes), f"job_{job}")
        owners = {
            Path(f"/proc/{pid}").stat().st_uid
            for pid in cgroups.processes(found)
            if Path(f"/proc/{pid}").exists()
        }
        return uid in owners

    lab.wait_until(in_group, "the job's processes in its control group", 10)
    lab.run_as("carbon-ada", ["scancel", job])
    assert lab.wait_job_state(job, "CANCELLED", "COMPLETED") == "CANCELLED"


def test_the_hooks_report_begin_and_end_on_each_node(lab):
    job = submit(lab, "--nodes=2", script="sleep 1")
    lab.wait_job_state(job, "COMPLETED")

    def events():
        return sorted(path.name for path in lab.spool.glob(f"*/events/*.{job}.0.*"))

    lab.wait_until(lambda: len(events()) == 4, "two begins and two ends", 10)
    assert [name.split(".")[0] for name in events()] == ["begin", "begin", "end", "end"]
    nodes = {path.parts[-3] for path in lab.spool.glob(f"*/events/*.{job}.0.*")}
    assert nodes < set(lab.nodes)
    assert len(nodes) == 2


def test_accounting_keeps_account_and_comment(lab):
    job = submit(lab, "--comment=two words", user="carbon-ben")
    lab.wait_job_state(job, "COMPLETED")
    command = ["sacct", "-X", "-n", "-P", "-o", "User,Account,Comment,State", "-j", job]
    expected = "carbon-ben|biology|two words|COMPLETED"
    lab.wait_until(lambda: lab.slurm(*command).strip() == expected, "the job's row", 15)


def test_a_user_without_an_account_is_refused(lab):
    done = lab.run_as("nobody", ["sbatch", "--wrap", "true"], cwd=Path("/tmp"), check=False)
    assert done.returncode != 0
    assert "Invalid account" in done.stderr


def test_a_start_time_moves_and_binds(lab):
    job = submit(lab, "--begin=now+1hour")
    assert lab.job_state(job) == "PENDING"
    start_at = int(time.time()) + 4
    lab.slurm("scontrol", "update", f"JobId={job}", f"StartTime=uts{start_at}")
    assert lab.job_state(job) == "PENDING"
    lab.wait_job_state(job, "COMPLETED", timeout_s=20)
    assert time.time() >= start_at


def test_jobs_survive_a_restart_of_the_controller(lab):
    waiting = submit(lab, "--begin=now+1hour")
    running = submit(lab, script="sleep 6; echo done")
    lab.wait_job_state(running, "RUNNING")
    lab.restart_slurmctld()
    assert lab.job_state(waiting) == "PENDING"
    assert lab.wait_job_state(running, "COMPLETED", "FAILED", timeout_s=30) == "COMPLETED"
    lab.slurm("scancel", waiting)
    lab.wait_nodes_idle()


def test_a_process_of_ours_is_killed_and_restarted_by_name(lab):
    lab.start_process(
        "ticker", ["sh", "-c", "while :; do echo tick $WORD; sleep 0.1; done"], {"WORD": "x"}
    )
    first = lab.processes.get("ticker").pid
    lab.processes.kill("ticker")
    assert "ticker" not in lab.processes
    lab.processes.restart("ticker")
    assert "ticker" in lab.processes
    assert lab.processes.get("ticker").pid != first
    lab.wait_until(lambda: "tick x" in (lab.log / "ticker.log").read_text(), "a tick", 5)
    lab.processes.stop("ticker")
    assert "ticker" not in lab.processes


def test_a_second_lab_runs_beside_and_leaves_nothing(lab, lab_folder):
    with Lab.started(small(lab_folder, "second", cluster="north")) as second:
        assert not set(second.nodes) & set(lab.nodes)
        job = submit(second, user="carbon-cyd", script="sleep 300 & sleep 300")
        second.wait_job_state(job, "RUNNING")
        pids = [second.processes.get(name).pid for name in second.processes.names()]
        in_jobs = list[int]()

        def job_has_processes():
            in_jobs[:] = cgroups.processes(cgroups.of_nodes(second.nodes))
            return len(in_jobs) >= 3

        second.wait_until(job_has_processes, "the job's shell and its two sleeps", 10)
    assert [pid for pid in [*pids, *in_jobs] if proc.start_ticks(pid) is not None] == []
    assert cgroups.of_nodes(second.nodes) == []
    assert not second.directory.exists()
    assert second.directory not in host.directories()
    with pytest.raises(KeyError):
        pwd.getpwnam("carbon-cyd")
    assert pwd.getpwnam("carbon-ada")
    assert submit(lab)


def test_a_cluster_beside_another_is_reached_by_its_name(lab, lab_folder):
    users = lab.config.users
    folder = lab_folder / "beside"
    config = LabConfig(
        directory=folder, cluster="north", nodes=1, users=users, beside=lab.directory
    )
    with Lab.started(config) as north:
        told = submit(lab, "--clusters=north", script="sleep 60")
        job = told.removesuffix(";north")
        assert told == f"{job};north"
        north.wait_job_state(job, "RUNNING")
        seen = lab.slurm("squeue", "-M", "north", "-h", "-o", "%i %N").split()
        assert seen == [job, *north.nodes]
        events = [path.name for path in (lab.spool / north.nodes[0] / "events").iterdir()]
        assert [name.split(".")[0] for name in events] == ["begin"]
        lab.slurm("scancel", "-M", "north", job)
    assert not folder.exists()
    assert folder not in host.directories()
    assert lab.job_state(submit(lab)) != "UNKNOWN"


def test_no_cluster_stands_beside_a_lab_that_is_not_there(lab_folder):
    config = small(lab_folder, "alone", beside=lab_folder / "nowhere")
    with pytest.raises(LabError, match="nowhere holds no running lab to stand beside"):
        Lab(config).start()


def test_a_user_stays_while_another_lab_needs_it(lab_folder):
    first, heir = Lab(small(lab_folder, "first")), Lab(small(lab_folder, "heir"))
    first.start()
    try:
        heir.start()
        first.stop()
        assert pwd.getpwnam("carbon-cyd")
        heir.wait_job_state(submit(heir, user="carbon-cyd"), "COMPLETED")
    finally:
        first.stop()
        heir.stop()
    with pytest.raises(KeyError):
        pwd.getpwnam("carbon-cyd")


def test_another_process_stops_a_lab(lab_folder):
    kept = Lab(small(lab_folder, "kept"))
    kept.start()
    pids = [kept.processes.get(name).pid for name in kept.processes.names()]
    command = [sys.executable, "-m", "lab", "stop", str(kept.directory)]
    deploy = Path(__file__).resolve().parents[2] / "deploy"
    subprocess.run(command, env={"PYTHONPATH": str(deploy)}, timeout=60, check=True)
    assert [pid for pid in pids if proc.start_ticks(pid) is not None] == []
    assert not kept.directory.exists()


def test_a_daemon_that_fails_is_named_with_its_log(lab_folder):
    broken = Lab(small(lab_folder, "broken", slurm_conf=("SelectType=select/none_such",)))
    with pytest.raises(LabError, match=r"(?s)^slurmctld ended while it was starting\n.*none_such"):
        broken.start()
    assert not broken.directory.exists()
    assert broken.directory not in host.directories()


def test_a_directory_that_users_cannot_reach_is_refused(lab_folder):
    hidden = lab_folder / "hidden"
    hidden.mkdir(mode=0o700)
    with pytest.raises(LabError, match="cannot be entered by the lab's users"):
        Lab(small(hidden, "lab")).start()
    assert list(hidden.iterdir()) == []


def test_an_existing_directory_is_never_touched(lab_folder):
    precious = lab_folder / "precious"
    precious.mkdir()
    (precious / "file").write_text("kept")
    with pytest.raises(LabError, match="exists already"):
        Lab(LabConfig(directory=precious)).start()
    Lab(LabConfig(directory=precious)).stop()
    assert (precious / "file").read_text() == "kept"


def test_a_stubborn_process_is_killed(lab):
    lab.start_process("stubborn", ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"])
    time.sleep(0.3)
    lab.processes.kill("stubborn", signal.SIGTERM)
    time.sleep(0.3)
    assert "stubborn" in lab.processes
    lab.processes.kill("stubborn")
    assert "stubborn" not in lab.processes
