"""PUE from Prometheus: a range query whose value is the PUE.

``/api/v1/query_range`` evaluates the query at instants one step apart. The value at an instant
counts for the step that ends there, so that ``avg_over_time(...[step])`` is exactly the mean of its
period and nothing is said about time still ahead. Instants are multiples of the step, so that the
same periods are asked for again.
API: https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from carbonsched.errors import ProviderMalformedError
from carbonsched.facility.values import pue_ppm
from carbonsched.intensity.http.fetch import Fetcher
from carbonsched.model.pue import PuePoint
from carbonsched.ports import PueTold

MOST_STEPS = 10_000
"""Prometheus refuses more than 11,000 instants in one answer."""
_REVISED_S = 6 * 3600
_LATEST_AT = 10**11


class PrometheusPue:
    """One query at one Prometheus, reached without proxies as it is inside the site."""

    def __init__(self, *, url: str, query: str, step_s: int, timeout_s: float) -> None:
        """``timeout_s`` bounds each request as a whole; nothing is asked yet."""
        parts = urlsplit(url)
        # Without user and password, for it is printed in reports.
        self._source = f"prometheus {parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._url = url.rstrip("/")
        self._query = query
        self._step_s = step_s
        self._fetcher = Fetcher(
            name=self._source,
            timeout_s=timeout_s,
            settings="url or query of pue.prometheus",
            proxies=False,
        )

    @property
    def source(self) -> str:
        """``prometheus HOST:PORT``."""
        return self._source

    @property
    def asks_again_s(self) -> int:
        """Series may come late, by remote write or when a rule is filled in afterwards."""
        return max(_REVISED_S, 2 * self._step_s)

    @property
    def most_s(self) -> int:
        """As many steps as one answer may hold."""
        return MOST_STEPS * self._step_s

    def read(self, start_at: int, end_at: int) -> PueTold:
        """The steps that touch the interval and are over at its end.

        Raises:
            ProviderError: unreachable, refused or malformed, or the query finds several series.
        """
        step = self._step_s
        first, last = (start_at // step + 1) * step, end_at // step * step
        if last < first:
            return PueTold(())
        words: dict[str, str | int] = {
            "query": self._query,
            "start": first,
            "end": last,
            "step": step,
        }
        answer = self._fetcher.json(f"{self._url}/api/v1/query_range", words)
        points: list[PuePoint] = []
        faults: list[str] = []
        for at, text in self._values(answer):
            if not first <= at <= last or at % step:
                raise self._malformed(f"tells of {at}, which was not asked")
            try:
                value = pue_ppm(text)
            except ValueError as error:
                faults.append(str(error))
                continue
            if value is not None:
                points.append(PuePoint(at - step, at, value, self._source))
        return PueTold(tuple(points), self._fault(faults))

    def _values(self, answer: Any) -> list[tuple[int, str]]:
        """Instants and texts of the one series, none where the query finds nothing."""
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, dict) or answer.get("status") != "success":
            raise self._malformed("answered with something that is not Prometheus's")
        series = data.get("result")
        if data.get("resultType") != "matrix" or not isinstance(series, list):
            raise self._malformed("answered without a matrix: the query is to give a number")
        if len(series) > 1:
            raise self._malformed(
                f"the query finds {len(series)} series, such as {_labels(series[0])} and"
                f" {_labels(series[1])}; make it one, with sum, avg or more labels"
            )
        rows = series[0].get("values") if series and isinstance(series[0], dict) else []
        if not isinstance(rows, list):
            raise self._malformed("a series has no list of values")
        return [self._row(row) for row in rows]

    def _row(self, row: Any) -> tuple[int, str]:
        match row:
            case [int() | Decimal() as at, str(text)] if 0 <= at < _LATEST_AT and at == int(at):
                return int(at), text
        raise self._malformed("a value is not a pair of time and text")

    def _fault(self, faults: list[str]) -> str | None:
        if not faults:
            return None
        more = f", and {len(faults) - 1} more values" if len(faults) > 1 else ""
        return f"{self._source}: {faults[0]}{more}: left out"

    def _malformed(self, what: str) -> ProviderMalformedError:
        return ProviderMalformedError(f"{self._source}: {what}")


def _labels(series: Any) -> str:
    """``{building="a"}``, short and safe for one line."""
    metric = series.get("metric") if isinstance(series, dict) else None
    if not isinstance(metric, dict):
        return "{}"
    words = ", ".join(f'{name}="{value}"' for name, value in sorted(metric.items()))
    return f"{{{ascii(words[:80])[1:-1]}}}"
