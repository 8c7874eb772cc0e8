"""The node's meters as one: real files, and GPUs that a test turns by hand."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from dataclasses import dataclass, field

import pytest

from carbonsched.errors import ConfigError, MeterError
from carbonsched.model.energy import Domain, Quality
from carbonsched.node.meters import find
from carbonsched.node.meters.counters import Device, counted
from carbonsched.node.meters.meter import Gpu
from carbonsched.site import AgentSite, NodeClass

NS = 1_000_000_000
J = 1_000_000
CLASS = NodeClass(nodes="n1", cpus=8, idle_w=60, max_w=240)
STAMP_US = 1_751_467_200_123_456


@dataclass
class Cards:
    """GPUs with counters, as a meter shows them."""

    joules: dict = field(default_factory=dict)
    key: str = "nvml"
    longest_gap_ns: int = 3600 * NS
    fault: str = ""
    there: bool = True

    @property
    def name(self):
        return f"nvml({len(self.joules)} GPUs)"

    def gpus(self):
        return tuple(Gpu(device=uuid, index=index) for index, uuid in enumerate(self.joules))

    def read(self, steady_ns):
        if self.fault:
            raise MeterError(self.fault)
        told = {}
        for uuid, joules in self.joules.items():
            if joules is not None:
                told |= {f"{uuid}.uj": joules * J, f"{uuid}.at_ns": steady_ns}
        return told

    def between(self, before, after, length_ns, _busy_ns):
        devices = [Device(domain=Domain.GPU, name=uuid, limit_w=1000) for uuid in self.joules]
        told = (counted(device, before, after, length_ns).energy for device in devices)
        return tuple(one for one in told if one is not None)


class Node:
    """A machine whose meters advance, and a panel on it."""

    def __init__(self, sys, journal, monkeypatch):
        self.sys, self.journal = sys, journal
        self.cards = Cards(there=False)
        self.at_ns = 0
        self.panel = None
        self.last = None
        monkeypatch.setattr(
            find.NvmlMeter, "find", lambda *_where: self.cards if self.cards.there else None
        )

    def start(self, node_class=None, **agent):
        self.panel = find.find_panel(
            "n1", node_class, AgentSite(**agent), self.sys.root, self.journal
        )
        self.last = self.panel.read(self.at_ns)
        return self

    def step(self, seconds=1, busy_ns=0):
        """What was drawn since the last sample, as the agent asks for it."""
        self.at_ns += seconds * NS
        after = self.panel.read(self.at_ns)
        told = self.panel.between(self.last, after, seconds * NS, busy_ns)
        self.last = json.loads(json.dumps(self.panel.merge(self.last, after)))
        return told

    def until(self, key):
        """Let time pass until a meter that came late has been found and read."""
        deadline = time.monotonic() + 10
        while key not in self.last:
            assert time.monotonic() < deadline, f"{key} was not found"
            self.step(30)


@pytest.fixture
def node(sys, journal, monkeypatch):
    node = Node(sys, journal, monkeypatch)
    yield node
    if node.panel is not None:
        node.panel.close()


def by_domain(told):
    sums = {}
    for one in told:
        sums[one.domain] = sums.get(one.domain, 0) + one.energy_uj
    return {domain.value: uj // J for domain, uj in sums.items()}


def qualities(told):
    return {one.device: one.quality for one in told}


def rapl(sys, cpu_j, memory_j=0, packages=1):
    for number in range(packages):
        sys.zone(f"intel-rapl:{number}", f"package-{number}", cpu_j * J)
        sys.zone(f"intel-rapl:{number}:0", "dram", memory_j * J, 65_712_999_613)


@pytest.mark.parametrize("devices", [1, 2, 8])
def test_everything_adds_up_to_the_wall(node, sys, devices):
    """Devices of a kind are summed, and what is left of the wall is the rest."""
    rapl(sys, 0, packages=devices)
    sys.power_meter(250 * devices)
    node.cards = Cards({f"GPU-{index}": 0 for index in range(devices)})
    node.start()
    assert node.panel.name.endswith(f"nvml({devices} GPUs) + wall(hwmon power1)")
    assert node.panel.sees_system
    assert [gpu.index for gpu in node.panel.gpus()] == list(range(devices))
    for second in range(1, 4):
        rapl(sys, 80 * second, 10 * second, packages=devices)
        node.cards.joules = dict.fromkeys(node.cards.joules, 100 * second)
        told = node.step()
        assert by_domain(told) == {
            "cpu": 80 * devices,
            "memory": 10 * devices,
            "gpu": 100 * devices,
            "rest": 60 * devices,
        }
        assert sum(one.energy_uj for one in told) == 250 * devices * J
        assert len({(one.domain, one.device) for one in told}) == len(told) == 3 * devices + 1


def test_without_a_wall_there_is_no_rest(node, sys):
    rapl(sys, 0)
    node.start(CLASS)
    assert node.panel.name == "rapl(package-0, package-0 dram)"
    rapl(sys, 100, 10)
    assert by_domain(node.step()) == {"cpu": 100, "memory": 10}
    assert node.panel.longest_gap_ns == 262_143_328_850 * 1000 // 750


def test_a_wall_alone_is_the_node_less_its_gpus(node, sys):
    sys.power_meter(500)
    node.cards = Cards({"GPU-a": 0})
    node.start(CLASS)
    assert node.panel.name == "nvml(1 GPUs) + wall(hwmon power1)"
    node.cards.joules = {"GPU-a": 300}
    assert by_domain(node.step()) == {"gpu": 300, "node": 200}


def test_the_model_stands_in_only_where_there_is_nothing_else(node, sys):
    node.cards = Cards({"GPU-a": 0})
    node.start(CLASS)
    assert node.panel.name == "model(idle 60 W, max 240 W, 8 CPUs, ±25 %) + nvml(1 GPUs)"
    assert not node.panel.sees_system
    node.cards.joules = {"GPU-a": 300}
    told = node.step(busy_ns=8 * NS)
    assert by_domain(told) == {"gpu": 300, "node": 240}
    assert Quality.MODELLED in qualities(told).values()


def test_nothing_is_ever_assumed(node):
    with pytest.raises(MeterError, match=r"n1 has no power meter .* declare cpus, idle and max"):
        node.start()


@pytest.mark.parametrize(("cpus", "idle", "most"), [(0, 1, 2), (1, 3, 2), (1, -1, 2)])
def test_a_power_class_that_makes_no_sense_is_refused(node, cpus, idle, most):
    with pytest.raises(ConfigError, match="does not make sense"):
        node.start(NodeClass(nodes="n1", cpus=cpus, idle_w=idle, max_w=most))


@pytest.mark.parametrize("wall", [False, True])
def test_declared_gpus_without_a_meter_are_modelled_unless_a_wall_holds_them(node, sys, wall):
    rapl(sys, 0)
    if wall:
        sys.power_meter(200)
    declared = NodeClass(
        nodes="n1", cpus=8, idle_w=60, max_w=240, gpus=2, gpu_idle_w=20, gpu_max_w=100
    )
    node.start(declared)
    assert [gpu.device for gpu in node.panel.gpus()] == ["gpu0", "gpu1"]
    rapl(sys, 50)
    other = {"rest": 150} if wall else {"gpu": 120}
    assert by_domain(node.step()) == {"cpu": 50, "memory": 0} | other
    assert ("gpu-model" in node.panel.name) is not wall


def test_the_order_of_walls_is_cray_acpi_psys(node, sys):
    rapl(sys, 0)
    sys.zone("intel-rapl:7", "psys", 0)
    node.start()
    rapl(sys, 50)
    sys.uj("intel-rapl:7", 90 * J)
    (rest,) = [one for one in node.step() if one.domain is Domain.REST]
    assert (rest.device, rest.energy_uj) == ("psys", 40 * J)
    sys.power_meter(150)
    node.until("hwmon")
    rapl(sys, 100)
    sys.uj("intel-rapl:7", 180 * J)
    (rest,) = [one for one in node.step() if one.domain is Domain.REST]
    assert (rest.device, rest.energy_uj) == ("hwmon power1", 100 * J)
    sys.cray(energy=1000)
    node.until("cray")
    sys.cray(energy=1100, stamp_us=STAMP_US + 10**6)
    node.step()
    rapl(sys, 150)
    sys.cray(energy=1270, stamp_us=STAMP_US + 2 * 10**6)
    (rest,) = [one for one in node.step() if one.domain is Domain.REST]
    assert (rest.device, rest.energy_uj) == ("cray node", 120 * J)


def test_a_psys_below_its_packages_is_ignored_and_said_once(node, sys, log):
    rapl(sys, 0)
    sys.zone("intel-rapl:7", "psys", 0)
    node.start()
    for second in range(1, 200):
        rapl(sys, 100 * second)
        sys.uj("intel-rapl:7", 10 * J * second)
        told = node.step()
        assert by_domain(told)["cpu"] == 100
        assert by_domain(told).get("rest", 0) == 0
    assert Domain.REST not in {one.domain for one in told}
    assert log.getvalue().count("psys says 10 W for the whole node") == 1


def test_jitter_between_sources_is_carried_and_never_negative(node, sys):
    rapl(sys, 0)
    sys.power_meter(200)
    node.start()
    total = 0
    for joules in itertools.accumulate([150, 260, 40, 190, 150, 150]):
        rapl(sys, joules)
        told = node.step()
        assert min(one.energy_uj for one in told) >= 0
        total += sum(one.energy_uj for one in told)
    assert total == 6 * 200 * J


@pytest.mark.parametrize("declared", [0, 3, 4, 8])
def test_crays_accelerators_are_slurms_gpus_if_their_numbers_go_together(node, sys, declared):
    counters = {f"accel{index}_energy": 0 for index in range(4)}
    sys.cray(energy=0, cpu_energy=0, memory_energy=0, **counters)
    node_class = NodeClass(
        nodes="n1", cpus=8, idle_w=60, max_w=240, gpus=declared, gpu_idle_w=0, gpu_max_w=0.1
    )
    node.start(node_class)
    sys.cray(
        stamp_us=STAMP_US + 10**6, energy=700, cpu_energy=100, memory_energy=50,
        **dict.fromkeys(counters, 100),
    )  # fmt: skip
    told = by_domain(node.step())
    gpus = [(gpu.device, gpu.index) for gpu in node.panel.gpus()]
    if declared == 3:
        assert told == {"cpu": 100, "memory": 50, "rest": 550}
        assert gpus == [("gpu0", 0), ("gpu1", 1), ("gpu2", 2)]
    else:
        assert told == {"cpu": 100, "memory": 50, "gpu": 400, "rest": 150}
        on_each = 2 if declared == 8 else 1
        assert gpus == [(f"accel{n // on_each}", n) for n in range(4 * on_each)]


@pytest.mark.parametrize("with_memory", [False, True])
def test_processors_and_memory_come_from_rapl_before_cray(node, sys, with_memory):
    sys.zone("intel-rapl:0", "package-0", 0)
    if with_memory:
        sys.zone("intel-rapl:0:0", "dram", 0)
    sys.cray(energy=0, cpu_energy=0, memory_energy=0)
    node.start()
    sys.uj("intel-rapl:0", 90 * J)
    if with_memory:
        sys.uj("intel-rapl:0:0", 20 * J)
    sys.cray(stamp_us=STAMP_US + 10**6, energy=400, cpu_energy=100, memory_energy=50)
    told = by_domain(node.step())
    memory = 20 if with_memory else 50
    assert told == {"cpu": 90, "memory": memory, "rest": 310 - memory}


def test_a_gpu_driver_that_is_loaded_later_is_found(node, sys):
    rapl(sys, 0)
    node.start(CLASS)
    node.step()
    node.cards = Cards({"GPU-a": 0})
    assert node.panel.gpus() == ()
    node.until("nvml")
    assert [gpu.device for gpu in node.panel.gpus()] == ["GPU-a"]
    node.cards.joules = {"GPU-a": 300}
    assert by_domain(node.step())["gpu"] == 300


def test_a_gpu_meter_that_fails_is_partial_and_comes_back_with_what_it_counted(node, sys, log):
    rapl(sys, 0)
    node.cards = Cards({"GPU-a": 0, "GPU-b": 0})
    node.start()
    node.cards.fault = "the driver does not answer"
    rapl(sys, 100)
    told = node.step()
    assert by_domain(told) == {"cpu": 100, "memory": 0, "gpu": 0}
    assert qualities(told)["GPU-a"] is Quality.PARTIAL
    assert qualities(told)["package-0"] is Quality.MEASURED
    assert node.panel.errors["nvml"] == 1
    node.cards.fault = ""
    node.cards.joules = {"GPU-a": 500, "GPU-b": 100}
    told = node.step()
    assert by_domain(told)["gpu"] == 600
    assert qualities(told)["GPU-a"] is Quality.PARTIAL
    node.cards.joules = {"GPU-a": 600, "GPU-b": 200}
    told = node.step()
    assert qualities(told)["GPU-a"] is Quality.MEASURED
    assert "the nvml meter can be read again" in log.getvalue()


def test_the_primary_meter_must_answer_and_covers_the_time_later(node, sys):
    rapl(sys, 0)
    node.start(CLASS)
    sys.uj("intel-rapl:0", "garbage")
    node.at_ns += NS
    with pytest.raises(MeterError, match="intel-rapl:0/energy_uj"):
        node.panel.read(node.at_ns)
    rapl(sys, 200)
    node.at_ns += NS
    told = node.panel.between(node.last, node.panel.read(node.at_ns), 2 * NS, 0)
    assert by_domain(told) == {"cpu": 200, "memory": 0}
    assert set(qualities(told).values()) == {Quality.MEASURED}


def test_processors_that_are_gone_for_long_are_given_up(node, sys):
    rapl(sys, 0)
    node.start(CLASS)
    sys.remove("class/powercap")
    for second in (1, 61, 600):
        with pytest.raises(MeterError, match="intel-rapl:0"):
            node.panel.read(second * NS)
    node.at_ns = 601 * NS
    assert by_domain(node.step(busy_ns=0)) == {"node": 60}


def test_a_wall_that_fails_leaves_the_rest_unknown_and_counts_nothing_twice(node, sys):
    rapl(sys, 0)
    sys.power_meter(200)
    node.start()
    seen = []
    for second, watts in enumerate((200, "N/A", "N/A", 200, 200), start=1):
        rapl(sys, 100 * second)
        sys.power_meter(power1_average=watts if watts == "N/A" else watts * J)
        seen.append(node.step())
    assert [by_domain(told).get("rest") for told in seen] == [100, 0, 0, 0, 100]
    partial = [qualities(told)["hwmon power1"] is Quality.PARTIAL for told in seen]
    assert partial == [False, True, True, True, False]


def test_a_model_stands_in_for_a_wall_that_fails_without_counting_twice(node, sys):
    sys.power_meter(200)
    node.start(CLASS)
    seen = []
    for watts in (200, "N/A", "N/A", 200, 200):
        sys.power_meter(power1_average=watts if watts == "N/A" else watts * J)
        seen.append(by_domain(node.step()))
    assert seen == [{"node": 200}, {"node": 60}, {"node": 60}, {"node": 60}, {"node": 200}]


def test_a_wall_that_fails_and_has_no_model_skips_the_sample(node, sys):
    sys.power_meter(200)
    node.start()
    sys.power_meter(power1_average="N/A")
    node.at_ns += NS
    with pytest.raises(MeterError, match="power1_average"):
        node.panel.read(node.at_ns)
    sys.power_meter(200)
    node.at_ns += NS
    told = node.panel.between(node.last, node.panel.read(node.at_ns), 2 * NS, 0)
    assert by_domain(told) == {"node": 400}


def test_a_wall_alone_over_a_gap_is_still_less_its_gpus(node, sys):
    sys.power_meter(500)
    node.cards = Cards({"GPU-a": 0})
    node.start()
    node.cards.joules = {"GPU-a": 9000}
    told = node.step(30)
    assert by_domain(told) == {"gpu": 9000, "node": 6000}
    assert qualities(told)["hwmon power1"] is Quality.PARTIAL
    node.cards.joules = {"GPU-a": 9000 + 18_000}
    assert by_domain(node.step(61)) == {"gpu": 18_000, "node": 0}
    node.cards.joules = {"GPU-a": 27_300}
    assert by_domain(node.step()) == {"gpu": 300, "node": 200}


def test_a_counter_of_processors_that_comes_late_takes_over_from_the_model(node, sys):
    node.start(CLASS)
    rapl(sys, 0)
    assert by_domain(node.step()) == {"node": 60}
    assert by_domain(node.step(61)) == {"node": 3660}
    rapl(sys, 100)
    assert by_domain(node.step()) == {"cpu": 100, "memory": 0}
    assert node.panel.sees_system


def test_a_successor_goes_on_with_the_debt(node, sys, journal):
    rapl(sys, 0)
    sys.power_meter(100)
    node.start()
    rapl(sys, 150)
    node.step()
    state = json.loads(json.dumps(node.panel.to_state()))
    assert state["walls"]["debts"] == {"hwmon": 50 * J}
    node.panel.close()
    node.start()
    node.panel.load({})
    node.panel.load(state)
    rapl(sys, 180)
    assert by_domain(node.step()) == {"cpu": 30, "memory": 0, "rest": 20}


def test_readings_of_unknown_meters_are_kept_and_do_no_harm(node, sys):
    rapl(sys, 0)
    node.start()
    node.last["gone"] = {"x.uj": 5}
    rapl(sys, 100)
    assert by_domain(node.step()) == {"cpu": 100, "memory": 0}
    assert node.last["gone"] == {"x.uj": 5}
    assert node.panel.between({}, {}, NS, 0) == ()


def test_ipmi_is_not_asked_where_the_board_tells_its_power(node, sys, log):
    rapl(sys, 0)
    sys.power_meter(100)
    node.start(ipmi_s=10.0)
    assert "agent.ipmi_s is not needed here" in log.getvalue()
    assert "ipmi" not in node.panel.errors


def test_a_gpu_driver_that_hangs_costs_a_second_once_and_its_devices_are_partial(node, sys):
    rapl(sys, 0)
    node.cards = Cards({"GPU-a": 0})
    node.start()
    release, read = threading.Event(), node.cards.read

    def hang(steady_ns):
        assert release.wait(10)
        return read(steady_ns)

    node.cards.read = hang
    begin = time.monotonic()
    told = node.step()
    assert qualities(told)["GPU-a"] is Quality.PARTIAL
    assert qualities(told)["package-0"] is Quality.MEASURED
    for _ in range(20):
        node.step()
    assert time.monotonic() - begin < 2
    assert node.panel.errors["nvml"] == 21
    release.set()
    node.cards.joules = {"GPU-a": 900}
    deadline = time.monotonic() + 5
    while qualities(told := node.step())["GPU-a"] is Quality.PARTIAL:
        if by_domain(told)["gpu"]:
            break  # what it counted meanwhile
        assert time.monotonic() < deadline
    assert by_domain(told)["gpu"] == 900


def test_counters_of_cray_that_cannot_be_read_matter_only_where_there_is_nothing_else(
    node, sys, log
):
    sys.write("cray/pm_counters/energy", "ERROR")
    with pytest.raises(MeterError, match="'ERROR' is not an energy in joules"):
        node.start()
    rapl(sys, 0)
    node.start()
    assert node.panel.name == "rapl(package-0, package-0 dram)"
    assert "is not an energy in joules; not used" in log.getvalue()


def test_a_search_that_fails_later_is_counted_and_the_node_goes_on(node, sys):
    rapl(sys, 0)
    node.start()
    sys.write("cray/pm_counters/energy", "ERROR")
    node.step(61)
    node.step(61)
    assert node.panel.errors == {"cray": 2}  # once a minute


def test_gpus_that_refuse_at_the_start_and_later_are_counted(node, sys, monkeypatch, log):
    rapl(sys, 0)

    def refuse(*_where):
        raise MeterError("NVML cannot be read: no permission")

    monkeypatch.setattr(find.NvmlMeter, "find", refuse)
    node.start()
    assert node.panel.errors == {"nvml": 1}
    assert "no permission; not used" in log.getvalue()
    deadline = time.monotonic() + 10
    while node.panel.errors == {"nvml": 1}:
        assert time.monotonic() < deadline
        node.step(30)
    assert by_domain(node.step())["cpu"] == 0


def test_gpus_that_refuse_do_not_hide_that_a_node_has_no_meter(node, monkeypatch):
    def refuse(*_where):
        raise MeterError("NVML cannot be read: no permission")

    monkeypatch.setattr(find.NvmlMeter, "find", refuse)
    with pytest.raises(MeterError, match="no power meter"):
        node.start()


def test_ipmi_alone_is_the_node(node, sys, tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ipmitool").write_text("#!/bin/sh\necho 'Instantaneous power reading: 212 Watts'\n")
    (folder / "ipmitool").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    node.panel = find.find_panel("n1", None, AgentSite(ipmi_s=10.0), sys.root, node.journal)
    assert node.panel.name == "wall(ipmi dcmi)"
    deadline = time.monotonic() + 10
    while node.last is None:
        node.at_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        with contextlib.suppress(MeterError):  # it has not answered yet
            node.last = node.panel.read(node.at_ns)
        assert time.monotonic() < deadline
    assert by_domain(node.step()) == {"node": 212}
    assert node.panel.errors["ipmi"] == 0


def test_devices_are_looked_for_on_request_and_their_own_errors_count(node, sys):
    rapl(sys, 0)
    node.cards = Cards({"GPU-a": 0})
    node.cards.errors = 4
    looks = []
    node.cards.look = lambda: looks.append(1)
    node.start()
    node.panel.look()
    assert looks == [1]
    assert node.panel.errors == {"nvml": 4}


def test_a_node_whose_last_meter_is_given_up_says_so(node, sys):
    rapl(sys, 0)
    node.start()
    sys.remove("class/powercap")
    for second in (1, 601):
        with pytest.raises(MeterError):
            node.panel.read(second * NS)
    with pytest.raises(MeterError, match="no meter any more and no power class is declared"):
        node.panel.read(602 * NS)
    assert node.panel.longest_gap_ns == 0
