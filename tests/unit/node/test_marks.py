from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from carbonsched.epochs import EpochTracker
from carbonsched.errors import ConfigError
from carbonsched.node.marks import MarkSocket
from carbonsched.node.presence.cgroups import JobCgroups

MARK = {"v": 1, "event": "start", "epoch": 3, "epochs": None, "at_ns": 1, "steps": 0}


@pytest.fixture
def listening(tree):
    made = MarkSocket(tree.socket, JobCgroups(tree.cgroupfs, tree.procfs, "n1"))
    yield made
    made.close()


def send(path, data):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(data, str(path))


def test_the_kernel_says_who_marks_and_the_cgroup_in_which_job(tree, listening):
    tree.process(os.getpid(), 7)
    send(tree.socket, json.dumps(MARK).encode())
    (sent,) = listening.receive()
    assert (sent.job_id, sent.uid, sent.mark.epoch) == (7, os.getuid(), 3)
    assert list(listening.receive()) == []
    assert tree.socket.stat().st_mode & 0o777 == 0o666


def test_a_mark_that_names_another_job_is_of_the_senders_own(tree, listening):
    tree.process(os.getpid(), 7)
    tree.process(1, 8)
    named = {"job_id": 8, "jobid": 8, "pid": 1, "uid": 0, "SLURM_JOB_ID": "8", "restarts": 3}
    send(tree.socket, json.dumps(MARK | named).encode())
    (sent,) = listening.receive()
    assert (sent.job_id, sent.uid) == (7, os.getuid())


@pytest.mark.skipif(os.getuid() != 0, reason="only root may name another process's credentials")
def test_credentials_that_are_made_up_are_the_kernels_to_refuse(tree, listening):
    """A user's process that claims another's pid or uid is refused by its own kernel."""
    tree.process(os.getpid(), 7)
    code = (
        "import os, socket, struct, sys\n"
        "os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "for claimed in ((1, 65534, 65534), (os.getpid(), 0, 0)):\n"
        "    made = struct.pack('iII', *claimed)\n"
        "    part = (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, made)\n"
        "    try:\n"
        "        s.sendmsg([sys.argv[2].encode()], [part], 0, sys.argv[1])\n"
        "    except PermissionError:\n"
        "        print('refused')\n"
    )
    tree.socket.parent.chmod(0o755)
    arguments = [sys.executable, "-S", "-c", code, tree.socket.name, json.dumps(MARK)]
    done = subprocess.run(
        arguments, capture_output=True, text=True, timeout=20, check=True, cwd=tree.socket.parent
    )
    assert done.stdout == "refused\nrefused\n"
    assert list(listening.receive()) == []


def test_a_mark_from_a_job_whose_group_has_a_sluid(tree):
    """As in Slurm 26.05; the agent reads the groups with what the prologs told."""
    sluid = "s5K1KKYAYG5D00"
    group = tree.cgroupfs / "system.slice/slurmstepd.scope" / sluid
    group.mkdir(parents=True)
    (group / "cpu.stat").write_text("usage_usec 5\n")
    process = tree.procfs / str(os.getpid())
    process.mkdir()
    (process / "cgroup").write_text(f"0::/system.slice/slurmstepd.scope/{sluid}/step_0/user\n")
    cgroups = JobCgroups(tree.cgroupfs, tree.procfs, "n1")
    made = MarkSocket(tree.socket, cgroups)
    try:
        for sluids in ({}, {sluid: 7}):
            cgroups.read(sluids)
            send(tree.socket, json.dumps(MARK).encode())
        assert [one.job_id for one in made.receive()] == [7, 7]
        assert made.ignored == 0
    finally:
        made.close()


def test_what_is_no_mark_or_from_no_job_is_counted(tree, listening):
    send(tree.socket, json.dumps(MARK).encode())  # no process of ours in this tree
    assert list(listening.receive()) == []
    tree.process(os.getpid(), 7)
    send(tree.socket, b"hello")
    send(tree.socket, b" " * 5000)
    assert list(listening.receive()) == []
    assert listening.ignored == 3


def test_the_last_mark_of_a_process_that_ended_is_still_its_jobs(tree, listening):
    code = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "s.sendto(sys.argv[2].encode(), sys.argv[1]); sys.stdin.read(1)\n"
        "s.sendto(sys.argv[2].encode(), sys.argv[1])\n"
    )
    arguments = [sys.executable, "-c", code, str(tree.socket), json.dumps(MARK)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE) as process:
        tree.process(process.pid, 7)
        deadline = time.monotonic() + 10
        while not (first := list(listening.receive())) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.communicate(b"x", timeout=10)
    (tree.procfs / str(process.pid) / "cgroup").unlink()
    (tree.procfs / str(process.pid)).rmdir()
    assert [one.job_id for one in first] == [7]
    assert [one.job_id for one in listening.receive()] == [7]


def test_the_kernel_says_when_a_mark_was_sent_and_one_datagram_can_be_two_marks(
    tree, listening, monkeypatch
):
    tree.process(os.getpid(), 7)
    monkeypatch.setenv("CARBONSCHED_AGENT_SOCKET", str(tree.socket))
    loop = iter(EpochTracker(epochs=2))
    instants_ns = [time.time_ns()]
    for _ in range(2):
        next(loop)
        instants_ns.append(time.time_ns())
    time.sleep(0.02)  # what comes between sending and reading does not count
    first, end, second = (one.mark for one in listening.receive())
    assert [(one.start, one.epoch) for one in (first, end, second)] == [
        (True, 1), (False, 1), (True, 2),
    ]  # fmt: skip
    assert instants_ns[0] <= first.at_ns <= instants_ns[1] <= end.at_ns <= instants_ns[2]
    assert second.at_ns == end.at_ns
    loop.close()


def test_a_mark_of_version_1_counts_when_it_says_or_else_when_the_kernel_had_it(tree, listening):
    tree.process(os.getpid(), 7)
    before_ns = time.time_ns()
    for at_ns in (5, None):
        send(tree.socket, json.dumps(MARK | {"at_ns": at_ns}).encode())
    told, stamped = (one.mark.at_ns for one in listening.receive())
    assert told == 5
    assert before_ns <= stamped <= time.time_ns()


def test_files_that_come_with_a_mark_are_not_taken(tree, listening):
    tree.process(os.getpid(), 7)
    before = sorted(Path("/proc/self/fd").iterdir())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(str(tree.socket))
        for _ in range(3):
            socket.send_fds(sender, [json.dumps(MARK).encode()], [0, 1, 2])
        assert len(list(listening.receive())) == 3
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_a_stale_socket_is_replaced_and_removed_in_the_end(tree, listening):
    again = MarkSocket(tree.socket, JobCgroups(tree.cgroupfs, tree.procfs, "n1"))
    tree.process(os.getpid(), 7)
    send(tree.socket, json.dumps(MARK).encode())
    assert len(list(again.receive())) == 1
    again.close()
    assert not tree.socket.exists()


def test_a_socket_that_cannot_be_is_one_line(tree):
    cgroups = JobCgroups(tree.cgroupfs, tree.procfs, "n1")
    with pytest.raises(ConfigError, match="longer than the 107 bytes"):
        MarkSocket(tree.root / ("x" * 120), cgroups)
    (tree.root / "file").write_text("")
    with pytest.raises(ConfigError, match=r"agent\.socket"):
        MarkSocket(tree.root / "file/n1.sock", cgroups)
    with pytest.raises(ConfigError, match="in use"):
        MarkSocket(tree.root / "file", cgroups)  # somebody's file is left alone
    assert (tree.root / "file").exists()
