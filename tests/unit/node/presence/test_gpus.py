"""What Slurm's names for GPUs mean; values of SLURM_JOB_GPUS and CUDA_VISIBLE_DEVICES as it
writes them, read on Slurm 22.05.8 and in the source of 22.05 to 26.05."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.node.meters.meter import Gpu
from carbonsched.node.presence.gpus import resolve

UUIDS = [f"GPU-{i:x}b3f51c2-0000-4000-8000-00000000000{i}" for i in range(8)]
EIGHT = tuple(Gpu(device=uuid, index=i, minor=i) for i, uuid in enumerate(UUIDS))
ONE = (1, 1)
MIG = (
    Gpu(device=UUIDS[0], index=0, minor=0),
    Gpu(
        device=UUIDS[1],
        index=1,
        minor=1,
        slices=7,
        instances={"MIG-aaaa1111-5": 3, "MIG-aaaa2222-5": 2, "MIG-bbbb3333-5": 1},
    ),
)


def shares(gpus, visible, inventory=EIGHT):
    resolved = resolve(gpus, visible, inventory)
    assert resolved.unknown == ()
    return resolved.shares


@pytest.mark.parametrize(
    ("gpus", "visible", "expected"),
    [
        ("0,2", "0,2", [0, 2]),
        ("0-3", "", [0, 1, 2, 3]),
        ("1,4-5,7", "", [1, 4, 5, 7]),
        ("", "6", [6]),
        ("2,3", f"{UUIDS[2]},{UUIDS[3]}", [2, 3]),  # from Slurm 25.11
        ("0,1", f"{UUIDS[5]},{UUIDS[6]}", [5, 6]),  # a UUID leaves nothing to interpret
        ("3", "0", [3]),  # places in the job's own cgroup are not the node's
        ("", UUIDS[7].upper().replace("GPU-", "gpu-"), [7]),
        ("", "GPU-3b3f", [3]),  # as CUDA takes it
        ("0,0,0", "", [0]),
        (" 1 , 2 ", "", [1, 2]),
    ],
)
def test_whole_gpus(gpus, visible, expected):
    assert shares(gpus, visible) == {UUIDS[i]: ONE for i in expected}


@pytest.mark.parametrize("text", ["", "-1", "NoDevFiles", "nodevfiles", ",", " "])
def test_no_gpus(text):
    assert shares(text, text) == {}
    assert shares("", text) == {}


@pytest.mark.parametrize(
    "name",
    [
        "8",
        "all",
        "GPU-ffffffff-0000-4000-8000-000000000000",
        "MIG-cccc",
        "GPU-",  # names everything, so nothing
        "3-1",
        "0-99999",
        "MIG-GPU-nowhere/1/0",
    ],
)
def test_a_name_that_is_none_here_is_told_and_stands_for_nothing(name):
    resolved = resolve(f"1,{name}" if name[0].isdigit() else "1", name, EIGHT)
    if name.startswith(("GPU-", "MIG-")):
        assert (resolved.shares, resolved.unknown) == ({}, (name,))
    elif name[0].isdigit():
        assert (resolved.shares, resolved.unknown) == ({UUIDS[1]: ONE}, (name,))
    else:
        assert (resolved.shares, resolved.unknown) == ({UUIDS[1]: ONE}, ())
        assert resolve("", name, EIGHT).unknown == (name,)


def test_a_shortened_uuid_of_two_gpus_is_unknown():
    twins = (Gpu(device="GPU-ab1", index=0), Gpu(device="GPU-ab2", index=1))
    assert resolve("", "GPU-ab", twins).unknown == ("GPU-ab",)
    assert resolve("", "GPU-ab2", twins).shares == {"GPU-ab2": ONE}


def test_instances_by_their_slices():
    assert shares("1", "MIG-aaaa1111-5", MIG) == {UUIDS[1]: (3, 7)}
    both = shares("1,3", "MIG-aaaa1111-5,MIG-bbbb3333-5", MIG)
    assert both == {UUIDS[1]: (4, 7)}
    assert shares("0,1", f"{UUIDS[0]},MIG-bbbb", MIG) == {UUIDS[0]: ONE, UUIDS[1]: (1, 7)}


def test_the_whole_of_a_divided_gpu():
    assert shares("", UUIDS[1], MIG) == {UUIDS[1]: ONE}


def test_an_ambiguous_instance_is_unknown():
    assert resolve("1", "MIG-aaaa", MIG).unknown == ("MIG-aaaa",)


def test_places_count_instances_where_gpus_are_divided():
    resolved = resolve("0,2", "", MIG)
    assert resolved.shares == {UUIDS[0]: ONE, UUIDS[1]: (2, 7)}
    assert resolved.doubtful
    assert resolve("4", "", MIG).unknown == ("4",)


def test_the_old_notation_counts_where_all_instances_are_alike():
    name = f"MIG-{UUIDS[1]}/2/0"
    alike = (replace(MIG[1], instances={"MIG-a": 2, "MIG-b": 2}),)
    assert shares("", name, alike) == {UUIDS[1]: (2, 7)}
    assert resolve("", name, MIG).unknown == (name,)


def test_two_dies_of_one_card_are_halves_of_it():
    cards = tuple(Gpu(device=f"0000:c{i // 2}:00.0", index=i) for i in range(4))
    assert shares("0", "", cards) == {"0000:c0:00.0": (1, 2)}
    assert shares("1-2", "", cards) == {"0000:c0:00.0": (1, 2), "0000:c1:00.0": (1, 2)}
    assert shares("2,3", "", cards) == {"0000:c1:00.0": (2, 2)}


def test_places_that_minor_numbers_contradict_are_doubtful():
    crossed = tuple(replace(gpu, minor=(gpu.index + 2) % 4) for gpu in EIGHT[:4])
    assert resolve("0", "", crossed).shares == {UUIDS[0]: ONE}
    assert resolve("0", "", crossed).doubtful
    assert not resolve("0-3", "", crossed).doubtful  # all of them, either way
    assert not resolve("0", UUIDS[0], crossed).doubtful
    assert not resolve("0,2", "", EIGHT).doubtful


def test_minor_numbers_with_holes_are_no_contradiction():
    holes = tuple(replace(gpu, minor=gpu.index * 2 + 1) for gpu in EIGHT[:4])
    assert not resolve("2", "", holes).doubtful


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_taken_or_told(gpus, visible):
    resolved = resolve(gpus, visible, (*EIGHT[2:], *MIG))
    assert set(resolved.shares) <= set(UUIDS)
    assert all(0 < Fraction(*share) <= 1 for share in resolved.shares.values())


@given(st.lists(st.sampled_from(range(8)), unique=True), st.booleans())
def test_places_and_uuids_mean_the_same(places, with_uuids):
    gpus = ",".join(map(str, places))
    visible = ",".join(UUIDS[i] for i in places) if with_uuids else gpus
    assert shares(gpus, visible) == {UUIDS[i]: ONE for i in places}


@given(st.lists(st.integers(1, 3), min_size=1, max_size=7), st.data())
def test_disjoint_jobs_never_have_more_than_the_gpu(slices, data):
    instances = {f"MIG-{i:04d}-x": size for i, size in enumerate(slices)}
    gpu = Gpu(device=UUIDS[0], index=0, slices=max(7, sum(slices)), instances=instances)
    owners = data.draw(st.lists(st.integers(0, 2), min_size=len(slices), max_size=len(slices)))
    total = Fraction(0)
    for job in set(owners):
        mine = [name for name, owner in zip(instances, owners, strict=True) if owner == job]
        total += Fraction(*shares("", ",".join(mine), (gpu,))[UUIDS[0]])
    assert total == Fraction(sum(slices), gpu.slices)
