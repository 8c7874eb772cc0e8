"""A job's epochs over its nodes and runs, as ``GET /v1/epochs`` tells them."""

from __future__ import annotations

from carbonsched.model.energy import Quality
from carbonsched.model.epoch import EpochPart, EpochRecord
from carbonsched.services.epoch_logs import EpochLogs


def tell(site, job_id, number, at, *, node="n1", restarts=0, millij=1000, parts=()):
    record = EpochRecord(
        cluster="lab", node=node, job_id=job_id, restarts=restarts, uid=1001, epoch=number,
        epochs=9, started_ms=at * 1000, duration_ms=10_000, energy_millij=millij,
        relative_sd=None, samples=0, quality=Quality.MODELLED, steps=8,
        parts=tuple(EpochPart(duration_ms=ms, energy_millij=mj) for ms, mj in parts),
    )  # fmt: skip
    site.ledger.readings.add_epoch(record, at)


def started(site, **fields):
    job = site.slurm.submit(begin=0, **fields)
    site.slurm.begin(job.key.job_id)
    site.adopt.run()
    return job.key.job_id


def test_nodes_add_up_and_an_epoch_that_one_has_not_finished_is_not_there(site):
    job_id, at = started(site), site.clock.now()
    halves = [(4000, 400), (6000, 600)]
    for node in ("n1", "n2"):
        tell(site, job_id, 1, at, node=node, parts=halves)
    tell(site, job_id, 2, at + 11)
    (row,) = EpochLogs(site.ledger).of(None, job_id)
    (epoch,) = row["epochs"]
    assert epoch == {
        "epoch": 1, "restarts": 0, "started_ms": at * 1000, "duration_ms": 10_000,
        "energy_millij": 2000, "steps": 8, "parts": [[4000, 800], [6000, 1200]],
    }  # fmt: skip


def test_an_epoch_that_a_run_did_again_is_the_later_runs(site):
    job_id = started(site)
    for number in (1, 2, 3):
        tell(site, job_id, number, site.clock.now() + 11 * number)
    site.clock.at += 100
    site.slurm.requeue(job_id, ended=False)
    site.adopt.run()
    site.slurm.begin(job_id)
    site.adopt.run()
    for number in (3, 4):
        tell(site, job_id, number, site.clock.now() + 11 * number, restarts=1, millij=7)
    (row,) = EpochLogs(site.ledger).of(None, job_id)
    told = [(one["epoch"], one["restarts"], one["energy_millij"]) for one in row["epochs"]]
    assert told == [(1, 0, 1000), (2, 0, 1000), (3, 1, 7), (4, 1, 7)]


def test_jobs_without_epochs_and_those_of_others_are_not_there(site):
    silent = started(site)
    assert EpochLogs(site.ledger).of(None, silent) == []
    told = started(site)
    tell(site, told, 1, site.clock.now())
    assert EpochLogs(site.ledger).of("nobody", told) == []
