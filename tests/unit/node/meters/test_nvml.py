"""The real pynvml and the NVML meter, on a library that stands in for NVIDIA's.

``tests/plant/nvml.c`` answers in a child process, as a library once loaded stays for good.
"""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .nvml_rig import Call, Child, Code, plant_nvml

S = 1_000_000_000
J = 1_000_000


uuid = plant_nvml.uuid


class Bench:
    """A plant, a meter on it, and a clock."""

    def __init__(self, child, path, count, setup=lambda _: None):
        self.child = child
        self.plant = plant_nvml.NvmlPlant(path, count)
        self.devices = self.plant.devices
        setup(self.devices)
        self.now_ns = 100 * S
        self.found = child.open(str(path))
        self.last = child.read(self.now_ns) if self.found else None

    def draw(self, index, joules):
        self.devices[index].energy_mj += round(joules * 1000)

    def step(self, seconds=1.0):
        """Energies since the last step, by device; a device that is away keeps its last reading."""
        self.now_ns += round(seconds * S)
        new = self.child.read(self.now_ns)
        if "error" in new:
            return new["error"]
        after = self.last | new
        energies = self.child.between(self.last, after, round(seconds * S))
        self.last = after
        return {name: (uj, quality) for name, (_, uj, quality) in energies.items()}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return plant_nvml.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture(scope="module")
def child(library):
    child = Child({"LD_LIBRARY_PATH": str(library)})
    yield child
    child.end()


@pytest.fixture
def bench(child, tmp_path):
    def make(count=2, setup=lambda _: None):
        return Bench(child, tmp_path / "plant", count, setup)

    yield make
    child.close()


def test_without_a_compiler_the_remedy_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="deploy/install-packages --tests"):
        plant_nvml.build(tmp_path)


# What is there


def test_a_node_without_the_library_never_loads_pynvml(tmp_path):
    child = Child({"LD_LIBRARY_PATH": str(tmp_path)})
    try:
        found, imported = child.open(str(tmp_path / "plant")), child.imported()
    finally:
        child.end()
    assert (found, imported) == (False, False)


def test_no_device_is_no_meter_and_no_word(bench, child):
    assert not bench(0).found
    assert child.said() == ""


@pytest.fixture
def pci(tmp_path):
    """A sysfs with one PCI device."""

    def make(vendor="0x10de", kind="0x030200"):
        folder = tmp_path / "sys/bus/pci/devices/0000:01:00.0"
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(f"{vendor}\n")
        (folder / "class").write_text(f"{kind}\n")
        return str(tmp_path / "sys")

    return make


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (Code.DRIVER_NOT_LOADED, "load the NVIDIA driver"),
        (Code.NO_PERMISSION, "run the agent as root"),
        (Code.LIB_RM_VERSION_MISMATCH, "reboot the node"),
    ],
)
def test_a_driver_that_refuses_is_told_with_a_remedy(bench, child, tmp_path, pci, code, remedy):
    plant = plant_nvml.NvmlPlant(tmp_path / "refused", 1)
    plant.state.init_error = code
    assert not child.open(str(plant.path), pci())
    assert remedy in child.said()
    assert child.said().count("\n") == 1


@pytest.mark.parametrize(("vendor", "kind"), [("0x1002", "0x030200"), ("0x10de", "0x020700")])
def test_the_library_alone_on_a_node_without_a_gpu_is_nothing_to_tell(
    bench, child, tmp_path, pci, vendor, kind
):
    assert not child.open(str(tmp_path / "no plant"), pci(vendor, kind))
    assert child.said() == ""


def test_devices_that_may_not_be_read_are_told(bench, child):
    made = bench(1, lambda devices: devices[0].fail(Code.NO_PERMISSION))
    assert not made.found
    assert "no NVIDIA GPU answers" in child.said()
    assert "run the agent as root" in child.said()


# Energy counters


@pytest.mark.parametrize("count", [1, 2, 8])
def test_devices_add_up(bench, child, count):
    made = bench(count)
    assert child.name() == f"nvml({count} GPU{'s' if count > 1 else ''})"
    for index in range(count):
        made.draw(index, 100 + index)
    energies = made.step()
    assert energies == {uuid(i): ((100 + i) * J, "measured") for i in range(count)}
    assert sum(uj for uj, _ in energies.values()) == (100 * count + sum(range(count))) * J


@given(st.lists(st.lists(st.integers(1, 1_000_000), min_size=3, max_size=3), max_size=20))
def test_every_millijoule_of_three_devices_is_told_once(child, tmp_path_factory, steps):
    made = Bench(child, tmp_path_factory.mktemp("plant") / "plant", 3)
    total = 0
    for step in steps:
        for index, mj in enumerate(step):
            made.devices[index].energy_mj += mj
        energies = made.step()
        assert {quality for _, quality in energies.values()} == {"measured"}
        total += sum(uj for uj, _ in energies.values())
    assert total == sum(map(sum, steps)) * 1000


def test_a_counter_beyond_32_bits(bench):
    made = bench(1, lambda devices: setattr(devices[0], "energy_mj", 2**32 - 5))
    made.devices[0].energy_mj += 10
    assert made.step() == {uuid(0): (10_000, "measured")}


def test_a_reset_counter_begins_anew(bench):
    made = bench(2, lambda devices: setattr(devices[0], "energy_mj", 10**9))
    made.devices[0].energy_mj = 0
    made.draw(1, 50)
    assert made.step() == {uuid(0): (0, "partial"), uuid(1): (50 * J, "measured")}
    made.draw(0, 70)
    made.draw(1, 50)
    assert made.step() == {uuid(0): (70 * J, "measured"), uuid(1): (50 * J, "measured")}


def test_a_jump_beyond_the_power_limit_is_not_believed(bench):
    made = bench(1)  # 700 W
    made.draw(0, 5_000_000)
    assert made.step() == {uuid(0): (0, "partial")}
    made.draw(0, 700)
    assert made.step() == {uuid(0): (700 * J, "measured")}


def test_a_lost_device_comes_back_with_what_it_drew(bench, child):
    made = bench(2)
    made.devices[0].fail(Code.GPU_IS_LOST)
    for _ in range(20):
        made.draw(0, 300)
        made.draw(1, 200)
        assert made.step() == {uuid(0): (0, "partial"), uuid(1): (200 * J, "measured")}
    assert [gpu["device"] for gpu in child.gpus()] == [uuid(0), uuid(1)]
    assert "reset the GPU or reboot the node" in child.said()
    assert child.said().count("\n") == 1
    assert 4 <= child.errors() <= 12  # asked less and less often
    made.devices[0].fail(Code.SUCCESS)
    came_back = []
    for _ in range(20):
        made.draw(0, 300)
        made.draw(1, 200)
        came_back.append(made.step()[uuid(0)])
    recovered = [energy for energy in came_back if energy[0] > 300 * J]
    assert [quality for _, quality in recovered] == ["partial"]
    assert sum(uj for uj, _ in came_back) == 40 * 300 * J
    assert "answers again" in child.said()


def test_what_one_failed_call_missed_comes_with_the_next(bench, child):
    made = bench(1)
    made.devices[0].fail(Code.UNKNOWN, Call.ENERGY)
    made.draw(0, 100)
    assert "no NVIDIA GPU answers" in made.step()
    made.devices[0].fail(Code.SUCCESS, Call.ENERGY)
    made.draw(0, 100)
    assert made.step() == {uuid(0): (200 * J, "partial")}


def test_a_new_reader_goes_on_from_the_last_reading(bench, child):
    made = bench(2)
    made.draw(0, 5000)
    made.draw(1, 6000)
    assert child.open(str(made.plant.path))  # the agent was killed and started again
    assert made.step(60) == {uuid(0): (5000 * J, "measured"), uuid(1): (6000 * J, "measured")}


def test_a_gpu_that_hangs_answers_late_and_is_not_lost(bench):
    made = bench(2)
    made.devices[0].hang(300, Call.ENERGY)
    made.draw(0, 10)
    made.draw(1, 20)
    began = time.monotonic()
    energies = made.step()
    assert time.monotonic() - began >= 0.3
    assert energies == {uuid(0): (10 * J, "measured"), uuid(1): (20 * J, "measured")}


def test_a_timeout_of_the_driver_leaves_out_one_device(bench):
    made = bench(2)
    made.devices[1].fail(Code.TIMEOUT, Call.ENERGY)
    made.draw(0, 10)
    assert made.step() == {uuid(0): (10 * J, "measured"), uuid(1): (0, "partial")}


def test_the_only_gpu_comes_back_after_nvml_was_opened_anew(bench, child):
    made = bench(1)
    made.devices[0].fail(Code.GPU_IS_LOST)
    for _ in range(30):
        made.draw(0, 300)
        assert "reset the GPU" in made.step()
    made.devices[0].fail(Code.SUCCESS)
    answers = []
    for _ in range(150):
        made.draw(0, 300)
        answers.append(made.step())
    told = [answer[uuid(0)] for answer in answers if isinstance(answer, dict)]
    assert told[0][1] == "partial"
    assert told[-1] == (300 * J, "measured")
    assert sum(uj for uj, _ in told) == 180 * 300 * J


# Power


def no_counter(devices):
    for index in (0, 1):
        devices[index].fail(Code.NOT_SUPPORTED, Call.ENERGY)
        devices[index].power(100 * (index + 1))


def test_power_is_integrated_where_there_is_no_counter(bench, child):
    made = bench(2, no_counter)
    made.devices[0].power(300)
    assert made.step() == {uuid(0): (200 * J, "sampled"), uuid(1): (200 * J, "sampled")}
    assert made.step(0.5) == {uuid(0): (150 * J, "sampled"), uuid(1): (100 * J, "sampled")}
    assert child.errors() == 0


def test_the_mean_power_call_stands_in_for_the_instant_one(bench):
    def older(devices):
        no_counter(devices)
        for index in (0, 1):
            devices[index].fail(Code.NOT_SUPPORTED, Call.INSTANT)
            devices[index].instant_mw = 1

    assert bench(2, older).step()[uuid(1)] == (200 * J, "sampled")


def test_only_counters_bridge_days(bench, child):
    bench(2)
    assert child.longest_gap_ns() == 30 * 86_400 * S
    bench(2, no_counter)
    assert child.longest_gap_ns() == 60 * S


def test_gaps_in_sampled_power(bench):
    made = bench(1, no_counter)
    assert made.step(10) == {uuid(0): (1000 * J, "sampled")}
    assert made.step(30) == {uuid(0): (3000 * J, "partial")}
    assert made.step(90) == {uuid(0): (0, "partial")}


def test_a_frozen_counter_is_replaced_by_power_until_it_moves(bench, child):
    made = bench(1, lambda devices: devices[0].power(400))
    made.draw(0, 400)
    assert made.step() == {uuid(0): (400 * J, "measured")}
    first = [made.step()[uuid(0)] for _ in range(5)]
    assert first == [(0, "partial")] * 4 + [(400 * J, "partial")]
    assert made.step() == {uuid(0): (400 * J, "sampled")}
    assert "stands still" in child.said()
    made.draw(0, 3000)  # it catches up: what was sampled must not count again
    assert made.step() == {uuid(0): (400 * J, "partial")}
    made.draw(0, 401)
    assert made.step() == {uuid(0): (401 * J, "measured")}


# Driver and inventory


def test_a_reloaded_driver_is_opened_again(bench, child):
    made = bench(2)
    for index in (0, 1):
        made.draw(index, 500)
    assert made.step()[uuid(0)] == (500 * J, "measured")
    made.plant.reload_driver()
    assert "Uninitialized" in made.step()
    for index in (0, 1):
        made.draw(index, 100)
    assert made.step() == {uuid(0): (0, "partial"), uuid(1): (0, "partial")}
    for index in (0, 1):
        made.draw(index, 100)
    assert made.step() == {uuid(0): (100 * J, "measured"), uuid(1): (100 * J, "measured")}
    assert "answers again" in child.said()


def test_a_driver_that_stays_away_is_asked_at_most_once_a_minute(bench, child):
    made = bench(1, lambda devices: setattr(devices[0], "energy_mj", 10**6))
    made.plant.reload_driver()
    made.plant.state.init_error = Code.DRIVER_NOT_LOADED
    for _ in range(100):
        assert "no NVIDIA GPU answers" in made.step()
    assert child.errors() <= 4
    made.plant.state.init_error = Code.SUCCESS
    answers = [made.step() for _ in range(120)]
    back = next(one for one in answers if isinstance(one, dict))
    assert back == {uuid(0): (0, "partial")}  # its counter began anew


def test_a_device_appears_within_a_minute(bench, child):
    made = bench(1)
    made.plant.state.count = 2
    for _ in range(61):
        made.draw(0, 1)
        made.draw(1, 1)
        energies = made.step()
    assert energies == {uuid(0): (J, "measured"), uuid(1): (J, "measured")}
    assert [gpu["index"] for gpu in child.gpus()] == [0, 1]


def test_indices_stay_while_a_device_is_off_the_bus(bench, child):
    made = bench(3)
    for index in (0, 1):  # the first is gone; the driver numbers the others anew
        made.devices[index].uuid = uuid(index + 1).encode()
    made.plant.state.count = 2
    child.look()
    expected = {uuid(0): 0, uuid(1): 1, uuid(2): 2}
    assert {gpu["device"]: gpu["index"] for gpu in child.gpus()} == expected


def test_index_and_minor_number_are_told_apart(bench, child):
    def swapped(devices):
        devices[0].minor, devices[1].minor = 1, 0

    bench(2, swapped)
    told = {gpu["device"]: (gpu["index"], gpu["minor"]) for gpu in child.gpus()}
    assert told == {uuid(0): (0, 1), uuid(1): (1, 0)}


def test_instances_and_their_slices(bench, child):
    def divided(devices):
        # Two compute instances share the first GPU instance of three slices.
        devices[0].divide(("MIG-a", 1, 3, 1), ("MIG-b", 1, 3, 2), ("MIG-c", 2, 4, 4))
        devices[1].divide(("MIG-d", 1, 2, 2), slices=4)

    made = bench(3, divided)
    first, second, third = child.gpus()
    assert (first["slices"], first["instances"]) == (7, {"MIG-a": 1, "MIG-b": 2, "MIG-c": 4})
    assert (second["slices"], second["instances"]) == (4, {"MIG-d": 2})
    assert (third["slices"], third["instances"]) == (1, {})
    made.draw(0, 70)
    assert made.step()[uuid(0)] == (70 * J, "measured")  # the whole GPU's


def test_new_instances_are_seen_when_asked_and_within_a_minute(bench, child):
    made = bench(1)
    made.devices[0].divide(("MIG-a", 1, 3, 3))
    child.look()
    assert child.gpus()[0]["instances"] == {"MIG-a": 3}
    made.devices[0].divide(("MIG-e", 1, 7, 7))
    for _ in range(61):
        made.draw(0, 1)
        made.step()
    assert child.gpus()[0]["instances"] == {"MIG-e": 7}


def test_the_limit_in_force_is_told_at_once_and_not_the_highest(bench, child):
    made = bench(2)
    made.devices[1].enforced_mw = 399_600
    made.step()
    assert [gpu["limit_w"] for gpu in child.gpus()] == [700, 400]
    made.draw(1, 500)
    assert made.step()[uuid(1)] == (
        500 * J,
        "measured",
    )  # the highest still bounds what is believed


@pytest.mark.parametrize("code", [Code.NOT_SUPPORTED, Code.UNKNOWN])
def test_a_limit_that_is_not_told_is_unknown_and_its_energy_counts(bench, child, code):
    made = bench(2, lambda devices: devices[0].fail(code, Call.LIMIT))
    made.devices[1].enforced_mw = 0
    made.draw(0, 100)
    made.draw(1, 100)
    assert made.step() == {uuid(0): (100 * J, "measured"), uuid(1): (100 * J, "measured")}
    assert [gpu["limit_w"] for gpu in child.gpus()] == [None, None]
    assert child.errors() == 0


def test_the_limit_of_a_lost_gpu_is_unknown_until_it_is_back(bench, child):
    made = bench(2)
    made.step()
    made.devices[0].fail(Code.GPU_IS_LOST)
    made.step()
    assert [gpu["limit_w"] for gpu in child.gpus()] == [None, 700]
    made.devices[0].fail(Code.SUCCESS)
    made.step()
    made.step()
    assert [gpu["limit_w"] for gpu in child.gpus()] == [700, 700]
