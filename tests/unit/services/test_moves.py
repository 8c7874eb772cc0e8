"""How many starts are moved at a time, and which first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carbonsched.errors import ClusterRefusedError
from carbonsched.model.directives import Directives
from carbonsched.services.moves import Applied

START, HOUR = 1_792_998_000, 3600
LATER = Directives(max_delay_s=6 * HOUR)
DIP = (400, 380, 100, 390, 400, 400)


@pytest.fixture
def limited(make_site):
    """A site that moves two starts a tick."""
    site = replace(make_site(), most_moves=2)
    site.forecast(*DIP)
    return site


def planned(site):
    """A plan tick; the ids in the order in which Slurm was told, and what was said of it."""
    before = len(site.slurm.moves)
    site.adopt.run()
    site.predict.run()
    applied = site.plan.run()
    return [move[0] for move in site.slurm.moves[before:]], applied


def test_what_is_not_moved_in_one_tick_is_moved_in_the_next_and_nothing_is_lost(limited):
    for _ in range(5):
        limited.slurm.submit(directives=LATER, cpus=1)
    ticks = [planned(limited) for _ in range(4)]
    assert [ids for ids, _ in ticks] == [[1, 2], [3, 4], [5], []]
    assert [applied for _, applied in ticks] == [
        Applied(moved=2, calls=2, left=3), Applied(moved=2, calls=2, left=1),
        Applied(moved=1, calls=1), Applied(),
    ]  # fmt: skip
    assert {move[1] for move in limited.slurm.moves} == {START + 2 * HOUR}
    assert str(ticks[0][1]) == "2 moved by 2 calls, 3 left for the next tick"


def test_a_lease_that_ends_soon_goes_first_then_what_may_start_then_what_has_time(limited):
    submit = limited.slurm.submit
    submit(directives=replace(LATER, lease_s=HOUR), begin=HOUR, cpus=1)  # put off, with time
    submit(directives=replace(Directives(), lease_s=HOUR), begin=HOUR, cpus=1)  # may start
    submit(directives=replace(LATER, lease_s=100), begin=100, cpus=1)  # its lease ends soon
    submit(directives=replace(LATER, lease_s=50), begin=50, cpus=1)  # sooner
    assert [planned(limited)[0] for _ in range(2)] == [[4, 3], [2, 1]]


def test_of_those_that_may_start_the_one_that_must_soonest_goes_first(make_site):
    site = replace(make_site(), most_moves=1)
    site.forecast(*[400] * 12)
    for delay_s in (5 * HOUR, 2 * HOUR, 9 * HOUR):
        site.slurm.submit(directives=Directives(max_delay_s=delay_s), cpus=1)
    assert [planned(site)[0] for _ in range(3)] == [[2], [1], [3]]


def test_jobs_that_slurm_refuses_to_move_keep_no_others_from_their_turn(limited):
    for _ in range(4):
        limited.slurm.submit(directives=LATER, cpus=1)
    told, moves = [], limited.slurm.set_start

    def refusing(job_id, start_at, note):
        told.append(job_id)
        if job_id in (1, 2):
            raise ClusterRefusedError(f"job {job_id} is not yours")
        moves(job_id, start_at, note)

    limited.slurm.set_start = refusing
    assert planned(limited)[1] == Applied(moved=0, calls=2, left=2)
    (managed,) = limited.clusters
    own = limited.slurm.present[3].key
    assert limited.plan.cluster(managed, only=own) == Applied(moved=1, calls=1)
    limited.slurm.submit(directives=LATER, cpus=1)
    assert planned(limited)[1] == Applied(moved=2, calls=2, left=2)
    assert planned(limited)[1] == Applied(moved=0, calls=2)
    assert told == [1, 2, 3, 4, 5, 1, 2]


def test_a_start_that_is_as_planned_needs_no_call(limited):
    limited.slurm.submit(directives=LATER)
    planned(limited)
    limited.clock.at += 60
    limited.forecast(400, 380, 99, 390, 400, 400)  # hardly another forecast
    assert planned(limited) == ([], Applied())


def test_while_csbatch_waits_only_its_own_job_is_moved(limited):
    first, second = (limited.slurm.submit(directives=LATER, cpus=1) for _ in range(2))
    limited.adopt.run()
    limited.predict.run()
    (managed,) = limited.clusters
    assert limited.plan.cluster(managed, only=second.key) == Applied(moved=1, calls=1)
    assert [move[0] for move in limited.slurm.moves] == [2]
    assert limited.ledger.plans.plan(first.key) is not None
    assert planned(limited)[0] == [1]
