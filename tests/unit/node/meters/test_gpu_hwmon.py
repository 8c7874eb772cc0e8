from __future__ import annotations

import io
from itertools import pairwise

import pytest

from carbonsched.errors import MeterError
from carbonsched.model.energy import Quality
from carbonsched.node.journal import Journal
from carbonsched.node.meters.gpu_hwmon import GpuHwmonMeter
from carbonsched.node.presence.gpus import resolve

S = 1_000_000_000
J = 1_000_000
MI250, MI300X, MI300A = "0x7408", "0x74a1", "0x74a0"


class Sysfs:
    """The hwmon part of /sys: each chip is a link's width away from its PCI device."""

    def __init__(self, root):
        self.root = root
        self.count = 0
        self.log = io.StringIO()

    def card(self, name, address, model="0x0001", **files):
        pci = self.root / "devices" / address
        pci.mkdir(parents=True)
        (pci / "device").write_text(model + "\n")
        folder = self.root / f"class/hwmon/hwmon{self.count}"
        self.count += 1
        folder.mkdir(parents=True)
        (folder / "device").symlink_to(pci)
        (folder / "name").write_text(name + "\n")
        for file, value in files.items():
            (folder / file).write_text(f"{value}\n")
        return folder

    def amd(self, address, watts, model=MI300X, **files):
        cap = {"power1_cap": 750 * J, "power1_cap_max": 750 * J}
        figure = {} if watts is None else {"power1_average": watts * J}
        return self.card("amdgpu", address, model, **(cap | figure | files))

    def find(self):
        return GpuHwmonMeter.find(self.root, Journal("agent", self.log))


@pytest.fixture
def sysfs(tmp_path):
    return Sysfs(tmp_path)


def energies(meter, before, after, length_s=1.0):
    told = meter.between(before, after, round(length_s * S), 0)
    return {one.device: (one.energy_uj, one.quality) for one in told}


def test_a_node_without_such_gpus(sysfs):
    sysfs.card("coretemp", "0000:00:18.3", temp1_input=40000)
    assert sysfs.find() is None


def test_amd_power_is_integrated_for_each_card(sysfs):
    second = sysfs.amd("0000:c6:00.0", 100)
    first = sysfs.amd("0000:c1:00.0", 300)
    meter = sysfs.find()
    assert meter.name == "gpu-hwmon(2 GPUs)"
    assert [gpu.device for gpu in meter.gpus()] == ["0000:c1:00.0", "0000:c6:00.0"]
    before = meter.read(0)
    (first / "power1_average").write_text(f"{500 * J}\n")
    (second / "power1_average").write_text(f"{200 * J}\n")
    assert energies(meter, before, meter.read(2 * S), 2) == {
        "0000:c1:00.0": (800 * J, Quality.SAMPLED),
        "0000:c6:00.0": (300 * J, Quality.SAMPLED),
    }


def test_the_instant_power_is_preferred(sysfs):
    sysfs.amd("0000:c1:00.0", 1, power1_input=300 * J)
    meter = sysfs.find()
    assert energies(meter, meter.read(0), meter.read(S)) == {
        "0000:c1:00.0": (300 * J, Quality.SAMPLED)
    }


@pytest.mark.parametrize("other", [0, None])
def test_the_dies_of_a_card_share_its_power(sysfs, other):
    for bus, watts in (("c1", 400), ("c6", other), ("c9", 300), ("ce", other)):
        sysfs.amd(f"0000:{bus}:00.0", watts, MI250)
    meter = sysfs.find()
    devices = [gpu.device for gpu in meter.gpus()]
    assert devices == ["0000:c1:00.0"] * 2 + ["0000:c9:00.0"] * 2
    assert resolve("1,2,3", "", meter.gpus()).shares == {
        "0000:c1:00.0": (1, 2),
        "0000:c9:00.0": (2, 2),
    }
    told = energies(meter, meter.read(0), meter.read(S))
    assert sum(uj for uj, _ in told.values()) == 700 * J


def test_graphics_whose_power_is_the_processors_are_left_out(sysfs):
    sysfs.card("amdgpu", "0000:04:00.0", power1_average=15 * J)
    sysfs.amd("0000:c1:00.0", 300, MI300A)
    assert sysfs.find() is None
    assert "0000:c1:00.0" in sysfs.log.getvalue()


def test_intel_counts_the_card(sysfs):
    folder = sysfs.card(
        "xe",
        "0000:3a:00.0",
        power1_max=300 * J,
        energy1_input=5 * J,
        energy1_label="card",
        energy2_input=3 * J,
        energy2_label="pkg",
    )
    sysfs.card("i915_gt0", "0000:3b:00.0", energy1_input=1)
    meter = sysfs.find()
    before = meter.read(0)
    (folder / "energy1_input").write_text(f"{205 * J}\n")
    (folder / "energy2_input").write_text(f"{103 * J}\n")
    assert energies(meter, before, meter.read(S)) == {"0000:3a:00.0": (200 * J, Quality.MEASURED)}


def test_a_counter_that_fell_or_ran_too_far_or_was_left_too_long(sysfs):
    folder = sysfs.card("i915", "0000:3a:00.0", power1_max=300 * J, energy1_input=900 * J)
    meter = sysfs.find()
    none = {"0000:3a:00.0": (0, Quality.PARTIAL)}
    readings = []
    for second, joules in ((0, 900), (1, 100), (2, 100_000), (3, 100_200), (1003, 200_000)):
        (folder / "energy1_input").write_text(f"{joules * J}\n")
        readings.append((second, meter.read(second * S)))
    told = [
        energies(meter, before, after, end - begin)
        for (begin, before), (end, after) in pairwise(readings)
    ]
    assert told == [none, none, {"0000:3a:00.0": (200 * J, Quality.MEASURED)}, none]


def test_a_card_that_does_not_answer_is_left_out(sysfs):
    folder = sysfs.amd("0000:c1:00.0", 300)
    sysfs.amd("0000:c6:00.0", 100)
    meter = sysfs.find()
    before = meter.read(0)
    (folder / "power1_average").write_text("")
    after = meter.read(S)
    assert meter.errors == 1
    assert energies(meter, before, before | after) == {
        "0000:c1:00.0": (0, Quality.PARTIAL),
        "0000:c6:00.0": (100 * J, Quality.SAMPLED),
    }
    assert len(meter.gpus()) == 2
    assert "0000:c1:00.0" in sysfs.log.getvalue()


def test_no_card_answers(sysfs):
    folder = sysfs.amd("0000:c1:00.0", 300)
    meter = sysfs.find()
    (folder / "power1_average").write_text("nonsense\n")
    with pytest.raises(MeterError, match="nonsense"):
        meter.read(0)


def test_a_driver_that_was_loaded_anew_has_another_folder(sysfs):
    folder = sysfs.amd("0000:c1:00.0", 300)
    meter = sysfs.find()
    meter.read(0)
    folder.rename(folder.with_name("hwmon9"))
    (folder.with_name("hwmon9") / "power1_average").write_text(f"{200 * J}\n")
    meter.look()
    assert meter.read(S)["0000:c1:00.0.uw"] == 200 * J


def test_only_counters_bridge_more_than_a_minute(sysfs):
    sysfs.amd("0000:03:00.0", 100)
    assert sysfs.find().longest_gap_ns == 60 * S
    sysfs.card("xe", "0000:04:00.0", energy1_input=5, power1_max=100 * J)
    assert sysfs.find().longest_gap_ns == 262_144 * S // 150
