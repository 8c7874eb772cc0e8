from __future__ import annotations

import copy
import gc
import json
import os
import pickle
import resource
import statistics
import time
from contextlib import suppress
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twin.agent import Listener

from carbonsched.epochs import EpochTracker
from carbonsched.model.epoch import MOST_PARTS
from carbonsched.node.mark_format import MAX_MARK_BYTES, parse_marks


def test_a_loop_marks_each_epoch(agent):
    assert list(EpochTracker(epochs=2)) == [0, 1]
    assert agent.told() == [("start", 1, 2), ("end", 1, 2), ("start", 2, 2), ("end", 2, 2)]


def test_where_one_epoch_ends_and_the_next_starts_there_is_one_datagram(agent):
    for _ in EpochTracker(epochs=3):
        pass
    sizes = []
    with suppress(BlockingIOError):
        while True:
            sizes.append(len(agent.socket.recv(MAX_MARK_BYTES)))
    assert len(sizes) == 4


def test_a_loop_whose_tracker_is_stopped_within_goes_on_and_ends(agent):
    tracker = EpochTracker(epochs=3)
    seen = []
    for epoch in tracker:
        seen.append(epoch)
        if epoch == 1:
            tracker.stop()
        assert len(seen) < 5
    assert seen == [0, 1, 2]
    assert agent.told() == [
        ("start", 1, 3), ("end", 1, 3), ("start", 2, 3), ("start", 3, 3), ("end", 3, 3),
    ]  # fmt: skip


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
    start, end = agent.received()
    assert (start.steps, start.step_relative_sd, start.part_ends_us) == (0, None, ())
    assert (end.steps, len(end.part_ends_us)) == (2, 2)
    assert 0.025 < end.step_relative_sd < 2**0.5  # what two numbers can have at most


def test_an_epoch_without_steps_tells_none_of_the_one_before(agent):
    tracker = EpochTracker(epochs=2)
    for epoch in tracker:
        if epoch == 0:
            tracker.step()
    assert [one.steps for one in agent.received() if not one.start] == [1, 0]


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


@pytest.mark.parametrize("number", [10**400, 2**1023, 10**9])
def test_a_number_beyond_all_bounds_does_not_stop_a_training(agent, number):
    with EpochTracker(epochs=number) as tracker:
        tracker.epoch_start(number)
        tracker.step()
        tracker.epochs = number
        tracker.epoch_end()
    for _ in zip(range(2), EpochTracker(first=number), strict=False):
        pass
    with suppress(BlockingIOError):
        while True:
            with pytest.raises(ValueError, match="mark"):
                parse_marks(agent.socket.recv(MAX_MARK_BYTES))
    with EpochTracker(epochs=2) as tracker:
        tracker.epoch_start()
        tracker.epochs = number
        tracker.epoch_end()
        tracker.epochs = 3
        tracker.epoch_start()
    assert agent.socket.recv(MAX_MARK_BYTES)


class Steps:
    """An agent, and both clocks of a tracker, which a test moves."""

    def __init__(self, folder):
        self.patch = pytest.MonkeyPatch()
        self.now_s = 100.0
        self.wall_s = 1.7e9
        self.patch.setattr("carbonsched.epochs.tracker.perf_counter", lambda: self.now_s)
        self.patch.setattr("carbonsched.epochs.tracker.time", lambda: self.wall_s + self.now_s)
        self.path = folder / "steps.sock"
        self.patch.setenv("CARBONSCHED_AGENT_SOCKET", str(self.path))

    def __enter__(self):
        self.agent = Listener(self.path)
        self.tracker = EpochTracker()
        return self

    def __exit__(self, *_):
        self.tracker.stop()
        self.agent.socket.close()
        self.path.unlink()
        self.patch.undo()

    def end(self, lengths_s, after_s=0.0, slow_s=0.0):
        """The mark of an epoch with such steps; the wall clock loses ``slow_s``."""
        self.tracker.epoch_start()
        self.agent.socket.recv(MAX_MARK_BYTES)
        for length_s in lengths_s:
            self.now_s += length_s
            self.tracker.step()
        self.now_s += after_s
        self.tracker.epoch_end()
        data = self.agent.socket.recv(MAX_MARK_BYTES)
        (mark,) = parse_marks(data, round((self.wall_s + self.now_s - slow_s) * 1e9))
        return mark

    def ends(self, lengths_s, **more):
        return list(self.end(lengths_s, **more).part_ends_us)


def test_parts_are_of_equal_numbers_of_steps_and_what_follows_is_of_the_last(tmp_path):
    with Steps(tmp_path) as steps:
        assert steps.ends([]) == []
        assert steps.ends([2, 1, 1], after_s=4) == [2_000_000, 3_000_000, 8_000_000]
        assert steps.ends([1.0] * 30, after_s=1)[:3] == [1_500_000, 3_000_000, 4_500_000]
        assert steps.ends([1.0] * 30, after_s=1)[-2:] == [28_500_000, 31_000_000]


def test_a_wall_clock_that_is_slewed_leaves_the_last_step_within_the_epoch(tmp_path):
    with Steps(tmp_path) as steps:
        assert steps.ends([2, 2], slow_s=0.001) == [2_000_000, 4_000_000]


@given(st.lists(st.floats(0, 10), max_size=500), st.floats(0, 10))
def test_parts_end_in_order_and_few_ends_are_kept(tmp_path_factory, lengths_s, after_s):
    with Steps(tmp_path_factory.mktemp("steps")) as steps:
        ends = steps.ends(lengths_s, after_s=after_s)
    assert len(ends) == min(20, len(lengths_s))
    assert ends == sorted(ends)
    if ends:
        assert ends[-1] == pytest.approx((sum(lengths_s) + after_s) * 1e6, abs=2)
        exact_s = list(accumulate(lengths_s, initial=0.0))
        for part, end in enumerate(ends[:-1], start=1):
            step = len(lengths_s) * part / len(ends)
            low, high = max(0, int(step) - 16), min(len(lengths_s), int(step) + 17)
            assert exact_s[low] * 1e6 - 2 <= end <= exact_s[high] * 1e6 + 2


@given(st.lists(st.floats(0.001, 10), min_size=2, max_size=300))
def test_the_spread_of_steps_is_that_of_their_lengths(tmp_path_factory, lengths_s):
    with Steps(tmp_path_factory.mktemp("steps")) as steps:
        told = steps.end(lengths_s).step_relative_sd
    exact = statistics.stdev(lengths_s) / statistics.mean(lengths_s)
    assert told == pytest.approx(exact, rel=1e-6, abs=1e-5)


def test_a_million_steps_fit_into_a_mark(tmp_path):
    with Steps(tmp_path) as steps:
        lengths_s = [0.9] * 500_000 + [0.3] * 500_000
        mark = steps.end(lengths_s)
    assert (mark.steps, len(mark.part_ends_us)) == (1_000_000, MOST_PARTS)
    assert mark.part_ends_us[9] == pytest.approx(450_000e6, rel=0.01)
    assert mark.part_ends_us[-1] == pytest.approx(600_000e6, rel=0.001)
    assert mark.step_relative_sd == pytest.approx(0.5, rel=1e-5)


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
