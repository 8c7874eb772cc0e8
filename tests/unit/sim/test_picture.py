from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from carbonsched.cli import simulate
from carbonsched.cli.common import Parser
from carbonsched.errors import RequestError
from carbonsched.model.intensity import StepSeries
from carbonsched.sim.chart_svg import write_picture
from carbonsched.sim.scenario import Run

HOUR = 3600
START = 1_700_000_000 // HOUR * HOUR
SVG = "{http://www.w3.org/2000/svg}"


def texts(path) -> list[str]:
    return [one.text or "" for one in ET.parse(path).getroot().iter(f"{SVG}text")]  # noqa: S314 - our own


def filled(path) -> dict[str, float]:
    """The area in pixels of each colour, all rows together."""
    areas: dict[str, float] = {}
    for one in ET.parse(path).getroot().iter(f"{SVG}path"):  # noqa: S314 - our own
        bars = re.findall(r"M(\d+) ([\d.]+)V([\d.]+)h1V", one.get("d", ""))
        if bars:
            shade = one.get("fill", "")
            areas[shade] = areas.get(shade, 0) + sum(float(a) - float(b) for _, a, b in bars)
    return areas


def test_rows_are_the_grid_and_each_schedule_with_what_it_emits(job, place, tmp_path):
    one = job("a", 0, HOUR, nodes=2)
    small = replace(place([one], [400, 100, 400, 400]), name="<small> & fine")
    main = small.clusters[0]
    now = Run(job=one, cluster=main, start_at=START, end_at=START + HOUR)
    later = replace(now, start_at=START + HOUR, end_at=START + 2 * HOUR)
    path = tmp_path / "picture.svg"
    write_picture(small, {"immediate": [now], "carbon": [later]}, path)
    told = texts(path)
    assert "<small> & fine" in told
    for line in ("DE, g/kWh", "immediate, nodes in use", "carbon, nodes in use", "0.8 kg CO₂"):
        assert line in told
    assert "0.2 kg CO₂, −75.0 %" in told  # noqa: RUF001 - a minus sign
    assert told.count("4") == 2  # the nodes that there are, in each row of nodes


def test_the_colour_of_a_row_is_the_intensity_and_its_height_the_nodes(job, place, tmp_path):
    one = job("a", 0, 2 * HOUR, nodes=2)
    small = place([one], [400, 100])
    run = Run(job=one, cluster=small.clusters[0], start_at=START, end_at=START + 2 * HOUR)
    write_picture(small, {"immediate": [run]}, tmp_path / "p.svg")
    areas = filled(tmp_path / "p.svg")
    assert set(areas) == {"#12836f", "#8f3d12"}  # cleanest and dirtiest
    half_row = 450 * 84
    nodes = half_row * 2 / (4 * 1.06)
    assert areas["#8f3d12"] == pytest.approx(half_row + nodes, rel=0.01)
    assert areas["#12836f"] == pytest.approx(half_row / 4 + nodes, rel=0.01)


def test_each_cluster_has_a_row_and_each_zone_its_own(job, place, tmp_path):
    one = job("a", 0, HOUR)
    grams = {"DE": [400] * 9, "ES": [100] * 9}
    small = place([one], grams, clusters=(("x", "DE", 4), ("y", "ES", 8)))
    run = Run(job=one, cluster=small.clusters[1], start_at=START, end_at=START + HOUR)
    write_picture(small, {"immediate": [run]}, tmp_path / "p.svg")
    told = texts(tmp_path / "p.svg")
    heads = [line for line in told if "g/kWh" in line or "nodes in use" in line]
    assert heads[1:] == [
        "DE, g/kWh", "ES, g/kWh", "immediate, x, nodes in use", "immediate, y, nodes in use",
    ]  # fmt: skip


def test_where_nothing_is_known_the_line_is_broken(job, place, tmp_path):
    one = job("a", 0, HOUR)
    small = place([one], [100, 200, 300, 100])
    points = small.intensity["DE"].points
    gappy = replace(small, intensity={"DE": StepSeries((*points[:2], points[3]))})
    runs = [Run(job=one, cluster=small.clusters[0], start_at=START, end_at=START + HOUR)]
    late = replace(runs[0], start_at=START + 3 * HOUR, end_at=START + 4 * HOUR)
    write_picture(gappy, {"immediate": runs, "late": [late]}, tmp_path / "p.svg")
    lines = [
        one.get("d", "")
        for one in ET.parse(tmp_path / "p.svg").getroot().iter(f"{SVG}path")  # noqa: S314 - our own
        if one.get("class") == "line"
    ]
    assert [line.count("M") for line in lines] == [2]


def test_the_ending_says_what_is_drawn(tmp_path):
    parser = Parser(prog="carbonsched simulate")
    simulate.configure(parser)
    path = tmp_path / "example.svg"
    parsed = parser.parse_args(["example", "--policy", "immediate", "--chart", str(path)])
    assert parsed.run(parsed) == 0
    assert "Mon 20 Sep" in texts(path)
    with pytest.raises(RequestError, match=r"must end in \.svg or \.html"):
        parser.parse_args(["example", "--chart", "picture.png"])
