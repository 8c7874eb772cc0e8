"""Readings on their way from agent to daemon."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.model.energy import (
    EnergyPart,
    EnergySegment,
    PartKind,
    Quality,
)
from carbonsched.model.epoch import MOST_PARTS, EpochPart, EpochRecord

names = st.text(min_size=1, max_size=8)
small = st.integers(0, 10**9)
metered = st.sampled_from([quality for quality in Quality if quality is not Quality.MISSING])


@st.composite
def segments(draw):
    parts = []
    for kind in draw(st.lists(st.sampled_from(PartKind), max_size=4)):
        owner = dict.fromkeys(("job_id", "restarts", "uid"), draw(small))
        parts.append(
            EnergyPart(
                kind=kind, energy_j=draw(small), cpu_ms=draw(small), present_ms=draw(small),
                **(owner if kind is PartKind.JOB else {}),
            )
        )  # fmt: skip
    start_at = draw(small)
    return EnergySegment(
        cluster=draw(names), node=draw(names), start_at=start_at,
        end_at=start_at + draw(st.integers(1, 3600)), quality=draw(metered), meter=draw(names),
        total_j=sum(part.energy_j for part in parts), parts=tuple(parts),
    )  # fmt: skip


@st.composite
def epochs(draw):
    parts = tuple(
        EpochPart(duration_ms=length_ms, energy_millij=millij)
        for length_ms, millij in draw(st.lists(st.tuples(small, small), max_size=MOST_PARTS))
    )
    length_ms = sum(part.duration_ms for part in parts) or draw(st.integers(1, 10**9))
    if not sum(part.duration_ms for part in parts):
        parts = ()
    millij = sum(part.energy_millij for part in parts) if parts else draw(small)
    return EpochRecord(
        cluster=draw(names), node=draw(names), job_id=draw(small), restarts=draw(small),
        uid=draw(small), epoch=draw(st.integers(1, 10**6)),
        epochs=draw(st.none() | st.integers(1, 10**6)), started_ms=draw(small),
        duration_ms=length_ms, energy_millij=millij,
        relative_sd=draw(st.none() | st.floats(0, 100)), samples=draw(small),
        quality=draw(st.sampled_from(Quality)), steps=draw(st.integers(len(parts), 10**6)),
        parts=parts, gpu_limit_w=draw(st.none() | st.integers(1, 3000)),
    )  # fmt: skip


def travelled(reading):
    return json.loads(json.dumps(reading.to_wire()))


@given(segments())
def test_a_segment_arrives_as_it_was_sent(segment):
    assert EnergySegment.from_wire(travelled(segment)) == segment


@given(epochs())
def test_an_epoch_arrives_as_it_was_sent(record):
    assert EpochRecord.from_wire(travelled(record)) == record


PART = {
    "kind": "job", "energy_j": 60, "cpu_ms": 1000, "present_ms": 1000, "job_id": 7, "restarts": 0,
    "uid": 1001,
}  # fmt: skip
SEGMENT = {
    "cluster": "lab", "node": "n1", "start_at": 100, "end_at": 400, "total_j": 60,
    "quality": "measured", "meter": "rapl", "parts": [PART],
}  # fmt: skip
EPOCH = {
    "cluster": "lab", "node": "n1", "job_id": 7, "restarts": 0, "uid": 1001, "epoch": 1,
    "epochs": 10, "started_ms": 1000, "duration_ms": 500, "energy_millij": 70,
    "relative_sd": 0.1, "samples": 5, "quality": "modelled",
}  # fmt: skip


def test_the_samples_below_are_sound():
    assert EnergySegment.from_wire(SEGMENT).parts[0].job_id == 7
    assert EpochRecord.from_wire(EPOCH).relative_sd == 0.1


wrong_numbers = [True, "5", 5.0, None, float("nan"), [5], 10**16, -(10**16)]


@pytest.mark.parametrize("name", ["start_at", "end_at", "total_j"])
@pytest.mark.parametrize("value", wrong_numbers)
def test_a_segments_numbers_are_whole(name, value):
    with pytest.raises(ValueError, match=name):
        EnergySegment.from_wire(SEGMENT | {name: value})


@pytest.mark.parametrize("name", ["energy_j", "cpu_ms", "present_ms"])
@pytest.mark.parametrize("value", wrong_numbers)
def test_a_parts_numbers_are_whole(name, value):
    with pytest.raises(ValueError, match=name):
        EnergySegment.from_wire(SEGMENT | {"parts": [PART | {name: value}]})


@pytest.mark.parametrize(
    "name", ["job_id", "restarts", "uid", "epoch", "started_ms", "duration_ms", "energy_millij",
             "samples"],
)  # fmt: skip
@pytest.mark.parametrize("value", wrong_numbers)
def test_an_epochs_numbers_are_whole(name, value):
    with pytest.raises(ValueError, match=name):
        EpochRecord.from_wire(EPOCH | {name: value})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"end_at": 100}, "ends after"),
        ({"end_at": 99}, "ends after"),
        ({"total_j": 61}, "do not add up to its 61 J"),
        ({"quality": "missing"}, "not metered"),
        ({"quality": "splendid"}, "splendid"),
        ({"quality": []}, "not a valid"),
        ({"cluster": 5}, "cluster is not a string"),
        ({"node": None}, "node is not a string"),
        ({"meter": ["rapl"]}, "meter is not a string"),
        ({"parts": {}}, "parts is not a list"),
        ({"parts": [None]}, "expected an object"),
        ({"parts": [PART | {"colour": 1}]}, "expected an object"),
        ({"parts": [PART | {"energy_j": -60}], "total_j": -60}, "negative"),
        ({"parts": [PART | {"kind": "idle"}]}, "neither"),
        ({"parts": [PART | {"restarts": None}]}, "names job_id and restarts"),
        ({"parts": [PART | {"kind": "gpu"}]}, "gpu"),
        ({"colour": "green"}, "expected an object"),
    ],
)
def test_a_segment_that_is_wrong_says_how(change, why):
    with pytest.raises(ValueError, match=why):
        EnergySegment.from_wire(SEGMENT | change)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"epoch": 0}, "number from 1"),
        ({"duration_ms": 0}, "a length"),
        ({"energy_millij": -1}, "negative"),
        ({"epochs": 0}, "number of epochs"),
        ({"epochs": "10"}, "epochs is not"),
        ({"samples": -1}, "samples"),
        ({"relative_sd": float("nan")}, "relative_sd"),
        ({"relative_sd": float("inf")}, "relative_sd"),
        ({"relative_sd": -0.1}, "relative_sd"),
        ({"relative_sd": 10**400}, "relative_sd"),
        ({"relative_sd": "0.1"}, "relative_sd"),
        ({"relative_sd": True}, "relative_sd"),
        ({"relative_sd": []}, "relative_sd"),
        ({"quality": "splendid"}, "splendid"),
        ({"node": 1}, "node is not a string"),
        ({"gpu_limit_w": 0}, "1 W or more"),
        ({"gpu_limit_w": -300}, "1 W or more"),
        ({"gpu_limit_w": 300.0}, "gpu_limit_w is not"),
        ({"gpu_limit_w": True}, "gpu_limit_w is not"),
    ],
)
def test_an_epoch_that_is_wrong_says_how(change, why):
    with pytest.raises(ValueError, match=why):
        EpochRecord.from_wire(EPOCH | change)


@pytest.mark.parametrize("name", sorted(SEGMENT))
def test_a_segment_without_a_field_is_none(name):
    with pytest.raises(ValueError, match=f"expected an object with .*{name}"):
        EnergySegment.from_wire({key: value for key, value in SEGMENT.items() if key != name})


@pytest.mark.parametrize("name", sorted(EPOCH))
def test_an_epoch_without_a_field_is_none(name):
    with pytest.raises(ValueError, match=f"expected an object with .*{name}"):
        EpochRecord.from_wire({key: value for key, value in EPOCH.items() if key != name})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(st.sampled_from(sorted(SEGMENT)), st.sampled_from(sorted(EPOCH)), json_values)
def test_any_json_in_any_place_is_read_or_refused_as_a_value(in_segment, in_epoch, value):
    for kind, sound, name in ((EnergySegment, SEGMENT, in_segment), (EpochRecord, EPOCH, in_epoch)):
        for wire in (value, sound | {name: value}):
            with suppress(ValueError):
                read = kind.from_wire(wire)
                assert kind.from_wire(travelled(read)) == read


@given(epochs())
def test_an_epoch_of_an_agent_that_tells_no_parts_is_taken(epoch):
    wire = travelled(epoch)
    del wire["steps"], wire["parts"]
    assert EpochRecord.from_wire(wire) == replace(epoch, steps=0, parts=())


@given(epochs())
def test_an_epoch_of_an_agent_that_tells_no_power_limit_has_an_unknown_one(epoch):
    wire = travelled(epoch)
    del wire["gpu_limit_w"]
    assert EpochRecord.from_wire(wire) == replace(epoch, gpu_limit_w=None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 1},
        {"parts": [{"duration_ms": 600, "energy_millij": 5}]},
        {"parts": [{"duration_ms": 1000, "energy_millij": -5}]},
        {"parts": [{"duration_ms": 1000}]},
        {"parts": 3},
        {"steps": -1, "parts": []},
    ],
)
def test_parts_that_do_not_add_up_to_their_epoch_are_refused(wrong):
    part = {"duration_ms": 500, "energy_millij": 5}
    good = {
        "cluster": "c", "node": "n", "job_id": 1, "restarts": 0, "uid": 1, "epoch": 1,
        "epochs": None, "started_ms": 1, "duration_ms": 1000, "energy_millij": 10,
        "relative_sd": None, "samples": 0, "quality": "measured", "steps": 40,
        "parts": [part, part],
    }  # fmt: skip
    assert EpochRecord.from_wire(good).steps == 40
    with pytest.raises(ValueError, match=r"part|expected|steps"):
        EpochRecord.from_wire(good | wrong)
