"""Epochs of training jobs: from the marks that jobs send to records with metered energy."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from carbonsched.model.energy import Quality, worse
from carbonsched.model.epoch import EpochRecord
from carbonsched.node.epoch_parts import Course
from carbonsched.node.mark_format import Mark

MAX_OPEN = 2
"""Epochs open at once in one job: ranks may be one epoch apart."""
_NS_PER_MS = 1_000_000
_UJ_PER_MILLIJ = 1000


@dataclass(slots=True, kw_only=True)
class _OpenEpoch:
    """An epoch that has started; count, mean and m2 are Welford's, over watts of samples.

    ``quality`` is the worst so far, ``limit_w`` the power limit of the job's GPUs as long as it
    has been one and the same.
    """

    job_id: int
    restarts: int
    epoch: int
    started_ns: int
    start_uj: int
    count: int = 0
    mean: float = 0.0
    m2: float = 0.0
    quality: Quality = Quality.MEASURED
    course: Course = field(default_factory=Course)
    limit_w: int | None = None

    def to_state(self) -> dict[str, Any]:
        """For ``state.json``."""
        state = {one.name: getattr(self, one.name) for one in fields(self)}
        return state | {"course": self.course.to_state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> _OpenEpoch:
        """As ``to_state`` said; states that earlier agents left have no course."""
        course = Course.from_state(state["course"]) if "course" in state else Course()
        return cls(**(state | {"quality": Quality(state["quality"]), "course": course}))


class EpochBook:
    """Open epochs. With several ranks in a job, the first start and the first end count."""

    def __init__(self, cluster: str, node: str) -> None:
        self._cluster = cluster
        self._node = node
        self._open: list[_OpenEpoch] = []
        self._finished: dict[tuple[int, int], int] = {}

    def mark(
        self,
        run: tuple[int, int],
        uid: int,
        mark: Mark,
        now_ns: int,
        energy_uj: int,
        quality: Quality,
        limit_w: int | None = None,
    ) -> EpochRecord | None:
        """Take in a mark of a run (job id, restarts) that has used ``energy_uj`` so far.

        ``quality`` is that of its energy around ``now_ns``, ``limit_w`` its GPUs' power limit.
        """
        if mark.epoch <= self._finished.get(run, 0):
            return None  # another rank was first
        mine = [one for one in self._open if (one.job_id, one.restarts) == run]
        found = next((one for one in mine if one.epoch == mark.epoch), None)
        if mark.start:
            if found is None:
                self._make_room(mine)
                self._open.append(
                    _OpenEpoch(
                        job_id=run[0],
                        restarts=run[1],
                        epoch=mark.epoch,
                        started_ns=now_ns,
                        start_uj=energy_uj,
                        quality=quality,
                        limit_w=limit_w,
                    )
                )
            return None
        if found is None or now_ns - found.started_ns < _NS_PER_MS:
            return None
        self._finished[run] = mark.epoch
        self._open = [one for one in self._open if one not in mine or one.epoch > mark.epoch]
        found.quality = worse(found.quality, quality)
        return self._record(found, uid, mark, now_ns, energy_uj)

    def sample(
        self,
        run: tuple[int, int],
        now_ns: int,
        energy_uj: int,
        quality: Quality,
        watts: float | None,
        limit_w: int | None = None,
    ) -> None:
        """An interval, until now, of a run within its open epochs.

        ``energy_uj`` is what the run has used so far, ``watts`` its power in the interval where
        that was a whole sample, ``limit_w`` its GPUs' power limit at the end of it.
        """
        for one in self._open:
            if (one.job_id, one.restarts) == run:
                one.quality = worse(one.quality, quality)
                one.course.add(now_ns - one.started_ns, energy_uj - one.start_uj)
                if limit_w != one.limit_w:
                    one.limit_w = None  # for good: no other limit equals it
                if watts is not None:
                    one.count += 1
                    difference = watts - one.mean
                    one.mean += difference / one.count
                    one.m2 += difference * (watts - one.mean)

    def note_gap(self) -> None:
        """Time within every open epoch was not metered."""
        for one in self._open:
            one.quality = worse(one.quality, Quality.PARTIAL)
            one.limit_w = None

    def keep(self, runs: Iterable[tuple[int, int]]) -> None:
        """Forget the epochs of runs that are no longer there."""
        there = set(runs)
        if self._open or self._finished:
            self._open = [one for one in self._open if (one.job_id, one.restarts) in there]
            self._finished = {run: last for run, last in self._finished.items() if run in there}

    def to_state(self) -> dict[str, Any]:
        """For ``state.json``."""
        return {
            "open": [one.to_state() for one in self._open],
            "finished": [[*run, last] for run, last in self._finished.items()],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from ``state.json``."""
        self._open = [_OpenEpoch.from_state(one) for one in state["open"]]
        self._finished = {(job, restarts): last for job, restarts, last in state["finished"]}

    def _make_room(self, mine: list[_OpenEpoch]) -> None:
        if len(mine) >= MAX_OPEN:
            self._open.remove(mine[0])

    def _record(
        self, one: _OpenEpoch, uid: int, mark: Mark, now_ns: int, energy_uj: int
    ) -> EpochRecord:
        relative_sd, samples = mark.step_relative_sd, mark.steps
        if relative_sd is None:
            samples = one.count
            if one.count > 1 and one.mean > 0:
                relative_sd = math.sqrt(one.m2 / (one.count - 1)) / one.mean
        duration_ns, used_uj = now_ns - one.started_ns, max(0, energy_uj - one.start_uj)
        return EpochRecord(
            cluster=self._cluster,
            node=self._node,
            job_id=one.job_id,
            restarts=one.restarts,
            uid=uid,
            epoch=one.epoch,
            epochs=mark.epochs,
            started_ms=one.started_ns // _NS_PER_MS,
            duration_ms=duration_ns // _NS_PER_MS,
            energy_millij=used_uj // _UJ_PER_MILLIJ,
            relative_sd=relative_sd,
            samples=samples,
            quality=one.quality,
            steps=mark.steps,
            parts=one.course.divide(mark.part_ends_us, duration_ns, used_uj),
            gpu_limit_w=one.limit_w,
        )
