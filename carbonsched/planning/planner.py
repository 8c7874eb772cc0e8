"""The planner: what a CPU is worth by cluster and hour, then each job where it costs least.

Every half-hour prices are found at which what waits, and what is expected to come, fits into the
CPUs. At every plan jobs are then placed one by one at the start that costs them least, the largest
first, as CPUs that are free together are what lacks most. Jobs whose latest start comes near, by
a pessimistic reckoning, go first. See docs/adr/0015-prices-on-capacity.md.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from carbonsched.model.intensity import Forecast
from carbonsched.model.job import JobKey
from carbonsched.model.plan import Plan, Reason
from carbonsched.planning.ahead import Ahead
from carbonsched.planning.choosing import Choice, Chooser, Costs, slots_ahead
from carbonsched.planning.lengths import lengths_of
from carbonsched.planning.market import Bid, Market
from carbonsched.planning.pausing import pieces, worth_it
from carbonsched.planning.pressing import FULL, PRESSED, Pressing, spare_of_s, urgency
from carbonsched.planning.request import (
    ClusterState,
    Pausable,
    PlanningJob,
    PlanningRequest,
    Prices,
)
from carbonsched.planning.rooms import CAREFUL, TYPICAL, Rooms
from carbonsched.planning.signal import Signal
from carbonsched.planning.telling import Telling
from carbonsched.planning.triage import Order

_TIGHT_S = 2 * 3600
"""A job with less time than this takes room before larger ones do."""
_QUEUED = "it waits in the queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One plan for each job, ordered by job key, and what the next plan may begin with.

    ``pauses`` are the running jobs that had better stop now and go on later.
    """

    plans: tuple[Plan, ...]
    prices: Prices | None
    pauses: tuple[JobKey, ...] = ()


def plan(request: PlanningRequest) -> Planned:
    """Plan every job of the request.

    The same request gives the same plans, whatever the order of its jobs.
    """
    return _Planner(request).plan()


class _Planner:
    """The plans of one request; owns the count of CPUs while it makes them."""

    def __init__(self, request: PlanningRequest) -> None:
        self._request = request
        self._now = request.now
        self._clusters = {one.name: one for one in sorted(request.clusters, key=_name)}
        self._jobs = sorted(request.jobs, key=lambda job: job.key)
        slot_s = request.parameters.price_slot_s
        base_at = self._now // slot_s * slot_s
        lengths = lengths_of(slot_s, -(-request.parameters.horizon_s // slot_s))
        self._forecasts = self._signals({n: c.forecast for n, c in self._clusters.items()})
        compared = {n: c.ranking or c.forecast for n, c in self._clusters.items()}
        self._ahead = {
            name: Ahead(lengths, base_at, signal)
            for name, signal in self._signals(compared).items()
            if signal.end_at > self._now
        }
        self._pressing = Pressing(self._now, self._clusters)
        self._telling = Telling(
            self._now, request.parameters.slot_s, self._clusters, self._forecasts
        )
        self._market = Market(lengths, base_at, list(self._clusters.values()), self._ahead)

    def plan(self) -> Planned:
        """Jobs that cannot wait first, for they use room whatever is decided."""
        choices = {job.key: one for job in self._jobs if (one := self._fixed(job))}
        open_jobs = [job for job in self._jobs if job.key not in choices]
        pressed = self._pressed(open_jobs, choices)
        prices = self._price(open_jobs)
        rooms = self._rooms(TYPICAL)
        for job in sorted(self._jobs, key=urgency):
            if job.key in choices:
                self._count(job, choices[job.key], rooms)
        waiting = [job for job in open_jobs if job.key not in choices]
        self._place(waiting, self._pressing.order(waiting, pressed, rooms), rooms, choices)
        plans = tuple(self._telling.plan(job, choices[job.key]) for job in self._jobs)
        pauses = tuple(
            one.key for one in sorted(self._request.pausable, key=_key) if self._stops(one)
        )
        return Planned(plans=plans, prices=prices, pauses=pauses)

    def _place(
        self,
        jobs: list[PlanningJob],
        order: Order,
        rooms: Rooms,
        choices: dict[JobKey, Choice],
    ) -> None:
        """First what is urgent, then what can be weighed, at last what is late whatever is done."""
        for job in order.urgent:
            choices[job.key] = self._pressing.hurry(job, rooms, PRESSED)
        last = {job.key for job in order.late}
        weighed = [job for job in jobs if job.key not in choices and job.key not in last]
        parameters = self._request.parameters
        costs = Costs(self._ahead, weighed, slots_ahead(self._now, parameters))
        chooser = Chooser(self._now, parameters, self._ahead, costs, rooms)
        for job in self._in_turn(weighed):
            chosen = chooser.choose(job, self._pressing.last_at(job))
            choices[job.key] = chosen or self._without_room(job, rooms, order)
        for job in order.late:  # within its bounds even so
            latest_at = job.bounds.latest_at
            choices[job.key] = self._pressing.hurry(job, rooms, FULL, latest_at)

    def _signals(self, forecasts: Mapping[str, Forecast | None]) -> dict[str, Signal]:
        return {
            name: Signal(forecast, self._now, self._clusters[name].pue_ppm)
            for name, forecast in forecasts.items()
            if forecast is not None
        }

    # Jobs that are not weighed

    def _fixed(self, job: PlanningJob) -> Choice | None:
        """The choice where nothing has to be weighed, else ``None``."""
        floor_at = job.floor_at(self._now)
        if job.quota is not None and job.quota.until_at > floor_at:
            return Choice(job.quota.until_at, Reason.QUOTA, job.quota.text)
        if job.planned_start_at is not None and job.planned_start_at <= self._now:
            return Choice(floor_at, Reason.CLEANER, "the time it was deferred to has come")
        if not job.bounds.deferrable or job.bounds.latest_at <= floor_at:
            later = " leaves no more time to wait" if job.bounds.deferrable else ""
            reason = Reason.USER_BEGIN if floor_at > self._now else Reason.NOT_DEFERRABLE
            return Choice(floor_at, reason, f"{job.bounds.why}{later}")
        unforeseen = self._unforeseen(job)
        if unforeseen is not None:
            return Choice(floor_at, *unforeseen)
        if job.released and not job.elsewhere:
            return Choice(floor_at, Reason.NO_ROOM, _QUEUED)
        return None

    def _unforeseen(self, job: PlanningJob) -> tuple[Reason, str] | None:
        """What is not known of it or of its grid, without which it cannot be weighed."""
        state = self._clusters[job.key.cluster]
        if state.forecast is None and state.ranking is None:
            return Reason.NO_FORECAST, "there is no forecast for its grid zone"
        if state.name not in self._ahead:
            return Reason.FORECAST_TOO_SHORT, "the forecast ends before the job"
        if job.prediction is None:
            return Reason.NOT_DEFERRABLE, "nothing tells how long it will run"
        return None

    def _pressed(self, jobs: list[PlanningJob], choices: dict[JobKey, Choice]) -> list[PlanningJob]:
        """The jobs that can wait no longer; those in a queue are given theirs in ``choices``."""
        rooms = self._rooms(CAREFUL)
        for job in self._jobs:
            if job.key in choices:
                self._count(job, choices[job.key], rooms)
        for job in sorted(jobs, key=urgency):
            if job.released:
                place = self._pressing.queue_for(job, rooms)
                choices[job.key] = Choice(job.floor_at(self._now), Reason.NO_ROOM, _QUEUED, place)
        waiting = [job for job in jobs if job.key not in choices]
        return self._pressing.pressed(waiting, rooms, crowded=self._crowded())

    def _crowded(self) -> bool:
        """Whether what waits does not all fit beside what runs."""
        clusters = self._clusters.values()
        busy = sum(one.cpus for cluster in clusters for one in cluster.busy)
        waiting = sum(job.cpus for job in self._jobs)
        return busy + waiting > sum(cluster.cpus for cluster in clusters)

    def _without_room(self, job: PlanningJob, rooms: Rooms, order: Order) -> Choice:
        """It queues at once, where Slurm keeps nodes for it in its turn.

        Where some will be late it waits for its turn outside, not to go ahead of those.
        """
        if order.late:
            return self._pressing.hurry(job, rooms, FULL)
        floor_at = job.floor_at(self._now)
        _, place = rooms.queue(job.places, floor_at)
        return Choice(floor_at, Reason.NO_ROOM, FULL, place)

    def _count(self, job: PlanningJob, choice: Choice, rooms: Rooms) -> None:
        """Take the job's room where the queue will let it in.

        A job whose length nobody knows is counted to the end of the time looked at.
        """
        until_at = self._now + self._request.parameters.horizon_s
        if choice.start_at >= until_at:
            return
        if not job.places:
            rooms[job.key.cluster].hold(choice.start_at, None, job.cpus)
            return
        rooms.queue((choice.place or job.places[0],), choice.start_at)

    def _rooms(self, share: float) -> Rooms:
        parameters = self._request.parameters
        until_at = self._now + parameters.horizon_s
        return Rooms(list(self._clusters.values()), self._now, until_at, parameters.slot_s, share)

    # Jobs that are

    def _price(self, jobs: list[PlanningJob]) -> Prices | None:
        if not self._ahead:
            return None
        bids = [
            Bid(job.places, job.floor_at(self._now), self._pressing.last_at(job)) for job in jobs
        ]
        bids += [Bid(one.places, one.first_at, one.last_at) for one in self._request.expected]
        prices = self._market.prices(bids, self._request.before)
        for name, price in prices.by_cluster.items():
            self._ahead[name].set_price(price)
        return prices

    def _stops(self, one: Pausable) -> bool:
        """Whether a running job had better stop now and go on in cheaper hours."""
        ahead = self._ahead.get(one.cluster)
        if ahead is None or one.slack_s <= ahead.slot_s:
            return False
        work = ahead.slots_of(one.left)
        window = work + (one.slack_s - spare_of_s(one.slack_s)) / ahead.slot_s
        found = pieces(ahead.cost(one.watts, one.cpus), work, window, one.cost_s / ahead.slot_s)
        whole_mg = one.watts * float(ahead.rates[: max(1, round(work))].sum())
        needed_mg = self._request.parameters.needed_mg(whole_mg)
        return found.runs[0][0] > 0 and worth_it(found.saved_mg, whole_mg, needed_mg)

    def _in_turn(self, jobs: list[PlanningJob]) -> list[PlanningJob]:
        """Those that can hardly wait any more; then the largest first.

        Of equally large ones each user's first, then each one's second.
        """
        turns: dict[JobKey, int] = {}
        seen: Counter[str] = Counter()
        for job in sorted(jobs, key=lambda job: (job.key.submitted_at, job.key)):
            turns[job.key] = seen[job.user]
            seen[job.user] += 1

        def order(job: PlanningJob) -> tuple[float, float, int, int, int, JobKey]:
            area = max(place.cpus * place.length.mean_s for place in job.places)
            last_at = self._pressing.last_at(job)
            hurry = last_at - job.floor_at(self._now) < _TIGHT_S
            return (
                last_at if hurry else math.inf,
                -area,
                job.bounds.latest_at,
                turns[job.key],
                job.key.submitted_at,
                job.key,
            )

        return sorted(jobs, key=order)


def _name(cluster: ClusterState) -> str:
    return cluster.name


def _key(one: Pausable) -> JobKey:
    return one.key
