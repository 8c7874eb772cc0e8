"""Delimited output whose fields may hold anything: the delimiter is drawn anew for each call.

Job names and comments are their users' own text, with newlines or control characters if they
like. A delimiter that nobody can foresee cannot be forged into them.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from carbonsched.errors import ClusterError


def new_delimiter() -> str:
    """Some characters that no text holds but by a chance of one in 2^64."""
    return f"\x1f{secrets.token_hex(8)}\x1f"


def read_records(text: str, names: Sequence[str], delimiter: str) -> list[dict[str, str]]:
    """Records of the named fields, each field ended by the delimiter, each record by a newline.

    Raises:
        ClusterError: the fields do not come out even.
    """
    pieces = text.split(delimiter)
    tail = pieces.pop()
    if tail.strip() or len(pieces) % len(names):
        raise ClusterError("Slurm's delimited output is cut off or holds other fields than asked")
    records = []
    for start in range(0, len(pieces), len(names)):
        values = pieces[start : start + len(names)]
        values[0] = values[0].removeprefix("\n")
        records.append(dict(zip(names, values, strict=True)))
    return records
