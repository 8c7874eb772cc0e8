from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fault_suite import FaultSuite
from hypothesis import given
from hypothesis import strategies as st
from twin import Answer

from carbonsched.errors import (
    ProviderMalformedError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from carbonsched.intensity.providers.gsf import GsfProvider, seconds

HOUR = 3600
DAY = 86_400
FIVE = 300
NOW = 1795200000  # 2026-11-20T18:40Z
PROBLEM = {"title": "ArgumentException", "detail": "Invalid parameters", "traceId": "00-1"}


def written(at):
    return datetime.fromtimestamp(at, UTC).isoformat()


def instant(text):
    return int(datetime.fromisoformat(text).timestamp())


def value(at):
    return 300 + at // FIVE % 97 + 0.6


class Service:
    """The WebAPI, as its controllers and its models have it."""

    def __init__(self, twin, clock):
        self.clock = clock
        self.location = "eastus"
        self.generated = "2026-11-20T18:35:00.1234567+00:00"
        twin.serve("/api/emissions/bylocation", self.bylocation)
        twin.serve("/api/emissions/forecasts/current", self.current)

    def bylocation(self, request):
        assert request.one("location") == "eastus"
        start, end = instant(request.one("time")), instant(request.one("toTime"))
        times = range(start, min(end, self.clock.at // FIVE * FIVE), FIVE)
        return [
            {
                "location": self.location,
                "time": written(at),
                "rating": value(at),
                "duration": "00:05:00",
            }
            for at in times
        ]

    def current(self, _request):
        first = self.clock.at // FIVE * FIVE + FIVE
        rows = [
            {"location": self.location, "timestamp": written(at), "duration": 5, "value": value(at)}
            for at in range(first, first + DAY, FIVE)
        ]
        best = {"location": self.location, "timestamp": written(first), "duration": 5, "value": 1.0}
        return [
            {
                "generatedAt": self.generated,
                "requestedAt": written(self.clock.at),
                "location": "eastus",
                "dataStartAt": written(first),
                "dataEndAt": written(first + DAY),
                "windowSize": 5,
                "optimalDataPoints": [best],
                "forecastData": rows,
            }
        ]


def made(twin, clock, timeout_s=5.0, **more):
    given = {
        "zone": "US",
        "base_url": twin.url + "/api/",
        "location": "eastus",
        "kind": "marginal",
        "basis": "production",
        "gas": "CO2",
        "scope": "direct",
    }
    return GsfProvider(clock=clock, timeout_s=timeout_s, **given | more)


@pytest.fixture
def backend(service, clock):
    return Service(service, clock)


@pytest.fixture
def gsf(service, clock, backend):
    return made(service, clock)


class TestFaults(FaultSuite):
    # 204 is its word for "there is nothing", and a null says no more.
    NOTHING = ("status 204", "null document")

    def make(self, twin, clock, timeout_s):
        return made(twin, clock, timeout_s)

    def serve(self, twin, clock):
        Service(twin, clock)

    def rows(self, document):
        return document[0].get("forecastData", document)

    def set_value(self, row, value):
        row["rating" if "rating" in row else "value"] = value


def test_its_numbers_are_what_the_operator_declares(service, clock):
    declared = made(service, clock, kind="average", gas="CO2eq", scope="lifecycle", note="WattTime")
    assert declared.info.label == "gsf: US, average, production, lifecycle CO2eq (eastus, WattTime)"
    assert made(service, clock).info.note == "eastus"


@pytest.mark.parametrize("name", ["kind", "basis", "gas", "scope", "location", "base_url"])
def test_nothing_is_guessed(service, clock, name):
    given = dict.fromkeys(["kind", "basis", "gas", "scope", "location", "base_url"], "x")
    del given[name]
    with pytest.raises(TypeError, match=name):
        GsfProvider(zone="US", clock=clock, **given)


def test_the_past_is_asked_in_weeks(gsf, service, clock):
    start = clock.at - 15 * DAY
    told = gsf.actual(start, clock.at)
    assert [(one.one("time"), one.one("toTime")) for one in service.requests] == [
        ("2026-11-05T18:00Z", "2026-11-12T18:00Z"),
        ("2026-11-12T18:00Z", "2026-11-19T18:00Z"),
        ("2026-11-19T18:00Z", "2026-11-20T19:00Z"),
    ]
    assert told.steps.mean(start, clock.at) is not None
    assert all(point.end_at <= clock.at for point in told.points)
    assert told.points[0].mg_per_kwh == round(value(told.points[0].start_at) * 1000)


def test_the_future_is_not_asked(gsf, service, clock):
    assert gsf.actual(clock.at + HOUR, clock.at + DAY).points == ()
    assert service.requests == []


def test_rows_outside_of_the_interval_are_left_out(gsf, service, clock):
    assert [point.start_at for point in gsf.actual(clock.at - 600, clock.at - 300).points] == [
        clock.at - 600
    ]


def test_the_forecast_ignores_the_best_points_and_asks_for_no_window(gsf, service, clock):
    forecast = gsf.forecast(clock.at)
    assert service.requests[0].one("windowSize") is None
    assert forecast.issued_at == instant("2026-11-20T18:35:01Z")
    assert len(forecast.points) == DAY // FIVE
    assert forecast.points[0].start_at == NOW + FIVE
    assert all(point.mg_per_kwh > 1000 for point in forecast.points)


def test_rolling_averages_are_not_taken_for_values(gsf, service, clock):
    def rolling(told):
        for row in told[0]["forecastData"]:
            row["duration"] = 30
        return [told[0] | {"windowSize": 30}]

    service.alter = rolling
    with pytest.raises(ProviderMalformedError, match=r"rolling averages.*300 s.*windowSize"):
        gsf.forecast(clock.at)


def test_windows_that_do_not_overlap_are_means_and_fine(gsf, service, clock):
    def half_hours(told):
        rows = [row | {"duration": 30} for row in told[0]["forecastData"][::6]]
        return [told[0] | {"windowSize": 30, "forecastData": rows}]

    service.alter = half_hours
    assert {point.end_at - point.start_at for point in gsf.forecast(clock.at).points} == {1800}


@pytest.mark.parametrize("bad", [-1, -1.0, 0, 0.0, None])
def test_its_words_for_failure_are_missing(gsf, service, clock, bad):
    def break_one(told):
        rows = told[0].get("forecastData", told)
        rows[3]["rating" if "rating" in rows[3] else "value"] = bad
        return told

    right = gsf.actual(clock.at - HOUR, clock.at), gsf.forecast(clock.at)
    service.alter = break_one
    assert len(gsf.forecast(clock.at).points) == len(right[1].points) - 1
    points = gsf.actual(clock.at // HOUR * HOUR, clock.at).points
    assert len(points) == 40 // 5 - 1
    assert set(points) < set(right[0].points)


def test_nothing_there_is_nothing_known(gsf, service, clock):
    service.fault = lambda wire, _request, _answer: wire.send(Answer(b"", 204))
    assert gsf.actual(clock.at - HOUR, clock.at).points == ()
    with pytest.raises(ProviderMalformedError, match="not one forecast of its location"):
        gsf.forecast(clock.at)


def test_a_data_source_without_forecasts_has_none(gsf, service, clock):
    told = Answer(PROBLEM | {"title": "NotImplementedException", "status": 501}, 501)
    service.fault = lambda wire, _request, _answer: wire.send(told)
    assert gsf.forecast(clock.at) is None
    with pytest.raises(ProviderRefusedError, match="status 501"):
        gsf.actual(clock.at - HOUR, clock.at)


@pytest.mark.parametrize(
    ("document", "status", "error", "match"),
    [
        (PROBLEM | {"status": 400}, 400, ProviderRefusedError, "Invalid parameters.*correct loc"),
        (PROBLEM | {"status": 500}, 500, ProviderUnavailableError, "status 500"),
        (PROBLEM | {"status": 400}, 200, ProviderRefusedError, "though the status is 200"),
        (PROBLEM | {"status": 503}, 200, ProviderUnavailableError, "though the status is 200"),
        ({"title": "x"}, 200, ProviderUnavailableError, "though the status is 200"),
        ({"data": []}, 200, ProviderMalformedError, "the answer is no list"),
    ],
)
@pytest.mark.parametrize("question", ["actual", "forecast"])
def test_errors_as_rfc_7807_has_them(gsf, service, clock, document, status, error, match, question):
    service.fault = lambda wire, _request, _answer: wire.send(
        Answer(document, status, content_type="application/problem+json")
    )
    with pytest.raises(error, match=match):
        gsf.forecast(clock.at) if question == "forecast" else gsf.actual(clock.at - HOUR, clock.at)


def test_another_location_is_refused_unless_declared(gsf, service, clock, backend):
    backend.location = "PJM_DC"
    for ask in (lambda: gsf.forecast(clock.at), lambda: gsf.actual(clock.at - HOUR, clock.at)):
        with pytest.raises(ProviderMalformedError, match="location than eastus: correct"):
            ask()
    declared = made(service, clock, answers_as="PJM_DC")
    assert declared.forecast(clock.at).points
    assert declared.actual(clock.at - HOUR, clock.at).points


@pytest.mark.parametrize(
    "alter",
    [
        lambda told: [told[0], told[0]],
        lambda told: [told[0] | {"location": "westus"}],
        lambda told: [told[0] | {"location": ["eastus"]}],
        lambda told: [told[0] | {"forecastData": None}],
        lambda _told: [],
    ],
)
def test_an_answer_that_is_not_one_forecast(gsf, service, clock, alter):
    service.alter = alter
    with pytest.raises(ProviderMalformedError, match=r"gsf: the (answer|forecast)"):
        gsf.forecast(clock.at)


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        *[("00:05:00", 300), ("01:00:00", HOUR), ("1.00:00:00", DAY), ("00:30:00.0000000", 1800)],
        *[(5, 300), (60, HOUR), ("00:00:00", 0), (-5, -300)],
    ],
)
def test_a_duration_is_a_time_span_or_minutes(told, meant):
    assert seconds(told) == meant


@pytest.mark.parametrize("told", ["5", "5 min", "PT5M", "", None, True, 5.5, [5], "99999.00:00:00"])
def test_any_other_duration_is_refused(told):
    with pytest.raises(ValueError, match="a duration is"):
        seconds(told)


@given(st.integers(0, 999), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_every_time_span_is_read(days, hours, minutes, rest):
    text = f"{days}.{hours:02d}:{minutes:02d}:{rest:02d}"
    assert seconds(text) == days * DAY + hours * HOUR + minutes * 60 + rest


def test_a_row_of_no_length_is_missing(gsf, service, clock):
    def one(told):
        return [told[0] | {"duration": "00:00:00"}, *told[1:]]

    right = gsf.actual(clock.at // HOUR * HOUR, clock.at).points
    service.alter = one
    assert gsf.actual(clock.at // HOUR * HOUR, clock.at).points == right[1:]


@pytest.mark.parametrize(
    "time", [None, 7, "", "2026-11-20T18:00:00", "20/11/2026 18:00", "2026-13-01T00:00Z"]
)
def test_a_row_without_a_time_in_a_zone_is_refused(gsf, service, clock, time):
    def alter(told):
        row = told[0].get("forecastData", told)[3]
        row["time" if "time" in row else "timestamp"] = time
        return told

    service.alter = alter
    for ask in (lambda: gsf.forecast(clock.at), lambda: gsf.actual(NOW - HOUR, NOW)):
        with pytest.raises(ProviderMalformedError, match="a row is not"):
            ask()


def test_it_is_reached_without_the_proxies_of_the_environment(gsf, clock, monkeypatch):
    monkeypatch.delenv("NO_PROXY")
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert gsf.actual(clock.at - HOUR, clock.at).points
