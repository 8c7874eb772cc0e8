from __future__ import annotations

import logging

import pytest
from fault_suite import KEY, FaultSuite
from twin import Answer
from twin.electricity_maps import PLACE, ElectricityMaps, instant, row, value

from carbonsched.errors import (
    ProviderError,
    ProviderMalformedError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from carbonsched.intensity.http.secret import Secret
from carbonsched.intensity.providers.electricity_maps import ElectricityMapsProvider

HOUR = 3600
DAY = 86_400
SIX = 1795197600  # 2026-11-20T18:00Z
NO_PLAN = {
    "error": "Request unauthorized for zoneKey=DK-DK2,requestType=past,dataType=carbon-intensity.",
    "message": "You do not have access to this specific endpoint for this specific zone.",
}


def made(twin, clock, timeout_s=5.0, **more):
    url = twin.url + "/v4/"
    given = {"zone": "DK2", "key": Secret(KEY), "place": PLACE, "base_url": url}
    return ElectricityMapsProvider(clock=clock, timeout_s=timeout_s, **given | more)


@pytest.fixture
def maps(service, clock):
    ElectricityMaps(service, clock)
    return made(service, clock)


class TestFaults(FaultSuite):
    KEYED = True
    SPAN_S = 22 * HOUR  # the row in the middle of its day is in it

    def make(self, twin, clock, timeout_s):
        return made(twin, clock, timeout_s)

    def serve(self, twin, clock):
        ElectricityMaps(twin, clock)

    def rows(self, document):
        return document.get("history") or document.get("forecast")

    def set_value(self, row, value):
        row["carbonIntensity"] = value


class TestFaultsOfRanges(TestFaults):
    """The same for hours that are older than a day."""

    def ask(self, provider, clock, question):
        days = 12 if question == "forecast" else 1  # in two calls instead of the other question
        return provider.actual(clock.at - (2 + days) * DAY, clock.at - 2 * DAY).points

    def rows(self, document):
        return document.get("data")


def test_it_says_what_its_numbers_are(maps, service, clock):
    assert maps.info.label == (
        "electricity-maps: DK2, average, consumption, lifecycle CO2eq "
        "(DK-DK2, source: ElectricityMaps.com)"
    )
    assert made(service, clock, scope="direct").info.scope == "direct"


def test_every_call_has_the_key_and_may_not_look_the_caller_up(maps, service, clock):
    maps.actual(clock.at - 3 * DAY, clock.at)
    maps.forecast(clock.at)
    assert [request.path.rsplit("/")[-1] for request in service.requests] == [
        "history",
        "past-range",
        "forecast",
    ]
    for request in service.requests:
        assert request.headers["auth-token"] == KEY
        assert request.one("disableCallerLookup") == "true"
        assert request.one("zone") == PLACE
        assert request.one("emissionFactorType") == "lifecycle"
        assert request.one("temporalGranularity") == "hourly"
        assert KEY not in request.line


def test_the_last_day_comes_from_history_with_its_flags(maps, service, clock):
    told = maps.actual(clock.at - 4 * HOUR, clock.at)
    assert len(service.requests) == 1
    assert [(p.start_at, p.mg_per_kwh, p.estimated) for p in told.points] == [
        (SIX + n * HOUR, value(SIX + n * HOUR) * 1000, n >= -2) for n in range(-4, 0)
    ]  # the hour that is running is not over
    assert told.fetched_at == clock.at


def test_a_row_that_does_not_say_so_is_an_estimate(maps, service, clock):
    def alter(document):
        for one in document["history"]:
            del one["isEstimated"]
        return document

    service.alter = alter
    assert all(point.estimated for point in maps.actual(SIX - 9 * HOUR, clock.at).points)


def test_older_hours_come_from_ranges_of_ten_days(maps, service, clock):
    start = SIX - 25 * DAY
    told = maps.actual(start, clock.at)
    spans = [(r.one("start"), r.one("end")) for r in service.asked("/v4/*")[1:]]
    assert spans == [
        ("2026-10-26T18:00Z", "2026-11-05T18:00Z"),
        ("2026-11-05T18:00Z", "2026-11-15T18:00Z"),
        ("2026-11-15T18:00Z", "2026-11-19T19:00Z"),
    ]
    assert [point.start_at for point in told.points] == list(range(start, SIX, HOUR))
    old = maps.actual(start, start + HOUR)
    assert [point.mg_per_kwh for point in old.points] == [value(start) * 1000]
    assert len(service.asked("/v4/carbon-intensity/history")) == 1


def test_the_future_is_not_asked(maps, service, clock):
    assert maps.actual(clock.at, clock.at + DAY).points == ()
    assert service.requests == []


def test_the_hour_the_clocks_go_back_is_two_hours(service, clock):
    clock.at = instant("2026-10-25T12:00Z")
    ElectricityMaps(service, clock)
    told = made(service, clock).actual(instant("2026-10-24T22:00Z"), instant("2026-10-25T04:00Z"))
    assert len(told.points) == 6
    assert told.steps.mean(told.points[0].start_at, told.points[-1].end_at) is not None


def test_of_two_rows_for_an_hour_the_later_update_counts(maps, service, clock):
    at = SIX - 5 * HOUR
    newer = row(at, carbonIntensity=44, updatedAt="2026-11-20T17:43:00.001Z", isEstimated=False)
    older = row(at, carbonIntensity=55, updatedAt="2026-11-20T16:00:00Z")
    none = row(at, carbonIntensity=None, updatedAt="2026-11-20T15:00:00Z")
    service.alter = lambda told: told | {"history": [none, newer, *told["history"], older]}
    (point,) = maps.actual(at, at + HOUR).points
    assert (point.mg_per_kwh, point.estimated) == (44_000, False)


def test_the_forecast_is_of_three_days_and_issued_when_updated(maps, service, clock):
    forecast = maps.forecast(clock.at)
    assert service.requests[0].one("horizonHours") == "72"
    assert forecast.issued_at == instant("2026-11-20T18:20:04Z")  # up to the whole second
    assert len(forecast.points) == 73
    assert forecast.points[0].start_at == SIX
    assert not any(point.estimated for point in forecast.points)
    assert forecast.steps.mean(clock.at, clock.at + 72 * HOUR) is not None


@pytest.mark.parametrize("updated", [None, 7, "soon", "2026-11-20T18:20:03", "2026-11-21T00:00Z"])
def test_without_a_usable_update_it_is_issued_when_fetched(service, clock, updated):
    ElectricityMaps(service, clock).updated = updated
    assert made(service, clock).forecast(clock.at).issued_at == clock.at


def test_a_shorter_forecast_is_taken_for_what_it_is(maps, service, clock):
    service.alter = lambda told: told | {"forecast": told["forecast"][:5]}
    assert maps.forecast(clock.at).ends_at == SIX + 5 * HOUR


def test_an_old_forecast_has_only_what_is_ahead(maps, service, clock):
    asked = clock.at
    service.alter = lambda told: told | {"forecast": told["forecast"][:2]}
    assert [point.start_at for point in maps.forecast(asked + HOUR).points] == [SIX + HOUR]
    with pytest.raises(ProviderMalformedError, match="no usable hour"):
        maps.forecast(asked + 2 * HOUR)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("zone", "FR"),
        ("zone", ["DK-DK2"]),
        ("zone", None),
        ("emissionFactorType", "direct"),
        ("temporalGranularity", "15_minutes"),
        ("flowTraced", False),
    ],
)
@pytest.mark.parametrize("question", ["actual", "forecast"])
def test_figures_of_something_else_are_refused(maps, service, clock, name, wrong, question):
    def ask():
        return maps.forecast(clock.at) if question == "forecast" else maps.actual(SIX - DAY, SIX)

    assert ask().points
    service.alter = lambda told: told | {name: wrong}
    with pytest.raises(ProviderMalformedError, match=f"answered for another {name}"):
        ask()
    if question == "actual":
        service.alter = lambda told: told | {"history": [row(SIX), row(SIX, **{name: wrong})]}
        with pytest.raises(ProviderMalformedError, match=f"answered for another {name}"):
            ask()


def test_an_answer_without_a_zone_is_refused(maps, service, clock):
    service.alter = lambda told: {"forecast": told["forecast"]}
    with pytest.raises(ProviderMalformedError, match="does not say its zone"):
        maps.forecast(clock.at)


def test_a_wrong_key_and_a_small_plan_are_told_apart(maps, service, clock):
    service.fault = lambda wire, _request, _answer: wire.send(
        Answer({"error": "Invalid auth-token", "message": f"{KEY}?"}, 401)
    )
    with pytest.raises(ProviderRefusedError, match="key is refused: correct key_file or key_env"):
        maps.forecast(clock.at)
    service.fault = lambda wire, _request, _answer: wire.send(Answer(NO_PLAN, 401))
    with pytest.raises(ProviderRefusedError, match="plan has no forecast of DK-DK2"):
        maps.forecast(clock.at)
    service.fault = lambda wire, _request, _answer: wire.send(Answer("<html>Blocked", 403))
    with pytest.raises(ProviderRefusedError, match="status 403: correct place, scope or base_url"):
        maps.forecast(clock.at)


def test_an_unknown_zone_is_named_by_the_service(maps, service, clock):
    told = {"status": "error", "message": "Zone 'DK-DK2' does not exist."}
    service.fault = lambda wire, _request, _answer: wire.send(Answer(told, 400))
    with pytest.raises(ProviderRefusedError, match=r"does not exist.*correct place"):
        maps.forecast(clock.at)
    service.fault = lambda wire, _request, _answer: wire.send(Answer(told, 200))
    with pytest.raises(ProviderUnavailableError, match="an error though the status is 200"):
        maps.forecast(clock.at)


def test_a_key_without_ranges_still_gives_the_last_day(maps, service, clock, caplog):
    def deny(wire, request, answer):
        wire.send(Answer(NO_PLAN, 401) if request.path.endswith("past-range") else answer)

    service.fault = deny
    caplog.set_level(logging.WARNING)
    for _ in range(3):
        told = maps.actual(clock.at - 2 * DAY, clock.at)
        assert [point.start_at for point in told.points] == list(range(SIX - 23 * HOUR, SIX, HOUR))
    assert len(service.asked("/v4/carbon-intensity/past-range")) == 1
    assert caplog.text.count("no past-range of DK-DK2") == 1
    with pytest.raises(ProviderRefusedError, match="no past-range of DK-DK2"):
        maps.actual(clock.at - 3 * DAY, clock.at - 2 * DAY)
    clock.at += DAY
    maps.actual(clock.at - 2 * DAY, clock.at)
    assert len(service.asked("/v4/carbon-intensity/past-range")) == 3


def test_the_key_is_in_no_text(maps, service, clock, caplog):
    caplog.set_level(logging.DEBUG)
    service.fault = lambda wire, _request, _answer: wire.send(Answer({"error": KEY}, 400))
    with pytest.raises(ProviderError) as caught:
        maps.forecast(clock.at)
    for text in (str(caught.value), repr(caught.value), caplog.text, repr(vars(maps)), repr(maps)):
        assert KEY not in text


@pytest.mark.parametrize(
    "time", [None, 7, "", "2026-11-20T18:00:00", "20/11/2026 18:00", "2026-13-01T00:00Z"]
)
def test_a_row_without_a_time_in_a_zone_is_refused(maps, service, clock, time):
    def alter(told):
        told.get("history", told.get("forecast"))[3]["datetime"] = time
        return told

    service.alter = alter
    for ask in (lambda: maps.forecast(clock.at), lambda: maps.actual(SIX - 9 * HOUR, SIX)):
        with pytest.raises(ProviderMalformedError, match="a row is not"):
            ask()
