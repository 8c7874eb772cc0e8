from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from fault_suite import KEY, FaultSuite
from twin import Answer

from carbonsched.errors import (
    ProviderMalformedError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from carbonsched.intensity.http.secret import Secret
from carbonsched.intensity.providers import eia
from carbonsched.intensity.providers.eia import PATH, EiaProvider

HOUR = 3600
DAY = 86_400
NOON = 1795176000  # 2026-11-20T12:00Z
MIX = {"COL": 4000, "NG": 5000, "NUC": 3000, "SUN": 1500, "WND": 1600}
FACTORS = {"COL": 820, "NG": 490, "NUC": 12, "SUN": 48, "WND": 11}


def amount(fuel, at):
    return MIX[fuel] + at // HOUR % 37 * 20


def mg(at):
    """By hand, for the hour that begins then."""
    whole = sum(amount(fuel, at) for fuel in MIX)
    return round(Fraction(1000 * sum(FACTORS[f] * amount(f, at) for f in MIX), whole))


def row(ends_at, fuel, value):
    return {
        "period": datetime.fromtimestamp(ends_at, UTC).strftime("%Y-%m-%dT%H"),
        "respondent": "CISO",
        "respondent-name": "California Independent System Operator",
        "fueltype": fuel,
        "type-name": fuel.title(),
        "value": value,
        "value-units": "megawatthours",
    }


def asked_at(text):
    return int(datetime.fromisoformat(f"{text}:00+00:00").timestamp())


class Service:
    """The service when it is well; ``lag_h`` hours late, and it repeats what was asked."""

    def __init__(self, now, lag_h=0):
        self.now = now
        self.lag_h = lag_h
        self.change = lambda rows: rows

    def __call__(self, request):
        assert KEY not in request.line
        assert request.headers["x-api-key"] == KEY
        assert request.one("frequency") == "hourly"
        assert request.one("facets[respondent][]") == "CISO"
        assert request.one("sort[0][column]") == "period"
        start, end = asked_at(request.one("start")), asked_at(request.one("end"))
        until = min(end, self.now() - self.lag_h * HOUR)
        rows = self.change(
            [
                row(at, fuel, str(amount(fuel, at - HOUR)))
                for at in range(start, until + 1, HOUR)
                for fuel in sorted(MIX)
            ]
        )
        offset, length = int(request.one("offset")), int(request.one("length"))
        return {
            "response": {
                "total": str(len(rows)),
                "dateFormat": 'YYYY-MM-DD"T"HH24',
                "frequency": "hourly",
                "data": rows[offset : offset + length],
            },
            "request": {"command": PATH, "params": {"api_key": KEY}},
            "apiVersion": "2.1.8",
        }


def make(service, clock, timeout_s=5.0):
    return EiaProvider(
        zone="US-CA",
        clock=clock,
        respondent="CISO",
        key=Secret(KEY),
        base_url=service.url,
        timeout_s=timeout_s,
    )


@pytest.fixture
def well(service, clock):
    made = Service(clock.now)
    service.serve(PATH, made)
    return made


class TestEia(FaultSuite):
    KEYED = True
    SPAN_S = 14 * DAY  # what is asked, so that the middle row is of it

    def make(self, twin, clock, timeout_s):
        return make(twin, clock, timeout_s)

    def serve(self, twin, clock):
        twin.serve(PATH, Service(clock.now))

    def rows(self, document):
        self.document = document
        return document["response"]["data"]

    def set_value(self, row, value):
        row["value"] = value

    def altered(self, twin, clock, question, name, alter):
        """The total is that of the rows there are; rows that are fewer have a test of their own."""

        def altering(rows, at, put):
            alter(rows, at, put)
            self.document["response"]["total"] = str(len(rows))

        return super().altered(twin, clock, question, name, altering)


def test_it_says_what_its_numbers_are(service, clock):
    assert make(service, clock).info.label == (
        "eia: US-CA, average, production, lifecycle CO2eq (CISO, U.S. Energy"
        " Information Administration; emission factors ipcc-2014-lifecycle 1)"
    )


def test_an_hour_bears_the_time_at_which_it_ends(service, clock, well):
    told = make(service, clock).actual(NOON - 3 * HOUR, NOON)
    assert [(p.start_at, p.end_at) for p in told.points] == [
        (at, at + HOUR) for at in range(NOON - 3 * HOUR, NOON, HOUR)
    ]
    assert [p.mg_per_kwh for p in told.points] == [mg(p.start_at) for p in told.points]
    assert service.requests[0].one("start") == "2026-11-06T13"
    assert service.requests[0].one("end") == "2026-11-20T12"


def test_what_is_late_is_missing_and_no_forecast_is_made(service, clock, well):
    well.lag_h = 20
    told = make(service, clock).actual(clock.at - DAY, clock.at)
    assert told.points[-1].end_at == clock.at - clock.at % HOUR - 20 * HOUR
    assert make(service, clock).forecast(clock.at) is None


def test_the_future_is_not_asked(service, clock, well):
    assert make(service, clock).actual(clock.at, clock.at + DAY).points == ()
    assert service.requests == []


def test_an_answer_without_an_end_is_given_up(service, clock, well, monkeypatch):
    monkeypatch.setattr(eia, "PAGE_ROWS", 5)
    with pytest.raises(ProviderMalformedError, match="said 1680 rows and gave 100"):
        make(service, clock).actual(NOON - DAY, NOON)
    assert len(service.requests) == eia.MAX_PAGES


def test_long_answers_come_in_pages(service, clock, well, monkeypatch):
    monkeypatch.setattr(eia, "PAGE_ROWS", 700)
    told = make(service, clock).actual(NOON - 2 * DAY, NOON)
    assert len(told.points) == 48
    assert [r.one("offset") for r in service.requests] == ["0", "700", "1400"]


def test_long_pasts_are_asked_in_parts_that_do_not_overlap(service, clock, well):
    told = make(service, clock).actual(NOON - 70 * DAY, NOON)
    assert len(told.points) == 70 * 24
    spans = {(r.one("start"), r.one("end")) for r in service.requests}
    assert spans == {("2026-09-11T13", "2026-11-10T12"), ("2026-11-10T13", "2026-11-20T12")}


def test_pages_that_do_not_add_up_are_malformed(service, clock, well):
    service.alter = lambda told: told | {"response": told["response"] | {"total": "1681"}}
    with pytest.raises(ProviderMalformedError, match="said 1681 rows and gave 1680"):
        make(service, clock).actual(NOON - DAY, NOON)
    assert len(service.requests) == 2


def test_storage_its_own_use_and_new_fuels(service, clock, well):
    def more(rows):
        ends = sorted({one["period"] for one in rows})
        extra = [
            one | {"fueltype": fuel, "value": value}
            for fuel, value in (("BAT", "-2500"), ("PS", "900"), ("OIL", "-3"), ("XYZ", "100"))
            for one in rows[:: len(MIX)]
        ]
        assert len(extra) == 4 * len(ends)
        return rows + extra

    well.change = more
    for point in make(service, clock).actual(NOON - 3 * HOUR, NOON).points:
        whole = sum(amount(fuel, point.start_at) for fuel in MIX)
        grams = sum(FACTORS[f] * amount(f, point.start_at) for f in MIX)
        # 100 MWh of a fuel that nobody knows yet count as unknown; storage counts as nothing.
        assert point.mg_per_kwh == round(Fraction(1000 * (grams + 700 * 100), whole + 100))


def test_a_fuel_that_is_told_no_more_is_missed_for_a_fortnight(service, clock, well):
    gone_at = NOON - 3 * DAY

    def without(rows):
        return [one for one in rows if one["fueltype"] != "NG" or asked_at(one["period"]) < gone_at]

    well.change = without
    provider = make(service, clock)
    assert provider.actual(NOON - DAY, NOON).points == ()
    assert provider.actual(NOON - DAY, NOON).points == ()  # of two days, that do not name it
    clock.at = NOON + 12 * DAY
    assert len(provider.actual(clock.at - DAY, clock.at).points) == 24


def test_a_fuel_that_never_has_a_value_blinds_nobody(service, clock, well, caplog):
    def with_geothermal(rows):
        ends = sorted({asked_at(one["period"]) for one in rows})
        return rows + [row(at, "GEO", None) for at in ends]

    well.change = with_geothermal
    told = make(service, clock).actual(NOON - DAY, NOON)
    assert [p.mg_per_kwh for p in told.points] == [mg(p.start_at) for p in told.points]
    assert len(told.points) == 24
    assert "eia: no value of GEO of CISO for 14 days: left out of the mix" in caplog.text


@pytest.mark.parametrize("value", [None, "", "n/a", "NaN", "1e9", "99999999", [], True])
def test_a_fuel_without_a_value_makes_its_hour_missing(service, clock, well, value):
    def without(rows):
        for one in rows:
            if one["period"] == "2026-11-20T11" and one["fueltype"] == "NUC":
                one["value"] = value
        return rows

    well.change = without
    told = make(service, clock).actual(NOON - 3 * HOUR, NOON)
    assert [point.end_at for point in told.points] == [NOON - 2 * HOUR, NOON]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"period": "2026-11-20T11:00"}, "the service has changed"),
        ({"period": "2026-11-20T11-08"}, "the service has changed"),
        ({"period": 7}, "the service has changed"),
        ({"respondent": "ERCO"}, "not megawatthours of CISO"),
        ({"value-units": "megawatts"}, "not megawatthours"),
    ],
)
def test_rows_of_another_kind_are_malformed(service, clock, well, change, match):
    well.change = lambda rows: [*rows[:-1], rows[-1] | change]
    with pytest.raises(ProviderMalformedError, match=match):
        make(service, clock).actual(NOON - HOUR, NOON)


@pytest.mark.parametrize(
    ("body", "status", "error", "match"),
    [
        ({"error": {"code": "API_KEY_INVALID", "message": KEY}}, 200, ProviderRefusedError, "INVA"),
        ({"error": {"code": "API_KEY_MISSING", "message": KEY}}, 403, ProviderRefusedError, "403"),
        ({"error": f"Invalid {KEY}", "code": 400}, 200, ProviderRefusedError, r"\(400\)"),
        ({"error": {"code": KEY}}, 200, ProviderRefusedError, "no code"),
        ({"error": {"code": "OVER_RATE_LIMIT"}}, 200, ProviderUnavailableError, "OVER_RATE"),
        ({"error": {"code": "OVER_RATE_LIMIT"}}, 429, ProviderUnavailableError, "429"),
        ({"response": {"data": []}}, 200, ProviderMalformedError, "how many rows"),
        ({"response": {"data": {}}}, 200, ProviderMalformedError, "no list"),
        (
            {"response": {"data": [], "frequency": "local-hourly"}},
            200,
            ProviderMalformedError,
            "UTC",
        ),
        ([], 200, ProviderMalformedError, "no object"),
    ],
)
def test_each_wrong_answer_has_its_error(service, clock, body, status, error, match):
    service.serve(PATH, lambda _request: Answer(body, status))
    with pytest.raises(error, match=match) as caught:
        make(service, clock).actual(NOON - HOUR, NOON)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("wrong", ["", "ciso", "CISO&x=1", "C", "CISO\n"])
def test_a_respondent_is_a_code(service, clock, wrong):
    with pytest.raises(ValueError, match="no code of a balancing authority, such as CISO"):
        EiaProvider(zone="US", clock=clock, respondent=wrong, key=Secret("k"))
