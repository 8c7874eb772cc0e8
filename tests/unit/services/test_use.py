"""What a job has used: what is settled of it, and what came since, as one exact sum."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonsched.model.directives import Directives
from carbonsched.services.use import Use, Used
from carbonsched.units import emissions_mg, to_mg

START, HOUR = 1_792_998_000, 3600
PUE_PPM = 1_200_000
SLOT_S = 60
MODEST = Directives(start_now=True, budget_mg=10**9)


def running(site):
    job = site.slurm.submit(directives=MODEST, begin=0, time_limit_s=86_400)
    site.adopt.run()
    site.slurm.begin(job.key.job_id)
    site.adopt.run()
    return site.slurm.present[job.key.job_id]


def use(site):
    return Use(site.clusters, site.ledger, site.grid, site.settle, site.clock)


def in_full(site, job):
    """The same from all readings, as if nothing had been settled."""
    settled = site.ledger.entries.settlement(job.key)
    site.ledger.entries.save_settlement(replace(settled, exact_mg=None))
    found = use(site).of(job)
    site.ledger.entries.save_settlement(settled)
    return found


@st.composite
def courses(draw):
    """Intensities by hour in g/kWh, some not known yet, and readings in the order of arrival.

    A reading is (node, first minute, minutes, joules); ``None`` stands for a settlement.
    """
    hours = draw(st.lists(st.integers(0, 900), min_size=1, max_size=4))
    readings = []
    for node in ("n1", "n2"):
        at = 0
        for length in draw(st.lists(st.integers(1, 70), max_size=5)):
            readings.append((node, at, length, draw(st.integers(0, 10**6))))
            at += length + draw(st.integers(0, 5))
    arrivals = draw(st.permutations([*readings, None, None]))
    return hours, draw(st.permutations(range(len(hours)))), arrivals


def told(site, hours, known):
    for index in known:
        site.actual(START + index * HOUR, hours[index])


def priced(hours, reading):
    """Exact milligrams; ``None`` where an hour is not known."""
    _, first, minutes, energy_j = reading
    spans = [minute // 60 for minute in range(first, first + minutes)]
    if max(spans) >= len(hours):
        return None
    mean = Fraction(sum(hours[one] * 1000 for one in spans), minutes)
    return emissions_mg(energy_j, PUE_PPM, 1) * mean


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(course=courses())
def test_what_is_settled_and_what_came_since_are_the_whole(make_site, course):
    hours, order, arrivals = course
    site = make_site()
    job = running(site)
    site.clock.at = START + 10 * HOUR
    told(site, hours, order)
    whole, open_j = Fraction(0), 0
    for one in arrivals:
        if one is None:
            site.settle.run()
            continue
        node, first, minutes, energy_j = one
        at = START + first * SLOT_S
        site.deliver(site.segment(job, at, minutes * SLOT_S, energy_j, node))
        mg = priced(hours, one)
        whole, open_j = whole + (mg or 0), open_j + (energy_j if mg is None else 0)
    found = use(site).of(job)
    assert found == in_full(site, job)
    assert found.metered is (len(arrivals) > 2)
    if open_j == 0:
        assert found == Used(mg=to_mg(whole), before_mg=0, unknown_j=0, metered=len(arrivals) > 2)


def test_what_is_settled_is_not_read_again(site, monkeypatch):
    job = running(site)
    site.actual(START, 300)
    site.deliver(site.segment(job, START))
    site.clock.at = START + 300
    site.settle.run()
    site.deliver(site.segment(job, START + 300))
    read = []
    of_job = site.ledger.readings.of_job
    monkeypatch.setattr(
        site.ledger.readings, "of_job", lambda *args: read.extend(of_job(*args)) or of_job(*args)
    )
    assert use(site).of(job).mg == to_mg(2 * emissions_mg(30_000, PUE_PPM, 300_000))
    assert [one.start_at for one in read] == [START + 300]


def test_a_revised_intensity_counts_from_the_next_settlement(site):
    job = running(site)
    site.actual(START, 300)
    site.deliver(site.segment(job, START))
    site.clock.at = START + 300
    site.settle.run()
    before = use(site).of(job)
    site.actual(START, 600)
    assert use(site).of(job) == before
    site.settle.run()
    assert use(site).of(job).mg == to_mg(emissions_mg(30_000, PUE_PPM, 600_000))
    assert use(site).of(job) == in_full(site, job)


def test_what_could_not_be_priced_when_it_was_settled_is_still_told(site):
    job = running(site)
    site.deliver(site.segment(job, START))
    site.clock.at = START + 300
    site.settle.run()
    site.deliver(site.segment(job, START + 300, energy_j=5000))
    assert (
        use(site).of(job)
        == in_full(site, job)
        == Used(mg=0, before_mg=0, unknown_j=35_000, metered=True)
    )
    site.forecast(*[200] * 12)
    assert use(site).of(job).mg == to_mg(emissions_mg(35_000, PUE_PPM, 200_000))
