"""Prolog and epilog as slurmd runs them: no PATH, odd values, disks that break or hang."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from carbonsched.node.presence.events import parse_event

HOOKS = Path(__file__).parents[3] / "slurm"
SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]
JOB = {
    "SLURMD_NODENAME": "n2",
    "SLURM_CLUSTER_NAME": "lab",
    "SLURM_JOB_ID": "12",
    "SLURM_JOB_RESTART_COUNT": "1",
    "SLURM_JOB_UID": "1001",
    "SLURM_JOB_USER": "alice",
    "SLURM_NODELIST": "n[1-3]",
    "SLURM_JOB_CPUS_PER_NODE": "2,4(x2)",
    "SLURM_JOB_EXIT_CODE": "31744",
}
MOST_S = 2.0


@pytest.fixture(params=SHELLS)
def hook(request, tmp_path):
    shell = shutil.which(request.param)

    def run(name, *, limit="", **change):
        script = tmp_path / name
        text = (HOOKS / name).read_text()
        assert text.count("SPOOL=/var/spool/carbonsched\n") == 1
        script.write_text(text.replace("/var/spool/carbonsched", str(tmp_path / "spool")))
        environment = {key: value for key, value in (JOB | change).items() if value is not None}
        words = [shell, "sh", str(script)] if request.param == "busybox" else [shell, str(script)]
        command = ["/bin/sh", "-c", f'{limit}exec "$@"', "sh", *words]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd="/",
        ) as process:  # fmt: skip
            began = time.monotonic()
            output, _ = process.communicate(timeout=10)
        assert (process.returncode, output) == (0, b"")
        assert time.monotonic() - began < MOST_S

    (tmp_path / "spool/n2/events").mkdir(parents=True)
    run.events = tmp_path / "spool/n2/events"
    return run


def read(hook):
    found = []
    for path in hook.events.iterdir():
        if not path.is_file():
            continue
        text = path.read_text()
        found.append((path, text, parse_event(path.name, text, 5, "n2")))
    return found


@pytest.mark.parametrize("name", ["prolog.sh", "epilog.sh"])
def test_each_writes_one_whole_event(hook, name):
    before = time.time_ns()
    hook(name)
    ((path, text, event),) = read(hook)
    assert (event.kind, event.job_id, event.restarts) == (
        "begin" if name == "prolog.sh" else "end", 12, 1,
    )  # fmt: skip
    assert (event.uid, event.cpus) == (1001, 4)
    assert "cluster=lab\nnode=n2\njob_id=12\nrestarts=1\nuid=1001\nuser=alice\n" in text
    assert ("exit_code=31744\n" in text) == (name == "epilog.sh")
    assert path.stat().st_mode & 0o777 == 0o600
    assert before - 50_000_000 <= path.stat().st_mtime_ns <= time.time_ns()
    assert abs(event.uptime_ns - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) < 2_000_000_000
    assert event.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@pytest.mark.parametrize(
    ("given", "visible"),
    [
        ({}, ""),
        ({"CUDA_VISIBLE_DEVICES": "GPU-1,GPU-2", "ROCR_VISIBLE_DEVICES": "0,1"}, "GPU-1,GPU-2"),
        ({"ROCR_VISIBLE_DEVICES": "0,1", "ZE_AFFINITY_MASK": "3"}, "0,1"),
        ({"ZE_AFFINITY_MASK": "3"}, "3"),
    ],
)
def test_gpus_and_the_other_name_of_the_job(hook, given, visible):
    hook("prolog.sh", SLURM_JOB_GPUS="4,5", SLURM_JOB_SLUID="s5K1KKYAYG5D00", **given)
    ((_, _, event),) = read(hook)
    assert (event.gpus, event.visible, event.sluid) == ("4,5", visible, "s5K1KKYAYG5D00")


@pytest.mark.parametrize("missing", [name for name in JOB if name != "SLURM_JOB_EXIT_CODE"])
def test_any_variable_may_be_missing(hook, missing):
    hook("prolog.sh", **{missing: None})
    events = [event for _, _, event in read(hook)]
    assert len(events) == (0 if missing in ("SLURMD_NODENAME", "SLURM_JOB_ID") else 1)
    assert None not in events


@pytest.mark.parametrize(
    "hostile",
    [
        "a\nend\n",
        "'\"`$(touch /tmp/carbonsched-hostile)`",
        "a b\tc\\n%s%n",
        "x" * 100_000,
        "\x01é",
        "*",
        "-n",
    ],
)
def test_hostile_values_stay_one_line(hook, hostile):
    hook("prolog.sh", SLURM_JOB_USER=hostile)
    ((_, text, _),) = read(hook)
    lines = text.split("\n")
    assert lines[-2:] == ["end", ""]
    assert len(lines) == 16
    assert f"user={hostile.splitlines()[0]}" in lines
    assert not Path("/tmp/carbonsched-hostile").exists()


@pytest.mark.parametrize("value", ["", "12 13", "../12", "1;2", "12\n13"])
def test_a_job_id_that_is_none_writes_nothing(hook, value):
    hook("epilog.sh", SLURM_JOB_ID=value)
    assert read(hook) == []


@pytest.mark.parametrize("value", ["..", "a/b", "/", ".hidden", ""])
def test_a_node_that_is_none_writes_nothing(hook, value):
    hook("prolog.sh", SLURMD_NODENAME=value)
    assert read(hook) == []


def test_an_odd_restart_count_is_zero(hook):
    hook("prolog.sh", SLURM_JOB_RESTART_COUNT="-1")
    assert read(hook)[0][2].restarts == 0


def test_without_the_folder_nothing_happens(hook):
    hook.events.rmdir()
    hook("prolog.sh")
    hook("epilog.sh")


def test_something_in_the_way_is_survived(hook):
    hook.events.rmdir()
    hook.events.write_text("not a folder")
    hook("prolog.sh")


def test_a_disk_that_takes_nothing_is_survived(hook):
    hook("prolog.sh", limit="ulimit -f 0; ")
    for _, text, event in read(hook):
        assert (text, event) == ("", None)


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a full or read-only disk needs root")
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_full_and_read_only_disks_are_survived(hook, how):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(hook.events)],
        capture_output=True, timeout=10, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"no mounting here: {mounted.stderr.decode().strip()}")
    try:
        (hook.events / "filler").write_bytes(b"x" * 4096)
        if how == "read-only":
            remount = ["mount", "-o", "remount,ro", str(hook.events)]
            subprocess.run(remount, check=True, timeout=10)
        hook("prolog.sh")
        hook("epilog.sh")
        assert not [one for _, _, one in read(hook) if one is not None]
    finally:
        subprocess.run(["umount", str(hook.events)], check=True, timeout=10)


def test_no_search_path_is_needed(hook):
    hook("prolog.sh", PATH="/nonexistent")
    assert len(read(hook)) == 1


@pytest.mark.skipif(os.getuid() != 0, reason="freezing a disk needs root")
@pytest.mark.parametrize("name", ["prolog.sh", "epilog.sh"])
def test_a_disk_that_hangs_holds_up_nobody(hook, tmp_path, name):
    """A frozen file system blocks a writer in the kernel, where no signal reaches it."""
    image = tmp_path / "disk"
    image.write_bytes(b"")
    os.truncate(image, 8 << 20)
    mount = [["mkfs.ext4", "-q", str(image)], ["mount", "-o", "loop", str(image), str(hook.events)]]
    for command in mount:
        done = subprocess.run(command, capture_output=True, timeout=10, check=False)
        if done.returncode:
            pytest.skip(f"no disk to freeze here: {done.stderr.decode().strip()}")
    try:
        subprocess.run(["fsfreeze", "--freeze", str(hook.events)], check=True, timeout=10)
        try:
            hook(name)
        finally:
            subprocess.run(["fsfreeze", "--unfreeze", str(hook.events)], check=True, timeout=10)
        deadline = time.monotonic() + 10
        while not [event for _, _, event in read(hook) if event] and time.monotonic() < deadline:
            time.sleep(0.01)
        ((_, _, event),) = [one for one in read(hook) if one[2] is not None]
        late_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - event.uptime_ns
        assert late_ns > 1_500_000_000  # the hook's begin, not the time of the writing
    finally:
        unmount(hook.events)


def unmount(folder):
    """The writer that was stuck may still be closing its file."""
    deadline = time.monotonic() + 10
    while True:
        done = subprocess.run(["umount", str(folder)], capture_output=True, timeout=10, check=False)
        if done.returncode == 0:
            return
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.01)
