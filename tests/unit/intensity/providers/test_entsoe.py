from __future__ import annotations

import itertools
import re
from fractions import Fraction

import pytest
from entsoe_platform import (
    DAY,
    DK1,
    HOUR,
    NOON,
    Platform,
    acknowledgement,
    asked_at,
    gas,
    hours,
    load,
    series,
    wind,
)
from fault_suite import KEY, FaultSuite
from twin import Answer

from carbonsched.errors import ProviderRefusedError, ProviderUnavailableError
from carbonsched.intensity.factors import DIRECT, factor_set
from carbonsched.intensity.http.secret import Secret
from carbonsched.intensity.http.silence import RateLimitedError
from carbonsched.intensity.providers.entsoe import EntsoeProvider
from carbonsched.intensity.providers.entsoe_xml import is_eic
from carbonsched.model.intensity import StepSeries


def make(service, clock, timeout_s=5.0, **more):
    key = Secret(KEY)
    return EntsoeProvider(
        zone="DK1",
        clock=clock,
        domain=DK1,
        key=key,
        base_url=f"{service.url}/api",
        timeout_s=timeout_s,
        **more,
    )


@pytest.fixture
def platform(service, clock):
    made = Platform(clock.now)
    service.serve("/api", made)
    return made


class TestEntsoe(FaultSuite):
    SPAN_S = 14 * DAY  # what is asked, so that the middle row is of it
    KEYED = True
    MOST_REQUESTS = 5  # three forecasts, and the past that they are held against

    def make(self, twin, clock, timeout_s):
        return make(twin, clock, timeout_s)

    def serve(self, twin, clock):
        # In hours throughout, for speed; steps of unlike length have tests of their own.
        twin.serve("/api", Platform(clock.now, HOUR))

    def ask(self, provider, clock, question):
        self.kind = (
            "<type>A75</type>"
            if question == "actual"
            else ("<type>A65</type><process.processType>A01</process.processType>")
        )
        return super().ask(provider, clock, question)

    def rows(self, document):
        return document

    def set_value(self, row, value):
        row["quantity"] = value

    def altered(self, twin, clock, question, name, alter):
        """The points of the first series as rows, and back into XML."""
        point = re.compile("<Point>.*</Point>")

        def altering(rows, at, put):
            alter(rows, at, put)

        changed = 0

        def change(text):
            nonlocal changed
            if self.kind not in text:
                return text
            head, end, tail = text.partition("</TimeSeries>")
            found = re.findall("<position>(.*?)</position><quantity>(.*?)</quantity>", head)
            rows = [{"position": at, "quantity": value} for at, value in found]
            altering(rows, len(rows) // 2, self.set_value)
            changed += 1
            return point.sub("".join(map(written_row, rows)), head) + end + tail

        provider = self.make(twin, clock, 5.0)
        if name == "no rows":  # a type that never had one is left out: see below
            self.ask(provider, clock, question)
        twin.alter = change
        return self.ask(provider, clock, question), changed


def written_row(row):
    if not isinstance(row, dict):
        return f"<Point>{'' if row is None else row}</Point>"
    inner = "".join(
        f"<{name}>{'' if value is None else value}</{name}>" for name, value in row.items()
    )
    return f"<Point>{inner}</Point>"


def test_it_says_what_its_numbers_are(service, clock):
    assert make(service, clock).info.label == (
        "entsoe: DK1, average, production, lifecycle CO2eq (10YDK-1--------W, ENTSO-E"
        " Transparency Platform, CC BY 4.0; emission factors ipcc-2014-lifecycle 1)"
    )
    direct = make(service, clock, factors=factor_set(DIRECT)).info
    assert (direct.gas, direct.scope) == ("CO2", "direct")


def test_actual_intensity_is_the_sum_over_fuels_at_the_finest_step(service, clock, platform):
    told = make(service, clock).actual(NOON, NOON + 2 * HOUR)
    assert [point.start_at for point in told.points] == list(range(NOON, NOON + 2 * HOUR, 900))
    for point in told.points:
        w, g = wind(point.start_at), gas(point.start_at - point.start_at % HOUR)
        exact = Fraction(1000 * (820 * 600 + 490 * g + 11 * w), 600 + g + w)
        assert point.mg_per_kwh == round(exact)
    first = service.requests[0]
    assert first.one("documentType") == "A75"
    assert first.one("periodEnd") == "202611201400"
    assert first.one("periodStart") == "202611061400"  # 14 days, to see what is not reported


def test_a_long_past_is_asked_in_fortnights(service, clock, platform):
    told = make(service, clock).actual(NOON - 30 * DAY, NOON)
    assert told.steps.mean(NOON - 30 * DAY, NOON) is not None
    spans = [
        (asked_at(r.one("periodStart")), asked_at(r.one("periodEnd")))
        for r in service.requests
        if r.one("documentType") == "A75"
    ]
    assert [end - start for start, end in spans] == [
        14 * DAY + HOUR, 14 * DAY + HOUR, 2 * DAY - 2 * HOUR
    ]  # fmt: skip


def test_the_future_is_not_asked(service, clock, platform):
    assert make(service, clock).actual(clock.at, clock.at + DAY).points == ()
    assert service.requests == []


def test_a_type_that_stops_reporting_makes_the_time_missing(service, clock, platform):
    def early_end(start, end):
        yield from itertools.islice(Platform.A75(platform, start, end), 2)
        yield series({1: 600}, start, end - 2 * HOUR, psr="B05", step="PT15M", curve="A03")

    platform.A75 = early_end
    told = make(service, clock).actual(NOON, NOON + 6 * HOUR)
    assert told.points[-1].end_at == NOON + 4 * HOUR


@pytest.fixture
def ends(platform):
    """Lets coal be reported no more after a time."""

    def coal_ends_at(at):
        def without(start, end):
            given = [*Platform.A75(platform, start, end)]
            coal = series({1: 600}, start, min(end, at), psr="B05", step="PT15M", curve="A03")
            return [*given[:2], *([coal] if start < at else []), *given[3:]]

        platform.A75 = without

    return coal_ends_at


@pytest.mark.parametrize("hours_ago", [12, 60, 13 * 24])
def test_a_type_that_is_reported_no_more_is_missed_for_a_fortnight(service, clock, ends, hours_ago):
    ends(NOON - hours_ago * HOUR)
    clock.at = NOON
    assert make(service, clock).actual(NOON - 6 * HOUR, NOON).points == ()


def test_what_was_once_seen_is_missed_in_short_answers_too(service, clock, ends):
    ends(NOON)
    provider = make(service, clock)
    clock.at = NOON
    assert provider.actual(NOON - 6 * HOUR, NOON).points
    for days in range(1, 14):
        clock.at = NOON + days * DAY
        service.requests.clear()
        assert provider.actual(clock.at - 6 * HOUR, clock.at).points == ()
        generation, _ = service.requests
        span = asked_at(generation.one("periodEnd")) - asked_at(generation.one("periodStart"))
        assert span == (2 * DAY if days % 2 else 14 * DAY)


def test_a_type_that_was_closed_is_missed_no_more_after_a_fortnight(service, clock, ends, caplog):
    ends(NOON)
    provider = make(service, clock)
    clock.at = NOON + 15 * DAY
    told = provider.actual(NOON - DAY, clock.at)
    known = [point.start_at for point in told.points]
    assert known[0] == NOON - DAY
    assert [at for at in known if NOON <= at < NOON + 14 * DAY - 900] == []
    assert len([at for at in known if at >= NOON + 14 * DAY]) == 96
    assert "no value of B05 of 10YDK-1--------W for 14 days: left out of the mix" in caplog.text
    caplog.clear()
    provider.actual(clock.at - DAY, clock.at)
    assert "left out" not in caplog.text  # said once


def test_a_type_that_never_has_a_value_is_left_out_and_named(service, clock, platform, caplog):
    platform.A75 = lambda start, end: [
        *Platform.A75(platform, start, end),
        series({}, start, end, psr="B09"),
    ]
    told = make(service, clock).actual(NOON, NOON + 6 * HOUR)
    assert len(told.points) == 24
    assert "no value of B09 of" in caplog.text


def test_a_type_that_hardly_counts_does_not(service, clock, platform):
    def small(start, end):
        yield from Platform.A75(platform, start, end)
        yield series({1: 5}, start, end - 2 * HOUR, psr="B06", curve="A03")
        yield series({1: 3}, start, end, psr="B99", curve="A03")  # one that nobody knows yet

    platform.A75 = small
    told = make(service, clock).actual(NOON + 3 * HOUR, NOON + 6 * HOUR)
    assert len(told.points) == 12


def test_what_plants_take_is_subtracted(service, clock, platform):
    def taking(start, end):
        yield from Platform.A75(platform, start, end)
        yield series({1: 200}, start, end, psr="B05", curve="A03", side="out")
        yield series({}, start, end, psr="B14", side="out")

    platform.A75 = taking
    for point in make(service, clock).actual(NOON, NOON + HOUR).points:
        w, g = wind(point.start_at), gas(NOON)
        assert point.mg_per_kwh == round(
            Fraction(1000 * (820 * 400 + 490 * g + 11 * w), 400 + g + w)
        )


def test_load_without_wind_ahead_is_no_forecast(service, clock, platform):
    platform.A69 = lambda start, _end: [series({1: 900}, start, start + HOUR, psr="B19")]
    platform.A65 = lambda start, end: [
        series(hours(load, start, end), start, end, side="out")
        if end <= clock.at + HOUR
        else series(hours(load, start + HOUR, end), start + HOUR, end, side="out")
    ]
    with pytest.raises(ProviderUnavailableError, match="no forecast for 10YDK-1--------W beyond"):
        make(service, clock).forecast(clock.at)


def test_pumps_are_not_forecast_generation(service, clock, platform):
    right = make(service, clock).forecast(clock.at)
    platform.A69 = lambda start, end: [
        *Platform.A69(platform, start, end),
        series({1: 900}, start, end, psr="B16", curve="A03", side="out"),
    ]
    assert make(service, clock).forecast(clock.at) == right


def test_generation_far_below_the_load_is_reported_in_part(service, clock, platform, caplog):
    platform.A65 = lambda start, end: [series({1: 40_000}, start, end, curve="A03", side="out")]
    assert make(service, clock).actual(NOON, NOON + HOUR).points == ()
    assert "reported in part" in caplog.text


@pytest.mark.parametrize("status", [200, 400])
def test_no_data_is_no_points_under_either_status(service, clock, status):
    service.serve("/api", lambda _request: Answer(acknowledgement(), status))
    assert make(service, clock).actual(NOON, NOON + HOUR).points == ()
    with pytest.raises(ProviderUnavailableError, match=f"no load forecast for {DK1}"):
        make(service, clock).forecast(clock.at)


@pytest.mark.parametrize("status", [200, 400])
def test_another_reason_999_is_a_refusal_that_repeats_nothing(service, clock, status):
    text = f"The amount of requested data exceeds allowed limit, token {KEY}"
    service.serve("/api", lambda _request: Answer(acknowledgement(text=text), status))
    with pytest.raises(ProviderRefusedError, match=r"999.*more was asked") as caught:
        make(service, clock).actual(NOON, NOON + HOUR)
    assert KEY not in str(caught.value)


def test_a_ban_lasts_ten_minutes_where_no_time_is_named(service, clock, platform):
    provider = make(service, clock)
    service.serve("/ban", lambda _request: "")
    service.fault = lambda wire, _request, _answer: wire.send(Answer("Too many", 429))
    with pytest.raises(RateLimitedError, match="status 429") as caught:
        provider.actual(NOON, NOON + HOUR)
    assert caught.value.wait_s == 600
    service.fault = None
    clock.at += 599
    with pytest.raises(ProviderUnavailableError, match="left alone for 1 s more"):
        provider.forecast(clock.at)
    assert len(service.requests) == 1


def test_a_wrong_token_is_refused_once(service, clock):
    service.serve("/api", lambda _request: Answer(acknowledgement("401", "Unauthorized"), 401))
    with pytest.raises(ProviderRefusedError, match="status 401: correct the token or domain"):
        make(service, clock).actual(NOON, NOON + HOUR)
    assert len(service.requests) == 1


def test_the_forecast_follows_residual_load_and_is_issued_now(service, clock, platform):
    told = make(service, clock).forecast(clock.at)
    assert told.issued_at == clock.at
    assert told.points[0].start_at <= clock.at < told.points[0].end_at
    assert told.ends_at == clock.at - clock.at % HOUR + 3 * DAY
    assert StepSeries(told.points).points == told.points
    windy = max(told.points, key=lambda point: wind(point.start_at))
    still = min(told.points, key=lambda point: wind(point.start_at))
    assert windy.mg_per_kwh < still.mg_per_kwh
    for point in told.points:
        assert 11_000 < point.mg_per_kwh < 820_000


def test_without_a_forecast_of_all_generation_the_past_says_how_much(service, clock, platform):
    platform.A71 = lambda _start, _end: []
    told = make(service, clock).forecast(clock.at)
    mean = told.steps.mean(clock.at, clock.at + DAY)
    past = make(service, clock).actual(clock.at - 2 * DAY, clock.at - HOUR)
    known = past.steps.mean(clock.at - 2 * DAY, clock.at - DAY)
    assert abs(mean - known) < known / 10


def test_the_past_is_learnt_once_an_hour(service, clock, platform):
    provider = make(service, clock)
    provider.forecast(clock.at)
    provider.forecast(clock.at + 1800)
    assert sum(r.one("documentType") == "A75" for r in service.requests) == 1
    provider.forecast(clock.at + HOUR)
    assert sum(r.one("documentType") == "A75" for r in service.requests) == 2


@pytest.mark.parametrize("gone", ["A75", "A69"])
def test_a_forecast_without_its_grounds_is_none(service, clock, platform, gone):
    setattr(platform, gone, lambda _start, _end: [])
    with pytest.raises(ProviderUnavailableError, match="no forecast for 10YDK-1--------W: "):
        make(service, clock).forecast(clock.at)


def test_a_zone_is_an_eic_code(service, clock):
    assert is_eic(DK1)
    assert is_eic("10Y1001A1001A82H")
    for wrong in ("DK1", "10YDK-1--------V", "10ydk-1--------w", DK1 + "\n", ""):
        assert not is_eic(wrong)
    with pytest.raises(ValueError, match="'DK1' is no EIC code"):
        EntsoeProvider(zone="DK1", clock=clock, domain="DK1", key=Secret("k"))
