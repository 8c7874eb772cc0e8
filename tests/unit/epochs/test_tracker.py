from __future__ import annotations

import json
import socket
import time

import pytest

from carbonsched.epochs import EpochTracker
from carbonsched.node.epoch_book import parse_mark


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """A socket as the agent's."""
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as receiver:
        receiver.bind(str(path))
        monkeypatch.setenv("CARBONSCHED_AGENT_SOCKET", str(path))
        yield receiver


def received(agent):
    marks = []
    while True:
        try:
            text = agent.recv(4096)
        except BlockingIOError:
            return marks
        assert parse_mark(text)
        marks.append(json.loads(text))


def told(marks):
    return [(mark["event"], mark["epoch"], mark["epochs"]) for mark in marks]


def test_a_loop_marks_each_epoch(agent):
    assert list(EpochTracker(epochs=2)) == [0, 1]
    marks = received(agent)
    assert told(marks) == [("start", 1, 2), ("end", 1, 2), ("start", 2, 2), ("end", 2, 2)]
    assert abs(marks[0]["at_ns"] - time.time_ns()) < 60e9
    assert marks[1]["step_mean_s"] is None


def test_a_training_from_a_checkpoint_goes_on_counting(agent):
    assert list(EpochTracker(epochs=4, first=3)) == [3]
    assert told(received(agent)) == [("start", 4, 4), ("end", 4, 4)]


def test_an_epoch_that_is_broken_off_does_not_end(agent):
    for _ in EpochTracker(epochs=2):
        break
    with EpochTracker() as tracker:
        tracker.epoch_start()
    tracker.epoch_end()
    assert told(received(agent)) == [("start", 1, 2), ("start", 1, None)]


def test_steps_tell_their_mean_and_spread(agent):
    with EpochTracker(epochs=1) as tracker:
        tracker.step()
        tracker.epoch_start()
        for pause in (0.01, 0.03):
            time.sleep(pause)
            tracker.step()
        tracker.epoch_end()
    end = received(agent)[1]
    assert end["steps"] == 2
    assert 0.015 <= end["step_mean_s"] < 0.2
    assert 0.005 <= end["step_sd_s"] < 0.2
    assert parse_mark(json.dumps(end).encode()).step_relative_sd > 0


def test_a_second_start_ends_the_first_and_a_lone_end_is_nothing(agent):
    tracker = EpochTracker()
    tracker.epoch_end()
    tracker.epoch_start()
    tracker.epoch_start()
    assert told(received(agent)) == [("start", 1, None), ("end", 1, None), ("start", 2, None)]
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
    assert len(received(agent)) < 4000


def test_the_sites_socket_is_the_nodes_own(tmp_path, monkeypatch):
    site = {"cluster": "c", "daemon_url": "http://d:1", "agent": {"socket": f"{tmp_path}/%n.sock"}}
    (tmp_path / "site.json").write_text(json.dumps(site))
    monkeypatch.delenv("CARBONSCHED_AGENT_SOCKET", raising=False)
    monkeypatch.setenv("CARBONSCHED_SITE", str(tmp_path / "site.json"))
    monkeypatch.delenv("SLURMD_NODENAME", raising=False)
    assert list(EpochTracker(epochs=1)) == [0]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as receiver:
        receiver.bind(str(tmp_path / "n3.sock"))
        monkeypatch.setenv("SLURMD_NODENAME", "n3")
        assert list(EpochTracker(epochs=1)) == [0]
        assert told(received(receiver)) == [("start", 1, 1), ("end", 1, 1)]


@pytest.mark.parametrize("epochs", ["10", -1, 2.5])
def test_a_wrong_count_does_not_stop_a_training(agent, epochs):
    with EpochTracker(epochs=epochs) as tracker:
        tracker.epoch_start()
        tracker.epoch_end()
    assert told(received(agent)) == [("start", 1, None), ("end", 1, None)]
