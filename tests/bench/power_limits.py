"""Time and energy per epoch at another GPU power limit, beside rules that know no ratios.

Reads measurements of trainings under several power limits (Zeus: ``dataset``, ``network``,
``batch_size``, ``optimizer``, ``power_limit`` in W, ``time_per_epoch`` in s, ``average_power`` in W
of the GPU) and predicts what each took at one limit from what it took at another:

    python tests/bench/power_limits.py zeus_power_v100.parquet zeus_power_rtx6000.parquet

``others`` has the ratios of the other data sets' trainings alone, ``three others`` of three drawn
from them, one of a data set, ``own`` those of the same data set with another batch size or
optimizer, ``one own`` of one such; ``between`` leaves out what anybody took at the limit that is
asked for, so that limits around it tell. With two files ``nodes`` predicts from one GPU to the
other at the same limit. Errors are abs(predicted / true - 1); the last columns are how often the
90 % interval held.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from statistics import median

import pyarrow.parquet as pq

from carbonsched.prediction.conditions import (
    Condition,
    JobLike,
    Levels,
    Ratio,
    SeenEpoch,
    levels,
    ratio,
)


@dataclass(frozen=True)
class Case:
    """A training's figures under two conditions, and what the ratio between them was told to be."""

    here: SeenEpoch
    there: SeenEpoch
    told: Ratio | None


def read(path: Path) -> list[SeenEpoch]:
    """Each training is a job; the data set is its user, as those share nothing."""
    return [
        SeenEpoch(
            JobLike(
                row["dataset"], f"{row['network']} {row['batch_size']} {row['optimizer']}", 1, 1
            ),
            Condition(path.stem, row["power_limit"]),
            row["time_per_epoch"],
            row["time_per_epoch"] * row["average_power"],
        )
        for row in pq.read_table(path).to_pylist()
    ]


Others = Callable[[SeenEpoch, SeenEpoch], Levels]
Pair = Callable[[Condition, Condition], bool]


def same_gpu(here: Condition, there: Condition) -> bool:
    return here.kind == there.kind


def other_gpu(here: Condition, there: Condition) -> bool:
    return here.kind != there.kind and here.gpu_limit_w == there.gpu_limit_w


def cases(epochs: Sequence[SeenEpoch], known: Others, pair: Pair, *, own: bool) -> Iterator[Case]:
    by_job: dict[JobLike, list[SeenEpoch]] = {}
    for one in epochs:
        by_job.setdefault(one.job, []).append(one)
    for mine in by_job.values():
        for here, there in permutations(mine, 2):
            if pair(here.condition, there.condition):
                told = ratio(
                    known(here, there), here.condition, there.condition,
                    user=here.job.user if own else "", name="of like trainings",
                )  # fmt: skip
                yield Case(here, there, told)


class Sources:
    """What is known to whoever predicts a training; each answer is reckoned once."""

    def __init__(self, epochs: Sequence[SeenEpoch]) -> None:
        self._epochs = epochs
        self._made: dict[object, Levels] = {}

    def others(self, here: SeenEpoch, _there: SeenEpoch) -> Levels:
        user = here.job.user
        return self._levels(user, lambda one: one.job.user != user)

    def three_others(self, here: SeenEpoch, there: SeenEpoch) -> Levels:
        """Drawn anew for each training, the same in each run of this."""
        known, chance = self.others(here, there), random.Random(repr(here.job))
        users = chance.sample(sorted({job.user for job in known}), 3)
        mine = (sorted((job for job in known if job.user == one), key=repr) for one in users)
        return {job: known[job] for job in map(chance.choice, mine)}

    def own(self, here: SeenEpoch, _there: SeenEpoch) -> Levels:
        job = here.job
        return _as_one_name(
            self._levels(job, lambda one: one.job.user == job.user and one.job != job)
        )

    def one_own(self, here: SeenEpoch, there: SeenEpoch) -> Levels:
        known, chance = self.own(here, there), random.Random(repr(here.job))
        job = chance.choice(sorted(known, key=lambda one: one.cpus))
        return {job: known[job]}

    def between(self, here: SeenEpoch, there: SeenEpoch) -> Levels:
        user, limit_w = here.job.user, there.condition.gpu_limit_w
        return self._levels(
            (user, limit_w),
            lambda one: one.job.user != user and one.condition.gpu_limit_w != limit_w,
        )

    def _levels(self, key: object, counts: Callable[[SeenEpoch], bool]) -> Levels:
        if key not in self._made:
            self._made[key] = levels(filter(counts, self._epochs))
        return self._made[key]


def _as_one_name(known: Levels) -> Levels:
    """The owner's trainings as runs of one name, told apart by a number."""
    return {
        JobLike(job.user, "of like trainings", 1, number): points
        for number, (job, points) in enumerate(sorted(known.items(), key=lambda one: one[0].name))
    }


Rule = Callable[[Case], tuple[float, float]]


def by_ratio(case: Case) -> tuple[float, float]:
    assert case.told is not None
    return case.told.time.times, case.told.energy.times


def by_limit(case: Case) -> tuple[float, float]:
    """Time unchanged, energy in proportion to the limit."""
    here_w, there_w = case.here.condition.gpu_limit_w, case.there.condition.gpu_limit_w
    return 1.0, (there_w or 1) / (here_w or 1)


def unchanged(_case: Case) -> tuple[float, float]:
    return 1.0, 1.0


def truth(case: Case) -> tuple[float, float]:
    return case.there.seconds / case.here.seconds, case.there.joules / case.here.joules


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)]


def row(name: str, label: str, rule: Rule, told: Sequence[Case], every: int) -> str:
    cells = [name, label, f"{len(told)} of {every}"]
    for what in (0, 1):
        errors = [abs(rule(case)[what] / truth(case)[what] - 1) for case in told]
        cells += [f"{100 * median(errors):.1f} %", f"{100 * quantile(errors, 0.9):.1f} %"]
    held = coverage(told) if rule is by_ratio else ()
    cells += [f"{100 * share:.0f} %" for share in held] or ["", ""]
    return f"| {' | '.join(cells)} |"


def coverage(told: Sequence[Case]) -> tuple[float, float]:
    """How often the true ratio lay in the interval, of time and of energy."""
    shares = []
    for what, of in ((0, "time"), (1, "energy")):
        inside = [
            abs(math.log(truth(case)[what] / getattr(case.told, of).times))
            <= getattr(case.told, of).half_width
            for case in told
        ]
        shares.append(sum(inside) / len(inside))
    return shares[0], shares[1]


def table(name: str, found: Iterator[Case], *, rules: bool = False) -> Iterator[str]:
    every = list(found)
    told = [case for case in every if case.told is not None]
    if told:
        yield row(name, "ratio", by_ratio, told, len(every))
    if rules:
        yield row(name, "energy x limit", by_limit, every, len(every))
        yield row(name, "unchanged", unchanged, every, len(every))


def lines(files: Sequence[Path]) -> Iterator[str]:
    yield "| by jobs | rule | cases | time | 90 % | energy | 90 % | time held | energy held |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|--:|"
    everything = []
    for path in files:
        epochs = read(path)
        everything += epochs
        known, name = Sources(epochs), path.stem.removeprefix("zeus_power_")
        for source, label, own in (
            (known.others, "others", False),
            (known.three_others, "three others", False),
            (known.between, "others, between", False),
            (known.own, "own", True),
            (known.one_own, "one own", True),
        ):
            found = cases(epochs, source, same_gpu, own=own)
            yield from table(f"{name}: {label}", found, rules=label == "others")
    if len(files) > 1:
        known = Sources(everything)
        for source, label, own in (
            (known.others, "others", False),
            (known.three_others, "three others", False),
            (known.own, "own", True),
            (known.one_own, "one own", True),
        ):
            found = cases(everything, source, other_gpu, own=own)
            yield from table(f"nodes: {label}", found, rules=label == "others")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path)
    for line in lines(parser.parse_args().files):
        sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
