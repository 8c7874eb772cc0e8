"""Prediction from the same user's earlier jobs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from carbonsched.model.prediction import Prediction, PredictionSource
from carbonsched.prediction.limits import PowerRange
from carbonsched.prediction.spread import HALF, MOST, Prior, pooled_half_width

METHOD = "history/2"
NEWEST = 20
# Like runs of one user differ by factors, so spread is that of logarithms. The prior is what one
# finds between runs of the same user and size in SDSC Blue Horizon (Parallel Workloads Archive).
_PRIOR = Prior(sd=1.2, weight=4)
_ALIKE = (
    (("script", "name", "cpus"), "of the same script, name and CPUs"),
    (("script", "cpus"), "of the same script and CPUs"),
    (("name", "cpus"), "of the same name and CPUs"),
    (("script",), "of the same script, scaled to its CPUs"),
    (("name",), "of the same name, scaled to its CPUs"),
    (("cpus",), "of the same user and CPUs"),
)
"""What runs may have in common with a job, the closest kind first, and how that is told."""
_SMALLEST = 0.5  # joules or seconds: keeps the logarithm of nothing finite


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """A run that completed. ``energy_j`` is ``None`` where it was not metered in full.

    ``script`` is its script's digest, ``None`` where that is not known.
    """

    user: str
    name: str
    cpus: int
    ended_at: int
    duration_s: int
    energy_j: int | None
    script: str | None = None


Run = TypeVar("Run", bound=PastRun)


def from_history(
    runs: Sequence[PastRun],
    *,
    user: str,
    name: str,
    cpus: int,
    script: str | None = None,
    time_limit_s: int | None = None,
    power: PowerRange | None = None,
) -> Prediction | None:
    """Predict from up to 20 of the user's newest runs of the closest kind that there is.

    The centre is the median. ``time_limit_s`` caps the duration. Where no like run was metered,
    energy is duration x ``power``. ``None`` without a like run, or without any energy.
    """
    like, alike = like_runs(runs, user=user, name=name, cpus=cpus, script=script)
    if not like:
        return None
    like = like[:NEWEST]
    durations = _quantiles([run.duration_s for run in like])
    limit_s = time_limit_s or math.inf
    seconds = [max(1, round(min(value, limit_s))) for value in durations]
    metered = [run.energy_j * cpus / run.cpus for run in like if run.energy_j is not None]
    count = f"{len(like)} earlier job{'s' if len(like) > 1 else ''} {alike}"
    if metered:
        joules = _quantiles(metered)
        if len(metered) < len(like):
            count += f", {len(metered)} of them metered"
    elif power is not None:
        quarter_w, most_w = power.quarters_w
        watts = (power.low_w, quarter_w, power.middle_w, most_w, power.high_w)
        joules = [length_s * one for length_s, one in zip(seconds, watts, strict=True)]
        count += ", none of them metered: energy from its CPUs, half-way between idle and busy"
    else:
        return None
    return Prediction(
        source=PredictionSource.HISTORY,
        samples=len(like),
        duration_s=seconds[2],
        duration_low_s=seconds[0],
        duration_p25_s=seconds[1],
        duration_p75_s=seconds[3],
        duration_high_s=seconds[4],
        energy_j=max(1, round(joules[2])),  # whatever ran drew power, if less than half a joule
        energy_low_j=math.floor(joules[0]),
        energy_p25_j=math.floor(joules[1]),
        energy_p75_j=max(1, math.ceil(joules[3])),
        energy_high_j=max(1, math.ceil(joules[4])),
        method=METHOD,
        explanation=f"from {count}",
    )


def like_runs(
    runs: Sequence[Run], *, user: str, name: str, cpus: int, script: str | None = None
) -> tuple[list[Run], str]:
    """The runs most like a job, the newest first, and what they have in common."""
    own = [run for run in runs if run.user == user and run.duration_s > 0 and run.cpus > 0]
    own.sort(key=lambda run: (run.ended_at, run.duration_s), reverse=True)
    job = {"name": name, "cpus": cpus, "script": script}
    for traits, alike in _ALIKE:
        if script is None and "script" in traits:
            continue
        like = [run for run in own if all(getattr(run, one) == job[one] for one in traits)]
        if like:
            return like, alike
    return [], ""


def _quantiles(values: Sequence[float]) -> list[float]:
    """The 5, 25, 50, 75 and 95 % quantiles of one more run: about the median, in factors."""
    logarithms = [math.log(max(value, _SMALLEST)) for value in values]
    one_more = math.sqrt(1 + 1 / len(values))
    middle = median(values)
    most, half = (
        math.exp(pooled_half_width(logarithms, _PRIOR, share) * one_more) for share in (MOST, HALF)
    )
    high = max(middle, _SMALLEST)
    return [middle / most, middle / half, middle, high * half, high * most]
