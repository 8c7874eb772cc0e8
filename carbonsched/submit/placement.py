"""Having the daemon choose one of several clusters for a job, before sbatch runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from carbonsched.errors import CarbonschedError, DaemonError, ExternalError
from carbonsched.model.directives import Directives
from carbonsched.model.placement import JobSize
from carbonsched.site import Site
from carbonsched.submit.report import TimeLimit
from carbonsched.transport.client import Client
from carbonsched.transport.munge import Munge

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What came of asking: the cluster, the words on it, those for ``--carbon-explain``.

    ``failure`` says why there is no answer; ``away`` is whether the daemon is not to be reached,
    so that asking it again would only take time.
    """

    cluster: str | None = None
    lines: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    failure: str | None = None
    away: bool = False


def place(
    site: Site,
    clusters: Sequence[str],
    directives: Directives,
    size: JobSize,
    unread: Sequence[str],
) -> Placed:
    """Ask the daemon once, within the site's limit; never raises for what the daemon does.

    No ``clusters`` means all that the site has. ``unread`` are options that change the job's size
    and are not in ``size``.
    """
    wish = {
        "clusters": list(clusters),
        "here": site.cluster,
        "directives": asdict(directives),
        "job": asdict(size),
    }
    try:
        with TimeLimit(site.submit_timeout_s):
            client = Client(site.daemon_url, Munge(site.munge_socket), site.submit_timeout_s)
            chosen, text, rows = _answer(client.post("/v1/placement", wish), clusters)
    except (CarbonschedError, ValueError) as error:  # ValueError: an address that cannot be
        reason = str(error).partition("\n")[0]
        return Placed(failure=reason, away=isinstance(error, ExternalError))
    if chosen is None:
        return Placed(failure=text)
    told = [text]
    if unread:
        told.append(f"weighed as {_shown(size)}; not counted: {', '.join(unread)}")
    reasoning = [f"weighed as {_shown(size)}", *map(_row, rows)]
    return Placed(cluster=chosen, lines=tuple(told), reasoning=tuple(reasoning))


def _answer(answer: Any, clusters: Sequence[str]) -> tuple[str | None, str, list[Any]]:
    """The choice as the daemon told it; what it names goes into sbatch's words, so it is checked.

    Raises:
        DaemonError: it is not an answer.
    """
    document = answer if isinstance(answer, dict) else {}
    chosen, text, rows = (document.get(name) for name in ("chosen", "text", "clusters"))
    if not isinstance(text, str) or not isinstance(rows, list):
        raise DaemonError("the daemon's answer holds no choice")
    if chosen is None:
        return None, text, rows
    if not isinstance(chosen, str) or not _NAME.fullmatch(chosen):
        raise DaemonError("the daemon's answer names no cluster")
    if clusters and chosen not in clusters:
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
        ("CPU seconds waiting", known.get("waiting_cpu_s")),
        ("forecast", known.get("forecast")),
        ("but", known.get("why")),
    )
    words = ", ".join(f"{name} {value}" for name, value in parts if value is not None)
    return f"{known.get('name')}: {words}"
