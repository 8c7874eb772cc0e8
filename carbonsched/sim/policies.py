"""The policies that a simulation can follow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from carbonsched.model.directives import Directives
from carbonsched.model.job import Job, JobKey
from carbonsched.model.prediction import Prediction
from carbonsched.planning import (
    Busy,
    ClusterState,
    DelayPolicy,
    PlanningJob,
    PlanningParameters,
    PlanningRequest,
    bounds,
    plan,
)
from carbonsched.prediction import PastRun, PowerRange, choose, from_history, from_limits
from carbonsched.sim.engine import Policy, Waiting
from carbonsched.sim.peers import NAMES as PEERS
from carbonsched.sim.peers.policy import PeerPolicy
from carbonsched.sim.priced import PricedPolicy
from carbonsched.sim.scenario import Run, Scenario, SimJob
from carbonsched.units import PPM


class ImmediatePolicy:
    """Every job may start when it is submitted: a cluster without carbonsched."""

    name = "immediate"
    replan_s: int | None = None

    def starts(
        self, now: int, waiting: tuple[Waiting, ...], running: tuple[Run, ...]
    ) -> Mapping[str, int]:
        """Now, for each."""
        del running
        return dict.fromkeys((one.job.job_id for one in waiting), now)

    def ended(self, run: Run) -> None:
        """Nothing is learnt."""


class CarbonPolicy:
    """The daemon's planner and predictions, with a node in the place of a CPU and a PUE of 1."""

    name = "carbon"

    def __init__(self, scenario: Scenario, parameters: PlanningParameters) -> None:
        self.replan_s: int | None = parameters.slot_s
        self._scenario = scenario
        self._parameters = parameters
        self._numbers = {job.job_id: index for index, job in enumerate(scenario.jobs)}
        self._past: dict[str, list[PastRun]] = defaultdict(list)
        self._predictions: dict[str, tuple[int, Prediction | None]] = {}
        longest_s = max(job.max_delay_s for job in scenario.jobs)
        self._delays = DelayPolicy(default_max_delay_s=0, max_delay_s=longest_s)

    def ended(self, run: Run) -> None:
        """Remember the run for predictions of the same user's jobs."""
        job = run.job
        self._past[job.user].append(
            PastRun(
                user=job.user,
                name=job.job_id,  # traces name no jobs: like runs are those of the same width
                cpus=job.nodes,
                ended_at=run.end_at,
                duration_s=job.runtime_s,
                energy_j=job.runtime_s * job.nodes * job.power_w,
            )
        )

    def starts(
        self, now: int, waiting: tuple[Waiting, ...], running: tuple[Run, ...]
    ) -> Mapping[str, int]:
        """What the planner says."""
        names = {self._key(one).job_id: one.job.job_id for one in waiting}
        request = PlanningRequest(
            now=now,
            parameters=self._parameters,
            clusters=tuple(
                ClusterState(
                    name=cluster.name,
                    cpus=cluster.nodes,
                    pue_ppm=PPM,
                    forecast=self._scenario.forecast(cluster.zone, now),
                    busy=tuple(
                        Busy(cpus=run.job.nodes, until_at=self._expected_end(run, now))
                        for run in running
                        if run.cluster.name == cluster.name
                    ),
                )
                for cluster in self._scenario.clusters
            ),
            jobs=tuple(self._planning_job(one, now) for one in waiting),
        )
        return {names[one.key.job_id]: one.start_at for one in plan(request)}

    def _planning_job(self, one: Waiting, now: int) -> PlanningJob:
        job = one.job
        slurm_job = Job(
            key=self._key(one),
            uid=0,
            user=job.user,
            account="",
            partition="",
            name=job.job_id,
            state="PENDING",
            cpus=job.nodes,
            time_limit_s=job.requested_s,
        )
        directives = Directives(max_delay_s=job.max_delay_s)
        return PlanningJob(
            key=slurm_job.key,
            cpus=job.nodes,
            bounds=bounds(slurm_job, directives, self._delays, now),
            prediction=self._prediction(job),
            planned_start_at=one.planned_start_at,
        )

    def _key(self, one: Waiting) -> JobKey:
        return JobKey(
            cluster=one.cluster.name,
            job_id=self._numbers[one.job.job_id],
            submitted_at=one.job.submit_at,
            restarts=0,
        )

    def _prediction(self, job: SimJob) -> Prediction | None:
        """By the user's runs that have ended, else by limits; kept until another one ends."""
        past = self._past[job.user]
        known = self._predictions.get(job.job_id)
        if known is not None and known[0] == len(past):
            return known[1]
        watts = float(job.nodes * job.power_w)
        power = PowerRange(low_w=watts, high_w=watts)
        made = choose(
            None,
            from_history(
                past,
                user=job.user,
                name=job.job_id,
                cpus=job.nodes,
                time_limit_s=job.requested_s,
                power=power,
            ),
            from_limits(job.requested_s, power),
        )
        self._predictions[job.job_id] = (len(past), made)
        return made

    @staticmethod
    def _expected_end(run: Run, now: int) -> int:
        """Running jobs hold their nodes for what they requested: all that Slurm knows."""
        return max(now + 1, run.start_at + run.job.requested_s)


def make_policy(name: str, scenario: Scenario, parameters: PlanningParameters) -> Policy:
    """The policy of that name."""
    if name == "immediate":
        return ImmediatePolicy()
    if name in PEERS:
        return PeerPolicy(name, scenario)
    kind = PricedPolicy if name == "priced" else CarbonPolicy
    return kind(scenario, parameters)
