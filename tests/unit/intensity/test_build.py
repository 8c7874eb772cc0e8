from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from twin import FAULTS, Answer
from twin.neso import Neso

from carbonsched.config.zones import ZoneConfig
from carbonsched.errors import ConfigError
from carbonsched.intensity.build import build_chain, build_chains
from carbonsched.intensity.build_live import Services
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


KEY = {"key_env": "TEST_KEY"}
LIVE = [
    {"kind": "eds", "area": "DK2"},
    {"kind": "neso"},
    {"kind": "neso", "region": 13},
    {"kind": "neso", "postcode": "NW1"},
    {"kind": "electricity_maps", "place": "DK-DK2", "scope": "direct"} | KEY,
    {"kind": "watttime", "username": "u", "region": "DK", "signal": "co2_moer"} | KEY,
    {"kind": "watttime", "username": "u", "region": "DK", "signal": "co2_aoer"} | KEY,
    {"kind": "energy_charts", "country": "dk", "basis": "production", "scope": "direct"},
    {"kind": "entsoe", "domain": "10YDK-2--------M"} | KEY,
    {"kind": "entsoe", "domain": "10YDK-2--------M", "factors": "ipcc-2014-direct"} | KEY,
    {"kind": "eia", "respondent": "CISO"} | KEY,
    {
        "kind": "gsf", "base_url": "http://sdk:8080", "location": "eastus", "note": "by X",
    } | MEANING,
    {"kind": "static", "country": "DNK"},
    STATIC,
]  # fmt: skip


@pytest.mark.parametrize("settings", LIVE, ids=lambda one: one["kind"])
def test_a_provider_means_what_the_configuration_says_of_it(clock, settings):
    zones = [{"name": "north", "providers": [settings]}]
    if settings.get("signal") == "co2_moer":
        zones = [{"name": "north", "providers": [STATIC], "ranking": [settings]}]
    chains = build_chains([ZoneConfig.model_validate(one) for one in zones], clock)
    chain = chains.ranking.get("north") or chains.providers["north"]
    declared = ZoneConfig.model_validate(zones[0])
    said = (declared.ranking or declared.providers)[0].series_info("north")
    assert replace(chain.infos[0], note="") == replace(said, note="")
    assert chain.infos[0].note
    areas = ("area", "region", "postcode", "place", "domain", "respondent", "location")
    assert all(str(settings[area]) in chain.infos[0].note for area in areas if area in settings)


def test_zones_of_one_service_share_its_fetcher_and_its_silence(service, clock):
    """DK1 and DK2 are limited together, so the second is not asked after the first was refused."""
    service.fault = next(one for one in FAULTS if one.name == "status 429, seconds")
    areas = [("west", "DK1"), ("east", "DK2")]
    settings = [{"kind": "eds", "area": area, "base_url": service.url} for _, area in areas]
    zones = [
        ZoneConfig.model_validate({"name": name, "providers": [one]})
        for (name, _), one in zip(areas, settings, strict=True)
    ]
    chains = build_chains(zones, clock).providers
    assert chains["west"].forecast() is None
    asked = len(service.requests)
    assert asked == 1
    assert chains["east"].forecast() is None
    assert len(service.requests) == asked
    assert "left alone for 120 s" in chains["east"].problems[0]


def late(wire, _request, _answer):
    wire.stop.wait(0.15)
    wire.send(Answer(b"", 504))


@pytest.mark.parametrize("fault", ["header drips", "silent", late])
@pytest.mark.parametrize("kind", ["neso", "entsoe", "eia"])
def test_twenty_zones_of_one_dead_service_cost_one_timeout_and_one_thread(
    service, clock, monkeypatch, kind, fault
):
    monkeypatch.setenv("TEST_KEY", "abc123")
    service.fault = fault if callable(fault) else next(one for one in FAULTS if one.name == fault)
    settings = next(one for one in LIVE if one["kind"] == kind)
    slow = settings | {"base_url": service.url, "timeout": "200ms"}
    zones = [ZoneConfig.model_validate({"name": f"z{n}", "providers": [slow]}) for n in range(20)]
    chains = build_chains(zones, clock).providers
    began = time.monotonic()
    for chain in chains.values():
        chain.actuals(clock.at - HOUR, clock.at)
        assert chain.forecast() is None
        time.sleep(0.02)  # the daemon keeps and forecasts between two zones
    assert time.monotonic() - began < 2
    assert len(service.requests) == 1
    assert sum(one.name.startswith("fetch-") for one in threading.enumerate()) <= 1
    assert all(chain.problems for chain in chains.values())


def test_zones_with_unlike_time_limits_share_too_and_the_longest_holds(service, clock):
    """The service's limit is one, however patient each zone is."""
    Neso(service, clock)
    service.fault = lambda wire, _request, answer: wire.stop.wait(0.4) or wire.send(answer)
    zones = [
        ZoneConfig.model_validate(
            {
                "name": name,
                "providers": [{"kind": "neso", "base_url": service.url, "timeout": limit}],
            }
        )
        for name, limit in (("hasty", "100ms"), ("patient", "20s"))
    ]
    chains = build_chains(zones, clock).providers
    assert chains["hasty"].forecast() is not None
    service.fault = next(one for one in FAULTS if one.name == "status 429, seconds")
    clock.at += HOUR
    assert chains["patient"].forecast() is None
    assert len(service.requests) == 2
    assert chains["hasty"].forecast() is None
    assert len(service.requests) == 2


def test_other_accounts_of_a_service_do_not_share(clock):
    services = Services(clock)
    eia = {"kind": "eia", "respondent": "CISO", "key_env": "A_KEY"}
    settings = [eia, eia | {"respondent": "PJM"}, eia | {"key_env": "B_KEY"}]
    zones = [ZoneConfig.model_validate({"name": "z", "providers": [one]}) for one in settings]
    one, two, three = [services.fetcher(zone.providers[0]) for zone in zones]
    assert one is two
    assert one is not three


def test_a_missing_key_is_one_line_and_a_corrected_one_counts(service, clock, tmp_path):
    service.serve("/*", lambda _request: {"zone": "DK-DK2", "forecast": []})
    file = tmp_path / "key"
    maps = {
        "kind": "electricity_maps", "place": "DK-DK2", "key_file": str(file),
        "base_url": service.url,
    }  # fmt: skip
    chain = build_chain(zone(maps), clock)
    assert chain.forecast() is None
    assert chain.problems == (f"key_file {file}: cannot be read: No such file or directory",)
    assert service.requests == []
    file.write_text("abc123\n")
    file.chmod(0o644)
    clock.at += HOUR
    assert chain.forecast() is None
    assert chain.problems == (f"key_file {file}: others may use it; chmod 640 or 600",)
    file.chmod(0o600)
    clock.at += HOUR
    chain.forecast()
    assert service.requests[0].headers["auth-token"] == "abc123"
    assert "abc123" not in str(chain.problems)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ({"gas": "CO2"}, "the figures of second are CO2 and those of first are CO2eq"),
        ({"provider": "first", "note": "elsewhere"}, "first stands before it too; keep one"),
        ({"kind": "marginal"}, "marginal intensity charges no job"),
    ],
)
def test_what_providers_say_of_themselves_may_not_differ_either(clock, second, words):
    first = settings(kind="static", g_per_kwh=5.0, series_info=info_of("first")).providers[0]
    other = settings(
        kind="static", g_per_kwh=5.0, series_info=info_of(**{"provider": "second"} | second)
    )
    mixed = SimpleNamespace(name="north", ranking=(), providers=(first, other.providers[0]))
    with pytest.raises(ConfigError, match=words):
        build_chain(mixed, clock)


def info_of(provider, **meaning):
    return lambda name: SeriesInfo(provider=provider, zone=name, static=True, **meaning)


def test_every_zone_with_a_fault_is_named(clock):
    zones = [settings(kind="oracle"), settings(hour_s=0.5)]
    with pytest.raises(ConfigError) as caught:
        build_chains(zones, clock)
    assert len(caught.value.problems) == 2


def test_a_country_that_is_not_in_the_table(clock):
    with pytest.raises(ConfigError, match=r"^zones, north, provider 1 \(static\): no country"):
        build_chain(zone({"kind": "static", "country": "XXX"}), clock)


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
        "country": None,
        "actual": None,
        "forecasts": None,
        "zone_in_file": "DE",
        "start": "2021-08-25T05:00Z",
        "begin": "2026-11-20T18:00Z",
        "hour_s": 10.0,
        "lag_hours": 1.0,
        "series_info": lambda name: SeriesInfo(provider="x", zone=name, static=True),
    }
    return SimpleNamespace(
        name="north", ranking=(), providers=(SimpleNamespace(**plain | changes),)
    )


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
    chain = build_chain(zone(REPLAY | own | MEANING, STATIC | MEANING), clock)
    series = chain.actuals(clock.at - HOUR, clock.at)
    assert not series[0].points
    assert series[1].points
    assert "the replay's start lies outside the record" in chain.problems[0]
