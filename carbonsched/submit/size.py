"""What a job's owner plainly says of its size, of all that sbatch can be told.

Slurm itself is not asked: ``sbatch --test-only`` would run the submit plug-in, and with it count
the job against its owner's budget, on every cluster.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import PurePath

from carbonsched.model.placement import MAX_SIZE, JobSize
from carbonsched.submit.sbatch_words import CommandLine
from carbonsched.submit.script import ScriptHead

# What sbatch takes from the environment, which goes before the script and after the command line.
_ENVIRONMENT = {
    "SBATCH_TIMELIMIT": "time",
    "SBATCH_JOB_NAME": "job-name",
    "SBATCH_ARRAY_INX": "array",
    "SBATCH_EXCLUSIVE": "exclusive",
    "SBATCH_GPUS": "gpus",
    "SBATCH_GPUS_PER_NODE": "gpus-per-node",
    "SBATCH_GRES": "gres",
    "SBATCH_OVERCOMMIT": "overcommit",
    "SBATCH_CLUSTERS": "clusters",
    "SLURM_CLUSTERS": "clusters",
    "SBATCH_PARTITION": "partition",
}
# What else changes a job's power, its length or its start.
_NOT_COUNTED = """
array begin cores-per-socket cpus-per-gpu exclusive extra-node-info gpus gpus-per-node
gpus-per-socket gpus-per-task gres mincpus nodefile nodelist ntasks-per-core ntasks-per-gpu
ntasks-per-socket overcommit sockets-per-node threads-per-core tres-per-task
"""
_COUNT = re.compile(r"0*([1-9][0-9]{0,8})")
_NODES = re.compile(r"0*([1-9][0-9]{0,8})(?:-[0-9]{1,9})?")
_DAYS = re.compile(r"([0-9]{1,5})-([0-9]{1,5})(?::([0-9]{1,5})(?::([0-9]{1,5}))?)?")
_CLOCK = re.compile(r"(?:([0-9]{1,7}):)?([0-9]{1,7}):([0-9]{1,7})")
_UNLIMITED = frozenset({"infinite", "unlimited", "-1", "0"})


def all_options(line: CommandLine, head: ScriptHead) -> dict[str, str]:
    """Sbatch's options with their values as they count: words, environment, script."""
    environment = {
        option: os.environ[name] for name, option in _ENVIRONMENT.items() if os.environ.get(name)
    }
    return head.sbatch_values | environment | line.values


def read_size(line: CommandLine, head: ScriptHead) -> tuple[JobSize, tuple[str, ...]]:
    """The size, and the options beyond it that change it but are not counted."""
    options = all_options(line, head)
    unread = [f"--{name}" for name in _NOT_COUNTED.split() if name in options]

    def count(name: str, pattern: re.Pattern[str] = _COUNT) -> int | None:
        if name not in options:
            return None
        found = pattern.fullmatch(options[name])
        if found is None:
            unread.append(f"--{name}")
        return int(found[1]) if found else None

    size = JobSize(
        name=_name(options, line),
        nodes=count("nodes", _NODES),
        tasks=count("ntasks"),
        tasks_per_node=count("ntasks-per-node"),
        cpus_per_task=count("cpus-per-task"),
        time_limit_s=_limit(options, unread),
    )
    unread += [one for one in (line.unknown, head.unknown) if one is not None]
    if line.heterogeneous or head.heterogeneous:
        unread.append("the other parts of the job")
    return size, tuple(unread)


def parse_limit_s(text: str) -> int | None:
    """Seconds of a time limit as sbatch reads it, in whole minutes.

    ``None`` for no limit, also where it is of tens of years.

    Raises:
        ValueError: it is not a time limit.
    """
    if text.lower() in _UNLIMITED:
        return None
    if days := _DAYS.fullmatch(text):
        parts = [int(part or 0) for part in days.groups()]
        length_s = parts[0] * 86_400 + parts[1] * 3600 + parts[2] * 60 + parts[3]
    elif clock := _CLOCK.fullmatch(text):
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        length_s = hours * 3600 + minutes * 60 + seconds
    elif text.isascii() and text.isdigit() and len(text) <= 8:
        length_s = int(text) * 60
    else:
        raise ValueError(f"{text!r} is not a time limit")
    length_s = -(-length_s // 60) * 60
    return length_s if 0 < length_s <= MAX_SIZE else None


def _limit(options: Mapping[str, str], unread: list[str]) -> int | None:
    if "time" not in options:
        return None
    try:
        return parse_limit_s(options["time"].strip())
    except ValueError:
        unread.append("--time")
        return None


def _name(options: Mapping[str, str], line: CommandLine) -> str:
    """The job's name in Slurm, by which its earlier runs are found; at worst none is found."""
    if "job-name" in options:
        name = options["job-name"]
    elif line.script is not None:
        name = PurePath(line.script).name
    else:
        name = "wrap" if "wrap" in options else "sbatch"
    return name[:1024].encode("utf-8", "replace").decode()
