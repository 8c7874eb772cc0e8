"""How good a job's energy figure is."""

from __future__ import annotations

from collections.abc import Iterable

from carbonsched.model.energy import Quality, worst

FULL_COVERAGE = 0.95
"""The share of a job's node-time that readings cover where its figure is called whole."""

_EDGES_S = 2.0
"""What each node may lack at a job's edges: Slurm tells starts and ends in whole seconds, before
the prolog has begun and after the epilog."""


def quality_of(
    elapsed_s: float, node_count: int, covered: Iterable[tuple[Quality, float]]
) -> tuple[Quality, float]:
    """The quality of a job's energy, and the share of its node-time that readings cover.

    ``covered`` holds a quality and node-seconds for each reading. The worst quality among them is
    the job's; a job that is not covered in full is partial, however it was metered. Without
    a reading the energy is missing, which is not 0 J.
    """
    readings = [(quality, node_s) for quality, node_s in covered if node_s > 0]
    if not readings:
        return Quality.MISSING, 0.0
    found = worst(quality for quality, _ in readings)
    needed = elapsed_s * node_count
    seen = sum(node_s for _, node_s in readings)
    coverage = 1.0 if needed <= 0 else min(1.0, seen / needed)
    if not covered_in_full(elapsed_s, node_count, seen):
        found = Quality.PARTIAL
    return found, coverage


def covered_in_full(elapsed_s: float, node_count: int, seen_node_s: float) -> bool:
    """Whether readings cover 95 % of a job's node-time, or all but two seconds on each node."""
    needed = elapsed_s * node_count
    return seen_node_s >= min(FULL_COVERAGE * needed, needed - _EDGES_S * node_count)
