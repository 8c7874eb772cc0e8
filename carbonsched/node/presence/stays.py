"""A job's presence on the node: the words that presence tells and accounts divide by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from carbonsched.model.energy import PartKind

NOBODY = -1


class Owner(NamedTuple):
    """Whom energy belongs to; ``NOBODY`` where it is no job."""

    kind: PartKind
    job_id: int = NOBODY
    restarts: int = NOBODY


IDLE = Owner(PartKind.IDLE)
SYSTEM = Owner(PartKind.SYSTEM)


@dataclass(frozen=True, slots=True)
class Use:
    """What one job had and used of a node.

    ``cpus`` is 0 and ``memory_mb`` ``None`` where the allocation is not known. ``gpus`` has the
    fraction (numerator, denominator) of each device that it was given. Slurm gives the CPUs of a
    ``suspended`` job away, its memory and GPUs not. A ``fading`` job lost its control group and its
    end is not known: it may be over, so where more is allocated than there is, it yields first.
    """

    owner: Owner
    cpus: int
    present_ns: int
    cpu_ns: int
    memory_mb: int | None = None
    gpus: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    suspended: bool = False
    fading: bool = False


@dataclass(frozen=True, slots=True)
class Stay:
    """A job's presence ``[begin_ns, end_ns)`` within an interval, what it had and what it used.

    The allocation, ``suspended`` and ``fading`` are as in ``Use``, throughout the interval.
    """

    owner: Owner
    cpus: int
    begin_ns: int
    end_ns: int
    cpu_ns: int
    memory_mb: int | None = None
    gpus: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    suspended: bool = False
    fading: bool = False

    def use(self, present_ns: int, cpu_ns: int) -> Use:
        """What falls into one piece."""
        return Use(
            self.owner, self.cpus, present_ns, cpu_ns,
            self.memory_mb, self.gpus, self.suspended, self.fading,
        )  # fmt: skip
