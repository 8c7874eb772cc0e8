"""A running job's reservation follows what is predicted, but not every small step of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonsched.model.directives import Directives
from carbonsched.model.prediction import Prediction, PredictionSource

START, HOUR = 1_792_998_000, 3600
KWH_J = 3_600_000
MG_OF_A_KWH = 300_000 * 12 // 10  # 300 g/kWh and the PUE
MONTH = "2026-10"


def running(make_site):
    """A site with a quota, and a job that runs there."""
    site = make_site(ada=10**9)
    site.forecast(*[300] * 30)
    job = site.slurm.submit(directives=Directives(start_now=True), begin=0, time_limit_s=86_400)
    site.round()
    site.slurm.begin(job.key.job_id)
    site.adopt.run()
    return site, site.slurm.present[job.key.job_id]


def predict(site, job, energy_j):
    """Its epochs tell what it will take; what it has reserved then, and by how many entries."""
    told = Prediction.certain(PredictionSource.EPOCHS, 6 * HOUR, energy_j, "test")
    site.ledger.plans.add_prediction(job.key, told, site.clock.at)
    site.settle.run()
    return site.ledger.entries.reserved(job.key)[MONTH]


def test_it_stays_within_two_percent_and_follows_beyond(make_site):
    site, job = running(make_site)
    held, entries = predict(site, job, 100 * KWH_J)
    assert held == 100 * MG_OF_A_KWH
    for kwh in (101, 102, 99):
        assert predict(site, job, kwh * KWH_J) == (held, entries)
    assert predict(site, job, 103 * KWH_J) == (103 * MG_OF_A_KWH, entries + 1)
    assert predict(site, job, 101 * KWH_J) == (103 * MG_OF_A_KWH, entries + 1)
    assert predict(site, job, 100 * KWH_J) == (100 * MG_OF_A_KWH, entries + 2)


@pytest.mark.parametrize(
    ("energy_j", "follows"),
    [(1_000_000_000, False), (1_020_408_163, False), (1_020_500_000, True), (980_392_157, False),
     (980_300_000, True)],
)  # fmt: skip
def test_two_percent_are_of_what_is_predicted_now(make_site, energy_j, follows):
    site, job = running(make_site)
    before = predict(site, job, 1_000_000_000)
    assert (predict(site, job, energy_j) != before) is follows


def test_many_small_steps_are_followed_once_they_add_up(make_site):
    site, job = running(make_site)
    begun = predict(site, job, 100 * KWH_J)[1]
    for step in range(1, 31):
        kwh = 100 + step
        held, entries = predict(site, job, kwh * KWH_J)
        assert abs(held - kwh * MG_OF_A_KWH) <= 0.02 * kwh * MG_OF_A_KWH
    assert entries - begun == 10


def test_what_is_charged_leaves_the_reservation_beyond_two_percent_of_the_whole(make_site):
    site, job = running(make_site)
    site.actual(START, *[300] * 6)
    held, entries = predict(site, job, 100 * KWH_J)
    site.clock.at = START + 300
    site.deliver(site.segment(job, START, 300, 2 * KWH_J))
    site.settle.run()
    assert site.ledger.entries.reserved(job.key)[MONTH] == (held, entries)
    site.clock.at = START + 600
    site.deliver(site.segment(job, START + 300, 300, KWH_J))
    site.settle.run()
    assert site.ledger.entries.reserved(job.key)[MONTH] == (97 * MG_OF_A_KWH, entries + 1)


def test_its_end_lets_go_of_all_of_it_however_little_that_is(make_site):
    site, job = running(make_site)
    site.actual(START, *[300] * 6)
    predict(site, job, KWH_J)
    site.clock.at = START + 300
    site.deliver(site.segment(job, START, 300, KWH_J * 999 // 1000))
    site.settle.run()
    assert site.ledger.entries.reserved(job.key)[MONTH][0] > 0
    site.slurm.end(job.key.job_id)
    site.adopt.run()
    site.deliver(site.segment(replace(job), START + 300, 300, 0))
    site.clock.at += 2 * HOUR
    site.settle.run()
    assert site.ledger.entries.reserved(job.key)[MONTH][0] == 0


def test_what_is_held_in_another_month_moves_however_little_it_is_off(make_site):
    site, job = running(make_site)
    held, _ = predict(site, job, 100 * KWH_J)
    site.clock.at += 31 * 86_400
    site.quotas.hold_reservation(job, held, site.clock.at, site.clock.at, slack_mg=held)
    found = {name: mg for name, (mg, _) in site.ledger.entries.reserved(job.key).items()}
    assert found == {MONTH: 0, "2026-11": held}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.integers(1, 10**9), min_size=1, max_size=6))
def test_it_is_never_off_by_more_and_balances_are_its_sum(make_site, steps):
    site, job = running(make_site)
    for energy_j in steps:
        held, _ = predict(site, job, energy_j)
        wanted = round(energy_j * MG_OF_A_KWH / KWH_J)
        assert abs(held - wanted) <= round(0.02 * wanted) + 1
        (balance,) = site.quotas.balances("ada", "physics", site.clock.at)
        assert balance.reserved_mg == held
