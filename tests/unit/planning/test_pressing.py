"""Latest starts on a cluster that is full: who goes first, and who is late where somebody must."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carbonsched.model.job import JobKey
from carbonsched.model.spread import Spread
from carbonsched.planning import Bounds, ClusterState, Place, PlanningJob
from carbonsched.planning.pressing import Pressing
from carbonsched.planning.rooms import Rooms

from .making import HOUR, prediction

NOW = 1_700_000_100
CPUS = 16


def job(number, *, hours=1.0, cpus=CPUS, slack_h=24.0, **more):
    seconds = round(hours * HOUR)
    return PlanningJob(
        key=JobKey(cluster="c", job_id=number, submitted_at=NOW, restarts=0),
        cpus=cpus,
        bounds=Bounds(
            earliest_at=NOW, latest_at=NOW + round(slack_h * HOUR), deferrable=True, why="it"
        ),
        prediction=prediction(seconds, seconds),
        **more,
    )


def cluster(name="c", cpus=CPUS):
    return ClusterState(name=name, cpus=cpus, pue_ppm=1_000_000, forecast=None)


@pytest.fixture
def pressing():
    return Pressing(NOW, {"c": cluster()})


def rooms(*clusters):
    return Rooms(clusters or [cluster()], NOW, NOW + 56 * HOUR, 900, 0.8)


def pressed(pressing, jobs, *, crowded=True):
    return [one.key.job_id for one in pressing.pressed(jobs, rooms(), crowded=crowded)]


def test_who_fits_in_time_even_at_the_end_of_the_queue_is_not_pressed(pressing):
    assert pressed(pressing, [job(number) for number in range(12)]) == []


def test_who_would_come_too_late_at_the_end_of_the_queue_is(pressing):
    found = pressed(pressing, [job(number) for number in range(24)])
    assert found
    assert min(found) > 12


def test_a_wide_job_keeps_more_for_the_queue_and_nobody_more_than_a_quarter(pressing):
    wide, narrow = job(1), job(2, cpus=1)
    assert pressing.last_at(wide) < pressing.last_at(narrow) < NOW + 24 * HOUR - 5400
    assert pressing.last_at(job(3, slack_h=1)) == NOW + HOUR * 3 // 4


def test_on_a_crowded_cluster_a_job_with_hardly_any_time_left_goes_to_the_queue(pressing):
    def left(seconds):
        """Of a day; 7087 s are kept for the queue."""
        limits = replace(job(1).bounds, earliest_at=NOW - 24 * HOUR, latest_at=NOW + seconds)
        return [replace(job(1, cpus=1), bounds=limits)]

    assert pressed(pressing, left(7087 + 1700)) == [1]
    assert pressed(pressing, left(7087 + 1700), crowded=False) == []
    assert pressed(pressing, left(7087 + 1900)) == []


def test_who_is_pressed_takes_the_cluster_that_lets_it_in_first():
    both = {"c": cluster(), "d": cluster("d")}
    full = rooms(*both.values())
    full["c"].hold(NOW, NOW + 20 * HOUR, CPUS)
    there = Place(cluster="d", cpus=CPUS, watts=1.0, length=Spread.exactly(HOUR))
    choice = Pressing(NOW, both).hurry(job(1, elsewhere=(there,)), full, "it")
    assert choice.place == there
    assert choice.start_at == NOW


def test_who_is_pressed_but_far_from_its_turn_waits_and_keeps_its_start(pressing):
    full = rooms()
    full["c"].hold(NOW, NOW + 15 * HOUR, CPUS)
    first = pressing.hurry(job(1), full, "it")
    assert NOW < first.start_at < NOW + 15 * HOUR
    later = rooms()
    later["c"].hold(NOW, NOW + 15 * HOUR + 900, CPUS)
    kept = job(1, planned_start_at=first.start_at)
    assert pressing.hurry(kept, later, "it").start_at == first.start_at


def queued_for(slack_h, *, full_h):
    """The cluster for a job in the queue of c, which is full for so long; d is empty."""
    both = {"c": cluster(), "d": cluster("d")}
    held = rooms(*both.values())
    held["c"].hold(NOW, NOW + full_h * HOUR, CPUS)
    there = Place(cluster="d", cpus=CPUS, watts=1.0, length=Spread.exactly(HOUR))
    waits = job(1, slack_h=slack_h, released=True, elsewhere=(there,))
    return Pressing(NOW, both).queue_for(waits, held).cluster


def test_a_job_in_a_queue_goes_to_another_only_where_it_would_be_late():
    assert queued_for(24, full_h=12) == "c"
    assert queued_for(12, full_h=13) == "d"
    assert queued_for(12, full_h=11) == "d"  # as queues take longer than they seem to
