"""What a choice comes to: a plan with its masses and its sentence."""

from __future__ import annotations

from collections.abc import Mapping

from carbonsched.model.plan import Plan
from carbonsched.planning import wording
from carbonsched.planning.best import cleanest_mg
from carbonsched.planning.choosing import Choice
from carbonsched.planning.request import ClusterState, Place, PlanningJob
from carbonsched.planning.signal import Signal


class Telling:
    """Makes plans of choices; masses are by the forecasts, whatever starts were compared by."""

    def __init__(
        self,
        now: int,
        slot_s: int,
        clusters: Mapping[str, ClusterState],
        forecasts: Mapping[str, Signal],
    ) -> None:
        self._now = now
        self._slot_s = slot_s
        self._clusters = clusters
        self._forecasts = forecasts

    def plan(self, job: PlanningJob, choice: Choice) -> Plan:
        """Beside the earliest start, and the cleanest of all."""
        floor_at = job.floor_at(self._now)
        own = job.places[0] if job.places else None
        place = choice.place or own
        cluster = self._clusters[place.cluster if place else job.key.cluster]
        expected_mg = self._mass(place, choice.start_at)
        baseline_mg = self._mass(own, floor_at)
        queue_at = choice.queue_at if choice.queue_at and choice.queue_at > floor_at else None
        why = choice.why
        if cluster.ranking is not None and choice.place is not None:
            info = cluster.ranking.info
            by = f"compared by {info.provider}'s {info.kind} intensity"
            why = f"{why}, {by}" if why else by
        forecast = cluster.forecast
        return Plan(
            key=job.key,
            made_at=self._now,
            start_at=choice.start_at,
            cluster=cluster.name,
            baseline_at=floor_at,
            latest_at=max(choice.start_at, job.bounds.latest_at),
            reason=choice.reason,
            text=wording.sentence(
                wait_s=choice.start_at - self._now,
                floor_s=floor_at - self._now,
                why=why,
                expected_mg=expected_mg,
                baseline_mg=baseline_mg if queue_at is None else self._mass(own, queue_at),
                queue_s=0 if queue_at is None else queue_at - self._now,
            ),
            expected_mg=expected_mg,
            baseline_mg=baseline_mg,
            best_mg=self._best_mg(job, choice, expected_mg),
            forecast_issued_at=None if forecast is None else forecast.issued_at,
            provider=None if forecast is None else forecast.info.provider,
            in_pieces=choice.in_pieces,
        )

    def _best_mg(self, job: PlanningJob, choice: Choice, expected_mg: int | None) -> int | None:
        """What the cleanest start would weigh: never more than the chosen one within the bounds."""
        signal = self._forecasts.get(job.key.cluster)
        if signal is None or not job.places:
            return None
        found = cleanest_mg(signal, job, job.places[0], self._now, self._slot_s)
        if found is None or expected_mg is None or choice.start_at > job.bounds.latest_at:
            return None if found is None else round(found)
        return min(round(found), expected_mg)

    def _mass(self, place: Place | None, start_at: int) -> int | None:
        """Milligrams of the job if it starts then; ``None`` where the forecast does not reach."""
        if place is None:
            return None
        signal = self._forecasts.get(place.cluster)
        if signal is None or not signal.covers(start_at, place.length):
            return None
        return round(signal.mass_mg(place, start_at))
