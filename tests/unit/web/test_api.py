"""Every route, by the real client, over real HTTP, with real credentials."""

from __future__ import annotations

import http.client
import json
import logging
import os
import socket

import pytest

from carbonsched.errors import (
    AuthenticationError,
    DaemonError,
    ExternalError,
    ForbiddenError,
    LedgerError,
    RequestError,
    TooLargeError,
)
from carbonsched.model.directives import Directives
from carbonsched.model.placement import Candidacy, JobSize
from carbonsched.transport.request import signed_payload
from carbonsched.web.app import MAX_BODY
from carbonsched.web.backend import (
    IntensityQuery,
    JobQuery,
    NodeView,
    PeriodQuery,
    ReportQuery,
)


def last(service):
    """The one question that was asked, and who asked it."""
    ((name, *arguments),) = service.backend.asked
    return name, arguments


GETS = [
    ("/v1/queue", {}, "queue", JobQuery()),
    ("/v1/queue", {"user": "ada & ben=ü/%"}, "queue", JobQuery(user="ada & ben=ü/%")),
    ("/v1/queue", {"all": 1}, "queue", JobQuery(everybody=True)),
    (
        "/v1/queue",
        {"job": 7, "gpu_limit_w": 200, "nodes": "n[1-2]"},
        "queue",
        JobQuery(job_id=7, gpu_limit_w=200, nodes="n[1-2]"),
    ),
    ("/v1/jobs", {}, "jobs", JobQuery()),
    (
        "/v1/jobs",
        {"user": "ada", "job": 7, "since_at": 5, "until_at": 9, "all": 1, "evidence": 1},
        "jobs",
        JobQuery(user="ada", job_id=7, since_at=5, until_at=9, everybody=True, evidence=True),
    ),
    ("/v1/jobs", {"user": None, "all": 0}, "jobs", JobQuery()),
    ("/v1/report", {}, "report", ReportQuery()),
    (
        "/v1/report",
        {"month": "2026-11", "account": "physics"},
        "report",
        ReportQuery(month="2026-11", account="physics"),
    ),
    ("/v1/report", {"user": "ada"}, "report", ReportQuery(user="ada")),
    ("/v1/report", {"campaign": "s"}, "report", ReportQuery(campaign="s")),
    ("/v1/intensity", {}, "intensity", IntensityQuery()),
    (
        "/v1/intensity",
        {"zone": "DE,DK1", "hours": 96, "length_s": 3600},
        "intensity",
        IntensityQuery(zones=("DE", "DK1"), hours=96, length_s=3600),
    ),
    ("/v1/epochs", {"job": 12}, "epochs", JobQuery(job_id=12)),
    ("/v1/epochs", {"job": 12, "user": "ada"}, "epochs", JobQuery(user="ada", job_id=12)),
    ("/v1/shadow", {"start": 5, "end": 9}, "shadow", PeriodQuery(start_at=5, end_at=9)),
    (
        "/v1/shadow",
        {"start": 0, "end": 9, "cluster": "lab"},
        "shadow",
        PeriodQuery(start_at=0, end_at=9, cluster="lab"),
    ),
    ("/v1/audit", {"start": 5, "end": 9}, "audit", PeriodQuery(start_at=5, end_at=9)),
    (
        "/v1/audit",
        {"start": 0, "end": 9, "cluster": "lab"},
        "audit",
        PeriodQuery(start_at=0, end_at=9, cluster="lab"),
    ),
]


@pytest.mark.parametrize(("path", "query", "name", "expected"), GETS)
def test_questions_arrive_as_they_were_asked(service, path, query, name, expected):
    assert service.client.get(path, **query) == {"answer": name}
    asked, (caller, told) = last(service)
    assert (asked, told) == (name, expected)
    assert (caller.uid, caller.gid) == (os.getuid(), os.getgid())


def test_the_quota_is_the_callers(service):
    assert service.client.get("/v1/quota") == {"answer": "quota"}
    name, (caller,) = last(service)
    assert (name, caller.uid) == ("quota", os.getuid())


def test_readings_arrive_item_by_item_unread(service):
    segments, epochs = [{"a": 1}, None, "x"], [[5]]
    service.client.post("/v1/readings", {"segments": segments, "epochs": epochs})
    name, (_, *told) = last(service)
    assert (name, told) == ("readings", [segments, epochs, None])


def test_what_a_node_believes_present_arrives_with_its_readings(service):
    node = {"cluster": "lab", "name": "n1", "jobs": [[7, 0], [8, 2]], "later": 1}
    service.client.post("/v1/readings", {"segments": [], "node": node})
    _, (_, *told) = last(service)
    assert told == [[], [], NodeView(cluster="lab", name="n1", jobs=((7, 0), (8, 2)))]


def test_a_submission_arrives_with_its_directives(service):
    asked = {"max_delay_s": 60, "checkpoint": True, "campaign": "sweep"}
    service.client.post("/v1/jobs", {"cluster": "lab", "job_id": 7, "directives": asked})
    name, (_, *told) = last(service)
    assert (name, told) == ("adopt", ["lab", 7, Directives(**asked)])


def test_a_job_to_be_placed_arrives_with_what_is_said_of_it(service):
    wish, size = {"max_delay_s": 60}, {"name": "train", "tasks": 4, "time_limit_s": 3600}
    names = ["lab", "north"]
    document = {"clusters": names, "here": "lab", "directives": wish, "job": size}
    service.client.post("/v1/placement", document)
    name, (_, asked) = last(service)
    assert name == "place"
    assert asked == Candidacy(
        clusters=("lab", "north"),
        size=JobSize(**size),
        directives=Directives(**wish),
        here="lab",
    )


def test_partitions_to_choose_from_arrive_as_they_were_named(service):
    service.client.post("/v1/placement", {"partitions": ["new", "old"], "here": "lab"})
    _, (_, asked) = last(service)
    assert asked == Candidacy(
        clusters=(), partitions=("new", "old"), size=JobSize(), directives=Directives(), here="lab"
    )


def test_a_grant_arrives_with_its_reason(service):
    service.client.post(
        "/v1/quota/grants", {"subject": "user:ada", "mg": -5, "reason": "Tagung in Köln"}
    )
    name, (_, *told) = last(service)
    assert (name, told) == ("grant", ["user:ada", None, -5, "Tagung in Köln"])


def test_health_needs_no_credential(service):
    assert service.ask("GET", "/v1/health") == (200, {"answer": "health"})


def refused(answer, status, words=""):
    got, document = answer
    assert got == status, document
    assert list(document) == ["error"]
    assert document["error"]
    assert "\n" not in document["error"]
    assert words in document["error"]


SIGNED = [
    ("GET", "/v1/queue"), ("GET", "/v1/jobs"), ("GET", "/v1/report"), ("GET", "/v1/quota"),
    ("GET", "/v1/audit"), ("GET", "/v1/shadow"), ("GET", "/v1/intensity"), ("GET", "/v1/epochs"),
    ("POST", "/v1/readings"), ("POST", "/v1/jobs"), ("POST", "/v1/quota/grants"),
    ("POST", "/v1/placement"),
]  # fmt: skip
SOUND = {
    "/v1/placement": b"{}",
    "/v1/readings": b"{}",
    "/v1/jobs": b'{"cluster": "lab", "job_id": 7, "directives": {}}',
    "/v1/quota/grants": b'{"subject": "user:ada", "mg": 5, "reason": "x"}',
}


@pytest.mark.parametrize(("method", "path"), SIGNED)
@pytest.mark.parametrize(
    "header", [None, "", "MUNGE", "Bearer abc", "MUNGE ", "munge x", "MUNGE é"]
)
def test_without_a_credential_nothing_is_answered(service, method, path, header):
    headers = {} if header is None else {"Authorization": header.encode()}
    body = SOUND[path] if method == "POST" else None
    refused(service.ask(method, path, body, headers), 401)
    assert service.backend.asked == []


@pytest.mark.parametrize("credential", ["MUNGE:AAAA:", "x" * 20_000, "MUNGE:" + "A" * 9000 + ":"])
def test_a_bad_credential_is_refused(service, credential):
    refused(service.ask("GET", "/v1/quota", headers={"Authorization": f"MUNGE {credential}"}), 401)


def test_a_credential_works_once(service):
    credential = service.munge.encode(signed_payload("GET", "/v1/quota", b""))
    headers = {"Authorization": f"MUNGE {credential}"}
    assert service.ask("GET", "/v1/quota", headers=headers)[0] == 200
    refused(service.ask("GET", "/v1/quota", headers=headers), 401, "eplayed")


@pytest.mark.parametrize(
    "made_for",
    [
        ("POST", "/v1/quota/grants", SOUND["/v1/quota/grants"].replace(b"5", b"6")),
        ("POST", "/v1/quota/grants", b""),
        ("POST", "/v1/quota/grants?x=1", SOUND["/v1/quota/grants"]),
        ("POST", "/v1/jobs", SOUND["/v1/quota/grants"]),
        ("GET", "/v1/quota/grants", SOUND["/v1/quota/grants"]),
    ],
)
def test_a_credential_fits_the_request_it_was_made_for_only(service, made_for):
    body = SOUND["/v1/quota/grants"]
    answer = service.ask("POST", "/v1/quota/grants", body, signed=made_for)
    refused(answer, 401, "made for another request")
    assert service.backend.asked == []


def test_another_query_is_another_request(service):
    made_for = ("GET", "/v1/jobs?user=ada", b"")
    refused(service.ask("GET", "/v1/jobs?user=ben", signed=made_for), 401, "another request")
    assert service.ask("GET", "/v1/jobs?user=ada", signed=made_for)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs?job=seven",
        "/v1/jobs?job=-1",
        "/v1/jobs?since_at=1e3",
        f"/v1/jobs?until_at={10**30}",
        "/v1/queue?all=perhaps",
        "/v1/queue?gpu_limit_w=0",
        "/v1/queue?gpu_limit_w=some",
        "/v1/audit?start=5",
        "/v1/audit?start=-5&end=9",
    ],
)
def test_a_malformed_question_is_refused_in_one_line(service, path):
    refused(service.signed("GET", path), 400, "query.")
    assert service.backend.asked == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/readings", b""),
        ("/v1/readings", b"not json"),
        ("/v1/readings", b"\xff\xfe"),
        ("/v1/readings", b"[]"),
        ("/v1/readings", b"[" * 100_000),
        ("/v1/readings", b'{"segments": 5}'),
        ("/v1/readings", b'{"segments": [], "more": []}'),
        ("/v1/readings", b'{"node": []}'),
        ("/v1/readings", b'{"node": {"cluster": "lab", "name": "n1", "jobs": [[7]]}}'),
        ("/v1/readings", b'{"node": {"cluster": "lab", "name": "n1", "jobs": [[7, -1]]}}'),
        ("/v1/readings", b'{"node": {"cluster": "lab", "name": "n1", "jobs": [["7", 0.5]]}}'),
        ("/v1/readings", json.dumps({"segments": [0] * 10_001}).encode()),
        ("/v1/jobs", b"{}"),
        ("/v1/jobs", b'{"cluster": "lab", "job_id": 0, "directives": {}}'),
        ("/v1/jobs", b'{"cluster": "lab", "job_id": 1e30, "directives": {}}'),
        ("/v1/jobs", b'{"cluster": "lab", "job_id": 7, "directives": []}'),
        ("/v1/jobs", b'{"cluster": "lab", "job_id": 7, "directives": {"colour": 1}}'),
        ("/v1/jobs", b'{"cluster": "lab", "job_id": 7, "directives": {"max_delay_s": 0.5}}'),
        ("/v1/jobs", b'{"cluster": "lab", "job_id": 7, "directives": {"deadline_at": NaN}}'),
        ("/v1/jobs", b'{"cluster": "lab", "job_id": 7, "directives": {"start_now": "no"}}'),
        ("/v1/jobs", b'{"cluster": "lab", "job_id": 7, "directives": {"\\ud800\\n": 1}}'),
        ("/v1/jobs", b'{"cluster": "\\ud800", "job_id": 7, "directives": {}}'),
        ("/v1/placement", b'{"clusters": "lab"}'),
        ("/v1/placement", b'{"clusters": ["\\ud800"]}'),
        ("/v1/placement", json.dumps({"clusters": ["lab"] * 101}).encode()),
        ("/v1/placement", b'{"job": []}'),
        ("/v1/placement", b'{"clusters": ["lab"], "partitions": ["old"]}'),
        ("/v1/placement", b'{"partitions": "old"}'),
        ("/v1/placement", b'{"job": {"tasks": 0.5}}'),
        ("/v1/placement", b'{"job": {"time_limit_s": NaN}}'),
        ("/v1/placement", b'{"job": {"colour": 1}}'),
        ("/v1/placement", b'{"job": {"name": "\\ud800"}}'),
        ("/v1/placement", b'{"directives": {"start_now": "no"}}'),
        ("/v1/quota/grants", b'{"subject": "user:ada", "mg": 5}'),
        ("/v1/quota/grants", b'{"subject": "user:ada", "mg": 5, "reason": "\\udfff"}'),
        ("/v1/quota/grants", b'{"subject": "user:ada", "mg": 5, "reason": ""}'),
        ("/v1/quota/grants", b'{"subject": "user:ada", "mg": 0.5, "reason": "x"}'),
        ("/v1/quota/grants", b'{"subject": "user:ada", "mg": NaN, "reason": "x"}'),
        ("/v1/quota/grants", b'{"subject": "user:ada", "mg": 1' + b"0" * 30 + b', "reason": "x"}'),
    ],
)
def test_a_malformed_document_is_refused_in_one_line(service, path, body):
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    refused(service.signed("POST", path, body, headers), 400)
    assert service.backend.asked == []


@pytest.mark.parametrize("path", ["/v1/audit", "/v1/shadow"])
def test_a_period_of_no_time_is_refused(service, path):
    refused(service.signed("GET", f"{path}?start=9&end=9"), 400, "before it starts")
    assert service.backend.asked == []


def test_a_document_is_bounded(service):
    length = {"Content-Length": str(MAX_BODY + 1)}
    refused(service.ask("POST", "/v1/readings", headers=length), 413, str(MAX_BODY))


def test_the_client_hears_that_a_document_is_too_large(service):
    """Though the daemon answers and closes while most of it is still to be sent."""
    for _ in range(3):
        with pytest.raises(TooLargeError):
            service.client.post("/v1/readings", {"segments": ["x" * MAX_BODY]})
    assert service.backend.asked == []


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_a_document_states_its_length(service, method):
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    try:
        connection.request(method, "/v1/readings", iter([b"{}"]), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})  # fmt: skip
        response = connection.getresponse()
        refused((response.status, json.loads(response.read())), 411, "states its length")
    finally:
        connection.close()


def test_a_length_that_is_none_is_refused(service):
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as raw:
        raw.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 4")


def test_other_paths_and_methods_are_said_to_be_none(service):
    refused(service.ask("GET", "/"), 404)
    refused(service.ask("GET", "/v2/jobs"), 404)
    refused(service.ask("GET", "/docs"), 404)
    refused(service.ask("DELETE", "/v1/jobs"), 405)
    refused(service.ask("POST", "/v1/health", b"{}"), 405)


@pytest.mark.parametrize(
    ("error", "status", "seen_as"),
    [
        (RequestError("no such\nmonth"), 400, RequestError),
        (AuthenticationError("who?"), 401, ForbiddenError),
        (ForbiddenError("not yours"), 403, ForbiddenError),
        (LedgerError("it is locked"), 503, DaemonError),
        (ExternalError("slurmctld sleeps"), 503, DaemonError),
        (RequestError("quoting \ud800"), 400, RequestError),
    ],
)
def test_errors_of_the_services_become_one_line_and_the_right_class(
    service, error, status, seen_as
):
    service.backend.error = error
    refused(service.signed("GET", "/v1/quota"), status, str(error).split()[0])
    with pytest.raises(seen_as) as caught:
        service.client.get("/v1/quota")
    assert type(caught.value) is seen_as


def test_a_fault_of_ours_is_logged_and_says_nothing_of_itself(service, caplog):
    service.backend.error = ZeroDivisionError("secret")
    with caplog.at_level(logging.ERROR):
        refused(service.signed("GET", "/v1/quota"), 500, "a fault in the daemon; see its log")
    assert "secret" in caplog.text
    with pytest.raises(DaemonError, match="a fault in the daemon"):
        service.client.get("/v1/quota")


def test_the_openapi_document_lists_every_route(service):
    status, document = service.ask("GET", "/openapi.json")
    assert status == 200
    assert document["openapi"].startswith("3.")
    assert document["info"]["title"] == "carbonsched"
    routes = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    assert routes == {*SIGNED, ("GET", "/v1/health")}
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["description"]
            assert "200" in operation["responses"]
    for reference in references(document):
        assert reference.rpartition("/")[2] in document["components"]["schemas"]


def references(node):
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)
