from __future__ import annotations

from contextlib import nullcontext
from datetime import date, datetime
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonsched.errors import ProviderUnavailableError
from carbonsched.model.pue import PuePoint
from carbonsched.ports import PueTold, PueValue
from carbonsched.services.pue import ArchivedPue, ConstantPue, FetchPue, Since, TablePue

HOUR, DAY = 3600, 86_400
LAG = 6 * HOUR
SOURCE = "prometheus prom:9090"


def berlin(year, month, day):
    return int(datetime(year, month, day, tzinfo=ZoneInfo("Europe/Berlin")).timestamp())


class Told:
    """A reader that tells what a function of the step's end says."""

    source = SOURCE
    asks_again_s = 2 * HOUR
    most_s = 10 * DAY

    def __init__(self) -> None:
        self.asked = []
        self.value = lambda _at: 1_200_000
        self.fault = None
        self.error = None

    def read(self, start_at, end_at):
        self.asked.append((start_at, end_at))
        if self.error is not None:
            raise self.error
        ends = range((start_at // HOUR + 1) * HOUR, end_at // HOUR * HOUR + 1, HOUR)
        points = [PuePoint(at - HOUR, at, self.value(at), SOURCE) for at in ends if self.value(at)]
        return PueTold(tuple(points), self.fault)


@pytest.fixture
def archived(site):
    return ArchivedPue("lab", site.ledger.pues, 1_300_000, LAG, site.clock)


@pytest.fixture
def fetched(site):
    reader = Told()
    return reader, FetchPue({"lab": reader}, site.ledger, site.clock, nullcontext)


def test_a_constant_is_the_same_always():
    pue = ConstantPue(pue_ppm=1_250_000)
    assert pue.over(0, 10**9) == PueValue(1_250_000, "declared")
    assert pue.within(0, 9).over(3, 4) == PueValue(1_250_000, "declared")
    assert pue.now_ppm == 1_250_000


def test_a_table_changes_at_local_midnight(site):
    table = [Since(day=date(2026, 1, 1), pue_ppm=1_300_000),
             Since(day=date(2026, 7, 1), pue_ppm=1_200_000),
             Since(day=date(2030, 1, 1), pue_ppm=1_100_000)]  # fmt: skip
    pue = TablePue(table, "Europe/Berlin", site.clock)
    july = berlin(2026, 7, 1)
    assert pue.over(july - 300, july) == PueValue(1_300_000, "declared since 2026-01-01")
    assert pue.over(july, july + 300) == PueValue(1_200_000, "declared since 2026-07-01")
    assert pue.over(july - 100, july + 300) == PueValue(
        1_225_000, "declared since 2026-01-01 and 2026-07-01"
    )
    assert pue.now_ppm == 1_200_000
    assert pue.within(0, 1) is pue


def test_the_first_line_holds_before_its_day_and_says_so(site):
    day = date(2026, 1, 1)
    pue = TablePue([Since(day=day, pue_ppm=1_300_000)], "Europe/Berlin", site.clock)
    new_year = berlin(2026, 1, 1)
    assert pue.over(0, new_year) == PueValue(1_300_000, "declared before and since 2026-01-01")
    assert pue.over(new_year, new_year + 1).source == "declared since 2026-01-01"
    site.clock.at = 1000
    assert pue.now_ppm == 1_300_000


def test_what_was_told_counts_and_gaps_wait_for_the_lag(site, archived):
    now = site.clock.at
    points = [PuePoint(now - 4 * HOUR, now - 3 * HOUR, 1_200_000, SOURCE),
              PuePoint(now - 2 * HOUR, now - HOUR, 1_100_000, SOURCE)]  # fmt: skip
    site.ledger.pues.add("lab", points, now)
    assert archived.over(now - 4 * HOUR, now - 3 * HOUR) == PueValue(1_200_000, SOURCE)
    assert archived.over(now - 4 * HOUR, now - HOUR) is None
    assert archived.over(now - HOUR, now) is None
    site.clock.at = now - 2 * HOUR + LAG
    assert archived.over(now - 4 * HOUR, now - HOUR) == PueValue(
        1_200_000, f"fallback 1.3; {SOURCE}"
    )
    assert archived.over(now - HOUR, now) is None
    site.clock.at = now + LAG
    assert archived.over(now - HOUR, now) == PueValue(1_300_000, "fallback 1.3")


def test_a_later_word_takes_the_place_of_the_fallback_and_of_an_earlier_word(site, archived):
    now = site.clock.at
    hour = (now - HOUR, now)
    site.clock.at = now + LAG
    assert archived.over(*hour).source == "fallback 1.3"
    site.ledger.pues.add("lab", [PuePoint(*hour, 1_150_000, SOURCE)], now + LAG)
    assert archived.over(*hour) == PueValue(1_150_000, SOURCE)
    site.ledger.pues.add("lab", [PuePoint(*hour, 1_160_000, SOURCE)], now + LAG + 1)
    assert archived.over(*hour) == PueValue(1_160_000, SOURCE)


def test_another_cluster_s_values_are_not_this_one_s(site, archived):
    now = site.clock.at
    site.ledger.pues.add("north", [PuePoint(now - HOUR, now, 1_100_000, SOURCE)], now)
    assert archived.over(now - HOUR, now) is None
    assert archived.now_ppm == 1_300_000


def test_there_is_always_something_to_plan_with(site, archived):
    now = site.clock.at
    assert archived.now_ppm == 1_300_000
    site.ledger.pues.add("lab", [PuePoint(now - HOUR, now, 1_100_000, SOURCE)], now)
    assert archived.now_ppm == 1_100_000
    assert archived.within(now - HOUR, now).now_ppm == 1_100_000
    site.clock.at = now + 7 * DAY
    assert archived.now_ppm == 1_100_000
    site.clock.at += 1
    assert archived.now_ppm == 1_300_000


spans = st.lists(st.integers(0, 40), min_size=2, max_size=8, unique=True).map(sorted)


@given(st.data(), spans, st.integers(0, 40), st.integers(1, 30), st.integers(0, 60))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_mean_is_that_of_each_second(make_site, data, cuts, start, length, due):
    site = make_site()
    base = site.clock.at
    points = [
        PuePoint(base + one, base + two, data.draw(st.integers(10**6, 3 * 10**6)), "told")
        for one, two in pairwise(cuts)
        if data.draw(st.booleans())
    ]
    site.ledger.pues.add("lab", points, base)
    site.clock.at = base + due + LAG
    pue = ArchivedPue("lab", site.ledger.pues, 1_300_000, LAG, site.clock)
    total, unknown = 0, False
    for at in range(base + start, base + start + length):
        there = [one for one in points if one.start_at <= at < one.end_at]
        unknown |= not there and at >= base + due
        total += there[0].pue_ppm if there else 1_300_000
    value = pue.over(base + start, base + start + length)
    assert (value is None) == unknown
    if value is not None:
        assert value.pue_ppm == round(Fraction(total, length))
    inside = pue.within(base, base + 80).over(base + start, base + start + length)
    assert inside == value


def test_the_first_fetch_asks_for_a_month_in_parts(site, fetched):
    reader, fetch = fetched
    now = site.clock.at
    assert fetch.run() == f"{31 * 24} new values"
    assert reader.asked == [
        (now - 31 * DAY, now - 21 * DAY), (now - 21 * DAY, now - 11 * DAY),
        (now - 11 * DAY, now - DAY), (now - DAY, now),
    ]  # fmt: skip


def test_later_fetches_ask_from_the_last_value_and_the_recent_past_again(site, fetched):
    reader, fetch = fetched
    fetch.run()
    reader.asked.clear()
    last = site.clock.at
    site.clock.at += HOUR
    assert fetch.run() == "1 new values"
    assert reader.asked == [(last - 2 * HOUR, site.clock.at)]
    reader.value = lambda at: 1_250_000 if at == last else 1_200_000
    assert fetch.run() == "1 new values"
    assert fetch.run() == "0 new values"
    assert [one.pue_ppm for one in site.ledger.pues.between("lab", last - HOUR, last)] == [
        1_250_000
    ]


def test_after_a_long_silence_at_most_a_month_is_asked_for(site, fetched):
    reader, fetch = fetched
    fetch.run()
    reader.asked.clear()
    site.clock.at += 90 * DAY
    fetch.run()
    assert reader.asked[0][0] == site.clock.at - 31 * DAY


def test_a_failure_is_one_line_and_leaves_the_values_that_were_there(site, fetched, archived):
    reader, fetch = fetched
    fetch.run()
    now = site.clock.at
    reader.error = ProviderUnavailableError(f"{SOURCE}: timed out after 10 s")
    site.clock.at += HOUR
    with pytest.raises(ProviderUnavailableError) as caught:
        fetch.run()
    assert str(caught.value) == f"PUE of cluster lab: {SOURCE}: timed out after 10 s"
    assert archived.over(now - HOUR, now) == PueValue(1_200_000, SOURCE)


def test_one_that_fails_does_not_keep_the_others_from_being_fetched(site):
    broken, well = Told(), Told()
    broken.error = ProviderUnavailableError("away")
    with pytest.raises(ProviderUnavailableError, match="cluster lab: away"):
        FetchPue({"lab": broken, "north": well}, site.ledger, site.clock, nullcontext).run()
    assert site.ledger.pues.latest("north", site.clock.at) is not None


def test_what_had_to_be_kept_out_is_said_and_the_rest_is_kept(site, fetched):
    reader, fetch = fetched
    reader.fault = f"{SOURCE}: '0.9' is not a PUE from 1 to 3: left out"
    with pytest.raises(ProviderUnavailableError, match=r"'0.9' is not a PUE"):
        fetch.run()
    assert site.ledger.pues.latest("lab", site.clock.at).pue_ppm == 1_200_000


def test_a_source_that_tells_nothing_is_a_problem(site, fetched):
    reader, fetch = fetched
    reader.value = lambda _at: None
    with pytest.raises(ProviderUnavailableError, match="prom:9090 tells no value of late"):
        fetch.run()
