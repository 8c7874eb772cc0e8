"""The API's routes: each reads its words, asks the backend, and answers what that says."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from carbonsched.errors import RequestError
from carbonsched.model.directives import Directives
from carbonsched.model.placement import Candidacy, JobSize
from carbonsched.model.wire import MAX_WHOLE
from carbonsched.transport.munge import Caller
from carbonsched.web.backend import (
    Backend,
    IntensityQuery,
    JobQuery,
    NodeView,
    PeriodQuery,
    ReportQuery,
)


def _utf8(text: str) -> str:
    text.encode()  # JSON can write half characters, which nothing else can
    return text


Text = Annotated[str, AfterValidator(_utf8)]


Made = TypeVar("Made")
JobId = Annotated[int, Field(ge=1, le=MAX_WHOLE)]
Restarts = Annotated[int, Field(ge=0, le=MAX_WHOLE)]


class NodeDocument(BaseModel):
    """The node that sends, and the runs that it believes present: ``[job_id, restarts]``."""

    model_config = ConfigDict(extra="ignore")
    cluster: Text
    name: Text
    jobs: list[tuple[JobId, Restarts]] = Field(default_factory=list, max_length=10_000)


class Readings(BaseModel):
    """Closed segments and epochs of a node; each is checked by itself."""

    model_config = ConfigDict(extra="forbid")
    segments: list[Any] = Field(default_factory=list, max_length=10_000)
    epochs: list[Any] = Field(default_factory=list, max_length=10_000)
    node: NodeDocument | None = None

    @property
    def view(self) -> NodeView | None:
        """What the node believes present; agents of before that was asked do not tell."""
        if self.node is None:
            return None
        jobs = tuple(self.node.jobs)
        return NodeView(cluster=self.node.cluster, name=self.node.name, jobs=jobs)


class Adoption(BaseModel):
    """A job just submitted, and what its owner asks."""

    model_config = ConfigDict(extra="forbid")
    cluster: Text
    job_id: int = Field(ge=1, le=MAX_WHOLE)
    directives: dict[str, Any]


class PlacementRequest(BaseModel):
    """A job about to be submitted: where it may go, what its owner asks, what is said of it."""

    model_config = ConfigDict(extra="forbid")
    clusters: list[Text] = Field(default_factory=list, max_length=100)
    partitions: list[Text] = Field(default_factory=list, max_length=100)
    here: Text | None = None
    directives: dict[str, Any] = Field(default_factory=dict)
    job: dict[str, Any] = Field(default_factory=dict)

    @property
    def candidacy(self) -> Candidacy:
        """The same, checked."""
        fields = {
            "clusters": tuple(self.clusters),
            "partitions": tuple(self.partitions),
            "size": _made(JobSize, "job", self.job),
            "directives": _made(Directives, "directives", self.directives),
            "here": self.here,
        }
        return _made(Candidacy, "placement", fields)


class GrantRequest(BaseModel):
    """A change of a subject's budget."""

    model_config = ConfigDict(extra="forbid")
    subject: Text
    month: str | None = None
    mg: int = Field(ge=-MAX_WHOLE, le=MAX_WHOLE)
    reason: Text = Field(min_length=1, max_length=1000)


def _made(kind: type[Made], name: str, fields: dict[str, Any]) -> Made:
    """One of our records from an object of the request.

    Raises:
        RequestError: it has other fields, or values that cannot be.
    """
    try:
        return kind(**fields)
    except (TypeError, ValueError) as error:
        raise RequestError(f"{name}: {error}") from None


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


def _backend(request: Request) -> Backend:
    backend: Backend = request.app.state.backend
    return backend


Known = Annotated[Caller, Depends(_caller)]
Served = Annotated[Backend, Depends(_backend)]
Whole = Annotated[int, Query(ge=0, le=MAX_WHOLE)]
Everybody = Annotated[bool, Query(alias="all")]


def _period(start: Whole, end: Whole, cluster: str | None = None) -> PeriodQuery:
    if end <= start:
        raise RequestError("the period ends before it starts")
    return PeriodQuery(start_at=start, end_at=end, cluster=cluster)


Period = Annotated[PeriodQuery, Depends(_period)]

public = APIRouter()
signed = APIRouter()
"""Included by the application with the authenticator in front of every route."""


@public.get("/v1/health")
def health(backend: Served) -> dict[str, Any]:
    """Whether the ticks are well; needs no credential."""
    return backend.health()


@signed.post("/v1/readings")
def readings(document: Readings, caller: Known, backend: Served) -> dict[str, Any]:
    """Take readings from a node; whatever is not refused is on disk when this answers.

    The answer's ``ended`` tells ``[job_id, restarts, ended_at]`` of the node's runs that are over.
    """
    return backend.readings(caller, document.segments, document.epochs, document.view)


@signed.post("/v1/jobs")
def adopt(document: Adoption, caller: Known, backend: Served) -> dict[str, Any]:
    """Take over a job just submitted; answers the lines that csbatch shows."""
    directives = _made(Directives, "directives", document.directives)
    return backend.adopt(caller, document.cluster, document.job_id, directives)


@signed.post("/v1/placement")
def place(document: PlacementRequest, caller: Known, backend: Served) -> dict[str, Any]:
    """Where a job about to be submitted would emit least: cluster or partition, and why."""
    return backend.place(caller, document.candidacy)


@signed.get("/v1/queue")
def queue(
    caller: Known,
    backend: Served,
    user: str | None = None,
    job: Whole | None = None,
    everybody: Everybody = False,
    gpu_limit_w: Annotated[int | None, Query(ge=1, le=MAX_WHOLE)] = None,
    nodes: str | None = None,
) -> dict[str, Any]:
    """Pending and active jobs with their plans and predictions.

    With ``gpu_limit_w`` or ``nodes`` also what is left of each under that GPU power limit or there.
    """
    query = JobQuery(
        user=user, job_id=job, everybody=everybody, gpu_limit_w=gpu_limit_w, nodes=nodes
    )
    return backend.queue(caller, query)


@signed.get("/v1/jobs")
def jobs(
    caller: Known,
    backend: Served,
    user: str | None = None,
    job: Whole | None = None,
    since_at: Whole = 0,
    until_at: Whole | None = None,
    everybody: Everybody = False,
    evidence: bool = False,
) -> dict[str, Any]:
    """Jobs with their energy and emissions, on demand with the chain of evidence."""
    query = JobQuery(
        user=user,
        job_id=job,
        since_at=since_at,
        until_at=until_at,
        everybody=everybody,
        evidence=evidence,
    )
    return backend.jobs(caller, query)


@signed.get("/v1/epochs")
def epochs(
    caller: Known,
    backend: Served,
    job: Whole,
    user: str | None = None,
    everybody: Everybody = False,
) -> dict[str, Any]:
    """The epochs that a job marked, over all its nodes and runs."""
    return backend.epochs(caller, JobQuery(user=user, job_id=job, everybody=everybody))


@signed.get("/v1/report")
def report(
    caller: Known,
    backend: Served,
    month: str | None = None,
    user: str | None = None,
    account: str | None = None,
    campaign: str | None = None,
) -> dict[str, Any]:
    """A monthly statement."""
    query = ReportQuery(month=month, user=user, account=account, campaign=campaign)
    return backend.report(caller, query)


@signed.get("/v1/audit")
def audit(caller: Known, backend: Served, query: Period) -> dict[str, Any]:
    """Whether a period adds up: what was metered, to whom it went, what is missing."""
    return backend.audit(caller, query)


@signed.get("/v1/shadow")
def shadow(caller: Known, backend: Served, query: Period) -> dict[str, Any]:
    """What the plans of the shadow mode would have saved, of jobs that ended in a period."""
    return backend.shadow(caller, query)


@signed.get("/v1/intensity")
def intensity(
    caller: Known,
    backend: Served,
    zone: str | None = None,
    hours: Annotated[int, Query(ge=1, le=96)] = 48,
    length_s: Annotated[int | None, Query(ge=60, le=96 * 3600)] = None,
) -> dict[str, Any]:
    """The grid's intensity now and ahead; ``zone`` is one or several with commas between them."""
    zones = tuple(one for one in (zone or "").split(",") if one)
    return backend.intensity(caller, IntensityQuery(zones=zones, hours=hours, length_s=length_s))


@signed.get("/v1/quota")
def quota(caller: Known, backend: Served) -> dict[str, Any]:
    """Balances: the caller's own, or everybody's for an operator."""
    return backend.quota(caller)


@signed.post("/v1/quota/grants")
def grant(document: GrantRequest, caller: Known, backend: Served) -> dict[str, Any]:
    """Change a budget for a month, for the record."""
    return backend.grant(caller, document.subject, document.month, document.mg, document.reason)
