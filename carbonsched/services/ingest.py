"""Taking readings from the nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from carbonsched.errors import ForbiddenError
from carbonsched.ledger import Ledger
from carbonsched.ledger.readings import Receipt
from carbonsched.model.energy import EnergySegment, EpochRecord
from carbonsched.ports import Clock
from carbonsched.services.managed import Clusters
from carbonsched.transport.munge import Caller

FUTURE_S = 3600
"""How far a node's clock may run ahead before its readings are refused."""


class TakeReadings:
    """Stores what agents send; each reading stands or falls by itself."""

    def __init__(self, clusters: Clusters, ledger: Ledger, clock: Clock) -> None:
        self._clusters = {managed.name for managed in clusters}
        self._ledger = ledger
        self._clock = clock

    def take(self, caller: Caller, segments: list[Any], epochs: list[Any]) -> dict[str, Any]:
        """Store all that is sound, in one transaction; what is refused says why.

        Raises:
            ForbiddenError: the caller is not root on a node.
        """
        if caller.uid != 0:
            raise ForbiddenError("readings come from the agents, which run as root")
        receipts: dict[str, Any] = {"accepted": 0, "duplicates": 0, "refused": []}
        with self._ledger.transaction():
            self._each("segments", segments, self._segment, receipts)
            self._each("epochs", epochs, self._epoch, receipts)
        return receipts

    def _each(
        self,
        name: str,
        items: list[Any],
        store: Callable[[Any], Receipt],
        receipts: dict[str, Any],
    ) -> None:
        for index, item in enumerate(items):
            try:
                receipt = store(item)
            except ValueError as error:
                refusal = str(error)
            else:
                if receipt is not Receipt.CONFLICT:
                    counted = "accepted" if receipt is Receipt.ACCEPTED else "duplicates"
                    receipts[counted] += 1
                    continue
                refusal = "another reading of this node covers the same time with other figures"
            receipts["refused"].append({"list": name, "index": index, "error": refusal})

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
            raise ValueError(f"cluster {cluster!r} is not managed here")
        if at > now + FUTURE_S:
            raise ValueError("it lies more than an hour ahead; check the node's clock")
        return now
