"""Fetching: a zone that fails keeps neither the others nor the archive from anything."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import pytest

from carbonsched.errors import ProviderRefusedError, ProviderUnavailableError
from carbonsched.intensity.chain import Chain
from carbonsched.intensity.http.silence import PacedError
from carbonsched.model.intensity import Forecast, IntensitySeries, Point, SeriesInfo
from carbonsched.services.fetch import DEEP_AGAIN_S, DEEP_EVERY_S, DEEP_S, FetchIntensity
from carbonsched.services.reopen import KeepActuals

HOUR = 3600


class Provider:
    """Tells one value for every past hour and a forecast of two, or fails."""

    def __init__(self, zone, clock, value=300_000, name="grid") -> None:
        self.info = SeriesInfo(provider=name, zone=zone)
        self.clock, self.value = clock, value
        self.actual_error = self.forecast_error = None
        self.estimates, self.incomplete = False, ""

    def actual(self, start_at, end_at):
        if self.actual_error:
            raise self.actual_error
        starts = range(start_at - start_at % HOUR, end_at - HOUR + 1, HOUR)
        points = tuple(Point(at, at + HOUR, self.value, self.estimates) for at in starts)
        return IntensitySeries(
            info=self.info, fetched_at=self.clock.now(), points=points, incomplete=self.incomplete
        )

    def forecast(self, now):
        if self.forecast_error:
            raise self.forecast_error
        issued_at = now - now % HOUR
        points = tuple(Point(issued_at + n * HOUR, issued_at + (n + 1) * HOUR, n) for n in (0, 1))
        return Forecast(info=self.info, issued_at=issued_at, points=points)


@pytest.fixture
def zones(site):
    return {zone: Provider(zone, site.clock) for zone in ("DE", "FR", "GB")}


@pytest.fixture
def fetch(site, zones):
    chains = {zone: Chain(zone, [provider], site.clock) for zone, provider in zones.items()}
    keeper = KeepActuals(site.clusters, site.ledger, site.clock)
    return FetchIntensity(chains, site.ledger, site.clock, HOUR, keeper=keeper, writer=nullcontext)


def test_every_zone_is_fetched_and_nothing_twice(site, fetch):
    assert fetch.run() == "2880 new values, 3 new forecasts"
    assert fetch.run() == "0 new values, 0 new forecasts"
    site.clock.at += HOUR
    assert fetch.run() == "3 new values, 3 new forecasts"


@pytest.mark.parametrize("broken", ["actual_error", "forecast_error"])
def test_a_zone_that_fails_is_named_once_all_have_been_asked(site, fetch, zones, broken):
    setattr(zones["FR"], broken, ProviderUnavailableError("grid: timed out after 10 s"))
    with pytest.raises(ProviderUnavailableError, match=r"^zone FR: grid: timed out after 10 s$"):
        fetch.run()
    for zone in ("DE", "GB"):
        assert site.ledger.archive.actuals(zone, 0, site.clock.at)
        assert site.ledger.archive.forecast(zone, site.clock.at)
    known = site.ledger.archive.actuals("FR", 0, site.clock.at)
    assert bool(known) is (broken == "forecast_error")


def test_what_is_archived_outlives_the_provider(site, fetch, zones):
    fetch.run()
    before = site.ledger.archive.actuals("FR", 0, site.clock.at)
    zones["FR"].actual_error = zones["FR"].forecast_error = ProviderRefusedError("wrong key")
    with pytest.raises(ProviderUnavailableError, match="wrong key"):
        fetch.run()
    assert site.ledger.archive.actuals("FR", 0, site.clock.at) == before
    assert site.ledger.archive.forecast("FR", site.clock.at) is not None


def test_a_provider_that_recovers_is_well_again(site, fetch, zones):
    zones["FR"].actual_error = ProviderUnavailableError("grid: HTTP 500")
    with pytest.raises(ProviderUnavailableError):
        fetch.run()
    zones["FR"].actual_error = None
    site.clock.at += 2000
    assert fetch.run().startswith("48 new values")
    site.clock.at += DEEP_AGAIN_S
    assert fetch.run().startswith("914 new values"), "the last weeks, and the hour that is over"


def test_settled_values_that_could_not_be_had_are_asked_for_again_in_an_hour(site, fetch, zones):
    fetch.run()
    settled = site.ledger.archive.actuals("FR", 0, site.clock.at)
    site.clock.at += DEEP_EVERY_S
    zones["FR"].estimates, zones["FR"].incomplete = True, "grid: status 500 (settled values)"
    (told,) = [one for one in fetch.each() if (one.zone, one.what) == ("FR", "actual")]
    assert (told.status, told.new, told.why) == ("ok", 24, "grid: status 500 (settled values)")
    assert site.ledger.archive.actuals("FR", 0, site.clock.at - DEEP_EVERY_S) == settled
    zones["FR"].estimates, zones["FR"].incomplete, zones["FR"].value = False, "", 310_000
    site.clock.at += DEEP_AGAIN_S - 60
    assert fetch.run().startswith("48 new values"), "of the last two days"
    site.clock.at += 60
    assert fetch.run().startswith("914 new values"), (
        "911 of the last weeks, and the hour that is over in three zones"
    )


def test_a_turn_that_has_not_come_is_waited_for_and_the_last_weeks_are_asked_for_then(
    site, fetch, zones
):
    early = PacedError("grid: not asked more than twice a minute")
    zones["FR"].actual_error = zones["FR"].forecast_error = early
    found = [one for one in fetch.each() if one.zone == "FR"]
    assert {(one.status, one.why) for one in found} == {("idle", str(early))}
    zones["FR"].actual_error = zones["FR"].forecast_error = None
    zones["DE"].actual_error = AssertionError("it had its turn")
    assert fetch.catch_up() == "960 new values, 1 new forecasts"
    assert fetch.catch_up() == "0 new values, 0 new forecasts"


def test_the_writer_is_held_to_keep_and_never_to_ask(site, zones):
    held = []

    @contextmanager
    def writer():
        held.append("held")
        yield
        held.append("let go")

    def asks(question):
        def ask(*period):
            assert held.count("held") == held.count("let go")
            return question(*period)

        return ask

    provider = zones["DE"]
    provider.actual, provider.forecast = asks(provider.actual), asks(provider.forecast)
    keeper = KeepActuals(site.clusters, site.ledger, site.clock)
    fetch = FetchIntensity(
        {"DE": Chain("DE", [provider], site.clock)},
        site.ledger, site.clock, HOUR, keeper=keeper, writer=writer, own=Own(),
    )  # fmt: skip
    assert fetch.run() == "960 new values, 1 new forecasts, 1 of our own"
    assert held == ["held", "let go"] * 3


def test_a_revision_is_told_as_new_and_counts(site, fetch, zones):
    fetch.run()
    zones["GB"].value = 310_000
    site.clock.at += 60
    assert fetch.run() == "48 new values, 0 new forecasts"
    (series,) = site.ledger.archive.actuals("GB", site.clock.at - 47 * HOUR, site.clock.at)
    assert {point.mg_per_kwh for point in series.points} == {310_000}


def test_settled_values_of_weeks_ago_are_asked_for_once_a_day(site, fetch, zones):
    fetch.run()
    zones["GB"].value = 250_000
    weeks_ago = site.clock.at - DEEP_S + 3 * 86_400
    site.clock.at += DEEP_EVERY_S - 60
    fetch.run()
    (series,) = site.ledger.archive.actuals("GB", weeks_ago, weeks_ago + HOUR)
    assert series.points[0].mg_per_kwh == 300_000
    site.clock.at += 60
    fetch.run()
    (series,) = site.ledger.archive.actuals("GB", weeks_ago, weeks_ago + HOUR)
    assert series.points[0].mg_per_kwh == 250_000


def test_what_came_of_each_question_to_each_provider(site, zones):
    second = Provider("DE", site.clock, name="second")
    zones["DE"].actual_error = ProviderUnavailableError("grid: HTTP 500")
    marginal = Provider("DE", site.clock, name="marginal")
    keeper = KeepActuals(site.clusters, site.ledger, site.clock)
    fetch = FetchIntensity(
        {"DE": Chain("DE", [zones["DE"], second], site.clock)},
        site.ledger, site.clock, HOUR, keeper=keeper, writer=nullcontext,
        rankings={"DE": Chain("DE", [marginal], site.clock)}, own=Own(),
    )  # fmt: skip
    found = [(one.provider, one.what, one.status, one.new, one.why) for one in fetch.each()]
    assert found == [
        ("grid", "actual", "failed", 0, "grid: HTTP 500"),
        ("second", "actual", "ok", 960, ""),
        ("grid", "forecast", "ok", 1, ""),
        ("second", "forecast", "idle", 0, ""),
        ("marginal", "ranking", "ok", 1, ""),
        ("carbonsched", "own", "ok", 1, "two inputs"),
    ]


class Own:
    def issue(self, zone, now):
        info = SeriesInfo(provider="carbonsched", zone=zone)
        return Forecast(info=info, issued_at=now, points=(Point(now, now + HOUR, 1),)), "two inputs"


class BrokenOwn:
    def issue(self, *_):
        raise ValueError("singular matrix")


def test_a_fault_of_our_own_forecast_keeps_nothing_else_from_being_fetched(site, zones):
    keeper = KeepActuals(site.clusters, site.ledger, site.clock)
    chains = {"DE": Chain("DE", [zones["DE"]], site.clock)}
    fetch = FetchIntensity(
        chains, site.ledger, site.clock, HOUR, keeper=keeper, writer=nullcontext, own=BrokenOwn()
    )  # fmt: skip
    with pytest.raises(ProviderUnavailableError, match="our own forecast: singular matrix"):
        fetch.run()
    assert site.ledger.archive.forecast("DE", site.clock.at) is not None
