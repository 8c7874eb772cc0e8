"""The static part of energy: where a meter does not tell it, the lowest power seen so far."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from carbonsched.model.energy import Domain, Quality, worse
from carbonsched.node.meters.meter import DomainEnergy
from carbonsched.units import NS_PER_S, UJ_PER_J

WINDOW_NS = 10 * NS_PER_S
"""Power is judged over at least this long. Over one sample the lowest of many would say more about
jitter between a counter's time and the clock's: 35 ms are 7 % of half a second."""
OWED_NS = NS_PER_S
"""Of how much time a device may at most still owe its static energy: its counter is not read at the
same instant as the clock, so a sample may hold less than it draws idle, and the next one more."""
REST_OWED_NS = 60 * NS_PER_S
"""The same of the rest of the node, whose two meters may be apart by more."""

Device = tuple[Domain, str]

_BOUNDED = (Domain.CPU, Domain.NODE)
_TRUSTED = (Quality.MEASURED, Quality.SAMPLED)


@dataclass(slots=True)
class _Window:
    """Energy and time by device over some samples, as far as the device was seen in them."""

    length_ns: int = 0
    seen: dict[Device, list[int]] = field(default_factory=dict)

    def add(self, energies: Iterable[DomainEnergy], length_ns: int) -> None:
        self.length_ns += length_ns
        for one in energies:
            sums = self.seen.setdefault((one.domain, one.device), [0, 0])
            if one.quality in _TRUSTED:
                sums[0] += one.energy_uj
                sums[1] += length_ns

    def mean_uw(self, device: Device) -> int | None:
        """Mean power so far, ``None`` where the device was never seen."""
        energy_uj, seen_ns = self.seen.get(device, (0, 0))
        return energy_uj * NS_PER_S // seen_ns if seen_ns else None

    def throughout(self) -> dict[Device, int]:
        """Mean power of the devices that were seen all the time."""
        return {
            device: energy_uj * NS_PER_S // seen_ns
            for device, (energy_uj, seen_ns) in self.seen.items()
            if seen_ns == self.length_ns
        }


class StaticPower:
    """Lowest mean power of each device over a window of ten seconds, in microwatts.

    That of the rest of the node is its power in the window in which the whole node drew least: the
    rest is a difference between meters that do not see the same instant, so its own minimum says
    nothing. For the like reason single samples may hold less than static power makes of them; they
    owe the difference to later ones, else jitter would turn idle power into use. All of it survives
    restarts and boots.
    ``idle_w`` is the node's declared idle power without its GPUs: its CPUs do not draw more idle,
    even if they have only ever been seen busy.
    """

    def __init__(self, idle_w: float | None) -> None:
        self._bound_uw = None if idle_w is None else round(idle_w * UJ_PER_J)
        self._lowest_uw: dict[Device, int] = {}
        self._quietest_uw: int | None = None
        self._window = _Window()
        self._owed_uj: dict[Device, int] = {}

    def complete(self, energies: Sequence[DomainEnergy], length_ns: int) -> list[DomainEnergy]:
        """The same energy with its static part, devices that are divided alike added up."""
        self._window.add(energies, length_ns)
        if self._window.length_ns >= WINDOW_NS:
            self._learn(self._window)
            self._window = _Window()
        added: dict[Device, list[Any]] = {}
        for one in energies:
            # GPUs are allocated one by one, anything else by domain.
            key = (one.domain, one.device if one.domain is Domain.GPU else "")
            sums = added.setdefault(key, [0, 0, 0, one.quality])
            sums[0] += one.energy_uj
            sums[1] += self._static_uj(one, length_ns)
            sums[2] += one.uncertainty_uj
            sums[3] = worse(sums[3], one.quality)
        return [
            DomainEnergy(
                domain=domain,
                device=device,
                energy_uj=energy_uj,
                quality=quality,
                static_uj=self._bounded(domain, static_uj, length_ns),
                uncertainty_uj=uncertainty_uj,
            )
            for (domain, device), (energy_uj, static_uj, uncertainty_uj, quality) in added.items()
        ]

    def to_state(self) -> dict[str, Any]:
        """For ``state.json``."""
        return {
            "lowest": [[*device, lowest_uw] for device, lowest_uw in self._lowest_uw.items()],
            "quietest_uw": self._quietest_uw,
            "window_ns": self._window.length_ns,
            "window": [[*device, *sums] for device, sums in self._window.seen.items()],
            "owed": [[*device, owed_uj] for device, owed_uj in self._owed_uj.items()],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from ``to_state``, or from nothing."""
        if not state:
            return
        self._lowest_uw = {
            (Domain(domain), str(device)): int(uw) for domain, device, uw in state["lowest"]
        }
        self._quietest_uw = state["quietest_uw"]
        seen = {
            (Domain(domain), str(device)): [int(energy_uj), int(seen_ns)]
            for domain, device, energy_uj, seen_ns in state["window"]
        }
        self._window = _Window(int(state["window_ns"]), seen)
        self._owed_uj = {
            (Domain(domain), str(device)): int(uj) for domain, device, uj in state["owed"]
        }

    def _learn(self, window: _Window) -> None:
        powers = window.throughout()
        for device, mean_uw in powers.items():
            # A counter that stood still all the time is no counter of a device without power.
            lowest_uw = self._lowest_uw.get(device)
            lower = lowest_uw is None or mean_uw < lowest_uw
            if device[0] is not Domain.REST and mean_uw and lower:
                self._lowest_uw[device] = mean_uw
                self._owed_uj.pop(device, None)  # it was reckoned by a power that is too high
        if len(powers) < len(window.seen):
            return  # what the whole node drew is not known
        rest = {device: uw for device, uw in powers.items() if device[0] is Domain.REST}
        whole_uw = sum(powers.values())
        if rest and (self._quietest_uw is None or whole_uw < self._quietest_uw):
            self._quietest_uw = whole_uw
            self._lowest_uw.update(rest)

    def _static_uj(self, one: DomainEnergy, length_ns: int) -> int:
        if one.static_uj is not None:
            return one.static_uj
        device = (one.domain, one.device)
        power_uw = self._lowest_uw.get(device)
        learned = power_uw is not None
        if power_uw is None:
            power_uw = self._window.mean_uw(device)
        if power_uw is None:
            return one.energy_uj
        static_uj = power_uw * length_ns // NS_PER_S
        if one.quality not in _TRUSTED or not learned:
            return min(one.energy_uj, static_uj)
        due_uj = static_uj + self._owed_uj.get(device, 0)
        paid_uj = min(one.energy_uj, due_uj)
        owed_ns = REST_OWED_NS if one.domain is Domain.REST else OWED_NS
        self._owed_uj[device] = min(due_uj - paid_uj, power_uw * owed_ns // NS_PER_S)
        return paid_uj

    def _bounded(self, domain: Domain, static_uj: int, length_ns: int) -> int:
        if self._bound_uw is None or domain not in _BOUNDED:
            return static_uj
        return min(static_uj, self._bound_uw * length_ns // NS_PER_S)
