"""What a statement says beside its sums: PUE over time, embodied carbon, parts, uncertainty."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from carbonsched.accounting import Embodied, EmbodiedNodes, period
from carbonsched.model.directives import Directives
from carbonsched.model.energy import Domain, Quality
from carbonsched.model.pue import PuePoint
from carbonsched.services.pue import ArchivedPue, Since, TablePue
from carbonsched.services.statement import Scope
from carbonsched.services.statement_sums import StatementLine, month_row

HOUR, DAY = 3600, 86_400
MONTH = "2026-10"
ADA = Scope(kind="user", name="ada", user="ada")
SERVERS = Embodied([EmbodiedNodes(nodes="n[1-2]", mg=3_155_760_000, lifetime_s=31_557_600)])
"""100 mg a second of a whole node."""
PARTS = {Domain.CPU: 20_000, Domain.GPU: 9_000, Domain.REST: 1_000}


def run_job(site, length_s=HOUR, **more):
    job = site.slurm.submit("ada", Directives(start_now=True))
    site.round()
    site.slurm.begin(job.key.job_id)
    site.adopt.run()
    started, running = site.clock.at, site.slurm.present[job.key.job_id]
    site.clock.at = started + length_s
    site.slurm.end(job.key.job_id)
    segments = [site.segment(running, started + n * 300, **more) for n in range(length_s // 300)]
    assert site.deliver(*segments)["accepted"] == len(segments)
    site.clock.at += 1000
    site.round()
    return job


def known_grid(site):
    site.actual(site.clock.at - HOUR, *[300] * 30)
    return site


def test_embodied_carbon_has_its_line_and_is_in_no_sum(make_site):
    plain, declared = known_grid(make_site()), known_grid(make_site(embodied=SERVERS))
    for one in (plain, declared):
        run_job(one, node_ms=150_000)
    without, report = (one.statements.build(ADA, MONTH) for one in (plain, declared))
    assert without["totals"]["embodied_mg"] is None
    assert without["jobs"][0]["embodied_mg"] is None
    assert "embodied" not in without["statement"]
    # half a node for an hour
    assert report["totals"]["embodied_mg"] == report["jobs"][0]["embodied_mg"] == 180_000
    assert report["totals"]["embodied_jobs"] == 1
    assert report["totals"]["mg"] == without["totals"]["mg"] == 36_000
    assert declared.ledger.entries.charge_sum(MONTH, "ada", None)[0] == 36_000
    assert report["days"] == without["days"]
    assert "180 g for the time that the jobs held them" in report["statement"]


def test_the_parts_of_the_node_add_up_and_uncertainty_is_that_of_what_is_modelled(make_site):
    site = known_grid(make_site())
    run_job(site, domains=PARTS, quality=Quality.MEASURED)
    run_job(site, uncertainty_j=6000, quality=Quality.MODELLED)
    report = site.statements.build(ADA, MONTH)
    assert report["domains"] == {"cpu": 240_000, "gpu": 108_000, "rest": 12_000}
    assert sum(report["domains"].values()) == report["totals"]["energy_j"] / 2
    assert report["totals"]["modelled_j"] == 360_000
    assert report["totals"]["uncertainty_j"] == 72_000
    assert "100 Wh of the energy is modelled, give or take 20.0 Wh" in report["statement"]


def test_a_job_with_sampled_power_is_a_quality_of_its_own(make_site):
    site = known_grid(make_site())
    run_job(site, quality=Quality.SAMPLED)
    shares = {row["quality"]: row["jobs"] for row in site.statements.build(ADA, MONTH)["quality"]}
    assert shares == {"measured": 0, "sampled": 1, "partial": 0, "modelled": 0, "missing": 0}


def test_a_charge_has_the_pue_of_its_hours_and_the_statement_the_range(make_site):
    site = known_grid(make_site())
    managed = site.clusters.get("lab")
    pue = ArchivedPue("lab", site.ledger.pues, 1_300_000, 6 * HOUR, site.clock)
    site.clusters._by_name["lab"] = replace(managed, pue=pue)
    start = site.clock.at
    site.ledger.pues.add(
        "lab",
        [PuePoint(start, start + HOUR, 1_200_000, "prometheus p:1"),
         PuePoint(start + HOUR, start + 2 * HOUR, 1_100_000, "prometheus p:1")],
        start,
    )  # fmt: skip
    run_job(site, length_s=2 * HOUR)
    (row,) = site.statements.build(ADA, MONTH)["jobs"]
    # 360 kJ in each hour at 300 g/kWh
    assert row["mg"] == 36_000 + 33_000
    assert row["pue"] == 1.15
    assert row["pue_source"] == "prometheus p:1"
    run_job(site)
    (second,) = site.views.jobs("ada", 2, 0, None, evidence=True)["jobs"]
    assert second["energy_j"] == 360_000
    assert second["mg"] is None, "its PUE is not told and the fallback is not due"
    assert second["evidence"][0]["pue"] is None
    site.clock.at += 7 * HOUR
    site.round()
    report = site.statements.build(ADA, MONTH)
    assert report["pue"] == {
        "low": 1.15, "high": 1.3, "sources": ["fallback 1.3", "prometheus p:1"],
    }  # fmt: skip
    assert "of 1.15 to 1.3 (fallback 1.3, prometheus p:1)" in report["statement"]
    assert report["totals"]["mg"] == 69_000 + 39_000


def test_each_segment_has_the_pue_of_its_own_day(make_site):
    table = [Since(day=date(2026, 1, 1), pue_ppm=1_500_000),
             Since(day=date(2026, 10, 27), pue_ppm=1_000_000)]  # fmt: skip
    site = make_site()
    site = known_grid(make_site(pue=TablePue(table, "UTC", site.clock)))
    midnight = 1_793_059_200
    site.clock.at = midnight - HOUR
    run_job(site, length_s=2 * HOUR)
    (row,) = site.statements.build(ADA, MONTH)["jobs"]
    assert row["mg"] == 45_000 + 30_000
    assert row["pue"] == 1.25
    assert {one["pue"] for one in site.views.jobs("ada", None, 0, None, evidence=True)["jobs"][0][
        "evidence"]} == {1.5, 1.0}  # fmt: skip


@pytest.mark.parametrize("embodied_mg", [0, 1, 1000, 999_999_937])
def test_the_months_of_a_long_job_add_up_to_the_whole(make_site, embodied_mg):
    site = known_grid(make_site(embodied=SERVERS))
    job = run_job(site)
    known = site.ledger.jobs.get(job.key)
    whole = site.views.job_row(known) | {
        "started_at": site.clock.at - 40 * DAY, "elapsed_s": 70 * DAY + 1, "energy_j": 1_000_003,
        "uncertainty_j": 999, "embodied_mg": embodied_mg, "domains": {"cpu": 999_999, "gpu": 4},
    }  # fmt: skip
    parts = []
    for month, energy_j in (
        ("2026-08", 0), ("2026-09", 400_001), ("2026-10", 500_001), ("2026-11", 100_001),
    ):  # fmt: skip
        line = StatementLine(known=known, row=whole, mg=1, energy_j=energy_j)
        row = month_row(line, period(month, "UTC"))
        assert sum(row["domains"].values()) == energy_j
        assert row["uncertainty_j"] <= 999
        parts.append(row["embodied_mg"])
    assert sum(parts) == embodied_mg
    assert min(parts) >= 0
    assert parts[0] == 0
