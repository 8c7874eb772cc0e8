from __future__ import annotations

import pytest

from carbonsched.errors import ConfigError, RequestError
from carbonsched.node.spool import Spool


@pytest.fixture
def spool(tree, journal):
    made = Spool(tree.spool, journal)
    yield made
    made.close()


def test_one_agent_at_a_time_may_hold_a_spool(tree, journal, spool):
    with pytest.raises(RequestError, match="another agent is metering"):
        Spool(tree.spool, journal)


def test_a_spool_that_cannot_be_made_is_one_line(tree, journal):
    (tree.root / "file").write_text("")
    with pytest.raises(ConfigError, match=r"name another agent\.spool"):
        Spool(tree.root / "file/n1", journal)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 200_000, "\x00\x01"])
def test_a_damaged_state_is_kept_aside(tree, spool, log, text):
    (tree.spool / "state.json").write_text(text)
    assert spool.load_state() is None
    assert (tree.spool / "state.json.damaged").read_text() == text
    assert log.getvalue().count("\n") == 1
    assert spool.load_state() is None


def test_state_survives(spool):
    assert spool.load_state() is None
    assert spool.save_state({"a": 1}, durable=True)
    assert spool.save_state({"a": 2}, durable=False)
    assert spool.load_state() == {"a": 2}
