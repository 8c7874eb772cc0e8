"""``carbonsched intensity evaluate``: how good recorded forecasts were, and how good ours is."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from carbonsched.cli.common import note, show, show_json
from carbonsched.cli.progress import progress
from carbonsched.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from carbonsched.forecasting import Hourly
    from carbonsched.intensity.recorded import Key, RecordedIssues
    from carbonsched.reports.forecasts import Scored

T = TypeVar("T")
_DAY_S = 86_400
_EPILOG = """examples:
  carbonsched intensity evaluate --actual actual.parquet --forecasts issued.parquet
  carbonsched intensity evaluate --actual a.csv --forecasts f.csv --zone DE \\
      --from 2021-10-01 --to 2021-12-28 --json

Files are CSV or Parquet: actual values with the columns zone, basis, t, ci and
forecasts with zone, basis, issued, valid, forecast; times in UTC, g/kWh.
At each issue only what was known by then is used; issues before --from warm up.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Which files, which zones, which issues, how it is shown."""
    parser.description = (
        "Judge recorded forecasts: errors by lead day, the share of hours within the 80 %\n"
        "interval, and the extra grams of jobs placed by the forecast, for the provider,\n"
        "persistence, the week's mean and carbonsched's own forecast."
    )
    parser.epilog = _EPILOG
    parser.add_argument("--actual", metavar="FILE", type=Path, required=True, help="what happened")
    parser.add_argument(
        "--forecasts", metavar="FILE", type=Path, required=True, help="what had been forecast"
    )
    parser.add_argument(
        "--zone", metavar="Z", action="append", help="this zone; may be repeated (default: all)"
    )
    parser.add_argument("--basis", metavar="B", action="append", help="this basis; default: each")
    parser.add_argument(
        "--from", dest="first", metavar="DATE", type=_date, help="first day of issue scored (UTC)"
    )
    parser.add_argument(
        "--to", dest="last", metavar="DATE", type=_date, help="last day of issue scored (UTC)"
    )
    parser.add_argument(
        "--lag", metavar="H", type=_lag, default=1, help="hours until an actual is known (1)"
    )
    parser.add_argument("--json", action="store_true", help="rows for programs")
    parser.add_argument(
        "--chart", metavar="FILE", type=Path, help="write an HTML chart that needs no network"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read, score, print."""
    from carbonsched.intensity.recorded import read_actual, read_issues
    from carbonsched.reports.forecasts import LEGEND, rows, table, write_chart

    actual = read_actual(options.actual)
    issues = read_issues(options.forecasts)
    if len(options.zone or ()) == 1:
        actual, issues = _named(options.zone[0], actual), _named(options.zone[0], issues)
    chosen = _choose(options, actual, issues)
    for key in chosen:
        if issues[key].repeated:
            note(f"{_name(key)}: {issues[key].repeated} repeated rows dropped from the forecasts")
    scored = _score(options, {key: (actual[key], issues[key]) for key in chosen})
    if options.json:
        show_json({"rows": rows(scored)})
    else:
        for index, one in enumerate(scored):
            show(["", *table(one)] if index else table(one))
        show(["", *LEGEND])
    if options.chart is not None:
        try:
            write_chart(scored, options.chart)
        except OSError as error:
            raise RequestError(f"{options.chart}: {error.strerror}; no chart written") from None
        note(f"chart: {options.chart}")
    return 0


def _named(zone: str, series: dict[Key, T]) -> dict[Key, T]:
    """A file without zones is of the one that is asked for."""
    if any(name for name, _ in series):
        return series
    return {(zone, basis): one for (_, basis), one in series.items()}


def _choose(
    options: argparse.Namespace,
    actual: Mapping[Key, Hourly],
    issues: Mapping[Key, RecordedIssues],
) -> list[Key]:
    """The series asked for, which both files must have."""
    both = [key for key in issues if key in actual]
    if not both:
        raise RequestError(
            f"no zone and basis is in both files: {options.actual} has {_names(actual)}; "
            f"{options.forecasts} has {_names(issues)}"
        )
    wrong = set(options.zone or ()) - {zone for zone, _ in both}
    if wrong:
        known = ", ".join(sorted({zone or "no zone column" for zone, _ in both}))
        raise RequestError(f"--zone {min(wrong)!r} is not in both files; they share: {known}")
    found = [
        key
        for key in both
        if (not options.zone or key[0] in options.zone)
        and (not options.basis or key[1] in options.basis)
    ]
    wrong = set(options.basis or ()) - {basis for _, basis in found}
    if wrong:
        known = ", ".join(sorted({basis or "no basis column" for _, basis in both}))
        raise RequestError(f"--basis {min(wrong)!r} is not in both files; they share: {known}")
    return found


def _score(
    options: argparse.Namespace, series: Mapping[Key, tuple[Hourly, RecordedIssues]]
) -> list[Scored]:
    from carbonsched.forecasting.evaluation import Recorded, evaluate
    from carbonsched.reports.forecasts import Scored

    found = []
    without: dict[Key, str] = {}
    wanted = {key: _scored_issues(options, issues) for key, (_, issues) in series.items()}
    with progress("evaluate", sum(len(one) for one in wanted.values())) as advance:
        for key, (actual, issues) in series.items():
            if not wanted[key]:
                without[key] = _outside(issues)
                continue
            recorded = Recorded(actual=actual, issues=issues.issues)
            scores = evaluate(recorded, wanted[key], options.lag, advance)
            if not any(score.n for score in scores):
                without[key] = (
                    "no hour has both a forecast and an actual value; "
                    "check that the two files cover the same time"
                )
                continue
            times = [issues.issues[index].issued_at for index in wanted[key]]
            found.append(
                Scored(
                    zone=key[0],
                    basis=key[1],
                    issues=len(times),
                    first=_day(times[0]),
                    last=_day(times[-1]),
                    scores=tuple(scores),
                )
            )
    _tell_of(without, asked=bool(options.zone), some=bool(found))
    return found


def _tell_of(without: Mapping[Key, str], *, asked: bool, some: bool) -> None:
    """Of series that cannot be scored; an error where they were asked for or are all there is."""
    for key, why in without.items():
        if asked or not some:
            raise RequestError(f"{_name(key)}: {why}")
        note(f"{_name(key)} is left out: {why}")


def _scored_issues(options: argparse.Namespace, issues: RecordedIssues) -> Sequence[int]:
    return [
        index
        for index, one in enumerate(issues.issues)
        if (options.first is None or one.issued_at >= options.first)
        and (options.last is None or one.issued_at < options.last + _DAY_S)
    ]


def _outside(issues: RecordedIssues) -> str:
    first, last = issues.issues[0].issued_at, issues.issues[-1].issued_at
    return f"no issue lies between --from and --to; they go from {_day(first)} to {_day(last)}"


def _name(key: Key) -> str:
    return " ".join(part for part in key if part) or "zone not named"


def _names(keys: Mapping[Key, object]) -> str:
    return ", ".join(_name(key) for key in list(keys)[:12])


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def _date(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; write 2021-10-01") from None
    if at.tzinfo is not None or (at.hour, at.minute, at.second) != (0, 0, 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a day; write 2021-10-01 (UTC)")
    return int(at.replace(tzinfo=UTC).timestamp())


def _lag(text: str) -> int:
    if not text.isdecimal() or int(text) > 48:
        raise argparse.ArgumentTypeError("whole hours from 0 to 48")
    return int(text)
