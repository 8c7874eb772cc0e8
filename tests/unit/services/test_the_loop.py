"""From submission to statement through the services."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from fractions import Fraction

import pytest

from carbonsched.errors import ForbiddenError, RequestError
from carbonsched.model.directives import Directives
from carbonsched.model.energy import Quality
from carbonsched.services.statement import Scope
from carbonsched.transport.munge import Caller

LEASE_S, START = 120, 1_792_998_000

HOUR = 3600


def run_job(site, job, *, at=None, length_s=HOUR):
    """Let a job run, metered in 5-minute segments, and end."""
    site.clock.at = at or site.clock.at
    site.slurm.begin(job.key.job_id)
    site.adopt.run()
    started = site.clock.at
    running = site.slurm.present[job.key.job_id]
    segments = [site.segment(running, started + n * 300) for n in range(length_s // 300)]
    site.clock.at = started + length_s - 1  # the job ends within this second
    site.slurm.end(job.key.job_id)
    site.clock.at += 1
    site.deliver(*segments)
    return started


def test_a_job_that_can_wait_is_moved_to_the_clean_hour_and_saves(site):
    site.forecast(400, 380, 100, 390, 400, 400)
    job = site.slurm.submit(directives=Directives(max_delay_s=6 * HOUR))
    site.round()
    (move,) = site.slurm.moves
    assert move[:2] == (1, START + 2 * HOUR)
    assert "less" in move[2]
    site.round()
    assert len(site.slurm.moves) == 1, "an unchanged plan is not told again"

    run_job(site, job, at=START + 2 * HOUR)
    site.actual(START, 410, 370, 120, 380)
    site.clock.at += 600
    site.round()
    assert site.views.jobs("ada", None, 0, None, evidence=False)["jobs"][0]["provisional"]
    site.clock.at += HOUR  # the settling lag
    site.round()
    row = site.views.jobs("ada", None, 0, None, evidence=True)["jobs"][0]
    energy_j = 12 * 30_000
    assert row["energy_j"] == energy_j
    assert row["mg"] == round(Fraction(energy_j * 12 * 120_000, 3_600_000 * 10))
    assert row["saved_mg"] == round(Fraction(energy_j * 12 * 410_000, 36_000_000)) - row["mg"]
    assert row["deferred_s"] == 2 * HOUR
    assert (row["quality"], row["provisional"]) == ("modelled", False)
    assert sum(float(one["mg"]) for one in row["evidence"]) == pytest.approx(row["mg"])


def test_a_job_that_cannot_wait_starts_before_its_lease_runs_out(site):
    site.forecast(400, 100, 100)
    site.slurm.submit(directives=Directives())
    site.round()
    assert [move[:2] for move in site.slurm.moves] == [(1, START)]


def test_without_a_forecast_a_job_starts_now(site):
    site.slurm.submit(directives=Directives(max_delay_s=6 * HOUR))
    site.round()
    assert site.slurm.moves[0][1] <= START
    assert "no forecast" in site.slurm.moves[0][2]


def test_jobs_without_our_mark_are_never_moved(site):
    site.forecast(400, 100, 100)
    site.slurm.submit(begin=0, comment="carbonsched/2 delay=99999")
    site.slurm.submit(begin=0, comment="'; scontrol shutdown #")
    site.round()
    assert site.slurm.moves == []


def test_an_owners_begin_is_not_undercut(site):
    site.forecast(400, 100, 300, 200, 300, 300)
    site.slurm.submit(directives=Directives(max_delay_s=5 * HOUR), begin=2 * HOUR)
    site.round()
    assert [move[1] for move in site.slurm.moves] == [START + 3 * HOUR]


def test_a_deferral_never_passes_its_bounds_when_plans_are_made_again(site):
    site.forecast(*[400 - 10 * n for n in range(12)])
    site.slurm.submit(directives=Directives(max_delay_s=3 * HOUR))
    for _ in range(20):
        site.round()
        site.clock.at += 600
        if site.slurm.present[1].eligible_at <= site.clock.at:
            break
    assert max(move[1] for move in site.slurm.moves) <= START + 3 * HOUR


def test_an_exhausted_quota_holds_a_job_to_the_next_month_and_a_grant_frees_it(make_site):
    site = make_site(ada=1000)
    site.actual(START - HOUR, 400)
    site.forecast(*[400] * 6)
    site.slurm.submit(directives=Directives())
    site.round()
    _, start_at, note = site.slurm.moves[-1]
    assert start_at == site.quotas.period_end(START)
    assert note.startswith("carbonsched:quota ")
    assert f"(until={start_at})" in note
    assert "user:ada" in note

    site.quotas.grant("user:ada", None, 10**9, "conference deadline", "root", site.clock.now())
    site.round()
    assert site.slurm.moves[-1][1] <= site.clock.now()


def test_a_plain_job_put_off_by_the_submit_plugin_is_freed_by_a_grant(make_site):
    site = make_site(ada=1000)
    site.forecast(*[400] * 6)
    end = site.quotas.period_end(START)
    site.slurm.submit(begin=end - START, admin_comment="carbonsched:quota used up")
    site.round()
    assert all(move[1] == end for move in site.slurm.moves)
    site.quotas.grant("user:ada", None, 10**9, "a grant", "root", site.clock.now())
    site.round()
    assert site.slurm.moves[-1][1] <= site.clock.now()


def test_reservations_follow_the_job_and_end_with_it(make_site):
    site = make_site(ada=10**9)
    site.forecast(*[300] * 6)
    job = site.slurm.submit(directives=Directives())
    site.round()
    (balance,) = site.quotas.balances("ada", "physics", START)
    assert balance.reserved_mg > 0
    run_job(site, job)
    site.actual(START - HOUR, 300, 300, 300, 300)
    site.clock.at += 1000
    site.round()
    (balance,) = site.quotas.balances("ada", "physics", START)
    assert balance.reserved_mg == 0
    assert balance.charged_mg == round(Fraction(12 * 30_000 * 12 * 300_000, 36_000_000))


def test_a_cancelled_job_gives_back_what_it_reserved(make_site):
    site = make_site(ada=10**9)
    site.forecast(400, 400, 100, 400)
    site.slurm.submit(directives=Directives(max_delay_s=3 * HOUR))
    site.round()
    site.slurm.end(1, "CANCELLED")
    site.round()
    (balance,) = site.quotas.balances("ada", "physics", START)
    assert balance.reserved_mg == 0


def test_readings_twice_and_out_of_order_charge_once(site):
    site.forecast(*[300] * 6)
    job = site.slurm.submit(directives=Directives())
    site.round()
    site.slurm.begin(1)
    site.round()
    started = site.clock.at
    running = site.slurm.present[1]
    segments = [site.segment(running, started + n * 300) for n in range(12)]
    site.clock.at += HOUR
    site.slurm.end(1)
    site.actual(START - HOUR, 300, 300, 300)
    shuffled = segments * 3
    random.Random(4).shuffle(shuffled)
    for segment in shuffled:
        site.deliver(segment)
        site.settle.run()
    site.clock.at += 1000
    site.round()
    settled = site.ledger.entries.settlement(job.key)
    mg, energy_j = site.ledger.entries.charge_sum("2026-10", "ada", None)
    assert energy_j == settled.energy_j == 12 * 30_000
    assert mg == settled.mg == round(Fraction(energy_j * 12 * 300_000, 36_000_000))


def test_another_figure_for_the_same_time_is_refused_and_says_why(site):
    job = site.slurm.submit()
    first = site.segment(job, START)
    other = site.segment(job, START, energy_j=31_000)
    overlap = site.segment(job, START + 100)
    assert site.deliver(first)["accepted"] == 1
    answer = site.deliver(other, overlap, site.segment(job, START, node="n2"))
    assert answer["accepted"] == 1
    assert [one["index"] for one in answer["refused"]] == [0, 1]
    assert "same time" in answer["refused"][0]["error"]


def test_a_segment_for_a_job_never_seen_is_kept_and_counts_once_it_is(site):
    site.actual(START - HOUR, 300, 300)
    job = site.slurm.submit()
    stranger = replace(job, key=replace(job.key, job_id=77), state="RUNNING", started_at=START)
    site.deliver(site.segment(stranger, START))
    site.round()
    site.slurm.present[77] = replace(stranger, nodes=("n1",))
    site.clock.at += 300
    site.slurm.end(77)
    site.round()
    assert site.ledger.entries.settlement(stranger.key).energy_j == 30_000


@pytest.mark.parametrize(
    "item", [None, 5, "x", [], {}, {"cluster": "lab"}, {"energy_j": -1}, {"parts": None}]
)
def test_nonsense_among_readings_is_refused_alone(site, item):
    job = site.slurm.submit()
    wires = [json.loads(json.dumps(site.segment(job, START).to_wire())), item]
    answer = site.take.take(Caller(uid=0, gid=0, payload=b""), wires, [item])
    assert answer["accepted"] == 1
    assert {(one["list"], one["index"]) for one in answer["refused"]} == {
        ("segments", 1),
        ("epochs", 0),
    }


def test_only_root_may_deliver(site):
    with pytest.raises(ForbiddenError, match="root"):
        site.take.take(Caller(uid=1001, gid=1001, payload=b""), [], [])


def test_a_job_that_no_node_metered_is_missing_and_listed(site):
    job = site.slurm.submit(directives=Directives())
    site.round()
    site.slurm.begin(1)
    site.round()
    site.clock.at += HOUR
    site.slurm.end(1)
    site.clock.at += 3 * HOUR
    site.round()
    settled = site.ledger.entries.settlement(job.key)
    assert (settled.quality, settled.energy_j, settled.mg) == (Quality.MISSING, None, None)
    report = site.statements.build(Scope(kind="user", name="ada", user="ada"), "2026-10")
    assert [row["energy_j"] for row in report["jobs"]] == [None]
    shares = {row["quality"]: row["share_pct"] for row in report["quality"]}
    assert shares["missing"] == 100


def test_the_statement_adds_up_to_the_ledger(site):
    site.actual(START - HOUR, *[250 + 37 * n for n in range(12)])
    site.forecast(*[300] * 24)
    for number in range(3):
        job = site.slurm.submit(directives=Directives(campaign="sweep" if number else None))
        site.round()
        run_job(site, job)
    site.clock.at += 2000
    site.round()
    report = site.statements.build(Scope(kind="user", name="ada", user="ada"), "2026-10")
    ledger_mg, ledger_j = site.ledger.entries.charge_sum("2026-10", "ada", None)
    assert ledger_mg > 0
    for rows in ([report["totals"]], report["days"], report["accounts"], report["jobs"]):
        assert sum(row["mg"] for row in rows) == ledger_mg
        assert sum(row["energy_j"] for row in rows) == ledger_j
    (campaign,) = report["campaigns"]
    assert (campaign["name"], campaign["jobs"]) == ("sweep", 2)


def test_a_revised_intensity_is_charged_as_the_difference_until_final(site):
    job = site.slurm.submit()
    site.slurm.begin(1)
    site.round()
    running = site.slurm.present[1]
    site.deliver(site.segment(running, START))
    site.actual(START, 300)
    site.clock.at += 300
    site.settle.run()
    site.clock.at += 300
    site.actual(START, 310)
    site.settle.run()
    mg, energy_j = site.ledger.entries.charge_sum("2026-10", "ada", None)
    assert energy_j == 30_000
    assert mg == round(Fraction(30_000 * 12 * 310_000, 36_000_000))
    assert site.ledger.entries.settlement(job.key).provisional


def test_a_month_boundary_divides_a_jobs_charge(site):
    november = 1_793_491_200
    site.clock.at = november - 300
    site.actual(november - HOUR, 300, 300)
    site.slurm.submit()
    site.slurm.begin(1)
    site.round()
    running = site.slurm.present[1]
    site.deliver(site.segment(running, november - 300), site.segment(running, november))
    site.clock.at = november + 300
    site.slurm.end(1)
    site.round()
    for month in ("2026-10", "2026-11"):
        assert site.ledger.entries.charge_sum(month, "ada", None)[1] == 30_000


def test_adopting_anothers_job_is_forbidden_and_an_unknown_one_is_named(site):
    site.slurm.submit("ben")
    with pytest.raises(ForbiddenError):
        site.adopt.one("lab", 1, Directives(), 1001)
    with pytest.raises(RequestError, match="no job 9"):
        site.adopt.one("lab", 9, Directives(), 1001)
    with pytest.raises(RequestError, match="known: lab"):
        site.adopt.one("nowhere", 1, Directives(), 1001)


def test_a_comment_of_the_users_own_is_adopted_by_what_csbatch_told(site):
    site.forecast(400, 100, 400)
    job = site.slurm.submit(comment="my own note")
    site.adopt.one("lab", 1, Directives(max_delay_s=2 * HOUR, lease_s=LEASE_S), job.uid)
    site.round()
    assert [move[1] for move in site.slurm.moves] == [START + HOUR]


def test_a_requeued_run_is_its_own_job_with_the_same_directives(site):
    job = site.slurm.submit(comment="mine")
    site.adopt.one("lab", 1, Directives(epochs=5), job.uid)
    site.clock.at += LEASE_S
    again = replace(
        job, key=replace(job.key, submitted_at=site.clock.at, restarts=1),
        eligible_at=site.clock.at + 120,
    )  # fmt: skip
    site.slurm.present[1] = again
    site.round()
    known = site.ledger.jobs.get(again.key)
    assert known.directives == Directives(epochs=5)
    assert known.begin_at == site.clock.at + 120
    assert site.slurm.moves == []


def test_a_requeued_job_that_still_cleans_up_is_no_run_of_its_own(site):
    job = site.slurm.submit(comment="mine")
    site.round()
    site.slurm.present[1] = replace(job, key=replace(job.key, restarts=1), state="COMPLETING")
    site.round()
    assert [known.job.key.restarts for known in site.ledger.jobs.select()] == [0]


def test_the_queue_shows_plans_of_one_user_only(site):
    site.forecast(400, 100, 400)
    site.slurm.submit("ada", Directives(max_delay_s=2 * HOUR))
    site.slurm.submit("ben", Directives())
    site.round()
    rows = site.views.queue("ada")["jobs"]
    assert [row["user"] for row in rows] == ["ada"]
    assert rows[0]["planned_start_at"] == START + HOUR
    assert rows[0]["saved_mg"] > 0
    assert len(site.views.queue(None)["jobs"]) == 2


def test_the_queue_shows_a_prediction_with_both_intervals(site):
    site.forecast(400, 100, 400)
    site.slurm.submit("ada", Directives())
    site.round()
    (row,) = site.views.queue("ada")["jobs"]
    told = row["prediction"]
    assert told["source"] == "limits"
    ends = ("_low", "_p25", "", "_p75", "_high")
    for figures in (
        [told[f"duration{end}_s"] for end in ends],
        [told[f"energy{end}_j"] for end in ends],
        [told["mg" + end] for end in ends],
        [row[f"finish{end}_at"] for end in ends],
    ):
        assert figures == sorted(figures)
    assert told["mg_low"] < told["mg_p25"] < told["mg"] < told["mg_p75"] < told["mg_high"]


def test_a_clock_that_goes_back_charges_nothing_twice(site):
    site.actual(START - HOUR, 300, 300, 300)
    job = site.slurm.submit()
    site.slurm.begin(1)
    site.round()
    site.deliver(site.segment(site.slurm.present[1], START))
    site.clock.at += 600
    site.round()
    site.clock.at -= 500
    site.round()
    site.clock.at += 900
    site.slurm.end(1)
    site.round()
    assert site.ledger.entries.charge_sum("2026-10", "ada", None)[1] == 30_000
    assert site.ledger.entries.settlement(job.key).energy_j == 30_000


def test_a_segment_that_comes_after_the_job_was_final_is_charged_too(site):
    site.actual(START - HOUR, 300, 300, 300)
    job = site.slurm.submit()
    site.slurm.begin(1)
    site.round()
    running = site.slurm.present[1]
    first, last = (site.segment(running, START + n * 300) for n in range(2))
    site.deliver(first)
    site.clock.at += 600
    site.slurm.end(1)
    site.clock.at += 2000
    site.round()
    settled = site.ledger.entries.settlement(job.key)
    assert (settled.complete, settled.quality, settled.energy_j) == (True, Quality.PARTIAL, 30_000)
    site.deliver(last)
    site.round()
    assert site.ledger.entries.settlement(job.key).energy_j == 60_000
    assert site.ledger.entries.charge_sum("2026-10", "ada", None)[1] == 60_000


def test_a_job_is_not_final_before_its_last_segment_has_come(site):
    site.actual(START - HOUR, *[300] * 6)
    job = site.slurm.submit()
    site.slurm.begin(1)
    site.round()
    running = site.slurm.present[1]
    segments = [site.segment(running, START + n * 300) for n in range(40)]
    site.clock.at += 40 * 300 - 1
    site.slurm.end(1)
    site.deliver(*segments[:-1])
    site.round()
    assert not site.ledger.entries.settlement(job.key).complete
    site.deliver(segments[-1])
    site.round()
    assert site.ledger.entries.settlement(job.key).complete


def test_a_job_cancelled_while_it_waited_for_a_far_time_leaves_the_queue(make_site):
    site = make_site(ada=1000)
    site.actual(START - HOUR, 400)
    site.forecast(*[400] * 6)
    site.slurm.submit(directives=Directives())
    site.round()
    assert site.slurm.present[1].eligible_at > START + 86_400
    site.slurm.end(1, "CANCELLED")
    site.clock.at += 600
    site.round()
    assert site.views.queue("ada")["jobs"] == []


def test_an_owners_begin_as_long_as_the_lease_is_the_owners(site):
    site.forecast(400, 100, 100)
    job = site.slurm.submit(begin=LEASE_S, comment="carbonsched/1 delay=0")
    site.round()
    assert site.slurm.moves == []
    assert site.ledger.jobs.get(job.key).begin_at == START + LEASE_S


def test_a_reservation_is_the_central_prediction_with_pue(make_site):
    site = make_site(ada=10**9)
    site.forecast(*[300] * 6)
    site.slurm.submit(directives=Directives())
    site.round()
    (balance,) = site.quotas.balances("ada", "physics", START)
    # An hour of two of eight CPUs between 80 and 240 W: 40 W in the middle, 144 kJ.
    assert balance.reserved_mg == Fraction(144_000 * 300_000 * 12, 3_600_000 * 10)
