"""Predictions and plans, every version kept: what was thought when."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from carbonsched.ledger.database import LedgerFile
from carbonsched.ledger.jobs import KEY_MATCH
from carbonsched.model.job import Job, JobKey
from carbonsched.model.plan import Plan, Reason
from carbonsched.model.prediction import Prediction, PredictionSource

_KEY = ", ".join(JobKey.__dataclass_fields__)
_PREDICTION = ", ".join(Prediction.__dataclass_fields__)
_NOT_KEPT = ("key", "cluster", "in_pieces")  # a job that has a key runs where it waits
_PLAN = ", ".join(name for name in Plan.__dataclass_fields__ if name not in _NOT_KEPT)


class PlanTable:
    """The ``predictions`` and ``plans`` tables."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def add_prediction(self, key: JobKey, prediction: Prediction, now: int) -> bool:
        """Keep a prediction that differs from the last; returns whether it did."""
        if self.prediction(key) == prediction:
            return False
        self._file.insert("predictions", [asdict(prediction) | asdict(key) | {"made_at": now}])
        return True

    def prediction(self, key: JobKey) -> Prediction | None:
        """The latest prediction of a job."""
        row = self._file.row(
            f"SELECT {_PREDICTION} FROM predictions WHERE {KEY_MATCH} ORDER BY id DESC LIMIT 1",
            **asdict(key),
        )
        return Prediction(**row | {"source": PredictionSource(row["source"])}) if row else None

    def add_plan(self, plan: Plan) -> bool:
        """Keep a plan whose start, reason or mode differs from the last; returns whether it did.

        "At once" is one start, however often it is said again while the job queues.
        """
        before = self.plan(plan.key)
        if before and _essence(before) == _essence(plan):
            return False
        row = {name: value for name, value in asdict(plan).items() if name not in _NOT_KEPT}
        self._file.insert("plans", [row | asdict(plan.key)])
        return True

    def plan(self, key: JobKey) -> Plan | None:
        """The latest plan of a job."""
        return self._plan(key, "TRUE ORDER BY id DESC")

    def last_of(self, job: Job) -> Plan | None:
        """The last plan of a job; of a task without one, its array's last until it started."""
        own = self.plan(job.key)
        if own is not None or job.array_job_id is None:
            return own
        array = replace(job.key, job_id=job.array_job_id, restarts=0)
        before = "made_at <= :started_at ORDER BY id DESC"
        found = self._plan(array, before, started_at=job.started_at)
        return found or self._plan(array, "TRUE ORDER BY id")

    def shadows(self, cluster: str, since_at: int, now: int) -> list[Plan]:
        """Last plans, kept as shadows, of started jobs whose run would not be over by now.

        That is one as long as the real one from the planned start on. ``since_at`` bounds the look
        back: no planned start before it counts.
        """
        columns = ", ".join(f"one.{name}" for name in f"{_KEY}, {_PLAN}".split(", "))
        rows = self._file.rows(
            f"SELECT {columns} FROM plans AS one JOIN jobs USING ({_KEY})"
            " WHERE shadow AND one.cluster = :cluster AND start_at > :since_at"
            " AND start_at > baseline_at AND started_at IS NOT NULL"
            " AND COALESCE(start_at + ended_at - started_at, 9223372036854775807) > :now"
            f" AND id = (SELECT MAX(id) FROM plans AS any WHERE ({_KEY}) ="
            " (one.cluster, one.job_id, one.submitted_at, one.restarts)) ORDER BY id",
            cluster=cluster,
            since_at=since_at,
            now=now,
        )
        return [
            _read(row, JobKey(**{name: row.pop(name) for name in JobKey.__dataclass_fields__}))
            for row in rows
        ]

    def first_plan(self, key: JobKey) -> Plan | None:
        """The first plan of a job that counted: its baseline is when the job could have started."""
        return self._plan(key, "NOT shadow ORDER BY id")

    def deferral(self, key: JobKey, *, shadow: bool = False) -> Plan | None:
        """The latest plan that made a job wait, of real or ``shadow`` plans.

        For a cleaner hour, or for its turn where there is no room; a quota's hold is none.
        """
        return self._plan(
            key,
            "reason IN (:cleaner, :no_room) AND start_at > baseline_at AND shadow = :shadow"
            " ORDER BY id DESC",
            cleaner=Reason.CLEANER,
            no_room=Reason.NO_ROOM,
            shadow=shadow,
        )

    def _plan(self, key: JobKey, which: str, **given: Any) -> Plan | None:
        row = self._file.row(
            f"SELECT {_PLAN} FROM plans WHERE {KEY_MATCH} AND {which} LIMIT 1",
            **given,
            **asdict(key),
        )
        return _read(row, key) if row else None


def _read(row: dict[str, Any], key: JobKey) -> Plan:
    return Plan(key=key, **row | {"reason": Reason(row["reason"]), "shadow": bool(row["shadow"])})


def _essence(plan: Plan) -> tuple[int | None, Reason, bool]:
    return (plan.start_at if plan.deferred else None, plan.reason, plan.shadow)
