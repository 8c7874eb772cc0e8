"""What the agent shows to Prometheus: a snapshot of its counters, and their text.

Text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats), which every
Prometheus reads. Base units, ``_total`` on counters. What is not known has no sample: absent is
not zero. Counters begin at zero when the agent starts, as Prometheus expects of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from carbonsched import __version__
from carbonsched.model.energy import Domain, PartKind, Quality
from carbonsched.units import UJ_PER_J

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_JOBS = 64
"""So many jobs have a power series of their own, those with the most power; others share one."""

_QUALITIES = (Quality.MEASURED, Quality.SAMPLED, Quality.PARTIAL, Quality.MODELLED)
_CONSUMERS = {PartKind.JOB: "jobs", PartKind.IDLE: "idle", PartKind.SYSTEM: "system"}
_STATM_RESIDENT = 1
_STAT_AFTER_NAME = 2  # the fields of /proc/PID/stat begin to be plain after the name in brackets
_STAT_START_TICKS = 22

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The agent as of its last sample; the main loop replaces it, the exporter's thread reads it.

    ``node_uj`` is the energy by domain and device since the agent started and ``consumed_uj`` who
    used it; both have the same sum. ``job_w`` is each present job's mean power over the last sample
    in watts, ``None`` where that sample failed; ``quality`` is that of the sample's energy.
    ``meter_errors`` counts failures by meter key, of all meters that may ever fail;
    ``marks_ignored`` epoch marks that were not taken, ``postponed`` readings that the daemon would
    not take yet. Instants are seconds since 1970, ``None`` for never. ``spool`` is the agent's
    folder, whose files are counted when somebody asks.
    """

    node: str
    meter: str
    spool: Path
    quality: Quality | None = None
    samples: int = 0
    sampled_at: float | None = None
    delivered_at: float | None = None
    node_uj: Mapping[tuple[Domain, str], int] = field(default_factory=dict)
    consumed_uj: Mapping[PartKind, int] = field(default_factory=dict)
    job_w: Mapping[int, float] | None = None
    meter_errors: Mapping[str, int] = field(default_factory=dict)
    marks_ignored: int = 0
    postponed: int = 0


@dataclass(frozen=True, slots=True)
class _Family:
    """One metric: its name, type, meaning and samples."""

    name: str
    kind: str
    text: str
    samples: Iterable[tuple[Labels, float | None]]

    def lines(self) -> Iterator[str]:
        """The lines of those samples that are known; nothing at all if none is."""
        known = [(labels, value) for labels, value in self.samples if value is not None]
        if not known:
            return
        yield f"# HELP {self.name} {_help(self.text)}"
        yield f"# TYPE {self.name} {self.kind}"
        for labels, value in known:
            yield f"{self.name}{_labels(labels)} {_number(value)}"


def render(status: Status, process_started_at: float | None) -> str:
    """The whole text of one scrape."""
    process = _process(process_started_at)
    families = (*_energy(status), *_agent(status), *_spool(status), *process)
    return "".join(f"{line}\n" for family in families for line in family.lines())


def _energy(status: Status) -> Iterator[_Family]:
    yield _Family(
        "carbonsched_node_energy_joules_total",
        "counter",
        "Energy of the node by domain and device. Domains do not overlap: they may be added.",
        [
            ({"domain": domain.value, "device": device}, used_uj / UJ_PER_J)
            for (domain, device), used_uj in sorted(status.node_uj.items())
        ],
    )
    yield _Family(
        "carbonsched_consumed_energy_joules_total",
        "counter",
        "The same energy by who used it: jobs, idle and system add up to that of the node.",
        [
            # All three from the start: a counter that appears later loses its first increase.
            ({"by": by}, status.consumed_uj.get(kind, 0) / UJ_PER_J)
            for kind, by in _CONSUMERS.items()
        ],
    )
    yield _Family(
        "carbonsched_job_power_watts",
        "gauge",
        f"Mean power of a job on this node over the last sample; the {MOST_JOBS} jobs with the"
        " most power by job_id, others together as job_id=other.",
        [({"job_id": name}, watts) for name, watts in _powers(status.job_w or {})],
    )
    jobs = None if status.job_w is None else len(status.job_w)
    yield _Family("carbonsched_jobs", "gauge", "Jobs present on this node.", [({}, jobs)])


def _powers(job_w: Mapping[int, float]) -> list[tuple[str, float]]:
    """Each job's power, those beyond the limit in one sum."""
    ranked = sorted(job_w.items(), key=lambda one: (-one[1], one[0]))
    shown = [(str(job_id), watts) for job_id, watts in ranked[:MOST_JOBS]]
    others = [watts for _, watts in ranked[MOST_JOBS:]]
    return [*shown, ("other", sum(others))] if others else shown


def _agent(status: Status) -> Iterator[_Family]:
    yield _Family(
        "carbonsched_samples_total", "counter", "Samples accounted.", [({}, status.samples)]
    )
    yield _Family(
        "carbonsched_last_sample_timestamp_seconds",
        "gauge",
        "When the last sample was taken.",
        [({}, status.sampled_at)],
    )
    yield _Family(
        "carbonsched_meter_errors_total",
        "counter",
        "Failed readings by meter.",
        [({"meter": key}, count) for key, count in sorted(status.meter_errors.items())],
    )
    yield _Family(
        "carbonsched_marks_ignored_total",
        "counter",
        "Epoch marks that were not taken: too many, or from outside a job of this node.",
        [({}, status.marks_ignored)],
    )
    yield _Family(
        "carbonsched_last_delivery_timestamp_seconds",
        "gauge",
        "When the daemon last answered a delivery; absent before the first.",
        [({}, status.delivered_at)],
    )
    yield _Family(
        "carbonsched_sample_quality",
        "gauge",
        "How the last sample's energy was obtained: 1 for its quality, 0 for the others.",
        [] if status.quality is None else _one_of(_QUALITIES, status.quality),
    )
    yield _Family(
        "carbonsched_meter_info",
        "gauge",
        "The node's name in Slurm and what meters it.",
        [({"node": status.node, "meter": status.meter}, 1)],
    )
    yield _Family(
        "carbonsched_build_info", "gauge", "The agent's version.", [({"version": __version__}, 1)]
    )


def _one_of(qualities: Iterable[Quality], current: Quality) -> list[tuple[Labels, int]]:
    """A state set: series that do not come and go, so that a join meets one of each."""
    return [({"quality": one.value}, int(one is current)) for one in qualities]


def _spool(status: Status) -> Iterator[_Family]:
    """What waits and what was refused, counted in the folders themselves."""
    waiting = _changed_at(status.spool / "outbox", ".json")
    oldest = min(waiting) if waiting else None
    yield _Family(
        "carbonsched_spool_items",
        "gauge",
        "Readings that wait for delivery.",
        [({}, None if waiting is None else len(waiting))],
    )
    yield _Family(
        "carbonsched_spool_oldest_timestamp_seconds",
        "gauge",
        "Since when the oldest of them waits; absent if none does.",
        [({}, oldest)],
    )
    yield _Family(
        "carbonsched_postponed_items",
        "gauge",
        "Those of them that the daemon refused for now: they are sent again.",
        [({}, status.postponed)],
    )
    rejected = _changed_at(status.spool / "rejected", "", but=".error")
    yield _Family(
        "carbonsched_rejected_items",
        "gauge",
        "Readings and events that were refused and are kept with the reason.",
        [({}, None if rejected is None else len(rejected))],
    )


def _changed_at(folder: Path, ending: str, but: str | None = None) -> list[float] | None:
    """When each file with that ending was last changed; ``None`` if the folder cannot be read."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith(".") or not name.endswith(ending) or (but and but in name):
                    continue
                try:
                    found.append(entry.stat(follow_symlinks=False).st_mtime)
                except FileNotFoundError:
                    continue  # delivered meanwhile
    except OSError:
        return None
    return found


def _process(started_at: float | None) -> Iterator[_Family]:
    """The process metrics that Prometheus' own clients show, under the same names."""
    yield _Family(
        "process_cpu_seconds_total",
        "counter",
        "CPU time of the agent, user and system.",
        [({}, time.process_time())],
    )
    yield _Family(
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory of the agent.",
        [({}, _resident_bytes())],
    )
    yield _Family(
        "process_start_time_seconds",
        "gauge",
        "When the agent started.",
        [({}, started_at)],
    )


def _resident_bytes() -> int | None:
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[_STATM_RESIDENT]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def process_started_at() -> float | None:
    """When this process started, in seconds since 1970: ticks after the boot (proc(5))."""
    try:
        text = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    ticks = int(text.rpartition(")")[2].split()[_STAT_START_TICKS - _STAT_AFTER_NAME - 1])
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return round(time.time() - age_s, 2)


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}"


def _escaped(value: str) -> str:
    """A label's value: backslash, quote and line feed are escaped."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _number(value: float) -> str:
    """The shortest text that reads back as the same number."""
    return str(value) if isinstance(value, int) else repr(float(value))
