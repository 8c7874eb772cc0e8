"""What the labs of one host must share out: node names (control groups!), ports and users.

A small table in /run says which lab holds what, so that several run side by side and the last one
to use a user that a lab has added is the one to remove it.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import cgroups, users
from .failure import LabError
from .ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLE = Path("/run/carbonsched-labs.json")
_PREFIXES = ("n", *(f"n{letter}" for letter in "abcdefghijklmopqrstuvwxyz"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one lab holds; ``added`` are those of its users that it must see removed."""

    nodes: list[str]
    ports: list[int]
    users: list[str]
    added: list[str]


def take(directory: Path, *, nodes: int, ports: int, homes: dict[str, str]) -> Share:
    """A share for a new lab: unused node names, free ports, and its users (name to home)."""
    with _table() as shares:
        for gone in [name for name in shares if not Path(name).exists()]:
            _drop(shares, gone)
        if str(directory) in shares:
            raise LabError(f"{directory} belongs to a lab already; stop it first")
        others = list(shares.values())
        share = Share(
            nodes=_node_names(nodes, {name for other in others for name in other.nodes}),
            ports=free_ports(ports, {port for other in others for port in other.ports}),
            users=list(homes),
            added=[],
        )
        shares[str(directory)] = share
        for name, home in homes.items():
            if not users.exists(name):
                users.add(name, home)
                share.added.append(name)
        return share


def give_back(directory: Path) -> None:
    """Ends the lab's share and removes the users that it added, unless another lab needs them."""
    with _table() as shares:
        if str(directory) in shares:
            _drop(shares, str(directory))


def share_of(directory: Path) -> Share | None:
    """What the lab there holds; None when it has given it back."""
    with _table() as shares:
        return shares.get(str(directory))


def directories() -> list[Path]:
    """Where labs are on this host."""
    with _table() as shares:
        return [Path(name) for name in shares]


def _drop(shares: dict[str, Share], directory: str) -> None:
    for name in shares.pop(directory).added:
        heir = next((share for share in shares.values() if name in share.users), None)
        if heir is None:
            users.remove(name)
        else:
            heir.added.append(name)


def _node_names(count: int, taken: set[str]) -> list[str]:
    for prefix in _PREFIXES:
        names = [f"{prefix}{number}" for number in range(1, count + 1)]
        if not taken.intersection(names) and not cgroups.of_nodes(names):
            return names
    raise LabError("no free node names: stop some of the labs on this host")


@contextmanager
def _table() -> Iterator[dict[str, Share]]:
    """The table under a lock; what the block changes is kept, also when it raises."""
    lock = os.open(_TABLE.parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rows = json.loads(_TABLE.read_text()) if _TABLE.exists() else {}
        shares = {directory: Share(**row) for directory, row in rows.items()}
        try:
            yield shares
        finally:
            _save(shares)
    finally:
        os.close(lock)


def _save(shares: dict[str, Share]) -> None:
    if not shares:
        _TABLE.unlink(missing_ok=True)
        return
    rows = {directory: asdict(share) for directory, share in shares.items()}
    draft = _TABLE.with_suffix(".new")
    draft.write_text(json.dumps(rows, indent=1))
    draft.replace(_TABLE)
