"""Slurm's ways to write numbers, limits, lists of tasks and hosts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.cluster.hostlist import expand_hosts
from carbonsched.cluster.values import (
    count_tasks,
    instant_at,
    limit_of_minutes_s,
    limit_s,
    number,
    state,
    tres,
    whole,
)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (7, 7),
        (0, 0),
        (7.0, 7),
        (None, None),
        (True, None),
        ("7", None),
        (4294967294, None),
        (65534, None),
        ({"set": True, "infinite": False, "number": 7}, 7),
        ({"set": False, "infinite": False, "number": 7}, None),
        ({"set": True, "infinite": True, "number": 0}, None),
        ({"set": True, "infinite": False, "number": 4294967294}, None),
        ({}, None),
    ],
)
def test_one_decoder_of_numbers(value, read):
    assert number(value) == read


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5:00", 300),
        ("0:30", 30),
        ("1:02:03", 3723),
        ("2-03", 183_600),
        ("1-00:00:00", 86_400),
        ("90", 5400),
        ("UNLIMITED", None),
        ("Partition_Limit", None),
        ("NOT_SET", None),
        ("INVALID", None),
        ("365-00:00:00", None),
        ("", None),
    ],
)
def test_limits(text, seconds):
    assert limit_s(text) == seconds


@given(st.integers(1, 364 * 86_400))
def test_limits_as_slurm_writes_them(seconds):
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    clock = f"{hour:02d}:{minute:02d}:{second:02d}"
    assert limit_s(f"{days}-{clock}" if days else clock) == seconds


def test_minutes():
    assert limit_of_minutes_s(120) == 7200
    assert limit_of_minutes_s(525_600) is None  # the year that stands for no limit
    assert limit_of_minutes_s(None) is None


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1-10%2,12", 11),
        ("[0-6:2]", 4),
        ("7", 1),
        ("1,3,5", 3),
        ("0-999%5", 1000),
        ("", 1),
        ("…", 1),
    ],
)
def test_tasks(text, count):
    assert count_tasks(text) == count


@given(st.sets(st.integers(0, 500), min_size=1))
def test_tasks_in_any_grouping(tasks):
    assert count_tasks(",".join(str(one) for one in sorted(tasks)) + "%3") == len(tasks)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("n1", ("n1",)),
        ("n[1-3,7]", ("n1", "n2", "n3", "n7")),
        ("n[08-11]", ("n08", "n09", "n10", "n11")),
        ("a1,b[1-2],c", ("a1", "b1", "b2", "c")),
        ("r[1-2]n[1-2]", ("r1n1", "r1n2", "r2n1", "r2n2")),
        ("n[1-2].site", ("n1.site", "n2.site")),
        ("", ()),
        ("None assigned", ()),
        ("(null)", ()),
    ],
)
def test_hosts(text, hosts):
    assert expand_hosts(text) == hosts


@given(st.text(max_size=40))
def test_any_text_reads_as_something(text):
    assert isinstance(expand_hosts(text), tuple)
    assert count_tasks(text) >= 1
    assert limit_s(text) is None or limit_s(text) > 0
    assert whole(text) is None or whole(text) >= 0
    assert instant_at(text) != 0
    assert state(text)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("RUNNING", "RUNNING"),
        ("CANCELLED by 1000", "CANCELLED"),
        ("CANCELLED+", "CANCELLED"),
        (["COMPLETED", "COMPLETING"], "COMPLETING"),
        (["PENDING", "REQUEUED"], "PENDING"),
        ([], "UNKNOWN"),
    ],
)
def test_states(value, name):
    assert state(value) == name


def test_instants():
    assert instant_at("1795217083") == 1_795_217_083
    assert instant_at("2026-11-20T23:24:43") == 1_795_217_083
    assert instant_at("Unknown") is None
    assert instant_at("0") is None


def test_resources():
    assert tres("cpu=12,mem=4000M,node=2,billing=12") == {"cpu": 12, "node": 2}
    assert tres("billing=1,gres/gpu=2") == {}
