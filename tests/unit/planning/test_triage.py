"""Who is late where somebody must: as few as can be, and nobody where all can be in time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carbonsched.model.job import JobKey
from carbonsched.planning import Bounds, ClusterState, PlanningJob
from carbonsched.planning.rooms import Rooms
from carbonsched.planning.triage import least_danger

from .making import HOUR, prediction

NOW = 1_700_000_100
CPUS = 16


def job(number, *, hours, slack_h, cpus=CPUS):
    seconds = round(hours * HOUR)
    latest_at = NOW + round(slack_h * HOUR)
    return PlanningJob(
        key=JobKey(cluster="c", job_id=number, submitted_at=NOW, restarts=0),
        cpus=cpus,
        bounds=Bounds(earliest_at=NOW, latest_at=latest_at, deferrable=True, why="it"),
        prediction=prediction(seconds, seconds),
    )


def rooms():
    state = ClusterState(name="c", cpus=CPUS, pue_ppm=1_000_000, forecast=None)
    return Rooms([state], NOW, NOW + 96 * HOUR, 900, 0.6)


def triage(jobs, *, tight=lambda _job, _at: False):
    by_latest = sorted(jobs, key=lambda one: (one.bounds.latest_at, one.key))
    return least_danger(by_latest, rooms(), NOW, CPUS, tight)


def numbers(jobs):
    return sorted(one.key.job_id for one in jobs)


def late_in(jobs):
    """How many are late in the order of latest starts."""
    room = rooms()
    ats = [room.queue(one.places, NOW)[0] for one in jobs]
    return sum(at is None or at > one.bounds.latest_at for one, at in zip(jobs, ats, strict=True))


def test_there_is_no_triage_where_all_can_be_in_time():
    assert triage([job(n, hours=1, slack_h=n) for n in range(1, 9)]) is None


def test_a_long_job_that_is_due_first_is_late_rather_than_many_short_ones():
    jobs = [job(0, hours=20, slack_h=1), *(job(n, hours=1, slack_h=9) for n in range(1, 8))]
    found = triage(jobs, tight=lambda _job, _at: True)
    assert found is not None
    assert numbers(found.late) == [0]
    assert numbers(found.urgent) == list(range(1, 8))


def test_narrow_jobs_that_would_break_up_the_nodes_of_wide_ones_come_after_them():
    narrow = [job(n, hours=12, slack_h=8, cpus=4) for n in range(3)]
    wide = [job(10 + n, hours=1, slack_h=9, cpus=10) for n in range(8)]
    found = triage([*narrow, *wide])
    assert found is not None
    assert len(found.late) < late_in([*narrow, *wide])
    assert set(numbers(found.late)) < {0, 1, 2}


def test_only_up_to_the_last_that_may_be_late_anything_is_urgent():
    jobs = [job(0, hours=20, slack_h=1), *(job(n, hours=1, slack_h=9) for n in range(1, 8))]
    found = triage(jobs, tight=lambda one, _at: one.key.job_id == 2)
    assert found is not None
    assert numbers(found.urgent) == [1, 2]
    relaxed = triage(jobs, tight=lambda _job, _at: False)
    assert relaxed is not None
    assert relaxed.urgent == ()


def test_there_is_no_triage_for_the_sake_of_a_few():
    jobs = [job(0, hours=20, slack_h=1), *(job(n, hours=1, slack_h=9) for n in range(1, 5))]
    assert late_in(jobs) == 4
    assert triage(jobs) is None


@st.composite
def bursts(draw):
    """Long jobs that are due soon before short ones, and some of any kind."""
    long = draw(st.lists(st.tuples(st.floats(8, 20), st.floats(0, 3)), min_size=1, max_size=4))
    short = draw(st.lists(st.tuples(st.floats(0.2, 1), st.floats(3, 9)), min_size=8, max_size=12))
    widths = st.integers(CPUS // 2 + 1, CPUS)
    jobs = [
        job(n, hours=hours, slack_h=slack_h, cpus=draw(widths))
        for n, (hours, slack_h) in enumerate([*long, *short])
    ]
    return sorted(jobs, key=lambda one: (one.bounds.latest_at, one.key))


@given(bursts())
def test_an_order_is_another_only_if_clearly_fewer_are_late_and_keeps_what_it_says(jobs):
    found = triage(jobs)
    if found is None:
        return
    assert len(found.late) <= late_in(jobs) - 5
    assert not {one.key for one in found.urgent} & {one.key for one in found.late}
    # Those that are urgent are in time in that order, whatever comes after them.
    assert late_in(found.urgent) == 0


@given(
    st.floats(10, 20),
    st.lists(st.tuples(st.floats(0.1, 0.3), st.floats(5, 9)), min_size=8, max_size=8),
)
def test_short_jobs_do_not_wait_for_a_long_one_that_was_due_before_them(hours, short):
    long = job(0, hours=hours, slack_h=1)
    found = triage([long, *(job(n, hours=h, slack_h=s) for n, (h, s) in enumerate(short, 1))])
    assert found is not None
    assert numbers(found.late) == [0]
