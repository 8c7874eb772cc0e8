from __future__ import annotations

import json
import logging
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.errors import (
    ProviderError,
    ProviderMalformedError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from carbonsched.intensity.periods import without_contradictions
from carbonsched.intensity.providers.neso import NesoProvider
from carbonsched.intensity.providers.neso_rows import read_rows
from carbonsched.model.intensity import Point, StepSeries

HALF = 1800
DAY = 86_400
NOON = 1795176000  # 2026-11-20T12:00Z


@pytest.fixture
def neso(twin, clock):
    return NesoProvider(zone="GB", clock=clock, base_url=twin.url + "/", timeout_s=5)


def loaded(fixtures, name):
    return json.loads((fixtures / name).read_text(), parse_float=Decimal)


def test_it_says_what_its_numbers_are(neso):
    assert neso.info.label == (
        "neso: GB, average, consumption, direct CO2 (National Energy System Operator, CC BY 4.0)"
    )


def test_actual_values_are_the_half_hours_that_touch_and_are_over(neso, twin, clock):
    told = neso.actual(clock.at - 3 * HALF, clock.at)
    assert twin.paths == ["/intensity/2026-11-20T17:00Z/2026-11-20T19:00Z"]
    assert [point.start_at for point in told.points] == [
        NOON + 10 * HALF,
        NOON + 11 * HALF,
        NOON + 12 * HALF,
    ]
    for point in told.points:
        assert point.mg_per_kwh == twin.actual(point.start_at) * 1000
        assert point.end_at <= clock.at
    assert told.fetched_at == clock.at


def test_the_service_says_the_period_before_first(neso, twin, fixtures):
    twin.says((fixtures / "neso-range.json").read_bytes())
    told = neso.actual(NOON + 11 * HALF, NOON + 14 * HALF)
    assert [point.mg_per_kwh for point in told.points] == [79_000, 83_000]


def test_a_month_is_asked_in_calls_of_fourteen_days(neso, twin, clock):
    start = NOON - 31 * DAY
    told = neso.actual(start, NOON)
    assert [path.split("/")[2:] for path in twin.paths] == [
        ["2026-10-20T12:00Z", "2026-11-03T12:00Z"],
        ["2026-11-03T12:00Z", "2026-11-17T12:00Z"],
        ["2026-11-17T12:00Z", "2026-11-20T12:00Z"],
    ]
    assert told.steps.mean(start, NOON) is not None


def test_the_future_is_not_asked(neso, twin, clock):
    assert neso.actual(clock.at, clock.at + DAY).points == ()
    assert neso.actual(clock.at + HALF, clock.at + DAY).points == ()
    assert twin.paths == []


def test_the_forecast_begins_now_and_is_issued_when_fetched(neso, twin, clock):
    forecast = neso.forecast(clock.at)
    assert twin.paths == ["/intensity/2026-11-20T18:40Z/fw48h"]
    assert forecast.issued_at == clock.at
    assert forecast.points[0].start_at <= clock.at < forecast.points[0].end_at
    assert forecast.steps.mean(clock.at, clock.at + 47 * 3600) is not None


def test_a_shorter_forecast_is_taken_for_what_it_is(neso, twin, clock, fixtures):
    twin.says((fixtures / "neso-fw48h.json").read_bytes())
    forecast = neso.forecast(clock.at)
    assert len(forecast.points) == 27  # three of thirty rows are over
    assert forecast.ends_at == NOON + 40 * HALF


def test_zeros_nulls_repeats_and_contradictions_are_missing(neso, twin, clock, fixtures, caplog):
    twin.says((fixtures / "neso-faults.json").read_bytes())
    with caplog.at_level(logging.WARNING):
        told = neso.actual(NOON - 4 * HALF, NOON + 4 * HALF)
    assert [(point.start_at - NOON) // HALF for point in told.points] == [-3, -2, 1]
    assert [point.mg_per_kwh for point in told.points] == [112_000, 118_000, 121_000]
    assert "1 rows without a usable actual value" in caplog.text
    assert "2 rows contradict each other" in caplog.text
    clock.at = NOON - 4 * HALF
    assert [point.mg_per_kwh for point in neso.forecast(clock.at).points] == [
        110_000,
        120_000,
        123_000,
    ]


def test_nothing_published_is_nothing_known(neso, twin, clock):
    twin.says({"data": []})
    assert neso.actual(clock.at - DAY, clock.at).points == ()
    with pytest.raises(ProviderMalformedError, match="no usable half-hour"):
        neso.forecast(clock.at)


@pytest.mark.parametrize(
    ("body", "error", "match"),
    [
        ({"error": {"code": "400 Bad Request", "message": "x"}}, ProviderRefusedError, "400 Bad"),
        ({"error": {"code": "500 Internal Server Error"}}, ProviderUnavailableError, "500 Int"),
        ({"error": "x", "data": []}, ProviderUnavailableError, "answers with an error"),
        ({}, ProviderMalformedError, "no list 'data'"),
        ({"data": {"regionid": 13}}, ProviderMalformedError, "no list 'data'"),
        ([], ProviderMalformedError, "no list 'data'"),
        ({"data": [1]}, ProviderMalformedError, "the service has changed"),
        ({"data": [{"from": "x", "to": "y"}]}, ProviderMalformedError, "the service has changed"),
        (b"<html>Sorry</html>", ProviderMalformedError, "HTML"),
    ],
)
@pytest.mark.parametrize("operation", ["actual", "forecast"])
def test_each_wrong_answer_under_200_has_its_error(
    neso, twin, clock, body, error, match, operation
):
    twin.says(body)
    with pytest.raises(error, match=match) as caught:
        neso.actual(clock.at - DAY, clock.at) if operation == "actual" else neso.forecast(clock.at)
    assert str(caught.value).startswith("neso: ")
    assert str(caught.value).isprintable()


def test_the_error_object_under_any_status_is_a_refusal(neso, twin, clock, fixtures):
    body = (fixtures / "neso-error.json").read_bytes()
    for status in (200, 400):
        twin.says(body, status)
        with pytest.raises(ProviderRefusedError):
            neso.forecast(clock.at)


def test_retry_after_is_honoured_for_both_questions(neso, twin, clock):
    twin.says(b"", 429, Retry_After="300")
    with pytest.raises(ProviderUnavailableError, match="status 429"):
        neso.forecast(clock.at)
    twin.behaviour = twin.well
    clock.at += 299
    with pytest.raises(ProviderUnavailableError, match="asked to be left alone for 1 s more"):
        neso.actual(clock.at - DAY, clock.at)
    assert len(twin.paths) == 1
    clock.at += 1
    assert neso.actual(clock.at - DAY, clock.at).points
    assert neso.forecast(clock.at) is not None


def test_a_clock_set_back_does_not_make_the_wait_endless(neso, twin, clock):
    twin.says(b"", 429, Retry_After="300")
    with pytest.raises(ProviderUnavailableError):
        neso.forecast(clock.at)
    twin.behaviour = twin.well
    clock.at -= DAY
    assert neso.forecast(clock.at) is not None


@pytest.mark.parametrize("value", [-5, 400_000, True, "84", [], Decimal("NaN"), Decimal("1e-99")])
def test_a_value_that_is_no_intensity_is_missing(twin, value):
    row = twin.row(NOON)
    row["intensity"]["forecast"] = value
    assert read_rows({"data": [row]}, "forecast") == ([], 1)


def test_a_period_that_is_none_is_missing(twin):
    row = twin.row(NOON)
    for end in (NOON, NOON - HALF, NOON + 2 * DAY):
        row["to"] = str(end)
        assert read_rows({"data": [row]}, "forecast") == ([], 1)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals()
    | st.sampled_from(["2026-11-20T12:00Z", "2026-11-20T12:30Z", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "error", "from", "to", "intensity"]), inner)
    ),
    max_leaves=8,
)
rows = st.fixed_dictionaries(
    {
        "from": st.sampled_from(["2026-11-20T12:00Z", "2026-11-20T12:30Z", "2026-11-21T12:00Z"]),
        "to": st.sampled_from(["2026-11-20T12:30Z", "2026-11-20T13:00Z"]),
        "intensity": st.fixed_dictionaries({"actual": json_values, "forecast": json_values}),
    }
)


@given(
    st.one_of(
        json_values, st.lists(rows | json_values, max_size=5).map(lambda some: {"data": some})
    ),
    st.sampled_from(["actual", "forecast"]),
)
def test_any_document_is_points_or_a_provider_error(document, column):
    try:
        points, left_out = read_rows(document, column)
    except ProviderError:
        return
    assert left_out >= 0
    assert all(isinstance(point, Point) and point.mg_per_kwh > 0 for point in points)
    clean, _ = without_contradictions(points)
    assert StepSeries(clean).points == clean
