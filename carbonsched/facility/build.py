"""Readers of the clusters' PUE from their part of the configuration.

The configuration lies beside this package, so its objects are taken by their attributes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from carbonsched.facility.files import PueFile
from carbonsched.facility.prometheus import PrometheusPue
from carbonsched.ports import PueReader


class PueSettings(Protocol):
    """Where a cluster's PUE comes from."""

    @property
    def file(self) -> Path | None:
        """A CSV file."""
        ...

    @property
    def prometheus(self) -> Any:
        """``url``, ``query``, ``step_s`` and ``timeout_s`` of a query, or ``None``."""
        ...


class ClusterSettings(Protocol):
    """A cluster of the configuration."""

    @property
    def name(self) -> str:
        """Slurm's ClusterName."""
        ...

    @property
    def pue(self) -> PueSettings:
        """Where its PUE comes from."""
        ...


def build_readers(clusters: Iterable[ClusterSettings]) -> dict[str, PueReader]:
    """A reader for each cluster whose PUE is told from outside; nothing is asked yet."""
    readers: dict[str, PueReader] = {}
    for cluster in clusters:
        pue = cluster.pue
        if pue.file is not None:
            readers[cluster.name] = PueFile(pue.file)
        elif pue.prometheus is not None:
            readers[cluster.name] = PrometheusPue(
                url=pue.prometheus.url,
                query=pue.prometheus.query,
                step_s=pue.prometheus.step_s,
                timeout_s=pue.prometheus.timeout_s,
            )
    return readers
