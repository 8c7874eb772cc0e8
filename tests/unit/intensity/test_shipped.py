from __future__ import annotations

from itertools import pairwise

from carbonsched.intensity import shipped
from carbonsched.intensity.records import CsvRecords
from carbonsched.intensity.values import parse_instant

HOUR = 3600
RECORD = CsvRecords(name="shipped", actual=shipped.actual(), forecasts=shipped.forecasts()).read()


def test_the_year_2021_is_whole():
    start, end = parse_instant("2021-01-01T00:00Z"), parse_instant("2022-01-01T00:00Z")
    assert len(RECORD.actual) == 8760
    assert RECORD.actual[0].start_at == start
    assert RECORD.actual[-1].end_at == end
    assert all(a.end_at == b.start_at for a, b in pairwise(RECORD.actual))
    assert RECORD.actual[0].mg_per_kwh == 421_760


def test_every_forecast_has_its_96_hours_and_one_day_is_missing():
    days = {issue.issued_at for issue in RECORD.issues}
    assert len(RECORD.issues) == len(days) == 180
    for issue in RECORD.issues:
        assert len(issue.points) == 96
        assert issue.points[0].start_at == issue.issued_at
        assert issue.points[-1].end_at == issue.issued_at + 96 * HOUR
    missing = parse_instant("2021-12-05T00:00Z")
    assert missing not in days
    assert {missing - 24 * HOUR, missing + 24 * HOUR} <= days


def test_the_forecasts_are_forecasts_and_fairly_good_ones():
    actual = {point.start_at: point.mg_per_kwh for point in RECORD.actual}
    errors = [
        abs(point.mg_per_kwh - actual[point.start_at]) / actual[point.start_at]
        for issue in RECORD.issues
        for point in issue.points[:24]
    ]
    mean = sum(errors) / len(errors)
    assert 0.07 < mean < 0.075  # 7.2 % on the first day


def test_the_notice_and_the_size():
    folder = shipped.actual().parent
    notice = (folder / "NOTICE").read_text()
    for word in ("aamyli/CarbonCast", "Apache License 2.0", "What was changed", "ENTSO-E"):
        assert word in notice
    assert sum(path.stat().st_size for path in folder.iterdir()) < 200_000
    for path in (shipped.actual(), shipped.forecasts()):
        assert path.read_bytes()[3:8] == bytes(5)  # gzip: no name, no time
