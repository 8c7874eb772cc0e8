"""Taking readings from the nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from carbonsched.errors import ForbiddenError
from carbonsched.ledger import Ledger
from carbonsched.ledger.readings import Receipt
from carbonsched.model.energy import EnergySegment
from carbonsched.model.epoch import EpochRecord
from carbonsched.model.job import Job
from carbonsched.ports import Clock
from carbonsched.services.managed import Clusters
from carbonsched.services.presence import EPILOG_S, Presence
from carbonsched.transport.munge import Caller
from carbonsched.web.backend import NodeView

FUTURE_S = 3600
"""How far a node's clock may run ahead before its readings are refused."""


class _NotYetError(ValueError):
    """A sound reading that a mend here or on the node, or time alone, may let in."""


class TakeReadings:
    """Stores what agents send; each reading stands or falls by itself."""

    def __init__(
        self, clusters: Clusters, ledger: Ledger, presence: Presence, clock: Clock
    ) -> None:
        self._clusters = {managed.name for managed in clusters}
        self._ledger = ledger
        self._presence = presence
        self._clock = clock

    def take(
        self,
        caller: Caller,
        segments: list[Any],
        epochs: list[Any],
        node: NodeView | None = None,
    ) -> dict[str, Any]:
        """Store all that is sound, in one transaction; what is refused says why.

        ``retry`` tells of a refusal that the agent shall keep the reading and send it again later.

        Of the runs that a node believes present, ``ended`` tells those that are over by Slurm's
        record: their epilogs are missing there, and the ledger keeps that.

        Raises:
            ForbiddenError: the caller is not root on a node.
        """
        if caller.uid != 0:
            raise ForbiddenError("readings come from the agents, which run as root")
        receipts: dict[str, Any] = {"accepted": 0, "duplicates": 0, "refused": []}
        if node is not None:
            # Before the readings, which may make a job look whole whose end the node missed.
            self._presence.tell(node)
        with self._ledger.transaction():
            self._each("segments", segments, self._segment, receipts)
            self._each("epochs", epochs, self._epoch, receipts)
        receipts["ended"] = self._ended(node) if node is not None else []
        return receipts

    def _ended(self, node: NodeView) -> list[list[int]]:
        """``[job_id, restarts, ended_at]`` of each run that has ended, under the node's own name.

        A job that a node found without its prolog goes by 0 restarts there, whichever run it is. It
        is told the end of each run, and takes the one that does not lie before the run's begin.
        """
        found = []
        for job_id, restarts in node.jobs:
            runs = self._ledger.jobs.runs(node.cluster, job_id)
            for index, run in enumerate(runs):
                if restarts not in (run.key.restarts, 0):
                    continue
                ended_at = _ended_at(run, runs[index + 1 : index + 2])
                if ended_at is not None and ended_at + EPILOG_S <= self._clock.now():
                    found.append([job_id, restarts, ended_at])
            self._note_lost_end(node.name, restarts, runs)
        return found

    def _note_lost_end(self, node: str, restarts: int, runs: Sequence[Job]) -> None:
        """Keep that a node missed a run's epilog, and let the run be settled again.

        The run that a node believes present is the last one that began there under the name that
        it uses. If that one is not over, the node is right.
        """
        begun = [
            index
            for index, run in enumerate(runs)
            if restarts in (run.key.restarts, 0)
            and run.started_at is not None
            and node in run.nodes
        ]
        if not begun:
            return
        run, now = runs[begun[-1]], self._clock.now()
        ended_at = _ended_at(run, runs[begun[-1] + 1 :])
        if ended_at is None or ended_at + EPILOG_S > now:
            return
        with self._ledger.transaction():
            if self._ledger.lost_ends.add(run.key, node, ended_at, now):
                self._ledger.entries.reopen(run.key.cluster, run.key.job_id, run.key.restarts)

    def _each(
        self,
        name: str,
        items: list[Any],
        store: Callable[[Any], Receipt],
        receipts: dict[str, Any],
    ) -> None:
        for index, item in enumerate(items):
            retry = False
            try:
                receipt = store(item)
            except ValueError as error:
                refusal, retry = str(error), isinstance(error, _NotYetError)
            else:
                if receipt is not Receipt.CONFLICT:
                    counted = "accepted" if receipt is Receipt.ACCEPTED else "duplicates"
                    receipts[counted] += 1
                    continue
                refusal = "another reading of this node covers the same time with other figures"
            receipts["refused"].append(
                {"list": name, "index": index, "error": refusal, "retry": retry}
            )

    def _segment(self, wire: Any) -> Receipt:
        segment = EnergySegment.from_wire(wire)
        now = self._checked(segment.cluster, segment.end_at)
        receipt = self._ledger.readings.add_segment(segment, now)
        if receipt is Receipt.ACCEPTED:
            for part in segment.parts:
                if part.job_id is not None and part.restarts is not None:
                    self._ledger.entries.reopen(segment.cluster, part.job_id, part.restarts)
        return receipt

    def _epoch(self, wire: Any) -> Receipt:
        record = EpochRecord.from_wire(wire)
        now = self._checked(record.cluster, record.started_ms // 1000)
        return self._ledger.readings.add_epoch(record, now)

    def _checked(self, cluster: str, at: int) -> int:
        now = self._clock.now()
        if cluster not in self._clusters:
            raise _NotYetError(f"cluster {cluster!r} is not managed here")
        if at > now + FUTURE_S:
            raise _NotYetError(
                "it lies more than an hour ahead; check the clocks of node and daemon"
            )
        return now


def _ended_at(run: Job, later: Sequence[Job]) -> int | None:
    """When a run ended: by its record, else at the latest when the job was put back in the queue.

    An id that came round again says nothing of the run before, but that one is over all the more.
    """
    if run.started_at is None:
        return None
    if run.ended_at is not None:
        return run.ended_at
    return later[0].key.submitted_at if later else None
