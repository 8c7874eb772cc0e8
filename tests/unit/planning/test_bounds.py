from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonsched.model.directives import Directives
from carbonsched.model.job import Job, JobKey
from carbonsched.planning import Bounds, DelayPolicy, bounds

SUBMITTED = 1_700_000_000
HOUR = 3600
SITE = DelayPolicy(default_max_delay_s=6 * HOUR, max_delay_s=24 * HOUR, safety_margin_s=300)


def waiting(**more) -> Job:
    values = {"state": "PENDING", "time_limit_s": HOUR, **more}
    return Job(
        key=JobKey(cluster="c", job_id=1, submitted_at=SUBMITTED, restarts=0),
        uid=1,
        user="alice",
        account="a",
        partition="p",
        name="n",
        **values,
    )


def test_the_owner_s_delay_counts_from_submission_and_is_capped_by_the_site():
    asked = bounds(waiting(), Directives(max_delay_s=2 * HOUR), SITE, SUBMITTED + 60)
    assert (asked.latest_at, asked.deferrable) == (SUBMITTED + 2 * HOUR, True)
    capped = bounds(waiting(), Directives(max_delay_s=99 * HOUR), SITE, SUBMITTED)
    assert (capped.latest_at, capped.why) == (SUBMITTED + 24 * HOUR, "the site's maximum delay")
    default = bounds(waiting(), Directives(), SITE, SUBMITTED)
    assert (default.latest_at, default.why) == (SUBMITTED + 6 * HOUR, "the site's default delay")


@pytest.mark.parametrize("where", ["directive", "slurm"])
def test_a_deadline_leaves_room_for_the_time_limit_and_a_margin(where):
    deadline_at = SUBMITTED + 5 * HOUR
    job = waiting(deadline_at=deadline_at if where == "slurm" else None)
    asked = Directives(deadline_at=deadline_at if where == "directive" else None)
    assert bounds(job, asked, SITE, SUBMITTED).latest_at == SUBMITTED + 4 * HOUR - 300


@pytest.mark.parametrize(
    ("job", "asked", "why"),
    [
        (waiting(), Directives(start_now=True), "immediate start"),
        (waiting(state="RUNNING"), Directives(), "no longer waits"),
        (waiting(time_limit_s=None), Directives(deadline_at=SUBMITTED + HOUR), "no time limit"),
        (waiting(), Directives(deadline_at=SUBMITTED + HOUR), "deadline leaves no time"),
        (waiting(), Directives(max_delay_s=0), "delay leaves no time"),
    ],
)
def test_what_may_not_be_deferred_says_why(job, asked, why):
    result = bounds(job, asked, SITE, SUBMITTED)
    assert not result.deferrable
    assert result.latest_at == result.earliest_at == SUBMITTED
    assert why in result.why


def test_own_begin_time_moves_the_earliest_start_only():
    asked = Directives(max_delay_s=3 * HOUR)
    result = bounds(waiting(), asked, SITE, SUBMITTED, begin_at=SUBMITTED + HOUR)
    assert (result.earliest_at, result.latest_at) == (SUBMITTED + HOUR, SUBMITTED + 3 * HOUR)
    beyond = bounds(waiting(), asked, SITE, SUBMITTED, begin_at=SUBMITTED + 9 * HOUR)
    assert (beyond.earliest_at, beyond.deferrable) == (SUBMITTED + 9 * HOUR, False)


def test_impossible_bounds_and_policies_are_refused():
    with pytest.raises(ValueError, match="latest"):
        Bounds(earliest_at=2, latest_at=1, deferrable=True, why="")
    with pytest.raises(ValueError, match="negative"):
        DelayPolicy(default_max_delay_s=-1, max_delay_s=0)


optional_s = st.none() | st.integers(0, 40 * HOUR)


@given(optional_s, optional_s, optional_s, st.integers(-HOUR, 40 * HOUR), st.booleans())
@settings(max_examples=150)
def test_no_bound_is_ever_exceeded(delay_s, deadline_s, limit_s, now_s, start_now):
    deadline_at = None if deadline_s is None else SUBMITTED + deadline_s
    asked = Directives(max_delay_s=delay_s, deadline_at=deadline_at, start_now=start_now)
    result = bounds(waiting(time_limit_s=limit_s), asked, SITE, SUBMITTED + now_s)
    assert result.latest_at >= result.earliest_at
    if result.deferrable:
        assert not start_now
        assert result.latest_at <= SUBMITTED + min(delay_s or 24 * HOUR, 24 * HOUR)
        assert result.latest_at > SUBMITTED + now_s
        if deadline_at is not None:
            assert result.latest_at + limit_s + 300 <= deadline_at
