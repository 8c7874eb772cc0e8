from __future__ import annotations

import subprocess
import sys as python
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.errors import MeterError
from carbonsched.model.energy import Domain, Quality
from carbonsched.node.meters.counters import Device, counted
from carbonsched.node.meters.rapl import RaplMeter
from carbonsched.node.meters.rapl_limits import PACKAGE_LIMIT_W

NS = 1_000_000_000
J = 1_000_000
PACKAGE_RANGE_UJ = 262_143_328_850
MEMORY_RANGE_UJ = 65_712_999_613


def energies(meter, before, after, length_ns=NS):
    return {one.device: one for one in meter.between(before, after, length_ns, 0)}


def joules(told):
    return {name: one.energy_uj / J for name, one in told.items()}


def test_packages_and_memory_are_told_apart_and_parts_of_packages_not_at_all(sys, journal):
    sys.zone("intel-rapl:0", "package-0", 100)
    sys.zone("intel-rapl:0:0", "core", 70)
    sys.zone("intel-rapl:0:1", "uncore", 5)
    sys.zone("intel-rapl:0:2", "dram", 20, MEMORY_RANGE_UJ)
    sys.zone("intel-rapl:1", "package-1", 300)
    sys.zone("intel-rapl:1:0", "dram", 30, MEMORY_RANGE_UJ)
    sys.zone("intel-rapl:2", "psys", 9_000)
    sys.zone("intel-rapl-mmio:0", "package-0", 101)
    sys.zone("dtpm", "package-7", 1)
    meter = RaplMeter.find(sys.root, None, journal)
    assert meter.name == "rapl(package-0, package-0 dram, package-1, package-1 dram, psys)"
    before = meter.read(0)
    for zone, uj in (("0", 100), ("0:0", 70), ("0:2", 20), ("1", 300), ("1:0", 30), ("2", 9_000)):
        sys.uj(f"intel-rapl:{zone}", uj + 10 * J)
    told = energies(meter, before, meter.read(NS))
    assert {name: one.domain for name, one in told.items()} == {
        "package-0": Domain.CPU,
        "package-1": Domain.CPU,
        "package-0 dram": Domain.MEMORY,
        "package-1 dram": Domain.MEMORY,
        "psys": Domain.NODE,
    }
    assert set(joules(told).values()) == {10.0}
    assert {one.quality for one in told.values()} == {Quality.MEASURED}
    assert {one.static_uj for one in told.values()} == {None}


@pytest.mark.parametrize("packages", [1, 2, 8])
def test_packages_sum_up_and_are_not_averaged(sys, journal, packages):
    for number in range(packages):
        sys.zone(f"intel-rapl:{number}", f"package-{number}", 1000 * number)
    meter = RaplMeter.find(sys.root, None, journal)
    before = meter.read(0)
    for number in range(packages):
        sys.uj(f"intel-rapl:{number}", 1000 * number + 100 * J)
    told = energies(meter, before, meter.read(NS))
    assert sum(one.energy_uj for one in told.values()) == packages * 100 * J


@given(st.integers(10**6, 10**12), st.data())
def test_a_counter_that_went_round_is_unwrapped(range_uj, data):
    first = data.draw(st.integers(0, range_uj))
    used = data.draw(st.integers(0, min(range_uj - 1, PACKAGE_LIMIT_W * J // 2)))
    last = first + used if first + used <= range_uj else first + used - range_uj
    device = Device(domain=Domain.CPU, name="p", limit_w=PACKAGE_LIMIT_W, range_uj=range_uj)
    elapsed_ns = min(NS, device.longest_gap_ns)
    told = counted(
        device, {"p.uj": first, "p.at_ns": 5}, {"p.uj": last, "p.at_ns": 5 + elapsed_ns}, NS
    )
    assert told.energy.energy_uj == used
    assert told.energy.quality is Quality.MEASURED


def test_each_zone_has_its_own_range(sys, journal):
    sys.zone("intel-rapl:0", "package-0", PACKAGE_RANGE_UJ - 1)
    sys.zone("intel-rapl:0:0", "dram", MEMORY_RANGE_UJ - 1, MEMORY_RANGE_UJ)
    meter = RaplMeter.find(sys.root, None, journal)
    before = meter.read(0)
    sys.uj("intel-rapl:0", 50 * J - 1)
    sys.uj("intel-rapl:0:0", 7 * J - 1)
    told = joules(energies(meter, before, meter.read(NS)))
    assert told == {"package-0": 50.0, "package-0 dram": 7.0}


def test_a_gap_must_be_too_short_for_a_second_round(sys, journal):
    sys.zone("intel-rapl:0", "package-0", 0, range_uj=262_500_000_000)
    sys.zone("intel-rapl:0:0", "dram", 0, range_uj=65_000_000_000)
    assert RaplMeter.find(sys.root, None, journal).longest_gap_ns == 350 * NS
    assert RaplMeter.find(sys.root, 1500, journal).longest_gap_ns == 175 * NS
    meter = RaplMeter.find(sys.root, None, journal)
    before = meter.read(0)
    sys.uj("intel-rapl:0", 100 * J)
    sys.uj("intel-rapl:0:0", 100 * J)
    told = energies(meter, before, meter.read(100 * NS), 100 * NS)
    assert told["package-0"].energy_uj == 100 * J
    assert (told["package-0 dram"].energy_uj, told["package-0 dram"].quality) == (
        0,
        Quality.PARTIAL,
    )


@pytest.mark.parametrize(
    ("packages", "limits_w", "max_w", "longest_s"),
    [
        (1, {}, 5000, 52.5),  # all that is known of it is the node
        (2, {}, 5000, 105),
        (8, {}, 5000, 350),
        (
            1,
            {"constraint_0_power_limit_uw": 400, "constraint_1_power_limit_uw": 800},
            5000,
            328.125,
        ),
        (1, {"constraint_0_max_power_uw": 500, "constraint_1_power_limit_uw": 0}, 5000, 350),
        (1, {"constraint_0_power_limit_uw": 0, "constraint_0_max_power_uw": 0}, 5000, 52.5),
        (2, {"constraint_1_power_limit_uw": 4095}, 2000, 262.5),  # no limit at all
        (2, {"constraint_1_power_limit_uw": 4095}, None, 350),
        (1, {"constraint_0_power_limit_uw": 90}, 240, 350),
    ],
)
def test_a_package_is_not_taken_to_draw_what_the_whole_node_may(
    sys, journal, packages, limits_w, max_w, longest_s
):
    for number in range(packages):
        sys.zone(f"intel-rapl:{number}", f"package-{number}", 0, range_uj=262_500_000_000)
        sys.zone(f"intel-rapl:{number}:0", "dram", 0, range_uj=262_500_000_000)
        for name, watts in limits_w.items():
            sys.write(f"class/powercap/intel-rapl:{number}/{name}", watts * J)
    sys.zone(f"intel-rapl:{packages}", "psys", 0)
    meter = RaplMeter.find(sys.root, max_w, journal)
    assert meter.longest_gap_ns == longest_s * NS


def test_dies_of_one_package_have_its_share_together(sys, journal):
    for die in (0, 1):
        sys.zone(f"intel-rapl:{die}", f"package-0-die-{die}", die, range_uj=262_500_000_000)
    assert RaplMeter.find(sys.root, 1500, journal).longest_gap_ns == 175 * NS


def test_a_counter_that_was_reset_without_a_boot_begins_anew_and_is_said_once(sys, journal, log):
    sys.zone("intel-rapl:0", "package-0", 200_000 * J)
    sys.zone("intel-rapl:1", "package-1", 1)
    meter = RaplMeter.find(sys.root, None, journal)
    readings = [meter.read(0)]
    for second, uj in enumerate((5 * J, 55 * J), start=1):
        sys.uj("intel-rapl:0", uj)
        sys.uj("intel-rapl:1", second * 30 * J)
        readings.append(meter.read(second * NS))
    reset = energies(meter, readings[0], readings[1])
    assert (reset["package-0"].energy_uj, reset["package-0"].quality) == (0, Quality.PARTIAL)
    assert reset["package-1"].quality is Quality.MEASURED
    after = energies(meter, readings[1], readings[2])
    assert (after["package-0"].energy_uj, after["package-0"].quality) == (50 * J, Quality.MEASURED)
    energies(meter, readings[0], readings[1])
    assert log.getvalue().count("the counter of package-0 was reset") == 1


def test_a_counter_that_jumps_is_not_believed(sys, journal):
    sys.zone("intel-rapl:0", "package-0", 0)
    meter = RaplMeter.find(sys.root, None, journal)
    before = meter.read(0)
    sys.uj("intel-rapl:0", 2_000 * J)
    told = energies(meter, before, meter.read(NS))
    assert (told["package-0"].energy_uj, told["package-0"].quality) == (0, Quality.PARTIAL)


@pytest.mark.parametrize("content", ["", "many", "-5", "1.5", "9" * 300, "262143328851"])
def test_garbage_leaves_its_zone_out_and_what_it_counted_comes_later(sys, journal, log, content):
    sys.zone("intel-rapl:0", "package-0", 0)
    sys.zone("intel-rapl:1", "package-1", 0)
    meter = RaplMeter.find(sys.root, None, journal)
    first = meter.read(0)
    sys.uj("intel-rapl:0", content)
    sys.uj("intel-rapl:1", 10 * J)
    second = meter.read(NS)
    told = energies(meter, first, second)
    assert joules(told) == {"package-0": 0.0, "package-1": 10.0}
    assert told["package-0"].quality is Quality.PARTIAL
    sys.uj("intel-rapl:0", 40 * J)
    sys.uj("intel-rapl:1", 20 * J)
    told = energies(meter, first | second, meter.read(2 * NS))
    assert joules(told) == {"package-0": 40.0, "package-1": 10.0}
    assert [told[name].quality for name in sorted(told)] == [Quality.PARTIAL, Quality.MEASURED]
    assert "package-0 is left out" in log.getvalue()
    assert "package-0 can be read again" in log.getvalue()


@pytest.mark.parametrize("content", ["", "many", "-5"])
def test_a_machine_none_of_whose_packages_can_be_read_is_an_error(sys, journal, content):
    sys.zone("intel-rapl:0", "package-0", content)
    sys.zone("intel-rapl:0:0", "dram", 5)
    with pytest.raises(MeterError, match="energy_uj"):
        RaplMeter.find(sys.root, None, journal)


def test_a_zone_without_a_range_is_left_out_until_it_has_one(sys, journal, log):
    sys.zone("intel-rapl:0", "package-0", 5)
    sys.zone("intel-rapl:1", "package-1", 5, range_uj=0)
    meter = RaplMeter.find(sys.root, None, journal)
    assert meter.name == "rapl(package-0)"
    assert "max_energy_range_uj is 0; left out" in log.getvalue()
    sys.write("class/powercap/intel-rapl:1/max_energy_range_uj", PACKAGE_RANGE_UJ)
    meter.read(0)
    meter.read(61 * NS)
    assert meter.name == "rapl(package-0, package-1)"


def test_zones_that_come_late_count_from_then_on(sys, journal):
    sys.zone("intel-rapl:0", "package-0", 0)
    meter = RaplMeter.find(sys.root, None, journal)
    readings = [meter.read(0)]
    sys.zone("intel-rapl:0:0", "dram", 500 * J, MEMORY_RANGE_UJ)
    readings.append(meter.read(30 * NS))
    assert "package-0 dram.uj" not in readings[1]
    readings.append(meter.read(61 * NS))
    sys.uj("intel-rapl:0:0", 503 * J)
    readings.append(meter.read(62 * NS))
    assert joules(energies(meter, readings[1], readings[2])) == {"package-0": 0.0}
    assert joules(energies(meter, readings[2], readings[3]))["package-0 dram"] == 3.0


def test_a_zone_that_vanishes_is_partial_until_it_cannot_come_back(sys, journal):
    sys.zone("intel-rapl:0", "package-0", 0)
    sys.zone("intel-rapl:1", "package-1", 0)
    meter = RaplMeter.find(sys.root, None, journal)
    before = meter.read(0)
    sys.remove("class/powercap/intel-rapl:1")
    after = before | {
        key: value for key, value in meter.read(61 * NS).items() if "package-0" in key
    }
    gone = {key: value for key, value in after.items() if "package-0" in key}
    assert meter.name == "rapl(package-0)"
    told = energies(meter, before, gone, 61 * NS)
    assert (told["package-1"].energy_uj, told["package-1"].quality) == (0, Quality.PARTIAL)
    later = {key: value + (600 * NS if "at_ns" in key else 0) for key, value in gone.items()}
    assert set(energies(meter, before, later)) == {"package-0"}


def test_a_file_that_was_replaced_is_noticed(sys, journal):
    path = sys.zone("intel-rapl:0", "package-0", 5)
    meter = RaplMeter.find(sys.root, None, journal)
    meter.read(0)
    path.unlink()
    sys.uj("intel-rapl:0", 77)
    assert meter.read(NS)["package-0.uj"] == 77
    meter.close()
    assert meter.read(2 * NS)["package-0.uj"] == 77


def test_platform_alone_is_no_processor(sys, journal):
    sys.zone("intel-rapl:0", "psys", 5)
    meter = RaplMeter.find(sys.root, None, journal)
    assert (meter.has_cpu, meter.has_psys) == (False, True)


def test_a_machine_without_rapl_has_no_meter(sys, journal):
    assert RaplMeter.find(sys.root, None, journal) is None
    (sys.root / "class/powercap").mkdir(parents=True)
    assert RaplMeter.find(sys.root, None, journal) is None


def test_refused_counters_name_the_remedy(sys):
    path = sys.zone("intel-rapl:0", "package-0", 5)
    path.chmod(0)
    outside = Path(tempfile.gettempdir())
    for folder in (sys.root, *sys.root.parents):
        if folder == outside or outside not in folder.parents:
            break  # the shared temporary folder itself must keep its mode
        folder.chmod(0o755)
    code = (
        "import codecs, os, sys; from pathlib import Path\n"
        "from carbonsched.node.meters.rapl import RaplMeter\n"
        "from carbonsched.node.journal import Journal\n"
        "from carbonsched.errors import MeterError; codecs.lookup('ascii')\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: RaplMeter.find(Path(sys.argv[1]), None, Journal('agent', open('/dev/null', 'w')))\n"
        "except MeterError as error: sys.exit(str(error))\n"
    )
    arguments = [python.executable, "-c", code, str(sys.root)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=20, check=False)
    assert "permission denied; run the agent as root" in done.stderr.splitlines()[0]
