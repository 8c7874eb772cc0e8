"""Ticks that fail and are tried again, and the one writer at a time."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time

import pytest

from carbonsched.errors import ExternalError, LedgerError, RequestError
from carbonsched.services.housekeeping import KeepHouse
from carbonsched.services.ticks import Ticks, WriterLock

HOLD = """
import sys
from pathlib import Path
from carbonsched.services.ticks import WriterLock

with WriterLock(Path(sys.argv[1])).held():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "writer.lock"


@pytest.fixture
def holder(path):
    """Another process that holds the lock until its standard input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "held\n"
        yield process


class Work:
    def __init__(self, *outcomes) -> None:
        self.outcomes = list(outcomes)

    def __call__(self) -> str:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def make(path, site):
    return lambda **works: Ticks(works, WriterLock(path), site.clock)


def test_a_tick_that_fails_is_one_line_in_the_log_and_runs_again(make, site, caplog):
    ticks = make(
        plan=Work(ExternalError("slurmctld at /run/x sleeps"), "3 moved"), settle=Work("ok")
    )
    with caplog.at_level(logging.DEBUG):
        ticks.run("plan")
        ticks.run("settle")
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning.getMessage() == "tick plan: slurmctld at /run/x sleeps"
    assert warning.exc_info is None
    health = ticks.health()
    assert health["status"] == "degraded"
    assert health["ticks"]["settle"]["ok"]
    assert not health["ticks"]["plan"]["ok"]
    assert health["ticks"]["plan"]["at"] == site.clock.now()
    assert "/run" not in str(health)

    ticks.run("plan")
    assert ticks.health()["status"] == "ok"
    assert ticks.health()["ticks"]["plan"]["text"] == "3 moved"


def test_a_ledger_that_fails_does_not_end_the_daemon(make, caplog):
    ticks = make(settle=Work(LedgerError("ledger /x: database is locked"), "fine"))
    ticks.run("settle")
    assert "database is locked" in caplog.text
    assert ticks.health()["status"] == "degraded"
    ticks.run("settle")
    assert ticks.health()["status"] == "ok"


def test_a_fault_of_ours_is_logged_with_its_trace_and_does_not_end_the_daemon(make, caplog):
    ticks = make(plan=Work(ZeroDivisionError("secret"), "fine"))
    ticks.run("plan")
    (record,) = caplog.records
    assert record.exc_info is not None
    assert "secret" not in str(ticks.health())
    ticks.run("plan")
    assert ticks.health()["status"] == "ok"


def test_by_hand_errors_come_through(make):
    ticks = make(plan=Work(ExternalError("asleep"), "3 moved"))
    with pytest.raises(ExternalError, match="asleep"):
        ticks.run_now("plan")
    assert ticks.run_now("plan") == "3 moved"
    with pytest.raises(RequestError, match=r"'sweep' has nothing to do on this site; it has: plan"):
        ticks.run_now("sweep")


def test_before_the_first_tick_all_is_well(make):
    assert make(plan=Work()).health() == {"status": "ok", "ticks": {}}


def test_one_process_at_a_time(path, holder):
    began = time.monotonic()
    with (
        pytest.raises(LedgerError, match=r"writer\.lock is held by another carbonsched process"),
        WriterLock(path, wait_s=0.3).held(),
    ):
        pass
    assert 0.3 <= time.monotonic() - began < 5

    threading.Timer(0.2, holder.stdin.close).start()
    with WriterLock(path, wait_s=20).held():
        holder.wait(10)


def test_a_holder_that_is_killed_holds_no_more(path, holder):
    holder.kill()
    with WriterLock(path, wait_s=10).held():
        assert holder.wait(10) != 0


def test_a_tick_waits_for_another_process(path, holder, site, caplog):
    ticks = Ticks({"plan": Work("done")}, WriterLock(path, wait_s=0.2), site.clock)
    ticks.run("plan")
    assert "held by another carbonsched process" in caplog.text
    holder.stdin.close()
    ticks.run("plan")
    assert ticks.health()["status"] == "ok"


def test_a_tick_that_fetches_runs_while_another_process_writes(path, holder, site):
    lock = WriterLock(path, wait_s=0.2)
    works = {"intensity": Work("told"), "plan": Work("done")}
    ticks = Ticks(works, lock, site.clock, fetch=["intensity"])
    assert ticks.run_now("intensity") == "told"
    with pytest.raises(LedgerError, match="held by another"):
        ticks.run_now("plan")
    holder.stdin.close()


def test_it_may_be_held_twice_by_one_thread_and_by_one_thread_at_a_time(path):
    lock, inside, most = WriterLock(path), [], []

    def work():
        for _ in range(20):
            with lock.held(), lock.held():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == [1] * 80


def test_an_error_inside_lets_go(path):
    lock = WriterLock(path, wait_s=1)
    with pytest.raises(ZeroDivisionError), lock.held():
        raise ZeroDivisionError
    with WriterLock(path, wait_s=1).held():
        assert path.exists()


def test_housekeeping_removes_nothing(site):
    site.actual(site.clock.at - 3600, 300)
    site.forecast(300, 200)
    before = (site.ledger.archive.actuals("DE", 0, 2**40), site.grid.forecast("DE", 2**40))
    assert KeepHouse(site.ledger, site.clock).run() == "ledger optimised, 0 old forecasts removed"
    after = (site.ledger.archive.actuals("DE", 0, 2**40), site.grid.forecast("DE", 2**40))
    assert after == before
