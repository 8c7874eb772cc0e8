"""What every provider keeps, whatever it stands on."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import pytest

from carbonsched.config.zones import ZoneConfig
from carbonsched.intensity.build import build_provider
from carbonsched.model.intensity import StepSeries
from carbonsched.ports import IntensityProvider

HOUR = 3600


def neso(twin, folder, clock):
    return {"kind": "neso", "base_url": twin.url, "timeout": "5s"}


def static(twin, folder, clock):
    return {"kind": "static", "g_per_kwh": 300, "source": "Ember", "year": 2023}


def replay(twin, folder, clock):
    begin = datetime.fromtimestamp(clock.at - 7 * HOUR, UTC).isoformat()
    return {"kind": "replay", "start": "2021-09-02T04:00Z", "begin": begin, "hour": "10min"}


def file(twin, folder, clock):
    first = clock.at - clock.at % HOUR - 48 * HOUR
    hours = [first + n * HOUR for n in range(96)]
    actual = "start,g_per_kwh\n" + "".join(f"{at},{100 + at // HOUR % 24}\n" for at in hours)
    (folder / "actual.csv").write_text(actual)
    issues = [(issued, at) for issued in hours[::6] for at in hours if at >= issued]
    rows = "".join(f"{issued},{at},{90 + at // HOUR % 24}\n" for issued, at in issues)
    (folder / "forecasts.csv").write_text("issued,start,g_per_kwh\n" + rows)
    return {
        "kind": "file",
        "provider": "tso",
        "actual": str(folder / "actual.csv"),
        "forecasts": str(folder / "forecasts.csv"),
        "signal": "average",
        "basis": "production",
        "gas": "CO2",
        "scope": "direct",
    }


@pytest.fixture(params=[neso, static, replay, file])
def provider(request, twin, tmp_path, clock) -> IntensityProvider:
    settings = request.param(twin, tmp_path, clock)
    zone = ZoneConfig.model_validate({"name": "zone", "providers": [settings]})
    return build_provider(zone.name, zone.providers[0], clock)


def test_it_says_what_its_numbers_mean(provider):
    assert provider.info.provider
    assert provider.info.zone == "zone"
    assert provider.info.label.isprintable()


def test_actual_values_touch_the_interval_are_over_and_in_order(provider, clock):
    for back_s, length_s in product([0, 1, 299, 1800, 7 * HOUR], [1, 300, 3601, 9 * HOUR]):
        start = clock.at - back_s
        told = provider.actual(start, start + length_s)
        assert told.info == provider.info
        assert told.fetched_at == clock.at
        assert StepSeries(told.points).points == told.points
        for point in told.points:
            assert point.end_at <= clock.at
            assert point.end_at > start
            assert point.start_at < start + length_s
            assert point.mg_per_kwh > 0


def test_the_past_is_covered_without_a_gap(provider, clock):
    told = provider.actual(clock.at - 6 * HOUR, clock.at - 2 * HOUR)
    assert told.steps.mean(clock.at - 6 * HOUR, clock.at - 2 * HOUR) is not None


def test_asking_again_tells_the_same(provider, clock):
    first = provider.actual(clock.at - 6 * HOUR, clock.at)
    assert provider.actual(clock.at - 6 * HOUR, clock.at) == first
    part = provider.actual(clock.at - 4 * HOUR, clock.at - 3 * HOUR)
    assert set(part.points) <= set(first.points)


def test_the_future_is_unknown(provider, clock):
    assert provider.actual(clock.at + HOUR, clock.at + 9 * HOUR).points == ()


def test_a_forecast_is_issued_by_now_and_not_for_a_constant(provider, clock):
    forecast = provider.forecast(clock.at)
    assert (forecast is None) == provider.info.static
    if forecast is not None:
        assert forecast.info == provider.info
        assert forecast.issued_at <= clock.at
        assert forecast.ends_at > clock.at
        assert StepSeries(forecast.points).points == forecast.points
        assert forecast.steps.mean(clock.at, clock.at + 4 * HOUR) is not None


def test_time_brings_newer_forecasts(provider, clock):
    early = provider.forecast(clock.at)
    clock.at += 9 * HOUR
    late = provider.forecast(clock.at)
    if early is not None:
        assert late.issued_at > early.issued_at
