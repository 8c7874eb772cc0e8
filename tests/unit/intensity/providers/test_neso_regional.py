from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fault_suite import FaultSuite
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.errors import ProviderError, ProviderMalformedError, ProviderRefusedError
from carbonsched.intensity.providers.neso import NesoProvider
from carbonsched.intensity.providers.neso_rows import of_region, read_rows
from carbonsched.model.intensity import Point

HALF = 1800
HOUR = 3600
DAY = 86_400


def written(at):
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ")


class Regional:
    """The regional service: one object for a range, no actual values, mixes beside."""

    def __init__(self, twin, *, listed=False):
        self.listed = listed
        self.region = 13
        self.more = 0
        twin.serve("/regional/intensity/*", self.answer)

    def row(self, at):
        return {
            "from": written(at),
            "to": written(at + HALF),
            "intensity": {"forecast": 100 + self.more + at // HALF % 40, "index": "low"},
            "generationmix": [{"fuel": "gas", "perc": 31.2}, {"fuel": "wind", "perc": 44.0}],
        }

    def answer(self, request):
        start, end, kind, place = request.path.split("/")[3:]
        assert kind in {"regionid", "postcode"}
        if kind == "postcode" and place != "NW1":
            return {}
        # On the half-hour the one before comes first.
        start_at = (int(datetime.fromisoformat(start).timestamp()) - 1) // HALF * HALF
        ahead = end == "fw48h"
        end_at = start_at + 2 * DAY if ahead else int(datetime.fromisoformat(end).timestamp())
        told = {
            "regionid": self.region,
            "dnoregion": "UKPN London",
            "shortname": "London",
            "postcode": "NW1",
            "data": [self.row(at) for at in range(start_at, end_at, HALF)],
        }
        return {"data": [told] if self.listed else told}


@pytest.fixture
def well(service):
    return Regional(service)


def make(service, clock, **more):
    return NesoProvider(
        zone="London", clock=clock, base_url=service.url, **({"timeout_s": 5} | more)
    )


class TestFaults(FaultSuite):
    def make(self, twin, clock, timeout_s):
        return make(twin, clock, region=13, timeout_s=timeout_s)

    def serve(self, twin, _clock):
        Regional(twin)

    def rows(self, document):
        return document["data"]["data"]

    def set_value(self, row, value):
        row["intensity"]["forecast"] = value


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("place", [{"region": 13}, {"postcode": "NW1"}])
def test_what_a_region_tells_of_the_past_is_an_estimate(service, clock, listed, place):
    Regional(service, listed=listed)
    told = make(service, clock, **place).actual(clock.at - 6 * HOUR, clock.at)
    assert len(told.points) == 12  # 12:30 to 18:30
    assert all(point.estimated and point.end_at <= clock.at for point in told.points)
    assert told.points[0].mg_per_kwh == (100 + told.points[0].start_at // HALF % 40) * 1000
    (request,) = service.requests
    kind, name = ("regionid", "13") if "region" in place else ("postcode", "NW1")
    assert request.path == (
        f"/regional/intensity/2026-11-20T12:30Z/2026-11-20T19:00Z/{kind}/{name}"
    )


def test_an_overwritten_value_is_told_anew(service, well, clock):
    provider = make(service, clock, region=13)
    first = provider.actual(clock.at - 2 * HOUR, clock.at)
    well.more = 5
    second = provider.actual(clock.at - 2 * HOUR, clock.at)
    assert [
        b.mg_per_kwh - a.mg_per_kwh for a, b in zip(first.points, second.points, strict=True)
    ] == ([5000] * len(first.points))


def test_the_forecast_begins_now(service, well, clock):
    forecast = make(service, clock, postcode="NW1").forecast(clock.at)
    assert service.requests[0].path.endswith("/2026-11-20T18:40Z/fw48h/postcode/NW1")
    assert forecast.points[0].start_at <= clock.at < forecast.points[0].end_at
    assert forecast.ends_at - clock.at > 47 * HOUR
    assert not any(point.estimated for point in forecast.points)


def test_on_the_half_hour_the_period_before_is_over(service, well, clock):
    clock.at -= 600
    assert make(service, clock, region=13).forecast(clock.at).points[0].start_at == clock.at


def test_its_figures_say_whose_and_that_they_are_estimates(service, clock):
    assert make(service, clock, region=13).info.label == (
        "neso: London, average, consumption, direct CO2 (region 13, the service's own estimate:"
        " regions have no metered value; National Energy System Operator, CC BY 4.0)"
    )
    assert "(postcode NW1, " in make(service, clock, postcode="NW1").info.label


def test_a_long_time_is_asked_by_the_fortnight(service, well, clock):
    told = make(service, clock, region=13).actual(clock.at - 30 * DAY, clock.at)
    assert len(service.requests) == 3
    assert told.steps.mean(clock.at - 30 * DAY, clock.at - HOUR) is not None


def test_an_unknown_postcode_is_a_refusal_and_stays_in_its_place(service, well, clock):
    provider = make(service, clock, postcode="ZZ9/../x")
    with pytest.raises(ProviderRefusedError, match="correct region or postcode"):
        of_region({}, None)
    with pytest.raises(ProviderRefusedError, match="no such place"):
        make(service, clock, postcode="ZZ9").forecast(clock.at)
    service.routes = [("*", lambda _request: {})]
    with pytest.raises(ProviderRefusedError):
        provider.forecast(clock.at)
    assert service.requests[-1].line.endswith("/postcode/ZZ9%2F..%2Fx")


def test_another_region_s_figures_are_not_taken(service, well, clock):
    well.region = 7
    with pytest.raises(ProviderMalformedError, match="another region than 13"):
        make(service, clock, region=13).forecast(clock.at)


CLEAN = [
    {"fuel": "wind", "perc": 92.1}, {"fuel": "hydro", "perc": 7.8},
    {"fuel": "gas", "perc": 0.1}, {"fuel": "imports", "perc": 0},
]  # fmt: skip


def zero_of(service, clock, mix):
    """What is told of a past in which a region had 0 g by this mix."""
    regional = Regional(service)
    row = Regional.row
    regional.row = lambda at: row(regional, at) | {"intensity": {"forecast": 0}, **mix}
    return make(service, clock, region=13).actual(clock.at - 2 * HOUR, clock.at).points


def test_a_zero_that_the_mix_proves_is_true(service, clock):
    told = zero_of(service, clock, {"generationmix": CLEAN})
    assert [point.mg_per_kwh for point in told] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "mix",
    [
        [*CLEAN[:2], {"fuel": "gas", "perc": 0.2}],
        [*CLEAN[:2], {"fuel": "imports", "perc": 3.0}],
        [*CLEAN[:2], {"fuel": "tidal", "perc": 0.2}],  # one that nobody knows yet
        [*CLEAN[:2], {"fuel": "gas", "perc": None}],
        [*CLEAN[:2], {"fuel": "gas", "perc": True}],
        [*CLEAN[:2], {"fuel": "gas", "perc": -3}],
        CLEAN[:1],  # the rest may be anything
        [],
        None,
        [None],
    ],
)
def test_a_zero_without_proof_is_missing(service, clock, mix):
    assert zero_of(service, clock, {"generationmix": mix}) == ()


@pytest.mark.parametrize("nothing", [{}, {"data": []}, {"data": {}}])
def test_each_form_of_nothing_is_no_such_place(service, clock, nothing):
    service.serve("/regional/intensity/*", lambda _request: nothing)
    with pytest.raises(ProviderRefusedError, match="no such place"):
        make(service, clock, postcode="ZZ99").actual(clock.at - HOUR, clock.at)


def test_a_place_of_which_nothing_is_told_yet_is_one(service, clock):
    service.serve("/regional/intensity/*", lambda _request: {"data": {"regionid": 13, "data": []}})
    assert make(service, clock, region=13).actual(clock.at - HOUR, clock.at).points == ()


@pytest.mark.parametrize("place", [{"region": 0}, {"region": 18}, {"region": 1, "postcode": "NW1"}])
def test_a_place_that_is_none_is_refused_at_once(service, clock, place):
    with pytest.raises(ValueError, match="region"):
        make(service, clock, **place)


json_values = st.recursive(
    st.none() | st.integers() | st.sampled_from(["2026-11-20T12:00Z", "2026-11-20T12:30Z"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "error", "regionid", "from", "to"]), inner)
    ),
    max_leaves=10,
)


@given(json_values, st.none() | st.integers(1, 17))
def test_any_document_is_points_or_a_provider_error(document, region):
    try:
        points, _ = read_rows(of_region(document, region), "forecast")
    except ProviderError:
        return
    assert all(isinstance(point, Point) for point in points)
