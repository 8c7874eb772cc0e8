"""Which GPUs a job has, from what Slurm told its prolog.

Slurm's prolog gets the job's GPUs twice (``gres_common_prep_set_env`` in Slurm's source,
``src/plugins/gres/common/gres_common.c``; alike in 22.05 to 26.05):

- ``SLURM_JOB_GPUS`` has the place of each in slurmd's list of the node's GPUs. Unlike in the job
  itself the places are the node's, also with ``ConstrainDevices``, and those of shards and MPS are
  their GPU's.
- ``CUDA_VISIBLE_DEVICES`` (``ROCR_VISIBLE_DEVICES``) has for each its UUID where slurmd knows that:
  of every MIG instance, and of every GPU found by ``AutoDetect=nvml`` since 25.11 or by
  ``AutoDetect=nvidia``. Otherwise it has the place again.

So UUIDs count where there are some, and then nothing is left to interpret. A place is one in the
order of PCI addresses with ``AutoDetect``, which is NVML's; with ``File=/dev/nvidia[0-7]`` alone it
is one in the order of device files, so of minor numbers (``gres_gpu.c`` sorts both ways). They are
the same on most machines. Where they are not, places are read as NVML's indices, as Slurm
recommends ``AutoDetect``, and such a job is told as doubtful.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from carbonsched.node.meters.meter import Gpu

MOST = 1024
"""No node has so many; a longer range is none."""
_RANGE = re.compile(r"([0-9]{1,6})(?:-([0-9]{1,6}))?")
_OLD_INSTANCE = re.compile(r"MIG-(GPU-[0-9A-Za-z-]+)/[0-9]+/[0-9]+")
_NONE = {"", "-1", "nodevfiles", "void", "none"}


@dataclass(frozen=True, slots=True)
class Resolved:
    """A job's share of each device as (numerator, denominator), at most one.

    ``unknown`` are names that stand for no GPU of this node, for exactly one. ``doubtful`` is true
    where places may mean other GPUs than those named: minor numbers say otherwise.
    """

    shares: dict[str, tuple[int, int]] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    doubtful: bool = False


def resolve(gpus: str, visible: str, inventory: Sequence[Gpu]) -> Resolved:
    """A job's GPUs; ``gpus`` is SLURM_JOB_GPUS and ``visible`` CUDA_VISIBLE_DEVICES of the prolog.

    A whole GPU is (1, 1), an instance of one its compute slices over all of the GPU. Where several
    entries of the inventory are parts of one device, each is an equal share of it. A name that is
    not known is never taken for all GPUs, nor for none: it is told.
    """
    given = _names(visible)
    if not any(_is_uuid(name) for name in given):
        given = _names(gpus) or given
    parts = Counter(gpu.device for gpu in inventory)
    total: dict[str, tuple[int, int]] = {}
    unknown: list[str] = []
    for name in dict.fromkeys(given):
        share = _instance(name, inventory) or _whole(name, inventory, parts)
        if share is None:
            unknown.append(name)
            continue
        device, slices, of = share
        total[device] = (min(of, total.get(device, (0, of))[0] + slices), of)
    return Resolved(total, tuple(unknown), _is_doubtful(given, inventory))


def _names(text: str) -> list[str]:
    """What a list names, its ranges written out: ``0,2-3`` is 0, 2, 3; nothing for no devices."""
    names: list[str] = []
    for word in (part.strip() for part in text.split(",")):
        if word.lower() in _NONE:
            continue
        match = _RANGE.fullmatch(word)
        if match is None:
            names.append(word)
            continue
        first, last = int(match[1]), int(match[2] or match[1])
        valid = first <= last < first + MOST
        names += (str(place) for place in range(first, last + 1)) if valid else (word,)
    return names


def _is_uuid(name: str) -> bool:
    return name.upper().startswith(("GPU-", "MIG-"))


def _whole(name: str, inventory: Sequence[Gpu], parts: Counter[str]) -> tuple[str, int, int] | None:
    """(device, its parts that are meant, all its parts) of a GPU's place, UUID or PCI address."""
    if name.isdecimal():
        return _at(int(name), inventory, parts)
    found = list(_unambiguous(name, parts))
    return (found[0], parts[found[0]], parts[found[0]]) if len(found) == 1 else None


def _at(place: int, inventory: Sequence[Gpu], parts: Counter[str]) -> tuple[str, int, int] | None:
    """What is at a place of slurmd's list, where a divided GPU stands for each of its instances."""
    if not any(gpu.instances for gpu in inventory):
        there = [gpu for gpu in inventory if gpu.index == place]
        return (there[0].device, 1, parts[there[0].device]) if len(there) == 1 else None
    rows: list[tuple[str, int, int]] = []
    for gpu in sorted(inventory, key=lambda one: one.index):
        rows += [(gpu.device, slices, gpu.slices) for slices in gpu.instances.values()]
        if not gpu.instances:
            rows.append((gpu.device, 1, 1))
    return rows[place] if place < len(rows) else None


def _instance(name: str, inventory: Sequence[Gpu]) -> tuple[str, int, int] | None:
    """(device, slices of the instance, all slices) of a MIG instance.

    The notation of before driver 470, ``MIG-GPU-UUID/gi/ci``, tells the GPU but not the size: the
    instance counts only where all of that GPU's are of one size.
    """
    old = _OLD_INSTANCE.fullmatch(name)
    if old is not None:
        parent = next((gpu for gpu in inventory if gpu.device == old[1]), None)
        sizes = set(parent.instances.values()) if parent else set()
        return (old[1], sizes.pop(), parent.slices) if parent and len(sizes) == 1 else None
    if not name.upper().startswith("MIG-"):
        return None
    owners = {uuid: gpu for gpu in inventory for uuid in gpu.instances}
    found = list(_unambiguous(name, owners))
    if len(found) != 1:
        return None
    gpu = owners[found[0]]
    return gpu.device, gpu.instances[found[0]], gpu.slices


def _unambiguous(name: str, known: Iterable[str]) -> Iterator[str]:
    """The one of that name, else all that begin with it, as CUDA takes shortened UUIDs."""
    lower = name.lower()
    candidates = [one for one in known if one.lower().startswith(lower)]
    exact = [one for one in candidates if one.lower() == lower]
    # "GPU-" alone would otherwise be the name of a node's only GPU.
    long_enough = len(lower) > len("gpu-")
    return iter(exact or (candidates if long_enough else []))


def _is_doubtful(given: Sequence[str], inventory: Sequence[Gpu]) -> bool:
    """Whether the places, read as minor numbers, mean other devices; a divided GPU's may anyway."""
    places = {int(name) for name in given if name.isdecimal()}
    if places and any(gpu.instances for gpu in inventory):
        return True
    minors = {gpu.minor for gpu in inventory if gpu.minor is not None}
    if not places or len(minors) < len(inventory):
        return False
    ranks = {minor: rank for rank, minor in enumerate(sorted(minors))}
    by_index = {gpu.device for gpu in inventory if gpu.index in places}
    by_minor = {gpu.device for gpu in inventory if ranks[gpu.minor or 0] in places}
    return by_index != by_minor
