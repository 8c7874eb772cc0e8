"""Having the daemon choose a cluster or partition for a job, before sbatch runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from carbonsched.errors import CarbonschedError, DaemonError, ExternalError
from carbonsched.model.directives import Directives
from carbonsched.model.placement import JobSize
from carbonsched.site import Site
from carbonsched.submit.options import Places
from carbonsched.submit.report import TimeLimit
from carbonsched.transport.client import Client
from carbonsched.transport.munge import Munge

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What came of asking: sbatch's word for it, the lines on it, those for ``--carbon-explain``.

    ``failure`` says why there is no answer; ``away`` is whether the daemon is not to be reached,
    so that asking it again would only take time.
    """

    word: str | None = None
    lines: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    failure: str | None = None
    away: bool = False


def bound(places: Places, options: Mapping[str, str], *, heterogeneous: bool) -> str | None:
    """What binds the job to a place already, by sbatch's options, or ``None``."""
    if places.option in options:
        return f"--{places.option}={options[places.option]} is given"
    if places.noun == "cluster" and "dependency" in options:
        return "--dependency names jobs of one cluster"  # on another they are other people's jobs
    if places.noun == "partition" and heterogeneous:
        return "each part of a heterogeneous job has a partition of its own"
    return None


def unasked(places: Places) -> Placed:
    """What there is where the daemon cannot be asked at all."""
    return Placed(word=_undecided(places))


def warning(places: Places, placed: Placed, fallback: str) -> str:
    """The line on a failure; ``fallback`` says what the job does without a plan."""
    without = f"no {places.noun} is chosen{' and no plan made' if placed.away else ''}"
    instead = "sbatch's default cluster takes the job"
    if placed.word is not None:
        instead = f"Slurm takes one of all that were named ({placed.word})"
    then = f", and {fallback}" if placed.away else ""
    return f"warning: {without}: {placed.failure}; {instead}{then}"


def _undecided(places: Places) -> str | None:
    """Sbatch's word where nothing is chosen: all partitions, of which Slurm takes the first free.

    A job that is to go to one of several clusters goes to sbatch's default.
    """
    return f"--partition={','.join(places.names)}" if places.noun == "partition" else None


def place(
    site: Site,
    places: Places,
    directives: Directives,
    size: JobSize,
    unread: Sequence[str],
    here: str | None = None,
) -> Placed:
    """Ask the daemon once, within the site's limit; never raises for what the daemon does.

    ``here`` is the cluster that the job goes to otherwise, by default that of the host. ``unread``
    are options that change the job's size and are not in ``size``.
    """
    wish = {
        f"{places.noun}s": list(places.names),
        "here": here or site.cluster,
        "directives": asdict(directives),
        "job": asdict(size),
    }
    try:
        with TimeLimit(site.submit_timeout_s):
            client = Client(site.daemon_url, Munge(site.munge_socket), site.submit_timeout_s)
            chosen, text, rows = _answer(client.post("/v1/placement", wish), places)
    except (CarbonschedError, ValueError) as error:  # ValueError: an address that cannot be
        reason = str(error).partition("\n")[0]
        away = isinstance(error, ExternalError)
        return Placed(word=_undecided(places), failure=reason, away=away)
    if chosen is None:
        return Placed(word=_undecided(places), failure=text)
    told = [text]
    if unread:
        told.append(f"weighed as {_shown(size)}; not counted: {', '.join(unread)}")
    reasoning = [f"weighed as {_shown(size)}", *map(_row, rows)]
    word = f"--{places.option}={chosen}"
    return Placed(word=word, lines=tuple(told), reasoning=tuple(reasoning))


def _answer(answer: Any, places: Places) -> tuple[str | None, str, list[Any]]:
    """The choice as the daemon told it; what it names goes into sbatch's words, so it is checked.

    Raises:
        DaemonError: it is not an answer.
    """
    document = answer if isinstance(answer, dict) else {}
    chosen, text, rows = (document.get(name) for name in ("chosen", "text", f"{places.noun}s"))
    if not isinstance(text, str) or not isinstance(rows, list):
        raise DaemonError("the daemon's answer holds no choice")
    if chosen is None:
        return None, text, rows
    if not isinstance(chosen, str) or not _NAME.fullmatch(chosen):
        raise DaemonError(f"the daemon's answer names no {places.noun}")
    if places.names and chosen not in places.names:
        raise DaemonError(f"the daemon chose {chosen}, which was not asked for")
    return chosen, text, rows


def _shown(size: JobSize) -> str:
    cpus = f"{size.cpus} CPU{'' if size.cpus == 1 else 's'}"
    if size.time_limit_s is None:
        return f"{cpus} without a time limit"
    return f"{cpus} for at most {size.time_limit_s // 60} min"


def _row(row: Any) -> str:
    known = row if isinstance(row, dict) else {}
    parts = (
        ("zone", known.get("zone")),
        ("mg", known.get("mg")),
        ("power", known.get("basis")),
        ("CPU seconds waiting", known.get("waiting_cpu_s")),
        ("forecast", known.get("forecast")),
        ("but", known.get("why")),
    )
    words = ", ".join(f"{name} {value}" for name, value in parts if value is not None)
    return f"{known.get('name')}: {words}"
