"""Which meters of a node tell what, and that it adds up."""

from __future__ import annotations

import time

import pytest

from carbonsched.errors import ConfigError, MeterError
from carbonsched.model.energy import Quality
from carbonsched.site import NodeClass

from .machine import CLASS, NS, STAMP_US, Cards, J, by_domain, qualities, rapl


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


def test_readings_of_unknown_meters_are_kept_and_do_no_harm(node, sys):
    rapl(sys, 0)
    node.start()
    node.last["gone"] = {"x.uj": 5}
    rapl(sys, 100)
    assert by_domain(node.step()) == {"cpu": 100, "memory": 0}
    assert node.last["gone"] == {"x.uj": 5}
    assert node.panel.between({}, {}, NS, 0) == ()


def test_on_grace_hopper_the_modules_are_the_node_less_its_gpus(node, sys):
    sys.grace(4, Module=620, Grace=160, CPU=120, SysIO=30)
    node.cards = Cards({f"GPU-{index}": 0 for index in range(4)})
    node.start()
    assert node.panel.name == "nvml(4 GPUs) + wall(hwmon module power of 4 sockets)"
    node.cards.joules = dict.fromkeys(node.cards.joules, 400)
    told = node.step()
    assert by_domain(told) == {"gpu": 1600, "node": 4 * 620 - 1600}


def test_on_grace_the_sockets_are_processors_and_the_board_may_still_tell_the_node(
    node, sys, tmp_path, monkeypatch
):
    (tmp_path / "ipmitool").write_text("#!/bin/sh\necho 'Instantaneous power reading: 500 Watts'\n")
    (tmp_path / "ipmitool").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    sys.grace(2, Grace=160, CPU=120)
    node.at_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    node.start(CLASS, ipmi_s=10.0)
    assert node.panel.name == "hwmon grace power of 2 sockets + wall(ipmi dcmi)"
    assert node.panel.sees_system
    node.until("ipmi", seconds=0)
    assert by_domain(node.step()) == {"cpu": 320, "rest": 180}
