from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.errors import ConfigError, MeterError
from carbonsched.model.energy import Quality
from carbonsched.node.meters import ModelMeter, choose_meter, node_class_of
from carbonsched.node.rapl import RaplMeter, _Zone
from carbonsched.site import NodeClass

NS = 1_000_000_000
CLASS = NodeClass(nodes="n[1-4]", cpus=8, idle_w=60, max_w=240)


def test_packages_and_memory_count_and_parts_of_packages_do_not(tree):
    tree.zone("intel-rapl:0", "package-0", 100)
    tree.zone("intel-rapl:0:0", "core", 70)
    tree.zone("intel-rapl:0:1", "uncore", 5)
    tree.zone("intel-rapl:0:2", "dram", 20)
    tree.zone("intel-rapl:1", "package-1", 300)
    tree.zone("intel-rapl:1:0", "dram", 30)
    tree.zone("intel-rapl:2", "psys", 9_000)
    tree.zone("intel-rapl-mmio:0", "package-0", 101)
    tree.zone("dtpm", "package-7", 1)
    meter = RaplMeter.find(tree.sysfs, None)
    assert meter is not None
    assert meter.quality is Quality.MEASURED
    assert meter.name == "rapl(package-0, package-0 dram, package-1, package-1 dram)"
    before = meter.read()
    assert sorted(before.values()) == [20, 30, 100, 300]
    after = {label: uj + 10 for label, uj in before.items()}
    assert meter.total_uj(before, after, NS, 0) == 40
    assert meter.static_uj(NS) is None


@given(st.integers(1, 10**12), st.data())
def test_a_counter_that_went_round_is_unwrapped(range_uj, data):
    before = data.draw(st.integers(0, range_uj))
    used = data.draw(st.integers(0, range_uj - 1))
    after = before + used if before + used <= range_uj else before + used - range_uj
    zone = _Zone("package-0", "nowhere", range_uj)
    meter = RaplMeter((zone,), None)
    assert meter.total_uj({"package-0": before}, {"package-0": after}, NS, 0) == used


def test_a_counter_beyond_its_range_is_an_error(tree):
    tree.zone("intel-rapl:0", "package-0", 500, range_uj=100)
    meter = RaplMeter.find(tree.sysfs, None)
    with pytest.raises(MeterError, match="beyond its range"):
        meter.total_uj({"package-0": 500}, {"package-0": 3}, NS, 0)


@pytest.mark.parametrize("content", ["", "many", "-5"])
def test_a_counter_that_is_no_number_is_an_error(tree, content):
    tree.zone("intel-rapl:0", "package-0", content)
    with pytest.raises(MeterError, match="energy_uj"):
        RaplMeter.find(tree.sysfs, None)


def test_a_gap_must_be_too_short_for_a_second_wrap(tree):
    tree.zone("intel-rapl:0", "package-0", 0, range_uj=262_000_000_000)
    assert RaplMeter.find(tree.sysfs, None).longest_gap_ns == 524 * NS
    assert RaplMeter.find(tree.sysfs, 1000).longest_gap_ns == 262 * NS


def test_refused_counters_name_the_remedy(tree):
    tree.zone("intel-rapl:0", "package-0", 5)
    path = tree.sysfs / "class/powercap/intel-rapl:0/energy_uj"
    path.chmod(0)
    outside = Path(tempfile.gettempdir())
    for folder in (tree.root, *tree.root.parents):
        if folder == outside or outside not in folder.parents:
            break  # the shared temporary folder itself must keep its mode
        folder.chmod(0o755)
    code = (
        "import codecs, os, sys; from pathlib import Path\n"
        "from carbonsched.node.rapl import RaplMeter\n"
        "from carbonsched.errors import MeterError; codecs.lookup('ascii')\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: RaplMeter.find(Path(sys.argv[1]), None)\n"
        "except MeterError as error: sys.exit(str(error))\n"
    )
    arguments = [sys.executable, "-c", code, str(tree.sysfs)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=20, check=False)
    assert "permission denied; run the agent as root" in done.stderr.splitlines()[0]


def test_the_model_is_exact_and_capped():
    meter = ModelMeter(CLASS)
    assert meter.name == "model(idle 60 W, max 240 W, 8 CPUs)"
    assert meter.quality is Quality.MODELLED
    assert meter.static_uj(NS) == 60_000_000
    assert meter.total_uj({}, {}, NS, 0) == 60_000_000
    assert meter.total_uj({}, {}, NS, 4 * NS) == 150_000_000
    assert meter.total_uj({}, {}, NS, 8 * NS) == 240_000_000
    assert meter.total_uj({}, {}, NS, 99 * NS) == 240_000_000


def test_rapl_is_preferred_and_nothing_is_ever_assumed(tree):
    assert isinstance(choose_meter("n1", CLASS, tree.sysfs), ModelMeter)
    with pytest.raises(MeterError, match=r"n9 has no power meter .* declare cpus, idle and max"):
        choose_meter("n9", None, tree.sysfs)
    tree.zone("intel-rapl:0", "package-0", 5)
    assert isinstance(choose_meter("n1", CLASS, tree.sysfs), RaplMeter)


def test_a_nodes_class_is_the_first_that_names_it():
    other = NodeClass(nodes="m1", cpus=1, idle_w=1, max_w=2)
    assert node_class_of("n3", (other, CLASS)) is CLASS
    assert node_class_of("n5", (other, CLASS)) is None
    with pytest.raises(ConfigError, match="node class 'n\\[': "):
        node_class_of("n5", (NodeClass(nodes="n[", cpus=1, idle_w=1, max_w=2),))


@pytest.mark.parametrize(("cpus", "idle", "most"), [(0, 1, 2), (1, 3, 2), (1, -1, 2)])
def test_a_power_class_that_makes_no_sense_is_refused(cpus, idle, most):
    with pytest.raises(ConfigError, match="does not make sense"):
        ModelMeter(NodeClass(nodes="n1", cpus=cpus, idle_w=idle, max_w=most))
