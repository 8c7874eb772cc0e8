"""What a node drew beyond the parts that are measured apart: the wall's reading less theirs.

Over any stretch, exactly,

    sum of parts + sum of rest = sum of the wall + change of the debt + debt that was dropped

The debt is what parts had drawn beyond the wall's reading: sources do not tick together, so a
difference may be negative for a moment. The rest of later intervals pays for it. No lag explains
more than a minute of what the parts draw: further debt is dropped, and that interval is partial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from carbonsched.model.energy import Domain, Quality, worst
from carbonsched.node.journal import Journal
from carbonsched.node.meters.meter import DomainEnergy
from carbonsched.units import NS_PER_S

TRIAL_NS = 60 * NS_PER_S
"""A wall is judged by stretches of this length."""
OWED_NS = 60 * NS_PER_S
"""Of how much time the parts' energy may at most become debt."""
CLEAN = (Quality.MEASURED, Quality.SAMPLED)


@dataclass(slots=True)
class _Trial:
    """What a wall and its parts have drawn in the stretch by which it is judged next."""

    wall_uj: int = 0
    parts_uj: int = 0
    length_ns: int = 0


class WallBook:
    """Debts of each wall meter, and which of them are not to be believed."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._debts: dict[str, int] = {}
        self._missed: dict[str, int] = {}
        self._trials: dict[str, _Trial] = {}
        self._implausible: set[str] = set()

    def believes(self, key: str) -> bool:
        """Whether the last judgement was not against it."""
        return key not in self._implausible

    def debt_uj(self, key: str) -> int:
        """What its parts have drawn beyond it and no rest has paid for yet."""
        return self._debts.get(key, 0)

    def miss(self, key: str, parts: Sequence[DomainEnergy]) -> None:
        """It was not read at the end of an interval: what it says next holds these parts too."""
        missed_uj = sum(one.energy_uj for one in parts)
        self._missed[key] = self._missed.get(key, 0) + missed_uj

    def seen(self, key: str) -> None:
        """It was read, so what it says next is of then on."""
        self._missed.pop(key, None)

    def judge(
        self, key: str, wall: DomainEnergy, parts: Sequence[DomainEnergy], length_ns: int
    ) -> None:
        """Note an interval; after a minute, a wall below nine tenths of what is inside it is bogus.

        Intervals in which some part was not seen, or is modelled, do not count.
        """
        if any(one.quality not in CLEAN for one in (wall, *parts)):
            return
        trial = self._trials.setdefault(key, _Trial())
        trial.wall_uj += wall.energy_uj
        trial.parts_uj += sum(one.energy_uj for one in parts)
        trial.length_ns += length_ns
        if trial.length_ns < TRIAL_NS:
            return
        del self._trials[key]
        if trial.wall_uj * 10 < trial.parts_uj * 9:
            if key not in self._implausible:
                self._journal.trouble(
                    f"wall {key}",
                    f"{wall.device} says {_watts(trial.wall_uj, trial)} W for the whole node and"
                    f" its parts drew {_watts(trial.parts_uj, trial)} W: it is not used",
                )
            self._implausible.add(key)
            self._debts.pop(key, None)
        elif key in self._implausible:
            self._implausible.discard(key)
            self._journal.over(f"wall {key}", f"{wall.device} makes sense again and is used")

    def rest(
        self,
        key: str,
        wall: DomainEnergy,
        parts: Sequence[DomainEnergy],
        domain: Domain,
        length_ns: int,
    ) -> DomainEnergy:
        """What the wall drew beyond its parts, less the debt; what is lacking becomes debt.

        ``PARTIAL`` if more is lacking than may become debt: the wall does not hold its parts.
        """
        parts_uj = sum(one.energy_uj for one in parts)
        debt_uj = self.debt_uj(key)
        left_uj = wall.energy_uj - parts_uj - self._missed.pop(key, 0) - debt_uj
        # A debt that is being paid is not cut when its parts draw less: the wall still lags behind.
        most_uj = max(debt_uj, parts_uj * OWED_NS // max(1, length_ns))
        self._debts[key] = min(max(0, -left_uj), most_uj)
        dropped = -left_uj > most_uj
        if dropped:
            self._journal.trouble(
                f"wall debt {key}",
                f"{wall.device} has long said less for the whole node than its parts drew:"
                " the rest of the node is not known",
            )
        elif left_uj >= 0:
            self._journal.over(f"wall debt {key}", f"{wall.device} holds its parts again")
        qualities = [one.quality for one in (wall, *parts)]
        return DomainEnergy(
            domain=domain,
            device=wall.device,
            energy_uj=max(0, left_uj),
            quality=worst([*qualities, Quality.PARTIAL] if dropped else qualities),
            uncertainty_uj=sum(one.uncertainty_uj for one in parts),
        )

    def to_state(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            "debts": dict(self._debts),
            "missed": dict(self._missed),
            "trials": {
                key: [one.wall_uj, one.parts_uj, one.length_ns] for key, one in self._trials.items()
            },
            "implausible": sorted(self._implausible),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from ``to_state``; what is absent begins anew.

        Raises:
            ValueError, TypeError, AttributeError: it is not such a state.
        """
        self._debts = {str(key): int(uj) for key, uj in state.get("debts", {}).items()}
        self._missed = {str(key): int(uj) for key, uj in state.get("missed", {}).items()}
        self._trials = {
            str(key): _Trial(*(int(number) for number in numbers))
            for key, numbers in state.get("trials", {}).items()
        }
        self._implausible = {str(key) for key in state.get("implausible", ())}


def _watts(energy_uj: int, trial: _Trial) -> int:
    return round(energy_uj * 1000 / trial.length_ns)
