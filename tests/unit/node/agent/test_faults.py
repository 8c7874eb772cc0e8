"""Kills, full disks, meters and clocks that fail: no joule is lost or counted twice."""

from __future__ import annotations

import random
import resource
import time

from .driving import STEPPED


def test_killed_at_any_moment_it_loses_nothing_and_counts_nothing_twice(node, daemon):
    dice = random.Random(4)
    node.start()
    for _ in range(6):
        node.work(0.1 + dice.random() * 0.5)
        node.kill()
        node.work(dice.random() * 0.1)
        node.start()
    node.work(0.3)
    node.stop()
    assert len(daemon.segments) >= 3
    node.check_sums()


def test_a_full_disk_is_outlived_without_losing_or_doubling(node, daemon):
    node.start()
    node.work(0.4)
    resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    at = node.sampled_at()
    node.work(2.2)
    assert node.sampled_at() == at
    resource.prlimit(
        node.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )
    node.until(lambda: node.sampled_at() != at)
    node.work(0.2)
    node.stop()
    assert len(daemon.segments) >= 2
    node.check_sums()
    lines = node.log.read_text().splitlines()
    assert len([line for line in lines if "cannot write" in line]) == 1
    assert len([line for line in lines if "can be written again" in line]) == 1


def test_a_full_disk_and_then_a_kill_recovers_from_the_counters(node, daemon):
    node.start()
    node.work(0.3)
    resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    node.work(1.3)
    node.kill()
    node.start()
    node.stop()
    node.check_sums()


def test_a_damaged_state_does_not_stop_the_metering(node, daemon):
    node.start()
    node.kill()
    (node.tree.spool / "state.json").write_text('{"version": 1, "clu')
    node.start()
    node.stop()
    assert "kept as state.json.damaged" in node.log.read_text()


def test_while_the_meter_cannot_be_read_nothing_is_lost(node, daemon):
    node.start()
    node.work(0.3)
    text = node.counter.read_bytes()
    node.counter.write_text("nonsense\n")
    node.until(lambda: "the next reading covers this time too" in node.log.read_text())
    at = node.sampled_at()
    time.sleep(0.2)  # four samples
    assert node.sampled_at() == at
    node.counter.write_bytes(text)
    node.until(lambda: "the meter can be read again" in node.log.read_text())
    node.work(0.3)
    node.stop()
    node.check_sums()


def test_a_clock_that_is_set_while_the_agent_runs_and_while_it_does_not_costs_no_joule(
    node, daemon, monkeypatch
):
    offset = node.tree.root / "offset"
    monkeypatch.setenv("CLOCK_OFFSET", str(offset))

    def set_clock(seconds):
        offset.with_suffix(".new").write_text(str(round(seconds * 1e9)))
        offset.with_suffix(".new").replace(offset)

    set_clock(0)
    node.driver = STEPPED
    node.start()
    for seconds in (3600, 3597.7, 3600.4, 3599):
        node.work(1.2)
        set_clock(seconds)
    node.work(1.2)
    node.kill()
    set_clock(3597)
    node.work(0.3)
    node.start()
    node.work(4)
    node.stop()
    node.check_sums()
    starts = sorted(daemon.segments)
    assert starts[-1] - starts[0] > 3590
    assert max(one.end_at - one.start_at for one in daemon.segments.values()) == 1
    assert "the clock went back by" in node.log.read_text()
