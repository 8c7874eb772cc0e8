"""Predictions and plans, every version kept: what was thought when."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from carbonsched.ledger.database import LedgerFile
from carbonsched.ledger.jobs import KEY_MATCH
from carbonsched.model.job import JobKey
from carbonsched.model.plan import Plan, Reason
from carbonsched.model.prediction import Prediction, PredictionSource

_PREDICTION = ", ".join(Prediction.__dataclass_fields__)
_PLAN = ", ".join(name for name in Plan.__dataclass_fields__ if name != "key")


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
        """Keep a plan whose start or reason differs from the last; returns whether it did.

        "At once" is one start, however often it is said again while the job queues.
        """
        before = self.plan(plan.key)
        if before and _essence(before) == _essence(plan):
            return False
        row = {name: value for name, value in asdict(plan).items() if name != "key"}
        self._file.insert("plans", [row | asdict(plan.key)])
        return True

    def plan(self, key: JobKey) -> Plan | None:
        """The latest plan of a job."""
        return self._plan(key, "DESC")

    def first_plan(self, key: JobKey) -> Plan | None:
        """The first plan of a job: its baseline is when the job could have started."""
        return self._plan(key, "ASC")

    def deferral(self, key: JobKey) -> Plan | None:
        """The latest plan that made a job wait for a cleaner window."""
        row = self._file.row(
            f"SELECT {_PLAN} FROM plans WHERE {KEY_MATCH} AND reason = :reason"
            " AND start_at > baseline_at ORDER BY id DESC LIMIT 1",
            reason=Reason.CLEANER,
            **asdict(key),
        )
        return _read(row, key) if row else None

    def _plan(self, key: JobKey, order: str) -> Plan | None:
        row = self._file.row(
            f"SELECT {_PLAN} FROM plans WHERE {KEY_MATCH} ORDER BY id {order} LIMIT 1",
            **asdict(key),
        )
        return _read(row, key) if row else None


def _read(row: dict[str, Any], key: JobKey) -> Plan:
    return Plan(key=key, **row | {"reason": Reason(row["reason"])})


def _essence(plan: Plan) -> tuple[int | None, Reason]:
    return (plan.start_at if plan.deferred else None, plan.reason)
