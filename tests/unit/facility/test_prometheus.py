from __future__ import annotations

import pytest

from carbonsched.errors import (
    ProviderMalformedError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from carbonsched.facility.prometheus import MOST_STEPS, PrometheusPue
from carbonsched.model.pue import PuePoint
from carbonsched.ports import PueTold

AT = 1_800_000_000  # a multiple of five minutes


@pytest.fixture
def reader(prometheus):
    return PrometheusPue(url=f"{prometheus.url}/", query='pue{hall="1"}', step_s=300, timeout_s=5.0)


def test_a_value_counts_for_the_step_that_ends_with_it(prometheus, reader):
    prometheus.value = lambda at: f"1.{at // 300 % 9 + 1}"
    told = reader.read(AT + 1, AT + 900)
    source = f"prometheus {prometheus.address}"
    assert told.points == tuple(
        PuePoint(at - 300, at, 1_000_000 + (at // 300 % 9 + 1) * 100_000, source)
        for at in (AT + 300, AT + 600, AT + 900)
    )
    assert told.fault is None
    assert prometheus.asked == [{
        "path": "/api/v1/query_range", "query": 'pue{hall="1"}',
        "start": str(AT + 300), "end": str(AT + 900), "step": "300",
    }]  # fmt: skip


def test_the_step_under_way_is_not_asked_for(prometheus, reader):
    assert reader.read(AT, AT + 299).points == ()
    assert prometheus.asked == []
    assert reader.read(AT, AT + 599).points[-1].end_at == AT + 300


def test_one_answer_holds_what_prometheus_allows(reader):
    assert reader.most_s // 300 == MOST_STEPS < 11_000


def test_nan_and_holes_are_missing_and_what_cannot_be_is_left_out_and_said(prometheus, reader):
    values = {300: "NaN", 600: "1.2", 900: "0.97", 1200: None, 1500: "+Inf", 1800: "1.3"}
    prometheus.value = lambda at: values[at - AT]
    told = reader.read(AT, AT + 1800)
    assert [(one.start_at - AT, one.pue_ppm) for one in told.points] == [
        (300, 1_200_000), (1500, 1_300_000),
    ]  # fmt: skip
    assert told.fault == (
        f"prometheus {prometheus.address}: '0.97' is not a PUE from 1 to 3, and 1 more values:"
        " left out"
    )


def test_a_query_that_finds_nothing_tells_nothing(prometheus, reader):
    prometheus.value = lambda _at: None
    assert reader.read(AT, AT + 900) == PueTold(())


def test_several_series_are_an_error_that_names_them(prometheus, reader):
    prometheus.says(prometheus.matrix(
        ({"hall": "1", "job": "b"}, [[AT + 300, "1.2"]]), ({"hall": "2"}, [[AT + 300, "1.3"]])
    ))  # fmt: skip
    with pytest.raises(ProviderMalformedError, match="the query finds 2 series") as caught:
        reader.read(AT, AT + 300)
    assert '{hall="1", job="b"} and {hall="2"}; make it one' in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"<html>", "answered with HTML"),
        ([], "something that is not Prometheus's"),
        ({"status": "success"}, "something that is not Prometheus's"),
        ({"status": "error", "data": {}}, "something that is not Prometheus's"),
        ({"status": "success", "data": {"resultType": "vector", "result": []}}, "matrix"),
        ({"status": "success", "data": {"resultType": "matrix", "result": {}}}, "matrix"),
        (
            {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}}]}},
            "no list of values",
        ),
    ],
)
def test_what_is_not_prometheus_s_answer_is_one_line(prometheus, reader, document, words):
    prometheus.says(document)
    with pytest.raises(ProviderMalformedError, match=words):
        reader.read(AT, AT + 300)


@pytest.mark.parametrize(
    "row",
    [
        [AT + 300], [AT + 300, 1.2], [AT + 300.5, "1.2"], ["x", "1.2"], "1.2", [1e99, "1.2"],
        [AT + 301, "1.2"], [AT + 600, "1.2"],
    ],
)  # fmt: skip
def test_values_are_of_the_times_that_were_asked_for(prometheus, reader, row):
    prometheus.says(prometheus.matrix(({}, [row])))
    with pytest.raises(ProviderMalformedError, match=r"pair of time and text|was not asked"):
        reader.read(AT, AT + 300)


def test_a_query_that_prometheus_refuses_says_why(prometheus, reader):
    prometheus.says(
        {"status": "error", "errorType": "bad_data", "error": "1:5: parse error: unexpected )"}, 400
    )
    with pytest.raises(ProviderRefusedError) as caught:
        reader.read(AT, AT + 300)
    assert str(caught.value) == (
        f"prometheus {prometheus.address}: answered with status 400 (1:5: parse error: unexpected"
        " )): correct url or query of pue.prometheus"
    )


def test_silence_ends_by_the_time_limit(prometheus):
    prometheus.hangs()
    reader = PrometheusPue(url=prometheus.url, query="x", step_s=300, timeout_s=0.3)
    with pytest.raises(ProviderUnavailableError, match=r"timed out after 0.3 s"):
        reader.read(AT, AT + 300)


def test_nobody_there_is_one_line(prometheus):
    prometheus.close()
    reader = PrometheusPue(url=prometheus.url, query="x", step_s=300, timeout_s=5.0)
    with pytest.raises(ProviderUnavailableError, match="cannot be reached: Connection refused"):
        reader.read(AT, AT + 300)


def test_proxies_of_the_environment_are_not_for_what_is_inside(prometheus, reader, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert len(reader.read(AT, AT + 300).points) == 1


def test_a_password_is_in_no_report():
    reader = PrometheusPue(
        url="http://me:secret@prom:9090/base/", query="x", step_s=300, timeout_s=5
    )
    assert reader.source == "prometheus prom:9090/base"
