"""Charges follow the grid's figures: provisional, revised, corrected in a later month, final."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonsched.model.intensity import IntensitySeries, Point, SeriesInfo
from carbonsched.services.grid import ESTIMATED_WITHIN_S
from carbonsched.services.reopen import REVISED_WITHIN_S, KeepActuals
from carbonsched.services.settle import CLOSE_AFTER_S

START = 1_792_998_000  # in October
HOUR, DAY = 3600, 86_400
LAG_S = HOUR
INFO = SeriesInfo(provider="recorded", zone="DE")


class Told:
    """A job of one hour in twelve readings, and what providers tell of the grid in that hour."""

    def __init__(self, site) -> None:
        self.site = site
        self.keeper = KeepActuals(site.clusters, site.ledger, site.clock)
        self.job = site.slurm.submit()
        site.slurm.begin(1)
        site.adopt.run()
        running = site.slurm.present[1]
        segments = [site.segment(running, START + n * 300) for n in range(12)]
        site.clock.at = START + HOUR - 1
        site.slurm.end(1)
        site.clock.at += 1
        site.deliver(*segments)
        site.round()

    def tell(self, *mg_per_kwh, info=INFO, length_s=HOUR, start_at=START, estimated=False):
        points = tuple(
            Point(start_at + n * length_s, start_at + (n + 1) * length_s, mg, estimated=estimated)
            for n, mg in enumerate(mg_per_kwh)
        )
        series = IntensitySeries(info=info, fetched_at=self.site.clock.at, points=points)
        return self.keeper.keep(series)

    def settle(self, *, after_s=0):
        self.site.clock.at += after_s
        self.site.settle.run()
        return self.settled

    @property
    def settled(self):
        return self.site.ledger.entries.settlement(self.job.key)

    @property
    def charged_mg(self):
        return sum(mg for mg, _, _ in self.site.ledger.entries.charged(self.job.key).values())

    @property
    def entries(self):
        return self.site.ledger._file.rows("SELECT * FROM entries WHERE kind LIKE '%' ORDER BY id")


def charge_mg(*mg_per_kwh) -> int:
    """The exact charge of 12 readings of 30 kJ at PUE 1.2, by equal parts of the hour."""
    mean = Fraction(sum(mg_per_kwh), len(mg_per_kwh))
    return round(Fraction(12 * 30_000, 3_600_000) * Fraction(12, 10) * mean)


@pytest.fixture
def told(site) -> Told:
    return Told(site)


def test_a_job_is_provisional_until_the_settling_lag_has_passed(told):
    told.tell(300_000)
    settled = told.settle()
    assert (settled.mg, settled.complete, settled.final) == (charge_mg(300_000), True, False)
    assert settled.provisional
    assert not told.settle(after_s=LAG_S - 1).final
    settled = told.settle(after_s=1)
    assert (settled.final, settled.provisional) == (True, False)


def test_a_complete_job_is_not_reckoned_again_before_that(told):
    told.tell(300_000)
    first = told.settle()
    assert told.settle(after_s=600).settled_at == first.settled_at
    told.tell(310_000)
    again = told.settle(after_s=60)
    assert again.settled_at > first.settled_at
    assert again.mg == told.charged_mg == charge_mg(310_000)


def test_an_estimate_is_final_once_it_is_old_and_says_that_it_is_one(told):
    told.tell(300_000, estimated=True)
    assert not told.settle(after_s=2 * LAG_S).final
    settled = told.settle(after_s=ESTIMATED_WITHIN_S)
    assert settled.final
    assert any(source.endswith(", estimated") for source in settled.sources)


def test_an_estimate_that_becomes_measured_makes_the_job_final(told):
    told.tell(300_000, estimated=True)
    told.settle(after_s=LAG_S)
    told.tell(300_000)
    entries = told.entries
    settled = told.settle()
    assert (settled.final, settled.mg) == (True, charge_mg(300_000))
    assert told.entries == entries, "an equal value costs no entry"


def test_an_estimate_that_comes_after_the_measured_value_opens_no_job(told):
    told.tell(300_000)
    assert told.settle(after_s=LAG_S).final
    entries = told.entries
    assert told.tell(280_000, estimated=True) == 0
    assert told.tell(280_000, 290_000, length_s=1800, estimated=True) == 0
    settled = told.settle(after_s=DAY)
    assert (settled.final, settled.mg) == (True, charge_mg(300_000))
    assert told.entries == entries


def test_a_revision_opens_a_final_job_and_is_charged_as_the_difference(told):
    told.tell(300_000)
    assert told.settle(after_s=LAG_S).final
    told.site.clock.at += 3 * DAY
    told.tell(280_000)
    assert not told.settled.final
    settled = told.settle()
    assert (settled.final, settled.mg) == (True, charge_mg(280_000))
    last = told.entries[-1]
    assert (last["kind"], last["mg"]) == ("adjust", charge_mg(280_000) - charge_mg(300_000))
    assert last["energy_j"] == 0


def test_a_better_providers_value_that_comes_late_counts(make_site):
    site = make_site()
    second = replace(INFO, provider="second")
    site.grid._zones = {"DE": replace(site.grid.zones["DE"], chain=(INFO, second))}
    told = Told(site)
    told.tell(500_000, info=second)
    assert told.settle().mg is None, "the preferred provider may still deliver"
    settled = told.settle(after_s=LAG_S)
    assert (settled.final, settled.mg) == (True, charge_mg(500_000))
    told.site.clock.at += DAY
    told.tell(300_000)
    settled = told.settle()
    assert (settled.final, settled.mg) == (True, charge_mg(300_000))
    assert settled.sources[0].startswith("recorded")


def test_a_closed_month_is_corrected_in_the_next(told):
    told.tell(300_000)
    told.settle(after_s=LAG_S)
    told.site.clock.at = 1_793_491_200 + CLOSE_AFTER_S + DAY  # the 9th of November
    told.tell(330_000)
    told.settle()
    sums = told.site.ledger.entries.charge_sum
    assert sums("2026-10", "ada", None) == (charge_mg(300_000), 12 * 30_000)
    difference = charge_mg(330_000) - charge_mg(300_000)
    assert sums("2026-11", "ada", None) == (difference, 0)
    assert told.entries[-1]["origin"] == "2026-10"


def test_a_revision_after_two_months_is_archived_and_charges_nothing(told):
    told.tell(300_000)
    told.settle(after_s=LAG_S)
    told.site.clock.at = START + HOUR + REVISED_WITHIN_S + DAY
    assert told.tell(330_000) == 1
    assert told.settle().mg == charge_mg(300_000)


def test_what_does_not_touch_a_job_leaves_it_alone(told):
    told.tell(300_000)
    told.settle(after_s=LAG_S)
    told.tell(1, start_at=START + 2 * HOUR)
    told.tell(1, start_at=START - 2 * HOUR)
    told.tell(1, info=replace(INFO, zone="FR"))
    assert told.settled.final


def test_another_signal_of_the_same_provider_is_never_charged_by(told):
    told.tell(900_000, info=replace(INFO, kind="marginal"))
    assert told.settle(after_s=2 * LAG_S).mg is None


def test_a_note_that_changes_keeps_the_preferred_provider_preferred(told):
    told.tell(300_000, info=replace(INFO, note="as of last year"))
    assert told.settle().mg == charge_mg(300_000)
    told.tell(310_000)
    assert told.settle().mg == charge_mg(310_000)


def test_an_area_that_was_corrected_back_counts_before_what_the_mistaken_one_told(told):
    """The figures of the configured area count wherever it has them, however old they are."""
    west, east = (replace(INFO, note=f"{area}, some grid") for area in ("DK1", "DK2"))
    grid = told.site.grid
    grid._zones = {"DE": replace(grid.zones["DE"], chain=(west,))}
    told.tell(300_000, info=west)
    told.site.clock.at += 60
    told.tell(900_000, 800_000, info=east)
    (first, second) = grid.actual("DE", START, START + 2 * HOUR, told.site.clock.at)
    assert (first.mg_per_kwh, first.info) == (300_000, west)
    assert (second.mg_per_kwh, second.info) == (800_000, east), "where the other told nothing"
    assert told.settle().mg == charge_mg(300_000)


steps = st.lists(
    st.tuples(
        st.sampled_from(["tell", "part", "estimate", "settle", "wait"]),
        st.integers(1, 900_000),
        st.integers(0, 3),
    ),
    max_size=12,
)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(steps)
def test_after_any_revisions_entries_sum_to_the_exact_charge(make_site, steps):
    site = make_site()
    told = Told(site)
    known: list[int | None] = [None] * 4
    settled = [False] * 4
    for what, value, quarter in steps:
        site.clock.at += 7
        if what == "tell":
            told.tell(value, value + 1, value + 2, value + 3, length_s=900)
            known = [value, value + 1, value + 2, value + 3]
            settled = [True] * 4
        elif what in {"part", "estimate"}:
            told.tell(
                value, start_at=START + quarter * 900, length_s=900, estimated=what == "estimate"
            )
            if what == "part" or not settled[quarter]:
                known[quarter] = value
            settled[quarter] |= what == "part"
        elif what == "settle":
            told.settle()
        else:
            site.clock.at += value * 10
    told.settle()
    entries = told.entries
    priced = [mg for mg in known if mg is not None]
    exact = sum(
        (Fraction(3 * 30_000 * 12 * mg, 3_600_000 * 10) for mg in priced), start=Fraction(0)
    )
    late = site.clock.at > START + HOUR + REVISED_WITHIN_S
    if not late:
        assert told.charged_mg == round(exact)
    told.settle()
    assert told.entries == entries, "settling again posts nothing"
