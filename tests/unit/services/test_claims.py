"""Whose reading is whose: every joule once, within Slurm's record."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.ledger.readings import JobReading
from carbonsched.model.energy import Domain, Quality
from carbonsched.model.job import Job, JobKey
from carbonsched.services.claims import cut, owner


def run(started_at, ended_at, restarts=0, submitted_at=None):
    key = JobKey(
        cluster="lab", job_id=7, restarts=restarts,
        submitted_at=started_at if submitted_at is None else submitted_at,
    )  # fmt: skip
    return Job(
        key=key, uid=1001, user="ada", account="", partition="main", name="x",
        state="RUNNING" if ended_at is None else "COMPLETED", started_at=started_at,
        ended_at=ended_at, nodes=("n1",),
    )  # fmt: skip


def reading(start_at, end_at, present_ms=None, restarts=0, energy_j=1000, **more):
    present_ms = 1000 * (end_at - start_at) if present_ms is None else present_ms
    return JobReading(
        node="n1", start_at=start_at, end_at=end_at, energy_j=energy_j, cpu_ms=present_ms,
        present_ms=present_ms, quality=Quality.MEASURED, meter="rapl", restarts=restarts, **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("one", "claimed_j", "present_ms"),
    [
        (reading(100, 200), 1000, 100_000),  # inside
        (reading(0, 100, 2000), 1000, 2000),  # the prolog ran before Slurm's second
        (reading(50, 150), 500, 50_000),  # half of it before the start
        (reading(50, 150, 52_000), 1000, 52_000),
        (reading(50, 150, 53_000), 943, 50_000),
        (reading(900, 1100), 505, 101_000),  # the last second counts as whole
        (reading(1001, 1100, 2000), 1000, 2000),  # the epilog ran after Slurm's second
    ],
)
def test_a_reading_counts_within_the_record(one, claimed_j, present_ms):
    job = run(100, 1000)
    assert owner(one, [job]) is job
    part = cut(job, one)
    assert (part.energy_j, part.unclaimed_j) == (claimed_j, 1000 - claimed_j)
    assert part.present_ms == present_ms
    assert (part.quality is Quality.PARTIAL) == (claimed_j < 1000)


@pytest.mark.parametrize(
    "one",
    [
        reading(0, 90, 2000),
        reading(0, 100, 3000),
        reading(1001, 1100, 3000),
        reading(1003, 1100, 1000),
        reading(200, 300, restarts=1),
    ],
)
def test_what_was_not_there_is_nobodys(one):
    assert owner(one, [run(100, 1000)]) is None


def test_a_run_that_goes_on_has_no_end_yet():
    job = run(100, None)
    one = reading(5000, 5300)
    assert owner(one, [job]) is job
    assert cut(job, one) is one


LOST = {(run(100, 1000).key, "n1"): 1000}


@pytest.mark.parametrize(
    ("one", "claimed_j", "present_ms"),
    [
        (reading(100, 200), 1000, 100_000),  # inside
        (reading(0, 100, 2000), 1000, 2000),  # the prolog was heard: its edge is as it was
        (reading(50, 150, 52_000), 1000, 52_000),
        (reading(900, 1000), 1000, 100_000),  # the end falls on the segment's line
        (reading(900, 1001), 990, 100_000),  # no whole last second
        (reading(998, 1002), 500, 2000),  # no two seconds after it
        (reading(900, 1100), 500, 100_000),
        (reading(990, 1300, 10_000), 1000, 10_000),  # it was told the end in time
    ],
)
def test_where_the_epilog_is_missing_the_end_is_exactly_slurms(one, claimed_j, present_ms):
    job = run(100, 1000)
    assert owner(one, [job], LOST) is job
    part = cut(job, one, LOST)
    assert (part.energy_j, part.unclaimed_j) == (claimed_j, 1000 - claimed_j)
    assert (part.present_ms, part.end_lost) == (present_ms, True)
    elsewhere = replace(one, node="n2")
    assert cut(job, elsewhere, LOST) == cut(job, elsewhere)


@pytest.mark.parametrize(
    "one", [reading(1000, 1100, 1000), reading(1001, 1100), reading(1200, 1300)]
)
def test_whole_segments_after_a_missed_end_are_nobodys(one):
    assert owner(one, [run(100, 1000)], LOST) is None


def test_a_job_that_ended_in_its_first_second_has_that_second():
    job = run(100, 100)
    part = cut(job, reading(90, 190, 90_000), {(job.key, "n1"): 100})
    assert (part.energy_j, part.present_ms) == (11, 1000)


def test_an_end_that_slurm_tells_later_counts_in_place_of_the_one_told():
    lost = {(run(100, 1000).key, "n1"): 1000}
    one = reading(900, 1100)
    assert cut(run(100, 1050), one, lost).energy_j == 750
    assert cut(run(100, None), one, lost).energy_j == 500


FIRST, SECOND = run(100, 400, 0), run(500, 900, 1)


@pytest.mark.parametrize(
    ("one", "whose"),
    [
        (reading(200, 300), FIRST),
        (reading(600, 700, restarts=1), SECOND),
        (reading(600, 700), SECOND),  # found without its prolog
        (reading(300, 600), FIRST),  # both were there: the one whose count it names
        (reading(401, 501, 1000), FIRST),
        (reading(402, 502, 100_000), SECOND),
        (reading(950, 1000), None),
        (reading(420, 480), None),
        (reading(600, 700, restarts=2), None),
    ],
)
def test_a_restart_count_that_was_not_known_is_found_by_time(one, whose):
    assert owner(one, [FIRST, SECOND]) is whose
    assert owner(one, [SECOND, FIRST]) is whose


def test_where_two_later_runs_were_there_nobody_can_tell():
    third = run(950, 990, 2)
    assert owner(reading(890, 960), [SECOND, third]) is None
    assert owner(reading(890, 940), [SECOND, third]) is SECOND


def test_an_id_that_came_round_goes_by_time():
    again = run(500, 900, 0)
    assert owner(reading(600, 700), [FIRST, again]) is again
    assert owner(reading(200, 300), [FIRST, again]) is FIRST


RUNS = st.lists(
    st.tuples(st.integers(0, 300), st.one_of(st.none(), st.integers(0, 100)), st.integers(0, 2)),
    max_size=4,
)


@given(
    runs=RUNS, start_at=st.integers(0, 300), length_s=st.integers(1, 100),
    present_ms=st.integers(0, 100_000), restarts=st.integers(0, 2),
    energies=st.lists(st.integers(0, 10**12), min_size=5, max_size=5),
    uncertainty_j=st.integers(0, 10**9), missed=st.sets(st.integers(0, 3)),
)  # fmt: skip
def test_no_joule_is_lost_or_counted_twice(
    runs, start_at, length_s, present_ms, restarts, energies, uncertainty_j, missed
):
    domains = dict(zip(Domain, energies, strict=True))
    one = reading(
        start_at, start_at + length_s, min(present_ms, 1000 * length_s), restarts, sum(energies),
        domains=domains, uncertainty_j=uncertainty_j, node_ms=present_ms // 2,
    )  # fmt: skip
    jobs = [
        run(begin, None if length is None else begin + length, count, submitted_at=index)
        for index, (begin, length, count) in enumerate(runs)
    ]
    lost = {
        (job.key, "n1"): job.ended_at
        for index, job in enumerate(jobs)
        if index in missed and job.ended_at is not None
    }
    whose = owner(one, jobs, lost)
    assert owner(one, jobs[::-1], lost) is whose
    if whose is None:
        return
    part = cut(whose, one, lost)
    assert part.energy_j + part.unclaimed_j == one.energy_j
    assert min(part.energy_j, part.unclaimed_j, part.node_ms, part.uncertainty_j) >= 0
    assert sum(part.domains.values()) == part.energy_j
    assert all(0 <= part.domains[name] <= domains[name] for name in Domain)
    assert part.uncertainty_j <= uncertainty_j
    assert part.end_lost == ((whose.key, "n1") in lost)
    until = one.end_at if whose.ended_at is None else whose.ended_at + 1
    inside_s = max(0, min(one.end_at, until) - max(one.start_at, whose.started_at))
    assert part.present_ms <= 1000 * inside_s + 2000
    if part.end_lost and one.end_at > until:
        assert part.present_ms <= 1000 * inside_s
    assert cut(whose, replace(part, unclaimed_j=0), lost).energy_j == part.energy_j


def test_of_two_runs_of_one_count_the_longer_there_has_the_reading():
    again = run(390, 900, 0)
    one = reading(200, 400, 100_000)
    assert owner(one, [FIRST, again]) is FIRST
    assert owner(one, [again, FIRST]) is FIRST
