from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.node.presence.events import EventKind, Inbox, cpus_here, parse_event

NS = 1_000_000_000


@pytest.fixture
def inbox(tree, journal):
    (tree.spool / "events").mkdir(parents=True)
    (tree.spool / "rejected").mkdir()
    return Inbox(tree.spool, "n1", journal)


def test_events_come_in_order_of_time_once_they_are_over(tree, inbox):
    tree.event("end", 7, 105 * NS)
    tree.event("begin", 8, 105 * NS, uid="me", cpus="x")
    tree.event("begin", 7, 101 * NS, restarts=2)
    tree.event("begin", 9, 111 * NS)
    events = inbox.read(110 * NS)
    assert [(one.kind, one.job_id, one.restarts) for one in events] == [
        (EventKind.BEGIN, 7, 2),
        (EventKind.BEGIN, 8, 0),
        (EventKind.END, 7, 0),
    ]
    assert (events[0].uid, events[0].cpus, events[0].at_ns) == (1000, 2, 101 * NS)
    assert (events[1].uid, events[1].cpus) == (None, None)
    handled = {one.name for one in events}
    assert inbox.read(110 * NS, handled) == []
    inbox.forget(handled)
    assert inbox.left(handled) == set()
    assert [one.job_id for one in inbox.read(111 * NS)] == [9]


def test_an_event_far_ahead_of_a_clock_that_was_set_back_counts_now(tree, inbox):
    tree.event("begin", 7, 5000 * NS)
    assert [one.at_ns for one in inbox.read(100 * NS)] == [100 * NS]


def stamp(path, uptime, boot="boot-1"):
    """What the hook writes of its own time, which leaves the file's time as it is."""
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_text(path.read_text().replace("end\n", f"uptime={uptime}\nboot={boot}\nend\n"))
    os.utime(path, ns=times)


@pytest.fixture
def timed(tree, journal, inbox, clock):
    """At 1000 s of the wall clock the machine has been up for 50 s."""
    return Inbox(tree.spool, "n1", journal, clock)


@pytest.mark.parametrize(
    ("written_s", "uptime", "boot", "expected_ns"),
    [
        (995.004321, "45.00", "boot-1", 995_004_321_000),  # at once: the file's time is exact
        (997.5, "45.00", "boot-1", 995 * NS),  # the disk was slow
        (4600.5, "45.00", "boot-1", 995 * NS),  # the clock was an hour ahead then
        (100.5, "45.00", "boot-1", 995 * NS),  # or behind
        (997.5, "45.00", "another", 997_500_000_000),
        (997.5, "", "boot-1", 997_500_000_000),
    ],
)
def test_an_event_is_of_when_its_hook_began(tree, timed, written_s, uptime, boot, expected_ns):
    path = tree.event("begin", 7, round(written_s * 1_000_000) * 1000)
    stamp(path, uptime, boot)
    assert [one.at_ns for one in timed.read(1000 * NS)] == [expected_ns]


def test_an_event_of_an_earlier_boot_is_forgotten(tree, timed, log):
    stamp(tree.event("begin", 7, 940 * NS), "9000.00", boot="boot-0")
    assert timed.read(1000 * NS) == []
    assert list((tree.spool / "events").iterdir()) == []
    assert "before the machine booted" in log.getvalue()


def test_gpus_and_sluid_are_the_hooks_words():
    text = "gpus=0-1\nvisible=GPU-1,GPU-2\nsluid={}\nend\n"
    event = parse_event("begin.5.1.9", text.format("s5K1KKYAYG5D00"), 1, "n1")
    assert (event.gpus, event.visible, event.sluid) == ("0-1", "GPU-1,GPU-2", "s5K1KKYAYG5D00")
    assert parse_event("begin.5.1.9", text.format("../etc"), 1, "n1").sluid == ""


def test_an_incomplete_event_waits_and_is_put_aside_in_the_end(tree, inbox, log):
    path = tree.event("begin", 7, 100 * NS, whole=False)
    assert inbox.read(105 * NS) == []
    assert path.exists()
    assert inbox.read(111 * NS) == []
    assert (tree.spool / "rejected" / path.name).exists()
    assert "put aside" in log.getvalue()


def test_a_missing_folder_is_said_once(tree, journal, log):
    inbox = Inbox(tree.spool, "n1", journal)
    assert inbox.read(NS) == []
    assert inbox.read(NS) == []
    assert log.getvalue().count("cannot read") == 1


@given(st.text(max_size=60), st.binary(max_size=300))
def test_any_name_and_content_is_an_event_or_none(name, content):
    assert parse_event(name, content.decode("utf-8", "replace"), 1, "n1") is None
    event = parse_event("end.5.1.9", content.decode("utf-8", "replace") + "\nend\n", 1, "n1")
    assert event is not None
    assert (event.job_id, event.restarts) == (5, 1)


@pytest.mark.parametrize(
    ("nodelist", "cpus", "node", "expected"),
    [
        ("n[1-4]", "2(x3),4", "n3", 2),
        ("n[1-4]", "2(x3),4", "n4", 4),
        ("n1", "8", "n1", 8),
        ("n[1-2]", "8", "n2", None),
        ("n[1-2]", "8(x2)", "n3", None),
        ("n[1-2", "8(x2)", "n1", None),
        ("n1", "", "n1", None),
        ("n1", "0", "n1", None),
        ("", "4", "n1", None),
    ],
)
def test_a_jobs_cpus_on_this_node(nodelist, cpus, node, expected):
    assert cpus_here(nodelist, cpus, node) == expected
