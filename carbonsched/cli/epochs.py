"""``carbonsched epochs JOB``: the epochs that a job marked, as a log."""

from __future__ import annotations

import argparse

from carbonsched.cli.common import Daemon, connect, note, show, show_json
from carbonsched.errors import RequestError
from carbonsched.reports.epoch_documents import JobEpochs, by_epoch, by_part, read_epochs
from carbonsched.reports.jobs import id_base, names, read_id

_EPILOG = """examples:
  carbonsched epochs 1204 > run.csv            seconds and joules of each epoch
  carbonsched epochs 1204 --parts > run.csv    and of up to 20 parts of each
  carbonsched predict --epoch-log run.csv --after 1 --epochs 50
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Which job and whose, and the form of the log."""
    parser.epilog = _EPILOG
    parser.add_argument("job", metavar="JOB", help="a job, ended or not: 1204, 1204_3")
    parser.add_argument("-u", "--user", help="another user's job (operators)")
    parser.add_argument("-a", "--all", action="store_true", help="anybody's job (operators)")
    parser.add_argument("-M", "--clusters", metavar="NAME[,NAME]", help="only on these clusters")
    parser.add_argument("--parts", action="store_true", help="a line for each part of an epoch")
    parser.add_argument("--json", action="store_true", help="the daemon's answer as JSON")
    parser.set_defaults(run=lambda arguments: run(arguments, connect()))


def run(arguments: argparse.Namespace, daemon: Daemon) -> int:
    """Ask the daemon and print.

    Raises:
        RequestError: no job, or more than one, that marked epochs.
    """
    wanted = read_id(arguments.job)
    answer = daemon.get(
        "/v1/epochs",
        job=id_base(wanted),
        user=arguments.user,
        all=1 if arguments.all else None,
    )
    job = _only(read_epochs(answer)["jobs"], wanted, arguments.clusters)
    if arguments.json:
        show_json(job)
        return 0
    show(by_part(job["epochs"]) if arguments.parts else by_epoch(job["epochs"]))
    _note_gaps([one["epoch"] for one in job["epochs"]])
    return 0


def _only(jobs: list[JobEpochs], wanted: str, clusters: str | None) -> JobEpochs:
    where = set(clusters.split(",")) if clusters is not None else None
    found = [
        job
        for job in jobs
        if wanted in names(job["shown_id"], job["job_id"])
        and (where is None or job["cluster"] in where)
    ]
    if not found:
        raise RequestError(
            f"no epochs of job {wanted} among the jobs you may see;"
            " a training marks them by carbonsched.epochs or 'carbonsched track'"
        )
    if len(found) > 1:
        first = found[0]
        one = f"-M {first['cluster']}" if _ids(found) == 1 else first["shown_id"]
        raise RequestError(f"job {wanted} is {len(found)} jobs with epochs; name one: {one}")
    return found[0]


def _ids(jobs: list[JobEpochs]) -> int:
    return len({job["shown_id"] for job in jobs})


def _note_gaps(numbers: list[int]) -> None:
    if numbers != list(range(1, len(numbers) + 1)):
        note(
            f"Of epochs 1 to {numbers[-1]} only {len(numbers)} are known;"
            " 'carbonsched predict --epoch-log' takes logs without a gap."
        )
