"""When the agent writes its state: at once if something happens, and now and then otherwise."""

from __future__ import annotations

import json
import shutil

import pytest

from carbonsched.node.agent import KEEP_NS, KEEP_SAMPLES, Agent
from carbonsched.node.wiring import Roots
from carbonsched.site import load_site

NS = 1_000_000_000
LINE = 1_792_972_800
"""A line of the grid of segments."""


class Node:
    """An agent that a test has sample, on files that a test writes; its segments are 20 s long."""

    def __init__(self, tree, clock, journal):
        self.tree, self.clock = tree, clock
        clock.wall = LINE * NS
        roots = Roots(sysfs=tree.sysfs, procfs=tree.procfs, cgroupfs=tree.cgroupfs)
        site = load_site(tree.site(segment_s=20))
        self.agent = Agent("n1", site, roots, lambda: None, journal, clock)

    def sample(self, after_s=1.0):
        """Sample after a while; whether the state was written."""
        self.clock.go(after_s)
        before = self.kept()
        self.agent.sample()
        return self.kept() != before

    def kept(self):
        path = self.tree.spool / "state.json"
        return json.loads(path.read_text())["last"] if path.exists() else None

    def close(self):
        self.agent._marks.close()
        self.agent._spool.close()


@pytest.fixture
def node(tree, clock, journal):
    made = Node(tree, clock, journal)
    assert made.sample(), "the first sample is kept"
    yield made
    made.close()


def test_while_nothing_happens_the_state_is_written_once_in_some_samples(node):
    written = [node.sample() for _ in range(18)]
    assert written == [(number + 1) % KEEP_SAMPLES == 0 for number in range(18)]


def test_samples_that_are_far_apart_are_each_written(node):
    assert all(node.sample(after_s=KEEP_NS / NS) for _ in range(3))


def test_a_segment_that_closes_is_written_at_once_and_goes_to_the_outbox(node):
    while node.clock.wall < (LINE + 19) * NS:
        node.sample()
    assert not any((node.tree.spool / "outbox").iterdir())
    assert node.sample()
    assert len(list((node.tree.spool / "outbox").iterdir())) == 1


def test_begins_and_ends_are_written_at_once(node):
    node.sample()
    node.tree.event("begin", 7, node.clock.wall)
    assert node.sample()
    assert not any((node.tree.spool / "events").iterdir())
    node.sample()
    node.tree.event("end", 7, node.clock.wall)
    assert node.sample()
    assert not any((node.tree.spool / "events").iterdir())


def test_a_job_that_comes_or_goes_without_a_word_is_written_at_once(node):
    node.sample()
    folder = node.tree.cpu_v1(8, 1000)
    assert node.sample()
    assert not node.sample()
    shutil.rmtree(folder)
    assert node.sample()


def test_a_state_that_could_not_be_written_is_tried_at_each_sample(node, log):
    for _ in range(KEEP_SAMPLES - 1):
        node.sample()
    state = node.tree.spool / ".state.json.tmp"
    state.mkdir()  # in its way
    assert [node.sample() for _ in range(3)] == [False] * 3
    assert log.getvalue().count("cannot write to") == 1
    state.rmdir()
    assert node.sample()
    assert "can be written again" in log.getvalue()
