from __future__ import annotations

import base64
import logging
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from fault_suite import KEY, FaultSuite
from hypothesis import given
from hypothesis import strategies as st
from twin import FAULTS, Answer

from carbonsched.errors import ProviderError, ProviderMalformedError, ProviderRefusedError
from carbonsched.intensity.http.secret import Secret
from carbonsched.intensity.providers.answers import mg_from_pounds
from carbonsched.intensity.providers.watttime import WattTimeProvider

HOUR = 3600
DAY = 86_400
FIVE = 300
REGION = "CAISO_NORTH"
NOW = 1795200000  # 2026-11-20T18:40Z
BASIC = base64.b64encode(f"someone:{KEY}".encode()).decode()


def written(at):
    return datetime.fromtimestamp(at, UTC).isoformat()


def instant(text):
    return int(datetime.fromisoformat(text).timestamp())


def value(at):
    return 800 + at // FIVE % 173 + 0.5


class Service:
    """WattTime, as its documentation and the official client have it."""

    def __init__(self, twin, clock):
        self.clock = clock
        self.token = KEY
        self.valid = True
        self.model = "2024-06-15"
        twin.serve("/login", self.login)
        twin.serve("/v3/forecast", self.forecast)
        twin.serve("/v3/historical", self.historical)

    def login(self, request):
        if request.headers.get("authorization") != f"Basic {BASIC}":
            return Answer("Unauthorized", 401)
        return {"token": self.token}

    def meta(self, request):
        return {
            "region": request.one("region"),
            "signal_type": request.one("signal_type"),
            "model": {"date": self.model},
            "units": "lbs_co2_per_mwh",
            "data_point_period_seconds": FIVE,
            "warnings": [],
        }

    def refused(self, request):
        if request.headers.get("authorization") != f"Bearer {self.token}" or not self.valid:
            return Answer(f"Jwt {self.token} is expired", 401, content_type="text/plain")
        return None

    def forecast(self, request):
        first = self.clock.at // FIVE * FIVE
        times = range(first, first + int(request.one("horizon_hours")) * HOUR, FIVE)
        rows = [{"point_time": written(at), "value": value(at)} for at in times]
        issue = {"generated_at": written(first), "generated_at_period_seconds": FIVE}
        return self.refused(request) or {"data": rows, "meta": self.meta(request) | issue}

    def historical(self, request):
        start, end = instant(request.one("start")), instant(request.one("end"))
        if end - start > 32 * DAY:
            return Answer({"error": "x", "message": "at most 32 days"}, 400)
        last = min(end, self.clock.at - FIVE)
        rows = [
            {
                "point_time": written(at),
                "value": value(at),
                "last_updated": written(at + 600),
                "imputed_data_used": at % HOUR == 0,
            }
            for at in range(start, last + 1, FIVE)
        ]
        return self.refused(request) or {"data": rows, "meta": self.meta(request)}


def made(twin, clock, timeout_s=5.0, **more):
    given = {
        "zone": "US",
        "username": "someone",
        "password": Secret(KEY),
        "region": REGION,
        "base_url": twin.url + "/",
    }
    return WattTimeProvider(clock=clock, timeout_s=timeout_s, **given | more)


@pytest.fixture
def backend(service, clock):
    return Service(service, clock)


@pytest.fixture
def watttime(service, clock, backend):
    return made(service, clock)


class TestFaults(FaultSuite):
    """Of the data; the login has its own below."""

    KEYED = True
    SKIPPED = ("zero",)  # a marginal rate may be zero: see below

    def make(self, twin, clock, timeout_s):
        provider = made(twin, clock, timeout_s)
        fault, twin.fault = twin.fault, None
        provider._logged_in()
        twin.fault = fault
        twin.requests.clear()
        return provider

    def serve(self, twin, clock):
        Service(twin, clock)

    def rows(self, document):
        return document.get("data")

    def set_value(self, row, value):
        row["value"] = value


@pytest.mark.parametrize(
    "fault", [one for one in FAULTS if not one.slow], ids=lambda fault: fault.name
)
def test_a_login_that_fails(service, clock, watttime, fault, caplog):
    caplog.set_level(logging.DEBUG)
    service.fault = lambda wire, request, answer: (
        fault(wire, request, answer) if request.path == "/login" else wire.send(answer)
    )
    if fault.outcome == "right":
        assert watttime.forecast(clock.at).points
    else:
        with pytest.raises(ProviderError, match=r"^watttime: [ -~]*$") as caught:
            watttime.forecast(clock.at)
        assert KEY not in f"{caught.value} {caught.value!r}"
    assert len(service.requests) <= 2
    assert KEY not in caplog.text


def test_it_says_what_its_numbers_are(watttime, service, clock):
    assert watttime.info.label == (
        "watttime: US, marginal, production, direct CO2 (CAISO_NORTH, source: WattTime)"
    )
    average = made(service, clock, signal="co2_aoer")
    assert (average.info.kind, average.info.basis) == ("average", "production")


def test_pounds_per_megawatt_hour_become_grams(watttime, service, clock):
    service.alter = lambda told: (
        told | {"data": [told["data"][0] | {"value": 870.0}]} if "data" in told else told
    )
    assert watttime.forecast(clock.at).points[0].mg_per_kwh == 394_625  # 394.6253619 g


@pytest.mark.parametrize(("signal", "known"), [("co2_moer", 0), ("co2_aoer", None)])
def test_a_marginal_zero_is_true_and_an_average_one_a_fault(service, clock, backend, signal, known):
    service.alter = lambda told: (
        told | {"data": [one | {"value": 0.0} for one in told["data"]]} if "data" in told else told
    )
    told = made(service, clock, signal=signal).actual(clock.at - HOUR, clock.at).points
    assert {point.mg_per_kwh for point in told} == ({0} if known == 0 else set())


@given(st.decimals(Decimal("0.01"), 11_000, places=9))
def test_the_conversion_is_exact_and_rounded_once(pounds):
    exact = Fraction(pounds) * Fraction(45359237, 100_000)  # mg/kWh
    assert mg_from_pounds(pounds) == round(exact)


@pytest.mark.parametrize(
    "value", [None, True, "870", 0, -1, Decimal("1E+999999999"), Decimal("NaN"), 10**4000, [1]]
)
def test_what_is_no_rate_is_missing(value):
    assert mg_from_pounds(value) is None


def test_it_logs_in_once_and_asks_with_the_token(watttime, service, clock):
    watttime.forecast(clock.at)
    watttime.actual(clock.at - HOUR, clock.at)
    assert [request.path for request in service.requests] == [
        "/login",
        "/v3/forecast",
        "/v3/historical",
    ]
    assert service.requests[0].headers["authorization"] == f"Basic {BASIC}"
    for request in service.requests[1:]:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert (request.one("region"), request.one("signal_type")) == (REGION, "co2_moer")


def test_a_token_is_renewed_before_it_is_half_an_hour_old(watttime, service, clock):
    watttime.forecast(clock.at)
    clock.at += 27 * 60
    watttime.forecast(clock.at)
    assert len(service.asked("/login")) == 1
    clock.at += 2 * 60
    watttime.forecast(clock.at)
    assert len(service.asked("/login")) == 2
    clock.at -= 3 * HOUR  # set back: its age is not known
    watttime.forecast(clock.at)
    assert len(service.asked("/login")) == 3


def test_an_expired_token_is_renewed_once(watttime, service, clock, backend):
    watttime.forecast(clock.at)
    backend.token = "another"
    service.requests.clear()
    assert watttime.forecast(clock.at).points
    paths = [request.path for request in service.requests]
    assert paths == ["/v3/forecast", "/login", "/v3/forecast"]
    backend.valid = False
    service.requests.clear()
    with pytest.raises(ProviderRefusedError, match="a new token is refused at once"):
        watttime.forecast(clock.at)
    paths = [request.path for request in service.requests]
    assert paths == ["/v3/forecast", "/login", "/v3/forecast"]


@pytest.mark.parametrize(("body", "status"), [("Unauthorized", 401), ("Forbidden", 403)])
def test_a_wrong_password_is_a_bare_word(watttime, service, clock, body, status):
    service.fault = lambda wire, _request, _answer: wire.send(Answer(body, status))
    with pytest.raises(ProviderRefusedError, match="the account is refused: correct username"):
        watttime.forecast(clock.at)
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "token", [{}, {"token": ""}, {"token": 7}, {"token": "a\r\nX: y"}, {"token": "x" * 9000}, ["t"]]
)
def test_a_login_without_a_token(watttime, service, clock, token):
    service.alter = lambda _told: token
    with pytest.raises(ProviderMalformedError, match="login answered without a token"):
        watttime.forecast(clock.at)


def test_a_plan_without_the_region_is_told_apart(watttime, service, clock):
    told = {"error": "Forbidden", "message": "Invalid scope: see the docs"}
    service.fault = lambda wire, request, answer: wire.send(
        answer if request.path == "/login" else Answer(told, 403)
    )
    with pytest.raises(ProviderRefusedError, match="plan has no forecast of co2_moer in CAISO"):
        watttime.forecast(clock.at)
    assert len(service.asked("/login")) == 1
    told = "<html>Blocked by the proxy</html>"
    with pytest.raises(ProviderRefusedError, match="status 403: correct region, signal or base"):
        watttime.forecast(clock.at)


def test_a_redirect_to_the_documentation_is_not_followed(watttime, service, clock):
    service.serve("/docs", lambda _request: pytest.fail("was followed"))
    moved = Answer(b"", 302, {"Location": service.url + "/docs"})
    service.fault = lambda wire, request, answer: wire.send(
        answer if request.path == "/login" else moved
    )
    with pytest.raises(ProviderRefusedError, match="a redirect: correct region"):
        watttime.forecast(clock.at)
    assert service.asked("/docs") == []


def test_the_forecast_is_of_three_days_and_says_when_it_was_made(watttime, service, clock):
    clock.at += 130
    forecast = watttime.forecast(clock.at)
    assert service.requests[-1].one("horizon_hours") == "72"
    assert forecast.issued_at == NOW
    assert len(forecast.points) == 864
    assert {point.end_at - point.start_at for point in forecast.points} == {FIVE}
    assert not any(point.estimated for point in forecast.points)


def test_the_past_has_its_flags_and_ends_before_now(watttime, service, clock):
    told = watttime.actual(clock.at - 2 * HOUR, clock.at)
    assert len(told.points) == 24
    assert told.points[-1].end_at == clock.at
    assert [point.start_at % HOUR == 0 for point in told.points] == [
        point.estimated for point in told.points
    ]
    assert service.requests[-1].one("include_imputed_marker") == "true"


def test_a_long_past_is_asked_in_calls_of_thirty_days_that_do_not_overlap(watttime, service, clock):
    start = clock.at - 61 * DAY
    told = watttime.actual(start, clock.at)
    asked = service.asked("/v3/historical")
    assert [(one.one("start"), one.one("end")) for one in asked] == [
        ("2026-09-20T18:00Z", "2026-10-20T17:59Z"),
        ("2026-10-20T18:00Z", "2026-11-19T17:59Z"),
        ("2026-11-19T18:00Z", "2026-11-20T18:59Z"),
    ]
    assert told.steps.mean(start, clock.at) is not None


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("units", "percentile"),
        ("units", "g_co2_per_kwh"),
        ("units", None),
        ("region", "PJM"),
        ("signal_type", "co2_aoer"),
        ("signal_type", ["co2_moer"]),
        ("data_point_period_seconds", None),
        ("data_point_period_seconds", 0),
        ("data_point_period_seconds", True),
        ("data_point_period_seconds", "300"),
    ],
)
@pytest.mark.parametrize("question", ["actual", "forecast"])
def test_figures_of_something_else_are_refused(watttime, service, clock, name, wrong, question):
    def ask():
        if question == "forecast":
            return watttime.forecast(clock.at)
        return watttime.actual(clock.at - HOUR, clock.at)

    assert ask().points
    service.alter = lambda told: (
        told | {"meta": told["meta"] | {name: wrong}} if "meta" in told else told
    )
    with pytest.raises(ProviderMalformedError, match="the answer"):
        ask()


def test_the_average_has_a_past_and_no_forecast(service, clock, backend):
    average = made(service, clock, signal="co2_aoer")
    assert average.forecast(clock.at) is None
    assert service.requests == []
    assert average.actual(clock.at - HOUR, clock.at).points
    assert service.requests[-1].one("signal_type") == "co2_aoer"


def test_another_model_is_told(watttime, clock, backend, caplog):
    caplog.set_level(logging.WARNING)
    watttime.forecast(clock.at)
    watttime.forecast(clock.at)
    assert caplog.text == ""
    backend.model = "2026-11-01"
    watttime.forecast(clock.at)
    assert caplog.text.count("the model of CAISO_NORTH is another than before") == 1


def test_password_and_token_are_in_no_text(watttime, service, clock, backend, caplog):
    caplog.set_level(logging.DEBUG)
    backend.token = "t0ken-of-the-day"
    watttime.forecast(clock.at)
    said = f"{backend.token} {KEY} {BASIC}"
    service.fault = lambda wire, _request, _answer: wire.send(
        Answer(said[:16], 400, {}, "text/plain")
    )
    with pytest.raises(ProviderError) as caught:
        watttime.forecast(clock.at)
    assert "***" in str(caught.value)
    texts = [str(caught.value), repr(caught.value), caplog.text, repr(vars(watttime))]
    for secret in (KEY, BASIC, backend.token):
        assert not any(secret in text for text in texts)


@pytest.mark.parametrize(
    "time", [None, 7, "", "2026-11-20T18:00:00", "20/11/2026 18:00", "2026-13-01T00:00Z"]
)
def test_a_row_without_a_time_in_a_zone_is_refused(watttime, service, clock, time):
    def alter(told):
        if "data" in told:
            told["data"][3]["point_time"] = time
        return told

    service.alter = alter
    for ask in (lambda: watttime.forecast(clock.at), lambda: watttime.actual(NOW - DAY, NOW)):
        with pytest.raises(ProviderMalformedError, match="a row is not"):
            ask()


def test_times_with_any_offset_are_the_same_instants(watttime, service, clock):
    right = watttime.actual(NOW - HOUR, NOW).points

    def alter(told):
        for row in told["data"]:
            row["point_time"] = row["point_time"].replace("T17", "T10").replace("+00:00", "-07:00")
        told["data"] = [row for row in told["data"] if "T10" in row["point_time"]]
        return told

    service.alter = alter
    assert set(watttime.actual(NOW - HOUR, NOW).points) == {
        point for point in right if point.start_at < 1795197600
    }
