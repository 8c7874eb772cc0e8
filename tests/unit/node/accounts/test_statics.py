from __future__ import annotations

import json

from carbonsched.model.energy import Domain, Quality
from carbonsched.node.accounts.statics import WINDOW_NS, StaticPower
from carbonsched.node.meters.meter import DomainEnergy

NS = 1_000_000_000
W = 1_000_000
"""Microjoules of a watt in a second."""


def drew(watts, device="p0", domain=Domain.CPU, quality=Quality.MEASURED, **more):
    return DomainEnergy(
        domain=domain, device=device, energy_uj=watts * W, quality=quality, **more
    )  # fmt: skip


def static_w(power, *energies, length=NS):
    return [one.static_uj / W for one in power.complete(energies, length)]


def learned(power, *energies, seconds=10):
    """After a window of seconds alike."""
    for _ in range(seconds):
        static_w(power, *energies)
    return power


def test_the_lowest_power_of_each_device_over_a_window_is_its_static_one():
    power = learned(StaticPower(None), drew(50), drew(30, "p1"))
    learned(power, drew(40), drew(90, "p1"))
    assert static_w(power, drew(100), drew(100, "p1")) == [70]
    learned(power, drew(20, "GPU-a", Domain.GPU), drew(9, "GPU-b", Domain.GPU), seconds=19)
    busy = [drew(200, f"GPU-{name}", Domain.GPU) for name in "ab"]
    assert static_w(power, *busy) == [20, 9]


def test_one_low_sample_is_jitter_and_not_a_low_power():
    power = StaticPower(None)
    for watts in (50, 43, 57, 50, 40, 60, 50, 50, 45, 55):
        static_w(power, drew(watts))
    assert static_w(power, drew(100)) == [50]


def test_before_the_first_window_is_over_the_mean_so_far_stands_in():
    power = StaticPower(None)
    assert static_w(power, drew(50)) == [50]
    assert static_w(power, drew(70)) == [60]
    assert static_w(power, drew(30)) == [30]


def test_marks_may_cut_samples_short_without_an_effect():
    power = StaticPower(None)
    for _ in range(WINDOW_NS // NS):
        static_w(power, drew(30), length=NS // 2)
        static_w(power, drew(10), length=NS // 2)
    assert static_w(power, drew(100)) == [50]  # with what the last short sample lacked
    assert static_w(power, drew(100)) == [40]


def test_an_unread_device_and_a_still_counter_say_nothing_of_power():
    power = learned(StaticPower(None), drew(50))
    learned(power, drew(5), seconds=9)
    static_w(power, drew(0, quality=Quality.PARTIAL))
    learned(power, drew(0))
    assert static_w(power, drew(110)) == [100]  # what a second at most was owed
    assert static_w(power, drew(100)) == [50]


def test_jitter_between_samples_turns_no_idle_power_into_use():
    """A counter that is read a quarter of a sample early, then late, on an idle device."""
    power = learned(StaticPower(None), drew(40))
    told = [static_w(power, drew(watts))[0] for watts in (30, 50, 32, 48, 40, 40)]
    assert told == [30, 50, 32, 48, 40, 40]


def test_a_new_lowest_power_forgives_what_was_owed_by_the_old_one():
    power = learned(StaticPower(None), drew(50))
    learned(power, drew(40))
    assert static_w(power, drew(100)) == [40]


def test_a_device_that_was_never_seen_well_is_taken_as_idle():
    assert static_w(StaticPower(None), drew(7, quality=Quality.PARTIAL)) == [7]


def test_rest_that_swings_has_its_static_part_in_the_end():
    """Its single samples may hold less than it always draws; later ones hold the more of it."""
    power = learned(StaticPower(None), drew(30, "wall", Domain.REST))
    swings = [(0, 0), (0, 0), (200, 90), (30, 30), (10, 10), (80, 50)]
    for watts, static in swings:
        assert static_w(power, drew(watts, "wall", Domain.REST)) == [static]
    static_w(power, drew(0, "wall", Domain.REST))
    again = StaticPower(None)
    again.load(json.loads(json.dumps(power.to_state())))
    assert static_w(again, drew(100, "wall", Domain.REST)) == [60]


def test_the_rest_owes_its_static_part_for_a_minute_at_most():
    power = learned(StaticPower(None), drew(100), drew(30, "wall", Domain.REST))
    learned(power, drew(500), drew(0, "wall", Domain.REST), seconds=90)
    assert static_w(power, drew(500), drew(5_000, "wall", Domain.REST)) == [100, 60 * 30 + 30]


def test_what_was_not_read_is_not_owed():
    power = learned(StaticPower(None), drew(30, "wall", Domain.REST))
    static_w(power, drew(0, "wall", Domain.REST, Quality.PARTIAL))
    assert static_w(power, drew(100, "wall", Domain.REST)) == [30]


def test_the_rest_of_the_node_is_judged_when_the_whole_node_drew_least():
    """A wall reading that lags a second behind makes the rest swing with every step of a GPU."""
    power = StaticPower(None)

    def window(*seconds):
        for gpu, rest in seconds:
            static_w(power, drew(gpu, "GPU-a", Domain.GPU), drew(rest, "wall", Domain.REST))

    window(*[(50, 100)] * 10)
    window((350, 0), *[(350, 100)] * 8, (50, 400))
    window((300, 0), (10, 300), *[(300, 0), (10, 300)] * 4)
    assert static_w(power, drew(400, "wall", Domain.REST)) == [100]
    window(*[(20, 95)] * 20)  # before it knew it owed 5 W in each of 18
    assert static_w(power, drew(400, "wall", Domain.REST)) == [95 + 18 * 5]


def test_the_rest_is_not_judged_while_a_gpu_is_lost():
    """Without it the whole node would seem to draw little."""
    gpu, rest = drew(50, "GPU-a", Domain.GPU), drew(100, "wall", Domain.REST)
    lost = drew(0, "GPU-a", Domain.GPU, Quality.PARTIAL)
    power = learned(StaticPower(None), gpu, rest)
    learned(power, lost, drew(120, "wall", Domain.REST))
    assert static_w(power, drew(400, "wall", Domain.REST)) == [100]


def test_declared_idle_power_is_an_upper_bound_of_the_processors_alone():
    memory = drew(90, "dram", Domain.MEMORY)
    power = learned(StaticPower(60.0), drew(50), drew(50, "p1"), memory)
    assert static_w(power, drew(50), drew(50, "p1"), memory) == [60, 90]
    assert static_w(power, drew(200), drew(50, "p1"), memory, length=NS // 2) == [30, 45]


def test_what_a_meter_tells_of_static_power_stands():
    told = drew(100, "model", Domain.NODE, static_uj=25 * W)
    assert static_w(StaticPower(None), told) == [25]


def test_devices_that_are_divided_alike_are_one_with_the_worse_quality():
    (one,) = StaticPower(None).complete(
        [drew(5, uncertainty_uj=3), drew(6, "p1", quality=Quality.SAMPLED, uncertainty_uj=4)], NS
    )
    assert (one.energy_uj, one.uncertainty_uj, one.quality) == (11 * W, 7, Quality.SAMPLED)


def test_what_was_learned_survives_and_so_does_the_window_under_way():
    power, later = (learned(StaticPower(None), drew(20, "GPU-a", Domain.GPU)) for _ in range(2))
    quiet = [drew(15, "GPU-a", Domain.GPU), drew(30)]
    learned(power, *quiet, seconds=5)
    later.load(json.loads(json.dumps(power.to_state())))
    learned(later, *quiet, seconds=5)
    assert static_w(later, drew(80, "GPU-a", Domain.GPU), drew(80)) == [15, 30]
    later.load({})
    assert static_w(later, drew(80)) == [30]
