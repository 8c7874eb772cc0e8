"""What the frameworks' callbacks share; with the frameworks themselves: tests/frameworks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.epochs.hooks import (
    LOCAL_RANKS,
    CallbackMarks,
    first_of_the_node,
    harmless,
    is_whole,
)


def test_no_error_of_a_hook_reaches_the_training():
    class Hooks:
        @harmless
        def on_epoch(self, value, *, scale=1):
            """Documented."""
            self.seen = 1 / value * scale

    hooks = Hooks()
    hooks.on_epoch(2, scale=4)
    hooks.on_epoch(0)
    hooks.on_epoch("no number")
    assert hooks.seen == 2
    assert Hooks.on_epoch.__doc__ == "Documented."


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({}, True), ({"SLURM_LOCALID": "0"}, True), ({"SLURM_LOCALID": "3"}, False),
        ({"LOCAL_RANK": "0", "SLURM_LOCALID": "0"}, True),
        ({"LOCAL_RANK": "2", "SLURM_LOCALID": "0"}, False),
    ],
)  # fmt: skip
def test_one_process_of_a_node_is_the_first(monkeypatch, variables, first):
    for name in LOCAL_RANKS:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert first_of_the_node() is first


@pytest.mark.parametrize(("epochs", "count"), [(3, 3), (2.5, 3), (3.0000000001, 3), (None, None)])
def test_a_fraction_of_an_epoch_begins(agent, epochs, count):
    marks = CallbackMarks()
    marks.begin(epochs, first_here=True)
    marks.start(1)
    marks.step()
    marks.end()
    marks.start()
    marks.stop()
    assert agent.told() == [("start", 2, count), ("end", 2, count), ("start", 3, count)]


def test_other_processes_and_hooks_before_the_beginning_say_nothing(agent):
    marks = CallbackMarks()
    marks.start()
    marks.begin(2, first_here=False)
    marks.start()
    marks.step()
    marks.end()
    marks.stop()
    assert agent.told() == []


@given(st.integers(0, 10_000), st.integers(1, 9_999))
def test_sums_of_steps_are_whole_at_the_end_of_an_epoch_only(epochs, steps):
    assert is_whole(epochs + steps / steps)
    assert is_whole(epochs + (steps - 0.5) / steps) is False
