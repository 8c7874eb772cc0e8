import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonsched.reports.audit import audit_lines, audit_pipes
from carbonsched.reports.terminal import Screen, cells

JOULES = st.integers(0, 10**15)


def text(samples, most=20, **changed):
    (one,) = samples.audit(**changed)["clusters"]
    return "\n".join(audit_lines(one, samples.START_AT, samples.END_AT, most, Screen()))


def test_the_sums_their_shares_and_what_is_behind_them(samples):
    shown = text(samples)
    for words in (
        "lab  2026-11-01T00:00:00 to 2026-12-01T00:00:00",
        "70.0 %",
        "15000 J beyond Slurm's record of a job",
        "5000 J of no job that was there",
        "1h covered on 2 nodes, 10m missing between readings of 1 node",
        "Silent         1 node: n2",
        "3 jobs alone on nodes: metered / Slurm's 0.987 (median)",
        "1 job with a figure of Slurm's that cannot be",
    ):
        assert words in shown
    table = shown.split("\n\n")[1]
    rows = {line.split()[0]: line.split() for line in table.splitlines()}
    assert rows["Measured"][1] == "1000000"
    assert sum(int(rows[one][1]) for one in ("Jobs", "Idle", "System", "Unclaimed")) == 1_000_000


def test_what_is_wrong_is_named(samples):
    shown = text(
        samples, adds_up=False, difference_j=0, uneven_segments=1,
        mischarged=[{"shown_id": "7_1", "restarts": 0, "user": "bob", "metered_j": 5,
                     "charged_j": 6}],
    )  # fmt: skip
    assert "Job 7_1 is charged 6 J and metered 5 J" in shown
    assert "1 segment not equal to the sum of parts" in shown
    assert "It does not add up" in shown


def test_an_empty_period(samples):
    nothing = dict.fromkeys(("measured_j", "jobs_j", "idle_j", "system_j", "unclaimed_j"), 0)
    shown = text(samples, nodes=[], qualities=[], listed=[], listed_count=0, **nothing)
    assert "No job ran." in shown
    assert "covered on 0 nodes" in shown


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_it_fits_80_columns_whatever_is_in_it(samples, data):
    draw = data.draw
    name = st.text(max_size=60)
    listed = [
        {
            "shown_id": draw(st.sampled_from(["1", "67108863_999999"])), "restarts": 0,
            "user": draw(name), "nodes": draw(st.lists(name, max_size=6)), "state": "COMPLETED",
            "started_at": 0, "ended_at": 1,
            "quality": draw(st.sampled_from(["missing", "partial"])),
            "energy_j": draw(st.one_of(st.none(), JOULES)), "why": draw(st.text(max_size=200)),
        }
    ]  # fmt: skip
    sums = {
        one: draw(JOULES)
        for one in ("measured_j", "jobs_j", "idle_j", "system_j", "unclaimed_j", "beyond_j")
    }
    (one,) = samples.audit(listed=listed, cluster=draw(name), **sums)["clusters"]
    lines = audit_lines(one, samples.START_AT, samples.END_AT, 20, Screen())
    assert all(cells(line) <= 80 for line in lines)
    assert all("\n" not in line for line in audit_pipes([one], 20))


@pytest.mark.parametrize("colour", [False, True])
def test_colour_only_where_the_screen_takes_it(samples, colour):
    (one,) = samples.audit()["clusters"]
    lines = audit_lines(one, samples.START_AT, samples.END_AT, 20, Screen(colour=colour))
    assert any("\x1b[" in line for line in lines) == colour
