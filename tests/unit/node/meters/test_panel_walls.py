"""The whole node, and what it drew beyond its parts."""

from __future__ import annotations

import contextlib
import itertools
import json
import time

import pytest

from carbonsched.errors import MeterError
from carbonsched.model.energy import Domain, Quality
from carbonsched.node.meters import find
from carbonsched.site import AgentSite

from .machine import CLASS, NS, STAMP_US, Cards, J, by_domain, qualities, rapl


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


def test_ipmi_is_not_asked_where_the_board_tells_its_power(node, sys, log):
    rapl(sys, 0)
    sys.power_meter(100)
    node.start(ipmi_s=10.0)
    assert "agent.ipmi_s is not needed here" in log.getvalue()
    assert "ipmi" not in node.panel.errors


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


def test_a_node_counter_that_stands_still_counts_no_gpu_twice_when_it_moves_on(node, sys):
    """Cray's other counters are read meanwhile."""
    sys.cray(energy=0, memory_energy=0)
    node.cards = Cards({"GPU-a": 0})
    node.start()
    seen = []
    for second in range(1, 8):
        node.cards.joules = {"GPU-a": 300 * second}
        energy = None if second in (3, 4) else 500 * second
        sys.cray(memory_energy=0, stamp_us=STAMP_US + second * 10**6)
        sys.write(
            "cray/pm_counters/energy",
            "ERROR" if energy is None else f"{energy} J {STAMP_US + second * 10**6} us",
        )
        seen.append(by_domain(node.step()))
    assert [told["gpu"] for told in seen] == [300] * 7
    assert [told["node"] for told in seen] == [200, 200, 0, 0, 600, 200, 200]
