from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time

import pytest

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
