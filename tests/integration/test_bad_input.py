"""Bad input over real HTTP with real MUNGE credentials, to a real daemon with a real ledger."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import sqlite3
import time
from contextlib import closing

import pytest
from trial import ADA, BEN

pytestmark = pytest.mark.cluster

QUEUE = "/v1/queue"
READINGS = "/v1/readings"
GRANTS = "/v1/quota/grants"
HOUR = 3600


@pytest.fixture(scope="module")
def past(trial):
    """An hour of which no real node has readings."""
    return int(time.time()) - 24 * HOUR


def segment(start_at, **changes):
    joules = changes.pop("joules", 50)
    job = {"job_id": 1, "restarts": 0, "uid": 1, "cpu_ms": 0, "present_ms": 5000, "kind": "job"}
    idle = {"job_id": None, "restarts": None, "uid": None, "cpu_ms": 0, "present_ms": 0}
    return {
        "cluster": "lab", "node": "ghost", "start_at": start_at, "end_at": start_at + 5,
        "total_j": joules, "quality": "modelled", "meter": "a test",
        "parts": [
            job | {"job_id": 999_999, "energy_j": joules - 10},
            idle | {"kind": "idle", "energy_j": 10},
        ],
    } | changes  # fmt: skip


def deliver(trial, *segments):
    answer = trial.ask_as("root", "POST", READINGS, {"segments": segments, "epochs": []})
    assert answer.status == 200
    return answer.document


def refusals(receipt):
    return [one["error"] for one in receipt["refused"]]


def refused(answer, status):
    assert answer.status == status, answer
    return answer.error


class TestCredentials:
    def test_none(self, trial):
        assert "MUNGE credential" in refused(trial.ask("GET", QUEUE), 401)

    def test_only_health_needs_none(self, trial):
        assert trial.ask("GET", "/v1/health").status == 200

    @pytest.mark.parametrize(
        "credential", ["MUNGE:AAAA:", "nonsense", "MUNGE:" + "A" * 20_000 + ":", "\xfc\xff"]
    )
    def test_malformed(self, trial, credential):
        refused(trial.ask("GET", QUEUE, credential=credential), 401)

    def test_forged(self, trial):
        good = trial.credential(ADA, "GET", QUEUE)
        middle = len(good) // 2
        forged = good[:middle] + ("A" if good[middle] != "A" else "B") + good[middle + 1 :]
        assert "credential refused" in refused(trial.ask("GET", QUEUE, credential=forged), 401)
        assert trial.ask("GET", QUEUE, credential=good).status == 200

    def test_replayed(self, trial):
        credential = trial.credential(ADA, "GET", QUEUE)
        assert trial.ask("GET", QUEUE, credential=credential).status == 200
        again = trial.ask("GET", QUEUE, credential=credential)
        assert "replayed" in refused(again, 401).lower()

    def test_of_another_request(self, trial):
        body = json.dumps({"segments": [], "epochs": []}).encode()
        other = "another request"
        for method, path, signed in (
            ("GET", "/v1/jobs", b""),
            ("GET", f"{QUEUE}?all=1", b""),
            ("POST", QUEUE, b""),
        ):
            credential = trial.credential("root", method, path, signed)
            assert other in refused(trial.ask("GET", QUEUE, credential=credential), 401)
        credential = trial.credential("root", "POST", READINGS, body + b" ")
        assert other in refused(trial.ask("POST", READINGS, body, credential), 401)

    def test_stale(self, trial):
        command = ["munge", "--socket", trial.lab.munge_socket, "--ttl", "1", "--string", "x"]
        credential = trial.lab.run_as(ADA, command).stdout.strip()
        stale_at = time.time() + 2.5
        trial.until(lambda: time.time() > stale_at, "the credential to expire")
        assert "xpired" in refused(trial.ask("GET", QUEUE, credential=credential), 401)


class TestRights:
    @pytest.mark.parametrize(
        "path",
        [
            f"/v1/jobs?user={BEN}",
            "/v1/jobs?all=1",
            f"/v1/queue?user={BEN}",
            "/v1/queue?all=1",
            f"/v1/report?user={BEN}",
            "/v1/report?account=biology",
        ],
    )
    def test_figures_are_their_owners_and_the_operators(self, trial, path):
        refused(trial.ask_as(ADA, "GET", path), 403)
        assert trial.ask_as("root", "GET", path).status == 200
        if f"user={BEN}" in path:
            assert trial.ask_as(BEN, "GET", path).status == 200

    def test_commands_say_so_in_one_line(self, trial):
        done = trial.stack.run(ADA, "csacct", "-u", BEN, check=False)
        assert done.returncode == 77
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1

    def test_readings_come_from_root(self, trial, past):
        answer = trial.ask_as(ADA, "POST", READINGS, {"segments": [segment(past)], "epochs": []})
        assert "agents" in refused(answer, 403)
        assert trial.timeline("ghost") == []

    def test_anothers_job_is_not_adopted(self, trial):
        job = trial.sbatch(BEN, "--hold", "--wrap", "true")
        wish = {"cluster": "lab", "job_id": job, "directives": {"max_delay_s": 60}}
        assert "not yours" in refused(trial.ask_as(ADA, "POST", "/v1/jobs", wish), 403)
        assert trial.ask_as(BEN, "POST", "/v1/jobs", wish).status == 200
        trial.lab.run_as(BEN, ["scancel", str(job)])

    def test_only_operators_grant_and_grants_are_on_record(self, trial):
        reason = "revision of 'the' paper; DROP TABLE grants"
        wish = {"subject": f"user:{BEN}", "month": None, "mg": 5000, "reason": reason}
        refused(trial.ask_as(BEN, "POST", GRANTS, wish), 403)
        assert trial.select("SELECT * FROM grants") == []
        answer = trial.ask_as("root", "POST", GRANTS, wish)
        assert answer.document["balance"]["granted_mg"] == 5000
        row = trial.one("SELECT * FROM grants")
        assert (row["subject"], row["mg"], row["by"]) == (f"user:{BEN}", 5000, "root")
        assert row["reason"] == reason
        for change in (
            {"reason": " "}, {"subject": "ben"}, {"subject": f"user:{ADA}"}, {"month": "soon"}
        ):  # fmt: skip
            refused(trial.ask_as("root", "POST", GRANTS, wish | change), 400)
        assert len(trial.select("SELECT * FROM grants")) == 1


class TestRequests:
    @pytest.mark.parametrize(
        "body", [b"{not json", b"", b"[1]", b'"x"', b"\xff\xfe", b"[" * 90_000]
    )
    def test_malformed_json(self, trial, body):
        credential = trial.credential("root", "POST", READINGS, body)
        refused(trial.ask("POST", READINGS, body, credential), 400)

    @pytest.mark.parametrize(
        "wish",
        [
            {"cluster": "elsewhere", "job_id": 1, "directives": {}},
            {"cluster": "lab", "job_id": 4_000_000, "directives": {}},
            {"cluster": "lab", "job_id": -1, "directives": {}},
            {"cluster": "lab", "job_id": "1; rm -rf /", "directives": {}},
            {"cluster": "lab", "job_id": 1, "directives": {"max_delay_s": "long"}},
            {"cluster": "lab", "job_id": 1, "directives": {"max_delay_s": -5}},
            {"cluster": "lab", "job_id": 1, "directives": {"root": True}},
            {"cluster": "lab", "job_id": 1, "directives": {}, "more": 1},
        ],
    )
    def test_adoptions_of_nothing(self, trial, wish):
        refused(trial.ask_as(ADA, "POST", "/v1/jobs", wish), 400)

    @pytest.mark.parametrize(
        "path", ["/v1/report?month=2026-13", "/v1/jobs?job=x", "/v1/report?user=a&account=b"]
    )
    def test_queries_that_cannot_be(self, trial, path):
        refused(trial.ask_as("root", "GET", path), 400)

    def test_no_such_page(self, trial):
        refused(trial.ask_as(ADA, "GET", "/v1/secrets"), 404)

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Content-Length": str(64 * 1024 * 1024)}, 413),
            ({"Transfer-Encoding": "chunked"}, 411),
        ],
    )
    def test_an_oversized_body_is_not_even_read(self, trial, headers, status):
        with closing(http.client.HTTPConnection("127.0.0.1", trial.stack.port, 10)) as connection:
            connection.putrequest("POST", READINGS)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            assert answer.status == status
            assert "error" in json.load(answer)


class TestReadings:
    def test_twice_and_out_of_order(self, trial, past):
        later, earlier = segment(past + 100), segment(past + 50)
        assert deliver(trial, later)["accepted"] == 1
        receipt = deliver(trial, earlier, later)
        assert receipt == {"accepted": 1, "duplicates": 1, "refused": [], "ended": []}
        assert trial.timeline("ghost") == [(past + 50, past + 55), (past + 100, past + 105)]

    def test_for_a_job_never_seen(self, trial, past):
        assert deliver(trial, segment(past + 200))["accepted"] == 1
        assert trial.rows(999_999) == []
        assert trial.one("SELECT COUNT(*) AS n FROM entries WHERE job_id = 999999") == {"n": 0}

    def test_overlapping_with_other_figures(self, trial, past):
        deliver(trial, segment(past + 300))
        others = [segment(past + 300, joules=60), segment(past + 298), segment(past + 304)]
        receipt = deliver(trial, *others, segment(past + 305))
        assert receipt["accepted"] == 1
        assert [one["index"] for one in receipt["refused"]] == [0, 1, 2]
        assert all("other figures" in error for error in refusals(receipt))

    def test_one_wrong_segment_does_not_take_others_with_it(self, trial, past):
        wrong = [
            segment(past + 400, cluster="elsewhere"),
            segment(past + 400, total_j=51),
            segment(past + 400, end_at=past + 400),
            segment(past + 400, total_j="50"),
            segment(past + 400, quality="guessed"),
            segment(int(time.time()) + 2 * HOUR),
            {"segment": 1},
            None,
            "x" * 1000,
        ]
        receipt = deliver(trial, *wrong, segment(past + 400))
        assert receipt["accepted"] == 1
        assert [one["index"] for one in receipt["refused"]] == list(range(len(wrong)))
        assert "elsewhere" in refusals(receipt)[0]

    def test_numbers_that_no_ledger_can_hold(self, trial, past):
        huge = 2**70
        parts = [segment(past)["parts"][1] | {"energy_j": huge}]
        receipt = deliver(
            trial, segment(past + 500, total_j=huge, parts=parts), segment(past + 510)
        )
        assert receipt["accepted"] == 1
        assert len(receipt["refused"]) == 1


class TestJobs:
    @pytest.mark.parametrize(
        "comment",
        ["carbonsched/1 delay=x", "carbonsched/1 delay=-1 now=7", "carbonsched/9", "a;b|c\td\n'"],
    )
    def test_comments_that_are_not_ours(self, trial, comment):
        job = trial.sbatch(ADA, "--time=1", f"--comment={comment}", "--wrap", "true")
        trial.until(lambda: trial.rows(job), "the job in the ledger")
        assert trial.health()["status"] == "ok"


class TestTheLedger:
    def test_locked(self, trial, past):
        path = trial.stack.folder / "state" / "ledger.db"
        mark = len(trial.daemon_log)
        with closing(sqlite3.connect(path, isolation_level=None, timeout=20)) as thief:
            thief.execute("BEGIN EXCLUSIVE")
            document = {"segments": [segment(past + 600)], "epochs": []}
            answer = trial.ask_as("root", "POST", READINGS, document)
            assert "locked" in refused(answer, 503)
            thief.execute("ROLLBACK")
        trial.until(lambda: trial.health()["status"] == "ok", "the daemon to recover", 60)
        assert deliver(trial, segment(past + 600))["accepted"] == 1
        assert "Traceback" not in trial.daemon_log[mark:]


class TestStarting:
    """Daemons that must not start, each with a configuration and a state of its own."""

    @pytest.fixture
    def other(self, trial):
        folder = trial.lab.directory / "other"
        (folder / "state").mkdir(parents=True)
        shutil.chown(folder / "state", "slurm")
        yield folder
        shutil.rmtree(folder)

    def start(self, trial, folder, *changes):
        text = trial.stack.config_file.read_text()
        swaps = [(str(trial.stack.folder / "state"), str(folder / "state"))]
        for old, new in [*swaps, *changes]:
            assert old in text
            text = text.replace(old, new)
        config = folder / "carbonsched.yaml"
        config.write_text(text)
        return trial.carbonsched("daemon", "--config", config)

    def check(self, done, status, *words):
        assert done.returncode == status, done.stderr
        (line,) = done.stderr.splitlines()
        assert all(word in line for word in words), line

    def test_the_ledger_is_no_database(self, trial, other):
        ledger = other / "state" / "ledger.db"
        ledger.write_bytes(b"not a database\n" * 1000)
        shutil.chown(ledger, "slurm")
        self.check(self.start(trial, other, self.port(trial)), 74, "ledger.db", "not a database")

    def test_the_ledger_may_not_be_read(self, trial, other):
        ledger = other / "state" / "ledger.db"
        ledger.touch(mode=0o600)
        self.check(self.start(trial, other, self.port(trial)), 74, "ledger.db")

    def test_the_state_belongs_to_another(self, trial, other):
        shutil.chown(other / "state", "root")
        self.check(self.start(trial, other, self.port(trial)), 78, "state_dir", "must own")

    def test_the_port_is_taken(self, trial, other):
        self.check(self.start(trial, other), 78, str(trial.stack.port), "another daemon")

    def test_yaml_that_is_none(self, trial, other):
        done = self.start(trial, other, ("clusters:", "clusters: ["))
        assert done.returncode == 78
        assert re.search(r"carbonsched\.yaml:\d+:\d+ ", done.stderr)
        assert "Traceback" not in done.stderr

    def test_every_wrong_value_is_told_at_once_with_its_place(self, trial, other):
        done = self.start(
            trial, other, ("pue: 1.25", "pue: 0.25"), ("zone: DE", "zone: NO"), ("slot:", "slots:")
        )
        assert done.returncode == 78
        places = re.findall(r"carbonsched\.yaml:(\d+):\d+ ", done.stderr)
        assert len(places) >= 3, done.stderr
        assert len(places) == len(done.stderr.splitlines())
        assert "Traceback" not in done.stderr

    def port(self, trial):
        return f"listen_port: {trial.stack.port}", "listen_port: 61613"
