"""Stops of runs in the ledger, and which run goes on after which."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from sqlite_utils import Database

from carbonsched.ledger.schema import migrations
from carbonsched.model.job import JobKey
from carbonsched.model.stop import Stop, StopState

KEY = JobKey(cluster="lab", job_id=7, submitted_at=1000, restarts=0)
STOP = Stop(
    key=KEY, at=5000, state=StopState.SIGNALLED, changed_at=5001, first_submitted_at=1000,
    done_s=3600, left_s=1800, note="from about 18:00 on",
)  # fmt: skip
NEXT = replace(KEY, submitted_at=5130, restarts=1)


@pytest.fixture
def stops(path, open_ledger):
    return open_ledger(path).stops


def test_a_ledger_of_the_fourth_version_gets_the_table(path, open_ledger):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrations.apply(Database(connection, strict=True), stop_before="m0005_stops")
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        assert "plans" in tables
        assert "stops" not in tables
    ledger = open_ledger(path)
    ledger.stops.save(STOP)
    assert ledger.stops.of(KEY) == STOP


def test_what_a_stop_cost_is_not_known_of_those_from_before_it_was_kept(path, open_ledger):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrations.apply(Database(connection, strict=True), stop_before="m0009_costs_of_stops")
        connection.execute(
            "INSERT INTO stops VALUES ('lab', 7, 1000, 0, 5000, 'signalled', 5001, 1000, 3600,"
            " 1800, 'from about 18:00 on')"
        )
    ledger = open_ledger(path)
    assert ledger.stops.of(KEY) == STOP
    assert STOP.cost_s is None
    ledger.stops.save(replace(STOP, cost_s=900))
    assert ledger.stops.of(KEY).cost_s == 900


def test_a_stop_is_kept_as_far_as_it_has_come(stops):
    stops.save(STOP)
    assert stops.of(KEY) == STOP
    assert stops.under_way("lab") == [STOP]
    assert stops.under_way("north") == []
    later = replace(STOP, state=StopState.REQUEUED, changed_at=5200)
    stops.save(later)
    assert stops.of(KEY) == later
    assert stops.under_way("lab") == []
    assert stops.of(NEXT) is None


@pytest.mark.parametrize(
    ("state", "goes_on"),
    [
        (StopState.SIGNALLING, False),
        (StopState.SIGNALLED, False),
        (StopState.REQUEUEING, True),
        (StopState.REQUEUED, True),
        (StopState.LEFT, False),
    ],
)
def test_only_a_run_that_we_requeued_goes_on_in_the_next(stops, state, goes_on):
    stop = replace(STOP, state=state, changed_at=5130)
    stops.save(stop)
    assert stops.before(NEXT) == (stop if goes_on else None)


@pytest.mark.parametrize(
    "other",
    [
        replace(NEXT, restarts=2),  # requeued again, by a node failure for instance
        replace(NEXT, job_id=8),
        replace(NEXT, cluster="north"),
        replace(NEXT, submitted_at=5130 + 3 * 86_400),  # the id came round again
        replace(KEY, submitted_at=6000),
    ],
)
def test_another_run_is_not_the_next(stops, other):
    stops.save(replace(STOP, state=StopState.REQUEUED, changed_at=5130))
    assert stops.before(other) is None


def test_a_stop_has_sensible_lengths():
    with pytest.raises(ValueError, match="lab/7@1000"):
        replace(STOP, left_s=0)
