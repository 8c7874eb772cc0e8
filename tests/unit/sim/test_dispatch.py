from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from carbonsched.model.intensity import Forecast, Point, SeriesInfo, StepSeries
from carbonsched.planning import PlanningParameters
from carbonsched.sim.engine import Simulation
from carbonsched.sim.policies import CarbonPolicy, ImmediatePolicy
from carbonsched.sim.scenario import Scenario, SimCluster, SimJob
from carbonsched.sim.score import emitted_mg, score

HOUR = 3600
START = 1_700_000_000 // HOUR * HOUR
LAST = START + 60 * 24 * HOUR


def job(name: str, submit_s: int, nodes: int, requested_s: int, runtime_s: int, **more) -> SimJob:
    values = {"user": "u", "max_delay_s": 24 * HOUR, "power_w": 100, **more}
    return SimJob(
        job_id=name,
        submit_at=START + submit_s,
        nodes=nodes,
        requested_s=requested_s,
        runtime_s=runtime_s,
        **values,
    )


def scenario(jobs: list[SimJob], *clusters: tuple[str, int], grams: list[int] | None = None):
    hours = grams or [300]
    span = range((LAST - START) // HOUR)
    points = tuple(
        Point(START + HOUR * i, START + HOUR * (i + 1), 1000 * hours[i % len(hours)]) for i in span
    )
    info = SeriesInfo(provider="test", zone="DE")
    issues = tuple(
        Forecast(info=info, issued_at=points[i].start_at, points=points[i : i + 96])
        for i in range(0, len(points) - 96, 24)
    )
    names = clusters or (("main", 10),)
    return Scenario(
        name="test",
        start_at=START,
        end_at=LAST,
        clusters=tuple(SimCluster(name=name, zone="DE", nodes=nodes) for name, nodes in names),
        jobs=tuple(jobs),
        intensity={"DE": StepSeries(points)},
        forecasts={"DE": issues},
    )


def starts(jobs: list[SimJob], *clusters: tuple[str, int]) -> dict[str, int]:
    runs = Simulation(scenario(jobs, *clusters), ImmediatePolicy()).run()
    return {run.job.job_id: run.start_at - START for run in runs}


def test_an_end_and_a_start_share_a_second():
    assert starts([job("a", 0, 10, 100, 60), job("b", 1, 10, 100, 60)]) == {"a": 0, "b": 60}


def test_a_later_job_passes_only_if_the_first_one_is_not_delayed():
    jobs = [
        job("long", 0, 8, 1000, 1000),
        job("wide", 1, 10, 100, 100),  # reserved at 1000
        job("short", 2, 2, 900, 900),  # ends before: passes
        job("slow", 3, 2, 5000, 100),  # might not: waits
    ]
    assert starts(jobs) == {"long": 0, "wide": 1000, "short": 2, "slow": 1100}


def test_a_later_job_may_use_nodes_that_the_first_will_leave_over():
    jobs = [
        job("long", 0, 8, 1000, 1000),
        job("head", 1, 9, 100, 100),
        job("thin", 2, 1, 5000, 5000),
        job("thin too", 3, 1, 5000, 5000),
    ]
    assert starts(jobs) == {"long": 0, "head": 1000, "thin": 2, "thin too": 1100}


def test_equal_requested_ends_are_all_free_at_the_reserved_time():
    jobs = [
        job("a", 0, 3, 100, 100),
        job("b", 0, 3, 100, 100),
        job("head", 1, 8, 10, 10),
        job("thin", 2, 3, 500, 500),  # 10 free at 100, 8 reserved: 2 left over
    ]
    assert starts(jobs)["head"] == 100
    assert starts(jobs)["thin"] == 110


def test_of_two_clusters_the_one_with_least_requested_work_per_node():
    jobs = [job("a", 0, 2, 100, 100), job("b", 1, 2, 100, 100), job("c", 2, 20, 100, 100)]
    runs = Simulation(scenario(jobs, ("small", 5), ("big", 20)), ImmediatePolicy()).run()
    assert [run.cluster.name for run in runs] == ["small", "big", "big"]


GRID = [400] * 10 + [100] * 5 + [400] * 9


def test_the_planner_moves_work_into_clean_hours_within_the_delay():
    jobs = [job(str(i), 600 * i, 2, 2 * HOUR, HOUR) for i in range(4)]
    place = scenario(jobs, grams=GRID)
    immediate = Simulation(place, ImmediatePolicy()).run()
    carbon = Simulation(place, CarbonPolicy(place, PlanningParameters())).run()
    assert emitted_mg(carbon, place) == emitted_mg(immediate, place) / 4
    made = score("carbon", carbon, immediate, place)
    assert (made.saving, made.late_pct) == (0.75, 0)
    assert made.mean_wait_h > 9


def test_no_delay_or_a_flat_grid_is_the_immediate_schedule():
    jobs = [job(str(i), 60 * i, 4, 2 * HOUR, HOUR, max_delay_s=0) for i in range(9)]
    hurried = scenario(jobs, grams=GRID)
    flat = scenario([replace(one, max_delay_s=24 * HOUR) for one in jobs])
    for place in (hurried, flat):
        immediate = Simulation(place, ImmediatePolicy()).run()
        assert Simulation(place, CarbonPolicy(place, PlanningParameters())).run() == immediate


job_lists = st.lists(
    st.tuples(
        st.integers(0, 20 * HOUR),
        st.integers(1, 8),
        st.integers(1, 5 * HOUR),
        st.floats(0.05, 1),
        st.sampled_from([0, HOUR, 24 * HOUR]),
    ),
    min_size=1,
    max_size=15,
)


@given(job_lists, st.booleans())
@settings(max_examples=50)
def test_every_schedule_is_valid(parts, two):
    jobs = sorted(
        (
            job(str(i), at, nodes, asked, max(1, int(asked * share)), max_delay_s=delay)
            for i, (at, nodes, asked, share, delay) in enumerate(parts)
        ),
        key=lambda one: one.submit_at,
    )
    clusters = (("a", 8), ("b", 10)) if two else (("a", 8),)
    place = scenario(jobs, *clusters, grams=GRID)
    for policy in (ImmediatePolicy(), CarbonPolicy(place, PlanningParameters())):
        runs = Simulation(place, policy).run()
        assert [run.job for run in runs] == jobs
        changes = []
        for run in runs:
            assert run.start_at >= run.job.submit_at
            assert run.end_at - run.start_at == run.job.runtime_s
            changes.append((run.start_at, 1, run.cluster.name, run.job.nodes))
            changes.append((run.end_at, 0, run.cluster.name, -run.job.nodes))
        used: Counter[str] = Counter()
        room = dict(clusters)
        for _, _, name, nodes in sorted(changes):
            used[name] += nodes
            assert used[name] <= room[name]
