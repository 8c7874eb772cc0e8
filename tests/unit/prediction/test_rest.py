"""What is left of a job that goes on after a stop."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonsched.model.energy import Quality
from carbonsched.model.epoch import EpochRecord
from carbonsched.model.prediction import Prediction, PredictionSource
from carbonsched.prediction import as_one, from_epochs, rest_of

WHOLE = Prediction(
    source=PredictionSource.HISTORY, samples=5, duration_s=7200, duration_low_s=3600,
    duration_p25_s=6000, duration_p75_s=8000, duration_high_s=14_400, energy_j=720_000,
    energy_low_j=360_000, energy_p25_j=600_000, energy_p75_j=800_000, energy_high_j=1_440_000,
    method="history/1", explanation="from 5 earlier jobs",
)  # fmt: skip


def test_the_rest_draws_the_power_of_the_whole_and_lasts_for_the_stop_too():
    rest = rest_of(WHOLE, left_s=1500, cost_s=300)
    assert (rest.duration_s, rest.energy_j) == (1800, 180_000)
    assert (rest.duration_low_s, rest.duration_high_s) == (900, 3600)
    assert (rest.energy_low_j, rest.energy_high_j) == (90_000, 360_000)
    assert (rest.duration_p25_s, rest.duration_p75_s) == (1500, 2000)
    assert (rest.energy_p25_j, rest.energy_p75_j) == (150_000, 200_000)
    assert rest.explanation == (
        "from 5 earlier jobs; this run goes on after a stop, so what is left of it"
    )


def test_where_epochs_told_the_rest_is_as_uncertain_as_the_whole():
    rest = rest_of(replace(WHOLE, source=PredictionSource.EPOCHS), left_s=3600, cost_s=0)
    assert (rest.duration_p25_s, rest.duration_p75_s) == (2400, 4400)
    assert (rest.energy_p25_j, rest.energy_p75_j) == (240_000, 440_000)


def test_of_a_whole_without_quartiles_the_rest_has_none():
    old = replace(
        WHOLE, duration_p25_s=None, duration_p75_s=None, energy_p25_j=None, energy_p75_j=None
    )
    rest = rest_of(old, left_s=1500, cost_s=300)
    assert (rest.duration_low_s, rest.duration_p25_s, rest.energy_p75_j) == (900, None, None)


@pytest.mark.parametrize("left_s", [1, 10_000_000])
def test_an_interval_holds_its_middle(left_s):
    rest = rest_of(WHOLE, left_s=left_s, cost_s=0)  # which checks that its figures are in order
    assert 1 <= rest.duration_low_s <= rest.duration_s <= rest.duration_high_s
    assert rest.energy_low_j <= rest.energy_j <= rest.energy_high_j


# Both runs as one

AT = 1_700_000_000
LATER_S = 50_000  # from a run's start to the next one's


def told(numbers, *, run=0, start_up_s=0, length_s=100, pause_s=0, joules=1000, **more):
    """Epochs of one run, all alike; ``LATER_S`` after those of the run before."""
    at_s = AT + run * LATER_S + start_up_s
    return [
        EpochRecord(
            cluster="c", job_id=1, uid=1, restarts=run, epoch=number,
            started_ms=(at_s + index * (length_s + pause_s)) * 1000,
            duration_ms=length_s * 1000, energy_millij=joules * 1000,
            quality=Quality.MODELLED,
            **{"node": "n1", "epochs": 10, "relative_sd": None, "samples": 0, **more},
        )
        for index, number in enumerate(numbers)
    ]  # fmt: skip


def predicted(joined, *, run=1, total=10, nodes=1):
    """This run's share in what all epochs say."""
    started_at = AT + run * LATER_S - joined.before_s
    whole = from_epochs(joined.records, epochs_total=total, started_at=started_at, node_count=nodes)
    return whole, joined.of_this_run(whole)


@given(
    data=st.data(),
    total=st.integers(2, 60),
    start_up_s=st.integers(0, 500),
    pause_s=st.integers(0, 60),
    nodes=st.sampled_from([("n1",), ("n1", "n2")]),
)
@settings(max_examples=60, deadline=None)
def test_of_epochs_that_are_alike_the_second_run_has_those_that_the_first_has_not(
    data, total, start_up_s, pause_s, nodes
):
    kept = data.draw(st.integers(1, total - 1))
    again = data.draw(st.integers(0, total - kept))
    seen = data.draw(st.integers(1, total - kept))
    earlier, own = [], []
    for node in nodes:
        alike = {"pause_s": pause_s, "node": node, "epochs": total}
        earlier += told(range(1, kept + again + 1), start_up_s=7, **alike)
        own += told(range(kept + 1, kept + seen + 1), run=1, start_up_s=start_up_s, **alike)
    joined = as_one(earlier, own, len(nodes))
    numbers = sorted(record.epoch for record in joined.records if record.node == "n1")
    assert numbers == list(range(1, kept + seen + 1)), "none twice"
    whole, rest = predicted(joined, total=total, nodes=len(nodes))
    pauses_known = len(earlier) + len(own) > 2 * len(nodes) and (kept > 1 or seen > 1)
    between_s = (total - kept - 1) * (pause_s if pauses_known else 0)
    assert rest.duration_s == start_up_s + (total - kept) * 100 + between_s
    used_j = (total - kept) * 1000 + (start_up_s + between_s) * 10
    assert rest.energy_j == pytest.approx(len(nodes) * used_j, rel=1e-3, abs=20)
    assert rest.duration_s + joined.before_s == whole.duration_s
    assert rest.duration_p75_s + joined.before_s == whole.duration_p75_s
    assert rest.energy_j + joined.before_j == whole.energy_j
    assert rest.energy_p75_j + joined.before_j == whole.energy_p75_j
    assert f"{kept} of them in runs before this" in rest.explanation


@given(
    lengths=st.lists(
        st.tuples(st.integers(1, 5000), st.integers(0, 10**6)), min_size=2, max_size=9
    ),
    pause_s=st.integers(0, 30),
    more=st.integers(0, 50),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_a_training_that_was_stopped_is_predicted_like_one_that_was_not(
    lengths, pause_s, more, data
):
    cut, total = data.draw(st.integers(1, len(lengths) - 1)), len(lengths) + more
    at_s, marks = 0, []
    for number, (length_s, joules) in enumerate(lengths, 1):
        (mark,) = told([number], start_up_s=at_s, length_s=length_s, joules=joules, epochs=total)
        marks.append(mark)
        at_s += length_s + pause_s
    shift_s = LATER_S - (marks[cut].started_ms // 1000 - AT)  # starts with its first epoch
    own = [
        replace(mark, restarts=1, started_ms=mark.started_ms + shift_s * 1000)
        for mark in marks[cut:]
    ]
    joined = as_one(marks[:cut], own, 1)
    whole, rest = predicted(joined, total=total)
    if len(lengths) > 2:  # else no pause was seen within a run
        undisturbed = from_epochs(marks, epochs_total=total, started_at=AT)
        steady = [replace(mark, restarts=0) for mark in joined.records]  # no start of a process
        assert predicted(replace(joined, records=tuple(steady)), total=total)[0] == undisturbed
    own_j = sum(mark.energy_millij for mark in own) // 1000
    assert rest.energy_j == max(own_j, whole.energy_j - joined.before_j)
    assert rest.duration_s == max(1, whole.duration_s - joined.before_s)


def test_the_slow_first_epoch_of_a_run_that_goes_on_is_not_taken_for_the_others():
    slow = told([6], run=1, length_s=180, joules=1500)
    own = [*slow, *told([7], run=1, start_up_s=180)]
    joined = as_one(told(range(1, 6)), own, 1)
    whole, rest = predicted(joined, total=20)
    assert whole.duration_s == pytest.approx(20 * 100 + 80, rel=0.01)
    assert whole.energy_j == pytest.approx(20 * 1000 + 500, rel=0.01)
    assert rest.duration_s == whole.duration_s - 500


def test_epochs_that_were_done_again_are_those_of_the_last_run_that_did_them():
    runs = [told(range(1, 5), joules=1), told(range(3, 7), run=1, joules=20)]
    own = told([6, 7], run=2, joules=300)
    joined = as_one([*runs[1], *runs[0]], own, 1)
    assert [(one.epoch, one.energy_millij // 1000) for one in joined.records] == [
        (1, 1), (2, 1), (3, 20), (4, 20), (5, 20), (6, 300), (7, 300),
    ]  # fmt: skip
    assert (joined.before, joined.before_s, joined.before_j) == (5, 500, 62)
    ends = [one.started_ms + one.duration_ms for one in joined.records]
    starts = [one.started_ms for one in joined.records]
    assert starts[1:] == ends[:-1]
    assert all(one < after for one, after in pairwise(starts))


def test_a_mark_that_an_earlier_run_lost_is_not_charged_to_this_one():
    joined = as_one(told([1, 2, 4]), told([5, 6], run=1), 1)
    whole, rest = predicted(joined)
    assert (rest.duration_s, rest.energy_j) == (600, 6000)
    assert whole.energy_j == 10_000


def test_an_epoch_that_the_stop_cut_off_on_one_of_two_nodes_is_left_out():
    earlier = [*told([1, 2, 3]), *told([1, 2], node="n2")]
    own = [*told([4, 5], run=1), *told([4, 5], run=1, node="n2")]
    joined = as_one(earlier, own, 2)
    assert joined.before == 2
    _, rest = predicted(joined, nodes=2)
    assert (rest.duration_s, rest.energy_j) == (700, 14_000)


def test_a_run_on_another_node_is_taken_to_be_on_this_one():
    joined = as_one(told([1, 2]), told([3], run=1, node="n7"), 1)
    assert {one.node for one in joined.records} == {"n7"}
    assert predicted(joined)[1].duration_s == 800


@pytest.mark.parametrize(
    ("earlier", "own"),
    [
        ([], told([3], run=1)),
        (told([1, 2]), []),
        (told([1, 2]), told([1, 2, 3], run=1)),
        ([*told([1]), *told([1], node="n2")], told([2], run=1)),
    ],
    ids=["nothing before", "nothing yet", "began anew", "another number of nodes"],
)
def test_what_cannot_be_joined_is_not(earlier, own):
    assert as_one(earlier, own, 1) is None
