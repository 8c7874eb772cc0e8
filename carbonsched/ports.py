"""What the services need of the world, as Protocols; adapters live in the packages above.

Adapters raise the exceptions of :mod:`carbonsched.errors` and no others for what may go wrong
outside, and every call they make has a time limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from carbonsched.model.intensity import Forecast, IntensitySeries, SeriesInfo
from carbonsched.model.job import Job
from carbonsched.model.pue import PuePoint


class Clock(Protocol):
    """Where "now" comes from; the simulator has its own."""

    def now(self) -> int:
        """Whole epoch seconds, UTC."""
        ...


class IntensityProvider(Protocol):
    """One service, file or table that knows the grid's intensity in one zone."""

    @property
    def info(self) -> SeriesInfo:
        """What its numbers mean."""
        ...

    def actual(self, start_at: int, end_at: int) -> IntensitySeries:
        """What is known of ``[start_at, end_at)``: perhaps less than that, never invented.

        Raises:
            ProviderError: unreachable, refused or malformed.
        """
        ...

    def forecast(self, now: int) -> Forecast | None:
        """The latest forecast issued by ``now``; ``None`` where the provider has none.

        Raises:
            ProviderError: unreachable, refused or malformed.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node as Slurm describes it.

    ``maintained``: it takes no work because a maintenance is on, and will when that is over.
    """

    name: str
    cpus: int
    available: bool
    partitions: tuple[str, ...] = ()
    maintained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A partition as Slurm describes it; its nodes are those that name it.

    ``max_time_s`` and ``max_nodes`` are ``None`` where there is no such bound on a job.
    """

    name: str
    state: str
    max_time_s: int | None = None
    max_nodes: int | None = None
    min_nodes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Nodes that are kept for somebody or something in ``[start_at, end_at)``.

    ``cpus`` of them in all, every one where that is ``None``; again each ``every_s`` seconds.
    """

    start_at: int
    end_at: int
    nodes: tuple[str, ...]
    cpus: int | None = None
    every_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a job stands with slurmctld at this moment, which still knows it if it has ended.

    ``exit_status`` and ``exit_signal`` are of its batch script, and 0 until that has ended.
    """

    state: str
    reason: str
    submitted_at: int
    restarts: int
    requeueable: bool
    ended_at: int | None
    exit_status: int
    exit_signal: int


class Cluster(Protocol):
    """One Slurm cluster."""

    @property
    def name(self) -> str:
        """Slurm's ClusterName."""
        ...

    def jobs(self) -> Sequence[Job]:
        """Every pending and active job (squeue), pending arrays as one row with ``tasks``."""
        ...

    def job(self, job_id: int) -> Job | None:
        """One job that slurmctld still knows, else ``None``."""
        ...

    def history(self, since_at: int, until_at: int) -> Sequence[Job]:
        """Jobs of the accounting database that were there in ``[since_at, until_at)``.

        Requeued runs come as jobs of their own; array tasks one by one.
        """
        ...

    def runs(self, job_ids: Sequence[int]) -> Sequence[Job]:
        """Every run of these ids in the accounting database, whenever it was.

        Jobs that were cancelled while they waited for a time still ahead are in no interval of
        :meth:`history`, but they are here.
        """
        ...

    def nodes(self) -> Sequence[Node]:
        """The nodes and whether they can take work."""
        ...

    def partitions(self) -> Sequence[Partition]:
        """The partitions, those that are down or hidden too."""
        ...

    def reservations(self) -> Sequence[Reservation]:
        """Reservations of nodes, maintenance among them, that are or will be."""
        ...

    def set_start(self, job_id: int, start_at: int, note: str) -> None:
        """Move a pending job's earliest start and leave an admin comment, in one call.

        A ``start_at`` that is not in the future means now.

        Raises:
            ClusterRefusedError: the job is no longer pending, or not ours to move.
            ClusterUnavailableError: slurmctld does not answer.
        """
        ...

    def standing(self, job_id: int) -> Standing | None:
        """How one job stands now, ``None`` where slurmctld does not know it (any more).

        Raises:
            ClusterUnavailableError: slurmctld does not answer.
        """
        ...

    def signal(self, job_id: int, name: str) -> None:
        """Send a signal, such as ``USR1``, to a running job: its batch script and all its steps.

        Raises:
            ClusterRefusedError: the job is not there any more, or not ours to signal.
            ClusterUnavailableError: slurmctld does not answer.
        """
        ...

    def cancel(self, job_id: int) -> None:
        """End a job that waits or runs, as its owner's ``scancel`` would.

        Raises:
            ClusterRefusedError: the job is not there any more, or not ours to end.
            ClusterUnavailableError: slurmctld does not answer.
        """
        ...

    def remark(self, job_id: int, note: str) -> None:
        """Leave an admin comment on a job, in Slurm's accounting too.

        Raises:
            ClusterRefusedError: the job is not there any more, or not ours to change.
            ClusterUnavailableError: slurmctld does not answer.
        """
        ...

    def requeue(self, job_id: int, *, ended: bool) -> None:
        """Put a running job back into the queue, or one that has ``ended``, never the other.

        Slurm starts it no sooner than some two minutes later. That nothing was refused does not say
        that it was done: a running job may end by itself just before.

        Raises:
            ClusterRefusedError: slurmctld does not know the job, or it may not be requeued.
            ClusterUnavailableError: slurmctld does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class PueValue:
    """The mean PUE over an interval in whole parts per million, and where it comes from."""

    pue_ppm: int
    source: str


class Pue(Protocol):
    """A facility's PUE over time."""

    def over(self, start_at: int, end_at: int) -> PueValue | None:
        """The time-weighted mean over ``[start_at, end_at)``, rounded half to even.

        ``None`` while it is not known throughout: missing is never a default.
        """
        ...

    def within(self, start_at: int, end_at: int) -> Pue:
        """The same for intervals inside this one, from memory: for many questions in a row."""
        ...

    @property
    def now_ppm(self) -> int:
        """What to plan with: there is always an answer."""
        ...


class PueReader(Protocol):
    """A file or service that tells a facility's PUE."""

    @property
    def source(self) -> str:
        """Whose word its values are, for people; no password."""
        ...

    @property
    def asks_again_s(self) -> int:
        """How far back values may still change after they were first told."""
        ...

    @property
    def most_s(self) -> int:
        """The longest interval that one question may be about."""
        ...

    def read(self, start_at: int, end_at: int) -> PueTold:
        """What is known of periods that touch ``[start_at, end_at)``, never invented.

        Raises:
            ProviderError: unreachable, refused or malformed.
        """
        ...


@dataclass(frozen=True, slots=True)
class PueTold:
    """An answer: points in time order without overlap, and what had to be kept out of it."""

    points: tuple[PuePoint, ...]
    fault: str | None = None
