"""Metered energy beside Slurm's own figure, for jobs that had their nodes to themselves.

Slurm counts whole nodes, and its history of bad values is long (wrapped counters, restarted
daemons): so it is a check of our meters and never a charge, and only where it is possible at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from carbonsched.ledger.readings import JobReading
from carbonsched.model.energy import Quality
from carbonsched.model.job import Job
from carbonsched.site import NodeClass

ALONE = 0.95
"""The share of its nodes that a job must have held for Slurm's figure to be about the job."""
HIGHEST_W = 10_000.0
"""What no node draws, where the node's own maximum is not declared."""
_WHOLE = (Quality.MEASURED, Quality.SAMPLED, Quality.MODELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCheck:
    """Metered joules over Slurm's of each comparable job; ``implausible`` ones are left out."""

    ratios: tuple[float, ...]
    implausible: int

    def document(self) -> dict[str, float | int | None]:
        """As the audit tells it."""
        return {
            "jobs": len(self.ratios),
            "implausible": self.implausible,
            "ratio_median": median(self.ratios) if self.ratios else None,
            "ratio_low": min(self.ratios, default=None),
            "ratio_high": max(self.ratios, default=None),
        }


class CrossChecking:
    """Collects the ratios of jobs, one after another."""

    def __init__(self) -> None:
        self._ratios: list[float] = []
        self._implausible = 0

    def add(
        self,
        job: Job,
        readings: Sequence[JobReading],
        quality: Quality,
        classes: Sequence[NodeClass],
    ) -> None:
        """Take a job into account if its two figures can be compared."""
        energy_j = sum(one.energy_j for one in readings)
        if job.slurm_energy_j is None or job.started_at is None or job.ended_at is None:
            return
        if quality not in _WHOLE or energy_j == 0 or not _alone(readings):
            return
        node_s = (job.ended_at - job.started_at) * job.node_count
        if not 0 < job.slurm_energy_j < node_s * _highest_w(classes):
            self._implausible += 1
            return
        self._ratios.append(energy_j / job.slurm_energy_j)

    def result(self) -> CrossCheck:
        """What was found."""
        return CrossCheck(ratios=tuple(self._ratios), implausible=self._implausible)


def _alone(readings: Sequence[JobReading]) -> bool:
    present_ms = sum(one.present_ms for one in readings)
    return present_ms > 0 and sum(one.node_ms for one in readings) >= ALONE * present_ms


def _highest_w(classes: Sequence[NodeClass]) -> float:
    return max((one.max_w + one.gpus * one.gpu_max_w for one in classes), default=HIGHEST_W)
