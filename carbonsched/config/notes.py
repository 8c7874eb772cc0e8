"""What is allowed and yet seldom meant; the check says it beside its verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from carbonsched.config.schema import (
    ClusterConfig,
    FileConfig,
    ProviderConfig,
    ReplayConfig,
    SiteConfig,
    StaticConfig,
)

_SETTING = re.compile(r"^\s*(Priority\w+)\s*=\s*([^\s#]+)", re.IGNORECASE | re.MULTILINE)
"""One to a line, as slurm.conf has them; of two the last counts."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def notes(config: SiteConfig) -> Iterator[str]:
    """One line for each thing that a person should know."""
    if config.quotas and config.daemon.quota_file is None:
        yield "quotas are counted but bind nobody: daemon.quota_file is not set"
    host = urlsplit(config.daemon.url).hostname
    if config.daemon.listen_host in _LOOPBACK and host not in _LOOPBACK:
        yield (
            f"daemon.listen_host is {config.daemon.listen_host}: {config.daemon.url} does not"
            " reach the daemon from other hosts unless something forwards to it"
        )
    if config.planning.mode == "shadow":
        yield "planning.mode is shadow: plans are kept, and no job waits for a cleaner hour"
    for cluster in config.clusters:
        if not cluster.nodes:
            yield (
                f"cluster {cluster.name} has no node classes: nodes without a meter stay"
                " unmeasured and predictions lack a power"
            )
        yield from _pue_notes(cluster)
        if cluster.slurm.conf is not None and _age_waits(cluster.slurm.conf):
            yield (
                f"cluster {cluster.name}: {cluster.slurm.conf} has no"
                " PriorityFlags=ACCRUE_ALWAYS: jobs may lose age by waiting for a cleaner hour"
            )
    yield from _zone_notes(config)


def _pue_notes(cluster: ClusterConfig) -> Iterator[str]:
    pue = cluster.pue
    if pue.file is not None and not pue.file.exists():
        yield f"cluster {cluster.name}: {pue.file} is not on this host"
    if pue.table:
        first = pue.table[0]
        yield (
            f"cluster {cluster.name}: before {first.since} the PUE is taken to be {first.pue:g} too"
        )


def _age_waits(slurm_conf: Path) -> bool:
    """Whether Slurm orders jobs by an age that grows only from a begin time on.

    As far as the file tells: other files that it includes are not read.
    """
    try:
        text = slurm_conf.read_text(errors="replace")
    except OSError:
        return False
    told = {name.lower(): value for name, value in _SETTING.findall(text)}
    by_age = told.get("prioritytype", "").lower() == "priority/multifactor"
    weight = told.get("priorityweightage", "0")
    return by_age and weight != "0" and "ACCRUE_ALWAYS" not in told.get("priorityflags", "").upper()


def _zone_notes(config: SiteConfig) -> Iterator[str]:
    used = {cluster.zone for cluster in config.clusters}
    for zone in config.zones:
        if zone.name not in used:
            yield f"zone {zone.name} feeds no cluster"
        for provider in (*zone.providers, *zone.ranking):
            if provider.kind == "replay":
                yield f"zone {zone.name} replays a record: its figures are not of now"
            if provider.kind in {"file", "replay"}:
                files = (provider.actual, provider.forecasts)
                yield from _absent(zone.name, [file for file in files if file])
        if not any(_forecasts(provider) for provider in zone.providers):
            yield f"zone {zone.name} has no forecasts: no job will be deferred for it"


def _forecasts(provider: ProviderConfig) -> bool:
    match provider:
        case FileConfig():
            return provider.forecasts is not None
        case ReplayConfig():
            return provider.forecasts is not None or provider.actual is None
        case StaticConfig():
            return False
        case _:
            return True


def _absent(zone: str, files: list[Path]) -> Iterator[str]:
    for file in files:
        if not file.exists():
            yield f"zone {zone}: {file} is not on this host"
