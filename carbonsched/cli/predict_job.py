"""``carbonsched predict JOB``: what a job in the queue is predicted to need, and why."""

from __future__ import annotations

import argparse
import sys

from carbonsched.cli.common import Daemon, show, show_json
from carbonsched.cli.csqueue import queue_of
from carbonsched.errors import DaemonError, RequestError
from carbonsched.reports.jobs import id_base
from carbonsched.reports.queue_documents import QueueJob
from carbonsched.reports.queue_words import otherwise, predicted
from carbonsched.reports.terminal import Screen, clean, cut


def run_job(arguments: argparse.Namespace, daemon: Daemon) -> int:
    """Ask the daemon and print the prediction of ``arguments.job``, of all its tasks in the queue.

    ``arguments`` has ``job``, ``user``, ``all``, ``clusters``, ``json``, ``gpu_power_limit`` and
    ``node_type``.

    Raises:
        RequestError: the job is not in the queue, or nothing tells how it would do otherwise.
        DaemonError: the daemon's answer is none.
    """
    asked: dict[str, str | int | None] = {
        "gpu_limit_w": arguments.gpu_power_limit, "nodes": arguments.node_type,
    }  # fmt: skip
    changed = any(value is not None for value in asked.values())
    if changed and (base := id_base(arguments.job)).isdecimal():
        asked["job"] = int(base)
    document = queue_of(daemon, arguments, arguments.job, **asked)
    if changed:
        _require_one(document["jobs"])
    if arguments.json:
        show_json(document)
        return 0
    screen = Screen.of(sys.stdout)
    for number, job in enumerate(document["jobs"]):
        show([""] if number else [])
        show(_lines(job, document["now"], screen, changed=changed))
    return 0


def _require_one(jobs: list[QueueJob]) -> None:
    """Nothing is told where nothing is known of any of them."""
    found = [given for job in jobs if (given := job.get("otherwise")) is not None]
    if len(found) < len(jobs):
        raise DaemonError("the daemon tells nothing of other power limits and nodes: upgrade it")
    if found and all(given["changed"] is None for given in found):
        raise RequestError(found[0]["why"])


def _lines(job: QueueJob, now: int, screen: Screen, *, changed: bool) -> list[str]:
    head = f"{job['shown_id']} {job['name']} ({job['user']}, {job['state'].lower()})"
    lines = [screen.paint(cut(clean(head), screen.width), "bold"), *predicted(job, now, screen)]
    return [*lines, *otherwise(job, screen)] if changed else lines
