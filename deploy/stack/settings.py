"""What a stack is asked to be, and the configuration that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

REACH_S = 10.0
"""How long anything of the stack may take to answer."""
USUAL_W = (80.0, 300.0)
"""What a node draws idle and busy unless its settings say otherwise."""

_TEMPLATE = """\
# Written by deploy/stack. Time is compressed: one recorded hour lasts {hour_s:g} s.
site:
  name: Demonstration site
  time_zone: Europe/Berlin
  state_dir: {state}
  operators: [{operators}]
daemon:
  url: http://127.0.0.1:{port}
  listen_host: 127.0.0.1
  listen_port: {port}
  munge_socket: {munge}
  lease: {lease_s} s
  submit_timeout: 10 s
  quota_file: {quota}
  ticks:
    intensity: {tick_s:g} s
    adopt: {tick_s:g} s
    plan: {tick_s:g} s
    settle: {tick_s:g} s
    quota: {tick_s:g} s
    housekeeping: 1 h
agent:
  socket: {spool}/%n/agent.sock
  spool: {spool}/%n
  sample: {sample_s:g} s
  segment: {segment_s} s
  delivery: {delivery_s:g} s
clusters:
{clusters}zones:
{zones}planning:
  mode: {mode}
  default_max_delay: 0 s
  max_delay: 7 d
  slot: {slot_s} s
  minimum_gain: 5 %
  safety_margin: {slot_s} s
  settle_lag: {settle_lag_s} s
  checkpoints: {checkpoints}
quotas: {quotas}
"""

_CLUSTER = """\
  - name: {name}
    zone: {zone}
    pue: 1.25
    slurm:
      conf: {slurm_conf}
      timeout: 20 s
      max_calls_per_s: 20
{by_name}    nodes:
{classes}"""

_BY_NAME = """\
      by_name: true
"""

_ZONE = """\
  - name: {name}
    providers:
{provider}"""

_CLASS = """\
      - nodes: "{nodes}"
        cpus: {cpus}
        idle: {idle_w:g} W
        max: {max_w:g} W
"""

_GPUS = """\
        gpus: {gpus}
        gpu_idle: 50 W
        gpu_max: 400 W
"""

_REPLAY = """\
      - kind: replay
        zone_in_file: DE
        start: {start}
        begin: {begin}
        hour: {hour_s:g} s
        lag_hours: 0
"""

_FILES = """\
      - kind: file
        provider: files
        actual: {folder}/actual.csv
        forecasts: {folder}/forecasts.csv
        signal: average
        basis: production
        gas: CO2eq
        scope: lifecycle
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPart:
    """One cluster in the configuration: how it is reached, and the zone that feeds it.

    ``intensity_files`` is as in :class:`StackSettings`, for this cluster's zone.
    """

    name: str
    slurm_conf: Path
    nodes: tuple[str, ...]
    cpus: int
    zone: str = "DE"
    by_name: bool = False
    intensity_files: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSettings:
    """Speed and budgets of one stack.

    ``record_start`` is the recorded time that the replay begins with. ``intensity_files`` is
    a folder with ``actual.csv`` and ``forecasts.csv`` that take the replay's place. ``quotas`` are
    pairs of a user and a monthly mass as the configuration writes it. ``node_gpus`` are the GPUs
    that nodes declare, in their order; none where it ends. ``node_watts`` are idle and full power
    in the same way, ``USUAL_W`` where it ends. ``checkpoints`` are keys of planning.checkpoints
    with their values as the configuration writes them.
    """

    record_start: str = "2021-08-25T05:00Z"
    intensity_files: Path | None = None
    hour_s: float = 10.0
    slot_s: int = 5
    segment_s: int = 5
    sample_s: float = 0.5
    tick_s: float = 2.0
    delivery_s: float = 1.0
    lease_s: int = 30
    quotas: tuple[tuple[str, str], ...] = ()
    operators: tuple[str, ...] = ()
    node_gpus: tuple[int, ...] = ()
    node_watts: tuple[tuple[float, float], ...] = ()
    mode: str = "active"
    checkpoints: tuple[tuple[str, str], ...] = ()

    def yaml(
        self,
        *,
        folder: Path,
        spool: Path,
        munge: Path,
        quota_file: Path,
        clusters: Sequence[ClusterPart],
        port: int,
        begin_at: int,
    ) -> str:
        """The site's configuration file."""
        lines = "".join(f"\n  - {{user: {user}, monthly: {mass}}}" for user, mass in self.quotas)
        return _TEMPLATE.format(
            hour_s=self.hour_s,
            state=folder / "state",
            operators=", ".join(self.operators),
            port=port,
            munge=munge,
            lease_s=self.lease_s,
            quota=quota_file,
            tick_s=self.tick_s,
            spool=spool,
            sample_s=self.sample_s,
            segment_s=self.segment_s,
            delivery_s=self.delivery_s,
            clusters="".join(map(self._cluster, clusters)),
            zones="".join(self._zone(one, begin_at) for one in clusters),
            mode=self.mode,
            slot_s=self.slot_s,
            settle_lag_s=round(2 * self.hour_s),
            quotas=lines or "[]",
            checkpoints="{" + ", ".join(f"{key}: {one}" for key, one in self.checkpoints) + "}",
        )

    def _cluster(self, part: ClusterPart) -> str:
        return _CLUSTER.format(
            name=part.name,
            zone=part.zone,
            slurm_conf=part.slurm_conf,
            by_name=_BY_NAME if part.by_name else "",
            classes=self._classes(part.nodes, part.cpus),
        )

    def _zone(self, part: ClusterPart, begin_at: int) -> str:
        return _ZONE.format(name=part.zone, provider=self._provider(part.intensity_files, begin_at))

    def _classes(self, nodes: tuple[str, ...], cpus: int) -> str:
        """One power class for all nodes with as many GPUs and the same watts."""
        gpus = dict(zip(nodes, self.node_gpus, strict=False))
        watts = dict(zip(nodes, self.node_watts, strict=False))
        kinds = {node: (gpus.get(node, 0), watts.get(node, USUAL_W)) for node in nodes}
        text = ""
        for kind in sorted(set(kinds.values())):
            count, (idle_w, max_w) = kind
            alike = ",".join(node for node in nodes if kinds[node] == kind)
            text += _CLASS.format(nodes=alike, cpus=cpus, idle_w=idle_w, max_w=max_w)
            text += _GPUS.format(gpus=count) if count else ""
        return text

    def _provider(self, files: Path | None, begin_at: int) -> str:
        if files is not None:
            return _FILES.format(folder=files)
        begin = datetime.fromtimestamp(begin_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return _REPLAY.format(start=self.record_start, begin=begin, hour_s=self.hour_s)
