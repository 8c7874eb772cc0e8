from __future__ import annotations

import csv
import math
import statistics
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.errors import ConfigError
from carbonsched.model.energy import Domain, Quality
from carbonsched.node.meters.meter import DomainEnergy
from carbonsched.node.meters.model import ModelledGpus, ModelMeter, as_allocated, node_class_of
from carbonsched.site import NodeClass

NS = 1_000_000_000
CLASS = NodeClass(
    nodes="n[1-4]",
    cpus=8,
    idle_w=60,
    max_w=240,
    uncertainty=0.25,
    gpus=2,
    gpu_idle_w=50,
    gpu_max_w=350,
)
FIXTURES = Path(__file__).parents[3] / "fixtures/power"
lengths = st.integers(0, 10**14)


def energy(length_ns, busy_ns, node_class=CLASS):
    (one,) = ModelMeter(node_class).between({}, {}, length_ns, busy_ns)
    return one


def test_the_node_by_its_utilisation():
    meter = ModelMeter(CLASS)
    assert meter.key == "model"
    assert meter.name == "model(idle 60 W, max 240 W, 8 CPUs, ±25 %)"
    assert meter.longest_gap_ns == 3600 * NS
    assert meter.read(5) == {}
    idle = energy(NS, 0)
    assert (idle.domain, idle.device, idle.quality) == (Domain.NODE, "model", Quality.MODELLED)
    assert idle.energy_uj == idle.static_uj == 60_000_000
    half = energy(NS, 4 * NS)
    assert half.energy_uj == 195_000_000  # 60 + 180 * 0.5 * 1.5
    assert half.static_uj == 60_000_000
    assert half.uncertainty_uj == 48_750_000
    assert energy(NS, 8 * NS).energy_uj == 240_000_000
    assert energy(2 * NS, 16 * NS).energy_uj == 480_000_000


@given(
    lengths, st.integers(0, 10**16), st.integers(1, 512), st.integers(0, 3000), st.integers(0, 3000)
)
def test_the_curve_is_exact_and_stays_between_idle_and_max(length_ns, busy_ns, cpus, idle, more):
    node_class = NodeClass(nodes="n1", cpus=cpus, idle_w=idle, max_w=idle + more)
    one = energy(length_ns, busy_ns, node_class)
    u = min(Fraction(busy_ns, cpus * length_ns), Fraction(1)) if length_ns else Fraction(0)
    exact = Fraction(length_ns * 10**6, NS) * (idle + more * u * (2 - u))
    assert 0 <= exact - one.energy_uj < 2
    assert one.static_uj == idle * length_ns * 10**6 // NS
    assert one.static_uj <= one.energy_uj <= (idle + more) * length_ns * 10**6 // NS + 1


@given(st.integers(1, 10**13), st.integers(0, 10**14), st.integers(0, 10**14))
def test_more_cpu_time_is_never_less_energy(length_ns, first, second):
    less, more = sorted((first, second))
    assert energy(length_ns, less).energy_uj <= energy(length_ns, more).energy_uj


def test_the_curve_is_as_far_off_the_sweeps_as_stated():
    """Some cores fully busy, as on a cluster; the error is a share of max - idle."""
    sweeps = {}
    with (FIXTURES / "cpu-load-sweeps.csv").open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row["sweep"] == "some_cores":
                at = (float(row["load_percent"]), float(row["rapl_w"]))
                sweeps.setdefault(row["machine"], []).append(at)
    errors = []
    for rows in sweeps.values():
        idle_w = min(watts for _, watts in rows)
        max_w = next(watts for load, watts in rows if load == 100)
        node_class = NodeClass(nodes="n", cpus=100, idle_w=idle_w, max_w=max_w)
        for load, watts in rows:
            modelled_w = energy(NS, round(load * NS), node_class).energy_uj / 10**6
            if load > 6:
                errors.append((modelled_w - watts) / (max_w - idle_w))
    assert len(errors) == 26
    assert statistics.fmean(map(abs, errors)) == pytest.approx(0.047, abs=0.001)


@pytest.mark.parametrize(
    "wrong",
    [{"cpus": 0}, {"idle_w": 241}, {"idle_w": -1}, {"max_w": math.nan}, {"max_w": math.inf},
     {"uncertainty": -0.1}, {"uncertainty": math.nan}],
)  # fmt: skip
def test_a_power_class_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"class of n\[1-4\] does not make sense; declare"):
        ModelMeter(replace(CLASS, **wrong))


def test_gpus_that_nobody_sees_are_half_way_and_say_so():
    meter = ModelledGpus(CLASS)
    assert meter.key == "gpu-model"
    assert meter.name == "gpu-model(2 GPUs, idle 50 W, max 350 W)"
    assert [(one.device, one.index, one.slices) for one in meter.gpus()] == [
        ("gpu0", 0, 1),
        ("gpu1", 1, 1),
    ]
    assert meter.read(1) == {}
    first, second = meter.between({}, {}, 10 * NS, 0)
    assert (first.device, second.device) == ("gpu0", "gpu1")
    assert (first.domain, first.quality) == (Domain.GPU, Quality.MODELLED)
    assert (first.energy_uj, first.static_uj) == (2_000_000_000, 500_000_000)
    assert first.uncertainty_uj == 1_500_000_000


@pytest.mark.parametrize(
    "wrong", [{"gpus": 0}, {"gpu_max_w": 0, "gpu_idle_w": 0}, {"gpu_idle_w": 351}]
)
def test_gpus_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError, match="does not make sense"):
        ModelledGpus(replace(CLASS, **wrong))


@given(st.integers(1, 10**13), st.integers(-5, 2 * 10**13))
def test_a_gpu_that_was_not_allocated_drew_its_idle_power(length_ns, allocated_ns):
    whole = ModelledGpus(CLASS).between({}, {}, length_ns, 0)[0]
    one = as_allocated(whole, allocated_ns, length_ns)
    had = Fraction(min(max(0, allocated_ns), length_ns), length_ns)
    assert one.static_uj == whole.static_uj
    assert 0 <= whole.static_uj + (whole.energy_uj - whole.static_uj) * had - one.energy_uj < 1
    assert 0 <= whole.uncertainty_uj * had - one.uncertainty_uj < 1
    if allocated_ns >= length_ns:
        assert one == whole


@pytest.mark.parametrize(
    "seen",
    [
        DomainEnergy(domain=Domain.GPU, device="GPU-1", energy_uj=9, quality=Quality.MEASURED),
        DomainEnergy(domain=Domain.NODE, device="model", energy_uj=9, quality=Quality.MODELLED),
    ],
)
def test_what_was_seen_is_not_changed(seen):
    assert as_allocated(seen, 0, 10) is seen


def test_a_nodes_class_is_the_first_that_names_it():
    other = NodeClass(nodes="m1", cpus=1, idle_w=1, max_w=2)
    assert node_class_of("n3", (other, CLASS)) is CLASS
    assert node_class_of("n5", (other, CLASS)) is None
    with pytest.raises(ConfigError, match="node class 'n\\[': "):
        node_class_of("n5", (NodeClass(nodes="n[", cpus=1, idle_w=1, max_w=2),))
