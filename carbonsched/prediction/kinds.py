"""A job's power above idle, and its run time, on nodes of one kind among several.

A kind is nodes that are alike in power. What a job adds to what its nodes draw idle is

    watts = CPUs x W                         W: watts above idle of one of its CPUs, there

with W, in this order, from

    history    median W of the newest runs like it there, from three on
    ratio      median W of those on another kind x r; r: the median, over jobs (a user and a name)
               that ran on both kinds, of a job's median W there over its median W on the other
    declared   median W of those on another kind x D(there) / D(other), or D(there) where no run
               like it was metered; D = (max - idle) / CPUs of the nodes as they are declared

of which the first that is known counts. A run's own W is (energy - idle share) / (run time x CPUs).
Its run time is that of the runs like it there, from three on, else the same as anywhere.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from carbonsched.model.spread import Spread
from carbonsched.prediction.history import NEWEST, PastRun, like_runs

ENOUGH = 3
"""So many runs, or jobs that ran on both kinds, are not a chance."""
_LEAST_W = 1e-3
"""Keeps ratios finite."""

Kind = Hashable
Kinds = frozenset[Kind]


class PowerSource(StrEnum):
    """Whence a job's power on a kind of node is known."""

    HISTORY = "history"
    RATIO = "ratio"
    DECLARED = "declared"


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRun(PastRun):
    """A run that completed on nodes of these kinds.

    Its ``energy_j`` is that above idle, ``None`` where energy or idle power are not known.
    """

    kinds: Kinds

    @property
    def watts(self) -> float | None:
        """Of one of its CPUs, above idle."""
        if self.energy_j is None or self.duration_s <= 0 or self.cpus <= 0:
            return None
        return self.energy_j / self.duration_s / self.cpus


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Watts of one CPU above idle, and the runs or jobs behind them."""

    watts_per_cpu: float
    source: PowerSource
    samples: int
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is known of a job on some nodes; ``None`` where nothing tells.

    ``length`` is of the runs like it there, ``anywhere`` of all that are like it.
    """

    power: Power | None
    length: Spread | None
    anywhere: Spread | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """Where a job may run: CPUs of each kind, and watts of a CPU above idle as far as declared."""

    cpus: Mapping[Kind, int]
    declared_w: Mapping[Kind, float]

    @property
    def kinds(self) -> Kinds:
        """The kinds."""
        return frozenset(self.cpus)

    def mean_w(self) -> float | None:
        """The declared watts of its mean CPU; ``None`` unless all its kinds are declared."""
        total = sum(self.cpus.values())
        if not total or not self.kinds <= self.declared_w.keys():
            return None
        return sum(self.declared_w[kind] * cpus for kind, cpus in self.cpus.items()) / total


def figures(
    nodes: Nodes,
    own: Sequence[KindRun],
    everybody: Iterable[KindRun],
    *,
    user: str,
    name: str,
    cpus: int,
    script: str | None = None,
) -> Figures:
    """What is known of a job there, from its owner's runs and from everybody's."""
    like, _ = like_runs(own, user=user, name=name, cpus=cpus, script=script)
    there = [run for run in like if run.kinds <= nodes.kinds][:NEWEST]
    elsewhere: dict[Kinds, list[KindRun]] = defaultdict(list)
    for run in like:
        if not run.kinds <= nodes.kinds and run.watts is not None:
            elsewhere[run.kinds].append(run)
    return Figures(
        power=_by_history(there)
        or _by_other_kind(nodes, elsewhere, everybody)
        or _by_declaration(nodes),
        length=_lengths(there) if len(there) >= ENOUGH else None,
        anywhere=_lengths(like[:NEWEST]) if like else None,
    )


def ratio(runs: Iterable[KindRun], there: Kinds, other: Kinds) -> tuple[float, int] | None:
    """How many times the watts of ``other`` a job draws ``there``, and by how many jobs.

    ``None`` by fewer than three jobs that ran on both.
    """
    found: dict[tuple[str, str], tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for run in runs:
        if run.watts is None:
            continue
        sides = found[run.user, run.name]
        if run.kinds <= there:
            sides[0].append(run.watts)
        elif run.kinds == other:
            sides[1].append(run.watts)
    logarithms = [
        math.log(max(median(here), _LEAST_W) / max(median(base), _LEAST_W))
        for here, base in found.values()
        if here and base
    ]
    if len(logarithms) < ENOUGH:
        return None
    return math.exp(median(logarithms)), len(logarithms)


def _by_history(there: Sequence[KindRun]) -> Power | None:
    known = _known(there)
    if len(known) < ENOUGH:
        return None
    words = f"by {len(known)} earlier jobs there"
    return Power(
        watts_per_cpu=median(known), source=PowerSource.HISTORY, samples=len(known), words=words
    )


def _by_other_kind(
    nodes: Nodes, elsewhere: Mapping[Kinds, Sequence[KindRun]], everybody: Iterable[KindRun]
) -> Power | None:
    """From the kind with most runs like the job, of equals that with the newest."""
    if not elsewhere:
        return None
    other, runs = max(elsewhere.items(), key=lambda one: (len(one[1]), one[1][0].ended_at))
    known = _known(runs[:NEWEST])
    by = f"by {_counted(len(known), 'earlier job')} elsewhere"
    shown = ratio(everybody, nodes.kinds, other)
    if shown is not None:
        times, jobs = shown
        words = f"{by} times {times:.2g}, as {jobs} jobs on both showed"
        return Power(
            watts_per_cpu=median(known) * times,
            source=PowerSource.RATIO, samples=jobs, words=words,
        )  # fmt: skip
    base = Nodes(cpus=dict.fromkeys(other, 1), declared_w=nodes.declared_w).mean_w()
    here = nodes.mean_w()
    if not base or here is None:
        return None
    words = f"{by} times {here / base:.2g}, as declared"
    return Power(
        watts_per_cpu=median(known) * here / base,
        source=PowerSource.DECLARED, samples=len(known), words=words,
    )  # fmt: skip


def _by_declaration(nodes: Nodes) -> Power | None:
    watts = nodes.mean_w()
    if watts is None:
        return None
    words = "by the power declared for its nodes"
    return Power(watts_per_cpu=watts, source=PowerSource.DECLARED, samples=0, words=words)


def _lengths(runs: Sequence[KindRun]) -> Spread:
    seconds = sorted(float(run.duration_s) for run in runs)
    return Spread(tuple(seconds), (1.0,) * len(seconds))


def _known(runs: Iterable[KindRun]) -> list[float]:
    return [watts for run in runs if (watts := run.watts) is not None]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
