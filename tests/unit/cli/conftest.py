"""A real HTTP server that answers the daemon's documents, and the real client asking it."""

import importlib.util
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from carbonsched.transport.client import Client

SAMPLES = Path(__file__).parents[1] / "reports" / "samples.py"


class AnyCredential:
    """In MUNGE's place: the server here does not look at credentials."""

    def encode(self, payload):
        return payload.hex()


class Server(ThreadingHTTPServer):
    """Answers what ``answers`` holds for a path, and keeps what was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked = {}, []

    @property
    def client(self):
        return Client(f"http://127.0.0.1:{self.server_port}", AnyCredential(), timeout_s=5)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self._answer(None)

    def do_POST(self):
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, document):
        parts = urlsplit(self.path)
        self.server.asked.append((parts.path, dict(parse_qsl(parts.query)), document))
        status, body = self.server.answers.get(parts.path, (404, {"error": "no such path"}))
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def samples():
    """The builder of sample documents that the reports' tests use too."""
    spec = importlib.util.spec_from_file_location("samples", SAMPLES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def daemon(samples):
    """A server with an answer for every path."""
    server = Server()
    job = samples.job()
    server.answers = {
        "/v1/queue": (200, samples.queue(hostile=True)),
        "/v1/jobs": (
            200,
            {
                "now": samples.NOW,
                "jobs": [
                    {**job, "evidence": samples.evidence(job)},
                    samples.job(1205, shown_id="1205_1", state="FAILED", provisional=True),
                    samples.job(1206, shown_id="1205_2", name="\x1b[2Jx|y", saved_mg=None),
                ],
            },
        ),
        "/v1/report": (200, samples.report()),
        "/v1/quota": (200, samples.quota()),
        "/v1/quota/grants": (200, {"balance": samples.quota()["balances"][0]}),
    }
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def berlin():
    """This machine is in Berlin, its terminal 80 columns wide."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        patch.setenv("COLUMNS", "80")
        time.tzset()
        yield
    time.tzset()
