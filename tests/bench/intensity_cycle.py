"""What one round of fetching and forecasting costs, for a site of twenty zones.

python tests/bench/intensity_cycle.py [ZONES]. Real adapters ask local twins of the services over
HTTP (no delay of a network in it), a real ledger holds four months of each zone, and our
forecaster works on all of them. Printed are the first round after a start, which asks for the last
weeks and reads the months, and later ones, a quarter of an hour apart.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from twin import Twin  # noqa: E402  # found through the line above
from twin.eds import Eds  # noqa: E402
from twin.electricity_maps import ElectricityMaps  # noqa: E402
from twin.energy_charts import EnergyCharts  # noqa: E402
from twin.neso import Neso  # noqa: E402

from carbonsched.intensity.chain import Chain  # noqa: E402
from carbonsched.intensity.http.secret import Secret  # noqa: E402
from carbonsched.intensity.providers import (  # noqa: E402
    eds,
    electricity_maps,
    energy_charts,
    neso,
)
from carbonsched.ledger import Ledger  # noqa: E402
from carbonsched.model.intensity import Forecast, IntensitySeries, Point  # noqa: E402
from carbonsched.services.fetch import FetchIntensity  # noqa: E402
from carbonsched.services.grid import Grid, Zone  # noqa: E402
from carbonsched.services.managed import Clusters  # noqa: E402
from carbonsched.services.own import OwnForecasts  # noqa: E402
from carbonsched.services.reopen import KeepActuals  # noqa: E402

HOUR, DAY = 3600, 86_400
PAST_DAYS = 120
ROUNDS = 5
NOON = 1795176000  # 2026-11-20T12:00Z


@dataclass
class Clock:
    """Stands where it is put."""

    at: int = NOON

    def now(self) -> int:
        return self.at


@dataclass
class Cost:
    """Seconds by the wall and of this process's CPU."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    _began: tuple[float, float] = field(default=(0.0, 0.0), repr=False)

    def __enter__(self) -> Self:
        self._began = (time.perf_counter(), time.process_time())
        return self

    def __exit__(self, *_: object) -> None:
        self.wall_s += time.perf_counter() - self._began[0]
        self.cpu_s += time.process_time() - self._began[1]


@dataclass
class Timed:
    """Our forecaster with its cost told apart."""

    own: OwnForecasts
    cost: Cost = field(default_factory=Cost)
    made: int = 0

    def issue(self, zone: str, now: int) -> Any:
        with self.cost:
            told = self.own.issue(zone, now)
        self.made += told is not None
        return told


def say(line: str) -> None:
    """A line of the table."""
    sys.stdout.write(f"{line}\n")


def main() -> int:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    clock = Clock()
    with (
        tempfile.TemporaryDirectory(prefix="carbonsched-cycle-") as name,
        Twin() as twin,
        closing(Ledger(Path(name) / "ledger.db")) as ledger,
    ):
        chains = site(twin, clock, count)
        for chain in chains.values():
            fill(ledger, chain.infos[0], clock.at)
        grid = Grid(ledger.archive, {n: Zone(chain=c.infos) for n, c in chains.items()}, 6 * HOUR)
        timed = Timed(OwnForecasts(ledger.archive, grid))
        fetch = FetchIntensity(
            chains, ledger, clock, 6 * HOUR,
            keeper=KeepActuals(Clusters([]), ledger, clock), writer=nullcontext, own=timed,
        )  # fmt: skip
        say(f"{len(chains)} zones, {PAST_DAYS} days in the archive; seconds")
        say("round  whole  CPU   of which our forecasts: wall  CPU  made  requests")
        for number in range(1 + ROUNDS):
            one_round(number, fetch, timed, twin)
            clock.at += 900
        say(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return 0


def one_round(number: int, fetch: FetchIntensity, timed: Timed, twin: Twin) -> None:
    """Fetch, keep, fit and forecast every zone once, and say what it cost."""
    asked = len(twin.requests)
    timed.cost, timed.made, whole = Cost(), 0, Cost()
    with whole:
        fetched = fetch.each()
    failed = [one.why for one in fetched if one.status == "failed"]
    assert not failed, failed
    say(
        f"{number:5}  {whole.wall_s:5.2f}  {whole.cpu_s:4.2f}"
        f"  {timed.cost.wall_s:26.2f}  {timed.cost.cpu_s:4.2f}  {timed.made:4}"
        f"  {len(twin.requests) - asked:8}"
    )


def site(twin: Twin, clock: Clock, count: int) -> dict[str, Chain]:
    """Both areas of Denmark, Britain, two countries of Energy-Charts, the rest by one key."""
    for service in (Eds, Neso, EnergyCharts, ElectricityMaps):
        service(twin, clock)
    common: dict[str, Any] = {"clock": clock, "base_url": twin.url}
    danish = eds.shared_fetcher(clock=clock, timeout_s=10)
    charts = energy_charts.shared_fetcher(clock=clock, timeout_s=10)
    maps = electricity_maps.shared_fetcher(clock=clock, timeout_s=10)
    declared: dict[str, Any] = {"basis": "production", "scope": "lifecycle", "fetcher": charts}
    providers: list[Any] = [
        *(eds.EdsProvider(zone=area, area=area, fetcher=danish, **common) for area in eds.AREAS),
        neso.NesoProvider(zone="GB", **common),
        *(
            energy_charts.EnergyChartsProvider(
                zone=land.upper(), country=land, **declared, **common
            )
            for land in ("de", "fr")
        ),
    ]
    common["base_url"] = f"{twin.url}/v4"
    providers += [
        electricity_maps.ElectricityMapsProvider(
            zone=f"Z{number}", place=f"Z{number}", key=Secret("key"), fetcher=maps, **common
        )
        for number in range(count - len(providers))
    ]
    return {one.info.zone: Chain(one.info.zone, [one], clock) for one in providers[:count]}


def fill(ledger: Ledger, info: Any, now: int) -> None:
    """Months of hourly values with a day and weather in them, and two forecasts a day."""
    random = np.random.default_rng(abs(hash(info.zone)) % 2**32)
    first = (now - PAST_DAYS * DAY) // HOUR * HOUR
    hours = np.arange((now - first) // HOUR + 96)
    weather = np.cumsum(random.normal(0, 6, len(hours)))
    values = 300 + 80 * np.sin(hours * np.pi / 12) + weather - weather.mean()
    mg = (np.clip(values, 20, 900) * 1000).astype(int).tolist()
    points = [Point(first + n * HOUR, first + (n + 1) * HOUR, mg[n]) for n in hours.tolist()]
    known = tuple(point for point in points if point.end_at <= now - 40 * DAY)
    ledger.archive.keep(IntensitySeries(info=info, fetched_at=now - 40 * DAY, points=known))
    for at in range(first, now, DAY // 2):
        start = (at - first) // HOUR
        ahead = tuple(points[start : start + 96])
        ledger.archive.add_forecast(Forecast(info=info, issued_at=at, points=ahead), at)


if __name__ == "__main__":
    raise SystemExit(main())
