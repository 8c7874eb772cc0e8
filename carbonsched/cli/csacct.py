"""``csacct``: energy and carbon of jobs, and the evidence for them."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from carbonsched.cli.common import (
    Daemon,
    add_table_options,
    connect,
    guarded,
    note,
    parser,
    show,
    show_json,
)
from carbonsched.errors import RequestError
from carbonsched.reports import states
from carbonsched.reports.documents import JobRow, JobsDocument, read_jobs
from carbonsched.reports.evidence import chain
from carbonsched.reports.fields import as_pipes, as_table, choose, field_help
from carbonsched.reports.jobs import (
    DEFAULT,
    FIELDS,
    PROVISIONAL_NOTE,
    id_base,
    in_state,
    named,
    read_id,
)
from carbonsched.reports.moments import parse_time, stamp
from carbonsched.reports.terminal import Screen

_EXAMPLES = """  csacct                         your jobs since midnight
  csacct -S 2026-11-01 -P        this month's, for a spreadsheet: joules and milligrams
  csacct -j 1204 --evidence      every reading behind job 1204's charge"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return guarded("csacct", lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    options = _parser().parse_args(argv)
    if options.helpformat or options.format == "help":
        print(field_help(FIELDS))
        return 0
    return run(options, connect())


def _parser() -> argparse.ArgumentParser:
    made = parser("csacct", "Show the energy and carbon of your jobs since midnight.", _EXAMPLES)
    made.add_argument("-u", "--user", help="another user's jobs (operators)")
    made.add_argument("-a", "--allusers", action="store_true", help="everybody's (operators)")
    made.add_argument("-j", "--jobs", metavar="JOB[,JOB]", help="only these jobs, at any time")
    made.add_argument("-S", "--starttime", metavar="TIME", help="jobs that were there after this")
    made.add_argument("-E", "--endtime", metavar="TIME", help="jobs that were there before this")
    made.add_argument("-s", "--state", metavar="STATE[,STATE]", help="only in these states")
    add_table_options(made)
    made.add_argument("--evidence", action="store_true", help="with -j: every reading and sum")
    return made


def run(options: argparse.Namespace, daemon: Daemon) -> int:
    """Ask the daemon and print."""
    now = int(time.time())
    document = _ask(options, daemon, now)
    if options.json:
        show_json(document)
        return 0
    jobs, now = document["jobs"], document["now"]
    screen = Screen.of(sys.stdout)
    if options.evidence:
        show("\n\n".join("\n".join(chain(job, screen)) for job in jobs).splitlines())
        return 0
    fields = choose(FIELDS, options.format or DEFAULT)
    header = not options.noheader
    if options.parsable2:
        show(as_pipes(fields, jobs, now, header=header))
        return 0
    show(as_table(fields, jobs, now, screen, header=header))
    if not options.noheader:
        _footnotes(options, jobs, now)
    return 0


def _footnotes(options: argparse.Namespace, jobs: list[JobRow], now: int) -> None:
    if not jobs:
        since = stamp(_since(options, now))
        note(f"No jobs since {since}; 'csacct -S 2026-11-01' looks further back.")
    elif any(job["provisional"] and job["mg"] is not None for job in jobs):
        note(PROVISIONAL_NOTE)


def _ask(options: argparse.Namespace, daemon: Daemon, now: int) -> JobsDocument:
    ids = _job_ids(options.jobs)
    if options.evidence and not ids:
        raise RequestError("--evidence needs a job: csacct -j JOB --evidence")
    wanted_states = _states(options.state)
    since_at = _since(options, now)
    until_at = parse_time(options.endtime, now) if options.endtime else None
    if until_at is not None and until_at <= since_at:
        raise RequestError("the end time lies before the start time; check -S and -E")
    answers = []
    for one in dict.fromkeys(id_base(one) for one in ids) if ids else (None,):
        answer = daemon.get(
            "/v1/jobs",
            user=options.user,
            job=one,
            since_at=since_at,
            until_at=until_at,
            all=1 if options.allusers else None,
            evidence=1 if options.evidence else None,
        )
        answers.append(read_jobs(answer))
    found = [job for answer in answers for job in answer["jobs"]]
    _require_found(ids, found)
    rows = [job for job in found if in_state(job, wanted_states) and _asked(job, ids)]
    return {**answers[0], "jobs": rows}


def _asked(job: JobRow, ids: list[str]) -> bool:
    return not ids or any(named(job, one) for one in ids)


def _require_found(ids: list[str], jobs: list[JobRow]) -> None:
    for one in ids:
        if not any(named(job, one) for job in jobs):
            raise RequestError(
                f"job {one} is not among the jobs you may see; 'csacct -S' lists them"
            )


def _job_ids(text: str | None) -> list[str]:
    return [read_id(one.strip()) for one in text.split(",")] if text is not None else []


def _since(options: argparse.Namespace, now: int) -> int:
    if options.starttime:
        return parse_time(options.starttime, now)
    return 0 if options.jobs else parse_time("midnight", now)


def _states(text: str | None) -> set[str]:
    wanted = set()
    for word in text.split(",") if text else ():
        state = states.long(word.strip())
        if state is None:
            raise RequestError(f"{word.strip()!r} is not a job state; write COMPLETED or CD")
        wanted.add(state)
    return wanted


if __name__ == "__main__":
    raise SystemExit(main())
