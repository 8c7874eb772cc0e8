"""What was metered since the agent started, for those who watch it."""

from __future__ import annotations

from collections.abc import Iterable

from carbonsched.model.energy import Domain, PartKind, Quality, worse
from carbonsched.node.accounts.attribution import Cells
from carbonsched.node.meters.meter import DomainEnergy


class Totals:
    """Microjoules by domain and device, and by who used them: both have the same sum.

    ``job_w`` is each present job's mean power in watts over the last sample, ``None`` before the
    first; ``quality`` is the worst of that sample.
    """

    def __init__(self) -> None:
        self.node_uj: dict[tuple[Domain, str], int] = {}
        self.consumed_uj: dict[PartKind, int] = {}
        self.job_w: dict[int, float] | None = None
        self.quality: Quality | None = None
        self.samples = 0
        self.sampled_ns: int | None = None

    def drawn(self, energies: Iterable[DomainEnergy]) -> None:
        """Energy of one interval by device."""
        self.quality = None
        for one in energies:
            key = (one.domain, one.device)
            self.node_uj[key] = self.node_uj.get(key, 0) + one.energy_uj
            self.quality = one.quality if self.quality is None else worse(self.quality, one.quality)

    def used(self, cells: Cells) -> None:
        """Who used a piece of it."""
        for owner, by_domain in cells.items():
            energy_uj = sum(share.energy_uj for share in by_domain.values())
            self.consumed_uj[owner.kind] = self.consumed_uj.get(owner.kind, 0) + energy_uj

    def sampled(self, wall_ns: int, job_w: dict[int, float]) -> None:
        """A sample is complete."""
        self.samples += 1
        self.sampled_ns = wall_ns
        self.job_w = job_w
