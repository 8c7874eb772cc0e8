"""Which of a node's meters tells what: processors, GPUs, the whole node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from carbonsched.node.meters.cray import CrayMeter
from carbonsched.node.meters.ipmi import IpmiMeter
from carbonsched.node.meters.limited import LimitedBoard, LimitedGpus
from carbonsched.node.meters.meter import Meter
from carbonsched.node.meters.model import ModelledGpus, ModelMeter
from carbonsched.node.meters.rapl import RaplMeter
from carbonsched.node.meters.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where meters may be found; ``gpus`` best first. The models are ``None`` if not declared.

    ``declared_gpus`` is how many GPUs Slurm counts, 0 if nobody said: Cray's accelerators are
    those if their numbers go together.
    """

    rapl: Source[RaplMeter]
    cray: Source[CrayMeter]
    gpus: tuple[Source[LimitedGpus], ...]
    hwmon: Source[LimitedBoard]
    ipmi: IpmiMeter | None = None
    model: ModelMeter | None = None
    modelled_gpus: ModelledGpus | None = None
    declared_gpus: int = 0

    def places(self) -> tuple[Source[Any], ...]:
        """Where meters are looked for; IPMI and the models are there or not from the start."""
        return (self.rapl, self.cray, *self.gpus, self.hwmon)

    def meters(self) -> list[Meter]:
        """Those that are there, without models."""
        found: list[Meter] = [one.meter for one in self.places() if one.meter is not None]
        return found if self.ipmi is None else [*found, self.ipmi]

    def processors(self) -> list[RaplMeter | CrayMeter | LimitedBoard]:
        """The best meter that tells processors, if there is one."""
        found = (self.rapl.meter, self.cray.meter, self.hwmon.meter)
        return [one for one in found if one is not None and one.has_cpu][:1]

    def wall_meters(self) -> list[Meter]:
        """Meters that may tell the whole node, best first."""
        found = (self.cray.meter, self.hwmon.meter, self.ipmi, self.rapl.meter)
        return [one for one in found if one is not None and _has_node(one)]

    def primary(self) -> Meter | None:
        """The meter without which a sample says nothing; ``None`` if there is none."""
        return next(iter(self.processors() or self.wall_meters()), None)

    def stand_in(self) -> list[ModelMeter]:
        """The declared model, where it tells what no meter does."""
        model = self.model
        return [] if model is None or self.processors() else [model]

    def gpu_meter(self) -> LimitedGpus | CrayMeter | ModelledGpus | None:
        """What tells GPUs: their driver, else Cray's counters, else what is declared."""
        for source in self.gpus:
            if source.meter is not None:
                return source.meter
        cray = self.cray.meter
        gpus = 0 if cray is None else len(cray.gpus())
        if gpus and self.declared_gpus in {0, gpus}:
            return cray
        return self.modelled_gpus


def _has_node(meter: Meter) -> bool:
    """Whether it may say what the whole node draws."""
    if isinstance(meter, RaplMeter):
        return meter.has_psys
    return not isinstance(meter, CrayMeter | LimitedBoard) or meter.has_node
