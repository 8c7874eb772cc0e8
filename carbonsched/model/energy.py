"""Energy as nodes report it: segments whose parts add up to what was metered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from carbonsched.model.wire import check_types, exact_fields


class Quality(StrEnum):
    """How an energy figure was obtained, best first."""

    MEASURED = "measured"
    """From energy counters, which miss nothing between two readings."""
    SAMPLED = "sampled"
    """From power readings, integrated over the time between them."""
    PARTIAL = "partial"
    """A part of it was not seen, or the time or the allocation is not certain."""
    MODELLED = "modelled"
    """From declared or tabulated power, with a stated uncertainty."""
    MISSING = "missing"
    """Not known, which is not zero."""


_RANK = {quality: rank for rank, quality in enumerate(Quality)}


def worse(one: Quality, other: Quality) -> Quality:
    """Which of two qualities a sum of both has."""
    return one if _RANK[one] >= _RANK[other] else other


def worst(qualities: Iterable[Quality]) -> Quality:
    """Which quality a sum of several has; ``measured`` of none."""
    return max(qualities, key=_RANK.__getitem__, default=Quality.MEASURED)


class Domain(StrEnum):
    """Which part of a node drew the energy; no two of a segment's domains overlap."""

    CPU = "cpu"
    MEMORY = "memory"
    GPU = "gpu"
    NODE = "node"
    """The whole node, or all of it but GPUs, where its parts are not seen apart."""
    REST = "rest"
    """What the whole node drew beyond its CPUs, memory and GPUs: supplies, fans, network."""


class PartKind(StrEnum):
    """Who used a part of a segment's energy."""

    JOB = "job"
    IDLE = "idle"
    """The node's static power that no job had allocated."""
    SYSTEM = "system"
    """Dynamic energy of processes that belong to no job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyPart:
    """One consumer's share of a segment.

    ``domains`` divides ``energy_j`` by part of the node and adds up to it; it is empty from agents
    that do not tell. ``uncertainty_j`` is how far the modelled part of the energy may be off (one
    standard deviation). ``node_ms`` are milliseconds of the whole node that the allocation amounts
    to: half the node for two seconds is 1000. ``quality`` is this part's own; ``None`` stands for
    the segment's.
    """

    kind: PartKind
    energy_j: int
    cpu_ms: int = 0
    present_ms: int = 0
    job_id: int | None = None
    restarts: int | None = None
    uid: int | None = None
    node_ms: int = 0
    quality: Quality | None = None
    uncertainty_j: int = 0
    domains: Mapping[Domain, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        numbers = (self.energy_j, self.cpu_ms, self.present_ms, self.node_ms, self.uncertainty_j)
        if min(*numbers, *self.domains.values()) < 0:
            raise ValueError("a part of a segment is negative")
        if self.domains and sum(self.domains.values()) != self.energy_j:
            raise ValueError(f"the domains of a part do not add up to its {self.energy_j} J")
        if (self.kind is PartKind.JOB) != (self.job_id is not None and self.restarts is not None):
            raise ValueError("a job's part names job_id and restarts, any other part neither")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergySegment:
    """One node's energy over ``[start_at, end_at)``: ``total_j`` is the sum of its parts, exactly.

    A segment is closed when it is made and never changes: (cluster, node, start_at) names it.
    """

    cluster: str
    node: str
    start_at: int
    end_at: int
    total_j: int
    quality: Quality
    meter: str
    parts: tuple[EnergyPart, ...]

    def __post_init__(self) -> None:
        if self.end_at <= self.start_at:
            raise ValueError("a segment ends after it starts")
        if self.quality is Quality.MISSING:
            raise ValueError("a segment that was not metered is not sent")
        if self.total_j != sum(part.energy_j for part in self.parts):
            raise ValueError(f"the parts of a segment do not add up to its {self.total_j} J")

    def to_wire(self) -> dict[str, Any]:
        """The JSON object that travels from agent to daemon."""
        return asdict(self)

    @classmethod
    def from_wire(cls, wire: Any) -> EnergySegment:
        """Read a JSON object; ``ValueError`` says what is wrong with it."""
        fields = exact_fields(wire, cls)
        fields["quality"] = Quality(fields["quality"])
        parts = fields["parts"]
        if not isinstance(parts, list):
            raise ValueError("parts is not a list")
        fields["parts"] = tuple(_part(part) for part in parts)
        check_types(fields, {"cluster": str, "node": str, "meter": str})
        check_types(fields, dict.fromkeys(("start_at", "end_at", "total_j"), int))
        return cls(**fields)


_LATER_FIELDS: dict[str, Any] = {
    "node_ms": 0,
    "quality": None,
    "uncertainty_j": 0,
    "domains": {},
}


def _part(wire: Any) -> EnergyPart:
    # Agents of before these were told do not send them.
    fields = exact_fields(_LATER_FIELDS | wire if isinstance(wire, dict) else wire, EnergyPart)
    fields["kind"] = PartKind(fields["kind"])
    counts = ("energy_j", "cpu_ms", "present_ms", "node_ms", "uncertainty_j")
    check_types(fields, dict.fromkeys(counts, int))
    if fields["quality"] is not None:
        fields["quality"] = Quality(fields["quality"])
    if not isinstance(fields["domains"], dict):
        raise ValueError("domains is not an object")
    fields["domains"] = {Domain(name): energy for name, energy in fields["domains"].items()}
    check_types(fields["domains"], dict.fromkeys(fields["domains"], int))
    for name in ("job_id", "restarts", "uid"):
        if fields[name] is not None:
            check_types(fields, {name: int})
    return EnergyPart(**fields)
