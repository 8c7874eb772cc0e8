"""What the API asks of the services behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from carbonsched.model.directives import Directives
from carbonsched.model.placement import Candidacy
from carbonsched.transport.munge import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which jobs somebody wants to see; ``everybody`` is for operators.

    Of the queue, ``gpu_limit_w`` and ``nodes`` ask what is left of a job under another power limit
    of its GPUs and on other nodes.
    """

    user: str | None = None
    job_id: int | None = None
    since_at: int = 0
    until_at: int | None = None
    everybody: bool = False
    evidence: bool = False
    gpu_limit_w: int | None = None
    nodes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """Which runs, by id and restarts, a node believes present as it sends its readings."""

    cluster: str
    name: str
    jobs: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodQuery:
    """Which period is asked for, of one cluster or of all that are managed here."""

    start_at: int
    end_at: int
    cluster: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntensityQuery:
    """Of which zones (all) how many hours ahead, and how long a window is to be found in them."""

    zones: tuple[str, ...] = ()
    hours: int = 48
    length_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportQuery:
    """Which statement somebody wants: of a user (the caller by default), account or campaign."""

    month: str | None = None
    user: str | None = None
    account: str | None = None
    campaign: str | None = None


class Backend(Protocol):
    """One method for each thing the API offers; all are called from worker threads."""

    def readings(
        self, caller: Caller, segments: list[Any], epochs: list[Any], node: NodeView | None
    ) -> dict[str, Any]:
        """Take readings from a node, and tell it which of its runs have ended."""
        ...

    def adopt(
        self, caller: Caller, cluster: str, job_id: int, directives: Directives
    ) -> dict[str, Any]:
        """Take over a job that its owner has just submitted."""
        ...

    def place(self, caller: Caller, asked: Candidacy) -> dict[str, Any]:
        """Where a job that its owner is about to submit would emit least."""
        ...

    def queue(self, caller: Caller, query: JobQuery) -> dict[str, Any]:
        """Pending and active jobs with their plans."""
        ...

    def jobs(self, caller: Caller, query: JobQuery) -> dict[str, Any]:
        """Jobs with their figures."""
        ...

    def epochs(self, caller: Caller, query: JobQuery) -> dict[str, Any]:
        """The epochs that a job marked."""
        ...

    def report(self, caller: Caller, query: ReportQuery) -> dict[str, Any]:
        """A monthly statement."""
        ...

    def audit(self, caller: Caller, query: PeriodQuery) -> dict[str, Any]:
        """Whether a period adds up, from meters to charges."""
        ...

    def shadow(self, caller: Caller, query: PeriodQuery) -> dict[str, Any]:
        """What the plans of the shadow mode would have saved."""
        ...

    def intensity(self, caller: Caller, query: IntensityQuery) -> dict[str, Any]:
        """The grid's intensity now and in the hours to come."""
        ...

    def quota(self, caller: Caller) -> dict[str, Any]:
        """Balances: the caller's, or everybody's for an operator."""
        ...

    def grant(
        self, caller: Caller, subject: str, month: str | None, mg: int, reason: str
    ) -> dict[str, Any]:
        """Change a subject's budget for a month, with a reason, for the record."""
        ...

    def health(self) -> dict[str, Any]:
        """Whether the ticks are well."""
        ...
