"""What queue, log and charges tell of a stop."""

from __future__ import annotations

import logging

from .stopping import (
    CLEAN_AT,
    GRACE_S,
    HOUR,
    START,
    running,
    tick,
)


def test_the_queue_tells_of_the_stop(site, signalled):
    (row,) = site.views.queue("ada")["jobs"]
    assert (row["stopping_at"], row["stopped_at"]) == (site.clock.at, None)
    told_at = site.clock.at
    tick(site, GRACE_S)
    tick(site)
    (row,) = site.views.queue("ada")["jobs"]
    assert (row["stopping_at"], row["stopped_at"]) == (None, told_at)
    assert (row["planned_start_at"], row["restarts"]) == (CLEAN_AT, 1)
    assert row["saved_mg"] > 0


def test_the_log_says_what_a_stop_should_save(site, caplog):
    caplog.set_level(logging.INFO)
    running(site)
    site.round()
    (line,) = [one for one in caplog.messages if "had better go on" in one]
    assert "which is expected to save" in line
    assert "requeued in 00:02:00" in line


def test_each_run_is_charged_by_itself_and_the_sums_are_all_that_was_metered(site):
    job = running(site)
    first = [site.segment(job, START + n * 300) for n in range(12)]
    for after_s in (0, GRACE_S, 60):
        tick(site, after_s)
    (known,) = site.ledger.jobs.open("lab")
    site.clock.at = CLEAN_AT
    site.slurm.begin(1)
    site.adopt.run()
    run = site.slurm.present[1]
    second = [site.segment(run, CLEAN_AT + n * 300) for n in range(12)]
    site.clock.at += HOUR
    site.slurm.end(1)
    site.deliver(*first, *second)
    site.actual(START, *[100] * 10)
    tick(site, HOUR)
    tick(site, HOUR)
    rows = site.views.jobs("ada", 1, 0, None, evidence=False)["jobs"]
    assert [row["energy_j"] for row in rows] == [12 * 30_000, 12 * 30_000]
    charged = [site.ledger.entries.charged(key) for key in (job.key, known.job.key)]
    assert [sum(mg for mg, _, _ in one.values()) for one in charged] == [row["mg"] for row in rows]
    assert rows[0]["mg"] == rows[1]["mg"] > 0
