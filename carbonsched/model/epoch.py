"""Epochs of training jobs as nodes report them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from carbonsched.model.energy import Quality
from carbonsched.model.wire import MAX_WHOLE, check_types, exact_fields

MOST_PARTS = 20

_LATER_FIELDS: dict[str, Any] = {"steps": 0, "parts": (), "gpu_limit_w": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochPart:
    """A stretch of an epoch: as many steps as in its other parts."""

    duration_ms: int
    energy_millij: int

    def __post_init__(self) -> None:
        if self.duration_ms < 0 or self.energy_millij < 0:
            raise ValueError("a part of an epoch is negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """One epoch of a training job on one node, with the energy metered in exactly that interval.

    ``energy_millij`` counts thousandths of a joule, for an epoch can be short. ``relative_sd`` is
    the standard deviation of power or step time within the epoch over its mean, from ``samples``
    parts; ``None`` where it could not be seen. Where the job told its ``steps``, ``parts`` divide
    the epoch into as many equal numbers of them and add up to it exactly; what follows the last
    step, such as validation, is of the last part. ``gpu_limit_w`` is the power limit that was
    enforced throughout on each of the job's GPUs here; ``None`` where it has none, where they do
    not tell it, where they differ, and where it changed.
    """

    cluster: str
    node: str
    job_id: int
    restarts: int
    uid: int
    epoch: int
    epochs: int | None
    started_ms: int
    duration_ms: int
    energy_millij: int
    relative_sd: float | None
    samples: int
    quality: Quality
    steps: int = 0
    parts: tuple[EpochPart, ...] = ()
    gpu_limit_w: int | None = None

    def __post_init__(self) -> None:
        if self.duration_ms <= 0 or self.energy_millij < 0 or self.epoch < 1:
            raise ValueError("an epoch has a number from 1, a length and no negative energy")
        if self.samples < 0 or (self.epochs is not None and self.epochs < 1):
            raise ValueError("an epoch's samples or the number of epochs is negative")
        if self.gpu_limit_w is not None and self.gpu_limit_w < 1:
            raise ValueError("a power limit of GPUs is 1 W or more")
        if self.steps < 0 or len(self.parts) > min(self.steps, MOST_PARTS):
            raise ValueError("an epoch has no more parts than steps, and not too many")
        if self.parts and (
            sum(part.duration_ms for part in self.parts) != self.duration_ms
            or sum(part.energy_millij for part in self.parts) != self.energy_millij
        ):
            raise ValueError("the parts of an epoch do not add up to it")

    def to_wire(self) -> dict[str, Any]:
        """The JSON object that travels from agent to daemon."""
        return asdict(self)

    @classmethod
    def from_wire(cls, wire: Any) -> EpochRecord:
        """Read a JSON object; ``ValueError`` says what is wrong with it."""
        fields = exact_fields(_LATER_FIELDS | wire if isinstance(wire, dict) else wire, cls)
        fields["quality"] = Quality(fields["quality"])
        check_types(fields, {"cluster": str, "node": str})
        numbers = ("job_id", "restarts", "uid", "epoch", "started_ms", "duration_ms")
        check_types(fields, dict.fromkeys((*numbers, "energy_millij", "samples", "steps"), int))
        for name in ("epochs", "gpu_limit_w"):
            if fields[name] is not None:
                check_types(fields, {name: int})
        deviation = fields["relative_sd"]
        if deviation is not None:
            if not isinstance(deviation, (int, float)) or isinstance(deviation, bool):
                raise ValueError("relative_sd is not a number")
            if not 0 <= deviation <= MAX_WHOLE:
                raise ValueError("relative_sd is not a number from 0 upwards")
            fields["relative_sd"] = float(deviation)
        if not isinstance(fields["parts"], (list, tuple)):
            raise ValueError("parts is not a list")
        fields["parts"] = tuple(_part(part) for part in fields["parts"])
        return cls(**fields)


def _part(wire: Any) -> EpochPart:
    fields = exact_fields(wire, EpochPart)
    check_types(fields, dict.fromkeys(fields, int))
    return EpochPart(**fields)
