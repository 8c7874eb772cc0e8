"""Trials of a job on the partitions of one cluster, whose nodes may be of different kinds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from carbonsched.errors import ClusterError
from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.placement import JobSize
from carbonsched.model.prediction import Prediction, PredictionSource
from carbonsched.model.spread import Spread
from carbonsched.planning import PlanningJob
from carbonsched.ports import Node, Partition
from carbonsched.prediction.kinds import Figures, Power, PowerSource
from carbonsched.services.kinds import NodeKinds
from carbonsched.services.managed import ManagedCluster
from carbonsched.services.parts import Part
from carbonsched.services.placement import Candidate
from carbonsched.services.trials import NO_LENGTH, Trial

METHOD = "partition/1"
NO_POWER = (
    "nothing tells what its nodes draw above idle; declare idle and max of them in the"
    " configuration"
)


def trials(
    ledger: Ledger,
    managed: ManagedCluster,
    names: Sequence[str],
    known: KnownJob,
    planned: PlanningJob,
    size: JobSize,
    now: int,
) -> Iterator[Trial | Candidate]:
    """A trial on each partition, or why there can be none; ``planned`` has no prediction."""
    try:
        nodes, partitions = managed.cluster.nodes(), managed.cluster.partitions()
    except ClusterError as error:
        for name in names:
            yield _unable(managed, name, f"cluster {managed.name} does not answer: {error}")
        return
    kinds = NodeKinds(ledger, managed, nodes, now)
    for name in names:
        part = _part(name, partitions, nodes)
        why = f"cluster {managed.name} has no such partition" if part is None else None
        if part is None or (why := part.refusal(size)) is not None:
            yield _unable(managed, name, why)
        else:
            figures = kinds.figures(known, part.nodes)
            yield _trial(managed, part, known, planned, figures)


def _part(name: str, partitions: Sequence[Partition], nodes: Sequence[Node]) -> Part | None:
    found = next((one for one in partitions if one.name == name), None)
    return None if found is None else Part.of(found, nodes)


def _unable(managed: ManagedCluster, name: str, why: str | None) -> Candidate:
    return Candidate(name=name, zone=managed.zone, waiting_cpu_s=0, why=why)


def _trial(
    managed: ManagedCluster, part: Part, known: KnownJob, planned: PlanningJob, figures: Figures
) -> Trial:
    job, power = known.job, figures.power
    length = _length(figures, planned.length, job.time_limit_s)
    prediction = None
    if power is not None and length is not None:
        prediction = _predicted(power, length, job.cpus)
    return Trial(
        managed=managed,
        job=job,
        planned=replace(planned, prediction=prediction, length=length),
        prediction=prediction,
        candidate=_candidate(managed, part, power, figures),
        lacks=NO_LENGTH if length is None else NO_POWER,
        part=part,
    )


def _candidate(
    managed: ManagedCluster, part: Part, power: Power | None, figures: Figures
) -> Candidate:
    candidate = Candidate(name=part.partition.name, zone=managed.zone, waiting_cpu_s=0)
    if power is None:
        return candidate
    return replace(
        candidate,
        power=str(power.source),
        samples=power.samples,
        basis=_basis(power, figures.length),
    )


def _basis(power: Power, length: Spread | None) -> str:
    """Whence power and run time are known; the runs that tell the power there tell both."""
    if length is None or power.source is PowerSource.HISTORY:
        return power.words
    return f"{power.words}, run time by {len(length.seconds)} there"


def _length(figures: Figures, learnt: Spread | None, limit_s: int | None) -> Spread | None:
    """How long the job runs: as those like it there, else as it is expected to anywhere."""
    length = figures.length or learnt or figures.anywhere
    if length is None or not limit_s:
        return length
    return length.at_most(limit_s)


def _predicted(power: Power, length: Spread, cpus: int) -> Prediction:
    """Energy above idle over the mean length."""
    source = PredictionSource.HISTORY if power.samples else PredictionSource.LIMITS
    energy_j = round(power.watts_per_cpu * cpus * length.mean_s)
    return Prediction.certain(source, max(1, math.ceil(length.mean_s)), energy_j, METHOD)
