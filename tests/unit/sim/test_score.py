from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.errors import RequestError
from carbonsched.sim.engine import Simulation
from carbonsched.sim.files import read_scenario, scenario_folder
from carbonsched.sim.policies import ImmediatePolicy
from carbonsched.sim.scenario import Run, SimCluster
from carbonsched.sim.score import emitted_mg, score
from carbonsched.sim.validate import fault

HOUR = 3600
START = 1_700_000_000 // HOUR * HOUR


def segments(job, cluster, *hours: tuple[float, float]) -> list[Run]:
    return [
        Run(
            job=job,
            cluster=cluster,
            start_at=START + int(a * HOUR),
            end_at=START + int(b * HOUR),
        )
        for a, b in hours
    ]


@pytest.fixture
def small(job, place):
    """A plain job ``a`` of two nodes, a checkpointable ``b``, and room for four nodes."""
    jobs = [
        job("a", 0, HOUR, nodes=2),
        job("b", HOUR, 2 * HOUR, nodes=3, checkpointable=True, checkpoint_s=600),
    ]
    return place(jobs, [100, 200, 300, 400] * 6)


def test_a_pause_is_paid_by_its_checkpoint(small):
    a, b = small.jobs
    main = small.clusters[0]
    whole = segments(a, main, (0, 1))
    paused = segments(b, main, (1, 2), (4, 5 + 1 / 6))
    assert fault(whole + paused, small) is None
    assert fault(whole + segments(b, main, (1, 2), (4, 5)), small) == (
        "job b: runs 7200 s in place of 7800 s"
    )


def test_segments_that_touch_are_one(small):
    a, b = small.jobs
    main = small.clusters[0]
    both = segments(a, main, (0.25, 1.25), (0, 0.25))
    assert fault([*both, *segments(b, main, (2, 3), (3, 4))], small) == (
        "job a: runs 4500 s in place of 3600 s"
    )
    halves = segments(a, main, (0.5, 1), (0, 0.5))
    assert fault([*halves, *segments(b, main, (2, 3), (3, 4))], small) is None


def test_each_violation_is_named(small):
    a, b = small.jobs
    main = small.clusters[0]
    good = segments(b, main, (2, 4))
    narrow, unknown = (
        SimCluster(name="n", zone="DE", nodes=1),
        SimCluster(name="x", zone="DE", nodes=9),
    )
    two = replace(small, clusters=(main, narrow))
    stranger = replace(a, job_id="z")
    cases = [
        (segments(a, main, (0, 1)), small, "job b: does not run"),
        ([*segments(a, main, (1, 1)), *good], small, "not after its start"),
        ([*segments(a, unknown, (0, 1)), *good], small, "no cluster x"),
        ([*segments(a, narrow, (0, 1)), *good], two, "needs 2 nodes, n has 1"),
        ([*segments(a, main, (-1, 0)), *good], small, "before its submission"),
        ([*segments(a, main, (0, 0.5), (1, 1.5)), *good], small, "cannot be checkpointed"),
        ([*segments(a, main, (0, 1), (5, 6)), *good], small, "cannot be checkpointed"),
        ([*segments(a, main, (0, 1), (0, 1)), *good], small, "overlap"),
        ([*segments(a, main, (3, 4)), *good], small, "main: 5 of 4 nodes in use"),
        ([*segments(a, main, (23.5, 24.5)), *good], small, "past the intensity data of DE"),
        ([*segments(a, main, (0, 1)), *good, *segments(stranger, main, (0, 1))], small, "job z"),
        ([*segments(replace(a, nodes=1), main, (0, 1)), *good], small, "not the job"),
        (
            [*segments(a, main, (0, 0.5)), *segments(a, narrow, (0.5, 1)), *good],
            two,
            "more than one cluster",
        ),
    ]
    for runs, where, says in cases:
        told = fault(runs, where)
        assert told is not None, says
        assert says in told
        assert "\n" not in told


def test_an_end_and_a_start_may_share_a_second(small):
    a, b = small.jobs
    main = small.clusters[0]
    assert fault([*segments(b, main, (1, 3)), *segments(a, main, (3, 4))], small) is None


def test_waits_lateness_slowdown_and_load_count_from_the_last_end(small):
    a, b = small.jobs
    main = small.clusters[0]
    immediate = segments(a, main, (0, 1)) + segments(b, main, (1, 3))
    paused = segments(a, main, (1, 2)) + segments(b, main, (2, 3), (27, 28 + 1 / 6))
    made = score("p", immediate[:1] + segments(b, main, (2, 3), (4, 5 + 1 / 6)), immediate, small)
    assert (made.mean_wait_h, made.max_wait_h) == pytest.approx((13 / 12, 13 / 6))
    assert made.slowdown == pytest.approx((1 + 25 / 12) / 2)
    assert made.makespan_h == pytest.approx(31 / 6)
    assert made.utilisation == pytest.approx((2 + 3 * 13 / 6) / (4 * 31 / 6))
    assert (made.late_pct, made.capture, made.calls) == (0, None, None)
    far = replace(small, intensity=dict.fromkeys(["DE"], small.intensity["DE"]))
    with pytest.raises(RequestError, match="job b runs past the intensity data"):
        score("p", paused, immediate, far)


def test_late_is_beyond_delay_and_immediate_start_by_more_than_a_minute(job, place):
    one = job("a", 0, HOUR, max_delay_s=HOUR)
    small = place([one], [100] * 48)
    main = small.clusters[0]
    at_once = segments(one, main, (0, 1))

    def late(start_s: int, immediate: list[Run]) -> tuple[float, float]:
        run = Run(job=one, cluster=main, start_at=START + start_s, end_at=START + start_s + HOUR)
        made = score("p", [run], immediate, small)
        return made.late_pct, made.max_late_h

    assert late(HOUR + 60, at_once) == (0, 0)
    assert late(HOUR + 61, at_once) == (100, 61 / HOUR)
    assert late(3 * HOUR + 60, segments(one, main, (3, 4))) == (0, 0)


def test_capture_is_the_share_of_what_the_bound_saves(job, place):
    one = job("a", 0, HOUR)
    small = place([one], [400, 200, 100, 400])
    main = small.clusters[0]
    immediate = segments(one, main, (0, 1))
    made = score("p", segments(one, main, (1, 2)), immediate, small, bound_kg=0.1, calls=7)
    assert made.kg == 0.2
    assert made.saving == 0.5
    assert made.capture == pytest.approx(2 / 3)
    assert made.calls == 7
    assert score("p", immediate, immediate, small, bound_kg=0.4).capture is None


@given(st.lists(st.integers(0, 500), min_size=6, max_size=6), st.integers(1, 2 * HOUR - 1))
def test_splitting_a_run_changes_no_emission(job, place, grams, cut_s):
    one = job("a", 0, 2 * HOUR, nodes=3)
    small = place([one], grams)
    whole = segments(one, small.clusters[0], (0.5, 2.5))
    cut_at = whole[0].start_at + cut_s
    parts = [replace(whole[0], end_at=cut_at), replace(whole[0], start_at=cut_at)]
    assert fault(parts, small) is None
    assert emitted_mg(parts, small) == emitted_mg(whole, small)
    assert score("p", parts, whole, small) == score("p", whole, whole, small)


def test_the_example_starts_at_once_as_it_always_did():
    place = read_scenario(scenario_folder("example"))
    runs = Simulation(place, ImmediatePolicy()).run()
    assert fault(runs, place) is None
    made = score("immediate", runs, runs, place)
    assert made.kg == pytest.approx(117.511583)
    assert (made.max_wait_h, made.late_pct) == (2.57, 0)
    assert made.makespan_h == pytest.approx(76.3508, abs=1e-4)
    assert made.utilisation == pytest.approx(0.33657, abs=1e-5)
