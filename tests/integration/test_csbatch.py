"""csbatch before a real Slurm, with a listener on loopback in the daemon's place."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from carbonsched.cluster.command_line import CommandLineCluster
from carbonsched.model.directives import Directives, decode_mark
from carbonsched.submit.script import digest
from carbonsched.transport.munge import Munge
from carbonsched.transport.request import signed_payload

pytestmark = pytest.mark.cluster
USER = "carbon-ada"
LEASE_S = 30


class Listener:
    """Takes registrations, proves who sent them, and answers two lines."""

    def __init__(self, munge_socket):
        self.received = []
        munge = Munge(str(munge_socket))
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                caller = munge.decode(self.headers["Authorization"].removeprefix("MUNGE "))
                assert caller.payload == signed_payload("POST", self.path, body)
                received.append((caller.uid, self.path, json.loads(body)))
                answer = json.dumps(
                    {"lines": ["starts at once", "12 g \x1b[31mpredicted"]}
                ).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)


@pytest.fixture
def listener(lab):
    listener = Listener(lab.munge_socket)
    listener.thread.start()
    yield listener
    listener.server.shutdown()
    listener.server.server_close()
    listener.thread.join()


@pytest.fixture
def csbatch(lab, lab_folder, listener):
    """Runs csbatch as carbon-ada."""
    site = lab_folder / "csbatch-site.json"
    site.write_text(
        json.dumps(
            {
                "cluster": lab.config.cluster,
                "daemon_url": listener.url,
                "munge_socket": str(lab.munge_socket),
                "lease_s": LEASE_S,
                "submit_timeout_s": 3.0,
            }
        )
    )
    site.chmod(0o644)

    def run(*words, stdin="", check=True, **environment):
        return lab.run_as(
            USER,
            ["csbatch", *words],
            {"CARBONSCHED_SITE": str(site)} | environment,
            stdin=stdin,
            check=check,
        )

    return run


@pytest.fixture
def cluster(lab):
    return CommandLineCluster(lab.config.cluster, None, lab.slurm_conf, 20, 50)


def leased(job):
    return abs(job.eligible_at - job.key.submitted_at - LEASE_S) <= 1


def test_a_job_gets_its_lease_its_mark_and_its_plan(csbatch, cluster, listener, lab):
    done = csbatch("--carbon-max-delay=6h", "--carbon-epochs=9", "--wrap", "true")
    job_id = int(done.stdout.removeprefix("Submitted batch job "))
    assert done.stdout == f"Submitted batch job {job_id}\n"
    assert done.stderr == "csbatch: starts at once\ncsbatch: 12 g ?[31mpredicted\n"
    job = cluster.job(job_id)
    wish = Directives(max_delay_s=21_600, epochs=9, lease_s=LEASE_S, script_digest=digest(b"true"))
    assert decode_mark(job.comment) == wish
    assert leased(job)
    ((uid, path, document),) = listener.received
    assert uid == job.uid
    assert path == "/v1/jobs"
    assert (document["cluster"], document["job_id"]) == (lab.config.cluster, job_id)
    assert Directives(**document["directives"]) == wish
    lab.slurm("scancel", str(job_id))


def test_parsable_prints_the_number_alone(csbatch, listener, lab):
    done = csbatch("--parsable", "--wrap", "true")
    assert done.stdout == f"{listener.received[0][2]['job_id']}\n"
    lab.slurm("scancel", done.stdout.strip())


def test_quiet_leaves_the_mark(csbatch, cluster, listener, lab):
    done = csbatch("-Q", "--job-name=quiet-one", "--wrap", "true")
    assert (done.stdout, done.stderr, listener.received) == ("", "", [])
    (job,) = [job for job in cluster.jobs() if job.name == "quiet-one"]
    assert decode_mark(job.comment) == Directives(lease_s=LEASE_S, script_digest=digest(b"true"))
    lab.slurm("scancel", str(job.key.job_id))


def test_an_array_and_a_dependency(csbatch, cluster, lab):
    first = csbatch("--parsable", "--array=1-4%2", "--wrap", "true").stdout.strip()
    second = csbatch("--parsable", f"--dependency=afterok:{first}", "--wrap", "true").stdout.strip()
    assert cluster.job(int(first)).tasks == 4
    assert leased(cluster.job(int(first)))
    assert cluster.job(int(second)).pending
    lab.slurm("scancel", first, second)


def test_a_script_from_standard_input_with_carbon_lines(csbatch, cluster, lab):
    script = "#!/bin/sh\n#SBATCH --job-name='from stdin'\n#CARBON --deadline=now+8h\ntrue\n"
    done = csbatch("--parsable", stdin=script)
    job = cluster.job(int(done.stdout))
    assert job.name == "from stdin"
    wish = decode_mark(job.comment)
    assert abs(wish.deadline_at - job.key.submitted_at - 28_800) <= 2
    lab.slurm("scancel", done.stdout.strip())


def test_all_parts_of_a_heterogeneous_job_are_leased(csbatch, cluster, lab):
    done = csbatch("--parsable", "-n1", ":", "-n2", "--wrap", "true")
    parts = [job for job in cluster.jobs() if job.het_job_id == int(done.stdout)]
    assert len(parts) == 2
    assert all(leased(part) and decode_mark(part.comment) is not None for part in parts)
    lab.slurm("scancel", done.stdout.strip())


def test_the_users_own_begin_and_comment_win(csbatch, cluster, lab):
    words = ("--begin=now+1hour", "--comment=mine | 'own'")
    on_line = csbatch("--parsable", *words, "--wrap", "true").stdout.strip()
    script = (
        f'#!/bin/sh\n#SBATCH --begin=now+1hour --comment="mine | {chr(39)}own{chr(39)}"\ntrue\n'
    )
    in_script = csbatch("--parsable", stdin=script).stdout.strip()
    for job_id in (on_line, in_script):
        job = cluster.job(int(job_id))
        assert job.comment == "mine | 'own'"
        assert abs(job.eligible_at - job.key.submitted_at - 3600) <= 1
        lab.slurm("scancel", job_id)


def test_now_starts_at_once(csbatch, cluster, lab):
    done = csbatch("--carbon-now", "--parsable", "--wrap", "sleep 20")
    lab.wait_job_state(done.stdout.strip(), "RUNNING", timeout_s=10)
    wish = Directives(start_now=True, script_digest=digest(b"sleep 20"))
    assert decode_mark(cluster.job(int(done.stdout)).comment) == wish
    lab.slurm("scancel", done.stdout.strip())


def test_wait_tells_the_daemon_before_the_job_has_ended(csbatch, listener, lab):
    outcome = {}

    def submit():
        outcome["done"] = csbatch(
            "--carbon-now", "--wait", "--wrap", "sleep 5; exit 7", check=False
        )

    thread = threading.Thread(target=submit)
    thread.start()
    lab.wait_until(lambda: listener.received, "the registration", timeout_s=10)
    assert thread.is_alive()
    job_id = listener.received[0][2]["job_id"]
    assert lab.job_state(job_id) in ("PENDING", "RUNNING", "CONFIGURING")
    thread.join(60)
    assert outcome["done"].returncode == 7
    assert outcome["done"].stdout == f"Submitted batch job {job_id}\n"


def test_what_sbatch_refuses_is_refused_in_its_own_words(csbatch, listener, lab):
    words = ("--partition=nowhere", "--wrap", "true")
    plain = lab.run_as(USER, ["sbatch", *words], check=False)
    ours = csbatch(*words, check=False)
    assert (ours.returncode, ours.stdout) == (plain.returncode, plain.stdout)
    assert ours.stderr == plain.stderr
    assert listener.received == []


def test_without_a_daemon_the_job_starts_when_its_lease_ends(csbatch, cluster, listener, lab):
    listener.server.shutdown()
    listener.server.server_close()
    began = time.time()
    done = csbatch("--parsable", "--wrap", "true")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert f"job {done.stdout.strip()} is submitted, but without a plan" in line
    lab.wait_job_state(done.stdout.strip(), "COMPLETED", timeout_s=LEASE_S + 30)
    assert cluster.job(int(done.stdout)).started_at - began >= LEASE_S - 1


def test_test_only_submits_nothing(csbatch, cluster, listener):
    before = {job.key for job in cluster.jobs()}
    done = csbatch("--test-only", "--wrap", "true")
    assert done.returncode == 0
    assert "to start at" in done.stderr
    assert listener.received == []
    assert {job.key for job in cluster.jobs()} <= before
