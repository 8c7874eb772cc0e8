"""Predictions of open jobs."""

from __future__ import annotations

from carbonsched.model.directives import Directives
from carbonsched.model.energy import Quality
from carbonsched.model.epoch import EpochRecord
from carbonsched.transport.munge import Caller

ROOT = Caller(uid=0, gid=0, payload=b"")


SCRIPT, OTHER = "0123456789abcdef", "fedcba9876543210"


def ran(site, length_s, directives, **job):
    one = site.slurm.submit(directives=directives, begin=0, **job)
    site.slurm.begin(one.key.job_id)
    site.adopt.run()
    site.clock.at += length_s
    site.slurm.end(one.key.job_id)
    site.adopt.run()


def predicted(site, directives, **job):
    one = site.slurm.submit(directives=directives, begin=0, **job)
    site.adopt.run()
    site.predict.run()
    return site.ledger.plans.prediction(one.key)


def test_the_same_script_under_another_name_is_predicted_from_its_runs(site):
    ran(site, 600, Directives(script_digest=SCRIPT), name="monday")
    ran(site, 900, Directives(script_digest=OTHER), name="monday")
    ran(site, 60, None, name="monday")  # by plain sbatch
    made = predicted(site, Directives(script_digest=SCRIPT), name="tuesday")
    assert made.duration_s == 600
    assert made.explanation.startswith("from 1 earlier job of the same script and CPUs")
    plain = predicted(site, None, name="monday")
    assert plain.explanation.startswith("from 3 earlier jobs of the same name and CPUs")


def test_tasks_of_an_array_are_of_its_script(site):
    array = site.slurm.submit(directives=Directives(script_digest=SCRIPT), begin=0, tasks=2)
    site.adopt.run()
    task = site.slurm.submit(
        directives=None, begin=0, name="task", array_job_id=array.key.job_id, array_task="1"
    )
    site.slurm.begin(task.key.job_id)
    site.adopt.run()
    site.clock.at += 600
    site.slurm.end(task.key.job_id)
    site.adopt.run()
    made = predicted(site, Directives(script_digest=SCRIPT), name="tuesday")
    assert made.explanation.startswith("from 1 earlier job of the same script and CPUs")


def test_the_digest_of_a_job_with_a_comment_of_its_own_comes_with_its_announcement(site):
    job = site.slurm.submit(directives=None, begin=0, name="monday", comment="mine")
    site.adopt.one("lab", job.key.job_id, Directives(script_digest=SCRIPT), job.uid)
    site.slurm.begin(job.key.job_id)
    site.adopt.run()
    site.clock.at += 600
    site.slurm.end(job.key.job_id)
    site.adopt.run()
    (run,) = site.ledger.jobs.completed("ada", 0)
    assert run.script_digest == SCRIPT


def test_epochs_that_are_declared_to_be_heavier_are_reckoned_with_before_one_is_seen(site):
    found = []
    for every in (None, 5):
        job = site.slurm.submit(directives=Directives(epochs=20, validate_every=every), begin=0)
        site.slurm.begin(job.key.job_id)
        site.adopt.run()
        began_at = site.clock.now()
        site.clock.at += 600
        record = EpochRecord(
            cluster="lab", node="n1", job_id=job.key.job_id, restarts=0, uid=1001, epoch=1,
            epochs=20, started_ms=began_at * 1000, duration_ms=600_000, energy_millij=10**7,
            relative_sd=None, samples=0, quality=Quality.MODELLED,
        )  # fmt: skip
        site.take.take(ROOT, [], [record.to_wire()])
        site.predict.run()
        found.append(site.ledger.plans.prediction(job.key).duration_s)
    plain_s, declared_s = found
    assert plain_s == 20 * 600
    assert declared_s > plain_s + 3 * 600 * 0.1
