"""The linear programme over the columns found so far, solved by HiGHS."""

from __future__ import annotations

from collections.abc import Sequence

import highspy
import numpy as np

from carbonsched.sim.bound_columns import Column, Floats

_PRIMAL_SIMPLEX = 4


class _Solver(highspy.Highs):
    """HiGHS without the banner that its callbacks print on standard output."""

    def __init__(self) -> None:
        super(highspy.Highs, self).__init__()  # Highs' own would do no more than enable them
        self.setOptionValue("output_flag", False)  # noqa: FBT003 - HiGHS takes no keywords
        self.setOptionValue("simplex_strategy", _PRIMAL_SIMPLEX)


class Master:
    """Least grams with each job run once and no slot over its nodes, over mixtures of columns.

    It starts anew from the last solution when columns are added.
    """

    def __init__(self, capacities: Floats, jobs: int) -> None:
        self._capacities = capacities
        self._highs = _Solver()
        rows = capacities.size
        lower = np.concatenate((np.full(rows, -highspy.kHighsInf), np.ones(jobs)))
        upper = np.concatenate((capacities.ravel(), np.ones(jobs)))
        none = np.empty(0, dtype=np.int32)
        self._highs.addRows(rows + jobs, lower, upper, 0, none, none, np.empty(0))

    def add(self, columns: Sequence[Column]) -> None:
        """More ways to run jobs."""
        rows = self._capacities.size
        counts = [len(one.rows) + 1 for one in columns]
        starts = np.concatenate(([0], np.cumsum(counts)[:-1])).astype(np.int32)
        indices = np.concatenate([np.append(one.rows, rows + one.job) for one in columns])
        values = np.concatenate([np.append(one.nodes, 1.0) for one in columns])
        count = len(columns)
        self._highs.addCols(
            count,
            np.array([one.grams for one in columns]),
            np.zeros(count),
            np.full(count, highspy.kHighsInf),
            len(indices),
            starts,
            indices.astype(np.int32),
            values,
        )

    def solve(self, time_limit_s: float) -> tuple[float, Floats] | None:
        """The least grams, and the price of a node in each slot; ``None`` if time was short."""
        self._highs.setOptionValue("time_limit", self._highs.getRunTime() + time_limit_s)
        self._highs.run()
        if self._highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        duals = np.array(self._highs.getSolution().row_dual)
        rows = self._capacities.size
        prices = np.maximum(0.0, -duals[:rows]).reshape(self._capacities.shape)
        return self._highs.getInfo().objective_function_value, prices
