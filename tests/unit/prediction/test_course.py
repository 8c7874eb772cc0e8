from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonsched.prediction.course import Cost, Epoch, Foreseen, foresee

COMMON = settings(max_examples=30, deadline=None)
WATTS = 50.0

a_part = st.tuples(st.floats(0.01, 100), st.floats(0, 1e5)).map(lambda pair: Cost(*pair))


@st.composite
def logs(draw, most=8):
    count = draw(st.integers(1, most))
    parts = draw(st.sampled_from((0, 4, 12)))
    return [
        of_parts(number, draw(st.lists(a_part, min_size=max(1, parts), max_size=max(1, parts))))
        for number in range(1, count + 1)
    ]


def of_parts(number: int, parts: list[Cost]) -> Epoch:
    whole = Cost(sum(one.seconds for one in parts), sum(one.joules for one in parts))
    return Epoch(number=number, cost=whole, parts=tuple(parts) if len(parts) > 1 else ())


def timed(number: int, seconds: list[float]) -> Epoch:
    return of_parts(number, [Cost(one, one * WATTS) for one in seconds])


def plain(lengths: list[float]) -> list[Epoch]:
    return [timed(number, [length]) for number, length in enumerate(lengths, 1)]


def figures(found: Foreseen):
    for one in (found.seconds, found.joules):
        yield one.p05, one.p25, one.mean, one.p75, one.p95


@given(st.integers(1, 12), st.integers(0, 60), st.booleans(), st.floats(0.01, 1e5))
@COMMON
def test_constant_epochs_go_on_as_they_are(seen, left, parts, length):
    one = [length / 10] * 10 if parts else [length]
    log = [timed(number, one) for number in range(1, seen + 1)]
    found = foresee(log, seen + left)
    assert found.seconds.mean == pytest.approx((seen + left) * length, rel=1e-6)
    assert found.joules.mean == pytest.approx((seen + left) * length * WATTS, rel=1e-6)


@given(logs(), st.integers(0, 40), st.sampled_from((None, 1, 2, 5)))
@COMMON
def test_intervals_are_in_order_and_above_what_is_spent(log, left, every):
    found = foresee(log, len(log) + left, validate_every=every)
    for quantity, one in zip(("seconds", "joules"), figures(found), strict=True):
        spent = sum(getattr(epoch.cost, quantity) for epoch in log)
        assert list(one) == sorted(one)
        assert one[0] >= spent * (1 - 1e-9)
        if left == 0:
            assert one == pytest.approx((spent,) * 5)


NEXT_TO_NOTHING = [
    [0.0, 0.0, 1.0, 1.0, 1.1125369292536007e-308],
    [0.0, 1.0, 1.1125369292536007e-308],
    [0.0, 0.0, 1.1125369292536007e-308],
]


@pytest.mark.parametrize("joules", NEXT_TO_NOTHING)
def test_epochs_of_next_to_nothing_beside_others_stop_no_prediction(joules):
    log = [Epoch(number=number, cost=Cost(1.0, one)) for number, one in enumerate(joules, 1)]
    found = foresee(log, 20).joules
    assert sum(joules) <= found.p05 <= found.mean <= found.p95 < 100


@given(logs(), st.integers(0, 40), st.floats(0.01, 1000))
@COMMON
def test_other_units_give_the_same_in_them(log, left, scale):
    def scaled(cost: Cost) -> Cost:
        return Cost(cost.seconds * scale, cost.joules * scale)

    other = [
        replace(one, cost=scaled(one.cost), parts=tuple(map(scaled, one.parts))) for one in log
    ]
    mine, theirs = (foresee(epochs, len(log) + left) for epochs in (log, other))
    for one, another in zip(figures(mine), figures(theirs), strict=True):
        assert another == pytest.approx([value * scale for value in one], rel=1e-5, abs=1e-6)


@given(st.lists(st.floats(1, 3), min_size=1, max_size=8), st.integers(1, 40))
@COMMON
def test_more_epochs_take_longer(lengths, left):
    fewer, more = (foresee(plain(lengths), len(lengths) + one) for one in (left, left + 1))
    assert more.seconds.mean >= fewer.seconds.mean * (1 - 1e-9)


def test_warm_up_is_paid_once():
    found = foresee([timed(1, [5.0, 3.0] + 18 * [1.0])], 20)
    assert found.warm_parts == 2
    assert found.seconds.mean == pytest.approx(26 + 19 * 20, rel=0.015)


@pytest.mark.parametrize("parted", [True, False])
def test_a_run_that_goes_on_pays_its_warm_up_once_too(parted):
    slow, usual = ([3.0, *[1.0] * 9], [1.0] * 10) if parted else ([12.0], [10.0])
    log = [timed(number, slow if number in (1, 4) else usual) for number in range(1, 6)]
    again = [replace(epoch, resumed=epoch.number == 4) for epoch in log]
    known, unknown = (foresee(one, 30).seconds for one in (again, log))
    truth = 30 * 10 + 2 * (sum(slow) - 10)
    assert known.mean == pytest.approx(truth, rel=0.02)
    assert abs(known.mean - truth) < abs(unknown.mean - truth) / 1.5
    assert known.p95 - known.p05 < unknown.p95 - unknown.p05


def test_warm_up_goes_down_where_load_goes_up_and_down():
    down, both = ([*slow, *[1.0] * 16] for slow in ([1.9, 1.8, 1.6, 1.4], [1.4, 1.9, 1.4, 2.0]))
    figures = [foresee([timed(1, parts)], 10).seconds.mean for parts in (down, both)]
    assert figures[0] == pytest.approx(200 + 2.7, abs=2)
    assert figures[1] == pytest.approx(10 * 22.7, abs=2), "taken for load, which may stay"


def test_one_part_above_the_others_is_less_sure_to_be_paid_once_where_it_may_be_workers():
    small, large = (timed(1, [1 + excess, *[1.0] * 19]) for excess in (0.8, 8.0))
    kept_s = [foresee([one], 2).seconds.mean - one.cost.seconds - 20 for one in (small, large)]
    assert kept_s[0] == pytest.approx(0.4), "half of it may come back"
    assert kept_s[1] == pytest.approx(0.009 * 20)


def test_power_tells_of_a_slow_first_epoch_where_its_energy_hardly_does():
    lengths, watts = [120.0, 60.0, *[60.0] * 28], [60.0, 100.0, *[100.0] * 28]
    log = [
        Epoch(number=number, cost=Cost(seconds, seconds * power))
        for number, (seconds, power) in enumerate(zip(lengths, watts, strict=True), 1)
    ]
    truth = sum(epoch.cost.joules for epoch in log)
    found = foresee(log[:2], 30)
    assert 30 * (7200 + 6000) / 2 / truth > 1.09, "the mean of both"
    assert found.joules.mean == pytest.approx(truth, rel=0.01)
    assert found.seconds.mean == pytest.approx(sum(lengths), rel=0.01)


@given(st.lists(st.floats(0.5, 2), min_size=2, max_size=8), st.floats(1, 500))
@COMMON
def test_power_that_is_always_the_same_tells_nothing_of_slow_epochs(lengths, watts):
    log = [
        Epoch(number=number, cost=Cost(length, length * watts))
        for number, length in enumerate(lengths, 1)
    ]
    alone = [replace(epoch, cost=Cost(epoch.cost.seconds, 0.0)) for epoch in log]
    together, apart = foresee(log, 20).seconds, foresee(alone, 20).seconds
    assert together.mean == pytest.approx(apart.mean, rel=1e-6)


def test_what_follows_the_last_step_comes_back_in_every_epoch():
    found = foresee([timed(1, 19 * [1.0] + [6.0])], 20)
    assert found.warm_parts == 0
    assert found.seconds.mean == pytest.approx(20 * 25, rel=1e-3)


def test_energy_has_its_own_warm_up():
    """A first epoch twice as long at 60 % of the power, as the second shows."""
    log = [of_parts(1, [Cost(20, 20 * 30)]), *plain([0, 10, 10, 10])[1:]]
    found = foresee(log, 40)
    assert found.seconds.mean == pytest.approx(20 + 39 * 10, rel=0.01)
    assert found.joules.mean == pytest.approx(600 + 39 * 500, rel=0.01)


@pytest.mark.parametrize(("every", "first"), [(2, 2), (3, 3), (4, 4), (3, 1)])
def test_heavier_epochs_that_came_twice_are_expected_again(every, first):
    lengths = [15.0 if (number - first) % every == 0 else 10.0 for number in range(1, 61)]
    seen = first + every
    found = foresee(plain(lengths[:seen]), 60)
    rule = 60 * sum(lengths[:seen]) / seen
    assert abs(found.seconds.mean - sum(lengths)) <= max(6.0, 0.5 * abs(rule - sum(lengths)))


def test_declared_validation_is_learnt_from_the_first_time():
    lengths = [14.0 if number % 5 == 0 else 10.0 for number in range(1, 51)]
    found = foresee(plain(lengths[:6]), 50, validate_every=5)
    assert found.seconds.mean == pytest.approx(sum(lengths), rel=0.01)


def test_declared_validation_may_begin_with_the_first_epoch():
    log = [timed(1, 19 * [1.0] + [9.0]), timed(2, 20 * [1.0])]
    found = foresee(log, 50, validate_every=5)
    assert found.seconds.mean == pytest.approx(50 * 20 + 10 * 8, rel=0.03)


def test_earlier_logs_tell_what_the_first_epoch_cannot():
    past = plain([20.0] + 29 * [10.0])
    without, known = (foresee(plain([20.0]), 30, earlier=logs) for logs in ([], 4 * [past]))
    assert without.seconds.mean == pytest.approx(600)
    assert known.seconds.mean == pytest.approx(310, rel=0.15)
    assert known.earlier == 4


def test_earlier_logs_without_parts_are_compared_without_them():
    first = [10.0] + 9 * [1.0]
    log = [timed(1, first)]
    past = plain([19.0] + 29 * [10.0])
    found = foresee(log, 30, earlier=4 * [past])
    assert found.seconds.mean == pytest.approx(309, rel=0.15)


def test_earlier_trainings_that_stopped_make_the_number_of_epochs_uncertain():
    past = [plain(count * [10.0]) for count in (12, 17, 23)]
    found = foresee(plain([10.0]), 60, earlier=past)
    assert found.stops == 3
    assert found.seconds.p05 < 130 < found.seconds.mean < 240 < found.seconds.p95
    same = foresee(plain([10.0]), 60, earlier=[plain(20 * [10.0])])  # all that was declared
    assert same.stops == 0
    assert same.seconds.mean == pytest.approx(600)


def test_it_is_surer_with_every_quiet_epoch():
    widths = []
    for seen in (1, 2, 4, 8, 16):
        found = foresee(plain(seen * [10.0]), 40).seconds
        widths.append(found.p95 - found.p05)
    assert widths == sorted(widths, reverse=True)


def test_epochs_that_grow_steadily_are_taken_to_grow_on_for_a_while():
    log = plain([10, 11, 12.1, 13, 14])
    found = foresee(log, 25).seconds
    flat = 60.1 + 20 * 14
    to_the_end = 60.1 + sum(14 + step for step in range(1, 21))
    assert flat < found.mean < to_the_end
    assert found.p05 < flat < to_the_end < found.p95


@pytest.mark.parametrize(
    "lengths", [[10, 11, 12, 13], [10, 11, 12.1, 11.9, 13], [10, 10.05, 10.1, 10.15, 10.2]]
)
def test_few_uneven_or_small_steps_are_no_growth(lengths):
    log = plain(lengths)
    assert foresee(log, 25).seconds.mean < 1.06 * 25 * max(lengths)
    assert foresee(log, 25).seconds.p95 < 2 * 25 * max(lengths)
