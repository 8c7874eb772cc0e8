"""What one owner has in a segment: its cells by domain, and its times."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from carbonsched.model.energy import Domain, PartKind, Quality, worse
from carbonsched.node.presence.stays import Owner


@dataclass(slots=True)
class Cell:
    """One owner's energy in one domain, and how far it may be off (one standard deviation)."""

    energy_uj: int
    uncertainty_uj: int
    quality: Quality


@dataclass(slots=True)
class Tally:
    """What one owner has in a segment so far; ``node_ns`` is as ``EnergyPart.node_ms``."""

    cells: dict[Domain, Cell] = field(default_factory=dict)
    cpu_ns: int = 0
    present_ns: int = 0
    node_ns: int = 0
    uid: int | None = None

    @property
    def tells_something(self) -> bool:
        """Whether its owner was there or used anything, be it too little for whole units.

        A job that ended and whose control group stays did not: a part would be news of it, and have
        it settled again.
        """
        times = self.cpu_ns or self.present_ns or self.node_ns
        return bool(times) or any(cell.energy_uj for cell in self.cells.values())

    def take(self, more: Tally) -> None:
        """Add what came on top."""
        for domain, added in more.cells.items():
            cell = self.cells.get(domain)
            if cell is None:
                self.cells[domain] = added
            else:
                cell.energy_uj += added.energy_uj
                cell.uncertainty_uj += added.uncertainty_uj
                cell.quality = worse(cell.quality, added.quality)
        self.cpu_ns += more.cpu_ns
        self.present_ns += more.present_ns
        self.node_ns += more.node_ns
        self.uid = self.uid if more.uid is None else more.uid


def tally_state(owner: Owner, tally: Tally) -> list[Any]:
    """For ``state.json``."""
    cells = [
        [domain, cell.energy_uj, cell.uncertainty_uj, cell.quality]
        for domain, cell in tally.cells.items()
    ]
    return [*owner, tally.cpu_ns, tally.present_ns, tally.node_ns, tally.uid, cells]


def tally_of(entry: list[Any]) -> tuple[Owner, Tally]:
    """From ``state.json``."""
    kind, job_id, restarts, cpu_ns, present_ns, node_ns, uid, cells = entry
    by_domain = {
        Domain(domain): Cell(energy_uj, uncertainty_uj, Quality(quality))
        for domain, energy_uj, uncertainty_uj, quality in cells
    }
    return Owner(PartKind(kind), job_id, restarts), Tally(
        by_domain, cpu_ns, present_ns, node_ns, uid
    )
