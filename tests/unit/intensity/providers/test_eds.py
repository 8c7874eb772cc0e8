from __future__ import annotations

import json
import logging
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from fault_suite import FaultSuite
from hypothesis import given
from hypothesis import strategies as st
from twin import Answer
from twin.eds import Eds, hour_row, minute_row

from carbonsched.errors import ProviderError, ProviderMalformedError
from carbonsched.intensity.periods import without_contradictions
from carbonsched.intensity.providers.eds import MAX_CALL_S, EdsProvider, shared_fetcher
from carbonsched.intensity.providers.eds_rows import REAL_TIME, SETTLED, read_rows, with_settled
from carbonsched.model.intensity import Point, StepSeries

STEP = 300
HOUR = 3600
DAY = 86_400
DK = ZoneInfo("Europe/Copenhagen")
NOON = 1795176000  # 2026-11-20T12:00Z


@pytest.fixture
def well(service, clock):
    return Eds(service, clock)


@pytest.fixture
def eds(service, well, clock):
    return EdsProvider(zone="DK-west", clock=clock, area="DK1", base_url=service.url, timeout_s=5)


class TestFaults(FaultSuite):
    def make(self, twin, clock, timeout_s):
        return EdsProvider(
            zone="DK1", clock=clock, area="DK1", base_url=twin.url, timeout_s=timeout_s
        )

    def serve(self, twin, clock):
        Eds(twin, clock)

    def rows(self, document):
        document.pop("total")  # one that does not fit is a test of its own
        return document["records"]

    def set_value(self, row, value):
        row["CO2Emission"] = value

    def altered(self, twin, clock, question, name, alter):
        return super().altered(twin, clock, question, name, of_dk1(alter))


def of_dk1(alter):
    """The fault in a row of the area that is looked at."""

    def act(rows, at, put):
        if isinstance(rows[at], dict) and rows[at]["PriceArea"] != "DK1":
            at += 1
        alter(rows, at, put)

    return act


def test_it_says_what_its_numbers_are(eds):
    assert eds.info.label == (
        "eds: DK-west, average, consumption, direct CO2"
        " (DK1, Energinet (energidataservice.dk), CC BY 4.0)"
    )
    with pytest.raises(ValueError, match="there is no area 'DK': DK1 or DK2"):
        EdsProvider(zone="DK", clock=None, area="DK")


def test_all_rows_are_asked_for_in_utc(eds, service, clock):
    told = eds.actual(clock.at - 48 * HOUR, clock.at)
    assert len(told.points) == 48 * 12 - 1
    (request,) = service.asked("/dataset/CO2Emis")
    assert {name: request.one(name) for name in ("start", "end", "timezone", "limit")} == {
        "start": "2026-11-18T18:00",
        "end": "2026-11-20T19:00",
        "timezone": "UTC",
        "limit": "0",
    }
    first = told.points[0]
    assert first == Point(
        clock.at - 48 * HOUR, clock.at - 48 * HOUR + STEP, first.mg_per_kwh, estimated=True
    )
    assert first.mg_per_kwh == 100_250 + first.start_at // STEP % 77 * 1000


def test_the_forecast_is_the_prognosis_as_far_as_it_reaches(eds, well, service, clock):
    well.horizon_s = 9 * HOUR
    forecast = eds.forecast(clock.at)
    assert service.asked("/dataset/CO2Emis") == []
    assert forecast.issued_at == clock.at
    assert forecast.points[0].start_at == clock.at
    assert forecast.ends_at == clock.at + 9 * HOUR
    assert forecast.points[0].mg_per_kwh == 111_250 + clock.at // STEP % 77 * 1000
    assert not any(point.estimated for point in forecast.points)


def test_two_areas_share_one_answer_but_not_their_numbers(service, well, clock):
    shared = shared_fetcher(clock=clock, timeout_s=5)
    west, east = (
        EdsProvider(zone=area, clock=clock, area=area, base_url=service.url, fetcher=shared)
        for area in ("DK1", "DK2")
    )
    asked = [
        (zone.actual(clock.at - DAY, clock.at), zone.forecast(clock.at)) for zone in (west, east)
    ]
    assert len(service.requests) == 3  # one of each data set
    (west_told, west_next), (east_told, east_next) = asked
    assert {
        a.mg_per_kwh - b.mg_per_kwh for a, b in zip(west_told.points, east_told.points, strict=True)
    } == {39_750}
    assert {
        a.mg_per_kwh - b.mg_per_kwh for a, b in zip(west_next.points, east_next.points, strict=True)
    } == {39_750}
    clock.at += 61
    east.forecast(clock.at)
    assert len(service.asked("/dataset/CO2EmisProg")) == 2


def test_settled_hours_replace_the_estimates(eds, well, service, clock):
    well.settled_until = clock.at - clock.at % HOUR - 5 * HOUR
    told = eds.actual(clock.at - 8 * HOUR, clock.at)
    settled = [point for point in told.points if not point.estimated]
    assert {point.end_at for point in settled if point.end_at % HOUR == 0} == {
        well.settled_until - hours * HOUR for hours in range(3)
    }
    assert all(point.end_at - point.start_at == STEP for point in told.points)
    assert settled[-1].mg_per_kwh == (40 + settled[-1].start_at // HOUR % 24) * 1000
    assert told.points[len(settled)].start_at == well.settled_until
    assert StepSeries(told.points).mean(clock.at - 8 * HOUR, clock.at - HOUR) is not None
    (request,) = service.asked("/dataset/DeclarationGridEmission")
    assert json.loads(request.one("filter"))["FuelAllocationMethod"] == ["125%"]


def test_without_the_settled_values_the_estimates_stand(eds, service, clock, caplog):
    service.routes = [route for route in service.routes if "Declaration" not in route[0]]
    for _ in range(3):
        told = eds.actual(clock.at - 6 * HOUR, clock.at)
        assert len(told.points) == 6 * 12 - 1
        assert all(point.estimated for point in told.points)
        assert "settled values" in told.incomplete
        clock.at += 300
    assert len(service.asked("/dataset/DeclarationGridEmission")) == 1
    assert "status 404" in caplog.text
    clock.at += 3600
    eds.actual(clock.at - 6 * HOUR, clock.at)
    assert len(service.asked("/dataset/DeclarationGridEmission")) == 2


def test_settled_values_that_could_not_be_had_once_are_told_within_the_hour(
    eds, well, service, clock
):
    well.settled_until = clock.at - clock.at % HOUR - 5 * HOUR
    clock.at += 1
    service.fault = lambda wire, request, answer: wire.send(
        Answer(b"", 500) if "Declaration" in request.path else answer
    )
    assert eds.actual(clock.at - 8 * HOUR, clock.at).incomplete
    service.fault = None
    clock.at += HOUR - 60
    told = eds.actual(clock.at - 9 * HOUR, clock.at)
    assert told.incomplete == ""
    assert not told.points[0].estimated


def test_a_long_time_is_asked_in_parts(eds, service, clock):
    start = clock.at - MAX_CALL_S - DAY
    told = eds.actual(start, clock.at)
    assert len(service.asked("/dataset/CO2Emis")) == 2
    assert told.steps.mean(start, clock.at - 2 * STEP) is not None


def test_the_future_is_not_asked(eds, service, clock):
    assert eds.actual(clock.at + HOUR, clock.at + DAY).points == ()
    assert service.requests == []


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-10-25", 25), ("2026-03-29", 23), ("2026-11-19", 24)]
)
def test_days_on_which_clocks_change_are_whole(eds, clock, day, hours):
    midnight = datetime.fromisoformat(day).replace(tzinfo=DK)
    start = int(midnight.timestamp())
    end = int(midnight.replace(day=midnight.day + 1).timestamp())
    assert end - start == hours * HOUR
    clock.at = end + DAY
    told = eds.actual(start, end)
    assert len(told.points) == hours * 12
    assert told.steps.mean(start, end) is not None
    clock.at = start
    forecast = eds.forecast(clock.at)
    assert forecast.steps.mean(start, end) is not None


def test_too_few_rows_are_not_taken_for_all(eds, service, clock):
    service.alter = lambda document: document | {"records": document["records"][-100:]}
    with pytest.raises(ProviderMalformedError, match="eds: gave 100 of"):
        eds.forecast(clock.at)
    service.alter = None
    assert eds.forecast(clock.at) is not None  # such an answer is not kept


def test_rows_of_other_areas_and_methods_and_off_the_grid_do_not_count():
    rows = [
        hour_row(NOON, "DK1", 80),
        hour_row(NOON, "DK2", 90),
        hour_row(NOON, "DK1", 500, "200%"),
        hour_row(NOON + 60, "DK1", 81),
    ]
    assert read_rows({"records": rows}, SETTLED, "DK1") == ([Point(NOON, NOON + HOUR, 80_000)], 1)
    aware = [minute_row(NOON, "DK1", 80) | {"Minutes5UTC": "2026-11-20T13:00:00+01:00"}]
    assert read_rows({"records": aware}, REAL_TIME, "DK1")[0] == [Point(NOON, NOON + STEP, 80_000)]


@pytest.mark.parametrize(
    "change",
    [{"Minutes5UTC": "20/11/2026 12:00"}, {"Minutes5UTC": None}, {"Minutes5UTC": "2026-11-20"}],
)
def test_a_time_that_is_none_is_a_changed_service(change):
    with pytest.raises(ProviderMalformedError, match="a row of CO2Emis is not as documented"):
        read_rows({"records": [minute_row(NOON, "DK1", 80) | change]}, REAL_TIME, "DK1")


def test_a_refused_date_is_a_refusal(eds, service, clock):
    service.routes = [("/dataset/*", lambda _request: Answer({"message": "Invalid date"}, 400))]
    with pytest.raises(
        ProviderError, match=r"eds: .*400 \(Invalid date\): correct base_url or area"
    ):
        eds.forecast(clock.at)


def test_faulty_rows_are_told_in_the_log(eds, well, clock, caplog):
    well.value = lambda at, _area: 0 if at % HOUR == 0 else 80
    with caplog.at_level(logging.WARNING):
        told = eds.actual(clock.at - 2 * HOUR, clock.at)
    assert len(told.points) == 2 * 12 - 1 - 2
    assert "eds: 3 rows without a usable CO2Emis value" in caplog.text


@given(
    st.lists(st.integers(0, 40), unique=True, max_size=30),
    st.lists(st.integers(0, 3), unique=True, max_size=4),
)
def test_settled_hours_lose_no_gram_and_no_time(minutes, hours):
    real_time = [Point(NOON + STEP * n, NOON + STEP * (n + 1), 1000 + n) for n in minutes]
    settled = [Point(NOON + HOUR * n, NOON + HOUR * (n + 1), 50_000 + n) for n in hours]
    merged = StepSeries(tuple(with_settled(real_time, settled)))
    for hour in settled:
        assert merged.mean(hour.start_at, hour.end_at) == hour.mg_per_kwh
    for point in real_time:
        at = merged.at(point.start_at)
        covered = any(h.start_at <= point.start_at < h.end_at for h in settled)
        assert covered or (at.mg_per_kwh, at.estimated) == (point.mg_per_kwh, True)


values = st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=4)
rows = st.fixed_dictionaries(
    {
        "Minutes5UTC": st.sampled_from(
            ["2026-11-20T12:00:00", "2026-11-20T12:05:00", "2026-11-20T12:05:01", "x"]
        ),
        "PriceArea": st.sampled_from(["DK1", "DK2"]) | values,
        "CO2Emission": values,
    }
)


@given(
    values
    | st.dictionaries(st.sampled_from(["records", "total", "error"]), values)
    | st.lists(rows | values, max_size=5).map(lambda some: {"total": 1, "records": some})
)
def test_any_document_is_points_or_a_provider_error(document):
    try:
        points, faulty = read_rows(document, REAL_TIME, "DK1")
    except ProviderError:
        return
    assert faulty >= 0
    assert all(point.mg_per_kwh > 0 and point.start_at % STEP == 0 for point in points)
    StepSeries(without_contradictions(points)[0])
