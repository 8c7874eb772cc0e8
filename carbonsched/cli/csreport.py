"""``csreport``: the monthly statement of a user, an account or a campaign."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from carbonsched.cli.common import Daemon, connect, guarded, note, parser
from carbonsched.errors import CarbonschedError, RequestError
from carbonsched.reports.documents import ReportDocument, read_report
from carbonsched.reports.monthly import disagreements, is_empty, month_before
from carbonsched.reports.terminal import Screen, clean

_MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])")
_FORMATS = {".html": "html", ".htm": "html", ".csv": "csv", ".json": "json", ".txt": "text"}
_EXAMPLES = """  csreport                          your statement of this month
  csreport -m last -o october.html  last month's, with charts, in one file
  csreport --campaign unet --statement
                                    the sentence for a paper's methods section"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return guarded("csreport", lambda: run(_parser().parse_args(argv), None))


def _parser() -> argparse.ArgumentParser:
    made = parser("csreport", "Show a month's energy and carbon, and where it went.", _EXAMPLES)
    made.add_argument("-m", "--month", metavar="YYYY-MM|last", help="default: the current month")
    whose = made.add_mutually_exclusive_group()
    whose.add_argument("-u", "--user", help="a user; default: yourself")
    whose.add_argument("-A", "--account", help="an account")
    whose.add_argument("--campaign", metavar="NAME", help="jobs of one campaign")
    made.add_argument(
        "--format", choices=("text", "json", "csv", "html"), help="default: by FILE's ending, text"
    )
    made.add_argument("-o", "--output", metavar="FILE", help="write there; '-' for the terminal")
    made.add_argument("--statement", action="store_true", help="only the statement for a paper")
    return made


def run(options: argparse.Namespace, daemon: Daemon | None) -> int:
    """Ask the daemon, the site's unless one is given, and print or write."""
    form = _form(options)
    document = _ask(options, daemon or connect())
    if options.statement:
        if is_empty(document) or not document["statement"]:
            raise RequestError("there is no statement: no job of that month has figures yet")
        print(clean(document["statement"]))
        return 0
    text = _rendered(document, form, to_file=options.output not in (None, "-"))
    if options.output in (None, "-"):
        sys.stdout.write(text)
    else:
        _write(Path(options.output), text)
        note(f"csreport: wrote {options.output}")
    if form in {"json", "csv"}:
        for one in disagreements(document):
            note(f"csreport: {one}")
    return 0


def _form(options: argparse.Namespace) -> str:
    if options.month not in (None, "last") and not _MONTH.fullmatch(options.month):
        raise RequestError(f"{options.month!r} is not a month; write YYYY-MM or last")
    by_ending = _FORMATS.get(Path(options.output or "").suffix.lower(), "text")
    form: str = options.format or by_ending
    if form == "html" and options.output is None and sys.stdout.isatty():
        raise RequestError("HTML with charts is some 5 MB; add -o FILE.html")
    return form


def _ask(options: argparse.Namespace, daemon: Daemon) -> ReportDocument:
    whose = {"user": options.user, "account": options.account, "campaign": options.campaign}
    month = options.month
    if month == "last":  # the site's clock and zone say which month it is
        current = read_report(daemon.get("/v1/report", **whose))
        month = month_before(current["period"]["name"])
    return read_report(daemon.get("/v1/report", month=month, **whose))


def _rendered(document: ReportDocument, form: str, *, to_file: bool) -> str:
    if form == "json":
        return json.dumps(document, indent=2) + "\n"
    if form == "csv":
        from carbonsched.reports.monthly_csv import statement_csv

        return statement_csv(document)
    if form == "html":
        from carbonsched.reports.monthly_html import statement_html

        return statement_html(document)
    from carbonsched.reports.monthly_text import statement_text

    screen = Screen() if to_file else Screen.of(sys.stdout)
    return "\n".join(statement_text(document, screen)) + "\n"


def _write(path: Path, text: str) -> None:
    """Write beside and rename, so that nobody ever reads half a report; devices directly."""
    path = path.resolve()
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}; name another file with -o") from None


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


class OutputError(CarbonschedError):
    """The report could not be written."""

    exit_status = 73


if __name__ == "__main__":
    raise SystemExit(main())
