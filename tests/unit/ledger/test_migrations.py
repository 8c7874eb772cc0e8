"""A ledger of the first version, with rows in it, opened by this one."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing

import pytest
from sqlite_utils import Database

from carbonsched.ledger.readings import Receipt
from carbonsched.ledger.schema import migrations
from carbonsched.model.energy import Domain, EnergySegment, Quality
from carbonsched.model.intensity import Forecast, Point, SeriesInfo
from carbonsched.model.job import Job, JobKey

KEY = JobKey(cluster="lab", job_id=7, submitted_at=50, restarts=0)
JOB_PART = {
    "kind": "job", "energy_j": 90, "cpu_ms": 1000, "present_ms": 5000,
    "job_id": 7, "restarts": 0, "uid": 1001,
}  # fmt: skip
IDLE_PART = {
    "kind": "idle", "energy_j": 10, "cpu_ms": 0, "present_ms": 0,
    "job_id": None, "restarts": None, "uid": None,
}  # fmt: skip
WIRE = {
    "cluster": "lab", "node": "n1", "start_at": 100, "end_at": 200, "total_j": 100,
    "quality": "measured", "meter": "rapl", "parts": [JOB_PART, IDLE_PART],
}  # fmt: skip


@pytest.fixture
def first_version(path):
    """Rows as the first version wrote them, its digest included."""
    connection = sqlite3.connect(path, isolation_level=None)
    with closing(connection):
        migrations.apply(Database(connection, strict=True), stop_before="m0002_metering")
        columns = {row[1] for row in connection.execute("PRAGMA table_info(parts)")}
        assert "domains" not in columns
        digest = hashlib.sha256(json.dumps(WIRE, sort_keys=True).encode()).hexdigest()
        connection.execute(
            "INSERT INTO segments VALUES (1, 'lab', 'n1', 100, 200, 100, 'measured', 'rapl',"
            " ?, 210)",
            (digest,),
        )
        for part in (JOB_PART, IDLE_PART):
            connection.execute(
                "INSERT INTO parts (segment_id, cluster, kind, job_id, restarts, uid, energy_j,"
                " cpu_ms, present_ms) VALUES (1, 'lab', :kind, :job_id, :restarts, :uid, :energy_j,"
                " :cpu_ms, :present_ms)",
                part,
            )
        connection.execute(
            "INSERT INTO jobs VALUES ('lab', 7, 50, 0, 1001, 'ada', 'physics', 'main', 'train',"
            " 'COMPLETED', '', 1, 2, 'n1', 3600, 50, 100, 200, NULL, '', '', NULL, NULL, NULL, 1,"
            " NULL, NULL, 60, 210)"
        )
        connection.execute(
            "INSERT INTO settlements VALUES ('lab', 7, 50, 0, 300, 90, 12, 'measured', 1.0, 0, 1,"
            " 400000, 1200000, '[\"grid\"]', NULL, NULL, 1000)"
        )
        connection.execute(
            "INSERT INTO entries VALUES (1, 300, 'charge', 'lab', 7, 50, 0, 'ada', 'physics',"
            " '2026-11', '2026-11', 12, 90, 'charge:1', '{}')"
        )
    return path


def test_what_the_first_version_wrote_is_read_and_adds_up(first_version, open_ledger):
    ledger = open_ledger(first_version)
    (reading,) = ledger.readings.of_job("lab", 7, {0}, 0, 1000)
    assert (reading.energy_j, reading.present_ms, reading.quality) == (90, 5000, Quality.MEASURED)
    assert (reading.node_ms, reading.uncertainty_j, reading.domains) == (0, 0, {})
    settled = ledger.entries.settlement(KEY)
    assert (settled.energy_j, settled.mg, settled.pue_ppm, settled.final) == (
        90, 12, 1_200_000, True,
    )  # fmt: skip
    assert (settled.embodied_mg, settled.domains, settled.method) == (None, {}, "settle/1")
    assert (settled.exact_mg, settled.priced_j, settled.last_part) == (None, 0, 0)
    (job,) = ledger.jobs.runs("lab", 7)
    assert (job.user, job.slurm_energy_j) == ("ada", None)
    period = ledger.audits.period("lab", 0, 1000)
    assert ledger.audits.by_kind(period) == {"job": 90, "idle": 10}
    assert ledger.audits.uneven(period) == 0
    assert ledger.entries.charge_sum("2026-11", "ada", None) == (12, 90)
    assert ledger.pues.between("lab", 0, 1000) == ()
    assert ledger.lost_ends.between("lab", 0, 1000) == {}


def test_an_old_agent_that_sends_again_after_the_upgrade_has_sent_it_before(
    first_version, open_ledger
):
    ledger = open_ledger(first_version)
    again = EnergySegment.from_wire(json.loads(json.dumps(WIRE)))
    assert ledger.readings.add_segment(again, 400) is Receipt.DUPLICATE
    other = json.loads(json.dumps(WIRE))
    other["parts"][0]["cpu_ms"] = 1001
    changed = EnergySegment.from_wire(other)
    assert ledger.readings.add_segment(changed, 400) is Receipt.CONFLICT


def test_what_is_new_is_written_beside_what_was_there(first_version, open_ledger):
    ledger = open_ledger(first_version)
    told = json.loads(json.dumps(WIRE)) | {"start_at": 200, "end_at": 300}
    told["parts"][0] |= {
        "node_ms": 2500, "quality": "sampled", "uncertainty_j": 4,
        "domains": {"cpu": 60, "gpu": 30},
    }  # fmt: skip
    segment = EnergySegment.from_wire(told)
    assert ledger.readings.add_segment(segment, 400) is Receipt.ACCEPTED
    assert ledger.readings.add_segment(segment, 500) is Receipt.DUPLICATE
    old, new = ledger.readings.of_job("lab", 7, {0}, 0, 1000)
    assert (old.quality, new.quality) == (Quality.MEASURED, Quality.SAMPLED)
    assert (new.node_ms, new.uncertainty_j) == (2500, 4)
    assert new.domains == {Domain.CPU: 60, Domain.GPU: 30}
    known = next(one for one in ledger.jobs.select() if one.job.key == KEY)
    job = Job(**{name: getattr(known.job, name) for name in known.job.__slots__})
    assert job == known.job


@pytest.mark.parametrize(
    "more",
    [{"node_ms": 1}, {"quality": "partial"}, {"uncertainty_j": 1}, {"domains": {"cpu": 90}}],
)
def test_what_a_new_field_tells_makes_another_segment(first_version, open_ledger, more):
    ledger = open_ledger(first_version)
    other = json.loads(json.dumps(WIRE))
    other["parts"][0] |= more
    segment = EnergySegment.from_wire(other)
    assert ledger.readings.add_segment(segment, 400) is Receipt.CONFLICT


INFO = SeriesInfo(provider="grid", zone="DE")
_SECOND = (
    """INSERT INTO series VALUES
       (1, 'grid', 'DE', 'average', 'production', 'CO2eq', 'lifecycle', 0, '')""",
    """INSERT INTO intensities VALUES
       (1, 0, 3600, 5, 10), (1, 0, 3600, 7, 20), (1, 3600, 7200, 9, 20)""",
    "INSERT INTO forecasts VALUES (1, 1, 100, 110), (2, 1, 200, 210)",
    """INSERT INTO forecast_points VALUES
       (1, 0, 3600, 1), (1, 3600, 7200, 2), (2, 3600, 7200, 3)""",
    """INSERT INTO settlements (cluster, job_id, submitted_at, restarts, settled_at, quality,
         provisional, final, pue_ppm, sources, cpu_ms)
       VALUES ('lab', 7, 50, 0, 300, 'measured', 0, 1, 1200000, '[]', 0)""",
)


@pytest.fixture
def second_version(path):
    """Intensities and forecasts as the second version wrote them."""
    connection = sqlite3.connect(path, isolation_level=None)
    with closing(connection):
        migrations.apply(Database(connection, strict=True), stop_before="m0003_intensity")
        for statement in _SECOND:
            connection.execute(statement)
    return path


def test_forecasts_and_values_of_the_second_version_are_read(second_version, open_ledger):
    archive = open_ledger(second_version).archive
    (series,) = archive.actuals("DE", 3599, 3601)
    assert series.points == (Point(0, 3600, 7), Point(3600, 7200, 9))
    assert archive.actuals("DE", 0, 3600, 15)[0].points == (Point(0, 3600, 5),)
    first = Forecast(
        info=INFO, issued_at=100, points=(Point(0, 3600, 1), Point(3600, 7200, 2))
    )  # fmt: skip
    assert archive.forecast("DE", 150) == first
    assert archive.forecast("DE", 209) == first
    assert archive.forecast("DE", 210).points == (Point(3600, 7200, 3),)


def test_a_plan_of_the_third_version_counted(path, open_ledger):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrations.apply(Database(connection, strict=True), stop_before="m0004_plans")
        connection.execute(
            "INSERT INTO plans VALUES (1, 'lab', 7, 50, 0, 60, 3600, 60, 7200, 'cleaner', 'later',"
            " 5, 9, NULL, NULL)"
        )
    plans = open_ledger(path).plans
    plan = plans.plan(KEY)
    assert (plan.start_at, plan.shadow, plan.best_mg) == (3600, False, None)
    assert plans.deferral(KEY) == plans.first_plan(KEY) == plan
    assert plans.deferral(KEY, shadow=True) is None


def test_a_prediction_of_before_quartiles_has_none(path, open_ledger):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrations.apply(Database(connection, strict=True), stop_before="m0008_quartiles")
        connection.execute(
            "INSERT INTO predictions VALUES (1, 'lab', 7, 50, 0, 60, 'history', 3, 300, 100, 500,"
            " 30, 10, 50, 'history/1', 'from 3 earlier jobs')"
        )
    plans = open_ledger(path).plans
    old = plans.prediction(KEY)
    assert (old.duration_low_s, old.duration_p25_s, old.duration_p75_s) == (100, None, None)
    assert (old.energy_p25_j, old.energy_p75_j, old.energy_high_j) == (None, None, 50)
    assert not plans.add_prediction(KEY, old, 70)


def test_a_final_job_of_the_second_version_is_complete(second_version, open_ledger):
    settled = open_ledger(second_version).entries.settlement(KEY)
    assert (settled.final, settled.complete, settled.due_at) == (True, True, 0)


def test_epochs_of_before_power_limits_have_an_unknown_one(path, open_ledger):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrations.apply(Database(connection, strict=True), stop_before="m0012_gpu_limits")
        connection.execute(
            "INSERT INTO epochs VALUES ('lab', 'n1', 7, 0, 1001, 1, 9, 100000, 900, 5000, NULL, 0,"
            " 'measured', 210, 0, '[]')"
        )
    (epoch,) = open_ledger(path).readings.epochs_of(KEY, 100)
    assert (epoch.duration_ms, epoch.gpu_limit_w) == (900, None)
