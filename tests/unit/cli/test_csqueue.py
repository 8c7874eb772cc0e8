import json

import pytest

from carbonsched.cli import csqueue
from carbonsched.errors import ForbiddenError, RequestError
from carbonsched.reports.terminal import cells


@pytest.fixture
def ask(daemon, capsys):
    def asking(*words):
        options = csqueue._parser().parse_args(words)
        assert csqueue.run(options, daemon.client) == 0
        return capsys.readouterr().out

    return asking


def test_the_table_says_when_and_why_in_80_columns(ask):
    lines = ask().splitlines()
    assert lines[0].split() == ["JOBID", "NAME", "USER", "ST", "START", "WHY", "CO2", "SAVES"]
    assert all(cells(line) <= 80 for line in lines)
    waiting, running, quota, unplanned, now, soon = lines[1:7]
    assert "Sat 02:00 +11h30m" in waiting
    assert "cleaner later" in waiting
    assert waiting.endswith("412 g 96.0 g")
    assert "epoch 3/50" in running
    assert "12-01 00:00" in quota
    assert "quota used up" in quota
    assert "Resources" in unplanned
    assert " now " in now
    assert "+40s" in soon


def test_no_name_reaches_the_terminal_unclean(ask):
    for words in ((), ("-P",), ("--why",)):
        assert not set(ask(*words)) & {"\x1b", "\x07", "\r", "\t", "\u202e", "\x9b", "\u2028"}


def test_for_scripts(ask):
    lines = ask("-P", "-n", "-j", "1301", "-o", "JobID,Start,Why,CO2,Saves,Latest").splitlines()
    assert lines == ["1301|2026-11-21T02:00:00|cleaner|412000|96000|2026-11-21T14:30:00"]


def test_why_tells_decision_interval_source_and_epochs(ask):
    text = " ".join(ask("--why", "-j", "1301,1302").split())
    for words in (
        "Planned start Sat 02:00, in 11h30m; at the latest Sat 14:30.",
        "412 g instead of 508 g",
        "CO2, as reckoned 14:21:00: 508 g if started now, 412 g by its plan, 400 g at best,",
        "Prediction from history: 7 earlier jobs of the same name",
        "energy 1.50 kWh 1.39 kWh - 1.64 kWh 1.22 kWh - 1.92 kWh",
        "carboncast: DE",
        "Epoch 3 of 50.",
    ):
        assert words in text


def test_a_shadow_plan_is_told_as_one(ask, daemon, samples):
    row = samples.queue_job(
        plan_reason="shadow", planned_start_at=samples.NOW - 60, expected_mg=508_000, saved_mg=0,
        shadow_start_at=samples.NOW + 9 * 3600, shadow_mg=412_000,
    )  # fmt: skip
    daemon.answers["/v1/queue"] = (200, {"now": samples.NOW, "jobs": [row]})
    assert "now shadow mode" in " ".join(ask().split())
    assert "508 g if started now, 412 g by its plan" in " ".join(ask("--why").split())


def test_why_tells_of_a_stop_for_a_cleaner_window(ask, daemon, samples):
    def told(**fields):
        row = samples.queue_job(**fields)
        daemon.answers["/v1/queue"] = (200, {"now": samples.NOW, "jobs": [row]})
        return " ".join(ask("--why").split())

    assert (
        "It was stopped 13:30 for a cleaner window and goes on Sat 02:00, which is expected to"
        " save 96.0 g."
    ) in told(stopped_at=samples.NOW - 3600, restarts=1)
    assert "for a cleaner window and goes on Sat 02:00. Decided" in told(
        stopped_at=samples.NOW - 3600, restarts=1, saved_mg=None
    )
    running = {"state": "RUNNING", "started_at": samples.NOW - 600}
    assert "It was stopped 13:30 for a cleaner window and has gone on since it started." in told(
        stopped_at=samples.NOW - 3600, restarts=1, **running
    )
    assert "It was told 14:29:00 to write a checkpoint; it is about to be stopped" in told(
        stopping_at=samples.NOW - 60, **running
    )


def test_why_tells_what_a_pilots_first_epoch_came_to(ask, daemon, samples):
    def told(at=None, *, stopped=None, note="", **fields):
        pilot = {"decided_at": at, "stopped": stopped, "note": note}
        row = samples.queue_job(pilot=pilot, **fields)
        daemon.answers["/v1/queue"] = (200, {"now": samples.NOW, "jobs": [row]})
        return " ".join(ask("--why").split())

    running = {"state": "RUNNING", "started_at": samples.NOW - 7200}
    asked = "It is a pilot: after its first epoch it is decided whether it goes on at once."
    waits = told()
    assert asked in waits
    assert "marked" not in waits, "it has not begun"
    assert (
        f"{asked} Its first epoch has not been marked; without marks nothing is decided."
    ) in told(**running)
    assert (
        f"{asked} Its epochs are marked, but not how many there are; without that nothing is"
        " decided. --carbon-epochs=N tells it at submission."
    ) in told(**running, epoch=2, epochs=None)
    marked = told(**running, epoch=1, epochs=9)
    assert asked in marked
    assert "nothing is decided" not in marked
    assert (
        "It is a pilot; after its first epoch it was decided 13:30 that it goes on: stopping it"
        " would not save enough."
    ) in told(
        samples.NOW - 3600, note="stopping it would not save enough", stopped=False, **running
    )
    later = {"at": samples.NOW - 3600, "stopped": True}
    later["note"] = "from about 2026-11-21 01:00:00 UTC on, which is expected to save 90 g"
    waits = {"stopped_at": samples.NOW - 3600, "restarts": 1, "earlier_runs": 1}
    assert (
        "It was stopped 13:30 for a cleaner window and goes on Sat 02:00. It is a pilot; after its"
        " first epoch it was decided 13:30 that it goes on later, from about Sat 02:00 on, which"
        " is expected to save 90 g."
    ) in told(**later, **waits), "one figure of what the stop saves"
    again = told(**later, **waits | {"restarts": 2, "earlier_runs": 2})
    assert "goes on Sat 02:00, which is expected to save 96.0 g." in again, "of the second stop"


def test_a_job_without_a_plan_has_no_masses(ask):
    assert "CO2, as" not in ask("--why", "-j", "1304")
    assert ask("-P", "-n", "-o", "JobID,Best", "-j", "1301,1304").split() == [
        "1301|400000", "1304|",
    ]  # fmt: skip


def test_selection_by_job_and_cluster(ask):
    assert [job["job_id"] for job in json.loads(ask("--json", "-j", "1303"))["jobs"]] == [1303]
    assert json.loads(ask("--json", "-M", "elsewhere"))["jobs"] == []
    with pytest.raises(RequestError, match="job 9 is not in the queue"):
        ask("-j", "1301,9")


def test_what_is_asked_of_the_daemon(ask, daemon):
    ask()
    ask("-u", "bob")
    ask("-a")
    assert [query for _, query, _ in daemon.asked] == [{}, {"user": "bob"}, {"all": "1"}]


def test_a_refusal_is_the_daemons(ask, daemon):
    daemon.answers["/v1/queue"] = (403, {"error": "you may see your own jobs, not those of bob"})
    with pytest.raises(ForbiddenError, match="not those of bob"):
        ask("-u", "bob")


def test_an_empty_queue_is_a_header(ask, daemon, samples):
    daemon.answers["/v1/queue"] = (200, {"now": samples.NOW, "jobs": []})
    assert ask().split() == ["JOBID", "NAME", "USER", "ST", "START", "WHY", "CO2", "SAVES"]
    assert ask("-n") == ""
    assert ask("--why") == ""
