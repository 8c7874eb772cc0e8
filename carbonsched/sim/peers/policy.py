"""A peer's rule as a policy of the simulator."""

from __future__ import annotations

from carbonsched.sim.engine import Decision, Running, Start, Waiting
from carbonsched.sim.peers.outlook import Outlook
from carbonsched.sim.peers.rules import RULES, Arrival
from carbonsched.sim.scenario import Run, Scenario, SimCluster, SimJob

_DAY_S = 86_400
_SHORT_S = 7200  # requested by jobs of the one class, more by the other


class PeerPolicy:
    """Decides once, when a job arrives, by the latest forecast; without one the job starts.

    The site's clock is such that the scenario starts at midnight, as scenarios do.
    """

    replan_s: int | None = None

    def __init__(self, name: str, scenario: Scenario) -> None:
        self.name = name
        self._rule = RULES[name]
        self._scenario = scenario
        self._utc_offset_s = (_DAY_S // 2 - scenario.start_at) % _DAY_S - _DAY_S // 2
        self._chosen: dict[str, Start] = {}
        self._sums = {True: 0, False: 0}
        self._counts = {True: 0, False: 0}

    def decide(
        self, now: int, waiting: tuple[Waiting, ...], running: tuple[Running, ...]
    ) -> Decision:
        """What was chosen on arrival."""
        del running
        for one in waiting:
            if one.job.job_id not in self._chosen:
                self._chosen[one.job.job_id] = Start(at=self._choose(now, one.job, one.cluster))
        return Decision(starts={one.job.job_id: self._chosen[one.job.job_id] for one in waiting})

    def ended(self, run: Run) -> None:
        """Its run time counts in the mean of its class."""
        short = run.job.requested_s <= _SHORT_S
        self._sums[short] += run.job.runtime_s
        self._counts[short] += 1

    def _choose(self, now: int, job: SimJob, cluster: SimCluster) -> int:
        forecast = self._scenario.forecast(cluster.zone, now)
        if forecast is None:
            return now
        short = job.requested_s <= _SHORT_S
        count = self._counts[short]
        arrival = Arrival(
            job=job,
            now=now,
            expected_s=round(self._sums[short] / count) if count else job.requested_s,
            utc_offset_s=self._utc_offset_s,
        )
        until_at = arrival.latest_at + max(arrival.expected_s, job.requested_s)
        return self._rule(Outlook(forecast, until_at), arrival)
