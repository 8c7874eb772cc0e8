"""What a job's datagram about an epoch means: version 2, and the JSON of version 1.

Older jobs, and containers with an older carbonsched, still send version 1.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from carbonsched.model import epoch_mark as cells
from carbonsched.model.epoch import MOST_PARTS
from carbonsched.model.wire import MAX_WHOLE

MAX_MARK_BYTES = 2048
MAX_EPOCH = 10_000_000
_MOST_S = 1e12
_US_PER_S = 1_000_000
_NS_PER_US = 1000
_CELLS = struct.Struct(f"={cells.CELLS - 1}d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a job said: an epoch starts or ends, at ``at_ns`` by the wall clock if that is known.

    ``part_ends_us`` are the ends of parts of equal numbers of steps, from the epoch's start.
    """

    start: bool
    epoch: int
    epochs: int | None
    steps: int = 0
    step_relative_sd: float | None = None
    at_ns: int | None = None
    part_ends_us: tuple[int, ...] = ()


def parse_marks(data: bytes, sent_ns: int | None = None) -> tuple[Mark, ...]:
    """Read one datagram that was sent at ``sent_ns``, if the kernel told.

    It is one mark, or two where the next epoch starts as one ends.

    Raises:
        ValueError: it is not a mark.
    """
    if data.startswith(cells.HEAD):
        return _parse_cells(data, sent_ns)
    return (_parse_json(data, sent_ns),)


def _parse_cells(data: bytes, sent_ns: int | None) -> tuple[Mark, ...]:
    if len(data) != cells.MARK_BYTES:
        raise ValueError("a mark of version 2 has another length")
    told = (math.nan, *_CELLS.unpack_from(data, len(cells.HEAD)))  # the head is no number
    event, epoch = told[cells.EVENT], _whole_float(told[cells.EPOCH], 1)
    epochs = _whole_float(told[cells.EPOCHS], 0) or None
    start = Mark(start=True, epoch=epoch, epochs=epochs, at_ns=sent_ns)
    if event == cells.START:
        return (start,)
    if event not in (cells.END, cells.NEXT):
        raise ValueError("a mark of version 2 tells of another event")
    steps = _whole_float(told[cells.STEPS], 0, MAX_WHOLE)
    end = Mark(
        start=False,
        epoch=epoch,
        epochs=epochs,
        steps=steps,
        step_relative_sd=_spread(told, steps),
        at_ns=sent_ns,
        part_ends_us=_part_ends_of_cells(told, steps, sent_ns),
    )
    if event == cells.END:
        return (end,)
    return (end, replace(start, epoch=_whole_float(epoch + 1.0, 1)))


def _spread(told: Sequence[float], steps: int) -> float | None:
    """The standard deviation of the steps' lengths over their mean, of two and more."""
    if steps < 2:
        return None
    mean_s = (told[cells.LAST_STEP_S] - told[cells.BEGAN_S]) / steps
    excess_s2 = told[cells.SQUARES_S2] - steps * mean_s * mean_s
    if not (mean_s > 0 and math.isfinite(excess_s2)):
        return None
    # Of steps that are all alike it is 0, but for rounding.
    relative = math.sqrt(max(0.0, excess_s2) / (steps - 1)) / mean_s
    return relative if math.isfinite(relative) else None


def _part_ends_of_cells(told: Sequence[float], steps: int, sent_ns: int | None) -> tuple[int, ...]:
    """When each of up to 20 parts of equal numbers of steps ended, in µs from its start.

    The last one ends with the epoch: what follows the last step is of the last part. An end between
    two kept ones is interpolated. None where they make no sense: the epoch counts all the same.
    """
    stride = told[cells.STRIDE]
    if not steps or sent_ns is None or not (stride >= 1 and stride.is_integer()):
        return ()
    kept = steps // int(stride)
    began_s, began_wall_s = told[cells.BEGAN_S], told[cells.BEGAN_WALL_S]
    # Each ``stride`` steps apart, but for the last one.
    ends_s = (began_s, *told[cells.KEPT_S : cells.KEPT_S + kept], told[cells.LAST_STEP_S])
    if len(ends_s) != kept + 2 or not all(abs(one) < _MOST_S for one in (began_wall_s, *ends_s)):
        return ()
    parts = min(MOST_PARTS, steps)
    shares = (_end_s(ends_s, steps * part / parts, stride, steps) for part in range(1, parts))
    inner_us = [round((end_s - began_s) * _US_PER_S) for end_s in shares]
    # By two clocks, so it could seem to be before the last step.
    last_us = round((ends_s[-1] - began_s) * _US_PER_S)
    whole_us = sent_ns // _NS_PER_US - round(began_wall_s * _US_PER_S)
    return (*inner_us, max(last_us, whole_us))


def _end_s(ends_s: Sequence[float], number: float, stride: float, steps: int) -> float:
    """When so many of the steps had ended."""
    last = len(ends_s) - 2
    before = min(int(number / stride), last)
    length = stride if before < last else steps - last * stride
    share = (number - before * stride) / length if length else 0.0
    return ends_s[before] + (ends_s[before + 1] - ends_s[before]) * share


def _whole_float(value: float, least: int, most: int = MAX_EPOCH) -> int:
    if not (least <= value <= most and value.is_integer()):
        raise ValueError("a number of a mark is not a whole number within its bounds")
    return int(value)


def _parse_json(text: bytes, sent_ns: int | None) -> Mark:
    try:
        raw = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(raw, dict) or raw.get("v") != 1 or raw.get("event") not in ("start", "end"):
        raise ValueError("not a mark of version 1")
    epochs, at_ns = raw.get("epochs"), raw.get("at_ns")
    return Mark(
        start=raw["event"] == "start",
        epoch=_whole(raw.get("epoch"), 1),
        epochs=None if epochs is None else _whole(epochs, 1),
        steps=(steps := _whole(raw.get("steps", 0), 0, MAX_WHOLE)),
        step_relative_sd=_relative_sd(raw.get("step_mean_s"), raw.get("step_sd_s")),
        at_ns=at_ns if type(at_ns) is int else sent_ns,
        part_ends_us=_part_ends_us(raw.get("part_ends_us"), steps),
    )


def _whole(value: Any, least: int, most: int = MAX_EPOCH) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError("a number of a mark is not a whole number within its bounds")
    return value


def _part_ends_us(value: Any, steps: int) -> tuple[int, ...]:
    """None where they are none: the epoch counts all the same."""
    if not isinstance(value, list) or len(value) > min(steps, MOST_PARTS):
        return ()
    return tuple(value) if all(type(one) is int for one in value) else ()


def _relative_sd(mean_s: Any, sd_s: Any) -> float | None:
    for value in (mean_s, sd_s):
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
    try:
        relative = float(sd_s) / float(mean_s)
    except (ArithmeticError, ValueError):
        return None
    return relative if mean_s > 0 and sd_s >= 0 and math.isfinite(relative) else None
