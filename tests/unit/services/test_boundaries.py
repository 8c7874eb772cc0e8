"""Slurm's record closes what prolog and epilog left open; settling by domain, PUE and share."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from carbonsched.accounting import Embodied, EmbodiedNodes
from carbonsched.model.energy import Domain, Quality
from carbonsched.ports import PueValue
from carbonsched.services.presence import EPILOG_S
from carbonsched.transport.munge import Caller
from carbonsched.web.backend import NodeView

HOUR = 3600
ROOT = Caller(uid=0, gid=0, payload=b"")


def ended(site, *jobs, cluster="lab"):
    view = NodeView(cluster=cluster, name="n1", jobs=jobs)
    return site.take.take(ROOT, [], [], view)["ended"]


def ran(site, length_s, **more):
    """A job that ran from now for ``length_s`` and is known as ended."""
    job = site.slurm.submit(begin=0, **more)
    site.slurm.begin(job.key.job_id)
    site.adopt.run()
    started_at = site.clock.at
    site.clock.at += length_s
    site.slurm.end(job.key.job_id)
    site.adopt.run()
    return replace(job, started_at=started_at, ended_at=site.clock.at)


def settled(site, job):
    site.clock.at += 2000
    site.round()
    return site.ledger.entries.settlement(job.key)


@pytest.fixture
def metered(site):
    site.actual(site.clock.at - HOUR, *[300] * 30)
    return site


def test_a_node_is_told_which_of_its_runs_have_ended(site):
    job = ran(site, 100)
    running = site.slurm.submit(begin=0)
    site.slurm.begin(running.key.job_id)
    site.adopt.run()
    asked = ((1, 0), (running.key.job_id, 0), (99, 0), (1, 3))
    assert ended(site, *asked) == [], "its epilog may be under way"
    site.clock.at += EPILOG_S
    assert ended(site, *asked) == [[1, 0, job.ended_at]]
    assert ended(site, *asked, cluster="other") == []
    assert site.take.take(ROOT, [], [])["ended"] == []


def test_a_run_whose_end_was_never_told_ended_when_the_job_was_queued_again(site):
    job = site.slurm.submit(begin=0)
    site.slurm.begin(1)
    site.adopt.run()
    site.clock.at += 100
    requeued_at = site.clock.at
    site.slurm.present[1] = replace(job, key=replace(job.key, submitted_at=requeued_at, restarts=1))
    site.adopt.run()
    site.clock.at += EPILOG_S
    assert ended(site, (1, 0), (1, 1)) == [[1, 0, requeued_at]]


def test_a_job_found_without_its_prolog_is_told_every_runs_end(site):
    job = ran(site, 100)
    again = replace(
        job, key=replace(job.key, submitted_at=site.clock.at, restarts=1), state="RUNNING",
        started_at=site.clock.at + 10, ended_at=None, nodes=("n1",),
    )  # fmt: skip
    site.slurm.present[1] = again
    site.clock.at += 200
    site.slurm.end(1)
    site.adopt.run()
    second_end = site.clock.at
    site.clock.at += EPILOG_S
    assert ended(site, (1, 0)) == [[1, 0, job.ended_at], [1, 0, second_end]]
    assert ended(site, (1, 1)) == [[1, 1, second_end]]


def lost_ends(site, job_id=1):
    return {
        (key.restarts, node): ended_at
        for (key, node), ended_at in site.ledger.lost_ends.of_id("lab", job_id).items()
    }


def writes(site):
    return site.ledger._file._db.conn.total_changes


def test_a_job_of_which_a_node_missed_the_end_is_settled_again_as_partial(metered):
    site = metered
    job = ran(site, 300)
    start = job.started_at
    site.deliver(*(site.segment(job, start + n * 300, quality=Quality.SAMPLED) for n in (0, 1)))
    found = settled(site, job)
    assert (found.quality, found.energy_j, found.complete) == (Quality.PARTIAL, 30_100, True)
    assert ended(site, (1, 0)) == [[1, 0, job.ended_at]]
    assert lost_ends(site) == {(0, "n1"): job.ended_at}
    assert not site.ledger.entries.settlement(job.key).complete
    found = settled(site, job)
    assert (found.quality, found.energy_j, found.complete) == (Quality.PARTIAL, 30_000, True)
    assert found.why == (
        "epilog missing on n1: closed by Slurm's record; 1 of 1 readings from sampled power"
    )
    assert site.ledger.entries.charge_sum("2026-10", "ada", None)[1] == 30_000
    (audit,) = site.audits.of("lab", start - HOUR, site.clock.at)["clusters"]
    assert (audit["adds_up"], audit["jobs_j"], audit["unclaimed_j"]) == (True, 30_000, 30_000)
    assert [(row["quality"], row["why"]) for row in audit["listed"]] == [("partial", found.why)]


@pytest.mark.parametrize("length_s", [300, 299, 3])
def test_what_a_node_that_missed_the_end_saw_is_cut_at_it_exactly(metered, length_s):
    """Also where so little is beyond it that it would pass as the epilog's, or nothing at all."""
    site = metered
    job = ran(site, length_s)
    site.deliver(site.segment(job, job.started_at, quality=Quality.MEASURED))
    site.clock.at += EPILOG_S
    ended(site, (1, 0))
    assert ended(site) == []
    site.round()
    found = site.ledger.entries.settlement(job.key)
    assert (found.quality, found.energy_j) == (Quality.PARTIAL, 100 * length_s)
    assert found.why == "epilog missing on n1: closed by Slurm's record"
    assert found.complete, "nothing more is to come"


def is_final(site, job):
    site.settle.run()
    return site.ledger.entries.settlement(job.key).complete


def test_a_job_is_not_final_while_a_node_believes_it_present(metered):
    site = metered
    job = ran(site, 290)
    ended(site, (1, 0))
    site.deliver(site.segment(job, job.started_at))
    assert not is_final(site, job)
    ended(site, (2, 0))
    assert is_final(site, job), "the epilog has come"
    site.ledger.entries.reopen("lab", 1, 0)
    ended(site, (1, 0))
    site.clock.at = job.ended_at + 900 + EPILOG_S - 1
    assert not is_final(site, job)
    site.clock.at += 1
    assert is_final(site, job), "a node may be gone with its last word"


def test_only_the_node_that_missed_the_end_is_cut(metered):
    site = metered
    job = ran(site, 299)
    both = ("n1", "n2")
    site.slurm.past[-1] = replace(site.slurm.past[-1], node_count=2, nodes=both)
    site.slurm.history = lambda *_: site.slurm.past
    site.adopt.run()
    site.deliver(*(site.segment(job, job.started_at, node=node) for node in both))
    site.clock.at += EPILOG_S
    ended(site, (1, 0))
    found = settled(site, job)
    assert (found.energy_j, found.quality) == (29_900 + 30_000, Quality.PARTIAL)
    assert "epilog missing on n1: " in found.why


def test_an_end_is_kept_once_however_often_the_node_asks(metered):
    site = metered
    job = ran(site, 300)
    site.deliver(site.segment(job, job.started_at))
    site.clock.at += EPILOG_S - 1
    before = writes(site)
    assert ended(site, (1, 0)) == []
    assert (lost_ends(site), writes(site)) == ({}, before), "its epilog may be under way"
    site.clock.at += 1
    ended(site, (1, 0))
    told, after = settled(site, job), writes(site)
    for _ in range(3):
        site.clock.at += 60
        assert ended(site, (1, 0)) == [[1, 0, job.ended_at]]
    assert writes(site) == after
    assert ended(site) == [], "the epilog came after all: nothing changes"
    assert site.ledger.entries.settlement(job.key) == told
    assert told.complete


def test_the_end_of_a_run_that_is_not_the_one_a_node_means_is_not_missed(site):
    """A job found without its prolog goes by 0 restarts, as an earlier run really did."""
    job = ran(site, 100)
    again = replace(
        job, key=replace(job.key, submitted_at=site.clock.at, restarts=1), state="RUNNING",
        started_at=site.clock.at + 10, ended_at=None, nodes=("n1",),
    )  # fmt: skip
    site.slurm.present[1] = again
    site.clock.at += 200
    site.adopt.run()
    assert ended(site, (1, 0)) == [[1, 0, job.ended_at]]
    assert lost_ends(site) == {}, "it may mean the one that runs"
    site.slurm.end(1)
    site.adopt.run()
    second_end = site.clock.at
    site.clock.at += EPILOG_S
    assert len(ended(site, (1, 0))) == 2
    assert lost_ends(site) == {(1, "n1"): second_end}


def test_a_run_that_went_on_elsewhere_was_missed_where_it_was_before(site):
    job = ran(site, 100)
    site.slurm.present[1] = replace(
        job, key=replace(job.key, submitted_at=site.clock.at, restarts=1), state="RUNNING",
        started_at=site.clock.at + 10, ended_at=None, nodes=("n2",),
    )  # fmt: skip
    site.clock.at += 200
    site.adopt.run()
    ended(site, (1, 0), (99, 0))
    assert lost_ends(site) == {(0, "n1"): job.ended_at}


def test_what_lies_beyond_the_end_is_cut_and_said(metered):
    site = metered
    job = ran(site, 450)
    start = job.started_at
    site.clock.at += 600
    site.deliver(site.segment(job, start), site.segment(job, start + 300, energy_j=30_000))
    found = settled(site, job)
    assert (found.quality, found.energy_j) == (Quality.PARTIAL, 30_000 + 30_000 * 151 // 300)
    assert "Slurm's record, 14900 J cut" in found.why
    assert site.ledger.entries.charge_sum("2026-10", "ada", None)[1] == found.energy_j
    (first, last) = site.views.jobs("ada", None, 0, None, evidence=True)["jobs"][0]["evidence"]
    assert (first["unclaimed_j"], last["unclaimed_j"]) == (0, 14_900)


def test_a_run_whose_prolog_failed_gets_the_readings_of_its_time(metered):
    site = metered
    first = ran(site, 300)
    site.slurm.present[1] = replace(
        first, key=replace(first.key, submitted_at=site.clock.at, restarts=1), state="RUNNING",
        started_at=site.clock.at + 300, ended_at=None, nodes=("n1",),
    )  # fmt: skip
    site.clock.at += 600
    site.slurm.end(1)
    site.adopt.run()
    second = site.slurm.past[-1]
    start = first.started_at
    site.deliver(
        site.segment(first, start), site.segment(first, start + 600, energy_j=7000, restarts=0)
    )
    assert settled(site, first).energy_j == 30_000
    found = settled(site, second)
    assert found.energy_j == 7000
    assert "prolog missing" in found.why
    assert site.ledger.entries.charge_sum("2026-10", "ada", None)[1] == 37_000


def test_a_late_reading_without_a_restart_count_opens_the_run_it_is_of(metered):
    site = metered
    job = ran(site, 300)
    again = replace(
        job, key=replace(job.key, submitted_at=site.clock.at, restarts=1), state="COMPLETED",
        started_at=site.clock.at + 10, ended_at=site.clock.at + 310, nodes=("n1",),
    )  # fmt: skip
    site.slurm.past.append(again)
    site.clock.at += 3 * HOUR
    site.round()
    assert site.ledger.entries.settlement(again.key).complete
    site.deliver(site.segment(again, again.started_at, energy_j=500, restarts=0))
    assert settled(site, again).energy_j == 500


def test_an_end_that_slurm_corrects_is_settled_again(metered):
    site = metered
    job = ran(site, 300)
    site.deliver(site.segment(job, job.started_at))
    assert settled(site, job).complete
    site.slurm.past[-1] = replace(site.slurm.past[-1], ended_at=job.started_at + 149)
    site.slurm.history = lambda *_: site.slurm.past
    assert settled(site, job).energy_j == 15_000
    assert site.ledger.entries.charge_sum("2026-10", "ada", None)[1] == 15_000


def test_why_names_what_is_missing(metered):
    site = metered
    nothing = ran(site, 300)
    some = ran(site, 1000)
    site.slurm.past[-1] = replace(site.slurm.past[-1], node_count=2, nodes=("n1", "n2"))
    site.slurm.history = lambda *_: site.slurm.past
    site.deliver(site.segment(some, some.started_at))
    whole = ran(site, 300)
    site.deliver(site.segment(whole, whole.started_at, length_s=301, quality=Quality.MEASURED))
    found = settled(site, nothing)
    assert (found.quality, found.why) == (Quality.MISSING, "no reading")
    found = settled(site, some)
    assert found.quality is Quality.PARTIAL
    assert found.why.startswith("no reading from n2; covered 15 %")
    found = settled(site, whole)
    assert (found.quality, found.why) == (Quality.MEASURED, "")


def test_a_jobs_domains_add_up_to_its_energy(make_site):
    embodied = Embodied([EmbodiedNodes(nodes="n1", mg=10**9, lifetime_s=10**6)])
    site = make_site(embodied=embodied)
    site.actual(site.clock.at - HOUR, *[300] * 30)
    job = ran(site, 450)
    for number, domains in enumerate(
        ({Domain.CPU: 9, Domain.GPU: 21}, {Domain.CPU: 10, Domain.REST: 7})
    ):
        site.deliver(
            site.segment(
                job, job.started_at + 300 * number, energy_j=sum(domains.values()),
                domains=domains, uncertainty_j=3, node_ms=150_000,
            )
        )  # fmt: skip
    found = settled(site, job)
    assert found.energy_j == 30 + 17 * 151 // 300
    assert sum(found.domains.values()) == found.energy_j
    assert found.domains == {Domain.CPU: 14, Domain.GPU: 21, Domain.REST: 3}
    assert found.uncertainty_j == 3 + 1
    held_ms = 150_000 + 150_000 * 151 // 300
    assert found.embodied_mg == round(Fraction(10**9 * held_ms, 10**9))
    row = site.views.jobs("ada", None, 0, None, evidence=False)["jobs"][0]
    assert row["domains"] == {"cpu": 14, "gpu": 21, "rest": 3}
    assert row["embodied_mg"] == found.embodied_mg
    assert row["uncertainty_j"] == found.uncertainty_j


def test_an_agent_that_tells_no_domains_tells_no_uncertainty(metered):
    job = ran(metered, 300)
    metered.deliver(metered.segment(job, job.started_at))
    assert settled(metered, job).quality is Quality.MODELLED
    row = metered.views.jobs("ada", None, 0, None, evidence=False)["jobs"][0]
    assert (row["energy_j"], row["domains"], row["uncertainty_j"]) == (30_000, {}, None)


def test_embodied_carbon_is_missing_where_a_nodes_is_not_declared_or_its_share_not_told(make_site):
    site = make_site(embodied=Embodied([EmbodiedNodes(nodes="n1", mg=10**9, lifetime_s=10**6)]))
    here, elsewhere, old = (ran(site, 300) for _ in range(3))
    site.deliver(site.segment(here, here.started_at, node_ms=300_000))
    site.deliver(site.segment(elsewhere, elsewhere.started_at, node="n2", node_ms=300_000))
    site.deliver(site.segment(old, old.started_at))
    assert settled(site, here).embodied_mg == 300_000
    assert settled(site, elsewhere).embodied_mg is None
    assert settled(site, old).embodied_mg is None


class RisingPue:
    """1.1 in the first five minutes, 1.3 in the next, not known after."""

    now_ppm = 1_200_000

    def __init__(self, start_at):
        self._start_at = start_at

    def within(self, _start_at, _end_at):
        return self

    def over(self, start_at, _end_at):
        number = (start_at - self._start_at) // 300
        return PueValue(1_100_000 + 200_000 * number, f"meter {number}") if number < 2 else None


def test_each_reading_has_the_pue_of_its_time(make_site):
    site = make_site(pue=RisingPue(1_792_998_000))
    site.actual(site.clock.at - HOUR, *[300] * 30)
    job = ran(site, 600)
    site.deliver(*(site.segment(job, job.started_at + n * 300) for n in range(2)))
    found = settled(site, job)
    assert found.pue_ppm == 1_200_000
    assert found.pue_source == "meter 0; meter 1"
    assert found.mg == round(Fraction(60_000 * 12 * 300_000, 36_000_000))
    rows = site.views.jobs("ada", None, 0, None, evidence=True)["jobs"][0]["evidence"]
    assert [row["pue"] for row in rows] == [1.1, 1.3]


def test_where_the_pue_is_not_known_nothing_is_charged_yet(make_site):
    site = make_site(pue=RisingPue(1_792_998_000 - 900))
    site.actual(site.clock.at - HOUR, *[300] * 30)
    job = ran(site, 300)
    site.deliver(site.segment(job, job.started_at))
    found = settled(site, job)
    assert (found.energy_j, found.mg, found.pue_ppm, found.final) == (30_000, None, 0, False)
    row = site.views.jobs("ada", None, 0, None, evidence=False)["jobs"][0]
    assert (row["pue"], row["provisional"]) == (None, True)
