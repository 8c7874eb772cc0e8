"""Recorded epoch logs: CSV by epochs or by parts of them.

    epoch,duration_s,energy_j
    epoch,part,parts,steps,duration_s,energy_j

Epochs count from the first line's number, 0 or 1, without a gap; parts from 1 to ``parts``. Where
parts before the last are not of equal numbers of steps, only their sum counts.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from carbonsched.prediction.course import Cost, Epoch

BY_EPOCH = ("epoch", "duration_s", "energy_j")
BY_PART = ("epoch", "part", "parts", "steps", "duration_s", "energy_j")
_LARGEST = 1e15


class _Row(NamedTuple):
    line: int
    epoch: int
    part: int
    parts: int
    steps: int
    cost: Cost


def read_log(lines: Iterable[str], most: int | None = None) -> list[Epoch]:
    """The first ``most`` epochs of a log, all without it; later lines are not looked at.

    Raises:
        ValueError: says which line is wrong.
    """
    epochs: list[Epoch] = []
    pending: list[_Row] = []
    base: int | None = None
    for row in _rows(lines):
        if base is None:
            if row.epoch not in (0, 1):
                raise ValueError(f"line {row.line}: the first epoch is {row.epoch}, not 0 or 1")
            base = row.epoch
        if row.epoch - base != len(epochs):
            raise ValueError(
                f"line {row.line}: epoch {row.epoch} where {len(epochs) + base} is due"
            )
        if row.part != len(pending) + 1 or (pending and row.parts != pending[0].parts):
            raise ValueError(f"line {row.line}: part {row.part} of {row.parts} is out of order")
        pending.append(row)
        if row.part == row.parts:
            epochs.append(_epoch(len(epochs) + 1, pending))
            pending = []
            if len(epochs) == most:
                break
    if pending:
        raise ValueError(
            f"line {pending[-1].line}: the last parts of epoch {pending[-1].epoch} are missing"
        )
    if base is None:
        raise ValueError("line 2: there is no epoch")
    return epochs


def _epoch(number: int, rows: list[_Row]) -> Epoch:
    costs = tuple(row.cost for row in rows)
    whole = Cost(sum(one.seconds for one in costs), sum(one.joules for one in costs))
    if whole.seconds <= 0:
        raise ValueError(f"line {rows[-1].line}: epoch {rows[-1].epoch} took no time")
    alike = len({row.steps for row in rows[:-1]}) == 1  # what is left over may be in the last
    return Epoch(number=number, cost=whole, parts=costs if alike else ())


def _rows(lines: Iterable[str]) -> Iterator[_Row]:
    reader = csv.reader(lines)
    try:
        header = tuple(name.strip().lstrip("\ufeff") for name in next(reader))
    except StopIteration:
        raise ValueError("line 1: the file is empty") from None
    except csv.Error as error:
        raise ValueError(f"line 1: {error}") from None
    if header not in (BY_EPOCH, BY_PART):
        raise ValueError(f"line 1: the columns are not {','.join(BY_EPOCH)} or {','.join(BY_PART)}")
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(f"line {reader.line_num}: {error}") from None
        if fields:
            yield _row(reader.line_num, header, fields)


def _row(line: int, header: tuple[str, ...], fields: list[str]) -> _Row:
    if len(fields) != len(header):
        raise ValueError(f"line {line}: {len(fields)} fields instead of {len(header)}")
    named = dict(zip(header, fields, strict=True))
    cost = Cost(_number(line, "duration_s", named), _number(line, "energy_j", named))
    part = _whole(line, "part", named) if "part" in named else 1
    parts = _whole(line, "parts", named) if "parts" in named else 1
    steps = _whole(line, "steps", named) if "steps" in named else 0
    return _Row(line, _whole(line, "epoch", named), part, parts, steps, cost)


def _number(line: int, name: str, named: dict[str, str]) -> float:
    try:
        value = float(named[name])
    except ValueError:
        value = math.nan
    if not 0 <= value <= _LARGEST:
        raise ValueError(f"line {line}: {name} {named[name]!r} is not a number from 0 upwards")
    return value


def _whole(line: int, name: str, named: dict[str, str]) -> int:
    try:
        value = int(named[name])
    except ValueError:
        value = -1
    if not 0 <= value <= 10_000_000:
        raise ValueError(
            f"line {line}: {name} {named[name]!r} is not a whole number from 0 upwards"
        )
    return value
