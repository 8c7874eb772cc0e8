"""A real daemon that fetches from twins of the services, while one of them hangs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from twin import Twin
from twin.eds import Eds
from twin.electricity_maps import ElectricityMaps
from twin.energy_charts import EnergyCharts
from twin.faults import KEY
from twin.neso import Neso

TIMEOUT_S = 3
CSINFO = "import sys; from carbonsched.cli.csinfo import main; sys.exit(main())"
ZONES = """\
  - name: DE
    providers: [{{kind: neso, base_url: "{url}", timeout: 3 s}}]
  - name: DK1
    providers: [{{kind: eds, area: DK1, base_url: "{url}", timeout: 3 s}}]
  - name: DK2
    providers:
      - {{kind: electricity_maps, place: DK-DK2, key_file: {key}, base_url: "{url}/v4"}}
  - name: FR
    providers:
      - {{kind: energy_charts, country: fr, basis: production, scope: lifecycle, base_url: "{url}"}}
"""


class Now:
    """The host's clock, as the services want one."""

    @property
    def at(self):
        return int(time.time())


@pytest.fixture
def twin():
    with Twin() as twin:
        for service in (Eds, ElectricityMaps, EnergyCharts, Neso):
            service(twin, Now())
        yield twin


@pytest.fixture
def site(lab, twin):
    """The daemon's site with four services in place of its static zone; fetched each second."""
    key = lab.base / "maps.key"
    key.write_text(KEY)
    key.chmod(0o600)
    text = lab.config.read_text("utf-8").replace("intensity: 1h", "intensity: 1s")
    before, _, rest = text.partition("  - name: DE\n")
    after = rest[rest.index("quotas:") :]
    zones = ZONES.format(url=twin.url, key=key)
    lab.config.write_text(before + zones + after, "utf-8")
    return lab


@pytest.fixture
def told(site, carbonsched, tmp_path):
    """What csinfo knows of each zone."""
    compiled = tmp_path / "site.json"
    done = carbonsched("config", "compile", site.config, "-o", compiled)
    assert done.returncode == 0, done.stderr

    def ask():
        done = subprocess.run(
            [sys.executable, "-c", CSINFO, "--json"],
            check=False, timeout=60, capture_output=True, text=True,
            env=os.environ | {"CARBONSCHED_SITE": str(compiled)},
        )  # fmt: skip
        return {row["zone"]: row for row in json.loads(done.stdout or '{"zones": []}')["zones"]}

    return ask


def stop(site, process):
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0, site.log()


def test_every_service_is_fetched_told_and_kept(site, told, twin, carbonsched):
    process = site.start()
    try:
        site.wait_for(
            lambda: (
                len(found := told()) == 4
                and all(row["current"] and row["steps"] for row in found.values())
            ),
            "a zone without values",
        )
        rows = told()
        labels = {zone: row["current"]["label"].split(":")[0] for zone, row in rows.items()}
        assert labels == {
            "DE": "neso", "DK1": "eds", "DK2": "electricity-maps", "FR": "energy-charts",
        }  # fmt: skip
        assert site.ask("/v1/health")[1]["ticks"]["intensity"]["ok"]
    finally:
        stop(site, process)
    assert KEY not in site.log()
    done = carbonsched("intensity", "export", "--config", site.config, "-z", "DK1")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 200, "a day of five-minute values"


def test_a_service_that_hangs_delays_no_other_tick_and_no_other_zone(site, told, twin):
    process = site.start()
    try:
        site.wait_for(lambda: (told().get("DE") or {}).get("steps"), "no forecast of GB")

        def hang(wire, request, answer):
            if request.path.startswith("/intensity/"):
                wire.stop.wait(2 * TIMEOUT_S)
            else:
                wire.send(answer)

        twin.fault = hang
        asked = len(twin.asked("/intensity/*"))
        site.wait_for(lambda: len(twin.asked("/intensity/*")) > asked, "it is not asked")
        began, ticks = time.monotonic(), site.log().count("tick adopt")
        site.wait_for(lambda: "zone DE: neso: timed out" in site.log(), "no line about it")
        waited_s = time.monotonic() - began
        assert waited_s > TIMEOUT_S / 2
        # Without Slurm each round is a line; they come every 300 ms.
        assert site.log().count("tick adopt") - ticks > waited_s / 0.3 / 3
        assert told()["DE"]["steps"], "what was told before is still there"
        others = len(twin.asked("/v4/*"))
        site.wait_for(lambda: len(twin.asked("/v4/*")) > others, "other zones are not fetched")
    finally:
        twin.stop.set()
        stop(site, process)
    assert "Traceback" not in site.log()
