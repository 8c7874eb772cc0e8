from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.errors import ProviderError, ProviderMalformedError, ProviderUnavailableError
from carbonsched.facility.files import PueFile
from carbonsched.facility.values import pue_ppm
from carbonsched.model.pue import PuePoint

HEAD = "start,end,pue\n"
JANUARY, FEBRUARY, MARCH = 1_767_225_600, 1_769_904_000, 1_772_323_200
GOOD = (
    "\ufeffPUE, start,note,end\n"
    "1.31,2026-01-01T00:00Z,x,2026-02-01T00:00Z\n\n"
    f"1.2,{FEBRUARY},x,{MARCH}\n"
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pue.csv"


def read(path, text):
    path.write_text(text, encoding="utf-8")
    return PueFile(path).read(0, 2 * 10**9)


def test_columns_stand_in_any_order_and_times_in_both_forms(path):
    told = read(path, GOOD)
    source = f"file {path}"
    assert told.points == (
        PuePoint(JANUARY, FEBRUARY, 1_310_000, source), PuePoint(FEBRUARY, MARCH, 1_200_000, source)
    )  # fmt: skip
    assert told.fault is None


def test_periods_that_touch_are_told_whole(path):
    path.write_text(GOOD, encoding="utf-8")
    reader = PueFile(path)
    assert [one.start_at for one in reader.read(JANUARY + 9, FEBRUARY).points] == [JANUARY]
    assert len(reader.read(FEBRUARY - 1, FEBRUARY + 1).points) == 2
    assert reader.read(MARCH, MARCH + 1).points == ()


def test_the_file_is_read_again_when_it_changes(path):
    path.write_text(GOOD, encoding="utf-8")
    reader = PueFile(path)
    first = reader.read(0, MARCH)
    assert reader.read(0, MARCH).points[0] is first.points[0]
    path.write_text(GOOD.replace("1.31", "1.33"), encoding="utf-8")
    os.utime(path, ns=(1, 1))
    assert reader.read(0, MARCH).points[0].pue_ppm == 1_330_000
    path.unlink()
    with pytest.raises(ProviderUnavailableError, match=r"pue.csv: No such file"):
        reader.read(0, MARCH)


def test_rows_that_cannot_be_are_left_out_and_said(path):
    told = read(path, (
        HEAD + "2026-01-01T00:00Z,2026-01-02T00:00Z,0.9\n2026-01-02T00:00Z,2026-01-03T00:00Z,\n"
        "2026-01-03T00:00Z,2026-01-04T00:00Z,1.2\n2026-01-05T00:00,2026-01-06T00:00Z,1.2\n"
        "2026-01-07T00:00Z,2026-01-06T00:00Z,1.2\n2026-01-08T00:00Z\n"
    ))  # fmt: skip
    assert [one.pue_ppm for one in told.points] == [1_200_000]
    assert told.fault == (
        f"file {path}, line 2: '0.9' is not a PUE from 1 to 3, and 3 more rows: left out"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: names not one column 'start': write start,end,pue"),
        ("start,pue\n", "not one column 'end'"),
        ("start,end,pue,pue\n", "not one column 'pue'"),
        (HEAD + "100000000,100000300,1.2\n100000100,100000400,1.3\n", "line 3: another row tells"),
        (HEAD + '"', "line 2"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_whole(path, text, words):
    if text.endswith('"'):
        text += "x" * 200_000  # a cell larger than any that is meant
    with pytest.raises(ProviderMalformedError, match=words):
        read(path, text)


def test_what_is_no_readable_file(tmp_path, path):
    with pytest.raises(ProviderUnavailableError, match="not a regular file"):
        PueFile(tmp_path).read(0, 1)
    path.write_bytes(b"start,end,pue\n\xff")
    with pytest.raises(ProviderMalformedError, match="not UTF-8"):
        PueFile(path).read(0, 1)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_one_line(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes((HEAD + text).encode("utf-8", "surrogatepass"))
    told, refusal = (), ""
    try:
        told = PueFile(path).read(0, 2 * 10**9).points
    except ProviderError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert all(10**6 <= one.pue_ppm <= 3 * 10**6 for one in told)


@given(st.integers(10**6, 3 * 10**6))
def test_a_pue_comes_back_exactly(ppm):
    assert pue_ppm(f" {ppm // 10**6}.{ppm % 10**6:06d} ") == ppm


@pytest.mark.parametrize(
    "text", ["0.999999", "3.000001", "1e999", "-1.2", "1,2", "x", "inf", "\u0661.2"]
)
def test_what_is_no_pue(text):
    with pytest.raises(ValueError, match="is not a PUE from 1 to 3"):
        pue_ppm(text)


@pytest.mark.parametrize("text", ["", "NaN", "null", " - "])
def test_what_is_missing(text):
    assert pue_ppm(text) is None
