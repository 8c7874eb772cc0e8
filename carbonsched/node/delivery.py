"""Brings what the outbox holds to the daemon, in a thread that nothing else waits for."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from carbonsched.errors import CarbonschedError, ForbiddenError, RequestError, TooLargeError
from carbonsched.node.journal import Journal
from carbonsched.node.postponed import Postponed
from carbonsched.node.receipt import Ended, Refusals, ended_runs, refusals
from carbonsched.node.spool import Spool, list_of

BATCH = 200
BATCH_BYTES = 500_000
"""Of files in one request; while it is under way the agent holds some ten times as much."""
UNTOLD_S = 3600.0
"""So long a daemon that does not know the key ``node`` is not told it again."""

Run = tuple[int, int]
"""Job id and restart count."""


class Poster(Protocol):
    """The part of ``carbonsched.transport.client.Client`` that delivery needs."""

    def post(self, path: str, document: Any) -> Any:
        """The daemon's answer."""
        ...


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose readings they are: a node of a cluster."""

    cluster: str
    node: str


class Delivery:
    """Posts batches every ``period_s`` until stopped; what is not acknowledged stays.

    ``present`` are the runs that the node believes present. The main loop replaces it, and asks
    ``ended`` for those of them that are over by Slurm's record. ``delivered_at`` is when the daemon
    last took something, in seconds since 1970, ``None`` for not yet.
    """

    def __init__(
        self,
        spool: Spool,
        connect: Callable[[], Poster],
        period_s: float,
        journal: Journal,
        sender: Sender,
    ) -> None:
        self._spool = spool
        self._connect = connect
        self._period_s = period_s
        self._journal = journal
        self._sender = sender
        self._poster: Poster | None = None
        self._postponed = Postponed()
        self._untold_until = 0.0
        self._ended: SimpleQueue[Ended] = SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)
        self.present: Sequence[Run] = ()
        self.delivered_at: float | None = None
        self.postponed = 0

    def start(self) -> None:
        """Begin delivering."""
        self._thread.start()

    def stop(self, patience_s: float) -> None:
        """Deliver once more and end; whatever hangs longer than ``patience_s`` is left behind."""
        self._stopping.set()
        self._thread.join(patience_s)

    def ended(self) -> list[Ended]:
        """What the daemon has said since the last call; never waits."""
        ended = []
        while not self._ended.empty():
            ended.append(self._ended.get_nowait())
        return ended

    def deliver(self) -> int:
        """Post all that waits; how many items were settled.

        Raises:
            CarbonschedError: the daemon did not take them: they wait for the next time.
        """
        batches = self._spool.batches(BATCH, BATCH_BYTES, self._postponed.begin_round())
        try:
            settled = sum(self._deliver_batch(paths) for paths in batches)
        finally:
            self.postponed = len(self._postponed)
        if self._postponed.end_round():
            self._journal.say("nothing is postponed any more: the daemon takes all readings")
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
        """Post a batch, in halves where it is too large; how many items were settled."""
        try:
            return self._deliver_whole(paths)
        except TooLargeError as error:
            half = len(paths) // 2
            if not half:
                self._spool.reject(paths[0], str(error))
                return 1
        return self._deliver_batch(paths[:half]) + self._deliver_batch(paths[half:])

    def _deliver_whole(self, paths: list[Path]) -> int:
        batch: dict[str, list[Any]] = {"segments": [], "epochs": []}
        sources: dict[str, list[Path]] = {"segments": [], "epochs": []}
        settled = 0
        spoilt = []
        for path in paths:
            item, which = _read(path), list_of(path)
            if item is None or which is None:
                spoilt.append(path)
            else:
                batch[which].append(item)
                sources[which].append(path)
        if batch["segments"] or batch["epochs"]:
            answer = self._post(batch)
            settled += self._settle(sources, refusals(answer))
            self.delivered_at = time.time()
            for one in ended_runs(answer):
                self._ended.put(one)
        for path in spoilt:
            self._spool.reject(path, "not a reading")
            settled += not path.exists()
        return settled

    def _settle(self, sources: dict[str, list[Path]], refused: Refusals) -> int:
        """Take what the daemon has answered for out of the outbox; how many items that were."""
        settled = 0
        for which, paths in sources.items():
            for index, path in enumerate(paths):
                refusal = refused.get((which, index))
                if refusal is None:
                    self._spool.delivered(path)
                elif refusal.retry:
                    self._postpone(path, refusal.error)
                    continue
                else:
                    self._spool.reject(path, refusal.error)
                settled += not path.exists()
        return settled

    def _postpone(self, path: Path, error: str) -> None:
        if self._postponed.add(path.name, error):
            self._journal.say(
                f"the daemon does not take {path.name} yet ({error}): it stays in the outbox and is"
                " sent again, and so are others of which that is said"
            )

    def _post(self, batch: dict[str, list[Any]]) -> Any:
        """The answer; a daemon of before the key ``node`` refuses it, and gets readings without."""
        if self._poster is None:
            self._poster = self._connect()
        if time.monotonic() < self._untold_until:
            return self._poster.post("/v1/readings", batch)
        view = {
            "cluster": self._sender.cluster,
            "name": self._sender.node,
            "jobs": [list(run) for run in self.present],
        }
        try:
            return self._poster.post("/v1/readings", batch | {"node": view})
        except (ForbiddenError, TooLargeError):
            raise
        except RequestError:
            answer = self._poster.post("/v1/readings", batch)
            self._untold_until = time.monotonic() + UNTOLD_S
            return answer


def _read(path: Path) -> dict[str, Any] | None:
    try:
        item = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return item if isinstance(item, dict) else None
