"""Telling the daemon of a submitted job, and its owner what the daemon answers."""

from __future__ import annotations

import signal
import sys
from dataclasses import asdict
from typing import Any

from carbonsched.errors import CarbonschedError, DaemonError
from carbonsched.model.directives import Directives
from carbonsched.model.plan import three_masses
from carbonsched.site import Site
from carbonsched.submit.sbatch_run import Submitted
from carbonsched.transport.client import Client
from carbonsched.transport.munge import Munge


def say(text: str) -> None:
    """One line to the owner on standard error; control characters cannot pass."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    print(f"csbatch: {clean}", file=sys.stderr, flush=True)


def tell_daemon(
    site: Site, submitted: Submitted, directives: Directives, *, explain: bool, fallback: str
) -> None:
    """Register the job and print the daemon's lines; on any failure one warning line.

    ``fallback`` says what the job does without the daemon.
    """
    cluster = submitted.cluster or site.cluster
    wish = {
        "cluster": cluster,
        "job_id": submitted.job_id,
        "directives": asdict(directives),
    }
    try:
        with TimeLimit(site.submit_timeout_s):
            client = Client(site.daemon_url, Munge(site.munge_socket), site.submit_timeout_s)
            lines = _lines(client.post("/v1/jobs", wish))
            if explain:
                lines += _reasoning(client.get("/v1/queue"), cluster, submitted.job_id)
    except (CarbonschedError, ValueError) as error:  # ValueError: an address that cannot be
        reason = str(error).partition("\n")[0]
        job = f"job {submitted.job_id} is submitted"
        say(f"warning: {job}, but without a plan: {reason}; {fallback}")
        return
    for line in lines:
        say(line)


class TimeLimit:
    """Bounds the whole conversation: an answer that drips in must not hold the user."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGALRM, self._expired)
        signal.setitimer(signal.ITIMER_REAL, max(self._limit_s, 0.001))

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)

    def _expired(self, _number: int, _frame: object) -> None:
        raise DaemonError(f"the carbonsched daemon gave no answer within {self._limit_s:g} s")


def _lines(answer: Any) -> list[str]:
    lines = answer.get("lines") if isinstance(answer, dict) else None
    if not isinstance(lines, list):
        raise DaemonError("the daemon's answer holds no lines")
    return [str(line) for line in lines]


def _reasoning(answer: Any, cluster: str, job_id: int) -> list[str]:
    """The daemon's longer words on the job, for ``--carbon-explain``."""
    jobs = answer.get("jobs") if isinstance(answer, dict) else None
    for job in jobs if isinstance(jobs, list) else []:
        if isinstance(job, dict) and (job.get("cluster"), job.get("job_id")) == (cluster, job_id):
            prediction = job.get("prediction")
            words = prediction.get("explanation") if isinstance(prediction, dict) else None
            parts = (
                ("plan", job.get("plan_text")),
                ("CO2", _masses(job)),
                ("prediction", words),
                ("forecast", job.get("forecast_label")),
            )
            return [f"{name}: {text}" for name, text in parts if text]
    return []


def _masses(job: dict[str, Any]) -> str:
    """The three masses, as far as the daemon tells them; one of another version may tell fewer."""
    shadow_mg = job.get("shadow_mg")
    told = (
        job.get("baseline_mg"),
        job.get("expected_mg") if shadow_mg is None else shadow_mg,
        job.get("best_mg"),
    )
    return three_masses(*(one if isinstance(one, int) else None for one in told))
