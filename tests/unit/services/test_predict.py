"""Predictions of open jobs."""

from __future__ import annotations

from carbonsched.model.directives import Directives
from carbonsched.model.energy import Quality
from carbonsched.model.epoch import EpochRecord
from carbonsched.transport.munge import Caller

ROOT = Caller(uid=0, gid=0, payload=b"")


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
