"""Made-up epoch logs with the disturbances of real ones, from a seed.

The model was developed on the families of ``DEVELOPMENT`` with seeds below 1000. Those of
``HELD_OUT`` judge it, with seeds from 20000 on; with others they were seen before its last changes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from carbonsched.prediction.course import Cost, Epoch

PARTS = 20

DEVELOPMENT = (
    "plain", "warm-up", "cold", "validated", "each-validated", "checkpointed", "growing",
    "drifting", "jittery", "compiled", "mixed", "quiet", "starts",
)  # fmt: skip
HELD_OUT = ("unfrozen", "shared", "quiet-compiled", "curriculum", "mixed", "ramp", "late")


@dataclass(frozen=True)
class Made:
    """A whole log and the period of validation that a user would declare for it."""

    family: str
    seed: int
    epochs: list[Epoch]
    validate_every: int | None


class _Maker:
    """One log's disturbances, drawn once, and its noise, which goes on from part to part."""

    def __init__(self, family: str, draw: random.Random) -> None:
        self.draw = draw
        self.count = draw.choice((15, 20, 25, 30, 40, 50, 60))
        self.kinds = {family} if family != "mixed" else _several(draw)
        self.part_s, self.watts = draw.uniform(0.5, 20) / PARTS, draw.uniform(20, 400)
        self.epoch_s = self.part_s * PARTS
        quiet = self.has("quiet", "quiet-compiled")
        self.jitter = draw.uniform(0.001, 0.006) if quiet else draw.uniform(0.005, 0.03)
        if self.has("jittery", "shared"):
            self.jitter = draw.uniform(0.02, 0.15)
        self.along, self.noise = draw.uniform(0.3, 0.98), 0.0
        periodic = self.has("validated", "late")
        self.every = draw.choice((2, 3, 4, 5, 5, 10)) if periodic else None
        self.phase, self.worth = draw.choice((0, 0, 0, 1)), draw.uniform(0.1, 0.6)
        each = self.has("each-validated") or draw.random() < 0.3
        self.each = draw.uniform(0.05, 0.4) if each else 0.0
        self.save_every, self.save = draw.choice((1, 3, 5, 7)), draw.uniform(0.02, 0.15)
        self.first_parts, self.first = draw.choice((1, 1, 2, 3, 5)), draw.uniform(0.02, 0.6)
        self.cold, self.cold_power = draw.uniform(1.05, 2.5), draw.uniform(0.5, 0.95)
        self.slope = draw.uniform(-0.2, 0.2)
        self.grow_every, self.grow = draw.choice((4, 6, 8, 10)), draw.uniform(1.05, 1.3)
        self.jump_at, self.jump = draw.randint(2, self.count), draw.uniform(0.7, 1.8)
        self.start = draw.uniform(0.01, 0.08)

    def has(self, *kinds: str) -> bool:
        return bool(self.kinds & set(kinds))

    def epoch(self, number: int) -> Epoch:
        pace = self.pace(number)
        parts = tuple(self.part(number, part, pace) for part in range(PARTS))
        whole = Cost(sum(one.seconds for one in parts), sum(one.joules for one in parts))
        return Epoch(number=number, cost=whole, parts=parts)

    def pace(self, number: int) -> float:
        pace = 1.0
        if self.has("drifting"):
            pace *= 1 + self.slope * (number - 1) / self.count + 0.02 * math.sin(number / 5)
        if self.has("growing", "curriculum"):
            pace *= self.grow ** min(3, (number - 1) // self.grow_every)
        if self.has("unfrozen") and number >= self.jump_at:
            pace *= self.jump
        return pace

    def part(self, number: int, part: int, pace: float) -> Cost:
        fresh = self.draw.gauss(0, self.jitter)
        self.noise = self.along * self.noise + math.sqrt(1 - self.along**2) * fresh
        noise = self.noise + self.draw.gauss(0, self.jitter)
        seconds = self.part_s * pace * math.exp(noise)
        power = self.watts * math.exp(-0.5 * self.noise + self.draw.gauss(0, self.jitter / 4))
        if number == 1 and self.has("cold"):
            seconds, power = seconds * self.cold, power * self.cold_power
        if number == 1 and self.has("ramp"):
            seconds *= 1 + (self.cold - 1) * math.exp(-part / 6)
        joules = seconds * power
        for more_s, share in self.extras(number, part, pace):
            seconds += more_s
            joules += more_s * power * share
        return Cost(seconds, joules)

    def extras(self, number: int, part: int, pace: float) -> Iterator[tuple[float, float]]:
        """Seconds that come on top of a part, and the share of its power that they draw."""
        if number == 1 and self.has("warm-up", "compiled", "quiet-compiled"):
            if part < self.first_parts:
                times = 3 if self.has("compiled") and part == 0 else 1
                yield times * self.epoch_s * self.first / self.first_parts, 0.6
        elif number == 1 and part == 0:
            yield self.epoch_s * self.draw.uniform(0, 0.05), 0.8
        if part == 0 and self.has("starts"):
            yield self.start * self.epoch_s, 0.5
        if part < PARTS - 1:
            return
        yield self.each * self.epoch_s * pace, 0.8
        late = not self.has("late") or number > self.count // 3
        if self.every and (number - self.phase) % self.every == 0 and late:
            yield self.worth * self.epoch_s * pace, 0.8
        if self.has("checkpointed") and number % self.save_every == 0:
            yield self.save * self.epoch_s, 0.4


def make(family: str, seed: int) -> Made:
    """One log."""
    maker = _Maker(family, random.Random(f"{family} {seed}"))
    epochs = [maker.epoch(number) for number in range(1, maker.count + 1)]
    return Made(family, seed, epochs, maker.every)


def _several(draw: random.Random) -> set[str]:
    choices = (
        *("warm-up", "cold", "validated", "each-validated", "checkpointed", "drifting", "starts"),
    )
    return {one for one in choices if draw.random() < 0.3} | {"plain"}
