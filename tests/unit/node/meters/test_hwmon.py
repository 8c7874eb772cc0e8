from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.errors import MeterError
from carbonsched.model.energy import Domain, Quality
from carbonsched.node.meters.counters import Device, sampled
from carbonsched.node.meters.hwmon import HwmonMeter

NS = 1_000_000_000
J = 1_000_000


def only(meter, before, after, length_ns=NS):
    (one,) = meter.between(before, after, length_ns, 0)
    return one


@pytest.mark.parametrize("old", [False, True])
def test_power_of_the_board_by_either_of_the_drivers_layouts(sys, journal, old):
    sys.write("class/hwmon/hwmon0/name", "coretemp")
    sys.power_meter(200, old=old)
    meter = HwmonMeter.find(sys.root, journal)
    assert meter.name == "hwmon power1"
    before = meter.read(0)
    sys.power_meter(300, old=old)
    one = only(meter, before, meter.read(NS))
    assert (one.domain, one.device) == (Domain.NODE, "hwmon power1")
    assert (one.energy_uj, one.quality) == (250 * J, Quality.SAMPLED)


def test_power_now_serves_where_there_is_no_average(sys, journal):
    sys.power_meter(power1_input=150_000_000)
    meter = HwmonMeter.find(sys.root, journal)
    assert only(meter, meter.read(0), meter.read(2 * NS), 2 * NS).energy_uj == 300 * J


def test_a_counter_is_preferred_and_measured(sys, journal):
    sys.power_meter(200, energy1_input=1000 * J)
    meter = HwmonMeter.find(sys.root, journal)
    assert meter.name == "hwmon energy1"
    before = meter.read(0)
    sys.power_meter(200, energy1_input=1210 * J)
    one = only(meter, before, meter.read(NS))
    assert (one.energy_uj, one.quality) == (210 * J, Quality.MEASURED)
    sys.power_meter(200, energy1_input=3 * J)
    assert only(meter, before, meter.read(NS)).quality is Quality.PARTIAL


def test_the_longer_power_was_not_seen_the_less_it_says(sys, journal):
    sys.power_meter(200)
    meter = HwmonMeter.find(sys.root, journal)
    before = meter.read(0)
    told = [only(meter, before, meter.read(s * NS), s * NS) for s in (10, 11, 60, 61)]
    assert [one.energy_uj // J for one in told] == [2000, 2200, 12_000, 0]
    assert [one.quality for one in told] == [
        Quality.SAMPLED, Quality.PARTIAL, Quality.PARTIAL, Quality.PARTIAL,
    ]  # fmt: skip
    away = only(meter, before, meter.read(3 * NS), NS)
    assert away.quality is Quality.PARTIAL


@pytest.mark.parametrize("content", ["4294967295000", "0", "-200000000", "N/A", ""])
def test_what_is_no_nodes_power_is_no_reading(sys, journal, content):
    sys.power_meter(200)
    meter = HwmonMeter.find(sys.root, journal)
    sys.power_meter(power1_average=content)
    with pytest.raises(MeterError, match="power1_average"):
        meter.read(NS)
    assert HwmonMeter.find(sys.root, journal) is None


@pytest.mark.parametrize("old", [False, True])
def test_of_several_meters_that_nothing_tells_apart_none_is_taken_and_that_is_said_once(
    sys, journal, log, old
):
    sys.power_meter(200, chip="hwmon10", old=old)
    sys.power_meter(500, chip="hwmon9", old=old, power1_oem_info="Intel(R) Node Manager")
    for _ in range(3):
        assert HwmonMeter.find(sys.root, journal) is None
    (line,) = log.getvalue().splitlines()
    assert "is one of 2 power meters, and nothing says which" in line
    assert line.endswith("none is used")
    sys.remove("class/hwmon/hwmon9")
    sys.power_meter(chip="hwmon10", old=old, power2_average=7)
    assert HwmonMeter.find(sys.root, journal) is None, "two on one chip are two"


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("sockets", [1, 2, 4])
@pytest.mark.parametrize(
    ("watts", "kind", "domain"),
    [
        ({"Module": 620, "Grace": 160, "CPU": 120, "SysIO": 30}, "Module", Domain.NODE),
        ({"SysIO": 30, "Grace": 160, "CPU": 120}, "Grace", Domain.CPU),
        ({"SysIO": 30, "CPU": 120}, "CPU", Domain.CPU),
    ],
)
def test_of_graces_meters_the_most_complete_is_summed_over_the_sockets(
    sys, journal, log, old, sockets, watts, kind, domain
):
    sys.grace(sockets, old=old, **watts)
    meter = HwmonMeter.find(sys.root, journal)
    assert meter.name == f"hwmon {kind.lower()} power of {sockets} socket{'s' * (sockets > 1)}"
    assert (meter.has_node, meter.has_cpu) == (domain is Domain.NODE, domain is Domain.CPU)
    one = only(meter, meter.read(0), meter.read(NS))
    assert (one.domain, one.device) == (domain, meter.name)
    assert (one.energy_uj, one.quality) == (sockets * watts[kind] * J, Quality.SAMPLED)
    assert log.getvalue() == ""
    meter.close()


def test_a_kind_that_a_socket_lacks_is_not_summed(sys, journal, log):
    sys.grace(2, Module=620, Grace=160)
    sys.remove("class/hwmon/hwmon1")  # the module of socket 1
    meter = HwmonMeter.find(sys.root, journal)
    assert meter.name == "hwmon grace power of 2 sockets"
    sys.remove("class/hwmon/hwmon2")  # Grace of socket 0
    for _ in range(2):
        assert HwmonMeter.find(sys.root, journal) is None
    assert log.getvalue().count("of 2 sockets do not go together (1 Grace, 1 Module)") == 1


def test_no_sum_is_told_while_one_socket_does_not_answer(sys, journal):
    sys.grace(2, Module=620)
    meter = HwmonMeter.find(sys.root, journal)
    sys.power_meter(chip="hwmon1", old=True, power1_average="N/A")
    with pytest.raises(MeterError, match="hwmon1/device/power1_average"):
        meter.read(NS)
    sys.power_meter(600, chip="hwmon1", old=True)
    assert meter.read(NS)[f"{meter.name}.uw"] == 1220 * J


def test_a_machine_without_one_has_none(sys, journal):
    assert HwmonMeter.find(sys.root, journal) is None
    sys.write("class/hwmon/hwmon0/name", "amdgpu")
    sys.write("class/hwmon/hwmon0/power1_average", "90000000")
    assert HwmonMeter.find(sys.root, journal) is None


@given(
    st.lists(
        st.tuples(st.integers(1, 10_000 * J), st.integers(1, 10 * NS)), min_size=2, max_size=20
    )
)
def test_the_sum_of_trapezoids_is_within_the_extremes(samples):
    device = Device(domain=Domain.NODE, name="w", limit_w=20_000)
    at_ns, readings = 0, []
    for uw, step_ns in samples:
        at_ns += step_ns
        readings.append({"w.uw": uw, "w.at_ns": at_ns})
    total_uj = sum(
        sampled(device, before, after).energy_uj for before, after in itertools.pairwise(readings)
    )
    length_ns = readings[-1]["w.at_ns"] - readings[0]["w.at_ns"]
    powers = [uw for uw, _ in samples]
    assert min(powers) * length_ns - len(samples) * NS <= total_uj * NS
    assert total_uj * NS <= max(powers) * length_ns
