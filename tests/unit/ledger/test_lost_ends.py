"""Ends that nodes missed."""

from __future__ import annotations

from dataclasses import replace

from carbonsched.model.job import JobKey

KEY = JobKey(cluster="lab", job_id=7, submitted_at=50, restarts=0)


def test_what_was_told_first_stands(ledger):
    assert ledger.lost_ends.add(KEY, "n1", 200, 300)
    assert not ledger.lost_ends.add(KEY, "n1", 210, 400)
    assert ledger.lost_ends.of_id("lab", 7) == {(KEY, "n1"): 200}


def test_runs_and_nodes_are_kept_apart(ledger):
    again, elsewhere = replace(KEY, submitted_at=500), replace(KEY, cluster="other")
    restarted, neighbour = replace(KEY, restarts=1), replace(KEY, job_id=8)
    for number, key in enumerate((KEY, again, elsewhere, restarted, neighbour)):
        assert ledger.lost_ends.add(key, "n1", 200 + number, 300)
    assert ledger.lost_ends.add(KEY, "n2", 200, 300)
    assert ledger.lost_ends.of_id("lab", 7) == {
        (KEY, "n1"): 200, (KEY, "n2"): 200, (again, "n1"): 201, (restarted, "n1"): 203,
    }  # fmt: skip
    assert ledger.lost_ends.between("lab", 201, 204) == {
        (again, "n1"): 201, (restarted, "n1"): 203,
    }  # fmt: skip
