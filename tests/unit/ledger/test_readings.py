"""Readings count once, whatever order and however often they come."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonsched.errors import LedgerError
from carbonsched.ledger import Ledger
from carbonsched.ledger.readings import Receipt
from carbonsched.model.energy import EnergyPart, EnergySegment, PartKind, Quality
from carbonsched.model.epoch import EpochPart, EpochRecord
from carbonsched.model.job import JobKey

KEY = JobKey(cluster="lab", job_id=7, submitted_at=0, restarts=0)


def segment(start_at, end_at, energy_j=100, node="n1", cluster="lab", idle_j=10, **owner):
    job = EnergyPart(
        kind=PartKind.JOB, energy_j=energy_j, cpu_ms=1000, present_ms=500, uid=1001,
        **{"job_id": 7, "restarts": 0, **owner},
    )  # fmt: skip
    parts = (job, EnergyPart(kind=PartKind.IDLE, energy_j=idle_j))
    return EnergySegment(
        cluster=cluster, node=node, start_at=start_at, end_at=end_at, total_j=energy_j + idle_j,
        quality=Quality.MEASURED, meter="rapl", parts=parts,
    )  # fmt: skip


def of_job(ledger, key, since_at, until_at):
    return ledger.readings.of_job(key.cluster, key.job_id, {key.restarts}, since_at, until_at)


def epoch(number, **more):
    return EpochRecord(
        **{
            "cluster": "lab", "node": "n1", "job_id": 7, "restarts": 0, "uid": 1001,
            "epoch": number, "epochs": 10, "started_ms": number * 1000, "duration_ms": 900,
            "energy_millij": 5, "relative_sd": None, "samples": 0, "quality": Quality.MODELLED,
            **more,
        }
    )  # fmt: skip


def test_the_same_again_is_a_duplicate_and_anything_else_over_it_a_conflict(ledger):
    add = ledger.readings.add_segment
    assert add(segment(100, 200), 500) is Receipt.ACCEPTED
    assert add(segment(100, 200), 900) is Receipt.DUPLICATE
    assert add(segment(100, 200, energy_j=101), 500) is Receipt.CONFLICT
    assert add(segment(199, 300), 500) is Receipt.CONFLICT
    assert add(segment(50, 101), 500) is Receipt.CONFLICT
    assert add(segment(120, 130), 500) is Receipt.CONFLICT
    assert add(segment(50, 400), 500) is Receipt.CONFLICT
    assert add(segment(200, 300), 500) is Receipt.ACCEPTED
    assert add(segment(100, 300), 500) is Receipt.CONFLICT
    assert add(segment(100, 200, node="n2"), 500) is Receipt.ACCEPTED
    assert add(segment(100, 200, cluster="other"), 500) is Receipt.ACCEPTED
    assert sum(one.energy_j for one in of_job(ledger, KEY, 0, 1000)) == 300


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=12),
    st.randoms(use_true_random=False),
)
def test_what_is_kept_never_overlaps_and_what_fits_is_kept(tmp_path_factory, spans, chance):
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.db")
    try:
        kept = set()
        sent = [segment(start, start + length, energy_j=start) for start, length in spans]
        for one in sent + chance.sample(sent, len(sent)):
            span = (one.start_at, one.end_at)
            free = all(span[1] <= start or end <= span[0] for start, end in kept)
            expected = (
                Receipt.DUPLICATE if span in kept
                else Receipt.ACCEPTED if free
                else Receipt.CONFLICT
            )  # fmt: skip
            assert ledger.readings.add_segment(one, 100) is expected
            if free:
                kept.add(span)
        told = of_job(ledger, KEY, 0, 1000)
        assert [(one.start_at, one.end_at) for one in told] == sorted(kept)
        assert sum(one.energy_j for one in told) == sum(start for start, _ in kept)
    finally:
        ledger.close()


@settings(max_examples=15)
@given(st.permutations(range(8)))
def test_the_order_of_arrival_changes_nothing(tmp_path_factory, order):
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.db")
    try:
        for number in [*order, *order[:3]]:
            ledger.readings.add_segment(segment(number * 10, number * 10 + 10, 2**number), 100)
            ledger.readings.add_epoch(epoch(number + 1), 100)
        told = of_job(ledger, KEY, 0, 1000)
        assert [one.energy_j for one in told] == [2**number for number in range(8)]
        assert [one.epoch for one in ledger.readings.epochs_of(KEY, 0)] == list(range(1, 9))
        assert ledger.readings.totals("lab", 0, 1000) == {"job": 255, "idle": 80}
    finally:
        ledger.close()


def test_a_job_sees_its_own_readings_of_its_time(ledger):
    for one in (
        segment(0, 100, 1),
        segment(100, 200, 2),
        segment(200, 300, 4),
        segment(300, 400, 8, restarts=1),
        segment(400, 500, 16, job_id=8),
        segment(100, 200, 32, node="n2"),
    ):
        ledger.readings.add_segment(one, 500)
    assert [one.energy_j for one in of_job(ledger, KEY, 100, 200)] == [2, 32]
    assert [one.energy_j for one in of_job(ledger, KEY, 199, 201)] == [2, 32, 4]
    assert [one.energy_j for one in of_job(ledger, replace(KEY, restarts=1), 0, 999)] == [8]
    assert of_job(ledger, replace(KEY, cluster="other"), 0, 999) == []
    first = of_job(ledger, KEY, 0, 100)[0]
    assert (first.quality, first.meter, first.present_ms) == (Quality.MEASURED, "rapl", 500)
    assert ledger.readings.totals("lab", 100, 300) == {"job": 38, "idle": 30}


def test_a_segment_whose_parts_cannot_be_stored_leaves_nothing_behind(ledger):
    broken = segment(0, 100)
    object.__setattr__(broken.parts[1], "present_ms", None)
    with pytest.raises(LedgerError, match="NOT NULL"):
        ledger.readings.add_segment(broken, 500)
    assert ledger.readings.add_segment(segment(0, 100), 500) is Receipt.ACCEPTED


def test_epochs_are_kept_once_and_told_by_number(ledger):
    first = epoch(1, relative_sd=0.25, samples=4)
    assert ledger.readings.add_epoch(epoch(2), 50) is Receipt.ACCEPTED
    assert ledger.readings.add_epoch(first, 50) is Receipt.ACCEPTED
    assert ledger.readings.add_epoch(first, 60) is Receipt.DUPLICATE
    assert ledger.readings.add_epoch(epoch(1, node="n2"), 50) is Receipt.ACCEPTED
    assert ledger.readings.add_epoch(epoch(3, restarts=1), 50) is Receipt.ACCEPTED
    assert ledger.readings.epochs_of(KEY, 0) == [first, epoch(1, node="n2"), epoch(2)]
    assert ledger.readings.epochs_of(KEY, 2) == [epoch(2)]


def test_the_parts_of_an_epoch_are_kept(ledger):
    parts = (
        EpochPart(duration_ms=600, energy_millij=4),
        EpochPart(duration_ms=300, energy_millij=1),
    )
    told = epoch(1, steps=400, parts=parts)
    ledger.readings.add_epoch(told, 500)
    assert ledger.readings.epochs_of(KEY, 0) == [told]


def test_the_power_limit_of_an_epoch_is_kept_and_unknown_is_not_zero(ledger):
    told = [epoch(1, gpu_limit_w=300), epoch(2), epoch(3, gpu_limit_w=None)]
    for one in told:
        ledger.readings.add_epoch(one, 500)
    assert ledger.readings.epochs_of(KEY, 0) == told
    assert [one.gpu_limit_w for one in told] == [300, None, None]
