"""Choosing among clusters or partitions that were weighed, and the words for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from carbonsched.units import format_duration, format_mass


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A cluster or partition and what a job would weigh there.

    ``mg`` is the expected mass in milligrams with PUE, ``None`` where it cannot be told: ``why``
    says what is missing then. ``takes`` is whether the job can run there at all, ``start_at`` when
    it would start, ``late`` whether that is beyond its latest start; ``waiting_cpu_s`` is the work
    of all jobs that wait there, in CPU seconds. Of a partition ``power`` says whence the job's
    power there is known, ``samples`` how many runs or jobs stand behind it, ``basis`` both in
    words.
    """

    name: str
    zone: str
    waiting_cpu_s: int
    cpus: int = 0
    takes: bool = False
    mg: int | None = None
    start_at: int | None = None
    forecast: str | None = None
    why: str | None = None
    late: bool = False
    power: str | None = None
    samples: int | None = None
    basis: str | None = None

    @property
    def load(self) -> Fraction:
        """Seconds for which the work that waits would keep all of it busy."""
        return Fraction(self.waiting_cpu_s, max(self.cpus, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What was chosen, ``None`` where the job can run on none; the sentence that says why.

    ``noun`` is what was chosen among: cluster or partition.
    """

    noun: str
    chosen: str | None
    text: str
    candidates: tuple[Candidate, ...]

    def document(self) -> dict[str, Any]:
        """As the API answers it."""
        rows = [asdict(one) for one in self.candidates]
        return {"chosen": self.chosen, "text": self.text, f"{self.noun}s": rows}


def choose(
    candidates: Sequence[Candidate], here: str | None, now: int, noun: str = "cluster"
) -> Placement:
    """The cluster or partition on which the job emits least.

    Those with room by the job's latest start go before those without. Masses are compared as soon
    as two of them are known: one alone says nothing of the others. Of equals, and where masses tell
    nothing, that with the least waiting work; of equals again the one named ``here``, then the
    first.
    """
    takers = [one for one in candidates if one.takes]
    able = [one for one in takers if not one.late] or takers
    known = [one for one in able if one.mg is not None]

    def told(chosen: Candidate | None, words: str) -> Placement:
        others = [one for one in candidates if one is not chosen]
        parts = [words, *(f"{one.name}: {_words(one, now)}" for one in others)]
        name = chosen.name if chosen else None
        return Placement(
            noun=noun, chosen=name, text="; ".join(parts), candidates=tuple(candidates)
        )

    if not able:
        return told(None, f"the job can run on none of the {noun}s")
    if len(known) > 1 or known == able:
        least = min(one.mg for one in known if one.mg is not None)
        best = [one for one in known if one.mg == least]
        chosen = _least_waiting(best, here)
        why = "it emits least there" if len(best) == 1 else "of equals the least work waits there"
    else:
        chosen = _least_waiting(able, here)
        why = "the least work waits there, as too little is known to compare emissions"
    if len(takers) == 1:
        why = "the only one that can take the job"
    elif len(able) == 1:
        why = "the only one with room by its latest start"
    return told(chosen, f"{noun} {chosen.name}, {why}: {_words(chosen, now)}")


def _least_waiting(candidates: Sequence[Candidate], here: str | None) -> Candidate:
    return min(candidates, key=lambda one: (one.load, one.name != here))


def _words(one: Candidate, now: int) -> str:
    if one.mg is None:
        return f"unknown ({one.why})" if one.takes else str(one.why)
    wait_s = (one.start_at or now) - now
    when = f"starting in {format_duration(wait_s)}" if wait_s > 0 else "starting now"
    late = ", later than it may" if one.late else ""
    basis = f", {one.basis}" if one.basis else ""
    return f"about {format_mass(one.mg)} {when}{late}{basis}"
