"""What the daemon learns from its ledger and hands to the planner."""

from __future__ import annotations

from dataclasses import replace

import pytest

import carbonsched.services.plan as plan_module
from carbonsched.model.directives import Directives
from carbonsched.model.plan import Reason
from carbonsched.model.prediction import Prediction, PredictionSource
from carbonsched.model.spread import Spread
from carbonsched.planning import plan
from carbonsched.ports import Node, Reservation
from carbonsched.services.learning import ANEW_EVERY_S, HISTORY_S, Learning, as_expected

START = 1_792_998_000  # when the site's clock begins
HOUR = 3600
DAY = 24 * HOUR
WISH = Directives(max_delay_s=6 * HOUR)
GUESS = Prediction(
    source=PredictionSource.LIMITS, samples=0, duration_s=HOUR, duration_low_s=18,
    duration_p25_s=800, duration_p75_s=HOUR, duration_high_s=HOUR, energy_j=144_000,
    energy_low_j=0, energy_p25_j=64_000, energy_p75_j=224_000, energy_high_j=288_000, method="m",
    explanation="",
)  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    """The requests that the planner got, in order."""
    found = []

    def listening(request):
        found.append(request)
        return plan(request)

    monkeypatch.setattr(plan_module, "plan", listening)
    return found


def run(site, *, ran_s, user="ada", state="COMPLETED", **fields):
    """A job that runs from now on and ends."""
    job = site.slurm.submit(user, directives=Directives(start_now=True), begin=0, **fields)
    site.slurm.begin(job.key.job_id)
    site.adopt.run()
    site.clock.at += ran_s
    site.slurm.end(job.key.job_id, state)
    site.adopt.run()
    return job


def learnt(site):
    learning = Learning(site.clusters, site.ledger)
    learning.catch_up(site.clock.now())
    return learning


def test_lengths_are_learnt_from_what_has_ended(site):
    fresh = learnt(site).length(site.slurm.submit())
    for _ in range(10):
        run(site, ran_s=360)
    job = site.slurm.submit()
    known = learnt(site).length(job)
    assert fresh.mean_s == pytest.approx(HOUR / 2)
    assert known.mean_s == pytest.approx(360, rel=0.25)
    assert max(known.seconds) <= HOUR
    assert learnt(site).length(replace(job, time_limit_s=None)) is None


@pytest.mark.parametrize(("state", "counts"), [("TIMEOUT", True), ("NODE_FAIL", False)])
def test_what_a_node_ended_says_nothing_of_the_job(site, state, counts):
    before = learnt(site).length(site.slurm.submit())
    run(site, ran_s=60, state=state)
    assert (learnt(site).length(site.slurm.submit()) != before) == counts


def test_each_run_is_learnt_once_and_at_once(site):
    learning = learnt(site)
    run(site, ran_s=90)
    learning.catch_up(site.clock.now())
    once = learning.length(site.slurm.submit())
    assert 90.0 in once.seconds
    for _ in range(5):
        site.clock.at += 61
        learning.catch_up(site.clock.now())
    assert learning.length(site.slurm.submit()) == once


def test_what_is_too_old_is_forgotten(site):
    learning = learnt(site)
    run(site, ran_s=90)
    site.clock.at += HISTORY_S + ANEW_EVERY_S
    learning.catch_up(site.clock.now())
    assert 90.0 not in learning.length(site.slurm.submit()).seconds


def test_what_is_left_ends_with_the_time_limit(site):
    learning = learnt(site)
    job = site.slurm.submit()
    left = learning.left(job, GUESS, START, START + 3000)
    assert 0 < min(left.seconds) <= max(left.seconds) <= 600
    assert learning.left(job, GUESS, START, START + 2 * HOUR).seconds[-1] == 1


def test_epochs_tell_what_is_left(site):
    by_epochs = replace(GUESS, source=PredictionSource.EPOCHS, duration_s=2000)
    job = site.slurm.submit()
    left = learnt(site).left
    assert left(job, by_epochs, START, START + 500) == Spread.exactly(1500)
    beyond = by_epochs.about(9000)
    assert left(job, beyond, START, START + 500) == Spread.exactly(HOUR - 500)


def test_without_a_limit_a_prediction_tells_and_without_both_nothing_does(site):
    job = replace(site.slurm.submit(), time_limit_s=None)
    left = learnt(site).left
    assert left(job, GUESS, START, START + 600) == Spread.exactly(3000)
    assert left(job, GUESS, START, START + 5000) == Spread.exactly(5000)
    assert left(job, None, START, START + 600) is None


def test_a_prediction_for_the_length_that_is_expected_has_the_same_energy():
    half = as_expected(GUESS, Spread((900.0, 2700.0), (1.0, 1.0)))
    assert (half.duration_s, half.energy_j) == (1800, 144_000)
    assert (half.duration_p25_s, half.duration_p75_s) == (800, HOUR)
    longer = as_expected(GUESS, Spread.exactly(2 * HOUR))
    assert (longer.duration_high_s, longer.energy_j) == (2 * HOUR, 144_000)
    assert (longer.duration_p25_s, longer.duration_p75_s) == (800, 2 * HOUR)
    assert as_expected(GUESS, None) is GUESS


def test_the_planner_gets_lengths_and_what_is_left(site, asked):
    site.forecast(*[300] * 8)
    running, waiting = site.slurm.submit("ben", cpus=4), site.slurm.submit(directives=WISH)
    site.slurm.begin(running.key.job_id)
    site.clock.at += 1800
    site.round()
    (request,) = asked
    (job,) = request.jobs
    (busy,) = request.clusters[0].busy
    assert (job.key, job.user) == (waiting.key, "ada")
    assert job.length.mean_s == pytest.approx(HOUR / 2)
    assert (busy.cpus, max(busy.left.seconds) <= 1800) == (4, True)


def test_a_job_that_was_let_into_the_queue_is_not_put_off_again(site, asked):
    site.forecast(*[300] * 8)
    job = site.slurm.submit(directives=WISH)
    site.round()
    site.clock.at += 60
    site.forecast(300, 20, *[300] * 6)
    site.round()
    assert [one.jobs[0].released for one in asked] == [False, True]
    assert site.slurm.present[job.key.job_id].eligible_at <= site.clock.now()


def test_a_job_that_was_pulled_in_is_not_said_to_start_when_it_was_put_off_to(site):
    site.forecast(300, 300, 20, *[300] * 5)
    job = site.slurm.submit(directives=WISH)
    site.round()
    deferred = site.ledger.plans.plan(job.key)
    site.clock.at += 60
    site.forecast(*[300] * 8)
    site.round()
    assert site.slurm.present[job.key.job_id].eligible_at <= site.clock.now()
    site.clock.at = deferred.start_at + 60
    site.forecast(*[300] * 8)
    site.round()
    assert deferred.reason is Reason.CLEANER
    assert site.ledger.plans.plan(job.key).reason is Reason.NO_ROOM  # it waits in the queue


def test_a_job_that_a_quota_held_is_weighed_when_it_is_let_go(make_site, asked):
    site = make_site(ada=1)
    site.forecast(*[300] * 8)
    site.slurm.submit(directives=WISH)
    site.round()
    site.clock.at = site.quotas.period_end(START) + 10
    site.forecast(*[300] * 8)
    site.round()
    assert not asked[-1].jobs[0].released


def test_prices_hold_for_half_an_hour_and_are_begun_with_after_it(site, asked):
    site.forecast(*[300] * 20)
    site.slurm.submit(directives=WISH)
    site.round()
    site.clock.at += 600
    site.round()
    site.clock.at += 1800
    site.round()
    first, second, third = (one.before for one in asked)
    assert first is None
    assert second.made_at == third.made_at == START


def test_work_is_expected_at_the_hours_at_which_it_came(site, asked):
    site.forecast(*[300] * 40)
    for _ in range(6):
        site.slurm.submit(directives=WISH, begin=0)
        site.slurm.submit(directives=Directives(start_now=True), begin=0, cpus=8)
        site.slurm.submit(cpus=8)
        site.clock.at += DAY
        site.forecast(*[300] * 40)
        site.round()
        for number in list(site.slurm.present):
            site.slurm.end(number, "CANCELLED")
        site.round()
    assert asked[-1].expected == ()
    site.slurm.submit(directives=WISH, begin=0)
    site.clock.at += 2 * HOUR
    site.round()
    expected = {one.first_at: one for one in asked[-1].expected}
    work = {
        at: place.cpus * place.length.mean_s for at, one in expected.items() for place in one.places
    }
    busiest = max(work, key=lambda at: work[at])
    assert (busiest - START) % DAY < HOUR
    (place,) = expected[busiest].places
    assert place.cluster == "lab"
    assert place.watts == pytest.approx(20 * place.cpus)  # half-way between 80 and 240 W, of 8
    assert expected[busiest].last_at - expected[busiest].first_at > 4 * HOUR


def test_a_mixture_has_the_mean_of_its_parts_in_few_points():
    parts = [(Spread((float(n), 10.0 * n), (3.0, 1.0)), n % 7 + 1.0) for n in range(1, 400)]
    total = sum(weight for _, weight in parts)
    together = Spread.mixture(parts).condensed(64)
    assert together.mean_s == pytest.approx(sum(one.mean_s * w for one, w in parts) / total)
    assert len(together.seconds) <= 64
    assert list(together.seconds) == sorted(together.seconds)


def test_reserved_nodes_are_not_to_be_planned_on(site, asked):
    site.forecast(*[300] * 8)
    begins = START + 2 * HOUR
    site.slurm.reserved = [
        Reservation(start_at=begins, end_at=begins + HOUR, nodes=("n1", "n2"), cpus=16),
        Reservation(start_at=begins, end_at=begins + HOUR, nodes=("n2",), cpus=3, every_s=DAY),
        Reservation(start_at=START - HOUR, end_at=START, nodes=("n1",)),
        Reservation(start_at=START + 90 * DAY, end_at=START + 91 * DAY, nodes=("n1",)),
    ]
    site.round()
    found = [
        (one.cpus, (one.start_at - begins) / HOUR, (one.end_at - one.start_at) / HOUR)
        for one in asked[0].clusters[0].reserved
    ]
    assert found == [(16, 0, 1), (3, 0, 1), (3, 24, 1), (3, 48, 1)]


def test_a_job_inside_a_reservation_is_counted_once(site, asked):
    site.forecast(*[300] * 8)
    site.slurm.reserved = [Reservation(start_at=START, end_at=START + HOUR, nodes=("n1",), cpus=8)]
    job = site.slurm.submit(cpus=4)
    site.slurm.begin(job.key.job_id)
    site.slurm.present[1] = replace(site.slurm.present[1], nodes=("n1", "n2"))
    site.clock.at += 10
    site.round()
    assert [one.cpus for one in asked[0].clusters[0].busy] == [2]


def test_nodes_that_take_no_work_are_not_reserved_beside(site, asked, monkeypatch):
    site.forecast(*[300] * 8)
    site.slurm.reserved = [
        Reservation(start_at=START, end_at=START + HOUR, nodes=("n1", "n2"), cpus=16)
    ]
    nodes = [
        Node(name="n1", cpus=8, available=False),
        Node(name="n2", cpus=8, available=True),
    ]
    monkeypatch.setattr(site.slurm, "nodes", lambda: nodes)
    site.round()
    state = asked[0].clusters[0]
    assert (state.cpus, [one.cpus for one in state.reserved]) == (8, [8])


@pytest.mark.parametrize(("reserved", "cpus"), [(("n1",), 16), (("n2",), 8), ((), 8)])
def test_nodes_whose_maintenance_ends_are_there_again_after_it(
    site, asked, monkeypatch, reserved, cpus
):
    """Where no reservation tells when that is, they are not counted."""
    site.forecast(*[300] * 8)
    if reserved:
        site.slurm.reserved = [Reservation(start_at=START, end_at=START + HOUR, nodes=reserved)]
    nodes = [
        Node(name="n1", cpus=8, available=False, maintained=True),
        Node(name="n2", cpus=8, available=True),
    ]
    monkeypatch.setattr(site.slurm, "nodes", lambda: nodes)
    site.round()
    state = asked[0].clusters[0]
    held = [(one.cpus, one.end_at) for one in state.reserved]
    assert (state.cpus, held) == (cpus, [(8, START + HOUR)] if reserved else [])


def test_runs_that_go_on_tell_of_their_kind(site):
    first = site.slurm.submit("ada", directives=Directives(start_now=True), begin=0)
    site.slurm.begin(first.key.job_id)
    for _ in range(10):
        run(site, ran_s=60, user="ada", name="short")
    site.clock.at += HOUR // 2
    site.adopt.run()
    learning = learnt(site)
    before = learning.length(first)
    now = site.clock.now()
    jobs = [known.job for known in site.ledger.jobs.open(first.key.cluster)]
    learning.go_on(first.key.cluster, jobs, now)
    assert learning.length(first).mean_s > before.mean_s
    learning.go_on(first.key.cluster, (), now)
    assert learning.length(first) == before
