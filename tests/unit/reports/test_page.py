import base64
import hashlib
import json
import shutil
import subprocess
from datetime import datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise

import plotly.graph_objects
import pytest

from carbonsched.reports.monthly_html import statement_html

CHROMIUM = shutil.which("chromium")


class Page(HTMLParser):
    """Elements, links, and what lies in scripts and elements with an id."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.scripts, self.policy, self.words = [], [], [], "", []
        self.script = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        given = dict(attrs)
        self.links += [given[name] for name in ("src", "href", "action") if name in given]
        assert not any(name.startswith("on") for name in given)
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        if tag == "script":
            self.script = {"type": given.get("type", ""), "text": ""}
            self.scripts.append(self.script)

    def handle_endtag(self, tag):
        if tag == "script":
            self.script = None

    def handle_data(self, data):
        if self.script is not None:
            self.script["text"] += data
        else:
            self.words.append(data)


@pytest.fixture(scope="module")
def hostile(samples):
    return statement_html(samples.report(samples.month_jobs(60, hostile=True)))


def test_hostile_names_stay_text(samples, hostile):
    page = Page(hostile)
    assert page.tags.count("script") == 3
    assert "img" not in page.tags
    assert "a" not in page.tags
    words = " ".join(page.words)
    for name in samples.HOSTILE_NAMES:
        if name.isprintable() and name:
            assert name in words
    assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set("".join(page.words))


def test_the_page_needs_nothing_else_and_allows_nothing_else(hostile):
    page = Page(hostile)
    assert page.links == []
    running = [one["text"] for one in page.scripts if not one["type"]]
    assert len(running) == 2
    for script in running:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in page.policy
    assert "default-src 'none'" in page.policy
    assert "'unsafe-inline'" not in page.policy.split("script-src")[1].split(";")[0]


def figures(text):
    (data,) = [one["text"] for one in Page(text).scripts if one["type"] == "application/json"]
    return json.loads(data)


def test_the_figures_are_what_plotly_knows(samples, hostile):
    drawn = figures(hostile)
    assert set(drawn) == {"ran", "days", "quality"}
    for figure in drawn.values():
        assert plotly.graph_objects.Figure(figure).data
    document = samples.report(samples.month_jobs(60, hostile=True))
    bars = [one for one in drawn["ran"]["data"] if one["type"] == "bar"]
    assert sum(len(one["y"]) for one in bars) == len(document["jobs"])
    told = [word for one in bars for (word,) in one["customdata"]]
    assert not any("<script" in word or "<a " in word for word in told)


def test_no_job_hides_another(samples):
    drawn = figures(statement_html(samples.report(samples.month_jobs(60))))
    taken = {}
    for trace in drawn["ran"]["data"]:
        if trace["type"] == "bar":
            for base, length, lane in zip(trace["base"], trace["x"], trace["y"], strict=True):
                start = datetime.fromisoformat(base)
                taken.setdefault(lane, []).append((start, start + timedelta(milliseconds=length)))
    for spans in taken.values():
        spans.sort()
        for (_, end), (start, _) in pairwise(spans):
            assert end <= start


def test_a_gap_in_the_intensity_is_a_gap(samples):
    steps = samples.intensity()
    drawn = figures(statement_html(samples.report(intensity=steps[:10] + steps[12:])))
    (line,) = [one for one in drawn["ran"]["data"] if one["name"] == "grid"]
    assert line["y"].count(None) == 1


def test_running_jobs_without_figures_and_no_intensity(samples):
    job = samples.job(started_at=samples.NOW - 60, ended_at=None, state="RUNNING", energy_j=None,
                      mg=None, g_per_kwh=None, saved_mg=None, deferred_s=0)  # fmt: skip
    waiting = samples.job(started_at=None, ended_at=None, energy_j=None, mg=None, g_per_kwh=None)
    drawn = figures(statement_html(samples.report([job, waiting], intensity=[])))
    assert [one["name"] for one in drawn["ran"]["data"]] == ["jobs"]


def test_many_jobs_at_once_share_lanes(samples):
    jobs = [samples.job(number) for number in range(1200, 1390)]
    drawn = figures(statement_html(samples.report(jobs)))
    lanes = {lane for one in drawn["ran"]["data"] if one["type"] == "bar" for lane in one["y"]}
    assert max(lanes) < 60


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: the page is not drawn")
def test_a_browser_draws_every_chart_under_the_policy(tmp_path, hostile):
    page = tmp_path / "report.html"
    page.write_text(hostile, encoding="utf-8")
    drawn = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--virtual-time-budget=8000", f"--user-data-dir={tmp_path}/profile",
         "--enable-logging=stderr", "--dump-dom", page.as_uri()],
        check=True, capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert drawn.stdout.count('class="main-svg"') >= 3
    assert "CONSOLE" not in drawn.stderr
