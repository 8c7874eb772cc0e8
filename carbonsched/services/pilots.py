"""Pilots: jobs that start at once for their first epoch, and on which is decided then.

A pilot that had better go on later is stopped as any running job is; here it is written down that
its first epoch was looked at, and what came of it. From then on it is planned like any other.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.model.job import JobKey
from carbonsched.model.pilot import PilotDecision
from carbonsched.model.prediction import PredictionSource
from carbonsched.model.stop import StopState
from carbonsched.services.pieces import Pieces
from carbonsched.units import format_duration

_LOGGER = logging.getLogger(__name__)


class Pilots:
    """Keeps the decisions; in ``shadow`` mode no job is stopped, so all go on."""

    def __init__(self, ledger: Ledger, pieces: Pieces, *, shadow: bool = False) -> None:
        self._ledger = ledger
        self._pieces = pieces
        self._shadow = shadow

    def decide(
        self,
        open_jobs: Iterable[KnownJob],
        to_stop: Collection[JobKey],
        now: int,
        *,
        foretold: bool,
    ) -> None:
        """Write down what this plan made of the pilots whose first epoch is complete.

        One that is ``to_stop`` and was not told yet, as Slurm does not answer or there were too
        many, is decided on by the next plan. ``foretold``: there was a forecast to plan by.
        """
        for known in open_jobs:
            if self._awaits(known):
                decision = self._decision(known, to_stop, now, foretold=foretold)
                if decision is not None:
                    self._ledger.pilots.save(decision)
                    words = "is stopped" if decision.stopped else "goes on"
                    _LOGGER.info(
                        "job %s of %s, a pilot, %s after its first epoch: %s",
                        known.job.shown_id, known.job.user, words, decision.note,
                    )  # fmt: skip

    def _awaits(self, known: KnownJob) -> bool:
        asked, job = self._pieces.asked(known), known.job
        if asked is None or not asked.pilot or job.started_at is None:
            return False
        found = self._ledger.plans.prediction(job.key)
        by_epochs = found is not None and found.source is PredictionSource.EPOCHS
        return by_epochs and self._ledger.pilots.of(job.key) is None

    def _decision(
        self, known: KnownJob, to_stop: Collection[JobKey], now: int, *, foretold: bool
    ) -> PilotDecision | None:
        key = known.job.key
        stop = self._ledger.stops.of(key)
        if stop is not None:
            stopped = stop.state is not StopState.LEFT
            return PilotDecision(key=key, decided_at=now, stopped=stopped, note=stop.note)
        if key in to_stop:
            return None
        why = self._why(known, now, foretold=foretold)
        return PilotDecision(key=key, decided_at=now, stopped=False, note=why)

    def _why(self, known: KnownJob, now: int, *, foretold: bool) -> str:
        """Why it goes on."""
        cost_s = self._pieces.stop_cost_s(known)
        if cost_s is None:
            return "it may not be stopped, which --carbon-checkpoint would allow"
        if self._shadow:
            return "no job is stopped in shadow mode"
        if self._pieces.slack_s(known, now) <= 0:
            return "its delay and deadline leave it no time to wait"
        if not foretold:
            return "there is no forecast to plan by"
        cost = format_duration(cost_s)
        return f"stopping it, which costs {cost} of running, would not save enough"
