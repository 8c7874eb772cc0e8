"""``csqueue``: the queue, with when each job will start, why, and what it is expected to emit."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from carbonsched.cli.common import (
    Daemon,
    add_table_options,
    connect,
    guarded,
    parser,
    show,
    show_json,
)
from carbonsched.errors import RequestError
from carbonsched.reports.fields import as_pipes, as_table, choose, field_help
from carbonsched.reports.jobs import names
from carbonsched.reports.queue import DEFAULT, FIELDS, PREDICTED
from carbonsched.reports.queue_documents import QueueDocument, QueueJob, read_queue
from carbonsched.reports.queue_words import explained
from carbonsched.reports.terminal import Screen

_EXAMPLES = """  csqueue                 your jobs
  csqueue --why -j 1204   why this job starts when it does
  csqueue -a -P -n        all jobs, for a script (operators)"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return guarded("csqueue", lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    options = _parser().parse_args(argv)
    if options.helpformat or options.format == "help":
        print(field_help(FIELDS))
        return 0
    return run(options, connect())


def _parser() -> argparse.ArgumentParser:
    made = parser("csqueue", "Show your jobs in the queue, planned starts and carbon.", _EXAMPLES)
    made.add_argument("-u", "--user", help="another user's jobs (operators)")
    made.add_argument("-a", "--all", action="store_true", help="everybody's jobs (operators)")
    made.add_argument("-j", "--jobs", metavar="JOB[,JOB]", help="only these jobs")
    made.add_argument("-M", "--clusters", metavar="NAME[,NAME]", help="only on these clusters")
    made.add_argument("--why", action="store_true", help="each decision in sentences")
    made.add_argument("--predicted", action="store_true", help="end, energy, CO2, share of quota")
    add_table_options(made)
    return made


def run(options: argparse.Namespace, daemon: Daemon) -> int:
    """Ask the daemon and print."""
    document = queue_of(daemon, options, options.jobs)
    jobs, now = document["jobs"], document["now"]
    if options.json:
        show_json(document)
        return 0
    usual = PREDICTED if options.predicted else DEFAULT
    fields = choose(FIELDS, options.format or usual)
    header = not options.noheader
    screen = Screen.of(sys.stdout)
    if options.why:
        show("\n\n".join("\n".join(explained(job, now, screen)) for job in jobs).splitlines())
    elif options.parsable2:
        show(as_pipes(fields, jobs, now, header=header))
    else:
        show(as_table(fields, jobs, now, screen, header=header))
    return 0


def queue_of(
    daemon: Daemon, options: argparse.Namespace, ids: str | None, **more: str | int | None
) -> QueueDocument:
    """The daemon's answer with the jobs that ids and ``clusters`` name, all where none are given.

    ``options`` has ``user``, ``all`` and ``clusters``; ``more`` is what else the daemon is asked.

    Raises:
        RequestError: an id that is not in the queue.
        DaemonError: the daemon's answer is none.
    """
    everybody = 1 if options.all else None
    document = read_queue(daemon.get("/v1/queue", user=options.user, all=everybody, **more))
    return {**document, "jobs": _selected(document["jobs"], ids, options.clusters)}


def _selected(jobs: list[QueueJob], ids: str | None, clusters: str | None) -> list[QueueJob]:
    if clusters is not None:
        wanted_clusters = set(clusters.split(","))
        jobs = [job for job in jobs if job["cluster"] in wanted_clusters]
    if ids is None:
        return jobs
    wanted = {one.strip() for one in ids.split(",")}
    called = [names(job["shown_id"], job["job_id"]) for job in jobs]
    chosen = [job for job, known in zip(jobs, called, strict=True) if wanted & known]
    if absent := sorted(wanted.difference(*called)):
        raise RequestError(f"job {absent[0]} is not in the queue; 'csacct -j' shows ended jobs")
    return chosen


if __name__ == "__main__":
    raise SystemExit(main())
