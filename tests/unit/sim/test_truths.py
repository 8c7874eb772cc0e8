"""What a planner can be told that nobody can know: each truth is true, and only those asked for."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from carbonsched.errors import RequestError
from carbonsched.model.intensity import StepSeries
from carbonsched.planning import PlanningParameters
from carbonsched.sim.engine import Running, Simulation
from carbonsched.sim.names import EXPLAINED, Truth, knowing_name, told, truths_of
from carbonsched.sim.policies import make_policy
from carbonsched.sim.scenario import Run
from carbonsched.sim.score import emitted_mg
from carbonsched.sim.truths import knowing
from carbonsched.sim.validate import fault

HOUR = 3600
NIGHT = [300 - 200 * (10 <= hour < 15) for hour in range(24)]


@pytest.fixture
def wrong(job, place):
    """Forecasts promise a clean hour 5 that never comes; hour 9 is clean."""
    grams = [400] * 9 + [50] + [400] * 60
    at = job().submit_at
    promised = [400] * 5 + [50] + [400] * 60
    return place([job(requested_s=HOUR)], grams, forecasts=[(at, promised)])


def ran(scenario, name):
    runs = Simulation(scenario, make_policy(name, scenario, PlanningParameters())).run()
    assert fault(runs, scenario) is None
    return runs


def test_words_are_truths_in_their_order_and_names_say_them():
    assert truths_of("intensity, run-times") == (Truth.RUN_TIMES, Truth.INTENSITY)
    assert truths_of("all") == tuple(Truth)
    assert knowing_name(truths_of("intensity,run-times")) == "carbon+run-times+intensity"
    assert [knowing_name(one) for one in EXPLAINED] == [
        "carbon",
        "carbon+run-times",
        "carbon+run-times+intensity",
        "carbon+all",
    ]
    for truths in EXPLAINED:
        assert told(knowing_name(truths)) == truths
    for bad in ("weather", "", "run-times,"):
        with pytest.raises(RequestError, match="cannot be known; run-times, intensity"):
            truths_of(bad)
    for bad in ("cats+all", "greedy"):
        with pytest.raises(RequestError, match="no such policy"):
            told(bad)


def test_who_knows_the_intensity_is_not_misled_by_a_forecast(wrong):
    (misled,), (wise,) = ran(wrong, "carbon"), ran(wrong, "carbon+intensity")
    assert (misled.start_at - wrong.start_at) // HOUR == 5
    assert (wise.start_at - wrong.start_at) // HOUR == 9


def test_the_intensity_that_is_known_is_what_occurred_as_far_as_it_is_recorded(wrong):
    grid = knowing(wrong, [Truth.INTENSITY]).grid
    points = wrong.intensity["DE"].points
    for now in (wrong.start_at, wrong.start_at + 5 * HOUR, wrong.start_at + 5 * HOUR + 1):
        known = grid.forecast("DE", now)
        assert known.points == tuple(one for one in points if one.end_at > now)
        assert known.issued_at <= now
    assert grid.forecast("DE", points[-1].end_at) is None
    assert grid.forecast("FR", wrong.start_at) is None


def test_run_times_that_are_known_are_what_is_left_of_them(job, wrong):
    lengths = knowing(wrong, [Truth.RUN_TIMES]).lengths
    long = job(runtime_s=5 * HOUR, checkpointable=True, checkpoint_s=300)
    assert lengths.of(long).seconds == (5 * HOUR,)
    assert lengths.of(long, HOUR).seconds == (4 * HOUR,)
    at = long.submit_at + 8 * HOUR
    again = Run(job=long, cluster=wrong.clusters[0], start_at=at, end_at=at + 4 * HOUR + 300)
    left = lengths.left(Running(run=again, done_s=HOUR), at + 60)
    assert left.seconds == (4 * HOUR + 300 - 60,)


def test_who_knows_a_run_time_finds_the_window_that_it_needs(job, place):
    """Two clean hours come before five; only who knows that five are needed waits for them."""
    grams = [400, 400, 100, 100, 400, 400, 120, 120, 120, 120, 120] + [400] * 60
    at = job().submit_at
    asked = job(runtime_s=2 * HOUR, requested_s=20 * HOUR)
    scenario = place([asked], grams, forecasts=[(at, grams)])
    (run,) = ran(scenario, "carbon+run-times")
    assert round((run.start_at - at) / HOUR) == 2
    (run,) = ran(replace(scenario, jobs=(replace(asked, runtime_s=5 * HOUR),)), "carbon+run-times")
    assert round((run.start_at - at) / HOUR) == 6


def test_arrivals_that_are_known_are_the_jobs_to_come_and_no_others(job, place):
    jobs = [
        job("old", 0),
        job("near", 2 * HOUR, nodes=2, power_w=100),
        job("too", 2 * HOUR + 60, nodes=1, power_w=400),
        job("other", 2 * HOUR + 90, max_delay_s=0),
        job("far", 37 * HOUR),
    ]
    scenario = place(jobs, [300] * 99)
    known = knowing(scenario, [Truth.RUN_TIMES, Truth.ARRIVALS])
    pair, alone = known.arrivals.expected(scenario.start_at + HOUR)
    assert (pair.places[0].cpus, pair.places[0].watts) == (3, pytest.approx(600))
    assert pair.places[0].length.mean_s == HOUR
    assert pair.first_at == scenario.start_at + 2 * HOUR + 30
    assert alone.first_at == alone.last_at == jobs[3].submit_at
    assert known.arrivals.expected(scenario.start_at + 3 * HOUR)[0].places[0].cpus == 1


def test_nobody_is_expected_where_a_job_would_not_fit(job, place):
    jobs = [job("a", HOUR, nodes=6), job("b", HOUR + 1, nodes=1)]
    scenario = place(
        jobs, {"DE": [300] * 99, "ES": [300] * 99}, (("small", "DE", 4), ("large", "ES", 8))
    )
    wide, thin = knowing(scenario, tuple(Truth)).arrivals.expected(scenario.start_at)
    assert [place.cluster for place in wide.places] == ["large"]
    assert [place.cluster for place in thin.places] == ["small", "large"]


def test_thousands_of_arrivals_are_few_expectations(job, place):
    chance = random.Random(5)
    jobs = [
        job(f"{number}", 20 * number, runtime_s=chance.randint(60, 20 * HOUR))
        for number in range(6000)
    ]
    scenario = place(jobs, [300] * 99)
    expected = knowing(scenario, tuple(Truth)).arrivals.expected(scenario.start_at)
    assert len(expected) < 400
    assert sum(one.places[0].cpus for one in expected) == 5999


@pytest.mark.parametrize("name", ["carbon+run-times", "carbon+arrivals", "carbon+all"])
def test_what_is_not_told_is_not_known(job, place, name):
    """The grid to come matters to nobody but who is told of it; the same with the jobs to come."""
    chance = random.Random(2)
    at = job().submit_at
    grams = NIGHT * 8
    issues = [(at + 24 * day * HOUR, grams[:96]) for day in range(5)]
    jobs = [
        job(str(number), number * HOUR, runtime_s=chance.randint(600, 4 * HOUR))
        for number in range(24)
    ]
    scenario = place(jobs, grams, (("main", "DE", 3),), issues)
    turned = replace(
        scenario,
        intensity={
            "DE": StepSeries(
                tuple(replace(p, mg_per_kwh=400_000 - p.mg_per_kwh)
                      for p in scenario.intensity["DE"].points)
            )
        },
    )  # fmt: skip
    first, other = ran(scenario, name), ran(turned, name)
    same = [(a.job, a.start_at) for a in first] == [(b.job, b.start_at) for b in other]
    assert same == (name != "carbon+all")
    assert emitted_mg(ran(turned, "carbon+all"), turned) < emitted_mg(ran(turned, "carbon"), turned)
