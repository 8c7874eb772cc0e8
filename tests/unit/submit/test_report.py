"""What csbatch prints of the daemon's answers, from a server with the answers of this test."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from carbonsched.model.directives import Directives
from carbonsched.site import Site
from carbonsched.submit.report import tell_daemon
from carbonsched.submit.sbatch_run import Submitted

ROW = {
    "cluster": "lab", "job_id": 12, "plan_text": "starts in 2 h", "forecast_label": "grid: DE",
    "baseline_mg": 508_000, "expected_mg": 412_000, "best_mg": 400_000, "shadow_mg": None,
    "prediction": {"explanation": "7 earlier jobs"},
}  # fmt: skip


@pytest.fixture
def told(munge_socket, capsys):
    """What csbatch prints where the daemon's queue holds this row."""

    def tell(row, *, explain=True):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self._answer({"jobs": [{"cluster": "lab", "job_id": 11}, row]})

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self._answer({"lines": ["plan: later"]})

            def _answer(self, document):
                text = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            site = Site(
                cluster="lab", munge_socket=str(munge_socket),
                daemon_url=f"http://127.0.0.1:{server.server_port}",
            )  # fmt: skip
            submitted = Submitted(job_id=12, cluster=None)
            tell_daemon(site, submitted, Directives(), explain=explain, fallback="it waits")
            server.shutdown()
            thread.join()
        return capsys.readouterr().err.splitlines()

    return tell


def test_the_reasoning_has_the_masses_of_now_of_the_plan_and_at_best(told):
    assert told(ROW) == [
        "csbatch: plan: later",
        "csbatch: plan: starts in 2 h",
        "csbatch: CO2: 508 g if started now, 412 g by its plan, 400 g at best, whatever the room",
        "csbatch: prediction: 7 earlier jobs",
        "csbatch: forecast: grid: DE",
    ]


def test_of_a_shadow_plan_it_is_that_plans_mass(told):
    row = ROW | {"expected_mg": 508_000, "shadow_mg": 412_000}
    assert any("508 g if started now, 412 g by its plan" in line for line in told(row))


def test_what_is_not_told_is_left_out(told):
    row = ROW | {"baseline_mg": "x", "expected_mg": None}
    del row["best_mg"]
    assert not any("CO2" in line for line in told(row))
    assert "csbatch: CO2: 400 g at best, whatever the room" in told(row | {"best_mg": 400_000})


def test_without_explain_there_is_the_daemons_word_alone(told):
    assert told(ROW, explain=False) == ["csbatch: plan: later"]
