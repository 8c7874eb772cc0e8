from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched import __version__
from carbonsched.model.energy import Domain, PartKind, Quality
from carbonsched.node.metrics import MOST_JOBS, Status, process_started_at, render

SAMPLE = re.compile(r"([a-z_]+)(?:\{((?:[a-z_]+=\"(?:[^\"\\]|\\.)*\",?)*)\})? (\S+)")
LABEL = re.compile(r"([a-z_]+)=\"((?:[^\"\\]|\\.)*)\"")
UNESCAPED = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def parsed(text):
    """Samples by name: pairs of labels and value, read as Prometheus reads them."""
    found = {}
    for line in text.split("\n")[:-1]:
        if line.startswith("#"):
            continue
        match = SAMPLE.fullmatch(line)
        assert match is not None, line
        labels = {
            name: re.sub(r"\\.", lambda one: UNESCAPED[one[0]], value)
            for name, value in LABEL.findall(match[2] or "")
        }
        found.setdefault(match[1], []).append((labels, float(match[3])))
    return found


@pytest.fixture
def spool(tmp_path):
    for name in ("outbox", "rejected"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def status(spool):
    return Status(
        node="n1",
        meter="rapl(package-0) + nvml(1 GPU)",
        spool=spool,
        quality=Quality.MEASURED,
        samples=7,
        sampled_at=1_800_000_000.25,
        delivered_at=1_799_999_990.5,
        node_uj={(Domain.CPU, "package-0"): 5_000_001, (Domain.GPU, "GPU-1"): 2_500_000},
        consumed_uj={PartKind.JOB: 7_000_000, PartKind.IDLE: 500_000, PartKind.SYSTEM: 1},
        job_w={11: 40.5, 12: 0.0},
        meter_errors={"rapl": 0, "nvml": 3},
        marks_ignored=2,
        postponed=1,
    )


def test_a_whole_scrape(status, spool):
    (spool / "outbox" / "segment.000000000300.json").write_text("{}")
    (spool / "outbox" / "epoch.1.0.00000001.json").write_text("{}")
    (spool / "outbox" / ".half.json").write_text("")
    os.utime(spool / "outbox" / "segment.000000000300.json", (1000.0, 1000.5))
    (spool / "rejected" / "segment.000000000000.json").write_text("{}")
    (spool / "rejected" / "segment.000000000000.json.error").write_text("no")
    text = render(status, 12.5)
    found = parsed(text)
    assert found["carbonsched_node_energy_joules_total"] == [
        ({"domain": "cpu", "device": "package-0"}, 5.000001),
        ({"domain": "gpu", "device": "GPU-1"}, 2.5),
    ]
    assert {
        labels["by"]: value for labels, value in found["carbonsched_consumed_energy_joules_total"]
    } == {"jobs": 7.0, "idle": 0.5, "system": 0.000001}
    assert found["carbonsched_job_power_watts"] == [({"job_id": "11"}, 40.5), ({"job_id": "12"}, 0)]
    assert found["carbonsched_meter_errors_total"] == [
        ({"meter": "nvml"}, 3),
        ({"meter": "rapl"}, 0),
    ]
    assert found["carbonsched_meter_info"] == [
        ({"node": "n1", "meter": "rapl(package-0) + nvml(1 GPU)"}, 1)
    ]
    assert found["carbonsched_sample_quality"] == [
        ({"quality": "measured"}, 1),
        ({"quality": "sampled"}, 0),
        ({"quality": "partial"}, 0),
        ({"quality": "modelled"}, 0),
    ]
    assert found["carbonsched_build_info"] == [({"version": __version__}, 1)]
    plain = {name: samples[0][1] for name, samples in found.items() if samples[0][0] == {}}
    assert plain.pop("process_cpu_seconds_total") > 0
    assert plain.pop("process_resident_memory_bytes") > 1_000_000
    assert plain == {
        "carbonsched_jobs": 2,
        "carbonsched_samples_total": 7,
        "carbonsched_last_sample_timestamp_seconds": 1_800_000_000.25,
        "carbonsched_last_delivery_timestamp_seconds": 1_799_999_990.5,
        "carbonsched_marks_ignored_total": 2,
        "carbonsched_spool_items": 2,
        "carbonsched_spool_oldest_timestamp_seconds": 1000.5,
        "carbonsched_postponed_items": 1,
        "carbonsched_rejected_items": 1,
        "process_start_time_seconds": 12.5,
    }
    kinds = dict(re.findall(r"# TYPE (\S+) (\S+)", text))
    assert set(kinds) == set(found) == set(re.findall(r"# HELP (\S+) \S", text))
    assert {name for name, kind in kinds.items() if kind == "counter"} == {
        name for name in found if name.endswith("_total")
    }


def test_what_is_not_known_has_no_sample(tmp_path):
    found = parsed(render(Status(node="n1", meter="m", spool=tmp_path / "gone"), None))
    assert set(found) == {
        "carbonsched_consumed_energy_joules_total",
        "carbonsched_samples_total",
        "carbonsched_marks_ignored_total",
        "carbonsched_postponed_items",
        "carbonsched_meter_info",
        "carbonsched_build_info",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
    }
    assert found["carbonsched_meter_info"] == [({"node": "n1", "meter": "m"}, 1)]
    consumed = found["carbonsched_consumed_energy_joules_total"]
    assert consumed == [({"by": by}, 0) for by in ("jobs", "idle", "system")]


@pytest.mark.parametrize("quality", ["measured", "sampled", "partial", "modelled"])
def test_the_series_of_a_node_are_the_same_however_good_a_sample_was(status, quality):
    """Only values change: labels that do would leave stale series, and joins would meet two."""
    found = parsed(render(replace(status, quality=Quality(quality)), None))
    told = {labels["quality"]: value for labels, value in found["carbonsched_sample_quality"]}
    assert told == dict.fromkeys(("measured", "sampled", "partial", "modelled"), 0) | {quality: 1}
    before = parsed(render(status, None))
    assert found["carbonsched_meter_info"] == before["carbonsched_meter_info"]


def test_an_empty_outbox_waits_for_nothing_since_no_time(status):
    found = parsed(render(status, None))
    assert found["carbonsched_spool_items"] == [({}, 0)]
    assert "carbonsched_spool_oldest_timestamp_seconds" not in found


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_any_label_is_read_back(tmp_path_factory, node, device):
    spool = tmp_path_factory.getbasetemp() / "nowhere"
    status = Status(node=node, meter="m", spool=spool, node_uj={(Domain.REST, device): 1})
    found = parsed(render(status, None))
    assert found["carbonsched_meter_info"][0][0]["node"] == node
    assert found["carbonsched_node_energy_joules_total"][0][0]["device"] == device


@given(st.dictionaries(st.integers(1, 10**9), st.integers(0, 1000), max_size=200))
def test_jobs_beyond_the_limit_share_one_series_and_no_watt_is_lost(tmp_path_factory, job_w):
    spool = tmp_path_factory.getbasetemp() / "nowhere"
    found = parsed(render(Status(node="n", meter="m", spool=spool, job_w=job_w), None))
    powers = {one["job_id"]: watts for one, watts in found.get("carbonsched_job_power_watts", [])}
    assert sum(powers.values()) == sum(job_w.values())
    assert len(powers) <= MOST_JOBS + 1
    assert ("other" in powers) == (len(job_w) > MOST_JOBS)
    named = [watts for name, watts in powers.items() if name != "other"]
    assert sorted(named) == sorted(job_w.values())[-MOST_JOBS:]
    assert found["carbonsched_jobs"] == [({}, len(job_w))]


def test_the_process_says_its_own_figures(tmp_path):
    status = Status(node="n", meter="m", spool=tmp_path)
    found = parsed(render(status, process_started_at()))
    kernel = Path("/proc/self/status").read_text()
    resident_kib = int(re.search(r"VmRSS:\s+([0-9]+) kB", kernel)[1])
    shown = found["process_resident_memory_bytes"][0][1]
    assert shown == pytest.approx(resident_kib * 1024, rel=0.1)
    assert time.time() - 24 * 3600 < found["process_start_time_seconds"][0][1] < time.time()
