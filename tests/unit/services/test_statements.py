"""Statements at their edges: nothing, campaigns, accounts, clusters, months."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from carbonsched.errors import RequestError
from carbonsched.model.directives import Directives
from carbonsched.model.entry import EntryKind, LedgerEntry
from carbonsched.model.intensity import IntensitySeries, Point, SeriesInfo
from carbonsched.services.managed import Clusters, ManagedCluster
from carbonsched.services.pue import ConstantPue
from carbonsched.services.statement import Scope, Statements

HOUR = 3600
INFO = SeriesInfo(provider="recorded", zone="DE")
MONTH = "2026-10"
ADA = Scope(kind="user", name="ada", user="ada")
PHYSICS = Scope(kind="account", name="physics", account="physics")


def run_job(site, user="ada", directives=None, energy_j=30_000, slurm=None, length_s=HOUR, **more):
    slurm = slurm or site.slurm
    job = slurm.submit(user, directives or Directives(start_now=True), **more)
    site.round()
    slurm.begin(job.key.job_id)
    site.adopt.run()
    started = site.clock.at
    running = slurm.present[job.key.job_id]
    segments = [
        replace(
            site.segment(running, started + n * 300, energy_j=energy_j), cluster=job.key.cluster
        )
        for n in range(length_s // 300)
    ]
    site.clock.at = started + length_s
    slurm.end(job.key.job_id)
    answer = site.deliver(*segments)
    assert answer["accepted"] == len(segments), answer
    site.clock.at += 1000
    site.round()
    return job


@pytest.fixture
def metered(site):
    """A site whose grid is known around the clock."""
    site.actual(site.clock.at - HOUR, *[300] * 30)
    return site


@pytest.mark.parametrize("month", [None, "2020-01", "2030-02"])
@pytest.mark.parametrize(
    "scope", [ADA, PHYSICS, Scope(kind="campaign", name="sweep", campaign="sweep")]
)
def test_an_empty_month_is_a_whole_statement_of_nothing(site, scope, month):
    report = site.statements.build(scope, month)
    assert report["period"]["name"] == (month or MONTH)
    assert report["period"]["start_at"] < report["period"]["end_at"]
    assert report["totals"] == {
        "jobs": 0, "energy_j": 0, "mg": 0, "provisional_mg": 0, "saved_mg": None,
        "embodied_mg": None, "embodied_jobs": 0, "modelled_j": 0, "uncertainty_j": 0,
        "deferred_jobs": 0, "cpu_s": 0, "elapsed_s": 0,
    }  # fmt: skip
    for name in ("days", "accounts", "campaigns", "jobs", "intensity", "sources"):
        assert report[name] == []
    assert [row["share_pct"] for row in report["quality"]] == [0] * 5
    assert report["car"]["km"] == 0
    assert report["quota"] is None
    assert scope.name in report["statement"]
    assert "None" not in report["statement"]


@pytest.mark.parametrize(
    "month", ["2026-13", "2026-00", "2026-1", "26-11", "november", "", "2026-11-01", "0000-01",
              "9999-12", "2026/11", "٢٠٢٦-11", "2026-11\n"],
)  # fmt: skip
def test_what_is_no_month_is_refused_with_the_form(site, month):
    if month == "":
        assert site.statements.build(ADA, month)["period"]["name"] == MONTH
        return
    with pytest.raises(RequestError, match="is not a month; write it as 2026-11"):
        site.statements.build(ADA, month)


def test_a_campaign_is_of_its_jobs_and_only_the_callers(metered):
    run_job(metered, directives=Directives(start_now=True, campaign="sweep"))
    run_job(metered, directives=Directives(start_now=True, campaign="other"))
    run_job(metered, "ben", directives=Directives(start_now=True, campaign="sweep"))
    run_job(metered)
    everybodys = Scope(kind="campaign", name="sweep", campaign="sweep")
    whole = metered.statements.build(everybodys, MONTH)
    assert (whole["totals"]["jobs"], whole["totals"]["energy_j"]) == (2, 2 * 12 * 30_000)
    assert {row["user"] for row in whole["jobs"]} == {"ada", "ben"}
    own = metered.statements.build(replace(everybodys, user="ada"), MONTH)
    assert own["totals"]["jobs"] == 1
    assert [row["campaign"] for row in own["jobs"]] == ["sweep"]


def test_an_account_is_of_all_its_users_and_jobs_without_one_are_named_so(metered):
    run_job(metered, "ada")
    run_job(metered, "ben")
    run_job(metered, "ada", account="")
    assert metered.statements.build(PHYSICS, MONTH)["totals"]["jobs"] == 2
    accounts = metered.statements.build(ADA, MONTH)["accounts"]
    assert {row["name"]: row["jobs"] for row in accounts} == {"physics": 1, "(none)": 1}
    ledger_mg, ledger_j = metered.ledger.entries.charge_sum(MONTH, None, "physics")
    totals = metered.statements.build(PHYSICS, MONTH)["totals"]
    assert (totals["mg"], totals["energy_j"]) == (ledger_mg, ledger_j)


@pytest.fixture
def two_clusters(metered):
    """The site with a second cluster of its own PUE beside the first."""
    other = type(metered.slurm)(metered.clock)
    other.name = "other"
    submit = other.submit

    def submit_there(*arguments, **more):
        job = submit(*arguments, **more)
        there = replace(job, key=replace(job.key, cluster="other"))
        other.present[job.key.job_id] = there
        return there

    other.submit = submit_there
    first = metered.clusters.get("lab")
    both = Clusters(
        [first, ManagedCluster(cluster=other, zone="DE", pue=ConstantPue(pue_ppm=1_500_000))]
    )
    metered.clusters._by_name.update({one.name: one for one in both})
    metered.take._clusters.add("other")
    return metered, other


def test_clusters_are_added_up_each_with_its_own_pue(two_clusters):
    site, other = two_clusters
    run_job(site)
    run_job(site, slurm=other)
    report = site.statements.build(ADA, MONTH)
    masses = {row["cluster"]: (row["pue"], row["mg"]) for row in report["jobs"]}
    assert masses == {"lab": (1.2, 36_000), "other": (1.5, 45_000)}
    assert report["totals"]["mg"] == sum(row["mg"] for row in report["days"]) == 81_000


def test_a_cluster_that_is_no_longer_managed_stays_in_the_statement(two_clusters):
    site, other = two_clusters
    run_job(site, slurm=other)
    before = site.statements.build(ADA, MONTH)
    del site.clusters._by_name["other"]
    report = site.statements.build(ADA, MONTH)
    assert report["totals"] == before["totals"]
    assert sum(row["mg"] for row in report["days"]) == 45_000
    (row,) = site.views.jobs("ada", None, 0, None, evidence=True)["jobs"]
    assert row["mg"] == 45_000
    assert {one["mg"] for one in row["evidence"]} == {None}


def test_a_correction_is_shown_within_the_month_that_bears_it(metered):
    """Readings of a closed month that come late are charged to the current one."""
    job = metered.slurm.submit(directives=Directives(start_now=True))
    metered.round()
    metered.slurm.begin(1)
    metered.adopt.run()
    running = metered.slurm.present[1]
    segment = metered.segment(running, metered.clock.at)
    metered.clock.at += 300
    metered.slurm.end(1)
    metered.adopt.run()
    metered.clock.at += 60 * 86_400
    metered.deliver(segment)
    metered.settle.run()
    december = metered.statements.build(ADA, None)
    assert december["period"]["name"] == "2026-12"
    assert december["totals"]["energy_j"] == 30_000
    (day,) = december["days"]
    assert day["date"].startswith("2026-12-")
    assert day["mg"] == december["totals"]["mg"] == 3000
    assert metered.statements.build(ADA, MONTH)["totals"]["mg"] == 0
    assert metered.ledger.entries.charged(job.key) == {MONTH: (3000, 30_000, 1)}


def test_days_are_those_of_the_sites_clock(metered):
    there = Statements(
        "Test site", "Pacific/Auckland", metered.clusters, metered.ledger, metered.grid,
        metered.quotas, metered.settle, metered.views, metered.clock,
    )  # fmt: skip
    midnight = 1_793_012_400  # 2026-10-27 00:00 in Auckland
    metered.clock.at = midnight - 600
    run_job(metered, length_s=1200)
    days = there.build(ADA, MONTH)["days"]
    assert [(day["date"], day["energy_j"]) for day in days] == [
        ("2026-10-26", 60_000), ("2026-10-27", 60_000),
    ]  # fmt: skip
    assert len(metered.statements.build(ADA, MONTH)["days"]) == 1


def test_of_very_many_jobs_the_largest_are_listed_and_all_are_counted(metered):
    job = run_job(metered)
    known = metered.ledger.jobs.get(job.key)
    with metered.ledger.transaction():
        for number in range(2, 260):
            key = replace(job.key, job_id=number)
            metered.ledger.jobs.save(replace(known, job=replace(known.job, key=key)))
            entry = LedgerEntry(
                kind=EntryKind.CHARGE, key=key, user="ada", account="physics", period=MONTH,
                at=1, mg=number, energy_j=1, idempotency_key=str(number),
            )  # fmt: skip
            metered.ledger.entries.post(entry, origin=MONTH)
    report = metered.statements.build(ADA, MONTH)
    assert report["totals"]["jobs"] == 259
    assert len(report["jobs"]) == 200
    masses = [row["mg"] for row in report["jobs"] if row["mg"] is not None]
    assert masses[0] == 36_000
    assert report["totals"]["mg"] == 36_000 + sum(range(2, 260))


def test_a_long_series_is_thinned_to_its_mean(metered):
    """A job of an hour would need none; one that was submitted three weeks earlier does."""
    start_at = metered.clock.at
    points = tuple(
        Point(at, at + 300, 100_000 if at % 600 else 300_000)
        for at in range(start_at - HOUR, start_at + 21 * 86_400, 300)
    )
    job = metered.slurm.submit(directives=Directives(start_now=True))
    metered.round()
    metered.clock.at += 20 * 86_400
    metered.ledger.archive.add_actual(
        IntensitySeries(info=replace(INFO, note="fine"), fetched_at=metered.clock.at, points=points)
    )
    metered.slurm.begin(1)
    metered.adopt.run()
    segment = metered.segment(metered.slurm.present[1], metered.clock.at)
    metered.clock.at += 300
    metered.slurm.end(1)
    metered.deliver(segment)
    metered.clock.at += HOUR
    metered.round()
    assert metered.ledger.entries.charged(job.key)
    pieces = metered.statements.build(ADA, "2026-11")["intensity"]
    assert 1000 < len(pieces) <= 1500
    assert all(before["end_at"] == after["start_at"] for before, after in pairwise(pieces))
    lengths = [piece["end_at"] - piece["start_at"] for piece in pieces]
    weighted = sum(
        piece["g_per_kwh"] * length for piece, length in zip(pieces, lengths, strict=True)
    )
    assert weighted / sum(lengths) == pytest.approx(200, rel=0.001)
