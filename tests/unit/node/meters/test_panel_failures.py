"""Meters that come late, fail, hang or are gone."""

from __future__ import annotations

import threading
import time

import pytest

from carbonsched.errors import MeterError
from carbonsched.model.energy import Domain, Quality
from carbonsched.node.meters import find
from carbonsched.site import NodeClass

from .machine import CLASS, NS, STAMP_US, Cards, by_domain, qualities, rapl


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


def test_a_counter_of_processors_that_comes_late_takes_over_from_the_model(node, sys):
    node.start(CLASS)
    rapl(sys, 0)
    assert by_domain(node.step()) == {"node": 60}
    assert by_domain(node.step(61)) == {"node": 3660}
    rapl(sys, 100)
    assert by_domain(node.step()) == {"cpu": 100, "memory": 0}
    assert node.panel.sees_system


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


def test_processors_that_fail_leave_what_gpus_counted_and_come_back_with_theirs(node, sys):
    rapl(sys, 0)
    node.cards = Cards({"GPU-a": 0})
    node.start(CLASS)
    sys.uj("intel-rapl:0", "garbage")
    seen = []
    for second in (1, 2):
        node.cards.joules = {"GPU-a": 300 * second}
        seen.append(node.step())
    rapl(sys, 250)
    node.cards.joules = {"GPU-a": 900}
    seen.append(node.step())
    assert [by_domain(told) for told in seen] == [
        {"cpu": 0, "memory": 0, "gpu": 300},
        {"cpu": 0, "memory": 0, "gpu": 300},
        {"cpu": 250, "memory": 0, "gpu": 300},
    ]
    assert {qualities(told)["package-0"] for told in seen} == {Quality.PARTIAL}
    assert {qualities(told)["GPU-a"] for told in seen} == {Quality.MEASURED}


def test_where_only_gpus_are_known_the_rest_of_the_node_is_told_as_unknown(node, sys, log):
    """A board that hangs for long: nothing may look whole, and no sample is lost."""
    sys.power_meter(500)
    node.cards = Cards({"GPU-a": 0})
    node.start()
    sys.power_meter(power1_average="N/A")
    for second in range(1, 702):
        node.cards.joules = {"GPU-a": 300 * second}
        told = node.step()
        assert by_domain(told) == {"gpu": 300, "node": 0}
        (unknown,) = [one for one in told if one.domain is Domain.NODE]
        assert unknown.quality is Quality.PARTIAL
    assert "the hwmon meter has not answered for long: it is given up" in log.getvalue()
    assert [one.device for one in told] == ["GPU-a", "unseen"]
    sys.power_meter(500)
    deadline = time.monotonic() + 10
    while "hwmon" not in node.panel.name:
        assert time.monotonic() < deadline, "it was not found again"
        node.step(30)
    node.step()
    node.cards.joules = {"GPU-a": node.cards.joules["GPU-a"] + 300}
    assert by_domain(node.step()) == {"gpu": 300, "node": 200}


def test_processors_whose_first_reading_comes_late_are_unknown_until_then(node, sys):
    rapl(sys, 0)
    node.cards = Cards({"GPU-a": 0})
    node.start()
    sys.uj("intel-rapl:0", "garbage")
    node.last = node.panel.read(node.at_ns)
    told = node.step()
    assert qualities(told) == {"GPU-a": Quality.MEASURED, "rapl": Quality.PARTIAL}
    assert by_domain(told) == {"gpu": 0, "cpu": 0}


def test_a_gap_too_long_for_one_meter_keeps_what_the_others_counted(node, sys):
    rapl(sys, 0)
    node.cards = Cards({"GPU-a": 0})
    node.start()
    assert node.panel.longest_gap_ns == 3600 * NS
    rapl(sys, 100)
    node.cards.joules = {"GPU-a": 400 * 300}
    told = node.step(400)
    assert by_domain(told) == {"cpu": 0, "memory": 0, "gpu": 120_000}
    assert qualities(told)["package-0"] is Quality.PARTIAL
    rapl(sys, 150)
    assert by_domain(node.step())["cpu"] == 50, "from its last reading on"


def test_a_model_tells_nothing_beyond_its_own_gap(node, sys):
    node.cards = Cards({"GPU-a": 0}, longest_gap_ns=86_400 * NS)
    node.start(CLASS)
    assert node.panel.longest_gap_ns == 86_400 * NS
    node.cards.joules = {"GPU-a": 1000}
    assert by_domain(node.step(3600)) == {"node": 3600 * 60, "gpu": 1000}
    node.cards.joules = {"GPU-a": 2000}
    told = node.step(3601)
    assert by_domain(told) == {"gpu": 1000, "node": 0}
    assert Quality.MODELLED not in qualities(told).values()


def test_modelled_gpus_tell_nothing_beyond_their_own_gap(node, sys):
    sys.cray(cpu_energy=0)
    node.start(
        NodeClass(nodes="n1", cpus=8, idle_w=1, max_w=2, gpus=1, gpu_idle_w=20, gpu_max_w=60)
    )
    sys.cray(cpu_energy=9000, stamp_us=STAMP_US + 10**6)
    assert by_domain(node.step(3600)) == {"cpu": 9000, "gpu": 3600 * 40}
    sys.cray(cpu_energy=18_000, stamp_us=STAMP_US + 2 * 10**6)
    told = node.step(3601)
    assert by_domain(told) == {"cpu": 9000, "gpu": 0}
    assert qualities(told)["gpu0"] is Quality.PARTIAL


def test_drivers_and_boards_are_asked_together_so_that_none_waits_for_another(node, sys):
    rapl(sys, 0)
    sys.power_meter(200)
    node.cards = Cards({"GPU-a": 0})
    node.start()
    board = node.panel._sources.hwmon.meter._meter
    asked, read_gpus, read_board = threading.Event(), node.cards.read, board.read

    def read_board_and_say_so(steady_ns):
        asked.set()
        return read_board(steady_ns)

    def read_gpus_after_the_board(steady_ns):
        assert asked.wait(10)
        return read_gpus(steady_ns)

    node.cards.read, board.read = read_gpus_after_the_board, read_board_and_say_so
    told = node.step()
    assert qualities(told)["GPU-a"] is Quality.MEASURED
    assert "nvml" not in node.panel.errors
