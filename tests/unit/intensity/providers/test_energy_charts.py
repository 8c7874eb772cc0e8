from __future__ import annotations

import contextlib
import logging
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from fault_suite import FaultSuite
from hypothesis import given
from hypothesis import strategies as st
from twin.energy_charts import EnergyCharts

from carbonsched.errors import ProviderError, ProviderMalformedError, ProviderRefusedError
from carbonsched.intensity.chain import Chain
from carbonsched.intensity.http.silence import PacedError
from carbonsched.intensity.periods import without_contradictions
from carbonsched.intensity.providers.energy_charts import (
    EnergyChartsProvider,
    Pace,
    read_arrays,
    shared_fetcher,
)
from carbonsched.ledger import Ledger
from carbonsched.model.intensity import Point, StepSeries
from carbonsched.services.fetch import FetchIntensity
from carbonsched.services.managed import Clusters
from carbonsched.services.reopen import KeepActuals

STEP = 900
HOUR = 3600
DAY = 86_400
BERLIN = ZoneInfo("Europe/Berlin")
NOON = 1795176000  # 2026-11-20T12:00Z
ARRAYS = ("unix_seconds", "co2eq", "co2eq_forecast")


@pytest.fixture
def well(service, clock):
    return EnergyCharts(service, clock)


def make(service, clock, country="de", **more):
    given = {"zone": "DE", "basis": "production", "scope": "lifecycle", "timeout_s": 5} | more
    return EnergyChartsProvider(clock=clock, country=country, base_url=service.url, **given)


class TestFaults(FaultSuite):
    SPAN_S = 18 * HOUR  # the rows of a day are asked for, and the fault is in the middle of them
    NOTHING = ("status 404",)  # "no content available" is this service's empty answer

    def make(self, twin, clock, timeout_s):
        return make(twin, clock, timeout_s=timeout_s)

    def serve(self, twin, clock):
        EnergyCharts(twin, clock)

    def rows(self, document):
        """Arrays as rows while a fault is at work on them; those without a value are left out."""
        if ARRAYS[0] in document:
            columns = zip(*(document.pop(name) for name in ARRAYS), strict=True)
            rows = [dict(zip(ARRAYS, row, strict=True)) for row in columns]
            document["rows"] = [row for row in rows if row[self.column] is not None]
        return document["rows"]

    def set_value(self, row, value):
        row[self.column] = value

    def altered(self, twin, clock, question, _name, alter):
        self.column = {"actual": "co2eq", "forecast": "co2eq_forecast"}[question]

        def respond(request, well=twin.routes[-1][1]):
            document = well(request)
            rows = self.rows(document)
            alter(rows, len(rows) // 2, self.set_value)
            document.pop("rows")
            plain = [row if isinstance(row, dict) else {} for row in rows]
            return document | {name: [row.get(name) for row in plain] for name in ARRAYS}

        twin.routes = [("/co2eq", respond)]
        return self.ask(self.make(twin, clock, 5.0), clock, question), 1


def test_it_says_what_its_numbers_are_by_the_site_s_word(service, clock):
    assert make(service, clock, basis="consumption", scope="direct").info.label == (
        "energy-charts: DE, average, consumption, direct CO2eq"
        " (de, Energy-Charts.info, CC BY 4.0; basis and scope as the site declares)"
    )


def test_measured_and_expected_rows_are_never_mixed(service, well, clock):
    provider = make(service, clock)
    told = provider.actual(clock.at - 6 * HOUR, clock.at)
    until = clock.at - clock.at % STEP - HOUR
    assert told.points[-1].end_at == until
    assert [point.mg_per_kwh for point in told.points] == [
        int(well.value(point.start_at) * 1000) for point in told.points
    ]
    forecast = provider.forecast(clock.at)
    assert forecast.points[0].start_at <= clock.at < forecast.points[0].end_at
    assert forecast.issued_at == clock.at
    assert (
        forecast.points[-1].mg_per_kwh
        == int(well.value(forecast.points[-1].start_at) * 1000) + 7000
    )
    assert 27 * HOUR < forecast.ends_at - clock.at < 28 * HOUR  # tomorrow's end less the nulls
    (today, past) = service.requests  # the forecast came with today
    assert today.query == {"country": ["de"]}
    assert (past.one("start"), past.one("end")) == ("2026-11-20T00:00Z", "2026-11-21T00:00Z")


def test_today_goes_before_an_older_answer_about_it(service, well, clock):
    provider = make(service, clock)
    provider.actual(clock.at - 48 * HOUR, clock.at)
    clock.at += 1200  # the answer about days before today is still fresh, that about today is not
    revised = clock.at - 3 * HOUR
    service.alter = lambda document: (
        document | {"co2eq": [value and value + 9 for value in document["co2eq"]]}
    )
    told = provider.actual(clock.at - 48 * HOUR, clock.at)
    assert len(service.requests) == 3
    at = {point.start_at: point.mg_per_kwh for point in told.points}
    assert at[revised - revised % STEP] == (well.value(revised) + 9) * 1000
    old = clock.at - 40 * HOUR
    assert at[old - old % STEP] == well.value(old) * 1000
    assert told.points[-1].end_at == clock.at - clock.at % STEP - HOUR


def test_a_country_in_hours_has_hours(service, clock):
    EnergyCharts(service, clock, step_s=HOUR)
    told = make(service, clock, "dk").actual(clock.at - 6 * HOUR, clock.at)
    assert {point.end_at - point.start_at for point in told.points} == {HOUR}


def test_missing_rows_do_not_stretch_their_neighbours():
    times = [NOON + STEP * n for n in (0, 1, 2, 6, 8, 10, 12, 14)]
    document = {"unix_seconds": times, "co2eq": [80] * len(times)}
    points, faulty = read_arrays(document, "co2eq")
    assert [(point.start_at, point.end_at) for point in points] == [(at, at + STEP) for at in times]
    assert faulty == 0


def test_periods_off_the_grid_are_missing():
    document = {"unix_seconds": [NOON + 300, NOON + 1200], "co2eq": [80, 81]}
    assert read_arrays(document, "co2eq") == ([], 2)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-10-25", 25), ("2026-03-29", 23), ("2026-11-19", 24)]
)
def test_days_on_which_clocks_change_are_whole(service, well, clock, day, hours):
    midnight = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    start = int(midnight.timestamp())
    end = int(midnight.replace(day=midnight.day + 1).timestamp())
    clock.at = end + DAY
    told = make(service, clock).actual(start, end)
    assert len(told.points) == hours * 4
    assert told.steps.mean(start, end) is not None


def test_no_forecast_is_none_and_not_an_error(service, well, clock):
    for change in ({"co2eq_forecast": None}, {"co2eq_forecast": []}):
        service.alter = lambda document, change=change: (
            document | change if change["co2eq_forecast"] is None else nulls(document)
        )
        assert make(service, clock).forecast(clock.at) is None


def nulls(document):
    return document | {"co2eq_forecast": [None] * len(document["unix_seconds"])}


def test_an_answer_is_kept_for_one_period(service, well, clock):
    provider = make(service, clock)
    for _ in range(3):
        assert provider.forecast(clock.at) is not None
        clock.at += 299
    assert len(service.requests) == 1
    clock.at += 5
    assert provider.forecast(clock.at) is not None
    assert len(service.requests) == 2


def test_an_answer_of_another_shape_is_not_kept(service, well, clock):
    provider = make(service, clock)
    service.alter = lambda document: document | {"co2eq_forecast": [1]}
    with pytest.raises(ProviderMalformedError):
        provider.forecast(clock.at)
    service.alter = None
    assert provider.forecast(clock.at) is not None


def test_two_requests_a_minute_do_for_twenty_countries(service, clock, tmp_path):
    """As the daemon fetches, for six hours: all every five minutes, each minute who had to wait."""
    names = [f"c{n}" for n in range(20)]
    EnergyCharts(service, clock, countries=names)
    shared = shared_fetcher(clock=clock, timeout_s=5)
    chains = {
        name: Chain(name, [make(service, clock, name, zone=name, fetcher=shared)], clock)
        for name in names
    }
    infos = {name: chain.infos[0] for name, chain in chains.items()}
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        keeper = KeepActuals(Clusters([]), ledger, clock)
        fetch = FetchIntensity(
            chains, ledger, clock, HOUR, keeper=keeper, writer=contextlib.nullcontext
        )
        first = clock.at
        while clock.at < first + 6 * HOUR:
            fetch.run() if clock.at % 300 == 0 else fetch.catch_up()
            if clock.at >= first + HOUR:
                for name in names:
                    (known,) = ledger.archive.actuals(name, clock.at - DAY, clock.at)
                    assert clock.at - known.points[-1].end_at <= HOUR + 45 * 60
                    issue = ledger.archive.issues.latest([infos[name]], clock.at, clock.at)
                    assert clock.at - issue.forecast.issued_at <= 45 * 60
            clock.at += 60
            if clock.at == first + 3 * HOUR:
                warm = len(service.requests)
    assert warm <= 3 * 120 + 4
    assert len(service.requests) - warm <= 3 * 20 * 5 + 20  # below the limit: five a zone and hour


def test_zones_keep_the_service_s_limit_together(service, well, clock):
    shared = shared_fetcher(clock=clock, timeout_s=5)
    zones = [
        make(service, clock, country, fetcher=shared) for country in ("de", "dk", "fr", "at", "nl")
    ]
    for zone in zones[:4]:
        assert zone.forecast(clock.at) is not None
    with pytest.raises(PacedError, match="not asked more than twice a minute"):
        zones[4].forecast(clock.at)
    assert len(service.requests) == 4
    clock.at += 300
    assert all(zone.forecast(clock.at) is not None for zone in zones)
    assert len(service.requests) == 5  # the first four are still fresh


@given(st.lists(st.integers(-40, 130), min_size=1, max_size=60))
def test_the_pace_never_exceeds_the_limit(waits):
    class SetClock:
        at = 1000

        def now(self):
            return self.at

    clock = SetClock()
    pace = Pace(clock)
    asked = []
    for wait_s in waits:
        clock.at += wait_s
        if wait_s < 0:
            asked.clear()  # a clock set back starts the count anew
        with contextlib.suppress(PacedError):
            pace.check("energy-charts")
            asked.append(clock.at)
        assert sum(clock.at - 120 < at <= clock.at for at in asked) <= 4


def test_a_route_that_is_gone_is_one_clear_refusal(service, clock):
    with pytest.raises(ProviderRefusedError, match=r"/co2eq is gone \(status 404\)"):
        make(service, clock).forecast(clock.at)
    EnergyCharts(service, clock)
    with pytest.raises(ProviderRefusedError, match="'xx' is not the code for an available country"):
        make(service, clock, "xx").forecast(clock.at)


def test_that_it_is_deprecated_is_told_once(service, well, clock, caplog):
    well.deprecated = True
    provider = make(service, clock)
    with caplog.at_level(logging.WARNING):
        provider.forecast(clock.at)
        assert provider.actual(clock.at - DAY, clock.at).points
    assert caplog.text.count("deprecated") == 1


def test_the_future_is_not_asked(service, well, clock):
    assert make(service, clock).actual(clock.at + HOUR, clock.at + DAY).points == ()
    assert service.requests == []


@pytest.mark.parametrize(
    ("document", "match"),
    [
        ({"unix_seconds": [NOON], "co2eq": [1, 2]}, "as long as"),
        ({"unix_seconds": [NOON]}, "as long as"),
        ({"unix_seconds": [NOON, str(NOON)], "co2eq": [1, 2]}, "holds something else"),
        ({"unix_seconds": [Decimal("1e999999999")], "co2eq": [1]}, "holds something else"),
        (
            {"unix_seconds": [NOON, NOON + 60, NOON + 60 + STEP], "co2eq": [1, 2, 3]},
            "periods of 60 s",
        ),
        ({"unix_seconds": {}, "co2eq": []}, "no list 'unix_seconds'"),
    ],
)
def test_another_shape_is_malformed(document, match):
    with pytest.raises(ProviderMalformedError, match=match):
        read_arrays(document, "co2eq")


values = st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=4)
times = st.lists(
    st.sampled_from([NOON + STEP * n for n in range(6)] + [NOON + 1, Decimal(NOON)]) | values,
    max_size=8,
)


@given(
    values
    | st.fixed_dictionaries({"unix_seconds": times, "co2eq": st.lists(values, max_size=8)})
    | st.lists(
        st.tuples(st.sampled_from([NOON + STEP * n for n in range(6)]), values), max_size=8
    ).map(lambda rows: {"unix_seconds": [at for at, _ in rows], "co2eq": [v for _, v in rows]}),
    st.sampled_from(["co2eq", "co2eq_forecast"]),
)
def test_any_document_is_points_or_a_provider_error(document, column):
    try:
        points, faulty = read_arrays(document, column)
    except ProviderError:
        return
    assert faulty >= 0
    assert all(isinstance(point, Point) and point.mg_per_kwh > 0 for point in points)
    StepSeries(without_contradictions(points)[0])
