"""The planner in the simulator: within bounds, causal, and cleaner."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from statistics import fmean

import pytest

from carbonsched.model.intensity import StepSeries
from carbonsched.planning import PlanningParameters
from carbonsched.sim.carbon import CarbonPolicy
from carbonsched.sim.engine import Simulation
from carbonsched.sim.policies import ImmediatePolicy
from carbonsched.sim.score import emitted_mg
from carbonsched.sim.segments import by_job
from carbonsched.sim.validate import fault

HOUR = 3600
DAY = 24 * HOUR
NOON_IS_CLEAN = [300 - 200 * (10 <= hour < 15) for hour in range(24)]
DAYS = 10


def simulated(scenario, least_gain_pct=1.0):
    parameters = PlanningParameters(minimum_gain_pct=least_gain_pct)
    return Simulation(scenario, CarbonPolicy(scenario, parameters)).run()


def starts(runs):
    return {run.job.job_id: run.start_at for run in runs}


@pytest.fixture(scope="session")
def fortnight(job, place):
    """Builds a place with a clean noon and its daily forecasts, which are right."""

    def made(jobs, nodes=4, grams=None, forecasts=None):
        hours = (grams or NOON_IS_CLEAN) * DAYS
        start_at = job().submit_at
        issues = [(start_at + day * DAY, hours[day * 24 : day * 24 + 96]) for day in range(6)]
        clusters = (("main", "DE", nodes),)
        return place(jobs, hours, clusters, issues if forecasts is None else forecasts)

    return made


@pytest.fixture(scope="session")
def two_sites(fortnight):
    """The same, and a cluster in another zone, where each hour emits a third."""

    def made(jobs, nodes):
        one = fortnight(jobs, nodes)
        (here,) = one.clusters
        there = replace(here, name="south", zone="ES")
        return replace(
            one,
            clusters=(here, there),
            intensity={**one.intensity, "ES": StepSeries(_third(one.intensity["DE"].points))},
            forecasts={
                **one.forecasts,
                "ES": tuple(replace(f, points=_third(f.points)) for f in one.forecasts["DE"]),
            },
        )

    return made


def _third(points):
    return tuple(replace(one, mg_per_kwh=one.mg_per_kwh // 3) for one in points)


def test_jobs_wait_for_the_clean_hours_within_their_bounds(job, fortnight):
    jobs = [job(name=str(number), submit_s=number * 60) for number in range(4)]
    for run in simulated(fortnight(jobs)):
        hour = (run.start_at - jobs[0].submit_at) // HOUR
        assert 9 <= hour < 15
        assert run.start_at <= run.job.submit_at + run.job.max_delay_s


def test_a_job_that_may_not_wait_does_not(job, fortnight):
    (run,) = simulated(fortnight([job(max_delay_s=0)]))
    assert run.start_at == run.job.submit_at


def test_on_a_flat_grid_nobody_waits(job, fortnight):
    jobs = [job(name=str(number), submit_s=number * 60) for number in range(4)]
    for run in simulated(fortnight(jobs, grams=[300] * 24)):
        assert run.start_at == run.job.submit_at


def test_without_a_forecast_nobody_waits(job, fortnight):
    jobs = [job(name=str(number), submit_s=number * 60) for number in range(4)]
    for run in simulated(fortnight(jobs, forecasts=[])):
        assert run.start_at == run.job.submit_at


def test_where_clean_hours_are_short_of_nodes_the_hungry_jobs_have_them(job, fortnight):
    """Twelve jobs of five hours on four nodes: a third fits into the five clean hours."""
    jobs = [
        job(
            name=str(number),
            user=f"u{number % 3}",
            submit_s=number,
            runtime_s=5 * HOUR,
            requested_s=5 * HOUR,
            power_w=900 if number % 3 == 0 else 100,
        )
        for number in range(12)
    ]
    scenario = fortnight(jobs)
    runs = simulated(scenario)
    met = {
        watts: fmean(
            scenario.intensity["DE"].mean(run.start_at, run.end_at)
            for run in runs
            if run.job.power_w == watts
        )
        for watts in (100, 900)
    }
    assert met[900] < met[100] - 40_000


def drawn(job, seed, count=120, nodes=8, **more):
    chance = random.Random(seed)
    jobs, at_s = [], 0
    for number in range(count):
        at_s += chance.randint(60, 2 * HOUR)
        runtime_s = chance.randint(120, 5 * HOUR)
        jobs.append(
            job(
                name=f"{number:03d}",
                user=f"u{number % 5}",
                submit_s=at_s,
                runtime_s=runtime_s,
                requested_s=runtime_s * chance.randint(1, 6),
                nodes=chance.choice((1, 1, 2, nodes // 2)),
                power_w=chance.randint(100, 600),
                max_delay_s=chance.choice((6, 24)) * HOUR,
                **more,
            )
        )
    return jobs


def test_a_cluster_that_is_two_fifths_busy_emits_less_and_nobody_is_late(job, fortnight):
    scenario = fortnight(drawn(job, seed=3, count=100), nodes=12)
    runs, at_once = simulated(scenario), Simulation(scenario, ImmediatePolicy()).run()
    assert emitted_mg(runs, scenario) < emitted_mg(at_once, scenario) * 9 / 10
    could = starts(at_once)
    for run in runs:
        allowed_at = max(run.job.submit_at + run.job.max_delay_s, could[run.job.job_id])
        assert run.start_at <= allowed_at + 60


def test_of_two_sites_jobs_go_to_the_clean_one_while_it_has_nodes(job, two_sites):
    jobs = [job(name=str(number), submit_s=number, max_delay_s=HOUR) for number in range(6)]
    scenario = two_sites(jobs, nodes=4)
    runs = simulated(scenario)
    assert fault(runs, scenario) is None
    assert Counter(run.cluster.zone for run in runs)["ES"] >= 4


def test_a_job_that_can_be_checkpointed_runs_in_pieces_where_that_is_cleaner(job, fortnight):
    """Ten hours of work, and five clean hours a day: two days have room for it."""
    more = {"runtime_s": 10 * HOUR, "requested_s": 10 * HOUR, "max_delay_s": 48 * HOUR}
    emitted = {}
    for checkpointable in (False, True):
        scenario = fortnight([job(checkpointable=checkpointable, checkpoint_s=300, **more)])
        runs = simulated(scenario)
        assert fault(runs, scenario) is None
        emitted[checkpointable] = emitted_mg(runs, scenario)
        assert (len(runs) > 1) == checkpointable
    assert emitted[True] < emitted[False]


@pytest.mark.parametrize("kind", ["one", "two sites", "checkpoints"])
@pytest.mark.parametrize("seed", [1, 2])
def test_what_comes_later_changes_no_decision_before(job, fortnight, two_sites, kind, seed):
    """Later submissions, run times not yet over, the grid and its forecasts: all else from then."""
    jobs = drawn(job, seed, count=60, checkpointable=kind == "checkpoints")
    scenario = two_sites(jobs, nodes=6) if kind == "two sites" else fortnight(jobs, nodes=8)
    cut_at = jobs[len(jobs) // 2].submit_at
    runs, decisions = overheard(scenario)
    assert fault(runs, scenario) is None
    other = perturbed(scenario, runs, cut_at)
    _, again = overheard(other)
    before = [one for one in decisions if one[0] < cut_at]
    assert len(before) > 30
    assert [one for one in again if one[0] < cut_at] == before


def overheard(scenario):
    """The runs, and each decision with its time."""
    policy = CarbonPolicy(scenario, PlanningParameters(minimum_gain_pct=1.0))
    heard, decide = [], policy.decide

    def listen(now, waiting, running):
        decision = decide(now, waiting, running)
        heard.append((now, dict(decision.starts), decision.pauses))
        return decision

    policy.decide = listen
    return Simulation(scenario, policy).run(), heard


def perturbed(scenario, runs, cut_at):
    """All that nobody could know at ``cut_at`` is something else."""
    return replace(
        scenario,
        jobs=tuple(_changed(parts, cut_at) for parts in by_job(runs).values()),
        intensity={
            zone: StepSeries(
                tuple(
                    replace(one, mg_per_kwh=7) if one.end_at > cut_at else one
                    for one in series.points
                )
            )
            for zone, series in scenario.intensity.items()
        },
        forecasts={
            zone: tuple(one for one in issues if one.issued_at < cut_at)
            for zone, issues in scenario.forecasts.items()
        },
    )


def _changed(parts, cut_at):
    """Another job if it comes after the cut; another run time if it had not ended by then."""
    job = parts[0].job
    if job.submit_at >= cut_at:
        return replace(job, nodes=1, power_w=77, runtime_s=60)
    ran_s = sum(min(run.end_at, cut_at) - run.start_at for run in parts if run.start_at < cut_at)
    over = parts[-1].end_at <= cut_at
    return job if over else replace(job, runtime_s=max(ran_s + 1, job.runtime_s // 3))
