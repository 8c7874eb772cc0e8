from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.model.energy import Domain, PartKind, Quality
from carbonsched.node.accounts.attribution import Allocation, NodeSize, divide
from carbonsched.node.accounts.intervals import cut
from carbonsched.node.meters.meter import DomainEnergy
from carbonsched.node.presence.stays import IDLE, SYSTEM, Owner, Stay, Use
from carbonsched.units import apportion

NS = 1_000_000_000
GPUS = ("GPU-a", "GPU-b")
NODE = NodeSize(8, 1000, GPUS)


def owner(number):
    return Owner(PartKind.JOB, number, 0)


def energy(domain, total, static=0, device="", doubt=0, quality=Quality.MEASURED):
    return DomainEnergy(
        domain=domain, device=device, energy_uj=total, static_uj=static, uncertainty_uj=doubt,
        quality=quality,
    )  # fmt: skip


def cpu(total, static=0, **more):
    return energy(Domain.CPU, total, static, **more)


def shares(energies, uses, system=0, node=NODE, length=NS):
    """Microjoules by owner, those of all domains added up."""
    cells = divide(energies, length, node, uses, system)
    return {
        who: sum(share.energy_uj for share in cell.values()) for who, cell in cells.items() if cell
    }


@st.composite
def uses(draw, length):
    """Up to six jobs, also overcommitted, suspended, fading and absent ones."""
    made = []
    for number in range(draw(st.integers(0, 6))):
        devices = draw(st.sets(st.sampled_from(GPUS)))
        fraction = st.sampled_from([(1, 1), (1, 2), (3, 7), (1, 7), (0, 1)])
        made.append(
            Use(
                owner(number),
                draw(st.integers(0, 16)),
                draw(st.integers(0, length)),
                draw(st.integers(0, 20 * NS)),
                draw(st.none() | st.integers(0, 1500)),
                {device: draw(fraction) for device in devices},
                draw(st.booleans()),
                draw(st.booleans()),
            )
        )
    return made


@st.composite
def situations(draw):
    length = draw(st.integers(1, 5 * NS))
    energies = []
    for domain, device in (
        (Domain.CPU, "p0"), (Domain.CPU, "p1"), (Domain.MEMORY, "d"), (Domain.GPU, "GPU-a"),
        (Domain.GPU, "GPU-b"), (Domain.GPU, "GPU-c"), (Domain.NODE, "n"), (Domain.REST, "r"),
    ):  # fmt: skip
        if draw(st.booleans()):
            static = draw(st.integers(0, 10**9))
            total = static + draw(st.integers(0, 10**9))
            quality = draw(st.sampled_from([*Quality][:4]))
            doubt = draw(st.integers(0, 10**6))
            energies.append(energy(domain, total, static, device, doubt, quality))
    node = NodeSize(8, draw(st.sampled_from([0, 1000])), draw(st.sampled_from([(), GPUS])))
    return energies, length, node, draw(uses(length)), draw(st.integers(0, 10 * NS))


@given(situations(), st.randoms())
def test_shares_add_up_exactly_in_each_domain_whatever_the_order(situation, random):
    energies, length, node, jobs, system = situation
    cells = divide(energies, length, node, jobs, system)
    told, found = Counter(), Counter()
    for one in energies:
        told[one.domain] += one.energy_uj
        told[one.domain, "doubt"] += one.uncertainty_uj
    for cell in cells.values():
        for domain, share in cell.items():
            assert share.energy_uj >= 0
            assert share.uncertainty_uj >= 0
            found[domain] += share.energy_uj
            found[domain, "doubt"] += share.uncertainty_uj
    assert found == told
    assert {use.owner for use in jobs} <= set(cells)
    random.shuffle(jobs)
    random.shuffle(energies)
    assert divide(energies, length, node, jobs, system) == cells


@given(situations())
def test_each_device_adds_up_by_itself(situation):
    energies, length, node, jobs, system = situation
    for one in energies:
        cells = divide([one], length, node, jobs, system)
        assert sum(s.energy_uj for cell in cells.values() for s in cell.values()) == one.energy_uj
        assert {s.quality for cell in cells.values() for s in cell.values()} <= {one.quality}


@given(situations())
def test_suspended_jobs_have_no_static_cpu_energy_and_no_dynamic_energy(situation):
    energies, length, node, jobs, system = situation
    stopped = {use.owner for use in jobs if use.suspended}
    dynamic = [energy(one.domain, one.energy_uj, 0, one.device) for one in energies]
    static = [cpu(one.energy_uj, one.energy_uj) for one in energies]
    for cells in (
        divide(dynamic, length, node, jobs, system),
        divide(static, length, node, jobs, system),
    ):
        for who in stopped:
            assert sum(share.energy_uj for share in cells[who].values()) == 0


@given(situations())
def test_times_of_the_whole_node_add_up(situation):
    _, length, node, jobs, _ = situation
    times = Allocation(length, node, jobs).node_times()
    assert sum(times.values()) == length
    assert min(times.values()) >= 0
    assert SYSTEM not in times


def test_static_energy_goes_by_allocated_cpus_and_time_present():
    jobs = [Use(owner(1), 4, NS, 0), Use(owner(2), 2, NS // 2, 0)]
    assert shares([cpu(80, 80)], jobs) == {owner(1): 40, owner(2): 10, IDLE: 30}
    assert shares([energy(Domain.NODE, 80, 80)], jobs) == {owner(1): 40, owner(2): 10, IDLE: 30}


def test_dynamic_energy_goes_by_cpu_time_and_the_systems_own():
    jobs = [Use(owner(1), 4, NS, 3 * NS), Use(owner(2), 4, NS, NS)]
    for domain in (Domain.CPU, Domain.MEMORY, Domain.NODE, Domain.REST):
        assert shares([energy(domain, 100)], jobs, NS) == {owner(1): 60, owner(2): 20, SYSTEM: 20}


def test_dynamic_energy_without_any_cpu_time_is_the_systems():
    assert shares([cpu(7)], [Use(owner(1), 4, NS, 0)]) == {owner(1): 0, SYSTEM: 7}


def test_an_overcommitted_node_is_scaled_and_has_nothing_idle():
    jobs = [Use(owner(1), 8, NS, 0), Use(owner(2), 24, NS, 0)]
    assert shares([cpu(100, 100)], jobs) == {owner(1): 25, owner(2): 75}


def test_a_fading_job_yields_where_more_is_allocated_than_there_is():
    ghost = Use(owner(9), 2, NS, 0, memory_mb=600, gpus={"GPU-a": (1, 1)}, fading=True)
    whole = Use(owner(1), 8, NS, NS, memory_mb=700, gpus={"GPU-a": (1, 1)})
    drawn = [cpu(80, 80), energy(Domain.MEMORY, 1000, 1000), energy(Domain.GPU, 300, 100, "GPU-a")]
    cells = divide(drawn, NS, NODE, [ghost, whole])
    assert {domain: share.energy_uj for domain, share in cells[owner(1)].items()} == {
        Domain.CPU: 80, Domain.MEMORY: 700, Domain.GPU: 300,
    }  # fmt: skip
    assert {domain: share.energy_uj for domain, share in cells[owner(9)].items()} == {
        Domain.CPU: 0, Domain.MEMORY: 300, Domain.GPU: 0,
    }  # fmt: skip
    assert Allocation(NS, NodeSize(8), [ghost, whole]).node_times() == {owner(1): NS, owner(9): 0}


def test_fading_jobs_share_what_the_others_leave():
    ghosts = [Use(owner(8), 2, NS, 0, fading=True), Use(owner(9), 4, NS, 0, fading=True)]
    five = Use(owner(1), 5, NS, 0)
    assert shares([cpu(80, 80)], [five, *ghosts]) == {owner(1): 50, owner(8): 10, owner(9): 20}
    two = Use(owner(1), 2, NS, 0)
    assert shares([cpu(80, 80)], [two, *ghosts]) == {owner(1): 20, owner(8): 20, owner(9): 40}
    alone = Use(owner(9), 16, NS, 0, fading=True)
    assert shares([cpu(80, 80)], [alone]) == {owner(9): 80}


STATIC = st.sampled_from([Domain.CPU, Domain.NODE, Domain.MEMORY, Domain.REST, Domain.GPU])


@given(situations(), STATIC, st.integers(0, 10**9))
def test_fading_jobs_take_nothing_static_from_the_others(situation, domain, total):
    """To the microjoule by which whole shares are rounded, and the parts in which they are told."""
    _, length, node, jobs, _ = situation
    one = energy(domain, total, total, GPUS[0] if domain is Domain.GPU else "")
    sure = [use for use in jobs if not use.fading]
    found, without = shares([one], jobs, 0, node, length), shares([one], sure, 0, node, length)
    for use in sure:
        assert abs(found.get(use.owner, 0) - without.get(use.owner, 0)) <= 2


def test_static_memory_energy_goes_by_memory_and_by_cpus_where_it_is_not_known():
    jobs = [
        Use(owner(1), 1, NS, 0, memory_mb=500),
        Use(owner(2), 2, NS, 0),
        Use(owner(3), 1, NS, 0, memory_mb=100, suspended=True),
    ]
    memory = [energy(Domain.MEMORY, 1000, 1000)]
    assert shares(memory, jobs) == {owner(1): 500, owner(2): 250, owner(3): 100, IDLE: 150}
    unknown = shares(memory, jobs, node=NodeSize(8))
    assert unknown == {owner(1): 125, owner(2): 250, owner(3): 125, IDLE: 500}


def test_a_gpu_goes_to_those_who_had_it_and_what_nobody_had_is_idles():
    jobs = [
        Use(owner(1), 1, NS, 0, gpus={"GPU-a": (3, 7)}),
        Use(owner(2), 1, NS // 2, 0, gpus={"GPU-a": (2, 7), "GPU-b": (1, 1)}),
        Use(owner(3), 1, NS, NS),
    ]
    a = energy(Domain.GPU, 1400, 700, "GPU-a")
    assert shares([a], jobs) == {owner(1): 300 + 525, owner(2): 100 + 175, IDLE: 300}
    assert shares([energy(Domain.GPU, 90, 10, "GPU-c")], jobs) == {IDLE: 90}
    both = divide([a, energy(Domain.GPU, 100, 0, "GPU-b", quality=Quality.PARTIAL)], NS, NODE, jobs)
    assert both[owner(1)][Domain.GPU].quality is Quality.MEASURED
    assert both[owner(2)][Domain.GPU] == (375, 0, Quality.PARTIAL)
    assert both[owner(3)] == {}


def test_a_gpu_given_twice_is_scaled_and_a_stopped_job_only_holds_it():
    jobs = [
        Use(owner(1), 1, NS, 0, gpus={"GPU-a": (1, 1)}),
        Use(owner(2), 1, NS, 0, gpus={"GPU-a": (1, 1)}, suspended=True),
    ]
    assert shares([energy(Domain.GPU, 300, 100, "GPU-a")], jobs) == {owner(1): 250, owner(2): 50}
    assert shares([energy(Domain.GPU, 300, 100, "GPU-a")], jobs[1:]) == {owner(2): 100, IDLE: 200}


def test_the_rest_of_the_node_follows_cpus_and_gpus():
    jobs = [Use(owner(1), 4, NS, NS), Use(owner(2), 2, NS, NS, gpus={"GPU-a": (1, 1)})]
    rest = energy(Domain.REST, 1000, 1000)
    assert shares([rest], jobs) == {owner(1): 250, owner(2): 375, IDLE: 375}
    assert shares([rest], jobs, node=NodeSize(8)) == {owner(1): 500, owner(2): 250, IDLE: 250}
    assert Allocation(NS, NODE, jobs).node_times() == {
        owner(1): NS // 4, owner(2): NS * 3 // 8, IDLE: NS * 3 // 8,
    }  # fmt: skip
    drawn = [energy(Domain.REST, 80), cpu(100), energy(Domain.GPU, 300, 0, "GPU-a")]
    cells = divide(drawn, NS, NODE, jobs)
    assert cells[owner(1)][Domain.REST].energy_uj == 10
    assert cells[owner(2)][Domain.REST].energy_uj == 70


def test_a_device_that_was_not_read_makes_its_users_figures_partial():
    jobs = [Use(owner(1), 4, NS, NS, gpus={"GPU-a": (1, 1)}), Use(owner(2), 1, NS, 0)]
    lost = energy(Domain.GPU, 0, 0, "GPU-a", quality=Quality.PARTIAL)
    cells = divide([cpu(10), lost], NS, NODE, jobs)
    assert cells[owner(1)][Domain.GPU] == (0, 0, Quality.PARTIAL)
    assert cells[owner(1)][Domain.CPU].quality is Quality.MEASURED
    assert Domain.GPU not in cells[owner(2)]


def test_uncertainty_follows_the_energy():
    jobs = [Use(owner(1), 6, NS, 0), Use(owner(2), 2, NS, 0)]
    cells = divide([energy(Domain.NODE, 100, 100, doubt=40)], NS, NODE, jobs)
    assert [cells[owner(n)][Domain.NODE].uncertainty_uj for n in (1, 2)] == [30, 10]
    assert divide([cpu(0, doubt=5)], NS, NODE, [])[IDLE][Domain.CPU].uncertainty_uj == 5


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**9), min_size=1, max_size=9))
def test_apportioned_shares_are_within_one_of_exact(total, weights):
    table = dict(enumerate(weights))
    if not any(weights):
        with pytest.raises(ValueError, match="all zero"):
            apportion(total, table)
        return
    found = apportion(total, table)
    assert sum(found.values()) == total
    for key, weight in table.items():
        assert abs(found[key] * sum(weights) - total * weight) < sum(weights)


@given(
    situations(),
    st.integers(0, 100 * NS),
    st.integers(1, 20).map(lambda seconds: seconds * NS),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 10**10)), max_size=4),
)
def test_cutting_at_grid_lines_keeps_every_sum(situation, begin, grid, jobs):
    energies, length, _, _, system = situation
    length *= 10
    stays = []
    for number, (one, other, used) in enumerate(jobs):
        first, last = sorted((begin + int(one * length), begin + int(other * length)))
        stays.append(Stay(owner(number), 2, first, last, used, 5, {"GPU-a": (1, 2)}))
    pieces = cut(begin, begin + length, grid, energies, stays, system)
    assert sum(piece.length_ns for piece in pieces) == length
    assert sum(piece.system_cpu_ns for piece in pieces) == system
    for place, one in enumerate(energies):
        mine = [piece.energies[place] for piece in pieces]
        assert {(part.domain, part.device, part.quality) for part in mine} == {
            (one.domain, one.device, one.quality)
        }
        for name in ("energy_uj", "static_uj", "uncertainty_uj"):
            assert sum(getattr(part, name) for part in mine) == getattr(one, name)
    for stay in stays:
        parts = [use for piece in pieces for use in piece.uses if use.owner == stay.owner]
        assert sum(use.cpu_ns for use in parts) == stay.cpu_ns
        assert sum(use.present_ns for use in parts) == stay.end_ns - stay.begin_ns
        assert all((use.memory_mb, use.gpus) == (5, {"GPU-a": (1, 2)}) for use in parts)
    for before, after in pairwise(pieces):
        assert after.begin_ns == before.begin_ns + before.length_ns
        assert after.begin_ns % grid == 0


def test_dynamic_energy_is_cut_by_cpu_time_and_that_of_gpus_by_time():
    stay = Stay(owner(1), 2, 0, 10 * NS, 5)
    drawn = [cpu(130, 30), energy(Domain.GPU, 300, 0, "GPU-a")]
    pieces = cut(0, 30 * NS, 10 * NS, drawn, [stay], 0)
    assert [piece.energies[0].energy_uj for piece in pieces] == [110, 10, 10]
    assert [piece.energies[1].energy_uj for piece in pieces] == [100, 100, 100]


def test_an_interval_without_length_is_refused():
    with pytest.raises(ValueError, match="ends after"):
        cut(5, 5, 10, [], [], 0)
