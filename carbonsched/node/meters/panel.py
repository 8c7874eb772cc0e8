"""All meters of a node, composed so that no joule is told twice.

Processors and memory come from RAPL, else from Cray's counters, else from ACPI's meters of Grace
processors; GPUs from their driver, else from Cray's counters, else from what is declared; the whole
node from the first of Cray, ACPI, IPMI and psys. The whole node less its parts is ``rest``; where
no processor is seen apart it stays ``node``. The declared model stands in only where neither
processors nor the whole node are metered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from carbonsched.errors import MeterError
from carbonsched.model.energy import Domain, Quality
from carbonsched.node.journal import Journal
from carbonsched.node.meters.choice import Sources
from carbonsched.node.meters.cray import CrayMeter
from carbonsched.node.meters.hwmon import HwmonMeter
from carbonsched.node.meters.limited import Limited
from carbonsched.node.meters.meter import DomainEnergy, Gpu, Meter, Reading
from carbonsched.node.meters.rapl import RaplMeter
from carbonsched.node.meters.wall import CLEAN, WallBook
from carbonsched.units import NS_PER_S

Readings = dict[str, Reading]
"""What each meter read, by its key."""

FORGET_NS = 600 * NS_PER_S
"""A meter of processors that has not answered for so long is gone, and others stand in for it."""


class Panel:
    """The node's meters as one."""

    def __init__(self, sources: Sources, journal: Journal) -> None:
        self._sources = sources
        self._journal = journal
        self._walls = WallBook(journal)
        self._errors = {source.key: 1 for source in self._sources.places() if source.refused}
        self._failing_ns: dict[str, int] = {}

    @property
    def name(self) -> str:
        """What stands in every segment: ``rapl(package-0) + nvml(8 GPUs) + wall(hwmon power1)``."""
        sources = self._sources
        walls, gpus = sources.wall_meters(), sources.gpu_meter()
        named: list[Meter] = [*sources.processors()]
        if not named and not walls and sources.model is not None:
            named.append(sources.model)
        within_wall = gpus is sources.modelled_gpus and walls
        if gpus is not None and gpus not in named and not within_wall:
            named.append(gpus)
        names = [meter.name for meter in named]
        names += [f"wall({meter.name})" for meter in walls[:1] if meter not in named]
        return " + ".join(names)

    @property
    def sees_system(self) -> bool:
        """Whether what processes outside jobs draw is within the figures."""
        return self._sources.primary() is not None

    @property
    def longest_gap_ns(self) -> int:
        """Beyond it no meter can compare its readings; each one's own is judged in between."""
        meters = [*self._sources.meters(), *self._sources.stand_in()]
        return max((meter.longest_gap_ns for meter in meters), default=0)

    @property
    def keys(self) -> tuple[str, ...]:
        """Of all meters that may fail, also of those that have not been found."""
        keys = tuple(source.key for source in self._sources.places())
        return keys if self._sources.ipmi is None else (*keys, self._sources.ipmi.key)

    @property
    def errors(self) -> dict[str, int]:
        """Failures so far by meter key."""
        errors = dict(self._errors)
        for source in self._sources.gpus:
            if source.meter is not None and source.meter.errors:
                errors[source.key] = errors.get(source.key, 0) + source.meter.errors
        if self._sources.ipmi is not None:
            errors["ipmi"] = self._sources.ipmi.failures
        return errors

    def gpus(self) -> tuple[Gpu, ...]:
        """The node's GPUs as Slurm may call them."""
        meter = self._sources.gpu_meter()
        return () if meter is None else meter.gpus()

    def look(self) -> None:
        """Look for GPUs and their instances at once; never raises, takes a second at most."""
        for source in self._sources.gpus:
            if source.meter is not None:
                source.meter.look()

    def read(self, steady_ns: int) -> Readings:
        """Every meter's reading; one that fails is left out.

        Raises:
            MeterError: none answers, and the declared model does not stand in.
        """
        self._look_for_meters(steady_ns)
        readings: Readings = {}
        failures: dict[str, MeterError] = {}
        meters = self._sources.meters()
        slow = [meter for meter in meters if isinstance(meter, Limited)]
        for meter in (one for one in meters if one not in slow):
            self._read(meter, steady_ns, readings, failures)
        for limited in slow:
            limited.ask(steady_ns)  # all work at once while this thread waits
        for meter in slow:
            self._read(meter, steady_ns, readings, failures)
        primary = self._sources.primary()
        if primary is not None and primary.key in failures:
            self._forget_if_gone(primary.key, steady_ns)
        if not readings and not self._sources.stand_in():
            if primary is not None:
                raise failures[primary.key]
            gone = MeterError("the node has no meter any more and no power class is declared")
            raise next(iter(failures.values()), gone)
        return readings

    def _read(
        self,
        meter: Meter,
        steady_ns: int,
        readings: Readings,
        failures: dict[str, MeterError],
    ) -> None:
        try:
            readings[meter.key] = meter.read(steady_ns)
        except MeterError as error:
            self._failed(meter.key, error, steady_ns)
            failures[meter.key] = error
        else:
            self._failing_ns.pop(meter.key, None)
            self._journal.over(f"meter {meter.key}", f"the {meter.key} meter can be read again")

    def merge(self, before: Readings, after: Readings) -> Readings:
        """What to keep as the last readings: devices that were not read keep their earlier ones."""
        keys = [*before, *(key for key in after if key not in before)]
        return {key: before.get(key, {}) | after.get(key, {}) for key in keys}

    def between(
        self, before: Readings, after: Readings, length_ns: int, busy_ns: int
    ) -> tuple[DomainEnergy, ...]:
        """Energy by device, no two of which overlap; never raises.

        ``busy_ns`` is the CPU time of jobs, which only the model needs.
        """
        told = {
            meter.key: meter.between(
                before[meter.key], after.get(meter.key, {}), length_ns, busy_ns
            )
            for meter in self._sources.meters()
            if meter.key in before
        }
        parts = self._parts(told)
        gpus = self._gpu_parts(told)
        modelled: tuple[DomainEnergy, ...] = ()
        if gpus is None:
            modelled = self._modelled_gpus(length_ns, busy_ns)
        else:
            parts += gpus
        walls = self._readings_of_walls(told)
        energies = self._with_wall(walls, parts, modelled, (length_ns, busy_ns))
        self._note_walls(dict(walls), before, after, parts)
        if before and not any(one.domain in (Domain.CPU, Domain.NODE) for one in energies):
            return (*energies, self._unseen())
        return energies

    def to_state(self) -> dict[str, Any]:
        """What it must know of earlier intervals, as JSON can hold it."""
        return {"walls": self._walls.to_state()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from ``to_state``, or from nothing.

        Raises:
            ValueError, TypeError, AttributeError: it is not such a state.
        """
        self._walls.load(state.get("walls", {}))

    def close(self) -> None:
        """Let go of files and threads."""
        for source in self._sources.places():
            source.close()
        if self._sources.ipmi is not None:
            self._sources.ipmi.close()

    def _with_wall(
        self,
        walls: list[tuple[str, DomainEnergy]],
        parts: list[DomainEnergy],
        modelled: Sequence[DomainEnergy],
        length_and_busy_ns: tuple[int, int],
    ) -> tuple[DomainEnergy, ...]:
        """Parts, and what the whole node drew beyond them as far as that is known.

        GPUs that are only modelled are not taken off a wall's reading, which holds them.
        """
        length_ns, busy_ns = length_and_busy_ns
        processors = any(one.domain is Domain.CPU for one in parts)
        domain = Domain.REST if processors else Domain.NODE
        for key, wall in walls:
            self._walls.judge(key, wall, parts, length_ns)
        believed = [(key, wall) for key, wall in walls if self._walls.believes(key)]
        for key, wall in believed:
            if wall.quality in CLEAN:
                return (*parts, self._walls.rest(key, wall, parts, domain, length_ns))
        model = self._sources.model
        if not processors and model is not None and length_ns <= model.longest_gap_ns:
            return (*model.between({}, {}, length_ns, busy_ns), *parts, *modelled)
        if not believed:
            return (*parts, *modelled)
        key, wall = believed[0]
        if domain is Domain.NODE and wall.energy_uj:
            return (*parts, self._walls.rest(key, wall, parts, domain, length_ns))
        # It may be of another stretch than the parts: what it says is not set against theirs.
        return (*parts, *modelled, _none(domain, wall.device))

    def _note_walls(
        self,
        walls: dict[str, DomainEnergy],
        before: Readings,
        after: Readings,
        parts: list[DomainEnergy],
    ) -> None:
        """Which of them were not read now, so that what they say next holds these parts too."""
        for key in (meter.key for meter in self._sources.wall_meters()):
            at = f"{walls[key].device}.at_ns" if key in walls else ""
            if at and after.get(key, {}).get(at, 0) <= before[key].get(at, 0):
                self._walls.miss(key, parts)
            else:
                self._walls.seen(key)

    @staticmethod
    def _parts(told: dict[str, tuple[DomainEnergy, ...]]) -> list[DomainEnergy]:
        """Processors and memory, each from the first meter that tells it."""
        parts: list[DomainEnergy] = []
        for domain in (Domain.CPU, Domain.MEMORY):
            for key in (RaplMeter.key, CrayMeter.key, HwmonMeter.key):
                found = [one for one in told.get(key, ()) if one.domain is domain]
                if found:
                    parts += found
                    break
        return parts

    def _gpu_parts(self, told: dict[str, tuple[DomainEnergy, ...]]) -> list[DomainEnergy] | None:
        """GPUs from their meter; ``None`` where they have none."""
        meter = self._sources.gpu_meter()
        if meter is None or meter is self._sources.modelled_gpus:
            return None
        return [one for one in told.get(meter.key, ()) if one.domain is Domain.GPU]

    def _modelled_gpus(self, length_ns: int, busy_ns: int) -> tuple[DomainEnergy, ...]:
        """What is declared of GPUs; beyond the longest gap not even that tells."""
        model = self._sources.modelled_gpus
        if model is None:
            return ()
        if length_ns <= model.longest_gap_ns:
            return model.between({}, {}, length_ns, busy_ns)
        return tuple(_none(Domain.GPU, gpu.device) for gpu in model.gpus())

    def _unseen(self) -> DomainEnergy:
        """Stands for processors of which nothing is known: what is told is not all of the node."""
        primary = self._sources.primary()
        domain = Domain.CPU if primary in self._sources.processors() else Domain.NODE
        return _none(domain, "unseen" if primary is None else primary.key)

    def _readings_of_walls(
        self, told: dict[str, tuple[DomainEnergy, ...]]
    ) -> list[tuple[str, DomainEnergy]]:
        """What meters say of the whole node, best first."""
        return [
            (meter.key, one)
            for meter in self._sources.wall_meters()
            for one in told.get(meter.key, ())
            if one.domain is Domain.NODE
        ]

    def _look_for_meters(self, steady_ns: int) -> None:
        for source in self._sources.places():
            try:
                source.look(steady_ns)
            except MeterError as error:
                self._failed(source.key, error, steady_ns)

    def _failed(self, key: str, error: MeterError, steady_ns: int) -> None:
        self._errors[key] = self._errors.get(key, 0) + 1
        self._failing_ns.setdefault(key, steady_ns)
        self._journal.trouble(f"meter {key}", str(error))

    def _forget_if_gone(self, key: str, steady_ns: int) -> None:
        if steady_ns - self._failing_ns[key] < FORGET_NS:
            return
        for source in self._sources.places():
            if source.key == key:
                source.forget()
                self._failing_ns.pop(key, None)
                self._journal.say(f"the {key} meter has not answered for long: it is given up")


def _none(domain: Domain, device: str) -> DomainEnergy:
    """It is there, and what it drew is not known."""
    return DomainEnergy(domain=domain, device=device, energy_uj=0, quality=Quality.PARTIAL)
