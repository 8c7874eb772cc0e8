"""What is known of a job before it is submitted, as far as it weighs in choosing its place."""

from __future__ import annotations

from dataclasses import dataclass

from carbonsched.model.directives import Directives

MAX_SIZE = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSize:
    """What a job's owner plainly said of its size; ``None`` where nothing is said.

    ``nodes`` and ``tasks`` are the whole job's, ``name`` is the job's in Slurm.
    """

    name: str = ""
    nodes: int | None = None
    tasks: int | None = None
    tasks_per_node: int | None = None
    cpus_per_task: int | None = None
    time_limit_s: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or len(self.name) > 1024:
            raise ValueError("name is not a text of at most 1024 characters")
        self.name.encode()  # JSON can write half characters, which nothing else can
        for name in ("nodes", "tasks", "tasks_per_node", "cpus_per_task", "time_limit_s"):
            value = getattr(self, name)
            if value is None:
                continue
            if type(value) is not int or not 1 <= value <= MAX_SIZE:
                raise ValueError(f"{name} is not a whole number from 1 to {MAX_SIZE}")

    @property
    def node_count(self) -> int:
        """Nodes as said, else one."""
        return self.nodes or 1

    @property
    def cpus(self) -> int:
        """CPUs as sbatch gives them where nothing else is asked: one a task, a task a node."""
        tasks = self.tasks or self.node_count * (self.tasks_per_node or 1)
        return tasks * (self.cpus_per_task or 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidacy:
    """A job that is still to be submitted: to one of ``clusters``, to any where there are none.

    ``here`` is the cluster that it goes to where no other is better. With ``partitions`` it goes
    there, to one of these.
    """

    clusters: tuple[str, ...]
    size: JobSize
    directives: Directives
    here: str | None = None
    partitions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.clusters and self.partitions:
            raise ValueError("clusters and partitions cannot be chosen at once; name one kind")
