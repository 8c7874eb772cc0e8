"""A day without the daemon, and its return: the agent's spool, HTTP, and a real ledger."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import threading
import time
from contextlib import closing
from types import SimpleNamespace

import pytest
import uvicorn

from carbonsched.errors import DaemonError
from carbonsched.ledger import Ledger
from carbonsched.model.energy import EnergySegment
from carbonsched.node import postponed
from carbonsched.node.agent import Agent
from carbonsched.node.delivery import Delivery, Sender
from carbonsched.node.spool import Spool
from carbonsched.node.wiring import Roots
from carbonsched.services.ingest import TakeReadings
from carbonsched.services.presence import Presence
from carbonsched.site import load_site
from carbonsched.transport.client import Client
from carbonsched.transport.munge import Caller
from carbonsched.web.app import create_app

NS = 1_000_000_000
DAY_S = 86_400
START = 1_792_972_800
"""A midnight, so a line of the grid of segments."""


class Open:
    """In MUNGE's place: every credential is root's."""

    def encode(self, payload):
        return payload.hex()

    def decode(self, credential):
        return Caller(uid=0, gid=0, payload=bytes.fromhex(credential))


class Site:
    """The daemon's web application over a real ledger, its clock, and what it has answered."""

    def __init__(self, path):
        self.path = path
        self.now = START
        self.ledger = Ledger(path)
        take = TakeReadings(
            [SimpleNamespace(name="lab")],
            self.ledger,
            Presence(),
            SimpleNamespace(now=lambda: self.now),
        )
        backend = SimpleNamespace(readings=take.take)
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create_app(backend, Open())
        self.server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]})
        self.thread.start()

    def stored(self):
        """Segments, their joules, and the joules of their parts, as another process sees them."""
        with closing(sqlite3.connect(self.path)) as ledger:
            whole = ledger.execute("SELECT COUNT(*), SUM(total_j) FROM segments").fetchone()
            return *whole, *ledger.execute("SELECT SUM(energy_j) FROM parts").fetchone()

    def close(self):
        self.server.should_exit = True
        self.thread.join(10)
        self.ledger.close()


class Line:
    """The agent's client; the answer to one of its requests may be lost on the way."""

    def __init__(self, url, lost=None):
        self.client = Client(url, Open())
        self.lost = lost
        self.receipts = []

    def post(self, path, document):
        self.receipts.append(self.client.post(path, document))
        if len(self.receipts) == self.lost:
            raise DaemonError("the daemon does not answer")
        return self.receipts[-1]

    def sum(self, what):
        return sum(receipt[what] for receipt in self.receipts)


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path / "ledger.db")
    yield made
    made.close()


def a_day(tree, clock, journal):
    """Sample a node every 100 seconds; forty jobs at a time come and go."""
    clock.wall, clock.steady = START * NS, 1000 * NS
    roots = Roots(sysfs=tree.sysfs, procfs=tree.procfs, cgroupfs=tree.cgroupfs)
    agent = Agent("n1", load_site(tree.site()), roots, lambda: None, journal, clock)
    folders = []
    for number in range(DAY_S // 100 + 1):
        job = number + 1
        tree.event("begin", job, clock.wall)
        folders.append(tree.cpu_v1(job, 0))
        if job > 40:
            tree.event("end", job - 40, clock.wall)
            shutil.rmtree(folders.pop(0))
        tree.busy(number * 7500)
        agent.sample()
        clock.go(100)
    agent._marks.close()
    agent._spool.close()


def test_what_piled_up_in_a_day_arrives_once_though_an_answer_is_lost(site, tree, clock, journal):
    a_day(tree, clock, journal)
    files = sorted((tree.spool / "outbox").iterdir())
    kept = [EnergySegment.from_wire(json.loads(path.read_bytes())) for path in files]
    total_j = sum(one.total_j for one in kept)
    assert [one.start_at for one in kept] == list(range(START, START + DAY_S, 300))
    site.now = START + DAY_S
    spool = Spool(tree.spool, journal)
    cut, whole = Line(site.url, lost=2), Line(site.url)
    sender = Sender("lab", "n1")
    with pytest.raises(DaemonError):
        Delivery(spool, lambda: cut, 10, journal, sender).deliver()
    doubled = cut.receipts[1]["accepted"]
    assert 0 < doubled < len(kept)
    assert Delivery(spool, lambda: whole, 10, journal, sender).deliver() > 0
    spool.close()
    assert cut.sum("accepted") + whole.sum("accepted") == len(kept) == DAY_S // 300
    assert whole.sum("duplicates") == doubled
    assert cut.sum("duplicates") == 0
    assert site.stored() == (len(kept), total_j, total_j)
    assert list((tree.spool / "outbox").iterdir()) == []
    assert list((tree.spool / "rejected").iterdir()) == []


def test_a_daemon_whose_clock_was_behind_takes_all_once_it_is_right(
    site, tree, clock, journal, monkeypatch
):
    a_day(tree, clock, journal)
    site.now = START + DAY_S - 12 * 3600
    spool, line = Spool(tree.spool, journal), Line(site.url)
    delivery = Delivery(spool, lambda: line, 10, journal, Sender("lab", "n1"))
    assert delivery.deliver() == 13 * 12
    assert delivery.postponed == 11 * 12
    assert delivery.deliver() == 0
    site.now = START + DAY_S
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 61)
    monkeypatch.setattr(postponed, "time", later)
    assert delivery.deliver() == 11 * 12
    spool.close()
    assert site.stored()[0] == DAY_S // 300
    assert list((tree.spool / "rejected").iterdir()) == []
