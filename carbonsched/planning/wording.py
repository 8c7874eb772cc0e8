"""The sentence that tells a person what was decided, free of clock times and colours."""

from __future__ import annotations

from carbonsched.units import format_mass

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def span(seconds: int) -> str:
    """A length of time in its two largest units: ``6 h 10 min``, ``45 s``, ``2 d``."""
    for index, (size, name) in enumerate(_UNITS):
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            words = f"{whole} {name}"
            if index + 1 < len(_UNITS):
                smaller, smaller_name = _UNITS[index + 1]
                if rest >= smaller:
                    words += f" {rest // smaller} {smaller_name}"
            return words
    return "0 s"


def sentence(
    *,
    wait_s: int,
    floor_s: int,
    why: str,
    expected_mg: int | None,
    baseline_mg: int | None,
    queue_s: int = 0,
) -> str:
    """``starts in 6 h 10 min: 118 g instead of 190 g if started now (38 % less)``.

    ``floor_s`` is how long the owner's own begin time is away: 0 where the job could start now.
    ``queue_s`` is how long its queue would keep it where ``baseline_mg`` is of that start.
    """
    start = f"starts in {span(wait_s)}" if wait_s > 0 else "starts now"
    saved = wait_s > floor_s and expected_mg is not None and baseline_mg is not None
    parts = []
    if saved and expected_mg is not None and baseline_mg is not None:
        parts.append(_comparison(expected_mg, baseline_mg, _when(floor_s, queue_s)))
    if why:
        parts.append(why)
    if not saved and expected_mg is not None:
        parts.append(f"about {format_mass(expected_mg)}")
    return f"{start}: {'; '.join(parts)}" if parts else start


def _when(floor_s: int, queue_s: int) -> str:
    if queue_s > 0:
        return f"in {span(queue_s)}, when its queue would have room"
    return "now" if floor_s <= 0 else f"in {span(floor_s)}, its own begin time"


def _comparison(expected_mg: int, baseline_mg: int, when: str) -> str:
    words = f"{format_mass(expected_mg)} instead of {format_mass(baseline_mg)} if started {when}"
    if baseline_mg <= 0:
        return words
    change = round(100 * (baseline_mg - expected_mg) / baseline_mg)
    if change == 0:
        return words
    return f"{words} ({abs(change)} % {'less' if change > 0 else 'more'})"
