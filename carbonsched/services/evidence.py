"""The evidence for a job's figures: each reading with its intensity, PUE and milligrams."""

from __future__ import annotations

from typing import Any

from carbonsched.accounting import segment_mg
from carbonsched.ledger.jobs import KnownJob
from carbonsched.services.managed import Clusters
from carbonsched.services.pricing import UNPRICED
from carbonsched.services.settle import SettleJobs
from carbonsched.units import PPM

Row = dict[str, Any]


class Evidence:
    """Rows from reading to milligrams."""

    def __init__(self, clusters: Clusters, settle: SettleJobs) -> None:
        self._clusters = clusters
        self._settle = settle

    def rows(self, known: KnownJob) -> list[Row]:
        """One row for each reading of the job, in time order."""
        managed = self._clusters.find(known.job.key.cluster)
        rows = []
        for reading in self._settle.readings(known.job):
            priced = self._settle.priced(managed, [reading]) if managed else UNPRICED
            one = priced.segments[0] if priced.segments else None
            labels = sorted({piece.info.label for piece in priced.pieces})
            rows.append(
                {
                    "node": reading.node,
                    "start_at": reading.start_at,
                    "end_at": reading.end_at,
                    "energy_j": reading.energy_j,
                    "domains": dict(reading.domains),
                    "uncertainty_j": reading.uncertainty_j,
                    "unclaimed_j": reading.unclaimed_j,
                    "quality": reading.quality,
                    "meter": reading.meter,
                    "g_per_kwh": float(one.mg_per_kwh) / 1000 if one else None,
                    "provider": "; ".join(labels) if one else None,
                    "pue": one.pue_ppm / PPM if one else None,
                    "mg": f"{float(segment_mg(one)):.6f}" if one else None,
                }
            )
        return rows
