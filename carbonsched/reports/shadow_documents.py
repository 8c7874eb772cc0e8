"""``GET /v1/shadow`` as types, with the conventions of :mod:`carbonsched.reports.documents`."""

from __future__ import annotations

from typing import Any, TypedDict, cast

from carbonsched.reports.conformity import conform


class ShadowSums(TypedDict):
    """Jobs planned in shadow mode, those that would have been deferred, and both ways' masses.

    ``mg`` and ``would_mg`` are of reckoned jobs, ``deferred_mg`` and ``deferred_would_mg`` of those
    among them that would have been deferred; ``None`` where there is none. Delays are of all that
    would have been deferred.
    """

    jobs: int
    reckoned_jobs: int
    deferred_jobs: int
    deferred_reckoned_jobs: int
    delay_mean_s: int | None
    delay_p95_s: int | None
    mg: int | None
    would_mg: int | None
    deferred_mg: int | None
    deferred_would_mg: int | None


class ShadowUser(ShadowSums):
    """One user's sums."""

    user: str


class NotReckoned(TypedDict):
    """How many jobs could not be reckoned for one reason."""

    why: str
    jobs: int
    deferred_jobs: int


class ShadowDocument(TypedDict):
    """What the plans of the shadow mode would have saved; ``ended_jobs`` counts all jobs."""

    now: int
    start_at: int
    end_at: int
    clusters: list[str]
    ended_jobs: int
    total: ShadowSums
    not_reckoned: list[NotReckoned]
    users: list[ShadowUser]


def read_shadow(answer: Any) -> ShadowDocument:
    """The answer as a report; ``DaemonError`` where it is not one."""
    conform(answer, ShadowDocument, "")
    return cast("ShadowDocument", answer)
