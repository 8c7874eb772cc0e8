from __future__ import annotations

import copy
import gc
import json
import os
import pickle
import resource
import time
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twin.agent import Listener

from carbonsched.epochs import EpochTracker
from carbonsched.epochs.step_times import StepTimes
from carbonsched.model.epoch import MOST_PARTS
from carbonsched.node.epoch_book import MAX_MARK_BYTES, parse_mark


def test_a_loop_marks_each_epoch(agent):
    assert list(EpochTracker(epochs=2)) == [0, 1]
    marks = agent.received()
    told = [(mark["event"], mark["epoch"], mark["epochs"]) for mark in marks]
    assert told == [("start", 1, 2), ("end", 1, 2), ("start", 2, 2), ("end", 2, 2)]
    assert abs(marks[0]["at_ns"] - time.time_ns()) < 60e9
    assert "steps" not in marks[1]


def test_a_training_from_a_checkpoint_goes_on_counting(agent):
    assert list(EpochTracker(epochs=4, first=3)) == [3]
    assert agent.told() == [("start", 4, 4), ("end", 4, 4)]


def test_an_epoch_that_is_broken_off_does_not_end(agent):
    for _ in EpochTracker(epochs=2):
        break
    with EpochTracker() as tracker:
        tracker.epoch_start()
    tracker.epoch_end()
    assert agent.told() == [("start", 1, 2), ("start", 1, None)]


def test_steps_tell_their_mean_and_spread(agent):
    with EpochTracker(epochs=1) as tracker:
        tracker.step()
        tracker.epoch_start()
        for pause in (0.01, 0.03):
            time.sleep(pause)
            tracker.step()
        tracker.epoch_end()
    end = agent.received()[1]
    assert end["steps"] == 2
    assert 0.015 <= end["step_mean_s"] < 0.2
    assert 0.005 <= end["step_sd_s"] < 0.2
    assert parse_mark(json.dumps(end).encode()).step_relative_sd > 0


def test_a_second_start_ends_the_first_and_a_lone_end_is_nothing(agent):
    tracker = EpochTracker()
    tracker.epoch_end()
    tracker.epoch_start()
    tracker.epoch_start()
    assert agent.told() == [("start", 1, None), ("end", 1, None), ("start", 2, None)]
    tracker.stop()


@pytest.mark.parametrize("path", ["/nonexistent/agent.sock", "/tmp", "x" * 500, "a\0b"])
def test_without_an_agent_nothing_happens(monkeypatch, path):
    if "\0" not in path:
        monkeypatch.setenv("CARBONSCHED_AGENT_SOCKET", path)
    assert list(EpochTracker(epochs=3)) == [0, 1, 2]


def test_without_a_site_calls_cost_microseconds(monkeypatch):
    monkeypatch.delenv("CARBONSCHED_AGENT_SOCKET", raising=False)
    monkeypatch.setenv("CARBONSCHED_SITE", "/nonexistent/site.json")
    tracker = EpochTracker(epochs=10)
    began = time.perf_counter()
    for _ in range(1000):
        tracker.epoch_start()
        tracker.step()
        tracker.epoch_end()
    assert time.perf_counter() - began < 0.1


def test_an_agent_that_does_not_read_never_blocks_a_training(agent):
    began = time.monotonic()
    for _ in EpochTracker(epochs=2000):
        pass
    assert time.monotonic() - began < 5
    assert len(agent.received()) < 4000


def test_the_sites_socket_is_the_nodes_own(tmp_path, monkeypatch):
    site = {"cluster": "c", "daemon_url": "http://d:1", "agent": {"socket": f"{tmp_path}/%n.sock"}}
    (tmp_path / "site.json").write_text(json.dumps(site))
    monkeypatch.delenv("CARBONSCHED_AGENT_SOCKET", raising=False)
    monkeypatch.setenv("CARBONSCHED_SITE", str(tmp_path / "site.json"))
    monkeypatch.delenv("SLURMD_NODENAME", raising=False)
    assert list(EpochTracker(epochs=1)) == [0]
    agent = Listener(tmp_path / "n3.sock")
    monkeypatch.setenv("SLURMD_NODENAME", "n3")
    assert list(EpochTracker(epochs=1)) == [0]
    assert agent.told() == [("start", 1, 1), ("end", 1, 1)]
    agent.socket.close()


@pytest.mark.parametrize(
    ("epochs", "known"),
    [("10", 10), (2.5, 3), (7.0, 7), (-1, None), (0, None), ("ten", None), (True, None), ([], None),
     (float("inf"), None), (float("nan"), None)],
)  # fmt: skip
def test_a_wrong_count_does_not_stop_a_training(agent, epochs, known):
    with EpochTracker(epochs=epochs, first="x") as tracker:
        tracker.epoch_start("y")
        tracker.epoch_end()
        assert tracker.epochs == known
    assert agent.told() == [("start", 1, known), ("end", 1, known)]


def test_a_loop_over_no_number_is_refused_as_range_does_and_never_endless():
    assert list(EpochTracker(epochs=-1)) == []
    with pytest.raises(TypeError, match="not a number of epochs"):
        iter(EpochTracker(epochs="ten"))


def test_a_number_and_a_total_that_become_known_count(agent):
    tracker = EpochTracker()
    tracker.epoch_start(4)
    tracker.epochs = 9
    tracker.epoch_end()
    tracker.epoch_start()
    tracker.stop()
    assert agent.told() == [("start", 5, None), ("end", 5, 9), ("start", 6, 9)]


class Steps:
    """A steady clock that a test moves."""

    def __init__(self, monkeypatch):
        self.now_s = 100.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now_s)

    def ends(self, lengths_s, after_s=0.0):
        steps = StepTimes()
        for length_s in lengths_s:
            self.now_s += length_s
            steps.step()
        self.now_s += after_s
        return steps.part_ends_us()


def test_parts_are_of_equal_numbers_of_steps_and_what_follows_is_of_the_last(monkeypatch):
    clock = Steps(monkeypatch)
    assert clock.ends([]) == []
    assert clock.ends([2, 1, 1], after_s=4) == [2_000_000, 3_000_000, 8_000_000]
    assert clock.ends([1.0] * 30, after_s=1)[:3] == [1_500_000, 3_000_000, 4_500_000]
    assert clock.ends([1.0] * 30, after_s=1)[-2:] == [28_500_000, 31_000_000]


@given(st.lists(st.floats(0, 10), max_size=500), st.floats(0, 10))
def test_parts_end_in_order_and_few_ends_are_kept(lengths_s, after_s):
    with pytest.MonkeyPatch.context() as patch:
        ends = Steps(patch).ends(lengths_s, after_s)
    assert len(ends) == min(20, len(lengths_s))
    assert ends == sorted(ends)
    if ends:
        assert ends[-1] == pytest.approx((sum(lengths_s) + after_s) * 1e6, abs=2)
        exact_s = list(accumulate(lengths_s, initial=0.0))
        for part, end in enumerate(ends[:-1], start=1):
            step = len(lengths_s) * part / len(ends)
            low, high = max(0, int(step) - 16), min(len(lengths_s), int(step) + 17)
            assert exact_s[low] * 1e6 - 2 <= end <= exact_s[high] * 1e6 + 2


def test_a_million_steps_fit_into_a_mark(agent, monkeypatch):
    clock = Steps(monkeypatch)
    tracker = EpochTracker(epochs=9_999_999, first=9_999_998)
    tracker.epoch_start()
    for number in range(1_000_000):
        clock.now_s += 0.9 if number < 500_000 else 0.3
        tracker.step()
    tracker.epoch_end()
    agent.socket.recv(MAX_MARK_BYTES)
    text = agent.socket.recv(10 * MAX_MARK_BYTES)
    mark = parse_mark(text)
    assert len(text) < MAX_MARK_BYTES
    assert (mark.steps, len(mark.part_ends_us)) == (1_000_000, MOST_PARTS)
    assert mark.part_ends_us[9] == pytest.approx(450_000e6, rel=0.01)
    assert mark.part_ends_us[-1] == pytest.approx(600_000e6, rel=0.001)


def test_a_copy_or_another_process_has_its_own_socket(agent):
    tracker = EpochTracker(epochs=3)
    tracker.epoch_start()
    for other in (copy.deepcopy(tracker), pickle.loads(pickle.dumps(tracker))):  # noqa: S301
        other.epoch_start(1)
    assert len(agent.received()) == 3
    child = os.fork()
    if child == 0:
        tracker.epoch_end()
        tracker.stop()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    tracker.epoch_end()
    assert agent.told() == [("end", 1, 3), ("end", 1, 3)]


def test_a_tracker_that_nobody_stops_leaves_no_warning(agent):
    tracker = EpochTracker()
    tracker.epoch_start()
    del tracker
    gc.collect()
    assert agent.told() == [("start", 1, None)]


def test_an_agent_that_comes_back_is_heard_again(tmp_path, monkeypatch):
    path = tmp_path / "agent.sock"
    monkeypatch.setenv("CARBONSCHED_AGENT_SOCKET", str(path))
    tracker = EpochTracker()
    tracker.epoch_start()  # nobody yet
    for number in (1, 2, 3):
        agent = Listener(path)
        tracker.epoch_end()  # of an epoch whose start nobody heard
        tracker.epoch_start(number)
        assert agent.told() == [("start", number + 1, None)]
        agent.socket.close()
        tracker.epoch_start()  # refused
        tracker.epoch_start()  # not even tried
        path.unlink()


def test_what_the_machine_refuses_does_not_stop_a_training(agent):
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, most))  # not one more file
    try:
        with EpochTracker(epochs=2, frist=1) as tracker:
            tracker.epoch_start()
            tracker.epoch_end()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
    assert agent.told() == []
    assert list(EpochTracker(epochs=1)) == [0]
    assert agent.told() == [("start", 1, 1), ("end", 1, 1)]
