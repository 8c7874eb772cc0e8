"""Recorded intensity and issued forecasts of several zones, as CSV or Parquet tables.

Columns, in any order; others are ignored. Actual values: a time (``t``, ``start`` or ``valid``)
and g/kWh (``ci``, ``g_per_kwh`` or ``actual``). Forecasts: ``issued``, a time (``valid``,
``start`` or ``t``) and g/kWh (``forecast``, ``g_per_kwh`` or ``ci``). Columns ``zone`` and
``basis`` tell series apart. A time is the start of its period; it is ISO 8601 or a timestamp, UTC
where it has no offset, or seconds since 1970. Periods shorter than an hour are averaged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from carbonsched.errors import RequestError
from carbonsched.forecasting import HOUR_S, Hourly, HourlyIssue

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from carbonsched.forecasting.hours import Floats

    Integers = npt.NDArray[np.int64]

Key = tuple[str, str]
"""Zone and basis; empty where a file has no such column."""

_TIMES = ("t", "start", "valid")
_ISSUED = ("issued",)
_ACTUAL = ("ci", "g_per_kwh", "actual")
_FORECAST = ("forecast", "g_per_kwh", "ci")
_ABSENT = ("", "NA", "NaN", "nan", "N/A", "n/a", "null", "NULL", "None", "<NA>", "#N/A")
_LONGEST_H = 200_000
"""23 years: a series longer than this has a wrong time in it."""


@dataclass(frozen=True, slots=True)
class RecordedIssues:
    """Forecasts in order of issue, and how many rows repeated an earlier one's time."""

    issues: tuple[HourlyIssue, ...]
    repeated: int = 0


def read_actual(path: Path) -> dict[Key, Hourly]:
    """Each zone's and basis's hourly means; a time that is repeated counts once, the first.

    Raises:
        RequestError: unreadable, a column or a time is wrong; one line.
    """
    table = _table(path)
    times = _seconds(path, table, _column(path, table, _TIMES))
    values = _numbers(path, table, _column(path, table, _ACTUAL))
    found = {}
    for key, rows in _series(table).items():
        at, first = np.unique(times[rows], return_index=True)
        found[key] = _hours(path, at, values[rows][first])
    return found


def read_issues(path: Path) -> dict[Key, RecordedIssues]:
    """Each zone's and basis's forecasts. Of rows for one time in one issue the first counts.

    Raises:
        RequestError: as for :func:`read_actual`.
    """
    table = _table(path)
    issued = _seconds(path, table, _column(path, table, _ISSUED))
    times = _seconds(path, table, _column(path, table, ("valid", "start", "t")))
    values = _numbers(path, table, _column(path, table, _FORECAST))
    return {
        key: _issues(path, issued[rows], times[rows], values[rows])
        for key, rows in _series(table).items()
    }


def _issues(path: Path, issued: Integers, times: Integers, values: Floats) -> RecordedIssues:
    order = np.lexsort((times, issued))  # stable: of repeated rows the file's first stays first
    issued, times, values = issued[order], times[order], values[order]
    again = np.zeros(len(order), dtype=bool)
    again[1:] = (issued[1:] == issued[:-1]) & (times[1:] == times[:-1])
    issued, times, values = issued[~again], times[~again], values[~again]
    starts = np.flatnonzero(np.diff(issued, prepend=issued[0] - 1 if len(issued) else 0))
    issues = tuple(
        HourlyIssue(int(issued[a]), _hours(path, times[a:b], values[a:b]))
        for a, b in zip(starts, [*starts[1:], len(issued)], strict=True)
    )
    return RecordedIssues(issues, int(again.sum()))


def _hours(path: Path, times: Integers, values: Floats) -> Hourly:
    """Means over whole hours; an hour with a period missing is missing."""
    first = int(times[0]) // HOUR_S
    hour = times // HOUR_S - first
    count = int(hour[-1]) + 1
    if count > _LONGEST_H:
        raise RequestError(f"{path}: its times span {count} hours; one of them must be wrong")
    sums = np.bincount(hour, weights=values, minlength=count)
    rows = np.bincount(hour, minlength=count)
    wanted = np.zeros(count, dtype=np.int64)
    np.maximum.at(wanted, hour, HOUR_S // _steps(times))
    whole = (rows > 0) & (rows >= wanted)
    return Hourly(first * HOUR_S, np.where(whole, sums / np.maximum(rows, 1), np.nan))


def _steps(times: Integers) -> Integers:
    """For each time the usual distance of its day's times, at most an hour.

    By the day, for a series may change its resolution.
    """
    gaps = np.minimum(np.diff(times), HOUR_S)
    found = np.full(len(times), int(np.median(gaps)) if gaps.size else HOUR_S, dtype=np.int64)
    days = times // 86_400
    starts = np.flatnonzero(np.diff(days, prepend=days[0] - 1))
    for first, last in zip(starts, [*starts[1:], len(times)], strict=True):
        if gaps[first:last].size:
            found[first:last] = int(np.median(gaps[first:last]))
    return np.maximum(found, 1)


def _table(path: Path) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415  # half a second that other commands need not wait for

    try:
        if _is_parquet(path):
            table = pd.read_parquet(path, engine="pyarrow")
        else:
            names = set(pd.read_csv(path, nrows=0).columns) - {"zone", "basis"}
            absent = dict.fromkeys(sorted(names), _ABSENT)  # a zone may be called NA
            table = pd.read_csv(
                path, dtype={"zone": str, "basis": str}, keep_default_na=False, na_values=absent
            )
    except ImportError:
        raise RequestError(
            f"{path}: Parquet needs pyarrow; install it or give a CSV file"
        ) from None
    except OSError as error:
        reason = error.strerror or _line(error)
        raise RequestError(f"{path}: {reason}; give a readable CSV or Parquet file") from None
    except Exception as error:  # noqa: BLE001  # two libraries' many ways to say that it is torn
        raise RequestError(f"{path}: neither CSV nor Parquet: {_line(error)}") from None
    if table.empty:
        raise RequestError(f"{path}: no rows; give a file with at least one")
    return table


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1" or path.suffix in {".parquet", ".pq"}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _column(path: Path, table: pd.DataFrame, names: Sequence[str]) -> str:
    for name in names:
        if name in table.columns:
            return name
    wanted = " or ".join(repr(name) for name in names)
    there = ", ".join(str(name) for name in table.columns[:12])
    raise RequestError(f"{path}: no column {wanted}; it has: {there}")


def _seconds(path: Path, table: pd.DataFrame, name: str) -> Integers:
    import pandas as pd  # noqa: PLC0415

    column = table[name]
    if column.isna().any():
        raise RequestError(f"{path}: column {name!r}: a time is missing; write ISO 8601")
    try:
        if pd.api.types.is_numeric_dtype(column):
            return column.to_numpy(dtype=np.int64)
        style = None if pd.api.types.is_datetime64_any_dtype(column) else "ISO8601"
        times = pd.to_datetime(column, utc=True, format=style)
    except (ValueError, TypeError, OverflowError) as error:
        raise RequestError(f"{path}: column {name!r}: {_line(error)}; write ISO 8601") from None
    return np.asarray(times.dt.as_unit("s").astype("int64"), dtype=np.int64)


def _numbers(path: Path, table: pd.DataFrame, name: str) -> Floats:
    try:
        return np.asarray(table[name].to_numpy(dtype=np.float64, na_value=np.nan))
    except (ValueError, TypeError):
        raise RequestError(f"{path}: column {name!r} is not all numbers in g/kWh") from None


def _series(table: pd.DataFrame) -> Mapping[Key, Integers]:
    """The rows of each zone and basis."""
    names = [name for name in ("zone", "basis") if name in table.columns]
    if not names:
        return {("", ""): np.arange(len(table))}
    found: dict[Key, Integers] = {}
    for values, rows in table.groupby(names, sort=True).indices.items():
        parts = dict(zip(names, values if isinstance(values, tuple) else (values,), strict=True))
        found[str(parts.get("zone", "")), str(parts.get("basis", ""))] = np.asarray(rows)
    return found
