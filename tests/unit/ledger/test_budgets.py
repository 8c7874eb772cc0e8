"""Budgets of jobs and decisions on pilots in the ledger."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from sqlite_utils import Database

from carbonsched.ledger.schema import migrations
from carbonsched.model.budget import BudgetCase, BudgetState
from carbonsched.model.job import JobKey
from carbonsched.model.pilot import PilotDecision

KEY = JobKey(cluster="lab", job_id=7, submitted_at=5000, restarts=0)
CASE = BudgetCase(
    key=KEY, at=5100, state=BudgetState.SIGNALLED, changed_at=5100, budget_mg=100, used_mg=104,
    predicted_mg=None, note="its budget is used up",
)  # fmt: skip


def test_a_ledger_of_the_sixth_version_gets_the_tables(path, open_ledger):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrations.apply(Database(connection, strict=True), stop_before="m0007_budgets")
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        assert "stops" in tables
        assert not {"budgets", "pilots"} & tables
    ledger = open_ledger(path)
    ledger.budgets.save(CASE)
    decision = PilotDecision(key=KEY, decided_at=5050, stopped=True, note="it saves more later")
    ledger.pilots.save(decision)
    assert ledger.budgets.of(KEY) == CASE
    assert ledger.pilots.of(KEY) == decision


@pytest.mark.parametrize("state", BudgetState)
def test_what_is_under_way_is_found_by_the_next_daemon(path, open_ledger, state):
    open_ledger(path).budgets.save(replace(CASE, state=state))
    found = open_ledger(path).budgets.under_way("lab")
    assert bool(found) == (state.value in ("signalling", "signalled", "ending"))
