"""A forecast's points as one compact value: a year of issues of twenty zones stays a small file.

The form is a header (version, whether there is a band, count, first start) and columns of 64-bit
integers under zlib: gaps between periods, lengths, mg/kWh, estimated flags, and the band as
distances below and above.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

from carbonsched.model.intensity import Point

_HEADER = struct.Struct("<BBIq")
_VERSION = 1
_LEVEL = 6
Band = tuple[tuple[int, int], ...] | None
Columns = npt.NDArray[np.int64]


def pack(points: tuple[Point, ...], band: Band) -> bytes:
    """The points, in time order and without overlap, and their band."""
    first = points[0].start_at if points else 0
    ends = [first, *(point.end_at for point in points[:-1])]
    columns = [
        [point.start_at - end for point, end in zip(points, ends, strict=False)],
        [point.end_at - point.start_at for point in points],
        [point.mg_per_kwh for point in points],
        [int(point.estimated) for point in points],
    ]
    if band is not None:
        columns.append([p.mg_per_kwh - low for p, (low, _) in zip(points, band, strict=True)])
        columns.append([high - p.mg_per_kwh for p, (_, high) in zip(points, band, strict=True)])
    body = np.array(columns, dtype="<i8").tobytes()
    header = _HEADER.pack(_VERSION, band is not None, len(points), first)
    return header + zlib.compress(body, _LEVEL)


def columns(packed: bytes) -> tuple[Columns, Columns, Columns, Columns, Columns | None]:
    """Starts, ends, mg/kWh, estimated flags, and the band as rows of (lows, highs).

    Raises:
        ValueError: not a packed forecast of a version known here.
    """
    version, banded, count, first = _HEADER.unpack_from(packed)
    if version != _VERSION:
        raise ValueError(f"a forecast is packed in form {version}, which this version cannot read")
    body = zlib.decompress(packed[_HEADER.size :])
    rows = np.frombuffer(body, dtype="<i8").astype(np.int64).reshape(6 if banded else 4, count)
    gaps, lengths, mg_per_kwh, estimated = rows[:4]
    ends = first + np.cumsum(gaps + lengths)
    band = np.stack((mg_per_kwh - rows[4], mg_per_kwh + rows[5])) if banded else None
    return ends - lengths, ends, mg_per_kwh, estimated, band


def unpack(packed: bytes, from_at: int | None = None) -> tuple[tuple[Point, ...], Band]:
    """The points and band; with ``from_at`` only those that start there or later."""
    starts, ends, mg_per_kwh, estimated, band = columns(packed)
    since = 0 if from_at is None else int(np.searchsorted(starts, from_at))
    rows = zip(
        starts[since:].tolist(), ends[since:].tolist(), mg_per_kwh[since:].tolist(),
        estimated[since:].tolist(), strict=True,
    )  # fmt: skip
    points = tuple(Point(start, end, mg, bool(flag)) for start, end, mg, flag in rows)
    if band is None:
        return points, None
    lows, highs = band[:, since:].tolist()
    return points, tuple(zip(lows, highs, strict=True))
