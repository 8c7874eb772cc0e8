"""Predictions of open jobs."""

from __future__ import annotations

import pytest

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


def train(site, lengths_s, *, to_its_end=True, epochs=20, node="n1", **job):
    """A training of epochs of such lengths, all told; its job."""
    one = site.slurm.submit(directives=Directives(epochs=epochs), begin=0, **job)
    site.slurm.begin(one.key.job_id, node)
    site.adopt.run()
    for number, length_s in enumerate(lengths_s, 1):
        tell(site, one, number, length_s, epochs)
    if to_its_end:
        site.slurm.end(one.key.job_id)
        site.adopt.run()
    site.predict.run()
    return one


def tell(site, job, number, length_s, epochs=20):
    """An epoch begins now, and is delivered when it has ended."""
    record = EpochRecord(
        cluster="lab", node="n1", job_id=job.key.job_id, restarts=0, uid=1001, epoch=number,
        epochs=epochs, started_ms=site.clock.now() * 1000, duration_ms=length_s * 1000,
        energy_millij=length_s * 10**5, relative_sd=None, samples=0, quality=Quality.MODELLED,
    )  # fmt: skip
    site.clock.at += length_s
    site.take.take(ROOT, [], [record.to_wire()])


def test_what_followed_the_first_epoch_of_earlier_trainings_is_expected_of_this_one(site):
    warm = [200, *[100] * 19]
    strange = train(site, warm[:1], to_its_end=False)
    for _ in range(3):
        train(site, warm)
    known = train(site, warm[:1], to_its_end=False)
    alone, told = (site.ledger.plans.prediction(job.key) for job in (strange, known))
    assert alone.duration_s == 20 * 200
    assert abs(told.duration_s - 2100) < 250
    assert "as 3 earlier trainings went on" in told.explanation
    assert told.duration_high_s - told.duration_low_s < alone.duration_high_s - alone.duration_low_s


def test_trainings_that_stopped_early_make_the_end_uncertain_and_shorter_ones_do_not(site):
    for _ in range(3):
        train(site, [100] * 10, epochs=10)  # as long as it was to be
    steady = train(site, [100], to_its_end=False)
    assert site.ledger.plans.prediction(steady.key).duration_s == 2000
    for length in (8, 9, 11):
        train(site, [100] * length)
    made = site.ledger.plans.prediction(train(site, [100], to_its_end=False).key)
    assert 700 < made.duration_s < 1200
    assert made.duration_high_s > 1900
    assert "of those before, 3 stopped early" in made.explanation


def test_epochs_of_other_scripts_sizes_and_users_tell_nothing(site):
    for other in ({"name": "other"}, {"cpus": 4}, {"user": "ben", "uid": 1002}):
        train(site, [200, *[100] * 19], **other)
    made = site.ledger.plans.prediction(train(site, [200], to_its_end=False).key)
    assert made.duration_s == 20 * 200


def test_it_is_reckoned_anew_with_each_epoch_and_not_in_between(site, monkeypatch):
    job = train(site, [100, 100], to_its_end=False)
    before = site.ledger.plans.prediction(job.key)
    with monkeypatch.context() as patch:
        patch.setattr(site.ledger.readings, "epochs_of", lambda *_: pytest.fail("read again"))
        site.predict.run()
    assert site.ledger.plans.prediction(job.key) == before
    tell(site, job, 3, 400)
    site.predict.run()
    assert site.ledger.plans.prediction(job.key).duration_s > before.duration_s + 200
