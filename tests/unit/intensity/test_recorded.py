"""CSV and Parquet tables of recorded intensity."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

from carbonsched.errors import RequestError
from carbonsched.intensity.recorded import read_actual, read_issues

AT = 1_625_097_600  # 2021-07-01T00:00Z
ACTUAL = """zone,basis,t,ci
DE,direct,2021-07-01 01:00:00+00:00,310.5
DE,direct,2021-07-01 00:00:00+00:00,300
DE,direct,2021-07-01 03:00:00+00:00,
DE,lifecycle,2021-07-01T00:00Z,400
SE,direct,2021-07-01T00:00Z,20
"""
ISSUES = """valid,forecast,issued,zone,basis,lead_h
2021-07-01 00:00:00+00:00,290,2021-07-01 00:00:00+00:00,DE,direct,0
2021-07-01 01:00:00+00:00,291,2021-07-01 00:00:00+00:00,DE,direct,1
2021-07-01 00:00:00+00:00,999,2021-07-01 00:00:00+00:00,DE,direct,0
2021-06-30 00:00:00+00:00,280,2021-06-30 00:00:00+00:00,DE,direct,0
"""


def written(tmp_path, text, name="x.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_each_zone_and_basis_is_a_series_of_its_own(tmp_path):
    found = read_actual(written(tmp_path, ACTUAL))
    assert set(found) == {("DE", "direct"), ("DE", "lifecycle"), ("SE", "direct")}
    series = found["DE", "direct"]
    assert series.start_at == AT
    assert np.array_equal(series.values, [300, 310.5, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(found["DE", "lifecycle"].values, [400])


def test_issues_come_in_order_and_a_repeated_row_is_dropped(tmp_path):
    found = read_issues(written(tmp_path, ISSUES))["DE", "direct"]
    assert [one.issued_at for one in found.issues] == [AT - 86_400, AT]
    assert np.array_equal(found.issues[1].hours.values, [290, 291])
    assert found.repeated == 1


def test_naive_times_are_utc_and_seconds_are_taken(tmp_path):
    for time in ("2021-07-01 00:00:00", "2021-07-01T02:00:00+02:00", str(AT)):
        found = read_actual(written(tmp_path, f"start,g_per_kwh\n{time},7\n"))
        assert found["", ""].start_at == AT


def test_half_hours_are_averaged_and_half_an_hour_is_missing(tmp_path):
    rows = [f"{AT + 1800 * index},{10 + index}" for index in range(5)]
    found = read_actual(written(tmp_path, "\n".join(["t,ci", *rows])))["", ""]
    assert np.array_equal(found.values, [10.5, 12.5, np.nan], equal_nan=True)


def test_a_series_may_change_its_resolution_from_day_to_day(tmp_path):
    quarters = [f"{AT + 900 * index},{10 + index % 4}" for index in range(96)]
    hours = [f"{AT + 86_400 + 3600 * index},20" for index in range(24)]
    found = read_actual(written(tmp_path, "\n".join(["t,ci", *quarters, *hours])))["", ""]
    assert np.array_equal(found.values, [11.5] * 24 + [20] * 24)


def test_an_issue_has_its_own_minutes_and_resolution(tmp_path):
    rows = [
        f"{AT + day * 86_400},{AT + day * 86_400 + minute * 60 + 3600 * lead},{100 + day}"
        for day, minute in enumerate((0, 15, 30))
        for lead in range(4)
    ]
    rows += [f"{AT + 3 * 86_400},{AT + 3 * 86_400 + 1800 * index},7" for index in range(8)]
    issues = read_issues(written(tmp_path, "\n".join(["issued,valid,forecast", *rows])))["", ""]
    told = [list(one.hours.values) for one in issues.issues]
    assert told == [[100] * 4, [101] * 4, [102] * 4, [7] * 4]


def test_a_zone_may_be_called_na(tmp_path):
    text = "zone,t,ci\nNA,2021-07-01T00:00Z,5\nNA,2021-07-01T01:00Z,NA\n"
    (found,) = read_actual(written(tmp_path, text)).items()
    assert found[0] == ("NA", "")
    assert np.array_equal(found[1].values, [5, np.nan], equal_nan=True)


def test_parquet_and_compressed_csv_say_the_same(tmp_path):
    plain = written(tmp_path, ISSUES)
    packed = tmp_path / "x.csv.gz"
    packed.write_bytes(gzip.compress(ISSUES.encode()))
    parquet = tmp_path / "x.parquet"
    table = pd.read_csv(plain)
    for name in ("valid", "issued"):
        table[name] = pd.to_datetime(table[name], utc=True)
    table.to_parquet(parquet)
    expected = read_issues(plain)["DE", "direct"]
    for path in (packed, parquet):
        found = read_issues(path)["DE", "direct"]
        assert found.repeated == 1
        assert [one.issued_at for one in found.issues] == [one.issued_at for one in expected.issues]
        assert np.array_equal(found.issues[1].hours.values, [290, 291])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "neither CSV nor Parquet"),
        ("zone,t,ci\n", "no rows"),
        ("zone,t,grams\nDE,2021-07-01,1\n", "no column 'ci' or 'g_per_kwh' or 'actual'; it has: "),
        ("zone,ci\nDE,1\n", "no column 't' or 'start' or 'valid'"),
        ("t,ci\nyesterday,1\n", "column 't'"),
        ("t,ci\n,1\n2021-07-01,2\n", "a time is missing"),
        ("t,ci\n2021-07-01,much\n", "column 'ci' is not all numbers"),
        ("t,ci\n1021-07-01,1\n2021-07-01,1\n", "one of them must be wrong"),
        ("a\n1\n1,2,3\n", "neither CSV nor Parquet"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_file(tmp_path, text, says):
    with pytest.raises(RequestError) as caught:
        read_actual(written(tmp_path, text))
    assert says in str(caught.value)
    assert "x.csv: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_torn_parquet_file_and_none_at_all(tmp_path):
    torn = written(tmp_path, "PAR1 and then nothing", "x.parquet")
    for path, says in ((torn, "arquet"), (tmp_path / "none.csv", "No such file"), (tmp_path, "")):
        with pytest.raises(RequestError) as caught:
            read_issues(path)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)
