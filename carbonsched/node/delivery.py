"""Brings what the outbox holds to the daemon, in a thread that nothing else waits for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from carbonsched.errors import CarbonschedError, DaemonError
from carbonsched.node.journal import Journal
from carbonsched.node.spool import Spool, list_of

BATCH = 200


class Poster(Protocol):
    """The part of ``carbonsched.transport.client.Client`` that delivery needs."""

    def post(self, path: str, document: Any) -> Any:
        """The daemon's answer."""
        ...


class Delivery:
    """Posts batches every ``period_s`` until stopped; what is not acknowledged stays."""

    def __init__(
        self, spool: Spool, connect: Callable[[], Poster], period_s: float, journal: Journal
    ) -> None:
        self._spool = spool
        self._connect = connect
        self._period_s = period_s
        self._journal = journal
        self._poster: Poster | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def start(self) -> None:
        """Begin delivering."""
        self._thread.start()

    def stop(self, patience_s: float) -> None:
        """Deliver once more and end; whatever hangs longer than ``patience_s`` is left behind."""
        self._stopping.set()
        self._thread.join(patience_s)

    def deliver(self) -> int:
        """Post all that waits; how many items were settled.

        Raises:
            CarbonschedError: the daemon did not take them: they wait for the next time.
        """
        settled = 0
        while paths := self._spool.waiting(BATCH):
            done = self._deliver_batch(paths)
            if not done:
                break
            settled += done
        return settled

    def _run(self) -> None:
        while True:
            last_time = self._stopping.wait(self._period_s)
            try:
                settled = self.deliver()
                if settled:
                    self._journal.over("daemon", f"the daemon answers again: {settled} delivered")
            except CarbonschedError as error:
                self._journal.trouble("daemon", f"{error}; readings are kept until it does")
            if last_time:
                return

    def _deliver_batch(self, paths: list[Path]) -> int:
        batch: dict[str, list[Any]] = {"segments": [], "epochs": []}
        sources: dict[str, list[Path]] = {"segments": [], "epochs": []}
        settled = 0
        for path in paths:
            item, which = _read(path), list_of(path)
            if item is None or which is None:
                self._spool.reject(path, "not a reading")
                settled += not path.exists()
            else:
                batch[which].append(item)
                sources[which].append(path)
        if batch["segments"] or batch["epochs"]:
            refused = _refused(self._post(batch))
            for which, owners in sources.items():
                for index, path in enumerate(owners):
                    if (which, index) in refused:
                        self._spool.reject(path, refused[which, index])
                    else:
                        self._spool.delivered(path)
                    settled += not path.exists()
        return settled

    def _post(self, batch: dict[str, list[Any]]) -> Any:
        if self._poster is None:
            self._poster = self._connect()
        return self._poster.post("/v1/readings", batch)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        item = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return item if isinstance(item, dict) else None


def _refused(answer: Any) -> dict[tuple[str, int], str]:
    """Which items the daemon refused, and why."""
    try:
        refused = {
            (str(one["list"]), int(one["index"])): str(one["error"]) for one in answer["refused"]
        }
        int(answer["accepted"])
    except (TypeError, KeyError, ValueError):
        raise DaemonError(
            "the daemon's answer to readings is not one: are versions equal?"
        ) from None
    return refused
