"""``carbonsched predict JOB``: what a job in the queue is predicted to need, and why."""

from __future__ import annotations

import argparse
import sys

from carbonsched.cli.common import Daemon, show, show_json
from carbonsched.cli.csqueue import queue_of
from carbonsched.reports.documents import QueueJob
from carbonsched.reports.queue_words import predicted
from carbonsched.reports.terminal import Screen, clean, cut


def run_job(arguments: argparse.Namespace, daemon: Daemon) -> int:
    """Ask the daemon and print the prediction of ``arguments.job``, of all its tasks in the queue.

    ``arguments`` has ``job``, ``user``, ``all``, ``clusters`` and ``json``.

    Raises:
        RequestError: the job is not in the queue.
        DaemonError: the daemon's answer is none.
    """
    document = queue_of(daemon, arguments, arguments.job)
    if arguments.json:
        show_json(document)
        return 0
    screen = Screen.of(sys.stdout)
    for number, job in enumerate(document["jobs"]):
        show([""] if number else [])
        show(_lines(job, document["now"], screen))
    return 0


def _lines(job: QueueJob, now: int, screen: Screen) -> list[str]:
    head = f"{job['shown_id']} {job['name']} ({job['user']}, {job['state'].lower()})"
    return [screen.paint(cut(clean(head), screen.width), "bold"), *predicted(job, now, screen)]
