from __future__ import annotations

import json
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from types import SimpleNamespace

import pytest

from carbonsched.errors import DaemonError
from carbonsched.model.energy import EnergyPart, EnergySegment, PartKind, Quality
from carbonsched.model.epoch import EpochRecord
from carbonsched.node import postponed
from carbonsched.node.delivery import BATCH_BYTES, Delivery, Sender
from carbonsched.node.spool import Spool
from carbonsched.transport.client import Client

SENDER = Sender("lab", "n1")


def segment(start_at, joules=5, jobs=0):
    idle = EnergyPart(kind=PartKind.IDLE, energy_j=joules)
    parts = [
        EnergyPart(kind=PartKind.JOB, energy_j=1, job_id=number + 1, restarts=0)
        for number in range(jobs)
    ]
    return EnergySegment(
        cluster="lab", node="n1", start_at=start_at, end_at=start_at + 10, total_j=joules + jobs,
        quality=Quality.MODELLED, meter="model", parts=(idle, *parts),
    )  # fmt: skip


def epoch(number):
    return EpochRecord(
        cluster="lab", node="n1", job_id=7, restarts=0, uid=1, epoch=number, epochs=None,
        started_ms=1, duration_ms=5, energy_millij=9, relative_sd=None, samples=0,
        quality=Quality.MODELLED,
    )  # fmt: skip


class Daemon:
    """A real HTTP server that keeps what it is sent, and can refuse, fail or hang."""

    def __init__(self):
        self.bodies = []
        self.lengths = []
        self.strict = False
        self.most_bytes = 16 * 1024 * 1024
        self.answer = lambda body: {
            "accepted": len(body["segments"]) + len(body["epochs"]), "duplicates": 0, "refused": [],
        }  # fmt: skip
        daemon = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                length = int(self.headers["Content-Length"])
                if length > daemon.most_bytes:
                    self.send_error(413)  # a page, and the body is not read
                    return
                body = json.loads(self.rfile.read(length))
                daemon.bodies.append((self.path, body))
                daemon.lengths.append(length)
                if daemon.strict and "node" in body:
                    self.send_response(422)
                    text = b'{"error": "node: extra inputs are not permitted"}'
                else:
                    self.send_response(200)
                    text = json.dumps(daemon.answer(body)).encode()
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class AnyCredential:
    """In MUNGE's place: no munged need run here."""

    def encode(self, payload):
        return payload.hex()


class Plain:
    """The agent's client, to a port that a test may change."""

    def __init__(self, port):
        self.port = port

    def post(self, path, document):
        client = Client(f"http://127.0.0.1:{self.port}", AnyCredential(), timeout_s=2)
        return client.post(path, document)


def waiting(tree):
    return sorted(path.name for path in (tree.spool / "outbox").glob("[!.]*.json"))


def wait_until(true):
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def daemon():
    made = Daemon()
    yield made
    made.close()


@pytest.fixture
def spool(tree, journal):
    made = Spool(tree.spool, journal)
    yield made
    made.close()


@pytest.fixture
def delivery(spool, daemon, journal):
    return Delivery(spool, lambda: Plain(daemon.server.server_port), 0.05, journal, SENDER)


def test_everything_goes_in_the_daemons_words_and_leaves_after_the_answer(
    spool, delivery, daemon, tree
):
    for item in (segment(20), segment(10), epoch(1)):
        assert spool.put(item)
    assert delivery.deliver() == 3
    ((path, body),) = daemon.bodies
    assert path == "/v1/readings"
    assert [one["start_at"] for one in body["segments"]] == [10, 20]
    assert [EpochRecord.from_wire(one) for one in body["epochs"]] == [epoch(1)]
    assert waiting(tree) == []
    assert delivery.deliver() == 0


def test_many_go_in_batches(spool, delivery, daemon):
    for number in range(1, 251):
        spool.put(epoch(number))
    assert delivery.deliver() == 250
    assert [len(body["epochs"]) for _, body in daemon.bodies] == [200, 50]


def test_a_backlog_of_large_segments_goes_in_requests_of_bounded_size(
    spool, delivery, daemon, tree
):
    backlog = [segment(10 * number, jobs=640) for number in range(40)]
    for one in backlog:
        spool.put(one)
    assert sum(path.stat().st_size for path in (tree.spool / "outbox").iterdir()) > 3 * BATCH_BYTES
    assert delivery.deliver() == 40
    assert waiting(tree) == []
    assert max(daemon.lengths) < BATCH_BYTES + 10_000
    assert min(daemon.lengths[:-1]) > BATCH_BYTES / 2
    told = [one for _, body in daemon.bodies for one in body["segments"]]
    assert [EnergySegment.from_wire(one) for one in told] == backlog


def test_a_segment_larger_than_a_request_should_be_goes_alone(spool, delivery, daemon):
    for item in (segment(10), segment(20, jobs=4000), segment(30)):
        spool.put(item)
    assert delivery.deliver() == 3
    assert [len(body["segments"]) for _, body in daemon.bodies] == [1, 1, 1]
    assert daemon.lengths[1] > BATCH_BYTES


def test_what_a_daemon_finds_too_large_goes_in_halves_and_alone_it_is_put_aside(
    spool, delivery, daemon, tree, log
):
    for number in range(8):
        spool.put(segment(10 * number, jobs=300 if number == 5 else 20))
    (tree.spool / "outbox/segment.7.json").write_text('{"torn')
    daemon.most_bytes = 10_000
    assert delivery.deliver() == 9
    assert waiting(tree) == []
    starts = [one["start_at"] for _, body in daemon.bodies for one in body["segments"]]
    assert starts == [0, 10, 20, 30, 40, 60, 70]
    why = (tree.spool / "rejected/segment.000000000050.json.error").read_text()
    assert "takes no request of this size" in why
    assert log.getvalue().count("segment.000000000050.json was refused") == 1
    assert log.getvalue().count("\n") == 2


def test_what_is_refused_is_kept_apart_with_its_error(spool, delivery, daemon, tree, log):
    for item in (segment(10), segment(20), epoch(1)):
        spool.put(item)
    daemon.answer = lambda _body: {
        "accepted": 1, "duplicates": 0,
        "refused": [
            {"list": "segments", "index": 1, "error": "no such node"},
            {"list": "epochs", "index": 0, "error": "no such job"},
        ],
    }  # fmt: skip
    assert delivery.deliver() == 3
    assert waiting(tree) == []
    rejected = tree.spool / "rejected"
    kept = json.loads((rejected / "segment.000000000020.json").read_text())
    assert EnergySegment.from_wire(kept) == segment(20)
    assert (rejected / "segment.000000000020.json.error").read_text() == "no such node\n"
    assert (rejected / "epoch.7.0.00000001.json").exists()
    assert "no such job" in log.getvalue()


@pytest.fixture
def hand_clock(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(postponed, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def choosy(daemon):
    """A daemon that would not take segments of some instants yet, and what it was sent of them."""
    said = SimpleNamespace(not_yet={20}, sent=[])

    def answer(body):
        starts = [one["start_at"] for one in body["segments"]]
        said.sent.append(starts)
        refused = [
            {"list": "segments", "index": index, "error": "it lies ahead", "retry": True}
            for index, start in enumerate(starts)
            if start in said.not_yet
        ]
        return {"accepted": len(starts) - len(refused), "duplicates": 0, "refused": refused}

    daemon.answer = answer
    return said


def test_what_may_be_taken_later_stays_and_holds_up_nothing(
    spool, delivery, choosy, tree, log, hand_clock
):
    for start_at in (10, 20, 30):
        spool.put(segment(start_at))
    assert delivery.deliver() == 2
    assert waiting(tree) == ["segment.000000000020.json"]
    assert delivery.postponed == 1
    spool.put(segment(40))
    choosy.not_yet.add(50)
    spool.put(segment(50))
    assert [delivery.deliver() for _ in range(3)] == [1, 0, 0]
    assert choosy.sent == [[10, 20, 30], [40, 50]]
    assert delivery.postponed == 2
    choosy.not_yet.clear()
    hand_clock.now += postponed.FIRST_S
    assert delivery.deliver() == 2
    assert choosy.sent[2:] == [[20, 50]]
    assert waiting(tree) == []
    assert delivery.postponed == 0
    assert list((tree.spool / "rejected").iterdir()) == []
    told = log.getvalue().splitlines()
    assert len(told) == 2
    assert "segment.000000000020.json yet (it lies ahead): it stays" in told[0]
    assert "nothing is postponed any more" in told[1]


def test_what_stays_is_sent_ever_more_seldom_and_at_least_every_hour(
    spool, delivery, choosy, hand_clock
):
    spool.put(segment(20))
    began = hand_clock.now
    sent_after_s = []
    while hand_clock.now < began + 5 * 3600:
        delivery.deliver()
        if choosy.sent:
            choosy.sent.clear()
            sent_after_s.append(hand_clock.now - began)
        hand_clock.now += 10
    gaps = [after - before for before, after in pairwise(sent_after_s)]
    assert gaps[:7] == [60, 120, 240, 480, 960, 1920, 3600]
    assert set(gaps[7:]) == {3600}


def test_a_successor_sends_at_once_what_was_postponed(
    spool, delivery, choosy, daemon, journal, tree
):
    spool.put(segment(20))
    assert delivery.deliver() == 0
    choosy.not_yet.clear()
    port = Plain(daemon.server.server_port)
    assert Delivery(spool, lambda: port, 0.05, journal, SENDER).deliver() == 1
    assert waiting(tree) == []


@pytest.mark.parametrize("word", [{}, {"retry": False}, {"retry": "later"}, {"retry": None}])
def test_only_a_plain_yes_keeps_a_refused_reading_in_the_outbox(
    spool, delivery, daemon, tree, word
):
    """Daemons of before that word do not say it: what they refuse is put aside, as ever."""
    spool.put(segment(10))
    daemon.answer = lambda _body: {
        "accepted": 0, "duplicates": 0,
        "refused": [{"list": "segments", "index": 0, "error": "cluster x"} | word],
    }  # fmt: skip
    assert delivery.deliver() == 1
    assert waiting(tree) == []
    assert (tree.spool / "rejected/segment.000000000010.json").exists()


def test_what_was_refused_is_sent_again_from_the_outbox(spool, delivery, daemon, tree):
    """As the handbook says: mend, then move the files back, while the agent runs."""
    taken, items = daemon.answer, (segment(10), segment(20), epoch(1))
    for item in items:
        spool.put(item)
    daemon.answer = lambda _body: {
        "accepted": 0, "duplicates": 0,
        "refused": [
            {"list": "segments", "index": 0, "error": "no"},
            {"list": "segments", "index": 1, "error": "no"},
            {"list": "epochs", "index": 0, "error": "no"},
        ],
    }  # fmt: skip
    delivery.deliver()
    rejected = tree.spool / "rejected"
    assert len(list(rejected.iterdir())) == 6
    daemon.answer = taken
    command = "mv rejected/segment.*.json rejected/epoch.*.json outbox/ && rm rejected/*.error"
    subprocess.run(["sh", "-c", command], cwd=tree.spool, check=True)
    assert delivery.deliver() == 3
    assert list(rejected.iterdir()) == []
    assert waiting(tree) == []
    _, again = daemon.bodies[-1]
    assert [EnergySegment.from_wire(one) for one in again["segments"]] == list(items[:2])
    assert [EpochRecord.from_wire(one) for one in again["epochs"]] == [items[2]]


def test_the_daemon_is_told_who_is_there_and_tells_who_has_ended(spool, delivery, daemon):
    delivery.present = [(7, 0), (8, 2)]
    daemon.answer = lambda _body: {
        "accepted": 1, "duplicates": 0, "refused": [], "ended": [[8, 2, 1234]],
    }  # fmt: skip
    spool.put(segment(10))
    before = time.time()
    assert delivery.delivered_at is None
    delivery.deliver()
    assert daemon.bodies[0][1]["node"] == {
        "cluster": "lab", "name": "n1", "jobs": [[7, 0], [8, 2]],
    }  # fmt: skip
    assert delivery.ended() == [(8, 2, 1234)]
    assert delivery.ended() == []
    assert before <= delivery.delivered_at <= time.time()


def test_a_daemon_that_does_not_know_nodes_gets_readings_without(spool, delivery, daemon):
    daemon.strict = True
    spool.put(segment(10))
    assert delivery.deliver() == 1
    spool.put(segment(20))
    assert delivery.deliver() == 1
    assert ["node" in body for _, body in daemon.bodies] == [True, False, False]
    assert delivery.ended() == []


def test_readings_are_settled_even_if_the_word_on_ended_jobs_makes_no_sense(
    spool, delivery, daemon, tree
):
    spool.put(segment(10))
    daemon.answer = lambda _body: {
        "accepted": 1, "duplicates": 0, "refused": [], "ended": [[8]],
    }  # fmt: skip
    with pytest.raises(DaemonError, match="ended jobs"):
        delivery.deliver()
    assert waiting(tree) == []


@pytest.mark.parametrize("answer", [[], {}, {"refused": []}, {"accepted": 1, "refused": [3]}, None])
def test_an_answer_that_is_none_loses_nothing(spool, delivery, daemon, answer, tree):
    spool.put(segment(10))
    daemon.answer = lambda _body: answer
    with pytest.raises(DaemonError, match="versions"):
        delivery.deliver()
    assert len(waiting(tree)) == 1


def test_a_file_that_is_no_reading_is_put_aside(spool, delivery, daemon, tree):
    (tree.spool / "outbox/segment.1.json").write_text('{"torn')
    (tree.spool / "outbox/other.json").write_text("{}")
    (tree.spool / "outbox/.segment.2.json.tmp").write_text("half")
    assert delivery.deliver() == 2
    assert daemon.bodies == []
    assert (tree.spool / "rejected/other.json").exists()


def test_while_the_daemon_is_away_readings_wait_and_the_log_stays_short(
    spool, daemon, journal, log, tree
):
    port = Plain(1)  # nothing listens there
    delivery = Delivery(spool, lambda: port, 0.02, journal, SENDER)
    spool.put(segment(10))
    delivery.start()
    wait_until(lambda: "does not answer" in log.getvalue())
    time.sleep(0.2)
    assert len(waiting(tree)) == 1
    assert log.getvalue().count("\n") == 1
    port.port = daemon.server.server_port
    wait_until(lambda: not waiting(tree))
    delivery.stop(5)
    assert "the daemon answers again: 1 delivered" in log.getvalue()


def test_a_stop_delivers_once_more(spool, delivery, daemon, tree):
    delivery._period_s = 60
    delivery.start()
    spool.put(segment(10))
    delivery.stop(5)
    assert len(daemon.bodies) == 1
    assert waiting(tree) == []


def test_a_hanging_daemon_does_not_hold_up_the_stop(spool, delivery, daemon):
    released = threading.Event()

    def hang(body):
        released.wait(10)
        return {"accepted": 0, "duplicates": 0, "refused": []}

    daemon.answer = hang
    spool.put(segment(10))
    delivery.start()
    began = time.monotonic()
    delivery.stop(0.3)
    assert time.monotonic() - began < 2
    released.set()
