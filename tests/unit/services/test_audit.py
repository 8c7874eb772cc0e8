"""Does it add up: for every ledger, whatever agents saw and Slurm knows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonsched.ledger import Ledger
from carbonsched.ledger.jobs import KnownJob
from carbonsched.ledger.readings import JobReading, Receipt
from carbonsched.model.energy import Domain, EnergyPart, EnergySegment, PartKind, Quality
from carbonsched.model.job import Job, JobKey
from carbonsched.services.audit import Audits
from carbonsched.services.claims import cut, owner
from carbonsched.services.managed import Clusters, ManagedCluster
from carbonsched.services.pue import ConstantPue

HOUR = 3600


class Lab:
    name = "lab"


class Now:
    def __init__(self, at):
        self.at = at

    def now(self):
        return self.at


def audit_of(ledger, start_at, end_at, now=10_000):
    managed = ManagedCluster(cluster=Lab(), zone="DE", pue=ConstantPue(pue_ppm=1_000_000))
    (one,) = Audits(Clusters([managed]), ledger, Now(now)).of("lab", start_at, end_at)["clusters"]
    return one


def save(ledger, job):
    ledger.jobs.save(KnownJob(job=job, directives=None, begin_at=None, first_seen_at=0, seen_at=0))


def job(job_id, started_at, ended_at, restarts=0, **more):
    key = JobKey(cluster="lab", job_id=job_id, submitted_at=started_at, restarts=restarts)
    state = "RUNNING" if ended_at is None else "COMPLETED"
    return Job(
        key=key, uid=1001, user="ada", account="", partition="main", name="x", state=state,
        started_at=started_at, ended_at=ended_at, nodes=("n1",), **more,
    )  # fmt: skip


def part(energy_j, job_id=None, restarts=0, present_ms=0):
    if job_id is None:
        return EnergyPart(kind=PartKind.IDLE if restarts else PartKind.SYSTEM, energy_j=energy_j)
    return EnergyPart(
        kind=PartKind.JOB, energy_j=energy_j, job_id=job_id, restarts=restarts, uid=1001,
        present_ms=present_ms, domains={Domain.CPU: energy_j},
    )  # fmt: skip


def segment(node, start_at, end_at, parts):
    return EnergySegment(
        cluster="lab", node=node, start_at=start_at, end_at=end_at,
        total_j=sum(one.energy_j for one in parts), quality=Quality.MEASURED, meter="rapl",
        parts=tuple(parts),
    )  # fmt: skip


PARTS = st.lists(
    st.one_of(
        st.builds(part, st.integers(0, 10**6), restarts=st.integers(0, 1)),
        st.builds(
            part, st.integers(0, 10**6), st.integers(1, 3), st.integers(0, 2),
            st.integers(0, 60_000),
        ),
    ),
    max_size=5,
)  # fmt: skip
SEGMENTS = st.lists(
    st.tuples(st.sampled_from(["n1", "n2"]), st.integers(0, 20), st.integers(1, 60), PARTS),
    max_size=12,
)
JOBS = st.lists(
    st.tuples(
        st.integers(1, 3), st.integers(0, 1200), st.one_of(st.none(), st.integers(0, 600)),
        st.integers(0, 2), st.sets(st.sampled_from(["n1", "n2"])),
    ),
    max_size=6,
)  # fmt: skip


def one_by_one_j(ledger, segments, start_at, length_s):
    """What is claimed of the segments that were kept, looked at part by part."""
    runs = [known.job for known in ledger.jobs.select()]
    lost = ledger.lost_ends.between("lab", 0, 10**9)
    total_j = 0
    for one in segments:
        if not start_at <= one.start_at < start_at + length_s:
            continue
        for each in one.parts:
            if each.job_id is None:
                continue
            reading = JobReading(
                node=one.node, start_at=one.start_at, end_at=one.end_at, energy_j=each.energy_j,
                cpu_ms=0, present_ms=each.present_ms, quality=one.quality, meter="",
                restarts=each.restarts,
            )  # fmt: skip
            whose = owner(reading, [run for run in runs if run.key.job_id == each.job_id], lost)
            total_j += cut(whose, reading, lost).energy_j if whose else 0
    return total_j


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(segments=SEGMENTS, jobs=JOBS, start_at=st.integers(0, 1300), length_s=st.integers(1, 1300))
def test_measured_is_jobs_idle_system_and_unclaimed(
    tmp_path_factory, segments, jobs, start_at, length_s
):
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.db")
    try:
        measured_j = claimed_by_nobody_j = 0
        ids = {job_id for job_id, *_ in jobs}
        for job_id, began, length, restarts, missed in jobs:
            one = job(job_id, began, None if length is None else began + length, restarts)
            save(ledger, one)
            for node in missed if length is not None else ():
                ledger.lost_ends.add(one.key, node, one.ended_at, 5000)
        stored = {}
        for node, slot, length, parts in segments:
            one = stored.setdefault(
                (node, slot), segment(node, slot * 60, slot * 60 + length, parts)
            )
            assert ledger.readings.add_segment(one, 5000) is not Receipt.CONFLICT
        for one in stored.values():
            if start_at <= one.start_at < start_at + length_s:
                measured_j += one.total_j
                claimed_by_nobody_j += sum(
                    each.energy_j for each in one.parts if each.job_id and each.job_id not in ids
                )
        found = audit_of(ledger, start_at, start_at + length_s)
        assert found["jobs_j"] == one_by_one_j(ledger, stored.values(), start_at, length_s)
        parts_j = [found[name] for name in ("jobs_j", "idle_j", "system_j", "unclaimed_j")]
        assert found["adds_up"]
        assert found["measured_j"] == measured_j == sum(parts_j)
        assert min(parts_j) >= 0
        assert found["unknown_j"] + found["beyond_j"] == found["unclaimed_j"]
        assert found["unknown_j"] >= claimed_by_nobody_j
        assert sum(row["energy_j"] for row in found["qualities"]) == found["jobs_j"]
        assert sum(row["energy_j"] for row in found["unclaimed"]) == found["unclaimed_j"]
        assert sum(row["measured_j"] for row in found["nodes"]) == measured_j
    finally:
        ledger.close()


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger(tmp_path / "ledger.db")
    yield opened
    opened.close()


def test_gaps_between_a_nodes_readings_are_missing_time(ledger):
    for node, start_at, end_at in (
        ("n1", 0, 100), ("n1", 100, 200), ("n1", 350, 400), ("n2", 200, 300), ("n3", 50, 90),
        ("n3", 290, 300),
    ):  # fmt: skip
        ledger.readings.add_segment(segment(node, start_at, end_at, [part(5)]), 500)
    found = audit_of(ledger, 100, 8000, now=8000)
    rows = {row["node"]: row for row in found["nodes"]}
    assert (rows["n1"]["covered_s"], rows["n1"]["missing_s"]) == (150, 150)
    assert (rows["n2"]["covered_s"], rows["n2"]["missing_s"]) == (100, 0)
    assert (rows["n3"]["covered_s"], rows["n3"]["missing_s"]) == (10, 190), "from where it begins"
    assert all(row["silent"] for row in rows.values())
    assert not any(row["silent"] for row in audit_of(ledger, 100, 500)["nodes"])


def test_a_file_that_was_changed_does_not_add_up(ledger):
    ledger.readings.add_segment(segment("n1", 0, 100, [part(5)]), 500)
    ledger._file.change("UPDATE parts SET energy_j = 4")
    found = audit_of(ledger, 0, 100)
    assert (found["adds_up"], found["difference_j"], found["uneven_segments"]) == (False, 1, 1)


def test_what_no_run_claims_is_listed_with_its_reason(ledger):
    save(ledger, job(1, 0, 49))
    ledger.readings.add_segment(
        segment("n1", 0, 100, [part(200, 1, 0, 100_000), part(7, 9, 0, 5000)]), 500
    )
    found = audit_of(ledger, 0, 100)
    assert (found["jobs_j"], found["beyond_j"], found["unknown_j"]) == (100, 100, 7)
    assert [(row["job_id"], row["energy_j"]) for row in found["unclaimed"]] == [(1, 100), (9, 7)]
    assert "beyond" in found["unclaimed"][0]["why"]
    assert "no such job" in found["unclaimed"][1]["why"]


def test_what_a_node_that_missed_the_end_saw_after_it_is_listed_as_such(ledger):
    one = job(1, 0, 100)
    save(ledger, one)
    for start_at in (0, 100, 200):
        part_of_it = part(200, 1, 0, 100_000)
        ledger.readings.add_segment(segment("n1", start_at, start_at + 100, [part_of_it]), 500)
    before = audit_of(ledger, 0, 1000)
    assert (before["jobs_j"], before["beyond_j"], before["unknown_j"]) == (202, 198, 200)
    ledger.lost_ends.add(one.key, "n1", 100, 500)
    found = audit_of(ledger, 0, 1000)
    assert (found["adds_up"], found["jobs_j"], found["unclaimed_j"]) == (True, 200, 400)
    assert [row["start_at"] for row in found["unclaimed"]] == [100, 200]
    assert all("epilog missing" in row["why"] for row in found["unclaimed"])


def test_a_missed_end_is_cut_within_the_last_second_too(ledger):
    one = job(1, 0, 99)
    save(ledger, one)
    ledger.readings.add_segment(segment("n1", 0, 100, [part(200, 1, 0, 100_000)]), 500)
    ledger.readings.add_segment(segment("n2", 0, 100, [part(200, 1, 0, 100_000)]), 500)
    assert audit_of(ledger, 0, 1000)["jobs_j"] == 400
    ledger.lost_ends.add(one.key, "n1", 99, 500)
    found = audit_of(ledger, 0, 1000)
    assert (found["adds_up"], found["jobs_j"], found["beyond_j"]) == (True, 398, 2)


def test_a_reading_inside_two_runs_of_one_key_counts_once(ledger):
    save(ledger, job(1, 0, 500))
    save(ledger, job(1, 50, 500))
    ledger.readings.add_segment(segment("n1", 100, 200, [part(200, 1, 0, 100_000)]), 500)
    found = audit_of(ledger, 0, 1000)
    assert (found["adds_up"], found["jobs_j"], found["unclaimed_j"]) == (True, 200, 0)


def run_job(site, length_s=600, deliver=True, **more):
    submitted = site.slurm.submit(begin=0)
    number = submitted.key.job_id
    site.slurm.begin(number)
    site.adopt.run()
    started_at = site.clock.at
    running = site.slurm.present[number]
    site.clock.at += length_s
    site.slurm.end(number)
    if more:
        site.slurm.past[-1] = replace(site.slurm.past[-1], **more)
    if deliver:
        site.deliver(
            *(
                site.segment(running, started_at + n * 300, node_ms=300_000)
                for n in range(length_s // 300)
            )
        )
    return running


def test_jobs_from_meter_to_charge(site):
    site.actual(site.clock.at - HOUR, *[300] * 30)
    start = site.clock.at
    run_job(site)
    run_job(site, deliver=False)
    site.clock.at += 2000
    site.round()
    (found,) = site.audits.of(None, start, site.clock.at)["clusters"]
    assert found["adds_up"]
    assert (found["jobs_j"], found["idle_j"], found["measured_j"]) == (60_000, 12_000, 72_000)
    assert found["compared"] == 2
    (missing,) = found["listed"]
    assert (missing["user"], missing["quality"], missing["why"]) == ("ada", "missing", "no reading")
    assert {row["quality"]: row["jobs"] for row in found["qualities"]} == {
        "modelled": 1, "missing": 1,
    }  # fmt: skip


def test_a_job_that_has_just_ended_lacks_nothing_yet(site):
    start = site.clock.at
    run_job(site, deliver=False)
    site.adopt.run()
    site.settle.run()
    (found,) = site.audits.of("lab", start, site.clock.at)["clusters"]
    assert (found["listed"], found["qualities"]) == (
        [], [{"quality": "open", "jobs": 1, "energy_j": 0}],
    )  # fmt: skip
    site.clock.at += HOUR
    (found,) = site.audits.of("lab", start, site.clock.at)["clusters"]
    assert [row["why"] for row in found["listed"]] == ["no reading"]


def test_a_charge_that_is_not_its_readings_does_not_add_up(site):
    site.actual(site.clock.at - HOUR, *[300] * 30)
    start = site.clock.at
    job = run_job(site)
    site.clock.at += 2000
    site.round()
    wrong = replace(site.ledger.entries.settlement(job.key), energy_j=59_999)
    site.ledger.entries.save_settlement(wrong)
    (found,) = site.audits.of("lab", start, site.clock.at)["clusters"]
    assert not found["adds_up"]
    assert [row["shown_id"] for row in found["mischarged"]] == ["1"]
    site.ledger.entries.save_settlement(replace(wrong, method="settle/1"))
    (found,) = site.audits.of("lab", start, site.clock.at)["clusters"]
    assert found["adds_up"], "what an earlier version settled went by other rules"


def test_metered_energy_beside_slurms_own(site):
    site.actual(site.clock.at - HOUR, *[300] * 60)
    start = site.clock.at
    run_job(site, slurm_energy_j=50_000)
    run_job(site, slurm_energy_j=60_000)
    run_job(site, slurm_energy_j=120_000)
    run_job(site, slurm_energy_j=240 * 600)  # the class's most, which no job reaches
    run_job(site, slurm_energy_j=None)
    run_job(site, slurm_energy_j=60_000, deliver=False)
    site.clock.at += 2000
    site.round()
    (found,) = site.audits.of("lab", start, site.clock.at)["clusters"]
    assert found["slurm"] == {
        "jobs": 3, "implausible": 1, "ratio_median": 1.0, "ratio_low": 0.5, "ratio_high": 1.2,
    }  # fmt: skip


def test_jobs_that_shared_their_nodes_are_not_compared(site):
    site.actual(site.clock.at - HOUR, *[300] * 30)
    start = site.clock.at
    job = run_job(site, deliver=False, slurm_energy_j=60_000)
    site.deliver(*(site.segment(job, start + n * 300, node_ms=280_000) for n in range(2)))
    site.clock.at += 2000
    site.round()
    (found,) = site.audits.of("lab", start, site.clock.at)["clusters"]
    assert found["slurm"]["jobs"] == 0
    assert found["slurm"]["ratio_median"] is None
