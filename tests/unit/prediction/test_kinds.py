"""What a job draws above idle on nodes of one kind, from runs there, elsewhere, or declarations."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.prediction.kinds import KindRun, Nodes, PowerSource, figures, ratio

OLD, NEW = frozenset({"old"}), frozenset({"new"})
DECLARED = {"old": 20.0, "new": 5.0}
WATTS = st.floats(0.01, 1000)


def nodes(*kinds, declared=DECLARED, cpus=8):
    return Nodes(cpus=dict.fromkeys(kinds, cpus), declared_w=declared)


def run(kinds, watts, *, user="ada", name="train", cpus=2, ran_s=100, at=0):
    energy_j = None if watts is None else round(watts * ran_s * cpus)
    return KindRun(
        user=user, name=name, cpus=cpus, ended_at=at, duration_s=ran_s, energy_j=energy_j,
        kinds=kinds,
    )  # fmt: skip


def told(where, own=(), everybody=(), **more):
    return figures(where, own, everybody, **{"user": "ada", "name": "train", "cpus": 2, **more})


def others(times, jobs=3):
    """Jobs that ran on both, with so many times the power on the new kind."""
    return [
        run(kinds, watts, user="ben", name=f"job{number}")
        for number in range(jobs)
        for kinds, watts in ((OLD, 10 + number), (NEW, times * (10 + number)))
    ]


def test_three_runs_there_say_all():
    own = [run(NEW, watts) for watts in (30, 31, 40)] + [run(OLD, 2)] * 9
    found = told(nodes("new"), own, others(0.5)).power
    assert (found.watts_per_cpu, found.source, found.samples) == (31, PowerSource.HISTORY, 3)
    assert found.words == "by 3 earlier jobs there"


def test_runs_of_the_same_script_come_before_those_of_the_same_name():
    own = [replace(run(NEW, 30, name="other"), script="s")] * 3 + [run(NEW, 8)] * 5
    assert told(nodes("new"), own, script="s").power.watts_per_cpu == 30
    assert told(nodes("new"), own).power.watts_per_cpu == 8


def test_fewer_count_by_the_ratio_that_other_jobs_showed():
    own = [run(NEW, 30), run(NEW, 31), run(OLD, 8), run(OLD, 10)]
    found = told(nodes("new"), own, others(0.5)).power
    assert found.watts_per_cpu == pytest.approx(4.5)
    assert (found.source, found.samples) == (PowerSource.RATIO, 3)
    assert found.words == "by 2 earlier jobs elsewhere times 0.5, as 3 jobs on both showed"


def test_without_that_by_the_ratio_of_declared_figures():
    found = told(nodes("new"), [run(OLD, 8)], others(0.5, jobs=2)).power
    assert (found.watts_per_cpu, found.source, found.samples) == (2, PowerSource.DECLARED, 1)
    assert found.words == "by 1 earlier job elsewhere times 0.25, as declared"


def test_without_any_run_by_the_declared_figures():
    found = told(nodes("old", "new")).power
    assert (found.watts_per_cpu, found.source, found.samples) == (12.5, PowerSource.DECLARED, 0)


@pytest.mark.parametrize("declared", [{}, {"old": 20.0}])
def test_where_nothing_tells_nothing_is_known(declared):
    assert told(nodes("old", "new", declared=declared)).power is None
    assert told(nodes("new", declared=declared), [run(OLD, 8)]).power is None
    assert told(nodes("new", declared=declared), [run(NEW, None)] * 5).power is None


def test_an_undeclared_kind_is_known_by_what_ran_there():
    assert told(nodes("new", declared={}), [run(NEW, 7)] * 3).power.watts_per_cpu == 7


def test_only_the_jobs_that_are_most_alike_count():
    own = [run(NEW, 99, name="other")] * 5 + [run(OLD, 8)]
    assert told(nodes("new"), own).power.words.startswith("by 1 earlier job elsewhere")


def test_a_run_on_both_kinds_is_of_neither():
    both = [run(OLD | NEW, 50)] * 3
    assert told(nodes("new"), both).power.words.endswith("elsewhere times 0.4, as declared")
    assert told(nodes("old", "new"), both).power.source is PowerSource.HISTORY


def test_run_times_are_those_there_once_there_are_three():
    own = [run(NEW, None, ran_s=length_s) for length_s in (50, 10, 30)]
    assert told(nodes("new"), own).length.seconds == (10, 30, 50)
    assert told(nodes("new"), own[:2]).length is None
    assert told(nodes("old"), own).length is None


@given(st.lists(WATTS, min_size=3, max_size=30), st.floats(0.1, 10))
def test_power_follows_the_runs_there_whatever_is_declared(watts, times):
    own = [replace(run(NEW, 0, at=at), energy_j=200 * w) for at, w in enumerate(watts)]
    more = [replace(one, energy_j=one.energy_j * times) for one in own]
    found = told(nodes("new"), own).power.watts_per_cpu
    assert min(watts) * (1 - 1e-9) <= found <= max(watts) * (1 + 1e-9)
    assert told(nodes("new"), more).power.watts_per_cpu == pytest.approx(found * times)
    other = nodes("new", declared={"new": 1e6})
    assert told(other, own).power.watts_per_cpu == found


@given(st.lists(st.tuples(WATTS, WATTS), min_size=3, max_size=20), st.randoms())
def test_a_ratio_is_the_inverse_of_that_the_other_way(pairs, random):
    runs = [
        replace(run(kinds, 0, name=str(number)), energy_j=200 * watts)
        for number, pair in enumerate(pairs)
        for kinds, watts in zip((OLD, NEW), pair, strict=True)
    ]
    random.shuffle(runs)
    there, back = ratio(runs, NEW, OLD), ratio(runs, OLD, NEW)
    assert there[0] * back[0] == pytest.approx(1)
    assert there[1] == back[1] == len(pairs)
    ratios = [new / old for old, new in pairs]
    assert min(ratios) * (1 - 1e-9) <= there[0] <= max(ratios) * (1 + 1e-9)


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=8))
def test_declared_watts_of_a_mix_lie_between_those_of_its_kinds(cpus):
    kinds = {str(number): one for number, one in enumerate(cpus)}
    watts = {name: float(number + 1) for number, name in enumerate(kinds)}
    found = Nodes(cpus=kinds, declared_w=watts).mean_w()
    assert 1 <= found <= len(cpus)
    exact = sum(one * (number + 1) for number, one in enumerate(cpus)) / sum(cpus)
    assert found == pytest.approx(exact)
