"""How the agent starts, and what it says where it cannot."""

from __future__ import annotations

import stat

import pytest

from carbonsched.cli import agent as agent_command


def test_a_second_agent_on_the_same_node_is_told(node, capsys):
    node.start()
    arguments = ["--node", "n1", "--site", str(node.site), f"--path.sysfs={node.tree.sysfs}"]
    assert agent_command.main(arguments) == 64
    assert "another agent is metering" in capsys.readouterr().err


def test_what_is_missing_is_one_line_with_its_status(tree, capsys):
    assert agent_command.main(["--site", str(tree.root / "none.json")]) == 78
    site = str(tree.site())
    assert agent_command.main(["--node", "x9", "--site", site, f"--path.sysfs={tree.sysfs}"]) == 69
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "config compile" in lines[0]
    assert "node x9 has no power meter" in lines[1]


@pytest.mark.parametrize(
    "setting",
    [{"sample_s": 0}, {"sample_s": "1"}, {"segment_s": 0}, {"segment_s": 1.5}, {"delivery_s": 0}],
)
def test_a_period_that_makes_no_sense_is_one_line(tree, capsys, setting):
    assert agent_command.main(["--node", "n1", "--site", str(tree.site(**setting))]) == 78
    (line,) = capsys.readouterr().err.splitlines()
    assert f"agent.{next(iter(setting))} must be" in line


def test_users_may_mark_and_only_root_may_read_the_spool(node):
    node.start()
    assert stat.S_ISSOCK(node.tree.socket.stat().st_mode)
    assert node.tree.socket.stat().st_mode & 0o222 == 0o222
    for folder in ("events", "outbox", "rejected"):
        assert (node.tree.spool / folder).stat().st_mode & 0o777 == 0o700
