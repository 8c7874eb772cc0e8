"""What nodes last said of the runs that they believe present."""

from __future__ import annotations

from carbonsched.model.job import Job
from carbonsched.web.backend import NodeView

EPILOG_S = 60
"""How long after a job's end by Slurm's record its epilog may still be under way."""


class Presence:
    """The latest word of each node, in memory: after a restart deliveries soon tell it again."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], frozenset[tuple[int, int]]] = {}

    def tell(self, node: NodeView) -> None:
        """A node's word, in place of its last one."""
        self._runs[node.cluster, node.name] = frozenset(node.jobs)

    def believed(self, job: Job) -> bool:
        """Whether one of a job's nodes believes it present; 0 restarts may be any run."""
        names = {(job.key.job_id, job.key.restarts), (job.key.job_id, 0)}
        return any(names & self._runs.get((job.key.cluster, node), set()) for node in job.nodes)
