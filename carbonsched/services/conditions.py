"""Under which conditions a cluster's jobs had their epochs, and how those compare.

A condition is the kinds of a job's nodes and the power limit of its GPUs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from carbonsched.errors import RequestError
from carbonsched.ledger import Ledger
from carbonsched.ledger.readings import ToldEpoch
from carbonsched.model.energy import Quality
from carbonsched.model.hostlist import expand
from carbonsched.model.job import Job
from carbonsched.ports import Node
from carbonsched.prediction.conditions import (
    Condition,
    JobLike,
    Levels,
    Ratio,
    SeenEpoch,
    levels,
    ratio,
)
from carbonsched.services.kinds import NodeKinds
from carbonsched.services.managed import ManagedCluster
from carbonsched.services.predict import HISTORY_S
from carbonsched.site import NodeClass

MOST_EPOCHS = 20_000
"""Of everybody's epochs on a cluster, and of a user's of one name, the newest count."""
_WHOLE = (Quality.MEASURED, Quality.SAMPLED, Quality.MODELLED)
_MILLI = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody wants to know of a job: another power limit, other nodes, or both.

    ``nodes`` is a node, a host list of nodes of one kind, or a partition of such.
    """

    gpu_limit_w: int | None = None
    nodes: str | None = None


@dataclass(frozen=True, slots=True)
class _Run:
    job_id: int
    submitted_at: int
    restarts: int


class KnownConditions:
    """It is for one question: what it reads is kept for all jobs of that."""

    def __init__(self, ledger: Ledger, managed: ManagedCluster, now: int) -> None:
        self._ledger = ledger
        self._managed = managed
        self._now = now

    def here(self, job: Job) -> Condition:
        """Under what the job runs: by its newest epoch, else by the newest of its name.

        Raises:
            RequestError: none was told.
        """
        like = self._like(job)
        wanted = (
            [one for one in like if (one.job_id, one.submitted_at) == _named(job)],
            [one for one in like if (one.node_count, one.cpus) == (job.node_count, job.cpus)],
            like,
        )
        for told in wanted:
            if told:
                newest = max(told, key=lambda one: one.started_ms)
                beside = (one for one in told if (_run(one), one.epoch) == _place(newest))
                return self._condition(beside)
        raise RequestError(
            f"no epoch of job {job.shown_id} or of an earlier one of its name was told, so nothing"
            " is known of what it takes elsewhere; 'carbonsched track' marks epochs"
        )

    def there(self, here: Condition, asked: Asked) -> Condition:
        """The condition that is asked for; of other nodes without a limit what is usual there.

        Raises:
            RequestError: no such nodes, or of several kinds, or no GPU of a known limit.
        """
        kinds = here.kind if asked.nodes is None else frozenset({self._kind(asked.nodes)})
        if asked.gpu_limit_w is not None:
            if kinds == here.kind and here.gpu_limit_w is None:
                raise RequestError(
                    "under which GPU power limit it runs is not known: it has no whole GPU that"
                    " tells one, they differ, or the node's agent is of an earlier version"
                )
            return Condition(kinds, asked.gpu_limit_w)
        return here if kinds == here.kind else Condition(kinds, self._usual_w(kinds))

    def ratio(self, job: Job, here: Condition, there: Condition) -> Ratio:
        """How the two compare for a job.

        Raises:
            RequestError: too few jobs ran under both.
        """
        known = {**self._everybody, **self._levels(self._like(job))}
        found = ratio(known, here, there, user=job.user, name=job.name)
        if found is None:
            raise RequestError(
                f"nothing tells how {words(there)} compares with {words(here)}: it takes one job of"
                " the same name, or three of others, with epochs at both, or at limits around them"
            )
        return found

    # Nodes

    @cached_property
    def _nodes(self) -> Sequence[Node]:
        return self._managed.cluster.nodes()

    @cached_property
    def _kinds(self) -> NodeKinds:
        return NodeKinds(self._ledger, self._managed, self._nodes, self._now)

    def _kind(self, text: str) -> object:
        """The one kind of the nodes that a text names."""
        names = [one.name for one in self._nodes if text in one.partitions] or _expanded(text)
        present = {one.name for one in self._nodes}
        absent = [name for name in names if name not in present]
        if absent or not names:
            missing = absent[0] if absent else text
            raise RequestError(
                f"cluster {self._managed.name} has no node or partition {missing!r}; 'sinfo' shows"
                " them"
            )
        kinds = {self._kinds.kind(name) for name in names}
        if len(kinds) > 1:
            raise RequestError(
                f"the nodes of {text!r} are of {len(kinds)} kinds; name nodes of one kind"
            )
        return kinds.pop()

    def _usual_w(self, kinds: object) -> int | None:
        """The power limit under which most jobs ran there, the higher of equals."""
        found = Counter(
            condition.gpu_limit_w
            for points in self._everybody.values()
            for condition in points
            if condition.kind == kinds
        )
        return max(found, key=lambda one: (found[one], one or 0), default=None)

    # Epochs

    def _like(self, job: Job) -> list[ToldEpoch]:
        since_at = self._now - HISTORY_S
        return self._ledger.readings.epochs_of_name(
            self._managed.name, job.user, job.name, since_at, MOST_EPOCHS
        )

    @cached_property
    def _everybody(self) -> Levels:
        since_at = self._now - HISTORY_S
        return self._levels(
            self._ledger.readings.epochs_told(self._managed.name, since_at, MOST_EPOCHS)
        )

    def _levels(self, told: Iterable[ToldEpoch]) -> Levels:
        by_run: dict[_Run, dict[int, dict[str, ToldEpoch]]] = defaultdict(lambda: defaultdict(dict))
        for one in told:
            by_run[_run(one)][one.epoch].setdefault(one.node, one)
        return levels(seen for epochs in by_run.values() for seen in self._seen(epochs))

    def _seen(self, epochs: dict[int, dict[str, ToldEpoch]]) -> Iterable[SeenEpoch]:
        """A run's epochs that all its nodes told, without the first, in which it warmed up."""
        nodes = max(len(one) for one in epochs.values())
        for number in sorted(epochs)[1:]:
            records = list(epochs[number].values())
            if len(records) == nodes and all(one.quality in _WHOLE for one in records):
                yield self._as_one(records)

    def _as_one(self, records: Sequence[ToldEpoch]) -> SeenEpoch:
        """From the first start to the last end; nodes that tell nothing are taken to be alike."""
        one = records[0]
        begin_ms = min(record.started_ms for record in records)
        end_ms = max(record.started_ms + record.duration_ms for record in records)
        scale = max(1.0, one.node_count / len(records))
        return SeenEpoch(
            JobLike(one.user, one.name, one.node_count, one.cpus),
            self._condition(records),
            seconds=(end_ms - begin_ms) / _MILLI,
            joules=sum(record.energy_millij for record in records) * scale / _MILLI,
        )

    def _condition(self, records: Iterable[ToldEpoch]) -> Condition:
        found = list(records)
        limits = {one.gpu_limit_w for one in found}
        kinds = frozenset(self._kinds.kind(one.node) for one in found)
        return Condition(kinds, limits.pop() if len(limits) == 1 else None)


def words(condition: Condition) -> str:
    """As in ``300 W on n[1-8]``."""
    kinds = condition.kind if isinstance(condition.kind, frozenset) else {condition.kind}
    where = " and ".join(sorted(map(_kind_words, kinds)))
    return where if condition.gpu_limit_w is None else f"{condition.gpu_limit_w} W on {where}"


def _kind_words(kind: object) -> str:
    if isinstance(kind, NodeClass):
        return kind.nodes
    partitions = "+".join(kind) if isinstance(kind, tuple) else ""
    return f"nodes of {partitions}" if partitions else "other nodes"


def _expanded(text: str) -> list[str]:
    try:
        return expand(text)
    except ValueError as error:
        raise RequestError(f"nodes {text!r}: {error}") from None


def _named(job: Job) -> tuple[int, int]:
    return job.key.job_id, job.key.submitted_at


def _run(one: ToldEpoch) -> _Run:
    return _Run(one.job_id, one.submitted_at, one.restarts)


def _place(one: ToldEpoch) -> tuple[_Run, int]:
    return _run(one), one.epoch
