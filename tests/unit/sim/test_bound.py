from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from carbonsched.sim.bound import lower_bound
from carbonsched.sim.engine import Simulation
from carbonsched.sim.files import read_scenario, scenario_folder
from carbonsched.sim.policies import ImmediatePolicy
from carbonsched.sim.scenario import Run
from carbonsched.sim.score import emitted_mg, score
from carbonsched.sim.validate import fault

HOUR = 3600


def bound_kg(scenario, **more) -> float:
    immediate = Simulation(scenario, ImmediatePolicy()).run()
    return lower_bound(scenario, immediate, **more).kg


def test_one_job_gets_its_own_optimum_between_edges_of_hours(job, place):
    one = job("a", 600, 90 * 60, max_delay_s=5 * HOUR)
    small = place([one], [400, 300, 100, 200, 400, 500] * 8)
    assert bound_kg(small) == pytest.approx(0.100 + 0.5 * 0.200, rel=1e-6)


def test_a_start_may_be_as_late_as_delay_and_a_minute(job, place):
    one = job("a", 0, 60, max_delay_s=HOUR)
    small = place([one], [400, 100, 100])
    assert bound_kg(small) == pytest.approx(0.1 / 60, rel=1e-6)
    hurried = place([job("a", 0, 240, max_delay_s=HOUR - 240)], [400, 0, 0])
    assert bound_kg(hurried) == pytest.approx(0.4 * 180 / 3600, rel=1e-6)


def test_jobs_share_the_clean_hour_as_far_as_it_has_room(job, place):
    jobs = [job(str(i), 0, HOUR, nodes=2, max_delay_s=2 * HOUR) for i in range(3)]
    small = place(jobs, [400, 400, 100] + [400] * 9, clusters=(("main", "DE", 4),))
    assert bound_kg(small) == pytest.approx(4 * 0.1 + 2 * 0.4, rel=2e-5)


def test_only_what_can_be_checkpointed_pauses_for_nothing(job, place):
    grams = [400, 100, 400, 100, 400] + [400] * 40
    for pausing, kg in ((True, 0.2), (False, 0.5)):
        one = job("a", 0, 2 * HOUR, max_delay_s=3 * HOUR, checkpointable=pausing)
        assert bound_kg(place([one], grams)) == pytest.approx(kg, rel=1e-6)


def test_of_several_clusters_the_cleaner_one_that_is_wide_enough(job, place):
    grams = {"DE": [400] * 50, "ES": [100] * 50}
    clusters = (("de", "DE", 4), ("es", "ES", 1))
    jobs = [job("thin", 0, HOUR), job("wide", 0, HOUR, nodes=3)]
    assert bound_kg(place(jobs, grams, clusters)) == pytest.approx(0.1 + 3 * 0.4, rel=1e-6)


def test_a_bound_stopped_early_is_lower_and_says_so():
    example = read_scenario(scenario_folder("example"))
    immediate = Simulation(example, ImmediatePolicy()).run()
    shares: list[float] = []
    full = lower_bound(example, immediate, progress=shares.append)
    early = lower_bound(example, immediate, time_limit_s=0)
    assert early.kg < full.kg <= full.programme_kg
    assert full.gap < 2e-5
    assert early.programme_kg == pytest.approx(float(emitted_mg(immediate, example) / 10**6))
    assert shares[-1] == 1
    assert lower_bound(example, immediate, slot_s=1800).kg > full.kg * (1 - 2e-5)
    assert full.kg == pytest.approx(91.921, rel=1e-4)


def test_where_nothing_is_emitted_nothing_is_the_bound(job, place):
    assert bound_kg(place([job("a", 0, HOUR)], [0] * 40)) == 0


a_job = st.tuples(
    st.integers(0, 4 * HOUR),
    st.integers(1, 3),
    st.integers(1, 5 * HOUR),
    st.integers(0, 6 * HOUR),
    st.booleans(),
    st.integers(0, 1800),
)


@given(st.data(), st.lists(a_job, min_size=1, max_size=6), st.integers(1, 3))
@settings(max_examples=150)
def test_no_valid_schedule_on_time_is_below_it(job, place, data, parts, half_hours):
    jobs = [
        job(
            f"j{i}", at, runtime_s, nodes=nodes, max_delay_s=delay_s, power_w=100 * (i + 1),
            checkpointable=pausing, checkpoint_s=checkpoint_s,
        )
        for i, (at, nodes, runtime_s, delay_s, pausing, checkpoint_s) in enumerate(sorted(parts))
    ]  # fmt: skip
    levels = st.lists(st.integers(0, 500), min_size=60, max_size=60)
    grams = {"DE": data.draw(levels), "ES": data.draw(levels)}
    small = place(jobs, grams, clusters=(("de", "DE", 5), ("es", "ES", 4)))
    immediate = Simulation(small, ImmediatePolicy()).run()
    runs = []
    for one in jobs:
        where = data.draw(st.sampled_from(small.clusters))
        start_at = one.submit_at + data.draw(st.integers(0, one.max_delay_s))
        split_s = data.draw(st.integers(0, one.runtime_s - 1)) if one.checkpointable else 0
        left_s = one.submit_at + one.max_delay_s - start_at
        if split_s and left_s > one.checkpoint_s:
            pause_s = data.draw(st.integers(1, left_s - one.checkpoint_s))
            runs.append(Run(job=one, cluster=where, start_at=start_at, end_at=start_at + split_s))
            start_at += split_s + pause_s
            end_at = start_at + one.runtime_s - split_s + one.checkpoint_s
        else:
            end_at = start_at + one.runtime_s
        runs.append(Run(job=one, cluster=where, start_at=start_at, end_at=end_at))
    assume(fault(runs, small) is None)
    assert score("drawn", runs, immediate, small).late_pct == 0
    bound = lower_bound(small, immediate, slot_s=1800 * half_hours)
    assert bound.kg <= float(emitted_mg(runs, small) / 10**6)
    assert bound.kg <= float(emitted_mg(immediate, small) / 10**6)
