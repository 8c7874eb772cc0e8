"""What a meter is: it is read, and two of its readings tell the energy between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from carbonsched.model.energy import Domain, Quality

Reading = dict[str, int]
"""What one meter saw at one instant, in whole numbers of its own units: counters in microjoules,
powers in microwatts, instants in nanoseconds. It is kept in ``state.json`` as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainEnergy:
    """Energy that one device of a node drew between two readings.

    ``static_uj`` is the part that it would have drawn idle, ``None`` where the meter does not know.
    ``uncertainty_uj`` is one standard deviation of a modelled figure. A device that was there and
    could not be read, or whose readings make no sense, is told with 0 uJ as ``PARTIAL``.
    """

    domain: Domain
    device: str
    energy_uj: int
    quality: Quality
    static_uj: int | None = None
    uncertainty_uj: int = 0

    def __post_init__(self) -> None:
        if self.energy_uj < 0 or not 0 <= (self.static_uj or 0) <= self.energy_uj:
            raise ValueError(f"{self.device}: its energy, or the static part of it, is negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU and how Slurm may call it.

    ``device`` is as in ``DomainEnergy``: a UUID where there is one. ``slices`` are the compute
    slices into which it is divided, 1 where it is not; ``instances`` are the slices of each of its
    instances (MIG) by UUID. ``limit_w`` is the power limit that is enforced on it now, ``None``
    where it does not tell.
    """

    device: str
    index: int
    minor: int | None = None
    slices: int = 1
    instances: Mapping[str, int] = field(default_factory=dict)
    limit_w: int | None = None


class Meter(Protocol):
    """One source of figures."""

    @property
    def key(self) -> str:
        """What names it in the state: ``rapl``, ``nvml``."""
        ...

    @property
    def name(self) -> str:
        """What it reads, as every segment says: ``rapl(package-0, package-0 dram)``."""
        ...

    @property
    def longest_gap_ns(self) -> int:
        """Readings further apart cannot be compared."""
        ...

    def read(self, steady_ns: int) -> Reading:
        """Counters and powers now.

        Raises:
            MeterError: nothing of it can be read. A single device that cannot is left out.
        """
        ...

    def between(
        self, before: Reading, after: Reading, length_ns: int, busy_ns: int
    ) -> tuple[DomainEnergy, ...]:
        """Energy by device between two readings ``length_ns`` apart; never raises.

        ``busy_ns`` is the CPU time that jobs used meanwhile, which only a power model needs.
        A device that only one of the readings has begins with the later one.
        """
        ...


class HasGpus(Protocol):
    """A meter that knows the node's GPUs."""

    def gpus(self) -> tuple[Gpu, ...]:
        """They and their instances as last seen."""
        ...
