import json

import pytest

from carbonsched.cli import csacct
from carbonsched.errors import RequestError


@pytest.fixture
def ask(daemon, capsys):
    def asking(*words):
        options = csacct._parser().parse_args(words)
        assert csacct.run(options, daemon.client) == 0
        return capsys.readouterr()

    return asking


def test_the_table_and_its_footnote(ask):
    shown = ask()
    lines = shown.out.splitlines()
    assert lines[0].split() == ["JobID", "JobName", "State", "Elapsed", "Energy", "CO2", "g/kWh",
                                "Quality", "Saved"]  # fmt: skip
    assert lines[1].split() == ["1204", "train-unet", "COMPLETED", "02:00:00", "1.50", "kWh", "412",
                                "g", "220", "measured", "96.0", "g"]  # fmt: skip
    assert "~412 g" in lines[2]
    assert shown.err.startswith("~ provisional")
    assert "\x1b" not in shown.out


def test_for_scripts_whole_joules_and_milligrams(ask):
    lines = ask("-P").out.splitlines()
    assert lines[0] == "JobID|JobName|State|Elapsed_s|Energy_J|CO2_mg|g_per_kWh|Quality|Saved_mg"
    assert lines[1] == "1204|train-unet|COMPLETED|7200|5400000|412500|220.0|measured|96000"
    assert lines[3] == "1205_2|?[2Jx?y|COMPLETED|7200|5400000|412500|220.0|measured|"


def test_from_midnight_here_unless_a_job_is_named(ask, daemon):
    ask()
    ask("-j", "1204")
    ask("-S", "2026-11-01", "-E", "2026-11-02", "-a")
    (_, first, _), (_, second, _), (_, third, _) = daemon.asked
    assert (int(first["since_at"]) + 3600) % 86_400 in (0, 82_800, 3600)
    assert second == {"job": "1204", "since_at": "0"}
    assert third == {"since_at": "1793487600", "until_at": "1793574000", "all": "1"}


def test_array_tasks_are_asked_once_and_chosen_here(ask, daemon):
    shown = ask("-j", "1205_2,1205_1", "-P", "-n", "-o", "JobID").out
    assert shown.split() == ["1205_1", "1205_2"]
    assert [query["job"] for _, query, _ in daemon.asked] == ["1205"]
    assert ask("-j", "1205", "-P", "-n", "-o", "JobID").out.split() == ["1205_1", "1205_2"]


def test_states_in_either_form(ask):
    assert ask("-s", "f", "-P", "-n", "-o", "JobID").out.split() == ["1205_1"]
    assert len(ask("-s", "COMPLETED,CD", "-n").out.splitlines()) == 2


def test_the_chain_of_evidence(ask, daemon):
    shown = ask("-j", "1204", "--evidence").out
    assert shown.count("rapl") == 24
    assert "Charged            412500 mg" in shown
    assert daemon.asked[0][1]["evidence"] == "1"


def test_json_is_the_daemons_document(ask):
    document = json.loads(ask("--json", "-j", "1204").out)
    assert document["jobs"][0]["mg"] == 412_500
    assert document["now"]


def test_nothing_since_midnight_is_said_kindly(ask, daemon, samples):
    daemon.answers["/v1/jobs"] = (200, {"now": samples.NOW, "jobs": []})
    shown = ask()
    assert len(shown.out.splitlines()) == 1
    assert "looks further back" in shown.err
    assert ask("-n").err == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-j", "12;rm"), "is not a job id"),
        (("-j", "77"), "job 77 is not among"),
        (("-s", "SLEEPY"), "is not a job state"),
        (("-S", "soon"), "is not a time"),
        (("-S", "2026-11-02", "-E", "2026-11-01"), "check -S and -E"),
        (("--evidence",), "needs a job"),
        (("-o", "Carbon"), "no field 'Carbon'"),
    ],
)
def test_bad_requests_name_thing_and_remedy(ask, words, message):
    with pytest.raises(RequestError, match=message):
        ask(*words)
