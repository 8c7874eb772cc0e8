from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonsched.model.prediction import PredictionSource
from carbonsched.prediction import (
    PastRun,
    PowerRange,
    choose,
    from_history,
    from_limits,
    power_range,
)
from carbonsched.site import NodeClass

HOUR = 3600
POWER = PowerRange(low_w=100, high_w=300)


def past(name: str = "train", cpus: int = 4, **more) -> PastRun:
    values = {"user": "alice", "ended_at": 0, "duration_s": HOUR, "energy_j": 1000, **more}
    return PastRun(name=name, cpus=cpus, **values)


def predict(runs, **more):
    return from_history(runs, **{"user": "alice", "name": "train", "cpus": 4, **more})


def test_the_median_of_the_closest_kind():
    runs = [past(duration_s=s) for s in (100, 200, 900)]
    runs += [past(name="other", duration_s=7), past(user="bob", duration_s=7)]
    made = predict(runs)
    assert (made.source, made.samples) == (PredictionSource.HISTORY, 3)
    assert made.duration_s == 200
    assert made.explanation == "from 3 earlier jobs of the same name and CPUs"


def test_same_name_on_other_cpus_scales_energy():
    made = predict([past(cpus=8)])
    assert (made.duration_s, made.energy_j) == (HOUR, 500)
    assert "of the same name, scaled to its CPUs" in made.explanation


def test_same_cpus_come_after_the_same_name():
    made = predict([past(name="other")])
    assert made.explanation == "from 1 earlier job of the same user and CPUs"
    assert predict([past(name="other", cpus=8), past(user="bob")]) is None
    assert predict([]) is None


CLOSEST_FIRST = [
    (past(script="s"), "from 1 earlier job of the same script, name and CPUs"),
    (past(name="other", script="s"), "from 1 earlier job of the same script and CPUs"),
    (past(script="t"), "from 1 earlier job of the same name and CPUs"),
    (past(cpus=8, name="other", script="s"), "from 1 earlier job of the same script, scaled to"),
    (past(cpus=8), "from 1 earlier job of the same name, scaled to its CPUs"),
    (past(name="other"), "from 1 earlier job of the same user and CPUs"),
    (past(name="other", cpus=8, script="t"), None),
]


@pytest.mark.parametrize("rank", range(len(CLOSEST_FIRST)))
def test_the_closest_kind_that_there_is_counts_alone(rank):
    """Whatever is less like the job, and newer, is left out."""
    runs = [replace(run, ended_at=number) for number, (run, _) in enumerate(CLOSEST_FIRST)][rank:]
    made, words = predict(runs, script="s"), CLOSEST_FIRST[rank][1]
    assert (made is None) == (words is None)
    assert made is None or made.explanation.startswith(words)


def test_several_jobs_of_the_same_script_are_counted():
    made = predict([past(name=f"run{number}", script="s") for number in range(4)], script="s")
    assert made.explanation == "from 4 earlier jobs of the same script and CPUs"
    scaled = predict([past(name="other", cpus=8, script="s")], script="s")
    assert (scaled.duration_s, scaled.energy_j) == (HOUR, 500)


def test_jobs_without_a_digest_are_not_of_one_script():
    made = predict([past(name="other"), past(name="other", script="s")], script=None)
    assert made.explanation == "from 2 earlier jobs of the same user and CPUs"
    made = predict([past(name="other")], script="s")
    assert made.explanation == "from 1 earlier job of the same user and CPUs"


def test_a_job_is_never_predicted_to_need_nothing():
    """Energies are whole joules: runs of a moment are 0 J, but the next one may be longer."""
    made = predict([past(duration_s=1, energy_j=0)])
    assert made.energy_low_j <= made.energy_j == 1 <= made.energy_high_j


def test_only_the_newest_twenty_count():
    runs = [past(ended_at=i, duration_s=10 if i < 100 else 50) for i in range(120)]
    made = predict(runs)
    assert (made.samples, made.duration_s) == (20, 50)


def test_few_runs_give_a_wider_interval_than_many():
    few, many = (predict([past()] * count) for count in (1, 20))
    assert few.duration_high_s > many.duration_high_s
    assert few.energy_low_j < many.energy_low_j
    assert few.duration_high_s > 5 * few.duration_s  # a single run tells little


def test_both_intervals_are_of_one_t_about_the_median_in_factors():
    made = predict([past(duration_s=10_000, energy_j=10**6)])
    most, half = (math.exp(t * 1.2 * math.sqrt(2)) for t in (2.132, 0.7407))  # 4 degrees of freedom
    for low, middle, high, factor in (
        (made.duration_p25_s, made.duration_s, made.duration_p75_s, half),
        (made.energy_p25_j, made.energy_j, made.energy_p75_j, half),
        (made.duration_low_s, made.duration_s, made.duration_high_s, most),
        (made.energy_low_j, made.energy_j, made.energy_high_j, most),
    ):
        assert low == pytest.approx(middle / factor, rel=0.01)
        assert high == pytest.approx(middle * factor, rel=0.01)


def test_the_time_limit_caps_the_duration():
    made = predict([past()], time_limit_s=1800)
    assert (made.duration_s, made.duration_p75_s, made.duration_high_s) == (1800, 1800, 1800)


def test_runs_without_energy_need_a_power_model():
    runs = [past(energy_j=None)]
    assert predict(runs) is None
    made = predict(runs, power=POWER)
    assert made.energy_j == HOUR * 200
    assert "none of them metered" in made.explanation
    assert made.energy_p25_j == int(made.duration_p25_s * (100 + 200 * 2 / 9))
    mixed = predict([past(), *runs], power=POWER)
    assert mixed.energy_j == 1000
    assert "1 of them metered" in mixed.explanation


def test_power_is_the_share_of_the_node_and_spans_the_classes():
    slow = NodeClass(nodes="n[1-2]", cpus=10, idle_w=50, max_w=200)
    fast = NodeClass(nodes="n3", cpus=20, idle_w=200, max_w=300)
    assert power_range(4, [slow, fast]) == PowerRange(low_w=20, high_w=80)
    assert power_range(4, []) is None
    with pytest.raises(ValueError, match="power"):
        PowerRange(low_w=2, high_w=1)


def test_limits_are_the_last_resort_and_say_so():
    made = from_limits(HOUR, POWER)
    assert (made.duration_s, made.duration_high_s, made.duration_low_s) == (HOUR, HOUR, 18)
    assert (made.energy_low_j, made.energy_j, made.energy_high_j) == (1800, 720_000, 1_080_000)
    # Evenly between: 2 of 9 parts of the range from either end, and never beyond the centre.
    assert (made.duration_p25_s, made.duration_p75_s) == (18 + 796, HOUR)
    assert (made.energy_p25_j, made.energy_p75_j) == (241_400, 840_400)
    assert from_limits(None, POWER) is None
    assert from_limits(HOUR, None) is None
    chosen = choose(None, None, made)
    assert chosen.source is PredictionSource.LIMITS
    assert chosen.explanation.endswith("neither epochs nor earlier jobs like it are known")


def test_the_best_founded_prediction_is_chosen_and_warns():
    limits, history = from_limits(HOUR, POWER), predict([past()])
    assert choose(None, history, limits).source is PredictionSource.HISTORY
    from_own = from_limits(2 * HOUR, POWER)
    assert "not expected to end within" in choose(from_own, history, limits).explanation
    assert "not expected" not in choose(limits, history, limits).explanation
    assert choose(None, None, None) is None


runs_lists = st.lists(
    st.builds(
        past,
        name=st.sampled_from(["train", "other"]),
        cpus=st.sampled_from([4, 8]),
        script=st.sampled_from([None, "s", "t"]),
        ended_at=st.integers(0, 9),
        duration_s=st.integers(0, 10**6),
        energy_j=st.none() | st.integers(0, 10**9),
    ),
    max_size=30,
)


@given(runs_lists, st.none() | st.integers(1, 10**6), st.sampled_from([None, "s"]))
@settings(max_examples=150)
def test_any_history_makes_an_interval_that_holds_its_centre(runs, limit_s, script):
    made = predict(runs, time_limit_s=limit_s, power=POWER, script=script)
    alike = [r for r in runs if r.name == "train" or r.cpus == 4 or (script and r.script == script)]
    usable = [r for r in alike if r.duration_s]
    assert (made is None) == (not usable)
    assert made is None or None not in (made.duration_p25_s, made.energy_p75_j)
    if made is not None and limit_s is not None:
        assert made.duration_high_s <= limit_s
