from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import pytest

from carbonsched.errors import MeterError
from carbonsched.node.meters.limited import Limited, LimitedGpus, Worker
from carbonsched.node.meters.meter import Gpu
from carbonsched.node.meters.sources import SEEK_NS, Source

NS = 1_000_000_000


@dataclass
class SlowMeter:
    """Answers when it is let; ``errors`` and ``look`` are what GPU meters may have besides."""

    key: str = "slow"
    name: str = "slow meter"
    longest_gap_ns: int = 7 * NS
    errors: int = 3
    free: threading.Event = field(default_factory=threading.Event)
    asked: list = field(default_factory=list)
    fault: Exception | None = None
    looked: int = 0

    def read(self, steady_ns):
        self.asked.append(steady_ns)
        assert self.free.wait(10), "nobody let it go"
        if self.fault is not None:
            raise self.fault
        return {"at_ns": steady_ns}

    def between(self, *_told):
        return ()

    def gpus(self):
        return (Gpu(device="a", index=0),)

    def look(self):
        self.looked += 1
        raise RuntimeError("the driver is gone")


@pytest.fixture
def slow():
    meter = SlowMeter()
    yield meter
    meter.free.set()


@pytest.fixture
def worker():
    worker = Worker("test")
    yield worker
    worker.close()


def until(condition, limit_s=5.0):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


def test_a_meter_that_answers_is_read_as_ever(slow, worker):
    slow.free.set()
    limited = Limited(slow, worker)
    assert limited.read(5) == {"at_ns": 5}
    assert (limited.key, limited.name, limited.longest_gap_ns) == ("slow", "slow meter", 7 * NS)
    assert limited.between({}, {}, NS, 0) == ()


def test_a_meter_that_hangs_is_waited_for_once_and_left_out_until_it_returns(slow, worker):
    limited = Limited(slow, worker, limit_s=0.05)
    with pytest.raises(MeterError, match=r"the slow meter does not answer within 0\.05 s"):
        limited.read(1)
    begin = time.monotonic()
    for at_ns in range(2, 50):
        with pytest.raises(MeterError, match="does not answer"):
            limited.read(at_ns)
    assert time.monotonic() - begin < 0.05  # none of them has waited
    assert slow.asked == [1]
    slow.free.set()
    until(lambda: limited._pending.wait(0))
    assert limited.read(60) == {"at_ns": 60}  # what came late was of another instant


def test_what_a_meter_raises_arrives(slow, worker):
    slow.free.set()
    slow.fault = MeterError("the fan is off")
    with pytest.raises(MeterError, match="the fan is off"):
        Limited(slow, worker).read(1)


def test_gpus_are_those_last_seen_and_a_look_never_raises(slow, worker):
    slow.free.set()
    limited = LimitedGpus(slow, worker)
    assert limited.gpus() == slow.gpus()
    assert limited.errors == 3
    limited.look()
    assert slow.looked == 1


def test_a_source_is_looked_for_each_minute_until_it_is_there(slow):
    found = []
    source = Source("slow", lambda: found[-1] if found else None)
    source.start()
    assert source.look(0) is None
    found.append(slow)
    assert source.look(SEEK_NS - 1) is None
    assert source.look(SEEK_NS) is slow
    found.append(None)
    assert source.look(3 * SEEK_NS) is slow
    source.forget()
    assert source.look(3 * SEEK_NS) is None


def test_a_search_that_hangs_keeps_nobody_waiting(slow, worker):
    release = threading.Event()

    def find():
        assert release.wait(10)
        return slow

    source = Source("slow", find, worker)
    source._seek()
    assert source.look(0) is None
    release.set()
    until(lambda: source.look(0) is slow)
