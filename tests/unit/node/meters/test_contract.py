"""What every meter must keep to, whatever it reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonsched.node.meters.cray import CrayMeter
from carbonsched.node.meters.gpu_hwmon import GpuHwmonMeter
from carbonsched.node.meters.hwmon import HwmonMeter
from carbonsched.node.meters.ipmi import IpmiMeter
from carbonsched.node.meters.meter import Meter
from carbonsched.node.meters.model import ModelledGpus, ModelMeter
from carbonsched.node.meters.rapl import RaplMeter
from carbonsched.site import NodeClass

NS = 1_000_000_000
J = 1_000_000
STAMP_US = 1_751_467_200_123_456
RANGE_UJ = 65_712_999_613
CLASS = NodeClass(
    nodes="n1", cpus=8, idle_w=60, max_w=240, gpus=2, gpu_idle_w=20, gpu_max_w=100
)  # fmt: skip


@dataclass
class Case:
    """A meter on its files; ``turn`` moves its counters to what it drew in so many seconds."""

    meter: Meter
    turn: Any
    counts: bool
    devices: int

    def readings(self, *seconds):
        told = []
        for second in seconds:
            self.turn(second)
            told.append(self.meter.read(second * NS))
        return told


def rapl(sys, journal):
    labels = [("0", "package-0"), ("0:0", "dram"), ("1", "package-1"), ("2", "psys")]
    for zone, label in labels:
        sys.zone(f"intel-rapl:{zone}", label, 0, RANGE_UJ)

    def turn(second):
        for zone, _ in labels:
            sys.uj(f"intel-rapl:{zone}", (RANGE_UJ - 30 * J + 100 * J * second) % RANGE_UJ)

    turn(0)
    return Case(RaplMeter.find(sys.root, None, journal), turn, counts=True, devices=4)


def dies(sys, journal):
    for die in (0, 1, 2):
        sys.zone(f"intel-rapl:{die}", f"package-0-die-{die}", 0, RANGE_UJ)

    def turn(second):
        for die, start in ((0, 0), (1, 0), (2, 900 * J)):
            sys.uj(f"intel-rapl:{die}", start + 100 * J * second)

    turn(0)
    return Case(RaplMeter.find(sys.root, None, journal), turn, counts=True, devices=2)


def cray(sys, journal):
    def turn(second):
        joules = dict.fromkeys(("energy", "cpu_energy", "accel0_energy"), 500 + 100 * second)
        sys.cray(stamp_us=STAMP_US + second * 10**6, **joules)

    turn(0)
    return Case(CrayMeter.find(sys.root, journal), turn, counts=True, devices=3)


def hwmon(sys, journal):
    def turn(second):
        sys.power_meter(200 + second)

    turn(0)
    return Case(HwmonMeter.find(sys.root, journal), turn, counts=False, devices=1)


def hwmon_counter(sys, journal):
    def turn(second):
        sys.power_meter(energy1_input=J * 100 * second)

    turn(0)
    return Case(HwmonMeter.find(sys.root, journal), turn, counts=True, devices=1)


def grace(sys, journal):
    def turn(second):
        sys.grace(4, Module=600 + second, Grace=100 + second)

    turn(0)
    return Case(HwmonMeter.find(sys.root, journal), turn, counts=False, devices=1)


def ipmi(_sys, journal):
    meter = IpmiMeter(10.0, journal, lambda: 0, 1.0)

    def turn(second):
        meter._last = ((200 + second) * J, second * NS)

    return Case(meter, turn, counts=False, devices=1)


def intel_gpu(sys, journal):
    chip = sys.root / "class/drm/card0/device/hwmon/hwmon4"
    pci = sys.root / "devices/pci0000:3a/0000:3a:00.0"
    pci.mkdir(parents=True)
    chip.parent.parent.parent.mkdir(parents=True)
    chip.parent.parent.symlink_to(pci)
    chip.mkdir(parents=True)
    (chip / "name").write_text("i915\n")
    (pci / "vendor").write_text("0x8086\n")
    (pci / "device").write_text("0x56c0\n")
    (pci / "class").write_text("0x038000\n")

    def turn(second):
        (chip / "energy1_input").write_text(f"{100 * J * second}\n")

    turn(0)
    (sys.root / "class/hwmon").mkdir(parents=True, exist_ok=True)
    (sys.root / "class/hwmon/hwmon4").symlink_to(chip)
    return Case(GpuHwmonMeter.find(sys.root, journal), turn, counts=True, devices=1)


def model(_sys, _journal):
    return Case(ModelMeter(CLASS), lambda _: None, counts=False, devices=1)


def modelled_gpus(_sys, _journal):
    return Case(ModelledGpus(CLASS), lambda _: None, counts=False, devices=2)


CASES = [rapl, dies, cray, hwmon, hwmon_counter, grace, ipmi, intel_gpu, model, modelled_gpus]


@pytest.fixture(params=CASES, ids=lambda case: case.__name__)
def case(request, sys, journal):
    case = request.param(sys, journal)
    assert case.meter is not None
    return case


def energies(told):
    return {(one.domain, one.device): one.energy_uj for one in told}


def test_it_names_itself(case):
    assert case.meter.key
    assert case.meter.name
    assert case.meter.longest_gap_ns >= 60 * NS


def test_no_time_is_no_energy(case):
    (reading,) = case.readings(1)
    assert sum(energies(case.meter.between(reading, reading, 0, 0)).values()) == 0


def test_each_device_is_told_once(case):
    before, after = case.readings(1, 2)
    told = case.meter.between(before, after, NS, NS)
    assert len(told) == len(energies(told)) == case.devices
    assert min(energies(told).values()) > 0


def test_a_reading_survives_the_state_file(case):
    readings = case.readings(1, 2)
    kept = json.loads(json.dumps(readings))
    assert kept == readings
    assert all(isinstance(value, int) for reading in kept for value in reading.values())
    assert case.meter.between(*kept, NS, 0) == case.meter.between(*readings, NS, 0)


def test_counters_are_additive(case):
    if not case.counts:
        assert case.meter.key in {"hwmon", "ipmi", "model", "gpu-model"}
        return
    one, two, three = case.readings(1, 2, 4)
    halves = [
        energies(case.meter.between(one, two, NS, 0)),
        energies(case.meter.between(two, three, 2 * NS, 0)),
    ]
    whole = energies(case.meter.between(one, three, 3 * NS, 0))
    assert {key: halves[0][key] + halves[1][key] for key in whole} == whole
    assert set(whole.values()) == {300 * J}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_whatever_a_reading_lacks_or_holds_nothing_is_raised_or_negative(case, data):
    readings = case.readings(1, 2)
    keys = sorted({key for reading in readings for key in reading} | {"unknown", "x.uj", "x.at_ns"})
    numbers = st.one_of(st.integers(-(10**18), 10**18), st.none())
    for reading in readings:
        for key in data.draw(st.lists(st.sampled_from(keys), unique=True)):
            number = data.draw(numbers)
            if number is None:
                reading.pop(key, None)
            else:
                reading[key] = number
    told = case.meter.between(*readings, data.draw(st.integers(1, 10**15)), 0)
    assert all(one.energy_uj >= 0 for one in told)


def test_a_device_that_only_the_later_reading_has_begins_there(case):
    _, after = case.readings(1, 2)
    told = case.meter.between({}, after, NS, 0)
    assert not told or case.meter.key in {"model", "gpu-model"}


def test_what_all_devices_lack_in_the_later_reading_is_partial_and_no_energy(case):
    before, _ = case.readings(1, 2)
    told = case.meter.between(before, {}, NS, 0)
    assert case.meter.key in {"model", "gpu-model"} or {
        (one.energy_uj, one.quality.value) for one in told
    } == {(0, "partial")}
