from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from carbonsched.config.zones import ZoneConfig
from carbonsched.errors import ConfigError
from carbonsched.intensity.build import build_chain
from carbonsched.model.intensity import SeriesInfo

HOUR = 3600
BEGIN = int(datetime(2026, 11, 20, 18, 0, tzinfo=UTC).timestamp())
MEANING = {"signal": "average", "basis": "consumption", "gas": "CO2", "scope": "direct"}
REPLAY = {
    "kind": "replay",
    "start": "2021-08-25T05:00Z",
    "begin": "2026-11-20T18:00Z",
    "hour": "10s",
}
STATIC = {"kind": "static", "g_per_kwh": 380.5, "source": "Ember", "year": 2023}


def zone(*providers):
    return ZoneConfig.model_validate({"name": "north", "providers": providers})


def test_the_shipped_record_is_replayed_with_its_forecast(clock):
    clock.at = BEGIN + 3
    chain = build_chain(zone(REPLAY, STATIC), clock)
    forecast = chain.forecast()
    assert forecast.info.label == (
        "carboncast-replay: north, average, production, lifecycle CO2eq"
        " (replay of DE 2021, one recorded hour each 10 s)"
    )
    assert forecast.issued_at == BEGIN - 50  # midnight was five recorded hours earlier
    at_begin = forecast.steps.at(clock.at)
    assert (at_begin.start_at, at_begin.end_at) == (BEGIN, BEGIN + 10)
    actual, constant = chain.actuals(BEGIN - 40, clock.at, settle_lag_s=60)
    assert actual.points[-1].end_at == BEGIN - 10  # one recorded hour's lag
    assert constant.points == ()
    assert chain.problems == ()
    assert chain.zone == "north"


def test_a_static_value_says_so(clock):
    chain = build_chain(zone(STATIC), clock)
    assert chain.infos[0].static
    assert "Ember 2023" in chain.infos[0].label
    assert chain.actuals(clock.at - HOUR, clock.at)[0].points[0].mg_per_kwh == 380_500


def test_a_live_service_at_another_address(twin, clock):
    chain = build_chain(zone({"kind": "neso", "base_url": twin.url, "timeout": "5s"}), clock)
    assert chain.forecast().info.zone == "north"
    assert chain.infos[0].scope == "direct"


def test_the_live_service_means_what_the_configuration_says_of_it(clock):
    settings = zone({"kind": "neso"})
    assert build_chain(settings, clock).infos[0] == settings.providers[0].series_info("north")


def test_files_of_the_site(tmp_path, fixtures, clock):
    settings = {
        "kind": "file",
        "provider": "utility",
        "actual": str(fixtures / "half-hours.csv"),
        "forecasts": str(fixtures / "issued.csv"),
        "note": "by contract",
    } | MEANING
    chain = build_chain(zone(settings), clock)
    label = "utility: north, average, consumption, direct CO2 (by contract)"
    assert chain.infos[0].label == label
    assert len(chain.actuals(clock.at - 24 * HOUR, clock.at)[0].points) == 4
    chain = build_chain(zone(settings | {"actual": str(tmp_path / "none.csv")}), clock)
    assert chain.actuals(clock.at - HOUR, clock.at)[0].points == ()
    assert chain.problems == (f"utility: {tmp_path}/none.csv: there is no such file",)


def test_a_replay_of_own_files(fixtures, clock):
    settings = {"actual": str(fixtures / "half-hours.csv"), "start": "2026-11-20T10:00Z"}
    clock.at = BEGIN + 10
    chain = build_chain(zone(REPLAY | settings | MEANING), clock)
    assert chain.infos[0] == SeriesInfo(
        provider="replay",
        zone="north",
        basis="consumption",
        gas="CO2",
        scope="direct",
        note="replay of DE 2026, one recorded hour each 10 s",
    )
    assert chain.actuals(BEGIN, clock.at)[0].points == ()  # a lag of one recorded hour
    clock.at += 10
    assert len(chain.actuals(BEGIN, clock.at)[0].points) == 2
    assert chain.forecast() is None


def test_times_in_any_form_mean_the_same(clock):
    clock.at = BEGIN
    spellings = (BEGIN, "2026-11-20T19:00+01:00", datetime.fromtimestamp(BEGIN, UTC))
    for begin in spellings:
        provider = settings(begin=begin, start=datetime(2021, 8, 25, 5, tzinfo=UTC))
        assert build_chain(provider, clock).forecast().issued_at == BEGIN - 50


def settings(**changes):
    """A zone by its attributes alone, with what the configuration itself would refuse."""
    plain = {
        "kind": "replay",
        "actual": None,
        "forecasts": None,
        "zone_in_file": "DE",
        "start": "2021-08-25T05:00Z",
        "begin": "2026-11-20T18:00Z",
        "hour_s": 10.0,
        "lag_hours": 1.0,
        "series_info": lambda name: SeriesInfo(provider="x", zone=name, static=True),
    }
    return SimpleNamespace(name="north", providers=(SimpleNamespace(**plain | changes),))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"hour_s": 0.5}, "at least one second"),
        ({"start": "2021-08-25T05:00"}, "no time zone"),
        ({"zone_in_file": "FR"}, "the shipped record is of DE"),
        ({"forecasts": "x.csv"}, "'forecasts' needs 'actual'"),
        ({"kind": "static", "g_per_kwh": 0.0}, "g_per_kwh is zero"),
        ({"kind": "static", "g_per_kwh": -5.0}, "negative"),
        ({"kind": "static", "g_per_kwh": 380_000.0}, "is it g/kWh"),
        ({"kind": "oracle"}, "there is no provider 'oracle'"),
    ],
)
def test_settings_that_cannot_work_are_one_line(clock, changes, why):
    wrong = settings(**changes)
    with pytest.raises(ConfigError, match=why) as caught:
        build_chain(wrong, clock)
    assert caught.value.problems == [str(caught.value)]
    assert str(caught.value).startswith(f"zones, north, provider 1 ({wrong.providers[0].kind}): ")


def test_a_start_outside_the_record_is_seen_and_falls_back(fixtures, clock):
    own = {"actual": str(fixtures / "half-hours.csv"), "start": "2023-08-25T05:00Z"}
    chain = build_chain(zone(REPLAY | own | MEANING, STATIC), clock)
    series = chain.actuals(clock.at - HOUR, clock.at)
    assert not series[0].points
    assert series[1].points
    assert "the replay's start lies outside the record" in chain.problems[0]
