from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.model.hostlist import MAX_HOSTS, expand


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", []),
        ("n1", ["n1"]),
        ("n[1-2,4]", ["n1", "n2", "n4"]),
        ("n[08-10]", ["n08", "n09", "n10"]),
        ("a,n[1-2],b-c.d_e", ["a", "n1", "n2", "b-c.d_e"]),
        ("r[1-2]n[1-2]x", ["r1n1x", "r1n2x", "r2n1x", "r2n2x"]),
        ("n[2,1]", ["n2", "n1"]),
        ("n1,n1", ["n1", "n1"]),
    ],
)
def test_lists_as_slurm_writes_them(text, hosts):
    assert expand(text) == hosts


@pytest.mark.parametrize(
    "text",
    [
        "n[1-2",
        "n1-2]",
        "n[[1]]",
        "n[]",
        "n[a]",
        "n[3-1]",
        "n[1-]",
        ",",
        "a,,b",
        "a b",
        "n\n",
        "(null)",
    ],
)
def test_what_is_no_host_list_is_refused(text):
    with pytest.raises(ValueError, match=r"host list|brackets|host name"):
        expand(text)


@pytest.mark.parametrize(
    "text",
    [
        "n[1-999999999999999999]",
        "a[1-1000]b[1-1000]",
        ",".join(["n[1-60000]"] * 2),
        "x" * 2_000_000,
    ],
)
def test_huge_lists_are_refused_at_once(text):
    with pytest.raises(ValueError, match=r"more than|too long"):
        expand(text)


@given(st.text(alphabet="n01-9,[]a. \n", max_size=40))
def test_any_text_gives_hosts_or_a_value_error(text):
    try:
        hosts = expand(text)
    except ValueError:
        return
    assert len(hosts) <= MAX_HOSTS
    assert all(host for host in hosts)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), min_size=1, max_size=5))
def test_ranges_hold_every_number_once(ranges):
    text = ",".join(f"{first}-{first + more}" for first, more in ranges)
    expected = [f"n{one}" for first, more in ranges for one in range(first, first + more + 1)]
    assert expand(f"n[{text}]") == expected
