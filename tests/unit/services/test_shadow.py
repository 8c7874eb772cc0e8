"""Shadow mode: all is planned, nothing waits for it, and the report says what it was worth."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from carbonsched.errors import RequestError
from carbonsched.model.directives import Directives
from carbonsched.model.plan import Reason
from carbonsched.services import shadow as reasons

START, HOUR = 1_792_998_000, 3600
WISH = Directives(max_delay_s=6 * HOUR)
DIP = (400, 380, 100, 390, 400, 400)


@pytest.fixture
def site(make_site):
    return make_site(shadow=True)


def mass_mg(energy_j, mg_per_kwh):
    return round(Fraction(energy_j * 12 * mg_per_kwh, 36_000_000))


def run_job(site, job, *, at=None, length_s=HOUR, energy_j=30_000):
    """Let a job run, metered in 5-minute segments, and end."""
    site.clock.at = at or site.clock.at
    site.slurm.begin(job.key.job_id)
    site.adopt.run()
    started, running = site.clock.at, site.slurm.present[job.key.job_id]
    segments = [
        site.segment(running, started + n * 300, energy_j=energy_j) for n in range(length_s // 300)
    ]
    site.clock.at = started + length_s - 1
    site.slurm.end(job.key.job_id)
    site.clock.at += 1
    site.deliver(*segments)


def settled_by(site, at):
    site.clock.at = at
    site.round()


def test_only_the_lease_is_let_go_and_the_plan_is_kept(site):
    site.forecast(*DIP)
    job = site.slurm.submit(directives=WISH)
    site.round()
    site.round()
    ((job_id, begin_at, note),) = site.slurm.moves
    assert (job_id, begin_at) == (1, START)
    assert "shadow mode" in note
    plan = site.ledger.plans.plan(job.key)
    assert (plan.shadow, plan.reason, plan.start_at) == (True, Reason.CLEANER, START + 2 * HOUR)


def test_a_job_without_a_lease_is_not_touched(site):
    site.forecast(*DIP)
    job = site.slurm.submit(directives=WISH, begin=0)
    site.round()
    assert site.slurm.moves == []
    assert site.ledger.plans.plan(job.key).start_at == START + 2 * HOUR


@pytest.mark.parametrize("begin_s", [3 * HOUR, 700])
def test_a_begin_time_of_somebody_else_stays(site, begin_s):
    site.forecast(*DIP)
    site.slurm.submit(directives=WISH, begin=0)
    site.round()
    site.slurm.present[1] = replace(site.slurm.present[1], eligible_at=START + begin_s)
    site.round()
    assert site.slurm.moves == []


def test_a_job_that_started_before_anybody_looked_has_its_plan_all_the_same(site):
    site.forecast(*DIP)
    job = site.slurm.submit(directives=WISH, begin=0)
    site.clock.at += 20
    site.slurm.begin(1)
    site.round()
    site.clock.at += 40
    site.round()
    assert site.slurm.moves == []
    plan = site.ledger.plans.plan(job.key)
    assert (plan.made_at, plan.start_at) == (START + 20, START + 2 * HOUR)


@pytest.mark.parametrize(("directives", "after_s"), [(None, 20), (WISH, HOUR)])
def test_no_plan_is_made_up_for_others_or_long_afterwards(site, directives, after_s):
    site.forecast(*DIP)
    job = site.slurm.submit(directives=directives, begin=0)
    site.slurm.begin(1)
    site.clock.at += after_s
    site.round()
    assert site.ledger.plans.plan(job.key) is None


def test_active_planning_does_not_plan_what_has_started(make_site):
    site = make_site()
    site.forecast(*DIP)
    job = site.slurm.submit(directives=WISH, begin=0)
    site.slurm.begin(1)
    site.round()
    assert site.ledger.plans.plan(job.key) is None


def starts(site, count, **fields):
    """The planned starts, in hours, of jobs that each start as soon as they are planned."""
    found = []
    for _ in range(count):
        job = site.slurm.submit(directives=WISH, **fields)
        site.round()
        plan = site.ledger.plans.plan(job.key)
        found.append((plan.start_at - START) / HOUR)
        site.slurm.begin(job.key.job_id)
        site.adopt.run()
    return found


def test_hours_that_were_given_away_are_taken_for_those_that_come_later(site, make_site):
    """Sixteen CPUs: one job of sixteen at a time, though each really ran at once.

    Of an hour's limit three quarters of an hour are counted while no run has ended yet.
    """
    site.forecast(400, 200, 100, 300, 400, 400, 400, 400)
    assert starts(site, 4, cpus=16) == [2, 1.25, 2.75, 3.5]


def test_what_really_runs_and_would_wait_leaves_its_room_now(site):
    site.forecast(100, 400, 90, 400, 400, 400, 400, 400)
    first, second = starts(site, 2, cpus=16, time_limit_s=HOUR)
    assert (first, second) == (2, 0)
    assert site.ledger.plans.plan(site.slurm.present[2].key).reason is Reason.NO_ROOM


@pytest.mark.parametrize(("ran_s", "gone"), [(2 * HOUR, False), (600, True)])
def test_a_ghost_is_gone_once_it_would_have_run_as_long_as_it_did(site, ran_s, gone):
    site.forecast(400, 400, 100, 80, 400, 400, 400, 400)
    job = site.slurm.submit(directives=WISH, cpus=16, time_limit_s=2 * HOUR)
    site.round()
    assert site.ledger.plans.plan(job.key).start_at == START + 2 * HOUR
    site.slurm.begin(1)
    site.clock.at += ran_s
    site.slurm.end(1)
    site.clock.at = START + 2 * HOUR + 660
    late = site.slurm.submit(directives=WISH, cpus=16, time_limit_s=HOUR)
    site.round()
    plan = site.ledger.plans.plan(late.key)
    assert (plan.start_at == START + 3 * HOUR) == gone


def test_the_queue_says_that_it_is_a_shadow(site):
    site.forecast(*DIP)
    site.slurm.submit(directives=WISH)
    site.round()
    (row,) = site.views.queue(None)["jobs"]
    assert (row["planned_start_at"], row["plan_reason"], row["saved_mg"]) == (START, "shadow", 0)
    assert row["shadow_start_at"] == START + 2 * HOUR
    assert row["shadow_mg"] < row["expected_mg"] == row["baseline_mg"]
    assert row["plan_text"].startswith("starts when Slurm has room (shadow mode); by its plan: ")


def test_a_running_job_still_tells_what_its_plan_would_have_weighed(site):
    site.forecast(*DIP)
    job = site.slurm.submit(directives=WISH, begin=0)
    site.slurm.begin(1)
    site.round()
    (row,) = site.views.queue(None)["jobs"]
    plan = site.ledger.plans.plan(job.key)
    assert (row["planned_start_at"], row["shadow_start_at"]) == (None, plan.start_at)
    assert row["shadow_mg"] == plan.expected_mg < row["expected_mg"]


def test_what_is_reserved_is_what_it_will_weigh_now(make_site):
    site = make_site(shadow=True, ada=10**9)
    site.forecast(*DIP)
    job = site.slurm.submit(directives=WISH)
    site.round()
    (balance,) = site.quotas.balances("ada", "physics", START)
    assert balance.reserved_mg == site.ledger.plans.plan(job.key).baseline_mg


def test_a_quota_binds_and_lets_go_as_ever(make_site):
    site = make_site(shadow=True, ada=1000)
    site.forecast(*DIP)
    job = site.slurm.submit(directives=WISH)
    site.round()
    assert site.slurm.moves[-1][1] == site.quotas.period_end(START)
    assert not site.ledger.plans.plan(job.key).shadow
    site.quotas.grant("user:ada", None, 10**9, "a grant", "root", site.clock.now())
    site.round()
    assert site.slurm.moves[-1][1] == START
    assert site.ledger.plans.plan(job.key).shadow


def test_a_started_job_is_not_held_by_a_quota(make_site):
    site = make_site(shadow=True, ada=1000)
    site.forecast(*DIP)
    job = site.slurm.submit(directives=WISH, begin=0)
    site.slurm.begin(1)
    site.round()
    assert site.ledger.plans.plan(job.key).reason is Reason.CLEANER
    assert site.slurm.moves == []


def test_between_the_modes_nothing_is_left_behind(make_site):
    active = make_site()
    active.forecast(*DIP)
    job = active.slurm.submit(directives=WISH)
    active.round()
    assert active.slurm.moves[-1][1] == START + 2 * HOUR
    shadow = replace(active, shadow=True)
    shadow.round()
    assert shadow.slurm.moves[-1][1] == START, "a deferral that counted is let go"
    shadow.round()
    assert len(shadow.slurm.moves) == 2
    active.round()
    assert active.slurm.moves[-1][1] == START + 2 * HOUR
    assert not active.ledger.plans.plan(job.key).shadow


def test_a_shadow_counts_as_no_deferral_where_jobs_are_accounted(site):
    site.forecast(*DIP)
    job = site.slurm.submit(directives=WISH)
    site.round()
    run_job(site, job, at=START + 900)
    site.actual(START, *DIP)
    settled_by(site, START + 12 * HOUR)
    (row,) = site.views.jobs("ada", None, 0, None, evidence=False)["jobs"]
    assert (row["deferred_s"], row["saved_mg"]) == (0, None)


def test_the_report_reckons_with_the_hours_that_occurred(site):
    site.forecast(*DIP)
    job = site.slurm.submit(directives=WISH)
    site.round()
    run_job(site, job)
    site.actual(START, 410, 370, 120, 150)
    settled_by(site, START + 12 * HOUR)
    report = site.shadows.of("lab", START, START + 12 * HOUR)
    now_mg, then_mg = mass_mg(360_000, 410_000), mass_mg(360_000, 120_000)
    assert report["total"] == {
        "jobs": 1, "reckoned_jobs": 1, "deferred_jobs": 1, "deferred_reckoned_jobs": 1,
        "delay_mean_s": 2 * HOUR, "delay_p95_s": 2 * HOUR, "mg": now_mg, "would_mg": then_mg,
        "deferred_mg": now_mg, "deferred_would_mg": then_mg,
    }  # fmt: skip
    assert report["users"] == [{"user": "ada", **report["total"]}]
    assert (report["ended_jobs"], report["not_reckoned"]) == (1, [])


def test_power_over_time_moves_with_the_job(site):
    """A job that works in its second hour only has that hour's energy moved to the second hour."""
    site.forecast(400, 400, 100, 100, 400, 400)
    job = site.slurm.submit(directives=WISH, time_limit_s=2 * HOUR)
    site.round()
    assert site.ledger.plans.plan(job.key).start_at == START + 2 * HOUR
    site.slurm.begin(1)
    site.adopt.run()
    running = site.slurm.present[1]
    joules = [0] * 12 + [30_000] * 12
    segments = [
        site.segment(running, START + n * 300, energy_j=each) for n, each in enumerate(joules)
    ]
    site.clock.at = START + 2 * HOUR - 1
    site.slurm.end(1)
    site.deliver(*segments)
    site.actual(START, 400, 400, 999, 100)
    settled_by(site, START + 12 * HOUR)
    total = site.shadows.of(None, START, START + 12 * HOUR)["total"]
    assert total["mg"] == mass_mg(360_000, 400_000)
    assert total["would_mg"] == mass_mg(360_000, 100_000)


def test_a_segment_that_began_before_the_job_does_not_reach_before_the_planned_start(site):
    site.forecast(*DIP)
    site.clock.at = START + 290
    job = site.slurm.submit(directives=WISH, time_limit_s=600)
    site.round()
    assert site.ledger.plans.plan(job.key).start_at == START + 2 * HOUR
    site.slurm.begin(1)
    site.adopt.run()
    running = site.slurm.present[1]
    segments = [site.segment(running, START + n * 300, present_ms=10_000) for n in range(3)]
    site.clock.at = START + 610
    site.slurm.end(1)
    site.deliver(*segments)
    site.actual(START, *DIP)
    settled_by(site, START + 12 * HOUR)
    total = site.shadows.of("lab", START, START + 12 * HOUR)["total"]
    assert total["mg"] == mass_mg(90_000, 400_000)
    assert total["would_mg"] == mass_mg(90_000, 100_000)


def test_what_is_not_known_is_counted_and_never_zero(site):
    site.forecast(*DIP)
    job = site.slurm.submit(directives=WISH)
    site.round()
    run_job(site, job)
    site.actual(START, 410)
    settled_by(site, START + 90 * 60)

    def reckoned():
        report = site.shadows.of("lab", START, START + 12 * HOUR)
        assert report["total"]["deferred_jobs"] == 1
        return report["total"]["would_mg"], [row["why"] for row in report["not_reckoned"]]

    assert reckoned() == (None, [reasons.TO_COME])
    settled_by(site, START + 8 * HOUR)
    assert reckoned() == (None, [reasons.UNPRICED])
    site.actual(START + 2 * HOUR, 120)
    assert reckoned() == (mass_mg(360_000, 120_000), [])


def test_a_job_that_is_not_settled_is_told(site):
    site.forecast(*DIP)
    job = site.slurm.submit(directives=WISH)
    site.round()
    run_job(site, job)
    site.adopt.run()
    report = site.shadows.of("lab", START, START + 12 * HOUR)
    assert report["not_reckoned"] == [{"why": reasons.UNSETTLED, "jobs": 1, "deferred_jobs": 1}]
    assert report["total"]["mg"] is None


def test_a_job_that_queued_beyond_its_planned_start_would_not_have_started_later(site):
    site.forecast(*DIP)
    job = site.slurm.submit(directives=WISH)
    site.round()
    settled_by(site, START + 2 * HOUR + 60)
    run_job(site, job, at=START + 3 * HOUR)
    site.actual(START, *DIP)
    settled_by(site, START + 12 * HOUR)
    total = site.shadows.of("lab", START, START + 12 * HOUR)["total"]
    assert (total["jobs"], total["deferred_jobs"], total["reckoned_jobs"]) == (1, 0, 1)
    assert total["mg"] == total["would_mg"] == mass_mg(360_000, 390_000)


def test_tasks_of_an_array_go_by_its_plan(site):
    site.forecast(*DIP)
    array = site.slurm.submit(directives=WISH, tasks=2)
    site.round()
    for task in (2, 3):
        site.slurm.submit(directives=None, begin=0, array_job_id=1, array_task=str(task))
    site.slurm.present.pop(1)
    for number in (2, 3):
        run_job(site, site.slurm.present[number], at=START + 600)
    assert site.ledger.plans.plan(array.key) is not None
    site.actual(START, *DIP)
    settled_by(site, START + 12 * HOUR)
    total = site.shadows.of("lab", START, START + 12 * HOUR)["total"]
    assert (total["jobs"], total["deferred_jobs"]) == (2, 2)


def test_jobs_are_counted_where_they_end_and_users_stand_by_what_they_would_save(site):
    site.forecast(*DIP)
    for user in ("ben", "ada", "ben"):
        site.slurm.submit(user, directives=WISH, cpus=1)
    site.slurm.submit(begin=0)
    site.round()
    for number, energy_j in ((1, 1000), (2, 30_000), (3, 2000), (4, 5000)):
        run_job(site, site.slurm.present[number], length_s=300, energy_j=energy_j)
    site.actual(START, *DIP)
    settled_by(site, START + 12 * HOUR)
    report = site.shadows.of("lab", START, START + 12 * HOUR)
    assert [(row["user"], row["jobs"]) for row in report["users"]] == [("ada", 1), ("ben", 2)]
    assert (report["ended_jobs"], report["total"]["jobs"]) == (4, 3)
    for name in ("jobs", "mg", "would_mg"):
        assert report["total"][name] == sum(row[name] for row in report["users"])
    assert site.shadows.of("lab", START, START + 600)["ended_jobs"] == 2
    assert site.shadows.of("lab", START + 600, START + HOUR)["ended_jobs"] == 2
    with pytest.raises(RequestError, match="known: lab"):
        site.shadows.of("elsewhere", START, START + HOUR)


def test_the_nineteenth_of_twenty_is_the_95th_percentile():
    cases = [reasons.Case(user="ada", delay_s=number) for number in range(1, 21)]
    assert reasons._sums(cases)["delay_p95_s"] == 19
    assert reasons._sums(cases[:1])["delay_p95_s"] == 1
    assert reasons._sums([])["delay_p95_s"] is None
