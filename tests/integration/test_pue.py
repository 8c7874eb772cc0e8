"""PUE from the Prometheus that Debian packages, with samples of known hours in its database."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from carbonsched.errors import ProviderMalformedError, ProviderRefusedError
from carbonsched.facility.prometheus import PrometheusPue
from carbonsched.ledger import Ledger

PROGRAMS = {name: shutil.which(name) for name in ("prometheus", "promtool")}
PATIENCE_S = 60
HOUR = 3600
pytestmark = pytest.mark.skipif(
    None in PROGRAMS.values(), reason="prometheus is not installed (Debian package prometheus)"
)
CONFIG = """\
site: {{name: Lab, time_zone: Europe/Berlin, state_dir: {state}}}
daemon: {{url: "http://127.0.0.1:1"}}
clusters:
  - name: hpc
    zone: DE
    pue:
      prometheus: {{url: "{url}", query: "{query}", step: 5min}}
      fallback: 1.3
zones:
  - name: DE
    providers:
      - {{kind: static, g_per_kwh: 380, source: a report, year: 2024}}
"""


def value(at: int) -> float:
    """The building's PUE at a minute: another each minute, so that means show what they are of."""
    return 1.2 + at // 60 % 10 / 100


class Building:
    """A Prometheus that knows four hours of one hall, and of a second one half an hour."""

    def __init__(self, folder: Path) -> None:
        self.end_at = int(time.time()) // 300 * 300
        self.start_at = self.end_at - 4 * HOUR
        samples = folder / "samples"
        samples.write_text(self._samples(), encoding="utf-8")
        subprocess.run(
            [PROGRAMS["promtool"], "tsdb", "create-blocks-from", "openmetrics", samples,
             folder / "data"],
            check=True, timeout=PATIENCE_S, capture_output=True,
        )  # fmt: skip
        (folder / "prometheus.yml").write_text("scrape_configs: []\n", encoding="utf-8")
        with closing(socket.create_server(("127.0.0.1", 0))) as listener:
            port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        with (folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                [PROGRAMS["prometheus"], f"--config.file={folder / 'prometheus.yml'}",
                 f"--storage.tsdb.path={folder / 'data'}",
                 f"--web.listen-address=127.0.0.1:{port}"],
                stdout=log, stderr=log,
            )  # fmt: skip
        self._wait(folder / "log")

    def _samples(self) -> str:
        lines = ["# TYPE building_pue gauge"]
        lines += [
            f'building_pue{{hall="1"}} {value(at):.2f} {at}'
            for at in range(self.start_at, self.end_at + 1, 60)
        ]
        lines += [
            f'building_pue{{hall="2"}} 1.5 {at}'
            for at in range(self.end_at - 1800, self.end_at + 1, 60)
        ]
        return "\n".join([*lines, "# EOF\n"])

    def _wait(self, log: Path) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                if self._ready():
                    return
            except OSError:
                assert self.process.poll() is None, log.read_text(encoding="utf-8")
            time.sleep(0.05)
        pytest.fail(f"Prometheus is not ready within {PATIENCE_S} s: {log.read_text('utf-8')}")

    def _ready(self) -> bool:
        address = self.url.removeprefix("http://")
        with closing(http.client.HTTPConnection(address, timeout=5)) as connection:
            connection.request("GET", "/-/ready")
            return connection.getresponse().status == 200

    def reader(self, query: str, step_s: int = 300) -> PrometheusPue:
        return PrometheusPue(url=self.url, query=query, step_s=step_s, timeout_s=20)


@pytest.fixture(scope="module")
def building(tmp_path_factory):
    made = Building(tmp_path_factory.mktemp("prometheus"))
    yield made
    made.process.terminate()
    made.process.wait(20)


def test_each_period_has_the_mean_of_its_own_samples(building):
    query = 'avg_over_time(building_pue{hall="1"}[5m])'
    told = building.reader(query).read(building.end_at - 2 * HOUR, building.end_at)
    assert told.fault is None
    assert len(told.points) == 24
    for point in told.points:
        inside = [value(at) for at in range(point.start_at + 60, point.end_at + 1, 60)]
        # older releases also count the sample at the beginning
        both = [value(point.start_at), *inside]
        near = (round(sum(some) / len(some) * 10**6) for some in (inside, both))
        assert point.pue_ppm in near


def test_what_it_has_no_samples_of_is_missing(building):
    told = building.reader('building_pue{hall="1"}').read(
        building.start_at - 6 * HOUR, building.start_at + HOUR
    )
    assert min(one.end_at for one in told.points) == building.start_at
    assert building.reader("building_pue_of_nobody").read(0, HOUR).points == ()


def test_nan_infinity_and_nonsense_are_no_pue(building):
    last_hour = (building.end_at - HOUR, building.end_at)
    assert building.reader("vector(0) / 0").read(*last_hour).points == ()
    for query in ("vector(1) / 0", "vector(0.9)", "vector(42)"):
        told = building.reader(query).read(*last_hour)
        assert told.points == ()
        assert "is not a PUE from 1 to 3, and 11 more values: left out" in told.fault
    assert {one.pue_ppm for one in building.reader("1.25").read(*last_hour).points} == {1_250_000}


def test_two_halls_are_not_one_building(building):
    with pytest.raises(ProviderMalformedError) as caught:
        building.reader("building_pue").read(building.end_at - HOUR, building.end_at)
    assert 'hall="1"' in str(caught.value)
    assert 'hall="2"' in str(caught.value)


@pytest.mark.parametrize("query", ["building_pue{", "sum()", "rate(building_pue)"])
def test_a_query_that_is_none_is_refused_with_prometheus_s_reason(building, query):
    with pytest.raises(ProviderRefusedError, match=r"status 400 \(.*parse error.*\): correct url"):
        building.reader(query).read(building.end_at - HOUR, building.end_at)


def test_a_month_by_the_minute_comes_in_parts_that_it_allows(building):
    reader = building.reader("1.25", step_s=60)
    assert len(reader.read(building.end_at - reader.most_s, building.end_at).points) == 10_000


def test_the_daemon_s_tick_archives_it(building, tmp_path):
    config = tmp_path / "carbonsched.yaml"
    query = "building_pue{hall='1'}"
    config.write_text(
        CONFIG.format(state=tmp_path / "state", url=building.url, query=query), encoding="utf-8"
    )
    command = [sys.executable, "-m", "carbonsched.cli.main", "tick", "pue", "--config", config]
    first, again = (
        subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
        for _ in range(2)
    )
    assert (first.returncode, first.stderr) == (0, "")
    ledger = Ledger(tmp_path / "state" / "ledger.db")
    known = ledger.pues.between("hpc", building.start_at, building.end_at)
    ledger.close()
    assert known[0].start_at <= building.start_at
    assert known[-1].end_at >= building.end_at
    assert {one.source for one in known} == {f"prometheus {building.url.removeprefix('http://')}"}
    at_end = {one.end_at: one.pue_ppm for one in known}
    assert at_end[building.end_at - HOUR] == round(value(building.end_at - HOUR) * 10**6)
    assert again.stdout in {"pue: 0 new values\n", "pue: 1 new values\n"}  # five minutes may end
