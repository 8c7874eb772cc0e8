"""The agent's folder on local disk: state, outbox, what was rejected.

``state.json`` is replaced whole, at once when something happened. A closed item is first in the
state, then in the outbox, then at the daemon, and leaves each place only when the next one has it.
A crash in between repeats a step with the very same bytes, so the same key can never stand for two
contents.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Container, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from carbonsched.errors import ConfigError, RequestError
from carbonsched.model.energy import EnergySegment
from carbonsched.model.epoch import EpochRecord
from carbonsched.node.files import write_atomically
from carbonsched.node.journal import Journal

LISTS = {"segment": "segments", "epoch": "epochs"}


class Spool:
    """One node's folder; only one agent at a time may hold it."""

    def __init__(self, root: Path, journal: Journal) -> None:
        self.root = root
        self._journal = journal
        self._state = root / "state.json"
        self._outbox = root / "outbox"
        self._rejected = root / "rejected"
        try:
            for folder in ("events", "outbox", "rejected"):
                (root / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(root / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            remedy = "run the agent as root, or name another agent.spool"
            raise ConfigError([f"spool {root}: {error.strerror}; {remedy}"]) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise RequestError(
                f"another agent is metering with {root}; stop it first, or name another node"
            ) from None

    def close(self) -> None:
        """Let another agent have the folder."""
        os.close(self._lock)

    def load_state(self) -> dict[str, Any] | None:
        """The state that an earlier agent left; a damaged one is kept aside."""
        try:
            state = json.loads(self._state.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError([f"{self._state}: {error.strerror}; run the agent as root"]) from None
        except (ValueError, RecursionError) as error:
            self.set_state_aside(str(error))
            return None
        if isinstance(state, dict):
            return state
        self.set_state_aside("not an object")
        return None

    def set_state_aside(self, why: str) -> None:
        """Keep a state that cannot be used under another name, and start without one."""
        aside = self._state.with_name("state.json.damaged")
        self._journal.say(f"{self._state} cannot be used ({why}): kept as {aside.name}, starting")
        with suppress(OSError):
            self._state.replace(aside)

    def save_state(self, state: dict[str, Any], *, durable: bool) -> bool:
        """Replace the state; ``False`` (and one line) if the disk does not take it."""
        try:
            write_atomically(self._state, json.dumps(state), durable=durable)
        except OSError as error:
            self._journal.trouble(
                "spool", f"cannot write to {self.root} ({error.strerror}): kept in memory, retrying"
            )
            return False
        self._journal.over("spool", f"{self.root} can be written again")
        return True

    def put(self, item: EnergySegment | EpochRecord) -> bool:
        """Place a closed item in the outbox; ``False`` (and one line) if the disk refuses."""
        path = self._outbox / _name(item)
        try:
            write_atomically(path, json.dumps(item.to_wire()), durable=True)
        except OSError as error:
            self._journal.trouble(
                "outbox", f"cannot write to {self._outbox} ({error.strerror}): kept, retrying"
            )
            return False
        self._journal.over("outbox", f"{self._outbox} can be written again")
        return True

    def batches(self, most: int, most_bytes: int, but: Container[str] = ()) -> Iterator[list[Path]]:
        """All that waits now ``but`` some names, oldest first, in pieces for one request each.

        A piece has at most so many items and bytes, and at least one item, whatever its size.
        """
        batch: list[Path] = []
        left = most_bytes
        for name in self._waiting():
            if name in but:
                continue
            path = self._outbox / name
            try:
                size = path.stat().st_size
            except OSError:
                continue  # gone meanwhile, or for the next time
            if batch and (len(batch) == most or size > left):
                yield batch
                batch, left = [], most_bytes
            batch.append(path)
            left -= size
        if batch:
            yield batch

    def _waiting(self) -> list[str]:
        """The names of all items in the outbox, oldest first."""
        try:
            with os.scandir(self._outbox) as entries:
                names = [entry.name for entry in entries]
        except OSError:
            return []
        return sorted(name for name in names if name.endswith(".json") and name[0] != ".")

    def delivered(self, path: Path) -> None:
        """The daemon has it."""
        with suppress(OSError):
            path.unlink()

    def reject(self, path: Path, error: str) -> None:
        """The daemon will never take it: keep it with the reason, out of the way."""
        self._journal.say(f"{path.name} was refused ({error}): kept in {self._rejected}")
        with suppress(OSError):
            path.replace(self._rejected / path.name)
            (self._rejected / f"{path.name}.error").write_text(error + "\n", encoding="utf-8")


def _name(item: EnergySegment | EpochRecord) -> str:
    """The same item always gets the same name, and the names sort by age."""
    if isinstance(item, EnergySegment):
        return f"segment.{item.start_at:012d}.json"
    return f"epoch.{item.job_id}.{item.restarts}.{item.epoch:08d}.json"


def list_of(path: Path) -> str | None:
    """Which list of ``POST /v1/readings`` an outbox file belongs to."""
    return LISTS.get(path.name.split(".", 1)[0])
