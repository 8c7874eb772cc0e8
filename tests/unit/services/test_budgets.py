"""Budgets of single jobs, through the services' own doors."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carbonsched.errors import ClusterUnavailableError
from carbonsched.model.budget import BudgetCase, BudgetState
from carbonsched.model.directives import Directives
from carbonsched.model.energy import Quality
from carbonsched.model.epoch import EpochRecord
from carbonsched.ports import Standing
from carbonsched.services.budget_steps import EndStep, next_end
from carbonsched.transport.munge import Caller

START = 1_792_998_000
GRACE_S = 120
ROOT = Caller(uid=0, gid=0, payload=b"")
BUDGET_MG = 5_000
MODEST = Directives(start_now=True, budget_mg=BUDGET_MG)


def running(site, directives=MODEST):
    """A job that runs under a grid of 300 g/kWh."""
    site.forecast(*[300] * 12)
    site.actual(START, *[300] * 12)
    job = site.slurm.submit(directives=directives, begin=0)
    site.round()
    site.slurm.begin(job.key.job_id)
    site.round()
    return job


def use(site, job, energy_j, after_s=300):
    """It used so much in five minutes more, and is looked at."""
    site.deliver(site.segment(job, site.clock.at, after_s, energy_j))
    site.clock.at += after_s
    site.round()


def case(site, job):
    return site.ledger.budgets.of(job.key)


def test_a_job_that_used_up_its_budget_is_told_and_ended_after_its_grace(site):
    job = running(site)
    use(site, job, 30_000)  # 2.5 g at 300 g/kWh, 3 g with the PUE
    assert case(site, job) is None
    use(site, job, 30_000)
    told = case(site, job)
    assert told.state is BudgetState.SIGNALLED
    assert told.used_mg >= BUDGET_MG
    assert site.slurm.signals == [(1, "TERM")]
    site.clock.at += GRACE_S - 1
    site.round()
    assert site.slurm.cancels == []
    site.clock.at += 1
    site.round()
    assert site.slurm.cancels == [1]
    site.round()
    assert case(site, job).state is BudgetState.ENDED
    assert site.slurm.signals == [(1, "TERM")]


def test_with_a_checkpoint_it_gets_the_sites_signal(site):
    job = running(site, replace(MODEST, checkpoint=True))
    use(site, job, 60_000)
    assert site.slurm.signals == [(1, "USR1")]


def test_a_job_without_a_budget_or_within_it_is_left_alone(site):
    job = running(site, replace(MODEST, budget_mg=10**9))
    use(site, job, 600_000)
    assert case(site, job) is None
    assert not site.slurm.signals


def test_what_nobody_has_metered_ends_no_job(site):
    job = running(site, replace(MODEST, budget_mg=1))
    site.clock.at += 6 * 3600
    site.round()
    assert case(site, job) is None
    assert not site.slurm.signals


def test_a_daemon_that_dies_between_word_and_deed_goes_on(site, monkeypatch):
    job = running(site)

    def silent(*_):
        raise ClusterUnavailableError("lab", "no answer")

    with monkeypatch.context() as patch:
        patch.setattr(site.slurm, "signal", silent)
        use(site, job, 60_000)
    assert case(site, job).state is BudgetState.SIGNALLING
    site.round()
    assert case(site, job).state is BudgetState.SIGNALLED
    assert site.slurm.signals == [(1, "TERM")]


def test_a_comment_that_slurm_does_not_take_keeps_no_job_from_its_end(site, monkeypatch):
    def silent(*_):
        raise ClusterUnavailableError("lab", "no answer")

    monkeypatch.setattr(site.slurm, "remark", silent)
    job = running(site)
    use(site, job, 60_000)
    site.clock.at += GRACE_S
    site.round()
    assert site.slurm.cancels == [1]


def test_it_is_warned_once_when_its_epochs_foretell_too_much(site, caplog):
    job = running(site)
    record = EpochRecord(
        cluster="lab", node="n1", job_id=1, restarts=0, uid=1001, epoch=1, epochs=20,
        started_ms=START * 1000, duration_ms=300_000, energy_millij=30_000_000, relative_sd=None,
        samples=0, quality=Quality.MODELLED,
    )  # fmt: skip
    site.take.take(ROOT, [], [record.to_wire()])
    for _ in range(3):
        site.clock.at += 300
        site.round()
    assert case(site, job).state is BudgetState.WARNED
    assert [number for number, _ in site.slurm.remarks] == [1]
    assert caplog.text.count("more than its budget of") == 1


@pytest.mark.parametrize(
    ("state", "standing", "after_s", "step"),
    [
        ("signalling", {"state": "RUNNING"}, 0, "signal"),
        ("signalling", {"state": "PENDING"}, 0, "cancel"),
        ("signalled", {"state": "RUNNING"}, GRACE_S - 1, "wait"),
        ("signalled", {"state": "RUNNING"}, GRACE_S, "cancel"),
        ("ending", {"state": "RUNNING"}, 10**6, "cancel"),
        ("ending", {"state": "COMPLETING"}, 0, "wait"),
        ("ending", {"state": "CANCELLED", "ended_at": START + 9}, 0, "done"),
        ("signalled", {"state": "COMPLETED", "ended_at": START + 9}, 0, "done"),
        ("signalling", {"state": "COMPLETED", "ended_at": START + 9}, 0, "leave"),
        ("signalled", {"state": "RUNNING", "restarts": 1}, 0, "leave"),
        ("signalling", None, 0, "leave"),
        ("ending", None, 0, "done"),
    ],
)
def test_what_comes_next_follows_from_the_row_and_slurms_word(site, state, standing, after_s, step):
    job = site.slurm.submit(directives=MODEST)
    row = BudgetCase(
        key=job.key, at=START, state=BudgetState(state), changed_at=START, budget_mg=1, used_mg=2,
        predicted_mg=None,
    )  # fmt: skip
    known = {"restarts": job.key.restarts, "submitted_at": job.key.submitted_at, "ended_at": None}
    told = None if standing is None else Standing(**fields_of_standing(known | standing))
    assert next_end(row, told, START + after_s, GRACE_S).step is EndStep(step)


def fields_of_standing(values):
    """All that a standing has; what is not told is empty."""
    return {name: values.get(name) for name in Standing.__dataclass_fields__}
