"""What draws power, in whole numbers: microwatts, nanoseconds, and their product."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

UW_NS_PER_UJ = 10**9
UW = 10**6
NS = 10**9


@dataclass(frozen=True, slots=True)
class Profile:
    """Power over time beyond the idle power, in watts.

    ``kind`` is ``off``, ``flat`` (``watts``), ``sine`` (from 0 to ``watts`` over ``period_s``) or
    ``step`` (``watts`` in the first half of each period, nothing in the second).
    """

    kind: str = "off"
    watts: float = 0.0
    period_s: float = 10.0
    phase_s: float = 0.0

    def uw(self, at_ns: int) -> int:
        """Microwatts at an instant."""
        place = ((at_ns / NS + self.phase_s) / self.period_s) % 1.0
        if self.kind == "sine":
            return round(self.watts * UW * (1 - math.cos(2 * math.pi * place)) / 2)
        if self.kind == "step":
            return round(self.watts * UW) if place < 0.5 else 0
        return round(self.watts * UW) if self.kind == "flat" else 0


@dataclass(slots=True)
class Device:
    """Draws ``idle_uw`` always, ``busy_uw`` for each busy CPU, and what its profile says.

    The profile counts while it ``works``.

    ``drawn`` and ``static`` (the idle part of it) are exact, in microwatt-nanoseconds.
    """

    name: str
    domain: str
    idle_uw: int = 0
    busy_uw: int = 0
    profile: Profile = field(default_factory=Profile)
    drawn: int = 0
    static: int = 0
    now_uw: int = 0
    works: bool = True

    def step(self, middle_ns: int, length_ns: int, busy_ns: int) -> None:
        """Let time pass; ``busy_ns`` is the CPU time used meanwhile on the whole node."""
        beyond_uw = self.profile.uw(middle_ns) if self.works else 0
        static = self.idle_uw * length_ns
        drawn = static + beyond_uw * length_ns + self.busy_uw * busy_ns
        self.static += static
        self.drawn += drawn
        self.now_uw = drawn // length_ns if length_ns else 0

    @property
    def uj(self) -> int:
        """Microjoules so far."""
        return self.drawn // UW_NS_PER_UJ


@dataclass(slots=True)
class Supply:
    """Everything of a node that is not a part of its own: supplies, fans, network.

    It draws ``idle_uw``, and loses ``loss_ppm`` millionths of what the parts draw.
    """

    parts: tuple[Device, ...]
    idle_uw: int = 0
    loss_ppm: int = 0
    drawn: int = 0
    static: int = 0

    def step(self, length_ns: int) -> None:
        """Let time pass, after the parts."""
        self.drawn += self.idle_uw * length_ns
        self.static += self.idle_uw * length_ns

    @property
    def rest(self) -> int:
        """Microwatt-nanoseconds of the rest of the node."""
        return self.drawn + self.loss_ppm * sum(one.drawn for one in self.parts) // UW

    @property
    def rest_static(self) -> int:
        """Of these, what idle parts would have caused too."""
        return self.static + self.loss_ppm * sum(one.static for one in self.parts) // UW

    @property
    def wall(self) -> int:
        """Microwatt-nanoseconds of the whole node at the plug."""
        return self.rest + sum(one.drawn for one in self.parts)


def profile_of(raw: Any) -> Profile:
    """From a script's JSON."""
    return Profile(**(raw or {}))
