"""Dies of one package: some show its counter all alike, some count for themselves."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.model.energy import Domain, Quality
from carbonsched.node.meters.counters import Device
from carbonsched.node.meters.dies import TICK_UJ, twins
from carbonsched.node.meters.rapl import RaplMeter

NS = 1_000_000_000
J = 1_000_000
RANGE_UJ = 65_532_610_987


def dies(sys, counters):
    for number, uj in enumerate(counters):
        sys.zone(f"intel-rapl:{number}", f"package-0-die-{number}", uj, RANGE_UJ)


def turn(sys, counters):
    for number, uj in enumerate(counters):
        sys.uj(f"intel-rapl:{number}", uj)


def total(meter, before, after):
    return sum(one.energy_uj for one in meter.between(before, after, NS, 0))


@pytest.mark.parametrize("count", [2, 4])
def test_mirrored_dies_count_once(sys, journal, log, count):
    dies(sys, [900 * J] * count)
    meter = RaplMeter.find(sys.root, None, journal)
    readings = [meter.read(0)]
    for second in range(1, 4):
        turn(sys, [900 * J + second * 68 * J] * count)
        readings.append(meter.read(second * NS))
    for before, after in itertools.pairwise(readings):
        assert total(meter, before, after) == 68 * J
    assert log.getvalue().count("package-0-die-1 shows the counter of package-0-die-0") == 1


@pytest.mark.parametrize("count", [2, 4])
def test_dies_that_count_for_themselves_sum_up(sys, journal, count):
    dies(sys, [900 * J + 10 * J * number for number in range(count)])
    meter = RaplMeter.find(sys.root, None, journal)
    before = meter.read(0)
    turn(sys, [900 * J + 10 * J * number + 68 * J for number in range(count)])
    assert total(meter, before, meter.read(NS)) == count * 68 * J


def test_the_same_offset_on_another_package_is_no_mirror(sys, journal):
    sys.zone("intel-rapl:0", "package-0", 900 * J)
    sys.zone("intel-rapl:1", "package-1", 900 * J)
    meter = RaplMeter.find(sys.root, None, journal)
    before = meter.read(0)
    turn(sys, [968 * J, 968 * J])
    assert total(meter, before, meter.read(NS)) == 2 * 68 * J


def test_memory_of_mirrored_dies_is_judged_by_its_own_counters(sys, journal):
    dies(sys, [900 * J] * 2)
    sys.zone("intel-rapl:0:0", "dram", 100 * J, RANGE_UJ)
    sys.zone("intel-rapl:1:0", "dram", 300 * J, RANGE_UJ)
    meter = RaplMeter.find(sys.root, None, journal)
    before = meter.read(0)
    turn(sys, [968 * J] * 2)
    sys.uj("intel-rapl:0:0", 105 * J)
    sys.uj("intel-rapl:1:0", 305 * J)
    assert total(meter, before, meter.read(NS)) == (68 + 5 + 5) * J


def reading(at_s, counters, window_uj=0, skew_uj=0):
    """Dies read one after the other and then again, at a rate at which the counter moves."""
    told = {}
    for number, uj in enumerate(counters):
        if uj is None:
            continue
        name = f"package-0-die-{number}"
        told |= {
            f"{name}.uj": (uj + number * skew_uj) % RANGE_UJ,
            f"{name}.again": (uj + window_uj + number * skew_uj) % RANGE_UJ,
            f"{name}.at_ns": at_s * NS,
        }
    return told


def meter_of(sys, journal, count):
    dies(sys, [1] * count)
    return RaplMeter.find(sys.root, None, journal)


def test_a_preempted_reading_of_one_counter_is_still_one(sys, journal):
    """50 ms pass between the two dies: the second is far ahead, and within the window."""
    meter = meter_of(sys, journal, 2)
    before = reading(0, [900 * J] * 2, window_uj=30 * J, skew_uj=15 * J)
    after = reading(1, [968 * J] * 2)
    assert total(meter, before, after) == 68 * J


def test_one_counter_that_goes_round_between_two_dies_is_still_one(sys, journal):
    meter = meter_of(sys, journal, 2)
    before = reading(0, [RANGE_UJ - 10] * 2, window_uj=100, skew_uj=50)
    after = reading(1, [RANGE_UJ - 10 + 68 * J] * 2)
    assert total(meter, before, after) == 68 * J


def test_a_wrong_reading_spoils_no_later_interval(sys, journal):
    meter = meter_of(sys, journal, 2)
    good = [reading(second, [second * 68 * J] * 2) for second in range(6)]
    good[2] = reading(2, [2 * 68 * J, 2 * 68 * J + 5 * J])
    sums = [total(meter, before, after) // J for before, after in itertools.pairwise(good)]
    assert sums[0] == sums[3] == sums[4] == 68


def test_nothing_is_doubled_or_lost_when_one_of_the_mirrors_is_not_read_for_a_while(sys, journal):
    meter = meter_of(sys, journal, 2)
    seen = [
        reading(0, [0, 0]),
        reading(1, [None, 68 * J]),
        reading(2, [None, 136 * J]),
        reading(3, [204 * J, 204 * J]),
        reading(4, [272 * J, 272 * J]),
    ]
    last, sums = seen[0], []
    for after in seen[1:]:
        sums.append(total(meter, last, after))
        last = last | after
    assert sums == [68 * J] * 4


@given(
    st.lists(st.integers(0, 500 * J), min_size=2, max_size=30),
    st.lists(st.integers(0, 500 * J), min_size=2, max_size=30),
    st.integers(0, RANGE_UJ - 1),
    st.integers(0, RANGE_UJ - 1),
)
def test_what_dies_draw_is_exact_but_where_their_counters_cross(first, second, start, other):
    """Any two dies, against the truth: an interval is wrong only while both counters are equal."""
    devices = {
        name: Device(domain=Domain.CPU, name=name, limit_w=750, range_uj=RANGE_UJ)
        for name in ("package-0-die-0", "package-0-die-1")
    }
    one, two = start, other
    last = reading(0, [one, two])
    for at, (a, b) in enumerate(zip(first, second, strict=False), start=1):
        one, two = (one + a) % RANGE_UJ, (two + b) % RANGE_UJ
        after = reading(at, [one, two])
        apart = (one - two) % RANGE_UJ
        crossing = min(apart, RANGE_UJ - apart) <= TICK_UJ
        assert crossing or not twins(devices, last, after)
        last = after


def test_a_die_that_cannot_be_read_is_told_as_such(sys, journal):
    meter = meter_of(sys, journal, 2)
    told = meter.between(reading(0, [0, 50 * J]), reading(1, [60 * J, None]), NS, 0)
    assert {one.device: (one.energy_uj, one.quality) for one in told} == {
        "package-0-die-0": (60 * J, Quality.MEASURED),
        "package-0-die-1": (0, Quality.PARTIAL),
    }
