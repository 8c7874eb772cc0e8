"""Running jobs that are stopped and go on in cleaner windows, through the services' own doors."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from carbonsched.errors import ClusterError, ClusterUnavailableError
from carbonsched.model.directives import Directives
from carbonsched.model.energy import Quality
from carbonsched.model.epoch import EpochRecord
from carbonsched.model.spread import Spread
from carbonsched.model.stop import StopState
from carbonsched.planning import DelayPolicy
from carbonsched.services.learning import Learning
from carbonsched.services.pieces import Pieces
from carbonsched.services.stops import MOST
from carbonsched.transport.munge import Caller

START, HOUR = 1_792_998_000, 3600
GRACE_S, COST_S, LEAST_RUN_S, SLURMS_DELAY_S = 120, 300, 1800, 121
SPLIT = Directives(checkpoint=True, max_delay_s=12 * HOUR)
HILL = (400, 400, 400, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100)
ROOT = Caller(uid=0, gid=0, payload=b"")
CLEAN_AT = START + 4 * HOUR  # the hill begins when the job has run for an hour


def running(site, directives=SPLIT, *, ran_s=HOUR, **fields):
    """A job that began in clean hours; then the forecast turns dirty for three hours."""
    site.forecast(*[100] * 20)
    fields = {"time_limit_s": 6 * HOUR, **fields}
    job = site.slurm.submit(directives=directives, begin=0, **fields)
    site.round()
    site.slurm.begin(job.key.job_id)
    site.clock.at += 60
    site.round()
    site.clock.at = START + ran_s
    site.forecast(*HILL)
    return job


def tick(site, after_s=60):
    site.clock.at += after_s
    site.round()


def stop(site, job):
    found = site.ledger.stops.of(job.key)
    return found.state if found else None


@pytest.fixture
def signalled(site):
    """A job within its grace."""
    job = running(site)
    site.round()
    assert site.slurm.signals == [(1, "USR1")]
    assert stop(site, job) is StopState.SIGNALLED
    return job


@pytest.fixture
def requeued(site, signalled):
    """The same, requeued when its grace was over, and its new run known."""
    tick(site, GRACE_S)
    assert site.slurm.requeues == [1]
    tick(site)
    assert stop(site, signalled) is StopState.REQUEUED
    (known,) = site.ledger.jobs.open("lab")
    assert known.job.key.restarts == 1
    return known


def test_a_job_gets_a_signal_then_its_grace_and_is_requeued_once(site, signalled):
    tick(site)
    assert site.slurm.requeues == []
    for _ in range(4):
        tick(site)
    assert site.slurm.requeues == [1]
    assert site.slurm.signals == [(1, "USR1")]
    assert stop(site, signalled) is StopState.REQUEUED


def test_what_is_left_waits_for_the_clean_window(site, requeued):
    job, start_at, note = site.slurm.moves[-1]
    assert (job, start_at) == (1, CLEAN_AT)
    assert "less" in note
    plan = site.ledger.plans.plan(requeued.job.key)
    assert plan.saved_mg > 0
    assert plan.baseline_at == requeued.job.key.submitted_at + SLURMS_DELAY_S


def test_its_delay_counts_from_the_first_submission_less_what_it_has_run(site, requeued):
    plan = site.ledger.plans.plan(requeued.job.key)
    done_s = HOUR
    assert plan.latest_at == START + SPLIT.max_delay_s + done_s - COST_S


def test_its_deadline_counts_what_is_left_of_its_limit(site):
    deadline_at = START + 14 * HOUR
    running(site, replace(SPLIT, deadline_at=deadline_at, max_delay_s=2 * 86_400))
    for after_s in (0, GRACE_S, 60):
        tick(site, after_s)
    (known,) = site.ledger.jobs.open("lab")
    assert site.ledger.plans.plan(known.job.key).latest_at == deadline_at - (5 * HOUR + COST_S)


def test_it_is_predicted_and_reserved_as_what_is_left_and_the_stop(make_site):
    site = make_site(ada=10_000_000)
    job = running(site)
    whole = site.ledger.plans.prediction(job.key)
    for after_s in (0, GRACE_S, 60):
        tick(site, after_s)
    (known,) = site.ledger.jobs.open("lab")
    rest = site.ledger.plans.prediction(known.job.key)
    found = site.ledger.stops.of(job.key)
    assert rest.duration_s == found.left_s + COST_S
    assert rest.energy_j / rest.duration_s == pytest.approx(
        whole.energy_j / whole.duration_s, rel=1e-3
    )
    plan = site.ledger.plans.plan(known.job.key)
    tick(site, HOUR)  # the first run has ended, and nothing of it is awaited any more
    assert not any(mg for mg, _ in site.ledger.entries.reserved(job.key).values())
    ((reserved_mg, _),) = site.ledger.entries.reserved(known.job.key).values()
    assert reserved_mg == pytest.approx(plan.expected_mg, rel=0.02)


def test_what_its_epochs_say_is_left_holds_for_the_next_run(site):
    job = running(site)
    epochs = [
        EpochRecord(
            cluster="lab", node="n1", job_id=1, restarts=0, uid=1001, epoch=number, epochs=10,
            started_ms=(START + (number - 1) * 600) * 1000, duration_ms=600_000,
            energy_millij=1_000_000, relative_sd=None, samples=0, quality=Quality.MODELLED,
        ).to_wire()
        for number in range(1, 7)
    ]  # fmt: skip
    site.take.take(ROOT, [], epochs)
    for after_s in (0, GRACE_S, 60):
        tick(site, after_s)
    (known,) = site.ledger.jobs.open("lab")
    left_s = 4 * 600
    assert site.ledger.stops.of(job.key).left_s == left_s
    pieces = Pieces(
        site.ledger, Learning(site.clusters, site.ledger), DelayPolicy(
            default_max_delay_s=0, max_delay_s=7 * 86_400
        ), site.stopping,
    )  # fmt: skip
    assert pieces.length(known.job, site.clock.at) == Spread.exactly(left_s + COST_S)
    assert site.ledger.plans.prediction(known.job.key).duration_s == left_s + COST_S


def test_a_budget_that_has_let_a_job_in_does_not_hold_what_is_left_of_it(make_site):
    site = make_site(ada=10_000_000)
    running(site)
    for after_s in (0, GRACE_S):
        tick(site, after_s)
    site = replace(site, budgets={"ada": 1})
    tick(site)
    (known,) = site.ledger.jobs.open("lab")
    assert site.ledger.plans.plan(known.job.key).reason == "cleaner"


def test_a_job_without_slack_left_starts_as_soon_as_slurm_lets_it(site, signalled):
    tick(site, GRACE_S)
    site.clock.at = START + SPLIT.max_delay_s + HOUR
    site.slurm.present[1] = replace(
        site.slurm.present[1], eligible_at=site.clock.at + SLURMS_DELAY_S
    )
    site.round()
    (known,) = site.ledger.jobs.open("lab")
    plan = site.ledger.plans.plan(known.job.key)
    assert not plan.deferred
    assert plan.start_at == site.clock.at + SLURMS_DELAY_S
    assert [move for move in site.slurm.moves if move[1] > START] == []


def test_a_second_stop_counts_both_runs(site, requeued):
    site.clock.at = CLEAN_AT
    site.slurm.begin(1)
    site.round()
    site.clock.at = CLEAN_AT + 2 * HOUR
    site.forecast(*HILL)
    site.round()
    second = site.ledger.stops.of(requeued.job.key)
    assert second.state is StopState.SIGNALLED
    assert second.first_submitted_at == START
    assert second.done_s == HOUR + 2 * HOUR - COST_S


@pytest.mark.parametrize(
    ("status", "by_signal"), [(75, 0), (0, 10), (128 + 10, 0)], ids=["75", "signal", "shell"]
)
def test_a_job_that_ends_to_go_on_is_requeued_before_its_grace_is_over(
    site, signalled, status, by_signal
):
    site.clock.at += 10
    ended_at = site.clock.at
    site.slurm.end(1, "FAILED", status, by_signal)
    tick(site, 20)
    assert site.slurm.requeues == [1]
    tick(site)
    first, second = site.views.jobs("ada", 1, 0, None, evidence=False)["jobs"]
    assert (first["state"], first["ended_at"]) == ("REQUEUED", ended_at), "not when it was requeued"
    assert (second["restarts"], second["state"]) == (1, "PENDING")
    assert site.slurm.moves[-1][:2] == (1, CLEAN_AT)


@pytest.mark.parametrize(
    ("state", "status", "by_signal"),
    [("COMPLETED", 0, 0), ("FAILED", 1, 0), ("FAILED", 0, 9), ("CANCELLED", 0, 15),
     ("TIMEOUT", 0, 10), ("CANCELLED", 75, 0)],
)  # fmt: skip
def test_a_job_that_ends_otherwise_is_not_run_again(site, signalled, state, status, by_signal):
    site.slurm.end(1, state, status, by_signal)
    for _ in range(3):
        tick(site)
    assert site.slurm.requeues == []
    assert stop(site, signalled) is StopState.LEFT
    assert site.slurm.present == {}


def test_a_job_that_completes_in_the_moment_of_its_requeue_is_not_run_again(site, signalled):
    requeue = site.slurm.requeue

    def too_late(job_id, *, ended):
        site.slurm.end(job_id)
        requeue(job_id, ended=ended)

    site.slurm.requeue = too_late
    tick(site, GRACE_S)
    tick(site)
    assert site.slurm.requeues == []
    assert stop(site, signalled) is StopState.LEFT


@pytest.mark.parametrize(
    ("directives", "fields"),
    [
        (Directives(max_delay_s=12 * HOUR), {}),
        (replace(SPLIT, start_now=True, max_delay_s=None), {}),
        (replace(SPLIT, max_delay_s=0), {}),
        (SPLIT, {"array_job_id": 1, "array_task": "3"}),
        (SPLIT, {"het_job_id": 1}),
    ],
    ids=["no directive", "now", "no delay", "array", "heterogeneous"],
)
def test_only_single_jobs_whose_owners_agreed_are_stopped(site, directives, fields):
    running(site, directives, **fields)
    tick(site)
    assert site.slurm.signals == []


def test_a_run_is_not_stopped_before_it_has_lasted(site):
    running(site, ran_s=LEAST_RUN_S - 1)
    site.round()
    assert site.slurm.signals == []
    tick(site, 1)
    assert site.slurm.signals == [(1, "USR1")]


def test_nothing_is_stopped_in_shadow_mode_nor_where_the_site_forbids_it_nor_blindly(make_site):
    off = make_site()
    unwilling = replace(off, stopping=replace(off.stopping, enabled=False))
    for site in (make_site(shadow=True), unwilling):
        running(site)
        tick(site)
        assert site.slurm.signals == []
    blind = make_site()
    running(blind)
    blind.clock.at += 30 * HOUR  # no forecast reaches so far
    blind.round()
    assert blind.slurm.signals == []


def test_a_stop_after_which_the_rest_would_start_at_once_is_none(site):
    """In pieces a long job would save much; started later, but in one go, next to nothing."""
    job = running(site, replace(SPLIT, max_delay_s=30 * HOUR), time_limit_s=48 * HOUR)
    site.forecast(*[400, 400, 100, 100] * 14)
    for _ in range(3):
        tick(site)
    assert stop(site, job) is None
    assert site.slurm.signals == []


def test_only_so_many_are_told_in_one_tick_and_those_first_that_save_most(site):
    site.slurm.cpus = 64
    site.forecast(*[100] * 20)
    jobs = [
        site.slurm.submit(directives=SPLIT, begin=0, cpus=cpus, time_limit_s=6 * HOUR)
        for cpus in (*[1] * MOST, 8, 4)
    ]
    site.round()
    for job in jobs:
        site.slurm.begin(job.key.job_id)
    site.clock.at = START + HOUR
    site.forecast(*HILL)
    site.round()
    told = [job_id for job_id, _ in site.slurm.signals]
    assert told[:2] == [MOST + 1, MOST + 2]
    assert len(told) == MOST
    tick(site)
    assert len(site.slurm.signals) == len(jobs)


def test_slurm_is_not_asked_about_jobs_in_their_grace(site, signalled):
    asked = []
    standing = site.slurm.standing
    site.slurm.standing = lambda job_id: asked.append(job_id) or standing(job_id)
    tick(site)
    assert asked == []
    tick(site, GRACE_S)
    assert asked == [1]


def test_a_job_that_cannot_be_requeued_gets_no_signal(site, caplog):
    caplog.set_level(logging.INFO)
    job = running(site)
    site.slurm.fixed.add(1)
    for _ in range(3):
        tick(site)
    assert site.slurm.signals == []
    assert stop(site, job) is StopState.LEFT
    assert caplog.text.count("job 1 of ada is not stopped: it was submitted with --no-req") == 1


def test_a_refused_requeue_is_not_tried_again(site, signalled, caplog):
    caplog.set_level(logging.INFO)
    standing = site.slurm.standing
    site.slurm.standing = lambda job_id: replace(standing(job_id), requeueable=True)
    site.slurm.fixed.add(1)
    for _ in range(4):
        tick(site, GRACE_S)
    assert stop(site, signalled) is StopState.LEFT
    assert site.slurm.present[1].state == "RUNNING"
    assert caplog.text.count("job 1 was not requeued: disabled") == 1
    assert site.slurm.signals == [(1, "USR1")]


def test_a_job_that_somebody_holds_in_the_grace_is_left_to_them(site, signalled):
    site.slurm.present[1] = replace(site.slurm.present[1], reason="JobHeldAdmin")
    tick(site, GRACE_S)
    assert site.slurm.requeues == []
    assert site.ledger.stops.of(signalled.key).note == "it is held (JobHeldAdmin)"


def test_a_requeue_by_somebody_else_is_not_ours(site, signalled):
    site.slurm.requeue(1, ended=False)
    site.slurm.requeues.clear()
    tick(site)
    assert stop(site, signalled) is StopState.LEFT
    (known,) = site.ledger.jobs.open("lab")
    again = known.job.key
    assert again.restarts == 1
    latest_at = site.ledger.plans.plan(again).latest_at
    assert latest_at == again.submitted_at + SPLIT.max_delay_s, "as it is today"
    assert site.ledger.stops.before(again) is None


def test_while_slurm_does_not_answer_nothing_is_lost_and_plans_go_on(site, signalled, caplog):
    answer = site.slurm.standing

    def silent(_job_id):
        raise ClusterUnavailableError("scontrol gave no answer")

    site.slurm.standing = silent
    tick(site, GRACE_S)
    assert "stops wait for the next tick" in caplog.text
    assert stop(site, signalled) is StopState.SIGNALLED
    site.slurm.standing = answer
    tick(site)
    assert site.slurm.requeues == [1]


def test_an_answer_that_cannot_be_read_is_asked_for_again_but_not_for_ever(site, signalled):
    answer = site.slurm.standing

    def garbled(_job_id):
        raise ClusterError("scontrol show job has 2 lines of a kind where one belongs")

    site.slurm.standing = garbled
    tick(site, GRACE_S)
    site.slurm.standing = answer
    tick(site)
    assert site.slurm.requeues == [1]
    site.slurm.standing = garbled
    tick(site)
    assert stop(site, signalled) is StopState.REQUEUEING
    tick(site, 700)
    assert stop(site, signalled) is StopState.LEFT


def test_a_job_of_which_nothing_can_be_read_gets_no_signal(site):
    job = running(site)

    def garbled(_job_id):
        raise ClusterError("scontrol show job has 2 lines of a kind where one belongs")

    site.slurm.standing = garbled
    for _ in range(2):
        tick(site)
    assert site.slurm.signals == []
    assert stop(site, job) is StopState.LEFT


def test_a_job_that_ran_on_for_long_after_its_checkpoint_is_let_be(site, signalled):
    tick(site, GRACE_S + 700)
    assert site.slurm.requeues == []
    assert stop(site, signalled) is StopState.LEFT


# Kills: what was to be done next is not done, and another daemon finds the ledger as it is


class Killed(BaseException):
    """The process is gone."""


def killed(site, method, *, before):
    """The daemon dies just before or after one of Slurm's commands; the next one on its ledger."""
    real = getattr(site.slurm, method)

    def dies(*args, **kwargs):
        if not before:
            real(*args, **kwargs)
        raise Killed

    setattr(site.slurm, method, dies)
    with pytest.raises(Killed):
        site.round()
    setattr(site.slurm, method, real)
    return replace(site)


@pytest.mark.parametrize("before", [True, False])
def test_killed_at_the_signal_the_next_daemon_signals_again_and_goes_on(site, before):
    job = running(site)
    again = killed(site, "signal", before=before)
    tick(again)
    assert len(site.slurm.signals) == (1 if before else 2)
    assert stop(again, job) is StopState.SIGNALLED
    tick(again, GRACE_S)
    tick(again)
    assert site.slurm.requeues == [1]


@pytest.mark.parametrize("before", [True, False])
def test_killed_at_the_requeue_the_next_daemon_sees_to_it_that_there_is_one(
    site, signalled, before
):
    site.clock.at += GRACE_S
    again = killed(site, "requeue", before=before)
    for _ in range(3):
        tick(again)
    assert site.slurm.requeues == [1]
    assert stop(again, signalled) is StopState.REQUEUED
    assert site.slurm.moves[-1][:2] == (1, CLEAN_AT)


# What others see


def test_the_queue_tells_of_the_stop(site, signalled):
    (row,) = site.views.queue("ada")["jobs"]
    assert (row["stopping_at"], row["stopped_at"]) == (site.clock.at, None)
    told_at = site.clock.at
    tick(site, GRACE_S)
    tick(site)
    (row,) = site.views.queue("ada")["jobs"]
    assert (row["stopping_at"], row["stopped_at"]) == (None, told_at)
    assert (row["planned_start_at"], row["restarts"]) == (CLEAN_AT, 1)
    assert row["saved_mg"] > 0


def test_the_log_says_what_a_stop_should_save(site, caplog):
    caplog.set_level(logging.INFO)
    running(site)
    site.round()
    (line,) = [one for one in caplog.messages if "had better go on" in one]
    assert "which is expected to save" in line
    assert "requeued in 00:02:00" in line


def test_each_run_is_charged_by_itself_and_the_sums_are_all_that_was_metered(site):
    job = running(site)
    first = [site.segment(job, START + n * 300) for n in range(12)]
    for after_s in (0, GRACE_S, 60):
        tick(site, after_s)
    (known,) = site.ledger.jobs.open("lab")
    site.clock.at = CLEAN_AT
    site.slurm.begin(1)
    site.adopt.run()
    run = site.slurm.present[1]
    second = [site.segment(run, CLEAN_AT + n * 300) for n in range(12)]
    site.clock.at += HOUR
    site.slurm.end(1)
    site.deliver(*first, *second)
    site.actual(START, *[100] * 10)
    tick(site, HOUR)
    tick(site, HOUR)
    rows = site.views.jobs("ada", 1, 0, None, evidence=False)["jobs"]
    assert [row["energy_j"] for row in rows] == [12 * 30_000, 12 * 30_000]
    charged = [site.ledger.entries.charged(key) for key in (job.key, known.job.key)]
    assert [sum(mg for mg, _, _ in one.values()) for one in charged] == [row["mg"] for row in rows]
    assert rows[0]["mg"] == rows[1]["mg"] > 0


def test_what_is_learnt_of_a_job_in_pieces_is_its_whole_length(site, requeued):
    site.clock.at = CLEAN_AT
    site.slurm.begin(1)
    site.adopt.run()
    site.clock.at += 2 * HOUR
    site.slurm.end(1)
    site.adopt.run()
    (run,) = site.ledger.jobs.ended("lab", 0, 10)
    assert (run.key.restarts, run.ran_s) == (1, 3 * HOUR)
    (run,) = site.ledger.jobs.completed("ada", 0)
    assert (run.job.key.restarts, run.done_s) == (1, HOUR)


def test_a_run_that_ended_to_go_on_teaches_nothing(site, signalled):
    site.slurm.end(1, "FAILED", 75)
    site.adopt.run()
    assert site.ledger.jobs.ended("lab", 0, 10) == []
