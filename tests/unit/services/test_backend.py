"""Who may see and do what, through the backend that the API calls."""

from __future__ import annotations

import pwd
from dataclasses import replace

import pytest

from carbonsched.errors import ClusterUnavailableError, ForbiddenError, RequestError
from carbonsched.model.directives import Directives
from carbonsched.model.energy import Quality
from carbonsched.model.epoch import EpochRecord
from carbonsched.model.placement import Candidacy, JobSize
from carbonsched.reports.queue_documents import read_queue
from carbonsched.services.access import Access
from carbonsched.services.backend import ServiceBackend
from carbonsched.services.gate import owners_begin_in
from carbonsched.services.managed import Clusters, ManagedCluster
from carbonsched.services.outlook import Outlook
from carbonsched.services.pue import ConstantPue
from carbonsched.services.ticks import Ticks, WriterLock
from carbonsched.transport.munge import Caller
from carbonsched.web.backend import JobQuery, PeriodQuery, ReportQuery

HOUR = 3600


def caller(name):
    user = pwd.getpwnam(name)
    return Caller(uid=user.pw_uid, gid=user.pw_gid, payload=b"")


ROOT, DAEMON, BIN = caller("root"), caller("daemon"), caller("bin")
STRANGER = Caller(uid=3_999_999_999, gid=1, payload=b"")


@pytest.fixture
def make_backend(make_site, tmp_path):
    """``bin`` is an operator here, ``daemon`` an ordinary user."""

    def make(**budgets):
        site = make_site(**budgets)
        lock = WriterLock(tmp_path / "lock")
        backend = ServiceBackend(
            Access(("bin",)), lock, Ticks({"settle": site.settle.run}, lock, site.clock),
            site.clusters, site.ledger, site.adopt, site.predict, site.plan, site.take,
            site.quotas, site.advice,
            site.place, site.views, site.statements, site.audits, site.shadows,
            Outlook(site.grid, site.clock), site.clock,
        )  # fmt: skip
        return site, backend

    return make


def adopted(site, backend, who=DAEMON, directives=None):
    """Submit a job of a user whom this host knows, and tell the backend."""
    job = site.slurm.submit("ada", uid=who.uid)
    site.slurm.present[job.key.job_id] = replace(job, user=pwd.getpwuid(who.uid).pw_name)
    return backend.adopt(who, "lab", job.key.job_id, directives or Directives())["lines"]


def test_a_submission_is_told_its_plan_weight_and_quota(make_backend):
    site, backend = make_backend(daemon=10**9)
    site.forecast(400, 100, 100)
    lines = adopted(site, backend, directives=Directives(max_delay_s=2 * HOUR))
    assert [line.partition(": ")[0] for line in lines] == [
        "plan", "predicted from limits", "quota of user:daemon",
    ]  # fmt: skip
    assert site.slurm.moves
    assert all("\n" not in line for line in lines)


def test_a_job_is_weighed_as_its_callers_before_it_is_submitted(make_backend):
    site, backend = make_backend()
    site.forecast(400, 400)
    asked = Candidacy(
        clusters=(), size=JobSize(name="x", tasks=2, time_limit_s=HOUR), directives=Directives()
    )
    document = backend.place(DAEMON, asked)
    assert document["chosen"] == "lab"
    assert [(row["name"], row["mg"]) for row in document["clusters"]] == [("lab", 19_200)]
    assert backend.queue(ROOT, JobQuery(everybody=True))["jobs"] == []
    with pytest.raises(ForbiddenError, match="no user here"):
        backend.place(STRANGER, asked)


def test_another_users_job_is_not_adopted(make_backend):
    site, backend = make_backend()
    site.slurm.submit("ada", uid=DAEMON.uid)
    with pytest.raises(ForbiddenError, match="job 1 is not yours"):
        backend.adopt(BIN, "lab", 1, Directives())
    with pytest.raises(RequestError, match="no job 9"):
        backend.adopt(DAEMON, "lab", 9, Directives())
    with pytest.raises(RequestError, match="known: lab"):
        backend.adopt(DAEMON, "elsewhere", 1, Directives())


def marked(site, who):
    """The newest job has marked an epoch."""
    job_id = max(site.slurm.present)
    site.slurm.begin(job_id)
    site.adopt.run()
    record = EpochRecord(
        cluster="lab", node="n1", job_id=job_id, restarts=0, uid=who.uid, epoch=1, epochs=2,
        started_ms=site.clock.now() * 1000, duration_ms=1000, energy_millij=5, relative_sd=None,
        samples=0, quality=Quality.MODELLED,
    )  # fmt: skip
    site.ledger.readings.add_epoch(record, site.clock.now())
    return job_id


def epochs_of_any(backend, ids=(1, 2)):
    """Asks for the epochs of each of these jobs."""

    def ask(who, query):
        answers = [backend.epochs(who, replace(query, job_id=one)) for one in ids]
        return {"jobs": [job for answer in answers for job in answer["jobs"]]}

    return ask


def test_ordinary_users_see_their_own(make_backend):
    site, backend = make_backend()
    for who in (DAEMON, BIN):
        adopted(site, backend, who)
        marked(site, who)
    for ask in (backend.queue, backend.jobs, epochs_of_any(backend)):
        assert [row["user"] for row in ask(DAEMON, JobQuery())["jobs"]] == ["daemon"]
        assert [row["user"] for row in ask(DAEMON, JobQuery(user="daemon"))["jobs"]] == ["daemon"]
        for query in (JobQuery(user="bin"), JobQuery(user=""), JobQuery(user="nobody-at-all")):
            with pytest.raises(ForbiddenError, match="your own"):
                ask(DAEMON, query)
        with pytest.raises(ForbiddenError, match="operator"):
            ask(DAEMON, JobQuery(everybody=True))
        with pytest.raises(ForbiddenError, match="no user here has uid 3999999999"):
            ask(STRANGER, JobQuery())


@pytest.mark.parametrize("more", [{"gpu_limit_w": 200}, {"nodes": "n1"}])
def test_the_queue_is_asked_for_other_conditions_of_ones_own_jobs(make_backend, more):
    site, backend = make_backend()
    adopted(site, backend, DAEMON)
    adopted(site, backend, BIN)
    (plain,) = backend.queue(DAEMON, JobQuery())["jobs"]
    assert plain["otherwise"] is None
    (asked,) = backend.queue(DAEMON, JobQuery(job_id=plain["job_id"], **more))["jobs"]
    assert "no epoch of job" in asked["otherwise"]["why"]
    assert backend.queue(DAEMON, JobQuery(job_id=plain["job_id"] + 1, **more))["jobs"] == []
    read_queue(backend.queue(ROOT, JobQuery(everybody=True, **more)))


@pytest.mark.parametrize("who", [ROOT, BIN])
def test_operators_see_everybody(make_backend, who):
    site, backend = make_backend()
    adopted(site, backend, DAEMON)
    adopted(site, backend, BIN)
    for ask in (backend.queue, backend.jobs):
        assert len(ask(who, JobQuery(everybody=True))["jobs"]) == 2
        assert [row["user"] for row in ask(who, JobQuery(user="daemon"))["jobs"]] == ["daemon"]
        both = ask(who, JobQuery(user="daemon", everybody=True))["jobs"]
        assert [row["user"] for row in both] == ["daemon"]


def test_reports_are_of_one_subject_and_accounts_for_operators(make_backend):
    _, backend = make_backend()
    assert backend.report(DAEMON, ReportQuery())["subject"] == {"kind": "user", "name": "daemon"}
    own = backend.report(DAEMON, ReportQuery(campaign="sweep"))
    assert own["subject"] == {"kind": "campaign", "name": "sweep"}
    assert backend.report(BIN, ReportQuery(account="physics"))["subject"]["kind"] == "account"
    assert backend.report(ROOT, ReportQuery(user="daemon"))["subject"]["name"] == "daemon"
    with pytest.raises(ForbiddenError):
        backend.report(DAEMON, ReportQuery(account="physics"))
    with pytest.raises(ForbiddenError):
        backend.report(DAEMON, ReportQuery(user="bin"))
    for query in (ReportQuery(user="a", account="b"), ReportQuery(campaign="a", user="daemon")):
        with pytest.raises(RequestError, match="one user, one account or one campaign"):
            backend.report(ROOT, query)
    with pytest.raises(RequestError, match="is not a month"):
        backend.report(DAEMON, ReportQuery(month="last"))


def test_balances_are_the_callers_or_an_operators(make_backend):
    _, backend = make_backend(daemon=1000, bin=2000)
    backend.grant(BIN, "user:daemon", None, 50, "conference")
    backend.grant(ROOT, "user:bin", None, -50, "mistake")
    own = backend.quota(DAEMON)
    assert [row["subject"] for row in own["balances"]] == ["user:daemon"]
    assert own["balances"][0]["remaining_mg"] == 1050
    assert [(row["by"], row["reason"]) for row in own["grants"]] == [("bin", "conference")]
    whole = backend.quota(ROOT)
    assert [row["subject"] for row in whole["balances"]] == ["user:bin", "user:daemon"]
    assert len(whole["grants"]) == 2
    assert backend.quota(caller("sys"))["balances"] == []


def test_grants_are_for_operators_with_a_reason_on_a_budget_there_is(make_backend):
    _, backend = make_backend(daemon=1000)
    with pytest.raises(ForbiddenError, match="operator"):
        backend.grant(DAEMON, "user:daemon", None, 50, "please")
    for subject, month, reason, why in (
        ("daemon", None, "x", "neither user:NAME nor account:NAME"),
        ("user:", None, "x", "neither"),
        ("group:a", None, "x", "neither"),
        ("user:nobody", None, "x", "has no quota to add to"),
        ("account:physics", None, "x", "has no quota to add to"),
        ("user:daemon", "soon", "x", "is not a month"),
        ("user:daemon", None, "  ", "needs a reason"),
    ):
        with pytest.raises(RequestError, match=why):
            backend.grant(ROOT, subject, month, 50, reason)
    assert backend.quota(ROOT)["grants"] == []
    later = backend.grant(ROOT, "user:daemon", "2027-01", 50, "x")["balance"]
    assert (later["period"], later["granted_mg"], later["remaining_mg"]) == ("2027-01", 50, 1050)
    assert backend.quota(DAEMON)["balances"][0]["remaining_mg"] == 1000


def test_readings_are_for_root(make_backend):
    _, backend = make_backend()
    nothing = {"accepted": 0, "duplicates": 0, "refused": [], "ended": []}
    assert backend.readings(ROOT, [], [], None) == nothing
    with pytest.raises(ForbiddenError):
        backend.readings(BIN, [], [], None)


def test_an_audit_is_for_operators(make_backend):
    _, backend = make_backend()
    query = PeriodQuery(start_at=0, end_at=10)
    assert [one["cluster"] for one in backend.audit(BIN, query)["clusters"]] == ["lab"]
    with pytest.raises(ForbiddenError, match="operator"):
        backend.audit(DAEMON, query)
    with pytest.raises(RequestError, match="known: lab"):
        backend.audit(ROOT, replace(query, cluster="nowhere"))


def test_a_shadow_report_is_for_operators(make_backend):
    _, backend = make_backend()
    query = PeriodQuery(start_at=0, end_at=9)
    assert backend.shadow(BIN, query)["clusters"] == ["lab"]
    with pytest.raises(ForbiddenError):
        backend.shadow(DAEMON, query)


def test_health_names_the_version_and_the_ticks(make_backend):
    _, backend = make_backend()
    health = backend.health()
    assert (health["status"], health["ticks"]) == ("ok", {})
    assert health["version"]


@pytest.mark.parametrize(
    ("comment", "begin_at"),
    [
        ("carbonsched:quota begin=1793000000 used up", 1_793_000_000),
        ("carbonsched:quota used up", None),
        ("carbonsched:quota begin=soon x", None),
        ("carbonsched:quota begin=12345678901234 x", None),
        ("x carbonsched:quota begin=5 x", None),
        ("", None),
    ],
)
def test_the_owners_begin_is_read_from_the_plug_ins_words_only(comment, begin_at):
    assert owners_begin_in(comment) == begin_at


class Asleep:
    """A cluster whose slurmctld does not answer."""

    name = "asleep"

    def __getattr__(self, _name):
        def fail(*_):
            raise ClusterUnavailableError("slurmctld does not answer")

        return fail


def test_a_cluster_that_is_away_does_not_keep_the_others_waiting(site):
    asleep = ManagedCluster(cluster=Asleep(), zone="DE", pue=ConstantPue(pue_ppm=1_000_000))
    managed = {"asleep": asleep, **{one.name: one for one in site.clusters}}
    site.clusters._by_name.clear()
    site.clusters._by_name.update(managed)
    site.forecast(400, 100, 100)
    site.slurm.submit(directives=Directives(max_delay_s=2 * HOUR))
    with pytest.raises(
        ClusterUnavailableError, match=r"^cluster asleep: slurmctld does not answer"
    ):
        site.adopt.run()
    assert len(site.ledger.jobs.open("lab")) == 1
    site.predict.run()
    with pytest.raises(ClusterUnavailableError, match="cluster asleep"):
        site.plan.run()
    assert len(site.slurm.moves) == 1
    assert [one.name for one in Clusters(list(site.clusters))] == ["asleep", "lab"]
