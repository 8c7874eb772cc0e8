"""The planner by prices in the simulator: within bounds, causal, and cleaner."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from carbonsched.planning import PlanningParameters
from carbonsched.sim.engine import Simulation
from carbonsched.sim.policies import ImmediatePolicy
from carbonsched.sim.carbon import CarbonPolicy
from carbonsched.sim.score import emitted_mg

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
    runs = simulated(fortnight(jobs))
    clean_from = jobs[0].submit_at + 10 * HOUR
    for run in runs:
        if run.job.power_w == 900:
            assert abs(run.start_at - clean_from) <= 2 * HOUR


def drawn(job, seed, count=120, nodes=8):
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


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_comes_later_changes_nothing_before(job, fortnight, seed):
    """Later submissions, run times not yet over, the grid and its forecasts: all else from then."""
    jobs = drawn(job, seed)
    scenario = fortnight(jobs, nodes=8)
    first = simulated(scenario)
    cut_at = jobs[len(jobs) // 2].submit_at
    other = replace(
        scenario,
        jobs=tuple(_changed(run, cut_at) for run in first),
        forecasts={"DE": tuple(one for one in scenario.forecasts["DE"] if one.issued_at <= cut_at)},
    )
    again = starts(simulated(other))
    before = {name: at for name, at in starts(first).items() if at < cut_at}
    assert len(before) > 10
    assert {name: again[name] for name in before} == before


def _changed(run, cut_at):
    """Another job if it comes after the cut; another run time if that would end after it."""
    job, shorter_s = run.job, max(1, run.job.runtime_s // 3)
    if job.submit_at >= cut_at:
        return replace(job, nodes=1, power_w=77, runtime_s=60)
    return replace(job, runtime_s=shorter_s) if run.start_at + shorter_s > cut_at else job
