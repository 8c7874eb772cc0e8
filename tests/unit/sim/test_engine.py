"""The event loop under policies that do as a test says: clusters, pauses, stale events, calls."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from carbonsched.sim.engine import Decision, Simulation, Start
from carbonsched.sim.policies import ImmediatePolicy
from carbonsched.sim.segments import by_job
from carbonsched.sim.validate import fault

HOUR = 3600
GRAMS = {"DE": [300] * 60, "ES": [100] * 60}
TWO = (("north", "DE", 4), ("south", "ES", 4))


@dataclass
class Scripted:
    """Calls ``starts`` with each waiting job and ``pauses`` with each running one."""

    starts: object = lambda now, _: Start(at=now)
    pauses: object = lambda *_: False
    replan_s: int | None = 600
    name: str = "scripted"
    seen: list = field(default_factory=list)
    over: list = field(default_factory=list)

    def decide(self, now, waiting, running):
        self.seen += [(now, one.job.job_id, one.cluster.name, one.queued) for one in waiting]
        return Decision(
            starts={one.job.job_id: self.starts(now, one) for one in waiting},
            pauses=tuple(one.run.job.job_id for one in running if self.pauses(now, one)),
        )

    def ended(self, run):
        self.over.append((run.job.job_id, run.end_at))


def once_at(*offsets_s):
    """Pauses whatever runs at these seconds after the first submission."""

    def pauses(now, one):
        return now - one.run.job.submit_at in offsets_s

    return pauses


def spans(runs):
    """Start and end of each segment, in seconds from its job's submission."""
    return [(run.start_at - run.job.submit_at, run.end_at - run.job.submit_at) for run in runs]


def test_a_policy_sends_a_job_to_the_other_cluster(job, place):
    small = place([job("a"), job("b", 60)], GRAMS, TWO)
    clusters = {one.name: one for one in small.clusters}
    policy = Scripted(lambda now, _: Start(at=now, cluster=clusters["south"]))
    runs = Simulation(small, policy).run()
    assert fault(runs, small) is None
    assert [run.cluster.name for run in runs] == ["south", "south"]
    stayed = Simulation(small, Scripted()).run()
    assert {run.cluster.name for run in stayed} == {"north", "south"}


def test_a_job_may_change_its_cluster_until_it_starts_deferred_or_queued(job, place):
    """North is full for five hours."""
    wide = job("wide", nodes=4, runtime_s=5 * HOUR)
    small = place([wide, job("a", 60)], GRAMS, TWO)
    north, south = small.clusters

    def changed(now, one):
        return one.job.job_id == "a" and now >= one.job.submit_at + HOUR

    def from_the_queue(now, one):
        return Start(at=now, cluster=south if changed(now, one) else north)

    def deferred(now, one):
        later_s = 3 * HOUR if one.job.job_id == "a" and not changed(now, one) else 0
        return Start(at=now + later_s, cluster=south if changed(now, one) else north)

    for starts, queued in ((from_the_queue, True), (deferred, False)):
        policy = Scripted(starts)
        simulation = Simulation(small, policy)
        runs = by_job(simulation.run())
        assert fault([run for parts in runs.values() for run in parts], small) is None
        assert runs["a"][0].cluster == south
        assert HOUR <= spans(runs["a"])[0][0] < HOUR + 600
        assert ("a", "north", queued) in {one[1:] for one in policy.seen}
        assert simulation.calls > 0


def test_a_job_that_is_paused_twice_pays_for_each_checkpoint(job, place):
    long = job("long", runtime_s=6 * HOUR, checkpointable=True, checkpoint_s=300)
    small = place([long], GRAMS["DE"])

    def later(now, one):
        return Start(at=now if not one.done_s else max(now, _resumes_at(one)))

    def _resumes_at(one):
        return one.job.submit_at + (4 if one.done_s == HOUR else 9) * HOUR

    policy = Scripted(later, once_at(HOUR, 6 * HOUR))
    simulation = Simulation(small, policy)
    runs = simulation.run()
    assert fault(runs, small) is None
    assert spans(runs) == [
        (0, HOUR),
        (4 * HOUR, 6 * HOUR),
        (9 * HOUR, 9 * HOUR + 3 * HOUR + 2 * 300),
    ]
    assert sum(end - start for start, end in spans(runs)) == long.runtime_s + 2 * 300
    assert policy.over == [("long", runs[-1].end_at)], "it ends once; its first end is stale"


def test_the_nodes_of_a_paused_job_are_for_others(job, place):
    long = job("long", runtime_s=4 * HOUR, nodes=4, checkpointable=True, max_delay_s=0)
    other = job("other", 60, nodes=4, runtime_s=HOUR)
    small = place([long, other], GRAMS["DE"])

    def starts(now, one):
        return Start(at=now if not one.done_s else max(now, one.job.submit_at + 3 * HOUR))

    runs = by_job(Simulation(small, Scripted(starts, once_at(HOUR))).run())
    assert spans(runs["long"]) == [(0, HOUR), (3 * HOUR, 6 * HOUR)]
    assert spans(runs["other"]) == [(HOUR - 60, 2 * HOUR - 60)]


def test_a_job_without_checkpoints_cannot_be_paused(job, place):
    small = place([job("a"), job("b", 600)], GRAMS["DE"])
    with pytest.raises(AssertionError, match="job a cannot be paused"):
        Simulation(small, Scripted(pauses=lambda *_: True)).run()


def test_a_start_that_was_moved_does_not_happen_at_its_old_time(job, place):
    """From 2 h to 4 h, and another from 4 h to 1 h: what was planned before counts no more."""
    small = place([job("late"), job("early")], GRAMS["DE"])
    hours = {"late": (2, 4), "early": (4, 1)}

    def starts(now, one):
        first, then = hours[one.job.job_id]
        moved = now >= one.job.submit_at + 1800
        return Start(at=one.job.submit_at + HOUR * (then if moved else first))

    simulation = Simulation(small, Scripted(starts))
    runs = by_job(simulation.run())
    assert [spans(runs[name])[0][0] for name in ("late", "early")] == [4 * HOUR, HOUR]
    assert simulation.calls == 4


def test_calls_are_deferrals_moves_and_pauses_and_none_for_a_job_that_starts_at_once(job, place):
    jobs = [job("a", checkpointable=True, runtime_s=2 * HOUR), job("b", 1)]
    small = place(jobs, GRAMS["DE"])
    at_once = Simulation(small, ImmediatePolicy())
    at_once.run()
    assert at_once.calls == 0
    deferring = Simulation(small, Scripted(lambda _, one: Start(at=one.job.submit_at + HOUR)))
    deferring.run()
    assert deferring.calls == 2
    pausing = Simulation(small, Scripted(pauses=lambda now, one: _is_first(now, one, HOUR)))
    pausing.run()
    assert pausing.calls == 1, "it goes on as soon as it may: a requeued job needs no new start"


def _is_first(now, one, at_s):
    return one.run.job.job_id == "a" and one.done_s == 0 and now - one.run.start_at >= at_s
