"""Traces of jobs: the Standard Workload Format, ``sacct -P``, or a table in CSV or Parquet.

The Standard Workload Format is that of the Parallel Workloads Archive (Feitelson et al., version
2.2): 18 numbers a line, ``-1`` for what is not known, headers after ``;``. Tables have a header
line; columns are known by name, in any order and case, others are ignored (``_NAMES``).
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import IO, Any, cast

import pandas as pd

from carbonsched.cluster.values import limit_s
from carbonsched.errors import RequestError

_LAST_AT = 2**33  # in the year 2242; milliseconds are later


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceJob:
    """A job that ran; ``None`` where the trace does not say."""

    job_id: str
    user: str
    submit_at: int
    runtime_s: int
    requested_s: int | None
    nodes: int | None
    cpus: int | None


def read_trace(path: Path, time_zone: tzinfo = UTC) -> list[TraceJob]:
    """The jobs that ran, in order of submission; an id that comes again gets a ``#2``.

    ``time_zone`` is that of times which do not say theirs, as those that sacct prints.

    Raises:
        RequestError: unreadable, or a column or value is wrong; one line.
    """
    try:
        if path.name.lower().endswith((".swf", ".swf.gz")):
            found = list(_swf_jobs(path))
        else:
            found = list(_table_jobs(path, time_zone))
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror or error}; give a readable trace") from None
    except (EOFError, zlib.error, csv.Error) as error:
        raise RequestError(f"{path}: torn or no text: {error}; give a readable trace") from None
    if not found:
        raise RequestError(f"{path}: no job in it ever ran")
    for job in found:
        if not 0 <= job.submit_at < _LAST_AT:
            raise RequestError(
                f"{path}: job {job.job_id} was submitted at {job.submit_at}; times are ISO 8601 or"
                " seconds since 1970"
            )
    return _told_apart(sorted(found, key=lambda job: job.submit_at))


def _told_apart(jobs: list[TraceJob]) -> list[TraceJob]:
    seen: Counter[str] = Counter()
    apart = []
    for job in jobs:
        seen[job.job_id] += 1
        times = seen[job.job_id]
        apart.append(replace(job, job_id=f"{job.job_id}#{times}") if times > 1 else job)
    return apart


def _swf_jobs(path: Path) -> Iterator[TraceJob]:
    began_at = 0
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            if line.startswith(";"):
                key, _, value = line.strip("; \n").partition(":")
                if key.strip() == "UnixStartTime" and value.strip().isdecimal():
                    began_at = int(value)
            elif line.strip():
                job = _swf_job(path, number, line, began_at)
                if job:
                    yield job


def _swf_job(path: Path, number: int, line: str, began_at: int) -> TraceJob | None:
    try:
        values = [int(float(word)) for word in line.split()]
        job_id, submit_s, _, runtime_s, used, _, _, cpus, requested_s, _, _, user = values[:12]
    except (ValueError, OverflowError):
        raise RequestError(
            f"{path}: line {number} is not a job in the Standard Workload Format: 18 numbers"
        ) from None
    width = cpus if cpus > 0 else used
    if runtime_s < 1 or width < 1:
        return None
    return TraceJob(
        job_id=str(job_id),
        user=str(user),
        submit_at=began_at + submit_s,
        runtime_s=runtime_s,
        requested_s=requested_s if requested_s > 0 else None,
        nodes=None,
        cpus=width,
    )


_Reader = Callable[[Any, tzinfo], int | None]


def _count(value: Any, _: tzinfo) -> int | None:
    text = str(value).strip()
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return None


def _hours(value: Any, _: tzinfo) -> int | None:
    try:
        return round(float(value) * 3600)
    except (ValueError, OverflowError):
        return None


def _minutes(value: Any, zone: tzinfo) -> int | None:
    minutes = _count(value, zone)
    return None if minutes is None else 60 * minutes


def _clock(value: Any, _: tzinfo) -> int | None:
    return limit_s(str(value).partition(".")[0])


def _instant(value: Any, zone: tzinfo) -> int | None:
    seconds = _count(value, zone)
    if seconds is not None:
        return seconds
    try:
        at = datetime.fromisoformat(str(value).strip())
    except ValueError:  # "Unknown", "None": never submitted or started
        return None
    return int(at.replace(tzinfo=at.tzinfo or zone).timestamp())


# What a column may be called, the better first, and how it is read. Those of the GAIA artefact
# (arrival_time, length) are in hours.
_NAMES: Mapping[str, Mapping[str, _Reader]] = {
    "submit_at": {
        "submit": _instant, "submit_time": _instant, "arrival_time": _hours,
        "start": _instant, "start_time": _instant,
    },
    "runtime_s": {
        "elapsedraw": _count, "elapsed": _clock, "runtime_s": _count, "run_time": _count,
        "run": _count, "length": _hours,
    },
    "requested_s": {
        "timelimitraw": _minutes, "timelimit": _clock, "requested_s": _count,
        "wallclock_req": _count, "req_s": _count,
    },
    "nodes": {
        "nnodes": _count, "allocnodes": _count, "nodes": _count, "nodes_req": _count,
        "reqnodes": _count,
    },
    "cpus": {
        "alloccpus": _count, "ncpus": _count, "cpus": _count, "procs": _count,
        "processors_req": _count, "reqcpus": _count,
    },
}  # fmt: skip
_IDS = ("jobid", "jobidraw", "job_id", "job")


_Row = dict[str, Any]


def _opened(path: Path) -> IO[str]:
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    return cast("IO[str]", opener(path, "rt", encoding="utf-8", errors="replace", newline=""))


def _rows(path: Path) -> Iterator[_Row]:
    """Rows of a table with a header, by the column's name in lower case."""
    with path.open("rb") as file:
        parquet = file.read(4) == b"PAR1"
    if parquet:
        yield from _parquet_rows(path)
        return
    with _opened(path) as file:
        bars = "|" in file.readline()
        file.seek(0)
        reader = csv.DictReader(
            file,
            delimiter="|" if bars else ",",
            quoting=csv.QUOTE_NONE if bars else csv.QUOTE_MINIMAL,
        )
        for row in reader:
            if None in row or None in row.values():
                raise RequestError(
                    f"{path}: line {reader.line_num} has not the fields of the header; leave out"
                    " columns that hold the delimiter"
                )
            yield {name.strip().lower(): value for name, value in row.items()}


def _parquet_rows(path: Path) -> Iterator[_Row]:
    try:
        table = pd.read_parquet(path, engine="pyarrow")
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  # two libraries' many ways to say that it is torn
        told = " ".join(str(error).split())[:200]
        raise RequestError(f"{path}: not Parquet after all: {told}") from None
    for row in table.to_dict("records"):
        yield {str(name).lower(): value for name, value in row.items()}


def _table_jobs(path: Path, zone: tzinfo) -> Iterator[TraceJob]:
    readers: dict[str, tuple[str, _Reader]] = {}
    for number, row in enumerate(_rows(path), start=1):
        readers = readers or _readers(path, row)
        job_id = str(next((row[name] for name in _IDS if name in row), number))
        if "." in job_id:  # a step, whose job has a row of its own
            continue
        values = {field: read(row[name], zone) for field, (name, read) in readers.items()}
        submit_at, runtime_s = values["submit_at"], values["runtime_s"]
        if submit_at is None or runtime_s is None or runtime_s < 1:
            continue
        yield TraceJob(
            job_id=job_id,
            user=str(row.get("user", "")),
            submit_at=submit_at,
            runtime_s=runtime_s,
            requested_s=_positive(values.get("requested_s")),
            nodes=_positive(values.get("nodes")),
            cpus=_positive(values.get("cpus")),
        )


def _readers(path: Path, row: _Row) -> dict[str, tuple[str, _Reader]]:
    """Which column holds what, and how it is read."""
    readers = {}
    for field, names in _NAMES.items():
        known = next((name for name in names if name in row), None)
        if known is not None:
            readers[field] = (known, names[known])
    wanted = [("submit_at", "Submit"), ("runtime_s", "ElapsedRaw")]
    missing = [column for field, column in wanted if field not in readers]
    if "nodes" not in readers and "cpus" not in readers:
        missing.append("NNodes")
    if missing:
        there = ", ".join(list(row)[:12])
        raise RequestError(f"{path}: no column {' and no '.join(missing)}; it has: {there}")
    return readers


def _positive(value: int | None) -> int | None:
    return value if value is not None and value > 0 else None
