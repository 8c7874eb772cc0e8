import copy

import pytest

from carbonsched.errors import DaemonError
from carbonsched.reports.documents import read_granted, read_jobs, read_quota, read_report
from carbonsched.reports.queue_documents import read_queue


def test_the_documents_of_the_interface_are_read(samples):
    job = samples.job()
    assert read_queue(samples.queue())["jobs"]
    assert read_jobs({"now": 1, "jobs": [job]})["jobs"] == [job]
    assert read_jobs({"now": 1, "jobs": [{**job, "evidence": samples.evidence(job)}]})
    assert read_report(samples.report())["quota"]
    assert read_report(samples.empty_report())["quota"] is None
    assert read_quota(samples.quota())["grants"]
    assert read_granted({"balance": samples.quota()["balances"][0]})["balance"]["budget_mg"]


def test_what_a_newer_daemon_adds_does_no_harm(samples):
    assert read_queue({**samples.queue(), "new": [1]})["new"] == [1]


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("totals", "mg"), 1.5, "totals.mg is not a whole number"),
        (("totals", "mg"), True, "totals.mg"),
        (("totals", "saved_mg"), "1", "totals.saved_mg"),
        (("days", 0, "date"), None, "days[0].date is not a text"),
        (("days",), {}, "days is not a list"),
        (("jobs", 2, "provisional"), 1, "jobs[2].provisional is not true or false"),
        (("car", "km"), float("nan"), "car.km is not a number"),
        (("quota",), [], "quota is not an object"),
    ],
)
def test_a_wrong_answer_is_named_in_one_line(samples, path, value, named):
    document = copy.deepcopy(samples.report())
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(DaemonError) as caught:
        read_report(document)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("answer", [None, [], "x", {}, {"now": 1}])
def test_no_document_at_all(answer):
    for read in (read_queue, read_jobs, read_report, read_quota, read_granted):
        with pytest.raises(DaemonError, match="same version"):
            read(answer)
