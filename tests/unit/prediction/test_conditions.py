"""Time and energy per epoch under one condition by what jobs took under another."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.prediction.conditions import (
    ENOUGH,
    SAME,
    Condition,
    JobLike,
    SeenEpoch,
    levels,
    ratio,
)

MEASURED = Path(__file__).parents[2] / "fixtures/power/epochs-by-power-limit.csv"
AMOUNTS = st.floats(0.01, 1e6)
LIMITS = (150, 200, 250)


def at(limit_w, kind="v100"):
    return Condition(kind, limit_w)


def epoch(condition, seconds, joules=1.0, *, user="ada", name="train", cpus=4):
    return SeenEpoch(JobLike(user, name, 1, cpus), condition, seconds, joules)


def told(epochs, here, there, user="ada", name="train"):
    return ratio(levels(epochs), here, there, user=user, name=name)


def others(times, here=250, there=150, jobs=ENOUGH):
    """Jobs of others that take so many times as long there."""
    return [
        epoch(at(limit_w), seconds, user="ben", name=f"job{number}")
        for number in range(jobs)
        for limit_w, seconds in ((here, 10.0 + number), (there, times * (10.0 + number)))
    ]


def test_the_owners_one_job_goes_before_those_of_others():
    own = [epoch(at(250), 10, 2000), epoch(at(150), 14, 1500)]
    found = told([*own, *others(3)], at(250), at(150))
    assert found.time.times == pytest.approx(1.4)
    assert found.energy.times == pytest.approx(0.75)
    assert (found.jobs, found.own, found.between) == (1, True, False)


def test_of_others_it_takes_three():
    assert told(others(1.3, jobs=2), at(250), at(150)) is None
    found = told(others(1.3), at(250), at(150))
    assert (found.time.times, found.jobs, found.own) == (pytest.approx(1.3), 3, False)


def test_a_job_counts_by_its_median_epoch_and_once_however_long_it_ran():
    own = [epoch(at(250), 10)] * 3 + [epoch(at(250), 900), epoch(at(150), 12)]
    many = [epoch(at(limit), 10, name=f"job{n}") for n in (1, 2) for limit in (250, 150)]
    found = told(own + [one for one in own for _ in range(50)], at(250), at(150))
    assert found.time.times == pytest.approx(1.2)
    found = told([*own * 50, *many], at(250), at(150), user="eva")
    assert (found.time.times, found.jobs) == (pytest.approx(1.0), 3)


def test_runs_of_another_size_are_another_job():
    mixed = [epoch(at(250), 10, cpus=4), epoch(at(150), 5, cpus=8)]
    assert told(mixed, at(250), at(150)) is None
    sizes = [
        epoch(at(limit_w), seconds, cpus=cpus)
        for cpus, times in ((4, 1.2), (8, 1.4), (16, 1.9))
        for limit_w, seconds in ((250, 40 / cpus), (150, times * 40 / cpus))
    ]
    found = told(sizes, at(250), at(150))
    assert (found.time.times, found.jobs) == (pytest.approx(1.4), 3)


def test_between_two_limits_the_logarithm_is_linear_in_the_limit():
    own = [epoch(at(250), 10, 900), epoch(at(150), 20, 400)]
    found = told(own, at(250), at(175))
    assert found.between
    assert found.time.times == pytest.approx(2**0.75)
    assert found.energy.times == pytest.approx((4 / 9) ** 0.75)
    assert told(own, at(200), at(225)).time.times == pytest.approx(2**-0.25)


def test_the_nearest_limits_around_it_count():
    own = [epoch(at(limit), seconds) for limit, seconds in ((100, 99), (150, 20), (200, 10))]
    found = told(own, at(200), at(175))
    assert found.time.times == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("limit_w", [149, 251, None])
def test_beyond_the_limits_that_were_seen_nothing_is_known(limit_w):
    own = [epoch(at(250), 10), epoch(at(150), 20)]
    assert told(own, at(250), at(limit_w)) is None
    assert told(own, at(limit_w), at(250)) is None


def test_limits_of_another_kind_of_node_are_not_around_it():
    own = [epoch(at(250), 10), epoch(at(150, "a100"), 20)]
    assert told(own, at(250), at(200)) is None


def test_jobs_at_exactly_the_limit_go_before_those_around_it():
    exact = others(1.5, there=200)
    around = [
        epoch(at(limit_w), seconds, user="eva", name=f"job{n}")
        for n in range(9)
        for limit_w, seconds in ((250, 1), (150, 9))
    ]
    found = told([*exact, *around], at(250), at(200))
    assert (found.time.times, found.jobs, found.between) == (pytest.approx(1.5), 3, False)


def test_another_kind_of_node_is_another_condition():
    own = [epoch(at(250, "v100"), 10, 2000), epoch(at(400, "a100"), 4, 1200)]
    found = told(own, at(250, "v100"), at(400, "a100"))
    assert (found.time.times, found.energy.times) == (pytest.approx(0.4), pytest.approx(0.6))
    unlimited = [epoch(at(None, "old"), 10), epoch(at(None, "new"), 4)]
    assert told(unlimited, at(None, "old"), at(None, "new")).time.times == pytest.approx(0.4)


def test_on_another_kind_of_node_too_a_limit_may_lie_between():
    own = [epoch(at(250), 10), epoch(at(300, "a100"), 8), epoch(at(400, "a100"), 2)]
    found = told(own, at(250), at(350, "a100"))
    assert (found.time.times, found.between) == (pytest.approx(0.4), True)


def test_more_distant_limits_are_less_certain_and_more_jobs_more():
    own = [epoch(at(limit_w), 10) for limit_w in LIMITS]
    near, far = (told(own, at(250), at(limit_w)) for limit_w in (200, 150))
    assert near.time.half_width < far.time.half_width
    few, many = (told(others(1.3, jobs=jobs), at(250), at(150)) for jobs in (3, 12))
    assert many.time.half_width < few.time.half_width
    spread = [*others(1.3, jobs=3), *others(2.0, jobs=6)[6:]]
    assert told(spread, at(250), at(150)).time.half_width > few.time.half_width


@st.composite
def ledgers(draw):
    """Epochs of some jobs at some limits, and at least one with all of them."""
    seen = []
    for number in range(draw(st.integers(ENOUGH, 8))):
        limits = draw(st.sets(st.sampled_from(LIMITS), min_size=2)) if number > 2 else LIMITS
        for limit_w in limits:
            for _ in range(draw(st.integers(1, 3))):
                name, values = f"job{number}", draw(st.tuples(AMOUNTS, AMOUNTS))
                seen.append(epoch(at(limit_w), *values, user="ben", name=name))
    return seen


ASKED = st.integers(min(LIMITS), max(LIMITS))


@given(ledgers(), ASKED)
def test_under_the_same_condition_nothing_changes(seen, limit_w):
    assert told(seen, at(limit_w), at(limit_w)) == SAME
    assert (SAME.time.times, SAME.energy.times, SAME.time.half_width) == (1.0, 1.0, 0.0)


@given(ledgers(), ASKED, ASKED)
def test_there_and_back_is_one_with_the_same_doubt(seen, one_w, other_w):
    there, back = told(seen, at(one_w), at(other_w)), told(seen, at(other_w), at(one_w))
    assert there.time.times * back.time.times == pytest.approx(1)
    assert there.energy.times * back.energy.times == pytest.approx(1)
    assert there.time.half_width == pytest.approx(back.time.half_width)
    assert (there.jobs, there.own, there.between) == (back.jobs, back.own, back.between)


@given(ledgers(), ASKED, ASKED, st.randoms(use_true_random=False))
def test_the_order_of_epochs_and_of_jobs_changes_nothing(seen, one_w, other_w, chance):
    mixed = chance.sample(seen, len(seen))
    first, second = told(seen, at(one_w), at(other_w)), told(mixed, at(one_w), at(other_w))
    assert second.time.times == pytest.approx(first.time.times)
    assert second.energy.half_width == pytest.approx(first.energy.half_width)
    assert (second.jobs, second.between) == (first.jobs, first.between)


@given(ledgers(), ASKED, ASKED, AMOUNTS)
def test_units_of_time_and_energy_do_not_matter(seen, one_w, other_w, times):
    scaled = [
        SeenEpoch(one.job, one.condition, one.seconds * times, one.joules / times) for one in seen
    ]
    first, second = told(seen, at(one_w), at(other_w)), told(scaled, at(one_w), at(other_w))
    assert second.time.times == pytest.approx(first.time.times, rel=1e-6)


@given(st.lists(AMOUNTS, min_size=1, max_size=9), st.lists(AMOUNTS, min_size=1, max_size=9))
def test_an_own_ratio_lies_within_what_the_epochs_show(here, there):
    seen = [epoch(at(250), one) for one in here] + [epoch(at(150), one) for one in there]
    found = told(seen, at(250), at(150)).time.times
    assert min(there) / max(here) * (1 - 1e-9) <= found <= max(there) / min(here) * (1 + 1e-9)


# Measured trainings


def measured():
    with MEASURED.open(newline="") as file:
        return [
            epoch(
                at(int(row["power_limit_w"])), float(row["time_per_epoch_s"]),
                float(row["time_per_epoch_s"]) * float(row["average_power_w"]),
                name=row["training"], user=row["training"],
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip


def errors(predict):
    """Of time and of energy, of each training from each limit to each other one."""
    seen, found = measured(), []
    for here in seen:
        others = levels(one for one in seen if one.job != here.job)
        for there in (one for one in seen if one.job == here.job and one is not here):
            times = predict(others, here, there)
            truth = (there.seconds / here.seconds, there.joules / here.joules)
            found.append([abs(one / true - 1) for one, true in zip(times, truth, strict=True)])
    return [median(one) for one in zip(*found, strict=True)]


def test_ratios_of_other_trainings_are_better_than_rules_that_know_none():
    def by_others(others, here, there):
        found = ratio(others, here.condition, there.condition, user="", name="")
        return found.time.times, found.energy.times

    def by_limit(_, here, there):
        return 1.0, there.condition.gpu_limit_w / here.condition.gpu_limit_w

    ours, naive, nothing = (
        errors(rule) for rule in (by_others, by_limit, lambda *_: (1.0, 1.0))
    )  # fmt: skip
    assert ours[0] <= naive[0] == nothing[0]
    assert ours[1] < min(naive[1], nothing[1])
