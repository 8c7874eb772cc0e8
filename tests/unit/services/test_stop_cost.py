"""What a stop is reckoned to cost: the site's figure, or the start-up that a job's marks show."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonsched.ledger import Ledger
from carbonsched.model.directives import Directives
from carbonsched.model.energy import Quality
from carbonsched.model.epoch import EpochRecord
from carbonsched.model.job import Job, JobKey
from carbonsched.services.stop_cost import StopCosts
from carbonsched.transport.munge import Caller

START, HOUR = 1_792_998_000, 3600
EPOCH_S, EPOCHS, GRACE_S, COST_S = 600, 12, 120, 300
PILOT = Directives(pilot=True, checkpoint=True, max_delay_s=24 * HOUR)
DIRTY_FIRST = (400,) * 3 + (100,) * 17
CLEAN_AT = START + 3 * HOUR
ROOT = Caller(uid=0, gid=0, payload=b"")


def record(number, began_ms, *, restarts=0, node="n1"):
    return EpochRecord(
        cluster="lab", node=node, job_id=1, restarts=restarts, uid=1001, epoch=number,
        epochs=EPOCHS, started_ms=began_ms, duration_ms=EPOCH_S * 1000,
        energy_millij=60_000_000, relative_sd=None, samples=0, quality=Quality.MODELLED,
    )  # fmt: skip


def tell(site, number, began_at, **more):
    """An epoch is complete; the clock stands at its end, and the next round has come."""
    site.take.take(ROOT, [], [record(number, began_at * 1000, **more).to_wire()])
    site.clock.at = began_at + EPOCH_S
    site.round()


def pilot(site, forecast=DIRTY_FIRST, **fields):
    """A pilot that has just started."""
    site.forecast(*forecast)
    job = site.slurm.submit(directives=PILOT, begin=0, **{"time_limit_s": 6 * HOUR, **fields})
    site.round()
    site.slurm.begin(job.key.job_id)
    site.round()
    return job


def requeued(site):
    """The run that goes on, once the grace is over."""
    for after_s in (GRACE_S, 60):
        site.clock.at += after_s
        site.round()
    (known,) = site.ledger.jobs.open("lab")
    return known


@pytest.mark.parametrize(("start_up_s", "stops"), [(60, True), (2 * EPOCH_S, False)])
def test_a_long_start_up_speaks_against_a_stop(site, start_up_s, stops):
    """A tenth is saved of the eleven epochs left, or nothing where a start-up of two is added."""
    job = pilot(site, [300] * 3 + [270] * 17)
    tell(site, 1, START + start_up_s)
    decision = site.ledger.pilots.of(job.key)
    assert decision.stopped is stops
    assert len(site.slurm.signals) == stops
    cost = "00:05:00" if stops else "00:20:00"
    assert f"{cost} of running" in decision.note


def test_what_goes_on_is_planned_and_predicted_with_the_start_up(site):
    start_up_s = 900
    job = pilot(site)
    tell(site, 1, START + start_up_s)
    stop = site.ledger.stops.of(job.key)
    assert stop.cost_s == start_up_s
    known = requeued(site)
    rest = site.ledger.plans.prediction(known.job.key)
    assert rest.duration_s == stop.left_s + start_up_s
    assert rest.energy_j / rest.duration_s == pytest.approx(60_000 / EPOCH_S, rel=0.05)
    plan = site.ledger.plans.plan(known.job.key)
    assert plan.start_at == CLEAN_AT
    assert plan.latest_at == START + PILOT.max_delay_s + stop.done_s - start_up_s


def test_the_newest_run_that_tells_its_start_up_counts(site):
    job = pilot(site, time_limit_s=12 * HOUR)
    tell(site, 1, START + 900)
    known = requeued(site)
    site.clock.at = CLEAN_AT
    site.slurm.begin(1)
    site.round()
    site.forecast(*DIRTY_FIRST)
    tell(site, 2, CLEAN_AT + 1500, restarts=1)
    second = site.ledger.stops.of(known.job.key)
    assert (site.ledger.stops.of(job.key).cost_s, second.cost_s) == (900, 1500)
    assert second.done_s == (900 + EPOCH_S) + (1500 + EPOCH_S - 900)


def test_until_a_run_has_marked_an_epoch_what_was_known_before_counts(site):
    job = pilot(site, time_limit_s=12 * HOUR)
    tell(site, 1, START + 900)
    known = requeued(site)
    site.clock.at = CLEAN_AT
    site.slurm.begin(1)
    site.round()
    site.clock.at += site.stopping.least_run_s
    site.forecast(*DIRTY_FIRST)
    site.round()
    assert site.ledger.stops.of(known.job.key).cost_s == site.ledger.stops.of(job.key).cost_s == 900


def test_a_stop_from_before_its_cost_was_kept_goes_on_by_the_sites_figure(site):
    job = pilot(site)
    tell(site, 1, START + 900)
    stop = replace(site.ledger.stops.of(job.key), cost_s=None)
    site.ledger.stops.save(stop)
    known = requeued(site)
    rest = site.ledger.plans.prediction(known.job.key)
    assert rest.duration_s == stop.left_s + COST_S
    latest_at = site.ledger.plans.plan(known.job.key).latest_at
    assert latest_at == START + PILOT.max_delay_s + stop.done_s - COST_S


# The figure by itself

KEY = JobKey(cluster="lab", job_id=1, submitted_at=START, restarts=0)
JOB = Job(
    key=KEY, uid=1001, user="ada", account="physics", partition="main", name="train",
    state="RUNNING", started_at=START, nodes=("n1", "n2"),
)  # fmt: skip


@pytest.fixture
def costs_of(tmp_path):
    """The cost of a stop of a job whose epochs these are."""
    opened = []

    def made(records, job=JOB):
        ledger = Ledger(tmp_path / f"{len(opened)}.db")
        opened.append(ledger)
        for one in records:
            ledger.readings.add_epoch(one, START)
        return StopCosts(ledger, COST_S).of_next(job)

    yield made
    for ledger in opened:
        ledger.close()


def test_without_marks_or_before_its_start_it_is_the_sites_figure(costs_of):
    marked = [record(1, (START + 900) * 1000)]
    assert costs_of([]) == COST_S
    assert costs_of(marked) == 900
    assert costs_of(marked, replace(JOB, state="PENDING", started_at=None)) == COST_S


def test_the_first_node_to_begin_an_epoch_tells_and_a_started_second_counts(costs_of):
    records = [
        record(1, (START + 905) * 1000, node="n1"),
        record(1, (START + 900) * 1000 + 1, node="n2"),
        record(2, (START + 1505) * 1000),
    ]
    assert costs_of(records) == 901


def test_where_its_first_epoch_was_not_marked_the_start_up_is_not_known(costs_of):
    """What was before the second epoch is a start-up and an epoch, and no more can be told."""
    assert costs_of([record(2, (START + 1500) * 1000)]) == COST_S


def test_what_another_job_of_that_id_marked_before_is_not_its_own(costs_of):
    assert costs_of([record(1, (START - 500) * 1000)]) == COST_S


@given(starts=st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**4)), min_size=50))
@settings(max_examples=5)
def test_it_is_the_larger_of_both(tmp_path_factory, starts):
    with closing(Ledger(tmp_path_factory.mktemp("costs") / "ledger.db")) as ledger:
        for job_id, (start_up_ms, least_s) in enumerate(starts):
            marked = replace(record(1, START * 1000 + start_up_ms), job_id=job_id)
            ledger.readings.add_epoch(marked, START)
            job = replace(JOB, key=replace(KEY, job_id=job_id))
            found = StopCosts(ledger, least_s).of_next(job)
            assert found >= least_s
            assert found * 1000 >= start_up_ms
            assert found == least_s or (found - 1) * 1000 < start_up_ms
