"""Prediction from what the job declares: its time limit and its CPUs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from carbonsched.model.prediction import Prediction, PredictionSource
from carbonsched.site import NodeClass

METHOD = "limits/1"
# A twentieth of the jobs of SDSC Blue Horizon (Parallel Workloads Archive) ran for less than
# 0.6 % of what they had asked for.
_SHORTEST_SHARE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerRange:
    """Watts of a whole job: its share of idle nodes, and of nodes with every CPU busy."""

    low_w: float
    high_w: float

    def __post_init__(self) -> None:
        if not 0 <= self.low_w <= self.high_w:
            raise ValueError("a power range rises from no less than 0 W")

    @property
    def middle_w(self) -> float:
        """Half-way between idle and busy."""
        return (self.low_w + self.high_w) / 2

    @property
    def quarters_w(self) -> tuple[float, float]:
        """Its quartiles, if all between are as likely."""
        return evenly(self.low_w, self.high_w)


def evenly(low: float, high: float) -> tuple[float, float]:
    """The quartiles of what lies evenly between its 5 and 95 % quantiles."""
    quarter = (0.25 - 0.05) / (0.95 - 0.05)
    return low + quarter * (high - low), high - quarter * (high - low)


def power_range(cpus: int, classes: Iterable[NodeClass]) -> PowerRange | None:
    """The power of ``cpus`` CPUs on nodes of any of the classes; ``None`` without a class.

    A job has the share of a node's power that it has of the node's CPUs.
    """
    nodes = list(classes)
    if not nodes:
        return None
    return PowerRange(
        low_w=cpus * min(node.idle_w / node.cpus for node in nodes),
        high_w=cpus * max(node.max_w / node.cpus for node in nodes),
    )


def from_limits(time_limit_s: int | None, power: PowerRange | None) -> Prediction | None:
    """The declared limit as the duration; energy between a short idle run and a full busy one.

    ``None`` without a time limit or a power model: then nothing is known.
    """
    if time_limit_s is None or time_limit_s < 1 or power is None:
        return None
    shortest_s = max(1, time_limit_s // _SHORTEST_SHARE)
    energy_j, low_j = time_limit_s * power.middle_w, shortest_s * power.low_w
    high_j = time_limit_s * power.high_w
    quarter_s, _ = evenly(shortest_s, time_limit_s)
    quarters_j = evenly(low_j, high_j)
    return Prediction(
        source=PredictionSource.LIMITS,
        samples=0,
        duration_s=time_limit_s,
        duration_low_s=shortest_s,
        duration_p25_s=math.floor(quarter_s),
        duration_p75_s=time_limit_s,
        duration_high_s=time_limit_s,
        energy_j=round(energy_j),
        energy_low_j=math.floor(low_j),
        energy_p25_j=math.floor(min(quarters_j[0], energy_j)),
        energy_p75_j=math.ceil(max(quarters_j[1], energy_j)),
        energy_high_j=math.ceil(high_j),
        method=METHOD,
        explanation="from its time limit and CPUs, half-way between idle and busy",
    )
