"""What nodes and submit hosts know of the site: one small JSON file.

``carbonsched config compile`` writes it from the site's YAML, because csbatch, the agent and the
jobs' epoch marks load nothing but the standard library. Default ``/etc/carbonsched/site.json``;
the environment variable ``CARBONSCHED_SITE`` names another.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from carbonsched.errors import ConfigError

DEFAULT_PATH = "/etc/carbonsched/site.json"
VARIABLE = "CARBONSCHED_SITE"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeClass:
    """Nodes alike in power. ``nodes`` is a host list in Slurm's notation, ``n[1-4,7]``.

    ``idle_w`` and ``max_w`` are the whole node's, CPUs idle and all busy, without its GPUs; the
    ``gpu_`` figures are those of one GPU. ``uncertainty`` is the relative standard deviation of
    what a power model makes of them. ``memory_mb`` is 0 where it is not declared, and ``gpus``
    where the node has none.
    """

    nodes: str
    cpus: int
    idle_w: float
    max_w: float
    uncertainty: float = 0.25
    memory_mb: int = 0
    gpus: int = 0
    gpu_idle_w: float = 0.0
    gpu_max_w: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSite:
    """Paths and periods of the node agent; ``%n`` in a path is the node's name.

    ``metrics`` is ``HOST:PORT`` on which Prometheus may scrape, ``None`` for nowhere. ``ipmi_s`` is
    how often the board's management controller is asked for the node's power, 0 for never.
    """

    socket: str = "/run/carbonsched/%n.sock"
    spool: str = "/var/spool/carbonsched/%n"
    sample_s: float = 1.0
    segment_s: int = 300
    delivery_s: float = 10.0
    metrics: str | None = None
    ipmi_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The compiled site file."""

    cluster: str
    daemon_url: str
    munge_socket: str | None = None
    lease_s: int = 120
    submit_timeout_s: float = 3.0
    agent: AgentSite = field(default_factory=AgentSite)
    node_classes: tuple[NodeClass, ...] = ()

    def __post_init__(self) -> None:
        _typed(self, str, "cluster", "daemon_url")
        _typed(self, int, "lease_s")
        _typed(self, (int, float), "submit_timeout_s")
        if self.lease_s < 0 or self.submit_timeout_s <= 0:
            raise ValueError("lease_s or submit_timeout_s is negative")

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Site:
        """Read the file's text; ``ValueError`` or ``TypeError`` on anything unknown."""
        raw = json.loads(text)
        _only(raw, cls)
        _only(raw.get("agent", {}), AgentSite)
        raw["agent"] = AgentSite(**raw.get("agent", {}))
        raw["node_classes"] = tuple(NodeClass(**one) for one in raw.get("node_classes", ()))
        return cls(**raw)


def site_path() -> Path:
    """Where this process looks for the site file."""
    return Path(os.environ.get(VARIABLE) or DEFAULT_PATH)


def load_site(path: Path | None = None) -> Site:
    """Read the site file.

    Raises:
        ConfigError: absent, unreadable or not a site file; one line with the remedy.
    """
    where = path or site_path()
    remedy = "write it with 'carbonsched config compile'"
    try:
        return Site.from_json(where.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"{where}: {error.strerror}; {remedy}"]) from None
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError([f"{where}: not a site file ({error}); {remedy}"]) from None


def _only(raw: Any, cls: type) -> None:
    known = {one.name for one in fields(cls)}
    if not isinstance(raw, dict):
        raise TypeError("expected an object")
    if unknown := set(raw) - known:
        raise ValueError(f"unknown key {min(unknown)!r}")


def _typed(site: Site, kind: type | tuple[type, ...], *names: str) -> None:
    for name in names:
        value = getattr(site, name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise TypeError(f"{name} is {value!r}")
