"""How many nodes a schedule uses at each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from carbonsched.sim.scenario import Run


def nodes_in_use(runs: Sequence[Run]) -> Iterator[tuple[int, int]]:
    """Each instant at which something starts or ends, and the nodes in use from then on."""
    changes = sorted(
        [(run.start_at, run.job.nodes) for run in runs]
        + [(run.end_at, -run.job.nodes) for run in runs]
    )
    used = 0
    for at, group in groupby(changes, key=lambda change: change[0]):
        used += sum(change for _, change in group)
        yield at, used
