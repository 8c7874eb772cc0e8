from __future__ import annotations

import gzip
import logging
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonsched.errors import ProviderError, ProviderMalformedError, ProviderUnavailableError
from carbonsched.intensity.records import CsvRecords
from carbonsched.model.intensity import Point, StepSeries

HOUR = 3600
T0 = 1795168800  # 2026-11-20T10:00Z


def written(folder, text, name="actual.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(folder, text, **more):
    return CsvRecords(name="file", actual=written(folder, text), **more).read()


def test_a_site_file_with_every_known_oddity(fixtures, caplog):
    with caplog.at_level(logging.WARNING):
        record = CsvRecords(
            name="file",
            actual=fixtures / "half-hours.csv",
            forecasts=fixtures / "issued.csv",
        ).read()
    ten = 1795168800  # 2026-11-20T10:00Z
    assert record.actual == (
        Point(ten, ten + 1800, 120_000),
        Point(ten + 1800, ten + 3600, 118_500),
        Point(ten + 7200, ten + 9000, 101_000),
        Point(ten + 9000, ten + 10800, 99_000),
    )
    assert "2 rows are empty or zero" in caplog.text
    assert [issue.issued_at for issue in record.issues] == [ten - 10 * HOUR, ten - 4 * HOUR]
    assert record.issues[0].points[1] == Point(ten - 9 * HOUR, ten - 8 * HOUR, 100_000)
    assert record.issues[1].points == (Point(ten - 4 * HOUR, ten - HOUR, 90_000),)


def test_compressed_is_recognised_by_its_bytes_not_its_name(tmp_path):
    text = f"start,g_per_kwh\n{T0},100\n{T0 + HOUR},200\n"
    assert read(tmp_path, gzip.compress(text.encode())) == read(tmp_path, text)


def test_a_byte_order_mark_blank_lines_and_dos_line_ends_do_no_harm(tmp_path):
    text = f"\ufeffStart, g_per_kwh\r\n{T0},100\r\n\r\n,\r\n{T0 + HOUR},200\r\n"
    assert [point.mg_per_kwh for point in read(tmp_path, text).actual] == [100_000, 200_000]


def test_a_period_without_end_lasts_as_usual_and_gaps_stay_gaps(tmp_path):
    starts = [0, 1, 2, 3, 7, 8]
    rows = "".join(f"{T0 + n * HOUR},10\n" for n in starts)
    actual = read(tmp_path, "start,g_per_kwh\n" + rows).actual
    assert all(point.end_at - point.start_at == HOUR for point in actual)
    assert StepSeries(actual).mean(T0, T0 + 8 * HOUR) is None


def test_a_shorter_distance_cuts_a_period_short(tmp_path):
    rows = "".join(f"{T0 + n},10\n" for n in (0, HOUR, 2 * HOUR, 2 * HOUR + 900))
    ends = [point.end_at - T0 for point in read(tmp_path, "start,g_per_kwh\n" + rows).actual]
    assert ends == [HOUR, 2 * HOUR, 2 * HOUR + 900, 3 * HOUR + 900]


def test_a_zone_column_picks_its_rows(tmp_path):
    text = f"zone,start,end,g_per_kwh\nDE,{T0},{T0 + 9},1\nSE,{T0},{T0 + 9},2\n"
    assert read(tmp_path, text, zone="SE").actual[0].mg_per_kwh == 2000
    with pytest.raises(ProviderMalformedError, match="there is no row for zone FR"):
        read(tmp_path, text, zone="FR")
    with pytest.raises(ProviderMalformedError, match="line 3: another row tells something else"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: there is no column 'start': the first line names start,g_per_kwh"),
        ("start,value\n", "line 1: there is no column 'g_per_kwh'"),
        ("start,g_per_kwh,start\n", "line 1: two columns have the same name"),
        ("start,g_per_kwh\n", "there is no row"),
        ("start,g_per_kwh\n2021-01-01T00:00,1\n", "line 2: '2021-01-01T00:00' has no time zone"),
        (f"start,g_per_kwh\n{T0},1\n{T0 + 60},x\n", "line 3: 'x' is not a number"),
        (f"start,g_per_kwh\n{T0},-1\n", "line 2: '-1' g/kWh is negative"),
        (f"start,g_per_kwh\n{T0},400000\n", "line 2: '400000' g/kWh is more than any grid"),
        (f"start,g_per_kwh\n{T0},1\n", "line 2: how long is the period? add a column 'end'"),
        (f"start,g_per_kwh\n{T0},1,2\n", "line 2: 3 cells where the first line has 2"),
        (f"start,g_per_kwh\n{T0}\n", "line 2: 1 cells"),
        (f"start,g_per_kwh,end\n{T0},1,{T0}\n", "line 2: the period ends before it starts"),
        (
            f"start,g_per_kwh\n{T0},1\n{T0 + 60},2\n{T0},3\n",
            "line 4: another row tells something else of that time",
        ),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"\x1f\x8b\x08", "the gzip file is damaged or torn"),
        (
            gzip.compress(b"start,g_per_kwh\n" * 99, mtime=0)[:-9],
            "the gzip file is damaged or torn",
        ),
        (b"start,g_per_kwh\n" + b"9" * 200_000, "line 2: field larger than field limit"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_the_place(tmp_path, text, message):
    with pytest.raises(ProviderMalformedError) as caught:
        read(tmp_path, text)
    said = str(caught.value)
    assert said.startswith(f"file: {tmp_path}/actual.csv")
    assert message in said
    assert "\n" not in said


def test_a_file_that_is_not_there_or_cannot_be_read(tmp_path):
    absent = CsvRecords(name="file", actual=tmp_path / "none.csv")
    with pytest.raises(ProviderUnavailableError, match=r"none\.csv: there is no such file"):
        absent.read()
    with pytest.raises(ProviderUnavailableError, match="is not a regular file"):
        CsvRecords(name="file", actual=tmp_path).read()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ProviderUnavailableError, match="is not a regular file"):
        CsvRecords(name="file", actual=tmp_path / "pipe").read()


def test_a_file_is_read_again_when_it_changes_and_only_then(tmp_path):
    text = f"start,g_per_kwh\n{T0},1\n{T0 + 60},2\n"
    records = CsvRecords(name="file", actual=written(tmp_path, text))
    first = records.read()
    assert records.read() is first
    written(tmp_path, text + "torn")
    with pytest.raises(ProviderMalformedError, match="line 4"):
        records.read()
    written(tmp_path, text + f"{T0 + 120},3\n")
    assert len(records.read().actual) == 3


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=60),
        st.lists(
            st.tuples(
                st.sampled_from([str(T0 + n * 60) for n in range(6)] + ["", "x", "2021-01-01"]),
                st.sampled_from(["1", "2.5", "0", "", "nan", "-1", '"', "9e9"]),
            ),
            max_size=8,
        ).map(lambda rows: "start,g_per_kwh\n" + "".join(f"{a},{b}\n" for a, b in rows)),
    )
)
def test_any_file_is_a_record_or_a_provider_error(tmp_path, content):
    try:
        record = read(tmp_path, content)
    except ProviderError:
        return
    assert StepSeries(record.actual).points == record.actual
    assert all(point.mg_per_kwh > 0 for point in record.actual)
