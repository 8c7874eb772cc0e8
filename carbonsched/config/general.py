"""The site, its daemon and its agents."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationInfo, field_validator

from carbonsched.config.base import Section, option
from carbonsched.config.quantities import (
    AbsolutePath,
    AbsolutePathText,
    DaemonUrl,
    ListenAddress,
    Name,
    Seconds,
    TimeZone,
    WholeSeconds,
)
from carbonsched.site import AgentSite

_AGENT = AgentSite()
_SHORTEST_IPMI_S = 10.0


class SiteSection(Section):
    """Who and where the site is."""

    name: str = option(
        "The site's name, as reports print it.", example="Example University", min_length=1
    )
    time_zone: TimeZone = option(
        "The time zone (IANA) whose calendar months are the quotas' and reports' months.",
        example="Europe/Berlin",
    )
    state_dir: AbsolutePath = option(
        "The directory of the ledger; on a local disk, writable for the daemon alone.",
        example="/var/lib/carbonsched",
        default=Path("/var/lib/carbonsched"),
    )
    operators: tuple[Name, ...] = option(
        "Users who may see every job and grant quota; root always may.",
        example="[carbonadmin]",
        default=(),
    )


class TicksConfig(Section):
    """How often the daemon does each of its tasks."""

    intensity_s: Seconds = option(
        "Fetch grid intensity and forecasts.",
        example="5min",
        default=300.0,
        key="intensity",
        shown="5min",
        gt=0,
    )
    pue_s: Seconds = option(
        "Fetch the PUE from files and Prometheus.",
        example="5min",
        default=300.0,
        key="pue",
        shown="5min",
        gt=0,
    )
    adopt_s: Seconds = option(
        "Look for marked jobs that csbatch could not announce; shorter than the lease.",
        example="30s",
        default=30.0,
        key="adopt",
        shown="30s",
        gt=0,
    )
    plan_s: Seconds = option(
        "Plan again every job that still waits.",
        example="1min",
        default=60.0,
        key="plan",
        shown="1min",
        gt=0,
    )
    settle_s: Seconds = option(
        "Charge what has been metered.",
        example="1min",
        default=60.0,
        key="settle",
        shown="1min",
        gt=0,
    )
    quota_s: Seconds = option(
        "Write the quota file that the submit plug-in reads.",
        example="1min",
        default=60.0,
        key="quota",
        shown="1min",
        gt=0,
    )
    housekeeping_s: Seconds = option(
        "Tidy the ledger.",
        example="1h",
        default=3600.0,
        key="housekeeping",
        shown="1h",
        gt=0,
    )


class DaemonConfig(Section):
    """Where carbonschedd listens, and how csbatch and the agents reach it."""

    url: DaemonUrl = option(
        "The daemon's address as login and compute nodes reach it.",
        example="http://slurm-head:8470",
    )
    listen_host: str = option(
        "The address to listen on; 0.0.0.0 for all interfaces.",
        example="0.0.0.0",  # noqa: S104 - an example that the site must choose
        default="127.0.0.1",
        min_length=1,
    )
    listen_port: int = option(
        "The TCP port to listen on.", example="8470", default=8470, ge=1, le=65535
    )
    munge_socket: AbsolutePathText | None = option(
        "The munged socket; none for MUNGE's own default.",
        example="/run/munge/munge.socket.2",
        default=None,
    )
    submit_timeout_s: Seconds = option(
        "How long csbatch waits for the daemon before it gives up and lets the job run.",
        example="3s",
        default=3.0,
        key="submit_timeout",
        shown="3s",
        gt=0,
        le=60,
    )
    ticks: TicksConfig = option(
        "How often the daemon does each of its tasks.",
        example=None,
        default=TicksConfig(),
    )
    lease_s: WholeSeconds = option(
        "How long a new job waits in Slurm for the daemon's plan; it starts when this runs out.",
        example="2min",
        default=120,
        key="lease",
        shown="2min",
        validate_default=True,
        ge=1,
        le=3600,
    )
    quota_file: AbsolutePath | None = option(
        "The file that job_submit.lua reads; none: quotas are counted and do not bind sbatch.",
        example="/var/lib/carbonsched/quota",
        default=None,
    )

    @field_validator("lease_s")
    @classmethod
    def _outlasts_adoption(cls, value: int, info: ValidationInfo) -> int:
        ticks: TicksConfig | None = info.data.get("ticks")
        if ticks is not None and ticks.adopt_s >= value:
            raise ValueError(
                f"{value} s is not longer than ticks.adopt ({ticks.adopt_s:g} s), so that jobs"
                " would start before they are found; lengthen it"
            )
        return value


class AgentConfig(Section):
    """Paths and periods of the agent on each node; %n in a path is the node's name."""

    socket: AbsolutePathText = option(
        "The Unix socket for the epoch marks of jobs.", example=_AGENT.socket, default=_AGENT.socket
    )
    spool: AbsolutePathText = option(
        "The directory of everything not yet delivered; on a local disk.",
        example=_AGENT.spool,
        default=_AGENT.spool,
    )
    segment_s: WholeSeconds = option(
        "The length of one energy segment, aligned to the clock.",
        example="5min",
        default=_AGENT.segment_s,
        key="segment",
        shown="5min",
        ge=1,
    )
    sample_s: Seconds = option(
        "How often meters and CPU times are read.",
        example="1s",
        default=_AGENT.sample_s,
        key="sample",
        shown="1s",
        validate_default=True,
        ge=0.1,
    )
    delivery_s: Seconds = option(
        "How often the spool is delivered to the daemon.",
        example="10s",
        default=_AGENT.delivery_s,
        key="delivery",
        shown="10s",
        gt=0,
    )
    metrics: ListenAddress | None = option(
        "Where Prometheus may scrape each agent; none: nowhere.",
        example="127.0.0.1:9797",
        default=_AGENT.metrics,
    )
    ipmi_s: Seconds = option(
        "How often ipmitool asks the board's management controller for the node's power, where"
        " nothing better shows it; at least 10 s, 0s for never.",
        example="30s",
        default=_AGENT.ipmi_s,
        key="ipmi",
        shown="0s",
    )

    @field_validator("ipmi_s")
    @classmethod
    def _seldom(cls, value: float) -> float:
        if 0 < value < _SHORTEST_IPMI_S:
            raise ValueError(
                f"{value:g} s is too often for a management controller; write at least"
                f" {_SHORTEST_IPMI_S:g}s, or 0s for never"
            )
        return value

    @field_validator("spool")
    @classmethod
    def _one_per_node(cls, value: str) -> str:
        if not value.endswith("/%n"):
            raise ValueError(f"{value!r} does not end in /%n, as prolog and epilog expect; add it")
        return value

    @field_validator("sample_s")
    @classmethod
    def _within_a_segment(cls, value: float, info: ValidationInfo) -> float:
        segment = info.data.get("segment_s")
        if segment is not None and value > segment:
            raise ValueError(f"{value:g} s is longer than a segment ({segment} s); shorten it")
        return value
