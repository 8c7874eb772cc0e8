from __future__ import annotations

import itertools

import pytest

from carbonsched.errors import MeterError
from carbonsched.model.energy import Domain, Quality
from carbonsched.node.meters.cray import CrayMeter

NS = 1_000_000_000
J = 1_000_000
STAMP_US = 1_751_467_200_123_456


def told(meter, before, after, length_ns=NS):
    return {one.device: one for one in meter.between(before, after, length_ns, 0)}


def test_node_processors_memory_and_accelerators(sys, journal):
    sys.cray(energy=2_178_501_771, cpu_energy=208_285_642, memory_energy=293_871_653)
    for index in (0, 1, 2, 10):
        sys.cray(**{f"accel{index}_energy": 479_512_261})
    meter = CrayMeter.find(sys.root, journal)
    assert meter.name == "cray(cpu, node, memory, 4 accelerators)"
    assert (meter.has_cpu, meter.has_node) == (True, True)
    assert [(gpu.device, gpu.index) for gpu in meter.gpus()] == [
        ("accel0", 0), ("accel1", 1), ("accel2", 2), ("accel10", 10),
    ]  # fmt: skip
    before = meter.read(0)
    assert before["cray node.uj"] == 2_178_501_771 * J
    sys.cray(
        stamp_us=STAMP_US + 10**6, energy=2_178_502_222, cpu_energy=208_285_675,
        memory_energy=293_871_717, accel0_energy=479_512_364,
    )  # fmt: skip
    energies = told(meter, before, meter.read(NS))
    assert {name: one.energy_uj // J for name, one in energies.items()} == {
        "cray node": 451, "cray cpu": 33, "cray memory": 64,
        "accel0": 103, "accel1": 0, "accel2": 0, "accel10": 0,
    }  # fmt: skip
    assert energies["cray node"].domain is Domain.NODE
    assert energies["accel0"].domain is Domain.GPU
    assert {one.quality for one in energies.values()} == {Quality.MEASURED}


def test_counters_that_are_not_updated_are_partial_and_made_up_for(sys, journal):
    sys.cray(energy=1000)
    meter = CrayMeter.find(sys.root, journal)
    readings = [meter.read(second * NS) for second in range(6)]
    sys.cray(stamp_us=STAMP_US + 6_000_000, energy=4000)
    readings.append(meter.read(6 * NS))
    energies = [
        told(meter, before, after)["cray node"] for before, after in itertools.pairwise(readings)
    ]
    assert [one.energy_uj // J for one in energies] == [0, 0, 0, 0, 0, 3000]
    assert energies[0].quality is Quality.MEASURED  # ten updates a second, but none is missed yet
    assert {one.quality for one in energies[2:]} == {Quality.PARTIAL}


@pytest.mark.parametrize(
    "after", [{"energy": 5}, {"energy": 90_000}, {"energy": 1200, "startup": 8}]
)
def test_a_node_controller_that_started_anew_is_no_energy(sys, journal, log, after):
    sys.cray(energy=1000)
    meter = CrayMeter.find(sys.root, journal)
    before = meter.read(0)
    sys.cray(stamp_us=STAMP_US + 10**6, **after)
    one = told(meter, before, meter.read(NS))["cray node"]
    assert (one.energy_uj, one.quality) == (0, Quality.PARTIAL)
    assert "the counter was reset, or makes no sense" in log.getvalue()


def test_a_power_cap_changes_nothing(sys, journal):
    sys.cray(energy=1000)
    meter = CrayMeter.find(sys.root, journal)
    before = meter.read(0)
    sys.cray(stamp_us=STAMP_US + 10**6, energy=1300)
    sys.write("cray/pm_counters/generation", f"24 {STAMP_US} us")
    assert told(meter, before, meter.read(NS))["cray node"].energy_uj == 300 * J


def test_files_of_older_systems_have_no_instant(sys, journal):
    sys.write("cray/pm_counters/energy", "36134 J")
    meter = CrayMeter.find(sys.root, journal)
    before = meter.read(0)
    sys.write("cray/pm_counters/energy", "36184 J")
    assert told(meter, before, meter.read(10 * NS), 10 * NS)["cray node"].energy_uj == 50 * J


def test_one_broken_file_is_left_out_and_all_of_them_are_an_error(sys, journal, log):
    sys.cray(energy=1000, cpu_energy=10)
    meter = CrayMeter.find(sys.root, journal)
    before = meter.read(0)
    sys.write("cray/pm_counters/cpu_energy", "ERROR")
    after = meter.read(NS)
    assert told(meter, before, after)["cray cpu"].quality is Quality.PARTIAL
    assert "'ERROR' is not an energy in joules; left out" in log.getvalue()
    sys.remove("cray/pm_counters")
    with pytest.raises(MeterError, match="pm_counters"):
        meter.read(2 * NS)


def test_counters_that_come_late_are_taken_in(sys, journal):
    sys.cray(energy=1000)
    meter = CrayMeter.find(sys.root, journal)
    meter.read(0)
    sys.cray(cpu_energy=10)
    assert "cray cpu.uj" not in meter.read(59 * NS)
    assert "cray cpu.uj" in meter.read(60 * NS)
    meter.close()
    assert "cray cpu.uj" in meter.read(61 * NS)


def test_another_machine_has_none(sys, journal):
    assert CrayMeter.find(sys.root, journal) is None
